// SPDX-License-Identifier: MIT
/*
 * The hardware channel (HWC): how messages come and go.
 *
 *	            ESTABLISH: four pages
 *	down  -----------------------------> up: requests on SQ, answers into RQ
 *	  ^                                   |
 *	  `---- DESTROY, or a bus reset ------'  all that the VF owns is freed
 *
 * The shared memory words carry only those two. ESTABLISH makes an EQ, a CQ, a
 * RQ and a SQ of a page each, which its driver learns about from the first
 * entries of the EQ, the EQ's own number first.
 *
 * A request is one SQ entry with one piece of memory. The answer goes into the
 * buffer of the next RQ entry; then come two completions: of the SQ's entry, and
 * of the RQ's with the length. Without a buffer there is no answer; a driver
 * that forgot to post one hears nothing and times out.
 */
#include <string.h>

#include "mana_device.h"

#define HWC_DEPTH 1u

/* ---- shared memory ---- */

static uint64_t page_of(const struct mana_shm_establish *in, unsigned int n)
{
	uint64_t pfn = 0;

	for (unsigned int i = 6; i-- > 0;)
		pfn = pfn << 8 | in->pfn[n][i];
	pfn |= (uint64_t)(le16_to_cpu(in->pfn_high) >> (4 * n) & 15) << 48;
	return pfn * MANA_PAGE;
}

static void tell_driver(struct mana *m)
{
	const uint32_t data[] = {
		MANA_TYPED(MANA_INIT_CQ, m->hwc_cq),
		MANA_TYPED(MANA_INIT_RQ, m->hwc_rq),
		MANA_TYPED(MANA_INIT_SQ, m->hwc_sq),
		MANA_TYPED(MANA_INIT_QUEUE_DEPTH, HWC_DEPTH),
		MANA_TYPED(MANA_INIT_MAX_REQUEST, MANA_MESSAGE_MAX),
		MANA_TYPED(MANA_INIT_MAX_RESPONSE, MANA_MESSAGE_MAX),
		MANA_TYPED(MANA_INIT_MAX_CQS, MANA_CQS),
		MANA_TYPED(MANA_INIT_PD, MANA_PD_HWC),
		MANA_TYPED(MANA_INIT_GPA_MKEY, MANA_KEY_HWC),
	};

	mana_eq_post(m, m->hwc_eq, MANA_EQE_HWC_INIT_EQ,
		     MANA_BELL_HWC << 16 | m->hwc_eq);
	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		mana_eq_post(m, m->hwc_eq, MANA_EQE_HWC_INIT_DATA, data[i]);
	mana_eq_post(m, m->hwc_eq, MANA_EQE_HWC_INIT_DONE, 0);
}

static bool establish(struct mana *m, const struct mana_shm_establish *in)
{
	const struct pci_host *host = &m->function.host;
	struct mana_region *page[4] = { NULL };
	unsigned int i;

	if (m->established || le16_to_cpu(in->msix) >= m->function.vectors)
		return false;
	for (i = 0; i < 4; i++) {
		if (!host->dma(host->opaque, page_of(in, i), MANA_PAGE))
			goto out_free;
		page[i] = mana_region_page(page_of(in, i));
		if (!page[i])
			goto out_free;
	}
	m->hwc_eq = mana_eq_free(m);
	mana_eq_start(m, m->hwc_eq, page[0], MANA_PAGE, le16_to_cpu(in->msix),
		      MANA_BELL_HWC);
	m->hwc_cq = mana_cq_free(m);
	mana_cq_start(m, m->hwc_cq, page[1], MANA_PAGE, m->hwc_eq,
		      MANA_BELL_HWC);
	m->hwc_rq = mana_wq_free(m);
	mana_wq_start(m, m->hwc_rq, page[2], MANA_PAGE, m->hwc_cq, false,
		      MANA_PD_HWC, MANA_BELL_HWC);
	m->hwc_sq = mana_wq_free(m);
	mana_wq_start(m, m->hwc_sq, page[3], MANA_PAGE, m->hwc_cq, true,
		      MANA_PD_HWC, MANA_BELL_HWC);
	m->bell_used[MANA_BELL_HWC] = true;
	m->established = true;
	tell_driver(m);
	return true;

out_free:
	while (i-- > 0)
		mana_region_free(page[i]);
	return false;
}

void mana_forget(struct mana *m)
{
	mana_vports_reset(m);
	mana_queues_reset(m);
	mana_memory_reset(m);
	memset(m->bell_used, 0, sizeof(m->bell_used));
	m->established = m->registered = m->link_down = false;
	m->hwc_eq = m->hwc_cq = m->hwc_rq = m->hwc_sq = 0;
}

static bool tear_down(struct mana *m)
{
	bool up = m->established;

	if (up)
		mana_forget(m);
	return up;
}

void mana_channel_shm(struct mana *m)
{
	struct mana_shm_establish in;
	uint32_t header, type;
	bool good = false;

	pthread_mutex_lock(&m->lock);
	memcpy(&in, m->shm, sizeof(in));
	pthread_mutex_unlock(&m->lock);
	header = le32_to_cpu(in.header);
	type = header & MANA_SHM_TYPE_MASK;
	if (header >> MANA_SHM_VERSION_SHIFT & MANA_SHM_VERSION_MASK)
		good = false;
	else if (type == MANA_SHM_ESTABLISH)
		good = establish(m, &in);
	else if (type == MANA_SHM_DESTROY)
		good = tear_down(m);
	if (!good)
		MANA_COUNT(m, bad_messages, 1);
	header &= MANA_SHM_TYPE_MASK |
		  MANA_SHM_VERSION_MASK << MANA_SHM_VERSION_SHIFT;
	header |= MANA_SHM_RESPONSE;
	if (!good)
		header |= MANA_SHM_FAILED << MANA_SHM_STATUS_SHIFT;
	pthread_mutex_lock(&m->lock);
	m->shm[MANA_SHM_HEADER] = header;
	pthread_mutex_unlock(&m->lock);
}

/* ---- messages ---- */

/* Fetches the request of an SQ entry; 0: it is not as it has to be. */
static uint32_t fetch(struct mana *m, const struct mana_work *work)
{
	struct mana_pieces p = { .nr = 0 };
	struct mana_hwc_tx_oob oob;
	uint32_t size;

	if (work->oob_size != sizeof(oob) || work->nr_sges != 1)
		return 0;
	memcpy(&oob, work->oob, sizeof(oob));
	if ((le32_to_cpu(oob.scq) & MANA_BELL_ID_MASK) != m->hwc_cq ||
	    (le32_to_cpu(oob.sq) & MANA_BELL_ID_MASK) != m->hwc_sq)
		return 0;
	size = le32_to_cpu(work->sge->size);
	if (size < sizeof(struct mana_request) || size > MANA_MESSAGE_MAX ||
	    !mana_pieces_add(m, &p, MANA_PD_HWC, work->sge, size, false))
		return 0;
	mana_pieces_copy_out(&p, m->request, size);
	MANA_COUNT(m, control, size);
	return size;
}

static void answer(struct mana *m, uint32_t size)
{
	struct mana_wq *rq = &m->wq[m->hwc_rq];
	static const uint8_t sq_done[sizeof(((struct mana_cqe *)0)->data)];
	uint8_t rq_done[sizeof(sq_done)] = { 0 };
	struct mana_pieces p = { .nr = 0 };
	struct mana_hwc_rx_oob oob = { .length = cpu_to_le32(size) };
	struct mana_work work;

	if (mana_wq_peek(m, rq, &work) != PEEK_GOOD || work.nr_sges != 1 ||
	    le32_to_cpu(work.sge->size) < size ||
	    !mana_pieces_add(m, &p, MANA_PD_HWC, work.sge, size, true)) {
		MANA_COUNT(m, bad_wqes, 1);
		mana_cq_post(m, m->hwc_sq, sq_done);
		return;
	}
	mana_pieces_copy_in(&p, m->response, size);
	MANA_COUNT(m, control, size);
	rq->head += work.size;
	oob.rx_wqe_offset = cpu_to_le32(work.offset);
	memcpy(rq_done, &oob, sizeof(oob));
	mana_cq_post(m, m->hwc_sq, sq_done);
	mana_cq_post(m, m->hwc_rq, rq_done);
}

void mana_channel_run(struct mana *m)
{
	struct mana_work work;

	while (m->established) {
		struct mana_wq *sq = &m->wq[m->hwc_sq];
		enum mana_peek peek = mana_wq_peek(m, sq, &work);
		uint32_t size;

		if (peek == PEEK_EMPTY)
			return;
		if (peek == PEEK_BAD) {
			sq->dead = true;
			MANA_COUNT(m, bad_wqes, 1);
			return;
		}
		sq->head += work.size;
		size = fetch(m, &work);
		if (!size) {
			MANA_COUNT(m, bad_wqes, 1);
			continue;
		}
		if (m->silent)
			continue;
		size = mana_message(m, size);
		if (size)
			answer(m, mana_fault_answer(m, size));
	}
}
