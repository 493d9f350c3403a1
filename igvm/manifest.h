/* SPDX-License-Identifier: MIT */
/*
 * A manifest: the JSON file that describes an image completely.
 *
 *	{
 *	  "shim":         "debug/shim.bin",
 *	  "kernel":       "kernel-debug/bzImage",
 *	  "initramfs":    "debug/initramfs.cpio.lz4",
 *	  "command_line": "noxsave ...",        VTL2's; at most 2047 bytes
 *	  "base":         "0x70000000",         multiple of 2 MiB
 *	  "ram_size":     "128MiB",             multiple of 2 MiB
 *	  "black_box":    "4MiB",               optional: multiple of 2 MiB
 *	  "settings":     { ... },              optional: default settings
 *	  "vtl0": {                             optional: Linux direct
 *	    "kernel":       "guest/vmlinuz",
 *	    "initrd":       "guest/initrd",     optional
 *	    "command_line": "console=ttyS0"     optional
 *	  }
 *	}
 *
 * Paths are relative to the build directory. A size or address is an integer,
 * or a string: decimal or 0x..., and KiB, MiB or GiB. Any key, "vtl0.kernel"
 * style for the inner ones, can be given or replaced by --set; a path given
 * this way is taken as it is.
 */
#ifndef MANIFEST_H
#define MANIFEST_H

#include <stddef.h>
#include <stdint.h>

struct manifest {
	char *shim; /* paths: ready to open */
	char *kernel;
	char *initramfs;
	char *command_line;
	uint64_t base;
	uint64_t ram_size;
	uint64_t black_box; /* 0: none */
	char *settings; /* JSON text, one line; NULL: none */
	char *vtl0_kernel;
	char *vtl0_initrd;
	char *vtl0_command_line;
};

/*
 * Reads `path`, applies `sets` ("key=value") in order. Returns 0, or -EINVAL
 * after one line on stderr that names the file and the JSON pointer, or the
 * --set key. The caller frees with manifest_free in both cases.
 */
int manifest_read(struct manifest *manifest, const char *path,
		  const char *build_dir, char *const *sets, size_t set_count);

void manifest_free(struct manifest *manifest);

#endif
