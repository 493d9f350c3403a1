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
 *
 * The list of rules is sorted, so a rule is found by halves: nothing beside
 * the line in the log, which a refusal costs as well.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "violation_rules.h"

LOG_MODULE("violation");

static struct {
	_Atomic uint64_t sequence;
	struct violation record;
} ring[VIOLATION_KEPT];
static _Atomic uint64_t total;

#define NR_RULES (sizeof(violation_rules) / sizeof(violation_rules[0]))

static _Atomic uint64_t broken[NR_RULES];

static int compare(const void *id, const void *rule)
{
	return strcmp(id, ((const struct violation_rule *)rule)->id);
}

static const struct violation_rule *find(const char *id)
{
	return bsearch(id, violation_rules, NR_RULES,
		       sizeof(violation_rules[0]), compare);
}

void violation_record(const char *object, uint32_t id, uint32_t type,
		      uint32_t offset, uint64_t value, const char *rule)
{
	uint64_t sequence = atomic_fetch_add(&total, 1) + 1;
	unsigned int slot = sequence % VIOLATION_KEPT;
	const struct violation_rule *found = find(rule);
	struct timespec now;

	if (found)
		atomic_fetch_add(&broken[found - violation_rules], 1);
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
	log_warn_limited("%s %u: type %u, offset %u, value %#llx: %s%s%s",
			 object, id, type, offset, (unsigned long long)value,
			 rule, found ? ": " : "", found ? found->text : "");
}

const char *violation_text(const char *id)
{
	const struct violation_rule *found = find(id);

	return found ? found->text : NULL;
}

const char *violation_rule(unsigned int n, uint64_t *count)
{
	if (n >= NR_RULES)
		return NULL;
	*count = atomic_load(&broken[n]);
	return violation_rules[n].id;
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
