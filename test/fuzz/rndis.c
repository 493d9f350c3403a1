// SPDX-License-Identifier: MIT
/*
 * RNDIS: control messages of a guest, and frames with their per-packet
 * information, as they are parsed; no ring, no channel.
 *
 * Input: a kind, then a control message whole; or how bytes lie in pages, and
 * the bytes of a packet with one RNDIS message or several.
 *
 * It must hold that a control message is refused as a whole, with a rule, or
 * answered by a message of the length it says, with the request's id; that no
 * answer is longer than a slot. Of a frame, that its ranges are the bytes that
 * its message names, in guest RAM; that offloads have what they need.
 */
#include <errno.h>
#include <string.h>

#include "relay/netvsp.h"
#include "relay/netvsp_state.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/nic_strict.h"
#include "test/fuzz/reactor_fifo.h"

#define RAM_PAGES 32u

static _Alignas(4096) uint8_t ram[RAM_PAGES * 4096];
static struct guest_memory memory;
static struct reactor reactor;
static struct nic_strict nic;
static struct netvsp *netvsp;
static struct vmbus_device *device;
static struct netvsp_channel *primary;
static struct vmbus_channel channel;

/* The server: there is none. */

int vmbus_offer(struct vmbus_server *server, struct vmbus_device *dev)
{
	(void)server;
	device = dev;
	return 0;
}

void vmbus_revoke(struct vmbus_device *dev)
{
	(void)dev;
}

int vmbus_offer_subchannels(struct vmbus_device *dev, unsigned int count)
{
	(void)dev;
	(void)count;
	return -EINVAL;
}

void vmbus_channel_signal(struct vmbus_channel *ch)
{
	(void)ch;
}

void vmbus_channel_closed(struct vmbus_channel *ch)
{
	(void)ch;
}

void vmbus_channel_violation(struct vmbus_channel *ch, uint32_t type,
			     uint32_t offset, uint64_t value, const char *rule)
{
	(void)ch;
	(void)rule;
	fuzz_expect(false, type + offset, value);
}

void vmbus_take_pages(struct vmbus_channel *ch, struct vmbus_pages *pages,
		      uint32_t gpadl)
{
	(void)ch;
	(void)pages;
	(void)gpadl;
}

void vmbus_give_pages(struct vmbus_pages *pages)
{
	(void)pages;
}

static void create(void)
{
	const struct netvsp_config config = {
		.queues = NIC_STRICT_QUEUES, .offloads = true,
		.memory = &memory, .reactor = &reactor, .nic = &nic.nic,
	};
	static _Alignas(4096) uint8_t ring_ram[4][4096];
	static struct guest_hold hold[4];

	fuzz_expect(!guest_memory_add(&memory, 0, sizeof(ram), ram), 0, 0);
	nic_strict_init(&nic, &memory, &reactor);
	fuzz_expect(!netvsp_create(NULL, &config, &netvsp), 0, 0);
	for (unsigned int i = 0; i < 4; i++)
		hold[i] = (struct guest_hold){
			(__guest_force void __guest *)ring_ram[i], 4096 };
	channel.device = device;
	channel.reactor = &reactor;
	fuzz_expect(!ring_init(&channel.ring,
			       (struct ring_half){ hold, 4096 },
			       (struct ring_half){ hold + 2, 4096 }), 0, 0);
	fuzz_expect(!device->ops->open(device, &channel), 0, 0);
	primary = netvsp_channel(netvsp, 0);
	netvsp->usable_queues = NIC_STRICT_QUEUES;
}

static void control(struct fuzz_input *in)
{
	struct netvsp_control *control = &netvsp->control;
	struct rndis_request request, reply;
	struct refusal no = { 0 };
	size_t size = fuzz_take(in, control->in, sizeof(control->in));
	int len;

	len = rndis_control(netvsp, (uint32_t)size, &no);
	reactor_fifo_drain();
	if (len < 0) {
		fuzz_expect(len == -EBADMSG && no.rule, len, 0);
		return;
	}
	memcpy(&request, control->in, sizeof(request));
	if (!len) {
		fuzz_expect(le32_to_cpu(request.header.type) == RNDIS_HALT,
			    le32_to_cpu(request.header.type), 0);
		return;
	}
	fuzz_expect((uint32_t)len <= NETVSP_SLOT && len >= 16, len, 0);
	memcpy(&reply, control->out, sizeof(reply));
	fuzz_expect(le32_to_cpu(reply.header.length) == (uint32_t)len,
		    le32_to_cpu(reply.header.length), len);
	fuzz_expect(le32_to_cpu(reply.header.type) ==
		    (le32_to_cpu(request.header.type) | RNDIS_COMPLETE),
		    le32_to_cpu(reply.header.type), 0);
	if (le32_to_cpu(request.header.type) != RNDIS_RESET)
		fuzz_expect(le32_to_cpu(reply.id) == le32_to_cpu(request.id),
			    le32_to_cpu(reply.id), 0);
	fuzz_accept();
}

static void check_frame(const struct nic_frame *frame, uint32_t size)
{
	uint32_t bytes = 0;

	fuzz_expect(frame->nr_ranges && frame->nr_ranges <= NETVSP_FRAME_RANGES,
		    frame->nr_ranges, 0);
	for (unsigned int i = 0; i < frame->nr_ranges; i++) {
		fuzz_expect(guest_memory_good(&memory, frame->ranges[i]), i,
			    frame->ranges[i].gpa);
		bytes += frame->ranges[i].len;
	}
	fuzz_expect(bytes == size && bytes >= 14, bytes, size);
	if (frame->offload & (NIC_LSO4 | NIC_LSO6))
		fuzz_expect(frame->mss && frame->header_len < bytes &&
			    frame->header_len >= frame->l4_offset + 20,
			    frame->header_len, bytes);
	fuzz_expect(frame->l4_offset < bytes, frame->l4_offset, bytes);
}

static void frames(struct fuzz_input *in)
{
	struct gather *gather = &primary->tx.gather;
	uint32_t where = (uint32_t)fuzz_number(in, 2), gpa, length, size;
	struct gpa_range ranges[NETVSP_FRAME_RANGES];
	struct gather_at at = { 0 };
	struct nic_frame frame;
	struct refusal no;

	gather_reset(gather, &memory);
	/* Pages that are now and then adjacent; pieces end anywhere. */
	for (uint32_t i = 0; in->left && i < 24; i++) {
		uint32_t piece = i ? 1 + (where >> (i % 9)) % 257 : 44;
		const uint8_t *bytes;
		size_t n;

		gpa = (i * 5 + (where & 3 ? 0 : i)) % RAM_PAGES * 4096 +
		      where % (4096 - 300);
		bytes = fuzz_rest(in, piece, &n);
		memcpy(ram + gpa, bytes, n);
		fuzz_expect(gather_add(gather, gpa, (uint32_t)n), gpa, n);
	}
	for (uint32_t left = gather->bytes, n = 0; n < 8 && left; n++) {
		struct rndis_packet packet;

		if (!netvsp_take_frame(primary, at, left, &frame, ranges,
				       &length, &no)) {
			fuzz_expect(no.rule, n, 0);
			return;
		}
		gather_read(gather, at, &packet, sizeof(packet));
		size = le32_to_cpu(packet.data_size);
		check_frame(&frame, size);
		fuzz_accept();
		gather_skip(gather, &at, length);
		left -= length;
	}
}

void fuzz_one(struct fuzz_input *in)
{
	uint8_t kind = (uint8_t)fuzz_number(in, 1);

	if (!netvsp)
		create();
	atomic_store(&netvsp->operational, !(kind & 2));
	netvsp->control.tx_enabled = netvsp->tx_can;
	netvsp->control.rx_enabled = netvsp->rx_can;
	netvsp->control.filter = netvsp->control.lookahead = 0;
	memset(&netvsp->want.rss, 0, sizeof(netvsp->want.rss));
	if (kind & 1)
		frames(in);
	else
		control(in);
	fuzz_expect(!memory.holds && nic.state == NIC_STOPPED, nic.state, 0);
}
