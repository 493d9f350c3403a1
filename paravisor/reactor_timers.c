// SPDX-License-Identifier: MIT
/*
 * Timers of a reactor, theory of operation
 *
 * Few timers are armed at a time and the soonest is looked at most, so the
 * list is sorted and searched from its front. A timer is taken off before it
 * is called: it may arm itself, cancel others or free itself.
 */
#include "reactor_timers.h"

void reactor_timers_arm(struct reactor_timers *timers,
			struct reactor_timer *timer, uint64_t deadline)
{
	struct reactor_timer **at = &timers->first;

	reactor_timers_cancel(timers, timer);
	if (deadline <= timers->expired_until)
		deadline = timers->expired_until + 1;
	while (*at && (*at)->deadline <= deadline)
		at = &(*at)->next;
	timer->deadline = deadline;
	timer->next = *at;
	timer->armed = true;
	*at = timer;
}

void reactor_timers_cancel(struct reactor_timers *timers,
			   struct reactor_timer *timer)
{
	struct reactor_timer **at = &timers->first;

	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

unsigned int reactor_timers_expire(struct reactor_timers *timers, uint64_t now)
{
	struct reactor_timer *timer;
	unsigned int expired = 0;

	timers->expired_until = now;
	while ((timer = timers->first) && timer->deadline <= now) {
		timers->first = timer->next;
		timer->armed = false;
		expired++;
		timer->fn(timer);
	}
	return expired;
}
