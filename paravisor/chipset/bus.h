/* SPDX-License-Identifier: MIT */
/*
 * The guest's I/O ports and memory-mapped registers: who answers where.
 *
 * Threads: bus_read(), bus_write() and bus_eoi() on any thread. One lock
 * serialises all devices of a bus; a device's callbacks run under it, and
 * whoever reaches a device otherwise (a tty, a pipe) takes it with bus_lock().
 * Between bus_lock() and bus_unlock() a thread may still call bus_read() and
 * bus_write(): so it makes several accesses one (LOCK).
 */
#ifndef CHIPSET_BUS_H
#define CHIPSET_BUS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pv/inspect.h>

enum bus_space { BUS_PORT, BUS_MMIO, BUS_NR_SPACES };

#define BUS_MAX_REGIONS 32 /* per space */

/* Registers of a device, or an address known to be empty (no callbacks: reads
 * are all ones, writes nothing, and nothing is logged). */
struct bus_region {
	uint64_t base, size; /* bytes; base + size does not wrap */
	const char *name;
	/* `offset` is from base; `size` is 1, 2, 4 or 8, wholly inside. */
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned int size);
	void (*write)(void *opaque, uint64_t offset, unsigned int size,
		      uint64_t value);
	void *opaque;
	/* Counters; filled in by the bus. */
	uint64_t reads, writes;
};

struct bus {
	pthread_mutex_t lock;
	struct bus_region *region[BUS_NR_SPACES][BUS_MAX_REGIONS];
	unsigned int nr_regions[BUS_NR_SPACES];
	/* The I/O APIC: a level interrupt with this vector ended. */
	void (*eoi)(void *opaque, uint8_t vector);
	void *eoi_opaque;
	uint64_t unknown_reads[BUS_NR_SPACES], unknown_writes[BUS_NR_SPACES];
	uint64_t eois;
};

void bus_init(struct bus *bus);

/* Before the guest runs. The region is not owned and stays. -EEXIST: overlaps
 * another one; -ENOSPC. */
int bus_add(struct bus *bus, enum bus_space space, struct bus_region *region);

/*
 * One access of 1, 2, 4 or 8 bytes. What lies in one region is one access of
 * its device; what does not is split into bytes, as the bus of a PC does.
 * Nobody there: reads are all ones, writes nothing; counted, and logged with a
 * limit.
 */
uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t address,
		  unsigned int size);
void bus_write(struct bus *bus, enum bus_space space, uint64_t address,
	       unsigned int size, uint64_t value);

void bus_eoi(struct bus *bus, uint8_t vector);

void bus_lock(struct bus *bus);
void bus_unlock(struct bus *bus);

void bus_inspect(struct bus *bus, struct inspect *out);

#endif
