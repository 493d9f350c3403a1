/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * Reserved channels, which outlive the connection, and devices that are taken
 * back and offered again in every state of their channel.
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

#define DUMP_VP 2
#define DUMP_SINT 5

/* A reserved channel 1. */
static void begin(struct world *w, struct guest_channel *ch)
{
	world_begin(w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 2, ch), 0);
	guest_ring_clear(ch);
	assert_int_equal(guest_open_reserved(ch, DUMP_VP, DUMP_SINT), 0);
}

static void count_done(void *opaque)
{
	++*(unsigned int *)opaque;
}

static void reserved_channels_are_polled(void **state)
{
	struct vmbus_modify_channel modify = { .channel = cpu_to_le32(1) };
	struct vmbus_modify_channel_response response;
	uint64_t before, pfn;
	struct guest_channel ch;
	uint32_t gpadl;
	struct world w;

	(void)state;
	begin(&w, &ch);
	before = w.g->signals;
	expect_echo(&ch, 1);
	reactor_inline_advance(1000 * MS);
	assert_int_equal(w.g->signals, before);
	/* What is for other channels is not for this one. */
	before = violation_count();
	assert_int_equal(guest_close(&ch), 0);
	expect_violation(before, "vmbus.close.not-open");
	guest_pages(w.g, &pfn, 1);
	assert_int_equal(guest_gpadl_create(w.g, 1, &pfn, 1, &gpadl), -EPROTO);
	expect_violation(before + 1, "vmbus.gpadl.reserved");
	guest_post(w.g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
	assert_int_equal(guest_expect(w.g, VMBUS_MODIFY_CHANNEL_RESPONSE,
				      &response, sizeof(response)), 0);
	assert_int_not_equal(le32_to_cpu(response.status), 0);
	expect_violation(before + 2, "vmbus.modify.not-open");
	assert_int_equal(guest_open_reserved(&ch, DUMP_VP, DUMP_SINT),
			 -EPROTO);
	expect_violation(before + 3, "vmbus.open.twice");
	expect_echo(&ch, 2);

	assert_int_equal(guest_close_reserved(&ch, 3, 7), 0);
	assert_int_equal(guest_close_reserved(&ch, 3, 7), 0);
	expect_violation(before + 4, "vmbus.close-reserved.not-open");
	/* Nowhere to answer to: where other messages go. */
	assert_int_equal(guest_close_reserved(&ch, 3, 16), -EBADMSG);
	w.g->nr_inbox = 0;
	assert_int_equal(guest_ring_open(&ch, 0), 0);
	expect_echo(&ch, 3);
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

static void reserved_channels_outlive_the_connection(void **state)
{
	struct guest_channel ch, other;
	struct world w;

	(void)state;
	begin(&w, &ch);
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &other), 0);
	assert_int_equal(guest_unload(w.g), 0);
	assert_int_equal(w.b.closed, 1);
	assert_int_equal(w.a.closed, 0);
	expect_echo(&ch, 1);
	assert_int_equal(guest_signal(&other), -ENOENT);
	guest_channel_free(&other);
	/* Closed without a connection, by a device that takes its time. */
	w.a.slow = true;
	assert_int_equal(guest_close_reserved(&ch, DUMP_VP, DUMP_SINT),
			 -ENOMSG);
	expect_nothing(w.g);
	echo_let_go(&w.a);
	assert_int_equal(w.g->nr_inbox, 1);
	assert_int_equal(w.g->inbox[0].vp, DUMP_VP);
	assert_int_equal(w.g->inbox[0].sint, DUMP_SINT);
	w.g->nr_inbox = 0;
	w.a.slow = false;
	guest_channel_free(&ch);
	assert_int_equal(w.g->memory.holds, 0);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 2);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

/* Another kernel finds it open, under its old id. */
static void reserved_channels_are_offered_again(void **state)
{
	struct guest_channel ch, late = { 0 };
	struct echo c = echo_device(0); /* the first in order */
	struct world w;

	(void)state;
	begin(&w, &ch);
	assert_int_equal(guest_unload(w.g), 0);
	assert_int_equal(vmbus_offer(w.g->server, &c.dev), 0);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_WIN10, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 3);
	assert_int_equal(le32_to_cpu(w.offer[0].channel), 2);
	assert_int_equal(le32_to_cpu(w.offer[1].channel), 1);
	expect_echo(&ch, 1);
	late = ch;
	assert_int_equal(guest_ring_open(&late, 0), -EPROTO);
	/* Its ring is the memory of both connections. */
	assert_int_equal(guest_gpadl_teardown(w.g, 1, ch.gpadl), -ENOMSG);
	assert_int_equal(guest_close_reserved(&ch, 0, VMBUS_SINT), -EBADMSG);
	w.g->nr_inbox = 0; /* TORNDOWN, and the answer */
	guest_channel_free(&ch);
	assert_int_equal(w.g->memory.holds, 0);
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &ch), 0);
	expect_echo(&ch, 2);
	assert_int_equal(guest_shut(&ch), 0);
	vmbus_revoke(&c.dev);
	world_end(&w);
}

static void reserved_channels_end_with_a_reset(void **state)
{
	struct guest_channel ch;
	unsigned int done = 0;
	struct world w;

	(void)state;
	begin(&w, &ch);
	w.a.slow = true;
	assert_int_equal(guest_unload(w.g), 0);
	vmbus_server_reset(w.g->server, count_done, &done);
	reactor_inline_drain();
	assert_int_equal(done, 0);
	echo_let_go(&w.a);
	assert_int_equal(done, 1);
	expect_nothing(w.g);
	guest_channel_free(&ch);
	assert_int_equal(w.g->memory.holds, 0);
	world_end(&w);
}

static void reserved_channels_end_with_their_device(void **state)
{
	struct guest_channel ch;
	struct world w;

	(void)state;
	/* Connected. */
	begin(&w, &ch);
	vmbus_revoke(&w.a.dev);
	reactor_inline_drain();
	expect_rescind(w.g, 1);
	assert_int_equal(guest_close_reserved(&ch, DUMP_VP, DUMP_SINT), 0);
	assert_int_equal(guest_release(w.g, 1), 0);
	guest_channel_free(&ch);
	world_end(&w);
	/* Not: nobody will release the id. */
	begin(&w, &ch);
	assert_int_equal(guest_unload(w.g), 0);
	vmbus_revoke(&w.a.dev);
	reactor_inline_drain();
	assert_int_equal(w.a.revoked, 1);
	expect_nothing(w.g);
	guest_channel_free(&ch);
	assert_int_equal(w.g->memory.holds, 0);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_COPPER, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 1);
	assert_int_equal(le32_to_cpu(w.offer[0].channel), 1);
	world_end(&w);
	/* For a violation: the client closes what is stopped. */
	begin(&w, &ch);
	memset(guest_page(w.g, ch.pfn[0]), 0xff, 4);
	assert_int_equal(guest_signal(&ch), 0);
	assert_int_equal(guest_signal(&ch), -ENOENT);
	assert_int_equal(guest_close_reserved(&ch, DUMP_VP, DUMP_SINT), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, ch.gpadl), 0);
	guest_channel_free(&ch);
	world_end(&w);
}

/* A reserved sub-channel is not kept open beyond its primary, which waits for
 * it: there are never two of one index. */
static void reserved_subchannels_end_with_their_primary(void **state)
{
	struct vmbus_offer_channel offer;
	struct guest_channel ch, sub;
	struct vmbus_header message;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	w.a.dev.max_subchannels = w.a.subchannels = 1;
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(guest_ring_create(w.g, &offer, 2, &sub), 0);
	guest_ring_clear(&sub);
	assert_int_equal(guest_open_reserved(&sub, DUMP_VP, DUMP_SINT), 0);
	w.a.slow = true;
	assert_int_equal(guest_unload(w.g), -ENOMSG);
	assert_int_equal(w.a.nr_closing, 2);
	/* The primary's device lets go first. */
	for (unsigned int i = 0; i < 2; i++)
		if (!w.a.closing[i]->sub_index)
			vmbus_channel_closed(w.a.closing[i]);
		else
			w.a.closing[0] = w.a.closing[i];
	w.a.nr_closing = 1;
	reactor_inline_drain();
	expect_nothing(w.g);
	echo_let_go(&w.a);
	assert_int_equal(guest_expect(w.g, VMBUS_UNLOAD_COMPLETE, &message,
				      sizeof(message)), 0);
	guest_channel_free(&ch);
	guest_channel_free(&sub);
	assert_int_equal(w.g->memory.holds, 0);
	world_end(&w);
}

/* CLOSE_RESERVED while the device is being asked to open. */
static void reserved_channels_close_while_opening(void **state)
{
	struct guest_channel ch;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_ring_create(w.g, &w.offer[0], 2, &ch), 0);
	guest_ring_clear(&ch);
	w.g->manual = true;
	assert_int_equal(guest_open_reserved(&ch, DUMP_VP, DUMP_SINT),
			 -ENOMSG);
	assert_int_equal(guest_close_reserved(&ch, DUMP_VP, DUMP_SINT),
			 -ENOMSG);
	reactor_inline_drain();
	w.g->manual = false;
	assert_int_equal(w.g->nr_inbox, 1); /* CLOSE_RESERVED_RESPONSE */
	assert_int_equal(w.g->inbox[0].payload[0],
			 VMBUS_CLOSE_RESERVED_RESPONSE);
	w.g->nr_inbox = 0;
	assert_int_equal(w.a.opened, w.a.closed);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, ch.gpadl), 0);
	guest_channel_free(&ch);
	world_end(&w);
}

/* Taken back, and offered again. */

enum reached { NOT_OFFERED, CLOSED, OPENING, OPEN, CLOSING, REOPENING, STOPPED,
	       RESERVED, RELEASED, PAUSED, NR_REACHED };

/* Brings channel 1 there; the reactors may have work left. */
static void reach(struct world *w, enum reached there, struct guest_channel *ch)
{
	struct vmbus_header message;

	assert_int_equal(guest_contact(w->g, VMBUS_VERSION_COPPER, 0,
				       VMBUS_FEATURE_PAUSE_RESUME), 0);
	*ch = (struct guest_channel){ .g = w->g, .id = 1 };
	if (there == NOT_OFFERED)
		return;
	world_request_offers(w);
	if (there == RELEASED)
		guest_release(w->g, 1);
	if (there == CLOSED || there == RELEASED)
		return;
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 2, ch), 0);
	guest_ring_clear(ch);
	w->g->manual = there == OPENING;
	if (there == RESERVED)
		assert_int_equal(guest_open_reserved(ch, 0, VMBUS_SINT), 0);
	else if (there == OPENING)
		assert_int_equal(guest_post_open(ch, 0), 0);
	else
		assert_int_equal(guest_ring_open(ch, 0), 0);
	switch (there) {
	case OPENING:
		assert_true(reactor_inline_step());
		break;
	case CLOSING:
	case REOPENING:
		w->a.slow = true;
		assert_int_equal(guest_close(ch), 0);
		if (there == REOPENING)
			assert_int_equal(guest_post_open(ch, 0), 0);
		break;
	case STOPPED:
		memset(guest_page(w->g, ch->pfn[0]), 0xff, 4);
		assert_int_equal(guest_signal(ch), 0);
		break;
	case PAUSED:
		assert_int_equal(guest_post(w->g, VMBUS_PAUSE, &message,
					    sizeof(message)), 0);
		w->g->nr_inbox = 0;
		break;
	default:
		break;
	}
}

static void rescind_and_offer_in_every_state(void **state)
{
	(void)state;
	for (enum reached there = 0; there < NR_REACHED; there++) {
		bool known = there != NOT_OFFERED && there != RELEASED;
		struct vmbus_offer_channel offer;
		struct vmbus_header resume;
		struct guest_channel ch;
		struct world w;

		print_message("state %d\n", there);
		world_begin(&w, VMBUS_VERSION_COPPER);
		reach(&w, there, &ch);
		vmbus_revoke(&w.a.dev);
		reactor_inline_drain();
		w.g->manual = false;
		if (w.a.slow) {
			expect_nothing(w.g);
			assert_int_equal(w.a.revoked, 0);
			w.a.slow = false;
			echo_let_go(&w.a);
		}
		assert_int_equal(w.a.revoked, 1);
		assert_int_equal(w.a.opened, w.a.closed);
		assert_int_equal(vmbus_offer(w.g->server, &w.a.dev), 0);
		if (there == PAUSED) {
			expect_nothing(w.g);
			guest_post(w.g, VMBUS_RESUME, &resume, sizeof(resume));
		}
		if (known) {
			/* Once, and no offer of what is still there. */
			expect_rescind(w.g, 1);
			expect_nothing(w.g);
			if (ch.gpadl)
				assert_int_equal(guest_gpadl_teardown(w.g, 1,
						 ch.gpadl), 0);
			assert_int_equal(guest_release(w.g, 1), 0);
		}
		if (there == NOT_OFFERED) {
			expect_nothing(w.g);
			world_request_offers(&w);
			offer = w.offer[0];
		} else {
			assert_int_equal(guest_expect(w.g, VMBUS_OFFER_CHANNEL,
						      &offer, sizeof(offer)),
					 0);
		}
		assert_int_equal(le32_to_cpu(offer.channel), 1);
		expect_nothing(w.g);
		guest_channel_free(&ch);
		assert_int_equal(w.g->memory.holds, 0);
		assert_int_equal(guest_open(w.g, &offer, 2, 0, &ch), 0);
		expect_echo(&ch, there);
		assert_int_equal(guest_shut(&ch), 0);
		w.a.revoked = 0;
		world_end(&w);
	}
}

/* The client goes without releasing; the next one sees the device. */
static void an_awaited_release_may_never_come(void **state)
{
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	vmbus_revoke(&w.a.dev);
	expect_rescind(w.g, 1);
	assert_int_equal(vmbus_offer(w.g->server, &w.a.dev), 0);
	expect_nothing(w.g);
	/* Taken back while it waits: nobody knew of it. */
	vmbus_revoke(&w.a.dev);
	expect_nothing(w.g);
	assert_int_equal(w.a.revoked, 2);
	assert_int_equal(vmbus_offer(w.g->server, &w.a.dev), 0);
	assert_int_equal(guest_contact(w.g, VMBUS_VERSION_IRON, 0, 0), 0);
	world_request_offers(&w);
	assert_int_equal(w.nr_offers, 2);
	w.a.revoked = 0;
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserved_channels_are_polled),
		cmocka_unit_test(reserved_channels_outlive_the_connection),
		cmocka_unit_test(reserved_channels_are_offered_again),
		cmocka_unit_test(reserved_channels_end_with_a_reset),
		cmocka_unit_test(reserved_channels_end_with_their_device),
		cmocka_unit_test(reserved_subchannels_end_with_their_primary),
		cmocka_unit_test(reserved_channels_close_while_opening),
		cmocka_unit_test(rescind_and_offer_in_every_state),
		cmocka_unit_test(an_awaited_release_may_never_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
