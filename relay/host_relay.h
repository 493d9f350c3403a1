/* SPDX-License-Identifier: MIT */
/*
 * The relay between the host's VMBus and the server for the guest: what the
 * host offers, and nobody here owns, is offered to the guest as it is. Control
 * messages pass through; rings, GPADL pages and signals are between the guest
 * and the host alone.
 *
 * All on the server's reactor, which is the bus's, too.
 */
#ifndef RELAY_HOST_RELAY_H
#define RELAY_HOST_RELAY_H

#include "host_bus.h"
#include "server.h"

enum host_relay_action {
	HOST_RELAY, /* also what no rule is about */
	HOST_INTERCEPT,
	HOST_HIDE,
};

struct host_relay_rule {
	struct guid instance;
	enum host_relay_action action;
};

struct host_relay_config {
	struct vmbus_server *server; /* of the guest */
	struct reactor *reactor;
	const struct bus_client_transport_ops *transport; /* to the host */
	void *transport_opaque;
	uint32_t connection; /* to the host, for the first message */
	struct guid client;
	const struct host_relay_rule *rules; /* outlive the relay */
	unsigned int nr_rules;
	/* Once after host_relay_start(): 0, the offers that the host had are
	 * offered, or wait for the guest to connect; or -errno, nothing is
	 * relayed: -ENOTSUP, the host cannot be told whom to signal; else see
	 * host_bus.h. */
	void (*started)(void *opaque, int err);
	/* An offer with HOST_INTERCEPT came, or went (then it must not be used
	 * any more). NULL: they are only kept from the guest. */
	void (*intercept)(void *opaque, struct host_offer *offer, bool there);
	void *opaque;
};

struct host_relay;

/* NULL: no memory. */
struct host_relay *host_relay_create(const struct host_relay_config *config);
void host_relay_start(struct host_relay *relay);
/* A message of the host came. */
void host_relay_message(struct host_relay *relay, const void *payload,
			size_t size);
/* Takes all offers back from the guest, then leaves the host's bus; done(),
 * which must not destroy the relay, may run before this returns. */
void host_relay_stop(struct host_relay *relay, void (*done)(void *opaque),
		     void *opaque);
/* After done(), or if it never was started. */
void host_relay_destroy(struct host_relay *relay);

void host_relay_inspect(struct host_relay *relay, struct inspect *out);

#endif
