/* SPDX-License-Identifier: MIT */
/*
 * The tiny guest's side of VMBus: messages, GPADLs, channels, rings, and the
 * storage protocol on top; a NIC's is in tiny_net.h.
 *
 * Written from the formats alone; nothing is shared with the server under test
 * but the *_reg.h files. Functions that return bool return false after the
 * running case has been marked as failed, unless they say otherwise. `ms`
 * bounds a wait.
 */
#ifndef TEST_GUEST_TINY_VMBUS_H
#define TEST_GUEST_TINY_VMBUS_H

#include "relay/ring_reg.h"
#include "relay/vmbus_reg.h"
#include "relay/vstor_reg.h"
#include "tiny.h"

#define VMBUS_MS 2000 /* enough for any answer */
#define MAX_OFFERS 64

struct vmbus_message {
	uint32_t type, size;
	union {
		uint8_t bytes[VMBUS_MAX_MESSAGE];
		struct vmbus_offer_channel offer;
		struct vmbus_open_result open_result;
		struct vmbus_gpadl_created created;
		struct vmbus_gpadl_torndown torndown;
		struct vmbus_channel_message channel;
		struct vmbus_modify_channel_response modified;
		struct vmbus_version_response_features version;
		struct vmbus_tl_connect_result connect;
	};
};

/* ---- messages ---- */

/* Where messages are posted; the answer to a contact changes it. */
extern uint32_t vmbus_connection;

/* Sets the type and posts; while the server's queue is full, twenty times more
 * within a tenth of a second, as the least patient of kernels. */
bool vmbus_post(enum vmbus_message_type type, void *message, size_t size);
/* The next message; not within `ms`: false, and no failure. */
bool vmbus_take(struct vmbus_message *message, uint32_t ms);
/* The next message must be this one. */
bool vmbus_expect(enum vmbus_message_type type, struct vmbus_message *message);
/* No message comes for `ms`. */
bool vmbus_silent(uint32_t ms);

/* ---- the steps of a kernel ---- */

/* `features` counts from 6.0; `message` gets the response. */
bool vmbus_ask(uint32_t version, uint32_t vp, uint32_t features,
	       struct vmbus_message *message);
/* The same, and the server must agree. */
bool vmbus_contact(uint32_t version, uint32_t vp);
bool vmbus_offers(void);
bool vmbus_connect(uint32_t version); /* both */
bool vmbus_unload(void);
/* Leaves nothing behind, whatever was before; never fails. */
void vmbus_reset(void);

extern struct vmbus_offer_channel offers[MAX_OFFERS];
extern uint32_t nr_offers;
/* The n-th of this interface that is no sub-channel; NULL: there is none. */
const struct vmbus_offer_channel *offer_of(const struct guid *interface,
					   uint32_t n);
const struct vmbus_offer_channel *scsi_offer(uint32_t n);

/* ---- GPADLs: pages that need not be adjacent ---- */

uint32_t gpadl_new_id(void);
extern uint32_t gpadl_messages; /* HEADERs and BODYs posted so far */
/* Posts HEADER and `bodies` BODY messages at most. `n` pages from `gpa` on. */
bool gpadl_post(uint32_t channel, uint32_t id, uint64_t gpa, uint32_t n,
		uint32_t bodies);
/* Words as they are: for what no kernel sends. */
bool gpadl_post_words(uint32_t channel, uint32_t id, const uint64_t *word,
		      uint32_t n, uint16_t range_count);
bool gpadl_created(uint32_t id, uint32_t status);
bool gpadl_create(uint32_t channel, const void *at, uint32_t n, uint32_t *id);
bool gpadl_teardown(uint32_t channel, uint32_t id);
bool gpadl_torndown(uint32_t id, uint32_t ms);

/* ---- channels and rings ---- */

struct ring_side {
	volatile uint32_t *control; /* its page */
	uint8_t *data;
	uint32_t size; /* of the data */
	uint32_t at;   /* our index */
};

struct channel {
	uint32_t id, connection, gpadl, pages;
	uint8_t *memory;
	struct ring_side out, in;
	uint64_t next_transaction;
};

/* Rings of `pages` pages each, control page included. */
bool channel_open(const struct vmbus_offer_channel *offer, uint32_t pages,
		  uint32_t vp, struct channel *ch);
/* The parts of it. */
bool channel_prepare(const struct vmbus_offer_channel *offer, uint32_t pages,
		     struct channel *ch);
void channel_fill_open(const struct channel *ch, uint32_t vp,
		       struct vmbus_open_channel *message);
bool channel_post_open(const struct channel *ch, uint32_t vp);
bool channel_opened(const struct channel *ch, uint32_t status);
void channel_clear_rings(struct channel *ch);
bool channel_post_close(const struct channel *ch);
/* CLOSE and TEARDOWN. */
bool channel_close(const struct channel *ch);
/* HvSignalEvent; its status. */
uint16_t channel_signal(const struct channel *ch);
/* Has an interrupt of the channel come to this VP, since the last look? */
bool channel_signalled(const struct channel *ch, uint32_t vp);

#define PACKET_RANGES 384u

struct packet {
	uint16_t type;
	uint64_t transaction;
	uint32_t size; /* of the payload, padding included */
	uint32_t header_size; /* what a type has between descriptor and it */
	uint8_t payload[1024];
	uint8_t header[8 + 8 * PACKET_RANGES];
};

/* Writes one packet without a word to the server; false: no room. *was_empty
 * (may be NULL): the server had read all before. */
bool ring_put(struct channel *ch, uint16_t type, uint16_t flags,
	      uint64_t transaction, const void *header, uint32_t header_size,
	      const void *payload, uint32_t size, bool *was_empty);
uint32_t ring_room(const struct channel *ch);
/* Writes and signals as the protocol asks. Fails after VMBUS_MS without room.
 * ring_send() asks for a completion. */
bool ring_push(struct channel *ch, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t size);
bool ring_send(struct channel *ch, uint16_t type, uint64_t transaction,
	       const void *header, uint32_t header_size, const void *payload,
	       uint32_t size);
/* The next packet, if there is one; signals a waiting server. */
bool ring_get(struct channel *ch, struct packet *packet);
/* Waits for it; false, and no failure: none. */
bool ring_wait(struct channel *ch, struct packet *packet, uint32_t ms);
bool ring_empty(const struct channel *ch);

/* ---- storage (tiny_scsi.c) ---- */

/* A vstor packet there and back; *status is the header's. */
bool vstor_do(struct channel *ch, struct vstor_packet *packet, uint32_t size,
	      uint32_t *status);
/* BEGIN to END. */
bool vstor_init(struct channel *ch, uint16_t version);

struct scsi_request {
	uint8_t lun, target;
	uint8_t cdb[16];
	uint8_t cdb_size;
	enum vstor_data direction;
	uint64_t gpa;	/* data: adjacent pages */
	uint32_t bytes;
};

bool scsi_send(struct channel *ch, const struct scsi_request *r,
	       uint64_t transaction);
/* Sends and waits; *answer is the whole reply. */
bool scsi_do(struct channel *ch, const struct scsi_request *r,
	     struct vstor_packet *answer);
/* READ(10) or WRITE(10) of LUN 0, SRB and SCSI status good. */
bool scsi_read(struct channel *ch, uint32_t lba, uint32_t blocks, void *to);
bool scsi_write(struct channel *ch, uint32_t lba, uint32_t blocks,
		const void *from);
void scsi_fill_rw(struct scsi_request *r, bool write, uint32_t lba,
		  uint32_t blocks, const void *at);
/* Opens the n-th controller of those offered: protocol 6.2, LUN 0 ready. */
bool scsi_start(uint32_t n, uint32_t pages, struct channel *ch);
/* Connects with 6.0 and starts the first controller. */
bool scsi_open(uint32_t pages, struct channel *ch);

#endif
