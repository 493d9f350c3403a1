/* SPDX-License-Identifier: MIT */
/*
 * Between the files that carry out SCSI commands.
 *
 * A command is a function; true: it is finished, the result stands in the
 * task. False: the disk is working on it, and the transfer will finish it.
 * The functions that set a result return true, for `return scsi_check(...)`.
 */
#ifndef RELAY_SCSI_COMMAND_H
#define RELAY_SCSI_COMMAND_H

#include "scsi.h"

typedef bool scsi_command_fn(struct scsi_task *task);

/* A row of the table of commands, see scsi_opcodes.c. */
struct scsi_command {
	scsi_command_fn *execute; /* NULL: no such command, or `actions` */
	const struct scsi_command *actions; /* by service action; NULL ends */
	uint8_t action;
	uint8_t flags;
	bool (*offered)(const struct scsi_lun *lun); /* NULL: always */
	uint8_t usage[SCSI_CDB_SIZE - 1]; /* bits that matter, from byte 1 */
};
#define SCSI_OF_DISK (1u << 0)
#define SCSI_OF_DVD (1u << 1)
#define SCSI_OF_BOTH (SCSI_OF_DISK | SCSI_OF_DVD)
#define SCSI_WITHOUT_UNIT (1u << 2)	 /* also where no unit is */
#define SCSI_DESPITE_ATTENTION (1u << 3) /* what is to be told has to wait */
#define SCSI_NEEDS_MEDIUM (1u << 4)

/* scsi_opcodes.c. What `lun` (NULL: none) would do about a CDB. NULL: nothing;
 * then *known says whether it would with another service action. */
const struct scsi_command *scsi_find(const struct scsi_lun *lun,
				     const uint8_t *cdb, bool *known);
/* By the upper three bits of the operation code (SPC-4, 4.2.5.1). */
unsigned int scsi_cdb_size(uint8_t opcode);

/* scsi.c: results. */
bool scsi_good(struct scsi_task *task);
bool scsi_check(struct scsi_task *task, uint8_t key, uint16_t asc);
bool scsi_refuse(struct scsi_task *task, uint16_t asc); /* ILLEGAL REQUEST */
/* ... INVALID FIELD, and which: its byte, and the leftmost of its bits. */
bool scsi_refuse_cdb(struct scsi_task *task, unsigned int byte,
		     unsigned int bit);
bool scsi_refuse_list(struct scsi_task *task, unsigned int byte,
		      unsigned int bit);
bool scsi_end(struct scsi_task *task, enum scsi_outcome outcome);
bool scsi_conflict(struct scsi_task *task); /* RESERVATION CONFLICT */
/* What a disk's status is in SCSI. */
bool scsi_disk_result(struct scsi_task *task, enum disk_status status);
/* GOOD with `size` bytes of parameter data, cut to what the CDB allows. */
bool scsi_return(struct scsi_task *task, const void *data, uint32_t size,
		 uint32_t allocation_size);
/* Copies `size` bytes of the client's buffer; false: the result is set. */
bool scsi_fetch(struct scsi_task *task, void *data, uint32_t size);

/* scsi.c: commands. */
scsi_command_fn scsi_test_unit_ready, scsi_request_sense;
scsi_command_fn scsi_send_diagnostic, scsi_report_luns;

/* scsi_opcodes.c */
scsi_command_fn scsi_report_operation_codes;

/* scsi_lun.c. Any thread. */
void scsi_attend(struct scsi_lun *lun, enum scsi_attention what);

/* scsi_inquiry.c */
scsi_command_fn scsi_inquiry;
/* The name that VPD page 83h gives. */
void scsi_name(struct scsi_lun *lun, const struct guid *otherwise);

/* scsi_mode.c */
scsi_command_fn scsi_mode_sense_6, scsi_mode_sense_10;
scsi_command_fn scsi_mode_select_6, scsi_mode_select_10;

/* scsi_block.c */
scsi_command_fn scsi_read, scsi_write, scsi_synchronize_cache;
scsi_command_fn scsi_verify, scsi_write_and_verify;
scsi_command_fn scsi_read_capacity_10, scsi_read_capacity_16;
scsi_command_fn scsi_start_stop_unit;

struct scsi_range {
	uint64_t lba;
	uint32_t blocks;
};

/* These return false when they have set the result: */
/* The range of the CDB is in *range, and on the unit. */
bool scsi_in_range(struct scsi_task *task, struct scsi_range *range);
bool scsi_writable(struct scsi_task *task);
/* What must become durable before it is acknowledged. */
bool scsi_write_through(const struct scsi_task *task, bool fua);

/* scsi_provision.c */
scsi_command_fn scsi_write_same, scsi_unmap;
bool scsi_can_unmap(const struct scsi_lun *lun);
/* Blocks are thinly provisioned; unmapped ones read as zeroes. */
bool scsi_thin(const struct scsi_lun *lun);
bool scsi_reads_zeroes(const struct scsi_lun *lun);

/* scsi_reserve.c */
scsi_command_fn scsi_reserve_in, scsi_reserve_out;
bool scsi_can_reserve(const struct scsi_lun *lun);

/* scsi_mmc.c, scsi_tray.c: of a DVD drive. */
scsi_command_fn scsi_read_toc, scsi_get_configuration;
scsi_command_fn scsi_read_disc_information, scsi_read_dvd_structure;
scsi_command_fn scsi_get_event_status, scsi_mechanism_status;
scsi_command_fn scsi_prevent_allow, scsi_load_eject;
/* False: the result is set, there is no disc. */
bool scsi_medium_present(struct scsi_task *task);

/*
 * scsi_transfer.c. Each sets the disk to work; the addresses have been checked.
 */
/* All of the client's buffer, or its first blocks. `flags`: DISK_FUA. */
bool scsi_transfer_data(struct scsi_task *task, enum disk_op op, uint8_t flags,
			uint64_t lba, uint32_t blocks);
bool scsi_transfer_flush(struct scsi_task *task);
bool scsi_transfer_verify(struct scsi_task *task, uint64_t lba,
			  uint32_t blocks);
/* Blocks against the client's buffer, or against its first block each. */
bool scsi_transfer_compare(struct scsi_task *task, bool one_block,
			   uint64_t lba, uint32_t blocks);
/* DISK_WRITE_ZEROES over one run of blocks. `flags`: DISK_UNMAP. */
bool scsi_transfer_zeroes(struct scsi_task *task, uint8_t flags, uint64_t lba,
			  uint32_t blocks);
/* One block written over a run of blocks. */
bool scsi_transfer_pattern(struct scsi_task *task, enum scsi_pattern pattern,
			   uint64_t lba, uint32_t blocks);
/* DISK_DISCARD of the first `nr` of task->extent[]. */
bool scsi_transfer_discard(struct scsi_task *task, unsigned int nr);
/* DISK_RESERVATION with task->reservation. */
bool scsi_transfer_reservation(struct scsi_task *task,
			       bool (*ended)(struct scsi_task *task,
					     enum disk_status status));
/* A task that waited for a bounce buffer has one. */
void scsi_transfer_go_on(struct scsi_task *task);

/* scsi_bounce.c. */
/* The buffer of a nexus' own: 0 or -ENOMEM. */
int scsi_bounce_open_own(struct scsi_nexus *nexus);
void scsi_bounce_close_own(struct scsi_nexus *nexus);
/* True: task->bounce is a buffer. False: scsi_transfer_go_on() will be called
 * when there is one. */
bool scsi_bounce_get(struct scsi_task *task);
void scsi_bounce_put(struct scsi_task *task);
/* Moves the cursor over the client's buffer. */
void scsi_skip(struct scsi_task *task, uint32_t bytes);
/* Copies between the buffer, from `offset` on, and what is at the cursor; moves
 * the cursor. */
void scsi_bounce_copy(struct scsi_task *task, uint32_t offset, uint32_t bytes);
/* The first blocks of the buffer are what task->judgement compares them with;
 * moves the cursor. */
bool scsi_bounce_equal(struct scsi_task *task, uint32_t bytes);

#endif
