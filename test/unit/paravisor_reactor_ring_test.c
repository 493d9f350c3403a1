/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c */
/*
 * The ring of a reactor, and the timeouts that it asks for.
 */
/* With it glibc has flags of the kernel's own header, in other words. */
#undef _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "paravisor/reactor.h"
#include "paravisor/reactor_ring.h"
#include "paravisor/reactor_timeouts.h"

#define MS 1000000ull
#define SECOND (1000 * MS)

static struct reactor_counters counters;
static struct ring ring;
static struct reactor_timeouts t;
static int wake_fd;

static int set_up(void **state)
{
	(void)state;
	memset(&counters, 0, sizeof(counters));
	wake_fd = eventfd(0, EFD_CLOEXEC);
	reactor_timeouts_init(&t);
	return wake_fd < 0 ? -1 : ring_open(&ring, wake_fd, &counters);
}

static int tear_down(void **state)
{
	(void)state;
	ring_close(&ring);
	close(wake_fd);
	return 0;
}

/* What completes while the kernel runs its list leaves the flag behind, with
 * nothing to fetch. */
static void a_flag_left_behind_is_one_call(void **state)
{
	(void)state;
	assert_false(ring_due(&ring));
	__atomic_fetch_or(ring.uring.sq.kflags, IORING_SQ_TASKRUN,
			  __ATOMIC_SEQ_CST);
	assert_true(ring_due(&ring));
	assert_int_equal(ring_enter(&ring), 0);
	assert_false(ring_due(&ring));
}

static void wake_at(uint64_t deadline)
{
	assert_true(reactor_timeouts_wake_at(&t, &ring, deadline));
}

/* Waits for the kernel; how many completions there were. */
static unsigned int woken(void)
{
	uint64_t count;

	assert_int_equal(read(wake_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(ring_enter(&ring), 0);
	return ring_reap(&ring, 16);
}

static void one_that_comes_sooner_is_enough(void **state)
{
	uint64_t now = reactor_now();

	(void)state;
	assert_true(reactor_timeouts_soonest(&t) == UINT64_MAX);
	wake_at(now + SECOND);
	wake_at(now + 2 * SECOND);
	wake_at(now + SECOND);
	assert_int_equal(io_uring_sq_ready(&ring.uring), 1);
	assert_true(reactor_timeouts_soonest(&t) == now + SECOND);
}

/* Neither has to be moved for the other. */
static void a_sooner_one_leaves_the_later_where_it_is(void **state)
{
	uint64_t now = reactor_now();

	(void)state;
	wake_at(now + 10 * SECOND);
	wake_at(now + 3 * MS);
	assert_int_equal(ring_enter(&ring), 0);
	assert_int_equal(counters.sqes, 2);
	assert_int_equal(woken(), 1);
	assert_true(reactor_now() >= now + 3 * MS);
	assert_true(reactor_timeouts_soonest(&t) == now + 10 * SECOND);
}

/* Before its completion is fetched, too, it wakes for nothing more. */
static void one_that_is_over_stands_for_nothing(void **state)
{
	uint64_t now = reactor_now();

	(void)state;
	wake_at(now + MS);
	reactor_timeouts_pass(&t, now + MS - 1);
	assert_true(reactor_timeouts_soonest(&t) == now + MS);
	reactor_timeouts_pass(&t, now + MS);
	assert_true(reactor_timeouts_soonest(&t) == UINT64_MAX);
	wake_at(now + 2 * MS);
	assert_int_equal(io_uring_sq_ready(&ring.uring), 2);
	assert_int_equal(ring_enter(&ring), 0);
	while (woken() == 0 || reactor_timeouts_soonest(&t) != UINT64_MAX)
		;
	assert_true(reactor_now() >= now + 2 * MS);
}

static void when_all_are_taken_the_last_is_moved(void **state)
{
	uint64_t now = reactor_now();

	(void)state;
	for (unsigned int i = 0; i < REACTOR_TIMEOUTS; i++)
		wake_at(now + (100 - i) * SECOND);
	assert_int_equal(ring_enter(&ring), 0);
	wake_at(now + 2 * MS);
	assert_int_equal(ring_enter(&ring), 0);
	while (reactor_timeouts_soonest(&t) < now + SECOND)
		woken();
	assert_true(reactor_now() >= now + 2 * MS);
	assert_true(reactor_timeouts_soonest(&t) ==
		    now + (100 - REACTOR_TIMEOUTS + 1) * SECOND);
}

static void when_all_are_over_the_ring_comes_first(void **state)
{
	uint64_t now = reactor_now();

	(void)state;
	for (unsigned int i = 0; i < REACTOR_TIMEOUTS; i++)
		wake_at(now + (REACTOR_TIMEOUTS - i) * MS);
	assert_int_equal(ring_enter(&ring), 0);
	reactor_timeouts_pass(&t, now + REACTOR_TIMEOUTS * MS);
	assert_false(reactor_timeouts_wake_at(&t, &ring, now + SECOND));
	while (woken() == 0)
		;
	wake_at(now + SECOND);
	assert_true(reactor_timeouts_soonest(&t) == now + SECOND);
}

/* What a hold of a ring does: it ends, and something is submitted. */
struct hold {
	struct reactor_timer timer; /* first */
	struct reactor *reactor;
	struct uring_op op;
	unsigned int over, done;
};

static void nop_done(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct hold *hold = (struct hold *)((char *)op -
		offsetof(struct hold, op));

	(void)extra;
	assert_int_equal(res, 0);
	hold->done++;
}

static void hold_over(struct reactor_timer *timer)
{
	struct hold *hold = (struct hold *)timer;

	hold->over++;
	uring_sqe(hold->reactor, &hold->op)->opcode = IORING_OP_NOP;
	reactor_timer_arm(hold->reactor, timer, reactor_now() + 2 * MS);
}

static void nothing(struct reactor_timer *timer)
{
	(void)timer;
}

static void a_timer_that_submits_costs_one_call(void **state)
{
	struct reactor *r = reactor_create(0);
	struct hold hold = { .timer.fn = hold_over, .reactor = r,
			     .op = { nop_done } };
	struct reactor_timer later = { .fn = nothing };
	uint64_t enters;

	(void)state;
	assert_non_null(r);
	assert_int_equal(reactor_open(r, NULL, NULL), 0);
	reactor_timer_arm(r, &later, reactor_now() + 1000 * SECOND);
	reactor_timer_arm(r, &hold.timer, reactor_now() + 2 * MS);
	assert_false(reactor_pass(r));
	enters = reactor_counters(r)->enters;
	while (hold.over < 20) {
		reactor_wait(r, UINT64_MAX);
		assert_false(reactor_pass(r));
	}
	assert_int_equal(hold.done, 20);
	/* A machine that is slow is woken twice for one now and then. */
	assert_in_range(reactor_counters(r)->enters - enters, 20, 25);
	reactor_close(r);
	reactor_destroy(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flag_left_behind_is_one_call),
		TEST(one_that_comes_sooner_is_enough),
		TEST(a_sooner_one_leaves_the_later_where_it_is),
		TEST(one_that_is_over_stands_for_nothing),
		TEST(when_all_are_taken_the_last_is_moved),
		TEST(when_all_are_over_the_ring_comes_first),
		cmocka_unit_test(a_timer_that_submits_costs_one_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
