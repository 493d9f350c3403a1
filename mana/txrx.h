/* SPDX-License-Identifier: MIT */
/*
 * The data path of one pair of queues: frames of a client to work queue
 * entries, completions to answers. What is here is made by verbs.c and
 * vport.c; the queue's reactor owns it between queue_attach() and
 * queue_detach().
 */
#ifndef MANA_TXRX_H
#define MANA_TXRX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/nic.h>
#include <pv/reactor.h>

#include "bounce.h"
#include "places.h"
#include "queue.h"

#define MANA_MAX_FRAME 9018   /* bytes received: an MTU of 9000 and a bit */
#define MANA_MAX_TX_RANGES 256
#define MANA_MAX_RX_RANGES 4
#define MANA_MAX_LSO 65535u
#define MANA_MIN_DEPTH 64 /* of a completion queue */
#define MANA_MAX_DEPTH 2048
#define MANA_TX_BOUNCE (256u << 10)

/* Which guest RAM the device reaches, and by which key. */
struct mana_keys {
	unsigned int nr;
	bool all; /* none is left out */
	struct {
		uint64_t gpa, size;
		uint32_t key;
		bool good;
	} range[GUEST_MEMORY_MAX_RANGES];
};

/* A frame that was taken and is not sent() yet. */
struct tx_slot {
	uint32_t id;
	uint32_t bytes;	  /* of the frame */
	uint32_t bounced; /* to be given back */
	uint32_t start;	  /* head of the SQ before its entry */
	uint16_t wqe;	  /* bytes of the entry; 0: failed, not the device's */
	bool no_cqe;
};

/* A buffer that was posted and not received() yet. */
struct rx_slot {
	uint32_t id;
	uint32_t size;
	uint16_t wqe;
	uint8_t nr_ranges;
	bool bounced;
	struct gpa_range range[MANA_MAX_RX_RANGES];
};

struct nic_queue {
	/* Set before queue_attach(). */
	struct reactor *reactor;
	const struct nic_client_ops *ops;
	void *client;
	struct guest_memory *memory;
	const struct mana_keys *keys;
	const atomic_uint *filter;
	struct places *places; /* PLACES_KINDS of them, the vport's */
	struct mana_doorbells doorbells;
	struct mana_wq sq, rq;
	struct mana_cq tx_cq, rx_cq;
	uint32_t vport_offset;
	bool receives; /* some hash leads here: the RQ exists in the device */
	uint16_t rx_depth, tx_depth; /* powers of two */
	struct tx_slot *tx;
	struct rx_slot *rx;
	struct bounce tx_bounce;
	uint8_t *rx_bounce; /* rx_depth pieces, when !keys->all */
	uint32_t rx_bounce_key, rx_bounce_size; /* of one piece */
	int event_fd;
	/* Takes the events that wait there; calls queue_event() for each. */
	void (*events)(struct nic_queue *queue);
	/* Any thread may ask: the queue can not go on. Once. */
	void (*broken)(struct nic_queue *queue, const char *why);
	void *owner;

	/* The reactor's. */
	uint32_t tx_head, tx_tail, rx_head, rx_tail; /* slots, free running */
	uint32_t rx_rung; /* rx_head as the device knows it */
	uint32_t tx_silent; /* frames since the last that has a completion */
	struct reactor_call poll, look;
	struct reactor_timer late; /* frames sent are looked for, asleep */
	bool tx_soon;		   /* an event is to tell of them */
	uint32_t late_ns;	   /* or this much later */
	bool rests;		   /* the client comes back by itself */
	uint8_t placed[PLACES_KINDS];
	struct reactor_watch watch;
	bool attached, stopped, polling;
	unsigned int idle; /* passes in a row that found nothing */
	uint32_t again_for; /* doorbells were rung again for heads of this sum */
	uint8_t again;	    /* so often */
	uint32_t hole;	    /* an entry of rx_cq that a look missed */

	/* Written by the reactor, read by anybody. */
	struct nic_stats stats;
	_Atomic uint32_t tx_posted, tx_completed;
	uint64_t events_taken, arms, bad_cqes;
	uint64_t found_late; /* looks that found what no event told of */
};

/* On the queue's reactor. -EMFILE, -ENOMEM: not attached. */
int queue_attach(struct nic_queue *queue);
/* After it nothing of the queue is used by the reactor, but for one call that
 * may still be posted: the caller lets that pass. */
void queue_detach(struct nic_queue *queue);

/* An event of one of the queue's CQs was read. */
void queue_event(struct nic_queue *queue, bool tx);

/* Any thread: what came, and whose event was lost, is found. */
void queue_look(struct nic_queue *queue);

/* nic_ops. */
void queue_rx_post(struct nic_queue *queue, const struct nic_buffer *buffers,
		   unsigned int nr);
unsigned int queue_tx(struct nic_queue *queue, const struct nic_frame *frames,
		      unsigned int nr);

void queue_rest(struct nic_queue *queue, bool rests);

/* ---- between poll.c, tx.c and rx.c ---- */

/* Tells the device of buffers, when it is worth a doorbell. */
void rx_ring(struct nic_queue *queue);
/* Entries looked at, at most `budget`, or -errno: the queue is broken. */
int tx_completions(struct nic_queue *queue, unsigned int budget);
int rx_completions(struct nic_queue *queue, unsigned int budget);
void queue_poll_soon(struct nic_queue *queue);
void queue_break(struct nic_queue *queue, const char *why);
/* Key for all of the range, or false. */
bool queue_key(const struct nic_queue *queue, struct gpa_range range,
	       uint32_t *key);

static inline uint32_t tx_outstanding(const struct nic_queue *queue)
{
	return queue->tx_head - queue->tx_tail;
}

static inline struct tx_slot *tx_slot(const struct nic_queue *queue, uint32_t n)
{
	return &queue->tx[n & (queue->tx_depth - 1u)];
}

static inline struct rx_slot *rx_slot(const struct nic_queue *queue, uint32_t n)
{
	return &queue->rx[n & (queue->rx_depth - 1u)];
}

#endif
