/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/scsi_unit_disk.c test/unit/reactor_inline.c */
/*
 * What a unit's configuration makes of its disk: switches, sizes, rotation and
 * name, wherever a client could see them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/scsi_unit.h"
#include "test/unit/scsi_unit_disk.h"


/* Everything a disk can have. */
static struct disk_info rich(void)
{
	struct disk_info info = plain;

	info.write_zeroes_unmap = true;
	info.discard_zeroes = true;
	info.compare = info.verify = true;
	return info;
}

static void open_with(struct unit *u, const struct disk_info *info,
		      struct scsi_lun_config config)
{
	config.disk = &unit_disk_create(info)->disk;
	unit_open_config(u, &config);
}

/* Fetches a VPD page into `low`; false: there is none. */
static bool vpd(struct unit *u, uint8_t page)
{
	memset(low, 0, 256);
	buffer(&u->task, SCSI_DATA_IN, 0, 256);
	RUN(u, 0x12, 1, page, 0, 255, 0);
	if (u->task.status == SCSI_CHECK_CONDITION) {
		expect_field(u, true, 2, 7);
		return false;
	}
	expect_good(u, 4u + scsi_get16(low + 2));
	return true;
}

static void capacity_16(struct unit *u)
{
	buffer(&u->task, SCSI_DATA_IN, 0, 64);
	RUN(u, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0);
	expect_good(u, 32);
}

/* MODE SENSE of the caching page: device specific parameter, WCE. */
static void caching(struct unit *u, uint8_t control, uint8_t *specific,
		    bool *wce)
{
	buffer(&u->task, SCSI_DATA_IN, 0, 64);
	RUN(u, 0x1a, 8, (uint8_t)(control | 0x08), 0, 64, 0);
	expect_good(u, 24);
	*specific = low[2];
	*wce = low[6] & 4;
}

static void on_is_refused(void **state)
{
	static const struct {
		const char *why;
		struct scsi_lun_config config;
		int poor, rich;
	} cases[] = {
		{ "as the disk", { 0 }, 0, 0 },
		{ "cache", { .write_cache = SCSI_ON }, -EINVAL, 0 },
		{ "cache off", { .write_cache = SCSI_OFF }, 0, 0 },
		{ "fua", { .fua = SCSI_ON }, -EINVAL, 0 },
		{ "unmap", { .unmap = SCSI_ON }, -EINVAL, 0 },
		{ "unknown", { .unmap = 3 }, -EINVAL, -EINVAL },
		{ "slow", { .rotation = 1024 }, -EINVAL, -EINVAL },
		{ "slowest", { .rotation = 1025 }, 0, 0 },
		{ "none", { .rotation = 1 }, 0, 0 },
		{ "fastest", { .rotation = 65534 }, 0, 0 },
		{ "too fast", { .rotation = 65535 }, -EINVAL, -EINVAL },
		{ "small", { .physical_block_size = 256 }, -EINVAL, -EINVAL },
		{ "odd", { .physical_block_size = 1536 }, -EINVAL, -EINVAL },
		{ "512e", { .physical_block_size = 4096 }, 0, 0 },
		{ "no block", { .dvd = false, .number = 64 }, -EINVAL,
		  -EINVAL },
	};

	(void)state;
	for (int has = 0; has < 2; has++) {
		struct disk_info info = plain;
		struct unit_disk *d;

		if (has)
			info = rich();
		else
			info = (struct disk_info){
				.blocks = 8, .block_size = 512,
				.physical_block_size = 512,
				.max_transfer = 4096, .max_ranges = 1,
				.range_alignment = 1,
			};
		d = unit_disk_create(&info);
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			struct scsi_lun_config config = cases[i].config;
			struct scsi_lun lun;
			int expected = has ? cases[i].rich : cases[i].poor;

			config.disk = &d->disk;
			if (scsi_lun_init(&lun, &config) != expected)
				fail_msg("%s, %d", cases[i].why, has);
		}
		d->disk.ops->close(&d->disk);
	}
	{
		struct scsi_lun_config none = { 0 };
		struct scsi_lun lun;

		assert_int_equal(scsi_lun_init(&lun, &none), -EINVAL);
	}
}

/* Without a write cache to see, every write is durable. */
static void write_cache_off(void **state)
{
	struct disk_info info = rich();
	struct unit_disk *d;
	uint8_t specific;
	struct unit u;
	bool wce;

	(void)state;
	open_with(&u, &info, (struct scsi_lun_config){
				     .write_cache = SCSI_OFF });
	d = (struct unit_disk *)u.disk;
	for (int control = 0; control < 3; control++) {
		caching(&u, (uint8_t)(control << 6), &specific, &wce);
		assert_false(wce);
	}
	buffer(&u.task, SCSI_DATA_OUT, 0, 512);
	RUN(&u, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_good(&u, 512);
	assert_int_equal(d->log[0].flags, DISK_FUA);
	/* Nor can it be switched on. */
	memset(low, 0, 64);
	memcpy(low + 4, "\x08\x12\x04", 3);
	buffer(&u.task, SCSI_DATA_OUT, 0, 24);
	RUN(&u, 0x15, 0x10, 0, 0, 24, 0);
	expect_field(&u, false, 6, 7);
	unit_close(&u);
}

static void fua_off(void **state)
{
	struct disk_info info = rich();
	uint8_t specific;
	struct unit u;
	bool wce;

	(void)state;
	open_with(&u, &info, (struct scsi_lun_config){ .fua = SCSI_OFF });
	caching(&u, 0, &specific, &wce);
	assert_int_equal(specific, 0);
	assert_true(wce);
	buffer(&u.task, SCSI_DATA_OUT, 0, 512);
	RUN(&u, 0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_field(&u, true, 1, 3);
	RUN(&u, 0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
	expect_field(&u, true, 1, 3);
	buffer(&u.task, SCSI_DATA_IN, 0, 512);
	RUN(&u, 0x28, 8, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_field(&u, true, 1, 3);
	/* Of READ(6) that bit is part of the address. */
	RUN(&u, 0x08, 8, 0, 0, 1, 0);
	expect_refused(&u, 0x2100);
	unit_close(&u);
	open_with(&u, &info, (struct scsi_lun_config){ .fua = SCSI_ON });
	caching(&u, 0, &specific, &wce);
	assert_int_equal(specific, 0x10);
	unit_close(&u);
}

static void unmap_off(void **state)
{
	struct disk_info info = rich();
	struct unit u;

	(void)state;
	for (int off = 0; off < 2; off++) {
		open_with(&u, &info, (struct scsi_lun_config){
			.unmap = off ? SCSI_OFF : SCSI_ON });
		capacity_16(&u);
		assert_int_equal(low[14], off ? 0 : 0xc0);
		assert_int_equal(vpd(&u, 0xb2), !off);
		if (!off)
			assert_memory_equal(low, "\x00\xb2\x00\x04\x00\xe4\x02",
					    7);
		assert_true(vpd(&u, 0xb0));
		assert_int_equal(scsi_get32(low + 20), off ? 0 : UINT32_MAX);
		assert_int_equal(scsi_get32(low + 32), off ? 0 : 0x80000000);
		memset(low, 0, 512);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		RUN(&u, 0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0);
		if (off)
			expect_refused(&u, 0x2000);
		else
			expect_good(&u, 8);
		RUN(&u, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0);
		if (off)
			expect_field(&u, true, 1, 3);
		else
			expect_good(&u, 512);
		unit_close(&u);
	}
}

/* LBPRZ, LBPU, LBPWS of what a disk can do. */
static void provisioning(void **state)
{
	static const struct {
		bool discard, zeroes, same;
		uint8_t expected; /* flags of VPD page B2h; 0 = no page */
	} cases[] = {
		{ false, false, false, 0 },
		{ true, false, false, 0x80 },
		{ true, true, false, 0x84 },
		{ false, false, true, 0x64 },
		{ true, false, true, 0xe0 },
		{ true, true, true, 0xe4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct disk_info info = plain;
		struct unit u;

		info.discard_granularity = cases[i].discard ? 16 : 0;
		info.discard_alignment = 24;
		info.discard_zeroes = cases[i].zeroes;
		info.write_zeroes_unmap = cases[i].same;
		open_with(&u, &info, (struct scsi_lun_config){ 0 });
		assert_int_equal(vpd(&u, 0xb2), cases[i].expected != 0);
		if (cases[i].expected)
			assert_int_equal(low[5], cases[i].expected);
		assert_true(vpd(&u, 0xb0));
		assert_int_equal(scsi_get32(low + 32),
				 cases[i].discard ? 0x80000008 : 0);
		capacity_16(&u);
		assert_int_equal(low[14] & 0xc0, !cases[i].expected ? 0 :
				 cases[i].expected & 4 ? 0xc0 : 0x80);
		unit_close(&u);
	}
}

static void sizes(void **state)
{
	static const struct {
		uint32_t block, physical, config;
		uint8_t exponent;
		uint16_t granularity;
	} cases[] = {
		{ 512, 512, 0, 0, 1 },
		{ 512, 4096, 0, 3, 8 },
		{ 512, 512, 4096, 3, 8 },
		{ 512, 4096, 512, 0, 1 },
		{ 4096, 4096, 0, 0, 1 },
		{ 4096, 4096, 16384, 2, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct disk_info info = plain;
		struct unit u;

		info.block_size = cases[i].block;
		info.physical_block_size = cases[i].physical;
		info.blocks = 256;
		open_with(&u, &info, (struct scsi_lun_config){
			.physical_block_size = cases[i].config });
		capacity_16(&u);
		assert_int_equal(scsi_get64(low), 255);
		assert_int_equal(scsi_get32(low + 8), cases[i].block);
		assert_int_equal(low[13], cases[i].exponent);
		vpd(&u, 0xb0);
		assert_int_equal(scsi_get16(low + 6), cases[i].granularity);
		assert_int_equal(scsi_get32(low + 8),
				 SCSI_MAX_TRANSFER / cases[i].block);
		buffer(&u.task, SCSI_DATA_IN, 0, 8192);
		RUN(&u, 0x28, 0, 0, 0, 0, 255, 0, 0, 1, 0);
		expect_good(&u, cases[i].block);
		unit_close(&u);
	}
}

/* Where a physical block begins follows from where unmapping does. */
static void alignment(void **state)
{
	static const struct {
		uint32_t granularity, alignment;
		uint16_t lowest;
	} cases[] = {
		{ 8, 0, 0 }, { 8, 7, 7 }, { 16, 15, 7 }, { 4, 3, 0 },
		{ 0, 5, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct disk_info info = plain;
		struct unit u;

		info.discard_granularity = cases[i].granularity;
		info.discard_alignment = cases[i].alignment;
		open_with(&u, &info, (struct scsi_lun_config){ 0 });
		capacity_16(&u);
		assert_int_equal(scsi_get16(low + 14) & 0x3fff,
				 cases[i].lowest);
		unit_close(&u);
	}
}

static void optimal_transfer(void **state)
{
	static const struct {
		uint32_t physical, optimal, expected;
	} cases[] = {
		{ 4096, 0, 512 }, { 4096, 65536, 128 }, { 4096, 70000, 136 },
		{ 4096, 1 << 20, 512 }, { 1 << 20, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct disk_info info = plain;
		struct unit u;

		info.physical_block_size = cases[i].physical;
		info.optimal_transfer = cases[i].optimal;
		open_with(&u, &info, (struct scsi_lun_config){ 0 });
		vpd(&u, 0xb0);
		assert_int_equal(scsi_get32(low + 12), cases[i].expected);
		unit_close(&u);
	}
}

static void rotation(void **state)
{
	struct disk_info info = plain;
	struct unit u;

	(void)state;
	info.rotational = true;
	for (int i = 0; i < 6; i++) {
		static const uint16_t said[] = { 0, 1, 7200 };

		/* Whether it can unmap has nothing to do with it. */
		info.discard_granularity = i < 3 ? 8 : 0;
		open_with(&u, &info, (struct scsi_lun_config){
			.rotation = said[i % 3] });
		assert_int_equal(vpd(&u, 0xb2), i < 3);
		assert_true(vpd(&u, 0xb1));
		assert_int_equal(scsi_get16(low + 4), said[i % 3]);
		unit_close(&u);
	}
}

/* The configured name before the disk's before where the unit is. */
static void names(void **state)
{
	static const struct guid none;
	const struct guid id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
				   14, 15, 16 } };
	uint8_t seen[4][16];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct disk_info info = plain;
		struct scsi_lun_config config = { .default_id = id };
		struct unit u;

		if (i & 1)
			memset(info.nguid, 0x33, sizeof(info.nguid));
		config.identity.id = i & 2 ? id : none;
		open_with(&u, &info, config);
		assert_true(vpd(&u, 0x83));
		memcpy(seen[i], low + 8, 16);
		unit_close(&u);
	}
	assert_memory_equal(seen[0], seen[2], 16);
	assert_memory_equal(seen[2], seen[3], 16);
	assert_memory_not_equal(seen[0], seen[1], 16);
	assert_memory_equal(seen[2] + 8, id.b + 8, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(on_is_refused),
		UNIT_TEST(write_cache_off),
		UNIT_TEST(fua_off),
		UNIT_TEST(unmap_off),
		UNIT_TEST(provisioning),
		UNIT_TEST(sizes),
		UNIT_TEST(alignment),
		UNIT_TEST(optimal_transfer),
		UNIT_TEST(rotation),
		UNIT_TEST(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
