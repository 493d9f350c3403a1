/* SPDX-License-Identifier: MIT */
/*
 * StorVSP benches, theory of operation
 *
 * A guest with one or two channels of one controller, each on its own VP and
 * all in this thread. On each channel `depth` commands are always under way:
 *
 *	guest: SRBs into the ring, one signal if the ring asks for it
 *	host:  reactors run until they are idle: all commands have ended
 *	guest: completions out of the ring, each looked at; and again
 *
 * A command reads or writes at its own place of the disk from its own pages,
 * none of which are adjacent: a page is a range. Its SRB is made once.
 *
 * Failure answers: a command that does not end well ends the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paravisor/disk_memory.h"
#include "relay/ring_reg.h"
#include "relay/storvsp_channel.h"
#include "test/bench/native.h"
#include "test/guest_driver/guest_driver.h"
#include "test/unit/reactor_inline.h"

#define MAX_DEPTH 64
#define MAX_QUEUES 2
#define RING_PAGES 33 /* 128 KiB of data and the control page */
#define MAX_PAGES 16  /* of a command's data */
#define BLOCK 512u
#define DISK_BLOCKS (64u << 20) / BLOCK

struct command {
	uint32_t header_size;
	_Alignas(8) uint8_t header[16 + MAX_PAGES * 8];
	struct vstor_packet packet;
};

struct queue {
	struct guest_channel ch;
	struct command command[MAX_DEPTH];
	/* To be sent. */
	unsigned int nr_idle;
	uint8_t idle[MAX_DEPTH];
};

struct machine {
	struct bench_case c;
	struct guest_driver *g;
	struct disk *disk;
	struct storvsp *storvsp;
	struct queue queue[MAX_QUEUES];
	_Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	bool destroyed;
};

static void need(bool good, const char *what)
{
	if (!good)
		bench_fail(what);
}

/* Commands. */

static void make_command(struct machine *m, struct command *command,
			 uint32_t lba)
{
	bool write = !strcmp(m->c.op, "write");
	uint32_t pages = m->c.size / GUEST_PAGE_SIZE, blocks = m->c.size / BLOCK;
	struct ring_gpa_direct direct = { .range_count = cpu_to_le32(1) };
	struct ring_gpa_range range = { .byte_count = cpu_to_le32(m->c.size) };
	struct vstor_srb *srb = &command->packet.srb;
	uint64_t pfn[MAX_PAGES];

	guest_pages(m->g, pfn, pages);
	memcpy(command->header, &direct, sizeof(direct));
	memcpy(command->header + 8, &range, sizeof(range));
	memcpy(command->header + 16, pfn, pages * 8);
	command->header_size = 16 + pages * 8;
	command->packet.header.operation = cpu_to_le32(VSTOR_EXECUTE_SRB);
	command->packet.header.flags = cpu_to_le32(1);
	srb->length = cpu_to_le16(sizeof(*srb));
	srb->cdb_size = 10;
	srb->sense_size = VSTOR_SRB_SENSE_SIZE;
	srb->data_in = write ? VSTOR_DATA_WRITE : VSTOR_DATA_READ;
	srb->data_size = cpu_to_le32(m->c.size);
	srb->cdb[0] = write ? SCSI_WRITE_10 : SCSI_READ_10;
	scsi_put32(srb->cdb + 2, lba);
	srb->cdb[8] = (uint8_t)blocks;
}

static void signal_host(struct queue *q, struct tally *t)
{
	bool counting = bench_count(true);
	uint64_t start = bench_ticks();

	vmbus_server_signal(q->ch.g->server, q->ch.connection, 0);
	t->ticks += bench_ticks() - start;
	bench_count(counting);
	t->to_host++;
}

static void send(struct queue *q, struct tally *t)
{
	while (q->nr_idle) {
		unsigned int i = q->idle[--q->nr_idle];
		struct command *command = &q->command[i];

		need(!ring_write(&q->ch.ring, RING_PACKET_GPA_DIRECT,
				 RING_FLAG_COMPLETION_REQUESTED, i,
				 command->header, command->header_size,
				 &command->packet, sizeof(command->packet)),
		     "no room for a command");
	}
	if (ring_write_end(&q->ch.ring))
		signal_host(q, t);
}

static void receive(struct machine *m, struct queue *q, struct tally *t)
{
	struct vstor_packet reply;
	struct ring_packet packet;
	bool more;

	while (!ring_read(&q->ch.ring, m->bytes, sizeof(m->bytes), &packet)) {
		need(packet.payload_size == sizeof(reply) &&
		     packet.transaction < m->c.depth, "not a completion");
		memcpy(&reply, packet.payload, sizeof(reply));
		need(reply.srb.srb_status == VSTOR_SRB_SUCCESS &&
		     le32_to_cpu(reply.srb.data_size) == m->c.size,
		     "a command failed");
		q->idle[q->nr_idle++] = (uint8_t)packet.transaction;
		t->items++;
	}
	need(q->nr_idle == m->c.depth, "a command did not end");
	if (ring_read_end(&q->ch.ring, &more))
		signal_host(q, t);
}

/* What the product has counted since it began. */
static void add_counters(struct machine *m, struct tally *t, int sign)
{
	for (uint32_t i = 0; i < m->c.queues; i++) {
		struct storvsp_channel *ch = m->storvsp->channel[i];
		uint64_t copied = ch->bounce.bounced * m->c.size;

		if (!strcmp(m->c.disk, "memory"))
			copied += ch->nexus[0].scsi.count.bytes_read +
				  ch->nexus[0].scsi.count.bytes_written;
		t->submits += (uint64_t)sign * ch->nexus[0].scsi.count.submits;
		t->copied += (uint64_t)sign * copied;
	}
	t->to_guest += (uint64_t)sign * m->g->signals;
}

static void work(void *state, uint64_t items, struct tally *t)
{
	struct machine *m = state;
	uint64_t start;

	add_counters(m, t, -1);
	while (t->items < items) {
		for (uint32_t i = 0; i < m->c.queues; i++)
			send(&m->queue[i], t);
		start = bench_ticks();
		reactor_inline_drain();
		t->ticks += bench_ticks() - start;
		for (uint32_t i = 0; i < m->c.queues; i++)
			receive(m, &m->queue[i], t);
	}
	add_counters(m, t, 1);
}

/* The machine. */

static void ask(struct machine *m, struct vstor_packet packet)
{
	struct guest_channel *ch = &m->queue[0].ch;
	struct ring_packet answer;

	need(!guest_send(ch, RING_PACKET_INBAND, RING_FLAG_COMPLETION_REQUESTED,
			 1, NULL, 0, &packet, sizeof(packet)) &&
	     !guest_receive(ch, m->bytes, &answer) &&
	     answer.payload_size == sizeof(packet), "no answer");
	memcpy(&packet, answer.payload, sizeof(packet));
	need(!le32_to_cpu(packet.header.status), "negotiation failed");
}

static void negotiate(struct machine *m)
{
	static const enum vstor_operation steps[] = {
		VSTOR_BEGIN_INIT, VSTOR_QUERY_VERSION, VSTOR_QUERY_PROPERTIES,
		VSTOR_END_INIT,
	};
	struct vstor_packet packet = { 0 };

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		packet = (struct vstor_packet){ 0 };
		packet.header.operation = cpu_to_le32(steps[i]);
		if (steps[i] == VSTOR_QUERY_VERSION)
			packet.version.version =
				cpu_to_le16(VSTOR_VERSION(6, 2));
		ask(m, packet);
	}
	if (m->c.queues == 1)
		return;
	packet.header.operation = cpu_to_le32(VSTOR_CREATE_SUBCHANNELS);
	packet.subchannels = cpu_to_le16((uint16_t)(m->c.queues - 1));
	ask(m, packet);
}

static void open_subchannels(struct machine *m)
{
	struct vmbus_offer_channel offer;

	for (uint32_t i = 1; i < m->c.queues; i++)
		need(!guest_expect(m->g, VMBUS_OFFER_CHANNEL, &offer,
				   sizeof(offer)) &&
		     !guest_open(m->g, &offer, RING_PAGES, i,
				 &m->queue[i].ch), "no sub-channel");
}

static void machine_open(struct machine *m, const struct bench_case *c)
{
	struct disk_info info = {
		.blocks = DISK_BLOCKS, .block_size = BLOCK,
		.physical_block_size = BLOCK, .max_transfer = 128 * 1024,
		.max_ranges = 33, .gap_mask = 4095, .range_alignment = 4,
		.write_cache = true, .fua = true,
	};
	struct scsi_lun_config lun = { .number = 0 };
	struct storvsp_config config = {
		.queue_depth = 256,
		.max_subchannels = MAX_QUEUES - 1,
		.nr_luns = 1,
		.luns = &lun,
	};
	/* Every other page is handed out. */
	uint32_t pages = 2 * c->queues * (c->depth * c->size / GUEST_PAGE_SIZE +
					  2 * RING_PAGES) + 16;
	struct vmbus_offer_channel offer;
	unsigned int offers;

	memset(m, 0, sizeof(*m));
	m->c = *c;
	m->g = guest_driver_create(pages, MAX_QUEUES, 0);
	m->disk = strcmp(c->disk, "null") ?
			  disk_memory_create(&m->g->memory, &info) :
			  bench_disk_null(&info);
	need(m->disk, "no memory");
	lun.disk = m->disk;
	config.memory = &m->g->memory;
	config.reactor = m->g->reactor[0];
	need(!storvsp_create(m->g->server, &config, &m->storvsp) &&
	     !guest_contact(m->g, VMBUS_VERSION_COPPER, 1, 0) &&
	     !guest_request_offers(m->g, &offers, &offer, 1) && offers == 1 &&
	     !guest_open(m->g, &offer, RING_PAGES, 0, &m->queue[0].ch),
	     "no channel");
	negotiate(m);
	open_subchannels(m);
	for (uint32_t i = 0; i < c->queues * c->depth; i++) {
		struct queue *q = &m->queue[i / c->depth];

		make_command(m, &q->command[q->nr_idle], i * c->size / BLOCK);
		q->idle[q->nr_idle] = (uint8_t)q->nr_idle;
		q->nr_idle++;
	}
}

static void noted(void *opaque)
{
	((struct machine *)opaque)->destroyed = true;
}

static void machine_close(struct machine *m)
{
	need(!guest_unload(m->g), "no answer to unload");
	for (uint32_t i = 0; i < m->c.queues; i++)
		guest_channel_free(&m->queue[i].ch);
	storvsp_destroy(m->storvsp, noted, m);
	reactor_inline_drain();
	need(m->destroyed, "the controller stays");
	m->disk->ops->close(m->disk);
	guest_driver_destroy(m->g);
}

static void run(const char *disk, uint32_t size, const char *op)
{
	static const uint32_t depths[] = { 1, 4, 16, 64 };
	static struct machine m;
	struct bench_case c = {
		.kind = "storvsp", .disk = disk, .op = op, .size = size,
	};

	for (c.queues = 1; c.queues <= MAX_QUEUES; c.queues++) {
		for (int i = 0; i < 4; i++) {
			c.depth = depths[i];
			snprintf(c.name, sizeof(c.name),
				 "storvsp-%s-%s-%u-depth-%u-queues-%u", disk,
				 op, size, c.depth, c.queues);
			machine_open(&m, &c);
			bench_measure(&c, work, &m);
			machine_close(&m);
		}
	}
}

void bench_storvsp(void)
{
	static const char *const disks[] = { "null", "memory" };

	for (int i = 0; i < 2; i++) {
		for (uint32_t size = 4096; size <= 65536; size *= 16) {
			run(disks[i], size, "read");
			run(disks[i], size, "write");
		}
	}
}
