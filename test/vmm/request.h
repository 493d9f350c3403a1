/* SPDX-License-Identifier: MIT */
/*
 * A request for a command, from where it was asked until it is answered: by a
 * client of the control socket, or on the console. Who asks embeds it.
 *
 * Threads: the loop's.
 */
#ifndef VMM_REQUEST_H
#define VMM_REQUEST_H

struct request {
	/* Ends the request: `ok`, one JSON value, or `error`, text; the other
	 * one is NULL. Once. */
	void (*answer)(struct request *request, const char *ok,
		       const char *error);
};

void request_ok(struct request *request, const char *ok);
void request_error(struct request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
