/* SPDX-License-Identifier: MIT */
/*
 * StorVSP, theory of operation
 *
 * A SCSI controller on VMBus. Owns a SCSI target (scsi.h) and, per open
 * channel, a fixed pool of requests, a queue of every disk and a few bounce
 * buffers. All of it is taken at open: afterwards nothing is allocated, and no
 * data is copied that a disk can fetch itself.
 *
 * The way of a request, all on the channel's reactor:
 *
 *	ring -> packet copied, checked -> task -> scsi_execute()
 *	   ... batch of tasks read -> one submit per disk
 *	   ... disk done -> completion into the ring, not yet published
 *	   ... end of the reactor's round -> published, one signal
 *
 * storvsp_channel.c has the ring and the negotiation, storvsp_srb.c the
 * commands, storvsp_lun.c the logical units, storvsp_share.c what of a channel
 * is whose, storvsp_rest.c when it looks at its ring; here is what makes and
 * ends controllers and channels:
 *
 *	unused --open--> open --close--> closing --nothing under way-->
 *	ended --nobody will call any more--> unused
 *
 * Close: what is under way ends first, since disks write into guest pages
 * until then. Completions then find nobody to tell.
 *
 * Threads: one channel is on one reactor. A channel's structure stays when the
 * channel closes, so that inspect may look at its counters from another thread.
 * Logical units come and go, see storvsp_lun.c.
 *
 * Failure answers: a configuration that makes no sense is refused with one
 * line; a channel for which there is no memory or no queue fails to open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "ring_reg.h"
#include "storvsp_channel.h"
#include "vmbus_reg.h"

LOG_MODULE("storvsp");

/* Open and close. */

static void release(struct storvsp_channel *ch)
{
	storvsp_close_nexuses(ch);
	scsi_bounce_close(&ch->bounce);
	free(ch->requests);
	ch->requests = ch->free = NULL;
	ch->fresh = 0;
}

static void resume(struct reactor_call *call)
{
	struct storvsp_channel *ch = (struct storvsp_channel *)
		((char *)call - offsetof(struct storvsp_channel, resume));

	ch->resuming = false;
	if (!ch->closing) {
		if (!ch->stopped)
			storvsp_resume(ch);
		return;
	}
	/* What ends here needs no call of its own: it could come behind the end
	 * that this one finds, and end the channel once more. */
	ch->resuming = true;
	storvsp_drop_waiting(ch);
	ch->resuming = false;
	if (ch->in_flight)
		return;
	reactor_timer_cancel(ch->vmbus->reactor, &ch->watch);
	/* Nobody asks it to follow any more, but somebody may have: that call
	 * has to come before the end. */
	storvsp_stop_following(ch);
	ch->ended = true;
	reactor_post(ch->vmbus->reactor, &ch->sync);
}

static void sync_luns(struct reactor_call *call)
{
	struct storvsp_channel *ch = (struct storvsp_channel *)
		((char *)call - offsetof(struct storvsp_channel, sync));

	if (ch->ended) {
		release(ch);
		vmbus_channel_closed(ch->vmbus);
	} else if (!ch->closing) {
		storvsp_follow(ch);
	}
}

static int acquire(struct storvsp_channel *ch)
{
	struct storvsp *storvsp = ch->storvsp;
	uint32_t completions;
	int err;

	ch->completion_space = ring_packet_space(0, PACKET_SIZE);
	completions = (ch->vmbus->ring.out.size - RING_ALIGNMENT) /
		      ch->completion_space;
	ch->depth = storvsp->queue_depth < completions ? storvsp->queue_depth :
							 completions;
	ch->nr_requests = STORVSP_POOL * ch->depth;
	if (ch->nr_requests < STORVSP_MIN_POOL)
		ch->nr_requests = STORVSP_MIN_POOL;
	if (ch->nr_requests > completions)
		ch->nr_requests = completions;
	ch->fresh = ch->nr_requests;
	ch->opened_ticks = __builtin_ia32_rdtsc();
	ch->opened_ns = reactor_now();
	ch->requests = calloc(ch->nr_requests, sizeof(*ch->requests));
	if (!ch->requests)
		return -ENOMEM;
	err = scsi_bounce_open(&ch->bounce);
	if (err)
		goto out;
	err = storvsp_open_nexuses(ch);
	if (err)
		goto out;
	return 0;
out:
	release(ch);
	return err;
}

static struct storvsp_channel *channel_of(struct storvsp *storvsp,
					  uint16_t index)
{
	struct storvsp_channel *ch;

	ch = atomic_load_explicit(&storvsp->channel[index],
				  memory_order_acquire);
	if (ch)
		return ch;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return NULL;
	ch->storvsp = storvsp;
	ch->resume.fn = resume;
	ch->sync.fn = sync_luns;
	ch->watch.fn = storvsp_watch;
	atomic_store_explicit(&storvsp->channel[index], ch,
			      memory_order_release);
	return ch;
}

static int channel_open(struct vmbus_device *dev, struct vmbus_channel *vmbus)
{
	struct storvsp *storvsp = (struct storvsp *)dev;
	struct storvsp_channel *ch = channel_of(storvsp, vmbus->sub_index);
	int err;

	if (!ch)
		return -ENOMEM;
	ch->vmbus = vmbus;
	ch->state = vmbus->sub_index ? READY : WAIT_BEGIN;
	ch->stopped = false;
	ch->closing = false;
	ch->ended = false;
	ch->in_flight = 0;
	ch->kept = false;
	ch->nr_waiting = 0;
	ch->tick = 1;
	storvsp_rest_open(ch);
	atomic_store(&ch->announce, false);
	err = acquire(ch);
	if (!err)
		vmbus->opaque = ch;
	return err;
}

static void channel_run(struct vmbus_channel *vmbus)
{
	struct storvsp_channel *ch = vmbus->opaque;

	company_signalled(&ch->company);
	storvsp_run(ch);
}

static void channel_close(struct vmbus_channel *vmbus)
{
	struct storvsp_channel *ch = vmbus->opaque;

	ch->closing = true;
	storvsp_rest_close(ch);
	reactor_post(vmbus->reactor, &ch->resume);
}

/* Inspect. */

/* 0: it was opened too short a time ago to know. */
static uint64_t ticks_per_ms(const struct storvsp_channel *ch)
{
	uint64_t ticks = __builtin_ia32_rdtsc() - ch->opened_ticks;
	uint64_t ms = (reactor_now() - ch->opened_ns) / 1000000;

	return ms ? ticks / ms : 0;
}

static void inspect_latency(const struct storvsp_channel *ch,
			    const struct storvsp_nexus *nexus,
			    struct inspect *out)
{
	char name[8];

	inspect_u64(out, "ticks_per_ms", ticks_per_ms(ch));
	for (unsigned int i = 0; i < STORVSP_LATENCIES; i++) {
		if (!nexus->latency[i])
			continue;
		snprintf(name, sizeof(name), "%u", STORVSP_LATENCY_FIRST + i);
		inspect_u64(out, name, nexus->latency[i]);
	}
}

static void inspect_nexus(const struct storvsp_channel *ch,
			  const struct storvsp_nexus *nexus,
			  struct inspect *out)
{
	inspect_u64(out, "in_flight", nexus->running);
	inspect_u64(out, "waits", nexus->waits);
	inspect_u64(out, "full", nexus->full);
	scsi_nexus_inspect(&nexus->scsi, out);
	if (inspect_begin(out, "latency")) {
		inspect_latency(ch, nexus, out);
		inspect_end(out);
	}
}

static void inspect_channel(const struct storvsp_channel *ch,
			    struct inspect *out)
{
	const struct storvsp_counters *count = &ch->count;
	char name[8];

	inspect_u64(out, "depth", ch->depth);
	inspect_u64(out, "in_flight", ch->in_flight);
	inspect_bool(out, "ready", ch->state == READY);
	inspect_bool(out, "stopped", ch->stopped);
	inspect_u64(out, "runs", count->runs);
	inspect_u64(out, "srbs", count->srbs);
	inspect_u64(out, "completions", count->completions);
	inspect_u64(out, "no_request", count->no_request);
	inspect_u64(out, "no_room", count->no_room);
	inspect_u64(out, "waiting", ch->nr_waiting);
	inspect_u64(out, "kept", count->kept);
	inspect_u64(out, "floor", ch->floor);
	inspect_u64(out, "floor_broken", count->floor_broken);
	inspect_u64(out, "refused", count->refused);
	inspect_u64(out, "announcements", count->announcements);
	inspect_u64(out, "pauses", count->pauses);
	inspect_u64(out, "late", count->late);
	company_inspect(&ch->company, out);
	inspect_u64(out, "cross_reactor_completions",
		    count->cross_reactor_completions);
	inspect_u64(out, "bounced", ch->bounce.bounced);
	inspect_u64(out, "bounce_waits", ch->bounce.waited);
	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++) {
		if (!ch->storvsp->lun[i])
			continue;
		snprintf(name, sizeof(name), "lun%u", i);
		if (!inspect_begin(out, name))
			continue;
		inspect_nexus(ch, &ch->nexus[i], out);
		inspect_end(out);
	}
}

static void inspect_lun(const struct storvsp_lun *unit, struct inspect *out)
{
	const struct scsi_lun *lun = &unit->scsi;
	bool lost = atomic_load(&lun->lost);

	inspect_text(out, "state", lost || atomic_load(&unit->stalled) ?
			     "degraded" : "good");
	inspect_bool(out, "lost", lost);
	inspect_u64(out, "degradations", atomic_load(&unit->degradations));
	inspect_u64(out, "blocks", atomic_load(&lun->blocks));
	inspect_u64(out, "block_size", lun->block_size);
	inspect_bool(out, "read_only", lun->read_only);
	inspect_bool(out, "write_cache", atomic_load(&lun->write_cache));
	if (lun->disk && inspect_begin(out, lun->disk->ops->name)) {
		if (lun->disk->ops->inspect)
			lun->disk->ops->inspect(lun->disk, out);
		inspect_end(out);
	}
}

static void device_inspect(struct vmbus_device *dev, struct inspect *out)
{
	struct storvsp *storvsp = (struct storvsp *)dev;
	const struct storvsp_channel *ch;
	char name[16];

	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++) {
		if (!storvsp->lun[i])
			continue;
		snprintf(name, sizeof(name), "lun%u", i);
		if (!inspect_begin(out, name))
			continue;
		inspect_lun(storvsp->lun[i], out);
		inspect_end(out);
	}
	for (unsigned int i = 0; i <= STORVSP_MAX_SUBCHANNELS; i++) {
		ch = atomic_load_explicit(&storvsp->channel[i],
					  memory_order_acquire);
		snprintf(name, sizeof(name), "channel%u", i);
		if (!ch || !inspect_begin(out, name))
			continue;
		inspect_channel(ch, out);
		inspect_end(out);
	}
}

/* The controller. */

static const struct vmbus_device_ops storvsp_ops = {
	.name = "storvsp",
	.open = channel_open,
	.run = channel_run,
	.close = channel_close,
	.inspect = device_inspect,
};

static void storvsp_free(struct storvsp *storvsp)
{
	for (unsigned int i = 0; i <= STORVSP_MAX_SUBCHANNELS; i++)
		free(storvsp->channel[i]);
	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++)
		if (storvsp->lun[i])
			storvsp_lun_free(storvsp->lun[i]);
	pthread_mutex_destroy(&storvsp->lock);
	free(storvsp);
}

static void revoked(struct vmbus_device *dev)
{
	struct storvsp *storvsp = (struct storvsp *)dev;
	void (*done)(void *opaque) = storvsp->done;
	void *opaque = storvsp->opaque;

	storvsp_free(storvsp);
	if (done)
		done(opaque);
}

int storvsp_create(struct vmbus_server *server,
		   const struct storvsp_config *config, struct storvsp **out)
{
	static const struct guid interface = VSTOR_SCSI_INTERFACE;
	struct storvsp *storvsp;
	int err = 0;

	if (!config->queue_depth ||
	    config->queue_depth > STORVSP_MAX_QUEUE_DEPTH) {
		log_err("queue_depth %u: must be 1 to %u", config->queue_depth,
			STORVSP_MAX_QUEUE_DEPTH);
		return -EINVAL;
	}
	if (config->max_subchannels > STORVSP_MAX_SUBCHANNELS) {
		log_err("sub_channels %u: must be 0 to %u",
			config->max_subchannels, STORVSP_MAX_SUBCHANNELS);
		return -EINVAL;
	}
	if (config->max_transfer > SCSI_MAX_TRANSFER ||
	    config->max_transfer % GUEST_PAGE_SIZE) {
		log_err("max_transfer %u: must be pages, up to %u bytes",
			config->max_transfer, SCSI_MAX_TRANSFER);
		return -EINVAL;
	}
	storvsp = calloc(1, sizeof(*storvsp));
	if (!storvsp)
		return -ENOMEM;
	storvsp->device.ops = &storvsp_ops;
	storvsp->device.interface = interface;
	storvsp->device.instance = config->instance;
	storvsp->device.order = config->order;
	storvsp->device.max_subchannels = config->max_subchannels;
	storvsp->device.offer_flags = VMBUS_OFFER_ENUMERATE_INTERFACE;
	storvsp->device.revoked = revoked;
	storvsp->memory = config->memory;
	storvsp->reactor = config->reactor;
	pthread_mutex_init(&storvsp->lock, NULL);
	storvsp->queue_depth = config->queue_depth;
	storvsp->max_transfer = config->max_transfer ? config->max_transfer :
						       SCSI_MAX_TRANSFER;
	for (unsigned int i = 0; !err && i < config->nr_luns; i++)
		err = storvsp_lun_create(storvsp, &config->luns[i]);
	if (!err)
		err = vmbus_offer(server, &storvsp->device);
	if (err)
		storvsp_free(storvsp);
	else
		*out = storvsp;
	return err;
}

void storvsp_destroy(struct storvsp *storvsp, void (*done)(void *opaque),
		     void *opaque)
{
	storvsp->done = done;
	storvsp->opaque = opaque;
	if (storvsp->retire.armed)
		reactor_timer_cancel(storvsp->reactor, &storvsp->retire);
	if (!storvsp->device.revoking)
		vmbus_revoke(&storvsp->device);
}
