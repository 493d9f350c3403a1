/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/passthrough.c nvme/ring_disk.c nvme/transfer.c nvme/reservation.c nvme/self_test.c nvme/command.c nvme/status.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c */
/* Requests as NVM commands: those beyond reading and writing. */

#include "nvme_ring_unit.h"

static void a_compare_sends_data_and_may_differ(void **state)
{
	struct ask *a = ask_data(DISK_COMPARE, 9, 0x2000, 1024);

	(void)state;
	submit(a);
	assert_int_equal(opcode(0), 5);
	assert_int_equal(field(0, 48, 4), 1);
	assert_ptr_equal(data(0), low + 0x2000);
	assert_true(fixed(0));
	complete(0, 0x4285);
	expect(a, DISK_MISCOMPARE);
	/* Copied data are the guest's, too, and stay as they are. */
	reactor.registered = false;
	memset(low + 0x2000, 'c', 1024);
	a = ask_data(DISK_COMPARE, 9, 0x2000, 1024);
	submit(a);
	assert_int_equal(data(1)[1023], 'c');
	memset(data(1), 'x', 1024);
	complete(1, 0);
	assert_int_equal(low[0x2000], 'c');
	expect(a, DISK_OK);
	ns.ring.info.compare = false;
	a = ask_data(DISK_COMPARE, 9, 0x2000, 1024);
	submit(a);
	expect(a, DISK_UNSUPPORTED);
	assert_int_equal(queue->counters.requests[DISK_COMPARE], 3);
}

static void a_long_verify_goes_in_parts(void **state)
{
	struct ask *a = ask(DISK_VERIFY, 1000, 250);

	(void)state;
	ns.ring.info.read_only = true; /* it changes nothing */
	submit(a);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(opcode(i), 0x0c);
		assert_int_equal(lba(i), 1000 + 100 * i);
		assert_int_equal(field(i, 48, 4), i < 2 ? 99 : 49);
		complete(i, 0);
	}
	expect(a, DISK_OK);
	a = ask(DISK_VERIFY, 1000, 1);
	submit(a);
	complete(3, 0x4281);
	expect(a, DISK_MEDIUM_READ);
}

static void zeroes_may_unmap(void **state)
{
	struct ask *a = ask(DISK_WRITE_ZEROES, 5, 2);

	(void)state;
	a->req.flags = DISK_UNMAP;
	submit(a);
	assert_int_equal(field(0, 48, 4), 1 | 1u << 25);
	complete(0, 0);
	expect(a, DISK_OK);
	a = ask(DISK_WRITE_ZEROES, 5, 2);
	submit(a);
	assert_int_equal(field(1, 48, 4), 1);
	complete(1, 0);
	expect(a, DISK_OK);
	ns.ring.info.write_zeroes_unmap = false;
	a = ask(DISK_WRITE_ZEROES, 5, 2);
	a->req.flags = DISK_UNMAP;
	submit(a);
	expect(a, DISK_INVALID);
	a = ask_data(DISK_READ, 5, 0, 512);
	a->req.flags = DISK_FUA;
	submit(a);
	expect(a, DISK_INVALID);
}

static struct ask *ask_reservation(struct disk_reservation *r)
{
	struct ask *a = ask(DISK_RESERVATION, 0, 0);

	a->req.reservation = r;
	return a;
}

static void reservations_are_sent(void **state)
{
	struct disk_reservation r = { .action = DISK_PREEMPT,
				      .type = DISK_WRITE_EXCLUSIVE_ALL,
				      .key = 0x1122334455667788,
				      .new_key = 0x99 };
	static const uint8_t keys[16] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
					  0x22, 0x11, 0x99 };
	struct ask *a = ask_reservation(&r);

	(void)state;
	submit(a);
	assert_int_equal(opcode(0), 0x11);
	assert_int_equal(field(0, 40, 4), 5 << 8 | 1);
	assert_int_equal(field(0, 36, 4), 16);
	assert_memory_equal(data(0), keys, 16);
	complete(0, 0x4083);
	expect(a, DISK_CONFLICT);
	assert_int_equal(queue->counters.errors, 1);
	r.type = DISK_RESERVED_NONE;
	a = ask_reservation(&r);
	submit(a);
	expect(a, DISK_INVALID);
	a = ask_reservation(NULL);
	submit(a);
	expect(a, DISK_INVALID);
	ns.ring.info.reservation_types = 0;
	a = ask_reservation(&r);
	submit(a);
	expect(a, DISK_UNSUPPORTED);
	assert_int_equal(reactor.nr, 1);
}

/* Whether the device did it is not known: the caller has to look. */
static void no_reservation_is_made_twice(void **state)
{
	struct disk_reservation r = { .action = DISK_REGISTER, .new_key = 7 };
	static const struct {
		int32_t res;
		enum disk_status status;
	} uncertain[] = {
		{ -EINTR, DISK_TIMEOUT }, { -EIO, DISK_FAILED },
		{ 0x0007, DISK_ABORTED }, { 0x0021, DISK_ABORTED },
		{ 0x0371, DISK_FAILED }, { 0x0006, DISK_FAILED },
	};
	unsigned int n = 0;
	struct ask *a;

	(void)state;
	for (unsigned int i = 0; i < sizeof(uncertain) / sizeof(uncertain[0]);
	     i++) {
		a = ask_reservation(&r);
		submit(a);
		complete(n++, uncertain[i].res);
		pass_time(1000 * MS);
		assert_int_equal(reactor.nr, n);
		expect(a, uncertain[i].status);
	}
	/* The kernel did not send it, the device was not ready for it. */
	a = ask_reservation(&r);
	submit(a);
	complete(n++, -EAGAIN);
	pass_time(1000 * MS);
	complete(n++, 0x0082);
	pass_time(1000 * MS);
	complete(n, 0);
	expect(a, DISK_OK);
	/* A report may be asked for as often as one likes. */
	r.action = DISK_REPORT;
	a = ask_reservation(&r);
	submit(a);
	complete(++n, -EINTR);
	pass_time(1000 * MS);
	memset(data(n + 1), 0, 4096);
	complete(++n, 0);
	expect(a, DISK_OK);
}

static void a_report_is_read(void **state)
{
	struct disk_reservation r = { .action = DISK_REPORT };
	struct ask *a = ask_reservation(&r);

	(void)state;
	submit(a);
	assert_int_equal(opcode(0), 0x0e);
	assert_int_equal(field(0, 40, 4), 2112 / 4 - 1);
	assert_int_equal(field(0, 44, 4), 1);
	assert_int_equal(field(0, 36, 4), 2112);
	memset(data(0), 0, 4096);
	data(0)[0] = 3;		     /* GEN */
	data(0)[4] = 1;		     /* RTYPE */
	data(0)[5] = 2;		     /* REGCTL */
	data(0)[9] = 1;		     /* PTPLS */
	data(0)[64 + 8] = 0x10;	     /* RKEY of the first */
	data(0)[128 + 2] = 1;	     /* RCSTS */
	data(0)[128 + 8] = 0x20;
	memset(data(0) + 128 + 16, 0x48, 16); /* HOSTID: ours */
	complete(0, 0);
	expect(a, DISK_OK);
	assert_int_equal(r.generation, 3);
	assert_int_equal(r.type, DISK_WRITE_EXCLUSIVE);
	assert_true(r.persists);
	assert_int_equal(r.nr_registrants, 2);
	assert_int_equal(r.registrant[0].key, 0x10);
	assert_false(r.registrant[0].self || r.registrant[0].holder);
	assert_int_equal(r.registrant[1].key, 0x20);
	assert_true(r.registrant[1].self && r.registrant[1].holder);
	assert_int_equal(queue->counters.copied_bytes, 0);
}

/* The controller forgot who we are: our own reservation shuts us out. */
static void conflicts_after_a_reset_pass(void **state)
{
	struct ask *a = ask_data(DISK_WRITE, 9, 0, 512);

	(void)state;
	events_run = true;
	submit(a);
	complete(0, -EINTR);
	assert_true(ns.host_id_lost);
	/* This may be told late: after host_id.c is through with it. */
	assert_int_equal(looks, 1);
	pass_time(100 * MS);
	complete(1, 0x4083);
	pass_time(20 * MS);
	complete(2, 0x4083);
	pass_time(20 * MS);
	ns.host_id_lost = false; /* as host_id.c does */
	complete(3, 0x4083);
	expect(a, DISK_CONFLICT);
	/* Of many commands one is enough. */
	for (unsigned int n = 4; n < 8; n += 2) {
		a = ask_data(DISK_WRITE, 9, 0, 512);
		submit(a);
		complete(n, -EINTR);
		assert_int_equal(looks, 2);
		pass_time(100 * MS);
		complete(n + 1, 0);
		expect(a, DISK_OK);
	}
	ns.host_id_lost = false;
	/* Nobody would tell it again. */
	events_run = false;
	a = ask_data(DISK_WRITE, 9, 0, 512);
	submit(a);
	complete(8, -EINTR);
	pass_time(100 * MS);
	complete(9, 0x4083);
	expect(a, DISK_CONFLICT);
	assert_int_equal(looks, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_compare_sends_data_and_may_differ),
		TEST(a_long_verify_goes_in_parts),
		TEST(zeroes_may_unmap),
		TEST(reservations_are_sent),
		TEST(no_reservation_is_made_twice),
		TEST(a_report_is_read),
		TEST(conflicts_after_a_reset_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
