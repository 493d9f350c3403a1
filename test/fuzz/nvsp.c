// SPDX-License-Identifier: MIT
/*
 * NVSP: packets of a guest's network driver, on a primary channel and a
 * sub-channel of one NIC.
 *
 * Input: how far the channel has come (nothing; a version; buffers; RNDIS and a
 * filter; a table), then steps: send a message, frames in a section or in pages, RNDIS,
 * completions or any packet at all; let reactors and the backend go on; read;
 * open and close the sub-channel; write over an index of a ring. The server is
 * played here: it opens, closes and lends pages as channel.h says.
 *
 * It must hold that each packet that wants a completion gets at most one, and
 * one unless the channel was stopped or waits for the backend; that a failure
 * leaves a violation record; that frames which come lie in the receive buffer;
 * that a channel closes when the backend lets go, and nothing of it is used
 * after. What the backend is asked is checked by the strict NIC.
 *
 * Every input opens and closes its channels, with a table of some thousand
 * entries each: this stays below 50000 inputs a second.
 */
#include <errno.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "relay/netvsp.h"
#include "relay/netvsp_state.h"
#include "relay/ring_reg.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/nic_strict.h"
#include "test/fuzz/reactor_fifo.h"

#define UP_PAGES 3
#define DOWN_PAGES 2
#define RAM_PAGES 64u
#define RECEIVE_PAGES 32u /* RAM's first */
#define SEND_PAGES 4u	  /* and what follows */
#define MAX_STEPS 24
#define MAX_SENT 64
#define QUEUES 2

static _Alignas(4096) uint8_t ring_ram[QUEUES][UP_PAGES + DOWN_PAGES][4096];
static _Alignas(4096) uint8_t ram[RAM_PAGES * 4096];
static struct guest_hold hold[QUEUES][UP_PAGES + DOWN_PAGES];
static struct guest_memory memory;
static struct reactor reactor[QUEUES];
static struct nic_strict nic;
static struct netvsp *netvsp;
static struct vmbus_device *device;
static struct vmbus_channel channel[QUEUES];
static struct ring guest[QUEUES];
static bool is_open[QUEUES], stopped[QUEUES], tampered[QUEUES];
static bool granted;
static struct {
	bool open;
	uint8_t channel;
} sent[MAX_SENT];
static uint64_t nr_sent, failures, violations;
static bool unsent; /* the backend said that frames did not leave */
static uint64_t pfns[RECEIVE_PAGES + SEND_PAGES];
static struct vmbus_pages *asked; /* waits for its answer */
static unsigned int lent;

/* The server. */

int vmbus_offer(struct vmbus_server *server, struct vmbus_device *dev)
{
	(void)server;
	device = dev;
	return 0;
}

void vmbus_revoke(struct vmbus_device *dev)
{
	dev->revoked(dev);
}

int vmbus_offer_subchannels(struct vmbus_device *dev, unsigned int count)
{
	fuzz_expect(!granted && count && count <= dev->max_subchannels, count,
		    granted);
	granted = true;
	return 0;
}

void vmbus_channel_signal(struct vmbus_channel *ch)
{
	fuzz_expect(is_open[ch - channel], ch->sub_index, 0);
}

void vmbus_channel_closed(struct vmbus_channel *ch)
{
	fuzz_expect(is_open[ch - channel], ch->sub_index, 0);
	if (!ch->sub_index)
		fuzz_expect(!lent && !asked, lent, 0);
	is_open[ch - channel] = false;
}

void vmbus_channel_violation(struct vmbus_channel *ch, uint32_t type,
			     uint32_t offset, uint64_t value, const char *rule)
{
	fuzz_expect(!stopped[ch - channel], ch->sub_index, 0);
	fuzz_expect(rule && *rule, type, offset);
	stopped[ch - channel] = true;
	violation_record("netvsp", ch->id, type, offset, value, rule);
}

void vmbus_take_pages(struct vmbus_channel *ch, struct vmbus_pages *pages,
		      uint32_t gpadl)
{
	fuzz_expect(!asked && !ch->sub_index, ch->sub_index, gpadl);
	asked = pages;
	pages->id = gpadl;
}

void vmbus_give_pages(struct vmbus_pages *pages)
{
	fuzz_expect(lent && pages->pfn, lent, 0);
	fuzz_expect(nic.state == NIC_STOPPED, nic.state, 0);
	lent--;
	pages->pfn = NULL;
}

static void answer_pages(void *arg)
{
	struct vmbus_pages *pages = asked;
	int error = 0;

	(void)arg;
	asked = NULL;
	pages->size = 0;
	switch (pages->id) {
	case 1:
		pages->pfn = pfns;
		pages->size = RECEIVE_PAGES * 4096;
		break;
	case 2:
		pages->pfn = pfns + RECEIVE_PAGES;
		pages->size = SEND_PAGES * 4096;
		break;
	case 3:
		pages->pfn = pfns;
		pages->size = 4096 + 8;
		break;
	default:
		error = -ENOENT;
	}
	lent += !error;
	pages->taken(pages, error);
}

static void let_run(void *arg)
{
	device->ops->run(arg);
}

static void run(unsigned int i)
{
	if (is_open[i] && !stopped[i])
		reactor_run(&reactor[i], let_run, &channel[i]);
	reactor_fifo_drain();
}

static void answer_asked(void)
{
	if (asked)
		reactor_run(&reactor[0], answer_pages, NULL);
	reactor_fifo_drain();
}

static void let_open(void *arg)
{
	struct vmbus_channel *ch = arg;

	fuzz_expect(!device->ops->open(device, ch), ch->sub_index, 0);
}

static void open_channel(unsigned int i)
{
	struct ring_half up = { hold[i], (UP_PAGES - 1) * 4096 };
	struct ring_half down = { hold[i] + UP_PAGES, (DOWN_PAGES - 1) * 4096 };

	stopped[i] = tampered[i] = false;
	for (uint64_t n = 0; n < nr_sent; n++)
		sent[n].open &= sent[n].channel != i;
	memset(ring_ram[i][0], 0, 128);
	memset(ring_ram[i][UP_PAGES], 0, 128);
	channel[i].device = device;
	channel[i].reactor = &reactor[i];
	channel[i].sub_index = (uint16_t)i;
	channel[i].id = 1 + i;
	fuzz_expect(!ring_init(&channel[i].ring, up, down) &&
		    !ring_init(&guest[i], down, up), 0, 0);
	is_open[i] = true;
	reactor_run(&reactor[i], let_open, &channel[i]);
	run(i);
}

static void let_close(void *arg)
{
	device->ops->close(arg);
}

static void close_channel(unsigned int i)
{
	unsigned int rounds = 0;

	if (!is_open[i])
		return;
	stopped[i] = true; /* run() is not called any more */
	reactor_run(&reactor[i], let_close, &channel[i]);
	/* A channel asks again until memory has been answered. */
	while (is_open[i]) {
		fuzz_expect(++rounds < 50, i, nic.state);
		for (unsigned int n = 0; n < 200 && reactor_fifo_step(); n++)
			;
		if (asked)
			reactor_run(&reactor[0], answer_pages, NULL);
		nic_strict_answer(&nic, 0);
	}
	reactor_fifo_drain();
}

static void create(void)
{
	const struct netvsp_config config = {
		.queues = QUEUES, .offloads = true, .memory = &memory,
		.reactor = &reactor[0], .nic = &nic.nic,
	};

	fuzz_expect(!guest_memory_add(&memory, 0, sizeof(ram) / 2, ram) &&
		    !guest_memory_add(&memory, 1ull << 32, sizeof(ram) / 2,
				      ram + sizeof(ram) / 2), 0, 0);
	nic_strict_init(&nic, &memory, &reactor[0]);
	fuzz_expect(!netvsp_create(NULL, &config, &netvsp), 0, 0);
	for (unsigned int c = 0; c < QUEUES; c++)
		for (unsigned int i = 0; i < UP_PAGES + DOWN_PAGES; i++)
			hold[c][i] = (struct guest_hold){
				(__guest_force void __guest *)ring_ram[c][i],
				4096 };
	for (unsigned int i = 0; i < RECEIVE_PAGES + SEND_PAGES; i++)
		pfns[i] = i < 32 ? i ^ 1 : i - 32 + (1u << 20);
}

/* The guest. */

static void send(unsigned int ch, uint16_t type, uint16_t flags,
		 uint64_t transaction, const void *header, uint32_t header_size,
		 const void *payload, uint32_t size)
{
	bool completion = type == RING_PACKET_COMPLETION;

	if (!is_open[ch] || stopped[ch] ||
	    (!completion && nr_sent == MAX_SENT) ||
	    ring_write(&guest[ch], type, flags,
		       completion ? transaction : nr_sent, header, header_size,
		       payload, size))
		return;
	if (!completion) {
		sent[nr_sent].open = flags & RING_FLAG_COMPLETION_REQUESTED;
		sent[nr_sent++].channel = (uint8_t)ch;
	}
	ring_write_end(&guest[ch]);
}

static void send_message(unsigned int ch, struct nvs_message *message,
			 uint32_t type)
{
	message->type = cpu_to_le32(type);
	send(ch, RING_PACKET_INBAND, RING_FLAG_COMPLETION_REQUESTED, 0, NULL, 0,
	     message, sizeof(*message));
}

/* Bytes of the input into RAM, from a page on that is no buffer's, or into the
 * first section; and a packet about them. */
static void send_rndis(struct fuzz_input *in, unsigned int ch, bool control)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(control),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};
	uint8_t shape = (uint8_t)fuzz_number(in, 1);
	uint32_t size = (uint32_t)fuzz_number(in, 1);
	_Alignas(8) uint8_t list[8 + 8 + 16];
	struct ring_gpa_direct direct = { .range_count = cpu_to_le32(1) };
	struct ring_gpa_range range;
	uint32_t offset = shape & 1 ? 4096 - size / 2 - 1 : 0;
	uint64_t pfn = (1u << 20) + 8;
	uint8_t *to = ram + (32 + 8) * 4096 + offset;

	if (shape & 2) {
		to = ram + 32 * 4096;
		message.rndis.section = cpu_to_le32(shape >> 6);
		message.rndis.section_size = cpu_to_le32(size);
	}
	/* Mostly a good header, to get further. */
	memset(to, 0, size);
	fuzz_take(in, to, size);
	if (shape & 4 && size >= 44) {
		struct rndis_packet packet = {
			.header.type = cpu_to_le32(control ? to[0] & 15u :
							     RNDIS_PACKET),
			.header.length = cpu_to_le32(size),
			.data_offset = cpu_to_le32(36 + (shape & 8 ? 16 : 0)),
			.data_size = cpu_to_le32(size - 44 -
						 (shape & 8 && size >= 60 ?
						  16 : 0)),
			.ppi_offset = cpu_to_le32(36),
			.ppi_size = cpu_to_le32(shape & 8 && size >= 60 ?
						16 : 0),
		};

		memcpy(to, &packet, control ? 8 : sizeof(packet));
	}
	if (shape & 2) {
		send(ch, RING_PACKET_INBAND, RING_FLAG_COMPLETION_REQUESTED, 0,
		     NULL, 0, &message, sizeof(message));
		return;
	}
	if (shape & 0x10)
		direct.range_count = cpu_to_le32((uint32_t)fuzz_number(in, 4));
	range.byte_count = cpu_to_le32(size + (shape & 0x20 ? 4096 : 0));
	range.byte_offset = cpu_to_le32(offset + (shape & 0x40 ? 4096 : 0));
	memcpy(list, &direct, sizeof(direct));
	memcpy(list + 8, &range, sizeof(range));
	memcpy(list + 16, &pfn, 8);
	pfn = shape & 0x80 ? fuzz_number(in, 8) : pfn + 1;
	memcpy(list + 24, &pfn, 8);
	send(ch, RING_PACKET_GPA_DIRECT, RING_FLAG_COMPLETION_REQUESTED, 0,
	     list, sizeof(list), &message, sizeof(message));
}

static void send_control(struct fuzz_input *in, unsigned int ch)
{
	static const uint8_t types[] = {
		NVS_INIT, NVS_NDIS_VERSION, NVS_SEND_RECEIVE_BUFFER,
		NVS_REVOKE_RECEIVE_BUFFER, NVS_SEND_SEND_BUFFER,
		NVS_REVOKE_SEND_BUFFER, NVS_NDIS_CONFIG, NVS_SWITCH_DATA_PATH,
		NVS_OID_QUERY, NVS_SUBCHANNEL, NVS_RNDIS_PACKET_COMPLETE, 0,
	};
	struct nvs_message message = { 0 };
	uint8_t what = (uint8_t)fuzz_number(in, 1);

	fuzz_take(in, message.pad, what & 0x10 ? 16 : 8);
	if (what & 0x20 && (what & 15) != 9) /* a buffer that is there */
		message.buffer.gpadl =
			cpu_to_le32((what & 15) == 2 ? 1 : 2);
	else if (what & 0x20)
		message.subchannel = (struct nvs_subchannel){
			cpu_to_le32(1), cpu_to_le32(1) };
	send_message(ch, &message, types[(what & 15) % sizeof(types)]);
}

static void send_anything(struct fuzz_input *in, unsigned int ch)
{
	static const uint16_t types[] = {
		RING_PACKET_INBAND, RING_PACKET_GPA_DIRECT,
		RING_PACKET_COMPLETION, RING_PACKET_TRANSFER_PAGES,
	};
	_Alignas(8) uint8_t header[64], payload[64];
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	uint32_t header_size = what >> 3 & 0x18;
	uint32_t size = (uint32_t)fuzz_number(in, 1) % sizeof(payload);

	fuzz_take(in, header, header_size);
	fuzz_take(in, payload, size);
	send(ch, types[what % 4], what >> 2 & 1, size, header, header_size,
	     payload, size);
}

static void check_pages(unsigned int ch, const struct ring_packet *packet,
			bool back)
{
	struct ring_transfer_pages pages;
	struct ring_transfer_range range;
	struct nvs_message done = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(NVS_STATUS_SUCCESS),
	};

	fuzz_expect(packet->header_size >= sizeof(pages), 0, 0);
	memcpy(&pages, packet->header, sizeof(pages));
	fuzz_expect(packet->header_size == sizeof(pages) + sizeof(range) *
		    le32_to_cpu(pages.range_count), packet->header_size, 0);
	for (uint32_t i = 0; i < le32_to_cpu(pages.range_count); i++) {
		memcpy(&range, packet->header + sizeof(pages) +
		       i * sizeof(range), sizeof(range));
		fuzz_expect(le32_to_cpu(range.byte_count) <=
			    RECEIVE_PAGES * 4096 &&
			    le32_to_cpu(range.byte_offset) <=
			    RECEIVE_PAGES * 4096 -
			    le32_to_cpu(range.byte_count),
			    le32_to_cpu(range.byte_offset),
			    le32_to_cpu(range.byte_count));
	}
	fuzz_accept();
	if (back)
		send(ch, RING_PACKET_COMPLETION, 0, packet->transaction, NULL,
		     0, &done, sizeof(done));
}

static void check(unsigned int ch, const struct ring_packet *packet, bool back)
{
	le32 word[2] = { cpu_to_le32(0), cpu_to_le32(0) };

	if (packet->type == RING_PACKET_TRANSFER_PAGES) {
		check_pages(ch, packet, back);
		return;
	}
	if (packet->type == RING_PACKET_INBAND)
		return; /* the table */
	fuzz_expect(packet->type == RING_PACKET_COMPLETION, packet->type, 0);
	if (tampered[ch])
		return;
	fuzz_expect(packet->transaction < nr_sent &&
		    sent[packet->transaction].open &&
		    sent[packet->transaction].channel == ch,
		    packet->transaction, nr_sent);
	sent[packet->transaction].open = false;
	if (packet->payload_size >= sizeof(word))
		memcpy(word, packet->payload, sizeof(word));
	if (le32_to_cpu(word[0]) == NVS_RNDIS_PACKET_COMPLETE) {
		failures += le32_to_cpu(word[1]) == NVS_STATUS_FAILURE;
		if (le32_to_cpu(word[1]) == NVS_STATUS_SUCCESS)
			fuzz_accept();
	}
}

static void receive(unsigned int ch, bool back)
{
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct ring_packet packet;
	bool more = true;

	while (more) {
		while (!ring_read(&guest[ch], buffer, sizeof(buffer), &packet))
			check(ch, &packet, back);
		ring_read_end(&guest[ch], &more);
	}
	fuzz_expect(tampered[ch] || !guest[ch].broken, guest[ch].broken_value,
		    0);
}

static void tamper(struct fuzz_input *in, unsigned int ch, bool up)
{
	uint32_t index = (uint32_t)fuzz_number(in, 2);

	tampered[ch] = true;
	memcpy(ring_ram[ch][up ? 0 : UP_PAGES] + (up ? RING_IN : RING_OUT),
	       &index, sizeof(index));
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	device->ops->inspect(device, out);
}

static void inspect(void)
{
	static struct inspect_entry entry = { "nic", describe, NULL, NULL };
	static char json[16384];

	if (!json[0])
		inspect_register(&entry);
	fuzz_expect(inspect_render("", 9, json, sizeof(json)) > 0, 0, 0);
}

static void backend(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	unsigned int queue = what >> 7, n = what >> 3 & 15;

	switch (what % 8) {
	case 0:
	case 1:
		nic_strict_answer(&nic, n == 15 ? -EIO : n == 14 ? -ENODEV : 0);
		break;
	case 2:
	case 3:
		unsent |= n == 15;
		nic_strict_sent(&nic, queue, n + 1, n == 15);
		break;
	case 4:
	case 5:
		nic_strict_receive(&nic, queue, n + 1, what * 9u,
				   (uint16_t)fuzz_number(in, 2) & 0x1ff,
				   what & 0x1f);
		break;
	case 6:
		nic.link_up = what & 8;
		nic_strict_event(&nic, NIC_LINK);
		break;
	case 7:
		nic_strict_event(&nic, what & 8 ? NIC_LOST : NIC_BACK);
		break;
	}
	reactor_fifo_drain();
}

static void step(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	unsigned int ch = what >> 7;

	switch (what % 8) {
	case 0:
		send_control(in, ch);
		break;
	case 1:
	case 2:
		send_rndis(in, ch, what & 0x40);
		break;
	case 3:
		send_anything(in, ch);
		break;
	case 4:
		run(ch);
		if (!(what & 0x40))
			answer_asked();
		break;
	case 5:
		backend(in);
		break;
	case 6:
		if (!is_open[ch])
			break;
		if ((what & 0x70) == 0x70)
			tamper(in, ch, what & 8);
		else
			receive(ch, what & 0x40);
		break;
	case 7:
		if (what == 0xff && !in->left)
			inspect();
		else if (what & 0x40)
			close_channel(1);
		else if (granted && !is_open[1])
			open_channel(1);
		break;
	}
}

/* What OID_RECEIVE_SCALE_PARAMETERS would do: a table of four, of which three
 * are said, and so frames that come on the other channel. */
static void set_table(unsigned int bits)
{
	struct {
		struct ndis_rss_parameters parameters;
		le32 table[4];
		uint8_t key[NIC_RSS_KEY];
	} __packed rss = {
		.parameters = {
			.header.type = NDIS_OBJECT_RSS_PARAMETERS,
			.table_size = cpu_to_le16(sizeof(rss.table)),
			.table_offset = cpu_to_le32(40),
			.key_size = cpu_to_le16(NIC_RSS_KEY),
			.key_offset = cpu_to_le32(40 + sizeof(rss.table)),
		},
		.table[3] = cpu_to_le32(1),
	};
	struct refusal no;

	for (unsigned int i = 0; i < 3; i++)
		rss.table[i] = cpu_to_le32(bits >> i & 1);
	fuzz_expect(!rndis_set(netvsp, OID_RECEIVE_SCALE_PARAMETERS,
			       (const uint8_t *)&rss, sizeof(rss), &no), bits,
		    0);
}

/* A channel that was negotiated so far, by the messages that do it. */
static void come_so_far(unsigned int how_far)
{
	static const uint32_t versions[] = { NVS_VERSION_1, NVS_VERSION_61 };
	struct nvs_message message = { 0 };
	uint32_t filter = RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST;
	struct refusal no;

	if (!(how_far & 3))
		return;
	message.init.min_version = message.init.max_version =
		cpu_to_le32(versions[how_far >> 2 & 1]);
	send_message(0, &message, NVS_INIT);
	run(0);
	if ((how_far & 3) == 1)
		return;
	message.buffer.gpadl = cpu_to_le32(1);
	send_message(0, &message, NVS_SEND_RECEIVE_BUFFER);
	run(0);
	answer_asked();
	message.buffer.gpadl = cpu_to_le32(2);
	send_message(0, &message, NVS_SEND_SEND_BUFFER);
	run(0);
	answer_asked();
	if ((how_far & 3) == 2)
		return;
	/* What RNDIS would do; rndis.c has its own target. */
	atomic_store(&netvsp->operational, true);
	rndis_set(netvsp, OID_CURRENT_PACKET_FILTER, (const uint8_t *)&filter,
		  sizeof(filter), &no);
	if (how_far & 4 && how_far & 8) {
		message.subchannel.operation = cpu_to_le32(1);
		message.subchannel.count = cpu_to_le32(1);
		send_message(0, &message, NVS_SUBCHANNEL);
		run(0);
		open_channel(1);
	}
	if (how_far & 16)
		set_table(how_far >> 5);
	reactor_fifo_drain();
	nic_strict_answer(&nic, 0);
	reactor_fifo_drain();
}

/* Until nothing happens any more. */
static void settle(void)
{
	uint64_t before, after = 0;

	do {
		before = after;
		after = 0;
		for (unsigned int i = 0; i < QUEUES; i++) {
			run(i);
			answer_asked();
			nic_strict_answer(&nic, 0);
			reactor_fifo_drain();
			while (nic_strict_sent(&nic, i, 64, false))
				reactor_fifo_drain();
			if (is_open[i])
				receive(i, true);
			run(i);
			after += channel[i].ring.count.packets_in +
				 channel[i].ring.count.packets_out;
		}
	} while (before != after);
}

static bool waits(unsigned int ch)
{
	const struct netvsp_channel *c = netvsp_channel(netvsp, ch);

	return !is_open[ch] || stopped[ch] || tampered[ch] || c->held ||
	       c->waiting || channel[ch].ring.read_index !=
			     guest[ch].write_index;
}

void fuzz_one(struct fuzz_input *in)
{
	unsigned int how_far = (unsigned int)fuzz_number(in, 1);

	if (!netvsp)
		create();
	nr_sent = failures = 0;
	granted = unsent = false;
	nic.link_up = true;
	nic_strict_event(&nic, NIC_BACK);
	violations = violation_count();
	open_channel(0);
	come_so_far(how_far);
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	settle();
	for (uint64_t i = 0; i < nr_sent; i++)
		fuzz_expect(!sent[i].open || waits(sent[i].channel), i,
			    nr_sent);
	fuzz_expect(unsent || violation_count() - violations >= failures,
		    violation_count() - violations, failures);
	close_channel(1);
	close_channel(0);
	fuzz_expect(!lent && nic.state == NIC_STOPPED, lent, nic.state);
	fuzz_expect(!memory.holds, memory.holds, 0);
}
