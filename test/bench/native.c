/* SPDX-License-Identifier: MIT */
/*
 * bench_native, theory of operation
 *
 * What the daemon's data path costs, without a VM: the product's objects, as
 * they go into the image, linked with a client that plays the guest. Two ways
 * to run it, of the same cases:
 *
 *	bench_native            time: five measurements of each case
 *	valgrind --tool=callgrind --collect-atstart=no bench_native count
 *	                        instructions: two, shorter ones
 *
 * Only the product is counted. Collection is switched on where the product is
 * entered and off where it leaves:
 *
 *	the client's packets written, read    off
 *	  vmbus_server_signal()               on: the guest's hypercall
 *	  reactor_post()                      off, native_reactor.c
 *	a call on a reactor                   on
 *	  submit() of the null disk           off
 *	  its list of completions             on: some ten for each
 *	  vmbus_transport_ops.signal          on: some ten of the guest driver
 *
 * The memory disk belongs to the product: with it the copying of the data is
 * in the figure, with the null disk it is not. libc is the image's, so a copy
 * costs what it costs there. Callgrind counts a repeated string instruction
 * once for each repetition.
 *
 * Time is that of the time stamp counter from the first call of a reactor to
 * the last of a batch, and of the guest's signals: the client is not in it.
 *
 * Each measurement prints one JSON object. Under callgrind it also ends with a
 * dump that has the case's name: its total belongs to the line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test/bench/native.h"

#define CALIBRATION_NS 20000000
/* Bytes of an item from which on fewer of them do. */
#define BIG_ITEM 65536

static struct {
	bool instructions;
	unsigned int rounds;
	uint64_t items; /* of a measurement */
	double ns_per_tick;
} how = { false, 5, 40000, 0 };

bool bench_counting;

_Noreturn void bench_fail(const char *why)
{
	fprintf(stderr, "bench_native: %s\n", why);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void calibrate(void)
{
	uint64_t ns = now(), ticks = bench_ticks(), passed;

	do {
		passed = now() - ns;
	} while (passed < CALIBRATION_NS);
	how.ns_per_tick = (double)passed / (double)(bench_ticks() - ticks);
}

static void print_text(const char *name, const char *text)
{
	if (text)
		printf(",\"%s\":\"%s\"", name, text);
}

static void print_number(const char *name, uint32_t number)
{
	if (number)
		printf(",\"%s\":%u", name, number);
}

static void print(const struct bench_case *c, const struct tally *t)
{
	double items = (double)t->items;

	printf("{\"name\":\"%s\",\"case\":\"%s\"", c->name, c->kind);
	print_text("disk", c->disk);
	print_text("op", c->op);
	print_number("size", c->size);
	print_number("depth", c->depth);
	print_number("queues", c->queues);
	printf(",\"items\":%llu,\"ns\":%.1f", (unsigned long long)t->items,
	       (double)t->ticks * how.ns_per_tick / items);
	printf(",\"signals_to_host\":%.4f,\"signals_to_guest\":%.4f",
	       (double)t->to_host / items, (double)t->to_guest / items);
	printf(",\"submits\":%.4f,\"copied\":%.0f}\n",
	       (double)t->submits / items, (double)t->copied / items);
}

void bench_measure(const struct bench_case *c, bench_loop *loop, void *state)
{
	uint64_t items = c->size < BIG_ITEM ? how.items : how.items / 8;
	struct tally tally = { 0 };

	loop(state, items / 4, &tally);
	for (unsigned int i = 0; i < how.rounds; i++) {
		tally = (struct tally){ 0 };
		CALLGRIND_ZERO_STATS;
		loop(state, items, &tally);
		CALLGRIND_DUMP_STATS_AT(c->name);
		print(c, &tally);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "count")) {
		how.instructions = true;
		how.rounds = 2;
		how.items = 1024;
	} else if (argc != 1) {
		fprintf(stderr, "usage: bench_native [count]\n");
		return 2;
	}
	if (how.instructions && !RUNNING_ON_VALGRIND)
		bench_fail("only callgrind can count instructions");
	calibrate();
	bench_ring();
	bench_storvsp();
	bench_netvsp();
	bench_trace();
	return 0;
}
