/* SPDX-License-Identifier: MIT */
/*
 * VMBus serial port, client's end: theory of operation
 *
 * Owns: a ring of bytes that the guest wrote and the host has not taken, and
 * the last piece that the host gave. Nothing else is buffered: a slow end makes
 * the other one wait.
 *
 *	NEGOTIATING --VERSION accepted--> UP
 *	     |                            |
 *	     `------- pipe gone, refused -+--> GONE
 *
 *	out:	buffer -> TX_DATA_AVAILABLE -> (wait) -> TX_COMPLETED -> ...
 *	in:	RX_DATA_AVAILABLE -> GET_RX_DATA -> (wait) -> response
 *		-> in[] -> UART; the next GET_RX_DATA when in[] is empty
 *
 * So there is at most one piece of 64 bytes on the way in each direction. A
 * client that only transmits never asks for a piece. In
 * GONE it takes and forgets what the guest writes: a guest must not hang on a
 * console that nobody can read.
 *
 * A guest reads each byte by an exit or two, in the interrupt handler of its
 * driver, and the host has the next one long before that is done: with nothing
 * between them a megabyte is one long interrupt, in which that CPU does nothing
 * else. So after a piece was read the client rests for three times as long as
 * that took, within bounds: a guest that was not reading was not slow.
 *
 * Threads: one lock for all calls, see serial.h.
 *
 * Failure answers: a message that is too short, of an unknown header version
 * or type, or that answers nothing asked ends the connection with one line. An
 * unknown *notification* is counted and ignored: later versions of either
 * side may add some.
 */
#include <string.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "serial.h"
#include "serial_message.h"

LOG_MODULE("serial");

#define REST_FACTOR 3
#define REST_MIN_NS 1000000ull
#define REST_MAX_NS 250000000ull

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
	    client->rx_asked || client->transmit_only || client->resting ||
	    client->in_at < client->in_len)
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

/* The piece was read. */
static void client_rest(struct serial_client *client)
{
	uint64_t now, ns;

	if (!client->rest)
		return;
	now = client->now();
	ns = REST_FACTOR * (now - client->in_since);
	if (ns < REST_MIN_NS)
		ns = REST_MIN_NS;
	if (ns > REST_MAX_NS)
		ns = REST_MAX_NS;
	client->resting = true;
	client->rest(client->rest_opaque, now + ns);
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
	if (len && len == left)
		client_rest(client);
	client_fetch(client);
	return len;
}

static const struct tty_back_ops client_back = {
	.write = client_write,
	.read = client_read,
};

/* A message of this header id ends the connection. */
static void client_refuse(struct serial_client *client, uint32_t id,
			  uint64_t value, const char *rule)
{
	client->count.refused++;
	violation_record(client->name, 0, id, 0, value, rule);
	client_gone(client, NULL);
}

static void client_version(struct serial_client *client, const void *message,
			   size_t size)
{
	struct serial_version_response response;

	if (client->state != SERIAL_CLIENT_NEGOTIATING ||
	    !client->version_asked ||
	    !take(&response, sizeof(response), message, size)) {
		client_refuse(client, SERIAL_VERSION, size,
			      "serial.version.answer");
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
		client_refuse(client, SERIAL_GET_RX_DATA, size,
			      "serial.data.answer");
		return;
	}
	client->rx_asked = false;
	client->rx_offered = rx.more;
	if (client->transmit_only) {
		client->count.bytes_refused += rx.length;
		return;
	}
	memcpy(client->in, rx.data, rx.length);
	client->in_at = 0;
	client->in_len = rx.length;
	client->count.bytes_in += rx.length;
	if (client->now)
		client->in_since = client->now();
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
	struct serial_header header = { 0 };

	client->count.messages_in++;
	if (client->state == SERIAL_CLIENT_GONE)
		return;
	if (!take(&header, sizeof(header), message, size) ||
	    header.version != SERIAL_HEADER_VERSION) {
		client_refuse(client, le16_to_cpu(header.id), header.version,
			      "serial.message.header");
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
		client_refuse(client, le16_to_cpu(header.id), header.type,
			      "serial.message.type");
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

void serial_client_rested(struct serial_client *client)
{
	client->resting = false;
	client_fetch(client);
}

void serial_client_transmit_only(struct serial_client *client, bool only)
{
	client->transmit_only = only;
	if (only) {
		client->count.bytes_refused += client->in_len - client->in_at;
		client->in_at = client->in_len = 0;
	} else {
		client_fetch(client);
	}
}

void serial_client_absent(struct serial_client *client)
{
	client_gone(client, NULL);
}
