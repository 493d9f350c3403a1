/* SPDX-License-Identifier: MIT */
/*
 * The local APIC of a VP's VTL2, in user space (AMD64 APM volume 2, chapter
 * 16; Intel SDM volume 3, chapter "APIC"), xAPIC mode.
 *
 * It knows neither KVM nor the machine: time comes in as reference time, IPIs
 * leave by a callback.
 */
#ifndef VMM_LAPIC_H
#define VMM_LAPIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LAPIC_BASE 0xfee00000u
#define LAPIC_SIZE 0x1000u
/* Rate of the APIC timer before its divider. */
#define LAPIC_HZ 200000000u

#define LAPIC_LVTS 6 /* timer, thermal, performance, LINT0, LINT1, error */

/* Interrupt command, the layout of the ICR (SDM, "ICR"). */
#define LAPIC_ICR_VECTOR 0xffu
#define LAPIC_ICR_MODE_SHIFT 8
#define LAPIC_ICR_MODE_MASK 0x7u
#define LAPIC_ICR_LOGICAL (1u << 11)
#define LAPIC_ICR_SHORTHAND_SHIFT 18
#define LAPIC_ICR_SHORTHAND_MASK 0x3u
#define LAPIC_ICR_WRITABLE 0x000ccfffu

enum lapic_mode {
	LAPIC_FIXED = 0,
	LAPIC_LOWEST = 1,
	LAPIC_NMI = 4,
	LAPIC_INIT = 5,
	LAPIC_STARTUP = 6,
};

enum lapic_shorthand {
	LAPIC_DESTINATION = 0,
	LAPIC_SELF = 1,
	LAPIC_ALL = 2,
	LAPIC_OTHERS = 3,
};

struct lapic {
	/* Any thread may set bits here; only the VP's takes them away. */
	_Atomic uint64_t irr[4];
	_Atomic uint32_t nmis; /* pending NMIs, at most 2 */
	_Atomic uint32_t ldr, dfr; /* read by senders of logical IPIs */

	/* The VP's thread only. */
	uint8_t id;
	uint64_t isr[4];
	uint64_t tmr[4];
	uint32_t tpr, svr, esr;
	uint32_t icr_low, icr_high;
	uint32_t lvt[LAPIC_LVTS];
	uint32_t timer_initial, timer_divide;
	uint64_t timer_start; /* reference time of the last (re)load */
	uint64_t timer_due;   /* reference time, 0: stopped */

	/* Sends what was written to the ICR. */
	void (*send)(void *opaque, uint32_t icr, uint8_t destination);
	void *opaque;

	/* Counters; the VP's thread. */
	uint64_t accepted, eois;
};

/* Power-up state. */
void lapic_init(struct lapic *l, uint8_t id,
		void (*send)(void *opaque, uint32_t icr, uint8_t destination),
		void *opaque);

/* An edge interrupt or an NMI. Any thread; the caller then kicks the VP. */
void lapic_post(struct lapic *l, uint8_t vector);
void lapic_post_nmi(struct lapic *l);

/* The vector to deliver next, above the processor priority; -1 when none. */
int lapic_deliverable(const struct lapic *l);
/* lapic_deliverable() moved from IRR to ISR: the CPU takes it. */
int lapic_accept(struct lapic *l);
/* Takes one NMI if there is one. */
bool lapic_accept_nmi(struct lapic *l);
bool lapic_nmi_pending(const struct lapic *l);
/* The vector of the one interrupt that is in the IRR; -1 when it has none, or
 * more. */
int lapic_only(const struct lapic *l);

void lapic_eoi(struct lapic *l);
/* May the guest end the interrupt it was just given without telling us? Only
 * if nothing waits for that end. */
bool lapic_eoi_optional(const struct lapic *l);

uint32_t lapic_read(struct lapic *l, uint32_t offset, uint64_t now);
void lapic_write(struct lapic *l, uint32_t offset, uint32_t value,
		 uint64_t now);
void lapic_write_icr(struct lapic *l, uint64_t icr);

/* Does a fixed-destination IPI mean this APIC? Any thread. */
bool lapic_matches(const struct lapic *l, uint8_t destination, bool logical);

/* Fires the timer if it is due; its next deadline, 0 for none. */
uint64_t lapic_timer(struct lapic *l, uint64_t now);

#endif
