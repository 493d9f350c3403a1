/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/tx.c mana/rx.c mana/poll.c mana/queue.c test/unit/mana_fake.c test/unit/reactor_inline.c paravisor/guest_memory.c paravisor/log.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/mana_fake.h"
#include "test/unit/reactor_inline.h"

static struct fake *f;

static int setup(void **state)
{
	(void)state;
	f = fake_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_free(f);
	return 0;
}

/* Bytes of the guest's range that element `i` carries. */
static const uint8_t *at(const struct fake_wqe *w, unsigned int i)
{
	if (w->sge[i].key == FAKE_KEY)
		return f->ram + (w->sge[i].address - FAKE_GPA);
	assert_int_equal(w->sge[i].key, FAKE_TX_KEY);
	return (const uint8_t *)(uintptr_t)w->sge[i].address;
}

/* What the device would send. */
static uint32_t flatten(const struct fake_wqe *w, uint8_t *out)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < w->nr; i++) {
		memcpy(out + n, at(w, i), w->sge[i].size);
		n += w->sge[i].size;
	}
	return n;
}

static uint32_t wanted(const struct nic_frame *frame, uint8_t *out)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < frame->nr_ranges; i++) {
		assert_int_equal(guest_memory_read(&f->memory,
						   frame->ranges[i].gpa,
						   out + n,
						   frame->ranges[i].len), 0);
		n += frame->ranges[i].len;
	}
	return n;
}

static uint8_t got[70000], want[70000];

/* Sends it alone and shows that its bytes arrive. */
static void send_one(const struct nic_frame *frame, struct fake_wqe *w)
{
	uint32_t len;

	assert_int_equal(queue_tx(&f->q, frame, 1), 1);
	assert_true(fake_take_tx(f, w));
	len = flatten(w, got);
	assert_int_equal(wanted(frame, want), len);
	assert_memory_equal(got, want, len);
	assert_false(w->no_cqe);
}

static void a_frame_goes_as_it_lies(void **state)
{
	const struct gpa_range r[] = { { FAKE_GPA + 0x100, 14 },
				       { FAKE_GPA + 0x5000, 1000 } };
	const struct nic_frame frame = { .id = 9, .nr_ranges = 2, .ranges = r,
					 .offload = NIC_IP4_CHECKSUM |
						    NIC_TCP4_CHECKSUM,
					 .l4_offset = 34 };
	struct fake_wqe w;

	(void)state;
	send_one(&frame, &w);
	assert_int_equal(w.nr, 2);
	assert_int_equal(w.sge[0].address, FAKE_GPA + 0x100);
	assert_int_equal(w.sge[1].address, FAKE_GPA + 0x5000);
	assert_int_equal(w.oob[0], 1 << 2 | 1 << 4 | 1 << 5 | FAKE_TX_CQ << 8);
	assert_int_equal(w.oob[1] & 0x3ff, 34);
	assert_int_equal(fake_doorbell(f, 0) & 0xffffff, FAKE_SQ);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 0);
	fake_complete_tx(f, 32, w.at);
	f->events_waiting = 1;
	f->q.watch.fn(&f->q.watch);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 1);
	assert_int_equal(f->sent[0].id, 9);
	assert_false(f->sent[0].failed);
	assert_int_equal(f->q.stats.tx_frames, 1);
	assert_int_equal(f->q.stats.tx_bytes, 1014);
	assert_int_equal(f->q.stats.bounced_bytes, 0);
}

static void offloads_for_version_6_and_udp(void **state)
{
	const struct gpa_range r = { FAKE_GPA, 100 };
	struct nic_frame frame = { .nr_ranges = 1, .ranges = &r };
	struct fake_wqe w;

	(void)state;
	frame.offload = NIC_UDP6_CHECKSUM;
	send_one(&frame, &w);
	assert_int_equal(w.oob[0] & 0x7f, 1 << 3 | 1 << 6);
	frame.offload = NIC_TCP6_CHECKSUM;
	send_one(&frame, &w);
	assert_int_equal(w.oob[0] & 0x7f, 1 << 3 | 1 << 5);
	frame.offload = NIC_UDP4_CHECKSUM | NIC_VLAN;
	frame.vlan = 0x2005;
	send_one(&frame, &w);
	assert_int_equal(w.oob[0] & 0x7f, 1 | 1 << 2 | 1 << 6);
	assert_int_equal(w.oob[2], 1 << 3 | 1 << 16 | 5u << 20);
}

#define LATE_NS 300000

/* Frames of one range each, ids from 100. */
static void send_frames(unsigned int nr, bool soon)
{
	struct gpa_range r[FAKE_DEPTH];
	struct nic_frame frame[FAKE_DEPTH];

	for (unsigned int i = 0; i < nr; i++) {
		r[i] = (struct gpa_range){ FAKE_GPA + i * 0x100, 60 + i };
		frame[i] = (struct nic_frame){ .id = 100 + i, .nr_ranges = 1,
					       .ranges = &r[i],
					       .late_ns = soon && i == nr / 2 ?
						       0 : LATE_NS };
	}
	assert_int_equal(queue_tx(&f->q, frame, nr), nr);
}

static void send_batch(unsigned int nr)
{
	send_frames(nr, true);
}

static void a_batch_rings_once_and_completes_once(void **state)
{
	uint64_t before = f->q.doorbells.rung;
	struct fake_wqe w;

	(void)state;
	send_batch(5);
	assert_int_equal(f->q.doorbells.rung - before, 1);
	for (unsigned int i = 0; i < 5; i++) {
		assert_true(fake_take_tx(f, &w));
		assert_int_equal(w.no_cqe, i < 4);
	}
	assert_false(fake_take_tx(f, &w));
	fake_complete_tx(f, 32, w.at);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 5);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(f->sent[i].id, 100 + i);
		assert_false(f->sent[i].failed);
	}
	assert_int_equal(mana_wq_room(&f->q.sq), sizeof(f->sq));
}

static void no_more_than_sixteen_are_silent(void **state)
{
	unsigned int told = 0, run = 0;
	struct fake_wqe w;

	(void)state;
	send_batch(40);
	while (fake_take_tx(f, &w)) {
		run++;
		assert_true(run <= 16);
		if (w.no_cqe)
			continue;
		told++;
		run = 0;
	}
	assert_int_equal(run, 0); /* the last one is told */
	assert_int_equal(told, 3);
}

static const struct nic_frame lso_frame = {
	.offload = NIC_LSO4, .mss = 1448, .l4_offset = 34, .header_len = 66,
};

static void lso_cuts_a_long_first_range(void **state)
{
	const struct gpa_range r[] = { { FAKE_GPA + 0x1000, 1066 },
				       { FAKE_GPA + 0x8000, 4000 } };
	struct nic_frame frame = lso_frame;
	struct fake_wqe w;

	(void)state;
	frame.ranges = r;
	frame.nr_ranges = 2;
	send_one(&frame, &w);
	assert_int_equal(w.nr, 3);
	assert_int_equal(w.sge[0].address, FAKE_GPA + 0x1000);
	assert_int_equal(w.sge[0].size, 66);
	assert_int_equal(w.sge[1].address, FAKE_GPA + 0x1000 + 66);
	assert_int_equal(w.header[0], 66u << 24);
	assert_int_equal(w.header[1] >> 11 & 1, 1);
	assert_int_equal(w.header[1] >> 16, 1448);
	assert_int_equal(w.oob[0] & 0x7f, 1 << 2 | 1 << 4 | 1 << 5);
	assert_int_equal(f->q.stats.bounced_bytes, 0);
}

static void lso_header_of_its_own_range_is_not_cut(void **state)
{
	const struct gpa_range r[] = { { FAKE_GPA + 0x1000, 66 },
				       { FAKE_GPA + 0x1042, 4000 } };
	struct nic_frame frame = lso_frame;
	struct fake_wqe w;

	(void)state;
	frame.ranges = r;
	frame.nr_ranges = 2; /* the second one follows in memory: not merged */
	send_one(&frame, &w);
	assert_int_equal(w.nr, 2);
	assert_int_equal(w.sge[0].size, 66);
	assert_int_equal(f->q.stats.bounced_bytes, 0);
}

static void lso_header_over_ranges_is_copied(void **state)
{
	const struct gpa_range r[] = { { FAKE_GPA + 0x1000, 14 },
				       { FAKE_GPA + 0x2000, 30 },
				       { FAKE_GPA + 0x3000, 122 } };
	struct nic_frame frame = lso_frame;
	struct fake_wqe w;

	(void)state;
	frame.ranges = r;
	frame.nr_ranges = 3;
	send_one(&frame, &w);
	assert_int_equal(w.nr, 2);
	assert_int_equal(w.sge[0].key, FAKE_TX_KEY);
	assert_int_equal(w.sge[0].size, 66);
	assert_int_equal(w.sge[1].address, FAKE_GPA + 0x3000 + 22);
	assert_int_equal(w.sge[1].size, 100);
	assert_int_equal(f->q.stats.bounced_bytes, 66);
}

static void pieces(struct gpa_range *r, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		r[i] = (struct gpa_range){ FAKE_GPA + i * 0x400 + i, 20 + i };
}

static void thirty_pieces_go_as_they_lie(void **state)
{
	struct gpa_range r[30];
	const struct nic_frame frame = { .nr_ranges = 30, .ranges = r };
	struct fake_wqe w;

	(void)state;
	pieces(r, 30);
	send_one(&frame, &w);
	assert_int_equal(w.nr, 30);
	assert_int_equal(f->q.stats.bounced_bytes, 0);
}

static void more_pieces_end_in_a_copy(void **state)
{
	struct gpa_range r[100];
	const struct nic_frame frame = { .nr_ranges = 100, .ranges = r };
	struct fake_wqe w;
	uint32_t rest = 0;

	(void)state;
	pieces(r, 100);
	send_one(&frame, &w);
	assert_int_equal(w.nr, 30);
	assert_int_equal(w.sge[29].key, FAKE_TX_KEY);
	for (unsigned int i = 29; i < 100; i++)
		rest += r[i].len;
	assert_int_equal(w.sge[29].size, rest);
	assert_int_equal(f->q.stats.bounced_bytes, rest);
	fake_complete_tx(f, 32, w.at);
	reactor_inline_drain();
	assert_int_equal(f->q.tx_bounce.head, f->q.tx_bounce.tail);
}

static void neighbours_become_one_piece(void **state)
{
	struct gpa_range r[MANA_MAX_TX_RANGES];
	const struct nic_frame frame = { .nr_ranges = MANA_MAX_TX_RANGES,
					 .ranges = r };
	struct fake_wqe w;

	(void)state;
	for (unsigned int i = 0; i < MANA_MAX_TX_RANGES; i++)
		r[i] = (struct gpa_range){ FAKE_GPA + i * 64, i % 3 ? 64 : 0 };
	for (unsigned int i = 0; i < MANA_MAX_TX_RANGES; i += 3)
		r[i].len = 64;
	send_one(&frame, &w);
	assert_int_equal(w.nr, 1);
	assert_int_equal(w.sge[0].size, MANA_MAX_TX_RANGES * 64);
}

static void empty_ranges_are_passed_over(void **state)
{
	const struct gpa_range r[] = { { FAKE_GPA, 0 }, { FAKE_GPA + 64, 60 },
				       { FAKE_GPA, 0 }, { FAKE_GPA + 256, 6 },
				       { FAKE_GPA, 0 } };
	const struct nic_frame frame = { .nr_ranges = 5, .ranges = r };
	struct fake_wqe w;

	(void)state;
	send_one(&frame, &w);
	assert_int_equal(w.nr, 2);
}

static void memory_without_a_key_is_copied(void **state)
{
	const struct gpa_range r[] = { { FAKE_GPA, 66 },
				       { FAKE_BARE + 0x100, 1000 },
				       { FAKE_GPA + 0x1000, 500 } };
	struct nic_frame frame = lso_frame;
	struct fake_wqe w;

	(void)state;
	frame.ranges = r;
	frame.nr_ranges = 3;
	send_one(&frame, &w);
	assert_int_equal(w.nr, 2);
	assert_int_equal(w.sge[0].key, FAKE_KEY);
	assert_int_equal(w.sge[1].key, FAKE_TX_KEY);
	assert_int_equal(f->q.stats.bounced_bytes, 1500);
}

static void what_can_not_be_sent_is_answered_in_its_turn(void **state)
{
	static const struct gpa_range good = { FAKE_GPA, 60 },
				      tiny = { FAKE_GPA, 13 },
				      huge = { FAKE_GPA, 65536 };
	struct nic_frame frame[6] = {
		{ .id = 0, .nr_ranges = 1, .ranges = &good },
		{ .id = 1, .nr_ranges = 1, .ranges = &tiny },
		{ .id = 2, .nr_ranges = 1, .ranges = &huge },
		{ .id = 3, .nr_ranges = 1, .ranges = &good,
		  .offload = NIC_LSO6, .mss = 1000, .header_len = 60 },
		{ .id = 4, .nr_ranges = 1, .ranges = &good },
		{ .id = 5, .nr_ranges = 1, .ranges = &good,
		  .offload = NIC_LSO4, .mss = 0, .header_len = 50 },
	};
	struct fake_wqe w;

	(void)state;
	assert_int_equal(queue_tx(&f->q, frame, 6), 6);
	assert_true(fake_take_tx(f, &w));
	assert_true(w.no_cqe);
	assert_true(fake_take_tx(f, &w));
	assert_false(w.no_cqe); /* the last that the device got */
	assert_false(fake_take_tx(f, &w));
	fake_complete_tx(f, 32, w.at);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 6);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(f->sent[i].id, i);
		assert_int_equal(f->sent[i].failed, i != 0 && i != 4);
	}
	assert_int_equal(f->q.stats.tx_failed, 4);
}

static void a_bad_frame_alone_is_answered_without_the_device(void **state)
{
	static const struct gpa_range tiny = { FAKE_GPA, 13 };
	const struct nic_frame frame = { .id = 7, .nr_ranges = 1,
					 .ranges = &tiny };

	(void)state;
	assert_int_equal(queue_tx(&f->q, &frame, 1), 1);
	assert_int_equal(f->nr_sent, 0); /* not from inside of the call */
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 1);
	assert_true(f->sent[0].failed);
	assert_int_equal(fake_doorbell(f, 0), 0);
}

static void headers_of_255_bytes_are_the_longest(void **state)
{
	const struct gpa_range r = { FAKE_GPA, 4000 };
	struct nic_frame frame = lso_frame;
	struct fake_wqe w;

	(void)state;
	frame.ranges = &r;
	frame.nr_ranges = 1;
	frame.header_len = 255;
	send_one(&frame, &w);
	assert_int_equal(w.header[0] >> 24, 255);
	frame.header_len = 256;
	assert_int_equal(queue_tx(&f->q, &frame, 1), 1);
	assert_false(fake_take_tx(f, &w));
}

static void an_error_fails_its_frame_only(void **state)
{
	struct fake_wqe w[5];

	(void)state;
	send_batch(5);
	for (unsigned int i = 0; i < 5; i++)
		assert_true(fake_take_tx(f, &w[i]));
	fake_complete_tx(f, 34, w[2].at); /* a silent one */
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 3);
	assert_false(f->sent[1].failed);
	assert_true(f->sent[2].failed);
	fake_complete_tx(f, 32, w[4].at);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 5);
	assert_false(f->sent[4].failed);
	assert_int_equal(f->nr_broken, 0);
	assert_int_equal(f->q.stats.tx_failed, 1);
}

/* So many frames, each sent alone and told of where it lies; then two on their
 * way, w[0] and w[1], told of each. */
static void two_after(unsigned int nr, struct fake_wqe w[2])
{
	while (nr--) {
		send_batch(1);
		assert_true(fake_take_tx(f, &w[0]));
		fake_complete_tx(f, 32, w[0].at);
		queue_poll_soon(&f->q);
		reactor_inline_drain();
	}
	for (unsigned int i = 0; i < 2; i++) {
		send_batch(1);
		assert_true(fake_take_tx(f, &w[i]));
	}
	f->nr_sent = 0;
}

static void complete_at(unsigned int type, uint32_t wqe_at)
{
	fake_complete_tx(f, type, wqe_at);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
}

static void a_completion_too_few_breaks_the_queue(void **state)
{
	struct fake_wqe w[2];

	(void)state;
	two_after(1000, w);
	complete_at(32, w[1].at);
	assert_int_equal(f->nr_sent, 0);
	assert_int_equal(f->nr_broken, 1);
}

/* The second one's pages are still the device's. */
static void a_completion_too_many_breaks_the_queue(void **state)
{
	struct fake_wqe w[2];

	(void)state;
	two_after(PLACES_SURE, w);
	complete_at(32, w[0].at);
	assert_int_equal(f->nr_sent, 1);
	complete_at(32, w[0].at);
	assert_int_equal(f->nr_sent, 1);
	assert_int_equal(f->nr_broken, 1);
}

static void an_error_of_nowhere_fails_no_frame(void **state)
{
	struct fake_wqe w[2];

	(void)state;
	two_after(PLACES_SURE, w);
	complete_at(34, w[0].at + 4096);
	assert_int_equal(f->nr_sent, 0);
	assert_int_equal(f->nr_broken, 1);
}

/* Nor one that was believed of nothing yet. */
static void a_device_that_names_no_entries_is_not_believed(void **state)
{
	struct fake_wqe w[2];

	(void)state;
	two_after(PLACES_SURE - 3, w);
	complete_at(32, 32);
	complete_at(32, 32);
	assert_int_equal(f->nr_sent, 2);
	two_after(1000, w);
	complete_at(32, 32);
	assert_int_equal(f->nr_sent, 1);
	assert_int_equal(f->nr_broken, 0);
}

static void a_dead_send_queue_breaks_the_queue_once(void **state)
{
	struct fake_wqe w;

	(void)state;
	send_batch(3);
	assert_true(fake_take_tx(f, &w));
	fake_complete_tx(f, 42, w.at);
	reactor_inline_drain();
	assert_int_equal(f->nr_broken, 1);
	assert_int_equal(f->nr_sent, 1);
	assert_true(f->sent[0].failed);
	/* What comes now waits for the stop; the device hears nothing. */
	uint64_t rung = f->q.doorbells.rung;
	send_batch(2);
	reactor_inline_drain();
	assert_int_equal(f->q.doorbells.rung, rung);
	assert_int_equal(f->nr_sent, 1);
	assert_int_equal(f->nr_broken, 1);
}

static void completions_that_can_not_be_break_the_queue(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < 4; kind++) {
		struct fake_wqe w = { 0 };

		fake_free(f);
		f = fake_new();
		if (kind) {
			send_batch(2);
			assert_true(fake_take_tx(f, &w));
		}
		fake_complete_tx(f, kind == 1 ? 5 : kind == 2 ? 34 : 32,
				 kind == 2 ? 4096 : w.at);
		if (kind == 3) /* of another queue */
			f->tx_cq[0].info = cpu_to_le32(le32_to_cpu(
				f->tx_cq[0].info) ^ 1);
		queue_poll_soon(&f->q);
		reactor_inline_drain();
		assert_int_equal(f->nr_broken, 1);
		assert_int_equal(f->q.bad_cqes, 1);
	}
}

static void a_full_ring_takes_what_fits(void **state)
{
	struct gpa_range r[30];
	const struct nic_frame one = { .nr_ranges = 30, .ranges = r };
	struct nic_frame frame[FAKE_DEPTH];
	struct fake_wqe w;
	unsigned int took;

	(void)state;
	pieces(r, 30);
	for (unsigned int i = 0; i < FAKE_DEPTH; i++)
		frame[i] = one;
	took = queue_tx(&f->q, frame, FAKE_DEPTH);
	assert_int_equal(took, sizeof(f->sq) / 512);
	assert_int_equal(queue_tx(&f->q, frame, 1), 0);
	for (unsigned int i = 0; i < took; i++)
		assert_true(fake_take_tx(f, &w));
	assert_false(w.no_cqe);
	fake_complete_tx(f, 32, w.at);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, took);
	assert_int_equal(queue_tx(&f->q, frame, 1), 1);
}

static void full_slots_take_no_more(void **state)
{
	const struct gpa_range r = { FAKE_GPA, 60 };
	const struct nic_frame frame = { .nr_ranges = 1, .ranges = &r };

	(void)state;
	send_batch(FAKE_DEPTH);
	assert_int_equal(queue_tx(&f->q, &frame, 1), 0);
}

static void a_full_bounce_takes_what_fits(void **state)
{
	const struct gpa_range r = { FAKE_BARE, 65535 };
	const struct nic_frame frame = { .nr_ranges = 1, .ranges = &r };
	struct fake_wqe w;

	(void)state;
	for (unsigned int i = 0; i < MANA_TX_BOUNCE / 65536; i++)
		send_one(&frame, &w);
	assert_int_equal(queue_tx(&f->q, &frame, 1), 0);
	assert_int_equal(f->q.tx_bounce.head, MANA_TX_BOUNCE);
	fake_complete_tx(f, 32, w.at);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	send_one(&frame, &w);
}

/* Both CQs were armed from birth, and fired. */
static void first_events(void)
{
	f->events_waiting = 3;
	f->q.watch.fn(&f->q.watch);
}

/* Doorbells as an idle queue leaves them. */
static void an_idle_queue_is_armed_once(void **state)
{
	uint64_t rung;
	struct fake_wqe w;

	(void)state;
	first_events();
	send_batch(1);
	assert_true(fake_take_tx(f, &w));
	rung = f->q.doorbells.rung;
	reactor_inline_drain();
	assert_int_equal(f->q.doorbells.rung - rung, 2);
	assert_true(f->q.tx_cq.armed);
	assert_true(f->q.rx_cq.armed);
	assert_true(fake_doorbell(f, 0x800) >> 63);
	/* Found by polling while armed: no doorbell is needed. */
	fake_complete_tx(f, 32, w.at);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 1);
	assert_int_equal(f->q.doorbells.rung - rung, 2);
	/* Its event comes: nothing is outstanding, so only receiving counts. */
	f->events_waiting = 1;
	f->q.watch.fn(&f->q.watch);
	reactor_inline_drain();
	assert_false(f->q.tx_cq.armed);
	assert_int_equal(f->q.doorbells.rung - rung, 2);
}

/* Of a queue that sleeps, and of which nothing is armed; the last one is at
 * `w->at'. */
static void send_unawaited(unsigned int nr, struct fake_wqe *w)
{
	first_events();
	reactor_inline_drain();
	send_frames(nr, false);
	while (nr--)
		assert_true(fake_take_tx(f, w));
}

/* No doorbell, no event; but no longer than it may take. */
static void what_nobody_waits_for_is_found(void **state)
{
	uint64_t rung;
	struct fake_wqe w;

	(void)state;
	send_unawaited(3, &w);
	rung = f->q.doorbells.rung;
	reactor_inline_drain();
	assert_false(f->q.tx_cq.armed);
	fake_complete_tx(f, 32, w.at);
	reactor_inline_advance(LATE_NS - 1);
	assert_int_equal(f->nr_sent, 0);
	reactor_inline_advance(1);
	assert_int_equal(f->nr_sent, 3);
	assert_int_equal(f->q.doorbells.rung, rung);
	/* Nothing is left to be looked for. */
	assert_false(f->q.late.armed);
	assert_false(f->q.tx_soon);
}

/* Others of the client's wait for its end. */
static void what_leaves_no_room_has_an_event(void **state)
{
	struct gpa_range r[30];
	const struct nic_frame one = { .nr_ranges = 30, .ranges = r,
				       .late_ns = LATE_NS };
	struct nic_frame frame[FAKE_DEPTH];

	(void)state;
	first_events();
	pieces(r, 30);
	for (unsigned int i = 0; i < FAKE_DEPTH; i++)
		frame[i] = one;
	assert_in_range(queue_tx(&f->q, frame, FAKE_DEPTH), 1, FAKE_DEPTH - 1);
	reactor_inline_drain();
	assert_true(f->q.tx_cq.armed);
	assert_false(f->q.late.armed);
}

static void what_is_late_has_an_event(void **state)
{
	uint64_t rung;
	struct fake_wqe w;

	(void)state;
	send_unawaited(1, &w);
	reactor_inline_drain();
	rung = f->q.doorbells.rung;
	reactor_inline_advance(LATE_NS);
	assert_int_equal(f->q.doorbells.rung - rung, 1);
	assert_true(f->q.tx_cq.armed);
	assert_false(f->q.late.armed);
	fake_complete_tx(f, 32, w.at);
	f->events_waiting = 1;
	f->q.watch.fn(&f->q.watch);
	reactor_inline_drain();
	assert_int_equal(f->nr_sent, 1);
	/* The next one has none again. */
	send_frames(1, false);
	assert_true(fake_take_tx(f, &w));
	reactor_inline_drain();
	assert_false(f->q.tx_cq.armed);
	/* The end comes before it. */
	assert_true(f->q.late.armed);
	queue_detach(&f->q);
	assert_false(f->q.late.armed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_frame_goes_as_it_lies),
		TEST(offloads_for_version_6_and_udp),
		TEST(a_batch_rings_once_and_completes_once),
		TEST(no_more_than_sixteen_are_silent),
		TEST(lso_cuts_a_long_first_range),
		TEST(lso_header_of_its_own_range_is_not_cut),
		TEST(lso_header_over_ranges_is_copied),
		TEST(thirty_pieces_go_as_they_lie),
		TEST(more_pieces_end_in_a_copy),
		TEST(neighbours_become_one_piece),
		TEST(empty_ranges_are_passed_over),
		TEST(memory_without_a_key_is_copied),
		TEST(what_can_not_be_sent_is_answered_in_its_turn),
		TEST(a_bad_frame_alone_is_answered_without_the_device),
		TEST(headers_of_255_bytes_are_the_longest),
		TEST(an_error_fails_its_frame_only),
		TEST(a_completion_too_few_breaks_the_queue),
		TEST(a_completion_too_many_breaks_the_queue),
		TEST(an_error_of_nowhere_fails_no_frame),
		TEST(a_device_that_names_no_entries_is_not_believed),
		TEST(a_dead_send_queue_breaks_the_queue_once),
		TEST(completions_that_can_not_be_break_the_queue),
		TEST(a_full_ring_takes_what_fits),
		TEST(full_slots_take_no_more),
		TEST(a_full_bounce_takes_what_fits),
		TEST(an_idle_queue_is_armed_once),
		TEST(what_nobody_waits_for_is_found),
		TEST(what_is_late_has_an_event),
		TEST(what_leaves_no_room_has_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
