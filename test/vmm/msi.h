/* SPDX-License-Identifier: MIT */
/*
 * Interrupt messages of one VTL's virtual PCI devices: hands out pairs of
 * address and data, and turns a message that a device writes into an
 * interrupt of a VP. The guest re-points a pair by HvRetargetDeviceInterrupt.
 */
#ifndef VMM_MSI_H
#define VMM_MSI_H

#include <stdint.h>

#include "machine.h"

#define MSI_MAX 2048u
#define MSI_ADDRESS 0xfee00000u

struct msi_router;

/* One for a VTL; takes the VTL's retarget handler. NULL: out of memory. */
struct msi_router *msi_create(struct machine *m, enum vtl vtl);
/* When no VP runs any more. NULL is harmless. */
void msi_destroy(struct msi_router *router);

/* `device`: id in the hypercall. Returns the data word, from 1 on; 0: none
 * left. The address is always MSI_ADDRESS. Any thread. */
uint32_t msi_allocate(struct msi_router *router, uint64_t device,
		      uint8_t vector, unsigned int vp);
/* Nothing happens unless the pair is the device's. Any thread. */
void msi_free(struct msi_router *router, uint64_t device, uint32_t data);
void msi_free_all(struct msi_router *router, uint64_t device);

/* A device wrote a message; one that nobody allocated is counted. Any
 * thread. */
void msi_send(struct msi_router *router, uint64_t address, uint32_t data);

uint64_t msi_strays(const struct msi_router *router);

#endif
