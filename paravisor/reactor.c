/* SPDX-License-Identifier: MIT */
/*
 * Reactor, theory of operation
 *
 * Owns: a ring (reactor_ring.c), an eventfd, an epoll set, the posted calls,
 * the timers (sorted by deadline) and the watches of one thread.
 *
 * A pass runs in rounds until nothing is left or its budget is spent:
 *
 *	posted calls -> expired timers -> io_uring_enter -> completions
 *
 * Everything that can be due shows in memory (the queue of calls, the flags
 * of the ring), so a pass with nothing to do costs a few loads.
 *
 * What wakes the thread, all of it by one poll file, the epoll set:
 *
 *	other threads     write the eventfd, once per batch of calls
 *	device, timer     the kernel signals the eventfd (io_uring)
 *	watched fd        is in the epoll set itself
 *
 * The last line is there because io_uring puts the signal for a poll request
 * off until the end of an RCU grace period, which takes milliseconds while
 * VTL0 runs. The poll request itself is what a pass sees. It is one-shot and
 * made anew after fn(), so that a watch is called as long as its descriptor
 * is readable; its SQE rides on the io_uring_enter of the pass.
 *
 * Timers: io_uring timeouts stand for the soonest of them (reactor_timeouts.c). A
 * timerfd would cost two system calls per use. While the kernel has nothing for
 * us no timer can be due, so that the clock is not read either.
 *
 * Threads: others touch the queue of calls (reactor_calls.c), the stop flag and
 * the eventfd.
 *
 * Failure answers: when the kernel refuses entries for want of memory, what
 * could not be queued stays marked and the pass reports work left; the thread
 * is then woken again after a slice of the guest's, so that neither the work nor
 * the guest starves. To ask for that is a system call, which on a slow machine
 * takes longer than a slice: such a slice never was, and the next is twice as
 * long, until a pass leaves nothing.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <pv/log.h>

#include "reactor.h"
#include "reactor_calls.h"
#include "reactor_ring.h"
#include "reactor_timeouts.h"
#include "reactor_timers.h"

LOG_MODULE("reactor");

#define NS_PER_SECOND 1000000000ull
/* Calls and completions of one pass: tens of microseconds of work. */
#define PASS_BUDGET 256
#define PASS_ROUNDS 16
/* How long VTL0 runs when a pass left work: a slice, and longer ones where they
 * are over before VTL0 can begin. */
#define GUEST_SLICE_NS 100000ull
#define GUEST_SLICE_LONGEST_NS (GUEST_SLICE_NS << 8)
#define MAX_WATCHES 64

/* A watch's poll request; the kernel may know it longer than the watch is. */
struct watch_slot {
	struct uring_op op; /* first */
	struct reactor *reactor;
	struct reactor_watch *watch; /* NULL: removed */
	bool polling;		     /* the request is outstanding */
	bool cancelling;
};

struct reactor {
	unsigned int vp;
	int wake_fd, poll_fd;
	bool open;
	bool work_left; /* of the last pass */
	atomic_bool stop;
	struct reactor_calls calls;

	struct reactor_timers timers;
	struct reactor_timeouts timeouts;
	uint64_t slice; /* of the guest's, when a pass leaves work */

	struct watch_slot watch[MAX_WATCHES];
	bool watches_unsettled; /* some slot could not get its SQE */

	struct reactor_counters counters;
	struct ring ring;
};

static __thread struct reactor *current;

static void poll_done(struct uring_op *op, int32_t res, uint64_t extra);

struct reactor *reactor_create(unsigned int vp)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct reactor *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return NULL;
	r->vp = vp;
	reactor_timeouts_init(&r->timeouts);
	r->slice = GUEST_SLICE_NS;
	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		r->watch[i].op.done = poll_done;
		r->watch[i].reactor = r;
	}
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0)
		goto out_free;
	r->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->poll_fd < 0)
		goto out_wake_fd;
	if (epoll_ctl(r->poll_fd, EPOLL_CTL_ADD, r->wake_fd, &event) < 0)
		goto out_poll_fd;
	return r;
out_poll_fd:
	err = errno;
	close(r->poll_fd);
	errno = err;
out_wake_fd:
	err = errno;
	close(r->wake_fd);
	errno = err;
out_free:
	err = errno;
	free(r);
	errno = err;
	return NULL;
}

void reactor_destroy(struct reactor *r)
{
	pv_bug(r->open, r->vp, r->open);
	close(r->poll_fd);
	close(r->wake_fd);
	free(r);
}

int reactor_open(struct reactor *r, const struct guest_memory *memory,
		 struct reactor *first)
{
	int err;

	pv_bug(current || r->open, current ? current->vp : r->vp, r->vp);
	err = ring_open(&r->ring, r->wake_fd, &r->counters);
	if (err)
		return err;
	if (memory && first)
		ring_clone(&r->ring, &first->ring);
	else if (memory)
		ring_register(&r->ring, memory);
	r->open = true;
	current = r;
	return 0;
}

void reactor_close(struct reactor *r)
{
	pv_bug(current != r, current ? current->vp : 0, r->vp);
	ring_close(&r->ring);
	r->open = false;
	current = NULL;
}

int reactor_poll_fd(const struct reactor *r)
{
	return r->poll_fd;
}

bool reactor_is_current(const struct reactor *r)
{
	return r == current;
}

uint64_t reactor_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

void reactor_wake(struct reactor *r)
{
	uint64_t one = 1;

	atomic_fetch_add_explicit(&r->counters.wakes, 1, memory_order_relaxed);
	/* EAGAIN means that the counter is full: then it wakes, too. */
	if (write(r->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_err("eventfd: %s", strerror(errno));
}

void reactor_stop(struct reactor *r)
{
	atomic_store(&r->stop, true);
	reactor_wake(r);
}

bool reactor_stopping(const struct reactor *r)
{
	return atomic_load(&r->stop);
}

/* Posted calls. */

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	/* Its own thread runs a pass before it sleeps or enters VTL0. */
	if (reactor_calls_push(&r->calls, call) && r != current)
		reactor_wake(r);
}

/* A call that another thread waits for. Passes are read behind the posting: a
 * thread that is delayed in between must not look like a reactor that is. */
struct asked {
	struct reactor *reactor;
	void (*fn)(void *arg);
	void *arg;
	uint64_t at;
	_Atomic uint64_t passes; /* when it was posted; 0: just now */
};

static void asked_posted(void *arg)
{
	struct asked *a = arg;

	atomic_store(&a->passes, atomic_load_explicit(
		&a->reactor->counters.passes, memory_order_relaxed));
}

static void run_asked(void *arg)
{
	struct asked *a = arg;
	struct reactor_counters *c = &a->reactor->counters;
	uint64_t posted = atomic_load(&a->passes), begun = reactor_now(), end;

	c->asked++;
	if (posted && c->passes - posted > 1)
		c->asked_late++;
	a->fn(a->arg);
	end = reactor_now();
	if (end - a->at > c->asked_longest_ns)
		c->asked_longest_ns = end - a->at;
	if (end - begun > c->asked_held_ns)
		c->asked_held_ns = end - begun;
}

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	struct asked asked = { .reactor = r, .fn = fn, .arg = arg };

	if (reactor_is_current(r)) {
		fn(arg);
		return;
	}
	pv_bug(current, current->vp, r->vp); /* two could wait for each other */
	asked.at = reactor_now();
	reactor_calls_wait(r, run_asked, &asked, asked_posted);
}

/* Timers. */

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	reactor_timers_arm(&r->timers, timer, deadline);
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	reactor_timers_cancel(&r->timers, timer);
}

/* Does the kernel wake us for the soonest of them? */
static bool timers_are_covered(const struct reactor *r)
{
	return !r->timers.first || reactor_timeouts_soonest(&r->timeouts) <=
					   r->timers.first->deadline;
}

static void run_timers(struct reactor *r)
{
	uint64_t now;

	if (!r->timers.first ||
	    (timers_are_covered(r) && !ring_has_completed(&r->ring)))
		return;
	now = reactor_now();
	reactor_timeouts_pass(&r->timeouts, now);
	r->counters.timers += reactor_timers_expire(&r->timers, now);
}

static bool wake_at(struct reactor *r, uint64_t deadline)
{
	return reactor_timeouts_wake_at(&r->timeouts, &r->ring, deadline);
}

/* Watches. */

/* Makes the kernel's idea of a slot what ours is. */
static void settle(struct watch_slot *slot)
{
	struct reactor *r = slot->reactor;
	bool want = slot->watch != NULL;
	struct io_uring_sqe *sqe;

	if (want == slot->polling || slot->cancelling)
		return;
	sqe = ring_sqe(&r->ring, want ? &slot->op : NULL);
	if (!sqe) {
		r->watches_unsettled = true;
		return;
	}
	if (want) {
		io_uring_prep_poll_add(sqe, slot->watch->fd, POLLIN);
		slot->polling = true;
	} else {
		io_uring_prep_poll_remove(sqe, (uintptr_t)&slot->op);
		slot->cancelling = true;
	}
}

static void poll_done(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct watch_slot *slot = (struct watch_slot *)op;

	(void)extra;
	slot->polling = false;
	slot->cancelling = false;
	if (!slot->watch)
		return;
	if (res < 0) {
		/* Closed before it was removed: nobody would come back. */
		log_err("VP %u: watched descriptor %d: %s", slot->reactor->vp,
			slot->watch->fd, strerror(-res));
		return;
	}
	slot->watch->fn(slot->watch);
	/* fn may have removed the watch, and even put another in its place. */
	settle(slot);
}

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct watch_slot *slot = r->watch;

	pv_bug(r != current, r->vp, watch->fd);
	/* A slot stays taken until the kernel has forgotten its request. */
	while (slot < r->watch + MAX_WATCHES && (slot->watch || slot->polling))
		slot++;
	if (slot == r->watch + MAX_WATCHES)
		return -EMFILE;
	if (epoll_ctl(r->poll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	slot->watch = watch;
	settle(slot);
	return 0;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	pv_bug(r != current, r->vp, watch->fd);
	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		struct watch_slot *slot = &r->watch[i];

		if (slot->watch != watch)
			continue;
		slot->watch = NULL;
		epoll_ctl(r->poll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		settle(slot);
	}
}

static void settle_watches(struct reactor *r)
{
	r->watches_unsettled = false;
	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		settle(&r->watch[i]);
}

/* The pass. */

static bool work_due(const struct reactor *r)
{
	return atomic_load(&r->calls.newest) || ring_due(&r->ring) ||
	       ring_has_completed(&r->ring) || r->watches_unsettled;
}

/* Work is left, and VTL0 has a slice, or less if there is a timer. Asked for at
 * once: the next pass may be long in coming. */
static void begin_slice(struct reactor *r)
{
	uint64_t end = reactor_now() + r->slice, until = end;
	bool asked;

	if (r->timers.first && r->timers.first->deadline < until)
		until = r->timers.first->deadline;
	asked = wake_at(r, until);
	/* The kernel takes some of what has completed at a time, and signals
	 * only what comes when it has taken all. */
	for (unsigned int i = 0; i < PASS_ROUNDS && ring_due(&r->ring); i++)
		asked &= ring_enter(&r->ring) == 0;
	if (asked && !ring_due(&r->ring) &&
	    reactor_now() < reactor_timeouts_soonest(&r->timeouts))
		return;
	/* Too late: what expires within that call wakes nobody (ring_enter()). */
	reactor_wake(r);
	if (reactor_timeouts_soonest(&r->timeouts) == end &&
	    r->slice < GUEST_SLICE_LONGEST_NS)
		r->slice *= 2;
}

bool reactor_pass(struct reactor *r)
{
	unsigned int done = 0, rounds = 0, ran;
	bool refused = false;

	/* Read by others, written here alone: no locked instruction. */
	atomic_store_explicit(&r->counters.passes, r->counters.passes + 1,
			      memory_order_relaxed);
	for (;;) {
		ran = reactor_calls_run(&r->calls);
		r->counters.calls += ran;
		done += ran;
		run_timers(r);
		if (r->watches_unsettled)
			settle_watches(r);
		if (r->timers.first && !wake_at(r, r->timers.first->deadline))
			refused = true;
		if (ring_due(&r->ring) && ring_enter(&r->ring))
			refused = true;
		if (done < PASS_BUDGET)
			done += ring_reap(&r->ring, PASS_BUDGET - done);
		if (!work_due(r) && timers_are_covered(r))
			break;
		if (refused || done >= PASS_BUDGET || ++rounds == PASS_ROUNDS)
			goto out_work_left;
	}
	r->work_left = false;
	r->slice = GUEST_SLICE_NS;
	return false;
out_work_left:
	r->counters.over_budget++;
	r->work_left = true;
	begin_slice(r);
	return true;
}

void reactor_wait(struct reactor *r, uint64_t deadline)
{
	struct pollfd poll_file = { .fd = r->poll_fd, .events = POLLIN };
	struct timespec timeout, *limit = NULL;
	uint64_t count;

	if (r->work_left || work_due(r))
		return;
	if (deadline != UINT64_MAX) {
		uint64_t now = reactor_now();
		uint64_t left = deadline > now ? deadline - now : 0;

		timeout.tv_sec = (time_t)(left / NS_PER_SECOND);
		timeout.tv_nsec = (long)(left % NS_PER_SECOND);
		limit = &timeout;
	}
	r->counters.waits++;
	if (ppoll(&poll_file, 1, limit, NULL) <= 0)
		return;
	r->counters.waits++;
	/* EAGAIN: it was a watched descriptor. */
	if (read(r->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_err("eventfd: %s", strerror(errno));
}

void reactor_loop(struct reactor *r)
{
	for (;;) {
		bool more = reactor_pass(r);

		if (reactor_stopping(r) && !more)
			return;
		if (!more)
			reactor_wait(r, UINT64_MAX);
	}
}

/* What backends and inspect see. */

struct io_uring_sqe *uring_sqe(struct reactor *r, struct uring_op *op)
{
	pv_bug(r != current, r->vp, 0);
	return ring_sqe(&r->ring, op);
}

int uring_buffer(const struct reactor *r, const void *va, uint64_t len)
{
	return ring_buffer(&r->ring, va, len);
}

const struct reactor_counters *reactor_counters(const struct reactor *r)
{
	return &r->counters;
}

void reactor_describe(void *reactor, struct inspect *out)
{
	struct reactor *r = reactor;

	inspect_u64(out, "passes", r->counters.passes);
	inspect_u64(out, "enters", r->counters.enters);
	inspect_u64(out, "sqes", r->counters.sqes);
	inspect_u64(out, "cqes", r->counters.cqes);
	inspect_u64(out, "calls", r->counters.calls);
	inspect_u64(out, "timers", r->counters.timers);
	inspect_u64(out, "over_budget", r->counters.over_budget);
	inspect_u64(out, "waits", r->counters.waits);
	inspect_u64(out, "wakes", atomic_load(&r->counters.wakes));
	inspect_u64(out, "registered_buffers", r->ring.nr_buffers);
	inspect_u64(out, "asked", r->counters.asked);
	inspect_u64(out, "asked_late", r->counters.asked_late);
	inspect_u64(out, "asked_longest_ns", r->counters.asked_longest_ns);
	inspect_u64(out, "asked_held_ns", r->counters.asked_held_ns);
}
