/* SPDX-License-Identifier: MIT */
/*
 * Steering, theory of operation
 *
 * A client says by a table which channel it gets a frame on. A backend goes by
 * it as well as its device can; a frame that it brings on another channel than
 * the table says, by the frame's hash, is handed on here:
 *
 *	channel it came on                  channel of the table
 *	received --lend--> [lent_in] -----> packet in its ring, one frame each
 *	slot free <------- [back_in] <----- client's completion, by the slot
 *
 * A slot is its own channel's all the time, which alone knows its state. The
 * other one gets where a frame is, and gives back a number that the client
 * said, which is checked by whose it is. So a client that lies harms no more
 * than with slots of the channel itself.
 *
 * Frames of a flow have one hash and take one way: their order stays.
 *
 * Each slot has a node for each direction. Anybody pushes nodes onto a list,
 * its channel takes it as a whole. A channel that closes gives back what it
 * holds; what its client holds is given back with it (`reclaim`), as are its
 * own slots.
 *
 * Threads: lists are any channel's, everything else the channel's own reactor.
 * A channel is told by a call, which is posted only between its opening and
 * netvsp_steer_quiet(). Failure answers: a completion of what the client does
 * not have is recorded.
 */
#include <string.h>

#include "netvsp_state.h"
#include "ring_reg.h"

/* Has the channel look at its lists. */
static void tell(struct netvsp_channel *ch)
{
	atomic_fetch_add(&ch->steer.tellers, 1);
	if (atomic_load(&ch->steer.hears))
		reactor_post(ch->steer.reactor, &ch->steer.call);
	atomic_fetch_sub(&ch->steer.tellers, 1);
}

/* Lending. */

/* The lock of the table is its user: entries change one by one, and each of
 * them is a channel that there is. */
void netvsp_steer_table(struct netvsp *netvsp)
{
	const struct nic_rss *rss = &netvsp->rss;

	for (unsigned int i = 0; i < rss->entries; i++)
		atomic_store_explicit(&netvsp->steer_table[i],
				      (uint8_t)rss->table[i],
				      memory_order_relaxed);
	atomic_store_explicit(&netvsp->steer_entries, rss->entries,
			      memory_order_release);
}

static unsigned int channel_for(const struct netvsp_channel *ch,
				const struct nic_received *frame)
{
	const struct netvsp *netvsp = ch->netvsp;
	unsigned int entries = atomic_load_explicit(&netvsp->steer_entries,
						    memory_order_acquire);

	if (!entries || !(frame->good & NIC_HASH))
		return ch->index;
	return atomic_load_explicit(
		&netvsp->steer_table[frame->hash & (entries - 1)],
		memory_order_relaxed);
}

bool netvsp_steer_lend(struct netvsp_channel *ch, uint16_t i,
		       const struct nic_received *frame)
{
	unsigned int index = channel_for(ch, frame);
	struct netvsp_slot *slot = &ch->rx.slot[i];
	struct netvsp_lent *lent = &ch->rx.lent[i];
	struct netvsp_channel *to;

	if (index == ch->index)
		return false;
	to = netvsp_channel(ch->netvsp, index);
	slot->state = SLOT_LENT;
	slot->holder = (uint8_t)index;
	lent->slot = ch->rx.first + i;
	lent->offset = lent->slot * ch->netvsp->slot_size + NETVSP_SLOT_DATA -
		       slot->header;
	lent->len = slot->header + slot->len;
	lent->next = atomic_load_explicit(&to->steer.lent_in,
					  memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&to->steer.lent_in,
			&lent->next, lent, memory_order_release,
			memory_order_relaxed))
		;
	ch->steer.to |= 1ull << index;
	ch->count.rx_lent++;
	return true;
}

void netvsp_steer_tell(struct netvsp_channel *ch)
{
	for (; ch->steer.to; ch->steer.to &= ch->steer.to - 1)
		tell(netvsp_channel(ch->netvsp,
			(unsigned int)__builtin_ctzll(ch->steer.to)));
}

/* Giving back. */

/* False: no channel has that slot, or it is being given back already. */
static bool give_back(struct netvsp_channel *ch, uint64_t slot)
{
	uint32_t nr = atomic_load_explicit(&ch->netvsp->queue_slots,
					   memory_order_relaxed);
	uint64_t at = slot - NETVSP_CONTROL_SLOTS;
	struct netvsp_channel *owner;
	struct netvsp_back *back;

	if (!nr || slot < NETVSP_CONTROL_SLOTS ||
	    at / nr >= ch->netvsp->max_queues)
		return false;
	owner = netvsp_channel(ch->netvsp, (unsigned int)(at / nr));
	if (!owner || owner == ch)
		return false;
	back = &owner->rx.back[at % nr];
	if (atomic_exchange(&back->queued, true))
		return false;
	back->from = (uint8_t)ch->index;
	back->next = atomic_load_explicit(&owner->steer.back_in,
					  memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&owner->steer.back_in,
			&back->next, back, memory_order_release,
			memory_order_relaxed))
		;
	tell(owner);
	return true;
}

bool netvsp_steer_returned(struct netvsp_channel *ch, uint64_t transaction)
{
	return give_back(ch, transaction);
}

/* Of a channel that is not started it is free when it is. */
static void free_lent(struct netvsp_rx *rx, uint16_t i)
{
	if (i < rx->nr)
		netvsp_rx_free(rx, i);
	else
		rx->slot[i].state = SLOT_FREE;
}

/* Takes what others gave back. */
static void take_back(struct netvsp_channel *ch)
{
	struct netvsp_back *back = atomic_exchange(&ch->steer.back_in, NULL);
	uint64_t reclaim = atomic_exchange(&ch->steer.reclaim, 0);
	struct netvsp_rx *rx = &ch->rx;

	while (back) {
		struct netvsp_back *next = back->next;
		uint16_t i = (uint16_t)(back - rx->back); /* of MAX_SLOTS */
		uint8_t from = back->from;

		atomic_store(&back->queued, false);
		back = next;
		if (rx->slot[i].state == SLOT_LENT &&
		    rx->slot[i].holder == from)
			free_lent(rx, i);
		else if (!ch->closing)
			netvsp_record(ch, NVS_RNDIS_PACKET_COMPLETE, 8,
				      rx->first + i, "netvsp.completion");
	}
	for (uint16_t i = 0; reclaim && i < NETVSP_MAX_SLOTS; i++)
		if (rx->slot[i].state == SLOT_LENT &&
		    reclaim >> rx->slot[i].holder & 1)
			free_lent(rx, i);
}

/* Takes what others lend, behind what there is, in the order it came. */
static void take_lent(struct netvsp_channel *ch)
{
	struct netvsp_lent *lent = atomic_exchange(&ch->steer.lent_in, NULL);
	struct netvsp_lent *first = NULL, *last = lent, *next;

	for (; lent; lent = next) {
		next = lent->next;
		lent->next = first;
		first = lent;
	}
	if (!first)
		return;
	if (ch->steer.first)
		ch->steer.last->next = first;
	else
		ch->steer.first = first;
	ch->steer.last = last;
}

void netvsp_steer_drain(struct netvsp_channel *ch)
{
	take_lent(ch);
	while (ch->steer.first) {
		/* Its node may be used again once it is given back. */
		struct netvsp_lent *lent = ch->steer.first;

		ch->steer.first = lent->next;
		ch->count.rx_dropped++;
		give_back(ch, lent->slot);
	}
}

/* Packets. */

static bool send_one(struct netvsp_channel *ch, const struct netvsp_lent *lent)
{
	struct {
		struct ring_transfer_pages pages;
		struct ring_transfer_range range;
	} __packed header = { .pages = {
		.set_id = cpu_to_le16(ch->netvsp->control.receive_id),
		.range_count = cpu_to_le32(1),
	} };
	const struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_DATA),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};

	header.range.byte_count = cpu_to_le32(lent->len);
	header.range.byte_offset = cpu_to_le32(lent->offset);
	if (ring_write(&ch->vmbus->ring, RING_PACKET_TRANSFER_PAGES,
		       RING_FLAG_COMPLETION_REQUESTED, lent->slot, &header,
		       sizeof(header), &message,
		       atomic_load_explicit(&ch->netvsp->message_size,
					    memory_order_relaxed))) {
		netvsp_stop_if_broken(ch);
		return false;
	}
	ch->count.rx_packets++;
	return true;
}

void netvsp_steer_flush(struct netvsp_channel *ch)
{
	uint32_t need = netvsp_reserve(ch) +
			ring_packet_space(sizeof(struct ring_transfer_pages) +
					  sizeof(struct ring_transfer_range),
					  NVS_SIZE_61);

	while (ch->steer.first && !ch->stopped &&
	       ring_has_room(&ch->vmbus->ring, need)) {
		/* The client may give it back at once. */
		struct netvsp_lent *next = ch->steer.first->next;

		if (!send_one(ch, ch->steer.first))
			return;
		ch->steer.first = next;
	}
}

/* Life. */

static void look(struct reactor_call *call)
{
	struct netvsp_channel *ch = (struct netvsp_channel *)
		((char *)call - offsetof(struct netvsp_channel, steer.call));

	take_back(ch);
	take_lent(ch);
	if (ch->closing || ch->stopped)
		netvsp_steer_drain(ch);
	else
		netvsp_run(ch);
}

void netvsp_steer_open(struct netvsp_channel *ch)
{
	ch->steer.call.fn = look;
	ch->steer.reactor = ch->vmbus->reactor;
	ch->steer.to = 0;
	atomic_store(&ch->steer.hears, true);
}

void netvsp_steer_start(struct netvsp_channel *ch)
{
	take_back(ch);
}

bool netvsp_steer_quiet(struct netvsp_channel *ch)
{
	if (!ch->closing)
		return true;
	atomic_store(&ch->steer.hears, false);
	return !atomic_load(&ch->steer.tellers) &&
	       !atomic_load(&ch->steer.call.queued);
}

void netvsp_steer_close(struct netvsp_channel *ch)
{
	netvsp_steer_drain(ch);
	for (unsigned int i = 0; i < ch->netvsp->max_queues; i++) {
		struct netvsp_channel *other = netvsp_channel(ch->netvsp, i);

		if (!other || other == ch)
			continue;
		atomic_fetch_or(&other->steer.reclaim, 1ull << ch->index);
		tell(other);
	}
}
