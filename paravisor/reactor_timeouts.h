/* SPDX-License-Identifier: MIT */
/*
 * What makes the kernel wake a reactor for its timers: a few io_uring timeouts.
 * Deadlines: ns of CLOCK_MONOTONIC. Threads: the ring's. Errors: where said.
 */
#ifndef PARAVISOR_REACTOR_TIMEOUTS_H
#define PARAVISOR_REACTOR_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "reactor_ring.h"

#define REACTOR_TIMEOUTS 4u

struct reactor_timeout {
	struct uring_op op; /* first */
	struct __kernel_timespec at;
	uint64_t deadline;
	bool armed; /* the kernel has it */
	bool over;  /* its time has come: it wakes for nothing later */
};

struct reactor_timeouts {
	struct reactor_timeout timeout[REACTOR_TIMEOUTS];
};

void reactor_timeouts_init(struct reactor_timeouts *t);

/* When the kernel wakes us next; UINT64_MAX: not. It may have done so. */
uint64_t reactor_timeouts_soonest(const struct reactor_timeouts *t);

/* Has the kernel wake us at `deadline` or sooner, once the ring is entered.
 * False: it can not be asked before it is. */
bool reactor_timeouts_wake_at(struct reactor_timeouts *t, struct ring *ring,
			      uint64_t deadline);

/* It is `now`, and what was due has had its turn. */
void reactor_timeouts_pass(struct reactor_timeouts *t, uint64_t now);

#endif
