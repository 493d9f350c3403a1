/* SPDX-License-Identifier: MIT */
/* Between vsock.c, which makes connections, and vsock_connection.c, which
 * carries their bytes. The device thread. */
#ifndef VMM_VSOCK_CONNECTION_H
#define VMM_VSOCK_CONNECTION_H

#include "hv_sock_reg.h"
#include "loop.h"
#include "relay/channel.h"
#include "relay/ring_reg.h"
#include "vsock.h"

#define VSOCK_MAX_CONNECTIONS 32
#define VSOCK_MAX_LINE 32

struct vsock_connection {
	struct vmbus_device device;
	struct loop_fd watch; /* the client's socket */
	struct reactor_timer deadline; /* to be accepted; then, to be closed */
	struct reactor_call end_call;
	struct vsock *vsock;
	struct vsock_connection *next;
	struct vmbus_channel *ch; /* while open */
	uint32_t port;
	uint64_t offered_at;
	bool from_guest;
	bool asked, ended;
	bool client_eof, guest_eof;
	bool hung_up; /* the client takes no more; what it sent may wait */
	bool lingering; /* both ends were told; the guest may still read */
	char line[VSOCK_MAX_LINE];
	size_t line_len;
	uint32_t out_at, out_len; /* in packet[], for the client */
	uint64_t packet[RING_MAX_PACKET / 8];
};

struct vsock {
	struct reactor *loop;
	const char *path;
	uint64_t accept_ns; /* the guest has for opening a channel */
	struct vmbus_server *server;
	struct loop_fd listener;
	struct vsock_connection *connections;
	unsigned int nr_connections;
	uint64_t next_instance;
};

/* Offers it, from which on it carries bytes between `fd`, which is the
 * connection's from here on, and who opens the channel. 0 or -errno: it will
 * end. */
int vsock_connection_offer(struct vsock_connection *c,
			   const struct guid *interface,
			   const struct guid *instance);
/* The client's socket has events, and the channel is not asked for any more. */
void vsock_connection_ready(struct vsock_connection *c, short events);
/* Ends it in a call of its own. */
void vsock_connection_end(struct vsock_connection *c);
/* At once: nobody else is on its way to it. */
void vsock_connection_end_now(struct vsock_connection *c);
/* Sets it up, before all of the above. */
void vsock_connection_init(struct vsock_connection *c, struct vsock *vsock);

/* vsock.c: forgets and frees it. */
void vsock_unlink(struct vsock_connection *c);

#endif
