/* SPDX-License-Identifier: MIT */
/*
 * A driver of the NVMe model, as small as a test needs it: queues in an array
 * that plays RAM, one command at a time.
 */
#ifndef MODEL_NVME_DRIVER_H
#define MODEL_NVME_DRIVER_H

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/model/msix.h"
#include "test/model/nvme.h"
#include "test/model/nvme_reg.h"

#define PAGE 4096ull
#define RAM_PAGES 512u
#define GUEST_PAGES 256u
#define BLOCKS 2048u
#define ENTRIES 16u
#define QUEUES 2u

/* Pages above the guest's: queues and lists. */
#define ASQ (300 * PAGE)
#define ACQ (301 * PAGE)
#define SQ(n) ((302 + 2 * (n)) * PAGE)
#define CQ(n) ((303 + 2 * (n)) * PAGE)
#define LIST (320 * PAGE)
#define SCRATCH (400 * PAGE)

#define RAM_SIZE (RAM_PAGES * PAGE)

static _Alignas(4096) uint8_t first_ram[RAM_SIZE];
/* Of the controller that the functions below drive: a test may have two. */
static uint8_t *ram = first_ram;
static struct medium *medium;
static struct nvme_controller *nvme;
static struct pci_function *f;
static _Atomic unsigned int messages[QUEUES + 1];

static struct {
	uint32_t tail, head;
	uint8_t phase;
} queue[QUEUES + 1];

/* The last completion. */
static struct nvme_completion last;

static inline void *dma(void *opaque, uint64_t address, size_t size)
{
	if (address >= RAM_SIZE || size > RAM_SIZE - address)
		return NULL;
	return (uint8_t *)opaque + address;
}

static inline bool is_guest(void *opaque, uint64_t address, size_t size)
{
	(void)opaque;
	return address + size <= GUEST_PAGES * PAGE;
}

static inline void message(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	assert_int_equal(address, 0xfee00000);
	assert_true(data <= QUEUES);
	messages[data]++;
}

/* ---- the driver ---- */

static inline uint32_t reg(uint64_t offset)
{
	return (uint32_t)f->ops->read(f, offset, 4);
}

static inline void set(uint64_t offset, uint32_t value)
{
	f->ops->write(f, offset, 4, value);
}

static inline void wait_csts(uint32_t mask, uint32_t value)
{
	time_t end = time(NULL) + 10;

	while ((reg(NVME_REG_CSTS) & mask) != value) {
		assert_true(time(NULL) < end);
		sched_yield();
	}
}

static inline uint64_t sq_base(unsigned int q)
{
	return q ? SQ(q) : ASQ;
}

static inline uint64_t cq_base(unsigned int q)
{
	return q ? CQ(q) : ACQ;
}

static inline void ring_sq(unsigned int q)
{
	set(NVME_REG_DOORBELLS + 8 * q, queue[q].tail);
}

static inline void push(unsigned int q, struct nvme_command cmd)
{
	cmd.cid = cpu_to_le16((uint16_t)(0x100 + queue[q].tail));
	memcpy(ram + sq_base(q) + queue[q].tail * sizeof(cmd), &cmd,
	       sizeof(cmd));
	queue[q].tail = (queue[q].tail + 1) % ENTRIES;
}

/* Is there a completion? Takes it, without ringing. */
static inline bool pop(unsigned int q)
{
	struct nvme_completion *entry =
		(struct nvme_completion *)(ram + cq_base(q)) + queue[q].head;
	uint16_t status = *(volatile uint16_t *)((uint8_t *)entry + 14);

	if ((status & 1) != queue[q].phase)
		return false;
	last = *entry;
	if (++queue[q].head == ENTRIES) {
		queue[q].head = 0;
		queue[q].phase ^= 1;
	}
	return true;
}

static inline void wait_pop(unsigned int q)
{
	time_t end = time(NULL) + 10;

	while (!pop(q)) {
		assert_true(time(NULL) < end);
		sched_yield();
	}
}

static inline void ring_cq(unsigned int q)
{
	set(NVME_REG_DOORBELLS + 8 * q + 4, queue[q].head);
}

/* Status without phase and DNR. */
static inline unsigned int run(unsigned int q, struct nvme_command cmd)
{
	push(q, cmd);
	ring_sq(q);
	wait_pop(q);
	ring_cq(q);
	assert_int_equal(le16_to_cpu(last.sq_id), q);
	return le16_to_cpu(last.status) >> 1 & ~NVME_DNR;
}

static inline void configure(void)
{
	memset(queue, 0, sizeof(queue));
	for (unsigned int i = 0; i <= QUEUES; i++) {
		queue[i].phase = 1;
		memset(ram + cq_base(i), 0, PAGE);
	}
	set(NVME_REG_AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	f->ops->write(f, NVME_REG_ASQ, 8, ASQ);
	set(NVME_REG_ACQ, (uint32_t)ACQ);
	set(NVME_REG_ACQ + 4, 0);
	set(NVME_REG_CC, NVME_CC_EN | 6 << NVME_CC_IOSQES_SHIFT |
				 4 << NVME_CC_IOCQES_SHIFT);
}

static inline struct nvme_command create(uint8_t opcode, unsigned int q,
				  uint64_t base, unsigned int high)
{
	return (struct nvme_command){
		.opcode = opcode,
		.prp1 = cpu_to_le64(base),
		.cdw10 = cpu_to_le32((ENTRIES - 1) << 16 | q),
		.cdw11 = cpu_to_le32(high << 16 | NVME_QUEUE_CONTIGUOUS |
				     (opcode == NVME_ADMIN_CREATE_CQ ?
					      NVME_QUEUE_INTERRUPTS : 0)),
	};
}

static inline void create_queues(void)
{
	for (unsigned int i = 1; i <= QUEUES; i++) {
		assert_int_equal(
			run(0, create(NVME_ADMIN_CREATE_CQ, i, CQ(i), i)), 0);
		assert_int_equal(
			run(0, create(NVME_ADMIN_CREATE_SQ, i, SQ(i), i)), 0);
	}
}

static inline struct nvme_command rw(uint8_t opcode, uint64_t lba, unsigned int n,
			      uint64_t prp1, uint64_t prp2)
{
	return (struct nvme_command){
		.opcode = opcode,
		.nsid = cpu_to_le32(1),
		.prp1 = cpu_to_le64(prp1),
		.prp2 = cpu_to_le64(prp2),
		.cdw10 = cpu_to_le32((uint32_t)lba),
		.cdw11 = cpu_to_le32((uint32_t)(lba >> 32)),
		.cdw12 = cpu_to_le32(n - 1),
	};
}

static inline struct nvme_counters counters(void)
{
	struct nvme_counters now;

	nvme_counters(nvme, &now);
	return now;
}

static inline void start_config(const struct nvme_config *config)
{
	nvme = nvme_create(config);
	assert_non_null(nvme);
	f = nvme_function(nvme);
	f->host = (struct pci_host){ .dma = dma,
				     .is_guest = is_guest,
				     .message = message,
				     .opaque = ram };
	for (unsigned int i = 0; i <= QUEUES; i++) {
		uint64_t at = f->msix_table + 16 * i;

		f->ops->write(f, at, 8, 0xfee00000);
		f->ops->write(f, at + 8, 4, i);
		f->ops->write(f, at + 12, 4, 0);
		messages[i] = 0;
	}
	msix_control(f->msix, &f->host, true, false);
	configure();
	wait_csts(NVME_CSTS_RDY, NVME_CSTS_RDY);
	create_queues();
}

static inline void start(unsigned int mdts, bool sgl, bool read_only)
{
	struct nvme_config config = {
		.medium = medium,
		.read_only = read_only,
		.sgl = sgl,
		.mdts = mdts,
		.io_queues = QUEUES,
		.serial = "SERIAL",
		.nguid = { 0xab, [15] = 0xcd },
	};

	start_config(&config);
}

static inline int setup(void **state)
{
	(void)state;
	ram = first_ram;
	memset(ram, 0, RAM_SIZE);
	return medium_memory(BLOCKS * MEDIUM_BLOCK, &medium);
}

static inline int teardown(void **state)
{
	(void)state;
	nvme_destroy(nvme);
	nvme = NULL;
	medium_close(medium);
	medium = NULL;
	return 0;
}

static inline void fill(uint64_t address, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		ram[address + i] = (uint8_t)(seed + i * 7 + (i >> 8) * 13);
}
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
