/* SPDX-License-Identifier: MIT */
/*
 * The storage protocol of VMBus ("vstor") as it travels in ring packets.
 *
 * There is no public specification; the layouts are those that the Linux
 * driver of the guest uses (drivers/scsi/storvsc_drv.c). A request and its
 * completion are the same packet: the server fills in what it has to say and
 * sends it back, in the size that the client chose.
 */
#ifndef RELAY_VSTOR_REG_H
#define RELAY_VSTOR_REG_H

#include <stdint.h>

#include <le.h>

/* ba6163d9-04a1-4d29-b605-72e2ffb1dc7f */
#define VSTOR_SCSI_INTERFACE                                              \
	GUID_INIT(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, \
		  0xb1, 0xdc, 0x7f)

enum vstor_operation {
	VSTOR_COMPLETE_IO = 1,	     /* server to client */
	VSTOR_REMOVE_DEVICE = 2,     /* server to client, never sent */
	VSTOR_EXECUTE_SRB = 3,
	VSTOR_RESET_LUN = 4,
	VSTOR_RESET_ADAPTER = 5,
	VSTOR_RESET_BUS = 6,
	VSTOR_BEGIN_INIT = 7,
	VSTOR_END_INIT = 8,
	VSTOR_QUERY_VERSION = 9,
	VSTOR_QUERY_PROPERTIES = 10,
	VSTOR_ENUMERATE_BUS = 11,    /* server to client */
	VSTOR_FCHBA_DATA = 12,	     /* Fibre Channel: not ours */
	VSTOR_CREATE_SUBCHANNELS = 13,
	VSTOR_EVENT_NOTIFICATION = 14,
};

/* Status in the header: NTSTATUS values. */
#define VSTOR_STATUS_SUCCESS 0x00000000u
#define VSTOR_STATUS_BUFFER_OVERFLOW 0x80000005u
#define VSTOR_STATUS_DEVICE_BUSY 0x80000011u
#define VSTOR_STATUS_INVALID_PARAMETER 0xc000000du
#define VSTOR_STATUS_REVISION_MISMATCH 0xc0000059u
#define VSTOR_STATUS_NOT_SUPPORTED 0xc00000bbu
#define VSTOR_STATUS_DEVICE_DOES_NOT_EXIST 0xc00000c0u
#define VSTOR_STATUS_INVALID_DEVICE_STATE 0xc0000184u
#define VSTOR_STATUS_IO_DEVICE_ERROR 0xc0000185u

struct vstor_header {
	le32 operation;
	le32 flags; /* 1: completion wanted; the ring packet decides */
	le32 status;
} __packed;
_Static_assert(sizeof(struct vstor_header) == 12, "vstor header");

/* QUERY_VERSION */
#define VSTOR_VERSION(major, minor) ((major) << 8 | (minor))

struct vstor_version {
	le16 version; /* VSTOR_VERSION() */
	le16 revision;
} __packed;
_Static_assert(sizeof(struct vstor_version) == 4, "vstor version");

/* QUERY_PROPERTIES */
#define VSTOR_PROPERTY_MULTI_CHANNEL (1u << 0)

struct vstor_properties {
	le32 reserved1;
	le16 max_subchannels;
	le16 reserved2;
	le32 flags;
	le32 max_transfer; /* bytes per request */
	le32 reserved3[2];
} __packed;
_Static_assert(sizeof(struct vstor_properties) == 24, "vstor properties");

/* EXECUTE_SRB; "SRB" is the SCSI request block of Windows. */
#define VSTOR_SRB_CDB_SIZE 16
#define VSTOR_SRB_SENSE_SIZE 20

enum vstor_srb_status {
	VSTOR_SRB_SUCCESS = 0x01,
	VSTOR_SRB_ERROR = 0x04,
	VSTOR_SRB_BUSY = 0x05,
	VSTOR_SRB_INVALID_REQUEST = 0x06,
	VSTOR_SRB_SELECTION_TIMEOUT = 0x0a,
	VSTOR_SRB_DATA_OVERRUN = 0x12,
	VSTOR_SRB_INVALID_LUN = 0x20,
};
#define VSTOR_SRB_AUTOSENSE_VALID 0x80 /* or'ed to the status */

enum vstor_data {
	VSTOR_DATA_WRITE = 0, /* to the device */
	VSTOR_DATA_READ = 1,
	VSTOR_DATA_NONE = 2,
};

struct vstor_srb {
	le16 length; /* of this structure */
	uint8_t srb_status;
	uint8_t scsi_status;
	uint8_t port;
	uint8_t path;
	uint8_t target;
	uint8_t lun;
	uint8_t cdb_size;
	uint8_t sense_size;
	uint8_t data_in; /* enum vstor_data */
	uint8_t properties;
	le32 data_size; /* completion: bytes moved */
	union {
		uint8_t cdb[VSTOR_SRB_CDB_SIZE];
		uint8_t sense[VSTOR_SRB_SENSE_SIZE]; /* completion */
	};
	/* From protocol 5.1 on; older packets end here. */
	le16 reserved;
	uint8_t queue_tag;
	uint8_t queue_action;
	le32 srb_flags;
	le32 time_out;
	le32 queue_sort_key;
} __packed;
_Static_assert(sizeof(struct vstor_srb) == 52, "vstor SRB");
#define VSTOR_SRB_MIN_SIZE 36u

struct vstor_packet {
	struct vstor_header header;
	union {
		struct vstor_srb srb;
		struct vstor_version version;
		struct vstor_properties properties;
		le16 subchannels; /* CREATE_SUBCHANNELS */
	};
} __packed;
_Static_assert(sizeof(struct vstor_packet) == 64, "vstor packet");

#endif
