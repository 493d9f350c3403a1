/* SPDX-License-Identifier: MIT */
/*
 * The backend of a NIC under test, theory of operation
 *
 * The loopback NIC stands behind a table of our own, which notes what it was
 * asked and can keep it for later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

static struct {
	const struct nic_ops *real;
	struct nic_ops ops;
	bool hold_start, hold_stop, hold_tx;
	bool started, stopped; /* and held back */
	int fail;
	bool link_down;
	unsigned int filter;
	struct nic_start start;
	struct nic_frame last;
	struct gpa_range last_range[64];
	const struct nic_client_ops *client;
	struct nic_client_ops client_ops;
	struct nic_queue *queue[NIC_MAX_QUEUES];
	struct nic_queue *tx_queue[NIC_MAX_FRAMES];
	uint32_t tx_id[NIC_MAX_FRAMES];
	unsigned int nr_tx;
} back;

static void back_info(struct nic *nic, struct nic_info *info)
{
	back.real->info(nic, info);
	info->link_up = !back.link_down;
}

static void back_started(void *client, int result,
			 struct nic_queue *const *queues)
{
	if (!result)
		memcpy(back.queue, queues,
		       back.start.nr_queues * sizeof(back.queue[0]));
	back.client->started(client, result, queues);
}

static int back_start(struct nic *nic, const struct nic_start *start)
{
	int err = back.fail;

	back.fail = 0;
	back.start = *start;
	back.client = start->ops;
	back.client_ops = *start->ops;
	back.client_ops.started = back_started;
	back.start.ops = &back.client_ops;
	if (err)
		return err;
	if (!back.hold_start)
		return back.real->start(nic, &back.start);
	back.started = true;
	return 0;
}

static void back_stop(struct nic *nic)
{
	if (back.hold_stop)
		back.stopped = true;
	else
		back.real->stop(nic);
}

static void back_set_filter(struct nic *nic, unsigned int filter)
{
	back.filter = filter;
	back.real->set_filter(nic, filter);
}

static unsigned int back_tx(struct nic_queue *queue,
			    const struct nic_frame *frames, unsigned int nr)
{
	back.last = frames[nr - 1];
	memcpy(back.last_range, back.last.ranges,
	       back.last.nr_ranges * sizeof(back.last_range[0]));
	back.last.ranges = back.last_range;
	if (!back.hold_tx)
		return back.real->tx(queue, frames, nr);
	for (unsigned int i = 0; i < nr; i++) {
		if (back.nr_tx == NIC_MAX_FRAMES)
			return i;
		back.tx_queue[back.nr_tx] = queue;
		back.tx_id[back.nr_tx++] = frames[i].id;
	}
	return nr;
}

void nic_hold(struct nic_machine *m, bool start, bool stop, bool tx)
{
	(void)m;
	back.hold_start = start;
	back.hold_stop = stop;
	back.hold_tx = tx;
}

static void let_go(void *arg)
{
	struct nic_machine *m = arg;

	nic_hold(m, false, false, false);
	if (back.started)
		back.real->start(m->nic, &back.start);
	if (back.stopped)
		back.real->stop(m->nic);
	back.started = back.stopped = false;
}

/* Frames that were held are told as sent. */
void nic_let_go(struct nic_machine *m)
{
	unsigned int nr = back.nr_tx;

	back.nr_tx = 0;
	for (unsigned int i = 0; i < nr && !back.stopped; i++) {
		struct nic_sent sent = { .id = back.tx_id[i] };

		for (unsigned int q = 0; q < back.start.nr_queues; q++)
			if (back.queue[q] == back.tx_queue[i])
				back.client->sent(back.start.queue[q].client,
						  &sent, 1);
	}
	reactor_run(m->g->reactor[0], let_go, m);
	reactor_inline_drain();
}

unsigned int nic_held_frames(void)
{
	return back.nr_tx;
}

struct happening {
	struct nic *nic;
	enum nic_event event;
};

static void happen(void *arg)
{
	const struct happening *happening = arg;

	happening->nic->event(happening->nic, happening->event);
}

void nic_event(struct nic_machine *m, enum nic_event event)
{
	struct happening happening = { m->nic, event };

	reactor_run(m->g->reactor[0], happen, &happening);
	reactor_inline_drain();
}

void nic_link(struct nic_machine *m, bool up)
{
	back.link_down = !up;
	nic_event(m, NIC_LINK);
}

void nic_fail_start(struct nic_machine *m, int err)
{
	(void)m;
	back.fail = err;
}

const struct nic_start *nic_last_start(void)
{
	return &back.start;
}

unsigned int nic_last_filter(void)
{
	return back.filter;
}

const struct nic_frame *nic_last_frame(void)
{
	return &back.last;
}

/* Hashes. */

static struct {
	const struct nic_ops *real;
	struct nic_ops ops;
	struct nic_client_ops client_ops;
	void (*received)(void *client, const struct nic_received *frames,
			 unsigned int nr);
	_Atomic uint32_t hash, step;
} hashes;

static void hashed(void *client, const struct nic_received *frames,
		   unsigned int nr)
{
	for (; nr; nr--, frames++) {
		struct nic_received frame = *frames;

		frame.good |= NIC_HASH;
		frame.hash = atomic_fetch_add(&hashes.hash, hashes.step);
		hashes.received(client, &frame, 1);
	}
}

static int hash_start(struct nic *nic, const struct nic_start *start)
{
	struct nic_start other = *start;

	hashes.client_ops = *start->ops;
	hashes.received = start->ops->received;
	hashes.client_ops.received = hashed;
	other.ops = &hashes.client_ops;
	return hashes.real->start(nic, &other);
}

void nic_hashes(struct nic *nic, uint32_t hash, uint32_t step)
{
	atomic_store(&hashes.hash, hash);
	atomic_store(&hashes.step, step);
	if (nic->ops == &hashes.ops)
		return;
	hashes.real = nic->ops;
	hashes.ops = *nic->ops;
	hashes.ops.start = hash_start;
	nic->ops = &hashes.ops;
}

void nic_wrap(struct nic *nic)
{
	memset(&back, 0, sizeof(back));
	back.real = nic->ops;
	back.ops = *back.real;
	back.ops.info = back_info;
	back.ops.start = back_start;
	back.ops.stop = back_stop;
	back.ops.tx = back_tx;
	back.ops.set_filter = back_set_filter;
	nic->ops = &back.ops;
}

void nic_unwrap(struct nic *nic)
{
	nic->ops = back.real;
}
