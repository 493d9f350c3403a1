/* SPDX-License-Identifier: MIT */
/*
 * An NVMe namespace as a disk, and one queue of it: the objects that the files
 * of this module share.
 */
#ifndef NVME_NAMESPACE_H
#define NVME_NAMESPACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nvme/ioctl.h>

#include <pv/disk.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "controller.h"
#include "nvme.h"

/* Constant after nvme_open(), except for the atomics and the list. */
struct namespace {
	struct disk disk; /* first */
	struct disk_info info;
	struct guest_memory *memory;
	char controller[NVME_PATH_SIZE];
	char name[NVME_NAME_SIZE];
	uint32_t nsid;
	int fd;			 /* generic character device */
	uint64_t discard_blocks; /* per command */
	uint32_t zeroes_blocks;	 /* per command */
	uint16_t crdt[3];	 /* Command Retry Delay Times, 100 ms */

	atomic_bool gone;
	atomic_bool copy_all; /* the self-test failed */

	pthread_mutex_t queues_lock; /* for inspect */
	struct disk_queue *queues;
};

/* Written on the queue's reactor, read by inspect. */
struct queue_counters {
	uint64_t reads, writes, flushes, discards, zeroes; /* requests */
	uint64_t commands;     /* sent to the device, retries included */
	uint64_t direct_bytes; /* by the device from and to guest memory */
	uint64_t copied_bytes;
	uint64_t retries, resets, errors, invalid;
};

struct command;

struct disk_queue {
	struct namespace *ns;
	struct reactor *reactor;
	struct disk_queue *next;
	unsigned int depth, outstanding;

	struct command *waiting, **waiting_end;	  /* for memory or an SQE */
	struct command *finished, **finished_end; /* in submit(): told later */
	struct reactor_call finish_call;
	struct reactor_timer again; /* when nothing else would pump */

	/* Scatter lists too long for a request's own words, and buffers for
	 * data that can not go directly. Used as stacks. */
	struct iovec *lists, **free_list;
	uint8_t *buffers, **free_buffer;
	unsigned int nr_free_lists, nr_free_buffers;

	struct queue_counters counters;
};

/* passthrough.c */
int passthrough_open(struct disk *disk, struct reactor *r, unsigned int depth,
		     struct disk_queue **queue);
void passthrough_close(struct disk_queue *queue);
void passthrough_submit(struct disk_queue *queue, struct disk_request **reqs,
			unsigned int nr);
/* One request whose data are copied in any case. */
void passthrough_submit_copied(struct disk_queue *queue,
			       struct disk_request *req);

/*
 * What the disk can do, from what the device and the kernel say; checks both.
 * Pure. NULL, or the rule that is broken. Fills ns->info and the limits of
 * commands.
 */
const char *namespace_describe(struct namespace *ns,
			       const struct nvme_id_ctrl *ctrl,
			       const struct nvme_id_ns *id,
			       const struct queue_limits *limits);

#endif
