/* SPDX-License-Identifier: MIT */
/*
 * Self-test, theory of operation
 *
 * The kernel lets us register guest memory, but what makes that possible is
 * no promise of its (device memory mapped by huge pages), so that it is shown
 * at each start, by the device:
 *
 *	read block 0 into   --> other bytes into --> read block 0 into it,
 *	memory of our own       a page of guest      direct
 *	                        RAM                    |
 *	                                     equal? zero copy : copy_all;
 *	                                     the page is zeroed
 *
 * Each byte of the page is another one than the block's, so that a read that
 * arrives elsewhere, or not at all, differs. A guest that runs already can see
 * the page, and may never be given the disk: the block is there from the end of
 * the second read to ours. What the guest writes there meanwhile ends in copies
 * of its own data.
 *
 * Threads: the queue's reactor. Failure answers: any failure means copy_all;
 * what a disk that can not even be read is good for is the caller's to say, who
 * is told how the read ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "nvme.h"
#include "ring_disk.h"

LOG_MODULE("nvme");

struct self_test {
	struct disk_request req; /* first */
	struct disk_queue *queue;
	struct gpa_range range;
	uint64_t direct_bytes; /* of the queue, before */
	void (*done)(void *arg, enum disk_status status, bool zero_copy);
	void *arg;
	/* As it was read the first time; aligned as devices want it. */
	_Alignas(GUEST_PAGE_SIZE) uint8_t block[GUEST_PAGE_SIZE];
};

/* No byte of the page is the block's, nor tells more than that. */
static void prepare_page(struct self_test *test)
{
	uint8_t page[GUEST_PAGE_SIZE];

	for (uint32_t i = 0; i < test->range.len; i++)
		page[i] = test->block[i] == 0x5a ? 0xa5 : 0x5a;
	guest_memory_write(test->queue->disk->memory, test->range.gpa, page,
			   test->range.len);
}

static void end(struct self_test *test, enum disk_status status,
		const char *failure)
{
	struct ring_disk *disk = test->queue->disk;

	if (failure) {
		log_warn("%s: self-test of direct transfer: %s: data will be "
			 "copied", disk->name, failure);
		atomic_store(&disk->copy_all, true);
	}
	memset(test->block, 0, sizeof(test->block));
	guest_memory_write(disk->memory, test->range.gpa, test->block,
			   test->range.len);
	test->done(test->arg, status, !failure);
	free(test);
}

static void second_read(struct disk_request *req, enum disk_status status)
{
	struct self_test *test = (struct self_test *)req;
	struct ring_disk *disk = test->queue->disk;
	uint8_t block[GUEST_PAGE_SIZE];

	if (status != DISK_OK)
		end(test, status, disk_status_text(status));
	else if (guest_memory_read(disk->memory, test->range.gpa, block,
				   test->range.len) ||
		 memcmp(block, test->block, test->range.len))
		end(test, status, "data went elsewhere");
	else if (test->queue->counters.direct_bytes == test->direct_bytes)
		end(test, status, "guest memory is not registered");
	else
		end(test, status, NULL);
}

static void first_read(struct disk_request *req, enum disk_status status)
{
	struct self_test *test = (struct self_test *)req;

	if (status != DISK_OK) {
		end(test, status, disk_status_text(status));
		return;
	}
	prepare_page(test);
	test->req.buffer = NULL;
	test->req.ranges = &test->range;
	test->req.nr_ranges = 1;
	test->direct_bytes = test->queue->counters.direct_bytes;
	req->done = second_read;
	ring_disk_submit(test->queue, &req, 1);
}

int disk_self_test(struct disk_queue *queue, uint64_t gpa,
		   void (*done)(void *arg, enum disk_status status,
				bool zero_copy), void *arg)
{
	struct ring_disk *disk = queue->disk;
	struct disk_request *req;
	struct self_test *test;

	if (gpa % GUEST_PAGE_SIZE ||
	    !guest_memory_good(disk->memory, (struct gpa_range){
			gpa, disk->info.block_size }))
		return -EINVAL;
	test = aligned_alloc(_Alignof(struct self_test), sizeof(*test));
	if (!test)
		return -ENOMEM;
	memset(test, 0, sizeof(*test));
	test->queue = queue;
	test->range.gpa = gpa;
	test->range.len = disk->info.block_size;
	test->done = done;
	test->arg = arg;
	test->req.op = DISK_READ;
	test->req.blocks = 1;
	test->req.buffer = test->block;
	test->req.done = first_read;
	req = &test->req;
	ring_disk_submit(queue, &req, 1);
	return 0;
}
