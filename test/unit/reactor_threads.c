/* SPDX-License-Identifier: MIT */
/*
 * Threaded reactors, theory of operation
 *
 * Each reactor is a loop of vmm on a thread of its own. Draining sends a call
 * that does nothing round all of them: calls run in the order of posting, so
 * each round sees the end of what was posted before it. A message to the VMBus
 * server leads at most through four reactors, one after the other.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "test/unit/reactor_inline.h"
#include "test/vmm/loop.h"

#define MAX_REACTORS 64
#define HOPS 6

static struct {
	struct reactor *loop;
	pthread_t thread;
} threads[MAX_REACTORS];

static void *run(void *loop)
{
	loop_run(loop);
	return NULL;
}

struct reactor *reactor_inline_create(void)
{
	unsigned int i = 0;

	while (i < MAX_REACTORS && threads[i].loop)
		i++;
	if (i < MAX_REACTORS)
		threads[i].loop = loop_create();
	if (i == MAX_REACTORS || !threads[i].loop ||
	    pthread_create(&threads[i].thread, NULL, run, threads[i].loop)) {
		fprintf(stderr, "threaded reactor: cannot be made\n");
		abort();
	}
	return threads[i].loop;
}

void reactor_inline_destroy(struct reactor *reactor)
{
	for (unsigned int i = 0; i < MAX_REACTORS; i++) {
		if (threads[i].loop != reactor)
			continue;
		loop_stop(reactor);
		pthread_join(threads[i].thread, NULL);
		loop_destroy(reactor);
		threads[i].loop = NULL;
		return;
	}
}

static void nothing(void *arg)
{
	(void)arg;
}

void reactor_inline_drain(void)
{
	for (unsigned int hop = 0; hop < HOPS; hop++)
		for (unsigned int i = 0; i < MAX_REACTORS; i++)
			if (threads[i].loop)
				reactor_run(threads[i].loop, nothing, NULL);
}
