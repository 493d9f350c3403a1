// SPDX-License-Identifier: MIT
/*
 * IGVM reader: the rules.
 *
 *	area:  unknown --PARAMETER_AREA--> declared --a parameter--> declared
 *	                                       |
 *	                                PARAMETER_INSERT--> inserted (final)
 *
 * The rules between runs of pages (nothing filled twice, nothing outside of
 * REQUIRED_MEMORY) are checked at the end on sorted arrays, because headers
 * may come in any order inside their section. Headers of other platforms are
 * checked for form only. The first broken rule ends the pass; its structure,
 * field, value and rule are in the caller's struct igvm_error.
 */
#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "hv_reg.h"
#include "registers.h"

__attribute__((format(printf, 5, 6)))
int igvm_refuse(struct igvm_error *error, uint64_t offset,
		const char *structure, const char *field, const char *format,
		...)
{
	va_list ap;

	error->offset = offset;
	error->structure = structure;
	error->field = field;
	va_start(ap, format);
	vsnprintf(error->rule, sizeof(error->rule), format, ap);
	va_end(ap);
	return -EINVAL;
}

/* "VALUE: rule", for a field of header *h. */
static int refuse_value(struct check *c, const struct igvm_header *h,
			const char *field, uint64_t value, const char *rule)
{
	return igvm_refuse(c->error, h->offset, h->name, field, "0x%" PRIx64 ": %s",
			   value, rule);
}

static int add_run(struct check *c, struct run_list *list,
		   const struct igvm_header *h, uint64_t gpa, uint64_t bytes)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 1024;
		struct run *run = realloc(list->run, room * sizeof(*run));

		if (!run) {
			igvm_refuse(c->error, h->offset, h->name, "gpa",
				    "out of memory");
			return -ENOMEM;
		}
		list->run = run;
		list->room = room;
	}
	list->run[list->count++] = (struct run){ gpa, bytes, h->offset,
						 h->name };
	return 0;
}

static int compare_runs(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->gpa != y->gpa)
		return x->gpa < y->gpa ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Whole pages that end inside the address space. */
static int check_pages(struct check *c, const struct igvm_header *h,
		       uint64_t gpa, uint64_t bytes, const char *bytes_field)
{
	uint64_t end;

	if (gpa % IGVM_PAGE_SIZE)
		return refuse_value(c, h, "gpa", gpa, "not 4 KiB aligned");
	if (!bytes || bytes % IGVM_PAGE_SIZE)
		return refuse_value(c, h, bytes_field, bytes,
				    "must be a multiple of 4096, not 0");
	if (__builtin_add_overflow(gpa, bytes, &end))
		return refuse_value(c, h, "gpa", gpa,
				    "ends behind the address space");
	return 0;
}

/* File data lies behind the headers and ends inside the file. */
static int check_data(struct check *c, const struct igvm_header *h,
		      uint64_t offset, uint64_t bytes)
{
	if (offset < c->file->end)
		return refuse_value(c, h, "file_offset", offset,
				    "lies in the headers");
	if (offset > c->file->len || bytes > c->file->len - offset)
		return refuse_value(c, h, "file_offset", offset,
				    "data ends behind the end of the file");
	return 0;
}

static int check_platform(struct check *c, const struct igvm_header *h)
{
	const struct igvm_supported_platform *p = h->supported_platform;
	uint32_t mask = le32_to_cpu(p->compatibility_mask);
	struct igvm_file *file = c->file;

	if (!mask || mask & (mask - 1))
		return refuse_value(c, h, "compatibility_mask", mask,
				    "must have exactly one bit");
	if (mask & c->declared_masks)
		return refuse_value(c, h, "compatibility_mask", mask,
				    "taken by an earlier SUPPORTED_PLATFORM");
	if (p->platform_type > IGVM_PLATFORM_TDX)
		return refuse_value(c, h, "platform_type", p->platform_type,
				    "unknown");
	if (le16_to_cpu(p->platform_version) != IGVM_PLATFORM_VERSION_1)
		return refuse_value(c, h, "platform_version",
				    le16_to_cpu(p->platform_version),
				    "must be 1");
	if (p->highest_vtl > 2)
		return refuse_value(c, h, "highest_vtl", p->highest_vtl,
				    "must be 0 to 2");
	c->declared_masks |= mask;
	if (p->platform_type > IGVM_PLATFORM_VSM_ISOLATION)
		return 0;
	if (le64_to_cpu(p->shared_gpa_boundary))
		return refuse_value(c, h, "shared_gpa_boundary",
				    le64_to_cpu(p->shared_gpa_boundary),
				    "must be 0 without memory encryption");
	if (file->mask && file->platform_type >= p->platform_type)
		return 0;
	file->mask = mask;
	file->platform_type = p->platform_type;
	file->highest_vtl = p->highest_vtl;
	return 0;
}

static int check_area(struct check *c, const struct igvm_header *h)
{
	uint32_t index = le32_to_cpu(h->parameter_area->parameter_area_index);
	uint32_t offset = le32_to_cpu(h->parameter_area->file_offset);
	uint64_t bytes = le64_to_cpu(h->parameter_area->number_of_bytes);

	if (index >= IGVM_MAX_PARAMETER_AREAS)
		return refuse_value(c, h, "parameter_area_index", index,
				    "must be below 64");
	if (c->area[index].state != AREA_UNKNOWN)
		return refuse_value(c, h, "parameter_area_index", index,
				    "declared twice");
	if (!bytes || bytes % IGVM_PAGE_SIZE ||
	    bytes > IGVM_MAX_PARAMETER_AREA_BYTES)
		return refuse_value(c, h, "number_of_bytes", bytes,
				    "must be a multiple of 4096, "
				    "not 0, at most 16 MiB");
	c->area[index] = (struct area){ AREA_DECLARED, bytes, h->offset };
	return offset ? check_data(c, h, offset, bytes) : 0;
}

/* The area that a parameter or an insert names; NULL once refused. */
static struct area *open_area(struct check *c, const struct igvm_header *h,
			      uint32_t index)
{
	if (index >= IGVM_MAX_PARAMETER_AREAS ||
	    c->area[index].state == AREA_UNKNOWN) {
		refuse_value(c, h, "parameter_area_index", index,
			     "no PARAMETER_AREA before has this index");
		return NULL;
	}
	if (c->area[index].state == AREA_INSERTED) {
		refuse_value(c, h, "parameter_area_index", index,
			     "the area is already inserted");
		return NULL;
	}
	return &c->area[index];
}

static int check_parameter(struct check *c, const struct igvm_header *h,
			   uint32_t least)
{
	uint32_t at = le32_to_cpu(h->parameter->byte_offset);
	struct area *area;

	area = open_area(c, h, le32_to_cpu(h->parameter->parameter_area_index));
	if (!area)
		return -EINVAL;
	if (at >= area->bytes || area->bytes - at < least)
		return refuse_value(c, h, "byte_offset", at,
				    "the parameter ends behind its area");
	return 0;
}

static int check_insert(struct check *c, const struct igvm_header *h)
{
	uint64_t gpa = le64_to_cpu(h->parameter_insert->gpa);
	struct area *area;
	int rc;

	area = open_area(
		c, h, le32_to_cpu(h->parameter_insert->parameter_area_index));
	if (!area)
		return -EINVAL;
	area->state = AREA_INSERTED;
	rc = check_pages(c, h, gpa, area->bytes, "parameter_area_index");
	return rc ? rc : add_run(c, &c->filled, h, gpa, area->bytes);
}

static int check_page(struct check *c, const struct igvm_header *h)
{
	const struct igvm_page_data *p = h->page_data;
	uint32_t flags = le32_to_cpu(p->flags);
	uint32_t offset = le32_to_cpu(p->file_offset);
	int rc;

	if (flags & IGVM_PAGE_DATA_IS_2MB_PAGE)
		return refuse_value(c, h, "flags", flags,
				    "2 MiB pages are not supported");
	if (flags & ~(IGVM_PAGE_DATA_UNMEASURED | IGVM_PAGE_DATA_SHARED))
		return refuse_value(c, h, "flags", flags, "unknown flag");
	if (le16_to_cpu(p->data_type) != IGVM_PAGE_DATA_TYPE_NORMAL)
		return refuse_value(c, h, "data_type",
				    le16_to_cpu(p->data_type),
				    "must be 0 (NORMAL)");
	if (le16_to_cpu(p->reserved))
		return refuse_value(c, h, "reserved", le16_to_cpu(p->reserved),
				    "must be 0");
	rc = check_pages(c, h, le64_to_cpu(p->gpa), IGVM_PAGE_SIZE, "gpa");
	if (!rc && offset)
		rc = check_data(c, h, offset, IGVM_PAGE_SIZE);
	if (!rc)
		rc = add_run(c, &c->filled, h, le64_to_cpu(p->gpa),
			     IGVM_PAGE_SIZE);
	return rc;
}

static int check_required(struct check *c, const struct igvm_header *h)
{
	const struct igvm_required_memory *m = h->required_memory;
	uint64_t gpa = le64_to_cpu(m->gpa);
	uint32_t bytes = le32_to_cpu(m->number_of_bytes);
	uint32_t flags = le32_to_cpu(m->flags);
	int rc;

	if (flags & ~IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE)
		return refuse_value(c, h, "flags", flags, "unknown flag");
	if (le32_to_cpu(m->reserved))
		return refuse_value(c, h, "reserved", le32_to_cpu(m->reserved),
				    "must be 0");
	rc = check_pages(c, h, gpa, bytes, "number_of_bytes");
	return rc ? rc : add_run(c, &c->required, h, gpa, bytes);
}

bool igvm_all_zero(const uint8_t *p, size_t len)
{
	while (len--) {
		if (*p++)
			return false;
	}
	return true;
}

static int check_register(struct check *c, const struct igvm_header *h,
			  uint32_t index)
{
	static const char name[] = "VBS_VP_CONTEXT_REGISTER";
	const struct igvm_vbs_vp_context_register *r = &h->registers[index];
	uint64_t at = (uint64_t)((const uint8_t *)r - c->file->bytes);
	uint32_t code = le32_to_cpu(r->register_name);
	const struct register_name *known = register_find(code);

	if (r->vtl > c->file->highest_vtl)
		return igvm_refuse(c->error, at, name, "vtl",
				   "%u: must not exceed highest_vtl %u", r->vtl,
				   c->file->highest_vtl);
	if (!known)
		return igvm_refuse(c->error, at, name, "register_name",
				   "0x%x: no register of a VP context", code);
	if (!igvm_all_zero(r->mbz, sizeof(r->mbz)))
		return igvm_refuse(c->error, at, name, "mbz", "must be zero");
	if ((known->form == REGISTER_U64 && !igvm_all_zero(r->register_value + 8, 8)) ||
	    (known->form == REGISTER_TABLE && !igvm_all_zero(r->register_value, 6)))
		return igvm_refuse(c->error, at, name, "register_value",
				   "%s: unused bytes must be zero", known->name);
	for (uint32_t i = 0; i < index; i++) {
		if (h->registers[i].vtl == r->vtl &&
		    le32_to_cpu(h->registers[i].register_name) == code)
			return igvm_refuse(c->error, at, name, "register_name",
					   "0x%x: %s is set twice", code,
					   known->name);
	}
	return 0;
}

/* Finds the register records of a VP context whose offset is plausible. */
static int check_registers(struct check *c, struct igvm_header *h)
{
	const struct igvm_vbs_vp_context_header *head;
	uint32_t offset = le32_to_cpu(h->vp_context->file_offset);
	uint32_t count;
	bool rip = false;
	int rc;

	rc = check_data(c, h, offset, sizeof(*head));
	if (rc)
		return rc;
	head = (const void *)(c->file->bytes + offset);
	count = le32_to_cpu(head->register_count);
	if (!count || count > IGVM_MAX_REGISTERS ||
	    count * sizeof(*h->registers) >
		    c->file->len - offset - sizeof(*head))
		return igvm_refuse(c->error, offset, "VBS_VP_CONTEXT_HEADER",
				   "register_count",
				   "%u: must be 1 to 256, inside the file", count);
	h->registers = (const void *)(head + 1);
	h->register_count = count;
	for (uint32_t i = 0; i < count; i++) {
		rc = check_register(c, h, i);
		if (rc)
			return rc;
		rip |= le32_to_cpu(h->registers[i].register_name) == HV_REG_RIP;
	}
	if (!rip)
		return igvm_refuse(c->error, offset, "VBS_VP_CONTEXT_HEADER",
				   "register_count",
				   "%u: none of the registers is RIP", count);
	return 0;
}

static int check_context(struct check *c, struct igvm_header *h)
{
	const struct igvm_vp_context *v = h->vp_context;

	if (c->have_context)
		return refuse_value(c, h, "vp_index", le16_to_cpu(v->vp_index),
				    "a second VP_CONTEXT; "
				    "hypercalls start the other VPs");
	c->have_context = true;
	if (le16_to_cpu(v->vp_index))
		return refuse_value(c, h, "vp_index", le16_to_cpu(v->vp_index),
				    "must be 0; hypercalls start the others");
	if (le64_to_cpu(v->gpa))
		return refuse_value(c, h, "gpa", le64_to_cpu(v->gpa),
				    "must be 0 without memory encryption");
	if (le16_to_cpu(v->reserved))
		return refuse_value(c, h, "reserved", le16_to_cpu(v->reserved),
				    "must be 0");
	return check_registers(c, h);
}

int igvm_check_content(struct check *c, struct igvm_header *h)
{
	const struct type_info *info = igvm_find_type(h->type);
	uint32_t mask;

	if (!info && !h->optional)
		return igvm_refuse(c->error, h->offset, "VARIABLE_HEADER", "type",
				   "0x%x: unknown and not optional", h->type);
	if (!info || !info->length)
		return 0;
	if (h->length != info->length)
		return igvm_refuse(c->error, h->offset, h->name, "length",
				   "%u: must be %u", h->length, info->length);
	if (h->type == IGVM_VHT_SUPPORTED_PLATFORM)
		return check_platform(c, h);

	mask = igvm_mask_of(h);
	if (mask != UINT32_MAX && (!mask || mask & ~c->declared_masks))
		return refuse_value(c, h, "compatibility_mask", mask,
				    "not of declared platforms");
	if (!(mask & c->file->mask))
		return 0;
	switch (h->type) {
	case IGVM_VHT_PARAMETER_AREA:
		return check_area(c, h);
	case IGVM_VHT_PAGE_DATA:
		return check_page(c, h);
	case IGVM_VHT_PARAMETER_INSERT:
		return check_insert(c, h);
	case IGVM_VHT_VP_CONTEXT:
		return check_context(c, h);
	case IGVM_VHT_REQUIRED_MEMORY:
		return check_required(c, h);
	default:
		return info->parameter ? check_parameter(c, h, info->parameter)
				       : 0;
	}
}

/* Sorts the runs and refuses two that share a page. */
static int check_overlap(struct check *c, struct run_list *list)
{
	if (!list->count)
		return 0;
	qsort(list->run, list->count, sizeof(*list->run), compare_runs);
	for (size_t i = 1; i < list->count; i++) {
		const struct run *a = &list->run[i - 1], *b = &list->run[i];

		if (b->gpa - a->gpa < a->bytes)
			return igvm_refuse(c->error, b->offset, b->structure, "gpa",
					   "0x%" PRIx64 ": overlaps the %s at "
					   "offset 0x%" PRIx64, b->gpa,
					   a->structure, a->offset);
	}
	return 0;
}

/* Every filled run lies in required memory; both lists are sorted. */
static int check_inside(struct check *c)
{
	const struct run_list *required = &c->required;
	size_t r = 0;

	for (size_t i = 0; i < c->filled.count; i++) {
		struct run need = c->filled.run[i];

		while (need.bytes) {
			const struct run *have;
			uint64_t part;

			while (r < required->count &&
			       required->run[r].gpa + required->run[r].bytes <=
				       need.gpa)
				r++;
			/* Without any, there is no array either. */
			have = r < required->count ? &required->run[r] : NULL;
			if (!have || have->gpa > need.gpa)
				return igvm_refuse(c->error, need.offset,
						   need.structure, "gpa",
						   "0x%" PRIx64 ": lies in no "
						   "REQUIRED_MEMORY", need.gpa);
			part = have->gpa + have->bytes - need.gpa;
			part = part < need.bytes ? part : need.bytes;
			need.gpa += part;
			need.bytes -= part;
		}
	}
	return 0;
}

int igvm_check_whole(struct check *c)
{
	struct igvm_error *e = c->error;
	int rc;

	if (!c->have_context)
		return igvm_refuse(e, c->file->end, "VP_CONTEXT", "vp_index",
				   "0x0: the file has no VP_CONTEXT for VP 0");
	for (uint32_t i = 0; i < IGVM_MAX_PARAMETER_AREAS; i++) {
		if (c->area[i].state == AREA_DECLARED)
			return igvm_refuse(e, c->area[i].offset, "PARAMETER_AREA",
					   "parameter_area_index",
					   "0x%x: no PARAMETER_INSERT", i);
	}
	rc = check_overlap(c, &c->required);
	if (!rc)
		rc = check_overlap(c, &c->filled);
	return rc ? rc : check_inside(c);
}

