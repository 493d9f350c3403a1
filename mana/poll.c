// SPDX-License-Identifier: MIT
/*
 * Polling, theory of operation
 *
 * Owns: when a queue's completions are looked at.
 *
 *	            frames handed over, or an event
 *	   asleep ---------------------------------> polling
 *	   CQs armed <------------------------------ CQs silent
 *	            nothing found in IDLE_PASSES
 *
 * While it polls, the queue is a call that posts itself again: once per round
 * of its reactor, as long as the reactor's budget allows; when that is spent
 * the reactor lets VTL0 run for a slice and comes back. VTL0 is never left
 * alone with a queue that is neither armed nor due: an event is what pulls the
 * VP out of it.
 *
 * Frames that were sent and that nobody waits for have no event: what wakes the
 * queue otherwise finds them, or a timer as late as they may be. Those that are
 * not sent by then have one. While the client rests nothing else has one either:
 * it is about to have the queue polled.
 *
 * Asleep, events come through a descriptor that the reactor watches. A CQ that
 * is still armed from before is not armed again; an event that is on its way
 * while its entries have been polled already costs one empty pass. One that
 * never comes would leave the queue asleep for ever, and so would a doorbell that
 * never got there: once a second somebody has it looked at without an event
 * (vport_queues.c), and if there is nothing the doorbells are rung once more. Or
 * the device left an entry out: what comes behind it would not be seen.
 *
 * Threads: the queue's reactor. Failure answers: a queue that broke is not
 * looked at any more, and its NIC hears of it.
 */
#include <errno.h>
#include <stddef.h>

#include <pv/log.h>

#include "txrx.h"

#define BUDGET 32u /* entries of each CQ in a round */
#define IDLE_PASSES 3
#define RING_AGAIN 4

bool queue_key(const struct nic_queue *q, struct gpa_range range, uint32_t *key)
{
	const struct mana_keys *keys = q->keys;

	for (unsigned int i = 0; i < keys->nr; i++) {
		uint64_t offset = range.gpa - keys->range[i].gpa;

		if (offset >= keys->range[i].size ||
		    range.len > keys->range[i].size - offset)
			continue;
		*key = keys->range[i].key;
		return keys->range[i].good;
	}
	return false;
}

void queue_break(struct nic_queue *q, const char *why)
{
	if (q->stopped)
		return;
	q->stopped = true;
	q->broken(q, why);
}

void queue_poll_soon(struct nic_queue *q)
{
	q->idle = 0;
	if (q->attached && !q->stopped)
		reactor_post(q->reactor, &q->poll);
}

void queue_event(struct nic_queue *q, bool tx)
{
	q->events_taken++;
	if (tx)
		q->tx_cq.armed = false;
	else
		q->rx_cq.armed = false;
}

static void sleep_armed(struct nic_queue *q)
{
	if (!tx_outstanding(q)) {
		q->tx_soon = false;
	} else if (q->tx_cq.armed) {
		; /* from before */
	} else if (q->tx_soon) {
		mana_cq_arm(&q->doorbells, &q->tx_cq);
		q->arms++;
	} else if (!q->rests && !q->late.armed) {
		reactor_timer_arm(q->reactor, &q->late,
				  reactor_now() + q->late_ns);
	}
	if (q->receives && !q->rests && !q->rx_cq.armed) {
		mana_cq_arm(&q->doorbells, &q->rx_cq);
		q->arms++;
	}
}

static void poll_queue(struct reactor_call *call)
{
	struct nic_queue *q = (struct nic_queue *)((char *)call -
		offsetof(struct nic_queue, poll));
	int received = 0, sent;

	if (!q->attached || q->stopped)
		return;
	q->polling = true;
	sent = tx_completions(q, BUDGET);
	if (q->receives && sent >= 0 && !q->stopped)
		received = rx_completions(q, BUDGET);
	q->polling = false;
	if (sent < 0 || received < 0) {
		queue_break(q, "completions that can not be");
		return;
	}
	if (q->stopped || !q->attached) /* of a completion, or a client */
		return;
	rx_ring(q);
	mana_cq_credit(&q->doorbells, &q->tx_cq);
	if (q->receives)
		mana_cq_credit(&q->doorbells, &q->rx_cq);
	if (sent || received)
		q->idle = 0;
	else
		q->idle++;
	if (q->idle < IDLE_PASSES)
		reactor_post(q->reactor, &q->poll);
	else
		sleep_armed(q);
	q->stats.doorbells = q->doorbells.rung;
}

void queue_rest(struct nic_queue *q, bool rests)
{
	q->rests = rests;
	if (!rests)
		queue_poll_soon(q);
}

static void look_late(struct reactor_timer *late)
{
	struct nic_queue *q = (struct nic_queue *)((char *)late -
		offsetof(struct nic_queue, late));

	q->tx_soon = tx_outstanding(q);
	if (q->tx_soon)
		queue_poll_soon(q);
}

/* Nothing came, and something could: a doorbell may have been lost. They say how
 * far the rings are filled, so that one more says nothing new. A few are enough,
 * until there is something new to say. */
static void ring_again(struct nic_queue *q)
{
	uint32_t filled = q->tx_head + q->rx_head;

	if (filled != q->again_for) {
		q->again_for = filled;
		q->again = 0;
	}
	if (q->again == RING_AGAIN)
		return;
	q->again++;
	if (tx_outstanding(q))
		mana_sq_ring(&q->doorbells, &q->sq);
	if (q->receives && q->rx_head != q->rx_tail) {
		q->rx_rung = q->rx_head;
		mana_rq_ring(&q->doorbells, &q->rq);
	}
	q->stats.doorbells = q->doorbells.rung;
}

/* Twice in a row the next entry is missing and one behind it is there; that may
 * wake us without end meanwhile. (Of one that is missing among those of sent
 * frames, the frame tells.) */
static bool has_hole(struct nic_queue *q)
{
	bool known = q->hole == q->rx_cq.head;

	if (q->stopped || !q->receives || !mana_cq_has_hole(&q->rx_cq))
		return false;
	q->hole = q->rx_cq.head;
	return known;
}

static void look_at(struct reactor_call *call)
{
	struct nic_queue *q = (struct nic_queue *)((char *)call -
		offsetof(struct nic_queue, look));
	uint32_t tx = q->tx_cq.head, rx = q->rx_cq.head;

	if (has_hole(q)) {
		queue_break(q, "a completion was left out");
		return;
	}
	if (q->idle < IDLE_PASSES || q->rests) /* it polls anyway */
		return;
	poll_queue(&q->poll);
	if (!q->attached || q->stopped)
		return;
	if (q->tx_cq.head == tx && q->rx_cq.head == rx) {
		ring_again(q);
		return;
	}
	q->found_late++;
	/* The device has spent its events on them. */
	q->tx_cq.armed = q->rx_cq.armed = false;
}

void queue_look(struct nic_queue *q)
{
	reactor_post(q->reactor, &q->look);
}

static void readable(struct reactor_watch *watch)
{
	struct nic_queue *q = (struct nic_queue *)((char *)watch -
		offsetof(struct nic_queue, watch));

	q->events(q);
	if (q->stopped) { /* what broke may be readable for ever */
		reactor_watch_remove(q->reactor, watch);
		watch->fd = -1;
	}
	queue_poll_soon(q);
}

int queue_attach(struct nic_queue *q)
{
	int err;

	q->poll.fn = poll_queue;
	q->look.fn = look_at;
	q->late.fn = look_late;
	q->watch.fn = readable;
	q->watch.fd = q->event_fd;
	err = reactor_watch_add(q->reactor, &q->watch);
	if (err)
		return err;
	q->attached = true;
	return 0;
}

void queue_detach(struct nic_queue *q)
{
	if (!q->attached)
		return;
	q->attached = false;
	q->stopped = true;
	reactor_timer_cancel(q->reactor, &q->late);
	if (q->watch.fd >= 0)
		reactor_watch_remove(q->reactor, &q->watch);
}
