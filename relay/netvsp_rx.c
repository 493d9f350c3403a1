/* SPDX-License-Identifier: MIT */
/*
 * Receiving, theory of operation
 *
 * The client's receive buffer is cut into slots: the first few are for control
 * messages, the others are divided among the queues once for all, so that each
 * slot belongs to one reactor for as long as there is the buffer.
 *
 *	        rx_post()         received()        packet in the ring
 *	free ----------> posted -----------> ready -------------------> client's
 *	 ^                 | no frame, stopped  |                           |
 *	 +-----------------+--------------------+--- channel ended          |
 *	 +------------------ the client completes the packet ---------------+
 *
 * The frame goes to a fixed place of the slot; the RNDIS header and what else
 * is known of the frame is written before it when its length is known:
 *
 *	slot   |     free      | RNDIS, information | frame ...      | free |
 *	       0                                   128
 *
 * A slot of 2048 bytes lies in a page; bigger ones begin a page, and are as
 * many ranges as they have pages that are not adjacent. What came in a batch
 * goes into as few packets as the ring allows; a packet is named after its
 * first slot and completed as a whole. Frames of other channels than the one
 * that they came on go through netvsp_steer.c.
 *
 * Threads: the channel's reactor. Failure answers: a completion of what the
 * client does not have is recorded. Frames that find no posted slot are the
 * backend's to drop.
 */
#include <string.h>

#include <pv/log.h>

#include "netvsp_state.h"
#include "ring_reg.h"

#define PACKET_RANGES 256

_Static_assert(sizeof(struct rndis_packet) +
	       3 * sizeof(struct rndis_ppi_word) <= NETVSP_SLOT_DATA,
	       "headers fit before the frame");

uint64_t netvsp_receive_gpa(const struct netvsp *netvsp, uint64_t offset)
{
	return (netvsp->receive.pages.pfn[offset >> GUEST_PAGE_SHIFT] <<
		GUEST_PAGE_SHIFT) + offset % GUEST_PAGE_SIZE;
}

void netvsp_rx_open(struct netvsp_channel *ch)
{
	struct netvsp_rx *rx = &ch->rx;

	rx->nr = rx->depth = rx->posted = 0;
	rx->nr_free = rx->nr_ready = 0;
	rx->buffer = 0;
}

void netvsp_rx_free(struct netvsp_rx *rx, uint16_t i)
{
	rx->slot[i].state = SLOT_FREE;
	rx->free[rx->nr_free++] = i;
}

void netvsp_rx_start(struct netvsp_channel *ch)
{
	const struct netvsp *netvsp = ch->netvsp;
	struct netvsp_rx *rx = &ch->rx;
	bool keep;

	netvsp_steer_start(ch);
	if (rx->buffer == netvsp->nr_buffers)
		return;
	/* What a client holds by another channel it holds on to when this one
	 * was opened anew. */
	keep = rx->last_buffer == netvsp->nr_buffers;
	rx->buffer = rx->last_buffer = netvsp->nr_buffers;
	rx->nr = netvsp->queue_slots;
	rx->first = NETVSP_CONTROL_SLOTS + ch->index * netvsp->queue_slots;
	rx->depth = rx->nr < netvsp->info.max_rx_depth ?
		    rx->nr : netvsp->info.max_rx_depth;
	rx->posted = 0;
	rx->nr_ready = 0;
	rx->nr_free = 0;
	for (unsigned int i = rx->nr; i-- > 0;)
		if (!keep || rx->slot[i].state != SLOT_LENT)
			netvsp_rx_free(rx, (uint16_t)i);
}

/* Posting. */

static unsigned int slot_ranges(const struct netvsp *netvsp, uint32_t slot,
				struct gpa_range *ranges)
{
	uint64_t at = (uint64_t)slot * netvsp->slot_size + NETVSP_SLOT_DATA;
	uint32_t left = netvsp->slot_size - NETVSP_SLOT_DATA - NETVSP_SLOT_TAIL;
	unsigned int nr = 0;

	while (left) {
		uint32_t len = GUEST_PAGE_SIZE - at % GUEST_PAGE_SIZE;
		uint64_t gpa = netvsp_receive_gpa(netvsp, at);
		struct gpa_range *last = nr ? &ranges[nr - 1] : NULL;
		struct gpa_range joined = { 0 };

		if (len > left)
			len = left;
		if (last && last->gpa + last->len == gpa)
			joined = (struct gpa_range){ last->gpa,
						     last->len + len };
		if (joined.len && guest_memory_good(netvsp->memory, joined))
			*last = joined;
		else
			ranges[nr++] = (struct gpa_range){ gpa, len };
		at += len;
		left -= len;
	}
	return nr;
}

void netvsp_rx_post(struct netvsp_channel *ch)
{
	const struct netvsp *netvsp = ch->netvsp;
	struct netvsp_rx *rx = &ch->rx;
	unsigned int nr;

	while (rx->nr_free && rx->posted < rx->depth) {
		for (nr = 0; nr < NETVSP_POST_BATCH && rx->nr_free &&
			     rx->posted < rx->depth; nr++) {
			uint16_t i = rx->free[--rx->nr_free];

			rx->slot[i].state = SLOT_POSTED;
			rx->posted++;
			rx->buffer_at[nr] = (struct nic_buffer){
				.id = i,
				.nr_ranges = (uint16_t)slot_ranges(netvsp,
					rx->first + i, rx->range_at[nr]),
				.ranges = rx->range_at[nr],
			};
		}
		netvsp->nic->ops->rx_post(ch->queue, rx->buffer_at, nr);
	}
}

/* Frames that came. */

static uint32_t checksum_word(uint32_t good, uint32_t bad)
{
	uint32_t word = 0;

	if (good & NIC_IP4_CHECKSUM)
		word |= RNDIS_RX_IP_GOOD;
	if (good & (NIC_TCP4_CHECKSUM | NIC_TCP6_CHECKSUM))
		word |= RNDIS_RX_TCP_GOOD;
	if (good & (NIC_UDP4_CHECKSUM | NIC_UDP6_CHECKSUM))
		word |= RNDIS_RX_UDP_GOOD;
	if (bad & NIC_IP4_CHECKSUM)
		word |= RNDIS_RX_IP_BAD;
	if (bad & (NIC_TCP4_CHECKSUM | NIC_TCP6_CHECKSUM))
		word |= RNDIS_RX_TCP_BAD;
	if (bad & (NIC_UDP4_CHECKSUM | NIC_UDP6_CHECKSUM))
		word |= RNDIS_RX_UDP_BAD;
	return word;
}

static struct rndis_ppi_word ppi_word(uint32_t type, uint32_t value)
{
	return (struct rndis_ppi_word){
		.ppi.size = cpu_to_le32(sizeof(struct rndis_ppi_word)),
		.ppi.type = cpu_to_le32(type),
		.ppi.offset = cpu_to_le32(sizeof(struct rndis_ppi)),
		.value = cpu_to_le32(value),
	};
}

/* Writes what comes before the frame; returns its bytes. */
static uint8_t write_header(const struct netvsp *netvsp, uint32_t slot,
			    const struct nic_received *frame)
{
	uint32_t report = atomic_load_explicit(&netvsp->rx_report,
					       memory_order_relaxed);
	struct {
		struct rndis_packet packet;
		struct rndis_ppi_word ppi[3];
	} __packed header;
	uint32_t ppis = 1, size, len = frame->len;
	uint64_t gpa;
	int err;

	header.ppi[0] = ppi_word(RNDIS_PPI_CHECKSUM,
				 checksum_word(frame->good & report,
					       frame->bad & report));
	if (frame->good & NIC_VLAN) {
		uint32_t tag = frame->vlan;

		header.ppi[ppis++] = ppi_word(RNDIS_PPI_VLAN,
			tag >> 13 | (tag >> 12 & 1) << RNDIS_VLAN_DEI_SHIFT |
			(tag & RNDIS_VLAN_ID_MASK) << RNDIS_VLAN_ID_SHIFT);
	}
	if (frame->good & NIC_HASH)
		header.ppi[ppis++] = ppi_word(RNDIS_PPI_HASH, frame->hash);
	size = sizeof(header.packet) +
	       ppis * (uint32_t)sizeof(header.ppi[0]);
	header.packet = (struct rndis_packet){
		.header.type = cpu_to_le32(RNDIS_PACKET),
		.header.length = cpu_to_le32(size + len),
		.data_offset = cpu_to_le32(size - RNDIS_OFFSET_BASE),
		.data_size = cpu_to_le32(len),
		.ppi_offset = cpu_to_le32(sizeof(header.packet) -
					  RNDIS_OFFSET_BASE),
		.ppi_size = cpu_to_le32(size - sizeof(header.packet)),
	};
	gpa = netvsp_receive_gpa(netvsp, (uint64_t)slot * netvsp->slot_size +
				 NETVSP_SLOT_DATA);
	err = guest_memory_write(netvsp->memory, gpa - size, &header, size);
	pv_bug(err, gpa, size); /* guest RAM, as every GPADL */
	return (uint8_t)size;
}

void netvsp_received(void *client, const struct nic_received *frames,
		     unsigned int nr)
{
	struct netvsp_channel *ch = client;
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_rx *rx = &ch->rx;
	uint32_t room = netvsp->slot_size - NETVSP_SLOT_DATA -
			NETVSP_SLOT_TAIL;
	bool steered = atomic_load_explicit(&netvsp->steer_entries,
					    memory_order_relaxed);

	for (; nr; nr--, frames++) {
		uint16_t i = (uint16_t)frames->id;
		struct netvsp_slot *slot = &rx->slot[i];

		pv_bug(frames->id >= rx->nr || slot->state != SLOT_POSTED,
		       frames->id, rx->nr);
		pv_bug(frames->len > room, frames->len, room);
		rx->posted--;
		if (frames->len < NIC_ETHERNET_HEADER || ch->closing ||
		    ch->stopped) {
			ch->count.rx_dropped += frames->len != 0;
			netvsp_rx_free(rx, i);
			continue;
		}
		if (netvsp_limited(&netvsp->rx_limit) &&
		    !netvsp_may_receive(netvsp, frames->len)) {
			ch->count.rx_limited++;
			netvsp_rx_free(rx, i);
			continue;
		}
		if (netvsp_is_captured(netvsp))
			netvsp_capture_rx(netvsp, rx->first + i, frames);
		slot->state = SLOT_READY;
		slot->len = frames->len;
		slot->header = write_header(netvsp, rx->first + i, frames);
		ch->count.rx_frames++;
		ch->count.rx_bytes += frames->len;
		if (steered && netvsp_steer_lend(ch, i, frames))
			continue;
		if (rx->nr_ready++)
			rx->slot[rx->last_ready].next = i;
		else
			rx->ready = i;
		rx->last_ready = i;
	}
	if (ch->steer.to)
		netvsp_steer_tell(ch);
	netvsp_resume(ch);
}

/* Handing over. */

static uint32_t packet_space(unsigned int nr)
{
	return ring_packet_space(sizeof(struct ring_transfer_pages) +
				 nr * (uint32_t)
				 sizeof(struct ring_transfer_range),
				 NVS_SIZE_61);
}

static bool flush_packet(struct netvsp_channel *ch, unsigned int nr)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_rx *rx = &ch->rx;
	struct {
		struct ring_transfer_pages pages;
		struct ring_transfer_range range[PACKET_RANGES];
	} __packed header;
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_DATA),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};
	uint16_t i = rx->ready, first = i, last = i;

	header.pages = (struct ring_transfer_pages){
		.set_id = cpu_to_le16(netvsp->control.receive_id),
		.range_count = cpu_to_le32(nr),
	};
	for (unsigned int n = 0; n < nr; n++, last = i, i = rx->slot[i].next) {
		struct netvsp_slot *slot = &rx->slot[i];
		uint32_t at = (rx->first + i) * netvsp->slot_size +
			      NETVSP_SLOT_DATA - slot->header;

		header.range[n].byte_count =
			cpu_to_le32(slot->header + slot->len);
		header.range[n].byte_offset = cpu_to_le32(at);
		slot->state = SLOT_CLIENT;
	}
	if (ring_write(&ch->vmbus->ring, RING_PACKET_TRANSFER_PAGES,
		       RING_FLAG_COMPLETION_REQUESTED, rx->first + first,
		       &header, sizeof(header.pages) +
		       nr * (uint32_t)sizeof(header.range[0]), &message,
		       atomic_load_explicit(&netvsp->message_size,
					    memory_order_relaxed))) {
		netvsp_stop_if_broken(ch);
		return false;
	}
	rx->slot[first].state = SLOT_CLIENT_FIRST;
	rx->slot[last].next = NETVSP_MAX_SLOTS;
	rx->nr_ready -= nr;
	rx->ready = i;
	ch->count.rx_packets++;
	return true;
}

void netvsp_rx_flush(struct netvsp_channel *ch)
{
	struct ring *ring = &ch->vmbus->ring;
	struct netvsp_rx *rx = &ch->rx;
	uint32_t reserve = netvsp_reserve(ch);

	while (rx->nr_ready && !ch->stopped) {
		unsigned int nr = rx->nr_ready < PACKET_RANGES ?
				  rx->nr_ready : PACKET_RANGES;

		while (!ring_has_room(ring, reserve + packet_space(nr))) {
			if (nr == 1)
				return;
			nr /= 2;
		}
		if (!flush_packet(ch, nr))
			return;
	}
	if (ch->steer.first)
		netvsp_steer_flush(ch);
}

bool netvsp_rx_returned(struct netvsp_channel *ch, uint64_t transaction)
{
	struct netvsp_rx *rx = &ch->rx;
	uint64_t at = transaction - rx->first;

	if (!ch->index && transaction < NETVSP_CONTROL_SLOTS) {
		uint32_t bit = 1u << transaction;
		bool is_clients = !(ch->netvsp->control.free_slots & bit);

		ch->netvsp->control.free_slots |= bit;
		return is_clients;
	}
	if (transaction < rx->first || at >= rx->nr)
		return netvsp_steer_returned(ch, transaction);
	if (rx->slot[at].state != SLOT_CLIENT_FIRST)
		return false;
	for (uint16_t i = (uint16_t)at, next; i < NETVSP_MAX_SLOTS; i = next) {
		next = rx->slot[i].next;
		netvsp_rx_free(rx, i);
	}
	return true;
}

void netvsp_rx_drain(struct netvsp_channel *ch)
{
	struct netvsp_rx *rx = &ch->rx;

	for (unsigned int i = 0; i < rx->nr; i++) {
		if (rx->slot[i].state == SLOT_READY)
			ch->count.rx_dropped++;
		else if (rx->slot[i].state != SLOT_POSTED)
			continue;
		netvsp_rx_free(rx, (uint16_t)i);
	}
	rx->posted = 0;
	rx->nr_ready = 0;
	netvsp_steer_drain(ch);
}
