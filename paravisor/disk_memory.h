/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory (pv/disk.h): for tests and benches, where the backend
 * shall cost next to nothing and break every rule loudly.
 */
#ifndef PARAVISOR_DISK_MEMORY_H
#define PARAVISOR_DISK_MEMORY_H

#include <pv/disk.h>

/*
 * `info` is what the disk says of itself and what it holds requests to: one
 * that breaks it ends in DISK_INVALID. Blocks are zero at first and take
 * memory when they are written. `memory`: what requests' ranges mean. Freed by
 * ops->close(). Any thread. NULL: no memory. Reservations, if `info` has types,
 * are those of a disk that nobody else knows.
 */
struct disk *disk_memory_create(const struct guest_memory *memory,
				const struct disk_info *info);

/*
 * What happens to real disks: another number of blocks, of which there may be
 * as many as at first; gone for good. disk->event() is called before the
 * return. Any thread, one at a time.
 */
void disk_memory_resize(struct disk *disk, uint64_t blocks);
void disk_memory_lose(struct disk *disk);

#endif
