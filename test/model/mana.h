/* SPDX-License-Identifier: MIT */
/*
 * A MANA function (GDMA device with a MANA client) with up to MANA_MAX_VPORTS
 * vports, each with a network back-end behind it, as a PCI function.
 *
 * Doorbells are acted on by the device's own thread, in the order in which they
 * were rung; frames that come are put into receive buffers by the thread that
 * brings them.
 */
#ifndef MODEL_MANA_H
#define MODEL_MANA_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pci_function.h"

#define MANA_MAX_VPORTS 16u
#define MANA_MAX_QUEUES 64u	  /* of each kind, per vport */
#define MANA_MAX_VECTORS 65u	  /* one more than VPs */
#define MANA_DEFAULT_MTU 1500u
#define MANA_MAX_MTU 9000u

struct net_back;

struct mana_vport_config {
	struct net_back *back; /* not owned; started by mana_create() */
	uint8_t mac[6];
};

struct mana_config {
	unsigned int nr_vports; /* 1 to MANA_MAX_VPORTS */
	struct mana_vport_config vport[MANA_MAX_VPORTS];
	unsigned int queues;  /* of each kind per vport, 1 to MANA_MAX_QUEUES */
	unsigned int vectors; /* 2 to MANA_MAX_VECTORS */
	unsigned int mtu;     /* 576 to MANA_MAX_MTU; 0 = MANA_DEFAULT_MTU */
	uint32_t link_mbps;   /* 0 = 100000 */
};

struct mana;

/* NULL with errno: EINVAL for what struct mana_config forbids. Before the loop
 * of the back-ends runs, or on its thread. */
struct mana *mana_create(const struct mana_config *config);
/* When nobody accesses the function, and no frame comes, any more. NULL is
 * harmless. */
void mana_destroy(struct mana *m);

struct pci_function *mana_function(struct mana *m);

/*
 * What a device does of its own accord. Any thread; nothing happens unless the
 * hardware channel is up, but for the last two, which stay.
 */
void mana_link(struct mana *m, bool up);
void mana_request_reset(struct mana *m); /* of the driver */
/* While silent it takes messages and answers none. */
void mana_silence(struct mana *m, bool silent);
/* 2 to 4: completions of this many frames at once, if the client allows it and
 * they come soon enough; else 1. */
void mana_coalesce(struct mana *m, unsigned int frames);

/*
 * Counters, by name in --stats. `data_guest` are bytes of frames from and to
 * RAM of VTL0, `data_outside` from and to other RAM; `control` bytes of
 * messages. `stale_doorbells` named no queue, `foreign_doorbells` came through
 * a page that is not the queue's. The last five are how many there are now.
 */
#define MANA_COUNTERS(X)                                                  \
	X(bad_access) X(bad_messages) X(bad_wqes) X(control) X(cqes)      \
	X(data_guest) X(data_outside) X(doorbells) X(eqes) X(faults)      \
	X(foreign_doorbells) X(interrupts) X(messages) X(overflows)       \
	X(resets) X(stale_doorbells) X(unsupported)                       \
	X(now_eqs) X(now_mrs) X(now_pds) X(now_regions) X(now_wqs)
/* Of a vport. */
#define MANA_VPORT_COUNTERS(X)                                            \
	X(rx_bytes) X(rx_coalesced) X(rx_disabled) X(rx_filtered)         \
	X(rx_frames) X(rx_no_wqe) X(rx_truncated) X(tx_bytes)             \
	X(tx_errors) X(tx_frames) X(tx_lso) X(tx_suppressed)
#define MANA_COUNTER_FIELD(name) uint64_t name;
struct mana_counters {
	MANA_COUNTERS(MANA_COUNTER_FIELD)
};
struct mana_vport_counters {
	MANA_VPORT_COUNTERS(MANA_COUNTER_FIELD)
	uint64_t rx_queue[MANA_MAX_QUEUES]; /* frames, by order of creation */
};
/* Snapshots; any thread. */
void mana_counters(struct mana *m, struct mana_counters *out);
void mana_vport_counters(struct mana *m, unsigned int vport,
			 struct mana_vport_counters *out);
/* One JSON object. Any thread. */
void mana_print_stats(struct mana *m, FILE *out);

#endif
