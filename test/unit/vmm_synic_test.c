/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/synic.c */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/vmm/vp.h"

#define SIMP_GPA 0x1000u
#define SIEFP_GPA 0x2000u
#define SINT 2
#define VECTOR 0xf3

static struct machine m;
static struct vp vp;
static struct vp_vtl *vv;
static _Alignas(HV_PAGE_SIZE) uint8_t ram[4 * HV_PAGE_SIZE];
static _Atomic unsigned int interrupts;
static uint8_t last_vector;

/* What synic.c needs of the rest. */

void *machine_ram(struct machine *machine, enum vtl vtl, uint64_t gpa,
		  size_t size)
{
	(void)machine;
	(void)vtl;
	return gpa + size <= sizeof(ram) ? ram + gpa : NULL;
}

void vp_interrupt(struct machine *machine, enum vtl vtl, unsigned int index,
		  uint8_t vector)
{
	(void)machine;
	assert_int_equal(vtl, VTL0);
	assert_int_equal(index, 0);
	last_vector = vector;
	interrupts++;
}

static int set_up(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	memset(&vp, 0, sizeof(vp));
	memset(ram, 0, sizeof(ram));
	m.config.vps = 1;
	m.vps = &vp;
	vp.m = &m;
	vv = vp_in(&vp, VTL0);
	vv->vp = &vp;
	vv->vtl = VTL0;
	synic_init(&vv->synic);
	synic_write_siefp(vv, SIEFP_GPA | HV_MSR_PAGE_ENABLE);
	synic_write_simp(vv, SIMP_GPA | HV_MSR_PAGE_ENABLE);
	synic_write_control(vv, HV_SCONTROL_ENABLE);
	synic_write_sint(vv, SINT, VECTOR);
	interrupts = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	synic_destroy(&vv->synic);
	return 0;
}

static struct hv_message *slot(void)
{
	return (struct hv_message *)(ram + SIMP_GPA) + SINT;
}

static int post(uint32_t value)
{
	return synic_post(&m, VTL0, 0, SINT, 1, &value, sizeof(value));
}

static uint32_t slot_value(void)
{
	uint32_t value;

	memcpy(&value, slot()->payload, sizeof(value));
	return value;
}

/* What a guest does: true if it had to write EOM. */
static bool empty_slot(void)
{
	atomic_store(guest_word(slot()), HV_MESSAGE_NONE);
	if (!(atomic_load((_Atomic uint8_t *)&slot()->header.flags) &
	      HV_MESSAGE_PENDING))
		return false;
	synic_end_of_message(vv);
	return true;
}

static void test_message_is_delivered(void **state)
{
	(void)state;
	assert_int_equal(post(77), 0);
	assert_int_equal(le32_to_cpu(slot()->header.type), 1);
	assert_int_equal(slot()->header.payload_size, 4);
	assert_int_equal(slot()->header.flags, 0);
	assert_int_equal(slot_value(), 77);
	assert_int_equal(interrupts, 1);
	assert_int_equal(last_vector, VECTOR);
}

static void test_messages_keep_their_order(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(post(i), 0);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(slot_value(), i);
		assert_int_equal(interrupts, i + 1);
		assert_int_equal(empty_slot(), i < 4);
	}
	assert_int_equal(le32_to_cpu(slot()->header.type), HV_MESSAGE_NONE);
}

static void test_queue_is_bounded(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < SYNIC_QUEUE + 1; i++)
		assert_int_equal(post(i), 0); /* one of them in the slot */
	assert_int_equal(post(99), -EAGAIN);
	empty_slot();
	assert_int_equal(post(99), 0);
}

static void test_bad_arguments(void **state)
{
	uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE + 1] = { 0 };

	(void)state;
	assert_int_equal(synic_post(&m, VTL0, 1, SINT, 1, payload, 4),
			 -EINVAL);
	assert_int_equal(synic_post(&m, VTL0, 0, 16, 1, payload, 4), -EINVAL);
	assert_int_equal(synic_post(&m, VTL0, 0, SINT, 1, payload,
				    sizeof(payload)), -EINVAL);
	synic_signal(&m, VTL0, 1, SINT, 0);
	synic_signal(&m, VTL0, 0, SINT, 2048);
	assert_int_equal(interrupts, 0);
}

static void test_masked_messages_wait(void **state)
{
	(void)state;
	synic_write_sint(vv, SINT, HV_SINT_MASKED | VECTOR);
	assert_int_equal(post(5), 0);
	assert_int_equal(le32_to_cpu(slot()->header.type), HV_MESSAGE_NONE);
	synic_write_sint(vv, SINT, VECTOR);
	assert_int_equal(slot_value(), 5);
	assert_int_equal(interrupts, 1);
}

static void test_disabled_pages_wait(void **state)
{
	(void)state;
	synic_write_control(vv, 0);
	assert_int_equal(post(6), 0);
	assert_int_equal(interrupts, 0);
	synic_write_control(vv, HV_SCONTROL_ENABLE);
	assert_int_equal(slot_value(), 6);
	/* Off drops what waits, as the guest that wanted it is gone. */
	assert_int_equal(post(7), 0);
	synic_write_simp(vv, 0);
	synic_write_simp(vv, SIMP_GPA | HV_MSR_PAGE_ENABLE);
	assert_int_equal(le32_to_cpu(slot()->header.type), HV_MESSAGE_NONE);
}

static void test_page_outside_of_ram(void **state)
{
	(void)state;
	synic_write_simp(vv, 0xfffff000 | HV_MSR_PAGE_ENABLE);
	synic_write_siefp(vv, 0xfffff000 | HV_MSR_PAGE_ENABLE);
	assert_int_equal(post(1), 0);
	synic_signal(&m, VTL0, 0, SINT, 1);
	assert_int_equal(interrupts, 0);
}

static void test_polling_sint_is_silent(void **state)
{
	(void)state;
	synic_write_sint(vv, SINT, HV_SINT_POLLING);
	assert_int_equal(post(8), 0);
	assert_int_equal(slot_value(), 8);
	assert_int_equal(interrupts, 0);
}

static void test_flag_interrupts_once(void **state)
{
	uint8_t *flags = ram + SIEFP_GPA + SINT * HV_EVENT_FLAGS_BYTES;
	bool newly;

	(void)state;
	assert_int_equal(synic_signal_direct(vv, SINT, 17, &newly),
			 HV_STATUS_SUCCESS);
	assert_true(newly);
	assert_int_equal(flags[2], 1 << 1);
	synic_signal_direct(vv, SINT, 17, &newly);
	assert_false(newly);
	assert_int_equal(interrupts, 1);
	flags[2] = 0;
	synic_signal_direct(vv, SINT, 17, &newly);
	assert_true(newly);
	assert_int_equal(interrupts, 2);
}

static void test_flag_of_masked_sint_interrupts_later(void **state)
{
	(void)state;
	synic_write_sint(vv, SINT, HV_SINT_MASKED | VECTOR);
	synic_signal(&m, VTL0, 0, SINT, 2047);
	assert_int_equal(interrupts, 0);
	synic_write_sint(vv, SINT, VECTOR);
	assert_int_equal(interrupts, 1);
}

static void test_direct_post(void **state)
{
	struct hv_message message = {
		.header = { .type = cpu_to_le32(9), .payload_size = 1 },
	};

	(void)state;
	assert_int_equal(synic_post_direct(vv, SINT, &message),
			 HV_STATUS_SUCCESS);
	assert_int_equal(synic_post_direct(vv, SINT, &message),
			 HV_STATUS_OBJECT_IN_USE);
	assert_int_equal(synic_post_direct(vv, 16, &message),
			 HV_STATUS_INVALID_PARAMETER);
	message.header.payload_size = 241;
	assert_int_equal(synic_post_direct(vv, SINT, &message),
			 HV_STATUS_INVALID_PARAMETER);
	message.header.payload_size = 1;
	synic_write_sint(vv, SINT, HV_SINT_MASKED);
	assert_int_equal(synic_post_direct(vv, SINT, &message),
			 HV_STATUS_INVALID_SYNIC_STATE);
}

static void test_deliverable_is_told_once(void **state)
{
	struct hv_message message = { .header.type = cpu_to_le32(9) };

	(void)state;
	synic_post_direct(vv, SINT, &message);
	synic_want(vv, 1u << SINT);
	assert_int_equal(synic_take_deliverable(vv), 0);
	assert_true(empty_slot()); /* the pending flag was set */
	assert_int_equal(synic_take_deliverable(vv), 1u << SINT);
	assert_int_equal(synic_take_deliverable(vv), 0);
	/* Free at once. */
	synic_want(vv, 1u << SINT);
	assert_int_equal(synic_take_deliverable(vv), 1u << SINT);
}

/* A guest empties the slot while a host fills it: each message once, in order,
 * and the last one does not get stuck. */

#define MESSAGES 30000

static void *host(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < MESSAGES; i++)
		while (post(i) == -EAGAIN)
			sched_yield();
	return NULL;
}

static void test_slot_race(void **state)
{
	pthread_t thread;
	unsigned int idle = 0;
	uint32_t expected = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, host, NULL), 0);
	while (expected < MESSAGES && idle < 50000000) {
		if (!atomic_load(guest_word(slot()))) {
			idle++;
			sched_yield();
			continue;
		}
		idle = 0;
		assert_int_equal(slot_value(), expected);
		expected++;
		empty_slot();
	}
	assert_int_equal(expected, MESSAGES);
	pthread_join(thread, NULL);
	assert_int_equal(interrupts, MESSAGES);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(test_message_is_delivered),
		CASE(test_messages_keep_their_order),
		CASE(test_queue_is_bounded),
		CASE(test_bad_arguments),
		CASE(test_masked_messages_wait),
		CASE(test_disabled_pages_wait),
		CASE(test_page_outside_of_ram),
		CASE(test_polling_sint_is_silent),
		CASE(test_flag_interrupts_once),
		CASE(test_flag_of_masked_sint_interrupts_later),
		CASE(test_direct_post),
		CASE(test_deliverable_is_told_once),
		CASE(test_slot_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
