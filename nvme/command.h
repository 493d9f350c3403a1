/* SPDX-License-Identifier: MIT */
/*
 * NVM commands as io_uring passthrough carries them. Pure functions.
 */
#ifndef NVME_COMMAND_H
#define NVME_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <nvme/types.h>

#include <pv/disk.h>

struct io_uring_sqe;
struct reservation_command;

/* Where the data of a command are. */
struct command_data {
	const struct iovec *iov; /* alive until the command completed */
	unsigned int nr;	 /* 0: no data */
	int buffer; /* registered buffer that holds all of iov, or < 0 */
};

struct command_target {
	int fd; /* generic character device of the namespace */
	uint32_t nsid;
};

/* Read (02h), Write (01h) and Compare (05h) for DISK_READ, DISK_WRITE and
 * DISK_COMPARE: NVM Command Set Specification 1.0, 3.2.4, 3.2.6 and 3.2.1.
 * 1 <= blocks <= 65536. `fua` for writes only. */
void command_transfer(struct io_uring_sqe *sqe,
		      const struct command_target *target, enum disk_op op,
		      bool fua, uint64_t lba, uint32_t blocks,
		      const struct command_data *data);

/* Flush (00h): Base Specification 2.0, 7.1. */
void command_flush(struct io_uring_sqe *sqe,
		   const struct command_target *target);

/* Dataset Management (09h), deallocate one range: NVM Command Set 3.2.3.
 * `range` is alive until the command completed. */
void command_discard(struct io_uring_sqe *sqe,
		     const struct command_target *target,
		     struct nvme_dsm_range *range, uint64_t lba,
		     uint32_t blocks);

/* Write Zeroes (08h): NVM Command Set 3.2.8. 1 <= blocks <= 65536. `unmap`:
 * the blocks may be deallocated. */
void command_zeroes(struct io_uring_sqe *sqe,
		    const struct command_target *target, uint64_t lba,
		    uint32_t blocks, bool unmap);

/* Verify (0Ch): NVM Command Set 3.2.5. 1 <= blocks <= 65536. */
void command_verify(struct io_uring_sqe *sqe,
		    const struct command_target *target, uint64_t lba,
		    uint32_t blocks);

/* Reservation Register, Acquire, Release or Report: see reservation.h.
 * `data`, of command->bytes, is alive until the command completed. */
void command_reservation(struct io_uring_sqe *sqe,
			 const struct command_target *target,
			 const struct reservation_command *command,
			 void *data);

/* Set Features (09h), Host Identifier of 128 bits: Base Specification 2.0,
 * 5.27.1.25. `fd`: the controller's device; `id` is alive until the command
 * completed. */
void command_host_id(struct io_uring_sqe *sqe, int fd, uint8_t id[16]);

#endif
