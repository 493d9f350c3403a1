/* SPDX-License-Identifier: MIT */
/*
 * Inline reactor, theory of operation
 *
 * All reactors of the process stand in one table. Draining goes round it and
 * runs one call of each reactor in turn, so calls of two reactors interleave
 * as those of two threads could, and always in the same way. While a call
 * runs, its reactor is the current one.
 *
 * Threads: none. Failure answers: abort, with a line that says why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/unit/reactor_inline.h"

#define MAX_REACTORS 64
#define MAX_STEPS 1000000

struct reactor {
	struct reactor_call *first, **last;
	struct reactor_timer *timers; /* soonest first */
	unsigned int slot;
};

static struct reactor *reactors[MAX_REACTORS];
static struct reactor *current;
static unsigned int turn;
static uint64_t now = 1;

static _Noreturn void die(const char *why)
{
	fprintf(stderr, "inline reactor: %s\n", why);
	abort();
}

struct reactor *reactor_inline_create(void)
{
	struct reactor *r = calloc(1, sizeof(*r));

	if (!r)
		die("no memory");
	while (r->slot < MAX_REACTORS && reactors[r->slot])
		r->slot++;
	if (r->slot == MAX_REACTORS)
		die("too many reactors");
	reactors[r->slot] = r;
	r->last = &r->first;
	return r;
}

void reactor_inline_destroy(struct reactor *r)
{
	if (r->first)
		die("destroyed with calls queued");
	if (r->timers)
		die("destroyed with timers armed");
	reactors[r->slot] = NULL;
	free(r);
}

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	if (atomic_exchange(&call->queued, true))
		return;
	call->next = NULL;
	*r->last = call;
	r->last = &call->next;
}

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	struct reactor *outer = current;

	current = r;
	fn(arg);
	current = outer;
}

bool reactor_is_current(const struct reactor *r)
{
	return r == current;
}

bool reactor_inline_step(void)
{
	for (unsigned int i = 0; i < MAX_REACTORS; i++) {
		struct reactor *r = reactors[turn++ % MAX_REACTORS];
		struct reactor_call *call = r ? r->first : NULL;

		if (!call)
			continue;
		r->first = call->next;
		if (!r->first)
			r->last = &r->first;
		atomic_store(&call->queued, false);
		current = r;
		call->fn(call);
		current = NULL;
		return true;
	}
	return false;
}

void reactor_inline_drain(void)
{
	for (unsigned int steps = 0; reactor_inline_step(); steps++)
		if (steps == MAX_STEPS)
			die("calls post each other for ever");
}

uint64_t reactor_now(void)
{
	return now;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	struct reactor_timer **at = &r->timers;

	reactor_timer_cancel(r, timer);
	while (*at && (*at)->deadline <= deadline)
		at = &(*at)->next;
	timer->deadline = deadline;
	timer->next = *at;
	timer->armed = true;
	*at = timer;
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	struct reactor_timer **at = &r->timers;

	if (!timer->armed)
		return;
	while (*at && *at != timer)
		at = &(*at)->next;
	if (!*at)
		die("timer cancelled on another reactor");
	*at = timer->next;
	timer->armed = false;
}

void reactor_inline_advance(uint64_t ns)
{
	now += ns;
	for (unsigned int i = 0; i < MAX_REACTORS; i++) {
		struct reactor *r = reactors[i];
		struct reactor_timer *timer;

		while (r && (timer = r->timers) && timer->deadline <= now) {
			r->timers = timer->next;
			timer->armed = false;
			current = r;
			timer->fn(timer);
			current = NULL;
		}
	}
	reactor_inline_drain();
}
