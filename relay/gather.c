/* SPDX-License-Identifier: MIT */
/*
 * Gather, theory of operation
 *
 * Owns a list of checked ranges. A place is a piece and an offset in it, so
 * that a reader who goes forward pays for each piece once.
 *
 * Threads: none of its own. Failure answers: gather_add() says no.
 */
#include <pv/log.h>

#include "gather.h"

void gather_reset(struct gather *gather, const struct guest_memory *memory)
{
	gather->memory = memory;
	gather->nr = 0;
	gather->bytes = 0;
}

bool gather_add(struct gather *gather, uint64_t gpa, uint32_t len)
{
	struct gpa_range range = { .gpa = gpa, .len = len };

	if (!len)
		return true;
	if (gather->nr) {
		struct gpa_range *last = &gather->piece[gather->nr - 1];
		struct gpa_range joined = { last->gpa, last->len + len };

		if (last->gpa + last->len == gpa &&
		    guest_memory_good(gather->memory, joined)) {
			last->len += len;
			gather->bytes += len;
			return true;
		}
	}
	if (gather->nr == GATHER_MAX_PIECES ||
	    !guest_memory_good(gather->memory, range))
		return false;
	gather->piece[gather->nr++] = range;
	gather->bytes += len;
	return true;
}

void gather_skip(const struct gather *gather, struct gather_at *at,
		 uint32_t len)
{
	while (len) {
		uint32_t left;

		pv_bug(at->piece >= gather->nr, at->piece, gather->nr);
		left = gather->piece[at->piece].len - at->offset;
		if (len < left) {
			at->offset += len;
			return;
		}
		len -= left;
		at->piece++;
		at->offset = 0;
	}
}

void gather_read(const struct gather *gather, struct gather_at at, void *to,
		 uint32_t len)
{
	uint8_t *out = to;

	while (len) {
		const struct gpa_range *piece = &gather->piece[at.piece];
		uint32_t n;
		int err;

		pv_bug(at.piece >= gather->nr, at.piece, gather->nr);
		n = piece->len - at.offset;
		if (n > len)
			n = len;
		err = guest_memory_read(gather->memory, piece->gpa + at.offset,
					out, n);
		pv_bug(err, piece->gpa, n); /* was checked */
		out += n;
		len -= n;
		at.piece++;
		at.offset = 0;
	}
}

unsigned int gather_ranges(const struct gather *gather, struct gather_at at,
			   uint32_t len, struct gpa_range *ranges,
			   unsigned int max)
{
	unsigned int nr = 0;

	for (; len; nr++, at.piece++, at.offset = 0) {
		const struct gpa_range *piece = &gather->piece[at.piece];
		uint32_t n;

		pv_bug(at.piece >= gather->nr, at.piece, gather->nr);
		if (nr == max)
			return max + 1;
		n = piece->len - at.offset;
		if (n > len)
			n = len;
		ranges[nr] = (struct gpa_range){ piece->gpa + at.offset, n };
		len -= n;
	}
	return nr;
}
