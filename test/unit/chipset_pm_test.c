/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/chipset/pm.c paravisor/log.c */
/* ACPI fixed hardware. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "paravisor/chipset/pm.h"
#include "stderr_capture.h"

#define STATUS 0
#define ENABLE 2
#define CONTROL 4
#define TIMER 8
#define SECOND 1000000000ull

static struct pm pm;
static uint64_t clock_now;
static bool sci;
static unsigned int edges, power_offs, resets;

static uint64_t now(void)
{
	return clock_now;
}

static void on_sci(void *opaque, bool level)
{
	assert_ptr_equal(opaque, &pm);
	assert_true(level != sci);
	sci = level;
	edges++;
}

static void on_power_off(void *opaque)
{
	assert_ptr_equal(opaque, &pm);
	power_offs++;
}

static void on_reset(void *opaque)
{
	assert_ptr_equal(opaque, &pm);
	resets++;
}

static const struct pm_ops ops = { on_sci, on_power_off, on_reset };

static int setup(void **state)
{
	(void)state;
	clock_now = 12345 * SECOND;
	sci = false;
	edges = power_offs = resets = 0;
	pm_init(&pm, &ops, &pm, now);
	return 0;
}

static void at_power_up(void **state)
{
	(void)state;
	assert_int_equal(pm_read(&pm, STATUS, 2), 0);
	assert_int_equal(pm_read(&pm, ENABLE, 2), 0);
	assert_int_equal(pm_read(&pm, CONTROL, 2), 1); /* SCI_EN */
	assert_int_equal(pm_read(&pm, TIMER, 4), 0);
	assert_int_equal(pm_read(&pm, 6, 2), 0xffff);
}

static void global_lock(void **state)
{
	(void)state;
	pm_write(&pm, ENABLE, 2, 1 << 5);
	assert_false(sci);
	pm_write(&pm, CONTROL, 2, 1 | 1 << 2);
	assert_true(sci);
	assert_int_equal(pm_read(&pm, STATUS, 2), 1 << 5);
	assert_int_equal(pm_read(&pm, CONTROL, 2), 1); /* write only */
	pm_write(&pm, STATUS, 2, 1 << 5);
	assert_false(sci);
}

static void timer(void **state)
{
	uint64_t ticks;

	(void)state;
	clock_now += SECOND;
	assert_int_equal(pm_read(&pm, TIMER, 4), 3579545);
	clock_now += 10 * SECOND;
	assert_int_equal(pm_read(&pm, TIMER, 4), 11 * 3579545);
	/* A year is no overflow of ours; the register wraps at 32 bits. */
	setup(NULL);
	clock_now += 365 * 86400 * SECOND;
	ticks = 365 * 86400ull * 3579545;
	assert_int_equal(pm_read(&pm, TIMER, 4), ticks & 0xffffffff);
	/* Bytes are of one value. */
	assert_int_equal(pm_read(&pm, TIMER + 1, 2), ticks >> 8 & 0xffff);
}

static void timer_status(void **state)
{
	(void)state;
	clock_now += 599 * SECOND;
	assert_int_equal(pm_read(&pm, STATUS, 2) & 1, 0);
	clock_now += SECOND; /* 2^31 / 3579545 = 599.9 s */
	assert_int_equal(pm_read(&pm, STATUS, 2) & 1, 1);
	pm_write(&pm, STATUS, 2, 1);
	assert_int_equal(pm_read(&pm, STATUS, 2) & 1, 0);
	clock_now += 600 * SECOND;
	assert_int_equal(pm_read(&pm, STATUS, 2) & 1, 1);
}

static void power_button(void **state)
{
	(void)state;
	pm_power_button(&pm);
	assert_int_equal(edges, 0);
	assert_int_equal(pm_read(&pm, STATUS, 2), 0x100);
	pm_write(&pm, ENABLE, 2, 0x100);
	assert_true(sci);
	pm_write(&pm, STATUS, 2, 0x20); /* another bit */
	assert_true(sci);
	pm_write(&pm, STATUS + 1, 1, 0x01); /* its upper byte alone */
	assert_false(sci);
	assert_int_equal(pm_read(&pm, STATUS, 2), 0);
	pm_power_button(&pm);
	assert_int_equal(edges, 3);
	pm_write(&pm, ENABLE, 2, 0);
	assert_false(sci);
}

static void enables_that_exist(void **state)
{
	(void)state;
	pm_write(&pm, ENABLE, 2, 0xffff);
	assert_int_equal(pm_read(&pm, ENABLE, 2), 0x0721);
	pm_write(&pm, ENABLE, 1, 0);
	assert_int_equal(pm_read(&pm, ENABLE, 2), 0x0700);
	/* One access to status and enable. */
	pm_write(&pm, STATUS, 4, 0x00210000);
	assert_int_equal(pm_read(&pm, STATUS, 4), 0x00210000);
}

static void power_off(void **state)
{
	(void)state;
	pm_write(&pm, CONTROL, 2, 5 << 10);
	assert_int_equal(power_offs, 0);
	pm_write(&pm, CONTROL, 2, 5 << 10 | 1 << 13);
	assert_int_equal(power_offs, 1);
	/* SLP_EN reads as 0, SCI_EN stays. */
	assert_int_equal(pm_read(&pm, CONTROL, 2), 5 << 10 | 1);
}

static void other_sleeps(void **state)
{
	(void)state;
	capture_stderr();
	for (unsigned int type = 0; type < 8; type++)
		if (type != 5)
			pm_write(&pm, CONTROL, 2, type << 10 | 1 << 13);
	captured_stderr();
	assert_int_equal(power_offs, 0);
	assert_int_equal(pm.refused, 7);
}

static void reset_port(void **state)
{
	(void)state;
	pm_reset_port_write(&pm, 0, 1, 2);
	assert_int_equal(resets, 0);
	pm_reset_port_write(&pm, 0, 1, 6);
	assert_int_equal(resets, 1);
}

static void reset(void **state)
{
	(void)state;
	pm_write(&pm, ENABLE, 2, 0x100);
	pm_power_button(&pm);
	assert_true(sci);
	clock_now += SECOND;
	pm_reset(&pm);
	assert_false(sci);
	assert_int_equal(pm_read(&pm, ENABLE, 2), 0);
	assert_int_equal(pm_read(&pm, TIMER, 4), 3579545);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(at_power_up, setup),
		cmocka_unit_test_setup(global_lock, setup),
		cmocka_unit_test_setup(timer, setup),
		cmocka_unit_test_setup(timer_status, setup),
		cmocka_unit_test_setup(power_button, setup),
		cmocka_unit_test_setup(enables_that_exist, setup),
		cmocka_unit_test_setup(power_off, setup),
		cmocka_unit_test_setup(other_sleeps, setup),
		cmocka_unit_test_setup(reset_port, setup),
		cmocka_unit_test_setup(reset, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
