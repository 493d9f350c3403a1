/* SPDX-License-Identifier: MIT */
/*
 * io_uring access for backends that do I/O on a reactor's ring.
 *
 * Each reactor owns one ring (128-byte SQEs, 32-byte CQEs, deferred task
 * work). A backend fills SQEs; the reactor submits all of them with one system
 * call per pass and runs op->done() for each completion of the pass.
 */
#ifndef PV_URING_H
#define PV_URING_H

#include <stdint.h>

struct reactor;
struct io_uring_sqe;

struct uring_op {
	/* res: as io_uring gives it (>= 0, or -errno; NVMe passthrough: status
	 * field); extra: the first 8 bytes of the big CQE. Reactor thread. */
	void (*done)(struct uring_op *op, int32_t res, uint64_t extra);
};

/*
 * The next free SQE, zeroed, its completion bound to `op`, which must live
 * until done() ran. Submits what is queued when the submission ring is full;
 * NULL only when the kernel refuses to take any (the caller retries later).
 * Reactor thread only.
 */
struct io_uring_sqe *uring_sqe(struct reactor *r, struct uring_op *op);

/*
 * Registered buffers. Guest RAM is registered once, one buffer per RAM range;
 * a command may name a buffer only if all its pieces lie inside it.
 * uring_buffer() gives the index for [va, va + len), or -EFAULT.
 */
int uring_buffer(const struct reactor *r, const void *va, uint64_t len);

#endif
