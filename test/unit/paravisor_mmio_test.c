/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/mmio.c */
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

#include "paravisor/mmio.h"

#define PAGE 0xfec00000ull
#define GPA (PAGE + 0x10)
#define RIP 0xffffffff81000000ull

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9 };

static struct {
	uint64_t gp[16], rip, rflags;
	uint8_t page[4096];
	unsigned int reads, writes, last_size;
} vp;

static uint64_t get_gp(void *opaque, unsigned int n)
{
	assert_ptr_equal(opaque, &vp);
	assert_true(n < 16);
	return vp.gp[n];
}

static void set_gp(void *opaque, unsigned int n, uint64_t value)
{
	assert_ptr_equal(opaque, &vp);
	assert_true(n < 16);
	vp.gp[n] = value;
}

static void set_rip(void *opaque, uint64_t rip)
{
	(void)opaque;
	vp.rip = rip;
}

static void set_rflags(void *opaque, uint64_t rflags)
{
	(void)opaque;
	vp.rflags = rflags;
}

static uint64_t device_read(void *opaque, uint64_t gpa, unsigned int size)
{
	uint64_t value = 0;

	(void)opaque;
	assert_true(gpa >= PAGE && gpa - PAGE + size <= sizeof(vp.page));
	memcpy(&value, vp.page + (gpa - PAGE), size);
	vp.reads++;
	vp.last_size = size;
	return value;
}

static void device_write(void *opaque, uint64_t gpa, unsigned int size,
			 uint64_t value)
{
	(void)opaque;
	assert_true(gpa >= PAGE && gpa - PAGE + size <= sizeof(vp.page));
	memcpy(vp.page + (gpa - PAGE), &value, size);
	vp.writes++;
	vp.last_size = size;
}

static const struct mmio_ops ops = {
	.get_gp = get_gp,
	.set_gp = set_gp,
	.set_rip = set_rip,
	.set_rflags = set_rflags,
	.read = device_read,
	.write = device_write,
};

static int reset(void **state)
{
	(void)state;
	memset(&vp, 0, sizeof(vp));
	for (unsigned int i = 0; i < 16; i++)
		vp.gp[i] = 0x1111111111111111ull * i;
	vp.rip = RIP;
	return 0;
}

static void set_device(uint64_t value)
{
	memcpy(vp.page + (GPA - PAGE), &value, sizeof(value));
}

static uint64_t device(void)
{
	uint64_t value;

	memcpy(&value, vp.page + (GPA - PAGE), sizeof(value));
	return value;
}

static int emulate_at(enum mmio_mode mode, uint64_t gpa, const char *code,
		      size_t size)
{
	struct mmio_instruction in = {
		.mode = mode,
		.code = (const uint8_t *)code,
		.code_size = size,
		.rip = vp.rip,
		.rflags = vp.rflags,
		.gpa = gpa,
	};

	return mmio_emulate(&in, &ops, &vp);
}

#define emulate(code) emulate_at(MMIO_CODE_64, GPA, code, sizeof(code) - 1)
#define emulate32(code) emulate_at(MMIO_CODE_32, GPA, code, sizeof(code) - 1)
#define assert_done(code)                                                  \
	do {                                                               \
		assert_int_equal(emulate(code), 0);                        \
		assert_true(vp.rip == RIP + sizeof(code) - 1);             \
	} while (0)
#define assert_refused(code, rc)                                           \
	do {                                                               \
		assert_int_equal(emulate(code), rc);                       \
		assert_true(vp.rip == RIP);                                \
		assert_int_equal(vp.reads + vp.writes, 0);                 \
	} while (0)

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
			default: real("test", a, b, result, flags); break;
			}
			if (op[o].logic)
				care &= ~(uint64_t)FLAG_AF;
			reset(NULL);
			set_device(a);
			vp.gp[RAX] = b;
			vp.rflags = 0x602;
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
	/* The bit number in a register may mean another address. */
	reset(NULL);
	assert_refused("\x0f\xab\x03", -EOPNOTSUPP); /* bts [rbx], eax */
}

static void strings(void **state)
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
	vp.rflags = 0x400;
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
static void string_stops_at_the_page(void **state)
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
	assert_refused("\xa5", -EOPNOTSUPP);	 /* movsd: two addresses */
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

static void flags_need_a_way(void **state)
{
	struct mmio_ops no_flags = ops;
	struct mmio_instruction in = {
		.mode = MMIO_CODE_64,
		.code = (const uint8_t *)"\x01\x03",
		.code_size = 2,
		.rip = RIP,
		.gpa = GPA,
	};

	(void)state;
	no_flags.set_rflags = NULL;
	assert_int_equal(mmio_emulate(&in, &no_flags, &vp), -EOPNOTSUPP);
	assert_int_equal(vp.reads + vp.writes, 0);
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
		cmocka_unit_test_setup(strings, reset),
		cmocka_unit_test_setup(string_stops_at_the_page, reset),
		cmocka_unit_test_setup(other_modes, reset),
		cmocka_unit_test_setup(refusals, reset),
		cmocka_unit_test_setup(flags_need_a_way, reset),
		cmocka_unit_test_setup(any_bytes, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
