/* SPDX-License-Identifier: MIT */
/*
 * A disk over several disks, its blocks dealt out in chunks:
 *
 *	chunk  0  1  2  3  4  5 ...	of the stripe
 *	disk   0  1  2  0  1  2 ...
 *	chunk  0  0  0  1  1  1 ...	of the disk
 */
#ifndef NVME_STRIPE_H
#define NVME_STRIPE_H

#include <stdint.h>

#include <pv/disk.h>

#define STRIPE_MIN_DISKS 2
#define STRIPE_MAX_DISKS 16

struct stripe_config {
	struct disk *disk[STRIPE_MAX_DISKS];
	unsigned int nr_disks;
	uint32_t chunk_kib; /* a power of two, 4 to 1024 */
};

/*
 * Makes one disk of them. Blocks and their number must be the same on all,
 * and range_alignment no more than a block; what fills no whole chunk at the
 * end is left out. It can what all can, except reservations; has the
 * serial of the first and no other identity. Events of a disk are the
 * stripe's: the smallest counts, and one lost is all lost.
 *
 * 0: the disks belong to the stripe, which closes them; they have no queues
 * and nobody else owns them any more. What happens to them before the owner
 * has set the stripe's event() is told to nobody: on the reactor of events
 * nothing comes in between. Else they stay the caller's: -ENOMEM, or -EINVAL,
 * logged.
 */
int stripe_open(const struct stripe_config *config, struct disk **disk);

#endif
