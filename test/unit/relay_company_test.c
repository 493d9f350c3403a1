/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/company.c paravisor/inspect.c paravisor/log.c */
/*
 * The window of a hold against guests whose depth is fixed: how many requests
 * a look finds, what that costs them, and that windows stay within bounds.
 *
 * The guest sends a request every `gap`, as long as it has any, and has one
 * again when it ended. The device takes each at once and ends it after
 * `latency`. It is either far, then the guest goes on meanwhile, or near: then
 * it ends before the guest gets its processor back, as where all share one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/company.h"

#define US 1000ull
#define MS 1000000ull
#define NEVER UINT64_MAX
#define PAUSE 8u /* as StorVSP: so many under way, and it waits for them */
#define MAX_DEPTH 64u

struct world {
	uint32_t depth;
	uint64_t gap, latency;
	bool near, moderate;

	struct company c;
	uint64_t now, next_push, hold;
	uint32_t hand, queued, shed; /* shed: not to come back when they end */
	bool masked;
	/* At the device, the oldest first. */
	uint64_t end[MAX_DEPTH], begun[MAX_DEPTH];
	uint32_t first, under_way;
	/* Since it was asked last. */
	uint64_t signals, looks, batches, taken, done, timers;
	uint64_t longest;
};

static void submit(struct world *w)
{
	w->batches += w->queued > 0;
	w->taken += w->queued;
	for (; w->queued; w->queued--) {
		uint32_t at = (w->first + w->under_way++) % MAX_DEPTH;

		w->begun[at] = w->now;
		w->end[at] = w->now + w->latency;
	}
}

/* A look: `timed`: it ends a hold; `ended`: something did. */
static void look(struct world *w, bool timed, bool ended)
{
	uint64_t ns = 0;

	if (w->moderate && ended &&
	    (w->hold != NEVER ||
	     (w->masked && w->under_way >= PAUSE &&
	      !company_worth(&w->c, w->under_way))))
		return;
	w->looks++;
	submit(w);
	if (!w->moderate) {
		w->masked = w->under_way >= PAUSE;
		return;
	}
	company_seen(&w->c, w->under_way);
	if (timed)
		company_waited(&w->c, w->under_way);
	w->masked = true;
	if (w->under_way >= PAUSE || w->hold != NEVER)
		return;
	ns = company_wait(&w->c, w->under_way);
	assert_true(ns <= 10 * MS && ns <= w->c.service);
	w->masked = ns;
	if (!ns)
		return;
	w->hold = w->now + ns;
	w->longest = ns > w->longest ? ns : w->longest;
}

static void complete(struct world *w)
{
	while (w->under_way && w->end[w->first % MAX_DEPTH] <= w->now) {
		company_served(&w->c, w->now - w->begun[w->first % MAX_DEPTH]);
		w->first++;
		w->under_way--;
		w->done++;
		if (w->shed) {
			w->shed--;
			continue;
		}
		if (!w->hand++ && w->next_push < w->now + w->gap)
			w->next_push = w->now + w->gap;
	}
	look(w, false, true);
}

/* A near device: the guest stands still until it is through. */
static void wait_near(struct world *w)
{
	uint64_t since = w->now;
	bool has = w->hand;

	while (w->near && w->under_way) {
		w->now = w->end[w->first % MAX_DEPTH];
		complete(w);
	}
	if (has)
		w->next_push += w->now - since;
}

static void push(struct world *w)
{
	w->hand--;
	w->queued++;
	w->next_push += w->gap;
	if (w->masked || w->queued > 1)
		return;
	w->signals++;
	company_signalled(&w->c);
	look(w, false, false);
	wait_near(w);
}

static void run(struct world *w, uint64_t requests)
{
	uint64_t until = w->done + requests;

	w->signals = w->looks = w->batches = w->taken = w->timers = 0;
	w->longest = 0;
	while (w->done < until) {
		uint64_t pushed = w->hand ? w->next_push : NEVER;
		uint64_t ended = w->under_way ? w->end[w->first % MAX_DEPTH] :
						NEVER;

		if (ended <= pushed && ended <= w->hold) {
			assert_int_not_equal(ended, NEVER); /* all asleep */
			w->now = ended > w->now ? ended : w->now;
			complete(w);
		} else if (w->hold <= pushed) {
			w->now = w->hold > w->now ? w->hold : w->now;
			w->hold = NEVER;
			w->timers++;
			look(w, true, false);
			wait_near(w);
		} else {
			w->now = pushed > w->now ? pushed : w->now;
			push(w);
		}
	}
}

static void begin(struct world *w, uint32_t depth, uint64_t gap,
		  uint64_t latency, bool near, bool moderate)
{
	memset(w, 0, sizeof(*w));
	w->depth = w->hand = depth;
	w->gap = gap;
	w->latency = latency;
	w->near = near;
	w->moderate = moderate;
	w->hold = NEVER;
	w->now = w->next_push = 1;
	company_init(&w->c);
}

/* How long so many requests take in the end. */
static uint64_t time_of(struct world *w, uint64_t requests)
{
	uint64_t since;

	run(w, 4000);
	since = w->now;
	run(w, requests);
	return w->now - since;
}

static const uint64_t gaps[] = { 2 * US, 10 * US, 50 * US, 200 * US, 500 * US };
static const uint64_t latencies[] = { 10 * US, 50 * US, 100 * US, 500 * US,
				      1 * MS, 3 * MS, 10 * MS };
static const uint32_t depths[] = { 1, 2, 4, 8, 32 };

static void each(void (*test)(uint32_t depth, uint64_t gap, uint64_t latency,
			      bool near))
{
	for (unsigned int d = 0; d < sizeof(depths) / sizeof(*depths); d++)
		for (unsigned int g = 0; g < sizeof(gaps) / sizeof(*gaps); g++)
			for (unsigned int l = 0; l < sizeof(latencies) / 8; l++)
				for (int near = 0; near < 2; near++)
					test(depths[d], gaps[g], latencies[l],
					     near);
}

struct result {
	double batch, signals, timers, ratio;
	uint64_t window, service;
};

static struct result result_of(uint32_t depth, uint64_t gap, uint64_t latency,
			       bool near)
{
	const uint64_t requests = 8000;
	struct world with, without;
	struct result r;

	begin(&with, depth, gap, latency, near, true);
	begin(&without, depth, gap, latency, near, false);
	r.ratio = (double)time_of(&with, requests);
	r.ratio /= (double)time_of(&without, requests);
	r.batch = (double)with.taken / (double)with.batches;
	r.signals = (double)with.signals / (double)requests;
	r.timers = (double)with.timers / (double)requests;
	r.window = with.c.window;
	r.service = with.c.service;
	return r;
}

/* So many are to be had in one look, if waiting may take one latency. */
static double to_be_had(uint32_t depth, uint64_t gap, uint64_t latency)
{
	double fit = (double)latency / (double)gap;

	return fit < depth ? fit : depth;
}

static void good(uint32_t depth, uint64_t gap, uint64_t latency, bool near)
{
	struct result r = result_of(depth, gap, latency, near);
	double most = to_be_had(depth, gap, latency);
	bool bad = r.ratio > 1.1;

	if (depth < 4)
		bad |= r.ratio > 1.02 || r.timers > 0.02;
	if (near && most >= 6)
		bad |= r.batch < most * 0.65 || r.signals > 0.01 ||
		       r.timers > 2 / most;
	if (near && depth == 32 && latency >= 24 * gap)
		bad |= r.batch < 16;
	if (near && depth >= 4 && latency >= 4 * depth * gap)
		bad |= r.window > 2 * depth * gap;
	if (!near && depth == 32 && latency >= depth * gap)
		bad |= r.batch < 8 || r.signals > 0.01;
	if (!bad)
		return;
	print_error("depth %u, gap %llu us, latency %llu us, %s: batches of "
		    "%.2f, signals %.3f, timers %.3f, time %.3f, window %llu "
		    "ns\n", depth, (unsigned long long)(gap / US),
		    (unsigned long long)(latency / US), near ? "near" : "far",
		    r.batch, r.signals, r.timers, r.ratio,
		    (unsigned long long)r.window);
	fail();
}

static void converges(void **state)
{
	(void)state;
	each(good);
}

/* The guest does another thing from now on. */
static void change(struct world *w, uint32_t depth, uint64_t gap)
{
	while (w->depth < depth) {
		w->depth++;
		w->hand++;
	}
	w->next_push = w->now > w->next_push ? w->now : w->next_push;
	w->gap = gap;
	w->shed = w->depth - depth;
	w->depth = depth;
}

static void follows(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 32, 2 * US, 1 * MS, true, true);
	run(&w, 4000);
	assert_in_range(w.c.window, 32 * US, 128 * US);

	/* A guest that got slower. */
	change(&w, 32, 20 * US);
	run(&w, 4000);
	run(&w, 4000);
	assert_true(w.taken >= 16 * w.batches);
	assert_in_range(w.c.window, 320 * US, 1 * MS);

	/* One request, and it is as if nothing had been; but for probes. */
	change(&w, 1, 20 * US);
	run(&w, 96);
	assert_false(w.c.on);
	run(&w, 2000);
	assert_in_range(w.timers, 2000 / 256, 2000 / 64);
	assert_true(w.signals + w.timers >= 2000);

	/* And many again: seen by a probe. */
	change(&w, 32, 5 * US);
	run(&w, 512);
	run(&w, 4000);
	assert_true(w.taken >= 16 * w.batches);

	/* A faster device is waited for less. */
	w.latency = 50 * US;
	run(&w, 4000);
	assert_true(w.c.window <= 51 * US);
	assert_true(w.longest <= 1 * MS);
	run(&w, 4000);
	assert_true(w.longest <= 51 * US);
}

/* It is only looked at: after a while nobody waits. */
static void falls_asleep(void **state)
{
	struct company c;

	(void)state;
	company_init(&c);
	for (unsigned int i = 0; i < 200; i++)
		company_signalled(&c);
	company_seen(&c, 0);
	/* Nobody knows how long a request takes. */
	assert_int_equal(company_wait(&c, 0), 0);
	assert_true(company_calm(&c, 3));
	company_served(&c, 100 * US);
	for (unsigned int i = 0; i < 200; i++)
		company_signalled(&c);
	assert_false(company_calm(&c, 1));
	/* The probe waits until nothing is under way. */
	company_seen(&c, 1);
	assert_int_equal(company_wait(&c, 1), 0);
	company_seen(&c, 0);
	assert_int_equal(company_wait(&c, 0), 100 * US);
	company_seen(&c, 1);
	company_waited(&c, 1);
	company_seen(&c, 0);
	assert_int_equal(company_wait(&c, 0), 0);
	assert_false(c.on);

	company_signalled(&c);
	company_seen(&c, 7);
	assert_true(c.on);
	/* Nobody is missing. */
	assert_int_equal(company_wait(&c, 7), 0);
	company_seen(&c, 0);
	assert_in_range(company_wait(&c, 0), 1, 100 * US);
	company_seen(&c, 0);
	company_waited(&c, 0);
	/* Nobody came: the next one signals. */
	assert_int_equal(company_wait(&c, 0), 0);
	company_signalled(&c);
	assert_in_range(company_wait(&c, 0), 1, 100 * US);
	for (unsigned int i = 0; i < 7; i++) {
		assert_true(c.on);
		company_seen(&c, 1);
		company_waited(&c, 1);
	}
	assert_false(c.on);
}

/* Of two disks the fast one's time counts; what takes none is not waited
 * for. */
static void leans_to_the_fast(void **state)
{
	struct company c;

	(void)state;
	company_init(&c);
	company_served(&c, 10 * MS);
	for (unsigned int i = 0; i < 40; i++)
		company_served(&c, i % 4 ? 100 * US : 10000 * MS);
	assert_in_range(c.service, 100 * US, 150 * US);
	for (unsigned int i = 0; i < 40; i++)
		company_served(&c, 5000 * MS);
	company_seen(&c, 8);
	assert_in_range(company_wait(&c, 0), 1, 10 * MS);
	for (unsigned int i = 0; i < 40; i++)
		company_served(&c, 1);
	assert_int_equal(company_wait(&c, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(converges),
		cmocka_unit_test(follows),
		cmocka_unit_test(falls_asleep),
		cmocka_unit_test(leans_to_the_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
