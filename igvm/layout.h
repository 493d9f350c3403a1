/* SPDX-License-Identifier: MIT */
/*
 * Where everything of an image goes in VTL2's RAM.
 *
 *	base            page tables, GDT, info page, boot_params, command line,
 *	                stack, shim, host's tree, kernel's tree, settings
 *	base + 2 MiB    kernel: compressed image, then room to init_size
 *	                initramfs
 *	                free RAM
 *	end - box - vtl0  VTL0 kernel and initrd, if the image carries them
 *	end - box       the black box, if it has one
 *	end             = base + ram_size
 *
 * The first part has fixed places; see layout.c.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "linux_boot_reg.h"

#define LAYOUT_ALIGN (2u << 20)
#define LAYOUT_SHIM_MAX (64u << 10)

struct layout_range {
	uint64_t gpa;
	uint64_t bytes;
};

/* Sizes that come from the files, and the numbers of the manifest. */
struct layout_input {
	uint64_t base;
	uint64_t ram_size;
	uint64_t black_box_size; /* 0: none */
	uint64_t shim_bytes;
	uint64_t kernel_bytes;     /* protected-mode part */
	uint64_t kernel_init_size; /* of the setup header, and the next two */
	uint64_t kernel_alignment;
	uint64_t kernel_pref_address;
	uint64_t initramfs_bytes;
	uint64_t settings_bytes;          /* NUL included; 0: none */
	uint64_t vtl0_kernel_bytes;       /* 0: none */
	uint64_t vtl0_initrd_bytes;       /* 0: none */
	uint64_t vtl0_command_line_bytes; /* NUL included; 0: none */
};

struct layout {
	struct layout_range ram;
	struct layout_range page_tables;
	struct layout_range gdt;
	struct layout_range info;
	struct layout_range boot_params;
	struct layout_range command_line;
	struct layout_range stack;
	struct layout_range shim;
	struct layout_range host_tree;
	struct layout_range kernel_tree;
	struct layout_range settings;
	struct layout_range vtl0_command_line;
	struct layout_range kernel; /* init_size bytes */
	struct layout_range initramfs;
	struct layout_range vtl0_region; /* whole pages; the next two lie in it */
	struct layout_range vtl0_kernel;
	struct layout_range vtl0_initrd;
	struct layout_range black_box;
};

/*
 * Fills *layout. Returns 0, or -EINVAL with the name of the manifest value at
 * fault in *pointer ("/base") and the broken rule in `rule`.
 */
int layout_make(const struct layout_input *in, struct layout *layout,
		const char **pointer, char *rule, size_t rule_size);

/*
 * Reads the setup header of a bzImage file of `len` bytes. Returns 0 with
 * *protected_offset = file offset of the protected-mode part, or -EINVAL with
 * the broken rule in `rule`.
 */
int layout_read_bzimage(const void *file, size_t len,
			struct linux_setup_header *header,
			uint64_t *protected_offset, char *rule,
			size_t rule_size);

#endif
