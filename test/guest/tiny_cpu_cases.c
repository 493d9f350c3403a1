// SPDX-License-Identifier: MIT
/*
 * Cases about what an exit may not disturb: NMIs, interrupts, registers; and
 * about the VPs and ports there are.
 */
#include "tiny_hv.h"

#define NMI 2
#define PORT_EXIT 0x64	    /* reads as 0: no keyboard controller */
#define IOAPIC_EXIT 0xfec00000u
#define EMPTY_PORT 0x1234
#define MSR_KERNEL_GS_BASE 0xc0000102u

static void exit_of_each_kind(uint32_t n)
{
	volatile uint32_t *ioapic = (volatile uint32_t *)(uint64_t)IOAPIC_EXIT;
	uint64_t value;

	switch (n % 5) {
	case 0:
		inb(PORT_EXIT);
		break;
	case 1:
		(void)*ioapic;
		break;
	case 2:
		msr_read(HV_MSR_TIME_REF_COUNT, &value);
		break;
	case 3:
		cpuid(HV_CPUID_FEATURES, 0);
		break;
	case 4:
		hv_signal(0x123456, 0);
		break;
	}
}

/* ---- X-05 ---- */

static void x_05(void)
{
	struct tiny_vp *vp = this_vp();
	uint32_t n = (uint32_t)option_number("nmis", 1000);
	uint64_t before = vp->interrupts[NMI];

	for (uint32_t i = 0; i < n; i++) {
		uint64_t want = before + i + 1, end;

		if (i & 1)
			exit_of_each_kind(i / 2 % 2);
		apic_send(vp->apic_id, ICR_NMI | ICR_ASSERT);
		for (end = deadline(1000);
		     vp->interrupts[NMI] != want && !passed(end);)
			relax();
		CHECK_IS(vp->interrupts[NMI], want);
	}
	delay(10);
	CHECK_IS(vp->interrupts[NMI], before + n);
}

/* ---- X-06 ---- */

#define STORM_VECTOR 0x70
static volatile uint32_t storm_left;

/* On VP 1: the next interrupt when the last was counted, so none may melt
 * into another. */
static void storm(void)
{
	volatile uint64_t *count = &vp_at(0)->interrupts[STORM_VECTOR];

	while (storm_left) {
		uint64_t want = *count + 1, end = deadline(1000);

		apic_send(vp_at(0)->apic_id, STORM_VECTOR | ICR_ASSERT);
		while (*count != want && !passed(end))
			relax();
		if (*count != want)
			return;
		storm_left--;
	}
}

static void x_06(void)
{
	uint64_t before = this_vp()->interrupts[STORM_VECTOR];
	uint32_t n = (uint32_t)option_number("interrupts", 200), i = 0;
	uint64_t end = deadline(10000 + n * 100);

	CHECK(nr_vps > 1);
	storm_left = n;
	vp_begin(1, storm);
	while (vp_at(1)->work && !passed(end))
		exit_of_each_kind(i++);
	CHECK(vp_done(1, 2000));
	CHECK_IS(storm_left, 0);
	CHECK_IS(this_vp()->interrupts[STORM_VECTOR] - before, n);
}

/* ---- X-08 ---- */

#define PATTERN 0x5a00000000000000ull

/* Registers that no exit may change, and how each is reached. */
static const uint32_t kept_msrs[] = {
	0x174, 0x175, 0x176,	      /* SYSENTER */
	0xc0000081, 0xc0000082, 0xc0000083, /* STAR, LSTAR, CSTAR */
	0xc0000084,		      /* SFMASK */
	0xc0000100, 0xc0000101, MSR_KERNEL_GS_BASE,
};
#define NR_KEPT (sizeof(kept_msrs) / sizeof(kept_msrs[0]))

static uint64_t kept_value(uint32_t n)
{
	/* All of them take 16 bits. */
	return 0x1100u + 0x101u * n;
}

/* What is read back: BS, B2 and B0 among the bits that are always 1. No
 * breakpoint is on, so it is nobody's but ours. */
#define DR6_PATTERN 0xffff4ff5ull
#define DR6_RESET 0xffff0ff0ull

static void set_dr6(uint64_t value)
{
	__asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

static uint64_t dr6(void)
{
	uint64_t value;

	__asm__ volatile("mov %%dr6, %0" : "=r"(value));
	return value;
}

static void set_debug(uint64_t pattern)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2;"
			 "mov %3, %%dr3" : : "r"(pattern), "r"(pattern + 1),
			 "r"(pattern + 2), "r"(pattern + 3));
}

static bool debug_is(uint64_t pattern)
{
	uint64_t d0, d1, d2, d3;

	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2;"
			 "mov %%dr3, %3"
			 : "=r"(d0), "=r"(d1), "=r"(d2), "=r"(d3));
	return d0 == pattern && d1 == pattern + 1 && d2 == pattern + 2 &&
	       d3 == pattern + 3;
}

/* All general registers hold a pattern over `n` port exits; what is there
 * afterwards goes to `seen`, in the order of the list. */
static void general_over_exits(uint64_t n, uint64_t seen[12])
{
	__asm__ volatile(
		"push %%rbx; push %%rbp; push %0; mov %1, %%rcx\n\t"
		"mov $0xb1, %%ebx; mov $0xb2, %%ebp; mov $0xb3, %%esi\n\t"
		"mov $0xb4, %%edi; mov $0xb5, %%r8d; mov $0xb6, %%r9d\n\t"
		"mov $0xb7, %%r10d; mov $0xb8, %%r11d; mov $0xb9, %%r12d\n\t"
		"mov $0xba, %%r13d; mov $0xbb, %%r14d; mov $0xbc, %%r15d\n\t"
		"shl $40, %%rbx; shl $40, %%rbp; shl $40, %%r15\n"
		"1: in %2, %%al; dec %%rcx; jnz 1b\n\t"
		"pop %%rax\n\t"
		"mov %%rbx, (%%rax); mov %%rbp, 8(%%rax)\n\t"
		"mov %%rsi, 16(%%rax); mov %%rdi, 24(%%rax)\n\t"
		"mov %%r8, 32(%%rax); mov %%r9, 40(%%rax)\n\t"
		"mov %%r10, 48(%%rax); mov %%r11, 56(%%rax)\n\t"
		"mov %%r12, 64(%%rax); mov %%r13, 72(%%rax)\n\t"
		"mov %%r14, 80(%%rax); mov %%r15, 88(%%rax)\n\t"
		"pop %%rbp; pop %%rbx"
		: : "a"(seen), "d"(n), "i"(PORT_EXIT)
		: "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		  "r14", "r15", "cc", "memory");
}

/* ---- vector registers: no code of the compiler touches them ---- */

#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXSAVE (1ull << 18)
#define LEAF1_ECX_XSAVE (1u << 26)
#define XCR0_X87 1u
#define XCR0_X87_SSE 3u
#define ALL_XMM "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define XMM_WORDS (16 * 2)

static void xmm_load(const uint64_t word[XMM_WORDS])
{
	__asm__ volatile(".irp n," ALL_XMM "\n\t"
			 "movdqu 16*\\n(%0), %%xmm\\n\n\t.endr"
			 : : "r"(word) : "memory");
}

static void xmm_store(uint64_t word[XMM_WORDS])
{
	__asm__ volatile(".irp n," ALL_XMM "\n\t"
			 "movdqu %%xmm\\n, 16*\\n(%0)\n\t.endr"
			 : : "r"(word) : "memory");
}

static void set_xcr0(uint32_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"(value), "d"(0) : "memory");
}

static uint32_t xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

static bool has_xsave(void)
{
	return cpuid(1, 0).ecx & LEAF1_ECX_XSAVE;
}

/* On; or off, as the guest is the rest of the time. */
static void vectors(bool on)
{
	uint64_t cr0, cr4, bits = CR4_OSFXSR;

	if (has_xsave())
		bits |= CR4_OSXSAVE;
	if (!on && has_xsave())
		set_xcr0(XCR0_X87);
	__asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
	cr0 = (cr0 & ~CR0_EM) | CR0_MP;
	cr4 = on ? cr4 | bits : cr4 & ~bits;
	__asm__ volatile("mov %0, %%cr0; mov %1, %%cr4" : : "r"(cr0), "r"(cr4));
	if (on && has_xsave())
		set_xcr0(XCR0_X87_SSE);
}

static void x_08(void)
{
	uint32_t n = (uint32_t)option_number("exits", 500);
	uint64_t old[NR_KEPT], value, seen[12];
	uint64_t xmm[XMM_WORDS], xmm_seen[XMM_WORDS];

	vectors(true);
	for (uint32_t i = 0; i < XMM_WORDS; i++)
		xmm[i] = PATTERN + 0x0101010101ull * (i + 1);
	xmm_load(xmm);
	for (uint32_t i = 0; i < NR_KEPT; i++) {
		CHECK(msr_read(kept_msrs[i], &old[i]));
		CHECK(msr_write(kept_msrs[i], kept_value(i)));
		CHECK(msr_read(kept_msrs[i], &value));
		CHECK_IS(value, kept_value(i));
	}
	set_debug(PATTERN >> 8);
	set_dr6(DR6_PATTERN);
	CHECK_IS(dr6(), DR6_PATTERN);
	__asm__ volatile("mov %0, %%cr2" : : "r"(0x123456789aull));
	for (uint32_t i = 0; i < n; i++)
		exit_of_each_kind(i);
	general_over_exits(n, seen);
	for (uint64_t i = 0; i < 12; i++)
		CHECK_IS(seen[i], (0xb1 + i) << (i < 2 || i == 11 ? 40 : 0));
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	CHECK_IS(value, 0x123456789aull);
	CHECK(debug_is(PATTERN >> 8));
	CHECK_IS(dr6(), DR6_PATTERN);
	xmm_store(xmm_seen);
	for (uint32_t i = 0; i < XMM_WORDS; i++)
		CHECK_IS(xmm_seen[i], xmm[i]);
	CHECK(!has_xsave() || xcr0() == XCR0_X87_SSE);
	for (uint32_t i = 0; i < NR_KEPT; i++) {
		CHECK(msr_read(kept_msrs[i], &value));
		CHECK_IS(value, kept_value(i));
		CHECK(msr_write(kept_msrs[i], old[i]));
	}
	set_debug(0);
	set_dr6(DR6_RESET);
	vectors(false);
}

/* ---- VPs and ports ---- */

static volatile uint64_t index_of_vp[TINY_MAX_VPS];

static void read_index(void)
{
	uint64_t value = ~0ull;

	msr_read(HV_MSR_VP_INDEX, &value);
	index_of_vp[this_vp()->number] = value;
}

static void vps(void)
{
	CHECK_IS(cpuid(1, 0).ebx >> 24, vp_at(0)->apic_id);
	read_index();
	for (uint32_t i = 1; i < nr_vps; i++)
		CHECK(vp_run(i, read_index, 1000));
	for (uint32_t i = 0; i < nr_vps; i++) {
		CHECK(index_of_vp[i] < nr_vps);
		for (uint32_t j = 0; j < i; j++)
			CHECK(index_of_vp[j] != index_of_vp[i]);
	}
}

/* Nobody there: all ones, in every width, and writes go nowhere. */
static void ports(void)
{
	CHECK_IS(inb(EMPTY_PORT), 0xff);
	CHECK_IS(inw(EMPTY_PORT), 0xffff);
	CHECK_IS(inl(EMPTY_PORT), 0xffffffff);
	outb(EMPTY_PORT, 1);
	CHECK_IS(inb(EMPTY_PORT), 0xff);
	CHECK_IS(inl(0xcf8), 0xffffffff);
	CHECK_IS(inb(PORT_EXIT), 0);
}

const struct tiny_case cpu_cases[] = {
	{ "HV-vps", "INIT and SIPI start every VP, with an index of its own",
	  vps, NULL },
	{ "HV-ports", "a port without a device reads as all ones", ports,
	  NULL },
	{ "X-05", "each self-NMI runs its handler once, exits in between",
	  x_05, NULL },
	{ "X-06", "an interrupt that meets an intercept is delivered once",
	  x_06, NULL },
	{ "X-08", "registers survive exits of all kinds", x_08, NULL },
	{ 0 },
};
