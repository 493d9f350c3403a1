/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/nvme.c test/model/nvme_queue.c test/model/nvme_data.c test/model/nvme_admin.c test/model/nvme_identify.c test/model/nvme_io.c test/model/nvme_namespace.c test/model/nvme_fault.c test/model/nvme_due.c test/model/nvme_reservation.c test/model/reservation.c test/model/msix.c test/model/medium.c */
/*
 * Each row of the NVMe model's table of faults, by its effect on a driver that
 * does everything right; when a fault is met, and what is refused.
 */
#include <stdio.h>

#include "model_nvme_driver.h"
#include "test/model/nvme_fault.h"

#define QUIET_US 20000 /* so long nothing comes that does not come at all */
#define LATER_MS 300u

static void fault(struct nvme_fault fault)
{
	const char *rule = nvme_fault_set(nvme, &fault);

	if (rule)
		fprintf(stderr, "%s: %s\n", fault.name, rule);
	assert_null(rule);
}

static void later(const char *name)
{
	fault((struct nvme_fault){ .name = name, .given = NVME_FAULT_DELAY,
				   .delay_ms = LATER_MS });
}

static void plain(const char *name)
{
	fault((struct nvme_fault){ .name = name });
}

static uint64_t ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Commands of queue 1. */

static struct nvme_command write_of(uint64_t lba, uint8_t byte)
{
	memset(ram + SCRATCH, byte, 1024);
	return rw(NVME_WRITE, lba, 2, SCRATCH, 0);
}

static void send(struct nvme_command cmd)
{
	push(1, cmd);
	ring_sq(1);
}

static void expect_nothing(void)
{
	usleep(QUIET_US);
	assert_false(pop(1));
}

static uint8_t holds(uint64_t lba)
{
	uint8_t block[MEDIUM_BLOCK];

	assert_int_equal(medium_read(medium, lba * MEDIUM_BLOCK, block,
				     sizeof(block)), 0);
	return block[0];
}

/* What has to come, comes, if late on a slow machine. */
#define WAIT_FOR(condition)                          \
	for (time_t end = time(NULL) + 10; !(condition);) { \
		assert_true(time(NULL) < end);          \
		usleep(1000);                           \
	}

/* What is next on queue 1 ends well. */
static void expect_good(void)
{
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)), 0);
}

/* What is sent is answered, `status` with its DNR; was it done? */
static void expect_status(unsigned int status, bool done)
{
	push(1, write_of(8, 0x5a));
	ring_sq(1);
	wait_pop(1);
	ring_cq(1);
	assert_int_equal(le16_to_cpu(last.status) >> 1, status);
	assert_int_equal(holds(8), done ? 0x5a : 0);
	assert_int_equal(run(1, write_of(8, 0)), 0);
}

/* Resets the controller, as a driver does when it gave up. */
static void reset(void)
{
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_RDY, 0);
	configure();
	wait_csts(NVME_CSTS_RDY | NVME_CSTS_CFS, NVME_CSTS_RDY);
	create_queues();
}

/* Answers. */

static void drop(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	expect_nothing();
	assert_int_equal(holds(8), 0);
	expect_good();
}

static void drop_answer(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	WAIT_FOR(holds(8) == 0x11);
	expect_nothing();
	expect_good();
}

static void delay(const char *name)
{
	uint64_t began = ms_now();

	later(name);
	send(write_of(8, 0x11));
	expect_good(); /* overtakes it */
	assert_int_equal(holds(8), 0);
	wait_pop(1);
	ring_cq(1);
	assert_true(ms_now() - began >= LATER_MS - 1);
	assert_int_equal(le16_to_cpu(last.status) >> 1, 0);
	assert_int_equal(holds(8), 0x11);
}

static void late(const char *name)
{
	uint64_t began = ms_now();

	later(name);
	send(write_of(8, 0x11));
	expect_good();
	assert_int_equal(holds(8), 0x11);
	wait_pop(1);
	ring_cq(1);
	assert_true(ms_now() - began >= LATER_MS - 1);
	assert_int_equal(le16_to_cpu(last.cid), 0x100);
}

static void duplicate(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	wait_pop(1);
	ring_cq(1);
	assert_int_equal(le16_to_cpu(last.cid), 0x100);
	expect_nothing();
	expect_good();
}

static void wrong_id(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	assert_true(le16_to_cpu(last.cid) >= 0x1000);
	expect_nothing();
}

static void wrong_queue(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	wait_pop(1);
	assert_true(le16_to_cpu(last.sq_id) > QUEUES);
	assert_int_equal(le16_to_cpu(last.cid), 0x100);
}

static void wrong_head(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	assert_true(le16_to_cpu(last.sq_head) >= ENTRIES);
	expect_good();
	assert_int_equal(le16_to_cpu(last.sq_head), 2);
}

static void bad_phase(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	WAIT_FOR(messages[1] == 1);
	expect_nothing();
	assert_int_equal(holds(8), 0x11);
	/* The driver waits here for good, the next is in the slot behind. */
	send(rw(NVME_READ, 0, 1, 0, 0));
	WAIT_FOR(messages[1] == 2);
	expect_nothing();
}

static void torn(const char *name)
{
	struct nvme_completion *entry =
		(struct nvme_completion *)(ram + cq_base(1));

	memset(entry, 0xee, 14);
	later(name);
	send(write_of(8, 0x11));
	wait_pop(1);
	assert_int_equal(le16_to_cpu(last.cid), 0xeeee);
	assert_int_equal(le16_to_cpu(last.status) >> 1, 0);
	usleep(2 * LATER_MS * 1000);
	assert_int_equal(le16_to_cpu(entry->cid), 0x100);
	assert_int_equal(le16_to_cpu(entry->sq_id), 1);
}

/* Interrupts. */

static void no_interrupt(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	usleep(QUIET_US);
	assert_int_equal(messages[1], 0);
	expect_good();
	WAIT_FOR(messages[1] == 1);
}

static void wrong_vector(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	WAIT_FOR(messages[2] == 1);
	assert_int_equal(messages[1], 0);
}

static void spurious(const char *name)
{
	unsigned int before[QUEUES + 1];

	WAIT_FOR(messages[0] == 2 * QUEUES); /* of the queues' creation */
	memcpy(before, (void *)messages, sizeof(before));
	fault((struct nvme_fault){ .name = name, .given = NVME_FAULT_COUNT,
				   .count = 5 });
	for (unsigned int i = 0; i <= QUEUES; i++)
		assert_int_equal(messages[i], before[i] + 5);
	assert_false(pop(0) || pop(1) || pop(2));
}

/* Data. */

static void lie(const char *name)
{
	plain(name);
	expect_status(0, false);
}

static void shortened(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	assert_int_equal(holds(8), 0x11);
	assert_int_equal(holds(9), 0);
	assert_int_equal(run(1, write_of(8, 0x22)), 0);
	assert_int_equal(holds(9), 0x22);
	/* A read leaves the rest of the buffer as it was. */
	memset(ram + SCRATCH, 0x77, 1024);
	plain(name);
	assert_int_equal(run(1, rw(NVME_READ, 8, 2, SCRATCH, 0)), 0);
	assert_int_equal(ram[SCRATCH + 511], 0x22);
	assert_int_equal(ram[SCRATCH + 512], 0x77);
}

static void misplace(const char *name)
{
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	assert_int_equal(holds(8), 0);
	assert_int_equal(holds(10), 0x11);
}

static void twice(const char *name)
{
	later(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	assert_int_equal(run(1, rw(NVME_WRITE, 8, 2, SCRATCH + PAGE, 0)), 0);
	assert_int_equal(holds(8), 0);
	usleep(2 * LATER_MS * 1000);
	assert_int_equal(holds(8), 0x11); /* its successor is lost */
	assert_false(pop(1));
}

/* The controller. */

static void fatal(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	wait_csts(NVME_CSTS_CFS, NVME_CSTS_CFS);
	send(rw(NVME_READ, 0, 1, 0, 0));
	expect_nothing();
	assert_int_equal(holds(8), 0);
	reset();
	expect_good();
}

static void frozen(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	send(rw(NVME_READ, 0, 1, 0, 0));
	expect_nothing();
	assert_int_equal(reg(NVME_REG_CSTS) & (NVME_CSTS_CFS | NVME_CSTS_RDY),
			 NVME_CSTS_RDY);
	reset();
	expect_good();
}

static void all_ones(const char *name)
{
	uint64_t began = ms_now();

	later(name);
	assert_int_equal(run(1, write_of(8, 0x11)), 0);
	assert_int_equal(reg(NVME_REG_CSTS), UINT32_MAX);
	assert_int_equal(f->ops->read(f, NVME_REG_CAP, 8), UINT64_MAX);
	assert_int_equal(f->ops->read(f, f->msix_table, 4), UINT32_MAX);
	send(rw(NVME_READ, 0, 1, 0, 0)); /* the doorbell goes nowhere */
	while (reg(NVME_REG_CSTS) == UINT32_MAX)
		usleep(1000);
	assert_true(ms_now() - began >= LATER_MS - 1);
	expect_nothing();
	ring_cq(1);
	ring_sq(1);
	wait_pop(1);
	assert_int_equal(le16_to_cpu(last.status) >> 1, 0);
}

static void removed(const char *name)
{
	plain(name);
	send(write_of(8, 0x11));
	expect_nothing();
	assert_int_equal(holds(8), 0);
	assert_int_equal(reg(NVME_REG_CSTS), UINT32_MAX);
	set(NVME_REG_CC, 0);
	usleep(QUIET_US);
	assert_int_equal(reg(NVME_REG_VS), UINT32_MAX);
	/* Plugged in again it is as new. */
	plain(NVME_FAULT_NONE);
	assert_int_equal(reg(NVME_REG_CSTS), 0);
	assert_int_equal(reg(NVME_REG_CC), 0);
	nvme_destroy(nvme);
	start(7, true, false);
	expect_good();
}

/* What it does to data: model_nvme_power_test. */
static void power_cut(const char *name)
{
	uint64_t began = ms_now();

	later(name);
	send(write_of(8, 0x11));
	WAIT_FOR(reg(NVME_REG_CSTS) == UINT32_MAX);
	WAIT_FOR(reg(NVME_REG_CSTS) == 0);
	assert_true(ms_now() - began >= LATER_MS - 1);
	assert_int_equal(reg(NVME_REG_CC), 0);
	assert_int_equal(holds(8), 0);
	nvme_destroy(nvme);
	start(7, true, false);
	expect_good();
}

static void stop_and_enable(void)
{
	set(NVME_REG_CC, 0);
	wait_csts(NVME_CSTS_RDY, 0);
	configure();
}

static void never_ready(const char *name)
{
	plain(name);
	expect_good(); /* it is not about now */
	stop_and_enable();
	usleep(QUIET_US);
	assert_int_equal(reg(NVME_REG_CSTS), 0);
	reset();
	expect_good();
}

static void slow_ready(const char *name)
{
	uint64_t began = ms_now();

	later(name);
	stop_and_enable();
	wait_csts(NVME_CSTS_RDY, NVME_CSTS_RDY);
	assert_true(ms_now() - began >= LATER_MS - 1);
	create_queues();
	expect_good();
}

static void fatal_ready(const char *name)
{
	plain(name);
	stop_and_enable();
	wait_csts(NVME_CSTS_CFS, NVME_CSTS_CFS);
	assert_int_equal(reg(NVME_REG_CSTS) & NVME_CSTS_RDY, 0);
	reset();
	expect_good();
}

/* Admin commands. */

static void queue_refused(const char *name)
{
	struct nvme_command cmd = { .opcode = NVME_ADMIN_DELETE_SQ,
				    .cdw10 = cpu_to_le32(2) };

	assert_int_equal(run(0, cmd), 0);
	cmd.opcode = NVME_ADMIN_DELETE_CQ;
	assert_int_equal(run(0, cmd), 0);
	plain(name);
	cmd = create(NVME_ADMIN_CREATE_CQ, 2, CQ(2), 2);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_ID);
	assert_int_equal(run(0, cmd), 0);
	fault((struct nvme_fault){ .name = name, .given = NVME_FAULT_OPCODE,
				   .opcode = NVME_ADMIN_CREATE_SQ });
	cmd = create(NVME_ADMIN_CREATE_SQ, 2, SQ(2), 2);
	assert_int_equal(run(0, cmd), NVME_INVALID_QUEUE_ID);
	assert_int_equal(run(0, cmd), 0);
}

static void abort_ignored(const char *name)
{
	const struct nvme_command cmd = { .opcode = NVME_ADMIN_ABORT };

	plain(name);
	push(0, cmd);
	ring_sq(0);
	usleep(QUIET_US);
	assert_false(pop(0));
	assert_int_equal(run(0, cmd), 0);
}

/* Events and namespaces. */

static void ask_for_events(void)
{
	assert_int_equal(run(0, (struct nvme_command){
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = cpu_to_le32(NVME_FEATURE_ASYNC_EVENTS),
		.cdw11 = cpu_to_le32(NVME_OAES_NAMESPACES) }), 0);
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	/* Whose end says that the one before it was fetched. */
	assert_int_equal(run(0, (struct nvme_command){
		.opcode = NVME_ADMIN_ABORT }), 0);
}

static void read_log(uint8_t log)
{
	assert_int_equal(run(0, (struct nvme_command){
		.opcode = NVME_ADMIN_GET_LOG_PAGE,
		.nsid = cpu_to_le32(NVME_NSID_ALL),
		.prp1 = cpu_to_le64(SCRATCH),
		.cdw10 = cpu_to_le32(1023 << 16 | log) }), 0);
}

/* The event that was asked for is of this type. */
static void expect_event(uint32_t type)
{
	wait_pop(0);
	ring_cq(0);
	assert_int_equal(le16_to_cpu(last.status) >> 1, 0);
	assert_int_equal(le32_to_cpu(last.dw0) & 7, type);
}

static void lost_event(const char *name)
{
	ask_for_events();
	plain(name);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 1024 * 512), 0);
	usleep(QUIET_US);
	assert_false(pop(0));
	/* The host does not read the log, and so is never told again. */
	assert_int_equal(nvme_namespace_resize(nvme, 1, 2048 * 512), 0);
	usleep(QUIET_US);
	assert_false(pop(0));
	read_log(NVME_LOG_NAMESPACES);
	assert_int_equal(nvme_namespace_resize(nvme, 1, 1024 * 512), 0);
	expect_event(NVME_EVENT_NOTICE);
}

static void event_storm(const char *name)
{
	ask_for_events();
	fault((struct nvme_fault){ .name = name, .given = NVME_FAULT_COUNT,
				   .count = 5 });
	for (unsigned int i = 0; i < 5; i++) {
		expect_event(NVME_EVENT_ERROR);
		push(0, (struct nvme_command){
			.opcode = NVME_ADMIN_ASYNC_EVENT });
		ring_sq(0);
	}
	usleep(QUIET_US);
	assert_false(pop(0));
}

static void event_unknown(const char *name)
{
	ask_for_events();
	plain(name);
	expect_event(5);
}

static void ns_change(const char *name)
{
	ask_for_events();
	plain(name);
	expect_event(NVME_EVENT_NOTICE);
	read_log(NVME_LOG_NAMESPACES);
	assert_int_equal(ram[SCRATCH], 1);
	expect_good(); /* nothing did change */
}

static void ns_remove(const char *name)
{
	ask_for_events();
	plain(name);
	assert_int_equal(run(1, write_of(8, 0x11)), NVME_INVALID_FIELD);
	expect_event(NVME_EVENT_NOTICE);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)),
			 NVME_INVALID_FIELD);
	assert_int_equal(holds(8), 0);
}

static void ns_return(const char *name)
{
	struct nvme_fault again = { .name = name };

	assert_string_equal(nvme_fault_set(nvme, &again),
			    "nsid: no such namespace was removed by ns-remove");
	ns_remove("ns-remove");
	read_log(NVME_LOG_NAMESPACES);
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	ring_sq(0);
	plain(name);
	expect_event(NVME_EVENT_NOTICE);
	expect_good();
	assert_non_null(nvme_fault_set(nvme, &again));
}

static void ns_elsewhere(const char *name)
{
	ns_remove("ns-remove");
	read_log(NVME_LOG_NAMESPACES);
	push(0, (struct nvme_command){ .opcode = NVME_ADMIN_ASYNC_EVENT });
	ring_sq(0);
	plain(name);
	expect_event(NVME_EVENT_NOTICE);
	assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)),
			 NVME_INVALID_FIELD);
	assert_int_equal(nvme_namespace_resize(nvme, 2, 1024 * 512), 0);
}

/* ---- the rows ---- */

static const struct {
	const char *name;
	void (*show)(const char *name);
	unsigned int status; /* without `show`: it is this, and nothing is done */
} rows[] = {
	{ "drop", drop, 0 },
	{ "drop-answer", drop_answer, 0 },
	{ "delay", delay, 0 },
	{ "late", late, 0 },
	{ "duplicate", duplicate, 0 },
	{ "wrong-id", wrong_id, 0 },
	{ "wrong-queue", wrong_queue, 0 },
	{ "wrong-head", wrong_head, 0 },
	{ "bad-phase", bad_phase, 0 },
	{ "torn", torn, 0 },
	{ "no-interrupt", no_interrupt, 0 },
	{ "wrong-vector", wrong_vector, 0 },
	{ "lie", lie, 0 },
	{ "short", shortened, 0 },
	{ "misplace", misplace, 0 },
	{ "twice", twice, 0 },
	{ "fatal", fatal, 0 },
	{ "frozen", frozen, 0 },
	{ "all-ones", all_ones, 0 },
	{ "removed", removed, 0 },
	{ "power-cut", power_cut, 0 },
	{ "ns-remove", ns_remove, 0 },
	{ "transfer-error", NULL, 0x004 },
	{ "internal-error", NULL, 0x006 },
	{ "aborted", NULL, 0x007 },
	{ "interrupted", NULL, 0x021 },
	{ "ns-not-ready", NULL, 0x082 },
	{ "path-error", NULL, 0x300 },
	{ "invalid-field", NULL, 0x4002 },
	{ "write-protected", NULL, 0x4020 },
	{ "lba-range", NULL, 0x4080 },
	{ "capacity", NULL, 0x4081 },
	{ "conflict", NULL, 0x4083 },
	{ "write-fault", NULL, 0x4280 },
	{ "read-error", NULL, 0x4281 },
	{ "guard", NULL, 0x4282 },
	{ "unknown-status", NULL, 0x47ff },
	{ "queue-refused", queue_refused, 0 },
	{ "abort-ignored", abort_ignored, 0 },
	{ "never-ready", never_ready, 0 },
	{ "slow-ready", slow_ready, 0 },
	{ "fatal-ready", fatal_ready, 0 },
	{ "lost-event", lost_event, 0 },
	{ "spurious", spurious, 0 },
	{ "event-storm", event_storm, 0 },
	{ "event-unknown", event_unknown, 0 },
	{ "ns-change", ns_change, 0 },
	{ "ns-return", ns_return, 0 },
	{ "ns-elsewhere", ns_elsewhere, 0 },
};
#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static void every_row(void **state)
{
	teardown(state);
	for (unsigned int i = 0; i < NR_ROWS || nvme_fault_name(i); i++) {
		assert_true(i < NR_ROWS);
		assert_string_equal(nvme_fault_name(i), rows[i].name);
		printf("%s\n", rows[i].name);
		fflush(stdout);
		setup(state);
		start(7, true, false);
		if (rows[i].show) {
			rows[i].show(rows[i].name);
		} else {
			plain(rows[i].name);
			expect_status(rows[i].status, false);
			expect_good();
		}
		teardown(state);
	}
	setup(state);
}

/* ---- when they are met ---- */

static void matches(void **state)
{
	(void)state;
	start(7, true, false);
	/* The third write or so of block 20, and the one after that. */
	fault((struct nvme_fault){
		.name = "internal-error",
		.given = NVME_FAULT_OPCODE | NVME_FAULT_NSID | NVME_FAULT_LBA |
			 NVME_FAULT_SKIP | NVME_FAULT_COUNT,
		.opcode = NVME_WRITE, .nsid = 1, .lba = 20, .skip = 2,
		.count = 2 });
	for (unsigned int i = 0; i < 6; i++) {
		bool hit = i == 2 || i == 3;

		assert_int_equal(run(1, write_of(18, 1)), 0);
		assert_int_equal(run(1, write_of(21, 1)), 0);
		assert_int_equal(run(1, rw(NVME_READ, 20, 1, 0, 0)), 0);
		assert_int_equal(run(1, write_of(19, 1)),
				 hit ? NVME_INTERNAL_ERROR : 0);
	}
	assert_int_equal(counters().faults, 2);
	/* Another namespace; another queue; until it is ended. */
	fault((struct nvme_fault){ .name = "guard", .given = NVME_FAULT_NSID,
				   .nsid = 2 });
	expect_good();
	fault((struct nvme_fault){ .name = "internal-error",
				   .given = NVME_FAULT_ADMIN, .admin = true });
	expect_good();
	assert_int_equal(run(0, (struct nvme_command){
		.opcode = NVME_ADMIN_ABORT }), NVME_INTERNAL_ERROR);
	fault((struct nvme_fault){ .name = "aborted",
				   .given = NVME_FAULT_COUNT });
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(run(1, rw(NVME_READ, 0, 1, 0, 0)),
				 NVME_ABORT_REQUESTED);
	plain(NVME_FAULT_NONE);
	expect_good();
}

/* Delayed answers find their queue full, or gone. */
static void late_answers(void **state)
{
	(void)state;
	start(7, true, false);
	fault((struct nvme_fault){ .name = "late",
				   .given = NVME_FAULT_DELAY | NVME_FAULT_COUNT,
				   .delay_ms = 100 });
	for (unsigned int i = 0; i < ENTRIES - 1; i++)
		push(1, rw(NVME_READ, 0, 1, 0, 0));
	ring_sq(1);
	/* As many again: more than there is room for. */
	WAIT_FOR(counters().faults == ENTRIES - 1);
	for (unsigned int i = 0; i < ENTRIES - 1; i++)
		push(1, rw(NVME_READ, 0, 1, 0, 0));
	ring_sq(1);
	for (unsigned int i = 0; i < 2 * (ENTRIES - 1); i++) {
		wait_pop(1);
		assert_int_equal(le16_to_cpu(last.status) >> 1, 0);
		ring_cq(1);
	}
	expect_nothing();
	send(rw(NVME_READ, 0, 1, 0, 0));
	WAIT_FOR(counters().faults == 2 * ENTRIES - 1);
	reset();
	usleep(200000);
	assert_false(pop(1));
}

static void refusals(void **state)
{
	static const struct {
		struct nvme_fault fault;
		const char *rule;
	} cases[] = {
		{ { .name = "drop-it" }, "fault: there is none of this name" },
		{ { .name = "" }, "fault: there is none of this name" },
		{ { .name = "drop", .given = NVME_FAULT_DELAY },
		  "delay_ms: this fault takes none" },
		{ { .name = "delay", .given = NVME_FAULT_DELAY,
		    .delay_ms = 600001 }, "delay_ms: must be at most 600000" },
		{ { .name = "never-ready", .given = NVME_FAULT_OPCODE },
		  "opcode: only faults of commands take one" },
		{ { .name = "spurious", .given = NVME_FAULT_ADMIN },
		  "admin: only faults of commands take it" },
		{ { .name = "lost-event", .given = NVME_FAULT_LBA },
		  "lba: only faults of I/O commands take one" },
		{ { .name = "drop", .admin = true,
		    .given = NVME_FAULT_LBA | NVME_FAULT_ADMIN },
		  "lba: only faults of I/O commands take one" },
		{ { .name = "slow-ready", .given = NVME_FAULT_NSID, .nsid = 1 },
		  "nsid: this fault takes none" },
		{ { .name = "drop", .given = NVME_FAULT_NSID },
		  "nsid: must not be 0" },
		{ { .name = "ns-change", .given = NVME_FAULT_NSID, .nsid = 2 },
		  "nsid: there is no such namespace" },
		{ { .name = "ns-return", .given = NVME_FAULT_NSID,
		    .nsid = 4000000000u },
		  "nsid: no such namespace was removed by ns-remove" },
		{ { .name = "spurious", .given = NVME_FAULT_SKIP },
		  "skip: this fault happens at once" },
		{ { .name = "ns-change", .given = NVME_FAULT_COUNT },
		  "count: this fault happens once" },
		{ { .name = "event-storm", .given = NVME_FAULT_COUNT,
		    .count = 1025 }, "count: of this fault, must be 1 to 1024" },
	};

	(void)state;
	start(7, true, false);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(nvme_fault_set(nvme, &cases[i].fault),
				    cases[i].rule);
	for (unsigned int i = 0; i < NVME_MAX_FAULTS; i++)
		fault((struct nvme_fault){ .name = "drop",
					   .given = NVME_FAULT_OPCODE,
					   .opcode = 0xff });
	assert_string_equal(
		nvme_fault_set(nvme, &(struct nvme_fault){ .name = "drop" }),
		"fault: there are 8 already; none ends them");
	expect_good();
	assert_int_equal(counters().faults, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_row),
		TEST(matches),
		TEST(late_answers),
		TEST(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
