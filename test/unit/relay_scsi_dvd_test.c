/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/scsi_unit_disk.c test/unit/reactor_inline.c */
/*
 * A DVD drive: reading a disc of any size of blocks, what it says of itself,
 * and its tray.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/reactor_inline.h"
#include "test/unit/scsi_unit.h"
#include "test/unit/scsi_unit_disk.h"

static const struct disk_info disc = {
	.blocks = 1001,
	.block_size = 2048,
	.physical_block_size = 2048,
	.max_transfer = 64 * 1024,
	.max_ranges = SCSI_MAX_RANGES,
	.gap_mask = 4095,
	.range_alignment = 4,
	.discard_granularity = 1, /* which nobody may see */
	.write_cache = true,
	.rotational = true,
};

static struct unit_disk *open_drive(struct unit *u,
				    const struct disk_info *info)
{
	struct scsi_lun_config config = { .dvd = true };
	struct unit_disk *d = NULL;

	if (info) {
		d = unit_disk_create(info);
		for (size_t i = 0; i < info->blocks * info->block_size; i++)
			d->medium[i] = (uint8_t)rand();
		config.disk = &d->disk;
	}
	unit_open_config(u, &config);
	buffer(&u->task, SCSI_DATA_IN, 0, 4096);
	memset(low, 0xee, 4096);
	return d;
}

static void eject(struct unit *u, bool in)
{
	RUN(u, 0x1b, 0, 0, 0, in ? 3 : 2, 0);
}

static void test_ready(struct unit *u)
{
	RUN(u, 0, 0, 0, 0, 0, 0);
}

/* Polls the media event. */
static uint8_t poll_event(struct unit *u, uint8_t status)
{
	RUN(u, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0);
	expect_good(u, 8);
	assert_memory_equal(low, "\x00\x06\x04\x10", 4);
	assert_int_equal(low[5], status);
	return low[4];
}

static void identity(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, &disc);
	RUN(&u, 0x12, 0, 0, 0, 255, 0);
	expect_good(&u, 36);
	assert_int_equal(low[0], 5);
	assert_int_equal(low[1], 0x80);
	assert_memory_equal(low + 8, "Msft    Virtual DVD-ROM 1.0 ", 28);
	RUN(&u, 0x12, 1, 0, 0, 255, 0);
	expect_good(&u, 7);
	assert_memory_equal(low, "\x05\x00\x00\x03\x00\x80\x83", 7);
	RUN(&u, 0x12, 1, 0xb2, 0, 255, 0);
	expect_field(&u, true, 2, 7);
	RUN(&u, 0x28, 0x08, 0, 0, 0, 0, 0, 0, 2, 0); /* FUA */
	expect_good(&u, 4096);
	/* What a drive does not do. */
	RUN(&u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_refused(&u, 0x2000);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0);
	expect_refused(&u, 0x2000);
	RUN(&u, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	expect_refused(&u, 0x2000);
	unit_close(&u);
}

/* Any block of the disc, on disks of any. */
static void reading(void **state)
{
	static const uint32_t sizes[] = { 512, 1024, 2048, 4096 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct disk_info info = disc;
		struct unit_disk *d;
		struct unit u;
		uint32_t last;

		info.block_size = sizes[i];
		info.physical_block_size = 4096;
		d = open_drive(&u, &info);
		RUN(&u, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
		expect_good(&u, 8);
		last = scsi_get32(low);
		assert_int_equal(last, 1001 * sizes[i] / 2048 - 1);
		assert_int_equal(scsi_get32(low + 4), 2048);
		for (int n = 0; n < 200; n++) {
			uint32_t blocks = 1 + (uint32_t)rand() % 100;
			uint32_t lba = (uint32_t)rand() % (last + 1);
			uint32_t at = (uint32_t)rand() % 4 * 1023;
			uint8_t cdb[12] = { n & 1 ? 0x28 : 0xa8 };

			if (blocks > last + 1 - lba)
				blocks = last + 1 - lba;
			scsi_put32(cdb + 2, lba);
			if (n & 1)
				scsi_put16(cdb + 7, (uint16_t)blocks);
			else
				scsi_put32(cdb + 6, blocks);
			memset(low, 0, SCSI_MAX_TRANSFER);
			buffer(&u.task, SCSI_DATA_IN, at, blocks * 2048);
			d->nr = 0;
			run(&u, cdb, n & 1 ? 10 : 12);
			expect_good(&u, blocks * 2048);
			assert_memory_equal(low + at,
					    d->medium + lba * 2048,
					    blocks * 2048);
		}
		buffer(&u.task, SCSI_DATA_IN, 0, 4096);
		RUN(&u, 0xa8, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1, 0, 0);
		expect_refused(&u, 0x2100);
		RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 3, 0);
		assert_int_equal(u.task.outcome, SCSI_OVERRUN);
		unit_close(&u);
	}
	{
		struct disk_info info = disc;
		struct scsi_lun_config config = { .dvd = true };
		struct scsi_lun lun;
		struct unit_disk *d;

		info.block_size = 512;
		info.blocks = 3;
		d = unit_disk_create(&info);
		config.disk = &d->disk;
		assert_int_equal(scsi_lun_init(&lun, &config), -EINVAL);
		d->disk.ops->close(&d->disk);
	}
}

static void contents(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, &disc);
	RUN(&u, 0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0);
	expect_good(&u, 20);
	assert_memory_equal(low, "\x00\x12\x01\x01"
				 "\x00\x14\x01\x00\x00\x00\x00\x00"
				 "\x00\x14\xaa\x00\x00\x00\x03\xe9", 20);
	/* 1001 + 150 frames are 15 seconds and 26. */
	RUN(&u, 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255, 0);
	expect_good(&u, 12);
	assert_memory_equal(low, "\x00\x0a\x01\x01"
				 "\x00\x14\xaa\x00\x00\x00\x0f\x1a", 12);
	RUN(&u, 0x43, 0, 0, 0, 0, 0, 2, 0, 255, 0);
	expect_field(&u, true, 6, 7);
	/* Sessions, as one asks now and as one asked once. */
	for (int old = 0; old < 2; old++) {
		RUN(&u, 0x43, 0, old ? 0 : 1, 0, 0, 0, 0, 0, 12,
		    old ? 0x40 : 0);
		expect_good(&u, 12);
		assert_memory_equal(low, "\x00\x0a\x01\x01"
					 "\x00\x14\x01\x00\x00\x00\x00\x00",
				    12);
	}
	RUN(&u, 0x43, 0, 5, 0, 0, 0, 0, 0, 255, 0);
	expect_field(&u, true, 2, 3);

	RUN(&u, 0x51, 0, 0, 0, 0, 0, 0, 0, 255, 0);
	expect_good(&u, 34);
	assert_memory_equal(low, "\x00\x20\x0e\x01\x01\x01\x01\x20", 8);
	RUN(&u, 0x51, 1, 0, 0, 0, 0, 0, 0, 255, 0);
	expect_field(&u, true, 1, 2);
	RUN(&u, 0xad, 0, 0, 0, 0, 0, 0, 0, 8, 8, 0, 0);
	expect_good(&u, 2052);
	assert_memory_equal(low, "\x08\x02\x00\x00\x01\x02\x01\x00"
				 "\x00\x03\x00\x00\x00\x03\x03\xe8", 16);
	RUN(&u, 0xad, 0, 0, 0, 0, 0, 0, 1, 8, 8, 0, 0);
	expect_field(&u, true, 7, 7);
	RUN(&u, 0xad, 0, 0, 0, 0, 0, 1, 0, 8, 8, 0, 0);
	expect_field(&u, true, 6, 7);
	RUN(&u, 0xad, 1, 0, 0, 0, 0, 0, 0, 8, 8, 0, 0);
	expect_field(&u, true, 1, 3);
	unit_close(&u);

	/* Longer than minutes can tell: the end is where they end. */
	{
		struct disk_info info = disc;

		info.blocks = 4u << 20;
		unit_open_config(&u, &(struct scsi_lun_config){
			.dvd = true,
			.disk = disk_memory_create(&memory, &info) });
		buffer(&u.task, SCSI_DATA_IN, 0, 4096);
		RUN(&u, 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255, 0);
		assert_memory_equal(low + 8, "\x00\xff\x3b\x4a", 4);
		unit_close(&u);
	}
}

static void features(void **state)
{
	struct unit u;

	(void)state;
	for (int loaded = 0; loaded < 2; loaded++) {
		open_drive(&u, loaded ? &disc : NULL);
		RUN(&u, 0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0);
		expect_good(&u, 8 + 8 + 12 + 8 + 8 + 12 + 4);
		assert_int_equal(scsi_get32(low), u.task.moved - 4);
		assert_int_equal(scsi_get16(low + 6), loaded ? 0x10 : 0);
		assert_memory_equal(low + 8, "\x00\x00\x03\x04\x00\x10", 6);
		assert_int_equal(low[14], loaded);
		/* The removable medium: a tray that opens, loads and locks. */
		assert_memory_equal(low + 36, "\x00\x03\x03\x04\x39", 5);
		assert_memory_equal(low + 44, "\x00\x10", 2);
		assert_int_equal(low[46], loaded);
		assert_int_equal(scsi_get32(low + 48), 2048);
		RUN(&u, 0x46, 1, 0, 0, 0, 0, 0, 0, 255, 0);
		expect_good(&u, loaded ? 60 : 44);
		RUN(&u, 0x46, 2, 0, 3, 0, 0, 0, 0, 255, 0);
		expect_good(&u, 16);
		assert_int_equal(scsi_get16(low + 8), 3);
		RUN(&u, 0x46, 2, 0, 4, 0, 0, 0, 0, 255, 0);
		expect_good(&u, 8);
		RUN(&u, 0x46, 0, 0, 0x10, 0, 0, 0, 0, 255, 0);
		expect_good(&u, 24);
		RUN(&u, 0x46, 3, 0, 0, 0, 0, 0, 0, 255, 0);
		expect_field(&u, true, 1, 1);
		RUN(&u, 0x46, 0, 0, 0, 0, 0, 0, 0, 4, 0);
		expect_good(&u, 4);
		assert_int_equal(scsi_get32(low), 56);
		unit_close(&u);
	}
}

static void mode_pages(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, &disc);
	RUN(&u, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128, 0);
	expect_good(&u, 8 + 22);
	assert_int_equal(scsi_get16(low), 28);
	assert_int_equal(low[3], 0); /* nothing of disks' */
	assert_int_equal(scsi_get16(low + 6), 0);
	assert_memory_equal(low + 8, "\x2a\x14\x08\x00\x00\x00\x29", 7);
	RUN(&u, 0x1e, 0, 0, 0, 1, 0);
	RUN(&u, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128, 0);
	assert_int_equal(low[14], 0x2b);
	RUN(&u, 0x5a, 0, 0x01, 0, 0, 0, 0, 0, 128, 0);
	expect_good(&u, 8 + 12);
	RUN(&u, 0x5a, 0, 0x08, 0, 0, 0, 0, 0, 128, 0);
	expect_field(&u, true, 2, 5);
	RUN(&u, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 128, 0);
	expect_good(&u, 8 + 12 + 12 + 12 + 22);
	buffer(&u.task, SCSI_DATA_OUT, 0, 66);
	RUN(&u, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 66, 0);
	expect_good(&u, 66);
	unit_close(&u);
}

static void tray_of_client(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, &disc);
	test_ready(&u);
	expect_good(&u, 0);
	assert_int_equal(poll_event(&u, 2), 0);
	eject(&u, false);
	expect_good(&u, 0);
	test_ready(&u);
	expect_sense(&u, 2, 0x3a02);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(&u, 2, 0x3a02);
	RUN(&u, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_sense(&u, 2, 0x3a02);
	RUN(&u, 0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0);
	expect_sense(&u, 2, 0x3a02);
	RUN(&u, 0x1b, 0, 0, 0, 1, 0); /* nothing to spin */
	expect_sense(&u, 2, 0x3a02);
	RUN(&u, 0x1b, 0, 0, 0, 0, 0);
	expect_good(&u, 0);
	RUN(&u, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	expect_good(&u, 8);
	assert_int_equal(low[1], 0x10);
	assert_int_equal(poll_event(&u, 1), 3);
	assert_int_equal(poll_event(&u, 1), 0);
	eject(&u, false); /* it is open */
	expect_good(&u, 0);
	assert_int_equal(poll_event(&u, 1), 0);

	eject(&u, true);
	expect_good(&u, 0);
	/* An event does not wait for the unit attention, and so does not say
	 * what that says instead. */
	assert_int_equal(poll_event(&u, 2), 2);
	test_ready(&u);
	expect_sense(&u, 6, 0x2800);
	test_ready(&u);
	expect_good(&u, 0);
	RUN(&u, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	assert_int_equal(low[1], 0);
	eject(&u, true);
	test_ready(&u);
	expect_good(&u, 0);

	RUN(&u, 0x1e, 0, 0, 0, 1, 0);
	eject(&u, false);
	expect_refused(&u, 0x5302);
	RUN(&u, 0x1e, 0, 0, 0, 3, 0);
	RUN(&u, 0x1e, 0, 0, 0, 2, 0); /* only the button of the drive */
	eject(&u, false);
	expect_refused(&u, 0x5302);
	RUN(&u, 0x1e, 0, 0, 0, 0, 0);
	eject(&u, false);
	expect_good(&u, 0);
	unit_close(&u);
}

static void tray_of_host(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, &disc);
	assert_int_equal(scsi_lun_insert(&u.lun), 0); /* it is in */
	test_ready(&u);
	expect_good(&u, 0);
	RUN(&u, 0x1e, 0, 0, 0, 1, 0);
	assert_int_equal(scsi_lun_eject(&u.lun), -EBUSY);
	test_ready(&u);
	expect_good(&u, 0);
	assert_int_equal(poll_event(&u, 2), 1);
	RUN(&u, 0x1e, 0, 0, 0, 0, 0);
	assert_int_equal(scsi_lun_eject(&u.lun), 0);
	assert_int_equal(poll_event(&u, 1), 3);
	test_ready(&u);
	expect_sense(&u, 2, 0x3a02);
	assert_int_equal(scsi_lun_insert(&u.lun), 0);
	test_ready(&u);
	expect_sense(&u, 6, 0x2800);
	assert_int_equal(poll_event(&u, 2), 2);

	/* What is being read when the disc goes ends well. */
	buffer(&u.task, SCSI_DATA_IN, 0, 4096);
	start(&u, (const uint8_t[]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0 }, 10);
	assert_int_equal(u.done, 0);
	assert_int_equal(scsi_lun_eject(&u.lun), 0);
	reactor_inline_drain();
	expect_good(&u, 4096);
	unit_close(&u);

	unit_open(&u, &plain);
	assert_int_equal(scsi_lun_eject(&u.lun), -EINVAL);
	assert_int_equal(scsi_lun_insert(&u.lun), -EINVAL);
	unit_close(&u);
}

static void without_disc(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, NULL);
	test_ready(&u);
	expect_sense(&u, 2, 0x3a01);
	assert_int_equal(poll_event(&u, 0), 0);
	eject(&u, false);
	expect_good(&u, 0);
	test_ready(&u);
	expect_sense(&u, 2, 0x3a02);
	assert_int_equal(poll_event(&u, 1), 0);
	assert_int_equal(scsi_lun_insert(&u.lun), -ENOENT);
	test_ready(&u);
	expect_sense(&u, 2, 0x3a01);
	RUN(&u, 0x12, 0, 0, 0, 255, 0);
	expect_good(&u, 36);
	scsi_lun_changed(&u.lun);
	unit_close(&u);
}

static void events(void **state)
{
	struct unit u;

	(void)state;
	open_drive(&u, &disc);
	RUN(&u, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0);
	expect_field(&u, true, 1, 0);
	RUN(&u, 0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8, 0); /* of another class */
	expect_good(&u, 4);
	assert_memory_equal(low, "\x00\x02\x80\x10", 4);
	/* An event that there was no room for is not lost. */
	eject(&u, false);
	RUN(&u, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 4, 0);
	expect_good(&u, 4);
	buffer(&u.task, SCSI_DATA_IN, 0, 7);
	RUN(&u, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0);
	expect_good(&u, 7);
	buffer(&u.task, SCSI_DATA_IN, 0, 4096);
	assert_int_equal(poll_event(&u, 1), 3);
	unit_close(&u);
}

static void grows(void **state)
{
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_drive(&u, &disc);
	d->info.blocks = 1000;
	scsi_lun_changed(&u.lun);
	test_ready(&u);
	expect_sense(&u, 6, 0x2a09);
	RUN(&u, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(scsi_get32(low), 999);
	d->info.blocks = 0;
	scsi_lun_changed(&u.lun); /* not followed */
	test_ready(&u);
	expect_good(&u, 0);
	unit_close(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(identity),
		UNIT_TEST(reading),
		UNIT_TEST(contents),
		UNIT_TEST(features),
		UNIT_TEST(mode_pages),
		UNIT_TEST(tray_of_client),
		UNIT_TEST(tray_of_host),
		UNIT_TEST(without_disc),
		UNIT_TEST(events),
		UNIT_TEST(grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
