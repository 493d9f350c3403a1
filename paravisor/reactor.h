/* SPDX-License-Identifier: MIT */
/*
 * The reactor of a VP, as the thread sees it that runs the VP (pv/reactor.h
 * and pv/uring.h are what everybody else sees).
 *
 * The VP loop, loss-free in this order:
 *
 *	run->cancel = 0 -> reactor_pass() -> run VTL0 -> dispatch the exit
 *
 * Whatever happens after the pass looked wakes the poll file, and that sets
 * `cancel` again: the VP leaves VTL0, or does not enter it.
 *
 * A thread without a VP (tests, benches, control threads) calls
 * reactor_loop() instead.
 */
#ifndef PARAVISOR_REACTOR_H
#define PARAVISOR_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/inspect.h>
#include <pv/reactor.h>
#include <pv/uring.h>

/* Counts since reactor_create(). All but `wakes` are written by the reactor's
 * thread only; others read them as they are. */
struct reactor_counters {
	_Atomic uint64_t passes; /* calls of reactor_pass() */
	uint64_t enters;      /* io_uring_enter system calls */
	uint64_t sqes, cqes;  /* entries submitted, entries reaped */
	uint64_t calls;	      /* posted calls run */
	uint64_t timers;      /* timers expired */
	uint64_t over_budget; /* passes that left work for the next one */
	uint64_t waits;	      /* system calls while nothing was to do */
	_Atomic uint64_t wakes; /* system calls of others that woke it */
	/* Calls that a thread waits for, reactor_run(): how many; how many of
	 * them the pass that was under way and the next one did not run; the
	 * longest from the question to its end; the longest they held us. */
	uint64_t asked, asked_late, asked_longest_ns, asked_held_ns;
};

/*
 * A reactor that other threads may post to from now on, although nothing runs
 * before its own thread opened it. `vp` names it in logs and inspect. Any
 * thread. NULL with errno: no memory, no descriptor.
 */
struct reactor *reactor_create(unsigned int vp);

/* Frees a closed (or never opened) reactor. Nobody may post to it any more. */
void reactor_destroy(struct reactor *r);

/*
 * Makes the calling thread the reactor's own and creates its ring.
 *
 * `memory` (may be NULL) is what backends do I/O to. It is registered once:
 * with `first` == NULL here, otherwise the buffers of `first` are shared,
 * which was opened that way and stays open. When the kernel refuses, that is
 * logged, the reactor works all the same and uring_buffer() finds nothing, so
 * that backends copy.
 *
 * 0 or -errno (-ENOMEM, -EMFILE, -ENOSYS, -EPERM), logged.
 */
int reactor_open(struct reactor *r, const struct guest_memory *memory,
		 struct reactor *first);

/* Own thread. No watch, timer or uring_op may be outstanding; no reactor may
 * be about to clone this one's buffers. */
void reactor_close(struct reactor *r);

/*
 * The VP's poll file (MSHV_SET_POLL_FILE), valid from reactor_create() to
 * reactor_destroy(), owned by the reactor. Its wait queue is woken whenever
 * there is new work. Nobody reads it, so being readable means nothing.
 */
int reactor_poll_fd(const struct reactor *r);

/*
 * Runs what is due: posted calls, expired timers, completions, and submits
 * what they queued. No system call when there is nothing to do, one when
 * there is; one more each time that completions queued new commands. Own
 * thread.
 *
 * Bounded: returns true when its budget ran out with work left. VTL0 may be
 * entered all the same: the reactor wakes itself soon after.
 */
bool reactor_pass(struct reactor *r);

/*
 * Blocks until there is work for reactor_pass(), at most until `deadline`
 * (CLOCK_MONOTONIC, ns; UINT64_MAX = none). For a VP that does not run VTL0
 * now (halted by the daemon, waiting for start-up). Own thread.
 */
void reactor_wait(struct reactor *r, uint64_t deadline);

/* Passes and waits until reactor_stop(). Own thread. */
void reactor_loop(struct reactor *r);

/*
 * Asks the reactor's thread to end: sets a flag, and wakes it (out of VTL0 if
 * need be). Any thread. The VP loop looks at reactor_stopping() after each
 * pass. What was posted before stop has run when a pass after it returns
 * false.
 */
void reactor_stop(struct reactor *r);
bool reactor_stopping(const struct reactor *r);

/* Wakes the reactor's thread, out of VTL0 if need be, for a reason of the
 * caller's own (a flag that the VP loop looks at). Any thread. */
void reactor_wake(struct reactor *r);

const struct reactor_counters *reactor_counters(const struct reactor *r);
void reactor_describe(void *reactor, struct inspect *out); /* inspect_fn */

#endif
