// SPDX-License-Identifier: MIT
/*
 * Vports: their messages.
 *
 *	CONFIG_VPORT_TX --> CREATE_WQ_OBJ... --> CONFIG_VPORT_RX on
 *	DESTROY_WQ_OBJ... <-- CONFIG_VPORT_RX off
 *
 * CONFIG_VPORT_TX says whose the vport is: the PD of its queues' memory and the
 * doorbell page that rings them. An object is a WQ with a CQ of its own. A
 * destroyed RQ leaves holes in the indirection table; what falls into one is
 * dropped and counted.
 */
#include <string.h>

#include "mana_device.h"

#define TX_TIMEOUT_NS 0u
#define TABLE_ENTRIES 64u
#define NO_EQ 0xffffu

static struct mana_vport *find_vport(struct mana *m, uint64_t handle)
{
	for (unsigned int i = 0; i < m->nr_vports; i++)
		if (m->vport[i].handle == handle && !m->vport[i].lost)
			return &m->vport[i];
	return NULL;
}

/* 0: none. */
static unsigned int find_wq(const struct mana *m, uint64_t object)
{
	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring && m->wq[i].vport &&
		    m->wq[i].handle == object)
			return i;
	return 0;
}

/* ---- queries ---- */

uint32_t mana_dev_config(struct mana *m, struct mana_exchange *x)
{
	struct mana_dev_config_resp *out = MANA_ANSWER(m);

	out->vports = cpu_to_le16((uint16_t)m->nr_vports);
	out->max_eqs = cpu_to_le32(m->queues);
	out->mtu = cpu_to_le16((uint16_t)(m->mtu + NET_ETHERNET));
	out->link_mbps = cpu_to_le32(m->link_mbps);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

uint32_t mana_vport_config(struct mana *m, struct mana_exchange *x)
{
	const struct mana_vport_config_req *in = MANA_BODY(m);
	struct mana_vport_config_resp *out = MANA_ANSWER(m);
	uint32_t index = le32_to_cpu(in->index);

	if (index >= m->nr_vports)
		return MANA_STATUS_INVALID_PARAMETER;
	out->max_sq = out->max_rq = cpu_to_le32(m->queues);
	out->entries = cpu_to_le32(TABLE_ENTRIES);
	memcpy(out->mac, m->vport[index].mac, sizeof(out->mac));
	out->vport = cpu_to_le64(m->vport[index].handle);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

uint32_t mana_link_config(struct mana *m, struct mana_exchange *x)
{
	struct mana_link_config_resp *out = MANA_ANSWER(m);

	out->link_mbps = cpu_to_le32(m->link_mbps);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

uint32_t mana_gf_stat(struct mana *m, struct mana_exchange *x)
{
	const struct mana_gf_stat_req *in = MANA_BODY(m);
	struct mana_gf_stat_resp *out = MANA_ANSWER(m);

	out->mask = in->mask;
	for (unsigned int i = 0; i < MANA_GF_STATS; i++)
		out->counter[i] = cpu_to_le64(m->gf[i]);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

/* ---- objects ---- */

uint32_t mana_config_tx(struct mana *m, struct mana_exchange *x)
{
	const struct mana_config_tx_req *in = MANA_BODY(m);
	struct mana_config_tx_resp *out = MANA_ANSWER(m);
	struct mana_vport *vport = find_vport(m, le64_to_cpu(in->vport));
	uint32_t pd = le32_to_cpu(in->pd), bell = le32_to_cpu(in->doorbell);

	if (!vport || !mana_pd_exists(m, pd) || pd == MANA_PD_HWC ||
	    bell == MANA_BELL_HWC || bell >= MANA_BELL_PAGES ||
	    !m->bell_used[bell])
		return MANA_STATUS_INVALID_PARAMETER;
	/* Its queues belong to somebody already. */
	if (vport->sqs || vport->rqs)
		return MANA_STATUS_INVALID_PARAMETER;
	vport->pd = pd;
	vport->bell = bell;
	out->vport_offset = cpu_to_le16((uint16_t)vport->index);
	out->short_form = 1;
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

/* The rules of CREATE_WQ_OBJ; *wq and *cq are the regions then. */
static uint32_t check_wq(struct mana *m, const struct mana_create_wq_req *in,
			 const struct mana_vport *vport,
			 struct mana_region **wq, struct mana_region **cq)
{
	uint32_t type = le32_to_cpu(in->type), eq = le32_to_cpu(in->eq);
	uint32_t wq_size = le32_to_cpu(in->wq_size);
	uint32_t cq_size = le32_to_cpu(in->cq_size);

	if (!vport || !vport->pd || !mana_pd_exists(m, vport->pd) ||
	    (type != MANA_WQ_SQ && type != MANA_WQ_RQ) ||
	    !mana_queue_size_good(wq_size) || !mana_queue_size_good(cq_size))
		return MANA_STATUS_INVALID_PARAMETER;
	if (eq != NO_EQ && (!eq || eq >= MANA_EQS || eq == m->hwc_eq ||
			    !m->eq[eq].ring))
		return MANA_STATUS_INVALID_PARAMETER;
	*wq = mana_region_find(m, le64_to_cpu(in->wq_region), wq_size);
	*cq = mana_region_find(m, le64_to_cpu(in->cq_region), cq_size);
	if (!*wq || !*cq || *wq == *cq || (*wq)->offset % MANA_WQE_UNIT ||
	    (*cq)->offset % sizeof(struct mana_cqe))
		return MANA_STATUS_INVALID_PARAMETER;
	if ((type == MANA_WQ_SQ ? vport->sqs : vport->rqs) >= m->queues)
		return MANA_STATUS_NO_RESOURCES;
	return MANA_STATUS_OK;
}

/* The first place in rx_queue[] that no RQ has. */
static unsigned int rq_number(const struct mana *m,
			      const struct mana_vport *vport)
{
	bool used[MANA_MAX_QUEUES] = { false };
	unsigned int n = 0;

	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring && m->wq[i].vport == vport && !m->wq[i].sq)
			used[m->wq[i].number] = true;
	while (n < MANA_MAX_QUEUES - 1 && used[n])
		n++;
	return n;
}

uint32_t mana_create_wq(struct mana *m, struct mana_exchange *x)
{
	const struct mana_create_wq_req *in = MANA_BODY(m);
	struct mana_create_wq_resp *out = MANA_ANSWER(m);
	struct mana_vport *vport = find_vport(m, le64_to_cpu(in->vport));
	bool sq = le32_to_cpu(in->type) == MANA_WQ_SQ;
	uint32_t eq = le32_to_cpu(in->eq), status;
	unsigned int wq, cq, number;
	struct mana_region *wq_ring, *cq_ring;

	status = check_wq(m, in, vport, &wq_ring, &cq_ring);
	if (status)
		return status;
	wq = mana_wq_free(m);
	cq = mana_cq_free(m);
	if (!wq || !cq)
		return MANA_STATUS_NO_RESOURCES;
	number = sq ? 0 : rq_number(m, vport);
	mana_region_take(m, wq_ring);
	mana_region_take(m, cq_ring);
	mana_cq_start(m, cq, cq_ring, le32_to_cpu(in->cq_size),
		      eq == NO_EQ ? 0 : eq, vport->bell);
	mana_wq_start(m, wq, wq_ring, le32_to_cpu(in->wq_size), cq, sq,
		      vport->pd, vport->bell);
	m->wq[wq].vport = m->cq[cq].vport = vport;
	m->wq[wq].number = number;
	*(sq ? &vport->sqs : &vport->rqs) += 1;
	out->wq = cpu_to_le32(wq);
	out->cq = cpu_to_le32(cq);
	out->object = cpu_to_le64(m->wq[wq].handle);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static void stop_object(struct mana *m, unsigned int wq)
{
	struct mana_vport *vport = m->wq[wq].vport;
	unsigned int cq = m->wq[wq].cq;

	*(m->wq[wq].sq ? &vport->sqs : &vport->rqs) -= 1;
	if (vport->default_rq == wq)
		vport->default_rq = 0;
	for (unsigned int i = 0; i < vport->entries; i++)
		if (vport->table[i] == wq)
			vport->table[i] = 0;
	mana_wq_stop(m, wq);
	mana_cq_stop(m, cq);
}

uint32_t mana_destroy_wq(struct mana *m, struct mana_exchange *x)
{
	const struct mana_destroy_wq_req *in = MANA_BODY(m);
	unsigned int wq = find_wq(m, le64_to_cpu(in->object));
	uint32_t type = le32_to_cpu(in->type);

	(void)x;
	if (!wq || type != (m->wq[wq].sq ? MANA_WQ_SQ : MANA_WQ_RQ))
		return MANA_STATUS_INVALID_PARAMETER;
	stop_object(m, wq);
	return MANA_STATUS_OK;
}

uint32_t mana_fence(struct mana *m, struct mana_exchange *x)
{
	const struct mana_fence_req *in = MANA_BODY(m);
	unsigned int wq = find_wq(m, le64_to_cpu(in->object));
	const struct mana_rx_cqe cqe = {
		.header = cpu_to_le32(MANA_CQE_RX_FENCE |
				      MANA_CQE_CLIENT_COMPLETION),
	};

	(void)x;
	if (!wq || m->wq[wq].sq)
		return MANA_STATUS_INVALID_PARAMETER;
	mana_rx_flush(m, &m->wq[wq]);
	mana_cq_post(m, wq, &cqe);
	return MANA_STATUS_OK;
}

/* ---- receiving ---- */

/* The RQ of this vport that an object is; 0 for none. */
static unsigned int rq_of(const struct mana *m, const struct mana_vport *vport,
			  uint64_t object)
{
	unsigned int wq = find_wq(m, object);

	return wq && !m->wq[wq].sq && m->wq[wq].vport == vport ? wq : 0;
}

static bool read_table(const struct mana *m, const struct mana_vport *vport,
		       const struct mana_config_rx_req *in, uint32_t size,
		       unsigned int *table)
{
	uint32_t entries = le16_to_cpu(in->entries);
	uint32_t at = le16_to_cpu(in->table);

	if (!entries || entries > MANA_MAX_TABLE || at > size ||
	    entries > (size - at) / sizeof(le64))
		return false;
	for (unsigned int i = 0; i < entries; i++) {
		le64 object;

		memcpy(&object, m->request + at + i * sizeof(object),
		       sizeof(object));
		table[i] = rq_of(m, vport, le64_to_cpu(object));
		if (!table[i])
			return false;
	}
	return true;
}

uint32_t mana_config_rx(struct mana *m, struct mana_exchange *x)
{
	const struct mana_config_rx_req *in = MANA_BODY(m);
	struct mana_config_rx_resp *out = MANA_ANSWER(m);
	const struct mana_request *header = (const void *)m->request;
	struct mana_vport *vport = find_vport(m, le64_to_cpu(in->vport));
	uint32_t rx = le32_to_cpu(in->rx), rss = le32_to_cpu(in->rss);
	uint64_t object = le64_to_cpu(in->default_object);
	unsigned int table[MANA_MAX_TABLE], default_rq = 0;

	if (!vport || (rx > 1 && rx != MANA_KEEP) ||
	    (rss > 1 && rss != MANA_KEEP))
		return MANA_STATUS_INVALID_PARAMETER;
	if (in->update_table && !read_table(m, vport, in, x->size, table))
		return MANA_STATUS_INVALID_PARAMETER;
	if (in->update_default && object != MANA_NO_OBJECT) {
		default_rq = rq_of(m, vport, object);
		if (!default_rq)
			return MANA_STATUS_INVALID_PARAMETER;
	}
	if (in->update_table) {
		vport->entries = le16_to_cpu(in->entries);
		memcpy(vport->table, table, sizeof(table));
	}
	if (in->update_default)
		vport->default_rq = default_rq;
	if (in->update_key)
		memcpy(vport->key, in->key, sizeof(vport->key));
	if (rx != MANA_KEEP)
		vport->rx_on = rx;
	if (rss != MANA_KEEP)
		vport->rss = rss;
	vport->coalesces = le16_to_cpu(header->request.version) >= 2 &&
			   m->request[MANA_RX_COALESCING_AT];
	out->timeout_ns = cpu_to_le32(TX_TIMEOUT_NS);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

void mana_vports_reset(struct mana *m)
{
	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring && m->wq[i].vport)
			stop_object(m, i);
	for (unsigned int i = 0; i < m->nr_vports; i++) {
		struct mana_vport *vport = &m->vport[i];

		vport->pd = vport->bell = 0;
		vport->rx_on = vport->rss = vport->coalesces = false;
		vport->default_rq = vport->entries = 0;
	}
}
