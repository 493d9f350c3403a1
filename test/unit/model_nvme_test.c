/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/nvme_namespace.c test/model/nvme_fault.c test/model/nvme_due.c test/model/nvme_reservation.c test/model/reservation.c test/model/msix.c test/model/medium.c */
/*
 * A driver of a few lines against the NVMe model: the controller's thread runs
 * as it does in vmm, and memory is a small array of pages, the lower half of
 * which counts as VTL0's.
 */

#include "model_nvme_driver.h"

/* ---- state ---- */

static void test_registers(void **state)
{
	(void)state;
	start(7, true, false);
	assert_int_equal(reg(NVME_REG_VS), 0x20000);
	assert_int_equal(f->ops->read(f, NVME_REG_CAP, 8) & 0xffff, 1023);
	assert_int_equal(f->ops->read(f, NVME_REG_ASQ, 8), ASQ);
	/* Not while enabled. */
	set(NVME_REG_ASQ, 0);
	assert_int_equal(f->ops->read(f, NVME_REG_ASQ, 8), ASQ);
	/* Bytes are not registers. */
	assert_int_equal(f->ops->read(f, NVME_REG_VS, 1), 0);
}

static void test_disable_forgets_queues(void **state)
{
	(void)state;
	start(7, true, false);
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_RDY, 0);
	/* A doorbell rung in between is not remembered. */
	set(NVME_REG_DOORBELLS, 5);
	configure();
	wait_csts(NVME_CSTS_RDY, NVME_CSTS_RDY);
	create_queues();
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)), 0);
	assert_int_equal(counters().resets, 1);
}

static void test_bad_settings_are_fatal(void **state)
{
	(void)state;
	start(7, true, false);
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_RDY, 0);
	set(NVME_REG_ACQ + 4, 0x100); /* not RAM */
	set(NVME_REG_CC, NVME_CC_EN);
	wait_csts(NVME_CSTS_CFS, NVME_CSTS_CFS);
	assert_false(reg(NVME_REG_CSTS) & NVME_CSTS_RDY);
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_CFS, 0);
	configure();
	wait_csts(NVME_CSTS_RDY, NVME_CSTS_RDY);
}

static void test_shutdown(void **state)
{
	(void)state;
	start(7, true, false);
	set(NVME_REG_CC, reg(NVME_REG_CC) | 1 << 14);
	wait_csts(NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
}

static void test_bus_reset(void **state)
{
	(void)state;
	start(7, true, false);
	f->ops->reset(f);
	assert_int_equal(reg(NVME_REG_CSTS), 0);
	assert_int_equal(reg(NVME_REG_CC), 0);
	assert_int_equal(f->ops->read(f, NVME_REG_ASQ, 8), 0);
	assert_int_equal(f->ops->read(f, f->msix_table + 12, 4), 1);
}

/* ---- queues ---- */

static void test_queue_mistakes(void **state)
{
	struct nvme_command cmd;

	(void)state;
	start(7, true, false);
	cmd = create(NVME_ADMIN_CREATE_CQ, QUEUES + 1, CQ(1), 1);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_ID);
	cmd = create(NVME_ADMIN_CREATE_CQ, 1, CQ(1), 1);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_ID);
	cmd = (struct nvme_command){ .opcode = NVME_ADMIN_DELETE_CQ,
				     .cdw10 = cpu_to_le32(2) };
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_DELETION);
	cmd.opcode = NVME_ADMIN_DELETE_SQ;
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_ID);
	cmd.opcode = NVME_ADMIN_DELETE_CQ;
	assert_int_equal(run(0, cmd), 0);

	cmd = create(NVME_ADMIN_CREATE_CQ, 2, CQ(2), QUEUES + 1);
	assert_int_equal(run(0, cmd), NVME_INVALID_VECTOR);
	cmd = create(NVME_ADMIN_CREATE_CQ, 2, CQ(2) + 512, 2);
	assert_int_equal(run(0, cmd), NVME_PRP_OFFSET_INVALID);
	cmd = create(NVME_ADMIN_CREATE_CQ, 2, 1ull << 40, 2);
	assert_int_equal(run(0, cmd), NVME_DATA_TRANSFER_ERROR);
	cmd = create(NVME_ADMIN_CREATE_CQ, 2, CQ(2), 2);
	cmd.cdw10 = cpu_to_le32(2);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_SIZE);
	cmd = create(NVME_ADMIN_CREATE_SQ, 2, SQ(2), 2);
	assert_int_equal(run(0, cmd), NVME_COMPLETION_QUEUE_INVALID);
	cmd = create(NVME_ADMIN_CREATE_SQ, 0xffff, SQ(2), 1);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_ID);
}

static void test_full_completion_queue_holds_back(void **state)
{
	unsigned int done = 0;

	(void)state;
	start(7, true, false);
	/* The completion queue takes ENTRIES - 1; the rest waits. */
	for (unsigned int i = 0; i < ENTRIES - 1; i++)
		push(1, rw(NVME_READ, i, 1, 0, 0));
	ring_sq(1);
	for (; done < ENTRIES - 1; done++)
		wait_pop(1);
	for (unsigned int i = 0; i < ENTRIES - 1; i++)
		push(1, rw(NVME_READ, i, 1, 0, 0));
	ring_sq(1);
	assert_int_equal(run(2, rw(NVME_READ, 0, 1, 0, 0)), 0);
	assert_false(pop(1));
	ring_cq(1);
	for (; done < 2 * (ENTRIES - 1); done++)
		wait_pop(1);
	assert_int_equal(counters().reads, done + 1);
}

static void test_interrupt_each(void **state)
{
	(void)state;
	start(7, true, false);
	for (unsigned int i = 0; i < 5; i++)
		push(2, rw(NVME_READ, i, 1, 0, 0));
	ring_sq(2);
	for (unsigned int i = 0; i < 5; i++)
		wait_pop(2);
	ring_cq(2);
	/* The message comes after the entry: flush the thread out. */
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)), 0);
	assert_int_equal(messages[2], 5);
}

static void test_masked_vector_waits(void **state)
{
	unsigned int before;

	(void)state;
	start(7, true, false);
	before = messages[1];
	f->ops->write(f, f->msix_table + 16 + 12, 4, MSIX_ENTRY_MASKED);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)), 0);
	assert_int_equal(run(2, rw(NVME_READ, 0, 1, 0, 0)), 0);
	assert_int_equal(messages[1], before);
	assert_int_equal(f->ops->read(f, f->msix_pending, 8), 2);
	f->ops->write(f, f->msix_table + 16 + 12, 4, 0);
	assert_int_equal(messages[1], before + 1);
	assert_int_equal(f->ops->read(f, f->msix_pending, 8), 0);
}

static void test_bad_doorbell_is_an_event(void **state)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_ASYNC_EVENT };

	(void)state;
	start(7, true, false);
	push(0, cmd);
	ring_sq(0);
	set(NVME_REG_DOORBELLS + 8, ENTRIES);
	wait_pop(0);
	ring_cq(0);
	assert_int_equal(le32_to_cpu(last.dw0), 0x010100);
	/* The second is told only when the log was read. */
	push(0, cmd);
	ring_sq(0);
	set(NVME_REG_DOORBELLS + 8 * 40, 1);
	cmd = (struct nvme_command){ .opcode = NVME_ADMIN_GET_LOG_PAGE,
				     .prp1 = cpu_to_le64(SCRATCH),
				     .cdw10 = cpu_to_le32(15 << 16 | 1) };
	assert_int_equal(run(0, cmd), 0);
	set(NVME_REG_DOORBELLS + 8 * 40, 1);
	wait_pop(0);
	ring_cq(0);
	assert_int_equal(le32_to_cpu(last.dw0), 0x010000);
	assert_int_equal(counters().errors, 3);
}

/* ---- commands ---- */

static void test_range_and_size(void **state)
{
	(void)state;
	start(1, true, false);
	assert_int_equal(run(1, rw(NVME_READ, BLOCKS - 1, 1, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_READ, BLOCKS - 1, 2, 0, 0)),
			 NVME_LBA_OUT_OF_RANGE);
	assert_int_equal(run(1, rw(NVME_READ, UINT64_MAX, 1, 0, 0)),
			 NVME_LBA_OUT_OF_RANGE);
	assert_int_equal(run(1, rw(NVME_READ, 0, 17, 0, LIST)),
			 NVME_INVALID_FIELD);
	assert_int_equal(run(1, rw(0x7f, 0, 1, 0, 0)), NVME_INVALID_OPCODE);
}

static void test_namespace_and_fuse(void **state)
{
	struct nvme_command cmd = rw(NVME_READ, 0, 1, 0, 0);

	(void)state;
	start(7, true, false);
	cmd.nsid = cpu_to_le32(2); /* there could be one */
	assert_int_equal(run(1, cmd), NVME_INVALID_FIELD);
	cmd.nsid = cpu_to_le32(0);
	assert_int_equal(run(1, cmd), NVME_INVALID_NAMESPACE);
	cmd.nsid = cpu_to_le32(NVME_MAX_NAMESPACES + 1);
	assert_int_equal(run(1, cmd), NVME_INVALID_NAMESPACE);
	cmd.nsid = cpu_to_le32(NVME_NSID_ALL);
	assert_int_equal(run(1, cmd), NVME_INVALID_NAMESPACE);
	cmd.opcode = NVME_FLUSH;
	assert_int_equal(run(1, cmd), 0);
	cmd.flags = 1;
	assert_int_equal(run(1, cmd), NVME_INVALID_FIELD);
	assert_int_equal(counters().flushes, 1);
}

static void test_zero_discard_compare(void **state)
{
	struct nvme_dsm_range *range = (void *)(ram + SCRATCH);
	struct nvme_command cmd;

	(void)state;
	start(7, true, false);
	fill(0, 16 * PAGE, 9);
	assert_int_equal(run(1, rw(NVME_WRITE, 0, 8, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_COMPARE, 0, 8, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_VERIFY, 0, 8, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_WRITE_ZEROES, 2, 1, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_COMPARE, 0, 8, 0, 0)),
			 NVME_COMPARE_FAILURE);
	memset(ram + 1024, 0, 512);
	assert_int_equal(run(1, rw(NVME_COMPARE, 0, 8, 0, 0)), 0);

	range[0] = (struct nvme_dsm_range){ .lba = cpu_to_le64(4),
					    .blocks = cpu_to_le32(2) };
	range[1] = (struct nvme_dsm_range){ .lba = cpu_to_le64(BLOCKS),
					    .blocks = cpu_to_le32(1) };
	cmd = rw(NVME_DSM, 1, 1, SCRATCH, 0);
	cmd.cdw11 = cpu_to_le32(NVME_DSM_DEALLOCATE);
	assert_int_equal(run(1, cmd), NVME_LBA_OUT_OF_RANGE);
	assert_int_equal(run(1, rw(NVME_COMPARE, 0, 8, 0, 0)), 0);
	cmd.cdw10 = cpu_to_le32(0);
	assert_int_equal(run(1, cmd), 0);
	memset(ram + 2048, 0, 1024);
	assert_int_equal(run(1, rw(NVME_COMPARE, 0, 8, 0, 0)), 0);
	/* The list of ranges is not data of the guest. */
	assert_int_equal(counters().pieces_outside, 0);
}

static void test_read_only(void **state)
{
	struct nvme_command cmd;

	(void)state;
	start(7, true, true);
	assert_int_equal(run(1, rw(NVME_WRITE, 0, 1, 0, 0)),
			 NVME_WRITE_PROTECTED);
	assert_int_equal(run(1, rw(NVME_WRITE_ZEROES, 0, 1, 0, 0)),
			 NVME_WRITE_PROTECTED);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)), 0);
	cmd = (struct nvme_command){ .opcode = NVME_ADMIN_IDENTIFY,
				     .nsid = cpu_to_le32(1),
				     .prp1 = cpu_to_le64(SCRATCH) };
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(ram[SCRATCH + 99], 1);
}

static void test_identify(void **state)
{
	struct nvme_identify_controller *id = (void *)(ram + SCRATCH + 16);
	struct nvme_command cmd = { .opcode = NVME_ADMIN_IDENTIFY,
				    .prp1 = cpu_to_le64(SCRATCH + 16),
				    .prp2 = cpu_to_le64(SCRATCH + PAGE),
				    .cdw10 = cpu_to_le32(1) };

	(void)state;
	start(5, true, false);
	assert_int_equal(run(0, cmd), 0);
	assert_memory_equal(id->sn, "SERIAL              ", 20);
	assert_int_equal(id->mdts, 5);
	assert_int_equal(le32_to_cpu(id->sgls) & 3, 1);
	assert_int_equal(id->sqes, 0x66);
	assert_memory_equal(id->subnqn, "nqn.2014-08.org.nvmexpress:uuid:ab",
			    34);
	assert_int_equal(le32_to_cpu(id->nn), NVME_MAX_NAMESPACES);
	cmd.nsid = cpu_to_le32(2); /* all zeros: there could be one */
	cmd.cdw10 = cpu_to_le32(NVME_CNS_NAMESPACE);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(*(uint64_t *)(ram + SCRATCH + 16), 0);
	cmd.nsid = cpu_to_le32(NVME_MAX_NAMESPACES + 1);
	assert_int_equal(run(0, cmd), NVME_INVALID_NAMESPACE);
	cmd.nsid = cpu_to_le32(1);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(*(uint64_t *)(ram + SCRATCH + 16), BLOCKS);
	cmd.nsid = cpu_to_le32(0);
	cmd.cdw10 = cpu_to_le32(NVME_CNS_ACTIVE_LIST);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(*(uint64_t *)(ram + SCRATCH + 16), 1);
	cmd.cdw10 = cpu_to_le32(0x1c);
	assert_int_equal(run(0, cmd), NVME_INVALID_FIELD);
}

static void test_features(void **state)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_SET_FEATURES,
				    .cdw10 = cpu_to_le32(NVME_FEATURE_QUEUES),
				    .cdw11 = cpu_to_le32(0x70007) };

	(void)state;
	start(7, true, false);
	assert_int_equal(run(0, cmd), NVME_COMMAND_SEQUENCE);
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_RDY, 0);
	configure();
	wait_csts(NVME_CSTS_RDY, NVME_CSTS_RDY);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(le32_to_cpu(last.dw0), 0x10001);

	cmd.cdw10 = cpu_to_le32(NVME_FEATURE_WRITE_CACHE);
	cmd.cdw11 = cpu_to_le32(2);
	assert_int_equal(run(0, cmd), NVME_INVALID_FIELD);
	cmd.cdw11 = cpu_to_le32(0);
	assert_int_equal(run(0, cmd), 0);
	cmd.opcode = NVME_ADMIN_GET_FEATURES;
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(le32_to_cpu(last.dw0), 0);
	cmd.cdw10 = cpu_to_le32(NVME_FEATURE_WRITE_CACHE | 1 << 8);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(le32_to_cpu(last.dw0), 1);
	cmd.cdw10 = cpu_to_le32(0x7f);
	assert_int_equal(run(0, cmd), NVME_INVALID_FIELD);
}

static void test_logs(void **state)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_GET_LOG_PAGE,
				    .prp1 = cpu_to_le64(SCRATCH),
				    .cdw10 = cpu_to_le32(1023 << 16 | 5) };

	(void)state;
	start(7, true, false);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(*(uint32_t *)(ram + SCRATCH + 1024 + 4), 3);
	/* From the middle, and no further than the log's end. */
	memset(ram + SCRATCH, 0xee, 2 * PAGE);
	cmd.cdw10 = cpu_to_le32(1023 << 16 | NVME_LOG_SMART);
	cmd.cdw12 = cpu_to_le32(508);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(ram[SCRATCH + 3], 0);
	assert_int_equal(ram[SCRATCH + 4], 0xee);
	cmd.cdw12 = cpu_to_le32(516);
	assert_int_equal(run(0, cmd), NVME_INVALID_FIELD);
	cmd.cdw10 = cpu_to_le32(0x70);
	assert_int_equal(run(0, cmd), NVME_INVALID_LOG_PAGE);
}

static void test_event_limit(void **state)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_ASYNC_EVENT };

	(void)state;
	start(7, true, false);
	for (unsigned int i = 0; i < 4; i++)
		push(0, cmd);
	assert_int_equal(run(0, cmd), NVME_ASYNC_EVENT_LIMIT);
}

/* ---- a file ---- */

static void test_file(void **state)
{
	char path[] = "/tmp/model_nvme_XXXXXX";
	int fd = mkstemp(path);
	struct medium *second;
	char block[512], back[512];
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	medium_close(medium);
	medium = NULL;
	assert_int_equal(medium_file(path, false, &medium), -EINVAL);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(medium_file(path, false, &medium), -EINVAL);
	assert_int_equal(ftruncate(fd, BLOCKS * 512), 0);
	assert_int_equal(medium_file(path, false, &medium), 0);
	assert_int_equal(medium_file(path, true, &second), -EBUSY);
	start(7, true, false);
	fill(0, 2 * PAGE, 5);
	assert_int_equal(run(1, rw(NVME_WRITE, 7, 16, 0, PAGE)), 0);
	assert_int_equal(pread(fd, back, 512, 8 * 512), 512);
	assert_memory_equal(back, ram + 512, 512);
	assert_int_equal(run(1, rw(NVME_WRITE_ZEROES, 8, 1, 0, 0)), 0);
	memset(block, 0, sizeof(block));
	assert_int_equal(pread(fd, back, 512, 8 * 512), 512);
	assert_memory_equal(back, block, 512);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, BLOCKS * 512);
	assert_int_equal(medium_file("/nonexistent", false, &second), -ENOENT);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_disable_forgets_queues),
		TEST(test_bad_settings_are_fatal),
		TEST(test_shutdown),
		TEST(test_bus_reset),
		TEST(test_queue_mistakes),
		TEST(test_full_completion_queue_holds_back),
		TEST(test_interrupt_each),
		TEST(test_masked_vector_waits),
		TEST(test_bad_doorbell_is_an_event),
		TEST(test_range_and_size),
		TEST(test_namespace_and_fuse),
		TEST(test_zero_discard_compare),
		TEST(test_read_only),
		TEST(test_identify),
		TEST(test_features),
		TEST(test_logs),
		TEST(test_event_limit),
		TEST(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
