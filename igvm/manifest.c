// SPDX-License-Identifier: MIT
/*
 * Manifest reader: one table says of each key where it stands, what it may
 * hold and whether an image can do without it; the JSON document and --set go
 * through the same entry, so that both obey the same rules. The first broken
 * rule is said in one line and ends the reading.
 */
#include "manifest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "linux_boot_reg.h"

enum key_kind { KEY_PATH, KEY_TEXT, KEY_NUMBER, KEY_JSON };

struct key {
	const char *pointer; /* JSON pointer, the key of --set by '.' */
	enum key_kind kind;
	bool required;
	size_t offset;
	size_t max; /* bytes of a text */
};

#define FIELD(name) offsetof(struct manifest, name)

static const struct key keys[] = {
	{ "/shim", KEY_PATH, true, FIELD(shim), 0 },
	{ "/kernel", KEY_PATH, true, FIELD(kernel), 0 },
	{ "/initramfs", KEY_PATH, true, FIELD(initramfs), 0 },
	{ "/command_line", KEY_TEXT, true, FIELD(command_line),
	  LINUX_COMMAND_LINE_MAX },
	{ "/base", KEY_NUMBER, true, FIELD(base), 0 },
	{ "/ram_size", KEY_NUMBER, true, FIELD(ram_size), 0 },
	{ "/black_box", KEY_NUMBER, false, FIELD(black_box), 0 },
	{ "/settings", KEY_JSON, false, FIELD(settings), 0 },
	{ "/vtl0/kernel", KEY_PATH, false, FIELD(vtl0_kernel), 0 },
	{ "/vtl0/initrd", KEY_PATH, false, FIELD(vtl0_initrd), 0 },
	{ "/vtl0/command_line", KEY_TEXT, false, FIELD(vtl0_command_line),
	  LINUX_COMMAND_LINE_MAX },
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

struct reader {
	struct manifest *manifest;
	const char *where; /* the file, or "--set" */
	const char *build_dir; /* NULL while --set is read */
	bool seen[KEYS];
};

static int refuse(const struct reader *r, const char *pointer,
		  const char *rule)
{
	fprintf(stderr, "%s: %s: %s\n", r->where, pointer, rule);
	return -EINVAL;
}

static char **text_field(struct manifest *m, const struct key *key)
{
	return (char **)((char *)m + key->offset);
}

static void put_text(struct manifest *m, const struct key *key, char *text)
{
	char **field = text_field(m, key);

	free(*field);
	*field = text;
}

/* "128MiB", "0x70000000": false if it is neither. */
static bool parse_number(const char *text, uint64_t *number)
{
	static const struct {
		const char *suffix;
		unsigned int shift;
	} units[] = { { "", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
	if (errno || end == text)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		if (*number > UINT64_MAX >> units[i].shift)
			return false;
		*number <<= units[i].shift;
		return true;
	}
	return false;
}

static int put_number(struct reader *r, const struct key *key,
		      const char *text)
{
	uint64_t number;

	if (!parse_number(text, &number))
		return refuse(r, key->pointer,
			      "must be a number: 123, 0x123, 128MiB");
	memcpy((char *)r->manifest + key->offset, &number, sizeof(number));
	return 0;
}

static int put_path(struct reader *r, const struct key *key, const char *text)
{
	char *path = NULL;

	if (!*text)
		return refuse(r, key->pointer, "must not be empty");
	if (r->build_dir && *text != '/') {
		if (asprintf(&path, "%s/%s", r->build_dir, text) < 0)
			path = NULL;
	} else {
		path = strdup(text);
	}
	if (!path)
		return refuse(r, key->pointer, "out of memory");
	put_text(r->manifest, key, path);
	return 0;
}

static int put_string(struct reader *r, const struct key *key,
		      const char *text)
{
	char rule[80], *copy;

	if (strlen(text) > key->max) {
		snprintf(rule, sizeof(rule), "%zu bytes: must be at most %zu",
			 strlen(text), key->max);
		return refuse(r, key->pointer, rule);
	}
	for (const char *p = text; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			return refuse(r, key->pointer,
				      "must hold no control characters");
	}
	copy = strdup(text);
	if (!copy)
		return refuse(r, key->pointer, "out of memory");
	put_text(r->manifest, key, copy);
	return 0;
}

static int put_json(struct reader *r, const struct key *key, yyjson_val *val)
{
	char *text;

	if (!yyjson_is_obj(val))
		return refuse(r, key->pointer, "must be an object");
	text = yyjson_val_write(val, 0, NULL);
	if (!text)
		return refuse(r, key->pointer, "out of memory");
	put_text(r->manifest, key, text);
	return 0;
}

/* One value of the document. */
static int put_value(struct reader *r, const struct key *key, yyjson_val *val)
{
	const char *text = yyjson_get_str(val);
	char digits[24];

	r->seen[key - keys] = true;
	if (key->kind == KEY_JSON)
		return put_json(r, key, val);
	if (key->kind == KEY_NUMBER && yyjson_is_uint(val)) {
		snprintf(digits, sizeof(digits), "%llu",
			 (unsigned long long)yyjson_get_uint(val));
		text = digits;
	}
	if (!text)
		return refuse(r, key->pointer,
			      key->kind == KEY_NUMBER ?
				      "must be a number: 123, \"0x123\", "
				      "\"128MiB\"" : "must be a string");
	if (text != digits && strlen(text) != yyjson_get_len(val))
		return refuse(r, key->pointer, "must hold no NUL");
	switch (key->kind) {
	case KEY_PATH:
		return put_path(r, key, text);
	case KEY_NUMBER:
		return put_number(r, key, text);
	default:
		return put_string(r, key, text);
	}
}

static const struct key *find_key(const char *pointer)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (!strcmp(keys[i].pointer, pointer))
			return &keys[i];
	}
	return NULL;
}

/* The JSON pointer of a member, fit for one line of a terminal. */
static void make_pointer(char *pointer, size_t size, const char *prefix,
			 const char *name)
{
	size_t at = strlen(prefix) + 1;

	snprintf(pointer, size, "%s/%.80s", prefix, name);
	for (char *p = pointer + at; *p; p++) {
		/* No key of ours holds these; '/' would look like a level. */
		if (*p < ' ' || *p == 0x7f || *p == '/')
			*p = '?';
	}
}

/* All members of an object; `prefix` is its JSON pointer. */
static int read_object(struct reader *r, yyjson_val *object,
		       const char *prefix)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(object);
	yyjson_val *name;
	int rc = 0;

	while (!rc && (name = yyjson_obj_iter_next(&iter))) {
		yyjson_val *val = yyjson_obj_iter_get_val(name);
		const struct key *key;
		char pointer[120];

		make_pointer(pointer, sizeof(pointer), prefix,
			     yyjson_get_str(name));
		key = find_key(pointer);
		if (!strcmp(pointer, "/vtl0")) {
			rc = yyjson_is_obj(val) ?
				     read_object(r, val, pointer) :
				     refuse(r, pointer, "must be an object");
		} else if (!key) {
			rc = refuse(r, pointer, "unknown key");
		} else if (r->seen[key - keys]) {
			rc = refuse(r, pointer, "given twice");
		} else {
			rc = put_value(r, key, val);
		}
	}
	return rc;
}

static int read_file(struct reader *r)
{
	yyjson_read_err err;
	yyjson_doc *doc = yyjson_read_file(r->where, 0, NULL, &err);
	yyjson_val *root;
	char rule[160];
	int rc;

	if (!doc) {
		if (err.code == YYJSON_READ_ERROR_FILE_OPEN)
			return refuse(r, "/", strerror(errno));
		snprintf(rule, sizeof(rule), "%s at byte %zu", err.msg,
			 err.pos);
		return refuse(r, "/", rule);
	}
	root = yyjson_doc_get_root(doc);
	rc = yyjson_is_obj(root) ? read_object(r, root, "") :
				   refuse(r, "/", "must be an object");
	yyjson_doc_free(doc);
	return rc;
}

static int set_json(struct reader *r, const struct key *key, const char *text)
{
	yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
	int rc;

	if (!doc)
		return refuse(r, key->pointer, "not JSON");
	rc = put_json(r, key, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	return rc;
}

/* "vtl0.kernel=PATH" */
static int apply_set(struct reader *r, const char *set)
{
	const char *equals = strchr(set, '=');
	const struct key *key;
	char pointer[64];

	if (!equals || equals - set > 40)
		return refuse(r, set, "must be KEY=VALUE");
	snprintf(pointer, sizeof(pointer), "/%.*s", (int)(equals - set), set);
	for (char *p = pointer; *p; p++) {
		if (*p == '.')
			*p = '/';
	}
	key = find_key(pointer);
	if (!key)
		return refuse(r, pointer, "unknown key");
	r->seen[key - keys] = true;
	switch (key->kind) {
	case KEY_PATH:
		return put_path(r, key, equals + 1);
	case KEY_NUMBER:
		return put_number(r, key, equals + 1);
	case KEY_JSON:
		return set_json(r, key, equals + 1);
	default:
		return put_string(r, key, equals + 1);
	}
}

int manifest_read(struct manifest *manifest, const char *path,
		  const char *build_dir, char *const *sets, size_t set_count)
{
	struct reader r = { .manifest = manifest, .where = path,
			    .build_dir = build_dir };
	int rc;

	memset(manifest, 0, sizeof(*manifest));
	rc = read_file(&r);
	r.where = "--set";
	r.build_dir = NULL;
	for (size_t i = 0; !rc && i < set_count; i++)
		rc = apply_set(&r, sets[i]);
	r.where = path;
	for (size_t i = 0; !rc && i < KEYS; i++) {
		if (keys[i].required && !r.seen[i])
			rc = refuse(&r, keys[i].pointer, "missing");
	}
	if (!rc && manifest->vtl0_initrd && !manifest->vtl0_kernel)
		rc = refuse(&r, "/vtl0/initrd", "needs /vtl0/kernel");
	return rc;
}

void manifest_free(struct manifest *manifest)
{
	for (size_t i = 0; i < KEYS; i++) {
		if (keys[i].kind != KEY_NUMBER)
			put_text(manifest, &keys[i], NULL);
	}
}
