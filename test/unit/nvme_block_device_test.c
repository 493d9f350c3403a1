/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/block_device.c nvme/block_limits.c nvme/controller.c paravisor/sysfs.c nvme/ring_disk.c nvme/ring_disk_life.c nvme/transfer.c nvme/reservation.c nvme/self_test.c nvme/uevent.c nvme/uevent_message.c include/guid.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c test/unit/inspect_list.c */
/* A file as a disk, by the kernel's io_uring. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv/inspect.h>

#include "nvme/block_device.h"
#include "nvme/nvme.h"
#include "nvme/ring_disk.h"
#include "paravisor/reactor.h"
#include "test/unit/inspect_list.h"

#define RAM (4u << 20)
#define HIGH 0x100000000ull
#define SIZE (8u << 20)
#define SECOND 1000000000ull

static char path[] = "/tmp/nvme_block_device.XXXXXX";
static int fd;
static struct guest_memory memory;
static uint8_t *low, *high;
static struct reactor *r;
static struct disk *disk;
static struct disk_queue *queue;

static uint8_t *map_ram(void)
{
	uint8_t *va = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(va != MAP_FAILED);
	return va;
}

static void open_disk(bool read_only)
{
	const struct block_device_config config = { .path = path,
						    .read_only = read_only };

	assert_int_equal(block_device_open(&config, &memory, &disk), 0);
	assert_int_equal(disk->ops->queue_open(disk, r, 16, &queue), 0);
}

static void close_disk(void)
{
	disk->ops->queue_close(queue);
	disk->ops->close(disk);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(path, "/tmp/nvme_block_device.XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	memset(&memory, 0, sizeof(memory));
	low = map_ram();
	high = map_ram();
	assert_int_equal(guest_memory_add(&memory, 0, RAM, low), 0);
	assert_int_equal(guest_memory_add(&memory, HIGH, RAM, high), 0);
	r = reactor_create(0);
	assert_int_equal(reactor_open(r, &memory, NULL), 0);
	open_disk(false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(memory.holds, 0);
	close_disk();
	reactor_close(r);
	reactor_destroy(r);
	munmap(low, RAM);
	munmap(high, RAM);
	close(fd);
	unlink(path);
	return 0;
}

struct ask {
	struct disk_request req; /* first */
	int status;
};

static void asked(struct disk_request *req, enum disk_status status)
{
	((struct ask *)req)->status = (int)status;
}

static enum disk_status ask_ranges(uint8_t op, uint8_t flags, uint64_t lba,
				   uint32_t blocks,
				   const struct gpa_range *ranges,
				   unsigned int nr)
{
	struct ask ask = { .req = { .op = op, .flags = flags, .lba = lba,
				    .blocks = blocks, .ranges = ranges,
				    .nr_ranges = (uint16_t)nr, .done = asked },
			   .status = -1 };
	struct disk_request *req = &ask.req;
	uint64_t end = reactor_now() + 10 * SECOND;

	disk->ops->submit(queue, &req, 1);
	assert_int_equal(ask.status, -1);
	while (ask.status < 0) {
		assert_true(reactor_now() < end);
		reactor_pass(r);
	}
	return ask.status;
}

static enum disk_status ask(uint8_t op, uint64_t lba, uint64_t gpa,
			    uint32_t blocks)
{
	struct gpa_range range = { gpa, blocks * 512 };

	return ask_ranges(op, 0, lba, blocks, &range, 1);
}

static enum disk_status tell(uint8_t op, uint8_t flags, uint64_t lba,
			     uint32_t blocks)
{
	return ask_ranges(op, flags, lba, blocks, NULL, 0);
}

static void fill(uint8_t *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(seed + i * 7 + (i >> 8) * 13);
}

static void data_go_without_a_copy(void **state)
{
	static uint8_t back[8192], zeroes[512];
	struct disk_info info;

	(void)state;
	disk->ops->info(disk, &info);
	assert_int_equal(info.blocks, SIZE / 512);
	fill(low + 0x1200, 8192, 1);
	assert_int_equal(ask(DISK_WRITE, 3, 0x1200, 16), DISK_OK);
	assert_int_equal(pread(fd, back, 8192, 3 * 512), 8192);
	assert_memory_equal(back, low + 0x1200, 8192);
	assert_int_equal(ask(DISK_READ, 3, HIGH + 512, 16), DISK_OK);
	assert_memory_equal(back, high + 512, 8192);
	assert_memory_equal(high, zeroes, 512);
	assert_memory_equal(high + 512 + 8192, zeroes, 512);
	assert_int_equal(queue->counters.direct_bytes, 16384);
	assert_int_equal(queue->counters.copied_bytes, 0);
	assert_int_equal(queue->counters.retries, 0);
}

static void many_pieces(void **state)
{
	static uint8_t back[64 * 4096];
	struct gpa_range range[64];

	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		range[i] = (struct gpa_range){ i * 8192, 4096 };
		fill(low + i * 8192, 4096, i);
	}
	range[0] = (struct gpa_range){ 512, 3584 };
	range[63].len = 512;
	assert_int_equal(ask_ranges(DISK_WRITE, DISK_FUA, 0, 62 * 8 + 8, range,
				    64), DISK_OK);
	assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(back, low + 512, 3584);
	assert_memory_equal(back + 3584, low + 8192, 4096);
	for (unsigned int i = 0; i < 64; i++)
		range[i].gpa += HIGH;
	assert_int_equal(ask_ranges(DISK_READ, 0, 0, 62 * 8 + 8, range, 64),
			 DISK_OK);
	for (unsigned int i = 1; i < 63; i++)
		assert_memory_equal(high + i * 8192, low + i * 8192, 4096);
	assert_int_equal(queue->counters.copied_bytes, 0);
}

static void pieces_in_two_ranges_are_copied(void **state)
{
	struct gpa_range range[2] = { { RAM - 4096, 4096 }, { HIGH, 4096 } };
	static uint8_t back[8192];

	(void)state;
	fill(low + RAM - 4096, 4096, 3);
	fill(high, 4096, 4);
	assert_int_equal(ask_ranges(DISK_WRITE, 0, 8, 16, range, 2), DISK_OK);
	assert_int_equal(pread(fd, back, 8192, 4096), 8192);
	assert_memory_equal(back, low + RAM - 4096, 4096);
	assert_memory_equal(back + 4096, high, 4096);
	memset(high, 0, 4096);
	assert_int_equal(ask_ranges(DISK_READ, 0, 8, 16, range, 2), DISK_OK);
	assert_memory_equal(back + 4096, high, 4096);
	assert_int_equal(queue->counters.copied_bytes, 16384);
}

static void holes_and_zeroes(void **state)
{
	static uint8_t back[4096], zeroes[4096];

	(void)state;
	fill(low, 1 << 20, 5);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(ask(DISK_WRITE, i * 2048, 0, 2048), DISK_OK);
	assert_int_equal(tell(DISK_FLUSH, 0, 0, 0), DISK_OK);
	assert_int_equal(tell(DISK_DISCARD, 0, 8, 8), DISK_OK);
	assert_int_equal(tell(DISK_WRITE_ZEROES, 0, 24, 8), DISK_OK);
	assert_int_equal(tell(DISK_WRITE_ZEROES, DISK_UNMAP, 40, 8), DISK_OK);
	for (unsigned int i = 0; i < 7; i++) {
		assert_int_equal(pread(fd, back, 4096, i * 4096), 4096);
		assert_int_equal(!memcmp(back, zeroes, 4096), i % 2);
	}
	/* All of it, in parts if need be. */
	assert_int_equal(tell(DISK_WRITE_ZEROES, 0, 0, SIZE / 512), DISK_OK);
	assert_int_equal(ask(DISK_READ, SIZE / 512 - 8, 0, 8), DISK_OK);
	assert_memory_equal(low, zeroes, 4096);
	assert_int_equal(tell(DISK_COMPARE, 0, 0, 1), DISK_UNSUPPORTED);
	assert_int_equal(tell(DISK_VERIFY, 0, 0, 1), DISK_UNSUPPORTED);
}

static void the_end_is_the_end(void **state)
{
	(void)state;
	assert_int_equal(ask(DISK_READ, SIZE / 512, 0, 1), DISK_OUT_OF_RANGE);
	assert_int_equal(ftruncate(fd, SIZE / 2), 0);
	assert_int_equal(ask(DISK_READ, SIZE / 1024 - 1, 0, 2),
			 DISK_MEDIUM_READ);
	assert_int_equal(ask(DISK_READ, SIZE / 1024 - 1, 0, 1), DISK_OK);
}

static void read_only(void **state)
{
	(void)state;
	close_disk();
	open_disk(true);
	assert_int_equal(ask(DISK_WRITE, 0, 0, 1), DISK_READ_ONLY);
	assert_int_equal(tell(DISK_DISCARD, 0, 0, 1), DISK_READ_ONLY);
	assert_int_equal(ask(DISK_READ, 0, 0, 1), DISK_OK);
	assert_int_equal(tell(DISK_FLUSH, 0, 0, 0), DISK_OK);
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	disk->ops->inspect(disk, out);
}

static void names(void **state)
{
	static struct inspect_entry entry = { "disk", describe, NULL, NULL };

	(void)state;
	inspect_register(&entry);
	inspect_list_check("disk", "vmbus/channels/1/lun0/block");
}

static int verdict;

static void tested(void *arg, enum disk_status status, bool zero_copy)
{
	assert_int_equal(status, DISK_OK);
	*(int *)arg = zero_copy;
}

static void the_self_test(void **state)
{
	(void)state;
	fill(low, 512, 77);
	assert_int_equal(ask(DISK_WRITE, 0, 0, 1), DISK_OK);
	verdict = -1;
	assert_int_equal(disk_self_test(queue, 0x3000, tested, &verdict), 0);
	while (verdict < 0)
		reactor_pass(r);
	assert_true(verdict);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(low[0x3000 + i], 0); /* nothing is left */
	assert_false(queue->disk->copy_all);
}

static void what_is_not_there(void **state)
{
	struct block_device_config config = { .path = "/nonexistent",
					      .wait_ms = 30 };
	uint64_t before = reactor_now();
	struct disk *none = NULL;

	(void)state;
	assert_int_equal(block_device_open(&config, &memory, &none),
			 -ETIMEDOUT);
	assert_in_range(reactor_now() - before, 30000000, 2000000000);
	config.wait_ms = 0;
	config.path = "/dev/null"; /* there, but no disk */
	assert_int_equal(block_device_open(&config, &memory, &none),
			 -ETIMEDOUT);
	config.path = NULL;
	assert_int_equal(block_device_open(&config, &memory, &none),
			 -ETIMEDOUT);
	config.path = path;
	assert_int_equal(ftruncate(fd, 1000), 0);
	assert_int_equal(block_device_open(&config, &memory, &none), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(block_device_open(&config, &memory, &none), -EINVAL);
	assert_null(none);
}

/* Sixteen at once, over and over, then the medium is what was written. */
static struct ask many[16];

static void batches(void **state)
{
	struct disk_request *reqs[16];
	struct gpa_range range[16];

	(void)state;
	fill(low, 1 << 20, 9);
	for (unsigned int round = 0; round < 16; round++) {
		for (unsigned int i = 0; i < 16; i++) {
			range[i] = (struct gpa_range){ i * 65536, 65536 };
			many[i] = (struct ask){
				.req = { .op = DISK_WRITE, .blocks = 128,
					 .lba = i * 128 + 2048 * (round % 2),
					 .ranges = &range[i], .nr_ranges = 1,
					 .done = asked },
				.status = -1,
			};
			reqs[i] = &many[i].req;
		}
		disk->ops->submit(queue, reqs, 16);
		for (unsigned int i = 0; i < 16; i++) {
			while (many[i].status < 0)
				reactor_pass(r);
			assert_int_equal(many[i].status, DISK_OK);
		}
	}
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(pread(fd, high, 1 << 20, i << 20), 1 << 20);
		assert_memory_equal(high, low, 1 << 20);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_go_without_a_copy),
		TEST(many_pieces),
		TEST(pieces_in_two_ranges_are_copied),
		TEST(holes_and_zeroes),
		TEST(the_end_is_the_end),
		TEST(read_only),
		TEST(names),
		TEST(the_self_test),
		TEST(what_is_not_there),
		TEST(batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
