/* SPDX-License-Identifier: MIT */
/*
 * A frame between a NIC and what is behind it, with the work that the NIC left
 * to whoever sends it. A frame starts at the Ethernet header; a tag is in it.
 */
#ifndef VMM_NET_FRAME_H
#define VMM_NET_FRAME_H

#include <stdint.h>
#include <sys/uio.h>

#define NET_ETHERNET 14u /* bytes of the header */
#define NET_TAG 4u	 /* of an 802.1Q tag */
/* 64 KiB of IP behind Ethernet and two tags. */
#define NET_MAX_FRAME (65536u + NET_ETHERNET + 2 * NET_TAG)

/* What is to be done yet. The checksum fields' contents do not matter, nor do
 * the length fields of a frame to be cut. */
#define NET_IP_CHECKSUM (1u << 0) /* IPv4 header */
#define NET_TCP_CHECKSUM (1u << 1)
#define NET_UDP_CHECKSUM (1u << 2)
#define NET_LSO (1u << 3) /* cut into TCP segments; implies checksums */

struct net_offload {
	uint8_t flags;
	uint16_t l4;	     /* with TCP, UDP or LSO: where that header starts */
	uint16_t header_len; /* with LSO: up to the end of the TCP header */
	uint16_t mss;	     /* with LSO: payload bytes per segment, not 0 */
};

struct net_frame {
	const struct iovec *iov;
	unsigned int nr;
	uint32_t len; /* of all pieces */
	struct net_offload offload;
};

#endif
