/* SPDX-License-Identifier: MIT */
/*
 * The diagnosis server's second thread, for what may have to wait for a VP.
 * One job at a time: while it is at it, diag_worker_begin() refuses another.
 */
#ifndef DIAG_WORKER_H
#define DIAG_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diag_server.h"
#include "ttrpc.h"

#define DIAG_PATH_MAX 256

#define DIAG_CAPTURES 8 /* NICs that are listened to */

enum diag_job_kind { DIAG_INSPECT, DIAG_UPDATE, DIAG_PAUSE, DIAG_RESUME,
		     DIAG_CAPTURE };

struct diag_job {
	enum diag_job_kind kind;
	char path[DIAG_PATH_MAX], value[DIAG_PATH_MAX];
	unsigned int depth;
	/* Of a capture: to be listened to, 0: none, and as data connections. */
	unsigned int nr_conns;
	uint32_t snaplen;
	uint64_t conn[DIAG_CAPTURES];

	/* What came of it. */
	enum ttrpc_code code;
	const char *error; /* unless TTRPC_OK */
	const uint8_t *payload; /* until the next job begins */
	size_t len;
	struct capture *capture[DIAG_CAPTURES]; /* the server's to stop */
};

struct diag_worker;

/* Does a job, on the caller's thread (diag_answer.c). */
struct diag_answer;
struct diag_answer *diag_answer_create(void);
void diag_answer_destroy(struct diag_answer *a);
void diag_answer(struct diag_answer *a, const struct diag_config *config,
		 struct diag_job *job);

/* `done_fd`, an eventfd, is written when a job is done. NULL with errno. */
struct diag_worker *diag_worker_create(const struct diag_config *config,
				       int done_fd);
/* Waits for the job under way. */
void diag_worker_destroy(struct diag_worker *w);
/* Copies `job`; false: there is one under way. */
bool diag_worker_begin(struct diag_worker *w, const struct diag_job *job);
/* The job that is done, or NULL; then it is under way no more. */
const struct diag_job *diag_worker_finish(struct diag_worker *w);

#endif
