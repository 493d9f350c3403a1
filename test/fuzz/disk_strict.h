/* SPDX-License-Identifier: MIT */
/*
 * A disk for fuzzing: it judges what it is asked (fuzz_expect), holds requests
 * back until it is told to end one, and ends it as it is told. It has no
 * medium: reads fill with a pattern.
 */
#ifndef TEST_FUZZ_DISK_STRICT_H
#define TEST_FUZZ_DISK_STRICT_H

#include <pv/disk.h>

#define DISK_STRICT_PENDING 512

struct disk_strict {
	struct disk disk; /* first */
	struct disk_info info;
	const struct guest_memory *memory;
	unsigned int queues;
	struct disk_request *pending[DISK_STRICT_PENDING];
	unsigned int nr_pending, ended;
};

struct disk_strict disk_strict(const struct disk_info *info,
			       const struct guest_memory *memory);

/* Ends one request (the oldest but `which`); false: there is none. */
bool disk_strict_end(struct disk_strict *disk, unsigned int which,
		     enum disk_status status);

#endif
