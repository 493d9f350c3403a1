/* SPDX-License-Identifier: MIT */
/*
 * NetVSP benches, theory of operation
 *
 * A guest with a NIC whose frames come back, or end, on its one channel, all in
 * this thread. In each round a burst of frames is sent, the reactors run until
 * they are idle, and the guest reads all completions, and all frames that came,
 * whose packets it gives back:
 *
 *	guest: packets into the ring, one signal if the ring asks for it
 *	host:  reactors run: frames sent, completed, received, handed over
 *	guest: packets out of the ring; frames given back; and again
 *
 * Small frames lie in sections of the send buffer, as Linux puts them there;
 * big ones, for the backend to segment, in pages of which none are adjacent.
 *
 * Failure answers: a frame that does not end well ends the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paravisor/nic_loopback.h"
#include "relay/netvsp.h"
#include "relay/netvsp_state.h"
#include "relay/ring_reg.h"
#include "test/bench/native.h"
#include "test/guest_driver/guest_driver.h"
#include "test/unit/reactor_inline.h"

#define BURST 32
#define RING_PAGES 129 /* as Linux makes them */
#define RECEIVE_PAGES 1024
#define SEND_PAGES 48 /* 32 sections */
#define MAX_PAGES 17  /* of a frame */
#define MSS 1448
#define TCP_HEADER_END 54
#define RAM_PAGES 8192

struct frame {
	uint32_t header_size;
	_Alignas(8) uint8_t header[8 + MAX_PAGES * 16 + 16];
	struct nvs_message message;
};

struct machine {
	struct bench_case c;
	struct guest_driver *g;
	struct nic *nic;
	struct netvsp *netvsp;
	struct guest_channel ch;
	struct frame frame[BURST];
	uint64_t receive_pfn[RECEIVE_PAGES], send_pfn[SEND_PAGES];
	_Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	uint64_t received; /* frames */
	bool destroyed;
};

static void need(bool good, const char *what)
{
	if (!good)
		bench_fail(what);
}

/* A burst. */

static void signal_host(struct machine *m, struct tally *t)
{
	bool counting = bench_count(true);
	uint64_t start = bench_ticks();

	vmbus_server_signal(m->g->server, m->ch.connection, 0);
	t->ticks += bench_ticks() - start;
	bench_count(counting);
	t->to_host++;
}

static void send(struct machine *m, struct tally *t)
{
	for (unsigned int i = 0; i < m->c.depth; i++) {
		const struct frame *f = &m->frame[i];

		need(!ring_write(&m->ch.ring, f->header_size ?
				 RING_PACKET_GPA_DIRECT : RING_PACKET_INBAND,
				 RING_FLAG_COMPLETION_REQUESTED, i, f->header,
				 f->header_size, &f->message,
				 sizeof(f->message)), "no room for a frame");
	}
	if (ring_write_end(&m->ch.ring))
		signal_host(m, t);
}

static void give_back(struct machine *m, const struct ring_packet *packet)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(NVS_STATUS_SUCCESS),
	};
	struct ring_transfer_pages pages;

	memcpy(&pages, packet->header, sizeof(pages));
	m->received += le32_to_cpu(pages.range_count);
	need(!ring_write(&m->ch.ring, RING_PACKET_COMPLETION, 0,
			 packet->transaction, NULL, 0, &message,
			 sizeof(message)), "no room to give back");
}

static void receive(struct machine *m, struct tally *t)
{
	struct ring_packet packet;
	struct nvs_message reply;
	unsigned int ended = 0;
	bool more;

	while (!ring_read(&m->ch.ring, m->bytes, sizeof(m->bytes), &packet)) {
		if (packet.type == RING_PACKET_TRANSFER_PAGES) {
			give_back(m, &packet);
			continue;
		}
		memcpy(&reply, packet.payload, sizeof(reply));
		need(le32_to_cpu(reply.complete.status) == NVS_STATUS_SUCCESS,
		     "a frame failed");
		ended++;
	}
	need(ended == m->c.depth, "a frame did not end");
	t->items += ended;
	if (ring_read_end(&m->ch.ring, &more))
		signal_host(m, t);
	/* What was given back goes with the next burst. */
}

static void add_counters(struct machine *m, struct tally *t, int sign)
{
	struct nic_stats stats;

	m->nic->ops->stats(m->nic, &stats);
	t->submits += (uint64_t)sign * m->netvsp->channel[0]->count.tx_batches;
	t->to_guest += (uint64_t)sign * m->g->signals;
	t->copied += (uint64_t)sign * stats.bounced_bytes;
}

static void work(void *state, uint64_t items, struct tally *t)
{
	struct machine *m = state;
	uint64_t start;

	add_counters(m, t, -1);
	while (t->items < items) {
		send(m, t);
		start = bench_ticks();
		reactor_inline_drain();
		t->ticks += bench_ticks() - start;
		receive(m, t);
	}
	add_counters(m, t, 1);
	need(strcmp(m->c.disk, "loopback") || m->received, "nothing came");
}

/* The machine. */

static void make_frame(struct machine *m, unsigned int number)
{
	struct frame *f = &m->frame[number];
	bool lso = m->c.size > 1514;
	uint32_t ppi = lso ? sizeof(struct rndis_ppi_word) : 0, left, at = 0;
	uint8_t *bytes = calloc(1, m->c.size + 64);
	struct rndis_packet packet = {
		.header.type = cpu_to_le32(RNDIS_PACKET),
		.header.length = cpu_to_le32(44 + ppi + m->c.size),
		.data_offset = cpu_to_le32(36 + ppi),
		.data_size = cpu_to_le32(m->c.size),
		.ppi_offset = cpu_to_le32(ppi ? 36 : 0),
		.ppi_size = cpu_to_le32(ppi),
	};
	struct rndis_ppi_word word = {
		.ppi.size = cpu_to_le32(sizeof(word)),
		.ppi.type = cpu_to_le32(RNDIS_PPI_LSO),
		.ppi.offset = cpu_to_le32(sizeof(word.ppi)),
		.value = cpu_to_le32(MSS | 34u << RNDIS_LSO_L4_SHIFT |
				     RNDIS_LSO_VERSION_2),
	};
	struct ring_gpa_direct direct = { 0 };
	struct ring_gpa_range range = { 0 };
	uint64_t pfn[MAX_PAGES + 1];
	unsigned int pages = 0;

	need(bytes, "no memory");
	memcpy(bytes, &packet, sizeof(packet));
	if (lso)
		memcpy(bytes + 44, &word, sizeof(word));
	bytes[44 + ppi + 12] = 0x08;
	bytes[44 + ppi + 14] = 0x45;
	bytes[44 + ppi + TCP_HEADER_END - 8] = 0x50;
	left = 44 + ppi + m->c.size;
	f->message.type = cpu_to_le32(NVS_RNDIS_PACKET);
	f->message.rndis.section = cpu_to_le32(lso ? NVS_NO_SECTION : number);
	f->message.rndis.section_size = cpu_to_le32(lso ? 0 : left);
	if (!lso) {
		/* No section of these crosses a page where the frame is. */
		at = number * NETVSP_SECTION;
		memcpy((uint8_t *)guest_page(m->g, m->send_pfn[at / 4096]) +
		       at % 4096, bytes, left);
		free(bytes);
		return;
	}
	f->header_size = sizeof(direct);
	guest_pages(m->g, pfn, MAX_PAGES);
	for (; left; pages++) {
		uint32_t n = left < 4096 ? left : 4096;

		memcpy(guest_page(m->g, pfn[pages]), bytes + at, n);
		range.byte_count = cpu_to_le32(n);
		memcpy(f->header + f->header_size, &range, sizeof(range));
		memcpy(f->header + f->header_size + 8, &pfn[pages], 8);
		f->header_size += 16;
		at += n;
		left -= n;
	}
	direct.range_count = cpu_to_le32(pages);
	memcpy(f->header, &direct, sizeof(direct));
	free(bytes);
}

static void ask(struct machine *m, struct nvs_message message, uint32_t type)
{
	struct ring_packet answer;

	message.type = cpu_to_le32(type);
	need(!guest_send(&m->ch, RING_PACKET_INBAND,
			 RING_FLAG_COMPLETION_REQUESTED, 1, NULL, 0, &message,
			 sizeof(message)) &&
	     !guest_receive(&m->ch, m->bytes, &answer), "no answer");
}

/* An RNDIS message in section 0; its answer is left to receive(). */
static void rndis(struct machine *m, const void *message, uint32_t size)
{
	struct nvs_message nvs = {
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_CONTROL),
		.rndis.section_size = cpu_to_le32(size),
	};
	struct ring_packet packet;

	memcpy(guest_page(m->g, m->send_pfn[0]), message, size);
	ask(m, nvs, NVS_RNDIS_PACKET);
	while (!guest_receive(&m->ch, m->bytes, &packet)) {
		need(packet.type == RING_PACKET_TRANSFER_PAGES, "no message");
		give_back(m, &packet);
		if (ring_write_end(&m->ch.ring))
			guest_signal(&m->ch);
	}
}

static void negotiate(struct machine *m)
{
	struct nvs_message message = {
		.init.min_version = cpu_to_le32(NVS_VERSION_61),
		.init.max_version = cpu_to_le32(NVS_VERSION_61),
	};
	const uint32_t initialize[] = { RNDIS_INITIALIZE, 24, 1, 1, 0, 0x4000 };
	const uint32_t filter[] = { RNDIS_SET, 32, 2, OID_CURRENT_PACKET_FILTER,
				    4, 20, 0, RNDIS_FILTER_DIRECTED };
	uint32_t gpadl;

	ask(m, message, NVS_INIT);
	guest_pages(m->g, m->receive_pfn, RECEIVE_PAGES);
	guest_pages(m->g, m->send_pfn, SEND_PAGES);
	need(!guest_gpadl_create(m->g, m->ch.id, m->receive_pfn, RECEIVE_PAGES,
				 &gpadl), "no GPADL");
	message.buffer = (struct nvs_buffer){
		cpu_to_le32(gpadl), cpu_to_le16(NVS_RECEIVE_BUFFER_ID) };
	ask(m, message, NVS_SEND_RECEIVE_BUFFER);
	need(!guest_gpadl_create(m->g, m->ch.id, m->send_pfn, SEND_PAGES,
				 &gpadl), "no GPADL");
	message.buffer = (struct nvs_buffer){ .gpadl = cpu_to_le32(gpadl) };
	ask(m, message, NVS_SEND_SEND_BUFFER);
	rndis(m, initialize, sizeof(initialize));
	rndis(m, filter, sizeof(filter));
}

static void machine_open(struct machine *m, const struct bench_case *c)
{
	struct nic_loopback_config loopback = {
		.mac = { 0, 0x15, 0x5d, 1, 2, 3 },
		.discard = !strcmp(c->disk, "null"),
	};
	struct netvsp_config config = { .queues = 1, .offloads = true };
	struct vmbus_offer_channel offer;
	unsigned int offers;

	memset(m, 0, sizeof(*m));
	m->c = *c;
	m->g = guest_driver_create(RAM_PAGES, 1, 0);
	loopback.memory = config.memory = &m->g->memory;
	loopback.reactor = config.reactor = m->g->reactor[0];
	m->nic = config.nic = nic_loopback_create(&loopback);
	need(m->nic, "no memory");
	need(!netvsp_create(m->g->server, &config, &m->netvsp) &&
	     !guest_contact(m->g, VMBUS_VERSION_COPPER, 0, 0) &&
	     !guest_request_offers(m->g, &offers, &offer, 1) && offers == 1 &&
	     !guest_open(m->g, &offer, RING_PAGES, 0, &m->ch), "no channel");
	negotiate(m);
	for (unsigned int i = 0; i < c->depth; i++)
		make_frame(m, i);
	m->received = 0;
}

static void noted(void *opaque)
{
	((struct machine *)opaque)->destroyed = true;
}

static void machine_close(struct machine *m)
{
	need(!guest_unload(m->g), "no answer to unload");
	guest_channel_free(&m->ch);
	netvsp_destroy(m->netvsp, noted, m);
	reactor_inline_drain();
	need(m->destroyed, "the NIC stays");
	m->nic->ops->close(m->nic);
	guest_driver_destroy(m->g);
}

void bench_netvsp(void)
{
	static const char *const wires[] = { "null", "loopback" };
	static const uint32_t sizes[] = { 64, 62780 };
	static struct machine m;

	for (unsigned int wire = 0; wire < 2; wire++) {
		for (unsigned int size = 0; size < 2; size++) {
			struct bench_case c = {
				.kind = "netvsp", .disk = wires[wire],
				.op = "send", .size = sizes[size],
				.depth = BURST,
			};

			snprintf(c.name, sizeof(c.name),
				 "netvsp-%s-%u-burst-%u", c.disk, c.size,
				 c.depth);
			machine_open(&m, &c);
			bench_measure(&c, work, &m);
			machine_close(&m);
		}
	}
}
