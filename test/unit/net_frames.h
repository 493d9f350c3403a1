/* SPDX-License-Identifier: MIT */
/* Frames for tests of what is behind a NIC. */
#ifndef TEST_NET_FRAMES_H
#define TEST_NET_FRAMES_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/vmm/net_frame.h"
#include "test/vmm/net_headers.h"

/* ---- frames ---- */

struct test_frame {
	uint32_t len;
	uint8_t byte[NET_MAX_FRAME];
};

static inline void put32(uint8_t *at, uint32_t value)
{
	net_put16(at, value >> 16);
	net_put16(at + 2, value & 0xffff);
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)net_get16(at) << 16 | net_get16(at + 2);
}

/* Ethernet and IP around `payload` bytes of pattern behind a TCP or UDP header.
 * No checksum is filled in. */
static inline void make_frame(struct test_frame *f, bool v6, bool tcp,
			      uint32_t payload)
{
	static const uint8_t macs[12] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	uint32_t l4 = v6 ? 54 : 34, l4_size = tcp ? 20 : 8;
	uint8_t *ip = f->byte + 14, *head = f->byte + l4;

	memset(f->byte, 0, l4 + l4_size);
	memcpy(f->byte, macs, sizeof(macs));
	net_put16(f->byte + 12, v6 ? 0x86dd : 0x0800);
	f->len = l4 + l4_size + payload;
	if (v6) {
		ip[0] = 0x60;
		net_put16(ip + 4, (uint16_t)(l4_size + payload));
		ip[6] = tcp ? 6 : 17;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
	} else {
		ip[0] = 0x45;
		net_put16(ip + 2, (uint16_t)(20 + l4_size + payload));
		net_put16(ip + 4, 0x1234);
		ip[8] = 64;
		ip[9] = tcp ? 6 : 17;
		put32(ip + 12, 0x0a00020f);
		put32(ip + 16, 0x0a000202);
	}
	net_put16(head, 1000);
	net_put16(head + 2, 2000);
	if (tcp) {
		put32(head + 4, 0xfffffff0);
		head[12] = 0x50;
		head[13] = 0x99; /* CWR, ACK, PSH, FIN */
		net_put16(head + 14, 0xffff);
	} else {
		net_put16(head + 4, (uint16_t)(8 + payload));
	}
	for (uint32_t i = 0; i < payload; i++)
		head[l4_size + i] = (uint8_t)(i * 7 + (i >> 8));
}

/* All that is to be done about such a frame. */
static inline struct net_offload offload_of(bool v6, bool tcp, uint16_t mss)
{
	uint16_t l4 = v6 ? 54 : 34;

	return (struct net_offload){
		.flags = (uint8_t)((v6 ? 0 : NET_IP_CHECKSUM) |
				   (tcp ? NET_TCP_CHECKSUM :
					  NET_UDP_CHECKSUM) |
				   (mss ? NET_LSO : 0)),
		.l4 = l4,
		.header_len = (uint16_t)(mss ? l4 + 20 : 0),
		.mss = mss,
	};
}

/* Headers are there, and every checksum is right. */
static inline void assert_finished(const uint8_t *frame, uint32_t len)
{
	struct net_headers h;

	net_headers_parse(frame, len, &h);
	assert_int_not_equal(h.l3, NET_L3_NONE);
	assert_int_not_equal(h.l4, NET_L4_NONE);
	if (h.l3 == NET_IP4)
		assert_true(net_ip_checksum_good(frame, &h));
	assert_true(net_l4_checksum_good(frame, &h));
}

#endif
