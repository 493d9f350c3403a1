/* SPDX-License-Identifier: MIT */
/*
 * Integration services that the machine's guest has of its host: shutdown,
 * heartbeat, time synchronisation, key-value exchange, and a snapshot service
 * that never asks for one.
 *
 * All calls: the device thread, or before it runs and when it has ended.
 */
#ifndef VMM_INTEGRATION_H
#define VMM_INTEGRATION_H

#include "ic_services.h"

struct integration;
struct vmbus_server;

/* NULL: no memory. `machine` and `loop` outlive it. */
struct integration *integration_create(const struct machine *machine,
				       struct reactor *loop);

/* 0, or what vmbus_offer() says: then some may be offered. */
int integration_offer(struct integration *in, struct vmbus_server *server);
void integration_revoke(struct integration *in);

/* When all is revoked and the loop has ended. NULL is harmless. */
void integration_destroy(struct integration *in);

/* The machine was paused; or runs on, and the guest is told the time. */
void integration_pause(struct integration *in, bool paused);

/* As ic_services.h says. */
const char *integration_shutdown(struct integration *in, ic_done *done,
				 void *opaque);
const char *integration_time(struct integration *in, int64_t offset,
			     ic_done *done, void *opaque);
/* `pool`: external, guest, auto, auto-external or auto-internal. */
const char *integration_kvp_get(struct integration *in, const char *pool,
				const char *key, kvp_done *done, void *opaque);

#endif
