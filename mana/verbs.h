/* SPDX-License-Identifier: MIT */
/*
 * What libibverbs and libmana are asked for: the only header over verbs.c,
 * which alone knows them. All calls block for messages to the device, so they
 * belong on the NIC's own thread, but for verbs_events().
 */
#ifndef MANA_VERBS_H
#define MANA_VERBS_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/nic.h>

#include "txrx.h"

struct verbs;
struct verbs_region;

struct verbs_limits {
	unsigned int max_queues; /* a power of two */
	unsigned int max_depth;	 /* a power of two */
};

/*
 * Opens the RDMA device of that name for one of its ports (from 1), and
 * registers guest memory, a region per range under its guest physical address;
 * `keys` says how that went. -ENOENT: no such device (now).
 */
int verbs_open(const char *name, unsigned int port,
	       const struct guest_memory *memory, struct mana_keys *keys,
	       struct verbs_limits *limits, struct verbs **verbs);
/* Queues and regions have been destroyed. */
void verbs_close(struct verbs *verbs);

/* Becomes readable when verbs_gone() has something to say. */
int verbs_fd(const struct verbs *verbs);
/* True: the device went away, all objects are dead. Does not wait. */
bool verbs_gone(struct verbs *verbs);

/* Memory of our own, under its own address. */
int verbs_register(struct verbs *verbs, void *va, uint64_t size, uint32_t *key,
		   struct verbs_region **region);
void verbs_unregister(struct verbs_region *region);

/*
 * Makes the vport's queues: sets the rings, doorbells, vport_offset, receives,
 * event_fd and events of each queue, whose depths are set. Receive queue
 * order[hash % nr_order] gets a frame; nr_order is a power of two, no number
 * in it twice. Nothing is left after an error: -EBUSY somebody uses the vport.
 */
int verbs_queues_create(struct verbs *verbs, struct nic_queue *const *queues,
			unsigned int nr, const uint16_t *order,
			unsigned int nr_order, const uint8_t key[NIC_RSS_KEY]);
/* No DMA comes after it. */
void verbs_queues_destroy(struct verbs *verbs);

#endif
