// SPDX-License-Identifier: MIT
/*
 * Sockets, theory of operation
 *
 * Owns the listening Unix socket, and the list of connections, in whichever
 * direction they were asked for:
 *
 *	a client: "CONNECT n\n" ---> offer, marked "the guest accepts"
 *	the guest: TL_CONNECT_REQUEST ---> connect to PATH_n ---> offer that has
 *	           its endpoint for an instance; or TL_CONNECT_RESULT, refused
 *
 * What becomes of them is in vsock_connection.c. With VSOCK_MAX_CONNECTIONS
 * further clients wait in the socket's backlog, and the guest is refused.
 *
 * Threads: the device thread only.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pv/log.h>

#include "relay/server.h"
#include "relay/vmbus_reg.h"
#include "unix_listen.h"
#include "vsock_connection.h"

LOG_MODULE("vsock");

#define ACCEPT_MS 1700
#define ACCEPT_MOST_MS 20000

void vsock_unlink(struct vsock_connection *c)
{
	struct vsock_connection **at = &c->vsock->connections;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->vsock->nr_connections--;
	c->vsock->listener.events = POLLIN;
	free(c);
}

/* ---- a client asks ---- */

static void offer(struct vsock_connection *c)
{
	uint64_t n = c->vsock->next_instance++;
	const struct guid interface = HV_SOCK_SERVICE(c->port);
	const struct guid instance =
		GUID_INIT(0x76736f63, n >> 16 & 0xffff, n & 0xffff, 0x8b, 0x76,
			  0x6d, 0x6d, 0, 0, 0, 0);

	vsock_connection_offer(c, &interface, &instance);
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
static void read_line(struct vsock_connection *c)
{
	for (;;) {
		char byte;
		ssize_t n = recv(c->watch.fd, &byte, 1, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			vsock_connection_end(c);
			return;
		}
		if (byte == '\n')
			break;
		if (c->line_len == sizeof(c->line) - 1) {
			log_warn_limited("a client's line is too long");
			vsock_connection_end(c);
			return;
		}
		c->line[c->line_len++] = byte;
	}
	if (parse_line(c->line, &c->port)) {
		offer(c);
		return;
	}
	log_warn_limited("a client did not say CONNECT and a port");
	vsock_connection_end(c);
}

static void client_ready(struct loop_fd *watch, short events)
{
	struct vsock_connection *c = (struct vsock_connection *)
		((char *)watch - offsetof(struct vsock_connection, watch));

	if (c->asked || c->ended || (events & (POLLERR | POLLHUP) &&
				     !(events & POLLIN)))
		vsock_connection_ready(c, events);
	else
		read_line(c);
}

/* A connection of this descriptor, which is closed if there is no memory. */
static struct vsock_connection *add(struct vsock *vsock, int fd)
{
	struct vsock_connection *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	vsock_connection_init(c, vsock);
	c->watch = (struct loop_fd){ .fn = client_ready,
				     .fd = fd,
				     .events = POLLIN };
	c->next = vsock->connections;
	vsock->connections = c;
	vsock->nr_connections++;
	loop_fd_add(vsock->loop, &c->watch);
	return c;
}

static void listener_ready(struct loop_fd *watch, short events)
{
	struct vsock *vsock =
		(struct vsock *)((char *)watch -
				 offsetof(struct vsock, listener));
	int fd;

	(void)events;
	if (vsock->nr_connections == VSOCK_MAX_CONNECTIONS) {
		watch->events = 0;
		return;
	}
	fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		add(vsock, fd);
}

/* ---- the guest asks ---- */

/* Who listens on PATH_PORT: a descriptor or -errno. */
static int connect_port(const struct vsock *vsock, uint32_t port)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, n = snprintf(address.sun_path, sizeof(address.sun_path),
			     "%s_%u", vsock->path, port);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Of a Unix socket it never waits. */
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		n = -errno;
		close(fd);
		return n;
	}
	return fd;
}

/* The port of a service that is a socket's. */
static bool port_of(const struct guid *service, uint32_t *port)
{
	const struct guid any = HV_SOCK_SERVICE(0);
	le32 number;

	memcpy(&number, service->b, sizeof(number));
	*port = le32_to_cpu(number);
	return !memcmp(service->b + sizeof(number), any.b + sizeof(number),
		       sizeof(any.b) - sizeof(number));
}

/* An endpoint has one connection at a time. */
static bool is_connected(const struct vsock *vsock, const struct guid *endpoint)
{
	for (const struct vsock_connection *c = vsock->connections; c;
	     c = c->next)
		if (c->from_guest && guid_equal(&c->device.instance, endpoint))
			return true;
	return false;
}

static void guest_asks(void *opaque, const struct guid *endpoint,
		       const struct guid *service)
{
	struct vsock *vsock = opaque;
	const char *why = "it is not a port";
	struct vsock_connection *c;
	uint32_t port = 0;
	int fd;

	if (!port_of(service, &port))
		goto refuse;
	why = "too many connections";
	if (vsock->nr_connections == VSOCK_MAX_CONNECTIONS)
		goto refuse;
	why = "it is there already";
	if (is_connected(vsock, endpoint))
		goto refuse;
	fd = connect_port(vsock, port);
	if (fd < 0) {
		why = strerror(-fd);
		goto refuse;
	}
	why = "out of memory";
	c = add(vsock, fd);
	if (!c)
		goto refuse;
	c->port = port;
	c->from_guest = true;
	if (!vsock_connection_offer(c, service, endpoint))
		return;
	why = "it was not offered";

refuse:
	log_info_limited("the guest's connection to %s_%u is refused: %s",
			 vsock->path, port, why);
	vmbus_server_tl_result(vsock->server, endpoint, service,
			       VMBUS_STATUS_CONNECTION_REFUSED);
}

/* ---- life ---- */

/* The lab's word, which knows how slow it is; nobody else sets it. */
static uint64_t accept_ns(void)
{
	const char *text = getenv("VMM_VSOCK_ACCEPT");
	unsigned long ms = text ? strtoul(text, NULL, 10) : ACCEPT_MS;

	return (ms && ms <= ACCEPT_MOST_MS ? ms : ACCEPT_MS) * 1000000ull;
}

struct vsock *vsock_open(const char *option, const char *path,
			 struct reactor *loop)
{
	struct vsock *vsock = calloc(1, sizeof(*vsock));
	int fd = vsock ? unix_listen(path, VSOCK_MAX_CONNECTIONS) : -ENOMEM;

	if (fd < 0) {
		fprintf(stderr, "vmm: %s %s: %s\n", option, path,
			strerror(-fd));
		free(vsock);
		return NULL;
	}
	vsock->loop = loop;
	vsock->path = path;
	vsock->accept_ns = accept_ns();
	vsock->listener = (struct loop_fd){ .fn = listener_ready,
					    .fd = fd,
					    .events = POLLIN };
	return vsock;
}

void vsock_attach(struct vsock *vsock, struct vmbus_server *server)
{
	vsock->server = server;
	vmbus_server_relay_sockets(server, guest_asks, vsock);
	loop_fd_add(vsock->loop, &vsock->listener);
}

void vsock_revoke(struct vsock *vsock)
{
	struct vsock_connection *c = vsock->connections, *next;

	/* A connection whose end had come is gone: its channel was closed. */
	for (; c; c = next) {
		next = c->next;
		vsock_connection_end_now(c);
	}
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
