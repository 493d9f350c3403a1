/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/disk_medium.c test/model/medium.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c test/unit/reactor_inline.c */
/* A disk on a medium: what moves where, what is refused, what is counted. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reactor_inline.h"
#include "stderr_capture.h"
#include "test/model/medium.h"
#include "test/vmm/disk_medium.h"

#define BLOCKS 64u
#define RAM_PAGES 8u
#define RAM_GPA 0x100000u

static _Alignas(4096) uint8_t ram[RAM_PAGES * GUEST_PAGE_SIZE];
static struct guest_memory memory;
static struct reactor *reactor;
static struct medium *medium;
static struct disk *disk;
static struct disk_queue *queue;

static unsigned int done;
static enum disk_status last;

static void request_done(struct disk_request *req, enum disk_status status)
{
	(void)req;
	done++;
	last = status;
}

static void open_disk(uint32_t block_size, bool read_only)
{
	const struct disk_medium_config config = {
		.medium = medium,
		.memory = &memory,
		.block_size = block_size,
		.physical_block_size = 4096,
		.read_only = read_only,
		.serial = "VMMS0000",
		.nguid = { 1, 2, 3 },
	};

	disk = disk_medium_create(&config);
	assert_non_null(disk);
	assert_int_equal(disk->ops->queue_open(disk, reactor, 4, &queue), 0);
}

static void close_disk(void)
{
	disk->ops->queue_close(queue);
	disk->ops->close(disk);
}

static int setup(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	for (size_t i = 0; i < sizeof(ram); i++)
		ram[i] = (uint8_t)(i * 7 + (i >> 8));
	if (guest_memory_add(&memory, RAM_GPA, sizeof(ram), ram) ||
	    medium_memory(BLOCKS * 512, &medium))
		return -1;
	reactor = reactor_inline_create();
	open_disk(512, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_disk();
	medium_close(medium);
	reactor_inline_destroy(reactor);
	return memory.holds ? -1 : 0;
}

static void run(struct disk_request *req)
{
	done = 0;
	req->done = request_done;
	disk->ops->submit(queue, &req, 1);
	assert_int_equal(done, 0); /* never from inside submit() */
	reactor_inline_drain();
	assert_int_equal(done, 1);
}

static enum disk_status status_of(struct disk_request req)
{
	run(&req);
	return last;
}

static enum disk_status move(enum disk_op op, uint64_t lba, uint32_t blocks,
			     const struct gpa_range *ranges, uint16_t nr)
{
	return status_of((struct disk_request){ .op = op, .lba = lba,
						.blocks = blocks,
						.ranges = ranges,
						.nr_ranges = nr });
}

static const char *stats(void)
{
	static char text[512];
	FILE *out = fmemopen(text, sizeof(text), "w");

	disk_medium_print_stats(disk, out);
	fclose(out);
	return text;
}

static void what_it_says(void **state)
{
	struct disk_info info;

	(void)state;
	disk->ops->info(disk, &info);
	assert_int_equal(info.blocks, BLOCKS);
	assert_int_equal(info.block_size, 512);
	assert_int_equal(info.physical_block_size, 4096);
	assert_int_equal(info.discard_granularity, 8);
	assert_false(info.read_only);
	assert_string_equal(info.serial, "VMMS0000");
	assert_int_equal(info.nguid[2], 3);
	close_disk();
	open_disk(4096, true);
	disk->ops->info(disk, &info);
	assert_int_equal(info.blocks, BLOCKS / 8);
	assert_int_equal(info.discard_granularity, 1);
	assert_true(info.read_only);
}

/* Written from scattered ranges, read into others: every byte at its place. */
static void data_go_where_they_belong(void **state)
{
	const struct gpa_range out[] = { { RAM_GPA + 3, 509 },
					 { RAM_GPA + 4096, 1027 } };
	const struct gpa_range in[] = { { RAM_GPA + 0x4000, 1536 } };
	uint8_t expected[1536], back[1536], before;

	(void)state;
	memcpy(expected, ram + 3, 509);
	memcpy(expected + 509, ram + 4096, 1027);
	assert_int_equal(move(DISK_WRITE, 5, 3, out, 2), DISK_OK);
	assert_int_equal(medium_read(medium, 5 * 512, back, sizeof(back)), 0);
	assert_memory_equal(back, expected, sizeof(back));
	before = ram[0x4000 + 1536];
	assert_int_equal(move(DISK_READ, 5, 3, in, 1), DISK_OK);
	assert_memory_equal(ram + 0x4000, expected, sizeof(expected));
	assert_int_equal(ram[0x4000 + 1536], before);
	/* In memory of ours. */
	memset(back, 0, sizeof(back));
	assert_int_equal(status_of((struct disk_request){ .op = DISK_READ,
							  .lba = 6,
							  .blocks = 1,
							  .buffer = back }),
			 DISK_OK);
	assert_memory_equal(back, expected + 512, 512);
	assert_string_equal(stats(),
			    "{\"bytes_read\":2048,\"bytes_written\":1536,"
			    "\"discards\":0,\"errors\":0,\"flushes\":0,"
			    "\"invalid\":0,\"reads\":2,\"write_zeroes\":0,"
			    "\"writes\":1}");
}

static void blocks_become_zeroes(void **state)
{
	static const uint8_t zeroes[512];
	uint8_t back[512];

	(void)state;
	memset(back, 0x5a, sizeof(back));
	for (uint64_t lba = 0; lba < BLOCKS; lba++)
		medium_write(medium, lba * 512, back, 512);
	assert_int_equal(move(DISK_DISCARD, 2, 30, NULL, 0), DISK_OK);
	assert_int_equal(status_of((struct disk_request){
				 .op = DISK_WRITE_ZEROES, .lba = 40,
				 .blocks = 1, .flags = DISK_UNMAP }),
			 DISK_OK);
	for (uint64_t lba = 0; lba < BLOCKS; lba++) {
		bool zeroed = (lba >= 2 && lba < 32) || lba == 40;

		medium_read(medium, lba * 512, back, 512);
		assert_int_equal(!memcmp(back, zeroes, 512), zeroed);
	}
	assert_int_equal(move(DISK_FLUSH, 0, 0, NULL, 0), DISK_OK);
	assert_string_equal(stats(),
			    "{\"bytes_read\":0,\"bytes_written\":0,"
			    "\"discards\":1,\"errors\":0,\"flushes\":1,"
			    "\"invalid\":0,\"reads\":0,\"write_zeroes\":1,"
			    "\"writes\":0}");
}

static void broken_rules_move_nothing(void **state)
{
	const struct gpa_range page = { RAM_GPA, 4096 };
	const struct gpa_range outside = { RAM_GPA + sizeof(ram) - 512, 1024 };
	uint8_t buffer[512], before[sizeof(ram)];

	(void)state;
	memcpy(before, ram, sizeof(ram));
	assert_int_equal(move(DISK_READ, BLOCKS - 7, 8, &page, 1),
			 DISK_OUT_OF_RANGE);
	assert_int_equal(move(DISK_WRITE, UINT64_MAX, 8, &page, 1),
			 DISK_OUT_OF_RANGE);
	assert_int_equal(move(DISK_DISCARD, BLOCKS + 1, 0, NULL, 0),
			 DISK_OUT_OF_RANGE);
	assert_int_equal(move(DISK_READ, 0, 7, &page, 1), DISK_INVALID);
	assert_int_equal(move(DISK_READ, 0, 0, NULL, 0), DISK_INVALID);
	assert_int_equal(move(DISK_READ, 0, 2, &outside, 1), DISK_INVALID);
	assert_int_equal(move(DISK_DISCARD, 0, 8, &page, 1), DISK_INVALID);
	assert_int_equal(status_of((struct disk_request){
				 .op = DISK_READ, .blocks = 8, .ranges = &page,
				 .nr_ranges = 1, .buffer = buffer }),
			 DISK_INVALID);
	assert_int_equal(status_of((struct disk_request){
				 .op = DISK_READ, .blocks = 8, .ranges = &page,
				 .nr_ranges = 1, .flags = DISK_FUA }),
			 DISK_INVALID);
	assert_int_equal(move(DISK_VERIFY, 0, 1, NULL, 0), DISK_UNSUPPORTED);
	assert_int_equal(move(DISK_RESERVATION, 0, 0, NULL, 0),
			 DISK_UNSUPPORTED);
	assert_memory_equal(before, ram, sizeof(ram));
	assert_non_null(strstr(stats(), "\"invalid\":11,"));
}

static void read_only(void **state)
{
	const struct gpa_range page = { RAM_GPA, 4096 };

	(void)state;
	close_disk();
	open_disk(512, true);
	assert_int_equal(move(DISK_WRITE, 0, 8, &page, 1), DISK_READ_ONLY);
	assert_int_equal(move(DISK_DISCARD, 0, 8, NULL, 0), DISK_READ_ONLY);
	assert_int_equal(move(DISK_FLUSH, 0, 0, NULL, 0), DISK_OK);
	assert_int_equal(move(DISK_READ, 0, 8, &page, 1), DISK_OK);
}

/* A batch completes in the order of its requests, each once. */
static struct disk_request *order[4];
static unsigned int nr_order;

static void note_order(struct disk_request *req, enum disk_status status)
{
	assert_int_equal(status, DISK_OK);
	order[nr_order++] = req;
}

static void a_batch(void **state)
{
	struct disk_request req[4], *reqs[4];

	(void)state;
	nr_order = 0;
	for (int i = 0; i < 4; i++) {
		req[i] = (struct disk_request){ .op = DISK_FLUSH,
						.done = note_order };
		reqs[i] = &req[i];
	}
	disk->ops->submit(queue, reqs, 2);
	disk->ops->submit(queue, reqs + 2, 2);
	assert_int_equal(nr_order, 0);
	reactor_inline_drain();
	assert_int_equal(nr_order, 4);
	for (int i = 0; i < 4; i++)
		assert_ptr_equal(order[i], &req[i]);
}

/* A file that got shorter behind our back: its error, one line, a counter. */
static void medium_fails(void **state)
{
	const struct gpa_range page = { RAM_GPA, 4096 };
	char path[] = "/tmp/vmm_disk_medium_test.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(ftruncate(fd, 8192), 0);
	close_disk();
	medium_close(medium);
	assert_int_equal(medium_file(path, false, &medium), 0);
	open_disk(512, false);
	assert_int_equal(move(DISK_WRITE, 8, 8, &page, 1), DISK_OK);
	assert_int_equal(ftruncate(fd, 4096), 0);
	capture_stderr();
	assert_int_equal(move(DISK_READ, 8, 8, &page, 1), DISK_MEDIUM_READ);
	assert_true(is_one_line(captured_stderr()));
	assert_non_null(strstr(stats(), "\"errors\":1,"));
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(what_it_says),
		T(data_go_where_they_belong),
		T(blocks_become_zeroes),
		T(broken_rules_move_nothing),
		T(read_only),
		T(a_batch),
		T(medium_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
