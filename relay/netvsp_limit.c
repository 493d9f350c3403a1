/* SPDX-License-Identifier: MIT */
/*
 * Rate limits, theory of operation
 *
 * A bucket for each direction of a NIC, for all its channels. It is kept as a
 * time, which what passes moves on by as long as its bytes take at the rate:
 *
 *	time --------------+--------------+----------------------->
 *	            now - depth          now
 *	bucket        full ^  something in ^  empty, in debt
 *
 * While something is in it a packet passes whole, and may leave a debt. What is
 * in it at most is depth: 10 ms of the rate, or 128 KiB if that is more.
 *
 * Sending: a packet that does not pass stays in the ring, with all behind it,
 * and the channel looks again when the bucket is half full, so that a timer is
 * for many packets. One that finds it empty again then, because other channels
 * were there first, looks again sooner each time, and so comes before them.
 * Receiving: a frame that does not pass is dropped and counted.
 *
 * Bytes are those of frames with their Ethernet header, of a large send before
 * it is cut.
 *
 * Threads: the bucket is any channel's, the rate anybody's. No lock. Failure
 * answers: none.
 */
#include "netvsp_state.h"

#define PART 16u /* of a nanosecond: the unit of time here */
#define DEPTH_NS 10000000ull
#define MIN_DEPTH (128u * 1024)
#define MAX_MISSES 4
/* So that another rate holds soon. */
#define LONGEST_NS 100000000ull

/* How long so many bytes take. */
static uint64_t parts(uint32_t mbps, uint64_t bytes)
{
	return bytes * (8000ull * PART) / mbps;
}

static uint64_t depth(uint32_t mbps)
{
	uint64_t least = parts(mbps, MIN_DEPTH);

	return DEPTH_NS * PART > least ? DEPTH_NS * PART : least;
}

/* Is something in it? *at: when it is, again. */
static bool allows(struct netvsp_limit *limit, uint32_t mbps, uint64_t now,
		   uint64_t *at)
{
	uint64_t full = now - depth(mbps);

	*at = atomic_load_explicit(&limit->at, memory_order_relaxed);
	/* If somebody else was there it has been seen to. */
	if ((int64_t)(*at - full) < 0)
		atomic_compare_exchange_strong_explicit(&limit->at, at, full,
			memory_order_relaxed, memory_order_relaxed);
	return (int64_t)(*at - now) <= 0;
}

static void take(struct netvsp_limit *limit, uint32_t mbps, uint64_t bytes)
{
	atomic_fetch_add_explicit(&limit->at, parts(mbps, bytes),
				  memory_order_relaxed);
}

bool netvsp_may_send(struct netvsp_channel *ch)
{
	struct netvsp_limit *limit = &ch->netvsp->tx_limit;
	uint32_t mbps = netvsp_limited(limit);
	uint64_t now = reactor_now(), until, at;

	if (!mbps || allows(limit, mbps, now * PART, &at)) {
		ch->limit_misses = 0;
		return true;
	}
	if (ch->limit_timer.armed)
		return false;
	until = (at + (depth(mbps) / 2 >> ch->limit_misses)) / PART;
	if (until > now + LONGEST_NS)
		until = now + LONGEST_NS;
	else if (ch->limit_misses < MAX_MISSES)
		ch->limit_misses++;
	ch->count.tx_limited++;
	reactor_timer_arm(ch->vmbus->reactor, &ch->limit_timer, until);
	return false;
}

void netvsp_sends(struct netvsp_channel *ch, uint64_t bytes)
{
	struct netvsp_limit *limit = &ch->netvsp->tx_limit;
	uint32_t mbps = netvsp_limited(limit);

	if (mbps)
		take(limit, mbps, bytes);
}

bool netvsp_may_receive(struct netvsp *netvsp, uint32_t bytes)
{
	struct netvsp_limit *limit = &netvsp->rx_limit;
	uint32_t mbps = netvsp_limited(limit);
	uint64_t at;

	if (mbps && !allows(limit, mbps, reactor_now() * PART, &at))
		return false;
	if (mbps)
		take(limit, mbps, bytes);
	return true;
}

void netvsp_limit_timer(struct reactor_timer *timer)
{
	struct netvsp_channel *ch = (struct netvsp_channel *)
		((char *)timer - offsetof(struct netvsp_channel, limit_timer));

	if (!ch->closing && !ch->stopped)
		netvsp_run(ch);
}

void netvsp_limit(struct netvsp *netvsp, uint32_t tx_mbps, uint32_t rx_mbps)
{
	atomic_store(&netvsp->tx_limit.mbps, tx_mbps);
	atomic_store(&netvsp->rx_limit.mbps, rx_mbps);
}
