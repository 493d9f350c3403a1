/* SPDX-License-Identifier: MIT */
/*
 * An I/O APIC with 24 inputs.
 *
 * Source: Intel 82093AA data sheet, with version 0x11. There is no APIC bus:
 * an interrupt is a call, and its end comes back as a broadcast EOI (the
 * processor's, or the hypervisor's ApicEoi intercept).
 *
 * Threads: none and no lock; the owner serialises. The callback runs under it
 * and must not come back.
 */
#ifndef CHIPSET_IOAPIC_H
#define CHIPSET_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_BASE 0xfec00000u /* the usual place; acpi.c tells the guest */
#define IOAPIC_SIZE 0x1000u
#define IOAPIC_PINS 24u

/* An interrupt for the local APICs. */
struct ioapic_message {
	uint8_t vector;
	uint8_t delivery_mode; /* 0 fixed, 1 lowest priority, 2 SMI, 4 NMI,
				* 5 INIT, 7 ExtINT */
	bool level;	       /* an EOI is expected */
	bool logical;	       /* meaning of the destination */
	uint8_t destination;
};

struct ioapic {
	void (*assert)(void *opaque, const struct ioapic_message *message);
	void *opaque;
	uint8_t id, select;
	uint64_t entry[IOAPIC_PINS]; /* redirection table */
	bool line[IOAPIC_PINS];	     /* the inputs; active = true */
	uint64_t asserts, lost_edges;
};

void ioapic_init(struct ioapic *io,
		 void (*assert)(void *opaque,
				const struct ioapic_message *message),
		 void *opaque);

/* As at power-up: all masked. The inputs keep their levels. */
void ioapic_reset(struct ioapic *io);

void ioapic_set_line(struct ioapic *io, unsigned int pin, bool active);

/* A local APIC ended a level interrupt with this vector. */
void ioapic_eoi(void *io, uint8_t vector);

/* Registers; the form of a bus region's callbacks. */
uint64_t ioapic_read(void *io, uint64_t offset, unsigned int size);
void ioapic_write(void *io, uint64_t offset, unsigned int size,
		  uint64_t value);

#endif
