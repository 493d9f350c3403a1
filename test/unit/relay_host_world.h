/* SPDX-License-Identifier: MIT */
/*
 * Three parties in one process: a guest, the server and the relay of a daemon,
 * and a host with a server of its own and two devices that send back what they
 * get. The guest's memory is the host's; signals that the daemon's server does
 * not know are the host's, as with a hypervisor.
 */
#ifndef TEST_RELAY_HOST_WORLD_H
#define TEST_RELAY_HOST_WORLD_H

#include "relay/host_relay.h"
#include "relay/vmbus_state.h"
#include "test/unit/relay_world.h"

#define HOST_CONNECTION 0x800074u
#define HOST_QUEUE 4096

struct host_world {
	struct guest_driver *g;
	struct vmbus_server *host;
	struct reactor *host_reactor;
	struct guest_memory memory; /* the host's view of the guest's */
	struct host_relay *relay;
	struct echo a, b; /* the host's; channels 1 and 2 there */
	struct host_relay_rule rules[2];
	int started, stopped; /* started: 1 = not yet */
	unsigned int intercepted, interceptions_gone;

	/* The way from the host to the relay. */
	struct reactor_call deliver_call;
	struct guest_message *queue; /* HOST_QUEUE */
	unsigned int nr_queue;
	bool deaf; /* what is posted to the host waits for host_world_hear() */
	struct guest_message *unheard; /* HOST_QUEUE */
	unsigned int nr_unheard;
	int full;  /* posts to the host fail with it */
	uint64_t signals; /* of the host */

	struct vmbus_offer_channel offer[8];
	unsigned int nr_offers;
};

/* The host offers a and b, and is not talked to yet. */
void host_world_begin(struct host_world *w);
/* The relay starts; `rules` of them count. */
void host_world_start(struct host_world *w, unsigned int rules);
/* A guest connects and asks for offers. */
void host_world_connect(struct host_world *w, uint32_t version,
			uint32_t features);
/* All three, with nothing against the rules: the guest has both offers. */
void host_world_begin_connected(struct host_world *w, uint32_t features);
void host_world_offers(struct host_world *w);
/* Whatever happened: all ends, and nobody holds anything. */
void host_world_end(struct host_world *w);

/* A message of the host that its server would not send. */
void host_world_say(struct host_world *w, enum vmbus_message_type type,
		    void *message, size_t size);
void host_world_hear(struct host_world *w);
void host_world_revoke(struct host_world *w, struct echo *echo);
void host_world_offer(struct host_world *w, struct echo *echo);
/* GPADLs and busy channels on both sides. */
void host_world_expect_idle(struct host_world *w);

#endif
