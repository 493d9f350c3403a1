// SPDX-License-Identifier: MIT
/*
 * Medium, theory of operation
 *
 * Memory is an anonymous mapping without reservation: pages come with the
 * first write. It lies at the beginning of so much address space as it may
 * grow to, because other threads use it while it does; what was opened once
 * stays open when it shrinks. A file is used through the page cache with
 * pread(2) and pwrite(2); flush is fdatasync(2). Zeroing punches a hole; a file
 * system or device that cannot do that gets zeros written.
 *
 * A file is held with flock(2): shared if it is only read, else exclusive.
 *
 * The volatile cache is memory of the medium's size in front of it, without
 * reservation, and a bit for each block that is in it. Writes stop there; a
 * flush carries them on. Nothing but a flush makes a block durable, which is
 * the worst that a real cache may do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "medium.h"
#include "reservation.h"

#define ZERO_CHUNK 65536u
#define PAGE_SIZE 4096ull

struct medium {
	_Atomic uint64_t size;
	uint8_t *memory; /* or */
	int fd;
	uint64_t space, open; /* of memory: reserved, and usable so far */
	struct reservation reservation;

	pthread_mutex_t cache_lock; /* of all below */
	uint8_t *cache;		    /* NULL: none */
	uint64_t cache_size;
	uint8_t *dirty; /* a bit for each block */
};

static struct medium *allocate(void)
{
	struct medium *medium = calloc(1, sizeof(*medium));

	if (medium) {
		medium->fd = -1;
		pthread_mutex_init(&medium->reservation.lock, NULL);
		pthread_mutex_init(&medium->cache_lock, NULL);
	}
	return medium;
}

static uint64_t whole_pages(uint64_t size)
{
	return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static int open_memory(struct medium *m, uint64_t size)
{
	size = whole_pages(size);
	if (size <= m->open)
		return 0;
	if (mprotect(m->memory + m->open, size - m->open,
		     PROT_READ | PROT_WRITE) < 0)
		return -errno;
	m->open = size;
	return 0;
}

int medium_memory(uint64_t size, struct medium **medium)
{
	struct medium *m = allocate();

	if (!m)
		return -ENOMEM;
	m->size = size;
	m->space = size > MEDIUM_MEMORY_LIMIT ? whole_pages(size) :
						MEDIUM_MEMORY_LIMIT;
	m->memory = mmap(NULL, m->space, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->memory == MAP_FAILED)
		m->memory = NULL;
	if (!m->memory || open_memory(m, size)) {
		medium_close(m);
		return -ENOMEM;
	}
	*medium = m;
	return 0;
}

static int lock_file(int fd, bool read_only)
{
	if (!flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return 0;
	/* A file system without locks is as good as it gets. */
	return errno == EWOULDBLOCK ? -EBUSY : 0;
}

int medium_file(const char *path, bool read_only, struct medium **medium)
{
	struct medium *m = allocate();
	off_t size;
	int err = 0;

	if (!m)
		return -ENOMEM;
	m->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (m->fd < 0) {
		err = -errno;
		goto out_close;
	}
	err = lock_file(m->fd, read_only);
	if (err)
		goto out_close;
	size = lseek(m->fd, 0, SEEK_END);
	if (size <= 0 || size % MEDIUM_BLOCK) {
		err = size < 0 ? -errno : -EINVAL;
		goto out_close;
	}
	m->size = (uint64_t)size;
	*medium = m;
	return 0;

out_close:
	medium_close(m);
	return err;
}

void medium_close(struct medium *medium)
{
	if (!medium)
		return;
	if (medium->memory)
		munmap(medium->memory, medium->space);
	if (medium->fd >= 0)
		close(medium->fd);
	if (medium->cache)
		munmap(medium->cache, medium->cache_size);
	free(medium->dirty);
	pthread_mutex_destroy(&medium->cache_lock);
	pthread_mutex_destroy(&medium->reservation.lock);
	free(medium);
}

struct reservation *medium_reservation(struct medium *medium)
{
	return &medium->reservation;
}

uint64_t medium_size(const struct medium *medium)
{
	return medium->size;
}

/* ---- what lies behind a cache ---- */

static int back_read(struct medium *medium, uint64_t offset, void *to,
		     size_t len)
{
	uint8_t *at = to;
	ssize_t n;

	if (medium->memory) {
		memcpy(to, medium->memory + offset, len);
		return 0;
	}
	for (; len; at += n, offset += n, len -= n) {
		n = pread(medium->fd, at, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

static int back_write(struct medium *medium, uint64_t offset, const void *from,
		      size_t len)
{
	const uint8_t *at = from;
	ssize_t n;

	if (medium->memory) {
		memcpy(medium->memory + offset, from, len);
		return 0;
	}
	for (; len; at += n, offset += n, len -= n) {
		n = pwrite(medium->fd, at, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
	}
	return 0;
}

/* Whole pages go back to the kernel and come again as zeros. */
static void zero_memory(uint8_t *memory, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len;
	uint64_t first = (offset + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	uint64_t last = end & ~(PAGE_SIZE - 1);

	if (first >= last || madvise(memory + first, last - first,
				     MADV_DONTNEED) < 0) {
		memset(memory + offset, 0, len);
		return;
	}
	memset(memory + offset, 0, first - offset);
	memset(memory + last, 0, end - last);
}

static int back_zero(struct medium *medium, uint64_t offset, uint64_t len)
{
	static const uint8_t zeros[ZERO_CHUNK];
	int err = 0;

	if (medium->memory) {
		zero_memory(medium->memory, offset, len);
		return 0;
	}
	if (!fallocate(medium->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       (off_t)offset, (off_t)len))
		return 0;
	while (!err && len) {
		size_t n = len < sizeof(zeros) ? len : sizeof(zeros);

		err = back_write(medium, offset, zeros, n);
		offset += n;
		len -= n;
	}
	return err;
}

static int back_flush(struct medium *medium)
{
	if (medium->memory)
		return 0;
	return fdatasync(medium->fd) < 0 ? -errno : 0;
}

/* ---- the cache ---- */

int medium_cache(struct medium *medium)
{
	uint64_t blocks = medium->size / MEDIUM_BLOCK;

	medium->dirty = calloc(1, blocks / 8 + 1);
	if (!medium->dirty)
		return -ENOMEM;
	medium->cache = mmap(NULL, medium->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
	if (medium->cache == MAP_FAILED) {
		medium->cache = NULL;
		return -ENOMEM;
	}
	medium->cache_size = medium->size;
	return 0;
}

static bool is_dirty(const struct medium *medium, uint64_t block)
{
	return medium->dirty[block / 8] >> block % 8 & 1;
}

/* Blocks of MEDIUM_BLOCK from `offset` on that are alike, `len` bytes at most:
 * so many bytes. */
static size_t alike(const struct medium *medium, uint64_t offset, uint64_t len)
{
	uint64_t first = offset / MEDIUM_BLOCK, block = first;
	uint64_t end = (offset + len + MEDIUM_BLOCK - 1) / MEDIUM_BLOCK;

	while (block < end && is_dirty(medium, block) == is_dirty(medium, first))
		block++;
	return block == end ? len : block * MEDIUM_BLOCK - offset;
}

static void mark(struct medium *medium, uint64_t offset, uint64_t len,
		 bool dirty)
{
	for (uint64_t b = offset / MEDIUM_BLOCK;
	     b < (offset + len) / MEDIUM_BLOCK; b++)
		if (dirty)
			medium->dirty[b / 8] |= (uint8_t)(1u << b % 8);
		else
			medium->dirty[b / 8] &= (uint8_t)~(1u << b % 8);
}

/* A piece of a command's data may end inside of a block: the rest of it comes
 * into the cache first. */
static int fetch_ragged(struct medium *medium, uint64_t offset, uint64_t len)
{
	const uint64_t ends[] = { offset, offset + len };
	int err = 0;

	for (unsigned int i = 0; !err && i < 2; i++) {
		uint64_t start = ends[i] / MEDIUM_BLOCK * MEDIUM_BLOCK;

		if (ends[i] == start || is_dirty(medium, start / MEDIUM_BLOCK))
			continue;
		err = back_read(medium, start, medium->cache + start,
				MEDIUM_BLOCK);
		mark(medium, start, MEDIUM_BLOCK, true);
	}
	return err;
}

/* NULL: zeros. */
static int cache_write(struct medium *medium, uint64_t offset, const void *from,
		       uint64_t len)
{
	uint64_t end = offset + len;
	int err;

	pthread_mutex_lock(&medium->cache_lock);
	err = fetch_ragged(medium, offset, len);
	if (!err) {
		if (from)
			memcpy(medium->cache + offset, from, len);
		else
			memset(medium->cache + offset, 0, len);
		offset = offset / MEDIUM_BLOCK * MEDIUM_BLOCK;
		end = (end + MEDIUM_BLOCK - 1) / MEDIUM_BLOCK * MEDIUM_BLOCK;
		mark(medium, offset, end - offset, true);
	}
	pthread_mutex_unlock(&medium->cache_lock);
	return err;
}

static int cache_read(struct medium *medium, uint64_t offset, uint8_t *to,
		      uint64_t len)
{
	int err = 0;

	pthread_mutex_lock(&medium->cache_lock);
	while (!err && len) {
		size_t n = alike(medium, offset, len);

		if (is_dirty(medium, offset / MEDIUM_BLOCK))
			memcpy(to, medium->cache + offset, n);
		else
			err = back_read(medium, offset, to, n);
		offset += n;
		to += n;
		len -= n;
	}
	pthread_mutex_unlock(&medium->cache_lock);
	return err;
}

static int cache_settle(struct medium *medium, uint64_t offset, uint64_t len)
{
	int err = 0;

	pthread_mutex_lock(&medium->cache_lock);
	while (!err && len) {
		size_t n = alike(medium, offset, len);

		if (is_dirty(medium, offset / MEDIUM_BLOCK)) {
			err = back_write(medium, offset,
					 medium->cache + offset, n);
			mark(medium, offset, n, err != 0);
		}
		offset += n;
		len -= n;
	}
	pthread_mutex_unlock(&medium->cache_lock);
	return err;
}

uint64_t medium_lose(struct medium *medium)
{
	uint64_t lost = 0;

	if (!medium->cache)
		return 0;
	pthread_mutex_lock(&medium->cache_lock);
	for (uint64_t b = 0; b < medium->cache_size / MEDIUM_BLOCK; b++)
		lost += is_dirty(medium, b);
	mark(medium, 0, medium->cache_size, false);
	pthread_mutex_unlock(&medium->cache_lock);
	return lost;
}

/* ---- both ---- */

int medium_read(struct medium *medium, uint64_t offset, void *to, size_t len)
{
	return medium->cache ? cache_read(medium, offset, to, len) :
			       back_read(medium, offset, to, len);
}

int medium_write(struct medium *medium, uint64_t offset, const void *from,
		 size_t len)
{
	return medium->cache ? cache_write(medium, offset, from, len) :
			       back_write(medium, offset, from, len);
}

int medium_zero(struct medium *medium, uint64_t offset, uint64_t len)
{
	return medium->cache ? cache_write(medium, offset, NULL, len) :
			       back_zero(medium, offset, len);
}

int medium_settle(struct medium *medium, uint64_t offset, uint64_t len)
{
	int err = medium->cache ? cache_settle(medium, offset, len) : 0;

	return err ? err : back_flush(medium);
}

int medium_flush(struct medium *medium)
{
	return medium_settle(medium, 0, medium->cache_size);
}

int medium_resize(struct medium *medium, uint64_t size)
{
	uint64_t old = medium->size;
	int err;

	if (!size || size % MEDIUM_BLOCK || medium->cache ||
	    (medium->memory && size > medium->space))
		return -EINVAL;
	if (!medium->memory && ftruncate(medium->fd, (off_t)size) < 0)
		return -errno;
	if (medium->memory) {
		err = open_memory(medium, size);
		if (err)
			return err;
		if (size < old)
			zero_memory(medium->memory, size, old - size);
	}
	medium->size = size;
	return 0;
}
