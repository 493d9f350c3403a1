/* SPDX-License-Identifier: MIT */
/*
 * When a channel looks at its ring, theory of operation
 *
 * A client signals when it puts a packet into an empty ring, which is an exit of
 * VTL0. One that sends a burst is back after each packet of it, alone: we are
 * done with one before the client has the next, whose receiver is told of each
 * alone, too, and answers each. So where there is traffic the client is left
 * masked for a while after a look, and the backend is told that we come back:
 *
 *	        look: frames, either way, and more expected
 *	SIGNALLED ---------------------------------------> HELD
 *	    ^                                              |  | `hold`: the backend
 *	    |                                  frames came |  | is polled, then a
 *	    |                                     .--------'  | look
 *	    `---- none came, twice in a row ------+-----------'
 *
 * What found the client signalled goes at once; what comes in a hold goes at its
 * end, all of it together. Whether there is traffic, and for how long to hold,
 * says company.c, by the frames that each look finds. A client that sends and
 * gets one at a time is not held, but for a probe in many; and no hold is longer
 * than a frame takes from its submission to its completion, which is told of one
 * frame at a time, in some of the batches: that one has an event, so that what
 * it takes does not depend on our holds.
 *
 * What must hold, or a packet is not seen: when a run is over and the client is
 * masked, then `hold` is armed, or the run took less than there was, and what it
 * lacked makes us run again. And while the backend is told that we come back,
 * `hold` is armed. It ends with the channel, and with the backend's use of it.
 *
 * What is handed to the client needs no look at the ring: what the client put
 * into it since it is signalled, it signalled; and in a hold, `hold` looks.
 * Frames enough to be traffic have one all the same, or they would not begin a
 * hold.
 *
 * Threads: the channel's reactor. Failure answers: none.
 */
#include "netvsp_state.h"

/* Of so many batches one is timed. */
#define TIME_ONE_OF 16
#define NOT_TIMED UINT32_MAX
/* Of traffic there and back a hold may see nothing. */
#define EMPTY 2

/* What a backend is promised. */
_Static_assert(COMPANY_LONGEST_NS <= NIC_LATE_NS, "holds and late ends");

/* Both ways. */
static uint64_t frames(const struct netvsp_channel *ch)
{
	return ch->count.tx_frames + ch->count.rx_frames;
}

static void tell_backend(struct netvsp_channel *ch, bool rests)
{
	const struct nic_ops *ops = ch->netvsp->nic->ops;

	if (ch->queue && ops->rest)
		ops->rest(ch->queue, rests);
}

static void hold_over(struct reactor_timer *hold)
{
	struct netvsp_channel *ch = (struct netvsp_channel *)
		((char *)hold - offsetof(struct netvsp_channel, rest.hold));

	ch->rest.waited = true;
	/* What it has comes before the run. */
	tell_backend(ch, false);
	netvsp_resume(ch);
}

void netvsp_rest_open(struct netvsp_channel *ch)
{
	struct netvsp_rest *rest = &ch->rest;

	rest->hold.fn = hold_over;
	rest->waited = false;
	rest->seen = frames(ch);
	rest->timed = NOT_TIMED;
	rest->untimed = 0;
	rest->empty = 0;
	company_init(&rest->company);
}

void netvsp_rest_end(struct netvsp_channel *ch)
{
	if (!ch->rest.hold.armed)
		return;
	reactor_timer_cancel(ch->vmbus->reactor, &ch->rest.hold);
	tell_backend(ch, false);
	netvsp_resume(ch);
}

bool netvsp_may_rest(struct netvsp_channel *ch)
{
	struct netvsp_rest *rest = &ch->rest;
	struct company *company = &rest->company;
	uint32_t found;
	uint64_t ns;

	if (rest->hold.armed)
		return true;
	found = (uint32_t)(frames(ch) - rest->seen);
	rest->seen += found;
	if (!found && !rest->waited)
		return false;
	company_seen(company, found);
	if (rest->waited)
		company_waited(company, found);
	rest->waited = false;
	rest->empty = found ? 0 : rest->empty + 1;
	if (company->on && rest->empty < EMPTY)
		company->idle = false;
	/* What is with us says nothing of what the client has still to send. */
	ns = rest->empty < EMPTY && ch->queue ? company_wait(company, 0) : 0;
	if (!ns)
		return false;
	reactor_timer_arm(ch->vmbus->reactor, &rest->hold, reactor_now() + ns);
	tell_backend(ch, true);
	return true;
}

bool netvsp_need_not_look(const struct netvsp_channel *ch)
{
	const struct netvsp_rest *rest = &ch->rest;

	if (ch->held || ch->tx.nr_batch || rest->waited)
		return false;
	if (rest->hold.armed)
		return true;
	return ring_is_signalled(&ch->vmbus->ring) &&
	       frames(ch) - rest->seen < COMPANY;
}

void netvsp_time(struct netvsp_channel *ch, struct nic_frame *frame)
{
	struct netvsp_rest *rest = &ch->rest;

	if (rest->timed != NOT_TIMED || rest->untimed++ % TIME_ONE_OF)
		return;
	frame->late_ns = 0;
	rest->timed = frame->id;
	rest->timed_since = reactor_now();
}

/* No later than that it takes twice as long as it has to: what a client sends
 * next may depend on it. */
uint32_t netvsp_late(const struct netvsp_channel *ch)
{
	return (uint32_t)company_limit(&ch->rest.company);
}

void netvsp_timed(struct netvsp_channel *ch, bool sent)
{
	struct netvsp_rest *rest = &ch->rest;

	rest->timed = NOT_TIMED;
	if (sent)
		company_served(&rest->company,
			       reactor_now() - rest->timed_since);
}
