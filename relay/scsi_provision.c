/* SPDX-License-Identifier: MIT */
/*
 * WRITE SAME and UNMAP, theory of operation
 *
 * A unit is thinly provisioned (SBC-3, 4.7) if its disk can discard, or can
 * write zeroes in a way that unmaps. The first is UNMAP; the second WRITE SAME
 * with its UNMAP bit, where the block is zeroes: any other has to be written,
 * and is. Blocks read as zeroes once unmapped (LBPRZ) only if they do by
 * whichever of the two ways.
 *
 * WRITE SAME of zeroes is the disk's command for that, if it has one. Of
 * anything else, and else, the block is written over and over.
 *
 * Failure answers: UNMAP where a disk cannot is no command at all, the UNMAP
 * bit INVALID FIELD IN CDB, and so are anchors, which no disk of ours has; a
 * list of descriptors is done whole or, if one is out of range or there are too
 * many, not at all.
 */
#include <string.h>

#include "scsi_command.h"

bool scsi_can_unmap(const struct scsi_lun *lun)
{
	return lun->info.discard_granularity;
}

bool scsi_thin(const struct scsi_lun *lun)
{
	return !lun->dvd && (lun->info.discard_granularity ||
			     lun->info.write_zeroes_unmap);
}

bool scsi_reads_zeroes(const struct scsi_lun *lun)
{
	return !lun->info.discard_granularity || lun->info.discard_zeroes;
}

/* WRITE SAME. */

static bool all_zero(const uint8_t *bytes, uint32_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Are the flags such that the disk can do it? False: the result is set. */
static bool same_flags_good(struct scsi_task *task)
{
	uint8_t flags = task->cdb[1];

	if (flags & SCSI_CDB_PROTECT_MASK)
		scsi_refuse_cdb(task, 1, 7);
	else if (flags & SCSI_CDB_ANCHOR_WRITE_SAME)
		scsi_refuse_cdb(task, 1, 4);
	else if (flags & SCSI_CDB_UNMAP &&
		 !task->nexus->lun->info.write_zeroes_unmap)
		scsi_refuse_cdb(task, 1, 3);
	else
		return true;
	return false;
}

bool scsi_write_same(struct scsi_task *task)
{
	const struct disk_info *info = &task->nexus->lun->info;
	uint8_t block[GUEST_PAGE_SIZE] = { 0 };
	bool long_cdb = task->cdb[0] == SCSI_WRITE_SAME_16;
	bool has_data = !long_cdb || !(task->cdb[1] & SCSI_CDB_NDOB);
	struct scsi_range range;

	if (!same_flags_good(task) || !scsi_writable(task) ||
	    !scsi_in_range(task, &range))
		return true;
	/* 0 would mean "to the end": page B0h says that we do not do that. */
	if (!range.blocks ||
	    range.blocks > SCSI_MAX_WRITE_SAME / info->block_size)
		return scsi_refuse_cdb(task, long_cdb ? 10 : 7, 7);
	if (has_data && !scsi_fetch(task, block, info->block_size))
		return true;
	if (scsi_write_through(task, false))
		task->then = SCSI_THEN_FLUSH;
	task->nexus->count.writes++;
	if (info->write_zeroes && all_zero(block, info->block_size))
		return scsi_transfer_zeroes(
			task, task->cdb[1] & SCSI_CDB_UNMAP ? DISK_UNMAP : 0,
			range.lba, range.blocks);
	return scsi_transfer_pattern(task, has_data ? SCSI_PATTERN_OF_CLIENT :
						      SCSI_PATTERN_ZEROES,
				     range.lba, range.blocks);
}

/* UNMAP. */

/* Copies the descriptors that are not empty into task->extent[]: how many,
 * or -1 with the result set. */
static int unmap_extents(struct scsi_task *task, const uint8_t *list,
			 unsigned int nr)
{
	uint64_t blocks = atomic_load(&task->nexus->lun->blocks);
	int used = 0;

	for (unsigned int i = 0; i < nr; i++) {
		struct scsi_unmap_descriptor d;
		struct scsi_extent *to = &task->extent[used];

		memcpy(&d, list + i * sizeof(d), sizeof(d));
		to->lba = scsi_get64(d.lba);
		to->blocks = scsi_get32(d.blocks);
		if (to->lba > blocks || to->blocks > blocks - to->lba) {
			scsi_refuse(task, SCSI_ASC_LBA_OUT_OF_RANGE);
			return -1;
		}
		if (to->blocks)
			used++;
	}
	return used;
}

bool scsi_unmap(struct scsi_task *task)
{
	uint8_t list[sizeof(struct scsi_unmap_list) +
		     SCSI_MAX_UNMAP_DESCRIPTORS *
			     sizeof(struct scsi_unmap_descriptor)];
	uint32_t size = scsi_get16(task->cdb + 7), descriptors;
	uint32_t part = size < sizeof(list) ? size : sizeof(list);
	int nr;

	if (task->cdb[1] & SCSI_CDB_ANCHOR)
		return scsi_refuse_cdb(task, 1, 0);
	if (!scsi_writable(task))
		return true;
	if (!size)
		return scsi_good(task);
	if (size < sizeof(struct scsi_unmap_list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (size > task->length)
		return scsi_end(task, SCSI_OVERRUN);
	if (!scsi_fetch(task, list, part))
		return true;
	task->good_bytes = size;
	descriptors = scsi_get16(list + 2);
	if (descriptors > size - sizeof(struct scsi_unmap_list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (descriptors > sizeof(list) - sizeof(struct scsi_unmap_list))
		return scsi_refuse_list(task, 2, 7);
	nr = unmap_extents(task, list + sizeof(struct scsi_unmap_list),
			   descriptors / sizeof(struct scsi_unmap_descriptor));
	if (nr < 0)
		return true;
	if (!nr)
		return scsi_good(task);
	task->nexus->count.discards++;
	return scsi_transfer_discard(task, (unsigned int)nr);
}
