/* SPDX-License-Identifier: MIT */
/*
 * What the boot shim tells the daemon (vtl0_reg.h) and the kernel, read from
 * the kernel's view of the device tree.
 */
#ifndef DEVICE_TREE_H
#define DEVICE_TREE_H

#include <stdint.h>

#define DEVICE_TREE_MAX_RAM 8
#define DEVICE_TREE_MAX_MMIO 4

struct dt_range {
	uint64_t gpa, size; /* size 0: there is none */
};

struct device_tree {
	struct dt_range ram[DEVICE_TREE_MAX_RAM]; /* VTL0's, ascending */
	unsigned int nr_ram;
	struct dt_range mmio[DEVICE_TREE_MAX_MMIO]; /* of VTL0's VMBus */
	unsigned int nr_mmio;
	struct dt_range vtl2_ram;
	struct dt_range kernel, initrd;
	struct dt_range black_box;
	/* Where VTL2's VMBus is reached, as the host says; 0: not said. */
	uint32_t vmbus_connection;
	/* Allocated; NULL: the property is not there. */
	char *command_line, *append, *settings;
};

/*
 * Reads the node below `root` ("/proc/device-tree"). 0; or -errno with one
 * line logged that names the property and the rule, and nothing to free:
 * -ENOENT not there, -EINVAL malformed, -ENOSPC more than there is room for.
 */
int device_tree_read(const char *root, struct device_tree *tree);

void device_tree_free(struct device_tree *tree);

#endif
