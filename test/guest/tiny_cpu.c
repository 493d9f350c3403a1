// SPDX-License-Identifier: MIT
/*
 * Processors of the tiny guest, theory of operation
 *
 * Owns the page tables (one to one, RWX, 2 MiB pages), the IDT, the local APIC
 * and one struct tiny_vp per VP. Interrupts are on everywhere; each one is
 * counted by its vector and gets an EOI, nothing else happens in them.
 *
 * Exceptions: an instruction that may fault is written with RECOVERY, which
 * leaves the pair (this instruction, where to go on) in a table. A fault there
 * is noted in the VP and goes on there; likewise one at an address that
 * try_execute() called, as if it had returned. Any other is the end: one line
 * that says where, and power-off. NMIs are counted.
 *
 * APs wait in HLT; vp_begin() leaves a function and sends an IPI.
 */
#include "tiny.h"
#include "tiny_hv.h"

#define TRAMPOLINE 0x10000u
#define APIC_BASE 0xfee00000u
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR 0x300
#define APIC_ICR_BUSY (1u << 12)
#define SPURIOUS_VECTOR 0xff
#define GIB (1ull << 30)
#define LARGE_PAGE (2ull << 20)
#define PTE_PRESENT_WRITE 3u
#define PTE_LARGE (1u << 7)
#define MAPPED_GIBS 16
#define SELECTOR_CODE 0x10
#define GATE 0x8e00u

struct recovery {
	uint64_t from, to;
};
extern const struct recovery tiny_recovery[]; /* ends with zeroes */

/* As tiny_start.S pushes it. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx,
		rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
	uint16_t low, selector, flags, middle;
	uint32_t high, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

union vp_stack {
	struct tiny_vp vp;
	uint8_t stack[TINY_STACK];
};
_Static_assert(sizeof(union vp_stack) == TINY_STACK, "stack");

/* Known to tiny_start.S. */
extern union vp_stack tiny_vps[];
extern const uint8_t tiny_vectors[], tiny_trampoline[];
extern const struct {
	uint64_t size;	     /* of the trampoline */
	uint64_t stack, cr3; /* where in it they are put */
} tiny_trampoline_layout;
void tiny_interrupt(struct frame *f);
void tiny_ap_main(void);

__attribute__((aligned(TINY_STACK))) union vp_stack tiny_vps[TINY_MAX_VPS];
uint32_t nr_vps = 1;

static __attribute__((aligned(TINY_PAGE))) uint64_t pml4[512], pdpt[512];
static __attribute__((aligned(TINY_PAGE))) uint64_t pds[MAPPED_GIBS][512];
static unsigned int nr_pds;
static struct gate idt[256];
static uint64_t tsc_per_ms;

struct tiny_vp *this_vp(void)
{
	uint64_t rsp;

	__asm__("mov %%rsp, %0" : "=r"(rsp));
	return (struct tiny_vp *)(rsp & ~(uint64_t)(TINY_STACK - 1));
}

struct tiny_vp *vp_at(uint32_t number)
{
	return &tiny_vps[number].vp;
}

/* ---- memory ---- */

void map_gib(uint64_t address)
{
	uint64_t gib = address / GIB, *pd;

	if (pdpt[gib])
		return;
	if (nr_pds == MAPPED_GIBS) {
		print("Bail out! more than %d GiB mapped\n", MAPPED_GIBS);
		power_off();
	}
	pd = pds[nr_pds++];
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = (gib * GIB + i * LARGE_PAGE) | PTE_LARGE |
			PTE_PRESENT_WRITE;
	pdpt[gib] = (uint64_t)pd | PTE_PRESENT_WRITE;
}

static void load_page_tables(void)
{
	for (uint64_t gib = 0; gib < 4; gib++)
		map_gib(gib * GIB);
	pml4[0] = (uint64_t)pdpt | PTE_PRESENT_WRITE;
	__asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
}

/* ---- exceptions and interrupts ---- */

static void load_idt(void)
{
	struct table_pointer pointer = { sizeof(idt) - 1, (uint64_t)idt };

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void fill_idt(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t at = (uint64_t)tiny_vectors + 16 * i;

		idt[i] = (struct gate){
			.low = (uint16_t)at,
			.selector = SELECTOR_CODE,
			.flags = GATE,
			.middle = (uint16_t)(at >> 16),
			.high = (uint32_t)(at >> 32),
		};
	}
}

static bool recover(struct tiny_vp *vp, struct frame *f)
{
	const struct recovery *r = tiny_recovery;

	if (vp->probed && f->rip == vp->probed) {
		uint64_t *stack = (uint64_t *)f->rsp;

		f->rip = *stack;
		f->rsp += sizeof(*stack);
		return true;
	}
	for (; r->from; r++)
		if (r->from == f->rip) {
			f->rip = r->to;
			return true;
		}
	return false;
}

static void exception(struct tiny_vp *vp, struct frame *f)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	vp->fault = (struct tiny_fault){ (int)f->vector, (uint32_t)f->error,
					 cr2 };
	if (recover(vp, f))
		return;
	print("Bail out! exception %lu (%#lx) at %#lx on VP %u, CR2 %#lx\n",
	      f->vector, f->error, f->rip, vp->number, cr2);
	power_off();
}

void tiny_interrupt(struct frame *f)
{
	struct tiny_vp *vp = this_vp();

	vp->interrupts[f->vector]++;
	if (f->vector < 32 && f->vector != 2)
		exception(vp, f);
	else if (f->vector >= 32 && f->vector != SPURIOUS_VECTOR)
		apic_write(APIC_EOI, 0);
}

/* ---- instructions on trial ---- */

bool msr_read(uint32_t msr, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	uint8_t done = 0;

	__asm__ volatile("1: rdmsr\n\tmov $1, %0\n2:\n" RECOVERY
			 : "+r"(done), "+a"(low), "+d"(high)
			 : "c"(msr) : "memory");
	*value = (uint64_t)high << 32 | low;
	return done;
}

bool msr_write(uint32_t msr, uint64_t value)
{
	uint8_t done = 0;

	__asm__ volatile("1: wrmsr\n\tmov $1, %0\n2:\n" RECOVERY
			 : "+r"(done)
			 : "c"(msr), "a"((uint32_t)value),
			   "d"((uint32_t)(value >> 32)) : "memory");
	return done;
}

bool try_read(uint64_t address, uint64_t *value)
{
	uint64_t v = 0;
	uint8_t done = 0;

	__asm__ volatile("1: mov (%2), %1\n\tmov $1, %0\n2:\n" RECOVERY
			 : "+r"(done), "+r"(v) : "r"(address) : "memory");
	*value = v;
	return done;
}

bool try_write(uint64_t address, uint64_t value)
{
	uint8_t done = 0;

	__asm__ volatile("1: mov %2, (%1)\n\tmov $1, %0\n2:\n" RECOVERY
			 : "+r"(done) : "r"(address), "r"(value) : "memory");
	return done;
}

bool try_execute(uint64_t address)
{
	struct tiny_vp *vp = this_vp();

	vp->fault.vector = -1;
	vp->probed = address;
	__asm__ volatile("call *%0" : : "r"(address)
			 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
			   "r10", "r11", "cc", "memory");
	vp->probed = 0;
	return vp->fault.vector == -1;
}

struct cpuid cpuid(uint32_t leaf, uint32_t index)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "0"(leaf), "2"(index));
	return r;
}

/* ---- time ---- */

uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

uint64_t ticks_per_ms(void)
{
	return tsc_per_ms;
}

uint64_t deadline(uint32_t ms)
{
	return ticks() + ms * tsc_per_ms;
}

void delay(uint32_t ms)
{
	uint64_t end = deadline(ms);

	while (!passed(end))
		relax();
}

/* ---- local APIC and VPs ---- */

uint32_t apic_read(uint32_t offset)
{
	return *(volatile uint32_t *)(uint64_t)(APIC_BASE + offset);
}

void apic_write(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(uint64_t)(APIC_BASE + offset) = value;
}

void apic_send(uint32_t apic_id, uint32_t icr)
{
	while (apic_read(APIC_ICR) & APIC_ICR_BUSY)
		relax();
	apic_write(APIC_ICR + 0x10, apic_id << 24);
	apic_write(APIC_ICR, icr);
}

static void apic_on(void)
{
	apic_write(APIC_SPURIOUS, 0x100 | SPURIOUS_VECTOR);
	__asm__ volatile("sti" ::: "memory");
}

void tiny_ap_main(void)
{
	struct tiny_vp *vp = this_vp();

	load_idt();
	apic_on();
	vp->up = true;
	for (;;) {
		__asm__ volatile("cli" ::: "memory");
		if (vp->work) {
			__asm__ volatile("sti" ::: "memory");
			vp->work();
			vp->work = NULL;
		} else {
			__asm__ volatile("sti; hlt" ::: "memory");
		}
	}
}

static bool start(struct tiny_vp *vp)
{
	uint8_t *page = (uint8_t *)(uint64_t)TRAMPOLINE;
	uint64_t stack = (uint64_t)vp + TINY_STACK, root = (uint64_t)pml4, end;

	memcpy(page, tiny_trampoline, tiny_trampoline_layout.size);
	memcpy(page + tiny_trampoline_layout.stack, &stack, sizeof(stack));
	memcpy(page + tiny_trampoline_layout.cr3, &root, sizeof(root));
	apic_send(vp->apic_id, ICR_INIT | ICR_ASSERT);
	delay(1);
	for (int i = 0; i < 2 && !vp->up; i++) {
		apic_send(vp->apic_id, ICR_STARTUP | ICR_ASSERT |
					       TRAMPOLINE >> 12);
		for (end = deadline(500); !vp->up && !passed(end);)
			relax();
	}
	return vp->up;
}

bool vps_start(void)
{
	for (uint32_t i = 0; i < nr_vps; i++) {
		struct tiny_vp *vp = vp_at(i);

		if (!vp->up && vp != this_vp() && !start(vp))
			return false;
	}
	return true;
}

void vp_begin(uint32_t number, void (*work)(void))
{
	struct tiny_vp *vp = vp_at(number);

	vp->work = work;
	apic_send(vp->apic_id, IPI_VECTOR | ICR_ASSERT);
}

bool vp_done(uint32_t number, uint32_t ms)
{
	uint64_t end = deadline(ms);

	while (vp_at(number)->work && !passed(end))
		relax();
	return !vp_at(number)->work;
}

bool vp_run(uint32_t number, void (*work)(void), uint32_t ms)
{
	vp_begin(number, work);
	return vp_done(number, ms);
}

void cpu_init(void)
{
	uint64_t hz = 0;

	load_page_tables();
	fill_idt();
	load_idt();
	apic_on();
	this_vp()->up = true;
	/* Where the hypervisor does not say: a guess, for deadlines. */
	if (!msr_read(HV_MSR_TSC_FREQUENCY, &hz) || hz < 1000000)
		hz = 2000000000;
	tsc_per_ms = hz / 1000;
}
