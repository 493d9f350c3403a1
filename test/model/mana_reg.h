/* SPDX-License-Identifier: MIT */
/*
 * GDMA and the MANA client on top of it: registers, the shared memory channel,
 * queue entries and messages as a virtual function sees them.
 *
 * Sources: the public gdma_defs crate of OpenVMM, and what Linux's drivers send
 * and read on the wire. Messages are in mana_message_reg.h.
 */
#ifndef MODEL_MANA_REG_H
#define MODEL_MANA_REG_H

#include <stdint.h>

#include <le.h>

/* ---- registers, BAR 0 ---- */

#define MANA_REG_VERSION 0x00	  /* micro 16, minor 8, major 8 */
#define MANA_REG_DOORBELLS 0x08	  /* 64: offset of page 0 */
#define MANA_REG_PAGE_SIZE 0x10	  /* of a doorbell page */
#define MANA_REG_SHM 0x18	  /* 64: offset of the shared memory */
#define MANA_REG_SHM_SIZE 0x20
#define MANA_REG_END 0x28
#define MANA_VERSION (1u << 24)

/* Offsets in a doorbell page; each is one 64-bit write. */
#define MANA_BELL_SQ 0x000
#define MANA_BELL_RQ 0x400
#define MANA_BELL_RQ_CLIENT 0x408 /* data for the client; nothing to do */
#define MANA_BELL_CQ 0x800
#define MANA_BELL_EQ 0xff8
#define MANA_BELL_ID_MASK 0xffffffu /* bits 23:0 */
/* EQ: id 16, reserved 16, tail 31, arm 1; CQ: id 24, reserved 8, the same.
 * SQ, RQ: id 24, count or reserved 8, tail in bytes 32. */
#define MANA_BELL_EQ_ID_MASK 0xffffu
#define MANA_BELL_TAIL_SHIFT 32
#define MANA_BELL_ARM (1ull << 63)
#define MANA_BELL_TAIL_MASK 0x7fffffffu

/* ---- the shared memory channel: 8 words, the last of which is the trigger */

#define MANA_SHM_WORDS 8
#define MANA_SHM_HEADER 7
#define MANA_SHM_TYPE_MASK 7u
#define MANA_SHM_VERSION_SHIFT 3
#define MANA_SHM_VERSION_MASK 7u
#define MANA_SHM_RESPONSE (1u << 7)
#define MANA_SHM_STATUS_SHIFT 8
#define MANA_SHM_PF_OWNS (1u << 31)
#define MANA_SHM_FAILED 1u /* status */

enum mana_shm_type {
	MANA_SHM_ESTABLISH = 1,
	MANA_SHM_DESTROY = 2,
};

/* What ESTABLISH says: page frame numbers of 48 bits, of which the high
 * nibbles stand apart. */
struct mana_shm_establish {
	uint8_t pfn[4][6];   /* EQ, CQ, RQ, SQ */
	le16 pfn_high;	     /* 4 nibbles, the EQ's the lowest */
	le16 msix;
	le32 header;
} __packed;
_Static_assert(sizeof(struct mana_shm_establish) == 32, "8 words");

/* ---- work queue entries ---- */

#define MANA_WQE_UNIT 32u
#define MANA_MAX_SQE 512u
#define MANA_MAX_RQE 256u

struct mana_wqe {
	le32 last_vbytes; /* bits 31:24; the rest is reserved */
	le32 flags;
} __packed;
_Static_assert(sizeof(struct mana_wqe) == 8, "gdma_defs Wqe");

#define MANA_WQE_LAST_VBYTES_SHIFT 24
#define MANA_WQE_SGES_MASK 0xffu
#define MANA_WQE_OOB_SHIFT 8 /* 3 bits: size in words */
#define MANA_WQE_OOB_MASK 7u
#define MANA_WQE_OOB_IN_SGL (1u << 11)
#define MANA_WQE_UNIT_SHIFT 16 /* 14 bits: client data unit, the MSS */
#define MANA_WQE_UNIT_MASK 0x3fffu

struct mana_sge {
	le64 address;
	le32 mkey;
	le32 size;
} __packed;
_Static_assert(sizeof(struct mana_sge) == 16, "gdma_defs Sge");

/* ---- completion and event queue entries ---- */

#define MANA_OWNER_SHIFT 29
#define MANA_OWNER_MASK 7u

struct mana_cqe {
	uint8_t data[60];
	le32 info; /* WQ 24, is an SQ's 1, reserved 4, owner 3 */
} __packed;
_Static_assert(sizeof(struct mana_cqe) == 64, "gdma_defs Cqe");
#define MANA_CQE_SQ (1u << 24)

struct mana_eqe {
	le32 data[3];
	le32 info; /* type 8, reserved 8, client 2, reserved 11, owner 3 */
} __packed;
_Static_assert(sizeof(struct mana_eqe) == 16, "gdma_defs Eqe");

enum mana_eqe_type {
	MANA_EQE_COMPLETION = 3,
	MANA_EQE_TEST = 64,
	MANA_EQE_HWC_INIT_EQ = 129,
	MANA_EQE_HWC_INIT_DATA = 130,
	MANA_EQE_HWC_INIT_DONE = 131,
	MANA_EQE_FPGA_RECONFIG = 132,
	MANA_EQE_RECONFIG_DATA = 133,
	MANA_EQE_RESET_REQUEST = 135,
};

/* Data of INIT_DATA and RECONFIG_DATA: value 24, type 8. */
#define MANA_TYPED(type, value) ((uint32_t)(type) << 24 | ((value) & 0xffffff))
enum mana_init_type {
	MANA_INIT_CQ = 1,
	MANA_INIT_RQ = 2,
	MANA_INIT_SQ = 3,
	MANA_INIT_QUEUE_DEPTH = 4,
	MANA_INIT_MAX_REQUEST = 5,
	MANA_INIT_MAX_RESPONSE = 6,
	MANA_INIT_MAX_CQS = 7,
	MANA_INIT_PD = 8,
	MANA_INIT_GPA_MKEY = 9,
};
enum mana_reconfig_type {
	MANA_RECONFIG_HWC_TIMEOUT = 1, /* ms */
	MANA_RECONFIG_LINK_UP = 2,
	MANA_RECONFIG_LINK_DOWN = 3,
};

/* ---- out of band data of the hardware channel ---- */

struct mana_hwc_tx_oob {
	le32 reserved[2];
	le32 rq; /* 24 bits each */
	le32 rcq;
	le32 scq;
	le32 sq;
} __packed;
_Static_assert(sizeof(struct mana_hwc_tx_oob) == 24, "gdma_defs HwcTxOob");

struct mana_hwc_rx_oob {
	le32 reserved[3];
	le32 rx_wqe_offset; /* bytes */
	le32 reserved1[2];
	le32 length;
	le32 reserved2;
} __packed;
_Static_assert(sizeof(struct mana_hwc_rx_oob) == 32, "gdma_defs HwcRxOob");

/* ---- out of band data of a vport's queues ---- */

struct mana_tx_oob {
	le32 word0;
	le32 word1;
	/* The long form only. */
	le32 word2;
	le32 word3;
	le32 reserved[2];
} __packed;
_Static_assert(sizeof(struct mana_tx_oob) == 24, "gdma_defs ManaTxOob");
#define MANA_TX_OOB_SHORT 8u
/* word 0 */
#define MANA_TX_LONG (1u << 0) /* 2 bits: format */
#define MANA_TX_FORMAT_MASK 3u
#define MANA_TX_IP4 (1u << 2)
#define MANA_TX_IP6 (1u << 3)
#define MANA_TX_IP_CHECKSUM (1u << 4)
#define MANA_TX_TCP_CHECKSUM (1u << 5)
#define MANA_TX_UDP_CHECKSUM (1u << 6)
#define MANA_TX_SUPPRESS (1u << 7) /* no CQE when all is well */
#define MANA_TX_CQ_SHIFT 8	   /* 24 bits */
/* word 1 */
#define MANA_TX_TRANSPORT_MASK 0x3ffu
#define MANA_TX_FRAME_SHIFT 10 /* 14 bits: the SQ's id >> 10 */
#define MANA_TX_FRAME_MASK 0x3fffu
#define MANA_TX_VPORT_SHIFT 24
/* word 2 */
#define MANA_TX_INJECT_VLAN (1u << 3)
#define MANA_TX_PRIORITY_SHIFT 16
#define MANA_TX_DEI (1u << 19)
#define MANA_TX_VLAN_SHIFT 20
/* word 3 */
#define MANA_TX_LONG_VPORT_SHIFT 16 /* 12 bits */
#define MANA_TX_LONG_VPORT_MASK 0xfffu

/* Both ways: type 6, client 2, vendor error 24. */
#define MANA_CQE_CLIENT_COMPLETION (1u << 6)
#define MANA_CQE_VENDOR_SHIFT 8
enum mana_cqe_type {
	MANA_CQE_RX_OKAY = 1,
	MANA_CQE_RX_COALESCED_4 = 2,
	MANA_CQE_RX_FENCE = 3,
	MANA_CQE_RX_TRUNCATED = 4,
	MANA_CQE_TX_OKAY = 32,
	MANA_CQE_TX_MTU_DROP = 34,
	MANA_CQE_TX_INVALID_OOB = 35,
	MANA_CQE_TX_GDMA_ERR = 42,
};

struct mana_tx_cqe {
	le32 header;
	le32 data_offset;
	le32 offsets; /* SGL offset 5, WQE offset 27 */
	le32 reserved[12];
} __packed;
_Static_assert(sizeof(struct mana_tx_cqe) == 60, "gdma_defs ManaTxCompOob");

#define MANA_RX_PACKETS 4u

struct mana_rx_cqe {
	le32 header;
	le32 info;
	struct {
		le16 length;
		le16 reserved;
		le32 reserved1;
		le32 hash;
	} __packed packet[MANA_RX_PACKETS];
	le32 wqe_offset;
} __packed;
_Static_assert(sizeof(struct mana_rx_cqe) == 60, "gdma_defs ManaRxCompOob");
#define MANA_RX_VLAN_MASK 0xfffu
#define MANA_RX_VLAN (1u << 12)
#define MANA_RX_OUTER_IP_GOOD (1u << 13)
#define MANA_RX_OUTER_IP_BAD (1u << 14)
#define MANA_RX_HASH_SHIFT 16 /* 9 bits, as NDIS hash types */
#define MANA_RX_IP_GOOD (1u << 25)
#define MANA_RX_IP_BAD (1u << 26)
#define MANA_RX_TCP_GOOD (1u << 27)
#define MANA_RX_TCP_BAD (1u << 28)
#define MANA_RX_UDP_GOOD (1u << 29)
#define MANA_RX_UDP_BAD (1u << 30)
enum mana_hash_type {
	MANA_HASH_IP4 = 1 << 0,
	MANA_HASH_TCP4 = 1 << 1,
	MANA_HASH_UDP4 = 1 << 2,
	MANA_HASH_IP6 = 1 << 3,
	MANA_HASH_TCP6 = 1 << 4,
	MANA_HASH_UDP6 = 1 << 5,
};

#endif
