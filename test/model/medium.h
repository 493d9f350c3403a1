/* SPDX-License-Identifier: MIT */
/*
 * What a disk of the host keeps its blocks on: memory or a file.
 *
 * Offsets and lengths are bytes and lie inside the medium (a bug of ours if
 * not). All calls may come from any thread at the same time; they block.
 * Results: 0 or -errno.
 *
 * A medium may have a volatile cache: what is written is there to be read, and
 * durable when it was flushed. Without one everything is durable.
 */
#ifndef MODEL_MEDIUM_H
#define MODEL_MEDIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIUM_BLOCK 512u

struct medium;
struct reservation;

/* The biggest that memory grows to, unless it begins bigger. */
#define MEDIUM_MEMORY_LIMIT (64ull << 30)

/* Memory that reads as zeros until it is written. -ENOMEM. */
int medium_memory(uint64_t size, struct medium **medium);

/* An existing file or block device, locked against a second writer.
 * -EBUSY: somebody has it; -EINVAL: its size is 0 or not whole blocks. */
int medium_file(const char *path, bool read_only, struct medium **medium);

void medium_close(struct medium *medium); /* NULL is harmless */

uint64_t medium_size(const struct medium *medium);
/* Another size; what is cut off is lost, what is new reads as zeros. -EINVAL:
 * 0, not whole blocks, beyond MEDIUM_MEMORY_LIMIT, or it has a cache; -errno of
 * the file. An
 * access that is under way, or comes later, beyond the new end fails or reads
 * zeros. */
int medium_resize(struct medium *medium, uint64_t size);
/* Who may do what with the medium: all controllers that have it share this. */
struct reservation *medium_reservation(struct medium *medium);
int medium_read(struct medium *medium, uint64_t offset, void *to, size_t len);
int medium_write(struct medium *medium, uint64_t offset, const void *from,
		 size_t len);
/* Reads as zeros after this; the space is given back where that is possible. */
int medium_zero(struct medium *medium, uint64_t offset, uint64_t len);
/* All that was written before is durable. */
int medium_flush(struct medium *medium);
/* The same of these bytes alone, which are whole MEDIUM_BLOCKs. */
int medium_settle(struct medium *medium, uint64_t offset, uint64_t len);

/* From now on with a volatile cache; once, before it is in use. -ENOMEM. */
int medium_cache(struct medium *medium);
/* Power is lost: what is not durable is gone, each block (MEDIUM_BLOCK) is as it
 * was when it was settled last. The number of blocks that lost something. */
uint64_t medium_lose(struct medium *medium);

#endif
