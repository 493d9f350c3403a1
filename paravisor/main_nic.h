/* SPDX-License-Identifier: MIT */
/*
 * NICs of VTL0: what settings say, made of backends and synthetic NICs. Part of
 * the composition root.
 */
#ifndef MAIN_NIC_H
#define MAIN_NIC_H

#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "settings.h"

struct vmbus_server;

struct nics_config {
	struct guest_memory *memory;
	struct vmbus_server *server;
	struct reactor *reactor; /* the server's */
	unsigned int nr_vps;
};

/*
 * Opens the backends of all NICs and offers them, for as long as the daemon
 * lives. 0, or -errno with nothing offered, and the reason with its JSON
 * pointer in `error` (SETTINGS_ERROR_SIZE bytes) and in the log. Before VTL0
 * runs; waits for devices.
 */
int nics_start(const struct nics_config *config,
	       const struct settings *settings, char *error);

#endif
