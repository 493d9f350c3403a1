// SPDX-License-Identifier: MIT
/*
 * The black box's format, read without trust.
 *
 * Each section is checked against the file's size when it is asked for, and so
 * is each item against its section; numbers are copied out before they are
 * looked at. Work is bounded by the file: a ring is walked over its slots and
 * not over its numbers, which may be anything.
 */
#include <errno.h>
#include <string.h>

#include "pvctl_blackbox.h"

/* The least an item of a kind has. */
static uint32_t least(enum blackbox_kind kind)
{
	switch (kind) {
	case BLACKBOX_RAMOOPS_DUMP:
	case BLACKBOX_RAMOOPS_CONSOLE:
		return sizeof(struct ramoops_zone);
	case BLACKBOX_FAILURE:
		return sizeof(struct blackbox_failure);
	case BLACKBOX_LOG:
	case BLACKBOX_VMBUS:
		return sizeof(struct blackbox_record);
	case BLACKBOX_NAMES:
		return BLACKBOX_NAME_SIZE;
	default:
		return sizeof(struct blackbox_exits) +
		       sizeof(struct blackbox_exit);
	}
}

struct blackbox_items blackbox_view_items(const struct blackbox_view *v,
					  enum blackbox_kind kind)
{
	const struct blackbox_header *h = (const void *)v->bytes;
	uint32_t sections = le32_to_cpu(h->nr_sections);

	for (uint32_t i = 0; i < sections && i < BLACKBOX_MAX_SECTIONS; i++) {
		const struct blackbox_section *s = &h->section[i];
		size_t offset = le32_to_cpu(s->offset);
		size_t bytes = le32_to_cpu(s->bytes);
		uint32_t stride = le32_to_cpu(s->stride);

		if (le32_to_cpu(s->kind) != kind || offset > v->size ||
		    bytes > v->size - offset || stride < least(kind))
			continue;
		return (struct blackbox_items){ v->bytes + offset,
						(uint32_t)(bytes / stride),
						stride };
	}
	return (struct blackbox_items){ NULL, 0, 0 };
}

/* ---- rings of records ---- */

static bool record_at(struct blackbox_items ring, uint64_t slot,
		      struct blackbox_record *out)
{
	memcpy(out, ring.at + slot * ring.stride, sizeof(*out));
	return le64_to_cpu(out->sequence) &&
	       le64_to_cpu(out->sequence) % ring.nr == slot;
}

uint64_t blackbox_view_newest(struct blackbox_items ring)
{
	uint64_t newest = 0;

	for (uint32_t i = 0; i < ring.nr; i++) {
		struct blackbox_record r;

		if (record_at(ring, i, &r) && le64_to_cpu(r.sequence) > newest)
			newest = le64_to_cpu(r.sequence);
	}
	return newest;
}

bool blackbox_view_entry(struct blackbox_items ring, uint64_t number,
			 struct blackbox_entry *out)
{
	uint32_t room = ring.stride - (uint32_t)sizeof(struct blackbox_record);
	struct blackbox_record r;

	if (!ring.nr || !record_at(ring, number % ring.nr, &r) ||
	    le64_to_cpu(r.sequence) != number)
		return false;
	*out = (struct blackbox_entry){
		.number = number,
		.ns = le64_to_cpu(r.ns),
		.kind = le16_to_cpu(r.kind),
		.vp = le16_to_cpu(r.vp),
		.bytes = le32_to_cpu(r.bytes),
		.data = ring.at + number % ring.nr * ring.stride + sizeof(r),
	};
	out->len = out->bytes < room ? out->bytes : room;
	return true;
}

/* ---- zones, failures, names ---- */

bool blackbox_view_zone(struct blackbox_items zones, uint32_t n,
			struct blackbox_text *out)
{
	const char *data;
	struct ramoops_zone zone;
	uint32_t start, size;

	if (n >= zones.nr)
		return false;
	data = (const char *)zones.at + (size_t)n * zones.stride;
	memcpy(&zone, data, sizeof(zone));
	start = le32_to_cpu(zone.start);
	size = le32_to_cpu(zone.size);
	if (le32_to_cpu(zone.magic) != RAMOOPS_ZONE_MAGIC || !size ||
	    size > zones.stride - sizeof(zone) || start > size)
		return false;
	data += sizeof(zone);
	*out = (struct blackbox_text){ { data + start, data },
				       { size - start, start } };
	return true;
}

bool blackbox_view_failure(struct blackbox_items failures, uint32_t kind,
			   struct blackbox_failure_view *out)
{
	struct blackbox_failure f;
	const uint8_t *at;

	if (kind >= failures.nr)
		return false;
	at = failures.at + (size_t)kind * failures.stride;
	memcpy(&f, at, sizeof(f));
	if (le32_to_cpu(f.state) == BLACKBOX_EMPTY)
		return false;
	*out = (struct blackbox_failure_view){
		.ns = le64_to_cpu(f.ns),
		.address = le64_to_cpu(f.address),
		.signal = le32_to_cpu(f.signal),
		.code = le32_to_cpu(f.code),
		.thread = le32_to_cpu(f.thread),
		.written = le32_to_cpu(f.state) == BLACKBOX_WRITTEN,
		.stack_words = le32_to_cpu(f.stack_words),
		.bytes = le32_to_cpu(f.bytes),
		.text = (const char *)at +
			offsetof(struct blackbox_failure, text),
	};
	out->len = out->bytes < sizeof(f.text) ? out->bytes : sizeof(f.text);
	if (out->stack_words > BLACKBOX_STACK_WORDS)
		out->stack_words = BLACKBOX_STACK_WORDS;
	for (unsigned int i = 0; i < BLACKBOX_REGISTERS; i++)
		out->registers[i] = le64_to_cpu(f.registers[i]);
	for (unsigned int i = 0; i < out->stack_words; i++)
		out->stack[i] = le64_to_cpu(f.stack[i]);
	return true;
}

void blackbox_view_name(struct blackbox_items names, uint32_t n,
			char out[BLACKBOX_NAME_SIZE])
{
	size_t len = 0;

	if (n < names.nr) {
		const char *name = (const char *)names.at +
				   (size_t)n * names.stride;

		for (; len < BLACKBOX_NAME_SIZE - 1 && name[len] > ' ' &&
		       name[len] < 0x7f; len++)
			out[len] = name[len];
	}
	if (!len)
		out[len++] = '?';
	out[len] = '\0';
}

/* ---- exits ---- */

static uint64_t to_ns(const struct blackbox_view *v, uint64_t ticks)
{
	if (!v->rate_ticks)
		return 0;
	return (uint64_t)((unsigned __int128)ticks * v->rate_ns /
			  v->rate_ticks);
}

static bool trace_at(struct blackbox_items rings, uint32_t vp,
		     struct blackbox_exits *out)
{
	if (vp >= rings.nr)
		return false;
	memcpy(out, rings.at + (size_t)vp * rings.stride, sizeof(*out));
	return le64_to_cpu(out->tsc) != 0;
}

bool blackbox_view_trace(const struct blackbox_view *v,
			 struct blackbox_items rings, uint32_t vp,
			 struct blackbox_trace *out)
{
	uint32_t room = rings.stride - (uint32_t)sizeof(struct blackbox_exits);
	uint32_t slots = room / (uint32_t)sizeof(struct blackbox_exit);
	struct blackbox_exits head;

	if (!trace_at(rings, vp, &head))
		return false;
	*out = (struct blackbox_trace){
		.newest = le64_to_cpu(head.published),
		.begun = le64_to_cpu(head.begun),
		.tsc = le64_to_cpu(head.tsc),
		.ns = le64_to_cpu(head.ns),
		.record = rings.at + (size_t)vp * rings.stride + sizeof(head),
		.slots = slots < BLACKBOX_EXIT_SLOTS ? slots :
						       BLACKBOX_EXIT_SLOTS,
	};
	out->oldest = out->newest > out->slots ? out->newest - out->slots + 1 :
						 1;
	for (unsigned int i = 0; i < BLACKBOX_REASONS; i++)
		out->spent[i] = to_ns(v, le64_to_cpu(head.spent[i]));
	return true;
}

bool blackbox_view_exit(const struct blackbox_view *v,
			const struct blackbox_trace *trace, uint64_t number,
			struct blackbox_exit_view *out)
{
	struct blackbox_exit e;

	if (number < trace->oldest || number > trace->newest ||
	    trace->begun - number >= trace->slots)
		return false;
	memcpy(&e, trace->record + number % trace->slots * sizeof(e),
	       sizeof(e));
	*out = (struct blackbox_exit_view){
		.number = number,
		.tsc = le64_to_cpu(e.tsc),
		.time = v->rate_ticks ? trace->ns + to_ns(v,
				le64_to_cpu(e.tsc) - trace->tsc) : 0,
		.took = to_ns(v, le64_to_cpu(e.ticks)),
		.rip = le64_to_cpu(e.rip),
		.qualifier = le64_to_cpu(e.qualifier),
		.value = le64_to_cpu(e.value),
		.reason = le32_to_cpu(e.reason),
		.access = le32_to_cpu(e.access),
	};
	return true;
}

/* ---- the whole ---- */

/* From when the rings were made to the last record that holds both clocks. */
static void take_rate(struct blackbox_view *v)
{
	static const enum blackbox_kind rings[] = { BLACKBOX_LOG,
						    BLACKBOX_VMBUS };
	struct blackbox_items exits = blackbox_view_items(v, BLACKBOX_EXITS);
	struct blackbox_exits first;

	if (!trace_at(exits, 0, &first))
		return;
	for (unsigned int i = 0; i < 2; i++) {
		struct blackbox_items ring = blackbox_view_items(v, rings[i]);
		uint64_t number = blackbox_view_newest(ring);
		struct blackbox_record r;
		uint64_t ticks, ns;

		if (!number)
			continue;
		record_at(ring, number % ring.nr, &r);
		ticks = le64_to_cpu(r.tsc) - le64_to_cpu(first.tsc);
		ns = le64_to_cpu(r.ns) - le64_to_cpu(first.ns);
		if (ticks >> 63 || ns >> 63 || !ns || ticks <= v->rate_ticks)
			continue;
		v->rate_ticks = ticks;
		v->rate_ns = ns;
	}
}

int blackbox_view_open(struct blackbox_view *v, const void *bytes, size_t size,
		       const char **why)
{
	const struct blackbox_header *h = bytes;

	*v = (struct blackbox_view){ .bytes = bytes, .size = size };
	if (size < sizeof(*h))
		*why = "too short for a black box";
	else if (le64_to_cpu(h->magic) != BLACKBOX_MAGIC)
		*why = "no black box: it does not begin with BLACKBOX";
	else if (le32_to_cpu(h->version) != BLACKBOX_VERSION)
		*why = "a black box of another version than 1";
	else
		*why = NULL;
	if (*why)
		return -EINVAL;
	v->gpa = le64_to_cpu(h->gpa);
	take_rate(v);
	return 0;
}
