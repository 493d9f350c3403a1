/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * What no guest should say to the VMBus server: each mistake is recorded once
 * and harms nobody.
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

#include "test/unit/reactor_inline.h"
#include "test/unit/relay_world.h"

static void count_done(void *opaque)
{
	++*(unsigned int *)opaque;
}

static void each_mistake_is_recorded_once(void **state)
{
	static const struct {
		uint32_t type;
		size_t size;
		uint32_t body[8];
		unsigned int answers;
		const char *rule;
	} bad[] = {
		{ 0, 8, { 0 }, 0, "vmbus.message.type" },
		{ 1, 196, { 0 }, 0, "vmbus.message.type" },
		{ 2, 12, { 1 }, 0, "vmbus.message.type" },
		{ 4, 8, { 0 }, 0, "vmbus.message.type" },
		{ 6, 20, { 1 }, 0, "vmbus.message.type" },
		{ 10, 20, { 1 }, 0, "vmbus.message.type" },
		{ 12, 12, { 1 }, 0, "vmbus.message.type" },
		{ 15, 16, { 1 }, 0, "vmbus.message.type" },
		{ 17, 8, { 0 }, 0, "vmbus.message.type" },
		{ 18, 28, { 1 }, 1, "vmbus.open.twice" },
		{ 18, 28, { 2, 4, 2 }, 1, "vmbus.reserved.target" },
		{ 18, 28, { 2, 0, 16 }, 1, "vmbus.reserved.target" },
		{ 18, 28, { 2, 0, 2, 77 }, 1, "vmbus.open.gpadl" },
		{ 18, 27, { 2 }, 0, "vmbus.message.complete" },
		{ 19, 19, { 2 }, 0, "vmbus.message.complete" },
		{ 19, 20, { 1 }, 1, "vmbus.close-reserved.not-open" },
		{ 19, 20, { 9 }, 1, "vmbus.channel" },
		{ 21, 39, { 1 }, 0, "vmbus.message.complete" },
		{ 24, 16, { 1 }, 0, "vmbus.message.type" },
		{ 25, 24, { 1 }, 0, "vmbus.message.feature" },
		{ 27, 8, { 0 }, 0, "vmbus.message.feature" },
		{ 29, 8, { 0 }, 0, "vmbus.message.feature" },
		{ 30, 8, { 0 }, 0, "vmbus.message.type" },
		{ UINT32_MAX, 8, { 0 }, 0, "vmbus.message.type" },
		{ 5, 147, { 1 }, 0, "vmbus.message.complete" },
		{ 7, 11, { 1 }, 0, "vmbus.message.complete" },
		{ 8, 19, { 1 }, 0, "vmbus.message.complete" },
		{ 9, 15, { 1 }, 0, "vmbus.message.complete" },
		{ 11, 15, { 1 }, 0, "vmbus.message.complete" },
		{ 14, 39, { 1 }, 0, "vmbus.message.complete" },
		{ 22, 15, { 1 }, 0, "vmbus.message.complete" },
		{ 3, 8, { 0 }, 0, "vmbus.offers.twice" },
		{ 5, 148, { 9 }, 1, "vmbus.channel" },
		{ 5, 148, { 0 }, 1, "vmbus.channel" },
		{ 5, 148, { 4096 }, 1, "vmbus.channel" },
		{ 7, 12, { UINT32_MAX }, 0, "vmbus.channel" },
		{ 8, 28, { 9, 1 }, 1, "vmbus.channel" },
		{ 11, 16, { 9, 1 }, 1, "vmbus.channel" },
		{ 13, 12, { 9 }, 0, "vmbus.channel" },
		{ 22, 16, { 9, 0 }, 1, "vmbus.channel" },
		{ 7, 12, { 2 }, 0, "vmbus.close.not-open" },
		{ 13, 12, { 1 }, 0, "vmbus.release.open" },
		{ 22, 16, { 2, 0 }, 1, "vmbus.modify.not-open" },
		{ 8, 28, { 1, 1, 0x00000010 }, 1, "vmbus.gpadl.range-count" },
		{ 8, 28, { 1, 1, 0x00010011 }, 1, "vmbus.gpadl.length" },
		{ 8, 36, { 1, 1, 0x00010010, 4096, 0, 99999 }, 1,
		  "vmbus.gpadl.page" },
		{ 9, 24, { 0, 42 }, 0, "vmbus.gpadl-body.unknown" },
		{ 11, 16, { 1, 42 }, 1, "vmbus.gpadl-teardown.unknown" },
		{ 8, 20, { 1, 43, 0x00010010 }, 0, NULL },
		{ 9, 16, { 0, 43 }, 0, "vmbus.gpadl-body.empty" },
		{ 8, 20, { 2, 43, 0x00010010 }, 1,
		  "vmbus.gpadl.id-incomplete" },
		{ 11, 16, { 1, 43 }, 1, "vmbus.gpadl-teardown.incomplete" },
	};
	struct guest_channel ch;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t message[VMBUS_MAX_MESSAGE] = { 0 };
		uint64_t before = violation_count();

		memcpy(message + 8, bad[i].body, sizeof(bad[i].body));
		assert_int_equal(guest_post(w.g, bad[i].type, message,
					    bad[i].size), 0);
		if (bad[i].rule)
			expect_violation(before, bad[i].rule);
		assert_int_equal(w.g->nr_inbox, bad[i].answers);
		w.g->nr_inbox = 0;
		expect_echo(&ch, i);
	}
	for (size_t size = 0; size < 8; size++) {
		uint64_t before = violation_count();
		uint8_t message[8];

		assert_int_equal(guest_post(w.g, 3, message, size), 0);
		expect_violation(before, "vmbus.message.header");
	}
	guest_shut(&ch);
	world_end(&w);
}

static void messages_have_their_versions(void **state)
{
	uint8_t message[VMBUS_MAX_MESSAGE] = { 0 };
	uint64_t before = violation_count();
	struct vmbus_tl_connect_result result;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_WIN8_1);
	guest_post(w.g, VMBUS_MODIFY_CHANNEL, message, 16);
	expect_violation(before, "vmbus.message.version");
	guest_post(w.g, VMBUS_TL_CONNECT_REQUEST, message, 40);
	expect_violation(before + 1, "vmbus.message.version");
	expect_nothing(w.g);
	/* 4.0 has the question, but no word for the answer. */
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_WIN10, 0, 0), 0);
	guest_post(w.g, VMBUS_TL_CONNECT_REQUEST, message, 40);
	expect_nothing(w.g);
	assert_int_equal(violation_count(), before + 2);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_WIN10_RS5, 0, 0), 0);
	message[8] = 0xe0;
	message[24] = 0x5e;
	/* 5.2 has a silo, which Linux does not send at any version. */
	for (size_t size = 40; size <= 56; size += 16) {
		guest_post(w.g, VMBUS_TL_CONNECT_REQUEST, message, size);
		assert_int_equal(guest_expect(w.g, VMBUS_TL_CONNECT_RESULT,
					      &result, sizeof(result)), 0);
		assert_int_equal(le32_to_cpu(result.status),
				 VMBUS_STATUS_CONNECTION_REFUSED);
		assert_int_equal(result.endpoint.b[0], 0xe0);
		assert_int_equal(result.service.b[0], 0x5e);
	}
	assert_int_equal(violation_count(), before + 2);
	world_end(&w);
}

static void unfinished_gpadls_are_bounded(void **state)
{
	struct vmbus_gpadl_header header = {
		.channel = cpu_to_le32(1),
		.range_bytes = cpu_to_le16(65528),
		.range_count = cpu_to_le16(1),
	};
	struct vmbus_gpadl_created created;
	unsigned int begun = 0;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	for (uint32_t id = 0; id < 1000; id++) {
		header.gpadl = cpu_to_le32(id);
		guest_post(w.g, VMBUS_GPADL_HEADER, &header, sizeof(header));
		begun += !w.g->nr_inbox;
		w.g->nr_inbox = 0;
	}
	assert_int_equal(begun, 4);
	/* Their ids are taken on every channel. */
	header.channel = cpu_to_le32(2);
	header.gpadl = cpu_to_le32(0);
	guest_post(w.g, VMBUS_GPADL_HEADER, &header, sizeof(header));
	assert_int_equal(guest_expect(w.g, VMBUS_GPADL_CREATED, &created,
				      sizeof(created)), 0);
	assert_int_not_equal(le32_to_cpu(created.status), 0);
	/* Taken back half sent. */
	assert_int_equal(guest_gpadl_teardown(w.g, 1, 0), 0);
	guest_post(w.g, VMBUS_GPADL_HEADER, &header, sizeof(header));
	expect_nothing(w.g);
	assert_int_equal(guest_unload(w.g), 0);
	world_end(&w);
}

/* Anything at all, many times: nothing leaks, nothing crashes, and a device
 * opened after it works. Ids are small, and much is right, so that every state
 * is reached. */
static uint32_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static size_t random_message(uint32_t type, uint32_t *message)
{
	message[2] = below(4) ? 1 + below(2) : below(7); /* channel */
	message[3] = below(3); /* open id, GPADL, VP */
	message[4] = below(3); /* GPADL of OPEN */
	message[5] = below(5); /* VP of OPEN */
	message[6] = 2;	       /* split of OPEN */
	if (type == VMBUS_GPADL_HEADER) {
		message[4] = 0x00010028; /* one range of four pages */
		message[5] = 4 * 4096;
		message[6] = 0;
		for (unsigned int page = 0; page < 4; page++)
			message[7 + 2 * page] = below(1000) +
						below(50) / 49 * RAM_PAGES;
		return below(6) ? 60 : 44;
	}
	if (type == VMBUS_GPADL_BODY) {
		message[4] = below(1000);
		message[5] = 0;
		message[6] = below(1000);
		return 32;
	}
	if (type == VMBUS_INITIATE_CONTACT) {
		message[2] = VMBUS_VERSION_COPPER + below(20) / 19;
		message[4] = VMBUS_SINT;
		message[5] = below(2) ? below(UINT8_MAX) : 0;
		message[6] = 0;
	}
	if (type == VMBUS_OPEN_RESERVED) {
		message[4] = below(20) / 19 + VMBUS_SINT;
		message[5] = below(3);
	}
	/* OPEN's signal parameters, with features that ask for them. */
	message[37] = 0x2000 | (1 + below(4));
	message[38] = 1 + below(3);
	return below(8) ? 156 : below(241);
}

static void random_messages_do_no_harm(void **state)
{
	static const uint8_t types[] = {
		3, 5, 5, 5, 5, 5, 5, 5, 5, 7, 7, 7, 8, 8, 8, 8, 8, 9, 9, 11,
		11, 13, 18, 19, 22, 25, 29, 29, 29
	};
	unsigned int done = 0, resets = 0;
	struct guest_channel ch;
	struct world w;

	(void)state;
	seed = 12345;
	world_begin(&w, VMBUS_VERSION_COPPER);
	w.a.dev.max_subchannels = w.a.subchannels = 3;
	memset(w.g->ram, 0, RAM_PAGES * 4096ul);
	for (unsigned int i = 0; i < 200000; i++) {
		uint32_t message[VMBUS_MAX_MESSAGE / 4] = { 0 };
		uint32_t type = types[below(sizeof(types))];

		if (!below(50))
			type = below(VMBUS_MESSAGE_TYPES + 1);
		if (!below(60))
			type = VMBUS_INITIATE_CONTACT;
		else if (!below(300))
			type = below(2) ? VMBUS_UNLOAD : VMBUS_PAUSE;
		if (!below(4))
			w.a.slow = w.b.slow = below(2);
		if (!below(8)) {
			echo_let_go(&w.a);
			echo_let_go(&w.b);
		}
		if (!below(2000) && resets == done) {
			vmbus_server_reset(w.g->server, count_done, &done);
			resets++;
		}
		if (!below(500) && w.b.dev.server)
			vmbus_revoke(&w.b.dev);
		else if (!below(20) && !w.b.dev.server)
			vmbus_offer(w.g->server, &w.b.dev);
		guest_post(w.g, type, message, random_message(type, message));
		w.a.ran = below(2);
		w.g->nr_inbox = 0;
		if (!below(100))
			reactor_inline_advance(50 * MS);
	}
	print_message("%u and %u opens, %u revokes, %u resets, %llu "
		      "violations\n", w.a.opened, w.b.opened, w.b.revoked,
		      resets, (unsigned long long)violation_count());
	assert_in_range(w.a.opened, 500, 100000);
	w.a.slow = w.b.slow = false;
	echo_let_go(&w.a);
	echo_let_go(&w.b);
	assert_int_equal(done, resets);
	vmbus_server_reset(w.g->server, count_done, &done);
	reactor_inline_drain();
	assert_int_equal(done, resets + 1);
	assert_int_equal(w.g->memory.holds, 0);
	w.g->nr_inbox = 0;
	w.a.subchannels = 0;
	if (!w.b.dev.server)
		assert_int_equal(vmbus_offer(w.g->server, &w.b.dev), 0);
	w.b.revoked = 0;
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 2);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	expect_echo(&ch, 1);
	guest_shut(&ch);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_is_recorded_once),
		cmocka_unit_test(messages_have_their_versions),
		cmocka_unit_test(unfinished_gpadls_are_bounded),
		cmocka_unit_test(random_messages_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
