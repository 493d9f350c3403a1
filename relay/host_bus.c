/* SPDX-License-Identifier: MIT */
/*
 * The host's VMBus, theory of operation
 *
 * Owns the connection with the host and sorts its messages; host_offer.c has
 * the channels, host_gpadl.c their memory, host_bus_post.c the queue to the
 * host and the deadlines.
 *
 *	DISCONNECTED --connect--> CONTACT --VERSION_RESPONSE--> OFFERS
 *	     ^                     |  ^ |                         |
 *	     |   no version left,  |  '-' not this version        | ALL_OFFERS_-
 *	     |   refused, deadline |      6.0, then 5.3           v DELIVERED
 *	     +---------------------'                          CONNECTED
 *	     |                                                    | unload
 *	     +--- UNLOAD_COMPLETE, deadline --- UNLOADING <-------+
 *	     |                                                    | no room, or
 *	     |                                                    | OFFERS: dead-
 *	     '--- UNLOAD_COMPLETE ------------- LEAVING <---------' line
 *
 * From version 5.0 on the host says where to post next. The end of a
 * connection, however it comes, takes all offers back from the user.
 *
 * Who is left in OFFERS or CONNECTED without a word has its channels open still
 * and uses memory that the guest may have back: LEAVING is for the user as
 * DISCONNECTED, but the host is told to UNLOAD as soon as it takes messages,
 * however long that is.
 *
 * A VERSION_RESPONSE carries no version: an answer that comes after its
 * deadline could be taken for the next one's. So a contact that expires ends
 * the attempt, and is not followed by another version.
 *
 * Threads: the bus's reactor.
 *
 * Failure answers: the host is trusted with devices and memory of the guest,
 * not with the daemon: a message that is short, unknown or out of place, or
 * answers what was not asked, is recorded as a violation, counted and dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/violation.h>

#include "host_bus_state.h"

LOG_MODULE("host_bus");

static const uint32_t versions[] = { VMBUS_VERSION_COPPER, VMBUS_VERSION_IRON };
#define NR_VERSIONS (sizeof(versions) / sizeof(versions[0]))

#define WANTED_FEATURES (VMBUS_FEATURE_SIGNAL_PARAMETERS | \
			 VMBUS_FEATURE_INTERRUPT_REDIRECTION | \
			 VMBUS_FEATURE_MODIFY_CONNECTION | \
			 VMBUS_FEATURE_CLIENT_ID)

static host_message_handler version_response_came, all_offers_came,
	unload_complete_came, tl_result_came;

#define IN(phase) (1u << (phase))
#define HAS_OFFERS (IN(BUS_OFFERS) | IN(BUS_CONNECTED))
#define ENDS (IN(BUS_UNLOADING) | IN(BUS_LEAVING))

static const struct message_rule {
	host_message_handler *handle; /* NULL: not for the host to send */
	size_t size;
	unsigned int phases;
} messages[VMBUS_MESSAGE_TYPES] = {
	[VMBUS_OFFER_CHANNEL] = { host_offer_came,
		sizeof(struct vmbus_offer_channel), HAS_OFFERS },
	[VMBUS_RESCIND_CHANNEL] = { host_offer_rescind_came,
		sizeof(struct vmbus_channel_message), HAS_OFFERS },
	[VMBUS_ALL_OFFERS_DELIVERED] = { all_offers_came,
		sizeof(struct vmbus_header), IN(BUS_OFFERS) },
	[VMBUS_OPEN_RESULT] = { host_offer_open_result,
		sizeof(struct vmbus_open_result), HAS_OFFERS },
	[VMBUS_GPADL_CREATED] = { host_gpadl_created,
		sizeof(struct vmbus_gpadl_created), HAS_OFFERS },
	[VMBUS_GPADL_TORNDOWN] = { host_gpadl_torndown,
		sizeof(struct vmbus_gpadl_torndown), HAS_OFFERS },
	[VMBUS_VERSION_RESPONSE] = { version_response_came,
		sizeof(struct vmbus_version_response), IN(BUS_CONTACT) },
	[VMBUS_UNLOAD_COMPLETE] = { unload_complete_came,
		sizeof(struct vmbus_header), ENDS },
	[VMBUS_TL_CONNECT_RESULT] = { tl_result_came,
		sizeof(struct vmbus_tl_connect_result), IN(BUS_CONNECTED) },
	[VMBUS_MODIFY_CHANNEL_RESPONSE] = { host_offer_modify_response,
		sizeof(struct vmbus_modify_channel_response), HAS_OFFERS },
};

void bus_client_refuse(struct bus_client *bus, uint32_t id, uint32_t type,
		       uint32_t offset, uint64_t value, const char *rule)
{
	bus->count.refused++;
	violation_record("host", id, type, offset, value, rule);
	log_warn_limited("message %u about channel %u: %s, not %#llx", type, id,
			 rule, (unsigned long long)value);
}

static void set_phase(struct bus_client *bus, enum bus_client_phase phase)
{
	log_debug("phase %d -> %d", bus->phase, phase);
	bus->phase = phase;
}

bool bus_client_is_connected(const struct bus_client *bus)
{
	return IN(bus->phase) & HAS_OFFERS;
}

/* For the user, there is nothing. */
static bool is_left(const struct bus_client *bus)
{
	return bus->phase == BUS_DISCONNECTED || bus->phase == BUS_LEAVING;
}

void bus_client_end(struct bus_client *bus, int err)
{
	const struct bus_client_user_ops *user = bus->config.user;
	enum bus_client_phase phase = bus->phase;
	struct vmbus_header unload;

	set_phase(bus, BUS_DISCONNECTED);
	bus_client_post_forget(bus);
	host_offer_lose_all(bus);
	bus->features = bus->version = 0;
	bus->late_torndowns = 0;
	bus->tl_asked = 0;
	/* A user that connects again has the host forget, too. */
	if (err && IN(phase) & HAS_OFFERS && bus->phase == BUS_DISCONNECTED) {
		set_phase(bus, BUS_LEAVING);
		bus_client_post(bus, VMBUS_UNLOAD, &unload, sizeof(unload));
	}
	if (phase == BUS_UNLOADING)
		user->unloaded(bus->config.user_opaque);
	else if (phase == BUS_CONTACT || phase == BUS_OFFERS)
		user->connected(bus->config.user_opaque, err);
}

/* ---- contact ---- */

static void contact(struct bus_client *bus)
{
	uint32_t version = versions[bus->attempt];
	struct vmbus_initiate_contact_id message = {
		.contact = {
			.version = cpu_to_le32(version),
			.sint = VMBUS_SINT,
			.vtl = bus->config.vtl,
		},
		.client = bus->config.client,
	};
	bool features = version >= VMBUS_VERSION_COPPER;

	if (features)
		message.contact.features = cpu_to_le32(WANTED_FEATURES);
	bus->connection = bus->config.connection;
	bus_client_ask(bus, &bus->question, NULL);
	bus_client_post(bus, VMBUS_INITIATE_CONTACT, &message,
			features ? sizeof(message) : sizeof(message.contact));
}

void bus_client_connect(struct bus_client *bus)
{
	pv_bug(!is_left(bus), bus->phase, 0);
	bus_client_post_forget(bus);
	bus->attempt = 0;
	set_phase(bus, BUS_CONTACT);
	contact(bus);
}

static void next_version(struct bus_client *bus)
{
	if (++bus->attempt < NR_VERSIONS) {
		contact(bus);
		return;
	}
	log_err("the host knows none of our versions");
	bus_client_end(bus, -EPROTONOSUPPORT);
}

/* `message` may be of the longer kind: a shorter one has no features. */
static void agree(struct bus_client *bus,
		  const struct vmbus_version_response *response,
		  uint32_t features)
{
	struct vmbus_header request;

	if (response->status) {
		log_err("the host refuses to connect, status %u",
			response->status);
		bus_client_end(bus, -EIO);
		return;
	}
	bus->version = versions[bus->attempt];
	bus->features = features & WANTED_FEATURES;
	bus->connection = le32_to_cpu(response->version_or_connection);
	set_phase(bus, BUS_OFFERS);
	log_info("connected: version %u.%u, features %#x, messages to %#x",
		 bus->version >> 16, bus->version & 0xffff, bus->features,
		 bus->connection);
	bus_client_ask(bus, &bus->question, NULL);
	bus_client_post(bus, VMBUS_REQUEST_OFFERS, &request, sizeof(request));
}

static void version_response_came(struct bus_client *bus, const void *message)
{
	const struct vmbus_version_response_features *response = message;
	uint32_t features = versions[bus->attempt] < VMBUS_VERSION_COPPER ? 0 :
			    le32_to_cpu(response->features);

	if (response->response.supported)
		agree(bus, &response->response, features);
	else
		next_version(bus);
}

static void all_offers_came(struct bus_client *bus, const void *message)
{
	(void)message;
	bus_client_answered(&bus->question);
	set_phase(bus, BUS_CONNECTED);
	log_info("the host offers %u channels", bus->nr_offers);
	bus->config.user->connected(bus->config.user_opaque, 0);
}

void bus_client_unload(struct bus_client *bus)
{
	struct vmbus_header unload;

	if (bus->phase == BUS_UNLOADING)
		return;
	if (bus->phase == BUS_LEAVING) {
		/* It is said, or waits. */
		set_phase(bus, BUS_UNLOADING);
		bus_client_ask(bus, &bus->question, NULL);
		return;
	}
	/* What waits is about things that are no more. */
	bus_client_post_forget(bus);
	if (!bus_client_is_connected(bus)) {
		set_phase(bus, BUS_UNLOADING);
		bus_client_end(bus, 0);
		return;
	}
	set_phase(bus, BUS_UNLOADING);
	bus_client_ask(bus, &bus->question, NULL);
	bus_client_post(bus, VMBUS_UNLOAD, &unload, sizeof(unload));
}

static void unload_complete_came(struct bus_client *bus, const void *message)
{
	(void)message;
	bus_client_end(bus, 0);
}

/* ---- sockets ---- */

void bus_client_tl_connect(struct bus_client *bus, const struct guid *endpoint,
			   const struct guid *service)
{
	struct vmbus_tl_connect_request_silo message = { .request = {
		.endpoint = *endpoint,
		.service = *service,
	} };

	if (bus->phase != BUS_CONNECTED) {
		bus->config.user->tl_result(bus->config.user_opaque, endpoint,
					    service,
					    VMBUS_STATUS_CONNECTION_REFUSED);
		return;
	}
	bus->tl_asked++;
	bus_client_post(bus, VMBUS_TL_CONNECT_REQUEST, &message,
			sizeof(message));
}

static void tl_result_came(struct bus_client *bus, const void *message)
{
	const struct vmbus_tl_connect_result *result = message;

	if (!bus->tl_asked) {
		bus_client_refuse(bus, 0, VMBUS_TL_CONNECT_RESULT,
				  offsetof(struct vmbus_tl_connect_result,
					   status),
				  le32_to_cpu(result->status),
				  "host.tl.answer");
		return;
	}
	bus->tl_asked--;
	bus->config.user->tl_result(bus->config.user_opaque, &result->endpoint,
				    &result->service,
				    le32_to_cpu(result->status));
}

/* ---- messages ---- */

void bus_client_message(struct bus_client *bus, const void *payload,
			size_t size)
{
	/* A copy: handlers may read the longest form of a message. */
	_Alignas(8) uint8_t message[VMBUS_MAX_MESSAGE] = { 0 };
	struct vmbus_header header;
	uint32_t type;

	bus->count.messages_in++;
	if (size < sizeof(header) || size > sizeof(message)) {
		bus_client_refuse(bus, 0, 0, 0, size, "host.message.size");
		return;
	}
	memcpy(message, payload, size);
	memcpy(&header, message, sizeof(header));
	type = le32_to_cpu(header.type);
	if (type >= VMBUS_MESSAGE_TYPES || !messages[type].handle)
		bus_client_refuse(bus, 0, type, 0, type, "host.message.type");
	else if (size < messages[type].size)
		bus_client_refuse(bus, 0, type, (uint32_t)size,
				  messages[type].size, "host.message.complete");
	else if (IN(bus->phase) & ENDS && !(messages[type].phases & ENDS))
		log_debug("message %u crossed UNLOAD", type);
	else if (!(IN(bus->phase) & messages[type].phases))
		bus_client_refuse(bus, 0, type, 0, bus->phase,
				  "host.message.time");
	else
		messages[type].handle(bus, message);
}

/* ---- life ---- */

uint32_t bus_client_features(const struct bus_client *bus)
{
	return bus->features;
}

struct bus_client *bus_client_create(const struct bus_client_config *config)
{
	struct bus_client *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	bus->config = *config;
	bus_client_post_init(bus);
	return bus;
}

void bus_client_destroy(struct bus_client *bus)
{
	pv_bug(!is_left(bus) || bus->offers, bus->phase, bus->nr_offers);
	bus_client_post_forget(bus);
	free(bus);
}

void bus_client_inspect(struct bus_client *bus, struct inspect *out)
{
	static const char *const names[] = {
		[BUS_DISCONNECTED] = "disconnected",
		[BUS_CONTACT] = "contact",
		[BUS_OFFERS] = "offers",
		[BUS_CONNECTED] = "connected",
		[BUS_UNLOADING] = "unloading",
		[BUS_LEAVING] = "leaving",
	};

	inspect_text(out, "state", names[bus->phase]);
	inspect_hex(out, "version", bus->version);
	inspect_hex(out, "features", bus->features);
	inspect_u64(out, "offers", bus->nr_offers);
	inspect_u64(out, "offers_kept", bus->nr_released);
	inspect_u64(out, "gpadls", bus->nr_gpadls);
	inspect_u64(out, "messages_in", bus->count.messages_in);
	inspect_u64(out, "messages_out", bus->count.messages_out);
	inspect_u64(out, "messages_refused", bus->count.refused);
	inspect_u64(out, "messages_lost", bus->count.lost);
	inspect_u64(out, "unanswered", bus->count.unanswered);
}
