/* SPDX-License-Identifier: MIT */
/*
 * JSON by tables: objects whose keys are known, with the place of the one
 * mistake that ends the reading. What settings*.c read with.
 *
 * Every function that returns int: 0, or -EINVAL with the mistake in p->error
 * and logged.
 */
#ifndef SETTINGS_JSON_H
#define SETTINGS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include <guid.h>

#define JSON_ERROR_SIZE 256 /* = SETTINGS_ERROR_SIZE */

struct json_parse {
	/* JSON pointer (RFC 6901, keys as they are) of what is being read; it
	 * stays at the offending value. */
	char path[160];
	char error[JSON_ERROR_SIZE]; /* "POINTER: RULE" */
};

struct json_key {
	const char *name; /* NULL ends a table, of at most 32 */
	bool required;
	int (*read)(struct json_parse *p, yyjson_val *value, void *to);
};

int json_wrong(struct json_parse *p, const char *rule);

/* Appends a step to the path; the result is what json_pop() takes. */
size_t json_push(struct json_parse *p, const char *step);
size_t json_push_index(struct json_parse *p, size_t index);
void json_pop(struct json_parse *p, size_t len);

int json_read_object(struct json_parse *p, yyjson_val *object,
		     const struct json_key *keys, void *to);
/* An object with one of the keys in it, and only one. */
int json_read_choice(struct json_parse *p, yyjson_val *value,
		     const struct json_key *keys, void *to);
/* Calls `read` for each element; `max` of them at most. */
int json_read_array(struct json_parse *p, yyjson_val *array, size_t max,
		    const char *too_many,
		    int (*read)(struct json_parse *p, yyjson_val *value,
				void *to),
		    void *to);

int json_read_number(struct json_parse *p, yyjson_val *value, uint64_t min,
		     uint64_t max, uint64_t *to);
int json_read_bool(struct json_parse *p, yyjson_val *value, bool *to);
int json_read_guid(struct json_parse *p, yyjson_val *value, struct guid *to);
/* Printable ASCII; `size` has room for the NUL. */
int json_read_text(struct json_parse *p, yyjson_val *value, char *to,
		   size_t size);

#endif
