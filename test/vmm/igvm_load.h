/* SPDX-License-Identifier: MIT */
/*
 * Loading an IGVM image, in two steps.
 *
 *	igvm_check()	file and machine against each other; needs no KVM,
 *			starts nothing, leaves a plan
 *	igvm_place()	the plan into a machine made from plan->ranges; all that
 *			could be refused has been
 *
 * Refusals are one line on stderr:
 *	vmm: IMAGE: offset 0xN: STRUCTURE.field: value: rule
 */
#ifndef VMM_IGVM_LOAD_H
#define VMM_IGVM_LOAD_H

#include <stdbool.h>

#include "host_tree.h"
#include "input_file.h"
#include "machine.h"
#include "igvm/read.h"

/* RAM; and one more for the user's kernel and initrd. */
#define IGVM_MAX_RAM 3
#define IGVM_MAX_RANGES (IGVM_MAX_RAM + 1)

/* What this host gives to the image. Not owned; outlives the plan. */
struct igvm_host {
	uint64_t memory; /* VTL0 RAM, bytes, multiple of 2 MiB */
	unsigned int vps, apic_id_step;
	const char *append; /* or NULL */
	bool redirect;
	/* Each empty if the user gave none. */
	const struct input_file *vtl0_kernel, *vtl0_initrd, *settings;
	const char *vtl0_append; /* or NULL */
};

struct igvm_plan {
	struct memory_range ranges[IGVM_MAX_RANGES]; /* for machine_create() */
	unsigned int nr_ranges, nr_ram; /* RAM comes first */
	uint64_t vtl2_base, vtl2_size;
	struct host_tree_range black_box; /* include/blackbox_reg.h */
	void *tree; /* the device tree, flattened */
	size_t tree_len;

	/* Private. */
	struct input_file image;
	struct igvm_file file;
	const struct igvm_host *host;
	struct host_tree_range kernel, initrd;
	le32 vp_count;
	le32 environment;
	struct igvm_mmio_ranges mmio;
	struct igvm_memory_map_entry map[IGVM_MAX_RAM + 1];
	const char *command_line;
};

/*
 * Reads and checks. Returns 0 with *plan filled in, or -errno after the line
 * on stderr. igvm_plan_free() in both cases.
 */
int igvm_check(const char *path, const struct igvm_host *host,
	       struct igvm_plan *plan);
void igvm_plan_free(struct igvm_plan *plan);

/* Returns 0, or -errno after a line on stderr: only for want of memory, or
 * because the machine cannot take a register. */
int igvm_place(struct igvm_plan *plan, struct machine *m);

#endif
