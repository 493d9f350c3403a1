// SPDX-License-Identifier: MIT
/*
 * Platform of a guest without VTL2, theory of operation
 *
 * Owns one chipset (paravisor/chipset: the very devices that the daemon gives
 * to its guest) and connects it to the machine:
 *
 *	VTL0's ports, the I/O APIC's page --> bus
 *	I/O APIC message --> machine_send_msi()
 *	EOI of a level interrupt --> bus_eoi()
 *	COM1, COM2 <--> streams of the user
 *	power-off, reset --> the end of the machine, or a new start
 *
 * Threads and locks: VPs come in by ports and MMIO, the loop's thread by the
 * streams. A stream calls its UART with its own lock held, and a UART calls
 * its stream; so the order is always
 *
 *	lock of the stream -> lock of the bus
 *
 * and a port access that touches a UART takes the stream's lock first.
 *
 * Failure answers: those of the chipset: an address without a device reads as
 * all ones. An interrupt message that KVM refuses is logged, with a limit.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "chipset.h"
#include "paravisor/chipset/chipset.h"

LOG_MODULE("chipset");

#define PORTS 0x10000u
#define STATS_SIZE 16384u
#define STATS_DEPTH 4

/* A stream and the UART that was put in front of it. */
struct com_stream {
	struct serial_back *back;
	struct vtl0_chipset *owner;
	const struct tty_front_ops *uart;
	void *uart_opaque;
	uint64_t port;
};

struct vtl0_chipset {
	struct machine *machine;
	struct chipset chipset;
	struct com_stream com[CHIPSET_COMS];
	struct io_region ports, ioapic;
};

/* ---- what the chipset wants of the machine ---- */

static void interrupt(void *opaque, const struct ioapic_message *message)
{
	struct vtl0_chipset *cs = opaque;
	uint64_t address = MSI_ADDRESS_BASE |
			   (uint64_t)message->destination
				   << MSI_ADDRESS_DESTINATION_SHIFT |
			   (message->logical ? MSI_ADDRESS_LOGICAL : 0);
	uint32_t data = message->vector |
			(uint32_t)message->delivery_mode << MSI_DATA_MODE_SHIFT |
			(message->level ? MSI_DATA_LEVEL : 0);

	if (machine_send_msi(cs->machine, address, data) < 0)
		log_warn_limited("I/O APIC vector %#x, mode %u: refused by KVM",
				 message->vector, message->delivery_mode);
}

static void power_off(void *opaque)
{
	struct vtl0_chipset *cs = opaque;

	machine_stop(cs->machine, VMM_OK, "the guest powered off");
}

static void reset_asked(void *opaque)
{
	struct vtl0_chipset *cs = opaque;

	machine_stop(cs->machine, VMM_RESET, "the guest restarts");
}

static int64_t wall_clock(void *opaque)
{
	(void)opaque;
	return time(NULL);
}

static const struct chipset_ops chipset_ops = {
	.interrupt = interrupt,
	.power_off = power_off,
	.reset = reset_asked,
	.wall_clock = wall_clock,
	.now = reactor_now,
};

/* ---- what the machine wants of the chipset ---- */

/* The stream whose UART the access touches; at most one, they are far apart. */
static struct serial_back *touched(struct vtl0_chipset *cs, uint64_t port,
				   unsigned int size)
{
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		if (port < cs->com[i].port + UART_REGISTERS &&
		    cs->com[i].port < port + size)
			return cs->com[i].back;
	return NULL;
}

static uint64_t port_read(void *opaque, uint64_t port, unsigned int size)
{
	struct vtl0_chipset *cs = opaque;
	struct serial_back *back = touched(cs, port, size);
	uint64_t value;

	if (back)
		serial_back_lock(back);
	value = bus_read(&cs->chipset.bus, BUS_PORT, port, size);
	if (back)
		serial_back_unlock(back);
	return value;
}

static void port_write(void *opaque, uint64_t port, unsigned int size,
		       uint64_t value)
{
	struct vtl0_chipset *cs = opaque;
	struct serial_back *back = touched(cs, port, size);

	if (back)
		serial_back_lock(back);
	bus_write(&cs->chipset.bus, BUS_PORT, port, size, value);
	if (back)
		serial_back_unlock(back);
}

static uint64_t ioapic_page_read(void *opaque, uint64_t offset,
				 unsigned int size)
{
	struct vtl0_chipset *cs = opaque;

	return bus_read(&cs->chipset.bus, BUS_MMIO, IOAPIC_BASE + offset, size);
}

static void ioapic_page_write(void *opaque, uint64_t offset, unsigned int size,
			      uint64_t value)
{
	struct vtl0_chipset *cs = opaque;

	bus_write(&cs->chipset.bus, BUS_MMIO, IOAPIC_BASE + offset, size,
		  value);
}

static void eoi(void *opaque, uint8_t vector)
{
	struct vtl0_chipset *cs = opaque;

	bus_eoi(&cs->chipset.bus, vector);
}

/* ---- between stream and UART; the stream's lock is held ---- */

static void stream_room(void *front)
{
	struct com_stream *com = front;

	bus_lock(&com->owner->chipset.bus);
	com->uart->room(com->uart_opaque);
	bus_unlock(&com->owner->chipset.bus);
}

static void stream_readable(void *front)
{
	struct com_stream *com = front;

	bus_lock(&com->owner->chipset.bus);
	com->uart->readable(com->uart_opaque);
	bus_unlock(&com->owner->chipset.bus);
}

static const struct tty_front_ops stream_ops = {
	.room = stream_room,
	.readable = stream_readable,
};

/* The UART has made itself the front: steps in between. */
static void interpose(struct com_stream *com)
{
	struct tty *tty = serial_back_tty(com->back);

	com->uart = tty->front;
	com->uart_opaque = tty->front_opaque;
	tty->front = &stream_ops;
	tty->front_opaque = com;
}

static void lock_streams(struct vtl0_chipset *cs)
{
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		serial_back_lock(cs->com[i].back);
}

static void unlock_streams(struct vtl0_chipset *cs)
{
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		serial_back_unlock(cs->com[i].back);
}

/* ---- life ---- */

static void build(struct vtl0_chipset *cs)
{
	lock_streams(cs);
	chipset_init(&cs->chipset, &chipset_ops, cs,
		     serial_back_tty(cs->com[0].back),
		     serial_back_tty(cs->com[1].back));
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		interpose(&cs->com[i]);
	unlock_streams(cs);
	chipset_inspect_register(&cs->chipset);
}

struct vtl0_chipset *vtl0_chipset_create(struct machine *m,
					 struct serial_back *com1,
					 struct serial_back *com2)
{
	static const uint16_t com_ports[CHIPSET_COMS] = { 0x3f8, 0x2f8 };
	struct serial_back *const backs[CHIPSET_COMS] = { com1, com2 };
	struct vtl0_chipset *cs = calloc(1, sizeof(*cs));

	if (!cs)
		return NULL;
	cs->machine = m;
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		cs->com[i] = (struct com_stream){ .back = backs[i],
						  .owner = cs,
						  .port = com_ports[i] };
	build(cs);
	cs->ports = (struct io_region){
		.size = PORTS,
		.name = "chipset",
		.read = port_read,
		.write = port_write,
		.opaque = cs,
	};
	machine_add_ports(m, VTL0, &cs->ports);
	cs->ioapic = (struct io_region){
		.base = IOAPIC_BASE,
		.size = IOAPIC_SIZE,
		.name = "ioapic",
		.read = ioapic_page_read,
		.write = ioapic_page_write,
		.opaque = cs,
	};
	pv_bug(machine_add_mmio(m, VTL0, &cs->ioapic), IOAPIC_BASE, 0);
	machine_set_eoi(m, eoi, cs);
	return cs;
}

void vtl0_chipset_destroy(struct vtl0_chipset *cs)
{
	if (!cs)
		return;
	lock_streams(cs);
	for (unsigned int i = 0; i < CHIPSET_COMS; i++)
		serial_back_tty(cs->com[i].back)->front = NULL;
	unlock_streams(cs);
	free(cs);
}

void vtl0_chipset_reset(struct vtl0_chipset *cs)
{
	lock_streams(cs);
	chipset_reset(&cs->chipset);
	unlock_streams(cs);
}

void vtl0_chipset_print_stats(FILE *out)
{
	char *json = malloc(STATS_SIZE);

	if (json &&
	    inspect_render("chipset", STATS_DEPTH, json, STATS_SIZE) > 0)
		fputs(json, out);
	else
		fputs("null", out);
	free(json);
}
