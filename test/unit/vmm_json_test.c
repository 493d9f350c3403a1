/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/json.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/vmm/json.h"

/* The text is copied to its exact size, so that a sanitizer sees a byte read
 * behind its end. */
static int check(const char *text, size_t *wrong)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	struct json_span value;
	int err;

	memcpy(copy, text, len);
	err = json_check(copy, len, &value, wrong);
	free(copy);
	return err;
}

static void good_texts(void **state)
{
	static const char *const texts[] = {
		"{}", "[]", " [ ] ", "0", "-0", "-1.5e+10", "1E5", "10",
		"\"\"", "\"a\\n\\u00e9\\\"\"", "true", "false", "null",
		"{\"a\":1,\"b\":[1,2,{\"c\":null}]}", "\t{\"a\" : 1 }\n",
		"[[[[]]]]",
	};
	size_t wrong;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (check(texts[i], &wrong))
			fail_msg("%s: wrong at %zu", texts[i], wrong);
}

static void bad_texts_and_where(void **state)
{
	static const struct {
		const char *text;
		size_t wrong;
	} cases[] = {
		{ "", 0 },	       { "  ", 2 },
		{ "nul", 0 },	       { "nonsense", 0 },
		{ "{", 1 },	       { "[", 1 },
		{ "[1", 2 },	       { "[1,", 3 },
		{ "[1,]", 3 },	       { "[1 2]", 3 },
		{ "{\"a\"}", 4 },      { "{\"a\":}", 5 },
		{ "{\"a\":1,}", 7 },   { "{a:1}", 1 },
		{ "{\"a\":1]", 6 },    { "{} {}", 3 },
		{ "01", 1 },	       { "1.", 2 },
		{ "-", 1 },	       { "1e", 2 },
		{ ".5", 0 },	       { "+1", 0 },
		{ "\"abc", 4 },	       { "\"a\\", 3 },
		{ "\"\\x\"", 2 },      { "\"\\u12g4\"", 5 },
		{ "\"a\nb\"", 2 },     { "'a'", 0 },
		{ "truer", 4 },	       { "{\"a\":1}x", 7 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t wrong = 999;

		if (check(cases[i].text, &wrong) != -EINVAL)
			fail_msg("%s: accepted", cases[i].text);
		if (wrong != cases[i].wrong)
			fail_msg("%s: wrong at %zu", cases[i].text, wrong);
	}
}

static void a_nul_byte_is_wrong(void **state)
{
	struct json_span value;
	size_t wrong;

	(void)state;
	assert_int_equal(json_check("[\0]", 3, &value, &wrong), -EINVAL);
	assert_int_equal(wrong, 1);
	assert_int_equal(json_check("[]\0", 3, &value, &wrong), -EINVAL);
	assert_int_equal(wrong, 2);
	assert_int_equal(json_check("\"\\\0\"", 4, &value, &wrong), -EINVAL);
}

static void depth_is_bounded(void **state)
{
	char text[2 * JSON_MAX_DEPTH + 5];
	size_t wrong;

	(void)state;
	for (size_t depth = JSON_MAX_DEPTH; depth <= JSON_MAX_DEPTH + 2;
	     depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		assert_int_equal(check(text, &wrong),
				 depth <= JSON_MAX_DEPTH + 1 ? 0 : -EINVAL);
	}
}

static void members(void **state)
{
	static const char text[] =
		" { \"a\":{\"b\":1}, \"b\" : \"two\",\"c\":[1,2],\"b\":3}";
	struct json_span object, value = { "kept", 4 }, inner;
	size_t wrong;

	(void)state;
	assert_int_equal(json_check(text, strlen(text), &object, &wrong), 0);
	assert_true(json_member(object, "b", &value));
	assert_true(json_is_string(value, "two"));
	assert_false(json_is_string(value, "twofold"));
	assert_true(json_member(object, "a", &inner));
	assert_true(json_member(inner, "b", &value));
	assert_true(json_is_literal(value, "1"));
	assert_true(json_member(object, "c", &value));
	assert_int_equal(value.len, 5);

	value = (struct json_span){ "kept", 4 };
	assert_false(json_member(object, "d", &value));
	assert_true(json_is_literal(value, "kept"));
	assert_false(json_member((struct json_span){ "{}", 2 }, "a", &value));
	assert_false(json_member((struct json_span){ "[]", 2 }, "a", &value));
	assert_false(json_member((struct json_span){ "7", 1 }, "a", &value));
}

static void steps_through_members(void **state)
{
	static const char text[] = "{\"a\" : [1,2] ,\"b\":{\"c\":3}}";
	struct json_span object = { text, strlen(text) }, name, value = { 0 };

	(void)state;
	assert_true(json_next(object, &name, &value));
	assert_true(json_is_string(name, "a"));
	assert_true(json_is_literal(value, "[1,2]"));
	assert_true(json_next(object, &name, &value));
	assert_true(json_is_string(name, "b"));
	assert_true(json_is_literal(value, "{\"c\":3}"));
	assert_false(json_next(object, &name, &value));
	value.at = NULL;
	assert_false(json_next((struct json_span){ "{ }", 3 }, &name, &value));
	value.at = NULL;
	assert_false(json_next((struct json_span){ "[1]", 3 }, &name, &value));
}

static void steps_through_elements(void **state)
{
	static const char text[] = "[ 1,[2 , 3] ,{\"a\":[]}, \"]\" ]";
	static const char *const elements[] = { "1", "[2 , 3]", "{\"a\":[]}",
						"\"]\"" };
	struct json_span array = { text, strlen(text) }, value = { 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(json_element(array, &value));
		assert_true(json_is_literal(value, elements[i]));
	}
	assert_false(json_element(array, &value));
	value.at = NULL;
	assert_false(json_element((struct json_span){ "[ ]", 3 }, &value));
	value.at = NULL;
	assert_false(json_element((struct json_span){ "{\"a\":1}", 7 },
				  &value));
}

static void texts(void **state)
{
	static const struct {
		const char *json, *text;
		int err;
	} cases[] = {
		{ "\"\"", "", 0 },
		{ "\"abc\"", "abc", 0 },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 0 },
		{ "\"\\u0041\\u00E4\\u20ac\"", "A\xc3\xa4\xe2\x82\xac", 0 },
		{ "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!", 0 },
		{ "\"1234567890123456789\"", "1234567890123456789", 0 },
		{ "\"12345678901234567890\"", NULL, -ENAMETOOLONG },
		{ "\"123456789012345678\\u00e4\"", NULL, -ENAMETOOLONG },
		{ "\"\\u0000\"", NULL, -EINVAL },
		{ "\"\\ud83d\"", NULL, -EINVAL },
		{ "\"\\ud83d\\n....\"", NULL, -EINVAL },
		{ "\"\\ud83d\\u0041\"", NULL, -EINVAL },
		{ "\"\\ude00\\ud83d\"", NULL, -EINVAL },
		{ "7", NULL, -EINVAL },
		{ "{}", NULL, -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_span value;
		char text[20];
		size_t wrong;

		assert_int_equal(json_check(cases[i].json,
					    strlen(cases[i].json), &value,
					    &wrong), 0);
		assert_int_equal(json_text(value, text, sizeof(text)),
				 cases[i].err);
		if (!cases[i].err)
			assert_string_equal(text, cases[i].text);
	}
}

static void numbers(void **state)
{
	static const struct {
		const char *json;
		int err;
		uint64_t number;
	} cases[] = {
		{ "0", 0, 0 },
		{ "99", 0, 99 },
		{ "100", -ERANGE, 0 },
		{ "18446744073709551617", -ERANGE, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 },
		{ "1e1", -EINVAL, 0 },
		{ "\"1\"", -EINVAL, 0 },
		{ "true", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_span value = { cases[i].json,
					   strlen(cases[i].json) };
		uint64_t number = 0;

		assert_int_equal(json_number(value, 99, &number),
				 cases[i].err);
		assert_int_equal(number, cases[i].number);
	}
}

/* What is written is read as what it was. */
static void strings_are_written(void **state)
{
	static const char text[] = "a\"\\\x01\n\x1f/\xc3\xa4\x7f";
	char json[64] = "", back[64];
	struct json_span value;
	size_t wrong;
	FILE *out = fmemopen(json, sizeof(json), "w");

	(void)state;
	json_write(out, text);
	fclose(out);
	assert_int_equal(json_check(json, strlen(json), &value, &wrong), 0);
	assert_int_equal(json_text(value, back, sizeof(back)), 0);
	assert_string_equal(back, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts),
		cmocka_unit_test(bad_texts_and_where),
		cmocka_unit_test(a_nul_byte_is_wrong),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(members),
		cmocka_unit_test(steps_through_members),
		cmocka_unit_test(steps_through_elements),
		cmocka_unit_test(texts),
		cmocka_unit_test(numbers),
		cmocka_unit_test(strings_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
