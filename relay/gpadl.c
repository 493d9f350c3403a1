/* SPDX-License-Identifier: MIT */
/*
 * GPADLs, theory of operation
 *
 * Owns the words of each GPADL, in one allocation of the size its first
 * message announced, which the limits bound before anything is allocated.
 *
 *	gpadl_begin()  gpadl_add()  gpadl_check()
 *	  --> incomplete --+--> all words --> complete --> removed
 *	                 ^-+            \--> removed (refused)
 *
 * The rules of the words are checked when all are there, on our copy: a range
 * has bytes, begins in its first page and is followed by exactly the pages it
 * touches; the ranges use up all words. Pages must be guest RAM. RAM does not
 * change while the guest runs, so what was checked here can be held later.
 *
 * Threads: the server's reactor. Failure answers: the caller removes what was
 * refused; mapping undoes itself.
 */
#include <errno.h>
#include <stdlib.h>

#include <pv/log.h>

#include "gpadl.h"
#include "vmbus_reg.h"

#define WORD_SIZE 8u
/* A page number above this has no address. */
#define MAX_PAGE_NUMBER (UINT64_MAX >> GUEST_PAGE_SHIFT)

static int refuse(struct refusal *refusal, int err, uint32_t offset,
		  uint64_t value, const char *rule)
{
	*refusal = (struct refusal){ offset, value, rule };
	return err;
}

static void count(struct gpadl_set *set, int32_t gpadls, int32_t words)
{
	set->count += (uint32_t)gpadls;
	set->words += (uint32_t)words;
	if (!set->total)
		return;
	set->total->count += (uint32_t)gpadls;
	set->total->words += (uint32_t)words;
}

int gpadl_begin(struct gpadl_set *set, uint32_t id, uint16_t range_bytes,
		uint16_t range_count, struct gpadl **out,
		struct refusal *refusal)
{
	uint32_t id_at = offsetof(struct vmbus_gpadl_header, gpadl);
	uint32_t bytes_at = offsetof(struct vmbus_gpadl_header, range_bytes);
	uint32_t count_at = offsetof(struct vmbus_gpadl_header, range_count);
	uint16_t nr_words = range_bytes / WORD_SIZE;
	struct gpadl_total *total = set->total;
	struct gpadl *gpadl;

	if (range_bytes % WORD_SIZE)
		return refuse(refusal, -EINVAL, bytes_at, range_bytes,
			      "vmbus.gpadl.length");
	if (!range_count)
		return refuse(refusal, -EINVAL, count_at, 0,
			      "vmbus.gpadl.range-count");
	if (nr_words < 2 * range_count)
		return refuse(refusal, -EINVAL, bytes_at, range_bytes,
			      "vmbus.gpadl.range-short");
	if (gpadl_find(set, id))
		return refuse(refusal, -EEXIST, id_at, id,
			      "vmbus.gpadl.id-in-use");
	if (set->count == GPADL_MAX_PER_CHANNEL)
		return refuse(refusal, -ENOSPC, id_at, id,
			      "vmbus.gpadl.channel-count");
	if (nr_words > GPADL_MAX_WORDS - set->words)
		return refuse(refusal, -ENOSPC, bytes_at, range_bytes,
			      "vmbus.gpadl.channel-pages");
	if (total && total->count == GPADL_MAX_TOTAL)
		return refuse(refusal, -ENOSPC, id_at, id,
			      "vmbus.gpadl.total-count");
	if (total && nr_words > GPADL_MAX_TOTAL_WORDS - total->words)
		return refuse(refusal, -ENOSPC, bytes_at, range_bytes,
			      "vmbus.gpadl.total-pages");
	gpadl = calloc(1, sizeof(*gpadl) + nr_words * sizeof(gpadl->word[0]));
	if (!gpadl)
		return refuse(refusal, -ENOMEM, bytes_at, range_bytes,
			      "vmbus.gpadl.memory");
	gpadl->id = id;
	gpadl->range_count = range_count;
	gpadl->nr_words = nr_words;
	gpadl->next = set->first;
	set->first = gpadl;
	count(set, 1, nr_words);
	*out = gpadl;
	return 0;
}

bool gpadl_add(struct gpadl *gpadl, const void *words, unsigned int n)
{
	const uint8_t *from = words;

	for (; n && gpadl->filled < gpadl->nr_words; n--, from += WORD_SIZE) {
		le64 word;

		memcpy(&word, from, sizeof(word));
		gpadl->word[gpadl->filled++] = le64_to_cpu(word);
	}
	return gpadl->filled == gpadl->nr_words;
}

static uint32_t range_bytes(uint64_t word)
{
	return word >> VMBUS_GPADL_RANGE_COUNT_SHIFT;
}

static uint32_t range_offset(uint64_t word)
{
	return word >> VMBUS_GPADL_RANGE_OFFSET_SHIFT;
}

static int check_pages(const struct gpadl *gpadl, unsigned int at,
		       uint64_t pages, const struct guest_memory *memory,
		       struct refusal *refusal)
{
	for (; pages; pages--, at++) {
		struct gpa_range page = {
			.gpa = gpadl->word[at] << GUEST_PAGE_SHIFT,
			.len = GUEST_PAGE_SIZE,
		};

		if (gpadl->word[at] > MAX_PAGE_NUMBER ||
		    !guest_memory_good(memory, page))
			return refuse(refusal, -EFAULT, at * WORD_SIZE,
				      gpadl->word[at], "vmbus.gpadl.page");
	}
	return 0;
}

int gpadl_check(const struct gpadl *gpadl, const struct guest_memory *memory,
		struct refusal *refusal)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < gpadl->range_count; i++) {
		uint64_t range, pages;
		int err;

		if (at == gpadl->nr_words)
			return refuse(refusal, -EINVAL, at * WORD_SIZE, i,
				      "vmbus.gpadl.ranges-missing");
		range = gpadl->word[at];
		if (!range_bytes(range))
			return refuse(refusal, -EINVAL, at * WORD_SIZE, range,
				      "vmbus.gpadl.range-empty");
		if (range_offset(range) >= GUEST_PAGE_SIZE)
			return refuse(refusal, -EINVAL, at * WORD_SIZE, range,
				      "vmbus.gpadl.range-offset");
		pages = ((uint64_t)range_offset(range) + range_bytes(range) +
			 GUEST_PAGE_SIZE - 1) >> GUEST_PAGE_SHIFT;
		at++;
		if (pages > gpadl->nr_words - at)
			return refuse(refusal, -EINVAL, (at - 1) * WORD_SIZE,
				      range, "vmbus.gpadl.pages-missing");
		err = check_pages(gpadl, at, pages, memory, refusal);
		if (err)
			return err;
		at += pages;
	}
	if (at != gpadl->nr_words)
		return refuse(refusal, -EINVAL, at * WORD_SIZE,
			      gpadl->word[at], "vmbus.gpadl.pages-extra");
	return 0;
}

struct gpadl *gpadl_find(const struct gpadl_set *set, uint32_t id)
{
	struct gpadl *gpadl = set->first;

	while (gpadl && gpadl->id != id)
		gpadl = gpadl->next;
	return gpadl;
}

void gpadl_remove(struct gpadl_set *set, struct gpadl *gpadl)
{
	struct gpadl **at = &set->first;

	pv_bug(gpadl->users, gpadl->users, gpadl->id);
	while (*at != gpadl)
		at = &(*at)->next;
	*at = gpadl->next;
	count(set, -1, -(int32_t)gpadl->nr_words);
	free(gpadl);
}

static int check_ring(const struct gpadl *gpadl, uint32_t split,
		      struct refusal *refusal)
{
	uint32_t gpadl_at = offsetof(struct vmbus_open_channel, gpadl);
	uint32_t split_at = offsetof(struct vmbus_open_channel,
				     downstream_page);
	uint32_t nr_pages = gpadl->nr_words - 1u;

	if (gpadl->range_count != 1)
		return refuse(refusal, -EINVAL, gpadl_at, gpadl->range_count,
			      "vmbus.ring.ranges");
	if (range_offset(gpadl->word[0]) ||
	    range_bytes(gpadl->word[0]) % GUEST_PAGE_SIZE)
		return refuse(refusal, -EINVAL, gpadl_at, gpadl->word[0],
			      "vmbus.ring.whole-pages");
	if (split < 2 || nr_pages < 4 || split > nr_pages - 2)
		return refuse(refusal, -EINVAL, split_at, split,
			      "vmbus.ring.split");
	return 0;
}

int gpadl_map_ring(struct gpadl *gpadl, struct guest_memory *memory,
		   uint32_t split, struct gpadl_ring *ring,
		   struct refusal *refusal)
{
	int err = check_ring(gpadl, split, refusal);

	if (err)
		return err;
	*ring = (struct gpadl_ring){ .gpadl = gpadl };
	ring->pages = calloc(gpadl->nr_words - 1u, sizeof(ring->pages[0]));
	if (!ring->pages)
		return refuse(refusal, -ENOMEM, 0, gpadl->nr_words,
			      "vmbus.ring.memory");
	for (unsigned int i = 0; i < gpadl->nr_words - 1u; i++) {
		struct gpa_range page = {
			.gpa = gpadl->word[1 + i] << GUEST_PAGE_SHIFT,
			.len = GUEST_PAGE_SIZE,
		};

		err = guest_memory_hold(memory, page, &ring->pages[i]);
		pv_bug(err, page.gpa, gpadl->id);
	}
	ring->nr_pages = gpadl->nr_words - 1u;
	ring->first.pages = ring->pages;
	ring->first.size = (split - 1) * GUEST_PAGE_SIZE;
	ring->second.pages = ring->pages + split;
	ring->second.size = (ring->nr_pages - split - 1) * GUEST_PAGE_SIZE;
	gpadl->users++;
	return 0;
}

void gpadl_unmap_ring(struct gpadl_ring *ring, struct guest_memory *memory)
{
	for (uint32_t i = 0; i < ring->nr_pages; i++)
		guest_memory_drop(memory, &ring->pages[i]);
	free(ring->pages);
	ring->gpadl->users--;
	*ring = (struct gpadl_ring){ 0 };
}
