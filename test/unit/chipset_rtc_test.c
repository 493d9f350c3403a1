/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/chipset/rtc.c */
/* Real-time clock: reading, setting, and what happens while it is stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "paravisor/chipset/rtc.h"

static struct rtc rtc;
static int64_t host_time;

static int64_t wall_clock(void *opaque)
{
	assert_ptr_equal(opaque, &rtc);
	return host_time;
}

/* 2026-11-20 14:59:58 UTC, a Friday. */
#define FRIDAY 1795186798

static int setup(void **state)
{
	(void)state;
	host_time = FRIDAY;
	rtc_init(&rtc, wall_clock, &rtc);
	return 0;
}

static uint8_t get(uint8_t index)
{
	rtc_write(&rtc, 0, 1, index);
	return rtc_read(&rtc, 1, 1);
}

static void put(uint8_t index, uint8_t value)
{
	rtc_write(&rtc, 0, 1, index);
	rtc_write(&rtc, 1, 1, value);
}

static void assert_time(uint8_t century, uint8_t year, uint8_t month,
			uint8_t day, uint8_t hour, uint8_t minute,
			uint8_t second)
{
	assert_int_equal(get(0x32), century);
	assert_int_equal(get(9), year);
	assert_int_equal(get(8), month);
	assert_int_equal(get(7), day);
	assert_int_equal(get(4), hour);
	assert_int_equal(get(2), minute);
	assert_int_equal(get(0), second);
}

static void reads_bcd(void **state)
{
	(void)state;
	assert_time(0x20, 0x26, 0x11, 0x20, 0x14, 0x59, 0x58);
	assert_int_equal(get(6), 6); /* Sunday is 1 */
	host_time += 2;
	assert_time(0x20, 0x26, 0x11, 0x20, 0x15, 0x00, 0x00);
}

static void reads_binary(void **state)
{
	(void)state;
	put(0x0b, 0x06);
	assert_time(20, 26, 11, 20, 14, 59, 58);
}

static void status_registers(void **state)
{
	(void)state;
	assert_int_equal(get(0x0a), 0x26);
	assert_int_equal(get(0x0b), 0x02);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(get(0x0d), 0x80);
	put(0x0a, 0xff); /* never in progress */
	assert_int_equal(get(0x0a), 0x7f);
	put(0x0b, 0x70); /* no interrupts, always 24 hours */
	assert_int_equal(get(0x0b), 0x02);
	put(0x0d, 0);
	assert_int_equal(get(0x0d), 0x80);
}

/* As Linux sets it: stop, write, start. */
static void set_while_stopped(void **state)
{
	(void)state;
	put(0x0b, 0x82);
	put(0x32, 0x19);
	put(9, 0x99);
	put(8, 0x12);
	put(7, 0x31);
	put(4, 0x23);
	put(2, 0x59);
	put(0, 0x59);
	host_time += 100; /* stopped is stopped */
	assert_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
	put(0x0b, 0x02);
	assert_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
	host_time += 1;
	assert_time(0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
	assert_int_equal(get(6), 7); /* 2000-01-01 was a Saturday */
}

static void set_while_running(void **state)
{
	(void)state;
	put(4, 0x01);
	assert_time(0x20, 0x26, 0x11, 0x20, 0x01, 0x59, 0x58);
	host_time += 2;
	assert_time(0x20, 0x26, 0x11, 0x20, 0x02, 0x00, 0x00);
}

/* Any byte may be written; time goes on from somewhere. */
static void nonsense(void **state)
{
	uint8_t second;

	(void)state;
	for (unsigned int value = 0; value < 256; value++) {
		setup(NULL);
		put(0x0b, value & 1 ? 0x86 : 0x82);
		for (unsigned int index = 0; index < 10; index++)
			put(index, value);
		put(0x32, value);
		put(0x0b, 0x06);
		second = get(0);
		assert_true(second < 60);
		assert_true(get(8) >= 1 && get(8) <= 12);
		host_time++;
		assert_int_equal(get(0), (second + 1) % 60);
	}
}

static void memory(void **state)
{
	(void)state;
	put(0x40, 0xa5);
	put(0x7f, 0x5a);
	put(0x01, 0x12); /* alarm: kept, does nothing */
	assert_int_equal(get(0x40), 0xa5);
	assert_int_equal(get(0xff), 0x5a); /* bit 7 is the NMI mask */
	assert_int_equal(get(0x01), 0x12);
	assert_int_equal(rtc_read(&rtc, 0, 1), 0xff);
	/* Both ports at once. */
	rtc_write(&rtc, 0, 2, 0x7741);
	assert_int_equal(get(0x41), 0x77);
	rtc_write(&rtc, 0, 1, 0x41);
	assert_int_equal(rtc_read(&rtc, 0, 2), 0x77ff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_bcd, setup),
		cmocka_unit_test_setup(reads_binary, setup),
		cmocka_unit_test_setup(status_registers, setup),
		cmocka_unit_test_setup(set_while_stopped, setup),
		cmocka_unit_test_setup(set_while_running, setup),
		cmocka_unit_test_setup(nonsense, setup),
		cmocka_unit_test_setup(memory, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
