// SPDX-License-Identifier: MIT
/*
 * What the kernel and libmana tell of a MANA device while its objects are made
 * and unmade: limits, numbers and sizes of rings, events, refusals of any call;
 * and answers of the kernel about a link.
 *
 * Input: which of the two; then, for objects, depths and a table, and a byte
 * for each call that mana/verbs.c makes, in its order: 0 is good, anything else
 * fails with one of some errors, or says what can not be. For a link, answers
 * as they come from a socket.
 *
 * mana_verbs_library.c plays libibverbs: nothing is destroyed twice, before its
 * users, or with an event that was not acknowledged; nothing is left in the
 * end, unless a destroying call failed. What is believed of a ring is what was
 * said of it, if that can be, and after an error nothing is believed. A queue
 * breaks when its events end, not sooner.
 *
 * Each queue has three rings of 8 KiB, from the allocator that is under test,
 * cleared by it and looked at: about 25000 inputs a second.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mana/device.h"
#include "mana/verbs.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/mana_verbs_library.h"
#include "test/fuzz/reactor_fifo.h"

#define QUEUES 4
#define MAX_STEPS 16

static struct nic_queue queue[QUEUES];
static unsigned int nr_broken[QUEUES];
static struct guest_memory memory;
static _Alignas(4096) uint8_t ram[2][4096];

/* Queues are attached to no reactor here. */
int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	(void)watch;
	return -EMFILE;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	(void)watch;
}

/* What the queues say. */
static void on_broken(struct nic_queue *q, const char *why)
{
	fuzz_expect(why && library.ended && !nr_broken[q - queue], q - queue,
		    library.ended);
	nr_broken[q - queue]++;
}

/* ---- objects: a life ---- */

static void check_limits(const struct verbs_limits *limits)
{
	unsigned int d = limits->max_depth, n = limits->max_queues;

	fuzz_expect(d >= MANA_MIN_DEPTH && d <= MANA_MAX_DEPTH &&
		    !(d & (d - 1)), d, n);
	fuzz_expect(n && n <= NIC_MAX_QUEUES && !(n & (n - 1)), n, d);
}

static void check_keys(const struct mana_keys *keys)
{
	bool all = true;

	fuzz_expect(keys->nr == memory.nr_ranges, keys->nr, 0);
	for (unsigned int i = 0; i < keys->nr; i++) {
		fuzz_expect(keys->range[i].gpa == memory.range[i].gpa &&
			    keys->range[i].size == memory.range[i].size, i, 0);
		fuzz_expect(!keys->range[i].key == !keys->range[i].good, i,
			    keys->range[i].key);
		all &= keys->range[i].good;
	}
	fuzz_expect(keys->all == all, keys->all, all);
}

static void check_wq(const struct mana_wq *wq)
{
	fuzz_expect(wq->ring && wq->size >= 4096 && wq->size <= RING &&
		    !(wq->size & (wq->size - 1)) && wq->id <= MANA_ID_MASK,
		    wq->size, wq->id);
	fuzz_expect(!wq->head && !wq->tail, wq->head, wq->tail);
}

static void check_cq(const struct mana_cq *cq)
{
	fuzz_expect(cq->ring && cq->count && cq->count <= RING / 64 &&
		    !(cq->count & (cq->count - 1)) && cq->id <= MANA_ID_MASK,
		    cq->count, cq->id);
	fuzz_expect(cq->head == cq->count && cq->armed, cq->head, cq->count);
}

static void check_queues(unsigned int nr, const uint16_t *order,
			 unsigned int nr_order)
{
	for (unsigned int i = 0; i < nr; i++) {
		const struct nic_queue *q = &queue[i];
		bool receives = false;

		for (unsigned int n = 0; n < nr_order; n++)
			receives |= order[n] == i;
		fuzz_expect(q->receives == receives, i, receives);
		check_wq(&q->sq);
		check_cq(&q->tx_cq);
		check_wq(&q->rq);
		if (receives)
			check_cq(&q->rx_cq);
		fuzz_expect(q->doorbells.page == library_page &&
			    q->event_fd == FD + 1 &&
			    q->vport_offset <= MANA_TX_LONG_VPORT_MAX, i,
			    q->vport_offset);
	}
}

static unsigned int create_queues(struct verbs *v, unsigned int depth)
{
	static const uint8_t key[NIC_RSS_KEY];
	struct nic_queue *queues[QUEUES];
	uint8_t shape = library_outcome(), first = library_outcome();
	unsigned int nr = 1u << (shape % 3);
	unsigned int nr_order = 1u << (shape >> 2 & 3);
	uint16_t order[QUEUES];
	int err;

	if (nr_order > nr)
		nr_order = nr;
	for (unsigned int i = 0; i < nr_order; i++)
		order[i] = (uint16_t)((i + first) % nr);
	memset(queue, 0, sizeof(queue));
	memset(nr_broken, 0, sizeof(nr_broken));
	for (unsigned int i = 0; i < nr; i++) {
		queues[i] = &queue[i];
		queue[i].broken = on_broken;
		queue[i].rx_depth = (uint16_t)(depth >> (shape >> 4 & 3));
		queue[i].tx_depth = (uint16_t)(depth >> (shape >> 6));
	}
	err = verbs_queues_create(v, queues, nr, order, nr_order, key);
	if (err) {
		fuzz_expect(err < 0 && err > -4096, err, 0);
		return 0;
	}
	check_queues(nr, order, nr_order);
	fuzz_accept();
	return nr;
}

static void life(void)
{
	struct verbs_region *region = NULL;
	struct verbs_limits limits;
	struct mana_keys keys;
	unsigned int nr = 0;
	struct verbs *v;
	uint32_t key;
	int err;

	err = verbs_open("manae_0", 1 + (library_outcome() & 1), &memory, &keys,
			 &limits, &v);
	fuzz_expect(!library.lists && err <= 0 && err > -4096, err,
		    library.lists);
	if (err) {
		fuzz_expect(!library_is_open(), library.nr_objects, err);
		return;
	}
	check_limits(&limits);
	check_keys(&keys);
	fuzz_expect(verbs_fd(v) == FD, 0, 0);
	for (unsigned int i = 0; library.input->left && i < MAX_STEPS &&
	     library.nr_objects < MAX_OBJECTS - 5 * QUEUES - 3; i++) {
		uint8_t op = library_outcome();

		if (!(op & 3) && !nr) {
			nr = create_queues(v, limits.max_depth);
		} else if (!(op & 3)) {
			verbs_queues_destroy(v);
			nr = 0;
			fuzz_expect(library.stuck || !library_count(CQ), 0, 0);
		} else if ((op & 3) == 1 && nr) {
			struct nic_queue *q = &queue[(op >> 2) % nr];

			library.ended = q->stopped;
			q->events(q);
			fuzz_expect(library.ended == q->stopped, library.ended,
				    q->stopped);
		} else if ((op & 3) == 2) {
			verbs_gone(v);
			fuzz_expect(!library.async_events,
				    library.async_events, 0);
		} else if (!region) {
			err = verbs_register(v, ram, 4096, &key, &region);
			fuzz_expect(!err == !!region, err, 0);
		} else {
			verbs_unregister(region);
			region = NULL;
		}
	}
	verbs_queues_destroy(v);
	verbs_unregister(region);
	verbs_close(v);
	fuzz_expect(!library_is_open(), 0, 0);
}

/* ---- a link ---- */

static void query(void)
{
	struct mana_link link = { 0 };
	int fd = mana_link_socket(), err;

	fuzz_expect(fd == FD || (fd <= 0 && fd > -4096), fd, 0);
	if (fd != FD)
		return;
	err = mana_link_query(fd, IFINDEX, &link);
	fuzz_expect(err <= 0 && err > -4096 && err != -EAGAIN, err, 0);
	if (!err)
		fuzz_accept();
}

/* One answer, in memory that ends where it does. */
static void parse(void)
{
	struct mana_link link = { 0 };
	size_t size;
	const uint8_t *bytes = fuzz_rest(library.input, 1024, &size);
	void *exact = malloc(size ? size : 1);

	if (size)
		memcpy(exact, bytes, size);
	if (!mana_link_parse(exact, (uint32_t)size, IFINDEX, &link))
		fuzz_accept();
	free(exact);
}

void fuzz_one(struct fuzz_input *in)
{
	uint8_t kind = (uint8_t)fuzz_number(in, 1);

	library_begin(in);
	if (!memory.nr_ranges)
		fuzz_expect(!guest_memory_add(&memory, 0, 4096, ram[0]) &&
			    !guest_memory_add(&memory, 1ull << 32, 4096,
					      ram[1]), 0, 0);
	if (!(kind & 1))
		life();
	else if (kind & 2)
		query();
	else
		parse();
}
