/* SPDX-License-Identifier: MIT */
/*
 * When a channel looks at its ring, theory of operation
 *
 * A client signals when it puts a packet into an empty ring, which is an exit
 * of VTL0. Where something else makes us look anyway that is for nothing, and
 * the client is left masked: the channel rests.
 *
 *	            signalled -----run-----.
 *	               ^ ^                 |
 *	               | `--- neither -----+--- many young: PAUSED
 *	  few are left | nobody came       |          completions make us look,
 *	               |                   |          or `look` after LOOK_NS
 *	               `---- run <---------+
 *	                                   `--- few, company expected: HELD
 *	                                              `hold` makes us look
 *
 * Paused: enough young requests are under way, taken by the last few runs, that
 * their completions come soon. Old ones do not count, or one slow disk would
 * keep the commands for its neighbours waiting. `look` is armed at most once in
 * LOOK_NS, so that it costs nothing under load. As long as the disks have seven
 * eighths of what the client ever has under way, a completion is given back but
 * the ring is not looked at: what comes then, comes together.
 *
 * Held: nearly all has ended, and the client is about to send it anew. For how
 * long it is left alone says company.c. Nothing else makes us look meanwhile.
 *
 * What must hold, or a packet is not seen: when a run is over and the client is
 * masked, then `look` is armed, or `hold` is, or the run took less than there
 * was, and what it lacked makes us run again. Each timer's function runs the
 * channel. Both timers end with the channel, which reads no more then.
 *
 * Completions alone need no look where the client signals: what it put into the
 * ring since then, it signalled. company.c is told how long commands are at
 * their disks: of one at a time, in one of some runs.
 *
 * Threads: the channel's reactor. Failure answers: none.
 */
#include <string.h>

#include "storvsp_channel.h"

/* Young requests for a pause, and how long it may last. */
#define PAUSE_YOUNG 8
#define LOOK_NS 10000000ull
/* One that is not through after so many was at a slow disk beside others. */
#define TIME_LOST 128u

static void hold_over(struct reactor_timer *hold)
{
	struct storvsp_channel *ch = (struct storvsp_channel *)
		((char *)hold - offsetof(struct storvsp_channel, hold));

	if (ch->closing || ch->stopped)
		return;
	ch->waited = true;
	storvsp_run(ch);
}

static void forget_young(struct storvsp_channel *ch)
{
	ch->young = 0;
	memset(ch->taken, 0, sizeof(ch->taken));
}

/* The client was left masked for as long as it may be. */
static void look_at_last(struct reactor_timer *look)
{
	struct storvsp_channel *ch = (struct storvsp_channel *)
		((char *)look - offsetof(struct storvsp_channel, look));

	if (ch->closing || ch->stopped)
		return;
	if (ch->run == ch->look_run) {
		/* Nothing came: what is under way is as good as old. */
		ch->count.late++;
		ch->run += STORVSP_YOUNG_RUNS;
		forget_young(ch);
	}
	storvsp_run(ch);
}

void storvsp_rest_open(struct storvsp_channel *ch)
{
	ch->look.fn = look_at_last;
	ch->hold.fn = hold_over;
	forget_young(ch);
	ch->rests = ch->waited = false;
	ch->timed = NULL;
	ch->time_next = true;
	company_init(&ch->company);
}

void storvsp_rest_close(struct storvsp_channel *ch)
{
	reactor_timer_cancel(ch->vmbus->reactor, &ch->look);
	reactor_timer_cancel(ch->vmbus->reactor, &ch->hold);
}

static bool can_pause(struct storvsp_channel *ch)
{
	if (ch->young < PAUSE_YOUNG)
		return false;
	ch->count.pauses++;
	if (!ch->look.armed) {
		ch->look_run = ch->run;
		reactor_timer_arm(ch->vmbus->reactor, &ch->look,
				  reactor_now() + LOOK_NS);
	}
	return true;
}

static bool can_hold(struct storvsp_channel *ch)
{
	uint64_t ns;

	if (ch->hold.armed)
		return true;
	ns = company_wait(&ch->company, ch->young);
	if (!ns)
		return false;
	reactor_timer_arm(ch->vmbus->reactor, &ch->hold, reactor_now() + ns);
	return true;
}

bool storvsp_may_rest(struct storvsp_channel *ch)
{
	if (ch->stopped)
		return false;
	company_seen(&ch->company, ch->young);
	if (ch->waited)
		company_waited(&ch->company, ch->young);
	ch->waited = false;
	return can_pause(ch) || can_hold(ch);
}

bool storvsp_need_not_look(struct storvsp_channel *ch)
{
	/* What waits here may have its turn. */
	if (ch->nr_waiting || ch->kept ||
	    atomic_load_explicit(&ch->announce, memory_order_relaxed))
		return false;
	if (ring_is_signalled(&ch->vmbus->ring)) {
		if (!company_calm(&ch->company, ch->young))
			return false;
	} else if (!ch->rests) {
		return false;
	} else if (!ch->hold.armed &&
		   (!ch->look.armed || ch->young < PAUSE_YOUNG ||
		    company_worth(&ch->company, ch->young))) {
		return false;
	}
	ch->look_run = ch->run - 1; /* something came */
	return true;
}

void storvsp_time_next(struct storvsp_channel *ch)
{
	if (ch->timed && ch->run - ch->timed_run < TIME_LOST)
		return;
	ch->timed = NULL;
	ch->time_next = true;
}

void storvsp_time(struct storvsp_channel *ch, const struct storvsp_request *req)
{
	ch->time_next = false;
	ch->timed = req;
	ch->timed_run = ch->run;
	ch->timed_since = reactor_now();
}

void storvsp_timed(struct storvsp_channel *ch)
{
	ch->timed = NULL;
	/* Inside a run no disk ends anything: this was none's. */
	if (ch->running)
		ch->time_next = true;
	else
		company_served(&ch->company, reactor_now() - ch->timed_since);
}
