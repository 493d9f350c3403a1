// SPDX-License-Identifier: MIT
/*
 * StorVSP: packets of a guest's storage driver.
 *
 * Input: which channel (the primary, not negotiated; a sub-channel, which is
 * ready), then steps: send an SRB, another operation or any packet at all,
 * signal, end a request of the disk, read completions, write over an index of
 * a ring, change the disk's size, add and remove a unit, let a deadline pass.
 * The server is played here: it opens and closes as channel.h says.
 *
 * It must hold that each packet that wants a completion gets one, in the size
 * and with the transaction of the packet, unless the channel was stopped, which
 * leaves a violation record; that an SRB which breaks a rule leaves one, too;
 * that no more is moved than was asked for. What the disk is asked is checked
 * by the strict disk.
 *
 * A healthy channel stays open from one input to the next, with its rings and
 * its negotiation as new: opening costs more than a packet. For what ends in a
 * violation it has to be done, so this stays below 50000 inputs a second. What
 * channels and units copy through, 384 KiB, is memory of ours that is poisoned
 * while nobody has it: to map and unmap that took a third of the time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "relay/storvsp.h"
#include "relay/storvsp_channel.h"
#include "relay/vstor_reg.h"
#include "test/fuzz/disk_strict.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/reactor_fifo.h"

#define UP_PAGES 5
#define DOWN_PAGES 2
#define RAM_PAGES 128u
#define MAX_STEPS 24
#define MAX_SENT 64
#define DEPTH 5
#define READ_ONLY_LUN 3
#define HOT_LUN 5
#define BLOCKS 8192u
#define BOUNCE (SCSI_BOUNCE_BUFFERS * SCSI_BOUNCE_SIZE)

struct sent {
	bool open; /* waits for its completion */
	bool srb;
	bool wrong; /* an SRB whose list of pages does not hold its data */
	uint32_t size;	    /* of the payload */
	uint32_t data_size; /* of an SRB */
};

static _Alignas(4096) uint8_t ring_ram[2][UP_PAGES + DOWN_PAGES][4096];
static _Alignas(4096) uint8_t ram[RAM_PAGES * 4096];
static struct guest_hold hold[2][UP_PAGES + DOWN_PAGES];
static struct guest_memory memory;
static struct reactor reactor;
static struct disk_strict disk[3];
static bool plugged, removing;
static struct storvsp *storvsp;
static struct vmbus_device *device;
static struct vmbus_channel channel[2];
static bool is_open[2], stopped;
static bool tampered; /* the guest wrote an index over */
static struct vmbus_channel *now;
static struct ring guest;
static struct sent sent[MAX_SENT];
static uint64_t nr_sent, refused, violations;

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
	device = NULL;
}

int vmbus_offer_subchannels(struct vmbus_device *dev, unsigned int count)
{
	return !count || count > dev->max_subchannels ? -EINVAL : 0;
}

void vmbus_channel_signal(struct vmbus_channel *ch)
{
	/* The primary tells of units, whichever is at work. */
	fuzz_expect(ch == now || (ch == &channel[0] && is_open[0]), 0, 0);
}

void vmbus_channel_closed(struct vmbus_channel *ch)
{
	fuzz_expect(is_open[ch - channel], ch->sub_index, 0);
	is_open[ch - channel] = false;
}

void vmbus_channel_violation(struct vmbus_channel *ch, uint32_t type,
			     uint32_t offset, uint64_t value, const char *rule)
{
	fuzz_expect(ch == now && !stopped, ch->sub_index, stopped);
	fuzz_expect(rule && *rule, type, offset);
	stopped = true;
	violation_record("storvsp", ch->id, type, offset, value, rule);
}

/* Memory to copy through: of a channel, and of each unit on it. */

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_scsi_bounce_close(struct scsi_bounce_pool *pool);
int __wrap_scsi_bounce_open_own(struct scsi_nexus *nexus);
void __wrap_scsi_bounce_close_own(struct scsi_nexus *nexus);

static struct {
	_Alignas(4096) uint8_t bytes[BOUNCE];
	bool taken;
} bounce[2];

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	for (unsigned int i = 0; size == BOUNCE && i < 2; i++) {
		if (bounce[i].taken)
			continue;
		bounce[i].taken = true;
		ASAN_UNPOISON_MEMORY_REGION(bounce[i].bytes, BOUNCE);
		return bounce[i].bytes;
	}
	return __real_aligned_alloc(alignment, size);
}

void __wrap_scsi_bounce_close(struct scsi_bounce_pool *pool)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (pool->memory != bounce[i].bytes)
			continue;
		fuzz_expect(bounce[i].taken, i, 0);
		bounce[i].taken = false;
		ASAN_POISON_MEMORY_REGION(bounce[i].bytes, BOUNCE);
		return;
	}
	free(pool->memory);
}

static struct {
	_Alignas(4096) uint8_t bytes[SCSI_BOUNCE_SIZE];
	bool taken;
} own[6]; /* two channels, three units each */

int __wrap_scsi_bounce_open_own(struct scsi_nexus *nexus)
{
	unsigned int i = 0;

	while (i < 6 && own[i].taken)
		i++;
	fuzz_expect(i < 6, i, 0);
	own[i].taken = true;
	ASAN_UNPOISON_MEMORY_REGION(own[i].bytes, SCSI_BOUNCE_SIZE);
	nexus->own_bounce = own[i].bytes;
	return 0;
}

void __wrap_scsi_bounce_close_own(struct scsi_nexus *nexus)
{
	for (unsigned int i = 0; i < 6; i++) {
		if (nexus->own_bounce != own[i].bytes)
			continue;
		fuzz_expect(own[i].taken, i, 0);
		own[i].taken = false;
		ASAN_POISON_MEMORY_REGION(own[i].bytes, SCSI_BOUNCE_SIZE);
	}
	nexus->own_bounce = NULL;
}

static bool end_any(void)
{
	return disk_strict_end(&disk[0], 0, DISK_OK) ||
	       disk_strict_end(&disk[1], 0, DISK_OK) ||
	       disk_strict_end(&disk[2], 0, DISK_OK);
}

static void close_channel(struct vmbus_channel *ch)
{
	device->ops->close(ch);
	do
		reactor_fifo_drain();
	while (end_any());
	fuzz_expect(!is_open[ch - channel], ch->sub_index, 0);
}

/* Beginnings. */

static void create(void)
{
	static const struct disk_info info = {
		.blocks = BLOCKS, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 128 * 1024, .max_ranges = 33, .gap_mask = 4095,
		.range_alignment = 4, .write_cache = true, .fua = true,
		.discard_granularity = 1, .write_zeroes = true,
		.deadline_ms = 300,
	};
	const struct scsi_lun_config luns[2] = {
		{ .number = 0, .disk = &disk[0].disk },
		{ .number = READ_ONLY_LUN, .read_only = true,
		  .disk = &disk[1].disk },
	};
	const struct storvsp_config config = {
		.queue_depth = DEPTH,
		.max_subchannels = 2,
		.memory = &memory,
		.reactor = &reactor,
		.nr_luns = 2,
		.luns = luns,
	};

	disk[0] = disk_strict(&info, &memory);
	disk[1] = disk_strict(&info, &memory);
	disk[2] = disk_strict(&info, &memory);
	fuzz_expect(!guest_memory_add(&memory, 0, sizeof(ram) / 2, ram) &&
		    !guest_memory_add(&memory, 1ull << 32, sizeof(ram) / 2,
				      ram + sizeof(ram) / 2), 0, 0);
	fuzz_expect(!storvsp_create(NULL, &config, &storvsp), 0, 0);
	for (unsigned int c = 0; c < 2; c++)
		for (unsigned int i = 0; i < UP_PAGES + DOWN_PAGES; i++)
			hold[c][i] = (struct guest_hold){
				(__guest_force void __guest *)ring_ram[c][i],
				4096 };
}

/* What inputs change of it. */
static void reset_lun(void)
{
	struct scsi_lun *lun = &storvsp->lun[0]->scsi;

	atomic_store(&storvsp->lun[READ_ONLY_LUN]->scsi.attentions, 0);
	disk[0].info.blocks = BLOCKS;
	atomic_store(&lun->blocks, BLOCKS);
	atomic_store(&lun->attentions, 0);
	atomic_store(&lun->write_cache, true);
}

static void open_channel(unsigned int sub_index)
{
	struct ring_half up = { hold[sub_index], (UP_PAGES - 1) * 4096 };
	struct ring_half down = { hold[sub_index] + UP_PAGES,
				  (DOWN_PAGES - 1) * 4096 };

	now = &channel[sub_index];
	stopped = false;
	memset(ring_ram[sub_index][0], 0, 128);
	memset(ring_ram[sub_index][UP_PAGES], 0, 128);
	now->device = device;
	now->reactor = &reactor;
	now->sub_index = (uint16_t)sub_index;
	now->id = 1 + sub_index;
	fuzz_expect(!ring_init(&now->ring, up, down) &&
		    !ring_init(&guest, down, up), 0, 0);
	if (is_open[sub_index]) {
		((struct storvsp_channel *)now->opaque)->state =
			sub_index ? READY : WAIT_BEGIN;
		return;
	}
	fuzz_expect(!device->ops->open(device, now), sub_index, 0);
	is_open[sub_index] = true;
}

/* The guest. */

static void send(uint16_t type, uint16_t flags, const void *header,
		 uint32_t header_size, const void *payload, uint32_t size,
		 uint32_t srb_data, bool wrong)
{
	struct sent *s = &sent[nr_sent];

	if (nr_sent == MAX_SENT || stopped ||
	    ring_write(&guest, type, flags, nr_sent, header, header_size,
		       payload, size))
		return;
	*s = (struct sent){ flags & RING_FLAG_COMPLETION_REQUESTED,
			    srb_data != UINT32_MAX, wrong, size, srb_data };
	nr_sent++;
	ring_write_end(&guest);
}

/* Pages: `n` numbers, of which the input says where they begin and how far
 * apart they are; or the input's own. */
static uint32_t page_list(struct fuzz_input *in, uint8_t *list, uint32_t bytes,
			  bool *wrong)
{
	uint32_t data_size = bytes;
	struct ring_gpa_direct direct = { .range_count = cpu_to_le32(1) };
	struct ring_gpa_range range;
	uint8_t shape = (uint8_t)fuzz_number(in, 1);
	uint32_t offset = (uint32_t)fuzz_number(in, 2);
	uint32_t n = ((offset & 4095) + bytes + 4095) / 4096;
	uint64_t pfn = fuzz_number(in, 1) % RAM_PAGES;

	if (shape & 1) /* nothing of it need agree */
		n = (uint32_t)fuzz_number(in, 1) % 72;
	else
		offset %= 4096;
	if (shape & 2)
		bytes += (uint32_t)(int16_t)fuzz_number(in, 2);
	if (shape & 4)
		direct.range_count = cpu_to_le32((uint32_t)fuzz_number(in, 4));
	if (n > 72)
		n = 72;
	range.byte_count = cpu_to_le32(bytes);
	range.byte_offset = cpu_to_le32(offset);
	memcpy(list, &direct, sizeof(direct));
	memcpy(list + 8, &range, sizeof(range));
	for (uint32_t i = 0; i < n; i++) {
		le64 word = cpu_to_le64(shape & 0x80 ? fuzz_number(in, 8) :
					pfn % (RAM_PAGES / 2) +
					(pfn / (RAM_PAGES / 2) << 20));

		memcpy(list + 16 + 8 * i, &word, 8);
		pfn = (pfn + 1 + (shape >> 4 & 3)) % RAM_PAGES;
	}
	*wrong = data_size &&
		 (bytes < data_size || offset >= 4096 ||
		  le32_to_cpu(direct.range_count) != 1 ||
		  n < ((uint64_t)offset + bytes + 4095) / 4096);
	return 16 + 8 * n;
}

static void send_srb(struct fuzz_input *in)
{
	static _Alignas(8) uint8_t list[16 + 72 * 8];
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_EXECUTE_SRB),
		.srb = { .length = cpu_to_le16(sizeof(packet.srb)) },
	};
	uint32_t bytes, list_size = 0;
	uint8_t flags = (uint8_t)fuzz_number(in, 1);
	bool wrong;

	packet.srb.lun = (uint8_t)fuzz_number(in, 1);
	if (flags & 1)
		packet.srb.target = (uint8_t)fuzz_number(in, 1);
	packet.srb.cdb_size = (uint8_t)fuzz_number(in, 1);
	packet.srb.data_in = (uint8_t)fuzz_number(in, 1);
	bytes = (uint32_t)fuzz_number(in, 3);
	packet.srb.data_size = cpu_to_le32(bytes);
	fuzz_take(in, packet.srb.cdb, sizeof(packet.srb.cdb));
	wrong = bytes; /* without a list */
	if (!(flags & 2))
		list_size = page_list(in, list, bytes, &wrong);
	send(flags & 2 ? RING_PACKET_INBAND : RING_PACKET_GPA_DIRECT,
	     RING_FLAG_COMPLETION_REQUESTED, list, list_size, &packet,
	     flags & 4 ? 48u + (flags >> 4) : PACKET_SIZE, bytes,
	     wrong);
}

static void send_operation(struct fuzz_input *in)
{
	struct vstor_packet packet = { .header.flags = cpu_to_le32(1) };
	uint8_t operation = (uint8_t)fuzz_number(in, 1);

	packet.header.operation = cpu_to_le32(operation % 16);
	fuzz_take(in, &packet.version, 4);
	send(RING_PACKET_INBAND, operation & 0x80 ? 0 :
	     RING_FLAG_COMPLETION_REQUESTED, NULL, 0, &packet, sizeof(packet),
	     UINT32_MAX, false);
}

static void send_anything(struct fuzz_input *in)
{
	static const uint16_t types[] = {
		RING_PACKET_INBAND, RING_PACKET_GPA_DIRECT,
		RING_PACKET_COMPLETION, RING_PACKET_TRANSFER_PAGES,
	};
	_Alignas(8) uint8_t header[64], payload[128];
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	uint32_t header_size = what >> 3 & 0x38;
	uint32_t size = (uint32_t)fuzz_number(in, 1) % sizeof(payload);

	fuzz_take(in, header, header_size);
	fuzz_take(in, payload, size);
	send(types[what % 4], what >> 2 & 1, header, header_size, payload,
	     size, UINT32_MAX, false);
}

static void check_completion(const struct ring_packet *packet)
{
	struct vstor_packet reply = { .header.operation = cpu_to_le32(0) };
	struct sent *s;

	if (packet->type == RING_PACKET_INBAND) { /* units changed */
		fuzz_expect(!now->sub_index, packet->payload_size, 0);
		return;
	}
	fuzz_expect(packet->type == RING_PACKET_COMPLETION, packet->type,
		    packet->transaction);
	if (tampered) /* then it may be any packet's */
		return;
	fuzz_expect(packet->transaction < nr_sent, packet->transaction,
		    nr_sent);
	s = &sent[packet->transaction];
	fuzz_expect(s->open, packet->transaction, nr_sent);
	s->open = false;
	/* The ring pads to words. */
	fuzz_expect(packet->payload_size <= sizeof(reply) &&
		    packet->payload_size <= s->size + 7, packet->payload_size,
		    s->size);
	memcpy(&reply, packet->payload, packet->payload_size);
	fuzz_expect(le32_to_cpu(reply.header.operation) == VSTOR_COMPLETE_IO,
		    le32_to_cpu(reply.header.operation), 0);
	if (!s->srb || packet->payload_size < sizeof(reply) ||
	    le32_to_cpu(reply.header.status) ==
		    VSTOR_STATUS_INVALID_DEVICE_STATE)
		return;
	fuzz_expect(le32_to_cpu(reply.srb.data_size) <= s->data_size,
		    le32_to_cpu(reply.srb.data_size), s->data_size);
	fuzz_expect(!s->wrong || reply.srb.srb_status != VSTOR_SRB_SUCCESS,
		    s->data_size, packet->transaction);
	if (reply.srb.srb_status == VSTOR_SRB_SUCCESS)
		fuzz_accept();
	if (reply.srb.srb_status == VSTOR_SRB_INVALID_REQUEST ||
	    reply.srb.srb_status == VSTOR_SRB_DATA_OVERRUN)
		refused++;
}

/* An index of the guest's in one of the rings. */
static void tamper(struct fuzz_input *in, bool up)
{
	uint32_t index = (uint32_t)fuzz_number(in, 2);

	tampered = true;
	memcpy(ring_ram[now->sub_index][up ? 0 : UP_PAGES] +
	       (up ? RING_IN : RING_OUT), &index, sizeof(index));
}

static void receive(void)
{
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct ring_packet packet;
	bool more = true;

	while (more) {
		while (!ring_read(&guest, buffer, sizeof(buffer), &packet))
			check_completion(&packet);
		ring_read_end(&guest, &more);
	}
	fuzz_expect(tampered || !guest.broken, guest.broken_value, 0);
}

static void run(void)
{
	if (!stopped)
		device->ops->run(now);
	reactor_fifo_drain();
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	device->ops->inspect(device, out);
}

static void inspect(void)
{
	static struct inspect_entry entry = { "scsi", describe, NULL, NULL };
	static char json[16384];

	if (!json[0])
		inspect_register(&entry);
	fuzz_expect(inspect_render("", 9, json, sizeof(json)) > 0, 0, 0);
}

static void removed(void *opaque)
{
	(void)opaque;
	fuzz_expect(removing && !disk[2].queues, removing, disk[2].queues);
	removing = false;
}

/* A unit comes, or goes. One that is going is not added anew. */
static void plug(void)
{
	const struct scsi_lun_config config = { .number = HOT_LUN,
						.disk = &disk[2].disk };

	if (plugged) {
		plugged = false;
		removing = true;
		fuzz_expect(!storvsp_remove_lun(storvsp, HOT_LUN, removed,
						NULL), 0, 0);
	} else if (!removing) {
		plugged = true;
		fuzz_expect(!storvsp_add_lun(storvsp, &config), 0, 0);
	}
	reactor_fifo_drain();
}

/* A timer's time has come. */
static void fire(struct reactor_timer *timer)
{
	if (!timer->armed || stopped)
		return;
	reactor_timer_cancel(&reactor, timer);
	timer->fn(timer);
	reactor_fifo_drain();
}

/* What happens to units, and time. */
static void world(unsigned int what)
{
	struct storvsp_channel *ch = now->opaque;

	switch (what) {
	case 8:
		plug();
		break;
	case 9:
		fire(&ch->look);
		break;
	case 10:
	case 11: /* a deadline */
		for (unsigned int i = 0; i < (what & 1 ? 5 : 1); i++)
			fire(&ch->watch);
		break;
	case 12:
		storvsp_lun_lost(storvsp, HOT_LUN);
		reactor_fifo_drain();
		break;
	default: /* nobody is there */
		storvsp_lun_changed(storvsp, 7);
		break;
	}
}

static void step(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);

	switch (what % 8) {
	case 0:
	case 1:
		send_srb(in);
		break;
	case 2:
		send_operation(in);
		break;
	case 3:
		send_anything(in);
		break;
	case 4:
		run();
		break;
	case 5:
		disk_strict_end(&disk[what == 0xe5 ? 2 : what >> 7],
				what >> 5 & 3,
				what & 0x10 ? (what >> 3) % DISK_NR_STATUS :
					      DISK_OK);
		reactor_fifo_drain();
		break;
	case 6:
		if (what & 0x80)
			tamper(in, what & 0x40);
		else
			receive();
		break;
	case 7:
		/* Long, so at the end alone. */
		if (what == 0xff && !in->left)
			inspect();
		/* Smaller would make what is under way wrong. */
		if (what & 8) {
			disk[0].info.blocks += what >> 4;
			storvsp_lun_changed(storvsp, 0);
		} else {
			world(what >> 4);
		}
		break;
	}
}

/* Until nothing happens any more. */
static void settle(void)
{
	uint64_t before;

	do {
		before = now->ring.count.packets_in +
			 now->ring.count.packets_out;
		run();
		while (end_any())
			reactor_fifo_drain();
		receive();
	} while (before != now->ring.count.packets_in +
				   now->ring.count.packets_out);
}

void fuzz_one(struct fuzz_input *in)
{
	unsigned int sub_index = fuzz_number(in, 1) & 1;

	if (!storvsp)
		create();
	reset_lun();
	open_channel(sub_index);
	nr_sent = refused = 0;
	tampered = false;
	violations = violation_count();
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	settle();
	for (uint64_t i = 0; i < nr_sent && !stopped && !tampered; i++)
		fuzz_expect(!sent[i].open, i, nr_sent);
	fuzz_expect(violation_count() - violations >= refused + stopped,
		    violation_count() - violations, refused);
	if (plugged)
		plug();
	if (stopped || tampered)
		close_channel(now);
	fuzz_expect(!removing, plugged, disk[2].queues);
	fuzz_expect(!memory.holds, memory.holds, 0);
}
