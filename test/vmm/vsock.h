/* SPDX-License-Identifier: MIT */
/*
 * Sockets of one of the machine's VTLs: a Unix socket PATH on the host, on
 * which a client writes "CONNECT PORT\n" and reads "OK PORT\n", and from then on
 * talks to who listens on that AF_VSOCK port inside; and who connects from
 * inside to port N of the host (CID 2) reaches who listens on the Unix socket
 * PATH_N. (The convention of Firecracker and others, "hybrid vsock".)
 */
#ifndef VMM_VSOCK_H
#define VMM_VSOCK_H

#include <stdio.h>

#include <pv/reactor.h>

struct vsock;
struct vmbus_server;

/* Listens. NULL after one line that names `option`. Before loop_run(). */
struct vsock *vsock_open(const char *option, const char *path,
			 struct reactor *loop);

/* From here on clients are served. Before loop_run(). */
void vsock_attach(struct vsock *vsock, struct vmbus_server *server);

/* When the channels are closed and the loop has ended: takes back what is
 * still offered. */
void vsock_revoke(struct vsock *vsock);

/* After that. NULL is harmless. */
void vsock_close(struct vsock *vsock);

#endif
