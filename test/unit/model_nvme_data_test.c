/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/nvme_namespace.c test/model/nvme_fault.c test/model/nvme_due.c test/model/nvme_reservation.c test/model/reservation.c test/model/msix.c test/model/medium.c */
/* Data of the NVMe model: PRP lists and SGLs, right, wrong and outside. */
#include "model_nvme_driver.h"

/* ---- data ---- */

static void test_prp_shapes(void **state)
{
	static const struct {
		unsigned int blocks;
		uint64_t prp1;
	} shapes[] = {
		{ 1, 0 },	   { 1, 512 },	    { 1, PAGE - 4 },
		{ 8, 0 },	   { 8, 1024 },	    { 16, 0 },
		{ 16, 4 },	   { 17, 0 },	    { 64, PAGE - 512 },
		{ 1024, 0 },	   { 1024, 2048 },
	};

	(void)state;
	start(7, true, false);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		size_t len = shapes[i].blocks * 512ull;
		uint64_t from = 8 * PAGE + shapes[i].prp1;
		uint64_t to = from + 140 * PAGE, page = from & ~(PAGE - 1);
		le64 *list = (le64 *)(ram + LIST);
		size_t inside = from - page + len;
		struct nvme_command cmd;

		for (unsigned int k = 1; k * PAGE < inside; k++)
			list[k - 1] = cpu_to_le64(page + k * PAGE);
		fill(from, len, i);
		cmd = rw(NVME_WRITE, 16, shapes[i].blocks, from,
			 inside > 2 * PAGE ? LIST : page + PAGE);
		assert_int_equal(run(1, cmd), 0);

		page += 140 * PAGE;
		for (unsigned int k = 1; k * PAGE < inside; k++)
			list[k - 1] = cpu_to_le64(page + k * PAGE);
		memset(ram + to, 0xee, len);
		cmd = rw(NVME_READ, 16, shapes[i].blocks, to,
			 inside > 2 * PAGE ? LIST : page + PAGE);
		/* The second read is outside of what is the guest's. */
		if (to + len <= GUEST_PAGES * PAGE)
			assert_int_equal(run(1, cmd), 0);
		else
			assert_int_equal(run(2, cmd), 0);
		assert_memory_equal(ram + from, ram + to, len);
	}
}

static void test_chained_list(void **state)
{
	const unsigned int pages = 200;
	le64 *list = (le64 *)(ram + LIST + PAGE - 64);
	le64 *second = (le64 *)(ram + LIST + PAGE);

	(void)state;
	start(NVME_MAX_MDTS, true, false);
	/* 7 pages in the first list, then a pointer, then the rest. */
	for (unsigned int i = 1; i < pages; i++) {
		le64 page = cpu_to_le64((pages - i) * PAGE);

		if (i <= 7)
			list[i - 1] = page;
		else
			second[i - 8] = page;
	}
	list[7] = cpu_to_le64(LIST + PAGE);
	fill(0, (pages + 1) * PAGE, 3);
	assert_int_equal(run(1, rw(NVME_WRITE, 0, pages * 8, pages * PAGE,
				   LIST + PAGE - 64)), 0);
	assert_int_equal(counters().pieces, pages);
	/* Backwards: the first block of the disk is from the last page. */
	assert_int_equal(run(1, rw(NVME_READ, 0, 8, SCRATCH, 0)), 0);
	assert_memory_equal(ram + SCRATCH, ram + pages * PAGE, PAGE);
	assert_int_equal(run(1, rw(NVME_READ, (pages - 1) * 8, 8, SCRATCH, 0)),
			 0);
	assert_memory_equal(ram + SCRATCH, ram + PAGE, PAGE);

	list[7] = cpu_to_le64(LIST + PAGE + 8);
	assert_int_equal(run(1, rw(NVME_READ, 0, pages * 8, 0,
				   LIST + PAGE - 64)),
			 NVME_PRP_OFFSET_INVALID);
}

static void test_prp_mistakes(void **state)
{
	le64 *list = (le64 *)(ram + LIST);

	(void)state;
	start(7, true, false);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 2, 0)),
			 NVME_PRP_OFFSET_INVALID);
	assert_int_equal(run(1, rw(NVME_READ, 0, 16, 0, PAGE + 512)),
			 NVME_PRP_OFFSET_INVALID);
	assert_int_equal(run(1, rw(NVME_READ, 0, 24, 0, LIST + 4)),
			 NVME_PRP_OFFSET_INVALID);
	list[0] = cpu_to_le64(PAGE);
	list[1] = cpu_to_le64(PAGE + 8);
	assert_int_equal(run(1, rw(NVME_READ, 0, 24, 0, LIST)),
			 NVME_PRP_OFFSET_INVALID);
	list[1] = cpu_to_le64(RAM_PAGES * PAGE);
	assert_int_equal(run(1, rw(NVME_READ, 0, 24, 0, LIST)),
			 NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, UINT64_MAX - 3, 0)),
			 NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(counters().reads, 0);
	assert_int_equal(counters().bytes_read, 0);
	assert_int_equal(counters().bad_dma, 2);
}

static struct nvme_sgl_descriptor sgl(unsigned int type, uint64_t address,
				      uint32_t length)
{
	return (struct nvme_sgl_descriptor){ .address = cpu_to_le64(address),
					     .length = cpu_to_le32(length),
					     .type = (uint8_t)type };
}

static unsigned int run_sgl(uint8_t opcode, unsigned int blocks,
			    struct nvme_sgl_descriptor first)
{
	struct nvme_command cmd = rw(opcode, 0, blocks, 0, 0);

	cmd.flags = 0x40;
	cmd.sgl = first;
	return run(1, cmd);
}

static void test_sgl(void **state)
{
	struct nvme_sgl_descriptor *at = (void *)(ram + LIST);

	(void)state;
	start(7, true, false);
	fill(0, 16 * PAGE, 1);
	assert_int_equal(run_sgl(NVME_WRITE, 2, sgl(0, 100, 1024)), 0);
	/* Odd pieces in two segments, with an empty one among them. */
	at[0] = sgl(NVME_SGL_DATA_BLOCK, 200 * PAGE + 1, 3);
	at[1] = sgl(NVME_SGL_DATA_BLOCK, 0, 0);
	at[2] = sgl(NVME_SGL_LAST_SEGMENT, LIST + PAGE, 32);
	at = (void *)(ram + LIST + PAGE);
	at[0] = sgl(NVME_SGL_DATA_BLOCK, 200 * PAGE + 4, 509);
	at[1] = sgl(NVME_SGL_DATA_BLOCK, 200 * PAGE + 513, 512);
	assert_int_equal(run_sgl(NVME_READ, 2,
				 sgl(NVME_SGL_SEGMENT, LIST, 48)), 0);
	assert_memory_equal(ram + 200 * PAGE + 1, ram + 100, 1024);
	assert_int_equal(counters().pieces, 4);
	assert_int_equal(counters().sgl_commands, 2);
}

static void test_sgl_mistakes(void **state)
{
	struct nvme_sgl_descriptor *at = (void *)(ram + LIST);
	struct nvme_sgl_descriptor segment = sgl(NVME_SGL_LAST_SEGMENT, LIST,
						 32);

	(void)state;
	start(7, true, false);
	assert_int_equal(run_sgl(NVME_READ, 2, sgl(0, 0, 512)),
			 NVME_SGL_LENGTH_INVALID);
	assert_int_equal(run_sgl(NVME_READ, 2, sgl(0, 0, 2048)),
			 NVME_SGL_LENGTH_INVALID);
	assert_int_equal(run_sgl(NVME_READ, 2, sgl(0x10, 0, 1024)),
			 NVME_SGL_TYPE_INVALID);
	assert_int_equal(run_sgl(NVME_READ, 2,
				 sgl(NVME_SGL_SEGMENT, LIST, 40)),
			 NVME_INVALID_SGL_SEGMENT);
	assert_int_equal(run_sgl(NVME_READ, 2,
				 sgl(NVME_SGL_SEGMENT, 1ull << 50, 32)),
			 NVME_DATA_TRANSFER_ERROR);
	/* A segment that is not the last must end with another one. */
	at[0] = at[1] = sgl(NVME_SGL_DATA_BLOCK, 0, 512);
	assert_int_equal(run_sgl(NVME_READ, 2,
				 sgl(NVME_SGL_SEGMENT, LIST, 32)),
			 NVME_INVALID_SGL_SEGMENT);
	assert_int_equal(run_sgl(NVME_READ, 2, segment), 0);
	/* A loop ends. */
	at[0] = sgl(NVME_SGL_DATA_BLOCK, 0, 0);
	at[1] = sgl(NVME_SGL_SEGMENT, LIST, 32);
	assert_int_equal(run_sgl(NVME_READ, 2,
				 sgl(NVME_SGL_SEGMENT, LIST, 32)),
			 NVME_INVALID_SGL_COUNT);
	assert_int_equal(run_sgl(NVME_READ, 2, segment),
			 NVME_INVALID_SGL_SEGMENT);
	assert_int_equal(counters().reads, 1);
}

static void test_without_sgl(void **state)
{
	struct nvme_command cmd;

	(void)state;
	start(7, false, false);
	assert_int_equal(run_sgl(NVME_READ, 2, sgl(0, 0, 1024)),
			 NVME_INVALID_FIELD);
	cmd = (struct nvme_command){ .opcode = NVME_ADMIN_IDENTIFY,
				     .prp1 = cpu_to_le64(SCRATCH),
				     .cdw10 = cpu_to_le32(1) };
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(*(uint32_t *)(ram + SCRATCH + 536), 0);
}

static void test_outside_is_counted(void **state)
{
	struct nvme_counters now;

	(void)state;
	start(7, true, false);
	assert_int_equal(run(1, rw(NVME_READ, 0, 16, (GUEST_PAGES - 1) * PAGE,
				   GUEST_PAGES * PAGE)), 0);
	now = counters();
	assert_int_equal(now.pieces, 2);
	assert_int_equal(now.pieces_outside, 1);
	assert_int_equal(now.bytes_outside, PAGE);
	assert_int_equal(now.bytes_read, 2 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_prp_shapes),
		TEST(test_chained_list),
		TEST(test_prp_mistakes),
		TEST(test_sgl),
		TEST(test_sgl_mistakes),
		TEST(test_without_sgl),
		TEST(test_outside_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
