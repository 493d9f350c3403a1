/* SPDX-License-Identifier: MIT */
/*
 * NVSP: what a synthetic NIC and its client say to each other in ring packets.
 *
 * A message is a type and a body. Clients send 32 bytes, from 6.1 on 40; most
 * of it is padding. Every frame and every RNDIS message comes with an
 * NVS_RNDIS_PACKET, whose bytes lie elsewhere: in a section of the client's
 * send buffer, in pages named by the packet, or in the receive buffer.
 */
#ifndef RELAY_NVS_REG_H
#define RELAY_NVS_REG_H

#include <stdint.h>

#include <guid.h>
#include <le.h>

/* f8615163-df3e-46c5-913f-f2d2f965ed0e */
#define NVS_INTERFACE                                                      \
	GUID_INIT(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2,      \
		  0xf9, 0x65, 0xed, 0x0e)

#define NVS_VERSION_1 0x2u
#define NVS_VERSION_2 0x30002u
#define NVS_VERSION_4 0x40000u
#define NVS_VERSION_5 0x50000u
#define NVS_VERSION_6 0x60000u
#define NVS_VERSION_61 0x60001u

enum nvs_type {
	NVS_INIT = 1,
	NVS_INIT_COMPLETE = 2,
	NVS_NDIS_VERSION = 100,
	NVS_SEND_RECEIVE_BUFFER = 101,
	NVS_RECEIVE_BUFFER_COMPLETE = 102,
	NVS_REVOKE_RECEIVE_BUFFER = 103,
	NVS_SEND_SEND_BUFFER = 104,
	NVS_SEND_BUFFER_COMPLETE = 105,
	NVS_REVOKE_SEND_BUFFER = 106,
	NVS_RNDIS_PACKET = 107,
	NVS_RNDIS_PACKET_COMPLETE = 108,
	NVS_NDIS_CONFIG = 125,		 /* version 2 */
	NVS_VF_ASSOCIATION = 128,	 /* 4, ours */
	NVS_SWITCH_DATA_PATH = 129,	 /* 4 */
	NVS_OID_QUERY = 131,		 /* 5 */
	NVS_OID_QUERY_COMPLETE = 132,
	NVS_SUBCHANNEL = 133,		 /* 5 */
	NVS_INDIRECTION_TABLE = 134,	 /* 5, ours */
};

enum nvs_status {
	NVS_STATUS_NONE = 0,
	NVS_STATUS_SUCCESS = 1,
	NVS_STATUS_FAILURE = 2,
	NVS_STATUS_INVALID_RNDIS = 5,
	NVS_STATUS_BUSY = 6,
};

#define NVS_NOT_SUPPORTED 0xc00000bbu /* of an OID query */

#define NVS_RECEIVE_BUFFER_ID 0xcafe
#define NVS_SEND_BUFFER_ID 0

struct nvs_init {
	le32 min_version, max_version;
} __packed;

struct nvs_init_complete {
	le32 version; /* all ones but for version 1, as clients know it */
	le32 max_mdl_chain;
	le32 status;
} __packed;

struct nvs_ndis_version {
	le32 major, minor;
} __packed;

struct nvs_ndis_config {
	le32 mtu; /* with the Ethernet header */
	le32 reserved;
	le64 capabilities;
} __packed;

struct nvs_buffer {
	le32 gpadl;
	le16 id;
} __packed;

struct nvs_receive_section {
	le32 offset, slot_size, nr_slots, end;
} __packed;

struct nvs_receive_buffer_complete {
	le32 status;
	le32 nr_sections;
	struct nvs_receive_section section[1];
} __packed;

struct nvs_send_buffer_complete {
	le32 status;
	le32 section_size;
} __packed;

#define NVS_NO_SECTION 0xffffffffu
enum nvs_channel { NVS_CHANNEL_DATA = 0, NVS_CHANNEL_CONTROL = 1 };

struct nvs_rndis_packet {
	le32 channel; /* enum nvs_channel */
	le32 section; /* of the send buffer, or NVS_NO_SECTION */
	le32 section_size;
} __packed;

/* NVS_RNDIS_PACKET_COMPLETE, NVS_OID_QUERY_COMPLETE, refusals. */
struct nvs_complete {
	le32 status;
} __packed;

#define NVS_DATA_PATH_SYNTHETIC 0

struct nvs_data_path {
	le32 active;
} __packed;

#define NVS_SUBCHANNEL_ALLOCATE 1

struct nvs_subchannel {
	le32 operation; /* in the answer: status */
	le32 count;
} __packed;

#define NVS_INDIRECTION_ENTRIES 16

/* The table follows at `offset` from the message's start. */
struct nvs_indirection_table {
	le32 count, offset;
} __packed;

#define NVS_SIZE 32u	/* of a message, before 6.1 */
#define NVS_SIZE_61 40u

struct nvs_message {
	le32 type;
	union {
		struct nvs_init init;
		struct nvs_init_complete init_complete;
		struct nvs_ndis_version ndis_version;
		struct nvs_ndis_config ndis_config;
		struct nvs_buffer buffer;
		struct nvs_receive_buffer_complete receive_buffer_complete;
		struct nvs_send_buffer_complete send_buffer_complete;
		struct nvs_rndis_packet rndis;
		struct nvs_complete complete;
		struct nvs_data_path data_path;
		struct nvs_subchannel subchannel;
		struct nvs_indirection_table table;
		uint8_t pad[NVS_SIZE_61 - sizeof(le32)];
	};
} __packed;
_Static_assert(sizeof(struct nvs_message) == NVS_SIZE_61, "NVSP message");
_Static_assert(sizeof(struct nvs_receive_buffer_complete) == 24,
	       "receive buffer complete");

#endif
