/* SPDX-License-Identifier: MIT */
/*
 * The timers of a reactor: a list sorted by deadline. Whoever implements
 * pv/reactor.h has one of these; its users see only reactor_timer_arm() and
 * reactor_timer_cancel(). Threads: the reactor's own.
 */
#ifndef REACTOR_TIMERS_H
#define REACTOR_TIMERS_H

#include <pv/reactor.h>

struct reactor_timers {
	struct reactor_timer *first; /* the soonest; NULL: none is armed */
	uint64_t expired_until;	     /* deadlines up to here had their turn */
};

/* Of two equal deadlines, the one armed first expires first. One that is over
 * already waits for the next reactor_timers_expire(): a timer that arms itself
 * anew does not keep the reactor from its other work. */
void reactor_timers_arm(struct reactor_timers *timers,
			struct reactor_timer *timer, uint64_t deadline);
void reactor_timers_cancel(struct reactor_timers *timers,
			   struct reactor_timer *timer);

/* Calls those that are due; returns how many. */
unsigned int reactor_timers_expire(struct reactor_timers *timers, uint64_t now);

#endif
