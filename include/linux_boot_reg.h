/* SPDX-License-Identifier: MIT */
/*
 * The Linux x86 boot protocol: bzImage's setup header and boot_params ("zero
 * page").
 *
 * Source: Linux Documentation/arch/x86/boot.rst and zero-page.rst. Who loads a
 * bzImage by the 64-bit protocol copies the setup header of the file into an
 * otherwise zero boot_params, places the protected-mode part (all that follows
 * the setup sectors) at an address aligned to kernel_alignment with init_size
 * bytes free from there, and enters it at +0x200 in long mode with an identity
 * map, RSI = boot_params.
 */
#ifndef LINUX_BOOT_REG_H
#define LINUX_BOOT_REG_H

#include <stddef.h>

#include "le.h"

#define LINUX_SECTOR_SIZE 512u
#define LINUX_SETUP_HEADER_OFFSET 0x1f1u /* in the file and in boot_params */
#define LINUX_ENTRY_64_OFFSET 0x200u
#define LINUX_COMMAND_LINE_MAX 2047u /* bytes without NUL (x86) */

#define LINUX_BOOT_FLAG 0xaa55u
#define LINUX_HEADER_MAGIC 0x53726448u /* "HdrS" */
#define LINUX_PROTOCOL_MIN 0x020cu     /* first with xloadflags */

#define LINUX_LOADFLAGS_LOADED_HIGH 0x01u
#define LINUX_XLF_KERNEL_64 0x0001u
#define LINUX_XLF_CAN_BE_LOADED_ABOVE_4G 0x0002u
#define LINUX_LOADER_UNDEFINED 0xffu /* type_of_loader: none of the listed */

/* struct setup_header, from file offset 0x1f1 */
struct linux_setup_header {
	uint8_t setup_sects; /* 0 means 4 */
	le16 root_flags;
	le32 syssize; /* of the protected-mode part, in 16-byte units */
	le16 ram_size;
	le16 vid_mode;
	le16 root_dev;
	le16 boot_flag;
	uint8_t jump[2]; /* jump[1] + 0x202 is the end of this header */
	le32 header;
	le16 version;
	le32 realmode_swtch;
	le16 start_sys_seg;
	le16 kernel_version; /* file offset of a string, less 0x200; 0: none */
	uint8_t type_of_loader;
	uint8_t loadflags;
	le16 setup_move_size;
	le32 code32_start;
	le32 ramdisk_image;
	le32 ramdisk_size;
	le32 bootsect_kludge;
	le16 heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	le32 cmd_line_ptr;
	le32 initrd_addr_max;
	le32 kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment; /* power of two */
	le16 xloadflags;
	le32 cmdline_size;
	le32 hardware_subarch;
	le64 hardware_subarch_data;
	le32 payload_offset;
	le32 payload_length;
	le64 setup_data; /* address of the first linux_setup_data */
	le64 pref_address;
	le32 init_size; /* bytes the kernel needs from its load address */
	le32 handover_offset;
	le32 kernel_info_offset;
} __packed;
_Static_assert(sizeof(struct linux_setup_header) == 0x26c - 0x1f1,
	       "setup_header");
_Static_assert(offsetof(struct linux_setup_header, header) == 0x202 - 0x1f1,
	       "setup_header.header");
_Static_assert(offsetof(struct linux_setup_header, init_size) ==
	       0x260 - 0x1f1, "setup_header.init_size");

/* struct boot_e820_entry */
#define LINUX_E820_RAM 1u
#define LINUX_E820_RESERVED 2u
#define LINUX_E820_ACPI 3u
#define LINUX_E820_MAX 128u

struct linux_e820_entry {
	le64 addr;
	le64 size;
	le32 type;
} __packed;
_Static_assert(sizeof(struct linux_e820_entry) == 20, "boot_e820_entry");

/* struct boot_params: only what a loader without firmware fills in */
struct linux_boot_params {
	uint8_t screen_info[0x40];
	uint8_t before_rsdp[0x30];
	le64 acpi_rsdp_addr;
	uint8_t before_ext[0x48];
	le32 ext_ramdisk_image;
	le32 ext_ramdisk_size;
	le32 ext_cmd_line_ptr;
	uint8_t before_e820_entries[0x11c];
	uint8_t e820_entries;
	uint8_t before_header[0x8];
	struct linux_setup_header hdr;
	uint8_t after_header[0x2d0 - 0x26c];
	struct linux_e820_entry e820_table[LINUX_E820_MAX];
	uint8_t after_e820[0x1000 - 0xcd0];
} __packed;
_Static_assert(sizeof(struct linux_boot_params) == 4096, "boot_params");
_Static_assert(offsetof(struct linux_boot_params, acpi_rsdp_addr) == 0x70,
	       "boot_params.acpi_rsdp_addr");
_Static_assert(offsetof(struct linux_boot_params, ext_ramdisk_image) == 0xc0,
	       "boot_params.ext_ramdisk_image");
_Static_assert(offsetof(struct linux_boot_params, e820_entries) == 0x1e8,
	       "boot_params.e820_entries");
_Static_assert(offsetof(struct linux_boot_params, hdr) == 0x1f1,
	       "boot_params.hdr");
_Static_assert(offsetof(struct linux_boot_params, e820_table) == 0x2d0,
	       "boot_params.e820_table");

/* struct setup_data: the header of each element of a list, data follows */
#define LINUX_SETUP_DTB 2u

struct linux_setup_data {
	le64 next; /* address, 0 ends the list */
	le32 type;
	le32 len; /* of the data */
} __packed;
_Static_assert(sizeof(struct linux_setup_data) == 16, "setup_data");

#endif
