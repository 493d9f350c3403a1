/* SPDX-License-Identifier: MIT */
/*
 * The data of requests that go to the kernel through a reactor's ring: what
 * the backends of this module have in common.
 */
#ifndef NVME_TRANSFER_H
#define NVME_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <pv/disk.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>

#define TRANSFER_OWN_PIECES 12

/* Of one queue; its reactor's thread only. */
struct transfer_pool {
	struct guest_memory *memory;
	struct reactor *reactor;
	const struct disk_info *info; /* all but `blocks` */
	/* Scatter lists too long for a request's own words, and buffers for
	 * data that can not go directly. Used as stacks. */
	struct iovec *lists, **free_list;
	uint8_t *buffers, **free_buffer;
	unsigned int nr_free_lists, nr_free_buffers;
};

enum transfer_way {
	TRANSFER_NONE,
	TRANSFER_DIRECT,  /* device and guest's pages, each under a hold */
	TRANSFER_BUFFER,  /* the caller's memory */
	TRANSFER_COPIED,  /* by way of a buffer of the pool */
	TRANSFER_SCRATCH, /* a buffer of the pool, not the guest's data */
};

/* All zero: nothing is held. Lives in a request's own words. */
struct transfer {
	struct iovec *iov; /* own[], or a list of the pool */
	uint16_t nr;
	int16_t buffer; /* registered, or -1 */
	uint8_t way;	/* enum transfer_way */
	struct iovec own[TRANSFER_OWN_PIECES];
};

/* 0 or -ENOMEM. `info` and `memory` outlive the pool. */
int transfer_pool_open(struct transfer_pool *pool, struct guest_memory *memory,
		       struct reactor *r, const struct disk_info *info);
void transfer_pool_close(struct transfer_pool *pool);

bool transfer_has_data(const struct disk_request *req);

/* What a request must be like, on a disk of `blocks`; DISK_OK if it is. */
enum disk_status transfer_check(const struct disk_info *info, uint64_t blocks,
				const struct disk_request *req);

/*
 * Makes iov and buffer of a request that has data; `copy`: not directly, even
 * if that were possible. 0; -EAGAIN: nothing free, try later; -EFAULT: there
 * is no such guest memory.
 */
int transfer_prepare(struct transfer_pool *pool, struct transfer *transfer,
		     struct disk_request *req, bool copy);
/* A buffer of at least a page, not for the guest. 0 or -EAGAIN. */
int transfer_scratch(struct transfer_pool *pool, struct transfer *transfer,
		     uint32_t bytes);

/* After a good read: what was copied goes to the guest. 0 or -EFAULT. */
int transfer_deliver(struct transfer_pool *pool, struct transfer *transfer,
		     const struct disk_request *req);
/* Gives back what transfer_prepare() took. */
void transfer_release(struct transfer_pool *pool, struct transfer *transfer);

#endif
