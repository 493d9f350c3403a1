// SPDX-License-Identifier: MIT
/*
 * IGVM reader: frames, in file order.
 *
 *	igvm_open: fixed header, checksum -> each frame -> its rules (check.c)
 *		   -> rules of the whole -> back to the first header
 *	igvm_next: the same frames again, already known to be sound
 *
 * No allocation outlives igvm_open(); igvm_next() cannot fail.
 */
#include "read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "crc32.h"

static const struct type_info types[] = {
	{ IGVM_VHT_SUPPORTED_PLATFORM, "SUPPORTED_PLATFORM", 16, 0 },
	{ IGVM_VHT_RELOCATABLE_REGION, "RELOCATABLE_REGION", 48, 0 },
	{ IGVM_VHT_PAGE_TABLE_RELOCATION, "PAGE_TABLE_RELOCATION", 32, 0 },
	{ IGVM_VHT_PARAMETER_AREA, "PARAMETER_AREA", 16, 0 },
	{ IGVM_VHT_PAGE_DATA, "PAGE_DATA", 24, 0 },
	{ IGVM_VHT_PARAMETER_INSERT, "PARAMETER_INSERT", 16, 0 },
	{ IGVM_VHT_VP_CONTEXT, "VP_CONTEXT", 20, 0 },
	{ IGVM_VHT_REQUIRED_MEMORY, "REQUIRED_MEMORY", 24, 0 },
	{ IGVM_VHT_VP_COUNT_PARAMETER, "VP_COUNT_PARAMETER", 8, 4 },
	{ IGVM_VHT_SRAT, "SRAT", 8, 1 },
	{ IGVM_VHT_MADT, "MADT", 8, 1 },
	{ IGVM_VHT_MMIO_RANGES, "MMIO_RANGES", 8,
	  sizeof(struct igvm_mmio_ranges) },
	{ IGVM_VHT_SNP_ID_BLOCK, "SNP_ID_BLOCK", 0, 0 },
	{ IGVM_VHT_MEMORY_MAP, "MEMORY_MAP", 8,
	  sizeof(struct igvm_memory_map_entry) },
	{ IGVM_VHT_ERROR_RANGE, "ERROR_RANGE", 0, 0 },
	{ IGVM_VHT_COMMAND_LINE, "COMMAND_LINE", 8, 1 },
	{ IGVM_VHT_SLIT, "SLIT", 8, 1 },
	{ IGVM_VHT_PPTT, "PPTT", 8, 1 },
	{ IGVM_VHT_VBS_MEASUREMENT, "VBS_MEASUREMENT", 0, 0 },
	{ IGVM_VHT_DEVICE_TREE, "DEVICE_TREE", 8, 1 },
	{ IGVM_VHT_ENVIRONMENT_INFO_PARAMETER, "ENVIRONMENT_INFO_PARAMETER", 8,
	  4 },
};

const struct type_info *igvm_find_type(uint32_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type == type)
			return &types[i];
	}
	return NULL;
}

const char *igvm_type_name(uint32_t type)
{
	const struct type_info *info = igvm_find_type(type);

	return info ? info->name : NULL;
}

bool igvm_type_is_parameter(uint32_t type)
{
	const struct type_info *info = igvm_find_type(type);

	return info && info->parameter;
}

void igvm_error_print(FILE *out, const char *path,
		      const struct igvm_error *error)
{
	fprintf(out, "%s: offset 0x%" PRIx64 ": %s.%s: %s\n", path,
		error->offset, error->structure, error->field, error->rule);
}

/* The mask of a header, all ones for those without. */
uint32_t igvm_mask_of(const struct igvm_header *h)
{
	switch (h->type) {
	case IGVM_VHT_SUPPORTED_PLATFORM:
		return le32_to_cpu(h->supported_platform->compatibility_mask);
	case IGVM_VHT_RELOCATABLE_REGION:
		return le32_to_cpu(h->relocatable_region->compatibility_mask);
	case IGVM_VHT_PAGE_TABLE_RELOCATION:
		return le32_to_cpu(
			h->page_table_relocation->compatibility_mask);
	case IGVM_VHT_PAGE_DATA:
		return le32_to_cpu(h->page_data->compatibility_mask);
	case IGVM_VHT_PARAMETER_INSERT:
		return le32_to_cpu(h->parameter_insert->compatibility_mask);
	case IGVM_VHT_VP_CONTEXT:
		return le32_to_cpu(h->vp_context->compatibility_mask);
	case IGVM_VHT_REQUIRED_MEMORY:
		return le32_to_cpu(h->required_memory->compatibility_mask);
	default:
		return UINT32_MAX;
	}
}

/* Where the file data of a checked header is. */
static void find_data(const struct igvm_file *file, struct igvm_header *h)
{
	uint32_t offset = 0;
	uint64_t len = 0;

	if (h->type == IGVM_VHT_PAGE_DATA) {
		offset = le32_to_cpu(h->page_data->file_offset);
		len = IGVM_PAGE_SIZE;
	} else if (h->type == IGVM_VHT_PARAMETER_AREA) {
		offset = le32_to_cpu(h->parameter_area->file_offset);
		len = le64_to_cpu(h->parameter_area->number_of_bytes);
	} else if (h->type == IGVM_VHT_VP_CONTEXT && h->selected) {
		const struct igvm_vbs_vp_context_header *head;

		offset = le32_to_cpu(h->vp_context->file_offset);
		head = (const void *)(file->bytes + offset);
		h->register_count = le32_to_cpu(head->register_count);
		h->registers = (const void *)(head + 1);
		len = h->register_count * sizeof(*h->registers);
		offset += (uint32_t)sizeof(*head);
	}
	h->data = offset && h->selected ? file->bytes + offset : NULL;
	h->data_len = h->data ? len : 0;
}

/*
 * Frames the variable header at file->next without judging its content:
 * false at the end, or if the frame does not fit (*room is what is left).
 */
static bool frame(struct igvm_file *file, struct igvm_header *h,
		  uint64_t *room)
{
	const struct igvm_variable_header *v;
	const struct type_info *info;
	uint64_t padded;

	memset(h, 0, sizeof(*h));
	*room = file->end - file->next;
	if (*room < sizeof(*v))
		return false;
	v = (const void *)(file->bytes + file->next);
	h->offset = file->next;
	h->optional = le32_to_cpu(v->type) & IGVM_TYPE_OPTIONAL;
	h->type = le32_to_cpu(v->type) & ~IGVM_TYPE_OPTIONAL;
	h->length = le32_to_cpu(v->length);
	h->content = v + 1;
	info = igvm_find_type(h->type);
	h->name = info ? info->name : "unknown";
	padded = ((uint64_t)h->length + IGVM_VARIABLE_HEADER_ALIGN - 1) &
		 ~(uint64_t)(IGVM_VARIABLE_HEADER_ALIGN - 1);
	if (padded > *room - sizeof(*v))
		return false;
	file->next += sizeof(*v) + padded;
	return true;
}

static int check_section(struct check *c, const struct igvm_header *h)
{
	static const uint32_t first[] = { IGVM_PLATFORM_FIRST,
					  IGVM_INITIALIZATION_FIRST,
					  IGVM_DIRECTIVE_FIRST };
	static const uint32_t last[] = { IGVM_PLATFORM_LAST,
					 IGVM_INITIALIZATION_LAST,
					 IGVM_DIRECTIVE_LAST };

	for (unsigned int s = 0; s < 3; s++) {
		if (h->type < first[s] || h->type > last[s])
			continue;
		if (s < c->section)
			return igvm_refuse(c->error, h->offset,
					   "VARIABLE_HEADER", "type",
					   "0x%x: out of order: platform, then "
					   "initialization, then directive headers",
					   h->type);
		c->section = s;
		return 0;
	}
	return igvm_refuse(c->error, h->offset, "VARIABLE_HEADER", "type",
			   "0x%x: lies in no section", h->type);
}

static int check_header(struct check *c, struct igvm_header *h)
{
	uint64_t used = sizeof(struct igvm_variable_header) + h->length;
	const uint8_t *pad = c->file->bytes + h->offset + used;
	int rc;

	rc = check_section(c, h);
	if (rc)
		return rc;
	if (c->section && !c->file->mask)
		return igvm_refuse(c->error, h->offset, "SUPPORTED_PLATFORM",
				   "platform_type",
				   "none is 1 (VSM_ISOLATION) or 0 (NATIVE)");
	if (!igvm_all_zero(pad, c->file->next - h->offset - used))
		return igvm_refuse(c->error, h->offset, h->name, "padding",
				   "must be zero");
	return igvm_check_content(c, h);
}

static int check_fixed(struct check *c, const void *bytes, size_t len)
{
	static const char name[] = "FIXED_HEADER";
	struct igvm_fixed_header f, blank;
	struct igvm_error *e = c->error;
	uint32_t offset, size, crc;

	if (len < sizeof(f))
		return igvm_refuse(e, 0, name, "total_file_size",
				   "the file has %zu bytes, the header needs %zu",
				   len, sizeof(f));
	memcpy(&f, bytes, sizeof(f));
	if (le32_to_cpu(f.magic) != IGVM_MAGIC)
		return igvm_refuse(e, 0, name, "magic", "0x%x: must be 0x%x (IGVM)",
				   le32_to_cpu(f.magic), IGVM_MAGIC);
	if (le32_to_cpu(f.format_version) != IGVM_FORMAT_VERSION_1)
		return igvm_refuse(e, 0, name, "format_version", "%u: must be 1",
				   le32_to_cpu(f.format_version));
	if (le32_to_cpu(f.total_file_size) != len)
		return igvm_refuse(e, 0, name, "total_file_size",
				   "0x%x: the file has 0x%zx bytes",
				   le32_to_cpu(f.total_file_size), len);
	offset = le32_to_cpu(f.variable_header_offset);
	size = le32_to_cpu(f.variable_header_size);
	if (offset != sizeof(f))
		return igvm_refuse(e, 0, name, "variable_header_offset",
				   "0x%x: must be 0x%zx", offset, sizeof(f));
	if (!size || size % IGVM_VARIABLE_HEADER_ALIGN || size > len - offset)
		return igvm_refuse(e, 0, name, "variable_header_size",
				   "0x%x: must be a multiple of 8, not 0, "
				   "inside the file", size);
	blank = f;
	blank.checksum = cpu_to_le32(0);
	crc = crc32_update(0, &blank, sizeof(blank));
	crc = crc32_update(crc, (const uint8_t *)bytes + offset, size);
	if (crc != le32_to_cpu(f.checksum))
		return igvm_refuse(e, 0, name, "checksum",
				   "0x%08x: the headers have CRC32 0x%08x",
				   le32_to_cpu(f.checksum), crc);
	c->file->fixed = f;
	c->file->end = (uint64_t)offset + size;
	return 0;
}

static int check_headers(struct check *c)
{
	struct igvm_file *file = c->file;
	struct igvm_header h;
	uint64_t room;
	int rc;

	igvm_rewind(file);
	while (frame(file, &h, &room)) {
		rc = check_header(c, &h);
		if (rc)
			return rc;
	}
	if (room)
		return igvm_refuse(c->error, file->next, "VARIABLE_HEADER",
				   "length",
				   "0x%x: 0x%" PRIx64 " bytes of headers are left",
				   h.length, room);
	return igvm_check_whole(c);
}

int igvm_open(struct igvm_file *file, const void *bytes, size_t len,
	      struct igvm_error *error)
{
	struct check c = { .file = file, .error = error };
	int rc;

	memset(file, 0, sizeof(*file));
	file->bytes = bytes;
	file->len = len;
	rc = check_fixed(&c, bytes, len);
	if (!rc)
		rc = check_headers(&c);
	free(c.required.run);
	free(c.filled.run);
	igvm_rewind(file);
	return rc;
}

bool igvm_next(struct igvm_file *file, struct igvm_header *header)
{
	uint64_t room;

	if (!frame(file, header, &room))
		return false;
	header->selected = igvm_find_type(header->type) &&
			   igvm_mask_of(header) & file->mask;
	find_data(file, header);
	return true;
}

void igvm_rewind(struct igvm_file *file)
{
	file->next = sizeof(struct igvm_fixed_header);
}
