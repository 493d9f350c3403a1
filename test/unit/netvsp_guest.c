/* SPDX-License-Identifier: MIT */
/*
 * Netvsc for tests, theory of operation
 *
 * The guest's driver reads everything in a ring at once and sorts it:
 * completions, frames, the last RNDIS message, the last table. Packets of
 * frames and messages are given back as they are read, unless `keep`.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/nic_loopback.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

static const struct guid instance = GUID_INIT(0x1c8cbd4b, 0x6e19, 0x4a63, 0x9d,
					      0x31, 0x00, 0x15, 0x5d, 0x00,
					      0x00, 0x01);

/* The machine. */

static void noted(void *opaque)
{
	((struct nic_machine *)opaque)->destroyed = true;
}

static uint16_t at_most;

void nic_at_most(uint16_t version)
{
	at_most = version;
}

void nic_create(struct nic_machine *m, unsigned int vps, uint16_t queues,
		uint16_t mtu, uint32_t ring_pages)
{
	struct nic_loopback_config loopback = {
		.mac = { 0x00, 0x15, 0x5d, 1, 2, 3 },
	};
	struct netvsp_config config = {
		.instance = instance, .queues = queues, .mtu = mtu,
		.offloads = true, .max_version = at_most,
	};

	memset(m, 0, sizeof(*m));
	m->g = guest_driver_create(4096, vps, 0);
	loopback.memory = &m->g->memory;
	loopback.reactor = m->g->reactor[0];
	m->nic = nic_loopback_create(&loopback);
	assert_non_null(m->nic);
	nic_wrap(m->nic);
	config.memory = &m->g->memory;
	config.reactor = m->g->reactor[0];
	config.nic = m->nic;
	assert_int_equal(netvsp_create(m->g->server, &config, &m->netvsp), 0);
	assert_int_equal(guest_contact(m->g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(guest_request_offers(m->g, &m->nr_offers, m->offer,
					      NIC_MAX_CHANNELS), 0);
	assert_int_equal(m->nr_offers, 1);
	assert_memory_equal(&m->offer[0].instance, &instance, 16);
	assert_int_equal(guest_open(m->g, &m->offer[0], ring_pages, 0,
				    &m->ch[0]), 0);
	m->nr_channels = 1;
	m->message_size = NVS_SIZE_61;
	guest_pages(m->g, m->receive_pfn, NIC_RECEIVE_PAGES);
	guest_pages(m->g, m->send_pfn, NIC_SEND_PAGES);
	guest_pages(m->g, m->scratch, 20);
}

static void destroy(void *arg)
{
	struct nic_machine *m = arg;

	netvsp_destroy(m->netvsp, noted, m);
}

void nic_destroy(struct nic_machine *m)
{
	reactor_run(m->g->reactor[0], destroy, m);
	reactor_inline_drain();
	assert_true(m->destroyed);
	assert_null(m->nic->event);
	m->nic->ops->close(m->nic);
	assert_int_equal(m->g->memory.holds, 0);
	guest_driver_destroy(m->g);
}

/* Packets. */

static uint8_t *receive_at(struct nic_machine *m, uint32_t offset)
{
	assert_true(offset / 4096 < m->receive_pages);
	return (uint8_t *)guest_page(m->g, m->receive_pfn[offset / 4096]) +
	       offset % 4096;
}

static void receive_copy(struct nic_machine *m, uint32_t offset, void *to,
			 uint32_t size)
{
	for (uint8_t *at = to; size; size--)
		*at++ = *receive_at(m, offset++);
}

void nic_give_back(struct nic_machine *m, unsigned int channel,
		   uint64_t transaction)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(NVS_STATUS_SUCCESS),
	};

	assert_int_equal(guest_send(&m->ch[channel], RING_PACKET_COMPLETION, 0,
				    transaction, NULL, 0, &message,
				    m->message_size), 0);
}

static void took_pages(struct nic_machine *m, unsigned int channel,
		       const struct ring_packet *packet)
{
	struct ring_transfer_pages pages;
	struct ring_transfer_range range;
	struct nvs_message message = { 0 };
	const uint8_t *at = packet->header + sizeof(pages);

	assert_true(packet->wants_completion);
	assert_int_equal(packet->payload_size, m->message_size);
	memcpy(&pages, packet->header, sizeof(pages));
	memcpy(&message, packet->payload, m->message_size);
	assert_int_equal(le16_to_cpu(pages.set_id), NVS_RECEIVE_BUFFER_ID);
	assert_int_equal(le32_to_cpu(message.type), NVS_RNDIS_PACKET);
	assert_int_equal(packet->header_size, sizeof(pages) +
			 le32_to_cpu(pages.range_count) * sizeof(range));
	memcpy(&range, at, sizeof(range));
	if (le32_to_cpu(message.rndis.channel) == NVS_CHANNEL_CONTROL) {
		assert_int_equal(le32_to_cpu(pages.range_count), 1);
		assert_true(le32_to_cpu(range.byte_count) <=
			    sizeof(m->control));
		m->has_control = true;
		m->control_size = le32_to_cpu(range.byte_count);
		receive_copy(m, le32_to_cpu(range.byte_offset), m->control,
			     m->control_size);
		return;
	}
	m->nr_packets++;
	for (uint32_t i = 0; i < le32_to_cpu(pages.range_count); i++) {
		memcpy(&range, at + i * sizeof(range), sizeof(range));
		assert_true(m->nr_frames < NIC_MAX_FRAMES);
		m->frame[m->nr_frames++] = (struct got_frame){
			.channel = (uint8_t)channel,
			.transaction = packet->transaction,
			.offset = le32_to_cpu(range.byte_offset),
			.size = le32_to_cpu(range.byte_count),
		};
	}
}

static void took(struct nic_machine *m, unsigned int channel,
		 const struct ring_packet *packet)
{
	struct got_completion *completion;

	switch (packet->type) {
	case RING_PACKET_COMPLETION:
		assert_true(m->nr_completions < NIC_MAX_FRAMES);
		completion = &m->completion[m->nr_completions++];
		memset(completion, 0, sizeof(*completion));
		completion->channel = (uint8_t)channel;
		completion->transaction = packet->transaction;
		completion->size = packet->payload_size;
		assert_true(packet->payload_size <= NVS_SIZE_61);
		memcpy(&completion->message, packet->payload,
		       packet->payload_size);
		break;
	case RING_PACKET_TRANSFER_PAGES:
		took_pages(m, channel, packet);
		if (!m->keep)
			nic_give_back(m, channel, packet->transaction);
		break;
	case RING_PACKET_INBAND:
		assert_true(packet->payload_size <= sizeof(m->table));
		m->has_table = true;
		m->table_size = packet->payload_size;
		memcpy(m->table, packet->payload, packet->payload_size);
		break;
	default:
		fail();
	}
}

void nic_pump(struct nic_machine *m, unsigned int channel)
{
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct ring_packet packet;

	while (!guest_receive(&m->ch[channel], bytes, &packet))
		took(m, channel, &packet);
}

/* NVSP. */

void nvs_send(struct nic_machine *m, unsigned int channel,
	      const struct nvs_message *message, const struct nic_list *list)
{
	assert_int_equal(guest_send(&m->ch[channel],
				    list ? RING_PACKET_GPA_DIRECT :
					   RING_PACKET_INBAND,
				    RING_FLAG_COMPLETION_REQUESTED,
				    ++m->transaction, list ? list->bytes : NULL,
				    list ? list->size : 0, message,
				    m->message_size), 0);
}

bool nvs_completed(struct nic_machine *m, uint64_t transaction,
		   struct got_completion *out)
{
	for (unsigned int i = 0; i < m->nr_completions; i++) {
		if (m->completion[i].transaction != transaction)
			continue;
		*out = m->completion[i];
		m->nr_completions--;
		memmove(&m->completion[i], &m->completion[i + 1],
			(m->nr_completions - i) * sizeof(*out));
		return true;
	}
	return false;
}

uint32_t nvs_ask(struct nic_machine *m, const struct nvs_message *message,
		 const struct nic_list *list, struct nvs_message *reply)
{
	struct got_completion completion;

	nvs_send(m, 0, message, list);
	nic_pump(m, 0);
	assert_true(nvs_completed(m, m->transaction, &completion));
	*reply = completion.message;
	return completion.size;
}

uint32_t nvs_init(struct nic_machine *m, uint32_t version)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_INIT),
		.init.min_version = cpu_to_le32(version),
		.init.max_version = cpu_to_le32(version),
	}, reply;
	uint32_t status;

	m->message_size = version >= NVS_VERSION_61 ? NVS_SIZE_61 : NVS_SIZE;
	assert_int_equal(nvs_ask(m, &message, NULL, &reply), m->message_size);
	assert_int_equal(le32_to_cpu(reply.type), NVS_INIT_COMPLETE);
	assert_int_equal(le32_to_cpu(reply.init_complete.max_mdl_chain), 34);
	status = le32_to_cpu(reply.init_complete.status);
	return status;
}

void nvs_tell(struct nic_machine *m, unsigned int channel,
	      const struct nvs_message *message)
{
	assert_int_equal(guest_send(&m->ch[channel], RING_PACKET_INBAND, 0, 0,
				    NULL, 0, message, m->message_size), 0);
}

void nvs_config(struct nic_machine *m, uint32_t mtu)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_NDIS_CONFIG),
		.ndis_config.mtu = cpu_to_le32(mtu),
	};

	nvs_tell(m, 0, &message);
	message = (struct nvs_message){
		.type = cpu_to_le32(NVS_NDIS_VERSION),
		.ndis_version.major = cpu_to_le32(6),
		.ndis_version.minor = cpu_to_le32(30),
	};
	nvs_tell(m, 0, &message);
}

uint32_t nvs_receive_buffer(struct nic_machine *m, uint32_t pages)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SEND_RECEIVE_BUFFER),
		.buffer.id = cpu_to_le16(NVS_RECEIVE_BUFFER_ID),
	}, reply;
	const struct nvs_receive_buffer_complete *complete =
		&reply.receive_buffer_complete;

	m->receive_pages = pages;
	assert_int_equal(guest_gpadl_create(m->g, m->ch[0].id, m->receive_pfn,
					    pages, &m->receive_gpadl), 0);
	message.buffer.gpadl = cpu_to_le32(m->receive_gpadl);
	assert_int_equal(nvs_ask(m, &message, NULL, &reply), m->message_size);
	assert_int_equal(le32_to_cpu(reply.type), NVS_RECEIVE_BUFFER_COMPLETE);
	if (le32_to_cpu(complete->status) == NVS_STATUS_SUCCESS) {
		assert_int_equal(le32_to_cpu(complete->nr_sections), 1);
		assert_int_equal(le32_to_cpu(complete->section[0].offset), 0);
		m->slot_size = le32_to_cpu(complete->section[0].slot_size);
		m->nr_slots = le32_to_cpu(complete->section[0].nr_slots);
		assert_int_equal(le32_to_cpu(complete->section[0].end),
				 m->slot_size * m->nr_slots);
		assert_true(m->slot_size * m->nr_slots <= pages * 4096);
	}
	return le32_to_cpu(complete->status);
}

uint32_t nvs_send_buffer(struct nic_machine *m)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SEND_SEND_BUFFER),
	}, reply;

	assert_int_equal(guest_gpadl_create(m->g, m->ch[0].id, m->send_pfn,
					    NIC_SEND_PAGES, &m->send_gpadl), 0);
	message.buffer.gpadl = cpu_to_le32(m->send_gpadl);
	assert_int_equal(nvs_ask(m, &message, NULL, &reply), m->message_size);
	assert_int_equal(le32_to_cpu(reply.type), NVS_SEND_BUFFER_COMPLETE);
	if (le32_to_cpu(reply.send_buffer_complete.status) ==
	    NVS_STATUS_SUCCESS)
		assert_int_equal(le32_to_cpu(
			reply.send_buffer_complete.section_size), 6144);
	return le32_to_cpu(reply.send_buffer_complete.status);
}

void nvs_revoke(struct nic_machine *m, enum nvs_type type)
{
	struct nvs_message message = { .type = cpu_to_le32(type) };

	nvs_tell(m, 0, &message);
}

void nic_open_subchannels(struct nic_machine *m, unsigned int subs)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SUBCHANNEL),
		.subchannel.operation = cpu_to_le32(NVS_SUBCHANNEL_ALLOCATE),
		.subchannel.count = cpu_to_le32(subs),
	}, reply;

	nvs_ask(m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.subchannel.operation),
			 NVS_STATUS_SUCCESS);
	assert_int_equal(le32_to_cpu(reply.subchannel.count), subs);
	for (unsigned int i = 1; i <= subs; i++) {
		assert_int_equal(guest_expect(m->g, VMBUS_OFFER_CHANNEL,
					      &m->offer[i],
					      sizeof(m->offer[i])), 0);
		assert_int_equal(le16_to_cpu(m->offer[i].sub_index), i);
		assert_memory_equal(&m->offer[i].instance, &instance, 16);
	}
	assert_int_equal(m->g->nr_inbox, 0);
	for (unsigned int i = 1; i <= subs; i++) {
		assert_int_equal(guest_open(m->g, &m->offer[i], NIC_RING_PAGES,
					    i % m->g->nr_vps, &m->ch[i]), 0);
		m->nr_channels++;
	}
}

void nic_up(struct nic_machine *m, uint32_t version, unsigned int subs)
{
	if (version)
		assert_int_equal(nvs_init(m, version), NVS_STATUS_SUCCESS);
	if (version != NVS_VERSION_1)
		nvs_config(m, 1514);
	assert_int_equal(nvs_receive_buffer(m, NIC_RECEIVE_PAGES),
			 NVS_STATUS_SUCCESS);
	assert_int_equal(nvs_send_buffer(m), NVS_STATUS_SUCCESS);
	rndis_initialize(m);
	if (subs)
		nic_open_subchannels(m, subs);
	rndis_filter(m, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST |
		     RNDIS_FILTER_ALL_MULTICAST);
}

void list_begin(struct nic_list *list)
{
	memset(list, 0, sizeof(*list));
	list->size = sizeof(struct ring_gpa_direct);
}

void list_add(struct nic_list *list, uint64_t pfn, uint32_t offset,
	      uint32_t size)
{
	struct ring_gpa_range range = {
		.byte_count = cpu_to_le32(size),
		.byte_offset = cpu_to_le32(offset),
	};
	struct ring_gpa_direct direct;

	memcpy(&direct, list->bytes, sizeof(direct));
	direct.range_count =
		cpu_to_le32(le32_to_cpu(direct.range_count) + 1);
	memcpy(list->bytes, &direct, sizeof(direct));
	assert_true(list->size + sizeof(range) + 8 <= sizeof(list->bytes));
	memcpy(list->bytes + list->size, &range, sizeof(range));
	memcpy(list->bytes + list->size + sizeof(range), &pfn, sizeof(pfn));
	list->size += sizeof(range) + sizeof(pfn);
}

/* Bytes into the scratch pages from an offset on, and a list of them. */
static void scatter(struct nic_machine *m, const uint8_t *bytes, uint32_t size,
		    uint32_t offset, struct nic_list *list)
{
	list_begin(list);
	for (unsigned int page = 0; size; page++, offset = 0) {
		uint32_t n = 4096 - offset < size ? 4096 - offset : size;

		assert_true(page < 20);
		memcpy((uint8_t *)guest_page(m->g, m->scratch[page]) + offset,
		       bytes, n);
		list_add(list, m->scratch[page], offset, n);
		bytes += n;
		size -= n;
	}
}

/* RNDIS. */

uint32_t rndis_send(struct nic_machine *m, const void *message, uint32_t size,
		    uint32_t offset)
{
	struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_CONTROL),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	}, reply;
	struct nic_list list;

	m->has_control = false;
	scatter(m, message, size, offset, &list);
	assert_int_equal(nvs_ask(m, &nvs, &list, &reply), m->message_size);
	assert_int_equal(le32_to_cpu(reply.type), NVS_RNDIS_PACKET_COMPLETE);
	return le32_to_cpu(reply.complete.status);
}

void rndis_initialize(struct nic_machine *m)
{
	struct rndis_initialize message = {
		.request.header.type = cpu_to_le32(RNDIS_INITIALIZE),
		.request.header.length = cpu_to_le32(sizeof(message)),
		.request.id = cpu_to_le32(++m->rndis_id),
		.major = cpu_to_le32(1),
		.max_transfer = cpu_to_le32(0x4000),
	};
	struct rndis_initialize_complete reply;

	assert_int_equal(rndis_send(m, &message, sizeof(message), 0),
			 NVS_STATUS_SUCCESS);
	assert_true(m->has_control);
	assert_int_equal(m->control_size, sizeof(reply));
	memcpy(&reply, m->control, sizeof(reply));
	assert_int_equal(le32_to_cpu(reply.request.header.type), 0x80000002);
	assert_int_equal(le32_to_cpu(reply.request.id), m->rndis_id);
	assert_int_equal(le32_to_cpu(reply.status), 0);
	assert_int_equal(le32_to_cpu(reply.max_packets), 8);
	assert_int_equal(le32_to_cpu(reply.alignment_shift), 3);
}

uint32_t rndis_ask(struct nic_machine *m, uint32_t oid, const void *asked,
		   uint32_t asked_size, const uint8_t **info, uint32_t *size)
{
	struct rndis_query_complete reply;
	struct {
		struct rndis_oid_request request;
		uint8_t info[1024];
	} __packed message = {
		.request.request.header.type = cpu_to_le32(RNDIS_QUERY),
		.request.request.header.length =
			cpu_to_le32(sizeof(message.request) + asked_size),
		.request.request.id = cpu_to_le32(++m->rndis_id),
		.request.oid = cpu_to_le32(oid),
		.request.info_size = cpu_to_le32(asked_size),
		.request.info_offset = cpu_to_le32(20),
	};

	if (asked_size)
		memcpy(message.info, asked, asked_size);
	assert_int_equal(rndis_send(m, &message, sizeof(message.request) +
				    asked_size, 0), NVS_STATUS_SUCCESS);
	assert_true(m->has_control);
	memcpy(&reply, m->control, sizeof(reply));
	assert_int_equal(le32_to_cpu(reply.request.header.type), 0x80000004);
	assert_int_equal(le32_to_cpu(reply.request.header.length),
			 m->control_size);
	assert_int_equal(le32_to_cpu(reply.request.id), m->rndis_id);
	*size = le32_to_cpu(reply.info_size);
	if (*size)
		assert_int_equal(le32_to_cpu(reply.info_offset), 16);
	*info = m->control + sizeof(reply);
	assert_int_equal(m->control_size, sizeof(reply) + *size);
	return le32_to_cpu(reply.status);
}

uint32_t rndis_word(struct nic_machine *m, uint32_t oid)
{
	const uint8_t *info;
	uint32_t size, word;

	assert_int_equal(rndis_ask(m, oid, NULL, 0, &info, &size), 0);
	assert_int_equal(size, 4);
	memcpy(&word, info, 4);
	return word;
}

uint32_t rndis_put(struct nic_machine *m, uint32_t oid, const void *info,
		   uint32_t size)
{
	struct rndis_set_complete reply;
	struct {
		struct rndis_oid_request request;
		uint8_t info[1024];
	} __packed message = {
		.request.request.header.type = cpu_to_le32(RNDIS_SET),
		.request.request.header.length =
			cpu_to_le32(sizeof(message.request) + size),
		.request.request.id = cpu_to_le32(++m->rndis_id),
		.request.oid = cpu_to_le32(oid),
		.request.info_size = cpu_to_le32(size),
		.request.info_offset = cpu_to_le32(20),
	};

	memcpy(message.info, info, size);
	assert_int_equal(rndis_send(m, &message, sizeof(message.request) +
				    size, 0), NVS_STATUS_SUCCESS);
	assert_true(m->has_control);
	memcpy(&reply, m->control, sizeof(reply));
	/* An indication may have come behind it. */
	if (le32_to_cpu(reply.request.header.type) == RNDIS_INDICATE)
		return 0;
	assert_int_equal(m->control_size, sizeof(reply));
	assert_int_equal(le32_to_cpu(reply.request.header.type), 0x80000005);
	assert_int_equal(le32_to_cpu(reply.request.id), m->rndis_id);
	return le32_to_cpu(reply.status);
}

void rndis_filter(struct nic_machine *m, uint32_t filter)
{
	assert_int_equal(rndis_put(m, OID_CURRENT_PACKET_FILTER, &filter,
				   sizeof(filter)), 0);
}

/* Frames. */

void nic_fill(uint8_t *frame, uint32_t size, uint8_t seed)
{
	for (uint32_t i = 0; i < size; i++)
		frame[i] = (uint8_t)(seed + i * 7 + (i >> 8));
	frame[12] = 0x88; /* local experimental */
	frame[13] = 0xb5;
}

uint32_t rndis_frame(uint8_t *to, const void *frame, uint32_t size,
		     const struct nic_ppi *ppi, unsigned int nr_ppi,
		     uint32_t padding)
{
	uint32_t ppis = nr_ppi * (uint32_t)sizeof(struct rndis_ppi_word);
	uint32_t total = 44 + ppis + size + padding;
	struct rndis_packet packet = {
		.header.type = cpu_to_le32(RNDIS_PACKET),
		.header.length = cpu_to_le32(total),
		.data_offset = cpu_to_le32(36 + ppis),
		.data_size = cpu_to_le32(size),
		.ppi_offset = cpu_to_le32(ppis ? 36 : 0),
		.ppi_size = cpu_to_le32(ppis),
	};

	memset(to, 0, total);
	memcpy(to, &packet, sizeof(packet));
	for (unsigned int i = 0; i < nr_ppi; i++) {
		struct rndis_ppi_word word = {
			.ppi.size = cpu_to_le32(sizeof(word)),
			.ppi.type = cpu_to_le32(ppi[i].type),
			.ppi.offset = cpu_to_le32(sizeof(word.ppi)),
			.value = cpu_to_le32(ppi[i].value),
		};

		memcpy(to + 44 + i * sizeof(word), &word, sizeof(word));
	}
	memcpy(to + 44 + ppis, frame, size);
	return total;
}

static void to_section(struct nic_machine *m, uint32_t section,
		       const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		uint32_t at = section * 6144 + i;

		((uint8_t *)guest_page(m->g, m->send_pfn[at / 4096]))
			[at % 4096] = bytes[i];
	}
}

void nic_send_section(struct nic_machine *m, unsigned int channel,
		      uint32_t section, const void *bytes, uint32_t size)
{
	struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.section = cpu_to_le32(section),
		.rndis.section_size = cpu_to_le32(size),
	};

	to_section(m, section, bytes, size);
	nvs_send(m, channel, &nvs, NULL);
}

void nic_send_pages(struct nic_machine *m, unsigned int channel,
		    const void *bytes, uint32_t size, uint32_t offset,
		    uint32_t in_section)
{
	struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.section = cpu_to_le32(in_section ? 0 : NVS_NO_SECTION),
		.rndis.section_size = cpu_to_le32(in_section),
	};
	struct nic_list list;

	to_section(m, 0, bytes, in_section);
	scatter(m, (const uint8_t *)bytes + in_section, size - in_section,
		offset, &list);
	nvs_send(m, channel, &nvs, &list);
}

uint32_t nic_take_frame(struct nic_machine *m, struct rndis_packet *packet,
			struct nic_ppi *ppi, unsigned int *nr_ppi, uint8_t *to)
{
	struct got_frame frame = m->frame[0];
	uint32_t size, ppis, at;

	if (!m->nr_frames)
		return 0;
	memmove(&m->frame[0], &m->frame[1],
		--m->nr_frames * sizeof(m->frame[0]));
	receive_copy(m, frame.offset, packet, sizeof(*packet));
	assert_int_equal(le32_to_cpu(packet->header.type), RNDIS_PACKET);
	assert_int_equal(le32_to_cpu(packet->header.length), frame.size);
	size = le32_to_cpu(packet->data_size);
	assert_true(le32_to_cpu(packet->data_offset) + 8 + size <= frame.size);
	ppis = le32_to_cpu(packet->ppi_size);
	at = frame.offset + 8 + le32_to_cpu(packet->ppi_offset);
	for (*nr_ppi = 0; ppis; ppis -= 16, at += 16) {
		struct rndis_ppi_word word;

		receive_copy(m, at, &word, sizeof(word));
		assert_int_equal(le32_to_cpu(word.ppi.size), 16);
		assert_int_equal(le32_to_cpu(word.ppi.offset), 12);
		ppi[(*nr_ppi)++] = (struct nic_ppi){
			le32_to_cpu(word.ppi.type), le32_to_cpu(word.value),
		};
	}
	receive_copy(m, frame.offset + 8 + le32_to_cpu(packet->data_offset), to,
		     size);
	return size;
}

void nic_shut(struct nic_machine *m)
{
	struct vmbus_channel_message rescind;

	for (unsigned int i = m->nr_channels; i-- > 1;)
		assert_int_equal(guest_close(&m->ch[i]), 0);
	for (unsigned int i = m->nr_channels; i-- > 1;) {
		assert_int_equal(guest_gpadl_teardown(m->g, m->ch[i].id,
						      m->ch[i].gpadl), 0);
		guest_channel_free(&m->ch[i]);
	}
	assert_int_equal(guest_close(&m->ch[0]), 0);
	/* Sub-channels that were offered go with it. */
	while (m->g->nr_inbox) {
		assert_int_equal(guest_expect(m->g, VMBUS_RESCIND_CHANNEL,
					      &rescind, sizeof(rescind)), 0);
		assert_int_equal(guest_post(m->g, VMBUS_REL_ID_RELEASED,
					    &rescind, sizeof(rescind)), 0);
	}
	assert_int_equal(guest_gpadl_teardown(m->g, m->ch[0].id,
					      m->ch[0].gpadl), 0);
	guest_channel_free(&m->ch[0]);
}

void nic_round_trip(struct nic_machine *m, unsigned int channel,
		       uint32_t size)
{
	struct got_completion completion;
	struct rndis_packet packet;
	struct nic_ppi ppi[4];
	unsigned int nr;
	static uint8_t frame[9100], bytes[9300], got[9300];
	uint32_t total;

	nic_fill(frame, size, (uint8_t)size);
	total = rndis_frame(bytes, frame, size, NULL, 0, 0);
	if (total <= 6144)
		nic_send_section(m, channel, channel, bytes, total);
	else
		nic_send_pages(m, channel, bytes, total, 40, 0);
	nic_pump(m, channel);
	assert_true(nvs_completed(m, m->transaction, &completion));
	assert_int_equal(completion.size, m->message_size);
	assert_int_equal(le32_to_cpu(completion.message.type),
			 NVS_RNDIS_PACKET_COMPLETE);
	assert_int_equal(le32_to_cpu(completion.message.complete.status),
			 NVS_STATUS_SUCCESS);
	assert_int_equal(m->nr_frames, 1);
	assert_int_equal(m->frame[0].channel, channel);
	assert_int_equal(nic_take_frame(m, &packet, ppi, &nr, got), size);
	assert_memory_equal(got, frame, size);
}

void nic_expect_status(struct nic_machine *m, uint32_t status)
{
	struct got_completion completion;

	assert_true(nvs_completed(m, m->transaction, &completion));
	assert_int_equal(le32_to_cpu(completion.message.complete.status),
			 status);
}
