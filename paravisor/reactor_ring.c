/* SPDX-License-Identifier: MIT */
/*
 * A reactor's ring, theory of operation
 *
 * Owns: one io_uring. Its SQEs have 128 bytes and its CQEs 32, because NVMe
 * passthrough needs that.
 *
 * Deferred task work: the kernel keeps what completed on a list, sets
 * IORING_SQ_TASKRUN in the shared flags and signals the eventfd; completions
 * are posted only inside io_uring_enter(). So the thread sees without a
 * system call whether there is anything to fetch, and a completion can not
 * slip in between its last look and the entry of VTL0 unnoticed.
 *
 * The kernel signals the eventfd for completions that it posts inside our own
 * io_uring_enter(), too. That would cancel the very next entry of VTL0 for
 * nothing, so the signal is switched off during the call. What completes in
 * that window sets IORING_SQ_TASKRUN silently; ring_enter() switches the
 * signal on first and the reactor looks at the flag after, with a barrier
 * between, while the kernel sets the flag first and looks at the switch
 * after: at least one of the two notices.
 *
 * The kernel sets the flag when its list was empty, and clears it when it begins
 * to run the list. What completes while it runs finds the list empty and is
 * often run still: the flag stays set, and nothing is due. The kernel does not
 * clear it again before something is, and a thread that goes by it would call
 * for ever. So ring_enter() clears it first: what was on the list is run by that
 * call, and what comes later sets it again. A flag that tells nothing costs one
 * call so.
 *
 * Buffers: guest RAM is pinned once and all rings share the table; one RAM
 * range is one buffer. A ring with a single issuer can not be cloned from by
 * another thread, so the first ring keeps a second, plain one that never does
 * I/O: the buffers are registered there and everybody clones them.
 *
 * Failure answers: a kernel that does not pin guest RAM costs the zero copy
 * path, not the service: ring_buffer() finds nothing then. When the kernel
 * takes no submission for want of memory, the entries stay queued and the
 * reactor comes back.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <pv/log.h>

#include "reactor_ring.h"

LOG_MODULE("ring");

#define SQ_ENTRIES 256
#define CQ_ENTRIES (4 * SQ_ENTRIES)

int ring_open(struct ring *ring, int wake_fd, struct reactor_counters *counters)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_SQE128 | IORING_SETUP_CQE32 |
			 IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int err;

	memset(ring, 0, sizeof(*ring));
	ring->counters = counters;
	err = io_uring_queue_init_params(SQ_ENTRIES, &ring->uring, &params);
	if (err) {
		log_err("io_uring: %s", strerror(-err));
		return err;
	}
	err = io_uring_register_eventfd(&ring->uring, wake_fd);
	if (err) {
		log_err("io_uring eventfd: %s", strerror(-err));
		io_uring_queue_exit(&ring->uring);
	}
	return err;
}

void ring_close(struct ring *ring)
{
	io_uring_queue_exit(&ring->uring);
	if (ring->keeps)
		io_uring_queue_exit(&ring->keeper);
	ring->keeps = false;
	ring->nr_buffers = 0;
}

/* Registered buffers. */

static int keep_buffers(struct ring *ring, const struct guest_memory *memory)
{
	struct iovec iov[GUEST_MEMORY_MAX_RANGES];
	int err = io_uring_queue_init(1, &ring->keeper, 0);

	if (err)
		return err;
	for (unsigned int i = 0; i < memory->nr_ranges; i++) {
		iov[i].iov_base = memory->range[i].va;
		iov[i].iov_len = memory->range[i].size;
	}
	err = io_uring_register_buffers(&ring->keeper, iov, memory->nr_ranges);
	if (!err)
		err = io_uring_clone_buffers(&ring->uring, &ring->keeper);
	if (err)
		io_uring_queue_exit(&ring->keeper);
	return err;
}

void ring_register(struct ring *ring, const struct guest_memory *memory)
{
	int err = keep_buffers(ring, memory);

	if (err) {
		log_warn("guest memory can not be registered (%s): "
			 "disk data will be copied", strerror(-err));
		return;
	}
	ring->keeps = true;
	for (unsigned int i = 0; i < memory->nr_ranges; i++) {
		ring->buffer[i].va = memory->range[i].va;
		ring->buffer[i].size = memory->range[i].size;
	}
	ring->nr_buffers = memory->nr_ranges;
}

void ring_clone(struct ring *ring, struct ring *from)
{
	int err;

	if (!from->keeps)
		return;
	err = io_uring_clone_buffers(&ring->uring, &from->keeper);
	if (err) {
		log_warn("registered guest memory can not be shared (%s): "
			 "disk data will be copied", strerror(-err));
		return;
	}
	memcpy(ring->buffer, from->buffer, sizeof(ring->buffer));
	ring->nr_buffers = from->nr_buffers;
}

int ring_buffer(const struct ring *ring, const void *va, uint64_t len)
{
	for (unsigned int i = 0; i < ring->nr_buffers; i++) {
		uint64_t offset = (uintptr_t)va - (uintptr_t)ring->buffer[i].va;

		if ((uintptr_t)va >= (uintptr_t)ring->buffer[i].va &&
		    offset < ring->buffer[i].size &&
		    len <= ring->buffer[i].size - offset)
			return (int)i;
	}
	return -EFAULT;
}

/* Submission and completion. */

struct io_uring_sqe *ring_sqe(struct ring *ring, struct uring_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

	if (!sqe) {
		if (ring_enter(ring))
			return NULL;
		sqe = io_uring_get_sqe(&ring->uring);
		if (!sqe)
			return NULL;
	}
	memset(sqe, 0, 2 * sizeof(*sqe)); /* IORING_SETUP_SQE128 */
	io_uring_sqe_set_data(sqe, op);
	return sqe;
}

bool ring_due(const struct ring *ring)
{
	return io_uring_sq_ready(&ring->uring) ||
	       (IO_URING_READ_ONCE(*ring->uring.sq.kflags) &
		(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

bool ring_has_completed(const struct ring *ring)
{
	return (IO_URING_READ_ONCE(*ring->uring.sq.kflags) &
		IORING_SQ_TASKRUN) || io_uring_cq_ready(&ring->uring);
}

int ring_enter(struct ring *ring)
{
	unsigned int *flags = ring->uring.sq.kflags;
	int submitted;

	if (IO_URING_READ_ONCE(*flags) & IORING_SQ_TASKRUN)
		__atomic_fetch_and(flags, ~IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
	io_uring_cq_eventfd_toggle(&ring->uring, false);
	submitted = io_uring_submit_and_get_events(&ring->uring);
	io_uring_cq_eventfd_toggle(&ring->uring, true);
	atomic_thread_fence(memory_order_seq_cst);
	ring->counters->enters++;
	if (submitted >= 0)
		ring->counters->sqes += (unsigned int)submitted;
	if (submitted >= 0 && !io_uring_sq_ready(&ring->uring))
		return 0;
	/* Not all was taken, and then the list is not run. */
	__atomic_fetch_or(flags, IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
	if (submitted >= 0)
		submitted = -EAGAIN;
	if (submitted != -EINTR)
		log_warn_limited("io_uring_enter: %s", strerror(-submitted));
	return submitted;
}

unsigned int ring_reap(struct ring *ring, unsigned int most)
{
	unsigned int reaped = 0;

	while (reaped < most) {
		struct io_uring_cqe_iter iter =
			io_uring_cqe_iter_init(&ring->uring);
		struct io_uring_cqe *cqe;
		struct uring_op *op;
		uint64_t extra;
		int32_t res;

		if (!io_uring_cqe_iter_next(&iter, &cqe))
			break;
		op = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		extra = cqe->big_cqe[0];
		/* Given back before done(), which may submit. */
		io_uring_cq_advance(&ring->uring, 1);
		reaped++;
		if (op)
			op->done(op, res, extra);
	}
	ring->counters->cqes += reaped;
	return reaped;
}
