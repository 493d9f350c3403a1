/* SPDX-License-Identifier: MIT */
/*
 * Bus, theory of operation
 *
 * Owns: two tables of regions (ports, MMIO), sorted by address, filled before
 * the guest runs; the lock that serialises all devices; counters.
 *
 * An access is looked up by binary search. What is not wholly inside one
 * region is split into bytes, each looked up by itself.
 *
 * Failure answers: an address without a device reads as all ones and swallows
 * writes. That is counted and logged, except where a region without callbacks
 * says that the emptiness is known.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>

#include "bus.h"

LOG_MODULE("bus");

static const char *const space_name[] = { "port", "MMIO" };

void bus_init(struct bus *bus)
{
	pthread_mutexattr_t attr;

	memset(bus, 0, sizeof(*bus));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&bus->lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

void bus_lock(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
}

void bus_unlock(struct bus *bus)
{
	pthread_mutex_unlock(&bus->lock);
}

int bus_add(struct bus *bus, enum bus_space space, struct bus_region *region)
{
	struct bus_region **table = bus->region[space];
	unsigned int n = bus->nr_regions[space], at = 0;

	if (n == BUS_MAX_REGIONS)
		return -ENOSPC;
	while (at < n && table[at]->base < region->base)
		at++;
	if (at && region->base - table[at - 1]->base < table[at - 1]->size)
		return -EEXIST;
	if (at < n && table[at]->base - region->base < region->size)
		return -EEXIST;
	memmove(table + at + 1, table + at, (n - at) * sizeof(*table));
	table[at] = region;
	bus->nr_regions[space] = n + 1;
	return 0;
}

static struct bus_region *find(struct bus *bus, enum bus_space space,
			       uint64_t address, unsigned int size)
{
	unsigned int low = 0, high = bus->nr_regions[space];

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		struct bus_region *r = bus->region[space][middle];

		if (address < r->base) {
			high = middle;
		} else if (address - r->base >= r->size) {
			low = middle + 1;
		} else {
			return size <= r->size - (address - r->base) ? r :
								       NULL;
		}
	}
	return NULL;
}

static uint64_t ones(unsigned int size)
{
	return size == 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

static uint64_t read_locked(struct bus *bus, enum bus_space space,
			    uint64_t address, unsigned int size)
{
	struct bus_region *r = find(bus, space, address, size);
	uint64_t value = 0;

	if (r) {
		r->reads++;
		return r->read ? r->read(r->opaque, address - r->base, size) &
					 ones(size) :
				 ones(size);
	}
	if (size == 1) {
		bus->unknown_reads[space]++;
		log_warn_limited("read of %s %#llx: nobody there",
				 space_name[space],
				 (unsigned long long)address);
		return ones(1);
	}
	for (unsigned int i = 0; i < size; i++)
		value |= read_locked(bus, space, address + i, 1) << (8 * i);
	return value;
}

static void write_locked(struct bus *bus, enum bus_space space,
			 uint64_t address, unsigned int size, uint64_t value)
{
	struct bus_region *r = find(bus, space, address, size);

	if (r) {
		r->writes++;
		if (r->write)
			r->write(r->opaque, address - r->base, size,
				 value & ones(size));
		return;
	}
	if (size == 1) {
		bus->unknown_writes[space]++;
		log_warn_limited("write to %s %#llx: nobody there",
				 space_name[space],
				 (unsigned long long)address);
		return;
	}
	for (unsigned int i = 0; i < size; i++)
		write_locked(bus, space, address + i, 1,
			     value >> (8 * i) & 0xff);
}

uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t address,
		  unsigned int size)
{
	uint64_t value;

	bus_lock(bus);
	value = read_locked(bus, space, address, size);
	bus_unlock(bus);
	return value;
}

void bus_write(struct bus *bus, enum bus_space space, uint64_t address,
	       unsigned int size, uint64_t value)
{
	bus_lock(bus);
	write_locked(bus, space, address, size, value);
	bus_unlock(bus);
}

void bus_eoi(struct bus *bus, uint8_t vector)
{
	bus_lock(bus);
	bus->eois++;
	if (bus->eoi)
		bus->eoi(bus->eoi_opaque, vector);
	bus_unlock(bus);
}

void bus_inspect(struct bus *bus, struct inspect *out)
{
	for (int space = 0; space < BUS_NR_SPACES; space++) {
		if (!inspect_begin(out, space == BUS_PORT ? "ports" : "mmio"))
			continue;
		for (unsigned int i = 0; i < bus->nr_regions[space]; i++) {
			struct bus_region *r = bus->region[space][i];

			if (!r->read || !inspect_begin(out, r->name))
				continue;
			inspect_hex(out, "base", r->base);
			inspect_u64(out, "reads", r->reads);
			inspect_u64(out, "writes", r->writes);
			inspect_end(out);
		}
		inspect_u64(out, "unknown_reads", bus->unknown_reads[space]);
		inspect_u64(out, "unknown_writes", bus->unknown_writes[space]);
		inspect_end(out);
	}
	inspect_u64(out, "eois", bus->eois);
}
