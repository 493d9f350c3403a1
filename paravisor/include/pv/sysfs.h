/* SPDX-License-Identifier: MIT */
/*
 * Reading sysfs. Paths have SYSFS_PATH_SIZE bytes; what does not fit is
 * -ENAMETOOLONG, what is not there -ENOENT. Nothing is logged.
 */
#ifndef PV_SYSFS_H
#define PV_SYSFS_H

#include <stddef.h>
#include <stdint.h>

#include <guid.h>

#define SYSFS_PATH_SIZE 512

/* Appends the first entry of directory `path` that begins with `prefix`. */
int sysfs_descend(char *path, const char *prefix);

/* The VMBus device of this instance, and the one PCI function that sits on it;
 * `root` is "" but for tests. Sets `path`. */
int sysfs_vmbus_device(const char *root, const struct guid *instance,
		       char *path);
int sysfs_pci_function(const char *root, const struct guid *instance,
		       char *path);

/* First line of path/name, without its end. */
int sysfs_text(const char *path, const char *name, char *text, size_t size);
/* -EINVAL: no number. */
int sysfs_number(const char *path, const char *name, uint64_t *value);
/* The bytes of path/name, as many as fit: how many, or -errno. */
long sysfs_bytes(const char *path, const char *name, void *bytes, size_t size);

#endif
