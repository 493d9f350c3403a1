/* SPDX-License-Identifier: MIT */
/*
 * The guest's platform: every device that is neither a processor nor on VMBus.
 *
 *	I/O APIC   0xfec00000
 *	COM1, COM2 0x3f8 IRQ 4, 0x2f8 IRQ 3
 *	RTC        0x70
 *	ACPI       0x400 SCI 9, reset port 0xcf9
 *	and ports known to be empty, which every PC kernel tries
 *
 * Threads: those of bus.h; all callbacks run under the bus's lock and must not
 * come back.
 */
#ifndef CHIPSET_CHIPSET_H
#define CHIPSET_CHIPSET_H

#include <pv/uart.h>

#include "bus.h"
#include "ioapic.h"
#include "pm.h"
#include "rtc.h"

struct chipset_ops {
	void (*interrupt)(void *opaque, const struct ioapic_message *message);
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
	int64_t (*wall_clock)(void *opaque); /* see rtc.h */
	uint64_t (*now)(void);		     /* ns, monotonic */
};

#define CHIPSET_COMS 2
#define CHIPSET_MAX_REGIONS 24

struct chipset;

struct chipset_com {
	struct uart uart;
	struct chipset *chipset;
	unsigned int irq;
};

struct chipset {
	const struct chipset_ops *ops;
	void *opaque;
	struct bus bus;
	struct ioapic ioapic;
	struct pm pm;
	struct rtc rtc;
	struct chipset_com com[CHIPSET_COMS];
	bool has_com[CHIPSET_COMS];
	struct bus_region regions[CHIPSET_MAX_REGIONS];
	unsigned int nr_regions;
	struct inspect_entry inspect;
};

/* Builds all; a port whose tty is NULL is not there. */
void chipset_init(struct chipset *cs, const struct chipset_ops *ops,
		  void *opaque, struct tty *com1, struct tty *com2);

/* uart_wait_for_rts() of a port, if it is there. Under the bus's lock. */
void chipset_com_wait(struct chipset *cs, unsigned int n, bool wait);

/* Reset of the machine: all devices as at power-up. Takes the lock. No VP
 * runs the guest. */
void chipset_reset(struct chipset *cs);

/* Publishes the tree `chipset`. */
void chipset_inspect_register(struct chipset *cs);

#endif
