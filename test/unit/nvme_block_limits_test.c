/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/block_limits.c paravisor/sysfs.c include/guid.c */

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

#include "nvme/block_limits.h"

#define CONTROLLER "00112233-4455-6677-8899-aabbccddeeff"
#define BUS "/sys/bus/vmbus/devices/" CONTROLLER
#define UNIT BUS "/host3/target3:0:0/3:0:0:7"
#define DISK UNIT "/block/sdq"

static char root[] = "/tmp/nvme_block_limits_test.XXXXXX";
static struct guid controller;
static struct disk_info info;

static void put(const char *path, const void *bytes, size_t size)
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
	fwrite(bytes, 1, size, f);
	fclose(f);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static void put_disk(void)
{
	static const char *const values[][2] = {
		{ "size", "2097152\n" },
		{ "ro", "0\n" },
		{ "discard_alignment", "0\n" },
		{ "queue/logical_block_size", "512\n" },
		{ "queue/physical_block_size", "4096\n" },
		{ "queue/virt_boundary_mask", "4095\n" },
		{ "queue/dma_alignment", "3\n" },
		{ "queue/rotational", "1\n" },
		{ "queue/discard_max_bytes", "4294966784\n" },
		{ "queue/discard_granularity", "2097152\n" },
		{ "queue/write_zeroes_max_bytes", "33553920\n" },
		{ "queue/optimal_io_size", "65536\n" },
		{ "queue/write_cache", "write back\n" },
	};
	char path[SYSFS_PATH_SIZE];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(path, sizeof(path), DISK "/%s", values[i][0]);
		put_text(path, values[i][1]);
	}
}

static int set_up(void **state)
{
	char line[128];

	(void)state;
	memset(&info, 0, sizeof(info));
	strcpy(root, "/tmp/nvme_block_limits_test.XXXXXX");
	assert_int_equal(guid_parse(CONTROLLER, &controller), 0);
	snprintf(line, sizeof(line), "rm -rf %s", root);
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	char line[128];

	(void)state;
	snprintf(line, sizeof(line), "rm -rf %s", root);
	return system(line);
}

static const char *limits(void)
{
	char path[SYSFS_PATH_SIZE];

	snprintf(path, sizeof(path), "%s" DISK, root);
	return block_limits(path, &info);
}

static void a_disk_is_found_by_its_lun(void **state)
{
	char path[SYSFS_PATH_SIZE];

	(void)state;
	assert_int_equal(block_find(root, &controller, 7, path), -ENOENT);
	put_text(BUS "/host3/target3:0:0/3:0:0:17/block/sda/size", "1");
	put_text(BUS "/host3/target3:0:0/3:0:0:0/block/sdb/size", "1");
	put_text(UNIT "/vpd_pg80", "x");
	assert_int_equal(block_find(root, &controller, 7, path), -ENOENT);
	put_disk();
	assert_int_equal(block_find(root, &controller, 7, path), 0);
	assert_string_equal(path + strlen(root), DISK);
	assert_int_equal(block_find(root, &controller, 1, path), -ENOENT);
	assert_int_equal(block_find(root, &controller, 0, path), 0);
	assert_string_equal(strrchr(path, '/'), "/sdb");
}

static void what_the_kernel_says(void **state)
{
	(void)state;
	put_disk();
	assert_null(limits());
	assert_int_equal(info.blocks, 2097152);
	assert_int_equal(info.block_size, 512);
	assert_int_equal(info.physical_block_size, 4096);
	assert_int_equal(info.gap_mask, 4095);
	assert_int_equal(info.range_alignment, 4);
	assert_int_equal(info.discard_granularity, 4096);
	assert_int_equal(info.discard_alignment, 0);
	assert_int_equal(info.optimal_transfer, 65536);
	assert_true(info.write_cache && info.fua && info.rotational &&
		    info.write_zeroes && info.write_zeroes_unmap &&
		    !info.read_only && !info.discard_zeroes);
	assert_int_equal(info.reservation_types, 0);
	assert_false(info.compare || info.verify);
}

static void other_disks(void **state)
{
	(void)state;
	put_disk();
	put_text(DISK "/queue/logical_block_size", "4096\n");
	put_text(DISK "/ro", "1\n");
	put_text(DISK "/queue/write_cache", "write through\n");
	put_text(DISK "/queue/rotational", "0\n");
	put_text(DISK "/queue/write_zeroes_max_bytes", "0\n");
	put_text(DISK "/discard_alignment", "8192\n");
	assert_null(limits());
	assert_int_equal(info.blocks, 262144);
	assert_int_equal(info.discard_granularity, 512);
	assert_int_equal(info.discard_alignment, 510);
	assert_true(info.read_only && info.write_zeroes);
	assert_false(info.write_cache || info.rotational ||
		     info.write_zeroes_unmap);
	put_text(DISK "/queue/discard_max_bytes", "0\n");
	put_text(DISK "/queue/optimal_io_size", "2097152\n");
	assert_null(limits());
	assert_int_equal(info.discard_granularity, 0);
	assert_int_equal(info.optimal_transfer, 0);
}

static void what_can_not_be(void **state)
{
	static const char *const wrong[][2] = {
		{ "queue/logical_block_size", "520\n" },
		{ "queue/logical_block_size", "8192\n" },
		{ "queue/logical_block_size", "256\n" },
		{ "size", "0\n" },
		{ "size", "18446744073709551615\n" },
		{ "size", "18446744073709551616\n" },
		{ "queue/dma_alignment", "2\n" },
		{ "queue/dma_alignment", "4096\n" },
		{ "queue/virt_boundary_mask", "4094\n" },
		{ "queue/virt_boundary_mask", "a\n" },
		{ "queue/discard_granularity", "\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char path[SYSFS_PATH_SIZE];

		put_disk();
		snprintf(path, sizeof(path), DISK "/%s", wrong[i][0]);
		put_text(path, wrong[i][1]);
		assert_string_equal(limits(), wrong[i][0]);
	}
	put_disk();
	assert_null(limits());
}

static void who_it_is(void **state)
{
	static const uint8_t serial[] = { 0, 0x80, 0, 8, ' ', 'A', 'b', 7,
					  '9', ' ', ' ', 0, 'z' };
	static const uint8_t ids[] = {
		0, 0x83, 0, 48,
		1, 1, 0, 4, 'T', '1', '0', ' ',		  /* T10 vendor id */
		1, 3, 0, 16, 0x60, 2, 0x24, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9,
		10, 11, 12,
		1, 0x12, 0, 8, 9, 9, 9, 9, 9, 9, 9, 9,	  /* of the port */
		1, 2, 0, 4, 8, 8, 8, 8,			  /* too short */
	};
	static const uint8_t eui[] = { 0, 0x83, 0, 12,
				       1, 2, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
	char path[SYSFS_PATH_SIZE];

	(void)state;
	put_disk();
	put(DISK "/device/vpd_pg80", serial, sizeof(serial));
	put(DISK "/device/vpd_pg83", ids, sizeof(ids));
	snprintf(path, sizeof(path), "%s" DISK, root);
	block_identity(path, &info);
	assert_string_equal(info.serial, "Ab_9");
	assert_int_equal(info.nguid[0], 0x60);
	assert_int_equal(info.nguid[15], 12);
	assert_int_equal(info.eui64[0], 0);
	vpd_identifiers(eui, sizeof(eui), &info);
	assert_int_equal(info.eui64[7], 8);
	memset(&info, 0, sizeof(info));
	snprintf(path, sizeof(path), "%s/nowhere", root);
	block_identity(path, &info);
	assert_string_equal(info.serial, "");
}

/* Every page that is cut off, or lies about its lengths, at every byte. */
static void pages_that_lie(void **state)
{
	static const uint8_t good[] = {
		0, 0x83, 0, 20, 1, 3, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
		12, 13, 14, 15, 16,
	};
	static const uint8_t none[16];
	char serial[21];

	(void)state;
	for (size_t len = 0; len <= sizeof(good); len++) {
		uint8_t *exact = malloc(len ? len : 1);

		for (size_t i = 0; i < len; i++) {
			memcpy(exact, good, len);
			exact[i] = 0xff;
			vpd_identifiers(exact, len, &info);
			vpd_serial(exact, len, serial);
		}
		memset(&info, 0, sizeof(info));
		memcpy(exact, good, len);
		vpd_identifiers(exact, len, &info);
		assert_int_equal(!memcmp(info.nguid, none, 16),
				 len < sizeof(good));
		free(exact);
	}
	vpd_serial(good, sizeof(good), serial); /* another page */
	assert_string_equal(serial, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_is_found_by_its_lun),
		TEST(what_the_kernel_says),
		TEST(other_disks),
		TEST(what_can_not_be),
		TEST(who_it_is),
		TEST(pages_that_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
