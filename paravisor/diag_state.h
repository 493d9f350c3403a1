/* SPDX-License-Identifier: MIT */
/*
 * Inside of the diagnosis server: what its files share. One thread, the
 * server's, touches all of this; only the worker's job crosses to another.
 */
#ifndef DIAG_STATE_H
#define DIAG_STATE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "diag_server.h"
#include "diag_worker.h"
#include "ttrpc.h"

/* What a host can make us hold: that many of each, and no more bytes. */
#define DIAG_CLIENTS 8
#define DIAG_DATA 16
#define DIAG_PUMPS 24
#define DIAG_PROCESSES 8
#define DIAG_REQUEST_MAX 8192
#define DIAG_OUT_MAX (1u << 20)

#define DIAG_SECOND 1000000000ull
/* A frame that was begun, answers that are not taken: in whole. */
#define DIAG_CLIENT_DEADLINE (10 * DIAG_SECOND)
#define DIAG_CLAIM_DEADLINE (30 * DIAG_SECOND)
#define DIAG_LINGER (10 * DIAG_SECOND)
/* Who did nothing for so long makes room for a new one, if there is none. */
#define DIAG_IDLE (5 * DIAG_SECOND)
#define DIAG_JOB_DEADLINE (10 * DIAG_SECOND)

#define DIAG_NOT_IN_RELEASE "not in release build"

/* ---- clients of the control port (diag_client.c) ---- */

struct diag_client {
	int fd; /* -1: nobody */
	uint32_t number; /* who it is: 0 nobody */
	uint8_t in[TTRPC_HEADER_SIZE + DIAG_REQUEST_MAX];
	size_t in_len;
	uint32_t skip; /* bytes of a frame that is too long, still to come */
	bool ending;   /* says no more; closed when the last answer is out */
	unsigned int waiting; /* calls that are not answered yet */
	uint8_t *out;
	size_t out_len, out_at;
	uint64_t used; /* when a byte went either way */
	/* When the frame under way began, and what is not taken of `out`. */
	uint64_t in_begun, out_begun;
	struct pollfd *poll;
};

/* Who is to be answered. */
struct diag_caller {
	uint32_t client, stream;
};

struct diag_call {
	struct diag_server *server;
	struct diag_caller caller;
	struct ttrpc_request request;
	uint64_t deadline;
};

/* A connection that was accepted, nonblocking; closed if there is no room. */
void diag_client_add(struct diag_server *s, int fd);
/* Bytes that have arrived. */
void diag_client_input(struct diag_server *s, struct diag_client *c,
		       const uint8_t *bytes, size_t len);
void diag_client_close(struct diag_server *s, struct diag_client *c);
void diag_clients_poll(struct diag_server *s);
void diag_clients_serve(struct diag_server *s);

/* One of these for each call, now or later: it is no error if the client has
 * gone. */
void diag_reply(struct diag_server *s, const struct diag_caller *to,
		const void *payload, size_t len);
void diag_refuse(struct diag_server *s, const struct diag_caller *to,
		 enum ttrpc_code code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- what is asked for (diag_call.c) ---- */

void diag_dispatch(struct diag_call *call);
/* Gives the call's job to the worker, or refuses it. */
void diag_begin(struct diag_call *call, const struct diag_job *job);
/* The process that a call names in its first field; 0: none, or the request is
 * no protobuf. */
int diag_pid(const struct diag_call *call);

/* ---- data connections, and bytes on their way (diag_stream.c) ---- */

struct diag_data {
	int fd; /* -1: nobody */
	uint64_t id, since;
	struct pollfd *poll;
};

enum diag_pump_kind {
	DIAG_PUMP_BYTES,   /* to the end of the source */
	DIAG_PUMP_RECORDS, /* of /dev/kmsg: each with a NUL behind it */
	DIAG_PUMP_CAPTURE, /* from a NIC: `capture' instead of `from' */
};

struct diag_pump {
	int to;	  /* owned; -1: the pump is free */
	int from; /* owned; -1: nothing more comes from there */
	enum diag_pump_kind kind;
	bool follow;	/* wait for what is not there yet */
	bool to_client; /* `to` is a data connection */
	/* Whose end ends it: standard input, or a socket that the process has
	 * itself; 0: nobody's. */
	pid_t process;
	struct capture *capture;
	uint64_t used, lingers_until;
	size_t len, at;
	uint8_t buffer[2048];
	struct pollfd *poll_from, *poll_to;
};

void diag_data_add(struct diag_server *s, int fd);
/* Takes a connection: its descriptor, then the caller's; or -1. */
int diag_data_take(struct diag_server *s, uint64_t id);
/* At least `n` pumps are free, now that those are ended that can be. */
bool diag_pumps_free(struct diag_server *s, unsigned int n);
/* There is a free one. Owns both descriptors; `from` -1: a process writes. */
struct diag_pump *diag_pump_start(struct diag_server *s, int from, int to,
				  enum diag_pump_kind kind, bool follow);
void diag_pump_close(struct diag_pump *p);
/* Nothing more comes of it: the client has what is there. */
void diag_pump_end(struct diag_server *s, struct diag_pump *p);
void diag_pumps_process_ended(struct diag_server *s, pid_t process);
void diag_streams_poll(struct diag_server *s);
void diag_streams_serve(struct diag_server *s);
void diag_read_file(struct diag_call *call, const char *path, uint64_t conn,
		    bool follow, enum diag_pump_kind kind);

/* ---- captures (diag_capture.c) ---- */

void diag_packet_capture(struct diag_call *call);
/* The worker has begun them; `answered': somebody waits for that. */
void diag_captures_begun(struct diag_server *s, const struct diag_job *job,
			 bool answered);

/* ---- commands (diag_process.c) ---- */

struct diag_process {
	pid_t pid; /* 0: none */
	uint32_t client; /* who asked for it */
	int pidfd;	 /* -1: it has ended */
	int exit_code;
	struct diag_caller waits; /* stream 0: nobody */
	uint64_t ended;
	struct pollfd *poll;
};

void diag_exec(struct diag_call *call);
void diag_wait(struct diag_call *call);
bool diag_has_processes(const struct diag_server *s, uint32_t client);
/* Whoever asked for them, or waits for them, has gone. */
void diag_processes_orphaned(struct diag_server *s, uint32_t client);
void diag_processes_poll(struct diag_server *s);
void diag_processes_serve(struct diag_server *s);

/* ---- the server ---- */

#define DIAG_MAX_POLLS (3 + DIAG_CLIENTS + DIAG_DATA + 2 * DIAG_PUMPS + \
			DIAG_PROCESSES)

struct diag_server {
	struct diag_config config;
	int control, data;
	int wake_fd; /* the worker is done, or `stopping` */
	atomic_bool stopping;
	uint32_t last_client;
	uint64_t last_data;
	struct diag_client client[DIAG_CLIENTS];
	struct diag_data waiting[DIAG_DATA];
	struct diag_pump pump[DIAG_PUMPS];
	struct diag_process process[DIAG_PROCESSES];
	struct diag_worker *worker;
	/* The job under way; nobody waits for it after its deadline. */
	struct diag_caller job_caller;
	uint64_t job_deadline;

	/* Of this turn. */
	uint64_t now, wake_at;
	struct pollfd poll[DIAG_MAX_POLLS];
	unsigned int nr_polls;
};

/* To be waited for in this turn. */
struct pollfd *diag_poll(struct diag_server *s, int fd, short events);
/* To be looked at again at that time. */
void diag_wake_at(struct diag_server *s, uint64_t when);

#endif
