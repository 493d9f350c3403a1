/* SPDX-License-Identifier: MIT */
/*
 * The tiny guest's driver of a synthetic NIC: NVSP and RNDIS on the channels
 * and rings of tiny_vmbus.h, polled. tiny_net.c has its theory of operation.
 *
 * Functions that return bool return false after the running case has been
 * marked as failed, unless they say otherwise. VP 0.
 */
#ifndef TEST_GUEST_TINY_NET_H
#define TEST_GUEST_TINY_NET_H

#include "relay/nvs_reg.h"
#include "relay/rndis_reg.h"
#include "tiny_vmbus.h"

#define NIC_MAX_FRAME 9014u /* with the Ethernet header */
#define NIC_WINDOW 16u	    /* frames under way */
#define NIC_STAGE_PAGES 4u  /* of each */
#define NIC_MAX_SUBS 3u

struct nic {
	struct channel ch, sub[NIC_MAX_SUBS];
	uint32_t message_size; /* of NVSP */
	uint8_t *receive;
	uint32_t receive_bytes, receive_gpadl, slot_size, nr_slots;
	uint8_t *send;
	uint32_t send_gpadl, section_size, nr_sections;
	uint8_t *control_pages; /* requests: the first and the third of three */
	uint8_t *stage;		/* of frames under way */
	uint32_t rndis_id;
	bool revoked; /* the receive buffer: what comes is not looked at */

	/* What came so far; of each kind the last. */
	uint32_t completions, failures; /* failures: with another status */
	uint64_t completed;		/* its transaction */
	uint32_t reply_size;
	struct nvs_message reply;
	uint32_t controls, control_size;
	_Alignas(8) uint8_t control[512];
	uint32_t tables, table[NVS_INDIRECTION_ENTRIES];
	uint32_t frames, frame_size;
	struct channel *frame_channel;
	uint32_t sent; /* frames; each bears its number */
};

/* The n-th NIC that was offered; NULL: there is none. */
const struct vmbus_offer_channel *nic_offer(uint32_t n);

/* ---- the steps of a driver ---- */

struct nic_plan {
	uint32_t ring_pages; /* of each ring */
	uint32_t receive_pages, send_pages;
	uint32_t mtu; /* with the Ethernet header */
	bool masked;  /* no interrupts from the open on */
};
extern const struct nic_plan nic_small;

/* The channel alone, all else empty. */
bool nic_open(struct nic *nic, uint32_t n, uint32_t ring_pages);
/* INIT; *status is NVS_STATUS_*. */
bool nic_version(struct nic *nic, uint32_t version, uint32_t *status);
/* NDIS_CONFIG and NDIS_VERSION, which have no answer. */
bool nic_config(struct nic *nic, uint32_t mtu);
/* Buffers: GPADL, NVSP, and what the answer says. */
bool nic_receive_buffer(struct nic *nic, uint32_t n);
bool nic_send_buffer(struct nic *nic, uint32_t n);
/* RNDIS: INITIALIZE, the packet filter, HALT. */
bool nic_initialize(struct nic *nic);
bool nic_filter(struct nic *nic, uint32_t filter);
bool nic_halt(struct nic *nic);
/* All of them but the last, in this order, with 6.1. */
bool nic_up(struct nic *nic, uint32_t n, const struct nic_plan *plan);
/* NVS_REVOKE_*, which have no answer. */
bool nic_revoke(struct nic *nic, enum nvs_type type);
/* HALT, both buffers revoked, channel closed, GPADLs torn down. */
bool nic_down(struct nic *nic);

/* ---- NVSP ---- */

/* Page lists: ranges of memory, adjacent pages or two that are not. */
struct nic_list {
	uint32_t words;
	uint64_t word[128];
};
void nic_list_begin(struct nic_list *list);
void nic_list_add(struct nic_list *list, const void *at, uint32_t bytes);
void nic_list_split(struct nic_list *list, uint32_t offset, uint32_t bytes,
		    const void *first_page, const void *second_page);

/* Sends a message and waits for its completion, nic->reply. `list` may be
 * NULL. */
bool nic_ask(struct nic *nic, const struct nvs_message *message,
	     const struct nic_list *list);
/* Sends one that has no completion. */
bool nic_tell(struct nic *nic, const struct nvs_message *message);
/* Files the next packet of a channel, and gives it back if it is to be given
 * back. False: none came, or the case failed. */
bool nic_take(struct nic *nic, struct channel *ch, uint32_t ms);
/* Takes packets until *count, a member of *nic, is `n`. */
bool nic_wait(struct nic *nic, struct channel *ch, const uint32_t *count,
	      uint32_t n);

/* ---- RNDIS ---- */

/* An RNDIS message that is at these places: the status of NVSP's answer. */
bool nic_control(struct nic *nic, const struct nic_list *list,
		 uint32_t *status);
/* Puts a message at this offset of the first control page, the rest in the
 * third; then the same. Up to two pages, but for the offset. */
bool nic_control_at(struct nic *nic, const void *message, uint32_t size,
		    uint32_t offset, uint32_t *status);
/* A request, which gets an id, and its answer, nic->control. */
bool nic_request(struct nic *nic, void *message, uint32_t size,
		 uint32_t offset);
/* *status is RNDIS_STATUS_*; *size: room, then size. */
bool nic_query(struct nic *nic, uint32_t oid, uint32_t offset,
	       uint32_t *status, void *info, uint32_t *size);
bool nic_set(struct nic *nic, uint32_t oid, uint32_t offset, uint32_t value,
	     uint32_t *status);

/* ---- frames ---- */

enum nic_way {
	NIC_SECTION, /* all in a section of the send buffer */
	NIC_HEADER,  /* the RNDIS header in it, the frame in pages */
	NIC_PAGES,   /* all in three ranges of pages */
	NIC_BOTH,    /* a part of the frame in it, too */
	NIC_WAYS
};

/* Puts the next frame, of this size, into the ring; no signal. */
bool nic_put_frame(struct nic *nic, struct channel *ch, uint32_t size,
		   enum nic_way way);
/* One that came: must be the next of those that were sent. */
bool nic_check_frame(struct nic *nic, const uint8_t *frame, uint32_t size);
/* Puts one, signals, and waits for it on `back` of `to`. */
bool nic_round_trip(struct nic *nic, struct channel *ch, struct nic *to,
		    struct channel *back, uint32_t size, enum nic_way way);

#endif
