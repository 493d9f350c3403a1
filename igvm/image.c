// SPDX-License-Identifier: MIT
/*
 * IGVM writer.
 *
 * Two buffers grow side by side: variable headers, and file data. A header
 * that refers to data holds an offset into the data buffer until the last
 * call knows how long the headers are; `fixups` lists those fields. Equal
 * pages are found by an open-addressing table over page contents, so that a
 * page's data is where its first user put it: the result depends on nothing
 * but the calls.
 *
 *	collecting (image_platform ... image_context) -> finished (image_finish)
 */
#include "image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "sha384.h"

struct buffer {
	uint8_t *bytes;
	size_t len;
	size_t room;
};

enum range_kind { RANGE_DATA, RANGE_ZERO, RANGE_PARAMETER };

struct range {
	uint64_t gpa;
	uint64_t bytes;
	const char *name;
	enum range_kind kind;
	uint8_t digest[SHA384_SIZE];
};

struct image {
	struct buffer headers;
	struct buffer data;
	struct buffer fixups; /* size_t: where in headers an offset is */
	struct buffer ranges; /* struct range */
	struct buffer file;
	size_t *slot; /* data offset of a page + 1; 0: free */
	size_t slots; /* power of two */
	size_t unique_pages;
	size_t pages;
	size_t zero_pages;
	uint8_t page[IGVM_PAGE_SIZE]; /* the one being added */
};

static int append(struct buffer *b, const void *bytes, size_t len)
{
	if (len > b->room - b->len) {
		size_t room = b->room ? b->room * 2 : 4096;
		uint8_t *grown;

		while (room - b->len < len)
			room *= 2;
		grown = realloc(b->bytes, room);
		if (!grown)
			return -ENOMEM;
		b->bytes = grown;
		b->room = room;
	}
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
	return 0;
}

struct image *image_new(void)
{
	return calloc(1, sizeof(struct image));
}

void image_free(struct image *image)
{
	if (!image)
		return;
	free(image->headers.bytes);
	free(image->data.bytes);
	free(image->fixups.bytes);
	free(image->ranges.bytes);
	free(image->file.bytes);
	free(image->slot);
	free(image);
}

int image_header(struct image *image, uint32_t type, const void *content,
		 uint32_t bytes)
{
	static const uint8_t zero[IGVM_VARIABLE_HEADER_ALIGN];
	struct igvm_variable_header v = { cpu_to_le32(type),
					  cpu_to_le32(bytes) };
	int rc;

	rc = append(&image->headers, &v, sizeof(v));
	if (!rc)
		rc = append(&image->headers, content, bytes);
	if (!rc)
		rc = append(&image->headers, zero,
			    -bytes % IGVM_VARIABLE_HEADER_ALIGN);
	return rc;
}

int image_platform(struct image *image)
{
	const struct igvm_supported_platform p = {
		.compatibility_mask = cpu_to_le32(IMAGE_MASK),
		.highest_vtl = 2,
		.platform_type = IGVM_PLATFORM_VSM_ISOLATION,
		.platform_version = cpu_to_le16(IGVM_PLATFORM_VERSION_1),
	};

	return image_header(image, IGVM_VHT_SUPPORTED_PLATFORM, &p, sizeof(p));
}

/* Notes that the next header has a data offset `at` bytes into its content. */
static int note_fixup(struct image *image, size_t at)
{
	size_t where = image->headers.len +
		       sizeof(struct igvm_variable_header) + at;

	return append(&image->fixups, &where, sizeof(where));
}

static int note_range(struct image *image, const char *name, uint64_t gpa,
		      uint64_t bytes, enum range_kind kind,
		      struct sha384 *digest)
{
	struct range r = { gpa, bytes, name, kind, { 0 } };

	sha384_end(digest, r.digest);
	return append(&image->ranges, &r, sizeof(r));
}

/* Doubles the table of pages and enters the old ones again. */
static int grow_slots(struct image *image)
{
	size_t slots = image->slots ? image->slots * 2 : 4096;
	size_t *slot = calloc(slots, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < image->slots; i++) {
		size_t s;

		if (!image->slot[i])
			continue;
		s = crc32_update(0, image->data.bytes + image->slot[i] - 1,
				 IGVM_PAGE_SIZE) & (slots - 1);
		while (slot[s])
			s = (s + 1) & (slots - 1);
		slot[s] = image->slot[i];
	}
	free(image->slot);
	image->slot = slot;
	image->slots = slots;
	return 0;
}

/* Finds image->page in the file data, or puts it there. */
static int page_offset(struct image *image, size_t *offset)
{
	const uint8_t *page = image->page;
	size_t s;
	int rc;

	if (image->unique_pages * 2 >= image->slots) {
		rc = grow_slots(image);
		if (rc)
			return rc;
	}
	s = crc32_update(0, page, IGVM_PAGE_SIZE) & (image->slots - 1);
	for (; image->slot[s]; s = (s + 1) & (image->slots - 1)) {
		*offset = image->slot[s] - 1;
		if (!memcmp(image->data.bytes + *offset, page, IGVM_PAGE_SIZE))
			return 0;
	}
	*offset = image->data.len;
	if (*offset > UINT32_MAX - IGVM_PAGE_SIZE)
		return -EFBIG;
	rc = append(&image->data, page, IGVM_PAGE_SIZE);
	if (rc)
		return rc;
	image->slot[s] = *offset + 1;
	image->unique_pages++;
	return 0;
}

/* image->page, at gpa. */
static int add_page(struct image *image, uint64_t gpa)
{
	struct igvm_page_data p = { .gpa = cpu_to_le64(gpa),
				    .compatibility_mask =
					    cpu_to_le32(IMAGE_MASK) };
	static const uint8_t zero[IGVM_PAGE_SIZE];
	size_t offset;
	int rc;

	image->pages++;
	if (!memcmp(image->page, zero, sizeof(zero))) {
		image->zero_pages++;
	} else {
		rc = page_offset(image, &offset);
		if (!rc)
			rc = note_fixup(image, offsetof(struct igvm_page_data,
							file_offset));
		if (rc)
			return rc;
		p.file_offset = cpu_to_le32((uint32_t)offset);
	}
	return image_header(image, IGVM_VHT_PAGE_DATA, &p, sizeof(p));
}

int image_pages(struct image *image, const char *name, uint64_t gpa,
		const void *data, uint64_t bytes)
{
	size_t zero_before = image->zero_pages, pages_before = image->pages;
	struct sha384 digest;
	bool zero;
	int rc;

	sha384_begin(&digest);
	for (uint64_t done = 0; done < bytes; done += IGVM_PAGE_SIZE) {
		uint64_t n = bytes - done;

		if (n > IGVM_PAGE_SIZE)
			n = IGVM_PAGE_SIZE;
		memset(image->page, 0, IGVM_PAGE_SIZE);
		if (data)
			memcpy(image->page, (const uint8_t *)data + done, n);
		sha384_add(&digest, image->page, IGVM_PAGE_SIZE);
		rc = add_page(image, gpa + done);
		if (rc)
			return rc;
	}
	zero = image->zero_pages - zero_before == image->pages - pages_before;
	return note_range(image, name, gpa,
			  (image->pages - pages_before) * IGVM_PAGE_SIZE,
			  zero ? RANGE_ZERO : RANGE_DATA, &digest);
}

int image_note_parameter(struct image *image, const char *name, uint64_t gpa,
			 uint64_t bytes)
{
	static const uint8_t page[IGVM_PAGE_SIZE];
	struct sha384 digest;

	sha384_begin(&digest);
	for (uint64_t done = 0; done < bytes; done += IGVM_PAGE_SIZE)
		sha384_add(&digest, page, sizeof(page));
	return note_range(image, name, gpa, bytes, RANGE_PARAMETER, &digest);
}

int image_context(struct image *image,
		  const struct igvm_vbs_vp_context_register *registers,
		  uint32_t count)
{
	struct igvm_vbs_vp_context_header head = { cpu_to_le32(count) };
	struct igvm_vp_context v = { .compatibility_mask =
					     cpu_to_le32(IMAGE_MASK) };
	int rc;

	if (image->data.len > UINT32_MAX / 2)
		return -EFBIG;
	v.file_offset = cpu_to_le32((uint32_t)image->data.len);
	rc = note_fixup(image, offsetof(struct igvm_vp_context, file_offset));
	if (!rc)
		rc = append(&image->data, &head, sizeof(head));
	if (!rc)
		rc = append(&image->data, registers,
			    count * sizeof(*registers));
	if (!rc)
		rc = image_header(image, IGVM_VHT_VP_CONTEXT, &v, sizeof(v));
	return rc;
}

/* Data offsets become file offsets. */
static void apply_fixups(struct image *image, uint32_t data_start)
{
	for (size_t i = 0; i < image->fixups.len; i += sizeof(size_t)) {
		size_t where;
		le32 offset;

		memcpy(&where, image->fixups.bytes + i, sizeof(where));
		memcpy(&offset, image->headers.bytes + where, sizeof(offset));
		offset = cpu_to_le32(le32_to_cpu(offset) + data_start);
		memcpy(image->headers.bytes + where, &offset, sizeof(offset));
	}
}

int image_finish(struct image *image, const uint8_t **bytes, size_t *len)
{
	struct igvm_fixed_header f = {
		.magic = cpu_to_le32(IGVM_MAGIC),
		.format_version = cpu_to_le32(IGVM_FORMAT_VERSION_1),
		.variable_header_offset = cpu_to_le32(sizeof(f)),
	};
	size_t total = sizeof(f) + image->headers.len + image->data.len;
	uint32_t crc;
	int rc;

	if (total > UINT32_MAX)
		return -EFBIG;
	f.variable_header_size = cpu_to_le32((uint32_t)image->headers.len);
	f.total_file_size = cpu_to_le32((uint32_t)total);
	apply_fixups(image, (uint32_t)(sizeof(f) + image->headers.len));
	crc = crc32_update(0, &f, sizeof(f));
	crc = crc32_update(crc, image->headers.bytes, image->headers.len);
	f.checksum = cpu_to_le32(crc);

	image->file.len = 0;
	rc = append(&image->file, &f, sizeof(f));
	if (!rc)
		rc = append(&image->file, image->headers.bytes,
			    image->headers.len);
	if (!rc)
		rc = append(&image->file, image->data.bytes, image->data.len);
	*bytes = image->file.bytes;
	*len = image->file.len;
	return rc;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/*
 * The map: lines of blank-separated columns, comments start with '#'.
 *
 *	GPA PAGES KIND NAME SHA384
 *	total PAGES ZERO UNIQUE BYTES
 *
 * Sorted by GPA. KIND: data, zero (all pages), parameter (the host's; the
 * digest is of the initial bytes). The digest is of all pages of the range.
 * The last line: pages of data and zero ranges, those that are zero, distinct
 * pages in the file, bytes of the file.
 */
void image_write_map(const struct image *image, FILE *out)
{
	static const char *const kinds[] = { "data", "zero", "parameter" };
	size_t count = image->ranges.len / sizeof(struct range);
	struct range *ranges = (void *)image->ranges.bytes;
	char text[SHA384_TEXT_SIZE];

	qsort(ranges, count, sizeof(*ranges), compare_ranges);
	fprintf(out, "# gpa pages kind name sha384\n");
	for (size_t i = 0; i < count; i++) {
		const struct range *r = &ranges[i];

		fprintf(out, "0x%016" PRIx64 " %" PRIu64 " %s %s %s\n", r->gpa,
			r->bytes / IGVM_PAGE_SIZE, kinds[r->kind], r->name,
			sha384_print(r->digest, text));
	}
	fprintf(out, "total %zu %zu %zu %zu\n", image->pages,
		image->zero_pages, image->unique_pages, image->file.len);
}
