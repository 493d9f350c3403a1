/* SPDX-License-Identifier: MIT */
/*
 * Headers of a frame (IEEE 802.3 and 802.1Q, RFC 791, 8200, 9293, 768), the
 * Internet checksum (RFC 1071), and the hash of receive side scaling. Pure;
 * frames are contiguous and may be anything.
 */
#ifndef VMM_NET_HEADERS_H
#define VMM_NET_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

enum net_l3 { NET_L3_NONE, NET_IP4, NET_IP6 };
enum net_l4 { NET_L4_NONE, NET_TCP, NET_UDP };

struct net_headers {
	enum net_l3 l3;
	enum net_l4 l4; /* NONE for fragments too */
	uint16_t l3_at, l4_at;
	uint32_t end; /* of the packet in the frame: padding comes behind */
};

/* A header that is not wholly in the frame, or contradicts itself, counts as
 * none. */
void net_headers_parse(const uint8_t *frame, uint32_t len,
		       struct net_headers *h);

/* Are the checksums right? Only of headers that are there. A UDP checksum of 0
 * over IPv4 is none, and right. */
bool net_ip_checksum_good(const uint8_t *frame, const struct net_headers *h);
bool net_l4_checksum_good(const uint8_t *frame, const struct net_headers *h);

/* Sum of the pseudo header over `len` bytes of `protocol`, not complemented. */
uint32_t net_pseudo_sum(const uint8_t *ip, enum net_l3 l3, uint8_t protocol,
			uint32_t len);
/* Adds `len` bytes, of which all but the last piece are even. */
uint32_t net_sum(const uint8_t *data, uint32_t len, uint32_t sum);
uint16_t net_fold(uint32_t sum); /* complemented: what goes into a field */

static inline uint16_t net_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void net_put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

#define NET_PROTOCOL_TCP 6
#define NET_PROTOCOL_UDP 17
#define NET_RSS_KEY 40

/* Toeplitz over addresses and, with an L4 header, ports; 0 without an L3
 * header. */
uint32_t net_rss_hash(const uint8_t *frame, const struct net_headers *h,
		      const uint8_t key[NET_RSS_KEY]);

#endif
