/* SPDX-License-Identifier: MIT */
/*
 * Inspect for the host: a vsock port of VTL2 that answers questions about the
 * tree of pv/inspect.h.
 *
 *	-> {"path": "vp0/exits", "depth": 2}	one line each; path "" = all,
 *	<- {"port": 17, ...}			depth 16 when not given
 *	<- {"error": "no such path"}
 *	-> {"path": "vp0/sample", "update": ""}	does what there is to do there,
 *	<- {"number": 1, ...}			then answers as above
 */
#ifndef DIAG_INSPECT_H
#define DIAG_INSPECT_H

struct reactor;

#define DIAG_INSPECT_PORT 5

/* A listening socket, or -errno, logged. Early: a host's connection is refused
 * by the kernel when nobody listens at its first try. */
int diag_inspect_listen(void);

/* Answers one connection after the other, for ever. Descriptions run on
 * `reactor`. Its own thread. */
_Noreturn void diag_inspect_serve(int listener, struct reactor *reactor);

/* Answers all questions on `fd` until its end. */
void diag_inspect_client(int fd, struct reactor *reactor);

#endif
