/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/reactor_inline.c */
/*
 * SCSI commands that say who and how big a logical unit is, mode pages, and
 * what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/scsi_command.h"
#include "test/unit/scsi_unit.h"

/* Identity. */

static void inquiry(void **state)
{
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	memset(low, 0xee, 64);
	buffer(&u.task, SCSI_DATA_IN, 0, 64);
	RUN(&u, 0x12, 0, 0, 0, 255, 0);
	expect_good(&u, 36);
	assert_int_equal(low[0], 0);
	assert_int_equal(low[2], 5);
	assert_int_equal(low[3] & 15, 2);
	assert_int_equal(low[4], 31);
	assert_memory_equal(low + 8, "Msft    Virtual Disk    1.0 ", 28);
	assert_int_equal(low[36], 0xee);

	/* The allocation length cuts, and so does the buffer. */
	memset(low, 0xee, 64);
	RUN(&u, 0x12, 0, 0, 0, 10, 0);
	expect_good(&u, 10);
	assert_int_equal(low[10], 0xee);
	buffer(&u.task, SCSI_DATA_IN, 0, 7);
	RUN(&u, 0x12, 0, 0, 0, 36, 0);
	expect_good(&u, 7);
	/* A page without EVPD. */
	RUN(&u, 0x12, 0, 0x80, 0, 36, 0);
	expect_refused(&u, 0x2400);
	unit_close(&u);
}

static void no_such_unit(void **state)
{
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	u.task.nexus = NULL;
	buffer(&u.task, SCSI_DATA_IN, 0, 255);
	RUN(&u, 0x12, 0, 0, 0, 255, 0);
	expect_good(&u, 36);
	assert_int_equal(low[0], 0x7f);
	assert_int_equal(low[2], 5);
	RUN(&u, 0x12, 1, 0, 0, 255, 0);
	expect_refused(&u, 0x2400);
	RUN(&u, 0x03, 0, 0, 0, 18, 0);
	expect_good(&u, 18);
	assert_int_equal(low[2], 5);
	assert_int_equal(low[12], 0x25);
	RUN(&u, 0x00, 0, 0, 0, 0, 0);
	assert_int_equal(u.task.outcome, SCSI_NO_LUN);
	RUN(&u, 0xc1, 0, 0, 0, 0, 0);
	assert_int_equal(u.task.outcome, SCSI_NO_LUN);

	/* The list is the target's, whatever unit is asked. */
	RUN(&u, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0);
	expect_good(&u, 16);
	assert_int_equal(scsi_get32(low), 8);
	assert_int_equal(low[9], 3);
	RUN(&u, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0);
	expect_good(&u, 8);
	assert_int_equal(scsi_get32(low), 8);
	RUN(&u, 0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 255, 0, 0);
	expect_good(&u, 8);
	assert_int_equal(scsi_get32(low), 0);
	RUN(&u, 0xa0, 0, 3, 0, 0, 0, 0, 0, 0, 255, 0, 0);
	expect_refused(&u, 0x2400);
	u.task.target = NULL;
	RUN(&u, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0);
	expect_good(&u, 8);
	assert_int_equal(scsi_get32(low), 0);
	unit_close(&u);
}

/* Fetches a VPD page into `low`; its size from its own header. */
static uint32_t vpd(struct unit *u, uint8_t page)
{
	memset(low, 0, 256);
	buffer(&u->task, SCSI_DATA_IN, 0, 256);
	RUN(u, 0x12, 1, page, 0, 255, 0);
	expect_good(u, 4u + scsi_get16(low + 2));
	assert_int_equal(low[1], page);
	return u->task.moved;
}

static void vital_product_data(void **state)
{
	struct disk_info info = plain;
	struct unit u;
	uint8_t list[16];
	uint32_t size;

	(void)state;
	for (int i = 0; i < 16; i++)
		info.nguid[i] = (uint8_t)(0x10 + i);
	unit_open(&u, &info);
	size = vpd(&u, 0);
	memcpy(list, low, sizeof(list));
	assert_int_equal(size, 10);
	assert_memory_equal(list + 4, "\x00\x80\x83\xb0\xb1\xb2", 6);
	for (uint32_t i = 4; i < size; i++)
		vpd(&u, list[i]);

	assert_int_equal(vpd(&u, 0x80), 36);
	assert_memory_equal(low + 4, "60022480", 8);
	vpd(&u, 0x83);
	assert_int_equal(low[4], 1);
	assert_int_equal(low[5], 3);
	assert_int_equal(low[7], 16);
	assert_memory_equal(low + 8, "\x60\x02\x24\x80", 4);
	/* 14 15 16 17 folded with 10 11 12 13, then the rest as it is. */
	assert_memory_equal(low + 12, "\x04\x04\x04\x04\x18\x19", 6);
	assert_int_equal(vpd(&u, 0xb0), 64);
	assert_int_equal(scsi_get16(low + 6), 8);
	assert_int_equal(scsi_get32(low + 8), 512);
	assert_int_equal(scsi_get32(low + 20), UINT32_MAX);
	assert_int_equal(scsi_get32(low + 24), 64);
	assert_int_equal(scsi_get32(low + 12), 512);
	assert_int_equal(scsi_get32(low + 28), 8);
	assert_int_equal(scsi_get32(low + 32), 0x80000000);
	assert_int_equal(scsi_get64(low + 36), 131072);
	assert_int_equal(vpd(&u, 0xb1), 64);
	assert_int_equal(scsi_get16(low + 4), 1);
	assert_int_equal(vpd(&u, 0xb2), 8);
	assert_int_equal(low[5], 0x80);
	RUN(&u, 0x12, 1, 0x89, 0, 255, 0);
	expect_refused(&u, 0x2400);
	unit_close(&u);

	info.discard_granularity = 0;
	info.rotational = true;
	unit_open(&u, &info);
	assert_int_equal(vpd(&u, 0), 9);
	vpd(&u, 0xb0);
	assert_int_equal(scsi_get32(low + 20), 0);
	vpd(&u, 0xb1);
	assert_int_equal(scsi_get16(low + 4), 0);
	RUN(&u, 0x12, 1, 0xb2, 0, 255, 0);
	expect_refused(&u, 0x2400);
	unit_close(&u);
}

static void capacity(void **state)
{
	struct disk_info info = plain;
	struct unit u;

	(void)state;
	unit_open(&u, &info);
	buffer(&u.task, SCSI_DATA_IN, 0, 64);
	RUN(&u, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	expect_good(&u, 8);
	assert_int_equal(scsi_get32(low), BLOCKS - 1);
	assert_int_equal(scsi_get32(low + 4), 512);
	RUN(&u, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	expect_good(&u, 32);
	assert_int_equal(scsi_get64(low), BLOCKS - 1);
	assert_int_equal(low[13], 3);
	assert_int_equal(low[14], 0x80);
	RUN(&u, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	expect_refused(&u, 0x2400);
	unit_close(&u);

	info.blocks = 0x100000000ull + 5; /* more than ten bytes can tell */
	unit_open(&u, &info);
	buffer(&u.task, SCSI_DATA_IN, 0, 64);
	RUN(&u, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(scsi_get32(low), UINT32_MAX);
	RUN(&u, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	assert_int_equal(scsi_get64(low), 0x100000004);
	/* The last block, and none behind it. */
	buffer(&u.task, SCSI_DATA_IN, 0, 512);
	RUN(&u, 0x88, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0);
	expect_good(&u, 512);
	RUN(&u, 0x88, 0, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0);
	expect_refused(&u, 0x2100);
	unit_close(&u);
}

static void bad_units(void **state)
{
	static const struct scsi_identity good;
	static const struct scsi_identity loud = { .vendor = "a\tb" };
	static const struct scsi_identity endless = { .vendor = "123456789" };
	struct scsi_lun_config config = { 0 };
	struct disk_info info;
	struct scsi_lun lun;
	struct disk *disk;

	(void)state;
	for (int i = 0; i < 8; i++) {
		info = plain;
		switch (i) {
		case 0: info.block_size = 520; break;
		case 1: info.block_size = 8192; break;
		case 2: info.max_transfer = 700; break;
		case 3: info.max_ranges = 0; break;
		case 4: info.range_alignment = 3; break;
		case 5: info.physical_block_size = 256; break;
		}
		disk = disk_memory_create(&memory, &info);
		assert_non_null(disk);
		config.disk = disk;
		config.number = i == 7 ? 64 : 0;
		config.identity = good;
		assert_int_equal(scsi_lun_init(&lun, &config),
				 i == 6 ? 0 : -EINVAL);
		config.number = 0;
		config.identity = loud;
		assert_int_equal(scsi_lun_init(&lun, &config), -EINVAL);
		config.identity = endless;
		assert_int_equal(scsi_lun_init(&lun, &config), -EINVAL);
		disk->ops->close(disk);
	}
}

/* Reading and writing. */

static void all_sizes_of_cdb(void **state)
{
	static const struct {
		uint8_t write[16], read[16];
		uint8_t size;
	} cases[] = {
		{ { 0x0a, 0, 1, 2, 4, 0 }, { 0x08, 0, 1, 2, 4, 0 }, 6 },
		{ { 0x2a, 0, 0, 0, 2, 3, 0, 0, 4, 0 },
		  { 0x28, 0, 0, 0, 2, 3, 0, 0, 4, 0 }, 10 },
		{ { 0x2e, 0, 0, 0, 2, 9, 0, 0, 4, 0 },
		  { 0x28, 0x10, 0, 0, 2, 9, 0, 0, 4, 0 }, 10 },
		{ { 0xaa, 0, 0, 0, 3, 4, 0, 0, 0, 4, 0, 0 },
		  { 0xa8, 0, 0, 0, 3, 4, 0, 0, 0, 4, 0, 0 }, 12 },
		{ { 0x8a, 8, 0, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 4, 0, 0 },
		  { 0x88, 8, 0, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 4, 0, 0 }, 16 },
	};
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int at = 0; at < 2048; at++)
			low[at] = (uint8_t)rand();
		memset(low + 4096, 0, 2048);
		buffer(&u.task, SCSI_DATA_OUT, 0, 2048);
		run(&u, cases[i].write, cases[i].size);
		expect_good(&u, 2048);
		buffer(&u.task, SCSI_DATA_IN, 4096, 4096); /* with room left */
		run(&u, cases[i].read, cases[i].size);
		expect_good(&u, 2048);
		assert_memory_equal(low, low + 4096, 2048);
	}
	/* Six bytes: no length is 256 blocks. */
	buffer(&u.task, SCSI_DATA_IN, 0, 256 * 512);
	RUN(&u, 0x08, 0, 0, 0, 0, 0);
	expect_good(&u, 256 * 512);
	assert_int_equal(u.nexus.count.reads, 6);
	assert_int_equal(u.nexus.count.bytes_written, 5 * 2048);
	unit_close(&u);
}

/* No blocks are no mistake, in every CDB that can say so, up to and including
 * the end; without data and with. */
static void nothing_to_transfer(void **state)
{
	static const struct {
		uint8_t cdb[16], size;
	} cases[] = {
		{ { 0x28 }, 10 }, { { 0x2a }, 10 }, { { 0xa8 }, 12 },
		{ { 0xaa }, 12 }, { { 0x88 }, 16 }, { { 0x8a }, 16 },
		{ { 0x28, 0, 0, 0, 0x10, 0 }, 10 }, /* behind the last block */
	};
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool writes = cases[i].cdb[0] & 2;

		buffer(&u.task, SCSI_DATA_NONE, 0, 0);
		run(&u, cases[i].cdb, cases[i].size);
		expect_good(&u, 0);
		memset(low, 0x5a, 512);
		buffer(&u.task, writes ? SCSI_DATA_OUT : SCSI_DATA_IN, 0, 512);
		run(&u, cases[i].cdb, cases[i].size);
		expect_good(&u, 0);
		assert_int_equal(low[0], 0x5a);
	}
	assert_int_equal(u.nexus.count.bytes_written, 0);
	RUN(&u, 0x28, 0, 0, 0, 0x10, 1, 0, 0, 0, 0); /* beyond that */
	expect_refused(&u, 0x2100);
	unit_close(&u);
}

static void refusals(void **state)
{
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	buffer(&u.task, SCSI_DATA_IN, 0, 4096);
	RUN(&u, 0x28, 0, 0, 0, 0x0f, 0xff, 0, 0, 2, 0); /* over the end */
	expect_refused(&u, 0x2100);
	RUN(&u, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 2, 0,
	    0);
	expect_refused(&u, 0x2100);
	RUN(&u, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0); /* RDPROTECT */
	expect_refused(&u, 0x2400);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 9, 0); /* more than the buffer */
	assert_int_equal(u.task.outcome, SCSI_OVERRUN);
	RUN(&u, 0xa8, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0xff, 0, 0);
	assert_int_equal(u.task.outcome, SCSI_OVERRUN);
	RUN(&u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0); /* a write with data in */
	assert_int_equal(u.task.outcome, SCSI_WRONG_DIRECTION);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* nothing to do */
	expect_good(&u, 0);
	RUN(&u, 0x28, 0, 0, 0, 0x10, 0, 0, 0, 0, 0); /* ... at the very end */
	expect_good(&u, 0);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0); /* nine bytes of ten */
	expect_refused(&u, 0x2400);
	RUN(&u, 0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0);
	expect_field(&u, true, 1, 4);
	RUN(&u, 0x5e, 0, 0, 0, 0, 0, 0, 0, 255, 0); /* no reservations here */
	expect_refused(&u, 0x2000);
	RUN(&u, 0x43, 0, 0, 0, 0, 0, 0, 0, 255, 0); /* only of DVD drives */
	expect_refused(&u, 0x2000);
	RUN(&u, 0x2f, 0, 0, 0, 0, 0, 0, 0, 1, 0); /* VERIFY */
	expect_good(&u, 0);
	RUN(&u, 0x2f, 4, 0, 0, 0, 0, 0, 0, 1, 0); /* ... in a new way */
	expect_field(&u, true, 1, 2);
	RUN(&u, 0x2f, 0x40, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_field(&u, true, 1, 7);
	RUN(&u, 0x2f, 0, 0, 0, 0x10, 0, 0, 0, 1, 0);
	expect_refused(&u, 0x2100);
	buffer(&u.task, SCSI_DATA_NONE, 0, 0);
	RUN(&u, 0x12, 0, 0, 0, 0, 0);
	expect_good(&u, 0);
	buffer(&u.task, SCSI_DATA_OUT, 0, 64);
	RUN(&u, 0x12, 0, 0, 0, 64, 0);
	assert_int_equal(u.task.outcome, SCSI_WRONG_DIRECTION);
	buffer(&u.task, SCSI_DATA_NONE, 0, 0);
	RUN(&u, 0x1d, 0x04, 0, 0, 0, 0); /* SEND DIAGNOSTIC */
	expect_good(&u, 0);
	RUN(&u, 0x1d, 0x20, 0, 0, 0, 0);
	expect_field(&u, true, 1, 7);
	RUN(&u, 0x1d, 0, 0, 0, 0, 0);
	expect_field(&u, true, 1, 2);
	RUN(&u, 0x1d, 0x04, 0, 0, 1, 0);
	expect_field(&u, true, 3, 7);
	RUN(&u, 0x1b, 0, 0, 0, 0x10, 0); /* START STOP, a power condition */
	expect_field(&u, true, 4, 7);
	RUN(&u, 0x1b, 0, 0, 0, 3, 0);
	expect_field(&u, true, 4, 1);
	assert_int_equal(u.nexus.count.requests, 0);
	RUN(&u, 0x1b, 1, 0, 0, 4, 0); /* stop, but do not flush */
	expect_good(&u, 0);
	assert_int_equal(u.nexus.count.requests, 0);
	RUN(&u, 0x1b, 1, 0, 0, 0, 0);
	expect_good(&u, 0);
	assert_int_equal(u.nexus.count.requests, 1);
	unit_close(&u);

	unit_open_on(&u, disk_memory_create(&memory, &plain), true);
	buffer(&u.task, SCSI_DATA_OUT, 0, 4096);
	RUN(&u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(&u, 7, 0x2700);
	RUN(&u, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_sense(&u, 7, 0x2700);
	RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	expect_sense(&u, 7, 0x2700);
	buffer(&u.task, SCSI_DATA_IN, 0, 4096);
	RUN(&u, 0x1a, 0, 0x3f, 0, 255, 0);
	assert_int_equal(low[2] & 0x80, 0x80);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_good(&u, 512);
	unit_close(&u);
}

/* Mode pages. */

static void mode_sense(void **state)
{
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	buffer(&u.task, SCSI_DATA_IN, 0, 255);
	RUN(&u, 0x1a, 8, 0x3f, 0, 255, 0);
	expect_good(&u, 4 + 20 + 12 + 12);
	assert_int_equal(low[0], 47);
	assert_int_equal(low[2], 0x10);
	assert_int_equal(low[3], 0);
	assert_int_equal(low[4], 8);
	assert_int_equal(low[6], 4);
	assert_int_equal(low[24], 0x0a);
	assert_int_equal(low[36], 0x1c);
	RUN(&u, 0x1a, 8, 0x3f, 0, 4, 0); /* what Linux asks first */
	expect_good(&u, 4);
	RUN(&u, 0x5a, 8, 0x08, 0, 0, 0, 0, 0, 255, 0);
	expect_good(&u, 28);
	assert_int_equal(scsi_get16(low), 26);
	assert_int_equal(low[10], 4);
	RUN(&u, 0x5a, 8, 0x48, 0, 0, 0, 0, 0, 255, 0); /* changeable */
	assert_int_equal(low[10], 4);
	atomic_store(&u.lun.write_cache, false);
	RUN(&u, 0x5a, 8, 0xc8, 0, 0, 0, 0, 0, 255, 0); /* saved */
	expect_good(&u, 28);
	assert_int_equal(low[10], 4);
	atomic_store(&u.lun.write_cache, true);
	RUN(&u, 0x1a, 8, 0x01, 0, 255, 0);
	expect_refused(&u, 0x2400);
	RUN(&u, 0x1a, 8, 0x08, 5, 255, 0);
	expect_refused(&u, 0x2400);
	unit_close(&u);
}

/* What says how many blocks of which size. */
static void block_descriptors(void **state)
{
	struct disk_info info = plain;
	struct unit u;

	(void)state;
	unit_open(&u, &info);
	buffer(&u.task, SCSI_DATA_IN, 0, 255);
	RUN(&u, 0x1a, 0, 0x08, 0, 255, 0);
	expect_good(&u, 4 + 8 + 20);
	assert_int_equal(low[0], 31);
	assert_int_equal(low[3], 8);
	assert_int_equal(scsi_get32(low + 4), BLOCKS);
	assert_int_equal(scsi_get32(low + 8), 512);
	assert_int_equal(low[12], 8);

	/* Given back it is taken; so is one that says nothing. */
	buffer(&u.task, SCSI_DATA_OUT, 0, 32);
	RUN(&u, 0x15, 0x10, 0, 0, 32, 0);
	expect_good(&u, 32);
	scsi_put32(low + 4, 0);
	RUN(&u, 0x15, 0x10, 0, 0, 32, 0);
	expect_good(&u, 32);
	scsi_put32(low + 8, 1024);
	RUN(&u, 0x15, 0x10, 0, 0, 32, 0);
	expect_field(&u, false, 4, 7);
	scsi_put32(low + 8, 512);
	scsi_put32(low + 4, BLOCKS / 2);
	RUN(&u, 0x15, 0x10, 0, 0, 32, 0);
	expect_field(&u, false, 4, 7);
	RUN(&u, 0x15, 0x10, 0, 0, 11, 0);
	expect_refused(&u, 0x1a00);
	low[3] = 16;
	RUN(&u, 0x15, 0x10, 0, 0, 32, 0);
	expect_field(&u, false, 3, 7);
	unit_close(&u);

	info.blocks = 0x100000000ull + 5;
	unit_open(&u, &info);
	buffer(&u.task, SCSI_DATA_IN, 0, 255);
	RUN(&u, 0x1a, 0, 0x08, 0, 255, 0);
	assert_int_equal(scsi_get32(low + 4), UINT32_MAX);
	RUN(&u, 0x5a, 0x10, 0x08, 0, 0, 0, 0, 0, 255, 0);
	expect_good(&u, 8 + 16 + 20);
	assert_int_equal(low[4], 1);
	assert_int_equal(scsi_get16(low + 6), 16);
	assert_int_equal(scsi_get64(low + 8), info.blocks);
	assert_int_equal(scsi_get32(low + 20), 512);
	buffer(&u.task, SCSI_DATA_OUT, 0, 44);
	RUN(&u, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 44, 0);
	expect_good(&u, 44);
	low[15]++;
	RUN(&u, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 44, 0);
	expect_field(&u, false, 8, 7);
	unit_close(&u);
}

/* A size that changed is told once, to whoever asks first, and to REQUEST
 * SENSE as well; INQUIRY does not wait for it. */
static void attention(void **state)
{
	struct unit u;

	(void)state;
	unit_open(&u, &plain);
	scsi_attend(&u.lun, SCSI_CAPACITY_CHANGED);
	scsi_attend(&u.lun, SCSI_MEDIUM_CHANGED);
	buffer(&u.task, SCSI_DATA_IN, 0, 255);
	RUN(&u, 0x12, 0, 0, 0, 255, 0);
	expect_good(&u, 36);
	RUN(&u, 0xc1, 0, 0, 0, 0, 0);
	expect_refused(&u, 0x2000);
	RUN(&u, 0, 0, 0, 0, 0, 0);
	expect_sense(&u, 6, 0x2800);
	RUN(&u, 0x03, 1, 0, 0, 255, 0);
	expect_good(&u, 8);
	assert_memory_equal(low, "\x72\x06\x2a\x09", 4);
	RUN(&u, 0x03, 0, 0, 0, 255, 0);
	expect_good(&u, 18);
	assert_int_equal(low[2], 0);
	RUN(&u, 0, 0, 0, 0, 0, 0);
	expect_good(&u, 0);
	unit_close(&u);
}

static void mode_select(void **state)
{
	struct disk_info info = plain;
	struct unit u;

	(void)state;
	unit_open(&u, &info);
	memset(low, 0, 255);
	buffer(&u.task, SCSI_DATA_OUT, 0, 24);
	memcpy(low + 4, "\x08\x12\x05", 3); /* RCD cannot be changed */
	RUN(&u, 0x15, 0x10, 0, 0, 24, 0);
	expect_field(&u, false, 6, 7);
	low[6] = 0;
	RUN(&u, 0x15, 0x11, 0, 0, 24, 0); /* nor saved */
	expect_refused(&u, 0x2400);
	RUN(&u, 0x15, 0x10, 0, 0, 23, 0); /* most of a page */
	expect_refused(&u, 0x1a00);
	RUN(&u, 0x15, 0x10, 0, 0, 5, 0);
	expect_refused(&u, 0x1a00);
	RUN(&u, 0x15, 0x10, 0, 0, 3, 0);
	expect_refused(&u, 0x1a00);
	low[3] = 8;
	RUN(&u, 0x15, 0x10, 0, 0, 24, 0);
	expect_refused(&u, 0x2600);
	low[3] = 0;
	assert_true(u.lun.write_cache);
	RUN(&u, 0x15, 0x10, 0, 0, 24, 0);
	expect_good(&u, 24);
	assert_false(u.lun.write_cache);
	buffer(&u.task, SCSI_DATA_IN, 0, 255);
	RUN(&u, 0x1a, 8, 0x08, 0, 255, 0);
	assert_int_equal(low[6], 0);
	RUN(&u, 0x1a, 8, 0x88, 0, 255, 0); /* the default has it on */
	assert_int_equal(low[6], 4);

	/* Off as it was, but the flush behind the switch may be another
	 * channel's and not have ended: durable is what this one says. */
	memset(low, 0, 255);
	memcpy(low + 4, "\x08\x12\x00", 3);
	buffer(&u.task, SCSI_DATA_OUT, 0, 24);
	assert_int_equal(u.nexus.count.flushes, 1);
	RUN(&u, 0x15, 0x10, 0, 0, 24, 0);
	expect_good(&u, 24);
	assert_int_equal(u.nexus.count.flushes, 2);
	unit_close(&u);

	info.write_cache = false; /* cannot be switched on */
	unit_open(&u, &info);
	memset(low, 0, 255);
	memcpy(low + 4, "\x08\x12\x04", 3);
	buffer(&u.task, SCSI_DATA_OUT, 0, 24);
	RUN(&u, 0x15, 0x10, 0, 0, 24, 0);
	expect_refused(&u, 0x2600);
	unit_close(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(inquiry),
		UNIT_TEST(no_such_unit),
		UNIT_TEST(vital_product_data),
		UNIT_TEST(capacity),
		UNIT_TEST(bad_units),
		UNIT_TEST(all_sizes_of_cdb),
		UNIT_TEST(nothing_to_transfer),
		UNIT_TEST(refusals),
		UNIT_TEST(mode_sense),
		UNIT_TEST(block_descriptors),
		UNIT_TEST(attention),
		UNIT_TEST(mode_select),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
