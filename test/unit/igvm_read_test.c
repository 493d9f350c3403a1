// SPDX-License-Identifier: MIT
// SOURCES: igvm/read.c igvm/check.c igvm/registers.c igvm/crc32.c igvm/image.c igvm/sha384.c
/*
 * The IGVM reader against a small good image and against copies of it with
 * one thing wrong each. Every refusal must name the structure and the field.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv_reg.h"
#include "igvm/crc32.h"
#include "igvm/image.h"
#include "igvm/read.h"

#define BASE 0x70000000ull
#define AREA_GPA (BASE + 0x10000)
#define SIZE_MAX_FILE (64u << 10)

/* A copy that a case may spoil; its headers by type, in order. */
struct spoiled {
	uint8_t bytes[SIZE_MAX_FILE];
	size_t len;
};

static struct spoiled good;

static struct igvm_vbs_vp_context_register record(uint32_t code)
{
	return (struct igvm_vbs_vp_context_register){
		.vtl = 2, .register_name = cpu_to_le32(code),
		.register_value = { 0 },
	};
}

static int make_good(void **state)
{
	const struct igvm_parameter_area area = {
		.number_of_bytes = cpu_to_le64(8192) };
	const struct igvm_parameter tree = { 0 };
	const struct igvm_parameter map = { .byte_offset = cpu_to_le32(4096) };
	const struct igvm_parameter_insert insert = {
		.gpa = cpu_to_le64(AREA_GPA),
		.compatibility_mask = cpu_to_le32(IMAGE_MASK) };
	const struct igvm_required_memory need = {
		.gpa = cpu_to_le64(BASE),
		.compatibility_mask = cpu_to_le32(IMAGE_MASK),
		.number_of_bytes = cpu_to_le32(0x20000),
		.flags = cpu_to_le32(IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE) };
	const struct igvm_vbs_vp_context_register registers[] = {
		record(HV_REG_RIP), record(HV_REG_CS), record(HV_REG_GDTR) };
	struct image *image = image_new();
	static uint8_t data[3 * 4096];
	const uint8_t *bytes;

	(void)state;
	memset(data, 0x5a, 4096);
	memset(data + 8192, 0xa5, 4096);
	assert_non_null(image);
	assert_int_equal(image_platform(image), 0);
	assert_int_equal(image_pages(image, "test", BASE, data, sizeof(data)),
			 0);
	image_header(image, IGVM_VHT_PARAMETER_AREA, &area, sizeof(area));
	image_header(image, IGVM_VHT_DEVICE_TREE, &tree, sizeof(tree));
	image_header(image, IGVM_VHT_MEMORY_MAP, &map, sizeof(map));
	image_header(image, IGVM_VHT_PARAMETER_INSERT, &insert,
		     sizeof(insert));
	image_header(image, IGVM_VHT_REQUIRED_MEMORY, &need, sizeof(need));
	assert_int_equal(image_context(image, registers, 3), 0);
	assert_int_equal(image_finish(image, &bytes, &good.len), 0);
	assert_true(good.len <= sizeof(good.bytes));
	memcpy(good.bytes, bytes, good.len);
	image_free(image);
	return 0;
}

static void reseal(struct spoiled *s)
{
	struct igvm_fixed_header f;
	uint32_t crc;

	memcpy(&f, s->bytes, sizeof(f));
	f.checksum = cpu_to_le32(0);
	crc = crc32_update(0, &f, sizeof(f));
	crc = crc32_update(crc, s->bytes + sizeof(f),
			   le32_to_cpu(f.variable_header_size));
	f.checksum = cpu_to_le32(crc);
	memcpy(s->bytes, &f, sizeof(f));
}

/* Offset of the n-th header of a type: of its content. */
static size_t find(const struct spoiled *s, uint32_t type, unsigned int n)
{
	size_t at = sizeof(struct igvm_fixed_header);

	for (;;) {
		struct igvm_variable_header v;

		assert_true(at + sizeof(v) < s->len);
		memcpy(&v, s->bytes + at, sizeof(v));
		if (le32_to_cpu(v.type) == type && !n--)
			return at + sizeof(v);
		at += sizeof(v) + ((le32_to_cpu(v.length) + 7) & ~7u);
	}
}

/* Offset of the VP context's register count. */
static size_t find_registers(const struct spoiled *s)
{
	struct igvm_vp_context v;

	memcpy(&v, s->bytes + find(s, IGVM_VHT_VP_CONTEXT, 0), sizeof(v));
	return le32_to_cpu(v.file_offset);
}

enum place { FIXED, HEADER, FRAME, REGISTERS };

/*
 * One wrong number: `bytes` bytes of `value` at `offset` into the fixed
 * header, into the content of a header, before that content (its frame), or
 * into the VP context's data.
 */
struct wrong {
	const char *title;
	enum place place;
	uint32_t type;
	unsigned int nth;
	size_t offset;
	unsigned int bytes;
	uint64_t value;
	const char *structure;
	const char *field;
};

#define AT(s, f) offsetof(struct s, f), sizeof(((struct s *)0)->f)
#define PAGE IGVM_VHT_PAGE_DATA
#define AREA IGVM_VHT_PARAMETER_AREA
#define INSERT IGVM_VHT_PARAMETER_INSERT
#define MEMORY IGVM_VHT_REQUIRED_MEMORY
#define CONTEXT IGVM_VHT_VP_CONTEXT
#define PLATFORM IGVM_VHT_SUPPORTED_PLATFORM
#define TREE IGVM_VHT_DEVICE_TREE

static const struct wrong wrongs[] = {
	{ "magic", FIXED, 0, 0, AT(igvm_fixed_header, magic), 1,
	  "FIXED_HEADER", "magic" },
	{ "version 2", FIXED, 0, 0, AT(igvm_fixed_header, format_version), 2,
	  "FIXED_HEADER", "format_version" },
	{ "header offset", FIXED, 0, 0,
	  AT(igvm_fixed_header, variable_header_offset), 32, "FIXED_HEADER",
	  "variable_header_offset" },
	{ "header size odd", FIXED, 0, 0,
	  AT(igvm_fixed_header, variable_header_size), 9, "FIXED_HEADER",
	  "variable_header_size" },
	{ "header size huge", FIXED, 0, 0,
	  AT(igvm_fixed_header, variable_header_size), 0xfffffff8,
	  "FIXED_HEADER", "variable_header_size" },
	{ "header size 0", FIXED, 0, 0,
	  AT(igvm_fixed_header, variable_header_size), 0, "FIXED_HEADER",
	  "variable_header_size" },
	{ "file size", FIXED, 0, 0, AT(igvm_fixed_header, total_file_size), 99,
	  "FIXED_HEADER", "total_file_size" },
	{ "two mask bits", HEADER, PLATFORM, 0,
	  AT(igvm_supported_platform, compatibility_mask), 3,
	  "SUPPORTED_PLATFORM", "compatibility_mask" },
	{ "VTL 3", HEADER, PLATFORM, 0,
	  AT(igvm_supported_platform, highest_vtl), 3, "SUPPORTED_PLATFORM",
	  "highest_vtl" },
	{ "only SNP", HEADER, PLATFORM, 0,
	  AT(igvm_supported_platform, platform_type), 2, "SUPPORTED_PLATFORM",
	  "platform_type" },
	{ "unknown platform", HEADER, PLATFORM, 0,
	  AT(igvm_supported_platform, platform_type), 9, "SUPPORTED_PLATFORM",
	  "platform_type" },
	{ "platform version", HEADER, PLATFORM, 0,
	  AT(igvm_supported_platform, platform_version), 2,
	  "SUPPORTED_PLATFORM", "platform_version" },
	{ "shared boundary", HEADER, PLATFORM, 0,
	  AT(igvm_supported_platform, shared_gpa_boundary), 1,
	  "SUPPORTED_PLATFORM", "shared_gpa_boundary" },
	{ "page unaligned", HEADER, PAGE, 1, AT(igvm_page_data, gpa),
	  BASE + 0x1800, "PAGE_DATA", "gpa" },
	{ "page twice", HEADER, PAGE, 1, AT(igvm_page_data, gpa), BASE,
	  "PAGE_DATA", "gpa" },
	{ "page at the end of addresses", HEADER, PAGE, 1,
	  AT(igvm_page_data, gpa), 0xfffffffffffff000, "PAGE_DATA", "gpa" },
	{ "page outside memory", HEADER, PAGE, 1, AT(igvm_page_data, gpa),
	  BASE + 0x20000, "PAGE_DATA", "gpa" },
	{ "page below memory", HEADER, PAGE, 1, AT(igvm_page_data, gpa),
	  BASE - 0x1000, "PAGE_DATA", "gpa" },
	{ "page in the area", HEADER, PAGE, 1, AT(igvm_page_data, gpa),
	  AREA_GPA + 0x1000, "PAGE_DATA", "gpa" },
	{ "page mask 0", HEADER, PAGE, 0,
	  AT(igvm_page_data, compatibility_mask), 0, "PAGE_DATA",
	  "compatibility_mask" },
	{ "page mask undeclared", HEADER, PAGE, 0,
	  AT(igvm_page_data, compatibility_mask), 2, "PAGE_DATA",
	  "compatibility_mask" },
	{ "page data in headers", HEADER, PAGE, 0,
	  AT(igvm_page_data, file_offset), 24, "PAGE_DATA", "file_offset" },
	{ "page data behind the end", HEADER, PAGE, 0,
	  AT(igvm_page_data, file_offset), 0xfffff000, "PAGE_DATA",
	  "file_offset" },
	{ "page 2 MiB", HEADER, PAGE, 0, AT(igvm_page_data, flags), 1,
	  "PAGE_DATA", "flags" },
	{ "page flag", HEADER, PAGE, 0, AT(igvm_page_data, flags), 8,
	  "PAGE_DATA", "flags" },
	{ "page type", HEADER, PAGE, 0, AT(igvm_page_data, data_type), 1,
	  "PAGE_DATA", "data_type" },
	{ "page reserved", HEADER, PAGE, 0, AT(igvm_page_data, reserved), 1,
	  "PAGE_DATA", "reserved" },
	{ "area of 0 bytes", HEADER, AREA, 0,
	  AT(igvm_parameter_area, number_of_bytes), 0, "PARAMETER_AREA",
	  "number_of_bytes" },
	{ "area of half a page", HEADER, AREA, 0,
	  AT(igvm_parameter_area, number_of_bytes), 2048, "PARAMETER_AREA",
	  "number_of_bytes" },
	{ "area of 1 EiB", HEADER, AREA, 0,
	  AT(igvm_parameter_area, number_of_bytes), 1ull << 60,
	  "PARAMETER_AREA", "number_of_bytes" },
	{ "area index", HEADER, AREA, 0,
	  AT(igvm_parameter_area, parameter_area_index), 64, "PARAMETER_AREA",
	  "parameter_area_index" },
	{ "area bytes in headers", HEADER, AREA, 0,
	  AT(igvm_parameter_area, file_offset), 8, "PARAMETER_AREA",
	  "file_offset" },
	{ "tree in no area", HEADER, TREE, 0,
	  AT(igvm_parameter, parameter_area_index), 7, "DEVICE_TREE",
	  "parameter_area_index" },
	{ "tree behind its area", HEADER, TREE, 0,
	  AT(igvm_parameter, byte_offset), 8192, "DEVICE_TREE",
	  "byte_offset" },
	{ "map too long for its area", HEADER, IGVM_VHT_MEMORY_MAP, 0,
	  AT(igvm_parameter, byte_offset), 8192 - 8, "MEMORY_MAP",
	  "byte_offset" },
	{ "insert of no area", HEADER, INSERT, 0,
	  AT(igvm_parameter_insert, parameter_area_index), 0xffffffff,
	  "PARAMETER_INSERT", "parameter_area_index" },
	{ "insert unaligned", HEADER, INSERT, 0,
	  AT(igvm_parameter_insert, gpa), AREA_GPA + 8, "PARAMETER_INSERT",
	  "gpa" },
	{ "insert half outside", HEADER, INSERT, 0,
	  AT(igvm_parameter_insert, gpa), BASE + 0x1f000, "PARAMETER_INSERT",
	  "gpa" },
	{ "memory unaligned", HEADER, MEMORY, 0, AT(igvm_required_memory, gpa),
	  BASE + 1, "REQUIRED_MEMORY", "gpa" },
	{ "memory of 0 bytes", HEADER, MEMORY, 0,
	  AT(igvm_required_memory, number_of_bytes), 0, "REQUIRED_MEMORY",
	  "number_of_bytes" },
	{ "memory flag", HEADER, MEMORY, 0, AT(igvm_required_memory, flags), 2,
	  "REQUIRED_MEMORY", "flags" },
	{ "memory reserved", HEADER, MEMORY, 0,
	  AT(igvm_required_memory, reserved), 1, "REQUIRED_MEMORY",
	  "reserved" },
	{ "context of VP 1", HEADER, CONTEXT, 0, AT(igvm_vp_context, vp_index),
	  1, "VP_CONTEXT", "vp_index" },
	{ "context gpa", HEADER, CONTEXT, 0, AT(igvm_vp_context, gpa), 4096,
	  "VP_CONTEXT", "gpa" },
	{ "context reserved", HEADER, CONTEXT, 0,
	  AT(igvm_vp_context, reserved), 1, "VP_CONTEXT", "reserved" },
	{ "context data", HEADER, CONTEXT, 0, AT(igvm_vp_context, file_offset),
	  0x7fffffff, "VP_CONTEXT", "file_offset" },
	{ "unknown type", FRAME, TREE, 0, AT(igvm_variable_header, type),
	  0x333, "VARIABLE_HEADER", "type" },
	{ "type in no section", FRAME, TREE, 0, AT(igvm_variable_header, type),
	  0x250, "VARIABLE_HEADER", "type" },
	{ "section order", FRAME, TREE, 0, AT(igvm_variable_header, type),
	  PLATFORM, "VARIABLE_HEADER", "type" },
	{ "length short", FRAME, PAGE, 0, AT(igvm_variable_header, length), 20,
	  "PAGE_DATA", "length" },
	{ "length huge", FRAME, PAGE, 0, AT(igvm_variable_header, length),
	  0xfffffff9, "VARIABLE_HEADER", "length" },
	{ "parameter becomes an area", FRAME, TREE, 0,
	  AT(igvm_variable_header, type), AREA, "PARAMETER_AREA", "length" },
	{ "context becomes unknown", FRAME, CONTEXT, 0,
	  AT(igvm_variable_header, type), 0x80000344, "VP_CONTEXT",
	  "vp_index" },
	{ "no register", REGISTERS, 0, 0, 0, 4, 0, "VBS_VP_CONTEXT_HEADER",
	  "register_count" },
	{ "too many registers", REGISTERS, 0, 0, 0, 4, 0x8000000,
	  "VBS_VP_CONTEXT_HEADER", "register_count" },
	{ "register of VTL 3", REGISTERS, 0, 0, 4, 1, 3,
	  "VBS_VP_CONTEXT_REGISTER", "vtl" },
	{ "no such register", REGISTERS, 0, 0, 5, 4, 0x12345678,
	  "VBS_VP_CONTEXT_REGISTER", "register_name" },
	{ "register twice", REGISTERS, 0, 0, 5, 4, HV_REG_CS,
	  "VBS_VP_CONTEXT_REGISTER", "register_name" },
	{ "no RIP", REGISTERS, 0, 0, 5, 4, HV_REG_RAX, "VBS_VP_CONTEXT_HEADER",
	  "register_count" },
	{ "register padding", REGISTERS, 0, 0, 12, 1, 1,
	  "VBS_VP_CONTEXT_REGISTER", "mbz" },
	{ "register upper half", REGISTERS, 0, 0, 4 + 24, 1, 1,
	  "VBS_VP_CONTEXT_REGISTER", "register_value" },
	{ "table padding", REGISTERS, 0, 0, 4 + 2 * 32 + 16, 1, 1,
	  "VBS_VP_CONTEXT_REGISTER", "register_value" },
};

static void spoil(struct spoiled *s, const struct wrong *w)
{
	size_t at = w->offset;

	if (w->place == HEADER)
		at += find(s, w->type, w->nth);
	else if (w->place == FRAME)
		at += find(s, w->type, w->nth) -
		      sizeof(struct igvm_variable_header);
	else if (w->place == REGISTERS)
		at += find_registers(s);
	for (unsigned int i = 0; i < w->bytes; i++)
		s->bytes[at + i] = (uint8_t)(w->value >> 8 * i);
	if (w->place != FIXED)
		reseal(s);
}

static void expect_refusal(const struct spoiled *s, const char *title,
			   const char *structure, const char *field)
{
	/* A buffer of exactly this size, for the address sanitizer. */
	uint8_t *bytes = malloc(s->len ? s->len : 1);
	struct igvm_error e = { .structure = "none", .field = "none" };
	struct igvm_file file;
	int rc;

	memcpy(bytes, s->bytes, s->len);
	rc = igvm_open(&file, bytes, s->len, &e);
	free(bytes);
	if (rc != -EINVAL || strcmp(e.structure, structure) ||
	    strcmp(e.field, field) || !*e.rule)
		fail_msg("%s: got %d %s.%s: %s", title, rc, e.structure,
			 e.field, e.rule);
}

static void test_wrongs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		static struct spoiled s;

		s = good;
		spoil(&s, &wrongs[i]);
		expect_refusal(&s, wrongs[i].title, wrongs[i].structure,
			       wrongs[i].field);
	}
}

static void test_checksum(void **state)
{
	static struct spoiled s;

	(void)state;
	s = good;
	s.bytes[find(&s, PAGE, 0) + 1] ^= 0x10;
	expect_refusal(&s, "header changed", "FIXED_HEADER", "checksum");
}

static void test_padding(void **state)
{
	static struct spoiled s;

	(void)state;
	s = good;
	s.bytes[find(&s, CONTEXT, 0) + sizeof(struct igvm_vp_context)] = 1;
	reseal(&s);
	expect_refusal(&s, "padding", "VP_CONTEXT", "padding");
}

/* Every length short of the whole is refused, whatever is cut off. */
static void test_truncated(void **state)
{
	static struct spoiled s;
	struct igvm_fixed_header f;

	(void)state;
	for (size_t len = 0; len < good.len; len++) {
		if (len > 1024 && len % 61)
			continue;
		s = good;
		s.len = len;
		expect_refusal(&s, "truncated", "FIXED_HEADER",
			       "total_file_size");
	}
	/* And with a size field that says so. */
	s = good;
	s.len = good.len - 8;
	memcpy(&f, s.bytes, sizeof(f));
	f.total_file_size = cpu_to_le32((uint32_t)s.len);
	memcpy(s.bytes, &f, sizeof(f));
	reseal(&s);
	expect_refusal(&s, "registers cut", "VBS_VP_CONTEXT_HEADER",
		       "register_count");
}

/* Adds to the file_offset of every header that has one. */
static void shift_data(struct spoiled *s, size_t by)
{
	size_t at = sizeof(struct igvm_fixed_header), field;
	struct igvm_variable_header v;
	struct igvm_fixed_header f;
	le32 offset;

	memcpy(&f, s->bytes, sizeof(f));
	while (at < sizeof(f) + le32_to_cpu(f.variable_header_size)) {
		memcpy(&v, s->bytes + at, sizeof(v));
		field = at + sizeof(v);
		at = field + ((le32_to_cpu(v.length) + 7) & ~7u);
		if (le32_to_cpu(v.type) != PAGE && le32_to_cpu(v.type) != CONTEXT)
			continue;
		field += offsetof(struct igvm_page_data, file_offset);
		memcpy(&offset, s->bytes + field, sizeof(offset));
		if (le32_to_cpu(offset))
			offset = cpu_to_le32(le32_to_cpu(offset) + (uint32_t)by);
		memcpy(s->bytes + field, &offset, sizeof(offset));
	}
}
_Static_assert(offsetof(struct igvm_page_data, file_offset) ==
	       offsetof(struct igvm_vp_context, file_offset), "shift_data");

/* Puts a copy of the first header of a type before one of another type. */
static void repeat_header(struct spoiled *s, uint32_t type, uint32_t before)
{
	size_t from = find(s, type, 0) - sizeof(struct igvm_variable_header);
	size_t to = find(s, before, 0) - sizeof(struct igvm_variable_header);
	struct igvm_variable_header v;
	struct igvm_fixed_header f;
	uint8_t copy[64];
	size_t len;

	memcpy(&v, s->bytes + from, sizeof(v));
	len = sizeof(v) + ((le32_to_cpu(v.length) + 7) & ~7u);
	memcpy(copy, s->bytes + from, len);
	memmove(s->bytes + to + len, s->bytes + to, s->len - to);
	memcpy(s->bytes + to, copy, len);
	s->len += len;
	memcpy(&f, s->bytes, sizeof(f));
	f.total_file_size = cpu_to_le32((uint32_t)s->len);
	f.variable_header_size = cpu_to_le32(
		le32_to_cpu(f.variable_header_size) + (uint32_t)len);
	memcpy(s->bytes, &f, sizeof(f));
	shift_data(s, len);
	reseal(s);
}

static void test_repeated(void **state)
{
	static const struct {
		uint32_t type, before;
		const char *structure, *field;
	} cases[] = {
		{ PLATFORM, PAGE, "SUPPORTED_PLATFORM", "compatibility_mask" },
		{ AREA, TREE, "PARAMETER_AREA", "parameter_area_index" },
		{ INSERT, MEMORY, "PARAMETER_INSERT", "parameter_area_index" },
		{ INSERT, TREE, "DEVICE_TREE", "parameter_area_index" },
		{ TREE, AREA, "DEVICE_TREE", "parameter_area_index" },
		{ INSERT, AREA, "PARAMETER_INSERT", "parameter_area_index" },
		{ TREE, MEMORY, "DEVICE_TREE", "parameter_area_index" },
		{ MEMORY, INSERT, "REQUIRED_MEMORY", "gpa" },
	};
	static struct spoiled s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s = good;
		repeat_header(&s, cases[i].type, cases[i].before);
		expect_refusal(&s, cases[i].structure, cases[i].structure,
			       cases[i].field);
	}
}

static void test_two_contexts(void **state)
{
	static struct spoiled s;

	(void)state;
	s = good;
	repeat_header(&s, CONTEXT, CONTEXT);
	expect_refusal(&s, "two contexts", "VP_CONTEXT", "vp_index");
}

/* Pages, and not one range of memory for them. */
static void test_no_memory(void **state)
{
	const le32 other = cpu_to_le32(IGVM_TYPE_OPTIONAL | 0x399);
	static struct spoiled s;

	(void)state;
	s = good;
	memcpy(s.bytes + find(&s, MEMORY, 0) -
	       sizeof(struct igvm_variable_header), &other, sizeof(other));
	reseal(&s);
	expect_refusal(&s, "no memory", "PAGE_DATA", "gpa");
}

static void test_good(void **state)
{
	unsigned int pages = 0, zeros = 0, others = 0;
	struct igvm_error e;
	struct igvm_file file;
	struct igvm_header h;

	(void)state;
	assert_int_equal(igvm_open(&file, good.bytes, good.len, &e), 0);
	assert_int_equal(file.mask, IMAGE_MASK);
	assert_int_equal(file.highest_vtl, 2);
	while (igvm_next(&file, &h)) {
		assert_true(h.selected);
		if (h.type == PAGE) {
			pages++;
			zeros += !h.data;
			assert_true(!h.data || h.data[7] == h.data[4095]);
		} else if (h.type == CONTEXT) {
			assert_int_equal(h.register_count, 3);
			assert_int_equal(
				le32_to_cpu(h.registers[0].register_name),
				HV_REG_RIP);
		} else {
			others++;
		}
	}
	assert_int_equal(pages, 3);
	assert_int_equal(zeros, 1);
	assert_int_equal(others, 6);
}

/* An optional header of an unknown type is passed over. */
static void test_optional(void **state)
{
	static struct spoiled s;
	struct igvm_error e;
	struct igvm_file file;
	struct igvm_header h;
	bool seen = false;

	(void)state;
	s = good;
	s.bytes[find(&s, IGVM_VHT_MEMORY_MAP, 0) - 8] = 0x44;
	s.bytes[find(&s, 0x344, 0) - 5] = 0x80;
	reseal(&s);
	assert_int_equal(igvm_open(&file, s.bytes, s.len, &e), 0);
	while (igvm_next(&file, &h)) {
		if (h.type != 0x344)
			continue;
		seen = true;
		assert_true(h.optional && !h.selected);
	}
	assert_true(seen);
}

/* Any single changed bit in the headers is refused or changes nothing. */
static void test_bit_flips(void **state)
{
	static struct spoiled s;
	struct igvm_fixed_header f;
	struct igvm_error e;
	struct igvm_file file;
	struct igvm_header h;
	size_t end;

	(void)state;
	memcpy(&f, good.bytes, sizeof(f));
	end = sizeof(f) + le32_to_cpu(f.variable_header_size);
	for (size_t bit = 0; bit < end * 8; bit++) {
		s = good;
		s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		/* With the old checksum it is always refused. */
		assert_int_equal(igvm_open(&file, s.bytes, s.len, &e),
				 -EINVAL);
		if (bit < sizeof(f) * 8)
			continue;
		reseal(&s);
		if (igvm_open(&file, s.bytes, s.len, &e))
			continue;
		while (igvm_next(&file, &h))
			assert_true(!h.data ||
				    h.data + h.data_len <= s.bytes + s.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrongs),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_two_contexts),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_optional),
		cmocka_unit_test(test_bit_flips),
	};

	return cmocka_run_group_tests(tests, make_good, NULL);
}
