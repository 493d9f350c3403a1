/* SPDX-License-Identifier: MIT */
/*
 * MANA vports as NICs: what the composition root needs of this module.
 *
 * The kernel's drivers (mana, mana_ib) own the function; this module finds it,
 * gets queues, doorbells and one memory region per range of guest RAM through
 * libibverbs and libmana, and writes work queue entries itself: frames go
 * between device and guest memory without a copy and without a system call.
 */
#ifndef MANA_H
#define MANA_H

#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/nic.h>

#include "guid.h"

struct reactor;

struct mana_config {
	struct guid device; /* VMBus instance of the virtual PCI device */
	unsigned int vport; /* of that function, from 0 */
	struct guest_memory *memory; /* outlives the NIC */
	struct reactor *reactor; /* for answers and events; runs already */
	uint32_t wait_ms;	 /* for the function and its kernel drivers */
};

/*
 * Waits for the function and makes a NIC of one of its vports; nic->ops is how
 * it is used from then on. The kernel's own network device of the vport stays
 * down as long as the NIC lives. Blocks up to wait_ms and for a few messages
 * to the device: on a thread of its own.
 *
 * A range of guest RAM that the kernel does not let us register is logged, and
 * frames in it are copied.
 *
 * 0 or -errno, logged: -ETIMEDOUT not there (in time), -ENXIO no such vport,
 * -EBUSY somebody else uses the vport, -ENOMEM, -ENOSYS a kernel without
 * verbs.
 */
int mana_vport_open(const struct mana_config *config, struct nic **nic);

#endif
