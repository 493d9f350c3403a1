/* SPDX-License-Identifier: MIT */
/*
 * A message pipe: whole messages, both ways, in order, over a VMBus channel.
 *
 * The protocols that VTL2 speaks with its host (serial ports, guest emulation
 * transport) are state machines that know nothing of rings: they are a
 * *user* of a pipe. relay/message_pipe.c implements the pipe on a ring, for
 * either end of a channel; tests connect two users back to back.
 *
 * Threads: all calls of one pipe, in both directions, are made under whatever
 * serialises its user (the chipset's lock in the daemon, a device's lock or
 * thread in vmm). send() never calls back into the user.
 * Ownership: the user embeds `struct pipe_user`; the pipe outlives it.
 */
#ifndef PV_MESSAGE_PIPE_H
#define PV_MESSAGE_PIPE_H

#include <stddef.h>

struct message_pipe;
struct pipe_user;

/* The biggest message a pipe carries, bytes. */
#define PIPE_MESSAGE_MAX 12288u

struct pipe_user_ops {
	/* One message of the peer; private memory, valid during the call. */
	void (*received)(struct pipe_user *user, const void *message,
			 size_t size);
	/* There is room again after a send() that said -EAGAIN. */
	void (*room)(struct pipe_user *user);
	/* The peer is gone or broke the ring; nothing comes any more. */
	void (*gone)(struct pipe_user *user);
};

struct pipe_user {
	const struct pipe_user_ops *ops;
};

/* 0; -EAGAIN: no room, ops->room() follows; -EPIPE: gone; -EMSGSIZE. */
int pipe_send(struct message_pipe *pipe, const void *message, size_t size);

#endif
