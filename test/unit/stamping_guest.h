/* SPDX-License-Identifier: MIT */
/*
 * A guest that writes and reads stamped blocks of a logical unit (test/guest/
 * stamp.h), many commands at a time, and sends again what a guest would. For
 * each command it knows when it was sent: one that is answered twice, or not
 * within the deadline, fails the test. Time is reactor_inline.c's.
 */
#ifndef TEST_STAMPING_GUEST_H
#define TEST_STAMPING_GUEST_H

#include "test/guest/stamp.h"
#include "test/unit/storvsp_guest.h"

#define STAMPING_SLOTS 320
#define STAMPING_PAGES 2 /* of one command */
#define STAMPING_BLOCK 512u

struct stamping_slot {
	bool busy, write;
	bool full; /* the unit would not take it yet */
	uint8_t retries;
	uint32_t lba, blocks, offset;
	uint64_t sent_at, transaction;
	uint64_t pfn[STAMPING_PAGES];
};

struct stamping_guest {
	struct machine *m;
	struct stamping_guest *peer; /* on the same channel; may be NULL */
	uint8_t lun;
	unsigned int odd; /* of so many runs one begins on an odd byte; 0: none */
	uint64_t deadline_ns; /* of each command */
	struct stamp_book book;
	bool *busy; /* blocks that a command is under way for */
	struct stamping_slot slot[STAMPING_SLOTS];
	unsigned int under_way;
	uint64_t sequence, longest_ns, blocks_written;
	/* Commands that ended; retried ones count once in the last three. */
	uint64_t answers, retries, good, failed, nobody;
	uint64_t refused; /* TASK SET FULL */
	unsigned int announcements;
	bool stop_at_nobody; /* the unit is away: what is left is not begun */
};

/* Of a machine that is ready, for blocks 0 to `blocks` - 1, which are zero. */
void stamping_open(struct stamping_guest *g, struct machine *m, uint8_t lun,
		   uint32_t blocks, uint32_t seed);
void stamping_close(struct stamping_guest *g);

/* Writes and reads runs of blocks at random until `blocks` have been written
 * and about as many read, with `depth` commands under way, then waits for what
 * is under way. False: the unit was away. */
bool stamping_run(struct stamping_guest *g, uint32_t blocks,
		  unsigned int depth);
/* Reads every block. */
void stamping_read_all(struct stamping_guest *g);

/* For tests that do this themselves: sends one command at random, if blocks
 * and a slot are free; takes all answers that are there, the peer's too; sends
 * again what the unit would not take, as Linux does. The ring has room. */
bool stamping_send(struct stamping_guest *g, bool write);
void stamping_receive(struct stamping_guest *g);
void stamping_again(struct stamping_guest *g);

#endif
