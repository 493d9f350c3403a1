/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/mmio.c paravisor/mmio_operand.c paravisor/mmio_alu.c paravisor/mmio_string.c test/unit/mmio_vp.c */
/*
 * MMIO emulation against a device of one page of memory. The expected results
 * of arithmetic come from the processor that runs the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mmio_vp.h"

static void moves_write(void **state)
{
	(void)state;
	set_device(UINT64_MAX);
	vp.gp[RAX] = 0x8877665544332211ull;
	assert_done("\x89\x03"); /* mov [rbx], eax */
	assert_true(device() == 0xffffffff44332211ull);
	vp.rip = RIP;
	assert_done("\x48\x89\x43\x10"); /* mov [rbx+16], rax */
	assert_true(device() == 0x8877665544332211ull);
	vp.rip = RIP;
	assert_done("\x88\x23"); /* mov [rbx], ah */
	assert_true(device() == 0x8877665544332222ull);
	vp.rip = RIP;
	assert_done("\x66\x44\x89\x03"); /* mov [rbx], r8w */
	assert_true(device() == 0x8877665544338888ull);
	vp.rip = RIP;
	/* mov dword [rip+4], 5: an immediate behind the address */
	assert_done("\xc7\x05\x04\x00\x00\x00\x05\x00\x00\x00");
	assert_true(device() == 0x8877665500000005ull);
	vp.rip = RIP;
	assert_done("\x48\xc7\x03\xff\xff\xff\xff"); /* mov qword [rbx], -1 */
	assert_true(device() == UINT64_MAX);
	assert_int_equal(vp.reads, 0);
}

static void moves_read(void **state)
{
	(void)state;
	set_device(0xf8e7d6c5b4a39281ull);
	assert_done("\x8b\x03"); /* mov eax, [rbx] */
	assert_true(vp.gp[RAX] == 0xb4a39281ull);
	vp.rip = RIP;
	assert_done("\x66\x8b\x0b"); /* mov cx, [rbx] */
	assert_true(vp.gp[RCX] == 0x1111111111119281ull);
	vp.rip = RIP;
	assert_done("\x8a\x33"); /* mov dh, [rbx] */
	assert_true(vp.gp[RDX] == 0x2222222222228122ull);
	vp.rip = RIP;
	assert_done("\x4c\x8b\x0b"); /* mov r9, [rbx] */
	assert_true(vp.gp[R9] == 0xf8e7d6c5b4a39281ull);
	vp.rip = RIP;
	/* mov eax, [moffs64] */
	assert_done("\xa1\x10\x00\xc0\xfe\x00\x00\x00\x00");
	assert_true(vp.gp[RAX] == 0xb4a39281ull);
	assert_int_equal(vp.writes, 0);
	assert_int_equal(vp.reads, 5);
}

static void extensions(void **state)
{
	(void)state;
	set_device(0xf8e7d6c5b4a39281ull);
	assert_done("\x0f\xb6\x03"); /* movzx eax, byte [rbx] */
	assert_true(vp.gp[RAX] == 0x81);
	assert_int_equal(vp.last_size, 1);
	vp.rip = RIP;
	assert_done("\x48\x0f\xbf\x03"); /* movsx rax, word [rbx] */
	assert_true(vp.gp[RAX] == 0xffffffffffff9281ull);
	vp.rip = RIP;
	assert_done("\x0f\xbe\x03"); /* movsx eax, byte [rbx] */
	assert_true(vp.gp[RAX] == 0xffffff81ull);
	vp.rip = RIP;
	assert_done("\x48\x63\x03"); /* movsxd rax, dword [rbx] */
	assert_true(vp.gp[RAX] == 0xffffffffb4a39281ull);
}

#define STATUS_FLAGS 0x8d5u
#define FLAG_AF 0x10u
#define MMIO_ZF_BIT 0x40u

/* What this processor makes of `op`; AF is undefined for logic. */
#define real(op, a, b, result, flags)                                      \
	__asm__("mov %[x], %%eax; " op " %[y], %%eax; pushfq; popq %[f]; " \
		"mov %%eax, %[r]"                                          \
		: [r] "=&r"(result), [f] "=&r"(flags)                      \
		: [x] "r"(a), [y] "r"(b)                                   \
		: "eax", "cc", "memory")

static void arithmetic_as_the_processor(void **state)
{
	static const uint32_t values[] = { 0, 1, 0xf, 0x10, 0x7f, 0x80, 0xff,
					   0x7fffffff, 0x80000000, 0xfffffff0,
					   0xffffffff };
	const unsigned int n = sizeof(values) / sizeof(values[0]);

	(void)state;
	for (unsigned int i = 0; i < n * n; i++) {
		uint32_t a = values[i / n], b = values[i % n], result;
		uint64_t flags;
		struct {
			const char *code;
			bool logic, writes;
		} op[] = {
			{ "\x01\x03", false, true },  /* add [rbx], eax */
			{ "\x29\x03", false, true },  /* sub [rbx], eax */
			{ "\x21\x03", true, true },   /* and [rbx], eax */
			{ "\x09\x03", true, true },   /* or [rbx], eax */
			{ "\x31\x03", true, true },   /* xor [rbx], eax */
			{ "\x39\x03", false, false }, /* cmp [rbx], eax */
			{ "\x85\x03", true, false },  /* test [rbx], eax */
			{ "\x11\x03", false, true },  /* adc, with CF */
			{ "\x19\x03", false, true },  /* sbb, with CF */
		};

		for (unsigned int o = 0; o < sizeof(op) / sizeof(op[0]); o++) {
			uint64_t care = STATUS_FLAGS;

			switch (o) {
			case 0: real("add", a, b, result, flags); break;
			case 1: real("sub", a, b, result, flags); break;
			case 2: real("and", a, b, result, flags); break;
			case 3: real("or", a, b, result, flags); break;
			case 4: real("xor", a, b, result, flags); break;
			case 5: real("cmp", a, b, result, flags); break;
			case 6: real("test", a, b, result, flags); break;
			case 7: real("stc; adc", a, b, result, flags); break;
			default: real("stc; sbb", a, b, result, flags); break;
			}
			if (op[o].logic)
				care &= ~(uint64_t)FLAG_AF;
			reset(NULL);
			set_device(a);
			vp.gp[RAX] = b;
			vp.rflags = o < 7 ? 0x602 : 0x603;
			assert_int_equal(emulate_at(MMIO_CODE_64, GPA,
						    op[o].code, 2), 0);
			assert_true(device() == result);
			assert_true((vp.rflags & care) == (flags & care));
			assert_int_equal(vp.rflags & ~STATUS_FLAGS, 0x602);
			assert_int_equal(vp.writes, op[o].writes);
		}
	}
}

static void one_operand(void **state)
{
	(void)state;
	set_device(0xff);
	vp.rflags = 0x3; /* CF survives inc */
	assert_done("\xfe\x03"); /* inc byte [rbx] */
	assert_true(device() == 0);
	assert_int_equal(vp.rflags & STATUS_FLAGS, 0x55); /* ZF PF AF CF */
	vp.rip = RIP;
	vp.rflags = 2;
	assert_done("\xfe\x0b"); /* dec byte [rbx] */
	assert_true(device() == 0xff);
	assert_int_equal(vp.rflags & STATUS_FLAGS, 0x94); /* SF PF AF */
	vp.rip = RIP;
	vp.rflags = 0x2;
	assert_done("\xf7\x13"); /* not dword [rbx] */
	assert_true(device() == 0xffffff00);
	assert_int_equal(vp.rflags, 0x2);
	vp.rip = RIP;
	assert_done("\xf7\x1b"); /* neg dword [rbx] */
	assert_true(device() == 0x100);
	assert_int_equal(vp.rflags & STATUS_FLAGS, 0x05); /* PF CF */
}

static void bits_and_exchange(void **state)
{
	(void)state;
	set_device(0x10);
	assert_done("\xf0\x0f\xba\x2b\x25"); /* lock bts dword [rbx], 37 */
	assert_true(device() == 0x30);
	assert_int_equal(vp.rflags & 1, 0);
	vp.rip = RIP;
	assert_done("\x0f\xba\x33\x04"); /* btr dword [rbx], 4 */
	assert_true(device() == 0x20);
	assert_int_equal(vp.rflags & 1, 1);
	vp.rip = RIP;
	assert_done("\x0f\xba\x23\x04"); /* bt dword [rbx], 4 */
	assert_int_equal(vp.rflags & 1, 0);
	vp.rip = RIP;
	vp.gp[RAX] = 0xdead000000000007ull;
	assert_done("\x87\x03"); /* xchg [rbx], eax */
	assert_true(device() == 7);
	assert_true(vp.gp[RAX] == 0x20);
	assert_int_equal(vp.locks, 2); /* xchg needs no prefix for it */
}

static void bit_numbers_in_registers(void **state)
{
	(void)state;
	/* The address is that of the word which has the bit: 37 mod 32. */
	set_device(0);
	vp.gp[RAX] = 37;
	assert_done("\xf0\x0f\xab\x03"); /* lock bts [rbx], eax */
	assert_true(device() == 0x20);
	assert_int_equal(vp.rflags & 1, 0);
	vp.rip = RIP;
	vp.gp[RAX] = -27ull; /* the same bit of another word */
	assert_done("\x48\x0f\xa3\x03"); /* bt [rbx], rax: bit 37 of 64 */
	assert_int_equal(vp.rflags & 1, 0);
	vp.rip = RIP;
	assert_done("\x0f\xb3\x03"); /* btr [rbx], eax */
	assert_true(device() == 0);
	assert_int_equal(vp.rflags & 1, 1);
	vp.rip = RIP;
	vp.gp[RAX] = 16 + 15;
	assert_done("\x66\x0f\xbb\x03"); /* btc [rbx], ax */
	assert_true(device() == 0x8000);
	assert_int_equal(vp.last_size, 2);
}

static void exchange_and_add(void **state)
{
	(void)state;
	set_device(0xffffffff00000010ull);
	vp.gp[RAX] = 0xdead0000fffffff0ull;
	assert_done("\xf0\x0f\xc1\x03"); /* lock xadd [rbx], eax */
	assert_true(device() == 0xffffffff00000000ull);
	assert_true(vp.gp[RAX] == 0x10); /* upper half cleared */
	assert_int_equal(vp.rflags & STATUS_FLAGS, 0x45); /* ZF PF CF */
	assert_int_equal(vp.locks, 1);
	vp.rip = RIP;
	vp.gp[RAX] = 0x7f00;
	set_device(0x01);
	assert_done("\x0f\xc0\x23"); /* xadd [rbx], ah */
	assert_true(device() == 0x80);
	assert_true(vp.gp[RAX] == 0x0100);
	assert_int_equal(vp.rflags & STATUS_FLAGS, 0x890); /* OF SF AF */
	assert_int_equal(vp.locks, 1); /* no prefix, no lock */
}

static void compare_and_exchange(void **state)
{
	(void)state;
	set_device(0x1111111100000007ull);
	vp.gp[RAX] = 0xdead000000000007ull;
	vp.gp[RCX] = 0x99;
	assert_done("\xf0\x0f\xb1\x0b"); /* lock cmpxchg [rbx], ecx */
	assert_true(device() == 0x1111111100000099ull);
	assert_true(vp.gp[RAX] == 0xdead000000000007ull);
	assert_int_equal(vp.rflags & STATUS_FLAGS, 0x44); /* ZF PF */
	vp.rip = RIP;
	assert_done("\xf0\x0f\xb1\x0b"); /* 7 is not 0x99 */
	assert_true(device() == 0x1111111100000099ull);
	assert_true(vp.gp[RAX] == 0x99);
	assert_int_equal(vp.rflags & MMIO_ZF_BIT, 0);
	assert_int_equal(vp.rflags & 1, 1); /* 7 < 0x99 */
	assert_int_equal(vp.writes, 2);
	vp.rip = RIP;
	vp.gp[RAX] = 0xffffffffffffff99ull;
	vp.gp[RCX] = 0x42;
	assert_done("\x0f\xb0\x0b"); /* cmpxchg [rbx], cl */
	assert_true(device() == 0x1111111100000042ull);
	assert_int_equal(vp.last_size, 1);
}

static void compare_and_exchange_8_bytes(void **state)
{
	(void)state;
	set_device(0x1122334455667788ull);
	vp.gp[RDX] = 0x11223344;
	vp.gp[RAX] = 0x55667788;
	vp.gp[RCX] = 0xaaaaaaaa;
	vp.gp[RBX] = 0xbbbbbbbb;
	vp.rflags = 1;
	assert_done("\xf0\x0f\xc7\x0e"); /* lock cmpxchg8b [rsi] */
	assert_true(device() == 0xaaaaaaaabbbbbbbbull);
	assert_int_equal(vp.rflags, 1 | MMIO_ZF_BIT); /* and no other */
	vp.rip = RIP;
	vp.gp[RDX] = UINT64_MAX;
	assert_done("\xf0\x0f\xc7\x0e");
	assert_true(device() == 0xaaaaaaaabbbbbbbbull);
	assert_true(vp.gp[RDX] == 0xaaaaaaaa && vp.gp[RAX] == 0xbbbbbbbb);
	assert_int_equal(vp.rflags, 1);
	assert_int_equal(vp.locks, 2);
}

static void bytes_swapped(void **state)
{
	(void)state;
	set_device(0x1122334455667788ull);
	assert_done("\x0f\x38\xf0\x03"); /* movbe eax, [rbx] */
	assert_true(vp.gp[RAX] == 0x88776655);
	vp.rip = RIP;
	vp.gp[RAX] = UINT64_MAX;
	assert_done("\x66\x0f\x38\xf0\x03"); /* movbe ax, [rbx] */
	assert_true(vp.gp[RAX] == 0xffffffffffff8877ull);
	vp.rip = RIP;
	vp.gp[RAX] = 0x0102030405060708ull;
	assert_done("\x48\x0f\x38\xf1\x03"); /* movbe [rbx], rax */
	assert_true(device() == 0x0807060504030201ull);
}

/* The forms that LOCK may stand before, each under the lock. */
static void locked_forms(void **state)
{
	static const struct {
		const char *code;
		size_t size;
		uint64_t result; /* of 0x0f with EAX = 3 and CF */
	} forms[] = {
		{ "\xf0\x01\x03", 3, 0x12 },	/* add */
		{ "\xf0\x11\x03", 3, 0x13 },	/* adc */
		{ "\xf0\x29\x03", 3, 0x0c },	/* sub */
		{ "\xf0\x19\x03", 3, 0x0b },	/* sbb */
		{ "\xf0\x21\x03", 3, 0x03 },	/* and */
		{ "\xf0\x09\x03", 3, 0x0f },	/* or */
		{ "\xf0\x31\x03", 3, 0x0c },	/* xor */
		{ "\xf0\xff\x03", 3, 0x10 },	/* inc */
		{ "\xf0\xff\x0b", 3, 0x0e },	/* dec */
		{ "\xf0\xf7\x13", 3, 0xfffffff0 }, /* not */
		{ "\xf0\xf7\x1b", 3, 0xfffffff1 }, /* neg */
		{ "\xf0\x83\x0b\x40", 4, 0x4f },	/* or dword, 0x40 */
		{ "\xf0\x87\x03", 3, 0x03 },	/* xchg */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		reset(NULL);
		set_device(0x0f);
		vp.gp[RAX] = 3;
		vp.rflags = 1;
		assert_int_equal(emulate_at(MMIO_CODE_64, GPA, forms[i].code,
					    forms[i].size), 0);
		assert_true(device() == forms[i].result);
		assert_int_equal(vp.locks, 1);
		assert_false(vp.locked);
		assert_int_equal(vp.reads, 1);
		assert_int_equal(vp.writes, 1);
	}
}

static void other_modes(void **state)
{
	(void)state;
	vp.rip = 0x7000;
	set_device(0x1234);
	assert_int_equal(emulate32("\xa1\x10\x00\xc0\xfe"), 0);
	assert_true(vp.gp[RAX] == 0x1234);
	assert_true(vp.rip == 0x7005);
	/* In 16-bit code the same opcode has other sizes. */
	vp.gp[RAX] = 0xffffffff;
	assert_int_equal(emulate_at(MMIO_CODE_16, GPA, "\xa1\x10\x00", 3), 0);
	assert_true(vp.gp[RAX] == 0xffff1234);
}

static void refusals(void **state)
{
	(void)state;
	assert_refused("\x0f\x04", -EINVAL); /* no instruction */
	assert_refused("\x48", -EINVAL);     /* cut short */
	assert_refused("", -EINVAL);
	assert_refused("\xf0\x8b\x03", -EINVAL); /* lock mov */
	assert_refused("\x6c", -EOPNOTSUPP);	 /* insb: not by its memory */
	assert_refused("\xc1\x23\x04", -EOPNOTSUPP); /* shl [rbx], 4 */
	assert_refused("\x48\x0f\xc7\x0b", -EOPNOTSUPP); /* cmpxchg16b */
	/* The names of MOVS and CMPS that are also vector instructions'. */
	assert_refused("\xf2\x0f\x10\x03", -EOPNOTSUPP);     /* movsd xmm */
	assert_refused("\xf2\x0f\xc2\x03\x00", -EOPNOTSUPP); /* cmpsd xmm */
	assert_refused("\xff\x33", -EOPNOTSUPP); /* push [rbx] */
	assert_refused("\xff\x13", -EOPNOTSUPP); /* call [rbx] */
	assert_refused("\x0f\x6f\x03", -EOPNOTSUPP); /* movq mm0, [rbx] */
	assert_refused("\x8e\x1b", -EOPNOTSUPP);     /* mov ds, [rbx] */
	assert_refused("\x89\xc3", -EOPNOTSUPP);     /* mov ebx, eax */
	/* An operand that crosses the page has two addresses as well. */
	assert_int_equal(emulate_at(MMIO_CODE_64, PAGE + 0xffe, "\x89\x03", 2),
			 -EOPNOTSUPP);
	assert_int_equal(vp.writes, 0);
}

/* No byte sequence may reach outside the page or the registers. */
static void any_bytes(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (unsigned int i = 0; i < 200000; i++) {
		char code[15];

		for (unsigned int n = 0; n < sizeof(code); n++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			code[n] = x;
		}
		vp.rip = RIP;
		emulate_at(i % 3, PAGE + (x >> 40) % 4096, code,
			   sizeof(code));
		assert_true(vp.rip - RIP <= 15 || i % 3 != MMIO_CODE_64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(moves_write, reset),
		cmocka_unit_test_setup(moves_read, reset),
		cmocka_unit_test_setup(extensions, reset),
		cmocka_unit_test_setup(arithmetic_as_the_processor, reset),
		cmocka_unit_test_setup(one_operand, reset),
		cmocka_unit_test_setup(bits_and_exchange, reset),
		cmocka_unit_test_setup(bit_numbers_in_registers, reset),
		cmocka_unit_test_setup(exchange_and_add, reset),
		cmocka_unit_test_setup(compare_and_exchange, reset),
		cmocka_unit_test_setup(compare_and_exchange_8_bytes, reset),
		cmocka_unit_test_setup(bytes_swapped, reset),
		cmocka_unit_test_setup(locked_forms, reset),
		cmocka_unit_test_setup(other_modes, reset),
		cmocka_unit_test_setup(refusals, reset),
		cmocka_unit_test_setup(any_bytes, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
