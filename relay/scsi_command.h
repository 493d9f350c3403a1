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

/* scsi.c: results. */
bool scsi_good(struct scsi_task *task);
bool scsi_check(struct scsi_task *task, uint8_t key, uint16_t asc);
bool scsi_refuse(struct scsi_task *task, uint16_t asc); /* ILLEGAL REQUEST */
bool scsi_end(struct scsi_task *task, enum scsi_outcome outcome);
/* GOOD with `size` bytes of parameter data, cut to what the CDB allows. */
bool scsi_return(struct scsi_task *task, const void *data, uint32_t size,
		 uint32_t allocation_size);
/* Copies `size` bytes of the client's buffer; false: the result is set. */
bool scsi_fetch(struct scsi_task *task, void *data, uint32_t size);

/* scsi_inquiry.c */
scsi_command_fn scsi_inquiry;
/* The name that VPD page 83h gives. */
void scsi_name(struct scsi_lun *lun);

/* scsi_mode.c */
scsi_command_fn scsi_mode_sense_6, scsi_mode_sense_10;
scsi_command_fn scsi_mode_select_6, scsi_mode_select_10;

/* scsi_block.c */
scsi_command_fn scsi_read, scsi_write, scsi_verify, scsi_write_and_verify;
scsi_command_fn scsi_synchronize_cache, scsi_write_same, scsi_unmap;
scsi_command_fn scsi_read_capacity_10, scsi_service_action_in;
scsi_command_fn scsi_start_stop_unit;

/*
 * scsi_transfer.c. Each sets the disk to work; the addresses have been checked.
 */
/* All of the client's buffer, or its first blocks. `flags`: DISK_FUA. */
bool scsi_transfer_data(struct scsi_task *task, enum disk_op op, uint8_t flags,
			uint64_t lba, uint32_t blocks);
bool scsi_transfer_flush(struct scsi_task *task);
/* DISK_WRITE_ZEROES over one run of blocks. */
bool scsi_transfer_zeroes(struct scsi_task *task, uint64_t lba,
			  uint32_t blocks);
/* One block written over a run of blocks. */
bool scsi_transfer_pattern(struct scsi_task *task, enum scsi_pattern pattern,
			   uint64_t lba, uint32_t blocks);
/* DISK_DISCARD of the first `nr` of task->extent[]. */
bool scsi_transfer_discard(struct scsi_task *task, unsigned int nr);

#endif
