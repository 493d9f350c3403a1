// SPDX-License-Identifier: MIT
/*
 * Linux's boot_params and command line.
 *
 * The E820 map is VTL2's RAM as the host gave it, with a reserved hole where
 * the image carries VTL0's kernel and initrd and, behind them, its black box:
 * Linux does not use it as RAM, and maps of it what the device tree says is
 * ramoops; the daemon has the rest. All addresses of the image are below
 * 4 GiB (igvm-build's rule), so that the 32-bit fields do.
 */
#include "shim.h"

int command_line_append(char *line, size_t size, const char *text)
{
	size_t max = LINUX_COMMAND_LINE_MAX < size - 1 ?
			     LINUX_COMMAND_LINE_MAX : size - 1;
	size_t len = 0;

	while (len <= max && line[len])
		len++;
	if (len > max)
		return -1;
	if (!text || !*text)
		return 0;
	if (len == max)
		return -1;
	line[len++] = ' ';
	for (; *text; text++) {
		if (len == max) {
			line[len] = 0;
			return -1;
		}
		line[len++] = *text;
	}
	line[len] = 0;
	return 0;
}

static void add_e820(struct linux_boot_params *b, uint64_t from, uint64_t to,
		     uint32_t type)
{
	if (from >= to)
		return;
	b->e820_table[b->e820_entries++] = (struct linux_e820_entry){
		cpu_to_le64(from), cpu_to_le64(to - from), cpu_to_le32(type),
	};
}

void boot_params_fill(struct linux_boot_params *b,
		      const struct shim_info *info,
		      const struct host_range *vtl2_ram, uint64_t setup_data)
{
	uint64_t ram = vtl2_ram->gpa;
	uint64_t end = ram + vtl2_ram->bytes;
	uint64_t hole = le64_to_cpu(info->vtl0_region.gpa);
	uint64_t hole_end = hole + le64_to_cpu(info->vtl0_region.bytes);
	uint64_t box = le64_to_cpu(info->black_box.gpa);

	if (box) {
		hole = hole ? hole : box;
		hole_end = box + le64_to_cpu(info->black_box.bytes);
	}
	if (hole == hole_end)
		hole = hole_end = end;
	b->e820_entries = 0;
	add_e820(b, ram, hole, LINUX_E820_RAM);
	add_e820(b, hole, hole_end, LINUX_E820_RESERVED);
	add_e820(b, hole_end, end, LINUX_E820_RAM);

	b->hdr.ramdisk_image =
		cpu_to_le32((uint32_t)le64_to_cpu(info->initramfs.gpa));
	b->hdr.ramdisk_size =
		cpu_to_le32((uint32_t)le64_to_cpu(info->initramfs.bytes));
	b->hdr.cmd_line_ptr =
		cpu_to_le32((uint32_t)le64_to_cpu(info->command_line.gpa));
	b->hdr.setup_data = cpu_to_le64(setup_data);
}
