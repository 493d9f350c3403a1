// SPDX-License-Identifier: MIT
/*
 * What igvm-dump knows of the headers: one table of fields, from which both
 * output forms are made, and the runs of pages with their digests.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"

#define F(type, name) { #name, offsetof(struct type, name), \
			sizeof(((struct type *)0)->name) }

static const struct field none[] = { { NULL, 0, 0 } };
static const struct field supported_platform[] = {
	F(igvm_supported_platform, compatibility_mask),
	F(igvm_supported_platform, highest_vtl),
	F(igvm_supported_platform, platform_type),
	F(igvm_supported_platform, platform_version),
	F(igvm_supported_platform, shared_gpa_boundary),
	{ NULL, 0, 0 },
};
static const struct field relocatable_region[] = {
	F(igvm_relocatable_region, compatibility_mask),
	F(igvm_relocatable_region, vp_index),
	F(igvm_relocatable_region, vtl),
	F(igvm_relocatable_region, flags),
	F(igvm_relocatable_region, relocation_alignment),
	F(igvm_relocatable_region, relocation_region_gpa),
	F(igvm_relocatable_region, relocation_region_size),
	F(igvm_relocatable_region, minimum_relocation_gpa),
	F(igvm_relocatable_region, maximum_relocation_gpa),
	{ NULL, 0, 0 },
};
static const struct field page_table_relocation[] = {
	F(igvm_page_table_relocation, compatibility_mask),
	F(igvm_page_table_relocation, vp_index),
	F(igvm_page_table_relocation, vtl),
	F(igvm_page_table_relocation, reserved),
	F(igvm_page_table_relocation, gpa),
	F(igvm_page_table_relocation, size),
	F(igvm_page_table_relocation, used_size),
	{ NULL, 0, 0 },
};
static const struct field parameter_area[] = {
	F(igvm_parameter_area, number_of_bytes),
	F(igvm_parameter_area, parameter_area_index),
	F(igvm_parameter_area, file_offset),
	{ NULL, 0, 0 },
};
static const struct field page_data[] = {
	F(igvm_page_data, gpa),
	F(igvm_page_data, compatibility_mask),
	F(igvm_page_data, file_offset),
	F(igvm_page_data, flags),
	F(igvm_page_data, data_type),
	F(igvm_page_data, reserved),
	{ NULL, 0, 0 },
};
static const struct field parameter_insert[] = {
	F(igvm_parameter_insert, gpa),
	F(igvm_parameter_insert, compatibility_mask),
	F(igvm_parameter_insert, parameter_area_index),
	{ NULL, 0, 0 },
};
static const struct field vp_context[] = {
	F(igvm_vp_context, gpa),
	F(igvm_vp_context, compatibility_mask),
	F(igvm_vp_context, file_offset),
	F(igvm_vp_context, vp_index),
	F(igvm_vp_context, reserved),
	{ NULL, 0, 0 },
};
static const struct field required_memory[] = {
	F(igvm_required_memory, gpa),
	F(igvm_required_memory, compatibility_mask),
	F(igvm_required_memory, number_of_bytes),
	F(igvm_required_memory, flags),
	F(igvm_required_memory, reserved),
	{ NULL, 0, 0 },
};
static const struct field parameter[] = {
	F(igvm_parameter, parameter_area_index),
	F(igvm_parameter, byte_offset),
	{ NULL, 0, 0 },
};

const struct field *dump_fields(uint32_t type)
{
	static const struct {
		uint32_t type;
		const struct field *fields;
	} known[] = {
		{ IGVM_VHT_SUPPORTED_PLATFORM, supported_platform },
		{ IGVM_VHT_RELOCATABLE_REGION, relocatable_region },
		{ IGVM_VHT_PAGE_TABLE_RELOCATION, page_table_relocation },
		{ IGVM_VHT_PARAMETER_AREA, parameter_area },
		{ IGVM_VHT_PAGE_DATA, page_data },
		{ IGVM_VHT_PARAMETER_INSERT, parameter_insert },
		{ IGVM_VHT_VP_CONTEXT, vp_context },
		{ IGVM_VHT_REQUIRED_MEMORY, required_memory },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].type == type)
			return known[i].fields;
	}
	return igvm_type_is_parameter(type) ? parameter : none;
}

uint64_t dump_value(const struct field *field, const void *content)
{
	const uint8_t *p = (const uint8_t *)content + field->offset;
	uint64_t value = 0;

	for (int i = field->bytes; i > 0; i--)
		value = value << 8 | p[i - 1];
	return value;
}

/* One header's pages, before they are joined. */
struct piece {
	uint64_t gpa;
	uint64_t bytes;
	const uint8_t *data; /* NULL: zeros */
	uint32_t flags;
	int32_t area;
};

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

static void add_data(struct sha384 *digest, const struct piece *p)
{
	static const uint8_t zero[IGVM_PAGE_SIZE];

	if (p->data) {
		sha384_add(digest, p->data, p->bytes);
		return;
	}
	for (uint64_t done = 0; done < p->bytes; done += sizeof(zero))
		sha384_add(digest, zero, sizeof(zero));
}

static size_t count_headers(struct igvm_file *file)
{
	struct igvm_header h;
	size_t count = 0;

	igvm_rewind(file);
	while (igvm_next(file, &h))
		count++;
	return count;
}

/* The pages that headers of the chosen platform fill, in address order. */
static size_t collect(struct igvm_file *file, struct piece *pieces)
{
	struct piece areas[IGVM_MAX_PARAMETER_AREAS] = { 0 };
	struct igvm_header h;
	size_t count = 0;

	igvm_rewind(file);
	while (igvm_next(file, &h)) {
		uint32_t index;

		if (!h.selected)
			continue;
		if (h.type == IGVM_VHT_PAGE_DATA) {
			pieces[count++] = (struct piece){
				le64_to_cpu(h.page_data->gpa), IGVM_PAGE_SIZE,
				h.data, le32_to_cpu(h.page_data->flags), -1,
			};
		} else if (h.type == IGVM_VHT_PARAMETER_AREA) {
			index = le32_to_cpu(
				h.parameter_area->parameter_area_index);
			areas[index] = (struct piece){
				0, le64_to_cpu(
					h.parameter_area->number_of_bytes),
				h.data, 0, (int32_t)index,
			};
		} else if (h.type == IGVM_VHT_PARAMETER_INSERT) {
			index = le32_to_cpu(
				h.parameter_insert->parameter_area_index);
			pieces[count] = areas[index];
			pieces[count++].gpa =
				le64_to_cpu(h.parameter_insert->gpa);
		}
	}
	qsort(pieces, count, sizeof(*pieces), compare_pieces);
	return count;
}

int dump_ranges(struct igvm_file *file, struct dump_range **ranges)
{
	size_t room = count_headers(file) + 1;
	struct piece *pieces = calloc(room, sizeof(*pieces));
	struct dump_range *r = calloc(room, sizeof(*r));
	struct sha384 digest;
	int count = 0, rc = -ENOMEM;
	size_t n;

	if (!pieces || !r) {
		free(r);
		goto out_free;
	}
	n = collect(file, pieces);
	for (size_t i = 0; i < n; i++) {
		const struct piece *p = &pieces[i];
		struct dump_range *last = count ? &r[count - 1] : NULL;

		if (last && last->gpa + last->bytes == p->gpa &&
		    last->flags == p->flags && last->area == p->area) {
			last->bytes += p->bytes;
		} else {
			if (last)
				sha384_end(&digest, last->digest);
			r[count++] = (struct dump_range){ p->gpa, p->bytes,
							  p->flags, p->area,
							  { 0 } };
			sha384_begin(&digest);
		}
		add_data(&digest, p);
	}
	if (count)
		sha384_end(&digest, r[count - 1].digest);
	*ranges = r;
	rc = count;
out_free:
	free(pieces);
	return rc;
}
