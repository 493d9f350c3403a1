/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/msix.c test/model/medium.c */
/*
 * A driver of a few lines against the NVMe model: the controller's thread runs
 * as it does in vmm, and memory is a small array of pages, the lower half of
 * which counts as VTL0's.
 */

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

static _Alignas(4096) uint8_t ram[RAM_PAGES * 4096];
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

static void *dma(void *opaque, uint64_t address, size_t size)
{
	(void)opaque;
	if (address >= sizeof(ram) || size > sizeof(ram) - address)
		return NULL;
	return ram + address;
}

static bool is_guest(void *opaque, uint64_t address, size_t size)
{
	(void)opaque;
	return address + size <= GUEST_PAGES * PAGE;
}

static void message(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	assert_int_equal(address, 0xfee00000);
	assert_true(data <= QUEUES);
	messages[data]++;
}

/* ---- the driver ---- */

static uint32_t reg(uint64_t offset)
{
	return (uint32_t)f->ops->read(f, offset, 4);
}

static void set(uint64_t offset, uint32_t value)
{
	f->ops->write(f, offset, 4, value);
}

static void wait_csts(uint32_t mask, uint32_t value)
{
	time_t end = time(NULL) + 10;

	while ((reg(NVME_REG_CSTS) & mask) != value) {
		assert_true(time(NULL) < end);
		sched_yield();
	}
}

static uint64_t sq_base(unsigned int q)
{
	return q ? SQ(q) : ASQ;
}

static uint64_t cq_base(unsigned int q)
{
	return q ? CQ(q) : ACQ;
}

static void ring_sq(unsigned int q)
{
	set(NVME_REG_DOORBELLS + 8 * q, queue[q].tail);
}

static void push(unsigned int q, struct nvme_command cmd)
{
	cmd.cid = cpu_to_le16((uint16_t)(0x100 + queue[q].tail));
	memcpy(ram + sq_base(q) + queue[q].tail * sizeof(cmd), &cmd,
	       sizeof(cmd));
	queue[q].tail = (queue[q].tail + 1) % ENTRIES;
}

/* Is there a completion? Takes it, without ringing. */
static bool pop(unsigned int q)
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

static void wait_pop(unsigned int q)
{
	time_t end = time(NULL) + 10;

	while (!pop(q)) {
		assert_true(time(NULL) < end);
		sched_yield();
	}
}

static void ring_cq(unsigned int q)
{
	set(NVME_REG_DOORBELLS + 8 * q + 4, queue[q].head);
}

/* Status without phase and DNR. */
static unsigned int run(unsigned int q, struct nvme_command cmd)
{
	push(q, cmd);
	ring_sq(q);
	wait_pop(q);
	ring_cq(q);
	assert_int_equal(le16_to_cpu(last.sq_id), q);
	return le16_to_cpu(last.status) >> 1 & ~NVME_DNR;
}

static void configure(void)
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

static struct nvme_command create(uint8_t opcode, unsigned int q,
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

static void create_queues(void)
{
	for (unsigned int i = 1; i <= QUEUES; i++) {
		assert_int_equal(
			run(0, create(NVME_ADMIN_CREATE_CQ, i, CQ(i), i)), 0);
		assert_int_equal(
			run(0, create(NVME_ADMIN_CREATE_SQ, i, SQ(i), i)), 0);
	}
}

static struct nvme_command rw(uint8_t opcode, uint64_t lba, unsigned int n,
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

static struct nvme_counters counters(void)
{
	struct nvme_counters now;

	nvme_counters(nvme, &now);
	return now;
}

static void start(unsigned int mdts, bool sgl, bool read_only)
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

	nvme = nvme_create(&config);
	assert_non_null(nvme);
	f = nvme_function(nvme);
	f->host = (struct pci_host){ .dma = dma,
				     .is_guest = is_guest,
				     .message = message };
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

static int setup(void **state)
{
	(void)state;
	memset(ram, 0, sizeof(ram));
	return medium_memory(BLOCKS * MEDIUM_BLOCK, &medium);
}

static int teardown(void **state)
{
	(void)state;
	nvme_destroy(nvme);
	nvme = NULL;
	medium_close(medium);
	medium = NULL;
	return 0;
}

static void fill(uint64_t address, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		ram[address + i] = (uint8_t)(seed + i * 7 + (i >> 8) * 13);
}

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
	cmd.nsid = cpu_to_le32(2);
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
	cmd.nsid = cpu_to_le32(2);
	cmd.cdw10 = cpu_to_le32(NVME_CNS_NAMESPACE);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(test_prp_shapes),
		TEST(test_chained_list),
		TEST(test_prp_mistakes),
		TEST(test_sgl),
		TEST(test_sgl_mistakes),
		TEST(test_without_sgl),
		TEST(test_outside_is_counted),
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
