/* SPDX-License-Identifier: MIT */
/*
 * Reactors for tests; pv/reactor.h is the rest, but for descriptors to watch.
 * A test is linked with one of
 *
 *   reactor_inline.c   no thread: what is posted runs when the test drains it,
 *                      and time passes when the test says so
 *   reactor_threads.c  each reactor has its thread, time is the real one, and
 *                      draining waits; it has neither step nor advance
 */
#ifndef TEST_REACTOR_INLINE_H
#define TEST_REACTOR_INLINE_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/reactor.h>

/* At most 64 at a time. */
struct reactor *reactor_inline_create(void);
/* Nothing may be queued or armed any more (aborts). */
void reactor_inline_destroy(struct reactor *reactor);

/* Runs one call, of the reactors in turn; false when none has any. */
bool reactor_inline_step(void);
/* Runs calls until none is left; aborts after a million. */
void reactor_inline_drain(void);
/* Lets time pass: runs the timers that expire, and what they post. */
void reactor_inline_advance(uint64_t ns);

#endif
