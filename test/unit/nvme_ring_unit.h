/* SPDX-License-Identifier: MIT */
/*
 * A namespace's queue, the reactor that it is on, and guest memory: what tests
 * of ring disks and of NVM commands have in common.
 */
#ifndef NVME_RING_UNIT_H
#define NVME_RING_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cmocka.h>

#include <pv/uring.h>

#include "nvme/namespace.h"

/*
 * The reactor is played here: SQEs stay in a table until a case completes
 * them, time stands still until a case moves it.
 */
#define RAM 0x400000u
#define HIGH 0x100000000ull
#define MS 1000000ull

struct entry {
	uint8_t sqe[128] __attribute__((aligned(8)));
	struct uring_op *op; /* NULL: completed */
};

struct reactor {
	struct entry entry[64];
	unsigned int nr, refuse; /* SQEs refused before the next is given */
	struct reactor_call *call;
	struct reactor_timer *timers[16];
	uint64_t now;
	bool registered;
};

static struct reactor reactor;
static struct guest_memory memory;
static struct namespace ns;
static struct disk_queue *queue;

static const struct ring_ops passthrough = {
	.fill = passthrough_fill,
	.judge = passthrough_judge,
	.text = nvme_result_text,
	.answer = passthrough_answer,
};
static uint8_t *low, *high;

struct io_uring_sqe *uring_sqe(struct reactor *r, struct uring_op *op)
{
	struct entry *entry = &r->entry[r->nr];

	if (r->refuse) {
		r->refuse--;
		return NULL;
	}
	assert_true(r->nr++ < 64);
	memset(entry, 0, sizeof(*entry));
	entry->op = op;
	return (struct io_uring_sqe *)entry->sqe;
}

int uring_buffer(const struct reactor *r, const void *va, uint64_t len)
{
	const uint8_t *at = va;

	if (r->registered && at >= low && at + len <= low + RAM)
		return 0;
	if (r->registered && at >= high && at + len <= high + RAM)
		return 1;
	return -EFAULT;
}

void reactor_post(struct reactor *r, struct reactor_call *call)
{
	assert_true(!r->call || r->call == call);
	r->call = call;
}

uint64_t reactor_now(void)
{
	return reactor.now;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	reactor_timer_cancel(r, timer);
	timer->deadline = deadline;
	timer->armed = true;
	for (int i = 0; i < 16; i++) {
		if (!r->timers[i]) {
			r->timers[i] = timer;
			return;
		}
	}
	fail_msg("too many timers");
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	for (int i = 0; i < 16; i++)
		if (r->timers[i] == timer)
			r->timers[i] = NULL;
	timer->armed = false;
}

/* Events of the kernel. */
static unsigned int looks;
static bool events_run;

void uevent_look(struct uevent_source *source)
{
	assert_ptr_equal(source, &ns.ring.source);
	looks++;
}

struct reactor *uevent_reactor(void)
{
	return events_run ? &reactor : NULL;
}

static inline void run_calls(void)
{
	struct reactor_call *call = reactor.call;

	reactor.call = NULL;
	if (call)
		call->fn(call);
}

static inline void pass_time(uint64_t ns_passed)
{
	reactor.now += ns_passed;
	for (int i = 0; i < 16; i++) {
		struct reactor_timer *timer = reactor.timers[i];

		if (timer && timer->deadline <= reactor.now) {
			reactor_timer_cancel(&reactor, timer);
			timer->fn(timer);
		}
	}
}

/* What is in an SQE: see nvme_command_test.c for the offsets. */
static inline uint64_t raw(unsigned int n, unsigned int offset, unsigned int bytes)
{
	uint64_t v = 0;

	assert_true(n < reactor.nr);
	memcpy(&v, reactor.entry[n].sqe + offset, bytes);
	return v;
}

static inline uint64_t field(unsigned int n, unsigned int offset, unsigned int bytes)
{
	return raw(n, 48 + offset, bytes);
}

static inline uint8_t opcode(unsigned int n) { return (uint8_t)field(n, 0, 1); }
static inline uint64_t lba(unsigned int n) { return field(n, 40, 8); }
static inline uint8_t *data(unsigned int n) { return (uint8_t *)field(n, 24, 8); }

static inline bool fixed(unsigned int n)
{
	return raw(n, 28, 4) & 1;
}

static inline void complete(unsigned int n, int32_t res)
{
	struct uring_op *op = reactor.entry[n].op;

	assert_non_null(op);
	reactor.entry[n].op = NULL;
	op->done(op, res, 0);
}

static inline uint8_t *map_ram(void)
{
	uint8_t *va = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(va != MAP_FAILED);
	return va;
}

static inline int set_up(void **state)
{
	(void)state;
	memset(&reactor, 0, sizeof(reactor));
	looks = 0;
	events_run = false;
	reactor.registered = true;
	reactor.now = 1000 * MS;
	memset(&memory, 0, sizeof(memory));
	low = map_ram();
	high = map_ram();
	assert_int_equal(guest_memory_add(&memory, 0, RAM, low), 0);
	assert_int_equal(guest_memory_add(&memory, HIGH, RAM, high), 0);
	memset(&ns, 0, sizeof(ns));
	ns.ring.ops = &passthrough;
	ns.ring.memory = &memory;
	strcpy(ns.ring.name, "nvme0n1");
	ns.nsid = 1;
	ns.fd = 9;
	ns.ring.info = (struct disk_info){
		.blocks = 0x10000000, .block_size = 512,
		.max_transfer = 131072, .max_ranges = 33, .gap_mask = 4095,
		.range_alignment = 4, .discard_granularity = 1,
		.write_cache = true, .fua = true, .write_zeroes = true,
		.write_zeroes_unmap = true, .compare = true, .verify = true,
		.reservation_types = 0x7e, .reservation_persist = true,
	};
	ns.ring.limit[DISK_VERIFY] = 100;
	memset(ns.host_id, 0x48, sizeof(ns.host_id));
	ns.ring.blocks = ns.ring.info.blocks;
	ns.ring.limit[DISK_DISCARD] = 1000;
	ns.ring.limit[DISK_WRITE_ZEROES] = 256;
	pthread_mutex_init(&ns.ring.queues_lock, NULL);
	return ring_disk_queue_open(&ns.ring.disk, &reactor, 32, &queue);
}

/* Nothing may be left: no hold, no request, no timer. */
static inline int tear_down(void **state)
{
	(void)state;
	assert_int_equal(memory.holds, 0);
	assert_int_equal(queue->outstanding, 0);
	assert_int_equal(queue->pool.nr_free_buffers, 4);
	assert_int_equal(queue->pool.nr_free_lists, 8);
	ring_disk_queue_close(queue);
	assert_null(ns.ring.queues);
	for (int i = 0; i < 16; i++)
		assert_null(reactor.timers[i]);
	munmap(low, RAM);
	munmap(high, RAM);
	return 0;
}

struct ask {
	struct disk_request req; /* first */
	struct gpa_range range[40];
	int status; /* -1: not yet */
};

static inline void asked(struct disk_request *req, enum disk_status status)
{
	struct ask *ask = (struct ask *)req;

	assert_int_equal(ask->status, -1);
	ask->status = (int)status;
}

static inline struct ask *ask(uint8_t op, uint64_t at, uint32_t blocks)
{
	struct ask *a = test_calloc(1, sizeof(*a));

	memset(a->req.backend, 0xee, sizeof(a->req.backend));
	a->req.op = op;
	a->req.lba = at;
	a->req.blocks = blocks;
	a->req.ranges = a->range;
	a->req.done = asked;
	a->status = -1;
	return a;
}

static inline struct ask *ask_data(uint8_t op, uint64_t at, uint64_t gpa, uint32_t len)
{
	struct ask *a = ask(op, at, len / 512);

	a->range[0] = (struct gpa_range){ gpa, len };
	a->req.nr_ranges = 1;
	return a;
}

static inline void submit(struct ask *a)
{
	struct disk_request *req = &a->req;

	ring_disk_submit(queue, &req, 1);
	assert_int_equal(a->status, -1); /* never from inside submit() */
}

static inline void expect(struct ask *a, enum disk_status status)
{
	run_calls();
	assert_int_equal(a->status, status);
	test_free(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
