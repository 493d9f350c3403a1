// SPDX-License-Identifier: MIT
/*
 * The worker, theory of operation
 *
 *	server                          worker
 *	begin: FREE -> ASKED ---------> does it: waits for reactors
 *	finish: DONE -> FREE <--------- ASKED -> DONE, writes done_fd
 *
 * One slot, one lock, which is held for as long as the state is looked at. The
 * server never waits for the worker. A reactor that never runs its calls keeps
 * the worker for ever; who asks then is told so, and the rest goes on.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>

#include "diag_worker.h"

LOG_MODULE("diag");

enum state { FREE, ASKED, DONE, ENDING };

struct diag_worker {
	struct diag_config config;
	int done_fd;
	pthread_t thread;
	pthread_mutex_t lock; /* of the state */
	pthread_cond_t asked;
	enum state state;
	struct diag_job job;
	struct diag_answer *answer;
};

static void *work(void *arg)
{
	struct diag_worker *w = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (w->state != ASKED && w->state != ENDING)
			pthread_cond_wait(&w->asked, &w->lock);
		if (w->state == ENDING)
			break;
		pthread_mutex_unlock(&w->lock);
		diag_answer(w->answer, &w->config, &w->job);
		pthread_mutex_lock(&w->lock);
		if (w->state == ASKED)
			w->state = DONE;
		if (write(w->done_fd, &one, sizeof(one)) < 0)
			log_err("done: %s", strerror(errno));
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct diag_worker *diag_worker_create(const struct diag_config *config,
				       int done_fd)
{
	struct diag_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	w->done_fd = done_fd;
	w->answer = diag_answer_create();
	if (!w->answer)
		goto out_free;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->asked, NULL);
	errno = pthread_create(&w->thread, NULL, work, w);
	if (!errno)
		return w;
	diag_answer_destroy(w->answer);
out_free:
	free(w);
	return NULL;
}

void diag_worker_destroy(struct diag_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->state = ENDING;
	pthread_cond_signal(&w->asked);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	diag_answer_destroy(w->answer);
	pthread_cond_destroy(&w->asked);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

bool diag_worker_begin(struct diag_worker *w, const struct diag_job *job)
{
	bool begun = false;

	pthread_mutex_lock(&w->lock);
	if (w->state == FREE) {
		w->job = *job;
		w->state = ASKED;
		pthread_cond_signal(&w->asked);
		begun = true;
	}
	pthread_mutex_unlock(&w->lock);
	return begun;
}

const struct diag_job *diag_worker_finish(struct diag_worker *w)
{
	bool done;

	pthread_mutex_lock(&w->lock);
	done = w->state == DONE;
	if (done)
		w->state = FREE;
	pthread_mutex_unlock(&w->lock);
	return done ? &w->job : NULL;
}
