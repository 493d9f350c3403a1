/* SPDX-License-Identifier: MIT */
/*
 * A NIC that leaves a running guest, theory of operation
 *
 * Linux waits without end for frames that it sent to be completed, and nobody
 * completes them when their channel is taken back. So the cable is pulled first:
 *
 *	retire: link down ---> the guest sends no more ---> no frame for
 *	        QUIET_NS ---> rescind
 *
 * A guest whose driver is not at work is not waited for; one that does not stop
 * has NETVSP_RETIRE_NS.
 *
 * Threads: the server's reactor.
 */
#include <stddef.h>

#include <pv/log.h>

#include "netvsp_state.h"

LOG_MODULE("netvsp");

#define LOOK_NS 100000000ull
#define QUIET_NS 3000000000ull

static uint64_t frames_of(struct netvsp *netvsp)
{
	struct nic_stats stats;

	netvsp->nic->ops->stats(netvsp->nic, &stats);
	return stats.tx_frames + stats.tx_failed;
}

static void look(struct reactor_timer *timer)
{
	struct netvsp *netvsp = (struct netvsp *)
		((char *)timer - offsetof(struct netvsp, retire));
	uint64_t now = reactor_now(), frames = frames_of(netvsp);

	if (frames != netvsp->retire_frames) {
		netvsp->retire_frames = frames;
		netvsp->quiet_since = now;
	}
	if (atomic_load(&netvsp->operational) && now < netvsp->retire_until &&
	    now - netvsp->quiet_since < QUIET_NS) {
		reactor_timer_arm(netvsp->reactor, timer, now + LOOK_NS);
		return;
	}
	if (now >= netvsp->retire_until)
		log_warn("the guest still sends on a NIC whose link is down");
	vmbus_revoke(&netvsp->device);
}

void netvsp_retire(struct netvsp *netvsp, void (*done)(void *opaque),
		   void *opaque)
{
	uint64_t now = reactor_now();

	netvsp->done = done;
	netvsp->opaque = opaque;
	netvsp->retiring = true;
	netvsp->retire.fn = look;
	netvsp->retire_until = now + NETVSP_RETIRE_NS;
	netvsp->quiet_since = now;
	netvsp->retire_frames = frames_of(netvsp);
	netvsp_look_at_link(netvsp);
	look(&netvsp->retire);
}
