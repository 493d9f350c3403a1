/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/net_offload.c test/vmm/net_headers.c */
/*
 * Checksums and segmentation in software, against sums worked out by hand and
 * published hashes, and frames whose headers lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net_frames.h"
#include "test/vmm/net_offload.h"

#define MAX_SEGMENTS 64

static struct test_frame frame;
static unsigned int nr_segments;
static struct test_frame segment[MAX_SEGMENTS];

static void keep(void *opaque, const uint8_t *data, uint32_t len)
{
	(void)opaque;
	assert_true(nr_segments < MAX_SEGMENTS);
	segment[nr_segments].len = len;
	memcpy(segment[nr_segments++].byte, data, len);
}

static int finish(const struct net_offload *o)
{
	nr_segments = 0;
	return net_offload_finish(frame.byte, frame.len, o, keep, NULL);
}

static void test_known_checksums(void **state)
{
	/* The header of RFC 1071's wide-spread example. */
	static const uint8_t ip[20] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00,
					0x40, 0x00, 0x40, 0x11, 0xb8, 0x61,
					0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
					0x00, 0xc7 };
	uint8_t odd[3] = { 0x01, 0x02, 0x03 };

	(void)state;
	assert_int_equal(net_fold(net_sum(ip, 20, 0)), 0);
	assert_int_equal(net_fold(net_sum(odd, 3, 0)), 0xffff - 0x0402);
	assert_int_equal(net_fold(0x1fffe), 0);
}

static void test_hash_vectors(void **state)
{
	/* Microsoft's "Verifying the RSS hash calculation". */
	static const uint8_t key[NET_RSS_KEY] = {
		0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
		0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
		0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
		0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
	};
	static const uint8_t to[16] = { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00,
					0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1 };
	static const uint8_t from[16] = { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00,
					  0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7 };
	struct net_headers h;

	(void)state;
	make_frame(&frame, false, true, 0);
	put32(frame.byte + 26, 0x420995bb); /* 66.9.149.187 */
	put32(frame.byte + 30, 0xa18e6450); /* 161.142.100.80 */
	net_put16(frame.byte + 34, 2794);
	net_put16(frame.byte + 36, 1766);
	net_headers_parse(frame.byte, frame.len, &h);
	assert_int_equal(net_rss_hash(frame.byte, &h, key), 0x51ccc178);
	h.l4 = NET_L4_NONE;
	assert_int_equal(net_rss_hash(frame.byte, &h, key), 0x323e8fc2);
	make_frame(&frame, true, true, 0);
	memcpy(frame.byte + 22, from, 16);
	memcpy(frame.byte + 38, to, 16);
	net_put16(frame.byte + 54, 2794);
	net_put16(frame.byte + 56, 1766);
	net_headers_parse(frame.byte, frame.len, &h);
	assert_int_equal(net_rss_hash(frame.byte, &h, key), 0x40207d3d);
}

static void test_checksums_are_filled(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		bool v6 = i & 1, tcp = i & 2;
		struct net_offload o = offload_of(v6, tcp, 0);

		make_frame(&frame, v6, tcp, 101);
		/* Padding is not summed up. */
		frame.byte[frame.len] = 0x55;
		frame.len++;
		assert_int_equal(finish(&o), 0);
		assert_int_equal(nr_segments, 1);
		assert_int_equal(segment[0].len, frame.len);
		assert_finished(segment[0].byte, segment[0].len);
		segment[0].byte[90] ^= 1;
		{
			struct net_headers h;

			net_headers_parse(segment[0].byte, segment[0].len, &h);
			assert_false(net_l4_checksum_good(segment[0].byte,
							  &h));
		}
	}
}

static void cut(bool v6)
{
	struct net_offload o = offload_of(v6, true, 1000);
	uint32_t header = o.header_len, at = 0;

	make_frame(&frame, v6, true, 3500);
	/* As drivers leave it. */
	net_put16(frame.byte + 14 + (v6 ? 4 : 2), 0);
	assert_int_equal(finish(&o), 0);
	assert_int_equal(nr_segments, 4);
	for (unsigned int i = 0; i < 4; i++) {
		const struct test_frame *s = &segment[i];

		assert_int_equal(s->len, header + (i < 3 ? 1000 : 500));
		assert_finished(s->byte, s->len);
		assert_int_equal(get32(s->byte + o.l4 + 4), 0xfffffff0 + at);
		assert_memory_equal(s->byte + header, frame.byte + header + at,
				    s->len - header);
		assert_int_equal(s->byte[o.l4 + 13],
				 0x10 | (i ? 0 : 0x80) | (i == 3 ? 9 : 0));
		if (!v6)
			assert_int_equal(net_get16(s->byte + 18), 0x1234 + i);
		at += 1000;
	}
}

static void test_segments(void **state)
{
	(void)state;
	cut(false);
	cut(true);
}

static void test_tags_are_passed(void **state)
{
	struct net_offload o = offload_of(false, false, 0);
	static const uint8_t tag[4] = { 0x81, 0x00, 0x00, 0x05 };

	(void)state;
	make_frame(&frame, false, false, 40);
	memmove(frame.byte + 16, frame.byte + 12, frame.len - 12);
	memcpy(frame.byte + 12, tag, 4);
	frame.len += 4;
	o.l4 += 4;
	assert_int_equal(finish(&o), 0);
	assert_finished(segment[0].byte, segment[0].len);
}

/* Each is refused, and nothing comes out. */
static void test_lies(void **state)
{
	struct net_offload o;

	(void)state;
	make_frame(&frame, false, true, 3000);
	o = offload_of(false, true, 0);
	o.l4 = 30;
	assert_int_equal(finish(&o), -EINVAL);
	o.l4 = 60000;
	assert_int_equal(finish(&o), -EINVAL);
	o = offload_of(false, false, 0); /* it is TCP */
	assert_int_equal(finish(&o), -EINVAL);
	o = offload_of(true, true, 0); /* it is IPv4 */
	assert_int_equal(finish(&o), -EINVAL);
	o = offload_of(false, true, 1000);
	o.header_len++;
	assert_int_equal(finish(&o), -EINVAL);
	o = offload_of(false, true, 1000);
	o.mss = 0;
	assert_int_equal(finish(&o), -EINVAL);
	frame.byte[46] = 0x10;
	o = offload_of(false, true, 1000);
	assert_int_equal(finish(&o), -EINVAL);
	make_frame(&frame, false, true, 0);
	assert_int_equal(finish(&o), -EINVAL);
	frame.len = 20;
	o = offload_of(false, true, 0);
	assert_int_equal(finish(&o), -EINVAL);
	frame.len = 60;
	net_put16(frame.byte + 12, 0x0806);
	assert_int_equal(finish(&o), -EINVAL);
	assert_int_equal(nr_segments, 0);
	o.flags = 0;
	assert_int_equal(finish(&o), 0);
	assert_int_equal(nr_segments, 1);
}

static void test_parse_stays_inside(void **state)
{
	struct net_headers h;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		uint32_t whole;

		make_frame(&frame, i & 1, i & 2, 4);
		whole = frame.len;
		for (uint32_t len = 0; len < whole; len++) {
			uint8_t *copy = malloc(len ? len : 1);

			memcpy(copy, frame.byte, len);
			net_headers_parse(copy, len, &h);
			assert_int_equal(h.l3, NET_L3_NONE);
			assert_int_equal(h.l4, NET_L4_NONE);
			free(copy);
		}
		net_headers_parse(frame.byte, whole, &h);
		assert_int_equal(h.l4, i & 2 ? NET_TCP : NET_UDP);
	}
	/* A fragment has no ports. */
	make_frame(&frame, false, false, 4);
	frame.byte[20] = 0x20;
	net_headers_parse(frame.byte, frame.len, &h);
	assert_int_equal(h.l3, NET_IP4);
	assert_int_equal(h.l4, NET_L4_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_checksums),
		cmocka_unit_test(test_hash_vectors),
		cmocka_unit_test(test_checksums_are_filled),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_tags_are_passed),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_parse_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
