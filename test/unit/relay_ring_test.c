/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/ring.c paravisor/guest_memory.c paravisor/log.c */
/*
 * Rings: what goes in comes out, signals are neither lost nor needless, and a
 * peer that breaks a rule is found out. Pages of a ring are not adjacent.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "relay/ring.h"
#include "relay/ring_reg.h"

#define MAX_PAGES 9
#define PAGE RING_PAGE_SIZE

/* Two rings in memory, and both ends of them. */
struct pair {
	uint8_t *ram;
	struct guest_hold hold[2 * MAX_PAGES];
	struct ring_half up, down; /* guest to server, server to guest */
	struct ring server, guest;
	uint8_t buffer[RING_MAX_PACKET];
};

static struct pair *pair_create(uint32_t data_pages)
{
	struct pair *p = calloc(1, sizeof(*p));
	uint32_t n = 2 * (1 + data_pages);

	assert_non_null(p);
	/* Every other page, from the top down. */
	p->ram = calloc(2 * n, PAGE);
	assert_non_null(p->ram);
	for (uint32_t i = 0; i < n; i++) {
		p->hold[i].va = (__guest_force void __guest *)
			(p->ram + 2 * (n - 1 - i) * PAGE);
		p->hold[i].len = PAGE;
	}
	p->up = (struct ring_half){ p->hold, data_pages * PAGE };
	p->down = (struct ring_half){ p->hold + 1 + data_pages,
				      data_pages * PAGE };
	assert_int_equal(ring_init(&p->server, p->up, p->down), 0);
	assert_int_equal(ring_init(&p->guest, p->down, p->up), 0);
	return p;
}

static void pair_destroy(struct pair *p)
{
	free(p->ram);
	free(p);
}

static void poke(const struct ring_half *half, uint32_t offset, uint32_t value)
{
	memcpy((__guest_force uint8_t *)half->pages[0].va + offset, &value, 4);
}

static uint32_t peek(const struct ring_half *half, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, (__guest_force uint8_t *)half->pages[0].va + offset, 4);
	return value;
}

static void fill(uint8_t *bytes, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = (seed = seed * 1103515245 + 12345) >> 16;
}

/* The guest writes one in-band packet of so many bytes. */
static int put(struct pair *p, uint32_t size, uint64_t transaction)
{
	uint8_t bytes[RING_MAX_PACKET];

	fill(bytes, size, size + 1);
	return ring_write(&p->guest, RING_PACKET_INBAND, 0, transaction, NULL,
			  0, bytes, size);
}

static void expect_packet(struct pair *p, uint32_t size, uint64_t transaction)
{
	uint8_t bytes[RING_MAX_PACKET];
	struct ring_packet packet;

	fill(bytes, size, size + 1);
	assert_int_equal(ring_read(&p->server, p->buffer, sizeof(p->buffer),
				   &packet), 0);
	assert_int_equal(packet.type, RING_PACKET_INBAND);
	assert_int_equal(packet.transaction, transaction);
	assert_int_equal(packet.header_size, 0);
	assert_int_equal(packet.payload_size, (size + 7) / 8 * 8);
	assert_memory_equal(packet.payload, bytes, size);
	for (uint32_t i = size; i < packet.payload_size; i++)
		assert_int_equal(packet.payload[i], 0);
}

static void every_size_passes(void **state)
{
	struct pair *p = pair_create(1);
	uint32_t most = PAGE - RING_ALIGNMENT - ring_packet_space(0, 0);
	bool more;

	(void)state;
	assert_int_equal(most, 4064);
	for (uint32_t size = 0; size <= most; size++) {
		assert_int_equal(put(p, size, size), 0);
		ring_write_end(&p->guest);
		expect_packet(p, size, size);
		ring_read_end(&p->server, &more);
		assert_false(more);
	}
	assert_int_equal(put(p, most + 1, 0), -EMSGSIZE);
	assert_int_equal(put(p, RING_MAX_PACKET, 0), -EMSGSIZE);
	assert_int_equal(ring_write(&p->guest, RING_PACKET_INBAND, 0, 0, NULL,
				    0, "", UINT32_MAX), -EMSGSIZE);
	assert_null(p->guest.broken);
	pair_destroy(p);
}

static void every_offset_wraps(void **state)
{
	struct pair *p = pair_create(3);
	uint8_t header[40], bytes[5000];
	struct ring_packet packet;
	bool more;

	(void)state;
	fill(header, sizeof(header), 7);
	fill(bytes, sizeof(bytes), 8);
	for (unsigned int i = 0; i < 3 * PAGE / 8; i++) {
		uint32_t size = i % 2 ? 4992 : 7;

		assert_int_equal(ring_write(&p->guest, RING_PACKET_GPA_DIRECT,
			RING_FLAG_COMPLETION_REQUESTED, ~(uint64_t)i, header,
			sizeof(header), bytes, size), 0);
		ring_write_end(&p->guest);
		assert_int_equal(ring_read(&p->server, p->buffer,
					   sizeof(p->buffer), &packet), 0);
		assert_int_equal(packet.type, RING_PACKET_GPA_DIRECT);
		assert_true(packet.wants_completion);
		assert_int_equal(packet.transaction, ~(uint64_t)i);
		assert_int_equal(packet.header_size, sizeof(header));
		assert_memory_equal(packet.header, header, sizeof(header));
		assert_memory_equal(packet.payload, bytes, size);
		ring_read_end(&p->server, &more);
	}
	pair_destroy(p);
}

static void footer_has_the_start(void **state)
{
	struct pair *p = pair_create(1);
	const uint8_t *data = (__guest_force uint8_t *)p->up.pages[1].va;
	uint32_t word;
	bool more;

	(void)state;
	assert_int_equal(put(p, 100, 1), 0); /* 16 + 104 + 8 */
	assert_int_equal(put(p, 8, 2), 0);
	ring_write_end(&p->guest);
	memcpy(&word, data + 128 + 16 + 8 + 4, 4);
	assert_int_equal(word, 128);
	memcpy(&word, data + 120 + 4, 4);
	assert_int_equal(word, 0);
	assert_int_equal(peek(&p->up, RING_FEATURES), 1);
	expect_packet(p, 100, 1);
	expect_packet(p, 8, 2);
	ring_read_end(&p->server, &more);
	assert_int_equal(peek(&p->up, RING_OUT), 128 + 32);
	pair_destroy(p);
}

static void R_03_one_signal_per_batch(void **state)
{
	struct pair *p = pair_create(1);
	struct ring_packet packet;
	bool more;

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(put(p, 8, i), 0);
	/* Nothing is seen before the end of the batch. */
	assert_int_equal(ring_read(&p->server, p->buffer, sizeof(p->buffer),
				   &packet), -EAGAIN);
	ring_read_end(&p->server, &more);
	assert_false(more);
	assert_true(ring_write_end(&p->guest));
	assert_false(ring_write_end(&p->guest));
	/* Not empty any more: the reader is on its way. */
	assert_int_equal(put(p, 8, 10), 0);
	assert_false(ring_write_end(&p->guest));
	for (unsigned int i = 0; i < 11; i++)
		expect_packet(p, 8, i);
	/* Masked while it reads, even if it has read all. */
	assert_int_equal(peek(&p->up, RING_INTERRUPT_MASK), 1);
	assert_int_equal(put(p, 8, 11), 0);
	assert_false(ring_write_end(&p->guest));
	ring_read_end(&p->server, &more);
	assert_true(more);
	assert_int_equal(peek(&p->up, RING_INTERRUPT_MASK), 1);
	expect_packet(p, 8, 11);
	ring_read_end(&p->server, &more);
	assert_false(more);
	assert_int_equal(peek(&p->up, RING_INTERRUPT_MASK), 0);
	assert_int_equal(put(p, 8, 12), 0);
	assert_true(ring_write_end(&p->guest));
	assert_int_equal(p->guest.count.signals_sent, 2);
	pair_destroy(p);
}

static void stopping_early_leaves_more(void **state)
{
	struct pair *p = pair_create(1);
	bool more;

	(void)state;
	assert_int_equal(put(p, 8, 0), 0);
	assert_int_equal(put(p, 8, 1), 0);
	ring_write_end(&p->guest);
	expect_packet(p, 8, 0);
	ring_read_end(&p->server, &more);
	assert_true(more);
	assert_int_equal(put(p, 8, 2), 0);
	assert_false(ring_write_end(&p->guest));
	expect_packet(p, 8, 1);
	expect_packet(p, 8, 2);
	ring_read_end(&p->server, &more);
	assert_false(more);
	pair_destroy(p);
}

/* A reader that comes back by itself: no signal for what comes meanwhile, but
 * one for room that somebody waits for. */
static void pause_is_silent(void **state)
{
	struct pair *p = pair_create(1);
	uint32_t n = 0, i = 0;
	unsigned int signals = 0;
	bool more;

	(void)state;
	assert_int_equal(put(p, 8, 0), 0);
	assert_true(ring_write_end(&p->guest));
	expect_packet(p, 8, 0);
	assert_false(ring_read_pause(&p->server));
	assert_int_equal(peek(&p->up, RING_INTERRUPT_MASK), 1);
	assert_int_equal(put(p, 8, 1), 0);
	assert_false(ring_write_end(&p->guest));
	expect_packet(p, 8, 1);
	ring_read_end(&p->server, &more);
	assert_false(more);
	assert_int_equal(peek(&p->up, RING_INTERRUPT_MASK), 0);
	/* What came during a pause is not lost at its end. */
	assert_false(ring_read_pause(&p->server));
	assert_int_equal(put(p, 8, 2), 0);
	assert_false(ring_write_end(&p->guest));
	ring_read_end(&p->server, &more);
	assert_true(more);
	expect_packet(p, 8, 2);
	ring_read_end(&p->server, &more);

	while (!put(p, 80, n))
		n++;
	ring_write_end(&p->guest);
	for (; i < n; i++) {
		expect_packet(p, 80, i);
		signals += ring_read_pause(&p->server);
	}
	assert_int_equal(signals, 1);
	pair_destroy(p);
}

static void full_ring_asks_for_room(void **state)
{
	struct pair *p = pair_create(1);
	uint32_t wanted, n = 0, i = 0;
	bool more, signal = false;

	(void)state;
	while (!put(p, 80, n))
		n++;
	assert_int_equal(n, 4088 / 104);
	ring_write_end(&p->guest);
	wanted = peek(&p->up, RING_PENDING_SEND_SIZE);
	assert_in_range(wanted, 104, PAGE - 8);
	assert_int_equal(p->guest.count.full, 1);
	/* Packet by packet: one signal, at the one that makes the room. */
	for (; i < n; i++) {
		uint32_t before = PAGE - 8 - (n - i) * 104;
		bool crosses = before < wanted && wanted <= before + 104;

		expect_packet(p, 80, i);
		signal = ring_read_end(&p->server, &more);
		assert_int_equal(signal, crosses);
	}
	assert_int_equal(put(p, 80, n), 0);
	assert_int_equal(peek(&p->up, RING_PENDING_SEND_SIZE), 0);
	ring_write_end(&p->guest);
	/* Nobody waits: no signal for room. */
	expect_packet(p, 80, n);
	assert_false(ring_read_end(&p->server, &more));
	/* A guest may ask in odd sizes, or for what can never be. */
	assert_int_equal(put(p, 80, n), 0);
	ring_write_end(&p->guest);
	poke(&p->up, RING_PENDING_SEND_SIZE, PAGE - 1);
	expect_packet(p, 80, n);
	assert_true(ring_read_end(&p->server, &more));
	assert_int_equal(put(p, 80, n), 0);
	ring_write_end(&p->guest);
	poke(&p->up, RING_PENDING_SEND_SIZE, UINT32_MAX);
	expect_packet(p, 80, n);
	assert_false(ring_read_end(&p->server, &more));
	assert_null(p->server.broken);
	pair_destroy(p);
}

/* A batch that does not fit: what it holds already is no room to the reader,
 * whose signal would never come otherwise. */
static void room_is_counted_alike(void **state)
{
	struct pair *p = pair_create(1);
	bool more, signal;

	(void)state;
	assert_int_equal(put(p, 1000, 0), 0);
	assert_true(ring_write_end(&p->guest));
	expect_packet(p, 1000, 0);
	assert_int_equal(put(p, 2000, 1), 0);
	assert_int_equal(put(p, 1500, 2), -EAGAIN);
	signal = ring_read_end(&p->server, &more);
	assert_true(more);
	ring_write_end(&p->guest);
	expect_packet(p, 2000, 1);
	signal |= ring_read_end(&p->server, &more);
	assert_false(more);
	assert_true(signal);
	/* The first part of such a batch finds the reader asleep. */
	assert_int_equal(put(p, 2000, 3), 0);
	assert_int_equal(put(p, 3000, 4), -EAGAIN);
	assert_int_equal(put(p, 80, 5), 0);
	assert_true(ring_write_end(&p->guest));
	assert_false(ring_write_end(&p->guest));
	pair_destroy(p);
}

static void room_can_be_asked_for(void **state)
{
	struct pair *p = pair_create(1);

	(void)state;
	assert_true(ring_has_room(&p->guest, PAGE - 8));
	assert_int_equal(peek(&p->up, RING_PENDING_SEND_SIZE), 0);
	assert_false(ring_has_room(&p->guest, PAGE));
	assert_int_equal(peek(&p->up, RING_PENDING_SEND_SIZE), PAGE - 8);
	pair_destroy(p);
}

/* Writes a descriptor straight into the ring, and says `in` bytes are there. */
static void forge(struct pair *p, uint16_t offset8, uint16_t length8,
		  uint32_t in)
{
	struct ring_descriptor d = {
		.type = cpu_to_le16(RING_PACKET_INBAND),
		.offset8 = cpu_to_le16(offset8),
		.length8 = cpu_to_le16(length8),
	};

	memcpy((__guest_force uint8_t *)p->up.pages[1].va, &d, sizeof(d));
	poke(&p->up, RING_IN, in);
}

static void broken_packets_are_found(void **state)
{
	static const struct {
		uint16_t offset8, length8;
		uint32_t in;
		const char *rule;
	} bad[] = {
		{ 2, 2, 8, "ring.packet.short" },
		{ 2, 2, 16, "ring.packet.short" },
		{ 0, 2, 64, "ring.packet.offset" },
		{ 1, 2, 64, "ring.packet.offset" },
		{ 3, 2, 64, "ring.packet.length" },
		{ 0xffff, 2, 64, "ring.packet.length" },
		{ 2, 8, 64, "ring.packet.beyond" },
		{ 2, 0xffff, 64, "ring.packet.beyond" },
		{ 2, 3, 24, "ring.packet.beyond" },
		{ 2, 33, 512, "ring.packet.size" },
		{ 2, 2, 4096, "ring.index.range" },
		{ 2, 2, UINT32_MAX, "ring.index.range" },
		{ 2, 2, 25, "ring.index.aligned" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pair *p = pair_create(1);
		struct ring_packet packet;
		bool more = true;

		forge(p, bad[i].offset8, bad[i].length8, bad[i].in);
		assert_int_equal(ring_read(&p->server, p->buffer, 256,
					   &packet), -EPROTO);
		assert_string_equal(p->server.broken, bad[i].rule);
		assert_false(ring_read_end(&p->server, &more));
		assert_false(more);
		/* Nothing of it is used any more. */
		assert_int_equal(ring_read(&p->server, p->buffer, 256,
					   &packet), -EPROTO);
		assert_int_equal(ring_write(&p->server, 6, 0, 0, NULL, 0, "x",
					    1), -EPROTO);
		assert_false(ring_has_room(&p->server, 0));
		assert_false(ring_write_end(&p->server));
		pair_destroy(p);
	}
}

static void good_limits_pass(void **state)
{
	static const struct {
		uint16_t offset8, length8;
		uint32_t in;
	} good[] = { { 2, 2, 24 }, { 2, 7, 64 }, { 7, 7, 64 }, { 2, 32, 264 } };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct pair *p = pair_create(1);
		struct ring_packet packet;

		forge(p, good[i].offset8, good[i].length8, good[i].in);
		assert_int_equal(ring_read(&p->server, p->buffer, 256,
					   &packet), 0);
		assert_int_equal(packet.header_size, 8 * good[i].offset8 - 16);
		assert_int_equal(packet.payload_size,
				 8 * (good[i].length8 - good[i].offset8));
		pair_destroy(p);
	}
}

static void indexes_only_move_forward(void **state)
{
	struct pair *p = pair_create(1);
	struct ring_packet packet;
	bool more;

	(void)state;
	assert_int_equal(put(p, 8, 0), 0);
	assert_int_equal(put(p, 8, 1), 0);
	ring_write_end(&p->guest);
	expect_packet(p, 8, 0);
	poke(&p->up, RING_IN, 32); /* takes the second one back */
	expect_packet(p, 8, 1);	   /* was loaded already */
	assert_int_equal(ring_read(&p->server, p->buffer, sizeof(p->buffer),
				   &packet), -EPROTO);
	assert_string_equal(p->server.broken, "ring.index.backwards");
	assert_false(ring_read_end(&p->server, &more));
	pair_destroy(p);

	/* A reader that says to have read what was not written. */
	p = pair_create(1);
	assert_int_equal(ring_write(&p->server, 6, 0, 0, NULL, 0, "x", 1), 0);
	ring_write_end(&p->server);
	poke(&p->down, RING_OUT, 72);
	assert_int_equal(ring_write(&p->server, 6, 0, 0, NULL, 0, "x", 1), 0);
	assert_false(ring_write_end(&p->server));
	assert_string_equal(p->server.broken, "ring.read-index");
	pair_destroy(p);
}

/* Our own indexes in shared memory are only ever stored. */
static void overwritten_indexes_of_ours_do_not_matter(void **state)
{
	struct pair *p = pair_create(1);
	bool more;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(put(p, 8, i), 0);
		ring_write_end(&p->guest);
		poke(&p->up, RING_OUT, 0xdeadbeef);
		poke(&p->down, RING_IN, 0xdeadbeef);
		expect_packet(p, 8, i);
		assert_int_equal(ring_write(&p->server, 6, 0, i, NULL, 0, "x",
					    1), 0);
		ring_read_end(&p->server, &more);
		ring_write_end(&p->server);
		assert_null(p->server.broken);
		poke(&p->down, RING_OUT, peek(&p->down, RING_IN));
	}
	pair_destroy(p);
}

static void found_indexes_are_checked(void **state)
{
	static const struct {
		bool up;
		uint32_t offset, value;
	} bad[] = {
		{ true, RING_IN, PAGE }, { true, RING_OUT, PAGE },
		{ false, RING_IN, PAGE }, { false, RING_OUT, PAGE },
		{ true, RING_IN, 4 }, { false, RING_OUT, 0xaaaaaaaa },
	};
	struct ring ring;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pair *p = pair_create(1);

		poke(bad[i].up ? &p->up : &p->down, bad[i].offset,
		     bad[i].value);
		assert_int_equal(ring_init(&ring, p->up, p->down), -EPROTO);
		assert_non_null(ring.broken);
		assert_int_equal(ring.broken_value, bad[i].value);
		pair_destroy(p);
	}
}

/*
 * Two threads, rings of one page, each side sleeping whenever it has nothing
 * to do: a lost signal is a sleep without end.
 */
#define PING_PONG 200000
#define TOO_LONG 10 /* seconds */

static sem_t to_server, to_guest;

static bool nap(sem_t *sem)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TOO_LONG;
	while (sem_timedwait(sem, &until))
		if (errno != EINTR)
			return false;
	return true;
}

/* Echoes; keeps what does not fit until there is room. */
static void *echo(void *arg)
{
	struct pair *p = arg;
	uint8_t buffer[512];
	struct ring_packet packet;
	uint64_t done = 0;
	bool pending = false, more = false, signal;
	int err = 0;

	while (done < PING_PONG && !err) {
		if (!more && !nap(&to_server))
			return "server was not signalled";
		for (;;) {
			if (!pending)
				err = ring_read(&p->server, buffer,
						sizeof(buffer), &packet);
			if (err)
				break;
			pending = ring_write(&p->server, 11, 0,
				packet.transaction, NULL, 0, packet.payload,
				packet.payload_size) == -EAGAIN;
			if (pending)
				break;
			done++;
		}
		if (err == -EAGAIN)
			err = 0;
		signal = ring_write_end(&p->server);
		signal |= ring_read_end(&p->server, &more);
		if (signal)
			sem_post(&to_guest);
		/* Without room the signal for it is what wakes us. */
		if (pending)
			more = false;
	}
	return p->server.broken ? (void *)p->server.broken : NULL;
}

static const char *ping(struct pair *p)
{
	uint64_t sent = 0, received = 0;
	uint32_t seed = 1;
	bool more = false, signal, full, read;
	struct ring_packet packet;
	uint8_t bytes[200];
	int err = 0;

	while (received < PING_PONG) {
		full = read = false;
		while (sent < PING_PONG && !full) {
			uint32_t size = (seed = seed * 1103515245 + 12345) >>
					16 & 127;

			fill(bytes, size, sent);
			err = ring_write(&p->guest, 6, 0, sent, NULL, 0, bytes,
					 size);
			full = err;
			sent += !err;
			if (seed >> 28 == 0)
				break;
		}
		signal = ring_write_end(&p->guest);
		while (!(err = ring_read(&p->guest, p->buffer, 512, &packet))) {
			if (packet.transaction != received++)
				return "packets out of order";
			read = true;
		}
		signal |= ring_read_end(&p->guest, &more);
		if (signal)
			sem_post(&to_server);
		if (p->guest.broken)
			return p->guest.broken;
		if (!more && !read && (full || sent == PING_PONG) &&
		    !nap(&to_guest))
			return "guest was not signalled";
	}
	return NULL;
}

static void no_signal_is_lost(void **state)
{
	struct pair *p = pair_create(1);
	pthread_t thread;
	void *server_says;
	const char *guest_says;

	(void)state;
	sem_init(&to_server, 0, 1);
	sem_init(&to_guest, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, echo, p), 0);
	guest_says = ping(p);
	pthread_join(thread, &server_says);
	assert_null(guest_says);
	assert_null(server_says);
	assert_int_equal(p->server.count.packets_in, PING_PONG);
	print_message("%u packets each way: %llu signals to the server, "
		      "%llu to the guest\n", PING_PONG,
		      (unsigned long long)p->guest.count.signals_sent,
		      (unsigned long long)p->server.count.signals_sent);
	pair_destroy(p);
}

/*
 * The same at its most delicate: packets come just while the reader goes idle,
 * room comes just while the writer asks for it. One side sleeps, the other
 * never does, and both take a random time. Without the fences of ring.c this
 * stalls.
 */
#define STREAM 1000000
#define HALF_RING 2016 /* two such packets fill a ring of one page */

static sem_t wake;

static void dawdle(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	for (volatile uint32_t i = (*seed >> 16) & 31; i; i--)
		;
}

struct stream {
	struct pair *p;
	bool reader_sleeps, writer_sleeps;
	atomic_bool over;   /* one side gave up */
};

static void *give_up(struct stream *s, const char *why)
{
	s->over = true;
	return (void *)why;
}

static void *write_stream(void *arg)
{
	static const uint8_t bytes[HALF_RING];
	struct stream *s = arg;
	uint32_t seed = 1;
	uint64_t sent = 0;

	while (sent < STREAM && !s->over) {
		int err = ring_write(&s->p->guest, 6, 0, sent, NULL, 0, bytes,
				     s->writer_sleeps ? HALF_RING : 0);
		bool signal = ring_write_end(&s->p->guest);

		if (signal && s->reader_sleeps)
			sem_post(&wake);
		if (!err) {
			sent++;
			if (s->reader_sleeps)
				dawdle(&seed);
		} else if (err != -EAGAIN) {
			return give_up(s, "writer found a broken ring");
		} else if (s->writer_sleeps && !nap(&wake)) {
			return give_up(s, "writer was not signalled");
		}
	}
	return NULL;
}

static void *read_stream(void *arg)
{
	struct stream *s = arg;
	uint32_t seed = 2;
	uint64_t received = 0;
	struct ring_packet packet;
	uint8_t buffer[PAGE];
	bool more;
	int err;

	while (received < STREAM && !s->over) {
		while (!(err = ring_read(&s->p->server, buffer, sizeof(buffer),
					 &packet))) {
			if (packet.transaction != received++)
				return give_up(s, "packets out of order");
			if (s->writer_sleeps && received % 3)
				break;
		}
		if (err == -EPROTO)
			return give_up(s, "reader found a broken ring");
		if (s->writer_sleeps)
			dawdle(&seed);
		if (ring_read_end(&s->p->server, &more) && s->writer_sleeps)
			sem_post(&wake);
		if (s->reader_sleeps && !more && received < STREAM &&
		    !nap(&wake))
			return give_up(s, "reader was not signalled");
	}
	return NULL;
}

static void run_stream(bool reader_sleeps)
{
	struct stream s = { pair_create(1), reader_sleeps, !reader_sleeps,
			    false };
	void *writer_says, *reader_says;
	pthread_t writer, reader;

	sem_init(&wake, 0, 0);
	assert_int_equal(pthread_create(&reader, NULL, read_stream, &s), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_stream, &s), 0);
	pthread_join(reader, &reader_says);
	pthread_join(writer, &writer_says);
	assert_null(reader_says);
	assert_null(writer_says);
	pair_destroy(s.p);
}

static void idle_reader_is_woken(void **state)
{
	(void)state;
	run_stream(true);
}

static void waiting_writer_is_woken(void **state)
{
	(void)state;
	run_stream(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_passes),
		cmocka_unit_test(every_offset_wraps),
		cmocka_unit_test(footer_has_the_start),
		cmocka_unit_test(R_03_one_signal_per_batch),
		cmocka_unit_test(stopping_early_leaves_more),
		cmocka_unit_test(pause_is_silent),
		cmocka_unit_test(full_ring_asks_for_room),
		cmocka_unit_test(room_is_counted_alike),
		cmocka_unit_test(room_can_be_asked_for),
		cmocka_unit_test(broken_packets_are_found),
		cmocka_unit_test(good_limits_pass),
		cmocka_unit_test(indexes_only_move_forward),
		cmocka_unit_test(overwritten_indexes_of_ours_do_not_matter),
		cmocka_unit_test(found_indexes_are_checked),
		cmocka_unit_test(no_signal_is_lost),
		cmocka_unit_test(idle_reader_is_woken),
		cmocka_unit_test(waiting_writer_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
