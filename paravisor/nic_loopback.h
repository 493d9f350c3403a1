/* SPDX-License-Identifier: MIT */
/*
 * A NIC whose wire ends where it begins: every frame sent on a queue is
 * received on that queue. For tests and benches, and to see a guest's driver
 * work without a network.
 */
#ifndef NIC_LOOPBACK_H
#define NIC_LOOPBACK_H

#include <stdbool.h>

#include <pv/nic.h>

struct nic_loopback_config {
	uint8_t mac[6];
	bool discard; /* what is sent is not received */
	struct guest_memory *memory;
	struct reactor *reactor; /* that it is opened for */
};

/* NULL: no memory. Closed by its ops. */
struct nic *nic_loopback_create(const struct nic_loopback_config *config);

#endif
