/* SPDX-License-Identifier: MIT */
/*
 * NVMe namespaces as disks: what the composition root needs of this module.
 *
 * The kernel's driver owns the controller; this module finds it, asks libnvme
 * what it can do, and sends NVM commands by io_uring passthrough, data going
 * between device and guest memory without a copy.
 */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/disk.h>
#include <pv/guest_memory.h>

#include "guid.h"

struct nvme_config {
	struct guid device; /* VMBus instance of the virtual PCI device */
	uint32_t nsid;	    /* namespace identifier, from 1 */
	/* Not NULL: the namespace with this NGUID; without one, this EUI64;
	 * without that, this serial number of its controller and `nsid`. On
	 * whatever controller and under whatever number it is. */
	const struct disk_info *like;
	bool read_only;
	/* Host Identifier, the same for all disks of this guest and of no
	 * other; all zero: the disk offers no reservations. */
	uint8_t host_id[16];
	/* For controller, namespace and device node. 0: one look, and no line
	 * in the log when it is not there. */
	uint32_t wait_ms;
};

struct inspect;
struct reactor;

/*
 * Device events of the kernel, for all disks of this module: a namespace or
 * disk with another size (DISK_RESIZED), or gone (DISK_LOST). One socket per
 * process, read on `r`, which runs already; disk->event() is called there and
 * must neither block nor close a disk. To be started before the first disk is
 * opened, or its events may be missed; without it disks work, but tell
 * nothing. 0 or -errno, logged.
 *
 * Stop: after the last disk was closed; `r` still runs. Not from a reactor
 * other than `r`. Describe: an inspect_fn, with no object.
 */
int nvme_events_start(struct reactor *r);
void nvme_events_stop(void);
void nvme_events_describe(void *object, struct inspect *out);

/*
 * Waits for the controller of `config->device` and its namespace, and makes a
 * disk of it; disk->ops is how it is used from then on. `memory` outlives the
 * disk. Blocks up to wait_ms and for a few Admin commands: before the guest
 * runs, or on a thread of its own.
 *
 * 0 or -errno, logged: -ETIMEDOUT not there (in time), -EOPNOTSUPP a format
 * that is not supported, -EINVAL identify data that contradict themselves.
 */
int nvme_open(const struct nvme_config *config, struct guest_memory *memory,
	      struct disk **disk);

/*
 * Of disks that nvme_open() and block_device_open() gave: shows that the
 * device reaches guest memory: reads the first block once into
 * a buffer of our own and once to `gpa`, without a copy, and compares. When
 * they differ or the read fails, all data of the disk are copied from then
 * on. `gpa` is a page-aligned page of guest RAM that nobody uses; its content
 * is lost, and of the disk's nothing is left there when done() runs.
 *
 * Own thread of the queue's reactor, asynchronous: done() follows on it, with
 * DISK_OK or how the read ended that failed.
 * -ENOMEM, -EINVAL: not started, done() never runs.
 */
int disk_self_test(struct disk_queue *queue, uint64_t gpa,
		   void (*done)(void *arg, enum disk_status status,
				bool zero_copy), void *arg);

#endif
