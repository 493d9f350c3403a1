/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/reservation.c nvme/command.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nvme/command.h"
#include "nvme/reservation.h"

static const struct disk_info info = { .reservation_types = 0x7e,
				       .reservation_persist = true };

static const uint8_t us[16] = { 1, 2, 3, [15] = 0xff };

/* Dwords 10 and 11, as the Base Specification 2.0 has them in 7.2 to 7.6. */
static void actions(void **state)
{
	static const struct {
		struct disk_reservation r;
		uint8_t opcode;
		uint32_t cdw10, cdw11, bytes;
	} want[] = {
		{ { .action = DISK_REGISTER }, 0x0d, 0, 0, 16 },
		{ { .action = DISK_REGISTER, .set_persist = true },
		  0x0d, 2u << 30, 0, 16 },
		{ { .action = DISK_REGISTER, .set_persist = true,
		    .persist = true }, 0x0d, 3u << 30, 0, 16 },
		{ { .action = DISK_UNREGISTER, .ignore_key = true },
		  0x0d, 1 | 1 << 3, 0, 16 },
		{ { .action = DISK_REPLACE }, 0x0d, 2, 0, 16 },
		{ { .action = DISK_RESERVE, .type = 6 }, 0x11, 0x600, 0, 16 },
		{ { .action = DISK_PREEMPT, .type = 1 }, 0x11, 0x101, 0, 16 },
		{ { .action = DISK_PREEMPT_AND_ABORT, .type = 2 },
		  0x11, 0x202, 0, 16 },
		{ { .action = DISK_RELEASE, .type = 3 }, 0x15, 0x300, 0, 8 },
		{ { .action = DISK_CLEAR, .type = 3 }, 0x15, 1, 0, 8 },
		{ { .action = DISK_REPORT }, 0x0e, 527, 1, 2112 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct reservation_command c;
		struct reservation_keys keys;

		assert_int_equal(reservation_check(&info, &want[i].r), 0);
		reservation_encode(&want[i].r, &c, &keys);
		assert_int_equal(c.opcode, want[i].opcode);
		assert_int_equal(c.cdw10, want[i].cdw10);
		assert_int_equal(c.cdw11, want[i].cdw11);
		assert_int_equal(c.bytes, want[i].bytes);
	}
}

static void keys_are_little_endian(void **state)
{
	static const uint8_t want[16] = { 8, 7, 6, 5, 4, 3, 2, 1, 0xa };
	struct disk_reservation r = { .action = DISK_REPLACE,
				      .key = 0x0102030405060708,
				      .new_key = 0xa };
	struct reservation_command c;
	struct reservation_keys keys;

	(void)state;
	reservation_encode(&r, &c, &keys);
	assert_memory_equal(&keys, want, 16);
}

static void what_the_disk_does_not_know(void **state)
{
	struct disk_info poor = { .reservation_types = 1 << 1 };
	struct disk_reservation r = { .action = DISK_RESERVE, .type = 2 };

	(void)state;
	assert_int_equal(reservation_check(&info, &r), DISK_OK);
	assert_int_equal(reservation_check(&poor, &r), DISK_INVALID);
	r.type = 0;
	assert_int_equal(reservation_check(&info, &r), DISK_INVALID);
	r.type = 7;
	assert_int_equal(reservation_check(&info, &r), DISK_INVALID);
	r.type = 200;
	assert_int_equal(reservation_check(&info, &r), DISK_INVALID);
	r = (struct disk_reservation){ .action = DISK_REPORT + 1 };
	assert_int_equal(reservation_check(&info, &r), DISK_INVALID);
	r = (struct disk_reservation){ .action = DISK_REGISTER,
				       .set_persist = true, .persist = true };
	assert_int_equal(reservation_check(&poor, &r), DISK_INVALID);
	r.persist = false;
	assert_int_equal(reservation_check(&poor, &r), DISK_OK);
	r.action = DISK_CLEAR;
	assert_int_equal(reservation_check(&info, &r), DISK_INVALID);
	r = (struct disk_reservation){ .action = DISK_RESERVE, .type = 1,
				       .ignore_key = true };
	assert_int_equal(reservation_check(&info, &r), DISK_INVALID);
	assert_int_equal(reservation_check(&info, NULL), DISK_INVALID);
}

/* More registrants than there is room for, and a type that is none. */
static void a_report_is_not_believed(void **state)
{
	static uint8_t report[RESERVATION_REPORT_SIZE];
	struct disk_reservation r = { .action = DISK_REPORT };

	(void)state;
	memset(report, 0xff, sizeof(report));
	memcpy(report + 64 + 64 * 31 + 16, us, 16);
	reservation_decode(report, us, &r);
	assert_int_equal(r.nr_registrants, 65535);
	assert_int_equal(r.type, DISK_RESERVED_NONE);
	assert_true(r.registrant[31].self);
	assert_false(r.registrant[30].self);
	memset(report, 0, sizeof(report));
	report[5] = 1;
	report[4] = 6;
	report[64 + 8] = 9;
	reservation_decode(report, us, &r);
	assert_int_equal(r.nr_registrants, 1);
	assert_int_equal(r.type, DISK_EXCLUSIVE_ACCESS_ALL);
	assert_int_equal(r.registrant[0].key, 9);
	assert_int_equal(r.registrant[31].key, 0);
}

static void a_command_carries_it(void **state)
{
	static uint8_t entry[128] __attribute__((aligned(8)));
	const struct command_target target = { 5, 7 };
	const struct reservation_command c = { 0x0e, 0x11223344, 1, 2112 };
	uint32_t word;
	uint64_t at;

	(void)state;
	command_reservation((struct io_uring_sqe *)entry, &target, &c, entry);
	assert_int_equal(entry[48], 0x0e);
	memcpy(&word, entry + 48 + 40, 4);
	assert_int_equal(word, 0x11223344);
	memcpy(&word, entry + 48 + 44, 4);
	assert_int_equal(word, 1);
	memcpy(&word, entry + 48 + 36, 4);
	assert_int_equal(word, 2112);
	memcpy(&at, entry + 48 + 24, 8);
	assert_int_equal(at, (uintptr_t)entry);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions),
		cmocka_unit_test(keys_are_little_endian),
		cmocka_unit_test(what_the_disk_does_not_know),
		cmocka_unit_test(a_report_is_not_believed),
		cmocka_unit_test(a_command_carries_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
