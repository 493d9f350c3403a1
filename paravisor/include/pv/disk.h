/* SPDX-License-Identifier: MIT */
/*
 * A disk: what a LUN is backed by.
 *
 * A disk is opened once and has one queue per reactor that uses it; requests
 * are submitted in batches on a queue and complete on the same reactor.
 * Requests carry guest physical ranges, so that a backend may hand them to a
 * device without looking at, or copying, the data.
 *
 * Backends: NVMe namespace, block device or file, stripe (nvme/), memory
 * (paravisor/disk_memory.c).
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
	DISK_DISCARD,	   /* blocks become unmapped, see discard_zeroes */
	DISK_WRITE_ZEROES,
	DISK_COMPARE,	   /* data against the blocks, or DISK_MISCOMPARE */
	DISK_VERIFY,	   /* the blocks can be read; no data move */
	DISK_RESERVATION,  /* request.reservation, no blocks */
	DISK_NR_OPS,
};

/* Only of a disk whose info says so; DISK_INVALID otherwise. */
#define DISK_FUA (1u << 0)   /* DISK_WRITE: durable when done() runs */
#define DISK_UNMAP (1u << 1) /* DISK_WRITE_ZEROES: blocks may be unmapped */

/* How a request ended; front-ends map this to their own vocabulary. */
enum disk_status {
	DISK_OK,
	DISK_INVALID,		/* the request broke a rule of `struct disk_info` */
	DISK_OUT_OF_RANGE,	/* LBA beyond the end */
	DISK_READ_ONLY,
	DISK_MEDIUM_READ,	/* unrecovered read error */
	DISK_MEDIUM_WRITE,
	DISK_PROTECTION,	/* guard, reference or application tag */
	DISK_MISCOMPARE,
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
	/* Bytes per read, write or compare, a multiple of the block; other
	 * requests may name any number of blocks. */
	uint32_t max_transfer;
	uint32_t max_ranges;	      /* ranges per request */
	/* Address bits that must be 0 between ranges (4095 = every range but
	 * the first starts, and every one but the last ends, on a page). */
	uint32_t gap_mask;
	uint32_t range_alignment; /* every range starts on this, power of two */
	uint32_t discard_granularity; /* blocks; 0 = no discard */
	uint32_t discard_alignment;   /* blocks: first LBA on the granularity */
	uint32_t optimal_transfer;    /* bytes; 0 = none said */
	/* When a device that has not answered is taken for one that does not;
	 * the request ends by itself after that, or is sent again. 0 = none
	 * said. Nobody may answer a guest in its place before that: the device
	 * may still write to the pages. */
	uint32_t deadline_ms;
	uint16_t reservation_types;   /* a bit for each type; 0 = none at all */
	bool reservation_persist;     /* may survive a loss of power */
	bool read_only, write_cache, fua, rotational;
	bool write_zeroes, write_zeroes_unmap; /* and it knows DISK_UNMAP */
	bool discard_zeroes;	     /* discarded blocks read as zeroes */
	bool compare, verify;
	char serial[21];     /* NUL-terminated ASCII; may be empty */
	uint8_t nguid[16];   /* all zero = none */
	uint8_t eui64[8];    /* all zero = none */
};

/*
 * Persistent reservations, as SPC-4 (5.13) and NVM Express (Base Specification
 * 2.0, 8.19) have them in common. The client is one registrant of the disk.
 */
enum disk_reservation_action {
	DISK_REGISTER,	 /* new_key */
	DISK_UNREGISTER, /* key */
	DISK_REPLACE,	 /* key becomes new_key */
	DISK_RESERVE,	 /* key, type */
	DISK_PREEMPT,	 /* key, type; the victims' is new_key */
	DISK_PREEMPT_AND_ABORT,
	DISK_RELEASE,	 /* key, type */
	DISK_CLEAR,	 /* key */
	DISK_REPORT,	 /* fills in what there is */
};

/* Types, numbered as NVM Express does: also bits of `reservation_types`. */
enum disk_reservation_type {
	DISK_RESERVED_NONE,
	DISK_WRITE_EXCLUSIVE,
	DISK_EXCLUSIVE_ACCESS,
	DISK_WRITE_EXCLUSIVE_REGISTRANTS,
	DISK_EXCLUSIVE_ACCESS_REGISTRANTS,
	DISK_WRITE_EXCLUSIVE_ALL,
	DISK_EXCLUSIVE_ACCESS_ALL,
};

#define DISK_MAX_REGISTRANTS 32

struct disk_reservation {
	uint8_t action, type;
	bool ignore_key;	/* DISK_REGISTER, _UNREGISTER, _REPLACE: of whatever key */
	bool set_persist, persist; /* register: whether it survives power loss */
	uint64_t key, new_key;
	/* DISK_REPORT, filled in, beside `type` (DISK_RESERVED_NONE = no
	 * reservation). With a type for all registrants each is a holder. */
	uint32_t generation;
	bool persists;
	uint16_t nr_registrants; /* may be more than there is room for */
	struct {
		uint64_t key;
		bool holder, self; /* self: it is this client */
		uint8_t host[16];
	} registrant[DISK_MAX_REGISTRANTS];
};

struct disk_request {
	uint8_t op;    /* enum disk_op */
	uint8_t flags; /* DISK_FUA, DISK_UNMAP */
	uint16_t nr_ranges;
	uint32_t blocks;
	uint64_t lba;
	const struct gpa_range *ranges; /* coalesced; sum = blocks * size */
	/* Not NULL (then nr_ranges is 0): the data lies here, in memory of
	 * ours, page-aligned or a whole number of blocks behind that; for what
	 * breaks the rules of `struct disk_info`. */
	void *buffer;
	struct disk_reservation *reservation; /* DISK_RESERVATION; the caller's */
	void (*done)(struct disk_request *req, enum disk_status status);
	/* The backend's own, from submit() to done(). */
	uint64_t backend[40];
};

struct disk;
struct disk_queue;

struct disk_ops {
	const char *name;
	/* Constant but for `blocks` (DISK_RESIZED). Any thread. */
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

enum disk_event {
	DISK_RESIZED, /* info() says another number of blocks */
	DISK_LOST,    /* the disk is gone: every request ends in DISK_GONE */
};

/* Embedded first in each backend's own structure. */
struct disk {
	const struct disk_ops *ops;
	/* Set by the owner before the first queue is opened; may be NULL. It
	 * changes, with the owner, only where no call can be under way. One
	 * call at a time, on a thread of the backend's choice, never after
	 * close() has returned and never from inside another operation. */
	void (*event)(struct disk *disk, enum disk_event event);
	void *owner; /* the owner's */
};

const char *disk_status_text(enum disk_status status);

#endif
