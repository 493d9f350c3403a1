/* SPDX-License-Identifier: MIT */
/*
 * The device tree that the host passes to an IGVM image, in the shape that
 * public hosts of such images give it:
 *
 *	/		model "microsoft,hyperv"
 *	/cpus/cpu@N	APIC id, in order of VP index
 *	/memory@X	one per range; "microsoft,igvm-type" as MEMORY_MAP has it
 *	/bus/vmbus-vtl0@X, /bus/vmbus-vtl2@X	MMIO of either VMBus
 *	/pio-bus/serial@3e8	VTL2's own console, a 16550
 *	/chosen		bootargs: what -c adds to VTL2's command line
 *	/openhcl	memory-allocation-mode, entropy
 *	/paravisor	what the user gives for VTL0 (include/vtl0_reg.h); only
 *			when there is something. An image boots without it.
 */
#ifndef VMM_HOST_TREE_H
#define VMM_HOST_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"

/* COM3 is where VTL2's kernel has its console. */
#define HOST_TREE_COM3_PORT 0x3e8

struct host_tree_range {
	uint64_t gpa, bytes; /* bytes 0: absent */
};

struct host_tree {
	unsigned int vps;
	unsigned int apic_id_step; /* machine.h */
	const struct memory_range *ranges;
	unsigned int nr_ranges;
	const char *bootargs; /* or NULL */
	bool redirect;	      /* VTL2 reaches the redirected message port */

	struct host_tree_range vtl0_kernel, vtl0_initrd;
	const char *vtl0_append; /* or NULL */
	const char *settings;	 /* or NULL */
};

/*
 * Builds the flattened tree into *blob, which the caller frees. Returns 0;
 * -ENOMEM; -E2BIG when it does not fit HOST_TREE_MAX bytes; -EIO without
 * entropy. Prints nothing.
 */
#define HOST_TREE_MAX (256u << 10)
int host_tree_build(const struct host_tree *tree, void **blob, size_t *len);

#endif
