/* SPDX-License-Identifier: MIT */
/*
 * Where completions say that they belong, theory of operation
 *
 * Completions come in the order of a queue's entries. Each says, too, where its
 * entry lies; that is for diagnosis, and what it counts in, and from where, is
 * written down nowhere. But with one completion too few or too many each later
 * one stands for another entry, for ever. So what they say is compared, once the
 * device has earned it:
 *
 *	            SURE right ones in a row
 *	  learning --------------------------> sure --- wrong: the queue breaks,
 *	     | wrong                             |      and is made anew
 *	     v                                   |
 *	   never <-------------------------------'
 *	            STRIKES queues broke that had not been right for long
 *
 * Better a fault that is not seen than a NIC that breaks without one: a device
 * whose later queues begin elsewhere is left alone after some rebuilds.
 *
 * Each kind of completion has to earn it for itself, of all queues of a vport and
 * over their rebuilds. Threads: any of its queues'.
 */
#ifndef MANA_PLACES_H
#define MANA_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PLACES_SURE 64u
#define PLACES_NEVER UINT32_MAX
#define PLACES_STRIKES 8u

enum places_kind { PLACES_TX, PLACES_RX, PLACES_RX_COALESCED, PLACES_KINDS };

struct places {
	atomic_uint right;   /* in a row, up to PLACES_SURE; or PLACES_NEVER */
	atomic_uint strikes; /* queues that broke early, one after the other */
};

/* The completion named the expected entry, or another one. `mine`: right ones of
 * this queue, up to PLACES_SURE. False: the queue is broken. */
static inline bool places_good(struct places *p, uint8_t *mine, bool same)
{
	unsigned int right = atomic_load_explicit(&p->right,
						  memory_order_relaxed);

	if (same && right >= PLACES_SURE && *mine == PLACES_SURE)
		return true;
	if (same) {
		if (*mine < PLACES_SURE && ++*mine == PLACES_SURE)
			atomic_store(&p->strikes, 0);
		if (right < PLACES_SURE) /* unless another was wrong just now */
			atomic_compare_exchange_strong(&p->right, &right,
						       right + 1);
		return true;
	}
	if (right == PLACES_NEVER)
		return true;
	if (right == PLACES_SURE &&
	    (*mine == PLACES_SURE ||
	     atomic_fetch_add(&p->strikes, 1) < PLACES_STRIKES))
		return false;
	atomic_store(&p->right, PLACES_NEVER);
	return true;
}

/* Are they compared? */
static inline bool places_sure(struct places *p)
{
	return atomic_load_explicit(&p->right, memory_order_relaxed) ==
	       PLACES_SURE;
}

#endif
