// SPDX-License-Identifier: MIT
/*
 * Configuration space, theory of operation
 *
 * Two arrays: the bytes, and for each the bits that a write may change. BAR
 * sizing needs nothing more: the bits below the BAR's size cannot be changed,
 * so all ones read back as the size. What the bits mean is asked for by the
 * bus after each write.
 */
#include <string.h>

#include "pci_config.h"

/* Type 0 header. */
#define PCI_VENDOR 0x00
#define PCI_DEVICE 0x02
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY (1u << 1)
#define PCI_COMMAND_MASTER (1u << 2)
#define PCI_COMMAND_WRITABLE 0x0546u /* memory, master, parity, SERR, INTx */
#define PCI_STATUS 0x06
#define PCI_STATUS_CAPABILITIES (1u << 4)
#define PCI_REVISION 0x08
#define PCI_INTERFACE 0x09
#define PCI_SUB_CLASS 0x0a
#define PCI_BASE_CLASS 0x0b
#define PCI_CACHE_LINE 0x0c
#define PCI_BAR(n) (0x10u + 4 * (n))
#define PCI_BAR_64_BITS 0x4u
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM 0x2e
#define PCI_CAPABILITIES 0x34
#define PCI_INTERRUPT_LINE 0x3c

/* The MSI-X capability; the low bits of an offset name its BAR. */
#define MSIX 0x40
#define MSIX_ID 0x11
#define MSIX_CONTROL (MSIX + 2)
#define MSIX_CONTROL_MASKED (1u << 14)
#define MSIX_CONTROL_ENABLE (1u << 15)
#define MSIX_TABLE (MSIX + 4)
#define MSIX_PENDING (MSIX + 8)

static void put(uint8_t *bytes, unsigned int offset, unsigned int size,
		uint64_t value)
{
	for (unsigned int i = 0; i < size; i++)
		bytes[offset + i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *bytes, unsigned int offset,
		    unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)bytes[offset + i] << (8 * i);
	return value;
}

void pci_config_init(struct pci_config *config, const struct pci_function *f)
{
	uint8_t *b = config->byte, *w = config->writable;

	memset(config, 0, sizeof(*config));
	put(b, PCI_VENDOR, 2, f->vendor);
	put(b, PCI_DEVICE, 2, f->device);
	put(w, PCI_COMMAND, 2, PCI_COMMAND_WRITABLE);
	put(b, PCI_STATUS, 2, PCI_STATUS_CAPABILITIES);
	b[PCI_REVISION] = f->revision;
	b[PCI_INTERFACE] = f->interface;
	b[PCI_SUB_CLASS] = f->sub_class;
	b[PCI_BASE_CLASS] = f->base_class;
	w[PCI_CACHE_LINE] = 0xff;
	put(b, PCI_BAR(0), 8, PCI_BAR_64_BITS);
	put(w, PCI_BAR(0), 8, ~(f->bar_size - 1));
	if (f->msix_bar_size) {
		put(b, PCI_BAR(4), 8, PCI_BAR_64_BITS);
		put(w, PCI_BAR(4), 8, ~(f->msix_bar_size - 1));
	}
	put(b, PCI_SUBSYSTEM_VENDOR, 2, f->subsystem_vendor);
	put(b, PCI_SUBSYSTEM, 2, f->subsystem);
	b[PCI_CAPABILITIES] = MSIX;
	w[PCI_INTERRUPT_LINE] = 0xff;

	b[MSIX] = MSIX_ID; /* no capability follows */
	put(b, MSIX_CONTROL, 2, f->vectors - 1);
	put(w, MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASKED);
	put(b, MSIX_TABLE, 4, f->msix_table | (f->msix_bar_size ? 4 : 0));
	put(b, MSIX_PENDING, 4, f->msix_pending | (f->msix_bar_size ? 4 : 0));
}

static bool inside(uint64_t offset, unsigned int size)
{
	return size <= 4 && !(offset % size) &&
	       offset <= PCI_CONFIG_SIZE - size;
}

uint32_t pci_config_read(const struct pci_config *config, uint64_t offset,
			 unsigned int size)
{
	if (!inside(offset, size))
		return 0;
	return (uint32_t)get(config->byte, (unsigned int)offset, size);
}

void pci_config_write(struct pci_config *config, uint64_t offset,
		      unsigned int size, uint32_t value)
{
	if (!inside(offset, size))
		return;
	for (unsigned int i = 0; i < size; i++) {
		uint8_t mask = config->writable[offset + i];
		uint8_t *byte = &config->byte[offset + i];

		*byte = (uint8_t)((*byte & ~mask) |
				  (value >> (8 * i) & mask));
	}
}

bool pci_config_memory(const struct pci_config *config)
{
	return config->byte[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}

bool pci_config_bus_master(const struct pci_config *config)
{
	return config->byte[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

uint64_t pci_config_bar(const struct pci_config *config, unsigned int bar)
{
	return get(config->byte, PCI_BAR(bar), 8) & ~0xfull;
}

bool pci_config_msix_enabled(const struct pci_config *config)
{
	return get(config->byte, MSIX_CONTROL, 2) & MSIX_CONTROL_ENABLE;
}

bool pci_config_msix_masked(const struct pci_config *config)
{
	return get(config->byte, MSIX_CONTROL, 2) & MSIX_CONTROL_MASKED;
}
