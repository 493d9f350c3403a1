/* SPDX-License-Identifier: MIT */
/*
 * Between the files of bench_native, see native.c.
 *
 * Units: an item is what a figure is given for (a packet, a round trip, an
 * I/O). Threads: one.
 */
#ifndef TEST_BENCH_NATIVE_H
#define TEST_BENCH_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <valgrind/callgrind.h>

#include <pv/disk.h>

/* What a measured loop adds up. */
struct tally {
	uint64_t items;
	uint64_t ticks; /* of the time stamp counter, inside the product */
	uint64_t to_host, to_guest; /* signals */
	uint64_t submits;
	uint64_t copied; /* bytes of data that the product copied */
};

struct bench_case {
	char name[48]; /* also the name of its gate */
	const char *kind, *disk, *op; /* disk, op: may be NULL */
	uint32_t size;		      /* bytes of an item */
	uint32_t depth, queues;	      /* 0: has none */
};

/* Works off at least `items` more, and adds to the tally. */
typedef void bench_loop(void *state, uint64_t items, struct tally *tally);

/* Warms up, measures as often as asked, prints a line each time. */
void bench_measure(const struct bench_case *c, bench_loop *loop, void *state);

/* Are we in the product? Callgrind collects only there. */
extern bool bench_counting;

/* Says so, and returns what was so before. */
static inline bool bench_count(bool on)
{
	bool before = bench_counting;

	if (on != before) {
		bench_counting = on;
		CALLGRIND_TOGGLE_COLLECT;
	}
	return before;
}

static inline uint64_t bench_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

_Noreturn void bench_fail(const char *why);

/* native_ring.c, native_storvsp.c and so on: the cases. */
void bench_ring(void);
void bench_storvsp(void);
void bench_netvsp(void);
void bench_trace(void);

/* native_disk.c: requests end well and no data move. Closed by its ops. NULL:
 * no memory. */
struct disk *bench_disk_null(const struct disk_info *info);

#endif
