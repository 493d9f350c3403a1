/* SPDX-License-Identifier: MIT */
/*
 * SHA-384 (FIPS 180-4), for the digests of the map file and of igvm-dump.
 */
#ifndef SHA384_H
#define SHA384_H

#include <stddef.h>
#include <stdint.h>

#define SHA384_SIZE 48
#define SHA384_TEXT_SIZE 97 /* hexadecimal and the terminating NUL */

struct sha384 {
	uint64_t state[8];
	uint64_t bytes; /* hashed so far, block included */
	uint8_t block[128];
};

/* begin, any number of adds, end. `end` leaves *s to be begun again. */
void sha384_begin(struct sha384 *s);
void sha384_add(struct sha384 *s, const void *bytes, size_t len);
void sha384_end(struct sha384 *s, uint8_t digest[SHA384_SIZE]);

/* Writes lower-case hexadecimal; returns `text`. */
const char *sha384_print(const uint8_t digest[SHA384_SIZE],
			 char text[SHA384_TEXT_SIZE]);

#endif
