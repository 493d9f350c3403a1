/* SPDX-License-Identifier: MIT */
/*
 * The disk that a LUN stands on: one device, or a stripe over several. Part of
 * the composition root.
 */
#ifndef MAIN_DISK_H
#define MAIN_DISK_H

#include <stdint.h>

#include <pv/disk.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "settings.h"

/* For devices that VTL2's kernel is still bringing up. */
#define MAIN_DISK_WAIT_NS 10000000000ull

struct main_disk_config {
	const struct settings *settings;
	const struct settings_lun *lun;
	struct guest_memory *memory;
	struct reactor *reactor; /* of the self-test, and of events */
	uint64_t spare_gpa;	 /* a page of VTL0's RAM, for the self-test */
	/* reactor_now(), for devices to be there. 0: one look, and no line in
	 * the log when one is not. */
	uint64_t deadline;
	/* Of as many as the LUN has devices. Not NULL: disks that were lost; those
	 * with the same identifiers are opened, under whatever number they are,
	 * and no others. */
	const struct disk_info *like;
	/* The same; what was opened. May be NULL. */
	struct disk_info *opened;
	void (*event)(struct disk *disk, enum disk_event event);
};

/*
 * Opens it, with its devices, and shows that each reads what it should. Waits
 * until the deadline. NULL is the disk of a LUN without devices: an empty DVD
 * drive. `owner` becomes disk->owner, and is told of every event from then on;
 * a device that was lost before is refused with -ENODEV. 0, or -errno with
 * nothing open, but for a device that does not answer its first read: that is
 * closed when it does. In `why` (SETTINGS_ERROR_SIZE bytes) is the reason: the
 * rest of a JSON pointer, from the LUN on, and a rule.
 */
int main_disk_open(const struct main_disk_config *config, void *owner,
		   struct disk **disk, char *why);

#endif
