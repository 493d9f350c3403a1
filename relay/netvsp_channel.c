/* SPDX-License-Identifier: MIT */
/*
 * NetVSP's channels, theory of operation
 *
 * The loop over the ring. A packet is read when the ring has room for the
 * answers of all packets under way and of this one, and for a control message;
 * otherwise it stays in the ring. One that was read and cannot be taken yet
 * (frames to send while the backend starts, or is full) is held, and those
 * behind it wait:
 *
 *	frames to send      backend not running   -> held
 *	                    no packet or frame free -> held until sent()
 *	control             the packet before waits for memory or the backend
 *	completions         always taken: they bring slots back
 *
 * What ends a shortage calls us again: sent(), a go or an idle call, or the
 * client's signal that there is room.
 *
 * Frames that came are handed over in the same run, behind the completions,
 * but leave room for those that must be able to come.
 *
 * Threads: the channel's reactor.
 *
 * Failure answers: a packet that is neither message nor completion stops the
 * channel. A message that breaks a rule is refused: recorded, and answered by a
 * failure if the client wants an answer.
 */
#include <string.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "netvsp_state.h"
#include "ring_reg.h"

/* Packets of one run, before others on the reactor have their turn. */
#define RUN_BUDGET 256

/* Violations. */

void netvsp_stop(struct netvsp_channel *ch, uint32_t type, uint32_t offset,
		 uint64_t value, const char *rule)
{
	if (ch->stopped)
		return;
	ch->stopped = true;
	vmbus_channel_violation(ch->vmbus, type, offset, value, rule);
}

void netvsp_stop_if_broken(struct netvsp_channel *ch)
{
	const struct ring *ring = &ch->vmbus->ring;

	if (ring->broken)
		netvsp_stop(ch, 0, 0, ring->broken_value, ring->broken);
}

void netvsp_record(struct netvsp_channel *ch, uint32_t type, size_t offset,
		   uint64_t value, const char *rule)
{
	ch->count.refused++;
	violation_record(ch->vmbus->device->ops->name, ch->vmbus->id, type,
			 (uint32_t)offset, value, rule);
}

/* Answers. */

uint32_t netvsp_reserve(const struct netvsp_channel *ch)
{
	uint32_t completion = ring_packet_space(0, NVS_SIZE_61);
	uint32_t control =
		ring_packet_space(sizeof(struct ring_transfer_pages) +
				  sizeof(struct ring_transfer_range),
				  NVS_SIZE_61);

	return (ch->tx.in_flight + 1) * completion + control;
}

void netvsp_complete(struct netvsp_channel *ch, uint64_t transaction,
		     const struct nvs_message *message, uint32_t size)
{
	int err;

	if (ch->stopped || ch->closing)
		return;
	err = ring_write(&ch->vmbus->ring, RING_PACKET_COMPLETION, 0,
			 transaction, NULL, 0, message, size);
	if (err)
		netvsp_stop_if_broken(ch);
	pv_bug(err && !ch->stopped, -err, ch->tx.in_flight); /* had room */
}

static uint32_t answer_to(uint32_t type)
{
	switch (type) {
	case NVS_SEND_RECEIVE_BUFFER:
	case NVS_SEND_SEND_BUFFER:
	case NVS_RNDIS_PACKET:
	case NVS_OID_QUERY:
		return type + 1;
	}
	return type;
}

void netvsp_refuse(struct netvsp_channel *ch, const struct ring_packet *packet,
		   uint32_t type, const struct refusal *no)
{
	struct nvs_message message = {
		.type = cpu_to_le32(answer_to(type)),
		.complete.status = cpu_to_le32(NVS_STATUS_FAILURE),
	};

	netvsp_record(ch, type, no->offset, no->value, no->rule);
	if (packet->wants_completion)
		netvsp_complete(ch, packet->transaction, &message,
				atomic_load(&ch->netvsp->message_size));
}

void netvsp_resume(struct netvsp_channel *ch)
{
	if (ch->running || ch->resuming)
		return;
	ch->resuming = true;
	reactor_post(ch->vmbus->reactor, &ch->resume);
}

/* Where the bytes of an RNDIS packet are. Offsets of refusals count in the ring
 * packet for page lists, in the message for sections. */

static bool gather_section(struct netvsp_channel *ch,
			   const struct nvs_rndis_packet *rndis,
			   struct refusal *no)
{
	const struct netvsp *netvsp = ch->netvsp;
	uint32_t section = le32_to_cpu(rndis->section);
	uint32_t size = le32_to_cpu(rndis->section_size);
	uint64_t at;

	if (section == NVS_NO_SECTION)
		return true;
	*no = (struct refusal){
		offsetof(struct nvs_message, rndis.section), section,
		"netvsp.section.index",
	};
	if (netvsp->send.state != BUFFER_USED || section >= netvsp->send.nr)
		return false;
	*no = (struct refusal){
		offsetof(struct nvs_message, rndis.section_size), size,
		"netvsp.section.size",
	};
	if (size > NETVSP_SECTION)
		return false;
	at = (uint64_t)section * NETVSP_SECTION;
	while (size) {
		uint32_t offset = at % GUEST_PAGE_SIZE;
		uint32_t len = GUEST_PAGE_SIZE - offset;
		uint64_t pfn = netvsp->send.pages.pfn[at >> GUEST_PAGE_SHIFT];

		if (len > size)
			len = size;
		if (!gather_add(&ch->tx.gather,
				(pfn << GUEST_PAGE_SHIFT) + offset, len))
			return false;
		at += len;
		size -= len;
	}
	return true;
}

/* Takes one range of a page list, and moves *at behind it. */
static bool gather_range(struct netvsp_channel *ch,
			 const struct ring_packet *packet, uint32_t *at,
			 struct refusal *no)
{
	struct ring_gpa_range range;
	uint32_t offset, left;
	uint64_t pages;

	no->offset = *at + (uint32_t)sizeof(struct ring_descriptor);
	no->value = packet->header_size;
	no->rule = "netvsp.data.ranges";
	if (packet->header_size - *at < sizeof(range))
		return false;
	memcpy(&range, packet->header + *at, sizeof(range));
	*at += sizeof(range);
	offset = le32_to_cpu(range.byte_offset);
	left = le32_to_cpu(range.byte_count);
	no->value = offset;
	no->rule = "netvsp.data.offset";
	if (offset >= GUEST_PAGE_SIZE)
		return false;
	pages = ((uint64_t)offset + left + GUEST_PAGE_SIZE - 1) >>
		GUEST_PAGE_SHIFT;
	no->value = left;
	no->rule = "netvsp.data.page-numbers";
	if (pages > (packet->header_size - *at) / sizeof(le64))
		return false;
	for (; pages; pages--, *at += sizeof(le64), offset = 0) {
		uint32_t len = GUEST_PAGE_SIZE - offset;
		uint64_t page;
		le64 pfn;

		memcpy(&pfn, packet->header + *at, sizeof(pfn));
		page = le64_to_cpu(pfn);
		if (len > left)
			len = left;
		if (page >> (64 - GUEST_PAGE_SHIFT) ||
		    !gather_add(&ch->tx.gather,
				(page << GUEST_PAGE_SHIFT) + offset, len)) {
			no->offset = *at +
				     (uint32_t)sizeof(struct ring_descriptor);
			no->value = page;
			no->rule = "netvsp.data.page";
			return false;
		}
		left -= len;
	}
	return true;
}

bool netvsp_gather(struct netvsp_channel *ch, const struct ring_packet *packet,
		   const struct nvs_rndis_packet *rndis, struct refusal *no)
{
	struct ring_gpa_direct direct;
	uint32_t at = sizeof(direct), ranges;

	gather_reset(&ch->tx.gather, ch->netvsp->memory);
	if (!gather_section(ch, rndis, no))
		return false;
	if (packet->type != RING_PACKET_GPA_DIRECT)
		return true;
	no->offset = sizeof(struct ring_descriptor);
	no->value = packet->header_size;
	no->rule = "netvsp.data.list";
	if (packet->header_size < sizeof(direct))
		return false;
	memcpy(&direct, packet->header, sizeof(direct));
	for (ranges = le32_to_cpu(direct.range_count); ranges; ranges--)
		if (!gather_range(ch, packet, &at, no))
			return false;
	return true;
}

/* Packets. */

/* What the client gives back of us. */
static void take_completion(struct netvsp_channel *ch,
			    const struct ring_packet *packet)
{
	if (!netvsp_rx_returned(ch, packet->transaction))
		netvsp_record(ch, NVS_RNDIS_PACKET_COMPLETE, 8,
			      packet->transaction, "netvsp.completion");
}

/* Takes the packet; false: not now. */
static bool take(struct netvsp_channel *ch, const struct ring_packet *packet)
{
	struct nvs_message message = { 0 };
	uint32_t size = packet->payload_size;
	uint32_t type;

	if (packet->type == RING_PACKET_COMPLETION) {
		take_completion(ch, packet);
		return true;
	}
	if (packet->type != RING_PACKET_INBAND &&
	    packet->type != RING_PACKET_GPA_DIRECT) {
		netvsp_stop(ch, 0, 0, packet->type, "netvsp.packet.type");
		return true;
	}
	if (size < sizeof(le32) + sizeof(struct nvs_rndis_packet)) {
		struct refusal no = { 0, size, "netvsp.packet.message" };

		netvsp_refuse(ch, packet, 0, &no);
		return true;
	}
	memcpy(&message, packet->payload,
	       size < sizeof(message) ? size : sizeof(message));
	type = le32_to_cpu(message.type);
	if (type != NVS_RNDIS_PACKET ||
	    le32_to_cpu(message.rndis.channel) == NVS_CHANNEL_CONTROL) {
		if (ch->waiting)
			return false;
		ch->count.control++;
		netvsp_control(ch, packet, &message);
		return true;
	}
	return !ch->waiting && netvsp_tx(ch, packet, &message.rndis);
}

/* Takes packets until there is none, none can be taken, or the budget is
 * spent. False: none can be taken now; somebody will call again. */
static bool drain(struct netvsp_channel *ch, unsigned int *budget)
{
	struct ring *ring = &ch->vmbus->ring;

	while (*budget && !ch->stopped) {
		if (!ring_has_room(ring, netvsp_reserve(ch))) {
			ch->count.no_room++;
			return false;
		}
		if (!ch->held) {
			if (ring_read(ring, ch->bytes, sizeof(ch->bytes),
				      &ch->packet))
				break;
			--*budget;
		}
		ch->held = !take(ch, &ch->packet);
		if (ch->held)
			return false;
	}
	return true;
}

/* What the client is to have. Frames last: if they lack room, the client is
 * asked for that, and nobody looks for less afterwards. */
static bool hand_over(struct netvsp_channel *ch)
{
	if (!ch->index)
		netvsp_tell(ch);
	netvsp_rx_flush(ch);
	return ring_write_end(&ch->vmbus->ring);
}

/* Takes what is in the ring until it is empty, or no more can be taken, or the
 * budget is spent. *more: something is left that can be taken. */
static bool work(struct netvsp_channel *ch, bool *more)
{
	struct ring *ring = &ch->vmbus->ring;
	unsigned int budget = RUN_BUDGET;
	bool signal = false, able, left;

	do {
		able = drain(ch, &budget);
		if (ch->queue) {
			netvsp_rx_post(ch);
			netvsp_tx_submit(ch);
		}
		left = false;
		if (ch->stopped)
			break;
		/* Who has no room to answer has none for more: to look for it
		 * would take back what the client was asked for just now. */
		signal |= ring_waits(ring) ? ring_write_end(ring) :
					     hand_over(ch);
		if (able && budget && netvsp_may_rest(ch))
			signal |= ring_read_pause(ring);
		else
			signal |= ring_read_end(ring, &left);
		netvsp_stop_if_broken(ch);
	} while (left && able && budget && !ch->stopped);
	*more = left && able && !budget;
	return signal;
}

void netvsp_run(struct netvsp_channel *ch)
{
	bool more, signal;

	ch->count.runs++;
	ch->running = true;
	signal = work(ch, &more);
	ch->running = false;
	if (signal)
		vmbus_channel_signal(ch->vmbus);
	if (more)
		netvsp_resume(ch);
}

void netvsp_hand_over(struct netvsp_channel *ch)
{
	if (!netvsp_need_not_look(ch)) {
		netvsp_run(ch);
		return;
	}
	ch->running = true;
	if (ch->queue)
		netvsp_rx_post(ch);
	if (hand_over(ch))
		vmbus_channel_signal(ch->vmbus);
	ch->running = false;
	netvsp_stop_if_broken(ch);
}
