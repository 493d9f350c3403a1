/* SPDX-License-Identifier: MIT */
/*
 * Guest channels, theory of operation
 *
 * What the guest driver does with a channel that it was offered: makes a ring
 * of pages and its GPADL, opens and closes it, sends and receives packets.
 *
 * The client's side of a ring is relay/ring.c again, with the halves swapped.
 * What a hostile guest writes into a ring goes directly to guest_page().
 *
 * Threads: one at a time for each channel. Failure answers: abort when this
 * process is out of memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/guest_driver/guest_driver.h"
#include "test/unit/reactor_inline.h"

#define OPEN_ID 0x1000u /* added to the channel */

static void *zeroed(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	if (!memory) {
		fprintf(stderr, "guest channel: no memory\n");
		abort();
	}
	return memory;
}

int guest_post_open(struct guest_channel *ch, uint32_t vp)
{
	struct vmbus_open_channel_signal message = {
		.open = {
			.channel = cpu_to_le32(ch->id),
			.open_id = cpu_to_le32(ch->id + OPEN_ID),
			.gpadl = cpu_to_le32(ch->gpadl),
			.vp = cpu_to_le32(vp),
			.downstream_page = cpu_to_le32(ch->split),
		},
		.connection = cpu_to_le32(ch->connection),
		.event_flag = cpu_to_le16(ch->event_flag),
	};

	return guest_post(ch->g, VMBUS_OPEN_CHANNEL, &message,
			  ch->g->features & VMBUS_FEATURE_SIGNAL_PARAMETERS ?
			  sizeof(message) : sizeof(message.open));
}

static int open_result(struct guest_channel *ch, uint32_t open_id)
{
	struct vmbus_open_result result;
	int err = guest_expect(ch->g, VMBUS_OPEN_RESULT, &result,
			       sizeof(result));

	if (err)
		return err;
	if (le32_to_cpu(result.channel) != ch->id ||
	    le32_to_cpu(result.open_id) != open_id)
		return -EBADMSG;
	return le32_to_cpu(result.status) ? -EPROTO : 0;
}

int guest_ring_open(struct guest_channel *ch, uint32_t vp)
{
	int err = guest_post_open(ch, vp);

	return err ? err : open_result(ch, ch->id + OPEN_ID);
}

/* Did the oldest message, if any, come to this place? */
static bool came_to(const struct guest_driver *g, uint32_t vp, uint32_t sint)
{
	return !g->nr_inbox ||
	       (g->inbox[0].vp == vp && g->inbox[0].sint == sint);
}

int guest_open_reserved(struct guest_channel *ch, uint32_t vp, uint32_t sint)
{
	struct vmbus_open_reserved open = {
		.channel = cpu_to_le32(ch->id),
		.vp = cpu_to_le32(vp),
		.sint = cpu_to_le32(sint),
		.gpadl = cpu_to_le32(ch->gpadl),
		.downstream_page = cpu_to_le32(ch->split),
	};
	int err = guest_post(ch->g, VMBUS_OPEN_RESERVED, &open, sizeof(open));

	if (err)
		return err;
	return came_to(ch->g, vp, sint) ? open_result(ch, 0) : -EBADMSG;
}

int guest_close_reserved(struct guest_channel *ch, uint32_t vp, uint32_t sint)
{
	struct vmbus_close_reserved close = {
		.channel = cpu_to_le32(ch->id),
		.vp = cpu_to_le32(vp),
		.sint = cpu_to_le32(sint),
	};
	struct vmbus_channel_message response;
	int err = guest_post(ch->g, VMBUS_CLOSE_RESERVED, &close,
			     sizeof(close));

	if (err)
		return err;
	if (!came_to(ch->g, vp, sint))
		return -EBADMSG;
	err = guest_expect(ch->g, VMBUS_CLOSE_RESERVED_RESPONSE, &response,
			   sizeof(response));
	if (!err && le32_to_cpu(response.channel) != ch->id)
		err = -EBADMSG;
	return err;
}

void guest_channel_free(struct guest_channel *ch)
{
	for (uint32_t i = 0; ch->hold && i < ch->nr_pages; i++)
		if (ch->hold[i].va)
			guest_memory_drop(&ch->g->memory, &ch->hold[i]);
	free(ch->hold);
	free(ch->pfn);
	ch->hold = NULL;
	ch->pfn = NULL;
}

void guest_ring_clear(struct guest_channel *ch)
{
	struct ring_half first = { ch->hold,
				   (ch->split - 1) * GUEST_PAGE_SIZE };
	struct ring_half second = { ch->hold + ch->split, first.size };

	for (uint32_t i = 0; i < ch->nr_pages; i++) {
		struct gpa_range page = { ch->pfn[i] << GUEST_PAGE_SHIFT,
					  GUEST_PAGE_SIZE };

		if (guest_memory_hold(&ch->g->memory, page, &ch->hold[i]))
			abort();
		memset(guest_page(ch->g, ch->pfn[i]), 0, GUEST_PAGE_SIZE);
	}
	if (ring_init(&ch->ring, second, first))
		abort();
}

static void ring_alloc(struct guest_driver *g,
		       const struct vmbus_offer_channel *offer, uint32_t pages,
		       struct guest_channel *ch)
{
	*ch = (struct guest_channel){
		.g = g,
		.id = le32_to_cpu(offer->channel),
		.connection = le32_to_cpu(offer->connection),
		.event_flag = (uint16_t)le32_to_cpu(offer->channel),
		.nr_pages = 2 * pages,
		.split = pages,
	};
	ch->pfn = zeroed(ch->nr_pages, sizeof(ch->pfn[0]));
	ch->hold = zeroed(ch->nr_pages, sizeof(ch->hold[0]));
	guest_pages(g, ch->pfn, ch->nr_pages);
	/* Memory as an allocator may give it: not clean. */
	for (uint32_t i = 0; i < ch->nr_pages; i++)
		memset(guest_page(g, ch->pfn[i]), 0xaa, GUEST_PAGE_SIZE);
}

int guest_ring_post(struct guest_driver *g,
		    const struct vmbus_offer_channel *offer, uint32_t pages,
		    struct guest_channel *ch)
{
	ring_alloc(g, offer, pages, ch);
	return guest_gpadl_post(g, ch->id, ch->pfn, ch->nr_pages, &ch->gpadl);
}

int guest_ring_create(struct guest_driver *g,
		      const struct vmbus_offer_channel *offer, uint32_t pages,
		      struct guest_channel *ch)
{
	int err;

	ring_alloc(g, offer, pages, ch);
	err = guest_gpadl_create(g, ch->id, ch->pfn, ch->nr_pages, &ch->gpadl);
	if (err)
		guest_channel_free(ch);
	return err;
}

int guest_open(struct guest_driver *g, const struct vmbus_offer_channel *offer,
	       uint32_t pages, uint32_t vp, struct guest_channel *ch)
{
	int err = guest_ring_create(g, offer, pages, ch);

	if (err)
		return err;
	guest_ring_clear(ch);
	err = guest_ring_open(ch, vp);
	if (err) {
		guest_gpadl_teardown(g, ch->id, ch->gpadl);
		guest_channel_free(ch);
	}
	return err;
}

int guest_close(struct guest_channel *ch)
{
	struct vmbus_channel_message close = {
		.channel = cpu_to_le32(ch->id),
	};

	return guest_post(ch->g, VMBUS_CLOSE_CHANNEL, &close, sizeof(close));
}

int guest_shut(struct guest_channel *ch)
{
	int err = guest_close(ch);

	if (!err)
		err = guest_gpadl_teardown(ch->g, ch->id, ch->gpadl);
	guest_channel_free(ch);
	return err;
}

int guest_signal(struct guest_channel *ch)
{
	int err = vmbus_server_signal(ch->g->server, ch->connection, 0);

	if (err == -ENOENT && ch->g->host)
		err = vmbus_server_signal(ch->g->host, ch->connection, 0);
	if (!ch->g->manual)
		reactor_inline_drain();
	return err;
}

int guest_send(struct guest_channel *ch, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t payload_size)
{
	int err = ring_write(&ch->ring, type, flags, transaction, header,
			     header_size, payload, payload_size);

	if (ring_write_end(&ch->ring) && !err)
		err = guest_signal(ch);
	return err;
}

int guest_receive(struct guest_channel *ch, void *buffer,
		  struct ring_packet *packet)
{
	int err = ring_read(&ch->ring, buffer, RING_MAX_PACKET, packet);
	bool more;

	if (ring_read_end(&ch->ring, &more))
		guest_signal(ch);
	return err;
}
