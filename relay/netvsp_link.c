/* SPDX-License-Identifier: MIT */
/*
 * What NetVSP says unasked, theory of operation
 *
 * Three things, each when there is room for it: which channel to send on, when
 * all sub-channels are open; that the link went up or down, not more often
 * than every few seconds, since clients handle no quick flaps; and, after they
 * changed them, what offloads are on. What is told is how things are then, not
 * how they were in between.
 *
 *	told --the link is another--> to be told --slot, room, time--> told
 *	          and again the old: nothing to tell  ^ timer: in time
 *
 * RNDIS messages of ours lie in the first slots of the receive buffer, one
 * each, until the client gives them back.
 *
 * To see that there is room takes back what the client was asked for before, by
 * who needs more (see ring.h): so only who has something to tell looks, and what
 * he tells then is given back, which makes us look at all again.
 *
 * Threads: the primary's reactor; the backend's side asks by attend_call.
 * Failure answers: none; a client that gives no slots back is told nothing.
 */
#include <string.h>

#include <pv/log.h>

#include "netvsp_state.h"
#include "ring_reg.h"

#define LINK_SPACING_NS 5000000000ull

bool netvsp_send_control(struct netvsp_channel *ch, uint32_t size)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_control *control = &netvsp->control;
	struct {
		struct ring_transfer_pages pages;
		struct ring_transfer_range range;
	} __packed header = { .pages = {
		.set_id = cpu_to_le16(control->receive_id),
		.range_count = cpu_to_le32(1),
	} };
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_CONTROL),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};
	unsigned int slot;
	uint32_t at;
	int err;

	if (!control->free_slots)
		return false;
	slot = (unsigned int)__builtin_ctz(control->free_slots);
	at = slot * netvsp->slot_size;
	header.range.byte_count = cpu_to_le32(size);
	header.range.byte_offset = cpu_to_le32(at);
	err = ring_write(&ch->vmbus->ring, RING_PACKET_TRANSFER_PAGES,
			 RING_FLAG_COMPLETION_REQUESTED, slot, &header,
			 sizeof(header), &message,
			 atomic_load(&netvsp->message_size));
	if (err)
		return false;
	/* A slot begins a page, or lies in one. */
	err = guest_memory_write(netvsp->memory,
				 netvsp_receive_gpa(netvsp, at), control->out,
				 size);
	pv_bug(err, at, size); /* guest RAM, as every GPADL */
	control->free_slots &= ~(1u << slot);
	return true;
}

static bool tell_table(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	struct {
		struct nvs_message message;
		le32 entry[NVS_INDIRECTION_ENTRIES];
	} __packed table = {
		.message.type = cpu_to_le32(NVS_INDIRECTION_TABLE),
		.message.table.count = cpu_to_le32(NVS_INDIRECTION_ENTRIES),
		.message.table.offset = cpu_to_le32(sizeof(table.message)),
	};
	unsigned int nr = netvsp->want.granted + 1;

	for (unsigned int i = 0; i < NVS_INDIRECTION_ENTRIES; i++)
		table.entry[i] = cpu_to_le32(i % nr);
	return !ring_write(&ch->vmbus->ring, RING_PACKET_INBAND, 0, 0, NULL, 0,
			   &table, sizeof(table));
}

/* An INDICATE in control.out, of `size` bytes of more. */
static bool indicate(struct netvsp_channel *ch, uint32_t status, uint32_t size)
{
	struct rndis_indicate indicate = {
		.header.type = cpu_to_le32(RNDIS_INDICATE),
		.header.length = cpu_to_le32(sizeof(indicate) + size),
		.status = cpu_to_le32(status),
		.size = cpu_to_le32(size),
		.offset = cpu_to_le32(size ? sizeof(indicate) -
					     RNDIS_OFFSET_BASE : 0),
	};

	memcpy(ch->netvsp->control.out, &indicate, sizeof(indicate));
	if (!netvsp_send_control(ch, sizeof(indicate) + size))
		return false;
	ch->count.indications++;
	return true;
}

/* What is reserved has room for one, and is so again for the next. */
static bool has_room(struct netvsp_channel *ch)
{
	return ch->netvsp->control.free_slots &&
	       ring_has_room(&ch->vmbus->ring, netvsp_reserve(ch));
}

static void tell_link(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_control *control = &netvsp->control;
	bool up = atomic_load(&netvsp->link_up);
	uint64_t now;

	if (up == control->link_up)
		return;
	now = reactor_now();
	if (now < control->link_next) {
		if (!control->link_timer.armed)
			reactor_timer_arm(ch->vmbus->reactor,
					  &control->link_timer,
					  control->link_next);
		return;
	}
	if (!has_room(ch) ||
	    !indicate(ch, up ? RNDIS_STATUS_MEDIA_CONNECT :
			       RNDIS_STATUS_MEDIA_DISCONNECT, 0))
		return;
	control->link_up = up;
	control->link_next = now + LINK_SPACING_NS;
}

static void tell_offload(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	uint8_t *info = netvsp->control.out + sizeof(struct rndis_indicate);
	uint32_t size = sizeof(struct ndis_offload);

	rndis_offload(netvsp, true, size, info, &size);
	netvsp->control.indicate_offload =
		!indicate(ch, RNDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, size);
}

void netvsp_tell(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	struct ring *ring = &ch->vmbus->ring;
	uint32_t table = ring_packet_space(0, NVS_SIZE_61 +
					   4 * NVS_INDIRECTION_ENTRIES);

	if (atomic_load_explicit(&netvsp->tell_table, memory_order_relaxed) &&
	    ring_has_room(ring, netvsp_reserve(ch) + table) && tell_table(ch))
		atomic_store(&netvsp->tell_table, false);
	if (!atomic_load_explicit(&netvsp->operational, memory_order_relaxed) ||
	    netvsp->receive.state != BUFFER_USED)
		return;
	if (netvsp->control.indicate_offload && has_room(ch))
		tell_offload(ch);
	tell_link(ch);
}

void netvsp_attend(struct reactor_call *call)
{
	struct netvsp *netvsp = (struct netvsp *)
		((char *)call - offsetof(struct netvsp, attend_call));
	struct netvsp_channel *ch = netvsp_channel(netvsp, 0);

	if (!ch->closing && !ch->stopped)
		netvsp_run(ch);
}

void netvsp_link_timer(struct reactor_timer *timer)
{
	struct netvsp *netvsp = (struct netvsp *)
		((char *)timer - offsetof(struct netvsp, control.link_timer));

	netvsp_attend(&netvsp->attend_call);
}
