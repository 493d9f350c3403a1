/* SPDX-License-Identifier: MIT */
/*
 * Block commands, theory of operation
 *
 * SBC-3 commands become requests of a disk: decoded, checked against the
 * disk's size, handed to scsi_transfer.c. Nothing is kept between commands.
 *
 * Durability. A write is durable when it is acknowledged if the client asks
 * for it (FUA), or if it switched the logical unit's write cache off. A disk
 * that knows FUA gets the flag; for one that does not, a flush follows the
 * write. A disk without a write cache needs neither.
 *
 * VERIFY checks the range and no data: a disk that cannot read a block back
 * says so when it is read. Comparing with the client's data (BYTCHK) is
 * refused rather than pretended.
 *
 * Failure answers (SBC-3): beyond the end LBA OUT OF RANGE; writing to a
 * read-only unit DATA PROTECT; protection information, which no disk of ours
 * has, INVALID FIELD IN CDB; a buffer smaller than what the command moves ends
 * in an overrun, and nothing was moved.
 */
#include <string.h>

#include "scsi_command.h"

struct block_range {
	uint64_t lba;
	uint32_t blocks;
};

/* By the length of the CDB, which the upper bits of the opcode tell. */
static struct block_range decode(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		return (struct block_range){
			.lba = scsi_get32(cdb) & 0x1fffff,
			.blocks = cdb[4] ? cdb[4] : 256,
		};
	case 4:
		return (struct block_range){ scsi_get64(cdb + 2),
					     scsi_get32(cdb + 10) };
	case 5:
		return (struct block_range){ scsi_get32(cdb + 2),
					     scsi_get32(cdb + 6) };
	default:
		return (struct block_range){ scsi_get32(cdb + 2),
					     scsi_get16(cdb + 7) };
	}
}

static const struct disk_info *info_of(const struct scsi_task *task)
{
	return &task->nexus->lun->info;
}

static uint64_t blocks_of(const struct scsi_task *task)
{
	return atomic_load(&task->nexus->lun->blocks);
}

/* The range of the CDB in *range. False: the result is set. */
static bool in_range(struct scsi_task *task, struct block_range *range)
{
	uint64_t blocks = blocks_of(task);

	*range = decode(task->cdb);
	if (range->lba <= blocks && range->blocks <= blocks - range->lba)
		return true;
	scsi_refuse(task, SCSI_ASC_LBA_OUT_OF_RANGE);
	return false;
}

static bool writable(struct scsi_task *task)
{
	if (!task->nexus->lun->read_only)
		return true;
	task->nexus->count.refused++;
	scsi_check(task, SCSI_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
	return false;
}

/* Six-byte commands have no flags: these bits belong to the LBA. */
static uint8_t flags_of(const struct scsi_task *task)
{
	return task->cdb[0] >> 5 ? task->cdb[1] : 0;
}

/* Does the client's buffer hold `blocks`, and point the right way? */
static bool buffer_holds(struct scsi_task *task, uint32_t blocks,
			 enum scsi_direction direction)
{
	if ((uint64_t)blocks * info_of(task)->block_size > task->length) {
		scsi_end(task, SCSI_OVERRUN);
		return false;
	}
	if (task->direction != direction) {
		scsi_end(task, SCSI_WRONG_DIRECTION);
		return false;
	}
	return true;
}

bool scsi_read(struct scsi_task *task)
{
	struct block_range range;

	if (flags_of(task) & SCSI_CDB_PROTECT_MASK)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (!in_range(task, &range))
		return true;
	if (!range.blocks)
		return scsi_good(task);
	if (!buffer_holds(task, range.blocks, SCSI_DATA_IN))
		return true;
	task->nexus->count.reads++;
	return scsi_transfer_data(task, DISK_READ, 0, range.lba, range.blocks);
}

/* What must become durable before it is acknowledged. */
static bool write_through(const struct scsi_task *task, bool fua)
{
	struct scsi_lun *lun = task->nexus->lun;

	return lun->info.write_cache &&
	       (fua || !atomic_load(&lun->write_cache));
}

static bool write_blocks(struct scsi_task *task, bool fua)
{
	struct block_range range;
	uint8_t flags = 0;

	if (!writable(task) || !in_range(task, &range))
		return true;
	if (!range.blocks)
		return scsi_good(task);
	if (!buffer_holds(task, range.blocks, SCSI_DATA_OUT))
		return true;
	if (write_through(task, fua)) {
		if (info_of(task)->fua)
			flags = DISK_FUA;
		else
			task->flush_after = true;
	}
	task->nexus->count.writes++;
	return scsi_transfer_data(task, DISK_WRITE, flags, range.lba,
				  range.blocks);
}

bool scsi_write(struct scsi_task *task)
{
	uint8_t flags = flags_of(task);

	if (flags & SCSI_CDB_PROTECT_MASK)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	return write_blocks(task, flags & SCSI_CDB_FUA);
}

bool scsi_verify(struct scsi_task *task)
{
	struct block_range range;

	if (task->cdb[1] & (SCSI_CDB_PROTECT_MASK | SCSI_CDB_BYTCHK_MASK))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (!in_range(task, &range))
		return true;
	return scsi_good(task);
}

/* What is to be verified has to be on the medium first. */
bool scsi_write_and_verify(struct scsi_task *task)
{
	if (task->cdb[1] & (SCSI_CDB_PROTECT_MASK | SCSI_CDB_BYTCHK_MASK))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	return write_blocks(task, true);
}

bool scsi_synchronize_cache(struct scsi_task *task)
{
	struct block_range range;

	if (!in_range(task, &range))
		return true;
	if (!info_of(task)->write_cache)
		return scsi_good(task);
	task->nexus->count.flushes++;
	return scsi_transfer_flush(task);
}

/* A disk cannot be spun down; what a client wants is that nothing be lost. */
bool scsi_start_stop_unit(struct scsi_task *task)
{
	if (task->cdb[1] & SCSI_CDB_IMMED ||
	    task->cdb[4] & (SCSI_CDB_POWER_MASK | SCSI_CDB_LOEJ))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (task->cdb[4] & SCSI_CDB_START || !info_of(task)->write_cache)
		return scsi_good(task);
	task->nexus->count.flushes++;
	return scsi_transfer_flush(task);
}

/* WRITE SAME. */

static bool all_zero(const uint8_t *bytes, uint32_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

bool scsi_write_same(struct scsi_task *task)
{
	const struct disk_info *info = info_of(task);
	uint8_t block[GUEST_PAGE_SIZE] = { 0 };
	bool has_data = task->cdb[0] != SCSI_WRITE_SAME_16 ||
			!(task->cdb[1] & SCSI_CDB_NDOB);
	struct block_range range;

	if (task->cdb[1] & (SCSI_CDB_PROTECT_MASK | SCSI_CDB_UNMAP |
			    SCSI_CDB_ANCHOR_WRITE_SAME))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (!writable(task) || !in_range(task, &range))
		return true;
	/* 0 would mean "to the end": page B0h says that we do not do that. */
	if (!range.blocks ||
	    range.blocks > SCSI_MAX_WRITE_SAME / info->block_size)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (has_data && !scsi_fetch(task, block, info->block_size))
		return true;
	task->flush_after = write_through(task, false);
	task->nexus->count.writes++;
	if (info->write_zeroes && all_zero(block, info->block_size))
		return scsi_transfer_zeroes(task, range.lba, range.blocks);
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
	uint64_t blocks = blocks_of(task);
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
	uint32_t size = scsi_get16(task->cdb + 7);
	uint32_t descriptors;
	int nr;

	if (!info_of(task)->discard_granularity)
		return scsi_refuse(task, SCSI_ASC_INVALID_OPCODE);
	if (task->cdb[1] & SCSI_CDB_ANCHOR)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (!writable(task))
		return true;
	if (!size)
		return scsi_good(task);
	if (size < sizeof(struct scsi_unmap_list) || size > sizeof(list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (!scsi_fetch(task, list, size))
		return true;
	descriptors = scsi_get16(list + 2);
	if (descriptors > size - sizeof(struct scsi_unmap_list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	nr = unmap_extents(task, list + sizeof(struct scsi_unmap_list),
			   descriptors / sizeof(struct scsi_unmap_descriptor));
	if (nr < 0)
		return true;
	if (!nr)
		return scsi_good(task);
	task->nexus->count.discards++;
	return scsi_transfer_discard(task, (unsigned int)nr);
}

/* READ CAPACITY. */

bool scsi_read_capacity_10(struct scsi_task *task)
{
	uint64_t last = blocks_of(task) - 1;
	struct scsi_capacity_10 data;

	/* All ones: ask with 16 bytes. */
	scsi_put32(data.last_lba,
		   last < UINT32_MAX ? (uint32_t)last : UINT32_MAX);
	scsi_put32(data.block_size, info_of(task)->block_size);
	return scsi_return(task, &data, sizeof(data), sizeof(data));
}

bool scsi_service_action_in(struct scsi_task *task)
{
	const struct disk_info *info = info_of(task);
	struct scsi_capacity_16 data = { 0 };
	uint32_t physical = info->physical_block_size / info->block_size;

	if ((task->cdb[1] & SCSI_SERVICE_ACTION_MASK) != SCSI_READ_CAPACITY_16)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	scsi_put64(data.last_lba, blocks_of(task) - 1);
	scsi_put32(data.block_size, info->block_size);
	while (physical > 1 && data.physical_exponent < 15) {
		data.physical_exponent++;
		physical /= 2;
	}
	if (info->discard_granularity)
		data.lowest_aligned[0] = SCSI_LBPME;
	return scsi_return(task, &data, sizeof(data),
			   scsi_get32(task->cdb + 10));
}
