/* SPDX-License-Identifier: MIT */
/*
 * Ring benches, theory of operation
 *
 * Two sides of a pair of rings in one process. A ring has five pages of data
 * and no packet's size divides it, so packets cross pages and the ring's end
 * at every offset that there is.
 *
 *	ring-out, ring-in   packets of one size, published in batches of four;
 *	                    writing and reading are counted apart
 *	ping-pong           one packet each way, published alone: both sides of
 *	                    a round trip are counted, and the signals they ask for
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/guest_memory.h>

#include "relay/ring.h"
#include "relay/ring_reg.h"
#include "test/bench/native.h"

#define DATA_PAGES 5
#define RING_PAGES (1 + DATA_PAGES)
#define PAGES (2 * RING_PAGES)
#define BATCH 4
#define PING_SIZE 16

struct pair {
	struct guest_memory memory;
	struct guest_hold hold[PAGES];
	uint8_t *ram;
	struct ring host, guest;
	uint32_t size;
	bool reading; /* what is measured */
	_Alignas(8) uint8_t bytes[RING_MAX_PACKET];
};

static void pair_open(struct pair *p, uint32_t size, bool reading)
{
	struct ring_half up = { p->hold, DATA_PAGES * GUEST_PAGE_SIZE };
	struct ring_half down = { p->hold + RING_PAGES, up.size };

	memset(p, 0, sizeof(*p));
	p->size = size;
	p->reading = reading;
	p->ram = aligned_alloc(GUEST_PAGE_SIZE, PAGES * GUEST_PAGE_SIZE);
	if (!p->ram)
		bench_fail("no memory");
	memset(p->ram, 0, PAGES * GUEST_PAGE_SIZE);
	if (guest_memory_add(&p->memory, 0, PAGES * GUEST_PAGE_SIZE, p->ram))
		bench_fail("memory refused");
	/* In descending order: nothing works because pages are adjacent. */
	for (uint32_t i = 0; i < PAGES; i++) {
		struct gpa_range page = {
			(uint64_t)(PAGES - 1 - i) << GUEST_PAGE_SHIFT,
			GUEST_PAGE_SIZE,
		};

		if (guest_memory_hold(&p->memory, page, &p->hold[i]))
			bench_fail("page refused");
	}
	if (ring_init(&p->host, up, down) || ring_init(&p->guest, down, up))
		bench_fail("ring refused");
}

static void pair_close(struct pair *p)
{
	free(p->ram);
}

/* True: signal. */
static bool put(struct pair *p, struct ring *ring, unsigned int packets)
{
	for (unsigned int i = 0; i < packets; i++)
		if (ring_write(ring, RING_PACKET_INBAND, 0, i, NULL, 0,
			       p->bytes, p->size))
			bench_fail("ring is full");
	return ring_write_end(ring);
}

static void get(struct pair *p, struct ring *ring, unsigned int packets)
{
	struct ring_packet packet;
	bool more;

	for (unsigned int i = 0; i < packets; i++)
		if (ring_read(ring, p->bytes, sizeof(p->bytes), &packet) ||
		    packet.payload_size != p->size)
			bench_fail("packet is missing");
	ring_read_end(ring, &more);
}

static void one_way(void *state, uint64_t items, struct tally *t)
{
	struct pair *p = state;
	uint64_t start;

	for (; t->items < items; t->items += BATCH) {
		start = bench_ticks();
		bench_count(!p->reading);
		t->to_host += put(p, &p->guest, BATCH);
		bench_count(p->reading);
		if (p->reading)
			start = bench_ticks();
		else
			t->ticks += bench_ticks() - start;
		get(p, &p->host, BATCH);
		bench_count(false);
		if (p->reading)
			t->ticks += bench_ticks() - start;
	}
}

static void round_trip(void *state, uint64_t items, struct tally *t)
{
	struct pair *p = state;
	uint64_t start = bench_ticks();

	bench_count(true);
	for (; t->items < items; t->items++) {
		t->to_host += put(p, &p->guest, 1);
		get(p, &p->host, 1);
		t->to_guest += put(p, &p->host, 1);
		get(p, &p->guest, 1);
	}
	bench_count(false);
	t->ticks += bench_ticks() - start;
}

void bench_ring(void)
{
	static const uint32_t sizes[] = { 16, 256, 4096 };
	static struct pair p;
	struct bench_case c = { .kind = "ring" };

	for (unsigned int i = 0; i < 2 * sizeof(sizes) / sizeof(*sizes); i++) {
		c.size = sizes[i / 2];
		c.op = i % 2 ? "in" : "out";
		snprintf(c.name, sizeof(c.name), "ring-%s-%u", c.op, c.size);
		pair_open(&p, c.size, i % 2);
		bench_measure(&c, one_way, &p);
		pair_close(&p);
	}
	c = (struct bench_case){ .name = "ping-pong", .kind = "ping-pong",
				 .size = PING_SIZE };
	pair_open(&p, c.size, false);
	bench_measure(&c, round_trip, &p);
	pair_close(&p);
}
