// SPDX-License-Identifier: MIT
/*
 * Headers, theory of operation
 *
 * One walk from the Ethernet header inwards finds where IP and TCP or UDP
 * start; every step checks that the next header is wholly there. All else
 * works on offsets that this walk found.
 *
 * The sums are of big-endian words, kept in 32 bits and folded at the end: a
 * frame of 64 KiB adds less than 2^31.
 */
#include <string.h>

#include "net_frame.h"
#include "net_headers.h"

#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define ETHERTYPE_TAG 0x8100
#define ETHERTYPE_OUTER_TAG 0x88a8

#define IP4_MIN 20u
#define IP4_LENGTH 2
#define IP4_FRAGMENT 6 /* flags and offset */
#define IP4_FRAGMENT_MASK 0x3fff /* more fragments, offset */
#define IP4_PROTOCOL 9
#define IP4_SOURCE 12
#define IP6_SIZE 40u
#define IP6_LENGTH 4
#define IP6_NEXT 6
#define IP6_SOURCE 8
#define IP6_HOP_OPTIONS 0
#define IP6_ROUTING 43
#define IP6_DESTINATION_OPTIONS 60
#define TCP_MIN 20u
#define UDP_SIZE 8u
#define UDP_CHECKSUM 6

static void find_l4(const uint8_t *frame, struct net_headers *h,
		    uint8_t protocol, uint32_t at)
{
	uint32_t left = h->end - at;

	if (protocol == NET_PROTOCOL_TCP && left >= TCP_MIN)
		h->l4 = NET_TCP;
	else if (protocol == NET_PROTOCOL_UDP && left >= UDP_SIZE &&
		 net_get16(frame + at + 4) == left)
		h->l4 = NET_UDP;
	if (h->l4)
		h->l4_at = (uint16_t)at;
}

static void parse_ip4(const uint8_t *frame, uint32_t len,
		      struct net_headers *h)
{
	const uint8_t *ip = frame + h->l3_at;
	uint32_t room = len - h->l3_at, size, total;

	if (room < IP4_MIN || ip[0] >> 4 != 4)
		return;
	size = (ip[0] & 15) * 4u;
	total = net_get16(ip + IP4_LENGTH);
	if (size < IP4_MIN || size > total || total > room)
		return;
	h->l3 = NET_IP4;
	h->end = h->l3_at + total;
	if (!(net_get16(ip + IP4_FRAGMENT) & IP4_FRAGMENT_MASK))
		find_l4(frame, h, ip[IP4_PROTOCOL], h->l3_at + size);
}

static void parse_ip6(const uint8_t *frame, uint32_t len,
		      struct net_headers *h)
{
	const uint8_t *ip = frame + h->l3_at;
	uint32_t room = len - h->l3_at, at = h->l3_at + IP6_SIZE;
	uint8_t next;

	if (room < IP6_SIZE || ip[0] >> 4 != 6 ||
	    net_get16(ip + IP6_LENGTH) > room - IP6_SIZE)
		return;
	h->l3 = NET_IP6;
	h->end = at + net_get16(ip + IP6_LENGTH);
	next = ip[IP6_NEXT];
	while ((next == IP6_HOP_OPTIONS || next == IP6_ROUTING ||
		next == IP6_DESTINATION_OPTIONS) && h->end - at >= 8) {
		uint32_t size = 8u + frame[at + 1] * 8u;

		if (size > h->end - at)
			return;
		next = frame[at];
		at += size;
	}
	find_l4(frame, h, next, at);
}

void net_headers_parse(const uint8_t *frame, uint32_t len,
		       struct net_headers *h)
{
	uint32_t at = NET_ETHERNET - 2;
	uint16_t type = 0;

	memset(h, 0, sizeof(*h));
	h->end = len;
	for (unsigned int tags = 0; tags < 3; tags++, at += NET_TAG) {
		if (at + 2 > len)
			return;
		type = net_get16(frame + at);
		if (type != ETHERTYPE_TAG && type != ETHERTYPE_OUTER_TAG)
			break;
	}
	h->l3_at = (uint16_t)(at + 2);
	if (type == ETHERTYPE_IP4)
		parse_ip4(frame, len, h);
	else if (type == ETHERTYPE_IP6)
		parse_ip6(frame, len, h);
}

uint32_t net_sum(const uint8_t *data, uint32_t len, uint32_t sum)
{
	uint32_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += net_get16(data + i);
	if (i < len)
		sum += (uint32_t)data[i] << 8;
	return sum;
}

uint16_t net_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t net_pseudo_sum(const uint8_t *ip, enum net_l3 l3, uint8_t protocol,
			uint32_t len)
{
	uint32_t sum = protocol + (len >> 16) + (len & 0xffff);

	return l3 == NET_IP4 ? net_sum(ip + IP4_SOURCE, 8, sum) :
			       net_sum(ip + IP6_SOURCE, 32, sum);
}

bool net_ip_checksum_good(const uint8_t *frame, const struct net_headers *h)
{
	const uint8_t *ip = frame + h->l3_at;

	return !net_fold(net_sum(ip, (ip[0] & 15) * 4u, 0));
}

bool net_l4_checksum_good(const uint8_t *frame, const struct net_headers *h)
{
	const uint8_t *l4 = frame + h->l4_at;
	uint32_t len = h->end - h->l4_at;
	uint8_t protocol = h->l4 == NET_TCP ? NET_PROTOCOL_TCP :
					      NET_PROTOCOL_UDP;

	if (h->l4 == NET_UDP && h->l3 == NET_IP4 &&
	    !net_get16(l4 + UDP_CHECKSUM))
		return true;
	return !net_fold(net_sum(l4, len,
				 net_pseudo_sum(frame + h->l3_at, h->l3,
						protocol, len)));
}

uint32_t net_rss_hash(const uint8_t *frame, const struct net_headers *h,
		      const uint8_t key[NET_RSS_KEY])
{
	uint8_t input[36];
	unsigned int len;
	uint32_t hash = 0, window = (uint32_t)key[0] << 24 | key[1] << 16 |
				    key[2] << 8 | key[3];

	if (!h->l3)
		return 0;
	len = h->l3 == NET_IP4 ? 8 : 32;
	memcpy(input, frame + h->l3_at +
			      (h->l3 == NET_IP4 ? IP4_SOURCE : IP6_SOURCE), len);
	if (h->l4) {
		memcpy(input + len, frame + h->l4_at, 4);
		len += 4;
	}
	for (unsigned int bit = 0; bit < 8 * len; bit++) {
		unsigned int next = bit + 32;

		if (input[bit / 8] >> (7 - bit % 8) & 1)
			hash ^= window;
		window = window << 1 |
			 (key[next / 8 % NET_RSS_KEY] >> (7 - next % 8) & 1);
	}
	return hash;
}
