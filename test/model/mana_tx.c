// SPDX-License-Identifier: MIT
/*
 * Sending: SQ entries to the back-end.
 *
 * In turn over the SQs that have work, some entries of each, so that no queue
 * and no vport starves another, and what receives gets at the engine between
 * two turns. A back-end without room stops its vport; it says when there is
 * some again (mana.c).
 *
 *	entry --bad format, or LSO rules--> CQE 42, and the SQ is dead
 *	      --memory not allowed--------> CQE 42, and the SQ is dead
 *	      --wrong out-of-band data----> CQE 35
 *	      --longer than the MTU-------> CQE 34
 *	      --sent----------------------> CQE 32, unless suppressed
 *
 * There is one completion per entry, in the order of entries.
 */
#include <string.h>

#include "mana_device.h"
#include "vmm/net_back.h"
#include "vmm/net_headers.h"

#define BUDGET 64u     /* entries of a queue in a turn */
#define LSO_HEADER 256u /* bytes at most */
#define PROBE 256u	/* of a frame: its headers */

enum result { SENT, DROPPED, BLOCKED };

/* One entry on its way. */
struct sending {
	struct mana *m;
	struct mana_wq *sq;
	unsigned int id;
	struct mana_work work;
	struct mana_tx_oob oob;
	uint32_t word0, word1;
	struct mana_pieces pieces;
	uint8_t probe[PROBE];
	struct net_offload offload;
	uint8_t tag[NET_TAG];
	bool tagged;
};

static void complete(struct sending *s, enum mana_cqe_type type)
{
	const struct mana_tx_cqe cqe = {
		.header = cpu_to_le32(type | MANA_CQE_CLIENT_COMPLETION),
		.offsets = cpu_to_le32(s->work.offset / MANA_WQE_UNIT << 5),
	};

	mana_cq_post(s->m, s->id, &cqe);
}

/* A bad entry: the queue goes on, or is dead with 42. */
static enum result fail(struct sending *s, enum mana_cqe_type type,
			enum mana_gf_stat stat)
{
	s->sq->vport->count.tx_errors++;
	s->m->gf[stat]++;
	s->sq->dead = type == MANA_CQE_TX_GDMA_ERR;
	complete(s, type);
	return DROPPED;
}

static enum result dead(struct sending *s)
{
	MANA_COUNT(s->m, bad_wqes, 1);
	return fail(s, MANA_CQE_TX_GDMA_ERR, MANA_GF_TX_GDMA);
}

/* ---- out-of-band data ---- */

static bool read_oob(struct sending *s)
{
	uint32_t offset;
	bool long_form;

	memset(&s->oob, 0, sizeof(s->oob));
	if (s->work.oob_size != MANA_TX_OOB_SHORT &&
	    s->work.oob_size != sizeof(s->oob))
		return false;
	memcpy(&s->oob, s->work.oob, s->work.oob_size);
	s->word0 = le32_to_cpu(s->oob.word0);
	s->word1 = le32_to_cpu(s->oob.word1);
	long_form = (s->word0 & MANA_TX_FORMAT_MASK) == MANA_TX_LONG;
	if ((s->word0 & MANA_TX_FORMAT_MASK) > MANA_TX_LONG ||
	    long_form != (s->work.oob_size == sizeof(s->oob)))
		return false;
	offset = long_form ? le32_to_cpu(s->oob.word3) >>
			     MANA_TX_LONG_VPORT_SHIFT & MANA_TX_LONG_VPORT_MASK :
			     s->word1 >> MANA_TX_VPORT_SHIFT;
	return offset == s->sq->vport->index &&
	       s->word0 >> MANA_TX_CQ_SHIFT == s->sq->cq &&
	       (s->word1 >> MANA_TX_FRAME_SHIFT & MANA_TX_FRAME_MASK) ==
		       (s->id >> 10 & MANA_TX_FRAME_MASK);
}

/* Checksum bits against the headers. */
static bool checksums_good(const struct sending *s, uint32_t probed)
{
	uint32_t bits = s->word0, l3 = NET_ETHERNET, l4 = s->offload.l4;
	bool tcp = bits & MANA_TX_TCP_CHECKSUM;
	bool udp = bits & MANA_TX_UDP_CHECKSUM;
	uint16_t type = net_get16(s->probe + NET_ETHERNET - 2);

	if (type == 0x8100) {
		type = net_get16(s->probe + NET_ETHERNET + 2);
		l3 += NET_TAG;
	}
	if (!tcp && !udp && !(bits & MANA_TX_IP_CHECKSUM))
		return true;
	if ((tcp && udp) || !(bits & (MANA_TX_IP4 | MANA_TX_IP6)) ||
	    type != (bits & MANA_TX_IP4 ? 0x0800 : 0x86dd) ||
	    ((bits & MANA_TX_IP_CHECKSUM) && !(bits & MANA_TX_IP4)))
		return false;
	if (!tcp && !udp)
		return true;
	if (l4 + (tcp ? 20u : 8u) > probed)
		return false;
	if (bits & MANA_TX_IP4)
		return l4 == l3 + (s->probe[l3] & 15) * 4u &&
		       s->probe[l3 + 9] == (tcp ? NET_PROTOCOL_TCP :
						  NET_PROTOCOL_UDP);
	return l4 >= l3 + 40;
}

static void read_tag(struct sending *s)
{
	uint32_t word = le32_to_cpu(s->oob.word2);

	s->tagged = word & MANA_TX_INJECT_VLAN;
	net_put16(s->tag, 0x8100);
	net_put16(s->tag + 2, (uint16_t)((word >> MANA_TX_PRIORITY_SHIFT & 7)
						 << 13 |
					 !!(word & MANA_TX_DEI) << 12 |
					 word >> MANA_TX_VLAN_SHIFT));
}

static void read_offload(struct sending *s)
{
	bool lso = s->work.flags & MANA_WQE_OOB_IN_SGL;

	s->offload = (struct net_offload){
		.l4 = s->word1 & MANA_TX_TRANSPORT_MASK,
	};
	if (s->word0 & MANA_TX_IP_CHECKSUM)
		s->offload.flags |= NET_IP_CHECKSUM;
	if (s->word0 & MANA_TX_TCP_CHECKSUM)
		s->offload.flags |= NET_TCP_CHECKSUM;
	if (s->word0 & MANA_TX_UDP_CHECKSUM)
		s->offload.flags |= NET_UDP_CHECKSUM;
	if (!lso)
		return;
	s->offload.flags |= NET_LSO;
	s->offload.mss = s->work.flags >> MANA_WQE_UNIT_SHIFT &
			 MANA_WQE_UNIT_MASK;
	s->offload.header_len = (uint16_t)le32_to_cpu(s->work.sge[0].size);
}

/* ---- memory ---- */

/* False: not allowed, or more than any frame. */
static bool gather(struct sending *s)
{
	uint64_t total = 0;

	s->pieces.nr = s->pieces.len = 0;
	s->pieces.guest = s->pieces.outside = 0;
	for (unsigned int i = 0; i < s->work.nr_sges; i++) {
		const struct mana_sge *sge = &s->work.sge[i];
		uint32_t size = le32_to_cpu(sge->size);

		total += size;
		if (total > NET_MAX_FRAME - NET_TAG ||
		    !mana_pieces_add(s->m, &s->pieces, s->sq->pd, sge, size,
				     false)) {
			MANA_COUNT(s->m, bad_access, 1);
			return false;
		}
	}
	return true;
}

static bool lso_good(const struct sending *s)
{
	return s->work.nr_sges >= 2 && s->offload.mss &&
	       le32_to_cpu(s->work.sge[0].size) <= LSO_HEADER &&
	       (s->word0 & MANA_TX_TCP_CHECKSUM);
}

/* ---- sending ---- */

static void count_kind(struct mana *m, uint8_t first, uint32_t len,
		       enum mana_gf_stat bytes, const uint8_t *mac)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
	/* Each kind is frames and bytes, in this order behind the sum. */
	enum mana_gf_stat at = bytes + 1;

	if (!memcmp(mac, broadcast, 6))
		at += 2;
	else if (first & 1)
		at += 4;
	m->gf[bytes] += len;
	m->gf[at]++;
	m->gf[at + 1] += len;
}

/* With the tag, if one is to be put in: it goes behind the addresses. */
static unsigned int make_iov(const struct sending *s, struct iovec *iov)
{
	const struct iovec *from = s->pieces.iov;
	unsigned int nr = 0, i = 0;
	size_t left = NET_ETHERNET - 2, skip = 0;

	if (s->tagged) {
		for (; left; i += !skip) {
			size_t n = from[i].iov_len < left ? from[i].iov_len :
							    left;

			iov[nr++] = (struct iovec){ from[i].iov_base, n };
			left -= n;
			skip = n < from[i].iov_len ? n : 0;
			if (skip)
				break;
		}
		iov[nr++] = (struct iovec){ (void *)s->tag, NET_TAG };
	}
	for (; i < s->pieces.nr; i++, skip = 0)
		iov[nr++] = (struct iovec){
			(uint8_t *)from[i].iov_base + skip,
			from[i].iov_len - skip,
		};
	return nr;
}

static enum result send(struct sending *s)
{
	struct iovec iov[MANA_MAX_PIECES + 3];
	struct net_frame frame = { iov, 0, s->pieces.len, s->offload };
	struct mana_vport *vport = s->sq->vport;

	frame.nr = make_iov(s, iov);
	if (s->tagged) {
		frame.len += NET_TAG;
		frame.offload.l4 += frame.offload.l4 ? NET_TAG : 0;
		frame.offload.header_len += frame.offload.header_len ?
						    NET_TAG : 0;
	}
	/* A frame into a link that is down is gone, as on any wire. */
	if (!s->m->link_down && !net_back_send(vport->back, &frame))
		return BLOCKED;
	mana_pieces_count(s->m, &s->pieces);
	vport->count.tx_frames++;
	vport->count.tx_bytes += frame.len;
	vport->count.tx_lso += !!(s->offload.flags & NET_LSO);
	count_kind(s->m, s->probe[0], frame.len, MANA_GF_TX_BYTES, s->probe);
	if (s->word0 & MANA_TX_SUPPRESS)
		vport->count.tx_suppressed++;
	else
		complete(s, MANA_CQE_TX_OKAY);
	return SENT;
}

static enum result try_one(struct sending *s)
{
	uint32_t limit = s->m->mtu + NET_ETHERNET, probed;

	if (!read_oob(s))
		return fail(s, MANA_CQE_TX_INVALID_OOB, MANA_GF_TX_INVALID_OOB);
	read_tag(s);
	read_offload(s);
	if ((s->offload.flags & NET_LSO) && !lso_good(s))
		return dead(s);
	if (!gather(s))
		return dead(s);
	if (s->pieces.len < NET_ETHERNET)
		return fail(s, MANA_CQE_TX_INVALID_OOB, MANA_GF_TX_INVALID_OOB);
	probed = s->pieces.len < PROBE ? s->pieces.len : PROBE;
	memset(s->probe, 0, sizeof(s->probe));
	mana_pieces_copy_out(&s->pieces, s->probe, probed);
	if (net_get16(s->probe + NET_ETHERNET - 2) == 0x8100)
		limit += NET_TAG;
	if (!checksums_good(s, probed))
		return fail(s, MANA_CQE_TX_INVALID_OOB, MANA_GF_TX_INVALID_OOB);
	if (!(s->offload.flags & NET_LSO) && s->pieces.len > limit)
		return fail(s, MANA_CQE_TX_MTU_DROP, MANA_GF_TX_MTU);
	return send(s);
}

/* True: the queue has more that could be sent now. */
static bool run_queue(struct mana *m, unsigned int id)
{
	struct sending s = { .m = m, .sq = &m->wq[id], .id = id };

	for (unsigned int i = 0; i < BUDGET; i++) {
		enum mana_peek peek = mana_wq_peek(m, s.sq, &s.work);

		if (peek == PEEK_EMPTY) {
			s.sq->runs = false;
			return false;
		}
		if (peek == PEEK_BAD) {
			dead(&s);
			continue;
		}
		if (try_one(&s) == BLOCKED)
			return false;
		s.sq->head += s.work.size;
	}
	return true;
}

bool mana_tx_run(struct mana *m)
{
	bool more = false;

	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].runs)
			more |= run_queue(m, i);
	return more;
}
