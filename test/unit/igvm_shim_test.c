// SPDX-License-Identifier: MIT
// SOURCES: igvm/shim_host_tree.c igvm/shim_kernel_tree.c igvm/shim_boot_params.c igvm/shim_log.c
/*
 * The boot shim's parsing and writing, natively: good host trees, host trees
 * with one thing wrong, random bytes, and what Linux and the daemon get.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "blackbox_reg.h"
#include "igvm/shim.h"
#include "vtl0_reg.h"

#define TREE_SIZE 65536
#define BASE 0x70000000ull
#define RAM (128ull << 20)
#define BOX (BASE + RAM - (4 << 20))
#define FOUR_GIB (1ull << 32)

/* A host's tree: what a case changes of a good one. */
struct host {
	uint32_t cells; /* #address-cells of the root */
	uint32_t cpus;
	bool same_apic_id;
	const char *cpu_status;
	uint64_t vtl0_ram, vtl2_base, vtl2_ram;
	uint32_t vtl2_type, memory_ranges;
	uint32_t memory_reg_bytes;
	uint32_t vtl2_vmbus; /* how many nodes */
	uint32_t vmbus_vtl;
	uint64_t mmio, mmio_bytes;
	uint32_t mmio_reg_bytes;
	const char *bootargs;
	uint32_t bootargs_bytes; /* 0: strlen + 1 */
	bool paravisor;
	uint64_t kernel, kernel_bytes, initrd, initrd_bytes;
	const char *append, *settings;
	uint32_t depth; /* of nodes nobody asked for */
};

static const struct host sound = {
	.cells = 2, .cpus = 2, .cpu_status = "okay", .vtl0_ram = BASE,
	.vtl2_base = BASE, .vtl2_ram = RAM, .vtl2_type = 3,
	.memory_reg_bytes = 16, .vtl2_vmbus = 1, .vmbus_vtl = 2,
	.mmio = 0xe00000000, .mmio_bytes = 1 << 28, .mmio_reg_bytes = 24,
};

static uint8_t blob[TREE_SIZE] __attribute__((aligned(8)));
static struct host_tree tree;

static void put_u64s(const char *name, const uint64_t *values, uint32_t bytes)
{
	fdt64_t cells[16];

	for (uint32_t i = 0; i < 16 && i * 8 < bytes; i++)
		cells[i] = cpu_to_fdt64(values[i]);
	fdt_property(blob, name, cells, (int)bytes);
}

static void put_memory(uint64_t gpa, uint64_t bytes, uint32_t type,
		       uint32_t reg_bytes)
{
	const uint64_t reg[4] = { gpa, bytes };
	char name[40];

	snprintf(name, sizeof(name), "memory@%" PRIx64, gpa);
	fdt_begin_node(blob, name);
	fdt_property_string(blob, "device_type", "memory");
	put_u64s("reg", reg, reg_bytes);
	fdt_property_u32(blob, "numa-node-id", 0);
	fdt_property_u32(blob, "microsoft,igvm-type", type);
	fdt_end_node(blob);
}

static void put_cpus(const struct host *h)
{
	char name[40];

	fdt_begin_node(blob, "cpus");
	fdt_property_u32(blob, "#address-cells", 1);
	fdt_property_u32(blob, "#size-cells", 0);
	for (uint32_t i = 0; i < h->cpus; i++) {
		snprintf(name, sizeof(name), "cpu@%u", i + 1);
		fdt_begin_node(blob, name);
		fdt_property_string(blob, "device_type", "cpu");
		fdt_property_u32(blob, "reg", h->same_apic_id ? 5 : i * 2);
		fdt_property_u32(blob, "numa-node-id", 0);
		fdt_property_string(blob, "status", h->cpu_status);
		fdt_end_node(blob);
	}
	fdt_end_node(blob);
}

static void put_vmbus(const char *name, uint32_t vtl, uint64_t mmio,
		      uint64_t bytes, uint32_t reg_bytes)
{
	const uint64_t ranges[16] = { mmio, mmio, bytes };

	fdt_begin_node(blob, name);
	fdt_property_u32(blob, "#address-cells", 2);
	fdt_property_u32(blob, "#size-cells", 2);
	fdt_property_string(blob, "compatible", "microsoft,vmbus");
	put_u64s("ranges", ranges, reg_bytes);
	fdt_property_u32(blob, "microsoft,vtl", vtl);
	fdt_property_u32(blob, "microsoft,message-connection-id",
			 vtl ? 0x800074 : 1);
	fdt_end_node(blob);
}

static void put_bus(const struct host *h)
{
	char name[40];

	fdt_begin_node(blob, "bus");
	fdt_property_string(blob, "compatible", "simple-bus");
	fdt_property_u32(blob, "#address-cells", 2);
	fdt_property_u32(blob, "#size-cells", 2);
	fdt_property(blob, "ranges", "", 0);
	put_vmbus("vmbus-vtl0@f8000000", 0, 0xf8000000, 1 << 26, 24);
	for (uint32_t i = 0; i < h->vtl2_vmbus; i++) {
		snprintf(name, sizeof(name), "vmbus-vtl2@%x", i);
		put_vmbus(name, h->vmbus_vtl, h->mmio, h->mmio_bytes,
			  h->mmio_reg_bytes);
	}
	fdt_end_node(blob);
}

static void put_paravisor(const struct host *h)
{
	const uint64_t kernel[2] = { h->kernel, h->kernel_bytes };
	const uint64_t initrd[2] = { h->initrd, h->initrd_bytes };

	fdt_begin_node(blob, "paravisor");
	if (h->kernel_bytes)
		put_u64s("vtl0-kernel", kernel, 16);
	if (h->initrd_bytes)
		put_u64s("vtl0-initrd", initrd, 16);
	if (h->append)
		fdt_property_string(blob, "vtl0-append", h->append);
	if (h->settings)
		fdt_property_string(blob, "settings", h->settings);
	fdt_end_node(blob);
}

static void make_tree(const struct host *h)
{
	memset(blob, 0, sizeof(blob));
	fdt_create(blob, sizeof(blob));
	fdt_finish_reservemap(blob);
	fdt_begin_node(blob, "");
	fdt_property_u32(blob, "#address-cells", h->cells);
	fdt_property_u32(blob, "#size-cells", 2);
	fdt_property_string(blob, "model", "microsoft,hyperv");
	put_cpus(h);
	put_memory(0, h->vtl0_ram, 0, h->memory_reg_bytes);
	put_memory(h->vtl2_base, h->vtl2_ram, h->vtl2_type, 16);
	for (uint32_t i = 0; i < h->memory_ranges; i++)
		put_memory(FOUR_GIB + ((uint64_t)i << 21), 1 << 21, 0, 16);
	put_bus(h);
	fdt_begin_node(blob, "chosen");
	if (h->bootargs)
		fdt_property(blob, "bootargs", h->bootargs,
			     (int)(h->bootargs_bytes ? h->bootargs_bytes :
						       strlen(h->bootargs) + 1));
	fdt_end_node(blob);
	fdt_begin_node(blob, "openhcl");
	fdt_property_string(blob, "memory-allocation-mode", "host");
	fdt_end_node(blob);
	if (h->paravisor)
		put_paravisor(h);
	for (uint32_t i = 0; i < h->depth; i++)
		fdt_begin_node(blob, "deeper");
	for (uint32_t i = 0; i < h->depth; i++)
		fdt_end_node(blob);
	fdt_end_node(blob);
	assert_int_equal(fdt_finish(blob), 0);
}

static void test_sound(void **state)
{
	struct host h = sound;

	(void)state;
	h.bootargs = "quiet";
	make_tree(&h);
	assert_int_equal(host_tree_parse(&tree, blob, TREE_SIZE), 0);
	assert_int_equal(tree.cpu_count, 2);
	assert_int_equal(tree.cpu[1], 2);
	assert_int_equal(tree.memory_count, 2);
	assert_int_equal(tree.vmbus_vtl2.connection_id, 0x800074);
	assert_int_equal(tree.vmbus_vtl2.mmio[0].gpa, h.mmio);
	assert_int_equal(tree.vmbus_vtl0.mmio[0].gpa, 0xf8000000);
	assert_string_equal(tree.bootargs, "quiet");
	assert_null(tree.settings);
	assert_non_null(host_tree_vtl2_ram(&tree, BASE, RAM));
	assert_null(host_tree_vtl2_ram(&tree, BASE, RAM + 4096));
	assert_null(host_tree_vtl2_ram(&tree, BASE - 4096, RAM));
	assert_null(host_tree_vtl2_ram(&tree, 0, 4096));
}

static void test_given_by_host(void **state)
{
	struct host h = sound;

	(void)state;
	h.paravisor = true;
	h.kernel = 0xd00000000;
	h.kernel_bytes = 0x12345;
	h.initrd = 0xd00013000;
	h.initrd_bytes = 0x777;
	h.append = "console=ttyS0";
	h.settings = "{\r\n\t\"version\":1\r\n}\n";
	make_tree(&h);
	assert_int_equal(host_tree_parse(&tree, blob, TREE_SIZE), 0);
	assert_int_equal(tree.vtl0_kernel.gpa, h.kernel);
	assert_int_equal(tree.vtl0_kernel.bytes, h.kernel_bytes);
	assert_int_equal(tree.vtl0_initrd.bytes, h.initrd_bytes);
	assert_string_equal(tree.vtl0_append, h.append);
	assert_string_equal(tree.settings, h.settings);
}

static void refuse(const struct host *h, const char *rule)
{
	make_tree(h);
	tree.rule = "none";
	if (!host_tree_parse(&tree, blob, TREE_SIZE))
		fail_msg("accepted: %s", rule);
	if (!strstr(tree.rule, rule))
		fail_msg("expected \"%s\", got \"%s\"", rule, tree.rule);
}

#define REFUSE(text, ...)                                                     \
	do {                                                                  \
		struct host changed = sound;                                  \
		changed.paravisor = true;                                     \
		__VA_ARGS__;                                                  \
		refuse(&changed, text);                                       \
	} while (0)

static void test_refused(void **state)
{
	static char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	REFUSE("root needs", changed.cells = 1);
	REFUSE("no usable CPU", changed.cpus = 0);
	REFUSE("no usable CPU", changed.cpu_status = "disabled");
	REFUSE("two CPUs", changed.same_apic_id = true);
	REFUSE("memory overlaps", changed.vtl0_ram = BASE + 4096);
	REFUSE("not whole pages", changed.vtl0_ram = BASE - 1);
	REFUSE("not whole pages", changed.vtl0_ram = 0);
	REFUSE("not whole pages", changed.vtl2_ram = UINT64_MAX - 4095);
	REFUSE("bad length", changed.memory_reg_bytes = 12);
	REFUSE("igvm-type", changed.vtl2_type = 99);
	REFUSE("more memory ranges", changed.memory_ranges = 70);
	REFUSE("no vmbus", changed.vtl2_vmbus = 0);
	REFUSE("two vmbus", changed.vtl2_vmbus = 2);
	REFUSE("two vmbus", changed.vmbus_vtl = 0);
	REFUSE("vmbus of VTL", changed.vmbus_vtl = 1);
	REFUSE("MMIO overlaps memory", changed.mmio = 0x10000000);
	REFUSE("MMIO overlaps at", changed.mmio = 0xf9000000);
	REFUSE("bad MMIO", changed.mmio_bytes = UINT64_MAX - 4095);
	REFUSE("bad MMIO", changed.mmio = 0xe00000001);
	REFUSE("ranges has bad length", changed.mmio_reg_bytes = 20);
	REFUSE("bootargs", changed.bootargs = "a\001b");
	REFUSE("bootargs", changed.bootargs = text);
	REFUSE("bootargs", changed.bootargs = "abc",
	       changed.bootargs_bytes = 3);
	REFUSE("bootargs", changed.bootargs = "abc\0def",
	       changed.bootargs_bytes = 8);
	REFUSE("overlaps memory", changed.kernel = BASE,
	       changed.kernel_bytes = 4096);
	REFUSE("overlaps memory", changed.kernel = 0,
	       changed.kernel_bytes = 4096);
	REFUSE("overlaps MMIO", changed.kernel = sound.mmio - 4096,
	       changed.kernel_bytes = 4097);
	REFUSE("wraps", changed.kernel = 4096,
	       changed.kernel_bytes = UINT64_MAX);
	REFUSE("unaligned", changed.kernel = 1, changed.kernel_bytes = 9);
	REFUSE("no kernel", changed.initrd = 0xd00000000, changed.initrd_bytes = 9);
	REFUSE("ranges overlap", changed.kernel = 0xd00000000,
	       changed.kernel_bytes = 4097, changed.initrd = 0xd00001000,
	       changed.initrd_bytes = 1);
	REFUSE("vtl0-append", changed.append = text);
	REFUSE("vtl0-append", changed.append = "a\033b");
	REFUSE("settings", changed.settings = "{\177}");
	REFUSE("deeper", changed.depth = 40);
}

static void test_not_a_tree(void **state)
{
	(void)state;
	memset(blob, 0, sizeof(blob));
	assert_int_equal(host_tree_parse(&tree, blob, TREE_SIZE), -1);
	assert_int_equal(host_tree_parse(&tree, blob, 8), -1);
	make_tree(&sound);
	assert_int_equal(host_tree_parse(&tree, blob,
					 fdt_totalsize(blob) - 1), -1);
	fdt_set_totalsize(blob, TREE_SIZE * 2);
	assert_int_equal(host_tree_parse(&tree, blob, TREE_SIZE), -1);
}

/* Whatever changes in a tree, parsing ends and stays inside the buffer. */
static void test_random_changes(void **state)
{
	struct host h = sound;
	uint32_t seed = 1, accepted = 0, size;
	uint8_t *copy;

	(void)state;
	h.paravisor = true;
	h.kernel = 0xd00000000;
	h.kernel_bytes = 4096;
	h.append = "x";
	make_tree(&h);
	size = fdt_totalsize(blob);
	copy = malloc(size);
	for (int round = 0; round < 20000; round++) {
		memcpy(copy, blob, size);
		for (int n = round % 4; n >= 0; n--) {
			seed = seed * 1664525 + 1013904223;
			copy[(seed >> 8) % size] ^= (uint8_t)(1u << (seed & 7));
		}
		if (!host_tree_parse(&tree, copy, size)) {
			assert_in_range(tree.cpu_count, 1, HOST_CPUS_MAX);
			accepted++;
		} else {
			assert_non_null(tree.rule);
		}
	}
	free(copy);
	assert_in_range(accepted, 1, 19999);
}

static const void *prop(const void *fdt, const char *path, const char *name,
			int bytes)
{
	int len, node = fdt_path_offset(fdt, path);
	const void *value;

	if (node < 0)
		fail_msg("no node %s", path);
	value = fdt_getprop(fdt, node, name, &len);
	if (!value || len != bytes)
		fail_msg("%s/%s: %d bytes, expected %d", path, name, len,
			 bytes);
	return value;
}

static void test_kernel_tree(void **state)
{
	static uint8_t out[TREE_SIZE] __attribute__((aligned(8)));
	struct kernel_tree_parts parts = {
		.vtl2_ram = { BASE, RAM, 3 },
		.vtl0_kernel = { BASE + RAM - 8192, 5000, 0 },
		.black_box = { BOX, 4 << 20, 0 },
		.vtl0_command_line = "root=/dev/sda",
		.settings = "{}", .log = "shim: one\n",
	};
	struct host h = sound;
	const fdt64_t *cells;
	int bytes, node = -1, count = 0;

	(void)state;
	h.cpus = 3;
	h.paravisor = true;
	h.append = "more";
	make_tree(&h);
	assert_int_equal(host_tree_parse(&tree, blob, TREE_SIZE), 0);
	bytes = kernel_tree_write(out, sizeof(out), &tree, &parts);
	assert_true(bytes > 0);
	assert_int_equal(fdt_check_full(out, sizeof(out)), 0);

	/* One vmbus node, VTL2's. */
	while ((node = fdt_node_offset_by_compatible(out, node,
						     "microsoft,vmbus")) >= 0)
		count++;
	assert_int_equal(count, 1);
	assert_int_equal(fdt32_ld(prop(out, "/bus/vmbus", "microsoft,vtl", 4)),
			 2);
	prop(out, "/bus/vmbus", "dma-coherent", 0);
	cells = prop(out, "/bus/vmbus", "ranges", 24);
	assert_int_equal(fdt64_ld(&cells[1]), h.mmio);
	assert_int_equal(fdt32_ld(prop(out, "/cpus/cpu@4", "reg", 4)), 4);
	cells = prop(out, "/memory@70000000", "reg", 16);
	assert_int_equal(fdt64_ld(&cells[1]), RAM);

	cells = prop(out, "/paravisor", VTL0_PROP_KERNEL, 16);
	assert_int_equal(fdt64_ld(&cells[1]), 5000);
	cells = prop(out, "/paravisor/memory@0", "reg", 16);
	assert_int_equal(fdt64_ld(&cells[1]), BASE);
	cells = prop(out, "/paravisor", VTL0_PROP_MMIO, 16);
	assert_int_equal(fdt64_ld(&cells[0]), 0xf8000000);
	assert_string_equal(prop(out, "/paravisor", VTL0_PROP_APPEND, 5),
			    "more");
	assert_string_equal(prop(out, "/paravisor", VTL0_PROP_SHIM_LOG, 11),
			    "shim: one\n");
	assert_null(fdt_getprop(out, fdt_path_offset(out, "/paravisor"),
				VTL0_PROP_INITRD, NULL));
	cells = prop(out, "/paravisor", VTL0_PROP_BLACK_BOX, 16);
	assert_int_equal(fdt64_ld(&cells[0]), BOX);
	/* The kernel's part lies in it, behind the header. */
	cells = prop(out, "/reserved-memory/ramoops@77c01000", "reg", 16);
	assert_int_equal(fdt64_ld(&cells[0]), BOX + BLACKBOX_PAGE);
	assert_int_equal(fdt64_ld(&cells[1]), RAMOOPS_SIZE);
	prop(out, "/reserved-memory", "ranges", 0);
	assert_string_equal(prop(out, "/reserved-memory/ramoops@77c01000",
				 "compatible", 8), "ramoops");

	/* Too small for it, at any size: refused, never cut. */
	for (int room = 0; room < bytes; room += 64)
		assert_int_equal(kernel_tree_write(out, (uint32_t)room, &tree,
						   &parts), -1);
}

static void test_command_line(void **state)
{
	char line[4096] = "one", long_text[LINUX_COMMAND_LINE_MAX];

	(void)state;
	assert_int_equal(command_line_append(line, sizeof(line), NULL), 0);
	assert_string_equal(line, "one");
	assert_int_equal(command_line_append(line, sizeof(line), "two"), 0);
	assert_string_equal(line, "one two");
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = 0;
	assert_int_equal(command_line_append(line, sizeof(line), long_text),
			 -1);
	/* Exactly the limit fits. */
	strcpy(line, "a");
	long_text[LINUX_COMMAND_LINE_MAX - 2] = 0;
	assert_int_equal(command_line_append(line, sizeof(line), long_text), 0);
	assert_int_equal(strlen(line), LINUX_COMMAND_LINE_MAX);
	assert_int_equal(command_line_append(line, sizeof(line), "x"), -1);
	/* A line without an end is not run through. */
	memset(line, 'y', sizeof(line));
	assert_int_equal(command_line_append(line, sizeof(line), "x"), -1);
}

static void test_boot_params(void **state)
{
	static struct linux_boot_params b;
	const struct host_range ram = { BASE, 2 * RAM, 3 };
	struct shim_info info;

	(void)state;
	memset(&info, 0, sizeof(info));
	info.initramfs.gpa = cpu_to_le64(BASE + 0x1000);
	info.initramfs.bytes = cpu_to_le64(77);
	boot_params_fill(&b, &info, &ram, 0x123456789);
	assert_int_equal(b.e820_entries, 1);
	assert_int_equal(le64_to_cpu(b.e820_table[0].size), 2 * RAM);
	assert_int_equal(le32_to_cpu(b.hdr.ramdisk_size), 77);
	assert_int_equal(le64_to_cpu(b.hdr.setup_data), 0x123456789);

	info.vtl0_region.gpa = cpu_to_le64(BASE + RAM - 0x4000);
	info.vtl0_region.bytes = cpu_to_le64(0x4000);
	boot_params_fill(&b, &info, &ram, 0);
	assert_int_equal(b.e820_entries, 3);
	assert_int_equal(le32_to_cpu(b.e820_table[1].type),
			 LINUX_E820_RESERVED);
	assert_int_equal(le64_to_cpu(b.e820_table[1].addr),
			 BASE + RAM - 0x4000);
	assert_int_equal(le64_to_cpu(b.e820_table[2].addr), BASE + RAM);
	assert_int_equal(le64_to_cpu(b.e820_table[2].size), RAM);

	/* The black box behind it, or alone: one hole. */
	info.vtl0_region.gpa = cpu_to_le64(BASE + RAM - (4 << 20) - 0x4000);
	info.black_box.gpa = cpu_to_le64(BASE + RAM - (4 << 20));
	info.black_box.bytes = cpu_to_le64(4 << 20);
	boot_params_fill(&b, &info, &ram, 0);
	assert_int_equal(b.e820_entries, 3);
	assert_int_equal(le64_to_cpu(b.e820_table[1].addr),
			 BASE + RAM - (4 << 20) - 0x4000);
	assert_int_equal(le64_to_cpu(b.e820_table[1].size),
			 (4 << 20) + 0x4000);
	info.vtl0_region.gpa = info.vtl0_region.bytes = cpu_to_le64(0);
	boot_params_fill(&b, &info, &ram, 0);
	assert_int_equal(b.e820_entries, 3);
	assert_int_equal(le64_to_cpu(b.e820_table[1].addr),
			 BASE + RAM - (4 << 20));
	assert_int_equal(le64_to_cpu(b.e820_table[1].size), 4 << 20);
}

static void test_log(void **state)
{
	static struct shim_log log;

	(void)state;
	shim_log_line(&log, "hello");
	shim_log_value(&log, "number", 0xfedcba9876543210);
	shim_log_value(&log, "zero", 0);
	assert_string_equal(log.text, "shim: hello\n"
			    "shim: number 0xfedcba9876543210\n"
			    "shim: zero 0x0\n");
	for (int i = 0; i < 1000; i++)
		shim_log_line(&log, "more and more");
	assert_int_equal(log.len, SHIM_LOG_SIZE - 1);
	assert_int_equal(strlen(log.text), log.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_given_by_host),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_a_tree),
		cmocka_unit_test(test_random_changes),
		cmocka_unit_test(test_kernel_tree),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_boot_params),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
