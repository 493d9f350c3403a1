/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/scsi_unit_disk.c test/unit/reactor_inline.c */
/*
 * VERIFY, WRITE AND VERIFY, WRITE SAME: on disks that can compare, verify and
 * unmap, and on those that cannot.
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

#define SIZE 8192u /* of what is verified: 16 blocks from block 32 on */

static struct unit_disk *open_unit(struct unit *u, bool able)
{
	struct disk_info info = plain;
	struct unit_disk *d;

	info.compare = info.verify = info.write_zeroes_unmap = able;
	info.max_transfer = 4096;
	d = unit_disk_create(&info);
	unit_open_on(u, &d->disk, false);
	for (uint32_t i = 0; i < SIZE; i++)
		low[i] = d->medium[32 * 512 + i] = (uint8_t)rand();
	return d;
}

static void verify_nothing_but_reading(void **state)
{
	struct unit u;

	(void)state;
	for (int able = 0; able < 2; able++) {
		struct unit_disk *d = open_unit(&u, able);

		buffer(&u.task, SCSI_DATA_NONE, 0, 0);
		/* The whole disk: no data, so no limit. */
		RUN(&u, 0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0);
		expect_good(&u, 0);
		assert_int_equal(d->nr, able);
		if (able) {
			assert_int_equal(d->log[0].op, DISK_VERIFY);
			assert_int_equal(d->log[0].blocks, BLOCKS);
			d->fail_at = d->nr;
			d->fail_with = DISK_MEDIUM_READ;
			RUN(&u, 0x2f, 0, 0, 0, 0, 0, 0, 0, 1, 0);
			expect_sense(&u, 3, 0x1100);
		}
		RUN(&u, 0xaf, 0, 0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0);
		expect_refused(&u, 0x2100);
		RUN(&u, 0x2f, 2, 0, 0, 0, 0, 0, 0, 0, 0); /* no blocks */
		expect_good(&u, 0);
		unit_close(&u);
	}
}

/* Each of the client's bytes matters, whatever shape its buffer has. */
static void verify_data(void **state)
{
	static const uint32_t places[] = { 0, 1, 511, 512, 4095, 4096, 8191 };
	struct unit u;

	(void)state;
	for (int able = 0; able < 2; able++) {
		struct unit_disk *d = open_unit(&u, able);

		for (int odd = 0; odd < 2; odd++) {
			memmove(low + odd, d->medium + 32 * 512, SIZE);
			buffer(&u.task, SCSI_DATA_OUT, (uint64_t)odd, SIZE);
			d->nr = 0;
			RUN(&u, 0x2f, 2, 0, 0, 0, 32, 0, 0, 16, 0);
			expect_good(&u, SIZE);
			assert_int_equal(d->nr, 2);
			assert_int_equal(d->log[1].op, able ? DISK_COMPARE :
							      DISK_READ);
			assert_int_equal(d->log[1].bounced, odd || !able);
			for (size_t i = 0; i < 7; i++) {
				low[odd + (int)places[i]] ^= 1;
				RUN(&u, 0x8f, 2, 0, 0, 0, 0, 0, 0, 0, 32, 0,
				    0, 0, 16, 0, 0);
				expect_sense(&u, 0xe, 0x1d00);
				low[odd + (int)places[i]] ^= 1;
			}
		}
		/* The buffer has to hold it, and to go out. */
		RUN(&u, 0x2f, 2, 0, 0, 0, 32, 0, 0, 17, 0);
		assert_int_equal(u.task.outcome, SCSI_OVERRUN);
		buffer(&u.task, SCSI_DATA_IN, 0, SIZE);
		RUN(&u, 0x2f, 2, 0, 0, 0, 32, 0, 0, 16, 0);
		assert_int_equal(u.task.outcome, SCSI_WRONG_DIRECTION);
		/* A disk that cannot read does not say that they differ. */
		buffer(&u.task, SCSI_DATA_OUT, 0, SIZE);
		d->fail_at = d->nr + 1;
		d->fail_with = DISK_MEDIUM_READ;
		low[0] ^= 1;
		RUN(&u, 0x2f, 2, 0, 0, 0, 33, 0, 0, 15, 0);
		assert_true(u.task.sense.key == 3 || u.task.sense.key == 0xe);
		unit_close(&u);
	}
}

/* One block against each of many. */
static void verify_block(void **state)
{
	struct unit u;

	(void)state;
	for (int able = 0; able < 2; able++) {
		struct unit_disk *d = open_unit(&u, able);

		for (uint32_t i = 0; i < 300; i++)
			memcpy(d->medium + (700 + i) * 512, low, 512);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		RUN(&u, 0xaf, 6, 0, 0, 2, 0xbc, 0, 0, 1, 44, 0, 0);
		expect_good(&u, 512);
		d->medium[999 * 512 + 511] ^= 1;
		d->nr = 0;
		RUN(&u, 0xaf, 6, 0, 0, 2, 0xbc, 0, 0, 1, 44, 0, 0);
		expect_sense(&u, 0xe, 0x1d00);
		d->nr = 0;
		RUN(&u, 0xaf, 6, 0, 0, 2, 0xbc, 0, 0, 1, 43, 0, 0);
		expect_good(&u, 512);
		buffer(&u.task, SCSI_DATA_OUT, 0, 511);
		RUN(&u, 0xaf, 6, 0, 0, 2, 0xbc, 0, 0, 1, 43, 0, 0);
		assert_int_equal(u.task.outcome, SCSI_OVERRUN);
		unit_close(&u);
	}
	/* Not for ever: as much as WRITE SAME can have written. */
	{
		struct disk_info info = plain;

		info.blocks = 1 << 20;
		unit_open(&u, &info);
		buffer(&u.task, SCSI_DATA_OUT, 0, 512);
		RUN(&u, 0x8f, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0);
		expect_field(&u, true, 10, 7);
		unit_close(&u);
	}
}

static void write_and_verify(void **state)
{
	/* FUA or a flush, then what the disk can; with the bytes or not. */
	static const struct {
		bool able, fua, bytes;
		uint8_t ops[8];
	} cases[] = {
		{ true, true, false,
		  { DISK_WRITE, DISK_WRITE, DISK_VERIFY } },
		{ true, false, false,
		  { DISK_WRITE, DISK_WRITE, DISK_FLUSH, DISK_VERIFY } },
		{ false, true, false, { DISK_WRITE, DISK_WRITE } },
		{ true, true, true,
		  { DISK_WRITE, DISK_WRITE, DISK_COMPARE, DISK_COMPARE } },
		{ false, false, true,
		  { DISK_WRITE, DISK_WRITE, DISK_FLUSH, DISK_READ,
		    DISK_READ } },
	};
	static const unsigned int nr[] = { 3, 4, 2, 4, 5 };
	struct unit u;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned int odd = 0; odd < 2; odd++) {
			struct unit_disk *d = open_unit(&u, cases[i].able);

			u.lun.info.fua = d->info.fua = cases[i].fua;
			buffer(&u.task, SCSI_DATA_OUT, odd, SIZE);
			RUN(&u, 0x2e, cases[i].bytes ? 2 : 0, 0, 0, 0, 64, 0,
			    0, 16, 0);
			expect_good(&u, SIZE);
			assert_memory_equal(d->medium + 64 * 512, low + odd,
					    SIZE);
			assert_int_equal(d->nr, nr[i]);
			for (unsigned int j = 0; j < nr[i]; j++)
				assert_int_equal(d->log[j].op,
						 cases[i].ops[j]);
			assert_int_equal(d->log[0].flags,
					 cases[i].fua ? DISK_FUA : 0);
			assert_int_equal(d->log[d->nr - 1].flags,
					 nr[i] == 2 ? DISK_FUA : 0);
			/* What went wrong last counts. */
			d->fail_at = d->nr + nr[i] - 1;
			d->fail_with = DISK_TIMEOUT;
			RUN(&u, 0x8e, cases[i].bytes ? 2 : 0, 0, 0, 0, 0, 0,
			    0, 0, 64, 0, 0, 0, 16, 0, 0);
			expect_sense(&u, 4, 0x0801);
			/* One block for all is not for writing. */
			RUN(&u, 0xae, 6, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0);
			expect_field(&u, true, 1, 2);
			unit_close(&u);
		}
	}
}

static void write_same(void **state)
{
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_unit(&u, true);
	memset(low, 0, 512);
	buffer(&u.task, SCSI_DATA_OUT, 0, 512);
	RUN(&u, 0x41, 0x08, 0, 0, 0, 32, 0, 0, 8, 0);
	expect_good(&u, 512);
	assert_int_equal(d->log[0].op, DISK_WRITE_ZEROES);
	assert_int_equal(d->log[0].flags, DISK_UNMAP);
	RUN(&u, 0x41, 0, 0, 0, 0, 32, 0, 0, 8, 0);
	assert_int_equal(d->log[1].flags, 0);
	buffer(&u.task, SCSI_DATA_NONE, 0, 0);
	RUN(&u, 0x93, 0x09, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0);
	expect_good(&u, 0);
	assert_int_equal(d->log[2].flags, DISK_UNMAP);
	assert_int_equal(d->nr, 3);
	/* What is not zeroes has to be written. */
	low[511] = 1;
	buffer(&u.task, SCSI_DATA_OUT, 0, 512);
	RUN(&u, 0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0);
	expect_good(&u, 512);
	assert_int_equal(d->log[3].op, DISK_WRITE);
	assert_int_equal(d->log[3].flags, 0);
	assert_memory_equal(d->medium + 47 * 512, low, 512);
	RUN(&u, 0x93, 0x10, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 8, 0, 0);
	expect_field(&u, true, 1, 4);
	RUN(&u, 0x41, 0x20, 0, 0, 0, 32, 0, 0, 8, 0);
	expect_field(&u, true, 1, 7);
	RUN(&u, 0x41, 0, 0, 0, 0, 32, 0, 0, 0, 0);
	expect_field(&u, true, 7, 7);
	RUN(&u, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0);
	expect_refused(&u, 0x2100);
	unit_close(&u);

	open_unit(&u, false);
	RUN(&u, 0x41, 0x08, 0, 0, 0, 32, 0, 0, 8, 0);
	expect_field(&u, true, 1, 3);
	unit_close(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(verify_nothing_but_reading),
		UNIT_TEST(verify_data),
		UNIT_TEST(verify_block),
		UNIT_TEST(write_and_verify),
		UNIT_TEST(write_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
