/* SPDX-License-Identifier: MIT */
/*
 * A guest without VTL2: its kernel is loaded by the host, in two steps as an
 * image is (igvm_load.h).
 *
 *	linux_boot_check()	the user's files and text; needs no KVM
 *	linux_boot_place()	into a machine made from boot->ranges; again after
 *				each reset
 */
#ifndef VMM_LINUX_BOOT_H
#define VMM_LINUX_BOOT_H

#include "input_file.h"
#include "machine.h"

#define LINUX_BOOT_MAX_RANGES 2

struct linux_boot {
	/* Filled in by the caller; not owned. */
	const struct input_file *kernel, *initrd; /* no initrd: empty */
	const char *append, *vtl0_append; /* -c and --vtl0-append, or NULL */
	uint64_t memory; /* bytes, multiple of 2 MiB */
	unsigned int vps, apic_id_step;

	/* By linux_boot_check(). */
	struct memory_range ranges[LINUX_BOOT_MAX_RANGES];
	unsigned int nr_ranges;
	char *command_line, *name; /* owned; the name is for messages */
};

/* 0, or -errno after one line on stderr; linux_boot_free() in both cases. */
int linux_boot_check(struct linux_boot *boot);
void linux_boot_free(struct linux_boot *boot);

/* Writes kernel, initrd and tables and sets VP 0's registers. -errno after one
 * line; -ENOMEM is the host's fault, all else the user's. No VP runs. */
int linux_boot_place(const struct linux_boot *boot, struct machine *m);

#endif
