/* SPDX-License-Identifier: MIT */
/*
 * Company, theory of operation
 *
 * A guest that signals each request makes us look at each alone: an exit, a
 * submission, a doorbell, an interrupt and a signal back for every one. Where
 * the device is fast it stays that way, however many the guest has to send: its
 * processor is here, not there, until the request has ended. So when a guest is
 * known to have many requests, its queue is left masked for a while, a hold,
 * and the next look takes what came meanwhile, all of it at once:
 *
 *	          company seen, or a probe found it
 *	  off ------------------------------------------> on
 *	   ^    signalled, as if this were not here        | hold, look, hold ...
 *	   `-----------------------------------------------'
 *	     eight holds that found at most one, or an epoch without four
 *
 * What is seen: how many requests of the guest's are with us at once. That
 * never exceeds what the guest has in all, so the most of some time is a safe
 * measure of it. It is that of this epoch and of the last one, an epoch being
 * EPOCH looks. While half of them are at the device nobody is waited for:
 * its completions make us look before long. While seven eighths are, those are
 * not worth a look each. A hold in which nobody came is the last, until a
 * signal.
 *
 * The window of a hold is as long as the guest takes to send again what it was
 * given, which depends on both machines and on the load: of the most, three
 * quarters shall be here at its end. Fewer, and it grows; nearly all, and it
 * shrinks. A guest that computes all the time would always seem to have as many
 * as fit into the window. So the first hold of an epoch is twice as long; if
 * that finds more by a quarter, the window stays so, and is tried again.
 *
 * Bounds: a window is never longer than what a request takes at the device, so
 * that waiting doubles a latency at most, nor than COMPANY_LONGEST_NS. What a
 * request takes is learnt from samples, quickly when they are shorter and slowly
 * when they are longer: of a fast disk beside a slow one, the fast one's counts.
 *
 * Off: a guest with one request looks just like one with many whose device is
 * fast, so a rare signal is followed by a hold all the same, one in PROBE_LAST;
 * it costs that many times less than a request.
 *
 * Threads: the owner's. Failure answers: none.
 */
#include <string.h>

#include <pv/inspect.h>

#include "company.h"

#define EPOCH 32u
#define ALONE 8u
#define PROBE_FIRST 8u
#define PROBE_LAST 128u

void company_init(struct company *c)
{
	memset(c, 0, sizeof(*c));
	c->rare = PROBE_FIRST;
}

void company_served(struct company *c, uint64_t ns)
{
	uint64_t more = ns - c->service;

	if (!c->service)
		c->service = ns ? ns : 1;
	else if (ns < c->service)
		c->service -= (c->service - ns) / 2;
	else
		c->service += (more < c->service ? more : c->service) / 8;
}

static void set_window(struct company *c, uint64_t ns)
{
	c->window = ns < COMPANY_SHORTEST_NS ? COMPANY_SHORTEST_NS : ns;
	if (c->window > company_limit(c))
		c->window = company_limit(c);
}

static void begin_epoch(struct company *c)
{
	c->before = c->most;
	c->most = 0;
	c->looks = 0;
	c->probing = c->on;
}

static void switch_to(struct company *c, bool on)
{
	c->on = on;
	if (!on)
		c->most = 0;
	c->alone = c->quiet = 0;
	c->rare = PROBE_FIRST;
	begin_epoch(c);
	set_window(c, company_limit(c));
}

void company_seen(struct company *c, uint32_t together)
{
	if (together > c->most)
		c->most = together;
	if (!c->on && c->service >= COMPANY_SHORTEST_NS && c->most >= COMPANY)
		switch_to(c, true);
	else if (c->on && c->looks == EPOCH && company_most(c) < COMPANY)
		switch_to(c, false);
	else if (c->looks++ == EPOCH)
		begin_epoch(c);
}

uint64_t company_wait(struct company *c, uint32_t together)
{
	uint64_t ns;

	if (c->service < COMPANY_SHORTEST_NS || c->idle)
		return 0;
	if (c->on ? together * 2 >= company_most(c) :
		    together || c->quiet < c->rare)
		return 0;
	c->holds += !c->holding;
	c->holding = true;
	ns = c->probing ? 2 * c->window : c->window;
	return c->on && ns < company_limit(c) ? ns : company_limit(c);
}

/* The window follows what came in it. */
static void adapt(struct company *c, uint32_t together)
{
	uint32_t of = company_most(c);

	if (c->probing) {
		/* What it found is in `most` already, if it was more. */
		c->probing = together == of && of * 4 > c->last * 5;
		set_window(c, c->probing ? 2 * c->window : c->window);
	} else if (together * 4 < of * 3) {
		set_window(c, c->window * 3 / 2);
	} else if (together * 8 >= of * 7) {
		set_window(c, c->window * 7 / 8);
	} else {
		set_window(c, c->window); /* the limit may be another */
	}
	c->last = together;
}

void company_waited(struct company *c, uint32_t together)
{
	c->holding = false;
	c->idle = !together;
	if (!c->on) {
		/* A probe that found nobody, or the mode ended just now. */
		c->quiet = 0;
		if (c->rare < PROBE_LAST)
			c->rare *= 2;
		return;
	}
	c->found += together >= COMPANY;
	c->alone = together > 1 ? 0 : c->alone + 1;
	if (c->alone == ALONE)
		switch_to(c, false);
	else
		adapt(c, together);
}

void company_inspect(const struct company *c, struct inspect *out)
{
	inspect_bool(out, "holding", c->on);
	inspect_u64(out, "holds", c->holds);
	inspect_u64(out, "holds_found", c->found);
	inspect_u64(out, "window_ns", c->window);
	inspect_u64(out, "service_ns", c->service);
}
