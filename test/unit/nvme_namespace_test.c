/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/namespace.c nvme/controller.c nvme/status.c nvme/command.c nvme/passthrough.c include/guid.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/reactor_ring.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "nvme/namespace.h"

/* Identify data are written as bytes at the specification's offsets (NVM
 * Express Base Specification 2.0, figure 275; NVM Command Set 1.0, figure 97),
 * so that nothing here repeats the library's structures. */
static union {
	struct nvme_id_ctrl ctrl;
	uint8_t b[4096];
} ctrl;
static union {
	struct nvme_id_ns ns;
	uint8_t b[4096];
} id;
static struct queue_limits limits;
static struct namespace ns;

static void put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* 1 GiB of 512-byte blocks, everything optional there. */
static int set_up(void **state)
{
	(void)state;
	memset(&ctrl, 0, sizeof(ctrl));
	memset(&id, 0, sizeof(id));
	memset(&ns, 0, sizeof(ns));
	memcpy(ctrl.b + 4, "SER 1\x01               ", 20); /* SN */
	put(ctrl.b + 128, 1, 2);	  /* CRDT1 */
	put(ctrl.b + 132, 30, 2);	  /* CRDT3 */
	put(ctrl.b + 520, 1 << 2 | 1 << 3, 2); /* ONCS */
	ctrl.b[525] = 1;		  /* VWC */
	put(ctrl.b + 528, 7, 2);	  /* AWUPF: 8 blocks */
	put(id.b, 0x200000, 8);		  /* NSZE */
	id.b[24] = 1 << 4;		  /* NSFEAT: OPTPERF */
	id.b[25] = 1;			  /* NLBAF: two formats */
	put(id.b + 64, 15, 2);		  /* NPWG: 16 blocks */
	put(id.b + 68, 31, 2);		  /* NPDG: 32 blocks */
	memset(id.b + 104, 0xa5, 16);	  /* NGUID */
	memset(id.b + 120, 0x5a, 8);	  /* EUI64 */
	put(id.b + 128, 9u << 16, 4);	  /* format 0: 512 bytes */
	put(id.b + 132, 12u << 16, 4);	  /* format 1: 4096 bytes */
	limits = (struct queue_limits){ .max_bytes = 512 * 1024,
					.max_segments = 129,
					.gap_mask = 4095,
					.alignment = 4,
					.discard_bytes = 1ull << 41,
					.zeroes_bytes = 1 << 20 };
	return 0;
}

static const char *describe(void)
{
	memset(&ns, 0, sizeof(ns));
	return namespace_describe(&ns, &ctrl.ctrl, &id.ns, &limits);
}

static void a_disk_is_what_the_device_says(void **state)
{
	static const uint8_t nguid[16] = {
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
	};

	(void)state;
	assert_null(describe());
	assert_int_equal(ns.info.blocks, 0x200000);
	assert_int_equal(ns.info.block_size, 512);
	assert_int_equal(ns.info.physical_block_size, 4096); /* 16, atomic 8 */
	assert_int_equal(ns.info.max_transfer, 512 * 1024);
	assert_int_equal(ns.info.max_ranges, 129);
	assert_int_equal(ns.info.gap_mask, 4095);
	assert_int_equal(ns.info.range_alignment, 4);
	assert_int_equal(ns.info.discard_granularity, 32);
	assert_true(ns.info.write_zeroes && ns.info.write_cache &&
		    ns.info.fua && !ns.info.read_only && !ns.info.rotational);
	assert_string_equal(ns.info.serial, "SER_1_");
	assert_memory_equal(ns.info.nguid, nguid, 16);
	assert_int_equal(ns.info.eui64[7], 0x5a);
	assert_int_equal(ns.discard_blocks, UINT32_MAX);
	assert_int_equal(ns.zeroes_blocks, 2048);
	assert_int_equal(ns.crdt[0], 1);
	assert_int_equal(ns.crdt[1], 0);
	assert_int_equal(ns.crdt[2], 30);
}

static void what_the_device_lacks(void **state)
{
	(void)state;
	put(ctrl.b + 520, 0, 2);
	ctrl.b[525] = 0;
	id.b[24] = 0;
	id.b[99] = 1; /* NSATTR: write protected */
	assert_null(describe());
	assert_int_equal(ns.info.discard_granularity, 0);
	assert_false(ns.info.write_zeroes || ns.info.write_cache);
	assert_true(ns.info.read_only);
	assert_int_equal(ns.info.physical_block_size, 512);
	/* The device would, the kernel's limits say no. */
	assert_int_equal(set_up(state), 0);
	limits.discard_bytes = limits.zeroes_bytes = 0;
	assert_null(describe());
	assert_int_equal(ns.info.discard_granularity, 0);
	assert_false(ns.info.write_zeroes);
}

static void formats(void **state)
{
	(void)state;
	id.b[26] = 1; /* FLBAS */
	assert_null(describe());
	assert_int_equal(ns.info.block_size, 4096);
	id.b[26] = 2;
	assert_string_equal(describe(), "FLBAS names a format that exists");
	id.b[25] = 17; /* then bits 6:5 are the upper ones: format 17 */
	id.b[26] = 1 | 1 << 5;
	put(id.b + 128 + 17 * 4, 12u << 16, 4);
	assert_null(describe());
	id.b[26] = 0;
	put(id.b + 128, 8u << 16, 4);
	assert_string_equal(describe(), "blocks have 512 to 4096 bytes");
	put(id.b + 128, 13u << 16, 4);
	assert_string_equal(describe(), "blocks have 512 to 4096 bytes");
	put(id.b + 128, 9u << 16 | 8, 4);
	assert_string_equal(describe(), "blocks have no metadata");
}

static void sizes_that_can_not_be(void **state)
{
	(void)state;
	put(id.b, 0, 8);
	assert_non_null(describe());
	put(id.b, 1ull << 56, 8);
	assert_non_null(describe());
	put(id.b, (1ull << 55) - 1, 8);
	assert_null(describe());
}

static void transfers_fit_into_segments(void **state)
{
	(void)state;
	limits.max_bytes = 8 << 20;
	limits.max_segments = 256;
	assert_null(describe());
	assert_int_equal(ns.info.max_ranges, 256);
	assert_int_equal(ns.info.max_transfer, 255 * 4096);
	limits.max_segments = 1000;
	assert_null(describe());
	assert_int_equal(ns.info.max_transfer, 1 << 20);
	limits.max_segments = 1;
	assert_non_null(describe());
	limits.max_segments = 129;
	limits.gap_mask = 4094;
	assert_non_null(describe());
	limits.gap_mask = 0;
	limits.alignment = 3;
	assert_non_null(describe());
}

/* An absent device costs the time that was asked for and one line. */
static void an_absent_device_is_given_up(void **state)
{
	const struct nvme_config config = { .nsid = 1, .wait_ms = 50 };
	uint64_t before = reactor_now();
	struct guest_memory memory = { 0 };
	struct disk *disk = NULL;

	(void)state;
	assert_int_equal(nvme_open(&config, &memory, &disk), -ETIMEDOUT);
	assert_null(disk);
	assert_in_range(reactor_now() - before, 50000000, 2000000000);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_is_what_the_device_says),
		TEST(what_the_device_lacks),
		TEST(formats),
		TEST(sizes_that_can_not_be),
		TEST(transfers_fit_into_segments),
		TEST(an_absent_device_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
