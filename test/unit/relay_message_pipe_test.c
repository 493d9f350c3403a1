/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/message_pipe.c relay/ring.c paravisor/guest_memory.c paravisor/violation.c paravisor/log.c */
/* Message pipes: two ends on two real rings, and ends that break the rules. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/message_pipe.h"
#include "relay/ring_reg.h"
#include "stderr_capture.h"

#define PAGES 5u /* a control page and 16 KiB */

static uint8_t memory[2][PAGES][4096] __attribute__((aligned(4096)));
static struct guest_hold pages[2][PAGES];

static struct end {
	struct pipe_user user;
	struct message_pipe pipe;
	struct ring ring;
	unsigned int signals; /* that this end sent */
	unsigned int rooms, gones, messages;
	uint8_t last[PIPE_MESSAGE_MAX];
	size_t last_size;
	bool echo;
	struct end *refills; /* sends another for each that is taken */
	unsigned int left;
} ends[2];

static struct end *end_of(struct pipe_user *user)
{
	return (struct end *)((char *)user - offsetof(struct end, user));
}

static void received(struct pipe_user *user, const void *message, size_t size)
{
	struct end *e = end_of(user);

	assert_true(size <= sizeof(e->last));
	memcpy(e->last, message, size);
	e->last_size = size;
	e->messages++;
	if (e->echo)
		pipe_send(&e->pipe, message, size);
	if (e->refills && e->left) {
		e->left--;
		assert_int_equal(pipe_send(&e->refills->pipe, message, size),
				 0);
	}
}

static void room(struct pipe_user *user)
{
	end_of(user)->rooms++;
}

static void gone(struct pipe_user *user)
{
	end_of(user)->gones++;
}

static const struct pipe_user_ops ops = { received, room, gone };

static void signal_peer(void *opaque)
{
	struct end *e = opaque;

	e->signals++;
}

static int setup(void **state)
{
	(void)state;
	memset(memory, 0, sizeof(memory));
	memset(ends, 0, sizeof(ends));
	for (unsigned int r = 0; r < 2; r++)
		for (unsigned int p = 0; p < PAGES; p++)
			pages[r][p] = (struct guest_hold){
				(void __guest_force __guest *)memory[r][p],
				4096 };
	for (unsigned int i = 0; i < 2; i++) {
		struct ring_half half[2];

		for (unsigned int r = 0; r < 2; r++)
			half[r] = (struct ring_half){
				.pages = pages[r],
				.size = (PAGES - 1) * 4096,
			};
		assert_int_equal(ring_init(&ends[i].ring, half[!i], half[i]),
				 0);
		ends[i].user.ops = &ops;
		message_pipe_init(&ends[i].pipe, "test", &ends[i].ring,
				  &ends[i].user, signal_peer, &ends[i]);
	}
	return 0;
}

static void messages_of_all_sizes(void **state)
{
	uint8_t message[PIPE_MESSAGE_MAX];

	(void)state;
	for (unsigned int i = 0; i < sizeof(message); i++)
		message[i] = i * 7 + (i >> 8);
	for (size_t size = 0; size <= sizeof(message);
	     size += size < 100 ? 1 : 997) {
		unsigned int before = ends[0].signals;

		assert_int_equal(pipe_send(&ends[0].pipe, message, size), 0);
		assert_int_equal(ends[0].signals, before + 1);
		message_pipe_run(&ends[1].pipe);
		assert_int_equal(ends[1].last_size, size);
		assert_memory_equal(ends[1].last, message, size);
	}
	assert_int_equal(pipe_send(&ends[0].pipe, message,
				   PIPE_MESSAGE_MAX + 1), -EMSGSIZE);
}

/* An answer from inside received(), and one signal for all answers. */
static void answers(void **state)
{
	(void)state;
	ends[1].echo = true;
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(pipe_send(&ends[0].pipe, "hello", 5), 0);
	assert_int_equal(ends[0].signals, 1);
	message_pipe_run(&ends[1].pipe);
	assert_int_equal(ends[1].messages, 10);
	assert_int_equal(ends[1].signals, 1);
	message_pipe_run(&ends[0].pipe);
	assert_int_equal(ends[0].messages, 10);
	assert_memory_equal(ends[0].last, "hello", 5);
}

/* A peer that writes as fast as we read gets its share, and no more at once;
 * nothing is left lying. */
static void peer_without_an_end(void **state)
{
	unsigned int runs = 1;

	(void)state;
	ends[1].refills = &ends[0];
	ends[1].left = 10 * MESSAGE_PIPE_BUDGET;
	assert_int_equal(pipe_send(&ends[0].pipe, "more", 4), 0);
	while (message_pipe_run(&ends[1].pipe)) {
		assert_int_equal(ends[1].messages, runs * MESSAGE_PIPE_BUDGET);
		runs++;
	}
	assert_int_equal(ends[1].messages, 1 + 10 * MESSAGE_PIPE_BUDGET);
	assert_int_equal(runs, 11);
	/* As many as that, and then there are no more. */
	ends[1].left = MESSAGE_PIPE_BUDGET - 1;
	assert_int_equal(pipe_send(&ends[0].pipe, "more", 4), 0);
	assert_false(message_pipe_run(&ends[1].pipe));
}

static void full_and_room(void **state)
{
	uint8_t message[4000] = { 0 };
	unsigned int n = 0;

	(void)state;
	while (!pipe_send(&ends[0].pipe, message, sizeof(message)))
		n++;
	assert_true(n >= 3 && n <= 4);
	/* Who reads tells who waits. */
	message_pipe_run(&ends[1].pipe);
	assert_int_equal(ends[1].messages, n);
	assert_int_equal(ends[1].signals, 1);
	message_pipe_run(&ends[0].pipe);
	assert_int_equal(ends[0].rooms, 1);
	assert_int_equal(pipe_send(&ends[0].pipe, message, sizeof(message)),
			 0);
	message_pipe_run(&ends[0].pipe);
	assert_int_equal(ends[0].rooms, 1);
}

static void close_is_told_once(void **state)
{
	(void)state;
	message_pipe_close(&ends[0].pipe);
	message_pipe_close(&ends[0].pipe);
	assert_int_equal(ends[0].gones, 1);
	assert_int_equal(pipe_send(&ends[0].pipe, "x", 1), -EPIPE);
	pipe_send(&ends[1].pipe, "x", 1);
	message_pipe_run(&ends[0].pipe);
	assert_int_equal(ends[0].messages, 0);
}

static void raw(uint16_t type, const void *bytes, uint32_t size)
{
	assert_int_equal(ring_write(&ends[0].ring, type, 0, 0, NULL, 0, bytes,
				    size), 0);
	ring_write_end(&ends[0].ring);
}

static void hostile_packets(void **state)
{
	static const struct {
		uint16_t type;
		const char *bytes;
		uint32_t size;
	} bad[] = {
		{ RING_PACKET_COMPLETION, "\1\0\0\0\4\0\0\0abcd", 12 },
		{ RING_PACKET_INBAND, "", 0 },
		{ RING_PACKET_INBAND, "\2\0\0\0\4\0\0\0abcd", 12 }, /* part */
		{ RING_PACKET_INBAND, "\1\0\0\0\x9\0\0\0abcdabcd", 16 },
		{ RING_PACKET_INBAND, "\1\0\0\0\xff\xff\xff\xff", 8 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setup(NULL);
		raw(bad[i].type, bad[i].bytes, bad[i].size);
		pipe_send(&ends[0].pipe, "after", 5);
		capture_stderr();
		message_pipe_run(&ends[1].pipe);
		assert_true(is_one_line(captured_stderr()));
		assert_int_equal(ends[1].messages, 0);
		assert_int_equal(ends[1].gones, 1);
		assert_int_equal(ends[1].pipe.refused, 1);
	}
}

static void broken_ring(void **state)
{
	const le32 index = cpu_to_le32(0x7ffffff8);

	(void)state;
	memcpy(memory[0][0] + RING_IN, &index, sizeof(index));
	capture_stderr();
	message_pipe_run(&ends[1].pipe);
	captured_stderr();
	assert_int_equal(ends[1].gones, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(messages_of_all_sizes, setup),
		cmocka_unit_test_setup(answers, setup),
		cmocka_unit_test_setup(peer_without_an_end, setup),
		cmocka_unit_test_setup(full_and_room, setup),
		cmocka_unit_test_setup(close_is_told_once, setup),
		cmocka_unit_test_setup(hostile_packets, setup),
		cmocka_unit_test_setup(broken_ring, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
