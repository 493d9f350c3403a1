// SPDX-License-Identifier: MIT
/*
 * A connection between a client on the host and a socket inside, theory of
 * operation
 *
 * Owns the client's descriptor and a VMBus device of its own:
 *
 *	offered --channel opened--> open --both said end of file--> lingering
 *	   | accept_ns               | the guest closes, an error      | LINGER_NS
 *	   v                         v                                 v
 *	 ended <-----------------------------------------------------------
 *	   | device revoked
 *	   v
 *	 freed
 *
 * The guest opens the channel only if somebody listens on the port, or still
 * waits for the connection it asked for; if not, the offer is taken back and
 * the client sees the end of file. A guest opens one after the other: with each
 * that it opens the others get their time anew, up to ACCEPT_MOST_NS.
 *
 * Bytes: one packet of the guest's at most waits for the client (`out`), and
 * nothing is read from the ring meanwhile; nothing is read from the client
 * while the ring has no room. So each side holds the other back. An end of
 * file goes through in each direction on its own. After both the guest may
 * still have bytes to read in the ring: it closes the channel when it has, or
 * has LINGER_NS for it. A client that is gone for good takes no more, but what
 * it had sent before still goes to the guest.
 *
 * Threads: the device thread only. A connection ends in a call of its own
 * (end_call), never inside one of the channel's.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pv/log.h>

#include "relay/vmbus_reg.h"
#include "vsock_connection.h"

LOG_MODULE("vsock");

#define ACCEPT_MOST_NS 20000000000ull
#define LINGER_NS 10000000000ull
#define CHUNK 4096u
/* Packets of one run, before others on the thread have their turn. */
#define RUN_BUDGET 256u

/* ---- ending ---- */

static void device_revoked(struct vmbus_device *dev)
{
	vsock_unlink((struct vsock_connection *)dev);
}

void vsock_connection_end_now(struct vsock_connection *c)
{
	loop_fd_remove(c->vsock->loop, &c->watch);
	close(c->watch.fd);
	reactor_timer_cancel(c->vsock->loop, &c->deadline);
	if (c->device.server)
		vmbus_revoke(&c->device);
	else
		vsock_unlink(c);
}

static void end_called(struct reactor_call *call)
{
	vsock_connection_end_now((struct vsock_connection *)
		((char *)call - offsetof(struct vsock_connection, end_call)));
}

void vsock_connection_end(struct vsock_connection *c)
{
	if (c->ended)
		return;
	c->ended = true;
	c->watch.events = 0;
	reactor_post(c->vsock->loop, &c->end_call);
}

static void too_late(struct reactor_timer *timer)
{
	struct vsock_connection *c = (struct vsock_connection *)
		((char *)timer - offsetof(struct vsock_connection, deadline));

	if (!c->ch)
		log_info_limited("port %u: nobody %s", c->port,
				 c->from_guest ? "waits any more" : "listens");
	vsock_connection_end(c);
}

void vsock_connection_init(struct vsock_connection *c, struct vsock *vsock)
{
	c->vsock = vsock;
	c->deadline.fn = too_late;
	c->end_call.fn = end_called;
}

/* ---- guest to client ---- */

/* Sends what waits. False: some is left. */
static bool flush(struct vsock_connection *c)
{
	const uint8_t *bytes = (const uint8_t *)c->packet;

	while (c->out_len && !c->hung_up) {
		ssize_t n = send(c->watch.fd, bytes + c->out_at, c->out_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0) {
			c->hung_up = true;
			break;
		}
		c->out_at += (uint32_t)n;
		c->out_len -= (uint32_t)n;
	}
	c->out_len = 0;
	return true;
}

/* Takes one packet apart. NULL, or the rule it breaks. */
static const char *take_packet(struct vsock_connection *c,
			       const struct ring_packet *packet)
{
	struct hv_sock_header header;

	if (packet->type != RING_PACKET_INBAND ||
	    packet->payload_size < sizeof(header))
		return "a socket's packets are in-band, with a header";
	memcpy(&header, packet->payload, sizeof(header));
	c->out_len = le32_to_cpu(header.size);
	if (c->out_len > packet->payload_size - sizeof(header)) {
		c->out_len = 0;
		return "more bytes than the packet has";
	}
	c->out_at = (uint32_t)((const uint8_t *)packet->payload -
			       (const uint8_t *)c->packet) +
		    (uint32_t)sizeof(header);
	if (!c->out_len && !c->guest_eof) {
		c->guest_eof = true;
		shutdown(c->watch.fd, SHUT_WR);
	}
	return NULL;
}

static void broke(struct vsock_connection *c, uint64_t value, const char *rule)
{
	vmbus_channel_violation(c->ch, 0, 0, value, rule);
	vsock_connection_end(c);
}

static void guest_to_client(struct vsock_connection *c)
{
	struct ring *ring = &c->ch->ring;
	struct ring_packet packet;
	unsigned int budget = RUN_BUDGET;
	bool more = true;

	while (more && budget && !c->ended) {
		int err = 0;

		while (!err && flush(c) && budget) {
			const char *rule;

			budget--;
			err = ring_read(ring, c->packet, sizeof(c->packet),
					&packet);
			if (err == -EPROTO)
				broke(c, ring->broken_value, ring->broken);
			if (err)
				break;
			rule = take_packet(c, &packet);
			if (rule)
				broke(c, packet.type, rule);
			if (c->ended)
				return;
		}
		if (err == -EPROTO || c->ended)
			return;
		if (ring_read_end(ring, &more))
			vmbus_channel_signal(c->ch);
		/* The client is slow: its POLLOUT goes on. */
		if (c->out_len)
			return;
	}
	if (more && !c->ended)
		vmbus_channel_run_again(c->ch);
}

/* ---- client to guest ---- */

static bool has_room(struct vsock_connection *c)
{
	return ring_has_room(&c->ch->ring,
			     ring_packet_space(0, sizeof(struct hv_sock_header) +
							  CHUNK));
}

static void client_to_guest(struct vsock_connection *c)
{
	struct {
		struct hv_sock_header header;
		uint8_t bytes[CHUNK];
	} __packed packet;
	bool wrote = false;

	while (!c->client_eof && has_room(c)) {
		ssize_t n = recv(c->watch.fd, packet.bytes,
				 sizeof(packet.bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			vsock_connection_end(c);
			break;
		}
		c->client_eof = !n;
		packet.header.type = cpu_to_le32(HV_SOCK_DATA);
		packet.header.size = cpu_to_le32((uint32_t)n);
		ring_write(&c->ch->ring, RING_PACKET_INBAND, 0, 0, NULL, 0,
			   &packet, sizeof(packet.header) + (uint32_t)n);
		wrote = true;
	}
	if (wrote && ring_write_end(&c->ch->ring))
		vmbus_channel_signal(c->ch);
}

/* What the client's descriptor is to be watched for now. One that hung up
 * would report so for ever: then the guest alone moves things on. */
static void watch_client(struct vsock_connection *c)
{
	short events = 0;

	if (c->ended)
		return;
	if (c->hung_up || (c->client_eof && c->guest_eof)) {
		loop_fd_remove(c->vsock->loop, &c->watch);
		return;
	}
	if (c->out_len)
		events |= POLLOUT;
	if (!c->client_eof && has_room(c))
		events |= POLLIN;
	c->watch.events = events;
}

static void move(struct vsock_connection *c)
{
	client_to_guest(c);
	if (!c->ended)
		guest_to_client(c);
	watch_client(c);
	if (c->ended || c->lingering || !c->client_eof ||
	    !(c->guest_eof || c->hung_up) || c->out_len)
		return;
	c->lingering = true;
	reactor_timer_arm(c->vsock->loop, &c->deadline,
			  reactor_now() + LINGER_NS);
}

void vsock_connection_ready(struct vsock_connection *c, short events)
{
	if (c->ended)
		return;
	if (events & (POLLERR | POLLHUP) && !(events & POLLIN)) {
		if (!c->ch) {
			vsock_connection_end(c);
			return;
		}
		c->hung_up = true;
	}
	if (c->ch)
		move(c);
}

/* ---- the channel ---- */

/* The guest is at it: those it has not come to get their time anew. */
static void others_may_wait(struct vsock *vsock)
{
	uint64_t now = reactor_now();

	for (struct vsock_connection *c = vsock->connections; c; c = c->next)
		if (c->asked && !c->ch && !c->ended &&
		    now - c->offered_at < ACCEPT_MOST_NS)
			reactor_timer_arm(vsock->loop, &c->deadline,
					  now + vsock->accept_ns);
}

static int channel_open(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	struct vsock_connection *c = (struct vsock_connection *)dev;
	char answer[VSOCK_MAX_LINE];
	int len = snprintf(answer, sizeof(answer), "OK %u\n", c->port);

	if (c->ended)
		return -EPIPE;
	c->ch = ch;
	ch->opaque = c;
	reactor_timer_cancel(c->vsock->loop, &c->deadline);
	others_may_wait(c->vsock);
	c->watch.events = POLLIN;
	/* The first bytes of a socket always fit. */
	if (!c->from_guest && send(c->watch.fd, answer, (size_t)len,
				   MSG_DONTWAIT | MSG_NOSIGNAL) != len)
		vsock_connection_end(c);
	return 0;
}

static void channel_run(struct vmbus_channel *ch)
{
	struct vsock_connection *c = ch->opaque;

	if (!c->ended)
		move(c);
}

static void channel_close(struct vmbus_channel *ch)
{
	struct vsock_connection *c = ch->opaque;

	c->ch = NULL;
	vsock_connection_end(c);
	vmbus_channel_closed(ch);
}

static const struct vmbus_device_ops ops = {
	.name = "vsock",
	.open = channel_open,
	.run = channel_run,
	.close = channel_close,
};

int vsock_connection_offer(struct vsock_connection *c,
			   const struct guid *interface,
			   const struct guid *instance)
{
	struct hv_sock_offer user = {
		.for_guest_accept = !c->from_guest,
		.version = cpu_to_le32(HV_SOCK_VERSION),
	};
	int err;

	c->asked = true;
	c->watch.events = 0;
	c->device = (struct vmbus_device){
		.ops = &ops,
		.interface = *interface,
		.instance = *instance,
		.offer_flags = VMBUS_OFFER_TLNPI,
		.revoked = device_revoked,
	};
	memcpy(c->device.user_data, &user, sizeof(user));
	err = vmbus_offer(c->vsock->server, &c->device);
	if (err) {
		log_warn_limited("port %u: %s", c->port, strerror(-err));
		vsock_connection_end(c);
		return err;
	}
	c->offered_at = reactor_now();
	reactor_timer_arm(c->vsock->loop, &c->deadline,
			  c->offered_at + c->vsock->accept_ns);
	return 0;
}
