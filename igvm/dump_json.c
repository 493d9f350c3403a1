// SPDX-License-Identifier: MIT
/*
 * igvm-dump --json: one object, names as in the IGVM specification.
 *
 *	{
 *	  "fixed_header": { magic, format_version, ... },
 *	  "headers": [ { "type": number with the optional bit, "name", "offset",
 *	                 "length", the content's fields }, ... ],  in file order
 *	  "vp_contexts": [ { "vp_index", "registers": [ { "vtl", "name",
 *	                 "value": number, or { base, limit[, selector,
 *	                 attributes] } }, ... ] }, ... ],
 *	  "ranges": [ { "gpa", "bytes", "kind": "page-data" or
 *	                "parameter-area-N", "flags", "sha384" }, ... ]  by gpa
 *	}
 *
 * All numbers are decimal integers. Ranges are runs of neighbouring pages with
 * the same kind and flags; a parameter area's digest is of its initial bytes.
 */
#include <inttypes.h>
#include <string.h>

#include "dump.h"
#include "hv_reg.h"
#include "registers.h"

static void put_fields(FILE *out, uint32_t type, const void *content)
{
	for (const struct field *f = dump_fields(type); f->bytes; f++)
		fprintf(out, ", \"%s\": %" PRIu64, f->name,
			dump_value(f, content));
}

static void put_headers(FILE *out, struct igvm_file *file)
{
	const char *comma = "";
	struct igvm_header h;

	fprintf(out, " \"headers\": [");
	igvm_rewind(file);
	while (igvm_next(file, &h)) {
		fprintf(out, "%s\n  {\"type\": %u, \"name\": \"%s\", "
			"\"offset\": %" PRIu64 ", \"length\": %u", comma,
			h.type | (h.optional ? IGVM_TYPE_OPTIONAL : 0), h.name,
			h.offset, h.length);
		put_fields(out, h.type, h.content);
		fputc('}', out);
		comma = ",";
	}
	fprintf(out, "\n ],\n");
}

static void put_value(FILE *out, const struct register_name *name,
		      const uint8_t *value)
{
	struct hv_segment_register s;
	struct hv_table_register t;
	le64 v;

	switch (name->form) {
	case REGISTER_SEGMENT:
		memcpy(&s, value, sizeof(s));
		fprintf(out, "{\"base\": %" PRIu64 ", \"limit\": %u, "
			"\"selector\": %u, \"attributes\": %u}",
			le64_to_cpu(s.base), le32_to_cpu(s.limit),
			le16_to_cpu(s.selector), le16_to_cpu(s.attributes));
		break;
	case REGISTER_TABLE:
		memcpy(&t, value, sizeof(t));
		fprintf(out, "{\"base\": %" PRIu64 ", \"limit\": %u}",
			le64_to_cpu(t.base), le16_to_cpu(t.limit));
		break;
	default:
		memcpy(&v, value, sizeof(v));
		fprintf(out, "%" PRIu64, le64_to_cpu(v));
	}
}

static void put_contexts(FILE *out, struct igvm_file *file)
{
	struct igvm_header h;

	fprintf(out, " \"vp_contexts\": [");
	igvm_rewind(file);
	while (igvm_next(file, &h)) {
		if (h.type != IGVM_VHT_VP_CONTEXT || !h.selected)
			continue;
		fprintf(out, "\n  {\"vp_index\": %u, \"registers\": [",
			le16_to_cpu(h.vp_context->vp_index));
		for (uint32_t i = 0; i < h.register_count; i++) {
			const struct igvm_vbs_vp_context_register *r =
				&h.registers[i];
			const struct register_name *name =
				register_find(le32_to_cpu(r->register_name));

			fprintf(out, "%s\n   {\"vtl\": %u, \"name\": \"%s\", "
				"\"value\": ", i ? "," : "", r->vtl,
				name->name);
			put_value(out, name, r->register_value);
			fputc('}', out);
		}
		fprintf(out, "]}");
	}
	fprintf(out, "\n ],\n");
}

static void put_ranges(FILE *out, const struct dump_range *ranges, int count)
{
	char text[SHA384_TEXT_SIZE];

	fprintf(out, " \"ranges\": [");
	for (int i = 0; i < count; i++) {
		const struct dump_range *r = &ranges[i];

		fprintf(out, "%s\n  {\"gpa\": %" PRIu64 ", \"bytes\": %" PRIu64
			", \"kind\": \"", i ? "," : "", r->gpa, r->bytes);
		if (r->area < 0)
			fprintf(out, "page-data");
		else
			fprintf(out, "parameter-area-%d", r->area);
		fprintf(out, "\", \"flags\": %u, \"sha384\": \"%s\"}",
			r->flags, sha384_print(r->digest, text));
	}
	fprintf(out, "\n ]\n");
}

void dump_json(FILE *out, struct igvm_file *file,
	       const struct dump_range *ranges, int count)
{
	const struct igvm_fixed_header *f = &file->fixed;

	fprintf(out, "{\n \"fixed_header\": {\"magic\": %u, "
		"\"format_version\": %u, \"variable_header_offset\": %u, "
		"\"variable_header_size\": %u, \"total_file_size\": %u, "
		"\"checksum\": %u},\n", le32_to_cpu(f->magic),
		le32_to_cpu(f->format_version),
		le32_to_cpu(f->variable_header_offset),
		le32_to_cpu(f->variable_header_size),
		le32_to_cpu(f->total_file_size), le32_to_cpu(f->checksum));
	put_headers(out, file);
	put_contexts(out, file);
	put_ranges(out, ranges, count);
	fprintf(out, "}\n");
}
