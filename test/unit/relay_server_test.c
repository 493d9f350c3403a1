/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * The VMBus server, as a guest sees it: connections, offers, sub-channels.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "test/unit/reactor_inline.h"
#include "test/unit/relay_world.h"

/* The connection. */

static void every_version_works(void **state)
{
	static const uint32_t versions[] = {
		VMBUS_VERSION(2, 4), VMBUS_VERSION(3, 0), VMBUS_VERSION(4, 0),
		VMBUS_VERSION(4, 1), VMBUS_VERSION(5, 0), VMBUS_VERSION(5, 1),
		VMBUS_VERSION(5, 2), VMBUS_VERSION(5, 3), VMBUS_VERSION(6, 0),
	};
	uint64_t before = violation_count();

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct guest_channel ch;
		struct world w;

		world_begin(&w, versions[i]);
		assert_int_equal(guest_open(w.g, &w.offer[1], 2, 3, &ch), 0);
		expect_echo(&ch, 7);
		assert_int_equal(w.g->signal_vp, 3);
		assert_int_equal(w.g->signal_flag, ch.id);
		assert_int_equal(guest_shut(&ch), 0);
		assert_int_equal(guest_unload(w.g), 0);
		expect_nothing(w.g);
		world_end(&w);
	}
	assert_int_equal(violation_count(), before);
}

static void version_responses(void **state)
{
	struct guest_driver *g = guest_driver_create(16, 2,
						     VMBUS_VERSION(5, 3));
	struct vmbus_initiate_contact contact = {
		.version = cpu_to_le32(VMBUS_VERSION(6, 0)),
		.vp = cpu_to_le32(1),
		.sint = VMBUS_SINT,
	};
	static const uint8_t zero[8];
	struct vmbus_version_response response;
	struct guest_message got;

	(void)state;
	/* Too new: all zero, to the VP that was named. */
	assert_int_equal(guest_post(g, VMBUS_INITIATE_CONTACT, &contact,
				    sizeof(contact)), 0);
	assert_true(guest_take(g, &got));
	assert_int_equal(got.size, sizeof(response));
	assert_int_equal(got.vp, 1);
	assert_int_equal(got.sint, VMBUS_SINT);
	assert_memory_equal(got.payload + 8, zero, 8);
	/* Unknown in between, too old. */
	assert_int_equal(guest_contact(g, VMBUS_VERSION(5, 4), 0, 0), -EPROTO);
	assert_int_equal(guest_contact(g, VMBUS_VERSION(1, 1), 0, 0), -EPROTO);
	assert_int_equal(guest_contact(g, 13, 0, 0), -EPROTO);
	/* From 5.0 on the reply names the connection, before the version. */
	contact.version = cpu_to_le32(VMBUS_VERSION(5, 3));
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_int_equal(guest_expect(g, VMBUS_VERSION_RESPONSE, &response,
				      sizeof(response)), 0);
	assert_int_equal(response.supported, 1);
	assert_int_equal(response.status, 0);
	assert_int_equal(le32_to_cpu(response.version_or_connection),
			 GUEST_MESSAGE_CONNECTION);
	contact.version = cpu_to_le32(VMBUS_VERSION(4, 1));
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_int_equal(guest_expect(g, VMBUS_VERSION_RESPONSE, &response,
				      sizeof(response)), 0);
	assert_int_equal(le32_to_cpu(response.version_or_connection),
			 VMBUS_VERSION(4, 1));
	guest_driver_destroy(g);
}

static void V_06_features_are_masked(void **state)
{
	struct guest_driver *g = guest_driver_create(16, 1, 0);
	struct vmbus_initiate_contact_id contact = { .contact = {
		.version = cpu_to_le32(VMBUS_VERSION_COPPER),
		.sint = VMBUS_SINT,
		.features = cpu_to_le32(UINT32_MAX),
	} };
	struct vmbus_version_response_features response;
	uint64_t before = violation_count();

	(void)state;
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_int_equal(guest_expect(g, VMBUS_VERSION_RESPONSE, &response,
				      sizeof(response)), 0);
	assert_int_equal(response.response.supported, 1);
	assert_int_equal(le32_to_cpu(response.features),
			 VMBUS_FEATURE_CLIENT_ID |
			 VMBUS_FEATURE_SIGNAL_PARAMETERS |
			 VMBUS_FEATURE_MODIFY_CONNECTION |
			 VMBUS_FEATURE_PAUSE_RESUME);
	/* An id was promised and is not there. */
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact,
		   sizeof(contact.contact));
	expect_nothing(g);
	expect_violation(before, "vmbus.contact.client-id");
	guest_driver_destroy(g);
}

static void contacts_that_cannot_be(void **state)
{
	struct guest_driver *g = guest_driver_create(16, 2, 0);
	struct vmbus_initiate_contact contact = {
		.version = cpu_to_le32(VMBUS_VERSION_IRON),
		.sint = VMBUS_SINT,
		.monitor_in = cpu_to_le64(0x1000),
	};
	struct vmbus_version_response response;
	uint64_t before = violation_count();
	struct guest_message got;
	struct vmbus_header request;

	(void)state;
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_int_equal(guest_expect(g, VMBUS_VERSION_RESPONSE, &response,
				      sizeof(response)), 0);
	assert_int_equal(response.supported, 1);
	assert_int_equal(response.status, VMBUS_CONNECTION_FAILED);
	expect_violation(before, "vmbus.monitor-pages");
	guest_post(g, VMBUS_REQUEST_OFFERS, &request, sizeof(request));
	expect_nothing(g);
	expect_violation(before + 1, "vmbus.message.contact-first");

	contact.monitor_in = cpu_to_le64(0);
	contact.vp = cpu_to_le32(2);
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_true(guest_take(g, &got));
	assert_int_equal(got.vp, 0);
	expect_violation(before + 2, "vmbus.vp");

	contact.vp = cpu_to_le32(0);
	contact.vtl = 2;
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	expect_nothing(g);
	expect_violation(before + 3, "vmbus.contact.vtl");

	contact.vtl = 0;
	contact.sint = 5;
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_true(guest_take(g, &got));
	assert_int_equal(got.sint, 5);
	assert_int_equal(got.payload[8], 0);
	expect_violation(before + 4, "vmbus.contact.sint");
	contact.sint = 200;
	guest_post(g, VMBUS_INITIATE_CONTACT, &contact, sizeof(contact));
	assert_true(guest_take(g, &got));
	assert_int_equal(got.sint, VMBUS_SINT);
	assert_int_equal(got.payload[8], 0);
	guest_driver_destroy(g);
}

static void contact_again_starts_anew(void **state)
{
	struct guest_channel ch, again;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	w.a.slow = true;
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_IRON, 0, 0),
			 -ENOMSG);
	assert_int_equal(w.a.closed, 1);
	/* Only now is the memory the guest's again. */
	echo_let_go(&w.a);
	assert_int_equal(w.g->nr_inbox, 1);
	w.g->nr_inbox = 0;
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 2);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &again), 0);
	expect_echo(&again, 1);
	w.a.slow = false;
	assert_int_equal(guest_shut(&again), 0);
	guest_channel_free(&ch);
	world_end(&w);
}

static void unload_waits_for_devices(void **state)
{
	struct guest_channel a, b;
	struct vmbus_header unload, complete;
	struct guest_message got;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &a), 0);
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 1, &b), 0);
	w.a.slow = w.b.slow = true;
	guest_post(w.g, VMBUS_UNLOAD, &unload, sizeof(unload));
	expect_nothing(w.g);
	/* Signals of what is closing lead nowhere. */
	assert_int_equal(guest_signal(&a), -ENOENT);
	echo_let_go(&w.b);
	/* However long it takes: who it is stands in the log. */
	reactor_inline_advance(11000 * MS);
	expect_nothing(w.g);
	echo_let_go(&w.a);
	assert_int_equal(w.g->nr_inbox, 1);
	assert_int_equal(w.g->inbox[0].vp, 1); /* Contact's */
	assert_int_equal(guest_expect(w.g, VMBUS_UNLOAD_COMPLETE, &complete,
				      sizeof(complete)), 0);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	world_request_offers(&w);
	/* The old GPADL is no more. */
	assert_int_equal(guest_gpadl_teardown(w.g, a.id, a.gpadl), 0);
	assert_false(guest_take(w.g, &got));
	guest_channel_free(&a);
	guest_channel_free(&b);
	world_end(&w);
}

static void count_done(void *opaque)
{
	++*(unsigned int *)opaque;
}

static void reset_forgets_everything(void **state)
{
	struct guest_channel ch;
	struct vmbus_header request;
	struct world w;
	unsigned int done = 0;
	uint64_t before;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 2, &ch), 0);
	w.a.slow = true;
	/* A message not posted yet and one not handled yet. */
	w.g->sim_busy = true;
	vmbus_revoke(&w.b.dev);
	w.g->manual = true;
	guest_post(w.g, VMBUS_REQUEST_OFFERS, &request, sizeof(request));
	before = violation_count();
	vmbus_server_reset(w.g->server, count_done, &done);
	reactor_inline_drain();
	assert_int_equal(done, 0);
	w.g->sim_busy = false;
	echo_let_go(&w.a);
	vmbus_server_room(w.g->server);
	reactor_inline_drain();
	assert_int_equal(done, 1);
	expect_nothing(w.g);
	assert_int_equal(violation_count(), before);
	guest_channel_free(&ch);
	assert_int_equal(w.g->memory.holds, 0);
	vmbus_server_reset(w.g->server, count_done, &done);
	assert_int_equal(done, 2);
	reactor_inline_drain();
	w.g->manual = false;
	w.a.slow = false;
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_WIN8, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 1);
	world_end(&w);
}

/* Offers. */

static void V_07_offers_are_complete_and_stable(void **state)
{
	struct guest_driver *g = guest_driver_create(16, 1, 0);
	static const uint8_t order[] = { 3, 1, 2 };
	struct vmbus_offer_channel offer[4];
	uint64_t before = violation_count();
	struct echo echo[3];
	struct vmbus_header request;
	unsigned int n;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		echo[i] = echo_device(order[i]);
		echo[i].dev.offer_flags = VMBUS_OFFER_ENUMERATE_INTERFACE |
					  VMBUS_OFFER_CONFIDENTIAL_RING;
		echo[i].dev.mmio_mb = 8;
		assert_int_equal(vmbus_offer(g->server, &echo[i].dev), 0);
	}
	for (unsigned int boot = 0; boot < 2; boot++) {
		assert_int_equal(guest_contact(g, VMBUS_VERSION_COPPER, 0, 0),
				 0);
		assert_int_equal(guest_request_offers(g, &n, offer, 4), 0);
		assert_int_equal(n, 3);
		for (unsigned int i = 0; i < 3; i++) {
			const struct vmbus_offer_channel *o = &offer[i];

			assert_int_equal(o->instance.b[0], i + 1);
			assert_int_equal(o->user_data[1], i + 1);
			assert_int_equal(le32_to_cpu(o->channel), i + 1);
			assert_int_equal(le32_to_cpu(o->connection),
					 0x2000 + i + 1);
			assert_int_equal(le16_to_cpu(o->flags), 1);
			assert_int_equal(le16_to_cpu(o->mmio_mb), 8);
			assert_int_equal(le16_to_cpu(o->dedicated_interrupt),
					 1);
			assert_int_equal(o->monitor_id, 0xff);
			assert_int_equal(o->monitor_allocated, 0);
			assert_int_equal(le16_to_cpu(o->sub_index), 0);
		}
	}
	guest_post(g, VMBUS_REQUEST_OFFERS, &request, sizeof(request));
	expect_nothing(g);
	expect_violation(before, "vmbus.offers.twice");
	for (unsigned int i = 0; i < 3; i++)
		vmbus_revoke(&echo[i].dev);
	guest_driver_destroy(g);
}

static void devices_come_and_go(void **state)
{
	struct vmbus_offer_channel offer;
	struct guest_channel ch, late;
	struct echo c = echo_device(3);
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	w.a.slow = true;
	vmbus_revoke(&w.a.dev);
	reactor_inline_drain();
	/* Not while the device may still touch the ring. */
	expect_nothing(w.g);
	echo_let_go(&w.a);
	expect_rescind(w.g, 1);
	assert_int_equal(w.a.revoked, 1);
	/* What crossed RESCIND: no result for OPEN, the rest has answers. */
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &late), -ENOMSG);
	assert_int_equal(guest_close(&ch), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, ch.id, ch.gpadl), 0);
	expect_nothing(w.g);
	/* The id is not free before the guest says so. */
	assert_int_equal(vmbus_offer(w.g->server, &c.dev), 0);
	assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(le32_to_cpu(offer.channel), 3);
	assert_int_equal(guest_release(w.g, 1), 0);
	vmbus_revoke(&c.dev);
	expect_rescind(w.g, 3);
	/* Nor is a device offered twice. */
	assert_int_equal(vmbus_offer(w.g->server, &c.dev), 0);
	expect_nothing(w.g);
	assert_int_equal(guest_release(w.g, 3), 0);
	assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(le32_to_cpu(offer.channel), 1);
	assert_int_equal(guest_open(w.g, &offer, 2, 0, &late), 0);
	expect_echo(&late, 9);
	assert_int_equal(guest_shut(&late), 0);
	vmbus_revoke(&c.dev);
	guest_channel_free(&ch);
	world_end(&w);
}

static void half_sent_gpadl_survives_revoke(void **state)
{
	struct vmbus_gpadl_created created;
	uint8_t message[VMBUS_MAX_MESSAGE];
	struct vmbus_gpadl_header header = {
		.channel = cpu_to_le32(1),
		.gpadl = cpu_to_le32(77),
		.range_bytes = cpu_to_le16(16),
		.range_count = cpu_to_le16(1),
	};
	struct vmbus_gpadl_body body = { .gpadl = cpu_to_le32(77) };
	uint64_t word[2] = { 4096, 5 };
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), word, 8);
	guest_post(w.g, VMBUS_GPADL_HEADER, message, sizeof(header) + 8);
	vmbus_revoke(&w.a.dev);
	expect_rescind(w.g, 1);
	memcpy(message, &body, sizeof(body));
	memcpy(message + sizeof(body), word + 1, 8);
	guest_post(w.g, VMBUS_GPADL_BODY, message, sizeof(body) + 8);
	assert_int_equal(guest_expect(w.g, VMBUS_GPADL_CREATED, &created,
				      sizeof(created)), 0);
	assert_int_equal(le32_to_cpu(created.status), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, 77), 0);
	guest_release(w.g, 1);
	world_end(&w);
}

/* Sub-channels. */

static void subchannels_live_with_their_primary(void **state)
{
	struct guest_channel primary, sub1, sub3;
	struct vmbus_offer_channel offer[3];
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	w.a.dev.max_subchannels = w.a.subchannels = 3;
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &primary), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL,
					      &offer[i], sizeof(offer[i])), 0);
		assert_int_equal(le16_to_cpu(offer[i].sub_index), i + 1);
		assert_int_equal(le32_to_cpu(offer[i].channel), i + 3);
		assert_memory_equal(&offer[i].instance, &w.a.dev.instance, 16);
	}
	assert_int_equal(vmbus_offer_subchannels(&w.a.dev, 1), -EINVAL);
	assert_int_equal(guest_open(w.g, &offer[0], 2, 1, &sub1), 0);
	assert_int_equal(guest_open(w.g, &offer[2], 2, 3, &sub3), 0);
	expect_echo(&sub1, 1);
	expect_echo(&sub3, 2);
	assert_int_equal(w.g->signal_vp, 3);
	expect_echo(&primary, 3);
	/* The primary goes first: the others are taken back. */
	assert_int_equal(guest_close(&primary), 0);
	expect_rescind(w.g, 4);
	expect_rescind(w.g, 3);
	expect_rescind(w.g, 5);
	assert_int_equal(guest_gpadl_teardown(w.g, primary.id, primary.gpadl),
			 0);
	assert_int_equal(guest_gpadl_teardown(w.g, sub1.id, sub1.gpadl), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, sub3.id, sub3.gpadl), 0);
	for (uint32_t id = 3; id <= 5; id++)
		guest_release(w.g, id);
	guest_channel_free(&primary);
	guest_channel_free(&sub1);
	guest_channel_free(&sub3);
	/* And again. */
	w.a.ran = 0;
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &primary), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL,
					      &offer[i], sizeof(offer[i])), 0);
	assert_int_equal(guest_open(w.g, &offer[0], 2, 1, &sub1), 0);
	/* Revoke: sub-channels before the primary. */
	vmbus_revoke(&w.a.dev);
	reactor_inline_drain();
	expect_rescind(w.g, 4);
	expect_rescind(w.g, 5);
	expect_rescind(w.g, 3);
	expect_rescind(w.g, 1);
	expect_nothing(w.g);
	guest_channel_free(&primary);
	guest_channel_free(&sub1);
	world_end(&w);
}

static void subchannels_end_with_the_connection(void **state)
{
	struct guest_channel primary;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	w.a.dev.max_subchannels = w.a.subchannels = 2;
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &primary), 0);
	w.g->nr_inbox = 0; /* two offers */
	/* Rescinded to nobody. */
	assert_int_equal(guest_unload(w.g), 0);
	guest_channel_free(&primary);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 2);
	world_end(&w);
}

/* Flow control. */

static void a_deaf_client_stops_itself(void **state)
{
	struct vmbus_channel_message msg = { .channel = cpu_to_le32(1) };
	struct vmbus_gpadl_teardown teardown = { .channel = cpu_to_le32(1) };
	unsigned int posted = 0;
	struct guest_message got;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	w.g->sim_busy = true;
	/* Each would be answered by TORNDOWN. */
	while (!guest_post(w.g, VMBUS_GPADL_TEARDOWN, &teardown,
			   sizeof(teardown)))
		teardown.gpadl = cpu_to_le32(++posted);
	assert_in_range(posted, 64, 66);
	assert_int_equal(guest_post(w.g, VMBUS_CLOSE_CHANNEL, &msg,
				    sizeof(msg)), -ENOSPC);
	w.g->sim_busy = false;
	vmbus_server_room(w.g->server);
	reactor_inline_drain();
	assert_int_equal(w.g->nr_inbox, posted);
	for (uint32_t i = 0; i < posted; i++) {
		uint32_t id;

		assert_true(guest_take(w.g, &got));
		memcpy(&id, got.payload + 8, 4);
		assert_int_equal(id, i); /* none lost, in order */
	}
	assert_int_equal(guest_post(w.g, VMBUS_CLOSE_CHANNEL, &msg,
				    sizeof(msg)), 0);
	world_end(&w);
}

static void messages_to_nowhere_are_dropped(void **state)
{
	struct guest_channel ch;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	w.g->synic_off = true;
	vmbus_revoke(&w.b.dev);
	assert_int_equal(guest_close(&ch), 0);
	w.g->synic_off = false;
	expect_nothing(w.g);
	/* And the server lives. */
	assert_int_equal(guest_gpadl_teardown(w.g, ch.id, ch.gpadl), 0);
	guest_channel_free(&ch);
	world_end(&w);
}

static void describe(void *object, struct inspect *out)
{
	vmbus_server_inspect(object, out);
}

static void inspect_tells_the_state(void **state)
{
	static struct inspect_entry entry = { "vmbus", describe, NULL, NULL };
	struct guest_channel ch;
	struct world w;
	char json[1024];

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 3, &ch), 0);
	expect_echo(&ch, 1);
	entry.object = w.g->server;
	inspect_register(&entry);
	assert_true(inspect_render("vmbus", 3, json, sizeof(json)) > 0);
	assert_non_null(strstr(json, "\"state\":\"connected\""));
	assert_non_null(strstr(json, "\"version\":\"0x60000\""));
	assert_true(inspect_render("vmbus/gpadls", 1, json, sizeof(json)) > 0);
	assert_string_equal(json, "1");
	assert_true(inspect_render("vmbus/channels/1/packets_in", 1, json,
				   sizeof(json)) > 0);
	assert_string_equal(json, "1");
	assert_true(inspect_render("vmbus/channels/2/state", 1, json,
				   sizeof(json)) > 0);
	assert_string_equal(json, "\"closed\"");
	guest_shut(&ch);
	assert_true(inspect_render("vmbus/gpadls", 1, json, sizeof(json)) > 0);
	assert_string_equal(json, "0");
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_version_works),
		cmocka_unit_test(version_responses),
		cmocka_unit_test(V_06_features_are_masked),
		cmocka_unit_test(contacts_that_cannot_be),
		cmocka_unit_test(contact_again_starts_anew),
		cmocka_unit_test(unload_waits_for_devices),
		cmocka_unit_test(reset_forgets_everything),
		cmocka_unit_test(V_07_offers_are_complete_and_stable),
		cmocka_unit_test(devices_come_and_go),
		cmocka_unit_test(half_sent_gpadl_survives_revoke),
		cmocka_unit_test(subchannels_live_with_their_primary),
		cmocka_unit_test(subchannels_end_with_the_connection),
		cmocka_unit_test(a_deaf_client_stops_itself),
		cmocka_unit_test(messages_to_nowhere_are_dropped),
		cmocka_unit_test(inspect_tells_the_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
