/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/ic_heartbeat.c test/vmm/ic_time.c test/unit/reactor_inline.c paravisor/inspect.c paravisor/log.c */
/*
 * Heartbeat and time of a guest that is paused; what is below them (ic.c, see
 * vmm_ic_test) is played here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reactor_inline.h"
#include "stderr_capture.h"
#include "test/vmm/ic_services.h"

#define SECOND 1000000000ull

static struct heartbeat_service heartbeat;
static struct time_service time_service;
static struct reactor *loop;

/* The last request, until it is answered. */
static struct {
	unsigned int nr;
	ic_answered *answered;
	uint8_t flags; /* time only */
} sent[2];

void ic_init(struct ic *ic, const struct ic_ops *ops, struct reactor *r)
{
	ic->ops = ops;
	ic->loop = r;
	ic->state = IC_READY;
	ic->version = ops->versions[0];
}

static unsigned int number_of(const struct ic *ic)
{
	return ic == &time_service.ic;
}

const char *ic_request(struct ic *ic, const void *body, size_t size,
		       unsigned int seconds, ic_answered *answered)
{
	struct ic_time time;

	(void)seconds;
	assert_null(ic->answered);
	if (ic == &time_service.ic && size == sizeof(time)) {
		memcpy(&time, body, sizeof(time));
		sent[1].flags = time.flags;
	}
	ic->answered = answered;
	sent[number_of(ic)].nr++;
	return NULL;
}

uint64_t reference_time(const struct machine *m);
uint64_t reference_time(const struct machine *m)
{
	(void)m;
	return 0;
}

/* The guest answers, or `error`: nobody did in time. */
static void answer(struct ic *ic, const char *error)
{
	const struct ic_answer nothing = { .error = error };
	ic_answered *answered = ic->answered;

	assert_non_null(answered);
	ic->answered = NULL;
	answered(ic, &nothing);
}

static int set_up(void **state)
{
	(void)state;
	loop = reactor_inline_create();
	memset(sent, 0, sizeof(sent));
	heartbeat_service_init(&heartbeat, loop);
	time_service_init(&time_service, NULL, loop);
	heartbeat.ic.ops->ready(&heartbeat.ic);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	heartbeat.ic.ops->gone(&heartbeat.ic);
	time_service.ic.ops->gone(&time_service.ic);
	reactor_inline_destroy(loop);
	return 0;
}

static void a_paused_guest_has_not_lost_its_heartbeat(void **state)
{
	(void)state;
	capture_stderr();
	reactor_inline_advance(2 * SECOND);
	assert_int_equal(sent[0].nr, 1);
	answer(&heartbeat.ic, NULL);
	reactor_inline_advance(2 * SECOND);
	assert_int_equal(sent[0].nr, 2);
	/* What was asked before is not missed, and nothing more is. */
	heartbeat_service_pause(&heartbeat, true);
	answer(&heartbeat.ic, "too late");
	for (unsigned int i = 0; i < 100; i++)
		reactor_inline_advance(SECOND);
	assert_int_equal(sent[0].nr, 2);
	assert_int_equal(heartbeat.state, HEARTBEAT_BEATS);
	heartbeat_service_pause(&heartbeat, false);
	reactor_inline_advance(2 * SECOND);
	assert_int_equal(sent[0].nr, 3);
	assert_string_equal(captured_stderr(), "");
	capture_stderr();
	answer(&heartbeat.ic, "too late");
	assert_int_equal(heartbeat.state, HEARTBEAT_LOST);
	assert_int_equal(heartbeat.losses, 1);
	assert_true(is_one_line(captured_stderr()));
}

/* Its clock has stood: it is set, by the offset that was told last. Nobody waits
 * for that. */
static void the_time_after_a_pause(void **state)
{
	(void)state;
	assert_null(time_service_set(&time_service, 60, NULL, NULL));
	reactor_inline_advance(0);
	assert_int_equal(sent[1].nr, 1);
	answer(&time_service.ic, NULL);
	assert_null(time_service_set(&time_service, time_service.offset, NULL,
				     NULL));
	reactor_inline_advance(0);
	assert_int_equal(sent[1].nr, 2);
	assert_int_equal(sent[1].flags, TIME_FLAG_SYNC);
	assert_int_equal(time_service.offset, 60);
	answer(&time_service.ic, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_paused_guest_has_not_lost_its_heartbeat),
		TEST(the_time_after_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
