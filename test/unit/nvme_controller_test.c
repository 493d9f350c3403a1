/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/controller.c paravisor/sysfs.c include/guid.c */

#include <errno.h>
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

#include <pv/disk.h>

#include "nvme/controller.h"

#define DEVICE "00112233-4455-6677-8899-aabbccddeeff"
#define PCI "/sys/bus/vmbus/devices/" DEVICE "/pci6677:00"
#define CONTROLLER PCI "/6677:00:00.0/nvme/nvme3"

static char root[] = "/tmp/nvme_controller_test.XXXXXX";
static struct guid device;

/* Writes a file below the root, with the directories it needs. */
static void put(const char *path, const char *text)
{
	char file[SYSFS_PATH_SIZE];
	FILE *f;

	snprintf(file, sizeof(file), "%s%s", root, path);
	for (char *at = file + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(file, 0700);
		*at = '/';
	}
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void put_namespace(const char *name, const char *nsid)
{
	static const char *const values[][2] = {
		{ "queue/max_hw_sectors_kb", "512\n" },
		{ "queue/max_segments", "129\n" },
		{ "queue/virt_boundary_mask", "4095\n" },
		{ "queue/dma_alignment", "3\n" },
		{ "queue/discard_max_hw_bytes", "2199023255040\n" },
		{ "queue/write_zeroes_max_bytes", "131072\n" },
		{ "ro", "0\n" },
	};
	char path[SYSFS_PATH_SIZE];

	snprintf(path, sizeof(path), CONTROLLER "/%s/nsid", name);
	put(path, nsid);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(path, sizeof(path), CONTROLLER "/%s/%s", name,
			 values[i][0]);
		put(path, values[i][1]);
	}
}

static int make_root(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) && !guid_parse(DEVICE, &device) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void a_controller_is_found_by_its_device(void **state)
{
	char path[SYSFS_PATH_SIZE], want[SYSFS_PATH_SIZE];

	(void)state;
	assert_int_equal(controller_find(root, &device, path), -ENOENT);
	put(PCI "/pci_bus/x", "");
	assert_int_equal(controller_find(root, &device, path), -ENOENT);
	put(PCI "/6677:00:00.0/vendor", "0x1414\n");
	assert_int_equal(controller_find(root, &device, path), -ENOENT);
	put(CONTROLLER "/state", "resetting\n");
	/* another device's controller */
	put("/sys/bus/vmbus/devices/10112233-4455-6677-8899-aabbccddeeff/"
	    "pci0001:00/0001:00:00.0/nvme/nvme0/state", "live\n");
	assert_int_equal(controller_find(root, &device, path), 0);
	snprintf(want, sizeof(want), "%s" CONTROLLER, root);
	assert_string_equal(path, want);
	assert_false(controller_is_live(path));
	put(CONTROLLER "/state", "live\n");
	assert_true(controller_is_live(path));
}

static void a_namespace_is_found_by_its_identifier(void **state)
{
	char path[SYSFS_PATH_SIZE], name[NVME_NAME_SIZE];

	(void)state;
	put(CONTROLLER "/state", "live\n");
	assert_int_equal(controller_find(root, &device, path), 0);
	assert_int_equal(controller_namespace(path, 1, name), -ENOENT);
	put_namespace("nvme3n1", "9\n");
	put_namespace("nvme3n2", "1\n");
	put(CONTROLLER "/ng3n5/dev", "240:0\n"); /* not a block device */
	put(CONTROLLER "/nvme3n4/nsid", "x\n");
	assert_int_equal(controller_namespace(path, 1, name), 0);
	assert_string_equal(name, "nvme3n2");
	assert_int_equal(controller_namespace(path, 9, name), 0);
	assert_string_equal(name, "nvme3n1");
	assert_int_equal(controller_namespace(path, 2, name), -ENOENT);
}

static int find_like(const struct disk_info *like, uint32_t *nsid, char *name)
{
	char path[SYSFS_PATH_SIZE];

	return controller_namespace_like(root, like, nsid, path, name);
}

/* By what it is called, on whatever controller and under whatever number. */
static void a_lost_disk_is_found_by_its_identifiers(void **state)
{
	struct disk_info like = { .nguid = { 0x1d, 0x0f, [15] = 0xab } };
	char name[NVME_NAME_SIZE];
	uint32_t nsid = 1;

	(void)state;
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	put("/sys/class/nvme/nvme0/state", "live\n");
	put("/sys/class/nvme/nvme0/nvme0n1/nsid", "1\n");
	put("/sys/class/nvme/nvme0/nvme0n1/nguid",
	    "1d0f0000-0000-0000-0000-0000000000ac\n");
	put("/sys/class/nvme/nvme2/state", "dead\n");
	put("/sys/class/nvme/nvme2/nvme2n1/nsid", "1\n");
	put("/sys/class/nvme/nvme2/nvme2n1/nguid",
	    "1d0f0000-0000-0000-0000-0000000000ab\n");
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	put("/sys/class/nvme/nvme5/state", "live\n");
	put("/sys/class/nvme/nvme5/nvme5n3/nsid", "7\n");
	put("/sys/class/nvme/nvme5/nvme5n3/nguid",
	    "1d0f0000-0000-0000-0000-0000000000ab\n");
	assert_int_equal(find_like(&like, &nsid, name), 0);
	assert_string_equal(name, "nvme5n3");
	assert_int_equal(nsid, 7);
	/* Shorter, longer and no hexadecimal is another. */
	put("/sys/class/nvme/nvme5/nvme5n3/nguid",
	    "1d0f0000-0000-0000-0000-0000000000ab00\n");
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	put("/sys/class/nvme/nvme5/nvme5n3/nguid", "1d0f0000\n");
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	put("/sys/class/nvme/nvme5/nvme5n3/nguid", "1d0f0000-a\n");
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	/* EUI64, then the serial number with the old number. */
	memset(like.nguid, 0, sizeof(like.nguid));
	memcpy(like.eui64, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	put("/sys/class/nvme/nvme0/nvme0n1/eui", "01 23 45 67 89 ab cd ef\n");
	assert_int_equal(find_like(&like, &nsid, name), 0);
	assert_string_equal(name, "nvme0n1");
	assert_int_equal(nsid, 1);
	memset(like.eui64, 0, sizeof(like.eui64));
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	strcpy(like.serial, "VMM00005");
	put("/sys/class/nvme/nvme5/serial", "VMM00005            \n");
	assert_int_equal(find_like(&like, &nsid, name), -ENOENT);
	nsid = 7;
	assert_int_equal(find_like(&like, &nsid, name), 0);
	assert_string_equal(name, "nvme5n3");
}

static void limits_are_the_queues(void **state)
{
	struct queue_limits limits;
	char path[SYSFS_PATH_SIZE];

	(void)state;
	put_namespace("nvme3n1", "1\n");
	assert_int_equal(controller_find(root, &device, path), 0);
	assert_int_equal(controller_limits(path, "nvme3n1", &limits), 0);
	assert_int_equal(limits.max_bytes, 512 * 1024);
	assert_int_equal(limits.max_segments, 129);
	assert_int_equal(limits.gap_mask, 4095);
	assert_int_equal(limits.alignment, 4);
	assert_int_equal(limits.discard_bytes, 2199023255040);
	assert_int_equal(limits.zeroes_bytes, 131072);
	assert_false(limits.read_only);
	put(CONTROLLER "/nvme3n1/ro", "1\n");
	assert_int_equal(controller_limits(path, "nvme3n1", &limits), 0);
	assert_true(limits.read_only);
}

static void limits_that_make_no_sense(void **state)
{
	static const char *const bad[][2] = {
		{ "queue/max_hw_sectors_kb", "0\n" },
		{ "queue/max_hw_sectors_kb", "99999999999999999999\n" },
		{ "queue/max_segments", "0\n" },
		{ "queue/max_segments", "many\n" },
		{ "queue/virt_boundary_mask", "18446744073709551615\n" },
		{ "queue/dma_alignment", "4096\n" },
		{ "queue/dma_alignment", "\n" },
	};
	struct queue_limits limits;
	char path[SYSFS_PATH_SIZE], file[SYSFS_PATH_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_namespace("nvme3n1", "1\n");
		snprintf(file, sizeof(file), CONTROLLER "/nvme3n1/%s",
			 bad[i][0]);
		put(file, bad[i][1]);
		assert_int_equal(controller_find(root, &device, path), 0);
		assert_int_equal(controller_limits(path, "nvme3n1", &limits),
				 -EINVAL);
	}
	assert_int_equal(controller_limits(path, "nvme3n7", &limits),
			 -ENOENT);
}

static void the_generic_device_has_the_same_numbers(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(controller_open_generic(root, "nvme3n2"), -ENOENT);
	put("/dev/ng3n2", "");
	fd = controller_open_generic(root, "nvme3n2");
	assert_true(fd >= 0);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_controller_is_found_by_its_device),
		TEST(a_namespace_is_found_by_its_identifier),
		TEST(a_lost_disk_is_found_by_its_identifiers),
		TEST(limits_are_the_queues),
		TEST(limits_that_make_no_sense),
		TEST(the_generic_device_has_the_same_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
