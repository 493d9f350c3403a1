/* SPDX-License-Identifier: MIT */
/*
 * Streams over one channel: a virtio port, or the socket behind it.
 *
 * A sender may have MUX_WINDOW bytes on the way; the receiver gives credit
 * back as it writes them out. So a reader that stalls blocks its own stream
 * only, and no buffer grows: the channel's queue holds at most one window per
 * stream plus control frames.
 *
 * A direction ends in one of two ways:
 *
 *	source at its end ──EOF──▶ peer drains its buffer, closes its sink
 *	sink fails (EPIPE) ──CLOSED──▶ peer closes its source
 *
 * A stream with both directions ended is freed. A frame for a stream that is
 * gone is not an error: the two ends may close at the same time.
 */
#include "mux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_SOFT_LIMIT (256u * 1024) /* above it, sources are not read */
#define READ_CHUNK (16u * 1024)

static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "lab: out of memory\n");
		exit(125);
	}
	return memory;
}

void mux_init(struct mux *mux, int channel)
{
	int flags;

	memset(mux, 0, sizeof(*mux));
	mux->channel = channel;
	flags = fcntl(channel, F_GETFL);
	if (flags >= 0)
		(void)fcntl(channel, F_SETFL, flags | O_NONBLOCK);
}

void mux_send(struct mux *mux, unsigned int type, uint32_t id,
	      const void *payload, size_t length)
{
	struct mux_header header = {
		.id = cpu_to_le32(id),
		.type = cpu_to_le16((uint16_t)type),
		.length = cpu_to_le16((uint16_t)length),
	};
	size_t need = mux->out_used + sizeof(header) + length;

	if (need > mux->out_size) {
		mux->out_size = need * 2;
		mux->out = must(realloc(mux->out, mux->out_size));
	}
	memcpy(mux->out + mux->out_used, &header, sizeof(header));
	if (length)
		memcpy(mux->out + mux->out_used + sizeof(header), payload,
		       length);
	mux->out_used = need;
}

void mux_send32(struct mux *mux, unsigned int type, uint32_t id,
		uint32_t value)
{
	le32 wire = cpu_to_le32(value);

	mux_send(mux, type, id, &wire, sizeof(wire));
}

struct stream *mux_add(struct mux *mux, uint32_t id, int source, int sink)
{
	struct stream *s = must(calloc(1, sizeof(*s)));

	s->id = id;
	s->source = source;
	s->sink = sink;
	s->shared = source >= 0 && source == sink;
	s->credit = MUX_WINDOW;
	s->next = mux->streams;
	mux->streams = s;
	return s;
}

struct stream *mux_find(struct mux *mux, uint32_t id)
{
	struct stream *s = mux->streams;

	while (s && s->id != id)
		s = s->next;
	return s;
}

bool mux_busy(struct mux *mux, uint32_t id)
{
	struct stream *s = mux_find(mux, id);

	return s && (s->source >= 0 || s->sink >= 0);
}

static void end_source(struct stream *s)
{
	if (s->source < 0)
		return;
	if (!s->shared || s->sink < 0)
		close(s->source);
	else
		shutdown(s->source, SHUT_RD);
	s->source = -1;
}

static void end_sink(struct stream *s)
{
	if (s->sink < 0)
		return;
	if (!s->shared || s->source < 0)
		close(s->sink);
	else
		shutdown(s->sink, SHUT_WR);
	s->sink = -1;
	s->used = 0;
}

/* Frees the stream whose two directions have ended. */
static void reap(struct mux *mux)
{
	struct stream **link = &mux->streams;

	while (*link) {
		struct stream *s = *link;

		if (s->source < 0 && s->sink < 0) {
			*link = s->next;
			free(s);
		} else {
			link = &s->next;
		}
	}
}

void mux_drop(struct mux *mux, uint32_t id)
{
	struct stream *s = mux_find(mux, id);

	if (!s)
		return;
	end_sink(s);
	end_source(s);
	reap(mux);
}

/* Local bytes to the peer. */
static void pump_source(struct mux *mux, struct stream *s)
{
	static uint8_t chunk[READ_CHUNK]; /* large for a stack */
	size_t want = s->credit < sizeof(chunk) ? s->credit : sizeof(chunk);
	ssize_t got = read(s->source, chunk, want);

	if (got > 0) {
		s->credit -= (uint32_t)got;
		mux_send(mux, MUX_DATA, s->id, chunk, (size_t)got);
		return;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* End of file, or EIO: the other side of a pseudo-terminal closed. */
	mux_send(mux, MUX_EOF, s->id, NULL, 0);
	end_source(s);
}

/*
 * Buffered bytes of the peer to the local descriptor. It is somebody else's
 * and stays blocking; a write of PIPE_BUF bytes after POLLOUT does not wait.
 */
static void pump_sink(struct mux *mux, struct stream *s)
{
	while (s->used) {
		struct pollfd pfd = { s->sink, POLLOUT, 0 };
		size_t run = MUX_WINDOW - s->head;
		ssize_t put;

		if (poll(&pfd, 1, 0) <= 0)
			return;
		if (run > s->used)
			run = s->used;
		if (run > PIPE_BUF)
			run = PIPE_BUF;
		put = write(s->sink, s->buffer + s->head, run);
		if (put < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (put < 0) {
			mux_send(mux, MUX_CLOSED, s->id, NULL, 0);
			end_sink(s);
			return;
		}
		s->head = (s->head + (uint32_t)put) % MUX_WINDOW;
		s->used -= (uint32_t)put;
		mux_send32(mux, MUX_CREDIT, s->id, (uint32_t)put);
	}
	if (s->peer_eof)
		end_sink(s);
}

static int take_data(struct mux *mux, uint32_t id, const uint8_t *data,
		     size_t length)
{
	struct stream *s = mux_find(mux, id);
	size_t tail, run;

	if (!s || s->sink < 0)
		return 0;
	if (length > MUX_WINDOW - s->used)
		return -EPROTO;
	tail = (s->head + s->used) % MUX_WINDOW;
	run = MUX_WINDOW - tail;
	if (run > length)
		run = length;
	memcpy(s->buffer + tail, data, run);
	memcpy(s->buffer, data + run, length - run);
	s->used += (uint32_t)length;
	pump_sink(mux, s);
	return 0;
}

static int take_frame(struct mux *mux, unsigned int type, uint32_t id,
		      const uint8_t *payload, size_t length)
{
	struct stream *s;
	le32 wire;

	switch (type) {
	case MUX_DATA:
		return take_data(mux, id, payload, length);
	case MUX_EOF:
		s = mux_find(mux, id);
		if (s && s->sink >= 0) {
			s->peer_eof = true;
			pump_sink(mux, s);
		}
		return 0;
	case MUX_CLOSED:
		s = mux_find(mux, id);
		if (s)
			end_source(s);
		return 0;
	case MUX_CREDIT:
		if (length != sizeof(wire))
			return -EPROTO;
		memcpy(&wire, payload, sizeof(wire));
		s = mux_find(mux, id);
		if (s && le32_to_cpu(wire) > MUX_WINDOW - s->credit)
			return -EPROTO;
		if (s)
			s->credit += le32_to_cpu(wire);
		return 0;
	default:
		return mux->frame(mux, type, id, payload, length);
	}
}

static int read_channel(struct mux *mux)
{
	size_t at = 0;
	ssize_t got = read(mux->channel, mux->in + mux->in_used,
			   sizeof(mux->in) - mux->in_used);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return -EPIPE;
	mux->in_used += (size_t)got;
	while (mux->in_used - at >= sizeof(struct mux_header)) {
		struct mux_header header;
		size_t length;
		int err;

		memcpy(&header, mux->in + at, sizeof(header));
		length = le16_to_cpu(header.length);
		if (mux->in_used - at < sizeof(header) + length)
			break;
		err = take_frame(mux, le16_to_cpu(header.type),
				 le32_to_cpu(header.id),
				 mux->in + at + sizeof(header), length);
		if (err)
			return err;
		at += sizeof(header) + length;
	}
	memmove(mux->in, mux->in + at, mux->in_used - at);
	mux->in_used -= at;
	return 0;
}

static int write_channel(struct mux *mux)
{
	ssize_t put = write(mux->channel, mux->out, mux->out_used);

	if (put < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	mux->out_used -= (size_t)put;
	memmove(mux->out, mux->out + put, mux->out_used);
	return 0;
}

/* Which descriptors of a stream matter now. */
static unsigned int collect(struct mux *mux, struct pollfd *pfd,
			    unsigned int n, unsigned int max)
{
	struct stream *s;

	for (s = mux->streams; s && n + 2 <= max; s = s->next) {
		bool read = s->source >= 0 && s->credit &&
			    mux->out_used < QUEUE_SOFT_LIMIT;
		bool write = s->sink >= 0 && s->used;

		if (read)
			pfd[n++] = (struct pollfd){ s->source, POLLIN, 0 };
		if (write)
			pfd[n++] = (struct pollfd){ s->sink, POLLOUT, 0 };
	}
	return n;
}

static void serve(struct mux *mux, const struct pollfd *pfd)
{
	struct stream *s;

	if (!pfd->revents)
		return;
	for (s = mux->streams; s; s = s->next) {
		if (s->source == pfd->fd && (pfd->events & POLLIN)) {
			pump_source(mux, s);
			return;
		}
		if (s->sink == pfd->fd && (pfd->events & POLLOUT)) {
			pump_sink(mux, s);
			return;
		}
	}
}

int mux_turn(struct mux *mux, struct pollfd *pfd, unsigned int used,
	     unsigned int max, int timeout_ms)
{
	unsigned int n, i;
	int err = 0;

	pfd[used].fd = mux->channel;
	pfd[used].events = POLLIN | (mux->out_used ? POLLOUT : 0);
	pfd[used].revents = 0;
	n = collect(mux, pfd, used + 1, max);
	if (poll(pfd, n, timeout_ms) < 0) {
		for (i = 0; i < n; i++)
			pfd[i].revents = 0;
		return errno == EINTR ? 0 : -errno;
	}
	for (i = used + 1; i < n; i++)
		serve(mux, &pfd[i]);
	if (pfd[used].revents & (POLLIN | POLLHUP | POLLERR))
		err = read_channel(mux);
	if (!err && mux->out_used)
		err = write_channel(mux);
	reap(mux);
	return err;
}
