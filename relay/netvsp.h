/* SPDX-License-Identifier: MIT */
/*
 * A synthetic NIC on VMBus: what a guest's netvsc driver opens.
 *
 * Threads: a NIC is made and taken back on the server's reactor (or before it
 * runs), which must be the one its backend was opened for; its channels work
 * on theirs. What else holds is said below.
 */
#ifndef RELAY_NETVSP_H
#define RELAY_NETVSP_H

#include <guid.h>
#include <pv/guest_memory.h>
#include <pv/nic.h>

struct vmbus_server;
struct netvsp;
struct capture;

#define NETVSP_MIN_MTU 576
#define NETVSP_MAX_MTU 9000

struct netvsp_config {
	struct guid instance;
	uint16_t order;	     /* among NICs, for stable ids */
	const uint8_t *mac;  /* 6 bytes; NULL: the backend's */
	uint16_t mtu;	     /* at most; 0: 1500, or less if the backend has
			      * less. Without Ethernet header */
	uint16_t max_version; /* of NVSP: 0x601 is 6.1; 0: the newest */
	uint16_t queues;     /* a power of two, at most the backend's */
	bool offloads;	     /* tell the guest of the backend's */
	uint32_t tx_mbps, rx_mbps; /* as of netvsp_limit() */
	struct guest_memory *memory;
	struct reactor *reactor; /* the server's */
	struct nic *nic; /* stopped; its client until `done`, not its owner */
};

/* The rule above that it breaks, static, "FIELD: what"; or the backend cannot
 * receive frames of that size. NULL: none. Any thread. */
const char *netvsp_check(const struct netvsp_config *config);

/* Makes a NIC and offers it. 0; -EINVAL, logged: what netvsp_check() says;
 * -ENOMEM; what vmbus_offer() says. */
int netvsp_create(struct vmbus_server *server,
		  const struct netvsp_config *config, struct netvsp **out);

/* Takes it back from the guest; when the guest let go and the backend has
 * stopped it is freed and `done` (may be NULL) runs, on the server's reactor,
 * perhaps before this returns. The backend may be closed then. */
void netvsp_destroy(struct netvsp *netvsp, void (*done)(void *opaque),
		    void *opaque);

/* The same, for a guest that runs and knows of it: its link is down first, and
 * it has NETVSP_RETIRE_NS to stop sending. The server's reactor. It may still be
 * destroyed at once, until `done` runs. */
#define NETVSP_RETIRE_NS 20000000000ull
void netvsp_retire(struct netvsp *netvsp, void (*done)(void *opaque),
		   void *opaque);

/* How much the guest may send and receive, of all channels together: 10^6 bits
 * of frames a second, at most 100000; 0: as much as it can. What it sends above
 * that waits in its rings, what it would receive is dropped and counted. Holds
 * within 100 ms. Any thread. */
void netvsp_limit(struct netvsp *netvsp, uint32_t tx_mbps, uint32_t rx_mbps);

/* Listens to what it sends and receives, `snaplen` bytes of each frame at most
 * (0: all of up to 65535). 0 and a capture (pv/capture.h), which the caller
 * stops; it may outlive the NIC. -EBUSY: somebody listens already; -ENOMEM. The
 * server's reactor. */
int netvsp_capture(struct netvsp *netvsp, uint32_t snaplen,
		   struct capture **out);

#endif
