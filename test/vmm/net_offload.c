// SPDX-License-Identifier: MIT
/*
 * Offloads, theory of operation
 *
 * The headers of a frame to be cut are told by `struct net_offload` and not by
 * the frame's own lengths, which a driver leaves at 0 for hardware to fill in.
 * So they are read without net_headers_parse(): type from Ethernet, start of
 * the L4 header from the offload.
 *
 * Segments have the headers of the whole with, counted up, IP identification
 * and sequence number, with FIN and PSH on the last only and CWR on the first
 * only, as a TCP would have sent them itself.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "net_headers.h"
#include "net_offload.h"

#define IP4_LENGTH 2
#define IP4_ID 4
#define IP4_PROTOCOL 9
#define IP4_CHECKSUM 10
#define IP6_LENGTH 4
#define IP6_SIZE 40u
#define TCP_SEQUENCE 4
#define TCP_DATA_OFFSET 12
#define TCP_FLAGS 13
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6

struct layout {
	enum net_l3 l3;
	uint32_t l3_at, l4_at, ip_size;
	uint8_t protocol; /* with an L4 checksum */
	uint32_t checksum_at;
};

/* Where things are; -EINVAL when they are not. */
static int find_layout(const uint8_t *frame, uint32_t len,
		       const struct net_offload *o, struct layout *l)
{
	bool tcp = o->flags & (NET_TCP_CHECKSUM | NET_LSO);
	bool udp = o->flags & NET_UDP_CHECKSUM;
	uint32_t at = NET_ETHERNET - 2;

	memset(l, 0, sizeof(*l));
	while (at + 2 <= len && at < NET_ETHERNET + 2 * NET_TAG &&
	       (net_get16(frame + at) == 0x8100 ||
		net_get16(frame + at) == 0x88a8))
		at += NET_TAG;
	l->l3_at = at + 2;
	if (l->l3_at + 20 > len || (tcp && udp))
		return -EINVAL;
	l->l3 = net_get16(frame + at) == 0x0800 && frame[at + 2] >> 4 == 4 ?
			NET_IP4 :
		net_get16(frame + at) == 0x86dd && frame[at + 2] >> 4 == 6 ?
			NET_IP6 : NET_L3_NONE;
	if (!l->l3 || ((o->flags & NET_IP_CHECKSUM) && l->l3 != NET_IP4))
		return -EINVAL;
	l->ip_size = l->l3 == NET_IP4 ? (frame[l->l3_at] & 15) * 4u : IP6_SIZE;
	if (l->ip_size < 20 || l->l3_at + l->ip_size > len)
		return -EINVAL;
	if (!tcp && !udp)
		return 0;
	l->l4_at = o->l4;
	l->protocol = tcp ? NET_PROTOCOL_TCP : NET_PROTOCOL_UDP;
	l->checksum_at = l->l4_at + (tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
	if (l->l4_at < l->l3_at + l->ip_size ||
	    l->l4_at + (tcp ? 20u : 8u) > len)
		return -EINVAL;
	if (l->l3 == NET_IP4 &&
	    (l->l4_at != l->l3_at + l->ip_size ||
	     frame[l->l3_at + IP4_PROTOCOL] != l->protocol))
		return -EINVAL;
	return 0;
}

static int check_lso(const uint8_t *frame, uint32_t len,
		     const struct net_offload *o, const struct layout *l)
{
	uint32_t size = (frame[l->l4_at + TCP_DATA_OFFSET] >> 4) * 4u;

	return !o->mss || size < 20 || l->l4_at + size != o->header_len ||
	       o->header_len >= len ? -EINVAL : 0;
}

/* Lengths of the IP header for a frame of `len` bytes. */
static void set_lengths(uint8_t *frame, uint32_t len, const struct layout *l)
{
	if (l->l3 == NET_IP4)
		net_put16(frame + l->l3_at + IP4_LENGTH,
			  (uint16_t)(len - l->l3_at));
	else
		net_put16(frame + l->l3_at + IP6_LENGTH,
			  (uint16_t)(len - l->l3_at - IP6_SIZE));
}

static void set_ip_checksum(uint8_t *frame, const struct layout *l)
{
	uint8_t *ip = frame + l->l3_at;

	net_put16(ip + IP4_CHECKSUM, 0);
	net_put16(ip + IP4_CHECKSUM, net_fold(net_sum(ip, l->ip_size, 0)));
}

/* Bytes from the L4 header to the packet's end: by the IP header, as there may
 * be padding, if that makes sense. */
static uint32_t l4_length(const uint8_t *frame, uint32_t len,
			  const struct layout *l)
{
	const uint8_t *ip = frame + l->l3_at;
	uint32_t end = l->l3_at + (l->l3 == NET_IP4 ?
		net_get16(ip + IP4_LENGTH) :
		IP6_SIZE + net_get16(ip + IP6_LENGTH));

	return (end > l->l4_at && end <= len ? end : len) - l->l4_at;
}

static void set_l4_checksum(uint8_t *frame, uint32_t len,
			    const struct layout *l)
{
	uint32_t bytes = l4_length(frame, len, l);
	uint16_t sum;

	net_put16(frame + l->checksum_at, 0);
	sum = net_fold(net_sum(frame + l->l4_at, bytes,
			       net_pseudo_sum(frame + l->l3_at, l->l3,
					      l->protocol, bytes)));
	/* 0 would mean that there is none. */
	if (!sum && l->protocol == NET_PROTOCOL_UDP)
		sum = 0xffff;
	net_put16(frame + l->checksum_at, sum);
}

static void fill_checksums(uint8_t *frame, uint32_t len,
			   const struct net_offload *o, const struct layout *l)
{
	if (o->flags & NET_IP_CHECKSUM)
		set_ip_checksum(frame, l);
	if (l->protocol)
		set_l4_checksum(frame, len, l);
}

static void cut(const uint8_t *frame, uint32_t len,
		const struct net_offload *o, const struct layout *l,
		net_finished *finished, void *opaque)
{
	uint8_t segment[NET_MAX_FRAME];
	const uint8_t *tcp = frame + l->l4_at;
	uint32_t sequence = (uint32_t)net_get16(tcp + TCP_SEQUENCE) << 16 |
			    net_get16(tcp + TCP_SEQUENCE + 2);
	uint16_t id = net_get16(frame + l->l3_at + IP4_ID);
	uint32_t done = o->header_len;

	while (done < len) {
		uint32_t payload = len - done < o->mss ? len - done : o->mss;
		uint32_t size = o->header_len + payload;
		uint8_t *out = segment + l->l4_at;

		memcpy(segment, frame, o->header_len);
		memcpy(segment + o->header_len, frame + done, payload);
		set_lengths(segment, size, l);
		if (l->l3 == NET_IP4) {
			net_put16(segment + l->l3_at + IP4_ID, id++);
			set_ip_checksum(segment, l);
		}
		net_put16(out + TCP_SEQUENCE, (uint16_t)(sequence >> 16));
		net_put16(out + TCP_SEQUENCE + 2, (uint16_t)sequence);
		if (done + payload < len)
			out[TCP_FLAGS] &= 0xff ^ (TCP_FIN | TCP_PSH);
		if (done > o->header_len)
			out[TCP_FLAGS] &= 0xff ^ TCP_CWR;
		set_l4_checksum(segment, size, l);
		finished(opaque, segment, size);
		sequence += payload;
		done += payload;
	}
}

int net_offload_finish(uint8_t *frame, uint32_t len,
		       const struct net_offload *o, net_finished *finished,
		       void *opaque)
{
	struct layout l;

	if (!o->flags) {
		finished(opaque, frame, len);
		return 0;
	}
	if (find_layout(frame, len, o, &l))
		return -EINVAL;
	if (o->flags & NET_LSO) {
		if (check_lso(frame, len, o, &l))
			return -EINVAL;
		cut(frame, len, o, &l, finished, opaque);
		return 0;
	}
	fill_checksums(frame, len, o, &l);
	finished(opaque, frame, len);
	return 0;
}

int net_offload_prepare(uint8_t *frame, uint32_t len,
			const struct net_offload *o)
{
	struct layout l;
	uint32_t bytes;

	if (!o->flags)
		return 0;
	if (find_layout(frame, len, o, &l))
		return -EINVAL;
	if (o->flags & NET_LSO) {
		if (check_lso(frame, len, o, &l))
			return -EINVAL;
		/* 64 KiB of payload and headers are more than the field has. */
		set_lengths(frame, len, &l);
	}
	if (l.l3 == NET_IP4 && (o->flags & (NET_IP_CHECKSUM | NET_LSO)))
		set_ip_checksum(frame, &l);
	if (!l.protocol)
		return 0;
	bytes = o->flags & NET_LSO ? len - l.l4_at : l4_length(frame, len, &l);
	net_put16(frame + l.checksum_at,
		  (uint16_t)~net_fold(net_pseudo_sum(frame + l.l3_at, l.l3,
						     l.protocol, bytes)));
	return 0;
}
