/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/namespace.c nvme/controller.c paravisor/sysfs.c nvme/status.c nvme/command.c nvme/passthrough.c nvme/ring_disk.c nvme/ring_disk_life.c nvme/transfer.c nvme/reservation.c nvme/uevent.c nvme/uevent_message.c nvme/host_id.c include/guid.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nvme/namespace.h"
#include "paravisor/reactor.h"

/* Identify data are written as bytes at the specification's offsets (NVM
 * Express Base Specification 2.0, figure 275; NVM Command Set 1.0, figure 97),
 * so that nothing here repeats the library's structures. */
static union {
	struct nvme_id_ctrl ctrl;
	uint8_t b[4096];
} ctrl;
static union {
	struct nvme_id_ns ns;
	uint8_t b[4096];
} id;
static union {
	struct nvme_id_ctrl_nvm nvm;
	uint8_t b[4096];
} nvm;
static struct queue_limits limits;
static struct namespace ns;
static const struct disk_info *const info = &ns.ring.info;

static void put(uint8_t *to, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* 1 GiB of 512-byte blocks, everything optional there. */
static int set_up(void **state)
{
	(void)state;
	memset(&ctrl, 0, sizeof(ctrl));
	memset(&id, 0, sizeof(id));
	memset(&nvm, 0, sizeof(nvm));
	memset(&ns, 0, sizeof(ns));
	memcpy(ctrl.b + 4, "SER 1\x01               ", 20); /* SN */
	put(ctrl.b + 128, 1, 2);	  /* CRDT1 */
	put(ctrl.b + 132, 30, 2);	  /* CRDT3 */
	put(ctrl.b + 96, 1, 4);		  /* CTRATT: 128-bit Host Identifier */
	/* ONCS: Compare, DSM, Write Zeroes, reservations, Verify */
	put(ctrl.b + 520, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 7, 2);
	ctrl.b[525] = 1;		  /* VWC */
	put(ctrl.b + 528, 7, 2);	  /* AWUPF: 8 blocks */
	put(id.b, 0x200000, 8);		  /* NSZE */
	id.b[24] = 1 << 4;		  /* NSFEAT: OPTPERF */
	id.b[25] = 1;			  /* NLBAF: two formats */
	put(id.b + 64, 15, 2);		  /* NPWG: 16 blocks */
	put(id.b + 68, 31, 2);		  /* NPDG: 32 blocks */
	put(id.b + 72, 255, 2);		  /* NOWS: 256 blocks */
	id.b[31] = 0xff;		  /* RESCAP */
	id.b[33] = 1 | 1 << 3;		  /* DLFEAT */
	memset(id.b + 104, 0xa5, 16);	  /* NGUID */
	memset(id.b + 120, 0x5a, 8);	  /* EUI64 */
	put(id.b + 128, 9u << 16, 4);	  /* format 0: 512 bytes */
	put(id.b + 132, 12u << 16, 4);	  /* format 1: 4096 bytes */
	limits = (struct queue_limits){ .max_bytes = 512 * 1024,
					.max_segments = 129,
					.gap_mask = 4095,
					.alignment = 4,
					.discard_bytes = 1ull << 41,
					.zeroes_bytes = 1 << 20 };
	return 0;
}

static const char *describe(void)
{
	memset(&ns, 0, sizeof(ns));
	return namespace_describe(&ns, &ctrl.ctrl, &nvm.nvm, &id.ns, &limits);
}

static void a_disk_is_what_the_device_says(void **state)
{
	static const uint8_t nguid[16] = {
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
		0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
	};

	(void)state;
	assert_null(describe());
	assert_int_equal(info->blocks, 0x200000);
	assert_int_equal(info->block_size, 512);
	assert_int_equal(info->physical_block_size, 4096); /* 16, atomic 8 */
	assert_int_equal(info->max_transfer, 512 * 1024);
	assert_int_equal(info->max_ranges, 129);
	assert_int_equal(info->gap_mask, 4095);
	assert_int_equal(info->range_alignment, 4);
	assert_int_equal(info->discard_granularity, 32);
	assert_true(info->write_zeroes && info->write_cache &&
		    info->fua && !info->read_only && !info->rotational);
	assert_true(info->compare && info->verify &&
		    info->write_zeroes_unmap && info->discard_zeroes);
	assert_int_equal(info->discard_alignment, 0);
	assert_int_equal(info->optimal_transfer, 128 * 1024);
	assert_int_equal(info->reservation_types, 0x7e);
	assert_true(info->reservation_persist);
	assert_int_equal(ns.ring.limit[DISK_VERIFY], 1024);
	assert_string_equal(info->serial, "SER_1_");
	assert_memory_equal(info->nguid, nguid, 16);
	assert_int_equal(info->eui64[7], 0x5a);
	assert_int_equal(ns.ring.limit[DISK_DISCARD], UINT32_MAX);
	assert_int_equal(ns.ring.limit[DISK_WRITE_ZEROES], 2048);
	assert_int_equal(ns.crdt[0], 1);
	assert_int_equal(ns.crdt[1], 0);
	assert_int_equal(ns.crdt[2], 30);
}

static void what_the_device_lacks(void **state)
{
	(void)state;
	put(ctrl.b + 520, 0, 2);
	ctrl.b[525] = 0;
	id.b[24] = 0;
	id.b[99] = 1; /* NSATTR: write protected */
	assert_null(describe());
	assert_int_equal(info->discard_granularity, 0);
	assert_false(info->write_zeroes || info->write_cache ||
		     info->write_zeroes_unmap || info->discard_zeroes ||
		     info->compare || info->verify ||
		     info->reservation_types || info->reservation_persist ||
		     info->optimal_transfer);
	assert_true(info->read_only);
	assert_int_equal(info->physical_block_size, 512);
	/* The device would, the kernel's limits say no. */
	assert_int_equal(set_up(state), 0);
	limits.discard_bytes = limits.zeroes_bytes = 0;
	assert_null(describe());
	assert_int_equal(info->discard_granularity, 0);
	assert_false(info->write_zeroes);
}

static void hints_are_taken_with_care(void **state)
{
	(void)state;
	id.b[33] = 1; /* reads zeroes, but Write Zeroes does not deallocate */
	assert_null(describe());
	assert_true(info->discard_zeroes && !info->write_zeroes_unmap);
	id.b[33] = 2 | 1 << 3; /* reads ones */
	assert_null(describe());
	assert_false(info->discard_zeroes || info->write_zeroes_unmap);
	put(id.b + 68, 7, 2);
	put(id.b + 70, 11, 2); /* NPDA: 12 blocks */
	assert_null(describe());
	assert_int_equal(info->discard_granularity, 24);
	put(id.b + 68, 65535, 2);
	put(id.b + 70, 65535, 2);
	assert_null(describe());
	assert_int_equal(info->discard_granularity, 65536);
	put(id.b + 70, 65534, 2); /* nearly 32 bits */
	assert_null(describe());
	assert_int_equal(info->discard_granularity, 0xffff0000);
	put(id.b + 72, 2047, 2); /* more than a transfer */
	assert_null(describe());
	assert_int_equal(info->optimal_transfer, 0);
	put(id.b + 72, 0, 2);
	put(id.b + 46, 64, 2); /* NOIOB */
	assert_null(describe());
	assert_int_equal(info->optimal_transfer, 32 * 1024);
	put(id.b + 42, 1, 2); /* NABO: atomic units do not start at 0 */
	assert_null(describe());
	assert_int_equal(info->physical_block_size, 512);
	nvm.b[0] = 4; /* VSL: 16 pages */
	assert_null(describe());
	assert_int_equal(ns.ring.limit[DISK_VERIFY], 128);
	put(ctrl.b + 96, 0, 4); /* no Host Identifier as long as ours */
	id.b[31] = 1 << 1;
	assert_null(describe());
	assert_int_equal(info->reservation_types, 0);
	put(ctrl.b + 96, 1, 4);
	assert_null(describe());
	assert_int_equal(info->reservation_types,
			 1 << DISK_WRITE_EXCLUSIVE);
	assert_false(info->reservation_persist);
}

static void formats(void **state)
{
	(void)state;
	id.b[26] = 1; /* FLBAS */
	assert_null(describe());
	assert_int_equal(info->block_size, 4096);
	id.b[26] = 2;
	assert_string_equal(describe(), "FLBAS names a format that exists");
	id.b[25] = 17; /* then bits 6:5 are the upper ones: format 17 */
	id.b[26] = 1 | 1 << 5;
	put(id.b + 128 + 17 * 4, 12u << 16, 4);
	assert_null(describe());
	id.b[26] = 0;
	put(id.b + 128, 8u << 16, 4);
	assert_string_equal(describe(), "blocks have 512 to 4096 bytes");
	put(id.b + 128, 13u << 16, 4);
	assert_string_equal(describe(), "blocks have 512 to 4096 bytes");
	put(id.b + 128, 9u << 16 | 8, 4);
	assert_string_equal(describe(), "blocks have no metadata");
}

static void sizes_that_can_not_be(void **state)
{
	(void)state;
	put(id.b, 0, 8);
	assert_non_null(describe());
	put(id.b, 1ull << 56, 8);
	assert_non_null(describe());
	put(id.b, (1ull << 55) - 1, 8);
	assert_null(describe());
}

static void transfers_fit_into_segments(void **state)
{
	(void)state;
	limits.max_bytes = 8 << 20;
	limits.max_segments = 256;
	assert_null(describe());
	assert_int_equal(info->max_ranges, 256);
	assert_int_equal(info->max_transfer, 255 * 4096);
	limits.max_segments = 1000;
	assert_null(describe());
	assert_int_equal(info->max_transfer, 1 << 20);
	limits.max_segments = 1;
	assert_non_null(describe());
	limits.max_segments = 129;
	limits.gap_mask = 4094;
	assert_non_null(describe());
	limits.gap_mask = 0;
	limits.alignment = 3;
	assert_non_null(describe());
}

/* An absent device costs the time that was asked for and one line. */
static void an_absent_device_is_given_up(void **state)
{
	const struct nvme_config config = { .nsid = 1, .wait_ms = 50 };
	uint64_t before = reactor_now();
	struct guest_memory memory = { 0 };
	struct disk *disk = NULL;

	(void)state;
	assert_int_equal(nvme_open(&config, &memory, &disk), -ETIMEDOUT);
	assert_null(disk);
	assert_in_range(reactor_now() - before, 50000000, 2000000000);
}

/* Events. */

static int told[2];
static int others, missed;

static void other(struct ring_disk *disk, const struct uevent *e)
{
	assert_ptr_equal(disk, &ns.ring);
	if (!e) {
		missed++;
		return;
	}
	assert_string_not_equal(e->subsystem, "block");
	others++;
}

static const struct ring_ops ops = { .event = other };

static void tell(struct disk *disk, enum disk_event event)
{
	assert_ptr_equal(disk, &ns.ring.disk);
	told[event]++;
}

static void write_file(const char *name, const char *text)
{
	char file[SYSFS_PATH_SIZE + 64];
	FILE *f;

	snprintf(file, sizeof(file), "%s/nvme7n2/%s", ns.controller, name);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void write_size(const char *text)
{
	write_file("size", text);
}

static void shell(const char *command)
{
	char line[SYSFS_PATH_SIZE + 64];

	snprintf(line, sizeof(line), "%s %s/nvme7n2", command, ns.controller);
	assert_int_equal(system(line), 0);
}

static void event(const char *action, const char *name, const char *subsystem,
		  const char *more)
{
	char message[512];
	int len = snprintf(message, sizeof(message),
			   "%s@/d/%s%cACTION=%s%cDEVPATH=/d/%s%cSUBSYSTEM=%s"
			   "%c%s", action, name, 0, action, 0, name, 0,
			   subsystem, 0, more);

	uevent_dispatch(message, (size_t)len + 1);
}

static void the_kernel_tells_of_changes(void **state)
{
	char dir[] = "/tmp/nvme_namespace_XXXXXX";
	char queue[SYSFS_PATH_SIZE + 64];

	assert_int_equal(set_up(state), 0);
	assert_null(describe());
	assert_non_null(mkdtemp(dir));
	snprintf(ns.controller, sizeof(ns.controller), "%s/nvme7", dir);
	strcpy(ns.ring.name, "nvme7n2");
	shell("mkdir -p");
	ns.ring.blocks = info->blocks;
	ns.ring.disk.event = tell;
	ns.ring.source.fn = ring_disk_event;
	ns.ring.ops = &ops;
	snprintf(ns.ring.sysfs, sizeof(ns.ring.sysfs), "%s/nvme7n2",
		 ns.controller);
	snprintf(queue, sizeof(queue), "%s/queue", ns.ring.sysfs);
	memset(told, 0, sizeof(told));
	write_file("io_timeout", "30000\n"); /* not here */
	ring_disk_begin(&ns.ring);
	assert_int_equal(info->deadline_ms, 0);
	ring_disk_end(&ns.ring);
	assert_int_equal(mkdir(queue, 0700), 0);
	write_file("queue/io_timeout", "30000\n");
	ring_disk_begin(&ns.ring);
	assert_int_equal(info->deadline_ms, 30000);

	write_size("4194304\n");
	event("change", "nvme7n1", "block", "RESIZE=1"); /* somebody else */
	event("change", "nvme7n2", "bdi", "RESIZE=1");
	event("change", "nvme7n2", "block", "RESIZE=0");
	assert_int_equal(ns.ring.blocks, 0x200000);
	event("change", "nvme7n2", "block", "RESIZE=1");
	assert_int_equal(ns.ring.blocks, 4194304);
	assert_int_equal(told[DISK_RESIZED], 1);
	event("change", "nvme7n2", "block", "RESIZE=1"); /* nothing new */
	write_size("0\n"); /* no size at all is no size */
	event("change", "nvme7n2", "block", "RESIZE=1");
	write_size("what?");
	event("change", "nvme7n2", "block", "RESIZE=1");
	assert_int_equal(ns.ring.blocks, 4194304);
	assert_int_equal(told[DISK_RESIZED], 1);
	assert_int_equal(others, 1);
	event("remove", "nvme7", "nvme", "X=1");
	assert_int_equal(others, 2);
	assert_false(ns.ring.gone);
	/* Whom nobody heard says it again. */
	ns.ring.disk.event = NULL;
	event("remove", "nvme7n2", "block", "X=1");
	assert_true(ns.ring.gone);
	ns.ring.disk.event = tell;
	event("remove", "nvme7n2", "block", "X=1");
	event("remove", "nvme7n2", "block", "X=1");
	assert_true(ns.ring.gone);
	assert_int_equal(told[DISK_LOST], 1);

	/* A command saw it first; and what was missed is seen by looking. */
	ns.ring.told_lost = false;
	ring_disk_event(&ns.ring.source, NULL);
	assert_int_equal(told[DISK_LOST], 2);
	ns.ring.told_lost = false;
	ns.ring.gone = false;
	write_size("8\n");
	ring_disk_event(&ns.ring.source, NULL);
	assert_int_equal(ns.ring.blocks, 8);
	shell("rm -r");
	ring_disk_event(&ns.ring.source, NULL);
	assert_true(ns.ring.gone);
	assert_int_equal(told[DISK_LOST], 3);
	assert_int_equal(missed, 1); /* what is there looks itself, too */
	uevent_unsubscribe(&ns.ring.source);
	rmdir(ns.controller);
	rmdir(dir);
}

/* The controller was reset, and the event that said so was missed. Its device
 * is not here: that ends the attempt at once, which so can be seen. */
static void a_reset_was_missed(void **state)
{
	static const struct ring_ops real = { .event = namespace_event };
	char dir[] = "/tmp/nvme_namespace_XXXXXX";
	struct reactor *r = reactor_create(0);

	assert_int_equal(set_up(state), 0);
	assert_null(describe());
	assert_non_null(mkdtemp(dir));
	snprintf(ns.controller, sizeof(ns.controller), "%s/nvme7", dir);
	snprintf(ns.ring.sysfs, sizeof(ns.ring.sysfs), "%s/nvme7n2",
		 ns.controller);
	shell("mkdir -p");
	write_size("8\n");
	write_file("../state", "live\n");
	ns.ring.ops = &real;
	assert_true(info->reservation_types);
	atomic_store(&ns.host_id_lost, true);
	ring_disk_event(&ns.ring.source, NULL);
	assert_true(ns.host_id_lost); /* there is no reactor to do it */
	assert_int_equal(reactor_open(r, NULL, NULL), 0);
	assert_int_equal(nvme_events_start(r), 0);
	/* It will say so when the reset is over. */
	write_file("../state", "resetting\n");
	ring_disk_event(&ns.ring.source, NULL);
	assert_true(ns.host_id_lost);
	write_file("../state", "live\n");
	ns.ring.info.reservation_types = 0;
	ring_disk_event(&ns.ring.source, NULL);
	assert_true(ns.host_id_lost);
	ns.ring.info.reservation_types = 0x7e;
	ring_disk_event(&ns.ring.source, NULL);
	assert_false(ns.host_id_lost);
	nvme_events_stop();
	reactor_close(r);
	reactor_destroy(r);
	shell("rm -r");
	snprintf(ns.ring.sysfs, sizeof(ns.ring.sysfs), "%s/state",
		 ns.controller);
	unlink(ns.ring.sysfs);
	rmdir(ns.controller);
	rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_is_what_the_device_says),
		TEST(what_the_device_lacks),
		TEST(hints_are_taken_with_care),
		TEST(formats),
		TEST(sizes_that_can_not_be),
		TEST(transfers_fit_into_segments),
		TEST(an_absent_device_is_given_up),
		TEST(the_kernel_tells_of_changes),
		TEST(a_reset_was_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
