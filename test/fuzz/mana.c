// SPDX-License-Identifier: MIT
/*
 * What a MANA device says: completions, in any order and of any content, while
 * a client sends and posts.
 *
 * Input: a filter and how far the rings have come (a lap, just before numbers
 * of 32 bits wrap, just before completions are due to be told), then steps:
 * frames of ranges, buffers, completions as the device would write them (the
 * lap is right unless the step says otherwise), events, rounds of the reactor.
 *
 * Every frame and buffer is answered at most once, in order; no frame is
 * longer than its buffer; a queue breaks once and is silent then; doorbells
 * never tell of less or more than the rings hold, and what stands in them
 * reaches nothing but guest RAM with a key and our own bounce memory.
 *
 * Some 30000 inputs a second: up to 48 steps, frames that are copied among them,
 * and each entry of a ring is read again as the device would.
 */
#include <errno.h>
#include <string.h>

#include "mana/txrx.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/reactor_fifo.h"

#define DEPTH 16u
#define CQ 16u
#define RAM 0x4000u
#define GPA 0x100000u	/* with a key */
#define BARE 0x200000u	/* without */
#define KEY 1u
#define TX_KEY 2u
#define RX_KEY 3u
#define RX_PIECE 2048u
#define MAX_STEPS 48
#define WRAP_AT 0xfffffe00u /* bytes, and frames, before 32 bits are full */
#define UNTOLD (CQ * 4 - 1) /* completions; with one more they are told */

static _Alignas(64) struct {
	uint8_t page[MANA_DOORBELL_PAGE];
	uint8_t sq[4096], rq[4096];
	struct mana_cqe tx_cq[CQ], rx_cq[CQ];
	uint8_t ram[RAM], bare[RAM], tx_bounce[MANA_TX_BOUNCE];
	uint8_t rx_bounce[DEPTH * RX_PIECE];
} mem;

static struct nic_queue q;
static struct tx_slot tx_slots[DEPTH];
static struct rx_slot rx_slots[DEPTH];
static struct guest_memory memory;
static struct mana_keys keys;
static atomic_uint filter;
static struct places places[PLACES_KINDS];
static struct reactor reactor;
static uint32_t tx_tail, rx_tail; /* of the device */
static uint32_t next_tx, next_rx, sent_to, received_to;
static uint32_t sizes[DEPTH];
static unsigned int broken, waiting;

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

static void received(void *client, const struct nic_received *f,
		     unsigned int nr)
{
	(void)client;
	fuzz_expect(!broken, broken, nr);
	for (unsigned int i = 0; i < nr; i++, received_to++) {
		/* Buffers that went round come later, but each once. */
		fuzz_expect(f[i].id - received_to < DEPTH || filter == 0,
			    f[i].id, received_to);
		fuzz_expect(f[i].len <= sizes[f[i].id % DEPTH], f[i].len,
			    sizes[f[i].id % DEPTH]);
		fuzz_expect(!(f[i].good & f[i].bad), f[i].good, f[i].bad);
		fuzz_accept();
	}
	fuzz_expect(next_rx - received_to <= DEPTH, next_rx, received_to);
}

static void sent(void *client, const struct nic_sent *f, unsigned int nr)
{
	(void)client;
	fuzz_expect(!broken, broken, nr);
	for (unsigned int i = 0; i < nr; i++, sent_to++)
		fuzz_expect(f[i].id == sent_to && sent_to != next_tx, f[i].id,
			    sent_to);
	fuzz_accept();
}

static const struct nic_client_ops ops = { .received = received, .sent = sent };

static void on_broken(struct nic_queue *queue, const char *why)
{
	(void)queue;
	(void)why;
	fuzz_expect(!broken, broken, 0);
	broken++;
}

static void events(struct nic_queue *queue)
{
	if (waiting & 1)
		queue_event(queue, true);
	if (waiting & 2)
		queue_event(queue, false);
}

/* A ring whose next entry is the first of this lap, `untold` behind. */
static uint32_t begin_cq(struct mana_cq *cq, struct mana_cqe *ring, uint32_t id,
			 uint32_t lap, uint32_t untold)
{
	memset(ring, 0, CQ * sizeof(*ring));
	for (unsigned int i = 0; i < CQ; i++)
		ring[i].info = cpu_to_le32(((lap - 1) & 7)
					   << MANA_CQE_OWNER_SHIFT);
	mana_cq_init(cq, ring, CQ, id);
	cq->head = lap * CQ;
	cq->credited = cq->head - untold;
	return cq->head;
}

static void begin(unsigned int how)
{
	uint32_t lap = 1 + (how >> 1 & 7);
	uint32_t untold = how & 0x10 && lap > 4 ? UNTOLD : 0;
	uint32_t at = how & 0x20 ? WRAP_AT : 0;

	memset(&q, 0, sizeof(q));
	memset(mem.page + MANA_DOORBELL_SQ, 0, 8);
	memset(mem.page + MANA_DOORBELL_RQ, 0, 8);
	memset(mem.page + MANA_DOORBELL_CQ, 0, 8);
	filter = how & 1;
	q.reactor = &reactor;
	q.ops = &ops;
	q.memory = &memory;
	q.keys = &keys;
	q.filter = &filter;
	for (unsigned int i = 0; i < PLACES_KINDS; i++) {
		places[i].right = how & 0x40 ? PLACES_SURE : 0;
		places[i].strikes = 0;
	}
	q.places = places;
	q.doorbells.page = mem.page;
	q.sq = (struct mana_wq){ .ring = mem.sq, .size = sizeof(mem.sq),
				 .id = 100, .head = at, .tail = at };
	q.rq = (struct mana_wq){ .ring = mem.rq, .size = sizeof(mem.rq),
				 .id = 101, .head = at, .tail = at };
	tx_tail = begin_cq(&q.tx_cq, mem.tx_cq, 5, lap, untold);
	rx_tail = begin_cq(&q.rx_cq, mem.rx_cq, 6, lap, untold);
	if (at)
		q.tx_head = q.tx_tail = q.rx_head = q.rx_tail = q.rx_rung =
			0xfffffffc;
	q.receives = true;
	q.rx_depth = q.tx_depth = DEPTH;
	q.tx = tx_slots;
	q.rx = rx_slots;
	q.tx_bounce = (struct bounce){ mem.tx_bounce, MANA_TX_BOUNCE, TX_KEY,
				       0, 0 };
	q.rx_bounce = mem.rx_bounce;
	q.rx_bounce_key = RX_KEY;
	q.rx_bounce_size = RX_PIECE;
	q.events = events;
	q.broken = on_broken;
	next_tx = next_rx = sent_to = received_to = broken = 0;
	queue_attach(&q);
	if (memory.nr_ranges)
		return;
	guest_memory_add(&memory, GPA, RAM, mem.ram);
	guest_memory_add(&memory, BARE, RAM, mem.bare);
	keys.nr = 2;
	keys.range[0].gpa = GPA;
	keys.range[1].gpa = BARE;
	keys.range[0].size = keys.range[1].size = RAM;
	keys.range[0].good = true;
	keys.range[0].key = KEY;
}

static struct gpa_range range(struct fuzz_input *in, uint32_t longest)
{
	uint32_t word = (uint32_t)fuzz_number(in, 4);
	uint32_t at = word & (RAM - 1);
	uint32_t len = word >> 16 & 0x7fff;

	if (len > longest)
		len = longest;
	if (len > RAM - at)
		len = RAM - at;
	return (struct gpa_range){ (word >> 31 ? BARE : GPA) + at, len };
}

/* A dword of a ring. */
static uint32_t dword(const uint8_t *ring, uint32_t size, uint32_t at)
{
	uint32_t v;

	memcpy(&v, ring + (at & (size - 1)), 4);
	return v;
}

static void check_sge(uint64_t address, uint32_t key, uint32_t len)
{
	uint64_t base = key == KEY ? GPA : key == TX_KEY ?
		(uintptr_t)mem.tx_bounce : (uintptr_t)mem.rx_bounce;
	uint64_t size = key == KEY ? RAM : key == TX_KEY ?
		sizeof(mem.tx_bounce) : sizeof(mem.rx_bounce);

	fuzz_expect(key >= KEY && key <= RX_KEY, key, address);
	fuzz_expect(address >= base && address - base <= size &&
		    len <= size - (address - base), address, len);
}

/* Entries between two heads: their elements, and that they end there. */
static void check_entries(const struct mana_wq *wq, uint32_t from)
{
	uint32_t at = from;

	fuzz_expect(wq->head - wq->tail <= wq->size, wq->head, wq->tail);
	while (at != wq->head) {
		uint32_t dw1 = dword(wq->ring, wq->size, at + 4);
		uint32_t oob = (dw1 >> MANA_WQE_OOB_SHIFT & 7) * 4;
		uint32_t nr = dw1 & 0xff;

		fuzz_expect(nr && nr <= MANA_MAX_TX_SGES, nr, at);
		for (uint32_t i = 0; i < nr; i++) {
			uint32_t p = at + 8 + oob + i * 16;

			check_sge(dword(wq->ring, wq->size, p) |
				  (uint64_t)dword(wq->ring, wq->size, p + 4)
					  << 32,
				  dword(wq->ring, wq->size, p + 8),
				  dword(wq->ring, wq->size, p + 12));
		}
		at += (8 + oob + nr * 16 + 31) & ~31u;
		fuzz_expect(at - from <= wq->head - from, at, wq->head);
	}
}

/* What the device was told last. */
static void check_doorbells(void)
{
	uint64_t sq, rq, cq;
	const struct mana_cq *told;

	memcpy(&sq, mem.page + MANA_DOORBELL_SQ, 8);
	memcpy(&rq, mem.page + MANA_DOORBELL_RQ, 8);
	memcpy(&cq, mem.page + MANA_DOORBELL_CQ, 8);
	fuzz_expect(!sq || ((uint32_t)sq == 100 && q.sq.head -
			    (uint32_t)(sq >> 32) <= q.sq.size), sq, q.sq.head);
	fuzz_expect(!rq || ((uint32_t)rq == 101 && q.rq.head -
			    (uint32_t)(rq >> 32) <= q.rq.size), rq, q.rq.head);
	told = (cq & MANA_ID_MASK) == 5 ? &q.tx_cq : &q.rx_cq;
	fuzz_expect(!cq || ((cq & MANA_ID_MASK) == told->id &&
			    (cq >> 32 & 0x7fffffff) ==
			    told->credited % (CQ * MANA_CQE_LAPS)), cq,
		    told->credited);
}

/* Eight laps ahead of what it was told the device stops: it never is. */
static void check_credit(const struct mana_cq *cq)
{
	fuzz_expect(broken || cq->head - cq->credited < CQ * 4, cq->head,
		    cq->credited);
}

static void step_send(struct fuzz_input *in)
{
	static struct gpa_range r[64];
	uint16_t word = (uint16_t)fuzz_number(in, 2);
	struct nic_frame frame = {
		.id = next_tx, .nr_ranges = (uint16_t)(1 + word % 40),
		.offload = (uint16_t)(fuzz_number(in, 2) & 0xff),
		.vlan = word, .mss = (uint16_t)fuzz_number(in, 2),
		.l4_offset = (uint16_t)fuzz_number(in, 1),
		.header_len = (uint16_t)fuzz_number(in, 1), .ranges = r,
	};
	uint32_t head = q.sq.head, told;

	/* Long ones now and then: most of them are copied. */
	for (unsigned int i = 0; i < frame.nr_ranges; i++)
		r[i] = range(in, word & 0x8000 ? 4096 : 256);
	next_tx += queue_tx(&q, &frame, 1);
	check_entries(&q.sq, head);
	/* Entries are told at once. */
	memcpy(&told, mem.page + MANA_DOORBELL_SQ + 4, sizeof(told));
	fuzz_expect(q.sq.head == head || broken || told == q.sq.head, told,
		    q.sq.head);
}

static void step_post(struct fuzz_input *in)
{
	struct gpa_range r[MANA_MAX_RX_RANGES];
	struct nic_buffer b = { next_rx, 1, r };
	uint32_t head = q.rq.head;

	if (q.rx_head - q.rx_tail == DEPTH || next_rx - received_to == DEPTH)
		return;
	b.nr_ranges = (uint16_t)(1 + fuzz_number(in, 1) % MANA_MAX_RX_RANGES);
	sizes[next_rx % DEPTH] = 0;
	for (unsigned int i = 0; i < b.nr_ranges; i++) {
		r[i] = range(in, 2048);
		sizes[next_rx % DEPTH] += r[i].len;
	}
	next_rx++;
	queue_rx_post(&q, &b, 1);
	check_entries(&q.rq, head);
}

static void step_complete(struct fuzz_input *in, bool tx, bool wrong_lap)
{
	uint32_t *tail = tx ? &tx_tail : &rx_tail;
	struct mana_cqe *cqe = &(tx ? mem.tx_cq : mem.rx_cq)[*tail % CQ];
	uint32_t lap = *tail / CQ + (wrong_lap ? 3 : 0);
	uint8_t wq = (uint8_t)fuzz_number(in, 1);
	struct mana_cqe next = { .info = cpu_to_le32(0) };

	/* A device does not write over what was not read. */
	if (*tail - (tx ? q.tx_cq.head : q.rx_cq.head) == CQ)
		return;
	fuzz_take(in, &next, tx ? 12 : 60);
	next.info = cpu_to_le32((lap & 7) << MANA_CQE_OWNER_SHIFT |
		(tx ? MANA_CQE_SQ | 100u : 101u) | (wq == 0xff ? 0x800u : 0));
	*cqe = next;
	++*tail;
}

void fuzz_one(struct fuzz_input *in)
{
	begin((unsigned int)fuzz_number(in, 1));
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++) {
		uint8_t op = (uint8_t)fuzz_number(in, 1);

		switch (op & 7) {
		case 0:
		case 1:
			step_send(in);
			break;
		case 2:
			step_post(in);
			break;
		case 3:
		case 4:
			step_complete(in, true, op == 0xf3);
			break;
		case 5:
			step_complete(in, false, op == 0xf5);
			break;
		case 6:
			waiting = op >> 3 & 3;
			if (op & 0x20) /* none came: somebody looks */
				queue_look(&q);
			else
				q.watch.fn(&q.watch);
			break;
		case 7:
			reactor_fifo_drain();
			check_credit(&q.tx_cq);
			check_credit(&q.rx_cq);
			break;
		}
		check_doorbells();
	}
	reactor_fifo_drain();
	queue_detach(&q);
	fuzz_expect(q.stopped, broken, 0);
}
