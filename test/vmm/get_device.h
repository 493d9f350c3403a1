/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the guest emulation transport (get_reg.h): VTL2 tells how
 * the guest ended, which is how vmm ends.
 *
 *	power off                 VMM_OK
 *	reset                     VMM_OK: vmm does not start guests again
 *	crash, triple fault       VMM_GUEST_CRASHED
 *	VTL0 could not be started VMM_BAD_INPUT
 *
 * And the way to change VTL2's settings while it runs.
 */
#ifndef VMM_GET_DEVICE_H
#define VMM_GET_DEVICE_H

#include <stdio.h>

#include <pv/reactor.h>

#include "get_update.h"
#include "machine.h"

struct get_device;
struct vmbus_device;

/* NULL: no memory. `loop`: the device thread's. */
struct get_device *get_device_create(struct machine *m, struct reactor *loop);
struct vmbus_device *get_device_offer(struct get_device *get);
/* When the channel is closed. NULL is harmless. */
void get_device_destroy(struct get_device *get);

/* As get_update_start(). The device thread. */
const char *get_device_settings(struct get_device *get, const char *json,
				size_t len, get_update_done *done,
				void *opaque);

/* One JSON object. The device thread, or when it has ended. */
void get_device_print_stats(struct get_device *get, FILE *out);

#endif
