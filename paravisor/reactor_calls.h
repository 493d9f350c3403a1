/* SPDX-License-Identifier: MIT */
/*
 * The posted calls of a reactor: a queue of many writers and one reader,
 * without a lock. Whoever implements pv/reactor.h has one of these.
 */
#ifndef REACTOR_CALLS_H
#define REACTOR_CALLS_H

#include <pv/reactor.h>

struct reactor_calls {
	struct reactor_call *_Atomic newest; /* NULL: empty */
};

/* Any thread. True: the queue was empty, wake the reactor. Nothing happens to
 * a call that is queued already. */
bool reactor_calls_push(struct reactor_calls *calls, struct reactor_call *call);

/* Runs what was in the queue, in the order of posting; returns how many. The
 * reactor's thread. */
unsigned int reactor_calls_run(struct reactor_calls *calls);

/* reactor_run() on a thread that is not the reactor's: posts and waits.
 * `posted` (may be NULL) is called with `arg` in between, on the same thread. */
void reactor_calls_wait(struct reactor *r, void (*fn)(void *arg), void *arg,
			void (*posted)(void *arg));

#endif
