// SPDX-License-Identifier: MIT
/*
 * Network back-ends, theory of operation
 *
 * Owns the way of a frame from any thread to the loop, and what is the same for
 * all kinds: finishing frames, captures, counters.
 *
 *	net_back_send() --copy--> ring --loop--> finished --> capture --> kind
 *	client <-- capture <-- finished <-- kind
 *
 * A record in the ring is struct record and the frame. The ring is what holds a
 * sender back: when it is full, net_back_send() says so, and room() is called
 * when half of it is free. A kind that takes unfinished frames gets them so
 * unless there is a capture, whose readers want to see what is on the wire.
 *
 * Failure answers: a frame whose headers are not what its offload says is
 * counted and dropped, as is one that the world does not take.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net_back_kind.h"
#include "net_capture.h"
#include "net_offload.h"

#define RING_SIZE (1u << 20)

struct record {
	uint32_t len;
	struct net_offload offload;
};

static const struct net_kind_ops *const kinds[] = {
	[NET_USER] = &net_kind_user,
	[NET_TAP] = &net_kind_tap,
	[NET_PAIR] = &net_kind_pair,
	[NET_NULL] = &net_kind_null,
};

/* ---- out ---- */

bool net_back_send(struct net_back *nb, const struct net_frame *frame)
{
	struct record record = { frame->len, frame->offload };
	bool room;

	pthread_mutex_lock(&nb->lock);
	room = nb->ring.size - nb->ring.count >= sizeof(record) + frame->len;
	if (room) {
		byte_ring_push(&nb->ring, (const uint8_t *)&record,
			       sizeof(record));
		for (unsigned int i = 0; i < frame->nr; i++)
			byte_ring_push(&nb->ring, frame->iov[i].iov_base,
				       frame->iov[i].iov_len);
	} else {
		NET_BACK_COUNT(nb, out_waits, !nb->starved);
		nb->starved = true;
	}
	pthread_mutex_unlock(&nb->lock);
	reactor_post(nb->loop, &nb->drain);
	return room;
}

static void count_out(struct net_back *nb, uint32_t len)
{
	NET_BACK_COUNT(nb, out_frames, 1);
	NET_BACK_COUNT(nb, out_bytes, len);
}

static void finished_out(void *opaque, const uint8_t *frame, uint32_t len)
{
	static const struct net_offload none;
	struct net_back *nb = opaque;

	count_out(nb, len);
	if (nb->capture)
		net_capture_frame(nb->capture, frame, len);
	nb->ops->out(nb, (uint8_t *)frame, len, &none);
}

static void send_one(struct net_back *nb, const struct record *record)
{
	if (nb->ops->offloads && !nb->capture) {
		count_out(nb, record->len);
		nb->ops->out(nb, nb->frame, record->len, &record->offload);
	} else if (net_offload_finish(nb->frame, record->len, &record->offload,
				      finished_out, nb) < 0) {
		NET_BACK_COUNT(nb, out_bad, 1);
	}
}

/* Takes the oldest frame into nb->frame. */
static bool take(struct net_back *nb, struct record *record)
{
	bool there;

	pthread_mutex_lock(&nb->lock);
	there = byte_ring_peek(&nb->ring, (uint8_t *)record,
			       sizeof(*record)) == sizeof(*record);
	if (there) {
		byte_ring_drop(&nb->ring, sizeof(*record));
		byte_ring_peek(&nb->ring, nb->frame, record->len);
		byte_ring_drop(&nb->ring, record->len);
	}
	pthread_mutex_unlock(&nb->lock);
	return there;
}

static bool take_starved(struct net_back *nb)
{
	bool starved;

	pthread_mutex_lock(&nb->lock);
	starved = nb->starved && nb->ring.count <= nb->ring.size / 2;
	if (starved)
		nb->starved = false;
	pthread_mutex_unlock(&nb->lock);
	return starved;
}

/* As many frames as are there now: their sender may be quicker than we are,
 * and the loop has other work. */
static void drain(struct reactor_call *call)
{
	struct net_back *nb = (struct net_back *)((char *)call -
						  offsetof(struct net_back,
							   drain));
	struct record record;
	size_t bytes;

	pthread_mutex_lock(&nb->lock);
	bytes = nb->ring.count;
	pthread_mutex_unlock(&nb->lock);
	while (bytes && take(nb, &record)) {
		bytes -= sizeof(record) + record.len;
		send_one(nb, &record);
	}
	if (take_starved(nb) && nb->client.room)
		nb->client.room(nb->client.opaque);
	pthread_mutex_lock(&nb->lock);
	bytes = nb->ring.count;
	pthread_mutex_unlock(&nb->lock);
	if (bytes)
		reactor_post(nb->loop, &nb->drain);
}

/* ---- in ---- */

static void finished_in(void *opaque, const uint8_t *frame, uint32_t len)
{
	struct net_back *nb = opaque;

	NET_BACK_COUNT(nb, in_frames, 1);
	NET_BACK_COUNT(nb, in_bytes, len);
	if (nb->capture)
		net_capture_frame(nb->capture, frame, len);
	if (nb->client.received)
		nb->client.received(nb->client.opaque, frame, len);
}

void net_back_in(struct net_back *nb, uint8_t *frame, uint32_t len,
		 const struct net_offload *o)
{
	static const struct net_offload none;

	/* What came unfinished and is none: as it is, as a wire would. */
	if (net_offload_finish(frame, len, o ? o : &none, finished_in, nb) < 0)
		finished_in(nb, frame, len);
}

/* ---- life ---- */

/* NULL, or why not. */
static const char *open_parts(struct net_back *nb,
			      const struct net_option *option)
{
	const char *why;

	nb->ring = (struct byte_ring){ malloc(RING_SIZE), RING_SIZE, 0, 0 };
	if (!nb->ring.data)
		return "out of memory";
	if (option->pcap) {
		nb->capture = net_capture_open(option->pcap);
		if (!nb->capture)
			return strerror(errno);
	}
	why = nb->ops->open(nb, option);
	if (why)
		nb->ops = NULL;
	return why;
}

struct net_back *net_back_open(const struct net_option *option,
			       struct reactor *loop)
{
	struct net_back *nb = calloc(1, sizeof(*nb));
	const char *why = "out of memory";

	if (nb) {
		pthread_mutex_init(&nb->lock, NULL);
		nb->ops = kinds[option->kind];
		nb->loop = loop;
		nb->drain.fn = drain;
		why = open_parts(nb, option);
		if (!why)
			return nb;
		net_back_close(nb);
	}
	fprintf(stderr, "vmm: --net %s: %s\n", option->text, why);
	return NULL;
}

void net_back_start(struct net_back *nb, const struct net_back_client *client)
{
	nb->client = *client;
	if (nb->ops->start && !nb->started)
		nb->ops->start(nb);
	nb->started = true;
}

void net_back_stop(struct net_back *nb)
{
	nb->client = (struct net_back_client){ 0 };
}

void net_back_close(struct net_back *nb)
{
	if (!nb)
		return;
	net_back_stop(nb);
	if (nb->ops && nb->ops->close)
		nb->ops->close(nb);
	net_capture_close(nb->capture);
	free(nb->ring.data);
	pthread_mutex_destroy(&nb->lock);
	free(nb);
}

void net_back_print_stats(struct net_back *nb, FILE *out)
{
	const char *comma = "";

	fputs("{", out);
#define PRINT(name)                                                       \
	fprintf(out, "%s\"" #name "\":%llu", comma,                       \
		(unsigned long long)atomic_load_explicit(&nb->count.name, \
						memory_order_relaxed));   \
	comma = ",";
	NET_BACK_COUNTERS(PRINT)
#undef PRINT
	fputs("}", out);
}
