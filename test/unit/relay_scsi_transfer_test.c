/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/reactor_inline.c */
/*
 * SCSI commands that move data: on a disk in memory that holds every request to
 * its rules, and on one that writes down what it is asked and ends it as the
 * test says.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/reactor_inline.h"
#include "test/unit/scsi_unit.h"

/*
 * Any shape of a client's buffer on any disk: what is written and read must be
 * what a plain array says. The disk refuses what breaks its rules.
 */
static uint8_t shadow[BLOCKS * 512];

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)rand() % n;
}

static void random_buffer(struct scsi_task *task, uint32_t len)
{
	uint32_t shape = random_below(4), page = 0;
	uint32_t offset = shape == 0 ? 0 :
			  shape == 1 ? 512 * random_below(8) :
			  shape == 2 ? 4 * random_below(1024) :
				       random_below(4096);

	task->length = len;
	task->nr_ranges = 0;
	while (len) {
		uint32_t n = GUEST_PAGE_SIZE - offset;
		struct gpa_range range = { .len = n < len ? n : len };

		page += 1 + random_below(2);
		range.gpa = (uint64_t)page * GUEST_PAGE_SIZE + offset;
		if (task->nr_ranges && !offset &&
		    task->ranges[task->nr_ranges - 1].gpa +
				    task->ranges[task->nr_ranges - 1].len ==
			    range.gpa)
			task->ranges[task->nr_ranges - 1].len += range.len;
		else
			task->ranges[task->nr_ranges++] = range;
		len -= range.len;
		offset = 0;
	}
	assert_true(task->nr_ranges <= SCSI_MAX_RANGES);
}

static void copy_buffer(const struct scsi_task *task, uint8_t *bytes, bool in)
{
	for (unsigned int i = 0; i < task->nr_ranges; i++) {
		const struct gpa_range *r = &task->ranges[i];

		if (in)
			assert_int_equal(guest_memory_read(&memory, r->gpa,
							   bytes, r->len), 0);
		else
			assert_int_equal(guest_memory_write(&memory, r->gpa,
							    bytes, r->len), 0);
		bytes += r->len;
	}
}

static void any_shape(void **state)
{
	static uint8_t bytes[SCSI_MAX_TRANSFER];
	uint64_t bounced = 0, requests = 0, commands = 0;
	struct unit u;

	(void)state;
	for (int disk = 0; disk < 60; disk++) {
		struct disk_info info = plain;

		info.block_size = 512u << random_below(4);
		info.physical_block_size = 4096;
		info.blocks = sizeof(shadow) / info.block_size;
		info.max_transfer = info.block_size * (1 + random_below(99));
		info.max_ranges = 1 + random_below(disk % 2 ? 3 : 66);
		info.range_alignment = 1u << random_below(disk % 3 ? 3 : 13);
		info.gap_mask = random_below(2) ? 4095 : 0;
		unit_open(&u, &info);
		memset(shadow, 0, sizeof(shadow));
		for (int i = 0; i < 40; i++) {
			uint32_t most = SCSI_MAX_TRANSFER / info.block_size;
			uint32_t n = 1 + random_below(i % 2 ? 8 : most);
			uint32_t lba = random_below(
				(uint32_t)info.blocks - n + 1);
			uint8_t *at = shadow + lba * info.block_size;
			uint32_t size = n * info.block_size;
			uint8_t cdb[10] = { 0 };

			cdb[0] = random_below(2) ? 0x2a : 0x28;
			scsi_put32(cdb + 2, lba);
			scsi_put16(cdb + 7, (uint16_t)n);
			random_buffer(&u.task, size);
			u.task.direction = cdb[0] == 0x2a ? SCSI_DATA_OUT :
							    SCSI_DATA_IN;
			for (uint32_t b = 0; b < size; b++)
				bytes[b] = (uint8_t)rand();
			copy_buffer(&u.task, bytes, false);
			if (cdb[0] == 0x2a)
				memcpy(at, bytes, size);
			run(&u, cdb, sizeof(cdb));
			expect_good(&u, size);
			copy_buffer(&u.task, bytes, true);
			assert_memory_equal(bytes, at, size);
		}
		bounced += u.bounce.bounced;
		requests += u.nexus.count.requests;
		commands += 40;
		unit_close(&u);
	}
	/* All ways have been gone. */
	assert_true(bounced > 100 && requests > bounced + commands);
}

/* Aligned buffers never go through a bounce buffer, and one that the disk can
 * take whole is one request. */
static void straight_through(void **state)
{
	struct disk_info info = plain;
	struct unit u;

	(void)state;
	unit_open(&u, &info);
	u.task.direction = SCSI_DATA_OUT;
	u.task.length = SCSI_MAX_TRANSFER;
	u.task.nr_ranges = 64;
	for (unsigned int i = 0; i < 64; i++)
		u.task.ranges[i] = (struct gpa_range){ i * 2 * 4096, 4096 };
	RUN(&u, 0x2a, 0, 0, 0, 0, 0, 0, 2, 0, 0);
	expect_good(&u, SCSI_MAX_TRANSFER);
	assert_int_equal(u.nexus.count.requests, 1);
	assert_int_equal(u.nexus.count.submits, 1);
	unit_close(&u);

	info.max_transfer = 128 * 1024;
	info.max_ranges = 33;
	unit_open(&u, &info);
	u.task.direction = SCSI_DATA_IN;
	u.task.length = SCSI_MAX_TRANSFER;
	u.task.nr_ranges = 65;
	for (unsigned int i = 0; i < 65; i++)
		u.task.ranges[i] = (struct gpa_range){ i * 2 * 4096, 4096 };
	u.task.ranges[0].gpa += 0x204;
	u.task.ranges[0].len -= 0x204;
	u.task.ranges[64].len = 0x204;
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0);
	expect_good(&u, SCSI_MAX_TRANSFER);
	assert_int_equal(u.nexus.count.requests, 2);
	assert_int_equal(u.nexus.count.submits, 1);
	assert_int_equal(u.bounce.bounced, 0);
	unit_close(&u);
}

/* More tasks than bounce buffers: all end, none twice. */
struct crowd_task {
	struct scsi_task task;
	unsigned int done;
};

static void crowd_done(struct scsi_task *task)
{
	((struct crowd_task *)task)->done++;
}

static void bounce_buffers_are_shared(void **state)
{
	enum { TASKS = 16, SIZE = 160 * 1024 };
	static struct crowd_task crowd[TASKS];
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	memset(low, 0x5a, sizeof(low));
	for (int i = 0; i < TASKS; i++) {
		struct scsi_task *t = &crowd[i].task;

		t->memory = &memory;
		t->nexus = &u.nexus;
		t->done = crowd_done;
		crowd[i].done = 0;
		buffer(t, SCSI_DATA_OUT, 1, SIZE);
		memcpy(t->cdb, (uint8_t[]){ 0x2a, 0, 0, 0, 1, 0, 0,
					    SIZE / 512 >> 8,
					    SIZE / 512 & 255, 0 }, 10);
		t->cdb_size = 10;
		scsi_execute(t);
	}
	scsi_nexus_submit(&u.nexus);
	reactor_inline_drain();
	for (int i = 0; i < TASKS; i++) {
		assert_int_equal(crowd[i].done, 1);
		assert_int_equal(crowd[i].task.status, SCSI_GOOD);
		assert_int_equal(crowd[i].task.moved, SIZE);
	}
	assert_int_equal(u.bounce.bounced, TASKS * 3);
	assert_int_equal(u.bounce.waited, TASKS - 1 - SCSI_BOUNCE_SHARE);
	assert_false(u.nexus.own_bounce_used);
	assert_int_equal(u.nexus.shared_bounces, 0);
	assert_int_equal(u.bounce.nr_free, SCSI_BOUNCE_BUFFERS);
	unit_close(&u);
}

static void both_ranges_of_memory(void **state)
{
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	memset(high, 0x77, 8192);
	memset(low, 0, 8192);
	buffer(&u.task, SCSI_DATA_OUT, HIGH_GPA, 8192);
	RUN(&u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 16, 0);
	expect_good(&u, 8192);
	buffer(&u.task, SCSI_DATA_IN, 0, 8192);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 16, 0);
	expect_good(&u, 8192);
	assert_memory_equal(low, high, 8192);
	unit_close(&u);
}

/* Unmap, write same. */

static void fill_disk(struct unit *u, uint8_t byte)
{
	memset(low, byte, SCSI_MAX_TRANSFER);
	buffer(&u->task, SCSI_DATA_OUT, 0, SCSI_MAX_TRANSFER);
	RUN(u, 0x2a, 0, 0, 0, 0, 0, 0, 2, 0, 0);
	expect_good(u, SCSI_MAX_TRANSFER);
}

/* Every one of the first 512 blocks is `byte`, but for [from, to). */
static void expect_disk(struct unit *u, uint8_t byte, uint32_t from,
			uint32_t to, uint8_t other)
{
	buffer(&u->task, SCSI_DATA_IN, 0, SCSI_MAX_TRANSFER);
	RUN(u, 0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0);
	expect_good(u, SCSI_MAX_TRANSFER);
	for (uint32_t i = 0; i < SCSI_MAX_TRANSFER; i++)
		assert_int_equal(low[i], i / 512 >= from && i / 512 < to ?
						 other : byte);
}

static void unmap(void **state)
{
	struct disk_info info = plain;
	struct unit u;
	uint8_t *d = low + 8;

	(void)state;
	unit_open(&u, &info);
	fill_disk(&u, 0xaa);
	memset(low, 0, 4096);
	for (int i = 0; i < 10; i++, d += 16) {
		scsi_put64(d, 100 + 8 * (unsigned int)i);
		scsi_put32(d + 8, 8);
	}
	scsi_put16(low + 2, 160);
	buffer(&u.task, SCSI_DATA_OUT, 0, 168);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 168, 0);
	expect_good(&u, 168);
	assert_int_equal(u.nexus.count.requests, 1 + 10);
	expect_disk(&u, 0xaa, 100, 180, 0);

	/* The second is out of range: the first is not done either. */
	fill_disk(&u, 0xbb);
	memset(low, 0, 4096);
	scsi_put16(low + 2, 32);
	scsi_put32(low + 16, 8);
	scsi_put64(low + 24, BLOCKS);
	scsi_put32(low + 32, 1);
	buffer(&u.task, SCSI_DATA_OUT, 0, 40);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0);
	expect_refused(&u, 0x2100);
	expect_disk(&u, 0xbb, 0, 0, 0);

	/* Lengths that do not fit each other, anchors, nothing at all. */
	memset(low, 0, 4096);
	scsi_put16(low + 2, 48);
	buffer(&u.task, SCSI_DATA_OUT, 0, 4096);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0);
	expect_refused(&u, 0x1a00);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0);
	expect_refused(&u, 0x1a00);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 8, 0, 0); /* room for more than three */
	expect_good(&u, 2048);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 16, 1, 0);
	assert_int_equal(u.task.outcome, SCSI_OVERRUN);
	scsi_put16(low + 2, 65 * 16); /* one too many */
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	expect_field(&u, false, 2, 7);
	scsi_put16(low + 2, 64 * 16);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	expect_good(&u, 2048);
	scsi_put16(low + 2, 48);
	RUN(&u, 0x42, 1, 0, 0, 0, 0, 0, 0, 56, 0);
	expect_refused(&u, 0x2400);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 56, 0); /* three empty ones */
	expect_good(&u, 56);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(&u, 0);
	unit_close(&u);

	info.discard_granularity = 0;
	unit_open(&u, &info);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	expect_refused(&u, 0x2000);
	unit_close(&u);
}

static void write_same(void **state)
{
	struct disk_info info = plain;
	struct unit u;

	(void)state;
	for (int zeroes = 0; zeroes < 2; zeroes++) {
		info.write_zeroes = zeroes;
		unit_open(&u, &info);
		fill_disk(&u, 0xaa);
		memset(low, 0, 512);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		RUN(&u, 0x41, 0, 0, 0, 0, 10, 0, 1, 44, 0);
		expect_good(&u, 512);
		expect_disk(&u, 0xaa, 10, 310, 0);
		assert_int_equal(u.bounce.bounced, zeroes ? 0 : 3);

		/* A byte at the end is a pattern. */
		memset(low, 0x11, 512);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		RUN(&u, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0);
		expect_good(&u, 512);
		expect_disk(&u, 0x11, 0, 0, 0);

		/* Without a block: zeroes. */
		buffer(&u.task, SCSI_DATA_NONE, 0, 0);
		RUN(&u, 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0);
		expect_good(&u, 0);
		expect_disk(&u, 0x11, 5, 14, 0);
		unit_close(&u);
	}
	unit_open(&u, &info);
	buffer(&u.task, SCSI_DATA_OUT, 0, 511);
	RUN(&u, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(u.task.outcome, SCSI_OVERRUN);
	RUN(&u, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* "to the end" */
	expect_refused(&u, 0x2400);
	RUN(&u, 0x41, 8, 0, 0, 0, 0, 0, 0, 1, 0); /* UNMAP */
	expect_refused(&u, 0x2400);
	RUN(&u, 0x41, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0);
	expect_refused(&u, 0x2100);
	unit_close(&u);
}

/* A disk that writes down and does as told. */

struct told_disk {
	struct disk disk;
	struct disk_info info;
	enum disk_status status[8]; /* of each request in turn */
	uint8_t op[8], flags[8];
	unsigned int nr;
	struct disk_request *held[8];
	unsigned int nr_held;
};

static void told_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct told_disk *)disk)->info;
}

static int told_queue_open(struct disk *disk, struct reactor *r,
			   unsigned int depth, struct disk_queue **queue)
{
	(void)r;
	(void)depth;
	*queue = (struct disk_queue *)disk;
	return 0;
}

static void told_queue_close(struct disk_queue *queue)
{
	assert_int_equal(((struct told_disk *)queue)->nr_held, 0);
}

static void told_submit(struct disk_queue *queue, struct disk_request **reqs,
			unsigned int nr)
{
	struct told_disk *d = (struct told_disk *)queue;

	while (nr--)
		d->held[d->nr_held++] = *reqs++;
}

static void told_close(struct disk *disk)
{
	(void)disk;
}

static const struct disk_ops told_ops = {
	.name = "told",
	.info = told_info,
	.queue_open = told_queue_open,
	.queue_close = told_queue_close,
	.submit = told_submit,
	.close = told_close,
};

/* Ends what it holds, newest first, until it is asked no more. */
static void told_run(struct told_disk *d)
{
	while (d->nr_held) {
		struct disk_request *req = d->held[--d->nr_held];

		assert_true(d->nr < 8);
		d->op[d->nr] = req->op;
		d->flags[d->nr] = req->flags;
		req->done(req, d->status[d->nr++]);
	}
}

static void told_start(struct told_disk *d, struct unit *u, const uint8_t *cdb,
		       size_t size)
{
	d->nr = 0;
	start(u, cdb, size);
	told_run(d);
	assert_int_equal(u->done, 1);
}
#define TOLD(d, u, ...) \
	told_start(d, u, (const uint8_t[]){ __VA_ARGS__ }, \
		   sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void statuses(void **state)
{
	static const struct {
		enum disk_status status;
		uint8_t key;
		uint16_t asc;
	} cases[] = {
		{ DISK_INVALID, 5, 0x2400 },
		{ DISK_OUT_OF_RANGE, 5, 0x2100 },
		{ DISK_READ_ONLY, 7, 0x2700 },
		{ DISK_MEDIUM_READ, 3, 0x1100 },
		{ DISK_MEDIUM_WRITE, 3, 0x0300 },
		{ DISK_PROTECTION, 0xb, 0x1001 },
		{ DISK_NOT_READY, 2, 0x0401 },
		{ DISK_NO_SPACE, 7, 0x2707 },
		{ DISK_ABORTED, 0xb, 0x0000 },
		{ DISK_TIMEOUT, 4, 0x0801 },
		{ DISK_UNSUPPORTED, 5, 0x2000 },
		{ DISK_FAILED, 4, 0x4400 },
	};
	struct told_disk d = { .disk.ops = &told_ops, .info = plain };
	struct unit u;

	(void)state;
	unit_open_on(&u, &d.disk, false);
	buffer(&u.task, SCSI_DATA_IN, 0, 512);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		d.status[0] = cases[i].status;
		TOLD(&d, &u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_sense(&u, cases[i].key, cases[i].asc);
	}
	d.status[0] = DISK_GONE;
	TOLD(&d, &u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(u.task.outcome, SCSI_NO_LUN);
	d.status[0] = DISK_CONFLICT;
	TOLD(&d, &u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(u.task.outcome, SCSI_DELIVERED);
	assert_int_equal(u.task.status, 0x18);
	assert_int_equal(u.task.moved, 0);
	assert_int_equal(u.nexus.count.failed, 14);
	unit_close(&u);
}

/* Of eight parts in two waves the second fails: the first wave ends, the
 * second is not sent. */
static void first_failure_decides(void **state)
{
	struct told_disk d = { .disk.ops = &told_ops, .info = plain };
	struct unit u;

	(void)state;
	d.info.max_transfer = 4096;
	d.status[1] = DISK_MEDIUM_READ;
	d.status[2] = DISK_FAILED;
	unit_open_on(&u, &d.disk, false);
	buffer(&u.task, SCSI_DATA_IN, 0, 8 * 4096);
	TOLD(&d, &u, 0x28, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	expect_sense(&u, 3, 0x1100);
	assert_int_equal(d.nr, SCSI_PARTS);
	d.status[1] = d.status[2] = DISK_OK;
	TOLD(&d, &u, 0x28, 0, 0, 0, 0, 0, 0, 0, 64, 0);
	expect_good(&u, 8 * 4096);
	assert_int_equal(d.nr, 8);
	unit_close(&u);
}

static void set_wce(struct told_disk *d, struct unit *u, bool on)
{
	memset(low, 0, 64);
	low[8] = 0x08;
	low[9] = 18;
	low[10] = on ? 4 : 0;
	buffer(&u->task, SCSI_DATA_OUT, 0, 28);
	TOLD(d, u, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 28, 0);
	expect_good(u, 28);
}

static void durability(void **state)
{
	struct told_disk d = { .disk.ops = &told_ops, .info = plain };
	struct unit u;

	(void)state;
	for (int fua = 0; fua < 2; fua++) {
		d.info.fua = fua;
		unit_open_on(&u, &d.disk, false);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		TOLD(&d, &u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		assert_int_equal(d.nr, 1);
		assert_int_equal(d.flags[0], 0);
		TOLD(&d, &u, 0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_good(&u, 512);
		assert_int_equal(d.nr, fua ? 1 : 2);
		assert_int_equal(d.flags[0], fua ? DISK_FUA : 0);
		assert_int_equal(d.op[1], fua ? d.op[1] : DISK_FLUSH);

		set_wce(&d, &u, false);
		assert_int_equal(d.nr, 1);
		assert_int_equal(d.op[0], DISK_FLUSH);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		TOLD(&d, &u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		assert_int_equal(d.nr, fua ? 1 : 2);
		assert_int_equal(d.flags[0], fua ? DISK_FUA : 0);
		memset(low, 0, 512);
		TOLD(&d, &u, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		assert_int_equal(d.nr, 2);
		assert_int_equal(d.op[0], DISK_WRITE_ZEROES);
		assert_int_equal(d.op[1], DISK_FLUSH);
		set_wce(&d, &u, true);
		assert_int_equal(d.nr, 0);
		buffer(&u.task, SCSI_DATA_NONE, 0, 0);
		TOLD(&d, &u, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_int_equal(d.op[0], DISK_FLUSH);
		TOLD(&d, &u, 0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		assert_int_equal(d.nr, 1);
		TOLD(&d, &u, 0x1b, 0, 0, 0, 0, 0); /* stop */
		assert_int_equal(d.op[0], DISK_FLUSH);
		TOLD(&d, &u, 0x1b, 0, 0, 0, 1, 0); /* start */
		assert_int_equal(d.nr, 0);
		TOLD(&d, &u, 0x1b, 0, 0, 0, 2, 0); /* eject */
		expect_refused(&u, 0x2400);
		/* A flush that fails is not good news. */
		d.status[0] = DISK_FAILED;
		TOLD(&d, &u, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		expect_sense(&u, 4, 0x4400);
		d.status[0] = DISK_OK;
		unit_close(&u);
	}
	/* Nothing to be flushed. */
	d.info.write_cache = false;
	unit_open_on(&u, &d.disk, false);
	TOLD(&d, &u, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(d.nr, 0);
	buffer(&u.task, SCSI_DATA_OUT, 0, 512);
	TOLD(&d, &u, 0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0);
	assert_int_equal(d.nr, 1);
	assert_int_equal(d.flags[0], 0);
	unit_close(&u);
}

static void select_done(struct scsi_task *task)
{
	assert_int_equal(task->status, SCSI_GOOD);
	task->done = NULL;
}

/* Another channel switches the cache off while a command of the first is under
 * way; the disk ends the flush of that first. */
static void switched_off(struct told_disk *d, struct unit *u,
			 const uint8_t *cdb, size_t size)
{
	struct scsi_nexus nexus;
	struct scsi_task task = {
		.memory = &memory, .nexus = &nexus, .done = select_done,
		.cdb = { 0x15, 0x10, 0, 0, 24 }, .cdb_size = 6,
	};

	set_wce(d, u, true);
	memset(low, 0, 512);
	buffer(&u->task, cdb[0] == 0x28 ? SCSI_DATA_IN : SCSI_DATA_OUT, 4096,
	       cdb[0] == 0x2a || cdb[0] == 0x28 ? 512u * cdb[8] : 512);
	d->nr = 0;
	start(u, cdb, size);
	assert_int_equal(u->done, 0);
	assert_int_equal(scsi_nexus_open(&nexus, &u->lun, &u->bounce, NULL, 1),
			 0);
	buffer(&task, SCSI_DATA_OUT, 0, 24);
	memcpy(low + 4, "\x08\x12", 2);
	scsi_execute(&task);
	scsi_nexus_submit(&nexus);
	told_run(d);
	assert_null(task.done);
	assert_int_equal(u->done, 1);
	assert_int_equal(d->op[0], DISK_FLUSH);
	scsi_nexus_close(&nexus);
}
#define SWITCHED_OFF(d, u, ...) \
	switched_off(d, u, (const uint8_t[]){ __VA_ARGS__ }, \
		     sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* What was sent while the cache was on is as durable as the rest if it ends
 * while the cache is off: the flush of MODE SELECT came too early for it. */
static void durable_after_all(void **state)
{
	struct told_disk d = { .disk.ops = &told_ops, .info = plain };
	struct unit u;

	(void)state;
	d.info.max_transfer = 4096;
	for (int fua = 0; fua < 2; fua++) {
		d.info.fua = d.info.write_zeroes = fua;
		unit_open_on(&u, &d.disk, false);
		SWITCHED_OFF(&d, &u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_good(&u, 512);
		assert_int_equal(d.nr, 3);
		assert_int_equal(d.op[1], DISK_WRITE);
		assert_int_equal(d.op[2], DISK_FLUSH);
		/* Five parts: the last goes when the cache is off. */
		SWITCHED_OFF(&d, &u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 40, 0);
		expect_good(&u, 40 * 512);
		assert_int_equal(d.nr, 7);
		assert_int_equal(d.op[5], DISK_WRITE);
		assert_int_equal(d.op[6], DISK_FLUSH);
		SWITCHED_OFF(&d, &u, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_good(&u, 512);
		assert_int_equal(d.nr, 3);
		assert_int_equal(d.op[1], fua ? DISK_WRITE_ZEROES : DISK_WRITE);
		assert_int_equal(d.op[2], DISK_FLUSH);
		/* A flush that fails is not good news. */
		d.status[2] = DISK_FAILED;
		SWITCHED_OFF(&d, &u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_sense(&u, 4, 0x4400);
		d.status[2] = DISK_OK;
		/* Nor does it follow twice, or needlessly. */
		SWITCHED_OFF(&d, &u, 0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_good(&u, 512);
		assert_int_equal(d.nr, fua ? 2 : 3);
		SWITCHED_OFF(&d, &u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_good(&u, 512);
		assert_int_equal(d.nr, 2);
		d.status[1] = DISK_MEDIUM_WRITE;
		SWITCHED_OFF(&d, &u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
		expect_sense(&u, 3, 0x0300);
		assert_int_equal(d.nr, 2);
		d.status[1] = DISK_OK;
		unit_close(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(any_shape),
		UNIT_TEST(straight_through),
		UNIT_TEST(bounce_buffers_are_shared),
		UNIT_TEST(both_ranges_of_memory),
		UNIT_TEST(unmap),
		UNIT_TEST(write_same),
		UNIT_TEST(statuses),
		UNIT_TEST(first_failure_decides),
		UNIT_TEST(durability),
		UNIT_TEST(durable_after_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
