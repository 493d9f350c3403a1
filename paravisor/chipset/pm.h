/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware: power management registers, timer and reset port.
 *
 * Source: ACPI specification 6.4, chapter 4.8 (fixed hardware registers) and
 * 4.8.3.6 (reset register). The addresses are ours; acpi.c tells them to the
 * guest.
 *
 * Threads: none and no lock; the owner serialises. Callbacks run under it and
 * must not come back.
 */
#ifndef CHIPSET_PM_H
#define CHIPSET_PM_H

#include <stdbool.h>
#include <stdint.h>

/* Port layout, shared with acpi.c. */
#define PM_BASE 0x400u
#define PM_EVENT_OFFSET 0u   /* status, then enable; 2 bytes each */
#define PM_EVENT_SIZE 4u
#define PM_CONTROL_OFFSET 4u
#define PM_CONTROL_SIZE 2u
#define PM_TIMER_OFFSET 8u
#define PM_TIMER_SIZE 4u
#define PM_SIZE 12u
#define PM_RESET_PORT 0xcf9u
#define PM_RESET_VALUE 0x06u
#define PM_SCI 9u            /* the interrupt, level-triggered */
#define PM_SLEEP_TYPE_S5 5u
#define PM_TIMER_HZ 3579545u

struct pm_ops {
	void (*sci)(void *opaque, bool level); /* on changes only */
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
};

struct pm {
	const struct pm_ops *ops;
	void *opaque;
	uint64_t (*now)(void); /* ns, monotonic */
	uint64_t start;	       /* when the timer was 0 */
	uint64_t wraps_seen;   /* changes of the timer's top bit */
	uint16_t status, enable, control;
	bool level;
	uint64_t refused; /* writes that ask for what is not there */
};

void pm_init(struct pm *pm, const struct pm_ops *ops, void *opaque,
	     uint64_t (*now)(void));

/* As at power-up; the SCI goes low. The timer runs on. */
void pm_reset(struct pm *pm);

/* The power button was pressed and let go. */
void pm_power_button(struct pm *pm);

/* The block at PM_BASE, and the one byte at PM_RESET_PORT; the form of a bus
 * region's callbacks. */
uint64_t pm_read(void *pm, uint64_t offset, unsigned int size);
void pm_write(void *pm, uint64_t offset, unsigned int size, uint64_t value);
uint64_t pm_reset_port_read(void *pm, uint64_t offset, unsigned int size);
void pm_reset_port_write(void *pm, uint64_t offset, unsigned int size,
			 uint64_t value);

#endif
