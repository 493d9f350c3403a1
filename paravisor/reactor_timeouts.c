/* SPDX-License-Identifier: MIT */
/*
 * A reactor's timeouts, theory of operation
 *
 * One that the kernel has, and that comes no later than the soonest timer, is
 * enough: a timer needs none of its own. A sooner timer takes another, so that
 * the one before need not be moved there and, when it was for nothing or is
 * over, back. If all are taken the last to come is moved.
 *
 *	free ---- wake_at ---> armed ---- pass ----> over
 *	  ^                      |                     |
 *	  `----- completion -----'----- completion ----'
 *
 * When its time has come its completion is still to be fetched, by a system
 * call. The timers do not wait for that: what they do has mostly something to
 * submit, and the call that does so fetches it along with the rest.
 *
 * Failure answers: where the kernel takes no entry, the caller hears of it.
 */
#include <string.h>

#include "reactor_timeouts.h"

#define NS_PER_SECOND 1000000000ull

static void completed(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct reactor_timeout *timeout = (struct reactor_timeout *)op;

	(void)res;
	(void)extra;
	timeout->armed = false;
}

void reactor_timeouts_init(struct reactor_timeouts *t)
{
	memset(t, 0, sizeof(*t));
	for (unsigned int i = 0; i < REACTOR_TIMEOUTS; i++)
		t->timeout[i].op.done = completed;
}

uint64_t reactor_timeouts_soonest(const struct reactor_timeouts *t)
{
	uint64_t soonest = UINT64_MAX;

	for (unsigned int i = 0; i < REACTOR_TIMEOUTS; i++) {
		const struct reactor_timeout *timeout = &t->timeout[i];

		if (timeout->armed && !timeout->over &&
		    timeout->deadline < soonest)
			soonest = timeout->deadline;
	}
	return soonest;
}

/* A free one, or else the last to come; NULL: all are over. */
static struct reactor_timeout *choose(struct reactor_timeouts *t)
{
	struct reactor_timeout *last = NULL;

	for (unsigned int i = 0; i < REACTOR_TIMEOUTS; i++) {
		struct reactor_timeout *timeout = &t->timeout[i];

		if (!timeout->armed)
			return timeout;
		if (!timeout->over &&
		    (!last || timeout->deadline > last->deadline))
			last = timeout;
	}
	return last;
}

bool reactor_timeouts_wake_at(struct reactor_timeouts *t, struct ring *ring,
			      uint64_t deadline)
{
	struct reactor_timeout *timeout;
	struct io_uring_sqe *sqe;

	if (reactor_timeouts_soonest(t) <= deadline)
		return true;
	timeout = choose(t);
	if (!timeout)
		return false;
	sqe = ring_sqe(ring, timeout->armed ? NULL : &timeout->op);
	if (!sqe)
		return false;
	timeout->at.tv_sec = (long long)(deadline / NS_PER_SECOND);
	timeout->at.tv_nsec = (long long)(deadline % NS_PER_SECOND);
	/* An update may find that the timeout has just passed: good, too. */
	if (timeout->armed)
		io_uring_prep_timeout_update(sqe, &timeout->at,
					     (uintptr_t)&timeout->op,
					     IORING_TIMEOUT_ABS);
	else
		io_uring_prep_timeout(sqe, &timeout->at, 0,
				      IORING_TIMEOUT_ABS);
	timeout->deadline = deadline;
	timeout->armed = true;
	timeout->over = false;
	return true;
}

void reactor_timeouts_pass(struct reactor_timeouts *t, uint64_t now)
{
	for (unsigned int i = 0; i < REACTOR_TIMEOUTS; i++)
		t->timeout[i].over = t->timeout[i].deadline <= now;
}
