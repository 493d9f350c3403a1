/* SPDX-License-Identifier: MIT */
/*
 * Company: how long a queue that a guest fills may stay masked, so that its
 * next look finds many requests instead of one. See company.c.
 *
 * It only reckons: the owner has the queue, the mask, the timer and the clock.
 * Units: nanoseconds, and requests; `together` is how many requests of the
 * guest's the owner has right now, taken lately and not ended. Threads: the
 * owner's. Errors: none.
 */
#ifndef RELAY_COMPANY_H
#define RELAY_COMPANY_H

#include <stdbool.h>
#include <stdint.h>

#define COMPANY 4u /* as many are one */
/* Who has a device that is faster is not waited for. */
#define COMPANY_SHORTEST_NS 2000ull
/* No hold is longer. */
#define COMPANY_LONGEST_NS 10000000ull

struct inspect;

struct company {
	uint64_t service;      /* time of a request at its device; 0: unknown */
	uint64_t window;       /* of a hold */
	uint32_t most, before; /* together, in this epoch and in the last */
	uint32_t last;	       /* together, after a hold */
	bool on;
	bool holding; /* wait() said so, and waited() did not come yet */
	bool probing; /* longer than the window, on purpose */
	bool idle;    /* nobody came, and no signal since */
	uint8_t looks;	     /* of this epoch */
	uint8_t alone;	     /* holds without company, one after the other */
	uint8_t quiet, rare; /* signals since a probe, and until the next */
	uint64_t holds, found;
};

void company_init(struct company *c);

/* A request was at its device for so long. Not of each: now and then. */
void company_served(struct company *c, uint64_t ns);

/* As long as a request takes, and no longer than that: of any waiting that is
 * not to do more than double it. 0: unknown. */
static inline uint64_t company_limit(const struct company *c)
{
	return c->service < COMPANY_LONGEST_NS ? c->service :
						 COMPANY_LONGEST_NS;
}

/* So many were here at once, lately. */
static inline uint32_t company_most(const struct company *c)
{
	return c->most > c->before ? c->most : c->before;
}

/* The guest signalled. */
static inline void company_signalled(struct company *c)
{
	c->quiet += c->quiet < c->rare && c->service >= COMPANY_SHORTEST_NS;
	c->idle = false;
}

/* So many are here, and there is nothing to see or to do: the two calls below
 * need not be. */
static inline bool company_calm(const struct company *c, uint32_t together)
{
	return !c->on && together < COMPANY && c->quiet < c->rare;
}

/* Requests ended, so many are left, and as long as that is it will be asked
 * again: shall we look for others already? */
static inline bool company_worth(const struct company *c, uint32_t together)
{
	return !c->on || together * 8 < company_most(c) * 7;
}

/* A look is over and so many are here. */
void company_seen(struct company *c, uint32_t together);

/* After that, unless a hold is under way: for how long to leave the queue
 * masked and not to look. 0: unmask it. */
uint64_t company_wait(struct company *c, uint32_t together);

/* The look was for the end of a hold. After company_seen(). */
void company_waited(struct company *c, uint32_t together);

void company_inspect(const struct company *c, struct inspect *out);

#endif
