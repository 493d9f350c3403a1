// SPDX-License-Identifier: MIT
/*
 * Exit trace, theory of operation
 *
 * A ring of records with one writer that never waits and never asks who reads.
 * Record n, counted from 1, is in slot n % TRACE_RECORDS. Two numbers guard it:
 *
 *	writer                              reader of record n
 *	begun = n + RECORDS   (relaxed)     n <= published?   (acquire)
 *	fence                 (release)     its fields        (relaxed)
 *	the slot's fields     (relaxed)     fence             (acquire)
 *	published = n + ...   (release)     begun < n + RECORDS? (relaxed)
 *
 * published says that the fields of n are there to be read: who sees n in it
 * sees them, or newer ones. begun is moved before the first byte of a slot is:
 * a reader that got any field of a newer record gets, behind its fence, the
 * newer begun as well, and knows that its copy is none. So a copy is believed
 * or dropped, never mixed. On x86 all of this is plain loads and stores.
 *
 * A record is published as its exit begins: if its answer takes for ever, the
 * ring says for what. Until trace_end() the newest record therefore lacks its
 * time, and its qualifier and value may be 0 still.
 *
 * The writer stores ticks of the TSC and no nanoseconds: a division would cost
 * more than the record. Readers divide, by the rate since the ring was made;
 * the TSC of VTL2 is the host's promise to be constant.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <hv_reg.h>
#include <pv/inspect.h>

#include "trace.h"

_Static_assert((TRACE_RECORDS & (TRACE_RECORDS - 1)) == 0, "a mask will do");
_Static_assert(TRACE_SHOWN < TRACE_RECORDS, "part of the ring");

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void trace_init(struct trace *t, struct trace_ring *ring)
{
	/* All its pages now: no exit waits for one, and memory in use does not
	 * grow with the first thousand. */
	memset(ring, 0, sizeof(*ring));
	ring->ns = now();
	ring->tsc = __builtin_ia32_rdtsc();
	t->ring = ring;
	t->now = &ring->record[0];
}

/* ---- reading ---- */

static uint64_t to_ns(const struct trace_ring *ring, uint64_t ticks)
{
	uint64_t passed = __builtin_ia32_rdtsc() - ring->tsc;

	if (!passed)
		return 0;
	return (uint64_t)((unsigned __int128)ticks * (now() - ring->ns) /
			  passed);
}

uint64_t trace_newest(const struct trace_ring *ring)
{
	return atomic_load_explicit(&ring->published, memory_order_acquire);
}

int trace_read(const struct trace_ring *ring, uint64_t number,
	       struct trace_exit *out)
{
	const struct trace_record *r = &ring->record[number % TRACE_RECORDS];
	uint64_t ticks;

	if (!number || number > trace_newest(ring))
		return -ENOENT;
	out->number = number;
	out->tsc = trace_get(r->tsc);
	out->rip = trace_get(r->rip);
	out->qualifier = trace_get(r->qualifier);
	out->value = trace_get(r->value);
	out->reason = trace_get(r->reason);
	out->access = trace_get(r->access);
	ticks = trace_get(r->ticks);
	atomic_thread_fence(memory_order_acquire);
	if (trace_get(ring->begun) - number >= TRACE_RECORDS)
		return -ENOENT;
	out->time = ring->ns + to_ns(ring, out->tsc - ring->tsc);
	out->ns = ticks ? to_ns(ring, ticks) : 0;
	if (ticks && !out->ns)
		out->ns = 1;
	return 0;
}

uint64_t trace_spent(const struct trace_ring *ring, uint32_t reason)
{
	return to_ns(ring, trace_get(ring->spent[reason % TRACE_MAX_REASONS]));
}

/* ---- inspect ---- */

/* Besides the figures. */
static void describe_call(const struct trace_exit *e, struct inspect *out)
{
	switch (e->qualifier & HV_CONTROL_CODE_MASK) {
	case HV_CALL_POST_MESSAGE:
		inspect_text(out, "call", "PostMessage");
		inspect_u64(out, "message", e->value >> 32);
		break;
	case HV_CALL_SIGNAL_EVENT:
		inspect_text(out, "call", "SignalEvent");
		break;
	}
}

static const char *access_name(uint32_t access)
{
	static const char *const name[] = { "read", "write", "execute" };

	return access < sizeof(name) / sizeof(name[0]) ? name[access] : "?";
}

static void describe(const struct trace_exit *e,
		     const struct trace_names *names, struct inspect *out)
{
	const char *reason = names->reason[e->reason % TRACE_MAX_REASONS];

	inspect_u64(out, "tsc", e->tsc);
	inspect_u64(out, "time", e->time);
	inspect_text(out, "reason", reason ? reason : "?");
	inspect_text(out, "access", access_name(e->access));
	inspect_hex(out, "rip", e->rip);
	inspect_hex(out, "qualifier", e->qualifier);
	inspect_hex(out, "value", e->value);
	inspect_u64(out, "ns", e->ns);
	if (e->reason == names->hypercall)
		describe_call(e, out);
}

void trace_describe(const struct trace_ring *ring,
		    const struct trace_names *names, unsigned int n,
		    struct inspect *out)
{
	uint64_t newest = trace_newest(ring);

	for (uint64_t i = newest > n ? newest - n : 0; i++ < newest;) {
		struct trace_exit e;
		char name[24];

		if (trace_read(ring, i, &e))
			continue;
		snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
		if (!inspect_begin(out, name))
			continue;
		describe(&e, names, out);
		inspect_end(out);
	}
}
