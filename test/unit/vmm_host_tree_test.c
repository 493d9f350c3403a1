/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/host_tree.c */

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

#include "test/vmm/host_tree.h"
#include "test/vmm/memory_map.h"

static const struct memory_range ranges[] = {
	{ 0, 0x70000000, VTL0 },
	{ 0x70000000, 0x8000000, VTL2 },
	{ 0x100000000, 0x40000000, VTL0 },
};

static struct host_tree tree;
static void *blob;

static int set_up(void **state)
{
	(void)state;
	tree = (struct host_tree){ .vps = 2, .ranges = ranges,
				   .nr_ranges = 3, .bootargs = "quiet" };
	blob = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(blob);
	return 0;
}

static void build(void)
{
	size_t len;

	assert_int_equal(host_tree_build(&tree, &blob, &len), 0);
	assert_int_equal(fdt_check_full(blob, len), 0);
}

static int node(const char *path)
{
	int at = fdt_path_offset(blob, path);

	if (at < 0)
		fail_msg("%s is missing", path);
	return at;
}

static void assert_cells(const char *path, const char *name,
			 const uint32_t *expected, size_t count)
{
	int len;
	const fdt32_t *cells = fdt_getprop(blob, node(path), name, &len);

	if (!cells || (size_t)len != count * 4)
		fail_msg("%s/%s has %d bytes", path, name, len);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(fdt32_ld(cells + i), expected[i]);
}

#define CELLS(path, name, ...)                                             \
	do {                                                               \
		static const uint32_t expected[] = { __VA_ARGS__ };        \
		assert_cells(path, name, expected,                         \
			     sizeof(expected) / sizeof(expected[0]));      \
	} while (0)

static void assert_text(const char *path, const char *name,
			const char *expected)
{
	int len;
	const char *text = fdt_getprop(blob, node(path), name, &len);

	assert_non_null(text);
	assert_int_equal(len, strlen(expected) + 1);
	assert_string_equal(text, expected);
}

/* A public host gives these nodes and no others, so ours gives no others. */
static void exactly_these_nodes(void **state)
{
	static const char *const expected[] = {
		"/", "/cpus", "/cpus/cpu@0", "/cpus/cpu@1", "/memory@0",
		"/memory@70000000", "/memory@100000000", "/bus",
		"/bus/vmbus-vtl0@f8000000", "/bus/vmbus-vtl2@e00000000",
		"/pio-bus", "/pio-bus/serial@3e8", "/chosen", "/openhcl",
		"/openhcl/entropy",
	};
	const size_t count = sizeof(expected) / sizeof(expected[0]);
	size_t seen = 0;
	char path[128];

	(void)state;
	build();
	for (int at = 0; at >= 0; at = fdt_next_node(blob, at, NULL)) {
		assert_int_equal(fdt_get_path(blob, at, path, sizeof(path)),
				 0);
		assert_true(seen < count);
		assert_string_equal(path, expected[seen++]);
	}
	assert_int_equal(seen, count);
}

static void properties_of_each(void **state)
{
	int len;

	(void)state;
	build();
	CELLS("/", "#address-cells", 2);
	CELLS("/", "#size-cells", 2);
	assert_text("/", "model", "microsoft,hyperv");
	CELLS("/cpus", "#address-cells", 1);
	CELLS("/cpus", "#size-cells", 0);
	CELLS("/cpus/cpu@1", "reg", 1);
	assert_text("/cpus/cpu@1", "status", "okay");
	assert_text("/cpus/cpu@1", "device_type", "cpu");
	CELLS("/memory@0", "reg", 0, 0, 0, 0x70000000);
	CELLS("/memory@0", "microsoft,igvm-type", 0);
	CELLS("/memory@70000000", "reg", 0, 0x70000000, 0, 0x8000000);
	CELLS("/memory@70000000", "microsoft,igvm-type", 3);
	CELLS("/memory@100000000", "reg", 1, 0, 0, 0x40000000);
	assert_text("/bus", "compatible", "simple-bus");
	assert_text("/bus/vmbus-vtl2@e00000000", "compatible",
		    "microsoft,vmbus");
	CELLS("/bus/vmbus-vtl0@f8000000", "microsoft,vtl", 0);
	CELLS("/bus/vmbus-vtl2@e00000000", "microsoft,vtl", 2);
	CELLS("/bus/vmbus-vtl2@e00000000", "ranges", 0xe, 0, 0xe, 0, 0,
	      0x40000000);
	CELLS("/bus/vmbus-vtl0@f8000000", "ranges", 0, 0xf8000000, 0,
	      0xf8000000, 0, 0x06000000, 0xf, 0xe0000000, 0xf, 0xe0000000, 0,
	      0x20000000);
	assert_text("/pio-bus", "compatible", "x86-pio-bus");
	assert_text("/pio-bus/serial@3e8", "compatible", "ns16550");
	CELLS("/pio-bus/serial@3e8", "reg", 0, 0x3e8, 0, 8);
	CELLS("/pio-bus/serial@3e8", "current-speed", 115200);
	assert_text("/chosen", "bootargs", "quiet");
	assert_text("/openhcl", "memory-allocation-mode", "host");
	assert_non_null(fdt_getprop(blob, node("/openhcl/entropy"), "reg",
				    &len));
	assert_int_equal(len, 64);
}

static void connection_follows_redirect(void **state)
{
	(void)state;
	build();
	CELLS("/bus/vmbus-vtl0@f8000000", "microsoft,message-connection-id",
	      1);
	CELLS("/bus/vmbus-vtl2@e00000000", "microsoft,message-connection-id",
	      4);
	free(blob);
	tree.redirect = true;
	build();
	CELLS("/bus/vmbus-vtl2@e00000000", "microsoft,message-connection-id",
	      0x800074);
}

static void entropy_is_fresh(void **state)
{
	uint8_t first[64];

	(void)state;
	build();
	memcpy(first, fdt_getprop(blob, node("/openhcl/entropy"), "reg", NULL),
	       sizeof(first));
	free(blob);
	build();
	assert_memory_not_equal(first,
				fdt_getprop(blob, node("/openhcl/entropy"),
					    "reg", NULL), sizeof(first));
}

static void vtl0_node_only_when_there_is_something(void **state)
{
	(void)state;
	build();
	assert_true(fdt_path_offset(blob, "/paravisor") < 0);
	free(blob);
	tree.vtl0_kernel = (struct host_tree_range){ 0x6f000000, 12345 };
	tree.vtl0_append = "root=/dev/sda1";
	tree.settings = "{\"version\":1}";
	build();
	CELLS("/paravisor", "vtl0-kernel", 0, 0x6f000000, 0, 12345);
	assert_null(fdt_getprop(blob, node("/paravisor"), "vtl0-initrd",
				NULL));
	assert_text("/paravisor", "vtl0-append", "root=/dev/sda1");
	assert_text("/paravisor", "settings", "{\"version\":1}");
}

static void most_vps_fit_and_too_much_is_refused(void **state)
{
	char *huge = malloc(HOST_TREE_MAX + 1);
	size_t len;

	(void)state;
	tree.vps = MACHINE_MAX_VPS;
	build();
	node("/cpus/cpu@3f");
	free(blob);
	blob = NULL;
	memset(huge, 'x', HOST_TREE_MAX);
	huge[HOST_TREE_MAX] = '\0';
	tree.settings = huge;
	assert_int_equal(host_tree_build(&tree, &blob, &len), -E2BIG);
	assert_null(blob);
	free(huge);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exactly_these_nodes),
		TEST(properties_of_each),
		TEST(connection_follows_redirect),
		TEST(entropy_is_fresh),
		TEST(vtl0_node_only_when_there_is_something),
		TEST(most_vps_fit_and_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
