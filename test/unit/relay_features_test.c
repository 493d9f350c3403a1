/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * What a client of 6.0 may ask for besides: its own signals, other monitor
 * pages, a pause.
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

static void begin(struct world *w, uint32_t features)
{
	world_begin(w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_contact(w->g, VMBUS_VERSION_COPPER, 1,
				       features), 0);
	assert_int_equal(w->g->features, features);
	world_request_offers(w);
}

/* Signals of the client's choice. */

static void signals_as_the_client_likes(void **state)
{
	struct guest_channel ch, other;
	struct world w;

	(void)state;
	begin(&w, VMBUS_FEATURE_SIGNAL_PARAMETERS);
	assert_int_equal(guest_ring_create(w.g, &w.offer[0], 2, &ch), 0);
	guest_ring_clear(&ch);
	ch.connection = 0x2000 | 500;
	ch.event_flag = 77;
	assert_int_equal(guest_ring_open(&ch, 3), 0);
	expect_echo(&ch, 1);
	assert_int_equal(w.g->signal_vp, 3);
	assert_int_equal(w.g->signal_flag, 77);
	assert_int_equal(vmbus_server_signal(w.g->server, 0x2001, 0), -ENOENT);
	/* The other one as it was offered. */
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &other), 0);
	expect_echo(&other, 2);
	assert_int_equal(w.g->signal_flag, 2);
	assert_int_equal(guest_shut(&other), 0);
	/* Open during close, with other signals. */
	w.a.slow = true;
	assert_int_equal(guest_close(&ch), 0);
	assert_int_equal(guest_signal(&ch), -ENOENT);
	ch.connection = 0x2000 | 2047;
	ch.event_flag = 2047;
	assert_int_equal(guest_post_open(&ch, 0), 0);
	expect_nothing(w.g);
	echo_let_go(&w.a);
	w.g->nr_inbox = 0; /* its result */
	expect_echo(&ch, 3);
	assert_int_equal(w.g->signal_flag, 2047);
	w.a.slow = false;
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

static void signals_that_cannot_be(void **state)
{
	static const struct {
		uint32_t connection;
		uint16_t flag, flags;
		size_t size;
		uint32_t offset; /* of what is wrong */
		const char *rule;
	} bad[] = {
		{ 0x2000, 5, 0, 156, 148, "vmbus.open.connection" },
		{ 0x2800, 5, 0, 156, 148, "vmbus.open.connection" },
		{ 5, 5, 0, 156, 148, "vmbus.open.connection" },
		{ 0x12005, 5, 0, 156, 148, "vmbus.open.connection" },
		{ 0x2002, 5, 0, 156, 148, "vmbus.open.connection" },
		{ 0x2005, 0, 0, 156, 152, "vmbus.open.event-flag" },
		{ 0x2005, 2048, 0, 156, 152, "vmbus.open.event-flag" },
		{ 0x2005, 5, VMBUS_OPEN_REDIRECT_INTERRUPT, 156, 154,
		  "vmbus.open.flags" },
		{ 0x2005, 5, 0, 155, 155, "vmbus.message.complete" },
		{ 0x2005, 5, 0, 148, 148, "vmbus.message.complete" },
	};
	struct guest_channel ch, other;
	struct vmbus_open_result result;
	struct violation v;
	struct world w;

	(void)state;
	begin(&w, VMBUS_FEATURE_SIGNAL_PARAMETERS);
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &other), 0);
	assert_int_equal(guest_ring_create(w.g, &w.offer[0], 2, &ch), 0);
	guest_ring_clear(&ch);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vmbus_open_channel_signal open = {
			.open = {
				.channel = cpu_to_le32(1),
				.open_id = cpu_to_le32(i),
				.gpadl = cpu_to_le32(ch.gpadl),
				.downstream_page = cpu_to_le32(ch.split),
			},
			.connection = cpu_to_le32(bad[i].connection),
			.event_flag = cpu_to_le16(bad[i].flag),
			.flags = cpu_to_le16(bad[i].flags),
		};
		uint64_t before = violation_count();

		assert_int_equal(guest_post(w.g, VMBUS_OPEN_CHANNEL, &open,
					    bad[i].size), 0);
		assert_int_equal(guest_expect(w.g, VMBUS_OPEN_RESULT, &result,
					      sizeof(result)), 0);
		assert_int_equal(le32_to_cpu(result.open_id), i);
		assert_int_not_equal(le32_to_cpu(result.status), 0);
		expect_violation(before, bad[i].rule);
		assert_int_equal(violation_get(before + 1, &v), 0);
		assert_int_equal(v.offset, bad[i].offset);
		expect_echo(&other, i);
	}
	assert_int_equal(w.a.opened, 0);
	assert_int_equal(guest_ring_open(&ch, 0), 0);
	assert_int_equal(guest_shut(&ch), 0);
	assert_int_equal(guest_shut(&other), 0);
	world_end(&w);
}

/* Monitor pages. */

static int modify_connection(struct world *w, uint64_t in, uint64_t out)
{
	struct vmbus_modify_connection modify = {
		.monitor_in = cpu_to_le64(in),
		.monitor_out = cpu_to_le64(out),
	};
	struct vmbus_modify_connection_response response;
	int err;

	assert_int_equal(guest_post(w->g, VMBUS_MODIFY_CONNECTION, &modify,
				    sizeof(modify)), 0);
	err = guest_expect(w->g, VMBUS_MODIFY_CONNECTION_RESPONSE, &response,
			   sizeof(struct vmbus_header) + 1);
	return err ? err : response.status;
}

static void monitor_pages_change(void **state)
{
	uint64_t before = violation_count();
	struct world w;

	(void)state;
	begin(&w, VMBUS_FEATURE_MODIFY_CONNECTION);
	assert_int_equal(modify_connection(&w, 0x3000, 0x4000), 0);
	assert_int_equal(modify_connection(&w, 0, 0), 0);
	assert_int_equal(violation_count(), before);
	assert_int_equal(modify_connection(&w, 0x3000, 0),
			 VMBUS_CONNECTION_FAILED);
	expect_violation(before, "vmbus.monitor-pages");
	/* Who did not ask for it may not do it. */
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(modify_connection(&w, 0, 0), -ENOMSG);
	expect_violation(before + 1, "vmbus.message.feature");
	world_end(&w);
}

/* A pause. */

static void say(struct world *w, enum vmbus_message_type type)
{
	struct vmbus_header message;

	assert_int_equal(guest_post(w->g, type, &message, sizeof(message)), 0);
}

static void expect_plain(struct world *w, enum vmbus_message_type type)
{
	struct vmbus_header message;

	assert_int_equal(guest_expect(w->g, type, &message, sizeof(message)),
			 0);
}

static void a_paused_client_hears_nothing(void **state)
{
	struct vmbus_offer_channel offer;
	struct echo c = echo_device(3);
	struct guest_channel ch;
	struct world w;
	uint64_t before;

	(void)state;
	begin(&w, VMBUS_FEATURE_PAUSE_RESUME);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	/* The response is still said, and to a client that cannot take it at
	 * once. */
	w.g->sim_busy = true;
	say(&w, VMBUS_PAUSE);
	vmbus_revoke(&w.b.dev);
	w.g->sim_busy = false;
	vmbus_server_room(w.g->server);
	reactor_inline_drain();
	expect_plain(&w, VMBUS_PAUSE_RESPONSE);
	assert_int_equal(vmbus_offer(w.g->server, &c.dev), 0);
	expect_nothing(w.g);
	/* Channels work, but there is no talking about them. */
	expect_echo(&ch, 1);
	before = violation_count();
	assert_int_equal(guest_close(&ch), 0);
	expect_violation(before, "vmbus.message.paused");
	say(&w, VMBUS_PAUSE);
	expect_violation(before + 1, "vmbus.message.paused");
	expect_nothing(w.g);
	expect_echo(&ch, 2);

	say(&w, VMBUS_RESUME);
	expect_rescind(w.g, 2);
	assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(le32_to_cpu(offer.channel), 3);
	say(&w, VMBUS_RESUME);
	expect_violation(before + 2, "vmbus.resume.not-paused");
	assert_int_equal(guest_shut(&ch), 0);
	vmbus_revoke(&c.dev);
	world_end(&w);
}

static void a_pause_ends_with_the_connection(void **state)
{
	struct world w;

	(void)state;
	begin(&w, VMBUS_FEATURE_PAUSE_RESUME);
	say(&w, VMBUS_PAUSE);
	expect_plain(&w, VMBUS_PAUSE_RESPONSE);
	vmbus_revoke(&w.b.dev);
	assert_int_equal(guest_unload(w.g), 0);
	expect_nothing(w.g);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0,
				       VMBUS_FEATURE_PAUSE_RESUME), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 1);
	/* And with a kernel that knows of none. */
	say(&w, VMBUS_PAUSE);
	expect_plain(&w, VMBUS_PAUSE_RESPONSE);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_IRON, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_as_the_client_likes),
		cmocka_unit_test(signals_that_cannot_be),
		cmocka_unit_test(monitor_pages_change),
		cmocka_unit_test(a_paused_client_hears_nothing),
		cmocka_unit_test(a_pause_ends_with_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
