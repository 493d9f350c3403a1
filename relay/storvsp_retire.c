/* SPDX-License-Identifier: MIT */
/*
 * A controller that leaves a running guest, theory of operation
 *
 * Linux flushes the cache of a disk that goes away. When the disk goes because
 * its channel was rescinded, storvsc drops that command without completing it,
 * its own timeout handler waits on, and the guest never gets rid of the disk
 * nor of any later channel. So the units go first, as if each were removed:
 *
 *	retire: no units, ENUMERATE_BUS ---> the guest asks for each unit, finds
 *	        nobody, removes its disk, scans ---> it asks for nothing more
 *	        ---> rescind
 *
 * There is no message that says "done": the guest is when it has asked and for
 * QUIET_NS asked no more; a scan that the rescind cuts off hangs like a flush.
 * One that does not ask, or does not stop, has STORVSP_RETIRE_NS.
 *
 * Threads: the server's reactor.
 */
#include <pv/log.h>

#include "storvsp_channel.h"

LOG_MODULE("storvsp");

#define LOOK_NS 100000000ull
#define QUIET_NS 2000000000ull

static bool is_open(struct storvsp *storvsp)
{
	const struct storvsp_channel *primary = atomic_load_explicit(
		&storvsp->channel[0], memory_order_acquire);
	bool open;

	pthread_mutex_lock(&storvsp->lock);
	open = primary && primary->reactor;
	pthread_mutex_unlock(&storvsp->lock);
	return open;
}

static void look(struct reactor_timer *timer)
{
	struct storvsp *storvsp = (struct storvsp *)
		((char *)timer - offsetof(struct storvsp, retire));
	unsigned int nobody = atomic_load_explicit(&storvsp->nobody,
						   memory_order_relaxed);
	uint64_t now = reactor_now();

	if (nobody != storvsp->nobody_seen) {
		storvsp->nobody_seen = nobody;
		storvsp->quiet_since = now;
	}
	if (is_open(storvsp) && now < storvsp->retire_until &&
	    (nobody == storvsp->nobody_before ||
	     now - storvsp->quiet_since < QUIET_NS)) {
		reactor_timer_arm(storvsp->reactor, timer, now + LOOK_NS);
		return;
	}
	if (now >= storvsp->retire_until)
		log_warn("the guest still asks for units that left, or never "
			 "did (%u times): its controller goes",
			 nobody - storvsp->nobody_before);
	storvsp_destroy(storvsp, storvsp->done, storvsp->opaque);
}

void storvsp_retire(struct storvsp *storvsp, void (*done)(void *opaque),
		    void *opaque)
{
	storvsp->done = done;
	storvsp->opaque = opaque;
	storvsp->retire.fn = look;
	storvsp->quiet_since = reactor_now();
	storvsp->retire_until = storvsp->quiet_since + STORVSP_RETIRE_NS;
	pthread_mutex_lock(&storvsp->lock);
	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++) {
		struct storvsp_lun *lun = storvsp->lun[i];

		storvsp->lun[i] = NULL;
		if (lun)
			storvsp_lun_put(lun);
	}
	storvsp_units_changed(storvsp);
	pthread_mutex_unlock(&storvsp->lock);
	storvsp->nobody_before = atomic_load(&storvsp->nobody);
	storvsp->nobody_seen = storvsp->nobody_before;
	look(&storvsp->retire);
}
