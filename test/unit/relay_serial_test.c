/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/serial_client.c relay/serial_server.c paravisor/violation.c paravisor/log.c */
/*
 * VMBus serial ports: a client and a server back to back, over a pipe of
 * chosen depth, and each alone against a peer that breaks the rules.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "relay/serial.h"
#include "stderr_capture.h"

/* One direction: messages wait until the test moves them. */
struct message_pipe {
	struct pipe_user *to;
	uint8_t message[8][PIPE_MESSAGE_MAX / 64];
	size_t size[8];
	unsigned int count, depth, sent;
	bool refused; /* owes room() to the sender */
	struct pipe_user *from;
};

int pipe_send(struct message_pipe *pipe, const void *message, size_t size)
{
	assert_true(size <= sizeof(pipe->message[0]));
	if (pipe->count == pipe->depth) {
		pipe->refused = true;
		return -EAGAIN;
	}
	memcpy(pipe->message[pipe->count], message, size);
	pipe->size[pipe->count++] = size;
	pipe->sent++;
	return 0;
}

static struct message_pipe up, down; /* client to server, and back */
static struct serial_client client;
static struct serial_server server;

/* The server's backend: takes `room` bytes, gives what the test put there. */
static struct {
	struct tty tty;
	uint8_t taken[20000];
	size_t nr_taken, room;
	const uint8_t *give;
	size_t left;
} back;

/* The client's front: a UART that reads all at once. */
static struct {
	uint8_t got[20000];
	size_t nr_got;
	unsigned int rooms;
	bool reads;
} front;

static size_t back_write(struct tty *tty, const uint8_t *data, size_t len)
{
	assert_ptr_equal(tty, &back.tty);
	if (len > back.room)
		len = back.room;
	assert_true(back.nr_taken + len <= sizeof(back.taken));
	memcpy(back.taken + back.nr_taken, data, len);
	back.nr_taken += len;
	back.room -= len;
	return len;
}

static size_t back_read(struct tty *tty, uint8_t *data, size_t len)
{
	assert_ptr_equal(tty, &back.tty);
	if (len > back.left)
		len = back.left;
	if (len)
		memcpy(data, back.give, len);
	back.give += len;
	back.left -= len;
	return len;
}

static const struct tty_back_ops back_ops = { .write = back_write,
					      .read = back_read };

static void front_room(void *opaque)
{
	assert_ptr_equal(opaque, &front);
	front.rooms++;
}

static void front_readable(void *opaque)
{
	size_t n;

	assert_ptr_equal(opaque, &front);
	while (front.reads && (n = client.tty.back->read(
				       &client.tty, front.got + front.nr_got,
				       16)))
		front.nr_got += n;
}

static const struct tty_front_ops front_ops = { .room = front_room,
						.readable = front_readable };

static bool deliver(struct message_pipe *pipe)
{
	uint8_t message[sizeof(pipe->message[0])];
	size_t size;

	if (!pipe->count)
		return false;
	size = pipe->size[0];
	memcpy(message, pipe->message[0], size);
	memmove(pipe->message[0], pipe->message[1],
		sizeof(pipe->message) - sizeof(pipe->message[0]));
	memmove(pipe->size, pipe->size + 1,
		sizeof(pipe->size) - sizeof(pipe->size[0]));
	pipe->count--;
	pipe->to->ops->received(pipe->to, message, size);
	if (pipe->refused) {
		pipe->refused = false;
		pipe->from->ops->room(pipe->from);
	}
	return true;
}

static void run(void)
{
	unsigned int steps = 0;
	bool moved;

	do {
		moved = deliver(&up);
		moved |= deliver(&down);
		assert_true(++steps < 10000);
	} while (moved);
}

static void setup_with(unsigned int depth)
{
	memset(&back, 0, sizeof(back));
	memset(&front, 0, sizeof(front));
	back.tty.back = &back_ops;
	back.room = sizeof(back.taken);
	front.reads = true;
	up = (struct message_pipe){ .to = &server.user, .from = &client.user,
				    .depth = depth };
	down = (struct message_pipe){ .to = &client.user, .from = &server.user,
				      .depth = depth };
	serial_client_init(&client, "com1");
	client.tty.front = &front_ops;
	client.tty.front_opaque = &front;
	serial_server_start(&server, "com1", &back.tty, &down);
}

static int setup(void **state)
{
	(void)state;
	setup_with(8);
	return 0;
}

static size_t client_write(const void *data, size_t len)
{
	return client.tty.back->write(&client.tty, data, len);
}

static void give(const void *data, size_t len)
{
	back.give = data;
	back.left = len;
	back.tty.front->readable(back.tty.front_opaque);
}

static void negotiates(void **state)
{
	(void)state;
	/* What is written before is kept. */
	assert_int_equal(client_write("early", 5), 5);
	serial_client_start(&client, &up);
	assert_int_equal(client.state, SERIAL_CLIENT_NEGOTIATING);
	run();
	assert_int_equal(client.state, SERIAL_CLIENT_UP);
	assert_memory_equal(back.taken, "early", 5);
	assert_int_equal(back.nr_taken, 5);
}

static void bytes_both_ways_at(unsigned int depth)
{
	uint8_t out[3000], in[3000];

	setup_with(depth);
	for (unsigned int i = 0; i < sizeof(out); i++) {
		out[i] = i * 3 + (i >> 8);
		in[i] = i * 5 + (i >> 8);
	}
	serial_client_start(&client, &up);
	run();
	assert_int_equal(client_write(out, sizeof(out)), sizeof(out));
	give(in, sizeof(in));
	run();
	assert_int_equal(back.nr_taken, sizeof(out));
	assert_memory_equal(back.taken, out, sizeof(out));
	assert_int_equal(front.nr_got, sizeof(in));
	assert_memory_equal(front.got, in, sizeof(in));
	assert_int_equal(client.count.bytes_out, sizeof(out));
	assert_int_equal(client.count.bytes_in, sizeof(in));
	assert_int_equal(server.count.bytes_out, sizeof(out));
	assert_int_equal(server.count.bytes_in, sizeof(in));
}

static void bytes_both_ways(void **state)
{
	(void)state;
	/* A pipe of one message makes everybody wait at some time. */
	for (unsigned int depth = 1; depth <= 8; depth++)
		bytes_both_ways_at(depth);
}

/* 64 bytes exactly: `more` is set, and the empty answer must end it. */
static void exact_piece(void **state)
{
	uint8_t in[64] = "abc";

	(void)state;
	serial_client_start(&client, &up);
	run();
	give(in, sizeof(in));
	run();
	assert_int_equal(front.nr_got, 64);
	give("again", 5);
	run();
	assert_int_equal(front.nr_got, 69);
}

static void host_is_slow(void **state)
{
	static uint8_t data[6000];
	size_t taken = 0, n;

	(void)state;
	memset(data, 'x', sizeof(data));
	serial_client_start(&client, &up);
	run();
	back.room = 10;
	taken = client_write(data, sizeof(data));
	run();
	/* 10 are through, the rest of a piece waits in the server, the others
	 * here; the guest was stopped, not robbed. */
	assert_int_equal(back.nr_taken, 10);
	assert_true(taken < sizeof(data));
	assert_int_equal(front.rooms, 0);
	back.room = sizeof(back.taken);
	back.tty.front->room(back.tty.front_opaque);
	run();
	assert_true(front.rooms > 0);
	n = client_write(data, sizeof(data) - taken);
	assert_int_equal(n, sizeof(data) - taken);
	run();
	assert_int_equal(back.nr_taken, sizeof(data));
	assert_int_equal(client.count.bytes_lost, 0);
}

/* A guest that does not read holds the host back at one piece. */
static void guest_is_slow(void **state)
{
	uint8_t in[1000] = "first";
	uint8_t byte;

	(void)state;
	serial_client_start(&client, &up);
	run();
	front.reads = false;
	give(in, sizeof(in));
	run();
	assert_int_equal(back.left, sizeof(in) - 64);
	for (unsigned int i = 0; i < sizeof(in); i++) {
		assert_int_equal(client.tty.back->read(&client.tty, &byte, 1),
				 1);
		assert_int_equal(byte, in[i]);
		run();
	}
	assert_int_equal(client.tty.back->read(&client.tty, &byte, 1), 0);
}

/* Nothing of the host's comes in, all of the guest's goes out. */
static void transmit_only(void **state)
{
	uint8_t in[200], byte;

	(void)state;
	memset(in, 'k', sizeof(in));
	serial_client_transmit_only(&client, true);
	serial_client_start(&client, &up);
	run();
	give(in, sizeof(in));
	run();
	assert_int_equal(front.nr_got, 0);
	assert_int_equal(back.left, sizeof(in)); /* not even asked for */
	assert_int_equal(client.tty.back->read(&client.tty, &byte, 1), 0);
	assert_int_equal(client_write("still", 5), 5);
	run();
	assert_memory_equal(back.taken, "still", 5);

	/* Off: what the host has kept comes; on again, and a piece that was on
	 * its way or not read is dropped. */
	serial_client_transmit_only(&client, false);
	run();
	assert_int_equal(front.nr_got, sizeof(in));
	front.reads = false;
	give(in, 100);
	run();
	assert_int_equal(back.left, 100 - 64);
	serial_client_transmit_only(&client, true);
	assert_int_equal(client.tty.back->read(&client.tty, &byte, 1), 0);
	assert_int_equal(client.count.bytes_refused, 64);
	serial_client_transmit_only(&client, false);
	assert_true(deliver(&up)); /* the question; the answer is on its way */
	serial_client_transmit_only(&client, true);
	run();
	assert_int_equal(client.count.bytes_refused, 100);
	assert_int_equal(client.tty.back->read(&client.tty, &byte, 1), 0);
	assert_int_equal(client.state, SERIAL_CLIENT_UP);
}

static uint64_t clock_ns, rest_until;

static uint64_t clock_now(void)
{
	return clock_ns;
}

static void rest(void *opaque, uint64_t until)
{
	assert_ptr_equal(opaque, &rest_until);
	assert_int_equal(rest_until, 0);
	rest_until = until;
}

/* One piece, then three times as long as reading it took, within 1 and 250 ms,
 * for what else the guest has to do. */
static void guest_has_a_rest(void **state)
{
	static const uint64_t cases[][2] = {
		{ 0, 1000000 },
		{ 300000, 1000000 },
		{ 2000000, 6000000 },
		{ 80000000, 240000000 },
		{ 5000000000, 250000000 },
	};
	uint8_t in[64 * 6] = "first", byte;

	(void)state;
	clock_ns = 1;
	client.now = clock_now;
	client.rest = rest;
	client.rest_opaque = &rest_until;
	serial_client_start(&client, &up);
	run();
	front.reads = false;
	give(in, sizeof(in));
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rest_until = 0;
		run();
		assert_int_equal(back.left, sizeof(in) - 64 * (i + 1));
		for (unsigned int k = 0; k < 64; k++) {
			assert_int_equal(rest_until, 0);
			if (k == 63)
				clock_ns += cases[i][0];
			assert_int_equal(client.tty.back->read(&client.tty,
							       &byte, 1), 1);
		}
		assert_int_equal(rest_until, clock_ns + cases[i][1]);
		run();
		assert_int_equal(back.left, sizeof(in) - 64 * (i + 1));
		assert_int_equal(client.tty.back->read(&client.tty, &byte, 1),
				 0);
		clock_ns = rest_until;
		serial_client_rested(&client);
	}
}

static void host_without_the_port(void **state)
{
	(void)state;
	assert_int_equal(client_write("abc", 3), 3);
	serial_client_absent(&client);
	assert_int_equal(client.count.bytes_lost, 3);
	/* The guest writes on, as if somebody listened. */
	for (unsigned int i = 0; i < 3000; i++)
		assert_int_equal(client_write("abc", 3), 3);
}

static void channel_is_taken_back(void **state)
{
	static uint8_t data[6000];

	(void)state;
	serial_client_start(&client, &up);
	run();
	back.room = 0;
	assert_true(client_write(data, sizeof(data)) < sizeof(data));
	capture_stderr();
	client.user.ops->gone(&client.user);
	assert_true(is_one_line(captured_stderr()));
	assert_int_equal(front.rooms, 1);
	assert_int_equal(client_write(data, sizeof(data)), sizeof(data));
	server.user.ops->gone(&server.user);
	serial_server_stop(&server);
	assert_null(back.tty.front);
}

/* Messages of a peer, whole or cut short. */
static void to_client(const void *message, size_t size)
{
	client.user.ops->received(&client.user, message, size);
}

static void to_server(const void *message, size_t size)
{
	server.user.ops->received(&server.user, message, size);
}

static void version_is_refused(void **state)
{
	const uint8_t other[] = { 1, 2, 1, 0, 0, 0, 2, 0 };

	(void)state;
	to_server(other, sizeof(other));
	assert_int_equal(down.count, 1);
	assert_memory_equal(down.message[0], "\1\3\1\0\0\0", 6);
	assert_false(server.up);
	serial_client_start(&client, &up);
	capture_stderr();
	to_client("\1\3\1\0\0\0", 6);
	assert_true(is_one_line(captured_stderr()));
	assert_int_equal(client.state, SERIAL_CLIENT_GONE);
}

/* One record, of this port and this rule. */
static void expect_record(uint64_t before, const char *rule)
{
	struct violation v;

	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.object, "com1");
	assert_string_equal(v.rule, rule);
}

static void hostile_server(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *rule;
	} bad[] = {
		{ "", 0, "serial.message.header" },
		{ "\1\4\1", 3, "serial.message.header" },
		{ "\2\4\1\0", 4, "serial.message.header" }, /* version 2 */
		{ "\1\3\1\0\1", 5, "serial.version.answer" }, /* short */
		{ "\1\3\1\0\1\0", 6, "serial.version.answer" }, /* again */
		{ "\1\3\2\0\5\0hello", 11, "serial.data.answer" },
		{ "\1\3\7\0", 4, "serial.message.type" }, /* not asked */
		{ "\1\1\2\0", 4, "serial.message.type" }, /* our own kind */
		{ "\1\0\0\0", 4, "serial.message.type" },
	};
	uint8_t rx[70] = { 1, 3, 2, 0, 65 };
	uint64_t before;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(NULL);
		serial_client_start(&client, &up);
		run();
		before = violation_count();
		to_client(bad[i].bytes, bad[i].size);
		expect_record(before, bad[i].rule);
		assert_int_equal(client.state, SERIAL_CLIENT_GONE);
		assert_int_equal(client.count.refused, 1);
		to_client(bad[i].bytes, bad[i].size); /* and never again */
		assert_int_equal(client.count.refused, 1);
	}
	/* Data that nobody asked for; asked for, but longer than it may be. */
	setup(NULL);
	serial_client_start(&client, &up);
	run();
	rx[4] = 1;
	capture_stderr();
	to_client(rx, sizeof(rx));
	captured_stderr();
	assert_int_equal(client.state, SERIAL_CLIENT_GONE);
	setup(NULL);
	serial_client_start(&client, &up);
	run();
	to_client("\1\4\1\0", 4);
	rx[4] = 65;
	capture_stderr();
	to_client(rx, sizeof(rx));
	captured_stderr();
	assert_int_equal(client.state, SERIAL_CLIENT_GONE);
	/* An unknown notification is none of our business. */
	setup(NULL);
	serial_client_start(&client, &up);
	run();
	to_client("\1\4\x63\0", 4);
	assert_int_equal(client.state, SERIAL_CLIENT_UP);
	assert_int_equal(client.count.refused, 1);
}

static void hostile_client(void **state)
{
	uint8_t tx[70] = { 1, 1, 2, 0, 65 };
	uint64_t before = violation_count();

	(void)state;
	/* Before the version. */
	tx[4] = 1;
	to_server(tx, sizeof(tx));
	expect_record(before, "serial.data.notification");
	assert_true(server.gone);
	assert_int_equal(back.nr_taken, 0);
	/* Longer than it may be; cut short; two at once. */
	for (unsigned int kind = 0; kind < 3; kind++) {
		setup(NULL);
		serial_client_start(&client, &up);
		run();
		back.room = 0;
		tx[4] = kind == 0 ? 65 : 1;
		if (kind == 2)
			to_server(tx, sizeof(tx));
		assert_false(server.gone);
		before = violation_count();
		to_server(tx, kind == 1 ? 69 : 70);
		expect_record(before, "serial.data.notification");
		assert_true(server.gone);
	}
	setup(NULL);
	before = violation_count();
	to_server("\1\2\2\0", 4); /* data before the version */
	expect_record(before, "serial.message.type");
	assert_true(server.gone);
}

static void random_messages(void **state)
{
	uint64_t x = 88172645463325252ull;
	uint8_t bytes[80];

	(void)state;
	capture_stderr();
	for (unsigned int i = 0; i < 50000; i++) {
		setup(NULL);
		serial_client_start(&client, &up);
		run();
		for (unsigned int m = 0; m < 4; m++) {
			for (unsigned int n = 0; n < sizeof(bytes); n++) {
				x ^= x << 13;
				x ^= x >> 7;
				x ^= x << 17;
				bytes[n] = n < 4 ? x % 5 : x;
			}
			bytes[0] = 1;
			bytes[3] = 0;
			to_client(bytes, x % 81);
			to_server(bytes, x % 81);
			client_write(bytes, 5);
			run();
		}
	}
	captured_stderr();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(negotiates, setup),
		cmocka_unit_test_setup(bytes_both_ways, setup),
		cmocka_unit_test_setup(exact_piece, setup),
		cmocka_unit_test_setup(host_is_slow, setup),
		cmocka_unit_test_setup(guest_is_slow, setup),
		cmocka_unit_test_setup(transmit_only, setup),
		cmocka_unit_test_setup(guest_has_a_rest, setup),
		cmocka_unit_test_setup(host_without_the_port, setup),
		cmocka_unit_test_setup(channel_is_taken_back, setup),
		cmocka_unit_test_setup(version_is_refused, setup),
		cmocka_unit_test_setup(hostile_server, setup),
		cmocka_unit_test_setup(hostile_client, setup),
		cmocka_unit_test_setup(random_messages, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
