// SPDX-License-Identifier: MIT
/*
 * Back-end as a NIC, theory of operation
 *
 * Owns, per queue, a ring of posted buffers and a frame that is on its way. All
 * of it runs on vmm's loop; frames are copied, both ways.
 *
 *	tx() --copy--> net_back_send() --> sent
 *	                 | no room: the frame is kept in the queue, which takes
 *	                 | no other, until the back-end's room()
 *	received --filter--> RSS --> the queue's oldest buffer --> received()
 *
 * What a call did is told from a posted call (`tell`), never from inside.
 * A frame whose offload its headers contradict is dropped by the back-end and
 * counted there: it has been sent for all that its client can know.
 *
 * Failure answers: a frame that is longer than any, or not guest memory, fails;
 * without a buffer, or with one that is too small, a frame is dropped and
 * counted.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "net_back.h"
#include "net_headers.h"
#include "net_nic.h"

#define DEPTH 512u
#define MAX_RANGES 16u
#define LINK_BPS 10000000000ull
#define CHECKSUMS4 (NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM | NIC_UDP4_CHECKSUM)
#define CHECKSUMS6 (NIC_TCP6_CHECKSUM | NIC_UDP6_CHECKSUM)

struct posted {
	uint32_t id;
	uint16_t nr_ranges;
	struct gpa_range range[MAX_RANGES];
};

struct nic_queue {
	struct net_nic *nic;
	void *client;
	struct posted posted[DEPTH]; /* ring */
	unsigned int first, nr_posted;
	struct nic_received received[DEPTH]; /* to be told */
	struct nic_sent sent[DEPTH];
	unsigned int nr_received, nr_sent;

	bool keeps; /* the frame below has no room yet */
	uint32_t kept_id;
	struct net_frame kept;
	struct iovec piece;
	uint8_t bytes[NET_MAX_FRAME];
};

enum state { STOPPED, STARTING, RUNNING, STOPPING };

struct net_nic {
	struct nic nic; /* first */
	struct net_nic_config config;
	enum state state;
	struct nic_start start; /* of the client */
	unsigned int filter;
	struct nic_queue *queue[NIC_MAX_QUEUES];
	struct reactor_call tell, turn;
	uint8_t frame[NET_MAX_FRAME]; /* a tagged one, without its tag */
	struct nic_stats stats;
	uint64_t filtered;
};

static struct net_nic *of(struct nic *nic)
{
	return (struct net_nic *)nic;
}

/* ---- telling ---- */

static void tell(struct reactor_call *call)
{
	struct net_nic *n = (struct net_nic *)((char *)call -
					       offsetof(struct net_nic, tell));
	const struct nic_client_ops *ops = n->start.ops;

	for (unsigned int i = 0; n->state == RUNNING && i < n->start.nr_queues;
	     i++) {
		struct nic_queue *q = n->queue[i];
		unsigned int received = q->nr_received, sent = q->nr_sent;

		q->nr_received = q->nr_sent = 0;
		if (received)
			ops->received(q->client, q->received, received);
		if (sent)
			ops->sent(q->client, q->sent, sent);
	}
}

/* ---- sending ---- */

static void done(struct nic_queue *q, uint32_t id, bool failed)
{
	struct net_nic *n = q->nic;

	pv_bug(q->nr_sent >= DEPTH, q->nr_sent, DEPTH);
	q->sent[q->nr_sent++] = (struct nic_sent){ id, failed };
	n->stats.tx_failed += failed;
	if (!failed) {
		n->stats.tx_frames++;
		n->stats.tx_bytes += q->kept.len;
	}
	reactor_post(n->config.loop, &n->tell);
}

static struct net_offload offload_of(const struct nic_frame *frame)
{
	struct net_offload o = { .l4 = frame->l4_offset };

	if (frame->offload & NIC_IP4_CHECKSUM)
		o.flags |= NET_IP_CHECKSUM;
	if (frame->offload & (NIC_TCP4_CHECKSUM | NIC_TCP6_CHECKSUM))
		o.flags |= NET_TCP_CHECKSUM;
	if (frame->offload & (NIC_UDP4_CHECKSUM | NIC_UDP6_CHECKSUM))
		o.flags |= NET_UDP_CHECKSUM;
	if (frame->offload & (NIC_LSO4 | NIC_LSO6)) {
		o.flags |= NET_LSO | NET_TCP_CHECKSUM;
		o.mss = frame->mss;
		o.header_len = frame->header_len;
	}
	return o;
}

/* The tag goes behind the addresses. */
static void put_tag(struct nic_queue *q, uint16_t tag)
{
	uint8_t *at = q->bytes + NET_ETHERNET - 2;

	memmove(at + NET_TAG, at, q->kept.len - (NET_ETHERNET - 2));
	net_put16(at, 0x8100);
	net_put16(at + 2, tag);
	q->kept.len += NET_TAG;
	q->kept.offload.l4 += q->kept.offload.l4 ? NET_TAG : 0;
	q->kept.offload.header_len += q->kept.offload.header_len ? NET_TAG : 0;
}

/* Copies a frame out of the guest into the queue. */
static bool take(struct nic_queue *q, const struct nic_frame *frame)
{
	uint32_t len = 0;

	for (unsigned int i = 0; i < frame->nr_ranges; i++) {
		const struct gpa_range *r = &frame->ranges[i];

		if (r->len > NET_MAX_FRAME - NET_TAG - len ||
		    guest_memory_read(q->nic->config.memory, r->gpa,
				      q->bytes + len, r->len) < 0)
			return false;
		len += r->len;
	}
	if (len < NET_ETHERNET)
		return false;
	q->kept.len = len;
	q->kept.offload = offload_of(frame);
	if (frame->offload & NIC_VLAN)
		put_tag(q, frame->vlan);
	q->piece = (struct iovec){ q->bytes, q->kept.len };
	q->kept.iov = &q->piece;
	q->kept.nr = 1;
	return true;
}

static void push(struct nic_queue *q)
{
	q->keeps = !net_back_send(q->nic->config.back, &q->kept);
	if (!q->keeps)
		done(q, q->kept_id, false);
}

static unsigned int tx(struct nic_queue *q, const struct nic_frame *frames,
		       unsigned int nr)
{
	unsigned int i = 0;

	for (; i < nr && !q->keeps && q->nr_sent < DEPTH - 1; i++) {
		q->kept_id = frames[i].id;
		if (take(q, &frames[i]))
			push(q);
		else
			done(q, frames[i].id, true);
	}
	return i;
}

static void room(void *opaque)
{
	struct net_nic *n = opaque;

	if (n->state != RUNNING)
		return;
	for (unsigned int i = 0; i < n->start.nr_queues; i++)
		if (n->queue[i]->keeps)
			push(n->queue[i]);
}

/* ---- receiving ---- */

static void rx_post(struct nic_queue *q, const struct nic_buffer *buffers,
		    unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct posted *p = &q->posted[(q->first + q->nr_posted) %
					      DEPTH];

		pv_bug(q->nr_posted >= DEPTH, q->nr_posted, DEPTH);
		pv_bug(buffers[i].nr_ranges > MAX_RANGES, buffers[i].nr_ranges,
		       MAX_RANGES);
		p->id = buffers[i].id;
		p->nr_ranges = buffers[i].nr_ranges;
		memcpy(p->range, buffers[i].ranges,
		       p->nr_ranges * sizeof(p->range[0]));
		q->nr_posted++;
	}
}

static bool wanted(const struct net_nic *n, const uint8_t *frame)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };

	if (n->filter & NIC_PROMISCUOUS)
		return true;
	if (!memcmp(frame, broadcast, 6))
		return n->filter & NIC_BROADCAST;
	if (frame[0] & 1)
		return n->filter & NIC_MULTICAST;
	return (n->filter & NIC_DIRECTED) &&
	       !memcmp(frame, n->config.mac, 6);
}

/* Into the oldest buffer's ranges; false: it is too small. */
static bool scatter(struct nic_queue *q, const struct posted *p,
		    const uint8_t *frame, uint32_t len)
{
	for (unsigned int i = 0; len && i < p->nr_ranges; i++) {
		uint32_t n = p->range[i].len < len ? p->range[i].len : len;

		if (guest_memory_write(q->nic->config.memory, p->range[i].gpa,
				       frame, n) < 0)
			return false;
		frame += n;
		len -= n;
	}
	return !len;
}

static void describe(const uint8_t *frame, const struct net_headers *h,
		     struct nic_received *r)
{
	uint16_t l4;

	if (h->l3 == NET_IP4 && net_ip_checksum_good(frame, h))
		r->good |= NIC_IP4_CHECKSUM;
	else if (h->l3 == NET_IP4)
		r->bad |= NIC_IP4_CHECKSUM;
	if (!h->l4)
		return;
	if (h->l4 == NET_TCP)
		l4 = h->l3 == NET_IP4 ? NIC_TCP4_CHECKSUM : NIC_TCP6_CHECKSUM;
	else
		l4 = h->l3 == NET_IP4 ? NIC_UDP4_CHECKSUM : NIC_UDP6_CHECKSUM;
	if (net_l4_checksum_good(frame, h))
		r->good |= l4;
	else
		r->bad |= l4;
}

static void deliver(struct net_nic *n, struct nic_queue *q,
		    const uint8_t *frame, uint32_t len,
		    const struct nic_received *meta)
{
	const struct posted *p = &q->posted[q->first];

	if (!q->nr_posted || q->nr_received == DEPTH ||
	    !scatter(q, p, frame, len)) {
		n->stats.rx_dropped++;
		return;
	}
	q->received[q->nr_received] = *meta;
	q->received[q->nr_received].id = p->id;
	q->received[q->nr_received].len = len;
	q->nr_received++;
	q->first = (q->first + 1) % DEPTH;
	q->nr_posted--;
	n->stats.rx_frames++;
	n->stats.rx_bytes += len;
	reactor_post(n->config.loop, &n->tell);
}

static void received(void *opaque, const uint8_t *frame, uint32_t len)
{
	struct net_nic *n = opaque;
	const struct nic_rss *rss = &n->start.rss;
	struct nic_received meta = { 0 };
	struct net_headers h;
	unsigned int queue = 0;

	if (n->state != RUNNING || len < NET_ETHERNET || !wanted(n, frame)) {
		n->filtered++;
		return;
	}
	if (len >= NET_ETHERNET + NET_TAG && net_get16(frame + 12) == 0x8100) {
		meta.good |= NIC_VLAN;
		meta.vlan = net_get16(frame + 14);
		len -= NET_TAG;
		memcpy(n->frame, frame, 12);
		memcpy(n->frame + 12, frame + 16, len - 12);
		frame = n->frame;
	}
	net_headers_parse(frame, len, &h);
	describe(frame, &h, &meta);
	if (h.l3 && rss->entries) {
		meta.good |= NIC_HASH;
		meta.hash = net_rss_hash(frame, &h, rss->key);
		queue = rss->table[meta.hash % rss->entries];
	}
	deliver(n, n->queue[queue], frame, len, &meta);
}

/* ---- start and stop ---- */

static bool rss_good(const struct nic_rss *rss, unsigned int queues)
{
	if (rss->entries > NIC_RSS_TABLE || (rss->entries & (rss->entries - 1)))
		return false;
	for (unsigned int i = 0; i < rss->entries; i++)
		if (rss->table[i] >= queues)
			return false;
	return true;
}

static void free_queues(struct net_nic *n)
{
	for (unsigned int i = 0; i < NIC_MAX_QUEUES; i++) {
		free(n->queue[i]);
		n->queue[i] = NULL;
	}
}

static void answer(struct reactor_call *call)
{
	struct net_nic *n = (struct net_nic *)((char *)call -
					       offsetof(struct net_nic, turn));

	if (n->state == STARTING) {
		n->state = RUNNING;
		n->start.ops->started(n->start.client, 0, n->queue);
	} else {
		n->state = STOPPED;
		free_queues(n);
		n->start.ops->stopped(n->start.client);
	}
}

static int start(struct nic *nic, const struct nic_start *s)
{
	struct net_nic *n = of(nic);

	if (n->state != STOPPED)
		return -EBUSY;
	if (!s->nr_queues || s->nr_queues > n->config.max_queues ||
	    (s->nr_queues & (s->nr_queues - 1)) || s->rx_depth > DEPTH ||
	    s->tx_depth > DEPTH - 1 || !rss_good(&s->rss, s->nr_queues))
		return -EINVAL;
	for (unsigned int i = 0; i < s->nr_queues; i++) {
		pv_bug(s->queue[i].reactor != n->config.loop, i, s->nr_queues);
		n->queue[i] = calloc(1, sizeof(*n->queue[i]));
		if (!n->queue[i]) {
			free_queues(n);
			return -ENOMEM;
		}
		n->queue[i]->nic = n;
		n->queue[i]->client = s->queue[i].client;
	}
	n->start = *s;
	n->state = STARTING;
	reactor_post(n->config.loop, &n->turn);
	return 0;
}

static void stop(struct nic *nic)
{
	struct net_nic *n = of(nic);

	pv_bug(n->state != RUNNING, n->state, RUNNING);
	n->state = STOPPING;
	reactor_post(n->config.loop, &n->turn);
}

static int set_rss(struct nic *nic, const struct nic_rss *rss)
{
	struct net_nic *n = of(nic);

	if (!rss_good(rss, n->start.nr_queues))
		return -EAGAIN;
	n->start.rss = *rss;
	return 0;
}

static void set_filter(struct nic *nic, unsigned int filter)
{
	of(nic)->filter = filter;
}

/* ---- the rest ---- */

static void info(struct nic *nic, struct nic_info *info)
{
	struct net_nic *n = of(nic);

	*info = (struct nic_info){
		.max_queues = n->config.max_queues,
		.max_frame = (uint16_t)(n->config.mtu + NET_ETHERNET),
		.max_tx_ranges = UINT16_MAX,
		.max_rx_ranges = MAX_RANGES,
		.max_rx_depth = DEPTH,
		.max_tx_depth = DEPTH - 1,
		.tx_can = CHECKSUMS4 | CHECKSUMS6 | NIC_LSO4 | NIC_LSO6 |
			  NIC_VLAN,
		.rx_can = CHECKSUMS4 | CHECKSUMS6 | NIC_VLAN | NIC_HASH,
		.max_lso = 65536,
		.link_bps = LINK_BPS,
		.link_up = true,
	};
	memcpy(info->mac, n->config.mac, sizeof(info->mac));
}

static void stats(struct nic *nic, struct nic_stats *out)
{
	*out = of(nic)->stats;
}

static void inspect(struct nic *nic, struct inspect *out)
{
	inspect_u64(out, "filtered", of(nic)->filtered);
}

static void close_nic(struct nic *nic)
{
	struct net_nic *n = of(nic);

	pv_bug(n->state != STOPPED, n->state, STOPPED);
	net_back_stop(n->config.back);
	free(n);
}

static const struct nic_ops ops = {
	.name = "net-back",
	.info = info,
	.start = start,
	.stop = stop,
	.set_rss = set_rss,
	.set_filter = set_filter,
	.rx_post = rx_post,
	.tx = tx,
	.stats = stats,
	.inspect = inspect,
	.close = close_nic,
};

struct nic *net_nic_open(const struct net_nic_config *config)
{
	struct net_nic *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->nic.ops = &ops;
	n->config = *config;
	if (!n->config.mtu)
		n->config.mtu = 1500;
	n->tell.fn = tell;
	n->turn.fn = answer;
	net_back_start(config->back, &(struct net_back_client){
					     received, room, n });
	return &n->nic;
}
