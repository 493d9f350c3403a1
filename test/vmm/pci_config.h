/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of a PCI function (PCI Local Bus Specification 3.0,
 * chapter 6): a type 0 header with one or two 64-bit memory BARs and an MSI-X
 * capability. No lock: the bus serialises.
 */
#ifndef VMM_PCI_CONFIG_H
#define VMM_PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "model/pci_function.h"

#define PCI_CONFIG_SIZE 256u

struct pci_config {
	uint8_t byte[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* masks */
};

/* As after power-up. */
void pci_config_init(struct pci_config *config, const struct pci_function *f);

/* size: 1, 2 or 4, aligned; what is not there reads as 0. */
uint32_t pci_config_read(const struct pci_config *config, uint64_t offset,
			 unsigned int size);
void pci_config_write(struct pci_config *config, uint64_t offset,
		      unsigned int size, uint32_t value);

bool pci_config_memory(const struct pci_config *config);
bool pci_config_bus_master(const struct pci_config *config);
/* `bar`: 0 or 4. */
uint64_t pci_config_bar(const struct pci_config *config, unsigned int bar);
bool pci_config_msix_enabled(const struct pci_config *config);
bool pci_config_msix_masked(const struct pci_config *config);

#endif
