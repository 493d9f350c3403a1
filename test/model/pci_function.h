/* SPDX-License-Identifier: MIT */
/*
 * A PCI function as the bus that it is plugged into sees it, and the other
 * way round. Bus: test/vmm/vpci.c. Functions: the models in this directory.
 *
 * A function has a 64-bit memory BAR (BAR 0) that is all its own. Its MSI-X
 * table is in there, served by the function, or in another one (BAR 4), served
 * by the bus; the bus does configuration space.
 */
#ifndef MODEL_PCI_FUNCTION_H
#define MODEL_PCI_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msix;
struct pci_function;

/* What a function needs of the world. All three: any thread. */
struct pci_host {
	/* Host address of [address, address + size), NULL unless all of it is
	 * RAM that the function may reach now. Valid as long as the machine. */
	void *(*dma)(void *opaque, uint64_t address, size_t size);
	/* Is all of it RAM of VTL0? */
	bool (*is_guest)(void *opaque, uint64_t address, size_t size);
	/* Writes an interrupt message. */
	void (*message)(void *opaque, uint64_t address, uint32_t data);
	void *opaque;
};

struct pci_function_ops {
	/* BAR 0. Offset and size (1, 2, 4, 8) stay inside of it. A VP's thread,
	 * several at a time. */
	uint64_t (*read)(struct pci_function *f, uint64_t offset,
			 unsigned int size);
	void (*write)(struct pci_function *f, uint64_t offset,
		      unsigned int size, uint64_t value);
	/* Back to the state after power-up; no DMA and no interrupt comes after
	 * the return. Not a VP's thread. */
	void (*reset)(struct pci_function *f);
};

struct pci_function {
	const struct pci_function_ops *ops;
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint8_t base_class, sub_class, interface;
	uint64_t bar_size; /* power of two, at least 4 KiB */
	struct msix *msix;
	unsigned int vectors;
	/* 0: the table is in BAR 0; else the size of BAR 4, as bar_size. */
	uint64_t msix_bar_size;
	uint32_t msix_table, msix_pending; /* offsets in its BAR */
	struct pci_host host; /* set by the bus before the first access */
};

#endif
