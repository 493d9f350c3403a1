/* SPDX-License-Identifier: MIT */
/*
 * Reservations: struct disk_reservation and the four commands of NVM Express
 * Base Specification 2.0, 7.2, 7.3, 7.5 and 7.6. Pure functions.
 */
#ifndef NVME_RESERVATION_H
#define NVME_RESERVATION_H

#include <stdint.h>

#include <pv/disk.h>

#include <le.h>

/* The keys that a command sends: current key, and new or preempted key. */
struct reservation_keys {
	le64 key, other;
};

/* What a command is made of. */
struct reservation_command {
	uint8_t opcode;
	uint32_t cdw10, cdw11;
	uint32_t bytes; /* keys, or room for a report */
};

/* Bytes of a report with extended data structure: header and registrants. */
#define RESERVATION_REPORT_SIZE (64 + 64 * DISK_MAX_REGISTRANTS)

/* Is it something that the disk knows? */
enum disk_status reservation_check(const struct disk_info *info,
				   const struct disk_reservation *r);

void reservation_encode(const struct disk_reservation *r,
			struct reservation_command *command,
			struct reservation_keys *keys);

/* Fills in what DISK_REPORT answers, from RESERVATION_REPORT_SIZE bytes of the
 * device; `host` is our Host Identifier. */
void reservation_decode(const uint8_t *report, const uint8_t host[16],
			struct disk_reservation *r);

#endif
