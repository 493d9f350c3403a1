// SPDX-License-Identifier: MIT
/*
 * Queues of a vport, theory of operation
 *
 * Owns: a start's queues with their slots and bounce memory. They are made
 * anew at each start, all together, and given to their reactors; at a stop the
 * reactors let go first, then the device, then memory is freed.
 *
 *	memory, regions --> rings (verbs) --> attach, per reactor
 *
 * A call of a queue may be posted to its reactor when that lets go. Calls run
 * in order, so one more round trip to the reactor is behind it.
 *
 * Frames that are being sent are waited for before the reactors let go, since
 * a device drops those of a queue that is taken away from it: as long as the
 * device lives, and a second at most. The client hands over no more then.
 *
 * Threads: the vport's. Failure answers: what was made is undone.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "rss.h"
#include "vport.h"

LOG_MODULE("mana");

#define PAGE 4096u
#define TX_DEADLINE 10 /* seconds */
#define DRAIN_NS 1000000000ull
#define DRAIN_LOOK_MS 1

static unsigned int round_up(unsigned int depth)
{
	unsigned int n = 1;

	while (n < depth)
		n *= 2;
	return n;
}

static void broken(struct nic_queue *q, const char *why)
{
	vport_lost(((struct vport_queue *)q)->vport, why);
}

/* Memory for both directions; a device that reaches all of the guest receives
 * nothing elsewhere. */
static int make_bounce(struct vport *v, struct vport_queue *vq)
{
	struct nic_queue *q = &vq->q;
	uint32_t piece = (v->info.max_frame + BOUNCE_ALIGN - 1u) &
			 ~(BOUNCE_ALIGN - 1u);
	size_t rx_size = ((size_t)piece * q->rx_depth + PAGE - 1) &
			 ~(size_t)(PAGE - 1);
	int err;

	q->tx_bounce.size = MANA_TX_BOUNCE;
	q->tx_bounce.va = aligned_alloc(PAGE, MANA_TX_BOUNCE);
	if (!q->tx_bounce.va)
		return -ENOMEM;
	memset(q->tx_bounce.va, 0, MANA_TX_BOUNCE);
	err = verbs_register(v->verbs, q->tx_bounce.va, MANA_TX_BOUNCE,
			     &q->tx_bounce.key, &vq->tx_region);
	if (err || v->keys.all)
		return err;
	q->rx_bounce_size = piece;
	q->rx_bounce = aligned_alloc(PAGE, rx_size);
	if (!q->rx_bounce)
		return -ENOMEM;
	memset(q->rx_bounce, 0, rx_size);
	return verbs_register(v->verbs, q->rx_bounce, rx_size,
			      &q->rx_bounce_key, &vq->rx_region);
}

static void free_queue(struct vport_queue *vq)
{
	if (!vq)
		return;
	verbs_unregister(vq->tx_region);
	verbs_unregister(vq->rx_region);
	free(vq->q.tx_bounce.va);
	free(vq->q.rx_bounce);
	free(vq->q.tx);
	free(vq->q.rx);
	free(vq);
}

/* NULL: no memory, or no region. */
static struct vport_queue *make_queue(struct vport *v, unsigned int i, int *err)
{
	struct vport_queue *vq = calloc(1, sizeof(*vq));
	struct nic_queue *q;

	*err = -ENOMEM;
	if (!vq)
		return NULL;
	q = &vq->q;
	vq->vport = v;
	q->reactor = v->start.queue[i].reactor;
	q->client = v->start.queue[i].client;
	q->ops = v->start.ops;
	q->memory = v->config.memory;
	q->keys = &v->keys;
	q->filter = &v->filter;
	q->places = v->places;
	q->broken = broken;
	q->rx_depth = (uint16_t)round_up(v->start.rx_depth);
	q->tx_depth = (uint16_t)round_up(v->start.tx_depth);
	q->tx = calloc(q->tx_depth, sizeof(*q->tx));
	q->rx = calloc(q->rx_depth, sizeof(*q->rx));
	if (q->tx && q->rx)
		*err = make_bounce(v, vq);
	if (*err) {
		free_queue(vq);
		return NULL;
	}
	return vq;
}

struct attach {
	struct nic_queue *q;
	int err;
};

static void attach(void *arg)
{
	struct attach *a = arg;

	a->err = queue_attach(a->q);
}

static void detach(void *arg)
{
	queue_detach(arg);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void detach_all(struct vport *v, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		reactor_run(v->queue[i]->q.reactor, detach, &v->queue[i]->q);
	for (unsigned int i = 0; i < nr; i++)
		reactor_run(v->queue[i]->q.reactor, nothing, NULL);
}

static int attach_all(struct vport *v)
{
	for (unsigned int i = 0; i < v->nr_queues; i++) {
		struct attach a = { .q = &v->queue[i]->q };

		reactor_run(a.q->reactor, attach, &a);
		if (a.err) {
			detach_all(v, i);
			return a.err;
		}
	}
	return 0;
}

static void free_all(struct vport *v)
{
	unsigned int nr;

	pthread_mutex_lock(&v->lock);
	nr = v->nr_queues;
	v->nr_queues = 0;
	for (unsigned int i = 0; i < nr; i++) {
		struct nic_queue *q = &v->queue[i]->q;

		q->stats.doorbells = q->doorbells.rung;
		nic_stats_add(&v->past, &q->stats);
	}
	pthread_mutex_unlock(&v->lock);
	for (unsigned int i = 0; i < nr; i++)
		free_queue(v->queue[i]);
}

int vport_queues_start(struct vport *v)
{
	uint16_t order[NIC_MAX_QUEUES];
	unsigned int nr_order;
	int err = 0;

	if (!mana_rss_order(&v->start.rss, v->start.nr_queues, order,
			    &nr_order))
		log_info("the device has no table like the one asked for: "
			 "frames go to all queues in turn, and are handed on");
	for (unsigned int i = 0; i < v->start.nr_queues; i++) {
		struct vport_queue *vq = make_queue(v, i, &err);

		if (!vq)
			goto out_free;
		pthread_mutex_lock(&v->lock);
		v->queue[i] = vq;
		v->handle[i] = &vq->q;
		v->nr_queues = i + 1;
		pthread_mutex_unlock(&v->lock);
	}
	err = verbs_queues_create(v->verbs, v->handle, v->nr_queues, order,
				  nr_order, v->start.rss.key);
	if (err)
		goto out_free;
	err = attach_all(v);
	if (!err)
		return 0;
	verbs_queues_destroy(v->verbs);
out_free:
	free_all(v);
	return err;
}

static bool is_drained(const struct vport *v)
{
	for (unsigned int i = 0; i < v->nr_queues; i++) {
		const struct nic_queue *q = &v->queue[i]->q;

		if (atomic_load_explicit(&q->tx_posted, memory_order_relaxed) !=
		    atomic_load_explicit(&q->tx_completed,
					 memory_order_relaxed))
			return false;
	}
	return true;
}

static void drain(struct vport *v)
{
	uint64_t end = reactor_now() + DRAIN_NS;

	while (!v->gone && !atomic_load(&v->broken) && !is_drained(v)) {
		struct pollfd fd = { .fd = verbs_fd(v->verbs),
				     .events = POLLIN };

		if (reactor_now() >= end) {
			log_warn("%s: what was not sent in 1 s is given up",
				 v->where.net);
			v->drains_late++;
			return;
		}
		if (poll(&fd, 1, DRAIN_LOOK_MS) > 0)
			vport_look_at_device(v);
	}
}

void vport_queues_stop(struct vport *v)
{
	drain(v);
	detach_all(v, v->nr_queues);
	verbs_queues_destroy(v->verbs);
	free_all(v);
}

void vport_queues_watch(struct vport *v)
{
	for (unsigned int i = 0; i < v->nr_queues; i++) {
		struct vport_queue *vq = v->queue[i];
		uint32_t done = atomic_load_explicit(&vq->q.tx_completed,
						     memory_order_relaxed);
		uint32_t posted = atomic_load_explicit(&vq->q.tx_posted,
						       memory_order_relaxed);

		queue_look(&vq->q);
		if (posted == done || done != vq->last_completed)
			vq->silent = 0;
		else if (++vq->silent == TX_DEADLINE)
			vport_lost(v, "a frame was not sent in 10 s");
		vq->last_completed = done;
	}
}
