/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/string_io.c test/vmm/operand.c */
/*
 * String I/O seen from KVM's exits. For OUTS the test does what KVM does with
 * one item, and wants the state before it back.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/vmm/string_io.h"
#include "test/vmm/translate.h"
#include "test/vmm/vp.h"

#define RAM 0x10000u
#define CODE 0x1000u
#define DATA 0x5ffeu /* items cross a page */
#define RIP (CODE + 16)
#define DF (1u << 10)

static uint8_t ram[RAM];
static struct machine m;
static struct vp vp;
static struct kvm_regs regs;
static struct kvm_sregs sregs;
static union {
	struct kvm_run run;
	uint8_t bytes[sizeof(struct kvm_run) + 4096];
} page;

int translate_mapped(struct vp *v, uint64_t gva, uint64_t *gpa)
{
	(void)v;
	*gpa = gva;
	return gva < RAM ? 0 : -EFAULT;
}

void *machine_ram(struct machine *machine, enum vtl vtl, uint64_t gpa,
		  size_t size)
{
	(void)machine;
	(void)vtl;
	return gpa < RAM && size <= RAM - gpa ? ram + gpa : NULL;
}

uint64_t *general_register(struct kvm_regs *r, unsigned int n)
{
	(void)n;
	return (uint64_t *)&r->rax;
}

static uint8_t *data(void)
{
	return page.bytes + sizeof(struct kvm_run);
}

static int set_up(void **state)
{
	struct vcpu *vcpu = &vp_in(&vp, VTL0)->vcpu;

	(void)state;
	memset(&vp, 0, sizeof(vp));
	memset(&regs, 0, sizeof(regs));
	memset(&sregs, 0, sizeof(sregs));
	memset(&page, 0, sizeof(page));
	memset(ram, 0x90, sizeof(ram)); /* nop */
	for (unsigned int i = 0; i < 64; i++)
		ram[DATA + i - 32] = (uint8_t)(i + 1);
	vp.m = &m;
	vcpu->regs = &regs;
	vcpu->sregs = &sregs;
	vcpu->run = &page.run;
	page.run.io.data_offset = sizeof(struct kvm_run);
	sregs.efer = 1u << 10;
	sregs.cs.l = 1;
	regs.rip = RIP;
	return 0;
}

static void code(const char *bytes, size_t size)
{
	memcpy(ram + RIP, bytes, size);
}

/* KVM's doing: one item of `size` is out; `length` of the instruction. */
static void item(unsigned int size, unsigned int length, bool rep)
{
	memcpy(data(), ram + regs.rsi + sregs.gs.base, size);
	page.run.io.size = (uint8_t)size;
	page.run.io.count = 1;
	regs.rsi += regs.rflags & DF ? -(uint64_t)size : size;
	if (rep)
		regs.rcx--;
	if (!rep || !regs.rcx)
		regs.rip += length;
}

static const struct {
	const char *code;
	size_t length;
	unsigned int size;
	bool rep;
	uint64_t rcx, rflags;
} outs[] = {
	{ "\x6e", 1, 1, false, 7, 0 },
	{ "\x6f", 1, 4, false, 0, 0 },
	{ "\x66\x6f", 2, 2, false, 0, DF },
	{ "\x48\x6f", 2, 4, false, 0, 0 },
	{ "\xf3\x6e", 2, 1, true, 9, 0 },
	{ "\xf3\x6e", 2, 1, true, 2, DF },
	{ "\xf2\x66\x6f", 3, 2, true, 3, 0 },
	{ "\x67\xf3\x6f", 3, 4, true, 1000, 0 },
};

static void outs_is_taken_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
		struct kvm_regs before;

		set_up(NULL);
		code(outs[i].code, outs[i].length);
		regs.rsi = DATA;
		regs.rcx = outs[i].rcx;
		regs.rflags = outs[i].rflags;
		before = regs;
		item(outs[i].size, (unsigned int)outs[i].length, outs[i].rep);
		assert_true(string_io_undo_outs(&vp));
		/* Prefixes that change nothing may be left out. */
		assert_true(regs.rip >= before.rip &&
			    regs.rip < before.rip + outs[i].length);
		assert_true(regs.rsi == before.rsi && regs.rcx == before.rcx);
		assert_true(page.run.kvm_dirty_regs & KVM_SYNC_X86_REGS);
	}
}

/* The last item of a repetition: done again without REP it is the same. */
static void last_item(void **state)
{
	(void)state;
	code("\xf3\x66\x6f", 3);
	regs.rsi = DATA;
	regs.rcx = 1;
	item(2, 3, true);
	assert_true(regs.rip == RIP + 3);
	assert_true(string_io_undo_outs(&vp));
	assert_true(regs.rsi == DATA);
	assert_true((regs.rip == RIP && regs.rcx == 1) ||
		    (regs.rip == RIP + 1 && regs.rcx == 0));
}

static void segment_of_the_item(void **state)
{
	(void)state;
	/* Without the prefix the item would be another one. */
	code("\x65\x6e", 2);
	sregs.gs.base = 3;
	regs.rsi = DATA;
	item(1, 2, false);
	assert_true(string_io_undo_outs(&vp));
	assert_true(regs.rip == RIP && regs.rsi == DATA);
}

static void bytes_that_look_like_prefixes(void **state)
{
	(void)state;
	ram[RIP - 2] = 0xb0; /* mov al, 0xf3 */
	ram[RIP - 1] = 0xf3;
	code("\x6e", 1);
	regs.rsi = DATA;
	regs.rcx = 5;
	item(1, 1, false);
	assert_true(string_io_undo_outs(&vp));
	assert_true(regs.rip == RIP && regs.rsi == DATA && regs.rcx == 5);
	/* A second OUTS behind the first, of another size. */
	set_up(NULL);
	code("\x6e\xf3\x6f", 3);
	regs.rsi = DATA;
	regs.rcx = 5;
	item(1, 1, false);
	assert_true(string_io_undo_outs(&vp));
	assert_true(regs.rip == RIP && regs.rcx == 5);
}

static void item_that_has_changed(void **state)
{
	(void)state;
	code("\xf3\x6e", 2);
	regs.rsi = DATA;
	regs.rcx = 5;
	item(1, 2, true);
	ram[DATA] ^= 0xff;
	assert_true(string_io_undo_outs(&vp));
	assert_true(regs.rip == RIP && regs.rsi == DATA && regs.rcx == 5);
}

static void no_outs(void **state)
{
	struct kvm_regs before;

	(void)state;
	code("\x6c\xee", 2); /* insb; out dx, al */
	regs.rip = RIP + 1;
	before = regs;
	page.run.io.size = 1;
	assert_false(string_io_undo_outs(&vp));
	assert_memory_equal(&regs, &before, sizeof(regs));
}

static void ins_keeps_memory(void **state)
{
	(void)state;
	code("\xf3\x6d", 2);
	regs.rdi = DATA;
	page.run.io.size = 4;
	page.run.io.count = 3;
	string_io_keep_memory(&vp);
	assert_memory_equal(data(), ram + DATA, 12);
	assert_true(regs.rdi == DATA && !page.run.kvm_dirty_regs);
	/* Downwards the items are in the other order. */
	regs.rflags = DF;
	string_io_keep_memory(&vp);
	for (unsigned int i = 0; i < 3; i++)
		assert_memory_equal(data() + 4 * i, ram + DATA - 4 * i, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(outs_is_taken_back, set_up),
		cmocka_unit_test_setup(last_item, set_up),
		cmocka_unit_test_setup(segment_of_the_item, set_up),
		cmocka_unit_test_setup(bytes_that_look_like_prefixes, set_up),
		cmocka_unit_test_setup(item_that_has_changed, set_up),
		cmocka_unit_test_setup(no_outs, set_up),
		cmocka_unit_test_setup(ins_keeps_memory, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
