/* SPDX-License-Identifier: MIT */
/*
 * A network back-end of vmm as the NIC that a synthetic network adapter is
 * backed by (pv/nic.h): what netvsp serves when vmm is the host.
 */
#ifndef VMM_NET_NIC_H
#define VMM_NET_NIC_H

#include <pv/nic.h>

struct net_back;
struct reactor;

struct net_nic_config {
	struct guest_memory *memory;
	struct reactor *loop; /* every queue's, too */
	struct net_back *back; /* not owned; started here */
	uint8_t mac[6];
	uint16_t max_queues; /* a power of two, up to NIC_MAX_QUEUES */
	uint16_t mtu;	     /* 0 = 1500 */
};

/* NULL: out of memory. The loop's thread, or before it runs. */
struct nic *net_nic_open(const struct net_nic_config *config);

#endif
