/* SPDX-License-Identifier: MIT */
/*
 * Null disk, theory of operation
 *
 * What is left of a disk when it does nothing: requests are put on a list and
 * end well in a call that the queue posts to its reactor. Taking them is not
 * counted. Going through the list is, since to switch the counting off and on
 * again for each of them would itself count for more.
 *
 * Threads: a queue belongs to its reactor. Failure answers: there is nothing
 * that could fail.
 */
#include <errno.h>
#include <stdlib.h>

#include <pv/reactor.h>

#include "test/bench/native.h"

struct null_disk {
	struct disk disk; /* first */
	struct disk_info info;
};

struct disk_queue {
	struct reactor *reactor;
	struct reactor_call call;
	struct disk_request *first, **last;
};

static struct disk_request **next_of(struct disk_request *req)
{
	return (struct disk_request **)req->backend;
}

static void submit(struct disk_queue *q, struct disk_request **reqs,
		   unsigned int nr)
{
	bool counting = bench_count(false);

	while (nr--) {
		*next_of(*reqs) = NULL;
		*q->last = *reqs;
		q->last = next_of(*reqs++);
	}
	reactor_post(q->reactor, &q->call);
	bench_count(counting);
}

static void tell(struct reactor_call *call)
{
	struct disk_queue *q = (struct disk_queue *)
		((char *)call - offsetof(struct disk_queue, call));
	struct disk_request *req = q->first, *next;

	q->first = NULL;
	q->last = &q->first;
	for (; req; req = next) {
		next = *next_of(req);
		req->done(req, DISK_OK);
	}
}

static int queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **queue)
{
	struct disk_queue *q = calloc(1, sizeof(*q));

	(void)disk;
	(void)depth;
	if (!q)
		return -ENOMEM;
	q->reactor = r;
	q->call.fn = tell;
	q->last = &q->first;
	*queue = q;
	return 0;
}

static void queue_close(struct disk_queue *q)
{
	free(q);
}

static void get_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct null_disk *)disk)->info;
}

static void close_disk(struct disk *disk)
{
	free(disk);
}

static const struct disk_ops null_disk_ops = {
	.name = "null",
	.info = get_info,
	.queue_open = queue_open,
	.queue_close = queue_close,
	.submit = submit,
	.close = close_disk,
};

struct disk *bench_disk_null(const struct disk_info *info)
{
	struct null_disk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->disk.ops = &null_disk_ops;
	d->info = *info;
	return &d->disk;
}
