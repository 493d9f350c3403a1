/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/passthrough.c nvme/ring_disk.c nvme/transfer.c nvme/reservation.c nvme/self_test.c nvme/command.c nvme/status.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c */
/* The way of requests: data, waiting, retries; and the self-test. */

#include "nvme_ring_unit.h"

static void data_go_straight_to_the_guests_pages(void **state)
{
	struct ask *a = ask_data(DISK_READ, 0x123456, 0x1200, 4096);

	(void)state;
	submit(a);
	assert_int_equal(reactor.nr, 1);
	assert_int_equal(opcode(0), 2);
	assert_int_equal(lba(0), 0x123456);
	assert_ptr_equal(data(0), low + 0x1200);
	assert_true(fixed(0));
	assert_int_equal(memory.holds, 1);
	complete(0, 0);
	assert_int_equal(queue->counters.direct_bytes, 4096);
	assert_int_equal(queue->counters.copied_bytes, 0);
	expect(a, DISK_OK);
}

static void many_pieces_go_as_a_list(void **state)
{
	struct ask *a = ask(DISK_WRITE, 7, 33 * 8 - 16);
	struct iovec *iov;

	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		a->range[i] = (struct gpa_range){ HIGH + i * 8192, 4096 };
	a->range[0] = (struct gpa_range){ HIGH + 2048, 2048 };
	a->range[31].len = 2048;
	a->req.blocks = 31 * 8;
	a->req.nr_ranges = 32;
	a->req.flags = DISK_FUA;
	submit(a);
	assert_true(fixed(0));
	assert_int_equal(raw(0, 40, 2), 1);
	assert_int_equal(field(0, 36, 4), 32);
	assert_true(field(0, 48, 4) & 1u << 30);
	iov = (struct iovec *)data(0);
	assert_ptr_equal(iov[0].iov_base, high + 2048);
	assert_ptr_equal(iov[31].iov_base, high + 31 * 8192);
	assert_int_equal(iov[31].iov_len, 2048);
	assert_int_equal(memory.holds, 32);
	complete(0, 0);
	expect(a, DISK_OK);
}

static void what_is_not_registered_is_copied(void **state)
{
	struct ask *w = ask_data(DISK_WRITE, 1, 0x3000, 1024);
	struct ask *r = ask_data(DISK_READ, 2, 0x5000, 1024);

	(void)state;
	reactor.registered = false;
	memset(low + 0x3000, 'w', 1024);
	submit(w);
	submit(r);
	assert_false(fixed(0) || fixed(1));
	assert_ptr_not_equal(data(0), low + 0x3000);
	assert_int_equal(data(0)[1023], 'w');
	memset(data(1), 'r', 1024);
	assert_int_equal(memory.holds, 0);
	complete(0, 0);
	complete(1, 0);
	assert_int_equal(low[0x4fff], 0);
	assert_int_equal(low[0x5000], 'r');
	assert_int_equal(low[0x53ff], 'r');
	assert_int_equal(low[0x5400], 0);
	assert_int_equal(queue->counters.copied_bytes, 2048);
	expect(w, DISK_OK);
	expect(r, DISK_OK);
}

/* One command names one registered buffer. */
static void pieces_in_two_ranges_of_ram_are_copied(void **state)
{
	struct ask *a = ask(DISK_READ, 3, 16);

	(void)state;
	a->range[0] = (struct gpa_range){ RAM - 4096, 4096 };
	a->range[1] = (struct gpa_range){ HIGH, 4096 };
	a->req.nr_ranges = 2;
	submit(a);
	assert_false(fixed(0));
	memset(data(0), 1, 4096);
	memset(data(0) + 4096, 2, 4096);
	complete(0, 0);
	assert_int_equal(low[RAM - 1], 1);
	assert_int_equal(high[0], 2);
	expect(a, DISK_OK);
}

static void memory_of_ours_is_used_as_it_is(void **state)
{
	static uint8_t buffer[512];
	struct ask *a = ask(DISK_READ, 3, 1);

	(void)state;
	a->req.buffer = buffer;
	submit(a);
	assert_ptr_equal(data(0), buffer);
	assert_false(fixed(0));
	complete(0, 0);
	assert_int_equal(queue->counters.copied_bytes, 0);
	expect(a, DISK_OK);
}

static void requests_that_break_a_rule(void **state)
{
	struct ask *a;

	(void)state;
	a = ask_data(DISK_READ, ns.ring.info.blocks, 0, 512);
	submit(a);
	expect(a, DISK_OUT_OF_RANGE);
	a = ask_data(DISK_READ, UINT64_MAX, 0, 1024);
	submit(a);
	expect(a, DISK_OUT_OF_RANGE);
	a = ask_data(DISK_READ, 0, 0, 131072 + 512);
	submit(a);
	expect(a, DISK_INVALID);
	a = ask_data(DISK_READ, 0, 0, 512);
	a->range[0].len = 1024; /* more than the blocks */
	submit(a);
	expect(a, DISK_INVALID);
	a = ask_data(DISK_READ, 0, 2, 512);
	submit(a);
	expect(a, DISK_INVALID);
	a = ask(DISK_READ, 0, 16); /* a ragged end in the middle */
	a->range[0] = (struct gpa_range){ 0, 2048 };
	a->range[1] = (struct gpa_range){ 8192, 6144 };
	a->req.nr_ranges = 2;
	submit(a);
	expect(a, DISK_INVALID);
	a = ask(DISK_READ, 0, 1); /* data nowhere */
	submit(a);
	expect(a, DISK_INVALID);
	a = ask(99, 0, 1);
	submit(a);
	expect(a, DISK_INVALID);
	assert_int_equal(queue->counters.invalid, 6);
	/* Memory that is none is only seen when it is used. */
	a = ask_data(DISK_WRITE, 0, RAM, 512);
	submit(a);
	expect(a, DISK_INVALID);
	ns.ring.info.read_only = true;
	a = ask_data(DISK_WRITE, 0, 0, 512);
	submit(a);
	expect(a, DISK_READ_ONLY);
	ns.ring.info.discard_granularity = 0;
	ns.ring.info.read_only = false;
	a = ask(DISK_DISCARD, 0, 1);
	submit(a);
	expect(a, DISK_UNSUPPORTED);
	assert_int_equal(reactor.nr, 0);
}

static void flush_and_nothing_to_flush(void **state)
{
	struct ask *a = ask(DISK_FLUSH, 0, 0);

	(void)state;
	submit(a);
	assert_int_equal(opcode(0), 0);
	complete(0, 0);
	expect(a, DISK_OK);
	ns.ring.info.write_cache = false;
	a = ask(DISK_FLUSH, 0, 0);
	submit(a);
	assert_int_equal(reactor.nr, 1);
	expect(a, DISK_OK);
}

static void long_discards_go_in_parts(void **state)
{
	struct ask *a = ask(DISK_DISCARD, 50, 2500);
	static const uint32_t lbas[] = { 50, 1050, 2050 };
	static const uint32_t lens[] = { 1000, 1000, 500 };

	(void)state;
	submit(a);
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t range[4];

		assert_int_equal(reactor.nr, i + 1);
		assert_int_equal(opcode(i), 9);
		memcpy(range, data(i), sizeof(range));
		assert_int_equal(range[1], lens[i]);
		assert_int_equal(range[2], lbas[i]);
		assert_int_equal(a->status, -1);
		complete(i, 0);
	}
	assert_int_equal(reactor.nr, 3);
	expect(a, DISK_OK);
	a = ask(DISK_WRITE_ZEROES, 5, 257);
	submit(a);
	assert_int_equal(field(3, 48, 4), 255);
	complete(3, 0);
	assert_int_equal(lba(4), 261);
	assert_int_equal(field(4, 48, 4), 0);
	complete(4, 0x4080); /* a part that fails ends it */
	expect(a, DISK_OUT_OF_RANGE);
}

static void a_reset_is_waited_for(void **state)
{
	struct ask *a = ask_data(DISK_WRITE, 9, 0, 512);

	(void)state;
	submit(a);
	for (unsigned int i = 0; i < 10; i++) {
		complete(i, -EINTR);
		assert_int_equal(reactor.nr, i + 1);
		pass_time(99 * MS);
		assert_int_equal(reactor.nr, i + 1);
		pass_time(1 * MS);
		assert_int_equal(reactor.nr, i + 2);
		assert_int_equal(lba(i + 1), 9);
		assert_ptr_equal(data(i + 1), low);
	}
	complete(10, 0);
	assert_int_equal(queue->counters.resets, 10);
	assert_int_equal(queue->counters.retries, 10);
	expect(a, DISK_OK);
}

static void but_not_for_ever(void **state)
{
	struct ask *a = ask_data(DISK_READ, 9, 0, 512);

	(void)state;
	submit(a);
	complete(0, -EINTR);
	pass_time(30000 * MS);
	complete(1, -EINTR); /* the kernel's own time-out, twice */
	pass_time(30000 * MS);
	complete(2, -EINTR);
	expect(a, DISK_TIMEOUT);
}

static void passing_errors_are_retried_five_times(void **state)
{
	struct ask *a = ask_data(DISK_READ, 9, 0, 512);

	(void)state;
	ns.crdt[0] = 3;
	submit(a);
	for (unsigned int i = 0; i < 5; i++) {
		complete(i, 0x0882); /* Namespace Not Ready, CRD 1 */
		pass_time(299 * MS);
		assert_int_equal(reactor.nr, i + 1);
		pass_time(1 * MS);
	}
	complete(5, 0x0882);
	expect(a, DISK_NOT_READY);
	assert_int_equal(reactor.nr, 6);
	assert_int_equal(queue->counters.errors, 1);
}

static void refused_memory_is_copied(void **state)
{
	struct ask *a = ask_data(DISK_READ, 9, 0x2000, 512);

	(void)state;
	submit(a);
	assert_true(fixed(0));
	complete(0, -EFAULT);
	assert_int_equal(memory.holds, 0);
	pass_time(1 * MS);
	assert_false(fixed(1));
	memset(data(1), 'c', 512);
	complete(1, 0);
	assert_int_equal(low[0x2000], 'c');
	expect(a, DISK_OK);
	a = ask_data(DISK_READ, 9, 0x2000, 512);
	submit(a);
	complete(2, -EFAULT);
	pass_time(1 * MS);
	complete(3, -EFAULT);
	expect(a, DISK_INVALID);
}

static void a_disk_that_is_gone_answers_at_once(void **state)
{
	struct ask *a = ask_data(DISK_READ, 9, 0, 512);
	struct ask *b = ask_data(DISK_READ, 10, 0, 512);

	(void)state;
	submit(a);
	submit(b);
	complete(1, -EINTR);
	complete(0, -ENODEV);
	expect(a, DISK_GONE);
	pass_time(100 * MS); /* b is not sent again */
	expect(b, DISK_GONE);
	a = ask_data(DISK_READ, 9, 0, 512);
	submit(a);
	expect(a, DISK_GONE);
	assert_int_equal(reactor.nr, 2);
	assert_int_equal(looks, 1); /* whoever owns the disk will hear of it */
}

static void another_size(void **state)
{
	struct ask *a = ask_data(DISK_READ, 0x10000000, 0, 512);

	(void)state;
	submit(a);
	expect(a, DISK_OUT_OF_RANGE);
	ns.ring.blocks++;
	a = ask_data(DISK_READ, 0x10000000, 0, 512);
	submit(a);
	complete(0, 0);
	expect(a, DISK_OK);
}

/* Four buffers: the rest waits, in order, and goes on by itself. */
static void requests_wait_for_buffers(void **state)
{
	struct ask *a[6];

	(void)state;
	reactor.registered = false;
	for (unsigned int i = 0; i < 6; i++) {
		a[i] = ask_data(DISK_READ, i, 0x1000 * i, 512);
		submit(a[i]);
	}
	assert_int_equal(reactor.nr, 4);
	complete(2, 0);
	assert_int_equal(reactor.nr, 5);
	assert_int_equal(lba(4), 4);
	complete(0, 0);
	assert_int_equal(lba(5), 5);
	complete(1, 0);
	for (unsigned int i = 3; i < 6; i++)
		complete(i, 0);
	pass_time(1 * MS);
	for (unsigned int i = 0; i < 6; i++)
		expect(a[i], DISK_OK);
}

static void a_full_ring_is_tried_again(void **state)
{
	struct ask *a = ask_data(DISK_READ, 9, 0, 512);
	struct ask *b = ask_data(DISK_READ, 10, 0, 512);

	(void)state;
	reactor.refuse = 3; /* send, wait_turn and the pump of b */
	submit(a);
	submit(b);
	assert_int_equal(reactor.nr, 0);
	pass_time(1 * MS);
	assert_int_equal(reactor.nr, 2);
	assert_int_equal(lba(0), 9);
	assert_int_equal(lba(1), 10);
	complete(0, 0);
	complete(1, 0);
	expect(a, DISK_OK);
	expect(b, DISK_OK);
}

/* Self-test. */

static int verdict;
static enum disk_status tested_status;

static void tested(void *arg, enum disk_status status, bool zero_copy)
{
	assert_ptr_equal(arg, &verdict);
	tested_status = status;
	verdict = zero_copy;
}

static bool page_is_zero(void)
{
	for (int i = 0; i < 4096; i++)
		if (low[0x7000 + i])
			return false;
	return true;
}

static void start_self_test(void)
{
	verdict = -1;
	memset(low + 0x7000, 0, 4096);
	assert_int_equal(disk_self_test(queue, 0x7000, tested, &verdict), 0);
	assert_false(fixed(0)); /* the first read is into our own memory */
	for (int i = 0; i < 512; i++)
		data(0)[i] = (uint8_t)(i * 7);
	assert_true(page_is_zero());
	complete(0, 0);
	assert_int_equal(verdict, -1);
}

/* The page is the guest's RAM, and it may run: what the disk holds is not left
 * there, however the test ends. */
static void the_self_test_leaves_nothing(void **state)
{
	(void)state;
	/* Good; data that differ; lost at the second read; lost before. */
	for (unsigned int way = 0; way < 4; way++) {
		unsigned int nr = reactor.nr;

		verdict = -1;
		memset(low + 0x7000, 0x55, 512);
		assert_int_equal(disk_self_test(queue, 0x7000, tested,
						&verdict), 0);
		if (way < 3) {
			memset(data(nr), 0xaa, 512);
			complete(nr, 0);
			/* Nor does it tell what the disk holds. */
			for (int i = 0; i < 512; i++)
				assert_true(low[0x7000 + i] != 0xaa &&
					    low[0x7000 + i] != 0x55);
			memset(low + 0x7000, way == 1 ? 0xab : 0xaa, 512);
			complete(nr + 1, way == 2 ? -ENODEV : 0);
		}
		run_calls();
		assert_int_equal(verdict, way == 0);
		assert_true(page_is_zero());
		ns.ring.copy_all = false;
	}
}

static void the_self_test_sees_good_memory(void **state)
{
	(void)state;
	start_self_test();
	assert_true(fixed(1));
	assert_ptr_equal(data(1), low + 0x7000);
	for (int i = 0; i < 512; i++) {
		assert_int_not_equal(data(1)[i], (uint8_t)(i * 7));
		data(1)[i] = (uint8_t)(i * 7);
	}
	complete(1, 0);
	assert_int_equal(verdict, true);
	assert_int_equal(tested_status, DISK_OK);
	assert_false(ns.ring.copy_all);
}

static void the_self_test_sees_lost_data(void **state)
{
	struct ask *a;

	(void)state;
	start_self_test();
	for (int i = 0; i < 511; i++) /* all but one byte arrive */
		data(1)[i] = (uint8_t)(i * 7);
	complete(1, 0);
	assert_int_equal(verdict, false);
	assert_int_equal(tested_status, DISK_OK);
	assert_true(ns.ring.copy_all);
	a = ask_data(DISK_READ, 9, 0, 512);
	submit(a);
	assert_false(fixed(2));
	complete(2, 0);
	expect(a, DISK_OK);
}

static void the_self_test_sees_refusal(void **state)
{
	(void)state;
	start_self_test();
	complete(1, -EEXIST); /* then it is copied, which is no success here */
	pass_time(1 * MS);
	for (int i = 0; i < 512; i++)
		data(2)[i] = (uint8_t)(i * 7);
	complete(2, 0);
	assert_int_equal(verdict, false);
	assert_true(ns.ring.copy_all);
	assert_int_equal(disk_self_test(queue, 0x7001, tested, NULL), -EINVAL);
	assert_int_equal(disk_self_test(queue, RAM, tested, NULL), -EINVAL);
}

/* Before the first read or before the second. */
static void the_self_test_sees_no_disk(void **state)
{
	(void)state;
	start_self_test();
	complete(1, -ENODEV);
	assert_int_equal(verdict, false);
	assert_int_equal(tested_status, DISK_GONE);
	assert_true(ns.ring.gone);
	tested_status = DISK_OK;
	assert_int_equal(disk_self_test(queue, 0x7000, tested, &verdict), 0);
	run_calls();
	assert_int_equal(tested_status, DISK_GONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_go_straight_to_the_guests_pages),
		TEST(many_pieces_go_as_a_list),
		TEST(what_is_not_registered_is_copied),
		TEST(pieces_in_two_ranges_of_ram_are_copied),
		TEST(memory_of_ours_is_used_as_it_is),
		TEST(requests_that_break_a_rule),
		TEST(flush_and_nothing_to_flush),
		TEST(long_discards_go_in_parts),
		TEST(a_reset_is_waited_for),
		TEST(but_not_for_ever),
		TEST(passing_errors_are_retried_five_times),
		TEST(refused_memory_is_copied),
		TEST(a_disk_that_is_gone_answers_at_once),
		TEST(another_size),
		TEST(requests_wait_for_buffers),
		TEST(a_full_ring_is_tried_again),
		TEST(the_self_test_sees_good_memory),
		TEST(the_self_test_sees_lost_data),
		TEST(the_self_test_sees_refusal),
		TEST(the_self_test_sees_no_disk),
		TEST(the_self_test_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
