/* SPDX-License-Identifier: MIT */
/*
 * A guest with the driver of a SCSI controller, for tests of StorVSP: LUN 0,
 * and LUN 3, which is read-only, on disks in memory. Functions assert what
 * they say.
 */
#ifndef TEST_STORVSP_GUEST_H
#define TEST_STORVSP_GUEST_H

#include "relay/storvsp.h"
#include "relay/vstor_reg.h"
#include "test/guest_driver/guest_driver.h"

#define GUEST_PAGES 4096
#define RING_PAGES 5
#define PACKET 64u
#define MAX_HELD 256

struct machine {
	struct guest_driver *g;
	struct disk *disk[2];
	struct storvsp *storvsp;
	bool destroyed;
	struct vmbus_offer_channel offer[4];
	struct guest_channel ch;
	uint64_t transaction; /* of the last packet sent */
	struct vstor_packet reply;
	uint32_t reply_size;
};

/* The controller offered and its primary channel open. */
void machine_create(struct machine *m, uint16_t depth, uint16_t subs,
		    uint32_t ring_pages);
/* The same, with LUN 0 on `disk`. */
void machine_create_on(struct machine *m, uint16_t depth, uint16_t subs,
		       uint32_t ring_pages, struct disk *disk);
/* After the channels have been closed. */
void machine_destroy(struct machine *m);

/* Lets LUN 0's disk keep what it is asked, up to MAX_HELD requests of any
 * channels, until it is told to go on. */
void hold_requests(struct machine *m);
void release_requests(struct machine *m);
/* Or has the disk end them so. */
void end_requests(struct machine *m, enum disk_status status);

/* Takes a completion into m->reply: 0, or -EAGAIN when there is none. */
int receive(struct machine *m, struct guest_channel *ch,
	    uint64_t *transaction);
void send_packet(struct machine *m, struct guest_channel *ch,
		 const struct vstor_packet *packet, uint32_t size);
/* Sends a packet and takes its completion: the status in its header. */
uint32_t ask(struct machine *m, const struct vstor_packet *packet,
	     uint32_t size);
uint32_t ask_operation(struct machine *m, uint32_t operation);
uint32_t ask_version(struct machine *m, uint16_t version, uint32_t size);
uint32_t ask_subchannels(struct machine *m, uint16_t count);
/* One more, whose offer is m->offer[1], open. */
void open_subchannel(struct machine *m, uint32_t vp, struct guest_channel *ch);
/* All of it, with version 6.2. */
void negotiate(struct machine *m);

/* A page list: `size` bytes from `offset` in the first page. */
struct page_list {
	uint32_t size; /* of the packet's header */
	_Alignas(8) uint8_t bytes[16 + 80 * 8];
};

struct page_list page_list(uint32_t offset, uint32_t size,
			   const uint64_t *pfn, uint32_t nr);
struct vstor_packet srb(uint8_t lun, enum vstor_data direction,
			uint32_t size, const uint8_t *cdb,
			uint8_t cdb_size);
void send_srb(struct machine *m, struct guest_channel *ch,
	      const struct vstor_packet *packet,
	      const struct page_list *list);
/* Sends an SRB and takes its completion, for expect_srb(). */
void ask_srb(struct machine *m, const struct vstor_packet *packet,
	     const struct page_list *list);
void expect_srb(struct machine *m, uint8_t srb_status, uint32_t moved);
/* Reads or writes `blocks` of LUN 0 from the offset in the first page. */
void transfer(struct machine *m, bool write, uint32_t lba,
	      uint16_t blocks, uint32_t offset, const uint64_t *pfn);

#endif
