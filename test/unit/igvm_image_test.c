// SPDX-License-Identifier: MIT
// SOURCES: igvm/image.c igvm/crc32.c igvm/sha384.c igvm/read.c igvm/check.c igvm/registers.c igvm/dump_fields.c
/*
 * The IGVM writer: equal pages share file data, zero pages have none, the same
 * calls make the same bytes, the map says what is there. And the two sums.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv_reg.h"
#include "igvm/crc32.h"
#include "igvm/dump.h"
#include "igvm/image.h"
#include "igvm/sha384.h"

#define BASE 0x100000ull
#define PAGES 3000 /* more than the first table of pages holds */

static uint8_t pages[PAGES][4096];

/* PAGES pages: number 0 is zero, 1 and 2 are equal, all others differ. */
static struct image *make(const uint8_t **bytes, size_t *len)
{
	const struct igvm_vbs_vp_context_register rip = {
		.register_name = cpu_to_le32(HV_REG_RIP) };
	const struct igvm_required_memory need = {
		.gpa = cpu_to_le64(BASE),
		.compatibility_mask = cpu_to_le32(IMAGE_MASK),
		.number_of_bytes = cpu_to_le32(sizeof(pages) + 8192) };
	struct image *image = image_new();

	for (uint32_t i = 0; i < PAGES; i++) {
		uint32_t number = i == 2 ? 1 : i;

		memcpy(pages[i], &number, sizeof(number));
	}
	assert_non_null(image);
	assert_int_equal(image_platform(image), 0);
	/* The last page is cut: filled up with zeros. */
	assert_int_equal(image_pages(image, "all", BASE, pages,
				     sizeof(pages) - 4000), 0);
	assert_int_equal(image_pages(image, "none", BASE + sizeof(pages), NULL,
				     8192), 0);
	assert_int_equal(image_header(image, IGVM_VHT_REQUIRED_MEMORY, &need,
				      sizeof(need)), 0);
	assert_int_equal(image_context(image, &rip, 1), 0);
	assert_int_equal(image_finish(image, bytes, len), 0);
	return image;
}

static void test_pages(void **state)
{
	uint32_t offset[PAGES + 2], count = 0;
	struct dump_range *ranges;
	struct image *image;
	struct igvm_error error;
	struct igvm_file file;
	struct igvm_header h;
	const uint8_t *bytes;
	size_t len;

	(void)state;
	image = make(&bytes, &len);
	assert_int_equal(igvm_open(&file, bytes, len, &error), 0);
	while (igvm_next(&file, &h)) {
		if (h.type != IGVM_VHT_PAGE_DATA)
			continue;
		assert_true(count < PAGES + 2);
		if (h.data)
			assert_memory_equal(h.data, pages[count], 4096);
		offset[count++] = le32_to_cpu(h.page_data->file_offset);
	}
	assert_int_equal(count, PAGES + 2);
	assert_int_equal(offset[0], 0);
	assert_int_equal(offset[PAGES], 0);
	assert_int_equal(offset[1], offset[2]);
	assert_true(offset[3] != offset[1]);
	/* Headers, each distinct page once, the registers: nothing else. */
	assert_int_equal(len, offset[1] + (PAGES - 2) * 4096 + 4 + 32);
	assert_int_equal(dump_ranges(&file, &ranges), 1);
	assert_int_equal(ranges[0].bytes, sizeof(pages) + 8192);
	free(ranges);
	image_free(image);
}

static void test_same_bytes(void **state)
{
	const uint8_t *a, *b;
	struct image *x, *y;
	size_t a_len, b_len;

	(void)state;
	x = make(&a, &a_len);
	y = make(&b, &b_len);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len);
	image_free(x);
	image_free(y);
}

static void test_map(void **state)
{
	char text[1000] = "", digest[SHA384_TEXT_SIZE], expected[1000];
	uint8_t sum[SHA384_SIZE];
	struct sha384 s;
	const uint8_t *bytes;
	struct image *image;
	FILE *f = tmpfile();
	size_t len;

	(void)state;
	image = make(&bytes, &len);
	image_write_map(image, f);
	rewind(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	sha384_begin(&s);
	sha384_add(&s, pages, sizeof(pages));
	sha384_end(&s, sum);
	snprintf(expected, sizeof(expected),
		 "0x%016" PRIx64 " %d data all %s\n", (uint64_t)BASE, PAGES,
		 sha384_print(sum, digest));
	assert_non_null(strstr(text, expected));
	assert_non_null(strstr(text, " 2 zero none "));
	snprintf(expected, sizeof(expected), "total %d 3 %d %zu\n", PAGES + 2,
		 PAGES - 2, len);
	assert_non_null(strstr(text, expected));
	image_free(image);
}

/* FIPS 180-4's examples, split at every place; the CRC catalogue's check. */
static void test_sums(void **state)
{
	static const char two_blocks[] =
		"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
		"hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
	uint8_t sum[SHA384_SIZE];
	char text[SHA384_TEXT_SIZE];
	struct sha384 s;

	(void)state;
	for (size_t cut = 0; cut <= strlen(two_blocks); cut++) {
		sha384_begin(&s);
		sha384_add(&s, two_blocks, cut);
		sha384_add(&s, two_blocks + cut, strlen(two_blocks) - cut);
		sha384_end(&s, sum);
		assert_string_equal(sha384_print(sum, text),
			"09330c33f71147e83d192fc782cd1b4753111b173b3b05d2"
			"2fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039");
	}
	sha384_begin(&s);
	sha384_add(&s, "abc", 3);
	sha384_end(&s, sum);
	assert_string_equal(sha384_print(sum, text),
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
		"1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
	assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_update(crc32_update(0, "1234", 4), "56789", 5),
			 0xcbf43926);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
