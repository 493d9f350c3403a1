// SPDX-License-Identifier: MIT
/*
 * User-mode network, theory of operation
 *
 * Owns an instance of libslirp, which is a host on the guest's network:
 *
 *	10.0.2.0/24   .2 this host's 127.0.0.1   .3 DNS   .15 on: by DHCP
 *	fec0::/64     ::2 this host's ::1       ::3 DNS   by advertisement
 *
 * Its sockets come and go and want other events after each thing it does. So
 * after each, once a turn of the loop (`refresh`), they are asked for anew and
 * compared with those of an epoll descriptor, which is what the loop watches;
 * its readiness, or libslirp's time, runs slirp_pollfds_poll().
 *
 *	frame out, socket ready, time --> libslirp --> refresh
 *
 * libslirp closes sockets itself, and a number may be another socket when we
 * look next: epoll has forgotten the old one then, hence both ways to set one.
 */
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <pv/log.h>

#include "loop.h"
#include "net_back_kind.h"

LOG_MODULE("user-net");

#define MAX_SOCKETS 1024
#define NS_PER_MS 1000000ull
#define NETWORK 0x0a000200u

struct user_net {
	struct net_back *nb;
	Slirp *slirp;
	struct loop_fd watch; /* the epoll descriptor */
	struct reactor_call refresh;
	struct reactor_timer timer;
	struct pollfd socket[MAX_SOCKETS];
	unsigned int nr_sockets;
	struct pollfd before[MAX_SOCKETS]; /* those that epoll has */
	unsigned int nr_before;
};

/* ---- sockets ---- */

static int add_socket(int fd, int events, void *opaque)
{
	struct user_net *u = opaque;
	struct pollfd *p = &u->socket[u->nr_sockets];

	if (u->nr_sockets == MAX_SOCKETS)
		return -1;
	*p = (struct pollfd){ .fd = fd };
	if (events & SLIRP_POLL_IN)
		p->events |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		p->events |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		p->events |= POLLPRI;
	return (int)u->nr_sockets++;
}

static int socket_events(int index, void *opaque)
{
	struct user_net *u = opaque;
	short events;
	int result = 0;

	if (index < 0 || (unsigned int)index >= u->nr_sockets)
		return 0;
	events = u->socket[index].revents;
	if (events & POLLIN)
		result |= SLIRP_POLL_IN;
	if (events & POLLOUT)
		result |= SLIRP_POLL_OUT;
	if (events & POLLPRI)
		result |= SLIRP_POLL_PRI;
	if (events & POLLERR)
		result |= SLIRP_POLL_ERR;
	if (events & POLLHUP)
		result |= SLIRP_POLL_HUP;
	return result;
}

static void watch_socket(struct user_net *u, const struct pollfd *p)
{
	/* poll's events have epoll's numbers. */
	struct epoll_event event = { .events = (uint32_t)p->events,
				     .data.fd = p->fd };

	if (epoll_ctl(u->watch.fd, EPOLL_CTL_MOD, p->fd, &event) < 0 &&
	    epoll_ctl(u->watch.fd, EPOLL_CTL_ADD, p->fd, &event) < 0)
		log_warn_limited("socket: %s", strerror(errno));
}

static bool is_wanted(const struct user_net *u, int fd)
{
	for (unsigned int i = 0; i < u->nr_sockets; i++)
		if (u->socket[i].fd == fd)
			return true;
	return false;
}

static void refresh(struct reactor_call *call)
{
	struct user_net *u = (struct user_net *)((char *)call -
						 offsetof(struct user_net,
							  refresh));
	uint32_t timeout = UINT32_MAX;
	uint64_t deadline;

	u->nr_sockets = 0;
	slirp_pollfds_fill(u->slirp, &timeout, add_socket, u);
	for (unsigned int i = 0; i < u->nr_before; i++)
		if (!is_wanted(u, u->before[i].fd))
			epoll_ctl(u->watch.fd, EPOLL_CTL_DEL, u->before[i].fd,
				  NULL);
	for (unsigned int i = 0; i < u->nr_sockets; i++)
		watch_socket(u, &u->socket[i]);
	memcpy(u->before, u->socket, u->nr_sockets * sizeof(u->socket[0]));
	u->nr_before = u->nr_sockets;
	/* Frames that keep coming must not push it away. */
	deadline = reactor_now() + timeout * NS_PER_MS;
	if (!u->timer.armed || deadline < u->timer.deadline)
		reactor_timer_arm(u->nb->loop, &u->timer, deadline);
}

static void run_slirp(struct user_net *u)
{
	int n = poll(u->socket, u->nr_sockets, 0);

	slirp_pollfds_poll(u->slirp, n < 0, socket_events, u);
	/* What it asked for holds once: told again that a socket can be
	 * written, when it only waited for the connection, it sends nothing,
	 * and takes the 0 bytes for the connection's end. */
	u->nr_sockets = 0;
	reactor_post(u->nb->loop, &u->refresh);
}

static void sockets_ready(struct loop_fd *watch, short events)
{
	(void)events;
	run_slirp((struct user_net *)((char *)watch -
				      offsetof(struct user_net, watch)));
}

static void time_came(struct reactor_timer *timer)
{
	run_slirp((struct user_net *)((char *)timer -
				      offsetof(struct user_net, timer)));
}

/* ---- what libslirp needs ---- */

static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
	struct user_net *u = opaque;

	if (len <= NET_MAX_FRAME)
		net_back_in(u->nb, (uint8_t *)frame, (uint32_t)len, NULL);
	return (ssize_t)len;
}

static void guest_error(const char *text, void *opaque)
{
	(void)opaque;
	log_warn_limited("%s", text);
}

static int64_t clock_ns(void *opaque)
{
	(void)opaque;
	return (int64_t)reactor_now();
}

static void ignore_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void wants_refresh(void *opaque)
{
	struct user_net *u = opaque;

	reactor_post(u->nb->loop, &u->refresh);
}

/* libslirp has one: for the router advertisements of IPv6. */
struct user_timer {
	struct reactor_timer timer;
	struct user_net *u;
	SlirpTimerCb fn;
	void *opaque;
};

static void user_timer_came(struct reactor_timer *timer)
{
	struct user_timer *t = (struct user_timer *)timer;

	t->fn(t->opaque);
	reactor_post(t->u->nb->loop, &t->u->refresh);
}

static void *timer_new(SlirpTimerCb fn, void *fn_opaque, void *opaque)
{
	struct user_timer *t = calloc(1, sizeof(*t));

	if (!t)
		abort(); /* libslirp knows no failure */
	*t = (struct user_timer){ .timer.fn = user_timer_came, .u = opaque,
				  .fn = fn, .opaque = fn_opaque };
	return t;
}

static void timer_free(void *timer, void *opaque)
{
	struct user_timer *t = timer;
	struct user_net *u = opaque;

	reactor_timer_cancel(u->nb->loop, &t->timer);
	free(t);
}

/* `when` is in ms of our clock. */
static void timer_mod(void *timer, int64_t when, void *opaque)
{
	struct user_timer *t = timer;
	struct user_net *u = opaque;

	reactor_timer_arm(u->nb->loop, &t->timer, (uint64_t)when * NS_PER_MS);
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = ignore_fd,
	.notify = wants_refresh,
};

/* ---- the kind ---- */

/* Its MTU stays 1500, whatever the wire's: libslirp forgets the segment size
 * that a guest's SYN says, and would send TCP as long as its own MTU. */

static void user_out(struct net_back *nb, uint8_t *frame, uint32_t len,
		     const struct net_offload *o)
{
	struct user_net *u = nb->kind;

	(void)o;
	slirp_input(u->slirp, frame, (int)len);
	reactor_post(nb->loop, &u->refresh);
}

static const char *user_open(struct net_back *nb,
			     const struct net_option *option)
{
	const SlirpConfig config = {
		.version = 1,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(NETWORK),
		.vnetmask.s_addr = htonl(0xffffff00),
		.vhost.s_addr = htonl(NETWORK + 2),
		.vnameserver.s_addr = htonl(NETWORK + 3),
		.in6_enabled = true,
		.vprefix_addr6.s6_addr = { 0xfe, 0xc0 },
		.vprefix_len = 64,
		.vhost6.s6_addr = { 0xfe, 0xc0, [15] = 2 },
		.vnameserver6.s6_addr = { 0xfe, 0xc0, [15] = 3 },
		.vdhcp_start.s_addr = htonl(NETWORK + 15),
	};
	struct user_net *u = calloc(1, sizeof(*u));

	(void)option;
	if (!u)
		return "out of memory";
	u->nb = nb;
	u->refresh.fn = refresh;
	u->timer.fn = time_came;
	u->watch.fn = sockets_ready;
	u->watch.events = POLLIN;
	u->watch.fd = epoll_create1(EPOLL_CLOEXEC);
	if (u->watch.fd < 0) {
		free(u);
		return strerror(errno);
	}
	u->slirp = slirp_new(&config, &callbacks, u);
	if (!u->slirp) {
		close(u->watch.fd);
		free(u);
		return "libslirp does not start";
	}
	nb->kind = u;
	return NULL;
}

static void user_start(struct net_back *nb)
{
	struct user_net *u = nb->kind;

	loop_fd_add(nb->loop, &u->watch);
	reactor_post(nb->loop, &u->refresh);
}

static void user_close(struct net_back *nb)
{
	struct user_net *u = nb->kind;

	loop_fd_remove(nb->loop, &u->watch);
	reactor_timer_cancel(nb->loop, &u->timer);
	slirp_cleanup(u->slirp);
	close(u->watch.fd);
	free(u);
}

const struct net_kind_ops net_kind_user = {
	.open = user_open,
	.start = user_start,
	.out = user_out,
	.close = user_close,
};
