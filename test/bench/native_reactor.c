/* SPDX-License-Identifier: MIT */
/*
 * Reactor of bench_native, theory of operation
 *
 * What test/unit/reactor_inline.h promises, with nothing to find a call: one
 * queue for all reactors. A call of a reactor is where the product is entered,
 * so collection is on while one runs, and off while it posts another: posting
 * is the business of a reactor, and this one is not the daemon's.
 *
 * Time stands still; a timer is armed and never expires.
 *
 * Threads: none. Failure answers: abort.
 */
#include <stdlib.h>

#include "test/bench/native.h"
#include "test/unit/reactor_inline.h"

struct reactor {
	struct reactor_call *first, **last;
	struct reactor *next; /* with calls, in turn */
	bool waiting;
};

static struct reactor *turn, **turn_last = &turn, *current;

struct reactor *reactor_inline_create(void)
{
	struct reactor *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->last = &r->first;
	return r;
}

void reactor_inline_destroy(struct reactor *r)
{
	if (r->first)
		abort();
	free(r);
}

static void take_turn(struct reactor *r)
{
	r->waiting = true;
	r->next = NULL;
	*turn_last = r;
	turn_last = &r->next;
}

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	bool counting = bench_count(false);

	if (!atomic_exchange(&call->queued, true)) {
		call->next = NULL;
		*r->last = call;
		r->last = &call->next;
		if (!r->waiting)
			take_turn(r);
	}
	bench_count(counting);
}

bool reactor_is_current(const struct reactor *r)
{
	return r == current;
}

bool reactor_inline_step(void)
{
	struct reactor *r = turn;
	struct reactor_call *call;

	if (!r)
		return false;
	call = r->first;
	turn = r->next;
	if (!turn)
		turn_last = &turn;
	r->waiting = false;
	r->first = call->next;
	if (!r->first)
		r->last = &r->first;
	else
		take_turn(r);
	atomic_store(&call->queued, false);
	current = r;
	bench_count(true);
	call->fn(call);
	bench_count(false);
	current = NULL;
	return true;
}

void reactor_inline_drain(void)
{
	while (reactor_inline_step())
		;
}

uint64_t reactor_now(void)
{
	return 1;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	(void)r;
	timer->deadline = deadline;
	timer->armed = true;
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	(void)r;
	timer->armed = false;
}

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	struct reactor *outer = current;

	current = r;
	fn(arg);
	current = outer;
}
