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
 *	 |        no buffer free: wait         +--> flush, verify, compare, if
 *	 |                                     |    they are to follow
 *	 +------ no block can be cut: bounce   +--> result, done()
 *
 * A part takes as many blocks as the disk allows and ends on a block, which
 * need not be the end of one of the client's ranges. Where not even one block
 * can go (ranges that start on odd addresses, or leave gaps inside a block),
 * the rest of the command goes through a bounce buffer, piece by piece. So does
 * what is compared, on a disk that has no command for it: it is read and we
 * compare.
 *
 * A DVD drive's blocks need not be its disk's. Addresses of a transfer are the
 * disk's from here on; a read that begins or ends inside one of its blocks
 * leaves the other part out.
 *
 * Parts of a command are not ordered. Nothing of a failed command is undone
 * (SBC-3 does not ask for it); after the first failure no new part is sent and
 * the first status that was not good decides the result.
 *
 * Owns: the private fields of struct scsi_task while the disk works on it; a
 * bounce buffer from the first part that needs one to the end of the task.
 *
 * Threads: the reactor of the nexus. Failure answers: scsi_disk_result().
 */
#include <pv/log.h>

#include "scsi_command.h"

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
	request->reservation = NULL;
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
	scsi_skip(task, bytes);
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
	if (task->op != DISK_READ && !task->pattern)
		scsi_bounce_copy(task, 0, blocks * info->block_size);
	task->nexus->bounce->bounced++;
	send_next(task, blocks)->buffer = task->bounce;
}

/* Data: directly if it can be; once bounced, bounced to the end. */
static bool cut_data(struct scsi_task *task)
{
	bool ours = task->pattern || task->judgement || task->cut_to;

	if (!task->bounce) {
		if (!ours && cut_direct(task))
			return true;
		/* What is under way uses the cursor's past, not a buffer: let
		 * it end before the cursor goes on by copies. */
		if (task->in_flight || !scsi_bounce_get(task))
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
	case DISK_VERIFY:
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

void scsi_transfer_go_on(struct scsi_task *task)
{
	advance(task);
	scsi_nexus_submit(task->nexus);
}

/* Ends. */

static void finish(struct scsi_task *task)
{
	struct scsi_nexus *nexus = task->nexus;
	enum disk_status status = task->disk_status;

	if (task->bounce)
		scsi_bounce_put(task);
	if (status != DISK_OK)
		nexus->count.failed++;
	if (!task->ended || !task->ended(task, status))
		scsi_disk_result(task, status);
	task->done(task);
}

/* What was read into the buffer: for the client, or to be compared. */
static void take_bounced(struct scsi_task *task, uint32_t bytes)
{
	uint32_t head = task->head;

	if (task->judgement) {
		if (task->disk_status == DISK_OK &&
		    !scsi_bounce_equal(task, bytes))
			task->disk_status = DISK_MISCOMPARE;
		return;
	}
	if (task->cut_to) {
		bytes -= head;
		if (bytes > task->cut_to)
			bytes = task->cut_to;
		task->cut_to -= bytes;
		task->head = 0;
	}
	scsi_bounce_copy(task, head, bytes);
}

static void take_data(struct scsi_task *task, uint32_t bytes)
{
	struct scsi_counters *count = &task->nexus->count;

	if (task->op == DISK_READ)
		count->bytes_read += bytes;
	else if (task->op == DISK_WRITE)
		count->bytes_written += bytes;
	if (task->bounce && task->op == DISK_READ)
		take_bounced(task, bytes);
}

/* Does what has been written have to be durable, and perhaps is not? Whatever
 * was decided when it was sent: the flush that came with switching the cache
 * off was too early for it. */
static bool needs_flush(const struct scsi_task *task)
{
	if (task->then & SCSI_THEN_FLUSH)
		return true;
	return (task->op == DISK_WRITE || task->op == DISK_WRITE_ZEROES) &&
	       !(task->flags & DISK_FUA) && scsi_write_through(task, false);
}

/* What is to follow; false: nothing any more. */
static bool follow(struct scsi_task *task)
{
	uint8_t then = task->then;

	if (needs_flush(task)) {
		task->then &= (uint8_t)~SCSI_THEN_FLUSH;
		scsi_transfer_flush(task);
		return true;
	}
	task->then = 0;
	task->range = 0;
	task->range_offset = 0;
	if (then & SCSI_THEN_COMPARE)
		scsi_transfer_compare(task, false, task->first_lba,
				      task->all_blocks);
	else if (then & SCSI_THEN_VERIFY && task->nexus->lun->info.verify)
		scsi_transfer_verify(task, task->first_lba, task->all_blocks);
	else
		return false;
	return true;
}

static void part_done(struct disk_request *request, enum disk_status status)
{
	struct scsi_part *part = (struct scsi_part *)request;
	struct scsi_task *task = part->task;
	struct scsi_nexus *nexus = task->nexus;

	pv_bug(!task->in_flight || status >= DISK_NR_STATUS, task->in_flight,
	       status);
	task->in_flight--;
	if (status == DISK_OK)
		take_data(task, request->blocks * nexus->lun->info.block_size);
	else if (task->disk_status == DISK_OK)
		task->disk_status = (uint8_t)status;
	if (task->in_flight)
		return;
	if (task->disk_status == DISK_OK && has_more(task))
		scsi_transfer_go_on(task);
	else if (task->disk_status == DISK_OK && follow(task))
		scsi_nexus_submit(nexus);
	else
		finish(task);
}

/* Beginnings. */

static bool begin(struct scsi_task *task, enum disk_op op, uint64_t lba,
		  uint32_t blocks)
{
	task->op = (uint8_t)op;
	task->lba = task->first_lba = lba;
	task->blocks = task->all_blocks = blocks;
	advance(task);
	return false;
}

/* A read of `blocks` of the unit's from a disk whose own are larger. */
static bool begin_inside(struct scsi_task *task, uint64_t lba, uint32_t blocks)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint32_t size = lun->info.block_size;
	uint32_t ratio = size / lun->block_size;
	uint32_t head = (uint32_t)(lba % ratio) * lun->block_size;
	uint32_t bytes = blocks * lun->block_size;

	if (head || bytes % size) {
		task->head = head;
		task->cut_to = bytes;
	}
	return begin(task, DISK_READ, lba / ratio,
		     (head + bytes + size - 1) / size);
}

/* The whole command as the one part that it is as a rule: all of the client's
 * ranges, and the disk takes them as they are. False: it has to be cut. */
static bool send_whole(struct scsi_task *task)
{
	const struct disk_info *info = &task->nexus->lun->info;
	const struct gpa_range *ranges = task->ranges;
	uint64_t starts = ranges[0].gpa, gaps = 0;
	struct disk_request *request;

	if (task->good_bytes != task->length ||
	    task->length > info->max_transfer ||
	    task->nr_ranges > info->max_ranges)
		return false;
	for (unsigned int i = 1; i < task->nr_ranges; i++) {
		starts |= ranges[i].gpa;
		gaps |= ranges[i].gpa | (ranges[i - 1].gpa + ranges[i - 1].len);
	}
	if (starts & (info->range_alignment - 1) || gaps & info->gap_mask)
		return false;
	request = send_next(task, task->blocks);
	request->ranges = ranges;
	request->nr_ranges = task->nr_ranges;
	return true;
}

bool scsi_transfer_data(struct scsi_task *task, enum disk_op op, uint8_t flags,
			uint64_t lba, uint32_t blocks)
{
	const struct scsi_lun *lun = task->nexus->lun;

	task->flags = flags;
	task->good_bytes = blocks * lun->block_size;
	if (!lun->disk_blocks)
		return begin_inside(task, lba, blocks);
	task->op = (uint8_t)op;
	task->lba = task->first_lba = lba * lun->disk_blocks;
	task->blocks = task->all_blocks = blocks * lun->disk_blocks;
	if (!send_whole(task))
		advance(task);
	return false;
}

bool scsi_transfer_flush(struct scsi_task *task)
{
	task->op = DISK_FLUSH;
	task->flags = 0;
	send(task, 0, 0);
	return false;
}

bool scsi_transfer_verify(struct scsi_task *task, uint64_t lba,
			  uint32_t blocks)
{
	task->flags = 0;
	return begin(task, DISK_VERIFY, lba, blocks);
}

bool scsi_transfer_compare(struct scsi_task *task, bool one_block,
			   uint64_t lba, uint32_t blocks)
{
	const struct disk_info *info = &task->nexus->lun->info;

	task->flags = 0;
	task->good_bytes = (one_block ? 1 : blocks) * info->block_size;
	if (!info->compare) {
		task->judgement = one_block ? SCSI_JUDGE_BLOCK :
					      SCSI_JUDGE_DATA;
		return begin(task, DISK_READ, lba, blocks);
	}
	if (one_block)
		task->pattern = SCSI_PATTERN_OF_CLIENT;
	return begin(task, DISK_COMPARE, lba, blocks);
}

bool scsi_transfer_zeroes(struct scsi_task *task, uint8_t flags, uint64_t lba,
			  uint32_t blocks)
{
	task->flags = flags;
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

bool scsi_transfer_reservation(struct scsi_task *task,
			       bool (*ended)(struct scsi_task *task,
					     enum disk_status status))
{
	task->op = DISK_RESERVATION;
	task->ended = ended;
	send(task, 0, 0)->reservation = &task->reservation;
	return false;
}
