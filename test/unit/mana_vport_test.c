/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/vport.c mana/vport_thread.c mana/vport_queues.c mana/rss.c mana/tx.c mana/rx.c mana/poll.c mana/queue.c test/unit/mana_vport_unit.c test/unit/reactor_threads.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c include/guid.c */
/*
 * The life of a NIC on a vport whose device does what it should.
 */
#include <errno.h>
#include <string.h>

#include "mana/rss.h"
#include "test/unit/mana_vport_unit.h"
#include "test/unit/reactor_inline.h"

static void what_a_vport_is(void **state)
{
	struct nic_info info;

	(void)state;
	nic->ops->info(nic, &info);
	assert_memory_equal(info.mac, "\x00\x15\x5d\x01\x02\x03", 6);
	assert_int_equal(info.max_queues, VPORT_QUEUES);
	assert_int_equal(info.max_frame, 1514);
	assert_int_equal(info.max_rx_depth, 256);
	assert_true(info.link_up);
	assert_true(info.rx_can & NIC_HASH);
	assert_false(info.tx_can & NIC_HASH);
	assert_true(info.tx_can & NIC_LSO6);
}

static void devices_that_are_not_there(void **state)
{
	struct nic *first = nic;

	(void)state;
	assert_int_equal(open_it(1, 60), -ENXIO);
	vport_kernel.finds_until_there = 1000;
	assert_int_equal(open_it(0, 60), -ETIMEDOUT);
	vport_kernel.finds_until_there = 2;
	assert_int_equal(open_it(0, 5000), 0);
	close_it();
	nic = first;
}

static void starts_and_stops_again_and_again(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(start(VPORT_QUEUES), 0);
		assert_int_equal(start(1), -EBUSY);
		assert_int_equal(next(), STARTED);
		assert_int_equal(client.result, 0);
		assert_int_equal(start(1), -EBUSY);
		assert_int_equal(vport_kernel.nr_regions, VPORT_QUEUES);
		stop();
		assert_int_equal(next(), STOPPED);
		assert_int_equal(vport_kernel.nr_regions, 0);
	}
}

static void starts_that_break_a_rule(void **state)
{
	struct nic_start how;

	(void)state;
	assert_int_equal(start(4), -EINVAL); /* more than it has */
	for (unsigned int i = 0; i < 5; i++) {
		how = start_of(VPORT_QUEUES);
		if (i == 0)
			how.nr_queues = 0;
		else if (i == 1)
			how.rx_depth = 257;
		else if (i == 2)
			how.tx_depth = 0;
		else if (i == 3)
			how.rss.entries = 3;
		else {
			how.rss.entries = 2;
			how.rss.table[1] = VPORT_QUEUES;
		}
		assert_int_equal(start_with(&how), -EINVAL);
	}
	assert_int_equal(vport_kernel.nr_creates, 0);
}

static void a_start_that_fails_can_be_tried_again(void **state)
{
	(void)state;
	vport_kernel.queues_error = -EBUSY;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, -EBUSY);
	assert_int_equal(vport_kernel.nr_regions, 0);
	vport_kernel.queues_error = 0;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void memory_without_a_key_has_memory_of_its_own(void **state)
{
	(void)state;
	close_it();
	vport_kernel.all_keys = false;
	assert_int_equal(open_it(0, 100), 0);
	assert_int_equal(start(VPORT_QUEUES), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(vport_kernel.nr_regions, 2 * VPORT_QUEUES);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void a_link_that_changes_is_told(void **state)
{
	struct nic_info info;

	(void)state;
	vport_kernel.carrier = false;
	assert_int_equal(next(), LINK);
	nic->ops->info(nic, &info);
	assert_false(info.link_up);
	vport_kernel.carrier = true;
	assert_int_equal(next(), LINK);
	nic->ops->info(nic, &info);
	assert_true(info.link_up);
}

static void counts_outlive_a_start(void **state)
{
	struct nic_stats stats;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	send_frame(false);
	stop();
	assert_int_equal(next(), STOPPED);
	nic->ops->stats(nic, &stats);
	assert_true(stats.doorbells >= 1);
}

static void a_client_may_close_when_it_hears_stopped(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	client.close_when_stopped = true;
	stop();
	assert_int_equal(next(), STOPPED);
}

static void another_table_needs_a_start(void **state)
{
	struct nic_rss rss = { .entries = 4, .table = { 0, 1, 0, 1 } };
	struct nic_start how = start_of(VPORT_QUEUES);

	(void)state;
	assert_int_equal(start(VPORT_QUEUES), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(nic->ops->set_rss(nic, &rss), -EAGAIN);
	rss.entries = 0; /* what it was started with */
	assert_int_equal(nic->ops->set_rss(nic, &rss), 0);
	rss.key[39] = 1;
	assert_int_equal(nic->ops->set_rss(nic, &rss), -EAGAIN);
	stop();
	assert_int_equal(next(), STOPPED);
	/* One that the device has not is the client's to follow, from one of
	 * several queues, with the same key. */
	how.rss = (struct nic_rss){ .entries = 4, .table = { 0, 1, 0, 1 } };
	assert_int_equal(start_with(&how), 0);
	assert_int_equal(next(), STARTED);
	rss = (struct nic_rss){ .entries = 4, .table = { 0, 1, 1, 1 } };
	assert_int_equal(nic->ops->set_rss(nic, &rss), 0);
	rss.table[1] = 0; /* 0, 0, 1, 1 */
	assert_int_equal(nic->ops->set_rss(nic, &rss), 0);
	rss.table[2] = rss.table[3] = 0; /* all to one: it has that */
	assert_int_equal(nic->ops->set_rss(nic, &rss), -EAGAIN);
	rss.table[1] = 1;
	rss.key[0] = 1;
	assert_int_equal(nic->ops->set_rss(nic, &rss), -EAGAIN);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void tables_that_a_device_can_have(void **state)
{
	static const struct {
		unsigned int entries;
		uint16_t table[8];
		bool exact;
		unsigned int nr;
		uint16_t order[4];
	} cases[] = {
		{ 0, { 0 }, true, 1, { 0 } },
		{ 8, { 0, 1, 2, 3, 0, 1, 2, 3 }, true, 4, { 0, 1, 2, 3 } },
		{ 8, { 3, 1, 0, 2, 3, 1, 0, 2 }, true, 4, { 3, 1, 0, 2 } },
		{ 8, { 2, 1, 2, 1, 2, 1, 2, 1 }, true, 2, { 2, 1 } },
		{ 4, { 3, 3, 3, 3 }, true, 1, { 3 } },
		{ 4, { 0, 1, 2, 2 }, false, 4, { 0, 1, 2, 3 } },
		{ 8, { 0, 0, 0, 0, 1, 1, 1, 1 }, false, 4, { 0, 1, 2, 3 } },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nic_rss rss = { .entries = (uint16_t)cases[i].entries };
		uint16_t order[NIC_MAX_QUEUES];
		unsigned int nr;

		memcpy(rss.table, cases[i].table, sizeof(cases[i].table));
		assert_int_equal(mana_rss_order(&rss, 4, order, &nr),
				 cases[i].exact);
		assert_int_equal(nr, cases[i].nr);
		assert_memory_equal(order, cases[i].order, nr * 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VPORT_TEST(what_a_vport_is),
		VPORT_TEST(devices_that_are_not_there),
		VPORT_TEST(starts_and_stops_again_and_again),
		VPORT_TEST(starts_that_break_a_rule),
		VPORT_TEST(a_start_that_fails_can_be_tried_again),
		VPORT_TEST(memory_without_a_key_has_memory_of_its_own),
		VPORT_TEST(a_link_that_changes_is_told),
		VPORT_TEST(counts_outlive_a_start),
		VPORT_TEST(a_client_may_close_when_it_hears_stopped),
		VPORT_TEST(another_table_needs_a_start),
		cmocka_unit_test(tables_that_a_device_can_have),
	};

	if (vport_unit_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
