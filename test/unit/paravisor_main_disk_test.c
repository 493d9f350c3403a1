/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/main_disk.c nvme/stripe.c nvme/stripe_queue.c nvme/transfer.c nvme/reservation.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c */
/*
 * Disks of LUNs that fail while they are opened: one that does not answer its
 * first read in time, and one that is lost before its owner is told anything.
 * Devices are disks in memory; this file opens them, plays their self-test,
 * and says when the time is over.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nvme/block_device.h"
#include "nvme/nvme.h"
#include "paravisor/disk_memory.h"
#include "paravisor/main_disk.h"
#include "test/unit/reactor_inline.h"

#define MAX_DISKS 4

/* ---- devices, by their number ---- */

enum script {
	ANSWERS,
	HANGS,	       /* for ever, or until answer() */
	ANSWERS_LATE,  /* when the time is over, but before that was seen */
	GONE_BEFORE,   /* nobody is told, the read says so */
	GONE_MEANWHILE /* it is told, but the read had been answered */
};

static struct device {
	enum script script;
	struct disk *disk; /* NULL: not open */
	struct disk_ops ops;
	unsigned int queues;
	void (*done)(void *arg, enum disk_status status, bool zero_copy);
	void *arg;
	bool lose_first; /* when the next one is opened */
} devices[MAX_DISKS];

static const struct disk_ops *memory_ops;
static struct device *testing; /* its queue was opened last */
static struct guest_memory memory;
static struct reactor *reactor;

static struct device *device_of(const struct disk *disk)
{
	for (unsigned int i = 0; i < MAX_DISKS; i++)
		if (devices[i].disk == disk)
			return &devices[i];
	fail_msg("no such disk");
	return NULL;
}

static int queue_open(struct disk *disk, struct reactor *r, unsigned int depth,
		      struct disk_queue **queue)
{
	testing = device_of(disk);
	testing->queues++;
	return memory_ops->queue_open(disk, r, depth, queue);
}

/* Of which disk is not said: tests have one queue at a time, and those of
 * devices that hang. */
static void queue_close(struct disk_queue *queue)
{
	assert_non_null(testing);
	testing->queues--;
	memory_ops->queue_close(queue);
}

static void close_device(struct disk *disk)
{
	struct device *d = device_of(disk);

	assert_int_equal(d->queues, 0);
	d->disk = NULL;
	memory_ops->close(disk);
}

int nvme_open(const struct nvme_config *config, struct guest_memory *of,
	      struct disk **disk)
{
	const struct disk_info info = {
		.blocks = 64, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 128 * 1024, .max_ranges = 33,
		.range_alignment = 4,
	};
	struct device *d = &devices[config->nsid];

	assert_in_range(config->nsid, 0, MAX_DISKS - 1);
	if (config->nsid && devices[config->nsid - 1].lose_first)
		disk_memory_lose(devices[config->nsid - 1].disk);
	assert_null(d->disk);
	*disk = disk_memory_create(of, &info);
	assert_non_null(*disk);
	memory_ops = (*disk)->ops;
	d->disk = *disk;
	d->ops = *memory_ops;
	d->ops.queue_open = queue_open;
	d->ops.queue_close = queue_close;
	d->ops.close = close_device;
	d->disk->ops = &d->ops;
	return 0;
}

int block_device_open(const struct block_device_config *config,
		      struct guest_memory *of, struct disk **disk)
{
	(void)config;
	(void)of;
	(void)disk;
	return -ETIMEDOUT;
}

static void answer(struct device *d, enum disk_status status)
{
	testing = d;
	d->done(d->arg, status, status == DISK_OK);
}

int disk_self_test(struct disk_queue *queue, uint64_t gpa,
		   void (*done)(void *arg, enum disk_status status,
				bool zero_copy), void *arg)
{
	(void)queue;
	(void)gpa;
	testing->done = done;
	testing->arg = arg;
	return 0;
}

/* Here the test waits for the device: in no time at all. */
int sem_timedwait(sem_t *sem, const struct timespec *until)
{
	struct device *d = testing;
	bool late = d->script == HANGS || d->script == ANSWERS_LATE;

	assert_true(until->tv_sec > 0);
	if (d->script == GONE_MEANWHILE)
		disk_memory_lose(d->disk);
	if (d->script != HANGS)
		answer(d, d->script == GONE_BEFORE ? DISK_GONE : DISK_OK);
	if (!late)
		return sem_wait(sem);
	errno = ETIMEDOUT;
	return -1;
}

/* ---- the owner ---- */

static unsigned int told[2];
static int owner;

static void event(struct disk *disk, enum disk_event what)
{
	assert_ptr_equal(disk->owner, &owner);
	told[what]++;
}

static char why[SETTINGS_ERROR_SIZE];

/* A LUN on the first `nr` devices. */
static int open_lun(unsigned int nr, struct disk **disk)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	const struct settings_lun lun = {
		.nr_devices = (uint16_t)nr, .chunk_kib = 4,
	};
	const struct main_disk_config config = {
		.settings = settings, .lun = &lun, .memory = &memory,
		.reactor = reactor, .event = event,
	};
	int ret;

	assert_non_null(settings);
	for (unsigned int i = 0; i < nr; i++)
		settings->device[i] = (struct settings_device){
			.kind = SETTINGS_NVME, .unit = i };
	memset(why, 0, sizeof(why));
	ret = main_disk_open(&config, &owner, disk, why);
	free(settings);
	return ret;
}

static int set_up(void **state)
{
	(void)state;
	memset(devices, 0, sizeof(devices));
	memset(told, 0, sizeof(told));
	reactor = reactor_inline_create();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < MAX_DISKS; i++)
		assert_null(devices[i].disk);
	reactor_inline_destroy(reactor);
	return 0;
}

/* ---- cases ---- */

static void good_disks_tell_their_owner(void **state)
{
	struct disk *disk;

	(void)state;
	for (unsigned int nr = 1; nr <= 3; nr++) {
		memset(told, 0, sizeof(told));
		assert_int_equal(open_lun(nr, &disk), 0);
		disk_memory_resize(devices[nr - 1].disk, 32);
		assert_int_equal(told[DISK_RESIZED], 1);
		disk_memory_lose(devices[nr - 1].disk);
		assert_int_equal(told[DISK_LOST], 1);
		disk->ops->close(disk);
	}
}

/* Its command is under way: it is closed when that ends, whoever waits. */
static void a_disk_that_does_not_answer(void **state)
{
	struct disk *disk;

	(void)state;
	devices[1].script = HANGS;
	assert_int_equal(open_lun(3, &disk), -ETIMEDOUT);
	assert_string_equal(why, "/backend/stripe/of/1/nvme: no such device, "
			    "or it does not answer");
	assert_null(devices[0].disk);
	assert_null(devices[2].disk);
	assert_non_null(devices[1].disk);
	assert_int_equal(devices[1].queues, 1);
	/* Nobody is there whom it could be told. */
	disk_memory_lose(devices[1].disk);
	answer(&devices[1], DISK_GONE);
	assert_int_equal(told[DISK_LOST], 0);
}

static void an_answer_in_the_last_moment(void **state)
{
	struct disk *disk;

	(void)state;
	devices[0].script = ANSWERS_LATE;
	assert_int_equal(open_lun(1, &disk), 0);
	assert_int_equal(devices[0].queues, 0);
	disk->ops->close(disk);
}

/* A disk that is gone can not be read, and no guest is shown it. */
static void a_disk_that_is_lost_meanwhile(void **state)
{
	struct disk *disk;

	(void)state;
	devices[0].script = GONE_BEFORE;
	assert_int_equal(open_lun(1, &disk), -ENODEV);
	assert_string_equal(why, "/backend/nvme: No such device");
	devices[0].script = GONE_MEANWHILE;
	assert_int_equal(open_lun(1, &disk), -ENODEV);
	assert_string_equal(why, "/backend/nvme: No such device");
	assert_int_equal(told[DISK_LOST], 0);
}

/* While the others are tested: before there is a stripe. */
static void a_part_that_is_lost_meanwhile(void **state)
{
	struct disk *disk;

	(void)state;
	devices[1].lose_first = true;
	assert_int_equal(open_lun(3, &disk), -ENODEV);
	assert_string_equal(why, "/backend/stripe/of/1/nvme: No such device");
	assert_int_equal(told[DISK_LOST], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_disks_tell_their_owner),
		TEST(a_disk_that_does_not_answer),
		TEST(an_answer_in_the_last_moment),
		TEST(a_disk_that_is_lost_meanwhile),
		TEST(a_part_that_is_lost_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
