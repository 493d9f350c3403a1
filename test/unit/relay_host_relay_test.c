/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/host_relay.c relay/host_bus.c relay/host_bus_post.c relay/host_offer.c relay/host_gpadl.c relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/unit/relay_host_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/inspect_list.c */
/*
 * A guest uses the host's devices through the relay; either of them, or the
 * host, then does what it should not, or at a bad time.
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

#include "test/unit/inspect_list.h"
#include "test/unit/host_bus_time.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_host_world.h"

static struct host_world world, *const w = &world;

static void begin(uint32_t features)
{
	host_world_begin_connected(w, features);
}

static struct vmbus_channel_state *of_host(uint32_t id)
{
	return w->host->by_id[id];
}

static void clear_again(struct guest_channel *ch)
{
	for (uint32_t i = 0; i < ch->nr_pages; i++)
		guest_memory_drop(&ch->g->memory, &ch->hold[i]);
	guest_ring_clear(ch);
}

/* What the guest is told is what the host says, with ids of ours. */
static void test_offers(void **state)
{
	(void)state;
	begin(0);
	for (unsigned int i = 0; i < 2; i++) {
		const struct echo *echo = i ? &w->b : &w->a;

		assert_memory_equal(&w->offer[i].interface,
				    &echo->dev.interface, 16);
		assert_memory_equal(&w->offer[i].instance,
				    &echo->dev.instance, 16);
		assert_memory_equal(w->offer[i].user_data,
				    echo->dev.user_data, 120);
		assert_int_equal(le32_to_cpu(w->offer[i].channel), i + 1);
		assert_int_equal(w->offer[i].monitor_allocated, 0);
	}
	host_world_end(w);
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	host_relay_inspect(w->relay, out);
}

static void test_names(void **state)
{
	static struct inspect_entry entry = { "relay", describe, NULL, NULL };

	(void)state;
	begin(0);
	inspect_register(&entry);
	inspect_list_check("relay", NULL);
	inspect_list_complete("relay/bus/");
	host_world_end(w);
}

static void test_echo(void **state)
{
	struct guest_channel ch[2];
	uint64_t messages;

	(void)state;
	begin(0);
	/* Another order than the host's, so that ids differ. */
	assert_int_equal(guest_open(w->g, &w->offer[1], 8, 2, &ch[1]), 0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 300, 3, &ch[0]), 0);
	assert_int_equal(w->g->memory.holds, ch[0].nr_pages + ch[1].nr_pages);
	messages = w->g->server->count.messages_in +
		   w->g->server->count.messages_out;
	for (uint64_t i = 0; i < 50; i++)
		expect_echo(&ch[i % 2], i);
	/* Nothing went through the daemon. */
	assert_int_equal(w->g->server->count.messages_in +
				 w->g->server->count.messages_out, messages);
	assert_int_equal(w->g->signals, 0);
	assert_int_equal(atomic_load(&w->g->server->by_id[1]->signals_in), 0);
	assert_int_equal(w->signals, 50);
	assert_int_equal(w->g->signal_vp, 2);
	assert_int_equal(w->g->signal_flag, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(guest_shut(&ch[i]), 0);
	assert_int_equal(w->a.closed, 1);
	host_world_expect_idle(w);
	host_world_end(w);
}

static void test_reopen_and_modify(void **state)
{
	struct vmbus_modify_channel modify = { .channel = cpu_to_le32(1),
					       .vp = cpu_to_le32(3) };
	struct vmbus_modify_channel_response response;
	uint64_t before = violation_count();
	struct guest_channel ch;
	struct violation v;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(guest_close(&ch), 0);
		clear_again(&ch);
		assert_int_equal(guest_ring_open(&ch, 1), 0);
		expect_echo(&ch, 7);
	}
	assert_int_equal(w->g->signal_vp, 1);
	assert_int_equal(guest_post(w->g, VMBUS_MODIFY_CHANNEL, &modify,
				    sizeof(modify)), 0);
	assert_int_equal(guest_expect(w->g, VMBUS_MODIFY_CHANNEL_RESPONSE,
				      &response, sizeof(response)), 0);
	assert_int_equal(le32_to_cpu(response.status), 0);
	expect_echo(&ch, 8);
	assert_int_equal(w->g->signal_vp, 3);
	/* While one is under way: no. Both are answered. */
	w->g->manual = true;
	guest_post(w->g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
	guest_post(w->g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
	reactor_inline_drain();
	w->g->manual = false;
	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.rule, "vmbus.modify.busy");
	assert_int_equal(guest_expect(w->g, VMBUS_MODIFY_CHANNEL_RESPONSE,
				      &response, sizeof(response)), 0);
	assert_int_equal(le32_to_cpu(response.status),
			 VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(guest_expect(w->g, VMBUS_MODIFY_CHANNEL_RESPONSE,
				      &response, sizeof(response)), 0);
	assert_int_equal(le32_to_cpu(response.status), 0);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

/* A teardown is answered when the host's device let go, not before. */
static void test_teardown_waits(void **state)
{
	struct vmbus_gpadl_teardown teardown;
	struct vmbus_gpadl_torndown torndown;
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	w->a.slow = true;
	assert_int_equal(guest_close(&ch), 0);
	teardown = (struct vmbus_gpadl_teardown){
		.channel = cpu_to_le32(1), .gpadl = cpu_to_le32(ch.gpadl) };
	guest_post(w->g, VMBUS_GPADL_TEARDOWN, &teardown, sizeof(teardown));
	expect_nothing(w->g);
	/* Another channel goes on meanwhile. */
	assert_int_equal(guest_gpadl_create(w->g, 2, ch.pfn, 4, &ch.gpadl), 0);
	assert_int_equal(guest_gpadl_teardown(w->g, 2, ch.gpadl), 0);
	echo_let_go(&w->a);
	assert_int_equal(guest_expect(w->g, VMBUS_GPADL_TORNDOWN, &torndown,
				      sizeof(torndown)), 0);
	guest_channel_free(&ch);
	host_world_end(w);
}

/* What is no memory of the guest never reaches the host. */
static void test_wrong_gpadl(void **state)
{
	const uint64_t outside[2] = { 5, RAM_PAGES };
	uint64_t before;
	uint32_t gpadl;

	(void)state;
	begin(0);
	before = w->host->count.messages_in;
	assert_int_equal(guest_gpadl_create(w->g, 1, outside, 2, &gpadl),
			 -EPROTO);
	assert_int_equal(w->host->count.messages_in, before);
	host_world_end(w);
}

static void test_wrong_messages(void **state)
{
	struct guest_channel ch, wrong;

	(void)state;
	begin(0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 4, &ch), 0);
	guest_ring_clear(&ch);
	wrong = ch;
	wrong.gpadl++;
	assert_int_equal(guest_ring_open(&wrong, 1), -EPROTO);
	assert_int_equal(guest_ring_open(&ch, 99), -EPROTO);
	/* The host judges the ring. */
	wrong = ch;
	wrong.split = 1;
	assert_int_equal(guest_ring_open(&wrong, 1), -EPROTO);
	assert_int_equal(guest_open_reserved(&ch, 1, 2), -EPROTO);
	assert_int_equal(guest_close_reserved(&ch, 1, 2), 0);
	assert_int_equal(guest_close(&ch), 0); /* recorded, no answer */
	assert_int_equal(guest_ring_open(&ch, 1), 0);
	assert_int_equal(guest_ring_open(&ch, 1), -EPROTO); /* twice */
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_expect_idle(w);
	host_world_end(w);
}

/* ---- rescind at every step of open ---- */

/* Runs one call at a time and lets the host rescind before call number `at`
 * after the guest began to open. False: it was all over by then. */
static bool open_and_rescind(unsigned int at)
{
	struct vmbus_gpadl_created answer;
	struct vmbus_header header;
	struct guest_message got;
	struct guest_channel ch;
	bool created = false, rescinded = false, late = false;
	unsigned int steps = 0;

	begin(0);
	w->g->manual = true;
	/* 40 pages: one HEADER and one BODY. */
	assert_int_equal(guest_ring_post(w->g, &w->offer[0], 20, &ch), 0);
	for (bool more = true; more || !late;) {
		if (steps++ == at) {
			host_world_revoke(w, &w->a);
			late = true;
		}
		more = reactor_inline_step();
		if (!more && !late)
			break;
		while (guest_take(w->g, &got)) {
			memcpy(&header, got.payload, sizeof(header));
			switch (le32_to_cpu(header.type)) {
			case VMBUS_GPADL_CREATED:
				assert_false(created);
				created = true;
				memcpy(&answer, got.payload, sizeof(answer));
				if (le32_to_cpu(answer.status))
					break;
				guest_ring_clear(&ch);
				guest_post_open(&ch, 1);
				break;
			case VMBUS_OPEN_RESULT:
				assert_false(rescinded);
				break;
			case VMBUS_RESCIND_CHANNEL:
				assert_false(rescinded);
				rescinded = true;
				break;
			default:
				fail();
			}
		}
	}
	w->g->manual = false;
	reactor_inline_drain();
	assert_int_equal(rescinded, late);
	assert_true(created);
	/* The guest gives its memory back and releases the channel. */
	if (late) {
		assert_int_equal(guest_gpadl_teardown(w->g, ch.id, ch.gpadl),
				 0);
		assert_int_equal(guest_release(w->g, ch.id), 0);
		assert_null(w->g->server->by_id[1]);
		assert_null(w->host->by_id[1]);
	} else {
		assert_int_equal(guest_close(&ch), 0);
		assert_int_equal(guest_gpadl_teardown(w->g, ch.id, ch.gpadl),
				 0);
	}
	guest_channel_free(&ch);
	host_world_expect_idle(w);
	/* All are alive: the other channel works, and so does a new one. */
	assert_int_equal(guest_open(w->g, &w->offer[1], 4, 1, &ch), 0);
	expect_echo(&ch, 3);
	assert_int_equal(guest_shut(&ch), 0);
	if (late) {
		host_world_offer(w, &w->a);
		assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL,
					      &w->offer[0],
					      sizeof(w->offer[0])), 0);
		assert_int_equal(le32_to_cpu(w->offer[0].channel), 1);
		assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
		expect_echo(&ch, 4);
		assert_int_equal(guest_shut(&ch), 0);
	}
	host_world_end(w);
	return late;
}

static void test_rescind_at_every_step(void **state)
{
	unsigned int steps = 0;

	(void)state;
	while (open_and_rescind(steps))
		steps++;
	print_message("%u steps\n", steps);
	/* HEADER, BODY, CREATED, OPEN, result, each over two reactors. */
	assert_in_range(steps, 8, 60);
}

/* ... of the end: CLOSE and TEARDOWN, or UNLOAD, of an open channel. */
static bool end_and_rescind(unsigned int at, bool unload)
{
	struct vmbus_gpadl_teardown teardown;
	unsigned int steps = 0, torndown = 0, unloaded = 0, rescinded = 0;
	struct vmbus_header header;
	struct guest_message got;
	struct guest_channel ch;
	bool late = false;

	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	expect_echo(&ch, 1);
	w->g->manual = true;
	if (unload) {
		guest_post(w->g, VMBUS_UNLOAD, &header, sizeof(header));
	} else {
		assert_int_equal(guest_close(&ch), 0);
		teardown = (struct vmbus_gpadl_teardown){
			.channel = cpu_to_le32(ch.id),
			.gpadl = cpu_to_le32(ch.gpadl) };
		guest_post(w->g, VMBUS_GPADL_TEARDOWN, &teardown,
			   sizeof(teardown));
	}
	for (bool more = true; more; more = reactor_inline_step()) {
		if (steps++ != at)
			continue;
		host_world_revoke(w, &w->a);
		late = true;
	}
	w->g->manual = false;
	reactor_inline_drain();
	while (guest_take(w->g, &got)) {
		memcpy(&header, got.payload, sizeof(header));
		torndown += le32_to_cpu(header.type) == VMBUS_GPADL_TORNDOWN;
		unloaded += le32_to_cpu(header.type) == VMBUS_UNLOAD_COMPLETE;
		rescinded += le32_to_cpu(header.type) == VMBUS_RESCIND_CHANNEL;
	}
	assert_int_equal(unloaded, unload);
	assert_int_equal(torndown, !unload);
	/* A guest that unloads may or may not be connected still. */
	if (unload) {
		assert_in_range(rescinded, 0, late);
	} else {
		assert_int_equal(rescinded, late);
		if (late)
			assert_int_equal(guest_release(w->g, ch.id), 0);
	}
	guest_channel_free(&ch);
	host_world_expect_idle(w);
	if (unload) {
		host_world_connect(w, VMBUS_VERSION_IRON, 0);
		assert_int_equal(w->nr_offers, late ? 1 : 2);
	}
	if (late) {
		host_world_offer(w, &w->a);
		assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL,
					      &w->offer[0],
					      sizeof(w->offer[0])), 0);
	}
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	expect_echo(&ch, 2);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
	return late;
}

static void test_rescind_at_every_step_of_the_end(void **state)
{
	(void)state;
	for (unsigned int unload = 0; unload < 2; unload++) {
		unsigned int steps = 0;

		while (end_and_rescind(steps, unload))
			steps++;
		print_message("%u steps\n", steps);
		assert_in_range(steps, 3, 60);
	}
}

/* ... and the guest resets at every step instead. */
static void reset_done(void *opaque)
{
	*(bool *)opaque = true;
}

static bool reset_finished;

static void reset(void *arg)
{
	vmbus_server_reset(arg, reset_done, &reset_finished);
}

static bool open_and_reset(unsigned int at)
{
	struct guest_message got;
	struct guest_channel ch;
	struct vmbus_header header;
	bool more = true;

	begin(0);
	w->g->manual = true;
	assert_int_equal(guest_ring_post(w->g, &w->offer[0], 20, &ch), 0);
	for (unsigned int steps = 0; more && steps < at; steps++) {
		more = reactor_inline_step();
		while (guest_take(w->g, &got)) {
			memcpy(&header, got.payload, sizeof(header));
			if (le32_to_cpu(header.type) != VMBUS_GPADL_CREATED)
				continue;
			guest_ring_clear(&ch);
			guest_post_open(&ch, 1);
		}
	}
	reset_finished = false;
	reactor_run(w->g->reactor[0], reset, w->g->server);
	w->g->manual = false;
	reactor_inline_drain();
	assert_true(reset_finished);
	guest_channel_free(&ch);
	host_world_expect_idle(w);
	while (guest_take(w->g, &got))
		;
	/* The next kernel uses the same ids of everything. */
	w->g->next_gpadl = 0xe1e10;
	host_world_connect(w, VMBUS_VERSION_IRON, 0);
	assert_int_equal(w->nr_offers, 2);
	assert_int_equal(le32_to_cpu(w->offer[0].channel), 1);
	assert_memory_equal(&w->offer[0].instance, &w->a.dev.instance, 16);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
	return more;
}

static void test_reset_at_every_step(void **state)
{
	unsigned int steps = 0;

	(void)state;
	while (open_and_reset(steps))
		steps++;
	assert_in_range(steps, 8, 60);
}

/* ---- the guest's ends ---- */

static void test_unload_and_reconnect(void **state)
{
	struct guest_channel ch, more;

	(void)state;
	begin(0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
		expect_echo(&ch, 1);
		/* A GPADL of a channel that is not open. */
		assert_int_equal(guest_ring_create(w->g, &w->offer[1], 4,
						   &more), 0);
		if (i % 2) /* kexec without a word */
			assert_int_equal(guest_contact(w->g,
					VMBUS_VERSION_IRON, 0, 0), 0);
		else
			assert_int_equal(guest_unload(w->g), 0);
		guest_channel_free(&ch);
		guest_channel_free(&more);
		host_world_expect_idle(w);
		if (i % 2)
			host_world_offers(w);
		else
			host_world_connect(w, VMBUS_VERSION_COPPER, 0);
		assert_int_equal(w->nr_offers, 2);
		assert_int_equal(le32_to_cpu(w->offer[1].channel), 2);
		assert_memory_equal(&w->offer[1].instance,
				    &w->b.dev.instance, 16);
	}
	assert_int_equal(w->a.opened, w->a.closed);
	host_world_end(w);
}

static void test_unload_waits_for_host(void **state)
{
	struct vmbus_header unload, complete;
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	w->a.slow = true;
	guest_post(w->g, VMBUS_UNLOAD, &unload, sizeof(unload));
	expect_nothing(w->g);
	reactor_inline_advance(100 * MS);
	expect_nothing(w->g);
	echo_let_go(&w->a);
	assert_int_equal(guest_expect(w->g, VMBUS_UNLOAD_COMPLETE, &complete,
				      sizeof(complete)), 0);
	guest_channel_free(&ch);
	host_world_end(w);
}

/* ---- the host's mistakes ---- */

static void test_host_never_answers_unload(void **state)
{
	struct vmbus_header unload, complete;
	struct guest_channel ch;

	(void)state;
	begin(0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	w->deaf = true;
	guest_post(w->g, VMBUS_UNLOAD, &unload, sizeof(unload));
	expect_nothing(w->g);
	host_is_silent(HOST_BUS_LET_GO_NS);
	assert_int_equal(guest_expect(w->g, VMBUS_UNLOAD_COMPLETE, &complete,
				      sizeof(complete)), 0);
	host_world_hear(w);
	guest_channel_free(&ch);
	/* That channel is lost, the other is not. The host is only late. */
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 1);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	expect_echo(&ch, 1);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

/* ---- who is relayed ---- */
static void test_hidden(void **state)
{
	(void)state;
	host_world_begin(w);
	w->rules[0] = (struct host_relay_rule){ w->a.dev.instance, HOST_HIDE };
	w->rules[1] = (struct host_relay_rule){ w->b.dev.instance, HOST_RELAY };
	host_world_start(w, 2);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 1);
	assert_memory_equal(&w->offer[0].instance, &w->b.dev.instance, 16);
	host_world_revoke(w, &w->a);
	assert_null(of_host(1));
	expect_nothing(w->g);
	host_world_end(w);
}

static void test_intercepted(void **state)
{
	(void)state;
	host_world_begin(w);
	w->rules[0] = (struct host_relay_rule){ w->a.dev.instance,
						HOST_INTERCEPT };
	host_world_start(w, 1);
	assert_int_equal(w->intercepted, 1);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 1);
	host_world_revoke(w, &w->a);
	assert_int_equal(w->interceptions_gone, 1);
	host_world_end(w);
}

static void take_own_back(void *arg)
{
	vmbus_revoke(arg);
}

static void test_our_own_wins(void **state)
{
	struct echo own = echo_device(1);
	struct guest_channel ch;

	(void)state;
	host_world_begin(w);
	assert_int_equal(vmbus_offer(w->g->server, &own.dev), 0);
	host_world_start(w, 0);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(w->nr_offers, 2);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	expect_echo(&ch, 1);
	assert_int_equal(own.opened, 1);
	assert_int_equal(w->a.opened, 0);
	assert_int_equal(guest_shut(&ch), 0);
	reactor_run(w->g->reactor[0], take_own_back, &own.dev);
	host_world_end(w);
}

static void test_subchannels(void **state)
{
	struct guest_channel ch, sub;
	struct vmbus_offer_channel offer;
	struct vmbus_header header;
	struct guest_message got;

	(void)state;
	host_world_begin(w);
	w->a.subchannels = w->a.dev.max_subchannels = 1;
	host_world_start(w, 0);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(le16_to_cpu(offer.sub_index), 1);
	assert_memory_equal(&offer.instance, &w->a.dev.instance, 16);
	assert_int_equal(guest_open(w->g, &offer, 4, 2, &sub), 0);
	expect_echo(&sub, 1);
	expect_echo(&ch, 2);
	/* Closing the primary takes the sub-channel away. */
	guest_close(&ch);
	assert_true(guest_take(w->g, &got));
	memcpy(&header, got.payload, sizeof(header));
	assert_int_equal(le32_to_cpu(header.type), VMBUS_RESCIND_CHANNEL);
	guest_gpadl_teardown(w->g, sub.id, sub.gpadl);
	guest_release(w->g, sub.id);
	guest_channel_free(&sub);
	clear_again(&ch);
	assert_int_equal(guest_ring_open(&ch, 1), 0);
	expect_echo(&ch, 3);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

/* The host does not answer about the primary: its sub-channel goes first. */
static void test_lost_with_subchannel(void **state)
{
	struct guest_channel ch, sub;
	struct vmbus_offer_channel offer;
	uint32_t gpadl;

	(void)state;
	host_world_begin(w);
	w->a.subchannels = w->a.dev.max_subchannels = 1;
	host_world_start(w, 0);
	host_world_connect(w, VMBUS_VERSION_COPPER, 0);
	assert_int_equal(guest_open(w->g, &w->offer[0], 4, 1, &ch), 0);
	assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(guest_open(w->g, &offer, 4, 2, &sub), 0);
	w->deaf = true;
	assert_int_equal(guest_gpadl_create(w->g, ch.id, ch.pfn, 4, &gpadl),
			 -ENOMSG);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	for (int i = 0; i < 2; i++)
		host_is_silent(HOST_BUS_LET_GO_NS);
	while (w->g->nr_inbox > 2)
		guest_take(w->g, &(struct guest_message){ 0 });
	host_world_hear(w);
	assert_int_equal(w->g->server->nr_busy, 0);
	guest_channel_free(&ch);
	guest_channel_free(&sub);
	host_world_end(w);
}

static void test_sockets(void **state)
{
	struct vmbus_tl_connect_request_silo request = { .request = {
		.endpoint = { { 0xe0 } },
		.service = { { 0x5e } },
	} };
	struct vmbus_tl_connect_result result;

	(void)state;
	begin(0);
	guest_post(w->g, VMBUS_TL_CONNECT_REQUEST, &request, sizeof(request));
	assert_int_equal(guest_expect(w->g, VMBUS_TL_CONNECT_RESULT, &result,
				      sizeof(result)), 0);
	assert_int_equal(le32_to_cpu(result.status),
			 VMBUS_STATUS_CONNECTION_REFUSED);
	assert_memory_equal(&result.endpoint, &request.request.endpoint, 16);
	/* It was the host who refused. */
	assert_int_equal(w->host->count.messages_in, 3);
	host_world_end(w);
}

/* A device that comes later, while the guest is there or not. */
static void test_hot(void **state)
{
	struct vmbus_offer_channel offer;
	struct echo c = echo_device(3);

	(void)state;
	begin(0);
	host_world_offer(w, &c);
	assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(le32_to_cpu(offer.channel), 3);
	host_world_revoke(w, &w->a);
	expect_rescind(w->g, 1);
	guest_release(w->g, 1);
	assert_int_equal(guest_unload(w->g), 0);
	host_world_offer(w, &w->a);
	host_world_connect(w, VMBUS_VERSION_IRON, 0);
	assert_int_equal(w->nr_offers, 3);
	assert_memory_equal(&w->offer[0].instance, &w->a.dev.instance, 16);
	assert_memory_equal(&w->offer[2].instance, &c.dev.instance, 16);
	host_world_revoke(w, &c);
	host_world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_reopen_and_modify),
		cmocka_unit_test(test_teardown_waits),
		cmocka_unit_test(test_wrong_gpadl),
		cmocka_unit_test(test_wrong_messages),
		cmocka_unit_test(test_rescind_at_every_step),
		cmocka_unit_test(test_rescind_at_every_step_of_the_end),
		cmocka_unit_test(test_reset_at_every_step),
		cmocka_unit_test(test_unload_and_reconnect),
		cmocka_unit_test(test_unload_waits_for_host),
		cmocka_unit_test(test_host_never_answers_unload),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_intercepted),
		cmocka_unit_test(test_our_own_wins),
		cmocka_unit_test(test_subchannels),
		cmocka_unit_test(test_lost_with_subchannel),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_hot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
