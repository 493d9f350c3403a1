// SPDX-License-Identifier: MIT
/*
 * The strict disk, theory of operation
 *
 * Every request must keep to the rules of pv/disk.h and to the disk's own
 * figures: range of blocks, read-only, flags, size, and each range of guest
 * memory. A front-end that breaks one has a bug, whatever its guest did.
 *
 * Threads: none.
 */
#include <stdlib.h>
#include <string.h>

#include "test/fuzz/disk_strict.h"
#include "test/fuzz/fuzz.h"

#define PATTERN 0xd5
#define TOUCHED 16u /* of each end of what a read fills */

struct disk_queue {
	struct disk_strict *disk;
	unsigned int depth, used;
};

static void check_ranges(const struct disk_strict *d,
			 const struct disk_request *req, uint64_t bytes)
{
	const struct gpa_range *r = req->ranges;
	uint64_t sum = 0;

	fuzz_expect(req->nr_ranges && req->nr_ranges <= d->info.max_ranges,
		    req->nr_ranges, d->info.max_ranges);
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		fuzz_expect(r[i].len && guest_memory_good(d->memory, r[i]),
			    r[i].gpa, r[i].len);
		fuzz_expect(!(r[i].gpa & (d->info.range_alignment - 1)),
			    r[i].gpa, d->info.range_alignment);
		fuzz_expect(!i || !((r[i].gpa |
				     (r[i - 1].gpa + r[i - 1].len)) &
				    d->info.gap_mask), r[i].gpa, i);
		sum += r[i].len;
	}
	fuzz_expect(sum == bytes, sum, bytes);
}

/* Does the disk know this, and its flags? */
static void check_op(const struct disk_strict *d,
		     const struct disk_request *req)
{
	const struct disk_info *info = &d->info;
	unsigned int flags = 0;
	bool can = true, changes = false;

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
		can = info->reservation_types && req->reservation;
		break;
	default:
		can = false;
	}
	fuzz_expect(can && req->done, req->op, 0);
	fuzz_expect(!(req->flags & ~flags), req->flags, req->op);
	fuzz_expect(!changes || !info->read_only, req->op, 0);
}

/* What a host may ask for. */
static void check_reservation(const struct disk_strict *d,
			      const struct disk_reservation *r)
{
	bool registers = r->action <= DISK_REPLACE;
	bool typed = r->action >= DISK_RESERVE && r->action <= DISK_RELEASE;

	fuzz_expect(r->action <= DISK_REPORT, r->action, 0);
	fuzz_expect(registers || (!r->ignore_key && !r->set_persist),
		    r->action, r->set_persist);
	fuzz_expect(!r->persist || d->info.reservation_persist, r->action, 0);
	fuzz_expect(!typed ||
		    (r->type && r->type <= DISK_EXCLUSIVE_ACCESS_ALL &&
		     d->info.reservation_types >> r->type & 1),
		    r->action, r->type);
}

static bool has_data(const struct disk_request *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE ||
	       req->op == DISK_COMPARE;
}

static void check(const struct disk_strict *d, const struct disk_request *req)
{
	uint64_t bytes = (uint64_t)req->blocks * d->info.block_size;

	check_op(d, req);
	fuzz_expect(req->lba <= d->info.blocks &&
		    req->blocks <= d->info.blocks - req->lba, req->lba,
		    req->blocks);
	if (req->op == DISK_RESERVATION)
		check_reservation(d, req->reservation);
	if (!has_data(req)) {
		fuzz_expect(!req->nr_ranges && !req->buffer, req->op, 0);
		return;
	}
	fuzz_expect(req->blocks && bytes <= d->info.max_transfer, bytes,
		    d->info.max_transfer);
	if (!req->buffer)
		check_ranges(d, req, bytes);
	else
		fuzz_expect(!req->nr_ranges &&
			    (uintptr_t)req->buffer % GUEST_PAGE_SIZE == 0,
			    req->nr_ranges, 0);
}

/* Enough of the data to find out who does not own it. */
static void touch(const struct disk_strict *d, const struct disk_request *req)
{
	static const uint8_t pattern[TOUCHED] = { PATTERN, PATTERN };
	uint32_t bytes = req->blocks * d->info.block_size;
	uint8_t *buffer = req->buffer, copy[TOUCHED];

	if (buffer && req->op == DISK_READ) {
		memset(buffer, PATTERN, TOUCHED);
		memset(buffer + bytes - TOUCHED, PATTERN, TOUCHED);
	} else if (buffer) {
		memcpy(copy, buffer, TOUCHED);
		memcpy(copy, buffer + bytes - TOUCHED, TOUCHED);
	}
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		uint32_t n = req->ranges[i].len;

		n = n < TOUCHED ? n : TOUCHED;
		if (req->op == DISK_READ)
			fuzz_expect(!guest_memory_write(d->memory,
				    req->ranges[i].gpa, pattern, n), i, n);
		else
			fuzz_expect(!guest_memory_read(d->memory,
				    req->ranges[i].gpa, copy, n), i, n);
	}
}

static void submit(struct disk_queue *q, struct disk_request **reqs,
		   unsigned int nr)
{
	struct disk_strict *d = q->disk;

	fuzz_expect(nr && nr <= q->depth - q->used, nr, q->used);
	q->used += nr;
	for (unsigned int i = 0; i < nr; i++) {
		check(d, reqs[i]);
		fuzz_expect(d->nr_pending < DISK_STRICT_PENDING,
			    d->nr_pending, 0);
		reqs[i]->backend[0] = (uintptr_t)q;
		d->pending[d->nr_pending++] = reqs[i];
	}
}

/* A report of anything. */
static void report(struct disk_reservation *r, unsigned int seed)
{
	r->type = (uint8_t)(seed % 9);
	r->persists = seed & 1;
	r->nr_registrants = (uint16_t)(seed * 7 % (DISK_MAX_REGISTRANTS + 9));
	for (unsigned int i = 0; i < DISK_MAX_REGISTRANTS; i++) {
		r->registrant[i].key = seed + i;
		r->registrant[i].holder = i % 3 == seed % 4;
		r->registrant[i].self = i == seed;
		memset(r->registrant[i].host, (int)i, 16);
	}
}

bool disk_strict_end(struct disk_strict *d, unsigned int which,
		     enum disk_status status)
{
	struct disk_request *req;
	struct disk_queue *q;
	unsigned int seed = d->ended++;

	if (!d->nr_pending)
		return false;
	which %= d->nr_pending;
	req = d->pending[which];
	d->nr_pending--;
	memmove(&d->pending[which], &d->pending[which + 1],
		(d->nr_pending - which) * sizeof(d->pending[0]));
	q = (struct disk_queue *)(uintptr_t)req->backend[0];
	q->used--;
	check(d, req);
	if (status == DISK_OK && has_data(req))
		touch(d, req);
	if (status == DISK_OK && req->op == DISK_RESERVATION &&
	    req->reservation->action == DISK_REPORT)
		report(req->reservation, seed);
	req->done(req, status);
	return true;
}

static int queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **queue)
{
	struct disk_queue *q = calloc(1, sizeof(*q));

	(void)r;
	if (!q)
		abort();
	q->disk = (struct disk_strict *)disk;
	q->disk->queues++;
	q->depth = depth;
	*queue = q;
	return 0;
}

static void queue_close(struct disk_queue *q)
{
	fuzz_expect(!q->used, q->used, q->depth);
	q->disk->queues--;
	free(q);
}

static void get_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct disk_strict *)disk)->info;
}

static void close_disk(struct disk *disk)
{
	fuzz_expect(!((struct disk_strict *)disk)->queues, 0, 0);
}

struct disk_strict disk_strict(const struct disk_info *info,
			       const struct guest_memory *memory)
{
	static const struct disk_ops ops = {
		.name = "strict",
		.info = get_info,
		.queue_open = queue_open,
		.queue_close = queue_close,
		.submit = submit,
		.close = close_disk,
	};

	return (struct disk_strict){ .disk.ops = &ops, .info = *info,
				     .memory = memory };
}
