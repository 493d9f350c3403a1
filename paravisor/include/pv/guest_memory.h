/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: the only way to touch memory that somebody hostile can write.
 *
 * Guest RAM is a few ranges of guest physical addresses (GPAs), each mapped
 * once, at start, to a fixed virtual address. Every address that comes from a
 * guest is a `struct gpa_range`; it becomes usable in one of two ways:
 *
 *   copy    guest_memory_read() and guest_memory_write() check and copy. What
 *           was copied is private: validate the copy, use the copy.
 *   hold    guest_memory_hold() checks once and gives a `__guest` pointer that
 *           stays valid until guest_memory_drop(). The bytes behind it may
 *           change at any time; sparse refuses to dereference it. Rings and
 *           device DMA use holds.
 *
 * A range is good when all of it lies in guest RAM; it may cross from one RAM
 * range into the next only by copy. No call faults, blocks or allocates.
 *
 * Threads: the table is filled before the guest runs and is constant after;
 * all other calls are lock-free on any thread. Holds are counted, so that a
 * later save can wait until nothing points into the guest.
 */
#ifndef PV_GUEST_MEMORY_H
#define PV_GUEST_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pv/log.h>

#ifdef __CHECKER__
#define __guest __attribute__((noderef, address_space(__guest)))
#define __guest_force __attribute__((force))
#else
#define __guest
#define __guest_force
#endif

#define GUEST_PAGE_SHIFT 12
#define GUEST_PAGE_SIZE (1u << GUEST_PAGE_SHIFT)
#define GUEST_MEMORY_MAX_RANGES 8

struct gpa_range {
	uint64_t gpa;
	uint32_t len; /* bytes; 0 is legal and always good */
};

struct guest_memory {
	unsigned int nr_ranges;
	struct {
		uint64_t gpa;
		uint64_t size;
		uint8_t *va;
	} range[GUEST_MEMORY_MAX_RANGES]; /* ascending, disjoint */
	atomic_uint_fast64_t holds;
};

struct guest_hold {
	void __guest *va;
	uint32_t len;
};

/* Adds RAM mapped at `va`. -EINVAL: unaligned to pages, overlapping or below
 * the last range; -ENOSPC: table full. Before the guest runs only. */
int guest_memory_add(struct guest_memory *gm, uint64_t gpa, uint64_t size,
		     void *va);

/* Copies `len` bytes. 0, or -EFAULT with nothing copied when any byte is
 * outside guest RAM. Bytes racing with the guest are copied in any order. */
int guest_memory_read(const struct guest_memory *gm, uint64_t gpa, void *to,
		      size_t len);
int guest_memory_write(const struct guest_memory *gm, uint64_t gpa,
		       const void *from, size_t len);

/* Address of [gpa, gpa + len) inside one range, or -EFAULT. */
int guest_memory_hold(struct guest_memory *gm, struct gpa_range range,
		      struct guest_hold *hold);
void guest_memory_drop(struct guest_memory *gm, struct guest_hold *hold);

/* True when all of the range is guest RAM in one mapping: what a backend may
 * give to a device. */
bool guest_memory_good(const struct guest_memory *gm, struct gpa_range range);

/* Copies through a hold; offset + len must lie inside it (a bug of ours if
 * not). Aligned 4-byte loads and stores are single accesses. */
static inline void guest_hold_read(const struct guest_hold *hold,
				   uint32_t offset, void *to, uint32_t len);
static inline void guest_hold_write(const struct guest_hold *hold,
				    uint32_t offset, const void *from,
				    uint32_t len);

/* ---- private ---- */

static inline uint8_t *guest_hold_inside(const struct guest_hold *hold,
					 uint32_t offset, uint32_t len)
{
	pv_bug(offset > hold->len || len > hold->len - offset, offset, len);
	return (__guest_force uint8_t *)hold->va + offset;
}

static inline void guest_hold_read(const struct guest_hold *hold,
				   uint32_t offset, void *to, uint32_t len)
{
	const uint8_t *from = guest_hold_inside(hold, offset, len);

	if (len == 4 && (uintptr_t)from % 4 == 0) {
		uint32_t word = __atomic_load_n((const uint32_t *)from,
						__ATOMIC_ACQUIRE);

		memcpy(to, &word, 4);
	} else {
		memcpy(to, from, len);
	}
}

static inline void guest_hold_write(const struct guest_hold *hold,
				    uint32_t offset, const void *from,
				    uint32_t len)
{
	uint8_t *to = guest_hold_inside(hold, offset, len);

	if (len == 4 && (uintptr_t)to % 4 == 0) {
		uint32_t word;

		memcpy(&word, from, 4);
		__atomic_store_n((uint32_t *)to, word, __ATOMIC_RELEASE);
	} else {
		memcpy(to, from, len);
	}
}

#endif
