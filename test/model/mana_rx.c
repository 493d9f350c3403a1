// SPDX-License-Identifier: MIT
/*
 * Receiving: frames of the back-end into the buffers of RQ entries.
 *
 *	frame --not for this MAC-----------------> counted
 *	      --receiving is off, link is down---> counted
 *	      --RSS: hash into the table, else the default RQ
 *	         --no entry----------------------> counted
 *	         --memory not allowed------------> the RQ is dead, counted
 *	         --longer than its buffer--------> CQE 4
 *	         --good--------------------------> CQE 1, or held for a CQE 2
 *
 * A tag goes out of the frame and its VID into the completion. Checksums are
 * really looked at.
 *
 * A completion of several frames waits for the last of them, for a frame that
 * cannot share it (other flags), or for the engine's next look (mana.c).
 */
#include <string.h>

#include "mana_device.h"
#include "vmm/net_headers.h"

static void put_cqe(struct mana *m, struct mana_wq *rq,
		    enum mana_cqe_type type, const struct mana_held *held)
{
	struct mana_rx_cqe cqe = {
		.header = cpu_to_le32(type | MANA_CQE_CLIENT_COMPLETION),
		.info = cpu_to_le32(held->info),
		.wqe_offset = cpu_to_le32(held->wqe_offset),
	};

	for (unsigned int i = 0; i < held->nr; i++) {
		cqe.packet[i].length = cpu_to_le16(held->frame[i].length);
		cqe.packet[i].hash = cpu_to_le32(held->frame[i].hash);
	}
	mana_cq_post(m, (unsigned int)(rq - m->wq), &cqe);
}

void mana_rx_flush(struct mana *m, struct mana_wq *rq)
{
	if (!rq->held.nr)
		return;
	if (rq->held.nr > 1)
		rq->vport->count.rx_coalesced++;
	put_cqe(m, rq, rq->held.nr > 1 ? MANA_CQE_RX_COALESCED_4 :
					 MANA_CQE_RX_OKAY, &rq->held);
	rq->held.nr = 0;
}

void mana_rx_flush_all(struct mana *m)
{
	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring)
			mana_rx_flush(m, &m->wq[i]);
	atomic_store(&m->holds, false);
}

/* ---- which queue ---- */

static bool for_us(const struct mana_vport *vport, const uint8_t *frame)
{
	return (frame[0] & 1) || !memcmp(frame, vport->mac, 6);
}

static uint32_t hash_type(const struct net_headers *h)
{
	static const uint16_t type[3][3] = {
		[NET_IP4] = { MANA_HASH_IP4, MANA_HASH_TCP4, MANA_HASH_UDP4 },
		[NET_IP6] = { MANA_HASH_IP6, MANA_HASH_TCP6, MANA_HASH_UDP6 },
	};

	return type[h->l3][h->l4];
}

static unsigned int steer(const struct mana_vport *vport, uint32_t hash)
{
	return vport->rss && vport->entries ?
		       vport->table[hash % vport->entries] :
		       vport->default_rq;
}

static uint32_t checksum_bits(const uint8_t *frame, const struct net_headers *h)
{
	uint32_t bits = 0;
	bool good;

	if (h->l3 == NET_IP4)
		bits |= net_ip_checksum_good(frame, h) ? MANA_RX_IP_GOOD :
							 MANA_RX_IP_BAD;
	if (!h->l4)
		return bits;
	good = net_l4_checksum_good(frame, h);
	if (h->l4 == NET_TCP)
		return bits | (good ? MANA_RX_TCP_GOOD : MANA_RX_TCP_BAD);
	return bits | (good ? MANA_RX_UDP_GOOD : MANA_RX_UDP_BAD);
}

/* ---- into memory ---- */

/* Puts what fits into the entry's buffer. False: the queue is dead. */
static bool scatter(struct mana *m, struct mana_wq *rq,
		    const struct mana_work *work, const uint8_t *frame,
		    uint32_t len, uint32_t *done)
{
	struct mana_pieces p = { .nr = 0 };

	for (unsigned int i = 0; i < work->nr_sges && p.len < len; i++) {
		uint32_t size = le32_to_cpu(work->sge[i].size);

		if (size > len - p.len)
			size = len - p.len;
		if (!mana_pieces_add(m, &p, rq->pd, &work->sge[i], size,
				     true)) {
			MANA_COUNT(m, bad_access, 1);
			return false;
		}
	}
	mana_pieces_copy_in(&p, frame, p.len);
	mana_pieces_count(m, &p);
	*done = p.len;
	return true;
}

static void hold(struct mana *m, struct mana_wq *rq, uint32_t info,
		 uint32_t len, uint32_t hash, uint32_t offset)
{
	struct mana_held *held = &rq->held;
	unsigned int most = rq->vport->coalesces ? m->coalesce : 1;

	if (held->nr && held->info != info)
		mana_rx_flush(m, rq);
	if (!held->nr) {
		held->info = info;
		held->wqe_offset = offset;
	}
	held->frame[held->nr].length = (uint16_t)len;
	held->frame[held->nr].hash = hash;
	if (++held->nr >= most) {
		mana_rx_flush(m, rq);
		return;
	}
	if (!atomic_exchange(&m->holds, true)) {
		pthread_mutex_lock(&m->lock);
		pthread_cond_signal(&m->work_came);
		pthread_mutex_unlock(&m->lock);
	}
}

static void truncated(struct mana *m, struct mana_wq *rq, uint32_t len,
		      uint32_t offset)
{
	const struct mana_held one = {
		.nr = 1,
		.wqe_offset = offset,
		.frame[0].length = (uint16_t)len,
	};

	mana_rx_flush(m, rq);
	rq->vport->count.rx_truncated++;
	put_cqe(m, rq, MANA_CQE_RX_TRUNCATED, &one);
}

static void count_frame(struct mana_vport *vport, const struct mana_wq *rq,
			const uint8_t *frame, uint32_t len)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
	uint64_t *gf = vport->mana->gf;
	unsigned int at = MANA_GF_RX_UCAST_FRAMES;

	if (!memcmp(frame, broadcast, 6))
		at = MANA_GF_RX_BCAST_FRAMES;
	else if (frame[0] & 1)
		at = MANA_GF_RX_MCAST_FRAMES;
	gf[MANA_GF_RX_BYTES] += len;
	gf[at]++;
	gf[at + 1] += len;
	vport->count.rx_frames++;
	vport->count.rx_bytes += len;
	vport->count.rx_queue[rq->number]++;
}

static void deliver(struct mana *m, struct mana_wq *rq, const uint8_t *frame,
		    uint32_t len, uint32_t info, uint32_t hash)
{
	struct mana_vport *vport = rq->vport;
	struct mana_work work;
	enum mana_peek peek = mana_wq_peek(m, rq, &work);
	uint32_t done = 0;

	if (peek == PEEK_EMPTY) {
		vport->count.rx_no_wqe++;
		m->gf[MANA_GF_RX_NO_WQE]++;
		return;
	}
	if (peek == PEEK_BAD || !scatter(m, rq, &work, frame, len, &done)) {
		MANA_COUNT(m, bad_wqes, 1);
		rq->dead = true;
		return;
	}
	rq->head += work.size;
	if (done < len) {
		truncated(m, rq, len, work.offset);
		return;
	}
	count_frame(vport, rq, frame, len);
	hold(m, rq, info, len, hash, work.offset);
}

void mana_rx_frame(struct mana_vport *vport, const uint8_t *frame,
		   uint32_t len)
{
	struct mana *m = vport->mana;
	uint32_t info = 0, hash;
	struct net_headers h;
	unsigned int rq;

	if (len < NET_ETHERNET || !for_us(vport, frame)) {
		vport->count.rx_filtered++;
		return;
	}
	if (!vport->rx_on || m->link_down) {
		vport->count.rx_disabled++;
		m->gf[MANA_GF_RX_VPORT_DISABLED]++;
		return;
	}
	if (len >= NET_ETHERNET + NET_TAG && net_get16(frame + 12) == 0x8100) {
		info = MANA_RX_VLAN | (net_get16(frame + 14) &
				       MANA_RX_VLAN_MASK);
		len -= NET_TAG;
		memcpy(m->frame, frame, 12);
		memcpy(m->frame + 12, frame + 16, len - 12);
		frame = m->frame;
	}
	net_headers_parse(frame, len, &h);
	hash = net_rss_hash(frame, &h, vport->key);
	info |= checksum_bits(frame, &h) | hash_type(&h) << MANA_RX_HASH_SHIFT;
	rq = steer(vport, hash);
	if (rq)
		deliver(m, &m->wq[rq], frame, len, info, hash);
	else
		vport->count.rx_disabled++;
}
