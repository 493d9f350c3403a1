/* SPDX-License-Identifier: MIT */
/* What the protocol of a virtual PCI bus and the VMBus device share. */
#ifndef VMM_VPCI_BUS_H
#define VMM_VPCI_BUS_H

#include <pthread.h>
#include <stdatomic.h>

#include "pci_config.h"
#include "relay/channel.h"
#include "vpci.h"

#define VPCI_BARS 2 /* 0 and, for MSI-X, 4 */

struct vpci_bus {
	struct machine *machine;
	enum vtl vtl;
	struct msi_router *msi;
	struct pci_function *function;
	uint64_t device_id; /* in HvRetargetDeviceInterrupt */

	pthread_mutex_t lock; /* from here on */
	struct pci_config config;
	uint32_t slot; /* selected in the window */
	struct vpci_bar {
		struct io_region region;
		unsigned int number;
		bool mapped;
	} bar[VPCI_BARS];
	atomic_bool bus_master;

	/* The device thread only. */
	uint32_t version; /* 0: not agreed */
	struct io_region window;
	bool in_d0;

	struct vmbus_device device;
	uint64_t buffer[RING_MAX_PACKET / 8]; /* of the packet being read */
};

#endif
