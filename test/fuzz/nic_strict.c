// SPDX-License-Identifier: MIT
/*
 * Strict NIC, theory of operation
 *
 * Keeps, per queue, what was posted and what is being sent, in order. It ends
 * the process when its client breaks a word of pv/nic.h: a call in the wrong
 * state, on another reactor, above a depth, a range that is no guest RAM, an
 * offload or a size that was not offered.
 *
 * Threads: none; reactors are test/fuzz/reactor_fifo.c.
 */
#include <errno.h>
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "test/fuzz/nic_strict.h"
#include "test/fuzz/reactor_fifo.h"

#define CHECKSUMS (NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM | NIC_UDP4_CHECKSUM | \
		   NIC_TCP6_CHECKSUM | NIC_UDP6_CHECKSUM)
#define MAX_FRAME 1514u
#define MAX_LSO 62780u
#define TX_RANGES 20u

static void info(struct nic *nic, struct nic_info *info)
{
	*info = (struct nic_info){
		.mac = { 0, 0x15, 0x5d, 1, 2, 3 },
		.max_queues = NIC_STRICT_QUEUES,
		.max_frame = MAX_FRAME,
		.max_tx_ranges = TX_RANGES,
		.max_rx_ranges = 2,
		.max_rx_depth = NIC_STRICT_DEPTH,
		.max_tx_depth = NIC_STRICT_DEPTH,
		.tx_can = CHECKSUMS | NIC_LSO4 | NIC_LSO6 | NIC_VLAN,
		.rx_can = CHECKSUMS | NIC_VLAN | NIC_HASH,
		.max_lso = MAX_LSO,
		.link_bps = 1000000000,
		.link_up = ((struct nic_strict *)nic)->link_up,
	};
}

static int start(struct nic *nic, const struct nic_start *start)
{
	struct nic_strict *n = (struct nic_strict *)nic;

	fuzz_expect(reactor_is_current(n->reactor), 0, 0);
	fuzz_expect(n->state == NIC_STOPPED, n->state, 0);
	fuzz_expect(start->nr_queues && start->nr_queues <= NIC_STRICT_QUEUES &&
		    !(start->nr_queues & (start->nr_queues - 1)),
		    start->nr_queues, 0);
	fuzz_expect(start->rx_depth && start->rx_depth <= NIC_STRICT_DEPTH &&
		    start->tx_depth && start->tx_depth <= NIC_STRICT_DEPTH,
		    start->rx_depth, start->tx_depth);
	fuzz_expect(start->rss.entries <= NIC_RSS_TABLE &&
		    !(start->rss.entries & (start->rss.entries - 1)),
		    start->rss.entries, 0);
	for (unsigned int i = 0; i < start->rss.entries; i++)
		fuzz_expect(start->rss.table[i] < start->nr_queues,
			    start->rss.table[i], start->nr_queues);
	n->start = *start;
	n->state = NIC_STARTING;
	for (unsigned int i = 0; i < start->nr_queues; i++) {
		n->queue[i].nic = n;
		n->queue[i].reactor = start->queue[i].reactor;
		n->queue[i].client = start->queue[i].client;
		n->queue[i].nr_posted = n->queue[i].nr_tx = 0;
	}
	return 0;
}

static void stop(struct nic *nic)
{
	struct nic_strict *n = (struct nic_strict *)nic;

	fuzz_expect(reactor_is_current(n->reactor), 0, 0);
	fuzz_expect(n->state == NIC_RUNNING, n->state, 0);
	n->state = NIC_STOPPING;
}

static int set_rss(struct nic *nic, const struct nic_rss *rss)
{
	struct nic_strict *n = (struct nic_strict *)nic;

	fuzz_expect(n->state == NIC_RUNNING, n->state, 0);
	return rss->entries > 16 ? -EAGAIN : 0;
}

static void set_filter(struct nic *nic, unsigned int filter)
{
	fuzz_expect(reactor_is_current(((struct nic_strict *)nic)->reactor) &&
		    filter < 16, filter, 0);
}

static uint32_t check_ranges(const struct nic_queue *q,
			     const struct gpa_range *ranges, unsigned int nr,
			     unsigned int max)
{
	uint32_t bytes = 0;

	fuzz_expect(nr && nr <= max, nr, max);
	for (unsigned int i = 0; i < nr; i++) {
		fuzz_expect(ranges[i].len &&
			    guest_memory_good(q->nic->memory, ranges[i]),
			    ranges[i].gpa, ranges[i].len);
		bytes += ranges[i].len;
	}
	return bytes;
}

static void check_queue(const struct nic_queue *q)
{
	fuzz_expect(reactor_is_current(q->reactor), 0, 0);
	fuzz_expect(q->nic->state == NIC_RUNNING, q->nic->state, 0);
}

static void rx_post(struct nic_queue *q, const struct nic_buffer *buffers,
		    unsigned int nr)
{
	check_queue(q);
	fuzz_expect(q->nr_posted + nr <= q->nic->start.rx_depth, q->nr_posted,
		    nr);
	for (; nr; nr--, buffers++) {
		for (unsigned int i = 0; i < q->nr_posted; i++)
			fuzz_expect(q->posted[i] != buffers->id, i,
				    buffers->id);
		q->room[q->nr_posted] = check_ranges(q, buffers->ranges,
						     buffers->nr_ranges, 2);
		q->posted[q->nr_posted++] = buffers->id;
	}
}

static void check_frame(const struct nic_queue *q,
			const struct nic_frame *frame)
{
	uint32_t bytes = check_ranges(q, frame->ranges, frame->nr_ranges,
				      TX_RANGES);
	bool lso = frame->offload & (NIC_LSO4 | NIC_LSO6);

	fuzz_expect(bytes >= 14 && bytes <= (lso ? MAX_LSO : MAX_FRAME + 4),
		    bytes, frame->offload);
	fuzz_expect(!(frame->offload & NIC_HASH), frame->offload, 0);
	if (frame->offload & CHECKSUMS & ~NIC_IP4_CHECKSUM || lso)
		fuzz_expect(frame->l4_offset >= 34 && frame->l4_offset < bytes,
			    frame->l4_offset, bytes);
	if (lso)
		fuzz_expect(frame->mss && frame->header_len >=
			    frame->l4_offset + 20 && frame->header_len < bytes,
			    frame->header_len, frame->mss);
}

static unsigned int tx(struct nic_queue *q, const struct nic_frame *frames,
		       unsigned int nr)
{
	unsigned int taken = 0;

	check_queue(q);
	fuzz_expect(nr, nr, 0);
	for (; taken < nr && q->nr_tx < q->nic->start.tx_depth &&
	       /* Now and then less than there is room for. */
	       !(q->nr_tx > 8 && q->nr_tx % 8 == 7); taken++, frames++) {
		for (unsigned int i = 0; i < q->nr_tx; i++)
			fuzz_expect(q->tx[i] != frames->id, i, frames->id);
		check_frame(q, frames);
		q->tx[q->nr_tx++] = frames->id;
		q->nic->frames++;
	}
	return taken;
}

static void stats(struct nic *nic, struct nic_stats *stats)
{
	(void)nic;
	memset(stats, 0, sizeof(*stats));
}

static const struct nic_ops strict_ops = {
	.name = "strict",
	.info = info,
	.start = start,
	.stop = stop,
	.set_rss = set_rss,
	.set_filter = set_filter,
	.rx_post = rx_post,
	.tx = tx,
	.stats = stats,
};

void nic_strict_init(struct nic_strict *nic, const struct guest_memory *memory,
		     struct reactor *reactor)
{
	memset(nic, 0, sizeof(*nic));
	nic->nic.ops = &strict_ops;
	nic->memory = memory;
	nic->reactor = reactor;
	nic->link_up = true;
}

struct answer {
	struct nic_strict *nic;
	int result;
};

static void answer(void *arg)
{
	struct answer *a = arg;
	struct nic_queue *queues[NIC_STRICT_QUEUES];
	struct nic_strict *n = a->nic;

	for (unsigned int i = 0; i < NIC_STRICT_QUEUES; i++)
		queues[i] = &n->queue[i];
	if (n->state == NIC_STARTING) {
		n->state = a->result ? NIC_STOPPED : NIC_RUNNING;
		n->start.ops->started(n->start.client, a->result,
				      a->result ? NULL : queues);
	} else {
		n->state = NIC_STOPPED;
		n->start.ops->stopped(n->start.client);
	}
}

bool nic_strict_answer(struct nic_strict *nic, int result)
{
	struct answer a = { nic, result };

	if (nic->state != NIC_STARTING && nic->state != NIC_STOPPING)
		return false;
	reactor_run(nic->reactor, answer, &a);
	return true;
}

static bool can_tell(const struct nic_strict *nic, unsigned int queue)
{
	return (nic->state == NIC_RUNNING || nic->state == NIC_STOPPING) &&
	       queue < nic->start.nr_queues;
}

struct telling {
	struct nic_queue *q;
	const struct nic_sent *sent;
	const struct nic_received *received;
	unsigned int nr;
};

static void tell(void *arg)
{
	const struct telling *t = arg;
	const struct nic_client_ops *ops = t->q->nic->start.ops;

	if (t->sent)
		ops->sent(t->q->client, t->sent, t->nr);
	else
		ops->received(t->q->client, t->received, t->nr);
}

bool nic_strict_sent(struct nic_strict *nic, unsigned int queue,
		     unsigned int n, bool failed)
{
	struct nic_sent sent[NIC_STRICT_DEPTH];
	struct nic_queue *q = &nic->queue[queue % NIC_STRICT_QUEUES];
	struct telling t = { .q = q, .sent = sent };

	if (!can_tell(nic, queue) || !q->nr_tx)
		return false;
	if (n > q->nr_tx)
		n = q->nr_tx;
	for (unsigned int i = 0; i < n; i++)
		sent[i] = (struct nic_sent){ q->tx[i], failed };
	q->nr_tx -= n;
	memmove(q->tx, q->tx + n, q->nr_tx * sizeof(q->tx[0]));
	t.nr = n;
	reactor_run(q->reactor, tell, &t);
	return true;
}

bool nic_strict_receive(struct nic_strict *nic, unsigned int queue,
			unsigned int n, uint32_t len, uint16_t good,
			uint16_t bad)
{
	struct nic_received received[NIC_STRICT_DEPTH];
	struct nic_queue *q = &nic->queue[queue % NIC_STRICT_QUEUES];
	struct telling t = { .q = q, .received = received };

	if (!can_tell(nic, queue) || !q->nr_posted)
		return false;
	if (n > q->nr_posted)
		n = q->nr_posted;
	for (unsigned int i = 0; i < n; i++)
		received[i] = (struct nic_received){
			.id = q->posted[i],
			.len = len > q->room[i] ? q->room[i] : len,
			.good = good, .bad = bad,
			.vlan = good, .hash = len,
		};
	q->nr_posted -= n;
	memmove(q->posted, q->posted + n, q->nr_posted * sizeof(q->posted[0]));
	memmove(q->room, q->room + n, q->nr_posted * sizeof(q->room[0]));
	t.nr = n;
	reactor_run(q->reactor, tell, &t);
	return true;
}

struct happening {
	struct nic *nic;
	enum nic_event event;
};

static void happen(void *arg)
{
	const struct happening *h = arg;

	h->nic->event(h->nic, h->event);
}

void nic_strict_event(struct nic_strict *nic, enum nic_event event)
{
	struct happening h = { &nic->nic, event };

	reactor_run(nic->reactor, happen, &h);
}
