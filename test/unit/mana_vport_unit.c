/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "test/unit/mana_vport_unit.h"
#include "test/unit/reactor_inline.h"

#define GPA 0x100000u
#define RAM 0x10000u

struct vport_kernel vport_kernel;
struct vport_client client;
struct nic *nic;
struct reactor *reactor;

static _Alignas(4096) uint8_t ram[RAM];
static struct guest_memory memory;

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
	uint8_t *memory[VPORT_QUEUES];
	_Alignas(8) uint8_t page[MANA_DOORBELL_PAGE];
};

static void hang(atomic_bool *how)
{
	if (!atomic_load(how))
		return;
	vport_kernel.nr_hanging++;
	sem_wait(&vport_kernel.let_go);
	vport_kernel.nr_hanging--;
}

int mana_device_find(const char *root, const struct guid *device,
		     unsigned int vport, struct mana_vport_info *info)
{
	(void)root;
	(void)device;
	memset(info, 0, sizeof(*info));
	if (vport_kernel.finds_until_there && vport_kernel.finds_until_there--)
		return -ENOENT;
	strcpy(info->net, "eth0");
	strcpy(info->verbs, "manae_0");
	memcpy(info->mac, "\x00\x15\x5d\x01\x02\x03", 6);
	return vport ? -ENXIO : vport_kernel.find_error;
}

int mana_link_socket(void)
{
	return dup(vport_kernel.async_fd);
}

int mana_link_query(int fd, unsigned int ifindex, struct mana_link *link)
{
	(void)fd;
	(void)ifindex;
	*link = (struct mana_link){ vport_kernel.carrier, 1500 };
	return 0;
}

int verbs_open(const char *name, unsigned int port,
	       const struct guest_memory *gm, struct mana_keys *keys,
	       struct verbs_limits *limits, struct verbs **verbs)
{
	struct verbs *v = calloc(1, sizeof(*v));

	assert_string_equal(name, "manae_0");
	assert_int_equal(port, 1);
	v->fd = vport_kernel.async_fd;
	keys->nr = 1;
	keys->all = vport_kernel.all_keys;
	keys->range[0].gpa = gm->range[0].gpa;
	keys->range[0].size = gm->range[0].size;
	keys->range[0].good = vport_kernel.all_keys;
	*limits = (struct verbs_limits){ VPORT_QUEUES, 256 };
	vport_kernel.nr_verbs++;
	*verbs = v;
	return 0;
}

void verbs_close(struct verbs *v)
{
	hang(&vport_kernel.hang_close);
	free(v);
	vport_kernel.nr_verbs--;
}

int verbs_fd(const struct verbs *v)
{
	return v->fd;
}

bool verbs_gone(struct verbs *v)
{
	uint64_t count;

	(void)v;
	if (read(vport_kernel.async_fd, &count, sizeof(count)) < 0)
		return false;
	return vport_kernel.gone;
}

int verbs_register(struct verbs *v, void *va, uint64_t size, uint32_t *key,
		   struct verbs_region **region)
{
	(void)v;
	assert_int_equal((uintptr_t)va % 4096, 0);
	assert_int_equal(size % 4096, 0);
	vport_kernel.nr_regions++;
	*key = 5;
	*region = (struct verbs_region *)va;
	return 0;
}

void verbs_unregister(struct verbs_region *region)
{
	if (region)
		vport_kernel.nr_regions--;
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
	vport_kernel.nr_creates++;
	hang(&vport_kernel.hang_create);
	if (vport_kernel.queues_error)
		return vport_kernel.queues_error;
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
	vport_kernel.nr_destroys += v->nr_queues != 0;
	while (v->nr_queues)
		free(v->memory[--v->nr_queues]);
}

/* ---- the client ---- */

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
	client.nr_sent += nr;
}

static void event(struct nic *of, enum nic_event what)
{
	assert_ptr_equal(of, nic);
	hear(what == NIC_LINK ? LINK : what == NIC_LOST ? LOST : BACK);
}

static const struct nic_client_ops ops = { received, sent, started, stopped };

enum heard next(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 5;
	return sem_timedwait(&client.any, &deadline) ? NOTHING :
		       client.what[client.looked_at++];
}

struct nic_start start_of(unsigned int queues)
{
	struct nic_start how = { .ops = &ops, .nr_queues = queues,
				 .rx_depth = 100, .tx_depth = 100 };

	for (unsigned int i = 0; i < queues; i++)
		how.queue[i].reactor = reactor;
	return how;
}

struct call {
	const struct nic_start *how;
	int result;
};

static void do_start(void *arg)
{
	struct call *c = arg;

	c->result = nic->ops->start(nic, c->how);
}

int start_with(const struct nic_start *how)
{
	struct call c = { .how = how };

	reactor_run(reactor, do_start, &c);
	return c.result;
}

int start(unsigned int queues)
{
	const struct nic_start how = start_of(queues);

	return start_with(&how);
}

static void do_stop(void *arg)
{
	(void)arg;
	nic->ops->stop(nic);
}

void stop(void)
{
	reactor_run(reactor, do_stop, NULL);
}

static void do_send(void *arg)
{
	const struct gpa_range range = { GPA, 60 };
	struct nic_frame frame = { .nr_ranges = 1, .ranges = &range };

	if (*(bool *)arg)
		frame.offload = NIC_LSO4; /* in segments of nothing */
	assert_int_equal(nic->ops->tx(client.queue[0], &frame, 1), 1);
}

void send_frame(bool bad)
{
	reactor_run(reactor, do_send, &bad);
}

void device_goes(void)
{
	uint64_t one = 1;

	vport_kernel.gone = true;
	assert_int_equal(write(vport_kernel.async_fd, &one, sizeof(one)),
			 sizeof(one));
}

int open_it(unsigned int vport, uint32_t wait_ms)
{
	const struct mana_config config = { .vport = vport, .memory = &memory,
					    .reactor = reactor,
					    .wait_ms = wait_ms };
	int err = mana_vport_open(&config, &nic);

	if (!err)
		nic->event = event;
	return err;
}

static void do_close(void *arg)
{
	(void)arg;
	nic->ops->close(nic);
}

void close_it(void)
{
	reactor_run(reactor, do_close, NULL);
}

int vport_unit_init(void)
{
	return guest_memory_add(&memory, GPA, RAM, ram);
}

int vport_setup(void **state)
{
	(void)state;
	memset(&client, 0, sizeof(client));
	sem_init(&client.any, 0, 0);
	memset(&vport_kernel, 0, sizeof(vport_kernel));
	vport_kernel.carrier = vport_kernel.all_keys = true;
	sem_init(&vport_kernel.let_go, 0, 0);
	vport_kernel.async_fd = eventfd(0, EFD_NONBLOCK);
	reactor = reactor_inline_create();
	return open_it(0, 1000);
}

int vport_teardown(void **state)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	(void)state;
	if (!client.close_when_stopped)
		close_it();
	reactor_inline_drain();
	reactor_inline_destroy(reactor);
	/* Nobody waited for the device to be let go. */
	for (unsigned int i = 0; i < 5000 && vport_kernel.nr_verbs; i++)
		nanosleep(&ms, NULL);
	assert_int_equal(vport_kernel.nr_verbs, 0);
	close(vport_kernel.async_fd);
	assert_int_equal(vport_kernel.nr_regions, 0);
	return 0;
}
