/* SPDX-License-Identifier: MIT */
/*
 * Stamped blocks: each block of a disk says which block it is and which write
 * of it brought it there, so that a reader who knows what was written can tell
 * what went wrong. No I/O here: a guest's program (stamped.c) and native tests
 * use it around their own.
 *
 *	line 0       lba, generation, CRC-32 of all of the block but itself
 *	line 1, ...  a mix of lba, generation, seed and line; generation, lba
 *
 * A line is 16 bytes, so a block of two writes' lines shows itself as that.
 *
 * A `struct stamp_book` is what was written to a run of blocks. Whoever keeps
 * it has one command under way per block at a time. One thread.
 */
#ifndef TEST_STAMP_H
#define TEST_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum stamp_finding {
	STAMP_GOOD,
	STAMP_LOST,	 /* an acknowledged write never came to be there */
	STAMP_TORN,	 /* lines of more than one write */
	STAMP_MISPLACED, /* another block's */
	STAMP_STALE,	 /* read as it was before; a second read brought it */
	/* An older write than was seen there before: it, or one that had been
	 * taken for failed, was executed (again) behind its successor. */
	STAMP_DOUBLE,
	STAMP_CORRUPT, /* none of ours, nor zeroes */
	STAMP_NR_FINDINGS,
};

struct stamp_state {
	uint32_t issued, acked; /* generations; 0: none */
	uint32_t seen;		/* the highest that was read */
};

struct stamp_book {
	uint64_t first, blocks;
	uint32_t block_size; /* bytes, a multiple of 16, 32 at least */
	uint32_t seed;	     /* what others wrote is not taken for ours */
	struct stamp_state *state;
	uint64_t found[STAMP_NR_FINDINGS];
	/* The first that was not good. */
	uint64_t bad_lba;
	enum stamp_finding bad;
};

/* A block that was not written reads as zeroes, which is its generation 0. 0 or
 * -ENOMEM. */
int stamp_open(struct stamp_book *book, uint64_t first, uint64_t blocks,
	       uint32_t block_size, uint32_t seed);
void stamp_close(struct stamp_book *book);

/* The next write of a block: fills in `block`; its generation. */
uint32_t stamp_write(struct stamp_book *book, uint64_t lba, void *block);
/* How the last write of it ended. Not acknowledged: it may have been executed
 * or not, but may not be any more once a later one was acknowledged. */
void stamp_written(struct stamp_book *book, uint64_t lba, bool acknowledged);

/* What was read. `again`: what a second read brought, for STAMP_STALE, which
 * is STAMP_LOST or STAMP_DOUBLE otherwise; may be NULL. Counts. */
enum stamp_finding stamp_read(struct stamp_book *book, uint64_t lba,
			      const void *block, const void *again);
/* True: a first read is not what it should be, and a second one is worth it.
 * Counts nothing. */
bool stamp_suspect(const struct stamp_book *book, uint64_t lba,
		   const void *block);

const char *stamp_text(enum stamp_finding finding);
/* All findings but good ones. */
uint64_t stamp_bad(const struct stamp_book *book);
/* One line: counts by name. */
void stamp_print(const struct stamp_book *book, FILE *out);

#endif
