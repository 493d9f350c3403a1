/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/chipset/chipset.c paravisor/chipset/bus.c paravisor/chipset/ioapic.c paravisor/chipset/pm.c paravisor/chipset/rtc.c paravisor/chipset/uart.c paravisor/inspect.c paravisor/log.c test/unit/inspect_list.c */
/* The whole chipset in inspect: its names are those of the list, and what the
 * guest did is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/chipset/chipset.h"
#include "test/unit/inspect_list.h"

static size_t tty_write(struct tty *tty, const uint8_t *data, size_t len)
{
	(void)tty;
	(void)data;
	return len;
}

static size_t tty_read(struct tty *tty, uint8_t *data, size_t len)
{
	(void)tty;
	(void)data;
	(void)len;
	return 0;
}

static void interrupt(void *opaque, const struct ioapic_message *message)
{
	(void)opaque;
	(void)message;
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static int64_t wall_clock(void *opaque)
{
	(void)opaque;
	return 0;
}

static uint64_t now(void)
{
	return 0;
}

static void names(void **state)
{
	static const struct tty_back_ops back = { tty_write, tty_read, NULL };
	static const struct chipset_ops ops = { interrupt, nothing, nothing,
						wall_clock, now };
	static struct tty com[2] = { { &back, NULL, NULL },
				     { &back, NULL, NULL } };
	static struct chipset chipset;
	char json[64];

	(void)state;
	chipset_init(&chipset, &ops, NULL, &com[0], &com[1]);
	chipset_inspect_register(&chipset);
	bus_write(&chipset.bus, BUS_PORT, 0x3f8, 1, 'a');
	bus_read(&chipset.bus, BUS_MMIO, 0xfed00000, 1);
	assert_int_equal(inspect_render("chipset/com1/bytes_out", 1, json,
					sizeof(json)), 1);
	assert_string_equal(json, "1");
	assert_int_equal(inspect_render("chipset/mmio/unknown_reads", 1, json,
					sizeof(json)), 1);
	assert_string_equal(json, "1");
	inspect_list_check("chipset", NULL);
	inspect_list_complete("chipset/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
