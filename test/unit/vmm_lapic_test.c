/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/lapic.c */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/vmm/lapic.h"

#define TPR 0x080
#define EOI 0x0b0
#define LDR 0x0d0
#define DFR 0x0e0
#define SVR 0x0f0
#define ISR 0x100
#define IRR 0x200
#define ICR_LOW 0x300
#define ICR_HIGH 0x310
#define LVT_TIMER 0x320
#define TIMER_INITIAL 0x380
#define TIMER_CURRENT 0x390
#define TIMER_DIVIDE 0x3e0

static struct lapic l;
static uint32_t sent_icr;
static uint8_t sent_to;
static unsigned int sent;

static void send(void *opaque, uint32_t icr, uint8_t destination)
{
	assert_ptr_equal(opaque, &l);
	sent_icr = icr;
	sent_to = destination;
	sent++;
}

static int set_up(void **state)
{
	(void)state;
	lapic_init(&l, 3, send, &l);
	lapic_write(&l, SVR, 0x1ff, 0);
	sent = 0;
	return 0;
}

static void test_power_up_delivers_nothing(void **state)
{
	(void)state;
	lapic_init(&l, 3, send, &l);
	lapic_post(&l, 0x40);
	assert_int_equal(lapic_deliverable(&l), -1);
	/* Held, not dropped. */
	lapic_write(&l, SVR, 0x1ff, 0);
	assert_int_equal(lapic_deliverable(&l), 0x40);
	assert_int_equal(lapic_read(&l, 0x20, 0), 3u << 24);
}

static void test_highest_first_and_nesting(void **state)
{
	(void)state;
	lapic_post(&l, 0x41);
	lapic_post(&l, 0xed);
	lapic_post(&l, 0x45);
	assert_int_equal(lapic_accept(&l), 0xed);
	assert_int_equal(lapic_accept(&l), -1);
	lapic_post(&l, 0xf3); /* a higher class nests */
	assert_int_equal(lapic_accept(&l), 0xf3);
	lapic_eoi(&l);
	assert_int_equal(lapic_deliverable(&l), -1);
	lapic_eoi(&l);
	assert_int_equal(lapic_accept(&l), 0x45);
	lapic_write(&l, EOI, 0, 0);
	assert_int_equal(lapic_accept(&l), 0x41);
	lapic_write(&l, EOI, 0, 0);
	assert_int_equal(lapic_accept(&l), -1);
}

static void test_posted_in_service_comes_again(void **state)
{
	(void)state;
	lapic_post(&l, 0x80);
	lapic_post(&l, 0x80); /* one before delivery */
	assert_int_equal(lapic_accept(&l), 0x80);
	lapic_post(&l, 0x80); /* one more while in service */
	assert_int_equal(lapic_accept(&l), -1);
	lapic_eoi(&l);
	assert_int_equal(lapic_accept(&l), 0x80);
	lapic_eoi(&l);
	assert_int_equal(lapic_accept(&l), -1);
}

static void test_task_priority(void **state)
{
	(void)state;
	lapic_write(&l, TPR, 0x80, 0);
	lapic_post(&l, 0x8f);
	assert_int_equal(lapic_deliverable(&l), -1);
	lapic_post(&l, 0x90);
	assert_int_equal(lapic_deliverable(&l), 0x90);
	lapic_write(&l, TPR, 0x70, 0);
	assert_int_equal(lapic_accept(&l), 0x90);
	assert_int_equal(lapic_read(&l, 0xa0, 0), 0x90); /* PPR */
}

static void test_bitmaps_are_readable(void **state)
{
	(void)state;
	lapic_post(&l, 0xed);
	assert_int_equal(lapic_read(&l, IRR + 0x70, 0), 1u << 13);
	lapic_accept(&l);
	assert_int_equal(lapic_read(&l, IRR + 0x70, 0), 0);
	assert_int_equal(lapic_read(&l, ISR + 0x70, 0), 1u << 13);
}

static void test_optional_eoi(void **state)
{
	(void)state;
	assert_false(lapic_eoi_optional(&l));
	lapic_post(&l, 0xed);
	lapic_accept(&l);
	assert_true(lapic_eoi_optional(&l));
	lapic_post(&l, 0x30); /* waits for that EOI */
	assert_false(lapic_eoi_optional(&l));
}

static void test_nmis(void **state)
{
	(void)state;
	assert_false(lapic_accept_nmi(&l));
	for (int i = 0; i < 5; i++)
		lapic_post_nmi(&l);
	assert_true(lapic_accept_nmi(&l));
	assert_true(lapic_accept_nmi(&l));
	assert_false(lapic_accept_nmi(&l));
}

static void test_icr(void **state)
{
	(void)state;
	lapic_write(&l, ICR_HIGH, 5u << 24, 0);
	lapic_write(&l, ICR_LOW, 0xfb, 0);
	assert_int_equal(sent, 1);
	assert_int_equal(sent_icr, 0xfb);
	assert_int_equal(sent_to, 5);
	lapic_write_icr(&l, 7ull << 56 | LAPIC_NMI << LAPIC_ICR_MODE_SHIFT);
	assert_int_equal(sent, 2);
	assert_int_equal(sent_icr, LAPIC_NMI << LAPIC_ICR_MODE_SHIFT);
	assert_int_equal(sent_to, 7);
	assert_int_equal(lapic_read(&l, ICR_HIGH, 0), 7u << 24);
}

static void test_destinations(void **state)
{
	(void)state;
	assert_true(lapic_matches(&l, 3, false));
	assert_false(lapic_matches(&l, 2, false));
	assert_true(lapic_matches(&l, 0xff, false));
	lapic_write(&l, LDR, 0x08000000, 0);
	assert_true(lapic_matches(&l, 0x0c, true));
	assert_false(lapic_matches(&l, 0x04, true));
	lapic_write(&l, DFR, 0x0fffffff, 0); /* cluster */
	lapic_write(&l, LDR, 0x21000000, 0);
	assert_true(lapic_matches(&l, 0x23, true));
	assert_false(lapic_matches(&l, 0x22, true));
	assert_false(lapic_matches(&l, 0x11, true));
}

static void test_one_shot_timer(void **state)
{
	uint64_t due;

	(void)state;
	lapic_write(&l, TIMER_DIVIDE, 0xb, 1000); /* by 1 */
	lapic_write(&l, LVT_TIMER, 0xec, 1000);
	lapic_write(&l, TIMER_INITIAL, 200, 1000); /* 20 ticks per 100 ns */
	due = lapic_timer(&l, 1000);
	assert_int_equal(due, 1010);
	assert_int_equal(lapic_read(&l, TIMER_CURRENT, 1004), 120);
	assert_int_equal(lapic_timer(&l, 1009), 1010);
	assert_int_equal(lapic_deliverable(&l), -1);
	assert_int_equal(lapic_timer(&l, 1010), 0);
	assert_int_equal(lapic_deliverable(&l), 0xec);
	assert_int_equal(lapic_read(&l, TIMER_CURRENT, 1011), 0);
}

static void test_periodic_timer_keeps_phase(void **state)
{
	(void)state;
	lapic_write(&l, TIMER_DIVIDE, 0xb, 0);
	lapic_write(&l, LVT_TIMER, 0xec | 1u << 17, 0);
	lapic_write(&l, TIMER_INITIAL, 2000, 0);
	assert_int_equal(lapic_timer(&l, 0), 100);
	assert_int_equal(lapic_timer(&l, 350), 400); /* three became one */
	assert_int_equal(lapic_accept(&l), 0xec);
	lapic_eoi(&l);
	assert_int_equal(lapic_accept(&l), -1);
	lapic_write(&l, TIMER_INITIAL, 0, 360);
	assert_int_equal(lapic_timer(&l, 1000), 0);
}

static void test_dividers(void **state)
{
	static const struct {
		uint32_t code, divider;
	} rows[] = {
		{ 0x0, 2 },  { 0x1, 4 },  { 0x2, 8 },	{ 0x3, 16 },
		{ 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		lapic_write(&l, TIMER_DIVIDE, rows[i].code, 0);
		lapic_write(&l, TIMER_INITIAL, 2000, 0);
		assert_int_equal(lapic_timer(&l, 0), 100 * rows[i].divider);
	}
}

static void test_masked_timer_is_silent(void **state)
{
	(void)state;
	lapic_write(&l, LVT_TIMER, 0xec | 1u << 16, 0);
	lapic_write(&l, TIMER_INITIAL, 100, 0);
	lapic_timer(&l, 1000000);
	assert_int_equal(lapic_deliverable(&l), -1);
}

static void test_only_one_waits(void **state)
{
	(void)state;
	assert_int_equal(lapic_only(&l), -1);
	lapic_post(&l, 0xed);
	assert_int_equal(lapic_only(&l), 0xed);
	lapic_post(&l, 0xee);
	assert_int_equal(lapic_only(&l), -1);
	assert_int_equal(lapic_accept(&l), 0xee);
	assert_int_equal(lapic_only(&l), 0xed);
	lapic_post(&l, 0x30);
	assert_int_equal(lapic_only(&l), -1);
}

/* Four threads post distinct vectors, each waiting for its own to be taken:
 * the taker must see every one exactly once. */

#define POSTERS 4
#define ROUNDS 20000

static _Atomic uint32_t taken[POSTERS];

static void *poster(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		lapic_post(&l, (uint8_t)(0x40 + n * 0x20));
		while (taken[n] != i + 1)
			sched_yield();
	}
	return NULL;
}

static void test_posters_lose_nothing(void **state)
{
	pthread_t threads[POSTERS];
	uint32_t total = 0;

	(void)state;
	for (uintptr_t i = 0; i < POSTERS; i++) {
		taken[i] = 0;
		assert_int_equal(pthread_create(&threads[i], NULL, poster,
						(void *)i), 0);
	}
	while (total < POSTERS * ROUNDS) {
		int vector = lapic_accept(&l);

		if (vector < 0x40) {
			sched_yield();
			continue;
		}
		lapic_eoi(&l);
		taken[(vector - 0x40) / 0x20]++;
		total++;
	}
	for (unsigned int i = 0; i < POSTERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(taken[i], ROUNDS);
	}
	assert_int_equal(lapic_accept(&l), -1);
	assert_int_equal(l.accepted, POSTERS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_power_up_delivers_nothing, set_up),
		cmocka_unit_test_setup(test_highest_first_and_nesting, set_up),
		cmocka_unit_test_setup(test_posted_in_service_comes_again,
				       set_up),
		cmocka_unit_test_setup(test_task_priority, set_up),
		cmocka_unit_test_setup(test_bitmaps_are_readable, set_up),
		cmocka_unit_test_setup(test_optional_eoi, set_up),
		cmocka_unit_test_setup(test_nmis, set_up),
		cmocka_unit_test_setup(test_icr, set_up),
		cmocka_unit_test_setup(test_destinations, set_up),
		cmocka_unit_test_setup(test_one_shot_timer, set_up),
		cmocka_unit_test_setup(test_periodic_timer_keeps_phase, set_up),
		cmocka_unit_test_setup(test_dividers, set_up),
		cmocka_unit_test_setup(test_masked_timer_is_silent, set_up),
		cmocka_unit_test_setup(test_only_one_waits, set_up),
		cmocka_unit_test_setup(test_posters_lose_nothing, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
