/* SPDX-License-Identifier: MIT */
/*
 * The control socket: JSON, one request and one answer per line.
 *
 *	{"id":1,"cmd":"stats","args":{}}
 *	{"id":1,"ok":{...}}   or   {"id":1,"error":"..."}
 *
 * `id` is any string or number and comes back as it is (null if it was
 * missing); `args` may be left out. A command may be answered after later
 * ones: `id` tells which it is. What may be in a line is in
 * control.schema.json.
 *
 * Threads: everything below is the loop's thread's, or before the loop runs or
 * when it has ended.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <pv/reactor.h>

#include "json.h"
#include "request.h"

struct control;

/* Does what `name`, a JSON value, asks for, and answers the request, now or
 * later, also when its client is gone. `args` is an object. Both are valid
 * during the call. */
typedef void control_run(void *opaque, struct request *request,
			 struct json_span name, struct json_span args);

/* Listens on a Unix socket. NULL after one line on stderr. Before loop_run();
 * commands are taken once the loop runs. */
struct control *control_open(const char *path, struct reactor *loop,
			     control_run *run, void *opaque);

/* After loop_run() has returned. Nobody answers a request after that. NULL is
 * harmless. */
void control_close(struct control *control);

#endif
