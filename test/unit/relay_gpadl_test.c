/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/gpadl.c paravisor/guest_memory.c paravisor/log.c */
/*
 * GPADLs: which lists of pages are good, and what a channel may have of them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/gpadl.h"

#define PAGES 16
#define HIGH_PFN 0x100000ull
#define RANGE(bytes, offset) ((uint64_t)(offset) << 32 | (bytes))
#define ID 0xe1e10

static _Alignas(4096) uint8_t low[PAGES * 4096], high[4096];

static struct guest_memory ram(void)
{
	struct guest_memory gm = { 0 };

	assert_int_equal(guest_memory_add(&gm, 0, sizeof(low), low), 0);
	assert_int_equal(guest_memory_add(&gm, HIGH_PFN << 12, sizeof(high),
					  high), 0);
	return gm;
}

/* Makes a GPADL of these words; NULL with the refusal when it is refused. */
static struct gpadl *make(struct gpadl_set *set, struct guest_memory *gm,
			  uint32_t id, uint16_t ranges, const uint64_t *word,
			  unsigned int n, struct refusal *refusal)
{
	struct gpadl *gpadl;

	if (gpadl_begin(set, id, n * 8, ranges, &gpadl, refusal))
		return NULL;
	assert_true(gpadl_add(gpadl, word, n));
	if (gpadl_check(gpadl, gm, refusal)) {
		gpadl_remove(set, gpadl);
		return NULL;
	}
	gpadl->complete = true;
	return gpadl;
}

static void clear(struct gpadl_set *set)
{
	while (set->first)
		gpadl_remove(set, set->first);
	assert_int_equal(set->count, 0);
	assert_int_equal(set->words, 0);
}

static void good_ranges(void **state)
{
	static const struct {
		uint16_t ranges;
		unsigned int n;
		uint64_t word[8];
	} good[] = {
		{ 1, 2, { RANGE(1, 0), 0 } },
		{ 1, 2, { RANGE(1, 4095), 15 } },
		{ 1, 2, { RANGE(4096, 0), HIGH_PFN } },
		{ 1, 3, { RANGE(2, 4095), 3, 3 } },
		{ 1, 3, { RANGE(4096, 1), 5, HIGH_PFN } },
		{ 2, 5, { RANGE(8192, 0), 1, 2, RANGE(100, 200), 0 } },
	};
	struct guest_memory gm = ram();
	struct gpadl_set set = { 0 };
	struct refusal refusal;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_non_null(make(&set, &gm, i, good[i].ranges,
				     good[i].word, good[i].n, &refusal));
	clear(&set);
}

static void bad_ranges(void **state)
{
	static const struct {
		uint16_t ranges;
		unsigned int n;
		uint64_t word[8];
		uint32_t offset;
		const char *rule;
	} bad[] = {
		{ 0, 2, { RANGE(1, 0), 0 }, 18, "vmbus.gpadl.range-count" },
		{ 1, 0, { 0 }, 16, "vmbus.gpadl.range-short" },
		{ 1, 1, { RANGE(1, 0) }, 16, "vmbus.gpadl.range-short" },
		{ 2, 3, { RANGE(1, 0), 0, 0 }, 16, "vmbus.gpadl.range-short" },
		{ 0xffff, 8, { 0 }, 16, "vmbus.gpadl.range-short" },
		{ 1, 2, { RANGE(0, 0), 0 }, 0, "vmbus.gpadl.range-empty" },
		{ 1, 2, { RANGE(0, 8), 0 }, 0, "vmbus.gpadl.range-empty" },
		{ 1, 2, { RANGE(1, 4096), 0 }, 0, "vmbus.gpadl.range-offset" },
		{ 1, 2, { RANGE(1, UINT32_MAX), 0 }, 0,
		  "vmbus.gpadl.range-offset" },
		{ 1, 2, { RANGE(4097, 0), 0 }, 0, "vmbus.gpadl.pages-missing" },
		{ 1, 2, { RANGE(4096, 1), 0 }, 0, "vmbus.gpadl.pages-missing" },
		{ 1, 2, { RANGE(UINT32_MAX, 4095), 0 }, 0,
		  "vmbus.gpadl.pages-missing" },
		{ 1, 3, { RANGE(4096, 0), 0, 1 }, 16,
		  "vmbus.gpadl.pages-extra" },
		{ 2, 4, { RANGE(8193, 0), 0, 1, 2 }, 32,
		  "vmbus.gpadl.ranges-missing" },
		{ 1, 2, { RANGE(1, 0), PAGES }, 8, "vmbus.gpadl.page" },
		{ 1, 3, { RANGE(8192, 0), 0, HIGH_PFN + 1 }, 16,
		  "vmbus.gpadl.page" },
		{ 1, 2, { RANGE(1, 0), UINT64_MAX }, 8, "vmbus.gpadl.page" },
		/* Its address would wrap to page 1. */
		{ 1, 2, { RANGE(1, 0), 1ull << 52 | 1 }, 8,
		  "vmbus.gpadl.page" },
	};
	struct guest_memory gm = ram();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gpadl_set set = { 0 };
		struct refusal refusal = { 0 };

		assert_null(make(&set, &gm, ID, bad[i].ranges, bad[i].word,
				 bad[i].n, &refusal));
		assert_string_equal(refusal.rule, bad[i].rule);
		assert_int_equal(refusal.offset, bad[i].offset);
		clear(&set);
	}
}

static void lengths_and_ids(void **state)
{
	struct gpadl_set set = { 0 };
	struct refusal refusal;
	struct gpadl *gpadl;

	(void)state;
	assert_int_equal(gpadl_begin(&set, ID, 17, 1, &gpadl, &refusal),
			 -EINVAL);
	assert_int_equal(gpadl_begin(&set, ID, 16, 1, &gpadl, &refusal), 0);
	assert_int_equal(gpadl_begin(&set, ID, 16, 1, &gpadl, &refusal),
			 -EEXIST);
	assert_ptr_equal(gpadl_find(&set, ID), set.first);
	assert_null(gpadl_find(&set, ID + 1));
	clear(&set);
}

static void words_come_in_pieces(void **state)
{
	uint64_t word[4] = { RANGE(8192, 0), 5, 7, 99 };
	uint8_t unaligned[sizeof(word) + 1];
	struct guest_memory gm = ram();
	struct gpadl_set set = { 0 };
	struct refusal refusal;
	struct gpadl *gpadl;

	(void)state;
	memcpy(unaligned + 1, word, sizeof(word));
	assert_int_equal(gpadl_begin(&set, ID, 24, 1, &gpadl, &refusal), 0);
	assert_false(gpadl_add(gpadl, unaligned + 1, 0));
	assert_false(gpadl_add(gpadl, unaligned + 1, 1));
	/* The last word is one too many. */
	assert_true(gpadl_add(gpadl, unaligned + 9, 3));
	assert_true(gpadl_add(gpadl, unaligned + 1, 4));
	assert_int_equal(gpadl_check(gpadl, &gm, &refusal), 0);
	assert_memory_equal(gpadl->word, word, 24);
	clear(&set);
}

static void a_channel_has_limits(void **state)
{
	struct gpadl_set set = { 0 };
	struct refusal refusal;
	struct gpadl *gpadl;
	uint32_t id = 0;

	(void)state;
	while (id < GPADL_MAX_PER_CHANNEL)
		assert_int_equal(gpadl_begin(&set, id++, 16, 1, &gpadl,
					     &refusal), 0);
	assert_int_equal(gpadl_begin(&set, id, 16, 1, &gpadl, &refusal),
			 -ENOSPC);
	gpadl_remove(&set, gpadl_find(&set, 5));
	assert_int_equal(gpadl_begin(&set, id, 16, 1, &gpadl, &refusal), 0);
	clear(&set);

	for (id = 0; id < GPADL_MAX_WORDS / 8191; id++)
		assert_int_equal(gpadl_begin(&set, id, 65528, 1, &gpadl,
					     &refusal), 0);
	assert_int_equal(gpadl_begin(&set, id, 65528, 1, &gpadl, &refusal),
			 -ENOSPC);
	assert_in_range(set.words, 1, GPADL_MAX_WORDS);
	clear(&set);
}

static void all_channels_have_limits(void **state)
{
	enum { CHANNELS = GPADL_MAX_TOTAL / GPADL_MAX_PER_CHANNEL };
	static struct gpadl_set set[CHANNELS + 1];
	struct gpadl_total total = { 0 };
	struct refusal refusal;
	struct gpadl *gpadl;

	(void)state;
	for (unsigned int i = 0; i <= CHANNELS; i++)
		set[i].total = &total;
	for (uint32_t id = 0; id < GPADL_MAX_TOTAL; id++)
		assert_int_equal(gpadl_begin(&set[id % CHANNELS], id, 16, 1,
					     &gpadl, &refusal), 0);
	assert_int_equal(gpadl_begin(&set[CHANNELS], 0, 16, 1, &gpadl,
				     &refusal), -ENOSPC);
	assert_string_equal(refusal.rule, "vmbus.gpadl.total-count");
	gpadl_remove(&set[3], gpadl_find(&set[3], 3));
	assert_int_equal(gpadl_begin(&set[CHANNELS], 0, 16, 1, &gpadl,
				     &refusal), 0);
	for (unsigned int i = 0; i <= CHANNELS; i++)
		clear(&set[i]);
	assert_int_equal(total.count + total.words, 0);

	for (uint32_t id = 0; id < GPADL_MAX_TOTAL_WORDS / 8191; id++)
		assert_int_equal(gpadl_begin(&set[id / 4], id, 65528, 1,
					     &gpadl, &refusal), 0);
	assert_int_equal(gpadl_begin(&set[CHANNELS], 0, 65528, 1, &gpadl,
				     &refusal), -ENOSPC);
	assert_string_equal(refusal.rule, "vmbus.gpadl.total-pages");
	assert_in_range(total.words, 1, GPADL_MAX_TOTAL_WORDS);
	for (unsigned int i = 0; i <= CHANNELS; i++)
		clear(&set[i]);
	assert_int_equal(total.count + total.words, 0);
}

static void rings_are_mapped(void **state)
{
	static const uint64_t word[] = { RANGE(6 * 4096, 0), 9, 3, HIGH_PFN,
					 1, 0, 12 };
	struct guest_memory gm = ram();
	struct gpadl_set set = { 0 };
	struct gpadl_ring ring;
	struct refusal refusal;
	struct gpadl *gpadl = make(&set, &gm, ID, 1, word, 7, &refusal);
	static const uint32_t bad_split[] = { 0, 1, 5, 6, 7, UINT32_MAX };
	uint8_t byte = 0x5a;

	(void)state;
	assert_non_null(gpadl);
	for (size_t i = 0; i < sizeof(bad_split) / sizeof(bad_split[0]); i++) {
		assert_int_equal(gpadl_map_ring(gpadl, &gm, bad_split[i],
						&ring, &refusal), -EINVAL);
		assert_int_equal(refusal.value, bad_split[i]);
	}
	assert_int_equal(gm.holds, 0);
	assert_int_equal(gpadl_map_ring(gpadl, &gm, 4, &ring, &refusal), 0);
	assert_int_equal(gm.holds, 6);
	assert_int_equal(gpadl->users, 1);
	assert_int_equal(ring.first.size, 3 * 4096);
	assert_int_equal(ring.second.size, 4096);
	guest_hold_write(&ring.first.pages[2], 7, &byte, 1);
	assert_int_equal(high[7], 0x5a);
	guest_hold_write(&ring.second.pages[1], 9, &byte, 1);
	assert_int_equal(low[12 * 4096 + 9], 0x5a);
	gpadl_unmap_ring(&ring, &gm);
	assert_int_equal(gm.holds, 0);
	assert_int_equal(gpadl->users, 0);
	clear(&set);
}

static void what_is_no_ring(void **state)
{
	static const struct {
		uint16_t ranges;
		unsigned int n;
		uint64_t word[10];
	} bad[] = {
		{ 2, 6, { RANGE(8192, 0), 0, 1, RANGE(8192, 0), 2, 3 } },
		{ 1, 6, { RANGE(4 * 4096, 8), 0, 1, 2, 3, 4 } },
		{ 1, 5, { RANGE(4 * 4096 - 8, 0), 0, 1, 2, 3 } },
		{ 1, 4, { RANGE(3 * 4096, 0), 0, 1, 2 } },
		{ 1, 2, { RANGE(4096, 0), 0 } },
	};
	struct guest_memory gm = ram();
	struct gpadl_set set = { 0 };
	struct gpadl_ring ring;
	struct refusal refusal;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gpadl *gpadl = make(&set, &gm, i, bad[i].ranges,
					   bad[i].word, bad[i].n, &refusal);

		assert_non_null(gpadl);
		assert_int_equal(gpadl_map_ring(gpadl, &gm, 2, &ring,
						&refusal), -EINVAL);
	}
	assert_int_equal(gm.holds, 0);
	clear(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ranges),
		cmocka_unit_test(bad_ranges),
		cmocka_unit_test(lengths_and_ids),
		cmocka_unit_test(words_come_in_pieces),
		cmocka_unit_test(a_channel_has_limits),
		cmocka_unit_test(all_channels_have_limits),
		cmocka_unit_test(rings_are_mapped),
		cmocka_unit_test(what_is_no_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
