/* SPDX-License-Identifier: MIT */
/*
 * VMBus ring buffers as they lie in shared memory.
 *
 * One direction is a control page followed by data pages. A channel has two:
 * in its GPADL the guest-to-server ring comes first, the server-to-guest ring
 * starts at the "downstream" page of the OPEN message.
 */
#ifndef RELAY_RING_REG_H
#define RELAY_RING_REG_H

#include <stdint.h>

#include <le.h>

/* Control page: byte offsets. */
#define RING_IN 0		  /* le32 write index, bytes into the data area */
#define RING_OUT 4		  /* le32 read index */
#define RING_INTERRUPT_MASK 8	  /* le32, consumer: 1 = do not signal me */
#define RING_PENDING_SEND_SIZE 12 /* le32, producer: signal me at this room */
#define RING_FEATURES 64	  /* le32 */
#define RING_FEATURE_PENDING_SEND_SIZE (1u << 0)

#define RING_PAGE_SIZE 4096u
#define RING_ALIGNMENT 8u /* of indexes, packets and footers */

/* Packet descriptor; lengths count 8-byte units. */
struct ring_descriptor {
	le16 type;
	le16 offset8; /* of the payload, from the descriptor's start */
	le16 length8; /* descriptor and payload, without the footer */
	le16 flags;
	le64 transaction;
} __packed;
_Static_assert(sizeof(struct ring_descriptor) == 16, "ring descriptor");

#define RING_PACKET_INBAND 6
#define RING_PACKET_TRANSFER_PAGES 7
#define RING_PACKET_GPA_DIRECT 9
#define RING_PACKET_COMPLETION 11

#define RING_FLAG_COMPLETION_REQUESTED (1u << 0)

/* After the padded payload: where the packet began, in the upper half. */
struct ring_footer {
	le32 reserved;
	le32 start;
} __packed;
_Static_assert(sizeof(struct ring_footer) == 8, "ring footer");

/* RING_PACKET_GPA_DIRECT: follows the descriptor, before the payload. */
struct ring_gpa_direct {
	le32 reserved;
	le32 range_count;
	/* range_count times a struct ring_gpa_range with its page numbers */
} __packed;
_Static_assert(sizeof(struct ring_gpa_direct) == 8, "GPA direct header");

struct ring_gpa_range {
	le32 byte_count;
	le32 byte_offset; /* into the first page */
	/* le64 page numbers follow: as many as the bytes touch */
} __packed;
_Static_assert(sizeof(struct ring_gpa_range) == 8, "GPA range header");

/* RING_PACKET_TRANSFER_PAGES: follows the descriptor. */
struct ring_transfer_pages {
	le16 set_id;
	uint8_t sender_owns_set;
	uint8_t reserved;
	le32 range_count;
} __packed;
_Static_assert(sizeof(struct ring_transfer_pages) == 8, "transfer pages");

struct ring_transfer_range {
	le32 byte_count;
	le32 byte_offset; /* into the receive buffer */
} __packed;
_Static_assert(sizeof(struct ring_transfer_range) == 8, "transfer range");

#endif
