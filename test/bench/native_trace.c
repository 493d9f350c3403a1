/* SPDX-License-Identifier: MIT */
/*
 * The exit trace's bench: one record, as an exit with a qualifier and a result
 * makes it. The loop's own three instructions are in the figure.
 */
#include "paravisor/trace.h"
#include "test/bench/native.h"

static void records(void *state, uint64_t items, struct tally *t)
{
	struct trace *trace = state;
	uint64_t start = bench_ticks();

	bench_count(true);
	for (; t->items < items; t->items++) {
		/* The VP is reached by a pointer in the daemon, too. */
		__asm__ volatile("" : "+r"(trace));
		trace_begin(trace, (uint32_t)t->items % 8, 1, t->items);
		trace_what(trace, t->items, 0);
		trace_value(trace, t->items);
		trace_end(trace);
	}
	bench_count(false);
	t->ticks += bench_ticks() - start;
}

void bench_trace(void)
{
	static const struct bench_case c = { .name = "trace-record",
					     .kind = "trace" };
	static struct trace_ring ring;
	struct trace trace;

	trace_init(&trace, &ring);
	bench_measure(&c, records, &trace);
}
