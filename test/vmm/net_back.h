/* SPDX-License-Identifier: MIT */
/*
 * What is behind a NIC of vmm, made from --net:
 *
 *	user	NAT of this process (libslirp): DHCP and DNS, TCP and UDP out;
 *		10.0.2.2 is this host, 127.0.0.1
 *	tap	an interface of this host
 *	pair	the other NIC of this kind
 *	null	takes all, gives nothing
 *
 * Frames go out with work left to do (struct net_offload) and come in
 * finished. A capture has them finished both ways.
 */
#ifndef VMM_NET_BACK_H
#define VMM_NET_BACK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "device_option.h"
#include "net_frame.h"

struct net_back;
struct reactor;

/* The loop's thread. */
struct net_back_client {
	/* The frame is the back-end's again when it returns. */
	void (*received)(void *opaque, const uint8_t *frame, uint32_t len);
	/* There is room again after net_back_send() said false. */
	void (*room)(void *opaque);
	void *opaque;
};

/* NULL after one line on stderr. Before loop_run(). */
struct net_back *net_back_open(const struct net_option *option,
			       struct reactor *loop);
/* Wires two of NET_PAIR to each other. Before the first frame. */
void net_back_join(struct net_back *a, struct net_back *b);
/* From now on frames come. Before loop_run(), or on the loop's thread. */
void net_back_start(struct net_back *nb, const struct net_back_client *client);
/* From now on none is called. The loop's thread, or when it has ended. */
void net_back_stop(struct net_back *nb);
/* Once the loop has ended. NULL is harmless. */
void net_back_close(struct net_back *nb);

/* Copies the frame and sends it soon. False: no room now, see room(). Any
 * thread; frame->len is from 1 to NET_MAX_FRAME. */
bool net_back_send(struct net_back *nb, const struct net_frame *frame);

/* One JSON object. Any thread. */
void net_back_print_stats(struct net_back *nb, FILE *out);

#endif
