// SPDX-License-Identifier: MIT
/*
 * Calls of a reactor, theory of operation
 *
 * Posters push on a stack; the reader takes it whole and turns it round:
 *
 *	newest -> ... -> oldest -> end        push: before the newest
 *	NULL                                  empty
 *
 * The end marker tells "empty" from "one call, and nothing behind it", so that
 * the poster who finds NULL knows that he is the one to wake the reader.
 *
 * A waited call is a call on the waiter's stack with a lock of its own.
 */
#include <pthread.h>

#include "reactor_calls.h"

static struct reactor_call queue_end;

bool reactor_calls_push(struct reactor_calls *calls, struct reactor_call *call)
{
	struct reactor_call *head;

	if (atomic_exchange(&call->queued, true))
		return false;
	head = atomic_load(&calls->newest);
	do
		call->next = head ? head : &queue_end;
	while (!atomic_compare_exchange_weak(&calls->newest, &head, call));
	return !head;
}

unsigned int reactor_calls_run(struct reactor_calls *calls)
{
	struct reactor_call *call, *next, *ordered = &queue_end;
	unsigned int ran = 0;

	if (!atomic_load_explicit(&calls->newest, memory_order_relaxed))
		return 0;
	call = atomic_exchange(&calls->newest, NULL);
	for (; call && call != &queue_end; call = next) {
		next = call->next;
		call->next = ordered;
		ordered = call;
	}
	for (call = ordered; call != &queue_end; call = next) {
		next = call->next;
		/* From here on it may be posted again, or freed by fn. */
		atomic_store(&call->queued, false);
		call->fn(call);
		ran++;
	}
	return ran;
}

struct waited_call {
	struct reactor_call call; /* first */
	void (*fn)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t done_changed;
	bool done;
};

static void run_waited(struct reactor_call *call)
{
	struct waited_call *waited = (struct waited_call *)call;

	waited->fn(waited->arg);
	pthread_mutex_lock(&waited->lock);
	waited->done = true;
	pthread_cond_signal(&waited->done_changed);
	pthread_mutex_unlock(&waited->lock);
}

void reactor_calls_wait(struct reactor *r, void (*fn)(void *arg), void *arg,
			void (*posted)(void *arg))
{
	struct waited_call waited = {
		.call = { .fn = run_waited },
		.fn = fn,
		.arg = arg,
	};

	pthread_mutex_init(&waited.lock, NULL);
	pthread_cond_init(&waited.done_changed, NULL);
	reactor_post(r, &waited.call);
	if (posted)
		posted(arg);
	pthread_mutex_lock(&waited.lock);
	while (!waited.done)
		pthread_cond_wait(&waited.done_changed, &waited.lock);
	pthread_mutex_unlock(&waited.lock);
	pthread_cond_destroy(&waited.done_changed);
	pthread_mutex_destroy(&waited.lock);
}
