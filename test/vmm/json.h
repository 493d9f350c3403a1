/* SPDX-License-Identifier: MIT */
/*
 * Just enough JSON (RFC 8259) for vmm: is a text well formed, and where is a
 * member of an object. Values stay text; nothing is allocated.
 */
#ifndef VMM_JSON_H
#define VMM_JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json_span {
	const char *at; /* not terminated */
	size_t len;
};

/*
 * Checks that the text is one JSON value with nothing but white space around
 * it, at most JSON_MAX_DEPTH levels deep. Returns 0 with the value in *value,
 * or -EINVAL with the offset of the first wrong byte in *wrong.
 */
#define JSON_MAX_DEPTH 32
int json_check(const char *text, size_t len, struct json_span *value,
	       size_t *wrong);

/* Finds a member of an object that json_check() passed. Names with escapes
 * are never found; of equal names, the first is. *value is set only then. */
bool json_member(struct json_span object, const char *name,
		 struct json_span *value);

/* Whether the value is this string (no escapes) or, without quotes in `text`,
 * this number or literal as it is written. */
bool json_is_string(struct json_span value, const char *text);
bool json_is_literal(struct json_span value, const char *text);

#endif
