/* SPDX-License-Identifier: MIT */
/*
 * Passthrough queue, theory of operation
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
 * together. A discard or write-zeroes beyond the device's limit is sent in
 * parts, one after the other.
 *
 * Data, three ways:
 *
 *	direct   the pieces lie in one registered buffer: the device gets the
 *	         guest's pages, each under a hold
 *	buffer   the caller brought memory of ours
 *	copied   registration or the self-test failed, or the pieces lie in
 *	         two ranges of guest RAM: by way of a buffer of this queue
 *
 * Threads: all on the queue's reactor.
 *
 * Failure answers: retries as status.c judges, until DEADLINE_NS after the
 * first failure; the kernel bounds every single attempt (30 s, then it resets
 * the controller). What lacks memory or an SQE waits, in order, for a
 * completion or for AGAIN_NS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <pv/log.h>
#include <pv/uring.h>

#include "command.h"
#include "namespace.h"
#include "status.h"

LOG_MODULE("nvme");

#define DEADLINE_NS 60000000000ull
#define AGAIN_NS 1000000ull
#define NS_PER_MS 1000000ull
#define LISTS 8
#define BUFFERS 4
#define OWN_PIECES 12

enum data_way { DATA_NONE, DATA_DIRECT, DATA_BUFFER, DATA_COPIED };

struct command {
	struct uring_op op; /* first */
	struct reactor_timer timer;
	struct disk_queue *queue;
	struct command *next;
	uint64_t deadline;  /* 0 until it failed once */
	struct iovec *iov;  /* own[], or a list of the queue */
	uint32_t blocks;    /* of the part in flight */
	uint32_t done;	    /* blocks of the parts before */
	uint16_t retries;
	uint8_t way;	    /* enum data_way */
	uint8_t status;	    /* enum disk_status, when finished */
	bool prepared, must_copy;
	int16_t buffer; /* registered, or -1 */
	union {
		struct iovec own[OWN_PIECES];
		struct nvme_dsm_range range;
	};
};
_Static_assert(sizeof(struct command) <=
		       sizeof(((struct disk_request *)0)->backend),
	       "a command lives in the request's own words");

static void pump(struct disk_queue *queue);

static struct command *command_of(struct disk_request *req)
{
	return (struct command *)req->backend;
}

static struct disk_request *request_of(struct command *command)
{
	return (struct disk_request *)((char *)command -
		offsetof(struct disk_request, backend));
}

static void put_last(struct command ***end, struct command *command)
{
	command->next = NULL;
	**end = command;
	*end = &command->next;
}

static bool has_data(const struct disk_request *req)
{
	return req->op == DISK_READ || req->op == DISK_WRITE;
}

/* What the request must be like; DISK_OK if it is. */
static enum disk_status check(const struct namespace *ns,
			      const struct disk_request *req)
{
	const struct disk_info *info = &ns->info;
	const struct gpa_range *r = req->ranges;
	uint64_t bytes = (uint64_t)req->blocks * info->block_size, sum = 0;

	if (atomic_load_explicit(&ns->gone, memory_order_relaxed))
		return DISK_GONE;
	if (req->op != DISK_READ && req->op != DISK_FLUSH && info->read_only)
		return DISK_READ_ONLY;
	if (req->op == DISK_FLUSH)
		return DISK_OK;
	if (req->lba > info->blocks || req->blocks > info->blocks - req->lba)
		return DISK_OUT_OF_RANGE;
	if (req->op == DISK_DISCARD)
		return info->discard_granularity ? DISK_OK : DISK_UNSUPPORTED;
	if (req->op == DISK_WRITE_ZEROES)
		return info->write_zeroes ? DISK_OK : DISK_UNSUPPORTED;
	if (!has_data(req) || !req->blocks || bytes > info->max_transfer)
		return DISK_INVALID;
	if (req->buffer)
		return req->nr_ranges ? DISK_INVALID : DISK_OK;
	if (!req->nr_ranges || req->nr_ranges > info->max_ranges)
		return DISK_INVALID;
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		if (r[i].gpa & (info->range_alignment - 1) || !r[i].len)
			return DISK_INVALID;
		if (i && (r[i].gpa | (r[i - 1].gpa + r[i - 1].len)) &
				 info->gap_mask)
			return DISK_INVALID;
		sum += r[i].len;
	}
	return sum == bytes ? DISK_OK : DISK_INVALID;
}

/* Data. */

static void drop_holds(struct command *command, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct guest_hold hold = {
			.va = (__guest_force void __guest *)
				command->iov[i].iov_base,
			.len = (uint32_t)command->iov[i].iov_len,
		};

		guest_memory_drop(command->queue->ns->memory, &hold);
	}
}

static void put_list(struct command *command)
{
	struct disk_queue *queue = command->queue;

	if (command->iov && command->iov != command->own)
		queue->free_list[queue->nr_free_lists++] = command->iov;
	command->iov = NULL;
}

/* Holds the guest's pages. 0; -EAGAIN: no list free; -EFAULT: not directly. */
static int prepare_direct(struct command *command)
{
	struct disk_request *req = request_of(command);
	struct disk_queue *queue = command->queue;
	struct guest_hold hold;
	unsigned int i;
	int buffer = 0;

	command->iov = command->own;
	if (req->nr_ranges > OWN_PIECES) {
		if (!queue->nr_free_lists)
			return -EAGAIN;
		command->iov = queue->free_list[--queue->nr_free_lists];
	}
	for (i = 0; i < req->nr_ranges; i++) {
		void *va;

		if (guest_memory_hold(queue->ns->memory, req->ranges[i],
				      &hold))
			goto out_drop;
		va = (__guest_force void *)hold.va;
		command->iov[i].iov_base = va;
		command->iov[i].iov_len = hold.len;
		buffer = uring_buffer(queue->reactor, va, hold.len);
		if (buffer < 0 || (i && buffer != command->buffer)) {
			i++;
			goto out_drop;
		}
		command->buffer = (int16_t)buffer;
	}
	command->way = DATA_DIRECT;
	return 0;
out_drop:
	drop_holds(command, i);
	put_list(command);
	command->buffer = -1;
	return -EFAULT;
}

static int copy_ranges(struct command *command, bool to_guest)
{
	struct guest_memory *memory = command->queue->ns->memory;
	struct disk_request *req = request_of(command);
	uint8_t *at = command->own[0].iov_base;

	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		const struct gpa_range *r = &req->ranges[i];
		int err = to_guest ? guest_memory_write(memory, r->gpa, at,
							r->len)
				   : guest_memory_read(memory, r->gpa, at,
						       r->len);

		if (err)
			return err;
		at += r->len;
	}
	return 0;
}

/* Data by way of memory of ours. 0; -EAGAIN: none free; -EFAULT. */
static int prepare_copied(struct command *command)
{
	struct disk_request *req = request_of(command);
	struct disk_queue *queue = command->queue;
	uint32_t bytes = req->blocks * queue->ns->info.block_size;

	command->iov = command->own;
	command->buffer = -1;
	command->own[0].iov_len = bytes;
	if (req->buffer) {
		command->own[0].iov_base = req->buffer;
		command->way = DATA_BUFFER;
		return 0;
	}
	if (!queue->nr_free_buffers)
		return -EAGAIN;
	command->own[0].iov_base =
		queue->free_buffer[--queue->nr_free_buffers];
	command->way = DATA_COPIED;
	if (req->op == DISK_WRITE)
		return copy_ranges(command, false);
	return 0;
}

static int prepare(struct command *command)
{
	struct disk_request *req = request_of(command);
	int err = -EFAULT;

	if (command->prepared)
		return 0;
	if (has_data(req)) {
		if (!req->buffer && !command->must_copy)
			err = prepare_direct(command);
		if (err == -EFAULT)
			err = prepare_copied(command);
		if (err)
			return err;
	}
	command->prepared = true;
	return 0;
}

/* Gives back what prepare() took. */
static void release(struct command *command)
{
	struct disk_queue *queue = command->queue;

	if (command->way == DATA_DIRECT)
		drop_holds(command, request_of(command)->nr_ranges);
	else if (command->way == DATA_COPIED)
		queue->free_buffer[queue->nr_free_buffers++] =
			command->own[0].iov_base;
	if (command->way != DATA_NONE)
		put_list(command);
	command->way = DATA_NONE;
	command->prepared = false;
}

/* The end of a request. */

static void finish(struct command *command, enum disk_status status)
{
	struct disk_request *req = request_of(command);
	struct disk_queue *queue = command->queue;
	struct queue_counters *c = &queue->counters;
	uint64_t bytes = (uint64_t)req->blocks * queue->ns->info.block_size;

	if (status == DISK_OK && command->way == DATA_COPIED &&
	    req->op == DISK_READ && copy_ranges(command, true))
		status = DISK_INVALID;
	if (status == DISK_OK && command->way == DATA_DIRECT)
		c->direct_bytes += bytes;
	else if (status == DISK_OK && command->way == DATA_COPIED)
		c->copied_bytes += bytes;
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

static uint32_t part_of(const struct namespace *ns,
			const struct disk_request *req, uint32_t left)
{
	if (req->op == DISK_DISCARD && left > ns->discard_blocks)
		return (uint32_t)ns->discard_blocks;
	if (req->op == DISK_WRITE_ZEROES && left > ns->zeroes_blocks)
		return ns->zeroes_blocks;
	return left;
}

static void fill(struct command *command, struct io_uring_sqe *sqe)
{
	struct disk_request *req = request_of(command);
	const struct namespace *ns = command->queue->ns;
	const struct command_target target = { .fd = ns->fd,
					       .nsid = ns->nsid };
	const struct command_data data = {
		.iov = command->iov,
		.nr = command->way == DATA_DIRECT ? req->nr_ranges : 1,
		.buffer = command->buffer,
	};
	uint64_t lba = req->lba + command->done;

	command->blocks = part_of(ns, req, req->blocks - command->done);
	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		command_transfer(sqe, &target, req->op == DISK_WRITE,
				 req->flags & DISK_FUA, lba, command->blocks,
				 &data);
		break;
	case DISK_FLUSH:
		command_flush(sqe, &target);
		break;
	case DISK_DISCARD:
		command_discard(sqe, &target, &command->range, lba,
				command->blocks);
		break;
	case DISK_WRITE_ZEROES:
		command_zeroes(sqe, &target, lba, command->blocks);
		break;
	}
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

	if (atomic_load(&command->queue->ns->gone)) {
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
	};

	return text[op];
}

/* True: the command will be sent again, and the timer knows when. */
static bool retries(struct command *command, const struct nvme_verdict *verdict)
{
	struct disk_queue *queue = command->queue;
	uint64_t now, at;

	if (!verdict->retry || atomic_load(&queue->ns->gone))
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
	struct disk_request *req = request_of(command);
	struct disk_queue *queue = command->queue;
	struct namespace *ns = queue->ns;
	const struct nvme_attempt attempt = {
		.retries = command->retries,
		.copied = command->way != DATA_DIRECT,
		.crdt = ns->crdt,
	};
	struct nvme_verdict verdict = nvme_judge(res, &attempt);
	bool again_later;

	queue->counters.resets += res == -EINTR;
	if (verdict.gone && !atomic_exchange(&ns->gone, true))
		log_err("%s is gone: %s", ns->name, nvme_result_text(res));
	again_later = retries(command, &verdict);
	log_warn_limited("%s: %s of %u blocks at %llu: %s (%d)%s", ns->name,
			 op_text(req->op), command->blocks,
			 (unsigned long long)req->lba + command->done,
			 nvme_result_text(res), res,
			 again_later ? ", will be sent again" : "");
	if (!again_later)
		finish(command, verdict.status);
}

static void command_done(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct command *command = (struct command *)op;

	(void)extra;
	if (res) {
		failed(command, res);
		return;
	}
	command->done += command->blocks;
	if (command->done < request_of(command)->blocks)
		wait_turn(command);
	else
		finish(command, DISK_OK);
}

/* Submission. */

static void count(struct queue_counters *c, uint8_t op)
{
	switch (op) {
	case DISK_READ:
		c->reads++;
		break;
	case DISK_WRITE:
		c->writes++;
		break;
	case DISK_FLUSH:
		c->flushes++;
		break;
	case DISK_DISCARD:
		c->discards++;
		break;
	case DISK_WRITE_ZEROES:
		c->zeroes++;
		break;
	}
}

static void start(struct disk_queue *queue, struct disk_request *req, bool copy)
{
	struct command *command = command_of(req);
	enum disk_status status;

	pv_bug(queue->outstanding == queue->depth, queue->outstanding,
	       req->op);
	queue->outstanding++;
	count(&queue->counters, req->op);
	memset(command, 0, offsetof(struct command, own));
	command->op.done = command_done;
	command->timer.fn = retry;
	command->queue = queue;
	command->buffer = -1;
	command->must_copy = copy || atomic_load_explicit(
		&queue->ns->copy_all, memory_order_relaxed);
	status = check(queue->ns, req);
	if (status != DISK_OK)
		finish_later(command, status);
	else if (req->op == DISK_FLUSH ? !queue->ns->info.write_cache
				       : !req->blocks)
		finish_later(command, DISK_OK); /* nothing to do */
	else if (queue->waiting || !send(command))
		wait_turn(command);
}

void passthrough_submit(struct disk_queue *queue, struct disk_request **reqs,
			unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		start(queue, reqs[i], false);
}

void passthrough_submit_copied(struct disk_queue *queue,
			       struct disk_request *req)
{
	start(queue, req, true);
}

/* Opening and closing. */

static int make_pools(struct disk_queue *queue)
{
	const struct disk_info *info = &queue->ns->info;
	size_t buffer = (info->max_transfer + GUEST_PAGE_SIZE - 1) &
			~(GUEST_PAGE_SIZE - 1);

	queue->lists = calloc((size_t)LISTS * info->max_ranges,
			      sizeof(struct iovec));
	queue->free_list = calloc(LISTS, sizeof(*queue->free_list));
	queue->free_buffer = calloc(BUFFERS, sizeof(*queue->free_buffer));
	/* Costs nothing until a page is used. */
	queue->buffers = mmap(NULL, BUFFERS * buffer, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (queue->buffers == MAP_FAILED)
		queue->buffers = NULL;
	if (!queue->lists || !queue->free_list || !queue->free_buffer ||
	    !queue->buffers)
		return -ENOMEM;
	for (unsigned int i = 0; i < LISTS; i++)
		queue->free_list[queue->nr_free_lists++] =
			queue->lists + (size_t)i * info->max_ranges;
	for (unsigned int i = 0; i < BUFFERS; i++)
		queue->free_buffer[queue->nr_free_buffers++] =
			queue->buffers + i * buffer;
	return 0;
}

static void free_queue(struct disk_queue *queue)
{
	size_t buffer = (queue->ns->info.max_transfer + GUEST_PAGE_SIZE - 1) &
			~(GUEST_PAGE_SIZE - 1);

	if (queue->buffers)
		munmap(queue->buffers, BUFFERS * buffer);
	free(queue->free_buffer);
	free(queue->free_list);
	free(queue->lists);
	free(queue);
}

int passthrough_open(struct disk *disk, struct reactor *r, unsigned int depth,
		     struct disk_queue **out)
{
	struct namespace *ns = (struct namespace *)disk;
	struct disk_queue *queue = calloc(1, sizeof(*queue));
	int err;

	if (!queue)
		return -ENOMEM;
	queue->ns = ns;
	queue->reactor = r;
	queue->depth = depth;
	queue->waiting_end = &queue->waiting;
	queue->finished_end = &queue->finished;
	queue->finish_call.fn = run_finished;
	queue->again.fn = again;
	err = make_pools(queue);
	if (err) {
		free_queue(queue);
		return err;
	}
	pthread_mutex_lock(&ns->queues_lock);
	queue->next = ns->queues;
	ns->queues = queue;
	pthread_mutex_unlock(&ns->queues_lock);
	*out = queue;
	return 0;
}

void passthrough_close(struct disk_queue *queue)
{
	struct disk_queue **at = &queue->ns->queues;

	pv_bug(queue->outstanding, queue->outstanding, queue->depth);
	reactor_timer_cancel(queue->reactor, &queue->again);
	pthread_mutex_lock(&queue->ns->queues_lock);
	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	pthread_mutex_unlock(&queue->ns->queues_lock);
	free_queue(queue);
}
