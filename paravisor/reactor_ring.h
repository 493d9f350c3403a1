/* SPDX-License-Identifier: MIT */
/*
 * The io_uring of one reactor: set-up, submission, completions, registered
 * buffers. Knows nothing of calls, timers and watches. All calls on the
 * thread that opened the ring, except where said.
 */
#ifndef PARAVISOR_REACTOR_RING_H
#define PARAVISOR_REACTOR_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/uring.h>

#include "reactor.h"

struct ring {
	struct io_uring uring;
	struct io_uring keeper; /* of the buffers; ring_register() makes it */
	bool keeps;
	unsigned int nr_buffers;
	struct {
		const uint8_t *va;
		uint64_t size;
	} buffer[GUEST_MEMORY_MAX_RANGES]; /* index = io_uring's index */
	struct reactor_counters *counters; /* of the reactor */
};

/* `wake_fd`: an eventfd, signalled when the kernel has completions to post.
 * 0 or -errno, logged. */
int ring_open(struct ring *ring, int wake_fd,
	      struct reactor_counters *counters);
void ring_close(struct ring *ring);

/* Failure is logged and leaves the ring without buffers. */
void ring_register(struct ring *ring, const struct guest_memory *memory);
/* `from` may belong to another thread; it is open and stays so. */
void ring_clone(struct ring *ring, struct ring *from);

/* Index of the buffer that holds [va, va + len), or -EFAULT. */
int ring_buffer(const struct ring *ring, const void *va, uint64_t len);

/* The next free SQE, zeroed, for `op` (NULL: nobody wants its completion).
 * NULL when the kernel takes none of a full ring. */
struct io_uring_sqe *ring_sqe(struct ring *ring, struct uring_op *op);

/* True when ring_enter() has something to do. */
bool ring_due(const struct ring *ring);

/* True when the kernel has completions for us, posted or not. */
bool ring_has_completed(const struct ring *ring);

/* Submits all that is queued and lets the kernel post what has completed.
 * 0 or -errno, logged. */
int ring_enter(struct ring *ring);

/* Runs done() of up to `most` posted completions; returns how many. */
unsigned int ring_reap(struct ring *ring, unsigned int most);

#endif
