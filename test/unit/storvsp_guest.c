/* SPDX-License-Identifier: MIT */
/* See storvsp_guest.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/disk_memory.h"
#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

static const struct guid instance = GUID_INIT(0xd34b2567, 0xb9b6, 0x42b9, 0x87,
					      0x78, 0x0a, 0x4e, 0xc0, 0xb9,
					      0x55, 0xbf);

static void noted(void *opaque)
{
	((struct machine *)opaque)->destroyed = true;
}

/* LUN 0, and a read-only LUN 3. */
void machine_create_on(struct machine *m, uint16_t depth, uint16_t subs,
		       uint32_t ring_pages, struct disk *disk)
{
	struct disk_info info = {
		.blocks = 8192, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 128 * 1024, .max_ranges = 33, .gap_mask = 4095,
		.range_alignment = 4, .write_cache = true, .fua = true,
	};
	struct scsi_lun_config luns[2] = {
		{ .number = 0 }, { .number = 3, .read_only = true },
	};
	struct storvsp_config config = {
		.instance = instance,
		.queue_depth = depth,
		.max_subchannels = subs,
		.nr_luns = 2,
		.luns = luns,
	};
	unsigned int offers;

	memset(m, 0, sizeof(*m));
	m->g = guest_driver_create(GUEST_PAGES, 2, 0);
	for (int i = 0; i < 2; i++) {
		m->disk[i] = disk && !i ? disk :
			     disk_memory_create(&m->g->memory, &info);
		assert_non_null(m->disk[i]);
		luns[i].disk = m->disk[i];
	}
	config.memory = &m->g->memory;
	config.reactor = m->g->reactor[0];
	assert_int_equal(storvsp_create(m->g->server, &config, &m->storvsp), 0);
	assert_int_equal(guest_contact(m->g, VMBUS_VERSION_COPPER, 1, 0), 0);
	assert_int_equal(guest_request_offers(m->g, &offers, m->offer, 4), 0);
	assert_int_equal(offers, 1);
	assert_memory_equal(&m->offer[0].instance, &instance, 16);
	assert_int_equal(guest_open(m->g, &m->offer[0], ring_pages, 0, &m->ch),
			 0);
}

void machine_create(struct machine *m, uint16_t depth, uint16_t subs,
		    uint32_t ring_pages)
{
	machine_create_on(m, depth, subs, ring_pages, NULL);
}

void machine_destroy(struct machine *m)
{
	storvsp_destroy(m->storvsp, noted, m);
	reactor_inline_drain();
	assert_true(m->destroyed);
	for (int i = 0; i < 2; i++)
		m->disk[i]->ops->close(m->disk[i]);
	guest_driver_destroy(m->g);
}

/* Lets LUN 0's disk keep what it is asked until it is told to go on. */
static struct {
	struct disk_ops ops, held_ops;
	struct disk_queue *queue[MAX_HELD];
	struct disk_request *request[MAX_HELD];
	unsigned int nr;
} held;

static void hold_submit(struct disk_queue *queue, struct disk_request **reqs,
			unsigned int nr)
{
	while (nr--) {
		assert_in_range(held.nr, 0, MAX_HELD - 1);
		held.queue[held.nr] = queue;
		held.request[held.nr++] = *reqs++;
	}
}

void hold_requests(struct machine *m)
{
	held.ops = *m->disk[0]->ops;
	held.held_ops = held.ops;
	held.held_ops.submit = hold_submit;
	held.nr = 0;
	m->disk[0]->ops = &held.held_ops;
}

void end_requests(struct machine *m, enum disk_status status)
{
	m->disk[0]->ops = &held.ops;
	for (unsigned int i = 0; i < held.nr; i++)
		held.request[i]->done(held.request[i], status);
}

void release_requests(struct machine *m)
{
	m->disk[0]->ops = &held.ops;
	for (unsigned int i = 0; i < held.nr; i++)
		held.ops.submit(held.queue[i], &held.request[i], 1);
}

/* Packets. */

int receive(struct machine *m, struct guest_channel *ch,
	    uint64_t *transaction)
{
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct ring_packet packet;
	int err = guest_receive(ch, bytes, &packet);

	if (err)
		return err;
	assert_int_equal(packet.type, RING_PACKET_COMPLETION);
	memset(&m->reply, 0, sizeof(m->reply));
	assert_true(packet.payload_size <= sizeof(m->reply));
	memcpy(&m->reply, packet.payload, packet.payload_size);
	m->reply_size = packet.payload_size;
	*transaction = packet.transaction;
	return 0;
}

void send_packet(struct machine *m, struct guest_channel *ch,
		 const struct vstor_packet *packet, uint32_t size)
{
	assert_int_equal(guest_send(ch, RING_PACKET_INBAND,
				    RING_FLAG_COMPLETION_REQUESTED,
				    ++m->transaction, NULL, 0, packet, size),
			 0);
}

/* Sends a packet, expects its completion; the status in its header. */
uint32_t ask(struct machine *m, const struct vstor_packet *packet,
	     uint32_t size)
{
	uint64_t transaction;

	send_packet(m, &m->ch, packet, size);
	assert_int_equal(receive(m, &m->ch, &transaction), 0);
	assert_int_equal(transaction, m->transaction);
	assert_int_equal(le32_to_cpu(m->reply.header.operation),
			 VSTOR_COMPLETE_IO);
	return le32_to_cpu(m->reply.header.status);
}

uint32_t ask_operation(struct machine *m, uint32_t operation)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(operation),
		.header.flags = cpu_to_le32(1),
	};

	return ask(m, &packet, PACKET);
}

uint32_t ask_version(struct machine *m, uint16_t version, uint32_t size)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_QUERY_VERSION),
		.version.version = cpu_to_le16(version),
	};

	return ask(m, &packet, size);
}

uint32_t ask_subchannels(struct machine *m, uint16_t count)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_CREATE_SUBCHANNELS),
		.subchannels = cpu_to_le16(count),
	};

	return ask(m, &packet, PACKET);
}

void open_subchannel(struct machine *m, uint32_t vp, struct guest_channel *ch)
{
	assert_int_equal(ask_subchannels(m, 1), 0);
	assert_int_equal(guest_expect(m->g, VMBUS_OFFER_CHANNEL, &m->offer[1],
				      sizeof(m->offer[1])), 0);
	assert_int_equal(guest_open(m->g, &m->offer[1], RING_PAGES, vp, ch), 0);
}

void negotiate(struct machine *m)
{
	assert_int_equal(ask_operation(m, VSTOR_BEGIN_INIT), 0);
	assert_int_equal(ask_version(m, VSTOR_VERSION(6, 2), PACKET), 0);
	assert_int_equal(ask_operation(m, VSTOR_QUERY_PROPERTIES), 0);
	assert_int_equal(ask_operation(m, VSTOR_END_INIT), 0);
}

/* SRBs. */

struct vstor_packet srb(uint8_t lun, enum vstor_data direction,
			uint32_t size, const uint8_t *cdb,
			uint8_t cdb_size)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_EXECUTE_SRB),
		.header.flags = cpu_to_le32(1),
		.srb = {
			.length = cpu_to_le16(sizeof(packet.srb)),
			.lun = lun,
			.cdb_size = cdb_size,
			.sense_size = VSTOR_SRB_SENSE_SIZE,
			.data_in = (uint8_t)direction,
			.data_size = cpu_to_le32(size),
		},
	};

	memcpy(packet.srb.cdb, cdb, cdb_size);
	return packet;
}

struct page_list page_list(uint32_t offset, uint32_t size,
			   const uint64_t *pfn, uint32_t nr)
{
	struct ring_gpa_direct direct = { .range_count = cpu_to_le32(1) };
	struct ring_gpa_range range = {
		.byte_count = cpu_to_le32(size),
		.byte_offset = cpu_to_le32(offset),
	};
	struct page_list list = { .size = 16 + nr * 8 };

	memcpy(list.bytes, &direct, sizeof(direct));
	memcpy(list.bytes + 8, &range, sizeof(range));
	memcpy(list.bytes + 16, pfn, nr * 8);
	return list;
}

void send_srb(struct machine *m, struct guest_channel *ch,
	      const struct vstor_packet *packet,
	      const struct page_list *list)
{
	assert_int_equal(guest_send(ch, RING_PACKET_GPA_DIRECT,
				    RING_FLAG_COMPLETION_REQUESTED,
				    ++m->transaction, list->bytes, list->size,
				    packet, PACKET), 0);
}

void expect_srb(struct machine *m, uint8_t srb_status, uint32_t moved)
{
	assert_int_equal(m->reply.srb.srb_status, srb_status);
	assert_int_equal(le32_to_cpu(m->reply.srb.data_size), moved);
}

void ask_srb(struct machine *m, const struct vstor_packet *packet,
	     const struct page_list *list)
{
	uint64_t transaction;

	send_srb(m, &m->ch, packet, list);
	assert_int_equal(receive(m, &m->ch, &transaction), 0);
	assert_int_equal(transaction, m->transaction);
	assert_int_equal(m->reply_size, PACKET);
	assert_int_equal(le32_to_cpu(m->reply.header.operation),
			 VSTOR_COMPLETE_IO);
	assert_int_equal(le16_to_cpu(m->reply.srb.length), 52);
}

/* Reads or writes `blocks` at `lba` from the offset in the pages. */
void transfer(struct machine *m, bool write, uint32_t lba,
	      uint16_t blocks, uint32_t offset, const uint64_t *pfn)
{
	uint32_t size = blocks * 512u;
	uint8_t cdb[10] = { write ? 0x2a : 0x28, 0, 0, 0,
			    (uint8_t)(lba >> 8), (uint8_t)lba, 0,
			    (uint8_t)(blocks >> 8), (uint8_t)blocks, 0 };
	struct vstor_packet packet = srb(0, write ? VSTOR_DATA_WRITE :
						    VSTOR_DATA_READ,
					 size, cdb, sizeof(cdb));
	struct page_list list = page_list(offset, size, pfn,
					  (offset + size + 4095) / 4096);

	ask_srb(m, &packet, &list);
	expect_srb(m, VSTOR_SRB_SUCCESS, size);
	assert_int_equal(le32_to_cpu(m->reply.header.status), 0);
}
