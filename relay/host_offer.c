/* SPDX-License-Identifier: MIT */
/*
 * Offers of the host, theory of operation
 *
 * Owns what the host offers and the state of each channel; host_gpadl.c has the
 * GPADLs.
 *
 *	OFFER                RESCIND, or lost      release, REL_ID_RELEASED
 *	----> CLOSED ... any ---------------> RESCINDED ---------------> gone
 *
 *	      open: OPEN              OPEN_RESULT
 *	CLOSED --------------> OPENING ----------> OPEN, or CLOSED
 *	   ^                                        |
 *	   '------------- close: CLOSE -------------'
 *
 * A MODIFY that is not answered when the channel is closed is over: the host may
 * forget it, or answer until it is opened again.
 *
 * Drain closes what is open and tears down what was created, in this order, and
 * waits for what is under way before it undoes it.
 *
 * When the host does not answer, the channel is lost: the user is told as if it
 * had been rescinded, and the host is asked to close it and to let go, but not
 * waited for. What it has not opened or created by then it cannot close or tear
 * down: that is undone when it says, late, that it did it. Such an offer is
 * kept, released or not, until the host rescinds it or the connection ends: its
 * id is in use.
 *
 * Threads: the bus's reactor. Failure answers: see host_bus.c. An offer too
 * many, without memory or a second time is refused and stays unused; the
 * protocol has no word for it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "host_bus_state.h"

LOG_MODULE("host_bus");

#define CHANNEL_AT offsetof(struct vmbus_channel_message, channel)

struct host_offer_state *host_offer_find(struct bus_client *bus, le32 channel,
					 uint32_t type)
{
	uint32_t id = le32_to_cpu(channel);
	struct host_offer_state *st =
		id <= VMBUS_MAX_CHANNELS ? bus->by_id[id] : NULL;

	if (!st || (st->phase == OFFER_RESCINDED && !st->lost)) {
		bus_client_refuse(bus, id, type, CHANNEL_AT, id,
				  "host.channel");
		return NULL;
	}
	return st;
}

/* ---- open, close ---- */

static void post_channel(struct host_offer_state *st,
			 enum vmbus_message_type type)
{
	struct vmbus_channel_message message = {
		.channel = cpu_to_le32(st->offer.id),
	};

	bus_client_post(st->bus, type, &message, sizeof(message));
}

int host_offer_open(struct host_offer *offer, const struct host_open *open)
{
	struct host_offer_state *st = offer->state;
	struct host_gpadl *gpadl = host_gpadl_find(st, open->gpadl);
	struct vmbus_open_channel_signal message = {
		.open = {
			.channel = cpu_to_le32(offer->id),
			.open_id = cpu_to_le32(offer->id),
			.vp = cpu_to_le32(open->vp),
			.downstream_page = cpu_to_le32(open->split),
		},
		.connection = cpu_to_le32(open->connection),
		.event_flag = cpu_to_le16(open->event_flag),
	};

	if (st->phase == OFFER_RESCINDED || st->draining)
		return -ENODEV;
	if (st->phase != OFFER_CLOSED)
		return -EBUSY;
	if (!gpadl || gpadl->state != GPADL_CREATED)
		return -ENOENT;
	message.open.gpadl = cpu_to_le32(gpadl->id);
	memcpy(message.open.user_data, open->user_data, VMBUS_USER_DATA_SIZE);
	st->phase = OFFER_OPENING;
	bus_client_ask(st->bus, &st->open_question, st);
	bus_client_post(st->bus, VMBUS_OPEN_CHANNEL, &message, sizeof(message));
	return 0;
}

static void become_closed(struct host_offer_state *st)
{
	st->phase = OFFER_CLOSED;
	host_gpadl_start_clocks(st);
}

void host_offer_close(struct host_offer *offer)
{
	struct host_offer_state *st = offer->state;

	if (st->phase != OFFER_OPEN)
		return;
	become_closed(st);
	if (st->modifying)
		st->late_modify = true;
	st->modifying = false;
	bus_client_answered(&st->modify_question);
	post_channel(st, VMBUS_CLOSE_CHANNEL);
}

int host_offer_modify(struct host_offer *offer, uint32_t vp)
{
	struct host_offer_state *st = offer->state;
	struct vmbus_modify_channel message = {
		.channel = cpu_to_le32(offer->id),
		.vp = cpu_to_le32(vp),
	};

	if (st->phase == OFFER_RESCINDED || st->draining)
		return -ENODEV;
	if (st->phase != OFFER_OPEN || st->modifying)
		return -EBUSY;
	st->modifying = true;
	bus_client_ask(st->bus, &st->modify_question, st);
	bus_client_post(st->bus, VMBUS_MODIFY_CHANNEL, &message,
			sizeof(message));
	return 0;
}

/* ---- drain ---- */

void host_offer_go_on(struct host_offer_state *st)
{
	struct bus_client *bus = st->bus;

	if (st->phase == OFFER_OPENING)
		return;
	if (st->phase == OFFER_OPEN)
		host_offer_close(&st->offer);
	for (struct host_gpadl *gpadl = st->gpadls; gpadl; gpadl = gpadl->next)
		if (gpadl->state == GPADL_CREATED)
			host_gpadl_tear_down(st, gpadl);
	if (st->gpadls)
		return;
	st->draining = false;
	bus->config.user->drained(bus->config.user_opaque, &st->offer);
}

void host_offer_drain(struct host_offer *offer)
{
	offer->state->draining = true;
	host_offer_go_on(offer->state);
}

/* ---- the end of an offer ---- */

static void unlink_id(struct host_offer_state *st)
{
	if (st->offer.id)
		st->bus->by_id[st->offer.id] = NULL;
	st->offer.id = 0;
}

static void offer_free(struct host_offer_state *st)
{
	unlink_id(st);
	st->bus->nr_released -= st->released;
	st->bus->nr_offers--;
	*st->at = st->next;
	if (st->next)
		st->next->at = st->at;
	free(st);
}

/* Nothing is asked or known of it any more. */
static void become_rescinded(struct host_offer_state *st, bool lost)
{
	struct bus_client *bus = st->bus;
	bool draining = st->draining;

	st->phase = OFFER_RESCINDED;
	st->draining = st->modifying = false;
	bus_client_answered(&st->open_question);
	bus_client_answered(&st->modify_question);
	while (st->gpadls)
		host_gpadl_forget(st, st->gpadls);
	if (draining)
		bus->config.user->drained(bus->config.user_opaque, &st->offer);
	bus->config.user->rescinded(bus->config.user_opaque, &st->offer, lost);
}

void host_offer_lose(struct host_offer_state *st)
{
	log_err("channel %u: the host does not answer; it is lost",
		st->offer.id);
	if (st->phase == OFFER_OPEN)
		post_channel(st, VMBUS_CLOSE_CHANNEL);
	st->late_open = st->phase == OFFER_OPENING;
	for (struct host_gpadl *gpadl = st->gpadls; gpadl; gpadl = gpadl->next)
		if (gpadl->state == GPADL_CREATED)
			host_gpadl_tear_down(st, gpadl);
		else if (gpadl->state == GPADL_CREATING)
			st->late_gpadls++;
	st->lost = true;
	become_rescinded(st, true);
}

void host_offer_lose_all(struct bus_client *bus)
{
	struct host_offer_state *st, *next;

	for (st = bus->offers; st; st = st->next)
		unlink_id(st);
	/* A user may release its own here, and no other. */
	for (st = bus->offers; st; st = next) {
		next = st->next;
		st->lost = false;
		if (st->released)
			offer_free(st);
		else if (st->phase != OFFER_RESCINDED)
			become_rescinded(st, true);
	}
}

void host_offer_release(struct host_offer *offer)
{
	struct host_offer_state *st = offer->state;

	pv_bug(st->phase != OFFER_RESCINDED || st->released, st->phase,
	       offer->id);
	if (st->lost) {
		st->released = true;
		st->bus->nr_released++;
		return;
	}
	if (offer->id && bus_client_is_connected(st->bus))
		post_channel(st, VMBUS_REL_ID_RELEASED);
	offer_free(st);
}

/* ---- messages ---- */

static bool offered(const struct bus_client *bus,
		    const struct vmbus_offer_channel *message)
{
	const struct host_offer_state *st = bus->offers;

	for (; st; st = st->next)
		if (st->phase != OFFER_RESCINDED &&
		    guid_equal(&st->offer.message.interface,
			       &message->interface) &&
		    guid_equal(&st->offer.message.instance,
			       &message->instance) &&
		    le16_to_cpu(st->offer.message.sub_index) ==
			    le16_to_cpu(message->sub_index))
			return true;
	return false;
}

void host_offer_came(struct bus_client *bus, const void *message)
{
	const struct vmbus_offer_channel *offer = message;
	uint32_t id = le32_to_cpu(offer->channel);
	uint32_t id_at = offsetof(struct vmbus_offer_channel, channel);
	struct host_offer_state *st;

	if (!id || id > VMBUS_MAX_CHANNELS) {
		bus_client_refuse(bus, id, VMBUS_OFFER_CHANNEL, id_at, id,
				  "host.offer.id");
		return;
	}
	if (bus->by_id[id]) {
		bus_client_refuse(bus, id, VMBUS_OFFER_CHANNEL, id_at, id,
				  "host.offer.id-in-use");
		return;
	}
	if (offered(bus, offer)) {
		bus_client_refuse(bus, id, VMBUS_OFFER_CHANNEL,
				  offsetof(struct vmbus_offer_channel,
					   instance),
				  le16_to_cpu(offer->sub_index),
				  "host.offer.twice");
		return;
	}
	st = calloc(1, sizeof(*st));
	if (!st) {
		log_err("no memory for channel %u of the host", id);
		return;
	}
	st->offer.message = *offer;
	st->offer.id = id;
	st->offer.state = st;
	st->bus = bus;
	st->next = bus->offers;
	st->at = &bus->offers;
	if (st->next)
		st->next->at = &st->next;
	bus->offers = st;
	bus->nr_offers++;
	bus->by_id[id] = st;
	bus->config.user->offer(bus->config.user_opaque, &st->offer);
}

void host_offer_rescind_came(struct bus_client *bus, const void *message)
{
	const struct vmbus_channel_message *rescind = message;
	struct host_offer_state *st =
		host_offer_find(bus, rescind->channel, VMBUS_RESCIND_CHANNEL);

	if (!st)
		return;
	if (!st->lost) {
		become_rescinded(st, false);
		return;
	}
	/* The user knows. */
	st->lost = false;
	if (st->released) {
		post_channel(st, VMBUS_REL_ID_RELEASED);
		offer_free(st);
	}
}

void host_offer_open_result(struct bus_client *bus, const void *message)
{
	const struct vmbus_open_result *result = message;
	uint32_t id = le32_to_cpu(result->channel);
	uint32_t status = le32_to_cpu(result->status);
	struct host_offer_state *st =
		host_offer_find(bus, result->channel, VMBUS_OPEN_RESULT);

	if (!st)
		return;
	if (st->lost) {
		if (st->late_open && !status)
			post_channel(st, VMBUS_CLOSE_CHANNEL);
		st->late_open = false;
		return;
	}
	if (st->phase != OFFER_OPENING || le32_to_cpu(result->open_id) != id) {
		bus_client_refuse(bus, id, VMBUS_OPEN_RESULT,
				  offsetof(struct vmbus_open_result, open_id),
				  le32_to_cpu(result->open_id),
				  "host.open.answer");
		return;
	}
	bus_client_answered(&st->open_question);
	if (status)
		become_closed(st);
	else
		st->phase = OFFER_OPEN;
	st->late_modify = false;
	if (st->draining)
		host_offer_go_on(st);
	else
		bus->config.user->opened(bus->config.user_opaque, &st->offer,
					 status);
}

void host_offer_modify_response(struct bus_client *bus, const void *message)
{
	const struct vmbus_modify_channel_response *response = message;
	struct host_offer_state *st =
		host_offer_find(bus, response->channel,
				VMBUS_MODIFY_CHANNEL_RESPONSE);

	if (!st || st->lost)
		return;
	if (!st->modifying && st->late_modify) {
		st->late_modify = false;
		return;
	}
	if (!st->modifying) {
		bus_client_refuse(bus, st->offer.id,
				  VMBUS_MODIFY_CHANNEL_RESPONSE, CHANNEL_AT,
				  st->offer.id, "host.modify.answer");
		return;
	}
	st->modifying = false;
	bus_client_answered(&st->modify_question);
	bus->config.user->modified(bus->config.user_opaque, &st->offer,
				   le32_to_cpu(response->status));
}
