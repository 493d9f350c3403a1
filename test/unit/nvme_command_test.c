/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/command.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/ioctl.h>

#include "nvme/command.h"

/*
 * What the kernel reads is spelled out here once more, by offset: struct
 * io_uring_sqe in linux/io_uring.h, and struct nvme_uring_cmd in
 * linux/nvme_ioctl.h.
 */
#define OPCODE 0
#define FD 4
#define CMD_OP 8
#define CMD_FLAGS 28
#define BUF_INDEX 40
#define CMD 48 /* the passthrough command */
#define URING_CMD 46

static uint8_t entry[128] __attribute__((aligned(8)));
static struct io_uring_sqe *const sqe = (struct io_uring_sqe *)entry;
static const struct command_target target = { .fd = 7, .nsid = 0x01020304 };

static int clear(void **state)
{
	(void)state;
	memset(entry, 0, sizeof(entry));
	return 0;
}

static uint32_t dword(unsigned int offset)
{
	uint32_t v;

	memcpy(&v, entry + CMD + offset, sizeof(v));
	return v;
}

static uint64_t qword(unsigned int offset)
{
	return dword(offset) | (uint64_t)dword(offset + 4) << 32;
}

static uint32_t head(unsigned int offset, unsigned int bytes)
{
	uint32_t v = 0;

	memcpy(&v, entry + offset, bytes);
	return v;
}

static unsigned int ioctl_number(void)
{
	uint32_t cmd_op = head(CMD_OP, 4);

	assert_int_equal(_IOC_TYPE(cmd_op), 'N');
	assert_int_equal(_IOC_SIZE(cmd_op), 72);
	return _IOC_NR(cmd_op);
}

static void a_read_in_one_piece(void **state)
{
	static uint8_t block[512];
	struct iovec iov = { block, sizeof(block) };
	struct command_data data = { &iov, 1, 3 };

	(void)state;
	command_transfer(sqe, &target, DISK_READ, true, 0x1122334455667788,
			 1, &data);
	assert_int_equal(head(OPCODE, 2), URING_CMD); /* and no flags */
	assert_int_equal(head(FD, 4), 7);
	assert_int_equal(ioctl_number(), 0x80);
	assert_int_equal(head(CMD_FLAGS, 4), 1); /* fixed buffer */
	assert_int_equal(head(BUF_INDEX, 2), 3);
	assert_int_equal(dword(0), 0x02); /* opcode; flags are 0 */
	assert_int_equal(dword(4), 0x01020304);
	assert_int_equal(qword(24), (uintptr_t)block);
	assert_int_equal(dword(36), 512);
	assert_int_equal(dword(40), 0x55667788);
	assert_int_equal(dword(44), 0x11223344);
	assert_int_equal(dword(48), 0); /* NLB 0-based; no FUA on reads */
	assert_int_equal(dword(64), 0); /* the kernel's timeout */
}

static void a_write_in_pieces(void **state)
{
	static uint8_t block[65536];
	struct iovec iov[3] = { { block, 4096 },
				{ block + 8192, 8192 },
				{ block + 32768, 20480 } };
	struct command_data data = { iov, 3, 0 };

	(void)state;
	command_transfer(sqe, &target, DISK_WRITE, true, 5, 64, &data);
	assert_int_equal(ioctl_number(), 0x81);
	assert_int_equal(head(CMD_FLAGS, 4), 1);
	assert_int_equal(dword(0), 0x01);
	assert_int_equal(qword(24), (uintptr_t)iov);
	assert_int_equal(dword(36), 3);
	assert_int_equal(dword(48), 63 | 1u << 30);
}

static void memory_that_is_not_registered(void **state)
{
	static uint8_t block[4096];
	struct iovec iov = { block, sizeof(block) };
	struct command_data data = { &iov, 1, -1 };

	(void)state;
	command_transfer(sqe, &target, DISK_WRITE, false, 0, 65536, &data);
	assert_int_equal(head(CMD_FLAGS, 4), 0);
	assert_int_equal(head(BUF_INDEX, 2), 0);
	assert_int_equal(dword(48), 0xffff);
}

static void a_flush_has_no_data(void **state)
{
	(void)state;
	command_flush(sqe, &target);
	assert_int_equal(ioctl_number(), 0x80);
	assert_int_equal(dword(0), 0);
	assert_int_equal(dword(4), 0x01020304);
	for (unsigned int at = 8; at < 72; at += 4)
		assert_int_equal(dword(at), 0);
}

static void a_discard_is_one_range(void **state)
{
	static const uint8_t want[16] = { 0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12,
					  9, 0, 0, 0, 1 };
	struct nvme_dsm_range range;

	(void)state;
	memset(&range, 0xff, sizeof(range));
	command_discard(sqe, &target, &range, 0x100000009, 0x12345678);
	assert_int_equal(dword(0), 0x09);
	assert_int_equal(dword(40), 0);	     /* NR, zero-based */
	assert_int_equal(dword(44), 1 << 2); /* AD */
	assert_int_equal(qword(24), (uintptr_t)&range);
	assert_int_equal(dword(36), 16);
	assert_memory_equal(&range, want, 16);
}

static void zeroes_have_a_length_only(void **state)
{
	(void)state;
	command_zeroes(sqe, &target, 0x100000009, 65536, false);
	assert_int_equal(dword(0), 0x08);
	assert_int_equal(dword(40), 9);
	assert_int_equal(dword(44), 1);
	assert_int_equal(dword(48), 0xffff);
	assert_int_equal(dword(36), 0);
}

static void zeroes_may_be_holes(void **state)
{
	(void)state;
	command_zeroes(sqe, &target, 9, 1, true);
	assert_int_equal(dword(48), 1u << 25); /* DEAC */
}

static void a_compare_has_data_and_no_fua(void **state)
{
	static uint8_t block[512];
	struct iovec iov = { block, sizeof(block) };
	struct command_data data = { &iov, 1, 2 };

	(void)state;
	command_transfer(sqe, &target, DISK_COMPARE, true, 9, 1, &data);
	assert_int_equal(dword(0), 0x05);
	assert_int_equal(dword(48), 0);
	assert_int_equal(dword(36), 512);
	assert_int_equal(head(BUF_INDEX, 2), 2);
}

static void a_verify_has_no_data(void **state)
{
	(void)state;
	command_verify(sqe, &target, 0x100000009, 8);
	assert_int_equal(dword(0), 0x0c);
	assert_int_equal(qword(40), 0x100000009);
	assert_int_equal(dword(48), 7);
	assert_int_equal(qword(24), 0);
	assert_int_equal(dword(36), 0);
}

static void who_we_are_is_128_bits(void **state)
{
	static uint8_t id[16];

	(void)state;
	command_host_id(sqe, 9, id);
	assert_int_equal(head(FD, 4), 9);
	assert_int_equal(ioctl_number(), 0x82);
	assert_int_equal(dword(0), 0x09);
	assert_int_equal(dword(4), 0); /* of the controller */
	assert_int_equal(qword(24), (uintptr_t)id);
	assert_int_equal(dword(36), 16);
	assert_int_equal(dword(40), 0x81);
	assert_int_equal(dword(44), 1);
	assert_int_equal(dword(64), 5000);
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_read_in_one_piece),
		TEST(a_write_in_pieces),
		TEST(memory_that_is_not_registered),
		TEST(a_flush_has_no_data),
		TEST(a_discard_is_one_range),
		TEST(zeroes_have_a_length_only),
		TEST(zeroes_may_be_holes),
		TEST(a_compare_has_data_and_no_fua),
		TEST(a_verify_has_no_data),
		TEST(who_we_are_is_128_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
