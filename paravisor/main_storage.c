// SPDX-License-Identifier: MIT
/*
 * Storage, theory of operation
 *
 * Owns: the settings in force, and for each controller and LUN in them an
 * object that holds the disk below and the SCSI unit above.
 *
 *	storvsp <- LUN <- [stripe <-] NVMe namespaces, SCSI disks of the host
 *
 * A change is made in three steps. Only the last changes anything that the
 * guest can see, and by then all that can be refused has been:
 *
 *	1 plan     what stays, what goes, what comes, by instance and number
 *	2 open     the disks of what comes, each with its self-test; a mistake
 *	           closes them again, and nothing has happened
 *	3 commit   on the server's reactor: what goes is taken away, what comes
 *	           is offered; disks are closed when the guest let go of them
 *	           (relay/storvsp_retire.c: units go before their controller)
 *
 * A disk that is lost (its device is gone) is looked for once a second, by the
 * identifiers of its devices and not by their number, which may be another when
 * they are back. Then its unit, which the guest has seen go, comes anew:
 *
 *	good --DISK_LOST--> degraded --storage_look() finds them--> good
 *
 * A controller that stays only in name is taken away, and its successor, which
 * has the same instance, is offered when it is gone.
 *
 * Threads: storage_apply() and storage_look() exclude each other; objects belong
 * to their thread until they are committed and to the server's reactor after.
 * Events of disks come on that reactor, too. What is committed goes only by a
 * change, so that a look may hold on to it.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/disk.h>
#include <pv/inspect.h>
#include <pv/log.h>

#include "nvme/nvme.h"
#include "relay/server.h"
#include "relay/storvsp.h"

#include "main_disk.h"
#include "main_storage.h"

LOG_MODULE("storage");

/* For a controller to be gone before its successor can come; the guest has a
 * part of it to let go of its units. */
#define SUCCESSOR_WAIT_SECONDS (5 + STORVSP_RETIRE_NS / 1000000000)

/* For a disk that is lost. */
#define LOOK_EVERY_SECONDS 1

struct controller;

/* A LUN in force, or about to be. */
struct unit {
	struct controller *controller; /* NULL: not committed, or going */
	struct settings_lun settings;
	struct disk *disk; /* NULL: none, an empty DVD drive */
	bool lost;	   /* the reactor's */
	struct disk_info device[]; /* what it was opened as */
};

struct controller {
	struct storage *storage;
	struct controller *next;
	struct settings_controller *settings; /* but for its LUNs */
	uint16_t order;
	struct storvsp *storvsp; /* NULL: not offered */
	struct unit *unit[SETTINGS_MAX_LUNS];
	struct controller *successor; /* while it goes */
};

struct storage {
	struct storage_config config;
	struct settings *settings;	/* in force */
	struct controller *controllers; /* in force */
	sem_t successors;		/* posted for each that was offered */
	pthread_mutex_t lock;		/* of apply and look */
	sem_t lost;			/* posted for each disk that is lost */
	struct inspect_entry events;
};

/* One change, from plan to commit. */
struct change {
	struct storage *storage;
	const struct settings *settings;
	struct controller *controllers; /* new ones */
	/* New LUNs of controllers that stay, and what goes of these. */
	struct unit *unit[SETTINGS_MAX_CONTROLLERS][SETTINGS_MAX_LUNS];
	struct controller *kept[SETTINGS_MAX_CONTROLLERS]; /* by place in them */
	unsigned int successors; /* that wait for their predecessors */
	uint64_t deadline;
	char *error;
	int result;
};

/* ---- objects ---- */

static struct unit *unit_alloc(const struct settings_lun *lun)
{
	struct unit *unit = calloc(1, sizeof(*unit) +
				   lun->nr_devices * sizeof(unit->device[0]));

	if (unit)
		unit->settings = *lun;
	return unit;
}

static void unit_free(struct unit *unit)
{
	if (!unit)
		return;
	if (unit->disk)
		unit->disk->ops->close(unit->disk);
	free(unit);
}

static void controller_free(struct controller *c)
{
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
		unit_free(c->unit[i]);
	free(c->settings);
	free(c);
}

static struct controller *controller_of(struct storage *s,
					const struct guid *instance)
{
	struct controller *c = s->controllers;

	while (c && !guid_equal(&c->settings->instance, instance))
		c = c->next;
	return c;
}

/* ---- plan ---- */

/* Is the controller itself the same, whatever its LUNs? */
static bool same_controller(const struct settings_controller *a,
			    const struct settings_controller *b)
{
	return a->queue_depth == b->queue_depth &&
	       a->sub_channels == b->sub_channels &&
	       a->max_transfer_kib == b->max_transfer_kib;
}

static const struct settings_lun *find_lun(const struct settings_controller *c,
					   uint8_t number)
{
	for (unsigned int i = 0; i < c->nr_luns; i++)
		if (c->lun[i].lun == number)
			return &c->lun[i];
	return NULL;
}

/* Does a unit in force stay as it is? */
static bool stays(const struct change *change, const struct unit *unit,
		  const struct settings_controller *to)
{
	const struct settings_lun *lun = find_lun(to, unit->settings.lun);

	return lun && settings_same_lun(change->storage->settings,
					&unit->settings, change->settings, lun);
}

/* ---- open ---- */

static int refuse(struct change *change, int err, unsigned int c,
		  const struct settings_lun *lun, const char *why)
{
	const struct settings_lun *first = change->settings->controller[c].lun;

	if (lun)
		snprintf(change->error, SETTINGS_ERROR_SIZE,
			 "/storage/%u/luns/%u%s", c,
			 (unsigned int)(lun - first), why);
	else
		snprintf(change->error, SETTINGS_ERROR_SIZE, "/storage/%u%s",
			 c, why);
	log_err("%s", change->error);
	return err;
}

/* What SCSI will be told of it. */
static void lun_config(const struct unit *unit, struct scsi_lun_config *config)
{
	const struct settings_lun *s = &unit->settings;

	_Static_assert((int)SETTINGS_ON == (int)SCSI_ON &&
		       (int)SETTINGS_OFF == (int)SCSI_OFF, "switches");
	*config = (struct scsi_lun_config){
		.number = s->lun,
		.read_only = s->read_only,
		.dvd = s->dvd,
		.disk = unit->disk,
		.identity.id = s->device_id,
		.write_cache = s->write_cache,
		.fua = s->fua,
		.unmap = s->unmap,
		.rotation = s->rotation,
		.physical_block_size = s->physical_block_size,
	};
	strcpy(config->identity.vendor, s->vendor);
	strcpy(config->identity.product, s->product);
	strcpy(config->identity.revision, s->revision);
	strcpy(config->identity.serial, s->serial);
}

static void disk_event(struct disk *disk, enum disk_event event);

/* Opens what a LUN stands on. The result is the change's if it fails. */
static struct unit *open_unit(struct change *change, unsigned int c,
			      const struct settings_lun *lun)
{
	struct unit *unit = unit_alloc(lun);
	const struct main_disk_config config = {
		.settings = change->settings,
		.lun = lun,
		.memory = change->storage->config.memory,
		.reactor = change->storage->config.reactor,
		.spare_gpa = change->storage->config.spare_gpa,
		.deadline = change->deadline,
		.opened = unit ? unit->device : NULL,
		.event = disk_event,
	};
	char why[SETTINGS_ERROR_SIZE] = "";
	struct scsi_lun_config scsi;
	struct scsi_lun scratch;
	int err;

	if (!unit) {
		change->result = refuse(change, -ENOMEM, c, lun,
					": out of memory");
		return NULL;
	}
	err = main_disk_open(&config, unit, &unit->disk, why);
	if (!err) {
		lun_config(unit, &scsi);
		err = scsi_lun_init(&scratch, &scsi);
		if (err)
			strcpy(why, ": not what a SCSI disk can be, see the "
				    "log of VTL2");
	}
	if (!err)
		return unit;
	unit_free(unit);
	change->result = refuse(change, err, c, lun, why);
	return NULL;
}

/* A controller with all its LUNs. */
static struct controller *open_controller(struct change *change, unsigned int c)
{
	const struct settings_controller *sc = &change->settings->controller[c];
	struct controller *made = calloc(1, sizeof(*made));

	if (!made)
		goto out_memory;
	made->storage = change->storage;
	made->order = (uint16_t)c;
	made->settings = malloc(sizeof(*made->settings));
	if (!made->settings)
		goto out_free;
	*made->settings = *sc;
	for (unsigned int i = 0; i < sc->nr_luns; i++) {
		struct unit *unit = open_unit(change, c, &sc->lun[i]);

		if (!unit) {
			controller_free(made);
			return NULL;
		}
		unit->controller = made;
		made->unit[sc->lun[i].lun] = unit;
	}
	return made;
out_free:
	free(made);
out_memory:
	change->result = refuse(change, -ENOMEM, c, NULL, ": out of memory");
	return NULL;
}

static int open_new_units(struct change *change, unsigned int c,
			  struct controller *kept)
{
	const struct settings_controller *sc = &change->settings->controller[c];

	change->kept[c] = kept;
	for (unsigned int i = 0; i < sc->nr_luns; i++) {
		uint8_t number = sc->lun[i].lun;

		if (kept->unit[number] &&
		    stays(change, kept->unit[number], sc))
			continue;
		change->unit[c][number] = open_unit(change, c, &sc->lun[i]);
		if (!change->unit[c][number])
			return change->result;
	}
	return 0;
}

static int open_all(struct change *change)
{
	const struct settings *to = change->settings;

	for (unsigned int c = 0; c < to->nr_controllers; c++) {
		const struct settings_controller *sc = &to->controller[c];
		struct controller *now = controller_of(change->storage,
						       &sc->instance);
		struct controller *made;

		if (now && same_controller(now->settings, sc)) {
			if (open_new_units(change, c, now))
				return change->result;
			continue;
		}
		made = open_controller(change, c);
		if (!made)
			return change->result;
		made->next = change->controllers;
		change->controllers = made;
	}
	return 0;
}

static void close_all(struct change *change)
{
	while (change->controllers) {
		struct controller *c = change->controllers;

		change->controllers = c->next;
		controller_free(c);
	}
	for (unsigned int c = 0; c < SETTINGS_MAX_CONTROLLERS; c++)
		for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
			unit_free(change->unit[c][i]);
}

/* ---- commit: the server's reactor ---- */

static int offer(struct controller *c)
{
	struct scsi_lun_config *luns = calloc(SETTINGS_MAX_LUNS, sizeof(*luns));
	struct storvsp_config config = {
		.instance = c->settings->instance,
		.order = c->order,
		.queue_depth = c->settings->queue_depth,
		.max_subchannels = c->settings->sub_channels,
		.max_transfer = c->settings->max_transfer_kib * 1024u,
		.memory = c->storage->config.memory,
		.reactor = c->storage->config.reactor,
		.luns = luns,
	};
	int err = -ENOMEM;

	if (!luns)
		return err;
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
		if (c->unit[i])
			lun_config(c->unit[i], &luns[config.nr_luns++]);
	err = storvsp_create(c->storage->config.server, &config, &c->storvsp);
	free(luns);
	return err;
}

static void degrade(struct controller *c, struct unit *unit)
{
	log_warn("controller %u, LUN %u: degraded: its disk is gone; it is "
		 "looked for by its identifiers", c->order, unit->settings.lun);
	storvsp_lun_lost(c->storvsp, unit->settings.lun);
	sem_post(&c->storage->lost);
}

/* From now on its disk's events are the unit's; was there one already? */
static void take_unit(struct controller *c, struct unit *unit)
{
	unit->controller = c;
	c->unit[unit->settings.lun] = unit;
	if (unit->lost)
		degrade(c, unit);
}

/* Offers it and takes it into force, or frees it. */
static int start_controller(struct storage *s, struct controller *c)
{
	int err = offer(c);

	if (err) {
		log_err("controller %u: %s", c->order, strerror(-err));
		controller_free(c);
		return err;
	}
	c->next = s->controllers;
	s->controllers = c;
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
		if (c->unit[i])
			take_unit(c, c->unit[i]);
	return 0;
}

static void controller_gone(void *opaque)
{
	struct controller *c = opaque;
	struct controller *successor = c->successor;
	struct storage *s = c->storage;

	controller_free(c);
	if (!successor)
		return;
	start_controller(s, successor);
	sem_post(&s->successors);
}

static void unit_gone(void *opaque)
{
	unit_free(opaque);
}

/* Its disk is not closed before the guest let go of it. What that disk has to
 * tell until then is of nobody any more: another may stand at its LUN. */
static void take_away(struct controller *c, struct unit *unit)
{
	uint8_t number = unit->settings.lun;

	c->unit[number] = NULL;
	unit->controller = NULL;
	storvsp_remove_lun(c->storvsp, number, unit_gone, unit);
}

static void remove_units(struct change *change, struct controller *kept,
			 const struct settings_controller *to)
{
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++) {
		struct unit *unit = kept->unit[i];

		if (!unit)
			continue;
		if (stays(change, unit, to)) {
			/* Its devices stand elsewhere in the new list. */
			unit->settings = *find_lun(to, (uint8_t)i);
			continue;
		}
		take_away(kept, unit);
	}
}

static void add_units(struct change *change, unsigned int c)
{
	struct controller *kept = change->kept[c];

	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++) {
		struct unit *unit = change->unit[c][i];
		struct scsi_lun_config config;
		int err;

		if (!unit)
			continue;
		change->unit[c][i] = NULL;
		lun_config(unit, &config);
		err = storvsp_add_lun(kept->storvsp, &config);
		if (!err) {
			take_unit(kept, unit);
			continue;
		}
		/* Was checked: there is no memory. */
		change->result = err;
		unit_free(unit);
	}
}

/* Takes a new controller of this instance out of the change. */
static struct controller *take_new(struct change *change,
				   const struct guid *instance)
{
	struct controller **at = &change->controllers, *c;

	while (*at && !guid_equal(&(*at)->settings->instance, instance))
		at = &(*at)->next;
	c = *at;
	if (c)
		*at = c->next;
	return c;
}

static bool is_kept(const struct change *change, const struct controller *c)
{
	for (unsigned int i = 0; i < SETTINGS_MAX_CONTROLLERS; i++)
		if (change->kept[i] == c)
			return true;
	return false;
}

static void remove_controllers(struct change *change)
{
	struct controller **at = &change->storage->controllers, *going = NULL;

	while (*at) {
		struct controller *c = *at;

		if (is_kept(change, c)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->next = going;
		going = c;
	}
	/* One that nobody has open is gone at once, and its successor is in
	 * the list that was gone through before. */
	while (going) {
		struct controller *c = going;

		going = c->next;
		c->successor = take_new(change, &c->settings->instance);
		change->successors += c->successor != NULL;
		storvsp_retire(c->storvsp, controller_gone, c);
	}
}

static void commit(void *arg)
{
	struct change *change = arg;
	const struct settings *to = change->settings;

	/* Units first: a new one may stand on what another lets go. */
	for (unsigned int c = 0; c < to->nr_controllers; c++)
		if (change->kept[c])
			remove_units(change, change->kept[c],
				     &to->controller[c]);
	remove_controllers(change);
	for (unsigned int c = 0; c < to->nr_controllers; c++)
		if (change->kept[c])
			add_units(change, c);
	while (change->controllers) {
		struct controller *c = change->controllers;
		int err;

		change->controllers = c->next;
		err = start_controller(change->storage, c);
		if (err)
			change->result = err;
	}
	*change->storage->settings = *to;
}

/* Waits for those that had to wait for their predecessors. */
static int wait_successors(struct change *change)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)SUCCESSOR_WAIT_SECONDS;
	for (unsigned int i = 0; i < change->successors; i++) {
		int ret;

		while ((ret = sem_timedwait(&change->storage->successors,
					    &until)) && errno == EINTR)
			;
		if (!ret)
			continue;
		snprintf(change->error, SETTINGS_ERROR_SIZE,
			 "/storage: a controller that changed has commands "
			 "under way; it follows when they end");
		log_warn("%s", change->error);
		return -EINPROGRESS;
	}
	return 0;
}

/* ---- events ---- */

static void disk_event(struct disk *disk, enum disk_event event)
{
	struct unit *unit = disk->owner;
	struct controller *c = unit->controller;

	if (event == DISK_LOST)
		unit->lost = true;
	/* Not committed yet: take_unit() will see. Or going. */
	if (!c || !c->storvsp)
		return;
	switch (event) {
	case DISK_RESIZED:
		storvsp_lun_changed(c->storvsp, unit->settings.lun);
		break;
	case DISK_LOST:
		degrade(c, unit);
		break;
	}
}

/* ---- disks that come back ---- */

struct look {
	struct storage *storage;
	unsigned int n; /* which of those that are lost */
	struct unit *lost, *found;
};

static void find_lost(void *arg)
{
	struct look *look = arg;
	unsigned int n = look->n;

	look->lost = NULL;
	for (struct controller *c = look->storage->controllers; c; c = c->next)
		for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
			if (c->unit[i] && c->unit[i]->lost && !n--) {
				look->lost = c->unit[i];
				return;
			}
}

/* To the guest it is a unit that comes: the other one has gone. */
static void put_back(void *arg)
{
	struct look *look = arg;
	struct controller *c = look->lost->controller;
	uint8_t number = look->lost->settings.lun;
	struct scsi_lun_config config;
	int err;

	take_away(c, look->lost);
	lun_config(look->found, &config);
	err = storvsp_add_lun(c->storvsp, &config);
	if (err) {
		log_err("controller %u, LUN %u: its disk is back: %s", c->order,
			number, strerror(-err));
		unit_free(look->found);
		return;
	}
	log_warn("controller %u, LUN %u: not degraded any more: its disk is "
		 "back", c->order, number);
	take_unit(c, look->found);
}

/* True: it is there again. */
static bool look_for(struct look *look)
{
	struct storage *s = look->storage;
	const struct unit *lost = look->lost;
	struct unit *unit = unit_alloc(&lost->settings);
	const struct main_disk_config config = {
		.settings = s->settings,
		.lun = &lost->settings,
		.memory = s->config.memory,
		.reactor = s->config.reactor,
		.spare_gpa = s->config.spare_gpa,
		.like = lost->device,
		.opened = unit ? unit->device : NULL,
		.event = disk_event,
	};
	char why[SETTINGS_ERROR_SIZE] = "";
	struct scsi_lun_config scsi;
	struct scsi_lun scratch;

	if (!unit)
		return false;
	if (main_disk_open(&config, unit, &unit->disk, why)) {
		unit_free(unit);
		return false;
	}
	lun_config(unit, &scsi);
	if (scsi_lun_init(&scratch, &scsi)) {
		unit_free(unit);
		return false;
	}
	look->found = unit;
	reactor_run(s->config.reactor, put_back, look);
	return true;
}

bool storage_look(struct storage *s)
{
	struct look look = { .storage = s };

	pthread_mutex_lock(&s->lock);
	for (;;) {
		reactor_run(s->config.reactor, find_lost, &look);
		if (!look.lost)
			break;
		if (!look_for(&look))
			look.n++;
	}
	pthread_mutex_unlock(&s->lock);
	return look.n;
}

static void *look_thread(void *arg)
{
	const struct timespec pause = { .tv_sec = LOOK_EVERY_SECONDS };
	struct storage *s = arg;

	for (;;) {
		while (sem_wait(&s->lost))
			;
		do
			nanosleep(&pause, NULL);
		while (storage_look(s));
	}
	return NULL;
}

int storage_keep_looking(struct storage *s)
{
	pthread_t thread;
	int ret = -pthread_create(&thread, NULL, look_thread, s);

	if (!ret)
		pthread_detach(thread);
	return ret;
}

/* ---- the whole ---- */

int storage_apply(struct storage *s, const struct settings *settings,
		  char *error)
{
	struct change *change = calloc(1, sizeof(*change));
	int ret;

	if (!change) {
		strcpy(error, "/storage: out of memory");
		return -ENOMEM;
	}
	change->storage = s;
	change->settings = settings;
	change->error = error;
	pthread_mutex_lock(&s->lock);
	change->deadline = reactor_now() + MAIN_DISK_WAIT_NS;
	/* A post that came too late for the last change. */
	while (!sem_trywait(&s->successors))
		;
	ret = open_all(change);
	if (ret) {
		close_all(change);
		goto out;
	}
	reactor_run(s->config.reactor, commit, change);
	ret = change->result;
	if (ret)
		snprintf(error, SETTINGS_ERROR_SIZE,
			 "/storage: only in part, see the log of VTL2: %s",
			 strerror(-ret));
	else
		ret = wait_successors(change);
out:
	pthread_mutex_unlock(&s->lock);
	free(change);
	return ret;
}

struct storage *storage_create(const struct storage_config *config)
{
	struct storage *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->config = *config;
	sem_init(&s->successors, 0, 0);
	sem_init(&s->lost, 0, 0);
	pthread_mutex_init(&s->lock, NULL);
	s->settings = calloc(1, sizeof(*s->settings));
	if (!s->settings) {
		free(s);
		return NULL;
	}
	s->events = (struct inspect_entry){ "events", nvme_events_describe,
					    NULL, NULL };
	/* Without them disks work: it was said. */
	if (!nvme_events_start(config->reactor))
		inspect_register(&s->events);
	return s;
}
