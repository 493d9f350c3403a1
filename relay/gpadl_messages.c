/* SPDX-License-Identifier: MIT */
/*
 * GPADL messages, theory of operation
 *
 * Turns the three messages about GPADLs into calls of gpadl.c and answers
 * them. BODY messages name no channel, so ids of incomplete GPADLs are unique
 * over all channels; they stand in one list, the last used first, which makes
 * the usual run of BODY messages for one GPADL cost the same each.
 *
 *	HEADER, BODY... --> GPADL_CREATED (success or not)
 *	TEARDOWN -----+---> GPADL_TORNDOWN
 *	              +- in use by an open ring -> after the device let go
 *
 * A device may use the pages of a GPADL (channel.h). It asks from its channel's
 * reactor by a posted call, which is answered by another; giving back is a call,
 * too. Calls come in the order they were posted in: a device that gives back
 * and then lets go of its channel has given back by then. A reserved channel
 * has its ring and no other pages: of what is left of a connection that ended,
 * it keeps no more than that.
 *
 * Threads: the server's reactor, but for a device's. Failure answers: what
 * creates a GPADL fails with GPADL_CREATED; a TEARDOWN of an unknown GPADL is
 * recorded and answered all the same, since the memory is the client's.
 */
#include <errno.h>

#include "vmbus_state.h"

#define WORD_SIZE 8u

void gpadl_send_created(struct vmbus_server *server, uint32_t channel,
			 uint32_t id, uint32_t status)
{
	struct vmbus_gpadl_created created = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(id),
		.status = cpu_to_le32(status),
	};

	server_send(server, VMBUS_GPADL_CREATED, &created, sizeof(created));
}

void gpadl_send_torndown(struct vmbus_server *server, uint32_t id)
{
	struct vmbus_gpadl_torndown torndown = { .gpadl = cpu_to_le32(id) };

	server_send(server, VMBUS_GPADL_TORNDOWN, &torndown, sizeof(torndown));
}

/* Where the pointer to the incomplete GPADL is; points to NULL if nowhere. */
static struct gpadl **find_partial(struct vmbus_server *server, uint32_t id)
{
	struct gpadl **at = &server->partial;

	while (*at && (*at)->id != id)
		at = &(*at)->next_partial;
	return at;
}

void gpadl_drop(struct vmbus_channel_state *st, struct gpadl *gpadl)
{
	if (!gpadl->complete && !gpadl->asked) {
		struct gpadl **at = find_partial(st->server, gpadl->id);

		*at = gpadl->next_partial;
	}
	gpadl_remove(&st->gpadls, gpadl);
}

/* Takes words; `gpadl` is the first of the incomplete ones. */
static void add_words(struct vmbus_channel_state *st, struct gpadl *gpadl,
		      uint32_t type, const void *words, size_t bytes)
{
	struct vmbus_server *server = st->server;
	uint32_t channel = st->ch.id, id = gpadl->id;
	struct refusal refusal;

	if (!gpadl_add(gpadl, words, bytes / WORD_SIZE))
		return;
	if (gpadl_check(gpadl, server->config.memory, &refusal)) {
		server_refuse_for(server, channel, type, &refusal);
		gpadl_drop(st, gpadl);
		gpadl_send_created(server, channel, id, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	server->partial = gpadl->next_partial;
	/* For who is rescinded, nobody is left to ask. */
	if (channel_is_relayed(st) && !st->revoked) {
		relayed_gpadl_create(st, gpadl);
		return;
	}
	gpadl->complete = true;
	gpadl_send_created(server, channel, id, VMBUS_STATUS_SUCCESS);
}

void handle_gpadl_header(struct vmbus_server *server, const void *message,
			 size_t size)
{
	const struct vmbus_gpadl_header *header = message;
	uint32_t channel = le32_to_cpu(header->channel);
	uint32_t id = le32_to_cpu(header->gpadl);
	struct vmbus_channel_state *st =
		server_channel(server, channel, VMBUS_GPADL_HEADER);
	struct gpadl *gpadl;
	struct refusal refusal = {
		.offset = offsetof(struct vmbus_gpadl_header, gpadl),
		.value = id,
		.rule = "vmbus.gpadl.id-incomplete",
	};

	if (!st) {
		gpadl_send_created(server, channel, id, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	if (channel_is_busy(st) && st->open.reserved) {
		server_refuse(server, channel, VMBUS_GPADL_HEADER,
			      offsetof(struct vmbus_gpadl_header, channel),
			      channel, "vmbus.gpadl.reserved");
		gpadl_send_created(server, channel, id, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	if (*find_partial(server, id) ||
	    gpadl_begin(&st->gpadls, id, le16_to_cpu(header->range_bytes),
			le16_to_cpu(header->range_count), &gpadl, &refusal)) {
		server_refuse_for(server, channel, VMBUS_GPADL_HEADER,
				  &refusal);
		gpadl_send_created(server, channel, id, VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	gpadl->channel = channel;
	gpadl->next_partial = server->partial;
	server->partial = gpadl;
	add_words(st, gpadl, VMBUS_GPADL_HEADER,
		  (const uint8_t *)message + sizeof(*header),
		  size - sizeof(*header));
}

void handle_gpadl_body(struct vmbus_server *server, const void *message,
		       size_t size)
{
	const struct vmbus_gpadl_body *body = message;
	uint32_t id = le32_to_cpu(body->gpadl);
	struct gpadl **at = find_partial(server, id), *gpadl = *at;

	if (!gpadl) {
		server_refuse(server, 0, VMBUS_GPADL_BODY,
			      offsetof(struct vmbus_gpadl_body, gpadl), id,
			      "vmbus.gpadl-body.unknown");
		return;
	}
	if (size < sizeof(*body) + WORD_SIZE) {
		server_refuse(server, gpadl->channel, VMBUS_GPADL_BODY,
			      sizeof(*body), size, "vmbus.gpadl-body.empty");
		return;
	}
	*at = gpadl->next_partial;
	gpadl->next_partial = server->partial;
	server->partial = gpadl;
	add_words(server->by_id[gpadl->channel], gpadl, VMBUS_GPADL_BODY,
		  (const uint8_t *)message + sizeof(*body),
		  size - sizeof(*body));
}

void handle_gpadl_teardown(struct vmbus_server *server, const void *message,
			   size_t size)
{
	const struct vmbus_gpadl_teardown *teardown = message;
	uint32_t channel = le32_to_cpu(teardown->channel);
	uint32_t id = le32_to_cpu(teardown->gpadl);
	uint32_t at = offsetof(struct vmbus_gpadl_teardown, gpadl);
	struct vmbus_channel_state *st =
		server_channel(server, channel, VMBUS_GPADL_TEARDOWN);
	struct gpadl *gpadl = st ? gpadl_find(&st->gpadls, id) : NULL;

	(void)size;
	if (!gpadl) {
		if (st)
			server_refuse(server, channel, VMBUS_GPADL_TEARDOWN,
				      at, id, "vmbus.gpadl-teardown.unknown");
		gpadl_send_torndown(server, id);
		return;
	}
	if (gpadl->teardown) {
		server_refuse(server, channel, VMBUS_GPADL_TEARDOWN, at, id,
			      "vmbus.gpadl-teardown.twice");
		return;
	}
	if (!gpadl->complete)
		server_refuse(server, channel, VMBUS_GPADL_TEARDOWN, at, id,
			      "vmbus.gpadl-teardown.incomplete");
	if (channel_is_relayed(st)) {
		relayed_gpadl_teardown(st, gpadl);
		return;
	}
	if (gpadl->users) {
		gpadl->teardown = true;
		return;
	}
	gpadl_drop(st, gpadl);
	gpadl_send_torndown(server, id);
}

void gpadl_answer_teardowns(struct vmbus_channel_state *st)
{
	struct gpadl *gpadl, *next;

	for (gpadl = st->gpadls.first; gpadl; gpadl = next) {
		uint32_t id = gpadl->id;

		next = gpadl->next;
		if (!gpadl->teardown || gpadl->users)
			continue;
		gpadl_drop(st, gpadl);
		gpadl_send_torndown(st->server, id);
	}
}

void gpadl_forget_unused(struct vmbus_channel_state *st)
{
	struct gpadl *gpadl, *next;

	for (gpadl = st->gpadls.first; gpadl; gpadl = next) {
		next = gpadl->next;
		/* Nobody waits for the answer any more. */
		gpadl->teardown = false;
		if (!gpadl->users)
			gpadl_drop(st, gpadl);
	}
}

/* Devices. */

#define pages_of(call, member)                                             \
	((struct vmbus_pages *)((char *)(call) -                           \
		offsetof(struct vmbus_pages, member)))

static int take(struct vmbus_pages *pages)
{
	struct vmbus_channel_state *st = pages->ch->state;
	struct gpadl *gpadl = gpadl_find(&st->gpadls, pages->id);

	if (!gpadl || !gpadl->complete || gpadl->teardown || st->open.reserved)
		return -ENOENT;
	if (gpadl->range_count != 1 ||
	    (uint32_t)(gpadl->word[0] >> VMBUS_GPADL_RANGE_OFFSET_SHIFT))
		return -EINVAL;
	gpadl->users++;
	pages->gpadl = gpadl;
	pages->pfn = gpadl->word + 1;
	pages->size = (uint32_t)(gpadl->word[0] >>
				 VMBUS_GPADL_RANGE_COUNT_SHIFT);
	return 0;
}

static void take_pages(struct reactor_call *call)
{
	struct vmbus_pages *pages = pages_of(call, take_call);

	pages->error = take(pages);
	reactor_post(pages->ch->reactor, &pages->taken_call);
}

static void pages_taken(struct reactor_call *call)
{
	struct vmbus_pages *pages = pages_of(call, taken_call);

	pages->taken(pages, pages->error);
}

static void give_pages(struct reactor_call *call)
{
	struct vmbus_pages *pages = pages_of(call, give_call);

	pages->gpadl->users--;
	gpadl_answer_teardowns(pages->ch->state);
}

void vmbus_take_pages(struct vmbus_channel *ch, struct vmbus_pages *pages,
		      uint32_t gpadl)
{
	pages->ch = ch;
	pages->id = gpadl;
	pages->take_call.fn = take_pages;
	pages->taken_call.fn = pages_taken;
	pages->give_call.fn = give_pages;
	reactor_post(ch->state->server->config.reactor, &pages->take_call);
}

void vmbus_give_pages(struct vmbus_pages *pages)
{
	reactor_post(pages->ch->state->server->config.reactor,
		     &pages->give_call);
}
