// SPDX-License-Identifier: MIT
/*
 * The disk of a LUN, theory of operation
 *
 * Owns nothing: the disk belongs to the caller, devices of a stripe to the
 * stripe. Devices are opened one after the other; each reads its first block
 * twice, into memory of ours and into the guest's (the self-test), before
 * anything stands on it:
 *
 *	TESTED --- its reads end -------------> of the LUN
 *	       --- SELF_TEST_SECONDS pass ----> GIVEN UP --- they end ---> closed
 *
 * A disk that is given up is the self-test's: its queue has a command under
 * way, so that nobody else could close it.
 *
 * A device may be lost in the meantime, and says so once. Before its self-test
 * begins nobody is told, but then its read says so; from there on it is noted,
 * until all are handed over, in one call of the reactor on which events come.
 *
 * Threads: opening is done on a thread that may wait; the self-test runs on the
 * reactor that is given, and whether it is over or given up is decided there.
 *
 * Failure answers: what was opened is closed, and the reason says which part
 * of the settings it was.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>

#include "nvme/block_device.h"
#include "nvme/nvme.h"
#include "nvme/stripe.h"

#include "main_disk.h"

LOG_MODULE("disk");

#define SELF_TEST_SECONDS 10
#define NS_PER_MS 1000000ull

/* A device on its way to its owner. */
struct opening {
	struct disk *disk; /* NULL: was given up */
	bool lost;	   /* the reactor's */
};

/* ---- the self-test ---- */

struct self_test {
	struct reactor *reactor;
	struct opening *opening;
	struct disk *disk; /* lives longer than that if it is given up */
	struct disk_queue *queue;
	uint64_t gpa;
	int error;
	enum disk_status status;
	bool zero_copy;
	bool over, given_up; /* the reactor's; one of them at most */
	sem_t done;
};

/* The last one to leave. */
static void self_test_free(struct self_test *t)
{
	sem_destroy(&t->done);
	free(t);
}

static void self_test_done(void *arg, enum disk_status status, bool zero_copy)
{
	struct self_test *t = arg;

	t->disk->ops->queue_close(t->queue);
	if (t->given_up) {
		log_warn("a disk that was given up has answered");
		t->disk->ops->close(t->disk);
		self_test_free(t);
		return;
	}
	t->status = status;
	t->zero_copy = zero_copy;
	t->over = true;
	sem_post(&t->done);
}

static void note_event(struct disk *disk, enum disk_event event)
{
	struct opening *opening = disk->owner;

	opening->lost |= event == DISK_LOST;
}

static void self_test_start(void *arg)
{
	struct self_test *t = arg;

	t->disk->owner = t->opening;
	t->disk->event = note_event;
	t->error = t->disk->ops->queue_open(t->disk, t->reactor, 1, &t->queue);
	if (t->error)
		return;
	t->error = disk_self_test(t->queue, t->gpa, self_test_done, t);
	if (t->error)
		t->disk->ops->queue_close(t->queue);
}

struct giving_up {
	struct self_test *test; /* not any more if `given_up` */
	bool given_up;
};

static void give_up(void *arg)
{
	struct giving_up *g = arg;

	/* It may have ended since. */
	g->given_up = !g->test->over;
	g->test->given_up = g->given_up;
	if (g->given_up)
		g->test->disk->event = NULL;
}

static bool wait_in_time(struct self_test *t)
{
	struct giving_up g = { .test = t };
	struct timespec deadline;
	int ret;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += SELF_TEST_SECONDS;
	while ((ret = sem_timedwait(&t->done, &deadline)) && errno == EINTR)
		;
	if (ret)
		reactor_run(t->reactor, give_up, &g);
	return !g.given_up;
}

static int self_test(const struct main_disk_config *config,
		     struct opening *opening)
{
	struct self_test *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->reactor = config->reactor;
	t->opening = opening;
	t->disk = opening->disk;
	t->gpa = config->spare_gpa;
	sem_init(&t->done, 0, 0);
	reactor_run(t->reactor, self_test_start, t);
	err = t->error;
	if (!err && !wait_in_time(t)) {
		log_err("the disk does not answer its first read");
		opening->disk = NULL;
		return -ETIMEDOUT;
	}
	if (!err && t->status == DISK_GONE)
		err = -ENODEV;
	if (!err)
		log_info("disk: %s", t->zero_copy ? "data go without a copy" :
						    "data are copied");
	self_test_free(t);
	return err;
}

/* ---- devices ---- */

static uint32_t ms_left(const struct main_disk_config *config)
{
	uint64_t now = reactor_now();

	return now < config->deadline ?
		       (uint32_t)((config->deadline - now) / NS_PER_MS) : 0;
}

/* Is it the disk that was lost? Its size may be another. */
static bool same_disk(const struct disk_info *a, const struct disk_info *b)
{
	return a->block_size == b->block_size &&
	       !memcmp(a->nguid, b->nguid, sizeof(a->nguid)) &&
	       !memcmp(a->eui64, b->eui64, sizeof(a->eui64)) &&
	       !strcmp(a->serial, b->serial);
}

static int open_nvme(const struct main_disk_config *config,
		     const struct settings_device *device,
		     const struct disk_info *like, struct disk **disk)
{
	struct nvme_config nvme = {
		.device = device->device,
		.nsid = device->unit,
		.like = like,
		.read_only = config->lun->read_only || config->lun->dvd,
		.wait_ms = ms_left(config),
	};

	memcpy(nvme.host_id, config->settings->machine_id.b,
	       sizeof(nvme.host_id));
	return nvme_open(&nvme, config->memory, disk);
}

static int open_scsi(const struct main_disk_config *config,
		     const struct settings_device *device, struct disk **disk)
{
	const struct block_device_config scsi = {
		.controller = device->device,
		.lun = device->unit,
		.read_only = config->lun->read_only || config->lun->dvd,
		.wait_ms = ms_left(config),
	};

	return block_device_open(&scsi, config->memory, disk);
}

/* The rest of the JSON pointer, to device `i` of the LUN. */
static void point_to(const struct main_disk_config *config, unsigned int i,
		     char *why)
{
	const struct settings_lun *lun = config->lun;
	size_t len = (size_t)snprintf(why, SETTINGS_ERROR_SIZE, "/backend%s",
				      lun->dvd ? "/iso" : "");

	if (lun->nr_devices > 1)
		len += (size_t)snprintf(why + len, SETTINGS_ERROR_SIZE - len,
					"/stripe/of/%u", i);
	snprintf(why + len, SETTINGS_ERROR_SIZE - len, "/%s",
		 config->settings->device[lun->first_device + i].kind ==
				 SETTINGS_NVME ? "nvme" : "scsi");
}

static void explain(char *why, int err)
{
	size_t len = strlen(why);

	snprintf(why + len, SETTINGS_ERROR_SIZE - len, ": %s",
		 err == -ETIMEDOUT ? "no such device, or it does not answer" :
				     strerror(-err));
}

static int open_device(const struct main_disk_config *config, unsigned int i,
		       struct opening *opening)
{
	const struct settings_device *device =
		&config->settings->device[config->lun->first_device + i];
	const struct disk_info *like = config->like ? &config->like[i] : NULL;
	struct disk_info info;
	int err = device->kind == SETTINGS_NVME ?
			  open_nvme(config, device, like, &opening->disk) :
			  open_scsi(config, device, &opening->disk);

	if (err)
		return err;
	opening->disk->ops->info(opening->disk, &info);
	if (like && !same_disk(like, &info))
		err = -ENODEV;
	if (!err)
		err = self_test(config, opening);
	if (!err && config->opened)
		config->opened[i] = info;
	if (err && opening->disk)
		opening->disk->ops->close(opening->disk);
	return err;
}

/* ---- the whole ---- */

struct whole {
	const struct main_disk_config *config;
	void *owner;
	struct opening part[STRIPE_MAX_DISKS];
	unsigned int nr_parts;
	struct disk *disk;
	char *why;
	int err;
};

static int open_stripe(struct whole *whole)
{
	const struct settings_lun *lun = whole->config->lun;
	struct stripe_config stripe = {
		.nr_disks = whole->nr_parts,
		.chunk_kib = lun->chunk_kib,
	};
	int err;

	for (unsigned int i = 0; i < whole->nr_parts; i++)
		stripe.disk[i] = whole->part[i].disk;
	err = stripe_open(&stripe, &whole->disk);
	if (!err)
		return 0;
	snprintf(whole->why, SETTINGS_ERROR_SIZE, "/backend%s/stripe/of: %s",
		 lun->dvd ? "/iso" : "",
		 err == -EINVAL ? "the devices must have blocks of one size, "
				  "and equally many" :
				  strerror(-err));
	return err;
}

static int refuse_part(struct whole *whole, unsigned int i, int err)
{
	point_to(whole->config, i, whole->why);
	explain(whole->why, err);
	return err;
}

/* No event comes while it runs. */
static void hand_over(void *arg)
{
	struct whole *whole = arg;

	for (unsigned int i = 0; i < whole->nr_parts; i++) {
		if (whole->part[i].lost) {
			whole->err = refuse_part(whole, i, -ENODEV);
			return;
		}
	}
	if (whole->nr_parts > 1)
		whole->err = open_stripe(whole);
	else
		whole->disk = whole->part[0].disk;
	if (whole->err)
		return;
	whole->disk->owner = whole->owner;
	whole->disk->event = whole->config->event;
}

int main_disk_open(const struct main_disk_config *config, void *owner,
		   struct disk **disk, char *why)
{
	struct whole whole = { .config = config, .owner = owner, .why = why };

	_Static_assert(SETTINGS_MAX_STRIPE == STRIPE_MAX_DISKS, "one limit");
	while (!whole.err && whole.nr_parts < config->lun->nr_devices) {
		unsigned int i = whole.nr_parts;
		int err = open_device(config, i, &whole.part[i]);

		if (err)
			whole.err = refuse_part(&whole, i, err);
		else
			whole.nr_parts++;
	}
	if (!whole.err && whole.nr_parts)
		reactor_run(config->reactor, hand_over, &whole);
	*disk = whole.err ? NULL : whole.disk;
	while (whole.err && whole.nr_parts) {
		struct disk *opened = whole.part[--whole.nr_parts].disk;

		opened->ops->close(opened);
	}
	return whole.err;
}
