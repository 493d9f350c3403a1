// SPDX-License-Identifier: MIT
/*
 * Black boxes. The input is the file, from its header on; the first byte says
 * how many exits are to be shown.
 *
 * What the reader accepts is printed in both forms. Of the text, no byte may
 * work on a terminal; of the JSON, strings, brackets and the end have to be in
 * their places. The kernel's zones and the records lie inside of the file.
 *
 * What is accepted is printed twice, some ten thousand bytes, each of which is
 * looked at: that, and not the reading, is what a run costs (17000 per
 * CPU-second).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paravisor/pvctl_blackbox.h"
#include "test/fuzz/fuzz.h"

#define LONGEST 2048

static uint8_t file[LONGEST];

/* What has been seen of an output. */
static struct {
	bool json, in_string, escaped;
	unsigned int depth;
	uint64_t bytes;
	char last;
} seen;

static void look(char c)
{
	fuzz_expect((c >= ' ' && c < 0x7f) || c == '\n' ||
		    (c == '\t' && !seen.json), (uint8_t)c, seen.bytes);
	seen.bytes++;
	seen.last = c;
	if (!seen.json)
		return;
	if (seen.in_string) {
		fuzz_expect(c != '\n', seen.bytes, 0);
		if (seen.escaped)
			seen.escaped = false;
		else if (c == '\\')
			seen.escaped = true;
		else if (c == '"')
			seen.in_string = false;
		return;
	}
	if (c == '"')
		seen.in_string = true;
	else if (c == '{' || c == '[')
		seen.depth++;
	else if (c == '}' || c == ']')
		fuzz_expect(seen.depth--, seen.bytes, 0);
}

static ssize_t sink(void *cookie, const char *bytes, size_t size)
{
	(void)cookie;
	for (size_t i = 0; i < size; i++)
		look(bytes[i]);
	return (ssize_t)size;
}

static void print(const struct blackbox_view *view, unsigned int exits,
		  bool json)
{
	static FILE *out;

	if (!out)
		out = fopencookie(NULL, "w",
				  (cookie_io_functions_t){ .write = sink });
	memset(&seen, 0, sizeof(seen));
	seen.json = json;
	if (json)
		blackbox_print_json(view, exits, out);
	else
		blackbox_print_text(view, exits, out);
	fflush(out);
	fuzz_expect(!seen.in_string && !seen.depth && seen.last == '\n',
		    seen.in_string, seen.depth);
}

static bool inside(const void *at, size_t len, size_t size)
{
	const uint8_t *p = at;

	return p >= file && p <= file + size && len <= (size_t)(file + size - p);
}

static void check_items(const struct blackbox_view *view)
{
	for (unsigned int kind = 0; kind < 9; kind++) {
		struct blackbox_items items = blackbox_view_items(view, kind);
		struct blackbox_text text;
		struct blackbox_entry e;

		fuzz_expect(!items.nr || inside(items.at, (size_t)items.nr *
						items.stride, view->size),
			    kind, items.nr);
		for (uint32_t i = 0; kind <= BLACKBOX_RAMOOPS_CONSOLE &&
		     kind && i < items.nr; i++)
			if (blackbox_view_zone(items, i, &text))
				fuzz_expect(inside(text.part[0], text.len[0],
						   view->size) &&
					    inside(text.part[1], text.len[1],
						   view->size), kind, i);
		if ((kind == BLACKBOX_LOG || kind == BLACKBOX_VMBUS) &&
		    blackbox_view_entry(items, blackbox_view_newest(items), &e))
			fuzz_expect(e.number && inside(e.data, e.len,
						       view->size), kind,
				    e.number);
	}
}

void fuzz_one(struct fuzz_input *in)
{
	unsigned int exits = (unsigned int)fuzz_number(in, 1);
	size_t size = in->left < LONGEST ? in->left : LONGEST;
	struct blackbox_view view;
	const char *why = NULL;

	fuzz_take(in, file, size);
	if (blackbox_view_open(&view, file, size, &why)) {
		fuzz_expect(why != NULL, size, 0);
		return;
	}
	fuzz_accept();
	check_items(&view);
	print(&view, exits, false);
	print(&view, exits, true);
}
