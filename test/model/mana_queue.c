// SPDX-License-Identifier: MIT
/*
 * Queues of the MANA device: event queues (EQ), completion queues (CQ) and work
 * queues (WQ: SQ and RQ).
 *
 *	WQ --entry done--> CQ --if armed--> EQ --if armed--> MSI-X vector
 *
 * An EQ or CQ is born armed and loses that with the entry that tells of it. Its
 * owner's doorbell says how far it has read and arms it again; if there is more
 * it is told at once. Entries carry the lap number of their place, so nothing
 * needs to be cleared; what the owner has not read is written over.
 *
 * A doorbell counts only through the page that the queue belongs to. One that
 * names no queue, or comes through another page, changes nothing and is
 * counted: a driver may ring a queue that is gone already.
 */
#include <string.h>

#include "mana_device.h"

#define OWNER_LAPS 8u

/* ---- life ---- */

bool mana_queue_size_good(uint32_t size)
{
	return size >= MANA_PAGE && size <= 1u << 30 && !(size & (size - 1));
}

#define FIRST_FREE(name, table, limit)                      \
	unsigned int name(const struct mana *m)             \
	{                                                   \
		for (unsigned int i = 1; i < (limit); i++)  \
			if (!m->table[i].ring)              \
				return i;                   \
		return 0;                                   \
	}
FIRST_FREE(mana_eq_free, eq, MANA_EQS)
FIRST_FREE(mana_cq_free, cq, MANA_CQS)
FIRST_FREE(mana_wq_free, wq, MANA_WQS)

void mana_eq_start(struct mana *m, unsigned int id, struct mana_region *ring,
		   uint32_t size, uint16_t vector, uint32_t bell)
{
	uint32_t count = size / (uint32_t)sizeof(struct mana_eqe);

	m->eq[id] = (struct mana_eq){
		.ring = ring,
		.count = count,
		.tail = count, /* the first lap is number 1 */
		.vector = vector,
		.bell = bell,
		.armed = true,
	};
	MANA_COUNT(m, now_eqs, 1);
}

void mana_cq_start(struct mana *m, unsigned int id, struct mana_region *ring,
		   uint32_t size, unsigned int eq, uint32_t bell)
{
	uint32_t count = size / (uint32_t)sizeof(struct mana_cqe);

	m->cq[id] = (struct mana_cq){
		.ring = ring,
		.count = count,
		.tail = count,
		.eq = eq,
		.bell = bell,
		.armed = true,
	};
	m->eq[eq].users += !!eq;
}

void mana_wq_start(struct mana *m, unsigned int id, struct mana_region *ring,
		   uint32_t size, unsigned int cq, bool sq, uint32_t pd,
		   uint32_t bell)
{
	m->wq[id] = (struct mana_wq){
		.ring = ring,
		.size = size,
		.cq = cq,
		.sq = sq,
		.pd = pd,
		.bell = bell,
		.handle = m->next_handle++,
	};
	if (id >= m->wqs)
		m->wqs = id + 1;
	MANA_COUNT(m, now_wqs, 1);
}

void mana_eq_stop(struct mana *m, unsigned int id)
{
	mana_region_free(m->eq[id].ring);
	memset(&m->eq[id], 0, sizeof(m->eq[id]));
	MANA_COUNT(m, now_eqs, -1);
}

void mana_cq_stop(struct mana *m, unsigned int id)
{
	unsigned int eq = m->cq[id].eq;

	m->eq[eq].users -= !!eq;
	mana_region_free(m->cq[id].ring);
	memset(&m->cq[id], 0, sizeof(m->cq[id]));
}

void mana_wq_stop(struct mana *m, unsigned int id)
{
	mana_region_free(m->wq[id].ring);
	memset(&m->wq[id], 0, sizeof(m->wq[id]));
	MANA_COUNT(m, now_wqs, -1);
}

void mana_queues_reset(struct mana *m)
{
	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring)
			mana_wq_stop(m, i);
	m->wqs = 0;
	for (unsigned int i = 1; i < MANA_CQS; i++)
		if (m->cq[i].ring)
			mana_cq_stop(m, i);
	for (unsigned int i = 1; i < MANA_EQS; i++)
		if (m->eq[i].ring)
			mana_eq_stop(m, i);
}

/* ---- posting ---- */

static void store_last(void *last, uint32_t info)
{
	/* It makes the entry valid: after all the rest. */
	atomic_store_explicit((_Atomic uint32_t *)last, info,
			      memory_order_release);
}

static uint32_t owner(uint32_t tail, uint32_t count)
{
	return (tail / count & MANA_OWNER_MASK) << MANA_OWNER_SHIFT;
}

static void interrupt(struct mana *m, struct mana_eq *eq)
{
	eq->armed = false;
	if (mana_fault_interrupt(m, eq))
		return;
	MANA_COUNT(m, interrupts, 1);
	msix_raise(&m->msix, &m->function.host, eq->vector);
}

void mana_eq_post(struct mana *m, unsigned int id, unsigned int type,
		  uint32_t data)
{
	struct mana_eq *eq = &m->eq[id];
	struct mana_eqe *e;

	if (!eq->ring)
		return;
	e = mana_ring_at(m, eq->ring,
			 eq->tail % eq->count * (uint32_t)sizeof(*e),
			 sizeof(*e));
	if (!e)
		return;
	memset(e->data, 0, sizeof(e->data));
	e->data[0] = cpu_to_le32(data);
	store_last(&e->info, type | owner(eq->tail, eq->count));
	eq->tail++;
	MANA_COUNT(m, eqes, 1);
	if (eq->armed)
		interrupt(m, eq);
}

static void tell(struct mana *m, unsigned int id)
{
	uint32_t data;
	unsigned int times = mana_fault_event(m, id, m->cq[id].vport, &data);

	m->cq[id].armed = false;
	for (; times; times--)
		mana_eq_post(m, m->cq[id].eq, MANA_EQE_COMPLETION, data);
}

static void write_cqe(struct mana *m, unsigned int id,
		      const struct mana_cqe *cqe, uint32_t lap)
{
	struct mana_cq *cq = &m->cq[id];
	struct mana_cqe *e;

	e = mana_ring_at(m, cq->ring,
			 cq->tail % cq->count * (uint32_t)sizeof(*e),
			 sizeof(*e));
	if (!e)
		return;
	memcpy(e->data, cqe->data, sizeof(e->data));
	store_last(&e->info, le32_to_cpu(cqe->info) |
				     owner(cq->tail + lap * cq->count,
					   cq->count));
	cq->tail++;
	MANA_COUNT(m, cqes, 1);
	if (cq->armed)
		tell(m, id);
}

void mana_cq_post(struct mana *m, unsigned int wq, const void *data)
{
	struct mana_cqe cqe = {
		.info = cpu_to_le32(wq | (m->wq[wq].sq ? MANA_CQE_SQ : 0)),
	};
	unsigned int times;
	uint32_t lap;

	memcpy(cqe.data, data, sizeof(cqe.data));
	times = mana_fault_cqe(m, wq, &cqe, &lap);
	for (; times; times--)
		write_cqe(m, m->wq[wq].cq, &cqe, lap);
}

/* ---- doorbells ---- */

static bool mine(struct mana *m, bool exists, uint32_t page,
		 const struct mana_bell *bell)
{
	if (!exists)
		MANA_COUNT(m, stale_doorbells, 1);
	else if (page != bell->page)
		MANA_COUNT(m, foreign_doorbells, 1);
	else
		return true;
	return false;
}

/* The owner says how far it has read. True: tell it of more. */
static bool arm(struct mana *m, uint32_t count, uint32_t tail, uint64_t value,
		bool *armed)
{
	uint32_t mask = count * OWNER_LAPS - 1;
	uint32_t at = (uint32_t)(value >> MANA_BELL_TAIL_SHIFT) &
		      MANA_BELL_TAIL_MASK;
	uint32_t behind = (tail - at) & mask;

	if (behind > count) {
		MANA_COUNT(m, overflows, 1);
		return false;
	}
	*armed = value & MANA_BELL_ARM;
	return *armed && behind;
}

static void bell_eq(struct mana *m, const struct mana_bell *bell)
{
	uint32_t id = bell->value & MANA_BELL_EQ_ID_MASK;
	struct mana_eq *eq = &m->eq[id < MANA_EQS ? id : 0];

	if (mine(m, eq->ring, eq->bell, bell) &&
	    arm(m, eq->count, eq->tail, bell->value, &eq->armed))
		interrupt(m, eq);
}

static void bell_cq(struct mana *m, const struct mana_bell *bell)
{
	uint32_t id = bell->value & MANA_BELL_ID_MASK;
	struct mana_cq *cq = &m->cq[id < MANA_CQS ? id : 0];

	if (mine(m, cq->ring, cq->bell, bell) &&
	    arm(m, cq->count, cq->tail, bell->value, &cq->armed))
		tell(m, id);
}

static void bell_wq(struct mana *m, const struct mana_bell *bell)
{
	uint32_t id = bell->value & MANA_BELL_ID_MASK;
	struct mana_wq *wq = &m->wq[id < MANA_WQS ? id : 0];
	uint32_t tail = (uint32_t)(bell->value >> MANA_BELL_TAIL_SHIFT);

	if (!mine(m, wq->ring && wq->sq == (bell->kind == BELL_SQ), wq->bell,
		  bell))
		return;
	if (tail - wq->head > wq->size) {
		MANA_COUNT(m, overflows, 1);
		return;
	}
	if (mana_fault_bell(m, wq))
		return;
	wq->tail = tail;
	if (wq->sq && !wq->vport)
		mana_channel_run(m);
	else if (wq->sq)
		wq->runs = true;
}

void mana_queue_bell(struct mana *m, const struct mana_bell *bell)
{
	MANA_COUNT(m, doorbells, 1);
	if (bell->kind == BELL_EQ)
		bell_eq(m, bell);
	else if (bell->kind == BELL_CQ)
		bell_cq(m, bell);
	else
		bell_wq(m, bell);
}

/* ---- work queue entries ---- */

enum mana_peek mana_wq_peek(struct mana *m, struct mana_wq *wq,
			    struct mana_work *work)
{
	uint32_t there = wq->tail - wq->head, at = 0;
	struct mana_wqe head;

	if (!there || wq->dead)
		return PEEK_EMPTY;
	work->offset = wq->head & (wq->size - 1);
	work->size = MANA_WQE_UNIT;
	while (at < work->size) {
		const void *unit;

		if (at == sizeof(work->bytes) || at == there)
			return PEEK_BAD;
		unit = mana_ring_at(m, wq->ring,
				    (wq->head + at) & (wq->size - 1),
				    MANA_WQE_UNIT);
		if (!unit)
			return PEEK_BAD;
		memcpy(work->bytes + at, unit, MANA_WQE_UNIT);
		if (!at) {
			memcpy(&head, work->bytes, sizeof(head));
			work->flags = le32_to_cpu(head.flags);
			work->nr_sges = work->flags & MANA_WQE_SGES_MASK;
			work->oob_size = (work->flags >> MANA_WQE_OOB_SHIFT &
					  MANA_WQE_OOB_MASK) * 4;
			work->size = (uint32_t)(sizeof(head) + work->oob_size +
						work->nr_sges *
						sizeof(struct mana_sge));
			work->size = (work->size + MANA_WQE_UNIT - 1) &
				     ~(MANA_WQE_UNIT - 1);
		}
		at += MANA_WQE_UNIT;
	}
	if (!wq->sq && work->size > MANA_MAX_RQE)
		return PEEK_BAD;
	work->oob = work->bytes + sizeof(head);
	work->sge = (const void *)(work->oob + work->oob_size);
	return PEEK_GOOD;
}

/* ---- messages ---- */

uint32_t mana_create_eq(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_create_queue_req *in = MANA_BODY(m);
	struct gdma_create_queue_resp *out = MANA_ANSWER(m);
	uint32_t size = le32_to_cpu(in->size), vector = le32_to_cpu(in->msix);
	uint32_t bell = le32_to_cpu(in->doorbell);
	struct mana_region *ring;
	unsigned int id;

	if (le32_to_cpu(in->type) != GDMA_QUEUE_EQ ||
	    !mana_pd_exists(m, le32_to_cpu(in->pd)) ||
	    !mana_queue_size_good(size) || vector >= m->function.vectors ||
	    bell >= MANA_BELL_PAGES || !m->bell_used[bell])
		return MANA_STATUS_INVALID_PARAMETER;
	ring = mana_region_find(m, le64_to_cpu(in->region), size);
	if (!ring)
		return MANA_STATUS_INVALID_PARAMETER;
	id = mana_eq_free(m);
	if (!id)
		return MANA_STATUS_NO_RESOURCES;
	mana_region_take(m, ring);
	mana_eq_start(m, id, ring, size, (uint16_t)vector, bell);
	out->id = cpu_to_le32(id);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static bool is_client_eq(const struct mana *m, uint32_t id)
{
	return id && id < MANA_EQS && id != m->hwc_eq && m->eq[id].ring;
}

uint32_t mana_disable_eq(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_disable_queue_req *in = MANA_BODY(m);
	uint32_t id = le32_to_cpu(in->id);

	(void)x;
	if (le32_to_cpu(in->type) != GDMA_QUEUE_EQ || !is_client_eq(m, id) ||
	    m->eq[id].users)
		return MANA_STATUS_INVALID_PARAMETER;
	mana_eq_stop(m, id);
	return MANA_STATUS_OK;
}

uint32_t mana_test_eqe(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_test_eqe_req *in = MANA_BODY(m);
	uint32_t id = le32_to_cpu(in->eq);

	(void)x;
	if (id != m->hwc_eq && !is_client_eq(m, id))
		return MANA_STATUS_INVALID_PARAMETER;
	mana_eq_post(m, id, MANA_EQE_TEST, 0);
	return MANA_STATUS_OK;
}
