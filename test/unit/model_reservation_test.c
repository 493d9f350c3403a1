/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/nvme_namespace.c test/model/nvme_fault.c test/model/nvme_due.c test/model/nvme_reservation.c test/model/reservation.c test/model/msix.c test/model/medium.c */
/* Reservations of the NVMe model: two controllers of one medium, and a third
 * that nobody knows. */
#include "model_nvme_driver.h"
#include "test/model/reservation.h"

#define HOSTS 3u

static _Alignas(4096) uint8_t more_ram[HOSTS - 1][RAM_SIZE];

static struct host {
	struct nvme_controller *nvme;
	uint8_t *ram;
	uint8_t queue[sizeof(queue)];
} hosts[HOSTS];
static unsigned int current;

/* The functions of the driver speak for this host from now on. */
static void be(unsigned int n)
{
	struct host *h = &hosts[current];

	memcpy(h->queue, queue, sizeof(queue));
	h->nvme = nvme;
	h->ram = ram;
	h = &hosts[n];
	current = n;
	memcpy(queue, h->queue, sizeof(queue));
	nvme = h->nvme;
	ram = h->ram;
	f = nvme ? nvme_function(nvme) : NULL;
}

static unsigned int set_host(uint8_t name)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_SET_FEATURES,
				    .prp1 = cpu_to_le64(SCRATCH),
				    .cdw10 = cpu_to_le32(0x81),
				    .cdw11 = cpu_to_le32(1) };

	memset(ram + SCRATCH, name, 16);
	return run(0, cmd);
}

static int start_hosts(void **state)
{
	int err = setup(state);

	memset(hosts, 0, sizeof(hosts));
	current = 0;
	hosts[1].ram = more_ram[0];
	hosts[2].ram = more_ram[1];
	for (unsigned int i = 0; i < HOSTS; i++) {
		be(i);
		start(7, true, false);
		assert_int_equal(set_host((uint8_t)(0xa0 + i)), 0);
	}
	be(0);
	return err;
}

static int stop_hosts(void **state)
{
	(void)state;
	be((current + 1) % HOSTS);
	for (unsigned int i = 0; i < HOSTS; i++) {
		be(i);
		nvme_destroy(nvme);
		nvme = NULL;
	}
	ram = first_ram;
	medium_close(medium);
	medium = NULL;
	return 0;
}

static unsigned int order(uint8_t opcode, uint32_t cdw10, uint64_t key,
			  uint64_t second)
{
	struct nvme_command cmd = { .opcode = opcode,
				    .nsid = cpu_to_le32(1),
				    .prp1 = cpu_to_le64(SCRATCH),
				    .cdw10 = cpu_to_le32(cdw10) };

	memcpy(ram + SCRATCH, &key, 8);
	memcpy(ram + SCRATCH + 8, &second, 8);
	return run(1, cmd);
}

static unsigned int enroll(uint64_t key)
{
	return order(NVME_RESERVATION_REGISTER, 0, 0, key);
}

static unsigned int reserve(uint64_t key, uint8_t type)
{
	return order(NVME_RESERVATION_ACQUIRE, (uint32_t)type << 8, key, 0);
}

static unsigned int preempt(uint64_t key, uint8_t type, uint64_t victim)
{
	return order(NVME_RESERVATION_ACQUIRE, (uint32_t)type << 8 | 1, key,
		     victim);
}

static unsigned int release(uint64_t key, uint8_t type)
{
	return order(NVME_RESERVATION_RELEASE, (uint32_t)type << 8, key, 0);
}

static unsigned int report(void)
{
	struct nvme_command cmd = { .opcode = NVME_RESERVATION_REPORT,
				    .nsid = cpu_to_le32(1),
				    .prp1 = cpu_to_le64(SCRATCH),
				    .prp2 = cpu_to_le64(SCRATCH + PAGE),
				    .cdw10 = cpu_to_le32(1023),
				    .cdw11 = cpu_to_le32(1) };

	memset(ram + SCRATCH, 0xee, 2 * PAGE);
	assert_int_equal(run(1, cmd), 0);
	return ram[SCRATCH + 5] | ram[SCRATCH + 6] << 8;
}

static uint32_t generation(void)
{
	uint32_t v;

	report();
	memcpy(&v, ram + SCRATCH, 4);
	return v;
}

/* Which hosts may read (bit 0, 2, 4) and write (bit 1, 3, 5)? */
static unsigned int allowed(void)
{
	static const uint8_t reads[] = { NVME_READ, NVME_COMPARE, NVME_VERIFY };
	static const uint8_t writes[] = { NVME_WRITE, NVME_WRITE_ZEROES,
					  NVME_DSM, NVME_FLUSH };
	unsigned int was = current, bits = 0;

	for (unsigned int i = 0; i < HOSTS; i++) {
		unsigned int status;

		be(i);
		memset(ram, 0, PAGE);
		status = run(2, rw(NVME_READ, 0, 1, 0, 0));
		assert_true(!status || status == NVME_RESERVATION_CONFLICT);
		bits |= (unsigned int)!status << 2 * i;
		for (size_t k = 0; k < sizeof(reads); k++)
			assert_int_equal(run(2, rw(reads[k], 0, 1, 0, 0)),
					 status);
		status = run(2, rw(NVME_WRITE, 0, 1, 0, 0));
		assert_true(!status || status == NVME_RESERVATION_CONFLICT);
		bits |= (unsigned int)!status << (2 * i + 1);
		for (size_t k = 0; k < sizeof(writes); k++)
			assert_int_equal(run(2, rw(writes[k], 0, 1, 0, 0)),
					 status);
	}
	be(was);
	return bits;
}

/* Host 0 holds, host 1 is registered, host 2 is not. */
static void test_types(void **state)
{
	static const unsigned int want[] = {
		[RESERVATION_WRITE_EXCLUSIVE] = 0x17,
		[RESERVATION_EXCLUSIVE_ACCESS] = 0x03,
		[RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS] = 0x1f,
		[RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS] = 0x0f,
		[RESERVATION_WRITE_EXCLUSIVE_ALL] = 0x1f,
		[RESERVATION_EXCLUSIVE_ACCESS_ALL] = 0x0f,
	};

	(void)state;
	assert_int_equal(enroll(10), 0);
	be(1);
	assert_int_equal(enroll(11), 0);
	be(0);
	assert_int_equal(allowed(), 0x3f);
	for (uint8_t type = 1; type <= 6; type++) {
		bool all = type >= RESERVATION_WRITE_EXCLUSIVE_ALL;

		assert_int_equal(reserve(10, type), 0);
		assert_int_equal(reserve(10, type), 0);
		assert_int_equal(allowed(), want[type]);
		assert_int_equal(report(), 2);
		assert_int_equal(ram[SCRATCH + 4], type);
		assert_int_equal(ram[SCRATCH + 64 + 2], 1);
		assert_int_equal(ram[SCRATCH + 128 + 2], all);
		assert_int_equal(ram[SCRATCH + 64 + 8], 10);
		assert_int_equal(ram[SCRATCH + 128 + 8], 11);
		assert_int_equal(ram[SCRATCH + 64 + 16], 0xa0);
		assert_int_equal(ram[SCRATCH + 128 + 31], 0xa1);
		be(1);
		assert_int_equal(reserve(11, type == 6 ? 5 : 6),
				 NVME_RESERVATION_CONFLICT);
		assert_int_equal(reserve(11, type),
				 all ? 0 : NVME_RESERVATION_CONFLICT);
		/* What one does not hold is released in vain. */
		if (!all)
			assert_int_equal(release(11, type), 0);
		be(2);
		assert_int_equal(release(12, type), NVME_RESERVATION_CONFLICT);
		be(0);
		assert_int_equal(allowed(), want[type]);
		assert_int_equal(release(10, type == 6 ? 5 : 6),
				 NVME_INVALID_FIELD);
		assert_int_equal(release(11, type), NVME_RESERVATION_CONFLICT);
		assert_int_equal(release(10, type), 0);
		assert_int_equal(allowed(), 0x3f);
	}
	assert_int_equal(reserve(10, 0), NVME_INVALID_FIELD);
	assert_int_equal(reserve(10, 7), NVME_INVALID_FIELD);
}

static void test_registering(void **state)
{
	uint32_t before = generation();

	(void)state;
	assert_int_equal(enroll(0), NVME_INVALID_FIELD);
	assert_int_equal(reserve(1, 1), NVME_RESERVATION_CONFLICT);
	assert_int_equal(enroll(5), 0);
	assert_int_equal(enroll(5), 0);
	assert_int_equal(enroll(6), NVME_RESERVATION_CONFLICT);
	assert_int_equal(generation(), before + 2);
	/* Replace: with the key, without, and of whatever key. */
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 2, 4, 7),
			 NVME_RESERVATION_CONFLICT);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 2, 5, 7), 0);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 2 | 1 << 3, 99, 8),
			 0);
	assert_int_equal(report(), 1);
	assert_int_equal(ram[SCRATCH + 72], 8);
	/* Unregister. */
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 1, 7, 0),
			 NVME_RESERVATION_CONFLICT);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 1, 8, 0), 0);
	assert_int_equal(report(), 0);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 1 | 1 << 3, 0, 0),
			 NVME_RESERVATION_CONFLICT);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 7, 0, 0),
			 NVME_INVALID_FIELD);
	assert_int_equal(counters().reservations, 16);
}

/* The holder's leaving ends the reservation, or does not end it for all. */
static void test_the_holder_leaves(void **state)
{
	(void)state;
	for (uint8_t type = 1; type <= 6; type++) {
		be(0);
		assert_int_equal(enroll(10), 0);
		be(1);
		assert_int_equal(enroll(11), 0);
		be(0);
		assert_int_equal(reserve(10, type), 0);
		assert_int_equal(order(NVME_RESERVATION_REGISTER, 1, 10, 0),
				 0);
		report();
		assert_int_equal(ram[SCRATCH + 4], type > 4 ? type : 0);
		be(1);
		assert_int_equal(order(NVME_RESERVATION_REGISTER, 1, 11, 0),
				 0);
		assert_int_equal(report(), 0);
		assert_int_equal(ram[SCRATCH + 4], 0);
	}
}

static void test_preempt(void **state)
{
	(void)state;
	assert_int_equal(enroll(10), 0);
	be(1);
	assert_int_equal(enroll(11), 0);
	be(2);
	assert_int_equal(enroll(12), 0);
	assert_int_equal(reserve(12, RESERVATION_WRITE_EXCLUSIVE), 0);
	be(0);
	assert_int_equal(preempt(9, 2, 12), NVME_RESERVATION_CONFLICT);
	assert_int_equal(preempt(10, 2, 99), NVME_RESERVATION_CONFLICT);
	assert_int_equal(preempt(10, 2, 0), NVME_INVALID_FIELD);
	/* A registrant only: it loses its key, the reservation stays. */
	assert_int_equal(preempt(10, 2, 11), 0);
	assert_int_equal(report(), 2);
	assert_int_equal(ram[SCRATCH + 4], RESERVATION_WRITE_EXCLUSIVE);
	/* The holder. */
	assert_int_equal(preempt(10, RESERVATION_EXCLUSIVE_ACCESS, 12), 0);
	assert_int_equal(report(), 1);
	assert_int_equal(ram[SCRATCH + 4], RESERVATION_EXCLUSIVE_ACCESS);
	assert_int_equal(ram[SCRATCH + 66], 1);
	assert_int_equal(allowed(), 0x03);
	/* Oneself: another type, still registered. */
	assert_int_equal(preempt(10, RESERVATION_WRITE_EXCLUSIVE_ALL, 10), 0);
	assert_int_equal(report(), 1);
	assert_int_equal(ram[SCRATCH + 4], RESERVATION_WRITE_EXCLUSIVE_ALL);
	be(1);
	assert_int_equal(enroll(11), 0);
	be(2);
	assert_int_equal(enroll(12), 0);
	/* All hold: one can be thrown out, or, without a key, all others. */
	assert_int_equal(preempt(12, 1, 11), 0);
	assert_int_equal(report(), 2);
	assert_int_equal(ram[SCRATCH + 4], RESERVATION_WRITE_EXCLUSIVE_ALL);
	assert_int_equal(order(NVME_RESERVATION_ACQUIRE, 1 << 8 | 2, 12, 0),
			 0);
	assert_int_equal(report(), 1);
	assert_int_equal(ram[SCRATCH + 72], 12);
	assert_int_equal(ram[SCRATCH + 4], RESERVATION_WRITE_EXCLUSIVE);
	assert_int_equal(allowed(), 0x35);
}

static void test_clear(void **state)
{
	uint32_t before;

	(void)state;
	assert_int_equal(enroll(10), 0);
	be(1);
	assert_int_equal(enroll(11), 0);
	assert_int_equal(reserve(11, 2), 0);
	before = generation();
	be(0);
	assert_int_equal(order(NVME_RESERVATION_RELEASE, 1, 9, 0),
			 NVME_RESERVATION_CONFLICT);
	assert_int_equal(order(NVME_RESERVATION_RELEASE, 1, 10, 0), 0);
	assert_int_equal(report(), 0);
	assert_int_equal(generation(), before + 1);
	assert_int_equal(allowed(), 0x3f);
}

/* Two controllers of one host are one registrant; a reset forgets the host. */
static void test_hosts(void **state)
{
	(void)state;
	be(1);
	assert_int_equal(set_host(0xa0), 0);
	be(0);
	assert_int_equal(enroll(10), 0);
	assert_int_equal(reserve(10, RESERVATION_EXCLUSIVE_ACCESS), 0);
	assert_int_equal(allowed(), 0x0f);
	be(1);
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_RDY, 0);
	configure();
	wait_csts(NVME_CSTS_RDY, NVME_CSTS_RDY);
	create_queues();
	assert_int_equal(allowed(), 0x03);
	assert_int_equal(enroll(11), NVME_INVALID_FIELD);
	assert_int_equal(report(), 1);
	assert_int_equal(set_host(0xa0), 0);
	assert_int_equal(allowed(), 0x0f);
}

static void test_persistence(void **state)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_GET_FEATURES,
				    .nsid = cpu_to_le32(1),
				    .cdw10 = cpu_to_le32(0x83) };

	(void)state;
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 3u << 30, 0, 1), 0);
	report();
	assert_int_equal(ram[SCRATCH + 9], 1);
	assert_int_equal(run(0, cmd), 0);
	assert_int_equal(le32_to_cpu(last.dw0), 1);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 1u << 30, 0, 1),
			 NVME_INVALID_FIELD);
	assert_int_equal(order(NVME_RESERVATION_REGISTER, 2u << 30, 0, 1), 0);
	report();
	assert_int_equal(ram[SCRATCH + 9], 0);
	cmd.opcode = NVME_ADMIN_SET_FEATURES;
	cmd.nsid = cpu_to_le32(NVME_NSID_ALL);
	cmd.cdw11 = cpu_to_le32(1);
	assert_int_equal(run(0, cmd), 0);
	report();
	assert_int_equal(ram[SCRATCH + 9], 1);
}

static void test_mistakes(void **state)
{
	struct nvme_command cmd = { .opcode = NVME_RESERVATION_REPORT,
				    .nsid = cpu_to_le32(1),
				    .prp1 = cpu_to_le64(SCRATCH),
				    .cdw10 = cpu_to_le32(15) };

	(void)state;
	assert_int_equal(run(1, cmd), NVME_HOST_ID_FORMAT);
	cmd.cdw11 = cpu_to_le32(1);
	memset(ram + SCRATCH, 0xee, PAGE);
	assert_int_equal(run(1, cmd), 0); /* the header only */
	assert_int_equal(ram[SCRATCH + 64], 0xee);
	cmd.cdw10 = cpu_to_le32(UINT32_MAX);
	cmd.prp1 = cpu_to_le64(1ull << 40);
	assert_int_equal(run(1, cmd), NVME_DATA_TRANSFER_ERROR);
	assert_int_equal(enroll(1), 0);
	assert_int_equal(order(NVME_RESERVATION_ACQUIRE, 1 << 8 | 1 << 3, 1,
			       0), NVME_INVALID_FIELD);
	assert_int_equal(order(NVME_RESERVATION_ACQUIRE, 1 << 8 | 3, 1, 0),
			 NVME_INVALID_FIELD);
	assert_int_equal(order(NVME_RESERVATION_RELEASE, 2, 1, 0),
			 NVME_INVALID_FIELD);
}

#define HOST_TEST(name) \
	cmocka_unit_test_setup_teardown(name, start_hosts, stop_hosts)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST_TEST(test_types),
		HOST_TEST(test_registering),
		HOST_TEST(test_the_holder_leaves),
		HOST_TEST(test_preempt),
		HOST_TEST(test_clear),
		HOST_TEST(test_hosts),
		HOST_TEST(test_persistence),
		HOST_TEST(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
