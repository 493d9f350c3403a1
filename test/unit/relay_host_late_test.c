/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/host_bus.c relay/host_bus_post.c relay/host_offer.c relay/host_gpadl.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c */
/*
 * A host that does not answer in time, or at all: what is lost by it, and what
 * it may say later.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "test/unit/reactor_inline.h"
#include "test/unit/host_bus_script.h"

/* Success that comes late is undone, once. What was not asked for, or was
 * answered, is nothing. */
static void say_late(unsigned int question, uint32_t id)
{
	struct vmbus_gpadl_teardown *teardown;
	uint64_t before;

	for (int i = 0; i < 2; i++) {
		say_opened(7, 7, 0);
		if (question == 2 && !i)
			expect(VMBUS_CLOSE_CHANNEL,
			       sizeof(struct vmbus_channel_message));
		expect_silence();
		say_created(7, id, 0);
		if (question == 0 && !i) {
			teardown = expect(VMBUS_GPADL_TEARDOWN,
					  sizeof(*teardown));
			assert_int_equal(le32_to_cpu(teardown->channel), 7);
			assert_int_equal(le32_to_cpu(teardown->gpadl), id);
		}
		expect_silence();
	}
	/* It was told to tear down, now or by then. */
	before = violation_count();
	say_torndown(id);
	assert_int_equal(violation_count(), before);
	say_torndown(id);
	assert_int_equal(violation_count(), before + 1);
}

/* A failure that comes late leaves nothing to undo. */
static void test_late_failures(void **state)
{
	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	open_it(1);
	t.next = t.nr_sent;
	create(2, 8);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.lost, 1);
	t.next = t.nr_sent;
	say_opened(7, 7, VMBUS_STATUS_UNSUCCESSFUL);
	say_created(7, 2, VMBUS_STATUS_UNSUCCESSFUL);
	expect_silence();
}

/* The host does not answer: one question after the other. */
static void lose_by(unsigned int question)
{
	uint32_t id;

	connect_host();
	id = create(1, 8);
	if (question > 0)
		say_created(7, id, 0);
	if (question > 1) {
		open_it(1);
		t.next = t.nr_sent;
	}
	if (question > 2) {
		say_opened(7, 7, 0);
		assert_int_equal(host_offer_modify(t.offer[0], 0), 0);
	}
	if (question == 1)
		assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 1), 0);
	reactor_inline_advance((question == 1 ? HOST_BUS_LET_GO_NS :
						HOST_BUS_DEADLINE_NS) - 1);
	assert_int_equal(t.lost, 0);
	host_is_silent(1);
	assert_int_equal(t.lost, 1);
	t.next = t.nr_sent;
	/* The bus lives, and its id is in use. */
	say_offer(7, 2);
	assert_int_equal(t.nr_offers, 1);
	say_offer(8, 2);
	assert_int_equal(t.nr_offers, 2);
	say_late(question, id);
	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	assert_int_equal(t.rescinded, 1);
	expect(VMBUS_REL_ID_RELEASED, sizeof(struct vmbus_channel_message));
	say_offer(7, 3);
	assert_int_equal(t.nr_offers, 3);
}

static void test_created_deadline(void **state)
{
	(void)state;
	lose_by(0);
}

static void test_torndown_deadline(void **state)
{
	(void)state;
	lose_by(1);
}

static void test_open_deadline(void **state)
{
	(void)state;
	lose_by(2);
}

static void test_modify_deadline(void **state)
{
	(void)state;
	lose_by(3);
}

static void test_drain_deadline(void **state)
{
	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	host_offer_drain(t.offer[0]);
	host_is_silent(HOST_BUS_LET_GO_NS);
	assert_int_equal(t.drained, 1);
	assert_int_equal(t.lost, 1);
}

/* The host takes the channel back, and then answers a TEARDOWN of before. */
static void test_teardown_crosses_rescind(void **state)
{
	uint64_t before = violation_count();

	(void)state;
	connect_host();
	say_created(7, create(1, 2), 0);
	assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 1), 0);
	expect(VMBUS_GPADL_TEARDOWN, sizeof(struct vmbus_gpadl_teardown));
	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	assert_int_equal(t.rescinded, 1);
	expect(VMBUS_REL_ID_RELEASED, sizeof(struct vmbus_channel_message));
	say_torndown(1);
	assert_int_equal(violation_count(), before);
	assert_int_equal(t.torndown, 0);
	/* Once. */
	say_torndown(1);
	assert_int_equal(violation_count(), before + 1);
}

/* While the channel is open, and while it may be, a host need not let go. From
 * then on, it has its time. */
static void test_clock_of_a_teardown(void **state)
{
	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	say_created(7, create(2, 8), 0);
	open_it(1);
	assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 1), 0);
	say_opened(7, 7, 0);
	assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 2), 0);
	host_is_silent(HOST_BUS_LET_GO_NS);
	assert_int_equal(t.lost, 0);
	host_offer_close(t.offer[0]);
	reactor_inline_advance(HOST_BUS_LET_GO_NS - 1);
	assert_int_equal(t.lost, 0);
	say_torndown(2);
	assert_int_equal(t.torndown, 1);
	host_is_silent(1);
	assert_int_equal(t.lost, 1);
}

/* An OPEN that failed is such an end, too. */
static void test_clock_after_a_failed_open(void **state)
{
	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	open_it(1);
	assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 1), 0);
	say_opened(7, 7, VMBUS_STATUS_UNSUCCESSFUL);
	/* Questions that have less time do not wait for it. */
	t.next = t.nr_sent;
	create(2, 8);
	reactor_inline_advance(HOST_BUS_DEADLINE_NS - 1);
	say_created(7, 2, 0);
	reactor_inline_advance(HOST_BUS_LET_GO_NS - HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.lost, 0);
	host_is_silent(1);
	assert_int_equal(t.lost, 1);
}

/* It was us who were not there: answers that are there are read first. */
static void test_stall_of_our_own(void **state)
{
	(void)state;
	connect_host();
	create(1, 8);
	create(2, 8);
	reactor_inline_advance(3 * HOST_BUS_DEADLINE_NS);
	say_created(7, 1, 0);
	reactor_inline_advance(HOST_BUS_LOOK_NS - 1);
	assert_int_equal(t.lost, 0);
	say_created(7, 2, 0);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.lost, 0);
	assert_int_equal(t.created, 2);
	/* One look, whatever comes meanwhile. */
	create(3, 8);
	create(4, 8);
	reactor_inline_advance(3 * HOST_BUS_DEADLINE_NS);
	say_created(7, 3, 0);
	reactor_inline_advance(HOST_BUS_LOOK_NS);
	assert_int_equal(t.lost, 1);
}

/* ---- MODIFY ---- */

static void say_modified(void)
{
	struct vmbus_modify_channel_response response = {
		.channel = cpu_to_le32(7),
	};

	say(VMBUS_MODIFY_CHANNEL_RESPONSE, &response, sizeof(response));
}

static void open_and_modify(void)
{
	open_it(1);
	say_opened(7, 7, 0);
	assert_int_equal(host_offer_modify(t.offer[0], 1), 0);
}

/* A host that is told to close need not answer what it was told before, and
 * may. */
static void test_close_ends_a_modify(void **state)
{
	uint64_t before;

	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	open_and_modify();
	host_offer_close(t.offer[0]);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.lost, 0);
	before = violation_count();
	say_modified();
	assert_int_equal(violation_count(), before);
	assert_int_equal(t.modified, 0);
	say_modified(); /* once */
	assert_int_equal(violation_count(), before + 1);
	/* The next one is as good as the first; late is before OPEN_RESULT. */
	open_and_modify();
	host_offer_close(t.offer[0]);
	open_and_modify();
	say_modified();
	assert_int_equal(t.modified, 1);
	say_modified();
	assert_int_equal(violation_count(), before + 2);
	assert_int_equal(host_offer_modify(t.offer[0], 1), 0);
}

static void test_drain_ends_a_modify(void **state)
{
	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	open_and_modify();
	host_offer_drain(t.offer[0]);
	say_torndown(1);
	assert_int_equal(t.drained, 1);
	t.next = t.nr_sent;
	/* The next guest's. */
	say_created(7, create(1, 8), 0);
	open_and_modify();
	say_modified();
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.modified, 1);
	assert_int_equal(t.lost, 0);
}

/* ---- the connection is no more ---- */

/* The host has no room for as long as it takes. */
static void lose_all_by_room(void)
{
	t.post_error = -EAGAIN;
	bus_client_tl_connect(t.bus, &(struct guid){ { 0xe0 } },
			      &(struct guid){ { 0x5e } });
	for (int i = 0; i < 5001; i++)
		reactor_inline_advance(MS);
	assert_int_equal(t.lost, 1);
	assert_false(t.busy);
}

/* Room for one message at a time, just in time, does not hold the guest up for
 * as long as there are messages. */
static void test_hardly_any_room(void **state)
{
	static const uint64_t words[8191];
	unsigned int seconds = 0;

	(void)state;
	connect_host();
	t.post_error = -EAGAIN;
	assert_int_equal(host_offer_gpadl_create(t.offer[0], 1, 1, words,
						 8191), 0);
	assert_true(t.busy);
	t.next = t.nr_sent;
	for (; t.busy && seconds < 100; seconds += 4) {
		t.left = 1;
		for (int i = 0; i < 4000; i++)
			reactor_inline_advance(MS);
	}
	assert_false(t.busy);
	assert_in_range(seconds, HOST_BUS_ROOM_NS / (1000 * MS),
			HOST_BUS_ROOM_NS / (1000 * MS) + 4);
	assert_int_equal(t.lost, 1);
}

/* ... but who takes them all in time loses nothing. */
static void test_little_room(void **state)
{
	unsigned int ms = 0;

	(void)state;
	connect_host();
	t.post_error = -EAGAIN;
	for (int i = 0; i < 200; i++)
		bus_client_tl_connect(t.bus, &(struct guid){ { 0xe0 } },
				      &(struct guid){ { 0x5e } });
	t.next = t.nr_sent;
	for (; t.busy && ms < 20000; ms++) {
		t.left = ms % 90 == 0;
		reactor_inline_advance(MS);
	}
	assert_in_range(ms, 17900, 18100);
	assert_int_equal(t.lost, 0);
	assert_int_equal(t.nr_sent - t.next, 200);
	t.next = t.nr_sent;
}

/* A host that has room again lets go of all that was the guest's. */
static void test_unload_when_there_is_room(void **state)
{
	struct vmbus_header header;
	uint64_t before;

	(void)state;
	connect_host();
	say_created(7, create(1, 8), 0);
	lose_all_by_room();
	/* However long it takes. */
	reactor_inline_advance(100 * HOST_BUS_DEADLINE_NS);
	before = violation_count();
	t.post_error = 0;
	host_is_silent(HOST_BUS_DEADLINE_NS);
	expect(VMBUS_UNLOAD, sizeof(header));
	/* What it said of before is no mistake, and nothing. */
	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	say_offer(8, 2);
	say(VMBUS_UNLOAD_COMPLETE, &header, sizeof(header));
	assert_int_equal(violation_count(), before);
	assert_int_equal(t.rescinded, 1);
	assert_int_equal(t.nr_offers, 1);
	assert_int_equal(t.unloaded, 0); /* nobody asked */
	assert_false(t.busy);
	reactor_inline_advance(100 * HOST_BUS_DEADLINE_NS);
	expect_silence();
	t.nr_offers = 0;
	connect_host();
}

/* A new contact ends the old connection at the host, too. */
static void test_contact_instead_of_unload(void **state)
{
	(void)state;
	connect_host();
	lose_all_by_room();
	t.post_error = 0;
	t.nr_offers = 0;
	t.connected = 1;
	connect_host();
	reactor_inline_advance(100 * HOST_BUS_DEADLINE_NS);
	expect_silence();
}

/* Who leaves while it waits is answered: by the host, or in time. */
static void test_leave_a_lost_host(void **state)
{
	struct vmbus_header header;

	(void)state;
	for (int answers = 0; answers < 2; answers++) {
		t.nr_offers = t.lost = t.unloaded = 0;
		t.post_error = 0;
		t.next = t.nr_sent;
		connect_host();
		lose_all_by_room();
		t.post_error = answers ? 0 : -EAGAIN;
		host_is_silent(HOST_BUS_DEADLINE_NS);
		bus_client_unload(t.bus);
		assert_int_equal(t.unloaded, 0);
		if (answers)
			say(VMBUS_UNLOAD_COMPLETE, &header, sizeof(header));
		else
			host_is_silent(HOST_BUS_DEADLINE_NS);
		assert_int_equal(t.unloaded, 1);
		assert_false(t.busy);
	}
	expect(VMBUS_UNLOAD, sizeof(header));
	expect_silence();
}

/* All offers but one came; the guest may have opened it. */
static void test_unload_after_half_a_connect(void **state)
{
	(void)state;
	bus_client_connect(t.bus);
	say_version(true, FEATURES);
	say_offer(7, 1);
	t.next = t.nr_sent;
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.connected, -ETIMEDOUT);
	expect(VMBUS_UNLOAD, sizeof(struct vmbus_header));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_late_failures),
		TEST(test_created_deadline),
		TEST(test_torndown_deadline),
		TEST(test_open_deadline),
		TEST(test_modify_deadline),
		TEST(test_drain_deadline),
		TEST(test_teardown_crosses_rescind),
		TEST(test_stall_of_our_own),
		TEST(test_close_ends_a_modify),
		TEST(test_drain_ends_a_modify),
		TEST(test_clock_of_a_teardown),
		TEST(test_clock_after_a_failed_open),
		TEST(test_hardly_any_room),
		TEST(test_little_room),
		TEST(test_unload_when_there_is_room),
		TEST(test_contact_instead_of_unload),
		TEST(test_leave_a_lost_host),
		TEST(test_unload_after_half_a_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
