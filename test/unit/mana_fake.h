/* SPDX-License-Identifier: MIT */
/*
 * The smallest device behind one pair of queues: what it was told by doorbells
 * is read back from the page, its completions are written as the test says.
 */
#ifndef TEST_MANA_FAKE_H
#define TEST_MANA_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "mana/txrx.h"

#define FAKE_DEPTH 64u
#define FAKE_GPA 0x100000u   /* with a key */
#define FAKE_BARE 0x40000000u /* without */
#define FAKE_RAM 0x40000u    /* bytes of each */
#define FAKE_KEY 0x51u
#define FAKE_TX_KEY 0x52u
#define FAKE_RX_KEY 0x53u
#define FAKE_SQ 0x2400u
#define FAKE_RQ 0x2401u
#define FAKE_TX_CQ 30u
#define FAKE_RX_CQ 31u

struct fake_wqe {
	uint32_t at; /* place in the ring, bytes */
	uint32_t header[2], oob[6];
	unsigned int nr;
	bool no_cqe;
	struct {
		uint64_t address;
		uint32_t key, size;
	} sge[31];
};

struct fake {
	struct nic_queue q;
	struct guest_memory memory;
	struct mana_keys keys;
	atomic_uint filter;
	struct places places[PLACES_KINDS];
	_Alignas(8) uint8_t page[MANA_DOORBELL_PAGE];
	_Alignas(8) uint8_t sq[8192], rq[16384];
	struct mana_cqe tx_cq[FAKE_DEPTH], rx_cq[FAKE_DEPTH];
	uint32_t sq_done, rq_done;     /* bytes the device took */
	uint32_t tx_tail, rx_tail;     /* completions it wrote */
	uint32_t rx_place;	       /* that the next one names */
	struct tx_slot tx[FAKE_DEPTH];
	struct rx_slot rx[FAKE_DEPTH];
	uint8_t ram[FAKE_RAM], bare[FAKE_RAM];
	_Alignas(64) uint8_t tx_bounce[MANA_TX_BOUNCE];
	uint8_t rx_bounce[FAKE_DEPTH * 2048];

	/* What the client heard. */
	unsigned int nr_sent, nr_received, nr_broken;
	struct nic_sent sent[4096];
	struct nic_received received[4096];
	unsigned int events_waiting; /* 1: TX, 2: RX */
	/* Called with each batch received, if set. */
	void (*on_received)(struct fake *f);
};

struct fake *fake_new(void);
void fake_free(struct fake *f);

/* The next entry that a doorbell has told of; false: none. */
bool fake_take_tx(struct fake *f, struct fake_wqe *wqe);
bool fake_take_rx(struct fake *f, struct fake_wqe *wqe);
void fake_complete_tx(struct fake *f, unsigned int type, uint32_t wqe_at);
/* One frame, or up to four: ends at the first len 0. */
void fake_complete_rx(struct fake *f, unsigned int type, uint32_t flags,
		      const uint32_t len[4], uint32_t hash);

uint64_t fake_doorbell(const struct fake *f, unsigned int offset);

#endif
