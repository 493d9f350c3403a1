/* SPDX-License-Identifier: MIT */
/*
 * The MSI-X table of a PCI function (PCI Local Bus Specification 3.0, 6.8.2).
 *
 * A vector that is raised while it, or all of the function, is masked becomes
 * pending and is sent when the mask goes. Threads: any; a lock inside.
 */
#ifndef MODEL_MSIX_H
#define MODEL_MSIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MSIX_MAX_VECTORS 128
#define MSIX_ENTRY_SIZE 16u
#define MSIX_ENTRY_MASKED (1u << 0) /* of the vector control word */

struct pci_host;

struct msix_entry {
	uint32_t word[4]; /* address low, high, data, vector control */
};

struct msix {
	pthread_mutex_t lock;
	unsigned int vectors;
	bool enabled, masked;
	struct msix_entry entry[MSIX_MAX_VECTORS];
	uint64_t pending[MSIX_MAX_VECTORS / 64];
	uint64_t sent, deferred; /* counters */
};

void msix_init(struct msix *msix, unsigned int vectors);
void msix_destroy(struct msix *msix);
/* All masked, none pending, not enabled; the counters stay. */
void msix_reset(struct msix *msix);

/* The message control word of the capability changed. */
void msix_control(struct msix *msix, const struct pci_host *host, bool enabled,
		  bool masked);

/* Offsets from the table's, and the pending array's, first byte; aligned
 * accesses of 4 or 8 bytes, as the specification has it; others read 0 and
 * write nothing. */
uint64_t msix_read(struct msix *msix, uint64_t offset, unsigned int size);
void msix_write(struct msix *msix, const struct pci_host *host,
		uint64_t offset, unsigned int size, uint64_t value);
uint64_t msix_read_pending(struct msix *msix, uint64_t offset,
			   unsigned int size);

void msix_raise(struct msix *msix, const struct pci_host *host,
		unsigned int vector);

#endif
