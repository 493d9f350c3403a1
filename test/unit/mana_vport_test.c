/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/vport.c mana/vport_thread.c mana/vport_queues.c mana/rss.c mana/tx.c mana/rx.c mana/poll.c mana/queue.c test/unit/reactor_threads.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c include/guid.c */

/*
 * The life of a NIC on a vport, with threads and reactors as they are and, in
 * place of verbs and of the kernel, the functions below.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mana/rss.h"
#include "mana/vport.h"
#include "test/unit/reactor_inline.h"

#define GPA 0x100000u
#define RAM 0x10000u
#define QUEUES 2u

static _Alignas(4096) uint8_t ram[RAM];
static struct guest_memory memory;
static struct reactor *reactor;

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	(void)watch;
	return reactor_is_current(r) ? 0 : -EPERM;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	assert_true(reactor_is_current(r));
	close(watch->fd);
}

/* ---- what the kernel would be ---- */

struct verbs {
	int fd;
	unsigned int nr_queues;
	uint8_t *memory[QUEUES];
	_Alignas(8) uint8_t page[MANA_DOORBELL_PAGE];
};

static _Atomic int find_error, queues_error, finds_until_there;
static atomic_bool device_gone, carrier = true, all_keys = true;
static _Atomic unsigned int nr_regions, nr_verbs, nr_creates;
static int async_fd;

int mana_device_find(const char *root, const struct guid *device,
		     unsigned int vport, struct mana_vport_info *info)
{
	(void)root;
	(void)device;
	memset(info, 0, sizeof(*info));
	if (finds_until_there && finds_until_there--)
		return -ENOENT;
	strcpy(info->net, "eth0");
	strcpy(info->verbs, "manae_0");
	memcpy(info->mac, "\x00\x15\x5d\x01\x02\x03", 6);
	return vport ? -ENXIO : find_error;
}

int mana_link_socket(void)
{
	return dup(async_fd);
}

int mana_link_query(int fd, unsigned int ifindex, struct mana_link *link)
{
	(void)fd;
	(void)ifindex;
	*link = (struct mana_link){ carrier, 1500 };
	return 0;
}

int verbs_open(const char *name, unsigned int port,
	       const struct guest_memory *gm, struct mana_keys *keys,
	       struct verbs_limits *limits, struct verbs **verbs)
{
	struct verbs *v = calloc(1, sizeof(*v));

	assert_string_equal(name, "manae_0");
	assert_int_equal(port, 1);
	v->fd = async_fd;
	keys->nr = 1;
	keys->all = all_keys;
	keys->range[0].gpa = gm->range[0].gpa;
	keys->range[0].size = gm->range[0].size;
	keys->range[0].good = all_keys;
	*limits = (struct verbs_limits){ QUEUES, 256 };
	nr_verbs++;
	*verbs = v;
	return 0;
}

void verbs_close(struct verbs *v)
{
	nr_verbs--;
	free(v);
}

int verbs_fd(const struct verbs *v)
{
	return v->fd;
}

bool verbs_gone(struct verbs *v)
{
	uint64_t count;

	(void)v;
	if (read(async_fd, &count, sizeof(count)) < 0)
		return false;
	return device_gone;
}

int verbs_register(struct verbs *v, void *va, uint64_t size, uint32_t *key,
		   struct verbs_region **region)
{
	(void)v;
	assert_int_equal((uintptr_t)va % 4096, 0);
	assert_int_equal(size % 4096, 0);
	nr_regions++;
	*key = 5;
	*region = (struct verbs_region *)va;
	return 0;
}

void verbs_unregister(struct verbs_region *region)
{
	if (region)
		nr_regions--;
}

static void no_events(struct nic_queue *q)
{
	(void)q;
}

int verbs_queues_create(struct verbs *v, struct nic_queue *const *queues,
			unsigned int nr, const uint16_t *order,
			unsigned int nr_order, const uint8_t key[NIC_RSS_KEY])
{
	(void)order;
	(void)nr_order;
	(void)key;
	nr_creates++;
	if (queues_error)
		return queues_error;
	for (unsigned int i = 0; i < nr; i++) {
		struct nic_queue *q = queues[i];
		uint8_t *p = calloc(1, 65536);

		v->memory[i] = p;
		q->doorbells.page = v->page;
		q->sq = (struct mana_wq){ .ring = p, .size = 8192, .id = 1 };
		q->rq = (struct mana_wq){ .ring = p + 8192, .size = 16384,
					  .id = 2 };
		mana_cq_init(&q->tx_cq, p + 24576, 256, 3);
		mana_cq_init(&q->rx_cq, p + 40960, 256, 4);
		q->receives = true;
		q->event_fd = eventfd(0, 0);
		q->events = no_events;
	}
	v->nr_queues = nr;
	return 0;
}

void verbs_queues_destroy(struct verbs *v)
{
	while (v->nr_queues)
		free(v->memory[--v->nr_queues]);
}

/* ---- the client ---- */

enum heard { STARTED = 1, STOPPED, LINK, LOST, BACK };

static struct nic *nic;
static struct {
	sem_t any;
	unsigned int nr;
	enum heard what[32];
	int result;
	struct nic_queue *queue[QUEUES];
	bool close_when_stopped;
} client;
static unsigned int looked_at;

static void hear(enum heard what)
{
	assert_true(reactor_is_current(reactor));
	client.what[client.nr++] = what;
	sem_post(&client.any);
}

static void started(void *arg, int result, struct nic_queue *const *queues)
{
	(void)arg;
	client.result = result;
	if (!result)
		memcpy(client.queue, queues, sizeof(client.queue));
	hear(STARTED);
}

static void stopped(void *arg)
{
	(void)arg;
	if (client.close_when_stopped)
		nic->ops->close(nic);
	hear(STOPPED);
}

static void received(void *arg, const struct nic_received *f, unsigned int nr)
{
	(void)arg;
	(void)f;
	(void)nr;
}

static void sent(void *arg, const struct nic_sent *f, unsigned int nr)
{
	(void)arg;
	(void)f;
	(void)nr;
}

static void event(struct nic *of, enum nic_event what)
{
	assert_ptr_equal(of, nic);
	hear(what == NIC_LINK ? LINK : what == NIC_LOST ? LOST : BACK);
}

static const struct nic_client_ops ops = { received, sent, started, stopped };

/* The next thing that is heard, within 5 s; 0: nothing. */
static enum heard next(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 5;
	return sem_timedwait(&client.any, &deadline) ? 0 :
						       client.what[looked_at++];
}

static struct nic_start start_of(unsigned int queues)
{
	struct nic_start start = { .ops = &ops, .nr_queues = queues,
				   .rx_depth = 100, .tx_depth = 100 };

	for (unsigned int i = 0; i < queues; i++)
		start.queue[i].reactor = reactor;
	return start;
}

struct call {
	struct nic_start start;
	int result;
};

static void do_start(void *arg)
{
	struct call *c = arg;

	c->result = nic->ops->start(nic, &c->start);
}

static int start(unsigned int queues)
{
	struct call c = { .start = start_of(queues) };

	reactor_run(reactor, do_start, &c);
	return c.result;
}

static void do_stop(void *arg)
{
	(void)arg;
	nic->ops->stop(nic);
}

static void stop(void)
{
	reactor_run(reactor, do_stop, NULL);
}

static void do_send(void *arg)
{
	const struct gpa_range range = { GPA, 60 };
	const struct nic_frame frame = { .nr_ranges = 1, .ranges = &range };

	(void)arg;
	assert_int_equal(nic->ops->tx(client.queue[0], &frame, 1), 1);
}

static void do_break(void *arg)
{
	(void)arg;
	queue_break(client.queue[0], "for the test");
}

static int open_it(unsigned int vport, uint32_t wait_ms)
{
	const struct mana_config config = { .vport = vport, .memory = &memory,
					    .reactor = reactor,
					    .wait_ms = wait_ms };
	int err = mana_vport_open(&config, &nic);

	if (!err)
		nic->event = event;
	return err;
}

static void close_it(void *arg)
{
	(void)arg;
	nic->ops->close(nic);
}

static int setup(void **state)
{
	(void)state;
	memset(&client, 0, sizeof(client));
	sem_init(&client.any, 0, 0);
	looked_at = 0;
	find_error = queues_error = finds_until_there = 0;
	device_gone = false;
	carrier = all_keys = true;
	nr_creates = 0;
	async_fd = eventfd(0, EFD_NONBLOCK);
	reactor = reactor_inline_create();
	return open_it(0, 1000);
}

static int teardown(void **state)
{
	(void)state;
	if (!client.close_when_stopped)
		reactor_run(reactor, close_it, NULL);
	reactor_inline_drain();
	reactor_inline_destroy(reactor);
	close(async_fd);
	assert_int_equal(nr_verbs, 0);
	assert_int_equal(nr_regions, 0);
	return 0;
}

static void what_a_vport_is(void **state)
{
	struct nic_info info;

	(void)state;
	nic->ops->info(nic, &info);
	assert_memory_equal(info.mac, "\x00\x15\x5d\x01\x02\x03", 6);
	assert_int_equal(info.max_queues, QUEUES);
	assert_int_equal(info.max_frame, 1514);
	assert_int_equal(info.max_rx_depth, 256);
	assert_true(info.link_up);
	assert_true(info.rx_can & NIC_HASH);
	assert_false(info.tx_can & NIC_HASH);
	assert_true(info.tx_can & NIC_LSO6);
}

static void devices_that_are_not_there(void **state)
{
	struct nic *first = nic;

	(void)state;
	assert_int_equal(open_it(1, 60), -ENXIO);
	finds_until_there = 1000;
	assert_int_equal(open_it(0, 60), -ETIMEDOUT);
	finds_until_there = 2;
	assert_int_equal(open_it(0, 5000), 0);
	reactor_run(reactor, close_it, NULL);
	nic = first;
}

static void starts_and_stops_again_and_again(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(start(QUEUES), 0);
		assert_int_equal(start(1), -EBUSY);
		assert_int_equal(next(), STARTED);
		assert_int_equal(client.result, 0);
		assert_int_equal(start(1), -EBUSY);
		assert_int_equal(nr_regions, QUEUES);
		stop();
		assert_int_equal(next(), STOPPED);
		assert_int_equal(nr_regions, 0);
	}
}

static void starts_that_break_a_rule(void **state)
{
	struct call c;

	(void)state;
	assert_int_equal(start(4), -EINVAL); /* more than it has */
	for (unsigned int i = 0; i < 5; i++) {
		c.start = start_of(QUEUES);
		if (i == 0)
			c.start.nr_queues = 0;
		else if (i == 1)
			c.start.rx_depth = 257;
		else if (i == 2)
			c.start.tx_depth = 0;
		else if (i == 3)
			c.start.rss.entries = 3;
		else {
			c.start.rss.entries = 2;
			c.start.rss.table[1] = QUEUES;
		}
		reactor_run(reactor, do_start, &c);
		assert_int_equal(c.result, -EINVAL);
	}
	assert_int_equal(nr_creates, 0);
}

static void a_start_that_fails_can_be_tried_again(void **state)
{
	(void)state;
	queues_error = -EBUSY;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, -EBUSY);
	assert_int_equal(nr_regions, 0);
	queues_error = 0;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void memory_without_a_key_has_memory_of_its_own(void **state)
{
	(void)state;
	reactor_run(reactor, close_it, NULL);
	all_keys = false;
	assert_int_equal(open_it(0, 100), 0);
	assert_int_equal(start(QUEUES), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(nr_regions, 2 * QUEUES);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void a_queue_that_breaks_is_lost_until_it_is_stopped(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	reactor_run(reactor, do_break, NULL);
	assert_int_equal(next(), LOST);
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(next(), BACK);
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void a_device_that_went_comes_back(void **state)
{
	uint64_t one = 1;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	finds_until_there = 1;
	device_gone = true;
	assert_int_equal(write(async_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(next(), LOST);
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(start(1), -ENODEV);
	device_gone = false;
	assert_int_equal(next(), BACK);
	assert_int_equal(next(), LINK); /* it was down meanwhile */
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(client.result, 0);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void a_link_that_changes_is_told(void **state)
{
	struct nic_info info;

	(void)state;
	carrier = false;
	assert_int_equal(next(), LINK);
	nic->ops->info(nic, &info);
	assert_false(info.link_up);
	carrier = true;
	assert_int_equal(next(), LINK);
	nic->ops->info(nic, &info);
	assert_true(info.link_up);
}

static void a_frame_that_is_never_sent_is_a_loss(void **state)
{
	struct vport *v = (struct vport *)nic;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	for (unsigned int i = 0; i < 10; i++) /* nothing is outstanding */
		vport_queues_watch(v);
	reactor_run(reactor, do_send, NULL);
	for (unsigned int i = 0; i < 8; i++)
		vport_queues_watch(v);
	assert_false(atomic_load(&v->broken));
	for (unsigned int i = 0; i < 2; i++)
		vport_queues_watch(v);
	assert_int_equal(next(), LOST);
	stop();
	assert_int_equal(next(), STOPPED);
	assert_int_equal(next(), BACK);
}

static void counts_outlive_a_start(void **state)
{
	struct nic_stats stats;

	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	reactor_run(reactor, do_send, NULL);
	stop();
	assert_int_equal(next(), STOPPED);
	nic->ops->stats(nic, &stats);
	assert_true(stats.doorbells >= 1);
}

static void a_client_may_close_when_it_hears_stopped(void **state)
{
	(void)state;
	assert_int_equal(start(1), 0);
	assert_int_equal(next(), STARTED);
	client.close_when_stopped = true;
	stop();
	assert_int_equal(next(), STOPPED);
}

static void another_table_needs_a_start(void **state)
{
	struct nic_rss rss = { .entries = 4, .table = { 0, 1, 0, 1 } };

	(void)state;
	assert_int_equal(start(QUEUES), 0);
	assert_int_equal(next(), STARTED);
	assert_int_equal(nic->ops->set_rss(nic, &rss), -EAGAIN);
	rss.entries = 0; /* what it was started with */
	assert_int_equal(nic->ops->set_rss(nic, &rss), 0);
	rss.key[39] = 1;
	assert_int_equal(nic->ops->set_rss(nic, &rss), -EAGAIN);
	stop();
	assert_int_equal(next(), STOPPED);
}

static void tables_that_a_device_can_have(void **state)
{
	static const struct {
		unsigned int entries;
		uint16_t table[8];
		bool exact;
		unsigned int nr;
		uint16_t order[4];
	} cases[] = {
		{ 0, { 0 }, true, 1, { 0 } },
		{ 8, { 0, 1, 2, 3, 0, 1, 2, 3 }, true, 4, { 0, 1, 2, 3 } },
		{ 8, { 3, 1, 0, 2, 3, 1, 0, 2 }, true, 4, { 3, 1, 0, 2 } },
		{ 8, { 2, 1, 2, 1, 2, 1, 2, 1 }, true, 2, { 2, 1 } },
		{ 4, { 3, 3, 3, 3 }, true, 1, { 3 } },
		{ 4, { 0, 1, 2, 2 }, false, 4, { 0, 1, 2, 3 } },
		{ 8, { 0, 0, 0, 0, 1, 1, 1, 1 }, false, 4, { 0, 1, 2, 3 } },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nic_rss rss = { .entries = (uint16_t)cases[i].entries };
		uint16_t order[NIC_MAX_QUEUES];
		unsigned int nr;

		memcpy(rss.table, cases[i].table, sizeof(cases[i].table));
		assert_int_equal(mana_rss_order(&rss, 4, order, &nr),
				 cases[i].exact);
		assert_int_equal(nr, cases[i].nr);
		assert_memory_equal(order, cases[i].order, nr * 2);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_a_vport_is),
		TEST(devices_that_are_not_there),
		TEST(starts_and_stops_again_and_again),
		TEST(starts_that_break_a_rule),
		TEST(a_start_that_fails_can_be_tried_again),
		TEST(memory_without_a_key_has_memory_of_its_own),
		TEST(a_queue_that_breaks_is_lost_until_it_is_stopped),
		TEST(a_device_that_went_comes_back),
		TEST(a_link_that_changes_is_told),
		TEST(a_frame_that_is_never_sent_is_a_loss),
		TEST(counts_outlive_a_start),
		TEST(a_client_may_close_when_it_hears_stopped),
		TEST(another_table_needs_a_start),
		cmocka_unit_test(tables_that_a_device_can_have),
	};

	if (guest_memory_add(&memory, GPA, RAM, ram))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
