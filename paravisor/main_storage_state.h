/* SPDX-License-Identifier: MIT */
/*
 * Storage, what its parts know of each other: main_storage.c makes changes,
 * main_storage_unit.c is about single LUNs. See main_storage.c.
 */
#ifndef MAIN_STORAGE_STATE_H
#define MAIN_STORAGE_STATE_H

#include <pthread.h>
#include <semaphore.h>

#include <pv/disk.h>
#include <pv/inspect.h>

#include "relay/storvsp.h"

#include "main_storage.h"

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
	/* While it goes, of the same instance; not offered yet. */
	struct controller *successor;
};

struct storage {
	struct storage_config config;
	struct settings *settings;	/* in force */
	struct controller *controllers; /* in force */
	struct controller *going;	/* the guest has not let go of */
	sem_t successors;		/* posted for each that was offered */
	pthread_mutex_t lock;		/* of apply and look */
	sem_t lost;			/* posted for each disk that is lost */
	struct inspect_entry events;
};

/* What a LUN stands on is not open yet. NULL: no memory. Any thread. */
struct unit *unit_alloc(const struct settings_lun *lun);
/* Closes its disk. NULL is none. Not while it is a controller's. */
void unit_free(struct unit *unit);

/* What SCSI will be told of it. */
void unit_lun_config(const struct unit *unit, struct scsi_lun_config *config);

/* As disk->event, whose owner is a unit. The server's reactor, as below. */
void unit_disk_event(struct disk *disk, enum disk_event event);

/* The controller has it now: from now on its disk's events are the unit's. */
void unit_take(struct controller *c, struct unit *unit);

/* The controller has it no more; freed when the guest let go of it. */
void unit_take_away(struct controller *c, struct unit *unit);

#endif
