/* SPDX-License-Identifier: MIT */
/*
 * The exit trace of a VP: what VTL0 stopped for, newest last, always on.
 *
 * The VP's thread writes: trace_begin() when VTL0 is out, trace_what() and
 * trace_value() as far as the exit has such a thing, trace_end() when it is
 * answered. All three together are at most 60 instructions, which `make bench
 * T=native` counts. Anybody else reads (trace_read()), from any thread, also
 * while the VP writes.
 *
 * The ring is one object without a pointer, so it may lie wherever its bytes
 * outlive the daemon.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct inspect;

#define TRACE_RECORDS 1024u /* kept, of each VP; a power of two */
#define TRACE_MAX_REASONS 16u
/* What inspect shows when it is not asked for a number. */
#define TRACE_SHOWN 8u

/* Relaxed atomics, for the reader's sake; trace.c says what orders them. */
struct trace_record {
	_Atomic uint64_t tsc; /* when VTL0 was out */
	_Atomic uint64_t rip; /* of VTL0; 0: the exit has none */
	_Atomic uint64_t qualifier, value;
	_Atomic uint64_t ticks; /* of the TSC, to the answer; 0: under way */
	_Atomic uint32_t reason, access;
};

struct trace_ring {
	_Atomic uint64_t begun;	    /* number of the last record begun... */
	_Atomic uint64_t published; /* ... and of the last one to be read */
	/* When the ring was made, by both clocks: the TSC is given in ns by
	 * what passed since then on either. */
	uint64_t tsc, ns;
	_Atomic uint64_t spent[TRACE_MAX_REASONS]; /* ticks, by reason */
	struct trace_record record[TRACE_RECORDS];
};

struct trace {
	struct trace_ring *ring;
	struct trace_record *now; /* the writer's: the exit under way */
};

/* An exit, as read. */
struct trace_exit {
	uint64_t number; /* from 1 */
	uint64_t tsc;
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	uint32_t reason;
	uint32_t access; /* HV_INTERCEPT_ACCESS_* */
	uint64_t rip;
	uint64_t qualifier; /* port, MSR, GPA, leaf, call: by the reason */
	uint64_t value;
	uint64_t ns; /* to the answer; 0: under way */
};

/* How inspect calls the reasons, and what else it can say of one. */
struct trace_names {
	const char *reason[TRACE_MAX_REASONS]; /* NULL: none of this number */
	/* Its qualifier is the call's code; its value the connection, and
	 * above it (PostMessage) the message's first word or (SignalEvent) the
	 * flag. */
	uint32_t hypercall;
};

/* *ring is all zeroes, and stays where it is. */
void trace_init(struct trace *t, struct trace_ring *ring);

/* ---- writer: the VP's thread ---- */

#define trace_set(field, v) \
	atomic_store_explicit(&(field), (v), memory_order_relaxed)
#define trace_get(field) \
	atomic_load_explicit(&(field), memory_order_relaxed)

static inline void trace_begin(struct trace *t, uint32_t reason,
			       uint32_t access, uint64_t rip)
{
	struct trace_ring *ring = t->ring;
	uint64_t number = trace_get(ring->begun) + 1;
	struct trace_record *r = &ring->record[number % TRACE_RECORDS];

	trace_set(ring->begun, number);
	atomic_thread_fence(memory_order_release);
	trace_set(r->tsc, __builtin_ia32_rdtsc());
	trace_set(r->rip, rip);
	trace_set(r->qualifier, 0);
	trace_set(r->value, 0);
	trace_set(r->ticks, 0);
	trace_set(r->reason, reason);
	trace_set(r->access, access);
	atomic_store_explicit(&ring->published, number, memory_order_release);
	t->now = r;
}

static inline void trace_what(struct trace *t, uint64_t qualifier,
			      uint64_t value)
{
	trace_set(t->now->qualifier, qualifier);
	trace_set(t->now->value, value);
}

/* What comes of a read. */
static inline void trace_value(struct trace *t, uint64_t value)
{
	trace_set(t->now->value, value);
}

static inline void trace_end(struct trace *t)
{
	struct trace_record *r = t->now;
	uint64_t ticks = __builtin_ia32_rdtsc() - trace_get(r->tsc);
	_Atomic uint64_t *spent =
		&t->ring->spent[trace_get(r->reason) % TRACE_MAX_REASONS];

	trace_set(r->ticks, ticks ? ticks : 1);
	trace_set(*spent, trace_get(*spent) + ticks);
}

/* ---- readers: any thread ---- */

/* Number of the newest record; 0: there is none. */
uint64_t trace_newest(const struct trace_ring *ring);

/* Copies record `number`; 0, or -ENOENT when it is gone or was never there. */
int trace_read(const struct trace_ring *ring, uint64_t number,
	       struct trace_exit *out);

/* Time spent on exits of this reason, in ns. */
uint64_t trace_spent(const struct trace_ring *ring, uint32_t reason);

/* The newest `n` records, oldest first: children named by their numbers. */
void trace_describe(const struct trace_ring *ring,
		    const struct trace_names *names, unsigned int n,
		    struct inspect *out);

#endif
