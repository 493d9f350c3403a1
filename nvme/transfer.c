/* SPDX-License-Identifier: MIT */
/*
 * Transfer, theory of operation
 *
 * Data go one of three ways:
 *
 *	direct   the pieces lie in one registered buffer: the device gets the
 *	         guest's pages, each under a hold
 *	buffer   the caller brought memory of ours
 *	copied   registration or the self-test failed, or the pieces lie in
 *	         two ranges of guest RAM: by way of a buffer of the pool
 *
 * Threads: a pool and what is taken from it belong to one reactor.
 *
 * Failure answers: what is not free now is -EAGAIN and nothing is held; guest
 * memory that is none is seen at the latest when it would be used.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <pv/log.h>
#include <pv/uring.h>

#include "reservation.h"
#include "transfer.h"

#define LISTS 8
#define BUFFERS 4

bool transfer_has_data(const struct disk_request *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE ||
	       req->op == DISK_COMPARE;
}

/* What is asked of the disk, whatever the blocks. */
static enum disk_status check_op(const struct disk_info *info,
				 const struct disk_request *req)
{
	bool can = true, changes = false;
	uint8_t flags = 0;

	switch (req->op) {
	case DISK_READ:
	case DISK_FLUSH:
		break;
	case DISK_WRITE:
		changes = true;
		flags = info->fua ? DISK_FUA : 0;
		break;
	case DISK_DISCARD:
		changes = true;
		can = info->discard_granularity;
		break;
	case DISK_WRITE_ZEROES:
		changes = true;
		can = info->write_zeroes;
		flags = info->write_zeroes_unmap ? DISK_UNMAP : 0;
		break;
	case DISK_COMPARE:
		can = info->compare;
		break;
	case DISK_VERIFY:
		can = info->verify;
		break;
	case DISK_RESERVATION:
		can = info->reservation_types;
		break;
	default:
		return DISK_INVALID;
	}
	if (changes && info->read_only)
		return DISK_READ_ONLY;
	if (!can)
		return DISK_UNSUPPORTED;
	return req->flags & ~flags ? DISK_INVALID : DISK_OK;
}

static bool ranges_good(const struct disk_info *info,
			const struct disk_request *req, uint64_t bytes)
{
	const struct gpa_range *r = req->ranges;
	uint64_t sum = 0;

	if (!req->nr_ranges || req->nr_ranges > info->max_ranges)
		return false;
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		if (r[i].gpa & (info->range_alignment - 1) || !r[i].len)
			return false;
		if (i && (r[i].gpa | (r[i - 1].gpa + r[i - 1].len)) &
				 info->gap_mask)
			return false;
		sum += r[i].len;
	}
	return sum == bytes;
}

enum disk_status transfer_check(const struct disk_info *info, uint64_t blocks,
				const struct disk_request *req)
{
	uint64_t bytes = (uint64_t)req->blocks * info->block_size;
	enum disk_status status = check_op(info, req);

	if (status != DISK_OK || req->op == DISK_FLUSH)
		return status;
	if (req->op == DISK_RESERVATION)
		return reservation_check(info, req->reservation);
	if (req->lba > blocks || req->blocks > blocks - req->lba)
		return DISK_OUT_OF_RANGE;
	if (!transfer_has_data(req))
		return req->nr_ranges || req->buffer ? DISK_INVALID : DISK_OK;
	if (!req->blocks || bytes > info->max_transfer)
		return DISK_INVALID;
	if (req->buffer)
		return req->nr_ranges ? DISK_INVALID : DISK_OK;
	return ranges_good(info, req, bytes) ? DISK_OK : DISK_INVALID;
}

static void drop_holds(struct transfer_pool *pool, struct transfer *transfer,
		       unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct guest_hold hold = {
			.va = (__guest_force void __guest *)
				transfer->iov[i].iov_base,
			.len = (uint32_t)transfer->iov[i].iov_len,
		};

		guest_memory_drop(pool->memory, &hold);
	}
}

static void put_list(struct transfer_pool *pool, struct transfer *transfer)
{
	if (transfer->iov && transfer->iov != transfer->own)
		pool->free_list[pool->nr_free_lists++] = transfer->iov;
	transfer->iov = NULL;
}

/* Holds the guest's pages. 0; -EAGAIN: no list free; -EFAULT: not directly. */
static int prepare_direct(struct transfer_pool *pool,
			  struct transfer *transfer,
			  const struct disk_request *req)
{
	struct guest_hold hold;
	unsigned int i;
	int buffer = 0;

	transfer->iov = transfer->own;
	if (req->nr_ranges > TRANSFER_OWN_PIECES) {
		if (!pool->nr_free_lists)
			return -EAGAIN;
		transfer->iov = pool->free_list[--pool->nr_free_lists];
	}
	for (i = 0; i < req->nr_ranges; i++) {
		void *va;

		if (guest_memory_hold(pool->memory, req->ranges[i], &hold))
			goto out_drop;
		va = (__guest_force void *)hold.va;
		transfer->iov[i].iov_base = va;
		transfer->iov[i].iov_len = hold.len;
		buffer = uring_buffer(pool->reactor, va, hold.len);
		if (buffer < 0 || (i && buffer != transfer->buffer)) {
			i++;
			goto out_drop;
		}
		transfer->buffer = (int16_t)buffer;
	}
	transfer->nr = req->nr_ranges;
	transfer->way = TRANSFER_DIRECT;
	return 0;
out_drop:
	drop_holds(pool, transfer, i);
	put_list(pool, transfer);
	return -EFAULT;
}

static int copy_ranges(struct transfer_pool *pool, struct transfer *transfer,
		       const struct disk_request *req, bool to_guest)
{
	uint8_t *at = transfer->own[0].iov_base;

	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		const struct gpa_range *r = &req->ranges[i];
		int err = to_guest ? guest_memory_write(pool->memory, r->gpa,
							at, r->len) :
				     guest_memory_read(pool->memory, r->gpa,
						       at, r->len);

		if (err)
			return err;
		at += r->len;
	}
	return 0;
}

static void use_memory(struct transfer *transfer, void *memory, uint32_t bytes,
		       enum transfer_way way)
{
	transfer->iov = transfer->own;
	transfer->own[0].iov_base = memory;
	transfer->own[0].iov_len = bytes;
	transfer->nr = 1;
	transfer->buffer = -1;
	transfer->way = (uint8_t)way;
}

static int take_buffer(struct transfer_pool *pool, struct transfer *transfer,
		       uint32_t bytes, enum transfer_way way)
{
	if (!pool->nr_free_buffers)
		return -EAGAIN;
	use_memory(transfer, pool->free_buffer[--pool->nr_free_buffers], bytes,
		   way);
	return 0;
}

int transfer_scratch(struct transfer_pool *pool, struct transfer *transfer,
		     uint32_t bytes)
{
	pv_bug(bytes > GUEST_PAGE_SIZE, bytes, 0);
	return take_buffer(pool, transfer, bytes, TRANSFER_SCRATCH);
}

int transfer_prepare(struct transfer_pool *pool, struct transfer *transfer,
		     struct disk_request *req, bool copy)
{
	uint32_t bytes = req->blocks * pool->info->block_size;
	int err = -EFAULT;

	if (req->buffer) {
		use_memory(transfer, req->buffer, bytes, TRANSFER_BUFFER);
		return 0;
	}
	if (!copy)
		err = prepare_direct(pool, transfer, req);
	if (err != -EFAULT)
		return err;
	err = take_buffer(pool, transfer, bytes, TRANSFER_COPIED);
	if (!err && req->op != DISK_READ)
		err = copy_ranges(pool, transfer, req, false);
	return err;
}

int transfer_deliver(struct transfer_pool *pool, struct transfer *transfer,
		     const struct disk_request *req)
{
	if (transfer->way != TRANSFER_COPIED || req->op != DISK_READ)
		return 0;
	return copy_ranges(pool, transfer, req, true);
}

void transfer_release(struct transfer_pool *pool, struct transfer *transfer)
{
	if (transfer->way == TRANSFER_DIRECT)
		drop_holds(pool, transfer, transfer->nr);
	else if (transfer->way == TRANSFER_COPIED ||
		 transfer->way == TRANSFER_SCRATCH)
		pool->free_buffer[pool->nr_free_buffers++] =
			transfer->own[0].iov_base;
	if (transfer->way != TRANSFER_NONE)
		put_list(pool, transfer);
	transfer->way = TRANSFER_NONE;
}

static size_t buffer_size(const struct disk_info *info)
{
	return ((size_t)info->max_transfer + GUEST_PAGE_SIZE - 1) &
	       ~((size_t)GUEST_PAGE_SIZE - 1);
}

int transfer_pool_open(struct transfer_pool *pool, struct guest_memory *memory,
		       struct reactor *r, const struct disk_info *info)
{
	size_t size = buffer_size(info);

	*pool = (struct transfer_pool){ .memory = memory, .reactor = r,
					.info = info };
	pool->lists = calloc((size_t)LISTS * info->max_ranges,
			     sizeof(struct iovec));
	pool->free_list = calloc(LISTS, sizeof(*pool->free_list));
	pool->free_buffer = calloc(BUFFERS, sizeof(*pool->free_buffer));
	/* Costs nothing until a page is used. */
	pool->buffers = mmap(NULL, BUFFERS * size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool->buffers == MAP_FAILED)
		pool->buffers = NULL;
	if (!pool->lists || !pool->free_list || !pool->free_buffer ||
	    !pool->buffers) {
		transfer_pool_close(pool);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < LISTS; i++)
		pool->free_list[pool->nr_free_lists++] =
			pool->lists + (size_t)i * info->max_ranges;
	for (unsigned int i = 0; i < BUFFERS; i++)
		pool->free_buffer[pool->nr_free_buffers++] =
			pool->buffers + i * size;
	return 0;
}

void transfer_pool_close(struct transfer_pool *pool)
{
	if (pool->buffers)
		munmap(pool->buffers, BUFFERS * buffer_size(pool->info));
	free(pool->free_buffer);
	free(pool->free_list);
	free(pool->lists);
}
