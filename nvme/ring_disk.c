/* SPDX-License-Identifier: MIT */
/*
 * Queue of a ring disk, theory of operation
 *
 * Owns: the requests of one disk queue, from submit() to done(). Each lives in
 * the request's own words (`struct command`) and is in one of these states:
 *
 *	submit() --> WAITING <------- timer ------- RETRYING
 *	               |  ^                             ^
 *	   memory, SQE |  | next part                   | may pass
 *	               v  |                             |
 *	             IN FLIGHT ---- completion ---------+
 *	                                 |
 *	   refused in submit() --> FINISHED --> done()
 *
 * One command of the device is one SQE; the reactor submits all SQEs of a pass
 * together. A request that names more blocks without data than the device's
 * limits allow is sent in parts, one after the other. Data: see transfer.c.
 *
 * Threads: all on the queue's reactor.
 *
 * Failure answers: retries as the backend judges, until DEADLINE_NS after the
 * first failure; the kernel bounds every single attempt (30 s). What lacks
 * memory or an SQE waits, in order, for a completion or for AGAIN_NS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "ring_disk.h"

LOG_MODULE("nvme");

#define DEADLINE_NS 60000000000ull
#define AGAIN_NS 1000000ull
#define NS_PER_MS 1000000ull

static void pump(struct disk_queue *queue);

static struct command *command_of(struct disk_request *req)
{
	return (struct command *)req->backend;
}

static void put_last(struct command ***end, struct command *command)
{
	command->next = NULL;
	**end = command;
	*end = &command->next;
}

static int prepare(struct command *command)
{
	struct disk_request *req = command_request(command);
	struct transfer_pool *pool = &command->queue->pool;
	int err = 0;

	if (command->prepared)
		return 0;
	if (transfer_has_data(req))
		err = transfer_prepare(pool, &command->transfer, req,
				       command->must_copy);
	else if (req->op == DISK_RESERVATION &&
		 req->reservation->action == DISK_REPORT)
		err = transfer_scratch(pool, &command->transfer,
				       RESERVATION_REPORT_SIZE);
	command->prepared = !err;
	return err;
}

/* Gives back what prepare() took. */
static void release(struct command *command)
{
	transfer_release(&command->queue->pool, &command->transfer);
	command->prepared = false;
}

/* The end of a request. */

static void finish(struct command *command, enum disk_status status)
{
	struct disk_request *req = command_request(command);
	struct disk_queue *queue = command->queue;
	struct queue_counters *c = &queue->counters;
	uint64_t bytes = (uint64_t)req->blocks * queue->disk->info.block_size;

	if (status == DISK_OK &&
	    transfer_deliver(&queue->pool, &command->transfer, req))
		status = DISK_INVALID;
	if (status == DISK_OK && command->transfer.way == TRANSFER_DIRECT)
		c->direct_bytes += bytes;
	else if (status == DISK_OK && command->transfer.way == TRANSFER_COPIED)
		c->copied_bytes += bytes;
	if (status == DISK_OK && queue->disk->ops->answer)
		queue->disk->ops->answer(queue->disk, command);
	release(command);
	if (status != DISK_OK)
		c->errors++;
	queue->outstanding--;
	pump(queue);
	req->done(req, status); /* the last one may close the queue */
}

static void run_finished(struct reactor_call *call)
{
	struct disk_queue *queue = (struct disk_queue *)((char *)call -
		offsetof(struct disk_queue, finish_call));
	struct command *command = queue->finished, *next;

	queue->finished = NULL;
	queue->finished_end = &queue->finished;
	for (; command; command = next) {
		next = command->next;
		finish(command, command->status);
	}
}

/* done() must not run inside submit(). */
static void finish_later(struct command *command, enum disk_status status)
{
	struct disk_queue *queue = command->queue;

	if (status == DISK_INVALID)
		queue->counters.invalid++;
	command->status = (uint8_t)status;
	put_last(&queue->finished_end, command);
	reactor_post(queue->reactor, &queue->finish_call);
}

/* Sending. */

static void fill(struct command *command, struct io_uring_sqe *sqe)
{
	struct disk_request *req = command_request(command);
	struct ring_disk *disk = command->queue->disk;
	uint64_t limit = disk->limit[req->op];
	uint32_t left = req->blocks - command->done;

	command->blocks = limit && limit < left ? (uint32_t)limit : left;
	command->good = 0;
	disk->ops->fill(disk, command, sqe, req->lba + command->done);
}

/* False: something is missing, try again later. */
static bool send(struct command *command)
{
	struct io_uring_sqe *sqe;
	int err = prepare(command);

	if (err == -EAGAIN)
		return false;
	if (err) {
		finish_later(command, DISK_INVALID);
		return true;
	}
	sqe = uring_sqe(command->queue->reactor, &command->op);
	if (!sqe)
		return false;
	fill(command, sqe);
	command->queue->counters.commands++;
	return true;
}

static void again(struct reactor_timer *timer)
{
	pump((struct disk_queue *)((char *)timer -
				   offsetof(struct disk_queue, again)));
}

static void pump(struct disk_queue *queue)
{
	struct command *command;

	while ((command = queue->waiting)) {
		if (!send(command)) {
			reactor_timer_arm(queue->reactor, &queue->again,
					  reactor_now() + AGAIN_NS);
			return;
		}
		queue->waiting = command->next;
		if (!queue->waiting)
			queue->waiting_end = &queue->waiting;
	}
}

static void wait_turn(struct command *command)
{
	put_last(&command->queue->waiting_end, command);
	pump(command->queue);
}

static void retry(struct reactor_timer *timer)
{
	struct command *command = (struct command *)((char *)timer -
		offsetof(struct command, timer));

	if (atomic_load(&command->queue->disk->gone)) {
		finish(command, DISK_GONE);
		return;
	}
	wait_turn(command);
}

/* Completion. */

static const char *op_text(uint8_t op)
{
	static const char *const text[] = {
		[DISK_READ] = "read",
		[DISK_WRITE] = "write",
		[DISK_FLUSH] = "flush",
		[DISK_DISCARD] = "discard",
		[DISK_WRITE_ZEROES] = "write zeroes",
		[DISK_COMPARE] = "compare",
		[DISK_VERIFY] = "verify",
		[DISK_RESERVATION] = "reservation",
	};

	return text[op];
}

/* True: the command will be sent again, and the timer knows when. */
static bool retries(struct command *command, const struct nvme_verdict *verdict)
{
	struct disk_queue *queue = command->queue;
	uint64_t now, at;

	if (!verdict->retry || atomic_load(&queue->disk->gone))
		return false;
	now = reactor_now();
	at = now + verdict->delay_ms * NS_PER_MS;
	if (!command->deadline)
		command->deadline = now + DEADLINE_NS;
	if (at > command->deadline)
		return false;
	if (verdict->copy) {
		command->must_copy = true;
		release(command);
	}
	if (command->retries < UINT16_MAX)
		command->retries++;
	queue->counters.retries++;
	reactor_timer_arm(queue->reactor, &command->timer, at);
	return true;
}

static void failed(struct command *command, int32_t res)
{
	struct disk_request *req = command_request(command);
	struct disk_queue *queue = command->queue;
	struct ring_disk *disk = queue->disk;
	struct nvme_verdict verdict = disk->ops->judge(disk, command, res);
	bool again_later;

	queue->counters.resets += res == -EINTR;
	if (verdict.gone && !atomic_exchange(&disk->gone, true)) {
		log_err("%s is gone: %s", disk->name, disk->ops->text(res));
		uevent_look(&disk->source);
	}
	again_later = retries(command, &verdict);
	/* What a guest asks to be told is no fault. */
	if (!verdict.retry && (verdict.status == DISK_MISCOMPARE ||
			       verdict.status == DISK_CONFLICT)) {
		finish(command, verdict.status);
		return;
	}
	log_warn_limited("%s: %s of %u blocks at %llu: %s (%d)%s", disk->name,
			 op_text(req->op), command->blocks,
			 (unsigned long long)req->lba + command->done,
			 disk->ops->text(res), res,
			 again_later ? ", will be sent again" : "");
	if (!again_later)
		finish(command, verdict.status);
}

static void command_done(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct command *command = (struct command *)op;

	(void)extra;
	if (res != command->good) {
		failed(command, res);
		return;
	}
	command->done += command->blocks;
	if (command->done < command_request(command)->blocks)
		wait_turn(command);
	else
		finish(command, DISK_OK);
}

/* Submission. */

static bool nothing_to_do(const struct ring_disk *disk,
			  const struct disk_request *req)
{
	if (req->op == DISK_FLUSH)
		return !disk->info.write_cache;
	return req->op != DISK_RESERVATION && !req->blocks;
}

static void start(struct disk_queue *queue, struct disk_request *req)
{
	struct command *command = command_of(req);
	enum disk_status status;

	pv_bug(queue->outstanding == queue->depth, queue->outstanding,
	       req->op);
	queue->outstanding++;
	if (req->op < DISK_NR_OPS)
		queue->counters.requests[req->op]++;
	memset(command, 0, offsetof(struct command, transfer.own));
	command->op.done = command_done;
	command->timer.fn = retry;
	command->queue = queue;
	command->must_copy = atomic_load_explicit(&queue->disk->copy_all,
						  memory_order_relaxed);
	status = DISK_GONE;
	if (!atomic_load_explicit(&queue->disk->gone, memory_order_relaxed))
		status = transfer_check(&queue->disk->info,
					atomic_load(&queue->disk->blocks),
					req);
	if (status != DISK_OK)
		finish_later(command, status);
	else if (nothing_to_do(queue->disk, req))
		finish_later(command, DISK_OK);
	else if (queue->waiting || !send(command))
		wait_turn(command);
}

void ring_disk_submit(struct disk_queue *queue, struct disk_request **reqs,
			unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		start(queue, reqs[i]);
}

/* Opening and closing. */

int ring_disk_queue_open(struct disk *disk, struct reactor *r,
			 unsigned int depth, struct disk_queue **out)
{
	struct ring_disk *ring_disk = (struct ring_disk *)disk;
	struct disk_queue *queue = calloc(1, sizeof(*queue));
	int err;

	if (!queue)
		return -ENOMEM;
	queue->disk = ring_disk;
	queue->reactor = r;
	queue->depth = depth;
	queue->waiting_end = &queue->waiting;
	queue->finished_end = &queue->finished;
	queue->finish_call.fn = run_finished;
	queue->again.fn = again;
	err = transfer_pool_open(&queue->pool, ring_disk->memory, r,
				 &ring_disk->info);
	if (err) {
		free(queue);
		return err;
	}
	pthread_mutex_lock(&ring_disk->queues_lock);
	queue->next = ring_disk->queues;
	ring_disk->queues = queue;
	pthread_mutex_unlock(&ring_disk->queues_lock);
	*out = queue;
	return 0;
}

void ring_disk_queue_close(struct disk_queue *queue)
{
	struct disk_queue **at = &queue->disk->queues;

	pv_bug(queue->outstanding, queue->outstanding, queue->depth);
	reactor_timer_cancel(queue->reactor, &queue->again);
	pthread_mutex_lock(&queue->disk->queues_lock);
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	pthread_mutex_unlock(&queue->disk->queues_lock);
	transfer_pool_close(&queue->pool);
	free(queue);
}
