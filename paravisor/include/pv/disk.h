/* SPDX-License-Identifier: MIT */
/*
 * A disk: what a LUN is backed by.
 *
 * A disk is opened once and has one queue per reactor that uses it; requests
 * are submitted in batches on a queue and complete on the same reactor.
 * Requests carry guest physical ranges, so that a backend may hand them to a
 * device without looking at, or copying, the data.
 *
 * Backends: NVMe namespace (nvme/), file and memory (paravisor/disk_*.c).
 *
 * Ownership: the caller owns request and range array until done() runs. The
 * caller has checked every range with guest_memory_good() and every LBA
 * against info; a backend that finds otherwise reports DISK_INVALID.
 * Completion: exactly once per request, in any order, never from inside
 * submit().
 */
#ifndef PV_DISK_H
#define PV_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>

struct reactor;
struct inspect;

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,	   /* everything acknowledged before is durable after */
	DISK_DISCARD,	   /* blocks become unmapped, content undefined */
	DISK_WRITE_ZEROES,
};

#define DISK_FUA (1u << 0) /* DISK_WRITE: durable when done() runs */

/* How a request ended; front-ends map this to their own vocabulary. */
enum disk_status {
	DISK_OK,
	DISK_INVALID,		/* the request broke a rule of `struct disk_info` */
	DISK_OUT_OF_RANGE,	/* LBA beyond the end */
	DISK_READ_ONLY,
	DISK_MEDIUM_READ,	/* unrecovered read error */
	DISK_MEDIUM_WRITE,
	DISK_PROTECTION,	/* guard, reference or application tag */
	DISK_CONFLICT,		/* reservation conflict */
	DISK_NOT_READY,		/* becoming ready; worth a retry */
	DISK_NO_SPACE,
	DISK_ABORTED,
	DISK_TIMEOUT,
	DISK_GONE,		/* the backend will not come back */
	DISK_UNSUPPORTED,
	DISK_FAILED,		/* anything else; the backend logged it */
	DISK_NR_STATUS,
};

struct disk_info {
	uint64_t blocks;
	uint32_t block_size;	      /* bytes, power of two, >= 512 */
	uint32_t physical_block_size; /* multiple of block_size */
	/* Bytes per read or write, a multiple of the block; other requests may
	 * name any number of blocks. */
	uint32_t max_transfer;
	uint32_t max_ranges;	      /* ranges per request */
	/* Address bits that must be 0 between ranges (4095 = every range but
	 * the first starts, and every one but the last ends, on a page). */
	uint32_t gap_mask;
	uint32_t range_alignment; /* every range starts on this, power of two */
	uint32_t discard_granularity; /* blocks; 0 = no discard */
	bool read_only, write_cache, fua, write_zeroes, rotational;
	char serial[21];     /* NUL-terminated ASCII; may be empty */
	uint8_t nguid[16];   /* all zero = none */
	uint8_t eui64[8];    /* all zero = none */
};

struct disk_request {
	uint8_t op;    /* enum disk_op */
	uint8_t flags; /* DISK_FUA */
	uint16_t nr_ranges;
	uint32_t blocks;
	uint64_t lba;
	const struct gpa_range *ranges; /* coalesced; sum = blocks * size */
	/* Not NULL (then nr_ranges is 0): the data lies here, page-aligned, in
	 * memory of ours; for what breaks the rules of `struct disk_info`. */
	void *buffer;
	void (*done)(struct disk_request *req, enum disk_status status);
	/* The backend's own, from submit() to done(). */
	uint64_t backend[40];
};

struct disk;
struct disk_queue;

struct disk_ops {
	const char *name;
	/* Constant between two `changed` events. Any thread. */
	void (*info)(struct disk *disk, struct disk_info *info);
	/* One queue of `depth` requests on a reactor; on that reactor's thread.
	 * 0 or -errno. close: when no request is outstanding. */
	int (*queue_open)(struct disk *disk, struct reactor *r,
			  unsigned int depth, struct disk_queue **queue);
	void (*queue_close)(struct disk_queue *queue);
	/* Takes all `nr` requests (nr <= free depth). Reactor thread. */
	void (*submit)(struct disk_queue *queue, struct disk_request **reqs,
		       unsigned int nr);
	void (*inspect)(struct disk *disk, struct inspect *out);
	void (*close)(struct disk *disk); /* no queue is open any more */
};

/* Embedded first in each backend's own structure. */
struct disk {
	const struct disk_ops *ops;
};

const char *disk_status_text(enum disk_status status);

#endif
