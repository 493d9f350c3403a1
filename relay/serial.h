/* SPDX-License-Identifier: MIT */
/*
 * The two ends of the VMBus serial protocol (serial_reg.h), as state machines
 * between a message pipe and a tty.
 *
 * Client (VTL2): is the *back* of a tty, so that a UART can be attached to it:
 * what the guest writes leaves through the pipe, what the host has comes in.
 *
 * Server (host): is the *front* of a tty: it writes to and reads from a
 * backend (a file, a terminal, a socket) as a UART would.
 *
 * Errors: a peer that breaks the protocol ends the connection: one line, a
 * counter, and no byte moves any more. The client then takes and forgets the
 * guest's output, so that the guest does not hang on its console.
 * Threads: as pv/message_pipe.h and pv/tty.h say: one lock for all calls.
 */
#ifndef RELAY_SERIAL_H
#define RELAY_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/message_pipe.h>
#include <pv/tty.h>

#include "serial_reg.h"

struct serial_counters {
	uint64_t bytes_out, bytes_in; /* guest to host, host to guest */
	uint64_t bytes_lost;	      /* written while nobody listens */
	uint64_t bytes_refused;	      /* of the host, transmit-only */
	uint64_t messages_out, messages_in;
	uint64_t refused; /* messages that broke the protocol */
};

#define SERIAL_CLIENT_BUFFER 4096u /* a power of two */

enum serial_client_state {
	SERIAL_CLIENT_NEGOTIATING,
	SERIAL_CLIENT_UP,
	SERIAL_CLIENT_GONE,
};

struct serial_client {
	struct tty tty; /* attach the UART here */
	struct pipe_user user;
	struct message_pipe *pipe;
	const char *name; /* for logs; not owned */
	enum serial_client_state state;
	bool version_asked;	   /* the version request is on its way */
	bool transmitting;	   /* waits for TX_COMPLETED */
	bool front_waits;	   /* the tty was full: room() is owed */
	bool rx_offered;	   /* the host has bytes for us */
	bool rx_asked;		   /* waits for the GET_RX_DATA response */
	bool transmit_only;
	/* Optional: the guest's bytes are not all out, or now they are; on
	 * changes. Set after init. */
	void (*busy)(void *opaque, bool busy);
	void *busy_opaque;
	bool was_busy;
	/* Optional, set after init: rests between pieces for the guest. rest()
	 * asks its owner for a serial_client_rested() at that time, ns of
	 * now(). */
	uint64_t (*now)(void);
	void (*rest)(void *opaque, uint64_t until);
	void *rest_opaque;
	bool resting;
	uint64_t in_since; /* when the piece in in[] came */
	uint32_t out_head, out_tail; /* free running, into out[] */
	uint8_t out[SERIAL_CLIENT_BUFFER];
	uint8_t in[SERIAL_DATA_MAX];
	uint8_t in_at, in_len;
	struct serial_counters count;
};

/* Puts the client into its first state; nothing is sent before start. */
void serial_client_init(struct serial_client *client, const char *name);
/* Connects it to a pipe and asks for the version. Bytes written before wait
 * in the buffer. */
void serial_client_start(struct serial_client *client,
			 struct message_pipe *pipe);
/* There is no such device on this host: output is taken and forgotten. */
void serial_client_absent(struct serial_client *client);

/* The rest that was asked for is over. */
void serial_client_rested(struct serial_client *client);

/* With `only` the guest gets no byte of the host's: none is asked for, and what
 * was on its way is dropped and counted. The host keeps what it has. Off after
 * init. */
void serial_client_transmit_only(struct serial_client *client, bool only);

struct serial_server {
	struct pipe_user user;
	struct message_pipe *pipe;
	struct tty *tty; /* not owned */
	const char *name;
	bool up;	   /* the version was accepted */
	bool gone;
	bool owes_completed; /* TX_COMPLETED could not be sent yet */
	bool owes_response;  /* GET_RX_DATA is not answered yet */
	bool owes_version, owes_status;
	bool version_accepted;
	bool rx_told; /* the client knows that there is something */
	bool rx_held; /* rx[] is a piece that the pipe did not take yet */
	uint8_t rx[SERIAL_DATA_MAX];
	uint8_t rx_len;
	uint8_t out[SERIAL_DATA_MAX]; /* what the tty has not taken yet */
	uint8_t out_at, out_len;
	bool out_busy; /* a TX_DATA_AVAILABLE is not completed */
	struct serial_counters count;
};

/* Attaches to `tty` as its front. For each opening of the channel anew. */
void serial_server_start(struct serial_server *server, const char *name,
			 struct tty *tty, struct message_pipe *pipe);
/* Detaches from the tty; what was taken from the client and not by the tty is
 * counted as lost. */
void serial_server_stop(struct serial_server *server);

#endif
