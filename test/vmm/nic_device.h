/* SPDX-License-Identifier: MIT */
/*
 * A synthetic NIC of the host, which the guest has through its own hv_netvsc. It
 * is relay's NetVSP, the code that serves the guest from VTL2.
 *
 * Threads: made and taken back as devices.h says; the rest is said below.
 */
#ifndef VMM_NIC_DEVICE_H
#define VMM_NIC_DEVICE_H

#include <stdint.h>
#include <stdio.h>

#include <guid.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>

struct net_back;
struct nic_device;
struct vmbus_server;

struct nic_device_config {
	struct guid instance;
	uint16_t order; /* among NICs, for stable ids */
	uint8_t mac[6];
	unsigned int vps;
	struct net_back *back; /* not owned */
	struct vmbus_server *server;
	struct guest_memory *memory; /* of who is offered it */
	struct reactor *loop;
};

/* Makes and offers it. 0; -ENOMEM; what netvsp_create() says. */
int nic_device_create(const struct nic_device_config *config,
		      struct nic_device **out);

/* Takes the offer back from a client that may be at work, which has up to 20 s
 * to be done with what it sends; or offers it anew. NULL, or why not (static). The device thread. */
const char *nic_device_unplug(struct nic_device *nd);
const char *nic_device_plug(struct nic_device *nd);

/* Takes it back and frees it. When the loop has ended and all channels are
 * closed. NULL is harmless. */
void nic_device_destroy(struct nic_device *nd);

/* One JSON object: frames and bytes that the guest was given and gave. Any
 * thread. */
void nic_device_print_stats(struct nic_device *nd, FILE *out);

#endif
