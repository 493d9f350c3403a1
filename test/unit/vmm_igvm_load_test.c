/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/igvm_load.c test/vmm/host_tree.c test/vmm/input_file.c */
/* SOURCES: igvm/read.c igvm/check.c igvm/registers.c igvm/crc32.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <libfdt.h>

#include "blackbox_reg.h"
#include "hv_reg.h"
#include "igvm/crc32.h"
#include "stderr_capture.h"
#include "test/vmm/igvm_load.h"
#include "test/vmm/memory_map.h"

#define MIB (1ull << 20)
#define BASE 0x70000000ull
#define PAGE IGVM_PAGE_SIZE

/*
 * The image: frames gather in `headers`, file data in `data`; the offsets
 * into the data are made absolute when the file is written.
 */
static struct {
	uint8_t headers[8192];
	size_t headers_len;
	uint8_t data[8 * PAGE];
	size_t data_len;
	struct {
		size_t field;
	} fixups[32];
	size_t nr_fixups;
} image;

static char path[] = "/tmp/igvm_load_test.XXXXXX";
static struct input_file kernel, initrd, settings;
static struct igvm_host host;
static struct igvm_plan plan;

/* Appends a header; returns where its content is in image.headers. */
static size_t add(uint32_t type, const void *content, uint32_t len)
{
	struct igvm_variable_header h = { cpu_to_le32(type),
					  cpu_to_le32(len) };
	size_t at = image.headers_len + sizeof(h);

	memcpy(image.headers + image.headers_len, &h, sizeof(h));
	memcpy(image.headers + at, content, len);
	image.headers_len = at + (len + 7) / 8 * 8;
	return at;
}

static uint32_t add_data(const void *data, size_t len)
{
	uint32_t at = image.data_len;

	memcpy(image.data + at, data, len);
	image.data_len += len;
	return at;
}

static void add_fixup(size_t field)
{
	image.fixups[image.nr_fixups++].field = field;
}

static void add_platform(void)
{
	const struct igvm_supported_platform p = {
		.compatibility_mask = cpu_to_le32(1),
		.highest_vtl = 2,
		.platform_type = IGVM_PLATFORM_VSM_ISOLATION,
		.platform_version = cpu_to_le16(1),
	};

	add(IGVM_VHT_SUPPORTED_PLATFORM, &p, sizeof(p));
}

static void add_memory(uint64_t gpa, uint32_t bytes, uint32_t flags)
{
	const struct igvm_required_memory m = {
		.gpa = cpu_to_le64(gpa),
		.compatibility_mask = cpu_to_le32(1),
		.number_of_bytes = cpu_to_le32(bytes),
		.flags = cpu_to_le32(flags),
	};

	add(IGVM_VHT_REQUIRED_MEMORY, &m, sizeof(m));
}

/* A page full of `fill`; 0: without file data. */
static void add_page(uint64_t gpa, uint8_t fill)
{
	struct igvm_page_data p = { .gpa = cpu_to_le64(gpa),
				    .compatibility_mask = cpu_to_le32(1) };
	uint8_t bytes[PAGE];
	size_t at;

	if (fill) {
		memset(bytes, fill, sizeof(bytes));
		p.file_offset = cpu_to_le32(add_data(bytes, sizeof(bytes)));
	}
	at = add(IGVM_VHT_PAGE_DATA, &p, sizeof(p));
	if (fill)
		add_fixup(at + offsetof(struct igvm_page_data, file_offset));
}

static void add_area(uint32_t index, uint64_t bytes)
{
	const struct igvm_parameter_area a = {
		.number_of_bytes = cpu_to_le64(bytes),
		.parameter_area_index = cpu_to_le32(index),
	};

	add(IGVM_VHT_PARAMETER_AREA, &a, sizeof(a));
}

static void add_parameter(uint32_t type, uint32_t index, uint32_t offset)
{
	const struct igvm_parameter p = { cpu_to_le32(index),
					  cpu_to_le32(offset) };

	add(type, &p, sizeof(p));
}

static void add_insert(uint32_t index, uint64_t gpa)
{
	const struct igvm_parameter_insert i = {
		.gpa = cpu_to_le64(gpa),
		.compatibility_mask = cpu_to_le32(1),
		.parameter_area_index = cpu_to_le32(index),
	};

	add(IGVM_VHT_PARAMETER_INSERT, &i, sizeof(i));
}

static void add_context(uint8_t vtl)
{
	const struct igvm_vbs_vp_context_header count = { cpu_to_le32(2) };
	struct igvm_vbs_vp_context_register r[2] = {
		{ .vtl = 2, .register_name = cpu_to_le32(HV_REG_RIP) },
		{ .vtl = vtl, .register_name = cpu_to_le32(HV_REG_CR3) },
	};
	struct igvm_vp_context c = { .compatibility_mask = cpu_to_le32(1) };
	size_t at;

	memcpy(r[0].register_value, "\x10\x32\x54\x76", 4);
	c.file_offset = cpu_to_le32(add_data(&count, sizeof(count)));
	add_data(r, sizeof(r));
	at = add(IGVM_VHT_VP_CONTEXT, &c, sizeof(c));
	add_fixup(at + offsetof(struct igvm_vp_context, file_offset));
}

static void write_image(void)
{
	struct igvm_fixed_header f = {
		.magic = cpu_to_le32(IGVM_MAGIC),
		.format_version = cpu_to_le32(1),
		.variable_header_offset = cpu_to_le32(sizeof(f)),
		.variable_header_size = cpu_to_le32(image.headers_len),
		.total_file_size = cpu_to_le32(sizeof(f) + image.headers_len +
					       image.data_len),
	};
	FILE *file = fopen(path, "w");
	uint32_t crc;

	for (size_t i = 0; i < image.nr_fixups; i++) {
		uint8_t *field = image.headers + image.fixups[i].field;
		le32 offset;

		memcpy(&offset, field, sizeof(offset));
		offset = cpu_to_le32(le32_to_cpu(offset) + sizeof(f) +
				     image.headers_len);
		memcpy(field, &offset, sizeof(offset));
	}
	crc = crc32_update(0, &f, sizeof(f));
	f.checksum = cpu_to_le32(crc32_update(crc, image.headers,
					      image.headers_len));
	assert_non_null(file);
	fwrite(&f, sizeof(f), 1, file);
	fwrite(image.headers, image.headers_len, 1, file);
	fwrite(image.data, image.data_len, 1, file);
	assert_int_equal(fclose(file), 0);
}

/* Everything but what a test adds; ends with write_image(). */
static void add_usual(void)
{
	add_platform();
	add_memory(BASE, 64 * MIB, IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
	add_area(0, 16 * PAGE);
	add_area(1, PAGE);
	add_parameter(IGVM_VHT_DEVICE_TREE, 0, 16);
	add_parameter(IGVM_VHT_MEMORY_MAP, 1, 0);
	add_parameter(IGVM_VHT_VP_COUNT_PARAMETER, 1, 2048);
	add_parameter(IGVM_VHT_COMMAND_LINE, 1, 2052);
	add_insert(0, BASE + 2 * MIB);
	add_insert(1, BASE + 3 * MIB);
	add_page(BASE, 0xa5);
	add_page(BASE + PAGE, 0);
	add_context(2);
}

static int set_up(void **state)
{
	(void)state;
	memset(&image, 0, sizeof(image));
	memset(&plan, 0, sizeof(plan));
	memset(&kernel, 0, sizeof(kernel));
	memset(&initrd, 0, sizeof(initrd));
	memset(&settings, 0, sizeof(settings));
	host = (struct igvm_host){ .memory = 1024 * MIB,
				   .vps = 2,
				   .append = "quiet",
				   .vtl0_kernel = &kernel,
				   .vtl0_initrd = &initrd,
				   .settings = &settings };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	igvm_plan_free(&plan);
	return 0;
}

static void assert_accepted(void)
{
	const char *said;
	int err;

	write_image();
	capture_stderr();
	err = igvm_check(path, &host, &plan);
	said = captured_stderr();
	if (err)
		fail_msg("refused: %s", said);
	assert_string_equal(said, "");
}

static void assert_refused(const char *where, const char *rule)
{
	const char *said;
	int err;

	write_image();
	capture_stderr();
	err = igvm_check(path, &host, &plan);
	said = captured_stderr();
	assert_int_equal(err, -EINVAL);
	if (!is_one_line(said) || strncmp(said, "vmm: ", 5) ||
	    !strstr(said, where) || !strstr(said, rule))
		fail_msg("expected %s %s, got %s", where, rule, said);
}

/* A machine for igvm_place(): RAM by range, registers as they come. */
struct machine {
	uint8_t *ram[IGVM_MAX_RANGES];
	uint32_t names[8];
	struct hv_register_value values[8];
	unsigned int nr_registers;
};

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	assert_int_equal(vtl, VTL2);
	for (unsigned int i = 0; i < plan.nr_ranges; i++) {
		const struct memory_range *range = &plan.ranges[i];

		if (gpa >= range->gpa &&
		    gpa + size <= range->gpa + range->size)
			return m->ram[i] + (gpa - range->gpa);
	}
	return NULL;
}

int machine_set_boot_register(struct machine *m, enum vtl vtl, uint32_t name,
			      const struct hv_register_value *value)
{
	assert_int_equal(vtl, VTL2);
	m->names[m->nr_registers] = name;
	m->values[m->nr_registers++] = *value;
	return 0;
}

static struct machine make_machine(void)
{
	struct machine m = { .nr_registers = 0 };

	for (unsigned int i = 0; i < plan.nr_ranges; i++) {
		m.ram[i] = calloc(1, plan.ranges[i].size);
		assert_non_null(m.ram[i]);
	}
	return m;
}

static void free_machine(struct machine *m)
{
	for (unsigned int i = 0; i < plan.nr_ranges; i++)
		free(m->ram[i]);
}

static void assert_range(unsigned int i, uint64_t gpa, uint64_t size,
			 enum vtl vtl)
{
	assert_true(i < plan.nr_ranges);
	assert_int_equal(plan.ranges[i].gpa, gpa);
	assert_int_equal(plan.ranges[i].size, size);
	assert_int_equal(plan.ranges[i].vtl, vtl);
}

static void small_ram_lies_below_vtl2(void **state)
{
	(void)state;
	add_usual();
	assert_accepted();
	assert_int_equal(plan.nr_ranges, 2);
	assert_range(0, 0, 1024 * MIB, VTL0);
	assert_range(1, BASE, 64 * MIB, VTL2);
}

static void large_ram_continues_at_4_gib(void **state)
{
	(void)state;
	host.memory = 4096 * MIB;
	add_usual();
	assert_accepted();
	assert_int_equal(plan.nr_ranges, 3);
	assert_range(0, 0, BASE, VTL0);
	assert_range(1, BASE, 64 * MIB, VTL2);
	assert_range(2, 1ull << 32, 4096 * MIB - BASE, VTL0);
}

static void ram_up_to_vtl2_leaves_no_empty_range(void **state)
{
	(void)state;
	host.memory = BASE;
	add_usual();
	assert_accepted();
	assert_int_equal(plan.nr_ranges, 2);
	assert_range(0, 0, BASE, VTL0);
}

static void everything_is_placed(void **state)
{
	static const uint8_t entries[] = {
		/* [0, 1 GiB) of VTL0 */
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0,
		/* 64 MiB of VTL2 at 0x70000000, type 3 */
		0, 0, 7, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0,
		3, 0, 0, 0, 0, 0, 0, 0,
		/* the end */
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0,
	};
	struct machine m;
	uint8_t *ram;

	(void)state;
	add_usual();
	assert_accepted();
	m = make_machine();
	assert_int_equal(igvm_place(&plan, &m), 0);
	ram = m.ram[1];
	for (unsigned int i = 0; i < PAGE; i++)
		assert_int_equal(ram[i], 0xa5);
	assert_int_equal(ram[PAGE], 0);
	assert_int_equal(fdt_check_full(ram + 2 * MIB + 16,
					16 * PAGE - 16), 0);
	assert_string_equal(fdt_getprop(ram + 2 * MIB + 16,
					fdt_path_offset(ram + 2 * MIB + 16,
							"/chosen"),
					"bootargs", NULL), "quiet");
	assert_memory_equal(ram + 3 * MIB, entries, sizeof(entries));
	assert_memory_equal(ram + 3 * MIB + 2048, "\2\0\0", 4);
	assert_string_equal((char *)ram + 3 * MIB + 2052, "quiet");
	assert_int_equal(m.nr_registers, 2);
	assert_int_equal(m.names[0], HV_REG_RIP);
	assert_memory_equal(&m.values[0], "\x10\x32\x54\x76\0\0\0\0", 8);
	free_machine(&m);
}

static void vtl0_files_lie_outside_of_all_ram(void **state)
{
	static uint8_t kernel_bytes[5000], initrd_bytes[100];
	const struct memory_range *files;
	struct machine m;

	(void)state;
	memset(kernel_bytes, 'k', sizeof(kernel_bytes));
	memset(initrd_bytes, 'i', sizeof(initrd_bytes));
	kernel = (struct input_file){ "kernel", kernel_bytes, 5000 };
	initrd = (struct input_file){ "initrd", initrd_bytes, 100 };
	add_usual();
	assert_accepted();
	assert_int_equal(plan.kernel.gpa, VTL0_FILES_BASE);
	assert_int_equal(plan.kernel.bytes, 5000);
	assert_int_equal(plan.initrd.gpa, VTL0_FILES_BASE + 2 * PAGE);
	assert_int_equal(plan.initrd.bytes, 100);
	assert_int_equal(plan.nr_ranges, plan.nr_ram + 1);
	files = &plan.ranges[plan.nr_ram];
	assert_int_equal(files->gpa, VTL0_FILES_BASE);
	assert_int_equal(files->size, 2 * MIB);
	assert_int_equal(files->vtl, VTL2);
	m = make_machine();
	assert_int_equal(igvm_place(&plan, &m), 0);
	assert_memory_equal(m.ram[plan.nr_ram], kernel_bytes, 5000);
	assert_memory_equal(m.ram[plan.nr_ram] + 2 * PAGE, initrd_bytes, 100);
	free_machine(&m);
}

static void pages_of_vtl0_are_allowed_in_its_ram_only(void **state)
{
	(void)state;
	add_platform();
	add_memory(BASE, 64 * MIB, IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
	add_memory(16 * MIB, MIB, 0);
	add_page(16 * MIB, 1);
	add_context(2);
	assert_accepted();
	igvm_plan_free(&plan);
	host.memory = 16 * MIB;
	capture_stderr();
	assert_int_equal(igvm_check(path, &host, &plan), -EINVAL);
	assert_non_null(strstr(captured_stderr(), "REQUIRED_MEMORY.gpa: "
			       "0x1000000: 0x100000 bytes are outside"));
}

static void vtl2_ram_is_one_and_aligned(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t bytes;
		const char *where, *rule;
	} cases[] = {
		{ BASE + MIB, 64 * MIB, "REQUIRED_MEMORY.gpa", "2 MiB" },
		{ 0, 64 * MIB, "REQUIRED_MEMORY.gpa", "not at 0" },
		{ BASE, 3 * MIB, "REQUIRED_MEMORY.number_of_bytes", "2 MiB" },
		{ 0xf8000000, 2 * MIB, "REQUIRED_MEMORY.gpa", "MMIO" },
		{ 0xf7e00000, 4 * MIB, "REQUIRED_MEMORY.gpa", "MMIO" },
		{ 1ull << 40, 2 * MIB, "REQUIRED_MEMORY.gpa", "MMIO" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(state);
		add_platform();
		add_memory(cases[i].gpa, cases[i].bytes,
			   IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
		add_context(2);
		assert_refused(cases[i].where, cases[i].rule);
		igvm_plan_free(&plan);
	}
}

static void parameters_with_their_real_length(void **state)
{
	(void)state;
	add_usual();
	/* One byte more than fits: "quiet" and its NUL, at the end. */
	add_area(2, PAGE);
	add_parameter(IGVM_VHT_COMMAND_LINE, 2, PAGE - 5);
	add_insert(2, BASE + 4 * MIB);
	assert_refused("COMMAND_LINE.byte_offset", "do not fit the area");
	igvm_plan_free(&plan);

	set_up(state);
	add_usual();
	add_area(2, PAGE);
	add_parameter(IGVM_VHT_COMMAND_LINE, 2, PAGE - 6);
	add_insert(2, BASE + 4 * MIB);
	assert_accepted();
}

static void parameters_do_not_overlap(void **state)
{
	(void)state;
	add_usual();
	add_area(2, PAGE);
	add_parameter(IGVM_VHT_COMMAND_LINE, 2, 0);
	add_parameter(IGVM_VHT_VP_COUNT_PARAMETER, 2, 5);
	add_insert(2, BASE + 4 * MIB);
	assert_refused("VP_COUNT_PARAMETER.byte_offset",
		       "overlaps the COMMAND_LINE");
}

static void unknown_parameters(void **state)
{
	(void)state;
	add_usual();
	add_area(2, PAGE);
	add_parameter(IGVM_VHT_SLIT, 2, 0);
	add_insert(2, BASE + 4 * MIB);
	assert_refused("SLIT.type", "no such parameter");
	igvm_plan_free(&plan);

	set_up(state);
	add_usual();
	add_area(2, PAGE);
	add_parameter(IGVM_VHT_SLIT | IGVM_TYPE_OPTIONAL, 2, 0);
	add_insert(2, BASE + 4 * MIB);
	assert_accepted();
}

static void registers_of_vtl2_only(void **state)
{
	(void)state;
	add_platform();
	add_memory(BASE, 64 * MIB, IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE);
	add_context(0);
	assert_refused("VBS_VP_CONTEXT_REGISTER.vtl", "must be 2");
}

static void files_that_cannot_be_read(void **state)
{
	const char *said;

	(void)state;
	capture_stderr();
	assert_int_equal(igvm_check("/nonexistent", &host, &plan), -ENOENT);
	said = captured_stderr();
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "--igvm /nonexistent: No such file"));
	capture_stderr();
	assert_int_equal(igvm_check("/tmp", &host, &plan), -EINVAL);
	assert_non_null(strstr(captured_stderr(), "regular file"));
	assert_int_equal(truncate(path, 0), 0);
	capture_stderr();
	assert_int_equal(igvm_check(path, &host, &plan), -EINVAL);
	assert_non_null(strstr(captured_stderr(), "has 0 bytes"));
}

/* The page that says where the black box is, and pages that only look so. */
static void black_box(void **state)
{
	static const struct {
		uint64_t gpa, said, size;
		bool found;
	} cases[] = {
		{ BASE + 60 * MIB, BASE + 60 * MIB, 4 * MIB, true },
		{ BASE + 60 * MIB, BASE + 62 * MIB, 2 * MIB, false },
		{ BASE + 60 * MIB, BASE + 60 * MIB, 6 * MIB, false },
		{ BASE + 60 * MIB, BASE + 60 * MIB, 0, false },
		{ BASE + 60 * MIB, BASE + 60 * MIB, UINT64_MAX, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct blackbox_header header = {
			.magic = cpu_to_le64(BLACKBOX_MAGIC),
			.gpa = cpu_to_le64(cases[i].said),
			.size = cpu_to_le64(cases[i].size),
		};

		set_up(NULL);
		add_usual();
		add_page(cases[i].gpa, 1);
		memset(image.data + image.data_len - PAGE, 0, PAGE);
		memcpy(image.data + image.data_len - PAGE, &header,
		       sizeof(header));
		assert_accepted();
		assert_int_equal(plan.black_box.gpa,
				 cases[i].found ? cases[i].gpa : 0);
		assert_int_equal(plan.black_box.bytes,
				 cases[i].found ? cases[i].size : 0);
		igvm_plan_free(&plan);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(black_box),
		TEST(small_ram_lies_below_vtl2),
		TEST(large_ram_continues_at_4_gib),
		TEST(ram_up_to_vtl2_leaves_no_empty_range),
		TEST(everything_is_placed),
		TEST(vtl0_files_lie_outside_of_all_ram),
		TEST(pages_of_vtl0_are_allowed_in_its_ram_only),
		TEST(vtl2_ram_is_one_and_aligned),
		TEST(parameters_with_their_real_length),
		TEST(parameters_do_not_overlap),
		TEST(unknown_parameters),
		TEST(registers_of_vtl2_only),
		TEST(files_that_cannot_be_read),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
