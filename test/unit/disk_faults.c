/* SPDX-License-Identifier: MIT */
/*
 * Disk with faults, theory of operation
 *
 * Owns the disk below, and for each request from submit() to done() a `struct
 * way`, which has a request of its own for the disk below (two, for one that is
 * carried out twice):
 *
 *	submit() --+--> SENT -----------> all answered ----> done()
 *	           +--> WAITS --timer--> SENT, or ------------^
 *	           `--> HELD --REORDER of them, or timer--> SENT
 *
 * Threads: a queue is its reactor's. Failure answers: abort, with a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/reactor.h>

#include "test/unit/disk_faults.h"

#define MS 1000000ull
#define REORDER 8u
#define REORDER_NS MS
#define DEADLINE_MS 1000u

struct faulty_disk {
	struct disk disk; /* first */
	struct disk *below;
	struct disk_fault_rule rule;
	struct disk_faults_count count;
	bool gone;
	struct reactor_call lost;
	struct disk_queue *queues;
};

struct sent {
	struct disk_request request; /* first */
	struct way *way;
};

struct way {
	struct disk_queue *queue;
	struct disk_request *req;
	struct way *next, **at; /* among the queue's */
	struct way *next_held;
	struct reactor_timer timer;
	bool send;	/* by the timer; or it ends */
	uint8_t status; /* what it ends in; DISK_OK: what the disk says */
	unsigned int out; /* requests at the disk below */
	struct sent below[2];
	struct gpa_range ranges[2]; /* of a half */
};

struct disk_queue {
	struct faulty_disk *disk;
	struct disk_queue *below, *next;
	struct reactor *reactor;
	struct way *ways;
	struct way *held;
	unsigned int nr_held;
	struct reactor_timer hold;
};

static _Noreturn void die(const char *why)
{
	fprintf(stderr, "disk with faults: %s\n", why);
	abort();
}

static void *need(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		die("no memory");
	return p;
}

/* Ends and ways. */

static void end(struct way *way, enum disk_status status)
{
	struct disk_request *req = way->req;

	*way->at = way->next;
	if (way->next)
		way->next->at = way->at;
	way->queue->disk->count.answers++;
	free(way);
	req->done(req, status);
}

static void below_done(struct disk_request *below, enum disk_status status)
{
	struct way *way = ((struct sent *)below)->way;

	if (status != DISK_OK && !way->status)
		way->status = (uint8_t)status;
	if (--way->out)
		return;
	end(way, way->queue->disk->gone ? DISK_GONE : way->status);
}

/* A half has ranges of its own: the first block's, which are one or two. */
static void halve(struct way *way, struct disk_request *half)
{
	struct disk_info info;
	uint32_t bytes;

	way->queue->disk->below->ops->info(way->queue->disk->below, &info);
	half->blocks /= 2;
	bytes = half->blocks * info.block_size;
	if (half->buffer || !half->nr_ranges)
		return;
	half->nr_ranges = 0;
	for (unsigned int i = 0; bytes && i < 2; i++) {
		way->ranges[i] = way->req->ranges[i];
		if (way->ranges[i].len > bytes)
			way->ranges[i].len = bytes;
		bytes -= way->ranges[i].len;
		half->nr_ranges++;
	}
	/* The rest of a long list is left out, down to whole blocks. */
	while (bytes % info.block_size)
		die("half of a request has to be two ranges at most");
	half->blocks -= bytes / info.block_size;
	half->ranges = way->ranges;
}

static void send(struct way *way, unsigned int times, bool half)
{
	struct disk_queue *queue = way->queue;
	struct disk_request *below;

	way->out = times;
	for (unsigned int i = 0; i < times; i++) {
		way->below[i].way = way;
		below = &way->below[i].request;
		*below = *way->req;
		if (half)
			halve(way, below);
		below->done = below_done;
		queue->disk->count.sent++;
		queue->disk->below->ops->submit(queue->below, &below, 1);
	}
}

static void expired(struct reactor_timer *timer)
{
	struct way *way = (struct way *)
		((char *)timer - offsetof(struct way, timer));

	if (way->queue->disk->gone)
		end(way, DISK_GONE);
	else if (way->send)
		send(way, 1, false);
	else
		end(way, way->status);
}

static void arm(struct way *way, uint64_t ns)
{
	reactor_timer_arm(way->queue->reactor, &way->timer,
			  reactor_now() + ns);
}

/* Reordering. */

static void send_held(struct disk_queue *queue)
{
	struct way *way = queue->held;

	queue->held = NULL;
	queue->nr_held = 0;
	reactor_timer_cancel(queue->reactor, &queue->hold);
	while (way) {
		struct way *next = way->next_held;

		if (queue->disk->gone)
			arm(way, 0);
		else
			send(way, 1, false);
		way = next;
	}
}

static void hold_expired(struct reactor_timer *timer)
{
	send_held((struct disk_queue *)
		  ((char *)timer - offsetof(struct disk_queue, hold)));
}

static void hold(struct way *way)
{
	struct disk_queue *queue = way->queue;

	way->next_held = queue->held;
	queue->held = way;
	if (!queue->nr_held++)
		reactor_timer_arm(queue->reactor, &queue->hold,
				  reactor_now() + REORDER_NS);
	if (queue->nr_held == REORDER)
		send_held(queue);
}

/* Loss. */

static void tell_lost(struct reactor_call *call)
{
	struct faulty_disk *d = (struct faulty_disk *)
		((char *)call - offsetof(struct faulty_disk, lost));

	if (d->disk.event)
		d->disk.event(&d->disk, DISK_LOST);
}

static void lose(struct faulty_disk *d, struct reactor *r)
{
	d->gone = true;
	for (struct disk_queue *q = d->queues; q; q = q->next) {
		for (struct way *way = q->ways; way; way = way->next)
			if (way->timer.armed)
				arm(way, 0);
		send_held(q);
	}
	reactor_post(r, &d->lost);
}

/* Submission. */

static bool meets(struct faulty_disk *d, const struct disk_request *req)
{
	const struct disk_fault_rule *rule = &d->rule;

	if (!rule->fault || (rule->ops && !(rule->ops >> req->op & 1)))
		return false;
	if (rule->blocks && (req->lba >= rule->lba + rule->blocks ||
			     req->lba + req->blocks <= rule->lba))
		return false;
	if (rule->every && ++d->count.matched % rule->every)
		return false;
	if (rule->count && d->count.met == rule->count)
		return false;
	d->count.met++;
	return true;
}

static void fault(struct way *way, const struct disk_fault_rule *rule)
{
	uint8_t status = rule->status ? rule->status : DISK_FAILED;

	switch ((enum disk_fault)rule->fault) {
	case DISK_FAULT_DROP:
		way->status = DISK_TIMEOUT;
		arm(way, (rule->delay_ms ? rule->delay_ms : DEADLINE_MS) * MS);
		break;
	case DISK_FAULT_DELAY:
		way->send = true;
		arm(way, rule->delay_ms * MS);
		break;
	case DISK_FAULT_DUPLICATE:
		send(way, 2, false);
		break;
	case DISK_FAULT_ERROR:
		way->status = status;
		arm(way, 0);
		break;
	case DISK_FAULT_LIE:
		arm(way, 0);
		break;
	case DISK_FAULT_SHORT:
	case DISK_FAULT_LATE_ERROR:
		way->status = status;
		send(way, 1, rule->fault == DISK_FAULT_SHORT &&
				     way->req->blocks > 1);
		break;
	case DISK_FAULT_REORDER:
		hold(way);
		break;
	case DISK_FAULT_LOSE:
		arm(way, 0);
		lose(way->queue->disk, way->queue->reactor);
		break;
	default:
		die("no such fault");
	}
}

static void start(struct disk_queue *queue, struct disk_request *req)
{
	struct faulty_disk *d = queue->disk;
	struct way *way = need(sizeof(*way));

	way->queue = queue;
	way->req = req;
	way->timer.fn = expired;
	way->next = queue->ways;
	way->at = &queue->ways;
	if (way->next)
		way->next->at = &way->next;
	queue->ways = way;
	d->count.requests++;
	if (req->op == DISK_RESERVATION)
		die("reservations are not for this disk");
	if (d->gone)
		arm(way, 0);
	else if (meets(d, req))
		fault(way, &d->rule);
	else
		send(way, 1, false);
}

static void submit(struct disk_queue *queue, struct disk_request **reqs,
		   unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		start(queue, reqs[i]);
}

/* The disk. */

static void get_info(struct disk *disk, struct disk_info *info)
{
	struct disk *below = ((struct faulty_disk *)disk)->below;

	below->ops->info(below, info);
	info->reservation_types = 0;
}

static int queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **out)
{
	struct faulty_disk *d = (struct faulty_disk *)disk;
	struct disk_queue *queue = need(sizeof(*queue));
	int err = d->below->ops->queue_open(d->below, r, 2 * depth,
					    &queue->below);

	if (err) {
		free(queue);
		return err;
	}
	queue->disk = d;
	queue->reactor = r;
	queue->hold.fn = hold_expired;
	queue->next = d->queues;
	d->queues = queue;
	*out = queue;
	return 0;
}

static void queue_close(struct disk_queue *queue)
{
	struct disk_queue **at = &queue->disk->queues;

	if (queue->ways)
		die("a queue is closed that has requests");
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	queue->disk->below->ops->queue_close(queue->below);
	free(queue);
}

static void inspect_disk(struct disk *disk, struct inspect *out)
{
	struct disk *below = ((struct faulty_disk *)disk)->below;

	if (below->ops->inspect)
		below->ops->inspect(below, out);
}

static void close_disk(struct disk *disk)
{
	struct disk *below = ((struct faulty_disk *)disk)->below;

	below->ops->close(below);
	free(disk);
}

struct disk *disk_faults_create(struct disk *below)
{
	static const struct disk_ops ops = {
		.name = "faults",
		.info = get_info,
		.queue_open = queue_open,
		.queue_close = queue_close,
		.submit = submit,
		.inspect = inspect_disk,
		.close = close_disk,
	};
	struct faulty_disk *d = need(sizeof(*d));

	d->disk.ops = &ops;
	d->below = below;
	d->lost.fn = tell_lost;
	return &d->disk;
}

void disk_faults_set(struct disk *disk, const struct disk_fault_rule *rule)
{
	static const struct disk_fault_rule none;
	struct faulty_disk *d = (struct faulty_disk *)disk;

	d->rule = rule ? *rule : none;
	d->count.matched = d->count.met = 0;
}

void disk_faults_return(struct disk *disk)
{
	((struct faulty_disk *)disk)->gone = false;
}

struct disk_faults_count disk_faults_count(const struct disk *disk)
{
	return ((const struct faulty_disk *)disk)->count;
}

const char *disk_fault_text(enum disk_fault fault)
{
	static const char *const text[DISK_NR_FAULTS] = {
		[DISK_FAULT_NONE] = "none",
		[DISK_FAULT_DROP] = "drop",
		[DISK_FAULT_DELAY] = "delay",
		[DISK_FAULT_DUPLICATE] = "duplicate",
		[DISK_FAULT_ERROR] = "error",
		[DISK_FAULT_LATE_ERROR] = "late error",
		[DISK_FAULT_SHORT] = "short",
		[DISK_FAULT_LIE] = "lie",
		[DISK_FAULT_REORDER] = "reorder",
		[DISK_FAULT_LOSE] = "lose",
	};

	return text[fault];
}
