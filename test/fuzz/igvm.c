// SPDX-License-Identifier: MIT
/*
 * An IGVM file and the host that loads it.
 *
 * Input: flags, pages of zeroes to put behind, then the file. With bit 0 of
 * the flags the file is as it is; without it, magic, sizes and checksum of the
 * fixed header are made right, and what follows is 16 bits of size of the
 * variable headers, these, and the data behind them: a checksum teaches a
 * fuzzer nothing.
 *
 * The reader refuses with a structure, a field and a rule; what it hands out
 * lies inside the file. The loader refuses with one line, and what it does not
 * refuse it can place: only into RAM that it asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "igvm/crc32.h"
#include "igvm/read.h"
#include "test/fuzz/fuzz.h"
#include "test/vmm/igvm_load.h"

#define RAW (1u << 0)
#define FILE_SIZE (64u << 10)
#define MIB (1ull << 20)
#define TREE_BYTES 3000u
#define RAM_BYTES (64u << 10)
#define MAX_AREAS (512u << 10) /* placed: what a run may copy */

static uint8_t file[FILE_SIZE];
static size_t file_size;
static const struct igvm_plan *plan_now;

/* The host's side, as far as the loader needs it. */

int input_file_read(struct input_file *to, const char *option,
		    const char *path, size_t max)
{
	(void)option;
	(void)max;
	to->path = path;
	to->bytes = malloc(file_size + 1);
	if (!to->bytes)
		abort();
	memcpy(to->bytes, file, file_size);
	to->bytes[file_size] = '\0';
	to->len = file_size;
	return 0;
}

void input_file_free(struct input_file *to)
{
	free(to->bytes);
	*to = (struct input_file){ NULL, NULL, 0 };
}

int host_tree_build(const struct host_tree *tree, void **blob, size_t *len)
{
	(void)tree;
	*blob = calloc(1, TREE_BYTES);
	if (!*blob)
		abort();
	*len = TREE_BYTES;
	return 0;
}

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	static uint8_t ram[RAM_BYTES + MAX_AREAS];
	bool inside = false;

	(void)m;
	(void)vtl;
	for (unsigned int i = 0; i < plan_now->nr_ranges; i++)
		inside |= gpa >= plan_now->ranges[i].gpa &&
			  gpa - plan_now->ranges[i].gpa <=
				  plan_now->ranges[i].size &&
			  size <= plan_now->ranges[i].size -
				  (gpa - plan_now->ranges[i].gpa);
	fuzz_expect(inside, gpa, size);
	fuzz_expect(size <= sizeof(ram), gpa, size);
	return ram;
}

int machine_set_boot_register(struct machine *m, enum vtl vtl, uint32_t name,
			      const struct hv_register_value *value)
{
	(void)m;
	(void)name;
	(void)value;
	fuzz_expect(vtl == VTL2, vtl, name);
	return 0;
}

/* The input. */

static void seal(void)
{
	struct igvm_fixed_header f = {
		.magic = cpu_to_le32(IGVM_MAGIC),
		.format_version = cpu_to_le32(IGVM_FORMAT_VERSION_1),
		.variable_header_offset = cpu_to_le32(sizeof(f)),
	};
	uint16_t size = file[sizeof(f)] | file[sizeof(f) + 1] << 8;
	size_t most = file_size - sizeof(f) - 2;
	uint32_t crc;

	size = (size > most ? most : size) & ~7u;
	memmove(file + sizeof(f), file + sizeof(f) + 2, most);
	file_size -= 2;
	f.variable_header_size = cpu_to_le32(size);
	f.total_file_size = cpu_to_le32(file_size);
	crc = crc32_update(0, &f, sizeof(f));
	crc = crc32_update(crc, file + sizeof(f), size);
	f.checksum = cpu_to_le32(crc);
	memcpy(file, &f, sizeof(f));
}

static void make_file(struct fuzz_input *in)
{
	uint8_t flags = (uint8_t)fuzz_number(in, 1);
	size_t zeroes = fuzz_number(in, 1) % 4 * IGVM_PAGE_SIZE;
	size_t head = flags & RAW ? 0 : sizeof(struct igvm_fixed_header);
	size_t size;
	const uint8_t *bytes = fuzz_rest(in, FILE_SIZE - zeroes - head, &size);

	if (!(flags & RAW) && size < 2)
		size = 0, head = 0;
	if (size)
		memcpy(file + head, bytes, size);
	memset(file + head + size, 0, zeroes);
	file_size = head + size + zeroes;
	if (head)
		seal();
}

/* The reader. */

static void check_header(const struct igvm_file *f, const struct igvm_header *h)
{
	const uint8_t *content = h->content;

	fuzz_expect(content >= file && content + h->length <= file + file_size,
		    h->offset, h->length);
	fuzz_expect(h->name, h->type, 0);
	if (!h->data)
		return;
	fuzz_expect(h->data >= file + f->end && h->data_len <= file_size &&
		    h->data <= file + file_size - h->data_len, h->offset,
		    h->data_len);
}

static bool read_file(void)
{
	struct igvm_error error = { 0, NULL, NULL, "" };
	uint64_t areas = 0;
	struct igvm_header h;
	struct igvm_file f;
	int err = igvm_open(&f, file, file_size, &error);

	if (err) {
		fuzz_expect(err == -EINVAL && error.structure && error.field &&
			    *error.rule && error.offset <= file_size, err,
			    error.offset);
		return false;
	}
	while (igvm_next(&f, &h)) {
		check_header(&f, &h);
		if (h.selected && h.type == IGVM_VHT_PARAMETER_AREA)
			areas += le64_to_cpu(
				h.parameter_area->number_of_bytes);
	}
	return areas <= MAX_AREAS;
}

static void load_file(void)
{
	static const struct input_file none = { NULL, NULL, 0 };
	static const struct igvm_host host = {
		.memory = 2048 * MIB,
		.vps = 2,
		.append = "console=ttyS2",
		.vtl0_kernel = &none,
		.vtl0_initrd = &none,
		.settings = &none,
	};
	static struct igvm_plan plan;
	int err = igvm_check("image", &host, &plan);

	fuzz_expect(!err || err == -EINVAL, err, 0);
	fuzz_expect(fuzz_log_lines() == (err ? 1 : 0), err, fuzz_log_lines());
	if (!err) {
		plan_now = &plan;
		fuzz_expect(!igvm_place(&plan, NULL), 0, 0);
		fuzz_accept();
	}
	igvm_plan_free(&plan);
}

void fuzz_one(struct fuzz_input *in)
{
	fuzz_stderr_is_log();
	make_file(in);
	if (read_file())
		load_file();
}
