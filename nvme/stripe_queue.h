/* SPDX-License-Identifier: MIT */
/*
 * A stripe and its queues: what stripe.c and stripe_queue.c share.
 */
#ifndef NVME_STRIPE_QUEUE_H
#define NVME_STRIPE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <pv/disk.h>
#include <pv/reactor.h>

#include "stripe.h"

struct stripe {
	struct disk disk; /* first */
	struct disk *child[STRIPE_MAX_DISKS];
	unsigned int nr;
	uint32_t chunk; /* blocks */
	struct disk_info info;
	_Atomic uint64_t blocks;
	atomic_bool gone;
	pthread_mutex_t event_lock;
	pthread_mutex_t queues_lock; /* for inspect */
	struct disk_queue *queues;
};

struct whole;
struct part;

struct disk_queue {
	struct stripe *stripe;
	struct reactor *reactor;
	struct disk_queue *next;
	struct disk_queue *child[STRIPE_MAX_DISKS];
	unsigned int depth, outstanding;

	struct whole *waiting, **waiting_end;	/* not all sent */
	struct whole *finished, **finished_end; /* in submit(): told later */
	struct reactor_call finish_call;

	struct part *parts, **free;
	unsigned int nr_parts, nr_free;
	struct gpa_range *ranges;
	/* What was cut and not submitted yet, of each disk. */
	struct disk_request **batch[STRIPE_MAX_DISKS];
	unsigned int nr_batch[STRIPE_MAX_DISKS];

	/* Written on the queue's reactor, read by inspect. */
	uint64_t requests, sent_parts, waits, errors;
};

int stripe_queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **queue);
void stripe_queue_close(struct disk_queue *queue);
void stripe_submit(struct disk_queue *queue, struct disk_request **reqs,
		   unsigned int nr);

#endif
