/* SPDX-License-Identifier: MIT */
/*
 * Rings and doorbells of one pair of MANA queues.
 *
 * Heads and tails run freely; rings have power-of-two sizes. Nothing here
 * knows where rings come from, or fails: the caller has looked for room.
 * Threads: one at a time, the queue's reactor.
 */
#ifndef MANA_QUEUE_H
#define MANA_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "queue_reg.h"

struct mana_doorbells {
	uint8_t *page; /* mapped device memory */
	uint64_t rung;
};

struct mana_wq {
	uint8_t *ring;
	uint32_t size; /* bytes */
	uint32_t id;
	uint32_t head; /* bytes written */
	uint32_t tail; /* bytes that the device is done with */
};

struct mana_cq {
	struct mana_cqe *ring; /* the device writes it */
	uint32_t count;
	uint32_t id;
	uint32_t head;	  /* next entry; starts at `count`: the first lap is 1 */
	uint32_t credited; /* head that the device was last told */
	/* The next entry raises an event. A doorbell that does not say so
	 * again takes it back. */
	bool armed;
};

/* A frame to send, ready for the device. */
struct mana_tx_wqe {
	const struct mana_sge *sges;
	unsigned int nr_sges;
	uint32_t checksums;   /* MANA_TX_* of dw0 */
	uint16_t l4_offset;
	uint16_t mss;	      /* 0: no LSO */
	uint16_t header_len;  /* LSO: size of the first SGE */
	bool tag;
	uint16_t vlan;
	uint32_t cq;
	uint32_t vport_offset;
	bool no_cqe;
};

/* SGEs that fit in an entry of the longer form. */
#define MANA_MAX_TX_SGES 30u
#define MANA_MAX_RX_SGES 15u

void mana_cq_init(struct mana_cq *cq, void *ring, uint32_t count, uint32_t id);

/* Free bytes. */
static inline uint32_t mana_wq_room(const struct mana_wq *wq)
{
	return wq->size - (wq->head - wq->tail);
}

/* Bytes that an entry takes. */
uint32_t mana_rx_wqe_size(unsigned int nr_sges);
uint32_t mana_tx_wqe_size(const struct mana_tx_wqe *tx);

/* Writes an entry at the head; returns its bytes. */
uint32_t mana_rx_wqe_write(struct mana_wq *rq, const struct mana_sge *sges,
			   unsigned int nr_sges);
uint32_t mana_tx_wqe_write(struct mana_wq *sq, const struct mana_tx_wqe *tx);
/* Gives the entry at `head` (of before it was written) its completion back.
 * Before the doorbell. */
void mana_tx_wqe_complete(struct mana_wq *sq, uint32_t head);

/* 1 and the next entry, 0 there is none, -EPROTO the device wrote over entries
 * or breaks the format: nothing in this queue can be believed any more. */
int mana_cq_next(struct mana_cq *cq, struct mana_cqe *cqe);
/* The next entry is not there, but one soon after it is: if that stays so, it
 * never will be. */
bool mana_cq_has_hole(const struct mana_cq *cq);

void mana_sq_ring(struct mana_doorbells *db, const struct mana_wq *sq);
void mana_rq_ring(struct mana_doorbells *db, const struct mana_wq *rq);
/* The next entry raises an event; one that is there already does at once. */
void mana_cq_arm(struct mana_doorbells *db, struct mana_cq *cq);
/* Tells the device of read entries before laps run into each other. Seldom
 * does anything; to be called after entries were read. */
void mana_cq_credit(struct mana_doorbells *db, struct mana_cq *cq);

#endif
