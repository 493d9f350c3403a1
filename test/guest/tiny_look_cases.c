// SPDX-License-Identifier: MIT
/*
 * What somebody looks at from VTL2, by pvctl or inspect; run only by name, with
 * one VP and without its timer, so that nothing else happens.
 *
 *	look-msr	reads an MSR that nobody has; says where it did
 *	look-spin	`jmp $'; says where, and never ends
 */
#include "tiny_hv.h"

#define NOBODYS_MSR 0xdeadbeefu

static void look_msr(void)
{
	uint64_t at, low = 0, done = 0;

	/* As msr_read(), with the address. */
	__asm__ volatile("lea 1f(%%rip), %0\n1:\trdmsr\n\tmov $1, %1\n2:\n"
			 RECOVERY
			 : "=&r"(at), "+r"(done), "+a"(low)
			 : "c"(NOBODYS_MSR) : "rdx", "memory");
	CHECK(!done);
	print("# rdmsr at %#lx\n", at);
}

static void look_spin(void)
{
	uint64_t at;

	__asm__ volatile("lea look_spin_here(%%rip), %0" : "=r"(at));
	print("# spin at %#lx\n", at);
	__asm__ volatile("cli\nlook_spin_here: jmp look_spin_here");
}

const struct tiny_case look_cases[] = {
	{ "look-msr", "an MSR that nobody has raises #GP", look_msr, NULL },
	{ "look-spin", "never ends", look_spin, NULL },
	{ NULL, NULL, NULL, NULL },
};
