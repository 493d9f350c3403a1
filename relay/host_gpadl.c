/* SPDX-License-Identifier: MIT */
/*
 * GPADLs of the host's channels, theory of operation
 *
 * Owns what the host was told of memory: nothing but ids and where each GPADL
 * is on its way, since the words are forgotten when they are sent.
 *
 *	create: HEADER, BODY...      GPADL_CREATED            TEARDOWN
 *	---> CREATING -----------------> CREATED, or gone ---> TEARING
 *	                                   GPADL_TORNDOWN: gone --'
 *
 * Ids are the guest's: what it writes into its rings names them (a NIC's
 * buffers), and the host must know those. BODY and TORNDOWN name no channel, so
 * an id is one channel's at a time. A guest that starts again counts anew, when
 * all of its last start are torn down; of a host that does not answer in time
 * the channel is lost, and a TORNDOWN that is later still could be taken for
 * that of a new GPADL: such a host breaks its own rule, and reaches the guest's
 * memory anyway. HEADER and BODY messages of one GPADL follow each other without
 * another between them.
 *
 * A host does not answer the TEARDOWN of what an open channel uses, so the time
 * for it begins when the channel is closed, or its OPEN failed.
 *
 * A TEARDOWN and a RESCIND may cross: all of the channel is forgotten then, and
 * the TORNDOWN that comes later is about nothing, but no mistake of the host's.
 *
 * Threads: the bus's reactor. Failure answers: see host_bus.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host_bus_state.h"

#define CHANNEL_AT offsetof(struct vmbus_channel_message, channel)

struct host_gpadl *host_gpadl_find(struct host_offer_state *st, uint32_t id)
{
	struct host_gpadl *gpadl = st->gpadls;

	while (gpadl && gpadl->id != id)
		gpadl = gpadl->next;
	return gpadl;
}

/* Where the one of this id is in its place, or would be. */
static struct host_gpadl **place_of(struct bus_client *bus, uint32_t id)
{
	struct host_gpadl **at = &bus->gpadl[id % HOST_MAX_GPADLS];

	while (*at && (*at)->id != id)
		at = &(*at)->beside;
	return at;
}

void host_gpadl_forget(struct host_offer_state *st, struct host_gpadl *gpadl)
{
	struct host_gpadl **at = &st->gpadls;

	bus_client_answered(&gpadl->question);
	st->bus->late_torndowns += gpadl->state == GPADL_TEARING;
	while (*at != gpadl)
		at = &(*at)->next;
	*at = gpadl->next;
	*place_of(st->bus, gpadl->id) = gpadl->beside;
	st->bus->nr_gpadls--;
	free(gpadl);
}

static struct host_gpadl *gpadl_new(struct host_offer_state *st, uint32_t id)
{
	struct bus_client *bus = st->bus;
	struct host_gpadl *gpadl = calloc(1, sizeof(*gpadl));

	if (!gpadl)
		return NULL;
	gpadl->id = id;
	gpadl->question.offer = st;
	*place_of(bus, id) = gpadl;
	bus->nr_gpadls++;
	gpadl->next = st->gpadls;
	st->gpadls = gpadl;
	return gpadl;
}

/* Appends words from `at` on to a message of `size` bytes; returns how many. */
static uint16_t put_words(uint8_t *message, size_t size, uint16_t room,
			  const uint64_t *words, uint16_t at, uint16_t nr_words)
{
	uint16_t n = nr_words - at < room ? nr_words - at : room;

	for (uint16_t i = 0; i < n; i++) {
		le64 word = cpu_to_le64(words[at + i]);

		memcpy(message + size + i * sizeof(word), &word, sizeof(word));
	}
	return n;
}

static void post_gpadl(struct host_offer_state *st, uint32_t id,
		       uint16_t range_count, const uint64_t *words,
		       uint16_t nr_words)
{
	_Alignas(8) uint8_t message[VMBUS_MAX_MESSAGE];
	struct vmbus_gpadl_header header = {
		.channel = cpu_to_le32(st->offer.id),
		.gpadl = cpu_to_le32(id),
		.range_bytes = cpu_to_le16(nr_words * sizeof(le64)),
		.range_count = cpu_to_le16(range_count),
	};
	struct vmbus_gpadl_body body = { .gpadl = cpu_to_le32(id) };
	uint16_t n, at;

	memcpy(message, &header, sizeof(header));
	at = put_words(message, sizeof(header), VMBUS_GPADL_HEADER_WORDS,
		       words, 0, nr_words);
	bus_client_post(st->bus, VMBUS_GPADL_HEADER, message,
			sizeof(header) + at * sizeof(le64));
	for (uint32_t number = 1; at < nr_words; number++, at += n) {
		body.number = cpu_to_le32(number);
		memcpy(message, &body, sizeof(body));
		n = put_words(message, sizeof(body), VMBUS_GPADL_BODY_WORDS,
			      words, at, nr_words);
		bus_client_post(st->bus, VMBUS_GPADL_BODY, message,
				sizeof(body) + n * sizeof(le64));
	}
}

int host_offer_gpadl_create(struct host_offer *offer, uint32_t id,
			    uint16_t range_count, const uint64_t *words,
			    uint16_t nr_words)
{
	struct host_offer_state *st = offer->state;
	struct host_gpadl *gpadl;

	if (st->phase == OFFER_RESCINDED || st->draining)
		return -ENODEV;
	if (st->bus->nr_gpadls == HOST_MAX_GPADLS)
		return -ENOSPC;
	if (*place_of(st->bus, id))
		return -EEXIST;
	gpadl = gpadl_new(st, id);
	if (!gpadl)
		return -ENOMEM;
	bus_client_ask(st->bus, &gpadl->question, st);
	post_gpadl(st, gpadl->id, range_count, words, nr_words);
	return 0;
}

static void post_teardown(struct host_offer_state *st, uint32_t id)
{
	struct vmbus_gpadl_teardown message = {
		.channel = cpu_to_le32(st->offer.id),
		.gpadl = cpu_to_le32(id),
	};

	bus_client_post(st->bus, VMBUS_GPADL_TEARDOWN, &message,
			sizeof(message));
}

void host_gpadl_tear_down(struct host_offer_state *st, struct host_gpadl *gpadl)
{
	gpadl->state = GPADL_TEARING;
	if (st->phase == OFFER_CLOSED)
		bus_client_ask_to_let_go(st->bus, &gpadl->question, st);
	post_teardown(st, gpadl->id);
}

void host_gpadl_start_clocks(struct host_offer_state *st)
{
	for (struct host_gpadl *gpadl = st->gpadls; gpadl; gpadl = gpadl->next)
		if (gpadl->state == GPADL_TEARING && !gpadl->question.in)
			bus_client_ask_to_let_go(st->bus, &gpadl->question,
						 st);
}

int host_offer_gpadl_teardown(struct host_offer *offer, uint32_t id)
{
	struct host_offer_state *st = offer->state;
	struct host_gpadl *gpadl = host_gpadl_find(st, id);

	if (st->phase == OFFER_RESCINDED || st->draining)
		return -ENODEV;
	if (!gpadl || gpadl->state != GPADL_CREATED)
		return -ENOENT;
	host_gpadl_tear_down(st, gpadl);
	return 0;
}

/* ---- messages ---- */

/* In this state, or NULL with the violation recorded. */
static struct host_gpadl *gpadl_asked(struct bus_client *bus, le32 gpadl_id,
				      enum host_gpadl_state state,
				      uint32_t type, uint32_t offset)
{
	uint32_t id = le32_to_cpu(gpadl_id);
	struct host_gpadl *gpadl = *place_of(bus, id);

	if (gpadl && gpadl->state == state)
		return gpadl;
	bus_client_refuse(bus, 0, type, offset, id, "host.gpadl.answer");
	return NULL;
}

/* The channel is lost: nobody here knows the GPADL any more. */
static void created_late(struct host_offer_state *st, uint32_t id,
			 uint32_t status)
{
	if (!st->late_gpadls)
		return;
	st->late_gpadls--;
	if (status)
		return;
	post_teardown(st, id);
	st->bus->late_torndowns++;
}

void host_gpadl_created(struct bus_client *bus, const void *message)
{
	const struct vmbus_gpadl_created *created = message;
	uint32_t status = le32_to_cpu(created->status);
	struct host_offer_state *st =
		host_offer_find(bus, created->channel, VMBUS_GPADL_CREATED);
	struct host_gpadl *gpadl;

	if (!st)
		return;
	if (st->lost) {
		created_late(st, le32_to_cpu(created->gpadl), status);
		return;
	}
	gpadl = gpadl_asked(bus, created->gpadl, GPADL_CREATING,
			    VMBUS_GPADL_CREATED,
			    offsetof(struct vmbus_gpadl_created, gpadl));
	if (!gpadl)
		return;
	if (gpadl->question.offer != st) {
		bus_client_refuse(bus, st->offer.id, VMBUS_GPADL_CREATED,
				  CHANNEL_AT, st->offer.id,
				  "host.gpadl.channel");
		return;
	}
	bus_client_answered(&gpadl->question);
	gpadl->state = GPADL_CREATED;
	if (status)
		host_gpadl_forget(st, gpadl);
	if (st->draining)
		host_offer_go_on(st);
	else
		bus->config.user->gpadl_created(bus->config.user_opaque,
						&st->offer,
						le32_to_cpu(created->gpadl),
						status);
}

void host_gpadl_torndown(struct bus_client *bus, const void *message)
{
	const struct vmbus_gpadl_torndown *torndown = message;
	struct host_gpadl *gpadl;
	struct host_offer_state *st;

	if (bus->late_torndowns &&
	    !*place_of(bus, le32_to_cpu(torndown->gpadl))) {
		bus->late_torndowns--;
		return;
	}
	gpadl = gpadl_asked(bus, torndown->gpadl, GPADL_TEARING,
			    VMBUS_GPADL_TORNDOWN,
			    offsetof(struct vmbus_gpadl_torndown, gpadl));
	if (!gpadl)
		return;
	st = gpadl->question.offer;
	gpadl->state = GPADL_CREATED; /* answered */
	host_gpadl_forget(st, gpadl);
	if (st->draining)
		host_offer_go_on(st);
	else
		bus->config.user->gpadl_torndown(bus->config.user_opaque,
						 &st->offer,
						 le32_to_cpu(torndown->gpadl));
}
