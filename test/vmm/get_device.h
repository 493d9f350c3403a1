/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the guest emulation transport (get_reg.h): VTL2 tells how
 * the guest ended, which is how vmm ends.
 *
 *	power off                 VMM_OK
 *	reset                     VMM_OK: vmm does not start guests again
 *	crash, triple fault       VMM_GUEST_CRASHED
 *	VTL0 could not be started VMM_BAD_INPUT
 */
#ifndef VMM_GET_DEVICE_H
#define VMM_GET_DEVICE_H

#include <stdio.h>

#include "machine.h"

struct get_device;
struct vmbus_device;

/* NULL: no memory. */
struct get_device *get_device_create(struct machine *m);
struct vmbus_device *get_device_offer(struct get_device *get);
/* When the channel is closed. NULL is harmless. */
void get_device_destroy(struct get_device *get);

/* One JSON object. The device thread, or when it has ended. */
void get_device_print_stats(struct get_device *get, FILE *out);

#endif
