/* SPDX-License-Identifier: MIT */
/*
 * Memory disk, theory of operation
 *
 * Owns one private mapping that is the medium. A request is carried out in
 * submit() by copying, and completes from a call that the queue posts to its
 * own reactor, because nothing may complete inside submit():
 *
 *	submit() --> copied, on the queue's list --> posted call --> done()
 *
 * Threads: a queue belongs to its reactor. The medium is shared by all queues
 * without a lock, like a real one: who writes a block while somebody else
 * reads it gets what he gets. Counters are atomic.
 *
 * Failure answers: a request that breaks a rule of the disk's own figures ends
 * in DISK_INVALID or DISK_OUT_OF_RANGE, and nothing was copied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "disk_memory.h"

struct memory_disk {
	struct disk disk; /* first */
	const struct guest_memory *memory;
	struct disk_info info;
	uint8_t *medium;
	atomic_uint_fast64_t reads, writes, flushes, discards, invalid;
};

struct disk_queue {
	struct memory_disk *disk;
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

/* Do the ranges keep to the disk's rules, and hold `bytes`? */
static bool ranges_good(const struct memory_disk *d,
			const struct disk_request *req, uint64_t bytes)
{
	const struct gpa_range *r = req->ranges;
	uint64_t sum = 0;

	if (!req->nr_ranges || req->nr_ranges > d->info.max_ranges)
		return false;
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		if (r[i].gpa & (d->info.range_alignment - 1) || !r[i].len ||
		    !guest_memory_good(d->memory, r[i]))
			return false;
		if (i && ((r[i].gpa | (r[i - 1].gpa + r[i - 1].len)) &
			  d->info.gap_mask))
			return false;
		sum += r[i].len;
	}
	return sum == bytes;
}

static enum disk_status check(const struct memory_disk *d,
			      const struct disk_request *req)
{
	bool data = req->op == DISK_READ || req->op == DISK_WRITE;
	uint64_t bytes = (uint64_t)req->blocks * d->info.block_size;

	if (req->lba > d->info.blocks ||
	    req->blocks > d->info.blocks - req->lba)
		return DISK_OUT_OF_RANGE;
	if (req->op != DISK_READ && req->op != DISK_FLUSH && d->info.read_only)
		return DISK_READ_ONLY;
	if (req->flags & ~DISK_FUA ||
	    (req->flags && (req->op != DISK_WRITE || !d->info.fua)))
		return DISK_INVALID;
	if (data && (!req->blocks || bytes > d->info.max_transfer))
		return DISK_INVALID;
	if (data && req->buffer)
		return req->nr_ranges ? DISK_INVALID : DISK_OK;
	if (data)
		return ranges_good(d, req, bytes) ? DISK_OK : DISK_INVALID;
	if (req->nr_ranges || req->buffer)
		return DISK_INVALID;
	if ((req->op == DISK_DISCARD && !d->info.discard_granularity) ||
	    (req->op == DISK_WRITE_ZEROES && !d->info.write_zeroes))
		return DISK_UNSUPPORTED;
	return DISK_OK;
}

static void copy(const struct memory_disk *d, const struct disk_request *req)
{
	uint8_t *at = d->medium + req->lba * d->info.block_size;
	size_t bytes = (size_t)req->blocks * d->info.block_size;
	bool read = req->op == DISK_READ;

	if (req->buffer) {
		memcpy(read ? req->buffer : at, read ? at : req->buffer, bytes);
		return;
	}
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		const struct gpa_range *r = &req->ranges[i];
		int err = read ? guest_memory_write(d->memory, r->gpa, at,
						    r->len) :
				 guest_memory_read(d->memory, r->gpa, at,
						   r->len);

		pv_bug(err, r->gpa, r->len);
		at += r->len;
	}
}

static enum disk_status carry_out(struct memory_disk *d,
				  const struct disk_request *req)
{
	enum disk_status status = check(d, req);

	if (status != DISK_OK) {
		atomic_fetch_add(&d->invalid, 1);
		return status;
	}
	switch (req->op) {
	case DISK_READ:
		atomic_fetch_add(&d->reads, 1);
		copy(d, req);
		return DISK_OK;
	case DISK_WRITE:
		atomic_fetch_add(&d->writes, 1);
		copy(d, req);
		return DISK_OK;
	case DISK_FLUSH:
		atomic_fetch_add(&d->flushes, 1);
		return DISK_OK;
	case DISK_DISCARD:
	case DISK_WRITE_ZEROES:
		atomic_fetch_add(&d->discards, 1);
		memset(d->medium + req->lba * d->info.block_size, 0,
		       (size_t)req->blocks * d->info.block_size);
		return DISK_OK;
	default:
		return DISK_UNSUPPORTED;
	}
}

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
	q->disk = (struct memory_disk *)disk;
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

static void get_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct memory_disk *)disk)->info;
}

static void describe(struct disk *disk, struct inspect *out)
{
	struct memory_disk *d = (struct memory_disk *)disk;

	inspect_u64(out, "reads", d->reads);
	inspect_u64(out, "writes", d->writes);
	inspect_u64(out, "flushes", d->flushes);
	inspect_u64(out, "discards", d->discards);
	inspect_u64(out, "invalid", d->invalid);
}

static void close_disk(struct disk *disk)
{
	struct memory_disk *d = (struct memory_disk *)disk;

	munmap(d->medium, d->info.blocks * d->info.block_size);
	free(d);
}

static const struct disk_ops memory_disk_ops = {
	.name = "memory",
	.info = get_info,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.inspect = describe,
	.close = close_disk,
};

struct disk *disk_memory_create(const struct guest_memory *memory,
				const struct disk_info *info)
{
	struct memory_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->disk.ops = &memory_disk_ops;
	d->memory = memory;
	d->info = *info;
	d->medium = mmap(NULL, info->blocks * info->block_size,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->medium == MAP_FAILED) {
		free(d);
		return NULL;
	}
	return &d->disk;
}
