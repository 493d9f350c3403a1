/* SPDX-License-Identifier: MIT */
/*
 * Block devices and files as disks: what the composition root needs.
 *
 * A SCSI disk that the host assigned to VTL2 is brought up by the kernel's
 * drivers (hv_storvsc, sd); data go between it and guest memory by io_uring,
 * without a copy by us. Guest-visible identity comes from its VPD pages.
 */
#ifndef NVME_BLOCK_DEVICE_H
#define NVME_BLOCK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/disk.h>
#include <pv/guest_memory.h>

#include "guid.h"

struct block_device_config {
	/* A block device or a file of whole blocks of 512 bytes; or NULL: */
	const char *path;
	struct guid controller; /* VMBus instance of the SCSI controller */
	uint32_t lun;
	bool read_only;
	uint32_t wait_ms; /* for all that */
};

/*
 * Waits for the device and makes a disk of it, like nvme_open(): `memory`
 * outlives the disk, disk_self_test() shows whether the device reaches it.
 * A file does not tell when its size changes.
 *
 * 0 or -errno, logged: -ETIMEDOUT not there (in time), -EOPNOTSUPP blocks that
 * are not supported, -EINVAL a size or an attribute that can not be.
 */
int block_device_open(const struct block_device_config *config,
		      struct guest_memory *memory, struct disk **disk);

#endif
