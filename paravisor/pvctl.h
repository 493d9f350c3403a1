/* SPDX-License-Identifier: MIT */
/*
 * pvctl, a program of the host: what its files share. It speaks diag.proto to
 * a paravisor, on a socket of vmm's or on AF_VSOCK.
 *
 * Threads: one. Every wait has the deadline of -t but for what a user waits for
 * as long as he likes: a command, a log that is followed.
 */
#ifndef PVCTL_H
#define PVCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ttrpc.h"

/* What pvctl ends with; `run' and `shell' end as their command does. */
enum pvctl_status {
	PVCTL_OK = 0,
	PVCTL_FAILED = 1, /* the request was refused, or came to nothing */
	PVCTL_USAGE = 2,
	PVCTL_NOT_IN_FLAVOUR = 3,
	PVCTL_NO_CONNECTION = 4,
	PVCTL_TIMEOUT = 124,
};

#define PVCTL_CONTROL_PORT 1
#define PVCTL_DATA_PORT 2
/* The version of pvctl.schema.json. */
#define PVCTL_JSON_VERSION 1
#define PVCTL_REQUEST_MAX 8000

#define PVCTL_OPENHCL "diag.OpenhclDiag"
#define PVCTL_UNDERHILL "diag.UnderhillDiag"
#define PVCTL_INSPECT "inspect.InspectService"

struct pvctl {
	const char *vm;
	const char *command;
	bool json;
	bool quiet;		 /* fails without a word */
	bool limited;		 /* -t was given */
	unsigned int timeout_ms; /* of a call */
	int control;		 /* -1: not connected */
	uint32_t stream;	 /* of the last call */
	uint8_t *answer;	 /* the last one; owned here */
};

struct pvctl_command {
	const char *name, *arguments, *text;
	int (*run)(struct pvctl *p, int argc, char **argv);
	bool bytes; /* what it prints is somebody else's: no --json */
	bool alone; /* needs no VM: its argv is main()'s, from its name on */
};

/* The program; main() is elsewhere, so that tests can call it. */
int pvctl_main(int argc, char **argv);

/* Says why, as a line on stderr or as JSON; returns `status`. */
int pvctl_fail(const struct pvctl *p, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* With what a command takes. */
int pvctl_usage(const struct pvctl *p);
/* `text` as a JSON string. */
void pvctl_put_json_text(const char *text, size_t len);
/* The head of a JSON line, up to what is special of the command. */
void pvctl_begin_json(const struct pvctl *p);
/* A number, all of `text`; false: it is none, or above `max`. */
bool pvctl_number(const char *text, uint64_t max, uint64_t *number);

/* ---- connections (pvctl_connect.c) ---- */

/* A descriptor, or -1 with `*error`. */
int pvctl_connect(const struct pvctl *p, unsigned int port,
		  const char **error);
uint64_t pvctl_now_ms(void);
/* 1, 0 at the deadline (0: none), -1: the other end has gone. */
int pvctl_send_all(int fd, const void *bytes, size_t len,
		   uint64_t deadline_ms);
int pvctl_receive_all(int fd, void *bytes, size_t len, uint64_t deadline_ms);

/* ---- calls (pvctl_call.c) ---- */

/* PVCTL_OK, or a status, said. */
int pvctl_open(struct pvctl *p);
void pvctl_close(struct pvctl *p);
/* A data connection: its id, and the descriptor in *fd. */
int pvctl_open_data(struct pvctl *p, uint64_t *id, int *fd);
/* Sends a call. pvctl_answer() waits for its answer, until the deadline or, if
 * that is 0, for ever. The answer is good until the next. */
int pvctl_ask(struct pvctl *p, const char *service, const char *method,
	      const struct pb_writer *request);
int pvctl_answer(struct pvctl *p, struct ttrpc_response *response,
		 uint64_t deadline_ms);
/* Both, with the usual deadline. `request` NULL: an empty one. */
int pvctl_call(struct pvctl *p, const char *service, const char *method,
	       const struct pb_writer *request,
	       struct ttrpc_response *response);
/* An Inspect, whose answer's Node is in *node. A path that is not there
 * fails. */
int pvctl_ask_node(struct pvctl *p, const char *path, uint32_t depth,
		   struct pb_field *node);
/* An Update, whose answer's Value is in *value. */
int pvctl_update(struct pvctl *p, const char *path, const char *value,
		 struct pb_field *new_value);

/* ---- trees (pvctl_node.c) ---- */

/* Both print nothing behind; false: it is no Node. */
bool pvctl_print_node(const struct pb_field *node, unsigned int indent);
bool pvctl_print_node_json(const struct pb_field *node);
bool pvctl_print_value(const struct pb_field *value, bool json);
/* What a directory has of that name, as text; false: nothing. */
bool pvctl_node_text(const struct pb_field *node, const char *name, char *text,
		     size_t size);

/* Each value at and below a node: its path (`path' is the node's own), and a
 * number or, if `text' is not NULL, a text, of 79 bytes at most. What was not
 * asked for counts as a number, 0. False: it is no Node. */
typedef void pvctl_leaf(void *opaque, const char *path, uint64_t value,
			const char *text);
bool pvctl_node_leaves(const struct pb_field *node, const char *path,
		       pvctl_leaf *take, void *opaque);
/* The name of a directory's first entry. */
bool pvctl_node_first(const struct pb_field *node, char *name, size_t size);

/* ---- commands ---- */

int pvctl_do_inspect(struct pvctl *p, int argc, char **argv);
int pvctl_do_log(struct pvctl *p, int argc, char **argv);
int pvctl_do_trace(struct pvctl *p, int argc, char **argv);
int pvctl_do_sample(struct pvctl *p, int argc, char **argv);
int pvctl_do_violations(struct pvctl *p, int argc, char **argv);
int pvctl_do_top(struct pvctl *p, int argc, char **argv);
int pvctl_do_report(struct pvctl *p, int argc, char **argv);
int pvctl_do_version(struct pvctl *p, int argc, char **argv);
int pvctl_do_kmsg(struct pvctl *p, int argc, char **argv);
int pvctl_do_file(struct pvctl *p, int argc, char **argv);
int pvctl_do_pcap(struct pvctl *p, int argc, char **argv);
int pvctl_do_run(struct pvctl *p, int argc, char **argv);
int pvctl_do_shell(struct pvctl *p, int argc, char **argv);

#endif
