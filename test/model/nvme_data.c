// SPDX-License-Identifier: MIT
/*
 * Where the data of a command is: PRPs (base 4.1.1) and SGLs (base 4.1.2)
 * become pieces of host memory, c->piece[]. All of a command's pieces are
 * known before the first byte moves.
 *
 * Lists and segments are in memory that the host may change meanwhile: each
 * word is copied once. Every loop ends because it takes bytes off `left`, or
 * counts against NVME_MAX_PIECES.
 *
 * The controller's thread only.
 */
#include <string.h>

#include "nvme_controller.h"

void *nvme_dma(struct nvme_controller *c, uint64_t address, size_t size)
{
	const struct pci_host *host = &c->function.host;
	void *memory = NULL;

	if (address + size >= address)
		memory = host->dma(host->opaque, address, size);
	if (!memory)
		NVME_COUNT(c, bad_dma, 1);
	return memory;
}

/* The data pointer that is being taken apart. */
struct walk {
	struct nvme_controller *c;
	uint32_t left;
	enum nvme_data kind;
};

static uint16_t add_piece(struct walk *w, uint64_t address, uint32_t len)
{
	struct nvme_controller *c = w->c;
	const struct pci_host *host = &c->function.host;
	void *memory = nvme_dma(c, address, len);

	if (!memory)
		return NVME_FAIL(NVME_DATA_TRANSFER_ERROR);
	if (c->nr_pieces == NVME_MAX_PIECES)
		return NVME_FAIL(NVME_INVALID_SGL_COUNT);
	if (w->kind == NVME_DATA_BLOCKS) {
		NVME_COUNT(c, pieces, 1);
		if (!host->is_guest(host->opaque, address, len)) {
			NVME_COUNT(c, pieces_outside, 1);
			NVME_COUNT(c, bytes_outside, len);
		}
	}
	c->piece[c->nr_pieces++] = (struct nvme_piece){ memory, len };
	w->left -= len;
	return NVME_SUCCESS;
}

/* ---- PRP ---- */

static uint16_t add_page(struct walk *w, uint64_t page)
{
	uint32_t len = w->left < NVME_PAGE ? w->left : NVME_PAGE;

	if (page % NVME_PAGE)
		return NVME_FAIL(NVME_PRP_OFFSET_INVALID);
	return add_piece(w, page, len);
}

/* The pages of one page of list; *next is the list that follows, if any. */
static uint16_t walk_list(struct walk *w, uint64_t list, uint64_t *next)
{
	uint32_t room = (NVME_PAGE - list % NVME_PAGE) / sizeof(le64);
	uint32_t needed = (w->left + NVME_PAGE - 1) / NVME_PAGE;
	uint32_t n = needed < room ? needed : room;
	le64 entries[NVME_PAGE / sizeof(le64)];
	uint16_t status = NVME_SUCCESS;
	const void *memory = nvme_dma(w->c, list, n * sizeof(le64));

	if (!memory)
		return NVME_FAIL(NVME_DATA_TRANSFER_ERROR);
	memcpy(entries, memory, n * sizeof(le64));
	/* A full list whose last entry is not the last page: a pointer. */
	if (needed > room)
		*next = le64_to_cpu(entries[--n]);
	for (uint32_t i = 0; !status && i < n; i++)
		status = add_page(w, le64_to_cpu(entries[i]));
	return status;
}

static uint16_t walk_prps(struct walk *w, uint64_t prp1, uint64_t prp2)
{
	uint32_t first = NVME_PAGE - prp1 % NVME_PAGE;
	uint16_t status;

	if (prp1 % 4)
		return NVME_FAIL(NVME_PRP_OFFSET_INVALID);
	status = add_piece(w, prp1, w->left < first ? w->left : first);
	if (status || !w->left)
		return status;
	if (w->left <= NVME_PAGE)
		return add_page(w, prp2);
	if (prp2 % sizeof(le64))
		return NVME_FAIL(NVME_PRP_OFFSET_INVALID);
	for (uint64_t list = prp2; !status && w->left;) {
		uint64_t next = 0;

		status = walk_list(w, list, &next);
		if (!status && w->left && next % NVME_PAGE)
			status = NVME_FAIL(NVME_PRP_OFFSET_INVALID);
		list = next;
	}
	return status;
}

/* ---- SGL ---- */

static uint16_t add_block(struct walk *w, const struct nvme_sgl_descriptor *d)
{
	uint32_t len = le32_to_cpu(d->length);

	if (len > w->left)
		return NVME_FAIL(NVME_SGL_LENGTH_INVALID);
	return len ? add_piece(w, le64_to_cpu(d->address), len) : NVME_SUCCESS;
}

/*
 * One segment, which `at` points to. Afterwards `at` is the descriptor of the
 * next one, or a data block when this was the last.
 */
static uint16_t walk_segment(struct walk *w, struct nvme_sgl_descriptor *at,
			     unsigned int *budget)
{
	bool last = at->type == NVME_SGL_LAST_SEGMENT;
	uint32_t len = le32_to_cpu(at->length);
	uint32_t n = len / sizeof(*at);
	const struct nvme_sgl_descriptor *memory;
	uint16_t status = NVME_SUCCESS;

	if (!len || len % sizeof(*at) || le64_to_cpu(at->address) % 8)
		return NVME_FAIL(NVME_INVALID_SGL_SEGMENT);
	if (n > *budget)
		return NVME_FAIL(NVME_INVALID_SGL_COUNT);
	*budget -= n;
	memory = nvme_dma(w->c, le64_to_cpu(at->address), len);
	if (!memory)
		return NVME_FAIL(NVME_DATA_TRANSFER_ERROR);
	for (uint32_t i = 0; !status && i < n; i++) {
		*at = memory[i];
		if (at->type == NVME_SGL_DATA_BLOCK) {
			if (!last && i + 1 == n)
				return NVME_FAIL(NVME_INVALID_SGL_SEGMENT);
			status = add_block(w, at);
		} else if (at->type != NVME_SGL_SEGMENT &&
			   at->type != NVME_SGL_LAST_SEGMENT) {
			return NVME_FAIL(NVME_SGL_TYPE_INVALID);
		} else if (last || i + 1 < n) {
			return NVME_FAIL(NVME_INVALID_SGL_SEGMENT);
		}
	}
	return status;
}

static uint16_t walk_sgl(struct walk *w, struct nvme_sgl_descriptor at)
{
	unsigned int budget = NVME_MAX_PIECES;
	uint16_t status = NVME_SUCCESS;

	if (at.type == NVME_SGL_DATA_BLOCK)
		status = add_block(w, &at);
	else if (at.type != NVME_SGL_SEGMENT &&
		 at.type != NVME_SGL_LAST_SEGMENT)
		status = NVME_FAIL(NVME_SGL_TYPE_INVALID);
	while (!status && at.type != NVME_SGL_DATA_BLOCK)
		status = walk_segment(w, &at, &budget);
	if (!status && w->left)
		status = NVME_FAIL(NVME_SGL_LENGTH_INVALID);
	return status;
}

/* ---- both ---- */

/* A fault: so many bytes less, from the end. */
static void shorten(struct nvme_controller *c, uint32_t bytes)
{
	while (bytes && c->nr_pieces) {
		struct nvme_piece *p = &c->piece[c->nr_pieces - 1];
		uint32_t n = bytes < p->len ? bytes : p->len;

		p->len -= n;
		bytes -= n;
		c->nr_pieces -= !p->len;
	}
}

static uint16_t map(struct nvme_controller *c, const struct nvme_command *cmd,
		    uint32_t len, enum nvme_data kind)
{
	struct walk w = { .c = c, .left = len, .kind = kind };
	unsigned int psdt = cmd->flags & NVME_PSDT_MASK;

	c->nr_pieces = 0;
	if (!psdt) {
		if (kind != NVME_DATA_ADMIN)
			NVME_COUNT(c, prp_commands, 1);
		return walk_prps(&w, le64_to_cpu(cmd->prp1),
				 le64_to_cpu(cmd->prp2));
	}
	/* Admin commands have no SGLs on PCI Express (base 4.1.2). */
	if (psdt == NVME_PSDT_RESERVED || !c->config.sgl ||
	    kind == NVME_DATA_ADMIN)
		return NVME_FAIL(NVME_INVALID_FIELD);
	NVME_COUNT(c, sgl_commands, 1);
	return walk_sgl(&w, cmd->sgl);
}

uint16_t nvme_data_map(struct nvme_controller *c,
		       const struct nvme_command *cmd, uint32_t len,
		       enum nvme_data kind)
{
	uint16_t status = map(c, cmd, len, kind);

	if (!status && c->fault.shorten)
		shorten(c, len - len / 2);
	return status;
}

void nvme_data_to_host(struct nvme_controller *c, const void *from)
{
	const uint8_t *at = from;

	for (unsigned int i = 0; i < c->nr_pieces; i++) {
		memcpy(c->piece[i].host, at, c->piece[i].len);
		at += c->piece[i].len;
	}
}

void nvme_data_from_host(struct nvme_controller *c, void *to)
{
	uint8_t *at = to;

	for (unsigned int i = 0; i < c->nr_pieces; i++) {
		memcpy(at, c->piece[i].host, c->piece[i].len);
		at += c->piece[i].len;
	}
}
