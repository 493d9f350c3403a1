// SPDX-License-Identifier: MIT
/*
 * Receiving, theory of operation
 *
 * A buffer becomes one entry of the receive queue; the device fills entries in
 * their order. A completion tells of one frame, or of up to four at once, an
 * entry each, and where the first of them lies in the queue.
 *
 * With one completion too few or too many each later buffer would come back with
 * another one's frame: places.h.
 *
 * Buffers in RAM without a key are received into memory of our own, a piece
 * per slot, and copied from there.
 *
 * Nothing of a frame is looked at. While the filter lets nothing pass, buffers
 * go round without the client hearing of it.
 *
 * Failure answers: a frame that was cut off, or that is longer than its buffer
 * claims, comes back as a buffer without a frame; a completion for which there
 * is no buffer that the device was told of, or that is for another one, breaks
 * the queue.
 */
#include <errno.h>
#include <string.h>

#include "txrx.h"

#define MAX_FRAMES 64

/* Writes the entry for the slot at the head. */
static void write_slot(struct nic_queue *q)
{
	struct rx_slot *slot = rx_slot(q, q->rx_head);
	struct mana_sge sge[MANA_MAX_RX_RANGES];
	unsigned int nr = 0;

	slot->bounced = false;
	for (; nr < slot->nr_ranges; nr++) {
		const struct gpa_range *range = &slot->range[nr];
		uint32_t key;

		if (!queue_key(q, *range, &key)) {
			slot->bounced = true;
			break;
		}
		sge[nr] = (struct mana_sge){ cpu_to_le64(range->gpa),
					     cpu_to_le32(key),
					     cpu_to_le32(range->len) };
	}
	if (slot->bounced) {
		uint32_t piece = q->rx_head & (q->rx_depth - 1u);

		sge[0].address = cpu_to_le64((uintptr_t)q->rx_bounce +
					     (uint64_t)piece *
						     q->rx_bounce_size);
		sge[0].key = cpu_to_le32(q->rx_bounce_key);
		sge[0].size = cpu_to_le32(slot->size < q->rx_bounce_size ?
					  slot->size : q->rx_bounce_size);
		nr = 1;
	}
	slot->wqe = (uint16_t)mana_rx_wqe_write(&q->rq, sge, nr);
	q->rx_head++;
}

/*
 * While the device has plenty of buffers, a few more can wait: for an eighth of
 * what it has. Each frame that takes one of those comes back here, so that the
 * last of them is always told in time. Of a queue that no hash leads to the
 * device knows nothing.
 */
void rx_ring(struct nic_queue *q)
{
	uint32_t more = q->rx_head - q->rx_rung;

	if (!q->receives || q->stopped) {
		q->rx_rung = q->rx_head;
		return;
	}
	if (!more || more * 8 < q->rx_rung - q->rx_tail)
		return;
	q->rx_rung = q->rx_head;
	mana_rq_ring(&q->doorbells, &q->rq);
}

void queue_rx_post(struct nic_queue *q, const struct nic_buffer *buffers,
		   unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		const struct nic_buffer *buffer = &buffers[i];
		struct rx_slot *slot = rx_slot(q, q->rx_head);

		pv_bug(q->rx_head - q->rx_tail >= q->rx_depth, i, q->rx_depth);
		pv_bug(buffer->nr_ranges > MANA_MAX_RX_RANGES ||
		       !buffer->nr_ranges, buffer->nr_ranges, buffer->id);
		slot->id = buffer->id;
		slot->nr_ranges = (uint8_t)buffer->nr_ranges;
		slot->size = 0;
		for (unsigned int r = 0; r < buffer->nr_ranges; r++) {
			slot->range[r] = buffer->ranges[r];
			slot->size += buffer->ranges[r].len;
		}
		write_slot(q);
	}
	/* From inside of a poll, its end rings once for all. */
	if (q->polling)
		return;
	rx_ring(q);
	q->stats.doorbells = q->doorbells.rung;
}

/* ---- completions ---- */

struct batch {
	struct nic_queue *q;
	unsigned int nr;
	struct nic_received frame[MAX_FRAMES];
};

static void flush(struct batch *b)
{
	if (b->nr)
		b->q->ops->received(b->q->client, b->frame, b->nr);
	b->nr = 0;
}

static void copy_out(struct nic_queue *q, const struct rx_slot *slot,
		     uint32_t n, uint32_t len)
{
	const uint8_t *from = q->rx_bounce + (size_t)(n & (q->rx_depth - 1u)) *
			      q->rx_bounce_size;

	q->stats.bounced_bytes += len;
	for (unsigned int i = 0; len && i < slot->nr_ranges; i++) {
		uint32_t part = slot->range[i].len < len ? slot->range[i].len :
							    len;

		/* The caller has checked the range: it can not fail. */
		(void)guest_memory_write(q->memory, slot->range[i].gpa, from,
					 part);
		from += part;
		len -= part;
	}
}

static void checksums(uint32_t flags, struct nic_received *frame)
{
	bool six = flags >> MANA_RX_HASH_SHIFT & MANA_RX_HASH_IP6;
	uint16_t tcp = six ? NIC_TCP6_CHECKSUM : NIC_TCP4_CHECKSUM;
	uint16_t udp = six ? NIC_UDP6_CHECKSUM : NIC_UDP4_CHECKSUM;

	if (!six && flags & MANA_RX_IP_GOOD)
		frame->good |= NIC_IP4_CHECKSUM;
	if (!six && flags & MANA_RX_IP_BAD)
		frame->bad |= NIC_IP4_CHECKSUM;
	if (flags & MANA_RX_TCP_GOOD)
		frame->good |= tcp;
	if (flags & MANA_RX_TCP_BAD)
		frame->bad |= tcp;
	if (flags & MANA_RX_UDP_GOOD)
		frame->good |= udp;
	if (flags & MANA_RX_UDP_BAD)
		frame->bad |= udp;
	frame->good &= (uint16_t)~frame->bad; /* of both, the worse */
}

/* Fills in the frame in the buffer at the tail. */
static void fill(struct nic_queue *q, const struct mana_rx_cqe *cqe,
		 unsigned int i, uint32_t len, struct nic_received *frame)
{
	uint32_t flags = le32_to_cpu(cqe->flags);

	frame->len = len;
	checksums(flags, frame);
	if (flags & MANA_RX_VLAN) {
		frame->good |= NIC_VLAN;
		frame->vlan = flags & MANA_RX_VID_MASK;
	}
	if (flags >> MANA_RX_HASH_SHIFT & MANA_RX_HASH_MASK) {
		frame->good |= NIC_HASH;
		frame->hash = le32_to_cpu(cqe->frame[i].hash);
	}
	q->stats.rx_frames++;
	q->stats.rx_bytes += len;
}

/* The buffer at the tail comes back; len 0: without a frame. */
static void receive(struct batch *b, const struct mana_rx_cqe *cqe,
		    unsigned int i, uint32_t len)
{
	struct nic_queue *q = b->q;
	uint32_t n = q->rx_tail++;
	struct rx_slot *slot = rx_slot(q, n);
	struct nic_received *frame = &b->frame[b->nr];

	q->rq.tail += slot->wqe;
	if (!atomic_load_explicit(q->filter, memory_order_relaxed)) {
		struct rx_slot again = *slot;

		*rx_slot(q, q->rx_head) = again;
		write_slot(q);
		return;
	}
	*frame = (struct nic_received){ .id = slot->id };
	if (len && len <= slot->size &&
	    (!slot->bounced || len <= q->rx_bounce_size)) {
		if (slot->bounced)
			copy_out(q, slot, n, len);
		fill(q, cqe, i, len, frame);
	} else {
		q->stats.rx_dropped++;
	}
	if (++b->nr == MAX_FRAMES)
		flush(b);
}

/* False: the completion is for another entry than the one at the tail. */
static bool in_place(struct nic_queue *q, const struct mana_rx_cqe *cqe,
		     enum places_kind kind)
{
	/* Free running, or within the ring. */
	bool same = !((le32_to_cpu(cqe->wqe_offset) ^ q->rq.tail) &
		      (q->rq.size - 1));

	return places_good(&q->places[kind], &q->placed[kind], same);
}

static int complete(struct batch *b, const struct mana_cqe *cqe)
{
	unsigned int type = le32_to_cpu(cqe->header) & MANA_CQE_TYPE_MASK;
	struct nic_queue *q = b->q;
	unsigned int frames = type == MANA_CQE_RX_COALESCED ? MANA_RX_FRAMES :
							      1;

	if ((le32_to_cpu(cqe->info) & (MANA_CQE_SQ | MANA_ID_MASK)) != q->rq.id)
		return -EPROTO;
	if (type == MANA_CQE_RX_FENCE)
		return 0;
	if (type == MANA_CQE_RX_OKAY && !in_place(q, &cqe->rx, PLACES_RX))
		return -EPROTO;
	if (type == MANA_CQE_RX_COALESCED &&
	    !in_place(q, &cqe->rx, PLACES_RX_COALESCED))
		return -EPROTO;
	for (unsigned int i = 0; i < frames; i++) {
		uint32_t len = le32_to_cpu(cqe->rx.frame[i].len) &
			       MANA_RX_LEN_MASK;

		if (i && !len)
			break;
		if (q->rx_tail == q->rx_rung)
			return -EPROTO;
		if (type != MANA_CQE_RX_OKAY && type != MANA_CQE_RX_COALESCED)
			len = 0;
		receive(b, &cqe->rx, i, len);
	}
	return 0;
}

int rx_completions(struct nic_queue *q, unsigned int budget)
{
	struct batch b = { .q = q };
	struct mana_cqe cqe;
	unsigned int seen = 0;
	int err = 0;

	while (seen < budget) {
		err = mana_cq_next(&q->rx_cq, &cqe);
		if (err <= 0)
			break;
		seen++;
		err = complete(&b, &cqe);
		if (err)
			break;
	}
	flush(&b);
	if (err)
		q->bad_cqes++;
	return err ? err : (int)seen;
}
