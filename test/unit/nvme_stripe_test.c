/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/stripe.c nvme/stripe_queue.c nvme/transfer.c nvme/reservation.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c test/unit/reactor_inline.c */
/* A stripe over memory disks, against a plain array. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>
#include <pv/uring.h>

#include "nvme/stripe.h"
#include "paravisor/disk_memory.h"
#include "test/unit/reactor_inline.h"

#define RAM (1u << 20)
#define PER_DISK 1030u /* blocks: the last chunk is not whole */
#define DEPTH 24u

static _Alignas(4096) uint8_t ram[RAM];
static struct guest_memory memory;
static struct reactor *r;
static struct disk *disk, *child[STRIPE_MAX_DISKS];
static struct disk_queue *queue;
static unsigned int nr_disks, chunk; /* blocks */
static uint8_t *want;
static uint64_t blocks;

/* transfer.c can do more than a stripe needs. */
int uring_buffer(const struct reactor *reactor, const void *va, uint64_t len)
{
	(void)reactor;
	(void)va;
	(void)len;
	return -EFAULT;
}

static struct disk_info plain(void)
{
	return (struct disk_info){
		.blocks = PER_DISK, .block_size = 512,
		.physical_block_size = 512, .max_transfer = 256 * 1024,
		.max_ranges = 65, .gap_mask = 0, .range_alignment = 4,
		.discard_granularity = 8, .optimal_transfer = 0,
		.write_cache = true, .fua = true, .write_zeroes = true,
		.write_zeroes_unmap = true, .discard_zeroes = true,
		.compare = true, .verify = true, .reservation_types = 0x7e,
		.serial = "FIRST", .nguid = { 1 },
	};
}

static void open_stripe(unsigned int nr, unsigned int kib)
{
	struct stripe_config config = { .nr_disks = nr, .chunk_kib = kib };
	struct disk_info info = plain();

	memset(&memory, 0, sizeof(memory));
	assert_int_equal(guest_memory_add(&memory, 0, RAM, ram), 0);
	for (unsigned int i = 0; i < nr; i++)
		config.disk[i] = child[i] = disk_memory_create(&memory, &info);
	nr_disks = nr;
	chunk = kib * 2;
	assert_int_equal(stripe_open(&config, &disk), 0);
	r = reactor_inline_create();
	assert_int_equal(disk->ops->queue_open(disk, r, DEPTH, &queue), 0);
	disk->ops->info(disk, &info);
	blocks = info.blocks;
	assert_int_equal(blocks, PER_DISK / chunk * chunk * nr);
	want = calloc(blocks, 512);
}

static void close_stripe(void)
{
	disk->ops->queue_close(queue);
	disk->ops->close(disk);
	reactor_inline_destroy(r);
	free(want);
}

struct ask {
	struct disk_request req; /* first */
	struct gpa_range range[65];
	int status;
};

static void asked(struct disk_request *req, enum disk_status status)
{
	struct ask *a = (struct ask *)req;

	assert_int_equal(a->status, -1);
	a->status = (int)status;
}

static struct ask ask(uint8_t op, uint64_t lba, uint32_t nr)
{
	return (struct ask){ .req = { .op = op, .lba = lba, .blocks = nr,
				      .done = asked }, .status = -1 };
}

static enum disk_status run(struct ask *a)
{
	struct disk_request *req = &a->req;

	if (a->req.nr_ranges)
		a->req.ranges = a->range;
	disk->ops->submit(queue, &req, 1);
	assert_int_equal(a->status, -1);
	reactor_inline_drain();
	assert_true(a->status >= 0);
	return (enum disk_status)a->status;
}

static enum disk_status one(uint8_t op, uint64_t lba, uint64_t gpa,
			    uint32_t nr)
{
	struct ask a = ask(op, lba, nr);

	a.range[0] = (struct gpa_range){ gpa, nr * 512 };
	a.req.nr_ranges = 1;
	return run(&a);
}

static enum disk_status tell(uint8_t op, uint64_t lba, uint32_t nr)
{
	struct ask a = ask(op, lba, nr);

	return run(&a);
}

/* What a disk holds, read from itself. */
static void read_child(unsigned int i, uint64_t lba, uint8_t *to)
{
	struct disk_request *req;
	struct disk_queue *q;
	struct ask a = ask(DISK_READ, lba, 1);

	assert_int_equal(child[i]->ops->queue_open(child[i], r, 1, &q), 0);
	a.req.buffer = to;
	req = &a.req;
	child[i]->ops->submit(q, &req, 1);
	reactor_inline_drain();
	assert_int_equal(a.status, DISK_OK);
	child[i]->ops->queue_close(q);
}

/* The stripe's blocks are its disks', dealt out in chunks. */
static void check_interleave(void)
{
	static _Alignas(4096) uint8_t block[512];

	for (uint64_t lba = 0; lba < blocks; lba++) {
		uint64_t c = lba / chunk;

		read_child((unsigned int)(c % nr_disks),
			   c / nr_disks * chunk + lba % chunk, block);
		assert_memory_equal(block, want + lba * 512, 512);
	}
}

/* ---- random requests ---- */

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(seed >> 8) * n >> 24);
}

/* Some ranges of 4 bytes and more, which do not overlap. Returns bytes. */
static void deal_ranges(struct ask *a, uint32_t base, uint32_t room)
{
	uint32_t left = a->req.blocks * 512, at = base, spare = room - left;

	while (left) {
		bool last = a->req.nr_ranges == 64;
		uint32_t len = last || !dice(3) ? left :
			       4 + dice((left + 3) / 4) * 4;
		uint32_t skip = dice(spare / 8 + 1) / 4 * 4;

		len = len > left ? left : len;
		at += skip;
		spare -= skip;
		a->range[a->req.nr_ranges++] = (struct gpa_range){ at, len };
		at += len;
		left -= len;
	}
	a->req.ranges = a->range;
}

static void gather(const struct ask *a, uint8_t *to, bool back)
{
	for (unsigned int i = 0; i < a->req.nr_ranges; i++) {
		uint8_t *at = ram + a->range[i].gpa;

		memcpy(back ? at : to, back ? to : at, a->range[i].len);
		to += a->range[i].len;
	}
}

static struct ask many[DEPTH];
static uint8_t data[256 * 1024];

/* Prepares a request on blocks [from, from + n) and what must become of it. */
static enum disk_status deal(struct ask *a, uint64_t from, uint32_t n,
			     uint32_t base, uint32_t room)
{
	static const uint8_t ops[] = { DISK_READ, DISK_READ, DISK_WRITE,
				       DISK_WRITE, DISK_WRITE, DISK_COMPARE,
				       DISK_DISCARD, DISK_WRITE_ZEROES,
				       DISK_VERIFY, DISK_FLUSH };
	uint8_t op = ops[dice(sizeof(ops))];

	*a = ask(op, from, n);
	switch (op) {
	case DISK_READ:
		deal_ranges(a, base, room);
		memset(ram + base, 0xee, room);
		break;
	case DISK_WRITE:
		deal_ranges(a, base, room);
		for (uint32_t i = 0; i < room; i++)
			ram[base + i] = (uint8_t)dice(256);
		gather(a, want + from * 512, false);
		a->req.flags = dice(2) ? DISK_FUA : 0;
		break;
	case DISK_COMPARE:
		deal_ranges(a, base, room);
		gather(a, want + from * 512, true);
		if (dice(2)) {
			ram[a->range[dice(a->req.nr_ranges)].gpa] ^= 1;
			return DISK_MISCOMPARE;
		}
		break;
	case DISK_WRITE_ZEROES:
		a->req.flags = dice(2) ? DISK_UNMAP : 0;
		/* fall through */
	case DISK_DISCARD:
		memset(want + from * 512, 0, n * 512);
		break;
	}
	return DISK_OK;
}

/* Batches of requests on blocks of their own, so that order is nothing. */
static void round_of_requests(void)
{
	struct disk_request *reqs[DEPTH];
	enum disk_status expect[DEPTH];
	unsigned int n = 1 + dice(DEPTH);
	uint64_t share = blocks / n;
	uint32_t room = RAM / n / 4096 * 4096;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t most = share < 512 ? (uint32_t)share : 512;
		uint32_t len;

		if (most > room / 512)
			most = room / 512;
		len = 1 + dice(most);
		expect[i] = deal(&many[i], i * share + dice((uint32_t)share -
				 len + 1), len, i * room, room);
		reqs[i] = &many[i].req;
	}
	disk->ops->submit(queue, reqs, n);
	reactor_inline_drain();
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(many[i].status, expect[i]);
		if (many[i].req.op != DISK_READ)
			continue;
		gather(&many[i], data, false);
		assert_memory_equal(data, want + many[i].req.lba * 512,
				    many[i].req.blocks * 512);
	}
}

static void random_requests(void **state)
{
	static const struct {
		unsigned int nr, kib;
	} shapes[] = { { 2, 4 }, { 3, 4 }, { 16, 8 }, { 5, 64 }, { 2, 256 } };

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		seed = (uint32_t)i + 1;
		open_stripe(shapes[i].nr, shapes[i].kib);
		for (unsigned int k = 0; k < 60; k++)
			round_of_requests();
		check_interleave();
		close_stripe();
	}
}

/* ---- cases ---- */

static void what_it_says(void **state)
{
	struct disk_info info;

	(void)state;
	open_stripe(3, 4);
	disk->ops->info(disk, &info);
	assert_int_equal(info.block_size, 512);
	assert_int_equal(info.max_transfer, 256 * 1024);
	assert_int_equal(info.gap_mask, 3); /* alignment, where it is cut */
	assert_int_equal(info.discard_granularity, 8);
	assert_int_equal(info.optimal_transfer, 12 * 1024);
	assert_int_equal(info.reservation_types, 0);
	assert_int_equal(info.nguid[0], 0);
	assert_string_equal(info.serial, "FIRST");
	assert_true(info.compare && info.verify && info.write_zeroes &&
		    info.write_zeroes_unmap && info.fua && info.write_cache);
	assert_int_equal(tell(DISK_RESERVATION, 0, 0), DISK_UNSUPPORTED);
	assert_int_equal(one(DISK_READ, blocks, 0, 1), DISK_OUT_OF_RANGE);
	assert_int_equal(one(DISK_READ, blocks - 1, 0, 1), DISK_OK);
	assert_int_equal(one(DISK_READ, 0, 0, 513), DISK_INVALID);
	assert_int_equal(tell(DISK_DISCARD, 5, 0), DISK_OK);
	close_stripe();
}

static uint64_t counter(const char *name, unsigned int i)
{
	char path[64], json[256];

	snprintf(path, sizeof(path), "stripe/disk%u/%s", i, name);
	assert_true(inspect_render(path, 1, json, sizeof(json)) > 0);
	return strtoull(json, NULL, 10);
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	disk->ops->inspect(disk, out);
}

static struct inspect_entry entry = { "stripe", describe, NULL, NULL };

/* One part per disk, or per chunk, and none for who has nothing of it. */
static void parts_are_few(void **state)
{
	(void)state;
	open_stripe(4, 4);
	inspect_register(&entry);
	assert_int_equal(tell(DISK_DISCARD, 0, (uint32_t)blocks), DISK_OK);
	assert_int_equal(tell(DISK_FLUSH, 0, 0), DISK_OK);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(counter("discards", i), 1);
		assert_int_equal(counter("flushes", i), 1);
	}
	assert_int_equal(tell(DISK_VERIFY, 12, 8), DISK_OK);
	assert_int_equal(counter("verifies", 0), 0);
	assert_int_equal(counter("verifies", 1), 1);
	assert_int_equal(counter("verifies", 2), 1);
	assert_int_equal(counter("verifies", 3), 0);
	assert_int_equal(one(DISK_WRITE, 7, 0, 10), DISK_OK);
	assert_int_equal(counter("writes", 0), 1);
	assert_int_equal(counter("writes", 1), 1);
	assert_int_equal(counter("writes", 2), 1);
	assert_int_equal(counter("writes", 3), 0);
	close_stripe();
}

/* More parts than there are: requests wait, and all end. */
static void parts_run_out(void **state)
{
	struct disk_request *reqs[DEPTH];

	(void)state;
	open_stripe(2, 4);
	for (unsigned int i = 0; i < DEPTH; i++) {
		many[i] = ask(DISK_WRITE, 3, 512);
		many[i].range[0] = (struct gpa_range){ 0, 512 * 512 };
		many[i].req.ranges = many[i].range;
		many[i].req.nr_ranges = 1;
		reqs[i] = &many[i].req;
	}
	disk->ops->submit(queue, reqs, DEPTH);
	reactor_inline_drain();
	for (unsigned int i = 0; i < DEPTH; i++)
		assert_int_equal(many[i].status, DISK_OK);
	close_stripe();
}

/* The data of a request may lie in memory of ours. */
static void buffers_are_cut(void **state)
{
	struct ask a = ask(DISK_WRITE, 5, 40), b = ask(DISK_READ, 5, 40);
	static _Alignas(4096) uint8_t from[40 * 512], to[40 * 512];

	(void)state;
	open_stripe(3, 4);
	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 31 + (i >> 9));
	a.req.buffer = from;
	assert_int_equal(run(&a), DISK_OK);
	b.req.buffer = to;
	assert_int_equal(run(&b), DISK_OK);
	assert_memory_equal(from, to, sizeof(to));
	memcpy(want + 5 * 512, from, sizeof(from));
	check_interleave();
	close_stripe();
}

static int told[2];

static void told_of(struct disk *d, enum disk_event event)
{
	assert_ptr_equal(d, disk);
	told[event]++;
}

static void events_pass(void **state)
{
	struct disk_info info;

	(void)state;
	open_stripe(2, 4);
	memset(told, 0, sizeof(told));
	disk->event = told_of;
	disk_memory_resize(child[0], 1029); /* not a chunk less */
	assert_int_equal(told[DISK_RESIZED], 0);
	disk_memory_resize(child[1], 801);
	assert_int_equal(told[DISK_RESIZED], 1);
	disk->ops->info(disk, &info);
	assert_int_equal(info.blocks, 1600);
	assert_int_equal(one(DISK_READ, 1599, 0, 1), DISK_OK);
	assert_int_equal(one(DISK_READ, 1599, 0, 2), DISK_OUT_OF_RANGE);
	disk_memory_resize(child[1], 1030);
	assert_int_equal(told[DISK_RESIZED], 2);
	disk_memory_lose(child[1]);
	disk_memory_lose(child[0]);
	assert_int_equal(told[DISK_LOST], 1);
	assert_int_equal(one(DISK_READ, 0, 0, 1), DISK_GONE);
	assert_int_equal(tell(DISK_FLUSH, 0, 0), DISK_GONE);
	close_stripe();
}

/* A part that fails is the whole's end, and what comes after it goes on. */
static void the_worst_wins(void **state)
{
	struct disk_request *reqs[3];

	(void)state;
	open_stripe(2, 4);
	/* Only the disk knows: the stripe was not told. */
	child[1]->event = NULL;
	disk_memory_resize(child[1], 8);
	for (unsigned int i = 0; i < 3; i++) {
		many[i] = ask(DISK_READ, i == 1 ? 0 : 64 * i, i == 2 ? 8 : 512);
		many[i].range[0] = (struct gpa_range){ 0,
						many[i].req.blocks * 512 };
		many[i].req.ranges = many[i].range;
		many[i].req.nr_ranges = 1;
		reqs[i] = &many[i].req;
	}
	disk->ops->submit(queue, reqs, 3);
	reactor_inline_drain();
	assert_int_equal(many[0].status, DISK_OUT_OF_RANGE);
	assert_int_equal(many[1].status, DISK_OUT_OF_RANGE);
	assert_int_equal(many[2].status, DISK_OK);
	disk_memory_lose(child[1]);
	assert_int_equal(one(DISK_READ, 0, 0, 32), DISK_GONE);
	assert_int_equal(one(DISK_READ, 0, 0, 8), DISK_OK);
	close_stripe();
}

static int try(struct disk_info a, struct disk_info b, unsigned int nr,
	       uint32_t kib)
{
	struct stripe_config config = { .nr_disks = nr, .chunk_kib = kib };
	struct disk *none = NULL;
	int err;

	config.disk[0] = disk_memory_create(&memory, &a);
	for (unsigned int i = 1; i < STRIPE_MAX_DISKS; i++)
		config.disk[i] = disk_memory_create(&memory, &b);
	err = stripe_open(&config, &none);
	if (!err)
		none->ops->close(none);
	else
		assert_null(none);
	for (unsigned int i = err ? 0 : nr; i < STRIPE_MAX_DISKS; i++)
		config.disk[i]->ops->close(config.disk[i]);
	return err;
}

static void disks_that_do_not_fit(void **state)
{
	struct disk_info a = plain(), b = plain();

	(void)state;
	memset(&memory, 0, sizeof(memory));
	assert_int_equal(try(a, b, 2, 4), 0);
	assert_int_equal(try(a, b, 16, 256), 0);
	assert_int_equal(try(a, b, 1, 4), -EINVAL);
	assert_int_equal(try(a, b, 17, 4), -EINVAL);
	assert_int_equal(try(a, b, 2, 2), -EINVAL);
	assert_int_equal(try(a, b, 2, 12), -EINVAL);
	assert_int_equal(try(a, b, 2, 2048), -EINVAL);
	assert_int_equal(try(a, b, 2, 1024), -EINVAL); /* not one chunk */
	b.blocks++;
	assert_int_equal(try(a, b, 2, 4), -EINVAL);
	b = plain();
	b.block_size = 4096;
	assert_int_equal(try(a, b, 2, 4), -EINVAL);
	b = plain();
	b.range_alignment = 1024;
	assert_int_equal(try(a, b, 2, 4), -EINVAL);
}

/* Two different disks can what both can. */
static void the_least_of_all(void **state)
{
	struct stripe_config config = { .nr_disks = 2, .chunk_kib = 4 };
	struct disk_info a = plain(), b = plain(), info;

	(void)state;
	memset(&memory, 0, sizeof(memory));
	b.physical_block_size = 4096;
	b.max_transfer = 65536;
	b.max_ranges = 17;
	b.gap_mask = 4095;
	a.deadline_ms = 30000;
	b.deadline_ms = 60000;
	b.discard_granularity = 32; /* four chunks of a disk */
	b.compare = b.fua = b.write_zeroes_unmap = false;
	b.read_only = b.rotational = true;
	config.disk[0] = disk_memory_create(&memory, &a);
	config.disk[1] = disk_memory_create(&memory, &b);
	assert_int_equal(stripe_open(&config, &disk), 0);
	disk->ops->info(disk, &info);
	assert_int_equal(info.physical_block_size, 4096);
	assert_int_equal(info.max_transfer, 65536);
	assert_int_equal(info.max_ranges, 17);
	assert_int_equal(info.gap_mask, 4095);
	assert_int_equal(info.deadline_ms, 60000);
	assert_int_equal(info.discard_granularity, 64);
	assert_false(info.compare || info.fua || info.write_zeroes_unmap);
	assert_true(info.read_only && info.rotational && info.verify);
	disk->ops->close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_requests),
		cmocka_unit_test(what_it_says),
		cmocka_unit_test(parts_are_few),
		cmocka_unit_test(parts_run_out),
		cmocka_unit_test(buffers_are_cut),
		cmocka_unit_test(events_pass),
		cmocka_unit_test(the_worst_wins),
		cmocka_unit_test(disks_that_do_not_fit),
		cmocka_unit_test(the_least_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
