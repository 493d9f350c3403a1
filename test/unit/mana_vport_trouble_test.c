/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/vport.c mana/vport_thread.c mana/vport_queues.c mana/rss.c mana/tx.c mana/rx.c mana/poll.c mana/queue.c test/unit/mana_vport_unit.c test/unit/reactor_threads.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c include/guid.c */
/*
 * A NIC on a vport in trouble: queues that break, devices that go, hang, and
 * come back; what is under way when it stops.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <pv/inspect.h>

#include "test/unit/mana_vport_unit.h"
#include "test/unit/reactor_inline.h"

static void do_break(void *arg)
{
	(void)arg;
	queue_break(client.queue[0], "for the test");
}

/* The device says that the frame was sent. */
static void do_complete(void *arg)
{
	struct nic_queue *q = client.queue[0];
	struct mana_cqe *cqe = &q->tx_cq.ring[0];

	(void)arg;
	cqe->header = cpu_to_le32(MANA_CQE_TX_OKAY |
				  1u << MANA_CQE_CLIENT_SHIFT);
	cqe->info = cpu_to_le32(1u << MANA_CQE_OWNER_SHIFT | MANA_CQE_SQ |
				q->sq.id);
	queue_event(q, true);
	queue_poll_soon(q);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

/* Within 5 s. */
static bool wait_for(_Atomic unsigned int *value, unsigned int wanted)
{
	for (unsigned int i = 0; i < 5000 && *value != wanted; i++)
		nap();
	return *value == wanted;
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	nic->ops->inspect(nic, out);
}

static void expect_inspected(const char *name, const char *wanted)
{
	char path[64], text[128];

	snprintf(path, sizeof(path), "mana/%s", name);
	assert_true(inspect_render(path, 1, text, sizeof(text)) > 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, wanted);
}

static void a_queue_that_breaks_is_lost_until_it_is_stopped(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	reactor_run(reactor, do_break, NULL);
	assert_int_equal(next(), LOST);
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(next(), BACK);
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

/* Or the client would wait for a device that is there to come back. */
static void no_such_device_is_said_of_no_device_only(void **state)
{
	(void)state;
	vport_kernel.queues_error = -ENODEV;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, -EIO);
	vport_kernel.queues_error = 0;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void a_device_that_went_comes_back(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	vport_kernel.finds_until_there = 1;
	device_goes();
	assert_int_equal(next(), LOST);
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(start(1), -ENODEV);
	vport_kernel.gone = false;
	assert_int_equal(next(), BACK);
	assert_int_equal(next(), LINK); /* it was down meanwhile */
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void what_is_being_sent_ends_before_a_stop(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	send_frame(false);
	stop();
	for (unsigned int i = 0; i < 100; i++)
		nap();
	assert_int_equal(vport_kernel.nr_destroys, 0);
	reactor_run(reactor, do_complete, NULL);
	assert_int_equal(next(), STOPPED);
	assert_int_equal(client.nr_sent, 1);
	assert_int_equal(vport_kernel.nr_destroys, 1);
	expect_inspected("drains_late", "0");
}

/* ... or is given up after a second, */
static void what_is_never_sent_is_given_up(void **state)
{
	uint64_t begun;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	send_frame(false);
	begun = reactor_now();
	stop();
	assert_int_equal(next(), STOPPED);
	assert_true(reactor_now() - begun >= 1000000000);
	assert_int_equal(client.nr_sent, 0);
	expect_inspected("drains_late", "1");
}

/* ... and at once when there is no device to send it. */
static void nothing_is_awaited_of_a_device_that_went(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	send_frame(false);
	stop();
	vport_kernel.finds_until_there = 1;
	device_goes();
	assert_int_equal(next(), LOST);
	assert_int_equal(next(), STOPPED);
	expect_inspected("drains_late", "0");
	vport_kernel.gone = false;
	assert_int_equal(next(), BACK);
	assert_int_equal(next(), LINK);
}

static void a_frame_that_no_device_takes_is_no_loss(void **state)
{
	struct vport *v = (struct vport *)nic;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	send_frame(true);
	for (unsigned int i = 0; i < 1000 && !v->queue[0]->q.tx_completed; i++)
		nap();
	for (unsigned int i = 0; i < 20; i++)
		vport_queues_watch(v);
	assert_false(atomic_load(&v->broken));
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(client.nr_sent, 1);
}

/* Whatever message hangs: reactors run, and inspect says why. */
static void a_device_that_does_not_answer_holds_up_nobody(void **state)
{
	struct vport *v = (struct vport *)nic;

	(void)state;
	vport_kernel.hang_create = true;
	assert_int_equal(start(1), 0);
	assert_true(wait_for(&vport_kernel.nr_hanging, 1));
	reactor_run(reactor, do_nothing, NULL);
	expect_inspected("degraded", "\"no\"");
	atomic_store(&v->waiting_since, reactor_now() - 3000000000);
	expect_inspected("degraded", "\"the device does not answer\"");
	vport_kernel.hang_create = false;
	sem_post(&vport_kernel.let_go);
	assert_int_equal(next(), STARTED);
	stop();
	assert_int_equal(next(), STOPPED);
	vport_kernel.hang_close = true;
	client.close_when_stopped = true; /* by us */
	close_it();
	assert_true(wait_for(&vport_kernel.nr_hanging, 1));
	reactor_run(reactor, do_nothing, NULL);
	vport_kernel.hang_close = false;
	sem_post(&vport_kernel.let_go);
}

static void degraded_by_name(void **state)
{
	(void)state;
	expect_inspected("degraded", "\"no\"");
	expect_inspected("last_loss", "\"none\"");
	vport_kernel.queues_error = -EIO;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	expect_inspected("degraded", "\"queues can not be made\"");
	vport_kernel.queues_error = 0;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	expect_inspected("degraded", "\"no\"");
	reactor_run(reactor, do_break, NULL);
	assert_int_equal(next(), LOST);
	expect_inspected("degraded", "\"for the test\"");
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(next(), BACK);
	expect_inspected("degraded", "\"no\"");
	expect_inspected("last_loss", "\"for the test\"");
}

/* A vport that breaks whenever it starts is not started all the time. */
static void breaking_again_and_again_takes_longer_each_time(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t begun;

		assert_int_equal(start(1), 0);
		assert_int_equal(next(), STARTED);
		reactor_run(reactor, do_break, NULL);
		assert_int_equal(next(), LOST);
		begun = reactor_now();
		stop();
		assert_int_equal(next(), STOPPED);
		assert_int_equal(next(), BACK);
		if (i)
			assert_in_range(reactor_now() - begun, i * 1000000000ull,
					i * 1000000000ull + 900000000);
	}
}

static void a_frame_that_is_never_sent_is_a_loss(void **state)
{
	struct vport *v = (struct vport *)nic;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	for (unsigned int i = 0; i < 10; i++) /* nothing is outstanding */
		vport_queues_watch(v);
	send_frame(false);
	for (unsigned int i = 0; i < 8; i++)
		vport_queues_watch(v);
	assert_false(atomic_load(&v->broken));
	for (unsigned int i = 0; i < 2; i++)
		vport_queues_watch(v);
	assert_int_equal(next(), LOST);
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(next(), BACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VPORT_TEST(a_queue_that_breaks_is_lost_until_it_is_stopped),
		VPORT_TEST(no_such_device_is_said_of_no_device_only),
		VPORT_TEST(a_device_that_went_comes_back),
		VPORT_TEST(what_is_being_sent_ends_before_a_stop),
		VPORT_TEST(what_is_never_sent_is_given_up),
		VPORT_TEST(nothing_is_awaited_of_a_device_that_went),
		VPORT_TEST(a_frame_that_no_device_takes_is_no_loss),
		VPORT_TEST(a_device_that_does_not_answer_holds_up_nobody),
		VPORT_TEST(degraded_by_name),
		VPORT_TEST(breaking_again_and_again_takes_longer_each_time),
		VPORT_TEST(a_frame_that_is_never_sent_is_a_loss),
	};
	static struct inspect_entry entry = {
		.name = "mana", .describe = describe,
	};

	inspect_register(&entry);
	if (vport_unit_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
