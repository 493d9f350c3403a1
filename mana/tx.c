// SPDX-License-Identifier: MIT
/*
 * Sending, theory of operation
 *
 * A frame becomes one entry of the send queue whose elements are the guest's
 * own pages. Three things the device does not take as they lie; they are
 * copied to the queue's bounce memory and counted:
 *
 *	LSO headers   must be exactly the first element: a first range that is
 *	              longer is cut in two, a shorter one means a copy
 *	too many      an entry holds 30 elements: the rest of the frame follows
 *	              as one
 *	out of reach  a range of RAM without a key: the frame from there on
 *
 * Completions come in order. One per batch is enough: the others are asked to
 * stay silent, and a completion stands for all silent frames before it. An
 * error is told even of a silent frame, and names its entry. Whether an OKAY is
 * for the entry that it is taken for says places.h.
 *
 *	slots:  tail ..silent.. silent, told, silent, told .. head
 *	                               ^ OKAY: up to here
 *
 * Failure answers: a frame that can not be sent takes a slot and is answered
 * in its turn. An entry that the device calls bad kills the send queue (42):
 * the queue breaks, its NIC is to be stopped and started.
 */
#include <errno.h>
#include <string.h>

#include "txrx.h"

#define MAX_SILENT 16

/* A frame on its way into an entry. */
struct gather {
	struct nic_queue *q;
	const struct nic_frame *frame;
	unsigned int range; /* the next one, from `offset` in it */
	uint32_t offset;
	uint32_t left;	   /* bytes of the frame */
	uint32_t taken;	   /* of bounce memory */
	unsigned int nr;
	struct mana_sge sge[MANA_MAX_TX_SGES];
};

static uint32_t frame_bytes(const struct nic_frame *frame)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < frame->nr_ranges; i++)
		sum += frame->ranges[i].len;
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

/* What the format can not carry, the device must not see. */
static bool frame_fits(const struct nic_frame *frame, uint32_t bytes)
{
	bool lso = frame->offload & (NIC_LSO4 | NIC_LSO6);

	if (bytes < NIC_ETHERNET_HEADER || bytes > MANA_MAX_LSO ||
	    frame->nr_ranges > MANA_MAX_TX_RANGES ||
	    frame->l4_offset > MANA_TX_L4_OFFSET_MAX)
		return false;
	return !lso || (frame->mss && frame->mss <= MANA_WQE_MSS_MAX &&
			frame->header_len >= NIC_ETHERNET_HEADER &&
			frame->header_len <= MANA_WQE_HEADER_LEN_MAX &&
			frame->header_len < bytes);
}

static void add_sge(struct gather *g, uint64_t address, uint32_t key,
		    uint32_t len)
{
	g->sge[g->nr++] = (struct mana_sge){ cpu_to_le64(address),
					     cpu_to_le32(key),
					     cpu_to_le32(len) };
}

static void advance(struct gather *g, uint32_t len)
{
	g->left -= len;
	g->offset += len;
	if (g->offset == g->frame->ranges[g->range].len) {
		g->range++;
		g->offset = 0;
	}
}

/* What is left of the range that is next; empty ones are passed over. */
static struct gpa_range rest_of_range(struct gather *g)
{
	const struct gpa_range *range = &g->frame->ranges[g->range];

	while (g->offset == range->len) {
		range = &g->frame->ranges[++g->range];
		g->offset = 0;
	}
	return (struct gpa_range){ range->gpa + g->offset,
				   range->len - g->offset };
}

/* Copies the next `len` bytes; they become one element. False: no room now. */
static bool copy_next(struct gather *g, uint32_t len)
{
	struct bounce *bounce = &g->q->tx_bounce;
	uint8_t *to = bounce_take(bounce, len, &g->taken);

	if (!to)
		return false;
	add_sge(g, (uintptr_t)to, bounce->key, len);
	g->q->stats.bounced_bytes += len;
	while (len) {
		struct gpa_range range = rest_of_range(g);

		if (range.len > len)
			range.len = len;
		/* The caller has checked the range: it can not fail. */
		if (guest_memory_read(g->q->memory, range.gpa, to, range.len))
			memset(to, 0, range.len);
		to += range.len;
		len -= range.len;
		advance(g, range.len);
	}
	return true;
}

static bool gather_header(struct gather *g, uint32_t len)
{
	struct gpa_range range = rest_of_range(g);
	uint32_t key;

	if (range.len < len || !queue_key(g->q, range, &key))
		return copy_next(g, len);
	add_sge(g, range.gpa, key, len);
	advance(g, len);
	return true;
}

/* The last element, extended if the range follows it in memory. */
static bool merge(struct gather *g, unsigned int first, struct gpa_range range,
		  uint32_t key)
{
	struct mana_sge *last;

	if (g->nr == first)
		return false;
	last = &g->sge[g->nr - 1];
	if (le32_to_cpu(last->key) != key ||
	    le64_to_cpu(last->address) + le32_to_cpu(last->size) != range.gpa)
		return false;
	last->size = cpu_to_le32(le32_to_cpu(last->size) + range.len);
	return true;
}

static bool gather(struct gather *g, uint32_t header_len)
{
	unsigned int first;

	if (header_len && !gather_header(g, header_len))
		return false;
	first = g->nr;
	while (g->left) {
		struct gpa_range range = rest_of_range(g);
		uint32_t key;

		if (!queue_key(g->q, range, &key))
			return copy_next(g, g->left);
		if (!merge(g, first, range, key)) {
			/* The last element takes all the rest. */
			if (g->nr == MANA_MAX_TX_SGES - 1 &&
			    range.len < g->left)
				return copy_next(g, g->left);
			add_sge(g, range.gpa, key, range.len);
		}
		advance(g, range.len);
	}
	return true;
}

static uint32_t checksum_flags(uint16_t offload)
{
	uint32_t flags = 0;

	if (offload & (NIC_IP4_CHECKSUM | NIC_LSO4))
		flags |= MANA_TX_IP4 | MANA_TX_IP_CHECKSUM;
	if (offload & (NIC_TCP4_CHECKSUM | NIC_LSO4))
		flags |= MANA_TX_IP4 | MANA_TX_TCP_CHECKSUM;
	if (offload & NIC_UDP4_CHECKSUM)
		flags |= MANA_TX_IP4 | MANA_TX_UDP_CHECKSUM;
	if (offload & (NIC_TCP6_CHECKSUM | NIC_LSO6))
		flags |= MANA_TX_IP6 | MANA_TX_TCP_CHECKSUM;
	if (offload & NIC_UDP6_CHECKSUM)
		flags |= MANA_TX_IP6 | MANA_TX_UDP_CHECKSUM;
	return flags;
}

/* False: no room for it now. */
static bool tx_one(struct nic_queue *q, const struct nic_frame *frame)
{
	struct gather g = { .q = q, .frame = frame,
			    .left = frame_bytes(frame) };
	bool lso = frame->offload & (NIC_LSO4 | NIC_LSO6);
	struct tx_slot *slot = tx_slot(q, q->tx_head);
	struct mana_tx_wqe wqe = {
		.sges = g.sge,
		.checksums = checksum_flags(frame->offload),
		.l4_offset = frame->l4_offset,
		.mss = lso ? frame->mss : 0,
		.header_len = lso ? frame->header_len : 0,
		.tag = frame->offload & NIC_VLAN,
		.vlan = frame->vlan,
		.cq = q->tx_cq.id,
		.vport_offset = q->vport_offset,
		.no_cqe = true,
	};

	if (tx_outstanding(q) == q->tx_depth)
		return false;
	*slot = (struct tx_slot){ .id = frame->id, .bytes = g.left };
	if (!frame_fits(frame, g.left)) {
		q->tx_head++;
		return true;
	}
	if (!gather(&g, wqe.header_len))
		goto out_untake;
	wqe.nr_sges = g.nr;
	if (mana_tx_wqe_size(&wqe) > mana_wq_room(&q->sq))
		goto out_untake;
	slot->start = q->sq.head;
	slot->bounced = g.taken;
	slot->no_cqe = true;
	slot->wqe = (uint16_t)mana_tx_wqe_write(&q->sq, &wqe);
	q->tx_head++;
	return true;
out_untake:
	bounce_untake(&q->tx_bounce, g.taken);
	return false;
}

/* The newest entry is to be told of. */
static void tell_last(struct nic_queue *q, uint32_t from)
{
	for (uint32_t n = q->tx_head; n != from; n--) {
		struct tx_slot *slot = tx_slot(q, n - 1);

		if (!slot->wqe)
			continue;
		if (slot->no_cqe)
			mana_tx_wqe_complete(&q->sq, slot->start);
		slot->no_cqe = false;
		break;
	}
	q->tx_silent = 0;
}

unsigned int queue_tx(struct nic_queue *q, const struct nic_frame *frames,
		      unsigned int nr)
{
	uint32_t first = q->tx_head, written = q->sq.head;
	unsigned int n = 0;

	/* A queue that broke holds what it is given, until it is stopped. */
	while (n < nr && tx_one(q, &frames[n])) {
		q->tx_soon |= !frames[n].late_ns;
		q->late_ns = frames[n].late_ns;
		n++;
		if (++q->tx_silent >= MAX_SILENT)
			tell_last(q, first);
	}
	/* The client waits for room. */
	q->tx_soon |= n < nr;
	if (q->sq.head != written) {
		tell_last(q, first);
		if (!q->stopped)
			mana_sq_ring(&q->doorbells, &q->sq);
	}
	if (n) {
		/* Those too that the device does not see: they are answered
		 * like the others. */
		atomic_store_explicit(&q->tx_posted, q->tx_head,
				      memory_order_relaxed);
		queue_poll_soon(q);
	}
	return n;
}

/* ---- completions ---- */

#define MAX_ANSWERS 64

struct answers {
	struct nic_queue *q;
	unsigned int nr;
	struct nic_sent sent[MAX_ANSWERS];
};

static void flush(struct answers *a)
{
	if (a->nr)
		a->q->ops->sent(a->q->client, a->sent, a->nr);
	a->nr = 0;
}

/* Answers the frame at the tail. */
static void answer(struct answers *a, bool failed)
{
	struct nic_queue *q = a->q;
	struct tx_slot *slot = tx_slot(q, q->tx_tail);

	q->sq.tail += slot->wqe;
	bounce_give(&q->tx_bounce, slot->bounced);
	if (failed) {
		q->stats.tx_failed++;
	} else {
		q->stats.tx_frames++;
		q->stats.tx_bytes += slot->bytes;
	}
	a->sent[a->nr++] = (struct nic_sent){ slot->id, failed };
	q->tx_tail++;
	if (a->nr == MAX_ANSWERS)
		flush(a);
}

/* Frames at the tail that the device never had. */
static unsigned int answer_unsent(struct answers *a)
{
	unsigned int n = 0;

	while (tx_outstanding(a->q) && !tx_slot(a->q, a->q->tx_tail)->wqe) {
		answer(a, true);
		n++;
	}
	return n;
}

static bool names(const struct nic_queue *q, const struct mana_cqe *cqe,
		  uint32_t n)
{
	uint32_t where = le32_to_cpu(cqe->tx.where) >> MANA_TX_WHERE_SHIFT;
	uint32_t units = q->sq.size / MANA_UNIT - 1;

	return !((tx_slot(q, n)->start / MANA_UNIT ^ where) & units);
}

/* The frame that an error is about: the slot's number, or false when that can
 * not be told. */
static bool find_failed(const struct nic_queue *q, const struct mana_cqe *cqe,
			uint32_t *found)
{
	for (uint32_t n = q->tx_tail; n != q->tx_head; n++) {
		if (tx_slot(q, n)->wqe && names(q, cqe, n)) {
			*found = n;
			return true;
		}
	}
	*found = q->tx_tail;
	return !tx_slot(q, q->tx_tail)->no_cqe &&
	       !places_sure(&q->places[PLACES_TX]);
}

/* The next frame that is told of. */
static bool find_told(const struct nic_queue *q, uint32_t *found)
{
	for (uint32_t n = q->tx_tail; n != q->tx_head; n++) {
		const struct tx_slot *slot = tx_slot(q, n);

		if (slot->wqe && !slot->no_cqe) {
			*found = n;
			return true;
		}
	}
	return false;
}

/* False: there is none, or the completion is for another one. */
static bool told(struct nic_queue *q, const struct mana_cqe *cqe, uint32_t *n)
{
	return find_told(q, n) &&
	       places_good(&q->places[PLACES_TX], &q->placed[PLACES_TX],
			   names(q, cqe, *n));
}

static int complete(struct answers *a, const struct mana_cqe *cqe)
{
	unsigned int type = le32_to_cpu(cqe->header) & MANA_CQE_TYPE_MASK;
	struct nic_queue *q = a->q;
	uint32_t n;

	answer_unsent(a);
	if (!tx_outstanding(q) ||
	    (le32_to_cpu(cqe->info) & (MANA_CQE_SQ | MANA_ID_MASK)) !=
		    (MANA_CQE_SQ | q->sq.id))
		return -EPROTO;
	if (type == MANA_CQE_TX_OKAY) {
		if (!told(q, cqe, &n))
			return -EPROTO;
		do {
			answer(a, !tx_slot(q, q->tx_tail)->wqe);
		} while (q->tx_tail != n + 1);
		return 0;
	}
	if (type < MANA_CQE_TX_FIRST_ERROR || type > MANA_CQE_TX_DISABLED ||
	    !find_failed(q, cqe, &n))
		return -EPROTO;
	while (q->tx_tail != n)
		answer(a, !tx_slot(q, q->tx_tail)->wqe);
	answer(a, true);
	return type == MANA_CQE_TX_DISABLED ? -EIO : 0;
}

int tx_completions(struct nic_queue *q, unsigned int budget)
{
	struct answers a = { .q = q };
	struct mana_cqe cqe;
	unsigned int seen = answer_unsent(&a);
	int err = 0;

	for (unsigned int n = 0; n < budget && !err; n++) {
		err = mana_cq_next(&q->tx_cq, &cqe);
		if (err <= 0)
			break;
		seen++;
		err = complete(&a, &cqe);
	}
	if (!err)
		seen += answer_unsent(&a);
	atomic_store_explicit(&q->tx_completed, q->tx_tail,
			      memory_order_relaxed);
	flush(&a);
	if (err == -EIO)
		queue_break(q, "the device stopped its send queue");
	else if (err)
		q->bad_cqes++;
	return err == -EPROTO ? err : (int)seen;
}
