/* SPDX-License-Identifier: MIT */
/*
 * NetVSP and its backend, theory of operation
 *
 * Owns the life of the backend: it runs exactly as long as the client can use
 * it, with as many queues as there are channels. What the channels want stands
 * in `want`; whoever changes it posts a reconcile, which compares it with what
 * is and takes one step. A step ends by its own and is followed by another
 * look, so nobody waits and wishes that come in between are met later.
 *
 *	       start()             started(0)
 *	IDLE ----------> STARTING ------------> RUNNING
 *	  ^                 | started(-errno)      | another wish
 *	  |                 |                      v
 *	  |                 |         PAUSING: the queues stop posting
 *	  |                 |                      | all have said so
 *	  |                 v   stopped()          v stop()
 *	  +------------- DRAINING <------------ STOPPING
 *	   all queues have taken back
 *	      what was under way
 *
 * A queue is told by posted calls, which come in order: go, pause, drain. A
 * channel that leaves (it closes, or a buffer is revoked) gets its idle call
 * when the backend uses no queue of it: from then on nothing of the client is
 * touched on its behalf. One that closes while it leaves for a buffer leaves
 * twice, and is idle with the last.
 *
 * A backend that is lost is stopped; until it is back, frames to send end at
 * once, as on a cut wire. A start that fails is tried again. A frame that waits
 * for a backend that is not wanted waits until a client wants it, or halts.
 *
 * Threads: the server's reactor, but for what posts. Failure answers: none to
 * the client, whose link goes down.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>

#include "netvsp_state.h"

LOG_MODULE("netvsp");

#define RETRY_NS 1000000000ull

#define netvsp_of(pointer, member)                                         \
	((struct netvsp *)((char *)(pointer) -                             \
		offsetof(struct netvsp, member)))
#define channel_of(pointer, member)                                        \
	((struct netvsp_channel *)((char *)(pointer) -                     \
		offsetof(struct netvsp_channel, member)))

void netvsp_changed(struct netvsp *netvsp)
{
	reactor_post(netvsp->reactor, &netvsp->reconcile_call);
}

void netvsp_leave(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;

	pthread_mutex_lock(&netvsp->lock);
	netvsp->want.leaving |= 1ull << ch->index;
	if (ch->closing)
		netvsp->want.open &= ~(1ull << ch->index);
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_changed(netvsp);
}

/* The channel's reactor. */

static void phase_done(struct netvsp *netvsp)
{
	if (atomic_fetch_sub(&netvsp->awaited, 1) == 1)
		reactor_post(netvsp->reactor, &netvsp->phase_call);
}

static void queue_go(struct reactor_call *call)
{
	struct netvsp_channel *ch = channel_of(call, go_call);

	if (ch->closing || ch->stopped)
		return;
	ch->queue = ch->next_queue;
	netvsp_rx_start(ch);
	netvsp_rx_post(ch);
	netvsp_run(ch);
}

static void queue_pause(struct reactor_call *call)
{
	struct netvsp_channel *ch = channel_of(call, pause_call);

	netvsp_rest_end(ch);
	ch->queue = NULL;
	phase_done(ch->netvsp);
}

static void queue_drain(struct reactor_call *call)
{
	struct netvsp_channel *ch = channel_of(call, drain_call);

	netvsp_rx_drain(ch);
	netvsp_tx_drain(ch);
	netvsp_resume(ch);
	phase_done(ch->netvsp);
}

static void queue_look(struct reactor_call *call)
{
	struct netvsp_channel *ch = channel_of(call, look_call);

	if (!ch->closing && !ch->stopped)
		netvsp_run(ch);
}

/* Before the idle call of one that leaves, or not at all. */
void netvsp_look_all(struct netvsp *netvsp)
{
	uint64_t left;

	pthread_mutex_lock(&netvsp->lock);
	left = netvsp->want.open & ~netvsp->want.leaving;
	for (; left; left &= left - 1) {
		struct netvsp_channel *ch = netvsp_channel(netvsp,
			(unsigned int)__builtin_ctzll(left));

		reactor_post(ch->vmbus->reactor, &ch->look_call);
	}
	pthread_mutex_unlock(&netvsp->lock);
}

/* Is another idle call due? The bit becomes one under the lock. */
static bool leaves_again(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	bool again;

	pthread_mutex_lock(&netvsp->lock);
	again = netvsp->want.leaving & 1ull << ch->index ||
		atomic_load(&ch->idle_call.queued);
	pthread_mutex_unlock(&netvsp->lock);
	return again;
}

static void channel_idle(struct reactor_call *call)
{
	struct netvsp_channel *ch = channel_of(call, idle_call);

	if (leaves_again(ch))
		return;
	/* Nothing that was posted to it may come later. */
	if (ch->resuming || !netvsp_steer_quiet(ch) ||
	    (!ch->index && (atomic_load(&ch->netvsp->attend_call.queued) ||
			    netvsp_asks(ch->netvsp))))
		reactor_post(ch->vmbus->reactor, call);
	else
		netvsp_idle(ch);
}

void netvsp_channel_calls(struct netvsp_channel *ch)
{
	ch->go_call.fn = queue_go;
	ch->pause_call.fn = queue_pause;
	ch->drain_call.fn = queue_drain;
	ch->idle_call.fn = channel_idle;
	ch->look_call.fn = queue_look;
}

/* The server's reactor. */

/* How many queues are wanted; under the lock. */
static unsigned int wanted_queues(const struct netvsp *netvsp)
{
	uint64_t all = UINT64_MAX >> (63 - netvsp->want.granted);

	if (!netvsp->want.up || netvsp->lost || netvsp->freeing ||
	    !(netvsp->want.open & 1) || netvsp->want.leaving & 1)
		return 0;
	return (netvsp->want.open & all) == all ? netvsp->want.granted + 1 : 1;
}

/* To queues that are there. */
static struct nic_rss wanted_rss(const struct netvsp *netvsp, unsigned int nr)
{
	struct nic_rss rss = netvsp->want.rss;

	if (nr == 1)
		rss.entries = 0;
	for (unsigned int i = 0; i < rss.entries; i++)
		rss.table[i] %= nr;
	if (!rss.entries)
		memset(&rss, 0, sizeof(rss));
	return rss;
}

void netvsp_look_at_link(struct netvsp *netvsp)
{
	struct netvsp_channel *primary = netvsp_channel(netvsp, 0);
	struct nic_info info;

	netvsp->nic->ops->info(netvsp->nic, &info);
	atomic_store(&netvsp->link_up, info.link_up && !netvsp->lost &&
					!netvsp->retiring);
	pthread_mutex_lock(&netvsp->lock);
	if (netvsp->want.open & 1)
		reactor_post(primary->vmbus->reactor, &netvsp->attend_call);
	pthread_mutex_unlock(&netvsp->lock);
}

/* The channels that wait for the backend to be idle, or not to use them. */
static void release_leaving(struct netvsp *netvsp)
{
	uint64_t free = UINT64_MAX;

	if (netvsp->life != LIFE_IDLE)
		free = netvsp->nr_queues > 63 ? 0 :
		       UINT64_MAX << netvsp->nr_queues;
	pthread_mutex_lock(&netvsp->lock);
	free &= netvsp->want.leaving;
	netvsp->want.leaving &= ~free;
	for (; free; free &= free - 1) {
		struct netvsp_channel *ch = netvsp_channel(netvsp,
			(unsigned int)__builtin_ctzll(free));

		reactor_post(ch->vmbus->reactor, &ch->idle_call);
	}
	pthread_mutex_unlock(&netvsp->lock);
}

/* Sends a call to each queue; when all have done it the phase ends. */
static void begin_phase(struct netvsp *netvsp, enum netvsp_life life)
{
	netvsp->life = life;
	atomic_store(&netvsp->awaited, netvsp->nr_queues);
	for (unsigned int i = 0; i < netvsp->nr_queues; i++) {
		struct netvsp_channel *ch = netvsp_channel(netvsp, i);

		reactor_post(ch->vmbus->reactor, life == LIFE_PAUSING ?
			     &ch->pause_call : &ch->drain_call);
	}
}

static void set_lost(struct netvsp *netvsp, bool lost)
{
	netvsp->lost = lost;
	atomic_store(&netvsp->unplugged, lost);
	netvsp_look_at_link(netvsp);
	netvsp_look_all(netvsp);
}

static void started(void *client, int result, struct nic_queue *const *queues)
{
	struct netvsp *netvsp = client;

	pv_bug(netvsp->life != LIFE_STARTING, netvsp->life, result);
	if (result) {
		log_warn_limited("%s does not start: %s",
				 netvsp->nic->ops->name, strerror(-result));
		netvsp->start_failures++;
		set_lost(netvsp, true);
		if (result != -ENODEV)
			reactor_timer_arm(netvsp->reactor, &netvsp->retry,
					  reactor_now() + RETRY_NS);
		/* Nothing is under way, but frames to send wait. */
		begin_phase(netvsp, LIFE_DRAINING);
		return;
	}
	netvsp->life = LIFE_RUNNING;
	netvsp->starts++;
	for (unsigned int i = 0; i < netvsp->nr_queues; i++) {
		struct netvsp_channel *ch = netvsp_channel(netvsp, i);

		ch->next_queue = queues[i];
		reactor_post(ch->vmbus->reactor, &ch->go_call);
	}
	netvsp_changed(netvsp);
}

static void stopped(void *client)
{
	struct netvsp *netvsp = client;

	pv_bug(netvsp->life != LIFE_STOPPING, netvsp->life, 0);
	begin_phase(netvsp, LIFE_DRAINING);
}

static void phase_over(struct reactor_call *call)
{
	struct netvsp *netvsp = netvsp_of(call, phase_call);

	if (netvsp->life == LIFE_PAUSING) {
		netvsp->life = LIFE_STOPPING;
		netvsp->nic->ops->stop(netvsp->nic);
	} else {
		netvsp->life = LIFE_IDLE;
		netvsp_changed(netvsp);
	}
}

static const struct nic_client_ops client_ops = {
	.received = netvsp_received,
	.sent = netvsp_sent,
	.started = started,
	.stopped = stopped,
};

static void start(struct netvsp *netvsp, unsigned int nr)
{
	struct nic_start start = {
		.ops = &client_ops,
		.client = netvsp,
		.nr_queues = nr,
		.rss = netvsp->rss,
	};
	unsigned int depth = netvsp->queue_slots;
	int err;

	if (depth > netvsp->info.max_rx_depth)
		depth = netvsp->info.max_rx_depth;
	start.rx_depth = (uint16_t)depth;
	start.tx_depth = netvsp->info.max_tx_depth < NETVSP_TX_FRAMES ?
			 netvsp->info.max_tx_depth : NETVSP_TX_FRAMES;
	for (unsigned int i = 0; i < nr; i++) {
		struct netvsp_channel *ch = netvsp_channel(netvsp, i);

		start.queue[i].reactor = ch->vmbus->reactor;
		start.queue[i].client = ch;
	}
	netvsp->nr_queues = nr;
	netvsp->life = LIFE_STARTING;
	err = netvsp->nic->ops->start(netvsp->nic, &start);
	if (err)
		started(netvsp, err, NULL);
}

static bool same_rss(const struct nic_rss *a, const struct nic_rss *b)
{
	return a->entries == b->entries &&
	       !memcmp(a->key, b->key, sizeof(a->key)) &&
	       !memcmp(a->table, b->table, a->entries * sizeof(a->table[0]));
}

static void reconcile(struct reactor_call *call)
{
	struct netvsp *netvsp = netvsp_of(call, reconcile_call);
	struct nic_rss rss;
	unsigned int nr, filter;

	release_leaving(netvsp);
	if (netvsp->life != LIFE_IDLE && netvsp->life != LIFE_RUNNING)
		return;
	pthread_mutex_lock(&netvsp->lock);
	nr = wanted_queues(netvsp);
	rss = wanted_rss(netvsp, nr ? nr : 1);
	filter = netvsp->want.filter;
	pthread_mutex_unlock(&netvsp->lock);
	if (filter != netvsp->filter) {
		netvsp->filter = filter;
		netvsp->nic->ops->set_filter(netvsp->nic, filter);
	}
	if (netvsp->life == LIFE_RUNNING) {
		bool another = !same_rss(&rss, &netvsp->rss);

		if (nr == netvsp->nr_queues && another &&
		    !netvsp->nic->ops->set_rss(netvsp->nic, &rss)) {
			netvsp->rss = rss;
			netvsp_steer_table(netvsp);
			another = false;
		}
		if (nr != netvsp->nr_queues || another)
			begin_phase(netvsp, LIFE_PAUSING);
	} else if (nr) {
		netvsp->rss = rss;
		netvsp_steer_table(netvsp);
		start(netvsp, nr);
	}
}

static void retry(struct reactor_timer *timer)
{
	struct netvsp *netvsp = netvsp_of(timer, retry);

	set_lost(netvsp, false);
	netvsp_changed(netvsp);
}

static void nic_event(struct nic *nic, enum nic_event event)
{
	struct netvsp *netvsp = nic->owner;

	if (event == NIC_LOST || event == NIC_BACK) {
		log_warn_limited("%s is %s", nic->ops->name,
				 event == NIC_LOST ? "gone" : "back");
		reactor_timer_cancel(netvsp->reactor, &netvsp->retry);
		set_lost(netvsp, event == NIC_LOST);
		netvsp_changed(netvsp);
	} else {
		netvsp_look_at_link(netvsp);
	}
}

void netvsp_nic_init(struct netvsp *netvsp)
{
	netvsp->reconcile_call.fn = reconcile;
	netvsp->phase_call.fn = phase_over;
	netvsp->retry.fn = retry;
	netvsp->nic->owner = netvsp;
	netvsp->nic->event = nic_event;
	atomic_store(&netvsp->link_up, netvsp->info.link_up);
}
