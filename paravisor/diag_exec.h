/* SPDX-License-Identifier: MIT */
/*
 * A command that is about to be started, for diag_process.c: request, streams,
 * spawn, in this order. The server's thread.
 */
#ifndef DIAG_EXEC_H
#define DIAG_EXEC_H

#include "diag_state.h"

#define EXEC_MAX_WORDS 64

/* An ExecRequest. Its texts are copied, for they need an end each. */
struct exec {
	char *command;
	char *argv[EXEC_MAX_WORDS + 2];
	char *envp[EXEC_MAX_WORDS + 1];
	unsigned int nr_args, nr_env;
	bool tty, combine, clear_env, raw;
	uint64_t conn[3];
	int client[3]; /* the connections; -1: none, or handed on */
	int child[3];  /* what the command gets; -1: /dev/null */
	int ours[3];   /* the other ends; -1: none */
	char terminal[32];
	size_t used;
	char text[DIAG_REQUEST_MAX + EXEC_MAX_WORDS + 1];
};

/* NULL: no memory. */
struct exec *exec_create(void);
/* Closes what was not handed on. */
void exec_destroy(struct exec *e);
/* NULL, or what is wrong. */
const char *exec_take_request(struct exec *e, const struct diag_call *call);
/* 0 or -errno; -ENOTCONN: a connection is not there. */
int exec_make_streams(struct exec *e, struct diag_server *s);
int exec_spawn(struct exec *e, pid_t *pid);
/* Between the client and the command. Three pumps are free. */
void exec_connect_streams(struct exec *e, struct diag_server *s, pid_t pid);

#endif
