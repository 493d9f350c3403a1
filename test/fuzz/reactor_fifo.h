/* SPDX-License-Identifier: MIT */
/*
 * Reactors for fuzzing: calls of all of them stand in one queue, which is
 * cheaper than test/unit/reactor_inline.c when it is drained a million times a
 * minute. Timers never run.
 */
#ifndef TEST_FUZZ_REACTOR_FIFO_H
#define TEST_FUZZ_REACTOR_FIFO_H

#include <pv/reactor.h>

struct reactor {
	unsigned int timers; /* armed */
};

/* Runs the oldest call; false: there is none. */
bool reactor_fifo_step(void);
/* Runs calls until none is left; a failure if there is no end to it. */
void reactor_fifo_drain(void);

#endif
