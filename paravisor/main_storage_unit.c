// SPDX-License-Identifier: MIT
/*
 * LUNs of storage, theory of operation
 *
 * Owns: what becomes of a single unit and its disk, from the settings to the
 * end, whichever change of the settings (main_storage.c) it comes and goes by.
 *
 * A disk that is lost (its device is gone) is looked for once a second, by the
 * identifiers of its devices and not by their number, which may be another when
 * they are back. Then its unit, which the guest has seen go, comes anew:
 *
 *	good --DISK_LOST--> degraded --storage_look() finds them--> good
 *
 * Threads: a unit belongs to its thread until a controller takes it, and to the
 * server's reactor, on which its disk's events come, after. What is taken goes
 * only by a change, and changes and looks exclude each other, so that a look
 * may hold on to it.
 *
 * Failure answers: a look that fails is made again a second later.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>

#include "main_disk.h"
#include "main_storage_state.h"

LOG_MODULE("storage");

/* For a disk that is lost. */
#define LOOK_EVERY_SECONDS 1

struct unit *unit_alloc(const struct settings_lun *lun)
{
	struct unit *unit = calloc(1, sizeof(*unit) +
				   lun->nr_devices * sizeof(unit->device[0]));

	if (unit)
		unit->settings = *lun;
	return unit;
}

void unit_free(struct unit *unit)
{
	if (!unit)
		return;
	if (unit->disk)
		unit->disk->ops->close(unit->disk);
	free(unit);
}

void unit_lun_config(const struct unit *unit, struct scsi_lun_config *config)
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

static void degrade(struct controller *c, struct unit *unit)
{
	log_warn("controller %u, LUN %u: degraded: its disk is gone; it is "
		 "looked for by its identifiers", c->order, unit->settings.lun);
	storvsp_lun_lost(c->storvsp, unit->settings.lun);
	sem_post(&c->storage->lost);
}

void unit_take(struct controller *c, struct unit *unit)
{
	unit->controller = c;
	c->unit[unit->settings.lun] = unit;
	/* Was there an event already? */
	if (unit->lost)
		degrade(c, unit);
}

static void unit_gone(void *opaque)
{
	unit_free(opaque);
}

/* Its disk is not closed before the guest let go of it. What that disk has to
 * tell until then is of nobody any more: another may stand at its LUN. */
void unit_take_away(struct controller *c, struct unit *unit)
{
	uint8_t number = unit->settings.lun;

	c->unit[number] = NULL;
	unit->controller = NULL;
	storvsp_remove_lun(c->storvsp, number, unit_gone, unit);
}

void unit_disk_event(struct disk *disk, enum disk_event event)
{
	struct unit *unit = disk->owner;
	struct controller *c = unit->controller;

	if (event == DISK_LOST)
		unit->lost = true;
	/* Not committed yet: unit_take() will see. Or going. */
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

	unit_take_away(c, look->lost);
	unit_lun_config(look->found, &config);
	err = storvsp_add_lun(c->storvsp, &config);
	if (err) {
		log_err("controller %u, LUN %u: its disk is back: %s", c->order,
			number, strerror(-err));
		unit_free(look->found);
		return;
	}
	log_warn("controller %u, LUN %u: not degraded any more: its disk is "
		 "back", c->order, number);
	unit_take(c, look->found);
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
		.event = unit_disk_event,
	};
	char why[SETTINGS_ERROR_SIZE] = "";
	struct scsi_lun_config scsi;
	const char *rule;

	if (!unit)
		return false;
	if (main_disk_open(&config, unit, &unit->disk, why)) {
		unit_free(unit);
		return false;
	}
	unit_lun_config(unit, &scsi);
	rule = scsi_lun_check(&scsi);
	if (rule) {
		log_warn_limited("LUN %u: its disk is back, another: %s",
				 unit->settings.lun, rule);
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
