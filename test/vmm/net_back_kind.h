/* SPDX-License-Identifier: MIT */
/* What net_back.c and the kinds of back-ends share. The loop's thread. */
#ifndef VMM_NET_BACK_KIND_H
#define VMM_NET_BACK_KIND_H

#include <pthread.h>
#include <stdatomic.h>

#include <pv/reactor.h>

#include "byte_ring.h"
#include "net_back.h"

struct net_capture;

struct net_kind_ops {
	/* Takes frames with work left to do; else they come finished, with
	 * no flags in `o`. */
	bool offloads;
	/* Sets nb->kind. NULL, or why not; nothing is to be closed then. */
	const char *(*open)(struct net_back *nb,
			    const struct net_option *option);
	void (*start)(struct net_back *nb); /* may be NULL */
	/* It may change the frame. */
	void (*out)(struct net_back *nb, uint8_t *frame, uint32_t len,
		    const struct net_offload *o);
	void (*close)(struct net_back *nb); /* may be NULL */
};

extern const struct net_kind_ops net_kind_user, net_kind_tap, net_kind_pair,
	net_kind_null;

#define NET_BACK_COUNTERS(X)                                             \
	X(in_bytes) X(in_frames) X(out_bad) X(out_bytes) X(out_dropped) \
	X(out_frames) X(out_waits)

struct net_back {
	const struct net_kind_ops *ops;
	struct reactor *loop;
	struct net_back_client client;
	struct net_capture *capture; /* or NULL */
	void *kind;		     /* the kind's own */
	bool started;

	pthread_mutex_t lock; /* the ring, and `starved` */
	struct byte_ring ring;
	bool starved;
	struct reactor_call drain;
	uint8_t frame[NET_MAX_FRAME]; /* being sent */

#define NET_BACK_COUNTER(name) _Atomic uint64_t name;
	struct {
		NET_BACK_COUNTERS(NET_BACK_COUNTER)
	} count;
};

#define NET_BACK_COUNT(nb, name, n) \
	atomic_fetch_add_explicit(&(nb)->count.name, (n), memory_order_relaxed)

/* A frame that came; `o` NULL if it is finished. It may be changed. */
void net_back_in(struct net_back *nb, uint8_t *frame, uint32_t len,
		 const struct net_offload *o);

#endif
