/* SPDX-License-Identifier: MIT */
/*
 * Device thread, theory of operation
 *
 * Owns: the list of watched descriptors, the timers and the queue of posted
 * calls, both those of every reactor (paravisor/reactor_calls.h). One turn of
 * the loop:
 *
 *	posted calls -> expired timers -> poll(2) -> descriptors that are ready
 *
 * Threads: only the queue of calls and the stop flag are touched by others.
 * The first poster after the loop took the queue writes the eventfd; that
 * descriptor is part of every poll, so a call posted at any moment ends the
 * sleep.
 *
 * A handler may remove descriptors while their results wait to be looked at:
 * removal clears the result slot of the turn in progress.
 *
 * Failure answers: poll(2) can fail here only through a bug of ours (EFAULT,
 * EINVAL) or for want of memory; the loop then sleeps a little and tries
 * again, since stopping it would take every device with it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <pv/log.h>

#include "loop.h"
#include "paravisor/reactor_calls.h"
#include "paravisor/reactor_timers.h"

LOG_MODULE("loop");

#define MAX_FDS 256
#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS 1000000ull
#define RETRY_MS 100

struct reactor {
	pthread_t thread; /* valid once running is set */
	atomic_bool running, stop;
	int wake_fd;
	struct reactor_calls calls;
	struct reactor_timers timers;
	struct loop_fd *fds;
	unsigned int nr_fds;

	/* The turn in progress: slot i of both belongs together. */
	struct pollfd polls[MAX_FDS + 1];
	struct loop_fd *polled[MAX_FDS + 1];
	unsigned int nr_polled;
};

struct reactor *loop_create(void)
{
	struct reactor *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_destroy(struct reactor *loop)
{
	close(loop->wake_fd);
	free(loop);
}

static void loop_wake(struct reactor *loop)
{
	uint64_t one = 1;

	/* EAGAIN means that the counter is full: it is readable already. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_err("eventfd: %s", strerror(errno));
}

void loop_stop(struct reactor *loop)
{
	atomic_store(&loop->stop, true);
	loop_wake(loop);
}

bool reactor_is_current(const struct reactor *loop)
{
	return atomic_load(&loop->running) &&
	       pthread_equal(loop->thread, pthread_self());
}

uint64_t reactor_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Posted calls. */

void reactor_post(struct reactor *loop, struct reactor_call *call)
{
	if (reactor_calls_push(&loop->calls, call))
		loop_wake(loop);
}

void reactor_run(struct reactor *loop, void (*fn)(void *arg), void *arg)
{
	if (reactor_is_current(loop))
		fn(arg);
	else
		reactor_calls_wait(loop, fn, arg, NULL);
}

/* Timers. */

void reactor_timer_arm(struct reactor *loop, struct reactor_timer *timer,
		       uint64_t deadline)
{
	reactor_timers_arm(&loop->timers, timer, deadline);
}

void reactor_timer_cancel(struct reactor *loop, struct reactor_timer *timer)
{
	reactor_timers_cancel(&loop->timers, timer);
}

static int poll_timeout(const struct reactor *loop)
{
	uint64_t now, left_ms;

	if (atomic_load(&loop->calls.newest) || atomic_load(&loop->stop))
		return 0;
	if (!loop->timers.first)
		return -1;
	now = reactor_now();
	if (loop->timers.first->deadline <= now)
		return 0;
	/* Rounded up: waking early would only mean to poll again. */
	left_ms = (loop->timers.first->deadline - now - 1) / NS_PER_MS + 1;
	return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

/* Descriptors. */

void loop_fd_add(struct reactor *loop, struct loop_fd *watch)
{
	pv_bug(loop->nr_fds >= MAX_FDS, loop->nr_fds, MAX_FDS);
	watch->next = loop->fds;
	loop->fds = watch;
	loop->nr_fds++;
}

void loop_fd_remove(struct reactor *loop, struct loop_fd *watch)
{
	struct loop_fd **at = &loop->fds;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = watch->next;
	loop->nr_fds--;
	for (unsigned int i = 0; i < loop->nr_polled; i++)
		if (loop->polled[i] == watch)
			loop->polled[i] = NULL;
}

static void poll_fds(struct reactor *loop)
{
	unsigned int n = 0;
	uint64_t count;

	for (struct loop_fd *watch = loop->fds; watch; watch = watch->next) {
		loop->polled[n] = watch;
		loop->polls[n] = (struct pollfd){ .fd = watch->fd,
						  .events = watch->events };
		n++;
	}
	loop->nr_polled = n;
	loop->polls[n] = (struct pollfd){ .fd = loop->wake_fd,
					  .events = POLLIN };
	if (poll(loop->polls, n + 1, poll_timeout(loop)) < 0) {
		loop->nr_polled = 0;
		if (errno == EINTR)
			return;
		log_warn_limited("poll: %s", strerror(errno));
		usleep(RETRY_MS * 1000);
		return;
	}
	if (loop->polls[n].revents &&
	    read(loop->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_err("eventfd: %s", strerror(errno));
	for (unsigned int i = 0; i < n; i++)
		if (loop->polls[i].revents && loop->polled[i])
			loop->polled[i]->fn(loop->polled[i],
					    loop->polls[i].revents);
	loop->nr_polled = 0;
}

void loop_run(struct reactor *loop)
{
	loop->thread = pthread_self();
	atomic_store(&loop->running, true);
	while (!atomic_load(&loop->stop)) {
		reactor_calls_run(&loop->calls);
		reactor_timers_expire(&loop->timers, reactor_now());
		poll_fds(loop);
	}
	reactor_calls_run(&loop->calls);
	atomic_store(&loop->running, false);
}
