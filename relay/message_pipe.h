/* SPDX-License-Identifier: MIT */
/*
 * A message pipe (pv/message_pipe.h) on one end of a VMBus channel: every
 * message is one in-band packet that begins with a pipe header.
 *
 * The owner of the channel gives the ring and a way to signal the peer, and
 * calls message_pipe_run() when the peer signalled. Messages that a peer cuts
 * in pieces (type "partial") are refused: no protocol here needs them.
 *
 * Threads: see pv/message_pipe.h. Nothing allocates.
 */
#ifndef RELAY_MESSAGE_PIPE_H
#define RELAY_MESSAGE_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include <le.h>
#include <pv/message_pipe.h>

#include "ring.h"

struct pipe_header {
	le32 type;
	le32 size; /* of the message that follows */
} __packed;
_Static_assert(sizeof(struct pipe_header) == 8, "pipe header");

#define PIPE_TYPE_MESSAGE 1u
#define PIPE_TYPE_PARTIAL 2u

struct message_pipe {
	struct ring *ring;
	struct pipe_user *user;
	void (*signal)(void *opaque); /* the peer, once */
	void *opaque;
	const char *name;
	bool running; /* inside message_pipe_run(): signals are gathered */
	bool written; /* since the last signal */
	bool wants_room;
	bool gone;
	uint64_t messages_in, messages_out, refused;
	uint64_t in[RING_MAX_PACKET / 8]; /* the packet being read */
	uint8_t out[sizeof(struct pipe_header) + PIPE_MESSAGE_MAX];
};

/* `ring` has been set up by ring_init(); all pointers outlive the pipe. */
void message_pipe_init(struct message_pipe *pipe, const char *name,
		       struct ring *ring, struct pipe_user *user,
		       void (*signal)(void *opaque), void *opaque);

/* The peer signalled: hands waiting messages to the user, so many at most that a
 * peer without an end leaves its reactor to others. True: there are more, and no
 * signal will come for them; to be called again, after others had their turn. */
#define MESSAGE_PIPE_BUDGET 256u
bool message_pipe_run(struct message_pipe *pipe);

/* The channel is closing: tells the user, once; nothing moves any more. */
void message_pipe_close(struct message_pipe *pipe);

#endif
