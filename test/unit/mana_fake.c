// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/mana_fake.h"
#include "test/unit/reactor_inline.h"

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	(void)watch;
	return 0;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	(void)watch;
}

static void received(void *client, const struct nic_received *frames,
		     unsigned int nr)
{
	struct fake *f = client;

	memcpy(f->received + f->nr_received, frames, nr * sizeof(*frames));
	f->nr_received += nr;
	if (f->on_received)
		f->on_received(f);
}

static void sent(void *client, const struct nic_sent *frames, unsigned int nr)
{
	struct fake *f = client;

	memcpy(f->sent + f->nr_sent, frames, nr * sizeof(*frames));
	f->nr_sent += nr;
}

static const struct nic_client_ops ops = { .received = received, .sent = sent };

static void broken(struct nic_queue *q, const char *why)
{
	(void)why;
	((struct fake *)(void *)q)->nr_broken++;
}

static void events(struct nic_queue *q)
{
	struct fake *f = (struct fake *)(void *)q;

	if (f->events_waiting & 1)
		queue_event(q, true);
	if (f->events_waiting & 2)
		queue_event(q, false);
	f->events_waiting = 0;
}

static void add_ram(struct fake *f, uint64_t gpa, uint8_t *va, bool good)
{
	unsigned int n = f->keys.nr++;

	if (guest_memory_add(&f->memory, gpa, FAKE_RAM, va))
		abort();
	f->keys.range[n].gpa = gpa;
	f->keys.range[n].size = FAKE_RAM;
	f->keys.range[n].good = good;
	f->keys.range[n].key = good ? FAKE_KEY : 0;
}

struct fake *fake_new(void)
{
	struct fake *f = aligned_alloc(64, sizeof(*f));
	struct nic_queue *q = &f->q;

	memset(f, 0, sizeof(*f));
	add_ram(f, FAKE_GPA, f->ram, true);
	add_ram(f, FAKE_BARE, f->bare, false);
	for (unsigned int i = 0; i < FAKE_RAM; i++) {
		f->ram[i] = (uint8_t)(i * 7 + i / 256);
		f->bare[i] = (uint8_t)(i * 5 + i / 256);
	}
	f->filter = NIC_DIRECTED;
	q->reactor = reactor_inline_create();
	q->ops = &ops;
	q->client = f;
	q->memory = &f->memory;
	q->keys = &f->keys;
	q->filter = &f->filter;
	q->places = f->places;
	q->doorbells.page = f->page;
	q->sq = (struct mana_wq){ .ring = f->sq, .size = sizeof(f->sq),
				  .id = FAKE_SQ };
	q->rq = (struct mana_wq){ .ring = f->rq, .size = sizeof(f->rq),
				  .id = FAKE_RQ };
	mana_cq_init(&q->tx_cq, f->tx_cq, FAKE_DEPTH, FAKE_TX_CQ);
	mana_cq_init(&q->rx_cq, f->rx_cq, FAKE_DEPTH, FAKE_RX_CQ);
	f->tx_tail = f->rx_tail = FAKE_DEPTH;
	q->receives = true;
	q->tx_depth = q->rx_depth = FAKE_DEPTH;
	q->tx = f->tx;
	q->rx = f->rx;
	q->tx_bounce = (struct bounce){ .va = f->tx_bounce,
					.size = MANA_TX_BOUNCE,
					.key = FAKE_TX_KEY };
	q->rx_bounce = f->rx_bounce;
	q->rx_bounce_size = 2048;
	q->rx_bounce_key = FAKE_RX_KEY;
	q->event_fd = 0;
	q->events = events;
	q->broken = broken;
	if (queue_attach(q))
		abort();
	return f;
}

void fake_free(struct fake *f)
{
	queue_detach(&f->q);
	reactor_inline_drain();
	reactor_inline_destroy(f->q.reactor);
	free(f);
}

uint64_t fake_doorbell(const struct fake *f, unsigned int offset)
{
	uint64_t v;

	memcpy(&v, f->page + offset, 8);
	return v;
}

static uint32_t dword(const uint8_t *ring, uint32_t size, uint32_t at)
{
	uint32_t v;

	memcpy(&v, ring + (at & (size - 1)), 4);
	return v;
}

static bool take(const uint8_t *ring, uint32_t size, uint32_t told,
		 uint32_t *done, struct fake_wqe *wqe)
{
	uint32_t at = *done, oob;

	if (told == at)
		return false;
	if (told - at > size)
		abort();
	memset(wqe, 0, sizeof(*wqe));
	wqe->at = at & (size - 1);
	wqe->header[0] = dword(ring, size, at);
	wqe->header[1] = dword(ring, size, at + 4);
	wqe->nr = wqe->header[1] & 0xff;
	oob = (wqe->header[1] >> 8 & 7) * 4;
	if ((oob != 8 && oob != 24) || wqe->nr > 31)
		abort();
	for (uint32_t i = 0; i < oob / 4; i++)
		wqe->oob[i] = dword(ring, size, at + 8 + i * 4);
	wqe->no_cqe = wqe->oob[0] >> 7 & 1;
	for (unsigned int i = 0; i < wqe->nr; i++) {
		uint32_t p = at + 8 + oob + i * 16;

		wqe->sge[i].address = dword(ring, size, p) |
			(uint64_t)dword(ring, size, p + 4) << 32;
		wqe->sge[i].key = dword(ring, size, p + 8);
		wqe->sge[i].size = dword(ring, size, p + 12);
	}
	*done = at + ((8 + oob + wqe->nr * 16 + 31) & ~31u);
	return true;
}

bool fake_take_tx(struct fake *f, struct fake_wqe *wqe)
{
	return take(f->sq, sizeof(f->sq), (uint32_t)(fake_doorbell(f, 0) >> 32),
		    &f->sq_done, wqe);
}

bool fake_take_rx(struct fake *f, struct fake_wqe *wqe)
{
	return take(f->rq, sizeof(f->rq),
		    (uint32_t)(fake_doorbell(f, 0x400) >> 32), &f->rq_done,
		    wqe);
}

static void finish(struct mana_cqe *ring, uint32_t *tail, struct mana_cqe *cqe,
		   uint32_t wq)
{
	cqe->info = cpu_to_le32((*tail / FAKE_DEPTH & 7) << 29 | wq);
	ring[*tail % FAKE_DEPTH] = *cqe;
	++*tail;
}

void fake_complete_tx(struct fake *f, unsigned int type, uint32_t wqe_at)
{
	struct mana_cqe cqe = { .tx.header = cpu_to_le32(type | 1 << 6),
				.tx.where = cpu_to_le32(wqe_at / 32 << 5) };

	finish(f->tx_cq, &f->tx_tail, &cqe, FAKE_SQ | MANA_CQE_SQ);
}

void fake_complete_rx(struct fake *f, unsigned int type, uint32_t flags,
		      const uint32_t len[4], uint32_t hash)
{
	struct mana_cqe cqe = { .rx.header = cpu_to_le32(type | 1 << 6),
				.rx.flags = cpu_to_le32(flags),
				.rx.wqe_offset = cpu_to_le32(f->rx_place) };

	for (unsigned int i = 0; i < 4; i++) {
		cqe.rx.frame[i].len = cpu_to_le32(len[i]);
		cqe.rx.frame[i].hash = cpu_to_le32(hash + i);
	}
	finish(f->rx_cq, &f->rx_tail, &cqe, FAKE_RQ);
}
