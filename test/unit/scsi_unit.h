/* SPDX-License-Identifier: MIT */
/*
 * A logical unit on a disk in memory, for tests of SCSI commands: one task,
 * whose CDB is given byte by byte and whose buffer lies in `low` or `high`.
 * Functions assert what they say.
 */
#ifndef TEST_SCSI_UNIT_H
#define TEST_SCSI_UNIT_H

#include "paravisor/disk_memory.h"
#include "relay/scsi.h"

#define RAM_PAGES 256
#define HIGH_PAGES 16
#define HIGH_GPA 0x100000000ull
#define BLOCKS 4096

extern uint8_t low[RAM_PAGES * GUEST_PAGE_SIZE];      /* from GPA 0 */
extern uint8_t high[HIGH_PAGES * GUEST_PAGE_SIZE];    /* from HIGH_GPA */
extern struct guest_memory memory;

/* BLOCKS of 512 bytes, on which everything works. */
extern const struct disk_info plain;

/* LUN 3 of a target, the way to it, and a task. */
struct unit {
	struct disk *disk;
	struct scsi_lun lun;
	struct scsi_target target;
	struct scsi_bounce_pool bounce;
	struct scsi_nexus nexus;
	struct scsi_task task;
	unsigned int done; /* how often the task was, since start() */
};

/* Of each test. */
int unit_setup(void **state);
int unit_teardown(void **state);
#define UNIT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, unit_setup, unit_teardown)

/* A LUN of this configuration, but for its number; closes config->disk. */
void unit_open_config(struct unit *u, const struct scsi_lun_config *config);
void unit_open_on(struct unit *u, struct disk *disk, bool read_only);
void unit_open(struct unit *u, const struct disk_info *info);
/* Closes the disk, too. */
void unit_close(struct unit *u);

/* The client's buffer: `len` bytes at `gpa`. */
void buffer(struct scsi_task *task, enum scsi_direction direction,
	    uint64_t gpa, uint32_t len);

/* Begins a command; carries it out to its end. */
void start(struct unit *u, const uint8_t *cdb, size_t size);
void run(struct unit *u, const uint8_t *cdb, size_t size);
#define RUN(u, ...) \
	run(u, (const uint8_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint8_t[]){ __VA_ARGS__ }))

void expect_good(const struct unit *u, uint32_t moved);
void expect_sense(const struct unit *u, uint8_t key, uint16_t asc);
void expect_refused(const struct unit *u, uint16_t asc);
/* ... for a field of the CDB, or of the parameter list. */
void expect_field(const struct unit *u, bool cdb, unsigned int byte,
		  unsigned int bit);
void expect_conflict(const struct unit *u);

#endif
