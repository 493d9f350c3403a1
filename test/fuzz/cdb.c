// SPDX-License-Identifier: MIT
/*
 * SCSI commands on logical units of several kinds.
 *
 * Input: which unit, then steps: begin a command (CDB, direction, buffer and
 * its shape, first bytes of its data), end one of the disk's requests, change
 * the disk's size, push the button of a DVD drive.
 *
 * It must hold that every command ends once, when its last request did at the
 * latest; that it moves no more than its buffer; that sense data come with
 * CHECK CONDITION and nothing moved; that bounce buffers come back; and what
 * the strict disk checks: whatever the client asks for, the disk is asked for
 * nothing that it cannot do.
 */
#include <string.h>

#include "relay/scsi.h"
#include "test/fuzz/disk_strict.h"
#include "test/fuzz/fuzz.h"

#define RAM_HALF SCSI_MAX_TRANSFER
#define RAM_SIZE (2 * RAM_HALF)
#define NR_TASKS 6
#define MAX_STEPS 24
#define UNITS 9
#define FIRST_DVD 6 /* of these */
#define EMPTY_DVD 8
#define LUN 3

static _Alignas(4096) uint8_t ram[RAM_SIZE];
static struct guest_memory memory;
static struct scsi_bounce_pool bounce;

static const struct disk_info kinds[UNITS] = {
	{ /* everything works */
		.blocks = 4096, .block_size = 512, .physical_block_size = 4096,
		.max_transfer = SCSI_MAX_TRANSFER,
		.max_ranges = SCSI_MAX_RANGES, .gap_mask = 4095,
		.range_alignment = 4, .discard_granularity = 8,
		.write_cache = true, .fua = true, .write_zeroes = true,
		.serial = "SERIAL", .nguid = { 1, 2, 3 },
	},
	{ /* little works */
		.blocks = 4096, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 16 * 1024, .max_ranges = 5,
		.gap_mask = 4095, .range_alignment = 512,
		.write_cache = true, .rotational = true, .eui64 = { 9 },
	},
	{ /* 4 KiB blocks, more of them than 32 bits count */
		.blocks = 1ull << 33, .block_size = 4096,
		.physical_block_size = 4096, .max_transfer = 128 * 1024,
		.max_ranges = 33, .gap_mask = 4095, .range_alignment = 4,
		.discard_granularity = 1, .write_zeroes = true, .fua = true,
	},
	{ /* no rules for ranges */
		.blocks = 100, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 64 * 1024, .max_ranges = 3,
		.range_alignment = 1, .write_cache = true,
	},
	{
		.blocks = 4096, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 64 * 1024, .max_ranges = 17, .gap_mask = 4095,
		.range_alignment = 4, .read_only = true,
		.discard_granularity = 8, .write_zeroes = true,
	},
	{ /* even more works */
		.blocks = 4096, .block_size = 512, .physical_block_size = 4096,
		.max_transfer = 32 * 1024, .max_ranges = 9, .gap_mask = 4095,
		.range_alignment = 4, .discard_granularity = 8,
		.discard_alignment = 3, .optimal_transfer = 8192,
		.write_cache = true, .fua = true, .write_zeroes = true,
		.write_zeroes_unmap = true, .discard_zeroes = true,
		.compare = true, .verify = true, .reservation_types = 0x76,
		.reservation_persist = true,
	},
	{ /* discs */
		.blocks = 5001, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 64 * 1024, .max_ranges = 17, .gap_mask = 4095,
		.range_alignment = 4, .discard_granularity = 8,
	},
	{
		.blocks = 600, .block_size = 4096, .physical_block_size = 4096,
		.max_transfer = 32 * 1024, .max_ranges = 17, .gap_mask = 4095,
		.range_alignment = 4, .write_cache = true,
	},
	{ 0 }, /* none */
};

static struct disk_strict disk;
static struct scsi_lun lun;
static struct scsi_target target;
static struct scsi_nexus nexus;
static struct scsi_task task[NR_TASKS];
static bool under_way[NR_TASKS];

static void task_done(struct scsi_task *t)
{
	unsigned int i = (unsigned int)(t - task);

	fuzz_expect(i < NR_TASKS && under_way[i], i, 0);
	under_way[i] = false;
	fuzz_expect(t->outcome <= SCSI_WRONG_DIRECTION, t->outcome, 0);
	fuzz_expect(t->moved <= t->length, t->moved, t->length);
	fuzz_expect(t->outcome == SCSI_DELIVERED || !t->moved, t->outcome,
		    t->moved);
	if (t->outcome == SCSI_DELIVERED && t->status == SCSI_CHECK_CONDITION)
		fuzz_expect(t->sense.response == 0x70 && t->sense.key &&
			    !t->moved, t->sense.response, t->sense.key);
	else if (t->outcome == SCSI_DELIVERED && t->status == SCSI_GOOD)
		fuzz_accept();
	else if (t->outcome == SCSI_DELIVERED)
		fuzz_expect(t->status == SCSI_RESERVATION_CONFLICT, t->status,
			    0);
}

/* A buffer of `length` bytes in a few ranges, all of them RAM. */
static void make_buffer(struct fuzz_input *in, struct scsi_task *t)
{
	uint32_t left = t->length;
	uint32_t shape = (uint32_t)fuzz_number(in, 1);
	uint32_t at = (uint32_t)fuzz_number(in, 2) * 8 + shape % 8;
	/* Pages, ragged pieces, or all in one. */
	uint32_t step = shape & 0x80 ? 4096 : shape & 0x40 ?
				8192 - 24 * (shape >> 3 & 7) : SCSI_MAX_TRANSFER;

	t->nr_ranges = 0;
	while (left) {
		uint32_t room, n = step == 4096 ? 4096 - at % 4096 : step;

		at %= RAM_SIZE;
		room = RAM_HALF - at % RAM_HALF;
		if (n > left || t->nr_ranges == SCSI_MAX_RANGES - 1)
			n = left;
		else if (n > room)
			n = room;
		if (n > room)
			at = 0;
		t->ranges[t->nr_ranges++] = (struct gpa_range){ at, n };
		left -= n;
		/* The next one is not the next page. */
		at += n + (shape & 0x20 ? 4096 : 0);
	}
}

static void start(struct fuzz_input *in)
{
	uint8_t size, where = (uint8_t)fuzz_number(in, 1);
	struct scsi_task *t;
	unsigned int i = 0;

	while (i < NR_TASKS && under_way[i])
		i++;
	if (i == NR_TASKS)
		return;
	t = &task[i];
	t->memory = &memory;
	t->target = where & 0x40 ? NULL : &target;
	t->nexus = where & 0x80 ? NULL : &nexus;
	t->direction = where % 4 % 3;
	size = where >> 2 & 0xf;
	fuzz_take(in, t->cdb, sizeof(t->cdb));
	t->cdb_size = size ? size : 16;
	memset(t->cdb + t->cdb_size, 0, sizeof(t->cdb) - t->cdb_size);
	t->length = t->direction == SCSI_DATA_NONE ? 0 :
		    (uint32_t)fuzz_number(in, 2) * 8 % (SCSI_MAX_TRANSFER + 1);
	make_buffer(in, t);
	if (t->direction == SCSI_DATA_OUT && t->length) {
		uint8_t data[64];
		size_t n = fuzz_number(in, 1) % (sizeof(data) + 1);

		fuzz_take(in, data, n);
		if (n > t->ranges[0].len)
			n = t->ranges[0].len;
		memcpy(ram + t->ranges[0].gpa, data, n);
	}
	t->done = task_done;
	under_way[i] = true;
	scsi_execute(t);
	/* Most of the time one by one, sometimes as a batch. */
	if (!(fuzz_number(in, 1) & 1))
		scsi_nexus_submit(&nexus);
}

static void begin(uint8_t kind)
{
	unsigned int unit = kind % 64 % UNITS;
	const struct scsi_lun_config config = {
		.number = LUN, .read_only = kind & 0x80,
		.disk = unit == EMPTY_DVD ? NULL : &disk.disk,
		.dvd = unit >= FIRST_DVD,
		.identity.product = "Fuzz",
		.write_cache = kind & 0x40 ? SCSI_OFF : SCSI_AS_DISK,
		.fua = kind & 0x40 ? SCSI_OFF : SCSI_AS_DISK,
		.unmap = kind & 0x40 ? SCSI_OFF : SCSI_AS_DISK,
		.rotation = kind & 0x40 ? 7200 : 0,
		.physical_block_size = kind & 0x40 ? 16384 : 0,
	};

	if (!memory.nr_ranges) {
		/* Two ranges, so that not everything is one mapping. */
		fuzz_expect(!guest_memory_add(&memory, 0, RAM_HALF, ram) &&
			    !guest_memory_add(&memory, RAM_HALF, RAM_HALF,
					      ram + RAM_HALF), 0, 0);
		fuzz_expect(!scsi_bounce_open(&bounce), 0, 0);
	}
	memset(ram, 0, 256);
	disk = disk_strict(&kinds[unit], &memory);
	fuzz_expect(!scsi_lun_init(&lun, &config), kind, 0);
	target.nexus[LUN] = &nexus;
	fuzz_expect(!scsi_nexus_open(&nexus, &lun, &bounce, NULL, NR_TASKS), 0,
		    0);
}

static void resize(uint32_t blocks)
{
	/* Smaller would make requests under way wrong: the disk's to refuse. */
	disk.info.blocks += blocks;
	scsi_lun_changed(&lun);
}

void fuzz_one(struct fuzz_input *in)
{
	begin((uint8_t)fuzz_number(in, 1));
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++) {
		uint8_t what = (uint8_t)fuzz_number(in, 1);

		if (what % 4 == 1)
			disk_strict_end(&disk, what >> 6, what & 0x20 ?
					(what >> 2) % DISK_NR_STATUS : DISK_OK);
		else if (what % 64 == 2)
			resize(what >> 6);
		else if (what % 64 == 6)
			(void)(what & 0x80 ? scsi_lun_eject(&lun) :
					     scsi_lun_insert(&lun));
		else
			start(in);
	}
	scsi_nexus_submit(&nexus);
	while (disk_strict_end(&disk, 0, DISK_OK))
		;
	for (unsigned int i = 0; i < NR_TASKS; i++)
		fuzz_expect(!under_way[i], i, task[i].cdb[0]);
	fuzz_expect(bounce.nr_free == SCSI_BOUNCE_BUFFERS && !bounce.waiting,
		    bounce.nr_free, 0);
	scsi_nexus_close(&nexus);
}
