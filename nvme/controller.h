/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel shows a controller, its namespaces and their limits.
 *
 * `root` is put before /sys and /dev: "" except in tests.
 */
#ifndef NVME_CONTROLLER_H
#define NVME_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <guid.h>
#include <pv/sysfs.h>

#define NVME_NAME_SIZE 32  /* of a namespace: nvme0n1 */

/* What the kernel takes in one command; see block queue limits in the kernel's
 * Documentation/ABI/stable/sysfs-block. */
struct queue_limits {
	uint64_t max_bytes;
	uint32_t max_segments;
	uint32_t gap_mask;
	uint32_t alignment;
	uint64_t discard_bytes; /* 0: none */
	uint64_t zeroes_bytes;	/* 0: none */
	bool read_only;
};

/* Directory of the controller behind a VMBus device. -ENOENT: not there
 * (yet). `path` has SYSFS_PATH_SIZE bytes. */
int controller_find(const char *root, const struct guid *device, char *path);

/* True when the kernel's driver has it up. */
bool controller_is_live(const char *path);

/* Name of the block device of namespace `nsid`. -ENOENT: not there (yet).
 * `name` has NVME_NAME_SIZE bytes. */
int controller_namespace(const char *path, uint32_t nsid, char *name);

struct disk_info;

/* The namespace with the identifiers of `like` (nvme.h says which count), of any
 * controller that is live: `path` and `name` as above, and its number; `nsid`
 * is what the number was. -ENOENT: there is none. */
int controller_namespace_like(const char *root, const struct disk_info *like,
			      uint32_t *nsid, char *path, char *name);

/* -ENOENT or -EINVAL: an attribute is missing or no number. */
int controller_limits(const char *path, const char *name,
		      struct queue_limits *limits);

/* Bytes of the block device with this directory, now. -ENOENT: it is gone. */
int controller_size(const char *dir, uint64_t *bytes);

/* Milliseconds after which the kernel takes a device that has not answered for
 * one that does not: it then aborts the command, and when that does not help
 * resets the controller. 0: it does not say. */
uint32_t controller_deadline(const char *dir);

/* Opens the generic character device beside the block device `name`. A
 * descriptor or -errno. */
int controller_open_generic(const char *root, const char *name);

#endif
