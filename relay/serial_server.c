/* SPDX-License-Identifier: MIT */
/*
 * VMBus serial port, server's end: theory of operation
 *
 * Owns the last piece that the client sent and the backend has not taken, and
 * the last piece of the backend that the pipe has not taken. It answers what
 * the client asks; it completes a transmission when the backend has taken all
 * of it, and tells once that there are bytes to fetch.
 *
 * Answers that do not fit into the pipe are owed (flags), and tried again in
 * the order of `send_owed` when there is room.
 *
 * Threads: one lock for all calls, see serial.h.
 *
 * Failure answers: as the client's (serial_client.c).
 */
#include <string.h>

#include <pv/violation.h>

#include "serial.h"
#include "serial_message.h"

static struct serial_server *server_of(struct pipe_user *user)
{
	return (struct serial_server *)((char *)user -
		offsetof(struct serial_server, user));
}

static bool server_send(struct serial_server *server, const void *message,
			size_t size)
{
	if (pipe_send(server->pipe, message, size))
		return false;
	server->count.messages_out++;
	return true;
}

static bool send_version(struct serial_server *server)
{
	struct serial_version_response response = {
		.header = header_of(SERIAL_HOST_RESPONSE, SERIAL_VERSION),
		.accepted = server->version_accepted,
	};

	if (!server_send(server, &response, sizeof(response)))
		return false;
	server->owes_version = false;
	return true;
}

static bool send_status(struct serial_server *server)
{
	struct serial_modem_status status = {
		.header = header_of(SERIAL_GUEST_NOTIFICATION,
				    SERIAL_SET_MODEM_STATUS),
		.connected = 1,
	};

	if (!server_send(server, &status, sizeof(status)))
		return false;
	server->owes_status = false;
	return true;
}

static bool send_completed(struct serial_server *server)
{
	struct serial_header completed =
		header_of(SERIAL_GUEST_NOTIFICATION, SERIAL_TX_COMPLETED);

	if (!server_send(server, &completed, sizeof(completed)))
		return false;
	server->owes_completed = false;
	return true;
}

/*
 * A full piece may have more behind it: it is sent with `more` set, the client
 * asks again, and an empty answer ends that. A piece that the pipe does not
 * take is held and sent later.
 */
static bool send_data(struct serial_server *server)
{
	struct serial_rx_data rx = {
		.header = header_of(SERIAL_HOST_RESPONSE, SERIAL_GET_RX_DATA),
	};

	if (!server->rx_held) {
		server->rx_len = server->tty->back->read(
			server->tty, server->rx, sizeof(server->rx));
		server->rx_held = true;
	}
	rx.length = server->rx_len;
	rx.more = server->rx_len == sizeof(server->rx);
	memcpy(rx.data, server->rx, server->rx_len);
	if (!server_send(server, &rx, sizeof(rx)))
		return false;
	server->count.bytes_in += server->rx_len;
	server->rx_held = false;
	server->rx_told = rx.more;
	server->owes_response = false;
	return true;
}

static void send_owed(struct serial_server *server)
{
	if (server->owes_version && !send_version(server))
		return;
	if (server->owes_status && !send_status(server))
		return;
	if (server->owes_completed && !send_completed(server))
		return;
	if (server->owes_response)
		send_data(server);
}

/* Tells of bytes in the tty; the client may be told in vain. */
static void server_readable(void *opaque)
{
	struct serial_server *server = opaque;
	struct serial_header told = header_of(SERIAL_GUEST_NOTIFICATION,
					      SERIAL_RX_DATA_AVAILABLE);

	if (server->up && !server->gone && !server->rx_told)
		server->rx_told = server_send(server, &told, sizeof(told));
}

static void server_flush(struct serial_server *server)
{
	while (server->out_at < server->out_len) {
		size_t n = server->tty->back->write(
			server->tty, server->out + server->out_at,
			server->out_len - server->out_at);

		if (!n)
			return;
		server->out_at += n;
		server->count.bytes_out += n;
	}
	if (server->out_busy) {
		server->out_busy = false;
		server->owes_completed = true;
		send_owed(server);
	}
}

static void server_room(void *opaque)
{
	struct serial_server *server = opaque;

	if (!server->gone)
		server_flush(server);
}

static const struct tty_front_ops server_front = {
	.room = server_room,
	.readable = server_readable,
};

static void server_gone(struct serial_server *server)
{
	if (server->gone)
		return;
	server->gone = true;
	server->count.bytes_lost += server->out_len - server->out_at;
	server->out_at = server->out_len = 0;
}

/* A message of this header id ends the connection. */
static void server_refuse(struct serial_server *server, uint32_t id,
			  uint64_t value, const char *rule)
{
	server->count.refused++;
	violation_record(server->name, 0, id, 0, value, rule);
	server_gone(server);
}

static void server_version(struct serial_server *server, const void *message,
			   size_t size)
{
	struct serial_version_request request;

	if (!take(&request, sizeof(request), message, size)) {
		server_refuse(server, SERIAL_VERSION, size,
			      "serial.version.request");
		return;
	}
	server->version_accepted =
		le32_to_cpu(request.version) == SERIAL_PROTOCOL_VERSION;
	server->up = server->version_accepted;
	server->owes_version = true;
	server->owes_status = server->up;
	send_owed(server);
	server_readable(server);
}

static void server_transmit(struct serial_server *server, const void *message,
			    size_t size)
{
	struct serial_tx_data tx;

	if (!server->up || server->out_busy || server->owes_completed ||
	    !take(&tx, sizeof(tx), message, size) ||
	    tx.length > SERIAL_DATA_MAX) {
		server_refuse(server, SERIAL_TX_DATA_AVAILABLE, size,
			      "serial.data.notification");
		return;
	}
	memcpy(server->out, tx.data, tx.length);
	server->out_at = 0;
	server->out_len = tx.length;
	server->out_busy = true;
	server_flush(server);
}

static void server_received(struct pipe_user *user, const void *message,
			    size_t size)
{
	struct serial_server *server = server_of(user);
	struct serial_header header = { 0 };
	uint16_t id;

	server->count.messages_in++;
	if (server->gone)
		return;
	if (!take(&header, sizeof(header), message, size) ||
	    header.version != SERIAL_HEADER_VERSION) {
		server_refuse(server, le16_to_cpu(header.id), header.version,
			      "serial.message.header");
		return;
	}
	id = le16_to_cpu(header.id);
	if (header.type == SERIAL_HOST_REQUEST && id == SERIAL_VERSION) {
		server_version(server, message, size);
	} else if (header.type == SERIAL_HOST_REQUEST &&
		   id == SERIAL_GET_RX_DATA && server->up) {
		server->owes_response = true;
		send_owed(server);
	} else if (header.type == SERIAL_HOST_NOTIFICATION &&
		   id == SERIAL_TX_DATA_AVAILABLE) {
		server_transmit(server, message, size);
	} else if (header.type == SERIAL_HOST_NOTIFICATION) {
		/* RX_CLEAR too: nothing is buffered here. */
		server->count.refused += id != SERIAL_RX_CLEAR;
	} else {
		server_refuse(server, id, header.type, "serial.message.type");
	}
}

static void server_pipe_room(struct pipe_user *user)
{
	struct serial_server *server = server_of(user);

	if (server->gone)
		return;
	send_owed(server);
	server_readable(server);
}

static void server_pipe_gone(struct pipe_user *user)
{
	server_gone(server_of(user));
}

static const struct pipe_user_ops server_user = {
	.received = server_received,
	.room = server_pipe_room,
	.gone = server_pipe_gone,
};

void serial_server_start(struct serial_server *server, const char *name,
			 struct tty *tty, struct message_pipe *pipe)
{
	memset(server, 0, sizeof(*server));
	server->name = name;
	server->tty = tty;
	server->pipe = pipe;
	server->user.ops = &server_user;
	tty->front = &server_front;
	tty->front_opaque = server;
}

void serial_server_stop(struct serial_server *server)
{
	server_gone(server);
	server->tty->front = NULL;
}
