/* SPDX-License-Identifier: MIT */
/*
 * Device thread, theory of operation
 *
 * Owns: the list of watched descriptors, the timers (a list sorted by
 * deadline; vmm has a handful) and the queue of posted calls. One turn of the
 * loop:
 *
 *	posted calls -> expired timers -> poll(2) -> descriptors that are ready
 *
 * Threads: only the queue of calls and the stop flag are touched by others.
 * The queue is a stack that posters push on with a compare-and-swap and the
 * loop takes whole and reverses, so calls run in the order they were posted.
 * The first poster after a take writes the eventfd; that descriptor is part
 * of every poll, so a call posted at any moment ends the sleep.
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

LOG_MODULE("loop");

#define MAX_FDS 256
#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS 1000000ull
#define RETRY_MS 100

struct reactor {
	pthread_t thread; /* valid once running is set */
	atomic_bool running, stop;
	int wake_fd;
	struct reactor_call *_Atomic calls; /* newest first */

	struct reactor_timer *timers; /* soonest first */
	uint64_t expired_until;	      /* deadlines up to here had their turn */
	struct loop_fd *fds;
	unsigned int nr_fds;

	/* The turn in progress: slot i of both belongs together. */
	struct pollfd polls[MAX_FDS + 1];
	struct loop_fd *polled[MAX_FDS + 1];
	unsigned int nr_polled;
};

/*
 * An end marker instead of NULL: an empty queue is NULL, so the poster who
 * finds NULL knows that it has to wake the loop.
 */
static struct reactor_call queue_end;

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
	struct reactor_call *head;

	if (atomic_exchange(&call->queued, true))
		return;
	head = atomic_load(&loop->calls);
	do
		call->next = head ? head : &queue_end;
	while (!atomic_compare_exchange_weak(&loop->calls, &head, call));
	if (!head)
		loop_wake(loop);
}

static void run_calls(struct reactor *loop)
{
	struct reactor_call *call = atomic_exchange(&loop->calls, NULL);
	struct reactor_call *ordered = &queue_end, *next;

	for (; call && call != &queue_end; call = next) {
		next = call->next;
		call->next = ordered;
		ordered = call;
	}
	for (call = ordered; call != &queue_end; call = next) {
		next = call->next;
		/* From here on it may be posted again, or freed by fn. */
		atomic_store(&call->queued, false);
		call->fn(call);
	}
}

struct waited_call {
	struct reactor_call call;
	void (*fn)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t done_changed;
	bool done;
};

static void run_waited(struct reactor_call *call)
{
	struct waited_call *waited = (struct waited_call *)call;

	waited->fn(waited->arg);
	pthread_mutex_lock(&waited->lock);
	waited->done = true;
	pthread_cond_signal(&waited->done_changed);
	pthread_mutex_unlock(&waited->lock);
}

void reactor_run(struct reactor *loop, void (*fn)(void *arg), void *arg)
{
	struct waited_call waited = {
		.call = { .fn = run_waited },
		.fn = fn,
		.arg = arg,
	};

	if (reactor_is_current(loop)) {
		fn(arg);
		return;
	}
	pthread_mutex_init(&waited.lock, NULL);
	pthread_cond_init(&waited.done_changed, NULL);
	reactor_post(loop, &waited.call);
	pthread_mutex_lock(&waited.lock);
	while (!waited.done)
		pthread_cond_wait(&waited.done_changed, &waited.lock);
	pthread_mutex_unlock(&waited.lock);
	pthread_cond_destroy(&waited.done_changed);
	pthread_mutex_destroy(&waited.lock);
}

/* Timers. */

void reactor_timer_arm(struct reactor *loop, struct reactor_timer *timer,
		       uint64_t deadline)
{
	struct reactor_timer **at = &loop->timers;

	reactor_timer_cancel(loop, timer);
	/* A timer that arms itself in the past waits for the next turn: the
	 * descriptors get theirs in between. */
	if (deadline <= loop->expired_until)
		deadline = loop->expired_until + 1;
	/* Behind its equals, so that equal deadlines expire as armed. */
	while (*at && (*at)->deadline <= deadline)
		at = &(*at)->next;
	timer->deadline = deadline;
	timer->next = *at;
	timer->armed = true;
	*at = timer;
}

void reactor_timer_cancel(struct reactor *loop, struct reactor_timer *timer)
{
	struct reactor_timer **at = &loop->timers;

	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

static void run_timers(struct reactor *loop, uint64_t now)
{
	struct reactor_timer *timer;

	loop->expired_until = now;
	while ((timer = loop->timers) && timer->deadline <= now) {
		loop->timers = timer->next;
		timer->armed = false;
		timer->fn(timer);
	}
}

static int poll_timeout(const struct reactor *loop)
{
	uint64_t now, left_ms;

	if (atomic_load(&loop->calls) || atomic_load(&loop->stop))
		return 0;
	if (!loop->timers)
		return -1;
	now = reactor_now();
	if (loop->timers->deadline <= now)
		return 0;
	/* Rounded up: waking early would only mean to poll again. */
	left_ms = (loop->timers->deadline - now - 1) / NS_PER_MS + 1;
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
		run_calls(loop);
		run_timers(loop, reactor_now());
		poll_fds(loop);
	}
	run_calls(loop);
	atomic_store(&loop->running, false);
}
