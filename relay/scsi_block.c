/* SPDX-License-Identifier: MIT */
/*
 * Block commands, theory of operation
 *
 * SBC-3 commands become requests of a disk: decoded, checked against the
 * unit's size, handed to scsi_transfer.c. Nothing is kept between commands.
 *
 * Durability. A write is durable when it is acknowledged if the client asks
 * for it (FUA), or if the unit's write cache is off, by the client or by
 * configuration. A disk that knows FUA gets the flag; for one that does not, a
 * flush follows the write. A disk without a write cache needs neither. Another
 * channel may switch the cache off while a write is under way: so the end of
 * each looks once more, and then a flush follows, too (scsi_transfer.c).
 *
 * VERIFY without BYTCHK has the disk check that it can read the blocks, if it
 * has a command for that. If not, only the range is checked: to read
 * everything, and throw it away, would be no cheaper for the client than doing
 * so itself. With BYTCHK the blocks are compared with the client's data, by the
 * disk if it can, else by us. WRITE AND VERIFY is a durable write and then the
 * same.
 *
 * Failure answers (SBC-3): beyond the end LBA OUT OF RANGE; writing to a
 * read-only unit DATA PROTECT; data that are not the same MISCOMPARE;
 * protection information, which no disk of ours has, INVALID FIELD IN CDB; a
 * buffer smaller than what the command moves ends in an overrun, and nothing
 * was moved.
 */
#include "scsi_command.h"

/* By the length of the CDB, which the upper bits of the opcode tell. */
static struct scsi_range decode(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0:
		return (struct scsi_range){
			.lba = scsi_get32(cdb) & 0x1fffff,
			.blocks = cdb[4] ? cdb[4] : 256,
		};
	case 4:
		return (struct scsi_range){ scsi_get64(cdb + 2),
					    scsi_get32(cdb + 10) };
	case 5:
		return (struct scsi_range){ scsi_get32(cdb + 2),
					    scsi_get32(cdb + 6) };
	default:
		return (struct scsi_range){ scsi_get32(cdb + 2),
					    scsi_get16(cdb + 7) };
	}
}

static uint64_t blocks_of(const struct scsi_task *task)
{
	return atomic_load(&task->nexus->lun->blocks);
}

bool scsi_in_range(struct scsi_task *task, struct scsi_range *range)
{
	uint64_t blocks = blocks_of(task);

	*range = decode(task->cdb);
	if (range->lba <= blocks && range->blocks <= blocks - range->lba)
		return true;
	scsi_refuse(task, SCSI_ASC_LBA_OUT_OF_RANGE);
	return false;
}

bool scsi_writable(struct scsi_task *task)
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

/* False: there is one that no disk of ours knows, and the result is set. */
static bool flags_good(struct scsi_task *task)
{
	uint8_t flags = flags_of(task);

	if (flags & SCSI_CDB_PROTECT_MASK)
		scsi_refuse_cdb(task, 1, 7);
	else if (flags & SCSI_CDB_FUA && !task->nexus->lun->fua)
		scsi_refuse_cdb(task, 1, 3);
	else
		return true;
	return false;
}

/* Does the client's buffer hold `blocks`, and point the right way? */
static bool buffer_holds(struct scsi_task *task, uint32_t blocks,
			 enum scsi_direction direction)
{
	if ((uint64_t)blocks * task->nexus->lun->block_size > task->length) {
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
	struct scsi_range range;

	if (!flags_good(task) || !scsi_in_range(task, &range))
		return true;
	if (!range.blocks)
		return scsi_good(task);
	if (!buffer_holds(task, range.blocks, SCSI_DATA_IN))
		return true;
	task->nexus->count.reads++;
	return scsi_transfer_data(task, DISK_READ, 0, range.lba, range.blocks);
}

bool scsi_write_through(const struct scsi_task *task, bool fua)
{
	struct scsi_lun *lun = task->nexus->lun;

	/* Relaxed: a write that the flush behind a switch did not cover ended
	 * after that flush was sent, and thus sees the switch. */
	return lun->info.write_cache &&
	       (fua || !atomic_load_explicit(&lun->write_cache,
					     memory_order_relaxed));
}

/* `then`: what follows beside a flush, if one has to. */
static bool write_blocks(struct scsi_task *task, bool fua, unsigned int then)
{
	struct scsi_range range;
	uint8_t flags = 0;

	if (!scsi_writable(task) || !scsi_in_range(task, &range))
		return true;
	if (!range.blocks)
		return scsi_good(task);
	if (!buffer_holds(task, range.blocks, SCSI_DATA_OUT))
		return true;
	task->then = (uint8_t)then;
	if (scsi_write_through(task, fua)) {
		if (task->nexus->lun->info.fua)
			flags = DISK_FUA;
		else
			task->then |= SCSI_THEN_FLUSH;
	}
	task->nexus->count.writes++;
	return scsi_transfer_data(task, DISK_WRITE, flags, range.lba,
				  range.blocks);
}

bool scsi_write(struct scsi_task *task)
{
	if (!flags_good(task))
		return true;
	return write_blocks(task, flags_of(task) & SCSI_CDB_FUA, 0);
}

/* VERIFY. */

/* The BYTCHK field; false: the result is set. */
static bool take_check(struct scsi_task *task, bool one_block, uint8_t *check)
{
	*check = (task->cdb[1] & SCSI_CDB_BYTCHK_MASK) >>
		 SCSI_CDB_BYTCHK_SHIFT;
	if (task->cdb[1] & SCSI_CDB_PROTECT_MASK)
		scsi_refuse_cdb(task, 1, 7);
	else if (*check > SCSI_BYTCHK_DATA &&
		 !(one_block && *check == SCSI_BYTCHK_BLOCK))
		scsi_refuse_cdb(task, 1, 2);
	else
		return true;
	return false;
}

/* Where the length stands in the CDB. */
static unsigned int length_field(const struct scsi_task *task)
{
	switch (task->cdb[0] >> 5) {
	case 4:
		return 10;
	case 5:
		return 6;
	default:
		return 7;
	}
}

bool scsi_verify(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->nexus->lun;
	struct scsi_range range;
	uint8_t check;

	if (!take_check(task, true, &check) || !scsi_in_range(task, &range))
		return true;
	if (!range.blocks)
		return scsi_good(task);
	if (check == SCSI_BYTCHK_NOTHING)
		return lun->info.verify ? scsi_transfer_verify(
			task, range.lba, range.blocks) : scsi_good(task);
	/* Not longer than WRITE SAME, which it can check. */
	if (check == SCSI_BYTCHK_BLOCK &&
	    range.blocks > SCSI_MAX_WRITE_SAME / lun->block_size)
		return scsi_refuse_cdb(task, length_field(task), 7);
	if (!buffer_holds(task, check == SCSI_BYTCHK_BLOCK ? 1 : range.blocks,
			  SCSI_DATA_OUT))
		return true;
	task->nexus->count.reads++;
	return scsi_transfer_compare(task, check == SCSI_BYTCHK_BLOCK,
				     range.lba, range.blocks);
}

/* What is to be verified has to be on the medium first. */
bool scsi_write_and_verify(struct scsi_task *task)
{
	uint8_t check;

	if (!take_check(task, false, &check))
		return true;
	return write_blocks(task, true, check == SCSI_BYTCHK_DATA ?
					SCSI_THEN_COMPARE : SCSI_THEN_VERIFY);
}

bool scsi_synchronize_cache(struct scsi_task *task)
{
	struct scsi_range range;

	if (!scsi_in_range(task, &range))
		return true;
	if (!task->nexus->lun->info.write_cache)
		return scsi_good(task);
	task->nexus->count.flushes++;
	return scsi_transfer_flush(task);
}

/* A disk cannot be spun down; what a client wants is that nothing be lost.
 * Whether it waits (IMMED) is the same to us. */
bool scsi_start_stop_unit(struct scsi_task *task)
{
	uint8_t flags = task->cdb[4];

	if (flags & SCSI_CDB_POWER_MASK)
		return scsi_refuse_cdb(task, 4, 7);
	if (task->nexus->lun->dvd)
		return scsi_load_eject(task);
	if (flags & SCSI_CDB_LOEJ)
		return scsi_refuse_cdb(task, 4, 1);
	if (flags & (SCSI_CDB_START | SCSI_CDB_NO_FLUSH) ||
	    !task->nexus->lun->info.write_cache)
		return scsi_good(task);
	task->nexus->count.flushes++;
	return scsi_transfer_flush(task);
}

/* READ CAPACITY. */

bool scsi_read_capacity_10(struct scsi_task *task)
{
	uint64_t last = blocks_of(task) - 1;
	struct scsi_capacity_10 data;

	/* All ones: ask with 16 bytes. */
	scsi_put32(data.last_lba,
		   last < UINT32_MAX ? (uint32_t)last : UINT32_MAX);
	scsi_put32(data.block_size, task->nexus->lun->block_size);
	return scsi_return(task, &data, sizeof(data), sizeof(data));
}

bool scsi_read_capacity_16(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->nexus->lun;
	struct scsi_capacity_16 data = { 0 };
	uint32_t physical = lun->info.physical_block_size /
			    lun->info.block_size;

	scsi_put64(data.last_lba, blocks_of(task) - 1);
	scsi_put32(data.block_size, lun->block_size);
	while (physical > 1 && data.physical_exponent < 15) {
		data.physical_exponent++;
		physical /= 2;
	}
	scsi_put16(data.lowest_aligned, lun->lowest_aligned);
	if (scsi_thin(lun)) {
		data.lowest_aligned[0] |= SCSI_LBPME;
		if (scsi_reads_zeroes(lun))
			data.lowest_aligned[0] |= SCSI_LBPRZ;
	}
	return scsi_return(task, &data, sizeof(data),
			   scsi_get32(task->cdb + 10));
}
