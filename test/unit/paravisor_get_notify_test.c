/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/get_notify.c paravisor/get_settings.c paravisor/violation.c paravisor/log.c */
/* Reports to the host: what is sent, in what order, and when not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "paravisor/get_notify.h"
#include "stderr_capture.h"

struct message_pipe {
	uint8_t message[16][12 + GET_RESULT_MAX];
	size_t size[16];
	unsigned int count, room;
};

static struct message_pipe host;
static struct get_notify get;

int pipe_send(struct message_pipe *pipe, const void *message, size_t size)
{
	if (!pipe->room)
		return -EAGAIN;
	assert_true(size <= sizeof(pipe->message[0]) && pipe->count < 16);
	pipe->room--;
	memcpy(pipe->message[pipe->count], message, size);
	pipe->size[pipe->count++] = size;
	return 0;
}

/* A reactor that runs when the test says so. */
static struct reactor *const reactor = (struct reactor *)&host;
static struct reactor_call *posted;
static struct reactor_timer *armed;
static uint64_t deadline;

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	assert_ptr_equal(r, reactor);
	posted = call;
}

uint64_t reactor_now(void)
{
	return 1000;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t when)
{
	assert_ptr_equal(r, reactor);
	armed = timer;
	deadline = when;
}

static void run_posted(void)
{
	struct reactor_call *call = posted;

	assert_non_null(call);
	posted = NULL;
	call->fn(call);
}

static int setup(void **state)
{
	(void)state;
	host = (struct message_pipe){ .room = 16 };
	posted = NULL;
	armed = NULL;
	get_notify_init(&get);
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	get_settings_clear(&get.update);
	captured_stderr();
	return 0;
}

static void from_host(const void *message, size_t size)
{
	get_notify_lock(&get);
	get.user.ops->received(&get.user, message, size);
	get_notify_unlock(&get);
}

static void start(void)
{
	get_notify_lock(&get);
	get_notify_start(&get, &host);
	get_notify_unlock(&get);
	/* VERSION 4.2 */
	assert_int_equal(host.size[0], 8);
	assert_memory_equal(host.message[0], "\1\2\1\0\2\0\4\0", 8);
	from_host("\1\3\1\0\1\0", 6);
	/* TIME, before all that waited */
	assert_true(host.count >= 2);
	assert_memory_equal(host.message[1], "\1\2\2\0", 4);
}

static void each_report(void **state)
{
	const uint64_t parameter[5] = { 1, 2, 3, 4, 0x0102030405060708 };
	struct host_notify *h = &get.host;

	(void)state;
	start();
	h->ops->started(h, NULL);
	assert_int_equal(host.size[2], 12);
	assert_memory_equal(host.message[2], "\1\1\7\0\0\0\0\0\0\0\0\0", 12);
	h->ops->power_off(h);
	assert_memory_equal(host.message[3], "\1\1\1\0\0\0", 6);
	h->ops->again(h);
	h->ops->reset(h);
	assert_int_equal(host.size[4], 4);
	assert_memory_equal(host.message[4], "\1\1\2\0", 4);
	h->ops->again(h);
	h->ops->triple_fault(h, 3);
	assert_memory_equal(host.message[5],
			    "\1\1\x9\0\3\0\0\0\1\0\0\0\0\0\0\0", 16);
	h->ops->again(h);
	h->ops->crash(h, 2, 1ull << 63, parameter);
	assert_int_equal(host.size[6], 64);
	assert_memory_equal(host.message[6], "\1\1\x8\0\2\0\0\0\0\0\0\0", 12);
	assert_memory_equal(host.message[6] + 16, "\0\0\0\0\0\0\0\x80", 8);
	assert_memory_equal(host.message[6] + 24, "\1\0\0\0\0\0\0\0", 8);
	assert_memory_equal(host.message[6] + 56, "\x8\7\6\5\4\3\2\1", 8);
}

static void first_end_counts(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	start();
	h->ops->power_off(h);
	h->ops->triple_fault(h, 0);
	h->ops->reset(h);
	assert_int_equal(host.count, 3);
	assert_int_equal(get.dropped, 2);
}

/* A guest that says that it crashed goes on, until it ends: both are told. */
static void crash_is_no_end(void **state)
{
	const uint64_t parameter[5] = { 1, 2, 3, 4, 5 };
	struct host_notify *h = &get.host;
	const char *said;

	(void)state;
	start();
	h->ops->crash(h, 0, 1ull << 63, parameter);
	h->ops->power_off(h);
	assert_int_equal(host.count, 4);
	assert_memory_equal(host.message[2], "\1\1\x8\0", 4);
	assert_memory_equal(host.message[3], "\1\1\1\0", 4);
	h->ops->again(h);
	h->ops->crash(h, 0, 1ull << 63, parameter);
	h->ops->triple_fault(h, 0);
	assert_int_equal(host.count, 6);
	assert_memory_equal(host.message[4], "\1\1\x8\0", 4);
	assert_memory_equal(host.message[5], "\1\1\x9\0", 4);
	assert_int_equal(get.dropped, 0);
	/* Once in a life, and then without a word. */
	h->ops->again(h);
	captured_stderr();
	capture_stderr();
	for (unsigned int i = 0; i < 100; i++)
		h->ops->crash(h, 0, 1ull << 63, parameter);
	assert_int_equal(host.count, 7);
	assert_int_equal(get.dropped, 99);
	said = captured_stderr();
	capture_stderr();
	assert_true(is_one_line(said));
}

static void reports_wait_for_the_version(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	h->ops->started(h, "a/b");
	h->ops->reset(h);
	assert_int_equal(host.count, 0);
	start();
	from_host("\1\3\2\0", 4); /* time, cut short: refused */
	assert_int_equal(get.refused, 1);
	assert_int_equal(host.count, 4);
	assert_int_equal(host.size[2], 12 + 3);
	assert_memory_equal(host.message[2], "\1\1\7\0\1\0\0\0\3\0\0\0a/b",
			    15);
	assert_memory_equal(host.message[3], "\1\1\2\0", 4);
}

/* As much of it as the protocol takes; none is a failure as well. */
static void why_it_did_not_start(void **state)
{
	struct host_notify *h = &get.host;
	char why[GET_RESULT_MAX + 2];

	(void)state;
	start();
	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	h->ops->started(h, why);
	assert_int_equal(host.size[2], 12 + GET_RESULT_MAX);
	assert_memory_equal(host.message[2], "\1\1\7\0\1\0\0\0\0\4\0\0",
			    12);
	assert_memory_equal(host.message[2] + 12, why, GET_RESULT_MAX);
	h->ops->started(h, "");
	assert_int_equal(host.size[3], 12);
	assert_memory_equal(host.message[3], "\1\1\7\0\1\0\0\0\0\0\0\0",
			    12);
}

static void reports_wait_for_room(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	start();
	host.room = 0;
	for (unsigned int i = 0; i < GET_NOTIFY_QUEUE + 2; i++)
		h->ops->started(h, NULL);
	assert_int_equal(host.count, 2);
	assert_int_equal(get.dropped, 2);
	host.room = 3;
	get.user.ops->room(&get.user);
	assert_int_equal(host.count, 5);
	host.room = 16;
	get.user.ops->room(&get.user);
	assert_int_equal(host.count, 2 + GET_NOTIFY_QUEUE);
}

static void end_waits_for_the_console(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	get_notify_drain_on(&get, reactor);
	start();
	get_notify_busy(&get, 0, true);
	get_notify_busy(&get, 1, true);
	h->ops->started(h, NULL); /* is no end */
	assert_int_equal(host.count, 3);
	h->ops->power_off(h);
	assert_int_equal(host.count, 3);
	run_posted();
	assert_int_equal(deadline, 1000 + GET_NOTIFY_DRAIN_NS);
	get_notify_busy(&get, 1, false);
	assert_int_equal(host.count, 3);
	get_notify_busy(&get, 0, false);
	assert_int_equal(host.count, 4);
	armed->fn(armed); /* too late to matter */
	assert_int_equal(host.count, 4);
}

static void end_waits_not_for_ever(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	get_notify_drain_on(&get, reactor);
	start();
	get_notify_busy(&get, 0, true);
	h->ops->power_off(h);
	run_posted();
	armed->fn(armed);
	assert_int_equal(host.count, 3);
	/* The next end waits anew. */
	h->ops->again(h);
	h->ops->power_off(h);
	assert_int_equal(host.count, 3);
}

static void host_clock(void **state)
{
	/* 100 ns since 1601; 2000-01-01 is 11644473600 + 946684800 s. */
	uint64_t utc = (11644473600ull + 946684800) * 10000000;
	uint8_t response[32] = { 1, 3, 2, 0 };
	int64_t before = time(NULL), now;

	(void)state;
	now = get_notify_wall_clock(&get);
	assert_true(now >= before && now <= before + 5);
	start();
	memcpy(response + 16, &utc, 8);
	from_host(response, sizeof(response));
	now = get_notify_wall_clock(&get);
	assert_true(now >= 946684800 && now <= 946684805);
	/* Nonsense changes nothing. */
	memset(response + 16, 0, 8);
	from_host(response, sizeof(response));
	memset(response + 16, 0xff, 8);
	from_host(response, sizeof(response));
	assert_int_equal(get.refused, 2);
	now = get_notify_wall_clock(&get);
	assert_true(now >= 946684800 && now <= 946684805);
}

static void nobody_listens(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	h->ops->started(h, NULL);
	get_notify_absent(&get);
	h->ops->power_off(h);
	assert_int_equal(get.dropped, 2);
	assert_int_equal(host.count, 0);
}

static void host_says_no(void **state)
{
	struct host_notify *h = &get.host;

	(void)state;
	get_notify_start(&get, &host);
	from_host("\1\3\1\0\0\0", 6);
	assert_true(get.gone);
	h->ops->power_off(h);
	assert_int_equal(host.count, 1);
	assert_int_equal(get.dropped, 1);
	get.user.ops->gone(&get.user); /* once is enough */
}

/* What settings() was called with. */
static char got[GET_SETTINGS_MAX];
static size_t got_len;
static unsigned int got_count;

static void take_settings(void *opaque, const char *json, size_t len)
{
	assert_ptr_equal(opaque, &got_len);
	memcpy(got, json, len);
	got_len = len;
	got_count++;
}

static void start_with_settings(void)
{
	got_count = 0;
	get.settings = take_settings;
	get.settings_opaque = &got_len;
	start();
	host.count = 0;
}

/* One piece; `says` is its size as its header has it. */
static void piece(uint32_t state, const char *text, size_t len, uint32_t says)
{
	static uint8_t message[12 + GET_SETTINGS_MAX];
	struct get_modify_settings_rev1 head = {
		.header = { 1, 4, cpu_to_le16(6) },
		.size = cpu_to_le32(says),
		.state = cpu_to_le32(state),
	};

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), text, len);
	from_host(message, sizeof(head) + len);
}

static void assert_result(uint8_t status, const char *error)
{
	size_t len = error ? strlen(error) : 0;
	uint8_t expected[12] = { 1, 1, 6, 0, status, 0, 0, 0,
				 (uint8_t)len, (uint8_t)(len >> 8) };

	assert_int_equal(host.count, 1);
	assert_int_equal(host.size[0], 12 + len);
	assert_memory_equal(host.message[0], expected, 12);
	assert_memory_equal(host.message[0] + 12, error ? error : "", len);
	host.count = 0;
}

static void assert_answer(const char *error)
{
	assert_result(error ? 1 : 0, error);
}

static void settings_in_pieces_and_whole(void **state)
{
	(void)state;
	start_with_settings();
	piece(1, "{\"ver", 5, 5);
	piece(1, "", 0, 0);
	piece(0, "sion\":1}", 8, 8);
	assert_int_equal(got_count, 1);
	assert_int_equal(got_len, 13);
	assert_memory_equal(got, "{\"version\":1}", 13);
	assert_int_equal(host.count, 0); /* not before they are applied */
	get_notify_settings_done(&get, true, NULL);
	assert_answer(NULL);
	/* In the message that knows no pieces. */
	from_host("\1\4\5\0\2\0\0\0{}", 10);
	assert_int_equal(got_count, 2);
	assert_memory_equal(got, "{}", got_len);
	get_notify_settings_done(&get, false, "/version: must be there");
	assert_answer("/version: must be there");
	/* They hold, and something is to be said all the same. */
	from_host("\1\4\5\0\2\0\0\0{}", 10);
	get_notify_settings_done(&get, true, "/nics: later");
	assert_result(0, "/nics: later");
	assert_int_equal(get.refused, 0);
}

static void settings_as_big_as_may_be(void **state)
{
	static char text[GET_PAYLOAD_MAX];

	(void)state;
	start_with_settings();
	for (unsigned int i = 0; i < 8; i++) {
		memset(text, 'a' + (int)i, sizeof(text));
		piece(i < 7, text, sizeof(text), sizeof(text));
	}
	assert_int_equal(got_len, GET_SETTINGS_MAX);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(got[i * 8192], 'a' + i);
		assert_int_equal(got[i * 8192 + 8191], 'a' + i);
	}
	get_notify_settings_done(&get, true, NULL);
	assert_answer(NULL);
	/* One byte more: refused when the last piece has come. */
	for (unsigned int i = 0; i < 8; i++)
		piece(1, text, sizeof(text), sizeof(text));
	assert_int_equal(host.count, 0);
	piece(0, "x", 1, 1);
	assert_answer("settings: more than 65536 bytes");
	assert_int_equal(got_count, 1);
}

static void broken_sequences_of_settings(void **state)
{
	(void)state;
	start_with_settings();
	/* A length that is not the message's, either way. */
	piece(1, "{", 1, 2);
	piece(1, "}", 1, 0);
	assert_int_equal(host.count, 0);
	piece(0, "}", 1, 1);
	assert_answer("settings: a piece is not as long as it says");
	piece(0, "{}", 2, 0xffffffff);
	assert_answer("settings: a piece is not as long as it says");
	piece(2, "{}", 2, 2);
	assert_answer("settings: the state of a piece is 0 or 1");
	piece(1, "{", 1, 1);
	from_host("\1\4\5\0\2\0\0\0{}", 10);
	assert_answer("settings: a whole one between pieces");
	from_host("\1\4\6\0\0\0\0\0", 8);
	assert_answer("settings: a piece shorter than its header");
	from_host("\1\4\5\0\0\0\0", 7);
	assert_answer("settings: a piece shorter than its header");
	assert_int_equal(got_count, 0);
	assert_int_equal(get.refused, 6);
	/* And then a good one. */
	piece(0, "{}", 2, 2);
	assert_int_equal(got_count, 1);
	get_notify_settings_done(&get, true, NULL);
	assert_answer(NULL);
}

static void one_change_of_settings_at_a_time(void **state)
{
	(void)state;
	start_with_settings();
	piece(0, "{}", 2, 2);
	piece(1, "a", 1, 1);
	assert_int_equal(got_count, 1);
	get_notify_settings_done(&get, true, NULL);
	assert_answer(NULL);
	/* The rest of what began meanwhile is no beginning. */
	piece(0, "b", 1, 1);
	assert_int_equal(got_count, 1);
	assert_int_equal(host.count, 0);
	assert_int_equal(get.refused, 2);
	piece(0, "{}", 2, 2);
	assert_int_equal(got_count, 2);
	get_notify_settings_done(&get, true, NULL);
}

static void answer_to_settings_waits_for_room(void **state)
{
	static char text[GET_RESULT_MAX + 100];

	(void)state;
	start_with_settings();
	piece(0, "{}", 2, 2);
	host.room = 0;
	memset(text, 'e', sizeof(text) - 1);
	get_notify_settings_done(&get, false, text);
	assert_int_equal(host.count, 0);
	host.room = 1;
	get.user.ops->room(&get.user);
	text[GET_RESULT_MAX] = '\0'; /* no more than that is sent */
	assert_answer(text);
	host.room = 1;
	get.user.ops->room(&get.user);
	assert_int_equal(host.count, 0);
}

static void nobody_takes_settings(void **state)
{
	(void)state;
	start();
	host.count = 0;
	piece(0, "{}", 2, 2);
	assert_answer("settings: none are taken while the guest runs");
}

static void settings_of_a_host_that_goes(void **state)
{
	(void)state;
	start_with_settings();
	piece(0, "{}", 2, 2);
	get.user.ops->gone(&get.user);
	get_notify_settings_done(&get, true, NULL);
	assert_int_equal(host.count, 0);
	assert_int_equal(get.dropped, 1);
}

/* Before the version is agreed nothing is asked of us. */
static void settings_too_early(void **state)
{
	(void)state;
	get.settings = take_settings;
	get.settings_opaque = &got_len;
	got_count = 0;
	get_notify_start(&get, &host);
	piece(0, "{}", 2, 2);
	assert_int_equal(got_count, 0);
	assert_int_equal(get.refused, 1);
	assert_int_equal(host.count, 1);
}

static void odd_messages(void **state)
{
	uint8_t bytes[40];
	uint64_t x = 88172645463325252ull;

	(void)state;
	start();
	from_host("", 0);
	from_host("\1\3", 2);
	from_host("\2\3\1\0\1\0", 6);
	from_host("\1\1\5\0", 4); /* a request of the host */
	assert_int_equal(get.refused, 4);
	for (unsigned int i = 0; i < 100000; i++) {
		for (unsigned int n = 0; n < sizeof(bytes); n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[n] = n < 4 ? x % 7 : x;
		}
		host.count = 0;
		host.room = 16;
		from_host(bytes, x % 41);
	}
	assert_true(get.refused > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(each_report),
		T(first_end_counts),
		T(crash_is_no_end),
		T(reports_wait_for_the_version),
		T(why_it_did_not_start),
		T(reports_wait_for_room),
		T(end_waits_for_the_console),
		T(end_waits_not_for_ever),
		T(host_clock),
		T(nobody_listens),
		T(host_says_no),
		T(settings_in_pieces_and_whole),
		T(settings_as_big_as_may_be),
		T(broken_sequences_of_settings),
		T(one_change_of_settings_at_a_time),
		T(answer_to_settings_waits_for_room),
		T(nobody_takes_settings),
		T(settings_of_a_host_that_goes),
		T(settings_too_early),
		T(odd_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
