// SPDX-License-Identifier: MIT
/*
 * Channels and rings of the tiny guest; see tiny_vmbus.h.
 *
 * The rings of a channel are adjacent pages, ours first:
 *
 *	| control | data ...      | control | data ...     |
 *	  out: we write             in: we read
 */
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define OPEN_ID 0x1000u
#define INDEX(offset) ((offset) / 4)

static void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- channels ---- */

static void set_side(struct ring_side *side, uint8_t *at, uint32_t n)
{
	side->control = (volatile uint32_t *)at;
	side->data = at + TINY_PAGE;
	side->size = (n - 1) * TINY_PAGE;
	side->at = 0;
}

void channel_clear_rings(struct channel *ch)
{
	memset(ch->memory, 0, 2 * ch->pages * TINY_PAGE);
	ch->out.at = ch->in.at = 0;
	ch->out.control[INDEX(RING_FEATURES)] = RING_FEATURE_PENDING_SEND_SIZE;
	ch->in.control[INDEX(RING_FEATURES)] = RING_FEATURE_PENDING_SEND_SIZE;
}

/* GPADL first, with memory as an allocator may give it, as Linux does. */
bool channel_prepare(const struct vmbus_offer_channel *offer, uint32_t n,
		     struct channel *ch)
{
	NEED(offer);
	*ch = (struct channel){
		.id = le32_to_cpu(offer->channel),
		.connection = le32_to_cpu(offer->connection),
		.pages = n,
		.memory = pages(2 * n),
		.next_transaction = 1,
	};
	set_side(&ch->out, ch->memory, n);
	set_side(&ch->in, ch->memory + n * TINY_PAGE, n);
	memset(ch->memory, 0xaa, 2 * n * TINY_PAGE);
	return gpadl_create(ch->id, ch->memory, 2 * n, &ch->gpadl);
}

void channel_fill_open(const struct channel *ch, uint32_t vp,
		       struct vmbus_open_channel *message)
{
	*message = (struct vmbus_open_channel){
		.channel = cpu_to_le32(ch->id),
		.open_id = cpu_to_le32(ch->id + OPEN_ID),
		.gpadl = cpu_to_le32(ch->gpadl),
		.vp = cpu_to_le32(vp),
		.downstream_page = cpu_to_le32(ch->pages),
	};
}

bool channel_post_open(const struct channel *ch, uint32_t vp)
{
	struct vmbus_open_channel open;

	channel_fill_open(ch, vp, &open);
	return vmbus_post(VMBUS_OPEN_CHANNEL, &open, sizeof(open));
}

bool channel_opened(const struct channel *ch, uint32_t status)
{
	struct vmbus_message message;

	if (!vmbus_expect(VMBUS_OPEN_RESULT, &message))
		return false;
	NEED(message.size == sizeof(message.open_result));
	NEED(le32_to_cpu(message.open_result.channel) == ch->id);
	NEED(le32_to_cpu(message.open_result.open_id) == ch->id + OPEN_ID);
	if (le32_to_cpu(message.open_result.status) == status)
		return true;
	case_failed(__FILE__, __LINE__, "status of OPEN_RESULT",
		    le32_to_cpu(message.open_result.status), status);
	return false;
}

bool channel_open(const struct vmbus_offer_channel *offer, uint32_t n,
		  uint32_t vp, struct channel *ch)
{
	if (!channel_prepare(offer, n, ch))
		return false;
	channel_clear_rings(ch);
	return channel_post_open(ch, vp) &&
	       channel_opened(ch, VMBUS_STATUS_SUCCESS);
}

bool channel_post_close(const struct channel *ch)
{
	struct vmbus_channel_message close = {
		.channel = cpu_to_le32(ch->id),
	};

	return vmbus_post(VMBUS_CLOSE_CHANNEL, &close, sizeof(close));
}

bool channel_close(const struct channel *ch)
{
	return channel_post_close(ch) && gpadl_teardown(ch->id, ch->gpadl);
}

uint16_t channel_signal(const struct channel *ch)
{
	return hv_signal(ch->connection, 0);
}

bool channel_signalled(const struct channel *ch, uint32_t vp)
{
	return hv_take_flag(vp, ch->id);
}

/* ---- our ring ---- */

static uint32_t aligned(uint32_t n)
{
	return (n + RING_ALIGNMENT - 1) & ~(RING_ALIGNMENT - 1);
}

uint32_t ring_room(const struct channel *ch)
{
	uint32_t in = ch->out.at, out = ch->out.control[INDEX(RING_OUT)];

	return in >= out ? ch->out.size - (in - out) : out - in;
}

static uint32_t copy_in(const struct ring_side *side, uint32_t at,
			const void *from, uint32_t n)
{
	uint32_t first = side->size - at < n ? side->size - at : n;

	memcpy(side->data + at, from, first);
	memcpy(side->data, (const uint8_t *)from + first, n - first);
	return (at + n) % side->size;
}

static uint32_t copy_out(const struct ring_side *side, uint32_t at, void *to,
			 uint32_t n)
{
	uint32_t first = side->size - at < n ? side->size - at : n;

	memcpy(to, side->data + at, first);
	memcpy((uint8_t *)to + first, side->data, n - first);
	return (at + n) % side->size;
}

bool ring_put(struct channel *ch, uint16_t type, uint16_t flags,
	      uint64_t transaction, const void *header, uint32_t header_size,
	      const void *payload, uint32_t size, bool *was_empty)
{
	static const uint8_t zeroes[RING_ALIGNMENT];
	struct ring_side *out = &ch->out;
	uint32_t before = out->at, at = before;
	uint32_t length = sizeof(struct ring_descriptor) + header_size +
			  aligned(size);
	struct ring_descriptor d = {
		.type = cpu_to_le16(type),
		.offset8 = cpu_to_le16((uint16_t)((sizeof(d) + header_size) /
						  8)),
		.length8 = cpu_to_le16((uint16_t)(length / 8)),
		.flags = cpu_to_le16(flags),
		.transaction = cpu_to_le64(transaction),
	};
	struct ring_footer footer = { .start = cpu_to_le32(before) };

	/* Full is one byte less, or it would look empty. */
	if (ring_room(ch) <= length + sizeof(footer))
		return false;
	at = copy_in(out, at, &d, sizeof(d));
	at = copy_in(out, at, header, header_size);
	at = copy_in(out, at, payload, size);
	at = copy_in(out, at, zeroes, aligned(size) - size);
	at = copy_in(out, at, &footer, sizeof(footer));
	fence();
	out->control[INDEX(RING_IN)] = at;
	out->at = at;
	fence();
	if (was_empty)
		*was_empty = out->control[INDEX(RING_OUT)] == before;
	return true;
}

bool ring_push(struct channel *ch, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t size)
{
	uint64_t end = deadline(VMBUS_MS);
	bool was_empty;

	while (!ring_put(ch, type, flags, transaction, header, header_size,
			 payload, size, &was_empty)) {
		NEED(!passed(end));
		relax();
	}
	if (was_empty && !ch->out.control[INDEX(RING_INTERRUPT_MASK)])
		NEED(channel_signal(ch) == HV_STATUS_SUCCESS);
	return true;
}

bool ring_send(struct channel *ch, uint16_t type, uint64_t transaction,
	       const void *header, uint32_t header_size, const void *payload,
	       uint32_t size)
{
	return ring_push(ch, type, RING_FLAG_COMPLETION_REQUESTED, transaction,
			 header, header_size, payload, size);
}

/* ---- the server's ring ---- */

bool ring_empty(const struct channel *ch)
{
	return ch->in.control[INDEX(RING_IN)] == ch->in.at;
}

static uint32_t free_of(const struct ring_side *in)
{
	uint32_t w = in->control[INDEX(RING_IN)];

	return w >= in->at ? in->size - (w - in->at) : in->at - w;
}

bool ring_get(struct channel *ch, struct packet *packet)
{
	struct ring_side *in = &ch->in;
	struct ring_descriptor d;
	uint32_t offset, length, before, wanted, at;

	if (ring_empty(ch))
		return false;
	fence();
	before = free_of(in);
	copy_out(in, in->at, &d, sizeof(d));
	offset = le16_to_cpu(d.offset8) * 8u;
	length = le16_to_cpu(d.length8) * 8u;
	packet->type = le16_to_cpu(d.type);
	packet->transaction = le64_to_cpu(d.transaction);
	packet->size = length - offset;
	if (packet->size > sizeof(packet->payload))
		packet->size = sizeof(packet->payload);
	copy_out(in, (in->at + offset) % in->size, packet->payload,
		 packet->size);
	packet->header_size = offset - sizeof(d);
	if (packet->header_size > sizeof(packet->header))
		packet->header_size = sizeof(packet->header);
	copy_out(in, (in->at + sizeof(d)) % in->size, packet->header,
		 packet->header_size);
	at = (in->at + length + sizeof(struct ring_footer)) % in->size;
	fence();
	in->at = at;
	in->control[INDEX(RING_OUT)] = at;
	fence();
	wanted = in->control[INDEX(RING_PENDING_SEND_SIZE)];
	if (wanted && before <= wanted && free_of(in) > wanted)
		channel_signal(ch);
	return true;
}

bool ring_wait(struct channel *ch, struct packet *packet, uint32_t ms)
{
	uint64_t end = deadline(ms);

	while (!ring_get(ch, packet)) {
		if (passed(end))
			return false;
		relax();
	}
	return true;
}
