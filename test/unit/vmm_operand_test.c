/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/operand.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/vmm/operand.h"
#include "test/vmm/translate.h"
#include "test/vmm/vp.h"

/* Guest linear = guest physical; RAM ends at RAM_END, the device begins at
 * DEVICE, and nothing is mapped at all from UNMAPPED up. */
#define RAM_END 0x10000000u
#define DEVICE 0xfec00000u
#define UNMAPPED 0x7000000000u

static struct machine m;
static struct vp vp;
static struct kvm_regs regs;
static struct kvm_sregs sregs;

/* What operand.c needs of the rest. */

int translate_mapped(struct vp *v, uint64_t gva, uint64_t *gpa)
{
	(void)v;
	*gpa = gva;
	return gva < UNMAPPED ? 0 : -EFAULT;
}

void *machine_ram(struct machine *machine, enum vtl vtl, uint64_t gpa,
		  size_t size)
{
	(void)vtl;
	return gpa + size <= RAM_END ? machine : NULL;
}

uint64_t *general_register(struct kvm_regs *r, unsigned int n)
{
	__u64 *const order[16] = {
		&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp,
		&r->rsi, &r->rdi, &r->r8,  &r->r9,  &r->r10, &r->r11,
		&r->r12, &r->r13, &r->r14, &r->r15,
	};

	return (uint64_t *)order[n];
}

static int set_up(void **state)
{
	(void)state;
	memset(&vp, 0, sizeof(vp));
	memset(&regs, 0, sizeof(regs));
	memset(&sregs, 0, sizeof(sregs));
	vp.m = &m;
	vp_in(&vp, VTL0)->vcpu.regs = &regs;
	vp_in(&vp, VTL0)->vcpu.sregs = &sregs;
	sregs.efer = 1u << 10;
	sregs.cs.l = 1;
	regs.rip = 0x100000;
	regs.rsp = 0x8000;
	return 0;
}

static struct operand o;

static int find(const char *code, unsigned int size)
{
	uint8_t bytes[16] = { 0 };

	memcpy(bytes, code, size);
	return operand_find(&vp, bytes, 15, &o);
}
#define FIND(code) find(code, sizeof(code) - 1)

static void expect(uint64_t gpa, bool write)
{
	assert_int_equal(o.gpa, gpa);
	assert_int_equal(o.gva, gpa);
	assert_int_equal(o.write, write);
	assert_false(o.execute);
}

static void test_plain_moves(void **state)
{
	(void)state;
	regs.rcx = DEVICE;
	assert_int_equal(FIND("\x8b\x01"), 0); /* mov eax, [rcx] */
	expect(DEVICE, false);
	assert_int_equal(FIND("\x89\x41\x10"), 0); /* mov [rcx+0x10], eax */
	expect(DEVICE + 0x10, true);
	assert_int_equal(FIND("\x88\x81\x00\x01\x00\x00"), 0); /* +disp32 */
	expect(DEVICE + 0x100, true);
	assert_int_equal(FIND("\xc7\x01\x78\x56\x34\x12"), 0); /* mov, imm */
	expect(DEVICE, true);
	assert_int_equal(FIND("\x0f\xb6\x01"), 0); /* movzx eax, byte */
	expect(DEVICE, false);
	assert_int_equal(FIND("\x66\x8b\x41\xfe"), 0); /* negative disp8 */
	expect(DEVICE - 2, false);
}

static void test_index_and_extended_registers(void **state)
{
	(void)state;
	regs.r13 = DEVICE;
	regs.r9 = 3;
	/* mov eax, [r13+r9*8+4] */
	assert_int_equal(FIND("\x43\x8b\x44\xcd\x04"), 0);
	expect(DEVICE + 28, false);
	regs.rbp = DEVICE + 8;
	assert_int_equal(FIND("\x8b\x45\x00"), 0); /* mov eax, [rbp] */
	expect(DEVICE + 8, false);
	regs.r12 = DEVICE + 16;
	assert_int_equal(FIND("\x41\x8b\x04\x24"), 0); /* mov eax, [r12] */
	expect(DEVICE + 16, false);
}

static void test_rip_relative_skips_the_immediate(void **state)
{
	(void)state;
	regs.rip = 0x0ffff000;
	/* mov dword [rip+0x7ec02000], imm32: 10 bytes long */
	assert_int_equal(FIND("\xc7\x05\x00\x20\xc0\x7e\x01\x02\x03\x04"), 0);
	expect(0x8ec0100au, true);
	/* cmp byte [rip+disp], imm8: 7 bytes long, a read */
	assert_int_equal(FIND("\x80\x3d\x00\x20\xc0\x7e\x01"), 0);
	expect(0x8ec01007u, false);
}

static void test_absolute_address(void **state)
{
	(void)state;
	/* movabs al, [DEVICE] */
	assert_int_equal(FIND("\xa0\x00\x00\xc0\xfe\x00\x00\x00\x00"), 0);
	expect(DEVICE, false);
}

static void test_read_modify_write(void **state)
{
	(void)state;
	regs.rdi = DEVICE;
	assert_int_equal(FIND("\x09\x07"), 0); /* or [rdi], eax */
	expect(DEVICE, true);
	assert_int_equal(FIND("\x87\x07"), 0); /* xchg */
	expect(DEVICE, true);
	assert_int_equal(FIND("\xf0\xff\x07"), 0); /* lock inc */
	expect(DEVICE, true);
	assert_int_equal(FIND("\xf7\x07\x01\x00\x00\x00"), 0); /* test */
	expect(DEVICE, false);
}

static void test_strings_pick_the_side_outside(void **state)
{
	(void)state;
	regs.rsi = DEVICE;
	regs.rdi = 0x5000;
	assert_int_equal(FIND("\xf3\xa4"), 0); /* rep movsb */
	expect(DEVICE, false);
	regs.rsi = 0x5000;
	regs.rdi = DEVICE;
	assert_int_equal(FIND("\x48\xa5"), 0); /* movsq */
	expect(DEVICE, true);
	assert_int_equal(FIND("\xf3\xab"), 0); /* rep stosd */
	expect(DEVICE, true);
}

/* Both sides: what is read comes first. */
static void test_strings_between_devices(void **state)
{
	(void)state;
	regs.rsi = DEVICE;
	regs.rdi = DEVICE + 0x100;
	assert_int_equal(FIND("\xf3\xa4"), 0);
	expect(DEVICE, false);
}

static void test_bit_strings(void **state)
{
	(void)state;
	regs.rbx = DEVICE + 0x100;
	regs.rax = 0x7700000025; /* bit 37 of dwords: the upper half is cut */
	assert_int_equal(FIND("\x0f\xa3\x03"), 0); /* bt [rbx], eax */
	expect(DEVICE + 0x104, false);
	regs.rax = -1ull;
	assert_int_equal(FIND("\x48\x0f\xab\x03"), 0); /* bts [rbx], rax */
	expect(DEVICE + 0xf8, true);
	regs.rax = 0xffdf; /* -33 */
	assert_int_equal(FIND("\x66\x0f\xbb\x03"), 0); /* btc [rbx], ax */
	expect(DEVICE + 0xfa, true);
	assert_int_equal(FIND("\x0f\xba\x2b\x25"), 0); /* bts [rbx], 37 */
	expect(DEVICE + 0x100, true);
}

static void test_operand_across_the_end_of_ram(void **state)
{
	(void)state;
	regs.rax = RAM_END - 2;
	assert_int_equal(FIND("\x8b\x18"), 0); /* mov ebx, [rax] */
	expect(RAM_END + 1, false);
}

static void test_segment_bases(void **state)
{
	(void)state;
	sregs.gs.base = DEVICE;
	sregs.ds.base = 0x1234000; /* has no effect in long mode */
	assert_int_equal(FIND("\x65\x8b\x04\x25\x08\x00\x00\x00"), 0);
	expect(DEVICE + 8, false);
}

static void test_address_size_prefix(void **state)
{
	(void)state;
	regs.rax = 0x100000000 + DEVICE;
	assert_int_equal(FIND("\x67\x8b\x18"), 0); /* mov ebx, [eax] */
	expect(DEVICE, false);
}

static void test_legacy_modes(void **state)
{
	(void)state;
	sregs.efer = 0;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	sregs.ds.base = 0xfe000000;
	regs.rbx = 0xc00000;
	assert_int_equal(FIND("\x8b\x03"), 0); /* mov eax, [ebx] */
	expect(DEVICE, false);
	sregs.cs.db = 0;
	sregs.ds.base = 0xfebffff0;
	regs.rbx = 8;
	regs.rsi = 8;
	assert_int_equal(FIND("\x8a\x00"), 0); /* mov al, [bx+si] */
	expect(DEVICE, false);
}

static void test_vector_moves(void **state)
{
	(void)state;
	regs.rdx = DEVICE;
	assert_int_equal(FIND("\xf3\x0f\x6f\x02"), 0); /* movdqu xmm0, [rdx] */
	expect(DEVICE, false);
	assert_int_equal(FIND("\xf3\x0f\x7f\x02"), 0);
	expect(DEVICE, true);
}

static void test_execution_outside(void **state)
{
	(void)state;
	regs.rip = DEVICE + 4;
	assert_int_equal(operand_find(&vp, (const uint8_t *)"", 0, &o), 0);
	assert_true(o.execute);
	assert_int_equal(o.gpa, DEVICE + 4);
}

static void test_no_operand_outside(void **state)
{
	(void)state;
	assert_int_equal(FIND("\x90"), -EFAULT); /* nop */
	regs.rax = 0x2000;
	assert_int_equal(FIND("\x8b\x18"), -EFAULT);
	regs.rax = UNMAPPED; /* would be a page fault, not an exit */
	assert_int_equal(FIND("\x8b\x18"), -EFAULT);
	regs.rax = DEVICE;
	assert_int_equal(FIND("\x48\x8d\x18"), -EFAULT); /* lea rbx, [rax] */
	assert_int_equal(FIND("\x06"), -EFAULT); /* invalid */
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, set_up)
	const struct CMUnitTest tests[] = {
		CASE(test_plain_moves),
		CASE(test_index_and_extended_registers),
		CASE(test_rip_relative_skips_the_immediate),
		CASE(test_absolute_address),
		CASE(test_read_modify_write),
		CASE(test_strings_pick_the_side_outside),
		CASE(test_strings_between_devices),
		CASE(test_bit_strings),
		CASE(test_operand_across_the_end_of_ram),
		CASE(test_segment_bases),
		CASE(test_address_size_prefix),
		CASE(test_legacy_modes),
		CASE(test_vector_moves),
		CASE(test_execution_outside),
		CASE(test_no_operand_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
