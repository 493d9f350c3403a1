/* SPDX-License-Identifier: MIT */
/*
 * Storage of VTL0: what settings say, made of disks and SCSI controllers, at
 * the start and again whenever they change. Part of the composition root.
 */
#ifndef MAIN_STORAGE_H
#define MAIN_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "settings.h"

struct vmbus_server;

struct storage_config {
	struct guest_memory *memory;
	struct vmbus_server *server;
	struct reactor *reactor; /* the server's */
	/* A page of VTL0's RAM that VTL0 does not know of. */
	uint64_t spare_gpa;
};

struct storage;

/* For a guest to let go of a controller whose successor is to come; it has a
 * part of it to let go of its units (STORVSP_RETIRE_NS). */
#define STORAGE_SUCCESSOR_SECONDS 35

/* NULL: no memory. Lives as long as the daemon. */
struct storage *storage_create(const struct storage_config *config);

/*
 * Makes storage what `settings` say: opens what is new, takes away what is no
 * longer there, leaves alone what stays as it is. A controller whose own
 * values differ, and a LUN that differs, is taken away and comes anew.
 *
 * All or nothing: 0, or -errno with nothing changed and the reason, with the
 * JSON pointer of what it is about, in `error` (SETTINGS_ERROR_SIZE bytes) and
 * in the log. One exception, -EINPROGRESS: all holds but for controllers whose
 * predecessors, of the same instance, the guest has not let go of; these follow
 * when it has, unless another change comes before.
 *
 * Waits for devices and for the guest, so on a thread of its own.
 */
int storage_apply(struct storage *storage, const struct settings *settings,
		  char *error);

/*
 * Looks once for each disk that is lost, and brings back the unit of one that is
 * there again. True: some still are not. Waits for devices that are.
 */
bool storage_look(struct storage *storage);
/* A thread that does so each second while there is one. 0 or -errno. */
int storage_keep_looking(struct storage *storage);

#endif
