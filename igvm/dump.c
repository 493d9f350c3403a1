// SPDX-License-Identifier: MIT
/*
 * igvm-dump [--json] IMAGE: prints what an IGVM file holds.
 *
 * The file is checked by the reader that the loader uses before anything is
 * printed: a file that breaks a rule gives one line on stderr, naming
 * structure and field, and status 2.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dump.h"
#include "hv_reg.h"
#include "registers.h"

static void print_value(FILE *out, const struct register_name *name,
			const uint8_t *value)
{
	struct hv_segment_register s;
	struct hv_table_register t;
	le64 v;

	switch (name->form) {
	case REGISTER_SEGMENT:
		memcpy(&s, value, sizeof(s));
		fprintf(out, "selector 0x%x attributes 0x%x base 0x%" PRIx64
			" limit 0x%x\n", le16_to_cpu(s.selector),
			le16_to_cpu(s.attributes), le64_to_cpu(s.base),
			le32_to_cpu(s.limit));
		break;
	case REGISTER_TABLE:
		memcpy(&t, value, sizeof(t));
		fprintf(out, "base 0x%" PRIx64 " limit 0x%x\n",
			le64_to_cpu(t.base), le16_to_cpu(t.limit));
		break;
	default:
		memcpy(&v, value, sizeof(v));
		fprintf(out, "0x%" PRIx64 "\n", le64_to_cpu(v));
	}
}

static void print_header(FILE *out, const struct igvm_header *h)
{
	fprintf(out, "0x%06" PRIx64 " %s%s", h->offset, h->name,
		h->optional ? " (optional)" : "");
	for (const struct field *f = dump_fields(h->type); f->bytes; f++)
		fprintf(out, " %s 0x%" PRIx64, f->name,
			dump_value(f, h->content));
	fputc('\n', out);
	for (uint32_t i = 0; i < h->register_count; i++) {
		const struct igvm_vbs_vp_context_register *r =
			&h->registers[i];
		const struct register_name *name =
			register_find(le32_to_cpu(r->register_name));

		fprintf(out, "         VTL%u %-14s ", r->vtl, name->name);
		print_value(out, name, r->register_value);
	}
}

/* All headers but the pages, which are printed as ranges. */
void dump_text(FILE *out, struct igvm_file *file,
	       const struct dump_range *ranges, int count)
{
	const struct igvm_fixed_header *f = &file->fixed;
	char text[SHA384_TEXT_SIZE];
	struct igvm_header h;
	size_t pages = 0;

	fprintf(out, "0x000000 FIXED_HEADER magic 0x%x format_version %u "
		"variable_header_offset 0x%x variable_header_size 0x%x "
		"total_file_size 0x%x checksum 0x%08x\n",
		le32_to_cpu(f->magic), le32_to_cpu(f->format_version),
		le32_to_cpu(f->variable_header_offset),
		le32_to_cpu(f->variable_header_size),
		le32_to_cpu(f->total_file_size), le32_to_cpu(f->checksum));
	igvm_rewind(file);
	while (igvm_next(file, &h)) {
		if (h.type == IGVM_VHT_PAGE_DATA)
			pages++;
		else
			print_header(out, &h);
	}
	fprintf(out, "%zu PAGE_DATA headers; ranges (gpa, bytes, kind, flags, "
		"SHA-384):\n", pages);
	for (int i = 0; i < count; i++) {
		const struct dump_range *r = &ranges[i];

		fprintf(out, "0x%012" PRIx64 " 0x%08" PRIx64 " ", r->gpa,
			r->bytes);
		if (r->area < 0)
			fprintf(out, "page-data");
		else
			fprintf(out, "parameter-area-%d", r->area);
		fprintf(out, " 0x%x %s\n", r->flags,
			sha384_print(r->digest, text));
	}
}

/* The whole file in new memory, or NULL after one line. */
static void *load(const char *path, size_t *len)
{
	void *bytes = NULL;
	struct stat st;
	FILE *f = fopen(path, "rbe");

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return NULL;
	}
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size > UINT32_MAX) {
		fprintf(stderr, "%s: must be a file of at most 4 GiB\n", path);
	} else {
		*len = (size_t)st.st_size;
		bytes = malloc(*len + 1);
		if (bytes && fread(bytes, 1, *len, f) != *len) {
			free(bytes);
			bytes = NULL;
		}
		if (!bytes)
			fprintf(stderr, "%s: cannot be read whole\n", path);
	}
	fclose(f);
	return bytes;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct dump_range *ranges = NULL;
	struct igvm_error error;
	struct igvm_file file;
	int c, count, json = 0;
	size_t len = 0;
	void *bytes;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c != 'j')
			return 2;
		json = 1;
	}
	if (argc - optind != 1) {
		fprintf(stderr, "usage: igvm-dump [--json] IMAGE\n");
		return 2;
	}
	bytes = load(argv[optind], &len);
	if (!bytes)
		return 2;
	if (igvm_open(&file, bytes, len, &error) < 0) {
		igvm_error_print(stderr, argv[optind], &error);
		free(bytes);
		return 2;
	}
	count = dump_ranges(&file, &ranges);
	if (count >= 0 && json)
		dump_json(stdout, &file, ranges, count);
	else if (count >= 0)
		dump_text(stdout, &file, ranges, count);
	free(ranges);
	free(bytes);
	if (count < 0 || fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "igvm-dump: %s\n",
			strerror(count < 0 ? -count : errno));
		return 1;
	}
	return 0;
}
