/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * Rows of test/check/conformance.list about connection, GPADLs, rescinding and
 * rings that no other test of the server holds. A test is named after its row.
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
#include "test/unit/relay_world.h"

/* The connection. */

static void V_01_contact_6_0_is_answered(void **state)
{
	struct guest_driver *g = guest_driver_create(16, 2, 0);
	struct vmbus_initiate_contact contact = {
		.version = cpu_to_le32(VMBUS_VERSION_COPPER),
		.vp = cpu_to_le32(1),
		.sint = VMBUS_SINT,
		.monitor_in = cpu_to_le64(0x1000),
		.monitor_out = cpu_to_le64(0x2000),
	};
	struct vmbus_version_response_features answer;
	uint64_t before = violation_count();
	unsigned int n;

	(void)state;
	assert_int_equal(guest_post(g, VMBUS_INITIATE_CONTACT, &contact,
				    sizeof(contact)), 0);
	assert_int_equal(g->nr_inbox, 1);
	assert_int_equal(g->inbox[0].vp, 1);
	assert_int_equal(g->inbox[0].sint, VMBUS_SINT);
	/* A body of twelve bytes. */
	assert_int_equal(guest_expect(g, VMBUS_VERSION_RESPONSE, &answer,
				      sizeof(struct vmbus_header) + 12), 0);
	assert_int_equal(answer.response.supported, 1);
	assert_int_equal(answer.response.status, VMBUS_CONNECTION_OK);
	assert_int_equal(le32_to_cpu(answer.features), 0);
	assert_int_equal(le32_to_cpu(answer.response.version_or_connection),
			 GUEST_MESSAGE_CONNECTION);
	assert_int_equal(guest_request_offers(g, &n, NULL, 0), 0);
	assert_int_equal(n, 0);
	assert_int_equal(violation_count(), before);
	guest_driver_destroy(g);
}

static void V_04_one_monitor_page_fails(void **state)
{
	struct guest_driver *g = guest_driver_create(16, 1, 0);
	struct vmbus_initiate_contact contact = {
		.version = cpu_to_le32(VMBUS_VERSION_IRON),
		.sint = VMBUS_SINT,
	};
	struct vmbus_version_response answer;
	struct vmbus_header request;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t before = violation_count();

		contact.monitor_in = cpu_to_le64(i ? 0x1000 : 0);
		contact.monitor_out = cpu_to_le64(i ? 0 : 0x2000);
		guest_post(g, VMBUS_INITIATE_CONTACT, &contact,
			   sizeof(contact));
		assert_int_equal(guest_expect(g, VMBUS_VERSION_RESPONSE,
					      &answer, sizeof(answer)), 0);
		assert_int_equal(answer.supported, 1);
		assert_int_equal(answer.status, VMBUS_CONNECTION_FAILED);
		expect_violation(before, "vmbus.monitor-pages");
		guest_post(g, VMBUS_REQUEST_OFFERS, &request, sizeof(request));
		expect_nothing(g);
		expect_violation(before + 1, "vmbus.message.contact-first");
	}
	/* And the client may think again. */
	assert_int_equal(guest_contact(g, VMBUS_VERSION_IRON, 0, 0), 0);
	guest_driver_destroy(g);
}

/* GPADLs. */

static void V_09_a_gpadl_is_created_once(void **state)
{
	uint64_t before = violation_count(), pfn;
	uint32_t gpadl;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	guest_pages(w.g, &pfn, 1);
	assert_int_equal(guest_gpadl_create(w.g, 1, &pfn, 1, &gpadl), 0);
	reactor_inline_advance(1000 * MS);
	expect_nothing(w.g);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, gpadl), 0);
	expect_nothing(w.g);
	assert_int_equal(violation_count(), before);
	world_end(&w);
}

/* Sends `n` big packets and checks what comes back. */
static void stream(struct guest_channel *ch, unsigned int n)
{
	static _Alignas(8) uint8_t out[16000], in[RING_MAX_PACKET];
	struct ring_packet packet;

	for (unsigned int i = 0; i < n; i++) {
		memset(out, (int)i | 1, sizeof(out));
		assert_int_equal(guest_send(ch, RING_PACKET_INBAND, 0, i, NULL,
					    0, out, sizeof(out)), 0);
		assert_int_equal(guest_receive(ch, in, &packet), 0);
		assert_int_equal(packet.transaction, i);
		assert_int_equal(packet.payload_size, sizeof(out));
		assert_memory_equal(packet.payload, out, sizeof(out));
	}
}

/* One HEADER and 146 BODY messages; that the pages are the ones that were
 * named, to the last, shows when a channel uses them all. */
static void V_10_a_gpadl_of_16_mib(void **state)
{
	static const uint8_t untouched[GUEST_PAGE_SIZE];
	struct guest_driver *g = guest_driver_create(9000, 1, 0);
	struct echo echo = echo_device(1);
	uint64_t before = violation_count();
	struct vmbus_offer_channel offer;
	struct guest_channel ch;
	unsigned int n;

	(void)state;
	assert_int_equal(vmbus_offer(g->server, &echo.dev), 0);
	assert_int_equal(guest_contact(g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(guest_request_offers(g, &n, &offer, 1), 0);
	/* Asserts that CREATED comes, and a BODY after it would be recorded. */
	assert_int_equal(guest_ring_create(g, &offer, 2048, &ch), 0);
	assert_int_equal(ch.nr_pages * 4096, 16 << 20);
	expect_nothing(g);
	assert_int_equal(violation_count(), before);
	guest_ring_clear(&ch);
	assert_int_equal(guest_ring_open(&ch, 0), 0);
	assert_memory_equal(guest_page(g, ch.pfn[4095]), untouched, 4096);
	stream(&ch, 2047 * 4096 / 16024 + 2);
	assert_memory_not_equal(guest_page(g, ch.pfn[0]), untouched, 16);
	assert_memory_not_equal(guest_page(g, ch.pfn[4095]), untouched, 4096);
	assert_int_equal(guest_shut(&ch), 0);
	vmbus_revoke(&echo.dev);
	guest_driver_destroy(g);
}

/* Rescinding. */

static void post_words(struct guest_driver *g, uint32_t channel, uint32_t id,
		       bool first, uint64_t word)
{
	struct {
		struct vmbus_gpadl_header header;
		uint64_t word;
	} __packed header = {
		.header = {
			.channel = cpu_to_le32(channel),
			.gpadl = cpu_to_le32(id),
			.range_bytes = cpu_to_le16(16),
			.range_count = cpu_to_le16(1),
		},
		.word = word,
	};
	struct {
		struct vmbus_gpadl_body body;
		uint64_t word;
	} __packed body = {
		.body.gpadl = cpu_to_le32(id),
		.word = word,
	};

	if (first)
		guest_post(g, VMBUS_GPADL_HEADER, &header, sizeof(header));
	else
		guest_post(g, VMBUS_GPADL_BODY, &body, sizeof(body));
}

static uint32_t offered_id(struct guest_driver *g)
{
	struct vmbus_offer_channel offer;

	assert_int_equal(guest_expect(g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	return le32_to_cpu(offer.channel);
}

/* Our GPADLs are accepted with their last word, so there is none that is
 * complete and waits: its CREATED always comes before RESCIND. */
static void V_22_hot_remove_amid_gpadls_and_open(void **state)
{
	struct echo c = echo_device(3), d = echo_device(4);
	struct vmbus_gpadl_created created;
	uint64_t pfn[2], before = violation_count();
	struct guest_channel ch;
	uint32_t complete;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	guest_pages(w.g, pfn, 2);
	assert_int_equal(guest_gpadl_create(w.g, 1, pfn, 1, &complete), 0);
	post_words(w.g, 1, 77, true, 4096);
	assert_int_equal(guest_ring_create(w.g, &w.offer[0], 2, &ch), 0);
	guest_ring_clear(&ch);
	w.g->manual = true;
	assert_int_equal(guest_post_open(&ch, 1), 0);
	assert_true(reactor_inline_step()); /* the device is being asked */
	vmbus_revoke(&w.a.dev);
	/* A second OPEN that cannot know. */
	assert_int_equal(guest_post_open(&ch, 1), 0);
	reactor_inline_drain();
	w.g->manual = false;
	expect_rescind(w.g, 1);
	expect_nothing(w.g);
	assert_int_equal(w.a.revoked, 1);
	assert_int_equal(w.a.opened, w.a.closed);

	post_words(w.g, 1, 77, false, pfn[1]);
	assert_int_equal(guest_expect(w.g, VMBUS_GPADL_CREATED, &created,
				      sizeof(created)), 0);
	assert_int_equal(le32_to_cpu(created.gpadl), 77);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, 77), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, complete), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, ch.gpadl), 0);
	assert_int_equal(violation_count(), before);

	assert_int_equal(vmbus_offer(w.g->server, &c.dev), 0);
	assert_int_equal(offered_id(w.g), 3);
	assert_int_equal(guest_release(w.g, 1), 0);
	assert_int_equal(vmbus_offer(w.g->server, &d.dev), 0);
	assert_int_equal(offered_id(w.g), 1);
	vmbus_revoke(&c.dev);
	vmbus_revoke(&d.dev);
	guest_channel_free(&ch);
	world_end(&w);
}

/* Rings. */

static void R_01_every_size_is_echoed(void **state)
{
	static _Alignas(8) uint8_t out[4096], in[RING_MAX_PACKET];
	/* 4088 bytes with descriptor and footer. */
	const uint32_t most = 4088 - 16 - 8;
	struct guest_channel ch;
	struct ring_packet packet;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	for (uint32_t size = 0; size <= most; size++) {
		for (uint32_t i = 0; i < size; i++)
			out[i] = (uint8_t)(i * 7 + size);
		assert_int_equal(guest_send(&ch, RING_PACKET_INBAND, 0, size,
					    NULL, 0, out, size), 0);
		assert_int_equal(guest_receive(&ch, in, &packet), 0);
		assert_int_equal(packet.transaction, size);
		assert_int_equal(packet.payload_size, (size + 7) / 8 * 8);
		assert_memory_equal(packet.payload, out, size);
	}
	assert_int_equal(guest_send(&ch, RING_PACKET_INBAND, 0, 0, NULL, 0,
				    out, most + 1), -EMSGSIZE);
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

static uint32_t pending_send_size(struct guest_channel *ch)
{
	uint32_t value;

	memcpy(&value, (uint8_t *)guest_page(ch->g, ch->pfn[ch->split]) +
	       RING_PENDING_SEND_SIZE, sizeof(value));
	return value;
}

static void R_05_a_full_ring_waits_for_the_reader(void **state)
{
	static _Alignas(8) uint8_t in[RING_MAX_PACKET];
	uint64_t sent = 0, received = 0, signals;
	struct guest_channel ch;
	struct ring_packet packet;
	uint8_t bytes[200] = { 0 };
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	/* Answers that are not read: first their ring is full, then ours. */
	while (!guest_send(&ch, RING_PACKET_INBAND, 0, sent, NULL, 0, bytes,
			   sizeof(bytes)))
		sent++;
	assert_in_range(sent, 2 * (4088 / 224), 2 * (4088 / 224) + 1);
	assert_in_range(pending_send_size(&ch), 224, 4096 - 8);
	signals = w.g->signals;
	while (received < sent) {
		assert_int_equal(guest_receive(&ch, in, &packet), 0);
		assert_int_equal(packet.transaction, received++);
	}
	assert_int_equal(guest_receive(&ch, in, &packet), -EAGAIN);
	assert_true(w.g->signals > signals);
	assert_int_equal(pending_send_size(&ch), 0);
	expect_echo(&ch, 9);
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(V_01_contact_6_0_is_answered),
		cmocka_unit_test(V_04_one_monitor_page_fails),
		cmocka_unit_test(V_09_a_gpadl_is_created_once),
		cmocka_unit_test(V_10_a_gpadl_of_16_mib),
		cmocka_unit_test(V_22_hot_remove_amid_gpadls_and_open),
		cmocka_unit_test(R_01_every_size_is_echoed),
		cmocka_unit_test(R_05_a_full_ring_waits_for_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
