/* SPDX-License-Identifier: MIT */
/*
 * StorVSP's logical units, theory of operation
 *
 * The controller has a table of logical units; each channel has its own nexus
 * to each of them and never looks at the table while it works. A change of the
 * table counts up its generation, and every open channel is asked to follow,
 * on its own reactor:
 *
 *	             sync: in the table
 *	none ------------------------------> open
 *	  ^                                   | sync: not in the table any more
 *	  |  last task ended                  v
 *	  '------------------------------- leaving: to the client nobody is there
 *
 * When all channels have followed, the primary tells the client to look again
 * (ENUMERATE_BUS): not before, or a client that asks on another channel would
 * find the old state there. Changes that come meanwhile are announced with it.
 *
 * A unit is freed, and its remover told, when the controller and all channels
 * have let go of it: `users` counts them. The last may be a channel, so what
 * follows is posted to the server's reactor.
 *
 * Threads: the table is written on the server's reactor, under the lock; a
 * channel that opens or follows takes the lock for the time of one look.
 *
 * Failure answers: a channel that has no memory or queue for a unit that comes
 * says so and does without; the client then finds nobody on that channel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "storvsp_channel.h"

LOG_MODULE("storvsp");

/* Units. */

static void unused(struct reactor_call *call)
{
	struct storvsp_lun *lun = (struct storvsp_lun *)
		((char *)call - offsetof(struct storvsp_lun, unused));

	if (lun->done)
		lun->done(lun->opaque);
	free(lun);
}

void storvsp_lun_free(struct storvsp_lun *lun)
{
	pv_bug(atomic_load(&lun->users) != 1, atomic_load(&lun->users), 1);
	free(lun);
}

void storvsp_lun_put(struct storvsp_lun *lun)
{
	if (atomic_fetch_sub(&lun->users, 1) != 1)
		return;
	if (reactor_is_current(lun->reactor))
		unused(&lun->unused);
	else
		reactor_post(lun->reactor, &lun->unused);
}

int storvsp_lun_create(struct storvsp *storvsp,
		       const struct scsi_lun_config *config)
{
	struct scsi_lun_config c = *config;
	struct storvsp_lun *lun;
	int err;

	if (c.number < SCSI_MAX_LUNS && storvsp->lun[c.number]) {
		log_err("LUN %u: each number may be given once", c.number);
		return -EEXIST;
	}
	c.default_id = storvsp->device.instance;
	c.default_id.b[15] ^= c.number;
	lun = calloc(1, sizeof(*lun));
	if (!lun)
		return -ENOMEM;
	err = scsi_lun_init(&lun->scsi, &c);
	if (err) {
		free(lun);
		return err;
	}
	lun->reactor = storvsp->reactor;
	lun->unused.fn = unused;
	atomic_init(&lun->users, 1);
	storvsp->lun[c.number] = lun;
	return 0;
}

/* Nexuses. */

static int open_nexus(struct storvsp_channel *ch, struct storvsp_lun *lun)
{
	uint8_t number = lun->scsi.number;
	struct storvsp_nexus *nexus = &ch->nexus[number];
	int err = scsi_nexus_open(&nexus->scsi, &lun->scsi, &ch->bounce,
				  ch->vmbus->reactor, ch->depth);

	if (err) {
		log_err("LUN %u: no queue: %s", number, strerror(-err));
		return err;
	}
	atomic_fetch_add(&lun->users, 1);
	nexus->lun = lun;
	nexus->tasks = nexus->running = 0;
	nexus->odd = 0;
	nexus->answered = false;
	nexus->waiting = NULL;
	ch->target.nexus[number] = &nexus->scsi;
	ch->open[ch->nr_open++] = number;
	storvsp_set_shares(ch);
	return 0;
}

/* The `i`th of those that are open. */
static void close_nexus(struct storvsp_channel *ch, unsigned int i)
{
	uint8_t number = ch->open[i];
	struct storvsp_nexus *nexus = &ch->nexus[number];
	struct storvsp_lun *lun = nexus->lun;

	ch->open[i] = ch->open[--ch->nr_open];
	ch->target.nexus[number] = NULL;
	storvsp_unstall(nexus);
	storvsp_set_shares(ch);
	scsi_nexus_close(&nexus->scsi);
	nexus->lun = NULL;
	storvsp_lun_put(lun);
}

/* Closes what left and is idle, opens what came; the lock is held. */
static int follow(struct storvsp_channel *ch)
{
	struct storvsp *storvsp = ch->storvsp;
	bool late = false;
	int err = 0;

	for (unsigned int i = ch->nr_open; i-- > 0;) {
		uint8_t number = ch->open[i];

		if (ch->nexus[number].lun == storvsp->lun[number])
			continue;
		ch->target.nexus[number] = NULL;
		ch->nexus[number].odd |= STORVSP_LEAVING;
		if (!ch->nexus[number].tasks)
			close_nexus(ch, i);
	}
	for (unsigned int i = 0; i < SCSI_MAX_LUNS; i++) {
		if (!storvsp->lun[i] || ch->nexus[i].lun == storvsp->lun[i])
			continue;
		if (ch->nexus[i].lun)
			late = true; /* its predecessor is not idle yet */
		else if (open_nexus(ch, storvsp->lun[i]))
			err = -ENOMEM;
	}
	if (!late)
		ch->generation = storvsp->generation;
	return err;
}

int storvsp_open_nexuses(struct storvsp_channel *ch)
{
	int err;

	pthread_mutex_lock(&ch->storvsp->lock);
	err = follow(ch);
	if (!err)
		ch->reactor = ch->vmbus->reactor;
	pthread_mutex_unlock(&ch->storvsp->lock);
	return err;
}

void storvsp_stop_following(struct storvsp_channel *ch)
{
	pthread_mutex_lock(&ch->storvsp->lock);
	ch->reactor = NULL;
	pthread_mutex_unlock(&ch->storvsp->lock);
}

void storvsp_close_nexuses(struct storvsp_channel *ch)
{
	while (ch->nr_open)
		close_nexus(ch, ch->nr_open - 1);
}

/* Changes. */

static struct storvsp_channel *channel_of(struct storvsp *storvsp,
					  unsigned int index)
{
	return atomic_load_explicit(&storvsp->channel[index],
				    memory_order_acquire);
}

/* Have all open channels followed? The lock is held. */
static bool all_followed(struct storvsp *storvsp)
{
	for (unsigned int i = 0; i <= STORVSP_MAX_SUBCHANNELS; i++) {
		const struct storvsp_channel *ch = channel_of(storvsp, i);

		if (ch && ch->reactor && ch->generation != storvsp->generation)
			return false;
	}
	return true;
}

static void announce_if_due(struct storvsp *storvsp)
{
	struct storvsp_channel *primary = channel_of(storvsp, 0);

	if (storvsp->announced == storvsp->generation ||
	    !all_followed(storvsp))
		return;
	storvsp->announced = storvsp->generation;
	if (!primary || !primary->reactor)
		return; /* who opens it will look anyway */
	atomic_store(&primary->announce, true);
	reactor_post(primary->reactor, &primary->sync);
}

void storvsp_follow(struct storvsp_channel *ch)
{
	pthread_mutex_lock(&ch->storvsp->lock);
	follow(ch); /* what failed was said */
	announce_if_due(ch->storvsp);
	pthread_mutex_unlock(&ch->storvsp->lock);
	if (atomic_load(&ch->announce) && !ch->stopped)
		storvsp_run(ch);
}

void storvsp_units_changed(struct storvsp *storvsp)
{
	storvsp->generation++;
	for (unsigned int i = 0; i <= STORVSP_MAX_SUBCHANNELS; i++) {
		struct storvsp_channel *ch = channel_of(storvsp, i);

		if (ch && ch->reactor)
			reactor_post(ch->reactor, &ch->sync);
	}
	announce_if_due(storvsp); /* nobody is open */
}

int storvsp_add_lun(struct storvsp *storvsp,
		    const struct scsi_lun_config *config)
{
	int err;

	pthread_mutex_lock(&storvsp->lock);
	err = storvsp_lun_create(storvsp, config);
	if (!err)
		storvsp_units_changed(storvsp);
	pthread_mutex_unlock(&storvsp->lock);
	return err;
}

int storvsp_remove_lun(struct storvsp *storvsp, uint8_t number,
		       void (*done)(void *opaque), void *opaque)
{
	struct storvsp_lun *lun;

	if (number >= SCSI_MAX_LUNS || !storvsp->lun[number])
		return -ENOENT;
	pthread_mutex_lock(&storvsp->lock);
	lun = storvsp->lun[number];
	lun->done = done;
	lun->opaque = opaque;
	storvsp->lun[number] = NULL;
	storvsp_units_changed(storvsp);
	pthread_mutex_unlock(&storvsp->lock);
	storvsp_lun_put(lun);
	return 0;
}

int storvsp_lun_changed(struct storvsp *storvsp, uint8_t number)
{
	if (number >= SCSI_MAX_LUNS || !storvsp->lun[number])
		return -ENOENT;
	scsi_lun_changed(&storvsp->lun[number]->scsi);
	return 0;
}

int storvsp_lun_lost(struct storvsp *storvsp, uint8_t number)
{
	if (number >= SCSI_MAX_LUNS || !storvsp->lun[number])
		return -ENOENT;
	pthread_mutex_lock(&storvsp->lock);
	atomic_store(&storvsp->lun[number]->scsi.lost, true);
	storvsp_units_changed(storvsp);
	pthread_mutex_unlock(&storvsp->lock);
	return 0;
}
