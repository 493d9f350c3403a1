/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>

#include "paravisor/reactor.h"

#define MS 1000000ull
#define SECOND (1000 * MS)

static struct reactor *r;
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
	r = reactor_create(0);
	return r && reactor_open(r, NULL, NULL) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	reactor_close(r);
	reactor_destroy(r);
	return 0;
}

/* Tests that give the reactor to another thread. */
static int set_up_closed(void **state)
{
	(void)state;
	memset(order, 0, sizeof(order));
	nr_order = 0;
	r = reactor_create(0);
	return r ? 0 : -1;
}

static int tear_down_closed(void **state)
{
	(void)state;
	reactor_destroy(r);
	return 0;
}

static void *run_loop(void *arg)
{
	(void)arg;
	if (reactor_open(r, NULL, NULL))
		abort();
	reactor_loop(r);
	reactor_close(r);
	return NULL;
}

/* Passes until `letters` is what has run, or two seconds have gone. */
static void pass_until(const char *letters)
{
	uint64_t limit = reactor_now() + 2 * SECOND;

	while (strlen(order) < strlen(letters) && reactor_now() < limit) {
		if (!reactor_pass(r))
			reactor_wait(r, limit);
	}
	reactor_pass(r);
	assert_string_equal(order, letters);
}

static bool poll_file_is_readable(int timeout_ms)
{
	struct pollfd p = { .fd = reactor_poll_fd(r), .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* Calls. */

struct letter_call {
	struct reactor_call call;
	char letter;
	struct reactor_call *post; /* from within, may be NULL */
};

static void run_letter(struct reactor_call *call)
{
	struct letter_call *mine = (struct letter_call *)call;

	note(mine->letter);
	if (mine->post) {
		reactor_post(r, mine->post);
		mine->post = NULL;
	}
}

static void calls_run_in_order_and_once(void **state)
{
	struct letter_call calls[3] = { { { .fn = run_letter }, 'a', NULL },
					{ { .fn = run_letter }, 'b', NULL },
					{ { .fn = run_letter }, 'c', NULL } };

	(void)state;
	reactor_post(r, &calls[1].call);
	reactor_post(r, &calls[0].call);
	reactor_post(r, &calls[1].call); /* waits already */
	reactor_post(r, &calls[2].call);
	assert_false(reactor_pass(r));
	assert_string_equal(order, "bac");
}

static void a_call_posted_in_a_pass_runs_in_it(void **state)
{
	struct letter_call second = { { .fn = run_letter }, 'b', NULL };
	struct letter_call first = { { .fn = run_letter }, 'a', &second.call };

	(void)state;
	reactor_post(r, &first.call);
	assert_false(reactor_pass(r));
	assert_string_equal(order, "ab");
	assert_int_equal(reactor_counters(r)->wakes, 0);
}

static void run_forever(struct reactor_call *call)
{
	reactor_post(r, call);
}

/* A call that always posts itself neither holds the thread nor is forgotten
 * when VTL0 runs: the poll file fires soon. */
static void a_pass_is_bounded(void **state)
{
	struct reactor_call forever = { .fn = run_forever };

	(void)state;
	reactor_post(r, &forever);
	assert_true(reactor_pass(r));
	assert_int_equal(reactor_counters(r)->over_budget, 1);
	assert_true(poll_file_is_readable(1000));
}

static void take_time(void *arg)
{
	usleep(*(unsigned int *)arg);
}

static void *ask(void *arg)
{
	reactor_run(r, take_time, arg);
	return NULL;
}

/* A thread asks; passes begin after so many microseconds. */
static void ask_once(unsigned int *us, unsigned int after)
{
	uint64_t before = reactor_counters(r)->asked;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask, us), 0);
	usleep(after);
	while (reactor_counters(r)->asked == before)
		reactor_pass(r);
	pthread_join(thread, NULL);
}

/* Comes before what is asked, in the same batch, and makes that late. */
static void pass_inside(struct reactor_call *call)
{
	(void)call;
	for (int i = 0; i < 3; i++)
		reactor_pass(r);
}

/* What threads wait for is counted: how long that took, and whether it was not
 * in the pass that followed. Our own are plain calls. */
static void what_is_asked_is_counted(void **state)
{
	const struct reactor_counters *c = reactor_counters(r);
	struct reactor_call nested = { .fn = pass_inside };
	unsigned int us = 3000;

	(void)state;
	reactor_run(r, take_time, &us);
	assert_int_equal(c->asked, 0);
	reactor_pass(r);
	ask_once(&us, 0);
	assert_int_equal(c->asked, 1);
	assert_int_equal(c->asked_late, 0);
	assert_true(c->asked_held_ns >= 3 * MS);
	assert_true(c->asked_longest_ns >= c->asked_held_ns);
	/* The thread may be too late itself to be one that waits. */
	for (unsigned int i = 0; i < 50 && !c->asked_late; i++) {
		reactor_post(r, &nested);
		ask_once(&us, 10000 * i);
	}
	assert_int_equal(c->asked_late, 1);
}

#define POSTERS 4
#define POSTS 20000

struct poster {
	struct reactor_call call;
	atomic_uint posted; /* changes made before each post */
	unsigned int seen;  /* by the reactor */
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
		reactor_post(r, &poster->call);
	}
	return NULL;
}

/* No post is lost: after the last one, its change has been seen. */
static void posts_of_many_threads_all_arrive(void **state)
{
	struct poster posters[POSTERS] = { 0 };
	pthread_t threads[POSTERS], runner;

	(void)state;
	assert_int_equal(pthread_create(&runner, NULL, run_loop, NULL), 0);
	for (int i = 0; i < POSTERS; i++) {
		posters[i].call.fn = run_poster;
		assert_int_equal(pthread_create(&threads[i], NULL, post_often,
						&posters[i]), 0);
	}
	for (int i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	reactor_stop(r);
	pthread_join(runner, NULL);
	for (int i = 0; i < POSTERS; i++) {
		assert_int_equal(posters[i].seen, POSTS);
		assert_true(posters[i].run >= 1 && posters[i].run <= POSTS);
	}
}

static void check_current(void *arg)
{
	*(bool *)arg = reactor_is_current(r);
	note('x');
}

static void run_waits_for_the_reactor(void **state)
{
	bool on_thread = false;
	pthread_t runner;

	(void)state;
	assert_int_equal(pthread_create(&runner, NULL, run_loop, NULL), 0);
	reactor_run(r, check_current, &on_thread);
	assert_true(on_thread);
	assert_string_equal(order, "x");
	assert_false(reactor_is_current(r));
	reactor_stop(r);
	pthread_join(runner, NULL);
}

static void run_on_its_own_thread_is_a_call(void **state)
{
	bool on_thread = false;

	(void)state;
	reactor_run(r, check_current, &on_thread);
	assert_true(on_thread);
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
}

static void timers_run_by_deadline_and_never_early(void **state)
{
	struct letter_timer t[4] = { { { .fn = timer_letter }, 'a', 0 },
				     { { .fn = timer_letter }, 'b', 0 },
				     { { .fn = timer_letter }, 'c', 0 },
				     { { .fn = timer_letter }, 'd', 0 } };
	uint64_t now = reactor_now();

	(void)state;
	reactor_timer_arm(r, &t[3].timer, now + 40 * MS);
	reactor_timer_arm(r, &t[1].timer, now + 20 * MS);
	reactor_timer_arm(r, &t[0].timer, now + 10 * MS);
	reactor_timer_arm(r, &t[2].timer, now + 20 * MS); /* behind b */
	pass_until("abcd");
	assert_true(t[0].ran_at >= now + 10 * MS);
	assert_true(t[1].ran_at >= now + 20 * MS);
	assert_true(t[3].ran_at >= now + 40 * MS);
	assert_true(t[3].ran_at < now + SECOND);
	assert_false(t[0].timer.armed);
}

/* The kernel knows of the later deadline when the sooner one is armed. */
static void a_sooner_timer_moves_the_timeout(void **state)
{
	struct letter_timer t[2] = { { { .fn = timer_letter }, 'a', 0 },
				     { { .fn = timer_letter }, 'b', 0 } };
	uint64_t now = reactor_now();

	(void)state;
	reactor_timer_arm(r, &t[0].timer, now + 1000 * SECOND);
	assert_false(reactor_pass(r));
	reactor_timer_arm(r, &t[1].timer, now + 5 * MS);
	assert_false(reactor_pass(r));
	assert_true(poll_file_is_readable(1000));
	pass_until("b");
	reactor_timer_cancel(r, &t[0].timer);
}

static void timers_move_and_are_cancelled(void **state)
{
	struct letter_timer t[3] = { { { .fn = timer_letter }, 'a', 0 },
				     { { .fn = timer_letter }, 'b', 0 },
				     { { .fn = timer_letter }, 'c', 0 } };
	uint64_t now = reactor_now();

	(void)state;
	reactor_timer_arm(r, &t[0].timer, now + 1 * MS);
	reactor_timer_arm(r, &t[1].timer, now + 2 * MS);
	reactor_timer_arm(r, &t[2].timer, now + 10 * MS);
	reactor_timer_arm(r, &t[0].timer, now + 20 * MS); /* behind c */
	reactor_timer_cancel(r, &t[1].timer);
	reactor_timer_cancel(r, &t[1].timer); /* harmless */
	pass_until("ca");
}

/* Passes, the poll file. */

static void an_idle_pass_makes_no_system_call(void **state)
{
	struct letter_timer later = { { .fn = timer_letter }, 'a', 0 };
	uint64_t enters;

	(void)state;
	reactor_timer_arm(r, &later.timer, reactor_now() + 1000 * SECOND);
	reactor_pass(r);
	enters = reactor_counters(r)->enters;
	for (int i = 0; i < 100; i++)
		assert_false(reactor_pass(r));
	assert_int_equal(reactor_counters(r)->enters, enters);
	reactor_timer_cancel(r, &later.timer);
}

struct letter_op {
	struct uring_op op;
	int32_t res;
	unsigned int done;
};

static void op_done(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct letter_op *mine = (struct letter_op *)op;

	(void)extra;
	mine->res = res;
	mine->done++;
	note('o');
}

static void prep_read(struct io_uring_sqe *sqe, uint8_t opcode, int fd,
		      void *to, uint32_t len)
{
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)to;
	sqe->len = len;
}

/* Completions that the pass fetches itself must not cancel the next entry. */
static void own_completions_do_not_wake(void **state)
{
	struct letter_op nop = { { op_done }, -1, 0 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		uring_sqe(r, &nop.op)->opcode = IORING_OP_NOP;
		assert_false(reactor_pass(r));
		assert_int_equal(nop.done, i + 1);
		assert_false(poll_file_is_readable(0));
	}
	assert_int_equal(nop.res, 0);
	assert_int_equal(reactor_counters(r)->enters, 3);
}

/* There is always work, and each system call of the reactor takes longer than a
 * slice: VTL0 gets to run all the same. */
struct slow_read {
	struct uring_op op; /* first */
	bool again;
	int random;
	char *to;
};

#define SLOW_READ (128u << 10)

static void read_slowly(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct slow_read *slow = (struct slow_read *)op;

	(void)extra;
	assert_true(res > 0); /* less where a signal came */
	if (slow->again)
		prep_read(uring_sqe(r, op), IORING_OP_READ, slow->random,
			  slow->to, SLOW_READ);
}

static void slow_system_calls_leave_the_guest_a_slice(void **state)
{
	struct slow_read slow = {
		{ read_slowly }, true, open("/dev/urandom", O_RDONLY),
		malloc(SLOW_READ),
	};
	uint64_t wakes, starved = 0;

	(void)state;
	assert_true(slow.random >= 0 && slow.to);
	read_slowly(&slow.op, SLOW_READ, 0);
	do {
		wakes = reactor_counters(r)->wakes;
		assert_true(reactor_pass(r));
	} while (reactor_counters(r)->wakes > wakes && ++starved < 20);
	assert_in_range(starved, 1, 10);
	slow.again = false;
	assert_false(reactor_pass(r));
	close(slow.random);
	free(slow.to);
}

/* The kernel hands over 20 completions at a time, and signals none as long as it
 * has others: before VTL0 has its slice all are fetched. */
#define TASKS 340
static unsigned int nr_done;

static void many_done(struct uring_op *op, int32_t res, uint64_t extra)
{
	(void)op;
	(void)extra;
	assert_true(res > 0);
	nr_done++;
}

static void nothing_is_left_with_the_kernel(void **state)
{
	struct uring_op op = { many_done };
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t one = 1, enters;

	(void)state;
	assert_true(fd >= 0);
	for (unsigned int i = 0; i < TASKS; i++) {
		struct io_uring_sqe *sqe = uring_sqe(r, &op);

		prep_read(sqe, IORING_OP_POLL_ADD, fd, NULL, 0);
		sqe->poll32_events = POLLIN;
	}
	assert_false(reactor_pass(r));
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	assert_true(reactor_pass(r));
	assert_in_range(nr_done, 1, TASKS - 1);
	enters = reactor_counters(r)->enters;
	assert_false(reactor_pass(r));
	assert_int_equal(nr_done, TASKS);
	/* That of the slice may have come. */
	assert_in_range(reactor_counters(r)->enters - enters, 0, 1);
	close(fd);
}

static void *write_later(void *arg)
{
	usleep(20000);
	assert_int_equal(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

static void a_completion_wakes_and_is_fetched(void **state)
{
	struct letter_op read_op = { { op_done }, -1, 0 };
	pthread_t writer;
	char byte = 0;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	prep_read(uring_sqe(r, &read_op.op), IORING_OP_READ, fds[0], &byte, 1);
	assert_false(reactor_pass(r));
	assert_false(poll_file_is_readable(0));
	assert_int_equal(pthread_create(&writer, NULL, write_later, &fds[1]),
			 0);
	assert_true(poll_file_is_readable(2000));
	pass_until("o");
	assert_int_equal(read_op.res, 1);
	assert_int_equal(byte, 'x');
	pthread_join(writer, NULL);
	close(fds[0]);
	close(fds[1]);
}

#define MANY 1000 /* more than the submission ring holds */

static void more_requests_than_the_ring_holds(void **state)
{
	static struct letter_op nops[MANY];
	unsigned int passes = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		struct io_uring_sqe *sqe;

		nops[i].op.done = op_done;
		sqe = uring_sqe(r, &nops[i].op);
		assert_non_null(sqe);
		sqe->opcode = IORING_OP_NOP;
	}
	while (reactor_pass(r) && passes < MANY)
		passes++;
	assert_in_range(passes, 1, 10); /* budget, and an end */
	for (int i = 0; i < MANY; i++)
		assert_int_equal(nops[i].done, 1);
}

/* Watches. */

struct pipe_watch {
	struct reactor_watch watch;
	char letter;
	unsigned int reads; /* bytes to read per call */
	bool removes;
};

static void pipe_readable(struct reactor_watch *watch)
{
	struct pipe_watch *mine = (struct pipe_watch *)watch;
	char byte;

	note(mine->letter);
	for (unsigned int i = 0; i < mine->reads; i++)
		assert_int_equal(read(watch->fd, &byte, 1), 1);
	if (mine->removes)
		reactor_watch_remove(r, watch);
}

static void a_watch_is_called_as_long_as_readable(void **state)
{
	struct pipe_watch watch = { { .fn = pipe_readable }, 'w', 1, false };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	watch.watch.fd = fds[0];
	assert_int_equal(reactor_watch_add(r, &watch.watch), 0);
	assert_false(reactor_pass(r));
	assert_string_equal(order, "");
	assert_false(poll_file_is_readable(0));
	assert_int_equal(write(fds[1], "xyz", 3), 3);
	assert_true(poll_file_is_readable(1000));
	pass_until("www");
	assert_false(reactor_pass(r));
	reactor_watch_remove(r, &watch.watch);
	assert_false(reactor_pass(r));
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_false(poll_file_is_readable(10));
	assert_false(reactor_pass(r));
	assert_string_equal(order, "www");
	close(fds[0]);
	close(fds[1]);
}

static void a_watch_may_remove_itself(void **state)
{
	struct pipe_watch watch = { { .fn = pipe_readable }, 'w', 0, true };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	watch.watch.fd = fds[0];
	close(fds[1]); /* hang-up counts as readable, for ever */
	assert_int_equal(reactor_watch_add(r, &watch.watch), 0);
	pass_until("w");
	for (int i = 0; i < 10; i++)
		reactor_pass(r);
	assert_string_equal(order, "w");
	/* Its place is free again. */
	assert_int_equal(pipe(fds), 0);
	close(fds[1]);
	assert_int_equal(reactor_watch_add(r, &watch.watch), 0);
	pass_until("ww");
}

static void watches_are_limited_and_come_back(void **state)
{
	struct pipe_watch watches[65];
	int fds[65][2], n;

	(void)state;
	memset(watches, 0, sizeof(watches));
	for (n = 0; n < 65; n++) {
		assert_int_equal(pipe(fds[n]), 0);
		watches[n].watch.fn = pipe_readable;
		watches[n].watch.fd = fds[n][0];
		if (reactor_watch_add(r, &watches[n].watch))
			break;
	}
	assert_int_equal(n, 64);
	assert_int_equal(reactor_watch_add(r, &watches[64].watch), -EMFILE);
	for (n = 0; n < 64; n++)
		reactor_watch_remove(r, &watches[n].watch);
	while (reactor_pass(r))
		;
	for (n = 0; n < 64; n++)
		assert_int_equal(reactor_watch_add(r, &watches[n].watch), 0);
	for (n = 0; n < 64; n++)
		reactor_watch_remove(r, &watches[n].watch);
	for (n = 0; n < 65; n++) {
		close(fds[n][0]);
		close(fds[n][1]);
	}
}

/* Registered buffers. */

#define RAM_SIZE (4u << 20)

static void *clone_and_read(void *arg)
{
	struct reactor *first = r, *second = reactor_create(1);
	struct guest_memory *memory = arg;
	struct letter_op op = { { op_done }, -1, 0 };
	int fd = open("/dev/zero", O_RDONLY);
	uint8_t *at = memory->range[1].va + 4096;
	struct io_uring_sqe *sqe;

	assert_non_null(second);
	assert_int_equal(reactor_open(second, memory, first), 0);
	assert_int_equal(uring_buffer(second, at, 4096), 1);
	memset(at - 1, 0xff, 4098);
	sqe = uring_sqe(second, &op.op);
	prep_read(sqe, IORING_OP_READ_FIXED, fd, at, 4096);
	sqe->buf_index = 1;
	while (!op.done)
		if (!reactor_pass(second))
			reactor_wait(second, reactor_now() + SECOND);
	assert_int_equal(op.res, 4096);
	assert_int_equal(at[-1], 0xff);
	assert_int_equal(at[0], 0);
	assert_int_equal(at[4095], 0);
	assert_int_equal(at[4096], 0xff);
	reactor_close(second);
	reactor_destroy(second);
	close(fd);
	return NULL;
}

static void guest_memory_is_registered_and_shared(void **state)
{
	struct guest_memory memory = { 0 };
	pthread_t other;
	uint8_t *va[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		va[i] = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(va[i] != MAP_FAILED);
		assert_int_equal(guest_memory_add(&memory,
						  (uint64_t)i << 32, RAM_SIZE,
						  va[i]), 0);
	}
	assert_int_equal(reactor_open(r, &memory, NULL), 0);
	assert_int_equal(uring_buffer(r, va[0], RAM_SIZE), 0);
	assert_int_equal(uring_buffer(r, va[1] + RAM_SIZE - 1, 1), 1);
	assert_int_equal(uring_buffer(r, va[1] + RAM_SIZE - 1, 2), -EFAULT);
	assert_int_equal(uring_buffer(r, va[0] + RAM_SIZE, 0),
			 va[1] == va[0] + RAM_SIZE ? 1 : -EFAULT);
	assert_int_equal(uring_buffer(r, va[0], UINT64_MAX), -EFAULT);
	assert_int_equal(uring_buffer(r, &memory, 1), -EFAULT);
	assert_int_equal(pthread_create(&other, NULL, clone_and_read, &memory),
			 0);
	pthread_join(other, NULL);
	reactor_close(r);
	munmap(va[0], RAM_SIZE);
	munmap(va[1], RAM_SIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_CLOSED(name) \
	cmocka_unit_test_setup_teardown(name, set_up_closed, tear_down_closed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(calls_run_in_order_and_once),
		TEST(a_call_posted_in_a_pass_runs_in_it),
		TEST(a_pass_is_bounded),
		TEST(what_is_asked_is_counted),
		TEST_CLOSED(posts_of_many_threads_all_arrive),
		TEST_CLOSED(run_waits_for_the_reactor),
		TEST(run_on_its_own_thread_is_a_call),
		TEST(timers_run_by_deadline_and_never_early),
		TEST(a_sooner_timer_moves_the_timeout),
		TEST(timers_move_and_are_cancelled),
		TEST(an_idle_pass_makes_no_system_call),
		TEST(own_completions_do_not_wake),
		TEST(slow_system_calls_leave_the_guest_a_slice),
		TEST(nothing_is_left_with_the_kernel),
		TEST(a_completion_wakes_and_is_fetched),
		TEST(more_requests_than_the_ring_holds),
		TEST(a_watch_is_called_as_long_as_readable),
		TEST(a_watch_may_remove_itself),
		TEST(watches_are_limited_and_come_back),
		TEST_CLOSED(guest_memory_is_registered_and_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
