/* SPDX-License-Identifier: MIT */
/*
 * Uevents, theory of operation
 *
 * Owns: the process's one netlink socket for the kernel's device events, and
 * the list of disks that want to hear them. The kernel's drivers handle what
 * devices say (asynchronous events, hot removal) and announce the result here:
 *
 *	change, RESIZE=1             a block device has another size
 *	remove                       a namespace, a controller or a disk is gone
 *	change, NVME_EVENT=connected a controller works (again)
 *
 * Every subscriber gets every event and takes what is his by the device's
 * name: that can not be given away while he has the device open.
 *
 * Threads: the socket is read on the reactor that nvme_events_start() was
 * given; subscribers are called there, under the list's lock, so that who has
 * left is not called. Others wake that reactor by uevent_look().
 *
 * Failure answers: only the kernel is believed, messages that are malformed
 * are counted and dropped; when the socket overflowed, everybody looks for
 * himself.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/netlink.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "nvme.h"
#include "uevent.h"

LOG_MODULE("nvme");

#define MESSAGE_SIZE 8192 /* the kernel's are smaller than 2 KiB and a bit */
#define BURST 64	  /* messages read in one go */
#define KERNEL_GROUP 1
#define RECEIVE_BUFFER (1 << 20)

static void look_around(struct reactor_call *call);
static void readable(struct reactor_watch *watch);

static struct {
	pthread_mutex_t lock;
	struct uevent_source *sources;
	struct reactor *_Atomic reactor;
	struct reactor_watch watch;
	struct reactor_call call;
	int error; /* of adding the watch */
	_Atomic unsigned long long events, malformed, overflows;
} events = { .lock = PTHREAD_MUTEX_INITIALIZER,
	     .watch = { .fn = readable, .fd = -1 },
	     .call = { .fn = look_around } };

void uevent_dispatch(const char *message, size_t len)
{
	struct uevent event;

	if (!uevent_parse(message, len, &event)) {
		events.malformed++;
		return;
	}
	events.events++;
	pthread_mutex_lock(&events.lock);
	for (struct uevent_source *s = events.sources; s; s = s->next)
		s->fn(s, &event);
	pthread_mutex_unlock(&events.lock);
}

/* ---- the socket ---- */

/* False: nothing more to read now. */
static bool receive(int fd)
{
	static char message[MESSAGE_SIZE]; /* one reactor reads */
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { message, sizeof(message) };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from),
			      .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < 0 && errno == ENOBUFS) {
		events.overflows++;
		log_warn_limited("device events were lost");
		pthread_mutex_lock(&events.lock);
		for (struct uevent_source *s = events.sources; s; s = s->next)
			s->fn(s, NULL);
		pthread_mutex_unlock(&events.lock);
		return true;
	}
	if (n < 0)
		return errno == EINTR;
	if (from.nl_pid || msg.msg_flags & MSG_TRUNC)
		events.malformed++;
	else
		uevent_dispatch(message, (size_t)n);
	return true;
}

static void readable(struct reactor_watch *watch)
{
	for (int i = 0; i < BURST && receive(watch->fd); i++)
		;
}

static int open_socket(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK,
				       .nl_groups = KERNEL_GROUP };
	int size = RECEIVE_BUFFER, err;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static void add_watch(void *arg)
{
	events.error = reactor_watch_add(arg, &events.watch);
}

static void remove_watch(void *arg)
{
	reactor_watch_remove(arg, &events.watch);
}

int nvme_events_start(struct reactor *r)
{
	int fd;

	pv_bug(atomic_load(&events.reactor), 0, 0);
	fd = open_socket();
	if (fd < 0) {
		log_err("socket for device events: %s", strerror(-fd));
		return fd;
	}
	events.watch.fd = fd;
	reactor_run(r, add_watch, r);
	if (events.error) {
		log_err("watch on device events: %s", strerror(-events.error));
		close(fd);
		return events.error;
	}
	atomic_store(&events.reactor, r);
	return 0;
}

void nvme_events_stop(void)
{
	struct reactor *r = atomic_exchange(&events.reactor, NULL);

	if (!r)
		return;
	reactor_run(r, remove_watch, r);
	close(events.watch.fd);
	events.watch.fd = -1;
}

void nvme_events_describe(void *object, struct inspect *out)
{
	(void)object;
	inspect_u64(out, "events", events.events);
	inspect_u64(out, "malformed", events.malformed);
	inspect_u64(out, "overflows", events.overflows);
}

/* ---- subscribers ---- */

struct reactor *uevent_reactor(void)
{
	return atomic_load(&events.reactor);
}

void uevent_subscribe(struct uevent_source *source)
{
	pthread_mutex_lock(&events.lock);
	source->next = events.sources;
	events.sources = source;
	pthread_mutex_unlock(&events.lock);
}

void uevent_unsubscribe(struct uevent_source *source)
{
	struct uevent_source **at = &events.sources;

	pthread_mutex_lock(&events.lock);
	while (*at && *at != source)
		at = &(*at)->next;
	if (*at)
		*at = source->next;
	pthread_mutex_unlock(&events.lock);
}

void uevent_visit(struct uevent_source *source,
		  void (*fn)(struct uevent_source *source))
{
	pthread_mutex_lock(&events.lock);
	for (struct uevent_source *s = events.sources; s; s = s->next)
		if (s == source)
			fn(s);
	pthread_mutex_unlock(&events.lock);
}

static void look_around(struct reactor_call *call)
{
	(void)call;
	pthread_mutex_lock(&events.lock);
	for (struct uevent_source *s = events.sources; s; s = s->next)
		if (atomic_exchange(&s->look, false))
			s->fn(s, NULL);
	pthread_mutex_unlock(&events.lock);
}

void uevent_look(struct uevent_source *source)
{
	struct reactor *r = uevent_reactor();

	atomic_store(&source->look, true);
	if (r)
		reactor_post(r, &events.call);
}
