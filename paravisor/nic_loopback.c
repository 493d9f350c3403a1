/* SPDX-License-Identifier: MIT */
/*
 * Loopback NIC, theory of operation
 *
 * Owns, per queue, a ring of posted buffers and two lists of what was done and
 * is to be told. A frame is copied into a buffer when it is sent, is told of as
 * sent and as received from a posted call, and takes its offloads with it: a
 * checksum that was to be filled in is said to be good, a tag stays beside the
 * frame, and a frame to be segmented becomes as many as a device would make of
 * it.
 *
 *	tx() -> copy -> told: sent, received      no buffer: dropped
 *
 * Start and stop answer from posted calls, too; stop asks each queue's reactor
 * first, so that what was to be told is told before.
 *
 * Threads: a queue on its reactor, the rest on the one it was opened for.
 * Failure answers: as pv/nic.h says; a frame cannot fail.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "nic_loopback.h"

#define DEPTH 1024u
#define MAX_FRAME 9014
#define MAX_LSO 62780u
#define MAX_SEGMENT_HEADER 256u
#define TOLD 64u /* frames in one call */

/* Of IPv4, IPv6 and TCP headers, from their start. */
#define IP4_LENGTH_AT 2
#define IP4_ID_AT 4
#define IP6_LENGTH_AT 4
#define TCP_SEQUENCE_AT 4

enum state { STOPPED, STARTING, RUNNING, STOPPING };

struct posted {
	uint32_t id;
	uint16_t nr_ranges;
	struct gpa_range range[8];
};

struct nic_queue {
	struct loopback *nic;
	struct reactor *reactor;
	void *client;
	unsigned int rx_depth, tx_depth;
	unsigned int first, nr_posted; /* ring */
	struct posted posted[DEPTH];
	unsigned int nr_received, nr_sent;
	struct nic_received received[DEPTH];
	struct nic_sent sent[DEPTH];
	struct reactor_call tell_call, stop_call;
	struct nic_stats stats;
};

struct loopback {
	struct nic nic; /* first */
	struct nic_loopback_config config;
	const struct nic_client_ops *ops;
	void *client;
	enum state state;
	_Atomic unsigned int filter;
	unsigned int nr_queues;
	_Atomic unsigned int awaited; /* queues that have not stopped */
	struct nic_queue *queue[NIC_MAX_QUEUES]; /* made once */
	struct reactor_call started_call, stopped_call;
};

#define loopback_of(pointer, member)                                       \
	((struct loopback *)((char *)(pointer) -                           \
		offsetof(struct loopback, member)))
#define queue_of(pointer, member)                                          \
	((struct nic_queue *)((char *)(pointer) -                          \
		offsetof(struct nic_queue, member)))

/* Copies between ranges. */

struct place {
	const struct gpa_range *range;
	uint32_t offset;
};

static void copy_out(struct loopback *lo, struct place *from, uint8_t *to,
		     uint32_t len)
{
	while (len) {
		uint32_t n = from->range->len - from->offset;

		if (n > len)
			n = len;
		guest_memory_read(lo->config.memory,
				  from->range->gpa + from->offset, to, n);
		to += n;
		len -= n;
		from->offset += n;
		if (from->offset == from->range->len) {
			from->range++;
			from->offset = 0;
		}
	}
}

static void copy_in(struct loopback *lo, struct place *to, const uint8_t *from,
		    uint32_t len)
{
	while (len) {
		uint32_t n = to->range->len - to->offset;

		if (n > len)
			n = len;
		guest_memory_write(lo->config.memory,
				   to->range->gpa + to->offset, from, n);
		from += n;
		len -= n;
		to->offset += n;
		if (to->offset == to->range->len) {
			to->range++;
			to->offset = 0;
		}
	}
}

static uint32_t bytes_of(const struct gpa_range *ranges, unsigned int nr)
{
	uint32_t bytes = 0;

	while (nr--)
		bytes += ranges[nr].len;
	return bytes;
}

/* Frames. */

static uint16_t good_of(const struct nic_frame *frame)
{
	uint16_t good = frame->offload & ~(NIC_LSO4 | NIC_LSO6);

	if (frame->offload & NIC_LSO4)
		good |= NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM;
	if (frame->offload & NIC_LSO6)
		good |= NIC_TCP6_CHECKSUM;
	return good;
}

/* A frame of a header and `len` bytes of payload arrives. */
static void arrive(struct nic_queue *q, const struct nic_frame *frame,
		   const uint8_t *header, uint32_t header_len,
		   struct place *payload, uint32_t len)
{
	struct loopback *lo = q->nic;
	struct posted *buffer = &q->posted[q->first];
	struct place to = { buffer->range, 0 };
	uint8_t bytes[2048];

	if (!q->nr_posted ||
	    bytes_of(buffer->range, buffer->nr_ranges) < header_len + len) {
		q->stats.rx_dropped++;
		while (len) {
			uint32_t n = len < sizeof(bytes) ? len : sizeof(bytes);

			copy_out(lo, payload, bytes, n);
			len -= n;
		}
		return;
	}
	q->received[q->nr_received++] = (struct nic_received){
		.id = buffer->id,
		.len = header_len + len,
		.good = good_of(frame),
		.vlan = frame->vlan,
	};
	q->first = (q->first + 1) % DEPTH;
	q->nr_posted--;
	q->stats.rx_frames++;
	q->stats.rx_bytes += header_len + len;
	copy_in(lo, &to, header, header_len);
	while (len) {
		uint32_t n = len < sizeof(bytes) ? len : sizeof(bytes);

		copy_out(lo, payload, bytes, n);
		copy_in(lo, &to, bytes, n);
		len -= n;
	}
}

static void put_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Cuts a frame: each part has the header, with its own length and place. */
static void segment(struct nic_queue *q, const struct nic_frame *frame)
{
	uint32_t left = bytes_of(frame->ranges, frame->nr_ranges);
	uint32_t header_len = frame->header_len, l4 = frame->l4_offset;
	struct place from = { frame->ranges, 0 };
	uint8_t header[MAX_SEGMENT_HEADER];
	uint32_t sequence, l3;

	if (header_len > sizeof(header))
		return;
	copy_out(q->nic, &from, header, header_len);
	left -= header_len;
	memcpy(&sequence, header + l4 + TCP_SEQUENCE_AT, sizeof(sequence));
	sequence = __builtin_bswap32(sequence);
	l3 = NIC_ETHERNET_HEADER + (header[12] == 0x81 && !header[13] ? 4 : 0);
	for (uint32_t id = 0; left; id++) {
		uint32_t n = left < frame->mss ? left : frame->mss;
		uint32_t now = __builtin_bswap32(sequence);

		if (frame->offload & NIC_LSO6) {
			put_be16(header + l3 + IP6_LENGTH_AT,
				 header_len - l4 + n);
		} else {
			put_be16(header + l3 + IP4_LENGTH_AT,
				 header_len - l3 + n);
			put_be16(header + l3 + IP4_ID_AT, id);
		}
		memcpy(header + l4 + TCP_SEQUENCE_AT, &now, sizeof(now));
		arrive(q, frame, header, header_len, &from, n);
		sequence += n;
		left -= n;
	}
}

/* The queue's reactor. */

static void tell(struct reactor_call *call)
{
	struct nic_queue *q = queue_of(call, tell_call);
	const struct nic_client_ops *ops = q->nic->ops;
	unsigned int at, n, nr;

	nr = q->nr_received;
	q->nr_received = 0;
	for (at = 0; at < nr; at += n) {
		n = nr - at < TOLD ? nr - at : TOLD;
		ops->received(q->client, q->received + at, n);
	}
	nr = q->nr_sent;
	q->nr_sent = 0;
	for (at = 0; at < nr; at += n) {
		n = nr - at < TOLD ? nr - at : TOLD;
		ops->sent(q->client, q->sent + at, n);
	}
}

static void rx_post(struct nic_queue *q, const struct nic_buffer *buffers,
		    unsigned int nr)
{
	pv_bug(q->nr_posted + nr > q->rx_depth, q->nr_posted, nr);
	for (; nr; nr--, buffers++) {
		struct posted *p = &q->posted[(q->first + q->nr_posted++) %
					      DEPTH];

		pv_bug(buffers->nr_ranges > 8, buffers->nr_ranges, 0);
		p->id = buffers->id;
		p->nr_ranges = buffers->nr_ranges;
		memcpy(p->range, buffers->ranges,
		       buffers->nr_ranges * sizeof(p->range[0]));
	}
}

static unsigned int tx(struct nic_queue *q, const struct nic_frame *frames,
		       unsigned int nr)
{
	unsigned int taken = 0;

	for (; taken < nr && q->nr_sent < q->tx_depth; taken++, frames++) {
		struct place from = { frames->ranges, 0 };
		uint32_t len = bytes_of(frames->ranges, frames->nr_ranges);

		if (q->nic->config.discard || !q->nic->filter)
			; /* nobody wants it */
		else if (frames->offload & (NIC_LSO4 | NIC_LSO6))
			segment(q, frames);
		else
			arrive(q, frames, NULL, 0, &from, len);
		q->stats.tx_frames++;
		q->stats.tx_bytes += len;
		q->sent[q->nr_sent++] = (struct nic_sent){ .id = frames->id };
	}
	q->stats.doorbells++;
	if (taken)
		reactor_post(q->reactor, &q->tell_call);
	return taken;
}

static void stop_queue(struct reactor_call *call)
{
	struct nic_queue *q = queue_of(call, stop_call);
	struct loopback *lo = q->nic;

	/* What was to be told came before this. */
	q->nr_posted = 0;
	if (atomic_fetch_sub(&lo->awaited, 1) == 1)
		reactor_post(lo->config.reactor, &lo->stopped_call);
}

/* The reactor that it was opened for. */

static void info(struct nic *nic, struct nic_info *info)
{
	const uint32_t checksums = NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM |
				   NIC_UDP4_CHECKSUM | NIC_TCP6_CHECKSUM |
				   NIC_UDP6_CHECKSUM;
	struct loopback *lo = (struct loopback *)nic;

	*info = (struct nic_info){
		.max_queues = NIC_MAX_QUEUES,
		.max_frame = MAX_FRAME,
		.max_tx_ranges = 64,
		.max_rx_ranges = 8,
		.max_rx_depth = DEPTH,
		.max_tx_depth = DEPTH,
		.tx_can = checksums | NIC_LSO4 | NIC_LSO6 | NIC_VLAN,
		.rx_can = checksums | NIC_VLAN,
		.max_lso = MAX_LSO,
		.link_bps = 10000000000ull,
		.link_up = true,
	};
	memcpy(info->mac, lo->config.mac, sizeof(info->mac));
}

static void started(struct reactor_call *call)
{
	struct loopback *lo = loopback_of(call, started_call);

	lo->state = RUNNING;
	lo->ops->started(lo->client, 0, lo->queue);
}

static void stopped(struct reactor_call *call)
{
	struct loopback *lo = loopback_of(call, stopped_call);

	lo->state = STOPPED;
	lo->ops->stopped(lo->client);
}

static int make_queue(struct loopback *lo, unsigned int i,
		      const struct nic_start *start)
{
	struct nic_queue *q = lo->queue[i];

	if (!q) {
		q = calloc(1, sizeof(*q));
		if (!q)
			return -ENOMEM;
		q->nic = lo;
		q->tell_call.fn = tell;
		q->stop_call.fn = stop_queue;
		lo->queue[i] = q;
	}
	q->reactor = start->queue[i].reactor;
	q->client = start->queue[i].client;
	q->rx_depth = start->rx_depth;
	q->tx_depth = start->tx_depth;
	q->first = q->nr_posted = 0;
	return 0;
}

static int start(struct nic *nic, const struct nic_start *start)
{
	struct loopback *lo = (struct loopback *)nic;

	if (lo->state != STOPPED)
		return -EBUSY;
	if (!start->nr_queues || start->nr_queues > NIC_MAX_QUEUES ||
	    start->nr_queues & (start->nr_queues - 1) ||
	    start->rx_depth > DEPTH || start->tx_depth > DEPTH)
		return -EINVAL;
	for (unsigned int i = 0; i < start->nr_queues; i++) {
		int err = make_queue(lo, i, start);

		if (err)
			return err;
	}
	lo->ops = start->ops;
	lo->client = start->client;
	lo->nr_queues = start->nr_queues;
	lo->state = STARTING;
	reactor_post(lo->config.reactor, &lo->started_call);
	return 0;
}

static void stop(struct nic *nic)
{
	struct loopback *lo = (struct loopback *)nic;

	pv_bug(lo->state != RUNNING, lo->state, 0);
	lo->state = STOPPING;
	atomic_store(&lo->awaited, lo->nr_queues);
	for (unsigned int i = 0; i < lo->nr_queues; i++)
		reactor_post(lo->queue[i]->reactor, &lo->queue[i]->stop_call);
}

static int set_rss(struct nic *nic, const struct nic_rss *rss)
{
	/* Frames come where they went. */
	(void)nic;
	(void)rss;
	return 0;
}

static void set_filter(struct nic *nic, unsigned int filter)
{
	((struct loopback *)nic)->filter = filter;
}

static void stats(struct nic *nic, struct nic_stats *stats)
{
	struct loopback *lo = (struct loopback *)nic;

	memset(stats, 0, sizeof(*stats));
	for (unsigned int i = 0; i < NIC_MAX_QUEUES && lo->queue[i]; i++)
		nic_stats_add(stats, &lo->queue[i]->stats);
}

static void nic_close(struct nic *nic)
{
	struct loopback *lo = (struct loopback *)nic;

	pv_bug(lo->state != STOPPED, lo->state, 0);
	for (unsigned int i = 0; i < NIC_MAX_QUEUES; i++)
		free(lo->queue[i]);
	free(lo);
}

static const struct nic_ops loopback_ops = {
	.name = "loopback",
	.info = info,
	.start = start,
	.stop = stop,
	.set_rss = set_rss,
	.set_filter = set_filter,
	.rx_post = rx_post,
	.tx = tx,
	.stats = stats,
	.close = nic_close,
};

struct nic *nic_loopback_create(const struct nic_loopback_config *config)
{
	struct loopback *lo = calloc(1, sizeof(*lo));

	if (!lo)
		return NULL;
	lo->nic.ops = &loopback_ops;
	lo->config = *config;
	lo->started_call.fn = started;
	lo->stopped_call.fn = stopped;
	return &lo->nic;
}
