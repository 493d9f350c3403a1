// SPDX-License-Identifier: MIT
/*
 * The sockets' world, theory of operation
 *
 * Descriptor FIRST_FD + i is place i's. A place is free again when both its
 * descriptor is closed and its device is taken back. Closing a channel, taking
 * back a device and running a channel again are done by world_turn(), as the
 * server does them in calls of its own.
 *
 * Threads: none. Failure answers: fuzz_expect().
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "relay/server.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/hv_sock_world.h"
#include "test/vmm/unix_listen.h"

#define FIRST_FD 1000
#define LISTENER 999
#define DATA_PAGES 3u
#define PAGES (1 + DATA_PAGES)
#define MAX_TURNS 1000u
#define MAX_CALLS 32u

struct place place[NR_PLACES];

static _Alignas(RING_PAGE_SIZE) uint8_t ram[NR_PLACES][2 * PAGES]
					   [RING_PAGE_SIZE];
static struct guest_hold hold[NR_PLACES][2 * PAGES];
static struct vsock *vsock;
static struct loop_fd *watched[NR_PLACES + 1];
static struct reactor_call *calls[MAX_CALLS];
static unsigned int nr_calls;
static struct reactor_timer *timers;
static uint64_t now;
static bool client_waits, nobody_listens, no_room;
static unsigned int results, offers;
static void (*asked)(void *opaque, const struct guid *endpoint,
		     const struct guid *service);
static void *asked_opaque;

uint8_t world_byte(uint32_t n)
{
	return (uint8_t)(n * 7 + (n >> 8));
}

/* ---- descriptors ---- */

static struct place *place_of(int fd)
{
	fuzz_expect(fd >= FIRST_FD && fd < FIRST_FD + NR_PLACES, fd, 0);
	return &place[fd - FIRST_FD];
}

static int new_fd(void)
{
	for (int i = 0; i < NR_PLACES; i++) {
		if (place[i].fd_open || place[i].device)
			continue;
		memset(&place[i], 0, sizeof(place[i]));
		place[i].fd_open = true;
		place[i].room = 1024;
		return FIRST_FD + i;
	}
	errno = EMFILE;
	return -1;
}

/* Played instead of libc's: see `wrap' in targets. */
int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *size, int flags);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t size);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t size, int flags);
int __wrap_shutdown(int fd, int how);
int __wrap_close(int fd);
int __wrap_unlink(const char *path);

int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *size, int flags)
{
	(void)a;
	(void)size;
	fuzz_expect(fd == LISTENER && flags & SOCK_NONBLOCK, fd, flags);
	client_waits = false;
	return new_fd();
}

int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)protocol;
	fuzz_expect(type & SOCK_NONBLOCK, type, 0);
	return new_fd();
}

int __wrap_connect(int fd, const struct sockaddr *a, socklen_t size)
{
	(void)a;
	(void)size;
	place_of(fd)->said = true;
	if (!nobody_listens)
		return 0;
	errno = ECONNREFUSED;
	return -1;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	struct place *p = place_of(fd);
	uint8_t *bytes = to;
	size_t n = 0;

	fuzz_expect(p->fd_open && flags & MSG_DONTWAIT, fd, flags);
	if (p->line_size) {
		n = size < p->line_size ? size : p->line_size;
		memcpy(to, p->line, n);
		p->line_size -= (uint32_t)n;
		memmove(p->line, p->line + n, p->line_size);
		return (ssize_t)n;
	}
	while (n < size && p->client_sent < p->client_wrote)
		bytes[n++] = world_byte(p->client_sent++);
	if (n || p->eof)
		return (ssize_t)n;
	errno = EAGAIN;
	return -1;
}

ssize_t __wrap_send(int fd, const void *from, size_t size, int flags)
{
	static const char ok[] = "OK ";
	struct place *p = place_of(fd);
	const uint8_t *bytes = from;

	fuzz_expect(p->fd_open && size && flags & MSG_NOSIGNAL, fd, size);
	errno = p->gone ? EPIPE : EAGAIN;
	if (p->gone || !p->room)
		return -1;
	/* Before all others. */
	if (!p->client_got && size > 3 && !memcmp(bytes, ok, 3) &&
	    !p->guest_wrote)
		return (ssize_t)size;
	if (size > p->room)
		size = p->room;
	p->room -= (uint32_t)size;
	for (size_t i = 0; i < size; i++, p->client_got++)
		fuzz_expect(p->tampered ||
			    (p->client_got < p->guest_wrote &&
			     bytes[i] == world_byte(p->client_got)),
			    p->client_got, p->guest_wrote);
	fuzz_accept();
	return (ssize_t)size;
}

int __wrap_shutdown(int fd, int how)
{
	struct place *p = place_of(fd);

	fuzz_expect(p->fd_open && how == SHUT_WR, fd, how);
	fuzz_expect(p->guest_ended || p->tampered, fd, 0);
	fuzz_expect(p->tampered || p->gone || p->client_got == p->guest_wrote,
		    p->client_got, p->guest_wrote);
	return 0;
}

int __wrap_close(int fd)
{
	if (fd == LISTENER)
		return 0;
	fuzz_expect(place_of(fd)->fd_open, fd, 0);
	place_of(fd)->fd_open = false;
	return 0;
}

int __wrap_unlink(const char *path)
{
	(void)path;
	return 0;
}

int unix_listen(const char *path, int backlog)
{
	(void)path;
	(void)backlog;
	return LISTENER;
}

/* ---- the loop ---- */

void loop_fd_add(struct reactor *loop, struct loop_fd *watch)
{
	unsigned int i = 0;

	(void)loop;
	while (i <= NR_PLACES && watched[i])
		i++;
	fuzz_expect(i <= NR_PLACES, i, 0);
	watched[i] = watch;
}

void loop_fd_remove(struct reactor *loop, struct loop_fd *watch)
{
	(void)loop;
	for (unsigned int i = 0; i <= NR_PLACES; i++)
		if (watched[i] == watch)
			watched[i] = NULL;
}

static short ready(const struct loop_fd *watch)
{
	const struct place *p;
	short events = 0;

	if (watch->fd == LISTENER)
		return client_waits ? watch->events & POLLIN : 0;
	p = place_of(watch->fd);
	fuzz_expect(p->fd_open, watch->fd, 0);
	if (p->line_size || p->client_sent < p->client_wrote || p->eof)
		events |= POLLIN;
	if (p->room || p->gone)
		events |= POLLOUT;
	events &= watch->events;
	return p->gone ? events | POLLHUP : events;
}

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	(void)r;
	if (atomic_exchange(&call->queued, true))
		return;
	fuzz_expect(nr_calls < MAX_CALLS, nr_calls, 0);
	calls[nr_calls++] = call;
}

uint64_t reactor_now(void)
{
	return now;
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	struct reactor_timer **at = &timers;

	(void)r;
	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	reactor_timer_cancel(r, timer);
	timer->deadline = deadline;
	timer->armed = true;
	timer->next = timers;
	timers = timer;
}

void world_time_passes(uint64_t ns)
{
	struct reactor_timer *timer = timers;

	now += ns;
	while (timer) {
		struct reactor_timer *next = timer->next;

		if (timer->deadline <= now) {
			reactor_timer_cancel(NULL, timer);
			timer->fn(timer);
			next = timers;
		}
		timer = next;
	}
}

/* ---- the bus ---- */

static struct place *place_with(const struct vmbus_device *dev)
{
	unsigned int i = 0;

	while (i < NR_PLACES && place[i].device != dev)
		i++;
	fuzz_expect(i < NR_PLACES, i, 0);
	return &place[i];
}

int vmbus_offer(struct vmbus_server *server, struct vmbus_device *dev)
{
	const struct vsock_connection *c = (const struct vsock_connection *)dev;
	struct place *p = place_of(c->watch.fd);

	fuzz_expect(!p->device && p->said, c->port, 0);
	if (no_room)
		return -ENOSPC;
	dev->server = server;
	p->device = dev;
	offers++;
	return 0;
}

static void taken_back(struct place *p)
{
	struct vmbus_device *dev = p->device;

	p->revoking = false;
	p->device = NULL;
	dev->server = NULL;
	dev->revoked(dev);
}

void vmbus_revoke(struct vmbus_device *dev)
{
	struct place *p = place_with(dev);

	fuzz_expect(!p->revoking, 0, 0);
	p->revoking = true;
	if (p->channel_open)
		p->close_due = true;
	else
		taken_back(p);
}

void vmbus_channel_run_again(struct vmbus_channel *ch)
{
	struct place *p = place_with(ch->device);

	fuzz_expect(p->channel_open, 0, 0);
	p->run_due = true;
}

void vmbus_channel_signal(struct vmbus_channel *ch)
{
	fuzz_expect(place_with(ch->device)->channel_open, 0, 0);
}

void vmbus_channel_violation(struct vmbus_channel *ch, uint32_t type,
			     uint32_t offset, uint64_t value, const char *rule)
{
	struct place *p = place_with(ch->device);

	(void)type;
	(void)offset;
	fuzz_expect(p->tampered && rule, value, 0);
	p->close_due = true;
}

void vmbus_channel_closed(struct vmbus_channel *ch)
{
	place_with(ch->device)->channel_open = false;
}

void vmbus_server_relay_sockets(struct vmbus_server *server,
				void (*connect)(void *opaque,
						const struct guid *endpoint,
						const struct guid *service),
				void *opaque)
{
	(void)server;
	asked = connect;
	asked_opaque = opaque;
}

void vmbus_server_tl_result(struct vmbus_server *server,
			    const struct guid *endpoint,
			    const struct guid *service, uint32_t status)
{
	(void)server;
	(void)endpoint;
	(void)service;
	fuzz_expect(status, status, 0);
	results++;
}

/* ---- the guest, and what passes ---- */

void world_signal(struct place *p)
{
	ring_write_end(&p->guest);
	if (!p->close_due)
		p->device->ops->run(&p->ch);
}

void world_guest_opens(struct place *p)
{
	unsigned int i = (unsigned int)(p - place);
	struct ring_half up, down;

	if (!p->device || p->channel_open || p->revoking)
		return;
	for (unsigned int page = 0; page < 2 * PAGES; page++) {
		memset(ram[i][page], 0, page % PAGES ? 0 : RING_PAGE_SIZE);
		hold[i][page] = (struct guest_hold){
			(__guest_force void __guest *)ram[i][page],
			RING_PAGE_SIZE };
	}
	up = (struct ring_half){ hold[i], DATA_PAGES * RING_PAGE_SIZE };
	down = (struct ring_half){ hold[i] + PAGES,
				   DATA_PAGES * RING_PAGE_SIZE };
	p->ch = (struct vmbus_channel){ .device = p->device };
	fuzz_expect(!ring_init(&p->ch.ring, up, down), 0, 0);
	fuzz_expect(!ring_init(&p->guest, down, up), 0, 0);
	if (!p->device->ops->open(p->device, &p->ch))
		p->channel_open = true;
}

void world_guest_closes(struct place *p)
{
	p->close_due |= p->channel_open;
}

void world_guest_asks(unsigned int endpoint, uint32_t port, uint32_t flaw)
{
	struct guid service = HV_SOCK_SERVICE(port);
	struct guid guid = GUID_INIT(endpoint, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	unsigned int before = results + offers;

	if (flaw)
		service.b[4 + flaw % 12] ^= 1;
	asked(asked_opaque, &guid, &service);
	fuzz_expect(results + offers == before + 1, results, offers);
}

void world_client_comes(void)
{
	client_waits = true;
}

void world_refuses(unsigned int what)
{
	nobody_listens = what & 1;
	no_room = what & 2;
}

static bool turn_channels(void)
{
	bool any = false;

	for (unsigned int i = 0; i < NR_PLACES; i++) {
		struct place *p = &place[i];
		bool run = p->run_due && p->channel_open;

		p->run_due = false;
		any |= run || p->close_due;
		if (run && !p->close_due)
			p->device->ops->run(&p->ch);
		if (!p->close_due)
			continue;
		p->close_due = false;
		if (p->channel_open)
			p->device->ops->close(&p->ch);
		if (p->revoking)
			taken_back(p);
	}
	return any;
}

static bool turn_watches(void)
{
	bool any = false;

	for (unsigned int i = 0; i <= NR_PLACES; i++) {
		struct loop_fd *watch = watched[i];
		short events = watch ? ready(watch) : 0;

		if (events) {
			watch->fn(watch, events);
			any = true;
		}
	}
	return any;
}

void world_turn(void)
{
	bool any = true;

	for (unsigned int turns = 0; any; turns++) {
		fuzz_expect(turns < MAX_TURNS, turns, nr_calls);
		any = nr_calls > 0;
		while (nr_calls) {
			struct reactor_call *call = calls[0];

			memmove(calls, calls + 1, --nr_calls * sizeof(*calls));
			atomic_store(&call->queued, false);
			call->fn(call);
		}
		any |= turn_channels();
		any |= turn_watches();
	}
}

void world_begin(void)
{
	memset(place, 0, sizeof(place));
	now = 0;
	client_waits = nobody_listens = no_room = false;
	vsock = vsock_open("--vsock-path", "p", NULL);
	fuzz_expect(vsock, 0, 0);
	/* Nobody looks into the server: that there is one says "offered". */
	vsock_attach(vsock, (struct vmbus_server *)place);
}

void world_end(void)
{
	for (unsigned int i = 0; i < NR_PLACES; i++)
		world_guest_closes(&place[i]);
	world_turn();
	vsock_revoke(vsock);
	world_turn();
	vsock_close(vsock);
	for (unsigned int i = 0; i < NR_PLACES; i++)
		fuzz_expect(!place[i].fd_open && !place[i].device, i, 0);
	for (unsigned int i = 0; i <= NR_PLACES; i++)
		fuzz_expect(!watched[i], i, 0);
	fuzz_expect(!timers && !nr_calls, nr_calls, 0);
}
