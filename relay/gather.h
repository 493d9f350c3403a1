/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a guest that lie in pieces: put together once, then read and cut.
 *
 * Every piece is checked to be guest RAM when it is added, and adjacent ones
 * become one. What is read is a copy; nothing is written.
 *
 * Threads: as its owner. Nothing allocates.
 */
#ifndef RELAY_GATHER_H
#define RELAY_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>

#include "ring.h"

/* A page list in the longest packet, and a section of a few pages. */
#define GATHER_MAX_PIECES (RING_MAX_PACKET / 8 + 4)

struct gather {
	const struct guest_memory *memory;
	uint32_t nr, bytes;
	struct gpa_range piece[GATHER_MAX_PIECES];
};

/* A place in it. Zero is the beginning. */
struct gather_at {
	uint32_t piece, offset;
};

void gather_reset(struct gather *gather, const struct guest_memory *memory);
/* Adds up to a page. False: no guest RAM, or too many pieces. */
bool gather_add(struct gather *gather, uint64_t gpa, uint32_t len);
/* Moves `len` bytes on; they must be there (a bug of ours if not). */
void gather_skip(const struct gather *gather, struct gather_at *at,
		 uint32_t len);
/* Copies `len` bytes from a place; they must be there. */
void gather_read(const struct gather *gather, struct gather_at at, void *to,
		 uint32_t len);
/* The ranges of `len` bytes from a place, which must be there: how many, or
 * max + 1 when there are more. */
unsigned int gather_ranges(const struct gather *gather, struct gather_at at,
			   uint32_t len, struct gpa_range *ranges,
			   unsigned int max);

#endif
