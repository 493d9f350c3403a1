/* SPDX-License-Identifier: MIT */
/*
 * A disk with faults (pv/disk.h), between a disk and whoever uses it, for tests
 * above that seam. A request that a rule matches meets the rule's fault, all
 * others pass; what the seam promises (answered once, never inside submit())
 * holds in any case: what a device does to its driver is test/model's.
 *
 * Threads: those of the queues' reactors; rules are set while none of them
 * works.
 */
#ifndef TEST_DISK_FAULTS_H
#define TEST_DISK_FAULTS_H

#include <pv/disk.h>

enum disk_fault {
	DISK_FAULT_NONE,
	DISK_FAULT_DROP,      /* never carried out; DISK_TIMEOUT at the deadline */
	DISK_FAULT_DELAY,     /* carried out delay_ms later */
	DISK_FAULT_DUPLICATE, /* carried out twice before it is answered */
	DISK_FAULT_ERROR,     /* ends in `status`, not carried out */
	DISK_FAULT_LATE_ERROR, /* ends in `status`, but was carried out */
	DISK_FAULT_SHORT,     /* the first half is carried out, then `status` */
	DISK_FAULT_LIE,	      /* DISK_OK, but not carried out: no disk may */
	DISK_FAULT_REORDER,   /* with others, and those in reverse order */
	/* The disk is gone from now on, with all it has: what that had been
	 * sent may have been carried out. DISK_LOST is told. */
	DISK_FAULT_LOSE,
	DISK_NR_FAULTS,
};

struct disk_fault_rule {
	uint8_t fault;	     /* enum disk_fault */
	uint8_t status;	     /* enum disk_status; DISK_OK: DISK_FAILED */
	uint32_t ops;	     /* 1 << enum disk_op, or 0: all */
	uint64_t lba, blocks; /* requests that touch these; 0 blocks: all */
	uint32_t every;	     /* of those that match, each so many-th; 0: each */
	uint32_t count;	     /* so often, then no more; 0: for ever */
	uint32_t delay_ms;   /* of DELAY; of DROP: the deadline; 0: 1 s */
};

struct disk_faults_count {
	uint64_t requests, answers;
	uint64_t matched, met; /* met: the fault */
	uint64_t sent;	       /* to the disk below */
};

/* Takes the disk over: closes it when it is closed. Aborts without memory. */
struct disk *disk_faults_create(struct disk *below);
/* NULL: none any more. Counts `matched` and `met` anew. */
void disk_faults_set(struct disk *disk, const struct disk_fault_rule *rule);
/* A disk that was lost answers again, as one that is found anew does. */
void disk_faults_return(struct disk *disk);
struct disk_faults_count disk_faults_count(const struct disk *disk);
const char *disk_fault_text(enum disk_fault fault);

#endif
