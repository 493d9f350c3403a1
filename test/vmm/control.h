/* SPDX-License-Identifier: MIT */
/*
 * The control socket: JSON, one request and one answer per line.
 *
 *	{"id":1,"cmd":"stats","args":{}}
 *	{"id":1,"ok":{...}}   or   {"id":1,"error":"..."}
 *
 * `id` is any string or number and comes back as it is (null if it was
 * missing); `args` may be left out. A command may be answered after later
 * ones: `id` tells which it is.
 *
 * Threads: everything below is the loop's thread's, or before the loop runs or
 * when it has ended.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <pv/reactor.h>

#include "json.h"

struct control;
struct control_request; /* from run() until it is answered */

struct control_command {
	const char *name;
	/* Answers the request, now or later, with one of the calls below.
	 * `args` is an object, valid during the call. NULL: the command is
	 * known, but not there yet. */
	void (*run)(void *opaque, struct control_request *request,
		    struct json_span args);
};

/* `ok`: one JSON value. Both end the request, also when its client is gone. */
void control_ok(struct control_request *request, const char *ok);
void control_error(struct control_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Listens on a Unix socket. The table ends with a NULL name. NULL after one
 * line on stderr. Before loop_run(); commands are taken once the loop runs. */
struct control *control_open(const char *path, struct reactor *loop,
			     const struct control_command *commands,
			     void *opaque);

/* After loop_run() has returned. Nobody answers a request after that. NULL is
 * harmless. */
void control_close(struct control *control);

#endif
