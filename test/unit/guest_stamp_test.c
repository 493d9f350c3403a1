/* SPDX-License-Identifier: MIT */
/* SOURCES: test/guest/stamp.c igvm/crc32.c */
/*
 * The checker of stamped blocks finds each fault that is planted, calls it by
 * its name, and calls nothing else a fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/guest/stamp.h"

#define SIZE 512u
#define BLOCKS 16u
#define FIRST 0x1fffffff8ull /* the lower half of an LBA wraps inside */

static struct stamp_book book;
static uint8_t disk[BLOCKS][SIZE];
static uint8_t written[SIZE]; /* the last */

static int begin(void **state)
{
	(void)state;
	memset(disk, 0, sizeof(disk));
	return stamp_open(&book, FIRST, BLOCKS, SIZE, 7);
}

static int end(void **state)
{
	(void)state;
	stamp_close(&book);
	return 0;
}

/* A write that the disk carries out, and acknowledges or not. */
static void put(unsigned int at, bool acknowledged)
{
	stamp_write(&book, FIRST + at, written);
	memcpy(disk[at], written, SIZE);
	stamp_written(&book, FIRST + at, acknowledged);
}

/* One that it does not carry out. */
static void drop(unsigned int at, bool acknowledged)
{
	stamp_write(&book, FIRST + at, written);
	stamp_written(&book, FIRST + at, acknowledged);
}

static enum stamp_finding get(unsigned int at)
{
	return stamp_read(&book, FIRST + at, disk[at], disk[at]);
}

static void expect(unsigned int at, enum stamp_finding finding)
{
	uint64_t before = book.found[finding], bad = stamp_bad(&book);

	assert_int_equal(stamp_suspect(&book, FIRST + at, disk[at]),
			 finding != STAMP_GOOD);
	assert_string_equal(stamp_text(get(at)), stamp_text(finding));
	assert_int_equal(book.found[finding], before + 1);
	assert_int_equal(stamp_bad(&book), bad + (finding != STAMP_GOOD));
}

static void good(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int at = 0; at < BLOCKS; at++) {
			expect(at, STAMP_GOOD);
			put(at, true);
			expect(at, STAMP_GOOD);
		}
	}
	/* A failed write: there or not, both are good. */
	drop(3, false);
	expect(3, STAMP_GOOD);
	put(3, false);
	expect(3, STAMP_GOOD);
	assert_int_equal(book.bad, STAMP_GOOD);
	assert_int_equal(stamp_bad(&book), 0);
}

static void lost(void **state)
{
	(void)state;
	put(0, true);
	drop(0, true);
	expect(0, STAMP_LOST);
	drop(1, true); /* the first of all */
	expect(1, STAMP_LOST);
	assert_int_equal(book.bad, STAMP_LOST);
	assert_int_equal(book.bad_lba, FIRST);
}

/* At each 16 bytes, between any two writes, also the first. */
static void torn(void **state)
{
	uint8_t old[SIZE];

	(void)state;
	for (unsigned int cut = 16; cut < SIZE; cut += 16) {
		memcpy(old, disk[4], SIZE);
		drop(4, true);
		memcpy(disk[4], written, cut);
		expect(4, STAMP_TORN);
		memcpy(disk[4], old, cut);
		memcpy(disk[4] + cut, written + cut, SIZE - cut);
		expect(4, STAMP_TORN);
		memcpy(disk[4], written, SIZE);
		expect(4, STAMP_GOOD);
	}
	/* ... and between two blocks. */
	put(5, true);
	put(6, true);
	memcpy(disk[5], disk[6], 256);
	expect(5, STAMP_TORN);
}

static void misplaced(void **state)
{
	(void)state;
	put(0, true);
	put(1, true);
	put(8, true); /* differs in the upper half of its LBA */
	memcpy(disk[1], disk[0], SIZE);
	expect(1, STAMP_MISPLACED);
	memcpy(disk[0], disk[8], SIZE);
	expect(0, STAMP_MISPLACED);
	expect(8, STAMP_GOOD);
	/* With a generation that was never issued here. */
	put(8, true);
	put(8, true);
	memcpy(disk[1], disk[8], SIZE);
	expect(1, STAMP_MISPLACED);
}

static void stale(void **state)
{
	uint8_t old[SIZE];

	(void)state;
	put(2, true);
	memcpy(old, disk[2], SIZE);
	put(2, true);
	assert_true(stamp_suspect(&book, FIRST + 2, old));
	assert_int_equal(stamp_read(&book, FIRST + 2, old, disk[2]),
			 STAMP_STALE);
	/* Also after the new one was seen; and not when it stays. */
	expect(2, STAMP_GOOD);
	assert_int_equal(stamp_read(&book, FIRST + 2, old, disk[2]),
			 STAMP_STALE);
	assert_int_equal(stamp_read(&book, FIRST + 2, old, old), STAMP_DOUBLE);
	assert_int_equal(stamp_read(&book, FIRST + 2, old, NULL),
			 STAMP_DOUBLE);
}

static void executed_twice(void **state)
{
	uint8_t old[SIZE];

	(void)state;
	put(2, true);
	memcpy(old, disk[2], SIZE);
	put(2, true);
	expect(2, STAMP_GOOD);
	memcpy(disk[2], old, SIZE); /* again, behind its successor */
	expect(2, STAMP_DOUBLE);
	/* A failed one, late. */
	drop(3, false);
	memcpy(old, written, SIZE);
	put(3, true);
	expect(3, STAMP_GOOD);
	memcpy(disk[3], old, SIZE);
	expect(3, STAMP_DOUBLE);
	/* A failed one that was seen, and is not there any more. */
	put(4, true);
	memcpy(old, disk[4], SIZE);
	put(4, false);
	expect(4, STAMP_GOOD);
	memcpy(disk[4], old, SIZE);
	expect(4, STAMP_DOUBLE);
}

static void corrupt(void **state)
{
	struct stamp_book other;

	(void)state;
	for (unsigned int at = 0; at < SIZE; at++) {
		put(9, true);
		disk[9][at] ^= 0x10;
		assert_in_range(get(9), STAMP_TORN, STAMP_CORRUPT);
	}
	/* What lies behind the first line is covered by line. */
	put(9, true);
	disk[9][100] ^= 1;
	expect(9, STAMP_CORRUPT);
	/* Somebody else's, of the same block and generation. */
	assert_int_equal(stamp_open(&other, FIRST, BLOCKS, SIZE, 8), 0);
	stamp_write(&other, FIRST + 10, disk[10]);
	stamp_close(&other);
	put(11, true);
	stamp_write(&book, FIRST + 10, written);
	stamp_written(&book, FIRST + 10, true);
	expect(10, STAMP_CORRUPT);
	/* A generation that nobody wrote yet. */
	put(11, true);
	book.state[11].issued--;
	book.state[11].acked--;
	expect(11, STAMP_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(good),	 CASE(lost),	      CASE(torn),
		CASE(misplaced), CASE(stale),	      CASE(executed_twice),
		CASE(corrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
