/* SPDX-License-Identifier: MIT */
/*
 * NVM Express: registers, queue entries and data structures.
 *
 * Sections are those of the NVM Express Base Specification 2.0 ("base") and
 * of the NVM Command Set Specification 1.0 ("nvm").
 */
#ifndef MODEL_NVME_REG_H
#define MODEL_NVME_REG_H

#include <stdint.h>

#include <le.h>

/* Controller registers (base 3.1.3): byte offsets in BAR 0. */
#define NVME_REG_CAP 0x00 /* 64 bits */
#define NVME_REG_VS 0x08
#define NVME_REG_INTMS 0x0c
#define NVME_REG_INTMC 0x10
#define NVME_REG_CC 0x14
#define NVME_REG_CSTS 0x1c
#define NVME_REG_NSSR 0x20
#define NVME_REG_AQA 0x24
#define NVME_REG_ASQ 0x28 /* 64 bits */
#define NVME_REG_ACQ 0x30 /* 64 bits */
#define NVME_REG_DOORBELLS 0x1000

#define NVME_CAP_MQES_SHIFT 0 /* entries of a queue, minus 1 */
#define NVME_CAP_CQR (1ull << 16)
#define NVME_CAP_TO_SHIFT 24 /* ready timeout, units of 500 ms */
#define NVME_CAP_CSS_NVM (1ull << 37)

#define NVME_VERSION_2_0 0x00020000u

#define NVME_CC_EN (1u << 0)
#define NVME_CC_CSS_MASK (7u << 4)
#define NVME_CC_MPS_MASK (0xfu << 7)
#define NVME_CC_AMS_MASK (7u << 11)
#define NVME_CC_SHN_MASK (3u << 14)
#define NVME_CC_IOSQES_SHIFT 16
#define NVME_CC_IOCQES_SHIFT 20
#define NVME_CC_ENTRY_SIZE_MASK 0xfu

#define NVME_CSTS_RDY (1u << 0)
#define NVME_CSTS_CFS (1u << 1)
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)

#define NVME_AQA_SIZE_MASK 0xfffu /* entries minus 1 */
#define NVME_AQA_ACQS_SHIFT 16

/* Submission queue entry (base 3.3.3.1). */
struct nvme_command {
	uint8_t opcode;
	uint8_t flags; /* FUSE 1:0, PSDT 7:6 */
	le16 cid;
	le32 nsid;
	le32 cdw2, cdw3;
	le64 mptr;
	union {
		struct {
			le64 prp1, prp2;
		} __packed;
		struct nvme_sgl_descriptor {
			le64 address;
			le32 length;
			uint8_t reserved[3];
			uint8_t type; /* type 7:4, sub-type 3:0 */
		} __packed sgl;
	} __packed;
	le32 cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
} __packed;
_Static_assert(sizeof(struct nvme_command) == 64, "base figure 86");
_Static_assert(sizeof(struct nvme_sgl_descriptor) == 16, "base 4.1.2");

#define NVME_FUSE_MASK 0x03u
#define NVME_PSDT_MASK 0xc0u /* 0: PRP */
#define NVME_PSDT_RESERVED 0xc0u

/* SGL descriptor types (base 4.1.2.1), as they stand in `type`. */
#define NVME_SGL_DATA_BLOCK 0x00u
#define NVME_SGL_SEGMENT 0x20u
#define NVME_SGL_LAST_SEGMENT 0x30u

/* Completion queue entry (base 3.3.3.2). */
struct nvme_completion {
	le32 dw0;
	le32 dw1;
	le16 sq_head;
	le16 sq_id;
	le16 cid;
	le16 status; /* phase in bit 0, then SC, SCT, CRD, M, DNR */
} __packed;
_Static_assert(sizeof(struct nvme_completion) == 16, "base figure 90");

/* Statuses (base 3.3.3.2.1) without the phase bit: SC | SCT << 8 | DNR. */
#define NVME_DNR 0x4000u
enum nvme_status {
	NVME_SUCCESS = 0x000,
	NVME_INVALID_OPCODE = 0x001,
	NVME_INVALID_FIELD = 0x002,
	NVME_DATA_TRANSFER_ERROR = 0x004,
	NVME_INTERNAL_ERROR = 0x006,
	NVME_ABORT_REQUESTED = 0x007,
	NVME_INVALID_NAMESPACE = 0x00b,
	NVME_COMMAND_SEQUENCE = 0x00c,
	NVME_INVALID_SGL_SEGMENT = 0x00d,
	NVME_INVALID_SGL_COUNT = 0x00e,
	NVME_SGL_LENGTH_INVALID = 0x00f,
	NVME_SGL_TYPE_INVALID = 0x011,
	NVME_PRP_OFFSET_INVALID = 0x013,
	NVME_HOST_ID_FORMAT = 0x018,
	NVME_WRITE_PROTECTED = 0x020,
	NVME_COMMAND_INTERRUPTED = 0x021,
	NVME_LBA_OUT_OF_RANGE = 0x080,
	NVME_CAPACITY_EXCEEDED = 0x081,
	NVME_NAMESPACE_NOT_READY = 0x082,
	NVME_RESERVATION_CONFLICT = 0x083,
	NVME_COMPLETION_QUEUE_INVALID = 0x100,
	NVME_INVALID_QUEUE_ID = 0x101,
	NVME_INVALID_QUEUE_SIZE = 0x102,
	NVME_ASYNC_EVENT_LIMIT = 0x105,
	NVME_INVALID_VECTOR = 0x108,
	NVME_INVALID_LOG_PAGE = 0x109,
	NVME_INVALID_QUEUE_DELETION = 0x10c,
	NVME_FEATURE_NOT_SAVEABLE = 0x10d,
	NVME_FEATURE_NOT_CHANGEABLE = 0x10e,
	NVME_WRITE_FAULT = 0x280,
	NVME_UNRECOVERED_READ = 0x281,
	NVME_GUARD_CHECK = 0x282,
	NVME_COMPARE_FAILURE = 0x285,
	NVME_PATH_ERROR = 0x300,
	NVME_VENDOR_STATUS = 0x7ff,
};

/* Admin commands (base 5). */
enum nvme_admin_opcode {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_GET_LOG_PAGE = 0x02,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_ABORT = 0x08,
	NVME_ADMIN_SET_FEATURES = 0x09,
	NVME_ADMIN_GET_FEATURES = 0x0a,
	NVME_ADMIN_ASYNC_EVENT = 0x0c,
};

/* Create I/O queue (base 5.4, 5.5): dword 10 holds id and size - 1. */
#define NVME_QUEUE_SIZE_SHIFT 16
#define NVME_QUEUE_CONTIGUOUS (1u << 0)	 /* dword 11 */
#define NVME_QUEUE_INTERRUPTS (1u << 1)	 /* completion queues */
#define NVME_QUEUE_HIGH_SHIFT 16	 /* vector, or completion queue */

/* Identify (base 5.17). */
enum nvme_cns {
	NVME_CNS_NAMESPACE = 0x00,
	NVME_CNS_CONTROLLER = 0x01,
	NVME_CNS_ACTIVE_LIST = 0x02,
	NVME_CNS_DESCRIPTORS = 0x03,
	NVME_CNS_CSI_NAMESPACE = 0x05,
	NVME_CNS_CSI_CONTROLLER = 0x06,
	NVME_CNS_CSI_ACTIVE_LIST = 0x07,
	NVME_CNS_COMMON_NAMESPACE = 0x08,
};
#define NVME_IDENTIFY_SIZE 4096u
#define NVME_CSI_SHIFT 24 /* dword 11 */

/* Identify Controller (base figure 275). */
struct nvme_identify_controller {
	le16 vid, ssvid;
	char sn[20], mn[40], fr[8]; /* ASCII, padded with spaces */
	uint8_t rab, ieee[3], cmic;
	uint8_t mdts; /* 2^n pages; 0 = no limit */
	le16 cntlid;
	le32 ver, rtd3r, rtd3e, oaes, ctratt;
	uint8_t reserved100[11];
	uint8_t cntrltype;
	uint8_t fguid[16];
	uint8_t reserved128[128];
	le16 oacs;
	uint8_t acl, aerl, frmw, lpa, elpe, npss, avscc, apsta;
	le16 wctemp, cctemp, mtfa;
	uint8_t reserved272[240];
	uint8_t sqes, cqes;
	le16 maxcmd;
	le32 nn;
	le16 oncs, fuses;
	uint8_t fna, vwc;
	le16 awun, awupf;
	uint8_t icsvscc, nwpc;
	le16 acwu, cdfs;
	le32 sgls;
	uint8_t reserved540[228];
	char subnqn[256]; /* NUL-terminated */
	uint8_t reserved1024[1024];
	le16 psd0_max_power; /* centiwatts */
	uint8_t reserved2050[2046];
} __packed;
_Static_assert(sizeof(struct nvme_identify_controller) == NVME_IDENTIFY_SIZE,
	       "base figure 275");

#define NVME_CNTRLTYPE_IO 1
#define NVME_OAES_NAMESPACES (1u << 8)
#define NVME_CTRATT_HOST_ID_128 (1u << 0)
#define NVME_FRMW_ONE_READ_ONLY_SLOT 0x03u
#define NVME_LPA_EFFECTS (1u << 1)
#define NVME_LPA_EXTENDED (1u << 2)
#define NVME_SQES 0x66u /* log2 of 64 bytes, maximum and minimum */
#define NVME_CQES 0x44u
#define NVME_ONCS_COMPARE (1u << 0)
#define NVME_ONCS_DSM (1u << 2)
#define NVME_ONCS_WRITE_ZEROES (1u << 3)
#define NVME_ONCS_RESERVATIONS (1u << 5)
#define NVME_ONCS_VERIFY (1u << 7)
#define NVME_VWC_PRESENT (1u << 0)
#define NVME_VWC_FLUSH_ALL (3u << 1) /* Flush takes nsid FFFFFFFFh */
#define NVME_SGLS_SUPPORTED 1u	     /* no alignment or granularity */

/* Identify Namespace (nvm figure 97). */
struct nvme_identify_namespace {
	le64 nsze, ncap, nuse;
	uint8_t nsfeat, nlbaf, flbas, mc, dpc, dps, nmic, rescap, fpi, dlfeat;
	le16 nawun, nawupf, nacwu, nabsn, nabo, nabspf, noiob;
	uint8_t nvmcap[16];
	le16 npwg, npwa, npdg, npda, nows;
	uint8_t reserved74[25];
	uint8_t nsattr;
	le16 nvmsetid, endgid;
	uint8_t nguid[16], eui64[8];
	struct {
		le16 ms;
		uint8_t lbads, rp;
	} __packed lbaf[64];
	uint8_t reserved384[3712];
} __packed;
_Static_assert(sizeof(struct nvme_identify_namespace) == NVME_IDENTIFY_SIZE,
	       "nvm figure 97");

#define NVME_NSFEAT_ATOMIC (1u << 1)   /* NAWUN, NAWUPF, NACWU hold */
#define NVME_NSFEAT_OPTIMAL (1u << 4)  /* NPWG to NOWS hold */
/* Persistence, six types, IEKEY as in 1.3. */
#define NVME_RESCAP_ALL 0xffu
#define NVME_DLFEAT_READS_ZERO 1u
#define NVME_DLFEAT_WRITE_ZEROES (1u << 3)
#define NVME_NSATTR_WRITE_PROTECTED (1u << 0)

/* Namespace identification descriptor (base figure 277). */
struct nvme_ns_descriptor {
	uint8_t type, length;
	le16 reserved;
} __packed;
_Static_assert(sizeof(struct nvme_ns_descriptor) == 4, "base figure 277");
#define NVME_NS_DESCRIPTOR_NGUID 2
#define NVME_NS_DESCRIPTOR_CSI 4

/* I/O command set specific controller data, NVM (nvm figure 99). */
struct nvme_identify_nvm_controller {
	uint8_t vsl, wzsl, wusl, dmrl;
	le32 dmrsl;
	le64 dmsl;
	uint8_t reserved16[4080];
} __packed;
_Static_assert(sizeof(struct nvme_identify_nvm_controller) ==
	       NVME_IDENTIFY_SIZE, "nvm figure 99");

/* I/O command set independent namespace data (base figure 280). */
struct nvme_identify_common_namespace {
	uint8_t nsfeat, nmic, rescap, fpi;
	le32 anagrpid;
	uint8_t nsattr, reserved9;
	le16 nvmsetid, endgid;
	uint8_t nstat;
	uint8_t reserved15[4081];
} __packed;
_Static_assert(sizeof(struct nvme_identify_common_namespace) ==
	       NVME_IDENTIFY_SIZE, "base figure 280");
#define NVME_NSTAT_READY (1u << 0)

/* Log pages (base 5.16). */
enum nvme_log {
	NVME_LOG_SUPPORTED = 0x00,
	NVME_LOG_ERRORS = 0x01,
	NVME_LOG_SMART = 0x02,
	NVME_LOG_FIRMWARE = 0x03,
	NVME_LOG_NAMESPACES = 0x04,
	NVME_LOG_EFFECTS = 0x05,
};
#define NVME_LOG_RAE (1u << 15) /* dword 10: leave the event pending */
#define NVME_LOG_IS_SUPPORTED (1u << 0)

struct nvme_smart_log {
	uint8_t critical_warning;
	uint8_t temperature[2]; /* kelvin */
	uint8_t spare, spare_threshold, percentage_used;
	uint8_t reserved6[26];
	le64 data_units_read[2]; /* thousands of 512 bytes, rounded up */
	le64 data_units_written[2];
	le64 host_reads[2], host_writes[2];
	uint8_t reserved96[416];
} __packed;
_Static_assert(sizeof(struct nvme_smart_log) == 512, "base figure 207");

struct nvme_firmware_log {
	uint8_t active, reserved1[7];
	char revision[7][8];
	uint8_t reserved64[448];
} __packed;
_Static_assert(sizeof(struct nvme_firmware_log) == 512, "base figure 208");

struct nvme_effects_log {
	le32 admin[256], io[256];
	uint8_t reserved2048[2048];
} __packed;
_Static_assert(sizeof(struct nvme_effects_log) == 4096, "base figure 210");
#define NVME_EFFECT_SUPPORTED (1u << 0)
#define NVME_EFFECT_CONTENT (1u << 1) /* changes data */

/* Features (base 5.27.1). */
enum nvme_feature {
	NVME_FEATURE_ARBITRATION = 0x01,
	NVME_FEATURE_POWER = 0x02,
	NVME_FEATURE_TEMPERATURE = 0x04,
	NVME_FEATURE_ERROR_RECOVERY = 0x05,
	NVME_FEATURE_WRITE_CACHE = 0x06,
	NVME_FEATURE_QUEUES = 0x07,
	NVME_FEATURE_COALESCING = 0x08,
	NVME_FEATURE_VECTOR = 0x09,
	NVME_FEATURE_ATOMICITY = 0x0a,
	NVME_FEATURE_ASYNC_EVENTS = 0x0b,
	NVME_FEATURE_HOST_ID = 0x81,
	NVME_FEATURE_RESERVATION_PERSIST = 0x83,
};
#define NVME_HOST_ID_EXTENDED (1u << 0) /* dword 11: 128 bits */
#define NVME_FEATURE_SAVE (1u << 31) /* dword 10 of Set Features */
#define NVME_FEATURE_SELECT_SHIFT 8  /* dword 10 of Get Features */
#define NVME_FEATURE_SELECT_MASK 7u
#define NVME_FEATURE_SELECT_SUPPORTED 3u
#define NVME_FEATURE_CHANGEABLE (1u << 2)
/* Feature 09h: the vector in 15:0. */
#define NVME_FEATURE_VECTOR_MASK 0xffffu

/* Asynchronous events (base 5.2): completion dword 0. */
#define NVME_EVENT_ERROR 0u
#define NVME_EVENT_NOTICE 2u
#define NVME_EVENT_RESERVED 5u
#define NVME_EVENT_NAMESPACES 0u /* info of NVME_EVENT_NOTICE */
#define NVME_EVENT_INFO_SHIFT 8
#define NVME_EVENT_LOG_SHIFT 16
#define NVME_EVENT_INVALID_DOORBELL 0u /* info of NVME_EVENT_ERROR */
#define NVME_EVENT_INVALID_DOORBELL_VALUE 1u

/* Commands of the NVM command set (nvm 3.2). */
enum nvme_io_opcode {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
	NVME_COMPARE = 0x05,
	NVME_WRITE_ZEROES = 0x08,
	NVME_DSM = 0x09,
	NVME_VERIFY = 0x0c,
	NVME_RESERVATION_REGISTER = 0x0d,
	NVME_RESERVATION_REPORT = 0x0e,
	NVME_RESERVATION_ACQUIRE = 0x11,
	NVME_RESERVATION_RELEASE = 0x15,
};
#define NVME_NSID_ALL 0xffffffffu
/* Dword 12 of commands with an LBA range. */
#define NVME_RW_BLOCKS_MASK 0xffffu /* minus 1 */
#define NVME_RW_DEAC (1u << 25)	    /* Write Zeroes */
#define NVME_RW_FUA (1u << 30)

#define NVME_DSM_RANGES_MASK 0xffu /* dword 10, minus 1 */
#define NVME_DSM_DEALLOCATE (1u << 2) /* dword 11 */

struct nvme_dsm_range {
	le32 attributes;
	le32 blocks;
	le64 lba;
} __packed;
_Static_assert(sizeof(struct nvme_dsm_range) == 16, "nvm figure 44");
#define NVME_DSM_MAX_RANGES 256u

/* Reservations (base 7.2, 7.3, 7.5, 7.6): dword 10. */
#define NVME_RESERVATION_ACTION_MASK 7u
#define NVME_RESERVATION_IGNORE_KEY (1u << 3)
#define NVME_RESERVATION_TYPE_SHIFT 8
#define NVME_RESERVATION_PERSIST_SHIFT 30 /* Register: CPTPL */
enum nvme_reservation_action {
	NVME_REGISTER_KEY = 0,
	NVME_UNREGISTER_KEY = 1,
	NVME_REPLACE_KEY = 2,
	NVME_ACQUIRE = 0,
	NVME_PREEMPT = 1,
	NVME_PREEMPT_AND_ABORT = 2,
	NVME_RELEASE = 0,
	NVME_CLEAR = 1,
	NVME_PERSIST_NO_CHANGE = 0,
	NVME_PERSIST_CLEAR = 2,
	NVME_PERSIST_SET = 3,
};
#define NVME_RESERVATION_EXTENDED (1u << 0) /* dword 11 of Report */

struct nvme_reservation_keys {
	le64 key, other;
} __packed;
_Static_assert(sizeof(struct nvme_reservation_keys) == 16, "base 7.3");

struct nvme_reservation_status {
	le32 generation;
	uint8_t type;
	uint8_t registrants[2]; /* a le16, not aligned */
	uint8_t reserved7[2];
	uint8_t persists;
	uint8_t reserved10[54];
} __packed;
_Static_assert(sizeof(struct nvme_reservation_status) == 64, "base 7.5");

struct nvme_registrant {
	le16 controller;
	uint8_t status, reserved3[5];
	le64 key;
	uint8_t host[16], reserved32[32];
} __packed;
_Static_assert(sizeof(struct nvme_registrant) == 64, "base 7.5");
#define NVME_REGISTRANT_HOLDS (1u << 0)

#endif
