/* SPDX-License-Identifier: MIT */
/*
 * A ring of bytes. Not thread-safe; cannot fail.
 */
#ifndef VMM_BYTE_RING_H
#define VMM_BYTE_RING_H

#include <stddef.h>
#include <stdint.h>

struct byte_ring {
	uint8_t *data; /* `size` bytes, the user's */
	size_t size, head, count;
};

/* Appends what there is room for; returns how many that were. */
size_t byte_ring_push(struct byte_ring *ring, const uint8_t *data,
		      size_t len);

/* Copies the oldest bytes without taking them; returns how many. */
size_t byte_ring_peek(const struct byte_ring *ring, uint8_t *data,
		      size_t len);

/* Takes the `len` oldest bytes, which must be there. */
void byte_ring_drop(struct byte_ring *ring, size_t len);

#endif
