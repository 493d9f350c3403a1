/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/trace.c paravisor/inspect.c paravisor/log.c */
/* The exit trace: what is kept, what is gone, and that a reader who comes
 * between the writer's steps gets a whole record or none. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <hv_reg.h>
#include <pv/inspect.h>

#include "paravisor/trace.h"

#define RACE_NS 300000000ull
#define HYPERCALL 1u

static struct trace_ring ring;
static struct trace trace;

static int fresh(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	trace_init(&trace, &ring);
	return 0;
}

/* All that a record holds follows from its number. */
static void add(uint64_t number)
{
	trace_begin(&trace, number % 3, number % 2, ~number);
	trace_what(&trace, number << 8, 0);
	trace_value(&trace, number * number);
	trace_end(&trace);
}

static void check(const struct trace_exit *e, uint64_t number)
{
	assert_int_equal(e->number, number);
	assert_int_equal(e->reason, number % 3);
	assert_int_equal(e->access, number % 2);
	assert_int_equal(e->rip, ~number);
	assert_int_equal(e->qualifier, number << 8);
	assert_int_equal(e->value, number * number);
}

static void nothing_yet(void **state)
{
	struct trace_exit e;

	(void)state;
	assert_int_equal(trace_newest(&ring), 0);
	assert_int_equal(trace_read(&ring, 0, &e), -ENOENT);
	assert_int_equal(trace_read(&ring, 1, &e), -ENOENT);
	assert_int_equal(trace_read(&ring, UINT64_MAX, &e), -ENOENT);
}

static void wraps(void **state)
{
	struct trace_exit e;
	uint64_t time = 0;

	(void)state;
	for (uint64_t i = 1; i <= 3 * TRACE_RECORDS + 7; i++) {
		uint64_t oldest = i < TRACE_RECORDS ? 1 : i - TRACE_RECORDS + 1;

		add(i);
		assert_int_equal(trace_newest(&ring), i);
		assert_int_equal(trace_read(&ring, i, &e), 0);
		check(&e, i);
		assert_true(e.ns > 0);
		assert_true(e.time >= time);
		time = e.time;
		assert_int_equal(trace_read(&ring, oldest, &e), 0);
		check(&e, oldest);
		assert_int_equal(trace_read(&ring, oldest - 1, &e), -ENOENT);
		assert_int_equal(trace_read(&ring, i + 1, &e), -ENOENT);
	}
}

/* What an exit is about is there before its answer, which may never come. */
static void under_way(void **state)
{
	struct trace_exit e;

	(void)state;
	trace_begin(&trace, 2, HV_INTERCEPT_ACCESS_WRITE, 0x1234);
	assert_int_equal(trace_read(&ring, 1, &e), 0);
	assert_int_equal(e.rip, 0x1234);
	assert_int_equal(e.qualifier, 0);
	assert_int_equal(e.ns, 0);
	trace_what(&trace, 0x3f8, 'a');
	assert_int_equal(trace_read(&ring, 1, &e), 0);
	assert_int_equal(e.qualifier, 0x3f8);
	assert_int_equal(e.value, 'a');
	assert_int_equal(e.ns, 0);
	assert_int_equal(trace_spent(&ring, 2), 0);
	trace_end(&trace);
	assert_int_equal(trace_read(&ring, 1, &e), 0);
	assert_true(e.ns > 0);
	assert_true(trace_spent(&ring, 2) > 0);
	assert_int_equal(trace_spent(&ring, 1), 0);
}

/* A new exit's fields do not show through an old one's. */
static void clean(void **state)
{
	struct trace_exit e;

	(void)state;
	for (uint64_t i = 1; i <= TRACE_RECORDS; i++)
		add(i);
	trace_begin(&trace, 0, 0, 0);
	assert_int_equal(trace_read(&ring, TRACE_RECORDS + 1, &e), 0);
	assert_int_equal(e.qualifier, 0);
	assert_int_equal(e.value, 0);
	assert_int_equal(e.ns, 0);
}

/* The writer has been stopped in its first step: its slot's old record is
 * there, byte by byte, and yet nobody may believe it. */
static void overwritten_while_read(void **state)
{
	struct trace_exit e;

	(void)state;
	for (uint64_t i = 1; i <= TRACE_RECORDS; i++)
		add(i);
	assert_int_equal(trace_read(&ring, 1, &e), 0);
	atomic_store(&ring.begun, TRACE_RECORDS + 1);
	assert_int_equal(trace_read(&ring, 1, &e), -ENOENT);
	assert_int_equal(trace_read(&ring, 2, &e), 0);
	check(&e, 2);
	/* ... and the new one is not there yet. */
	assert_int_equal(trace_read(&ring, TRACE_RECORDS + 1, &e), -ENOENT);
}

static atomic_bool stop;

static void *writer(void *arg)
{
	uint64_t *written = arg;

	while (!atomic_load(&stop))
		add(++*written);
	return NULL;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The newest, which is half written, and the oldest, which is being
 * overwritten, while a writer runs that waits for nobody. */
static void race(void **state)
{
	uint64_t written = 0, read = 0, gone = 0, until = now() + RACE_NS;
	pthread_t thread;
	struct trace_exit e;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, writer, &written), 0);
	while (now() < until) {
		uint64_t newest = trace_newest(&ring);
		uint64_t at = newest > TRACE_RECORDS ?
				      newest - TRACE_RECORDS + 1 : 1;

		for (uint64_t i = at; i < at + 8; i++) {
			if (trace_read(&ring, i, &e)) {
				gone++;
				continue;
			}
			if (!e.ns)
				continue;
			check(&e, i);
			read++;
		}
		if (trace_read(&ring, newest, &e))
			continue;
		assert_int_equal(e.rip, ~newest);
		assert_int_equal(e.reason, newest % 3);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	print_message("written %llu, read %llu, gone %llu\n",
		      (unsigned long long)written, (unsigned long long)read,
		      (unsigned long long)gone);
	assert_true(written > TRACE_RECORDS);
	assert_true(read > 0);
	assert_true(gone > 0);
	assert_int_equal(trace_newest(&ring), written);
}

/* ---- in inspect ---- */

static const struct trace_names names = {
	.reason = { "port", "hypercall" }, .hypercall = HYPERCALL,
};

static void describe(void *object, struct inspect *out)
{
	unsigned int n = 2;

	(void)object;
	if (!inspect_begin_newest(out, "trace", &n))
		return;
	trace_describe(&ring, &names, n, out);
	inspect_end(out);
}

static struct inspect_entry vp0 = { "vp0", describe, NULL, NULL };

static const char *ask(const char *path)
{
	static char json[4096];

	return inspect_render(path, 9, json, sizeof(json)) < 0 ? NULL : json;
}

static void shown(void **state)
{
	const char *json;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		trace_begin(&trace, 0, HV_INTERCEPT_ACCESS_WRITE, 0x1000 + i);
		trace_what(&trace, 0xcf8, i);
		trace_end(&trace);
	}
	trace_begin(&trace, HYPERCALL, HV_INTERCEPT_ACCESS_EXECUTE, 0x2000);
	trace_what(&trace, HV_CALL_POST_MESSAGE, 4 | 14ull << 32);
	trace_end(&trace);

	assert_string_equal(ask("vp0/trace/2/3/qualifier"), "\"0xcf8\"");
	assert_null(ask("vp0/trace/3/reason")); /* the 3 is how many */
	assert_null(ask("vp0/trace/1/3/reason"));
	assert_string_equal(ask("vp0/trace/9/1/rip"), "\"0x1000\"");
	assert_string_equal(ask("vp0/trace/1/4/call"), "\"PostMessage\"");
	assert_string_equal(ask("vp0/trace/1/4/message"), "14");
	assert_string_equal(ask("vp0/trace/0"), "{}");
	json = ask("vp0/trace");
	assert_non_null(json);
	assert_null(strstr(json, "\"2\":"));
	assert_non_null(strstr(json, "\"3\":{\"tsc\":"));
	assert_true(strstr(json, "\"3\":") < strstr(json, "\"4\":"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_yet, fresh),
		cmocka_unit_test_setup(wraps, fresh),
		cmocka_unit_test_setup(under_way, fresh),
		cmocka_unit_test_setup(clean, fresh),
		cmocka_unit_test_setup(overwritten_while_read, fresh),
		cmocka_unit_test_setup(race, fresh),
		cmocka_unit_test_setup(shown, fresh),
	};

	inspect_register(&vp0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
