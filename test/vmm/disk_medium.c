// SPDX-License-Identifier: MIT
/*
 * Disk on a medium, theory of operation
 *
 * A request is carried out in submit(), by copying between the medium and the
 * guest's pages, and completes from a call that its queue posts to its own
 * reactor:
 *
 *	submit() --> carried out, on the queue's list --> posted call --> done()
 *
 * So a slow file holds up the device thread, and with it all other devices
 * of the host but NVMe, which has threads of its own. A host model can afford
 * that; a second thread per disk is the cure if it ever cannot.
 *
 * Threads: one reactor for all queues; only counters and the size are looked
 * at by others.
 *
 * Failure answers: a request that breaks a rule of the disk's figures ends in
 * DISK_INVALID, DISK_OUT_OF_RANGE or DISK_READ_ONLY and moves nothing; one
 * that the medium fails, in an error of that medium, with a line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "disk_medium.h"
#include "model/medium.h"

LOG_MODULE("disk");

#define MAX_TRANSFER (1u << 20)
#define MAX_RANGES (MAX_TRANSFER / GUEST_PAGE_SIZE + 1)

#define COUNTER_FIELD(name) atomic_uint_fast64_t name;

struct medium_disk {
	struct disk disk; /* first */
	struct disk_medium_config config;
	char serial[21];
	_Atomic uint64_t blocks;
	struct {
		DISK_MEDIUM_COUNTERS(COUNTER_FIELD)
	} count;
};

struct disk_queue {
	struct medium_disk *disk;
	struct reactor *reactor;
	struct reactor_call call;
	struct disk_request *first, **last; /* done, to be told */
	unsigned int depth, used;
};

/* What a request keeps in its `backend` words. */
struct outcome {
	struct disk_request *next;
	enum disk_status status;
};
_Static_assert(sizeof(struct outcome) <=
		       sizeof(((struct disk_request *)0)->backend),
	       "fits into the backend's words");

static struct outcome *outcome(struct disk_request *req)
{
	return (struct outcome *)req->backend;
}

#define COUNT(d, name, n) atomic_fetch_add(&(d)->count.name, n)

/* ---- requests ---- */

static bool moves_data(const struct disk_request *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE;
}

static bool ranges_good(const struct medium_disk *d,
			const struct disk_request *req, uint64_t bytes)
{
	uint64_t sum = 0;

	if (req->buffer)
		return !req->nr_ranges;
	if (req->nr_ranges > MAX_RANGES)
		return false;
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		if (!guest_memory_good(d->config.memory, req->ranges[i]))
			return false;
		sum += req->ranges[i].len;
	}
	return sum == bytes;
}

static enum disk_status check(const struct medium_disk *d,
			      const struct disk_request *req)
{
	uint64_t bytes = (uint64_t)req->blocks * d->config.block_size;
	uint64_t blocks = atomic_load(&d->blocks);
	unsigned int flags = req->op == DISK_WRITE ? DISK_FUA :
			     req->op == DISK_WRITE_ZEROES ? DISK_UNMAP : 0;

	if (req->op > DISK_WRITE_ZEROES)
		return DISK_UNSUPPORTED;
	if (req->flags & ~flags)
		return DISK_INVALID;
	if (req->op == DISK_FLUSH)
		return DISK_OK;
	if (req->lba > blocks || req->blocks > blocks - req->lba)
		return DISK_OUT_OF_RANGE;
	if (req->op != DISK_READ && d->config.read_only)
		return DISK_READ_ONLY;
	if (!moves_data(req))
		return req->nr_ranges || req->buffer ? DISK_INVALID : DISK_OK;
	return req->blocks && bytes <= MAX_TRANSFER &&
			       ranges_good(d, req, bytes) ? DISK_OK :
							    DISK_INVALID;
}

static int move(struct medium *medium, bool read, uint64_t offset, void *at,
		size_t len)
{
	return read ? medium_read(medium, offset, at, len) :
		      medium_write(medium, offset, at, len);
}

/* The guest may change the pages meanwhile, as under any device's DMA. */
static int move_ranges(struct medium_disk *d, const struct disk_request *req,
		       uint64_t offset)
{
	struct guest_hold hold;
	int err = 0;

	for (unsigned int i = 0; !err && i < req->nr_ranges; i++) {
		err = guest_memory_hold(d->config.memory, req->ranges[i],
					&hold);
		if (err)
			break;
		err = move(d->config.medium, req->op == DISK_READ, offset,
			   (__guest_force void *)hold.va, hold.len);
		guest_memory_drop(d->config.memory, &hold);
		offset += req->ranges[i].len;
	}
	return err;
}

static int transfer(struct medium_disk *d, const struct disk_request *req)
{
	uint64_t offset = req->lba * d->config.block_size;
	size_t bytes = (size_t)req->blocks * d->config.block_size;
	int err = req->buffer ? move(d->config.medium, req->op == DISK_READ,
				     offset, req->buffer, bytes) :
				move_ranges(d, req, offset);

	if (err)
		return err;
	if (req->op == DISK_READ) {
		COUNT(d, reads, 1);
		COUNT(d, bytes_read, bytes);
		return 0;
	}
	COUNT(d, writes, 1);
	COUNT(d, bytes_written, bytes);
	return req->flags & DISK_FUA ? medium_flush(d->config.medium) : 0;
}

static int zero(struct medium_disk *d, const struct disk_request *req)
{
	if (req->op == DISK_DISCARD)
		COUNT(d, discards, 1);
	else
		COUNT(d, write_zeroes, 1);
	return req->blocks ? medium_zero(d->config.medium,
					 req->lba * d->config.block_size,
					 (uint64_t)req->blocks *
						 d->config.block_size) : 0;
}

static int flush(struct medium_disk *d)
{
	COUNT(d, flushes, 1);
	return d->config.read_only ? 0 : medium_flush(d->config.medium);
}

static enum disk_status carry_out(struct medium_disk *d,
				  const struct disk_request *req)
{
	enum disk_status status = check(d, req);
	int err;

	if (status != DISK_OK) {
		COUNT(d, invalid, 1);
		return status;
	}
	err = moves_data(req) ? transfer(d, req) :
	      req->op == DISK_FLUSH ? flush(d) : zero(d, req);
	if (!err)
		return DISK_OK;
	COUNT(d, errors, 1);
	log_warn_limited("%s: block %llu: %s", d->serial,
			 (unsigned long long)req->lba, strerror(-err));
	if (err == -ENOSPC)
		return DISK_NO_SPACE;
	return req->op == DISK_READ ? DISK_MEDIUM_READ : DISK_MEDIUM_WRITE;
}

/* ---- queues ---- */

static void submit(struct disk_queue *q, struct disk_request **reqs,
		   unsigned int nr)
{
	pv_bug(nr > q->depth - q->used, nr, q->depth - q->used);
	q->used += nr;
	for (unsigned int i = 0; i < nr; i++) {
		outcome(reqs[i])->status = carry_out(q->disk, reqs[i]);
		outcome(reqs[i])->next = NULL;
		*q->last = reqs[i];
		q->last = &outcome(reqs[i])->next;
	}
	reactor_post(q->reactor, &q->call);
}

static void tell(struct reactor_call *call)
{
	struct disk_queue *q = (struct disk_queue *)
		((char *)call - offsetof(struct disk_queue, call));
	struct disk_request *req = q->first, *next;

	q->first = NULL;
	q->last = &q->first;
	for (; req; req = next) {
		next = outcome(req)->next;
		q->used--;
		req->done(req, outcome(req)->status);
	}
}

static int queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **queue)
{
	struct disk_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->disk = (struct medium_disk *)disk;
	q->reactor = r;
	q->call.fn = tell;
	q->last = &q->first;
	q->depth = depth;
	*queue = q;
	return 0;
}

static void queue_close(struct disk_queue *q)
{
	pv_bug(q->used, q->used, q->depth);
	free(q);
}

/* ---- the disk ---- */

static void get_info(struct disk *disk, struct disk_info *info)
{
	struct medium_disk *d = (struct medium_disk *)disk;

	*info = (struct disk_info){
		.blocks = atomic_load(&d->blocks),
		.block_size = d->config.block_size,
		.physical_block_size = d->config.physical_block_size,
		.max_transfer = MAX_TRANSFER,
		.max_ranges = MAX_RANGES,
		.range_alignment = 1,
		.discard_granularity = GUEST_PAGE_SIZE / d->config.block_size,
		.read_only = d->config.read_only,
		.write_cache = true,
		.fua = true,
		.write_zeroes = true,
		.write_zeroes_unmap = true,
		.discard_zeroes = true,
	};
	memcpy(info->serial, d->serial, sizeof(info->serial));
	memcpy(info->nguid, d->config.nguid, sizeof(info->nguid));
}

static void describe(struct disk *disk, struct inspect *out)
{
	struct medium_disk *d = (struct medium_disk *)disk;

#define INSPECT(name) inspect_u64(out, #name, atomic_load(&d->count.name));
	DISK_MEDIUM_COUNTERS(INSPECT)
#undef INSPECT
}

static void close_disk(struct disk *disk)
{
	free(disk);
}

static const struct disk_ops medium_disk_ops = {
	.name = "medium",
	.info = get_info,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.inspect = describe,
	.close = close_disk,
};

void disk_medium_resized(struct disk *disk)
{
	struct medium_disk *d = (struct medium_disk *)disk;

	atomic_store(&d->blocks,
		     medium_size(d->config.medium) / d->config.block_size);
}

struct disk *disk_medium_create(const struct disk_medium_config *config)
{
	struct medium_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->disk.ops = &medium_disk_ops;
	d->config = *config;
	d->config.serial = d->serial;
	memcpy(d->serial, config->serial,
	       strnlen(config->serial, sizeof(d->serial) - 1));
	disk_medium_resized(&d->disk);
	return &d->disk;
}

void disk_medium_print_stats(struct disk *disk, FILE *out)
{
	struct medium_disk *d = (struct medium_disk *)disk;
	const char *comma = "{";

#define PRINT(name)                                                      \
	fprintf(out, "%s\"" #name "\":%llu", comma,                      \
		(unsigned long long)atomic_load(&d->count.name));        \
	comma = ",";
	DISK_MEDIUM_COUNTERS(PRINT)
#undef PRINT
	fputs("}", out);
}
