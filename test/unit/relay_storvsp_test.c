/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/reactor_inline.c test/unit/inspect_list.c */
/*
 * A SCSI controller as a guest sees it, through VMBus and its rings: the
 * negotiation, SRBs with data, back-pressure, closing, and guests that break
 * the rules.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>
#include <pv/inspect.h>
#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/inspect_list.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

/* For so long a busy guest may be left alone. */
#define LOOK_NS 10000000ull

static void negotiation(void **state)
{
	struct machine m;

	(void)state;
	machine_create(&m, 64, 3, RING_PAGES);
	/* Out of order: refused, and the right order works after. */
	assert_int_equal(ask_operation(&m, VSTOR_END_INIT), 0xc0000184);
	assert_int_equal(ask_operation(&m, VSTOR_EXECUTE_SRB), 0xc0000184);
	assert_int_equal(m.reply_size, PACKET);
	assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0);
	assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0xc0000184);
	assert_int_equal(ask_operation(&m, VSTOR_QUERY_PROPERTIES),
			 0xc0000184);
	assert_int_equal(ask_version(&m, VSTOR_VERSION(6, 3), PACKET),
			 0xc0000059);
	assert_int_equal(m.reply_size, PACKET);
	assert_int_equal(ask_version(&m, 0, PACKET), 0xc0000059);
	assert_int_equal(ask_version(&m, VSTOR_VERSION(6, 2), PACKET), 0);
	assert_int_equal(ask_operation(&m, VSTOR_QUERY_PROPERTIES), 0);
	assert_int_equal(le32_to_cpu(m.reply.properties.max_transfer),
			 256 * 1024);
	assert_int_equal(le16_to_cpu(m.reply.properties.max_subchannels), 3);
	assert_int_equal(le32_to_cpu(m.reply.properties.flags), 1);
	assert_int_equal(ask_operation(&m, VSTOR_END_INIT), 0);
	assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0xc0000184);
	assert_int_equal(ask_operation(&m, VSTOR_RESET_BUS), 0);
	assert_int_equal(ask_operation(&m, VSTOR_FCHBA_DATA), 0xc00000bb);
	/* Closed and opened again it starts anew. */
	assert_int_equal(guest_shut(&m.ch), 0);
	assert_int_equal(guest_open(m.g, &m.offer[0], RING_PAGES, 1, &m.ch), 0);
	assert_int_equal(ask_operation(&m, VSTOR_RESET_BUS), 0xc0000184);
	negotiate(&m);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* All versions that guests know; a reply is as long as the question. */
static void versions_and_sizes(void **state)
{
	static const struct {
		uint16_t version;
		uint32_t size, reply;
	} cases[] = {
		{ VSTOR_VERSION(2, 0), 48, 48 },
		{ VSTOR_VERSION(4, 2), 48, 48 },
		{ VSTOR_VERSION(5, 1), 56, 56 },
		{ VSTOR_VERSION(6, 0), 64, 64 },
		{ VSTOR_VERSION(6, 2), 64, 64 },
	};
	struct vstor_packet big[2];
	struct machine m;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		machine_create(&m, 64, 0, RING_PAGES);
		assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0);
		assert_int_equal(ask_version(&m, cases[i].version,
					     cases[i].size), 0);
		assert_int_equal(m.reply_size, cases[i].reply);
		memset(big, 0, sizeof(big));
		big[0].header.operation = cpu_to_le32(VSTOR_QUERY_PROPERTIES);
		assert_int_equal(ask(&m, big, 72), 0);
		assert_int_equal(m.reply_size, PACKET);
		assert_int_equal(guest_shut(&m.ch), 0);
		machine_destroy(&m);
	}
}

static void data(void **state)
{
	static const struct {
		uint32_t offset;
		uint16_t blocks;
	} cases[] = {
		{ 0, 1 }, { 512, 8 }, { 0x204, 16 }, { 3, 24 }, { 0, 256 },
		{ 0, 512 }, { 0xffc, 512 }, { 4095, 512 },
	};
	uint64_t pfn[65], back[65];
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, pfn, 65);
	guest_pages(m.g, back, 65);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t offset = cases[i].offset;

		for (int page = 0; page < 65; page++) {
			uint8_t *bytes = guest_page(m.g, pfn[page]);

			for (int at = 0; at < 4096; at++)
				bytes[at] = (uint8_t)rand();
			memset(guest_page(m.g, back[page]), 0, 4096);
		}
		transfer(&m, true, 100 * i, cases[i].blocks, offset, pfn);
		transfer(&m, false, 100 * i, cases[i].blocks, offset, back);
		for (uint32_t at = 0; at < cases[i].blocks * 512u; at++) {
			uint32_t n = (offset + at) / 4096;
			uint32_t o = (offset + at) % 4096;
			uint8_t *a = guest_page(m.g, pfn[n]);
			uint8_t *b = guest_page(m.g, back[n]);

			assert_int_equal(a[o], b[o]);
		}
	}
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static void errors_and_residuals(void **state)
{
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 255, 0 };
	static const uint8_t luns[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 16, 0 };
	static const uint8_t ready[6] = { 0 };
	static const uint8_t beyond[10] = { 0x28, 0, 1, 0, 0, 0, 0, 0, 1, 0 };
	static const uint8_t write[10] = { 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	static const uint8_t two[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0 };
	struct vstor_packet packet;
	struct page_list list;
	struct machine m;
	uint64_t pfn[2];
	uint8_t *page;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, pfn, 2);
	page = guest_page(m.g, pfn[0]);
	list = page_list(0, 512, pfn, 1);

	packet = srb(0, VSTOR_DATA_READ, 255, inquiry, 6);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 36);
	assert_int_equal(page[0], 0);
	/* LUN 5, and target 1: there is none, in words that Linux believes. */
	packet.srb.lun = 5;
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 36);
	assert_int_equal(page[0], 0x7f);
	packet.srb.target = 1;
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 36);
	assert_int_equal(page[0], 0x7f);
	packet = srb(0, VSTOR_DATA_READ, 512, two, 10);
	packet.srb.lun = 5;
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_INVALID_LUN, 0);
	assert_int_equal(le32_to_cpu(m.reply.header.status), 0xc00000c0);
	packet.srb.lun = 200;
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_INVALID_LUN, 0);
	packet.srb.lun = 0;
	packet.srb.path = 1;
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SELECTION_TIMEOUT, 0);

	packet = srb(7, VSTOR_DATA_READ, 512, luns, 12);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 24);
	assert_int_equal(page[3], 16);
	assert_int_equal(page[9], 0);
	assert_int_equal(page[17], 3);
	packet.srb.target = 1;
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 8);
	assert_int_equal(page[3], 0);

	packet = srb(0, VSTOR_DATA_READ, 512, beyond, 10);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, 0x84, 0);
	assert_int_equal(m.reply.srb.scsi_status, 2);
	assert_int_equal(m.reply.srb.sense_size, 18);
	assert_int_equal(m.reply.srb.sense[0], 0x70);
	assert_int_equal(m.reply.srb.sense[2], 5);
	assert_int_equal(m.reply.srb.sense[12], 0x21);
	assert_int_equal(le32_to_cpu(m.reply.header.status), 0xc0000185);
	packet = srb(3, VSTOR_DATA_WRITE, 512, write, 10);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, 0x84, 0);
	assert_int_equal(m.reply.srb.sense[2], 7);
	packet = srb(0, VSTOR_DATA_READ, 512, two, 10);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_DATA_OVERRUN, 0);
	assert_int_equal(le32_to_cpu(m.reply.header.status), 0x80000005);
	packet = srb(0, VSTOR_DATA_READ, 512, write, 10);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_INVALID_REQUEST, 0);

	/* Without data, in-band. */
	packet = srb(0, VSTOR_DATA_NONE, 0, ready, 6);
	assert_int_equal(ask(&m, &packet, PACKET), 0);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 0);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* A conflict is the command's status, not a failure of the adapter: for Linux
 * that hangs on the bit that says that sense data are valid. There are none. */
static void reservation_conflict(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 512, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 512, read, 10);
	uint64_t transaction;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	hold_requests(&m);
	send_srb(&m, &m.ch, &packet, &list);
	end_requests(&m, DISK_CONFLICT);
	reactor_inline_drain();
	assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	expect_srb(&m, VSTOR_SRB_ERROR | VSTOR_SRB_AUTOSENSE_VALID, 0);
	assert_int_equal(m.reply.srb.scsi_status, 0x18);
	assert_int_equal(m.reply.srb.sense_size, 0);
	for (size_t i = 0; i < sizeof(m.reply.srb.sense); i++)
		assert_int_equal(m.reply.srb.sense[i], 0);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* One record more than `before`, with this rule. */
static void expect_record(uint64_t before, const char *rule)
{
	struct violation v;

	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.object, "storvsp");
	assert_string_equal(v.rule, rule);
}

/* SRBs whose words do not fit together: an answer and a violation each; the
 * channel lives. */
static void bad_srbs(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	static const char *const rule[16] = {
		"storvsp.srb.cdb", "storvsp.srb.cdb", "storvsp.srb.data-in",
		"storvsp.srb.size", "storvsp.srb.size", "storvsp.srb.no-data",
		"storvsp.data.ranges", "storvsp.data.ranges",
		"storvsp.data.ranges", "storvsp.data.length",
		"storvsp.data.page-numbers", "storvsp.data.page-numbers",
		"storvsp.data.offset", "storvsp.data.page",
		"storvsp.data.page", "storvsp.data.page",
	};
	struct vstor_packet packet, good;
	struct page_list list, pages;
	uint64_t pfn[2], no_ram = 1ull << 40, wraps = UINT64_MAX;
	uint64_t outside = GUEST_PAGES, violations;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, pfn, 2);
	good = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	pages = page_list(0, 4096, pfn, 1);
	for (int i = 0; i < 16; i++) {
		packet = good;
		list = pages;
		switch (i) {
		case 0: packet.srb.cdb_size = 0; break;
		case 1: packet.srb.cdb_size = 17; break;
		case 2: packet.srb.data_in = 3; break;
		case 3: packet.srb.data_size = cpu_to_le32(262145); break;
		case 4: packet.srb.data_size = cpu_to_le32(UINT32_MAX); break;
		case 5: packet.srb.data_in = VSTOR_DATA_NONE; break;
		case 6: list.bytes[4] = 0; break; /* ranges */
		case 7: list.bytes[4] = 2; break;
		case 8: memset(list.bytes + 4, 0xff, 4); break;
		case 9: list = page_list(0, 4095, pfn, 1); break;
		case 10: list = page_list(0, UINT32_MAX, pfn, 1); break;
		case 11: list = page_list(1, 4096, pfn, 1); break;
		case 12: list = page_list(4096, 4096, pfn, 2); break;
		case 13: list = page_list(0, 4096, &no_ram, 1); break;
		case 14: list = page_list(0, 4096, &wraps, 1); break;
		case 15: list = page_list(0, 4096, &outside, 1); break;
		}
		violations = violation_count();
		ask_srb(&m, &packet, &list);
		expect_srb(&m, VSTOR_SRB_INVALID_REQUEST, 0);
		expect_record(violations, rule[i]);
		ask_srb(&m, &good, &pages);
		expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
	}
	/* Data without a list, and too short for an SRB. */
	violations = violation_count();
	assert_int_equal(ask(&m, &good, PACKET), 0xc0000185);
	expect_srb(&m, VSTOR_SRB_INVALID_REQUEST, 0);
	expect_record(violations, "storvsp.data.pages");
	assert_int_equal(ask(&m, &good, 40), 0xc000000d);
	expect_record(violations + 1, "storvsp.packet.srb");
	assert_int_equal(m.reply_size, 40);
	/* A short packet's CDB ends in zeroes, not in what was there before. */
	packet = srb(0, VSTOR_DATA_NONE, 0, (const uint8_t[6]){ 0 }, 6);
	assert_int_equal(ask(&m, &packet, 48), 0);
	assert_int_equal(m.reply_size, 48);
	ask_srb(&m, &good, &pages);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* What is no request of the protocol ends the channel; another one works on. */
static void bad_packets(void **state)
{
	static const char *const rule[8] = {
		"storvsp.packet.completion", "storvsp.packet.type",
		"storvsp.packet.type", "storvsp.packet.header",
		"storvsp.operation.type", "storvsp.operation.type",
		"storvsp.operation.type", "storvsp.operation.type",
	};
	struct vstor_packet packet;
	struct machine m;
	uint64_t transaction, violations;
	uint32_t size;
	uint16_t type, flags;

	(void)state;
	for (int i = 0; i < 8; i++) {
		machine_create(&m, 64, 0, RING_PAGES);
		negotiate(&m);
		packet = srb(0, VSTOR_DATA_NONE, 0, (const uint8_t[6]){ 0 }, 6);
		type = RING_PACKET_INBAND;
		flags = RING_FLAG_COMPLETION_REQUESTED;
		size = PACKET;
		switch (i) {
		case 0: flags = 0; break;
		case 1: type = RING_PACKET_COMPLETION; break;
		case 2: type = RING_PACKET_TRANSFER_PAGES; break;
		case 3: size = 8; break;
		case 4: packet.header.operation = cpu_to_le32(0); break;
		case 5: packet.header.operation = cpu_to_le32(1); break;
		case 6: packet.header.operation = cpu_to_le32(2); break;
		case 7: packet.header.operation = cpu_to_le32(15); break;
		}
		violations = violation_count();
		assert_int_equal(guest_send(&m.ch, type, flags, 99, NULL, 0,
					    &packet, size), 0);
		assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
		expect_record(violations, rule[i]);
		/* Nobody listens any more, but the client can close, and open
		 * again. */
		assert_int_equal(guest_shut(&m.ch), 0);
		assert_int_equal(guest_open(m.g, &m.offer[0], RING_PAGES, 0,
					    &m.ch), 0);
		negotiate(&m);
		assert_int_equal(guest_shut(&m.ch), 0);
		machine_destroy(&m);
	}
}

static void subchannels(void **state)
{
	static const uint8_t ready[6] = { 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_NONE, 0, ready, 6);
	struct vmbus_channel_message rescind;
	struct guest_channel sub;
	struct machine m;
	uint64_t transaction;

	(void)state;
	machine_create(&m, 64, 2, RING_PAGES);
	assert_int_equal(ask_subchannels(&m, 1), 0xc0000184);
	negotiate(&m);
	assert_int_equal(ask_subchannels(&m, 3), 0xc000000d);
	assert_int_equal(ask_subchannels(&m, 0), 0xc000000d);
	open_subchannel(&m, 1, &sub);
	assert_int_equal(le16_to_cpu(m.offer[1].sub_index), 1);
	send_packet(&m, &sub, &packet, PACKET);
	assert_int_equal(receive(&m, &sub, &transaction), 0);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 0);
	/* The negotiation is the primary's. */
	packet.header.operation = cpu_to_le32(VSTOR_CREATE_SUBCHANNELS);
	send_packet(&m, &sub, &packet, PACKET);
	assert_int_equal(receive(&m, &sub, &transaction), 0);
	assert_int_equal(le32_to_cpu(m.reply.header.status), 0xc0000184);
	assert_int_equal(guest_shut(&sub), 0);
	/* Without a primary there is none. */
	assert_int_equal(guest_close(&m.ch), 0);
	assert_int_equal(guest_expect(m.g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(le32_to_cpu(rescind.channel), sub.id);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch.id, m.ch.gpadl), 0);
	guest_channel_free(&m.ch);
	machine_destroy(&m);
}

static void a_closing_subchannel_holds_its_primary(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	struct guest_channel old, sub;
	struct page_list list;
	struct machine m;
	uint64_t pfn;

	(void)state;
	machine_create(&m, 64, 1, RING_PAGES);
	negotiate(&m);
	open_subchannel(&m, 1, &sub);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	hold_requests(&m);
	send_srb(&m, &sub, &packet, &list);
	old = m.ch;
	assert_int_equal(guest_close(&old), 0);
	assert_int_equal(guest_gpadl_teardown(m.g, old.id, old.gpadl), -ENOMSG);
	assert_false(guest_ring_create(m.g, m.offer, RING_PAGES, &m.ch));
	guest_ring_clear(&m.ch);
	assert_int_equal(guest_ring_open(&m.ch, 0), -ENOMSG);
	release_requests(&m);
	reactor_inline_drain();
	assert_int_equal(m.g->nr_inbox, 3); /* RESCIND, TORNDOWN, OPEN_RESULT */
	m.g->nr_inbox = 0;
	guest_channel_free(&sub);
	negotiate(&m);
	open_subchannel(&m, 1, &sub);
	assert_int_equal(guest_unload(m.g), 0);
	guest_channel_free(&old);
	guest_channel_free(&sub);
	guest_channel_free(&m.ch);
	machine_destroy(&m);
}

/* A depth of 64, rings for more, and a guest that sends 600 requests and reads
 * only when it can send no more. None is lost, none comes twice. */
static void back_pressure(void **state, uint16_t depth, uint32_t ring_pages)
{
	enum { REQUESTS = 600 };
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	static uint8_t seen[REQUESTS + 1];
	unsigned int sent = 0, back = 0, idle = 0;
	struct page_list list;
	uint64_t pfn, transaction;
	struct machine m;
	int err;

	(void)state;
	machine_create(&m, depth, 0, ring_pages);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	memset(seen, 0, sizeof(seen));
	while (back < REQUESTS) {
		err = -EAGAIN;
		if (sent < REQUESTS)
			err = guest_send(&m.ch, RING_PACKET_GPA_DIRECT,
					 RING_FLAG_COMPLETION_REQUESTED,
					 sent + 1, list.bytes, list.size,
					 &packet, PACKET);
		if (!err) {
			sent++;
			continue;
		}
		assert_int_equal(err, -EAGAIN);
		idle++;
		while (!receive(&m, &m.ch, &transaction)) {
			assert_true(transaction && transaction <= REQUESTS);
			assert_int_equal(seen[transaction], 0);
			seen[transaction] = 1;
			expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
			back++;
			idle = 0;
		}
		reactor_inline_drain();
		assert_true(idle < 10);
	}
	assert_int_equal(sent, REQUESTS);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static void back_pressure_of_ring(void **state)
{
	back_pressure(state, 64, 2);
}

static void back_pressure_of_requests(void **state)
{
	back_pressure(state, 1, RING_PAGES);
}

/* While completions are to be expected the guest need not signal: what it adds
 * is taken with them. */
static void busy_guest_is_silent(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	struct page_list list;
	uint64_t pfn, transaction, signals, before;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	hold_requests(&m);
	before = m.ch.ring.count.signals_sent;
	for (int i = 0; i < 20; i++)
		send_srb(&m, &m.ch, &packet, &list);
	signals = m.ch.ring.count.signals_sent - before;
	assert_int_equal(signals, 8);
	release_requests(&m);
	reactor_inline_drain();
	for (int i = 0; i < 20; i++) {
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
		expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
	}
	/* Idle again: the next one signals, and is taken at once. */
	before = m.ch.ring.count.signals_sent;
	send_srb(&m, &m.ch, &packet, &list);
	assert_int_equal(m.ch.ring.count.signals_sent, before + 1);
	assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	/* The timer that was armed in the meantime finds nothing to do. */
	reactor_inline_advance(2 * LOOK_NS);
	assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* A disk that keeps all it has delays its neighbour's first command only. */
static void stuck_disk_is_no_reason_to_wait(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	struct page_list list;
	uint64_t pfn, transaction;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	hold_requests(&m);
	for (int i = 0; i < 10; i++)
		send_srb(&m, &m.ch, &packet, &list);
	packet.srb.lun = 3;
	send_srb(&m, &m.ch, &packet, &list);
	assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
	reactor_inline_advance(2 * LOOK_NS);
	assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	for (int i = 0; i < 40; i++) {
		send_srb(&m, &m.ch, &packet, &list);
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
		expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
	}
	release_requests(&m);
	reactor_inline_drain();
	for (int i = 0; i < 10; i++)
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* A batch costs one submit and one signal. */
static void one_signal_per_batch(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	struct page_list list;
	uint64_t pfn, signals, transaction;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	m.g->manual = true;
	signals = m.g->signals;
	for (int i = 0; i < 32; i++)
		send_srb(&m, &m.ch, &packet, &list);
	reactor_inline_drain();
	assert_int_equal(m.g->signals, signals + 1);
	for (int i = 0; i < 32; i++)
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	m.g->manual = false;
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static struct machine *inspected;

static void describe(void *object, struct inspect *out)
{
	struct vmbus_device *dev = (struct vmbus_device *)inspected->storvsp;

	(void)object;
	dev->ops->inspect(dev, out);
}

/* CLOSE and TEARDOWN while a disk works: TORNDOWN comes after the last of its
 * requests, and nothing is written to the ring any more. */
static void V_14_close_under_way(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	static struct inspect_entry entry = {
		.name = "storvsp", .describe = describe,
	};
	static uint8_t before[2 * RING_PAGES][4096];
	struct vmbus_gpadl_torndown torndown;
	struct page_list list;
	uint64_t pfn, transaction;
	struct machine m;
	char json[64];

	(void)state;
	if (!inspected)
		inspect_register(&entry);
	inspected = &m;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	hold_requests(&m);
	for (int i = 0; i < 20; i++)
		send_srb(&m, &m.ch, &packet, &list);
	reactor_inline_advance(LOOK_NS);
	assert_true(inspect_render("storvsp/channel0/in_flight", 9, json,
				   sizeof(json)) > 0);
	assert_string_equal(json, "20");
	assert_int_equal(guest_close(&m.ch), 0);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch.id, m.ch.gpadl),
			 -ENOMSG);
	for (uint32_t i = 0; i < m.ch.nr_pages; i++)
		memcpy(before[i], guest_page(m.g, m.ch.pfn[i]), 4096);
	release_requests(&m);
	reactor_inline_drain();
	assert_int_equal(guest_expect(m.g, VMBUS_GPADL_TORNDOWN, &torndown,
				      sizeof(torndown)), 0);
	for (uint32_t i = 0; i < m.ch.nr_pages; i++)
		assert_memory_equal(before[i], guest_page(m.g, m.ch.pfn[i]),
				    4096);
	assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
	guest_channel_free(&m.ch);
	machine_destroy(&m);
}

/* A violation while a disk works: the same. */
static void violation_under_way(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	struct page_list list;
	uint64_t pfn, transaction;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	hold_requests(&m);
	for (int i = 0; i < 5; i++)
		send_srb(&m, &m.ch, &packet, &list);
	packet.header.operation = cpu_to_le32(77);
	send_packet(&m, &m.ch, &packet, PACKET);
	release_requests(&m);
	reactor_inline_drain();
	assert_int_equal(receive(&m, &m.ch, &transaction), -EAGAIN);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static void describe_vmbus(void *object, struct inspect *out)
{
	struct machine *m = *(struct machine **)object;

	vmbus_server_inspect(m->g->server, out);
}

/* The whole of VMBus with a controller on it, in inspect. */
static void names(void **state)
{
	static struct machine *shown;
	static struct inspect_entry entry = { "vmbus", describe_vmbus, &shown,
					      NULL };
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	shown = &m;
	inspect_register(&entry);
	inspect_list_check("vmbus", NULL);
	inspect_list_complete("vmbus/channels/<n>/lun<n>/");
	inspect_list_complete("vmbus/channels/<n>/channel<n>/lun<n>/");
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

static void bad_settings(void **state)
{
	static const struct {
		uint16_t depth, subs;
		uint8_t second;
		uint32_t max_transfer;
		int err;
	} cases[] = {
		{ 0, 0, 1, 0, -EINVAL },
		{ 1025, 0, 1, 0, -EINVAL },
		{ 64, 64, 1, 0, -EINVAL },
		{ 64, 0, 64, 0, -EINVAL },
		{ 64, 0, 0, 0, -EEXIST },
		{ 64, 0, 1, 512 * 1024, -EINVAL },
		{ 64, 0, 1, 65536 + 512, -EINVAL },
	};
	struct storvsp *storvsp = NULL;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct scsi_lun_config luns[2] = {
			{ .number = 0, .disk = m.disk[0] },
			{ .number = cases[i].second, .disk = m.disk[1] },
		};
		struct storvsp_config config = {
			.queue_depth = cases[i].depth,
			.max_subchannels = cases[i].subs,
			.max_transfer = cases[i].max_transfer,
			.memory = &m.g->memory,
			.reactor = m.g->reactor[0],
			.nr_luns = 2,
			.luns = luns,
		};

		assert_int_equal(storvsp_create(m.g->server, &config,
						&storvsp), cases[i].err);
		assert_null(storvsp);
	}
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiation),
		cmocka_unit_test(versions_and_sizes),
		cmocka_unit_test(data),
		cmocka_unit_test(errors_and_residuals),
		cmocka_unit_test(reservation_conflict),
		cmocka_unit_test(bad_srbs),
		cmocka_unit_test(bad_packets),
		cmocka_unit_test(subchannels),
		cmocka_unit_test(a_closing_subchannel_holds_its_primary),
		cmocka_unit_test(busy_guest_is_silent),
		cmocka_unit_test(stuck_disk_is_no_reason_to_wait),
		cmocka_unit_test(back_pressure_of_ring),
		cmocka_unit_test(back_pressure_of_requests),
		cmocka_unit_test(one_signal_per_batch),
		cmocka_unit_test(V_14_close_under_way),
		cmocka_unit_test(violation_under_way),
		cmocka_unit_test(names),
		cmocka_unit_test(bad_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
