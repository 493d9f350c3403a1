/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/host_relay.c relay/host_bus.c relay/host_bus_post.c relay/host_offer.c relay/host_gpadl.c relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/unit/relay_host_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * What a host may do to the relay and to the guest behind it: say nothing, have
 * no room, be old, offer twice or too early. And what a guest may do that would
 * leave the host with its memory.
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

#include "test/unit/host_bus_time.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_host_world.h"

static struct host_world world, *const w = &world;

static void begin(uint32_t features)
{
	host_world_begin_connected(w, features);
}

static void test_host_never_creates(void **state)
{
	struct vmbus_gpadl_created created;
	struct guest_channel ch;

	(void)state;
	begin(0);
	w->deaf = true;
	assert_int_equal(guest_ring_post(w->g, &w->offer[0], 4, &ch), 0);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(guest_expect(w->g, VMBUS_GPADL_CREATED, &created,
				      sizeof(created)), 0);
	assert_int_equal(le32_to_cpu(created.status),
			 VMBUS_STATUS_UNSUCCESSFUL);
	expect_rescind(w->g, 1);
	assert_int_equal(guest_release(w->g, 1), 0);
	guest_channel_free(&ch);
	host_world_hear(w);
	host_world_expect_idle(w);
	assert_int_equal(guest_open(w->g, &w->offer[1], 4, 1, &ch), 0);
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

static void test_host_never_opens(void **state)
{
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 4, &ch), 0);
	guest_ring_clear(&ch);
	w->deaf = true;
	assert_int_equal(guest_ring_open(&ch, 1), -ENOMSG);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	expect_rescind(w->g, 1);
	expect_nothing(w->g);
	assert_int_equal(guest_gpadl_teardown(w->g, ch.id, ch.gpadl), 0);
	host_world_hear(w);
	assert_int_equal(w->a.opened, 1);
	guest_channel_free(&ch);
	host_world_expect_idle(w);
	host_world_end(w);
}

static void test_host_never_tears_down(void **state)
{
	struct vmbus_gpadl_torndown torndown;
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 4, &ch), 0);
	w->deaf = true;
	assert_int_equal(guest_gpadl_teardown(w->g, ch.id, ch.gpadl),
			 -ENOMSG);
	host_is_silent(HOST_BUS_LET_GO_NS);
	assert_int_equal(guest_expect(w->g, VMBUS_GPADL_TORNDOWN, &torndown,
				      sizeof(torndown)), 0);
	expect_rescind(w->g, 1);
	guest_channel_free(&ch);
	host_world_hear(w);
	host_world_end(w);
}

/* A host that is told to close forgets a MODIFY: the guest is answered, and the
 * next one does not find it under way. */
static void test_close_before_modify_is_answered(void **state)
{
	struct vmbus_modify_channel modify = { .channel = cpu_to_le32(1),
					       .vp = cpu_to_le32(2) };
	struct vmbus_modify_channel_response response;
	struct guest_channel ch;

	(void)state;
	begin(0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
		w->deaf = true;
		guest_post(w->g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
		expect_nothing(w->g);
		w->nr_unheard = 0;
		w->deaf = false;
		assert_int_equal(guest_close(&ch), 0);
		assert_int_equal(guest_expect(w->g,
					      VMBUS_MODIFY_CHANNEL_RESPONSE,
					      &response, sizeof(response)), 0);
		assert_int_equal(le32_to_cpu(response.status),
				 VMBUS_STATUS_UNSUCCESSFUL);
		assert_int_equal(guest_gpadl_teardown(w->g, 1, ch.gpadl), 0);
		guest_channel_free(&ch);
		assert_int_equal(guest_unload(w->g), 0);
		host_world_connect(w, VMBUS_VERSION_COPPER, 0);
		assert_int_equal(w->nr_offers, 2);
	}
	host_is_silent(HOST_BUS_DEADLINE_NS);
	expect_nothing(w->g);
	host_world_end(w);
}

/* A host does not answer the TEARDOWN of what an open channel uses. */
static void test_teardown_before_close(void **state)
{
	struct vmbus_gpadl_teardown teardown = { .channel = cpu_to_le32(1) };
	struct vmbus_gpadl_torndown torndown;
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	teardown.gpadl = cpu_to_le32(ch.gpadl);
	guest_post(w->g, VMBUS_GPADL_TEARDOWN, &teardown, sizeof(teardown));
	reactor_inline_advance(1000 * HOST_BUS_DEADLINE_NS);
	expect_nothing(w->g);
	expect_echo(&ch, 1);
	assert_int_equal(guest_close(&ch), 0);
	assert_int_equal(guest_expect(w->g, VMBUS_GPADL_TORNDOWN, &torndown,
				      sizeof(torndown)), 0);
	expect_nothing(w->g);
	guest_channel_free(&ch);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

/* A device of the host's may be long in closing: what it works on has to end.
 * The guest is not answered before, and loses nothing. */
static void test_host_closes_slowly(void **state)
{
	struct vmbus_header unload, complete;
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	w->a.slow = true;
	guest_post(w->g, VMBUS_UNLOAD, &unload, sizeof(unload));
	reactor_inline_advance(HOST_BUS_LET_GO_NS - 1);
	expect_nothing(w->g);
	w->a.slow = false;
	echo_let_go(&w->a);
	assert_int_equal(guest_expect(w->g, VMBUS_UNLOAD_COMPLETE, &complete,
				      sizeof(complete)), 0);
	guest_channel_free(&ch);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 2);
	host_world_end(w);
}

static void test_host_has_no_room(void **state)
{
	struct guest_channel ch;
	struct guest_message got;

	(void)state;
	begin(0);
	w->full = -EAGAIN;
	assert_int_equal(guest_ring_post(w->g, &w->offer[0], 300, &ch), 0);
	/* No more of the guest's messages are handled meanwhile. */
	guest_release(w->g, 2);
	assert_true(w->g->server->by_id[2]->offered);
	reactor_inline_advance(100 * MS);
	assert_true(w->g->server->by_id[2]->offered);
	w->full = 0;
	for (int i = 0; i < 100; i++)
		reactor_inline_advance(MS);
	assert_null(w->g->server->by_id[2]);
	assert_true(guest_take(w->g, &got)); /* CREATED */
	guest_ring_clear(&ch);
	assert_int_equal(guest_ring_open(&ch, 1), 0);
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

/* ... for too long: the guest is told that all is gone. The host is told as soon
 * as it can be, and then lets go of the guest's memory. */
static void test_host_has_no_room_for_long(void **state)
{
	struct vmbus_tl_connect_request_silo request = { 0 };
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	w->full = -EAGAIN;
	guest_post(w->g, VMBUS_TL_CONNECT_REQUEST, &request, sizeof(request));
	for (int i = 0; i < 5001; i++)
		reactor_inline_advance(MS);
	expect_rescind(w->g, 2);
	expect_rescind(w->g, 1);
	assert_int_equal(w->host->nr_busy, 1);
	w->full = 0;
	reactor_inline_advance(1000 * MS);
	assert_int_equal(w->host->nr_busy, 0);
	assert_int_equal(w->host->gpadls.count, 0);
	assert_int_equal(w->a.closed, 1);
	assert_int_equal(guest_gpadl_teardown(w->g, ch.id, ch.gpadl), 0);
	guest_channel_free(&ch);
	host_world_end(w);
}

static void test_no_host(void **state)
{
	(void)state;
	host_world_begin(w);
	w->deaf = true;
	host_world_start(w, 0);
	assert_int_equal(w->started, 1);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(w->started, -ETIMEDOUT);
	host_world_hear(w);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 0);
	host_world_end(w);
}

static void test_old_host(void **state)
{
	(void)state;
	host_world_begin(w);
	w->host->config.max_version = VMBUS_VERSION_IRON;
	w->rules[0] = (struct host_relay_rule){ w->a.dev.instance,
						HOST_INTERCEPT };
	host_world_start(w, 1);
	assert_int_equal(w->started, -ENOTSUP);
	/* Whoever was not told of an offer is not told that it went. */
	host_world_revoke(w, &w->a);
	assert_int_equal(w->intercepted + w->interceptions_gone, 0);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 0);
	host_world_end(w);
}

/* An instance twice, under ids that are free. */
static void test_offered_twice(void **state)
{
	struct vmbus_offer_channel offer = {
		.interface = echo_device(1).dev.interface,
		.instance = echo_device(1).dev.instance,
		.channel = cpu_to_le32(9),
	};
	uint64_t before;

	(void)state;
	begin(0);
	before = violation_count();
	host_world_say(w, VMBUS_OFFER_CHANNEL, &offer, sizeof(offer));
	expect_violation(before, "host.offer.twice");
	expect_nothing(w->g);
	/* A sub-channel of what is not offered. */
	offer.instance.b[0] = 9;
	offer.sub_index = cpu_to_le16(1);
	host_world_say(w, VMBUS_OFFER_CHANNEL, &offer, sizeof(offer));
	expect_nothing(w->g);
	host_world_end(w);
}

/* A new offer of an instance while the guest has not released the old one, and
 * under another id. */
static void test_offered_anew_too_early(void **state)
{
	struct vmbus_offer_channel offer = {
		.interface = echo_device(1).dev.interface,
		.instance = echo_device(1).dev.instance,
		.channel = cpu_to_le32(9),
	};
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	w->g->manual = true;
	host_world_revoke(w, &w->a);
	while (!w->nr_queue)
		assert_true(reactor_inline_step());
	/* Right behind RESCIND. */
	host_world_say(w, VMBUS_OFFER_CHANNEL, &offer, sizeof(offer));
	w->g->manual = false;
	expect_rescind(w->g, 1);
	expect_nothing(w->g);
	guest_gpadl_teardown(w->g, 1, ch.gpadl);
	guest_channel_free(&ch);
	guest_release(w->g, 1);
	assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL, &w->offer[0],
				      sizeof(w->offer[0])), 0);
	assert_int_equal(le32_to_cpu(w->offer[0].channel), 1);
	host_world_end(w);
}

/* A result that nobody asked for would be a message to the guest each time. */
static void test_socket_results(void **state)
{
	struct vmbus_tl_connect_request_silo request = { 0 };
	struct vmbus_tl_connect_result result = { 0 };
	uint64_t before;

	(void)state;
	begin(0);
	before = violation_count();
	host_world_say(w, VMBUS_TL_CONNECT_RESULT, &result, sizeof(result));
	expect_violation(before, "host.tl.answer");
	expect_nothing(w->g);
	/* No more of them than requests. */
	for (int i = 0; i < 2; i++)
		guest_post(w->g, VMBUS_TL_CONNECT_REQUEST, &request,
			   sizeof(request));
	for (int i = 0; i < 2; i++)
		assert_int_equal(guest_expect(w->g, VMBUS_TL_CONNECT_RESULT,
					      &result, sizeof(result)), 0);
	before = violation_count();
	host_world_say(w, VMBUS_TL_CONNECT_RESULT, &result, sizeof(result));
	expect_violation(before, "host.tl.answer");
	expect_nothing(w->g);
	host_world_end(w);
}

/* ---- the guest's mistakes ---- */

/* It releases a channel that is not rescinded, with a GPADL at the host. */
static void test_release_with_gpadl(void **state)
{
	struct guest_channel ch;
	uint64_t before;

	(void)state;
	begin(0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 4, &ch), 0);
	before = violation_count();
	assert_int_equal(guest_release(w->g, 1), 0);
	expect_violation(before, "vmbus.release.gpadls");
	assert_int_equal(guest_unload(w->g), 0);
	guest_channel_free(&ch);
	host_world_expect_idle(w);
	/* The next kernel counts from there on again. */
	w->g->next_gpadl = 0xe1e10;
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 2);
	assert_int_equal(guest_open(w->g, &w->offer[1], 4, 1, &ch), 0);
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	/* With nothing there, it may: nobody keeps it from that. */
	before = violation_count();
	assert_int_equal(guest_release(w->g, 1), 0);
	assert_int_equal(violation_count(), before);
	assert_null(w->g->server->by_id[1]);
	host_world_end(w);
}

/* One id for two relayed channels: BODY and TORNDOWN could be either's. */
static void test_gpadl_id_twice(void **state)
{
	struct guest_channel ch[2];
	uint32_t gpadl;
	uint64_t before;

	(void)state;
	begin(0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 4, &ch[0]), 0);
	w->g->next_gpadl = ch[0].gpadl;
	before = violation_count();
	assert_int_equal(guest_gpadl_create(w->g, 2, ch[0].pfn, 4, &gpadl),
			 -EPROTO);
	assert_int_equal(gpadl, ch[0].gpadl);
	expect_violation(before, "vmbus.gpadl.id-in-use");
	assert_int_equal(guest_gpadl_teardown(w->g, 1, ch[0].gpadl), 0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[1], 4, &ch[1]), 0);
	assert_int_equal(guest_gpadl_teardown(w->g, 2, ch[1].gpadl), 0);
	guest_channel_free(&ch[0]);
	guest_channel_free(&ch[1]);
	host_world_expect_idle(w);
	host_world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_never_creates),
		cmocka_unit_test(test_host_never_opens),
		cmocka_unit_test(test_host_never_tears_down),
		cmocka_unit_test(test_close_before_modify_is_answered),
		cmocka_unit_test(test_teardown_before_close),
		cmocka_unit_test(test_host_closes_slowly),
		cmocka_unit_test(test_host_has_no_room),
		cmocka_unit_test(test_host_has_no_room_for_long),
		cmocka_unit_test(test_no_host),
		cmocka_unit_test(test_old_host),
		cmocka_unit_test(test_offered_twice),
		cmocka_unit_test(test_offered_anew_too_early),
		cmocka_unit_test(test_socket_results),
		cmocka_unit_test(test_release_with_gpadl),
		cmocka_unit_test(test_gpadl_id_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
