// SPDX-License-Identifier: MIT
/*
 * Rings and doorbells, theory of operation
 *
 * Owns nothing: rings are memory that the device was given, doorbells a page
 * of the device that is ours alone.
 *
 * Work queues: entries are written behind the head and become the device's by
 * a doorbell, which holds the new head; one doorbell serves any number of
 * entries. Room comes back by completions, which the caller matches.
 *
 * Completion queues: the device writes an entry and then its `info`, which
 * holds the lap modulo 8; an entry is there when its lap is that of the head.
 * The device believes that it may write as long as it is less than eight laps
 * ahead of what it was told, so it is told every four.
 *
 *	born armed --entry--> event, disarmed --arm--> armed
 *	                                      (entries waiting: event at once)
 *
 * A doorbell carries the arm bit as a value, not as a request: one that gives
 * credit would disarm, and an event be lost for good. So `armed` is remembered
 * and repeated.
 *
 * Threads: the queue's reactor. Ordering: entries are ordered before the
 * doorbell by a store fence, because its page is mapped write-combining, and a
 * second fence sends the store off.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "queue.h"

#define CREDIT_LAPS 4
/* Looked for behind an entry that is missing. */
#define HOLE_MAX 32u

static void store_fence(void)
{
	__asm__ volatile("sfence" : : : "memory");
}

static void ring(struct mana_doorbells *db, unsigned int offset, uint64_t value)
{
	store_fence();
	__atomic_store_n((uint64_t *)(void *)(db->page + offset), value,
			 __ATOMIC_RELAXED);
	store_fence();
	db->rung++;
}

/* ---- work queues ---- */

static uint32_t whole_units(uint32_t bytes)
{
	return (bytes + MANA_UNIT - 1) & ~(MANA_UNIT - 1);
}

uint32_t mana_rx_wqe_size(unsigned int nr_sges)
{
	return whole_units((uint32_t)(sizeof(struct mana_wqe_header) +
				      MANA_OOB_SHORT +
				      nr_sges * sizeof(struct mana_sge)));
}

static uint32_t oob_size(const struct mana_tx_wqe *tx)
{
	return tx->tag || tx->vport_offset > MANA_TX_SHORT_VPORT_MAX ?
		       MANA_OOB_LONG : MANA_OOB_SHORT;
}

uint32_t mana_tx_wqe_size(const struct mana_tx_wqe *tx)
{
	return whole_units((uint32_t)(sizeof(struct mana_wqe_header) +
				      oob_size(tx) +
				      tx->nr_sges * sizeof(struct mana_sge)));
}

/* Copies whole units to the head, round the ring's end. */
static void write_units(struct mana_wq *wq, const uint8_t *wqe, uint32_t size)
{
	uint32_t at = wq->head & (wq->size - 1);
	uint32_t first = size < wq->size - at ? size : wq->size - at;

	memcpy(wq->ring + at, wqe, first);
	memcpy(wq->ring, wqe + first, size - first);
	wq->head += size;
}

uint32_t mana_rx_wqe_write(struct mana_wq *rq, const struct mana_sge *sges,
			   unsigned int nr_sges)
{
	const struct mana_wqe_header header = {
		.dw1 = cpu_to_le32(nr_sges << MANA_WQE_SGES_SHIFT |
				   MANA_OOB_SHORT / 4 << MANA_WQE_OOB_SHIFT),
	};
	uint32_t size = mana_rx_wqe_size(nr_sges);
	uint8_t wqe[MANA_MAX_RX_WQE];

	memset(wqe, 0, size);
	memcpy(wqe, &header, sizeof(header));
	memcpy(wqe + sizeof(header) + MANA_OOB_SHORT, sges,
	       nr_sges * sizeof(*sges));
	write_units(rq, wqe, size);
	return size;
}

static void fill_oob(struct mana_tx_oob *oob, const struct mana_wq *sq,
		     const struct mana_tx_wqe *tx, bool is_long)
{
	uint32_t dw1 = tx->l4_offset |
		       (sq->id >> MANA_TX_SQ_SHIFT & MANA_TX_FRAME_MASK)
			       << MANA_TX_FRAME_SHIFT;

	if (!is_long)
		dw1 |= tx->vport_offset << MANA_TX_SHORT_VPORT_SHIFT;
	oob->dw0 = cpu_to_le32(tx->checksums | (is_long ? MANA_TX_LONG : 0) |
			       (tx->no_cqe ? MANA_TX_NO_CQE : 0) |
			       tx->cq << MANA_TX_CQ_SHIFT);
	oob->dw1 = cpu_to_le32(dw1);
	if (!is_long)
		return;
	if (tx->tag) /* as in the frame: priority 3, DEI 1, VID 12 bits */
		oob->dw2 = cpu_to_le32(MANA_TX_VLAN |
			(uint32_t)(tx->vlan >> 13) << MANA_TX_PCP_SHIFT |
			(uint32_t)(tx->vlan >> 12 & 1) << MANA_TX_DEI_SHIFT |
			(uint32_t)(tx->vlan & 0xfff) << MANA_TX_VID_SHIFT);
	oob->dw3 = cpu_to_le32((tx->vport_offset & MANA_TX_LONG_VPORT_MAX)
			       << MANA_TX_LONG_VPORT_SHIFT);
}

uint32_t mana_tx_wqe_write(struct mana_wq *sq, const struct mana_tx_wqe *tx)
{
	uint32_t oob_len = oob_size(tx), size = mana_tx_wqe_size(tx);
	struct mana_wqe_header header = {
		.dw1 = cpu_to_le32(tx->nr_sges << MANA_WQE_SGES_SHIFT |
				   oob_len / 4 << MANA_WQE_OOB_SHIFT),
	};
	struct mana_tx_oob oob = { 0 };
	uint8_t wqe[MANA_MAX_TX_WQE];

	if (tx->mss) {
		header.dw0 = cpu_to_le32((uint32_t)tx->header_len
					 << MANA_WQE_HEADER_LEN_SHIFT);
		header.dw1 = cpu_to_le32(le32_to_cpu(header.dw1) |
			MANA_WQE_LSO | (uint32_t)tx->mss << MANA_WQE_MSS_SHIFT);
	}
	fill_oob(&oob, sq, tx, oob_len == MANA_OOB_LONG);
	memset(wqe + size - MANA_UNIT, 0, MANA_UNIT);
	memcpy(wqe, &header, sizeof(header));
	memcpy(wqe + sizeof(header), &oob, oob_len);
	memcpy(wqe + sizeof(header) + oob_len, tx->sges,
	       tx->nr_sges * sizeof(*tx->sges));
	write_units(sq, wqe, size);
	return size;
}

void mana_tx_wqe_complete(struct mana_wq *sq, uint32_t head)
{
	/* Header and short OOB lie in the entry's first unit. */
	uint8_t *at = sq->ring + (head & (sq->size - 1)) +
		      sizeof(struct mana_wqe_header) +
		      offsetof(struct mana_tx_oob, dw0);
	le32 dw0;

	memcpy(&dw0, at, sizeof(dw0));
	dw0 = cpu_to_le32(le32_to_cpu(dw0) & ~MANA_TX_NO_CQE);
	memcpy(at, &dw0, sizeof(dw0));
}

static uint64_t wq_value(const struct mana_wq *wq)
{
	return (uint64_t)wq->head << MANA_DOORBELL_VALUE_SHIFT | wq->id;
}

void mana_sq_ring(struct mana_doorbells *db, const struct mana_wq *sq)
{
	ring(db, MANA_DOORBELL_SQ, wq_value(sq));
}

void mana_rq_ring(struct mana_doorbells *db, const struct mana_wq *rq)
{
	ring(db, MANA_DOORBELL_RQ, wq_value(rq));
}

/* ---- completion queues ---- */

void mana_cq_init(struct mana_cq *cq, void *entries, uint32_t count,
		  uint32_t id)
{
	*cq = (struct mana_cq){ .ring = entries, .count = count, .id = id,
				.head = count, .credited = count,
				.armed = true };
}

int mana_cq_next(struct mana_cq *cq, struct mana_cqe *cqe)
{
	struct mana_cqe *next = &cq->ring[cq->head & (cq->count - 1)];
	uint32_t info = __atomic_load_n((uint32_t *)(void *)&next->info,
					__ATOMIC_ACQUIRE);
	uint32_t owner = info >> MANA_CQE_OWNER_SHIFT;
	uint32_t lap = cq->head / cq->count;

	if (owner == ((lap - 1) & MANA_CQE_OWNER_MASK))
		return 0;
	if (owner != (lap & MANA_CQE_OWNER_MASK))
		return -EPROTO;
	memcpy(cqe, next, sizeof(*cqe));
	cqe->info = cpu_to_le32(info);
	cq->head++;
	return 1;
}

static bool is_there(const struct mana_cq *cq, uint32_t head)
{
	const struct mana_cqe *cqe = &cq->ring[head & (cq->count - 1)];
	uint32_t info = __atomic_load_n((const uint32_t *)(const void *)
					&cqe->info, __ATOMIC_ACQUIRE);

	return info >> MANA_CQE_OWNER_SHIFT ==
	       (head / cq->count & MANA_CQE_OWNER_MASK);
}

bool mana_cq_has_hole(const struct mana_cq *cq)
{
	uint32_t n = 1;

	while (n < HOLE_MAX && !is_there(cq, cq->head + n))
		n++;
	return n < HOLE_MAX && !is_there(cq, cq->head);
}

static void tell(struct mana_doorbells *db, struct mana_cq *cq)
{
	uint64_t head = cq->head & (cq->count * MANA_CQE_LAPS - 1);

	cq->credited = cq->head;
	ring(db, MANA_DOORBELL_CQ, head << MANA_DOORBELL_VALUE_SHIFT | cq->id |
		(cq->armed ? MANA_DOORBELL_ARM : 0));
}

void mana_cq_arm(struct mana_doorbells *db, struct mana_cq *cq)
{
	cq->armed = true;
	tell(db, cq);
}

void mana_cq_credit(struct mana_doorbells *db, struct mana_cq *cq)
{
	if (cq->head - cq->credited >= cq->count * CREDIT_LAPS)
		tell(db, cq);
}
