/* SPDX-License-Identifier: MIT */
/*
 * A synthetic SCSI controller of the host: disks that VTL2, or the guest, has
 * through its own hv_storvsc. It is relay's StorVSP, the code that serves the
 * guest from VTL2.
 *
 * Threads: made and taken back as devices.h says; the rest is said below.
 */
#ifndef VMM_SCSI_DEVICE_H
#define VMM_SCSI_DEVICE_H

#include <stdio.h>

#include <guid.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "device_option.h"

struct scsi_device;
struct medium;
struct vmbus_server;

/* What --disk BACK,uh is found by, with the LUN: the same at every start. */
extern const struct guid scsi_device_instance;
/* The same of what the guest has of the host itself. */
extern const struct guid scsi_device_guest_instance;

/* NULL: no memory. `memory`: of who is offered it; `loop`: the device
 * thread's. */
struct scsi_device *scsi_device_create(const struct guid *instance,
				       struct guest_memory *memory,
				       struct reactor *loop);

/* The next LUN, from 0; `medium` stays the caller's. Before the offer.
 * -ENOMEM. */
int scsi_device_add(struct scsi_device *scsi, struct medium *medium,
		    const struct disk_option *option, unsigned int *lun);

/* 0, or what storvsp_create() says. */
int scsi_device_offer(struct scsi_device *scsi, struct vmbus_server *server,
		      unsigned int vps);

/* The LUN's medium has another size. The device thread. */
void scsi_device_resized(struct scsi_device *scsi, unsigned int lun);

/* Takes it from a client that may be at work, which has up to 30 s to let go
 * of the disks; or offers it anew. NULL, or why not (static). The device
 * thread. */
const char *scsi_device_unplug(struct scsi_device *scsi);
const char *scsi_device_plug(struct scsi_device *scsi);

/* Takes it back and frees it. When the loop has ended and all channels are
 * closed. NULL is harmless. */
void scsi_device_destroy(struct scsi_device *scsi);

/* One JSON object, of one disk. Any thread. */
void scsi_device_print_stats(struct scsi_device *scsi, unsigned int lun,
			     FILE *out);

#endif
