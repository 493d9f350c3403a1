/* SPDX-License-Identifier: MIT */
/*
 * VMBus serial ports, theory of operation
 *
 * Owns: per client, a ring of bytes that the guest wrote and the host has not
 * taken, and the last piece that the host gave; per server, the last piece
 * that the client sent and the backend has not taken. Nothing else is
 * buffered: a slow end makes the other one wait.
 *
 * Client:
 *
 *	NEGOTIATING --VERSION accepted--> UP
 *	     |                            |
 *	     `------- pipe gone, refused -+--> GONE
 *
 *	out:	buffer -> TX_DATA_AVAILABLE -> (wait) -> TX_COMPLETED -> ...
 *	in:	RX_DATA_AVAILABLE -> GET_RX_DATA -> (wait) -> response
 *		-> in[] -> UART; the next GET_RX_DATA when in[] is empty
 *
 * So there is at most one piece of 64 bytes on the way in each direction. The
 * client in GONE takes and forgets what the guest writes: a guest must not
 * hang on a console that nobody can read.
 *
 * Server: answers what the client asks; it completes a transmission when the
 * backend has taken all of it, and tells once that there are bytes to fetch.
 *
 * Answers that do not fit into the pipe are owed (flags), and tried again in
 * the order of `send_owed` when there is room.
 *
 * Failure answers: a message that is too short, of an unknown header version
 * or type, or that answers nothing asked ends the connection with one line. An
 * unknown *notification* is counted and ignored: later versions of either
 * side may add some.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>

#include "serial.h"

LOG_MODULE("serial");

static struct serial_header header_of(enum serial_type type, uint16_t id)
{
	return (struct serial_header){
		.version = SERIAL_HEADER_VERSION,
		.type = type,
		.id = cpu_to_le16(id),
	};
}

/* A message's first bytes as `to`; false when it is shorter. */
static bool take(void *to, size_t want, const void *message, size_t size)
{
	if (size < want)
		return false;
	memcpy(to, message, want);
	return true;
}

/* ------------------------------------------------------------------------
 * Client.
 */

static struct serial_client *client_of_user(struct pipe_user *user)
{
	return (struct serial_client *)((char *)user -
		offsetof(struct serial_client, user));
}

static struct serial_client *client_of_tty(struct tty *tty)
{
	return (struct serial_client *)((char *)tty -
		offsetof(struct serial_client, tty));
}

static uint32_t out_used(const struct serial_client *client)
{
	return client->out_tail - client->out_head;
}

static void client_room(struct serial_client *client)
{
	if (!client->front_waits)
		return;
	client->front_waits = false;
	if (client->tty.front)
		client->tty.front->room(client->tty.front_opaque);
}

/* After everything that may change it. */
static void client_tell_busy(struct serial_client *client)
{
	bool busy = client->state != SERIAL_CLIENT_GONE &&
		    (out_used(client) || client->transmitting);

	if (busy == client->was_busy)
		return;
	client->was_busy = busy;
	if (client->busy)
		client->busy(client->busy_opaque, busy);
}

static void client_gone(struct serial_client *client, const char *why)
{
	if (client->state == SERIAL_CLIENT_GONE)
		return;
	if (why)
		log_warn("%s: %s; output is dropped", client->name, why);
	client->state = SERIAL_CLIENT_GONE;
	client->count.bytes_lost += out_used(client);
	client->out_head = client->out_tail;
	client_room(client);
	client_tell_busy(client);
}

/* 1 = sent, 0 = later (the pipe is full, or gone and told so by itself). */
static int client_send(struct serial_client *client, const void *message,
		       size_t size)
{
	if (pipe_send(client->pipe, message, size))
		return 0;
	client->count.messages_out++;
	return 1;
}

static void client_transmit(struct serial_client *client)
{
	struct serial_tx_data tx = {
		.header = header_of(SERIAL_HOST_NOTIFICATION,
				    SERIAL_TX_DATA_AVAILABLE),
	};
	uint32_t used = out_used(client);

	if (client->state != SERIAL_CLIENT_UP || client->transmitting || !used)
		return;
	tx.length = used < SERIAL_DATA_MAX ? used : SERIAL_DATA_MAX;
	for (unsigned int i = 0; i < tx.length; i++)
		tx.data[i] = client->out[(client->out_head + i) %
					 SERIAL_CLIENT_BUFFER];
	if (!client_send(client, &tx, sizeof(tx)))
		return;
	client->transmitting = true;
	client->out_head += tx.length;
	client->count.bytes_out += tx.length;
}

static void client_fetch(struct serial_client *client)
{
	struct serial_header request = header_of(SERIAL_HOST_REQUEST,
						 SERIAL_GET_RX_DATA);

	if (client->state != SERIAL_CLIENT_UP || !client->rx_offered ||
	    client->rx_asked || client->in_at < client->in_len)
		return;
	if (client_send(client, &request, sizeof(request)))
		client->rx_asked = true;
}

static void client_ask_version(struct serial_client *client)
{
	struct serial_version_request request = {
		.header = header_of(SERIAL_HOST_REQUEST, SERIAL_VERSION),
		.version = cpu_to_le32(SERIAL_PROTOCOL_VERSION),
	};

	if (client->state == SERIAL_CLIENT_NEGOTIATING &&
	    !client->version_asked)
		client->version_asked =
			client_send(client, &request, sizeof(request));
}

static size_t client_write(struct tty *tty, const uint8_t *data, size_t len)
{
	struct serial_client *client = client_of_tty(tty);
	uint32_t room = SERIAL_CLIENT_BUFFER - out_used(client);

	if (client->state == SERIAL_CLIENT_GONE) {
		client->count.bytes_lost += len;
		return len;
	}
	if (len > room) {
		len = room;
		client->front_waits = true;
	}
	for (size_t i = 0; i < len; i++)
		client->out[client->out_tail++ % SERIAL_CLIENT_BUFFER] =
			data[i];
	client_transmit(client);
	client_tell_busy(client);
	return len;
}

static size_t client_read(struct tty *tty, uint8_t *data, size_t len)
{
	struct serial_client *client = client_of_tty(tty);
	size_t left = client->in_len - client->in_at;

	if (len > left)
		len = left;
	memcpy(data, client->in + client->in_at, len);
	client->in_at += len;
	client_fetch(client);
	return len;
}

static const struct tty_back_ops client_back = {
	.write = client_write,
	.read = client_read,
};

static void client_version(struct serial_client *client, const void *message,
			   size_t size)
{
	struct serial_version_response response;

	if (client->state != SERIAL_CLIENT_NEGOTIATING ||
	    !client->version_asked ||
	    !take(&response, sizeof(response), message, size)) {
		client->count.refused++;
		client_gone(client, "bad answer to VERSION");
		return;
	}
	if (!response.accepted) {
		client_gone(client, "the host refuses protocol 1.0");
		return;
	}
	client->state = SERIAL_CLIENT_UP;
	client_transmit(client);
	client_fetch(client);
}

static void client_received_data(struct serial_client *client,
				 const void *message, size_t size)
{
	struct serial_rx_data rx;

	if (!client->rx_asked || !take(&rx, sizeof(rx), message, size) ||
	    rx.length > SERIAL_DATA_MAX) {
		client->count.refused++;
		client_gone(client, "bad answer to GET_RX_DATA");
		return;
	}
	client->rx_asked = false;
	client->rx_offered = rx.more;
	memcpy(client->in, rx.data, rx.length);
	client->in_at = 0;
	client->in_len = rx.length;
	client->count.bytes_in += rx.length;
	if (!rx.length)
		client_fetch(client);
	else if (client->tty.front)
		client->tty.front->readable(client->tty.front_opaque);
}

static void client_notified(struct serial_client *client, uint16_t id)
{
	switch (id) {
	case SERIAL_RX_DATA_AVAILABLE:
		client->rx_offered = true;
		client_fetch(client);
		break;
	case SERIAL_TX_COMPLETED:
		client->transmitting = false;
		client_transmit(client);
		client_room(client);
		client_tell_busy(client);
		break;
	case SERIAL_SET_MODEM_STATUS:
		break; /* the UART's line is always up */
	default:
		client->count.refused++;
	}
}

static void client_received(struct pipe_user *user, const void *message,
			    size_t size)
{
	struct serial_client *client = client_of_user(user);
	struct serial_header header;

	client->count.messages_in++;
	if (client->state == SERIAL_CLIENT_GONE)
		return;
	if (!take(&header, sizeof(header), message, size) ||
	    header.version != SERIAL_HEADER_VERSION) {
		client->count.refused++;
		client_gone(client, "a message without a header of version 1");
		return;
	}
	if (header.type == SERIAL_GUEST_NOTIFICATION) {
		client_notified(client, le16_to_cpu(header.id));
	} else if (header.type == SERIAL_HOST_RESPONSE &&
		   le16_to_cpu(header.id) == SERIAL_VERSION) {
		client_version(client, message, size);
	} else if (header.type == SERIAL_HOST_RESPONSE &&
		   le16_to_cpu(header.id) == SERIAL_GET_RX_DATA) {
		client_received_data(client, message, size);
	} else {
		client->count.refused++;
		client_gone(client, "a message of an unknown type");
	}
}

static void client_pipe_room(struct pipe_user *user)
{
	struct serial_client *client = client_of_user(user);

	client_ask_version(client);
	client_transmit(client);
	client_fetch(client);
	client_room(client);
}

static void client_pipe_gone(struct pipe_user *user)
{
	client_gone(client_of_user(user), "the host took the port away");
}

static const struct pipe_user_ops client_user = {
	.received = client_received,
	.room = client_pipe_room,
	.gone = client_pipe_gone,
};

void serial_client_init(struct serial_client *client, const char *name)
{
	memset(client, 0, sizeof(*client));
	client->name = name;
	client->tty.back = &client_back;
	client->user.ops = &client_user;
}

void serial_client_start(struct serial_client *client,
			 struct message_pipe *pipe)
{
	client->pipe = pipe;
	client_ask_version(client);
}

void serial_client_absent(struct serial_client *client)
{
	client_gone(client, NULL);
}

/* ------------------------------------------------------------------------
 * Server.
 */

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

static void server_gone(struct serial_server *server, const char *why)
{
	if (server->gone)
		return;
	if (why) {
		server->count.refused++;
		log_err("%s: %s; closed", server->name, why);
	}
	server->gone = true;
	server->count.bytes_lost += server->out_len - server->out_at;
	server->out_at = server->out_len = 0;
}

static void server_version(struct serial_server *server, const void *message,
			   size_t size)
{
	struct serial_version_request request;

	if (!take(&request, sizeof(request), message, size)) {
		server_gone(server, "a VERSION request cut short");
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
		server_gone(server, "a bad TX_DATA_AVAILABLE");
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
	struct serial_header header;
	uint16_t id;

	server->count.messages_in++;
	if (server->gone)
		return;
	if (!take(&header, sizeof(header), message, size) ||
	    header.version != SERIAL_HEADER_VERSION) {
		server_gone(server, "a message without a header of version 1");
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
		server_gone(server, "a message of an unknown type");
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
	server_gone(server_of(user), NULL);
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
	server_gone(server, NULL);
	server->tty->front = NULL;
}
