/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/pvctl_top_rates.c paravisor/pvctl_top_draw.c */
/*
 * The arithmetic of pvctl top, by fixed trees, and what is drawn of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/pvctl_top.h"

#define SECOND 1000000000ull

struct leaf {
	const char *path;
	uint64_t value;
	const char *text;
};

static struct top_reading before, now;
static struct top_rates rates;

static void read_tree(struct top_reading *r, uint64_t ns,
		      const struct leaf *leaf)
{
	r->ns = ns;
	for (; leaf->path; leaf++)
		top_take(r, leaf->path, leaf->value, leaf->text);
	assert_false(r->short_of_memory);
}

static int forget(void **state)
{
	(void)state;
	top_rates_forget(&rates);
	top_forget(&before);
	top_forget(&now);
	return 0;
}

static void compare(void)
{
	top_rates_forget(&rates);
	top_rates(&rates, &before, &now);
	assert_false(rates.short_of_memory);
}

static void assert_near(double a, double b)
{
	double off = a > b ? a - b : b - a;

	if (off > 1e-6 * (b > 1 ? b : 1))
		fail_msg("%f, not %f", a, b);
}

static void vps(void **state)
{
	static const struct leaf first[] = {
		{ "build/boot_id", 0, "one" },
		{ "vp0/entries", 100, NULL },
		{ "vp0/exits/port", 10, NULL },
		{ "vp0/exits/msr", 1000, NULL },
		{ "vp0/exit_ns/port", 5000, NULL },
		{ "vp0/exit_ns/msr", 0, NULL },
		{ "vp1/exits/port", 7, NULL },
		{ NULL, 0, NULL },
	}, second[] = {
		{ "build/boot_id", 0, "one" },
		{ "vp0/entries", 300, NULL },
		{ "vp0/exits/port", 110, NULL },
		{ "vp0/exits/msr", 1300, NULL },
		{ "vp0/exits/nonsense", 9, NULL },
		{ "vp0/exit_ns/port", 1000005000, NULL },
		{ "vp0/exit_ns/msr", 0, NULL },
		{ "vp1/exits/port", 7, NULL },
		{ NULL, 0, NULL },
	};

	(void)state;
	read_tree(&before, 5 * SECOND, first);
	read_tree(&now, 7 * SECOND, second);
	compare();
	assert_false(rates.anew);
	assert_int_equal(rates.nr, 2);
	assert_near(rates.seconds, 2);
	assert_int_equal(rates.row[0].name.kind, TOP_VP);
	assert_near(rates.row[0].rate[TOP_VP_ENTRIES], 100);
	assert_near(top_exits(&rates.row[0]), 200);
	assert_near(top_busy(&rates.row[0]), 0.5);
	assert_near(top_exit_ns(&rates.row[0]), 2500000);
	assert_int_equal(rates.row[1].name.channel, 1);
	assert_near(top_exits(&rates.row[1]), 0);
	assert_near(top_exit_ns(&rates.row[1]), 0);
}

/* An exit that took longer than from one reading to the other. */
static void long_exit(void **state)
{
	static const struct leaf first[] = { { "vp0/exit_ns/port", 0, NULL },
					     { NULL, 0, NULL } };
	static const struct leaf second[] = {
		{ "vp0/exit_ns/port", 3 * SECOND, NULL }, { NULL, 0, NULL }
	};

	(void)state;
	read_tree(&before, 0, first);
	read_tree(&now, SECOND, second);
	compare();
	assert_near(top_busy(&rates.row[0]), 1);
}

static const struct leaf disk_first[] = {
	{ "vmbus/channels/2/lun0/nvme/name", 0, "x" },
	{ "vmbus/channels/2/channel0/lun0/reads", 1000, NULL },
	{ "vmbus/channels/2/channel0/lun0/bytes_read", 4096000, NULL },
	{ "vmbus/channels/2/channel1/lun0/reads", 500, NULL },
	{ "vmbus/channels/2/channel1/lun0/writes", 20, NULL },
	{ "vmbus/channels/2/channel1/lun0/in_flight", 4, NULL },
	{ NULL, 0, NULL },
};

/* Channels of a disk are one row; each has its own beginning. */
static void disk_channels(void **state)
{
	static const struct leaf second[] = {
		{ "vmbus/channels/2/lun0/nvme/name", 0, "x" },
		{ "vmbus/channels/2/channel0/lun0/reads", 1100, NULL },
		{ "vmbus/channels/2/channel0/lun0/bytes_read", 4505600, NULL },
		{ "vmbus/channels/2/channel0/lun0/in_flight", 2, NULL },
		/* Closed and opened again: reads went back, writes did not. */
		{ "vmbus/channels/2/channel1/lun0/reads", 40, NULL },
		{ "vmbus/channels/2/channel1/lun0/writes", 30, NULL },
		{ "vmbus/channels/2/channel1/lun0/in_flight", 1, NULL },
		/* Has come. */
		{ "vmbus/channels/2/channel2/lun0/reads", 5, NULL },
		{ NULL, 0, NULL },
	};
	const struct top_row *row;

	(void)state;
	read_tree(&before, 0, disk_first);
	read_tree(&now, SECOND, second);
	compare();
	assert_int_equal(rates.nr, 1);
	row = &rates.row[0];
	assert_string_equal(row->backend, "nvme");
	assert_int_equal(row->now, 3);
	assert_near(row->rate[TOP_DISK_READS], 100 + 40 + 5);
	assert_near(row->rate[TOP_DISK_WRITES], 30);
	assert_near(top_iops(row), 175);
	assert_near(row->rate[TOP_DISK_BYTES_READ], 409600);
	assert_near(top_latency(row, 0.5), 0); /* not known */
	assert_near(top_between(row, 0, 1e18), 0);
}

/* A channel that closes takes its counters with it: that is no work. */
static void channel_gone(void **state)
{
	static const struct leaf second[] = {
		{ "vmbus/channels/2/channel0/lun0/reads", 1001, NULL },
		{ "vmbus/channels/2/channel0/lun0/bytes_read", 4096000, NULL },
		{ NULL, 0, NULL },
	};

	(void)state;
	read_tree(&before, 0, disk_first);
	read_tree(&now, SECOND, second);
	compare();
	assert_near(top_iops(&rates.row[0]), 1);
	assert_string_equal(rates.row[0].backend, "");
}

/* Another VTL2, whose counters are by chance higher than the old one's. */
static void restarted(void **state)
{
	static const struct leaf first[] = {
		{ "build/boot_id", 0, "one" }, { "vp0/exits/eoi", 50, NULL },
		{ NULL, 0, NULL },
	}, second[] = {
		{ "build/boot_id", 0, "two" }, { "vp0/exits/eoi", 60, NULL },
		{ NULL, 0, NULL },
	};

	(void)state;
	read_tree(&before, 0, first);
	read_tree(&now, 4 * SECOND, second);
	compare();
	assert_true(rates.anew);
	assert_near(top_exits(&rates.row[0]), 15);
}

/* Two readings of the same time say nothing. */
static void no_time(void **state)
{
	static const struct leaf first[] = { { "vp0/entries", 1, NULL },
					     { NULL, 0, NULL } };
	static const struct leaf second[] = { { "vp0/entries", 9, NULL },
					      { NULL, 0, NULL } };

	(void)state;
	read_tree(&before, SECOND, first);
	read_tree(&now, SECOND, second);
	compare();
	assert_near(rates.row[0].rate[TOP_VP_ENTRIES], 0);
}

static void latencies(void **state)
{
	static const struct leaf first[] = {
		{ "vmbus/channels/9/channel0/lun3/latency/ticks_per_ms",
		  1024000, NULL },
		{ "vmbus/channels/9/channel0/lun3/latency/10", 0, NULL },
		{ NULL, 0, NULL },
	}, second[] = {
		{ "vmbus/channels/9/channel0/lun3/latency/ticks_per_ms",
		  1024000, NULL },
		/* 1 to 2 us; 16 to 32 us; 1.024 to 2.048 ms; out of range */
		{ "vmbus/channels/9/channel0/lun3/latency/10", 98, NULL },
		{ "vmbus/channels/9/channel0/lun3/latency/14", 1, NULL },
		{ "vmbus/channels/9/channel0/lun3/latency/20", 1, NULL },
		{ "vmbus/channels/9/channel0/lun3/latency/40", 77, NULL },
		{ NULL, 0, NULL },
	};
	const struct top_row *row;

	(void)state;
	read_tree(&before, 0, first);
	read_tree(&now, SECOND, second);
	compare();
	row = &rates.row[0];
	assert_int_equal(row->name.lun, 3);
	assert_near(top_latency(row, 0.5), 2000);
	assert_near(top_latency(row, 0.99), 32000);
	assert_near(top_latency(row, 1), 2048000);
	assert_near(top_between(row, 0, 1e300), 100);
	assert_near(top_between(row, 1500, 24000), 49 + 0.5);
}

static void nics(void **state)
{
	static const struct leaf first[] = {
		{ "vmbus/channels/4/mac", 0, "00:00" },
		{ "vmbus/channels/4/mana/state", 0, "up" },
		{ "vmbus/channels/4/mana/device/queues", 2, NULL },
		{ "vmbus/channels/4/channel0/rx_frames", 10, NULL },
		{ "vmbus/channels/4/channel1/tx_bytes", 10, NULL },
		{ NULL, 0, NULL },
	}, second[] = {
		{ "vmbus/channels/4/mac", 0, "00:00" },
		{ "vmbus/channels/4/mana/state", 0, "up" },
		{ "vmbus/channels/4/channel0/rx_frames", 30, NULL },
		{ "vmbus/channels/4/channel0/tx_in_flight", 6, NULL },
		{ "vmbus/channels/4/channel1/tx_bytes", 10000010, NULL },
		{ NULL, 0, NULL },
	};

	(void)state;
	read_tree(&before, 0, first);
	read_tree(&now, 2 * SECOND, second);
	compare();
	assert_int_equal(rates.nr, 1);
	assert_int_equal(rates.row[0].name.kind, TOP_NIC);
	assert_string_equal(rates.row[0].backend, "mana");
	assert_near(rates.row[0].rate[TOP_NIC_RX_FRAMES], 10);
	assert_near(rates.row[0].rate[TOP_NIC_TX_BYTES], 5e6);
	assert_int_equal(rates.row[0].now, 6);
}

/* Paths of no use, from whoever answers. */
static void strangers(void **state)
{
	static const struct leaf leaf[] = {
		{ "", 1, NULL }, { "vp", 1, NULL }, { "vp0", 1, NULL },
		{ "vp/entries", 1, NULL }, { "vp99999999999/entries", 1, NULL },
		{ "vp-1/entries", 1, NULL }, { "vp0/exits/", 1, NULL },
		{ "vmbus/channels/", 1, NULL }, { "vmbus/channels/1", 1, NULL },
		{ "vmbus/channels/1/", 1, NULL },
		{ "vmbus/channels/1/channel0", 1, NULL },
		{ "vmbus/channels/1/channel0/lun0/latency/x", 1, NULL },
		{ "vmbus/channels/1/channel0/lun0/latency/1/2", 1, NULL },
		{ "vmbus/channels/1/channel0/lunx/reads", 1, NULL },
		{ NULL, 0, NULL },
	};

	(void)state;
	read_tree(&now, 0, leaf);
	assert_int_equal(now.nr, 0);
}

/* Names from anybody draw nothing but themselves; the lines fit. */
static void drawn(void **state)
{
	static const struct leaf first[] = {
		{ "build/version", 0, "1.0\033[2J\"\177" },
		{ "vp0/exits/port", 0, NULL },
		{ "vmbus/channels/2/channel0/lun0/reads", 0, NULL },
		{ "vmbus/channels/2/channel0/lun0/latency/ticks_per_ms",
		  1000000, NULL },
		{ NULL, 0, NULL },
	}, second[] = {
		{ "build/version", 0, "1.0\033[2J\"\177" },
		{ "vp0/exits/port", 123456, NULL },
		{ "vp0/exits/hypercall", 123455, NULL },
		{ "vp0/exits/memory", 1, NULL },
		{ "vp0/exit_ns/port", 500000000, NULL },
		{ "vmbus/channels/2/lun0/\033[2J\"\\\\xxxxxxxxxxxx/y", 1, NULL },
		{ "vmbus/channels/2/channel0/lun0/reads", 654321, NULL },
		{ "vmbus/channels/2/channel0/lun0/bytes_read", 4000000000,
		  NULL },
		{ "vmbus/channels/2/channel0/lun0/latency/ticks_per_ms",
		  1000000, NULL },
		{ "vmbus/channels/2/channel0/lun0/latency/16", 1000, NULL },
		{ "vmbus/channels/2/channel0/lun0/latency/39", 1, NULL },
		{ NULL, 0, NULL },
	};
	size_t len;
	char *text;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	read_tree(&before, 0, first);
	read_tree(&now, SECOND, second);
	compare();
	top_draw(&now, &rates, out);
	top_draw_json(&now, &rates, out);
	fclose(out);
	assert_non_null(strstr(text, "paravisor 1.0.[2J.., ? image"));
	assert_non_null(strstr(text, "   0   246912         0     2025  "
			       "[######      ]  50.0%  port 50%, "
			       "hypercall 50%, memory 0%\n"));
	assert_non_null(strstr(text, "\n2:0 .[2J...xxxxxxxx  654321  4000.0"
			       "     0.0     0   131us   131us "
			       "[      @.           .]\n"));
	assert_non_null(strstr(text, "\"backend\":\".[2J...xxxxxxxx\""));
	for (size_t i = 0; i < len; i++)
		assert_true(text[i] == '\n' ||
			    (text[i] >= ' ' && text[i] <= '~'));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(vps, forget),
		cmocka_unit_test_teardown(long_exit, forget),
		cmocka_unit_test_teardown(disk_channels, forget),
		cmocka_unit_test_teardown(channel_gone, forget),
		cmocka_unit_test_teardown(restarted, forget),
		cmocka_unit_test_teardown(no_time, forget),
		cmocka_unit_test_teardown(latencies, forget),
		cmocka_unit_test_teardown(nics, forget),
		cmocka_unit_test_teardown(strangers, forget),
		cmocka_unit_test_teardown(drawn, forget),
	};

	return cmocka_run_group_tests_name("paravisor_pvctl_top", tests, NULL,
					   NULL);
}
