// SPDX-License-Identifier: MIT
/*
 * FIFO reactors, theory of operation
 *
 * A posted call belongs to its reactor; here it is put behind all others with
 * its reactor in an array of the same order. While it runs, its reactor is the
 * current one.
 *
 * Threads: none. Failure answers: fuzz_expect().
 */
#include "test/fuzz/fuzz.h"
#include "test/fuzz/reactor_fifo.h"

#define MAX_CALLS 1024u
#define MAX_STEPS 100000u

static struct {
	struct reactor *reactor;
	struct reactor_call *call;
} queue[MAX_CALLS];
static unsigned int first, count;
static struct reactor *current;

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	unsigned int at = (first + count) % MAX_CALLS;

	if (atomic_exchange(&call->queued, true))
		return;
	fuzz_expect(count < MAX_CALLS, count, 0);
	queue[at].reactor = r;
	queue[at].call = call;
	count++;
}

bool reactor_fifo_step(void)
{
	struct reactor_call *call = queue[first].call;

	if (!count)
		return false;
	current = queue[first].reactor;
	first = (first + 1) % MAX_CALLS;
	count--;
	atomic_store(&call->queued, false);
	call->fn(call);
	current = NULL;
	return true;
}

void reactor_fifo_drain(void)
{
	unsigned int steps = 0;

	while (reactor_fifo_step())
		fuzz_expect(++steps < MAX_STEPS, steps, count);
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

uint64_t reactor_now(void)
{
	return 1;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	r->timers += !timer->armed;
	timer->deadline = deadline;
	timer->armed = true;
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	r->timers -= timer->armed;
	timer->armed = false;
}
