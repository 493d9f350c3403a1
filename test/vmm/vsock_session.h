/* SPDX-License-Identifier: MIT */
/*
 * A talk with a port of a guest through one of vmm's own sockets (vsock.h), on
 * a terminal or between two pipes.
 */
#ifndef VMM_VSOCK_SESSION_H
#define VMM_VSOCK_SESSION_H

#include <stdbool.h>

struct vsock_session {
	const char *path;    /* of the socket */
	const char *connect; /* the line that asks for a port */
	int in, out;	     /* whose bytes it carries */
	int wake;	     /* readable: it is to end */
	bool escapes;	     /* Ctrl-] in `in` ends it, and is not passed on */
};

/* Asks for the port, and waits for the answer: the socket, or -1 with *why
 * (static). */
int vsock_session_connect(const struct vsock_session *session,
			  const char **why);

/* Carries bytes until the guest's end closes, or it is told to end; then closes
 * the socket. When `in` ends, the guest is told so and may still write. */
void vsock_session_run(const struct vsock_session *session, int fd);

#endif
