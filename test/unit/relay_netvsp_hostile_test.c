/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * A guest's driver that breaks the rules of NVSP and RNDIS: each packet gets a
 * failure and a record, and the next good one works. And messages that lie
 * where few drivers put them.
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
#include <pv/violation.h>

#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"




static uint8_t bytes[8192];

static void expect_record(uint64_t before, const char *rule)
{
	struct violation v;

	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.object, "netvsp");
	assert_string_equal(v.rule, rule);
}

static void expect_refused(struct nic_machine *m, uint64_t before,
			   const char *rule)
{
	struct got_completion completion;

	nic_pump(m, 0);
	assert_true(nvs_completed(m, m->transaction, &completion));
	assert_int_equal(le32_to_cpu(completion.message.complete.status),
			 NVS_STATUS_FAILURE);
	expect_record(before, rule);
}

static void up(struct nic_machine *m)
{
	nic_create(m, 2, 2, 0, NIC_RING_PAGES);
	nic_up(m, NVS_VERSION_61, 0);
}

static void down(struct nic_machine *m)
{
	nic_round_trip(m, 0, 100);
	nic_shut(m);
	nic_destroy(m);
}

/* Control messages at any place of a page, over two and three of them. */
static void U_08_control_anywhere(void **state)
{
	static const uint32_t offsets[] = { 0, 1, 7, 4000, 4068, 4080, 4088,
					    4091, 4092, 4093, 4094, 4095 };
	struct {
		struct rndis_oid_request request;
		uint32_t filter;
		uint8_t more[4];
	} __packed set = {
		.request.request.header.type = cpu_to_le32(RNDIS_SET),
		.request.request.header.length = cpu_to_le32(32),
		.request.oid = cpu_to_le32(OID_CURRENT_PACKET_FILTER),
		.request.info_size = cpu_to_le32(4),
		.request.info_offset = cpu_to_le32(20),
		.filter = 0xd,
	};
	struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_CONTROL),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	}, reply;
	struct rndis_set_complete done;
	struct nic_machine m;
	struct nic_list list;
	uint64_t before;
	uint32_t id = 100;

	(void)state;
	up(&m);
	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		set.request.request.id = cpu_to_le32(++id);
		assert_int_equal(rndis_send(&m, &set, 32, offsets[i]), 1);
		assert_true(m.has_control);
		memcpy(&done, m.control, sizeof(done));
		assert_int_equal(le32_to_cpu(done.request.header.type),
				 0x80000005);
		assert_int_equal(le32_to_cpu(done.request.id), id);
		assert_int_equal(le32_to_cpu(done.status), 0);
	}
	/* In ranges of one byte each. */
	memcpy(guest_page(m.g, m.scratch[0]), &set, 32);
	list_begin(&list);
	for (uint32_t i = 0; i < 32; i++)
		list_add(&list, m.scratch[0], i, 1);
	m.has_control = false;
	nvs_ask(&m, &nvs, &list, &reply);
	assert_int_equal(le32_to_cpu(reply.complete.status), 1);
	assert_true(m.has_control);
	/* In a section. */
	nvs.rndis.section = cpu_to_le32(0);
	nvs.rndis.section_size = cpu_to_le32(32);
	memcpy(guest_page(m.g, m.send_pfn[0]), &set, 32);
	m.has_control = false;
	nvs_ask(&m, &nvs, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.complete.status), 1);
	assert_true(m.has_control);
	/* Malformed: no answer but the packet's, a failure. */
	for (uint32_t size = 0; size < 28; size++) {
		before = violation_count();
		assert_int_equal(rndis_send(&m, &set, size, 4090), 2);
		assert_false(m.has_control);
		assert_int_equal(violation_count(), before + 1);
	}
	/* Information that is not there: an answer that says so. */
	set.request.info_offset = cpu_to_le32(25);
	assert_int_equal(rndis_send(&m, &set, 32, 0), 1);
	memcpy(&done, m.control, sizeof(done));
	assert_int_equal(le32_to_cpu(done.request.id), id);
	assert_int_equal(le32_to_cpu(done.status), RNDIS_STATUS_INVALID_DATA);
	set.request.info_offset = cpu_to_le32(0xffffffff);
	assert_int_equal(rndis_send(&m, &set, 32, 0), 1);
	memcpy(&done, m.control, sizeof(done));
	assert_int_equal(le32_to_cpu(done.status), RNDIS_STATUS_INVALID_DATA);
	down(&m);
}

/* Messages that are not a client's, and too much of one. */
static void control(void **state)
{
	static const uint32_t types[] = { 0, 1, 7, 9, 10, 0x80000002,
					  0xffffffff };
	struct rndis_request request = {
		.header.length = cpu_to_le32(sizeof(request)),
	};
	struct nic_machine m;
	uint64_t before;

	(void)state;
	up(&m);
	for (unsigned int i = 0; i < sizeof(types) / sizeof(*types); i++) {
		before = violation_count();
		request.header.type = cpu_to_le32(types[i]);
		assert_int_equal(rndis_send(&m, &request, sizeof(request), 0),
				 2);
		assert_int_equal(violation_count(), before + 1);
		assert_false(m.has_control);
	}
	request.header.type = cpu_to_le32(RNDIS_KEEPALIVE);
	memcpy(bytes, &request, sizeof(request));
	assert_int_equal(rndis_send(&m, bytes, 4096, 100), 1);
	assert_int_equal(rndis_send(&m, bytes, 4097, 100), 2);
	/* Answers that are not given back run out; then it is busy. */
	m.keep = true;
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(rndis_send(&m, bytes, 12, 0), 1);
	before = violation_count();
	assert_int_equal(rndis_send(&m, bytes, 12, 0), NVS_STATUS_BUSY);
	assert_int_equal(violation_count(), before + 1);
	nic_give_back(&m, 0, 3);
	assert_int_equal(rndis_send(&m, bytes, 12, 0), 1);
	/* Given back twice: recorded. */
	nic_give_back(&m, 0, 3);
	before = violation_count();
	nic_give_back(&m, 0, 3);
	assert_int_equal(violation_count(), before + 1);
	for (unsigned int i = 0; i < 16; i++)
		nic_give_back(&m, 0, i);
	m.keep = false;
	down(&m);
}

static void messages(void **state)
{
	static const uint32_t types[] = { 0, 2, 3, 99, 102, 105, 108, 109, 124,
					  126, 127, 128, 130, 132, 134, 135,
					  136, 137, 0xffffffff };
	struct nvs_message message = { 0 };
	struct nic_machine m;
	uint64_t before;

	(void)state;
	up(&m);
	for (unsigned int i = 0; i < sizeof(types) / sizeof(*types); i++) {
		before = violation_count();
		message.type = cpu_to_le32(types[i]);
		nvs_send(&m, 0, &message, NULL);
		expect_refused(&m, before, "netvsp.message.type");
	}
	message.type = cpu_to_le32(NVS_SEND_RECEIVE_BUFFER);
	before = violation_count();
	nvs_send(&m, 0, &message, NULL);
	expect_refused(&m, before, "netvsp.buffer.twice");
	message.type = cpu_to_le32(NVS_NDIS_CONFIG);
	before = violation_count();
	nvs_send(&m, 0, &message, NULL);
	expect_refused(&m, before, "netvsp.config.order");
	/* Too short for any. */
	before = violation_count();
	assert_int_equal(guest_send(&m.ch[0], RING_PACKET_INBAND, 1,
				    ++m.transaction, NULL, 0, &message, 8), 0);
	expect_refused(&m, before, "netvsp.packet.message");
	down(&m);
	/* A buffer that is none, and revoking what is not there. */
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), 1);
	message.type = cpu_to_le32(NVS_SEND_RECEIVE_BUFFER);
	message.buffer.gpadl = cpu_to_le32(m.ch[0].gpadl + 77);
	before = violation_count();
	nvs_send(&m, 0, &message, NULL);
	expect_refused(&m, before, "netvsp.buffer.gpadl");
	message.type = cpu_to_le32(NVS_REVOKE_RECEIVE_BUFFER);
	before = violation_count();
	nvs_send(&m, 0, &message, NULL);
	expect_refused(&m, before, "netvsp.buffer.none");
	nic_up(&m, 0, 0);
	down(&m);
}

/* Control on a sub-channel; one that breaks the ring is stopped alone. */
static void subchannel(void **state)
{
	struct nvs_message message = { .type = cpu_to_le32(NVS_INIT) };
	struct got_completion completion;
	struct nic_machine m;
	uint64_t before = violation_count();

	(void)state;
	nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 1);
	nvs_send(&m, 1, &message, NULL);
	nic_pump(&m, 1);
	assert_true(nvs_completed(&m, m.transaction, &completion));
	assert_int_equal(le32_to_cpu(completion.message.complete.status), 2);
	assert_int_equal(violation_count(), before + 1);
	nic_round_trip(&m, 1, 100);
	assert_int_equal(guest_send(&m.ch[1], 42, 0, 0, NULL, 0, &message, 40),
			 0);
	assert_int_equal(violation_count(), before + 2);
	assert_int_equal(nic_last_start()->nr_queues, 1);
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* A reserved channel outlives the connection with its ring, and with nothing
 * else: it gets no buffers, although their GPADLs are older than it is. */
static void no_buffers_for_a_reserved_channel(void **state)
{
	struct nvs_message message = { .type = cpu_to_le32(NVS_INIT) };
	struct guest_channel *ch;
	struct nic_machine m;
	uint64_t before;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	ch = &m.ch[0];
	assert_int_equal(guest_shut(ch), 0);
	assert_int_equal(guest_ring_create(m.g, &m.offer[0], NIC_RING_PAGES,
					   ch), 0);
	guest_ring_clear(ch);
	assert_int_equal(guest_gpadl_create(m.g, ch->id, m.send_pfn,
					    NIC_SEND_PAGES, &m.send_gpadl), 0);
	assert_int_equal(guest_open_reserved(ch, 0, 5), 0);
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), NVS_STATUS_SUCCESS);
	message.buffer.gpadl = cpu_to_le32(m.send_gpadl);
	for (unsigned int i = 0; i < 2; i++) {
		message.type = cpu_to_le32(i ? NVS_SEND_RECEIVE_BUFFER :
					       NVS_SEND_SEND_BUFFER);
		before = violation_count();
		nvs_send(&m, 0, &message, NULL);
		nic_pump(&m, 0);
		expect_record(before, "netvsp.buffer.gpadl");
	}
	assert_int_equal(m.nr_completions, 2);
	assert_int_equal(guest_unload(m.g), 0);
	assert_int_equal(guest_close_reserved(ch, 0, 5), 0);
	guest_channel_free(ch);
	nic_destroy(&m);
}

/* Page lists that lie; sections that are not there. */
static void places(void **state)
{
	struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};
	struct ring_gpa_direct direct = { 0 };
	struct nic_machine m;
	struct nic_list list;
	uint64_t before;
	static const uint32_t counts[] = { 2, 0xffffffff, 0x10000 };

	(void)state;
	up(&m);
	for (unsigned int i = 0; i < 3; i++) {
		list_begin(&list);
		list_add(&list, m.scratch[0], 0, 100);
		direct.range_count = cpu_to_le32(counts[i]);
		memcpy(list.bytes, &direct, sizeof(direct));
		before = violation_count();
		nvs_send(&m, 0, &nvs, &list);
		expect_refused(&m, before, "netvsp.data.ranges");
	}
	list_begin(&list);
	list_add(&list, m.scratch[0], 4096, 100);
	before = violation_count();
	nvs_send(&m, 0, &nvs, &list);
	expect_refused(&m, before, "netvsp.data.offset");
	list_begin(&list);
	list_add(&list, m.scratch[0], 0, 0xffffffff);
	before = violation_count();
	nvs_send(&m, 0, &nvs, &list);
	expect_refused(&m, before, "netvsp.data.page-numbers");
	list_begin(&list);
	list_add(&list, m.scratch[0], 4000, 97);
	before = violation_count();
	nvs_send(&m, 0, &nvs, &list);
	expect_refused(&m, before, "netvsp.data.page-numbers");
	list_begin(&list);
	list_add(&list, 4096, 0, 100); /* behind the last page */
	before = violation_count();
	nvs_send(&m, 0, &nvs, &list);
	expect_refused(&m, before, "netvsp.data.page");
	list_begin(&list);
	list_add(&list, UINT64_MAX, 0, 100);
	before = violation_count();
	nvs_send(&m, 0, &nvs, &list);
	expect_refused(&m, before, "netvsp.data.page");
	list_begin(&list);
	before = violation_count();
	nvs_send(&m, 0, &nvs, &list); /* no range, no bytes */
	expect_refused(&m, before, "rndis.packet.complete");
	nvs.rndis.section = cpu_to_le32(10);
	nvs.rndis.section_size = cpu_to_le32(100);
	before = violation_count();
	nvs_send(&m, 0, &nvs, NULL);
	expect_refused(&m, before, "netvsp.section.index");
	nvs.rndis.section = cpu_to_le32(9);
	nvs.rndis.section_size = cpu_to_le32(6145);
	before = violation_count();
	nvs_send(&m, 0, &nvs, NULL);
	expect_refused(&m, before, "netvsp.section.size");
	down(&m);
}

/* Each word of an RNDIS packet, wrong. */
static void frames(void **state)
{
	static const struct {
		unsigned int word;
		uint32_t value;
		const char *rule;
	} cases[] = {
		{ 0, 2, "rndis.packet.type" },
		{ 1, 43, "rndis.packet.complete" },
		{ 1, 0xffffffff, "rndis.packet.complete" },
		{ 2, 35, "rndis.packet.data" },
		{ 2, 0xfffffff8, "rndis.packet.data" },
		{ 3, 101, "rndis.packet.data" },
		{ 3, 0xffffffff, "rndis.packet.data" },
		{ 3, 13, "rndis.frame.header" },
		{ 3, 0, "rndis.frame.header" },
		{ 5, 1, "rndis.packet.out-of-band" },
		{ 6, 1, "rndis.packet.out-of-band" },
		{ 7, 35, "rndis.packet.information" },
		{ 7, 0xfffffff0, "rndis.packet.information" },
		{ 8, 0xffffffff, "rndis.packet.information" },
		{ 8, 20, "rndis.information.complete" },
		{ 9, 1, "rndis.packet.out-of-band" },
		{ 11, 11, "rndis.information.complete" },
		{ 11, 17, "rndis.information.complete" },
		{ 13, 17, "rndis.information.complete" },
	};
	static const struct {
		uint32_t type, value;
		const char *rule;
	} ppis[] = {
		{ RNDIS_PPI_LSO, 1000, "rndis.lso.version" },
		{ RNDIS_PPI_LSO, 1u << 30 | 47, "rndis.lso.segment" },
		{ RNDIS_PPI_LSO, 1u << 30 | 0xfffff, "rndis.lso.segment" },
		{ RNDIS_PPI_LSO, 1u << 30 | 1000 | 90u << 20,
		  "rndis.checksum.header" },
		{ RNDIS_PPI_LSO, 1u << 30 | 1000 | 34u << 20,
		  "rndis.lso.header" },
		{ RNDIS_PPI_CHECKSUM, RNDIS_TX_TCP | RNDIS_TX_IP4,
		  "rndis.checksum.header" },
		{ RNDIS_PPI_CHECKSUM, RNDIS_TX_UDP | RNDIS_TX_IP6 | 20 << 16,
		  "rndis.checksum.header" },
	};
	struct nic_ppi ppi = { RNDIS_PPI_CHECKSUM, 0 };
	struct nic_machine m;
	uint8_t frame[3000] = { 0 };
	uint64_t before;
	uint32_t size;

	(void)state;
	up(&m);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size = rndis_frame(bytes, frame, 100, &ppi, 1, 0);
		memcpy(bytes + 4 * cases[i].word, &cases[i].value, 4);
		before = violation_count();
		nic_send_pages(&m, 0, bytes, size, 4070, 0);
		expect_refused(&m, before, cases[i].rule);
		/* A good one before it is not sent either. */
		nic_fill(frame + 200, 60, 1);
		size = rndis_frame(bytes, frame + 200, 60, NULL, 0, 0);
		size += rndis_frame(bytes + size, frame, 100, &ppi, 1, 0);
		memcpy(bytes + 104 + 4 * cases[i].word, &cases[i].value, 4);
		before = violation_count();
		nic_send_section(&m, 0, 1, bytes, size);
		expect_refused(&m, before, cases[i].rule);
		assert_int_equal(m.nr_frames, 0);
	}
	for (unsigned int i = 0; i < sizeof(ppis) / sizeof(*ppis); i++) {
		ppi = (struct nic_ppi){ ppis[i].type, ppis[i].value };
		size = rndis_frame(bytes, frame, 100, &ppi, 1, 0);
		before = violation_count();
		nic_send_pages(&m, 0, bytes, size, 0, 0);
		expect_refused(&m, before, ppis[i].rule);
	}
	size = rndis_frame(bytes, frame, 3000, NULL, 0, 0);
	before = violation_count();
	nic_send_pages(&m, 0, bytes, size, 0, 0);
	expect_refused(&m, before, "rndis.frame.maximum");
	down(&m);
}

/* Frames before RNDIS, after HALT, and in a frame of too many pieces. */
static void order(void **state)
{
	struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};
	struct rndis_header halt = {
		.type = cpu_to_le32(RNDIS_HALT),
		.length = cpu_to_le32(sizeof(halt)),
	};
	struct nic_machine m;
	struct nic_list list;
	uint8_t frame[200];
	uint64_t before = violation_count();
	uint32_t size;

	(void)state;
	nic_fill(frame, sizeof(frame), 1);
	size = rndis_frame(bytes, frame, 100, NULL, 0, 0);
	nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), 1);
	nic_send_pages(&m, 0, bytes, size, 0, 0);
	expect_refused(&m, before, "netvsp.packet.early");
	nic_up(&m, 0, 0);
	nic_round_trip(&m, 0, 100);
	assert_int_equal(rndis_send(&m, &halt, sizeof(halt), 0), 1);
	before = violation_count();
	nic_send_pages(&m, 0, bytes, size, 0, 0);
	expect_refused(&m, before, "netvsp.packet.early");
	rndis_initialize(&m);
	rndis_filter(&m, RNDIS_FILTER_DIRECTED);
	size = rndis_frame(bytes, frame, 65, NULL, 0, 0);
	memcpy(guest_page(m.g, m.scratch[0]), bytes, size);
	list_begin(&list);
	list_add(&list, m.scratch[0], 0, 48);
	for (uint32_t i = 48; i < 100; i++)
		list_add(&list, m.scratch[i % 2], i, 1);
	list_add(&list, m.scratch[0], 100, size - 100);
	nvs_send(&m, 0, &nvs, &list);
	nic_pump(&m, 0);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	m.nr_frames = 0;
	down(&m);
}

/* A completion of what was never sent, and a packet of a type that no client
 * has: the first is recorded alone, the second stops the channel. */
static void strange_packets(void **state)
{
	struct nvs_message done = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
	};
	struct nic_machine m;
	uint64_t before;

	(void)state;
	up(&m);
	before = violation_count();
	assert_int_equal(guest_send(&m.ch[0], RING_PACKET_COMPLETION, 0,
				    0x123456, NULL, 0, &done, 8), 0);
	expect_record(before, "netvsp.completion");
	nic_round_trip(&m, 0, 100);
	before = violation_count();
	assert_int_equal(guest_send(&m.ch[0], RING_PACKET_TRANSFER_PAGES, 0,
				    1, NULL, 0, &done, 8), 0);
	expect_record(before, "netvsp.packet.type");
	nic_shut(&m);
	nic_destroy(&m);
}

/* Before anything else, with ids that a server may have for itself, and with the
 * type of a completion of frames. */
static void completion_comes_first(void **state)
{
	static const uint64_t ids[] = { 0x8000000000000000ull,
					0x8000000000000001ull, 0, 1 };
	static const uint32_t types[] = { NVS_RNDIS_PACKET_COMPLETE, 0,
					  0xffffffff };
	struct nvs_message done = { 0 };
	struct nic_machine m;
	uint64_t before;

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
		before = violation_count();
		done.type = cpu_to_le32(types[i / 4]);
		assert_int_equal(guest_send(&m.ch[0], RING_PACKET_COMPLETION, 0,
					    ids[i % 4], NULL, 0, &done, 8), 0);
		expect_record(before, "netvsp.completion");
		nic_up(&m, NVS_VERSION_61, 0);
		down(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(U_08_control_anywhere),
		cmocka_unit_test(control),
		cmocka_unit_test(messages),
		cmocka_unit_test(subchannel),
		cmocka_unit_test(no_buffers_for_a_reserved_channel),
		cmocka_unit_test(places),
		cmocka_unit_test(frames),
		cmocka_unit_test(order),
		cmocka_unit_test(strange_packets),
		cmocka_unit_test(completion_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
