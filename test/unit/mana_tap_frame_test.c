/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/tap_frame.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mana/tap_frame.h"

static uint8_t head[TAP_HEADER_MAX + TAP_TAG];
static struct tap_vnet vnet;

/* Ethernet, IPv4 and TCP or UDP headers as a guest leaves them to its NIC. */
static void make_ip4(uint8_t protocol)
{
	static const uint8_t ip[] = { 0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 0,
				      0xaa, 0xaa, 10, 0, 0, 1, 10, 0, 0, 2 };

	memset(head, 0, sizeof(head));
	memset(head, 2, 12);
	head[12] = 0x08;
	head[13] = 0x00;
	memcpy(head + 14, ip, sizeof(ip));
	head[14 + 9] = protocol;
	head[34 + 12] = 0x80; /* TCP header of 32 bytes */
}

static uint32_t ones(const uint8_t *p, unsigned int len)
{
	uint32_t s = 0;

	for (unsigned int i = 0; i < len; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void plain_frames_are_left_alone(void **state)
{
	const struct nic_frame frame = { 0 };
	uint8_t before[sizeof(head)];

	(void)state;
	make_ip4(17);
	memcpy(before, head, sizeof(head));
	assert_int_equal(tap_frame_prepare(&frame, head, 200, 200, &vnet), 200);
	assert_memory_equal(head, before, sizeof(head));
	assert_int_equal(vnet.flags, 0);
	assert_int_equal(vnet.gso_type, TAP_VNET_GSO_NONE);
}

static void checksums_are_left_to_the_kernel(void **state)
{
	struct nic_frame frame = { .offload = NIC_UDP4_CHECKSUM,
				   .l4_offset = 34 };

	(void)state;
	make_ip4(17);
	assert_int_equal(tap_frame_prepare(&frame, head, 100, 100, &vnet), 100);
	assert_int_equal(vnet.flags, TAP_VNET_NEEDS_CHECKSUM);
	assert_int_equal(vnet.csum_start, 34);
	assert_int_equal(vnet.csum_offset, 6);
	frame.offload = NIC_TCP4_CHECKSUM;
	tap_frame_prepare(&frame, head, 100, 100, &vnet);
	assert_int_equal(vnet.csum_offset, 16);
	assert_int_equal(head[14 + 10], 0xaa); /* nobody asked */
}

static void the_ip_header_is_summed_up(void **state)
{
	const struct nic_frame frame = { .offload = NIC_IP4_CHECKSUM };

	(void)state;
	make_ip4(17);
	assert_int_equal(tap_frame_prepare(&frame, head, 60, 60, &vnet), 60);
	assert_int_equal(ones(head + 14, 20), 0xffff);
}

static void lso_gets_length_and_pseudo_header(void **state)
{
	const struct nic_frame frame = { .offload = NIC_LSO4, .mss = 1448,
					 .l4_offset = 34, .header_len = 66 };
	/* 10.0.0.1, 10.0.0.2, TCP, 4066 - 34 bytes */
	const uint32_t pseudo = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 4032;

	(void)state;
	make_ip4(6);
	assert_int_equal(tap_frame_prepare(&frame, head, 255, 4066, &vnet),
			 255);
	assert_int_equal(head[16] << 8 | head[17], 4066 - 14);
	assert_int_equal(ones(head + 14, 20), 0xffff);
	assert_int_equal(head[34 + 16] << 8 | head[34 + 17], pseudo);
	assert_int_equal(vnet.gso_type, TAP_VNET_GSO_TCP4);
	assert_int_equal(vnet.gso_size, 1448);
	assert_int_equal(vnet.hdr_len, 66);
	assert_int_equal(vnet.csum_start, 34);
	assert_int_equal(vnet.csum_offset, 16);
}

static void lso_of_version_6(void **state)
{
	const struct nic_frame frame = { .offload = NIC_LSO6, .mss = 1428,
					 .l4_offset = 54, .header_len = 86 };

	(void)state;
	memset(head, 0, sizeof(head));
	head[12] = 0x86;
	head[13] = 0xdd;
	head[14] = 0x60;
	head[22] = 0xfe; /* fe00::1 to ::2 */
	head[37] = 1;
	head[53] = 2;
	assert_int_equal(tap_frame_prepare(&frame, head, 255, 4054, &vnet),
			 255);
	assert_int_equal(head[18] << 8 | head[19], 4000);
	assert_int_equal(head[54 + 16] << 8 | head[54 + 17],
			 (0xfe00 + 3 + 6 + 4000) % 0xffff);
	assert_int_equal(vnet.gso_type, TAP_VNET_GSO_TCP6);
}

static void a_tag_goes_behind_the_addresses(void **state)
{
	const struct nic_frame frame = { .offload = NIC_VLAN | NIC_TCP4_CHECKSUM,
					 .vlan = 0x6005, .l4_offset = 34 };

	(void)state;
	make_ip4(6);
	assert_int_equal(tap_frame_prepare(&frame, head, 60, 60, &vnet), 64);
	assert_int_equal(head[11], 2);
	assert_memory_equal(head + 12, "\x81\x00\x60\x05\x08\x00\x45", 7);
	assert_int_equal(vnet.csum_start, 38);
}

static void offloads_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		struct nic_frame frame;
		unsigned int len;
		uint32_t total;
	} cases[] = {
		{ { 0 }, 13, 13 },
		{ { .offload = NIC_TCP4_CHECKSUM, .l4_offset = 90 }, 100, 100 },
		{ { .offload = NIC_TCP4_CHECKSUM, .l4_offset = 8 }, 100, 100 },
		{ { .offload = NIC_IP4_CHECKSUM }, 20, 20 },
		{ { .offload = NIC_LSO4, .mss = 100, .l4_offset = 34,
		    .header_len = 101 }, 100, 4000 },
		{ { .offload = NIC_LSO4, .mss = 100, .l4_offset = 66,
		    .header_len = 66 }, 255, 4000 },
		{ { .offload = NIC_LSO4, .mss = 100, .l4_offset = 20,
		    .header_len = 66 }, 255, 4000 },
		{ { .offload = NIC_LSO6, .mss = 100, .l4_offset = 54,
		    .header_len = 86 }, 255, 4000 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_ip4(6);
		assert_int_equal(tap_frame_prepare(&cases[i].frame, head,
						   cases[i].len, cases[i].total,
						   &vnet), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_frames_are_left_alone),
		cmocka_unit_test(checksums_are_left_to_the_kernel),
		cmocka_unit_test(the_ip_header_is_summed_up),
		cmocka_unit_test(lso_gets_length_and_pseudo_header),
		cmocka_unit_test(lso_of_version_6),
		cmocka_unit_test(a_tag_goes_behind_the_addresses),
		cmocka_unit_test(offloads_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
