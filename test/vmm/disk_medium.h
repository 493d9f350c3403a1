/* SPDX-License-Identifier: MIT */
/*
 * A disk (pv/disk.h) on a medium of the host: what a LUN of the host's own
 * SCSI controller is backed by.
 */
#ifndef VMM_DISK_MEDIUM_H
#define VMM_DISK_MEDIUM_H

#include <stdio.h>

#include <pv/disk.h>

struct medium;

struct disk_medium_config {
	struct medium *medium;	     /* not owned */
	struct guest_memory *memory; /* what requests' ranges mean */
	uint32_t block_size;	     /* 512 or 4096; whole ones in the medium */
	uint32_t physical_block_size;
	bool read_only;
	const char *serial; /* at most 20 characters, copied */
	uint8_t nguid[16];
};

/* Freed by ops->close(). All its queues are on one reactor. NULL: no memory. */
struct disk *disk_medium_create(const struct disk_medium_config *config);

/* The medium has another size. The reactor of the queues, or before it runs.
 * The owner is not told: it is who calls this. */
void disk_medium_resized(struct disk *disk);

/*
 * Counters, by name in --stats. Any thread.
 */
#define DISK_MEDIUM_COUNTERS(X)                                           \
	X(bytes_read) X(bytes_written) X(discards) X(errors) X(flushes)  \
	X(invalid) X(reads) X(write_zeroes) X(writes)
/* One JSON object. Any thread. */
void disk_medium_print_stats(struct disk *disk, FILE *out);

#endif
