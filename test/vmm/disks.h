/* SPDX-License-Identifier: MIT */
/*
 * The disks that vmm gives to a machine over VMBus, made from --disk.
 *
 * Threads and life: as devices.h.
 */
#ifndef VMM_DISKS_H
#define VMM_DISKS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <pv/reactor.h>

#include "machine.h"
#include "options.h"

struct disks;
struct guest_memory;
struct msi_router;
struct nvme_fault;
struct vmbus_server;

/* What they are attached to. */
struct disks_host {
	struct machine *machine;
	enum vtl vtl;
	unsigned int vps;
	struct msi_router *msi;
	struct vmbus_server *server;
	struct guest_memory *memory;
	/* VTL0's bus, which VTL2 may be the client of; NULL: there is none. */
	struct vmbus_server *guest_server;
	struct guest_memory *guest_memory;
	struct reactor *loop;
};

/* NULL after one line on stderr. `options` must outlive the disks. */
struct disks *disks_open(const struct vmm_options *options);
int disks_attach(struct disks *d, const struct disks_host *host);
/* Takes all offers back. When the channels are closed, before the server
 * goes. */
void disks_revoke(struct disks *d);
/* After disks_revoke(), if they were attached. NULL is harmless. */
void disks_close(struct disks *d);

/* One JSON array, in the order of the options. */
void disks_print_stats(struct disks *d, FILE *out);

/* One JSON object: what they are and what is behind them. */
void disks_print(struct disks *d, FILE *out);

/* The member "storage" of settings of the paravisor that give the guest every
 * disk of VTL2. False, and nothing printed: there is none. */
bool disks_print_settings(const struct vmm_options *options, FILE *out);

/*
 * Changes while the machine runs; `disk` counts the options from 0. NULL, or
 * which argument breaks which rule, valid until the next call. The device
 * thread.
 */
const char *disks_nvme_attach(struct disks *d, unsigned int disk, uint32_t nsid,
			      const char *back);
const char *disks_nvme_detach(struct disks *d, unsigned int disk,
			      uint32_t nsid);
const char *disks_nvme_resize(struct disks *d, unsigned int disk, uint32_t nsid,
			      uint64_t size);
const char *disks_scsi_resize(struct disks *d, unsigned int disk,
			      uint64_t size);
/* Takes an NVMe controller off its bus without a word, or puts it back: the same
 * device, with all that is on it. */
const char *disks_nvme_plug(struct disks *d, unsigned int disk, bool in);
/* As scsi_device.h has it, of the guest's own controller. */
const char *disks_scsi_unplug(struct disks *d);
const char *disks_scsi_plug(struct disks *d);
/* model/nvme_fault.h. */
const char *disks_fault(struct disks *d, unsigned int disk,
			const struct nvme_fault *fault);

#endif
