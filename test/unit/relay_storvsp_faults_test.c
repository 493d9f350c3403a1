/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/storvsp_retire.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/stamping_guest.c test/unit/disk_faults.c test/guest/stamp.c igvm/crc32.c test/unit/reactor_inline.c */
/*
 * 10^5 stamped blocks of a unit under each fault of its disk: none is lost, torn
 * or misplaced, none is executed behind its successor, and every command is
 * answered once and within its deadline. What a fault is: disk_faults.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/disk_memory.h"
#include "test/unit/disk_faults.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/stamping_guest.h"

#define MS 1000000ull
#define LUN 1
#define BLOCKS 4096u
#define STAMPED 100000u
#define DEPTH 32u

/* A command may lie in the ring for 20 ms (see storvsp_channel.c), and time
 * passes in steps of 5. */
#define MORE_NS (25 * MS)

#define READS (1u << DISK_READ)
#define WRITES (1u << DISK_WRITE)

struct world {
	struct machine m;
	struct disk *disk;
	struct stamping_guest guest;
	bool removed;
};

static void lost(struct disk *disk, enum disk_event event)
{
	struct world *w = disk->owner;

	assert_int_equal(event, DISK_LOST);
	assert_int_equal(storvsp_lun_lost(w->m.storvsp, LUN), 0);
}

static void add(struct world *w)
{
	const struct scsi_lun_config config = { .number = LUN,
						.disk = w->disk };

	assert_int_equal(storvsp_add_lun(w->m.storvsp, &config), 0);
	reactor_inline_drain();
}

static void removed(void *opaque)
{
	((struct world *)opaque)->removed = true;
}

static void begin(struct world *w)
{
	static const struct disk_info info = {
		.blocks = BLOCKS, .block_size = STAMPING_BLOCK,
		.physical_block_size = STAMPING_BLOCK,
		.max_transfer = 128 * 1024, .max_ranges = 33,
		.gap_mask = 4095, .range_alignment = 4,
	};

	memset(w, 0, sizeof(*w));
	machine_create(&w->m, 64, 0, RING_PAGES);
	negotiate(&w->m);
	w->disk = disk_faults_create(disk_memory_create(&w->m.g->memory,
							&info));
	w->disk->event = lost;
	w->disk->owner = w;
	add(w);
	stamping_open(&w->guest, &w->m, LUN, BLOCKS, 1);
}

static void end(struct world *w)
{
	struct disk_faults_count count = disk_faults_count(w->disk);

	assert_int_equal(count.requests, count.answers);
	stamping_close(&w->guest);
	assert_int_equal(guest_shut(&w->m.ch), 0);
	assert_int_equal(storvsp_remove_lun(w->m.storvsp, LUN, removed, w), 0);
	reactor_inline_drain();
	assert_true(w->removed);
	w->disk->ops->close(w->disk);
	machine_destroy(&w->m);
}

/* All is as the guest was told. */
static void verify(struct world *w, const char *name)
{
	struct stamping_guest *g = &w->guest;

	disk_faults_set(w->disk, NULL);
	g->deadline_ns = 100 * MS;
	stamping_read_all(g);
	printf("%s: %llu written, %llu answers, %llu retries, %llu failed, "
	       "longest %llu ms; ", name,
	       (unsigned long long)g->blocks_written,
	       (unsigned long long)g->answers, (unsigned long long)g->retries,
	       (unsigned long long)g->failed,
	       (unsigned long long)(g->longest_ns / MS));
	stamp_print(&g->book, stdout);
	fflush(stdout);
	assert_int_equal(stamp_bad(&g->book), 0);
}

static const struct row {
	const char *name;
	struct disk_fault_rule rule;
	uint64_t deadline_ms; /* the disk's */
	bool fails; /* the guest's commands, in the end */
} rows[] = {
	{ "none", { 0 }, 0, false },
	{ "drop", { .fault = DISK_FAULT_DROP, .every = 50, .delay_ms = 500 },
	  500, false },
	{ "drop writes", { .fault = DISK_FAULT_DROP, .ops = WRITES, .every = 3,
			   .delay_ms = 100 }, 100, true },
	{ "delay", { .fault = DISK_FAULT_DELAY, .every = 5, .delay_ms = 50 },
	  50, false },
	{ "duplicate", { .fault = DISK_FAULT_DUPLICATE }, 0, false },
	{ "not ready", { .fault = DISK_FAULT_ERROR, .every = 5,
			 .status = DISK_NOT_READY }, 0, false },
	{ "aborted", { .fault = DISK_FAULT_ERROR, .every = 2,
		       .status = DISK_ABORTED }, 0, true },
	{ "write fault", { .fault = DISK_FAULT_ERROR, .ops = WRITES,
			   .every = 7, .status = DISK_MEDIUM_WRITE }, 0, true },
	{ "read error", { .fault = DISK_FAULT_ERROR, .ops = READS, .every = 7,
			  .status = DISK_MEDIUM_READ }, 0, true },
	{ "late error", { .fault = DISK_FAULT_LATE_ERROR, .every = 5,
			  .status = DISK_ABORTED }, 0, false },
	{ "late fault", { .fault = DISK_FAULT_LATE_ERROR, .ops = WRITES,
			  .every = 7, .status = DISK_MEDIUM_WRITE }, 0, true },
	{ "short", { .fault = DISK_FAULT_SHORT, .every = 5,
		     .status = DISK_ABORTED }, 0, false },
	{ "short for good", { .fault = DISK_FAULT_SHORT, .every = 7,
			      .status = DISK_MEDIUM_WRITE }, 0, true },
	{ "reorder", { .fault = DISK_FAULT_REORDER }, 1, false },
};

static void faults(void **state)
{
	struct world w;

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];

		srand(i);
		begin(&w);
		disk_faults_set(w.disk, &row->rule);
		w.guest.deadline_ns = row->deadline_ms * MS + MORE_NS;
		assert_true(stamping_run(&w.guest, STAMPED, DEPTH));
		if (row->rule.fault) {
			assert_true(disk_faults_count(w.disk).met > 100);
			assert_true(w.guest.failed || w.guest.retries ||
				    !row->fails);
		}
		if (!row->fails)
			assert_int_equal(w.guest.failed, 0);
		verify(&w, row->name);
		end(&w);
	}
}

/* The disk is gone, again and again, and comes back each time; meanwhile the
 * unit is not there, and a write that was under way may have been done. */
static void lose(void **state)
{
	enum { ROUNDS = 20 };
	static const struct disk_fault_rule delay = {
		.fault = DISK_FAULT_DELAY, .ops = WRITES, .delay_ms = 10,
	};
	static const struct disk_fault_rule rule = {
		.fault = DISK_FAULT_LOSE, .every = 40, .count = 1,
	};
	struct world w;

	(void)state;
	begin(&w);
	w.guest.deadline_ns = 10 * MS + MORE_NS;
	w.guest.stop_at_nobody = true;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		srand(i);
		w.guest.nobody = 0;
		disk_faults_set(w.disk, &delay);
		assert_true(stamping_run(&w.guest, STAMPED / ROUNDS, DEPTH));
		for (unsigned int n = 0; n < 2 * DEPTH; n++)
			stamping_send(&w.guest, true);
		assert_true(w.guest.under_way > DEPTH / 2);
		disk_faults_set(w.disk, &rule);
		assert_false(stamping_run(&w.guest, STAMPED, DEPTH));
		assert_int_equal(disk_faults_count(w.disk).met, 1);
		assert_int_equal(storvsp_remove_lun(w.m.storvsp, LUN, removed,
						    &w), 0);
		reactor_inline_drain();
		assert_true(w.removed);
		w.removed = false;
		disk_faults_return(w.disk);
		add(&w);
		stamping_receive(&w.guest);
	}
	assert_true(w.guest.announcements >= ROUNDS);
	assert_true(w.guest.failed > ROUNDS * DEPTH / 2);
	verify(&w, "lose");
	end(&w);
}

/* The test itself: a disk that lies is found out. */
static void lie(void **state)
{
	static const struct disk_fault_rule rule = {
		.fault = DISK_FAULT_LIE, .ops = WRITES, .every = 1000,
	};
	struct world w;

	(void)state;
	begin(&w);
	disk_faults_set(w.disk, &rule);
	assert_true(stamping_run(&w.guest, STAMPED / 10, DEPTH));
	disk_faults_set(w.disk, NULL);
	stamping_read_all(&w.guest);
	assert_true(w.guest.book.found[STAMP_LOST]);
	assert_int_equal(w.guest.book.found[STAMP_LOST],
			 stamp_bad(&w.guest.book));
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults),
		cmocka_unit_test(lose),
		cmocka_unit_test(lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
