/* SPDX-License-Identifier: MIT */
/*
 * The VMBus server: offers devices to one client.
 *
 * It serves VTL0 from the daemon, and VTL2 (or a guest booted directly) from
 * vmm; it knows neither. Below it needs four things, given as a transport:
 * to post a SynIC message to the client, to set an event flag, to know the
 * reactor of a VP, and guest memory.
 *
 * Control messages are handled on one reactor, the server's; data never
 * passes through the server.
 */
#ifndef RELAY_SERVER_H
#define RELAY_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pv/guest_memory.h>

#include "channel.h"

struct vmbus_transport_ops {
	/* Posts a message of type 1 to `sint` of `vp`. 0; -EAGAIN: not now, the
	 * transport calls vmbus_server_room() later; other: cannot ever (SynIC
	 * off): the message is dropped and counted. Server's reactor. */
	int (*post)(void *opaque, uint32_t vp, uint8_t sint,
		    const void *payload, size_t size);
	/* Sets the client's event flag. Channel's reactor. */
	void (*signal)(void *opaque, uint32_t vp, uint8_t sint, uint16_t flag);
	/* The reactor that runs channels of this VP. NULL: no such VP. */
	struct reactor *(*reactor)(void *opaque, uint32_t vp);
};

struct vmbus_server_config {
	const struct vmbus_transport_ops *transport;
	void *opaque;
	struct guest_memory *memory; /* what the client may name in GPADLs */
	struct reactor *reactor;     /* of control messages */
	unsigned int nr_vps;
	uint8_t vtl;		     /* of the client: in connection ids */
	uint32_t message_connection; /* told to the client from 5.0 on */
	uint32_t max_version;	     /* 0 = newest known */
};

/* NULL: no memory. */
struct vmbus_server *vmbus_server_create(const struct vmbus_server_config *c);
/* All devices must have been revoked, and no reactor run any more. */
void vmbus_server_destroy(struct vmbus_server *server);

/* A message of the client arrived (HvPostMessage, type 1). Any thread; it is
 * copied and handled on the server's reactor. -ENOSPC: too many waiting, the
 * caller answers HV_STATUS_INSUFFICIENT_BUFFERS; -EINVAL: above 240 bytes. */
int vmbus_server_message(struct vmbus_server *server, uint32_t vp,
			 const void *payload, size_t size);

/* HvSignalEvent of the client. -ENOENT: no open channel has this connection
 * id; -EINVAL: it has, but only flag 0. Any thread, no lock. */
int vmbus_server_signal(struct vmbus_server *server, uint32_t connection,
			uint16_t flag);

/* The transport can post again. Any thread. */
void vmbus_server_room(struct vmbus_server *server);

/* Handles no message of the client until told so again: whoever relays them
 * has no room for more. Server's reactor. */
void vmbus_server_hold(struct vmbus_server *server, bool hold);

/* Who answers requests to connect a socket: with vmbus_server_tl_result(), or
 * by an offer. Without, all are refused. Server's reactor, or before it
 * runs. */
void vmbus_server_relay_sockets(struct vmbus_server *server,
				void (*connect)(void *opaque,
						const struct guid *endpoint,
						const struct guid *service),
				void *opaque);
void vmbus_server_tl_result(struct vmbus_server *server,
			    const struct guid *endpoint,
			    const struct guid *service, uint32_t status);

/* The client is gone without a word (reset): forgets what it posted and closes
 * everything. `done` runs when no memory of it is held any more, which may be
 * before this returns; devices stay. One reset at a time. Server's reactor, as
 * `done`, which must not destroy the server. */
void vmbus_server_reset(struct vmbus_server *server,
			void (*done)(void *opaque), void *opaque);

/* Server's reactor. */
void vmbus_server_inspect(struct vmbus_server *server, struct inspect *out);

#endif
