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

struct io_uring_sqe;

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

/* Read (02h) and Write (01h): NVM Command Set Specification 1.0, 3.2.4 and
 * 3.2.6. 1 <= blocks <= 65536. `fua` for writes only. */
void command_transfer(struct io_uring_sqe *sqe,
		      const struct command_target *target, bool write,
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

/* Write Zeroes (08h): NVM Command Set 3.2.8. 1 <= blocks <= 65536. */
void command_zeroes(struct io_uring_sqe *sqe,
		    const struct command_target *target, uint64_t lba,
		    uint32_t blocks);

#endif
