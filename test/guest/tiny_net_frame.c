// SPDX-License-Identifier: MIT
/*
 * Frames of the tiny guest; see tiny_net.h. A frame says of itself which one it
 * is, and all of its other bytes follow from that. Until it was sent it lies in
 * a section of the send buffer, in pages of nic->stage, or partly in each.
 */
#include "tiny_hv.h"
#include "tiny_net.h"

#define FRAME_NUMBER 14u /* where it says which one it is */
#define FRAME_DATA 18u

/* ---- number n, of this size ---- */

static uint8_t frame_byte(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 7 + at + (at >> 8));
}

static void fill_frame(uint8_t *frame, uint32_t size, uint32_t number)
{
	/* To everybody, from somebody, of no protocol. */
	memset(frame, 0xff, 6);
	memset(frame + 6, 0x02, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + FRAME_NUMBER, &number, sizeof(number));
	for (uint32_t i = FRAME_DATA; i < size; i++)
		frame[i] = frame_byte(number, i);
}

bool nic_check_frame(struct nic *nic, const uint8_t *frame, uint32_t size)
{
	uint32_t number;

	NEED(size > FRAME_DATA);
	memcpy(&number, frame + FRAME_NUMBER, sizeof(number));
	NEED(number == nic->frames);
	NEED(bytes_are(frame, 0xff, 6) && bytes_are(frame + 6, 0x02, 6));
	NEED(frame[12] == 0x88 && frame[13] == 0xb5);
	for (uint32_t i = FRAME_DATA; i < size; i++)
		NEED(frame[i] == frame_byte(number, i));
	nic->frames++;
	nic->frame_size = size;
	return true;
}

/* ---- sending ---- */

static uint32_t in_section(enum nic_way way, uint32_t size)
{
	const uint32_t header = sizeof(struct rndis_packet);

	switch (way) {
	case NIC_SECTION:
		return header + size;
	case NIC_HEADER:
		return header;
	case NIC_BOTH:
		return header + size / 3;
	default:
		return 0;
	}
}

/* The rest of a message, from an odd place on; header and halves apart if none
 * of it was in a section. */
static void list_rest(struct nic_list *list, const uint8_t *at, uint32_t bytes,
		      enum nic_way way)
{
	const uint32_t header = sizeof(struct rndis_packet);
	uint32_t half = (bytes - header) / 2;

	nic_list_begin(list);
	if (way != NIC_PAGES) {
		nic_list_add(list, at, bytes);
		return;
	}
	nic_list_add(list, at, header);
	nic_list_add(list, at + header, half);
	nic_list_add(list, at + header + half, bytes - header - half);
}

bool nic_put_frame(struct nic *nic, struct channel *ch, uint32_t size,
		   enum nic_way way)
{
	uint32_t slot = nic->sent % NIC_WINDOW, part = in_section(way, size);
	uint8_t *at = nic->stage + slot * NIC_STAGE_PAGES * TINY_PAGE +
		      nic->sent * 61 % TINY_PAGE;
	struct rndis_packet header = {
		.header.type = cpu_to_le32(RNDIS_PACKET),
		.header.length = cpu_to_le32(sizeof(header) + size),
		.data_offset = cpu_to_le32(sizeof(header) - RNDIS_OFFSET_BASE),
		.data_size = cpu_to_le32(size),
	};
	const struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_DATA),
		.rndis.section = cpu_to_le32(part ? slot : NVS_NO_SECTION),
		.rndis.section_size = cpu_to_le32(part),
	};
	bool all = part == sizeof(header) + size;
	struct nic_list list;

	NEED(size <= NIC_MAX_FRAME && slot < nic->nr_sections &&
	     part <= nic->section_size);
	memcpy(at, &header, sizeof(header));
	fill_frame(at + sizeof(header), size, nic->sent);
	memcpy(nic->send + slot * nic->section_size, at, part);
	memset(at, 0xdb, part); /* it is in the section, and nowhere else */
	list_rest(&list, at + part, sizeof(header) + size - part, way);
	NEED(ring_put(ch, all ? RING_PACKET_INBAND : RING_PACKET_GPA_DIRECT,
		      RING_FLAG_COMPLETION_REQUESTED, nic->sent,
		      list.word, all ? 0 : list.words * sizeof(uint64_t),
		      &message, nic->message_size, NULL));
	nic->sent++;
	return true;
}

bool nic_round_trip(struct nic *nic, struct channel *ch, struct nic *to,
		    struct channel *back, uint32_t size, enum nic_way way)
{
	uint32_t failures = nic->failures, frames = to->frames;
	uint32_t completions = nic->completions;

	if (!nic_put_frame(nic, ch, size, way))
		return false;
	NEED(channel_signal(ch) == HV_STATUS_SUCCESS);
	if (!nic_wait(nic, ch, &nic->completions, completions + 1) ||
	    !nic_wait(to, back, &to->frames, frames + 1))
		return false;
	NEED(nic->failures == failures);
	NEED(to->frame_size == size && to->frame_channel == back);
	return true;
}
