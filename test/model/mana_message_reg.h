/* SPDX-License-Identifier: MIT */
/*
 * Messages of the hardware channel: GDMA's own (codes below 100) and those of
 * its MANA client. Sources as in mana_reg.h; sizes and offsets as Linux has
 * them on the wire.
 */
#ifndef MODEL_MANA_MESSAGE_REG_H
#define MODEL_MANA_MESSAGE_REG_H

#include <stdint.h>

#include <le.h>

#define MANA_MESSAGE_MAX 4096u /* both ways */

enum mana_message {
	GDMA_VERIFY_VF_VERSION = 1,
	GDMA_QUERY_MAX_RESOURCES = 2,
	GDMA_LIST_DEVICES = 3,
	GDMA_REGISTER_DEVICE = 4,
	GDMA_DEREGISTER_DEVICE = 5,
	GDMA_GENERATE_TEST_EQE = 10,
	GDMA_CREATE_QUEUE = 12,
	GDMA_DISABLE_QUEUE = 13,
	GDMA_ALLOCATE_RANGE = 22,
	GDMA_DESTROY_RANGE = 24,
	GDMA_CREATE_DMA_REGION = 25,
	GDMA_ADD_PAGES = 26,
	GDMA_DESTROY_DMA_REGION = 27,
	GDMA_CREATE_PD = 29,
	GDMA_DESTROY_PD = 30,
	GDMA_CREATE_MR = 31,
	GDMA_DESTROY_MR = 32,
	GDMA_QUERY_HWC_TIMEOUT = 84,
	MANA_QUERY_DEV_CONFIG = 0x20001,
	MANA_QUERY_GF_STAT = 0x20002,
	MANA_CONFIG_VPORT_TX = 0x20003,
	MANA_CREATE_WQ_OBJ = 0x20004,
	MANA_DESTROY_WQ_OBJ = 0x20005,
	MANA_FENCE_RQ = 0x20006,
	MANA_CONFIG_VPORT_RX = 0x20007,
	MANA_QUERY_VPORT_CONFIG = 0x20008,
	MANA_QUERY_LINK_CONFIG = 0x2000a,
	MANA_VTL2_ASSIGN_SERIAL = 0x27801,
	MANA_VTL2_MOVE_FILTER = 0x27802,
	MANA_VTL2_QUERY_FILTER = 0x27803,
};

enum mana_status {
	MANA_STATUS_OK = 0,
	MANA_STATUS_INVALID_PARAMETER = 0xc000000d,
	MANA_STATUS_NO_RESOURCES = 0xc000009a,
	MANA_STATUS_MORE_ENTRIES = 0x105,
	MANA_STATUS_UNSUPPORTED = 0xffffffff,
};

struct mana_message_part {
	le32 header_type;
	le32 type; /* enum mana_message */
	le16 version;
	le16 id;
	le32 size; /* with all headers */
} __packed;

struct mana_device_id {
	le16 type;
	le16 instance;
} __packed;
#define MANA_DEVICE_HWC 1
#define MANA_DEVICE_MANA 2

struct mana_request {
	struct mana_message_part request;
	struct mana_message_part response; /* what is wanted back */
	struct mana_device_id device;
	le32 activity;
} __packed;
_Static_assert(sizeof(struct mana_request) == 40, "gdma_defs GdmaReqHdr");

struct mana_response {
	struct mana_message_part response;
	struct mana_device_id device;
	le32 activity;
	le32 status;
	le32 reserved;
} __packed;
_Static_assert(sizeof(struct mana_response) == 32, "gdma_defs GdmaRespHdr");

/* What follows the headers, by message; REQ and RESP. */
#define MANA_SIZE(name, size) \
	_Static_assert(sizeof(struct name) == (size), "wire format")

struct gdma_verify_req {
	le64 minimum, maximum;
	le64 capabilities[4];
	le64 reserved;
	le32 os_type;
	le32 reserved1;
	le32 os_version[4];
	le64 reserved2;
	uint8_t os_text[4][128];
} __packed;
MANA_SIZE(gdma_verify_req, 640 - 40);
struct gdma_verify_resp {
	le64 version;
	le64 capabilities[4];
} __packed;
MANA_SIZE(gdma_verify_resp, 72 - 32);
#define GDMA_CAPABILITY_HWC_TIMEOUT (1u << 3)
#define GDMA_PROTOCOL_VERSION 1

struct gdma_resources_resp {
	le32 status;
	le32 max_sq, max_rq, max_cq, max_eq;
	le32 max_db, max_mst;
	le32 max_cq_moderation, max_eq_moderation;
	le32 max_msix;
} __packed;
MANA_SIZE(gdma_resources_resp, 72 - 32);

struct gdma_devices_resp {
	le32 count;
	le32 reserved;
	struct mana_device_id device[64];
} __packed;
MANA_SIZE(gdma_devices_resp, 296 - 32);

struct gdma_register_resp {
	le32 pd;
	le32 gpa_mkey;
	le32 doorbell;
} __packed;
MANA_SIZE(gdma_register_resp, 44 - 32);

struct gdma_test_eqe_req {
	le32 eq;
} __packed;
MANA_SIZE(gdma_test_eqe_req, 44 - 40);

struct gdma_create_queue_req {
	le32 type; /* GDMA_QUEUE_EQ */
	le32 reserved;
	le32 pd;
	le32 doorbell;
	le64 region;
	le32 reserved1;
	le32 size;
	le32 throttle;
	le32 msix;
	le32 reserved2;
	le32 parent;
	le32 reserved3[2];
} __packed;
MANA_SIZE(gdma_create_queue_req, 96 - 40);
#define GDMA_QUEUE_EQ 4
struct gdma_create_queue_resp {
	le32 id;
} __packed;

struct gdma_disable_queue_req {
	le32 type;
	le32 id;
	le32 allocated;
} __packed;
MANA_SIZE(gdma_disable_queue_req, 52 - 40);

#define GDMA_RESOURCE_DOORBELL 27
struct gdma_allocate_range_req {
	le32 type;
	le32 count;
	le32 alignment;
	le32 first; /* 0: any */
} __packed;
MANA_SIZE(gdma_allocate_range_req, 56 - 40);
struct gdma_allocate_range_resp {
	le32 first;
} __packed;
struct gdma_destroy_range_req {
	le32 type;
	le32 count;
	le32 first;
} __packed;
MANA_SIZE(gdma_destroy_range_req, 52 - 40);

struct gdma_create_region_req {
	le64 length;
	le32 offset; /* in the first page */
	le32 page_type;
	le32 pages;
	le32 here; /* of them, in this message */
	/* le64 page[] */
} __packed;
MANA_SIZE(gdma_create_region_req, 64 - 40);
struct gdma_create_region_resp {
	le64 handle;
} __packed;
struct gdma_add_pages_req {
	le64 handle;
	le32 here;
	le32 reserved;
	/* le64 page[] */
} __packed;
MANA_SIZE(gdma_add_pages_req, 56 - 40);

/* DESTROY_DMA_REGION, _PD, _MR. */
struct gdma_handle_req {
	le64 handle;
} __packed;
MANA_SIZE(gdma_handle_req, 48 - 40);

struct gdma_create_pd_req {
	le32 flags;
	le32 reserved;
} __packed;
MANA_SIZE(gdma_create_pd_req, 48 - 40);
struct gdma_create_pd_resp {
	le64 handle;
	le32 id;
	le32 reserved;
} __packed;
MANA_SIZE(gdma_create_pd_resp, 48 - 32);

struct gdma_create_mr_req {
	le64 pd;
	le32 type;
	le32 reserved;
	le64 region;
	/* GVA: address, access 32; ZBVA: access 32 */
	le64 address;
	le32 access;
	le32 reserved1[3];
} __packed;
MANA_SIZE(gdma_create_mr_req, 88 - 40);
enum gdma_mr_type { GDMA_MR_GPA = 1, GDMA_MR_GVA = 2, GDMA_MR_ZBVA = 4 };
#define GDMA_LOCAL_READ (1u << 0)
#define GDMA_LOCAL_WRITE (1u << 1)
struct gdma_create_mr_resp {
	le64 handle;
	le32 lkey;
	le32 rkey;
} __packed;
MANA_SIZE(gdma_create_mr_resp, 48 - 32);

struct gdma_hwc_timeout_req {
	le32 ms;
	le32 reserved;
} __packed;
MANA_SIZE(gdma_hwc_timeout_req, 48 - 40);
struct gdma_hwc_timeout_resp {
	le32 ms;
	le32 reserved;
} __packed;
MANA_SIZE(gdma_hwc_timeout_resp, 40 - 32);

struct mana_dev_config_req {
	le64 capabilities[4];
	le32 major, minor, micro;
	le32 reserved;
} __packed;
MANA_SIZE(mana_dev_config_req, 88 - 40);
struct mana_dev_config_resp {
	le64 capabilities[4];
	le16 vports;
	uint8_t host_mode;
	uint8_t reserved;
	le32 max_eqs;
	le16 mtu; /* with the Ethernet header */
	le16 reserved1;
	le32 link_mbps;
} __packed;
MANA_SIZE(mana_dev_config_resp, 80 - 32);

struct mana_gf_stat_req {
	le64 mask;
} __packed;
MANA_SIZE(mana_gf_stat_req, 48 - 40);
/* Counters in the order of the answer. */
enum mana_gf_stat {
	MANA_GF_RX_NO_WQE,
	MANA_GF_RX_VPORT_DISABLED,
	MANA_GF_RX_BYTES,
	MANA_GF_RX_UCAST_FRAMES,
	MANA_GF_RX_UCAST_BYTES,
	MANA_GF_RX_BCAST_FRAMES,
	MANA_GF_RX_BCAST_BYTES,
	MANA_GF_RX_MCAST_FRAMES,
	MANA_GF_RX_MCAST_BYTES,
	MANA_GF_TX_GF_DISABLED,
	MANA_GF_TX_VPORT_DISABLED,
	MANA_GF_TX_VPORT_OFFSET,
	MANA_GF_TX_VLAN,
	MANA_GF_TX_ETHER_TYPE,
	MANA_GF_TX_SOURCE,
	MANA_GF_TX_SQ_PD,
	MANA_GF_TX_CQ_PD,
	MANA_GF_TX_MTU,
	MANA_GF_TX_INVALID_OOB,
	MANA_GF_TX_BYTES,
	MANA_GF_TX_UCAST_FRAMES,
	MANA_GF_TX_UCAST_BYTES,
	MANA_GF_TX_BCAST_FRAMES,
	MANA_GF_TX_BCAST_BYTES,
	MANA_GF_TX_MCAST_FRAMES,
	MANA_GF_TX_MCAST_BYTES,
	MANA_GF_TX_GDMA,
	MANA_GF_STATS,
};
struct mana_gf_stat_resp {
	le64 mask;
	le64 counter[MANA_GF_STATS];
} __packed;
MANA_SIZE(mana_gf_stat_resp, 256 - 32);

struct mana_config_tx_req {
	le64 vport;
	le32 pd;
	le32 doorbell;
} __packed;
MANA_SIZE(mana_config_tx_req, 56 - 40);
struct mana_config_tx_resp {
	le16 vport_offset;
	uint8_t short_form;
	uint8_t reserved;
} __packed;
MANA_SIZE(mana_config_tx_resp, 36 - 32);

enum mana_wq_type { MANA_WQ_SQ = 1, MANA_WQ_RQ = 2 };
struct mana_create_wq_req {
	le64 vport;
	le32 type;
	le32 reserved;
	le64 wq_region, cq_region;
	le32 wq_size, cq_size;
	le32 moderation;
	le32 eq;
} __packed;
MANA_SIZE(mana_create_wq_req, 88 - 40);
struct mana_create_wq_resp {
	le32 wq, cq;
	le64 object;
} __packed;
MANA_SIZE(mana_create_wq_resp, 48 - 32);
#define MANA_NO_OBJECT UINT64_MAX

struct mana_destroy_wq_req {
	le32 type;
	le32 reserved;
	le64 object;
} __packed;
MANA_SIZE(mana_destroy_wq_req, 56 - 40);

struct mana_fence_req {
	le64 object;
} __packed;
MANA_SIZE(mana_fence_req, 48 - 40);

#define MANA_HASH_KEY 40
#define MANA_MAX_TABLE 128
struct mana_config_rx_req {
	le64 vport;
	le16 entries;
	le16 table; /* offset in the message */
	le32 rx;    /* enum mana_tristate */
	le32 rss;
	uint8_t update_default;
	uint8_t update_key;
	uint8_t update_table;
	uint8_t reserved;
	le64 default_object;
	uint8_t key[MANA_HASH_KEY];
} __packed;
MANA_SIZE(mana_config_rx_req, 112 - 40);
/* Version 2: behind the key. */
#define MANA_RX_COALESCING_AT 112u
#define MANA_KEEP 0xffffffffu /* of rx and rss */
struct mana_config_rx_resp {
	le32 timeout_ns;
	le32 reserved;
} __packed;
MANA_SIZE(mana_config_rx_resp, 40 - 32);

struct mana_vport_config_req {
	le32 index;
} __packed;
MANA_SIZE(mana_vport_config_req, 44 - 40);
struct mana_vport_config_resp {
	le32 max_sq, max_rq;
	le32 entries; /* of the indirection table */
	le32 reserved;
	uint8_t mac[6];
	uint8_t reserved1[2];
	le64 vport;
} __packed;
MANA_SIZE(mana_vport_config_resp, 64 - 32);

struct mana_link_config_resp {
	le32 qos;
	le32 reserved;
	le32 link_mbps;
	le32 reserved1;
} __packed;
MANA_SIZE(mana_link_config_resp, 48 - 32);

#undef MANA_SIZE

#endif
