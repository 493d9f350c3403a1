// SPDX-License-Identifier: MIT
/*
 * GPADLs of two channels that share one limit, and rings made of them.
 *
 * Input: steps, each a byte that chooses and what the step needs: begin a
 * GPADL, add words to one, check it, map rings from it, unmap, remove.
 *
 * It must hold that a refusal names its rule; that what passes the check names
 * guest RAM only; that the counts are those of the GPADLs there are; and that
 * in the end nothing is held and nothing counted.
 */
#include <errno.h>
#include <string.h>

#include "relay/gpadl.h"
#include "test/fuzz/fuzz.h"

#define LOW_PAGES 16
#define HIGH_PFN 0x100000ull
#define MAX_STEPS 96
#define MAX_RINGS 4

static _Alignas(4096) uint8_t low[LOW_PAGES * 4096], high[4096];
static struct guest_memory memory;
static struct gpadl_total total;
static struct gpadl_set set[2];
static struct gpadl_ring ring[MAX_RINGS]; /* gpadl == NULL: not mapped */

static void check_refusal(const struct refusal *refusal, int err)
{
	fuzz_expect(err < 0 && refusal->rule && *refusal->rule, err, 0);
}

static void check_counts(void)
{
	uint32_t all = 0, all_words = 0;

	for (int i = 0; i < 2; i++) {
		uint32_t n = 0, words = 0;

		for (struct gpadl *g = set[i].first; g; g = g->next) {
			n++;
			words += g->nr_words;
			fuzz_expect(g->filled <= g->nr_words, g->filled,
				    g->nr_words);
		}
		fuzz_expect(n == set[i].count, n, set[i].count);
		fuzz_expect(words == set[i].words, words, set[i].words);
		all += n;
		all_words += words;
	}
	fuzz_expect(all == total.count, all, total.count);
	fuzz_expect(all_words == total.words, all_words, total.words);
}

static struct gpadl *choose(struct fuzz_input *in, struct gpadl_set **of)
{
	uint8_t byte = (uint8_t)fuzz_number(in, 1);

	*of = &set[byte >> 7];
	return gpadl_find(*of, byte & 0x7f);
}

static void begin(struct fuzz_input *in)
{
	struct gpadl_set *to = &set[fuzz_number(in, 1) % 2];
	uint32_t id = fuzz_number(in, 1) % 128;
	uint16_t bytes = (uint16_t)fuzz_number(in, 2);
	uint16_t ranges = (uint16_t)fuzz_number(in, 2);
	struct refusal refusal = { 0, 0, NULL };
	struct gpadl *gpadl = NULL;
	bool taken = gpadl_find(to, id);
	int err = gpadl_begin(to, id, bytes, ranges, &gpadl, &refusal);

	fuzz_expect(!taken || err, id, 0);
	if (err)
		check_refusal(&refusal, err);
	else
		fuzz_expect(gpadl == gpadl_find(to, id) && gpadl->id == id,
			    id, 0);
}

static void add(struct fuzz_input *in)
{
	struct gpadl_set *of;
	struct gpadl *gpadl = choose(in, &of);
	size_t size;
	const uint8_t *words = fuzz_rest(in, fuzz_number(in, 1) % 29 * 8,
					 &size);
	bool all;

	if (!gpadl || gpadl->complete)
		return;
	all = gpadl_add(gpadl, words, (unsigned int)(size / 8));
	fuzz_expect(all == (gpadl->filled == gpadl->nr_words), gpadl->filled,
		    gpadl->nr_words);
}

static void check(struct fuzz_input *in)
{
	struct gpadl_set *of;
	struct gpadl *gpadl = choose(in, &of);
	struct refusal refusal = { 0, 0, NULL };
	unsigned int at = 0;
	int err;

	if (!gpadl || gpadl->complete || gpadl->filled < gpadl->nr_words)
		return;
	err = gpadl_check(gpadl, &memory, &refusal);
	if (err) {
		check_refusal(&refusal, err);
		gpadl_remove(of, gpadl);
		return;
	}
	gpadl->complete = true;
	fuzz_accept();
	for (unsigned int i = 0; i < gpadl->range_count; i++) {
		uint64_t bytes = (uint32_t)gpadl->word[at];
		uint64_t offset = gpadl->word[at++] >> 32;

		for (uint64_t page = 0; page < offset + bytes; page += 4096) {
			struct gpa_range range = { gpadl->word[at] << 12,
						   4096 };

			fuzz_expect(at < gpadl->nr_words &&
				    gpadl->word[at] < 1ull << 52 &&
				    guest_memory_good(&memory, range), at,
				    range.gpa);
			at++;
		}
	}
	fuzz_expect(at == gpadl->nr_words, at, gpadl->nr_words);
}

static void map(struct fuzz_input *in)
{
	struct gpadl_set *of;
	struct gpadl *gpadl = choose(in, &of);
	uint32_t split = (uint32_t)fuzz_number(in, 1);
	uint64_t holds = memory.holds;
	struct refusal refusal = { 0, 0, NULL };
	struct gpadl_ring *to = ring;
	int err;

	while (to < ring + MAX_RINGS && to->gpadl)
		to++;
	if (!gpadl || !gpadl->complete || to == ring + MAX_RINGS)
		return;
	err = gpadl_map_ring(gpadl, &memory, split ? split : UINT32_MAX, to,
			     &refusal);
	if (err) {
		check_refusal(&refusal, err);
		fuzz_expect(memory.holds == holds, memory.holds, holds);
		*to = (struct gpadl_ring){ NULL, NULL, 0, { NULL, 0 },
					   { NULL, 0 } };
		return;
	}
	fuzz_expect(memory.holds == holds + to->nr_pages, memory.holds, holds);
	fuzz_expect(to->first.size && to->second.size &&
		    to->first.size / 4096 + to->second.size / 4096 + 2 ==
			    to->nr_pages &&
		    to->second.pages == to->pages + split, to->first.size,
		    to->second.size);
	for (uint32_t i = 0; i < to->nr_pages; i++)
		fuzz_expect(to->pages[i].va && to->pages[i].len == 4096, i,
			    to->pages[i].len);
}

static void unmap(unsigned int i)
{
	if (ring[i].gpadl)
		gpadl_unmap_ring(&ring[i], &memory);
	fuzz_expect(!ring[i].gpadl && !ring[i].pages, i, 0);
}

static void remove_one(struct fuzz_input *in)
{
	struct gpadl_set *of;
	struct gpadl *gpadl = choose(in, &of);

	if (gpadl && !gpadl->users)
		gpadl_remove(of, gpadl);
}

static void begin_input(void)
{
	memset(&total, 0, sizeof(total));
	set[0] = set[1] = (struct gpadl_set){ .total = &total };
	if (memory.nr_ranges)
		return;
	fuzz_expect(!guest_memory_add(&memory, 0, sizeof(low), low), 0, 0);
	fuzz_expect(!guest_memory_add(&memory, HIGH_PFN << 12, sizeof(high),
				      high), 0, 0);
}

static void end_input(void)
{
	for (unsigned int i = 0; i < MAX_RINGS; i++)
		unmap(i);
	for (int i = 0; i < 2; i++)
		while (set[i].first)
			gpadl_remove(&set[i], set[i].first);
	check_counts();
	fuzz_expect(!total.count && !memory.holds, total.count, memory.holds);
}

void fuzz_one(struct fuzz_input *in)
{
	begin_input();
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++) {
		switch (fuzz_number(in, 1) % 6) {
		case 0:
			begin(in);
			break;
		case 1:
			add(in);
			break;
		case 2:
			check(in);
			break;
		case 3:
			map(in);
			break;
		case 4:
			unmap(fuzz_number(in, 1) % MAX_RINGS);
			break;
		case 5:
			remove_one(in);
			break;
		}
		check_counts();
	}
	end_input();
}
