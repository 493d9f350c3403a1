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

struct storvsp_lun_config {
	uint8_t number; /* 0..63, each once */
	bool read_only;
	struct disk *disk; /* stays the caller's, outlives the controller */
	/* A zero id is made from the controller's instance and the number. */
	struct scsi_identity identity;
};

struct storvsp_config {
	struct guid instance;
	uint16_t order;		  /* among controllers, for stable ids */
	uint16_t queue_depth;	  /* requests in flight per channel */
	uint16_t max_subchannels; /* up to STORVSP_MAX_SUBCHANNELS */
	struct guest_memory *memory;
	unsigned int nr_luns;
	const struct storvsp_lun_config *luns; /* copied */
};

/* Makes a controller and offers it. 0; -EINVAL or -EEXIST (two logical units
 * of one number), logged; -ENOMEM; what vmbus_offer() says. */
int storvsp_create(struct vmbus_server *server,
		   const struct storvsp_config *config, struct storvsp **out);

/* The disk of a logical unit has another size: the guest is told once, by a
 * unit attention. -ENOENT: no such unit. Any one thread at a time. */
int storvsp_lun_changed(struct storvsp *storvsp, uint8_t number);

/* Takes it back from the guest; when the guest let go and no disk works for it
 * any more it is freed and `done` (may be NULL) runs, perhaps before this
 * returns. */
void storvsp_destroy(struct storvsp *storvsp, void (*done)(void *opaque),
		     void *opaque);

#endif
