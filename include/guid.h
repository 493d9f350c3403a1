/* SPDX-License-Identifier: MIT */
/*
 * GUIDs as VMBus carries them: 16 bytes, the first three fields little-endian
 * (RFC 4122 calls this the "mixed-endian" or variant-2 byte order).
 *
 * Text form: xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, lower case when printed.
 */
#ifndef GUID_H
#define GUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct guid {
	uint8_t b[16];
};
_Static_assert(sizeof(struct guid) == 16, "GUIDs are 16 bytes on the wire");

#define GUID_TEXT_SIZE 37 /* 36 characters and the terminating NUL */

/* One initialiser per GUID, written in the order of its text form. */
#define GUID_INIT(a, b1, c, d0, d1, d2, d3, d4, d5, d6, d7)                   \
	{ { (a) & 0xff, (a) >> 8 & 0xff, (a) >> 16 & 0xff, (uint32_t)(a) >> 24, \
	    (b1) & 0xff, (b1) >> 8 & 0xff, (c) & 0xff, (c) >> 8 & 0xff,        \
	    (d0), (d1), (d2), (d3), (d4), (d5), (d6), (d7) } }

static inline bool guid_equal(const struct guid *a, const struct guid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* guid.c, built into the daemon and into vmm. */

/* Writes the text form; returns `text` so that it can be used in a log call. */
const char *guid_print(const struct guid *guid, char text[GUID_TEXT_SIZE]);

/* Parses exactly 36 characters. Returns 0, or -EINVAL with *guid untouched. */
int guid_parse(const char *text, struct guid *guid);

#endif
