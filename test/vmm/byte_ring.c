/* SPDX-License-Identifier: MIT */
/*
 * Byte ring, theory of operation
 *
 * `count` bytes lie from `head` on, wrapping at `size`. Owns nothing: the
 * memory is the user's, and so is the lock.
 */
#include <string.h>

#include "byte_ring.h"

size_t byte_ring_push(struct byte_ring *ring, const uint8_t *data,
		      size_t len)
{
	size_t room = ring->size - ring->count, done = 0;

	if (len > room)
		len = room;
	while (done < len) {
		size_t at = (ring->head + ring->count) % ring->size;
		size_t n = ring->size - at;

		if (n > len - done)
			n = len - done;
		memcpy(ring->data + at, data + done, n);
		ring->count += n;
		done += n;
	}
	return len;
}

void byte_ring_drop(struct byte_ring *ring, size_t len)
{
	ring->head = (ring->head + len) % ring->size;
	ring->count -= len;
}

size_t byte_ring_peek(const struct byte_ring *ring, uint8_t *data,
		      size_t len)
{
	size_t first;

	if (len > ring->count)
		len = ring->count;
	first = ring->size - ring->head;
	if (first > len)
		first = len;
	memcpy(data, ring->data + ring->head, first);
	memcpy(data + first, ring->data, len - first);
	return len;
}
