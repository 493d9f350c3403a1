/* SPDX-License-Identifier: MIT */
/*
 * A reactor: one thread that runs everything asynchronous of one VP.
 *
 * Work reaches a reactor in three ways, all of which run on its own thread:
 *
 *   call    reactor_post(), from any thread. A posted call runs once; posting
 *           it again before it ran changes nothing. This is how a signal from
 *           the guest, a message for another VP or a completion of another
 *           thread arrives.
 *   timer   one-shot, at an absolute time.
 *   fd      a descriptor became readable (control sockets, events).
 *
 * Backends that need io_uring take pv/uring.h in addition. Two programs
 * implement this header: the daemon (paravisor/reactor.c, io_uring) and vmm
 * (test/vmm/loop.c, poll); relay/ needs nothing else of either.
 *
 * Ownership: calls, timers and fd watches are embedded in the user's objects;
 * the reactor only links them while they are armed.
 * Errors: none of these calls can fail except where said.
 */
#ifndef PV_REACTOR_H
#define PV_REACTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct reactor;

struct reactor_call {
	void (*fn)(struct reactor_call *call);
	struct reactor_call *next; /* private */
	atomic_bool queued;	   /* private */
};

struct reactor_timer {
	void (*fn)(struct reactor_timer *timer);
	uint64_t deadline;	    /* private: CLOCK_MONOTONIC, ns */
	struct reactor_timer *next; /* private */
	bool armed;		    /* private */
};

struct reactor_watch {
	void (*fn)(struct reactor_watch *watch);
	int fd; /* not owned */
	struct reactor_watch *next; /* private */
};

/* Any thread. Wakes the reactor, out of VTL0 if need be. */
void reactor_post(struct reactor *r, struct reactor_call *call);

/* Runs `fn(arg)` on the reactor and waits for it. Not from a reactor thread,
 * except for its own reactor, where it is a plain call. Control paths only. */
void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg);

/* Own thread only. Arming an armed timer moves it. */
uint64_t reactor_now(void); /* CLOCK_MONOTONIC in ns */
void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline);
void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer);

/* Own thread only. -EMFILE or -ENOMEM. */
int reactor_watch_add(struct reactor *r, struct reactor_watch *watch);
void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch);

/* True on the reactor's own thread: for assertions. */
bool reactor_is_current(const struct reactor *r);

#endif
