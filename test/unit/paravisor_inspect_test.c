/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/inspect.c paravisor/log.c */
/* Inspect: paths, depth, escapes and the refusal to write half an answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>

static void describe_vp(void *object, struct inspect *out)
{
	uint64_t *entries = object;

	inspect_u64(out, "entries", *entries);
	if (inspect_begin(out, "exits")) {
		inspect_u64(out, "port", 3);
		if (inspect_begin(out, "msr")) {
			inspect_hex(out, "last", 0x40000000);
			inspect_end(out);
		}
		inspect_end(out);
	}
	inspect_bool(out, "running", true);
}

static void describe_build(void *object, struct inspect *out)
{
	inspect_text(out, "name", object);
}

static uint64_t entries = 42;
static struct inspect_entry vp0 = { "vp0", describe_vp, &entries, NULL };
static struct inspect_entry build = { "build", describe_build,
				      "a\"b\\c\n\xff", NULL };

#define ALL                                                                 \
	"{\"build\":{\"name\":\"a\\\"b\\\\c\\u000a\\u00ff\"},"              \
	"\"vp0\":{\"entries\":42,\"exits\":{\"port\":3,\"msr\":{\"last\":"  \
	"\"0x40000000\"}},\"running\":true}}"

static void paths(void **state)
{
	static const struct {
		const char *path;
		unsigned int depth;
		const char *json; /* NULL = no such path */
	} cases[] = {
		{ "", 9, ALL },
		{ "", 0, "{\"build\":{},\"vp0\":{}}" },
		{ "", 1, "{\"build\":{\"name\":\"a\\\"b\\\\c\\u000a\\u00ff\"},"
			 "\"vp0\":{\"entries\":42,\"exits\":{},"
			 "\"running\":true}}" },
		{ "vp0", 0, "{\"entries\":42,\"exits\":{},\"running\":true}" },
		{ "vp0/entries", 9, "42" },
		{ "vp0/running", 9, "true" },
		{ "vp0/exits", 0, "{\"port\":3,\"msr\":{}}" },
		{ "vp0/exits/msr", 9, "{\"last\":\"0x40000000\"}" },
		{ "vp0/exits/msr/last", 0, "\"0x40000000\"" },
		{ "vp", 9, NULL },
		{ "vp00", 9, NULL },
		{ "vp0/", 9, NULL },
		{ "vp0/entries/x", 9, NULL },
		{ "/vp0", 9, NULL },
		{ "exits", 9, NULL },
		{ "vp0/port", 9, NULL },
	};
	char json[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int n = inspect_render(cases[i].path, cases[i].depth, json,
				       sizeof(json));

		if (!cases[i].json) {
			assert_int_equal(n, -ENOENT);
			continue;
		}
		assert_int_equal(n, strlen(cases[i].json));
		assert_string_equal(json, cases[i].json);
	}
}

/* A list of the newest, with and without a number in the path. */
static void describe_list(void *object, struct inspect *out)
{
	unsigned int n = 2;

	(void)object;
	if (inspect_begin_newest(out, "list", &n)) {
		inspect_u64(out, "n", n);
		if (inspect_begin(out, "7")) {
			inspect_u64(out, "x", 1);
			inspect_end(out);
		}
		inspect_end(out);
	}
	if (inspect_begin(out, "plain")) {
		inspect_u64(out, "7", 2);
		inspect_end(out);
	}
}

static void newest(void **state)
{
	static struct inspect_entry entry = { "lists", describe_list, NULL,
					      NULL };
	static const struct {
		const char *path, *json; /* NULL = no such path */
	} cases[] = {
		{ "lists/list", "{\"n\":2,\"7\":{\"x\":1}}" },
		{ "lists/list/0", "{\"n\":0,\"7\":{\"x\":1}}" },
		{ "lists/list/999999", "{\"n\":999999,\"7\":{\"x\":1}}" },
		{ "lists/list/7", "{\"n\":7,\"7\":{\"x\":1}}" },
		{ "lists/list/7/7", "{\"x\":1}" },
		{ "lists/list/7/7/x", "1" },
		{ "lists/list/7/n", "7" },
		{ "lists/list/n", "2" },
		{ "lists", "{\"list\":{\"n\":2,\"7\":{\"x\":1}},"
			   "\"plain\":{\"7\":2}}" },
		{ "lists/plain/7", "2" },
		{ "lists/list/7/", NULL },
		{ "lists/list/1000000", NULL },
		{ "lists/list/-1", NULL },
		{ "lists/list/7x", NULL },
		{ "lists/list/7/8", NULL },
		{ "lists/7", NULL },
	};
	char json[512];

	(void)state;
	inspect_register(&entry);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int n = inspect_render(cases[i].path, 9, json, sizeof(json));

		if (!cases[i].json)
			assert_int_equal(n, -ENOENT);
		else
			assert_string_equal(n < 0 ? "none" : json,
					    cases[i].json);
	}
}

static void never_half_an_answer(void **state)
{
	char json[512];
	unsigned int whole = strlen(ALL) + 1;

	(void)state;
	for (unsigned int size = 1; size < whole; size++)
		assert_int_equal(inspect_render("", 9, json, size), -ENOSPC);
	assert_int_equal(inspect_render("", 9, json, whole), whole - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(never_half_an_answer),
		cmocka_unit_test(newest),
	};

	inspect_register(&vp0);
	inspect_register(&build);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
