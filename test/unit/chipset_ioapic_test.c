/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/chipset/ioapic.c paravisor/log.c */
/* I/O APIC: registers as a driver uses them, edges, levels and EOIs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/chipset/ioapic.h"

#define MASKED 0x10000u
#define LEVEL 0x8000u
#define REMOTE_IRR 0x4000u

static struct ioapic io;
static struct ioapic_message last;
static unsigned int messages;

static void assert_message(void *opaque, const struct ioapic_message *message)
{
	assert_ptr_equal(opaque, &io);
	last = *message;
	messages++;
}

static int setup(void **state)
{
	(void)state;
	messages = 0;
	ioapic_init(&io, assert_message, &io);
	return 0;
}

static uint32_t get(uint8_t index)
{
	ioapic_write(&io, 0, 4, index);
	return ioapic_read(&io, 0x10, 4);
}

static void put(uint8_t index, uint32_t value)
{
	ioapic_write(&io, 0, 4, index);
	ioapic_write(&io, 0x10, 4, value);
}

static void put_entry(unsigned int pin, uint32_t low, uint8_t destination)
{
	put(0x11 + 2 * pin, (uint32_t)destination << 24);
	put(0x10 + 2 * pin, low);
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(get(1), 0x00170011); /* 24 entries, version 0x11 */
	put(1, 0xffffffff);
	assert_int_equal(get(1), 0x00170011);
	put(0, 0xff000000);
	assert_int_equal(get(0), 0x0f000000);
	for (unsigned int pin = 0; pin < 24; pin++)
		assert_int_equal(get(0x10 + 2 * pin), MASKED);
	/* Read-only and reserved bits. */
	put_entry(3, 0xffffffff, 0xaa);
	assert_int_equal(get(0x16), 0x1afff);
	assert_int_equal(get(0x17), 0xaa000000);
	put(0x40, 0xffffffff); /* behind the last entry */
	assert_int_equal(get(0x40), 0);
	assert_int_equal(get(5), 0);
	assert_int_equal(ioapic_read(&io, 0x20, 4), 0);
	ioapic_write(&io, 0, 4, 1);
	assert_int_equal(ioapic_read(&io, 0x12, 1) & 0xff, 0x17);
}

static void edge(void **state)
{
	(void)state;
	put_entry(4, 0x0831, 0x02); /* logical 2, fixed, vector 0x31 */
	ioapic_set_line(&io, 4, true);
	assert_int_equal(messages, 1);
	assert_int_equal(last.vector, 0x31);
	assert_int_equal(last.destination, 2);
	assert_true(last.logical);
	assert_false(last.level);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(messages, 1);
	ioapic_set_line(&io, 4, false);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(messages, 2);
	/* A masked edge is gone. */
	put_entry(4, MASKED | 0x31, 2);
	ioapic_set_line(&io, 4, false);
	ioapic_set_line(&io, 4, true);
	put_entry(4, 0x31, 2);
	assert_int_equal(messages, 2);
	assert_int_equal(io.lost_edges, 1);
}

static void level(void **state)
{
	(void)state;
	put_entry(9, LEVEL | 0x40, 1);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages, 1);
	assert_true(last.level);
	assert_int_equal(get(0x22), LEVEL | REMOTE_IRR | 0x40);
	/* Still active at the EOI: once more. */
	ioapic_eoi(&io, 0x41); /* another vector */
	assert_int_equal(messages, 1);
	ioapic_eoi(&io, 0x40);
	assert_int_equal(messages, 2);
	ioapic_set_line(&io, 9, false);
	ioapic_eoi(&io, 0x40);
	assert_int_equal(messages, 2);
	assert_int_equal(get(0x22), LEVEL | 0x40);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages, 3);
}

static void level_waits_behind_its_mask(void **state)
{
	(void)state;
	put_entry(9, MASKED | LEVEL | 0x40, 1);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages, 0);
	put_entry(9, LEVEL | 0x40, 1);
	assert_int_equal(messages, 1);
	/* Masked while it is served: the EOI raises nothing. */
	put_entry(9, MASKED | LEVEL | 0x40, 1);
	ioapic_eoi(&io, 0x40);
	assert_int_equal(messages, 1);
	put_entry(9, LEVEL | 0x40, 1);
	assert_int_equal(messages, 2);
}

/* What Linux does when an EOI got lost. */
static void edge_forgets_remote_irr(void **state)
{
	(void)state;
	put_entry(9, LEVEL | 0x40, 1);
	ioapic_set_line(&io, 9, true);
	ioapic_set_line(&io, 9, false);
	assert_int_equal(get(0x22) & REMOTE_IRR, REMOTE_IRR);
	put_entry(9, MASKED | 0x40, 1);
	assert_int_equal(get(0x22) & REMOTE_IRR, 0);
	put_entry(9, LEVEL | 0x40, 1);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages, 2);
}

static void shared_vector(void **state)
{
	(void)state;
	put_entry(9, LEVEL | 0x40, 1);
	put_entry(10, LEVEL | 0x40, 1);
	ioapic_set_line(&io, 9, true);
	ioapic_set_line(&io, 10, true);
	assert_int_equal(messages, 2);
	ioapic_set_line(&io, 9, false);
	ioapic_eoi(&io, 0x40);
	assert_int_equal(messages, 3);
}

static void modes_and_reset(void **state)
{
	(void)state;
	put_entry(2, 4 << 8, 0);
	ioapic_set_line(&io, 2, true);
	assert_int_equal(last.delivery_mode, 4);
	ioapic_reset(&io);
	assert_int_equal(get(0x14), MASKED);
	assert_true(io.line[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(registers, setup),
		cmocka_unit_test_setup(edge, setup),
		cmocka_unit_test_setup(level, setup),
		cmocka_unit_test_setup(level_waits_behind_its_mask, setup),
		cmocka_unit_test_setup(edge_forgets_remote_irr, setup),
		cmocka_unit_test_setup(shared_vector, setup),
		cmocka_unit_test_setup(modes_and_reset, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
