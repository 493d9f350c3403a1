/* SPDX-License-Identifier: MIT */
/*
 * The relay, theory of operation
 *
 * Owns one relayed device for each offer of the host that the guest is to see,
 * and ties the two ends together; neither the bus nor the server knows the
 * other.
 *
 *	host's OFFER --> filter --hide, intercept, owned here--> kept
 *	                   | relay
 *	                   |   its instance is still being taken back: WAITING
 *	                   v            | it was
 *	                OFFERED <-------'
 *	                   | host's RESCIND, or no answer; host_relay_stop()
 *	                   v
 *	                REVOKING --the server let go--> released to the host
 *
 * The host may release the id of a channel while the guest has not: each side
 * has ids of its own. The server keeps a re-offer back until the guest released
 * what it had.
 *
 * The guest's ids are stable because devices stand in the order of the host's
 * ids behind our own of the same interface, and the host gives the lowest free
 * id to what comes back. Sub-channels of the host's come and go as offers of
 * their own; when a primary is lost, so are they, first.
 *
 * What the guest is told of an offer is the host's, but for what was agreed
 * between the host and us alone: there is no monitor, and nothing confidential
 * (offer.c). The connection id and the event flag are the server's for this
 * guest, and the host is told at OPEN. A host that cannot be told cannot be
 * relayed.
 *
 * Back-pressure: while messages to the host wait for room, the server handles
 * none of the guest's.
 *
 * Threads: the server's reactor. Failure answers: what cannot be asked of the
 * host is answered for it with a failure; an offer for which there is no
 * memory or id is logged and kept from the guest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "channel.h"
#include "host_relay.h"

LOG_MODULE("host_relay");

#define REQUIRED_FEATURES VMBUS_FEATURE_SIGNAL_PARAMETERS
/* Behind all devices of our own. */
#define FIRST_ORDER 0x4000u

enum relayed_state { RELAYED_KEPT, RELAYED_WAITING, RELAYED_OFFERED,
		     RELAYED_REVOKING };

struct relayed {
	struct vmbus_device dev; /* first */
	struct host_relay *relay;
	struct host_offer *offer; /* NULL: released already */
	struct relayed *next;
	enum relayed_state state;
	enum host_relay_action action;
	bool gone; /* the host took it back, or it is lost */
};

struct host_relay {
	struct host_relay_config config;
	struct bus_client *bus;
	struct relayed *first;
	void (*stopped)(void *opaque);
	void *stopped_opaque;
	struct {
		uint64_t offered, rescinded, lost, kept;
	} count;
};

static struct relayed *relayed_of(struct vmbus_device *dev)
{
	return (struct relayed *)dev;
}

/* ---- the guest's words, to the host ---- */

static int gpadl_create(struct vmbus_device *dev, uint32_t gpadl,
			uint16_t range_count, const uint64_t *words,
			uint16_t nr_words)
{
	return host_offer_gpadl_create(relayed_of(dev)->offer, gpadl,
				       range_count, words, nr_words);
}

static void gpadl_teardown(struct vmbus_device *dev, uint32_t gpadl)
{
	if (host_offer_gpadl_teardown(relayed_of(dev)->offer, gpadl))
		vmbus_relay_gpadl_torndown(dev, gpadl);
}

static void open_channel(struct vmbus_device *dev,
			 const struct vmbus_relay_open *open)
{
	struct host_open request = {
		.gpadl = open->gpadl,
		.split = open->split,
		.vp = open->vp,
		.connection = open->connection,
		.event_flag = open->event_flag,
		.user_data = open->user_data,
	};

	if (host_offer_open(relayed_of(dev)->offer, &request))
		vmbus_relay_opened(dev, VMBUS_STATUS_UNSUCCESSFUL);
}

static void close_channel(struct vmbus_device *dev)
{
	host_offer_close(relayed_of(dev)->offer);
}

static void modify(struct vmbus_device *dev, uint32_t vp)
{
	if (host_offer_modify(relayed_of(dev)->offer, vp))
		vmbus_relay_modified(dev, VMBUS_STATUS_UNSUCCESSFUL);
}

static void release(struct vmbus_device *dev)
{
	struct relayed *r = relayed_of(dev);

	/* With the host's end, everything at the host ended. */
	if (r->gone)
		vmbus_relay_released(dev);
	else
		host_offer_drain(r->offer);
}

static const struct vmbus_relay_ops relay_ops = {
	.gpadl_create = gpadl_create,
	.gpadl_teardown = gpadl_teardown,
	.open = open_channel,
	.close = close_channel,
	.modify = modify,
	.release = release,
};

static const struct vmbus_device_ops device_ops = { .name = "relayed" };

/* ---- devices ---- */

static bool can_relay(const struct host_relay *relay)
{
	return bus_client_features(relay->bus) & REQUIRED_FEATURES;
}

static void forget(struct relayed *r)
{
	struct relayed **at = &r->relay->first;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (r->gone)
		host_offer_release(r->offer);
	free(r);
}

static bool guest_sees(const struct relayed *r)
{
	return r->state == RELAYED_OFFERED || r->state == RELAYED_REVOKING;
}

static void stop_when_empty(struct host_relay *relay)
{
	struct relayed *r = relay->first;

	while (r && !guest_sees(r))
		r = r->next;
	if (relay->stopped && !r)
		bus_client_unload(relay->bus);
}

/* Is there another of this instance that the guest sees, or saw? */
static struct relayed *other(const struct relayed *r,
			     enum relayed_state state)
{
	struct relayed *o = r->relay->first;

	while (o && (o == r || o->state != state ||
		     o->dev.sub_index != r->dev.sub_index ||
		     !guid_equal(&o->dev.interface, &r->dev.interface) ||
		     !guid_equal(&o->dev.instance, &r->dev.instance)))
		o = o->next;
	return o;
}

static void offer_to_guest(struct relayed *r)
{
	char instance[GUID_TEXT_SIZE];
	int err;

	r->state = RELAYED_OFFERED;
	err = vmbus_offer(r->relay->config.server, &r->dev);
	if (!err) {
		r->relay->count.offered++;
		return;
	}
	r->state = RELAYED_KEPT;
	log_err("%s is kept from the guest: %s",
		guid_print(&r->dev.instance, instance), strerror(-err));
}

/* The server let go of it. */
static void revoked(struct vmbus_device *dev)
{
	struct relayed *r = relayed_of(dev), *next;
	struct host_relay *relay = r->relay;

	next = other(r, RELAYED_WAITING);
	if (r->gone) {
		forget(r);
	} else {
		/* Until the host takes it back, or the bus is left. */
		r->state = RELAYED_KEPT;
	}
	if (next && !relay->stopped)
		offer_to_guest(next);
	stop_when_empty(relay);
}

static void revoke(struct relayed *r)
{
	r->state = RELAYED_REVOKING;
	vmbus_revoke(&r->dev);
}

static enum host_relay_action action_for(const struct host_relay *relay,
					 const struct relayed *r)
{
	const struct host_relay_config *config = &relay->config;

	for (unsigned int i = 0; i < config->nr_rules; i++)
		if (guid_equal(&config->rules[i].instance, &r->dev.instance))
			return config->rules[i].action;
	return HOST_RELAY;
}

/* Does a device of our own stand for it? */
static bool is_ours(const struct relayed *r)
{
	return !other(r, RELAYED_OFFERED) && !other(r, RELAYED_REVOKING) &&
	       !r->dev.sub_index &&
	       vmbus_offers(r->relay->config.server, &r->dev.interface,
			    &r->dev.instance);
}

/* A sub-channel whose primary the guest does not see. */
static bool is_orphan(const struct relayed *r)
{
	const struct relayed *o = r->relay->first;

	if (!r->dev.sub_index)
		return false;
	while (o && !(o->state == RELAYED_OFFERED && !o->dev.sub_index &&
		      guid_equal(&o->dev.interface, &r->dev.interface) &&
		      guid_equal(&o->dev.instance, &r->dev.instance)))
		o = o->next;
	return !o;
}

/* ---- the host's words, to the guest ---- */

static struct relayed *relayed_new(struct host_relay *relay,
				   struct host_offer *offer)
{
	const struct vmbus_offer_channel *message = &offer->message;
	struct relayed *r = calloc(1, sizeof(*r)), **at = &relay->first;

	if (!r)
		return NULL;
	r->relay = relay;
	r->offer = offer;
	r->dev.ops = &device_ops;
	r->dev.relay = &relay_ops;
	r->dev.interface = message->interface;
	r->dev.instance = message->instance;
	r->dev.offer_flags = le16_to_cpu(message->flags);
	r->dev.mmio_mb = le16_to_cpu(message->mmio_mb);
	r->dev.sub_index = le16_to_cpu(message->sub_index);
	r->dev.order = (uint16_t)(FIRST_ORDER + offer->id);
	memcpy(r->dev.user_data, message->user_data, VMBUS_USER_DATA_SIZE);
	r->dev.revoked = revoked;
	offer->opaque = r;
	while (*at)
		at = &(*at)->next;
	*at = r;
	return r;
}

static void offer_came(void *opaque, struct host_offer *offer)
{
	struct host_relay *relay = opaque;
	struct relayed *r = relayed_new(relay, offer);

	offer->opaque = r;
	if (!r) {
		log_err("no memory to relay channel %u", offer->id);
		return;
	}
	r->action = action_for(relay, r);
	if (!can_relay(relay) || relay->stopped || r->action == HOST_HIDE ||
	    (r->action == HOST_RELAY && (is_ours(r) || is_orphan(r)))) {
		/* Nobody is told of it, then or later. */
		r->action = HOST_HIDE;
		relay->count.kept++;
	} else if (r->action == HOST_INTERCEPT) {
		relay->count.kept++;
		if (relay->config.intercept)
			relay->config.intercept(relay->config.opaque, offer,
						true);
	} else if (other(r, RELAYED_REVOKING)) {
		r->state = RELAYED_WAITING;
	} else {
		offer_to_guest(r);
	}
}

/* Those of a primary that is lost cannot stay without it. */
static void lose_subchannels(struct relayed *primary)
{
	struct relayed *r, *next;

	for (r = primary->relay->first; r; r = next) {
		next = r->next;
		if (r != primary && r->state == RELAYED_OFFERED &&
		    r->dev.sub_index &&
		    guid_equal(&r->dev.interface, &primary->dev.interface) &&
		    guid_equal(&r->dev.instance, &primary->dev.instance))
			revoke(r);
	}
}

static void rescinded(void *opaque, struct host_offer *offer, bool lost)
{
	struct host_relay *relay = opaque;
	struct relayed *r = offer->opaque;

	if (!r) {
		host_offer_release(offer);
		return;
	}
	r->gone = true;
	relay->count.rescinded++;
	relay->count.lost += lost;
	switch (r->state) {
	case RELAYED_KEPT:
		if (r->action == HOST_INTERCEPT && relay->config.intercept)
			relay->config.intercept(relay->config.opaque, offer,
						false);
		forget(r);
		break;
	case RELAYED_WAITING:
		forget(r);
		break;
	case RELAYED_OFFERED:
		if (!r->dev.sub_index)
			lose_subchannels(r);
		revoke(r);
		break;
	case RELAYED_REVOKING:
		/* It is released when the server let go. */
		break;
	}
}

static void gpadl_created(void *opaque, struct host_offer *offer,
			  uint32_t gpadl, uint32_t status)
{
	(void)opaque;
	vmbus_relay_gpadl_created(&((struct relayed *)offer->opaque)->dev,
				  gpadl, status);
}

static void gpadl_torndown(void *opaque, struct host_offer *offer,
			   uint32_t gpadl)
{
	(void)opaque;
	vmbus_relay_gpadl_torndown(&((struct relayed *)offer->opaque)->dev,
				   gpadl);
}

static void opened(void *opaque, struct host_offer *offer, uint32_t status)
{
	(void)opaque;
	vmbus_relay_opened(&((struct relayed *)offer->opaque)->dev, status);
}

static void modified(void *opaque, struct host_offer *offer, uint32_t status)
{
	(void)opaque;
	vmbus_relay_modified(&((struct relayed *)offer->opaque)->dev, status);
}

static void drained(void *opaque, struct host_offer *offer)
{
	(void)opaque;
	vmbus_relay_released(&((struct relayed *)offer->opaque)->dev);
}

static void tl_result(void *opaque, const struct guid *endpoint,
		      const struct guid *service, uint32_t status)
{
	struct host_relay *relay = opaque;

	vmbus_server_tl_result(relay->config.server, endpoint, service,
			       status);
}

static void tl_connect(void *opaque, const struct guid *endpoint,
		       const struct guid *service)
{
	struct host_relay *relay = opaque;

	bus_client_tl_connect(relay->bus, endpoint, service);
}

static void busy(void *opaque, bool is_busy)
{
	struct host_relay *relay = opaque;

	vmbus_server_hold(relay->config.server, is_busy);
}

static void connected(void *opaque, int err)
{
	struct host_relay *relay = opaque;

	if (!err && !can_relay(relay)) {
		log_err("the host cannot be told whom to signal");
		err = -ENOTSUP;
	}
	relay->config.started(relay->config.opaque, err);
}

static void unloaded(void *opaque)
{
	struct host_relay *relay = opaque;
	void (*stopped)(void *opaque) = relay->stopped;

	relay->stopped = NULL;
	if (stopped)
		stopped(relay->stopped_opaque);
}

static const struct bus_client_user_ops user_ops = {
	.connected = connected,
	.offer = offer_came,
	.rescinded = rescinded,
	.gpadl_created = gpadl_created,
	.gpadl_torndown = gpadl_torndown,
	.opened = opened,
	.modified = modified,
	.drained = drained,
	.tl_result = tl_result,
	.busy = busy,
	.unloaded = unloaded,
};

/* ---- life ---- */

struct host_relay *host_relay_create(const struct host_relay_config *config)
{
	struct host_relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->config = *config;
	relay->bus = bus_client_create(&(struct bus_client_config){
		.transport = config->transport,
		.transport_opaque = config->transport_opaque,
		.user = &user_ops,
		.user_opaque = relay,
		.reactor = config->reactor,
		.connection = config->connection,
		.client = config->client,
	});
	if (!relay->bus) {
		free(relay);
		return NULL;
	}
	vmbus_server_relay_sockets(config->server, tl_connect, relay);
	return relay;
}

void host_relay_start(struct host_relay *relay)
{
	bus_client_connect(relay->bus);
}

void host_relay_message(struct host_relay *relay, const void *payload,
			size_t size)
{
	bus_client_message(relay->bus, payload, size);
}

static void revoke_all(struct host_relay *relay, bool subchannels)
{
	struct relayed *r, *next;

	for (r = relay->first; r; r = next) {
		next = r->next;
		if (r->state == RELAYED_OFFERED &&
		    !r->dev.sub_index == !subchannels)
			revoke(r);
	}
}

void host_relay_stop(struct host_relay *relay, void (*done)(void *opaque),
		     void *opaque)
{
	relay->stopped = done;
	relay->stopped_opaque = opaque;
	revoke_all(relay, true);
	revoke_all(relay, false);
	stop_when_empty(relay);
}

void host_relay_destroy(struct host_relay *relay)
{
	pv_bug(relay->first != NULL, 0, 0);
	vmbus_server_relay_sockets(relay->config.server, NULL, NULL);
	bus_client_destroy(relay->bus);
	free(relay);
}

void host_relay_inspect(struct host_relay *relay, struct inspect *out)
{
	static const char *const states[] = {
		[RELAYED_KEPT] = "kept",	[RELAYED_WAITING] = "waiting",
		[RELAYED_OFFERED] = "relayed", [RELAYED_REVOKING] = "revoking",
	};
	char instance[GUID_TEXT_SIZE];

	inspect_u64(out, "offered", relay->count.offered);
	inspect_u64(out, "rescinded", relay->count.rescinded);
	inspect_u64(out, "lost", relay->count.lost);
	inspect_u64(out, "kept", relay->count.kept);
	if (inspect_begin(out, "bus")) {
		bus_client_inspect(relay->bus, out);
		inspect_end(out);
	}
	if (!inspect_begin(out, "offers"))
		return;
	for (struct relayed *r = relay->first; r; r = r->next) {
		guid_print(&r->dev.instance, instance);
		if (!inspect_begin(out, instance))
			continue;
		inspect_text(out, "state", states[r->state]);
		inspect_u64(out, "host_channel", r->offer->id);
		inspect_u64(out, "sub_index", r->dev.sub_index);
		inspect_end(out);
	}
	inspect_end(out);
}
