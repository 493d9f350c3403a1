/* SPDX-License-Identifier: MIT */
/*
 * NetVSP, theory of operation
 *
 * A network adapter on VMBus. Owns, per open channel, a fixed table of packets
 * and frames to send and of receive slots; two buffers that the client made;
 * and the running of a backend (pv/nic.h), whose queue i is channel i's. What
 * a channel needs is taken when it opens: afterwards nothing is allocated, and
 * no frame is copied.
 *
 *	send:    ring -> packet copied, checked -> RNDIS header copied, checked
 *	           -> ranges of the frame ... batch -> one tx()
 *	         sent() -> completions into the ring, not yet published
 *	receive: slots -> rx_post() ... received() -> RNDIS header in front of
 *	           the frame -> one packet for the batch into the ring
 *	         client's completion -> slots -> one rx_post()
 *	... end of the reactor's round -> published, one signal
 *
 * The files: netvsp_channel.c the ring, netvsp_control.c NVSP and the buffers,
 * rndis*.c what the client asks of the adapter, netvsp_link.c what it is told,
 * netvsp_tx.c, netvsp_frame.c, netvsp_rx.c and netvsp_steer.c the frames,
 * netvsp_rest.c when the ring is looked at, netvsp_limit.c how many there may
 * be, netvsp_capture.c who listens to them, netvsp_nic.c the backend,
 * netvsp_retire.c how it leaves a running guest. Here is what makes and ends NICs
 * and channels:
 *
 *	unused --open--> open --close--> leaving --the backend uses nothing of
 *	it--> its memory given back --> unused
 *
 * Threads: one channel is on one reactor. A channel's structure stays when the
 * channel closes, so that inspect may look at its counters from another thread.
 *
 * Failure answers: a configuration that makes no sense is refused with one
 * line; a channel for which there is no memory fails to open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "netvsp_state.h"
#include "ring_reg.h"
#include "vmbus_reg.h"

LOG_MODULE("netvsp");

/* Open and close. */

static void resume(struct reactor_call *call)
{
	struct netvsp_channel *ch = (struct netvsp_channel *)
		((char *)call - offsetof(struct netvsp_channel, resume));

	ch->resuming = false;
	if (!ch->closing && !ch->stopped)
		netvsp_hand_over(ch);
}

static struct netvsp_channel *channel_of(struct netvsp *netvsp, uint16_t index)
{
	struct netvsp_channel *ch = netvsp_channel(netvsp, index);

	if (ch)
		return ch;
	ch = calloc(1, sizeof(*ch));
	if (!ch)
		return NULL;
	ch->netvsp = netvsp;
	ch->index = index;
	ch->resume.fn = resume;
	ch->limit_timer.fn = netvsp_limit_timer;
	netvsp_channel_calls(ch);
	atomic_store_explicit(&netvsp->channel[index], ch,
			      memory_order_release);
	return ch;
}

static int channel_open(struct vmbus_device *dev, struct vmbus_channel *vmbus)
{
	struct netvsp *netvsp = (struct netvsp *)dev;
	struct netvsp_channel *ch;

	if (vmbus->sub_index >= netvsp->max_queues)
		return -EINVAL;
	ch = channel_of(netvsp, vmbus->sub_index);
	if (!ch)
		return -ENOMEM;
	ch->vmbus = vmbus;
	vmbus->opaque = ch;
	ch->stopped = false;
	ch->closing = false;
	ch->told = false;
	ch->waiting = false;
	ch->held = false;
	ch->limit_misses = 0;
	ch->queue = NULL;
	netvsp_rest_open(ch);
	netvsp_rx_open(ch);
	netvsp_steer_open(ch);
	netvsp_tx_open(ch);
	if (!ch->index)
		netvsp_control_open(ch);
	return 0;
}

/* The client knows of the channel: it counts. */
static void tell_opened(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_channel *primary = netvsp_channel(netvsp, 0);
	uint64_t all;

	ch->told = true;
	pthread_mutex_lock(&netvsp->lock);
	netvsp->want.open |= 1ull << ch->index;
	all = UINT64_MAX >> (63 - netvsp->want.granted);
	if (ch->index && netvsp->want.open & 1 &&
	    (netvsp->want.open & all) == all) {
		atomic_store(&netvsp->tell_table, true);
		reactor_post(primary->vmbus->reactor, &netvsp->attend_call);
	}
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_changed(netvsp);
}

static void channel_run(struct vmbus_channel *vmbus)
{
	struct netvsp_channel *ch = vmbus->opaque;

	if (!ch->told)
		tell_opened(ch);
	company_signalled(&ch->rest.company);
	netvsp_run(ch);
}

static void channel_close(struct vmbus_channel *vmbus)
{
	struct netvsp_channel *ch = vmbus->opaque;

	ch->closing = true;
	netvsp_rest_end(ch);
	ch->queue = NULL;
	reactor_timer_cancel(vmbus->reactor, &ch->limit_timer);
	if (!ch->index) {
		atomic_store(&ch->netvsp->operational, false);
		reactor_timer_cancel(vmbus->reactor,
				     &ch->netvsp->control.link_timer);
	}
	netvsp_leave(ch);
}

void netvsp_idle(struct netvsp_channel *ch)
{
	ch->waiting = false;
	if (!ch->index)
		netvsp_release(ch->netvsp, ch->closing);
	if (ch->closing) {
		netvsp_steer_close(ch);
		vmbus_channel_closed(ch->vmbus);
		return;
	}
	netvsp_control_want(ch->netvsp);
	netvsp_run(ch);
}

/* Inspect. */

static void inspect_channel(const struct netvsp_channel *ch,
			    struct inspect *out)
{
	const struct netvsp_counters *count = &ch->count;

	inspect_bool(out, "running", ch->queue != NULL);
	inspect_bool(out, "stopped", ch->stopped);
	inspect_u64(out, "runs", count->runs);
	inspect_u64(out, "tx_packets", count->tx_packets);
	inspect_u64(out, "tx_frames", count->tx_frames);
	inspect_u64(out, "tx_bytes", count->tx_bytes);
	inspect_u64(out, "tx_failed", count->tx_failed);
	inspect_u64(out, "tx_lost", count->tx_lost);
	inspect_u64(out, "tx_batches", count->tx_batches);
	inspect_u64(out, "tx_full", count->tx_full);
	inspect_u64(out, "tx_in_flight", ch->tx.in_flight);
	inspect_u64(out, "rx_packets", count->rx_packets);
	inspect_u64(out, "rx_frames", count->rx_frames);
	inspect_u64(out, "rx_bytes", count->rx_bytes);
	inspect_u64(out, "rx_dropped", count->rx_dropped);
	inspect_u64(out, "rx_lent", count->rx_lent);
	inspect_u64(out, "rx_limited", count->rx_limited);
	inspect_u64(out, "tx_limited", count->tx_limited);
	inspect_u64(out, "rx_slots", ch->rx.nr);
	inspect_u64(out, "rx_posted", ch->rx.posted);
	inspect_u64(out, "refused", count->refused);
	inspect_u64(out, "no_room", count->no_room);
	inspect_u64(out, "no_packet", count->no_packet);
	inspect_u64(out, "control", count->control);
	inspect_u64(out, "indications", count->indications);
	company_inspect(&ch->rest.company, out);
}

static void inspect_nic(struct netvsp *netvsp, struct inspect *out)
{
	static const char *const life[] = {
		[LIFE_IDLE] = "idle", [LIFE_STARTING] = "starting",
		[LIFE_RUNNING] = "running", [LIFE_PAUSING] = "pausing",
		[LIFE_STOPPING] = "stopping", [LIFE_DRAINING] = "draining",
	};
	struct nic_stats stats;

	inspect_text(out, "state", life[netvsp->life]);
	inspect_bool(out, "lost", netvsp->lost);
	inspect_u64(out, "queues", netvsp->life == LIFE_IDLE ? 0 :
				   netvsp->nr_queues);
	inspect_u64(out, "starts", netvsp->starts);
	inspect_u64(out, "start_failures", netvsp->start_failures);
	netvsp->nic->ops->stats(netvsp->nic, &stats);
	inspect_u64(out, "rx_frames", stats.rx_frames);
	inspect_u64(out, "rx_bytes", stats.rx_bytes);
	inspect_u64(out, "rx_dropped", stats.rx_dropped);
	inspect_u64(out, "tx_frames", stats.tx_frames);
	inspect_u64(out, "tx_bytes", stats.tx_bytes);
	inspect_u64(out, "tx_failed", stats.tx_failed);
	inspect_u64(out, "bounced_bytes", stats.bounced_bytes);
	inspect_u64(out, "doorbells", stats.doorbells);
	/* Apart: what a backend counts has names of its own. */
	if (netvsp->nic->ops->inspect && inspect_begin(out, "device")) {
		netvsp->nic->ops->inspect(netvsp->nic, out);
		inspect_end(out);
	}
}

static void device_inspect(struct vmbus_device *dev, struct inspect *out)
{
	struct netvsp *netvsp = (struct netvsp *)dev;
	const uint8_t *mac = netvsp->mac;
	char name[24];

	snprintf(name, sizeof(name), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	inspect_text(out, "mac", name);
	inspect_u64(out, "mtu", netvsp->control.mtu);
	inspect_hex(out, "version", netvsp->control.version);
	inspect_bool(out, "operational", atomic_load(&netvsp->operational));
	inspect_bool(out, "link", atomic_load(&netvsp->link_up));
	inspect_hex(out, "filter", netvsp->control.filter);
	inspect_u64(out, "slots", netvsp->receive.nr);
	inspect_u64(out, "sections", netvsp->send.nr);
	inspect_u64(out, "tx_limit", netvsp_limited(&netvsp->tx_limit));
	inspect_u64(out, "rx_limit", netvsp_limited(&netvsp->rx_limit));
	netvsp_capture_inspect(netvsp, out);
	if (inspect_begin(out, netvsp->nic->ops->name)) {
		inspect_nic(netvsp, out);
		inspect_end(out);
	}
	for (unsigned int i = 0; i < NIC_MAX_QUEUES; i++) {
		const struct netvsp_channel *ch = netvsp_channel(netvsp, i);

		snprintf(name, sizeof(name), "channel%u", i);
		if (!ch || !inspect_begin(out, name))
			continue;
		inspect_channel(ch, out);
		inspect_end(out);
	}
}

/* The NIC. */

static const struct vmbus_device_ops netvsp_ops = {
	.name = "netvsp",
	.open = channel_open,
	.run = channel_run,
	.close = channel_close,
	.inspect = device_inspect,
};

static void netvsp_free(struct netvsp *netvsp)
{
	for (unsigned int i = 0; i < NIC_MAX_QUEUES; i++)
		free(netvsp->channel[i]);
	netvsp_capture_end(netvsp);
	pthread_mutex_destroy(&netvsp->lock);
	free(netvsp);
}

/* No channel is there; what was posted for one may be. */
static void free_when_idle(struct reactor_call *call)
{
	struct netvsp *netvsp = (struct netvsp *)
		((char *)call - offsetof(struct netvsp, free_call));
	void (*done)(void *opaque) = netvsp->done;
	void *opaque = netvsp->opaque;

	if (netvsp->life != LIFE_IDLE ||
	    atomic_load(&netvsp->reconcile_call.queued)) {
		reactor_post(netvsp->reactor, call);
		return;
	}
	reactor_timer_cancel(netvsp->reactor, &netvsp->retry);
	/* As it was found: it may be another NIC's next. */
	netvsp->nic->event = NULL;
	netvsp->nic->ops->set_filter(netvsp->nic, 0);
	netvsp_free(netvsp);
	if (done)
		done(opaque);
}

static void revoked(struct vmbus_device *dev)
{
	struct netvsp *netvsp = (struct netvsp *)dev;

	netvsp->freeing = true;
	free_when_idle(&netvsp->free_call);
}

static bool is_power_of_two(unsigned int n)
{
	return n && !(n & (n - 1));
}

static uint16_t mtu_of(const struct netvsp_config *config,
		       const struct nic_info *info)
{
	uint16_t most = info->max_frame - NIC_ETHERNET_HEADER;

	if (config->mtu)
		return config->mtu;
	return most < 1500 ? most : 1500;
}

/* How many a frame can be spread over. */
static unsigned int slot_pages(uint16_t mtu)
{
	return (netvsp_slot_size(mtu) + GUEST_PAGE_SIZE - 1) / GUEST_PAGE_SIZE;
}

const char *netvsp_check(const struct netvsp_config *config)
{
	unsigned int mtu = config->mtu, most;
	struct nic_info info;

	_Static_assert(NETVSP_MIN_MTU == 576 && NETVSP_MAX_MTU == 9000,
		       "the text says so");
	config->nic->ops->info(config->nic, &info);
	most = info.max_frame - NIC_ETHERNET_HEADER;
	if (!is_power_of_two(config->queues) ||
	    config->queues > info.max_queues ||
	    config->queues > NIC_MAX_QUEUES)
		return "queues: are a power of two, at most the backend's";
	if (info.max_frame < NIC_ETHERNET_HEADER + NETVSP_MIN_MTU ||
	    (mtu && (mtu < NETVSP_MIN_MTU || mtu > NETVSP_MAX_MTU ||
		     mtu > most)))
		return "mtu: is 576 to 9000, at most the backend's";
	if (slot_pages(mtu_of(config, &info)) > info.max_rx_ranges)
		return "mtu: more ranges than the backend receives in";
	if (!netvsp_version(config->max_version))
		return "nvsp: there is no such version";
	if (config->mac && config->mac[0] & 1)
		return "mac: is no address of one station";
	return NULL;
}

int netvsp_create(struct vmbus_server *server,
		  const struct netvsp_config *config, struct netvsp **out)
{
	static const struct guid interface = NVS_INTERFACE;
	/* What changes nothing in a frame is there anyway. */
	const uint32_t always = NIC_VLAN | NIC_HASH;
	struct netvsp *netvsp;
	const char *rule = netvsp_check(config);
	struct nic_info info;
	int err;

	if (rule) {
		log_err("%s", rule);
		return -EINVAL;
	}
	config->nic->ops->info(config->nic, &info);
	netvsp = calloc(1, sizeof(*netvsp));
	if (!netvsp)
		return -ENOMEM;
	netvsp->device.ops = &netvsp_ops;
	netvsp->device.interface = interface;
	netvsp->device.instance = config->instance;
	netvsp->device.order = config->order;
	netvsp->device.max_subchannels = config->queues - 1;
	netvsp->device.offer_flags = VMBUS_OFFER_ENUMERATE_INTERFACE;
	netvsp->device.revoked = revoked;
	netvsp->memory = config->memory;
	netvsp->reactor = config->reactor;
	netvsp->nic = config->nic;
	netvsp->info = info;
	netvsp->max_queues = config->queues;
	netvsp->max_version = netvsp_version(config->max_version);
	netvsp->max_mtu = mtu_of(config, &info);
	netvsp->control.mtu = netvsp->max_mtu;
	netvsp->max_frame = NIC_ETHERNET_HEADER + netvsp->max_mtu;
	netvsp->tx_can = info.tx_can & (config->offloads ? UINT32_MAX : always);
	netvsp->rx_can = info.rx_can & (config->offloads ? UINT32_MAX : always);
	netvsp_limit(netvsp, config->tx_mbps, config->rx_mbps);
	memcpy(netvsp->mac, config->mac ? config->mac : info.mac,
	       sizeof(netvsp->mac));
	netvsp->free_call.fn = free_when_idle;
	netvsp->attend_call.fn = netvsp_attend;
	netvsp->control.link_timer.fn = netvsp_link_timer;
	pthread_mutex_init(&netvsp->lock, NULL);
	err = vmbus_offer(server, &netvsp->device);
	if (err) {
		netvsp_free(netvsp);
		return err;
	}
	/* The backend knows it from here on until free_when_idle(). */
	netvsp_nic_init(netvsp);
	*out = netvsp;
	return 0;
}

void netvsp_destroy(struct netvsp *netvsp, void (*done)(void *opaque),
		    void *opaque)
{
	netvsp->done = done;
	netvsp->opaque = opaque;
	if (netvsp->retiring)
		reactor_timer_cancel(netvsp->reactor, &netvsp->retire);
	if (!netvsp->device.revoking)
		vmbus_revoke(&netvsp->device);
}
