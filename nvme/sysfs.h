/* SPDX-License-Identifier: MIT */
/*
 * Reading sysfs. Paths have NVME_PATH_SIZE bytes; what does not fit is
 * -ENAMETOOLONG, what is not there -ENOENT. Nothing is logged.
 */
#ifndef NVME_SYSFS_H
#define NVME_SYSFS_H

#include <stddef.h>
#include <stdint.h>

#define NVME_PATH_SIZE 512

/* Appends the first entry of directory `path` that begins with `prefix`. */
int sysfs_descend(char *path, const char *prefix);

/* First line of path/name, without its end. */
int sysfs_text(const char *path, const char *name, char *text, size_t size);
/* -EINVAL: no number. */
int sysfs_number(const char *path, const char *name, uint64_t *value);
/* The bytes of path/name, as many as fit: how many, or -errno. */
long sysfs_bytes(const char *path, const char *name, void *bytes, size_t size);

#endif
