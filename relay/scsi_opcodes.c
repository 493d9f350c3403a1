/* SPDX-License-Identifier: MIT */
/*
 * The table of commands, theory of operation
 *
 * One row for each operation code, or for each service action of one that has
 * them: who carries it out, on what kind of unit, under which conditions, and
 * which bits of the CDB matter. Nobody else decides whether a command exists,
 * so that REPORT SUPPORTED OPERATION CODES (SPC-4, 6.35), made from the same
 * rows, cannot say anything else than what happens.
 *
 * A bit that is 0 in `usage` is never looked at. A bit that is 1 is: it has an
 * effect, or it is refused.
 *
 * Threads: none, all is constant. Failure answers: a command that is asked
 * for in a way that does not fit it (with a service action or without) is
 * INVALID FIELD IN CDB.
 */
#include <string.h>

#include "scsi_command.h"
#include "scsi_mmc_reg.h"

#define MASK_16 0xff, 0xff
#define MASK_32 MASK_16, MASK_16
#define MASK_64 MASK_32, MASK_32
#define ACTION SCSI_SERVICE_ACTION_MASK
/* READ and WRITE: protection, DPO, FUA. VERIFY: protection, DPO, BYTCHK. WRITE
 * SAME: protection, ANCHOR, UNMAP. */
#define FLAGS_DATA 0xf8
#define FLAGS_VERIFY 0xf6
#define FLAGS_SAME 0xf8
/* LBA and length. */
#define RANGE_6 0x1f, MASK_16, 0xff
#define RANGE_10(flags) flags, MASK_32, 0, MASK_16
#define RANGE_12(flags) flags, MASK_32, MASK_32
#define RANGE_16(flags) flags, MASK_64, MASK_32

#define ANYWHERE (SCSI_OF_BOTH | SCSI_WITHOUT_UNIT | SCSI_DESPITE_ATTENTION)
#define MEDIUM (SCSI_OF_BOTH | SCSI_NEEDS_MEDIUM)
#define DISK SCSI_OF_DISK
#define BOTH SCSI_OF_BOTH
#define DVD SCSI_OF_DVD

static const struct scsi_command service_action_in[] = {
	{ scsi_read_capacity_16, NULL, SCSI_READ_CAPACITY_16, DISK, NULL,
	  { ACTION, 0, 0, 0, 0, 0, 0, 0, 0, MASK_32 } },
	{ 0 }
};

static const struct scsi_command maintenance_in[] = {
	{ scsi_report_operation_codes, NULL, SCSI_REPORT_OPERATION_CODES, BOTH,
	  NULL, { ACTION, SCSI_REPORT_RCTD | SCSI_REPORT_OPTIONS_MASK, 0xff,
		  MASK_16, MASK_32 } },
	{ 0 }
};

#define RESERVE_IN(action) \
	{ scsi_reserve_in, NULL, action, DISK, scsi_can_reserve, \
	  { ACTION, 0, 0, 0, 0, 0, MASK_16 } }
static const struct scsi_command reserve_in[] = {
	RESERVE_IN(SCSI_READ_KEYS),
	RESERVE_IN(SCSI_READ_RESERVATION),
	RESERVE_IN(SCSI_REPORT_CAPABILITIES),
	RESERVE_IN(SCSI_READ_FULL_STATUS),
	{ 0 }
};

#define RESERVE_OUT(action, type) \
	{ scsi_reserve_out, NULL, action, DISK, scsi_can_reserve, \
	  { ACTION, type, 0, 0, MASK_32 } }
static const struct scsi_command reserve_out[] = {
	RESERVE_OUT(SCSI_REGISTER, 0),
	RESERVE_OUT(SCSI_RESERVE, 0xff),
	RESERVE_OUT(SCSI_RELEASE, 0xff),
	RESERVE_OUT(SCSI_CLEAR, 0),
	RESERVE_OUT(SCSI_PREEMPT, 0xff),
	RESERVE_OUT(SCSI_PREEMPT_AND_ABORT, 0xff),
	RESERVE_OUT(SCSI_REGISTER_AND_IGNORE, 0),
	{ 0 }
};

static const struct scsi_command commands[256] = {
	[SCSI_TEST_UNIT_READY] = { scsi_test_unit_ready, NULL, 0, MEDIUM, NULL,
				   { 0 } },
	[SCSI_REQUEST_SENSE] = { scsi_request_sense, NULL, 0, ANYWHERE, NULL,
				 { SCSI_CDB_DESC, 0, 0, 0xff } },
	[SCSI_READ_6] = { scsi_read, NULL, 0, DISK, NULL, { RANGE_6 } },
	[SCSI_WRITE_6] = { scsi_write, NULL, 0, DISK, NULL, { RANGE_6 } },
	[SCSI_INQUIRY] = { scsi_inquiry, NULL, 0, ANYWHERE, NULL,
			   { SCSI_CDB_EVPD, 0xff, MASK_16 } },
	[SCSI_MODE_SELECT_6] = { scsi_mode_select_6, NULL, 0, BOTH, NULL,
				 { SCSI_CDB_MODE_PF | SCSI_CDB_MODE_SP, 0, 0,
				   0xff } },
	[SCSI_MODE_SENSE_6] = { scsi_mode_sense_6, NULL, 0, BOTH, NULL,
				{ SCSI_CDB_MODE_DBD, 0xff, 0xff, 0xff } },
	[SCSI_START_STOP_UNIT] = { scsi_start_stop_unit, NULL, 0, BOTH, NULL,
				   { 0, 0, 0, SCSI_CDB_POWER_MASK |
				     SCSI_CDB_NO_FLUSH | SCSI_CDB_LOEJ |
				     SCSI_CDB_START } },
	[SCSI_SEND_DIAGNOSTIC] = { scsi_send_diagnostic, NULL, 0, BOTH, NULL,
				   { SCSI_CDB_SELF_TEST_CODE |
				     SCSI_CDB_SELF_TEST, 0, MASK_16 } },
	[MMC_PREVENT_ALLOW_MEDIUM_REMOVAL] = { scsi_prevent_allow, NULL, 0,
					       DVD, NULL,
					       { 0, 0, 0, MMC_CDB_PREVENT |
						 MMC_CDB_PERSISTENT } },
	[SCSI_READ_CAPACITY_10] = { scsi_read_capacity_10, NULL, 0, MEDIUM,
				    NULL, { 0 } },
	[SCSI_READ_10] = { scsi_read, NULL, 0, MEDIUM, NULL,
			   { RANGE_10(FLAGS_DATA) } },
	[SCSI_WRITE_10] = { scsi_write, NULL, 0, DISK, NULL,
			    { RANGE_10(FLAGS_DATA) } },
	[SCSI_WRITE_AND_VERIFY_10] = { scsi_write_and_verify, NULL, 0, DISK,
				       NULL, { RANGE_10(FLAGS_VERIFY) } },
	[SCSI_VERIFY_10] = { scsi_verify, NULL, 0, DISK, NULL,
			     { RANGE_10(FLAGS_VERIFY) } },
	[SCSI_SYNCHRONIZE_CACHE_10] = { scsi_synchronize_cache, NULL, 0, DISK,
					NULL, { RANGE_10(0) } },
	[SCSI_WRITE_SAME_10] = { scsi_write_same, NULL, 0, DISK, NULL,
				 { RANGE_10(FLAGS_SAME) } },
	[SCSI_UNMAP] = { scsi_unmap, NULL, 0, DISK, scsi_can_unmap,
			 { SCSI_CDB_ANCHOR, 0, 0, 0, 0, 0, MASK_16 } },
	[MMC_READ_TOC] = { scsi_read_toc, NULL, 0, DVD | SCSI_NEEDS_MEDIUM,
			   NULL, { MMC_CDB_MSF, MMC_CDB_TOC_FORMAT_MASK, 0, 0,
				   0, 0xff, MASK_16, 0xc0 } },
	[MMC_GET_CONFIGURATION] = { scsi_get_configuration, NULL, 0,
				    DVD | SCSI_DESPITE_ATTENTION, NULL,
				    { MMC_CDB_FEATURES_MASK, MASK_16, 0, 0, 0,
				      MASK_16 } },
	[MMC_GET_EVENT_STATUS] = { scsi_get_event_status, NULL, 0,
				   DVD | SCSI_DESPITE_ATTENTION, NULL,
				   { MMC_CDB_POLLED, 0, 0, 0xff, 0, 0,
				     MASK_16 } },
	[MMC_READ_DISC_INFORMATION] = { scsi_read_disc_information, NULL, 0,
					DVD | SCSI_NEEDS_MEDIUM, NULL,
					{ MMC_CDB_DISC_INFORMATION_MASK, 0, 0,
					  0, 0, 0, MASK_16 } },
	[SCSI_MODE_SELECT_10] = { scsi_mode_select_10, NULL, 0, BOTH, NULL,
				  { SCSI_CDB_MODE_PF | SCSI_CDB_MODE_SP, 0, 0,
				    0, 0, 0, MASK_16 } },
	[SCSI_MODE_SENSE_10] = { scsi_mode_sense_10, NULL, 0, BOTH, NULL,
				 { SCSI_CDB_MODE_LLBAA | SCSI_CDB_MODE_DBD,
				   0xff, 0xff, 0, 0, 0, MASK_16 } },
	[SCSI_PERSISTENT_RESERVE_IN] = { .actions = reserve_in },
	[SCSI_PERSISTENT_RESERVE_OUT] = { .actions = reserve_out },
	[SCSI_READ_16] = { scsi_read, NULL, 0, DISK, NULL,
			   { RANGE_16(FLAGS_DATA) } },
	[SCSI_WRITE_16] = { scsi_write, NULL, 0, DISK, NULL,
			    { RANGE_16(FLAGS_DATA) } },
	[SCSI_WRITE_AND_VERIFY_16] = { scsi_write_and_verify, NULL, 0, DISK,
				       NULL, { RANGE_16(FLAGS_VERIFY) } },
	[SCSI_VERIFY_16] = { scsi_verify, NULL, 0, DISK, NULL,
			     { RANGE_16(FLAGS_VERIFY) } },
	[SCSI_SYNCHRONIZE_CACHE_16] = { scsi_synchronize_cache, NULL, 0, DISK,
					NULL, { RANGE_16(0) } },
	[SCSI_WRITE_SAME_16] = { scsi_write_same, NULL, 0, DISK, NULL,
				 { RANGE_16(FLAGS_SAME | SCSI_CDB_NDOB) } },
	[SCSI_SERVICE_ACTION_IN_16] = { .actions = service_action_in },
	[SCSI_REPORT_LUNS] = { scsi_report_luns, NULL, 0, ANYWHERE, NULL,
			       { 0, 0xff, 0, 0, 0, MASK_32 } },
	[SCSI_MAINTENANCE_IN] = { .actions = maintenance_in },
	[SCSI_READ_12] = { scsi_read, NULL, 0, MEDIUM, NULL,
			   { RANGE_12(FLAGS_DATA) } },
	[SCSI_WRITE_12] = { scsi_write, NULL, 0, DISK, NULL,
			    { RANGE_12(FLAGS_DATA) } },
	[MMC_READ_DVD_STRUCTURE] = { scsi_read_dvd_structure, NULL, 0,
				     DVD | SCSI_NEEDS_MEDIUM, NULL,
				     { 0x0f, 0, 0, 0, 0, 0xff, 0xff,
				       MASK_16 } },
	[SCSI_WRITE_AND_VERIFY_12] = { scsi_write_and_verify, NULL, 0, DISK,
				       NULL, { RANGE_12(FLAGS_VERIFY) } },
	[SCSI_VERIFY_12] = { scsi_verify, NULL, 0, DISK, NULL,
			     { RANGE_12(FLAGS_VERIFY) } },
	[MMC_MECHANISM_STATUS] = { scsi_mechanism_status, NULL, 0, DVD, NULL,
				   { 0, 0, 0, 0, 0, 0, 0, MASK_16 } },
};

unsigned int scsi_cdb_size(uint8_t opcode)
{
	static const uint8_t sizes[8] = { 6, 10, 10, 0, 16, 12, 0, 0 };

	return sizes[opcode >> 5];
}

static bool offers(const struct scsi_lun *lun,
		   const struct scsi_command *command)
{
	if (!command->execute)
		return false;
	if (!lun)
		return true;
	return command->flags & (lun->dvd ? SCSI_OF_DVD : SCSI_OF_DISK) &&
	       (!command->offered || command->offered(lun));
}

const struct scsi_command *scsi_find(const struct scsi_lun *lun,
				     const uint8_t *cdb, bool *known)
{
	const struct scsi_command *command = &commands[cdb[0]];
	uint8_t action = cdb[1] & SCSI_SERVICE_ACTION_MASK;

	*known = false;
	if (!command->actions)
		return offers(lun, command) ? command : NULL;
	for (command = command->actions; command->execute; command++) {
		if (!offers(lun, command))
			continue;
		*known = true;
		if (command->action == action)
			return command;
	}
	return NULL;
}

/* REPORT SUPPORTED OPERATION CODES. */

/* No command takes more than the disk does, of which nothing is known here. */
static uint8_t *put_timeouts(uint8_t *to)
{
	struct scsi_command_timeouts timeouts = { 0 };

	scsi_put16(timeouts.size,
		   sizeof(timeouts) - sizeof(timeouts.size));
	memcpy(to, &timeouts, sizeof(timeouts));
	return to + sizeof(timeouts);
}

static uint8_t *put_command(uint8_t *to, uint8_t opcode,
			    const struct scsi_command *command, bool timeouts)
{
	struct scsi_command_descriptor descriptor = { .opcode = opcode };

	scsi_put16(descriptor.action, command->action);
	scsi_put16(descriptor.cdb_size, (uint16_t)scsi_cdb_size(opcode));
	if (commands[opcode].actions)
		descriptor.flags |= SCSI_COMMAND_HAS_ACTION;
	if (timeouts)
		descriptor.flags |= SCSI_COMMAND_CTDP;
	memcpy(to, &descriptor, sizeof(descriptor));
	to += sizeof(descriptor);
	return timeouts ? put_timeouts(to) : to;
}

/* Room for every row, with timeouts. */
#define MAX_ROWS 100
#define ROW_SIZE (sizeof(struct scsi_command_descriptor) + \
		  sizeof(struct scsi_command_timeouts))

static bool report_all(struct scsi_task *task, bool timeouts)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint8_t data[4 + MAX_ROWS * ROW_SIZE];
	uint8_t *to = data + 4;
	const uint8_t *last = data + sizeof(data) - ROW_SIZE;

	for (unsigned int i = 0; i < 256 && to <= last; i++) {
		const struct scsi_command *command = &commands[i];

		if (!command->actions) {
			if (offers(lun, command))
				to = put_command(to, (uint8_t)i, command,
						 timeouts);
			continue;
		}
		for (command = command->actions;
		     command->execute && to <= last; command++)
			if (offers(lun, command))
				to = put_command(to, (uint8_t)i, command,
						 timeouts);
	}
	scsi_put32(data, (uint32_t)(to - data - 4));
	return scsi_return(task, data, (uint32_t)(to - data),
			   scsi_get32(task->cdb + 6));
}

/* `command` NULL: there is no such. */
static bool report_one(struct scsi_task *task, uint8_t opcode,
		       const struct scsi_command *command, bool timeouts)
{
	uint8_t data[sizeof(struct scsi_one_command) +
		     sizeof(struct scsi_command_timeouts)] = { 0 };
	struct scsi_one_command one = { .support = SCSI_SUPPORT_NONE };
	unsigned int cdb_size = scsi_cdb_size(opcode);
	uint8_t *to = data + offsetof(struct scsi_one_command, usage);

	if (command) {
		one.support = SCSI_SUPPORT_STANDARD;
		if (timeouts)
			one.support |= SCSI_SUPPORT_CTDP;
		scsi_put16(one.cdb_size, (uint16_t)cdb_size);
		one.usage[0] = opcode;
		memcpy(one.usage + 1, command->usage, sizeof(command->usage));
		/* Of these bits the report has the value (SPC-4, 6.35.3). */
		if (commands[opcode].actions)
			one.usage[1] = (uint8_t)
				((one.usage[1] & ~SCSI_SERVICE_ACTION_MASK) |
				 command->action);
		to += cdb_size;
	}
	memcpy(data, &one, sizeof(one));
	if (command && timeouts)
		to = put_timeouts(to);
	return scsi_return(task, data, (uint32_t)(to - data),
			   scsi_get32(task->cdb + 6));
}

bool scsi_report_operation_codes(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint8_t options = task->cdb[2] & SCSI_REPORT_OPTIONS_MASK;
	bool timeouts = task->cdb[2] & SCSI_REPORT_RCTD, known;
	uint8_t cdb[2] = { task->cdb[3] };
	uint16_t action = scsi_get16(task->cdb + 4);
	const struct scsi_command *command;

	if (options == SCSI_REPORT_ALL)
		return report_all(task, timeouts);
	if (options > SCSI_REPORT_EITHER)
		return scsi_refuse_cdb(task, 2, 2);
	cdb[1] = (uint8_t)(action & SCSI_SERVICE_ACTION_MASK);
	command = scsi_find(lun, cdb, &known);
	if (known ? options == SCSI_REPORT_OPCODE :
		    options == SCSI_REPORT_ACTION && command)
		return scsi_refuse_cdb(task, 2, 2);
	if (action > (known ? SCSI_SERVICE_ACTION_MASK :
			      options == SCSI_REPORT_EITHER ? 0 : UINT16_MAX))
		command = NULL;
	return report_one(task, cdb[0], command, timeouts);
}
