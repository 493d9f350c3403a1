/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pthread.h>

#include "test/vmm/loop.h"

#define MS 1000000ull

static struct reactor *loop;
static char order[64]; /* what ran, one letter each */
static size_t nr_order;

static void note(char letter)
{
	if (nr_order < sizeof(order) - 1)
		order[nr_order++] = letter;
}

static int set_up(void **state)
{
	(void)state;
	memset(order, 0, sizeof(order));
	nr_order = 0;
	loop = loop_create();
	return loop ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* Calls. */

struct letter_call {
	struct reactor_call call;
	char letter;
};

static void run_letter(struct reactor_call *call)
{
	note(((struct letter_call *)call)->letter);
}

static void run_stop(struct reactor_call *call)
{
	(void)call;
	note('.');
	loop_stop(loop);
}

static struct reactor_call stop_call = { .fn = run_stop };

static void calls_run_in_order_and_once(void **state)
{
	struct letter_call calls[3] = { { { .fn = run_letter }, 'a' },
					{ { .fn = run_letter }, 'b' },
					{ { .fn = run_letter }, 'c' } };

	(void)state;
	reactor_post(loop, &calls[1].call);
	reactor_post(loop, &calls[0].call);
	reactor_post(loop, &calls[1].call); /* waits already */
	reactor_post(loop, &calls[2].call);
	reactor_post(loop, &stop_call);
	loop_run(loop);
	assert_string_equal(order, "bac.");
}

static void *post_late(void *call)
{
	usleep(20000); /* the loop sleeps by now */
	reactor_post(loop, call);
	return NULL;
}

static void one_post_wakes_a_sleeping_loop(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, post_late, &stop_call),
			 0);
	alarm(30); /* a loop that is not woken sleeps for ever */
	loop_run(loop);
	alarm(0);
	pthread_join(thread, NULL);
	assert_string_equal(order, ".");
}

static void calls_posted_before_the_stop_still_run(void **state)
{
	struct letter_call call = { { .fn = run_letter }, 'a' };

	(void)state;
	reactor_post(loop, &call.call);
	loop_stop(loop);
	loop_run(loop);
	assert_string_equal(order, "a");
}

struct repeat_call {
	struct reactor_call call;
	int left;
};

static void run_repeat(struct reactor_call *call)
{
	struct repeat_call *repeat = (struct repeat_call *)call;

	note('r');
	if (--repeat->left)
		reactor_post(loop, call);
	else
		loop_stop(loop);
}

static void a_call_may_post_itself(void **state)
{
	struct repeat_call repeat = { { .fn = run_repeat }, 3 };

	(void)state;
	reactor_post(loop, &repeat.call);
	loop_run(loop);
	assert_string_equal(order, "rrr");
}

#define POSTERS 4
#define POSTS 20000

struct poster {
	struct reactor_call call;
	atomic_uint posted;   /* changes made before each post */
	unsigned int seen;    /* by the loop */
	unsigned int run;
};

static void run_poster(struct reactor_call *call)
{
	struct poster *poster = (struct poster *)call;

	poster->seen = atomic_load(&poster->posted);
	poster->run++;
}

static void *post_often(void *arg)
{
	struct poster *poster = arg;

	for (int i = 0; i < POSTS; i++) {
		atomic_fetch_add(&poster->posted, 1);
		reactor_post(loop, &poster->call);
	}
	return NULL;
}

/* No post is lost: after the last one, its change has been seen. */
static void posts_of_many_threads_all_arrive(void **state)
{
	struct poster posters[POSTERS] = { 0 };
	pthread_t threads[POSTERS], runner;

	(void)state;
	assert_int_equal(pthread_create(&runner, NULL, run, loop), 0);
	for (int i = 0; i < POSTERS; i++) {
		posters[i].call.fn = run_poster;
		assert_int_equal(pthread_create(&threads[i], NULL, post_often,
						&posters[i]), 0);
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	loop_stop(loop);
	pthread_join(runner, NULL);
	for (int i = 0; i < POSTERS; i++) {
		assert_int_equal(posters[i].seen, POSTS);
		assert_true(posters[i].run >= 1 && posters[i].run <= POSTS);
	}
}

static void check_current(void *arg)
{
	*(bool *)arg = reactor_is_current(loop);
	note('x');
}

static void run_waits_for_the_loop(void **state)
{
	bool current = false;
	pthread_t runner;

	(void)state;
	assert_false(reactor_is_current(loop));
	assert_int_equal(pthread_create(&runner, NULL, run, loop), 0);
	reactor_run(loop, check_current, &current);
	assert_true(current);
	assert_string_equal(order, "x");
	assert_false(reactor_is_current(loop));
	loop_stop(loop);
	pthread_join(runner, NULL);
}

static void run_from_within(struct reactor_call *call)
{
	bool current = false;

	(void)call;
	reactor_run(loop, check_current, &current); /* a plain call */
	note(current ? 'y' : 'n');
	loop_stop(loop);
}

static void run_on_its_own_thread_is_a_call(void **state)
{
	struct reactor_call call = { .fn = run_from_within };

	(void)state;
	reactor_post(loop, &call);
	loop_run(loop);
	assert_string_equal(order, "xy");
}

/* Timers. */

struct letter_timer {
	struct reactor_timer timer;
	char letter;
	uint64_t ran_at;
};

static void timer_letter(struct reactor_timer *timer)
{
	struct letter_timer *mine = (struct letter_timer *)timer;

	mine->ran_at = reactor_now();
	note(mine->letter);
	if (mine->letter == '.')
		loop_stop(loop);
}

static void timers_run_by_deadline_and_never_early(void **state)
{
	struct letter_timer t[4] = { { { .fn = timer_letter }, 'a', 0 },
				     { { .fn = timer_letter }, 'b', 0 },
				     { { .fn = timer_letter }, 'c', 0 },
				     { { .fn = timer_letter }, '.', 0 } };
	uint64_t now = reactor_now();

	(void)state;
	reactor_timer_arm(loop, &t[3].timer, now + 40 * MS);
	reactor_timer_arm(loop, &t[1].timer, now + 20 * MS);
	reactor_timer_arm(loop, &t[0].timer, now + 10 * MS);
	reactor_timer_arm(loop, &t[2].timer, now + 20 * MS); /* behind b */
	loop_run(loop);
	assert_string_equal(order, "abc.");
	assert_true(t[0].ran_at >= now + 10 * MS);
	assert_true(t[1].ran_at >= now + 20 * MS);
	assert_true(t[3].ran_at >= now + 40 * MS);
	assert_false(t[0].timer.armed);
}

static void timers_move_and_are_cancelled(void **state)
{
	struct letter_timer t[3] = { { { .fn = timer_letter }, 'a', 0 },
				     { { .fn = timer_letter }, 'b', 0 },
				     { { .fn = timer_letter }, '.', 0 } };
	uint64_t now = reactor_now();

	(void)state;
	reactor_timer_arm(loop, &t[0].timer, now + 1 * MS);
	reactor_timer_arm(loop, &t[1].timer, now + 2 * MS);
	reactor_timer_arm(loop, &t[2].timer, now + 10 * MS);
	reactor_timer_arm(loop, &t[0].timer, now + 5 * MS); /* behind b */
	reactor_timer_cancel(loop, &t[1].timer);
	reactor_timer_cancel(loop, &t[1].timer); /* harmless */
	loop_run(loop);
	assert_string_equal(order, "a.");
}

/* A timer that is always due must not keep everything else from running. */
static void timer_again(struct reactor_timer *timer)
{
	note('t');
	reactor_timer_arm(loop, timer, 0);
}

static void fd_stop(struct loop_fd *watch, short events)
{
	(void)watch;
	assert_int_equal(events & POLLIN, POLLIN);
	note('f');
	loop_stop(loop);
}

static void an_overdue_timer_lets_descriptors_run(void **state)
{
	struct reactor_timer timer = { .fn = timer_again };
	struct loop_fd watch = { .fn = fd_stop, .events = POLLIN };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	watch.fd = fds[0];
	loop_fd_add(loop, &watch);
	reactor_timer_arm(loop, &timer, 0);
	loop_run(loop);
	assert_non_null(strchr(order, 't'));
	assert_non_null(strchr(order, 'f'));
	reactor_timer_cancel(loop, &timer);
	close(fds[0]);
	close(fds[1]);
}

/* Descriptors. */

struct remover {
	struct loop_fd watch;
	struct loop_fd *other;
};

static void remove_other(struct loop_fd *watch, short events)
{
	struct remover *remover = (struct remover *)watch;

	(void)events;
	note('1');
	loop_fd_remove(loop, remover->other);
	loop_fd_remove(loop, watch);
	loop_stop(loop);
}

/* Both are ready in the same turn; whichever runs first removes the other. */
static void a_removed_descriptor_is_not_called(void **state)
{
	struct remover a = { { .fn = remove_other, .events = POLLIN }, NULL };
	struct remover b = { { .fn = remove_other, .events = POLLIN }, NULL };
	int fds[2];

	(void)state;
	a.other = &b.watch;
	b.other = &a.watch;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	a.watch.fd = b.watch.fd = fds[0];
	loop_fd_add(loop, &a.watch);
	loop_fd_add(loop, &b.watch);
	loop_run(loop);
	assert_string_equal(order, "1");
	loop_fd_remove(loop, &a.watch); /* harmless */
	close(fds[0]);
	close(fds[1]);
}

static void hang_up_is_told_without_asking(void **state)
{
	struct remover watch = { { .fn = remove_other, .events = 0 }, NULL };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	watch.watch.fd = fds[0];
	close(fds[1]);
	loop_fd_add(loop, &watch.watch);
	loop_run(loop);
	assert_string_equal(order, "1");
	close(fds[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_run_in_order_and_once),
		TEST(one_post_wakes_a_sleeping_loop),
		TEST(calls_posted_before_the_stop_still_run),
		TEST(a_call_may_post_itself),
		TEST(posts_of_many_threads_all_arrive),
		TEST(run_waits_for_the_loop),
		TEST(run_on_its_own_thread_is_a_call),
		TEST(timers_run_by_deadline_and_never_early),
		TEST(timers_move_and_are_cancelled),
		TEST(an_overdue_timer_lets_descriptors_run),
		TEST(a_removed_descriptor_is_not_called),
		TEST(hang_up_is_told_without_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
