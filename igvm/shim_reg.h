/* SPDX-License-Identifier: MIT */
/*
 * What igvm-build tells the boot shim: one page whose address is in RSI when
 * the host enters the shim, and the form of the image around it.
 *
 * All addresses are guest physical and absolute; a range that does not exist
 * has gpa 0 and bytes 0. The shim trusts this page as it trusts its own code:
 * both come from the same, measured file. It trusts nothing of the host's.
 */
#ifndef SHIM_REG_H
#define SHIM_REG_H

#include "le.h"

#define SHIM_INFO_MAGIC 0x4d49485350414750ull
#define SHIM_INFO_VERSION 2u

struct shim_range {
	le64 gpa;
	le64 bytes;
} __packed;
_Static_assert(sizeof(struct shim_range) == 16, "shim_range");

struct shim_info {
	le64 magic;
	le32 version;
	le32 bytes; /* of this structure */
	struct shim_range ram;         /* what the image requires */
	struct shim_range kernel;      /* init_size bytes from its load address */
	struct shim_range initramfs;
	struct shim_range boot_params; /* setup header filled in, rest zero */
	struct shim_range command_line; /* one page; built-in text and NUL */
	struct shim_range host_tree;   /* DEVICE_TREE parameter */
	struct shim_range kernel_tree; /* the shim writes: setup_data, tree */
	struct shim_range settings;    /* JSON text and NUL */
	struct shim_range vtl0_kernel;
	struct shim_range vtl0_initrd;
	struct shim_range vtl0_command_line; /* text and NUL */
	struct shim_range vtl0_region; /* pages of kernel and initrd: no RAM */
	struct shim_range black_box; /* follows it; no RAM either */
} __packed;
_Static_assert(sizeof(struct shim_info) == 224, "shim_info");

#endif
