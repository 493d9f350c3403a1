/* SPDX-License-Identifier: MIT */
/*
 * Queues of a stripe, theory of operation
 *
 * Owns: for each queue of the stripe one of each disk. A request (`struct
 * whole`, in its own words) is cut into parts, each of which is a
 * request of one disk:
 *
 *	read, write, compare   one part per chunk: data of neighbouring chunks
 *	                       of one disk are apart in guest memory
 *	discard, write zeroes, verify
 *	                       one part per disk: chunks of one disk lie behind
 *	                       each other there
 *	flush                  one part per disk
 *
 *	submit() -> WAITING --- parts free ---> SENT --- last part ---> done()
 *
 * Parts come from a pool, with room for the ranges of a request; who finds
 * none waits, in order, half sent if need be. What is cut in one go is
 * submitted in one batch per disk. The worst status of the parts is that of
 * the whole, and after a part that failed no more are sent.
 *
 * Threads: a queue and its parts belong to one reactor.
 *
 * Failure answers: a request that breaks a rule ends in DISK_INVALID and
 * nothing of it was sent.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "stripe_queue.h"
#include "transfer.h"

#define MIN_PARTS 32
#define MAX_PARTS 256

/* A request of ours, in its own words. */
struct whole {
	struct disk_queue *queue;
	struct whole *next;
	uint32_t sent;	 /* blocks of data, or disks that were asked */
	uint32_t active; /* parts on their way */
	uint16_t range;	 /* the next byte of data: which range, where in it */
	uint8_t status;	 /* enum disk_status, the worst so far */
	bool all_sent;
	uint32_t offset;
};
_Static_assert(sizeof(struct whole) <=
		       sizeof(((struct disk_request *)0)->backend),
	       "a whole lives in the request's own words");

struct part {
	struct disk_request req; /* first */
	struct whole *whole;
	struct gpa_range *ranges;
};

static void pump(struct disk_queue *queue);

static struct disk_request *request_of(struct whole *whole)
{
	return (struct disk_request *)((char *)whole -
		offsetof(struct disk_request, backend));
}

static void put_last(struct whole ***end, struct whole *whole)
{
	whole->next = NULL;
	**end = whole;
	*end = &whole->next;
}

/* Which of two ends is worse: what the device did before what was asked. */
static enum disk_status worse(enum disk_status a, enum disk_status b)
{
	static const uint8_t rank[DISK_NR_STATUS] = {
		[DISK_OK] = 0,		 [DISK_MISCOMPARE] = 1,
		[DISK_CONFLICT] = 2,	 [DISK_UNSUPPORTED] = 3,
		[DISK_READ_ONLY] = 4,	 [DISK_OUT_OF_RANGE] = 5,
		[DISK_INVALID] = 6,	 [DISK_NO_SPACE] = 7,
		[DISK_NOT_READY] = 8,	 [DISK_ABORTED] = 9,
		[DISK_TIMEOUT] = 10,	 [DISK_PROTECTION] = 11,
		[DISK_MEDIUM_READ] = 12, [DISK_MEDIUM_WRITE] = 13,
		[DISK_FAILED] = 14,	 [DISK_GONE] = 15,
	};

	return rank[b] > rank[a] ? b : a;
}

/* ---- the end of a request ---- */

static void finish(struct whole *whole)
{
	struct disk_queue *queue = whole->queue;
	struct disk_request *req = request_of(whole);
	enum disk_status status = whole->status;

	if (status != DISK_OK)
		queue->errors++;
	queue->outstanding--;
	pump(queue);
	req->done(req, status); /* the last one may close the queue */
}

static void run_finished(struct reactor_call *call)
{
	struct disk_queue *queue = (struct disk_queue *)((char *)call -
		offsetof(struct disk_queue, finish_call));
	struct whole *whole = queue->finished, *next;

	queue->finished = NULL;
	queue->finished_end = &queue->finished;
	for (; whole; whole = next) {
		next = whole->next;
		finish(whole);
	}
}

/* done() must not run inside submit(). */
static void finish_later(struct whole *whole, enum disk_status status)
{
	struct disk_queue *queue = whole->queue;

	whole->status = (uint8_t)status;
	put_last(&queue->finished_end, whole);
	reactor_post(queue->reactor, &queue->finish_call);
}

static void part_done(struct disk_request *req, enum disk_status status)
{
	struct part *part = (struct part *)req;
	struct whole *whole = part->whole;
	struct disk_queue *queue = whole->queue;

	queue->free[queue->nr_free++] = part;
	whole->status = (uint8_t)worse(whole->status, status);
	whole->active--;
	if (whole->status != DISK_OK && !whole->all_sent) {
		/* It is the first that waits: others come behind it. */
		whole->all_sent = true;
		queue->waiting = whole->next;
		if (!queue->waiting)
			queue->waiting_end = &queue->waiting;
	}
	if (whole->all_sent && !whole->active)
		finish(whole);
	else
		pump(queue);
}

/* ---- cutting ---- */

static struct part *take_part(struct whole *whole, unsigned int child)
{
	struct disk_queue *queue = whole->queue;
	const struct disk_request *req = request_of(whole);
	struct part *part = queue->free[--queue->nr_free];

	part->whole = whole;
	memset(&part->req, 0, offsetof(struct disk_request, backend));
	part->req.op = req->op;
	part->req.flags = req->flags;
	part->req.done = part_done;
	queue->batch[child][queue->nr_batch[child]++] = &part->req;
	whole->active++;
	return part;
}

/* The next `bytes` of the guest's ranges; a part that is all of them needs no
 * copy. */
static void cut_ranges(struct whole *whole, struct part *part, uint32_t bytes)
{
	const struct disk_request *req = request_of(whole);
	uint16_t n = 0;

	if (part->req.blocks == req->blocks) {
		part->req.ranges = req->ranges;
		part->req.nr_ranges = req->nr_ranges;
		return;
	}
	part->req.ranges = part->ranges;
	while (bytes) {
		const struct gpa_range *r = &req->ranges[whole->range];
		uint32_t len = r->len - whole->offset;

		if (len > bytes)
			len = bytes;
		part->ranges[n].gpa = r->gpa + whole->offset;
		part->ranges[n++].len = len;
		whole->offset += len;
		bytes -= len;
		if (whole->offset == r->len) {
			whole->range++;
			whole->offset = 0;
		}
	}
	part->req.nr_ranges = n;
}

/* One chunk, or what the request has of it. */
static void cut_data(struct whole *whole)
{
	const struct disk_request *req = request_of(whole);
	const struct stripe *s = whole->queue->stripe;
	uint64_t lba = req->lba + whole->sent, chunk = lba / s->chunk;
	uint32_t inside = (uint32_t)(lba % s->chunk);
	uint32_t blocks = req->blocks - whole->sent;
	struct part *part = take_part(whole, (unsigned int)(chunk % s->nr));

	if (blocks > s->chunk - inside)
		blocks = s->chunk - inside;
	part->req.lba = chunk / s->nr * s->chunk + inside;
	part->req.blocks = blocks;
	if (req->buffer)
		part->req.buffer = (uint8_t *)req->buffer +
				   (size_t)whole->sent * s->info.block_size;
	else
		cut_ranges(whole, part, blocks * s->info.block_size);
	whole->sent += blocks;
	whole->all_sent = whole->sent == req->blocks;
}

/* How many blocks of a disk lie below `lba` of the stripe? */
static uint64_t below(const struct stripe *s, unsigned int child, uint64_t lba)
{
	uint64_t chunk = lba / s->chunk, before = chunk / s->nr * s->chunk;
	unsigned int last = (unsigned int)(chunk % s->nr);

	if (child < last)
		return before + s->chunk;
	return child == last ? before + lba % s->chunk : before;
}

/* All that the next disk has of it, if that is anything. */
static void cut_blocks(struct whole *whole)
{
	const struct disk_request *req = request_of(whole);
	const struct stripe *s = whole->queue->stripe;
	unsigned int child = whole->sent++;
	uint64_t from = below(s, child, req->lba);
	uint64_t to = below(s, child, req->lba + req->blocks);
	struct part *part;

	whole->all_sent = whole->sent == s->nr;
	if (req->op != DISK_FLUSH && from == to)
		return;
	part = take_part(whole, child);
	if (req->op == DISK_FLUSH)
		return;
	part->req.lba = from;
	part->req.blocks = (uint32_t)(to - from);
}

static void submit_batches(struct disk_queue *queue)
{
	struct stripe *s = queue->stripe;

	for (unsigned int i = 0; i < s->nr; i++) {
		unsigned int nr = queue->nr_batch[i];

		queue->nr_batch[i] = 0;
		if (!nr)
			continue;
		queue->sent_parts += nr;
		s->child[i]->ops->submit(queue->child[i], queue->batch[i], nr);
	}
}

static void pump(struct disk_queue *queue)
{
	struct whole *whole;

	while ((whole = queue->waiting) && queue->nr_free) {
		bool data = transfer_has_data(request_of(whole));

		while (!whole->all_sent && queue->nr_free) {
			if (data)
				cut_data(whole);
			else
				cut_blocks(whole);
		}
		if (!whole->all_sent) {
			queue->waits++;
			break;
		}
		queue->waiting = whole->next;
		if (!queue->waiting)
			queue->waiting_end = &queue->waiting;
	}
	submit_batches(queue);
}

/* ---- submission ---- */

static void start(struct disk_queue *queue, struct disk_request *req)
{
	struct whole *whole = (struct whole *)req->backend;
	struct stripe *s = queue->stripe;
	enum disk_status status = DISK_GONE;

	pv_bug(queue->outstanding == queue->depth, queue->outstanding,
	       req->op);
	queue->outstanding++;
	queue->requests++;
	*whole = (struct whole){ .queue = queue, .status = DISK_OK };
	if (!atomic_load(&s->gone))
		status = transfer_check(&s->info, s->blocks, req);
	if (status != DISK_OK)
		finish_later(whole, status);
	else if (req->op == DISK_FLUSH ? !s->info.write_cache : !req->blocks)
		finish_later(whole, DISK_OK); /* nothing to do */
	else
		put_last(&queue->waiting_end, whole);
}

void stripe_submit(struct disk_queue *queue, struct disk_request **reqs,
		   unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		start(queue, reqs[i]);
	pump(queue);
}

/* ---- queues ---- */

static void free_queue(struct disk_queue *queue)
{
	struct stripe *s = queue->stripe;

	for (unsigned int i = 0; i < s->nr; i++) {
		if (queue->child[i])
			s->child[i]->ops->queue_close(queue->child[i]);
		free(queue->batch[i]);
	}
	free(queue->ranges);
	free(queue->free);
	free(queue->parts);
	free(queue);
}

static int make_parts(struct disk_queue *queue)
{
	size_t ranges = queue->stripe->info.max_ranges;
	unsigned int n = queue->nr_parts;

	queue->parts = calloc(n, sizeof(*queue->parts));
	queue->free = calloc(n, sizeof(*queue->free));
	queue->ranges = calloc(n * ranges, sizeof(*queue->ranges));
	if (!queue->parts || !queue->free || !queue->ranges)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		queue->parts[i].ranges = queue->ranges + i * ranges;
		queue->free[queue->nr_free++] = &queue->parts[i];
	}
	return 0;
}

int stripe_queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **out)
{
	struct stripe *s = (struct stripe *)disk;
	struct disk_queue *queue = calloc(1, sizeof(*queue));
	int err;

	if (!queue)
		return -ENOMEM;
	queue->stripe = s;
	queue->reactor = r;
	queue->depth = depth;
	queue->nr_parts = depth < MIN_PARTS ? MIN_PARTS :
			  depth > MAX_PARTS ? MAX_PARTS : depth;
	queue->waiting_end = &queue->waiting;
	queue->finished_end = &queue->finished;
	queue->finish_call.fn = run_finished;
	err = make_parts(queue);
	for (unsigned int i = 0; !err && i < s->nr; i++) {
		queue->batch[i] = calloc(queue->nr_parts,
					 sizeof(struct disk_request *));
		err = queue->batch[i] ? s->child[i]->ops->queue_open(
			s->child[i], r, queue->nr_parts, &queue->child[i]) :
			-ENOMEM;
	}
	if (err) {
		free_queue(queue);
		return err;
	}
	pthread_mutex_lock(&s->queues_lock);
	queue->next = s->queues;
	s->queues = queue;
	pthread_mutex_unlock(&s->queues_lock);
	*out = queue;
	return 0;
}

void stripe_queue_close(struct disk_queue *queue)
{
	struct disk_queue **at = &queue->stripe->queues;

	pv_bug(queue->outstanding, queue->outstanding, queue->depth);
	pthread_mutex_lock(&queue->stripe->queues_lock);
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	pthread_mutex_unlock(&queue->stripe->queues_lock);
	free_queue(queue);
}
