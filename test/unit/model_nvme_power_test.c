/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/nvme_namespace.c test/model/nvme_fault.c test/model/nvme_due.c test/model/nvme_reservation.c test/model/reservation.c test/model/msix.c test/model/medium.c test/guest/stamp.c igvm/crc32.c */
/*
 * A controller whose power fails: what was flushed, or written with FUA, is
 * there afterwards, and nothing else that was written since. Each command on its
 * own; and 20 cuts in a run of stamped blocks, whose checker has to find all
 * that was acknowledged as durable.
 */
#include <stdio.h>

#include "model_nvme_driver.h"
#include "test/guest/stamp.h"
#include "test/model/nvme_fault.h"

#define CUTS 20u
#define ROUND 200u /* operations between two cuts */
#define STAMPED 256u

static uint64_t lost; /* blocks, by the model's count */

static int with_cache(void **state)
{
	return setup(state) ? -1 : medium_cache(medium);
}

/* The next command finds no power; then it comes back, and a driver begins
 * anew. */
static void cut(void)
{
	const struct nvme_fault fault = { .name = "power-cut",
					  .given = NVME_FAULT_DELAY,
					  .delay_ms = 1 };

	assert_null(nvme_fault_set(nvme, &fault));
	push(1, rw(NVME_READ, 0, 1, 0, 0));
	ring_sq(1);
	for (time_t end = time(NULL) + 10; reg(NVME_REG_CC) & 1 ||
	     reg(NVME_REG_CSTS);) {
		assert_true(time(NULL) < end);
		usleep(500);
	}
	lost += counters().blocks_lost;
	nvme_destroy(nvme);
	start(7, true, false);
}

static void put(uint64_t lba, uint8_t byte, uint32_t flags)
{
	struct nvme_command cmd = rw(NVME_WRITE, lba, 1, SCRATCH, 0);

	memset(ram + SCRATCH, byte, 512);
	cmd.cdw12 = cpu_to_le32(le32_to_cpu(cmd.cdw12) | flags);
	assert_int_equal(run(1, cmd), 0);
}

static void command(uint8_t opcode)
{
	assert_int_equal(run(1, (struct nvme_command){
		.opcode = opcode, .nsid = cpu_to_le32(1) }), 0);
}

/* As the host reads it. */
static uint8_t get(uint64_t lba)
{
	assert_int_equal(run(1, rw(NVME_READ, lba, 1, SCRATCH, 0)), 0);
	for (unsigned int i = 1; i < 512; i++)
		assert_int_equal(ram[SCRATCH + i], ram[SCRATCH]);
	return ram[SCRATCH];
}

static void what_is_not_flushed_is_lost(void **state)
{
	(void)state;
	start(7, true, false);
	put(1, 0x11, 0);
	assert_int_equal(get(1), 0x11);
	cut();
	assert_int_equal(get(1), 0);
	put(1, 0x22, 0);
	command(NVME_FLUSH);
	put(1, 0x33, 0);
	put(2, 0x44, 0);
	assert_int_equal(get(1), 0x33);
	cut();
	assert_int_equal(get(1), 0x22);
	assert_int_equal(get(2), 0);
}

/* FUA is about its own blocks, and about no other. */
static void fua_is_durable_alone(void **state)
{
	(void)state;
	start(7, true, false);
	put(1, 0x11, 0);
	put(2, 0x22, NVME_RW_FUA);
	put(3, 0x33, 0);
	cut();
	assert_int_equal(get(1), 0);
	assert_int_equal(get(2), 0x22);
	assert_int_equal(get(3), 0);
	/* Behind a write that was lost, and in front of one that is. */
	put(2, 0x44, 0);
	put(2, 0x55, NVME_RW_FUA);
	put(2, 0x66, 0);
	cut();
	assert_int_equal(get(2), 0x55);
}

static void zeroes_and_discards_are_writes(void **state)
{
	struct nvme_command zero = { .opcode = NVME_WRITE_ZEROES,
				     .nsid = cpu_to_le32(1),
				     .cdw10 = cpu_to_le32(1),
				     .cdw12 = cpu_to_le32(1) };

	(void)state;
	start(7, true, false);
	put(1, 0x11, 0);
	put(2, 0x22, 0);
	command(NVME_FLUSH);
	assert_int_equal(run(1, zero), 0);
	assert_int_equal(get(1), 0);
	cut();
	assert_int_equal(get(1), 0x11);
	zero.cdw12 = cpu_to_le32(1 | NVME_RW_FUA);
	assert_int_equal(run(1, zero), 0);
	cut();
	assert_int_equal(get(1), 0);
	assert_int_equal(get(2), 0);
}

/* Without the cache that Set Features switches, all is durable at once. */
static void no_cache_loses_nothing(void **state)
{
	(void)state;
	start(7, true, false);
	assert_int_equal(run(0, (struct nvme_command){
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = cpu_to_le32(NVME_FEATURE_WRITE_CACHE) }), 0);
	put(1, 0x11, 0);
	cut();
	assert_int_equal(get(1), 0x11);
}

/* Data in pieces that end inside of blocks. */
static void ragged_pieces(void **state)
{
	(void)state;
	start(7, true, false);
	for (uint64_t lba = 0; lba < 32; lba++)
		put(lba, (uint8_t)(lba + 1), 0);
	command(NVME_FLUSH);
	fill(SCRATCH + 4, 9 * 512, 3);
	/* The first page of data has 4092 bytes, 4 short of a block. */
	assert_int_equal(run(1, (struct nvme_command){
		.opcode = NVME_WRITE, .nsid = cpu_to_le32(1),
		.prp1 = cpu_to_le64(SCRATCH + 4),
		.prp2 = cpu_to_le64(SCRATCH + PAGE),
		.cdw10 = cpu_to_le32(8),
		.cdw12 = cpu_to_le32(8 | NVME_RW_FUA) }), 0);
	cut();
	memset(ram, 0, 2 * PAGE);
	assert_int_equal(run(1, rw(NVME_READ, 8, 9, 0, PAGE)), 0);
	assert_memory_equal(ram, ram + SCRATCH + 4, 9 * 512);
	assert_int_equal(get(7), 8);
	assert_int_equal(get(17), 18);
}

/* ---- stamped blocks ---- */

static struct stamp_book book;
static uint32_t seed = 1;

static uint32_t next(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* Each block's writes that nothing has made durable yet. */
static uint32_t pending[STAMPED];

static void settle(uint64_t lba)
{
	if (pending[lba])
		stamp_written(&book, lba, true);
	pending[lba] = 0;
}

static void one_operation(void)
{
	uint64_t lba = next(STAMPED);
	uint32_t what = next(100);
	struct nvme_command cmd = rw(NVME_WRITE, lba, 1, SCRATCH, 0);

	if (what < 2) {
		command(NVME_FLUSH);
		for (lba = 0; lba < STAMPED; lba++)
			settle(lba);
		return;
	}
	stamp_write(&book, lba, ram + SCRATCH);
	if (what < 30)
		cmd.cdw12 = cpu_to_le32(NVME_RW_FUA);
	assert_int_equal(run(1, cmd), 0);
	pending[lba]++;
	if (what < 30)
		settle(lba);
	else
		stamp_written(&book, lba, false); /* durable only perhaps */
}

static void acknowledged_stays(void **state)
{
	(void)state;
	start(7, true, false);
	lost = 0;
	assert_int_equal(stamp_open(&book, 0, STAMPED, 512, 9), 0);
	for (unsigned int i = 0; i < CUTS; i++) {
		for (unsigned int n = 0; n < ROUND; n++)
			one_operation();
		cut();
		for (uint64_t lba = 0; lba < STAMPED; lba++) {
			assert_int_equal(run(1, rw(NVME_READ, lba, 1, SCRATCH,
						   0)), 0);
			stamp_read(&book, lba, ram + SCRATCH, NULL);
		}
		memset(pending, 0, sizeof(pending));
	}
	printf("%llu blocks lost what was not durable; ",
	       (unsigned long long)lost);
	stamp_print(&book, stdout);
	assert_true(lost > 10 * CUTS);
	assert_int_equal(stamp_bad(&book), 0);
	stamp_close(&book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CACHED(name) cmocka_unit_test_setup_teardown(name, with_cache, teardown)
		CACHED(what_is_not_flushed_is_lost),
		CACHED(fua_is_durable_alone),
		CACHED(zeroes_and_discards_are_writes),
		CACHED(no_cache_loses_nothing),
		CACHED(ragged_pieces),
		CACHED(acknowledged_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
