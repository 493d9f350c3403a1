/* SPDX-License-Identifier: MIT */
/*
 * The connection with the client, theory of operation
 *
 * Owns who is connected, in which version, and how a connection ends.
 *
 *	              INITIATE_CONTACT: VERSION_RESPONSE
 *	DISCONNECTED ------------------------------------> CONNECTED
 *	     ^                                                 |
 *	     | all channels closed:                            | UNLOAD,
 *	     |   UNLOAD_COMPLETE, or the done() of a reset,    | CONTACT again,
 *	     |   or the new CONTACT is looked at               | reset
 *	     +---------------- DISCONNECTING <-----------------+
 *
 * A client that breaks off does not wait for its channels to be closed, but
 * the server does before it answers: from the answer on, the client uses its
 * memory for something else. How long a device may take is the device's to
 * bound; who takes long is logged. No message is handled meanwhile. Reserved
 * channels outlive the connection: only a reset closes those.
 *
 * No device of ours uses monitor pages, so MODIFY_CONNECTION changes nothing.
 *
 * Threads: the server's reactor.
 *
 * Failure answers: an unknown version, or another SINT than ours, gets the
 * response of zeroes, so that the client tries its next version. A known one
 * with what cannot be gets a response that says failed. A contact for another
 * VTL is not for us, and gets none.
 */
#include <pv/log.h>

#include "vmbus_state.h"

LOG_MODULE("vmbus");

#define MAX_SINT 15
#define SLOW_NS 5000000000ull

static const uint32_t versions[] = {
	VMBUS_VERSION_WIN8,	 VMBUS_VERSION_WIN8_1,
	VMBUS_VERSION_WIN10,	 VMBUS_VERSION_WIN10_RS3,
	VMBUS_VERSION_WIN10_V5,	 VMBUS_VERSION_WIN10_RS4,
	VMBUS_VERSION_WIN10_RS5, VMBUS_VERSION_IRON,
	VMBUS_VERSION_COPPER,
};

/* We look at no client's id, but one may tell us. Interrupts go nowhere but to
 * the client, nothing is confidential or pinned, and nothing is monitored. */
#define SUPPORTED_FEATURES (VMBUS_FEATURE_SIGNAL_PARAMETERS | \
			    VMBUS_FEATURE_MODIFY_CONNECTION | \
			    VMBUS_FEATURE_CLIENT_ID | \
			    VMBUS_FEATURE_PAUSE_RESUME)

static void respond_unsupported(struct vmbus_server *server, uint32_t vp,
				uint8_t sint)
{
	struct vmbus_version_response response = { 0 };

	server_send_to(server, vp, sint, VMBUS_VERSION_RESPONSE, &response,
		       sizeof(response));
}

static void respond_supported(struct vmbus_server *server, uint32_t version,
			      enum vmbus_connection_status status)
{
	struct vmbus_version_response_features message = {
		.response = {
			.supported = 1,
			.status = status,
			.version_or_connection = cpu_to_le32(
				version < VMBUS_VERSION_WIN10_V5 ?
				version : server->config.message_connection),
		},
		.features = cpu_to_le32(server->features),
	};

	server_send_to(server, server->vp, VMBUS_SINT, VMBUS_VERSION_RESPONSE,
		       &message, version < VMBUS_VERSION_COPPER ?
		       sizeof(message.response) : sizeof(message));
}

static bool known_version(const struct vmbus_server *server, uint32_t version)
{
	if (server->config.max_version && version > server->config.max_version)
		return false;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (versions[i] == version)
			return true;
	return false;
}

/* Records it if only one is there. */
static bool monitor_pages_good(struct vmbus_server *server, uint32_t type,
			       uint32_t offset, le64 in, le64 out)
{
	if (!le64_to_cpu(in) == !le64_to_cpu(out))
		return true;
	server_refuse(server, 0, type, offset, le64_to_cpu(out),
		      "vmbus.monitor-pages");
	return false;
}

/* Everything that may be refused with a supported version. */
static bool contact_good(struct vmbus_server *server,
			 const struct vmbus_initiate_contact *contact)
{
	uint32_t version = le32_to_cpu(contact->version);
	uint32_t vp = le32_to_cpu(contact->vp);

	if (version >= VMBUS_VERSION_WIN8_1 && vp >= server->config.nr_vps) {
		server_refuse(server, 0, VMBUS_INITIATE_CONTACT,
			      offsetof(struct vmbus_initiate_contact, vp), vp,
			      "vmbus.vp");
		return false;
	}
	return monitor_pages_good(server, VMBUS_INITIATE_CONTACT,
				  offsetof(struct vmbus_initiate_contact,
					   monitor_out),
				  contact->monitor_in, contact->monitor_out);
}

/* State: DISCONNECTED. */
static void connect_client(struct vmbus_server *server,
			   const struct vmbus_initiate_contact *contact)
{
	uint32_t version = le32_to_cpu(contact->version);
	uint32_t vp = le32_to_cpu(contact->vp);
	uint8_t sint = version < VMBUS_VERSION_WIN10_V5 ? VMBUS_SINT :
							  contact->sint;

	server->vp = version >= VMBUS_VERSION_WIN8_1 &&
		     vp < server->config.nr_vps ? vp : 0;
	if (!known_version(server, version) || sint != VMBUS_SINT) {
		log_info_limited("client asks for version %u.%u, SINT %u: no",
				 version >> 16, version & 0xffff, sint);
		if (known_version(server, version))
			server_refuse(server, 0, VMBUS_INITIATE_CONTACT,
				      offsetof(struct vmbus_initiate_contact,
					       sint),
				      sint, "vmbus.contact.sint");
		respond_unsupported(server, server->vp,
				    sint > MAX_SINT ? VMBUS_SINT : sint);
		return;
	}
	server->features = version < VMBUS_VERSION_COPPER ? 0 :
			   le32_to_cpu(contact->features) & SUPPORTED_FEATURES;
	if (!contact_good(server, contact)) {
		respond_supported(server, version, VMBUS_CONNECTION_FAILED);
		return;
	}
	server->version = version;
	server->offers_requested = false;
	server->state = CONNECTED;
	log_info_limited("client connected: version %u.%u, messages to VP %u",
			 version >> 16, version & 0xffff, server->vp);
	respond_supported(server, version, VMBUS_CONNECTION_OK);
}

static void disconnected(struct vmbus_server *server)
{
	void (*done)(void *opaque) = server->reset_done;
	struct vmbus_header complete;

	/* They are about a connection that is no more. What waits for room is
	 * not, but to a client that was reset nothing is said. */
	server_forget_held(server);
	if (server->action == DISCONNECT_RESET)
		server_forget_waiting(server);
	reactor_timer_cancel(server->config.reactor, &server->slow_timer);
	offer_forget_all(server);
	pv_bug(server->partial || server->gpadls.count > server->nr_reserved,
	       server->gpadls.count, server->nr_reserved);
	server->state = DISCONNECTED;
	server->reset_done = NULL;
	switch (server->action) {
	case DISCONNECT_UNLOAD:
		log_info_limited("client unloaded");
		server_send_to(server, server->vp, VMBUS_SINT,
			       VMBUS_UNLOAD_COMPLETE, &complete,
			       sizeof(complete));
		break;
	case DISCONNECT_CONTACT:
		connect_client(server, &server->contact);
		break;
	case DISCONNECT_RESET:
		done(server->reset_opaque);
		break;
	}
	reactor_post(server->config.reactor, &server->pass_call);
}

/* Does it stay open when the connection ends in this way? */
static bool survives(const struct vmbus_server *server,
		     const struct vmbus_channel_state *st)
{
	return st->open.reserved && channel_is_busy(st) &&
	       server->action != DISCONNECT_RESET;
}

void connection_channel_idle(struct vmbus_server *server)
{
	unsigned int survivors = server->action == DISCONNECT_RESET ? 0 :
				 server->nr_reserved;

	if (server->state == DISCONNECTING && server->nr_busy == survivors)
		disconnected(server);
}

static void tell_slow(struct reactor_timer *timer)
{
	struct vmbus_server *server =
		(struct vmbus_server *)((char *)timer -
			offsetof(struct vmbus_server, slow_timer));

	for (uint32_t id = 1; id <= server->top_id; id++) {
		struct vmbus_channel_state *st = server->by_id[id];

		if (st && channel_is_busy(st) && !survives(server, st))
			log_warn_limited("disconnect waits for %s, channel %u",
					 st->ch.device->ops->name, id);
	}
	reactor_timer_arm(server->config.reactor, timer,
			  reactor_now() + SLOW_NS);
}

static void disconnect(struct vmbus_server *server,
		       enum disconnect_action action)
{
	server->action = action;
	server->state = DISCONNECTING;
	for (uint32_t id = 1; id <= server->top_id; id++) {
		struct vmbus_channel_state *st = server->by_id[id];

		if (st && !survives(server, st))
			channel_stop(st);
	}
	reactor_timer_arm(server->config.reactor, &server->slow_timer,
			  reactor_now() + SLOW_NS);
	connection_channel_idle(server);
}

void vmbus_server_reset(struct vmbus_server *server,
			void (*done)(void *opaque), void *opaque)
{
	pv_bug(server->reset_done, server->state, 0);
	pthread_mutex_lock(&server->lock);
	server->in_count = 0;
	pthread_mutex_unlock(&server->lock);
	server->reset_done = done;
	server->reset_opaque = opaque;
	disconnect(server, DISCONNECT_RESET);
}

void handle_initiate_contact(struct vmbus_server *server,
			     const void *message, size_t size)
{
	const struct vmbus_initiate_contact *contact = message;
	uint32_t version = le32_to_cpu(contact->version);

	if (version >= VMBUS_VERSION_WIN10_RS4 &&
	    known_version(server, version) &&
	    contact->vtl != server->config.vtl) {
		server_refuse(server, 0, VMBUS_INITIATE_CONTACT,
			      offsetof(struct vmbus_initiate_contact, vtl),
			      contact->vtl, "vmbus.contact.vtl");
		return;
	}
	if (version >= VMBUS_VERSION_COPPER &&
	    le32_to_cpu(contact->features) & VMBUS_FEATURE_CLIENT_ID &&
	    size < sizeof(struct vmbus_initiate_contact_id)) {
		server_refuse(server, 0, VMBUS_INITIATE_CONTACT,
			      sizeof(*contact), size,
			      "vmbus.contact.client-id");
		return;
	}
	server->contact = *contact;
	if (server->state == CONNECTED)
		disconnect(server, DISCONNECT_CONTACT);
	else
		connect_client(server, &server->contact);
}

void handle_unload(struct vmbus_server *server, const void *message,
		   size_t size)
{
	(void)message;
	(void)size;
	disconnect(server, DISCONNECT_UNLOAD);
}

void vmbus_server_relay_sockets(struct vmbus_server *server,
				void (*connect)(void *opaque,
						const struct guid *endpoint,
						const struct guid *service),
				void *opaque)
{
	server->tl_connect = connect;
	server->tl_opaque = opaque;
}

/* Before 4.1 there is no word for it. */
void vmbus_server_tl_result(struct vmbus_server *server,
			    const struct guid *endpoint,
			    const struct guid *service, uint32_t status)
{
	struct vmbus_tl_connect_result result = {
		.endpoint = *endpoint,
		.service = *service,
		.status = cpu_to_le32(status),
	};

	if (server->version >= VMBUS_VERSION_WIN10_RS3)
		server_send(server, VMBUS_TL_CONNECT_RESULT, &result,
			    sizeof(result));
}

/* We have no sockets ourselves. From 5.2 on a silo may follow, which is of no
 * use here; Linux never sends one. */
void handle_tl_connect(struct vmbus_server *server, const void *message,
		       size_t size)
{
	const struct vmbus_tl_connect_request *request = message;

	(void)size;
	if (server->tl_connect)
		server->tl_connect(server->tl_opaque, &request->endpoint,
				   &request->service);
	else
		vmbus_server_tl_result(server, &request->endpoint,
				       &request->service,
				       VMBUS_STATUS_CONNECTION_REFUSED);
}

void handle_modify_connection(struct vmbus_server *server, const void *message,
			      size_t size)
{
	const struct vmbus_modify_connection *modify = message;
	struct vmbus_modify_connection_response response = { 0 };

	(void)size;
	if (!monitor_pages_good(server, VMBUS_MODIFY_CONNECTION,
				offsetof(struct vmbus_modify_connection,
					 monitor_out),
				modify->monitor_in, modify->monitor_out))
		response.status = VMBUS_CONNECTION_FAILED;
	server_send(server, VMBUS_MODIFY_CONNECTION_RESPONSE, &response,
		    sizeof(response));
}

void handle_pause(struct vmbus_server *server, const void *message,
		  size_t size)
{
	struct vmbus_header response;

	(void)message;
	(void)size;
	server_send(server, VMBUS_PAUSE_RESPONSE, &response, sizeof(response));
	server_pause(server);
}

void handle_resume(struct vmbus_server *server, const void *message,
		   size_t size)
{
	(void)message;
	(void)size;
	if (server->paused)
		server_resume(server);
	else
		server_refuse(server, 0, VMBUS_RESUME, 0, 0,
			      "vmbus.resume.not-paused");
}

void connection_init(struct vmbus_server *server)
{
	server->slow_timer.fn = tell_slow;
}
