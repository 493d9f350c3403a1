/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/boot_linux.c paravisor/acpi.c paravisor/guest_memory.c paravisor/log.c */
/*
 * Direct boot: what lies in memory afterwards, and what a bad bzImage is told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <linux_boot_reg.h>

#include "paravisor/boot_linux.h"
#include "stderr_capture.h"

#define LOW_SIZE (64ull << 20)
#define HIGH_GPA (4ull << 30)
#define HIGH_SIZE (2ull << 20)
#define SETUP_SIZE (5u * 512)
#define PAYLOAD_SIZE 8192u
#define PREFERRED 0x1000000u
#define INIT_SIZE 0x123456u

static uint8_t *low, high[HIGH_SIZE];
static struct guest_memory gm;
static uint8_t kernel[SETUP_SIZE + PAYLOAD_SIZE + 100];
static uint8_t initrd[5000];
static struct boot_linux boot;
static struct boot_registers registers;

static struct linux_setup_header *header(void)
{
	return (struct linux_setup_header *)(kernel +
					     LINUX_SETUP_HEADER_OFFSET);
}

static int setup(void **state)
{
	struct linux_setup_header *h = header();

	(void)state;
	if (!low)
		low = mmap(NULL, LOW_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(low, MAP_FAILED);
	memset(low, 0, LOW_SIZE);
	gm = (struct guest_memory){ 0 };
	assert_int_equal(guest_memory_add(&gm, 0, LOW_SIZE, low), 0);
	assert_int_equal(guest_memory_add(&gm, HIGH_GPA, HIGH_SIZE, high), 0);

	for (size_t i = 0; i < sizeof(kernel); i++)
		kernel[i] = i * 7;
	memset(h, 0, sizeof(*h));
	h->setup_sects = 4;
	h->syssize = cpu_to_le32(PAYLOAD_SIZE / 16);
	h->boot_flag = cpu_to_le16(0xaa55);
	h->jump[0] = 0xeb;
	h->jump[1] = 0x6a;
	h->header = cpu_to_le32(0x53726448);
	h->version = cpu_to_le16(0x20f);
	h->loadflags = 1;
	h->initrd_addr_max = cpu_to_le32(0x7fffffff);
	h->kernel_alignment = cpu_to_le32(0x200000);
	h->relocatable_kernel = 1;
	h->xloadflags = cpu_to_le16(0x3f);
	h->cmdline_size = cpu_to_le32(2047);
	h->pref_address = cpu_to_le64(PREFERRED);
	h->init_size = cpu_to_le32(INIT_SIZE);
	memset(initrd, 0x5a, sizeof(initrd));
	boot = (struct boot_linux){
		.name = "vmlinuz",
		.kernel = kernel,
		.kernel_size = sizeof(kernel),
		.initrd = initrd,
		.initrd_size = sizeof(initrd),
		.command_line = "console=ttyS0 root=/dev/sda1",
		.acpi = { .nr_vps = 2, .com1 = true },
	};
	return 0;
}

static const struct linux_boot_params *boot_params(void)
{
	return (const struct linux_boot_params *)(low + 0x2000);
}

static uint64_t reg(uint32_t name, uint64_t *upper)
{
	for (unsigned int i = 0; i < registers.count; i++) {
		if (le32_to_cpu(registers.reg[i].name) != name)
			continue;
		if (upper)
			*upper = le64_to_cpu(registers.reg[i].value.high);
		return le64_to_cpu(registers.reg[i].value.low);
	}
	fail_msg("register %#x is not set", name);
	return 0;
}

static void contents(void **state)
{
	const struct linux_boot_params *bp = boot_params();
	uint32_t ramdisk;

	(void)state;
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	assert_memory_equal(low + PREFERRED, kernel + SETUP_SIZE,
			    PAYLOAD_SIZE);
	/* What follows the kernel in the file is not loaded. */
	assert_int_equal(low[PREFERRED + PAYLOAD_SIZE], 0);
	ramdisk = le32_to_cpu(bp->hdr.ramdisk_image);
	assert_int_equal(ramdisk % 0x200000, 0);
	assert_true(ramdisk >= PREFERRED + INIT_SIZE);
	assert_int_equal(le32_to_cpu(bp->hdr.ramdisk_size), sizeof(initrd));
	assert_memory_equal(low + ramdisk, initrd, sizeof(initrd));
	assert_string_equal((char *)low + le32_to_cpu(bp->hdr.cmd_line_ptr),
			    boot.command_line);
	assert_int_equal(bp->hdr.type_of_loader, 0xff);
	assert_int_equal(le16_to_cpu(bp->hdr.boot_flag), 0xaa55);
	assert_int_equal(le32_to_cpu(bp->hdr.init_size), INIT_SIZE);
	assert_int_equal(le64_to_cpu(bp->acpi_rsdp_addr), 0xe0000);
	assert_memory_equal(low + 0xe0000, "RSD PTR ", 8);
}

/* The header ends where its jump says: behind it the kernel expects zeroes. */
static void short_header(void **state)
{
	(void)state;
	header()->jump[1] = 0x66; /* up to handover_offset */
	header()->kernel_info_offset = cpu_to_le32(0x1234);
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	assert_int_equal(le32_to_cpu(boot_params()->hdr.init_size), INIT_SIZE);
	assert_int_equal(
		le32_to_cpu(boot_params()->hdr.kernel_info_offset), 0);
}

static void memory_map(void **state)
{
	static const struct {
		uint64_t addr, size;
		uint32_t type;
	} want[] = {
		{ 0, 0xa0000, 1 },
		{ 0xe0000, 0x20000, 2 },
		{ 0x100000, LOW_SIZE - 0x100000, 1 },
		{ HIGH_GPA, HIGH_SIZE, 1 },
	};
	const struct linux_boot_params *bp = boot_params();

	(void)state;
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	assert_int_equal(bp->e820_entries, 4);
	for (unsigned int i = 0; i < 4; i++) {
		const struct linux_e820_entry *e = &bp->e820_table[i];

		assert_true(le64_to_cpu(e->addr) == want[i].addr);
		assert_true(le64_to_cpu(e->size) == want[i].size);
		assert_int_equal(le32_to_cpu(e->type), want[i].type);
		assert_true(want[i].addr > BOOT_LINUX_SPARE_PAGE ||
			    want[i].addr + want[i].size <=
				    BOOT_LINUX_SPARE_PAGE);
	}
}

/* Walks the page tables as a processor does. */
static uint64_t translate(uint64_t va)
{
	uint64_t entry = reg(HV_REG_CR3, NULL);

	for (int level = 3; level >= 1; level--) {
		unsigned int index = va >> (12 + 9 * level) & 511;

		memcpy(&entry, low + (entry & ~0xfffull) + 8 * index, 8);
		if ((entry & 3) != 3)
			return UINT64_MAX;
		if (entry & 0x80)
			break;
	}
	assert_true(entry & 0x80);
	return (entry & ~0x1fffffull) | (va & 0x1fffff);
}

static void entry_state(void **state)
{
	uint64_t upper, gdt;

	(void)state;
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	assert_int_equal(reg(HV_REG_RIP, NULL), PREFERRED + 0x200);
	assert_int_equal(reg(HV_REG_RSI, NULL), 0x2000);
	assert_int_equal(reg(HV_REG_EFER, NULL), 0xd01);
	assert_int_equal(reg(HV_REG_RFLAGS, NULL), 2);
	assert_int_equal(reg(HV_REG_CR0, NULL), 0x80000031);
	assert_int_equal(reg(HV_REG_CR4, NULL), 0x20);
	assert_true(translate(0) == 0);
	assert_true(translate(PREFERRED + 0x200) == PREFERRED + 0x200);
	assert_true(translate(0xffffffffull) == 0xffffffffull);
	assert_true(translate(1ull << 32) == UINT64_MAX);
	/* Selectors 0x10 and 0x18 of the GDT are what CS and DS hold. */
	reg(HV_REG_CS, &upper);
	assert_int_equal(upper >> 32 & 0xffff, 0x10);
	assert_int_equal(upper >> 48, 0xa09b);
	reg(HV_REG_DS, &upper);
	assert_int_equal(upper >> 32 & 0xffff, 0x18);
	assert_int_equal(upper >> 48, 0xc093);
	assert_int_equal(reg(HV_REG_GDTR, &upper) >> 48, 31);
	memcpy(&gdt, low + upper + 0x10, 8);
	assert_true(gdt == 0x00af9b000000ffffull);
	memcpy(&gdt, low + upper + 0x18, 8);
	assert_true(gdt == 0x00cf93000000ffffull);
}

static void elsewhere(void **state)
{
	(void)state;
	/* The preferred address is no RAM: a relocatable kernel moves. */
	header()->pref_address = cpu_to_le64(0x40000000);
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	assert_int_equal(reg(HV_REG_RIP, NULL), 0x200000 + 0x200);
	assert_memory_equal(low + 0x200000, kernel + SETUP_SIZE, PAYLOAD_SIZE);
}

static void without_initrd(void **state)
{
	(void)state;
	boot.initrd = NULL;
	boot.initrd_size = 0;
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	assert_int_equal(le32_to_cpu(boot_params()->hdr.ramdisk_image), 0);
	assert_int_equal(le32_to_cpu(boot_params()->hdr.ramdisk_size), 0);
}

static int memory_touched(void)
{
	for (uint64_t i = 0; i < LOW_SIZE; i += 8)
		if (*(uint64_t *)(low + i))
			return 1;
	return 0;
}

/* Refused with one line that holds `field`, before anything was written. */
static void assert_refused(int rc, const char *field)
{
	const char *text;
	int got;

	capture_stderr();
	got = boot_linux_load(&boot, &gm, &registers);
	text = captured_stderr();
	assert_int_equal(got, rc);
	assert_true(is_one_line(text));
	assert_non_null(strstr(text, "vmlinuz"));
	if (!strstr(text, field))
		fail_msg("'%s' is not in: %s", field, text);
	assert_false(memory_touched());
}

static void bad_kernels(void **state)
{
	(void)state;
	boot.kernel_size = 0;
	assert_refused(-ENOEXEC, "too short");
	boot.kernel_size = LINUX_SETUP_HEADER_OFFSET + 100;
	assert_refused(-ENOEXEC, "too short");
	setup(NULL);
	header()->boot_flag = cpu_to_le16(0);
	assert_refused(-ENOEXEC, "boot_flag");
	setup(NULL);
	header()->header = cpu_to_le32(0x464c457f);
	assert_refused(-ENOEXEC, "HdrS");
	setup(NULL);
	header()->version = cpu_to_le16(0x20b);
	assert_refused(-ENOEXEC, "version");
	setup(NULL);
	header()->loadflags = 0;
	assert_refused(-ENOEXEC, "loadflags");
	setup(NULL);
	header()->xloadflags = cpu_to_le16(0x3e);
	assert_refused(-ENOEXEC, "xloadflags");
	setup(NULL);
	header()->kernel_alignment = cpu_to_le32(0);
	assert_refused(-ENOEXEC, "kernel_alignment");
	setup(NULL);
	header()->kernel_alignment = cpu_to_le32(0x300000);
	assert_refused(-ENOEXEC, "kernel_alignment");
	setup(NULL);
	header()->syssize = cpu_to_le32(UINT32_MAX);
	assert_refused(-ENOEXEC, "cut short");
	setup(NULL);
	header()->syssize = cpu_to_le32(2);
	assert_refused(-ENOEXEC, "syssize");
	setup(NULL);
	header()->setup_sects = 255;
	assert_refused(-ENOEXEC, "cut short");
	setup(NULL);
	header()->init_size = cpu_to_le32(PAYLOAD_SIZE - 1);
	assert_refused(-ENOEXEC, "init_size");
}

static void no_room(void **state)
{
	(void)state;
	header()->init_size = cpu_to_le32(UINT32_MAX);
	assert_refused(-ENOSPC, "low memory ends");
	setup(NULL);
	header()->pref_address = cpu_to_le64(UINT64_MAX - 5);
	header()->relocatable_kernel = 0;
	assert_refused(-ENOSPC, "low memory ends");
	setup(NULL);
	header()->pref_address = cpu_to_le64(0x2000);
	header()->relocatable_kernel = 0;
	assert_refused(-ENOSPC, "low memory ends");
	setup(NULL);
	header()->kernel_alignment = cpu_to_le32(0x80000000);
	header()->pref_address = cpu_to_le64(UINT64_MAX);
	assert_refused(-ENOSPC, "low memory ends");
	setup(NULL);
	boot.initrd_size = LOW_SIZE;
	assert_refused(-ENOSPC, "initrd");
	setup(NULL);
	header()->initrd_addr_max = cpu_to_le32(PREFERRED);
	assert_refused(-ENOSPC, "initrd");
	setup(NULL);
	gm = (struct guest_memory){ 0 };
	assert_refused(-ENOSPC, "low memory ends");
}

static void command_line_too_long(void **state)
{
	char line[5000];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[2047] = 0;
	boot.command_line = line;
	assert_int_equal(boot_linux_load(&boot, &gm, &registers), 0);
	setup(NULL);
	line[2047] = 'x';
	line[2048] = 0;
	boot.command_line = line;
	assert_refused(-E2BIG, "command line");
	/* Whatever the kernel says it takes, ours is one page. */
	setup(NULL);
	line[2048] = 'x';
	line[4096] = 0;
	header()->cmdline_size = cpu_to_le32(100000);
	boot.command_line = line;
	assert_refused(-E2BIG, "command line");
}

/* Random headers: an answer, and nothing outside of the buffers. */
static void random_headers(void **state)
{
	uint64_t x = 88172645463325252ull;
	uint8_t *h = (uint8_t *)header();
	unsigned int good = 0;

	(void)state;
	boot.initrd_size = 0;
	boot.initrd = NULL;
	capture_stderr();
	for (unsigned int i = 0; i < 2000; i++) {
		uint8_t saved[sizeof(struct linux_setup_header)];

		memcpy(saved, h, sizeof(saved));
		for (unsigned int n = 0; n < 3; n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			h[x % sizeof(saved)] = x >> 32;
		}
		good += !boot_linux_load(&boot, &gm, &registers);
		memcpy(h, saved, sizeof(saved));
	}
	captured_stderr();
	assert_true(good > 0 && good < 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(contents, setup),
		cmocka_unit_test_setup(short_header, setup),
		cmocka_unit_test_setup(memory_map, setup),
		cmocka_unit_test_setup(entry_state, setup),
		cmocka_unit_test_setup(elsewhere, setup),
		cmocka_unit_test_setup(without_initrd, setup),
		cmocka_unit_test_setup(bad_kernels, setup),
		cmocka_unit_test_setup(no_room, setup),
		cmocka_unit_test_setup(command_line_too_long, setup),
		cmocka_unit_test_setup(random_headers, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
