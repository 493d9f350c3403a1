/* SPDX-License-Identifier: MIT */
/*
 * Direct boot of Linux, theory of operation
 *
 * Owns: nothing; it is one function that plans, checks and then writes.
 *
 *	0x1000	GDT			0xe0000	ACPI tables
 *	0x2000	boot_params		kernel	pref_address (16 MiB), or the
 *	0x3000	command line			next place that is aligned
 *	0x4000	page tables, 6 pages	initrd	the next 2 MiB after it
 *
 * The kernel is entered by the 64-bit protocol (Linux Documentation/arch/x86/
 * boot.rst): long mode, the first 4 GiB mapped one to one, RSI = boot_params.
 * So everything lies below 4 GiB, in the RAM range that begins at 0.
 *
 * The memory map says RAM for what is RAM, less the hole of a PC below 1 MiB:
 * [640 KiB, 896 KiB) is nothing and [896 KiB, 1 MiB) is reserved, because the
 * ACPI tables are there.
 *
 * Failure answers: the bzImage is somebody's file and is believed nothing:
 * every field is checked before the first byte of the guest is written, and a
 * wrong one gives one line.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux_boot_reg.h>
#include <pv/log.h>

#include "boot_linux.h"

LOG_MODULE("boot");

#define GDT_GPA 0x1000u
#define BOOT_PARAMS_GPA 0x2000u
#define COMMAND_LINE_GPA 0x3000u
#define COMMAND_LINE_SIZE 0x1000u
#define PAGE_TABLES_GPA 0x4000u
#define LOW_END 0xa0000u
#define HIGH_START 0x100000u

#define SELECTOR_CODE 0x10u
#define SELECTOR_DATA 0x18u
#define INITRD_ALIGNMENT (2u << 20)
#define GIB (1ull << 30)
#define MAPPED_GIB 4u

#define CR0_PE (1u << 0)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)
#define RFLAGS_FIXED (1u << 1)
#define PAT_RESET 0x0007040600070406ull

#define PTE_PRESENT (1u << 0)
#define PTE_WRITE (1u << 1)
#define PTE_LARGE (1u << 7)

/* Where things go. */
struct plan {
	struct linux_setup_header hdr;
	uint32_t header_size;	/* bytes of hdr that the file has */
	const uint8_t *payload; /* the protected-mode part */
	uint64_t payload_size;
	uint64_t kernel, initrd; /* addresses */
};

/* Logs the reason; its value is the code. */
#define refuse(name, code, format, ...)                                    \
	(log_err("%s: " format, name, ##__VA_ARGS__), (code))

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

/* ------------------------------------------------------------------------
 * The file.
 */

static int check_header(const char *name, const struct linux_setup_header *h)
{
	uint32_t alignment = le32_to_cpu(h->kernel_alignment);

	if (le16_to_cpu(h->boot_flag) != LINUX_BOOT_FLAG)
		return refuse(name, -ENOEXEC,
			      "boot_flag is %#x, must be 0xaa55: no bzImage",
			      le16_to_cpu(h->boot_flag));
	if (le32_to_cpu(h->header) != LINUX_HEADER_MAGIC)
		return refuse(name, -ENOEXEC,
			      "header is %#x, must be \"HdrS\": no bzImage",
			      le32_to_cpu(h->header));
	if (le16_to_cpu(h->version) < LINUX_PROTOCOL_MIN)
		return refuse(name, -ENOEXEC,
			      "version is %#x, must be 0x20c or later",
			      le16_to_cpu(h->version));
	if (!(h->loadflags & LINUX_LOADFLAGS_LOADED_HIGH))
		return refuse(name, -ENOEXEC,
			      "loadflags is %#x, must have bit 0: no bzImage",
			      h->loadflags);
	if (!(le16_to_cpu(h->xloadflags) & LINUX_XLF_KERNEL_64))
		return refuse(name, -ENOEXEC,
			      "xloadflags is %#x, must have bit 0: "
			      "no 64-bit kernel", le16_to_cpu(h->xloadflags));
	if (!alignment || alignment & (alignment - 1))
		return refuse(name, -ENOEXEC,
			      "kernel_alignment is %#x, must be a power of two",
			      alignment);
	return 0;
}

static int parse(const char *name, const uint8_t *file, size_t size,
		 struct plan *plan)
{
	struct linux_setup_header *h = &plan->hdr;
	uint64_t setup, syssize;
	int rc;

	if (size < LINUX_SETUP_HEADER_OFFSET + sizeof(*h))
		return refuse(name, -ENOEXEC,
			      "%zu bytes are too short for a bzImage", size);
	memcpy(h, file + LINUX_SETUP_HEADER_OFFSET, sizeof(*h));
	rc = check_header(name, h);
	if (rc)
		return rc;
	/* The jump over the header tells where the header ends. */
	plan->header_size = 0x202 + h->jump[1] - LINUX_SETUP_HEADER_OFFSET;
	if (plan->header_size > sizeof(*h))
		plan->header_size = sizeof(*h);
	setup = (h->setup_sects ? h->setup_sects : 4) + 1;
	setup *= LINUX_SECTOR_SIZE;
	syssize = (uint64_t)le32_to_cpu(h->syssize) * 16;
	if (setup >= size || syssize > size - setup)
		return refuse(name, -ENOEXEC,
			      "syssize is %llu bytes after %llu of setup, the "
			      "file has %zu: cut short",
			      (unsigned long long)syssize,
			      (unsigned long long)setup, size);
	plan->payload = file + setup;
	plan->payload_size = size - setup;
	if (syssize <= LINUX_ENTRY_64_OFFSET)
		return refuse(name, -ENOEXEC,
			      "syssize is %llu bytes, must hold the entry at "
			      "0x200", (unsigned long long)syssize);
	/* A signature may follow; it is not part of the kernel. */
	plan->payload_size = syssize;
	if (le32_to_cpu(h->init_size) < plan->payload_size)
		return refuse(name, -ENOEXEC,
			      "init_size is %u, must be %llu at least",
			      le32_to_cpu(h->init_size),
			      (unsigned long long)plan->payload_size);
	return 0;
}

int boot_linux_check(const char *name, const void *kernel, size_t size)
{
	struct plan plan;

	return parse(name, kernel, size, &plan);
}

/* ------------------------------------------------------------------------
 * The place.
 */

static bool fits(uint64_t at, uint64_t bytes, uint64_t end)
{
	return at >= HIGH_START && at < end && bytes <= end - at;
}

static int place(const struct boot_linux *boot, uint64_t end,
		 struct plan *plan)
{
	const struct linux_setup_header *h = &plan->hdr;
	uint64_t init_size = le32_to_cpu(h->init_size);
	uint64_t limit = (uint64_t)le32_to_cpu(h->initrd_addr_max) + 1;

	plan->kernel = le64_to_cpu(h->pref_address);
	if (!fits(plan->kernel, init_size, end) && h->relocatable_kernel)
		plan->kernel = align_up(HIGH_START,
					le32_to_cpu(h->kernel_alignment));
	if (!fits(plan->kernel, init_size, end))
		return refuse(boot->name, -ENOSPC,
			      "needs %llu bytes at %#llx, low memory ends at "
			      "%#llx", (unsigned long long)init_size,
			      (unsigned long long)plan->kernel,
			      (unsigned long long)end);
	if (!boot->initrd_size)
		return 0;
	if (limit > end)
		limit = end;
	plan->initrd = align_up(plan->kernel + init_size, INITRD_ALIGNMENT);
	if (!fits(plan->initrd, boot->initrd_size, limit))
		return refuse(boot->name, -ENOSPC,
			      "the initrd of %zu bytes does not fit between "
			      "%#llx and %#llx", boot->initrd_size,
			      (unsigned long long)plan->initrd,
			      (unsigned long long)limit);
	return 0;
}

static int check_command_line(const struct boot_linux *boot,
			      const struct plan *plan)
{
	size_t length = strlen(boot->command_line);
	size_t most = le32_to_cpu(plan->hdr.cmdline_size);

	if (most > COMMAND_LINE_SIZE - 1)
		most = COMMAND_LINE_SIZE - 1;
	if (length > most)
		return refuse(boot->name, -E2BIG,
			      "the command line has %zu bytes, this kernel "
			      "takes %zu", length, most);
	return 0;
}

/* ------------------------------------------------------------------------
 * Writing.
 */

static int write_gdt(struct guest_memory *gm)
{
	/* Flat, 64-bit code and data; limits mean nothing in long mode. */
	const le64 gdt[] = {
		cpu_to_le64(0),
		cpu_to_le64(0),
		cpu_to_le64(0x00af9b000000ffffull),
		cpu_to_le64(0x00cf93000000ffffull),
	};

	return guest_memory_write(gm, GDT_GPA, gdt, sizeof(gdt));
}

/* One page for each of the upper levels, one for each GiB. */
static int write_page_tables(struct guest_memory *gm)
{
	const uint64_t entries = GUEST_PAGE_SIZE / sizeof(le64);
	const uint64_t pdpt = PAGE_TABLES_GPA + GUEST_PAGE_SIZE;
	const uint64_t pd = pdpt + GUEST_PAGE_SIZE;
	le64 page[GUEST_PAGE_SIZE / sizeof(le64)] = {
		cpu_to_le64(pdpt | PTE_WRITE | PTE_PRESENT),
	};
	int rc = guest_memory_write(gm, PAGE_TABLES_GPA, page, sizeof(page));

	for (unsigned int i = 0; i < MAPPED_GIB; i++)
		page[i] = cpu_to_le64((pd + i * GUEST_PAGE_SIZE) | PTE_WRITE |
				      PTE_PRESENT);
	if (!rc)
		rc = guest_memory_write(gm, pdpt, page, sizeof(page));
	for (unsigned int i = 0; !rc && i < MAPPED_GIB; i++) {
		for (unsigned int n = 0; n < entries; n++)
			page[n] = cpu_to_le64((i * GIB + n * (2ull << 20)) |
					      PTE_LARGE | PTE_WRITE |
					      PTE_PRESENT);
		rc = guest_memory_write(gm, pd + i * GUEST_PAGE_SIZE, page,
					sizeof(page));
	}
	return rc;
}

static void add_e820(struct linux_boot_params *bp, uint64_t addr, uint64_t end,
		     uint32_t type)
{
	if (addr >= end)
		return;
	bp->e820_table[bp->e820_entries++] = (struct linux_e820_entry){
		.addr = cpu_to_le64(addr),
		.size = cpu_to_le64(end - addr),
		.type = cpu_to_le32(type),
	};
}

static int write_boot_params(const struct boot_linux *boot,
			     const struct plan *plan, struct guest_memory *gm)
{
	struct linux_boot_params *bp = calloc(1, sizeof(*bp));
	int rc;

	if (!bp)
		return -ENOMEM;
	memcpy(&bp->hdr, &plan->hdr, plan->header_size);
	bp->hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	bp->hdr.cmd_line_ptr = cpu_to_le32(COMMAND_LINE_GPA);
	bp->hdr.ramdisk_image = cpu_to_le32(plan->initrd);
	bp->hdr.ramdisk_size = cpu_to_le32(boot->initrd_size);
	bp->acpi_rsdp_addr = cpu_to_le64(ACPI_RSDP_ADDRESS);
	add_e820(bp, 0, LOW_END, LINUX_E820_RAM);
	add_e820(bp, ACPI_RSDP_ADDRESS, HIGH_START, LINUX_E820_RESERVED);
	for (unsigned int i = 0; i < gm->nr_ranges; i++) {
		uint64_t gpa = gm->range[i].gpa;

		add_e820(bp, gpa < HIGH_START ? HIGH_START : gpa,
			 gpa + gm->range[i].size, LINUX_E820_RAM);
	}
	rc = guest_memory_write(gm, BOOT_PARAMS_GPA, bp, sizeof(*bp));
	free(bp);
	return rc;
}

static int write_acpi(const struct boot_linux *boot, struct guest_memory *gm)
{
	uint8_t *tables = calloc(1, ACPI_SIZE_MAX);
	int rc;

	if (!tables)
		return -ENOMEM;
	rc = acpi_build(&boot->acpi, ACPI_RSDP_ADDRESS, tables, ACPI_SIZE_MAX);
	/* All of it, so that nothing of an earlier start is left. */
	if (rc >= 0)
		rc = guest_memory_write(gm, ACPI_RSDP_ADDRESS, tables,
					ACPI_SIZE_MAX);
	free(tables);
	return rc;
}

/* ------------------------------------------------------------------------
 * Registers.
 */

static void set(struct boot_registers *list, uint32_t name, uint64_t low,
		uint64_t high)
{
	pv_bug(list->count == BOOT_LINUX_MAX_REGISTERS, list->count, name);
	list->reg[list->count++] = (struct hv_register_assoc){
		.name = cpu_to_le32(name),
		.value = { cpu_to_le64(low), cpu_to_le64(high) },
	};
}

static void set_segment(struct boot_registers *list, uint32_t name,
			uint32_t limit, uint16_t selector, uint16_t attributes)
{
	set(list, name, 0,
	    limit | (uint64_t)selector << 32 | (uint64_t)attributes << 48);
}

static void set_registers(struct boot_registers *list, const struct plan *plan)
{
	static const uint32_t data_segments[] = { HV_REG_DS, HV_REG_ES,
						  HV_REG_FS, HV_REG_GS,
						  HV_REG_SS };
	const uint16_t present = HV_SEGMENT_PRESENT;
	const uint16_t flat = present | HV_SEGMENT_S | HV_SEGMENT_GRANULARITY;

	list->count = 0;
	set_segment(list, HV_REG_CS, UINT32_MAX, SELECTOR_CODE,
		    flat | HV_SEGMENT_LONG | 0xb);
	for (size_t i = 0; i < sizeof(data_segments) / sizeof(uint32_t); i++)
		set_segment(list, data_segments[i], UINT32_MAX, SELECTOR_DATA,
			    flat | HV_SEGMENT_DEFAULT | 0x3);
	set_segment(list, HV_REG_TR, 0xffff, 0, present | 0xb);
	set_segment(list, HV_REG_LDTR, 0xffff, 0, present | 0x2);
	set(list, HV_REG_GDTR, (4ull * sizeof(le64) - 1) << 48, GDT_GPA);
	set(list, HV_REG_IDTR, 0, 0);
	set(list, HV_REG_PAT, PAT_RESET, 0);
	set(list, HV_REG_CR3, PAGE_TABLES_GPA, 0);
	set(list, HV_REG_CR4, CR4_PAE, 0);
	set(list, HV_REG_EFER, EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE, 0);
	set(list, HV_REG_CR0, CR0_PG | CR0_NE | CR0_ET | CR0_PE, 0);
	set(list, HV_REG_RIP, plan->kernel + LINUX_ENTRY_64_OFFSET, 0);
	set(list, HV_REG_RFLAGS, RFLAGS_FIXED, 0);
	set(list, HV_REG_RSP, 0, 0);
	set(list, HV_REG_RSI, BOOT_PARAMS_GPA, 0);
}

int boot_linux_load(const struct boot_linux *boot, struct guest_memory *gm,
		    struct boot_registers *registers)
{
	struct plan plan = { 0 };
	uint64_t low_end;
	int rc;

	rc = parse(boot->name, boot->kernel, boot->kernel_size, &plan);
	if (rc)
		return rc;
	low_end = gm->nr_ranges && !gm->range[0].gpa ? gm->range[0].size : 0;
	if (low_end > MAPPED_GIB * GIB)
		low_end = MAPPED_GIB * GIB;
	rc = place(boot, low_end, &plan);
	if (!rc)
		rc = check_command_line(boot, &plan);
	if (rc)
		return rc;

	rc = write_gdt(gm);
	if (!rc)
		rc = write_page_tables(gm);
	if (!rc)
		rc = write_boot_params(boot, &plan, gm);
	if (!rc)
		rc = guest_memory_write(gm, COMMAND_LINE_GPA,
					boot->command_line,
					strlen(boot->command_line) + 1);
	if (!rc)
		rc = write_acpi(boot, gm);
	if (!rc)
		rc = guest_memory_write(gm, plan.kernel, plan.payload,
					plan.payload_size);
	if (!rc)
		rc = guest_memory_write(gm, plan.initrd, boot->initrd,
					boot->initrd_size);
	if (rc)
		return refuse(boot->name, rc, "cannot be loaded: %s",
			      strerror(-rc));
	set_registers(registers, &plan);
	log_info("%s: at %#llx, initrd %zu bytes at %#llx", boot->name,
		 (unsigned long long)plan.kernel, boot->initrd_size,
		 (unsigned long long)plan.initrd);
	return 0;
}
