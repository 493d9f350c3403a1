/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/get_device.c test/vmm/get_update.c paravisor/log.c test/unit/reactor_inline.c */
/* The host's end of the guest emulation transport. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <get_reg.h>

#include "paravisor/main_settings.h"
#include "reactor_inline.h"
#include "stderr_capture.h"
#include "test/vmm/get_device.h"
#include "test/vmm/pipe_device.h"

#define NS_PER_S 1000000000ull

/* The pipe: what was sent, and for how many more messages there is room. */
static uint8_t sent[16][12 + GET_PAYLOAD_MAX];
static size_t sent_size[16];
static unsigned int nr_sent, has_room;
static int send_error;

int pipe_send(struct message_pipe *pipe, const void *message, size_t size)
{
	(void)pipe;
	if (send_error)
		return send_error;
	if (!has_room)
		return -EAGAIN;
	assert_true(nr_sent < 16 && size <= sizeof(sent[0]));
	has_room--;
	memcpy(sent[nr_sent], message, size);
	sent_size[nr_sent++] = size;
	return 0;
}

static struct pipe_device *device;
static const struct pipe_device_ops *device_ops;

void pipe_device_init(struct pipe_device *pd, const struct pipe_device_ops *ops,
		      const struct guid *interface, const struct guid *instance)
{
	(void)interface;
	(void)instance;
	device = pd;
	device_ops = ops;
}

static int stopped;
static char stop_line[700];

void machine_stop(struct machine *m, int status, const char *why, ...)
{
	va_list args;

	(void)m;
	va_start(args, why);
	vsnprintf(stop_line, sizeof(stop_line), why, args);
	va_end(args);
	stopped = status;
}

static struct reactor *loop;
static struct get_device *get;
static struct pipe_user *user;

static unsigned int done;
static char error[GET_RESULT_MAX + 1];

static void update_done(void *opaque, const char *why)
{
	assert_ptr_equal(opaque, &done);
	done++;
	strcpy(error, why ? why : "");
}

static int setup(void **state)
{
	(void)state;
	has_room = 16;
	nr_sent = done = 0;
	send_error = 0;
	stopped = -1;
	loop = reactor_inline_create();
	get = get_device_create(NULL, loop);
	user = device_ops->opened(device);
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	user->ops->gone(user);
	device_ops->closed(device);
	get_device_destroy(get);
	reactor_inline_destroy(loop); /* no timer is left */
	return 0;
}

static void from_vtl2(const void *message, size_t size)
{
	user->ops->received(user, message, size);
}

static void agree(void)
{
	from_vtl2("\1\2\1\0\2\0\4\0", 8);
	assert_int_equal(nr_sent, 1);
	assert_memory_equal(sent[0], "\1\3\1\0\1\0", 6);
	nr_sent = 0;
}

static const char *start(const char *text, size_t len)
{
	return get_device_settings(get, text, len, update_done, &done);
}

static void completed(uint32_t status, const char *text, uint32_t says)
{
	uint8_t message[12 + 2000];
	struct get_modify_settings_completed head = {
		.header = { 1, 1, cpu_to_le16(6) },
		.status = cpu_to_le32(status),
		.result_size = cpu_to_le32(says),
	};

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), text, strlen(text));
	from_vtl2(message, sizeof(head) + strlen(text));
}

static void requests_and_ends(void **state)
{
	(void)state;
	from_vtl2("\1\2\2\0", 4); /* time, without a version */
	assert_int_equal(nr_sent, 0);
	agree();
	from_vtl2("\1\2\2\0", 4);
	assert_int_equal(sent_size[0], 32);
	from_vtl2("\1\1\1\0\0\0", 6);
	assert_int_equal(stopped, VMM_OK);
	from_vtl2("\1\1\x9\0\3\0\0\0\1\0\0\0\0\0\0\0", 16);
	assert_int_equal(stopped, VMM_GUEST_CRASHED);
}

/* Which and why is in the line that vmm ends with. */
static void vtl0_does_not_start(void **state)
{
	(void)state;
	agree();
	from_vtl2("\1\1\7\0\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(stopped, -1);
	from_vtl2("\1\1\7\0\1\0\0\0\4\0\0\0/a\n:", 16);
	assert_int_equal(stopped, VMM_BAD_INPUT);
	assert_string_equal(stop_line, "VTL2 could not start VTL0: /a?:");
	from_vtl2("\1\1\7\0\1\0\0\0\0\0\0\0", 12);
	assert_string_equal(stop_line, "VTL2 could not start VTL0");
}

static void settings_are_applied(void **state)
{
	(void)state;
	agree();
	assert_null(start("{\"version\":1}", 13));
	assert_int_equal(nr_sent, 1);
	assert_int_equal(sent_size[0], 12 + 13);
	assert_memory_equal(sent[0], "\1\4\6\0\xd\0\0\0\0\0\0\0{\"version\":1}",
			    25);
	assert_int_equal(done, 0);
	assert_string_equal(start("{}", 2), "another update is under way");
	completed(0, "", 0);
	assert_int_equal(done, 1);
	assert_string_equal(error, "");
	/* One answer is enough. */
	completed(0, "", 0);
	assert_int_equal(done, 1);
	reactor_inline_advance(2 * GET_UPDATE_DEADLINE_S * NS_PER_S);
	assert_int_equal(done, 1);
	assert_null(start("{}", 2));
	completed(1, "/version: is missing", 20);
	assert_int_equal(done, 2);
	assert_string_equal(error, "/version: is missing");
	/* They hold, and some of it is still to come. */
	captured_stderr();
	capture_stderr();
	assert_null(start("{}", 2));
	completed(0, "/nics: one\nfollows", 18);
	assert_int_equal(done, 3);
	assert_string_equal(error, "");
	assert_non_null(strstr(captured_stderr(), "/nics: one?follows"));
	capture_stderr();
}

/* More than a message and the ring hold. */
static void settings_in_pieces(void **state)
{
	static char text[GET_SETTINGS_MAX + 1], back[GET_SETTINGS_MAX];
	unsigned int pieces = 0;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	agree();
	assert_non_null(strstr(start(text, sizeof(text)), "65536"));
	assert_non_null(strstr(start(text, 0), "65536"));
	has_room = 3;
	assert_null(start(text, GET_SETTINGS_MAX));
	assert_int_equal(nr_sent, 3);
	completed(0, "", 0); /* of what? */
	assert_int_equal(done, 0);
	has_room = 16;
	user->ops->room(user);
	assert_int_equal(nr_sent, 8);
	for (; pieces < nr_sent; pieces++) {
		struct get_modify_settings_rev1 head;

		memcpy(&head, sent[pieces], sizeof(head));
		assert_int_equal(le32_to_cpu(head.state), pieces < 7);
		assert_int_equal(le32_to_cpu(head.size),
				 sent_size[pieces] - sizeof(head));
		memcpy(back + at, sent[pieces] + sizeof(head),
		       le32_to_cpu(head.size));
		at += le32_to_cpu(head.size);
	}
	assert_int_equal(at, sizeof(back));
	assert_memory_equal(back, text, sizeof(back));
	completed(0, "", 0);
	assert_int_equal(done, 1);
	user->ops->room(user);
	assert_int_equal(nr_sent, 8);
}

static void no_answer_is_an_answer_in_time(void **state)
{
	(void)state;
	agree();
	assert_null(start("{}", 2));
	/* VTL2 answers in time, whatever it waits for. */
	reactor_inline_advance((MAIN_SETTINGS_SECONDS + 5) * NS_PER_S);
	assert_int_equal(done, 0);
	reactor_inline_advance(GET_UPDATE_DEADLINE_S * NS_PER_S);
	assert_int_equal(done, 1);
	assert_string_equal(error, "no answer of VTL2 within 90 s");
	/* Its answer would be taken for the next one's. */
	assert_string_equal(start("{}", 2), "another update is under way");
	completed(0, "", 0);
	assert_int_equal(done, 1);
	assert_null(start("{}", 2));
	completed(0, "", 0);
	assert_int_equal(done, 2);
	assert_string_equal(error, "");
}

static void nobody_there(void **state)
{
	(void)state;
	assert_non_null(strstr(start("{}", 2), "has not opened"));
	agree();
	assert_null(start("{}", 2));
	user->ops->gone(user);
	assert_int_equal(done, 1);
	assert_string_equal(error, "VTL2 closed the transport");
	assert_non_null(strstr(start("{}", 2), "has not opened"));
	device_ops->closed(device);
	user = device_ops->opened(device);
	nr_sent = 0;
	agree();
	send_error = -EPIPE;
	assert_null(start("{}", 2));
	assert_int_equal(done, 2);
	assert_string_equal(error, "VTL2 broke the transport");
	assert_int_equal(nr_sent, 0);
}

static void odd_answers(void **state)
{
	char text[1501];

	(void)state;
	agree();
	assert_null(start("{}", 2));
	completed(1, "abc", 4);
	completed(2, "abc", 3);
	from_vtl2("\1\1\6\0\0\0\0\0", 8);
	assert_int_equal(done, 0);
	completed(1, "a\n\"\x80z", 5);
	assert_int_equal(done, 1);
	assert_string_equal(error, "a?\"?z");
	assert_null(start("{}", 2));
	completed(1, "", 0);
	assert_string_equal(error, "VTL2 does not say why");
	assert_null(start("{}", 2));
	memset(text, 'x', 1500);
	text[1500] = '\0';
	completed(1, text, 1500);
	assert_int_equal(strlen(error), GET_RESULT_MAX);
}

static void anything_at_all(void **state)
{
	uint8_t bytes[40];
	uint64_t x = 88172645463325252ull;

	(void)state;
	agree();
	for (unsigned int i = 0; i < 100000; i++) {
		nr_sent = 0;
		has_room = 16;
		start("{}", 2);
		for (unsigned int n = 0; n < sizeof(bytes); n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			bytes[n] = n >= 12 ? x : x % 4 ? 0 : x >> 8 & 7;
		}
		if (i % 2)
			memcpy(bytes, "\1\1\6\0", 4);
		from_vtl2(bytes, x % 41);
	}
	assert_true(done > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(requests_and_ends),
		T(vtl0_does_not_start),
		T(settings_are_applied),
		T(settings_in_pieces),
		T(no_answer_is_an_answer_in_time),
		T(nobody_there),
		T(odd_answers),
		T(anything_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
