// SPDX-License-Identifier: MIT
/*
 * The tree that Inspect answers with (diag.proto, Node), printed: indented for
 * a person, as JSON for a program. Numbers that are to be shown in hexadecimal
 * are text in JSON, as inspect on port 5 has them; what was not asked for is
 * `_', and null.
 *
 * It goes as deep as MAX_LEVELS; the server's tree has a dozen.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pvctl.h"

#define MAX_LEVELS 64
#define LEAF_PATH 256 /* longer ones are passed over */
#define FLAG_HEX 1
#define FLAG_BINARY 4

enum { UNEVALUATED = 1, FAILED, VALUE, DIRECTORY }; /* Node */
enum { SIGNED = 1, UNSIGNED, FLOAT, DOUBLE, BOOL, STRING, BYTES }; /* kind */

/* The last field of that number; its number is 0 if there is none. */
static struct pb_field member(const struct pb_field *of, uint32_t number)
{
	struct pb_field f, found = { 0 };
	struct pb_reader r;

	pb_read(&r, of->bytes, of->len);
	while (pb_next(&r, &f))
		if (f.number == number)
			found = f;
	return found;
}

/* The variant of a oneof. */
static struct pb_field variant(const struct pb_field *of)
{
	struct pb_field f, found = { 0 };
	struct pb_reader r;

	pb_read(&r, of->bytes, of->len);
	while (pb_next(&r, &f))
		found = f;
	return found;
}

static void print_bytes(const struct pb_field *content)
{
	putchar('"');
	for (size_t i = 0; i < content->len; i++)
		printf("%02x", content->bytes[i]);
	putchar('"');
}

static void print_float(uint32_t kind, const struct pb_field *content)
{
	uint32_t bits = (uint32_t)content->value;
	double d;
	float f;

	if (kind == DOUBLE) {
		memcpy(&d, &content->value, sizeof(d));
	} else {
		memcpy(&f, &bits, sizeof(f));
		d = (double)f;
	}
	printf("%g", d);
}

bool pvctl_print_value(const struct pb_field *value, bool json)
{
	struct pb_field kind = member(value, 1), flags = member(value, 2);
	struct pb_field of = variant(&kind), content = member(&of, 1);
	struct pb_field bits = member(&flags, 1);
	const char *quote = json ? "\"" : "";
	uint64_t v = content.value;

	switch (of.number) {
	case SIGNED:
		printf("%" PRId64, (int64_t)(v >> 1) ^ -(int64_t)(v & 1));
		return true;
	case UNSIGNED:
		if (bits.value & (FLAG_HEX | FLAG_BINARY))
			printf("%s%#" PRIx64 "%s", quote, v, quote);
		else
			printf("%" PRIu64, v);
		return true;
	case FLOAT:
	case DOUBLE:
		print_float(of.number, &content);
		return true;
	case BOOL:
		fputs(v ? "true" : "false", stdout);
		return true;
	case STRING:
		pvctl_put_json_text((const char *)content.bytes, content.len);
		return true;
	case BYTES:
		print_bytes(&content);
		return true;
	}
	return false;
}

static bool print_json(const struct pb_field *node, unsigned int level)
{
	struct pb_field of = variant(node), entry, value;
	struct pb_reader r;
	bool first = true;

	if (of.number == VALUE) {
		value = member(&of, 1);
		return pvctl_print_value(&value, true);
	}
	if (of.number != DIRECTORY || level == MAX_LEVELS) {
		fputs("null", stdout);
		return of.number == UNEVALUATED || of.number == FAILED;
	}
	putchar('{');
	pb_read(&r, of.bytes, of.len);
	while (pb_next(&r, &entry)) {
		struct pb_field name = member(&entry, 1);
		struct pb_field below = member(&entry, 2);

		if (!first)
			putchar(',');
		first = false;
		pvctl_put_json_text((const char *)name.bytes, name.len);
		putchar(':');
		if (!print_json(&below, level + 1))
			return false;
	}
	putchar('}');
	return !r.bad;
}

bool pvctl_print_node_json(const struct pb_field *node)
{
	return print_json(node, 0);
}

bool pvctl_print_node(const struct pb_field *node, unsigned int indent)
{
	struct pb_field of = variant(node), entry, value;
	struct pb_reader r;

	if (of.number == VALUE) {
		value = member(&of, 1);
		if (!pvctl_print_value(&value, false))
			return false;
		putchar('\n');
		return true;
	}
	if (of.number != DIRECTORY || indent == MAX_LEVELS) {
		puts(of.number == FAILED ? "error" : "_");
		return of.number == UNEVALUATED || of.number == FAILED;
	}
	pb_read(&r, of.bytes, of.len);
	while (pb_next(&r, &entry)) {
		struct pb_field name = member(&entry, 1);
		struct pb_field below = member(&entry, 2);
		bool inner = variant(&below).number == DIRECTORY;

		printf("%*s%.*s:%s", (int)(2 * indent), "", (int)name.len,
		       (const char *)name.bytes, inner ? "\n" : " ");
		if (!pvctl_print_node(&below, indent + 1))
			return false;
	}
	return !r.bad;
}

/* A value as it is: text is copied, and what does not fit is cut. */
static bool take_value(const struct pb_field *of, uint64_t *number, char *text,
		       size_t size, bool *is_text)
{
	struct pb_field value = member(of, 1), kind = member(&value, 1);
	struct pb_field which = variant(&kind), content = member(&which, 1);

	*number = content.value;
	*is_text = which.number == STRING;
	if (*is_text) {
		content.len = content.len < size ? content.len : size - 1;
		if (content.len)
			memcpy(text, content.bytes, content.len);
		text[content.len] = '\0';
	}
	return *is_text || which.number == UNSIGNED || which.number == BOOL;
}

static bool leaves(const struct pb_field *node, char *path, unsigned int level,
		   pvctl_leaf *take, void *opaque)
{
	struct pb_field of = variant(node), entry;
	size_t len = strlen(path);
	struct pb_reader r;
	char text[80];
	uint64_t number = 0;
	bool is_text = false;

	if (of.number != DIRECTORY) {
		if (of.number == UNEVALUATED ||
		    (of.number == VALUE && take_value(&of, &number, text,
						      sizeof(text), &is_text)))
			take(opaque, path, number, is_text ? text : NULL);
		return of.number == VALUE || of.number == UNEVALUATED ||
		       of.number == FAILED;
	}
	if (level == MAX_LEVELS)
		return false;
	pb_read(&r, of.bytes, of.len);
	while (pb_next(&r, &entry)) {
		struct pb_field name = member(&entry, 1);
		struct pb_field below = member(&entry, 2);
		char *end = path + len;

		if (len + name.len + 2 > LEAF_PATH)
			continue;
		if (len)
			*end++ = '/';
		if (name.len)
			memcpy(end, name.bytes, name.len);
		end[name.len] = '\0';
		if (!leaves(&below, path, level + 1, take, opaque))
			return false;
		path[len] = '\0';
	}
	return !r.bad;
}

bool pvctl_node_leaves(const struct pb_field *node, const char *path,
		       pvctl_leaf *take, void *opaque)
{
	char all[LEAF_PATH];

	snprintf(all, sizeof(all), "%s", path);
	return leaves(node, all, 0, take, opaque);
}

bool pvctl_node_text(const struct pb_field *node, const char *name, char *text,
		     size_t size)
{
	struct pb_field of = variant(node), entry;
	struct pb_reader r;

	pb_read(&r, of.bytes, of.len);
	while (of.number == DIRECTORY && pb_next(&r, &entry)) {
		struct pb_field label = member(&entry, 1);
		struct pb_field below = member(&entry, 2), value, kind;

		if (label.len != strlen(name) ||
		    memcmp(label.bytes, name, label.len))
			continue;
		of = variant(&below);
		value = member(&of, 1);
		kind = member(&value, 1);
		of = variant(&kind);
		kind = member(&of, 1);
		if (of.number == STRING)
			return pb_copy_text(&kind, text, size) ||
			       (!kind.number && (*text = '\0', true));
		if (of.number != UNSIGNED)
			return false;
		of = member(&value, 2);
		snprintf(text, size, member(&of, 1).value & FLAG_HEX ?
			 "%#" PRIx64 : "%" PRIu64, kind.value);
		return true;
	}
	return false;
}

bool pvctl_node_first(const struct pb_field *node, char *name, size_t size)
{
	struct pb_field of = variant(node), entry = member(&of, 1);
	struct pb_field label = member(&entry, 1);

	return of.number == DIRECTORY && label.number &&
	       pb_copy_text(&label, name, size);
}
