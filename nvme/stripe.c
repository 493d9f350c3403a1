/* SPDX-License-Identifier: MIT */
/*
 * Stripe, theory of operation
 *
 * Owns: the disks: what they can do together, and what happens to them. What
 * happens to requests: stripe_queue.c.
 *
 *	LIVE --- one of the disks is lost ---> GONE, for ever
 *
 * Threads: stripe_open() and close() on one thread, info() and inspect() on
 * any. Events come one at a time, by a lock: the disks' backends may have
 * different reactors for them.
 *
 * Failure answers: disks that do not fit together are refused with a line.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "stripe_queue.h"

LOG_MODULE("stripe");

#define MIN_CHUNK_KIB 4
#define MAX_CHUNK_KIB 1024

static void stripe_info(struct disk *disk, struct disk_info *info)
{
	struct stripe *s = (struct stripe *)disk;

	*info = s->info;
	info->blocks = s->blocks;
}

static void inspect_queues(struct stripe *s, struct inspect *out)
{
	unsigned int n = 0;
	char name[16];

	pthread_mutex_lock(&s->queues_lock);
	for (struct disk_queue *q = s->queues; q; q = q->next) {
		snprintf(name, sizeof(name), "queue%u", n++);
		if (!inspect_begin(out, name))
			continue;
		inspect_u64(out, "outstanding", q->outstanding);
		inspect_u64(out, "requests", q->requests);
		inspect_u64(out, "parts", q->sent_parts);
		inspect_u64(out, "waits", q->waits);
		inspect_u64(out, "errors", q->errors);
		inspect_end(out);
	}
	pthread_mutex_unlock(&s->queues_lock);
}

static void stripe_inspect(struct disk *disk, struct inspect *out)
{
	struct stripe *s = (struct stripe *)disk;
	char name[16];

	inspect_u64(out, "blocks", s->blocks);
	inspect_u64(out, "chunk", s->chunk);
	inspect_bool(out, "gone", s->gone);
	inspect_queues(s, out);
	for (unsigned int i = 0; i < s->nr; i++) {
		snprintf(name, sizeof(name), "disk%u", i);
		if (inspect_begin(out, name)) {
			if (s->child[i]->ops->inspect)
				s->child[i]->ops->inspect(s->child[i], out);
			inspect_end(out);
		}
	}
}

static void stripe_close(struct disk *disk)
{
	struct stripe *s = (struct stripe *)disk;

	for (unsigned int i = 0; i < s->nr; i++)
		s->child[i]->ops->close(s->child[i]);
	pthread_mutex_destroy(&s->queues_lock);
	pthread_mutex_destroy(&s->event_lock);
	free(s);
}

static const struct disk_ops stripe_ops = {
	.name = "stripe",
	.info = stripe_info,
	.queue_open = stripe_queue_open,
	.queue_close = stripe_queue_close,
	.submit = stripe_submit,
	.inspect = stripe_inspect,
	.close = stripe_close,
};

/* ---- events ---- */

/* Whole chunks of the smallest disk, on all of them. */
static uint64_t blocks_now(const struct stripe *s)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < s->nr; i++) {
		struct disk_info info;

		s->child[i]->ops->info(s->child[i], &info);
		least = info.blocks < least ? info.blocks : least;
	}
	return least / s->chunk * s->chunk * s->nr;
}

static void child_event(struct disk *child, enum disk_event event)
{
	struct stripe *s = child->owner;
	bool tell;

	pthread_mutex_lock(&s->event_lock);
	if (event == DISK_LOST) {
		tell = !atomic_exchange(&s->gone, true);
	} else {
		uint64_t blocks = blocks_now(s);

		tell = blocks != s->blocks;
		s->blocks = blocks;
	}
	if (tell && s->disk.event)
		s->disk.event(&s->disk, event);
	pthread_mutex_unlock(&s->event_lock);
}

/* ---- opening ---- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* What two disks can together; `a` is the result. */
static const char *combine(struct disk_info *a, const struct disk_info *b)
{
	if (a->block_size != b->block_size)
		return "blocks of the same size";
	if (a->blocks != b->blocks)
		return "the same number of blocks";
	a->physical_block_size = larger(a->physical_block_size,
					b->physical_block_size);
	a->max_transfer = smaller(a->max_transfer, b->max_transfer);
	a->max_ranges = smaller(a->max_ranges, b->max_ranges);
	/* One that says none may take any time. */
	a->deadline_ms = !a->deadline_ms || !b->deadline_ms ? 0 :
			 larger(a->deadline_ms, b->deadline_ms);
	a->gap_mask |= b->gap_mask;
	a->range_alignment = larger(a->range_alignment, b->range_alignment);
	if (!b->discard_granularity)
		a->discard_granularity = 0;
	else if (a->discard_granularity)
		a->discard_granularity = larger(a->discard_granularity,
						b->discard_granularity);
	if (a->discard_alignment != b->discard_alignment)
		a->discard_alignment = 0;
	a->read_only |= b->read_only;
	a->write_cache |= b->write_cache;
	a->rotational |= b->rotational;
	a->fua &= b->fua;
	a->write_zeroes &= b->write_zeroes;
	a->write_zeroes_unmap &= b->write_zeroes_unmap;
	a->discard_zeroes &= b->discard_zeroes;
	a->compare &= b->compare;
	a->verify &= b->verify;
	return NULL;
}

/*
 * Units of discards: inside of chunks they stay what they are; those that are
 * several chunks of a disk are as many of all disks. Others fit nowhere, and
 * are a hint that nobody can follow.
 */
static void stripe_discard(struct disk_info *info, uint32_t chunk,
			   unsigned int nr)
{
	uint32_t unit = info->discard_granularity;

	if (!unit || chunk % unit == 0)
		return;
	if (unit % chunk || info->discard_alignment % chunk ||
	    (uint64_t)unit * nr > UINT32_MAX) {
		info->discard_alignment = 0;
		return;
	}
	info->discard_granularity = unit * nr;
	info->discard_alignment *= nr;
}

static const char *describe(struct stripe *s, uint32_t chunk_bytes)
{
	struct disk_info *info = &s->info;
	const char *wrong = NULL;

	s->child[0]->ops->info(s->child[0], info);
	for (unsigned int i = 1; !wrong && i < s->nr; i++) {
		struct disk_info other;

		s->child[i]->ops->info(s->child[i], &other);
		wrong = combine(info, &other);
	}
	if (wrong)
		return wrong;
	if (info->range_alignment > info->block_size)
		return "ranges that may begin at any block";
	s->chunk = chunk_bytes / info->block_size;
	s->blocks = info->blocks / s->chunk * s->chunk * s->nr;
	if (!s->blocks || info->blocks > UINT64_MAX / s->nr)
		return "at least a chunk, and no more than 64 bits of blocks";
	info->blocks = s->blocks;
	/* Chunks are cut where ranges are not: there, too, alignment holds. */
	info->gap_mask |= info->range_alignment - 1;
	stripe_discard(info, s->chunk, s->nr);
	info->optimal_transfer = 0;
	for (uint32_t n = s->nr; n && !info->optimal_transfer; n = n > 1)
		if ((uint64_t)chunk_bytes * n <= info->max_transfer)
			info->optimal_transfer = chunk_bytes * n;
	info->reservation_types = 0;
	info->reservation_persist = false;
	memset(info->nguid, 0, sizeof(info->nguid));
	memset(info->eui64, 0, sizeof(info->eui64));
	return NULL;
}

static const char *check_config(const struct stripe_config *config)
{
	if (config->nr_disks < STRIPE_MIN_DISKS ||
	    config->nr_disks > STRIPE_MAX_DISKS)
		return "2 to 16 disks";
	if (config->chunk_kib < MIN_CHUNK_KIB ||
	    config->chunk_kib > MAX_CHUNK_KIB ||
	    config->chunk_kib & (config->chunk_kib - 1))
		return "a chunk_kib that is a power of two from 4 to 1024";
	return NULL;
}

int stripe_open(const struct stripe_config *config, struct disk **disk)
{
	const char *needs = check_config(config);
	struct stripe *s;

	if (needs) {
		log_err("a stripe needs %s", needs);
		return -EINVAL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->disk.ops = &stripe_ops;
	s->nr = config->nr_disks;
	memcpy(s->child, config->disk, s->nr * sizeof(s->child[0]));
	needs = describe(s, config->chunk_kib * 1024);
	if (needs) {
		log_err("a stripe needs disks with %s", needs);
		free(s);
		return -EINVAL;
	}
	pthread_mutex_init(&s->event_lock, NULL);
	pthread_mutex_init(&s->queues_lock, NULL);
	for (unsigned int i = 0; i < s->nr; i++) {
		s->child[i]->owner = s;
		s->child[i]->event = child_event;
	}
	/* They may have changed since they were asked. */
	s->blocks = blocks_now(s);
	*disk = &s->disk;
	return 0;
}
