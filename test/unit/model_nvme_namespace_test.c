/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/nvme_namespace.c test/model/nvme_fault.c test/model/nvme_due.c test/model/nvme_reservation.c test/model/reservation.c test/model/msix.c test/model/medium.c */
/* Namespaces of the NVMe model: several, of all block sizes, coming and going. */
#include "model_nvme_driver.h"

static struct medium *other;

static int remove_other(void **state)
{
	int err = teardown(state);

	medium_close(other);
	other = NULL;
	return err;
}

#define MEDIA(name) cmocka_unit_test_setup_teardown(name, setup, remove_other)

static struct nvme_namespace_config second(void)
{
	if (!other)
		assert_int_equal(medium_memory(1 << 20, &other), 0);
	return (struct nvme_namespace_config){ .medium = other,
					       .nguid = { 0x22 } };
}

static struct nvme_command on(uint32_t nsid, struct nvme_command cmd)
{
	cmd.nsid = cpu_to_le32(nsid);
	return cmd;
}

static unsigned int identify(uint8_t cns, uint32_t nsid)
{
	memset(ram + SCRATCH, 0xee, PAGE);
	return run(0, (struct nvme_command){ .opcode = NVME_ADMIN_IDENTIFY,
					     .nsid = cpu_to_le32(nsid),
					     .prp1 = cpu_to_le64(SCRATCH),
					     .cdw10 = cpu_to_le32(cns) });
}

static uint32_t word(unsigned int offset)
{
	uint32_t v;

	memcpy(&v, ram + SCRATCH + offset, sizeof(v));
	return v;
}

static uint16_t half(unsigned int offset)
{
	return (uint16_t)word(offset);
}

/* The log of changed namespaces, as bits. */
static unsigned int read_changed(void)
{
	unsigned int bits = 0;

	memset(ram + SCRATCH, 0, PAGE);
	assert_int_equal(run(0, (struct nvme_command){
			.opcode = NVME_ADMIN_GET_LOG_PAGE,
			.nsid = cpu_to_le32(NVME_NSID_ALL),
			.prp1 = cpu_to_le64(SCRATCH),
			.cdw10 = cpu_to_le32(1023 << 16 | 4) }), 0);
	for (unsigned int i = 0; i < 1024 && word(4 * i); i++)
		bits |= 1u << word(4 * i);
	return bits;
}

static void ask_for_events(void)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_SET_FEATURES,
				    .cdw10 = cpu_to_le32(0x0b),
				    .cdw11 = cpu_to_le32(1 << 8) };

	assert_int_equal(run(0, cmd), 0);
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	ring_sq(0);
}

static void wait_event(void)
{
	wait_pop(0);
	ring_cq(0);
	assert_int_equal(le32_to_cpu(last.dw0), 0x040002);
}

static void test_each_has_its_medium(void **state)
{
	struct nvme_namespace_config config = second();

	(void)state;
	start(7, true, false);
	assert_int_equal(nvme_namespace_attach(nvme, 5, &config), 0);
	fill(0, PAGE, 1);
	fill(PAGE, PAGE, 2);
	assert_int_equal(run(1, rw(NVME_WRITE, 0, 8, 0, 0)), 0);
	assert_int_equal(run(1, on(5, rw(NVME_WRITE, 0, 8, PAGE, 0))), 0);
	assert_int_equal(run(2, on(1, rw(NVME_COMPARE, 0, 8, 0, 0))), 0);
	assert_int_equal(run(2, on(5, rw(NVME_COMPARE, 0, 8, PAGE, 0))), 0);
	assert_int_equal(run(2, on(5, rw(NVME_COMPARE, 0, 8, 0, 0))),
			 NVME_COMPARE_FAILURE);
	assert_int_equal(identify(NVME_CNS_ACTIVE_LIST, 0), 0);
	assert_int_equal(word(0), 1);
	assert_int_equal(word(4), 5);
	assert_int_equal(word(8), 0);
	assert_int_equal(identify(NVME_CNS_ACTIVE_LIST, 1), 0);
	assert_int_equal(word(0), 5);
	assert_int_equal(identify(NVME_CNS_DESCRIPTORS, 5), 0);
	assert_int_equal(ram[SCRATCH + 4], 0x22);
	assert_int_equal(identify(NVME_CNS_DESCRIPTORS, 2),
			 NVME_INVALID_NAMESPACE);
}

static void test_mistakes(void **state)
{
	struct nvme_namespace_config config = second();

	(void)state;
	start(7, true, false);
	assert_int_equal(nvme_namespace_attach(nvme, 1, &config), -EEXIST);
	assert_int_equal(nvme_namespace_attach(nvme, 0, &config), -EINVAL);
	assert_int_equal(nvme_namespace_attach(nvme, 9, &config), -ENOSPC);
	assert_int_equal(nvme_namespace_detach(nvme, 2), -ENOENT);
	assert_int_equal(nvme_namespace_detach(nvme, 0), -ENOENT);
	assert_int_equal(nvme_namespace_resize(nvme, 2, 4096), -ENOENT);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 0), -EINVAL);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 1000), -EINVAL);
	config.block_size = 1024;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), -EINVAL);
	config.block_size = 4096;
	config.physical_block_size = 512;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), -EINVAL);
	config.physical_block_size = 12288;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), -EINVAL);
	config.physical_block_size = 1 << 17;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), -EINVAL);
	config.physical_block_size = 0;
	config.medium = NULL;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), -EINVAL);
	assert_int_equal(read_changed(), 0);
	assert_int_equal(medium_resize(other, 4096 + 512), 0);
	config.medium = other;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), -EINVAL);
	config.block_size = 512;
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), 0);
}

static void test_blocks_of_4096(void **state)
{
	struct nvme_namespace_config config = second();
	struct nvme_dsm_range *range = (void *)(ram + SCRATCH);
	struct nvme_command cmd;

	(void)state;
	config.block_size = 4096;
	config.read_only = false;
	start(7, true, false);
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), 0);
	assert_int_equal(identify(NVME_CNS_NAMESPACE, 2), 0);
	assert_int_equal(word(0), 256);
	assert_int_equal(ram[SCRATCH + 24], 0); /* NSFEAT */
	assert_int_equal(word(128), 12u << 16);
	fill(0, 4 * PAGE, 3);
	assert_int_equal(run(1, on(2, rw(NVME_WRITE, 254, 2, 0, PAGE))), 0);
	assert_int_equal(run(1, on(2, rw(NVME_WRITE, 255, 2, 0, PAGE))),
			 NVME_LBA_OUT_OF_RANGE);
	assert_int_equal(run(1, on(2, rw(NVME_READ, 254, 2, 2 * PAGE,
					 3 * PAGE))), 0);
	assert_memory_equal(ram, ram + 2 * PAGE, 2 * PAGE);
	/* Two ranges at once, then zeroes that deallocate. */
	range[0] = (struct nvme_dsm_range){ .lba = cpu_to_le64(255),
					    .blocks = cpu_to_le32(1) };
	range[1] = (struct nvme_dsm_range){ .lba = cpu_to_le64(0),
					    .blocks = cpu_to_le32(200) };
	cmd = on(2, rw(NVME_DSM, 1, 1, SCRATCH, 0));
	cmd.cdw11 = cpu_to_le32(NVME_DSM_DEALLOCATE);
	assert_int_equal(run(1, cmd), 0);
	memset(ram + PAGE, 0, PAGE);
	assert_int_equal(run(1, on(2, rw(NVME_COMPARE, 254, 2, 0, PAGE))), 0);
	cmd = on(2, rw(NVME_WRITE_ZEROES, 254, 1, 0, 0));
	cmd.cdw12 = cpu_to_le32(NVME_RW_DEAC);
	assert_int_equal(run(1, cmd), 0);
	memset(ram, 0, PAGE);
	assert_int_equal(run(1, on(2, rw(NVME_COMPARE, 254, 2, 0, PAGE))), 0);
	assert_int_equal(counters().discards, 1);
	assert_int_equal(counters().write_zeroes, 1);
}

static void test_blocks_of_512_on_4096(void **state)
{
	struct nvme_config config = { .medium = medium, .mdts = 7,
				      .io_queues = QUEUES, .serial = "S",
				      .physical_block_size = 4096 };

	(void)state;
	start_config(&config);
	assert_int_equal(identify(NVME_CNS_NAMESPACE, 1), 0);
	assert_int_equal(word(0), BLOCKS);
	assert_int_equal(ram[SCRATCH + 24], 1 << 1 | 1 << 4);
	assert_int_equal(ram[SCRATCH + 31], 0xff); /* RESCAP */
	assert_int_equal(ram[SCRATCH + 33], 9);	   /* DLFEAT */
	assert_int_equal(half(36), 7);		   /* NAWUPF */
	assert_int_equal(half(64), 7);		   /* NPWG */
	assert_int_equal(half(68), 7);		   /* NPDG */
	assert_int_equal(half(70), 7);		   /* NPDA */
	assert_int_equal(word(128), 9u << 16);
	nvme_destroy(nvme);
	config.block_size = 512;
	config.physical_block_size = 256;
	nvme = nvme_create(&config);
	assert_null(nvme);
	assert_int_equal(errno, EINVAL);
}

static void test_read_only_is_of_one(void **state)
{
	struct nvme_namespace_config config = second();

	(void)state;
	config.read_only = true;
	start(7, true, false);
	assert_int_equal(nvme_namespace_attach(nvme, 2, &config), 0);
	assert_int_equal(run(1, on(2, rw(NVME_WRITE, 0, 1, 0, 0))),
			 NVME_WRITE_PROTECTED);
	assert_int_equal(run(1, on(1, rw(NVME_WRITE, 0, 1, 0, 0))), 0);
	assert_int_equal(identify(NVME_CNS_NAMESPACE, 2), 0);
	assert_int_equal(ram[SCRATCH + 99], 1);
}

static void test_coming_and_going_is_told(void **state)
{
	struct nvme_namespace_config config = second();

	(void)state;
	start(7, true, false);
	ask_for_events();
	assert_int_equal(nvme_namespace_attach(nvme, 3, &config), 0);
	wait_event();
	/* Quiet until the log was read, which says all of it. */
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	ring_sq(0);
	assert_int_equal(nvme_namespace_detach(nvme, 1), 0);
	assert_false(pop(0));
	assert_int_equal(read_changed(), 1 << 1 | 1 << 3);
	assert_int_equal(read_changed(), 0);
	assert_int_equal(run(1, on(1, rw(NVME_READ, 0, 1, 0, 0))),
			 NVME_INVALID_FIELD);
	assert_int_equal(run(1, on(3, rw(NVME_READ, 0, 1, 0, 0))), 0);
	assert_int_equal(nvme_namespace_detach(nvme, 3), 0);
	wait_event();
	assert_int_equal(read_changed(), 1 << 3);
	assert_int_equal(identify(NVME_CNS_ACTIVE_LIST, 0), 0);
	assert_int_equal(word(0), 0);
	/* The other kind of event is not held up by this one. */
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	ring_sq(0);
	assert_int_equal(nvme_namespace_attach(nvme, 3, &config), 0);
	wait_event();
	set(NVME_REG_DOORBELLS + 8, ENTRIES);
	wait_pop(0);
	ring_cq(0);
	assert_int_equal(le32_to_cpu(last.dw0), 0x010100);
}

/* Who did not ask is told nothing, but finds it in the log. */
static void test_nobody_asked(void **state)
{
	struct nvme_namespace_config config = second();

	(void)state;
	start(7, true, false);
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	ring_sq(0);
	assert_int_equal(nvme_namespace_attach(nvme, 3, &config), 0);
	assert_false(pop(0));
	assert_int_equal(read_changed(), 1 << 3);
}

static void test_size_changes(void **state)
{
	(void)state;
	start(7, true, false);
	ask_for_events();
	fill(0, PAGE, 8);
	assert_int_equal(run(1, rw(NVME_WRITE, BLOCKS, 8, 0, 0)),
			 NVME_LBA_OUT_OF_RANGE);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 4ull << 30), 0);
	wait_event();
	assert_int_equal(read_changed(), 1 << 1);
	assert_int_equal(identify(NVME_CNS_NAMESPACE, 1), 0);
	assert_int_equal(word(0), 8 << 20);
	assert_int_equal(run(1, rw(NVME_WRITE, (8 << 20) - 8, 8, 0, 0)), 0);
	assert_int_equal(run(1, rw(NVME_WRITE, 0, 8, 0, 0)), 0);
	/* What was cut off comes back as zeros. */
	assert_int_equal(nvme_namespace_resize(nvme, 1, 2048), 0);
	assert_int_equal(run(1, rw(NVME_READ, 0, 5, 0, 0)),
			 NVME_LBA_OUT_OF_RANGE);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 1 << 20), 0);
	memset(ram + 2048, 0, 2048);
	assert_int_equal(run(1, rw(NVME_COMPARE, 0, 8, 0, 0)), 0);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 65ull << 30), -EINVAL);
}

static void test_files_change_their_size(void **state)
{
	char path[] = "/tmp/model_nvme_XXXXXX";
	struct nvme_namespace_config config = { .block_size = 4096 };
	int fd = mkstemp(path);
	struct stat st;

	(void)state;
	assert_int_equal(ftruncate(fd, 65536), 0);
	assert_int_equal(medium_file(path, false, &other), 0);
	config.medium = other;
	start(7, true, false);
	assert_int_equal(nvme_namespace_attach(nvme, 8, &config), 0);
	assert_int_equal(nvme_namespace_resize(nvme, 8, 65536 + 512),
			 -EINVAL);
	assert_int_equal(nvme_namespace_resize(nvme, 8, 1 << 20), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_int_equal(run(1, on(8, rw(NVME_WRITE, 255, 1, 0, 0))), 0);
	close(fd);
	unlink(path);
}

/* A thread of commands, and the medium changes under it. */
static void test_while_it_works(void **state)
{
	struct nvme_namespace_config config = second();

	(void)state;
	start(7, true, false);
	for (unsigned int i = 0; i < 100; i++) {
		for (unsigned int k = 0; k < 8; k++)
			push(1, on(1 + k % 2, rw(NVME_READ, 0, 8, 0, 0)));
		ring_sq(1);
		if (i % 2)
			assert_int_equal(nvme_namespace_detach(nvme, 2), 0);
		else
			assert_int_equal(nvme_namespace_attach(nvme, 2,
							       &config), 0);
		assert_int_equal(nvme_namespace_resize(nvme, 1,
				(4096ull << 8) + 4096 * i), 0);
		for (unsigned int k = 0; k < 8; k++)
			wait_pop(1);
		ring_cq(1);
	}
}

static void test_empty_controller(void **state)
{
	struct nvme_config config = { .mdts = 7, .io_queues = QUEUES,
				      .serial = "S" };

	(void)state;
	start_config(&config);
	assert_int_equal(identify(NVME_CNS_ACTIVE_LIST, 0), 0);
	assert_int_equal(word(0), 0);
	assert_int_equal(run(1, on(NVME_NSID_ALL, rw(NVME_FLUSH, 0, 1, 0, 0))),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEDIA(test_each_has_its_medium),
		MEDIA(test_mistakes),
		MEDIA(test_blocks_of_4096),
		MEDIA(test_blocks_of_512_on_4096),
		MEDIA(test_read_only_is_of_one),
		MEDIA(test_coming_and_going_is_told),
		MEDIA(test_nobody_asked),
		MEDIA(test_size_changes),
		MEDIA(test_files_change_their_size),
		MEDIA(test_while_it_works),
		MEDIA(test_empty_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
