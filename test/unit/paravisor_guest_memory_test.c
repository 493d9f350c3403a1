/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/guest_memory.c paravisor/log.c */
/* Guest memory: what is inside, what is not, and nothing in between. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/guest_memory.h>

#define LOW_SIZE 0x3000
#define HIGH_GPA 0x100000000ull
#define HIGH_SIZE 0x1000

static uint8_t low[LOW_SIZE], next[0x1000], high[HIGH_SIZE];

/* [0, 3000) and [3000, 4000) touch; [4 GiB, +1000) stands alone. */
static struct guest_memory three_ranges(void)
{
	struct guest_memory gm = { 0 };

	assert_int_equal(guest_memory_add(&gm, 0, LOW_SIZE, low), 0);
	assert_int_equal(guest_memory_add(&gm, LOW_SIZE, 0x1000, next), 0);
	assert_int_equal(guest_memory_add(&gm, HIGH_GPA, HIGH_SIZE, high), 0);
	return gm;
}

static void add_refuses_bad_ranges(void **state)
{
	struct guest_memory gm = three_ranges();

	(void)state;
	assert_int_equal(guest_memory_add(&gm, 0x10, 0x1000, low), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, HIGH_GPA, 0x1000, low), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, 0x5000, 0x1000, low), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, 2 * HIGH_GPA, 0, low), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, ~0ull << 12, 0x2000, low),
			 -EINVAL);
	for (unsigned int i = 3; i < GUEST_MEMORY_MAX_RANGES; i++)
		assert_int_equal(guest_memory_add(&gm, i * 2 * HIGH_GPA, 4096,
						  low), 0);
	assert_int_equal(guest_memory_add(&gm, 99 * HIGH_GPA, 4096, low),
			 -ENOSPC);
}

static void copies_check_every_byte(void **state)
{
	static const struct {
		uint64_t gpa;
		size_t len;
		int err;
	} cases[] = {
		{ 0, LOW_SIZE, 0 },
		{ 0, 0, 0 },
		{ ~0ull, 0, 0 },
		{ LOW_SIZE - 8, 16, 0 }, /* into the touching range */
		{ 0, LOW_SIZE + 0x1000, 0 },
		{ 0, LOW_SIZE + 0x1001, -EFAULT },
		{ LOW_SIZE + 0xfff, 1, 0 },
		{ LOW_SIZE + 0xfff, 2, -EFAULT },
		{ HIGH_GPA - 1, 1, -EFAULT },
		{ HIGH_GPA, HIGH_SIZE, 0 },
		{ HIGH_GPA + HIGH_SIZE - 1, 2, -EFAULT },
		{ ~0ull, 1, -EFAULT },
		{ ~0ull - 3, 8, -EFAULT }, /* wraps */
		{ HIGH_GPA, SIZE_MAX, -EFAULT },
	};
	struct guest_memory gm = three_ranges();
	uint8_t buffer[LOW_SIZE + 0x1001];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(guest_memory_read(&gm, cases[i].gpa, buffer,
						   cases[i].len),
				 cases[i].err);
		assert_int_equal(guest_memory_write(&gm, cases[i].gpa, buffer,
						    cases[i].len),
				 cases[i].err);
	}
}

static void copies_cross_ranges_and_fail_whole(void **state)
{
	struct guest_memory gm = three_ranges();
	uint8_t in[16], out[16];

	(void)state;
	for (int i = 0; i < 16; i++)
		in[i] = i + 1;
	memset(next, 0, sizeof(next));
	assert_int_equal(guest_memory_write(&gm, LOW_SIZE - 4, in, 16), 0);
	assert_memory_equal(low + LOW_SIZE - 4, in, 4);
	assert_memory_equal(next, in + 4, 12);
	assert_int_equal(guest_memory_read(&gm, LOW_SIZE - 4, out, 16), 0);
	assert_memory_equal(in, out, 16);

	memset(next, 0xaa, sizeof(next));
	assert_int_equal(guest_memory_write(&gm, LOW_SIZE + 0xff8, in, 16),
			 -EFAULT);
	assert_int_equal(next[0xff8], 0xaa);
}

static void holds_stay_in_one_range(void **state)
{
	struct guest_memory gm = three_ranges();
	struct guest_hold hold;
	uint32_t word = 0x12345678, back;
	struct gpa_range across = { LOW_SIZE - 8, 16 };
	struct gpa_range whole = { 0x1000, 0x2000 };
	struct gpa_range outside = { HIGH_GPA + HIGH_SIZE, 1 };

	(void)state;
	assert_int_equal(guest_memory_hold(&gm, across, &hold), -EFAULT);
	assert_int_equal(guest_memory_hold(&gm, outside, &hold), -EFAULT);
	assert_false(guest_memory_good(&gm, across));
	assert_true(guest_memory_good(&gm, whole));
	assert_int_equal(guest_memory_hold(&gm, whole, &hold), 0);
	assert_int_equal(gm.holds, 1);
	guest_hold_write(&hold, 0x1ffc, &word, 4);
	assert_memory_equal(low + 0x2ffc, &word, 4);
	guest_hold_read(&hold, 0x1ffc, &back, 4);
	assert_int_equal(back, word);
	guest_hold_read(&hold, 0x1ffd, &back, 3); /* unaligned */
	guest_memory_drop(&gm, &hold);
	assert_int_equal(gm.holds, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add_refuses_bad_ranges),
		cmocka_unit_test(copies_check_every_byte),
		cmocka_unit_test(copies_cross_ranges_and_fail_whole),
		cmocka_unit_test(holds_stay_in_one_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
