/* SPDX-License-Identifier: MIT */
/*
 * Integration services: messages between a host and the services' drivers of
 * its guest (Linux: hv_util, hv_kvp, hv_snapshot).
 *
 * Each is a message of a pipe (relay/message_pipe.h): a header, then a body
 * that its type says. The host asks, the guest sends the message back with its
 * answer in it; a number ties the two together.
 *
 * Facts from Linux: include/linux/hyperv.h and include/uapi/linux/hyperv.h say
 * what is where, drivers/hv/ says who writes what.
 */
#ifndef VMM_IC_REG_H
#define VMM_IC_REG_H

#include <stddef.h>

#include <guid.h>
#include <le.h>

/* A version as one number. */
#define IC_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))

struct ic_version {
	le16 major;
	le16 minor;
} __packed;
_Static_assert(sizeof(struct ic_version) == 4, "version");

struct ic_header {
	struct ic_version framework;
	le16 type;
	struct ic_version message;
	le16 size; /* of the body */
	le32 status;
	uint8_t transaction;
	uint8_t flags;
	uint8_t reserved[2];
} __packed;
_Static_assert(sizeof(struct ic_header) == 20, "header");

enum ic_type {
	IC_NEGOTIATE = 0,
	IC_HEARTBEAT = 1,
	IC_KVP = 2,
	IC_SHUTDOWN = 3,
	IC_TIME = 4,
	IC_VSS = 5,
};

#define IC_FLAG_TRANSACTION 1u
#define IC_FLAG_REQUEST 2u
#define IC_FLAG_RESPONSE 4u

/* Status: of HRESULT. */
#define IC_OK 0u
#define IC_NO_MORE_ITEMS 0x80070103u
#define IC_NOT_READY 0x80070015u
#define IC_FAIL 0x80004005u

/* IC_NEGOTIATE: the host's versions of the framework, then of the service's
 * messages; the answer has one of each, or none of either. */
struct ic_negotiate {
	le16 frameworks;
	le16 messages;
	le32 reserved;
	struct ic_version version[];
} __packed;
_Static_assert(sizeof(struct ic_negotiate) == 8, "negotiation");

#define SHUTDOWN_INTERFACE                                                 \
	GUID_INIT(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9,      \
		  0x0c, 0xed, 0x39, 0xdb)
#define SHUTDOWN_INSTANCE                                                  \
	GUID_INIT(0xb6650ff7, 0x33bc, 0x4840, 0x80, 0x48, 0xe0, 0x67,      \
		  0x67, 0x86, 0xf3, 0x93)

#define SHUTDOWN_FLAG_FORCE 1u
#define SHUTDOWN_FLAG_RESTART 2u
#define SHUTDOWN_REASON_PLANNED 0x80000000u
#define SHUTDOWN_TEXT_SIZE 2048

struct ic_shutdown {
	le32 reason;
	le32 timeout_s;
	le32 flags;
	uint8_t text[SHUTDOWN_TEXT_SIZE];
} __packed;
_Static_assert(sizeof(struct ic_shutdown) == 2060, "shutdown");

#define HEARTBEAT_INTERFACE                                                \
	GUID_INIT(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f,      \
		  0x3b, 0xd5, 0x42, 0x2d)
#define HEARTBEAT_INSTANCE                                                 \
	GUID_INIT(0xfd149e91, 0x82e0, 0x4a7d, 0xaf, 0xa6, 0x2a, 0x41,      \
		  0x66, 0xcb, 0xd7, 0xc0)

/* The answer's number is one more. */
struct ic_heartbeat {
	le64 sequence;
	le32 reserved[8];
} __packed;
_Static_assert(sizeof(struct ic_heartbeat) == 40, "heartbeat");

#define TIME_INTERFACE                                                     \
	GUID_INIT(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a,      \
		  0xb0, 0x17, 0x5c, 0xaf)
#define TIME_INSTANCE                                                      \
	GUID_INIT(0x2dd1ce17, 0x079e, 0x403c, 0xb3, 0x52, 0xa1, 0x92,      \
		  0x1e, 0xe2, 0x07, 0xee)

/* Time: 100 ns since 1601. */
#define IC_TIME_HZ 10000000ull
#define IC_TIME_UNIX_EPOCH 11644473600ull /* seconds */

#define TIME_FLAG_SYNC 1u   /* set the clock */
#define TIME_FLAG_SAMPLE 2u /* for who cares */

/* Before version 4.0. */
struct ic_time_old {
	le64 host;
	le64 guest;
	le64 round_trip;
	uint8_t flags;
} __packed;
_Static_assert(sizeof(struct ic_time_old) == 25, "time");

struct ic_time {
	le64 host;
	le64 reference; /* the guest's reference counter at that time */
	uint8_t flags;
	uint8_t leap;
	uint8_t stratum;
	uint8_t reserved[3];
} __packed;
_Static_assert(sizeof(struct ic_time) == 22, "time, 4.0");

#define KVP_INTERFACE                                                      \
	GUID_INIT(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27, 0x8a, 0x84,      \
		  0x1e, 0x8c, 0x03, 0xe6)
#define KVP_INSTANCE                                                       \
	GUID_INIT(0x242ff919, 0x07db, 0x4180, 0x9c, 0x2e, 0xb8, 0x6c,      \
		  0xb6, 0x8c, 0x8c, 0x55)

enum kvp_operation {
	KVP_GET = 0,
	KVP_SET = 1,
	KVP_DELETE = 2,
	KVP_ENUMERATE = 3,
};

/* Pools: the first three are files of the guest, "auto" is what it knows. */
enum kvp_pool {
	KVP_EXTERNAL = 0,
	KVP_GUEST = 1,
	KVP_AUTO = 2,
	KVP_AUTO_EXTERNAL = 3,
	KVP_AUTO_INTERNAL = 4,
};

enum kvp_value_type {
	KVP_TEXT = 1,
	KVP_U32 = 4,
	KVP_U64 = 8,
};

#define KVP_KEY_SIZE 512
#define KVP_VALUE_SIZE 2048

/* Of KVP_ENUMERATE. Texts are UTF-16; their sizes are in bytes and count the
 * zero at the end. */
struct ic_kvp_item {
	uint8_t operation;
	uint8_t pool;
	uint8_t pad[2];
	le32 index;
	le32 value_type;
	le32 key_size;
	le32 value_size;
	uint8_t key[KVP_KEY_SIZE];
	uint8_t value[KVP_VALUE_SIZE];
} __packed;
_Static_assert(sizeof(struct ic_kvp_item) == 2580, "item");

#define VSS_INTERFACE                                                      \
	GUID_INIT(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a, 0x6e,      \
		  0xba, 0xcb, 0xa4, 0x40)
#define VSS_INSTANCE                                                       \
	GUID_INIT(0x2450ee40, 0x33bf, 0x4fbd, 0x89, 0x2e, 0x9f, 0xb0,      \
		  0x6e, 0x92, 0x14, 0xcf)

#endif
