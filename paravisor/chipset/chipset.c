/* SPDX-License-Identifier: MIT */
/*
 * Chipset, theory of operation
 *
 * Owns: the bus and every device on it. It connects them: UART and PM outputs
 * to inputs of the I/O APIC, the guest's EOIs back to it, and what the devices
 * want from outside to the owner's callbacks.
 *
 * There is no 8259, 8254, i8042, PCI bridge or video; their ports are regions
 * without callbacks, because every PC kernel tries them. Two of them must not
 * read as all ones: port 0x61 (bits 6 and 7 are causes of an NMI) and 0x64 (a
 * keyboard controller that is busy for ever).
 *
 * Threads and failure answers: bus.h.
 */
#include <string.h>

#include <pv/log.h>

#include "chipset.h"

#define PCI_PORT 0xcf8u
#define PCI_PORTS 8u

static const struct {
	const char *name;
	uint16_t port;
	uint8_t irq;
} com_place[CHIPSET_COMS] = {
	{ "com1", 0x3f8, 4 },
	{ "com2", 0x2f8, 3 },
};

/* Outputs of the devices. */

static void com_irq(void *opaque, bool level)
{
	struct chipset_com *com = opaque;

	ioapic_set_line(&com->chipset->ioapic, com->irq, level);
}

static void pm_sci(void *opaque, bool level)
{
	struct chipset *cs = opaque;

	ioapic_set_line(&cs->ioapic, PM_SCI, level);
}

static void pm_power_off(void *opaque)
{
	struct chipset *cs = opaque;

	cs->ops->power_off(cs->opaque);
}

static void pm_reset_asked(void *opaque)
{
	struct chipset *cs = opaque;

	cs->ops->reset(cs->opaque);
}

static const struct pm_ops pm_outputs = {
	.sci = pm_sci,
	.power_off = pm_power_off,
	.reset = pm_reset_asked,
};

/* A UART's registers are bytes. */

static uint64_t com_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct chipset_com *com = opaque;
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)uart_read(&com->uart, offset + i) << (8 * i);
	return value;
}

static void com_write(void *opaque, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	struct chipset_com *com = opaque;

	for (unsigned int i = 0; i < size; i++)
		uart_write(&com->uart, offset + i, value >> (8 * i));
}

/* Ports that read as zero. */

static uint64_t zero_read(void *opaque, uint64_t offset, unsigned int size)
{
	(void)opaque;
	(void)offset;
	(void)size;
	return 0;
}

static void zero_write(void *opaque, uint64_t offset, unsigned int size,
		       uint64_t value)
{
	(void)opaque;
	(void)offset;
	(void)size;
	(void)value;
}

/*
 * The reset port lies inside the address register of a PCI bridge. A chip
 * tells them apart by width, or else the address of a device's function 4
 * would reset the machine.
 */
static uint64_t pci_read(void *opaque, uint64_t offset, unsigned int size)
{
	if (offset == PM_RESET_PORT - PCI_PORT && size == 1)
		return pm_reset_port_read(opaque, 0, 1);
	return UINT64_MAX;
}

static void pci_write(void *opaque, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	if (offset == PM_RESET_PORT - PCI_PORT && size == 1)
		pm_reset_port_write(opaque, 0, 1, value);
}

static const struct bus_region without_device[] = {
	{ .base = 0x00, .size = 0x20, .name = "dma1" },
	{ .base = 0x20, .size = 2, .name = "pic1" },
	{ .base = 0x40, .size = 4, .name = "pit" },
	{ .base = 0x60, .size = 1, .name = "i8042-data" },
	{ .base = 0x61, .size = 1, .name = "port61", .read = zero_read,
	  .write = zero_write },
	{ .base = 0x64, .size = 1, .name = "i8042-status", .read = zero_read,
	  .write = zero_write },
	{ .base = 0x80, .size = 0x20, .name = "post" },
	{ .base = 0xa0, .size = 2, .name = "pic2" },
	{ .base = 0xc0, .size = 0x20, .name = "dma2" },
	{ .base = 0xed, .size = 1, .name = "delay" },
	{ .base = 0x201, .size = 1, .name = "game" },
	{ .base = 0x2e8, .size = 8, .name = "com4" },
	{ .base = 0x3c0, .size = 0x20, .name = "vga" },
	{ .base = 0x3e8, .size = 8, .name = "com3" },
	{ .base = 0x5658, .size = 2, .name = "backdoor" },
};

static void add(struct chipset *cs, enum bus_space space,
		struct bus_region region)
{
	struct bus_region *r = &cs->regions[cs->nr_regions];
	int rc;

	pv_bug(cs->nr_regions == CHIPSET_MAX_REGIONS, cs->nr_regions,
	       region.base);
	*r = region;
	rc = bus_add(&cs->bus, space, r);
	pv_bug(rc, -rc, region.base);
	cs->nr_regions++;
}

static void add_com(struct chipset *cs, unsigned int n, struct tty *tty)
{
	struct chipset_com *com = &cs->com[n];
	struct bus_region region = {
		.base = com_place[n].port,
		.size = UART_REGISTERS,
		.name = com_place[n].name,
	};

	com->chipset = cs;
	com->irq = com_place[n].irq;
	if (tty) {
		uart_init(&com->uart, tty, com_irq, com);
		cs->has_com[n] = true;
		region.read = com_read;
		region.write = com_write;
		region.opaque = com;
	}
	add(cs, BUS_PORT, region);
}

void chipset_init(struct chipset *cs, const struct chipset_ops *ops,
		  void *opaque, struct tty *com1, struct tty *com2)
{
	memset(cs, 0, sizeof(*cs));
	cs->ops = ops;
	cs->opaque = opaque;
	bus_init(&cs->bus);
	ioapic_init(&cs->ioapic, ops->interrupt, opaque);
	cs->bus.eoi = ioapic_eoi;
	cs->bus.eoi_opaque = &cs->ioapic;
	pm_init(&cs->pm, &pm_outputs, cs, ops->now);
	rtc_init(&cs->rtc, ops->wall_clock, opaque);

	add(cs, BUS_MMIO, (struct bus_region){
		.base = IOAPIC_BASE, .size = IOAPIC_SIZE, .name = "ioapic",
		.read = ioapic_read, .write = ioapic_write,
		.opaque = &cs->ioapic });
	add(cs, BUS_PORT, (struct bus_region){
		.base = PM_BASE, .size = PM_SIZE, .name = "pm",
		.read = pm_read, .write = pm_write, .opaque = &cs->pm });
	add(cs, BUS_PORT, (struct bus_region){
		.base = PCI_PORT, .size = PCI_PORTS, .name = "reset",
		.read = pci_read, .write = pci_write, .opaque = &cs->pm });
	add(cs, BUS_PORT, (struct bus_region){
		.base = RTC_PORT, .size = RTC_PORTS, .name = "rtc",
		.read = rtc_read, .write = rtc_write, .opaque = &cs->rtc });
	add_com(cs, 0, com1);
	add_com(cs, 1, com2);
	for (size_t i = 0; i < sizeof(without_device) /
			       sizeof(without_device[0]); i++)
		add(cs, BUS_PORT, without_device[i]);
}

void chipset_com_wait(struct chipset *cs, unsigned int n, bool wait)
{
	if (n < CHIPSET_COMS && cs->has_com[n])
		uart_wait_for_rts(&cs->com[n].uart, wait);
}

/* The I/O APIC first: what the others then lower must raise nothing. */
void chipset_reset(struct chipset *cs)
{
	bus_lock(&cs->bus);
	ioapic_reset(&cs->ioapic);
	for (unsigned int n = 0; n < CHIPSET_COMS; n++)
		if (cs->has_com[n])
			uart_reset(&cs->com[n].uart);
	pm_reset(&cs->pm);
	bus_unlock(&cs->bus);
}

static void describe(void *object, struct inspect *out)
{
	struct chipset *cs = object;

	bus_lock(&cs->bus);
	bus_inspect(&cs->bus, out);
	for (unsigned int n = 0; n < CHIPSET_COMS; n++) {
		const struct uart *uart = &cs->com[n].uart;

		if (!cs->has_com[n] ||
		    !inspect_begin(out, com_place[n].name))
			continue;
		inspect_u64(out, "bytes_out", uart->bytes_out);
		inspect_u64(out, "bytes_in", uart->bytes_in);
		inspect_u64(out, "bytes_lost_out", uart->bytes_lost_out);
		inspect_bool(out, "wait_for_rts", uart->wait_for_rts);
		inspect_end(out);
	}
	inspect_u64(out, "ioapic_asserts", cs->ioapic.asserts);
	inspect_u64(out, "ioapic_lost_edges", cs->ioapic.lost_edges);
	bus_unlock(&cs->bus);
}

void chipset_inspect_register(struct chipset *cs)
{
	cs->inspect = (struct inspect_entry){
		.name = "chipset",
		.describe = describe,
		.object = cs,
	};
	inspect_register(&cs->inspect);
}
