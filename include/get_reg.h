/* SPDX-License-Identifier: MIT */
/*
 * Guest emulation transport (GET): the messages that VTL2 and its host
 * exchange about the guest, over a VMBus message pipe.
 *
 * Source: the get_protocol crate of OpenVMM (the public definition of it).
 * Only what is used here: version, time, the notifications to the host, and
 * changes of VTL2's settings.
 * Directions are named after the *receiver*: a host notification goes from
 * VTL2 to the host.
 */
#ifndef GET_REG_H
#define GET_REG_H

#include <stdint.h>

#include "guid.h"
#include "le.h"

/* 8dedd1aa-9056-49e4-bfd6-1bf90dc38ef0 */
#define GET_INTERFACE                                                  \
	GUID_INIT(0x8dedd1aa, 0x9056, 0x49e4, 0xbf, 0xd6, 0x1b, 0xf9,  \
		  0x0d, 0xc3, 0x8e, 0xf0)
/* d3e4454d-62af-44ec-b851-3170915e5f56 */
#define GET_INSTANCE                                                   \
	GUID_INIT(0xd3e4454d, 0x62af, 0x44ec, 0xb8, 0x51, 0x31, 0x70,  \
		  0x91, 0x5e, 0x5f, 0x56)

#define GET_MESSAGE_MAX 12288u

struct get_header {
	uint8_t version; /* of the header: GET_HEADER_VERSION */
	uint8_t type;	 /* enum get_type */
	le16 id;
} __packed;
_Static_assert(sizeof(struct get_header) == 4, "get_protocol Header");

#define GET_HEADER_VERSION 1

enum get_type {
	GET_HOST_NOTIFICATION = 1,
	GET_HOST_REQUEST = 2,
	GET_HOST_RESPONSE = 3,
	GET_GUEST_NOTIFICATION = 4,
};

/* Ids of host notifications. */
enum get_notification {
	GET_POWER_OFF = 1,
	GET_RESET = 2,
	GET_MODIFY_SETTINGS_COMPLETED = 6,
	GET_START_VTL0_COMPLETED = 7,
	GET_VTL_CRASH = 8,
	GET_TRIPLE_FAULT = 9,
};

/* Ids of guest notifications. */
enum get_guest_notification {
	GET_MODIFY_SETTINGS = 5,      /* all in one message */
	GET_MODIFY_SETTINGS_REV1 = 6, /* in pieces */
};

/* Ids of host requests; a response has the id of its request. */
enum get_request {
	GET_VERSION = 1,
	GET_TIME = 2,
};

#define GET_PROTOCOL_VERSION 0x00040002u

struct get_version_request {
	struct get_header header;
	le32 version;
} __packed;
_Static_assert(sizeof(struct get_version_request) == 8, "VersionRequest");

struct get_version_response {
	struct get_header header;
	uint8_t accepted; /* 0 or 1 */
	uint8_t pad;
} __packed;
_Static_assert(sizeof(struct get_version_response) == 6, "VersionResponse");

/* The request is a header alone. */
struct get_time_response {
	struct get_header header;
	le32 pad0;
	le64 vm_reference_time; /* 100 ns */
	le64 utc;		/* 100 ns since 1601-01-01 */
	le16 time_zone;		/* minutes, signed */
	uint8_t daylight_savings;
	uint8_t pad1[5];
} __packed;
_Static_assert(sizeof(struct get_time_response) == 32, "TimeResponse");

/* Seconds from 1601-01-01 to 1970-01-01. */
#define GET_TIME_UNIX_EPOCH 11644473600ull
#define GET_TIME_HZ 10000000ull

struct get_power_off {
	struct get_header header;
	uint8_t hibernate; /* 0 or 1 */
	uint8_t pad;
} __packed;
_Static_assert(sizeof(struct get_power_off) == 6, "PowerOffNotification");

/* GET_RESET is a header alone. */

struct get_start_vtl0_completed {
	struct get_header header;
	le32 status; /* 0 = success, 1 = failure */
	le32 result_size; /* of the text that follows */
} __packed;
_Static_assert(sizeof(struct get_start_vtl0_completed) == 12,
	       "StartVtl0CompleteNotification");

#define GET_CRASH_PARAMETERS 5

struct get_vtl_crash {
	struct get_header header;
	le32 vp_index;
	uint8_t last_vtl;
	uint8_t reserved0;
	le16 reserved1;
	le32 reserved2;
	le64 control;
	le64 parameters[GET_CRASH_PARAMETERS];
} __packed;
_Static_assert(sizeof(struct get_vtl_crash) == 64, "VtlCrashNotification");

/* `register_count` pairs {le32 name, 16-byte value} follow. */
struct get_triple_fault {
	struct get_header header;
	le32 vp_index;
	le32 fault_type; /* GET_FAULT_UNRECOVERABLE_EXCEPTION */
	le32 register_count;
} __packed;
_Static_assert(sizeof(struct get_triple_fault) == 16,
	       "TripleFaultNotification");

#define GET_FAULT_UNRECOVERABLE_EXCEPTION 1u

/*
 * New settings: JSON text, whole or in pieces that follow each other; one
 * update at a time. When the last piece has come VTL2 answers with one
 * GET_MODIFY_SETTINGS_COMPLETED, which names nothing that it could be told
 * from another by.
 */

/* `size` bytes of text follow, to the message's end. */
struct get_modify_settings {
	struct get_header header;
	le32 size;
} __packed;
_Static_assert(sizeof(struct get_modify_settings) == 8,
	       "ModifyVtl2SettingsNotification");

/* `size` bytes of text follow, to the message's end. */
struct get_modify_settings_rev1 {
	struct get_header header;
	le32 size;  /* of this piece */
	le32 state; /* enum get_payload_state */
} __packed;
_Static_assert(sizeof(struct get_modify_settings_rev1) == 12,
	       "ModifyVtl2SettingsRev1Notification");

enum get_payload_state {
	GET_PAYLOAD_END = 0,  /* the last piece */
	GET_PAYLOAD_MORE = 1, /* others follow */
};

/* Text of one message: the public limit of payloads cut in pieces. */
#define GET_PAYLOAD_MAX 8192u
/* All pieces together: ours. */
#define GET_SETTINGS_MAX 65536u

struct get_modify_settings_completed {
	struct get_header header;
	le32 status;	  /* 0 = applied, 1 = failed */
	le32 result_size; /* of the text that follows: what was wrong */
} __packed;
_Static_assert(sizeof(struct get_modify_settings_completed) == 12,
	       "ModifyVtl2SettingsCompleteNotification");

#define GET_RESULT_MAX 1024u /* ours: text of a result */

#endif
