/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/translate.c */
/*
 * The walk of HvCallTranslateVirtualAddress over tables of each format, in 64
 * KiB of RAM: addresses, rights, the bits it sets, and what lies outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/vmm/translate.h"
#include "test/vmm/vp.h"

#define PG (1ull << 31)
#define WP (1ull << 16)
#define PAE (1ull << 5)
#define PSE (1ull << 4)
#define LA57 (1ull << 12)
#define SMEP (1ull << 20)
#define SMAP (1ull << 21)
#define LMA (1ull << 10)
#define NXE (1ull << 11)
#define NX (1ull << 63)
#define P 1ull
#define W 2ull
#define U 4ull
#define A 0x20ull
#define D 0x40ull
#define LARGE 0x80ull

#define READ HV_TRANSLATE_READ
#define WRITE HV_TRANSLATE_WRITE
#define EXECUTE HV_TRANSLATE_EXECUTE
#define SET HV_TRANSLATE_SET_BITS

#define RAM 0x10000u
#define VTL2_RAM 0x70000000ull

static _Alignas(4096) uint8_t ram[RAM];
static uint8_t secret[4096];
static struct kvm_regs regs;
static struct kvm_sregs sregs;
static struct vp vp;

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	(void)m;
	if (gpa < RAM && size <= RAM - gpa)
		return ram + gpa;
	if (vtl == VTL2 && gpa >= VTL2_RAM && gpa < VTL2_RAM + 4096)
		return secret;
	return NULL;
}

static uint64_t *entry(uint64_t table, unsigned int index)
{
	return (uint64_t *)(ram + table) + index;
}

static void mode(uint64_t cr4, uint64_t efer)
{
	sregs.cr0 = PG | WP | 1;
	sregs.cr4 = cr4;
	sregs.efer = efer;
	sregs.cr3 = 0x1000;
}

static int set_up(void **state)
{
	(void)state;
	memset(ram, 0, sizeof(ram));
	memset(&sregs, 0, sizeof(sregs));
	memset(&regs, 0, sizeof(regs));
	memset(&vp, 0, sizeof(vp));
	vp_in(&vp, VTL0)->vcpu.regs = &regs;
	vp_in(&vp, VTL0)->vcpu.sregs = &sregs;
	return 0;
}

/* Four levels, all rights above `leaf`, which maps 0x7fff80604000. */
#define GVA 0x7fff80604000ull
static void four_levels(uint64_t leaf)
{
	mode(PAE, LMA | NXE);
	*entry(0x1000, 255) = 0x2000 | P | W | U;
	*entry(0x2000, 510) = 0x3000 | P | W | U;
	*entry(0x3000, 3) = 0x4000 | P | W | U;
	*entry(0x4000, 4) = leaf;
}

static enum hv_translate_result translate(uint64_t gva, uint64_t flags,
					  uint64_t *gpa)
{
	return translate_gva(&vp, VTL0, gva, flags, gpa);
}

static void no_paging(void **state)
{
	uint64_t gpa;

	(void)state;
	assert_int_equal(translate(0x5123, WRITE | SET, &gpa), 0);
	assert_true(gpa == 0x5123);
	assert_int_equal(translate(0xfec00000, READ, &gpa),
			 HV_TRANSLATE_GPA_UNMAPPED);
	assert_true(gpa == 0xfec00000);
}

static void long_mode(void **state)
{
	uint64_t gpa;

	(void)state;
	four_levels(0x9000 | P | W | U);
	assert_int_equal(translate(GVA + 0x123, READ, &gpa), 0);
	assert_true(gpa == 0x9123);
	assert_true(!(*entry(0x4000, 4) & A)); /* not asked to */
	assert_int_equal(translate(GVA, READ | SET, &gpa), 0);
	assert_true((*entry(0x4000, 4) & (A | D)) == A);
	assert_true(*entry(0x1000, 255) & A);
	assert_int_equal(translate(GVA, WRITE | SET, &gpa), 0);
	assert_true((*entry(0x4000, 4) & (A | D)) == (A | D));
	assert_true(!(*entry(0x3000, 3) & D)); /* leaves only */
	assert_int_equal(translate(GVA + 0x1000, READ, &gpa),
			 HV_TRANSLATE_NOT_PRESENT);
	assert_int_equal(translate(GVA | 1ull << 47, READ, &gpa),
			 HV_TRANSLATE_NOT_PRESENT); /* not canonical */
	/* Large pages; in the top table there are none. */
	*entry(0x3000, 3) = 0x1200000 | P | W | U | LARGE;
	assert_int_equal(translate(GVA, READ, &gpa), HV_TRANSLATE_GPA_UNMAPPED);
	assert_true(gpa == 0x1204000);
	*entry(0x2000, 510) = 0x80000000 | P | W | U | LARGE;
	translate(GVA, READ, &gpa);
	assert_true(gpa == 0x80604000);
	*entry(0x1000, 255) |= LARGE;
	assert_int_equal(translate(GVA, READ, &gpa),
			 HV_TRANSLATE_INVALID_FLAGS);
}

static void five_levels(void **state)
{
	uint64_t gva = 0xff00000000000000ull | 5ull << 39, gpa;

	(void)state;
	mode(PAE | LA57, LMA);
	*entry(0x1000, 256) = 0x2000 | P | W;
	*entry(0x2000, 5) = 0x3000 | P | W;
	*entry(0x3000, 0) = 0x4000 | P | W;
	*entry(0x4000, 0) = 0x5000 | P | W;
	*entry(0x5000, 0) = 0x8000 | P | W;
	assert_int_equal(translate(gva, WRITE, &gpa), 0);
	assert_true(gpa == 0x8000);
	/* Without EFER.NXE the bit is reserved. */
	*entry(0x5000, 0) |= NX;
	assert_int_equal(translate(gva, READ, &gpa),
			 HV_TRANSLATE_INVALID_FLAGS);
}

static void pae(void **state)
{
	uint64_t gpa;

	(void)state;
	mode(PAE, 0);
	sregs.cr3 = 0x1020;
	*entry(0x1020, 3) = 0x2000 | P; /* no rights here */
	*entry(0x2000, 1) = 0x3000 | P | W | U;
	*entry(0x3000, 2) = 0x6000 | P | W | U;
	sregs.ss.dpl = 3;
	assert_int_equal(translate(0xc0202345, WRITE | SET, &gpa), 0);
	assert_true(gpa == 0x6345);
	assert_true(*entry(0x1020, 3) == (0x2000 | P));
	assert_true(*entry(0x3000, 2) & D);
	assert_int_equal(translate(0x1c0202345, READ, &gpa),
			 HV_TRANSLATE_NOT_PRESENT);
}

static void two_levels(void **state)
{
	uint32_t *directory = (uint32_t *)(ram + 0x1000);
	uint32_t *table = (uint32_t *)(ram + 0x2000);
	uint64_t gpa;

	(void)state;
	mode(PSE, 0);
	directory[0x301] = 0x2000 | P | W;
	table[0x123] = 0x7000 | P;
	table[0x124] = 0xffffffff;
	assert_int_equal(translate(0xc0523abc, READ | SET, &gpa), 0);
	assert_true(gpa == 0x7abc);
	assert_int_equal(table[0x123], 0x7000 | P | A);
	assert_int_equal(table[0x124], 0xffffffff); /* entries are 4 bytes */
	assert_int_equal(translate(0xc0523abc, WRITE, &gpa),
			 HV_TRANSLATE_PRIVILEGE_VIOLATION);
	directory[0x302] = 0xfec00000 | P | W | LARGE;
	assert_int_equal(translate(0xc0801010, WRITE, &gpa),
			 HV_TRANSLATE_GPA_UNMAPPED);
	assert_true(gpa == 0xfec01010);
}

static void rights(void **state)
{
	static const struct {
		uint64_t leaf, cr0, cr4, rflags, flags;
		unsigned int cpl;
		enum hv_translate_result result;
	} cases[] = {
#define DENIED HV_TRANSLATE_PRIVILEGE_VIOLATION
		{ P | W | U, WP, 0, 0, WRITE, 3, 0 },
		{ P | U, WP, 0, 0, WRITE, 3, DENIED },
		{ P | W, WP, 0, 0, READ, 3, DENIED },
		{ P | W, WP, 0, 0, READ, 0, 0 },
		{ P | W, WP, 0, 0, READ, 2, 0 },
		{ P, WP, 0, 0, WRITE, 0, DENIED },
		{ P, 0, 0, 0, WRITE, 0, 0 },
		{ P | U, 0, 0, 0, WRITE, 3, DENIED },
		{ P | W | U | NX, WP, 0, 0, EXECUTE, 3, DENIED },
		{ P | W | U | NX, WP, 0, 0, READ, 3, 0 },
		{ P | W | U, WP, SMEP, 0, EXECUTE, 0, DENIED },
		{ P | W | U, WP, 0, 0, EXECUTE, 0, 0 },
		{ P | W | U, WP, SMAP, 0, READ, 0, DENIED },
		{ P | W | U, WP, SMAP, 1 << 18, READ, 0, 0 },
		{ P | W, WP, 0, 0, READ | HV_TRANSLATE_PRIVILEGE_EXEMPT, 3,
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t gpa;

		set_up(NULL);
		four_levels(0x9000 | cases[i].leaf);
		sregs.cr0 = PG | 1 | cases[i].cr0;
		sregs.cr4 |= cases[i].cr4;
		regs.rflags = cases[i].rflags;
		sregs.ss.dpl = (uint8_t)cases[i].cpl;
		assert_int_equal(translate(GVA, cases[i].flags | SET, &gpa),
				 cases[i].result);
		/* A refused access leaves no trace. */
		assert_int_equal(!(*entry(0x4000, 4) & A), !!cases[i].result);
	}
}

static void outside_of_ram(void **state)
{
	uint64_t gpa;

	(void)state;
	four_levels(VTL2_RAM | P | W | U);
	assert_int_equal(translate(GVA, READ, &gpa), HV_TRANSLATE_GPA_NO_READ);
	assert_int_equal(translate(GVA, WRITE, &gpa),
			 HV_TRANSLATE_GPA_NO_WRITE);
	/* Tables are not looked for in VTL2's memory, or in none. */
	*entry(0x3000, 3) = VTL2_RAM | P | W | U;
	*(uint64_t *)(void *)(secret + 32) = 0x9000 | P | W | U;
	assert_int_equal(translate(GVA, READ | SET, &gpa),
			 HV_TRANSLATE_GPA_NO_READ);
	assert_true(*(uint64_t *)(void *)(secret + 32) == (0x9000 | P | W | U));
	sregs.cr3 = 0xfffffffff000;
	assert_int_equal(translate(GVA, READ, &gpa), HV_TRANSLATE_GPA_NO_READ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_paging, set_up),
		cmocka_unit_test_setup(long_mode, set_up),
		cmocka_unit_test_setup(five_levels, set_up),
		cmocka_unit_test_setup(pae, set_up),
		cmocka_unit_test_setup(two_levels, set_up),
		cmocka_unit_test_setup(rights, set_up),
		cmocka_unit_test_setup(outside_of_ram, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
