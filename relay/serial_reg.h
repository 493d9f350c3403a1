/* SPDX-License-Identifier: MIT */
/*
 * Serial ports over a VMBus message pipe: how the bytes of VTL0's COM ports
 * travel between VTL2 and its host.
 *
 * Source: the vmbus_serial_protocol crate of OpenVMM (the public definition).
 * Directions are named after the *receiver*: a host notification goes from
 * VTL2 to the host.
 */
#ifndef RELAY_SERIAL_REG_H
#define RELAY_SERIAL_REG_H

#include <stdint.h>

#include <guid.h>
#include <le.h>

/* 8b60ccf6-709f-4c11-90b5-229c959a9e6a */
#define SERIAL_INTERFACE                                               \
	GUID_INIT(0x8b60ccf6, 0x709f, 0x4c11, 0x90, 0xb5, 0x22, 0x9c,  \
		  0x95, 0x9a, 0x9e, 0x6a)
/* 700df40e-b947-4776-b839-d1b0a35af034 */
#define SERIAL_INSTANCE_COM1                                           \
	GUID_INIT(0x700df40e, 0xb947, 0x4776, 0xb8, 0x39, 0xd1, 0xb0,  \
		  0xa3, 0x5a, 0xf0, 0x34)
/* 7e55f4b8-af84-4e98-9f1a-8e8d0bde3744 */
#define SERIAL_INSTANCE_COM2                                           \
	GUID_INIT(0x7e55f4b8, 0xaf84, 0x4e98, 0x9f, 0x1a, 0x8e, 0x8d,  \
		  0x0b, 0xde, 0x37, 0x44)

#define SERIAL_MESSAGE_MAX 512u /* the longest that a peer may send */
#define SERIAL_DATA_MAX 64u

struct serial_header {
	uint8_t version; /* of the header: SERIAL_HEADER_VERSION */
	uint8_t type;	 /* enum serial_type */
	le16 id;	 /* meaning depends on the type */
} __packed;
_Static_assert(sizeof(struct serial_header) == 4, "Header");

#define SERIAL_HEADER_VERSION 1

enum serial_type {
	SERIAL_HOST_NOTIFICATION = 1,
	SERIAL_HOST_REQUEST = 2,
	SERIAL_HOST_RESPONSE = 3,
	SERIAL_GUEST_NOTIFICATION = 4,
};

/* Host notifications. */
#define SERIAL_RX_CLEAR 1	   /* header alone: forget what you have */
#define SERIAL_TX_DATA_AVAILABLE 2 /* struct serial_tx_data */

/* Guest notifications. */
#define SERIAL_RX_DATA_AVAILABLE 1 /* header alone */
#define SERIAL_SET_MODEM_STATUS 2  /* struct serial_modem_status */
#define SERIAL_TX_COMPLETED 3	   /* header alone: send the next */

/* Host requests and their responses. */
#define SERIAL_VERSION 1
#define SERIAL_GET_RX_DATA 2 /* the request is a header alone */

#define SERIAL_PROTOCOL_VERSION 0x00010000u

struct serial_version_request {
	struct serial_header header;
	le32 version;
} __packed;
_Static_assert(sizeof(struct serial_version_request) == 8,
	       "VersionRequestMessage");

struct serial_version_response {
	struct serial_header header;
	uint8_t accepted; /* 0 or 1 */
	uint8_t pad;
} __packed;
_Static_assert(sizeof(struct serial_version_response) == 6,
	       "VersionRequestResponse");

struct serial_tx_data {
	struct serial_header header;
	uint8_t length;
	uint8_t data[SERIAL_DATA_MAX];
	uint8_t pad;
} __packed;
_Static_assert(sizeof(struct serial_tx_data) == 70, "TxDataAvailableMessage");

struct serial_rx_data {
	struct serial_header header;
	uint8_t length;
	uint8_t more; /* 0 or 1: ask again */
	uint8_t data[SERIAL_DATA_MAX];
} __packed;
_Static_assert(sizeof(struct serial_rx_data) == 70, "RxDataResponse");

struct serial_modem_status {
	struct serial_header header;
	uint8_t modem_status; /* ignored by the receiver */
	uint8_t connected;    /* 0 or 1 */
} __packed;
_Static_assert(sizeof(struct serial_modem_status) == 6,
	       "SetModumStatusMessage");

#endif
