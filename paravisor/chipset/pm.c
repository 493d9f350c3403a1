/* SPDX-License-Identifier: MIT */
/*
 * ACPI fixed hardware, theory of operation
 *
 * Owns: PM1a status, enable and control, and the start of the timer.
 *
 *	SCI = status & enable, power and sleep buttons, RTC, global lock and
 *	      timer bits; level, told on changes
 *
 * The hardware is always in ACPI mode: SCI_EN reads as 1 and there is no SMI.
 * There is no firmware either that could hold the global lock: when the guest
 * says that it has released the lock (GBL_RLS), it is told the same at once
 * (GBL_STS), and so cannot wait in vain.
 * Sleeping is S5 only: SLP_EN with that type powers off, any other type is
 * counted and ignored (the guest was told of no other).
 *
 * The timer counts 3.579545 MHz from the start, 32 bits wide. Its status bit
 * tells that the top bit changed since the bit was last cleared; that is found
 * out when somebody looks, and never raises an SCI by itself: a guest with 32
 * timer bits has twenty minutes to look.
 *
 * Failure answers: none are needed; an access of any size is taken as the
 * bytes it consists of.
 */
#include <string.h>

#include <pv/log.h>

#include "pm.h"

LOG_MODULE("pm");

/* PM1 status and enable (ACPI 6.4, 4.8.3.1). */
#define PM1_TIMER (1u << 0)
#define PM1_BUS_MASTER (1u << 4) /* status only */
#define PM1_GLOBAL_LOCK (1u << 5)
#define PM1_POWER_BUTTON (1u << 8)
#define PM1_SLEEP_BUTTON (1u << 9)
#define PM1_RTC (1u << 10)
#define PM1_WAKE (1u << 15) /* status only */
#define PM1_ENABLES                                                        \
	(PM1_TIMER | PM1_GLOBAL_LOCK | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | \
	 PM1_RTC)
/* PM1 control (ACPI 6.4, 4.8.3.2). */
#define PM1_SCI_EN (1u << 0)
#define PM1_GLOBAL_RELEASE (1u << 2) /* write only */
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_TYPE_MASK 7u
#define PM1_SLEEP_ENABLE (1u << 13) /* write only */
#define PM1_CONTROL_KEPT                                                   \
	(PM1_SCI_EN | 1u << 1 | PM1_SLEEP_TYPE_MASK << PM1_SLEEP_TYPE_SHIFT)

static uint64_t ticks(const struct pm *pm)
{
	uint64_t ns = pm->now() - pm->start;
	uint64_t seconds = ns / 1000000000u;

	/* Split, so that the product does not overflow after an hour. */
	return seconds * PM_TIMER_HZ +
	       ns % 1000000000u * PM_TIMER_HZ / 1000000000u;
}

static uint16_t status(struct pm *pm)
{
	uint64_t wraps = ticks(pm) >> 31;

	if (wraps != pm->wraps_seen) {
		pm->wraps_seen = wraps;
		pm->status |= PM1_TIMER;
	}
	return pm->status;
}

static void update_sci(struct pm *pm)
{
	bool level = status(pm) & pm->enable & PM1_ENABLES;

	if (level == pm->level)
		return;
	pm->level = level;
	pm->ops->sci(pm->opaque, level);
}

void pm_init(struct pm *pm, const struct pm_ops *ops, void *opaque,
	     uint64_t (*now)(void))
{
	*pm = (struct pm){
		.ops = ops,
		.opaque = opaque,
		.now = now,
		.start = now(),
		.control = PM1_SCI_EN,
	};
}

void pm_reset(struct pm *pm)
{
	pm->status = 0;
	pm->enable = 0;
	pm->control = PM1_SCI_EN;
	update_sci(pm);
}

void pm_power_button(struct pm *pm)
{
	pm->status |= PM1_POWER_BUTTON;
	update_sci(pm);
}

static uint8_t read_byte(struct pm *pm, uint64_t offset)
{
	switch (offset) {
	case 0:
	case 1:
		return status(pm) >> (8 * offset);
	case 2:
	case 3:
		return pm->enable >> (8 * (offset - 2));
	case 4:
	case 5:
		return pm->control >> (8 * (offset - 4));
	default:
		return 0xff;
	}
}

uint64_t pm_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct pm *pm = opaque;
	uint64_t value = 0, timer = ticks(pm);

	for (unsigned int i = 0; i < size; i++) {
		uint64_t at = offset + i;
		uint8_t byte;

		/* One look at the clock for all four bytes. */
		if (at >= PM_TIMER_OFFSET &&
		    at < PM_TIMER_OFFSET + PM_TIMER_SIZE)
			byte = timer >> (8 * (at - PM_TIMER_OFFSET));
		else
			byte = read_byte(pm, at);
		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

static void write_control(struct pm *pm, uint16_t value)
{
	unsigned int type = value >> PM1_SLEEP_TYPE_SHIFT & PM1_SLEEP_TYPE_MASK;

	pm->control = (value & PM1_CONTROL_KEPT) | PM1_SCI_EN;
	if (value & PM1_GLOBAL_RELEASE)
		pm->status |= PM1_GLOBAL_LOCK;
	if (!(value & PM1_SLEEP_ENABLE))
		return;
	if (type == PM_SLEEP_TYPE_S5) {
		pm->ops->power_off(pm->opaque);
		return;
	}
	pm->refused++;
	log_warn_limited("sleep type %u: only %u (S5) exists", type,
			 PM_SLEEP_TYPE_S5);
}

static void write_byte(struct pm *pm, uint64_t offset, uint8_t byte)
{
	unsigned int shift = 8 * (offset % 2);
	uint16_t others = 0xff00u >> shift;
	uint16_t value = byte << shift;

	switch (offset) {
	case 0:
	case 1:
		pm->status = status(pm) & ~value; /* ones clear */
		break;
	case 2:
	case 3:
		pm->enable = ((pm->enable & others) | value) & PM1_ENABLES;
		break;
	case 4:
	case 5:
		write_control(pm, (pm->control & others) | value);
		break;
	}
}

void pm_write(void *opaque, uint64_t offset, unsigned int size,
	      uint64_t value)
{
	struct pm *pm = opaque;

	for (unsigned int i = 0; i < size; i++)
		write_byte(pm, offset + i, value >> (8 * i));
	update_sci(pm);
}

uint64_t pm_reset_port_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

void pm_reset_port_write(void *opaque, uint64_t offset, unsigned int size,
			 uint64_t value)
{
	struct pm *pm = opaque;

	(void)offset;
	(void)size;
	/* Bit 1 alone chooses the kind of reset; bit 2 does it. */
	if (value & 0x04)
		pm->ops->reset(pm->opaque);
}
