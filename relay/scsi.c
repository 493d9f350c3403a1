/* SPDX-License-Identifier: MIT */
/*
 * SCSI target, theory of operation
 *
 * Owns nothing: a task comes with everything it needs. scsi_execute() finds
 * the command in the table (scsi_opcodes.c); its function either sets the
 * result at once or starts a transfer (scsi_transfer.c), which sets it later:
 *
 *	scsi_execute() --> command --+--> result set ----------> done()
 *	                             |                            ^
 *	                             +--> transfer --> disk ------+
 *
 * A logical unit that is not there still answers INQUIRY ("nothing here") and
 * REPORT LUNS, because a client that gets no INQUIRY data from LUN 0 may never
 * ask for the list; Linux takes any failure of INQUIRY for a success.
 *
 * All channels of a controller are one initiator, so each unit attention goes
 * to the first that asks, and once. What MODE SELECT changes is told to nobody:
 * there is no other initiator.
 *
 * Threads: the reactor of the task's channel.
 *
 * Failure answers: a command that we do not know is ILLEGAL REQUEST with
 * INVALID COMMAND OPERATION CODE, a field that we do not know with INVALID
 * FIELD IN CDB and a pointer to it. Nothing that a client can put into a
 * command fails silently; reserved bits are not looked at.
 */
#include <string.h>

#include "scsi_command.h"

/* Results. */

bool scsi_end(struct scsi_task *task, enum scsi_outcome outcome)
{
	task->outcome = outcome;
	task->status = SCSI_GOOD;
	task->moved = 0;
	return true;
}

bool scsi_good(struct scsi_task *task)
{
	scsi_end(task, SCSI_DELIVERED);
	task->moved = task->good_bytes;
	return true;
}

bool scsi_check(struct scsi_task *task, uint8_t key, uint16_t asc)
{
	scsi_end(task, SCSI_DELIVERED);
	task->status = SCSI_CHECK_CONDITION;
	task->sense = (struct scsi_sense){
		.response = SCSI_SENSE_FIXED,
		.key = key,
		.additional_size = sizeof(task->sense) - 8,
		.asc = (uint8_t)(asc >> 8),
		.ascq = (uint8_t)asc,
	};
	return true;
}

bool scsi_refuse(struct scsi_task *task, uint16_t asc)
{
	if (task->nexus)
		task->nexus->count.refused++;
	return scsi_check(task, SCSI_ILLEGAL_REQUEST, asc);
}

static bool refuse_field(struct scsi_task *task, uint16_t asc, uint8_t where,
			 unsigned int byte, unsigned int bit)
{
	scsi_refuse(task, asc);
	task->sense.key_specific[0] =
		(uint8_t)(SCSI_SENSE_SKSV | where | SCSI_SENSE_BIT_VALID | bit);
	scsi_put16(task->sense.key_specific + 1, (uint16_t)byte);
	return true;
}

bool scsi_refuse_cdb(struct scsi_task *task, unsigned int byte,
		     unsigned int bit)
{
	return refuse_field(task, SCSI_ASC_INVALID_FIELD_IN_CDB,
			    SCSI_SENSE_IN_CDB, byte, bit);
}

bool scsi_refuse_list(struct scsi_task *task, unsigned int byte,
		      unsigned int bit)
{
	return refuse_field(task, SCSI_ASC_INVALID_FIELD_IN_PARAMETERS, 0,
			    byte, bit);
}

bool scsi_conflict(struct scsi_task *task)
{
	scsi_end(task, SCSI_DELIVERED);
	task->status = SCSI_RESERVATION_CONFLICT;
	return true;
}

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
	[DISK_MISCOMPARE] = { SCSI_MISCOMPARE, SCSI_ASC_MISCOMPARE },
	[DISK_NOT_READY] = { SCSI_NOT_READY, SCSI_ASC_BECOMING_READY },
	[DISK_NO_SPACE] = { SCSI_DATA_PROTECT, SCSI_ASC_SPACE_EXHAUSTED },
	[DISK_ABORTED] = { SCSI_ABORTED_COMMAND, SCSI_ASC_NONE },
	[DISK_TIMEOUT] = { SCSI_HARDWARE_ERROR, SCSI_ASC_TIMEOUT },
	[DISK_UNSUPPORTED] = { SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_OPCODE },
	[DISK_FAILED] = { SCSI_HARDWARE_ERROR, SCSI_ASC_INTERNAL_FAILURE },
};

bool scsi_disk_result(struct scsi_task *task, enum disk_status status)
{
	switch (status) {
	case DISK_OK:
		return scsi_good(task);
	case DISK_GONE:
		return scsi_end(task, SCSI_NO_LUN);
	case DISK_CONFLICT:
		return scsi_conflict(task);
	default:
		return scsi_check(task, sense_of[status].key,
				  sense_of[status].asc);
	}
}

/* Parameter data. */

bool scsi_return(struct scsi_task *task, const void *data, uint32_t size,
		 uint32_t allocation_size)
{
	const uint8_t *from = data;

	if (size > allocation_size)
		size = allocation_size;
	if (size > task->length)
		size = task->length;
	if (size && task->direction != SCSI_DATA_IN)
		return scsi_end(task, SCSI_WRONG_DIRECTION);
	task->good_bytes = size;
	scsi_good(task);
	for (unsigned int i = 0; size; i++) {
		const struct gpa_range *range = &task->ranges[i];
		uint32_t n = range->len < size ? range->len : size;

		if (guest_memory_write(task->memory, range->gpa, from, n))
			return scsi_check(task, SCSI_HARDWARE_ERROR,
					  SCSI_ASC_INTERNAL_FAILURE);
		from += n;
		size -= n;
	}
	return true;
}

bool scsi_fetch(struct scsi_task *task, void *data, uint32_t size)
{
	uint8_t *to = data;

	if (size > task->length) {
		scsi_end(task, SCSI_OVERRUN);
		return false;
	}
	if (size && task->direction != SCSI_DATA_OUT) {
		scsi_end(task, SCSI_WRONG_DIRECTION);
		return false;
	}
	task->good_bytes = 0;
	for (unsigned int i = 0; size; i++) {
		const struct gpa_range *range = &task->ranges[i];
		uint32_t n = range->len < size ? range->len : size;

		if (guest_memory_read(task->memory, range->gpa, to, n)) {
			scsi_check(task, SCSI_HARDWARE_ERROR,
				   SCSI_ASC_INTERNAL_FAILURE);
			return false;
		}
		to += n;
		size -= n;
		task->good_bytes += n;
	}
	return true;
}

/* Commands without a disk. */

bool scsi_test_unit_ready(struct scsi_task *task)
{
	return scsi_good(task);
}

/* Whoever asks first has to be told. 0: there is nothing to tell. */
static uint16_t take_attention(struct scsi_lun *lun)
{
	static const uint16_t asc[SCSI_NR_ATTENTIONS] = {
		[SCSI_MEDIUM_CHANGED] = SCSI_ASC_MEDIUM_CHANGED,
		[SCSI_CAPACITY_CHANGED] = SCSI_ASC_CAPACITY_CHANGED,
	};
	unsigned int pending = atomic_load(&lun->attentions);

	for (unsigned int i = 0; pending >> i; i++)
		if (pending >> i & 1 &&
		    atomic_fetch_and(&lun->attentions, ~(1u << i)) >> i & 1)
			return asc[i];
	return 0;
}

/* Sense goes with the status, so a unit attention is all that can be left. */
bool scsi_request_sense(struct scsi_task *task)
{
	uint16_t attention =
		task->nexus ? take_attention(task->nexus->lun) : 0;
	uint16_t asc = !task->nexus ? SCSI_ASC_LUN_NOT_SUPPORTED : attention;
	uint8_t key = attention ? SCSI_UNIT_ATTENTION :
		      task->nexus ? SCSI_NO_SENSE : SCSI_ILLEGAL_REQUEST;
	struct scsi_sense fixed = {
		.response = SCSI_SENSE_FIXED,
		.key = key,
		.additional_size = sizeof(fixed) - 8,
		.asc = (uint8_t)(asc >> 8),
		.ascq = (uint8_t)asc,
	};
	struct scsi_sense_descriptor descriptor = {
		.response = SCSI_SENSE_DESCRIPTOR,
		.key = key,
		.asc = (uint8_t)(asc >> 8),
		.ascq = (uint8_t)asc,
	};

	if (task->cdb[1] & SCSI_CDB_DESC)
		return scsi_return(task, &descriptor, sizeof(descriptor),
				   task->cdb[4]);
	return scsi_return(task, &fixed, sizeof(fixed), task->cdb[4]);
}

/* Only the default self-test, which everything here always passes. */
bool scsi_send_diagnostic(struct scsi_task *task)
{
	if (task->cdb[1] & SCSI_CDB_SELF_TEST_CODE)
		return scsi_refuse_cdb(task, 1, 7);
	if (!(task->cdb[1] & SCSI_CDB_SELF_TEST))
		return scsi_refuse_cdb(task, 1, 2);
	if (scsi_get16(task->cdb + 3))
		return scsi_refuse_cdb(task, 3, 7);
	return scsi_good(task);
}

bool scsi_report_luns(struct scsi_task *task)
{
	uint8_t data[sizeof(struct scsi_report_luns) +
		     SCSI_MAX_LUNS * SCSI_LUN_ENTRY_SIZE] = { 0 };
	uint8_t *entry = data + sizeof(struct scsi_report_luns);
	uint8_t report = task->cdb[2];

	/* 0: all but well-known ones, 1: well-known ones, 2: all. */
	if (report > 2)
		return scsi_refuse_cdb(task, 2, 7);
	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++) {
		const struct scsi_nexus *nexus =
			task->target ? task->target->nexus[i] : NULL;

		if (!nexus || atomic_load(&nexus->lun->lost) || report == 1)
			continue;
		entry[1] = (uint8_t)i;
		entry += SCSI_LUN_ENTRY_SIZE;
	}
	scsi_put32(data, (uint32_t)(entry - data) -
				 (uint32_t)sizeof(struct scsi_report_luns));
	return scsi_return(task, data, (uint32_t)(entry - data),
			   scsi_get32(task->cdb + 6));
}

/* Execution. */

static bool execute(struct scsi_task *task)
{
	struct scsi_lun *lun = task->nexus ? task->nexus->lun : NULL;
	bool known;
	const struct scsi_command *command = scsi_find(lun, task->cdb, &known);
	uint16_t attention;

	if (!lun && (!command || !(command->flags & SCSI_WITHOUT_UNIT)))
		return scsi_end(task, SCSI_NO_LUN);
	if (!command && !known)
		return scsi_refuse(task, SCSI_ASC_INVALID_OPCODE);
	if (lun && !(command && command->flags & SCSI_DESPITE_ATTENTION)) {
		attention = take_attention(lun);
		if (attention)
			return scsi_check(task, SCSI_UNIT_ATTENTION,
					  attention);
	}
	if (!command) /* of this service action */
		return scsi_refuse_cdb(task, 1, 4);
	if (task->cdb_size < scsi_cdb_size(task->cdb[0]))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (command->flags & SCSI_NEEDS_MEDIUM && !scsi_medium_present(task))
		return true;
	return command->execute(task);
}

static void reset(struct scsi_task *task)
{
	task->good_bytes = 0;
	task->flags = 0;
	task->in_flight = 0;
	task->disk_status = DISK_OK;
	task->pattern = SCSI_PATTERN_NONE;
	task->judgement = SCSI_JUDGE_NONE;
	task->then = 0;
	task->nr_extents = 0;
	task->blocks = 0;
	task->range = 0;
	task->range_offset = 0;
	task->head = task->cut_to = 0;
	task->bounce = NULL;
	task->ended = NULL;
}

void scsi_execute(struct scsi_task *task)
{
	reset(task);
	if (execute(task)) {
		if (task->nexus)
			task->nexus->count.other++;
		task->done(task);
	}
}
