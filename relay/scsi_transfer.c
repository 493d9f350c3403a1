/* SPDX-License-Identifier: MIT */
/*
 * Transfers, theory of operation
 *
 * Carries one command to its disk. A disk takes requests of bounded size and
 * shape (struct disk_info), a client sends what it likes; so a command is cut
 * into parts, up to SCSI_PARTS at a time:
 *
 *	cut --> parts in flight --> all done --+--> more to cut: again
 *	 ^                                     |
 *	 |        no buffer free: wait         +--> flush, if one is to follow
 *	 +------ no block can be cut: bounce   +--> result, done()
 *
 * A part takes as many blocks as the disk allows and ends on a block, which
 * need not be the end of one of the client's ranges. Where not even one block
 * can go (ranges that start on odd addresses, or leave gaps inside a block),
 * the rest of the command goes through a bounce buffer, piece by piece.
 *
 * Parts of a command are not ordered. Nothing of a failed command is undone
 * (SBC-3 does not ask for it); after the first failure no new part is sent and
 * the first status that was not good decides the result.
 *
 * Owns: the private fields of struct scsi_task while the disk works on it; a
 * bounce buffer from the first part that needs one to the end of the task.
 *
 * Threads: the reactor of the nexus. Failure answers: the table below.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "scsi_command.h"

/* How a disk's status reads in SCSI (SPC-4 4.5.6; NVM Express SCSI
 * Translation Reference, 7). */
static const struct {
	uint8_t key;
	uint16_t asc;
} sense_of[DISK_NR_STATUS] = {
	[DISK_INVALID] = { SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB },
	[DISK_OUT_OF_RANGE] = { SCSI_ILLEGAL_REQUEST,
				SCSI_ASC_LBA_OUT_OF_RANGE },
	[DISK_READ_ONLY] = { SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED },
	[DISK_MEDIUM_READ] = { SCSI_MEDIUM_ERROR, SCSI_ASC_READ_ERROR },
	[DISK_MEDIUM_WRITE] = { SCSI_MEDIUM_ERROR, SCSI_ASC_WRITE_FAULT },
	[DISK_PROTECTION] = { SCSI_ABORTED_COMMAND, SCSI_ASC_PROTECTION },
	[DISK_NOT_READY] = { SCSI_NOT_READY, SCSI_ASC_BECOMING_READY },
	[DISK_NO_SPACE] = { SCSI_DATA_PROTECT, SCSI_ASC_SPACE_EXHAUSTED },
	[DISK_ABORTED] = { SCSI_ABORTED_COMMAND, SCSI_ASC_NONE },
	[DISK_TIMEOUT] = { SCSI_HARDWARE_ERROR, SCSI_ASC_TIMEOUT },
	[DISK_UNSUPPORTED] = { SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPCODE },
	[DISK_FAILED] = { SCSI_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE },
};

static void advance(struct scsi_task *task);

/* The bounce pool. */

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

void scsi_bounce_close(struct scsi_bounce_pool *pool)
{
	free(pool->memory);
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

static void bounce_give(struct scsi_task *task, uint8_t *buffer)
{
	task->bounce = buffer;
	if (task->pattern)
		copy_pattern(task);
}

/* True: task->bounce is a buffer. False: the task will be advanced when there
 * is one. */
static bool bounce_get(struct scsi_task *task)
{
	struct scsi_bounce_pool *pool = task->nexus->bounce;

	if (pool->nr_free) {
		bounce_give(task, pool->free[--pool->nr_free]);
		return true;
	}
	pool->waited++;
	task->next_waiting = NULL;
	*pool->waiting_tail = task;
	pool->waiting_tail = &task->next_waiting;
	return false;
}

/* Gives the buffer to the task that waits longest. */
static void bounce_put(struct scsi_task *task)
{
	struct scsi_bounce_pool *pool = task->nexus->bounce;
	struct scsi_task *next = pool->waiting;
	uint8_t *buffer = task->bounce;

	task->bounce = NULL;
	if (!next) {
		pool->free[pool->nr_free++] = buffer;
		return;
	}
	pool->waiting = next->next_waiting;
	if (!pool->waiting)
		pool->waiting_tail = &pool->waiting;
	bounce_give(next, buffer);
	advance(next);
	scsi_nexus_submit(next->nexus);
}

/* Moves the cursor over the client's buffer. */
static void skip(struct scsi_task *task, uint32_t bytes)
{
	bytes += task->range_offset;
	while (task->range < task->nr_ranges &&
	       bytes >= task->ranges[task->range].len)
		bytes -= task->ranges[task->range++].len;
	task->range_offset = bytes;
}

/* Copies between the buffer and what is at the cursor, and moves it. */
static void bounce_copy(struct scsi_task *task, uint32_t bytes)
{
	uint8_t *buffer = task->bounce;

	while (bytes) {
		const struct gpa_range *range = &task->ranges[task->range];
		uint64_t gpa = range->gpa + task->range_offset;
		uint32_t n = range->len - task->range_offset;
		int err;

		if (n > bytes)
			n = bytes;
		if (task->op == DISK_READ)
			err = guest_memory_write(task->memory, gpa, buffer, n);
		else
			err = guest_memory_read(task->memory, gpa, buffer, n);
		pv_bug(err, gpa, n); /* the ranges are good */
		skip(task, n);
		buffer += n;
		bytes -= n;
	}
}

/* Cutting. */

static void part_done(struct disk_request *request, enum disk_status status);

/* Puts one more part into the batch. */
static struct disk_request *send(struct scsi_task *task, uint64_t lba,
				 uint32_t blocks)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_part *part = &task->part[task->in_flight++];
	struct disk_request *request = &part->request;

	part->task = task;
	request->op = task->op;
	request->flags = task->flags;
	request->nr_ranges = 0;
	request->blocks = blocks;
	request->lba = lba;
	request->ranges = NULL;
	request->buffer = NULL;
	request->done = part_done;
	nexus->count.requests++;
	if (nexus->nr_batch == SCSI_BATCH)
		scsi_nexus_submit(nexus);
	nexus->batch[nexus->nr_batch++] = request;
	return request;
}

/* ... of the blocks that come next. */
static struct disk_request *send_next(struct scsi_task *task, uint32_t blocks)
{
	uint64_t lba = task->lba;

	task->lba += blocks;
	task->blocks -= blocks;
	return send(task, lba, blocks);
}

/* Drops `excess` bytes at the end of `n` ranges; how many remain. */
static unsigned int trim(struct gpa_range *ranges, unsigned int n,
			 uint32_t excess)
{
	while (excess) {
		if (ranges[n - 1].len > excess) {
			ranges[n - 1].len -= excess;
			break;
		}
		excess -= ranges[--n].len;
	}
	return n;
}

/* One more part straight from or to the client's pages. False: not a block
 * of what comes next can go that way. */
static bool cut_direct(struct scsi_task *task)
{
	const struct disk_info *info = &task->nexus->lun->info;
	struct gpa_range *out = task->split + task->nr_split;
	uint64_t left = (uint64_t)task->blocks * info->block_size;
	uint32_t most = left < info->max_transfer ? (uint32_t)left :
						    info->max_transfer;
	uint32_t offset = task->range_offset, bytes = 0, excess;
	struct disk_request *request;
	unsigned int n = 0;

	for (unsigned int i = task->range; bytes < most && n < info->max_ranges;
	     i++, offset = 0) {
		uint64_t gpa = task->ranges[i].gpa + offset;
		uint32_t len = task->ranges[i].len - offset;

		if (gpa & (info->range_alignment - 1))
			break;
		if (n && ((gpa | (out[n - 1].gpa + out[n - 1].len)) &
			  info->gap_mask))
			break;
		if (len > most - bytes)
			len = most - bytes;
		out[n++] = (struct gpa_range){ .gpa = gpa, .len = len };
		bytes += len;
	}
	excess = bytes & (info->block_size - 1);
	n = trim(out, n, excess);
	bytes -= excess;
	if (!bytes)
		return false;
	request = send_next(task, bytes / info->block_size);
	request->ranges = out;
	request->nr_ranges = (uint16_t)n;
	task->nr_split += (uint16_t)n;
	skip(task, bytes);
	return true;
}

/* The next piece through the buffer. */
static void cut_bounced(struct scsi_task *task)
{
	const struct disk_info *info = &task->nexus->lun->info;
	uint32_t most = info->max_transfer < SCSI_BOUNCE_SIZE ?
				info->max_transfer : SCSI_BOUNCE_SIZE;
	uint32_t blocks = most / info->block_size;

	if (blocks > task->blocks)
		blocks = task->blocks;
	if (task->op == DISK_WRITE && !task->pattern)
		bounce_copy(task, blocks * info->block_size);
	task->nexus->bounce->bounced++;
	send_next(task, blocks)->buffer = task->bounce;
}

/* Data: directly if it can be; once bounced, bounced to the end. */
static bool cut_data(struct scsi_task *task)
{
	if (!task->bounce) {
		if (!task->pattern && cut_direct(task))
			return true;
		/* What is under way uses the cursor's past, not a buffer: let
		 * it end before the cursor goes on by copies. */
		if (task->in_flight || !bounce_get(task))
			return false;
	} else if (task->in_flight && !task->pattern) {
		return false;
	}
	cut_bounced(task);
	return true;
}

/* Sends one more part. False: not now. */
static bool cut(struct scsi_task *task)
{
	const struct scsi_extent *extent;

	switch (task->op) {
	case DISK_DISCARD:
		extent = &task->extent[--task->nr_extents];
		send(task, extent->lba, extent->blocks);
		return true;
	case DISK_WRITE_ZEROES:
		send_next(task, task->blocks);
		return true;
	default:
		return cut_data(task);
	}
}

static bool has_more(const struct scsi_task *task)
{
	return task->blocks || task->nr_extents;
}

/* Cuts until all is sent or as much is under way as may be. */
static void advance(struct scsi_task *task)
{
	if (!task->in_flight)
		task->nr_split = 0;
	while (has_more(task) && task->in_flight < SCSI_PARTS && cut(task))
		;
}

/* Ends. */

static void finish(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	unsigned int status = task->disk_status;

	if (task->bounce)
		bounce_put(task);
	if (status != DISK_OK)
		nexus->count.failed++;
	switch (status) {
	case DISK_OK:
		scsi_good(task);
		break;
	case DISK_GONE:
		scsi_end(task, SCSI_NO_LUN);
		break;
	case DISK_CONFLICT:
		scsi_end(task, SCSI_DELIVERED);
		task->status = SCSI_RESERVATION_CONFLICT;
		break;
	default:
		scsi_check(task, sense_of[status].key, sense_of[status].asc);
	}
	task->done(task);
}

static void count_bytes(struct scsi_task *task, uint32_t blocks)
{
	struct scsi_counters *count = &task->nexus->count;
	uint64_t bytes = (uint64_t)blocks * task->nexus->lun->info.block_size;

	if (task->op == DISK_READ)
		count->bytes_read += bytes;
	else if (task->op == DISK_WRITE)
		count->bytes_written += bytes;
}

static void part_done(struct disk_request *request, enum disk_status status)
{
	struct scsi_part *part = (struct scsi_part *)request;
	struct scsi_task *task = part->task;
	struct scsi_nexus *nexus = task->nexus;

	pv_bug(!task->in_flight || status >= DISK_NR_STATUS, task->in_flight,
	       status);
	task->in_flight--;
	if (status != DISK_OK) {
		if (task->disk_status == DISK_OK)
			task->disk_status = (uint8_t)status;
	} else {
		count_bytes(task, request->blocks);
		if (task->bounce && task->op == DISK_READ)
			bounce_copy(task, request->blocks *
						  nexus->lun->info.block_size);
	}
	if (task->in_flight)
		return;
	if (task->disk_status == DISK_OK && has_more(task)) {
		advance(task);
		scsi_nexus_submit(nexus);
	} else if (task->disk_status == DISK_OK && task->flush_after) {
		task->flush_after = false;
		scsi_transfer_flush(task);
		scsi_nexus_submit(nexus);
	} else {
		finish(task);
	}
}

/* Beginnings. */

static bool begin(struct scsi_task *task, enum disk_op op, uint64_t lba,
		  uint32_t blocks)
{
	task->op = (uint8_t)op;
	task->lba = lba;
	task->blocks = blocks;
	advance(task);
	return false;
}

bool scsi_transfer_data(struct scsi_task *task, enum disk_op op, uint8_t flags,
			uint64_t lba, uint32_t blocks)
{
	task->flags = flags;
	task->good_bytes = blocks * task->nexus->lun->info.block_size;
	return begin(task, op, lba, blocks);
}

bool scsi_transfer_flush(struct scsi_task *task)
{
	task->op = DISK_FLUSH;
	task->flags = 0;
	send(task, 0, 0);
	return false;
}

bool scsi_transfer_zeroes(struct scsi_task *task, uint64_t lba,
			  uint32_t blocks)
{
	return begin(task, DISK_WRITE_ZEROES, lba, blocks);
}

bool scsi_transfer_pattern(struct scsi_task *task, enum scsi_pattern pattern,
			   uint64_t lba, uint32_t blocks)
{
	task->pattern = (uint8_t)pattern;
	return begin(task, DISK_WRITE, lba, blocks);
}

bool scsi_transfer_discard(struct scsi_task *task, unsigned int nr)
{
	task->nr_extents = (uint8_t)nr;
	return begin(task, DISK_DISCARD, 0, 0);
}
