/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/host_sint.c paravisor/log.c test/unit/reactor_inline.c */
/*
 * Messages of the host's SINT: all are read before the reactor waits again,
 * and not more than a batch at a time. The kernel is a stand-in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <hv_reg.h>

#include "paravisor/host_sint.h"
#include "paravisor/mshv.h"
#include "test/unit/reactor_inline.h"

static struct host_sint hs;
static struct reactor *reactor;
static struct reactor_watch *watched;
static unsigned int waiting, taken, reads;
static uint32_t type;
static int error, post_result;

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	assert_ptr_equal(r, reactor);
	watched = watch;
	return 0;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	assert_ptr_equal(r, reactor);
	assert_ptr_equal(watch, watched);
	watched = NULL;
}

int mshv_sint_open(void)
{
	return 1000; /* nobody's */
}

int mshv_sint_read(int fd, struct hv_message *message)
{
	assert_int_equal(fd, 1000);
	reads++;
	if (error)
		return error;
	if (!waiting)
		return -EAGAIN;
	waiting--;
	memset(message, 0, sizeof(*message));
	message->header.type = cpu_to_le32(type);
	message->header.payload_size = 12;
	message->payload[0] = 0x77;
	return 0;
}

int mshv_sint_post(int fd, uint32_t connection, uint32_t message_type,
		   const void *payload, size_t size)
{
	assert_int_equal(fd, 1000);
	assert_int_equal(connection, 0x800074);
	assert_int_equal(message_type, 1);
	assert_int_equal(size, 3);
	assert_memory_equal(payload, "abc", 3);
	return post_result;
}

static void message_came(void *opaque, const void *payload, size_t size)
{
	assert_ptr_equal(opaque, &taken);
	assert_int_equal(size, 12);
	assert_int_equal(((const uint8_t *)payload)[0], 0x77);
	taken++;
}

static int setup(void **state)
{
	(void)state;
	waiting = taken = reads = 0;
	error = post_result = 0;
	type = 1;
	reactor = reactor_inline_create();
	assert_int_equal(host_sint_open(&hs, reactor), 0);
	assert_int_equal(host_sint_listen(&hs, message_came, &taken), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	reactor_inline_drain();
	reactor_inline_destroy(reactor);
	return 0;
}

static void all_are_read(void **state)
{
	(void)state;
	waiting = 3;
	watched->fn(watched);
	assert_int_equal(taken, 3);
	/* The kernel wakes for what comes after a read that found none. */
	assert_int_equal(reads, 4);
}

static void others_get_their_turn(void **state)
{
	(void)state;
	waiting = 100;
	watched->fn(watched);
	assert_int_equal(taken, 64);
	reactor_inline_drain();
	assert_int_equal(taken, 100);
}

static void strays_are_counted(void **state)
{
	(void)state;
	type = HV_MESSAGE_NONE + 2;
	waiting = 1;
	watched->fn(watched);
	assert_int_equal(taken, 0);
	assert_int_equal(hs.strays, 1);
}

static void a_dead_device_is_left(void **state)
{
	(void)state;
	error = -EPIPE;
	watched->fn(watched);
	assert_null(watched);
	assert_int_equal(reads, 1);
}

static void posts_say_what_the_kernel_says(void **state)
{
	(void)state;
	assert_int_equal(host_sint_post(&hs, 0x800074, "abc", 3), 0);
	post_result = -EBADF;
	assert_int_equal(host_sint_post(&hs, 0x800074, "abc", 3), -EBADF);
}

/* What the hypervisor refuses for now, for good, or perhaps. */
static void posts_say_what_the_hypervisor_says(void **state)
{
	static const struct {
		int status, err;
	} says[] = {
		{ HV_STATUS_INSUFFICIENT_BUFFERS, -EAGAIN },
		{ 0x0b, -EAGAIN }, /* memory */
		{ HV_STATUS_INVALID_CONNECTION_ID, -ENXIO },
		{ HV_STATUS_INVALID_PARAMETER, -EIO },
		{ HV_STATUS_ACCESS_DENIED, -EIO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		post_result = says[i].status;
		assert_int_equal(host_sint_post(&hs, 0x800074, "abc", 3),
				 says[i].err);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_are_read),
		TEST(others_get_their_turn),
		TEST(strays_are_counted),
		TEST(a_dead_device_is_left),
		TEST(posts_say_what_the_kernel_says),
		TEST(posts_say_what_the_hypervisor_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
