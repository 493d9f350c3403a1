/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/chipset/bus.c paravisor/chipset/chipset.c paravisor/chipset/ioapic.c paravisor/chipset/pm.c paravisor/chipset/rtc.c paravisor/chipset/uart.c paravisor/inspect.c paravisor/log.c */
/* The bus, and the whole chipset on it as a guest meets it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/chipset/chipset.h"
#include "stderr_capture.h"

static struct {
	uint64_t offset, value;
	unsigned int size, reads, writes;
} device;

static uint64_t device_read(void *opaque, uint64_t offset, unsigned int size)
{
	assert_ptr_equal(opaque, &device);
	device.offset = offset;
	device.size = size;
	device.reads++;
	return 0xfedcba9876543210ull; /* wider than asked for */
}

static void device_write(void *opaque, uint64_t offset, unsigned int size,
			 uint64_t value)
{
	assert_ptr_equal(opaque, &device);
	device.offset = offset;
	device.size = size;
	device.value = value;
	device.writes++;
}

#define REGION(b, s)                                                       \
	{ .base = (b), .size = (s), .name = "test", .read = device_read,   \
	  .write = device_write, .opaque = &device }

static void look_up(void **state)
{
	struct bus_region r[] = { REGION(0x100, 8), REGION(0x20, 2),
				  REGION(0x108, 4), REGION(0xfffffffffffff000,
							   0x1000) };
	struct bus bus;

	(void)state;
	bus_init(&bus);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(bus_add(&bus, BUS_MMIO, &r[i]), 0);
	assert_int_equal(bus_read(&bus, BUS_MMIO, 0x104, 2), 0x3210);
	assert_int_equal(device.offset, 4);
	assert_int_equal(device.size, 2);
	assert_true(bus_read(&bus, BUS_MMIO, UINT64_MAX - 7, 8) ==
		    0xfedcba9876543210ull);
	assert_int_equal(device.offset, 0xff8);
	bus_write(&bus, BUS_MMIO, 0x21, 1, 0x1234);
	assert_int_equal(device.value, 0x34);
	/* Across two regions: bytes. */
	device.writes = 0;
	bus_write(&bus, BUS_MMIO, 0x106, 4, 0x44332211);
	assert_int_equal(device.writes, 4);
	assert_int_equal(device.offset, 1);
	assert_int_equal(device.value, 0x44);
	assert_int_equal(r[2].writes, 2);
	/* The other space is another one. */
	capture_stderr();
	assert_int_equal(bus_read(&bus, BUS_PORT, 0x100, 4), 0xffffffff);
	captured_stderr();
	assert_int_equal(bus.unknown_reads[BUS_PORT], 4);
}

static void overlaps(void **state)
{
	struct bus_region r = REGION(0x100, 8);
	struct bus_region bad[] = { REGION(0x100, 8), REGION(0xff, 2),
				    REGION(0x107, 1), REGION(0xf0, 0x100) };
	struct bus_region good[] = { REGION(0xff, 1), REGION(0x108, 1) };
	struct bus_region many[BUS_MAX_REGIONS];
	struct bus bus;

	(void)state;
	bus_init(&bus);
	assert_int_equal(bus_add(&bus, BUS_PORT, &r), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(bus_add(&bus, BUS_PORT, &bad[i]), -EEXIST);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(bus_add(&bus, BUS_PORT, &good[i]), 0);
	for (unsigned int i = 0; i < BUS_MAX_REGIONS; i++) {
		many[i] = (struct bus_region)REGION(0x1000 + 8 * i, 8);
		assert_int_equal(bus_add(&bus, BUS_PORT, &many[i]),
				 i < BUS_MAX_REGIONS - 3 ? 0 : -ENOSPC);
	}
}

static void nobody_there(void **state)
{
	struct bus_region known = { .base = 0x20, .size = 2, .name = "known" };
	const char *text;
	struct bus bus;

	(void)state;
	bus_init(&bus);
	assert_int_equal(bus_add(&bus, BUS_PORT, &known), 0);
	capture_stderr();
	assert_int_equal(bus_read(&bus, BUS_PORT, 0x20, 2), 0xffff);
	bus_write(&bus, BUS_PORT, 0x21, 1, 0);
	assert_string_equal(captured_stderr(), "");
	assert_int_equal(bus.unknown_reads[BUS_PORT], 0);
	capture_stderr();
	assert_int_equal(bus_read(&bus, BUS_PORT, 0x22, 1), 0xff);
	text = captured_stderr();
	assert_non_null(strstr(text, "0x22"));
	assert_true(is_one_line(text));
}

/* ---- The chipset. ---- */

static struct chipset cs;
static struct ioapic_message last;
static unsigned int interrupts, power_offs, resets;
static uint8_t taken[64];
static size_t nr_taken;

static void on_interrupt(void *opaque, const struct ioapic_message *message)
{
	assert_ptr_equal(opaque, &cs);
	last = *message;
	interrupts++;
}

static void on_power_off(void *opaque)
{
	assert_ptr_equal(opaque, &cs);
	power_offs++;
}

static void on_reset(void *opaque)
{
	assert_ptr_equal(opaque, &cs);
	resets++;
}

static int64_t wall_clock(void *opaque)
{
	assert_ptr_equal(opaque, &cs);
	return 951782400; /* 2000-02-29 */
}

static uint64_t now(void)
{
	return 0;
}

static const struct chipset_ops ops = {
	.interrupt = on_interrupt,
	.power_off = on_power_off,
	.reset = on_reset,
	.wall_clock = wall_clock,
	.now = now,
};

static size_t line_write(struct tty *tty, const uint8_t *data, size_t len)
{
	(void)tty;
	assert_true(nr_taken + len <= sizeof(taken));
	memcpy(taken + nr_taken, data, len);
	nr_taken += len;
	return len;
}

static size_t line_read(struct tty *tty, uint8_t *data, size_t len)
{
	(void)tty;
	(void)data;
	(void)len;
	return 0;
}

static const struct tty_back_ops line = { .write = line_write,
					  .read = line_read };
static struct tty tty;

static int setup(void **state)
{
	(void)state;
	tty = (struct tty){ .back = &line };
	interrupts = power_offs = resets = 0;
	nr_taken = 0;
	chipset_init(&cs, &ops, &cs, &tty, NULL);
	return 0;
}

static uint64_t in(uint16_t port, unsigned int size)
{
	return bus_read(&cs.bus, BUS_PORT, port, size);
}

static void out(uint16_t port, unsigned int size, uint64_t value)
{
	bus_write(&cs.bus, BUS_PORT, port, size, value);
}

static void ioapic_entry(unsigned int pin, uint32_t low)
{
	bus_write(&cs.bus, BUS_MMIO, 0xfec00000, 4, 0x10 + 2 * pin);
	bus_write(&cs.bus, BUS_MMIO, 0xfec00010, 4, low);
}

static void serial_port(void **state)
{
	(void)state;
	ioapic_entry(4, 0x30);
	out(0x3f9, 1, 2); /* IER: THRE */
	assert_int_equal(interrupts, 1);
	assert_int_equal(last.vector, 0x30);
	out(0x3f8, 1, 'A');
	assert_int_equal(nr_taken, 1);
	assert_int_equal(taken[0], 'A');
	assert_int_equal(in(0x3fd, 1) & 0x60, 0x60);
	/* COM2 is not there and known not to be. */
	capture_stderr();
	assert_int_equal(in(0x2fd, 1), 0xff);
	assert_string_equal(captured_stderr(), "");
}

static void sci(void **state)
{
	(void)state;
	ioapic_entry(9, 0x8029);
	out(0x402, 2, 0x100);
	bus_lock(&cs.bus);
	pm_power_button(&cs.pm);
	bus_unlock(&cs.bus);
	assert_int_equal(interrupts, 1);
	assert_true(last.level);
	bus_eoi(&cs.bus, 0x29);
	assert_int_equal(interrupts, 2); /* nobody cleared the cause */
	out(0x400, 2, 0x100);
	bus_eoi(&cs.bus, 0x29);
	assert_int_equal(interrupts, 2);
	assert_int_equal(cs.bus.eois, 2);
}

static void power_and_reset(void **state)
{
	(void)state;
	out(0x404, 2, 5 << 10 | 1 << 13);
	assert_int_equal(power_offs, 1);
	out(0xcf9, 1, 6);
	assert_int_equal(resets, 1);
	/* Address of a PCI device's function 4: 1 << 31 | 4 << 8. */
	out(0xcf8, 4, 0x80000400);
	out(0xcf8, 2, 0x0600);
	assert_int_equal(resets, 1);
	assert_int_equal(in(0xcf8, 4), 0xffffffff);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	assert_int_equal(in(0xcf9, 1), 0);
}

static void clock_port(void **state)
{
	(void)state;
	out(0x70, 1, 7);
	assert_int_equal(in(0x71, 1), 0x29);
}

/* What a PC kernel tries is answered without a word. */
static void known_ports(void **state)
{
	(void)state;
	capture_stderr();
	assert_int_equal(in(0x21, 1), 0xff);
	assert_int_equal(in(0x61, 1), 0);
	assert_int_equal(in(0x64, 1), 0);
	assert_int_equal(in(0x60, 1), 0xff);
	out(0x80, 1, 0);
	out(0xed, 1, 0);
	out(0x43, 1, 0x34);
	assert_string_equal(captured_stderr(), "");
}

static void reset_of_all(void **state)
{
	(void)state;
	ioapic_entry(4, 0x30);
	ioapic_entry(9, 0x8029);
	out(0x3f9, 1, 2);
	out(0x402, 2, 0x100);
	bus_lock(&cs.bus);
	pm_power_button(&cs.pm);
	bus_unlock(&cs.bus);
	interrupts = 0;
	chipset_reset(&cs);
	assert_int_equal(interrupts, 0);
	assert_int_equal(in(0x3f9, 1), 0);
	assert_int_equal(in(0x400, 4), 0);
	ioapic_entry(9, 0x8029);
	assert_int_equal(interrupts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(look_up),
		cmocka_unit_test(overlaps),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test_setup(serial_port, setup),
		cmocka_unit_test_setup(sci, setup),
		cmocka_unit_test_setup(power_and_reset, setup),
		cmocka_unit_test_setup(clock_port, setup),
		cmocka_unit_test_setup(known_ports, setup),
		cmocka_unit_test_setup(reset_of_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
