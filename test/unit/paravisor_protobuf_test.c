/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/protobuf.c paravisor/ttrpc.c */
/*
 * Protobuf and ttrpc: bytes of public documents and of other implementations,
 * both ways, and what must be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/ttrpc.h"

static size_t from_hex(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned int byte;

	while (sscanf(hex, "%2x", &byte) == 1) {
		bytes[n++] = (uint8_t)byte;
		hex += 2;
	}
	return n;
}

/* The examples of https://protobuf.dev/programming-guides/encoding */
static void documented(void **state)
{
	uint8_t bytes[64];
	struct pb_reader r;
	struct pb_field f;
	char text[8];

	(void)state;
	pb_read(&r, bytes, from_hex("089601", bytes)); /* 1: 150 */
	assert_true(pb_next(&r, &f));
	assert_int_equal(f.number, 1);
	assert_int_equal(f.wire, PB_VARINT);
	assert_int_equal(f.value, 150);
	assert_false(pb_next(&r, &f));
	assert_false(r.bad);

	pb_read(&r, bytes, from_hex("120774657374696e67", bytes));
	assert_true(pb_next(&r, &f)); /* 2: "testing" */
	assert_int_equal(f.number, 2);
	assert_true(pb_copy_text(&f, text, sizeof(text)));
	assert_string_equal(text, "testing");
	assert_false(pb_copy_text(&f, text, sizeof(text) - 1));

	pb_read(&r, bytes, from_hex("1a03089601", bytes)); /* 3: {1: 150} */
	assert_true(pb_next(&r, &f));
	pb_read(&r, f.bytes, f.len);
	assert_true(pb_next(&r, &f));
	assert_int_equal(f.value, 150);

	pb_read(&r, bytes, from_hex("0d04030201"
				    "110807060504030201", bytes));
	assert_true(pb_next(&r, &f));
	assert_int_equal(f.value, 0x01020304);
	assert_true(pb_next(&r, &f));
	assert_true(f.value == 0x0102030405060708);
	assert_false(pb_next(&r, &f));
	assert_false(r.bad);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"08",			    /* no value */
		"0880",			    /* a number without end */
		"08ffffffffffffffffffff01", /* eleven bytes of one */
		"0a05616263",		    /* shorter than it says */
		"0affffffffffffffffff01",   /* 2^64 - 1 bytes */
		"00",			    /* field 0 */
		"0b", "0c",		    /* groups */
		"0e", "0f",		    /* no such wire type */
		"0d010203",		    /* three of four bytes */
		"8080808080800100",	    /* field 2^38 */
	};
	uint8_t bytes[64];
	struct pb_reader r;
	struct pb_field f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		pb_read(&r, bytes, from_hex(bad[i], bytes));
		assert_false(pb_next(&r, &f));
		assert_true(r.bad);
		assert_false(pb_next(&r, &f));
	}
	pb_read(&r, bytes, from_hex("0a0361006" "2", bytes));
	assert_true(pb_next(&r, &f));
	assert_false(pb_copy_text(&f, (char *)bytes + 32, 8)); /* a NUL */
	pb_read(&r, bytes, from_hex("0801", bytes));
	assert_true(pb_next(&r, &f));
	assert_false(pb_copy_text(&f, (char *)bytes + 32, 8)); /* no text */
}

static void written(void **state)
{
	uint8_t bytes[512], expected[512];
	struct pb_writer w;
	size_t outer, inner;

	(void)state;
	pb_write(&w, bytes, sizeof(bytes));
	outer = pb_begin(&w, 3);
	pb_uint(&w, 1, 150);
	inner = pb_begin(&w, 2);
	pb_text(&w, 2, "testing");
	pb_end(&w, inner);
	pb_end(&w, outer);
	pb_uint(&w, 5, UINT64_MAX);
	assert_int_equal(w.used, from_hex("1a0e089601" "1209"
					  "120774657374696e67"
					  "28ffffffffffffffffff01", expected));
	assert_memory_equal(bytes, expected, w.used);

	/* A length of two bytes moves what it stands in front of. */
	pb_write(&w, bytes, sizeof(bytes));
	outer = pb_begin(&w, 1);
	for (int i = 0; i < 100; i++)
		pb_uint(&w, 1, (uint64_t)i);
	pb_end(&w, outer);
	assert_int_equal(w.used, 3 + 200);
	assert_int_equal(bytes[1], 0xc8);
	assert_int_equal(bytes[2], 1);
	assert_int_equal(bytes[4], 0);
	assert_int_equal(bytes[202], 99);

	/* What does not fit is not written, wherever it ends. */
	for (size_t size = 0; size < 16; size++) {
		memset(bytes, 0xee, sizeof(bytes));
		pb_write(&w, bytes, size);
		outer = pb_begin(&w, 3);
		pb_text(&w, 2, "testing");
		pb_uint(&w, 1, 300);
		pb_end(&w, outer);
		assert_int_equal(w.full, size < 14);
		assert_int_equal(bytes[size], 0xee);
	}
}

/* A request of the public ttrpc client to example.Example/Method1, and its
 * answer: header and field numbers as the protocol's document has them. */
static void frames(void **state)
{
	static const char request[] =
		"0000001a" "00000001" "01" "00"
		"0a07" "696e7370656374"	  /* 1 service "inspect" */
		"1204" "50696e67"	  /* 2 method "Ping" */
		"1a03" "089601"		  /* 3 payload */
		"20" "80c8afa025"	  /* 4 timeout_nano: 10 s */;
	uint8_t bytes[128], again[128];
	struct ttrpc_header header;
	struct ttrpc_request q;
	struct ttrpc_response response;
	struct pb_writer w;
	size_t len = from_hex(request, bytes);

	(void)state;
	header = ttrpc_header_read(bytes);
	assert_int_equal(header.length, len - TTRPC_HEADER_SIZE);
	assert_int_equal(header.stream, 1);
	assert_int_equal(header.type, TTRPC_REQUEST);
	assert_null(ttrpc_request_read(&q, bytes + TTRPC_HEADER_SIZE,
				       header.length));
	assert_string_equal(q.service, "inspect");
	assert_string_equal(q.method, "Ping");
	assert_int_equal(q.len, 3);
	assert_true(q.timeout_ns == 10000000000);
	pb_write(&w, again + TTRPC_HEADER_SIZE,
		 sizeof(again) - TTRPC_HEADER_SIZE);
	ttrpc_request_write(&w, &q);
	ttrpc_header_write(again, &header);
	assert_int_equal(w.used, header.length);
	assert_memory_equal(bytes, again, len);

	/* 1 status {1 code 12, 2 message "no"} */
	len = from_hex("0a06" "080c" "12026e6f", bytes);
	assert_true(ttrpc_response_read(&response, bytes, len));
	assert_int_equal(response.code, TTRPC_UNIMPLEMENTED);
	assert_string_equal(response.message, "no");
	pb_write(&w, again, sizeof(again));
	ttrpc_status_write(&w, TTRPC_UNIMPLEMENTED, "no");
	assert_int_equal(w.used, len);
	assert_memory_equal(again, bytes, len);

	/* 2 payload of 300 bytes */
	len = ttrpc_payload_prefix(bytes, 300);
	assert_int_equal(len, from_hex("12ac02", again));
	assert_memory_equal(bytes, again, len);
	/* An empty one is there, too. */
	assert_int_equal(ttrpc_payload_prefix(bytes, 0), 2);
	assert_true(ttrpc_response_read(&response, bytes, 2));
	assert_int_equal(response.code, TTRPC_OK);
	assert_int_equal(response.len, 0);
}

static void bad_requests(void **state)
{
	static const char *const bad[][2] = {
		{ "0a", "request: not a protobuf message" },
		{ "0801", "service: not text of up to 39 bytes" },
		{ "1203610062", "method: not text of up to 39 bytes" },
		{ "0a28616161616161616161616161616161616161616161616161616161"
		  "616161616161616161616161616161",
		  "service: not text of up to 39 bytes" },
	};
	struct ttrpc_request q;
	uint8_t bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_string_equal(
			ttrpc_request_read(&q, bytes,
					   from_hex(bad[i][0], bytes)),
			bad[i][1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(documented),
		cmocka_unit_test(refused),
		cmocka_unit_test(written),
		cmocka_unit_test(frames),
		cmocka_unit_test(bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
