/* SPDX-License-Identifier: MIT */
/*
 * A tap as a NIC, for machines without MANA: one copy each way, made by the
 * kernel, which also does checksums and segmentation.
 */
#ifndef MANA_TAP_H
#define MANA_TAP_H

#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/nic.h>

struct reactor;

struct tap_config {
	const char *name;	     /* of the interface, at most 15 bytes */
	struct guest_memory *memory; /* outlives the NIC */
	struct reactor *reactor;     /* for answers and events */
};

/*
 * Makes a NIC of the tap; creates it when there is none of that name. The
 * NIC's MAC is the interface's with another last byte: the interface is the
 * other end of the wire. Does not wait.
 *
 * 0 or -errno, logged: -ENOENT a kernel without taps, -EPERM, -EBUSY in use
 * or not a tap with queues, -EINVAL a name that can not be, -ENOMEM.
 */
int tap_open(const struct tap_config *config, struct nic **nic);

#endif
