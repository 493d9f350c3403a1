/* SPDX-License-Identifier: MIT */
/*
 * A SCSI controller on VMBus: what a guest's storvsc driver opens.
 *
 * Threads: a controller is made and taken back on the server's reactor (or
 * before it runs); its channels work on theirs. What else holds is said below.
 */
#ifndef RELAY_STORVSP_H
#define RELAY_STORVSP_H

#include <guid.h>
#include <pv/guest_memory.h>

#include "scsi.h"

struct vmbus_server;
struct storvsp;

#define STORVSP_MAX_SUBCHANNELS 63
#define STORVSP_MAX_QUEUE_DEPTH 1024

struct storvsp_config {
	struct guid instance;
	uint16_t order;		  /* among controllers, for stable ids */
	uint16_t queue_depth;	  /* of a unit at its disk, per channel */
	uint16_t max_subchannels; /* up to STORVSP_MAX_SUBCHANNELS */
	uint32_t max_transfer;	  /* bytes, 4 KiB to SCSI_MAX_TRANSFER, the
				   * default if 0 */
	struct guest_memory *memory;
	struct reactor *reactor; /* the server's */
	unsigned int nr_luns;
	/* Copied; `default_id` is made from the instance and number. */
	const struct scsi_lun_config *luns;
};

/* Makes a controller and offers it. 0; -EINVAL or -EEXIST (two logical units
 * of one number), logged; -ENOMEM; what vmbus_offer() says. */
int storvsp_create(struct vmbus_server *server,
		   const struct storvsp_config *config, struct storvsp **out);

/*
 * Adds or removes a logical unit while the guest uses the others; the guest is
 * told to look again once every channel follows. Server's reactor.
 *
 * Add: 0, -EEXIST: the number is taken; else as storvsp_create(). A channel
 * that has no queue for the new unit says so in the log and does without.
 * Remove: 0 or -ENOENT. New commands find nobody at once; what is under way
 * ends by itself, then `done` (may be NULL) runs, on the server's reactor,
 * perhaps before this returns: nothing of the controller uses the disk.
 */
int storvsp_add_lun(struct storvsp *storvsp,
		    const struct scsi_lun_config *config);
int storvsp_remove_lun(struct storvsp *storvsp, uint8_t number,
		       void (*done)(void *opaque), void *opaque);

/* The disk of a logical unit has another size: the guest is told once, by a
 * unit attention. -ENOENT: no such unit. Server's reactor. */
int storvsp_lun_changed(struct storvsp *storvsp, uint8_t number);

/* The disk of a logical unit is gone for good: to the guest the unit is not
 * there, until it is removed and added anew. -ENOENT. Server's reactor. */
int storvsp_lun_lost(struct storvsp *storvsp, uint8_t number);

/* Takes it back from the guest; when the guest let go and no disk works for it
 * any more it is freed and `done` (may be NULL) runs, perhaps before this
 * returns. */
void storvsp_destroy(struct storvsp *storvsp, void (*done)(void *opaque),
		     void *opaque);

/*
 * The same for a guest that runs on: its units go first, and the guest has time
 * to let go of them, STORVSP_RETIRE_NS at most, before the channel is taken
 * back. To be called once; storvsp_destroy() after it, before `done` ran, ends
 * the wait, and its own `done` takes the other's place.
 */
#define STORVSP_RETIRE_NS 30000000000ull
void storvsp_retire(struct storvsp *storvsp, void (*done)(void *opaque),
		    void *opaque);

#endif
