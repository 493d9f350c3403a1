// SPDX-License-Identifier: MIT
/*
 * JSON by tables, theory of operation
 *
 * Each object is described by a table of its keys; one function walks an
 * object by its table, so that unknown, repeated and missing keys are found
 * everywhere alike. The path to the value being read is kept as text for the
 * one line that a mistake gets. No thread, no state but the caller's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pv/log.h>

#include "settings_json.h"

LOG_MODULE("settings");

int json_wrong(struct json_parse *p, const char *rule)
{
	snprintf(p->error, sizeof(p->error), "%s: %s",
		 *p->path ? p->path : "/", rule);
	log_err("%s", p->error);
	return -EINVAL;
}

/* Appends one step; returns the length to go back to. */
size_t json_push(struct json_parse *p, const char *step)
{
	size_t len = strlen(p->path);

	snprintf(p->path + len, sizeof(p->path) - len, "/%.64s", step);
	return len;
}

size_t json_push_index(struct json_parse *p, size_t index)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", index);
	return json_push(p, text);
}

void json_pop(struct json_parse *p, size_t len)
{
	p->path[len] = '\0';
}

/* ---- objects and arrays ---- */

/* A NUL in the middle of a name is part of the name. */
static const struct json_key *find_key(const struct json_key *keys, yyjson_val *name)
{
	for (; keys->name; keys++)
		if (yyjson_equals_str(name, keys->name))
			return keys;
	return NULL;
}

static int read_member(struct json_parse *p, yyjson_val *name, yyjson_val *value,
		       const struct json_key *keys, uint32_t *seen, void *to)
{
	const struct json_key *key = find_key(keys, name);
	size_t back = json_push(p, unsafe_yyjson_get_str(name));
	int ret;

	if (!key)
		return json_wrong(p, "unknown key");
	if (*seen & 1u << (key - keys))
		return json_wrong(p, "comes twice");
	*seen |= 1u << (key - keys);
	ret = key->read(p, value, to);
	if (!ret)
		json_pop(p, back);
	return ret;
}

int json_read_object(struct json_parse *p, yyjson_val *object,
		       const struct json_key *keys, void *to)
{
	yyjson_obj_iter iter;
	yyjson_val *name;
	uint32_t seen = 0;

	if (!yyjson_is_obj(object))
		return json_wrong(p, "must be an object");
	yyjson_obj_iter_init(object, &iter);
	while ((name = yyjson_obj_iter_next(&iter))) {
		int ret = read_member(p, name, yyjson_obj_iter_get_val(name),
				      keys, &seen, to);

		if (ret)
			return ret;
	}
	for (const struct json_key *key = keys; key->name; key++)
		if (key->required && !(seen & 1u << (key - keys))) {
			json_push(p, key->name);
			return json_wrong(p, "missing");
		}
	return 0;
}

int json_read_choice(struct json_parse *p, yyjson_val *value,
		     const struct json_key *keys, void *to)
{
	char rule[96] = "must have one of the keys ";
	size_t len = strlen(rule);

	if (!yyjson_is_obj(value) || yyjson_obj_size(value) == 1)
		return json_read_object(p, value, keys, to);
	for (; keys->name; keys++)
		len += (size_t)snprintf(rule + len, sizeof(rule) - len, "%s%s",
					keys->name, keys[1].name ? ", " : "");
	return json_wrong(p, rule);
}

int json_read_array(struct json_parse *p, yyjson_val *array, size_t max,
		      const char *too_many,
		      int (*read)(struct json_parse *p, yyjson_val *value, void *to),
		      void *to)
{
	yyjson_arr_iter iter;
	yyjson_val *value;

	if (!yyjson_is_arr(array))
		return json_wrong(p, "must be an array");
	if (yyjson_arr_size(array) > max)
		return json_wrong(p, too_many);
	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; (value = yyjson_arr_iter_next(&iter)); i++) {
		size_t back = json_push_index(p, i);
		int ret = read(p, value, to);

		if (ret)
			return ret;
		json_pop(p, back);
	}
	return 0;
}

/* ---- values ---- */

int json_read_number(struct json_parse *p, yyjson_val *value, uint64_t min,
		       uint64_t max, uint64_t *to)
{
	char rule[64];

	if (!yyjson_is_uint(value) || yyjson_get_uint(value) < min ||
	    yyjson_get_uint(value) > max) {
		snprintf(rule, sizeof(rule),
			 "must be an integer from %llu to %llu",
			 (unsigned long long)min, (unsigned long long)max);
		return json_wrong(p, rule);
	}
	*to = yyjson_get_uint(value);
	return 0;
}

int json_read_bool(struct json_parse *p, yyjson_val *value, bool *to)
{
	if (!yyjson_is_bool(value))
		return json_wrong(p, "must be true or false");
	*to = yyjson_get_bool(value);
	return 0;
}

int json_read_guid(struct json_parse *p, yyjson_val *value, struct guid *to)
{
	/* A NUL in the middle of the text ends it too early. */
	if (!yyjson_is_str(value) ||
	    yyjson_get_len(value) != GUID_TEXT_SIZE - 1 ||
	    guid_parse(yyjson_get_str(value), to))
		return json_wrong(p, "must be a GUID, "
				"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
	return 0;
}

int json_read_text(struct json_parse *p, yyjson_val *value, char *to, size_t size)
{
	const char *text = yyjson_get_str(value);
	size_t len = yyjson_get_len(value);
	bool good = text && len && len < size;
	char rule[64];

	for (size_t i = 0; good && i < len; i++)
		good = text[i] >= ' ' && text[i] <= '~';
	if (!good) {
		snprintf(rule, sizeof(rule),
			 "must be 1 to %zu bytes of printable ASCII", size - 1);
		return json_wrong(p, rule);
	}
	memcpy(to, text, len + 1);
	return 0;
}
