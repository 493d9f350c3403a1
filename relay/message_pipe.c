/* SPDX-License-Identifier: MIT */
/*
 * Message pipe, theory of operation
 *
 * Owns: nothing but a buffer for the packet being read and one for the packet
 * being written; the ring belongs to the channel. One message is one in-band
 * packet whose payload is a pipe header and the message.
 *
 * States:
 *
 *	open --peer breaks a rule, message_pipe_close()--> gone
 *
 * A message is handed over from private memory, after the ring has already
 * consumed it, so a user may send while it handles one: an answer goes to the
 * other half of the ring. Signals are gathered while messages are handed over
 * and sent once at the end; a send outside of that signals at once.
 *
 * Failure answers: a broken ring, a packet that is not a message or a length
 * that is not the packet's ends the pipe, with one line and a counter; the
 * user's gone() runs once. Bytes after the message (a ring pads to eight) are
 * not looked at.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "message_pipe.h"
#include "ring_reg.h"

static void signal_peer(struct message_pipe *pipe)
{
	if (!pipe->written)
		return;
	pipe->written = false;
	if (ring_write_end(pipe->ring))
		pipe->signal(pipe->opaque);
}

void message_pipe_close(struct message_pipe *pipe)
{
	if (pipe->gone)
		return;
	pipe->gone = true;
	pipe->user->ops->gone(pipe->user);
}

/* `type` is the packet's. */
static void refuse(struct message_pipe *pipe, uint32_t type, uint32_t offset,
		   uint64_t value, const char *rule)
{
	pipe->refused++;
	violation_record(pipe->name, 0, type, offset, value, rule);
	message_pipe_close(pipe);
}

void message_pipe_init(struct message_pipe *pipe, const char *name,
		       struct ring *ring, struct pipe_user *user,
		       void (*signal)(void *opaque), void *opaque)
{
	memset(pipe, 0, sizeof(*pipe));
	pipe->name = name;
	pipe->ring = ring;
	pipe->user = user;
	pipe->signal = signal;
	pipe->opaque = opaque;
}

int pipe_send(struct message_pipe *pipe, const void *message, size_t size)
{
	struct pipe_header header = {
		.type = cpu_to_le32(PIPE_TYPE_MESSAGE),
		.size = cpu_to_le32(size),
	};
	int rc;

	if (pipe->gone)
		return -EPIPE;
	if (size > PIPE_MESSAGE_MAX)
		return -EMSGSIZE;
	memcpy(pipe->out, &header, sizeof(header));
	memcpy(pipe->out + sizeof(header), message, size);
	rc = ring_write(pipe->ring, RING_PACKET_INBAND, 0, 0, NULL, 0,
			pipe->out, sizeof(header) + size);
	if (rc == -EAGAIN)
		pipe->wants_room = true;
	if (rc == -EAGAIN || rc == -EMSGSIZE)
		return rc;
	if (rc)
		return -EPIPE; /* the reader finds the broken ring */
	pipe->messages_out++;
	pipe->written = true;
	if (!pipe->running)
		signal_peer(pipe);
	return 0;
}

static void hand_over(struct message_pipe *pipe,
		      const struct ring_packet *packet)
{
	struct pipe_header header;
	uint32_t size;

	if (packet->type != RING_PACKET_INBAND) {
		refuse(pipe, packet->type, 0, packet->type, "pipe.packet.type");
		return;
	}
	if (packet->payload_size < sizeof(header)) {
		refuse(pipe, packet->type, packet->payload_size,
		       sizeof(header), "pipe.packet.header");
		return;
	}
	memcpy(&header, packet->payload, sizeof(header));
	size = le32_to_cpu(header.size);
	if (le32_to_cpu(header.type) != PIPE_TYPE_MESSAGE) {
		refuse(pipe, packet->type, offsetof(struct pipe_header, type),
		       le32_to_cpu(header.type), "pipe.message.type");
		return;
	}
	if (size > packet->payload_size - sizeof(header) ||
	    size > PIPE_MESSAGE_MAX) {
		refuse(pipe, packet->type, offsetof(struct pipe_header, size),
		       size, "pipe.message.size");
		return;
	}
	pipe->messages_in++;
	pipe->user->ops->received(pipe->user, packet->payload + sizeof(header),
				  size);
}

/* Until the ring is empty or the budget is spent; false: the pipe is gone. */
static bool drain(struct message_pipe *pipe, unsigned int *budget)
{
	struct ring_packet packet;
	int rc;

	while (!pipe->gone && *budget) {
		rc = ring_read(pipe->ring, pipe->in, sizeof(pipe->in),
			       &packet);
		if (rc == -EAGAIN)
			return true;
		if (rc) {
			pv_bug(!pipe->ring->broken, -rc, 0);
			refuse(pipe, 0, 0, pipe->ring->broken_value,
			       pipe->ring->broken);
			return false;
		}
		(*budget)--;
		hand_over(pipe, &packet);
	}
	return !pipe->gone;
}

bool message_pipe_run(struct message_pipe *pipe)
{
	unsigned int budget = MESSAGE_PIPE_BUDGET;
	bool more = true;

	if (pipe->gone)
		return false;
	pipe->running = true;
	while (more && budget && drain(pipe, &budget)) {
		if (ring_read_end(pipe->ring, &more))
			pipe->signal(pipe->opaque);
	}
	if (pipe->wants_room && !pipe->gone) {
		pipe->wants_room = false;
		pipe->user->ops->room(pipe->user);
	}
	pipe->running = false;
	signal_peer(pipe);
	return more && !pipe->gone;
}
