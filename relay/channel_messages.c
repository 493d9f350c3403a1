/* SPDX-License-Identifier: MIT */
/*
 * Channel messages, theory of operation
 *
 * Turns what a client says about channels into the steps of channel.c, or
 * refuses it. The three messages that open a channel become one request:
 *
 *	OPEN_CHANNEL                    interrupts to a VP, flag = channel id
 *	OPEN_CHANNEL, signal parameters ... with ids of the client's choice
 *	OPEN_RESERVED                   no interrupts, result to a VP and SINT
 *
 * Connection ids that a client chooses must lie in the range that the server
 * gives out itself, so one table finds the channel of every signal.
 *
 * MODIFY_CHANNEL changes the VP that is interrupted. The reactor stays: what
 * the device has in flight completes there. It makes the change, too: a client
 * that has the answer may take the old VP away, and by then nobody is about to
 * interrupt that. Before 5.3 there is no answer to wait for.
 *
 * Threads: the server's reactor.
 *
 * Failure answers: a wrong OPEN gets a failed OPEN_RESULT, a wrong MODIFY a
 * failed response (5.3 and later), CLOSE_RESERVED is always answered; CLOSE has
 * no answer. All are recorded.
 */
#include <string.h>

#include <pv/log.h>

#include "vmbus_state.h"

LOG_MODULE("vmbus");

#define MAX_SINT 15

/* Where every such message names its channel. */
#define CHANNEL_AT offsetof(struct vmbus_channel_message, channel)

static void refuse_open(struct vmbus_server *server, uint32_t id,
			uint32_t type, const struct open_request *request,
			const struct refusal *refusal)
{
	server_refuse_for(server, id, type, refusal);
	channel_send_open_result(server, id, request,
				 VMBUS_STATUS_UNSUCCESSFUL);
}

static void open_channel(struct vmbus_server *server, uint32_t id,
			 uint32_t type, const struct open_request *request)
{
	struct vmbus_channel_state *st = server_channel(server, id, type);

	if (!st) {
		channel_send_open_result(server, id, request,
					 VMBUS_STATUS_UNSUCCESSFUL);
	} else if (st->revoked) {
		/* RESCIND is, or will be, the answer. */
		log_debug("channel %u: OPEN crossed RESCIND", id);
	} else if (request->reserved && channel_is_relayed(st)) {
		struct refusal refusal = { CHANNEL_AT, id,
					   "vmbus.open.relayed" };

		refuse_open(server, id, type, request, &refusal);
	} else if (st->state == CHANNEL_CLOSED) {
		channel_open_begin(st, request);
	} else if (st->state == CHANNEL_CLOSING && st->client_closed &&
		   !st->reopen && !st->open.reserved) {
		st->reopen = true;
		st->reopen_request = *request;
	} else {
		struct refusal refusal = { CHANNEL_AT, id, "vmbus.open.twice" };

		refuse_open(server, id, type, request, &refusal);
	}
}

/* Fills in what the client chose, false with *refusal filled: it may not. */
static bool take_signal_parameters(const void *message, size_t size,
				   struct open_request *request,
				   struct refusal *refusal)
{
	const struct vmbus_open_channel_signal *chosen = message;

	if (size < sizeof(*chosen)) {
		*refusal = (struct refusal){ (uint32_t)size, sizeof(*chosen),
					     "vmbus.message.complete" };
		return false;
	}
	/* To redirect interrupts was not agreed on. */
	if (le16_to_cpu(chosen->flags)) {
		*refusal = (struct refusal){
			offsetof(struct vmbus_open_channel_signal, flags),
			le16_to_cpu(chosen->flags), "vmbus.open.flags",
		};
		return false;
	}
	request->connection = le32_to_cpu(chosen->connection);
	request->event_flag = le16_to_cpu(chosen->event_flag);
	return true;
}

void handle_open_channel(struct vmbus_server *server, const void *message,
			 size_t size)
{
	const struct vmbus_open_channel *open = message;
	uint32_t id = le32_to_cpu(open->channel);
	struct open_request request = {
		.open_id = le32_to_cpu(open->open_id),
		.gpadl = le32_to_cpu(open->gpadl),
		.split = le32_to_cpu(open->downstream_page),
		.vp = le32_to_cpu(open->vp),
		.connection = connection_of(server, id),
		.event_flag = (uint16_t)id,
	};
	struct refusal refusal;

	memcpy(request.user_data, open->user_data, VMBUS_USER_DATA_SIZE);
	if (server->features & VMBUS_FEATURE_SIGNAL_PARAMETERS &&
	    !take_signal_parameters(message, size, &request, &refusal))
		refuse_open(server, id, VMBUS_OPEN_CHANNEL, &request,
			    &refusal);
	else
		open_channel(server, id, VMBUS_OPEN_CHANNEL, &request);
}

/* Where the answer to a message about a reserved channel goes; recorded, and
 * where the connection's messages go, if there is no such place. */
static bool take_target(struct vmbus_server *server, uint32_t id,
			uint32_t type, uint32_t vp, uint32_t sint,
			struct message_target *to)
{
	to->vp = vp;
	to->sint = (uint8_t)sint;
	if (vp < server->config.nr_vps && sint <= MAX_SINT)
		return true;
	server_refuse(server, id, type,
		      offsetof(struct vmbus_close_reserved, vp),
		      (uint64_t)sint << 32 | vp, "vmbus.reserved.target");
	to->vp = server->vp;
	to->sint = VMBUS_SINT;
	return false;
}

void handle_open_reserved(struct vmbus_server *server, const void *message,
			  size_t size)
{
	const struct vmbus_open_reserved *open = message;
	uint32_t id = le32_to_cpu(open->channel);
	struct open_request request = {
		.gpadl = le32_to_cpu(open->gpadl),
		.split = le32_to_cpu(open->downstream_page),
		.vp = VMBUS_NO_VP,
		.connection = connection_of(server, id),
		.event_flag = (uint16_t)id,
		.reserved = true,
	};

	_Static_assert(offsetof(struct vmbus_open_reserved, vp) ==
		       offsetof(struct vmbus_close_reserved, vp), "same place");
	(void)size;
	if (take_target(server, id, VMBUS_OPEN_RESERVED,
			le32_to_cpu(open->vp), le32_to_cpu(open->sint),
			&request.reply))
		open_channel(server, id, VMBUS_OPEN_RESERVED, &request);
	else
		channel_send_open_result(server, id, &request,
					 VMBUS_STATUS_UNSUCCESSFUL);
}

void handle_close_channel(struct vmbus_server *server, const void *message,
			  size_t size)
{
	const struct vmbus_channel_message *close = message;
	uint32_t id = le32_to_cpu(close->channel);
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_CLOSE_CHANNEL);
	bool reserved = st && st->open.reserved;

	(void)size;
	if (!st)
		return;
	if (st->state == CHANNEL_OPEN && channel_is_relayed(st)) {
		relayed_close(st);
	} else if (st->state == CHANNEL_OPEN && !reserved) {
		st->client_closed = true;
		channel_close_begin(st);
	} else if (st->state == CHANNEL_CLOSING && !st->client_closed &&
		   !reserved) {
		st->client_closed = true;
	} else if (st->state == CHANNEL_STOPPED && !reserved) {
		channel_closed_by_client(st);
	} else if (!st->revoked) {
		server_refuse(server, id, VMBUS_CLOSE_CHANNEL, CHANNEL_AT, id,
			      "vmbus.close.not-open");
	}
}

void channel_send_close_response(struct vmbus_server *server, uint32_t id,
				 struct message_target to)
{
	struct vmbus_channel_message response = {
		.channel = cpu_to_le32(id),
	};

	server_send_to(server, to.vp, to.sint, VMBUS_CLOSE_RESERVED_RESPONSE,
		       &response, sizeof(response));
}

/* The client waits for the answer, perhaps as the last thing it does. */
void handle_close_reserved(struct vmbus_server *server, const void *message,
			   size_t size)
{
	const struct vmbus_close_reserved *close = message;
	uint32_t id = le32_to_cpu(close->channel);
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_CLOSE_RESERVED);
	struct message_target to;

	(void)size;
	take_target(server, id, VMBUS_CLOSE_RESERVED, le32_to_cpu(close->vp),
		    le32_to_cpu(close->sint), &to);
	if (!st || !st->open.reserved || st->answer_close) {
		if (st && !st->revoked)
			server_refuse(server, id, VMBUS_CLOSE_RESERVED,
				      CHANNEL_AT, id,
				      "vmbus.close-reserved.not-open");
		if (!st || !st->answer_close)
			channel_send_close_response(server, id, to);
		return;
	}
	st->answer_close = true;
	st->close_reply = to;
	if (st->state == CHANNEL_STOPPED)
		channel_closed_by_client(st);
	else
		channel_stop(st);
}

void channel_send_modify_response(struct vmbus_server *server, uint32_t id,
				  uint32_t status)
{
	struct vmbus_modify_channel_response response = {
		.channel = cpu_to_le32(id),
		.status = cpu_to_le32(status),
	};

	if (server->version >= VMBUS_VERSION_IRON)
		server_send(server, VMBUS_MODIFY_CHANNEL_RESPONSE, &response,
			    sizeof(response));
}

void handle_modify_channel(struct vmbus_server *server, const void *message,
			   size_t size)
{
	const struct vmbus_modify_channel *modify = message;
	uint32_t id = le32_to_cpu(modify->channel);
	uint32_t vp = le32_to_cpu(modify->vp);
	uint32_t status = VMBUS_STATUS_UNSUCCESSFUL;
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_MODIFY_CHANNEL);

	(void)size;
	if (!st) {
		/* Recorded. */
	} else if (st->state != CHANNEL_OPEN ||
		   atomic_load(&st->vp) == VMBUS_NO_VP) {
		if (!st->revoked)
			server_refuse(server, id, VMBUS_MODIFY_CHANNEL,
				      CHANNEL_AT, id, "vmbus.modify.not-open");
	} else if (vp >= server->config.nr_vps) {
		server_refuse(server, id, VMBUS_MODIFY_CHANNEL,
			      offsetof(struct vmbus_modify_channel, vp), vp,
			      "vmbus.vp");
	} else if (st->modifying) {
		server_refuse(server, id, VMBUS_MODIFY_CHANNEL, CHANNEL_AT, id,
			      "vmbus.modify.busy");
	} else if (channel_is_relayed(st)) {
		relayed_modify(st, vp);
		return;
	} else if (server->version >= VMBUS_VERSION_IRON) {
		channel_modify(st, vp);
		return;
	} else {
		atomic_store(&st->vp, vp);
	}
	channel_send_modify_response(server, id, status);
}
