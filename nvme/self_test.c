/* SPDX-License-Identifier: MIT */
/*
 * Self-test, theory of operation
 *
 * The kernel lets us register guest memory, but what makes that possible is
 * no promise of its (device memory mapped by huge pages), so that it is shown
 * at each start, by the device:
 *
 *	read block 0, copied --> turn every byte over --> read it, direct
 *	                                                        |
 *	                                     equal? zero copy : copy_all
 *
 * Both reads go to the same page of guest RAM; turning the bytes over makes a
 * read that arrives elsewhere, or not at all, differ in every byte.
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
	uint8_t block[GUEST_PAGE_SIZE]; /* as it was read the first time */
};

static void end(struct self_test *test, enum disk_status status,
		const char *failure)
{
	struct ring_disk *disk = test->queue->disk;

	if (failure) {
		log_warn("%s: self-test of direct transfer: %s: data will be "
			 "copied", disk->name, failure);
		atomic_store(&disk->copy_all, true);
	}
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
	struct guest_memory *memory = test->queue->disk->memory;
	uint64_t gpa = test->range.gpa;

	if (status != DISK_OK) {
		end(test, status, disk_status_text(status));
		return;
	}
	guest_memory_read(memory, gpa, test->block, test->range.len);
	for (uint32_t i = 0; i < test->range.len; i++)
		test->block[i] ^= 0xff;
	guest_memory_write(memory, gpa, test->block, test->range.len);
	for (uint32_t i = 0; i < test->range.len; i++)
		test->block[i] ^= 0xff;
	test->direct_bytes = test->queue->counters.direct_bytes;
	req->done = second_read;
	ring_disk_submit(test->queue, &req, 1);
}

int disk_self_test(struct disk_queue *queue, uint64_t gpa,
		   void (*done)(void *arg, enum disk_status status,
				bool zero_copy), void *arg)
{
	struct ring_disk *disk = queue->disk;
	struct self_test *test;

	if (gpa % GUEST_PAGE_SIZE ||
	    !guest_memory_good(disk->memory, (struct gpa_range){
			gpa, disk->info.block_size }))
		return -EINVAL;
	test = calloc(1, sizeof(*test));
	if (!test)
		return -ENOMEM;
	test->queue = queue;
	test->range.gpa = gpa;
	test->range.len = disk->info.block_size;
	test->done = done;
	test->arg = arg;
	test->req.op = DISK_READ;
	test->req.blocks = 1;
	test->req.ranges = &test->range;
	test->req.nr_ranges = 1;
	test->req.done = first_read;
	ring_disk_submit_copied(queue, &test->req);
	return 0;
}
