/* SPDX-License-Identifier: MIT */
/*
 * Inspect, theory of operation
 *
 * Rendering is one walk. Each described object and each inspect_begin() is a
 * level; the writer keeps how much of the requested path is still to be
 * matched. While the path is being matched only the named child is entered
 * and nothing is written; from the match on everything is written until the
 * requested depth, below which a child is written as {}.
 *
 * A path may also name a value; then that value alone is the answer.
 *
 * Entries and updaters are added at start, by main(), before a request can
 * arrive.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#define MAX_LEVELS 12
#define NUMBER_DIGITS 6

struct inspect {
	char *out;
	unsigned int size, used;
	bool full;  /* something did not fit */
	bool found; /* the path was matched */
	bool comma; /* a value was written at this level */
	unsigned int depth;
	unsigned int level, match_level;
	/* What is still to be matched below each level; "" = writing. */
	const char *rest[MAX_LEVELS];
};

static struct inspect_entry *entries;
static struct inspect_updater *updaters;
static bool changes_forbidden;

void inspect_register(struct inspect_entry *entry)
{
	struct inspect_entry **at = &entries;

	while (*at && strcmp((*at)->name, entry->name) < 0)
		at = &(*at)->next;
	entry->next = *at;
	*at = entry;
}

void inspect_updater_register(struct inspect_updater *entry)
{
	entry->next = updaters;
	updaters = entry;
}

void inspect_forbid_changes(bool forbid)
{
	changes_forbidden = forbid;
}

int inspect_update(const char *path, const char *value, const char **error)
{
	struct inspect_updater *u = updaters;

	while (u && strcmp(u->path, path))
		u = u->next;
	if (!u)
		return -ENOENT;
	if (u->changes && changes_forbidden) {
		*error = "not in release build";
		return -EPERM;
	}
	*error = u->update(u->object, value);
	return *error ? -EINVAL : 0;
}

static void put(struct inspect *w, const char *text, size_t len)
{
	if (w->full || len >= w->size - w->used) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->used, text, len);
	w->used += len;
}

__attribute__((format(printf, 2, 3)))
static void put_format(struct inspect *w, const char *format, ...)
{
	char text[32];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(w, text, (size_t)len);
}

static void put_quoted(struct inspect *w, const char *text)
{
	put(w, "\"", 1);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			put_format(w, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			put_format(w, "\\u%04x", c);
		else
			put(w, (const char *)&c, 1);
	}
	put(w, "\"", 1);
}

static void put_name(struct inspect *w, const char *name)
{
	if (w->comma)
		put(w, ",", 1);
	w->comma = true;
	put_quoted(w, name);
	put(w, ":", 1);
}

static bool writing(const struct inspect *w)
{
	return !*w->rest[w->level];
}

/* If `name` is the next component of the path, what follows it; else NULL. */
static const char *match(const struct inspect *w, const char *name)
{
	const char *rest = w->rest[w->level];
	size_t len = strlen(name);

	if (w->found || strncmp(rest, name, len))
		return NULL;
	if (rest[len] == '\0')
		return rest + len;
	return rest[len] == '/' && rest[len + 1] ? rest + len + 1 : NULL;
}

/* May a value of this name be written? Writes its name if it has one. */
static bool value(struct inspect *w, const char *name)
{
	const char *rest;

	if (writing(w)) {
		put_name(w, name);
		return true;
	}
	rest = match(w, name);
	if (!rest || *rest)
		return false;
	w->found = true;
	return true;
}

void inspect_u64(struct inspect *w, const char *name, uint64_t v)
{
	if (value(w, name))
		put_format(w, "%llu", (unsigned long long)v);
}

void inspect_hex(struct inspect *w, const char *name, uint64_t v)
{
	if (value(w, name))
		put_format(w, "\"%#llx\"", (unsigned long long)v);
}

void inspect_bool(struct inspect *w, const char *name, bool v)
{
	if (value(w, name))
		put(w, v ? "true" : "false", v ? 4 : 5);
}

void inspect_text(struct inspect *w, const char *name, const char *v)
{
	if (value(w, name))
		put_quoted(w, v);
}

/* Takes a number off the path in front of what follows it, if one is there. */
static const char *take_number(const char *rest, unsigned int *n)
{
	unsigned int number = 0;
	const char *p = rest;

	while (*p >= '0' && *p <= '9' && p - rest < NUMBER_DIGITS)
		number = number * 10 + (unsigned int)(*p++ - '0');
	if (p == rest || (*p && *p != '/') || (*p && !p[1]))
		return rest;
	*n = number;
	return *p ? p + 1 : p;
}

/* `n` NULL: a child without a number behind its name. */
static bool begin(struct inspect *w, const char *name, unsigned int *n)
{
	const char *rest = "";

	pv_bug(w->level + 1 >= MAX_LEVELS, w->level, MAX_LEVELS);
	if (writing(w)) {
		put_name(w, name);
		if (w->level - w->match_level >= w->depth) {
			put(w, "{}", 2);
			return false;
		}
	} else {
		rest = match(w, name);
		if (!rest)
			return false;
		if (n)
			rest = take_number(rest, n);
		if (!*rest) {
			w->found = true;
			w->match_level = w->level + 1;
		}
	}
	w->rest[++w->level] = rest;
	if (!*rest) {
		put(w, "{", 1);
		w->comma = false;
	}
	return true;
}

bool inspect_begin(struct inspect *w, const char *name)
{
	return begin(w, name, NULL);
}

bool inspect_begin_newest(struct inspect *w, const char *name, unsigned int *n)
{
	return begin(w, name, n);
}

void inspect_end(struct inspect *w)
{
	if (writing(w)) {
		put(w, "}", 1);
		w->comma = true;
	}
	w->level--;
}

int inspect_render(const char *path, unsigned int depth, char *json,
		   unsigned int size)
{
	struct inspect w = {
		.out = json, .size = size, .depth = depth, .rest = { path },
	};

	if (!*path) {
		w.found = true;
		put(&w, "{", 1);
	}
	for (struct inspect_entry *e = entries; e; e = e->next) {
		if (!inspect_begin(&w, e->name))
			continue;
		e->describe(e->object, &w);
		inspect_end(&w);
	}
	if (!*path)
		put(&w, "}", 1);
	if (!w.found)
		return -ENOENT;
	if (w.full)
		return -ENOSPC;
	json[w.used] = '\0';
	return w.used;
}
