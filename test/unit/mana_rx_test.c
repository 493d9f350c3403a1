/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/tx.c mana/rx.c mana/poll.c mana/queue.c test/unit/mana_fake.c test/unit/reactor_inline.c paravisor/guest_memory.c paravisor/log.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

static void post(uint64_t gpa, unsigned int nr, uint32_t first_id)
{
	struct gpa_range r[FAKE_DEPTH];
	struct nic_buffer b[FAKE_DEPTH];

	for (unsigned int i = 0; i < nr; i++) {
		r[i] = (struct gpa_range){ gpa + i * 2048 + 128, 1884 };
		b[i] = (struct nic_buffer){ first_id + i, 1, &r[i] };
	}
	queue_rx_post(&f->q, b, nr);
}

static void complete(unsigned int type, uint32_t flags, uint32_t a, uint32_t b,
		     uint32_t c, uint32_t d)
{
	const uint32_t len[4] = { a, b, c, d };

	fake_complete_rx(f, type, flags, len, 0x1000);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
}

static void buffers_go_as_they_lie_by_one_doorbell(void **state)
{
	struct fake_wqe w;

	(void)state;
	post(FAKE_GPA, 4, 10);
	assert_int_equal(f->q.doorbells.rung, 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(fake_take_rx(f, &w));
		assert_int_equal(w.nr, 1);
		assert_int_equal(w.sge[0].address, FAKE_GPA + i * 2048 + 128);
		assert_int_equal(w.sge[0].size, 1884);
		assert_int_equal(w.sge[0].key, FAKE_KEY);
	}
	assert_false(fake_take_rx(f, &w));
	assert_int_equal(fake_doorbell(f, 0x400) & 0xffffffff, FAKE_RQ);
}

static void frames_come_in_the_order_of_buffers(void **state)
{
	(void)state;
	post(FAKE_GPA, 4, 10);
	complete(1, 0x22040000, 1000, 0, 0, 0);
	assert_int_equal(f->nr_received, 1);
	assert_int_equal(f->received[0].id, 10);
	assert_int_equal(f->received[0].len, 1000);
	assert_int_equal(f->received[0].good,
			 NIC_IP4_CHECKSUM | NIC_UDP4_CHECKSUM | NIC_HASH);
	assert_int_equal(f->received[0].bad, 0);
	assert_int_equal(f->received[0].hash, 0x1000);
	complete(1, 0, 60, 77, 77, 77); /* one frame, whatever stands behind */
	assert_int_equal(f->nr_received, 2);
	assert_int_equal(f->received[1].id, 11);
	assert_int_equal(f->received[1].good, 0);
	assert_int_equal(f->q.stats.rx_frames, 2);
	assert_int_equal(f->q.stats.rx_bytes, 1060);
}

static void what_the_device_says_of_a_frame(void **state)
{
	static const struct {
		uint32_t flags;
		uint16_t good, bad, vlan;
	} cases[] = {
		{ 1u << 26 | 1u << 28 | 2u << 16, NIC_HASH,
		  NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM, 0 },
		{ 1u << 25 | 1u << 27, NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM, 0,
		  0 },
		{ 1u << 27 | 1u << 20, NIC_TCP6_CHECKSUM | NIC_HASH, 0, 0 },
		{ 1u << 30 | 1u << 21, NIC_HASH, NIC_UDP6_CHECKSUM, 0 },
		{ 1u << 12 | 0xabc, NIC_VLAN, 0, 0xabc },
		{ 0xabc, 0, 0, 0 },
		/* A device that says both is not believed. */
		{ 0x3fu << 25 | 2u << 16, NIC_HASH, NIC_IP4_CHECKSUM |
		  NIC_TCP4_CHECKSUM | NIC_UDP4_CHECKSUM, 0 },
	};
	unsigned int nr = sizeof(cases) / sizeof(cases[0]);

	(void)state;
	post(FAKE_GPA, nr, 0);
	for (unsigned int i = 0; i < nr; i++) {
		complete(1, cases[i].flags, 100, 0, 0, 0);
		assert_int_equal(f->nr_received, i + 1);
		assert_int_equal(f->received[i].good, cases[i].good);
		assert_int_equal(f->received[i].bad, cases[i].bad);
		assert_int_equal(f->received[i].vlan, cases[i].vlan);
	}
}

/* An event that is lost: the frame is late, and the queue goes on. */
static void what_came_without_an_event_is_found(void **state)
{
	const uint32_t len[4] = { 100 };
	uint64_t arms;

	(void)state;
	post(FAKE_GPA, 4, 0);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	arms = f->q.arms;
	fake_complete_rx(f, 1, 0, len, 0);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 0); /* it sleeps */
	queue_look(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 1);
	assert_int_equal(f->q.found_late, 1);
	/* It sleeps again, and the device knows that it does. */
	assert_int_equal(f->q.arms, arms + 1);
	assert_true(f->q.rx_cq.armed);
	queue_look(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->q.found_late, 1);
	fake_complete_rx(f, 1, 0, len, 0);
	queue_event(&f->q, false);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 2);
	/* One that is busy, or broke, is left alone. */
	fake_complete_rx(f, 1, 0, len, 0);
	queue_poll_soon(&f->q);
	queue_look(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 3);
	assert_int_equal(f->q.found_late, 1);
	queue_break(&f->q, "for the test");
	fake_complete_rx(f, 1, 0, len, 0);
	queue_look(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 3);
}

static void up_to_four_frames_in_one_completion(void **state)
{
	(void)state;
	post(FAKE_GPA, 8, 20);
	complete(2, 1u << 20, 100, 200, 300, 0);
	assert_int_equal(f->nr_received, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(f->received[i].id, 20 + i);
		assert_int_equal(f->received[i].len, (i + 1) * 100);
		assert_int_equal(f->received[i].hash, 0x1000 + i);
	}
	complete(2, 0, 1, 2, 3, 4);
	assert_int_equal(f->nr_received, 7);
	assert_int_equal(f->received[6].len, 4);
}

static void truncated_unknown_and_too_long_come_back_empty(void **state)
{
	(void)state;
	post(FAKE_GPA, 4, 0);
	complete(4, 0, 1884, 0, 0, 0);
	complete(13, 0, 100, 0, 0, 0);
	complete(1, 0, 1885, 0, 0, 0);
	complete(1, 0, 0, 0, 0, 0);
	assert_int_equal(f->nr_received, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(f->received[i].id, i);
		assert_int_equal(f->received[i].len, 0);
	}
	assert_int_equal(f->q.stats.rx_dropped, 4);
	assert_int_equal(f->nr_broken, 0);
}

static void a_fence_takes_no_buffer(void **state)
{
	(void)state;
	post(FAKE_GPA, 1, 5);
	complete(3, 0, 0, 0, 0, 0);
	assert_int_equal(f->nr_received, 0);
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->received[0].id, 5);
}

static void a_frame_without_a_buffer_breaks_the_queue(void **state)
{
	(void)state;
	post(FAKE_GPA, 2, 0);
	complete(2, 0, 60, 60, 60, 0);
	assert_int_equal(f->nr_broken, 1);
	assert_int_equal(f->nr_received, 2);
	/* Nothing is looked at any more. */
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->nr_received, 2);
	assert_int_equal(f->nr_broken, 1);
}

static void a_completion_of_another_queue_breaks_the_queue(void **state)
{
	const uint32_t len[4] = { 60 };

	(void)state;
	post(FAKE_GPA, 2, 0);
	fake_complete_rx(f, 1, 0, len, 0);
	f->rx_cq[0].info = cpu_to_le32(le32_to_cpu(f->rx_cq[0].info) | 1 << 24);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_broken, 1);
	assert_int_equal(f->nr_received, 0);
}

static void a_lap_too_many_breaks_the_queue(void **state)
{
	(void)state;
	post(FAKE_GPA, 2, 0);
	f->rx_cq[0].info = cpu_to_le32(5u << 29);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_broken, 1);
}

#define ENTRY 32u /* of a buffer of one range */

/* So many frames, of which each completion names the right entry. */
static void frames_in_place(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		post(FAKE_GPA, 1, i);
		f->rx_place = f->q.rq.tail & (sizeof(f->rq) - 1);
		complete(1, 0, 60, 0, 0, 0);
	}
	f->nr_received = 0;
}

static void a_completion_too_few_breaks_the_queue(void **state)
{
	(void)state;
	frames_in_place(PLACES_SURE);
	post(FAKE_GPA, 4, 0);
	f->rx_place = f->q.rq.tail + ENTRY; /* the first one's is lost */
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->nr_received, 0);
	assert_int_equal(f->nr_broken, 1);
}

static void a_completion_too_many_breaks_the_queue(void **state)
{
	(void)state;
	frames_in_place(1000); /* several laps */
	post(FAKE_GPA, 8, 0);
	f->rx_place = f->q.rq.tail & (sizeof(f->rq) - 1);
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->nr_received, 1);
	complete(1, 0, 60, 0, 0, 0); /* the same once more */
	assert_int_equal(f->nr_received, 1);
	assert_int_equal(f->nr_broken, 1);
}

/* Which of their entries they name may be another matter. */
static void several_frames_at_once_earn_it_for_themselves(void **state)
{
	(void)state;
	frames_in_place(1000);
	for (unsigned int i = 0; i < 100; i++) {
		post(FAKE_GPA, 4, i);
		f->rx_place = f->q.rq.tail + 3 * ENTRY; /* the last */
		complete(2, 0, 60, 60, 60, 60);
	}
	assert_int_equal(f->nr_received, 400);
	assert_int_equal(f->nr_broken, 0);
}

static void places_may_run_on(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		post(FAKE_GPA, 1, i);
		f->rx_place = f->q.rq.tail;
		complete(1, 0, 60, 0, 0, 0);
	}
	assert_int_equal(f->nr_received, 1000);
	assert_true(f->q.rq.tail > sizeof(f->rq));
	assert_int_equal(f->nr_broken, 0);
	post(FAKE_GPA, 1, 0);
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->nr_broken, 1);
}

/* One that counts otherwise, or that begins to when it is not believed yet. */
static void a_device_that_names_no_entries_is_not_believed(void **state)
{
	(void)state;
	frames_in_place(PLACES_SURE - 1);
	post(FAKE_GPA, 1, 0);
	f->rx_place = 1;
	complete(1, 0, 60, 0, 0, 0);
	frames_in_place(1000);
	post(FAKE_GPA, 1, 0);
	f->rx_place = 1;
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->nr_received, 1);
	assert_int_equal(f->nr_broken, 0);
}

static void buffers_of_several_ranges(void **state)
{
	const struct gpa_range r[4] = { { FAKE_GPA + 0x800, 0x800 },
					{ FAKE_GPA + 0x4000, 0x1000 },
					{ FAKE_GPA + 0x3000, 0x1000 },
					{ FAKE_GPA + 0x9000, 0x100 } };
	const struct nic_buffer b = { 3, 4, r };
	struct fake_wqe w;

	(void)state;
	queue_rx_post(&f->q, &b, 1);
	assert_true(fake_take_rx(f, &w));
	assert_int_equal(w.nr, 4);
	assert_int_equal(w.sge[2].address, FAKE_GPA + 0x3000);
	complete(1, 0, 0x2900, 0, 0, 0);
	assert_int_equal(f->received[0].len, 0x2900);
}

static void memory_without_a_key_is_received_by_a_copy(void **state)
{
	const struct gpa_range r[2] = { { FAKE_GPA + 0x100, 100 },
					{ FAKE_BARE + 0x200, 1000 } };
	const struct nic_buffer b = { 3, 2, r };
	struct fake_wqe w;
	uint8_t frame[500];

	(void)state;
	post(FAKE_GPA, 1, 0); /* so that the piece is not the first */
	queue_rx_post(&f->q, &b, 1);
	assert_true(fake_take_rx(f, &w));
	assert_true(fake_take_rx(f, &w));
	assert_int_equal(w.nr, 1);
	assert_int_equal(w.sge[0].key, FAKE_RX_KEY);
	assert_int_equal(w.sge[0].address,
			 (uintptr_t)f->rx_bounce + 2048);
	assert_int_equal(w.sge[0].size, 1100);
	for (unsigned int i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i ^ 0x5a);
	memcpy(f->rx_bounce + 2048, frame, sizeof(frame));
	complete(1, 0, 60, 0, 0, 0);
	complete(1, 0, sizeof(frame), 0, 0, 0);
	assert_int_equal(f->nr_received, 2);
	assert_int_equal(f->received[1].len, sizeof(frame));
	assert_memory_equal(f->ram + 0x100, frame, 100);
	assert_memory_equal(f->bare + 0x200, frame + 100, 400);
	assert_int_equal(f->q.stats.bounced_bytes, sizeof(frame));
}

static void without_a_filter_buffers_go_round(void **state)
{
	struct fake_wqe w;

	(void)state;
	f->filter = 0;
	post(FAKE_GPA, 2, 40);
	while (fake_take_rx(f, &w))
		;
	complete(2, 0, 60, 60, 0, 0);
	assert_int_equal(f->nr_received, 0);
	assert_true(fake_take_rx(f, &w));
	assert_int_equal(w.sge[0].address, FAKE_GPA + 128);
	assert_true(fake_take_rx(f, &w));
	assert_false(fake_take_rx(f, &w));
	f->filter = NIC_DIRECTED;
	complete(1, 0, 60, 0, 0, 0);
	assert_int_equal(f->nr_received, 1);
	assert_int_equal(f->received[0].id, 40);
}

static void a_queue_that_no_hash_leads_to_rings_nothing(void **state)
{
	(void)state;
	f->q.receives = false;
	post(FAKE_GPA, 4, 0);
	reactor_inline_drain();
	assert_int_equal(f->q.doorbells.rung, 0);
	f->events_waiting = 3;
	f->q.watch.fn(&f->q.watch);
	reactor_inline_drain();
	assert_int_equal(f->q.doorbells.rung, 0);
}

/* The client gives buffers back from inside of received(). */
static void repost(struct fake *fake)
{
	(void)fake;
	post(FAKE_GPA + 0x10000, 1, 1000 + f->nr_received);
}

/* The device never heard of the buffers. */
static void a_lost_doorbell_is_rung_again(void **state)
{
	struct fake_wqe w;

	(void)state;
	post(FAKE_GPA, 4, 0);
	memset(f->page, 0, sizeof(f->page));
	assert_false(fake_take_rx(f, &w));
	queue_poll_soon(&f->q); /* until it sleeps */
	reactor_inline_drain();
	assert_false(fake_take_rx(f, &w));
	queue_look(&f->q);
	reactor_inline_drain();
	for (unsigned int i = 0; i < 4; i++)
		assert_true(fake_take_rx(f, &w));
	assert_false(fake_take_rx(f, &w));
	/* Not for ever. */
	for (unsigned int i = 0; i < 100; i++) {
		queue_look(&f->q);
		reactor_inline_drain();
	}
	assert_in_range(f->q.doorbells.rung, 4, 8);
}

/* The device leaves an entry out: what comes behind it would never be seen. */
static void a_hole_in_the_completions_is_seen(void **state)
{
	const uint32_t len[4] = { 100 };

	(void)state;
	post(FAKE_GPA, 4, 0);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	f->rx_tail++;
	fake_complete_rx(f, 1, 0, len, 0);
	queue_look(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_broken, 0); /* it may be on its way */
	f->rx_tail -= 2;
	fake_complete_rx(f, 1, 0, len, 0);
	queue_look(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 2);
	assert_int_equal(f->nr_broken, 0);

	/* Three at once. The device, which has an entry behind them, wakes the
	 * queue each time that it sleeps. */
	f->rx_tail += 4;
	fake_complete_rx(f, 1, 0, len, 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(f->nr_broken, 0);
		queue_poll_soon(&f->q);
		queue_look(&f->q);
		reactor_inline_drain();
	}
	assert_int_equal(f->nr_received, 2);
	assert_int_equal(f->nr_broken, 1);
}

static void one_doorbell_for_what_a_round_gives_back(void **state)
{
	const uint32_t len[4] = { 60 };

	(void)state;
	post(FAKE_GPA, 16, 0);
	f->on_received = repost;
	f->events_waiting = 2;
	f->q.watch.fn(&f->q.watch);
	for (unsigned int i = 0; i < 8; i++)
		fake_complete_rx(f, 1, 0, len, 0);
	reactor_inline_step();
	assert_int_equal(f->nr_received, 8);
	assert_int_equal(f->q.doorbells.rung, 2);
	reactor_inline_drain();
	assert_int_equal(f->q.doorbells.rung, 3); /* armed at the end */
	assert_true(f->q.rx_cq.armed);
}

/* Of 32 that the device has; it hears of the next 4 together. */
static void a_few_buffers_wait_for_more(void **state)
{
	(void)state;
	post(FAKE_GPA, 32, 0);
	assert_int_equal(f->q.doorbells.rung, 1);
	post(FAKE_GPA + 0x20000, 3, 100);
	assert_int_equal(f->q.doorbells.rung, 1);
	post(FAKE_GPA + 0x20000, 1, 103);
	assert_int_equal(f->q.doorbells.rung, 2);
}

/* Buffers that come back one by one, of a device that has two: it never is
 * without one, and the client's last one is told, too. */
/* The device can not have filled what it does not know. */
static void a_buffer_it_was_not_told_of_breaks_the_queue(void **state)
{
	const uint32_t len[4] = { 60, 60, 60, 60 };

	(void)state;
	post(FAKE_GPA, 32, 0);
	post(FAKE_GPA + 0x20000, 3, 100); /* waits for more */
	assert_int_equal(f->q.rx_rung, 32);
	for (unsigned int i = 0; i < 8; i++)
		fake_complete_rx(f, 2, 0, len, 0);
	fake_complete_rx(f, 1, 0, len, 0);
	queue_poll_soon(&f->q);
	reactor_inline_drain();
	assert_int_equal(f->nr_received, 32);
	assert_int_equal(f->nr_broken, 1);
}

static void the_last_buffers_are_told_in_time(void **state)
{
	struct fake_wqe w;

	(void)state;
	post(FAKE_GPA, 2, 0);
	for (unsigned int i = 0; i < 100; i++) {
		assert_true(fake_take_rx(f, &w));
		complete(1, 0, 60, 0, 0, 0);
		post(FAKE_GPA, 1, i & 1);
	}
	assert_int_equal(f->nr_received, 100);
}

/* Everything at once, for many laps: each buffer comes back once, in order. */
static void many_laps_lose_nothing(void **state)
{
	uint32_t next_id = 0, heard = 0, waiting = 0;

	(void)state;
	srand(1);
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int n = (unsigned int)rand() % 5;

		if (waiting + n <= FAKE_DEPTH && n) {
			post(FAKE_GPA, n, next_id);
			next_id += n;
			waiting += n;
		}
		n = (unsigned int)rand() % 5;
		if (n && n <= waiting) {
			const uint32_t len[4] = { 60, n > 1 ? 61 : 0,
						  n > 2 ? 62 : 0,
						  n > 3 ? 63 : 0 };

			fake_complete_rx(f, n == 1 ? 1 : 2, 0, len, 0);
			waiting -= n;
			if (f->q.rx_cq.armed) { /* as the device does */
				f->events_waiting = 2;
				f->q.watch.fn(&f->q.watch);
			}
			if (rand() % 2)
				reactor_inline_drain();
			else
				reactor_inline_step();
		}
		for (unsigned int i = 0; i < f->nr_received; i++)
			assert_int_equal(f->received[i].id, heard++);
		f->nr_received = 0;
	}
	reactor_inline_drain();
	heard += f->nr_received;
	assert_int_equal(heard + waiting, next_id);
	assert_true(next_id > 20 * 8 * FAKE_DEPTH);
	assert_int_equal(f->nr_broken, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(buffers_go_as_they_lie_by_one_doorbell),
		TEST(frames_come_in_the_order_of_buffers),
		TEST(what_the_device_says_of_a_frame),
		TEST(what_came_without_an_event_is_found),
		TEST(up_to_four_frames_in_one_completion),
		TEST(truncated_unknown_and_too_long_come_back_empty),
		TEST(a_fence_takes_no_buffer),
		TEST(a_frame_without_a_buffer_breaks_the_queue),
		TEST(a_completion_of_another_queue_breaks_the_queue),
		TEST(a_lap_too_many_breaks_the_queue),
		TEST(a_completion_too_few_breaks_the_queue),
		TEST(a_completion_too_many_breaks_the_queue),
		TEST(places_may_run_on),
		TEST(several_frames_at_once_earn_it_for_themselves),
		TEST(a_device_that_names_no_entries_is_not_believed),
		TEST(buffers_of_several_ranges),
		TEST(memory_without_a_key_is_received_by_a_copy),
		TEST(without_a_filter_buffers_go_round),
		TEST(a_queue_that_no_hash_leads_to_rings_nothing),
		TEST(a_lost_doorbell_is_rung_again),
		TEST(a_hole_in_the_completions_is_seen),
		TEST(one_doorbell_for_what_a_round_gives_back),
		TEST(a_few_buffers_wait_for_more),
		TEST(a_buffer_it_was_not_told_of_breaks_the_queue),
		TEST(the_last_buffers_are_told_in_time),
		TEST(many_laps_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
