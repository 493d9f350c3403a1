/* SPDX-License-Identifier: MIT */
/*
 * The host's VMBus, seen by a client of its own: offers, and what can be done
 * with them. Rings and signals are not here; whoever opens a channel says which
 * connection id and event flag the two ends use.
 *
 * Everything belongs to one reactor, callbacks too. A callback may call
 * anything but bus_client_destroy(). Every question to the host has a deadline;
 * a channel whose host does not answer in time is lost, alone; a host that
 * takes no messages, or does not answer to a contact, loses all, and is told to
 * unload when it takes messages again.
 */
#ifndef RELAY_HOST_BUS_H
#define RELAY_HOST_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <guid.h>
#include <pv/reactor.h>

#include "vmbus_reg.h"

struct bus_client;
struct inspect;

/* To answer, */
#define HOST_BUS_DEADLINE_NS 5000000000ull
/* to let go of memory, from when the channel is closed: first its device ends
 * what it works on, which may be as long as a disk needs to give up, */
#define HOST_BUS_LET_GO_NS 60000000000ull
/* and to take all that waits for room, if it takes some in each 5 s. */
#define HOST_BUS_ROOM_NS 20000000000ull
/* An answer that came in time has so long to be read after that: it may have
 * been us who were not there. */
#define HOST_BUS_LOOK_NS 100000000ull

struct bus_client_transport_ops {
	/* Posts a message of type 1. 0; -EAGAIN: the host has no room, it is
	 * tried again; -ENXIO: there is no such connection, the same but for
	 * the contact; other: it will never take it. */
	int (*post)(void *opaque, uint32_t connection, const void *payload,
		    size_t size);
};

/* A channel that the host offers, until host_offer_release(). */
struct host_offer {
	/* Of the host; `id` is its id. What is confidential or monitored
	 * between the host and others is still in here. */
	struct vmbus_offer_channel message;
	uint32_t id; /* 0: on a connection that is no more */
	void *opaque; /* the user's */
	/* ---- private to the bus ---- */
	struct host_offer_state *state;
};

struct bus_client_user_ops {
	/* The answer to bus_client_connect(): 0, all offers were delivered; or
	 * -EPROTONOSUPPORT, -EIO (refused), -ETIMEDOUT. */
	void (*connected)(void *opaque, int err);
	void (*offer)(void *opaque, struct host_offer *offer);
	/* The host took it back (`lost`: it did not answer, or the connection
	 * is no more). What was asked about it will not be answered; it is the
	 * user's to release. */
	void (*rescinded)(void *opaque, struct host_offer *offer, bool lost);
	/* Answers; `status` is the protocol's, 0 = success. */
	void (*gpadl_created)(void *opaque, struct host_offer *offer,
			      uint32_t gpadl, uint32_t status);
	void (*gpadl_torndown)(void *opaque, struct host_offer *offer,
			       uint32_t gpadl);
	void (*opened)(void *opaque, struct host_offer *offer, uint32_t status);
	void (*modified)(void *opaque, struct host_offer *offer,
			 uint32_t status);
	void (*drained)(void *opaque, struct host_offer *offer);
	void (*tl_result)(void *opaque, const struct guid *endpoint,
			  const struct guid *service, uint32_t status);
	/* Messages wait for room at the host: ask no more, or again. */
	void (*busy)(void *opaque, bool busy);
	/* The answer to bus_client_unload(). All offers were taken back. */
	void (*unloaded)(void *opaque);
};

struct bus_client_config {
	const struct bus_client_transport_ops *transport;
	void *transport_opaque;
	const struct bus_client_user_ops *user;
	void *user_opaque;
	struct reactor *reactor;
	uint32_t connection; /* for the first message */
	uint8_t vtl;	     /* whose devices we ask for */
	struct guid client;
};

/* NULL: no memory. */
struct bus_client *bus_client_create(const struct bus_client_config *config);
/* After it is disconnected: before bus_client_connect(), once unloaded() or a
 * failed connected() was called, or when all was lost; all offers must have been
 * released. */
void bus_client_destroy(struct bus_client *bus);

void bus_client_connect(struct bus_client *bus);
/* Also while a connect is under way, which then gets no answer. */
void bus_client_unload(struct bus_client *bus);

/* A message of the host came. */
void bus_client_message(struct bus_client *bus, const void *payload,
			size_t size);

/* What the host agreed on: VMBUS_FEATURE_*. */
uint32_t bus_client_features(const struct bus_client *bus);
/* Answered by tl_result(), or by an offer. */
void bus_client_tl_connect(struct bus_client *bus, const struct guid *endpoint,
			   const struct guid *service);
void bus_client_inspect(struct bus_client *bus, struct inspect *out);

/*
 * Channels. GPADL ids are the user's, unique on the bus until torn down, and the
 * host is told the same.
 */

/* 0, answered by gpadl_created(); -ENODEV: taken back; -EEXIST: there is such
 * an id; -ENOSPC, -ENOMEM. */
int host_offer_gpadl_create(struct host_offer *offer, uint32_t gpadl,
			    uint16_t range_count, const uint64_t *words,
			    uint16_t nr_words);
/* 0, answered by gpadl_torndown(); -ENODEV; -ENOENT: no such complete one. */
int host_offer_gpadl_teardown(struct host_offer *offer, uint32_t gpadl);

struct host_open {
	uint32_t gpadl, split, vp, connection;
	uint16_t event_flag;
	const uint8_t *user_data; /* 120 bytes */
};
/* 0, answered by opened(); -ENODEV; -EBUSY: not closed; -ENOENT: no such
 * GPADL. The host must have agreed to signal parameters. */
int host_offer_open(struct host_offer *offer, const struct host_open *open);
/* A modify that is under way gets no answer. */
void host_offer_close(struct host_offer *offer);
/* 0, answered by modified(); -ENODEV; -EBUSY: not open, or being modified. */
int host_offer_modify(struct host_offer *offer, uint32_t vp);

/* Closes it and tears all GPADLs down, then drained(), maybe before this
 * returns; no other answers from here on. */
void host_offer_drain(struct host_offer *offer);

/* The user has forgotten it: the host may use the id again. State: taken back,
 * see rescinded(). */
void host_offer_release(struct host_offer *offer);

#endif
