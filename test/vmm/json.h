/* SPDX-License-Identifier: MIT */
/*
 * Just enough JSON (RFC 8259) for vmm: is a text well formed, and where is a
 * member of an object. Values stay text; nothing is allocated. And how to write
 * a string.
 */
#ifndef VMM_JSON_H
#define VMM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

/* Steps through the members of such an object. False: there are no more. Begin
 * with value->at NULL. `name` has its quotes. */
bool json_next(struct json_span object, struct json_span *name,
	       struct json_span *value);

/* The same for the elements of an array. */
bool json_element(struct json_span array, struct json_span *value);

/* The string without quotes and escapes, with a 0 behind. -EINVAL: the value is
 * no string, or one with a 0 or a lone surrogate in it; -ENAMETOOLONG. */
int json_text(struct json_span value, char *text, size_t size);

/* -EINVAL: not a whole number without sign and exponent; -ERANGE: above max. */
int json_number(struct json_span value, uint64_t max, uint64_t *number);

/* Writes `text` as a string, quotes included. */
void json_write(FILE *out, const char *text);

/* Whether the value is this string (no escapes) or, without quotes in `text`,
 * this number or literal as it is written. */
bool json_is_string(struct json_span value, const char *text);
bool json_is_literal(struct json_span value, const char *text);

#endif
