/* SPDX-License-Identifier: MIT */
/*
 * The diagnosis server with a tree of its own, on Unix sockets: what tests of
 * it, of pvctl and of other clients talk to. One at a time.
 */
#ifndef TEST_DIAG_WORLD_H
#define TEST_DIAG_WORLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "paravisor/diag_server.h"
#include "paravisor/ttrpc.h"

/* A server thread. `open`: as of a debug image. `kmsg` is a file with lines,
 * which stands in for the device. */
void diag_world_start(bool open);
void diag_world_stop(void);

/* A Unix socket as vmm has one: "CONNECT 1\n" is answered by "OK 1\n". */
const char *diag_world_path(void);
/* The file that Kmsg reads. */
const char *diag_world_kmsg(void);
/* How often VTL0 was paused, or went on. */
extern atomic_uint diag_world_pauses, diag_world_resumes;
/* VTL0 does not run. */
extern atomic_bool diag_world_stopped;
/* NICs that are listened to; while true, they have gone. */
#define DIAG_WORLD_NICS 2
extern atomic_uint diag_world_listened;
extern atomic_bool diag_world_nics_gone;
/* While true the reactor does not answer. */
extern atomic_bool diag_world_hangs;
/* Makes the server's clock go faster by so much. */
void diag_world_later(uint64_t ns);

/* A connection to the control port, without its path. */
int diag_world_connect(void);
/* One to the data port, and its id. */
int diag_world_connect_data(uint64_t *id);

/* One call and its answer, whose payload is good until the next. False: the
 * server closed the connection. */
bool diag_world_call(int fd, const char *service, const char *method,
		     const struct pb_writer *request,
		     struct ttrpc_response *response);
void diag_world_send(int fd, uint32_t stream, const char *service,
		     const char *method, const void *payload, size_t len);
bool diag_world_receive(int fd, uint32_t *stream,
			struct ttrpc_response *response);
/* All bytes until the other end closes; the length. */
size_t diag_world_read_all(int fd, char *to, size_t size);

#endif
