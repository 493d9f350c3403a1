/* SPDX-License-Identifier: MIT */
/* SOURCES: test/unit/disk_faults.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c test/unit/reactor_inline.c */
/*
 * What each fault of the disk with faults does to a request: how it ends, when,
 * and what of it was carried out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/disk_memory.h"
#include "test/unit/disk_faults.h"
#include "test/unit/reactor_inline.h"

#define MS 1000000ull
#define BLOCKS 64u
#define BLOCK 512u

static _Alignas(4096) uint8_t ram[65536];
static struct guest_memory memory;
static struct reactor *reactor;
static struct disk *disk;
static struct disk_queue *queue;
static unsigned int order[32], nr_ended, nr_lost;

struct request {
	struct disk_request req; /* first */
	struct gpa_range range;
	unsigned int number;
	int status; /* -1: not ended */
};
static struct request requests[32];

static void lost(struct disk *d, enum disk_event event)
{
	assert_ptr_equal(d, disk);
	assert_int_equal(event, DISK_LOST);
	nr_lost++;
}

static int set_up(void **state)
{
	static const struct disk_info info = {
		.blocks = BLOCKS, .block_size = BLOCK,
		.physical_block_size = BLOCK, .max_transfer = 8192,
		.max_ranges = 8, .range_alignment = 4,
	};

	(void)state;
	memset(ram, 0, sizeof(ram));
	memset(&memory, 0, sizeof(memory));
	memset(requests, 0, sizeof(requests));
	nr_ended = nr_lost = 0;
	assert_int_equal(guest_memory_add(&memory, 0, sizeof(ram), ram), 0);
	reactor = reactor_inline_create();
	disk = disk_faults_create(disk_memory_create(&memory, &info));
	disk->event = lost;
	assert_int_equal(disk->ops->queue_open(disk, reactor, 32, &queue), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct disk_faults_count count = disk_faults_count(disk);

	(void)state;
	assert_int_equal(count.requests, count.answers);
	disk->ops->queue_close(queue);
	disk->ops->close(disk);
	reactor_inline_destroy(reactor);
	return 0;
}

static void done(struct disk_request *req, enum disk_status status)
{
	struct request *r = (struct request *)req;

	assert_int_equal(r->status, -1); /* once */
	r->status = (int)status;
	order[nr_ended++] = r->number;
}

/* Request `i`, of `blocks` at 4 * i. */
static void start(unsigned int i, uint8_t op, uint32_t blocks)
{
	struct request *r = &requests[i];
	struct disk_request *one = &r->req;

	r->range = (struct gpa_range){ i * 2048, blocks * BLOCK };
	r->req = (struct disk_request){ .op = op, .lba = 4 * i,
					.blocks = blocks, .nr_ranges = 1,
					.ranges = &r->range, .done = done };
	r->number = i;
	r->status = -1;
	disk->ops->submit(queue, &one, 1);
	assert_int_equal(r->status, -1);
}

/* What the disk holds at block `lba`. */
static uint8_t holds(uint64_t lba)
{
	const struct gpa_range range = { 0xf000, BLOCK };
	struct request r = { .req = { .op = DISK_READ, .lba = lba, .blocks = 1,
				      .nr_ranges = 1, .ranges = &range,
				      .done = done }, .status = -1 };
	struct disk_request *one = &r.req;

	disk_faults_set(disk, NULL);
	disk_faults_return(disk);
	disk->ops->submit(queue, &one, 1);
	reactor_inline_advance(0);
	assert_int_equal(r.status, DISK_OK);
	nr_ended--;
	return ram[0xf000];
}

static void set(enum disk_fault fault, enum disk_status status, uint32_t ms)
{
	const struct disk_fault_rule rule = { .fault = (uint8_t)fault,
					      .status = (uint8_t)status,
					      .delay_ms = ms };

	disk_faults_set(disk, &rule);
}

/* Writes two blocks of 0xaa: how that ends, after `ms`, and what is there. */
static void expect(enum disk_fault fault, enum disk_status status, uint32_t ms,
		   enum disk_status ends, bool first, bool second)
{
	struct disk_faults_count before = disk_faults_count(disk);

	memset(ram, 0xaa, 1024);
	set(fault, status, ms);
	start(0, DISK_WRITE, 2);
	reactor_inline_drain();
	if (ms) {
		reactor_inline_advance(ms * MS - 1);
		assert_int_equal(requests[0].status, -1);
		reactor_inline_advance(1);
	} else {
		reactor_inline_advance(0);
	}
	assert_int_equal(requests[0].status, ends);
	assert_int_equal(disk_faults_count(disk).met, 1);
	assert_int_equal(disk_faults_count(disk).sent - before.sent,
			 fault == DISK_FAULT_DUPLICATE ? 2 : first);
	assert_int_equal(holds(0), first ? 0xaa : 0);
	assert_int_equal(holds(1), second ? 0xaa : 0);
}

static void passes(void **state)
{
	(void)state;
	memset(ram, 0x11, 1024);
	start(0, DISK_WRITE, 2);
	reactor_inline_drain();
	assert_int_equal(requests[0].status, DISK_OK);
	assert_int_equal(holds(1), 0x11);
}

static void drop(void **state)
{
	(void)state;
	expect(DISK_FAULT_DROP, DISK_OK, 700, DISK_TIMEOUT, false, false);
}

static void delay(void **state)
{
	(void)state;
	expect(DISK_FAULT_DELAY, DISK_OK, 250, DISK_OK, true, true);
}

static void duplicate(void **state)
{
	(void)state;
	expect(DISK_FAULT_DUPLICATE, DISK_OK, 0, DISK_OK, true, true);
}

static void error(void **state)
{
	(void)state;
	expect(DISK_FAULT_ERROR, DISK_NOT_READY, 0, DISK_NOT_READY, false,
	       false);
	expect(DISK_FAULT_ERROR, DISK_OK, 0, DISK_FAILED, false, false);
}

static void late_error(void **state)
{
	(void)state;
	expect(DISK_FAULT_LATE_ERROR, DISK_ABORTED, 0, DISK_ABORTED, true,
	       true);
}

static void shortened(void **state)
{
	(void)state;
	expect(DISK_FAULT_SHORT, DISK_OK, 0, DISK_FAILED, true, false);
}

static void lie(void **state)
{
	(void)state;
	expect(DISK_FAULT_LIE, DISK_OK, 0, DISK_OK, false, false);
}

static void reorder(void **state)
{
	(void)state;
	set(DISK_FAULT_REORDER, DISK_OK, 0);
	for (unsigned int i = 0; i < 10; i++)
		start(i, DISK_WRITE, 1);
	reactor_inline_drain();
	assert_int_equal(nr_ended, 8);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(order[i], 7 - i);
	reactor_inline_advance(MS);
	assert_int_equal(nr_ended, 10);
	assert_int_equal(order[8], 9);
}

/* Whatever is under way ends, and so does all that comes. */
static void lose(void **state)
{
	struct disk_fault_rule rule = { .fault = DISK_FAULT_DELAY,
					.delay_ms = 500 };

	(void)state;
	memset(ram, 0xbb, sizeof(ram));
	disk_faults_set(disk, &rule);
	start(0, DISK_WRITE, 1);
	rule.fault = DISK_FAULT_REORDER;
	disk_faults_set(disk, &rule);
	start(1, DISK_WRITE, 1);
	disk_faults_set(disk, NULL);
	start(2, DISK_WRITE, 1);
	rule.fault = DISK_FAULT_LOSE;
	disk_faults_set(disk, &rule);
	start(3, DISK_WRITE, 1);
	start(4, DISK_WRITE, 1);
	reactor_inline_advance(0);
	assert_int_equal(nr_ended, 5);
	assert_int_equal(nr_lost, 1);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(requests[i].status, DISK_GONE);
	assert_int_equal(holds(0), 0);
	assert_int_equal(holds(4), 0);
	assert_int_equal(holds(8), 0xbb); /* was carried out */
	assert_int_equal(holds(12), 0);
	assert_int_equal(holds(16), 0);
}

static void matches(void **state)
{
	static const uint8_t hit[8] = { 0, 0, 1, 0, 1, 0, 0, 0 };
	const struct disk_fault_rule rule = {
		.fault = DISK_FAULT_ERROR, .ops = 1 << DISK_WRITE,
		.lba = 4, .blocks = 21, .every = 2, .count = 2,
	};

	(void)state;
	disk_faults_set(disk, &rule);
	for (unsigned int i = 0; i < 8; i++) {
		start(i, DISK_READ, 1);
		reactor_inline_advance(0);
		assert_int_equal(requests[i].status, DISK_OK);
		start(i, DISK_WRITE, 1);
		reactor_inline_advance(0);
		assert_int_equal(requests[i].status,
				 hit[i] ? DISK_FAILED : DISK_OK);
	}
	assert_int_equal(disk_faults_count(disk).met, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(passes),	  CASE(drop),	    CASE(delay),
		CASE(duplicate),  CASE(error),	    CASE(late_error),
		CASE(shortened),  CASE(reorder),    CASE(lose),
		CASE(matches),	  CASE(lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
