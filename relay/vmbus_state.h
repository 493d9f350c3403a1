/* SPDX-License-Identifier: MIT */
/*
 * What the files of the VMBus server share: its own view of channels and of
 * the connection. server.c has the messages, connection.c the connection,
 * offer.c the life of offers, channel.c that of an open channel,
 * channel_messages.c what the client says of it, gpadl_messages.c the memory,
 * relayed.c all of that for a channel of another bus.
 *
 * Threads: all of it belongs to the server's reactor, except where a field
 * says otherwise.
 */
#ifndef RELAY_VMBUS_STATE_H
#define RELAY_VMBUS_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "gpadl.h"
#include "server.h"
#include "vmbus_reg.h"

/* Where a message to the client goes. */
struct message_target {
	uint32_t vp;
	uint8_t sint;
};

/* What an OPEN asks for. */
struct open_request {
	uint32_t open_id, gpadl, split;
	uint32_t vp;		     /* to interrupt, or VMBUS_NO_VP */
	uint32_t connection;	     /* of the client's signals */
	uint16_t event_flag;	     /* of ours */
	bool reserved;		     /* the result goes to `reply` */
	struct message_target reply;
	uint8_t user_data[VMBUS_USER_DATA_SIZE];
};

/* Drawn in channel.c. */
enum channel_state {
	CHANNEL_CLOSED,	   /* also: not offered yet, then id = 0 */
	CHANNEL_OPENING,   /* the device was asked */
	CHANNEL_OPEN,
	CHANNEL_CLOSING,   /* the device was told */
	CHANNEL_STOPPED,   /* closed by us for a violation, not by the client */
	CHANNEL_RESCINDED, /* no device; until the client released the id */
};

struct vmbus_channel_state {
	struct vmbus_channel ch;
	struct vmbus_server *server;
	struct vmbus_channel_state *next; /* of the device, or free */
	enum channel_state state;
	struct gpadl_set gpadls;
	struct gpadl_ring ring;
	struct open_request open; /* since OPENING */

	bool offered;	    /* in this connection */
	bool abandon;	    /* opening: close as soon as open */
	bool client_closed; /* closing: the client knows */
	bool revoked;	    /* shall be rescinded when closed */
	bool reopen;	    /* closing: `reopen_request` waits */
	struct open_request reopen_request;
	bool awaits_subs;   /* closing primary: all but a sub-channel let go */
	bool answer_close;  /* reserved: the client waits for the answer */
	struct message_target close_reply;
	struct guid interface, instance; /* rescinded: of its device */

	bool modifying;	    /* to modify_vp, an answer is awaited */
	uint32_t modify_vp;

	/* Sub-channels of a primary. */
	uint16_t nr_subchannels;
	_Atomic uint32_t subchannels_wanted; /* set on the channel's reactor */

	/* Any thread. */
	_Atomic(struct reactor *) reactor; /* = ch.reactor, for signals */
	_Atomic uint32_t vp;		   /* whom to interrupt */
	_Atomic uint64_t signals_in, signals_out;

	/* The channel's reactor. */
	bool running;
	bool kick;	/* arm kick_timer when first run */
	int open_error; /* result of the device's open(), read after opened */
	struct reactor_timer kick_timer;

	/* To the channel's reactor, */
	struct reactor_call open_call, run_call, move_call, close_call;
	/* and from it. */
	struct reactor_call opened_call, moved_call, closed_call, broken_call;
	struct reactor_call subchannels_call;
	struct reactor_call released_call; /* relayed */
};

/* The channel whose `member` a call or timer is. */
#define channel_of(pointer, member)                                        \
	((struct vmbus_channel_state *)((char *)(pointer) -                \
		offsetof(struct vmbus_channel_state, member)))

/* Drawn in connection.c. */
enum connection_state { DISCONNECTED, CONNECTED, DISCONNECTING };
enum disconnect_action { DISCONNECT_UNLOAD, DISCONNECT_CONTACT,
			 DISCONNECT_RESET };

#define SERVER_MAX_WAITING 64

struct waiting_message {
	uint32_t size;
	_Alignas(8) uint8_t payload[VMBUS_MAX_MESSAGE];
};

struct out_message {
	struct out_message *next;
	uint32_t vp;
	uint8_t sint;
	uint32_t size;
	_Alignas(8) uint8_t payload[VMBUS_MAX_MESSAGE];
};

struct vmbus_server {
	struct vmbus_server_config config;
	enum connection_state state;
	enum disconnect_action action;
	struct vmbus_initiate_contact contact; /* waits for the disconnect */
	void (*reset_done)(void *opaque);
	void *reset_opaque;
	struct reactor_timer slow_timer; /* tells who delays a disconnect */

	uint32_t version, features;
	uint32_t vp; /* gets our messages */
	bool offers_requested;
	bool paused; /* by the client, until it says RESUME */
	bool hold;   /* see vmbus_server_hold() */
	void (*tl_connect)(void *opaque, const struct guid *endpoint,
			   const struct guid *service);
	void *tl_opaque;

	struct vmbus_device *devices; /* in the order of their offers */
	struct vmbus_channel_state *free_channels;
	unsigned int nr_channels; /* of devices or rescinded */
	unsigned int nr_busy;	  /* opening, open or closing */
	unsigned int nr_reserved; /* ... of them, reserved ones */
	struct gpadl *partial;	  /* incomplete ones, last used first */
	struct gpadl_total gpadls;
	struct vmbus_channel_state *by_id[VMBUS_MAX_CHANNELS + 1];
	uint32_t top_id; /* none above it is in use */

	struct out_message *out; /* not posted yet, oldest first */
	struct out_message *held; /* for the client to say RESUME */
	struct reactor_call pass_call;

	struct {
		uint64_t messages_in, messages_out;
		uint64_t refused; /* messages; each has a violation record */
		uint64_t lost;	  /* messages the client could never get */
	} count;

	/* Any thread: channels that can be signalled, by connection_slot().
	 * Their structures are never freed while the server lives, so a late
	 * signal hits a closed or another channel, which is harmless. */
	_Atomic(struct vmbus_channel_state *) signal[VMBUS_MAX_CHANNELS + 1];

	/* Any thread, under the lock: messages not handled yet. */
	pthread_mutex_t lock;
	unsigned int in_first, in_count;
	uint64_t in_full;
	struct waiting_message in[SERVER_MAX_WAITING];
};

/* A client's message: `size` bytes are there, at least as many as its type
 * needs; the channel's id is looked up by the handler. */
typedef void message_handler(struct vmbus_server *server, const void *message,
			     size_t size);

/* server.c */

/* Sends to the connected client; nothing when there is none. Sets the type. */
void server_send(struct vmbus_server *server, enum vmbus_message_type type,
		 void *message, size_t size);
/* The same, to whom it may concern. */
void server_send_to(struct vmbus_server *server, uint32_t vp, uint8_t sint,
		    enum vmbus_message_type type, void *message, size_t size);
/* The client wants no messages but results of reserved channels; and again. */
void server_pause(struct vmbus_server *server);
void server_resume(struct vmbus_server *server);
/* The connection ended: drops what it held back. After a reset, also what
 * waits for room. */
void server_forget_held(struct vmbus_server *server);
void server_forget_waiting(struct vmbus_server *server);
/* Records a violation; `id` is the channel or 0. */
void server_refuse(struct vmbus_server *server, uint32_t id, uint32_t type,
		   uint32_t offset, uint64_t value, const char *rule);
void server_refuse_for(struct vmbus_server *server, uint32_t id, uint32_t type,
		       const struct refusal *refusal);
/* The offered channel, or NULL with the violation recorded. */
struct vmbus_channel_state *server_channel(struct vmbus_server *server,
					   uint32_t id, uint32_t type);

/* connection.c */
message_handler handle_initiate_contact, handle_unload, handle_tl_connect,
	handle_modify_connection, handle_pause, handle_resume;
void connection_init(struct vmbus_server *server);
/* A channel is no longer busy: was it the last a disconnect waits for? */
void connection_channel_idle(struct vmbus_server *server);

/* HvSignalEvent's connection id that is offered with a channel. */
static inline uint32_t connection_of(const struct vmbus_server *server,
				     uint32_t id)
{
	return id | VMBUS_SINT << VMBUS_CONNECTION_SINT_SHIFT |
	       (uint32_t)server->config.vtl << VMBUS_CONNECTION_VTL_SHIFT;
}

/* Where in server->signal[] the channel with this connection id is; 0: the id
 * is not one of this server. */
static inline uint32_t connection_slot(const struct vmbus_server *server,
				       uint32_t connection)
{
	uint32_t slot = connection & VMBUS_CONNECTION_CHANNEL_MASK;

	return slot <= VMBUS_MAX_CHANNELS &&
	       connection == connection_of(server, slot) ? slot : 0;
}

/* offer.c */
message_handler handle_request_offers, handle_rel_id_released;
/* A channel closed: continue what waits for that. */
void offer_channel_idle(struct vmbus_channel_state *st);
void offer_revoke_subchannels(struct vmbus_device *dev);
void offer_subchannels(struct reactor_call *call);
/* The connection ends: no offer is valid any more. All channels are idle but
 * reserved ones, which keep their ids. */
void offer_forget_all(struct vmbus_server *server);
/* A reserved channel of an earlier connection closed. */
void offer_forget(struct vmbus_channel_state *st);

/* channel.c */
void channel_init(struct vmbus_channel_state *st);
/* Opening, open or closing: its device may hold guest memory. */
bool channel_is_busy(const struct vmbus_channel_state *st);
/* Begins to open a closed channel, or sends the failed result. */
void channel_open_begin(struct vmbus_channel_state *st,
			const struct open_request *request);
void channel_send_open_result(struct vmbus_server *server, uint32_t id,
			      const struct open_request *request,
			      uint32_t status);
/* An open one interrupts another VP, and the client is told when it does. */
void channel_modify(struct vmbus_channel_state *st, uint32_t vp);
/* Begins to close an open one. */
void channel_close_begin(struct vmbus_channel_state *st);
/* The client closed a channel that was stopped. */
void channel_closed_by_client(struct vmbus_channel_state *st);
/* Closes it if it is open, or as soon as it is. */
void channel_stop(struct vmbus_channel_state *st);
void channel_set_state(struct vmbus_channel_state *st,
		       enum channel_state state);
/* Can the client have its signals, and we ours, as it wants? False with
 * *refusal filled. */
bool channel_check_signals(const struct vmbus_channel_state *st,
			   const struct open_request *request,
			   struct refusal *refusal);
/* The channel is, or is no more, in the table of signals. */
void channel_enter_signals(struct vmbus_channel_state *st, bool enter);

/* channel_messages.c */
message_handler handle_open_channel, handle_close_channel,
	handle_modify_channel, handle_open_reserved, handle_close_reserved;
void channel_send_modify_response(struct vmbus_server *server, uint32_t id,
				  uint32_t status);
void channel_send_close_response(struct vmbus_server *server, uint32_t id,
				 struct message_target to);

/* gpadl_messages.c */
message_handler handle_gpadl_header, handle_gpadl_body, handle_gpadl_teardown;
/* Answers the teardowns that waited for the channel's ring. */
void gpadl_answer_teardowns(struct vmbus_channel_state *st);
/* Frees all without a word, but for what a ring is mapped from. */
void gpadl_forget_unused(struct vmbus_channel_state *st);
void gpadl_send_created(struct vmbus_server *server, uint32_t channel,
			uint32_t id, uint32_t status);
void gpadl_send_torndown(struct vmbus_server *server, uint32_t id);
/* Takes it out of all lists and frees it. */
void gpadl_drop(struct vmbus_channel_state *st, struct gpadl *gpadl);

/* relayed.c. State: the channel is relayed. */
static inline bool channel_is_relayed(const struct vmbus_channel_state *st)
{
	return st->ch.device && st->ch.device->relay;
}

void relayed_gpadl_create(struct vmbus_channel_state *st,
			  struct gpadl *gpadl);
/* The other side was told of one, and has not let go. */
bool relayed_has_gpadls(const struct vmbus_channel_state *st);
void relayed_gpadl_teardown(struct vmbus_channel_state *st,
			    struct gpadl *gpadl);
void relayed_open(struct vmbus_channel_state *st,
		  const struct open_request *request);
void relayed_close(struct vmbus_channel_state *st);
void relayed_modify(struct vmbus_channel_state *st, uint32_t vp);
void relayed_stop(struct vmbus_channel_state *st);
void relayed_released(struct reactor_call *call);

#endif
