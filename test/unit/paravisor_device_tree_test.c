/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/device_tree.c paravisor/log.c */
/* The boot shim's node, as files of a directory: what is read, and what a
 * malformed property says. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <vtl0_reg.h>

#include "paravisor/device_tree.h"
#include "stderr_capture.h"

static char root[64];

static void put(const char *name, const void *bytes, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/" VTL0_NODE "/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text) + 1);
}

static void big_endian(uint8_t *p, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		p[i] = (uint8_t)value;
}

static void put_range(const char *name, uint64_t gpa, uint64_t size)
{
	struct vtl0_range r;

	big_endian(r.gpa, gpa);
	big_endian(r.bytes, size);
	put(name, &r, sizeof(r));
}

static void put_memory(uint64_t gpa, uint64_t size, uint8_t type)
{
	const uint8_t wire[4] = { 0, 0, 0, type };
	char path[256], name[128];

	snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)gpa);
	snprintf(path, sizeof(path), "%s/" VTL0_NODE "/%s", root, name);
	mkdir(path, 0755);
	strcat(name, "/reg");
	put_range(name, gpa, size);
	snprintf(name, sizeof(name), "memory@%llx/microsoft,igvm-type",
		 (unsigned long long)gpa);
	put(name, wire, sizeof(wire));
}

static int set_up(void **state)
{
	char path[128];

	(void)state;
	strcpy(root, "/tmp/device-tree-test.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/" VTL0_NODE, root);
	mkdir(path, 0755);
	/* Out of order, and one that is not VTL0's. */
	put_memory(0x100000000, 0x40000000, 0);
	put_memory(0, 0x70000000, 0);
	put_memory(0x200000000, 0x10000000, 5);
	put_range(VTL0_PROP_VTL2_RAM, 0x70000000, 0x8000000);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void least(void **state)
{
	struct device_tree t;

	(void)state;
	assert_int_equal(device_tree_read(root, &t), 0);
	assert_int_equal(t.nr_ram, 2);
	assert_int_equal(t.ram[0].gpa, 0);
	assert_int_equal(t.ram[0].size, 0x70000000);
	assert_int_equal(t.ram[1].gpa, 0x100000000);
	assert_int_equal(t.vtl2_ram.gpa, 0x70000000);
	assert_int_equal(t.kernel.size, 0);
	assert_int_equal(t.initrd.size, 0);
	assert_int_equal(t.nr_mmio, 0);
	assert_int_equal(t.vmbus_connection, 0);
	assert_null(t.command_line);
	assert_null(t.append);
	assert_null(t.settings);
	device_tree_free(&t);
}

static void all(void **state)
{
	struct vtl0_range mmio[2];
	struct device_tree t;
	char *settings = malloc(VTL0_SETTINGS_SIZE);

	(void)state;
	put_range(VTL0_PROP_KERNEL, 0x4000000, 0xa00001);
	put_range(VTL0_PROP_INITRD, 0x6000000, 17);
	put_range(VTL0_PROP_BLACK_BOX, 0x77c00000, 4 << 20);
	put_text(VTL0_PROP_COMMAND_LINE, "quiet");
	put_text(VTL0_PROP_APPEND, "");
	memset(settings, ' ', VTL0_SETTINGS_SIZE);
	settings[VTL0_SETTINGS_SIZE - 1] = '\0';
	put_text(VTL0_PROP_SETTINGS, settings);
	big_endian(mmio[0].gpa, 0xf0000000);
	big_endian(mmio[0].bytes, 0x1000000);
	big_endian(mmio[1].gpa, 0xfe0000000);
	big_endian(mmio[1].bytes, 0x20000000);
	put(VTL0_PROP_MMIO, mmio, sizeof(mmio));
	assert_int_equal(device_tree_read(root, &t), 0);
	assert_int_equal(t.kernel.gpa, 0x4000000);
	assert_int_equal(t.kernel.size, 0xa00001);
	assert_int_equal(t.initrd.size, 17);
	assert_int_equal(t.black_box.gpa, 0x77c00000);
	assert_int_equal(t.black_box.size, 4 << 20);
	assert_string_equal(t.command_line, "quiet");
	assert_string_equal(t.append, "");
	assert_string_equal(t.settings, settings);
	assert_int_equal(t.nr_mmio, 2);
	assert_int_equal(t.mmio[1].gpa, 0xfe0000000);
	device_tree_free(&t);
	assert_null(t.settings);
	free(settings);
}

/* The kernel's own bus stands beside the node. */
static void connection_of_vmbus(void **state)
{
	static const uint8_t id[5] = { 0, 0x80, 0, 0x74, 0 };
	struct device_tree t;
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/bus", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/bus/vmbus", root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(device_tree_read(root, &t), 0);
	assert_int_equal(t.vmbus_connection, 0);
	device_tree_free(&t);
	put("../bus/vmbus/microsoft,message-connection-id", id, 4);
	assert_int_equal(device_tree_read(root, &t), 0);
	assert_int_equal(t.vmbus_connection, 0x800074);
	device_tree_free(&t);
	put("../bus/vmbus/microsoft,message-connection-id", id, 3);
	assert_int_equal(device_tree_read(root, &t), -EINVAL);
	put("../bus/vmbus/microsoft,message-connection-id", id, 5);
	assert_int_equal(device_tree_read(root, &t), -ENOSPC);
}

static void refused(const char *text, int error)
{
	struct device_tree t;
	const char *said;
	int ret;

	capture_stderr();
	ret = device_tree_read(root, &t);
	said = captured_stderr();
	if (ret != error || !strstr(said, text) || !is_one_line(said))
		fail_msg("wanted %d \"%s\", got %d: %s", error, text, ret,
			 said);
	assert_null(t.settings);
}

static void no_node(void **state)
{
	char saved[sizeof(root)];

	(void)state;
	strcpy(saved, root);
	strcat(root, "x");
	refused("No such file", -ENOENT);
	strcpy(root, saved);
}

static void bad_properties(void **state)
{
	static const uint8_t long_type[5], range[24];
	static const char text[VTL0_SETTINGS_SIZE + 1];

	(void)state;
	put(VTL0_PROP_KERNEL, range, 15);
	refused("vtl0-kernel: must be pairs", -EINVAL);
	put(VTL0_PROP_KERNEL, range, 0);
	refused("vtl0-kernel: empty or wraps", -EINVAL);
	put(VTL0_PROP_KERNEL, range, 17);
	refused("vtl0-kernel: too long", -ENOSPC);
	put_range(VTL0_PROP_KERNEL, 0x1000, 0);
	refused("vtl0-kernel: empty or wraps", -EINVAL);
	put_range(VTL0_PROP_KERNEL, UINT64_MAX - 4095, 8192);
	refused("vtl0-kernel: empty or wraps", -EINVAL);
	put_range(VTL0_PROP_KERNEL, 0x1000, 0x1000);

	put(VTL0_PROP_APPEND, "abc", 3);
	refused("vtl0-append: must be one string", -EINVAL);
	put(VTL0_PROP_APPEND, "a\0b", 4);
	refused("vtl0-append: must be one string", -EINVAL);
	put(VTL0_PROP_APPEND, "", 0);
	refused("vtl0-append: must be one string", -EINVAL);
	put(VTL0_PROP_APPEND, text, VTL0_COMMAND_LINE_SIZE + 1);
	refused("vtl0-append: too long", -ENOSPC);
	put_text(VTL0_PROP_APPEND, "good");

	put(VTL0_PROP_SETTINGS, text, VTL0_SETTINGS_SIZE + 1);
	refused("settings: too long", -ENOSPC);
	put_text(VTL0_PROP_SETTINGS, "{}");

	put("memory@0/microsoft,igvm-type", long_type, sizeof(long_type));
	refused("microsoft,igvm-type: too long", -ENOSPC);
}

static void bad_memory(void **state)
{
	static const uint8_t short_type[3];
	char path[256];

	(void)state;
	put("memory@0/microsoft,igvm-type", short_type, sizeof(short_type));
	refused("memory@0: microsoft,igvm-type must be", -EINVAL);
	put_memory(0, 0x100001000, 0);
	refused("RAM ranges overlap", -EINVAL);
	put_memory(0, 0x70000000, 3);
	put_memory(0x100000000, 0x1000, 3);
	refused("no RAM for VTL0", -ENOENT);
	for (unsigned int i = 0; i <= DEVICE_TREE_MAX_RAM; i++)
		put_memory(0x1000000000 + i * 0x10000000, 0x1000000, 0);
	refused("more RAM ranges", -ENOSPC);
	snprintf(path, sizeof(path), "%s/" VTL0_NODE "/memory@0/reg", root);
	unlink(path);
	refused("reg: missing", -ENOENT);
}

static void vtl2_ram_must_be_there(void **state)
{
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/" VTL0_NODE "/" VTL0_PROP_VTL2_RAM,
		 root);
	unlink(path);
	refused("vtl2-ram: missing", -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(least, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(connection_of_vmbus, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(no_node, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_properties, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(bad_memory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(vtl2_ram_must_be_there, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
