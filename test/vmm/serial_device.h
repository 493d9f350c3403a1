/* SPDX-License-Identifier: MIT */
/*
 * COM ports of the guest as VTL2 sees them: a device on the host's VMBus, to
 * which VTL2 connects the UART that it emulates.
 */
#ifndef VMM_SERIAL_DEVICE_H
#define VMM_SERIAL_DEVICE_H

#include <stdio.h>

#include "serial_back.h"

struct serial_device;
struct vmbus_device;

/* COM`number` (1 or 2) on `back`, which must outlive it. NULL: no memory. */
struct serial_device *serial_device_create(unsigned int number,
					   struct serial_back *back);
struct vmbus_device *serial_device_offer(struct serial_device *serial);
/* When the channel is closed. NULL is harmless. */
void serial_device_destroy(struct serial_device *serial);

/* One JSON object. Any thread. */
void serial_device_print_stats(struct serial_device *serial, FILE *out);

#endif
