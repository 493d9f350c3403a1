/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/reactor_inline.c */
/*
 * Rows of test/check/conformance.list about a SCSI controller that no other
 * test holds. A test is named after its row.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

static const uint8_t read_8[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };

/* A disk of 64 blocks with a cache that forgets when the power goes. */

#define BLOCKS 64

struct volatile_disk {
	struct disk disk; /* first */
	struct disk_info info;
	const struct guest_memory *memory;
	bool gone;
	unsigned int writes, fua_writes, flushes;
	uint8_t cache[BLOCKS][512], medium[BLOCKS][512];
};

struct disk_queue {
	struct volatile_disk *disk;
	struct reactor *reactor;
	struct disk_request *waiting[64];
	unsigned int nr;
	struct reactor_call call;
};

static void volatile_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct volatile_disk *)disk)->info;
}

static void volatile_move(struct volatile_disk *d, struct disk_request *req)
{
	uint8_t *at = d->cache[req->lba];

	if (req->op == DISK_FLUSH)
		memcpy(d->medium, d->cache, sizeof(d->medium));
	d->flushes += req->op == DISK_FLUSH;
	for (unsigned int i = 0; i < req->nr_ranges; i++) {
		const struct gpa_range *range = &req->ranges[i];

		if (req->op == DISK_READ)
			guest_memory_write(d->memory, range->gpa, at,
					   range->len);
		else
			guest_memory_read(d->memory, range->gpa, at,
					  range->len);
		at += range->len;
	}
	if (req->op != DISK_WRITE)
		return;
	d->writes++;
	if (!(req->flags & DISK_FUA))
		return;
	d->fua_writes++;
	memcpy(d->medium[req->lba], d->cache[req->lba], req->blocks * 512);
}

static void volatile_work(struct reactor_call *call)
{
	struct disk_queue *queue = (struct disk_queue *)
		((char *)call - offsetof(struct disk_queue, call));
	unsigned int nr = queue->nr;

	queue->nr = 0;
	for (unsigned int i = 0; i < nr; i++) {
		if (!queue->disk->gone)
			volatile_move(queue->disk, queue->waiting[i]);
		queue->waiting[i]->done(queue->waiting[i], queue->disk->gone ?
					DISK_GONE : DISK_OK);
	}
}

static int volatile_queue_open(struct disk *disk, struct reactor *r,
			       unsigned int depth, struct disk_queue **queue)
{
	(void)depth;
	*queue = calloc(1, sizeof(**queue));
	assert_non_null(*queue);
	(*queue)->disk = (struct volatile_disk *)disk;
	(*queue)->reactor = r;
	(*queue)->call.fn = volatile_work;
	return 0;
}

static void volatile_queue_close(struct disk_queue *queue)
{
	free(queue);
}

static void volatile_submit(struct disk_queue *queue,
			    struct disk_request **reqs, unsigned int nr)
{
	while (nr--) {
		assert_null((*reqs)->buffer);
		queue->waiting[queue->nr++] = *reqs++;
	}
	reactor_post(queue->reactor, &queue->call);
}

static void volatile_close(struct disk *disk)
{
	(void)disk;
}

static const struct disk_ops volatile_ops = {
	.name = "volatile",
	.info = volatile_info,
	.queue_open = volatile_queue_open,
	.queue_close = volatile_queue_close,
	.submit = volatile_submit,
	.close = volatile_close,
};

static void volatile_begin(struct machine *m, struct volatile_disk *d, bool fua,
			   uint16_t subs)
{
	memset(d, 0, sizeof(*d));
	d->disk.ops = &volatile_ops;
	d->info = (struct disk_info){
		.blocks = BLOCKS, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 16384, .max_ranges = 33, .range_alignment = 1,
		.write_cache = true, .fua = fua,
	};
	machine_create_on(m, 16, subs, RING_PAGES, &d->disk);
	d->memory = &m->g->memory;
	negotiate(m);
}

/* A command of LUN 0 without data: its status in m->reply. */
static void command(struct machine *m, const uint8_t *cdb, uint8_t size)
{
	struct vstor_packet packet = srb(0, VSTOR_DATA_NONE, 0, cdb, size);

	ask(m, &packet, PACKET);
}

/* One block at `lba`, filled with a byte or compared with it. */
static void write_block(struct machine *m, uint8_t lba, uint8_t byte, bool fua,
			uint64_t pfn)
{
	uint8_t cdb[10] = { 0x2a, fua ? 8 : 0, 0, 0, 0, lba, 0, 0, 1, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_WRITE, 512, cdb, 10);
	struct page_list list = page_list(0, 512, &pfn, 1);

	memset(guest_page(m->g, pfn), byte, 512);
	ask_srb(m, &packet, &list);
	expect_srb(m, VSTOR_SRB_SUCCESS, 512);
}

static void expect_block(struct machine *m, uint8_t lba, uint8_t byte,
			 uint64_t pfn)
{
	uint8_t *page = guest_page(m->g, pfn);

	transfer(m, false, lba, 1, 0, &pfn);
	for (int i = 0; i < 512; i++)
		assert_int_equal(page[i], byte);
}

/* The connection. */

/* Three channels with requests under way; UNLOAD is answered when the last of
 * their data has been written. */
static void V_20_unload_waits_for_data(void **state)
{
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	struct vmbus_header unload, complete;
	struct guest_channel sub[2];
	uint64_t pfn[3], before;
	struct machine m;
	unsigned int n;

	(void)state;
	machine_create(&m, 64, 2, RING_PAGES);
	negotiate(&m);
	assert_int_equal(ask_subchannels(&m, 2), 0);
	guest_pages(m.g, pfn, 3);
	for (int i = 1; i < 3; i++)
		assert_int_equal(guest_expect(m.g, VMBUS_OFFER_CHANNEL,
					      &m.offer[i], sizeof(m.offer[i])),
				 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(guest_open(m.g, &m.offer[1 + i], RING_PAGES,
					    i, &sub[i]), 0);
	hold_requests(&m);
	for (int i = 0; i < 3; i++) {
		struct page_list list = page_list(0, 4096, &pfn[i], 1);

		memset(guest_page(m.g, pfn[i]), 0xcc, 4096);
		for (int j = 0; j < 5; j++)
			send_srb(&m, i ? &sub[i - 1] : &m.ch, &packet, &list);
	}
	assert_int_equal(guest_post(m.g, VMBUS_UNLOAD, &unload,
				    sizeof(unload)), 0);
	assert_int_equal(m.g->nr_inbox, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(*(uint8_t *)guest_page(m.g, pfn[i]), 0xcc);
	release_requests(&m);
	reactor_inline_drain();
	/* Once, and to the VP that Contact named. */
	assert_int_equal(m.g->nr_inbox, 1);
	assert_int_equal(m.g->inbox[0].vp, 1);
	assert_int_equal(guest_expect(m.g, VMBUS_UNLOAD_COMPLETE, &complete,
				      sizeof(complete)), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(*(uint8_t *)guest_page(m.g, pfn[i]), 0);
	/* The old GPADL is gone. */
	assert_int_equal(guest_contact(m.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(guest_request_offers(m.g, &n, m.offer, 4), 0);
	assert_int_equal(n, 1);
	before = violation_count();
	assert_int_equal(guest_ring_open(&m.ch, 0), -EPROTO);
	assert_int_equal(violation_count(), before + 1);
	guest_channel_free(&m.ch);
	guest_channel_free(&sub[0]);
	guest_channel_free(&sub[1]);
	machine_destroy(&m);
}

/* Rings. */

static size_t biggest;

static void note_malloc(const volatile void *pointer, size_t size)
{
	(void)pointer;
	if (size > biggest)
		biggest = size;
}

static void note_free(const volatile void *pointer)
{
	(void)pointer;
}

int __sanitizer_install_malloc_and_free_hooks(
	void (*malloc_hook)(const volatile void *, size_t),
	void (*free_hook)(const volatile void *));

static void R_08_hostile_page_lists(void **state)
{
	static const struct {
		uint32_t ranges, bytes, offset;
		uint32_t size; /* of the list; 24 has one page */
		uint64_t pfn;
	} lists[] = {
		{ 0, 4096, 0, 24, 1 },
		{ 2, 4096, 0, 24, 1 },
		{ UINT32_MAX, 4096, 0, 24, 1 },
		{ 1, UINT32_MAX, 0, 24, 1 },
		{ 1, UINT32_MAX, UINT32_MAX, 24, 1 },
		{ 1, 4095, 0, 24, 1 },
		{ 1, 4096, 4095, 24, 1 },
		{ 1, 4096, 0, 16, 1 },
		{ 1, 4096, 0, 8, 1 },
		{ 1, 4096, 0, 0, 1 },
		{ 1, 4096, 0, 24, GUEST_PAGES },
		{ 1, 4096, 0, 24, UINT64_MAX },
		{ 1, 4096, 0, 24, 1ull << 52 | 1 },
	};
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	struct machine m;
	uint64_t pfn;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	assert_true(__sanitizer_install_malloc_and_free_hooks(note_malloc,
							      note_free));
	biggest = 0;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		uint64_t before = violation_count();
		struct page_list list = page_list(lists[i].offset,
						  lists[i].bytes,
						  &lists[i].pfn, 1);

		memcpy(list.bytes + 4, &lists[i].ranges, 4);
		list.size = lists[i].size;
		ask_srb(&m, &packet, &list);
		expect_srb(&m, VSTOR_SRB_INVALID_REQUEST, 0);
		assert_int_equal(violation_count(), before + 1);
		transfer(&m, false, 0, 8, 0, &pfn);
	}
	/* A packet that is longer than its ring ends the channel. */
	m.g->manual = true;
	guest_send(&m.ch, RING_PACKET_INBAND, 1, 1, NULL, 0, &packet, PACKET);
	for (uint32_t page = 1; page < RING_PAGES; page++)
		memset(guest_page(m.g, m.ch.pfn[page]), 0xff, 4096);
	m.g->manual = false;
	reactor_inline_drain();
	assert_int_equal(guest_signal(&m.ch), -ENOENT);
	assert_in_range(biggest, 0, 1 << 20);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* The negotiation. */

static void S_01_version_6_3_then_6_2(void **state)
{
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0);
	assert_int_equal(m.reply_size, 64);
	assert_int_equal(ask_version(&m, VSTOR_VERSION(6, 3), 64), 0xc0000059);
	assert_int_equal(m.reply_size, 64);
	assert_int_equal(ask_version(&m, VSTOR_VERSION(6, 2), 64), 0);
	assert_int_equal(m.reply_size, 64);
	assert_int_equal(ask_operation(&m, VSTOR_QUERY_PROPERTIES), 0);
	assert_int_equal(m.reply_size, 64);
	assert_int_equal(ask_operation(&m, VSTOR_END_INIT), 0);
	assert_int_equal(m.reply_size, 64);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static void S_03_steps_out_of_order(void **state)
{
	struct machine m;
	uint64_t pfn;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	assert_int_equal(ask_operation(&m, VSTOR_END_INIT), 0xc0000184);
	negotiate(&m);
	assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0xc0000184);
	guest_pages(m.g, &pfn, 1);
	transfer(&m, false, 0, 8, 0, &pfn);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* Commands. */

static void S_05_logical_units_that_are_there(void **state)
{
	static const uint32_t sizes[] = { 8, 16, 4096 };
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36, 0 };
	struct vstor_packet packet;
	struct page_list list;
	struct machine m;
	uint64_t pfn;
	uint8_t *page;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	page = guest_page(m.g, pfn);
	list = page_list(0, 4096, &pfn, 1);
	for (int i = 0; i < 3; i++) {
		uint32_t size = sizes[i], moved = size < 24 ? size : 24;
		uint8_t cdb[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0,
				    (uint8_t)(size >> 8), (uint8_t)size };

		memset(page, 0xee, 4096);
		packet = srb(0, VSTOR_DATA_READ, size, cdb, 12);
		ask_srb(&m, &packet, &list);
		expect_srb(&m, VSTOR_SRB_SUCCESS, moved);
		assert_int_equal(page[2] << 8 | page[3], 16);
		assert_int_equal(page[moved], 0xee);
	}
	assert_int_equal(page[9], 0);
	assert_int_equal(page[17], 3);
	packet = srb(5, VSTOR_DATA_READ, 36, inquiry, 6);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 36);
	assert_int_equal(page[0], 0x7f);
	packet = srb(5, VSTOR_DATA_READ, 4096, read_8, 10);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_INVALID_LUN, 0);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static void expect_attention(struct machine *m)
{
	expect_srb(m, VSTOR_SRB_ERROR | VSTOR_SRB_AUTOSENSE_VALID, 0);
	assert_int_equal(m->reply.srb.scsi_status, 2);
	assert_int_equal(m->reply.srb.sense[2], 6);
	assert_int_equal(m->reply.srb.sense[12], 0x2a);
	assert_int_equal(m->reply.srb.sense[13], 0x09);
}

static uint32_t last_lba(struct machine *m, uint64_t pfn)
{
	static const uint8_t cdb[10] = { 0x25 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 8, cdb, 10);
	struct page_list list = page_list(0, 8, &pfn, 1);
	const uint8_t *page = guest_page(m->g, pfn);

	ask_srb(m, &packet, &list);
	expect_srb(m, VSTOR_SRB_SUCCESS, 8);
	return (uint32_t)page[2] << 8 | page[3];
}

/* What no SCSI disk can become is not followed, and nobody is told. */
static void changes_that_are_not_followed(struct machine *m,
					  struct volatile_disk *d)
{
	static const uint8_t ready[6] = { 0 };

	d->info.blocks = 0;
	assert_int_equal(storvsp_lun_changed(m->storvsp, 0), 0);
	d->info.blocks = 16;
	d->info.block_size = d->info.physical_block_size = 1024;
	assert_int_equal(storvsp_lun_changed(m->storvsp, 0), 0);
	d->info.block_size = d->info.physical_block_size = 512;
	assert_int_equal(storvsp_lun_changed(m->storvsp, 1), -ENOENT);
	assert_int_equal(storvsp_lun_changed(m->storvsp, 200), -ENOENT);
	command(m, ready, 6);
	expect_srb(m, VSTOR_SRB_SUCCESS, 0);
}

static void S_07_resized_and_removed(void **state)
{
	static const uint8_t ready[6] = { 0 };
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36, 0 };
	static const uint8_t sense[6] = { 0x03, 0, 0, 0, 18, 0 };
	static struct volatile_disk d;
	struct guest_channel sub;
	struct vstor_packet packet;
	struct page_list list;
	uint64_t pfn, transaction;
	struct machine m;

	(void)state;
	volatile_begin(&m, &d, true, 1);
	assert_int_equal(ask_subchannels(&m, 1), 0);
	assert_int_equal(guest_expect(m.g, VMBUS_OFFER_CHANNEL, &m.offer[1],
				      sizeof(m.offer[1])), 0);
	assert_int_equal(guest_open(m.g, &m.offer[1], RING_PAGES, 1, &sub), 0);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 36, &pfn, 1);
	assert_int_equal(last_lba(&m, pfn), 63);
	/* Nothing changed. */
	assert_int_equal(storvsp_lun_changed(m.storvsp, 0), 0);
	assert_int_equal(last_lba(&m, pfn), 63);
	/* Smaller: told once, not on INQUIRY, not to another channel. */
	d.info.blocks = 32;
	assert_int_equal(storvsp_lun_changed(m.storvsp, 0), 0);
	packet = srb(0, VSTOR_DATA_READ, 36, inquiry, 6);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 36);
	command(&m, ready, 6);
	expect_attention(&m);
	packet = srb(0, VSTOR_DATA_NONE, 0, ready, 6);
	send_packet(&m, &sub, &packet, PACKET);
	assert_int_equal(receive(&m, &sub, &transaction), 0);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 0);
	command(&m, ready, 6);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 0);
	assert_int_equal(last_lba(&m, pfn), 31);
	/* Bigger, and the client asks for it. */
	d.info.blocks = 48;
	assert_int_equal(storvsp_lun_changed(m.storvsp, 0), 0);
	packet = srb(0, VSTOR_DATA_READ, 18, sense, 6);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 18);
	assert_int_equal(((uint8_t *)guest_page(m.g, pfn))[2], 6);
	assert_int_equal(((uint8_t *)guest_page(m.g, pfn))[12], 0x2a);
	assert_int_equal(last_lba(&m, pfn), 47);
	expect_block(&m, 47, 0, pfn);
	changes_that_are_not_followed(&m, &d);
	assert_int_equal(last_lba(&m, pfn), 47);
	/* Gone: what makes Linux remove it. */
	d.gone = true;
	packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	list = page_list(0, 4096, &pfn, 1);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_INVALID_LUN, 0);
	assert_int_equal(guest_shut(&sub), 0);
	assert_int_equal(guest_close(&m.ch), 0);
	m.g->nr_inbox = 0; /* RESCIND of the sub-channel */
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch.id, m.ch.gpadl), 0);
	guest_channel_free(&m.ch);
	machine_destroy(&m);
}

/* With a disk that knows FUA, and with one for which we flush. */
static void S_09_acknowledged_data_persists(void **state)
{
	static const uint8_t sync[10] = { 0x35 };
	static const uint8_t mode[6] = { 0x1a, 0, 0x3f, 0, 4, 0 };
	static struct volatile_disk d;

	(void)state;
	for (int fua = 0; fua < 2; fua++) {
		struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4, mode,
						 6);
		struct page_list list;
		struct machine m;
		uint64_t pfn;

		volatile_begin(&m, &d, fua, 0);
		guest_pages(m.g, &pfn, 1);
		list = page_list(0, 4, &pfn, 1);
		ask_srb(&m, &packet, &list);
		assert_int_equal(((uint8_t *)guest_page(m.g, pfn))[2], 0x10);
		/* Without a flush, only the cache knows. */
		write_block(&m, 1, 0x11, false, pfn);
		assert_int_equal(d.writes, 1);
		assert_int_equal(d.fua_writes + d.flushes, 0);
		memcpy(d.cache, d.medium, sizeof(d.cache)); /* power cut */
		expect_block(&m, 1, 0, pfn);

		write_block(&m, 2, 0x22, true, pfn);
		assert_int_equal(d.fua_writes, fua);
		assert_int_equal(d.flushes, !fua);
		write_block(&m, 3, 0x33, false, pfn);
		memcpy(d.cache, d.medium, sizeof(d.cache));
		expect_block(&m, 2, 0x22, pfn);
		expect_block(&m, 3, 0, pfn);

		write_block(&m, 3, 0x34, false, pfn);
		command(&m, sync, 10);
		expect_srb(&m, VSTOR_SRB_SUCCESS, 0);
		assert_int_equal(d.flushes, fua ? 1 : 2);
		memcpy(d.cache, d.medium, sizeof(d.cache));
		expect_block(&m, 3, 0x34, pfn);
		expect_block(&m, 2, 0x22, pfn);
		assert_int_equal(guest_shut(&m.ch), 0);
		machine_destroy(&m);
	}
}

static void S_11_reset_with_200_in_flight(void **state)
{
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	struct vstor_packet reset = {
		.header.operation = cpu_to_le32(VSTOR_RESET_BUS),
	};
	bool seen[200] = { false };
	uint64_t pfn, transaction, first;
	struct page_list list;
	struct machine m;

	(void)state;
	machine_create(&m, 256, 0, 12);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	hold_requests(&m);
	first = m.transaction + 1;
	for (int i = 0; i < 200; i++)
		send_srb(&m, &m.ch, &packet, &list);
	send_packet(&m, &m.ch, &reset, PACKET);
	/* Nothing ends, so the channel looks by itself at what waits. */
	reactor_inline_advance(2 * 10000000);
	/* The only one that is answered now. */
	assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	assert_int_equal(transaction, m.transaction);
	assert_int_equal(le32_to_cpu(m.reply.header.status), 0);
	assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
	release_requests(&m);
	reactor_inline_drain();
	for (int i = 0; i < 200; i++) {
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
		assert_in_range(transaction, first, first + 199);
		assert_false(seen[transaction - first]);
		seen[transaction - first] = true;
		expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
	}
	assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
	/* After that many it waits for company, once. */
	reactor_inline_advance(10000000);
	transfer(&m, false, 0, 8, 0, &pfn);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(V_20_unload_waits_for_data),
		cmocka_unit_test(R_08_hostile_page_lists),
		cmocka_unit_test(S_01_version_6_3_then_6_2),
		cmocka_unit_test(S_03_steps_out_of_order),
		cmocka_unit_test(S_05_logical_units_that_are_there),
		cmocka_unit_test(S_07_resized_and_removed),
		cmocka_unit_test(S_09_acknowledged_data_persists),
		cmocka_unit_test(S_11_reset_with_200_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
