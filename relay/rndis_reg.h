/* SPDX-License-Identifier: MIT */
/*
 * RNDIS: messages to and from a network adapter, and the OIDs and NDIS objects
 * in them. Offsets in a message count from behind its length, that is from
 * byte 8. ([MS-RNDIS]; NDIS objects: Windows driver documentation)
 */
#ifndef RELAY_RNDIS_REG_H
#define RELAY_RNDIS_REG_H

#include <stddef.h>
#include <stdint.h>

#include <le.h>

#define RNDIS_PACKET 1u
#define RNDIS_INITIALIZE 2u
#define RNDIS_HALT 3u
#define RNDIS_QUERY 4u
#define RNDIS_SET 5u
#define RNDIS_RESET 6u
#define RNDIS_INDICATE 7u
#define RNDIS_KEEPALIVE 8u
#define RNDIS_COMPLETE 0x80000000u /* an answer to the type it is added to */

#define RNDIS_STATUS_SUCCESS 0u
#define RNDIS_STATUS_FAILURE 0xc0000001u
#define RNDIS_STATUS_NOT_SUPPORTED 0xc00000bbu
#define RNDIS_STATUS_INVALID_LENGTH 0xc0010014u
#define RNDIS_STATUS_INVALID_DATA 0xc0010015u
/* Indicated. */
#define RNDIS_STATUS_MEDIA_CONNECT 0x4001000bu
#define RNDIS_STATUS_MEDIA_DISCONNECT 0x4001000cu
#define RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG 0x40020006u

struct rndis_header {
	le32 type;
	le32 length; /* of the message, with this */
} __packed;
_Static_assert(sizeof(struct rndis_header) == 8, "RNDIS header");

#define RNDIS_OFFSET_BASE ((uint32_t)sizeof(struct rndis_header))

/* A frame. */
struct rndis_packet {
	struct rndis_header header;
	le32 data_offset, data_size;
	le32 oob_offset, oob_size, oob_count;
	le32 ppi_offset, ppi_size; /* per-packet information */
	le32 vc_handle, reserved;
} __packed;
_Static_assert(sizeof(struct rndis_packet) == 44, "RNDIS packet");

struct rndis_ppi {
	le32 size; /* with this */
	le32 type;
	le32 offset; /* of the value, from here */
} __packed;
_Static_assert(sizeof(struct rndis_ppi) == 12, "per-packet information");

#define RNDIS_PPI_CHECKSUM 0u
#define RNDIS_PPI_LSO 2u
#define RNDIS_PPI_VLAN 6u
#define RNDIS_PPI_HASH 8u

/* The usual value is one word. */
struct rndis_ppi_word {
	struct rndis_ppi ppi;
	le32 value;
} __packed;
_Static_assert(sizeof(struct rndis_ppi_word) == 16, "word of information");

/* RNDIS_PPI_CHECKSUM of a frame to send ... */
#define RNDIS_TX_IP4 (1u << 0)
#define RNDIS_TX_IP6 (1u << 1)
#define RNDIS_TX_TCP (1u << 2)
#define RNDIS_TX_UDP (1u << 3)
#define RNDIS_TX_IP_HEADER (1u << 4)
#define RNDIS_TX_L4_SHIFT 16 /* offset of the TCP header, or 0 */
#define RNDIS_TX_L4_MASK 0x3ffu
/* ... and of one that came. */
#define RNDIS_RX_TCP_BAD (1u << 0)
#define RNDIS_RX_UDP_BAD (1u << 1)
#define RNDIS_RX_IP_BAD (1u << 2)
#define RNDIS_RX_TCP_GOOD (1u << 3)
#define RNDIS_RX_UDP_GOOD (1u << 4)
#define RNDIS_RX_IP_GOOD (1u << 5)

/* RNDIS_PPI_LSO, version 2. */
#define RNDIS_LSO_MSS_MASK 0xfffffu
#define RNDIS_LSO_L4_SHIFT 20
#define RNDIS_LSO_L4_MASK 0x3ffu
#define RNDIS_LSO_VERSION_2 (1u << 30)
#define RNDIS_LSO_IP6 (1u << 31)

/* RNDIS_PPI_VLAN */
#define RNDIS_VLAN_PRIORITY_MASK 7u
#define RNDIS_VLAN_DEI_SHIFT 3
#define RNDIS_VLAN_ID_SHIFT 4
#define RNDIS_VLAN_ID_MASK 0xfffu

/* Control messages: those of a client, and our answers. */

struct rndis_request { /* the beginning of each, but for RESET */
	struct rndis_header header;
	le32 id;
} __packed;

struct rndis_initialize {
	struct rndis_request request;
	le32 major, minor, max_transfer;
} __packed;
_Static_assert(sizeof(struct rndis_initialize) == 24, "RNDIS initialize");

struct rndis_initialize_complete {
	struct rndis_request request;
	le32 status;
	le32 major, minor;
	le32 device_flags;
	le32 medium;
	le32 max_packets; /* in one NVS_RNDIS_PACKET */
	le32 max_transfer;
	le32 alignment_shift;
	le32 af_list_offset, af_list_size;
} __packed;
_Static_assert(sizeof(struct rndis_initialize_complete) == 52,
	       "RNDIS initialize complete");

#define RNDIS_CONNECTIONLESS 1u

struct rndis_oid_request { /* RNDIS_QUERY, RNDIS_SET */
	struct rndis_request request;
	le32 oid;
	le32 info_size, info_offset;
	le32 vc_handle;
} __packed;
_Static_assert(sizeof(struct rndis_oid_request) == 28, "RNDIS query and set");

struct rndis_query_complete {
	struct rndis_request request;
	le32 status;
	le32 info_size, info_offset;
} __packed;
_Static_assert(sizeof(struct rndis_query_complete) == 24,
	       "RNDIS query complete");

struct rndis_set_complete { /* also of a keepalive */
	struct rndis_request request;
	le32 status;
} __packed;
_Static_assert(sizeof(struct rndis_set_complete) == 16, "RNDIS set complete");

struct rndis_reset_complete {
	struct rndis_header header;
	le32 status;
	le32 addressing_reset;
} __packed;
_Static_assert(sizeof(struct rndis_reset_complete) == 16,
	       "RNDIS reset complete");

struct rndis_indicate {
	struct rndis_header header;
	le32 status;
	le32 size, offset;
} __packed;
_Static_assert(sizeof(struct rndis_indicate) == 20, "RNDIS indicate");

/* OIDs. */
enum rndis_oid {
	OID_SUPPORTED_LIST = 0x00010101,
	OID_HARDWARE_STATUS = 0x00010102,
	OID_MEDIA_SUPPORTED = 0x00010103,
	OID_MEDIA_IN_USE = 0x00010104,
	OID_MAXIMUM_LOOKAHEAD = 0x00010105,
	OID_MAXIMUM_FRAME_SIZE = 0x00010106,
	OID_LINK_SPEED = 0x00010107, /* 100 bit/s */
	OID_TRANSMIT_BUFFER_SPACE = 0x00010108,
	OID_RECEIVE_BUFFER_SPACE = 0x00010109,
	OID_TRANSMIT_BLOCK_SIZE = 0x0001010a,
	OID_RECEIVE_BLOCK_SIZE = 0x0001010b,
	OID_VENDOR_ID = 0x0001010c,
	OID_VENDOR_DESCRIPTION = 0x0001010d,
	OID_CURRENT_PACKET_FILTER = 0x0001010e,
	OID_CURRENT_LOOKAHEAD = 0x0001010f,
	OID_DRIVER_VERSION = 0x00010110,
	OID_MAXIMUM_TOTAL_SIZE = 0x00010111,
	OID_PROTOCOL_OPTIONS = 0x00010112,
	OID_MAC_OPTIONS = 0x00010113,
	OID_MEDIA_CONNECT_STATUS = 0x00010114,
	OID_MAXIMUM_SEND_PACKETS = 0x00010115,
	OID_VENDOR_DRIVER_VERSION = 0x00010116,
	OID_NETWORK_LAYER_ADDRESSES = 0x00010118,
	OID_PHYSICAL_MEDIUM = 0x00010202,
	OID_RECEIVE_SCALE_CAPABILITIES = 0x00010203,
	OID_RECEIVE_SCALE_PARAMETERS = 0x00010204,
	OID_MAX_LINK_SPEED = 0x00010206,
	OID_LINK_STATE = 0x00010207,
	OID_RNDIS_CONFIG_PARAMETER = 0x0001021b,
	OID_XMIT_OK = 0x00020101,
	OID_RCV_OK = 0x00020102,
	OID_XMIT_ERROR = 0x00020103,
	OID_RCV_ERROR = 0x00020104,
	OID_RCV_NO_BUFFER = 0x00020105,
	OID_FRIENDLY_NAME = 0x00020216,
	OID_802_3_PERMANENT_ADDRESS = 0x01010101,
	OID_802_3_CURRENT_ADDRESS = 0x01010102,
	OID_802_3_MULTICAST_LIST = 0x01010103,
	OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
	OID_802_3_MAC_OPTIONS = 0x01010105,
	OID_OFFLOAD_ENCAPSULATION = 0x0101010a,
	OID_802_3_RCV_ERROR_ALIGNMENT = 0x01020101,
	OID_802_3_XMIT_ONE_COLLISION = 0x01020102,
	OID_802_3_XMIT_MORE_COLLISIONS = 0x01020103,
};
/* Above what an enumeration can hold. */
#define OID_TCP_OFFLOAD_CURRENT_CONFIG 0xfc01020bu
#define OID_TCP_OFFLOAD_PARAMETERS 0xfc01020cu
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES 0xfc01020du

#define RNDIS_MEDIUM_802_3 0u
#define RNDIS_MEDIA_CONNECTED 0u
#define RNDIS_MEDIA_DISCONNECTED 1u
/* Transfers do not pend; 802.1p and 802.1Q by per-packet information. */
#define RNDIS_MAC_COPY_LOOKAHEAD 1u
#define RNDIS_MAC_NO_LOOPBACK 8u
#define RNDIS_MAC_8021P 0x40u
#define RNDIS_MAC_8021Q 0x200u

/* OID_CURRENT_PACKET_FILTER */
#define RNDIS_FILTER_DIRECTED (1u << 0)
#define RNDIS_FILTER_MULTICAST (1u << 1)
#define RNDIS_FILTER_ALL_MULTICAST (1u << 2)
#define RNDIS_FILTER_BROADCAST (1u << 3)
#define RNDIS_FILTER_PROMISCUOUS (1u << 5)

/* NDIS objects. */

struct ndis_header {
	uint8_t type, revision;
	le16 size;
} __packed;

#define NDIS_OBJECT_DEFAULT 0x80
#define NDIS_OBJECT_RSS_CAPABILITIES 0x88
#define NDIS_OBJECT_RSS_PARAMETERS 0x89
#define NDIS_OBJECT_OFFLOAD 0xa7

/* OID_RECEIVE_SCALE_CAPABILITIES. Clients want this length and no other. */
struct ndis_rss_capabilities {
	struct ndis_header header;
	le32 flags;
	le32 nr_interrupts;
	le32 nr_queues;
	le16 nr_entries;
} __packed;
_Static_assert(sizeof(struct ndis_rss_capabilities) == 18, "RSS capabilities");

#define NDIS_RSS_TOEPLITZ 1u
#define NDIS_RSS_HASH_IP4 0x100u
#define NDIS_RSS_HASH_TCP_IP4 0x200u
#define NDIS_RSS_HASH_IP6 0x400u
#define NDIS_RSS_HASH_TCP_IP6 0x1000u
/* Of the capabilities, which count the types otherwise. */
#define NDIS_RSS_CAN_TCP_IP4 0x100u
#define NDIS_RSS_CAN_TCP_IP6 0x200u

/* OID_RECEIVE_SCALE_PARAMETERS. Offsets count from its beginning. */
struct ndis_rss_parameters {
	struct ndis_header header;
	le16 flags;
	le16 base_cpu;
	le32 hash;
	le16 table_size; /* bytes */
	le16 pad1;
	le32 table_offset; /* of le32 queue numbers */
	le16 key_size;
	le16 pad2;
	le32 key_offset;
	le32 masks_offset, nr_masks, mask_size;
} __packed;
_Static_assert(sizeof(struct ndis_rss_parameters) == 40, "RSS parameters");

#define NDIS_RSS_TABLE_UNCHANGED 4u
#define NDIS_RSS_KEY_UNCHANGED 8u
#define NDIS_RSS_DISABLE 0x10u

/* OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES and ..._CURRENT_CONFIG. A client may
 * know the first two revisions only, which are shorter. */
struct ndis_offload {
	struct ndis_header header;
	struct {
		le32 tx4_encapsulation, tx4, rx4_encapsulation, rx4;
		le32 tx6_encapsulation, tx6, rx6_encapsulation, rx6;
	} checksum;
	le32 lso1[4];
	le32 ipsec1[7];
	struct {
		le32 encapsulation4, max_size4, min_segments4;
		le32 encapsulation6, max_size6, min_segments6, options6;
	} lso2;
	le32 flags;
	uint8_t revision_2[32]; /* IPsec */
	uint8_t revision_3[12]; /* RSC, NVGRE */
} __packed;
_Static_assert(sizeof(struct ndis_offload) == 156, "NDIS offload");

#define NDIS_OFFLOAD_SIZE_1 112u
#define NDIS_OFFLOAD_SIZE_2 144u
_Static_assert(offsetof(struct ndis_offload, revision_2) ==
	       NDIS_OFFLOAD_SIZE_1, "NDIS offload revision 1");

#define NDIS_ENCAPSULATION_802_3 2u
/* Bits of tx4, rx4 and tx6, rx6; options6 has the first two. */
#define NDIS_CHECKSUM_IP_OPTIONS 0x1u /* 6: extension headers */
#define NDIS_CHECKSUM_TCP_OPTIONS 0x4u
#define NDIS_CHECKSUM_TCP 0x10u
#define NDIS_CHECKSUM_UDP 0x40u
#define NDIS_CHECKSUM_IP 0x100u

/* OID_TCP_OFFLOAD_PARAMETERS; later revisions are longer. */
struct ndis_offload_parameters {
	struct ndis_header header;
	uint8_t ip4, tcp4, udp4, tcp6, udp6;
	uint8_t lso1, ipsec1, lso4, lso6;
} __packed;
_Static_assert(sizeof(struct ndis_offload_parameters) == 13,
	       "NDIS offload parameters");

#define NDIS_OFFLOAD_NO_CHANGE 0
#define NDIS_OFFLOAD_TX 2 /* of a checksum */
#define NDIS_OFFLOAD_RX 3
#define NDIS_OFFLOAD_BOTH 4
#define NDIS_OFFLOAD_LSO_ENABLED 2

/* OID_LINK_STATE */
struct ndis_link_state {
	struct ndis_header header;
	le32 connect_state; /* 1 up, 2 down */
	le32 duplex;	    /* 2 full */
	le64 tx_speed, rx_speed;
	le32 pause, auto_negotiation;
} __packed;
_Static_assert(sizeof(struct ndis_link_state) == 36, "NDIS link state");

/* OID_RNDIS_CONFIG_PARAMETER. Offsets count from its beginning. */
struct rndis_config_parameter {
	le32 name_offset, name_size; /* UTF-16 */
	le32 type;
	le32 value_offset, value_size;
} __packed;
_Static_assert(sizeof(struct rndis_config_parameter) == 20,
	       "RNDIS config parameter");

#endif
