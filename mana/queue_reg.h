/* SPDX-License-Identifier: MIT */
/*
 * Work queues, completion queues and doorbells of MANA, as a user of the
 * device writes and reads them.
 *
 * A work queue is a ring of 32-byte units. An entry (WQE) is a header, an
 * inline part for the Ethernet function ("OOB", 8 or 24 bytes) and scatter-
 * gather elements, rounded up to whole units; it wraps at the ring's end.
 * A completion queue is a ring of 64-byte entries (CQE) with a lap counter.
 */
#ifndef MANA_QUEUE_REG_H
#define MANA_QUEUE_REG_H

#include "le.h"

/* ---- doorbells: one 8-byte store each, into a page of our own ---- */

#define MANA_DOORBELL_SQ 0x000
#define MANA_DOORBELL_RQ 0x400
#define MANA_DOORBELL_CQ 0x800
#define MANA_DOORBELL_PAGE 4096
/* All: bits 23:0 the queue. SQ, RQ: 63:32 tail in bytes, free running. CQ:
 * 62:32 head modulo eight laps. */
#define MANA_DOORBELL_VALUE_SHIFT 32
#define MANA_DOORBELL_ARM (1ull << 63)
#define MANA_ID_MASK 0xffffffu

/* ---- work queue entries ---- */

#define MANA_UNIT 32u
#define MANA_MAX_TX_WQE 512u
#define MANA_MAX_RX_WQE 256u

struct mana_wqe_header {
	le32 dw0; /* sending: MANA_WQE_HEADER_LEN */
	le32 dw1;
};
_Static_assert(sizeof(struct mana_wqe_header) == 8, "WQE header");

#define MANA_WQE_HEADER_LEN_SHIFT 24 /* LSO: bytes in the first SGE */
#define MANA_WQE_HEADER_LEN_MAX 255u
#define MANA_WQE_SGES_SHIFT 0
#define MANA_WQE_OOB_SHIFT 8 /* length in 4 bytes: 2 or 6 */
#define MANA_WQE_LSO (1u << 11) /* headers in the first SGE */
#define MANA_WQE_MSS_SHIFT 16
#define MANA_WQE_MSS_MAX 0x3fffu

struct mana_sge {
	le64 address;
	le32 key;
	le32 size;
};
_Static_assert(sizeof(struct mana_sge) == 16, "SGE");

struct mana_tx_oob {
	le32 dw0, dw1;
	/* The long form: */
	le32 dw2, dw3, dw4, dw5;
};
_Static_assert(sizeof(struct mana_tx_oob) == 24, "TX OOB");

#define MANA_OOB_SHORT 8u
#define MANA_OOB_LONG 24u
/* dw0 */
#define MANA_TX_LONG (1u << 0)
#define MANA_TX_IP4 (1u << 2)
#define MANA_TX_IP6 (1u << 3)
#define MANA_TX_IP_CHECKSUM (1u << 4)
#define MANA_TX_TCP_CHECKSUM (1u << 5)
#define MANA_TX_UDP_CHECKSUM (1u << 6)
#define MANA_TX_NO_CQE (1u << 7) /* but for errors */
#define MANA_TX_CQ_SHIFT 8
/* dw1 */
#define MANA_TX_L4_OFFSET_MAX 0x3ffu
#define MANA_TX_FRAME_SHIFT 10 /* bits 23:10 of the SQ's number */
#define MANA_TX_FRAME_MASK 0x3fffu
#define MANA_TX_SQ_SHIFT 10
#define MANA_TX_SHORT_VPORT_SHIFT 24
#define MANA_TX_SHORT_VPORT_MAX 255u
/* dw2 */
#define MANA_TX_VLAN (1u << 3)
#define MANA_TX_PCP_SHIFT 16
#define MANA_TX_DEI_SHIFT 19
#define MANA_TX_VID_SHIFT 20
/* dw3 */
#define MANA_TX_LONG_VPORT_SHIFT 16
#define MANA_TX_LONG_VPORT_MAX 0xfffu

/* ---- completion queue entries ---- */

#define MANA_RX_FRAMES 4 /* in one CQE, at most */

struct mana_rx_cqe {
	le32 header;
	le32 flags;
	struct {
		le32 len; /* bits 15:0 */
		le32 reserved;
		le32 hash;
	} frame[MANA_RX_FRAMES];
	le32 wqe_offset;
};

struct mana_tx_cqe {
	le32 header;
	le32 data_offset;
	le32 where; /* bits 31:5: WQE's place in the ring, in units */
	le32 reserved[12];
};

struct mana_cqe {
	union {
		le32 header;
		struct mana_rx_cqe rx;
		struct mana_tx_cqe tx;
	};
	le32 info;
};
_Static_assert(sizeof(struct mana_cqe) == 64, "CQE");

/* header */
#define MANA_CQE_TYPE_MASK 0x3fu
#define MANA_CQE_CLIENT_SHIFT 6
#define MANA_CQE_VENDOR_SHIFT 8
/* info */
#define MANA_CQE_SQ (1u << 24) /* else of an RQ; bits 23:0 which one */
#define MANA_CQE_OWNER_SHIFT 29
#define MANA_CQE_OWNER_MASK 7u
#define MANA_CQE_LAPS 8u

#define MANA_CQE_RX_OKAY 1
#define MANA_CQE_RX_COALESCED 2 /* up to 4 frames, a WQE each; ends at len 0 */
#define MANA_CQE_RX_FENCE 3
#define MANA_CQE_RX_TRUNCATED 4
#define MANA_CQE_TX_OKAY 32
#define MANA_CQE_TX_FIRST_ERROR 33 /* this frame did not leave */
#define MANA_CQE_TX_LAST_ERROR 41
#define MANA_CQE_TX_DISABLED 42 /* nor does any after it: the SQ is dead */

#define MANA_TX_WHERE_SHIFT 5
#define MANA_TX_WHERE_MASK 0x7ffffffu

/* rx.flags */
#define MANA_RX_VID_MASK 0xfffu
#define MANA_RX_VLAN (1u << 12)
#define MANA_RX_HASH_SHIFT 16 /* which fields the hash is over */
#define MANA_RX_HASH_MASK 0x1ffu
#define MANA_RX_HASH_IP6 0x1f8u
#define MANA_RX_IP_GOOD (1u << 25)
#define MANA_RX_IP_BAD (1u << 26)
#define MANA_RX_TCP_GOOD (1u << 27)
#define MANA_RX_TCP_BAD (1u << 28)
#define MANA_RX_UDP_GOOD (1u << 29)
#define MANA_RX_UDP_BAD (1u << 30)
#define MANA_RX_LEN_MASK 0xffffu

#endif
