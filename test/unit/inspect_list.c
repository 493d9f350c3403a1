/* SPDX-License-Identifier: MIT */
/*
 * The list of inspect's names, theory of operation
 *
 * A line is a pattern, in which {a,b} stands for either; so a line is spread
 * out first, brace by brace, into patterns that hold nothing but placeholders.
 * What a test renders is JSON; its values are walked, and each one's path must
 * match a pattern, which then counts as seen.
 *
 * Threads: one. Failure answers: cmocka's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include <pv/inspect.h>

#include "test/unit/inspect_list.h"

#define LIST "paravisor/inspect.list"
#define MAX_PATTERNS 1024
#define PATH_SIZE 256
#define JSON_SIZE (256u << 10)

static struct pattern {
	char text[PATH_SIZE];
	bool optional, seen;
} patterns[MAX_PATTERNS];
static unsigned int nr_patterns;

static void spread(const char *text, bool optional)
{
	const char *open = strchr(text, '{'), *close, *at;
	char one[PATH_SIZE];

	if (!open) {
		assert_true(nr_patterns < MAX_PATTERNS);
		snprintf(patterns[nr_patterns].text, PATH_SIZE, "%s", text);
		patterns[nr_patterns++].optional = optional;
		return;
	}
	close = strchr(open, '}');
	assert_non_null(close);
	for (at = open + 1; at <= close; at++) {
		size_t len = strcspn(at, ",}");

		snprintf(one, sizeof(one), "%.*s%.*s%s", (int)(open - text),
			 text, (int)len, at, close + 1);
		spread(one, optional);
		at += len;
	}
}

static void read_list(void)
{
	char line[PATH_SIZE];
	FILE *file;

	if (nr_patterns)
		return;
	file = fopen(LIST, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		bool optional = !strncmp(line, "? ", 2);

		line[strcspn(line, "\n")] = '\0';
		if (*line && *line != '#')
			spread(line + 2 * optional, optional);
	}
	fclose(file);
	assert_true(nr_patterns > 0);
}

/* What a placeholder takes of `path`: its length, 0 if it takes nothing. */
static size_t takes(const char *placeholder, size_t len, const char *path)
{
	if (len == 3 && !strncmp(placeholder, "<n>", 3))
		return strspn(path, "0123456789");
	if (len == 3 && !strncmp(placeholder, "<x>", 3))
		return strncmp(path, "0x", 2) ?
			       0 : 2 + strspn(path + 2, "0123456789abcdef");
	assert_int_equal(strncmp(placeholder, "<name>", len), 0);
	return strcspn(path, "/");
}

static bool matches(const char *pattern, const char *path)
{
	while (*pattern) {
		if (*pattern == '<') {
			size_t len = strcspn(pattern, ">") + 1;
			size_t n = takes(pattern, len, path);

			if (!n)
				return false;
			pattern += len;
			path += n;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return !*path;
}

static void check_value(const char *path)
{
	bool found = false;

	for (unsigned int i = 0; i < nr_patterns; i++) {
		if (!matches(patterns[i].text, path))
			continue;
		patterns[i].seen = true;
		found = true;
	}
	if (!found)
		fail_msg("%s: not in " LIST, path);
}

static void check_object(const char *at, yyjson_val *object)
{
	char path[PATH_SIZE], *names[1024];
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	size_t nr = 0;
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&iter))) {
		yyjson_val *value = yyjson_obj_iter_get_val(key);
		const char *name = yyjson_get_str(key);

		for (size_t i = 0; i < nr; i++)
			if (!strcmp(names[i], name))
				fail_msg("%s%s is there twice", at, name);
		assert_true(nr < sizeof(names) / sizeof(names[0]));
		names[nr++] = (char *)(uintptr_t)name;
		snprintf(path, sizeof(path), "%s%s%s", at, name,
			 yyjson_is_obj(value) ? "/" : "");
		if (yyjson_is_obj(value))
			check_object(path, value);
		else
			check_value(path);
	}
}

void inspect_list_check(const char *path, const char *as)
{
	char *json = malloc(JSON_SIZE), at[PATH_SIZE];
	yyjson_doc *doc;
	int n;

	read_list();
	assert_non_null(json);
	n = inspect_render(path, 16, json, JSON_SIZE);
	assert_true(n > 0);
	doc = yyjson_read(json, (size_t)n, 0);
	assert_non_null(doc);
	snprintf(at, sizeof(at), "%s%s", as ? as : path,
		 *(as ? as : path) ? "/" : "");
	check_object(at, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	free(json);
}

void inspect_list_complete(const char *start)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < nr_patterns; i++) {
		const struct pattern *p = &patterns[i];

		if (strncmp(p->text, start, strlen(start)))
			continue;
		nr++;
		if (!p->optional && !p->seen)
			fail_msg("%s: in " LIST ", but not there", p->text);
	}
	assert_true(nr > 0);
}
