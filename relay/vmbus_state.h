/* SPDX-License-Identifier: MIT */
/*
 * What the files of the VMBus server share: its own view of channels and of
 * the connection. server.c has the messages, connection.c the connection,
 * offer.c the life of offers, channel.c that of an open channel,
 * gpadl_messages.c the memory.
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
	uint32_t open_id;
	uint8_t open_user_data[VMBUS_USER_DATA_SIZE];

	bool abandon;	    /* opening: close as soon as open */
	bool client_closed; /* closing: the client knows */
	bool revoked;	    /* shall be rescinded when closed */
	bool reopen;	    /* closing: `reopen_message` waits */
	struct vmbus_open_channel reopen_message;

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
	struct reactor_call open_call, run_call, close_call;
	/* and from it. */
	struct reactor_call opened_call, closed_call, broken_call;
	struct reactor_call subchannels_call;
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

	struct vmbus_device *devices; /* in the order of their offers */
	struct vmbus_channel_state *free_channels;
	unsigned int nr_channels; /* of devices or rescinded */
	unsigned int nr_busy;	  /* opening, open or closing */
	struct gpadl *partial;	  /* incomplete ones, last used first */
	struct vmbus_channel_state *by_id[VMBUS_MAX_CHANNELS + 1];

	struct out_message *out; /* not posted yet, oldest first */
	struct reactor_call pass_call;

	struct {
		uint64_t messages_in, messages_out;
		uint64_t refused; /* messages; each has a violation record */
		uint64_t lost;	  /* messages the client could never get */
		uint64_t gpadls;  /* now */
	} count;

	/* Any thread: channels that can be signalled. Their structures are
	 * never freed while the server lives, so a late signal hits a closed or
	 * another channel, which is harmless. */
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
/* Drops the messages to the client that wait for room. */
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
message_handler handle_initiate_contact, handle_unload, handle_tl_connect;
void connection_init(struct vmbus_server *server);
/* A channel is no longer busy: was it the last a disconnect waits for? */
void connection_channel_idle(struct vmbus_server *server);

/* offer.c */
message_handler handle_request_offers, handle_rel_id_released;
/* A channel closed: continue what waits for that. */
void offer_channel_idle(struct vmbus_channel_state *st);
void offer_revoke_subchannels(struct vmbus_device *dev);
void offer_subchannels(struct reactor_call *call);
/* The connection ends, all channels are idle: no offer is valid any more. */
void offer_forget_all(struct vmbus_server *server);

/* channel.c */
message_handler handle_open_channel, handle_close_channel,
	handle_modify_channel;
void channel_init(struct vmbus_channel_state *st);
/* Closes it if it is open, or as soon as it is. */
void channel_stop(struct vmbus_channel_state *st);

/* gpadl_messages.c */
message_handler handle_gpadl_header, handle_gpadl_body, handle_gpadl_teardown;
/* Answers the teardowns that waited for the channel's ring. */
void gpadl_answer_teardowns(struct vmbus_channel_state *st);
/* Frees all without a word. */
void gpadl_forget_all(struct vmbus_channel_state *st);

#endif
