/* SPDX-License-Identifier: MIT */
/*
 * A disk on which everything in pv/disk.h works, for tests of SCSI commands: it
 * writes down what it is asked, ends a request as it is told, and knows two
 * hosts, whose reservations hold.
 */
#ifndef TEST_SCSI_UNIT_DISK_H
#define TEST_SCSI_UNIT_DISK_H

#include <pv/disk.h>
#include <pv/reactor.h>

#define UNIT_DISK_LOG 64
#define UNIT_DISK_HOSTS 2

struct unit_disk_record {
	uint8_t op, flags;
	uint64_t lba;
	uint32_t blocks;
	bool bounced;
};

struct unit_disk {
	struct disk disk; /* first */
	struct disk_info info;
	uint8_t *medium;
	/* What requests were since the test set nr to 0. */
	struct unit_disk_record log[UNIT_DISK_LOG];
	unsigned int nr;
	/* The `fail_at`th of them ends in this, if that is not DISK_OK. */
	unsigned int fail_at;
	enum disk_status fail_with;
	/* Reservations: host 0 is the client. Key 0: not registered. */
	uint64_t key[UNIT_DISK_HOSTS];
	unsigned int holder;
	uint8_t type;
	bool persists;
	uint32_t generation;
	struct disk_reservation last; /* what was asked for */
	/* The queue; there is one. */
	struct reactor *reactor;
	struct reactor_call call;
	struct disk_request *pending[64];
	enum disk_status status[64];
	unsigned int nr_pending;
};

/* Aborts without memory. Closed by its ops. */
struct unit_disk *unit_disk_create(const struct disk_info *info);

/* What a host asks for. */
enum disk_status unit_disk_reserve(struct unit_disk *d, unsigned int host,
				   struct disk_reservation *r);

#endif
