/* SPDX-License-Identifier: MIT */
/*
 * Sending, theory of operation
 *
 * A packet from the ring holds one RNDIS message or several, each with a frame.
 * All of them are checked before one is sent; then the packet is under way
 * until every frame has ended, and completed once.
 *
 *	ring -> packet: free entry     RNDIS message -> frame: free id
 *	     -> batch ... end of the run, or batch full -> one tx()
 *	     -> sent(): frame id free, its packet's count down
 *	     -> at none: completion, entry free
 *
 * The frame stays where it is in the client's memory: in a section of the send
 * buffer, in pages of the packet, or both, the section first. Headers are read
 * from a copy, whatever page boundary they cross.
 *
 * When the backend takes a part of a batch the rest is first in the next one,
 * after frames were sent; until then no more is read. A packet is taken only
 * when there are ids, and room in the batch, for as many frames as it may have.
 *
 * A client gets a section back, for which it seldom waits, when the packet is
 * completed, and with pages what it sent: so the backend is told how late the
 * ends of frames may be. Some wait all the same, Linux's TCP for what it has
 * under way: so that is no later than a frame takes. With half of what there is
 * under way none may be late.
 *
 * Threads: the channel's reactor.
 *
 * Failure answers: a packet that breaks a rule is completed with a failure and
 * none of its frames is sent. What was under way when the backend stopped, or
 * comes while it is gone, is lost as on a wire: completed as sent.
 */
#include <string.h>

#include <pv/log.h>

#include "netvsp_state.h"
#include "ring_reg.h"

#define NO_PACKET NETVSP_TX_PACKETS
/* A message that the frames end with may be followed by so much. */
#define MAX_SLACK 8u
/* From so many packets under way on the client may wait for one to end. */
#define TX_MANY 64u

void netvsp_tx_open(struct netvsp_channel *ch)
{
	struct netvsp_tx *tx = &ch->tx;
	uint32_t most = ch->vmbus->ring.out.size / 2 /
			ring_packet_space(0, NVS_SIZE_61);
	const struct nic_info *info = &ch->netvsp->info;

	tx->depth = most < NETVSP_TX_PACKETS ? most : NETVSP_TX_PACKETS;
	tx->in_flight = 0;
	tx->free = 0;
	for (uint16_t i = 0; i < tx->depth; i++)
		tx->packet[i].next = i + 1u < tx->depth ?
				     (uint16_t)(i + 1) : NO_PACKET;
	tx->nr_frames = info->max_tx_depth < NETVSP_TX_FRAMES ?
			info->max_tx_depth : NETVSP_TX_FRAMES;
	tx->nr_free_frames = tx->nr_frames;
	for (unsigned int i = 0; i < tx->nr_frames; i++) {
		tx->frame_packet[i] = NO_PACKET;
		tx->free_frame[i] = (uint16_t)(tx->nr_frames - 1 - i);
	}
	tx->nr_batch = 0;
	tx->nr_ranges = 0;
	tx->full = false;
}

/* Packets that end. */

static void end_packet(struct netvsp_channel *ch, uint16_t i)
{
	struct netvsp_tx *tx = &ch->tx;
	struct netvsp_tx_packet *packet = &tx->packet[i];
	struct nvs_message reply = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(packet->failed ?
					       NVS_STATUS_FAILURE :
					       NVS_STATUS_SUCCESS),
	};

	packet->next = tx->free;
	tx->free = i;
	tx->in_flight--;
	if (packet->wants_completion)
		netvsp_complete(ch, packet->transaction, &reply,
				atomic_load_explicit(
					&ch->netvsp->message_size,
					memory_order_relaxed));
}

static void end_frame(struct netvsp_channel *ch, uint32_t id, bool failed)
{
	struct netvsp_tx *tx = &ch->tx;
	uint16_t i = tx->frame_packet[id];
	struct netvsp_tx_packet *packet = &tx->packet[i];

	tx->frame_packet[id] = NO_PACKET;
	tx->free_frame[tx->nr_free_frames++] = (uint16_t)id;
	packet->failed |= failed;
	if (!--packet->frames)
		end_packet(ch, i);
}

void netvsp_sent(void *client, const struct nic_sent *frames, unsigned int nr)
{
	struct netvsp_channel *ch = client;
	struct netvsp_tx *tx = &ch->tx;

	for (; nr; nr--, frames++) {
		pv_bug(frames->id >= tx->nr_frames ||
		       tx->frame_packet[frames->id] == NO_PACKET, frames->id,
		       tx->nr_frames);
		ch->count.tx_failed += frames->failed;
		if (frames->id == ch->rest.timed)
			netvsp_timed(ch, true);
		end_frame(ch, frames->id, frames->failed);
	}
	tx->full = false;
	netvsp_resume(ch);
}

void netvsp_tx_drain(struct netvsp_channel *ch)
{
	struct netvsp_tx *tx = &ch->tx;

	for (unsigned int id = 0; id < tx->nr_frames; id++) {
		if (tx->frame_packet[id] == NO_PACKET)
			continue;
		ch->count.tx_lost++;
		end_frame(ch, id, false);
	}
	tx->nr_batch = 0;
	tx->nr_ranges = 0;
	tx->full = false;
	netvsp_timed(ch, false);
}

/* Batches. */

void netvsp_tx_submit(struct netvsp_channel *ch)
{
	struct netvsp_tx *tx = &ch->tx;
	unsigned int taken;

	if (!tx->nr_batch || tx->full)
		return;
	ch->count.tx_batches++;
	netvsp_time(ch, &tx->batch[0]);
	taken = ch->netvsp->nic->ops->tx(ch->queue, tx->batch, tx->nr_batch);
	pv_bug(taken > tx->nr_batch, taken, tx->nr_batch);
	tx->nr_batch -= taken;
	if (tx->nr_batch) {
		ch->count.tx_full++;
		tx->full = true;
		memmove(tx->batch, tx->batch + taken,
			tx->nr_batch * sizeof(tx->batch[0]));
	} else {
		tx->nr_ranges = 0;
	}
}

static bool batch_has_room(const struct netvsp_tx *tx)
{
	return tx->nr_batch + NETVSP_PACKET_FRAMES <= NETVSP_TX_BATCH &&
	       tx->nr_ranges + NETVSP_PACKET_FRAMES * NETVSP_FRAME_RANGES <=
	       NETVSP_TX_RANGES;
}

/* Can a packet of frames be taken? */
static bool is_ready(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_tx *tx = &ch->tx;

	if (!ch->queue) {
		if (!ch->index && !netvsp->control.sent) {
			netvsp->control.sent = true;
			netvsp_control_want(netvsp);
		}
		return false;
	}
	if (!batch_has_room(tx))
		netvsp_tx_submit(ch);
	if (tx->full || !batch_has_room(tx) || tx->free == NO_PACKET ||
	    tx->nr_free_frames < NETVSP_PACKET_FRAMES) {
		ch->count.no_packet++;
		return false;
	}
	return !netvsp_limited(&netvsp->tx_limit) || netvsp_may_send(ch);
}

/* Packets that come. */

/* Cuts the gathered bytes into frames behind the batch; how many, or 0 with
 * *no filled. */
static unsigned int take_frames(struct netvsp_channel *ch, struct refusal *no)
{
	struct netvsp_tx *tx = &ch->tx;
	struct gather *gather = &tx->gather;
	struct gather_at at = { 0 };
	uint32_t left = gather->bytes, ranges = tx->nr_ranges, length;
	uint64_t bytes = ch->count.tx_bytes;
	unsigned int nr = 0;

	do {
		struct nic_frame *frame = &tx->batch[tx->nr_batch + nr];

		*no = (struct refusal){ 0, nr, "netvsp.packet.count" };
		if (nr == NETVSP_PACKET_FRAMES ||
		    !netvsp_take_frame(ch, at, left, frame,
				       &tx->ranges[ranges], &length, no)) {
			ch->count.tx_bytes = bytes;
			return 0;
		}
		ranges += frame->nr_ranges;
		nr++;
		gather_skip(gather, &at, length);
		left -= length;
	} while (left >= MAX_SLACK);
	tx->nr_ranges = ranges;
	return nr;
}

/* Frames of the batch become those of a packet. */
static void take_packet(struct netvsp_channel *ch,
			const struct ring_packet *packet, unsigned int nr)
{
	struct netvsp_tx *tx = &ch->tx;
	bool soon = packet->type == RING_PACKET_GPA_DIRECT ||
		    tx->in_flight >= TX_MANY ||
		    tx->in_flight * 2 >= tx->depth ||
		    tx->nr_free_frames * 2 < tx->nr_frames;
	uint32_t late_ns = soon ? 0 : netvsp_late(ch);
	uint16_t i = tx->free;

	tx->free = tx->packet[i].next;
	tx->in_flight++;
	tx->packet[i] = (struct netvsp_tx_packet){
		.transaction = packet->transaction,
		.frames = (uint16_t)nr,
		.wants_completion = packet->wants_completion,
	};
	ch->count.tx_packets++;
	ch->count.tx_frames += nr;
	for (; nr; nr--) {
		uint16_t id = tx->free_frame[--tx->nr_free_frames];

		tx->frame_packet[id] = i;
		if (netvsp_is_captured(ch->netvsp))
			netvsp_capture_tx(ch->netvsp,
					  &tx->batch[tx->nr_batch]);
		tx->batch[tx->nr_batch].late_ns = late_ns;
		tx->batch[tx->nr_batch++].id = id;
	}
}

bool netvsp_tx(struct netvsp_channel *ch, const struct ring_packet *packet,
	       const struct nvs_rndis_packet *rndis)
{
	const struct nvs_message lost = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(NVS_STATUS_SUCCESS),
	};
	struct netvsp *netvsp = ch->netvsp;
	struct refusal no = { .rule = "netvsp.packet.early" };
	uint64_t bytes = ch->count.tx_bytes;
	unsigned int nr = 0;

	if (atomic_load_explicit(&netvsp->operational, memory_order_relaxed)) {
		if (!ch->queue && atomic_load_explicit(&netvsp->unplugged,
						       memory_order_relaxed)) {
			ch->count.tx_lost++;
			if (packet->wants_completion)
				netvsp_complete(ch, packet->transaction, &lost,
					atomic_load(&netvsp->message_size));
			return true;
		}
		if (!is_ready(ch))
			return false;
		if (netvsp_gather(ch, packet, rndis, &no))
			nr = take_frames(ch, &no);
	}
	if (nr && netvsp_limited(&netvsp->tx_limit))
		netvsp_sends(ch, ch->count.tx_bytes - bytes);
	if (nr)
		take_packet(ch, packet, nr);
	else
		netvsp_refuse(ch, packet, NVS_RNDIS_PACKET, &no);
	return true;
}
