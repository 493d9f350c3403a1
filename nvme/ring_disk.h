/* SPDX-License-Identifier: MIT */
/*
 * A disk whose requests are entries of the reactors' rings: what all disks of
 * this module have in common. A backend embeds `struct ring_disk` and fills
 * entries.
 */
#ifndef NVME_RING_DISK_H
#define NVME_RING_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nvme/types.h>

#include <pv/disk.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>
#include <pv/uring.h>

#include "controller.h"
#include "reservation.h"
#include "status.h"
#include "transfer.h"
#include "uevent.h"

/* A request on its way; lives in the request's own words. */
struct command {
	struct uring_op op; /* first */
	struct reactor_timer timer;
	struct disk_queue *queue;
	struct command *next;
	uint64_t deadline;  /* 0 until it failed once */
	uint32_t blocks;    /* of the part in flight */
	uint32_t done;	    /* blocks of the parts before */
	int32_t good;	    /* what a completion without a fault says */
	uint16_t retries;
	uint8_t status;	    /* enum disk_status, when finished */
	bool prepared, must_copy;
	bool instead;	    /* the backend's: the second of two ways */
	union {		    /* what the device reads beside the data */
		struct nvme_dsm_range range;
		struct reservation_keys keys;
	};
	struct transfer transfer; /* last */
};
_Static_assert(sizeof(struct command) <=
		       sizeof(((struct disk_request *)0)->backend),
	       "a command lives in the request's own words");

static inline struct disk_request *command_request(struct command *command)
{
	return (struct disk_request *)((char *)command -
		offsetof(struct disk_request, backend));
}

struct ring_disk;

struct ring_ops {
	/* Makes an entry for command->blocks from `lba`. Sets command->good
	 * unless that is 0. Everything is prepared. */
	void (*fill)(struct ring_disk *disk, struct command *command,
		     struct io_uring_sqe *sqe, uint64_t lba);
	/* A completion said something else than command->good. */
	struct nvme_verdict (*judge)(struct ring_disk *disk,
				     struct command *command, int32_t res);
	/* The same in words. */
	const char *(*text)(int32_t res);
	/* What a good command brought beside data; may be NULL. */
	void (*answer)(struct ring_disk *disk, struct command *command);
	/* The kernel said something of a device that is not the block device,
	 * or (NULL) may have said it and was not heard, and the disk is not
	 * gone; events' reactor; may be NULL. */
	void (*event)(struct ring_disk *disk, const struct uevent *event);
};

/* Constant when it is open, except for the atomics and the list. */
struct ring_disk {
	struct disk disk; /* first */
	const struct ring_ops *ops;
	struct disk_info info;
	struct guest_memory *memory;
	char name[NVME_NAME_SIZE];
	/* The block device's directory in sysfs; "": it has none, and nothing
	 * is told of it. */
	char sysfs[SYSFS_PATH_SIZE + NVME_NAME_SIZE];
	/* Blocks of one command of each kind; 0: any number. */
	uint64_t limit[DISK_NR_OPS];

	struct uevent_source source;
	bool told_lost;		 /* events' reactor only */
	_Atomic uint64_t blocks; /* now; info.blocks is what it was at first */
	atomic_bool gone;
	atomic_bool copy_all; /* the self-test failed */

	pthread_mutex_t queues_lock; /* for inspect */
	struct disk_queue *queues;
};

/* Written on the queue's reactor, read by inspect. */
struct queue_counters {
	uint64_t requests[DISK_NR_OPS];
	uint64_t commands;     /* sent to the device, retries included */
	uint64_t direct_bytes; /* by the device from and to guest memory */
	uint64_t copied_bytes;
	uint64_t retries, resets, errors, invalid;
};

struct disk_queue {
	struct ring_disk *disk;
	struct reactor *reactor;
	struct disk_queue *next;
	unsigned int depth, outstanding;

	struct command *waiting, **waiting_end;	  /* for memory or an SQE */
	struct command *finished, **finished_end; /* in submit(): told later */
	struct reactor_call finish_call;
	struct reactor_timer again; /* when nothing else would pump */

	struct transfer_pool pool;
	struct queue_counters counters;
};

/* disk_ops of all: the backend's table has these. */
void ring_disk_info(struct disk *disk, struct disk_info *info);
int ring_disk_queue_open(struct disk *disk, struct reactor *r,
			 unsigned int depth, struct disk_queue **queue);
void ring_disk_queue_close(struct disk_queue *queue);
void ring_disk_submit(struct disk_queue *queue, struct disk_request **reqs,
		      unsigned int nr);

/* ring_disk_life.c: what happens to a disk as a whole. */

/* After calloc(), before anything else; its end. */
void ring_disk_init(struct ring_disk *disk, const struct disk_ops *ops,
		    const struct ring_ops *ring_ops,
		    struct guest_memory *memory);
void ring_disk_destroy(struct ring_disk *disk);
/* When info, name, sysfs and limits are there: events come from now on. */
void ring_disk_begin(struct ring_disk *disk);
/* Before the backend gives up what events and inspect look at. */
void ring_disk_end(struct ring_disk *disk);
/* It is gone; events' reactor. */
void ring_disk_lost(struct ring_disk *disk);
/* What the kernel tells of devices: see uevent.h. */
void ring_disk_event(struct uevent_source *source, const struct uevent *event);
/* The part of inspect that all have. */
void ring_disk_describe(struct ring_disk *disk, struct inspect *out);

#endif
