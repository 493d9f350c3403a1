/* SPDX-License-Identifier: MIT */
/*
 * The relay of the host's VMBus to VTL0. Part of the composition root.
 */
#ifndef MAIN_RELAY_H
#define MAIN_RELAY_H

#include <stdint.h>

#include <pv/reactor.h>

#include "settings.h"

struct vmbus_server;

struct relay_config {
	struct vmbus_server *server;
	struct reactor *reactor; /* the server's, of VP 0 */
	uint32_t connection;	 /* of this VTL's bus, as the host says */
	const struct settings *settings;
};

/*
 * If the host redirects VTL0's bus to us, connects, and waits until what it
 * offers can be offered to VTL0. After devices of our own were offered, which
 * stand for the host's of the same instance. Not on a reactor. Without a host
 * that answers there is a line in the log, and nothing is relayed.
 */
void relay_start(const struct relay_config *config);

#endif
