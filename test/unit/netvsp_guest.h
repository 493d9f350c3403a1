/* SPDX-License-Identifier: MIT */
/*
 * A guest with the driver of a synthetic NIC, for tests of NetVSP and its
 * benches: the NIC is a loopback, whose steps a test may hold back. Functions
 * assert what they say.
 */
#ifndef TEST_NETVSP_GUEST_H
#define TEST_NETVSP_GUEST_H

#include <pv/nic.h>

#include "relay/netvsp.h"
#include "relay/nvs_reg.h"
#include "relay/rndis_reg.h"
#include "relay/ring_reg.h"
#include "test/guest_driver/guest_driver.h"

#define NIC_RING_PAGES 17
#define NIC_RECEIVE_PAGES 256 /* 512 slots of 2048 bytes */
#define NIC_SEND_PAGES 15     /* ten sections */
#define NIC_MAX_FRAMES 1024
#define NIC_MAX_CHANNELS 8

/* What the guest got and has not looked at yet, oldest first. */
struct got_frame {
	uint8_t channel;
	uint64_t transaction;
	uint32_t offset, size; /* of the RNDIS message in the receive buffer */
};

struct got_completion {
	uint8_t channel;
	uint64_t transaction;
	uint32_t size;
	struct nvs_message message;
};

struct nic_machine {
	struct guest_driver *g;
	struct nic *nic;
	struct netvsp *netvsp;
	bool destroyed;
	unsigned int nr_offers;
	struct vmbus_offer_channel offer[NIC_MAX_CHANNELS];
	struct guest_channel ch[NIC_MAX_CHANNELS];
	unsigned int nr_channels; /* open */
	uint32_t message_size;
	uint64_t transaction; /* of the last packet sent */
	uint32_t rndis_id;

	uint64_t receive_pfn[NIC_RECEIVE_PAGES], send_pfn[NIC_SEND_PAGES];
	uint32_t receive_pages, receive_gpadl, send_gpadl;
	uint32_t slot_size, nr_slots;
	uint64_t scratch[20]; /* page numbers, none adjacent */

	bool keep; /* do not give packets back */
	unsigned int nr_frames, nr_packets; /* packets: they came in */
	struct got_frame frame[NIC_MAX_FRAMES];
	unsigned int nr_completions;
	struct got_completion completion[NIC_MAX_FRAMES];
	bool has_control;
	uint32_t control_size;
	_Alignas(8) uint8_t control[2048]; /* the last RNDIS message */
	bool has_table;
	uint32_t table_size;
	uint8_t table[256];
};

/* Of NVSP, for NICs to be created; as in struct netvsp_config. */
void nic_at_most(uint16_t version);

/* The NIC offered and its primary channel open. */
void nic_create(struct nic_machine *m, unsigned int vps, uint16_t queues,
		uint16_t mtu, uint32_t ring_pages);
/* After its channels have been closed. */
void nic_destroy(struct nic_machine *m);

/* Reads all packets of a channel. */
void nic_pump(struct nic_machine *m, unsigned int channel);

/* NVSP. */

/* Sends a message; with `list`, pages. */
struct nic_list {
	uint32_t size;
	_Alignas(8) uint8_t bytes[8 + 64 * 24];
};
void nvs_send(struct nic_machine *m, unsigned int channel,
	      const struct nvs_message *message, const struct nic_list *list);
/* ... that wants no answer. */
void nvs_tell(struct nic_machine *m, unsigned int channel,
	      const struct nvs_message *message);
/* ... and takes its completion, into *reply: its size. */
uint32_t nvs_ask(struct nic_machine *m, const struct nvs_message *message,
		 const struct nic_list *list, struct nvs_message *reply);
/* The status in the answer to INIT. */
uint32_t nvs_init(struct nic_machine *m, uint32_t version);
void nvs_config(struct nic_machine *m, uint32_t mtu);
/* NVS_STATUS_* of the answer. */
uint32_t nvs_receive_buffer(struct nic_machine *m, uint32_t pages);
uint32_t nvs_send_buffer(struct nic_machine *m);
void nvs_revoke(struct nic_machine *m, enum nvs_type type);
/* Takes the completion of a transaction; false: there is none. */
bool nvs_completed(struct nic_machine *m, uint64_t transaction,
		   struct got_completion *out);
/* All of it up to RNDIS and a filter, and `subs` sub-channels; version 0: it is
 * agreed on already. */
void nic_up(struct nic_machine *m, uint32_t version, unsigned int subs);
void nic_open_subchannels(struct nic_machine *m, unsigned int subs);

/* Lists: of one range each. */
void list_begin(struct nic_list *list);
void list_add(struct nic_list *list, uint64_t pfn, uint32_t offset,
	      uint32_t size);

/* RNDIS: sends a control message from page scratch[0] on, at an offset; the
 * NVSP status. The answer is in m->control. */
uint32_t rndis_send(struct nic_machine *m, const void *message, uint32_t size,
		    uint32_t offset);
void rndis_initialize(struct nic_machine *m);
/* RNDIS_STATUS_*; *info points into m->control. */
uint32_t rndis_ask(struct nic_machine *m, uint32_t oid, const void *asked,
		   uint32_t asked_size, const uint8_t **info, uint32_t *size);
uint32_t rndis_word(struct nic_machine *m, uint32_t oid);
uint32_t rndis_put(struct nic_machine *m, uint32_t oid, const void *info,
		   uint32_t size);
void rndis_filter(struct nic_machine *m, uint32_t filter);

/* Frames. */

struct nic_ppi {
	uint32_t type, value;
};

/* An RNDIS packet of a frame in `to`: its size. */
uint32_t rndis_frame(uint8_t *to, const void *frame, uint32_t size,
		     const struct nic_ppi *ppi, unsigned int nr_ppi,
		     uint32_t padding);
/* Sends `size` bytes of RNDIS packets: in a section, */
void nic_send_section(struct nic_machine *m, unsigned int channel,
		      uint32_t section, const void *bytes, uint32_t size);
/* or in pages, from an offset in scratch[0] on, with the first `in_section`
 * bytes in section 0. */
void nic_send_pages(struct nic_machine *m, unsigned int channel,
		    const void *bytes, uint32_t size, uint32_t offset,
		    uint32_t in_section);
/* The oldest frame that came: header and information copied, data into `to`.
 * Its size; 0: none came. */
uint32_t nic_take_frame(struct nic_machine *m, struct rndis_packet *packet,
			struct nic_ppi *ppi, unsigned int *nr_ppi, uint8_t *to);
/* Gives a packet back. */
void nic_give_back(struct nic_machine *m, unsigned int channel,
		   uint64_t transaction);
void nic_fill(uint8_t *frame, uint32_t size, uint8_t seed);

/* Sends a frame, and takes its completion and the frame. */
void nic_round_trip(struct nic_machine *m, unsigned int channel,
		    uint32_t size);
/* The completion of the last packet. */
void nic_expect_status(struct nic_machine *m, uint32_t status);
/* Closes all channels and tears their GPADLs down. */
void nic_shut(struct nic_machine *m);

/* Puts the table of the functions below before a NIC's. */
void nic_wrap(struct nic *nic);
/* Takes it away: with it, queues may not be on several threads. */
void nic_unwrap(struct nic *nic);
/* Frames that come bear this hash, the next one `step` more. Queues may be on
 * several threads. */
void nic_hashes(struct nic *nic, uint32_t hash, uint32_t step);
/* The backend's steps held back: until let go, start and stop do not answer,
 * and what is sent is not. */
void nic_hold(struct nic_machine *m, bool start, bool stop, bool tx);
void nic_let_go(struct nic_machine *m);
unsigned int nic_held_frames(void);
/* What the backend says of its link, and of itself. */
void nic_link(struct nic_machine *m, bool up);
void nic_event(struct nic_machine *m, enum nic_event event);
/* The next start answers so. */
void nic_fail_start(struct nic_machine *m, int err);
/* The last start of the backend. */
const struct nic_start *nic_last_start(void);
/* The filter that the backend was given. */
unsigned int nic_last_filter(void);
/* The last frame given to the backend. */
const struct nic_frame *nic_last_frame(void);

#endif
