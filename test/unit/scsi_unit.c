/* SPDX-License-Identifier: MIT */
/* See scsi_unit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/reactor_inline.h"
#include "test/unit/scsi_unit.h"

uint8_t low[RAM_PAGES * GUEST_PAGE_SIZE], high[HIGH_PAGES * GUEST_PAGE_SIZE];
struct guest_memory memory;
static struct reactor *reactor;

const struct disk_info plain = {
	.blocks = BLOCKS,
	.block_size = 512,
	.physical_block_size = 4096,
	.max_transfer = SCSI_MAX_TRANSFER,
	.max_ranges = SCSI_MAX_RANGES,
	.gap_mask = 4095,
	.range_alignment = 4,
	.discard_granularity = 8,
	.write_cache = true,
	.fua = true,
	.write_zeroes = true,
};

static void task_done(struct scsi_task *task)
{
	struct unit *u = (struct unit *)((char *)task -
					 offsetof(struct unit, task));

	u->done++;
}

void unit_open_config(struct unit *u, const struct scsi_lun_config *config)
{
	struct scsi_lun_config with_number = *config;

	with_number.number = 3;
	memset(u, 0, sizeof(*u));
	u->disk = config->disk;
	assert_int_equal(scsi_lun_init(&u->lun, &with_number), 0);
	u->target.nexus[3] = &u->nexus;
	assert_int_equal(scsi_bounce_open(&u->bounce), 0);
	assert_int_equal(scsi_nexus_open(&u->nexus, &u->lun, &u->bounce,
					 reactor, 16), 0);
	u->task.memory = &memory;
	u->task.target = &u->target;
	u->task.nexus = &u->nexus;
	u->task.done = task_done;
}

void unit_open_on(struct unit *u, struct disk *disk, bool read_only)
{
	const struct scsi_lun_config config = {
		.disk = disk, .read_only = read_only,
	};

	assert_non_null(disk);
	unit_open_config(u, &config);
}

void unit_open(struct unit *u, const struct disk_info *info)
{
	unit_open_on(u, disk_memory_create(&memory, info), false);
}

void unit_close(struct unit *u)
{
	scsi_nexus_close(&u->nexus);
	assert_int_equal(u->bounce.nr_free, SCSI_BOUNCE_BUFFERS);
	scsi_bounce_close(&u->bounce);
	if (u->disk)
		u->disk->ops->close(u->disk);
}

void buffer(struct scsi_task *task, enum scsi_direction direction,
	    uint64_t gpa, uint32_t len)
{
	task->direction = (uint8_t)direction;
	task->length = len;
	task->nr_ranges = len ? 1 : 0;
	task->ranges[0] = (struct gpa_range){ gpa, len };
}

void start(struct unit *u, const uint8_t *cdb, size_t size)
{
	memset(u->task.cdb, 0, sizeof(u->task.cdb));
	memcpy(u->task.cdb, cdb, size);
	u->task.cdb_size = (uint8_t)size;
	u->done = 0;
	scsi_execute(&u->task);
	scsi_nexus_submit(&u->nexus);
}

void run(struct unit *u, const uint8_t *cdb, size_t size)
{
	start(u, cdb, size);
	reactor_inline_drain();
	assert_int_equal(u->done, 1);
}

void expect_good(const struct unit *u, uint32_t moved)
{
	assert_int_equal(u->task.outcome, SCSI_DELIVERED);
	assert_int_equal(u->task.status, SCSI_GOOD);
	assert_int_equal(u->task.moved, moved);
}

void expect_sense(const struct unit *u, uint8_t key, uint16_t asc)
{
	assert_int_equal(u->task.outcome, SCSI_DELIVERED);
	assert_int_equal(u->task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(u->task.moved, 0);
	assert_int_equal(u->task.sense.response, 0x70);
	assert_int_equal(u->task.sense.key, key);
	assert_int_equal(u->task.sense.asc << 8 | u->task.sense.ascq, asc);
}

void expect_refused(const struct unit *u, uint16_t asc)
{
	expect_sense(u, 5, asc);
}

void expect_field(const struct unit *u, bool cdb, unsigned int byte,
		  unsigned int bit)
{
	const uint8_t *specific = u->task.sense.key_specific;

	expect_refused(u, cdb ? 0x2400 : 0x2600);
	assert_int_equal(specific[0], 0x88 | (cdb ? 0x40 : 0) | bit);
	assert_int_equal(scsi_get16(specific + 1), byte);
}

void expect_conflict(const struct unit *u)
{
	assert_int_equal(u->task.outcome, SCSI_DELIVERED);
	assert_int_equal(u->task.status, SCSI_RESERVATION_CONFLICT);
	assert_int_equal(u->task.moved, 0);
}

int unit_setup(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	srand(1);
	reactor = reactor_inline_create();
	return guest_memory_add(&memory, 0, sizeof(low), low) ||
	       guest_memory_add(&memory, HIGH_GPA, sizeof(high), high);
}

int unit_teardown(void **state)
{
	(void)state;
	reactor_inline_destroy(reactor);
	return 0;
}
