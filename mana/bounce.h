/* SPDX-License-Identifier: MIT */
/*
 * Memory of our own that a device reaches, for what it cannot take from the
 * guest as it lies: pieces are taken and given back in one order.
 */
#ifndef MANA_BOUNCE_H
#define MANA_BOUNCE_H

#include <stdint.h>

#define BOUNCE_ALIGN 64u

struct bounce {
	uint8_t *va;   /* registered under its own address */
	uint32_t size; /* a power of two */
	uint32_t key;
	uint32_t head, tail; /* bytes, free running */
};

/* A piece of `len` bytes (> 0), or NULL: no room before others come back.
 * Adds to *taken what is to be given back for it. */
static inline uint8_t *bounce_take(struct bounce *b, uint32_t len,
				   uint32_t *taken)
{
	uint32_t need = (len + BOUNCE_ALIGN - 1) & ~(BOUNCE_ALIGN - 1);
	uint32_t at, skip;

	if (b->head == b->tail)
		b->head = b->tail = 0;
	at = b->head & (b->size - 1);
	skip = need > b->size - at ? b->size - at : 0;
	if (need > b->size || skip + need > b->size - (b->head - b->tail))
		return NULL;
	b->head += skip + need;
	*taken += skip + need;
	return b->va + (skip ? 0 : at);
}

/* The newest piece was not used after all. */
static inline void bounce_untake(struct bounce *b, uint32_t taken)
{
	b->head -= taken;
}

static inline void bounce_give(struct bounce *b, uint32_t taken)
{
	b->tail += taken;
}

#endif
