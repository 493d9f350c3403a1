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
#include <pthread.h>
#include <stdatomic.h>
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
	_Atomic uint64_t blocks; /* now */
	atomic_bool gone;
	pthread_mutex_t lock; /* reservation */
	struct {
		uint64_t key; /* 0: not registered */
		uint8_t type; /* DISK_RESERVED_NONE: not reserved */
		bool persists;
		uint32_t generation;
	} reservation;
	atomic_uint_fast64_t reads, writes, flushes, discards, compares;
	atomic_uint_fast64_t verifies, reservations, invalid;
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

static bool moves_data(uint8_t op)
{
	return op == DISK_READ || op == DISK_WRITE || op == DISK_COMPARE;
}

static bool supports(const struct disk_info *info, uint8_t op)
{
	switch (op) {
	case DISK_DISCARD:
		return info->discard_granularity;
	case DISK_WRITE_ZEROES:
		return info->write_zeroes;
	case DISK_COMPARE:
		return info->compare;
	case DISK_VERIFY:
		return info->verify;
	case DISK_RESERVATION:
		return info->reservation_types;
	}
	return true;
}

static uint8_t flags_of(const struct disk_info *info, uint8_t op)
{
	if (op == DISK_WRITE && info->fua)
		return DISK_FUA;
	if (op == DISK_WRITE_ZEROES && info->write_zeroes_unmap)
		return DISK_UNMAP;
	return 0;
}

static enum disk_status check(const struct memory_disk *d,
			      const struct disk_request *req)
{
	bool writes = req->op == DISK_WRITE || req->op == DISK_DISCARD ||
		      req->op == DISK_WRITE_ZEROES;
	uint64_t bytes = (uint64_t)req->blocks * d->info.block_size;
	uint64_t blocks = d->blocks;

	if (req->op >= DISK_NR_OPS)
		return DISK_INVALID;
	if (d->gone)
		return DISK_GONE;
	if (req->lba > blocks || req->blocks > blocks - req->lba)
		return DISK_OUT_OF_RANGE;
	if (writes && d->info.read_only)
		return DISK_READ_ONLY;
	if (req->flags & ~flags_of(&d->info, req->op))
		return DISK_INVALID;
	if (!supports(&d->info, req->op))
		return DISK_UNSUPPORTED;
	if (req->op == DISK_RESERVATION && !req->reservation)
		return DISK_INVALID;
	if (!moves_data(req->op))
		return req->nr_ranges || req->buffer ? DISK_INVALID : DISK_OK;
	if (!req->blocks || bytes > d->info.max_transfer)
		return DISK_INVALID;
	if (req->buffer)
		return req->nr_ranges ? DISK_INVALID : DISK_OK;
	return ranges_good(d, req, bytes) ? DISK_OK : DISK_INVALID;
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

static bool equal(const struct memory_disk *d, const struct disk_request *req)
{
	const uint8_t *at = d->medium + req->lba * d->info.block_size;
	uint8_t part[512];

	if (req->buffer)
		return !memcmp(at, req->buffer,
			       (size_t)req->blocks * d->info.block_size);
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		const struct gpa_range *r = &req->ranges[i];

		for (uint32_t done = 0, n; done < r->len; done += n, at += n) {
			n = r->len - done;
			n = n < sizeof(part) ? n : sizeof(part);
			pv_bug(guest_memory_read(d->memory, r->gpa + done,
						 part, n), r->gpa, r->len);
			if (memcmp(at, part, n))
				return false;
		}
	}
	return true;
}

/* ---- reservations ---- */

static void report(const struct memory_disk *d, struct disk_reservation *r)
{
	r->generation = d->reservation.generation;
	r->persists = d->reservation.persists;
	r->type = d->reservation.type;
	r->nr_registrants = d->reservation.key != 0;
	memset(r->registrant, 0, sizeof(r->registrant));
	if (!r->nr_registrants)
		return;
	r->registrant[0].key = d->reservation.key;
	r->registrant[0].holder = r->type;
	r->registrant[0].self = true;
}

/* Registering: 0 is no key, and the old one has to be right. */
static enum disk_status enroll(struct memory_disk *d,
			       const struct disk_reservation *r)
{
	bool leaves = r->action == DISK_UNREGISTER;
	uint64_t old = d->reservation.key;

	if (!leaves && !r->new_key)
		return DISK_INVALID;
	if (r->action == DISK_REGISTER ?
		    old && old != r->new_key && !r->ignore_key :
		    !old || (old != r->key && !r->ignore_key))
		return DISK_CONFLICT;
	d->reservation.key = leaves ? 0 : r->new_key;
	if (leaves)
		d->reservation.type = DISK_RESERVED_NONE;
	if (r->set_persist)
		d->reservation.persists = r->persist;
	d->reservation.generation++;
	return DISK_OK;
}

static enum disk_status reserve(struct memory_disk *d,
				const struct disk_reservation *r)
{
	uint8_t type = d->reservation.type;

	if (!d->reservation.key || d->reservation.key != r->key)
		return DISK_CONFLICT;
	if (r->action != DISK_CLEAR &&
	    (r->type > DISK_EXCLUSIVE_ACCESS_ALL ||
	     !(d->info.reservation_types >> r->type & 1)))
		return DISK_INVALID;
	switch (r->action) {
	case DISK_RESERVE:
		if (type && type != r->type)
			return DISK_CONFLICT;
		d->reservation.type = r->type;
		break;
	case DISK_RELEASE:
		if (type && type != r->type)
			return DISK_INVALID;
		d->reservation.type = DISK_RESERVED_NONE;
		break;
	case DISK_CLEAR:
		d->reservation.type = DISK_RESERVED_NONE;
		d->reservation.key = 0;
		d->reservation.generation++;
		break;
	default: /* preempt: of oneself, there is nobody else */
		if (r->new_key != r->key)
			return DISK_CONFLICT;
		if (type)
			d->reservation.type = r->type;
		d->reservation.generation++;
	}
	return DISK_OK;
}

static enum disk_status reservation(struct memory_disk *d,
				    struct disk_reservation *r)
{
	enum disk_status status = DISK_OK;

	pthread_mutex_lock(&d->lock);
	switch (r->action) {
	case DISK_REGISTER:
	case DISK_UNREGISTER:
	case DISK_REPLACE:
		status = enroll(d, r);
		break;
	case DISK_REPORT:
		report(d, r);
		break;
	default:
		status = r->action > DISK_REPORT ? DISK_INVALID :
						   reserve(d, r);
	}
	pthread_mutex_unlock(&d->lock);
	return status;
}

/* ---- requests ---- */

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
	case DISK_COMPARE:
		atomic_fetch_add(&d->compares, 1);
		return equal(d, req) ? DISK_OK : DISK_MISCOMPARE;
	case DISK_VERIFY:
		atomic_fetch_add(&d->verifies, 1);
		return DISK_OK;
	case DISK_RESERVATION:
		atomic_fetch_add(&d->reservations, 1);
		return reservation(d, req->reservation);
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
	struct memory_disk *d = (struct memory_disk *)disk;

	*info = d->info;
	info->blocks = d->blocks;
}

static void describe(struct disk *disk, struct inspect *out)
{
	struct memory_disk *d = (struct memory_disk *)disk;

	inspect_u64(out, "reads", d->reads);
	inspect_u64(out, "writes", d->writes);
	inspect_u64(out, "flushes", d->flushes);
	inspect_u64(out, "discards", d->discards);
	inspect_u64(out, "compares", d->compares);
	inspect_u64(out, "verifies", d->verifies);
	inspect_u64(out, "reservations", d->reservations);
	inspect_u64(out, "invalid", d->invalid);
}

static void close_disk(struct disk *disk)
{
	struct memory_disk *d = (struct memory_disk *)disk;

	munmap(d->medium, d->info.blocks * d->info.block_size);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void disk_memory_resize(struct disk *disk, uint64_t blocks)
{
	struct memory_disk *d = (struct memory_disk *)disk;

	pv_bug(blocks > d->info.blocks, blocks, d->info.blocks);
	d->blocks = blocks;
	if (disk->event)
		disk->event(disk, DISK_RESIZED);
}

void disk_memory_lose(struct disk *disk)
{
	struct memory_disk *d = (struct memory_disk *)disk;

	d->gone = true;
	if (disk->event)
		disk->event(disk, DISK_LOST);
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
	d->blocks = info->blocks;
	pthread_mutex_init(&d->lock, NULL);
	d->medium = mmap(NULL, info->blocks * info->block_size,
			 PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (d->medium == MAP_FAILED) {
		free(d);
		return NULL;
	}
	return &d->disk;
}
