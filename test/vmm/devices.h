/* SPDX-License-Identifier: MIT */
/*
 * The devices that vmm gives to a machine over VMBus, made from the options.
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

#include <stdbool.h>
#include <stdio.h>

#include <pv/reactor.h>

#include "get_update.h"
#include "machine.h"
#include "options.h"

struct devices;
struct disks;
struct integration;
struct nets;

/* Opens what the options name: files, sockets. NULL after one line on stderr.
 * `options` must outlive the devices. Before loop_run(). */
struct devices *devices_open(const struct vmm_options *options,
			     struct reactor *loop);

/* Builds the devices and offers them to `vtl`. -errno after one line. Before
 * machine_run(). */
int devices_attach(struct devices *d, struct machine *m, enum vtl vtl,
		   const struct machine_config *config);

/* After the VPs have stopped, while the loop runs, not on its thread. False:
 * something does not let go of the machine, which must not be freed. */
bool devices_stop(struct devices *d);

/* The guest starts again: as devices_stop(), and all are as at power-up. */
bool devices_reset(struct devices *d);

/* Once the loop has ended: writes out what is left. */
void devices_drain(struct devices *d);

/* Once the loop has ended. NULL is harmless. */
void devices_close(struct devices *d);

/* Members of a JSON object, with a comma behind the last. The device thread,
 * or when it has ended. */
void devices_print_stats(struct devices *d, FILE *out);

/* As host_bus_inspect(). */
int devices_inspect(struct devices *d, const char *path, unsigned int depth,
		    FILE *out);

/* For changes while the machine runs. */
struct disks *devices_disks(struct devices *d);
struct nets *devices_nets(struct devices *d);
/* NULL: the guest has none. */
struct integration *devices_integration(struct devices *d);
/* A device of the guest's own on the host's bus: "scsi", its controller; "net"
 * and the number of a --net. NULL, or which rule is broken (static). The device
 * thread. */
const char *devices_unplug(struct devices *d, const char *device);
const char *devices_plug(struct devices *d, const char *device);
/* New settings for VTL2: as get_update_start(). The device thread. */
const char *devices_settings(struct devices *d, const char *json, size_t len,
			     get_update_done *done, void *opaque);

#endif
