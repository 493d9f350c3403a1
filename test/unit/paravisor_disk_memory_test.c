/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c test/unit/reactor_inline.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/disk_memory.h"
#include "test/unit/reactor_inline.h"

#define BLOCKS 256u

static _Alignas(4096) uint8_t ram[65536];
static struct guest_memory memory;
static struct reactor *reactor;
static struct disk *disk;
static struct disk_queue *queue;

static const struct disk_info full = {
	.blocks = BLOCKS, .block_size = 512, .physical_block_size = 512,
	.max_transfer = 16384, .max_ranges = 8, .range_alignment = 4,
	.discard_granularity = 1, .write_cache = true, .fua = true,
	.write_zeroes = true, .write_zeroes_unmap = true, .compare = true,
	.verify = true, .discard_zeroes = true,
	.reservation_types = 1 << DISK_WRITE_EXCLUSIVE |
			     1 << DISK_EXCLUSIVE_ACCESS,
};

static void open_disk(const struct disk_info *info)
{
	disk = disk_memory_create(&memory, info);
	assert_non_null(disk);
	assert_int_equal(disk->ops->queue_open(disk, reactor, 4, &queue), 0);
}

static void close_disk(void)
{
	disk->ops->queue_close(queue);
	disk->ops->close(disk);
}

static int set_up(void **state)
{
	(void)state;
	memset(ram, 0, sizeof(ram));
	memset(&memory, 0, sizeof(memory));
	assert_int_equal(guest_memory_add(&memory, 0, sizeof(ram), ram), 0);
	reactor = reactor_inline_create();
	open_disk(&full);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_disk();
	reactor_inline_destroy(reactor);
	return 0;
}

static int ended;

static void done(struct disk_request *req, enum disk_status status)
{
	(void)req;
	ended = (int)status;
}

static enum disk_status run(struct disk_request req)
{
	struct disk_request *one = &req;

	ended = -1;
	req.done = done;
	disk->ops->submit(queue, &one, 1);
	assert_int_equal(ended, -1);
	reactor_inline_drain();
	assert_true(ended >= 0);
	return (enum disk_status)ended;
}

static enum disk_status data(uint8_t op, uint8_t flags, uint64_t lba,
			     uint64_t gpa, uint32_t blocks)
{
	struct gpa_range range = { gpa, blocks * 512 };

	return run((struct disk_request){ .op = op, .flags = flags,
					  .lba = lba, .blocks = blocks,
					  .ranges = &range, .nr_ranges = 1 });
}

static enum disk_status plain(uint8_t op, uint8_t flags, uint64_t lba,
			      uint32_t blocks)
{
	return run((struct disk_request){ .op = op, .flags = flags,
					  .lba = lba, .blocks = blocks });
}

static void comparing(void **state)
{
	(void)state;
	memset(ram, 'a', 4096);
	assert_int_equal(data(DISK_WRITE, DISK_FUA, 5, 0, 8), DISK_OK);
	assert_int_equal(data(DISK_COMPARE, 0, 5, 0, 8), DISK_OK);
	ram[4095] = 'b';
	assert_int_equal(data(DISK_COMPARE, 0, 5, 0, 8), DISK_MISCOMPARE);
	assert_int_equal(data(DISK_COMPARE, 0, 5, 0, 7), DISK_OK);
	assert_int_equal(run((struct disk_request){ .op = DISK_COMPARE,
			 .lba = 5, .blocks = 8, .buffer = ram }),
			 DISK_MISCOMPARE);
	assert_int_equal(plain(DISK_VERIFY, 0, 0, BLOCKS), DISK_OK);
	assert_int_equal(plain(DISK_VERIFY, 0, 1, BLOCKS), DISK_OUT_OF_RANGE);
}

static void zeroes(void **state)
{
	(void)state;
	memset(ram, 'a', 4096);
	assert_int_equal(data(DISK_WRITE, 0, 0, 0, 8), DISK_OK);
	assert_int_equal(plain(DISK_WRITE_ZEROES, DISK_UNMAP, 1, 1), DISK_OK);
	memset(ram + 512, 0, 512);
	assert_int_equal(data(DISK_COMPARE, 0, 0, 0, 8), DISK_OK);
	assert_int_equal(plain(DISK_WRITE_ZEROES, DISK_FUA, 1, 1),
			 DISK_INVALID);
	assert_int_equal(plain(DISK_DISCARD, DISK_UNMAP, 1, 1), DISK_INVALID);
	assert_int_equal(data(DISK_READ, DISK_FUA, 0, 0, 8), DISK_INVALID);
}

/* Without a promise in its info a disk does nothing of it. */
static void a_poor_disk(void **state)
{
	const struct disk_info poor = { .blocks = BLOCKS, .block_size = 512,
					.max_transfer = 4096, .max_ranges = 1,
					.range_alignment = 1 };
	struct disk_reservation report = { .action = DISK_REPORT };

	(void)state;
	close_disk();
	open_disk(&poor);
	assert_int_equal(data(DISK_COMPARE, 0, 0, 0, 1), DISK_UNSUPPORTED);
	assert_int_equal(plain(DISK_VERIFY, 0, 0, 1), DISK_UNSUPPORTED);
	assert_int_equal(plain(DISK_DISCARD, 0, 0, 1), DISK_UNSUPPORTED);
	assert_int_equal(plain(DISK_WRITE_ZEROES, 0, 0, 1), DISK_UNSUPPORTED);
	assert_int_equal(run((struct disk_request){ .op = DISK_RESERVATION,
			 .reservation = &report }), DISK_UNSUPPORTED);
	assert_int_equal(plain(DISK_NR_OPS, 0, 0, 0), DISK_INVALID);
	assert_int_equal(data(DISK_WRITE, DISK_FUA, 0, 0, 1), DISK_INVALID);
}

static enum disk_status reserve(struct disk_reservation r)
{
	return run((struct disk_request){ .op = DISK_RESERVATION,
					  .reservation = &r });
}

static struct disk_reservation report(void)
{
	struct disk_reservation r = { .action = DISK_REPORT };

	assert_int_equal(run((struct disk_request){ .op = DISK_RESERVATION,
			 .reservation = &r }), DISK_OK);
	return r;
}

#define RESERVATION(...) reserve((struct disk_reservation){ __VA_ARGS__ })

static void reservations(void **state)
{
	struct disk_reservation now;

	(void)state;
	assert_int_equal(plain(DISK_RESERVATION, 0, 0, 0), DISK_INVALID);
	assert_int_equal(RESERVATION(.action = DISK_RESERVE, .key = 5,
				     .type = 1), DISK_CONFLICT);
	assert_int_equal(RESERVATION(.action = DISK_REGISTER, .new_key = 5,
				     .set_persist = true, .persist = true),
			 DISK_OK);
	assert_int_equal(RESERVATION(.action = DISK_REGISTER, .new_key = 6),
			 DISK_CONFLICT);
	assert_int_equal(RESERVATION(.action = DISK_REPLACE, .key = 4,
				     .new_key = 6), DISK_CONFLICT);
	assert_int_equal(RESERVATION(.action = DISK_REPLACE, .key = 5,
				     .new_key = 6), DISK_OK);
	assert_int_equal(RESERVATION(.action = DISK_RESERVE, .key = 6,
				     .type = 3), DISK_INVALID);
	assert_int_equal(RESERVATION(.action = DISK_RESERVE, .key = 6,
				     .type = 1), DISK_OK);
	assert_int_equal(RESERVATION(.action = DISK_RESERVE, .key = 6,
				     .type = 2), DISK_CONFLICT);
	now = report();
	assert_int_equal(now.nr_registrants, 1);
	assert_int_equal(now.type, DISK_WRITE_EXCLUSIVE);
	assert_true(now.persists && now.registrant[0].holder &&
		    now.registrant[0].self);
	assert_int_equal(now.registrant[0].key, 6);
	assert_int_equal(now.generation, 2);
	assert_int_equal(data(DISK_WRITE, 0, 0, 0, 1), DISK_OK);
	assert_int_equal(RESERVATION(.action = DISK_RELEASE, .key = 6,
				     .type = 2), DISK_INVALID);
	assert_int_equal(RESERVATION(.action = DISK_PREEMPT, .key = 6,
				     .type = 2, .new_key = 6), DISK_OK);
	assert_int_equal(report().type, DISK_EXCLUSIVE_ACCESS);
	assert_int_equal(RESERVATION(.action = DISK_PREEMPT, .key = 6,
				     .type = 2, .new_key = 9), DISK_CONFLICT);
	assert_int_equal(RESERVATION(.action = DISK_RELEASE, .key = 6,
				     .type = 2), DISK_OK);
	assert_int_equal(report().type, DISK_RESERVED_NONE);
	assert_int_equal(RESERVATION(.action = DISK_CLEAR, .key = 6), DISK_OK);
	assert_int_equal(report().nr_registrants, 0);
	assert_int_equal(RESERVATION(.action = DISK_UNREGISTER, .key = 6),
			 DISK_CONFLICT);
	assert_int_equal(RESERVATION(.action = 77), DISK_INVALID);
}

static int told[2];

static void tell(struct disk *d, enum disk_event event)
{
	assert_ptr_equal(d, disk);
	told[event]++;
}

static void events(void **state)
{
	struct disk_info info;

	(void)state;
	memset(told, 0, sizeof(told));
	disk->event = tell;
	disk_memory_resize(disk, 100);
	disk->ops->info(disk, &info);
	assert_int_equal(info.blocks, 100);
	assert_int_equal(told[DISK_RESIZED], 1);
	assert_int_equal(data(DISK_READ, 0, 99, 0, 1), DISK_OK);
	assert_int_equal(data(DISK_READ, 0, 100, 0, 1), DISK_OUT_OF_RANGE);
	disk_memory_lose(disk);
	assert_int_equal(told[DISK_LOST], 1);
	assert_int_equal(data(DISK_READ, 0, 0, 0, 1), DISK_GONE);
	assert_int_equal(plain(DISK_FLUSH, 0, 0, 0), DISK_GONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(comparing),
		TEST(zeroes),
		TEST(a_poor_disk),
		TEST(reservations),
		TEST(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
