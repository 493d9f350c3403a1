/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/storvsp_retire.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/stamping_guest.c test/unit/disk_faults.c test/guest/stamp.c igvm/crc32.c test/unit/reactor_inline.c */
/*
 * Fairness between the units of a channel, and what becomes of a unit whose disk
 * does not answer: a unit that is delayed by 10 s, with 256 commands of the
 * guest, costs its neighbour nothing, also where both need bounce buffers; it
 * is called degraded when its disk's time is up, until the disk answers again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>

#include "paravisor/disk_memory.h"
#include "test/unit/disk_faults.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/stamping_guest.h"

#define MS 1000000ull
#define SLOW 1
#define NEIGHBOUR 2
#define BLOCKS 4096u
#define WINDOW_MS 10000u
#define SLOW_DEPTH 256u
#define DEPTH 8u
#define BIG_RING 33 /* pages: as Linux makes it */
#define WINDOWS 3

struct unit {
	struct disk *disk;
	struct stamping_guest guest;
	bool removed;
};

struct world {
	struct machine m;
	struct unit slow, neighbour;
	uint32_t deadline_ms; /* of the disks */
};

static void removed(void *opaque)
{
	((struct unit *)opaque)->removed = true;
}

static void add(struct world *w, struct unit *u, uint8_t lun)
{
	const struct disk_info info = {
		.blocks = BLOCKS, .block_size = STAMPING_BLOCK,
		.physical_block_size = STAMPING_BLOCK,
		.max_transfer = 128 * 1024, .max_ranges = 33,
		.gap_mask = 4095, .range_alignment = 4, .deadline_ms = w->deadline_ms,
	};
	struct scsi_lun_config config = { .number = lun };

	u->disk = disk_faults_create(disk_memory_create(&w->m.g->memory,
							&info));
	config.disk = u->disk;
	assert_int_equal(storvsp_add_lun(w->m.storvsp, &config), 0);
	reactor_inline_drain();
	stamping_open(&u->guest, &w->m, lun, BLOCKS, lun);
}

static void begin(struct world *w, uint16_t depth, uint32_t deadline_ms)
{
	memset(w, 0, sizeof(*w));
	w->deadline_ms = deadline_ms;
	machine_create(&w->m, depth, 0, BIG_RING);
	negotiate(&w->m);
	add(w, &w->slow, SLOW);
	add(w, &w->neighbour, NEIGHBOUR);
	w->slow.guest.peer = &w->neighbour.guest;
	w->neighbour.guest.peer = &w->slow.guest;
	stamping_receive(&w->slow.guest);
}

static void end_unit(struct world *w, struct unit *u, uint8_t lun)
{
	stamping_close(&u->guest);
	assert_int_equal(storvsp_remove_lun(w->m.storvsp, lun, removed, u), 0);
	reactor_inline_drain();
	assert_true(u->removed);
	u->disk->ops->close(u->disk);
}

static void end(struct world *w)
{
	assert_int_equal(guest_shut(&w->m.ch), 0);
	end_unit(w, &w->slow, SLOW);
	end_unit(w, &w->neighbour, NEIGHBOUR);
	machine_destroy(&w->m);
}

static void delay(struct unit *u, uint32_t ms)
{
	const struct disk_fault_rule rule = { .fault = DISK_FAULT_DELAY,
					      .delay_ms = ms };

	disk_faults_set(u->disk, ms ? &rule : NULL);
	/* What waits for its turn, and for what has it, included. */
	u->guest.deadline_ns = (ms * 40ull + 1000) * MS;
}

static void step(struct world *w, uint64_t ms)
{
	reactor_inline_advance(ms * MS);
	stamping_receive(&w->slow.guest);
	stamping_again(&w->slow.guest);
	stamping_again(&w->neighbour.guest);
}

static void top_up(struct stamping_guest *g, unsigned int depth)
{
	for (unsigned int tries = 0; g->under_way < depth && tries < 4 * depth;
	     tries++)
		stamping_send(g, rand() & 1);
}

/* How many commands of the neighbour's end well in a window. */
static uint64_t window(struct world *w, unsigned int slow_depth)
{
	struct stamping_guest *g = &w->neighbour.guest;
	uint64_t before = g->good;

	srand(1);
	delay(&w->slow, 10000);
	delay(&w->neighbour, 5);
	for (unsigned int ms = 0; ms < WINDOW_MS; ms++) {
		top_up(&w->slow.guest, slow_depth);
		top_up(g, DEPTH);
		step(w, 1);
	}
	assert_int_equal(g->failed, 0);
	before = g->good - before;
	/* All that is left ends, and nothing got lost. */
	while (w->slow.guest.under_way || g->under_way)
		step(w, 50);
	assert_int_equal(w->slow.guest.failed, 0);
	return before;
}

static struct world *inspected;

static void describe(void *object, struct inspect *out)
{
	struct vmbus_device *dev =
		(struct vmbus_device *)inspected->m.storvsp;

	(void)object;
	dev->ops->inspect(dev, out);
}

/* What inspect says of `path` begins with `expected`. */
static void expect(struct world *w, const char *path, const char *expected)
{
	static struct inspect_entry entry = { .name = "storvsp",
					      .describe = describe };
	static char json[65536];

	if (!inspected)
		inspect_register(&entry);
	inspected = w;
	assert_true(inspect_render(path, 9, json, sizeof(json)) > 0);
	if (strcmp(json, expected))
		fprintf(stderr, "%s: %s\n", path, json);
	assert_string_equal(json, expected);
}

static void fair(unsigned int odd, uint16_t depth)
{
	unsigned int good = 0;
	struct world w;

	begin(&w, depth, 20000);
	w.slow.guest.odd = w.neighbour.guest.odd = odd;
	for (unsigned int i = 0; i < WINDOWS; i++) {
		uint64_t solo = window(&w, 0);
		uint64_t both = window(&w, SLOW_DEPTH);

		printf("depth %u: %llu alone, %llu beside the slow one, which "
		       "was refused %llu times\n", depth,
		       (unsigned long long)solo, (unsigned long long)both,
		       (unsigned long long)w.slow.guest.refused);
		fflush(stdout);
		good += both * 10 >= solo * 9;
	}
	assert_true(good > WINDOWS / 2); /* the median */
	assert_int_equal(stamp_bad(&w.slow.guest.book), 0);
	assert_int_equal(stamp_bad(&w.neighbour.guest.book), 0);
	assert_int_equal(w.neighbour.guest.refused, 0);
	expect(&w, "storvsp/channel0/floor_broken", "0");
	end(&w);
}

static void slow_disk(void **state)
{
	(void)state;
	fair(0, 64);
}

static void slow_disk_small_depth(void **state)
{
	(void)state;
	fair(0, 8);
}

static void slow_disk_bounced(void **state)
{
	(void)state;
	fair(1, 64);
}

/* For as many milliseconds, in steps that no timer is longer than. */
static void pass(struct world *w, unsigned int ms)
{
	for (; ms; ms -= 50)
		step(w, 50);
}

/* A disk that does not answer in time, and one that does not answer at all. */
static void degraded(void **state)
{
	static const struct disk_fault_rule drop = {
		.fault = DISK_FAULT_DROP, .delay_ms = 1000,
	};
	struct world w;

	(void)state;
	begin(&w, 64, 2000);
	expect(&w, "storvsp/lun1/state", "\"good\"");
	delay(&w.slow, 10000);
	w.neighbour.guest.deadline_ns = 100 * MS;
	assert_true(stamping_send(&w.slow.guest, true));
	assert_true(stamping_send(&w.neighbour.guest, true));
	pass(&w, 1900);
	expect(&w, "storvsp/lun1/state", "\"good\"");
	pass(&w, 300);
	expect(&w, "storvsp/lun1/state", "\"degraded\"");
	expect(&w, "storvsp/lun2/state", "\"good\"");
	/* One more; the first ends, that one is late, too. */
	pass(&w, 6000);
	assert_true(stamping_send(&w.slow.guest, false));
	pass(&w, 2000);
	assert_int_equal(w.slow.guest.good, 1);
	expect(&w, "storvsp/lun1/state", "\"good\"");
	expect(&w, "storvsp/lun1/degradations", "1");
	pass(&w, 500);
	expect(&w, "storvsp/lun1/state", "\"degraded\"");
	pass(&w, 8000);
	assert_int_equal(w.slow.guest.good, 2);
	expect(&w, "storvsp/lun1/state", "\"good\"");

	disk_faults_set(w.slow.disk, &drop);
	assert_true(stamping_send(&w.slow.guest, true));
	pass(&w, 1100);
	assert_int_equal(w.slow.guest.retries, 1);
	expect(&w, "storvsp/lun1/state", "\"degraded\"");
	expect(&w, "storvsp/lun1/degradations", "3");
	disk_faults_set(w.slow.disk, NULL);
	pass(&w, 1100); /* the retry had been dropped as well */
	assert_int_equal(w.slow.guest.good, 3);
	pass(&w, 100);
	expect(&w, "storvsp/lun1/state", "\"good\"");
	assert_int_equal(stamp_bad(&w.slow.guest.book), 0);
	end(&w);
}

/* A unit that is removed, or whose channel closes, while its disk has not
 * answered and commands wait behind it. */
static void ends_while_degraded(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 8, 2000);
	delay(&w.slow, 5000);
	w.slow.guest.deadline_ns = 1000000 * MS;
	top_up(&w.slow.guest, 64);
	pass(&w, 3000);
	expect(&w, "storvsp/lun1/state", "\"degraded\"");
	assert_int_equal(storvsp_remove_lun(w.m.storvsp, SLOW, removed,
					    &w.slow), 0);
	pass(&w, 60000);
	assert_true(w.slow.removed);
	assert_int_equal(w.slow.guest.under_way, 0);
	assert_int_equal(w.slow.guest.failed, 0);
	w.slow.disk->ops->close(w.slow.disk);
	stamping_close(&w.slow.guest);

	/* Again, but the channel goes: nobody is told. */
	w.slow.removed = false;
	add(&w, &w.slow, SLOW);
	delay(&w.slow, 5000);
	w.slow.guest.deadline_ns = 1000000 * MS;
	stamping_receive(&w.slow.guest);
	top_up(&w.slow.guest, 64);
	pass(&w, 3000);
	expect(&w, "storvsp/lun1/state", "\"degraded\"");
	assert_int_equal(guest_close(&w.m.ch), 0);
	reactor_inline_advance(6000 * MS);
	assert_int_equal(guest_gpadl_teardown(w.m.g, w.m.ch.id, w.m.ch.gpadl),
			 0);
	guest_channel_free(&w.m.ch);
	expect(&w, "storvsp/lun1/state", "\"good\"");
	w.slow.guest.under_way = 0;
	end_unit(&w, &w.slow, SLOW);
	end_unit(&w, &w.neighbour, NEIGHBOUR);
	machine_destroy(&w.m);
}

/* Several slow ones leave the last its floor, and a bounce buffer. */
static void one_among_slow_ones(void **state)
{
	struct unit more[2];
	struct world w;

	(void)state;
	begin(&w, 16, 20000);
	for (unsigned int i = 0; i < 2; i++) {
		memset(&more[i], 0, sizeof(more[i]));
		add(&w, &more[i], (uint8_t)(8 + i));
		more[i].guest.peer = i ? &more[0].guest : &w.neighbour.guest;
	}
	w.slow.guest.peer = &more[1].guest;
	delay(&w.slow, 10000);
	delay(&more[0], 10000);
	delay(&more[1], 10000);
	w.neighbour.guest.odd = 1;
	w.slow.guest.odd = more[0].guest.odd = more[1].guest.odd = 2;
	for (unsigned int i = 0; i < 2; i++)
		more[i].guest.deadline_ns = 4000000 * MS;
	w.slow.guest.deadline_ns = 4000000 * MS;
	top_up(&w.slow.guest, 100);
	top_up(&more[0].guest, 100);
	top_up(&more[1].guest, 100);
	/* They get what they may have; and the guest's driver, which may be
	 * left without a signal for 20 ms once, is behind that. */
	pass(&w, 2000);
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t good = w.neighbour.guest.good;

		assert_true(stamping_send(&w.neighbour.guest, i & 1));
		step(&w, 1);
		assert_int_equal(w.neighbour.guest.good, good + 1);
	}
	expect(&w, "storvsp/channel0/floor_broken", "0");
	expect(&w, "storvsp/lun8/state", "\"good\"");
	while (w.slow.guest.under_way || more[0].guest.under_way ||
	       more[1].guest.under_way) {
		step(&w, 100);
		stamping_again(&more[0].guest);
		stamping_again(&more[1].guest);
	}
	assert_int_equal(guest_shut(&w.m.ch), 0);
	end_unit(&w, &more[0], 8);
	end_unit(&w, &more[1], 9);
	end_unit(&w, &w.slow, SLOW);
	end_unit(&w, &w.neighbour, NEIGHBOUR);
	machine_destroy(&w.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_disk),
		cmocka_unit_test(slow_disk_small_depth),
		cmocka_unit_test(slow_disk_bounced),
		cmocka_unit_test(one_among_slow_ones),
		cmocka_unit_test(degraded),
		cmocka_unit_test(ends_while_degraded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
