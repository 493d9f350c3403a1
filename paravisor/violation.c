/* SPDX-License-Identifier: MIT */
/*
 * Violations, theory of operation
 *
 * A ring of records. A writer takes the next sequence number with one atomic
 * add, which gives it the slot `sequence % VIOLATION_KEPT`, marks the slot as
 * being written (sequence 0), fills it and publishes the sequence. A reader
 * copies the slot and believes the copy only if the sequence was the wanted
 * one before and after. Two writers share a slot only when one of them was
 * stopped for 256 violations; then the record may be mixed, which a reader
 * cannot see: acceptable for a diagnostic, and it never reads outside.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>
#include <pv/violation.h>

LOG_MODULE("violation");

static struct {
	_Atomic uint64_t sequence;
	struct violation record;
} ring[VIOLATION_KEPT];
static _Atomic uint64_t total;

void violation_record(const char *object, uint32_t id, uint32_t type,
		      uint32_t offset, uint64_t value, const char *rule)
{
	uint64_t sequence = atomic_fetch_add(&total, 1) + 1;
	unsigned int slot = sequence % VIOLATION_KEPT;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store_explicit(&ring[slot].sequence, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	ring[slot].record = (struct violation){
		.sequence = sequence,
		.time = now.tv_sec * 1000000000ull + now.tv_nsec,
		.object = object,
		.id = id,
		.type = type,
		.offset = offset,
		.value = value,
		.rule = rule,
	};
	atomic_store_explicit(&ring[slot].sequence, sequence,
			      memory_order_release);
	log_warn_limited("%s %u: type %u, offset %u, value %#llx: %s", object,
			 id, type, offset, (unsigned long long)value, rule);
}

uint64_t violation_count(void)
{
	return atomic_load(&total);
}

int violation_get(uint64_t sequence, struct violation *out)
{
	unsigned int slot = sequence % VIOLATION_KEPT;

	if (!sequence || atomic_load_explicit(&ring[slot].sequence,
					      memory_order_acquire) != sequence)
		return -ENOENT;
	*out = ring[slot].record;
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&ring[slot].sequence,
				 memory_order_relaxed) != sequence)
		return -ENOENT;
	return 0;
}
