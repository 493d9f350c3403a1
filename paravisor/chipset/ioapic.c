/* SPDX-License-Identifier: MIT */
/*
 * I/O APIC, theory of operation
 *
 * Owns: 24 redirection entries and the levels of 24 inputs. An input leads to
 * an interrupt as its entry says:
 *
 *	edge    on inactive -> active, if not masked; a masked edge is lost
 *	        (and counted), as in the chip
 *	level   idle --active, not masked--> asserted (remote IRR set)
 *	        asserted --EOI of the vector--> idle, and at once asserted
 *	        again if the input is still active and not masked
 *
 * An entry that becomes edge-triggered loses its remote IRR: drivers use that
 * to forget an interrupt whose EOI got lost.
 *
 * Polarity is kept and means nothing: who drives an input says active or not.
 *
 * Failure answers: reserved registers read as 0 and ignore writes; a pin that
 * does not exist is a bug of ours.
 */
#include <string.h>

#include <pv/log.h>

#include "ioapic.h"

/* Direct registers. */
#define IOAPIC_SELECT 0x00u
#define IOAPIC_WINDOW 0x10u
/* Indirect ones. */
#define IOAPIC_ID 0x00u
#define IOAPIC_VERSION 0x01u
#define IOAPIC_ARBITRATION 0x02u
#define IOAPIC_TABLE 0x10u

#define IOAPIC_ID_SHIFT 24
#define IOAPIC_ID_MASK 0x0fu
#define IOAPIC_VERSION_VALUE (0x11u | (IOAPIC_PINS - 1) << 16)

/* Redirection entry. */
#define ENTRY_VECTOR_MASK 0xffull
#define ENTRY_MODE_SHIFT 8
#define ENTRY_MODE_MASK 7u
#define ENTRY_LOGICAL (1ull << 11)
#define ENTRY_PENDING (1ull << 12) /* read only, never seen */
#define ENTRY_REMOTE_IRR (1ull << 14) /* read only */
#define ENTRY_LEVEL (1ull << 15)
#define ENTRY_MASKED (1ull << 16)
#define ENTRY_DESTINATION_SHIFT 56
#define ENTRY_WRITABLE                                                     \
	(0xff00000000000000ull | 0x1afffull)

static void assert_pin(struct ioapic *io, unsigned int pin)
{
	uint64_t entry = io->entry[pin];
	struct ioapic_message message = {
		.vector = entry & ENTRY_VECTOR_MASK,
		.delivery_mode = entry >> ENTRY_MODE_SHIFT & ENTRY_MODE_MASK,
		.level = entry & ENTRY_LEVEL,
		.logical = entry & ENTRY_LOGICAL,
		.destination = entry >> ENTRY_DESTINATION_SHIFT,
	};

	if (message.level)
		io->entry[pin] |= ENTRY_REMOTE_IRR;
	io->asserts++;
	io->assert(io->opaque, &message);
}

/* Level-triggered pins only. */
static void evaluate(struct ioapic *io, unsigned int pin)
{
	uint64_t entry = io->entry[pin];

	if (io->line[pin] && (entry & ENTRY_LEVEL) &&
	    !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		assert_pin(io, pin);
}

void ioapic_init(struct ioapic *io,
		 void (*assert)(void *opaque,
				const struct ioapic_message *message),
		 void *opaque)
{
	memset(io, 0, sizeof(*io));
	io->assert = assert;
	io->opaque = opaque;
	ioapic_reset(io);
}

void ioapic_reset(struct ioapic *io)
{
	io->id = 0;
	io->select = 0;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		io->entry[pin] = ENTRY_MASKED;
}

void ioapic_set_line(struct ioapic *io, unsigned int pin, bool active)
{
	bool rises;

	pv_bug(pin >= IOAPIC_PINS, pin, IOAPIC_PINS);
	rises = active && !io->line[pin];
	io->line[pin] = active;
	if (io->entry[pin] & ENTRY_LEVEL)
		evaluate(io, pin);
	else if (rises && !(io->entry[pin] & ENTRY_MASKED))
		assert_pin(io, pin);
	else if (rises)
		io->lost_edges++;
}

void ioapic_eoi(void *opaque, uint8_t vector)
{
	struct ioapic *io = opaque;

	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t entry = io->entry[pin];

		if (!(entry & ENTRY_REMOTE_IRR) ||
		    (entry & ENTRY_VECTOR_MASK) != vector)
			continue;
		io->entry[pin] &= ~ENTRY_REMOTE_IRR;
		evaluate(io, pin);
	}
}

static uint32_t window_read(const struct ioapic *io)
{
	unsigned int pin = (io->select - IOAPIC_TABLE) / 2;

	switch (io->select) {
	case IOAPIC_ID:
	case IOAPIC_ARBITRATION:
		return (uint32_t)io->id << IOAPIC_ID_SHIFT;
	case IOAPIC_VERSION:
		return IOAPIC_VERSION_VALUE;
	}
	if (io->select < IOAPIC_TABLE || pin >= IOAPIC_PINS)
		return 0;
	return io->select & 1 ? io->entry[pin] >> 32 : io->entry[pin];
}

static void window_write(struct ioapic *io, uint32_t value)
{
	unsigned int pin = (io->select - IOAPIC_TABLE) / 2;
	uint64_t entry, wanted;

	if (io->select == IOAPIC_ID)
		io->id = value >> IOAPIC_ID_SHIFT & IOAPIC_ID_MASK;
	if (io->select < IOAPIC_TABLE || pin >= IOAPIC_PINS)
		return;
	entry = io->entry[pin];
	if (io->select & 1)
		wanted = (entry & 0xffffffffull) | (uint64_t)value << 32;
	else
		wanted = (entry & ~0xffffffffull) | value;
	entry = (wanted & ENTRY_WRITABLE) | (entry & ENTRY_REMOTE_IRR);
	if (!(entry & ENTRY_LEVEL))
		entry &= ~ENTRY_REMOTE_IRR;
	io->entry[pin] = entry;
	evaluate(io, pin);
}

uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct ioapic *io = opaque;
	uint64_t base = offset & ~3ull;
	uint32_t value = 0;

	(void)size; /* the bus cuts what is too wide */
	if (base == IOAPIC_SELECT)
		value = io->select;
	else if (base == IOAPIC_WINDOW)
		value = window_read(io);
	return value >> (8 * (offset & 3));
}

void ioapic_write(void *opaque, uint64_t offset, unsigned int size,
		  uint64_t value)
{
	struct ioapic *io = opaque;

	if (offset == IOAPIC_SELECT)
		io->select = value;
	else if (offset == IOAPIC_WINDOW && size >= 4)
		window_write(io, value); /* the chip takes whole words only */
}
