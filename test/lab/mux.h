/* SPDX-License-Identifier: MIT */
/*
 * Byte streams with back-pressure, many over one channel.
 *
 * Single-threaded: one poll loop owns a mux and all its streams. Out of
 * memory ends the program with a line; there is nothing better to do here.
 */
#ifndef MUX_H
#define MUX_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mux_reg.h"

struct stream {
	struct stream *next;
	uint32_t id;
	int source;       /* read and sent to the peer; -1: ended */
	int sink;         /* written from the peer's data; -1: ended */
	bool shared;      /* source and sink are one descriptor, a socket */
	bool peer_eof;    /* close the sink once the buffer is empty */
	uint32_t credit;  /* bytes that may still be sent */
	uint32_t head;    /* buffer: first byte */
	uint32_t used;    /* buffer: bytes */
	uint8_t buffer[MUX_WINDOW];
};

struct mux {
	int channel;
	struct stream *streams;
	uint8_t *out;     /* bytes for the channel */
	size_t out_used;
	size_t out_size;
	uint8_t in[sizeof(struct mux_header) + 0x10000];
	size_t in_used;
	/* A frame that is not about a stream; 0, or -errno to give up. */
	int (*frame)(struct mux *mux, unsigned int type, uint32_t id,
		     const uint8_t *payload, size_t length);
};

/* Makes the channel non-blocking; streams and buffers start empty. */
void mux_init(struct mux *mux, int channel);

/* Queues one frame; length is at most MUX_PAYLOAD_MAX. */
void mux_send(struct mux *mux, unsigned int type, uint32_t id,
	      const void *payload, size_t length);
void mux_send32(struct mux *mux, unsigned int type, uint32_t id,
		uint32_t value);

/*
 * Adds a stream; -1 stands for "no such direction". The mux closes the
 * descriptors; equal ones are a socket. No descriptor is closed twice.
 */
struct stream *mux_add(struct mux *mux, uint32_t id, int source, int sink);
struct stream *mux_find(struct mux *mux, uint32_t id);
/* Forgets a stream at once; buffered bytes are lost. */
void mux_drop(struct mux *mux, uint32_t id);
/* True as long as a stream has bytes to come or to write. */
bool mux_busy(struct mux *mux, uint32_t id);

/*
 * One turn: fills in at most `max` entries of pfd behind the `used` ones the
 * caller put there, polls, and moves bytes. Returns 0, -EPIPE when the
 * channel has ended, -EPROTO for a frame that breaks the rules.
 * The caller then looks at its own entries.
 */
int mux_turn(struct mux *mux, struct pollfd *pfd, unsigned int used,
	     unsigned int max, int timeout_ms);

#endif
