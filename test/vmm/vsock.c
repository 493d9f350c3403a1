// SPDX-License-Identifier: MIT
/*
 * Sockets, theory of operation
 *
 * Owns the listening Unix socket and the connections. Each connection is a
 * client and a VMBus device of its own:
 *
 *	asking --"CONNECT n\n"--> offered --channel opened, "OK n\n"--> open
 *	   |                         | ACCEPT_NS                         |
 *	   |                         v                                   |
 *	   `----------------------> ended <------------------------------'
 *	                             | device revoked
 *	                             v
 *	                            freed
 *
 * The guest opens the channel only if somebody listens on the port at that
 * moment; if not, the offer is taken back and the client sees the end of file.
 *
 * Bytes: one packet of the guest's at most waits for the client (`out`), and
 * nothing is read from the ring meanwhile; nothing is read from the client
 * while the ring has no room. So each side holds the other back. An end of
 * file goes through in each direction on its own; after both, or an error, the
 * connection ends.
 *
 * Threads: the device thread only. A connection ends in a call of its own
 * (end_call), never inside one of the channel's.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pv/log.h>

#include "hv_sock_reg.h"
#include "loop.h"
#include "relay/channel.h"
#include "relay/ring_reg.h"
#include "relay/vmbus_reg.h"
#include "unix_listen.h"
#include "vsock.h"

LOG_MODULE("vsock");

#define MAX_CONNECTIONS 32
#define ACCEPT_NS 2000000000ull
#define CHUNK 4096u
#define MAX_LINE 32

struct connection {
	struct vmbus_device device;
	struct loop_fd watch;
	struct reactor_timer accept;
	struct reactor_call end_call;
	struct vsock *vsock;
	struct connection *next;
	struct vmbus_channel *ch; /* while open */
	uint32_t port;
	bool asked, ended;
	bool client_eof, guest_eof;
	char line[MAX_LINE];
	size_t line_len;
	uint32_t out_at, out_len; /* in packet[], for the client */
	uint64_t packet[RING_MAX_PACKET / 8];
};

struct vsock {
	struct reactor *loop;
	const char *path;
	struct vmbus_server *server;
	struct loop_fd listener;
	struct connection *connections;
	unsigned int nr_connections;
	uint64_t next_instance;
};

/* ---- ending ---- */

static void unlink_connection(struct connection *c)
{
	struct connection **at = &c->vsock->connections;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->vsock->nr_connections--;
	c->vsock->listener.events = POLLIN;
	free(c);
}

static void device_revoked(struct vmbus_device *dev)
{
	unlink_connection((struct connection *)dev);
}

static void end_now(struct reactor_call *call)
{
	struct connection *c =
		(struct connection *)((char *)call -
				      offsetof(struct connection, end_call));

	loop_fd_remove(c->vsock->loop, &c->watch);
	close(c->watch.fd);
	reactor_timer_cancel(c->vsock->loop, &c->accept);
	if (c->device.server)
		vmbus_revoke(&c->device);
	else
		unlink_connection(c);
}

static void end(struct connection *c)
{
	if (c->ended)
		return;
	c->ended = true;
	c->watch.events = 0;
	reactor_post(c->vsock->loop, &c->end_call);
}

static void not_accepted(struct reactor_timer *timer)
{
	struct connection *c =
		(struct connection *)((char *)timer -
				      offsetof(struct connection, accept));

	log_info_limited("port %u: nobody listens", c->port);
	end(c);
}

/* ---- guest to client ---- */

/* Sends what waits. False: some is left, or the client is gone. */
static bool flush(struct connection *c)
{
	const uint8_t *bytes = (const uint8_t *)c->packet;

	while (c->out_len) {
		ssize_t n = send(c->watch.fd, bytes + c->out_at, c->out_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			end(c);
		if (n < 0)
			return false;
		c->out_at += (uint32_t)n;
		c->out_len -= (uint32_t)n;
	}
	return true;
}

/* Takes one packet apart. NULL, or the rule it breaks. */
static const char *take_packet(struct connection *c,
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

static void broke(struct connection *c, uint64_t value, const char *rule)
{
	vmbus_channel_violation(c->ch, 0, 0, value, rule);
	end(c);
}

static void guest_to_client(struct connection *c)
{
	struct ring *ring = &c->ch->ring;
	struct ring_packet packet;
	bool more = true;

	while (more && !c->ended) {
		int err = 0;

		while (!err && flush(c)) {
			const char *rule;

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
			break;
	}
	if (c->client_eof && c->guest_eof && !c->out_len)
		end(c);
}

/* ---- client to guest ---- */

static bool has_room(struct connection *c)
{
	return ring_has_room(&c->ch->ring,
			     ring_packet_space(0, sizeof(struct hv_sock_header) +
							  CHUNK));
}

static void client_to_guest(struct connection *c)
{
	struct {
		struct hv_sock_header header;
		uint8_t bytes[CHUNK];
	} __packed packet;
	bool wrote = false;

	while (!c->client_eof && !c->ended && has_room(c)) {
		ssize_t n = recv(c->watch.fd, packet.bytes,
				 sizeof(packet.bytes), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			end(c);
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

/* What the client's descriptor is to be watched for now. */
static void watch_client(struct connection *c)
{
	short events = 0;

	if (c->ended)
		return;
	if (c->out_len)
		events |= POLLOUT;
	if (!c->client_eof && has_room(c))
		events |= POLLIN;
	c->watch.events = events;
}

static void move(struct connection *c)
{
	client_to_guest(c);
	if (!c->ended)
		guest_to_client(c);
	watch_client(c);
}

/* ---- the channel ---- */

static struct connection *of(struct vmbus_device *dev)
{
	return (struct connection *)dev;
}

static int channel_open(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	struct connection *c = of(dev);
	char answer[MAX_LINE];
	int len = snprintf(answer, sizeof(answer), "OK %u\n", c->port);

	if (c->ended)
		return -EPIPE;
	c->ch = ch;
	ch->opaque = c;
	reactor_timer_cancel(c->vsock->loop, &c->accept);
	/* The first bytes of a socket always fit. */
	if (send(c->watch.fd, answer, (size_t)len,
		 MSG_DONTWAIT | MSG_NOSIGNAL) != len)
		end(c);
	return 0;
}

static void channel_run(struct vmbus_channel *ch)
{
	struct connection *c = ch->opaque;

	if (!c->ended)
		move(c);
}

static void channel_close(struct vmbus_channel *ch)
{
	struct connection *c = ch->opaque;

	c->ch = NULL;
	end(c);
	vmbus_channel_closed(ch);
}

static const struct vmbus_device_ops ops = {
	.name = "vsock",
	.open = channel_open,
	.run = channel_run,
	.close = channel_close,
};

/* ---- the client ---- */

static void offer(struct connection *c)
{
	struct vsock *vsock = c->vsock;
	struct hv_sock_offer user = {
		.for_guest_accept = 1,
		.version = cpu_to_le32(HV_SOCK_VERSION),
	};
	uint64_t n = vsock->next_instance++;
	int err;

	c->asked = true;
	c->watch.events = 0;
	c->device = (struct vmbus_device){
		.ops = &ops,
		.interface = HV_SOCK_SERVICE(c->port),
		.instance = GUID_INIT(0x76736f63, n >> 16 & 0xffff, n & 0xffff,
				      0x8b, 0x76, 0x6d, 0x6d, 0, 0, 0, 0),
		.offer_flags = VMBUS_OFFER_TLNPI,
		.revoked = device_revoked,
	};
	memcpy(c->device.user_data, &user, sizeof(user));
	err = vmbus_offer(vsock->server, &c->device);
	if (err) {
		log_warn_limited("port %u: %s", c->port, strerror(-err));
		end(c);
		return;
	}
	reactor_timer_arm(vsock->loop, &c->accept, reactor_now() + ACCEPT_NS);
}

/* "CONNECT PORT", without its newline. */
static bool parse_line(const char *line, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	const char *digits = line + sizeof(word) - 1;
	unsigned long value;

	if (strncmp(line, word, sizeof(word) - 1) ||
	    strspn(digits, "0123456789") != strlen(digits) || !*digits ||
	    strlen(digits) > 10)
		return false;
	value = strtoul(digits, NULL, 10);
	*port = (uint32_t)value;
	return value < UINT32_MAX;
}

/* Byte by byte: what follows the line is for the guest. */
static void read_line(struct connection *c)
{
	for (;;) {
		char byte;
		ssize_t n = recv(c->watch.fd, &byte, 1, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			end(c);
			return;
		}
		if (byte == '\n')
			break;
		if (c->line_len == sizeof(c->line) - 1) {
			log_warn_limited("a client's line is too long");
			end(c);
			return;
		}
		c->line[c->line_len++] = byte;
	}
	if (parse_line(c->line, &c->port)) {
		offer(c);
		return;
	}
	log_warn_limited("a client did not say CONNECT and a port");
	end(c);
}

static void client_ready(struct loop_fd *watch, short events)
{
	struct connection *c =
		(struct connection *)((char *)watch -
				      offsetof(struct connection, watch));

	if (c->ended)
		return;
	if (events & (POLLERR | POLLHUP) && !(events & POLLIN))
		end(c);
	else if (c->ch)
		move(c);
	else if (!c->asked)
		read_line(c);
}

static void listener_ready(struct loop_fd *watch, short events)
{
	struct vsock *vsock =
		(struct vsock *)((char *)watch -
				 offsetof(struct vsock, listener));
	struct connection *c;
	int fd;

	(void)events;
	if (vsock->nr_connections == MAX_CONNECTIONS) {
		watch->events = 0;
		return;
	}
	fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->vsock = vsock;
	c->accept.fn = not_accepted;
	c->end_call.fn = end_now;
	c->watch = (struct loop_fd){ .fn = client_ready,
				     .fd = fd,
				     .events = POLLIN };
	c->next = vsock->connections;
	vsock->connections = c;
	vsock->nr_connections++;
	loop_fd_add(vsock->loop, &c->watch);
}

/* ---- life ---- */

struct vsock *vsock_open(const char *option, const char *path,
			 struct reactor *loop)
{
	struct vsock *vsock = calloc(1, sizeof(*vsock));
	int fd = vsock ? unix_listen(path, MAX_CONNECTIONS) : -ENOMEM;

	if (fd < 0) {
		fprintf(stderr, "vmm: %s %s: %s\n", option, path,
			strerror(-fd));
		free(vsock);
		return NULL;
	}
	vsock->loop = loop;
	vsock->path = path;
	vsock->listener = (struct loop_fd){ .fn = listener_ready,
					    .fd = fd,
					    .events = POLLIN };
	return vsock;
}

void vsock_attach(struct vsock *vsock, struct vmbus_server *server)
{
	vsock->server = server;
	loop_fd_add(vsock->loop, &vsock->listener);
}

void vsock_revoke(struct vsock *vsock)
{
	/* A connection whose end had come is gone: its channel was closed. */
	while (vsock->connections)
		end_now(&vsock->connections->end_call);
}

void vsock_close(struct vsock *vsock)
{
	if (!vsock)
		return;
	loop_fd_remove(vsock->loop, &vsock->listener);
	close(vsock->listener.fd);
	unlink(vsock->path);
	free(vsock);
}
