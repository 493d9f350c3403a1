// SPDX-License-Identifier: MIT
/*
 * Settings: JSON to structures, whole or not at all.
 *
 * What is read goes into a fresh structure, copied to the caller's when all of
 * it was good. settings_storage.c reads disks, settings_nics.c NICs,
 * settings_json.c does the walking. No thread, no state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings_json.h"
#include "settings_nics.h"
#include "settings_storage.h"

LOG_MODULE("settings");

static int top_version(struct json_parse *p, yyjson_val *value, void *to)
{
	uint64_t n;

	(void)to;
	return json_read_number(p, value, 1, 1, &n);
}

static int top_machine_id(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings *s = to;

	return json_read_guid(p, value, &s->machine_id);
}

static int top_storage(struct json_parse *p, yyjson_val *value, void *to)
{
	return json_read_array(p, value, SETTINGS_MAX_CONTROLLERS,
			       "must have at most 4 controllers",
			       settings_read_controller, to);
}

static int top_nics(struct json_parse *p, yyjson_val *value, void *to)
{
	return json_read_array(p, value, SETTINGS_MAX_NICS,
			       "must have at most 8 NICs", settings_read_nic,
			       to);
}

static int com_transmit_only(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_com *com = to;

	return json_read_bool(p, value, &com->transmit_only);
}

static int com_wait_for_rts(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_com *com = to;

	return json_read_bool(p, value, &com->wait_for_rts);
}

static int read_com(struct json_parse *p, yyjson_val *value,
		    struct settings_com *com)
{
	static const struct json_key keys[] = {
		{ "transmit_only", false, com_transmit_only },
		{ "wait_for_rts", false, com_wait_for_rts },
		{ NULL, false, NULL },
	};

	return json_read_object(p, value, keys, com);
}

static int serial_com1(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_com(p, value, &((struct settings *)to)->com[0]);
}

static int serial_com2(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_com(p, value, &((struct settings *)to)->com[1]);
}

static int top_serial(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "com1", false, serial_com1 },
		{ "com2", false, serial_com2 },
		{ NULL, false, NULL },
	};

	return json_read_object(p, value, keys, to);
}

static int rule_instance(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings *s = to;
	struct guid instance;
	int ret = json_read_guid(p, value, &instance);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < s->nr_relay_rules; i++)
		if (guid_equal(&s->relay_rule[i].instance, &instance))
			return json_wrong(p, "comes twice");
	s->relay_rule[s->nr_relay_rules].instance = instance;
	return 0;
}

static int rule_action(struct json_parse *p, yyjson_val *value, void *to)
{
	static const char *const text[] = {
		[SETTINGS_RELAY] = "relay",
		[SETTINGS_INTERCEPT] = "intercept",
		[SETTINGS_HIDE] = "hide",
	};
	struct settings *s = to;

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (yyjson_equals_str(value, text[i])) {
			s->relay_rule[s->nr_relay_rules].action = (uint8_t)i;
			return 0;
		}
	return json_wrong(p, "must be relay, intercept or hide");
}

static int read_rule(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "instance", true, rule_instance },
		{ "action", true, rule_action },
		{ NULL, false, NULL },
	};
	struct settings *s = to;
	int ret = json_read_object(p, value, keys, to);

	if (!ret)
		s->nr_relay_rules++;
	return ret;
}

static int vmbus_filter(struct json_parse *p, yyjson_val *value, void *to)
{
	return json_read_array(p, value, SETTINGS_MAX_RELAY_RULES,
			       "must have at most 64 rules", read_rule, to);
}

static int top_vmbus(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "filter", false, vmbus_filter },
		{ NULL, false, NULL },
	};

	return json_read_object(p, value, keys, to);
}

static int read_level(struct json_parse *p, yyjson_val *value,
		      enum log_level *level)
{
	static const char *const text[] = { "error", "warning", "info",
					    "debug" };

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		if (yyjson_equals_str(value, text[i])) {
			*level = (enum log_level)i;
			return 0;
		}
	return json_wrong(p, "must be error, warning, info or debug");
}

static int module_name(struct json_parse *p, const struct settings *s,
		       yyjson_val *name)
{
	const char *text = unsafe_yyjson_get_str(name);
	size_t len = yyjson_get_len(name);

	if (!len || len >= SETTINGS_MODULE_NAME || strlen(text) != len)
		return json_wrong(p, "a module's name has 1 to 23 bytes, none NUL");
	for (unsigned int i = 0; i < s->nr_modules; i++)
		if (!strcmp(s->module[i].name, text))
			return json_wrong(p, "comes twice");
	return 0;
}

static int top_log(struct json_parse *p, yyjson_val *object, void *to)
{
	struct settings *s = to;
	yyjson_obj_iter iter;
	yyjson_val *name;

	if (!yyjson_is_obj(object))
		return json_wrong(p, "must be an object");
	if (yyjson_obj_size(object) > SETTINGS_MAX_MODULES)
		return json_wrong(p, "must name at most 16 modules");
	yyjson_obj_iter_init(object, &iter);
	while ((name = yyjson_obj_iter_next(&iter))) {
		size_t back = json_push(p, unsafe_yyjson_get_str(name));
		unsigned int n = s->nr_modules;
		int ret = module_name(p, s, name);

		if (!ret)
			ret = read_level(p, yyjson_obj_iter_get_val(name),
					 &s->module[n].level);
		if (ret)
			return ret;
		strcpy(s->module[n].name, unsafe_yyjson_get_str(name));
		s->nr_modules++;
		json_pop(p, back);
	}
	return 0;
}

int settings_parse(const char *json, size_t len, struct settings *settings,
		   char *error)
{
	static const struct json_key keys[] = {
		{ "version", true, top_version },
		{ "machine_id", false, top_machine_id },
		{ "storage", false, top_storage },
		{ "nics", false, top_nics },
		{ "serial", false, top_serial },
		{ "vmbus", false, top_vmbus },
		{ "log", false, top_log },
		{ NULL, false, NULL },
	};
	struct json_parse p = { "", "out of memory" };
	struct settings *fresh = calloc(1, sizeof(*fresh));
	yyjson_read_err wrong;
	yyjson_doc *doc;
	int ret = -ENOMEM;

	_Static_assert(sizeof(p.error) == SETTINGS_ERROR_SIZE, "one size");
	if (!fresh)
		goto out;
	/* Without the in-situ flag the text is only read. */
	doc = yyjson_read_opts((char *)(uintptr_t)json, len, 0, NULL, &wrong);
	if (doc) {
		ret = json_read_object(&p, yyjson_doc_get_root(doc), keys,
				       fresh);
		yyjson_doc_free(doc);
	} else {
		snprintf(p.error, sizeof(p.error), "byte %zu: %s", wrong.pos,
			 wrong.msg);
		log_err("%s", p.error);
		ret = -EINVAL;
	}
	if (!ret)
		*settings = *fresh;
	free(fresh);
out:
	if (ret && error)
		memcpy(error, p.error, sizeof(p.error));
	return ret;
}
