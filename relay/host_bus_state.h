/* SPDX-License-Identifier: MIT */
/*
 * What the files of the host's bus share. host_bus.c has the connection,
 * host_offer.c the channels, host_gpadl.c their memory, host_bus_post.c the way
 * of messages to the host and the deadlines.
 */
#ifndef RELAY_HOST_BUS_STATE_H
#define RELAY_HOST_BUS_STATE_H

#include "host_bus.h"

/* A question that the host has not answered yet. */
struct host_question {
	struct host_question *next, **at;
	struct host_questions *in;	/* NULL: not asked */
	struct host_offer_state *offer; /* NULL: about the connection */
	uint64_t deadline;
};

/* Those that wait equally long: the first asked is the first to expire. */
struct host_questions {
	struct bus_client *bus;
	struct host_question *first, **last;
	struct reactor_timer timer;
	uint64_t wait_ns;
	uint64_t expired; /* when a deadline was last seen to be over */
};

enum host_gpadl_state { GPADL_CREATING, GPADL_CREATED, GPADL_TEARING };

struct host_gpadl {
	struct host_gpadl *next;   /* of its channel */
	struct host_gpadl *beside; /* in the same place of the bus */
	enum host_gpadl_state state;
	uint32_t id;
	struct host_question question;
};

/* Drawn in host_offer.c. */
enum host_offer_phase { OFFER_CLOSED, OFFER_OPENING, OFFER_OPEN,
			OFFER_RESCINDED };

struct host_offer_state {
	struct host_offer offer;
	struct bus_client *bus;
	struct host_offer_state *next, **at; /* of the bus */
	enum host_offer_phase phase;
	bool lost;     /* rescinded by us: the host does not know */
	bool released; /* lost, until the host rescinds it too */
	bool draining, modifying;
	bool late_modify; /* closed before the response, which may come */
	/* Lost: what the host may still say that it did. */
	bool late_open;
	unsigned int late_gpadls;
	struct host_gpadl *gpadls;
	struct host_question open_question, modify_question;
};

/* Drawn in host_bus.c. */
enum bus_client_phase { BUS_DISCONNECTED, BUS_CONTACT, BUS_OFFERS,
			BUS_CONNECTED, BUS_UNLOADING, BUS_LEAVING };

#define HOST_MAX_GPADLS 8192u /* as many as the server for the guest has */

struct host_message {
	struct host_message *next;
	uint32_t size;
	_Alignas(8) uint8_t payload[VMBUS_MAX_MESSAGE];
};

struct bus_client {
	struct bus_client_config config;
	enum bus_client_phase phase;
	unsigned int attempt; /* which version */
	uint32_t version, features;
	uint32_t connection; /* where to post */

	struct host_offer_state *offers;
	unsigned int nr_offers, nr_released;
	struct host_offer_state *by_id[VMBUS_MAX_CHANNELS + 1];
	/* By id modulo the size. */
	struct host_gpadl *gpadl[HOST_MAX_GPADLS];
	unsigned int nr_gpadls;
	/* Requests for a socket without a result: those that the host answers
	 * with an offer have none, so this bounds the results, no more. */
	uint64_t tl_asked;
	unsigned int late_torndowns; /* asked for, and not waited for */

	struct host_message *out, **out_last; /* oldest first */
	uint64_t out_since; /* there is any since then */
	uint64_t out_taken; /* ... and none was taken since then */
	bool busy;	    /* the user was told so */
	struct reactor_timer retry;

	struct host_questions answers;	  /* HOST_BUS_DEADLINE_NS */
	struct host_questions letting_go; /* HOST_BUS_LET_GO_NS */
	struct host_question question;	  /* about the connection */

	struct {
		uint64_t messages_in, messages_out;
		uint64_t refused;    /* of the host, each with a record */
		uint64_t unanswered; /* questions that expired */
		uint64_t lost;	     /* messages the host would not take */
	} count;
};

/* host_bus.c */
void bus_client_refuse(struct bus_client *bus, uint32_t id, uint32_t type,
		       uint32_t offset, uint64_t value, const char *rule);
/* The connection is no more: err for who asked for it, or 0 = unloaded. */
void bus_client_end(struct bus_client *bus, int err);
bool bus_client_is_connected(const struct bus_client *bus);

/* host_bus_post.c */
void bus_client_post_init(struct bus_client *bus);
/* Sets the type, and posts or queues it. */
void bus_client_post(struct bus_client *bus, enum vmbus_message_type type,
		     void *message, size_t size);
/* Nothing waits any more, neither message nor question. */
void bus_client_post_forget(struct bus_client *bus);
void bus_client_ask(struct bus_client *bus, struct host_question *question,
		    struct host_offer_state *offer);
void bus_client_ask_to_let_go(struct bus_client *bus,
			      struct host_question *question,
			      struct host_offer_state *offer);
void bus_client_answered(struct host_question *question);

/* Messages of the host, complete, in a phase that has offers. */
typedef void host_message_handler(struct bus_client *bus, const void *message);

/* host_offer.c */
host_message_handler host_offer_came, host_offer_rescind_came,
	host_offer_open_result, host_offer_modify_response;
/* Whom the host's words of `type` are about, if it has not taken it back. */
struct host_offer_state *host_offer_find(struct bus_client *bus, le32 channel,
					 uint32_t type);
/* Draining: the next step, whatever the last one was. */
void host_offer_go_on(struct host_offer_state *st);
/* The host did not answer about it. */
void host_offer_lose(struct host_offer_state *st);
/* All, because the connection is no more. */
void host_offer_lose_all(struct bus_client *bus);

/* host_gpadl.c */
host_message_handler host_gpadl_created, host_gpadl_torndown;
struct host_gpadl *host_gpadl_find(struct host_offer_state *st, uint32_t id);
void host_gpadl_forget(struct host_offer_state *st, struct host_gpadl *gpadl);
void host_gpadl_tear_down(struct host_offer_state *st,
			  struct host_gpadl *gpadl);
/* Its channel is closed: from now on they are waited for. */
void host_gpadl_start_clocks(struct host_offer_state *st);

#endif
