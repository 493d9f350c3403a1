// SPDX-License-Identifier: MIT
/*
 * Memory of the MANA device: regions, protection domains, memory regions, and
 * the way from an address to host memory.
 *
 *	CREATE_DMA_REGION [ADD_PAGES...] --> region --> a queue's ring
 *	                                       |        or a memory region (MR)
 *	                                       `------> DESTROY_DMA_REGION
 *
 * What is made of a region takes it out of the table, so that its handle is no
 * longer good for anything. Pages of a region are 4 KiB << type.
 *
 * Every address of a message, a ring or an entry is looked up in the machine
 * when it is used, not before: so bus mastering that goes off stops all DMA.
 * The check of a scatter entry (key, PD, range, access) is what keeps an owner
 * of a PD inside of what it registered.
 */
#include <stdlib.h>
#include <string.h>

#include "mana_device.h"

#define MAX_PAGE_TYPE 9u /* 2 MiB */
#define MAX_PAGES (1u << 20)

/* ---- regions ---- */

void mana_region_free(struct mana_region *region)
{
	if (!region)
		return;
	free(region->page);
	free(region);
}

/* Address of byte `offset`, and how many bytes follow it in its page. */
static uint64_t region_address(const struct mana_region *region,
			       uint64_t offset, uint64_t *left)
{
	uint64_t at = region->offset + offset;
	uint64_t size = 1ull << region->shift;

	*left = size - at % size;
	return region->page[at >> region->shift] + at % size;
}

void *mana_ring_at(struct mana *m, const struct mana_region *ring,
		   uint32_t offset, uint32_t len)
{
	const struct pci_host *host = &m->function.host;
	uint64_t left, address = region_address(ring, offset, &left);

	return left < len ? NULL : host->dma(host->opaque, address, len);
}

static struct mana_region **region_slot(struct mana *m, uint64_t handle)
{
	for (unsigned int i = 1; i < MANA_REGIONS; i++)
		if (m->region[i] && m->region[i]->handle == handle)
			return &m->region[i];
	return NULL;
}

struct mana_region *mana_region_find(struct mana *m, uint64_t handle,
				     uint64_t size)
{
	struct mana_region **slot = region_slot(m, handle);

	return slot && (*slot)->filled == (*slot)->pages &&
		(*slot)->length >= size ? *slot : NULL;
}

void mana_region_take(struct mana *m, struct mana_region *region)
{
	*region_slot(m, region->handle) = NULL;
	MANA_COUNT(m, now_regions, -1);
}

struct mana_region *mana_region_page(uint64_t address)
{
	struct mana_region *region = calloc(1, sizeof(*region));

	if (!region)
		return NULL;
	region->page = malloc(sizeof(*region->page));
	if (!region->page) {
		free(region);
		return NULL;
	}
	region->page[0] = address;
	region->length = MANA_PAGE;
	region->shift = 12;
	region->pages = region->filled = 1;
	return region;
}

/* Takes `here` page addresses at `at` of the message. */
static uint32_t take_pages(struct mana *m, const struct mana_exchange *x,
			   struct mana_region *region, uint32_t here,
			   uint32_t at)
{
	if (!here || here > region->pages - region->filled ||
	    here > (x->size - at) / sizeof(le64))
		return MANA_STATUS_INVALID_PARAMETER;
	for (uint32_t i = 0; i < here; i++) {
		le64 page;

		memcpy(&page, m->request + at + i * sizeof(page), sizeof(page));
		if (le64_to_cpu(page) % MANA_PAGE)
			return MANA_STATUS_INVALID_PARAMETER;
		region->page[region->filled + i] = le64_to_cpu(page);
	}
	region->filled += here;
	return region->filled < region->pages ? MANA_STATUS_MORE_ENTRIES :
						MANA_STATUS_OK;
}

uint32_t mana_create_region(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_create_region_req *in = MANA_BODY(m);
	struct gdma_create_region_resp *out = MANA_ANSWER(m);
	uint32_t type = le32_to_cpu(in->page_type);
	uint32_t pages = le32_to_cpu(in->pages), status;
	uint64_t offset = le32_to_cpu(in->offset);
	uint64_t length = le64_to_cpu(in->length);
	struct mana_region *region;
	unsigned int slot = 1;

	if (type > MAX_PAGE_TYPE || !length || !pages || pages > MAX_PAGES ||
	    offset >> (12 + type) || length > UINT64_MAX / 2 ||
	    (offset + length - 1) >> (12 + type) != pages - 1)
		return MANA_STATUS_INVALID_PARAMETER;
	while (slot < MANA_REGIONS && m->region[slot])
		slot++;
	if (slot == MANA_REGIONS)
		return MANA_STATUS_NO_RESOURCES;
	region = calloc(1, sizeof(*region));
	if (region)
		region->page = calloc(pages, sizeof(*region->page));
	if (!region || !region->page) {
		free(region);
		return MANA_STATUS_NO_RESOURCES;
	}
	region->length = length;
	region->offset = (uint32_t)offset;
	region->shift = 12 + type;
	region->pages = pages;
	status = take_pages(m, x, region, le32_to_cpu(in->here),
			    sizeof(struct mana_request) + sizeof(*in));
	if (status == MANA_STATUS_INVALID_PARAMETER) {
		mana_region_free(region);
		return status;
	}
	region->handle = m->next_handle++;
	m->region[slot] = region;
	MANA_COUNT(m, now_regions, 1);
	out->handle = cpu_to_le64(region->handle);
	x->answered = sizeof(*out);
	return status;
}

uint32_t mana_add_pages(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_add_pages_req *in = MANA_BODY(m);
	struct mana_region **slot = region_slot(m, le64_to_cpu(in->handle));

	return slot ? take_pages(m, x, *slot, le32_to_cpu(in->here),
				 sizeof(struct mana_request) + sizeof(*in)) :
		      MANA_STATUS_INVALID_PARAMETER;
}

uint32_t mana_destroy_region(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_handle_req *in = MANA_BODY(m);
	struct mana_region **slot = region_slot(m, le64_to_cpu(in->handle));

	(void)x;
	if (!slot)
		return MANA_STATUS_INVALID_PARAMETER;
	mana_region_free(*slot);
	*slot = NULL;
	MANA_COUNT(m, now_regions, -1);
	return MANA_STATUS_OK;
}

/* ---- protection domains ---- */

bool mana_pd_exists(const struct mana *m, uint32_t pd)
{
	return pd == MANA_PD_DEVICE ? m->registered :
				      pd < MANA_PDS && m->pd[pd].used;
}

/* 0: none. */
static uint32_t find_pd(const struct mana *m, uint64_t handle)
{
	for (uint32_t i = MANA_PD_DEVICE + 1; i < MANA_PDS; i++)
		if (m->pd[i].used && m->pd[i].handle == handle)
			return i;
	return 0;
}

uint32_t mana_create_pd(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_create_pd_req *in = MANA_BODY(m);
	struct gdma_create_pd_resp *out = MANA_ANSWER(m);
	uint32_t i = MANA_PD_DEVICE + 1;

	if (le32_to_cpu(in->flags) > 1)
		return MANA_STATUS_INVALID_PARAMETER;
	while (i < MANA_PDS && m->pd[i].used)
		i++;
	if (i == MANA_PDS)
		return MANA_STATUS_NO_RESOURCES;
	m->pd[i] = (struct mana_pd){ .used = true,
				     .any_memory = le32_to_cpu(in->flags),
				     .handle = m->next_handle++ };
	MANA_COUNT(m, now_pds, 1);
	out->handle = cpu_to_le64(m->pd[i].handle);
	out->id = cpu_to_le32(i);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static bool pd_in_use(const struct mana *m, uint32_t pd)
{
	for (unsigned int i = 0; i < MANA_MRS; i++)
		if (m->mr[i].used && m->mr[i].pd == pd)
			return true;
	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring && m->wq[i].pd == pd)
			return true;
	return false;
}

uint32_t mana_destroy_pd(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_handle_req *in = MANA_BODY(m);
	uint32_t pd = find_pd(m, le64_to_cpu(in->handle));

	(void)x;
	if (!pd || pd_in_use(m, pd))
		return MANA_STATUS_INVALID_PARAMETER;
	m->pd[pd].used = false;
	MANA_COUNT(m, now_pds, -1);
	return MANA_STATUS_OK;
}

/* ---- memory regions ---- */

/* Key of an entry: another one each time that the entry is used. */
static uint32_t next_key(const struct mana *m, unsigned int i)
{
	uint32_t low = (m->mr[i].key + 1) & 0xff;

	return MANA_KEY_FIRST + (i << 8) + low;
}

/* The region of an MR, or NULL for all of memory; false: the rules forbid it. */
static bool mr_region(struct mana *m, const struct gdma_create_mr_req *in,
		      uint32_t pd, struct mana_mr *mr)
{
	switch (le32_to_cpu(in->type)) {
	case GDMA_MR_GPA:
		mr->access = (uint32_t)le64_to_cpu(in->address);
		return m->pd[pd].any_memory;
	case GDMA_MR_GVA:
		mr->address = le64_to_cpu(in->address);
		mr->access = le32_to_cpu(in->access);
		break;
	case GDMA_MR_ZBVA:
		mr->access = (uint32_t)le64_to_cpu(in->address);
		break;
	default:
		return false;
	}
	mr->region = mana_region_find(m, le64_to_cpu(in->region), 1);
	return mr->region &&
	       mr->address <= UINT64_MAX - mr->region->length;
}

uint32_t mana_create_mr(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_create_mr_req *in = MANA_BODY(m);
	struct gdma_create_mr_resp *out = MANA_ANSWER(m);
	uint32_t pd = find_pd(m, le64_to_cpu(in->pd));
	struct mana_mr mr = { .used = true, .pd = pd };
	unsigned int i = 0;

	if (!pd || !mr_region(m, in, pd, &mr))
		return MANA_STATUS_INVALID_PARAMETER;
	while (i < MANA_MRS && m->mr[i].used)
		i++;
	if (i == MANA_MRS)
		return MANA_STATUS_NO_RESOURCES;
	if (mr.region)
		mana_region_take(m, mr.region);
	mr.key = next_key(m, i);
	mr.handle = m->next_handle++;
	m->mr[i] = mr;
	MANA_COUNT(m, now_mrs, 1);
	out->handle = cpu_to_le64(mr.handle);
	out->lkey = cpu_to_le32(mr.key);
	out->rkey = cpu_to_le32(mr.key);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static void free_mr(struct mana *m, struct mana_mr *mr)
{
	mana_region_free(mr->region);
	/* The key stays: the next one is to be another. */
	*mr = (struct mana_mr){ .key = mr->key };
	MANA_COUNT(m, now_mrs, -1);
}

uint32_t mana_destroy_mr(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_handle_req *in = MANA_BODY(m);

	(void)x;
	for (unsigned int i = 0; i < MANA_MRS; i++) {
		if (!m->mr[i].used ||
		    m->mr[i].handle != le64_to_cpu(in->handle))
			continue;
		free_mr(m, &m->mr[i]);
		return MANA_STATUS_OK;
	}
	return MANA_STATUS_INVALID_PARAMETER;
}

void mana_memory_reset(struct mana *m)
{
	for (unsigned int i = 0; i < MANA_MRS; i++)
		if (m->mr[i].used)
			free_mr(m, &m->mr[i]);
	for (unsigned int i = 0; i < MANA_REGIONS; i++) {
		mana_region_free(m->region[i]);
		m->region[i] = NULL;
	}
	memset(m->pd, 0, sizeof(m->pd));
	m->count.now_regions = m->count.now_pds = 0;
}

/* ---- from addresses to memory ---- */

/* The key of a PD, if it gives this access to all of the range. */
static bool find_key(const struct mana *m, uint32_t pd, uint32_t key,
		     uint64_t address, uint64_t size, bool write,
		     const struct mana_region **region, uint64_t *offset)
{
	const struct mana_mr *mr;
	uint32_t i = (key - MANA_KEY_FIRST) >> 8;

	*region = NULL;
	*offset = address;
	if (pd == MANA_PD_HWC)
		return key == MANA_KEY_HWC;
	if (pd == MANA_PD_DEVICE)
		return key == MANA_KEY_DEVICE && m->registered;
	if (key < MANA_KEY_FIRST || i >= MANA_MRS)
		return false;
	mr = &m->mr[i];
	if (!mr->used || mr->key != key || mr->pd != pd ||
	    (write && !(mr->access & GDMA_LOCAL_WRITE)))
		return false;
	if (!mr->region)
		return true;
	*region = mr->region;
	*offset = address - mr->address;
	return address >= mr->address && *offset <= mr->region->length &&
	       size <= mr->region->length - *offset;
}

static bool add_piece(struct mana *m, struct mana_pieces *p, uint64_t address,
		      uint32_t len)
{
	const struct pci_host *host = &m->function.host;
	uint8_t *memory = host->dma(host->opaque, address, len);
	struct iovec *last = p->nr ? &p->iov[p->nr - 1] : NULL;

	if (!memory)
		return false;
	if (last && (uint8_t *)last->iov_base + last->iov_len == memory)
		last->iov_len += len;
	else if (p->nr == MANA_MAX_PIECES)
		return false;
	else
		p->iov[p->nr++] = (struct iovec){ memory, len };
	p->len += len;
	if (host->is_guest(host->opaque, address, len))
		p->guest += len;
	else
		p->outside += len;
	return true;
}

bool mana_pieces_add(struct mana *m, struct mana_pieces *p, uint32_t pd,
		     const struct mana_sge *sge, uint32_t len, bool write)
{
	const struct mana_region *region;
	uint64_t offset;

	if (!find_key(m, pd, le32_to_cpu(sge->mkey), le64_to_cpu(sge->address),
		      le32_to_cpu(sge->size), write, &region, &offset))
		return false;
	if (!region)
		return !len || add_piece(m, p, offset, len);
	while (len) {
		uint64_t left, address = region_address(region, offset, &left);
		uint32_t n = left < len ? (uint32_t)left : len;

		if (!add_piece(m, p, address, n))
			return false;
		offset += n;
		len -= n;
	}
	return true;
}

void mana_pieces_copy_out(const struct mana_pieces *p, void *to, uint32_t len)
{
	uint8_t *at = to;

	for (unsigned int i = 0; len; i++) {
		uint32_t n = p->iov[i].iov_len < len ?
				     (uint32_t)p->iov[i].iov_len : len;

		memcpy(at, p->iov[i].iov_base, n);
		at += n;
		len -= n;
	}
}

void mana_pieces_copy_in(const struct mana_pieces *p, const void *from,
			 uint32_t len)
{
	const uint8_t *at = from;

	for (unsigned int i = 0; len; i++) {
		uint32_t n = p->iov[i].iov_len < len ?
				     (uint32_t)p->iov[i].iov_len : len;

		memcpy(p->iov[i].iov_base, at, n);
		at += n;
		len -= n;
	}
}

void mana_pieces_count(struct mana *m, const struct mana_pieces *p)
{
	MANA_COUNT(m, data_guest, p->guest);
	MANA_COUNT(m, data_outside, p->outside);
}
