// SPDX-License-Identifier: MIT
/*
 * The local APIC of VTL2.
 *
 * Why not KVM's: VTL2 must be entered when an interrupt comes for it while its
 * vCPU is not running but VTL0's is. KVM tells nobody of that. With the APIC
 * here, the question "is one deliverable" is a look at our own memory.
 *
 *	any thread                      the VP's thread
 *	lapic_post() ---set---> IRR --- lapic_accept() ---> ISR --- EOI ---> -
 *	                         |                           |
 *	                         `---- deliverable if above the processor
 *	                               priority: max(TPR, highest ISR)
 *
 * IRR is the only word that two threads write: senders set bits with an atomic
 * or, the VP's thread clears the one it moves to ISR. A vector posted while it
 * is in service stays in IRR and is delivered after its EOI; a vector posted
 * twice before delivery is one interrupt, as with real hardware. Nothing else
 * can get lost here; waking up the VP is vp.c's part, and drawn there.
 *
 * While the APIC is disabled by software (SVR), nothing is deliverable but
 * nothing is dropped either.
 *
 * Not modelled, because VTL2 has no IOAPIC and no legacy PIC: level triggered
 * interrupts, LINT pins, ExtINT, SMI, INIT and startup IPIs (APs are started by
 * hypercall). The timer has its one-shot and periodic modes; the TSC-deadline
 * mode is not in VTL2's CPUID.
 */
#include <string.h>

#include "lapic.h"

#define APIC_ID 0x020
#define APIC_VERSION 0x030
#define APIC_TPR 0x080
#define APIC_APR 0x090
#define APIC_PPR 0x0a0
#define APIC_EOI 0x0b0
#define APIC_LDR 0x0d0
#define APIC_DFR 0x0e0
#define APIC_SVR 0x0f0
#define APIC_ISR 0x100
#define APIC_TMR 0x180
#define APIC_IRR 0x200
#define APIC_ESR 0x280
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define VERSION 0x14u
#define SVR_ENABLE (1u << 8)
#define LVT_MASKED (1u << 16)
#define LVT_TIMER_PERIODIC (1u << 17)
#define LVT_VALID 0x000317ffu
#define DFR_FLAT 0xffffffffu

#define REF_TIME_HZ 10000000u

void lapic_init(struct lapic *l, uint8_t id,
		void (*send)(void *opaque, uint32_t icr, uint8_t destination),
		void *opaque)
{
	memset(l, 0, sizeof(*l));
	l->id = id;
	l->dfr = DFR_FLAT;
	l->svr = 0xff;
	for (int i = 0; i < LAPIC_LVTS; i++)
		l->lvt[i] = LVT_MASKED;
	l->send = send;
	l->opaque = opaque;
}

void lapic_post(struct lapic *l, uint8_t vector)
{
	atomic_fetch_or(&l->irr[vector / 64], 1ull << (vector % 64));
}

void lapic_post_nmi(struct lapic *l)
{
	/* One being handled and one waiting is all a CPU remembers. */
	if (atomic_fetch_add(&l->nmis, 1) >= 2)
		atomic_fetch_sub(&l->nmis, 1);
}

static int highest(const uint64_t bits[4])
{
	for (int i = 3; i >= 0; i--)
		if (bits[i])
			return i * 64 + 63 - __builtin_clzll(bits[i]);
	return -1;
}

static int highest_irr(const struct lapic *l)
{
	uint64_t irr[4];

	for (int i = 0; i < 4; i++)
		irr[i] = atomic_load(&l->irr[i]);
	return highest(irr);
}

static uint32_t processor_priority(const struct lapic *l)
{
	int isr = highest(l->isr);
	uint32_t service = isr < 0 ? 0 : (uint32_t)isr & 0xf0;

	return (l->tpr & 0xf0) >= service ? l->tpr : service;
}

int lapic_deliverable(const struct lapic *l)
{
	int vector = highest_irr(l);

	if (vector < 0 || !(l->svr & SVR_ENABLE))
		return -1;
	if (((uint32_t)vector & 0xf0) <= (processor_priority(l) & 0xf0))
		return -1;
	return vector;
}

int lapic_accept(struct lapic *l)
{
	int vector = lapic_deliverable(l);

	if (vector < 0)
		return -1;
	atomic_fetch_and(&l->irr[vector / 64], ~(1ull << (vector % 64)));
	l->isr[vector / 64] |= 1ull << (vector % 64);
	l->accepted++;
	return vector;
}

bool lapic_accept_nmi(struct lapic *l)
{
	if (!atomic_load(&l->nmis))
		return false;
	atomic_fetch_sub(&l->nmis, 1);
	return true;
}

bool lapic_nmi_pending(const struct lapic *l)
{
	return atomic_load(&l->nmis) != 0;
}

int lapic_only(const struct lapic *l)
{
	int only = -1;

	for (int i = 0; i < 4; i++) {
		uint64_t bits = atomic_load(&l->irr[i]);

		if (!bits)
			continue;
		if (only >= 0 || (bits & (bits - 1)))
			return -1;
		only = i * 64 + __builtin_ctzll(bits);
	}
	return only;
}

void lapic_eoi(struct lapic *l)
{
	int vector = highest(l->isr);

	l->eois++;
	if (vector >= 0)
		l->isr[vector / 64] &= ~(1ull << (vector % 64));
}

bool lapic_eoi_optional(const struct lapic *l)
{
	unsigned int in_service = 0;

	for (int i = 0; i < 4; i++)
		in_service += (unsigned int)__builtin_popcountll(l->isr[i]);
	return in_service == 1 && highest_irr(l) < 0;
}

static uint64_t timer_ticks(uint32_t divide, uint64_t ref_time)
{
	/* Divider encoding: bits 3, 1, 0; 7 means 1. */
	unsigned int code = (divide & 3) | (divide >> 1 & 4);
	unsigned int shift = (code + 1) & 7;

	return ref_time * (LAPIC_HZ / REF_TIME_HZ) >> shift;
}

static uint64_t timer_period(const struct lapic *l)
{
	unsigned int code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);
	unsigned int shift = (code + 1) & 7;
	uint64_t ticks = (uint64_t)l->timer_initial << shift;

	/* Rounded up: a timer never fires early. */
	return (ticks + LAPIC_HZ / REF_TIME_HZ - 1) / (LAPIC_HZ / REF_TIME_HZ);
}

static void timer_load(struct lapic *l, uint64_t now)
{
	l->timer_start = now;
	l->timer_due = l->timer_initial ? now + timer_period(l) : 0;
}

uint64_t lapic_timer(struct lapic *l, uint64_t now)
{
	uint64_t period;

	if (!l->timer_due || now < l->timer_due)
		return l->timer_due;
	if (!(l->lvt[0] & LVT_MASKED))
		lapic_post(l, (uint8_t)l->lvt[0]);
	if (l->lvt[0] & LVT_TIMER_PERIODIC) {
		/* Missed periods are one interrupt; the phase is kept. */
		period = timer_period(l);
		l->timer_start += (now - l->timer_start) / period * period;
		l->timer_due = l->timer_start + period;
	} else {
		l->timer_due = 0;
	}
	return l->timer_due;
}

static uint32_t timer_current(struct lapic *l, uint64_t now)
{
	uint64_t ticks;

	if (!l->timer_due)
		return 0;
	ticks = timer_ticks(l->timer_divide, now - l->timer_start);
	return ticks >= l->timer_initial ? 0 :
					   l->timer_initial - (uint32_t)ticks;
}

static uint32_t bitmap_word(const uint64_t bits[4], uint32_t offset)
{
	unsigned int word = offset >> 4 & 7;

	return (uint32_t)(bits[word / 2] >> (word % 2 * 32));
}

uint32_t lapic_read(struct lapic *l, uint32_t offset, uint64_t now)
{
	uint64_t irr[4];

	switch (offset) {
	case APIC_ID:
		return (uint32_t)l->id << 24;
	case APIC_VERSION:
		return VERSION | (LAPIC_LVTS - 1) << 16;
	case APIC_TPR:
		return l->tpr;
	case APIC_APR:
	case APIC_PPR:
		return processor_priority(l);
	case APIC_LDR:
		return l->ldr;
	case APIC_DFR:
		return l->dfr;
	case APIC_SVR:
		return l->svr;
	case APIC_ISR ... APIC_ISR + 0x70:
		return bitmap_word(l->isr, offset - APIC_ISR);
	case APIC_TMR ... APIC_TMR + 0x70:
		return bitmap_word(l->tmr, offset - APIC_TMR);
	case APIC_IRR ... APIC_IRR + 0x70:
		for (int i = 0; i < 4; i++)
			irr[i] = atomic_load(&l->irr[i]);
		return bitmap_word(irr, offset - APIC_IRR);
	case APIC_ESR:
		return l->esr;
	case APIC_ICR_LOW:
		return l->icr_low;
	case APIC_ICR_HIGH:
		return l->icr_high;
	case APIC_LVT_TIMER ... APIC_LVT_ERROR:
		return l->lvt[(offset - APIC_LVT_TIMER) >> 4];
	case APIC_TIMER_INITIAL:
		return l->timer_initial;
	case APIC_TIMER_CURRENT:
		return timer_current(l, now);
	case APIC_TIMER_DIVIDE:
		return l->timer_divide;
	default:
		return 0;
	}
}

void lapic_write_icr(struct lapic *l, uint64_t icr)
{
	l->icr_low = (uint32_t)icr & LAPIC_ICR_WRITABLE;
	l->icr_high = (uint32_t)(icr >> 32) & 0xff000000;
	l->send(l->opaque, l->icr_low, (uint8_t)(l->icr_high >> 24));
}

static void write_lvt(struct lapic *l, unsigned int index, uint32_t value,
		      uint64_t now)
{
	uint32_t old = l->lvt[index];

	l->lvt[index] = value & LVT_VALID;
	if (!(l->svr & SVR_ENABLE))
		l->lvt[index] |= LVT_MASKED;
	/* A one-shot that becomes periodic starts over, and the reverse. */
	if (index == 0 && (old ^ l->lvt[0]) & LVT_TIMER_PERIODIC)
		timer_load(l, now);
}

static void write_svr(struct lapic *l, uint32_t value)
{
	l->svr = value & 0x1ff;
	if (l->svr & SVR_ENABLE)
		return;
	for (int i = 0; i < LAPIC_LVTS; i++)
		l->lvt[i] |= LVT_MASKED;
}

void lapic_write(struct lapic *l, uint32_t offset, uint32_t value,
		 uint64_t now)
{
	switch (offset) {
	case APIC_ID:
		break; /* the id is the VP's for good */
	case APIC_TPR:
		l->tpr = value & 0xff;
		break;
	case APIC_EOI:
		lapic_eoi(l);
		break;
	case APIC_LDR:
		l->ldr = value & 0xff000000;
		break;
	case APIC_DFR:
		l->dfr = value | 0x0fffffff;
		break;
	case APIC_SVR:
		write_svr(l, value);
		break;
	case APIC_ESR:
		l->esr = 0;
		break;
	case APIC_ICR_LOW:
		lapic_write_icr(l, (uint64_t)l->icr_high << 32 | value);
		break;
	case APIC_ICR_HIGH:
		l->icr_high = value & 0xff000000;
		break;
	case APIC_LVT_TIMER ... APIC_LVT_ERROR:
		write_lvt(l, (offset - APIC_LVT_TIMER) >> 4, value, now);
		break;
	case APIC_TIMER_INITIAL:
		l->timer_initial = value;
		timer_load(l, now);
		break;
	case APIC_TIMER_DIVIDE:
		l->timer_divide = value & 0xb;
		timer_load(l, now);
		break;
	default:
		break;
	}
}

bool lapic_matches(const struct lapic *l, uint8_t destination, bool logical)
{
	uint8_t ldr = (uint8_t)(atomic_load(&l->ldr) >> 24);

	if (destination == 0xff)
		return true;
	if (!logical)
		return destination == l->id;
	if (atomic_load(&l->dfr) == DFR_FLAT)
		return (ldr & destination) != 0;
	return (ldr & 0xf0) == (destination & 0xf0) && (ldr & destination & 0xf);
}
