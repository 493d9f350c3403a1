/* SPDX-License-Identifier: MIT */
/*
 * Bounce buffers, theory of operation
 *
 * Page-aligned buffers of ours, for data that cannot go straight between disk
 * and client: ranges of a shape that the disk does not take, a block that is
 * written over and over, blocks that are read to be compared, and reads that
 * begin inside a block of the disk's.
 *
 * A task gets one and keeps it to its end. One that finds none free is queued,
 * and goes on when another task gives its own back:
 *
 *	get --> free: has it
 *	    \-> none: waits --> another's put: has it, scsi_transfer_go_on()
 *
 * Each nexus has one buffer that only its own tasks get, and they get it first;
 * and it has SCSI_BOUNCE_SHARE of the shared ones at most. So a slow disk
 * leaves its neighbour as many as that one had anyway, and any number of slow
 * disks leave it one.
 *
 * Threads: a pool belongs to one reactor. Failure answers: what is copied has
 * been checked, so a copy that fails is a bug of ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pv/log.h>

#include "scsi_command.h"

int scsi_bounce_open(struct scsi_bounce_pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pool->memory = aligned_alloc(GUEST_PAGE_SIZE,
				     SCSI_BOUNCE_BUFFERS * SCSI_BOUNCE_SIZE);
	if (!pool->memory)
		return -ENOMEM;
	for (unsigned int i = 0; i < SCSI_BOUNCE_BUFFERS; i++)
		pool->free[i] = pool->memory + i * SCSI_BOUNCE_SIZE;
	pool->nr_free = SCSI_BOUNCE_BUFFERS;
	pool->waiting_tail = &pool->waiting;
	return 0;
}

/* Pages of its own: malloc() keeps what was freed of this size, and takes
 * another piece next time. */
int scsi_bounce_open_own(struct scsi_nexus *nexus)
{
	void *memory = mmap(NULL, SCSI_BOUNCE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	nexus->own_bounce = memory;
	return 0;
}

void scsi_bounce_close_own(struct scsi_nexus *nexus)
{
	if (nexus->own_bounce)
		munmap(nexus->own_bounce, SCSI_BOUNCE_SIZE);
	nexus->own_bounce = NULL;
}

void scsi_bounce_close(struct scsi_bounce_pool *pool)
{
	free(pool->memory);
	pool->memory = NULL;
}

static void copy_pattern(struct scsi_task *task)
{
	uint32_t size = task->nexus->lun->info.block_size;

	memset(task->bounce, 0, size);
	/* Has been fetched and judged before, when only its being zero or not
	 * mattered; data is not trusted either time. */
	if (task->pattern == SCSI_PATTERN_OF_CLIENT)
		scsi_fetch(task, task->bounce, size);
	for (uint32_t at = size; at < SCSI_BOUNCE_SIZE; at += size)
		memcpy(task->bounce + at, task->bounce, size);
}

static void give(struct scsi_task *task, uint8_t *buffer)
{
	task->bounce = buffer;
	if (task->pattern)
		copy_pattern(task);
}

bool scsi_bounce_get(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_bounce_pool *pool = nexus->bounce;

	if (!nexus->own_bounce_used) {
		nexus->own_bounce_used = true;
		give(task, nexus->own_bounce);
		return true;
	}
	if (pool->nr_free && nexus->shared_bounces < SCSI_BOUNCE_SHARE) {
		nexus->shared_bounces++;
		give(task, pool->free[--pool->nr_free]);
		return true;
	}
	pool->waited++;
	task->next_waiting = NULL;
	*pool->waiting_tail = task;
	pool->waiting_tail = &task->next_waiting;
	return false;
}

/* May `task` have the buffer that is `owner`'s, or a shared one (NULL)? */
static bool may_have(const struct scsi_task *task,
		     const struct scsi_nexus *owner)
{
	return owner ? task->nexus == owner :
		       task->nexus->shared_bounces < SCSI_BOUNCE_SHARE;
}

/* The task that waits longest, of those that may have it; or NULL. */
static struct scsi_task *take_waiting(struct scsi_bounce_pool *pool,
				      const struct scsi_nexus *owner)
{
	struct scsi_task **at = &pool->waiting, *task;

	while ((task = *at) && !may_have(task, owner))
		at = &task->next_waiting;
	if (!task)
		return NULL;
	*at = task->next_waiting;
	if (!*at)
		pool->waiting_tail = at;
	return task;
}

/* Gives the buffer to the task that waits longest. */
void scsi_bounce_put(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_bounce_pool *pool = nexus->bounce;
	uint8_t *buffer = task->bounce;
	bool own = buffer == nexus->own_bounce;
	struct scsi_task *next;

	task->bounce = NULL;
	if (!own)
		nexus->shared_bounces--;
	next = take_waiting(pool, own ? nexus : NULL);
	if (next) {
		if (!own)
			next->nexus->shared_bounces++;
		give(next, buffer);
		scsi_transfer_go_on(next);
	} else if (own) {
		nexus->own_bounce_used = false;
	} else {
		pool->free[pool->nr_free++] = buffer;
	}
}

void scsi_skip(struct scsi_task *task, uint32_t bytes)
{
	bytes += task->range_offset;
	while (task->range < task->nr_ranges &&
	       bytes >= task->ranges[task->range].len)
		bytes -= task->ranges[task->range++].len;
	task->range_offset = bytes;
}

/* What lies at the cursor in one range, `most` bytes of it. */
static struct gpa_range at_cursor(const struct scsi_task *task, uint32_t most)
{
	const struct gpa_range *range = &task->ranges[task->range];
	uint32_t n = range->len - task->range_offset;

	return (struct gpa_range){ .gpa = range->gpa + task->range_offset,
				   .len = n < most ? n : most };
}

void scsi_bounce_copy(struct scsi_task *task, uint32_t offset, uint32_t bytes)
{
	uint8_t *buffer = task->bounce + offset;

	while (bytes) {
		struct gpa_range at = at_cursor(task, bytes);
		int err;

		if (task->op == DISK_READ)
			err = guest_memory_write(task->memory, at.gpa, buffer,
						 at.len);
		else
			err = guest_memory_read(task->memory, at.gpa, buffer,
						at.len);
		pv_bug(err, at.gpa, at.len); /* the ranges are good */
		scsi_skip(task, at.len);
		buffer += at.len;
		bytes -= at.len;
	}
}

/* Are `bytes` at `data` what lies at the cursor? */
static bool equal(struct scsi_task *task, const uint8_t *data, uint32_t bytes)
{
	uint8_t piece[512];

	while (bytes) {
		struct gpa_range at = at_cursor(
			task, bytes < sizeof(piece) ? bytes : sizeof(piece));
		int err = guest_memory_read(task->memory, at.gpa, piece,
					    at.len);

		pv_bug(err, at.gpa, at.len);
		if (memcmp(piece, data, at.len))
			return false;
		scsi_skip(task, at.len);
		data += at.len;
		bytes -= at.len;
	}
	return true;
}

bool scsi_bounce_equal(struct scsi_task *task, uint32_t bytes)
{
	uint32_t size = task->nexus->lun->info.block_size;

	if (task->judgement == SCSI_JUDGE_DATA)
		return equal(task, task->bounce, bytes);
	for (uint32_t at = 0; at < bytes; at += size) {
		task->range = 0;
		task->range_offset = 0;
		if (!equal(task, task->bounce + at, size))
			return false;
	}
	return true;
}
