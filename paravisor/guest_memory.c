/* SPDX-License-Identifier: MIT */
/*
 * Guest memory, theory of operation
 *
 * A table of at most eight ranges, ascending, maps guest physical addresses
 * to this process. It is filled before the guest runs and never changes, so
 * look-ups need no lock. One look-up is a scan: real guests have one or two
 * ranges (below and above the hole under 4 GiB).
 *
 * Arithmetic is arranged so that no sum can wrap: an address is first placed
 * inside a range, then the length is compared with what is left of it.
 *
 * This file is where `__guest` pointers are made; it and the copies through a
 * hold, which the header has because a ring lives on them, are where they are
 * dereferenced. Copies are memcpy(): the bytes may change under it, which is
 * why everyone else only ever sees the copy. Aligned words are copied by one
 * load or store, because ring indexes must not tear.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <pv/guest_memory.h>
#include <pv/log.h>

int guest_memory_add(struct guest_memory *gm, uint64_t gpa, uint64_t size,
		     void *va)
{
	unsigned int n = gm->nr_ranges;

	if ((gpa | size) % GUEST_PAGE_SIZE || !size || gpa + size < gpa)
		return -EINVAL;
	if (n && gpa < gm->range[n - 1].gpa + gm->range[n - 1].size)
		return -EINVAL;
	if (n == GUEST_MEMORY_MAX_RANGES)
		return -ENOSPC;
	gm->range[n].gpa = gpa;
	gm->range[n].size = size;
	gm->range[n].va = va;
	gm->nr_ranges = n + 1;
	return 0;
}

/* Host address of `gpa` and in *left how many bytes follow it in its range;
 * NULL when it is no RAM. */
static uint8_t *find(const struct guest_memory *gm, uint64_t gpa,
		     uint64_t *left)
{
	for (unsigned int i = 0; i < gm->nr_ranges; i++) {
		uint64_t offset = gpa - gm->range[i].gpa;

		if (gpa >= gm->range[i].gpa && offset < gm->range[i].size) {
			*left = gm->range[i].size - offset;
			return gm->range[i].va + offset;
		}
	}
	return NULL;
}

static bool covered(const struct guest_memory *gm, uint64_t gpa, size_t len)
{
	uint64_t left;

	while (len) {
		if (!find(gm, gpa, &left))
			return false;
		if (left >= len)
			return true;
		len -= left;
		gpa += left;
	}
	return true;
}

int guest_memory_read(const struct guest_memory *gm, uint64_t gpa, void *to,
		      size_t len)
{
	uint8_t *out = to;

	if (!covered(gm, gpa, len))
		return -EFAULT;
	while (len) {
		uint64_t left = 0;
		const uint8_t *from = find(gm, gpa, &left);
		size_t n = left < len ? left : len;

		memcpy(out, from, n);
		out += n;
		gpa += n;
		len -= n;
	}
	return 0;
}

int guest_memory_write(const struct guest_memory *gm, uint64_t gpa,
		       const void *from, size_t len)
{
	const uint8_t *in = from;

	if (!covered(gm, gpa, len))
		return -EFAULT;
	while (len) {
		uint64_t left = 0;
		uint8_t *to = find(gm, gpa, &left);
		size_t n = left < len ? left : len;

		memcpy(to, in, n);
		in += n;
		gpa += n;
		len -= n;
	}
	return 0;
}

bool guest_memory_good(const struct guest_memory *gm, struct gpa_range range)
{
	for (unsigned int i = 0; i < gm->nr_ranges; i++) {
		/* Wraps below the range, to more than any size. */
		uint64_t offset = range.gpa - gm->range[i].gpa;

		if (offset < gm->range[i].size)
			return range.len <= gm->range[i].size - offset;
	}
	return !range.len;
}

int guest_memory_hold(struct guest_memory *gm, struct gpa_range range,
		      struct guest_hold *hold)
{
	uint64_t left;
	uint8_t *va = find(gm, range.gpa, &left);

	if (!va || left < range.len)
		return -EFAULT;
	hold->va = (__guest_force void __guest *)va;
	hold->len = range.len;
	atomic_fetch_add_explicit(&gm->holds, 1, memory_order_relaxed);
	return 0;
}

void guest_memory_drop(struct guest_memory *gm, struct guest_hold *hold)
{
	uint_fast64_t before;

	before = atomic_fetch_sub_explicit(&gm->holds, 1,
					   memory_order_release);
	pv_bug(before == 0 || !hold->va, before, (uintptr_t)gm);
	hold->va = NULL;
	hold->len = 0;
}
