/* SPDX-License-Identifier: MIT */
/* A capture file: classic pcap with nanoseconds, readable while it grows. */
#ifndef VMM_NET_CAPTURE_H
#define VMM_NET_CAPTURE_H

#include <stdint.h>

struct net_capture;

/* NULL with errno. An existing file is overwritten. */
struct net_capture *net_capture_open(const char *path);
/* The first failure to write is one line on stderr, and the last one tried. */
void net_capture_frame(struct net_capture *capture, const uint8_t *frame,
		       uint32_t len);
/* NULL is harmless. */
void net_capture_close(struct net_capture *capture);

#endif
