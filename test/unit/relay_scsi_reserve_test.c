/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/scsi_unit_disk.c test/unit/reactor_inline.c */
/*
 * Persistent reservations, on a disk that knows two hosts: the client, and
 * another one that the test plays.
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

#define MINE 0x1122334455667788ull
#define OTHER 0xaabbccddeeff0011ull

static struct unit_disk *open_unit(struct unit *u, bool persists)
{
	struct disk_info info = plain;
	struct unit_disk *d;

	info.reservation_types = 0x7e;
	info.reservation_persist = persists;
	d = unit_disk_create(&info);
	unit_open_on(u, &d->disk, false);
	return d;
}

static void out(struct unit *u, uint8_t action, uint8_t type, uint64_t key,
		uint64_t action_key, uint8_t flags)
{
	memset(low, 0, 24);
	scsi_put64(low, key);
	scsi_put64(low + 8, action_key);
	low[20] = flags;
	buffer(&u->task, SCSI_DATA_OUT, 0, 24);
	RUN(u, 0x5f, action, type, 0, 0, 0, 0, 0, 24, 0);
}

static void in(struct unit *u, uint8_t action, uint16_t room)
{
	memset(low, 0xee, 4096);
	buffer(&u->task, SCSI_DATA_IN, 0, 4096);
	RUN(u, 0x5e, action, 0, 0, 0, 0, 0, (uint8_t)(room >> 8),
	    (uint8_t)room, 0);
}

/* The other host does something. */
static void other(struct unit_disk *d, uint8_t action, uint8_t type,
		  uint64_t key, uint64_t new_key)
{
	struct disk_reservation r = {
		.action = action, .type = type, .key = key,
		.new_key = new_key,
	};

	assert_int_equal(unit_disk_reserve(d, 1, &r), DISK_OK);
}

static void registration(void **state)
{
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_unit(&u, true);
	out(&u, 0, 0, 0, 0, 0); /* nothing becomes nothing */
	expect_good(&u, 24);
	out(&u, 0, 0, MINE, 1, 0); /* with a key that is not there */
	expect_conflict(&u);
	out(&u, 0, 0, 0, MINE, 0);
	expect_good(&u, 24);
	assert_int_equal(d->key[0], MINE);
	assert_true(d->last.set_persist && !d->last.persist);
	out(&u, 0, 0, 0, 5, 0);
	expect_conflict(&u);
	out(&u, 0, 0, 0, 0, 0);
	expect_conflict(&u);
	out(&u, 0, 0, MINE, 7, 1);
	expect_good(&u, 24);
	assert_int_equal(d->key[0], 7);
	assert_true(d->persists);
	out(&u, 0, 0, MINE, 0, 0);
	expect_conflict(&u);
	out(&u, 0, 0, 7, 0, 0);
	expect_good(&u, 24);
	assert_int_equal(d->key[0], 0);
	/* Whatever was there. */
	out(&u, 6, 0, 1234, MINE, 0);
	expect_good(&u, 24);
	assert_int_equal(d->key[0], MINE);
	out(&u, 6, 0, 1234, 5, 0);
	expect_good(&u, 24);
	assert_int_equal(d->key[0], 5);
	out(&u, 6, 0, 1234, 0, 0);
	expect_good(&u, 24);
	assert_int_equal(d->key[0], 0);
	out(&u, 6, 0, 0, 0, 0);
	expect_good(&u, 24);
	unit_close(&u);
}

static void refusals(void **state)
{
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_unit(&u, false);
	out(&u, 0, 0, 0, MINE, 1); /* APTPL, and the disk cannot */
	expect_field(&u, false, 20, 0);
	out(&u, 0, 0, 0, MINE, 4); /* ALL_TG_PT */
	expect_field(&u, false, 20, 2);
	out(&u, 0, 0, 0, MINE, 8); /* SPEC_I_PT */
	expect_field(&u, false, 20, 3);
	out(&u, 1, 1, 0, MINE, 8);
	expect_field(&u, false, 20, 3);
	assert_int_equal(d->nr, 0);
	out(&u, 0, 0, 0, MINE, 0);
	expect_good(&u, 24);
	assert_false(d->last.set_persist);
	out(&u, 1, 0x11, MINE, 0, 0); /* a scope */
	expect_field(&u, true, 2, 7);
	for (uint8_t type = 0; type < 16; type++) {
		if (memchr("\x01\x03\x05\x06\x07\x08", type, 6))
			continue;
		out(&u, 1, type, MINE, 0, 0);
		expect_field(&u, true, 2, 3);
	}
	u.lun.info.reservation_types = 0x76; /* not of the fourth kind */
	out(&u, 1, 5, MINE, 0, 0);
	expect_field(&u, true, 2, 3);
	assert_int_equal(d->nr, 1);
	out(&u, 7, 0, MINE, 0, 0); /* REGISTER AND MOVE */
	expect_field(&u, true, 1, 4);
	in(&u, 4, 255);
	expect_field(&u, true, 1, 4);
	buffer(&u.task, SCSI_DATA_OUT, 0, 28);
	RUN(&u, 0x5f, 0, 0, 0, 0, 0, 0, 0, 28, 0);
	expect_refused(&u, 0x1a00);
	RUN(&u, 0x5f, 0, 0, 0, 0, 1, 0, 0, 24, 0);
	expect_refused(&u, 0x1a00);
	buffer(&u.task, SCSI_DATA_OUT, 0, 23);
	RUN(&u, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0);
	assert_int_equal(u.task.outcome, SCSI_OVERRUN);
	/* Preempting nobody's key is for all registrants only. */
	out(&u, 4, 1, MINE, 0, 0);
	expect_field(&u, false, 8, 7);
	d->fail_at = d->nr;
	d->fail_with = DISK_GONE;
	in(&u, 0, 255);
	assert_int_equal(u.task.outcome, SCSI_NO_LUN);
	unit_close(&u);

	{
		struct disk_info info = plain;

		info.reservation_types = 0x7e;
		unit_open_on(&u, &unit_disk_create(&info)->disk, true);
		out(&u, 0, 0, 0, MINE, 0);
		expect_sense(&u, 7, 0x2700);
		in(&u, 0, 255);
		expect_good(&u, 8);
		unit_close(&u);
	}
}

/* Each type of SCSI's is the disk's, and shows in capabilities and back. */
static void types(void **state)
{
	static const struct {
		uint8_t code, type;
		bool all;
	} cases[] = {
		{ 1, DISK_WRITE_EXCLUSIVE, false },
		{ 3, DISK_EXCLUSIVE_ACCESS, false },
		{ 5, DISK_WRITE_EXCLUSIVE_REGISTRANTS, false },
		{ 6, DISK_EXCLUSIVE_ACCESS_REGISTRANTS, false },
		{ 7, DISK_WRITE_EXCLUSIVE_ALL, true },
		{ 8, DISK_EXCLUSIVE_ACCESS_ALL, true },
	};
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_unit(&u, true);
	in(&u, 2, 255);
	expect_good(&u, 8);
	assert_memory_equal(low, "\x00\x08\x01\x80\xea\x01\x00\x00", 8);
	out(&u, 0, 0, 0, MINE, 1);
	in(&u, 2, 255);
	assert_int_equal(low[3], 0x81);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		out(&u, 1, cases[i].code, MINE, 0, 0);
		expect_good(&u, 24);
		assert_int_equal(d->type, cases[i].type);
		in(&u, 1, 255);
		expect_good(&u, 24);
		assert_int_equal(scsi_get32(low + 4), 16);
		assert_int_equal(scsi_get64(low + 8),
				 cases[i].all ? 0 : MINE);
		assert_int_equal(low[21], cases[i].code);
		/* Another type does not let it go. */
		out(&u, 2, cases[i].code == 1 ? 3 : 1, MINE, 0, 0);
		expect_refused(&u, 0x2604);
		out(&u, 2, cases[i].code, MINE, 0, 0);
		expect_good(&u, 24);
		assert_int_equal(d->type, 0);
		in(&u, 1, 255);
		expect_good(&u, 8);
		assert_int_equal(scsi_get32(low + 4), 0);
	}
	unit_close(&u);
}

static void two_hosts(void **state)
{
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_unit(&u, true);
	other(d, DISK_REGISTER, 0, 0, OTHER);
	other(d, DISK_RESERVE, DISK_EXCLUSIVE_ACCESS, OTHER, 0);
	/* Kept out, of reading, of writing and of reserving. */
	buffer(&u.task, SCSI_DATA_IN, 0, 512);
	RUN(&u, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
	expect_conflict(&u);
	out(&u, 1, 1, MINE, 0, 0);
	expect_conflict(&u);
	out(&u, 0, 0, 0, MINE, 0);
	expect_good(&u, 24);
	out(&u, 1, 1, MINE, 0, 0);
	expect_conflict(&u);

	in(&u, 0, 255);
	expect_good(&u, 24);
	assert_int_equal(scsi_get32(low), 2); /* generation */
	assert_int_equal(scsi_get32(low + 4), 16);
	assert_int_equal(scsi_get64(low + 8), MINE);
	assert_int_equal(scsi_get64(low + 16), OTHER);
	in(&u, 0, 12); /* cut, with the whole length in front */
	expect_good(&u, 12);
	assert_int_equal(scsi_get32(low + 4), 16);
	assert_int_equal(low[12], 0xee);

	in(&u, 3, 4096);
	expect_good(&u, 8 + 2 * (24 + 44));
	assert_int_equal(scsi_get32(low + 4), 2 * 68);
	assert_int_equal(scsi_get64(low + 8), MINE);
	assert_int_equal(low[8 + 12], 0);
	assert_int_equal(low[8 + 13], 0);
	assert_int_equal(scsi_get64(low + 76), OTHER);
	assert_int_equal(low[76 + 12], 1);
	assert_int_equal(low[76 + 13], 3);
	assert_int_equal(scsi_get32(low + 76 + 20), 44);
	assert_int_equal(low[100], 5);
	assert_int_equal(scsi_get16(low + 102), 40);
	assert_string_equal((char *)low + 104,
			    "naa.a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1");

	out(&u, 4, 1, MINE, 99, 0); /* a key that nobody has */
	expect_conflict(&u);
	out(&u, 4, 1, MINE, OTHER, 0);
	expect_good(&u, 24);
	assert_int_equal(d->last.action, DISK_PREEMPT);
	assert_int_equal(d->key[1], 0);
	assert_int_equal(d->type, DISK_WRITE_EXCLUSIVE);
	assert_int_equal(d->holder, 0);
	other(d, DISK_REGISTER, 0, 0, OTHER);
	out(&u, 5, 1, MINE, OTHER, 0);
	expect_good(&u, 24);
	assert_int_equal(d->last.action, DISK_PREEMPT_AND_ABORT);
	other(d, DISK_REGISTER, 0, 0, OTHER);
	out(&u, 3, 0, MINE, 0, 0);
	expect_good(&u, 24);
	assert_int_equal(d->key[0] | d->key[1], 0);
	in(&u, 0, 255);
	expect_good(&u, 8);
	out(&u, 3, 0, MINE, 0, 0);
	expect_conflict(&u);
	unit_close(&u);
}

/* All registrants hold it, the key of none is the holder's. */
static void all_registrants(void **state)
{
	struct unit_disk *d;
	struct unit u;

	(void)state;
	d = open_unit(&u, true);
	other(d, DISK_REGISTER, 0, 0, OTHER);
	other(d, DISK_RESERVE, DISK_WRITE_EXCLUSIVE_ALL, OTHER, 0);
	out(&u, 0, 0, 0, MINE, 0);
	in(&u, 1, 255);
	assert_int_equal(scsi_get64(low + 8), 0);
	assert_int_equal(low[21], 7);
	in(&u, 3, 4096);
	assert_int_equal(low[8 + 12] & low[76 + 12], 1);
	assert_int_equal(low[8 + 13], 7);
	unit_close(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(registration),
		UNIT_TEST(refusals),
		UNIT_TEST(types),
		UNIT_TEST(two_hosts),
		UNIT_TEST(all_registrants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
