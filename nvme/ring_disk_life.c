/* SPDX-License-Identifier: MIT */
/*
 * Life of a ring disk, theory of operation
 *
 * Owns: what a disk is besides its requests: its size, the list of its queues,
 * and whether it is still there.
 *
 *	LIVE --- a command says that there is no device ---> GONE
 *	     --- the kernel says that it removed it ------>
 *
 * GONE is for ever; every request ends in DISK_GONE. The owner is told once,
 * on the reactor of events, whoever noticed it first. One that comes later is
 * told by the end of the self-test's read.
 *
 * Data go straight to guest memory if that is registered with io_uring and
 * the self-test at start found the device there; otherwise all are copied.
 *
 * Threads: init, begin, end and destroy on one thread; events on their
 * reactor; info() and inspect() on any. The list of queues has a lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "ring_disk.h"

LOG_MODULE("nvme");

void ring_disk_init(struct ring_disk *disk, const struct disk_ops *ops,
		    const struct ring_ops *ring_ops,
		    struct guest_memory *memory)
{
	disk->disk.ops = ops;
	disk->ops = ring_ops;
	disk->memory = memory;
	disk->source.fn = ring_disk_event;
	pthread_mutex_init(&disk->queues_lock, NULL);
}

void ring_disk_destroy(struct ring_disk *disk)
{
	pthread_mutex_destroy(&disk->queues_lock);
}

void ring_disk_begin(struct ring_disk *disk)
{
	if (disk->sysfs[0])
		disk->info.deadline_ms = controller_deadline(disk->sysfs);
	atomic_store(&disk->blocks, disk->info.blocks);
	if (!disk->sysfs[0])
		return;
	uevent_subscribe(&disk->source);
	/* It may have changed since we asked for its size. */
	uevent_look(&disk->source);
}

void ring_disk_end(struct ring_disk *disk)
{
	pv_bug(disk->queues, (uintptr_t)disk->queues, 0);
	if (disk->sysfs[0])
		uevent_unsubscribe(&disk->source);
}

void ring_disk_info(struct disk *disk, struct disk_info *info)
{
	struct ring_disk *d = (struct ring_disk *)disk;

	*info = d->info;
	info->blocks = atomic_load(&d->blocks);
}

/* ---- events ---- */

static void tell(struct ring_disk *disk, enum disk_event event)
{
	if (disk->disk.event)
		disk->disk.event(&disk->disk, event);
}

void ring_disk_lost(struct ring_disk *disk)
{
	if (!atomic_exchange(&disk->gone, true))
		log_err("%s is gone: removed", disk->name);
	/* While there is no owner to tell, whoever opens it finds it gone. */
	if (!disk->told_lost && disk->disk.event) {
		disk->told_lost = true;
		tell(disk, DISK_LOST);
	}
}

/* How big is it, and is it there at all? */
static void look_again(struct ring_disk *disk)
{
	uint64_t bytes, blocks;
	int err = controller_size(disk->sysfs, &bytes);

	if (atomic_load(&disk->gone) || err == -ENOENT) {
		ring_disk_lost(disk);
		return;
	}
	/* A device that failed for good has no size before it is removed. */
	blocks = err ? 0 : bytes / disk->info.block_size;
	if (!blocks || blocks == atomic_load(&disk->blocks))
		return;
	atomic_store(&disk->blocks, blocks);
	log_info("%s: now %llu blocks", disk->name,
		 (unsigned long long)blocks);
	tell(disk, DISK_RESIZED);
}

void ring_disk_event(struct uevent_source *source, const struct uevent *event)
{
	struct ring_disk *disk = (struct ring_disk *)((char *)source -
		offsetof(struct ring_disk, source));

	if (!event) {
		look_again(disk);
		if (disk->ops->event && !atomic_load(&disk->gone))
			disk->ops->event(disk, NULL);
	} else if (strcmp(event->subsystem, "block")) {
		if (disk->ops->event)
			disk->ops->event(disk, event);
	} else if (!strcmp(event->name, disk->name)) {
		if (event->action == UEVENT_REMOVE)
			ring_disk_lost(disk);
		else if (event->resized)
			look_again(disk);
	}
}

/* ---- inspect ---- */

static void inspect_queue(const struct disk_queue *queue, struct inspect *out)
{
	static const char *const names[DISK_NR_OPS] = {
		[DISK_READ] = "reads",
		[DISK_WRITE] = "writes",
		[DISK_FLUSH] = "flushes",
		[DISK_DISCARD] = "discards",
		[DISK_WRITE_ZEROES] = "write_zeroes",
		[DISK_COMPARE] = "compares",
		[DISK_VERIFY] = "verifies",
		[DISK_RESERVATION] = "reservations",
	};
	const struct queue_counters *c = &queue->counters;

	inspect_u64(out, "outstanding", queue->outstanding);
	for (unsigned int op = 0; op < DISK_NR_OPS; op++)
		inspect_u64(out, names[op], c->requests[op]);
	inspect_u64(out, "commands", c->commands);
	inspect_u64(out, "direct_bytes", c->direct_bytes);
	inspect_u64(out, "copied_bytes", c->copied_bytes);
	inspect_u64(out, "retries", c->retries);
	inspect_u64(out, "resets", c->resets);
	inspect_u64(out, "errors", c->errors);
	inspect_u64(out, "invalid", c->invalid);
}

void ring_disk_describe(struct ring_disk *disk, struct inspect *out)
{
	unsigned int n = 0;
	char name[16];

	inspect_u64(out, "blocks", atomic_load(&disk->blocks));
	inspect_u64(out, "block_size", disk->info.block_size);
	inspect_u64(out, "max_transfer", disk->info.max_transfer);
	inspect_u64(out, "deadline_ms", disk->info.deadline_ms);
	inspect_bool(out, "gone", atomic_load(&disk->gone));
	inspect_bool(out, "copy_all", atomic_load(&disk->copy_all));
	pthread_mutex_lock(&disk->queues_lock);
	for (struct disk_queue *q = disk->queues; q; q = q->next) {
		snprintf(name, sizeof(name), "queue%u", n++);
		if (inspect_begin(out, name)) {
			inspect_queue(q, out);
			inspect_end(out);
		}
	}
	pthread_mutex_unlock(&disk->queues_lock);
}
