// SPDX-License-Identifier: MIT
/*
 * Settings: JSON to structures, whole or not at all.
 *
 * Each object is described by a table of its keys; one function walks an
 * object by its table, so that unknown, repeated and missing keys are found
 * everywhere alike. The path to the value being read is kept as text, as a JSON
 * pointer (RFC 6901, keys as they are), for the one line that a mistake gets. What is read goes
 * into a fresh structure, copied to the caller's when all of it was good.
 *
 * No thread, no state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "settings.h"

LOG_MODULE("settings");

#define DEFAULT_QUEUE_DEPTH 64

struct parse {
	char path[160];
};

struct key {
	const char *name;
	bool required;
	/* 0, or -EINVAL and logged. */
	int (*read)(struct parse *p, yyjson_val *value, void *to);
};

static int wrong(const struct parse *p, const char *rule)
{
	log_err("%s: %s", *p->path ? p->path : "/", rule);
	return -EINVAL;
}

/* Appends one step; returns the length to go back to. */
static size_t push(struct parse *p, const char *step)
{
	size_t len = strlen(p->path);

	snprintf(p->path + len, sizeof(p->path) - len, "/%.64s", step);
	return len;
}

static size_t push_index(struct parse *p, size_t index)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", index);
	return push(p, text);
}

static void pop(struct parse *p, size_t len)
{
	p->path[len] = '\0';
}

/* ---- objects and arrays ---- */

/* A NUL in the middle of a name is part of the name. */
static const struct key *find_key(const struct key *keys, yyjson_val *name)
{
	for (; keys->name; keys++)
		if (yyjson_equals_str(name, keys->name))
			return keys;
	return NULL;
}

static int read_member(struct parse *p, yyjson_val *name, yyjson_val *value,
		       const struct key *keys, uint32_t *seen, void *to)
{
	const struct key *key = find_key(keys, name);
	size_t back = push(p, unsafe_yyjson_get_str(name));
	int ret;

	if (!key)
		return wrong(p, "unknown key");
	if (*seen & 1u << (key - keys))
		return wrong(p, "comes twice");
	*seen |= 1u << (key - keys);
	ret = key->read(p, value, to);
	if (!ret)
		pop(p, back);
	return ret;
}

/* The path stays at the offending value when this fails. */
static int read_object(struct parse *p, yyjson_val *object,
		       const struct key *keys, void *to)
{
	yyjson_obj_iter iter;
	yyjson_val *name;
	uint32_t seen = 0;

	if (!yyjson_is_obj(object))
		return wrong(p, "must be an object");
	yyjson_obj_iter_init(object, &iter);
	while ((name = yyjson_obj_iter_next(&iter))) {
		int ret = read_member(p, name, yyjson_obj_iter_get_val(name),
				      keys, &seen, to);

		if (ret)
			return ret;
	}
	for (const struct key *key = keys; key->name; key++)
		if (key->required && !(seen & 1u << (key - keys))) {
			push(p, key->name);
			return wrong(p, "missing");
		}
	return 0;
}

/* Calls `read` for each element; `max` of them at most. */
static int read_array(struct parse *p, yyjson_val *array, size_t max,
		      const char *too_many,
		      int (*read)(struct parse *p, yyjson_val *value, void *to),
		      void *to)
{
	yyjson_arr_iter iter;
	yyjson_val *value;

	if (!yyjson_is_arr(array))
		return wrong(p, "must be an array");
	if (yyjson_arr_size(array) > max)
		return wrong(p, too_many);
	yyjson_arr_iter_init(array, &iter);
	for (size_t i = 0; (value = yyjson_arr_iter_next(&iter)); i++) {
		size_t back = push_index(p, i);
		int ret = read(p, value, to);

		if (ret)
			return ret;
		pop(p, back);
	}
	return 0;
}

/* ---- values ---- */

static int read_number(struct parse *p, yyjson_val *value, uint64_t min,
		       uint64_t max, uint64_t *to)
{
	char rule[64];

	if (!yyjson_is_uint(value) || yyjson_get_uint(value) < min ||
	    yyjson_get_uint(value) > max) {
		snprintf(rule, sizeof(rule),
			 "must be an integer from %llu to %llu",
			 (unsigned long long)min, (unsigned long long)max);
		return wrong(p, rule);
	}
	*to = yyjson_get_uint(value);
	return 0;
}

static int read_guid(struct parse *p, yyjson_val *value, struct guid *to)
{
	/* A NUL in the middle of the text ends it too early. */
	if (!yyjson_is_str(value) ||
	    yyjson_get_len(value) != GUID_TEXT_SIZE - 1 ||
	    guid_parse(yyjson_get_str(value), to))
		return wrong(p, "must be a GUID, "
				"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
	return 0;
}

/* `size` has room for the NUL. */
static int read_text(struct parse *p, yyjson_val *value, char *to, size_t size)
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
		return wrong(p, rule);
	}
	memcpy(to, text, len + 1);
	return 0;
}

/* ---- a LUN ---- */

static int lun_number(struct parse *p, yyjson_val *value, void *to)
{
	struct settings_lun *lun = to;
	uint64_t n;
	int ret = read_number(p, value, 0, 63, &n);

	if (!ret)
		lun->lun = (uint8_t)n;
	return ret;
}

static int lun_read_only(struct parse *p, yyjson_val *value, void *to)
{
	struct settings_lun *lun = to;

	if (!yyjson_is_bool(value))
		return wrong(p, "must be true or false");
	lun->read_only = yyjson_get_bool(value);
	return 0;
}

#define LUN_TEXT(name)                                                     \
	static int lun_##name(struct parse *p, yyjson_val *value, void *to) \
	{                                                                   \
		struct settings_lun *lun = to;                              \
									    \
		return read_text(p, value, lun->name, sizeof(lun->name));   \
	}
LUN_TEXT(vendor)
LUN_TEXT(product)
LUN_TEXT(revision)
LUN_TEXT(serial)

static int nvme_device(struct parse *p, yyjson_val *value, void *to)
{
	struct settings_lun *lun = to;

	return read_guid(p, value, &lun->nvme_device);
}

static int nvme_nsid(struct parse *p, yyjson_val *value, void *to)
{
	struct settings_lun *lun = to;
	uint64_t n;
	int ret = read_number(p, value, 1, UINT32_MAX - 1, &n);

	if (!ret)
		lun->nsid = (uint32_t)n;
	return ret;
}

static int backend_nvme(struct parse *p, yyjson_val *value, void *to)
{
	static const struct key keys[] = { { "device", true, nvme_device },
					   { "nsid", true, nvme_nsid },
					   { NULL, false, NULL } };

	return read_object(p, value, keys, to);
}

static int lun_backend(struct parse *p, yyjson_val *value, void *to)
{
	static const struct key keys[] = { { "nvme", true, backend_nvme },
					   { NULL, false, NULL } };

	return read_object(p, value, keys, to);
}

static int read_lun(struct parse *p, yyjson_val *value, void *to)
{
	static const struct key keys[] = {
		{ "lun", true, lun_number },
		{ "backend", true, lun_backend },
		{ "read_only", false, lun_read_only },
		{ "vendor", false, lun_vendor },
		{ "product", false, lun_product },
		{ "revision", false, lun_revision },
		{ "serial", false, lun_serial },
		{ NULL, false, NULL },
	};
	struct settings_controller *c = to;
	struct settings_lun *lun = &c->lun[c->nr_luns];
	int ret = read_object(p, value, keys, lun);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < c->nr_luns; i++)
		if (c->lun[i].lun == lun->lun) {
			push(p, "lun");
			return wrong(p, "another LUN has this number");
		}
	c->nr_luns++;
	return 0;
}

/* ---- a controller ---- */

static int controller_instance(struct parse *p, yyjson_val *value, void *to)
{
	struct settings_controller *c = to;

	return read_guid(p, value, &c->instance);
}

static int controller_depth(struct parse *p, yyjson_val *value, void *to)
{
	struct settings_controller *c = to;
	uint64_t n;
	int ret = read_number(p, value, 1, 1024, &n);

	if (!ret)
		c->queue_depth = (uint16_t)n;
	return ret;
}

static int controller_sub_channels(struct parse *p, yyjson_val *value,
				   void *to)
{
	struct settings_controller *c = to;
	uint64_t n;
	int ret = read_number(p, value, 0, 63, &n);

	if (!ret)
		c->sub_channels = (uint16_t)n;
	return ret;
}

static int controller_luns(struct parse *p, yyjson_val *value, void *to)
{
	return read_array(p, value, SETTINGS_MAX_LUNS,
			  "must have at most 64 LUNs", read_lun, to);
}

static int read_controller(struct parse *p, yyjson_val *value, void *to)
{
	static const struct key keys[] = {
		{ "instance", true, controller_instance },
		{ "queue_depth", false, controller_depth },
		{ "sub_channels", false, controller_sub_channels },
		{ "luns", true, controller_luns },
		{ NULL, false, NULL },
	};
	struct settings *s = to;
	struct settings_controller *c = &s->controller[s->nr_controllers];
	int ret;

	c->queue_depth = DEFAULT_QUEUE_DEPTH;
	ret = read_object(p, value, keys, c);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < s->nr_controllers; i++)
		if (guid_equal(&s->controller[i].instance, &c->instance)) {
			push(p, "instance");
			return wrong(p, "another controller has this GUID");
		}
	s->nr_controllers++;
	return 0;
}

/* ---- the top ---- */

static int top_version(struct parse *p, yyjson_val *value, void *to)
{
	uint64_t n;

	(void)to;
	return read_number(p, value, 1, 1, &n);
}

static int top_storage(struct parse *p, yyjson_val *value, void *to)
{
	return read_array(p, value, SETTINGS_MAX_CONTROLLERS,
			  "must have at most 4 controllers", read_controller,
			  to);
}

static int top_nics(struct parse *p, yyjson_val *value, void *to)
{
	return read_array(p, value, 0, "this image has no back-end for NICs",
			  NULL, to);
}

static int top_serial(struct parse *p, yyjson_val *value, void *to)
{
	static const struct key none[] = { { NULL, false, NULL } };

	return read_object(p, value, none, to);
}

static int read_level(struct parse *p, yyjson_val *value,
		      enum log_level *level)
{
	static const char *const text[] = { "error", "warning", "info",
					    "debug" };

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (yyjson_equals_str(value, text[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	return wrong(p, "must be error, warning, info or debug");
}

static int module_name(struct parse *p, const struct settings *s,
		       yyjson_val *name)
{
	const char *text = unsafe_yyjson_get_str(name);
	size_t len = yyjson_get_len(name);

	if (!len || len >= SETTINGS_MODULE_NAME || strlen(text) != len)
		return wrong(p, "a module's name has 1 to 23 bytes, none NUL");
	for (unsigned int i = 0; i < s->nr_modules; i++)
		if (!strcmp(s->module[i].name, text))
			return wrong(p, "comes twice");
	return 0;
}

static int top_log(struct parse *p, yyjson_val *object, void *to)
{
	struct settings *s = to;
	yyjson_obj_iter iter;
	yyjson_val *name;

	if (!yyjson_is_obj(object))
		return wrong(p, "must be an object");
	if (yyjson_obj_size(object) > SETTINGS_MAX_MODULES)
		return wrong(p, "must name at most 16 modules");
	yyjson_obj_iter_init(object, &iter);
	while ((name = yyjson_obj_iter_next(&iter))) {
		size_t back = push(p, unsafe_yyjson_get_str(name));
		unsigned int n = s->nr_modules;
		int ret = module_name(p, s, name);

		if (!ret)
			ret = read_level(p, yyjson_obj_iter_get_val(name),
					 &s->module[n].level);
		if (ret)
			return ret;
		strcpy(s->module[n].name, unsafe_yyjson_get_str(name));
		s->nr_modules++;
		pop(p, back);
	}
	return 0;
}

int settings_parse(const char *json, size_t len, struct settings *settings)
{
	static const struct key keys[] = {
		{ "version", true, top_version },
		{ "storage", false, top_storage },
		{ "nics", false, top_nics },
		{ "serial", false, top_serial },
		{ "log", false, top_log },
		{ NULL, false, NULL },
	};
	struct parse p = { "" };
	yyjson_read_err error;
	struct settings *fresh;
	yyjson_doc *doc;
	int ret;

	/* Without the in-situ flag the text is only read. */
	doc = yyjson_read_opts((char *)(uintptr_t)json, len, 0, NULL, &error);
	if (!doc) {
		log_err("byte %zu: %s", error.pos, error.msg);
		return -EINVAL;
	}
	fresh = calloc(1, sizeof(*fresh));
	ret = fresh ? read_object(&p, yyjson_doc_get_root(doc), keys, fresh) :
		      -ENOMEM;
	if (!ret)
		*settings = *fresh;
	free(fresh);
	yyjson_doc_free(doc);
	return ret;
}
