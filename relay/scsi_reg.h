/* SPDX-License-Identifier: MIT */
/*
 * SCSI commands, status, sense and parameter data, as far as a disk behind
 * storvsp speaks them: SPC-4 (primary commands) and SBC-3 (block commands).
 * What only a DVD drive has is in scsi_mmc_reg.h.
 *
 * SCSI numbers are big-endian and not aligned, so fields are byte arrays and
 * are read and written by the functions at the end.
 */
#ifndef RELAY_SCSI_REG_H
#define RELAY_SCSI_REG_H

#include <stdint.h>

#include <le.h>

/* Operation codes (SPC-4 table 145, SBC-3 table 30). */
enum scsi_opcode {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_READ_6 = 0x08,
	SCSI_WRITE_6 = 0x0a,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SELECT_6 = 0x15,
	SCSI_MODE_SENSE_6 = 0x1a,
	SCSI_START_STOP_UNIT = 0x1b,
	SCSI_SEND_DIAGNOSTIC = 0x1d,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_READ_10 = 0x28,
	SCSI_WRITE_10 = 0x2a,
	SCSI_WRITE_AND_VERIFY_10 = 0x2e,
	SCSI_VERIFY_10 = 0x2f,
	SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
	SCSI_WRITE_SAME_10 = 0x41,
	SCSI_UNMAP = 0x42,
	SCSI_MODE_SELECT_10 = 0x55,
	SCSI_MODE_SENSE_10 = 0x5a,
	SCSI_PERSISTENT_RESERVE_IN = 0x5e,
	SCSI_PERSISTENT_RESERVE_OUT = 0x5f,
	SCSI_READ_16 = 0x88,
	SCSI_WRITE_16 = 0x8a,
	SCSI_WRITE_AND_VERIFY_16 = 0x8e,
	SCSI_VERIFY_16 = 0x8f,
	SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
	SCSI_WRITE_SAME_16 = 0x93,
	SCSI_SERVICE_ACTION_IN_16 = 0x9e,
	SCSI_REPORT_LUNS = 0xa0,
	SCSI_MAINTENANCE_IN = 0xa3,
	SCSI_READ_12 = 0xa8,
	SCSI_WRITE_12 = 0xaa,
	SCSI_WRITE_AND_VERIFY_12 = 0xae,
	SCSI_VERIFY_12 = 0xaf,
};
/* Service actions, byte 1. */
#define SCSI_SERVICE_ACTION_MASK 0x1f
#define SCSI_READ_CAPACITY_16 0x10	 /* of SERVICE ACTION IN(16) */
#define SCSI_REPORT_OPERATION_CODES 0x0c /* of MAINTENANCE IN */

/* Byte 1 of READ, WRITE, VERIFY. */
#define SCSI_CDB_PROTECT_MASK 0xe0
#define SCSI_CDB_FUA (1 << 3)
#define SCSI_CDB_BYTCHK_MASK 0x06
#define SCSI_CDB_BYTCHK_SHIFT 1
#define SCSI_BYTCHK_NOTHING 0
#define SCSI_BYTCHK_DATA 1  /* against as much data of the client's */
#define SCSI_BYTCHK_BLOCK 3 /* each block against one block of it */
/* Byte 1 of WRITE SAME and UNMAP. */
#define SCSI_CDB_ANCHOR_WRITE_SAME (1 << 4)
#define SCSI_CDB_UNMAP (1 << 3)
#define SCSI_CDB_NDOB (1 << 0) /* WRITE SAME(16) */
#define SCSI_CDB_ANCHOR (1 << 0)
/* Others. */
#define SCSI_CDB_EVPD (1 << 0)		/* INQUIRY byte 1 */
#define SCSI_CDB_DESC (1 << 0)		/* REQUEST SENSE byte 1 */
#define SCSI_CDB_SELF_TEST (1 << 2)	/* SEND DIAGNOSTIC byte 1 */
#define SCSI_CDB_SELF_TEST_CODE 0xe0
#define SCSI_CDB_MODE_PF (1 << 4)	/* MODE SELECT byte 1 */
#define SCSI_CDB_MODE_SP (1 << 0)
#define SCSI_CDB_MODE_DBD (1 << 3)	/* MODE SENSE byte 1 */
#define SCSI_CDB_MODE_LLBAA (1 << 4)	/* MODE SENSE(10) byte 1 */
#define SCSI_CDB_START (1 << 0)		/* START STOP UNIT byte 4 */
#define SCSI_CDB_LOEJ (1 << 1)
#define SCSI_CDB_NO_FLUSH (1 << 2)
#define SCSI_CDB_POWER_MASK 0xf0
#define SCSI_CDB_MODE_PAGE_MASK 0x3f	/* MODE SENSE byte 2 */
#define SCSI_CDB_MODE_CONTROL_SHIFT 6	/* ... page control */

/* Status (SAM-5, 5.3). */
#define SCSI_GOOD 0x00
#define SCSI_CHECK_CONDITION 0x02
#define SCSI_RESERVATION_CONFLICT 0x18
#define SCSI_TASK_SET_FULL 0x28
#define SCSI_TASK_ABORTED 0x40

/* Sense keys (SPC-4, 4.5.6). */
#define SCSI_NO_SENSE 0x0
#define SCSI_NOT_READY 0x2
#define SCSI_MEDIUM_ERROR 0x3
#define SCSI_HARDWARE_ERROR 0x4
#define SCSI_ILLEGAL_REQUEST 0x5
#define SCSI_UNIT_ATTENTION 0x6
#define SCSI_DATA_PROTECT 0x7
#define SCSI_ABORTED_COMMAND 0xb
#define SCSI_MISCOMPARE 0xe

/* Additional sense code << 8 | qualifier (SPC-4, 4.5.6 and annex F). */
#define SCSI_ASC_NONE 0x0000
#define SCSI_ASC_WRITE_FAULT 0x0300
#define SCSI_ASC_BECOMING_READY 0x0401
#define SCSI_ASC_COMMUNICATION_FAILURE 0x0800
#define SCSI_ASC_TIMEOUT 0x0801
#define SCSI_ASC_READ_ERROR 0x1100
#define SCSI_ASC_PROTECTION 0x1001
#define SCSI_ASC_PARAMETER_LIST_LENGTH 0x1a00
#define SCSI_ASC_MISCOMPARE 0x1d00
#define SCSI_ASC_INVALID_OPCODE 0x2000
#define SCSI_ASC_LBA_OUT_OF_RANGE 0x2100
#define SCSI_ASC_INVALID_FIELD_IN_CDB 0x2400
#define SCSI_ASC_LUN_NOT_SUPPORTED 0x2500
#define SCSI_ASC_INVALID_FIELD_IN_PARAMETERS 0x2600
#define SCSI_ASC_INVALID_RELEASE 0x2604
#define SCSI_ASC_WRITE_PROTECTED 0x2700
#define SCSI_ASC_SPACE_EXHAUSTED 0x2707
#define SCSI_ASC_MEDIUM_CHANGED 0x2800
#define SCSI_ASC_CAPACITY_CHANGED 0x2a09
#define SCSI_ASC_NO_MEDIUM_CLOSED 0x3a01
#define SCSI_ASC_NO_MEDIUM_OPEN 0x3a02
#define SCSI_ASC_INTERNAL_FAILURE 0x4400
#define SCSI_ASC_REMOVAL_PREVENTED 0x5302

/* Sense data, fixed format (SPC-4, 4.5.3). */
#define SCSI_SENSE_FIXED 0x70
#define SCSI_SENSE_DESCRIPTOR 0x72
/* key_specific[0] of ILLEGAL REQUEST: which field it was (SPC-4, 4.5.2.4.2). */
#define SCSI_SENSE_SKSV (1 << 7)
#define SCSI_SENSE_IN_CDB (1 << 6) /* else in the parameter list */
#define SCSI_SENSE_BIT_VALID (1 << 3)

struct scsi_sense {
	uint8_t response;
	uint8_t obsolete;
	uint8_t key;
	uint8_t information[4];
	uint8_t additional_size;
	uint8_t command_specific[4];
	uint8_t asc;
	uint8_t ascq;
	uint8_t fru;
	uint8_t key_specific[3];
} __packed;
_Static_assert(sizeof(struct scsi_sense) == 18, "fixed format sense");

/* Sense data, descriptor format without descriptors (SPC-4, 4.5.2). */
struct scsi_sense_descriptor {
	uint8_t response;
	uint8_t key;
	uint8_t asc;
	uint8_t ascq;
	uint8_t reserved[3];
	uint8_t additional_size;
} __packed;
_Static_assert(sizeof(struct scsi_sense_descriptor) == 8, "descriptor sense");

/* Standard INQUIRY data (SPC-4, 6.6.2). */
#define SCSI_PERIPHERAL_DISK 0x00
#define SCSI_PERIPHERAL_DVD 0x05
#define SCSI_PERIPHERAL_NONE 0x7f /* qualifier 3, type 1Fh: no such LUN */
#define SCSI_INQUIRY_REMOVABLE (1 << 7)
#define SCSI_INQUIRY_SPC3 5
#define SCSI_INQUIRY_FORMAT 0x02
#define SCSI_INQUIRY_CMDQUE (1 << 1)

struct scsi_inquiry {
	uint8_t peripheral;
	uint8_t removable;
	uint8_t version;
	uint8_t format;
	uint8_t additional_size; /* what follows */
	uint8_t flags5;
	uint8_t flags6;
	uint8_t flags7;
	uint8_t vendor[8];
	uint8_t product[16];
	uint8_t revision[4];
} __packed;
_Static_assert(sizeof(struct scsi_inquiry) == 36, "standard INQUIRY data");

/* Vital product data (SPC-4, 7.8; SBC-3, 6.5). */
#define SCSI_VPD_SUPPORTED 0x00
#define SCSI_VPD_SERIAL 0x80
#define SCSI_VPD_IDENTIFICATION 0x83
#define SCSI_VPD_BLOCK_LIMITS 0xb0
#define SCSI_VPD_CHARACTERISTICS 0xb1
#define SCSI_VPD_PROVISIONING 0xb2

struct scsi_vpd_header {
	uint8_t peripheral;
	uint8_t page;
	uint8_t size[2]; /* what follows */
} __packed;
_Static_assert(sizeof(struct scsi_vpd_header) == 4, "VPD page header");

/* Page 83h: designators. */
#define SCSI_CODE_SET_BINARY 1
#define SCSI_CODE_SET_ASCII 2
#define SCSI_DESIGNATOR_T10 1
#define SCSI_DESIGNATOR_NAA 3
#define SCSI_NAA_REGISTERED_EXTENDED 6

struct scsi_designator {
	uint8_t code_set;
	uint8_t type; /* association 0: the logical unit */
	uint8_t reserved;
	uint8_t size; /* what follows */
} __packed;
_Static_assert(sizeof(struct scsi_designator) == 4, "designator header");

struct scsi_block_limits {
	struct scsi_vpd_header header;
	uint8_t wsnz;
	uint8_t max_compare_and_write;
	uint8_t transfer_granularity[2];
	uint8_t max_transfer[4]; /* lengths in blocks */
	uint8_t optimal_transfer[4];
	uint8_t max_prefetch[4];
	uint8_t max_unmap[4];
	uint8_t max_unmap_descriptors[4];
	uint8_t unmap_granularity[4];
	uint8_t unmap_alignment[4]; /* bit 31: valid */
	uint8_t max_write_same[8];
	uint8_t reserved[20];
} __packed;
_Static_assert(sizeof(struct scsi_block_limits) == 64, "VPD page B0h");
#define SCSI_UGAVALID (1u << 31)

#define SCSI_ROTATION_NOT_REPORTED 0
#define SCSI_ROTATION_NONE 1
#define SCSI_ROTATION_MIN 0x0401 /* per minute */
#define SCSI_ROTATION_MAX 0xfffe

struct scsi_characteristics {
	struct scsi_vpd_header header;
	uint8_t rotation_rate[2];
	uint8_t reserved[58];
} __packed;
_Static_assert(sizeof(struct scsi_characteristics) == 64, "VPD page B1h");

#define SCSI_LBPU (1 << 7)    /* UNMAP works */
#define SCSI_LBPWS (1 << 6)   /* and WRITE SAME(16) with UNMAP */
#define SCSI_LBPWS10 (1 << 5) /* and (10) */
#define SCSI_PROVISIONING_LBPRZ (1 << 2)
#define SCSI_PROVISIONING_THIN 2

struct scsi_provisioning {
	struct scsi_vpd_header header;
	uint8_t threshold_exponent;
	uint8_t flags;
	uint8_t type;
	uint8_t reserved;
} __packed;
_Static_assert(sizeof(struct scsi_provisioning) == 8, "VPD page B2h");

/* READ CAPACITY (SBC-3, 5.15 and 5.16). */
struct scsi_capacity_10 {
	uint8_t last_lba[4];
	uint8_t block_size[4];
} __packed;
_Static_assert(sizeof(struct scsi_capacity_10) == 8, "READ CAPACITY(10)");

#define SCSI_LBPME (1 << 7) /* in lowest_aligned[0] */
#define SCSI_LBPRZ (1 << 6)
#define SCSI_MAX_LOWEST_ALIGNED 0x3fff

struct scsi_capacity_16 {
	uint8_t last_lba[8];
	uint8_t block_size[4];
	uint8_t protection;
	uint8_t physical_exponent; /* logical blocks per physical: 2^n */
	uint8_t lowest_aligned[2];
	uint8_t reserved[16];
} __packed;
_Static_assert(sizeof(struct scsi_capacity_16) == 32, "READ CAPACITY(16)");

/* REPORT LUNS (SPC-4, 6.33). */
struct scsi_report_luns {
	uint8_t size[4]; /* of the list that follows */
	uint8_t reserved[4];
} __packed;
_Static_assert(sizeof(struct scsi_report_luns) == 8, "REPORT LUNS header");
#define SCSI_LUN_ENTRY_SIZE 8 /* SAM-5 4.7: byte 1 of it is ours */

/* UNMAP (SBC-3, 5.28). */
struct scsi_unmap_list {
	uint8_t size[2]; /* what follows */
	uint8_t descriptors_size[2];
	uint8_t reserved[4];
} __packed;
_Static_assert(sizeof(struct scsi_unmap_list) == 8, "UNMAP list header");

struct scsi_unmap_descriptor {
	uint8_t lba[8];
	uint8_t blocks[4];
	uint8_t reserved[4];
} __packed;
_Static_assert(sizeof(struct scsi_unmap_descriptor) == 16, "UNMAP descriptor");

/* REPORT SUPPORTED OPERATION CODES (SPC-4, 6.35). */
#define SCSI_REPORT_OPTIONS_MASK 0x07
#define SCSI_REPORT_ALL 0
#define SCSI_REPORT_OPCODE 1
#define SCSI_REPORT_ACTION 2
#define SCSI_REPORT_EITHER 3
#define SCSI_REPORT_RCTD (1 << 7) /* with timeouts */

struct scsi_command_descriptor {
	uint8_t opcode;
	uint8_t reserved;
	uint8_t action[2];
	uint8_t reserved4;
	uint8_t flags;
	uint8_t cdb_size[2];
} __packed;
_Static_assert(sizeof(struct scsi_command_descriptor) == 8, "command");
#define SCSI_COMMAND_HAS_ACTION (1 << 0) /* flags */
#define SCSI_COMMAND_CTDP (1 << 1)

struct scsi_one_command {
	uint8_t reserved;
	uint8_t support;
	uint8_t cdb_size[2];
	uint8_t usage[16]; /* of them cdb_size */
} __packed;
_Static_assert(sizeof(struct scsi_one_command) == 20, "one command");
#define SCSI_SUPPORT_NONE 1
#define SCSI_SUPPORT_STANDARD 3
#define SCSI_SUPPORT_CTDP (1 << 7)

struct scsi_command_timeouts {
	uint8_t size[2]; /* what follows */
	uint8_t reserved;
	uint8_t command_specific;
	uint8_t nominal[4]; /* seconds; 0 = not said */
	uint8_t recommended[4];
} __packed;
_Static_assert(sizeof(struct scsi_command_timeouts) == 12, "timeouts");

/* Mode parameters (SPC-4, 7.5; SBC-3, 6.4). */
#define SCSI_MODE_WP (1 << 7) /* device specific parameter */
#define SCSI_MODE_DPOFUA (1 << 4)

struct scsi_mode_header_6 {
	uint8_t size; /* what follows */
	uint8_t medium;
	uint8_t device_specific;
	uint8_t descriptors_size;
} __packed;
_Static_assert(sizeof(struct scsi_mode_header_6) == 4, "mode header (6)");

struct scsi_mode_header_10 {
	uint8_t size[2];
	uint8_t medium;
	uint8_t device_specific;
	uint8_t longlba;
	uint8_t reserved;
	uint8_t descriptors_size[2];
} __packed;
_Static_assert(sizeof(struct scsi_mode_header_10) == 8, "mode header (10)");

#define SCSI_MODE_LONGLBA (1 << 0)

struct scsi_mode_block_short {
	uint8_t blocks[4];
	uint8_t block_size[4]; /* the first is reserved */
} __packed;
_Static_assert(sizeof(struct scsi_mode_block_short) == 8, "short descriptor");

struct scsi_mode_block_long {
	uint8_t blocks[8];
	uint8_t reserved[4];
	uint8_t block_size[4];
} __packed;
_Static_assert(sizeof(struct scsi_mode_block_long) == 16, "long descriptor");

#define SCSI_MODE_CACHING 0x08
#define SCSI_MODE_CACHING_SIZE 20
#define SCSI_MODE_CACHING_WCE (1 << 2) /* byte 2 */
#define SCSI_MODE_CONTROL 0x0a
#define SCSI_MODE_CONTROL_SIZE 12
#define SCSI_MODE_CONTROL_QUEUE_UNRESTRICTED 0x10 /* byte 3 */
#define SCSI_MODE_EXCEPTIONS 0x1c
#define SCSI_MODE_EXCEPTIONS_SIZE 12
#define SCSI_MODE_ALL 0x3f
#define SCSI_MODE_ALL_SUBPAGES 0xff

enum scsi_mode_values {
	SCSI_MODE_CURRENT = 0,
	SCSI_MODE_CHANGEABLE = 1,
	SCSI_MODE_DEFAULT = 2,
	SCSI_MODE_SAVED = 3,
};

/* PERSISTENT RESERVE IN and OUT (SPC-4, 6.15 and 6.16). */
enum scsi_reserve_in {
	SCSI_READ_KEYS = 0,
	SCSI_READ_RESERVATION = 1,
	SCSI_REPORT_CAPABILITIES = 2,
	SCSI_READ_FULL_STATUS = 3,
};

enum scsi_reserve_out {
	SCSI_REGISTER = 0,
	SCSI_RESERVE = 1,
	SCSI_RELEASE = 2,
	SCSI_CLEAR = 3,
	SCSI_PREEMPT = 4,
	SCSI_PREEMPT_AND_ABORT = 5,
	SCSI_REGISTER_AND_IGNORE = 6,
};

#define SCSI_RESERVE_SCOPE_MASK 0xf0 /* byte 2; 0 = the logical unit */
#define SCSI_RESERVE_TYPE_MASK 0x0f

struct scsi_reserve_list {
	uint8_t key[8];
	uint8_t action_key[8];
	uint8_t obsolete[4];
	uint8_t flags;
	uint8_t reserved;
	uint8_t obsolete22[2];
} __packed;
_Static_assert(sizeof(struct scsi_reserve_list) == 24, "reserve out list");
#define SCSI_RESERVE_SPEC_I_PT (1 << 3) /* flags */
#define SCSI_RESERVE_ALL_TG_PT (1 << 2)
#define SCSI_RESERVE_APTPL (1 << 0)

struct scsi_reserve_header {
	uint8_t generation[4];
	uint8_t size[4]; /* what follows */
} __packed;
_Static_assert(sizeof(struct scsi_reserve_header) == 8, "reserve in header");

struct scsi_reservation {
	uint8_t key[8];
	uint8_t obsolete[4];
	uint8_t reserved;
	uint8_t type;
	uint8_t obsolete14[2];
} __packed;
_Static_assert(sizeof(struct scsi_reservation) == 16, "reservation");

struct scsi_reserve_capabilities {
	uint8_t size[2]; /* all of it */
	uint8_t flags;
	uint8_t persists;
	uint8_t types[2];
	uint8_t reserved[2];
} __packed;
_Static_assert(sizeof(struct scsi_reserve_capabilities) == 8, "capabilities");
#define SCSI_RESERVE_PTPL_C (1 << 0) /* flags */
#define SCSI_RESERVE_TMV (1 << 7)    /* persists: types are valid */
#define SCSI_RESERVE_PTPL_A (1 << 0)

struct scsi_full_status {
	uint8_t key[8];
	uint8_t reserved[4];
	uint8_t flags;
	uint8_t type;
	uint8_t reserved14[4];
	uint8_t port[2];
	uint8_t size[4]; /* of the TransportID that follows */
} __packed;
_Static_assert(sizeof(struct scsi_full_status) == 24, "full status");
#define SCSI_FULL_STATUS_HOLDER (1 << 0)

/* TransportID of iSCSI: a name with its NUL, padded (SPC-4, 7.6.4.6). */
struct scsi_transport_id {
	uint8_t protocol;
	uint8_t reserved;
	uint8_t size[2]; /* what follows */
	uint8_t name[40];
} __packed;
_Static_assert(sizeof(struct scsi_transport_id) == 44, "TransportID");
#define SCSI_PROTOCOL_ISCSI 5

static inline uint16_t scsi_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t scsi_get32(const uint8_t *p)
{
	return (uint32_t)scsi_get16(p) << 16 | scsi_get16(p + 2);
}

static inline uint64_t scsi_get64(const uint8_t *p)
{
	return (uint64_t)scsi_get32(p) << 32 | scsi_get32(p + 4);
}

static inline void scsi_put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 0xff;
}

static inline void scsi_put32(uint8_t *p, uint32_t v)
{
	scsi_put16(p, v >> 16);
	scsi_put16(p + 2, v & 0xffff);
}

static inline void scsi_put64(uint8_t *p, uint64_t v)
{
	scsi_put32(p, v >> 32);
	scsi_put32(p + 4, v & 0xffffffff);
}

#endif
