/* SPDX-License-Identifier: MIT */
/*
 * VMBus control messages: the payload of SynIC messages of type 1.
 *
 * Both directions share one numbering. A message longer than its structure is
 * accepted, a shorter one is not. "Client" is who uses devices (a guest
 * kernel), "server" is who offers them.
 */
#ifndef RELAY_VMBUS_REG_H
#define RELAY_VMBUS_REG_H

#include <stdint.h>

#include <guid.h>
#include <le.h>

#define VMBUS_SINT 2
#define VMBUS_MESSAGE_TYPE 1	   /* of the SynIC message */
#define VMBUS_MAX_MESSAGE 240u	   /* SynIC payload */
#define VMBUS_USER_DATA_SIZE 120u
#define VMBUS_MAX_CHANNELS 2047u   /* ids 1..2047: one SINT has 2048 flags */
#define VMBUS_NO_VP 0xffffffffu	   /* OPEN: no interrupts wanted */

/* Where VTL2 posts what it says in VTL0's place, and where it hears the answer
 * (VP 0). */
#define VMBUS_REDIRECT_CONNECTION 0x800074u
#define VMBUS_REDIRECT_SINT 7

/* HvSignalEvent's connection id of a channel. */
#define VMBUS_CONNECTION_CHANNEL_MASK 0x00000fffu
#define VMBUS_CONNECTION_SINT_SHIFT 12
#define VMBUS_CONNECTION_VTL_SHIFT 16

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))
#define VMBUS_VERSION_WIN8 VMBUS_VERSION(2, 4)
#define VMBUS_VERSION_WIN8_1 VMBUS_VERSION(3, 0)
#define VMBUS_VERSION_WIN10 VMBUS_VERSION(4, 0)
#define VMBUS_VERSION_WIN10_RS3 VMBUS_VERSION(4, 1)
#define VMBUS_VERSION_WIN10_V5 VMBUS_VERSION(5, 0)
#define VMBUS_VERSION_WIN10_RS4 VMBUS_VERSION(5, 1)
#define VMBUS_VERSION_WIN10_RS5 VMBUS_VERSION(5, 2)
#define VMBUS_VERSION_IRON VMBUS_VERSION(5, 3)
#define VMBUS_VERSION_COPPER VMBUS_VERSION(6, 0)

enum vmbus_message_type {
	VMBUS_OFFER_CHANNEL = 1,	 /* server to client */
	VMBUS_RESCIND_CHANNEL = 2,	 /* server to client */
	VMBUS_REQUEST_OFFERS = 3,
	VMBUS_ALL_OFFERS_DELIVERED = 4,	 /* server to client */
	VMBUS_OPEN_CHANNEL = 5,
	VMBUS_OPEN_RESULT = 6,		 /* server to client */
	VMBUS_CLOSE_CHANNEL = 7,
	VMBUS_GPADL_HEADER = 8,
	VMBUS_GPADL_BODY = 9,
	VMBUS_GPADL_CREATED = 10,	 /* server to client */
	VMBUS_GPADL_TEARDOWN = 11,
	VMBUS_GPADL_TORNDOWN = 12,	 /* server to client */
	VMBUS_REL_ID_RELEASED = 13,
	VMBUS_INITIATE_CONTACT = 14,
	VMBUS_VERSION_RESPONSE = 15,	 /* server to client */
	VMBUS_UNLOAD = 16,
	VMBUS_UNLOAD_COMPLETE = 17,	 /* server to client */
	VMBUS_OPEN_RESERVED = 18,
	VMBUS_CLOSE_RESERVED = 19,
	VMBUS_CLOSE_RESERVED_RESPONSE = 20, /* server to client */
	VMBUS_TL_CONNECT_REQUEST = 21,
	VMBUS_MODIFY_CHANNEL = 22,
	VMBUS_TL_CONNECT_RESULT = 23,	 /* server to client */
	VMBUS_MODIFY_CHANNEL_RESPONSE = 24, /* server to client */
	VMBUS_MODIFY_CONNECTION = 25,
	VMBUS_MODIFY_CONNECTION_RESPONSE = 26, /* server to client */
	VMBUS_PAUSE = 27,
	VMBUS_PAUSE_RESPONSE = 28,	 /* server to client */
	VMBUS_RESUME = 29,
	VMBUS_MESSAGE_TYPES,
};

/* Status of results: NTSTATUS values. */
#define VMBUS_STATUS_SUCCESS 0u
#define VMBUS_STATUS_UNSUCCESSFUL 0x8000ffffu
#define VMBUS_STATUS_CONNECTION_REFUSED 0xc0000236u

struct vmbus_header {
	le32 type;
	le32 padding;
} __packed;
_Static_assert(sizeof(struct vmbus_header) == 8, "message header");

/* OFFER_CHANNEL */
#define VMBUS_OFFER_ENUMERATE_INTERFACE (1u << 0)
#define VMBUS_OFFER_CONFIDENTIAL_RING (1u << 1)
#define VMBUS_OFFER_CONFIDENTIAL_MEMORY (1u << 2)
#define VMBUS_OFFER_REQUIRE_PINNED (1u << 3)
#define VMBUS_OFFER_NAMED_PIPE (1u << 4)
#define VMBUS_OFFER_TLNPI (1u << 13)
#define VMBUS_NO_MONITOR 0xff

struct vmbus_offer_channel {
	struct vmbus_header header;
	struct guid interface;
	struct guid instance;
	uint8_t reserved[16];
	le16 flags;
	le16 mmio_mb;
	uint8_t user_data[VMBUS_USER_DATA_SIZE];
	le16 sub_index;
	le16 mmio_mb_optional;
	le32 channel;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	le16 dedicated_interrupt;
	le32 connection;
} __packed;
_Static_assert(sizeof(struct vmbus_offer_channel) == 196, "OFFER_CHANNEL");

/* RESCIND_CHANNEL, CLOSE_CHANNEL, REL_ID_RELEASED, CLOSE_RESERVED_RESPONSE */
struct vmbus_channel_message {
	struct vmbus_header header;
	le32 channel;
} __packed;
_Static_assert(sizeof(struct vmbus_channel_message) == 12, "channel message");

struct vmbus_open_channel {
	struct vmbus_header header;
	le32 channel;
	le32 open_id;
	le32 gpadl;
	le32 vp;
	le32 downstream_page; /* of the GPADL: where the client's ring begins */
	uint8_t user_data[VMBUS_USER_DATA_SIZE];
} __packed;
_Static_assert(sizeof(struct vmbus_open_channel) == 148, "OPEN_CHANNEL");

/* OPEN_CHANNEL with VMBUS_FEATURE_SIGNAL_PARAMETERS or ..._REDIRECTION: the
 * client says how each side signals the other one. */
#define VMBUS_OPEN_REDIRECT_INTERRUPT (1u << 0)

struct vmbus_open_channel_signal {
	struct vmbus_open_channel open;
	le32 connection; /* of the client's signals */
	le16 event_flag; /* of the server's, in the SINT's event flags */
	le16 flags;
} __packed;
_Static_assert(sizeof(struct vmbus_open_channel_signal) == 156,
	       "OPEN_CHANNEL with signal parameters");

struct vmbus_open_result {
	struct vmbus_header header;
	le32 channel;
	le32 open_id;
	le32 status;
} __packed;
_Static_assert(sizeof(struct vmbus_open_result) == 20, "OPEN_RESULT");

/*
 * A reserved channel is for a client that is about to end, to dump its memory
 * or to hibernate: no interrupts, no user data, and results go where the
 * request says. It outlives the connection.
 */
struct vmbus_open_reserved {
	struct vmbus_header header;
	le32 channel;
	le32 vp; /* of the result, which has an open_id of 0 */
	le32 sint;
	le32 gpadl;
	le32 downstream_page;
} __packed;
_Static_assert(sizeof(struct vmbus_open_reserved) == 28, "OPEN_RESERVED");

/* Answered by a struct vmbus_channel_message; legal without a connection. */
struct vmbus_close_reserved {
	struct vmbus_header header;
	le32 channel;
	le32 vp;
	le32 sint;
} __packed;
_Static_assert(sizeof(struct vmbus_close_reserved) == 20, "CLOSE_RESERVED");

/*
 * A GPADL's ranges are an array of 8-byte words, cut over one HEADER and as
 * many BODY messages as it takes. A range is one word of count and offset,
 * then one page number for each page it touches.
 */
#define VMBUS_GPADL_RANGE_COUNT_SHIFT 0
#define VMBUS_GPADL_RANGE_OFFSET_SHIFT 32
#define VMBUS_GPADL_HEADER_WORDS 27
#define VMBUS_GPADL_BODY_WORDS 28

struct vmbus_gpadl_header {
	struct vmbus_header header;
	le32 channel;
	le32 gpadl;
	le16 range_bytes; /* of all words of all messages */
	le16 range_count;
	le64 word[]; /* up to VMBUS_GPADL_HEADER_WORDS */
} __packed;
_Static_assert(sizeof(struct vmbus_gpadl_header) == 20, "GPADL_HEADER");

struct vmbus_gpadl_body {
	struct vmbus_header header;
	le32 number; /* nobody looks at it */
	le32 gpadl;
	le64 word[]; /* up to VMBUS_GPADL_BODY_WORDS */
} __packed;
_Static_assert(sizeof(struct vmbus_gpadl_body) == 16, "GPADL_BODY");

struct vmbus_gpadl_created {
	struct vmbus_header header;
	le32 channel;
	le32 gpadl;
	le32 status;
} __packed;
_Static_assert(sizeof(struct vmbus_gpadl_created) == 20, "GPADL_CREATED");

struct vmbus_gpadl_teardown {
	struct vmbus_header header;
	le32 channel;
	le32 gpadl;
} __packed;
_Static_assert(sizeof(struct vmbus_gpadl_teardown) == 16, "GPADL_TEARDOWN");

struct vmbus_gpadl_torndown {
	struct vmbus_header header;
	le32 gpadl;
} __packed;
_Static_assert(sizeof(struct vmbus_gpadl_torndown) == 12, "GPADL_TORNDOWN");

/* INITIATE_CONTACT. Features: 6.0 and later. */
#define VMBUS_FEATURE_SIGNAL_PARAMETERS (1u << 0)
#define VMBUS_FEATURE_INTERRUPT_REDIRECTION (1u << 1)
#define VMBUS_FEATURE_MODIFY_CONNECTION (1u << 2)
#define VMBUS_FEATURE_CLIENT_ID (1u << 3)
#define VMBUS_FEATURE_CONFIDENTIAL_CHANNELS (1u << 4)
#define VMBUS_FEATURE_PAUSE_RESUME (1u << 5)
#define VMBUS_FEATURE_SERVER_MONITOR_PAGES (1u << 6)
#define VMBUS_FEATURE_GPA_PINNING (1u << 7)

struct vmbus_initiate_contact {
	struct vmbus_header header;
	le32 version;
	le32 vp;	  /* of messages to the client; from 3.0 */
	uint8_t sint;	  /* from 5.0; before, these 8 bytes are a GPA */
	uint8_t vtl;	  /* from 5.1 */
	le16 reserved;
	le32 features;	  /* from 6.0 */
	le64 monitor_in;  /* GPA, server to client */
	le64 monitor_out; /* GPA, client to server */
} __packed;
_Static_assert(sizeof(struct vmbus_initiate_contact) == 40, "CONTACT");

/* INITIATE_CONTACT with VMBUS_FEATURE_CLIENT_ID */
struct vmbus_initiate_contact_id {
	struct vmbus_initiate_contact contact;
	struct guid client;
} __packed;
_Static_assert(sizeof(struct vmbus_initiate_contact_id) == 56, "CONTACT + id");

enum vmbus_connection_status {
	VMBUS_CONNECTION_OK = 0,
	VMBUS_CONNECTION_LOW_RESOURCES = 1,
	VMBUS_CONNECTION_FAILED = 2,
};

/* VERSION_RESPONSE before 6.0, and all zero for a version we do not know. */
struct vmbus_version_response {
	struct vmbus_header header;
	uint8_t supported;
	uint8_t status; /* enum vmbus_connection_status */
	le16 reserved;
	le32 version_or_connection; /* from 5.0: where to post from now on */
} __packed;
_Static_assert(sizeof(struct vmbus_version_response) == 16, "VERSION_RESPONSE");

/* VERSION_RESPONSE from 6.0 */
struct vmbus_version_response_features {
	struct vmbus_version_response response;
	le32 features; /* asked for and supported */
} __packed;
_Static_assert(sizeof(struct vmbus_version_response_features) == 20,
	       "VERSION_RESPONSE 6.0");

struct vmbus_modify_channel {
	struct vmbus_header header;
	le32 channel;
	le32 vp;
} __packed;
_Static_assert(sizeof(struct vmbus_modify_channel) == 16, "MODIFY_CHANNEL");

struct vmbus_modify_channel_response {
	struct vmbus_header header;
	le32 channel;
	le32 status;
} __packed;
_Static_assert(sizeof(struct vmbus_modify_channel_response) == 16,
	       "MODIFY_CHANNEL_RESPONSE");

/* 6.0, with VMBUS_FEATURE_MODIFY_CONNECTION: other monitor pages, or none. */
struct vmbus_modify_connection {
	struct vmbus_header header;
	le64 monitor_in;
	le64 monitor_out;
} __packed;
_Static_assert(sizeof(struct vmbus_modify_connection) == 24,
	       "MODIFY_CONNECTION");

struct vmbus_modify_connection_response {
	struct vmbus_header header;
	uint8_t status; /* enum vmbus_connection_status */
} __packed;
_Static_assert(sizeof(struct vmbus_modify_connection_response) == 9,
	       "MODIFY_CONNECTION_RESPONSE");

/* Sockets over VMBus */
struct vmbus_tl_connect_request {
	struct vmbus_header header;
	struct guid endpoint;
	struct guid service;
} __packed;
_Static_assert(sizeof(struct vmbus_tl_connect_request) == 40, "TL_CONNECT");

/* From 5.2; Linux sends the shorter one then, too. */
struct vmbus_tl_connect_request_silo {
	struct vmbus_tl_connect_request request;
	struct guid silo;
} __packed;
_Static_assert(sizeof(struct vmbus_tl_connect_request_silo) == 56,
	       "TL_CONNECT 5.2");

struct vmbus_tl_connect_result {
	struct vmbus_header header;
	struct guid endpoint;
	struct guid service;
	le32 status;
} __packed;
_Static_assert(sizeof(struct vmbus_tl_connect_result) == 44,
	       "TL_CONNECT_RESULT");

#endif
