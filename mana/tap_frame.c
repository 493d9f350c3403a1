// SPDX-License-Identifier: MIT
/*
 * Frames for a tap, theory of operation
 *
 * Guests leave to the NIC what it can do: checksums, and with LSO the length
 * and the pseudo-header's length, which are of each segment. A tap takes
 * checksums of TCP and UDP and segmentation from the vnet header; it wants the
 * IPv4 header right, and the TCP checksum field to be the sum over the pseudo-
 * header of the whole. All that lies in the first bytes of a frame, of which
 * the caller has a copy.
 */
#include <errno.h>
#include <string.h>

#include "tap_frame.h"

#define ETHERTYPE_IP4 0x0800u
#define ETHERTYPE_IP6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u
#define IP4_HEADER 20u
#define IP6_HEADER 40u
#define TCP_HEADER 20u
#define TCP_CHECKSUM_AT 16u
#define UDP_CHECKSUM_AT 6u
#define PROTOCOL_TCP 6u

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put_be16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static uint32_t sum(const uint8_t *p, unsigned int len, uint32_t start)
{
	for (unsigned int i = 0; i + 1 < len; i += 2)
		start += be16(p + i);
	return start;
}

static uint32_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* Where the IP header starts: behind a tag that is in the frame already. */
static unsigned int ip_at(const uint8_t *head, unsigned int len)
{
	return len >= 18 && be16(head + 12) == ETHERTYPE_VLAN ? 18 : 14;
}

static int fix_ip4(uint8_t *ip, unsigned int len, uint32_t ip_len, bool lso)
{
	unsigned int header = len ? (ip[0] & 0xfu) * 4 : 0;

	if (header < IP4_HEADER || header > len || ip[0] >> 4 != 4)
		return -EINVAL;
	if (lso)
		put_be16(ip + 2, ip_len);
	put_be16(ip + 10, 0);
	put_be16(ip + 10, ~fold(sum(ip, header, 0)));
	return 0;
}

/* `l4` bytes from the TCP header on: pseudo-header's sum for that length. */
static int fix_tcp(uint8_t *head, unsigned int len, unsigned int ip,
		   unsigned int tcp, uint32_t l4, bool six)
{
	uint32_t s = PROTOCOL_TCP + (l4 & 0xffff) + (l4 >> 16);

	if (tcp + TCP_HEADER > len ||
	    tcp < ip + (six ? IP6_HEADER : IP4_HEADER))
		return -EINVAL;
	s = six ? sum(head + ip + 8, 32, s) : sum(head + ip + 12, 8, s);
	put_be16(head + tcp + TCP_CHECKSUM_AT, fold(s));
	return 0;
}

static int prepare_lso(const struct nic_frame *frame, uint8_t *head,
		       unsigned int len, unsigned int ip, uint32_t total,
		       struct tap_vnet *vnet)
{
	bool six = frame->offload & NIC_LSO6;
	int err;

	if (total - ip > UINT16_MAX || frame->header_len > len ||
	    frame->l4_offset >= frame->header_len ||
	    be16(head + ip - 2) != (six ? ETHERTYPE_IP6 : ETHERTYPE_IP4))
		return -EINVAL;
	err = fix_tcp(head, len, ip, frame->l4_offset,
		      total - frame->l4_offset, six);
	if (err)
		return err;
	if (six)
		put_be16(head + ip + 4, total - ip - IP6_HEADER);
	vnet->gso_type = six ? TAP_VNET_GSO_TCP6 :
			       TAP_VNET_GSO_TCP4;
	vnet->gso_size = frame->mss;
	vnet->hdr_len = frame->header_len;
	return 0;
}

static unsigned int insert_tag(uint8_t *head, unsigned int len, uint16_t vlan,
			       struct tap_vnet *vnet)
{
	memmove(head + 12 + TAP_TAG, head + 12, len - 12);
	put_be16(head + 12, ETHERTYPE_VLAN);
	put_be16(head + 14, vlan);
	if (vnet->flags & TAP_VNET_NEEDS_CHECKSUM)
		vnet->csum_start = (uint16_t)(vnet->csum_start + TAP_TAG);
	if (vnet->hdr_len)
		vnet->hdr_len = (uint16_t)(vnet->hdr_len + TAP_TAG);
	return len + TAP_TAG;
}

int tap_frame_prepare(const struct nic_frame *frame, uint8_t *head,
		      unsigned int len, uint32_t total,
		      struct tap_vnet *vnet)
{
	const unsigned int lso = frame->offload & (NIC_LSO4 | NIC_LSO6);
	const unsigned int tcp = NIC_TCP4_CHECKSUM | NIC_TCP6_CHECKSUM;
	const unsigned int udp = NIC_UDP4_CHECKSUM | NIC_UDP6_CHECKSUM;
	unsigned int ip = ip_at(head, len);
	int err = 0;

	memset(vnet, 0, sizeof(*vnet));
	if (len < NIC_ETHERNET_HEADER)
		return -EINVAL;
	if (lso)
		err = prepare_lso(frame, head, len, ip, total, vnet);
	if (!err && frame->offload & (NIC_IP4_CHECKSUM | NIC_LSO4))
		err = fix_ip4(head + ip, len - ip, total - ip, lso);
	if (err)
		return err;
	if (lso || frame->offload & (tcp | udp)) {
		unsigned int at = lso || frame->offload & tcp ?
					  TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;

		if (frame->l4_offset < ip || frame->l4_offset + at + 2 > total)
			return -EINVAL;
		vnet->flags = TAP_VNET_NEEDS_CHECKSUM;
		vnet->csum_start = frame->l4_offset;
		vnet->csum_offset = (uint16_t)at;
	}
	return frame->offload & NIC_VLAN ?
		       (int)insert_tag(head, len, frame->vlan, vnet) : (int)len;
}
