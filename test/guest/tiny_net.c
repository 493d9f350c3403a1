// SPDX-License-Identifier: MIT
/*
 * The NIC driver of the tiny guest, theory of operation
 *
 * Owns a NIC's channels and buffers, which pages() gave it: they are gone with
 * the case. One request after the other; nothing happens but in nic_take(),
 * which files one packet:
 *
 *	completion       nic->reply, nic->completed
 *	transfer pages   an RNDIS answer: nic->control; frames: checked
 *	inband           the indirection table
 *
 * RNDIS is in tiny_net_rndis.c, frames are in tiny_net_frame.c. RNDIS messages
 * have transaction 0, as the smallest known client's.
 *
 * Failure answers: what a server must not send fails the case.
 */
#include "tiny_hv.h"
#include "tiny_net.h"

#define VERSION_MAJOR 6 /* of NDIS */
#define VERSION_MINOR 30

const struct nic_plan nic_small = { 16, 256, 64, 1514, false };

const struct vmbus_offer_channel *nic_offer(uint32_t n)
{
	static const struct guid interface = NVS_INTERFACE;

	return offer_of(&interface, n);
}

/* ---- page lists ---- */

void nic_list_begin(struct nic_list *list)
{
	list->words = 1;
	list->word[0] = 0;
}

static void begin_range(struct nic_list *list, uint32_t offset, uint32_t bytes)
{
	list->word[0] += 1ull << 32;
	list->word[list->words++] = bytes | (uint64_t)offset << 32;
}

void nic_list_add(struct nic_list *list, const void *at, uint32_t bytes)
{
	uint32_t offset = (uint64_t)at % TINY_PAGE;
	uint64_t pfn = (uint64_t)at / TINY_PAGE;

	begin_range(list, offset, bytes);
	for (uint32_t done = 0; done < offset + bytes; done += TINY_PAGE)
		list->word[list->words++] = pfn++;
}

void nic_list_split(struct nic_list *list, uint32_t offset, uint32_t bytes,
		    const void *first_page, const void *second_page)
{
	begin_range(list, offset, bytes);
	list->word[list->words++] = (uint64_t)first_page / TINY_PAGE;
	if (offset + bytes > TINY_PAGE)
		list->word[list->words++] = (uint64_t)second_page / TINY_PAGE;
}

/* ---- what comes ---- */

static bool take_completion(struct nic *nic, const struct packet *p)
{
	uint32_t type;

	nic->reply_size = p->size;
	memset(&nic->reply, 0, sizeof(nic->reply));
	memcpy(&nic->reply, p->payload, p->size < sizeof(nic->reply) ?
						p->size : sizeof(nic->reply));
	nic->completed = p->transaction;
	nic->completions++;
	type = le32_to_cpu(nic->reply.type);
	if (type == NVS_RNDIS_PACKET_COMPLETE &&
	    le32_to_cpu(nic->reply.complete.status) != NVS_STATUS_SUCCESS)
		nic->failures++;
	return true;
}

static bool take_inband(struct nic *nic, const struct packet *p)
{
	struct nvs_message message;
	uint32_t at;

	NEED(p->size >= sizeof(message));
	memcpy(&message, p->payload, sizeof(message));
	NEED(le32_to_cpu(message.type) == NVS_INDIRECTION_TABLE);
	NEED(le32_to_cpu(message.table.count) == NVS_INDIRECTION_ENTRIES);
	at = le32_to_cpu(message.table.offset);
	NEED(at <= p->size && p->size - at >= sizeof(nic->table));
	memcpy(nic->table, p->payload + at, sizeof(nic->table));
	nic->tables++;
	return true;
}

/* An RNDIS message in a slot. */
static bool take_message(struct nic *nic, struct channel *ch, uint32_t channel,
			 const uint8_t *at, uint32_t size)
{
	struct rndis_packet packet;
	uint32_t offset, length;

	NEED(size >= sizeof(packet.header));
	memcpy(&packet.header, at, sizeof(packet.header));
	NEED(le32_to_cpu(packet.header.length) == size);
	if (le32_to_cpu(packet.header.type) != RNDIS_PACKET) {
		NEED(channel == NVS_CHANNEL_CONTROL && ch == &nic->ch);
		NEED(size <= sizeof(nic->control));
		memcpy(nic->control, at, size);
		nic->control_size = size;
		nic->controls++;
		return true;
	}
	NEED(channel == NVS_CHANNEL_DATA && size >= sizeof(packet));
	memcpy(&packet, at, sizeof(packet));
	offset = le32_to_cpu(packet.data_offset);
	length = le32_to_cpu(packet.data_size);
	NEED(offset <= size - RNDIS_OFFSET_BASE &&
	     length <= size - RNDIS_OFFSET_BASE - offset);
	nic->frame_channel = ch;
	return nic_check_frame(nic, at + RNDIS_OFFSET_BASE + offset, length);
}

static bool give_back(struct nic *nic, struct channel *ch, uint64_t transaction)
{
	const struct nvs_message done = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(NVS_STATUS_SUCCESS),
	};

	return ring_push(ch, RING_PACKET_COMPLETION, 0, transaction, NULL, 0,
			 &done, nic->message_size);
}

static bool take_pages(struct nic *nic, struct channel *ch,
		       const struct packet *p)
{
	struct ring_transfer_pages pages;
	struct ring_transfer_range range;
	struct nvs_message message;
	uint32_t n;

	if (nic->revoked)
		return true;
	memcpy(&pages, p->header, sizeof(pages));
	memcpy(&message, p->payload, sizeof(message));
	n = le32_to_cpu(pages.range_count);
	NEED(le16_to_cpu(pages.set_id) == NVS_RECEIVE_BUFFER_ID);
	NEED(n && n <= PACKET_RANGES &&
	     p->header_size == sizeof(pages) + n * sizeof(range));
	NEED(p->size >= NVS_SIZE &&
	     le32_to_cpu(message.type) == NVS_RNDIS_PACKET);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t offset, size;

		memcpy(&range, p->header + sizeof(pages) + i * sizeof(range),
		       sizeof(range));
		offset = le32_to_cpu(range.byte_offset);
		size = le32_to_cpu(range.byte_count);
		NEED(size <= nic->slot_size && offset < nic->receive_bytes &&
		     size <= nic->receive_bytes - offset);
		if (!take_message(nic, ch, le32_to_cpu(message.rndis.channel),
				  nic->receive + offset, size))
			return false;
	}
	return give_back(nic, ch, p->transaction);
}

bool nic_take(struct nic *nic, struct channel *ch, uint32_t ms)
{
	struct packet p;

	if (!ring_wait(ch, &p, ms))
		return false;
	if (p.type == RING_PACKET_COMPLETION)
		return take_completion(nic, &p);
	if (p.type == RING_PACKET_INBAND)
		return take_inband(nic, &p);
	NEED(p.type == RING_PACKET_TRANSFER_PAGES);
	return take_pages(nic, ch, &p);
}

bool nic_wait(struct nic *nic, struct channel *ch, const uint32_t *count,
	      uint32_t n)
{
	while (*count < n)
		NEED(nic_take(nic, ch, VMBUS_MS));
	NEED(*count == n);
	return true;
}

/* ---- NVSP ---- */

static bool send(struct nic *nic, uint16_t flags, uint64_t transaction,
		 const struct nvs_message *message, const struct nic_list *list)
{
	return ring_push(&nic->ch, list ? RING_PACKET_GPA_DIRECT :
					  RING_PACKET_INBAND,
			 flags, transaction, list ? list->word : NULL,
			 list ? list->words * (uint32_t)sizeof(uint64_t) : 0,
			 message, nic->message_size);
}

static bool ask(struct nic *nic, uint64_t transaction,
		const struct nvs_message *message, const struct nic_list *list)
{
	if (!send(nic, RING_FLAG_COMPLETION_REQUESTED, transaction, message,
		  list) ||
	    !nic_wait(nic, &nic->ch, &nic->completions, nic->completions + 1))
		return false;
	NEED(nic->completed == transaction);
	return true;
}

bool nic_ask(struct nic *nic, const struct nvs_message *message,
	     const struct nic_list *list)
{
	return ask(nic, nic->ch.next_transaction++, message, list);
}

bool nic_tell(struct nic *nic, const struct nvs_message *message)
{
	return send(nic, 0, 0, message, NULL);
}

bool nic_open(struct nic *nic, uint32_t n, uint32_t ring_pages)
{
	memset(nic, 0, sizeof(*nic));
	nic->message_size = NVS_SIZE_61;
	nic->control_pages = pages(3);
	nic->stage = pages(NIC_WINDOW * NIC_STAGE_PAGES);
	return channel_open(nic_offer(n), ring_pages, 0, &nic->ch);
}

bool nic_version(struct nic *nic, uint32_t version, uint32_t *status)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_INIT),
		.init.min_version = cpu_to_le32(version),
		.init.max_version = cpu_to_le32(version),
	};

	if (!nic_ask(nic, &message, NULL))
		return false;
	NEED(le32_to_cpu(nic->reply.type) == NVS_INIT_COMPLETE);
	*status = le32_to_cpu(nic->reply.init_complete.status);
	if (*status == NVS_STATUS_SUCCESS && version < NVS_VERSION_61)
		nic->message_size = NVS_SIZE;
	return true;
}

bool nic_config(struct nic *nic, uint32_t mtu)
{
	struct nvs_message config = {
		.type = cpu_to_le32(NVS_NDIS_CONFIG),
		.ndis_config.mtu = cpu_to_le32(mtu),
		.ndis_config.capabilities = cpu_to_le64(8), /* 802.1Q */
	};
	struct nvs_message version = {
		.type = cpu_to_le32(NVS_NDIS_VERSION),
		.ndis_version.major = cpu_to_le32(VERSION_MAJOR),
		.ndis_version.minor = cpu_to_le32(VERSION_MINOR),
	};

	return nic_tell(nic, &config) && nic_tell(nic, &version);
}

/* A GPADL of `n` pages, and what the server says of it as a buffer. */
static bool give_buffer(struct nic *nic, enum nvs_type type, uint16_t id,
			const void *at, uint32_t n, uint32_t *gpadl)
{
	struct nvs_message message = {
		.type = cpu_to_le32(type),
		.buffer.id = cpu_to_le16(id),
	};

	if (!gpadl_create(nic->ch.id, at, n, gpadl))
		return false;
	message.buffer.gpadl = cpu_to_le32(*gpadl);
	return nic_ask(nic, &message, NULL);
}

bool nic_receive_buffer(struct nic *nic, uint32_t n)
{
	struct nvs_receive_buffer_complete *done =
		&nic->reply.receive_buffer_complete;

	nic->receive = pages(n);
	nic->receive_bytes = n * TINY_PAGE;
	if (!give_buffer(nic, NVS_SEND_RECEIVE_BUFFER, NVS_RECEIVE_BUFFER_ID,
			 nic->receive, n, &nic->receive_gpadl))
		return false;
	NEED(le32_to_cpu(nic->reply.type) == NVS_RECEIVE_BUFFER_COMPLETE);
	NEED(le32_to_cpu(done->status) == NVS_STATUS_SUCCESS);
	NEED(le32_to_cpu(done->nr_sections) == 1);
	NEED(!le32_to_cpu(done->section[0].offset));
	nic->slot_size = le32_to_cpu(done->section[0].slot_size);
	nic->nr_slots = le32_to_cpu(done->section[0].nr_slots);
	NEED(nic->nr_slots && nic->slot_size &&
	     nic->nr_slots <= nic->receive_bytes / nic->slot_size);
	return true;
}

bool nic_send_buffer(struct nic *nic, uint32_t n)
{
	struct nvs_send_buffer_complete *done =
		&nic->reply.send_buffer_complete;

	nic->send = pages(n);
	if (!give_buffer(nic, NVS_SEND_SEND_BUFFER, NVS_SEND_BUFFER_ID,
			 nic->send, n, &nic->send_gpadl))
		return false;
	NEED(le32_to_cpu(nic->reply.type) == NVS_SEND_BUFFER_COMPLETE);
	NEED(le32_to_cpu(done->status) == NVS_STATUS_SUCCESS);
	nic->section_size = le32_to_cpu(done->section_size);
	NEED(nic->section_size && nic->section_size % 4 == 0);
	nic->nr_sections = n * TINY_PAGE / nic->section_size;
	return true;
}

bool nic_control(struct nic *nic, const struct nic_list *list,
		 uint32_t *status)
{
	const struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_CONTROL),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};

	if (!ask(nic, 0, &message, list))
		return false;
	NEED(le32_to_cpu(nic->reply.type) == NVS_RNDIS_PACKET_COMPLETE);
	*status = le32_to_cpu(nic->reply.complete.status);
	return true;
}

/* ---- up and down ---- */

bool nic_up(struct nic *nic, uint32_t n, const struct nic_plan *plan)
{
	uint32_t status;

	if (!nic_open(nic, n, plan->ring_pages))
		return false;
	nic->ch.in.control[RING_INTERRUPT_MASK / 4] = plan->masked;
	if (!nic_version(nic, NVS_VERSION_61, &status))
		return false;
	NEED(status == NVS_STATUS_SUCCESS);
	return nic_config(nic, plan->mtu) &&
	       nic_receive_buffer(nic, plan->receive_pages) &&
	       nic_send_buffer(nic, plan->send_pages) && nic_initialize(nic) &&
	       nic_filter(nic, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST);
}

bool nic_revoke(struct nic *nic, enum nvs_type type)
{
	/* Of the buffer it has the id alone, where the GPADL was. */
	struct nvs_message message = {
		.type = cpu_to_le32(type),
		.buffer.gpadl = cpu_to_le32(type == NVS_REVOKE_RECEIVE_BUFFER ?
					    NVS_RECEIVE_BUFFER_ID :
					    NVS_SEND_BUFFER_ID),
	};

	return nic_tell(nic, &message);
}

bool nic_down(struct nic *nic)
{
	return nic_halt(nic) && nic_revoke(nic, NVS_REVOKE_RECEIVE_BUFFER) &&
	       nic_revoke(nic, NVS_REVOKE_SEND_BUFFER) &&
	       channel_post_close(&nic->ch) &&
	       gpadl_teardown(nic->ch.id, nic->receive_gpadl) &&
	       gpadl_teardown(nic->ch.id, nic->send_gpadl) &&
	       gpadl_teardown(nic->ch.id, nic->ch.gpadl);
}
