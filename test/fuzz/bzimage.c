// SPDX-License-Identifier: MIT
/*
 * bzImage: a kernel that VTL0 shall boot.
 *
 * Input: size of low RAM in MiB, of the initrd in 256 bytes, of the command
 * line, 16 bits of zeroes to follow the file; then the file from its setup
 * header on: what is before it is nobody's business and is made up here.
 *
 * A refusal is one line and leaves guest memory alone. What is loaded lies in
 * RAM above 1 MiB, kernel and initrd apart, and the boot_params say so.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux_boot_reg.h>

#include "paravisor/boot_linux.h"
#include "test/fuzz/fuzz.h"

#define MIB (1ull << 20)
#define RAM_MAX (64 * MIB)
#define BOOT_PARAMS 0x2000u
#define FILE_MAX (160u << 10)

static uint8_t *ram;
static uint8_t file[FILE_MAX];
static uint8_t initrd[255 * 256];
static char command_line[4200];

/* acpi_build() is another one's business, and slow. */
int acpi_build(const struct acpi_machine *machine, uint32_t gpa, void *out,
	       size_t size)
{
	(void)machine;
	(void)gpa;
	memset(out, 0xac, size);
	return (int)size;
}

static void begin(void)
{
	if (ram)
		return;
	ram = mmap(NULL, RAM_MAX, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		abort();
	memset(initrd, 0x5a, sizeof(initrd));
	memset(command_line, 'x', sizeof(command_line));
}

static uint64_t get_register(const struct boot_registers *list, uint32_t name)
{
	for (unsigned int i = 0; i < list->count; i++)
		if (le32_to_cpu(list->reg[i].name) == name)
			return le64_to_cpu(list->reg[i].value.low);
	fuzz_expect(false, name, list->count);
	return 0;
}

static void check_loaded(const struct boot_linux *boot, uint64_t ram_size,
			 const struct boot_registers *registers)
{
	const struct linux_boot_params *bp =
		(const struct linux_boot_params *)(ram + BOOT_PARAMS);
	uint64_t kernel = get_register(registers, HV_REG_RIP) -
			  LINUX_ENTRY_64_OFFSET;
	uint64_t kernel_end = kernel + le32_to_cpu(bp->hdr.init_size);
	uint64_t at = le32_to_cpu(bp->hdr.ramdisk_image);
	uint64_t size = le32_to_cpu(bp->hdr.ramdisk_size);

	fuzz_expect(kernel >= MIB && kernel_end <= ram_size, kernel,
		    kernel_end);
	fuzz_expect(get_register(registers, HV_REG_RSI) == BOOT_PARAMS, 0, 0);
	fuzz_expect(size == boot->initrd_size, size, boot->initrd_size);
	fuzz_expect(!size || (at >= kernel_end && at + size <= ram_size), at,
		    size);
	fuzz_expect(!size || (ram[at] == 0x5a && ram[at + size - 1] == 0x5a),
		    at, size);
	fuzz_expect(bp->e820_entries >= 2, bp->e820_entries, 0);
	/* For the next input. Nothing else is written above 1 MiB. */
	if (size)
		memset(ram + at, 0, size);
}

static void load(const struct boot_linux *boot, uint64_t ram_size, int checked)
{
	struct guest_memory gm = { 0 };
	struct boot_registers registers;
	int err;

	memset(ram + BOOT_PARAMS, 0, sizeof(struct linux_boot_params));
	fuzz_expect(!guest_memory_add(&gm, 0, ram_size, ram), ram_size, 0);
	err = boot_linux_load(boot, &gm, &registers);
	fuzz_expect(!checked || err == checked, checked, err);
	if (!err) {
		fuzz_accept();
		check_loaded(boot, ram_size, &registers);
		return;
	}
	fuzz_expect(err == -ENOEXEC || err == -ENOSPC || err == -E2BIG, err,
		    0);
	fuzz_expect(fuzz_log_lines() == (checked ? 2 : 1), fuzz_log_lines(),
		    err);
	for (unsigned int i = 0; i < 16; i++)
		fuzz_expect(!ram[BOOT_PARAMS + LINUX_SETUP_HEADER_OFFSET + i],
			    err, i);
}

void fuzz_one(struct fuzz_input *in)
{
	uint64_t ram_size = (2 + fuzz_number(in, 1) % 63) * MIB;
	struct boot_linux boot = {
		.name = "kernel",
		.kernel = file,
		.initrd = initrd,
		.initrd_size = fuzz_number(in, 1) * 256,
		.command_line = command_line + sizeof(command_line) - 1 -
				fuzz_number(in, 2) % sizeof(command_line),
	};
	size_t zeroes = fuzz_number(in, 2) * 2;
	const uint8_t *bytes;
	size_t size;
	int err;

	begin();
	command_line[sizeof(command_line) - 1] = '\0';
	bytes = fuzz_rest(in, FILE_MAX - LINUX_SETUP_HEADER_OFFSET - zeroes,
			  &size);
	if (size)
		memcpy(file + LINUX_SETUP_HEADER_OFFSET, bytes, size);
	memset(file + LINUX_SETUP_HEADER_OFFSET + size, 0, zeroes);
	boot.kernel_size = LINUX_SETUP_HEADER_OFFSET + size + zeroes;
	err = boot_linux_check(boot.name, file, boot.kernel_size);
	fuzz_expect(!err || err == -ENOEXEC, err, 0);
	fuzz_expect(fuzz_log_lines() == (err ? 1 : 0), err, fuzz_log_lines());
	load(&boot, ram_size, err);
}
