/* SPDX-License-Identifier: MIT */
/*
 * A vport: what its NIC, its thread and its queues share. Between vport.c
 * (the NIC), vport_thread.c (the thread) and vport_queues.c (the queues).
 */
#ifndef MANA_VPORT_H
#define MANA_VPORT_H

#include <pthread.h>
#include <stdatomic.h>

#include "device.h"
#include "mana.h"
#include "txrx.h"
#include "verbs.h"

enum vport_state {
	VPORT_STOPPED,
	VPORT_STARTING,
	VPORT_RUNNING,
	VPORT_STOPPING,
};

/* What the thread tells the NIC's reactor, in this order. */
enum vport_news { NEWS_LINK, NEWS_LOST, NEWS_BACK, NEWS_STARTED, NEWS_STOPPED };
#define VPORT_MAX_NEWS 16

struct vport_queue {
	struct nic_queue q; /* first */
	struct vport *vport;
	struct verbs_region *tx_region, *rx_region;
	uint32_t last_completed; /* the watchdog's */
	unsigned int silent;	 /* seconds without a completion */
};

struct vport {
	struct nic nic; /* first */
	struct mana_config config;
	struct nic_info info; /* constant but for link_up */
	atomic_bool link_up, zero_copy;
	atomic_uint filter;
	struct places places[PLACES_KINDS];

	/* The NIC's reactor's. */
	enum vport_state state;
	bool lost;
	bool telling; /* a callback of the client's runs */
	struct reactor_call news_call;

	/* Written by start() while stopped, read by the thread. */
	struct nic_start start;

	/* Under the lock. */
	pthread_mutex_t lock;
	bool want_start, want_stop, want_end;
	unsigned int nr_news;
	struct {
		enum vport_news what;
		int result;
	} news[VPORT_MAX_NEWS];
	unsigned int nr_queues;
	bool closed; /* nothing is told any more */
	struct vport_queue *queue[NIC_MAX_QUEUES];
	struct nic_queue *handle[NIC_MAX_QUEUES];
	struct nic_stats past; /* of queues that are no more */
	_Atomic uint64_t losses, starts, drains_late;

	/* Why it does not work, in words; NULL: it does. What it was the last
	 * time. Written by the thread and by queues that break. */
	const char *_Atomic degraded, *_Atomic last_loss;
	/* The thread waits for the device since then; 0: it does not. */
	_Atomic uint64_t waiting_since;
	atomic_uint users; /* the owner, and the thread: the last one frees */

	/* The thread's. */
	pthread_t thread;
	int wake_fd, link_fd;
	struct mana_vport_info where; /* written under the lock */
	struct verbs *verbs; /* NULL: the device is gone */
	struct mana_keys keys;
	struct verbs_limits limits;
	bool gone;	   /* the device; queues may still be there */
	atomic_bool broken; /* LOST was said, BACK was not */
	/* Rebuilds in a row, and when the next may be; see vport_thread.c. */
	unsigned int rebuilds;
	uint64_t started_at, gone_at, back_at;
};

/* vport.c. The last one frees. */
void vport_put(struct vport *vport);

/* vport_queues.c; the vport's thread. */
int vport_queues_start(struct vport *vport);
/* What is being sent gets a second to end before. */
void vport_queues_stop(struct vport *vport);
/* A second has passed: what no event told of is found; queues that got no
 * answer in ten of them break. */
void vport_queues_watch(struct vport *vport);

/* vport_thread.c. Any thread. */
void vport_say(struct vport *vport, enum vport_news what, int result);
void vport_lost(struct vport *vport, const char *why);
void vport_wake(struct vport *vport);
void *vport_thread(void *vport);
/* Finds and opens the device: before the thread runs, or on it. */
int vport_find(struct vport *vport);
int vport_connect(struct vport *vport);
void vport_look_at_link(struct vport *vport);
void vport_look_at_device(struct vport *vport);

#endif
