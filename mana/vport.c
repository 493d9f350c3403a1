// SPDX-License-Identifier: MIT
/*
 * A NIC on a vport, theory of operation
 *
 * Owns: the NIC's states (pv/nic.h), its one thread (vport_thread.c) and what
 * it tells. Every answer and event is an item in a list that the thread fills
 * and the NIC's reactor empties, so that their order is the one in which
 * things happened.
 *
 * The device gives each vport a list of queues, not a table of 128 entries; a
 * table that is no repetition of such a list is taken for one that spreads
 * over all queues (rss.c), and the client hands frames on by their hash. The
 * device filters nothing but addresses; a filter that lets nothing pass is the
 * receive path's (rx.c).
 *
 * Threads: the NIC's reactor, which waits for nothing; info() and stats() any.
 * Failure answers: see pv/nic.h; a vport that is lost is stopped by its client
 * and comes back by itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "rss.h"
#include "vport.h"

LOG_MODULE("mana");

#define LOOK_NS 50000000ull
#define SILENT_NS 2000000000ull /* longer than any message takes */
/* The kernel tells no speed of a vport; hosts give what they have. */
#define LINK_BPS 100000000000ull
#define DEFAULT_MTU 1500u

static const struct nic_ops vport_ops;

/* ---- nic_ops ---- */

static void vport_info(struct nic *nic, struct nic_info *info)
{
	struct vport *v = (struct vport *)nic;

	*info = v->info;
	info->link_up = atomic_load(&v->link_up);
}

static bool is_power_of_two(unsigned int n)
{
	return n && !(n & (n - 1));
}

static bool rss_good(const struct nic_rss *rss, unsigned int nr_queues)
{
	if (!rss->entries)
		return true;
	if (rss->entries > NIC_RSS_TABLE || !is_power_of_two(rss->entries))
		return false;
	for (unsigned int i = 0; i < rss->entries; i++)
		if (rss->table[i] >= nr_queues)
			return false;
	return true;
}

static bool start_good(const struct vport *v, const struct nic_start *start)
{
	return is_power_of_two(start->nr_queues) &&
	       start->nr_queues <= v->info.max_queues &&
	       start->rx_depth && start->rx_depth <= v->info.max_rx_depth &&
	       start->tx_depth && start->tx_depth <= v->info.max_tx_depth &&
	       rss_good(&start->rss, start->nr_queues);
}

static int vport_start(struct nic *nic, const struct nic_start *start)
{
	struct vport *v = (struct vport *)nic;

	if (v->state != VPORT_STOPPED)
		return -EBUSY;
	if (!start_good(v, start))
		return -EINVAL;
	if (v->lost)
		return -ENODEV;
	v->state = VPORT_STARTING;
	v->start = *start;
	pthread_mutex_lock(&v->lock);
	v->want_start = true;
	pthread_mutex_unlock(&v->lock);
	vport_wake(v);
	return 0;
}

static void vport_stop(struct nic *nic)
{
	struct vport *v = (struct vport *)nic;

	pv_bug(v->state != VPORT_RUNNING, v->state, VPORT_RUNNING);
	v->state = VPORT_STOPPING;
	pthread_mutex_lock(&v->lock);
	v->want_stop = true;
	pthread_mutex_unlock(&v->lock);
	vport_wake(v);
}

/* Only what changes nothing in the device can be done while it runs: that is
 * also each table that it has not, which the client follows by the hash. */
static int vport_set_rss(struct nic *nic, const struct nic_rss *rss)
{
	struct vport *v = (struct vport *)nic;
	uint16_t now[NIC_MAX_QUEUES], then[NIC_MAX_QUEUES];
	unsigned int nr_now, nr_then;
	bool exact;

	if (!rss_good(rss, v->start.nr_queues))
		return -EINVAL;
	mana_rss_order(&v->start.rss, v->start.nr_queues, now, &nr_now);
	exact = mana_rss_order(rss, v->start.nr_queues, then, &nr_then);
	if (memcmp(v->start.rss.key, rss->key, NIC_RSS_KEY))
		return -EAGAIN;
	/* One queue alone tells of no hash. */
	if (!exact && nr_now > 1)
		return 0;
	if (nr_now != nr_then || memcmp(now, then, nr_now * sizeof(now[0])))
		return -EAGAIN;
	return 0;
}

static void vport_set_filter(struct nic *nic, unsigned int filter)
{
	atomic_store(&((struct vport *)nic)->filter, filter);
}

static void vport_stats(struct nic *nic, struct nic_stats *stats)
{
	struct vport *v = (struct vport *)nic;

	pthread_mutex_lock(&v->lock);
	*stats = v->past;
	for (unsigned int i = 0; i < v->nr_queues; i++)
		nic_stats_add(stats, &v->queue[i]->q.stats);
	pthread_mutex_unlock(&v->lock);
}

/* How long the thread has been waiting for the device, ns. */
static uint64_t waited(struct vport *v)
{
	uint64_t since = atomic_load(&v->waiting_since), now = reactor_now();

	return since && now > since ? now - since : 0;
}

static const char *degraded(struct vport *v)
{
	const char *why = atomic_load(&v->degraded);

	if (why)
		return why;
	return waited(v) >= SILENT_NS ? "the device does not answer" : "no";
}

static void vport_inspect(struct nic *nic, struct inspect *out)
{
	struct vport *v = (struct vport *)nic;
	uint64_t arms = 0, events = 0, bad = 0, late = 0;
	struct mana_vport_info where;
	const char *why;
	unsigned int nr;

	pthread_mutex_lock(&v->lock);
	where = v->where;
	nr = v->nr_queues;
	for (unsigned int i = 0; i < nr; i++) {
		arms += v->queue[i]->q.arms;
		events += v->queue[i]->q.events_taken;
		bad += v->queue[i]->q.bad_cqes;
		late += v->queue[i]->q.found_late;
	}
	pthread_mutex_unlock(&v->lock);
	inspect_text(out, "backend", nic->ops->name);
	inspect_text(out, "interface", where.net);
	inspect_text(out, "verbs", where.verbs);
	inspect_u64(out, "vport", v->config.vport);
	inspect_u64(out, "queues", nr);
	inspect_bool(out, "link_up", atomic_load(&v->link_up));
	inspect_bool(out, "lost", atomic_load(&v->broken));
	inspect_text(out, "degraded", degraded(v));
	why = atomic_load(&v->last_loss);
	inspect_text(out, "last_loss", why ? why : "none");
	inspect_u64(out, "waiting_ms", waited(v) / 1000000);
	inspect_u64(out, "drains_late", v->drains_late);
	inspect_bool(out, "zero_copy", atomic_load(&v->zero_copy));
	inspect_u64(out, "starts", v->starts);
	inspect_u64(out, "losses", v->losses);
	inspect_u64(out, "arms", arms);
	inspect_u64(out, "events", events);
	inspect_u64(out, "found_late", late);
	inspect_u64(out, "bad_completions", bad);
}

static void vport_free(struct vport *v)
{
	if (v->verbs)
		verbs_close(v->verbs);
	if (v->link_fd >= 0)
		close(v->link_fd);
	if (v->wake_fd >= 0)
		close(v->wake_fd);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

void vport_put(struct vport *v)
{
	if (atomic_fetch_sub(&v->users, 1) == 1)
		vport_free(v);
}

/* The device is let go by the thread, which nobody waits for. */
static void vport_close(struct nic *nic)
{
	struct vport *v = (struct vport *)nic;

	pv_bug(v->state != VPORT_STOPPED, v->state, VPORT_STOPPED);
	pv_bug(!reactor_is_current(v->config.reactor), v->state, 0);
	nic->event = NULL;
	nic->ops = NULL;
	pthread_mutex_lock(&v->lock);
	v->want_end = v->closed = true;
	pthread_mutex_unlock(&v->lock);
	pthread_detach(v->thread);
	vport_wake(v);
	/* News may still be posted to the reactor, or we may be in the midst of
	 * telling some: then that lets go of it. */
	if (!v->telling && !atomic_load(&v->news_call.queued))
		vport_put(v);
}

static const struct nic_ops vport_ops = {
	.name = "mana",
	.info = vport_info,
	.start = vport_start,
	.stop = vport_stop,
	.set_rss = vport_set_rss,
	.set_filter = vport_set_filter,
	.rx_post = queue_rx_post,
	.tx = queue_tx,
	.rest = queue_rest,
	.stats = vport_stats,
	.inspect = vport_inspect,
	.close = vport_close,
};

/* ---- news ---- */

static void tell_event(struct vport *v, enum nic_event event)
{
	if (v->nic.event)
		v->nic.event(&v->nic, event);
}

static void tell(struct vport *v, enum vport_news what, int result)
{
	void *client = v->start.client;

	switch (what) {
	case NEWS_LINK:
		tell_event(v, NIC_LINK);
		break;
	case NEWS_LOST:
		v->lost = true;
		tell_event(v, NIC_LOST);
		break;
	case NEWS_BACK:
		v->lost = false;
		tell_event(v, NIC_BACK);
		break;
	case NEWS_STARTED:
		v->state = result ? VPORT_STOPPED : VPORT_RUNNING;
		v->start.ops->started(client, result,
				      result ? NULL : v->handle);
		break;
	case NEWS_STOPPED:
		v->state = VPORT_STOPPED;
		v->start.ops->stopped(client);
		break;
	}
}

/* One item at a time: a client may start and stop from inside of one. */
static void tell_news(struct reactor_call *call)
{
	struct vport *v = (struct vport *)((char *)call -
		offsetof(struct vport, news_call));

	if (!v->nic.ops) {
		vport_put(v);
		return;
	}
	for (;;) {
		enum vport_news what;
		int result;

		pthread_mutex_lock(&v->lock);
		if (!v->nr_news) {
			pthread_mutex_unlock(&v->lock);
			return;
		}
		what = v->news[0].what;
		result = v->news[0].result;
		v->nr_news--;
		memmove(v->news, v->news + 1, v->nr_news * sizeof(v->news[0]));
		pthread_mutex_unlock(&v->lock);
		v->telling = true;
		tell(v, what, result);
		v->telling = false;
		if (v->nic.ops)
			continue;
		if (!atomic_load(&call->queued)) /* else the next one does */
			vport_put(v);
		return;
	}
}

/* ---- opening ---- */

static int wait_for_device(struct vport *v)
{
	uint64_t deadline = reactor_now() + v->config.wait_ms * 1000000ull;
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	int err;

	for (;;) {
		err = vport_find(v);
		if (!err)
			err = vport_connect(v);
		if (err != -ENOENT && err != -ENXIO)
			return err;
		if (reactor_now() >= deadline)
			return err == -ENXIO ? err : -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

static void fill_info(struct vport *v)
{
	struct nic_info *info = &v->info;
	struct mana_link link = { 0 };
	uint32_t mtu = DEFAULT_MTU;

	if (mana_link_query(v->link_fd, v->where.ifindex, &link))
		log_warn("%s: its MTU is not told", v->where.net);
	else if (link.max_mtu)
		mtu = link.max_mtu;
	if (mtu > MANA_MAX_FRAME - NIC_ETHERNET_HEADER)
		mtu = MANA_MAX_FRAME - NIC_ETHERNET_HEADER;
	atomic_store(&v->link_up, link.up);
	memcpy(info->mac, v->where.mac, sizeof(info->mac));
	info->max_queues = (uint16_t)v->limits.max_queues;
	info->max_frame = (uint16_t)(mtu + NIC_ETHERNET_HEADER);
	info->max_tx_ranges = MANA_MAX_TX_RANGES;
	info->max_rx_ranges = MANA_MAX_RX_RANGES;
	info->max_rx_depth = info->max_tx_depth =
		(uint16_t)v->limits.max_depth;
	info->rx_can = NIC_IP4_CHECKSUM | NIC_TCP4_CHECKSUM |
		       NIC_UDP4_CHECKSUM | NIC_TCP6_CHECKSUM |
		       NIC_UDP6_CHECKSUM | NIC_VLAN | NIC_HASH;
	info->tx_can = (info->rx_can & ~NIC_HASH) | NIC_LSO4 | NIC_LSO6;
	info->max_lso = MANA_MAX_LSO;
	info->link_bps = LINK_BPS;
}

int mana_vport_open(const struct mana_config *config, struct nic **nic)
{
	struct vport *v = calloc(1, sizeof(*v));
	char guid[GUID_TEXT_SIZE];
	int err;

	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->nic.ops = &vport_ops;
	v->config = *config;
	v->news_call.fn = tell_news;
	atomic_init(&v->users, 2);
	v->link_fd = -1;
	v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = v->wake_fd < 0 ? -errno : 0;
	if (!err)
		err = wait_for_device(v);
	if (!err)
		err = v->link_fd = mana_link_socket();
	if (err < 0)
		goto out_free;
	fill_info(v);
	err = -pthread_create(&v->thread, NULL, vport_thread, v);
	if (err)
		goto out_free;
	log_info("%s (%s): %u queues of %u, frames of %u bytes, %s",
		 v->where.net, v->where.verbs, v->info.max_queues,
		 v->info.max_rx_depth, v->info.max_frame,
		 v->keys.all ? "without a copy" : "copied in part");
	*nic = &v->nic;
	return 0;
out_free:
	log_err("device %s, vport %u: %s", guid_print(&config->device, guid),
		config->vport, err == -ETIMEDOUT ? "no such device (in time)" :
		err == -ENXIO ? "no such vport" : strerror(-err));
	vport_free(v);
	return err;
}
