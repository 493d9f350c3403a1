/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of a block device: where it is, what it can do, who it
 * is. `root` is put before /sys: "" except in tests.
 */
#ifndef NVME_BLOCK_LIMITS_H
#define NVME_BLOCK_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include <pv/disk.h>

#include "guid.h"
#include <pv/sysfs.h>

/* Directory of the block device at this LUN of a controller; its last part is
 * the device's name. -ENOENT: not there (yet). */
int block_find(const char *root, const struct guid *controller, uint32_t lun,
	       char *path);

/* Fills all of `info` but serial and identifiers. NULL, or what is wrong. */
const char *block_limits(const char *path, struct disk_info *info);

/* Serial and identifiers; what is not there, or not right, stays empty. */
void block_identity(const char *path, struct disk_info *info);

/* Unit Serial Number (SPC-4 7.8.15) and Device Identification (7.8.6) pages,
 * of the host: nothing in them is believed. Pure. */
void vpd_serial(const uint8_t *page, size_t len, char serial[21]);
void vpd_identifiers(const uint8_t *page, size_t len, struct disk_info *info);

#endif
