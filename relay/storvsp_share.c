/* SPDX-License-Identifier: MIT */
/*
 * Shares of a channel, theory of operation
 *
 * A channel serves several disks, and one that is slow shall cost the others
 * nothing. Two things are handed out:
 *
 *	at the disk	each unit has the channel's depth of its own. What comes
 *			on top waits behind it, first come, first served:
 *
 *				taken --> [WAITING -->] RUNNING --> ended
 *
 *	requests	a command that runs or waits has one of the channel's,
 *			STORVSP_POOL times its depth. Of these each unit has a
 *			floor that nobody else gets, half of them or its depth;
 *			one is nobody's, the rest is for whoever comes first:
 *
 *				| floor | floor | ... |  shared  | 1 |
 *
 * When the packet next in the ring is for a unit that has its floor and there
 * is nothing shared left, it is kept for KEEP_NS at most, since a disk that
 * works will soon free a request. Then the unit is slow: whatever comes for it
 * is answered TASK SET FULL at once, for which the one request is that is
 * nobody's, until it is down to its floor again. So packets behind it wait for
 * no disk but their own, and for KEEP_NS once.
 *
 * Linux has some 310 commands under way per channel at most. With the default
 * depth a unit may have as many if there are four, and 256 however many there
 * are; if a command is refused, Linux waits and sends it again.
 *
 * Deadlines. Nobody answers a guest in a disk's place: the device may still
 * write to the guest's pages. A disk ends every request by itself (pv/disk.h).
 * What is watched here is whether it does. A unit is degraded, on a channel,
 * from when
 *
 *	its oldest running command is older than the disk's deadline, or
 *	a command ended because its device did not answer
 *
 * until another one ended and the oldest is younger again. The first channel
 * and the last say so in the log. The watch is a timer of TICK_NS that runs
 * while commands do; ages are counted in its ticks.
 *
 * Threads: the channel's reactor; `stalled` of a unit is all channels'.
 */
#include <pv/log.h>

#include "ring_reg.h"
#include "storvsp_channel.h"

LOG_MODULE("storvsp");

#define KEEP_NS 10000000ull
#define TICK_NS 100000000ull
#define TICK_MS 100u
#define DEADLINE_MS 60000u /* of a disk that says none */

static struct storvsp_nexus *nexus_of(const struct storvsp_request *req)
{
	return (struct storvsp_nexus *)req->task.nexus;
}

/* Requests. */

void storvsp_set_shares(struct storvsp_channel *ch)
{
	unsigned int n = ch->nr_open, pool = ch->nr_requests - 1;

	ch->floor = 0;
	ch->shared = UINT32_MAX;
	ch->shared_used = 0;
	/* One unit alone has all; with fewer requests than units there is
	 * nothing to share. */
	if (n > 1 && pool >= n) {
		ch->floor = pool / (2 * n) ? pool / (2 * n) : 1;
		if (ch->floor > ch->depth)
			ch->floor = ch->depth;
		ch->shared = pool - n * ch->floor;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct storvsp_nexus *nexus = &ch->nexus[ch->open[i]];

		if (nexus->tasks > ch->floor)
			ch->shared_used += nexus->tasks - ch->floor;
	}
}

bool storvsp_keeps(struct storvsp_channel *ch, const struct ring_packet *packet,
		   bool again)
{
	const struct vstor_packet *p = (const struct vstor_packet *)
		packet->payload;
	struct storvsp_nexus *nexus;
	uint64_t now;

	/* What is no SRB of a unit's is told so by others. */
	if (packet->payload_size <
		    sizeof(struct vstor_header) + VSTOR_SRB_MIN_SIZE ||
	    le32_to_cpu(p->header.operation) != VSTOR_EXECUTE_SRB ||
	    p->srb.path || p->srb.target || p->srb.lun >= SCSI_MAX_LUNS)
		return false;
	nexus = (struct storvsp_nexus *)ch->target.nexus[p->srb.lun];
	if (!nexus || nexus->odd & STORVSP_SLOW || !storvsp_has_its_share(ch, nexus))
		return false;
	now = reactor_now();
	if (!again) {
		ch->kept_since = now;
		ch->count.kept++;
	} else if (now - ch->kept_since >= KEEP_NS) {
		nexus->odd |= STORVSP_SLOW;
		return false;
	}
	if (!ch->look.armed) {
		ch->look_run = ch->run;
		reactor_timer_arm(ch->vmbus->reactor, &ch->look,
				  ch->kept_since + KEEP_NS);
	}
	ch->kept = true;
	ch->kept_packet = *packet;
	return true;
}

void storvsp_no_request(struct storvsp_channel *ch)
{
	ch->count.no_request++;
	for (unsigned int i = 0; i < ch->nr_open; i++)
		if (ch->nexus[ch->open[i]].tasks < ch->floor) {
			ch->count.floor_broken++;
			return;
		}
}

/* At the disk. */

void storvsp_start_watch(struct storvsp_channel *ch)
{
	reactor_timer_arm(ch->vmbus->reactor, &ch->watch,
			  reactor_now() + TICK_NS);
}

bool storvsp_start_late(struct storvsp_request *req)
{
	struct storvsp_channel *ch = req->channel;
	struct storvsp_nexus *nexus = nexus_of(req);

	if (storvsp_has_its_share(ch, nexus)) {
		nexus->full++;
		return false;
	}
	ch->shared_used += nexus->tasks++ >= ch->floor;
	nexus->waits++;
	req->next = NULL;
	*(nexus->waiting ? &nexus->last_waiting->next : &nexus->waiting) = req;
	nexus->last_waiting = req;
	ch->nr_waiting++;
	return true;
}

static struct storvsp_request *take_waiting(struct storvsp_channel *ch,
					    struct storvsp_nexus *nexus)
{
	struct storvsp_request *req = nexus->waiting;

	nexus->waiting = req->next;
	ch->nr_waiting--;
	return req;
}

void storvsp_run_waiting(struct storvsp_channel *ch)
{
	for (unsigned int i = 0; i < ch->nr_open; i++) {
		struct storvsp_nexus *nexus = &ch->nexus[ch->open[i]];

		while (nexus->waiting && nexus->running < ch->depth)
			storvsp_execute(ch, nexus, take_waiting(ch, nexus));
	}
}

void storvsp_drop_waiting(struct storvsp_channel *ch)
{
	for (unsigned int i = 0; i < ch->nr_open; i++) {
		struct storvsp_nexus *nexus = &ch->nexus[ch->open[i]];

		while (nexus->waiting) {
			struct storvsp_request *req = take_waiting(ch, nexus);

			ch->shared_used -= nexus->tasks-- > ch->floor;
			storvsp_complete(req, VSTOR_STATUS_IO_DEVICE_ERROR);
		}
	}
}

/* Deadlines. */

/* Of the oldest command that is at a unit's disk; what waits for a bounce
 * buffer is not, and its time begins when it gets one. */
static uint32_t age_ms(const struct storvsp_channel *ch,
		       const struct storvsp_nexus *nexus)
{
	uint32_t oldest = 0;

	for (unsigned int i = 0; i < ch->nr_requests - ch->fresh; i++) {
		struct storvsp_request *req = &ch->requests[i];

		if (!req->tick || nexus_of(req) != nexus)
			continue;
		if (!req->task.in_flight)
			req->tick = ch->tick;
		else if (ch->tick - req->tick > oldest)
			oldest = ch->tick - req->tick;
	}
	return oldest * TICK_MS;
}

static uint32_t deadline_ms(const struct storvsp_nexus *nexus)
{
	uint32_t ms = nexus->scsi.lun->info.deadline_ms;

	return ms ? ms : DEADLINE_MS;
}

static const char *disk_of(const struct storvsp_nexus *nexus)
{
	const struct disk *disk = nexus->scsi.lun->disk;

	return disk ? disk->ops->name : "no disk";
}

static void degrade(struct storvsp_nexus *nexus, const char *why)
{
	struct storvsp_lun *lun = nexus->lun;

	nexus->answered = false;
	if (nexus->odd & STORVSP_STALLED)
		return;
	nexus->odd |= STORVSP_STALLED;
	if (atomic_fetch_add(&lun->stalled, 1))
		return;
	atomic_fetch_add(&lun->degradations, 1);
	log_warn_limited("LUN %u (%s): degraded: %s; its deadline is %u ms",
			 lun->scsi.number, disk_of(nexus), why,
			 deadline_ms(nexus));
}

void storvsp_unstall(struct storvsp_nexus *nexus)
{
	struct storvsp_lun *lun = nexus->lun;

	if (!(nexus->odd & STORVSP_STALLED))
		return;
	nexus->odd &= (uint8_t)~STORVSP_STALLED;
	if (atomic_fetch_sub(&lun->stalled, 1) == 1)
		log_warn_limited("LUN %u (%s): not degraded any more",
				 lun->scsi.number, disk_of(nexus));
}

void storvsp_watch(struct reactor_timer *timer)
{
	struct storvsp_channel *ch = (struct storvsp_channel *)
		((char *)timer - offsetof(struct storvsp_channel, watch));
	bool busy = false;

	if (!++ch->tick)
		ch->tick = 1;
	for (unsigned int i = 0; i < ch->nr_open; i++) {
		struct storvsp_nexus *nexus = &ch->nexus[ch->open[i]];

		if (!nexus->running && !(nexus->odd & STORVSP_STALLED))
			continue;
		busy |= nexus->running;
		if (age_ms(ch, nexus) > deadline_ms(nexus))
			degrade(nexus, "a command was not answered");
		else if (nexus->answered)
			storvsp_unstall(nexus);
	}
	if (busy)
		reactor_timer_arm(ch->vmbus->reactor, timer,
				  reactor_now() + TICK_NS);
}

void storvsp_ended_oddly(struct storvsp_channel *ch,
			 struct storvsp_nexus *nexus, enum disk_status status)
{
	if (nexus->tasks <= ch->floor)
		nexus->odd &= (uint8_t)~STORVSP_SLOW;
	if (status == DISK_TIMEOUT)
		degrade(nexus, "a device gave no answer");
	else if (!ch->running) /* inside a run no disk ends anything */
		nexus->answered = true;
	/* The task still stands on the nexus: close it later. */
	if (!nexus->tasks && nexus->odd & STORVSP_LEAVING)
		reactor_post(ch->vmbus->reactor, &ch->sync);
}
