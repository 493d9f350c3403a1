/* SPDX-License-Identifier: MIT */
/*
 * The VMBus server, theory of operation
 *
 * Owns the queues of messages in both directions and the table that says what
 * each message of the client needs; connection.c, offer.c, channel_messages.c
 * and gpadl_messages.c have the handlers.
 *
 *	vmbus_server_message() --> queue --> handler --> server_send()
 *	     any thread          bounded  |              posted, or waits
 *	                                  +- not while answers wait, nor while
 *	                                     the connection is broken off
 *
 * Messages of the client wait in a bounded queue, full = the client posts
 * again later. They are handled one by one, and none while messages to the
 * client wait for room, so a client that does not read cannot make us collect
 * answers. The work of one message is bounded. A client that says PAUSE gets
 * what it is to be told when it says RESUME; meanwhile it can ask for nothing,
 * so these are at most one or two messages for each channel.
 *
 * Threads: everything on the server's reactor but the queue, which has a lock,
 * and the table of signals (channel.c).
 *
 * Failure answers: a message that is short, unknown, too new for the agreed
 * version or out of place is recorded as a violation, counted and dropped,
 * after a failed result if the protocol has one. A message for the client that
 * the transport can never deliver is dropped and counted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/violation.h>

#include "vmbus_state.h"

LOG_MODULE("vmbus");

/* Messages handled before others on this reactor get their turn. */
#define PASS_BUDGET 16

/* When a message is legal besides on a connection that is not paused. */
#define UNCONNECTED (1u << 0)
#define PAUSED (1u << 1)

static const struct message_rule {
	message_handler *handle; /* NULL: not for the client to send */
	size_t size;
	uint32_t since;		 /* version */
	uint32_t feature;	 /* that it belongs to */
	unsigned int when;
} messages[VMBUS_MESSAGE_TYPES] = {
	[VMBUS_REQUEST_OFFERS] = { handle_request_offers,
		sizeof(struct vmbus_header), 0, 0, 0 },
	[VMBUS_OPEN_CHANNEL] = { handle_open_channel,
		sizeof(struct vmbus_open_channel), 0, 0, 0 },
	[VMBUS_CLOSE_CHANNEL] = { handle_close_channel,
		sizeof(struct vmbus_channel_message), 0, 0, 0 },
	[VMBUS_GPADL_HEADER] = { handle_gpadl_header,
		sizeof(struct vmbus_gpadl_header), 0, 0, 0 },
	[VMBUS_GPADL_BODY] = { handle_gpadl_body,
		sizeof(struct vmbus_gpadl_body), 0, 0, 0 },
	[VMBUS_GPADL_TEARDOWN] = { handle_gpadl_teardown,
		sizeof(struct vmbus_gpadl_teardown), 0, 0, 0 },
	[VMBUS_REL_ID_RELEASED] = { handle_rel_id_released,
		sizeof(struct vmbus_channel_message), 0, 0, 0 },
	[VMBUS_INITIATE_CONTACT] = { handle_initiate_contact,
		sizeof(struct vmbus_initiate_contact), 0, 0,
		UNCONNECTED | PAUSED },
	[VMBUS_UNLOAD] = { handle_unload,
		sizeof(struct vmbus_header), 0, 0, PAUSED },
	[VMBUS_OPEN_RESERVED] = { handle_open_reserved,
		sizeof(struct vmbus_open_reserved), VMBUS_VERSION_WIN10, 0, 0 },
	[VMBUS_CLOSE_RESERVED] = { handle_close_reserved,
		sizeof(struct vmbus_close_reserved), VMBUS_VERSION_WIN10, 0,
		UNCONNECTED },
	[VMBUS_TL_CONNECT_REQUEST] = { handle_tl_connect,
		sizeof(struct vmbus_tl_connect_request), VMBUS_VERSION_WIN10,
		0, 0 },
	[VMBUS_MODIFY_CHANNEL] = { handle_modify_channel,
		sizeof(struct vmbus_modify_channel), VMBUS_VERSION_WIN10_RS3,
		0, 0 },
	[VMBUS_MODIFY_CONNECTION] = { handle_modify_connection,
		sizeof(struct vmbus_modify_connection), VMBUS_VERSION_COPPER,
		VMBUS_FEATURE_MODIFY_CONNECTION, 0 },
	[VMBUS_PAUSE] = { handle_pause,
		sizeof(struct vmbus_header), VMBUS_VERSION_COPPER,
		VMBUS_FEATURE_PAUSE_RESUME, 0 },
	[VMBUS_RESUME] = { handle_resume,
		sizeof(struct vmbus_header), VMBUS_VERSION_COPPER,
		VMBUS_FEATURE_PAUSE_RESUME, PAUSED },
};

/* Violations. */

void server_refuse(struct vmbus_server *server, uint32_t id, uint32_t type,
		   uint32_t offset, uint64_t value, const char *rule)
{
	server->count.refused++;
	violation_record("vmbus", id, type, offset, value, rule);
}

void server_refuse_for(struct vmbus_server *server, uint32_t id, uint32_t type,
		       const struct refusal *refusal)
{
	server_refuse(server, id, type, refusal->offset, refusal->value,
		      refusal->rule);
}

struct vmbus_channel_state *server_channel(struct vmbus_server *server,
					   uint32_t id, uint32_t type)
{
	/* In every message the channel comes right behind the header. */
	uint32_t offset = offsetof(struct vmbus_channel_message, channel);

	if (id <= VMBUS_MAX_CHANNELS && server->by_id[id])
		return server->by_id[id];
	server_refuse(server, id, type, offset, id, "vmbus.channel");
	return NULL;
}

/* To the client. */

/* 0: posted, or lost for good. */
static int post(struct vmbus_server *server, uint32_t vp, uint8_t sint,
		const void *payload, size_t size)
{
	int err = server->config.transport->post(server->config.opaque, vp,
						 sint, payload, size);

	if (err == -EAGAIN)
		return err;
	if (err) {
		server->count.lost++;
		log_warn_limited("message to VP %u, SINT %u lost: %s", vp,
				 sint, strerror(-err));
		return 0;
	}
	server->count.messages_out++;
	return 0;
}

static void append(struct vmbus_server *server, struct out_message **list,
		   struct message_target to, const void *message, size_t size)
{
	struct out_message *out = calloc(1, sizeof(*out));

	if (!out) {
		server->count.lost++;
		log_err("no memory for a message of %zu bytes", size);
		return;
	}
	out->vp = to.vp;
	out->sint = to.sint;
	out->size = size;
	memcpy(out->payload, message, size);
	while (*list)
		list = &(*list)->next;
	*list = out;
}

static void set_type(void *message, enum vmbus_message_type type)
{
	struct vmbus_header header = { .type = cpu_to_le32(type) };

	memcpy(message, &header, sizeof(header));
}

void server_send_to(struct vmbus_server *server, uint32_t vp, uint8_t sint,
		    enum vmbus_message_type type, void *message, size_t size)
{
	struct message_target to = { vp, sint };

	set_type(message, type);
	if (server->out || post(server, vp, sint, message, size))
		append(server, &server->out, to, message, size);
}

void server_send(struct vmbus_server *server, enum vmbus_message_type type,
		 void *message, size_t size)
{
	struct message_target to = { server->vp, VMBUS_SINT };

	if (server->state != CONNECTED)
		return;
	if (!server->paused) {
		server_send_to(server, to.vp, to.sint, type, message, size);
		return;
	}
	set_type(message, type);
	append(server, &server->held, to, message, size);
}

static void send_waiting(struct vmbus_server *server)
{
	struct out_message *out;

	while ((out = server->out)) {
		if (post(server, out->vp, out->sint, out->payload, out->size))
			return;
		server->out = out->next;
		free(out);
	}
}

static void drop_all(struct out_message **list)
{
	struct out_message *out;

	while ((out = *list)) {
		*list = out->next;
		free(out);
	}
}

void server_forget_held(struct vmbus_server *server)
{
	server->paused = false;
	drop_all(&server->held);
}

void server_forget_waiting(struct vmbus_server *server)
{
	drop_all(&server->out);
}

void server_pause(struct vmbus_server *server)
{
	server->paused = true;
}

void server_resume(struct vmbus_server *server)
{
	struct out_message **last = &server->out;

	server->paused = false;
	while (*last)
		last = &(*last)->next;
	*last = server->held;
	server->held = NULL;
	send_waiting(server);
}

/* From the client. */

/* Why a message of `type` and `size` may not be handled now, or NULL. */
static const char *out_of_place(const struct vmbus_server *server,
				uint32_t type, uint64_t *value)
{
	const struct message_rule *rule = &messages[type];

	*value = type;
	if (server->state != CONNECTED)
		return rule->when & UNCONNECTED ? NULL :
		       "vmbus.message.contact-first";
	*value = server->version;
	if (server->version < rule->since)
		return "vmbus.message.version";
	*value = server->features;
	if (rule->feature & ~server->features)
		return "vmbus.message.feature";
	*value = type;
	if (server->paused && !(rule->when & PAUSED))
		return "vmbus.message.paused";
	return NULL;
}

static void handle(struct vmbus_server *server,
		   const struct waiting_message *message)
{
	struct vmbus_header header;
	const char *rule;
	uint64_t value;
	uint32_t type;

	server->count.messages_in++;
	if (message->size < sizeof(header)) {
		server_refuse(server, 0, 0, 0, message->size,
			      "vmbus.message.header");
		return;
	}
	memcpy(&header, message->payload, sizeof(header));
	type = le32_to_cpu(header.type);
	if (type >= VMBUS_MESSAGE_TYPES || !messages[type].handle) {
		server_refuse(server, 0, type, 0, type, "vmbus.message.type");
		return;
	}
	if (message->size < messages[type].size) {
		server_refuse(server, 0, type, message->size,
			      messages[type].size, "vmbus.message.complete");
		return;
	}
	rule = out_of_place(server, type, &value);
	if (rule)
		server_refuse(server, 0, type, 0, value, rule);
	else
		messages[type].handle(server, message->payload, message->size);
}

static bool take(struct vmbus_server *server, struct waiting_message *message)
{
	bool taken;

	pthread_mutex_lock(&server->lock);
	taken = server->in_count > 0;
	if (taken) {
		*message = server->in[server->in_first];
		server->in_first = (server->in_first + 1) % SERVER_MAX_WAITING;
		server->in_count--;
	}
	pthread_mutex_unlock(&server->lock);
	return taken;
}

static void pass(struct reactor_call *call)
{
	struct vmbus_server *server =
		(struct vmbus_server *)((char *)call -
			offsetof(struct vmbus_server, pass_call));
	struct waiting_message message;

	send_waiting(server);
	for (unsigned int i = 0; i < PASS_BUDGET; i++) {
		if (server->out || server->hold ||
		    server->state == DISCONNECTING || !take(server, &message))
			return;
		handle(server, &message);
	}
	reactor_post(server->config.reactor, call);
}

int vmbus_server_message(struct vmbus_server *server, uint32_t vp,
			 const void *payload, size_t size)
{
	struct waiting_message *slot;
	int err = 0;

	if (size > VMBUS_MAX_MESSAGE)
		return -EINVAL;
	log_debug("VP %u posts %zu bytes", vp, size);
	pthread_mutex_lock(&server->lock);
	if (server->in_count == SERVER_MAX_WAITING) {
		server->in_full++;
		err = -ENOSPC;
	} else {
		slot = &server->in[(server->in_first + server->in_count) %
				   SERVER_MAX_WAITING];
		slot->size = size;
		memcpy(slot->payload, payload, size);
		server->in_count++;
	}
	pthread_mutex_unlock(&server->lock);
	if (!err)
		reactor_post(server->config.reactor, &server->pass_call);
	return err;
}

void vmbus_server_room(struct vmbus_server *server)
{
	reactor_post(server->config.reactor, &server->pass_call);
}

void vmbus_server_hold(struct vmbus_server *server, bool hold)
{
	server->hold = hold;
	if (!hold)
		reactor_post(server->config.reactor, &server->pass_call);
}

/* Life of the server. */

struct vmbus_server *vmbus_server_create(const struct vmbus_server_config *c)
{
	struct vmbus_server *server = calloc(1, sizeof(*server));

	if (!server)
		return NULL;
	server->config = *c;
	server->pass_call.fn = pass;
	connection_init(server);
	pthread_mutex_init(&server->lock, NULL);
	return server;
}

void vmbus_server_destroy(struct vmbus_server *server)
{
	struct vmbus_channel_state *st;

	pv_bug(server->devices, server->nr_channels, server->nr_busy);
	server_forget_held(server);
	server_forget_waiting(server);
	offer_forget_all(server);
	while ((st = server->free_channels)) {
		server->free_channels = st->next;
		free(st);
	}
	pthread_mutex_destroy(&server->lock);
	free(server);
}

/* Inspect. */

static void inspect_ring(const struct ring *ring, struct inspect *out)
{
	inspect_u64(out, "packets_in", ring->count.packets_in);
	inspect_u64(out, "packets_out", ring->count.packets_out);
	inspect_u64(out, "signals_wanted", ring->count.signals_sent);
	inspect_u64(out, "signals_saved", ring->count.signals_suppressed);
	inspect_u64(out, "full", ring->count.full);
	if (ring->broken)
		inspect_text(out, "broken", ring->broken);
}

static void inspect_channel(struct vmbus_channel_state *st,
			    struct inspect *out)
{
	static const char *const names[] = {
		[CHANNEL_CLOSED] = "closed",   [CHANNEL_OPENING] = "opening",
		[CHANNEL_OPEN] = "open",       [CHANNEL_CLOSING] = "closing",
		[CHANNEL_STOPPED] = "stopped", [CHANNEL_RESCINDED] = "rescinded",
	};
	struct vmbus_device *dev = st->ch.device;
	char text[GUID_TEXT_SIZE];

	inspect_text(out, "state", names[st->state]);
	inspect_bool(out, "relayed", channel_is_relayed(st));
	inspect_u64(out, "gpadls", st->gpadls.count);
	inspect_u64(out, "gpadl_words", st->gpadls.words);
	if (dev) {
		inspect_text(out, "device", dev->ops->name);
		inspect_text(out, "instance", guid_print(&dev->instance, text));
		inspect_u64(out, "sub_index", st->ch.sub_index);
	}
	if (st->state != CHANNEL_OPEN || channel_is_relayed(st))
		return;
	inspect_bool(out, "reserved", st->open.reserved);
	inspect_u64(out, "vp", atomic_load(&st->vp));
	inspect_u64(out, "signals_in", atomic_load(&st->signals_in));
	inspect_u64(out, "signals_out", atomic_load(&st->signals_out));
	inspect_ring(&st->ch.ring, out);
	if (!st->ch.sub_index && dev->ops->inspect)
		dev->ops->inspect(dev, out);
}

void vmbus_server_inspect(struct vmbus_server *server, struct inspect *out)
{
	static const char *const names[] = {
		[DISCONNECTED] = "disconnected", [CONNECTED] = "connected",
		[DISCONNECTING] = "disconnecting",
	};
	char text[12];

	inspect_text(out, "state", names[server->state]);
	inspect_hex(out, "version", server->version);
	inspect_hex(out, "features", server->features);
	inspect_u64(out, "messages_in", server->count.messages_in);
	inspect_u64(out, "messages_out", server->count.messages_out);
	inspect_u64(out, "messages_refused", server->count.refused);
	inspect_u64(out, "messages_lost", server->count.lost);
	inspect_bool(out, "paused", server->paused);
	inspect_u64(out, "gpadls", server->gpadls.count);
	inspect_u64(out, "gpadl_words", server->gpadls.words);
	pthread_mutex_lock(&server->lock);
	inspect_u64(out, "queue_full", server->in_full);
	pthread_mutex_unlock(&server->lock);
	if (!inspect_begin(out, "channels"))
		return;
	for (uint32_t id = 1; id <= server->top_id; id++) {
		if (!server->by_id[id])
			continue;
		snprintf(text, sizeof(text), "%u", id);
		if (!inspect_begin(out, text))
			continue;
		inspect_channel(server->by_id[id], out);
		inspect_end(out);
	}
	inspect_end(out);
}
