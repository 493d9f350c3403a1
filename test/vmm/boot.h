/* SPDX-License-Identifier: MIT */
/*
 * What the machine boots: an IGVM image in VTL2, or with no image the guest's
 * kernel in VTL0.
 *
 *	boot_check()		the user's files against each other; no KVM
 *	boot_machine()		the machine they need
 *	boot_place()		them into that machine
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "igvm_load.h"
#include "input_file.h"
#include "linux_boot.h"
#include "options.h"

struct boot {
	const struct vmm_options *options;
	struct input_file kernel, initrd, settings;
	struct igvm_host host;
	struct igvm_plan plan;	  /* with --igvm */
	struct linux_boot direct; /* without */
};

/* `options` outlive the boot. 0, or -errno after one line on stderr;
 * boot_free() in both cases. */
int boot_check(struct boot *boot, const struct vmm_options *options);
void boot_free(struct boot *boot);

/* --host-tree: the device tree that the image is given. */
enum vmm_status boot_write_host_tree(const struct boot *boot);

/* --print-settings, to stdout. */
enum vmm_status boot_print_settings(const struct boot *boot);

/* For machine_create(); refers to *boot. */
struct machine_config boot_machine(const struct boot *boot);

/* A status after one line. It may be called again, after machine_reset(): the
 * image is then read again, and must need the same memory. */
enum vmm_status boot_place(struct boot *boot, struct machine *m);

#endif
