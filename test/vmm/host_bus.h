/* SPDX-License-Identifier: MIT */
/*
 * The host's VMBus: relay's server for one VTL of the machine. Its devices
 * run on the device thread.
 */
#ifndef VMM_HOST_BUS_H
#define VMM_HOST_BUS_H

#include <stdio.h>

#include <pv/reactor.h>

#include "machine.h"

struct guest_memory;
struct host_bus;
struct vmbus_server;
struct vmbus_device;

/* `config`: of the machine. Before machine_run(). NULL after one line. */
struct host_bus *host_bus_create(struct machine *m, enum vtl vtl,
				 const struct machine_config *config,
				 struct reactor *loop);

/* VTL0's bus, of which VTL2 is the client in VTL0's place; `vtl2` is VTL2's
 * own, which lives longer. */
struct host_bus *host_bus_create_redirected(struct machine *m,
					    const struct machine_config *config,
					    struct reactor *loop,
					    struct host_bus *vtl2);

/* The RAM that the VTL sees. */
struct guest_memory *host_bus_memory(struct host_bus *bus);

/* For vmbus_offer() and vmbus_revoke(). */
struct vmbus_server *host_bus_server(struct host_bus *bus);

/* After the VPs have stopped, while the loop runs, not on its thread: closes
 * all channels, so that no device touches the machine's memory any more; a
 * guest that starts anew finds the bus as at power-up. False if that did not
 * happen within a second: then free nothing. */
bool host_bus_stop(struct host_bus *bus);

/* Once the loop has ended, and every device was revoked. */
void host_bus_destroy(struct host_bus *bus);

/* Writes one JSON object of the tree of objects, which the buses are at the
 * top of ("vmbus", "vmbus-vtl0"), as inspect_render(): 0, -ENOENT, -ENOSPC;
 * -ENOMEM. The device thread, or when it has ended. */
int host_bus_inspect(const char *path, unsigned int depth, FILE *out);

/* One JSON object. The device thread, or when it has ended. */
void host_bus_print_stats(struct host_bus *bus, FILE *out);

#endif
