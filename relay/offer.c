/* SPDX-License-Identifier: MIT */
/*
 * Offers, theory of operation
 *
 * Owns the list of devices, their channels and the channel ids. Devices stand
 * in the order (interface, order, instance); a client that connects gets ids
 * from 1 in that order, so the same devices have the same ids at every boot.
 * What appears later gets the lowest free id.
 *
 *	            REQUEST_OFFERS            revoke, when closed
 *	not offered --OFFER--> offered ------------RESCIND------> rescinded
 *	   ^  id = 0              |                                  |
 *	   +--- REL_ID_RELEASED --+         REL_ID_RELEASED: id free-+
 *
 * A device that comes back while its client has not released the channel it
 * had is offered when that is done: a client knows devices by their instance
 * and would take the second offer for a mistake.
 *
 * A channel is rescinded only after its device let go of guest memory, because
 * a client may reuse its rings at once when it sees RESCIND. Sub-channels are
 * rescinded before their primary. An id is not used again before the client
 * released it, or the connection ended; until then the channel stays, without
 * a device, to answer messages that crossed. A reserved channel that is open
 * when the connection ends keeps its id, and is offered again under it.
 *
 * Structures of channels are recycled and never freed: see channel.c.
 *
 * Threads: the server's reactor; only vmbus_offer_subchannels() is called on
 * another and hands over by a posted call. Failure answers: a second
 * REQUEST_OFFERS and a wrong REL_ID_RELEASED are recorded; neither has a reply.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "vmbus_state.h"

LOG_MODULE("vmbus");

static struct vmbus_channel_state *channel_alloc(struct vmbus_server *server,
						 struct vmbus_device *dev,
						 uint16_t sub_index)
{
	struct vmbus_channel_state *st = server->free_channels;

	if (st) {
		server->free_channels = st->next;
	} else {
		st = calloc(1, sizeof(*st));
		if (!st)
			return NULL;
		st->server = server;
		channel_init(st);
	}
	server->nr_channels++;
	st->next = NULL;
	st->state = CHANNEL_CLOSED;
	st->gpadls.total = &server->gpadls;
	memset(&st->open, 0, sizeof(st->open));
	st->offered = false;
	st->modifying = false;
	st->answer_close = false;
	st->revoked = false;
	st->reopen = false;
	st->nr_subchannels = 0;
	atomic_store(&st->subchannels_wanted, 0);
	atomic_store(&st->signals_in, 0);
	atomic_store(&st->signals_out, 0);
	memset(&st->ch.ring, 0, sizeof(st->ch.ring));
	st->ch.device = dev;
	st->ch.sub_index = sub_index;
	st->ch.id = 0;
	return st;
}

static void id_free(struct vmbus_channel_state *st)
{
	gpadl_forget_unused(st);
	pv_bug(st->gpadls.first, st->ch.id, st->gpadls.count);
	if (st->ch.id)
		st->server->by_id[st->ch.id] = NULL;
	st->ch.id = 0;
	st->offered = false;
}

void offer_forget(struct vmbus_channel_state *st)
{
	id_free(st);
}

static void channel_free(struct vmbus_channel_state *st)
{
	struct vmbus_server *server = st->server;

	id_free(st);
	st->ch.device = NULL;
	st->next = server->free_channels;
	server->free_channels = st;
	server->nr_channels--;
}

static bool is_idle(const struct vmbus_channel_state *st)
{
	return st->state == CHANNEL_CLOSED || st->state == CHANNEL_STOPPED;
}

static void offer(struct vmbus_channel_state *st)
{
	struct vmbus_server *server = st->server;
	const struct vmbus_device *dev = st->ch.device;
	/* Nothing of the kind was negotiated. */
	uint16_t flags = dev->offer_flags &
			 ~(VMBUS_OFFER_CONFIDENTIAL_RING |
			   VMBUS_OFFER_CONFIDENTIAL_MEMORY |
			   VMBUS_OFFER_REQUIRE_PINNED);
	struct vmbus_offer_channel msg = {
		.interface = dev->interface,
		.instance = dev->instance,
		.flags = cpu_to_le16(flags),
		.mmio_mb = cpu_to_le16(dev->mmio_mb),
		.sub_index = cpu_to_le16(st->ch.sub_index),
		.monitor_id = VMBUS_NO_MONITOR,
		.dedicated_interrupt = cpu_to_le16(1),
	};
	uint32_t id = st->ch.id ? st->ch.id : 1;

	/* Channels are fewer than ids: see channels_left(). */
	while (server->by_id[id] && server->by_id[id] != st)
		id++;
	pv_bug(id > VMBUS_MAX_CHANNELS, id, server->nr_channels);
	st->ch.id = id;
	st->offered = true;
	server->by_id[id] = st;
	if (id > server->top_id)
		server->top_id = id;
	memcpy(msg.user_data, dev->user_data, sizeof(msg.user_data));
	msg.channel = cpu_to_le32(id);
	msg.connection = cpu_to_le32(connection_of(server, id));
	server_send(server, VMBUS_OFFER_CHANNEL, &msg, sizeof(msg));
}

static bool channels_left(const struct vmbus_server *server)
{
	return server->nr_channels < VMBUS_MAX_CHANNELS;
}

/* Devices come and go. */

static int compare_devices(const struct vmbus_device *a,
			   const struct vmbus_device *b)
{
	int difference = memcmp(&a->interface, &b->interface,
				sizeof(a->interface));

	if (!difference)
		difference = (int)a->order - (int)b->order;
	if (!difference)
		difference = memcmp(&a->instance, &b->instance,
				    sizeof(a->instance));
	if (!difference)
		difference = (int)a->sub_index - (int)b->sub_index;
	return difference;
}

/* Has the client still to release what it had of this device? */
static bool is_awaited(const struct vmbus_device *dev)
{
	for (uint32_t id = 1; id <= dev->server->top_id; id++) {
		const struct vmbus_channel_state *st = dev->server->by_id[id];

		if (st && st->state == CHANNEL_RESCINDED &&
		    st->ch.sub_index == dev->sub_index &&
		    guid_equal(&st->interface, &dev->interface) &&
		    guid_equal(&st->instance, &dev->instance))
			return true;
	}
	return false;
}

/* Offers a device that came after REQUEST_OFFERS. */
static void offer_late(struct vmbus_device *dev)
{
	const struct vmbus_server *server = dev->server;

	if (server->state == CONNECTED && server->offers_requested &&
	    !dev->revoking && !dev->channels->offered && !is_awaited(dev))
		offer(dev->channels);
}

int vmbus_offer(struct vmbus_server *server, struct vmbus_device *dev)
{
	struct vmbus_device **at = &server->devices;
	struct vmbus_channel_state *st;

	if (!channels_left(server))
		return -ENOSPC;
	st = channel_alloc(server, dev, dev->sub_index);
	if (!st)
		return -ENOMEM;
	while (*at && compare_devices(*at, dev) <= 0)
		at = &(*at)->next;
	dev->server = server;
	dev->revoking = false;
	dev->channels = st;
	dev->next = *at;
	*at = dev;
	offer_late(dev);
	return 0;
}

bool vmbus_offers(const struct vmbus_server *server,
		  const struct guid *interface, const struct guid *instance)
{
	const struct vmbus_device *dev = server->devices;

	while (dev && !(guid_equal(&dev->interface, interface) &&
			guid_equal(&dev->instance, instance)))
		dev = dev->next;
	return dev;
}

static void rescind(struct vmbus_channel_state *st)
{
	struct vmbus_channel_message msg = {
		.channel = cpu_to_le32(st->ch.id),
	};
	struct vmbus_channel_state **at = &st->ch.device->channels;

	while (*at != st)
		at = &(*at)->next;
	*at = st->next;
	st->interface = st->ch.device->interface;
	st->instance = st->ch.device->instance;
	st->ch.device = NULL;
	st->open.reserved = false;
	if (!st->offered) {
		channel_free(st);
		return;
	}
	st->state = CHANNEL_RESCINDED;
	server_send(st->server, VMBUS_RESCIND_CHANNEL, &msg, sizeof(msg));
}

/* Rescinds what is revoked and idle, the primary last. True: it was the
 * primary, and the device is its owner's again. */
static bool device_settle(struct vmbus_device *dev)
{
	struct vmbus_channel_state *st, *next;
	struct vmbus_device **at;

	for (st = dev->channels->next; st; st = next) {
		next = st->next;
		if (st->revoked && is_idle(st))
			rescind(st);
	}
	st = dev->channels;
	if (!st->revoked || !is_idle(st) || st->next)
		return false;
	at = &st->server->devices;
	rescind(st);
	while (*at != dev)
		at = &(*at)->next;
	*at = dev->next;
	dev->server = NULL;
	if (dev->revoked)
		dev->revoked(dev);
	return true;
}

void offer_channel_idle(struct vmbus_channel_state *st)
{
	device_settle(st->ch.device);
}

static void revoke_from(struct vmbus_channel_state *st)
{
	for (; st; st = st->next) {
		st->revoked = true;
		channel_stop(st);
	}
}

void vmbus_revoke(struct vmbus_device *dev)
{
	dev->revoking = true;
	revoke_from(dev->channels);
	device_settle(dev);
}

void offer_revoke_subchannels(struct vmbus_device *dev)
{
	struct vmbus_channel_state *st, *next;

	revoke_from(dev->channels->next);
	for (st = dev->channels->next; st; st = next) {
		next = st->next;
		if (is_idle(st))
			rescind(st);
	}
}

int vmbus_offer_subchannels(struct vmbus_device *dev, unsigned int count)
{
	struct vmbus_channel_state *st = dev->channels;
	uint32_t wanted = atomic_load(&st->subchannels_wanted);

	if (!count || wanted > dev->max_subchannels ||
	    count > dev->max_subchannels - wanted)
		return -EINVAL;
	atomic_store(&st->subchannels_wanted, wanted + count);
	reactor_post(st->server->config.reactor, &st->subchannels_call);
	return 0;
}

void offer_subchannels(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, subchannels_call);
	struct vmbus_channel_state **at = &st->next, *sub;
	struct vmbus_server *server = st->server;

	if (st->state != CHANNEL_OPEN || server->state != CONNECTED)
		return;
	while (*at)
		at = &(*at)->next;
	while (st->nr_subchannels < atomic_load(&st->subchannels_wanted)) {
		sub = channels_left(server) ?
			channel_alloc(server, st->ch.device,
				      st->nr_subchannels + 1) : NULL;
		if (!sub) {
			log_warn_limited("channel %u: no sub-channel %u left",
					 st->ch.id, st->nr_subchannels + 1u);
			return;
		}
		st->nr_subchannels++;
		*at = sub;
		at = &sub->next;
		offer(sub);
	}
}

void offer_forget_all(struct vmbus_server *server)
{
	struct vmbus_channel_state *st;
	struct vmbus_device *dev;
	uint32_t top = 0;

	for (uint32_t id = 1; id <= server->top_id; id++) {
		st = server->by_id[id];
		if (!st)
			continue;
		if (channel_is_busy(st)) { /* reserved */
			gpadl_forget_unused(st);
			st->offered = false;
			top = id;
			continue;
		}
		id_free(st);
		st->open.reserved = false;
		if (st->state == CHANNEL_RESCINDED)
			channel_free(st);
		else
			st->state = CHANNEL_CLOSED;
	}
	server->top_id = top;
	/* The owner of a device that goes may take others away: look again. */
	for (dev = server->devices; dev;)
		dev = device_settle(dev) ? server->devices : dev->next;
}

/* Messages. */

void handle_request_offers(struct vmbus_server *server, const void *message,
			   size_t size)
{
	struct vmbus_header delivered;

	(void)message;
	(void)size;
	if (server->offers_requested) {
		server_refuse(server, 0, VMBUS_REQUEST_OFFERS, 0, 0,
			      "vmbus.offers.twice");
		return;
	}
	server->offers_requested = true;
	for (struct vmbus_device *dev = server->devices; dev; dev = dev->next)
		if (!dev->revoking)
			offer(dev->channels);
	server_send(server, VMBUS_ALL_OFFERS_DELIVERED, &delivered,
		    sizeof(delivered));
}

void handle_rel_id_released(struct vmbus_server *server, const void *message,
			    size_t size)
{
	const struct vmbus_channel_message *released = message;
	uint32_t id = le32_to_cpu(released->channel);
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_REL_ID_RELEASED);
	struct vmbus_device *dev;

	(void)size;
	if (!st)
		return;
	if (st->state == CHANNEL_RESCINDED) {
		channel_free(st);
		for (dev = server->devices; dev; dev = dev->next)
			if (guid_equal(&st->instance, &dev->instance))
				offer_late(dev);
	} else if (st->state == CHANNEL_CLOSED && channel_is_relayed(st) &&
		   relayed_has_gpadls(st)) {
		server_refuse(server, id, VMBUS_REL_ID_RELEASED,
			      offsetof(struct vmbus_channel_message, channel),
			      id, "vmbus.release.gpadls");
	} else if (st->state == CHANNEL_CLOSED) {
		id_free(st);
	} else {
		server_refuse(server, id, VMBUS_REL_ID_RELEASED,
			      offsetof(struct vmbus_channel_message, channel),
			      id, "vmbus.release.open");
	}
}
