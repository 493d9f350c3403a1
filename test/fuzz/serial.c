// SPDX-License-Identifier: MIT
/*
 * The two ends of the serial protocol against whatever the other one sends; the
 * pipe, the guest's UART and the host's stream are played here.
 *
 * Input: a byte of switches, then steps, each a byte that chooses: a message
 * that waits in a pipe is delivered as it is, changed or dropped; an end gets
 * bytes of its own; the guest writes or reads; the host's stream gives bytes or
 * room; a pipe is full or gone.
 *
 * It must hold that messages are no longer than their format and carry no more
 * than 64 bytes; that one piece at most is on its way in each direction; that an
 * end that gave up moves nothing and said so in one line; that a client which
 * only transmits asks for nothing. As long as nothing was tampered with, each
 * side gets what the other one sent, byte by byte.
 *
 * Half the usual executions a second: all that was sent, up to 30 KiB each way,
 * is let flow and compared in the end.
 */
#include <string.h>

#include <pv/tty.h>

#include "relay/serial.h"
#include "relay/serial_message.h"
#include "test/fuzz/fuzz.h"

#define MAX_STEPS 120
#define DEPTH 4

enum { UP, DOWN }; /* to the host, to VTL2 */

struct message_pipe {
	struct pipe_user *to, *from;
	uint8_t message[DEPTH][sizeof(struct serial_tx_data)];
	size_t size[DEPTH];
	unsigned int count;
	bool full, gone, owes_room;
};

static struct message_pipe pipes[2];
static struct serial_client client;
static struct serial_server server;
static bool honest; /* nothing was changed, dropped or made up so far */

/* Bytes are numbers that go on: what comes out is checked without a store. */
static struct {
	uint64_t written, taken; /* by the guest; by the host's stream */
	uint64_t offered, given, read; /* the stream's; the guest's */
	size_t room;
	bool busy;
} byte;

static uint8_t pattern(uint64_t n)
{
	return (uint8_t)(n * 7 + (n >> 8));
}

/* ---- the pipes ---- */

int pipe_send(struct message_pipe *pipe, const void *message, size_t size)
{
	struct serial_header header;
	bool up = pipe == &pipes[UP];

	fuzz_expect(size >= sizeof(header), size, up);
	fuzz_expect(size <= sizeof(struct serial_tx_data), size, up);
	fuzz_expect(!(up ? client.state == SERIAL_CLIENT_GONE : server.gone),
		    up, size);
	memcpy(&header, message, sizeof(header));
	fuzz_expect(header.version == SERIAL_HEADER_VERSION, header.version,
		    up);
	if (up && header.type == SERIAL_HOST_REQUEST)
		fuzz_expect(le16_to_cpu(header.id) == SERIAL_VERSION ||
			    !client.transmit_only, 0, 0);
	if (pipe->gone)
		return -32; /* EPIPE */
	if (pipe->full || pipe->count == DEPTH) {
		pipe->owes_room = true;
		return -11; /* EAGAIN */
	}
	memcpy(pipe->message[pipe->count], message, size);
	pipe->size[pipe->count++] = size;
	return 0;
}

static void make_room(struct message_pipe *pipe)
{
	pipe->full = false;
	if (!pipe->owes_room || pipe->gone || pipe->count == DEPTH)
		return;
	pipe->owes_room = false;
	pipe->from->ops->room(pipe->from);
}

static bool take_first(struct message_pipe *pipe, uint8_t *message,
		       size_t *size)
{
	if (!pipe->count)
		return false;
	*size = pipe->size[0];
	memcpy(message, pipe->message[0], *size);
	pipe->count--;
	memmove(pipe->message[0], pipe->message[1],
		pipe->count * sizeof(pipe->message[0]));
	memmove(pipe->size, pipe->size + 1,
		pipe->count * sizeof(pipe->size[0]));
	return true;
}

/* Gives an end a message; it must take it, or give up with one line. */
static void hand_over(struct message_pipe *pipe, const uint8_t *message,
		      size_t size)
{
	bool up = pipe == &pipes[UP];
	bool was_gone = up ? server.gone : client.state == SERIAL_CLIENT_GONE;
	unsigned int lines = fuzz_log_lines();
	bool gone;

	pipe->to->ops->received(pipe->to, message, size);
	gone = up ? server.gone : client.state == SERIAL_CLIENT_GONE;
	fuzz_expect(fuzz_log_lines() - lines == (gone && !was_gone),
		    fuzz_log_lines() - lines, gone);
	/* The one thing to give up for among good peers is another version,
	 * which none of these has. */
	fuzz_expect(!honest || !gone, up, size);
	if (!gone)
		fuzz_accept();
	make_room(pipe);
}

static void deliver(struct fuzz_input *in, struct message_pipe *pipe,
		    bool changed)
{
	uint8_t message[SERIAL_MESSAGE_MAX] = { 0 };
	size_t size, at, cut;

	if (!take_first(pipe, message, &size))
		return;
	if (changed) {
		honest = false;
		at = fuzz_number(in, 1);
		if (at < size)
			message[at] = (uint8_t)fuzz_number(in, 1);
		cut = fuzz_number(in, 1);
		if (cut < 200)
			size = cut;
	}
	hand_over(pipe, message, size);
}

/* ---- the guest's UART, and the host's stream ---- */

static void guest_writes(size_t len)
{
	uint8_t data[256];
	size_t n;

	for (size_t i = 0; i < len; i++)
		data[i] = pattern(byte.written + i);
	n = client.tty.back->write(&client.tty, data, len);
	fuzz_expect(n <= len, n, len);
	byte.written += n;
}

static void guest_reads(size_t len)
{
	uint8_t data[256];
	size_t n = client.tty.back->read(&client.tty, data, len);

	fuzz_expect(n <= len, n, len);
	fuzz_expect(!n || !client.transmit_only, n, len);
	for (size_t i = 0; honest && i < n; i++)
		fuzz_expect(data[i] == pattern(byte.read + i), data[i], i);
	byte.read += n;
}

static void guest_room(void *front)
{
	(void)front;
}

static void guest_readable(void *front)
{
	(void)front;
	fuzz_expect(client.in_at < client.in_len, client.in_at, client.in_len);
}

static const struct tty_front_ops guest_front = {
	.room = guest_room,
	.readable = guest_readable,
};

static size_t stream_write(struct tty *tty, const uint8_t *data, size_t len)
{
	(void)tty;
	fuzz_expect(len <= SERIAL_DATA_MAX, len, 0);
	if (len > byte.room)
		len = byte.room;
	for (size_t i = 0; honest && i < len; i++)
		fuzz_expect(data[i] == pattern(byte.taken + i), data[i], i);
	byte.room -= len;
	byte.taken += len;
	return len;
}

static size_t stream_read(struct tty *tty, uint8_t *data, size_t len)
{
	(void)tty;
	fuzz_expect(len <= SERIAL_DATA_MAX, len, 0);
	if (len > byte.offered - byte.given)
		len = byte.offered - byte.given;
	for (size_t i = 0; i < len; i++)
		data[i] = pattern(byte.given + i);
	byte.given += len;
	return len;
}

static const struct tty_back_ops stream_ops = {
	.write = stream_write,
	.read = stream_read,
};

static struct tty stream = { .back = &stream_ops };

static void guest_busy(void *opaque, bool busy)
{
	(void)opaque;
	fuzz_expect(busy != byte.busy, busy, 0); /* on changes only */
	byte.busy = busy;
}

/* ---- the steps ---- */

static void made_up(struct fuzz_input *in, struct message_pipe *pipe)
{
	uint8_t message[SERIAL_MESSAGE_MAX] = { 0 };
	struct serial_header header = header_of(fuzz_number(in, 1),
						(uint16_t)fuzz_number(in, 1));
	size_t size = fuzz_number(in, 1);

	honest = false;
	memcpy(message, &header, sizeof(header));
	fuzz_take(in, message + sizeof(header), size);
	hand_over(pipe, message, size + sizeof(header));
}

static void lose(struct message_pipe *pipe)
{
	pipe->gone = true;
	pipe->count = 0;
	honest = false;
	pipe->from->ops->gone(pipe->from);
}

static void step(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	struct message_pipe *pipe = &pipes[what >> 4 & 1];
	uint8_t message[SERIAL_MESSAGE_MAX];
	size_t size;

	switch (what & 15) {
	case 0:
	case 1:
	case 2:
		deliver(in, pipe, false);
		break;
	case 3:
		deliver(in, pipe, true);
		break;
	case 4:
		made_up(in, pipe);
		break;
	case 5:
		if (take_first(pipe, message, &size))
			honest = false;
		break;
	case 6:
		guest_writes(fuzz_number(in, 1));
		break;
	case 7:
		guest_reads(fuzz_number(in, 1));
		break;
	case 8:
		byte.offered += fuzz_number(in, 1);
		if (stream.front)
			stream.front->readable(stream.front_opaque);
		break;
	case 9:
		byte.room += fuzz_number(in, 1);
		if (stream.front)
			stream.front->room(stream.front_opaque);
		break;
	case 10:
		pipe->full = true;
		break;
	case 11:
		make_room(pipe);
		break;
	case 12:
		/* What was on its way, or held, is then dropped. */
		if (what >> 4 & 1)
			honest = honest && !client.rx_asked &&
				 client.in_at == client.in_len;
		serial_client_transmit_only(&client, what >> 4 & 1);
		break;
	case 13:
		if (what >> 5 == 7)
			lose(pipe);
		break;
	}
	fuzz_expect(client.in_at <= client.in_len &&
		    client.in_len <= SERIAL_DATA_MAX, client.in_at,
		    client.in_len);
	fuzz_expect(client.out_tail - client.out_head <= SERIAL_CLIENT_BUFFER,
		    client.out_head, client.out_tail);
	fuzz_expect(server.out_at <= server.out_len &&
		    server.out_len <= SERIAL_DATA_MAX, server.out_at,
		    server.out_len);
	fuzz_expect(!client.transmit_only || client.in_at == client.in_len,
		    client.in_at, client.in_len);
}

/* Everybody takes everything: nothing of an honest connection may stay. */
static void let_flow(void)
{
	unsigned int turns = 0;

	serial_client_transmit_only(&client, false);
	byte.room = SIZE_MAX / 2;
	stream.front->room(stream.front_opaque);
	for (bool moved = true; moved; turns++) {
		uint8_t message[SERIAL_MESSAGE_MAX];
		uint64_t read = byte.read;
		size_t size;

		/* Each turn moves a message or a piece of 64 bytes. */
		fuzz_expect(turns < 8 * MAX_STEPS * 256, turns, 0);
		moved = false;
		for (unsigned int i = 0; i < 2; i++) {
			make_room(&pipes[i]);
			if (!take_first(&pipes[i], message, &size))
				continue;
			hand_over(&pipes[i], message, size);
			moved = true;
		}
		guest_reads(255);
		moved |= byte.read != read;
	}
	fuzz_expect(byte.taken == byte.written, byte.taken, byte.written);
	fuzz_expect(byte.read == byte.offered, byte.read, byte.offered);
	fuzz_expect(!byte.busy, byte.taken, byte.written);
}

void fuzz_one(struct fuzz_input *in)
{
	uint8_t switches = (uint8_t)fuzz_number(in, 1);

	/* Of the pipes only what tells which of their messages are there. */
	for (unsigned int i = 0; i < 2; i++) {
		pipes[i].count = 0;
		pipes[i].full = pipes[i].gone = pipes[i].owes_room = false;
	}
	pipes[UP].from = pipes[DOWN].to = &client.user;
	pipes[DOWN].from = pipes[UP].to = &server.user;
	memset(&byte, 0, sizeof(byte));
	honest = true;
	serial_client_init(&client, "com");
	client.tty.front = &guest_front;
	client.busy = guest_busy;
	serial_client_transmit_only(&client, switches & 1);
	serial_server_start(&server, "com", &stream, &pipes[DOWN]);
	if (switches & 2)
		guest_writes(100);
	if (switches & 4) {
		honest = false;
		serial_client_absent(&client);
	} else {
		pipes[UP].full = switches & 8;
		serial_client_start(&client, &pipes[UP]);
	}
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	if (honest)
		let_flow();
	serial_server_stop(&server);
	fuzz_expect(!stream.front, 0, 0);
}
