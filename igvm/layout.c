// SPDX-License-Identifier: MIT
/*
 * Layout of an image: fixed places for what the shim needs, computed places
 * for what has the size of a file.
 *
 * The kernel is a bzImage that unpacks itself in place: from its load address
 * it owns init_size bytes, and it stays where it was loaded only if that
 * address is a multiple of kernel_alignment and not below pref_address. All
 * else keeps out of that range. No state, no allocation; every rule that a
 * size or a number of the manifest breaks is said in one line.
 */
#include "layout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "blackbox_reg.h"
#include "igvm_reg.h"
#include "vtl0_reg.h"

#define FOUR_GIB (1ull << 32)
#define RAM_MIN (32ull << 20)

/* Offsets from the base, below the kernel. */
enum fixed_place {
	PLACE_PAGE_TABLES = 0x0,
	PLACE_GDT = 0x8000,
	PLACE_INFO = 0x9000,
	PLACE_BOOT_PARAMS = 0xa000,
	PLACE_COMMAND_LINE = 0xb000,
	PLACE_STACK = 0xc000,
	PLACE_SHIM = 0x10000,
	PLACE_HOST_TREE = 0x20000,
	PLACE_KERNEL_TREE = 0x60000,
	PLACE_SETTINGS = 0xd0000,
	PLACE_VTL0_COMMAND_LINE = 0xe0000,
	PLACE_END = 0xe1000,
};
_Static_assert((unsigned int)PLACE_HOST_TREE - PLACE_SHIM == LAYOUT_SHIM_MAX,
	       "the shim's room");
_Static_assert((unsigned int)PLACE_END <= LAYOUT_ALIGN, "below the kernel");

__attribute__((format(printf, 3, 4)))
static int refuse(char *rule, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(rule, size, format, ap);
	va_end(ap);
	return -EINVAL;
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static bool power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

int layout_read_bzimage(const void *file, size_t len,
			struct linux_setup_header *header,
			uint64_t *protected_offset, char *rule,
			size_t rule_size)
{
	struct linux_setup_header h;
	uint64_t offset, needed;

	if (len < LINUX_SETUP_HEADER_OFFSET + sizeof(h))
		return refuse(rule, rule_size, "no bzImage: only %zu bytes",
			      len);
	memcpy(&h, (const uint8_t *)file + LINUX_SETUP_HEADER_OFFSET,
	       sizeof(h));
	if (le16_to_cpu(h.boot_flag) != LINUX_BOOT_FLAG ||
	    le32_to_cpu(h.header) != LINUX_HEADER_MAGIC)
		return refuse(rule, rule_size,
			      "no bzImage: boot_flag or HdrS is missing");
	if (le16_to_cpu(h.version) < LINUX_PROTOCOL_MIN)
		return refuse(rule, rule_size,
			      "boot protocol 0x%x: must be 0x20c or later",
			      le16_to_cpu(h.version));
	if (!(le16_to_cpu(h.xloadflags) & LINUX_XLF_KERNEL_64))
		return refuse(rule, rule_size,
			      "xloadflags 0x%x: no 64-bit entry",
			      le16_to_cpu(h.xloadflags));
	if (!h.relocatable_kernel)
		return refuse(rule, rule_size,
			      "not built with CONFIG_RELOCATABLE");
	if (!power_of_two(le32_to_cpu(h.kernel_alignment)))
		return refuse(rule, rule_size,
			      "kernel_alignment 0x%x: no power of two",
			      le32_to_cpu(h.kernel_alignment));
	offset = ((h.setup_sects ? h.setup_sects : 4u) + 1u) *
		 (uint64_t)LINUX_SECTOR_SIZE;
	if (offset >= len || len - offset <= LINUX_ENTRY_64_OFFSET)
		return refuse(rule, rule_size,
			      "setup_sects %u: nothing behind the setup",
			      h.setup_sects);
	needed = offset + (uint64_t)le32_to_cpu(h.syssize) * 16;
	if (needed > align_up(len, 16))
		return refuse(rule, rule_size,
			      "truncated: %zu bytes, syssize asks for %" PRIu64,
			      len, needed);
	if (le32_to_cpu(h.init_size) < len - offset)
		return refuse(rule, rule_size,
			      "init_size 0x%x: smaller than the file",
			      le32_to_cpu(h.init_size));
	*header = h;
	*protected_offset = offset;
	return 0;
}

static struct layout_range at(uint64_t gpa, uint64_t bytes)
{
	return (struct layout_range){ bytes ? gpa : 0, bytes };
}

static int check_ram(const struct layout_input *in, const char **pointer,
		     char *rule, size_t rule_size)
{
	*pointer = "/base";
	if (in->base % LAYOUT_ALIGN || !in->base)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": must be a multiple of 2 MiB, not 0", in->base);
	if (in->base >= FOUR_GIB)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": must be below 4 GiB", in->base);
	*pointer = "/ram_size";
	if (in->ram_size % LAYOUT_ALIGN || in->ram_size < RAM_MIN)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": must be a multiple of 2 MiB, at least 32 MiB",
			      in->ram_size);
	if (in->ram_size > FOUR_GIB - in->base)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": base + ram_size must not exceed 4 GiB",
			      in->ram_size);
	*pointer = "/black_box";
	if (in->black_box_size % BLACKBOX_ALIGN ||
	    in->black_box_size > BLACKBOX_MAX_SIZE)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": must be a multiple of 2 MiB, at most 16 MiB",
			      in->black_box_size);
	return 0;
}

static int check_fixed(const struct layout_input *in, const char **pointer,
		       char *rule, size_t rule_size)
{
	*pointer = "/shim";
	if (!in->shim_bytes || in->shim_bytes > LAYOUT_SHIM_MAX)
		return refuse(rule, rule_size, "%" PRIu64
			      " bytes: must be 1 to 65536", in->shim_bytes);
	*pointer = "/settings";
	if (in->settings_bytes > VTL0_SETTINGS_SIZE)
		return refuse(rule, rule_size, "%" PRIu64
			      " bytes: must be at most 65535",
			      in->settings_bytes - 1);
	*pointer = "/vtl0/command_line";
	if (in->vtl0_command_line_bytes > VTL0_COMMAND_LINE_SIZE)
		return refuse(rule, rule_size, "%" PRIu64
			      " bytes: must be at most 2047",
			      in->vtl0_command_line_bytes - 1);
	return 0;
}

/* Two lists of page tables' worth: one for 512 GiB, one PD per GiB touched. */
static uint64_t page_table_bytes(const struct layout_input *in)
{
	uint64_t first = in->base >> 30;
	uint64_t last = (in->base + in->ram_size - 1) >> 30;

	return (2 + last - first + 1) * IGVM_PAGE_SIZE;
}

static void place_fixed(const struct layout_input *in, struct layout *l)
{
	uint64_t b = in->base;

	l->ram = at(b, in->ram_size);
	l->page_tables = at(b + PLACE_PAGE_TABLES, page_table_bytes(in));
	l->gdt = at(b + PLACE_GDT, IGVM_PAGE_SIZE);
	l->info = at(b + PLACE_INFO, IGVM_PAGE_SIZE);
	l->boot_params = at(b + PLACE_BOOT_PARAMS, IGVM_PAGE_SIZE);
	l->command_line = at(b + PLACE_COMMAND_LINE, IGVM_PAGE_SIZE);
	l->stack = at(b + PLACE_STACK, PLACE_SHIM - PLACE_STACK);
	l->shim = at(b + PLACE_SHIM, in->shim_bytes);
	l->host_tree = at(b + PLACE_HOST_TREE,
			  PLACE_KERNEL_TREE - PLACE_HOST_TREE);
	l->kernel_tree = at(b + PLACE_KERNEL_TREE,
			    PLACE_SETTINGS - PLACE_KERNEL_TREE);
	l->settings = at(b + PLACE_SETTINGS, in->settings_bytes);
	l->vtl0_command_line = at(b + PLACE_VTL0_COMMAND_LINE,
				  in->vtl0_command_line_bytes);
}

static int place_kernel(const struct layout_input *in, struct layout *l,
			const char **pointer, char *rule, size_t rule_size)
{
	uint64_t align = in->kernel_alignment > LAYOUT_ALIGN ?
				 in->kernel_alignment : LAYOUT_ALIGN;

	l->kernel = at(align_up(in->base + LAYOUT_ALIGN, align),
		       align_up(in->kernel_init_size, IGVM_PAGE_SIZE));
	*pointer = "/base";
	if (l->kernel.gpa < in->kernel_pref_address)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": the kernel would move itself up to 0x%" PRIx64,
			      in->base, in->kernel_pref_address);
	return 0;
}

int layout_make(const struct layout_input *in, struct layout *layout,
		const char **pointer, char *rule, size_t rule_size)
{
	struct layout l = { 0 };
	uint64_t vtl0, box, used, kernel_pages;
	int rc;

	rc = check_ram(in, pointer, rule, rule_size);
	if (!rc)
		rc = check_fixed(in, pointer, rule, rule_size);
	if (rc)
		return rc;
	place_fixed(in, &l);
	rc = place_kernel(in, &l, pointer, rule, rule_size);
	if (rc)
		return rc;
	l.initramfs = at(l.kernel.gpa + l.kernel.bytes, in->initramfs_bytes);

	kernel_pages = align_up(in->vtl0_kernel_bytes, IGVM_PAGE_SIZE);
	vtl0 = kernel_pages + align_up(in->vtl0_initrd_bytes, IGVM_PAGE_SIZE);
	box = in->black_box_size;
	used = l.kernel.gpa + l.kernel.bytes - in->base +
	       align_up(in->initramfs_bytes, IGVM_PAGE_SIZE);
	*pointer = "/ram_size";
	if (used + vtl0 + box > in->ram_size)
		return refuse(rule, rule_size, "0x%" PRIx64
			      ": kernel, initramfs, VTL0 parts and black box "
			      "need 0x%" PRIx64, in->ram_size,
			      used + vtl0 + box);
	l.black_box = at(in->base + in->ram_size - box, box);
	l.vtl0_region = at(in->base + in->ram_size - box - vtl0, vtl0);
	l.vtl0_kernel = at(l.vtl0_region.gpa, in->vtl0_kernel_bytes);
	l.vtl0_initrd = at(l.vtl0_region.gpa + kernel_pages,
			   in->vtl0_initrd_bytes);
	*layout = l;
	return 0;
}
