/* SPDX-License-Identifier: MIT */
/*
 * The control socket: JSON, one request and one answer per line.
 *
 *	{"id":1,"cmd":"stats","args":{}}
 *	{"id":1,"ok":{...}}   or   {"id":1,"error":"..."}
 *
 * `id` is any string or number and comes back as it is (null if it was
 * missing); `args` may be left out.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <stdio.h>

#include <pv/reactor.h>

/* What the commands do; all run on the loop's thread. */
struct control_ops {
	void (*quit)(void *opaque);
	/* An NMI for VP 0 of the guest. */
	void (*nmi)(void *opaque);
	/* Writes one JSON object. */
	void (*stats)(void *opaque, FILE *out);
};

struct control;

/* Listens on a Unix socket. NULL after one line on stderr. Before
 * loop_run(); commands are taken once the loop runs. */
struct control *control_open(const char *path, struct reactor *loop,
			     const struct control_ops *ops, void *opaque);

/* After loop_run() has returned. NULL is harmless. */
void control_close(struct control *control);

#endif
