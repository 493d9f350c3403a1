/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/scsi.c relay/scsi_opcodes.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_transfer.c relay/scsi_bounce.c relay/scsi_lun.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/inspect.c test/unit/scsi_unit.c test/unit/scsi_unit_disk.c test/unit/reactor_inline.c */
/*
 * REPORT SUPPORTED OPERATION CODES, held against what the commands then do.
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

#include "relay/scsi_command.h"

static const struct scsi_lun_config dvd_config = { .dvd = true };

/* Everything, nothing that needs the disk's help, a DVD drive. */
enum kind { RICH, POOR, DVD, NR_KINDS };

static void open_kind(struct unit *u, enum kind kind)
{
	struct scsi_lun_config config = kind == DVD ? dvd_config :
				(struct scsi_lun_config){ 0 };
	struct disk_info info = plain;

	info.reservation_types = kind == RICH ? 0x7e : 0;
	info.discard_granularity = kind == RICH ? 8 : 0;
	info.write_zeroes_unmap = kind == RICH;
	config.disk = &unit_disk_create(&info)->disk;
	unit_open_config(u, &config);
}

static void ask(struct unit *u, uint8_t options, uint8_t opcode,
		uint16_t action, uint16_t room)
{
	memset(low, 0xee, 4096);
	buffer(&u->task, SCSI_DATA_IN, 0, 4096);
	RUN(u, 0xa3, 0x0c, options, opcode, (uint8_t)(action >> 8),
	    (uint8_t)action, 0, 0, (uint8_t)(room >> 8), (uint8_t)room, 0, 0);
}

/* The commands of a unit, as the list has them. */
struct listed {
	uint8_t opcode, flags;
	uint16_t action, cdb_size;
};

static unsigned int list(struct unit *u, struct listed *out)
{
	unsigned int n;

	ask(u, 0, 0, 0, 4096);
	n = scsi_get32(low) / 8;
	expect_good(u, 4 + 8 * n);
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *d = low + 4 + 8 * i;

		out[i] = (struct listed){ d[0], d[5], scsi_get16(d + 2),
					  scsi_get16(d + 6) };
	}
	return n;
}

static void all(void **state)
{
	/* Opcodes are ascending, and those that have to be there are. */
	static const uint8_t of_disk[] = {
		0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1d, 0x25,
		0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x55, 0x5a, 0x88, 0x8a,
		0x8e, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa, 0xae,
		0xaf,
	};
	static const uint8_t of_dvd[] = {
		0x00, 0x03, 0x12, 0x15, 0x1a, 0x1b, 0x1d, 0x1e, 0x25, 0x28,
		0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a, 0xa0, 0xa3, 0xa8, 0xad,
		0xbd,
	};
	struct listed listed[128];
	struct unit u;
	unsigned int n;

	(void)state;
	open_kind(&u, POOR);
	n = list(&u, listed);
	assert_int_equal(n, sizeof(of_disk));
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(listed[i].opcode, of_disk[i]);
	unit_close(&u);
	open_kind(&u, DVD);
	n = list(&u, listed);
	assert_int_equal(n, sizeof(of_dvd));
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(listed[i].opcode, of_dvd[i]);
	unit_close(&u);
	open_kind(&u, RICH);
	n = list(&u, listed);
	assert_int_equal(n, sizeof(of_disk) + 1 + 4 + 7);

	/* With timeouts. */
	ask(&u, 0x80, 0, 0, 4096);
	assert_int_equal(scsi_get32(low), 20 * n);
	expect_good(&u, 4 + 20 * n);
	assert_int_equal(low[4 + 5], 2);
	assert_int_equal(scsi_get16(low + 4 + 8), 10);
	/* Cut, with the whole length in front. */
	ask(&u, 0, 0, 0, 5);
	expect_good(&u, 5);
	assert_int_equal(scsi_get32(low), 8 * n);
	assert_int_equal(low[5], 0xee);
	unit_close(&u);
}

static void one(void **state)
{
	struct unit u;

	(void)state;
	open_kind(&u, RICH);
	ask(&u, 1, 0x28, 0, 4096);
	expect_good(&u, 14);
	assert_memory_equal(low, "\x00\x03\x00\x0a\x28\xf8\xff\xff\xff\xff"
				 "\x00\xff\xff\x00", 14);
	ask(&u, 0x81, 0x28, 0, 4096);
	expect_good(&u, 26);
	assert_int_equal(low[1], 0x83);
	assert_int_equal(scsi_get16(low + 14), 10);
	ask(&u, 2, 0x9e, 0x10, 4096);
	expect_good(&u, 20);
	assert_memory_equal(low, "\x00\x03\x00\x10\x9e\x10", 6);
	assert_int_equal(scsi_get32(low + 14), UINT32_MAX);
	ask(&u, 3, 0x9e, 0x10, 4096);
	expect_good(&u, 20);
	ask(&u, 3, 0x28, 0, 4096);
	expect_good(&u, 14);
	/* What is not there. */
	for (uint8_t option = 1; option < 4; option++) {
		ask(&u, option, 0xc1, 0, 4096);
		expect_good(&u, 4);
		assert_memory_equal(low, "\x00\x01\x00\x00", 4);
	}
	ask(&u, 2, 0x9e, 0x11, 4096);
	assert_int_equal(low[1], 1);
	ask(&u, 2, 0x9e, 0x30, 4096);
	assert_int_equal(low[1], 1);
	ask(&u, 3, 0x28, 1, 4096);
	assert_int_equal(low[1], 1);
	/* Questions that do not fit. */
	ask(&u, 1, 0x9e, 0, 4096);
	expect_field(&u, true, 2, 2);
	ask(&u, 2, 0x28, 0, 4096);
	expect_field(&u, true, 2, 2);
	ask(&u, 4, 0x28, 0, 4096);
	expect_field(&u, true, 2, 2);
	unit_close(&u);
}

/* Every opcode and service action: it is listed exactly if it is not refused as
 * one that is not known; and the list and the single answer agree. */
static void nothing_is_hidden(void **state)
{
	static const uint8_t with_actions[] = { 0x5e, 0x5f, 0x9e, 0xa3 };

	(void)state;
	for (int kind = 0; kind < NR_KINDS; kind++) {
		struct listed listed[128];
		unsigned int found = 0, n;
		struct unit u;

		open_kind(&u, (enum kind)kind);
		n = list(&u, listed);
		for (unsigned int i = 0; i < 256 * 32; i++) {
			uint8_t opcode = (uint8_t)(i / 32), action = i % 32;
			bool actions = memchr(with_actions, opcode, 4), known;
			uint8_t cdb[16] = { opcode, action };

			if (!actions && action)
				continue;
			buffer(&u.task, SCSI_DATA_NONE, 0, 0);
			run(&u, cdb, 16);
			known = u.task.status != SCSI_CHECK_CONDITION ||
				(u.task.sense.asc != 0x20 &&
				 !(actions && u.task.sense.asc == 0x24 &&
				   u.task.sense.key_specific[0] == 0xcc &&
				   u.task.sense.key_specific[2] == 1));
			ask(&u, 3, opcode, action, 4096);
			assert_int_equal(low[1], known ? 3 : 1);
			if (!known)
				continue;
			assert_true(found < n);
			assert_int_equal(listed[found].opcode, opcode);
			assert_int_equal(listed[found].action, action);
			assert_int_equal(listed[found].flags, actions);
			assert_int_equal(listed[found].cdb_size,
					 scsi_get16(low + 2));
			found++;
		}
		assert_int_equal(found, n);
		unit_close(&u);
	}
}

/* A bit that is not in the usage data changes nothing: neither the result nor
 * what the disk is asked for. */
static void usage_is_true(void **state)
{
	(void)state;
	for (int kind = 0; kind < NR_KINDS; kind++) {
		struct listed listed[128];
		struct unit_disk *d;
		struct unit u;
		unsigned int n;

		open_kind(&u, (enum kind)kind);
		d = (struct unit_disk *)u.disk;
		n = list(&u, listed);
		for (unsigned int i = 0; i < n; i++) {
			const struct listed *l = &listed[i];
			uint8_t usage[16] = { 0 };
			struct scsi_task plain_task, task;
			unsigned int nr;

			/* Whose events and attentions are read away. */
			if (l->opcode == 0x4a || l->opcode == 0x5f)
				continue;
			ask(&u, 3, l->opcode, l->action, 4096);
			memcpy(usage, low + 4, l->cdb_size);
			for (unsigned int bit = 0; bit < 8u * l->cdb_size;
			     bit++) {
				uint8_t cdb[16] = { l->opcode,
						    (uint8_t)l->action };
				unsigned int at = bit / 8;

				if (at == 0 || usage[at] >> bit % 8 & 1)
					continue;
				if (at == 1 && l->flags && bit % 8 < 5)
					continue;
				memset(low, 0, 4096);
				buffer(&u.task, SCSI_DATA_IN, 0, 4096);
				d->nr = 0;
				run(&u, cdb, l->cdb_size);
				plain_task = u.task;
				nr = d->nr;
				cdb[at] |= (uint8_t)(1 << bit % 8);
				d->nr = 0;
				run(&u, cdb, l->cdb_size);
				task = u.task;
				if (task.status != plain_task.status ||
				    task.outcome != plain_task.outcome ||
				    task.moved != plain_task.moved ||
				    (task.status &&
				     memcmp(&task.sense, &plain_task.sense,
					    sizeof(task.sense))) ||
				    d->nr != nr)
					fail_msg("%02x/%02x, byte %u bit %u",
						 l->opcode, l->action, at,
						 bit % 8);
			}
		}
		unit_close(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT_TEST(all),
		UNIT_TEST(one),
		UNIT_TEST(nothing_is_hidden),
		UNIT_TEST(usage_is_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
