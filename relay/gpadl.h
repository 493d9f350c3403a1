/* SPDX-License-Identifier: MIT */
/*
 * GPADLs: lists of guest pages that a client describes once and then names.
 *
 * A GPADL belongs to one channel and is put together from several messages.
 * It is nothing but checked numbers; guest memory is touched, and held, only
 * when a ring is mapped from it (gpadl_map_ring()): clients clear their rings
 * after the GPADL was made and before they open the channel.
 *
 * Limits: a GPADL has at most 8191 words (its length field has 16 bits), a
 * channel at most GPADL_MAX_PER_CHANNEL of them with GPADL_MAX_WORDS in all,
 * and all channels together GPADL_MAX_TOTAL with GPADL_MAX_TOTAL_WORDS.
 *
 * Threads: the server's reactor. Errors: -errno, with the rule in a refusal,
 * whose offset counts in the message, or in the words (then 8 * index).
 */
#ifndef RELAY_GPADL_H
#define RELAY_GPADL_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>

#include "refusal.h"
#include "ring.h"

#define GPADL_MAX_PER_CHANNEL 64
#define GPADL_MAX_WORDS 32768 /* 128 MiB of pages, 256 KiB of ours */
#define GPADL_MAX_TOTAL 8192
#define GPADL_MAX_TOTAL_WORDS (512u * 1024) /* 2 GiB of pages, 4 MiB of ours */

struct gpadl {
	struct gpadl *next;	    /* of its channel */
	struct gpadl *next_partial; /* incomplete ones of all channels */
	uint32_t channel, id;
	uint16_t range_count;
	uint16_t nr_words, filled;
	uint16_t users; /* a ring mapped from it, devices */
	bool complete;	/* checked, and the client was told */
	bool teardown;	/* the client wants it gone: answered at no users */
	bool asked;	/* relayed: all words are there, an answer is awaited */
	uint64_t word[];
};

struct gpadl_total {
	uint32_t count, words;
};

/* The GPADLs of one channel. Zero is a valid empty set. */
struct gpadl_set {
	struct gpadl *first;
	uint32_t count, words;
	struct gpadl_total *total; /* of all channels; NULL = not limited */
};

/*
 * A new incomplete GPADL of `range_bytes` / 8 words. -EINVAL: lengths break a
 * rule; -EEXIST: the id is taken in this set; -ENOSPC: limits; -ENOMEM.
 */
int gpadl_begin(struct gpadl_set *set, uint32_t id, uint16_t range_bytes,
		uint16_t range_count, struct gpadl **out,
		struct refusal *refusal);
/* Appends `n` little-endian words, aligned or not; those too many are ignored.
 * True when none is missing. */
bool gpadl_add(struct gpadl *gpadl, const void *words, unsigned int n);
/* Are the words what `range_count` says, and all pages in `memory`? 0, -EINVAL
 * or -EFAULT. */
int gpadl_check(const struct gpadl *gpadl, const struct guest_memory *memory,
		struct refusal *refusal);

struct gpadl *gpadl_find(const struct gpadl_set *set, uint32_t id);
/* Takes it out of the set and frees it; it must have no users. */
void gpadl_remove(struct gpadl_set *set, struct gpadl *gpadl);

/* The two rings of an open channel, as holds of single pages. */
struct gpadl_ring {
	struct gpadl *gpadl;
	struct guest_hold *pages; /* owned */
	uint32_t nr_pages;
	struct ring_half first, second;
};

/*
 * Maps a complete GPADL of one range of whole pages as two rings, the second
 * from page `split` on. -EINVAL: the GPADL or `split` does not allow it;
 * -ENOMEM. The GPADL has a user until gpadl_unmap_ring().
 */
int gpadl_map_ring(struct gpadl *gpadl, struct guest_memory *memory,
		   uint32_t split, struct gpadl_ring *ring,
		   struct refusal *refusal);
void gpadl_unmap_ring(struct gpadl_ring *ring, struct guest_memory *memory);

#endif
