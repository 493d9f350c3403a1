/* SPDX-License-Identifier: MIT */
/*
 * SCSI target, theory of operation
 *
 * Owns nothing: a task comes with everything it needs. scsi_execute() finds
 * the function of the operation code in a table; the function either sets the
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
 * All channels of a controller are one initiator, so the unit attention of a
 * logical unit whose size changed goes to the first that asks, and once.
 *
 * Threads: the reactor of the task's channel.
 *
 * Failure answers: a command that we do not know is ILLEGAL REQUEST with
 * INVALID COMMAND OPERATION CODE, a field that we do not know with INVALID
 * FIELD IN CDB. Nothing that a client can put into a command fails silently.
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

static bool test_unit_ready(struct scsi_task *task)
{
	return scsi_good(task);
}

/* Whoever asks first has to be told. */
static bool take_attention(struct scsi_task *task)
{
	struct scsi_lun *lun = task->nexus->lun;

	return atomic_load(&lun->capacity_changed) &&
	       atomic_exchange(&lun->capacity_changed, false);
}

/* Sense goes with the status, so a unit attention is all that can be left. */
static bool request_sense(struct scsi_task *task)
{
	bool attention = task->nexus && take_attention(task);
	uint16_t asc = attention ? SCSI_ASC_CAPACITY_CHANGED :
		       task->nexus ? SCSI_ASC_NONE : SCSI_ASC_LUN_NOT_SUPPORTED;
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

static bool send_diagnostic(struct scsi_task *task)
{
	if (!(task->cdb[1] & SCSI_CDB_SELF_TEST))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	return scsi_good(task);
}

static bool report_luns(struct scsi_task *task)
{
	uint8_t data[sizeof(struct scsi_report_luns) +
		     SCSI_MAX_LUNS * SCSI_LUN_ENTRY_SIZE] = { 0 };
	uint8_t *entry = data + sizeof(struct scsi_report_luns);
	uint8_t report = task->cdb[2];

	/* 0: all but well-known ones, 1: well-known ones, 2: all. */
	if (report > 2)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++) {
		if (!task->target || !task->target->lun[i] || report == 1)
			continue;
		entry[1] = (uint8_t)i;
		entry += SCSI_LUN_ENTRY_SIZE;
	}
	scsi_put32(data, (uint32_t)(entry - data) -
				 (uint32_t)sizeof(struct scsi_report_luns));
	return scsi_return(task, data, (uint32_t)(entry - data),
			   scsi_get32(task->cdb + 6));
}

/* Operation codes. */

struct command {
	scsi_command_fn *execute;
	/* Also where no logical unit is; and not kept from its work by a unit
	 * attention. */
	bool anywhere;
};

static const struct command commands[256] = {
	[SCSI_TEST_UNIT_READY] = { test_unit_ready, false },
	[SCSI_REQUEST_SENSE] = { request_sense, true },
	[SCSI_READ_6] = { scsi_read, false },
	[SCSI_WRITE_6] = { scsi_write, false },
	[SCSI_INQUIRY] = { scsi_inquiry, true },
	[SCSI_MODE_SELECT_6] = { scsi_mode_select_6, false },
	[SCSI_MODE_SENSE_6] = { scsi_mode_sense_6, false },
	[SCSI_START_STOP_UNIT] = { scsi_start_stop_unit, false },
	[SCSI_SEND_DIAGNOSTIC] = { send_diagnostic, false },
	[SCSI_READ_CAPACITY_10] = { scsi_read_capacity_10, false },
	[SCSI_READ_10] = { scsi_read, false },
	[SCSI_WRITE_10] = { scsi_write, false },
	[SCSI_WRITE_AND_VERIFY_10] = { scsi_write_and_verify, false },
	[SCSI_VERIFY_10] = { scsi_verify, false },
	[SCSI_SYNCHRONIZE_CACHE_10] = { scsi_synchronize_cache, false },
	[SCSI_WRITE_SAME_10] = { scsi_write_same, false },
	[SCSI_UNMAP] = { scsi_unmap, false },
	[SCSI_MODE_SELECT_10] = { scsi_mode_select_10, false },
	[SCSI_MODE_SENSE_10] = { scsi_mode_sense_10, false },
	[SCSI_READ_16] = { scsi_read, false },
	[SCSI_WRITE_16] = { scsi_write, false },
	[SCSI_WRITE_AND_VERIFY_16] = { scsi_write_and_verify, false },
	[SCSI_VERIFY_16] = { scsi_verify, false },
	[SCSI_SYNCHRONIZE_CACHE_16] = { scsi_synchronize_cache, false },
	[SCSI_WRITE_SAME_16] = { scsi_write_same, false },
	[SCSI_SERVICE_ACTION_IN_16] = { scsi_service_action_in, false },
	[SCSI_REPORT_LUNS] = { report_luns, true },
	[SCSI_READ_12] = { scsi_read, false },
	[SCSI_WRITE_12] = { scsi_write, false },
	[SCSI_WRITE_AND_VERIFY_12] = { scsi_write_and_verify, false },
	[SCSI_VERIFY_12] = { scsi_verify, false },
};

/* By the upper three bits of the operation code (SPC-4, 4.2.5.1). */
static unsigned int cdb_size(uint8_t opcode)
{
	static const uint8_t sizes[8] = { 6, 10, 10, 0, 16, 12, 0, 0 };

	return sizes[opcode >> 5];
}

static bool execute(struct scsi_task *task)
{
	const struct command *command = &commands[task->cdb[0]];

	if (!task->nexus && (!command->execute || !command->anywhere))
		return scsi_end(task, SCSI_NO_LUN);
	if (!command->execute)
		return scsi_refuse(task, SCSI_ASC_INVALID_OPCODE);
	if (!command->anywhere && take_attention(task))
		return scsi_check(task, SCSI_UNIT_ATTENTION,
				  SCSI_ASC_CAPACITY_CHANGED);
	if (task->cdb_size < cdb_size(task->cdb[0]))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	return command->execute(task);
}

static void reset(struct scsi_task *task)
{
	task->good_bytes = 0;
	task->flags = 0;
	task->in_flight = 0;
	task->disk_status = DISK_OK;
	task->pattern = SCSI_PATTERN_NONE;
	task->flush_after = false;
	task->nr_extents = 0;
	task->blocks = 0;
	task->range = 0;
	task->range_offset = 0;
	task->bounce = NULL;
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
