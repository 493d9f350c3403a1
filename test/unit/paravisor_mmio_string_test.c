/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/mmio.c paravisor/mmio_operand.c paravisor/mmio_alu.c paravisor/mmio_string.c test/unit/mmio_vp.c */
/*
 * String instructions between a device, RAM and a port: every form, both
 * directions, each size of address, the end of a page, and page faults.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mmio_vp.h"

#define DF 0x400u
#define ZF 0x40u
#define CF 0x01u

static void store_and_load(void **state)
{
	(void)state;
	vp.gp[RAX] = 0x44332211;
	vp.gp[RDI] = 0x1000;
	assert_done("\xab"); /* stosd */
	assert_true(device() == 0x44332211);
	assert_true(vp.gp[RDI] == 0x1004);
	vp.rip = RIP;
	vp.gp[RCX] = 3;
	assert_done("\xf3\xaa"); /* rep stosb */
	assert_true(device() == 0x44111111);
	assert_true(vp.gp[RDI] == 0x1007 && vp.gp[RCX] == 0);
	/* Backwards, 64 bits. */
	vp.rip = RIP;
	vp.gp[RCX] = 2;
	vp.gp[RDI] = 0x1010;
	vp.rflags = DF;
	assert_done("\xf3\x48\xab"); /* rep stosq */
	assert_true(device() == 0x44332211);
	assert_true(!memcmp(vp.page + 8, "\x11\x22\x33\x44\0\0\0\0", 8));
	assert_true(vp.gp[RDI] == 0x1000);
	vp.rip = RIP;
	vp.rflags = 0;
	vp.gp[RSI] = 0x2000;
	assert_done("\x66\xad"); /* lodsw */
	assert_true(vp.gp[RAX] == 0x44332211);
	assert_true(vp.gp[RSI] == 0x2002);
}

/* A long repetition stops at the end of the page, and goes on there. */
static void stops_at_the_page(void **state)
{
	(void)state;
	vp.gp[RAX] = 0xab;
	vp.gp[RCX] = 1000000;
	vp.gp[RDI] = 0x7ffe;
	assert_int_equal(emulate_at(MMIO_CODE_64, PAGE + 0xffe, "\xf3\xaa", 2),
			 0);
	assert_true(vp.rip == RIP);
	assert_int_equal(vp.writes, 2);
	assert_true(vp.gp[RCX] == 999998 && vp.gp[RDI] == 0x8000);
}

static void moves_from_a_device(void **state)
{
	(void)state;
	memcpy(vp.page, "0123456789abcdef", 16);
	vp.gp[RSI] = DEVICE_GVA + 4;
	vp.gp[RDI] = RAM_GVA + 0x100;
	vp.gp[RCX] = 2;
	assert_done("\xf3\xa5"); /* rep movsd */
	assert_memory_equal(vp.ram + 0x100, "456789ab\0", 9);
	assert_true(vp.gp[RSI] == DEVICE_GVA + 12);
	assert_true(vp.gp[RDI] == RAM_GVA + 0x108 && vp.gp[RCX] == 0);
	assert_int_equal(vp.reads, 2);
	assert_int_equal(vp.last_size, 4);
	/* Without the prefix RCX means nothing. */
	vp.rip = RIP;
	vp.gp[RCX] = 0;
	assert_done("\x48\xa5"); /* movsq */
	assert_memory_equal(vp.ram + 0x108, "cdef", 4);
	assert_true(vp.gp[RCX] == 0 && vp.gp[RDI] == RAM_GVA + 0x110);
}

static void moves_to_a_device_backwards(void **state)
{
	(void)state;
	memcpy(vp.ram, "ABCDEFGH", 8);
	vp.gp[RSI] = RAM_GVA + 6;
	vp.gp[RDI] = DEVICE_GVA + 0x22;
	vp.gp[RCX] = 3;
	vp.rflags = DF;
	assert_done("\xf3\x66\xa5"); /* rep movsw */
	assert_memory_equal(vp.page + 0x1e, "CDEFGH", 6);
	assert_true(vp.gp[RSI] == RAM_GVA && vp.gp[RDI] == DEVICE_GVA + 0x1c);
	assert_int_equal(vp.writes, 3);
	/* Down to the first element of the page, and no further. */
	vp.rip = RIP;
	vp.gp[RSI] = RAM_GVA + 0x1010;
	vp.gp[RDI] = DEVICE_GVA + 2;
	vp.gp[RCX] = 9;
	vp.writes = 0;
	assert_int_equal(emulate("\xf3\x66\xa5"), 0);
	assert_true(vp.rip == RIP && vp.gp[RCX] == 7);
	assert_int_equal(vp.writes, 2);
}

static void moves_between_devices(void **state)
{
	(void)state;
	memcpy(vp.page, "01234567", 8);
	vp.gp[RSI] = DEVICE_GVA;
	vp.gp[RDI] = DEVICE_GVA + 0x40;
	assert_done("\xa4"); /* movsb */
	assert_int_equal(vp.page[0x40], '0');
	assert_int_equal(vp.reads, 1);
	assert_int_equal(vp.writes, 1);
}

/* RAM may be unaligned: the element that crosses a page goes by itself. */
static void moves_across_pages_of_ram(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		vp.page[i] = (uint8_t)(i + 1);
	vp.gp[RSI] = DEVICE_GVA;
	vp.gp[RDI] = RAM_GVA + 0xff6;
	vp.gp[RCX] = 4;
	assert_int_equal(emulate("\xf3\x48\xa5"), 0); /* rep movsq */
	assert_true(vp.rip == RIP && vp.gp[RCX] == 3);
	assert_int_equal(emulate("\xf3\x48\xa5"), 0); /* the crossing one */
	assert_true(vp.rip == RIP && vp.gp[RCX] == 2);
	assert_done("\xf3\x48\xa5");
	assert_memory_equal(vp.ram + 0xff6, vp.page, 32);
	assert_true(vp.gp[RDI] == RAM_GVA + 0x1016);
	/* The way back. */
	vp.rip = RIP;
	vp.gp[RSI] = RAM_GVA + 0xffd;
	vp.gp[RDI] = DEVICE_GVA + 0x80;
	assert_done("\xa5");
	assert_memory_equal(vp.page + 0x80, vp.ram + 0xffd, 4);
	/* A device does not cross. */
	reset(NULL);
	vp.gp[RSI] = RAM_GVA;
	vp.gp[RDI] = DEVICE_GVA + 0xffd;
	assert_int_equal(emulate("\xa5"), -EFAULT); /* nothing behind it */
	assert_int_equal(emulate_at(MMIO_CODE_64, PAGE + 0xffd, "\xab", 1),
			 -EOPNOTSUPP);
	assert_int_equal(vp.writes, 0);
}

static void faults_find_nothing_done(void **state)
{
	uint64_t after = RAM_GVA + RAM_PAGES * 4096;

	(void)state;
	vp.gp[RSI] = DEVICE_GVA;
	vp.gp[RDI] = after;
	vp.gp[RCX] = 5;
	assert_refused("\xf3\xa4", -EFAULT);
	assert_true(vp.fault_gva == after && vp.fault_write);
	assert_true(vp.gp[RCX] == 5);
	/* Up to the bad page first, then the fault. */
	vp.gp[RDI] = after - 2;
	assert_int_equal(emulate("\xf3\xa4"), 0);
	assert_true(vp.rip == RIP && vp.gp[RCX] == 3);
	vp.reads = 0;
	assert_refused("\xf3\xa4", -EFAULT);
	/* An element half in it: the address is that of the second half. */
	vp.gp[RDI] = after - 2;
	assert_refused("\xa5", -EFAULT);
	assert_true(vp.fault_gva == after);
	/* The source is looked at first, for reading. */
	vp.gp[RSI] = after + 8;
	vp.gp[RDI] = after;
	assert_refused("\xa5", -EFAULT);
	assert_true(vp.fault_gva == after + 8 && !vp.fault_write);
	vp.read_only = true;
	vp.gp[RSI] = DEVICE_GVA;
	vp.gp[RDI] = RAM_GVA;
	assert_refused("\xa5", -EFAULT);
	assert_true(vp.fault_gva == RAM_GVA && vp.fault_write);
}

static void segments(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		vp.base[i] = 0xbad0000;
	vp.base[MMIO_GS] = RAM_GVA;
	vp.ram[0x30] = 'g';
	vp.gp[RSI] = 0x30;
	vp.gp[RDI] = DEVICE_GVA;
	assert_done("\x65\xa4"); /* movsb from gs:[rsi]; es counts for nothing */
	assert_int_equal(vp.page[0], 'g');
	/* 16-bit code: seg:SI, and ES for the target whatever the prefix. */
	reset(NULL);
	vp.base[MMIO_FS] = LOW_GVA;
	vp.base[MMIO_ES] = LOW_GVA + 0x1000;
	vp.ram[0x40] = 'f';
	vp.gp[RSI] = 0x7777777777770040ull;
	vp.gp[RDI] = 0x7777777777770020ull;
	vp.gp[RCX] = 0x7777777777770001ull;
	vp.rip = 0x100;
	assert_int_equal(emulate_at(MMIO_CODE_16, GPA, "\xf3\x64\xa4", 3), 0);
	assert_int_equal(vp.ram[0x1020], 'f');
	assert_true(vp.gp[RSI] == 0x7777777777770041ull);
	assert_true(vp.gp[RDI] == 0x7777777777770021ull);
	assert_true(vp.gp[RCX] == 0x7777777777770000ull);
	assert_true(vp.rip == 0x103);
	/* 32-bit addresses wrap at 4 GiB. */
	reset(NULL);
	vp.base[MMIO_DS] = 0xffff0000;
	vp.base[MMIO_ES] = LOW_GVA;
	vp.ram[0x7] = 'd';
	vp.gp[RSI] = LOW_GVA + 0x10007;
	vp.gp[RDI] = 0x10;
	assert_int_equal(emulate32("\xa4"), 0);
	assert_int_equal(vp.ram[0x10], 'd');
}

/* The address size, not the mode, says how wide RCX, RSI and RDI are. */
static void address_sizes(void **state)
{
	(void)state;
	vp.base[MMIO_DS] = vp.base[MMIO_ES] = LOW_GVA;
	vp.gp[RSI] = 0xffffffff00000010ull;
	vp.gp[RDI] = 0xffffffff00000100ull;
	vp.gp[RCX] = 0xffffffff00000002ull;
	vp.rip = 0x100;
	assert_int_equal(emulate_at(MMIO_CODE_16, GPA, "\xf3\x67\xa4", 3), 0);
	assert_true(vp.gp[RSI] == 0x12 && vp.gp[RDI] == 0x102 && !vp.gp[RCX]);
	/* A 16-bit index wraps before the page ends. */
	reset(NULL);
	vp.base[MMIO_DS] = LOW_GVA - 0xf000;
	vp.base[MMIO_ES] = LOW_GVA - 0xfff0;
	vp.gp[RSI] = 0xf000;
	vp.gp[RDI] = 0xfffe;
	vp.gp[RCX] = 8;
	assert_int_equal(emulate_at(MMIO_CODE_16, GPA, "\xf3\xa4", 2), 0);
	assert_true(vp.gp[RCX] == 6);
	assert_true((vp.gp[RDI] & 0xffff) == 0);
	/* Nothing to do: no address is even looked at. */
	reset(NULL);
	vp.gp[RCX] = 0;
	vp.gp[RSI] = vp.gp[RDI] = 0;
	assert_done("\xf3\xa4");
	assert_true(!vp.fault_gva && !vp.gp[RCX]);
}

static void scans(void **state)
{
	(void)state;
	memcpy(vp.page + 0x10, "aaab", 4);
	vp.gp[RAX] = 'b';
	vp.gp[RCX] = 10;
	vp.gp[RDI] = 0x1000;
	assert_done("\xf2\xae"); /* repne scasb */
	assert_true(vp.gp[RCX] == 6 && vp.gp[RDI] == 0x1004);
	assert_int_equal(vp.rflags & (ZF | CF), ZF);
	vp.rip = RIP;
	vp.gp[RAX] = 'a';
	vp.gp[RCX] = 3;
	assert_done("\xf3\xae"); /* repe scasb: all three are equal */
	assert_true(vp.gp[RCX] == 0);
	assert_int_equal(vp.rflags & ZF, ZF);
	assert_int_equal(vp.writes, 0);
}

static void compares(void **state)
{
	(void)state;
	memcpy(vp.page, "abcdefgh", 8);
	memcpy(vp.ram, "abcdeFgh", 8);
	vp.gp[RSI] = RAM_GVA;
	vp.gp[RDI] = DEVICE_GVA;
	vp.gp[RCX] = 8;
	assert_done("\xf3\xa6"); /* repe cmpsb */
	assert_true(vp.gp[RCX] == 2);
	assert_true(vp.gp[RSI] == RAM_GVA + 6 && vp.gp[RDI] == DEVICE_GVA + 6);
	assert_int_equal(vp.rflags & (ZF | CF), CF); /* 'F' < 'f' */
	vp.rip = RIP;
	assert_done("\xa7"); /* cmpsd, once */
	assert_true(vp.gp[RSI] == RAM_GVA + 10);
	assert_int_equal(vp.writes, 0);
}

/* ---- INS and OUTS ---- */

static void port_in(void **state)
{
	(void)state;
	vp.next = 0x11223340;
	vp.gp[RDI] = RAM_GVA + 8;
	assert_int_equal(port(MMIO_CODE_64, "\x6d"), 0); /* insd */
	assert_true(vp.rip == RIP + 1 && vp.gp[RDI] == RAM_GVA + 12);
	assert_memory_equal(vp.ram + 8, "\x40\x33\x22\x11\0", 5);
	assert_int_equal(vp.port_size, 4);
	/* rep insw, backwards */
	vp.rip = RIP;
	vp.rflags = DF;
	vp.gp[RDI] = RAM_GVA + 0x104;
	vp.gp[RCX] = 3;
	assert_int_equal(port(MMIO_CODE_64, "\xf3\x66\x6d"), 0);
	assert_true(vp.rip == RIP + 3 && vp.gp[RCX] == 0);
	assert_true(vp.gp[RDI] == RAM_GVA + 0xfe);
	assert_memory_equal(vp.ram + 0x100, "\x43\x33\x42\x33\x41\x33", 6);
	/* REX.W changes nothing. */
	vp.rip = RIP;
	vp.rflags = 0;
	vp.gp[RDI] = RAM_GVA;
	assert_int_equal(port(MMIO_CODE_64, "\x48\x6d"), 0);
	assert_true(vp.gp[RDI] == RAM_GVA + 4);
	assert_int_equal(vp.port_size, 4);
}

static void port_out(void **state)
{
	(void)state;
	memcpy(vp.ram + 0xffc, "hello, port", 11);
	vp.gp[RSI] = RAM_GVA + 0xffc;
	vp.gp[RCX] = 11;
	/* The page ends after four. */
	assert_int_equal(port(MMIO_CODE_64, "\xf3\x6e"), 0);
	assert_true(vp.rip == RIP && vp.gp[RCX] == 7);
	assert_int_equal(vp.puts, 4);
	assert_int_equal(port(MMIO_CODE_64, "\xf3\x6e"), 0);
	assert_true(vp.rip == RIP + 2 && vp.gp[RCX] == 0);
	assert_int_equal(vp.puts, 11);
	for (unsigned int i = 0; i < 11; i++)
		assert_int_equal(vp.put[i], "hello, port"[i]);
	/* A word that crosses the page, and one from another segment. */
	vp.rip = RIP;
	vp.gp[RSI] = RAM_GVA + 0xfff;
	assert_int_equal(port(MMIO_CODE_64, "\x66\x6f"), 0);
	assert_int_equal(vp.put[11], 'l' | 'o' << 8);
	vp.rip = RIP;
	vp.base[MMIO_FS] = RAM_GVA;
	vp.gp[RSI] = 0x1000;
	assert_int_equal(port(MMIO_CODE_64, "\x64\x6f"), 0);
	assert_int_equal(vp.put[12], 'o' | ',' << 8 | ' ' << 16 | 'p' << 24);
}

static void port_address_sizes(void **state)
{
	static const struct {
		enum mmio_mode mode;
		const char *code;
		size_t size;
		uint64_t rdi, rcx, next_rdi, next_rcx;
	} forms[] = {
		{ MMIO_CODE_16, "\xf3\x6c", 2, 0xaaaaaaaaaaaa0010,
		  0xbbbbbbbbbbbb0002, 0xaaaaaaaaaaaa0012, 0xbbbbbbbbbbbb0000 },
		{ MMIO_CODE_16, "\x67\xf3\x6c", 3, 0xaaaaaaaa00000010,
		  0xbbbbbbbb00000002, 0x12, 0 },
		{ MMIO_CODE_32, "\xf3\x6c", 2, 0xaaaaaaaa00000010,
		  0xbbbbbbbb00000002, 0x12, 0 },
		{ MMIO_CODE_32, "\x67\xf3\x6c", 3, 0xaaaaaaaaaaaa0010,
		  0xbbbbbbbbbbbb0002, 0xaaaaaaaaaaaa0012, 0xbbbbbbbbbbbb0000 },
		{ MMIO_CODE_64, "\x67\xf3\x6c", 3, 0xaaaaaaaa00030010,
		  0xbbbbbbbb00000002, 0x30012, 0 },
		{ MMIO_CODE_64, "\xf2\x6c", 2, RAM_GVA, 2, RAM_GVA + 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		reset(NULL);
		vp.base[MMIO_ES] = LOW_GVA;
		vp.rip = 0x200;
		vp.gp[RDI] = forms[i].rdi;
		vp.gp[RCX] = forms[i].rcx;
		assert_int_equal(emulate_port(forms[i].mode, forms[i].code,
					      forms[i].size), 0);
		assert_true(vp.gp[RDI] == forms[i].next_rdi);
		assert_true(vp.gp[RCX] == forms[i].next_rcx);
		assert_true(vp.rip == 0x200 + forms[i].size);
		assert_int_equal(vp.gets, 2);
	}
}

static void port_faults_find_nothing_done(void **state)
{
	(void)state;
	vp.gp[RDI] = RAM_GVA + RAM_PAGES * 4096;
	vp.gp[RCX] = 5;
	assert_int_equal(port(MMIO_CODE_64, "\xf3\x6c"), -EFAULT);
	assert_int_equal(vp.gets, 0); /* no byte of the device is lost */
	assert_true(vp.fault_write && vp.gp[RCX] == 5 && vp.rip == RIP);
	vp.gp[RSI] = vp.gp[RDI];
	assert_int_equal(port(MMIO_CODE_64, "\x6e"), -EFAULT);
	assert_int_equal(vp.puts, 0);
	assert_false(vp.fault_write);
	/* Into a device's registers. */
	vp.gp[RDI] = DEVICE_GVA + 4;
	vp.next = 'x';
	assert_int_equal(port(MMIO_CODE_64, "\x6c"), 0);
	assert_int_equal(vp.page[4], 'x');
}

static void port_takes_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(port(MMIO_CODE_64, "\xee"), -EOPNOTSUPP); /* out */
	assert_int_equal(port(MMIO_CODE_64, "\xa4"), -EOPNOTSUPP);
	assert_int_equal(port(MMIO_CODE_64, "\x89\x03"), -EOPNOTSUPP);
	assert_int_equal(port(MMIO_CODE_64, "\xf3"), -EINVAL);
	assert_int_equal(port(MMIO_CODE_64, "\xf0\x6c"), -EINVAL); /* lock */
	assert_true(vp.rip == RIP && !vp.puts && !vp.gets && !vp.writes);
}

/* One exit does a page at most, at whatever count. */
static void work_is_bounded(void **state)
{
	(void)state;
	vp.gp[RSI] = RAM_GVA;
	vp.gp[RCX] = UINT64_MAX;
	assert_int_equal(port(MMIO_CODE_64, "\xf3\x6e"), 0);
	assert_int_equal(vp.puts, 4096);
	assert_true(vp.rip == RIP);
	assert_true(vp.gp[RCX] == UINT64_MAX - 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(store_and_load, reset),
		cmocka_unit_test_setup(stops_at_the_page, reset),
		cmocka_unit_test_setup(moves_from_a_device, reset),
		cmocka_unit_test_setup(moves_to_a_device_backwards, reset),
		cmocka_unit_test_setup(moves_between_devices, reset),
		cmocka_unit_test_setup(moves_across_pages_of_ram, reset),
		cmocka_unit_test_setup(faults_find_nothing_done, reset),
		cmocka_unit_test_setup(segments, reset),
		cmocka_unit_test_setup(address_sizes, reset),
		cmocka_unit_test_setup(scans, reset),
		cmocka_unit_test_setup(compares, reset),
		cmocka_unit_test_setup(port_in, reset),
		cmocka_unit_test_setup(port_out, reset),
		cmocka_unit_test_setup(port_address_sizes, reset),
		cmocka_unit_test_setup(port_faults_find_nothing_done, reset),
		cmocka_unit_test_setup(port_takes_nothing_else, reset),
		cmocka_unit_test_setup(work_is_bounded, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
