/* SPDX-License-Identifier: MIT */
/*
 * A SCSI target whose logical units are disks (SAM-5, SPC-4, SBC-3) and DVD
 * drives (MMC-6) with a disk for a disc.
 *
 *	struct scsi_lun     a logical unit: a disk, who it says it is, what its
 *	                    mode pages say. Shared by all channels.
 *	struct scsi_nexus   the way from one channel to one logical unit ("I_T_L
 *	                    nexus"): a queue of the disk on the channel's reactor.
 *	struct scsi_target  the nexuses of one channel, by number.
 *	struct scsi_task    one command. Belongs to whoever fills the fields of
 *	                    the first part; scsi_execute() works on it until done().
 *
 * Data never passes through here: the client's pages go to the disk as guest
 * physical ranges. Exceptions are small parameter data, and a bounce buffer
 * for what breaks the disk's rules of alignment.
 *
 * Threads: a target, its nexuses and their tasks belong to one reactor. A
 * logical unit is constant while any nexus is open, except for what is atomic.
 */
#ifndef RELAY_SCSI_H
#define RELAY_SCSI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <guid.h>
#include <pv/disk.h>
#include <pv/guest_memory.h>

#include "scsi_reg.h"

struct inspect;
struct reactor;

#define SCSI_MAX_LUNS 64
#define SCSI_CDB_SIZE 16
/* Bytes of data of one command, and how many pages these may touch. */
#define SCSI_MAX_TRANSFER (256u * 1024)
#define SCSI_MAX_RANGES (SCSI_MAX_TRANSFER / GUEST_PAGE_SIZE + 1)
/* Requests that one command may have at its disk at a time. */
#define SCSI_PARTS 4
#define SCSI_MAX_UNMAP_DESCRIPTORS 64
#define SCSI_MAX_WRITE_SAME (64u << 20) /* bytes */
#define SCSI_BATCH 64
#define SCSI_BOUNCE_SIZE (64u * 1024)
#define SCSI_BOUNCE_BUFFERS 4
#define SCSI_BOUNCE_SHARE 2 /* of those, for one nexus at a time */

/* Who the logical unit says it is. Printable ASCII; "" = the default. */
struct scsi_identity {
	char vendor[9];
	char product[17];
	char revision[5];
	char serial[33];
	/* What the name (VPD page 83h) is made of, whatever the disk says of
	 * itself; zero: of the disk's own name. */
	struct guid id;
};

/*
 * Whether a unit offers what its disk could do. OFF hides it wherever a client
 * could see it, and commands that need it are refused; ON is refused when the
 * unit is made, where the disk has no such thing. AS_DISK is, for
 *
 *	write_cache	a cache if the disk has one. Without: each write is
 *			durable when it is acknowledged
 *	fua		always: by the disk's FUA, or by a flush
 *	unmap		UNMAP and WRITE SAME that unmaps, each if the disk can
 */
enum scsi_switch { SCSI_AS_DISK, SCSI_OFF, SCSI_ON };

/* What a logical unit is made from. */
struct scsi_lun_config {
	uint8_t number; /* below SCSI_MAX_LUNS */
	bool read_only;
	/* A DVD drive: blocks of 2048 bytes whatever the disk's, read-only. The
	 * switches and sizes below are not for it. */
	bool dvd;
	/* Stays the caller's, outlives the unit. NULL: a DVD drive that stays
	 * empty. */
	struct disk *disk;
	struct scsi_identity identity;
	/* Names the unit if identity.id is zero and the disk has no name. */
	struct guid default_id;
	uint8_t write_cache, fua, unmap; /* enum scsi_switch */
	/* As VPD page B1h has it: 1 = none, 401h to FFFEh per minute; 0 = as
	 * the disk. */
	uint16_t rotation;
	uint32_t physical_block_size; /* bytes, 2^n blocks; 0 = the disk's */
};

/* What a client has yet to be told, by a unit attention; bits, and told in
 * this order. */
enum scsi_attention {
	SCSI_MEDIUM_CHANGED,
	SCSI_CAPACITY_CHANGED,
	SCSI_NR_ATTENTIONS,
};

enum scsi_tray { SCSI_TRAY_LOADED, SCSI_TRAY_OPEN, SCSI_TRAY_EMPTY };

struct scsi_lun {
	uint8_t number; /* below SCSI_MAX_LUNS */
	bool read_only, dvd;
	bool cached; /* the client sees a write cache, which it may switch */
	bool fua;    /* FUA is taken; how it is done see scsi_block.c */
	uint16_t rotation;	 /* VPD page B1h */
	uint16_t lowest_aligned; /* LBA on a physical block */
	struct disk *disk;	 /* NULL: see struct scsi_lun_config */
	/* The disk's, but for what the configuration hides, and `blocks`. */
	struct disk_info info;
	uint32_t block_size; /* bytes; as clients count, like `blocks` */
	uint32_t disk_blocks; /* of the disk in one of these; 0: part of one */
	struct scsi_identity identity;
	uint8_t name[16]; /* NAA designator */
	_Atomic uint64_t blocks; /* now */
	atomic_uint attentions;	 /* bits by enum scsi_attention */
	/* The disk is gone: to clients the unit is not there. */
	atomic_bool lost;
	/* MODE SELECT can switch it off: then every write goes through. */
	atomic_bool write_cache;
	/* Of a DVD drive; see scsi_tray.c. */
	_Atomic uint8_t tray;	     /* enum scsi_tray */
	_Atomic uint8_t media_event; /* what the client has not asked for */
	atomic_bool locked;	     /* the client prevents removal */
};

struct scsi_nexus;
struct scsi_task;

struct scsi_target {
	struct scsi_nexus *nexus[SCSI_MAX_LUNS]; /* NULL: nobody there */
};

/* Page-aligned buffers in our own memory, shared by the nexuses of a channel,
 * each of which has one of its own besides. A task that finds none free waits
 * its turn. */
struct scsi_bounce_pool {
	uint8_t *memory;
	uint8_t *free[SCSI_BOUNCE_BUFFERS];
	unsigned int nr_free;
	struct scsi_task *waiting, **waiting_tail;
	uint64_t bounced; /* requests that went through a buffer */
	uint64_t waited;  /* tasks that had to wait for one */
};

struct scsi_counters {
	uint64_t reads, writes, flushes, discards, other;
	uint64_t bytes_read, bytes_written;
	uint64_t requests;   /* to the disk; one command may be several */
	uint64_t submits;    /* batches of those */
	uint64_t refused;    /* ended in ILLEGAL REQUEST */
	uint64_t failed;     /* the disk failed it */
};

struct scsi_nexus {
	struct scsi_lun *lun;
	struct scsi_bounce_pool *bounce;
	uint8_t *own_bounce; /* no other nexus' tasks have this buffer */
	bool own_bounce_used;
	uint8_t shared_bounces; /* buffers of the pool that its tasks have */
	struct disk_queue *queue;
	struct disk_request *batch[SCSI_BATCH];
	unsigned int nr_batch;
	struct scsi_counters count;
};

/* What became of a task besides its SCSI status. */
enum scsi_outcome {
	SCSI_DELIVERED,	      /* look at the status */
	SCSI_NO_LUN,	      /* nobody there */
	SCSI_OVERRUN,	      /* the command moves more than the buffer holds */
	SCSI_WRONG_DIRECTION, /* ... or in the other direction */
};

/* Which block over and over again, where the client's buffer is not as long as
 * the range of blocks. */
enum scsi_pattern {
	SCSI_PATTERN_NONE,
	SCSI_PATTERN_ZEROES,
	SCSI_PATTERN_OF_CLIENT, /* the first block of its buffer */
};

/* What is read is for us to compare, not for the client: with what. */
enum scsi_judgement {
	SCSI_JUDGE_NONE,
	SCSI_JUDGE_DATA,  /* the client's buffer */
	SCSI_JUDGE_BLOCK, /* each block with its first one */
};

/* What follows a write, in this order. */
#define SCSI_THEN_FLUSH (1u << 0)
#define SCSI_THEN_VERIFY (1u << 1)
#define SCSI_THEN_COMPARE (1u << 2)

enum scsi_direction { SCSI_DATA_OUT, SCSI_DATA_IN, SCSI_DATA_NONE };

struct scsi_part {
	struct disk_request request;
	struct scsi_task *task;
};

struct scsi_extent {
	uint64_t lba;
	uint32_t blocks;
};

struct scsi_task {
	/* Set by the caller. */
	struct guest_memory *memory;
	const struct scsi_target *target; /* NULL: no such target */
	struct scsi_nexus *nexus;	  /* NULL: no such logical unit */
	uint8_t cdb[SCSI_CDB_SIZE];	  /* zeroes behind its end */
	uint8_t cdb_size;
	uint8_t direction; /* enum scsi_direction */
	/* The client's buffer: each range good, lengths add up to `length`, at
	 * most SCSI_MAX_TRANSFER. */
	uint32_t length;
	uint16_t nr_ranges;
	struct gpa_range ranges[SCSI_MAX_RANGES];
	/* May run inside scsi_execute(). The task is the caller's again. */
	void (*done)(struct scsi_task *task);

	/* The result. */
	uint8_t outcome; /* enum scsi_outcome */
	uint8_t status;
	uint32_t moved;		 /* bytes of the buffer */
	struct scsi_sense sense; /* with SCSI_CHECK_CONDITION */

	/* Private. */
	uint32_t good_bytes; /* `moved` if it ends well */
	/* The transfer, see scsi_transfer.c. */
	uint8_t op, flags;
	uint8_t in_flight;
	uint8_t disk_status; /* the first that was not DISK_OK */
	uint8_t pattern;     /* enum scsi_pattern */
	uint8_t judgement;   /* enum scsi_judgement */
	uint8_t then;	     /* SCSI_THEN_... */
	uint8_t nr_extents;
	uint16_t nr_split;
	uint64_t lba; /* what is left to be given to the disk, in its blocks */
	uint32_t blocks;
	uint64_t first_lba; /* what that was in the beginning */
	uint32_t all_blocks;
	/* A read that begins or ends inside a block of the disk's: bytes to
	 * leave out, and how many are then left; 0: all that are read. */
	uint32_t head, cut_to;
	/* Sees the disk's status first; true: it has set the result. */
	bool (*ended)(struct scsi_task *task, enum disk_status status);
	uint16_t range; /* cursor over the client's buffer */
	uint32_t range_offset;
	uint8_t *bounce;
	struct scsi_task *next_waiting;
	struct scsi_part part[SCSI_PARTS];
	union {
		/* A range cut in two makes one more. */
		struct gpa_range split[SCSI_MAX_RANGES + SCSI_PARTS];
		struct scsi_extent extent[SCSI_MAX_UNMAP_DESCRIPTORS];
		struct disk_reservation reservation;
	};
};

/*
 * Fills in a logical unit. 0, or -EINVAL (logged, with the rule): the disk's
 * figures are none that a SCSI disk can have, or the configuration asks for
 * what the disk has not, or the identity is not printable.
 */
int scsi_lun_init(struct scsi_lun *lun, const struct scsi_lun_config *config);

/* The rule for which the above would refuse it, static, "FIELD: what", where the
 * disk's own figures are `backend'; NULL: it would not. Logs nothing. */
const char *scsi_lun_check(const struct scsi_lun_config *config);

/* The disk's size may have changed: the new one holds from now on, and the next
 * command but INQUIRY and REPORT LUNS, on whatever nexus, gets a unit
 * attention. A change of anything else is logged and not followed. Any one
 * thread at a time. */
void scsi_lun_changed(struct scsi_lun *lun);

/*
 * A DVD drive's host pushes its button: out, and in. The disc is the same for
 * the life of the unit; for another one, or for any in a drive made without,
 * the unit is removed and added. Any thread; what is being read ends well.
 *
 * 0, also if it is that way already. -EINVAL: no DVD drive; -ENOENT: there is
 * no disc; -EBUSY: the client locked the tray, and is now asked to eject.
 */
int scsi_lun_eject(struct scsi_lun *lun);
int scsi_lun_insert(struct scsi_lun *lun);

/* Reactor's own thread. `tasks`: how many may be under way at a time. 0 or
 * -errno of the disk. Close when no task is under way. */
int scsi_nexus_open(struct scsi_nexus *nexus, struct scsi_lun *lun,
		    struct scsi_bounce_pool *bounce, struct reactor *r,
		    unsigned int tasks);
void scsi_nexus_close(struct scsi_nexus *nexus);
void scsi_nexus_inspect(const struct scsi_nexus *nexus, struct inspect *out);

/* Gives what scsi_execute() gathered to the disk: once per batch of tasks. */
void scsi_nexus_submit(struct scsi_nexus *nexus);

/* 0 or -ENOMEM. Close when no task is under way. */
int scsi_bounce_open(struct scsi_bounce_pool *pool);
void scsi_bounce_close(struct scsi_bounce_pool *pool);

/* Carries out task->cdb; done() runs exactly once, now or later. */
void scsi_execute(struct scsi_task *task);

#endif
