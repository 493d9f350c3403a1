/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * Channels of the VMBus server: GPADLs, open, signals, close.
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

static void ring_is_untouched_before_open(void **state)
{
	uint64_t pfn[6], before;
	uint8_t dirty[4096];
	uint32_t gpadl;
	struct world w;

	(void)state;
	before = violation_count();
	world_begin(&w, VMBUS_VERSION_COPPER);
	guest_pages(w.g, pfn, 6);
	memset(dirty, 0xaa, sizeof(dirty));
	for (unsigned int i = 0; i < 6; i++)
		memset(guest_page(w.g, pfn[i]), 0xaa, 4096);
	assert_int_equal(guest_gpadl_create(w.g, 1, pfn, 6, &gpadl), 0);
	assert_int_equal(w.g->memory.holds, 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_memory_equal(guest_page(w.g, pfn[i]), dirty, 4096);
	assert_int_equal(guest_gpadl_teardown(w.g, 1, gpadl), 0);
	assert_int_equal(violation_count(), before);
	world_end(&w);
}

static void big_gpadls(void **state)
{
	uint64_t *pfn = calloc(8190, sizeof(*pfn));
	static const uint32_t pages[] = { 256, 7936, 3840 };
	uint32_t gpadl[3];
	struct world w;

	(void)state;
	assert_non_null(pfn);
	for (unsigned int i = 0; i < 8190; i++)
		pfn[i] = i % RAM_PAGES;
	world_begin(&w, VMBUS_VERSION_COPPER);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(guest_gpadl_create(w.g, 1, pfn,
					 pages[i], &gpadl[i]), 0);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(guest_gpadl_teardown(w.g, 1,
							      gpadl[i]), 0);
	}
	assert_int_equal(guest_gpadl_create(w.g, 1, pfn, 8190, gpadl), 0);
	pfn[8189] = RAM_PAGES;
	assert_int_equal(guest_gpadl_create(w.g, 1, pfn, 8190, gpadl),
			 -EPROTO);
	free(pfn);
	world_end(&w);
}

static void teardown_waits_for_the_device(void **state)
{
	struct vmbus_gpadl_torndown torndown;
	struct guest_channel ch;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 3, 0, &ch), 0);
	w.a.slow = true;
	/* Back to back, as Linux does. */
	assert_int_equal(guest_close(&ch), 0);
	assert_int_equal(guest_gpadl_teardown(w.g, ch.id, ch.gpadl), -ENOMSG);
	assert_int_equal(w.g->memory.holds, 12); /* theirs and ours */
	echo_let_go(&w.a);
	assert_int_equal(guest_expect(w.g, VMBUS_GPADL_TORNDOWN, &torndown,
				      sizeof(torndown)), 0);
	assert_int_equal(le32_to_cpu(torndown.gpadl), ch.gpadl);
	assert_int_equal(w.g->memory.holds, 6);
	expect_nothing(w.g);
	guest_channel_free(&ch);
	world_end(&w);
}

static void post_open(struct guest_channel *ch, uint32_t gpadl, uint32_t vp,
		      uint32_t split)
{
	struct vmbus_open_channel open = {
		.channel = cpu_to_le32(ch->id),
		.open_id = cpu_to_le32(55),
		.gpadl = cpu_to_le32(gpadl),
		.vp = cpu_to_le32(vp),
		.downstream_page = cpu_to_le32(split),
		.user_data = { 1, 2, 3 },
	};

	assert_int_equal(guest_post(ch->g, VMBUS_OPEN_CHANNEL, &open,
				    sizeof(open)), 0);
}

static uint32_t open_status(struct guest_driver *g)
{
	struct vmbus_open_result result;

	assert_int_equal(guest_expect(g, VMBUS_OPEN_RESULT, &result,
				      sizeof(result)), 0);
	assert_int_equal(le32_to_cpu(result.open_id), 55);
	return le32_to_cpu(result.status);
}

static void V_16_open_while_closing_waits(void **state)
{
	struct guest_channel ch;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	expect_echo(&ch, 1);
	w.a.slow = true;
	assert_int_equal(guest_close(&ch), 0);
	post_open(&ch, ch.gpadl, 2, 2);
	expect_nothing(w.g);
	assert_int_equal(w.a.opened, 1);
	echo_let_go(&w.a);
	assert_int_equal(open_status(w.g), 0);
	assert_int_equal(w.a.opened, 2);
	assert_int_equal(w.a.last_opened->vp, 2);
	assert_int_equal(w.a.last_opened->open_user_data[2], 3);
	expect_echo(&ch, 2);
	w.a.slow = false;
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

/* The device is slow to open, and something else happens meanwhile: until the
 * test drains, open() has not been called. */
static void open_in_progress_is_abandoned(void **state)
{
	struct guest_channel ch;
	struct vmbus_header unload, complete;
	uint32_t gpadl;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	assert_int_equal(guest_close(&ch), 0);
	gpadl = ch.gpadl;
	/* Revoked: RESCIND is all the guest gets. */
	w.g->manual = true;
	post_open(&ch, gpadl, 1, 2);
	assert_true(reactor_inline_step()); /* the message */
	vmbus_revoke(&w.a.dev);
	reactor_inline_drain();
	assert_int_equal(w.a.opened, 2);
	assert_int_equal(w.a.closed, 2);
	expect_rescind(w.g, 1);
	expect_nothing(w.g);
	w.g->manual = false;
	assert_int_equal(guest_release(w.g, 1), 0);
	guest_channel_free(&ch);
	/* Unloaded, and the device fails to open in the end. */
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &ch), 0);
	assert_int_equal(guest_close(&ch), 0);
	w.g->manual = true;
	w.b.open_error = -EIO;
	post_open(&ch, ch.gpadl, 1, 2);
	assert_true(reactor_inline_step());
	guest_post(w.g, VMBUS_UNLOAD, &unload, sizeof(unload));
	reactor_inline_drain();
	assert_int_equal(guest_expect(w.g, VMBUS_UNLOAD_COMPLETE, &complete,
				      sizeof(complete)), 0);
	expect_nothing(w.g);
	guest_channel_free(&ch);
	assert_int_equal(w.g->memory.holds, 0);
	world_end(&w);
}

/* A signal is on its way to the reactor of VP 3 while the channel closes and
 * opens on VP 2. */
static void late_signals_find_the_new_reactor(void **state)
{
	struct guest_channel ch;
	unsigned int ran;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 3, &ch), 0);
	w.g->manual = true;
	assert_int_equal(guest_close(&ch), 0);
	while (w.a.closed == 0)
		assert_true(reactor_inline_step());
	reactor_inline_drain();
	post_open(&ch, ch.gpadl, 3, 2);
	reactor_inline_drain();
	assert_int_equal(open_status(w.g), 0);
	ran = w.a.ran;
	/* echo_run() asserts that it is on its channel's reactor. */
	assert_int_equal(guest_signal(&ch), 0);
	guest_close(&ch);
	post_open(&ch, ch.gpadl, 2, 2);
	reactor_inline_drain();
	assert_int_equal(open_status(w.g), 0);
	assert_in_range(w.a.ran, ran + 1, ran + 3);
	w.g->manual = false;
	expect_echo(&ch, 1);
	assert_int_equal(w.g->signal_vp, 2);
	guest_shut(&ch);
	world_end(&w);
}

static void wrong_opens_fail(void **state)
{
	struct guest_channel ch = { 0 }, other;
	uint64_t pfn[6], before;
	uint32_t gpadl, split_at;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	ch.g = w.g;
	ch.id = 1;
	guest_pages(w.g, pfn, 6);
	assert_int_equal(guest_gpadl_create(w.g, 1, pfn, 6, &gpadl), 0);
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &other), 0);

	before = violation_count();
	post_open(&ch, other.gpadl, 0, 2); /* of another channel */
	assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	post_open(&ch, gpadl + 100, 0, 2);
	assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	post_open(&ch, gpadl, 4, 2); /* there are 4 VPs */
	assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	for (split_at = 0; split_at <= 8; split_at++) {
		if (split_at >= 2 && split_at <= 4)
			continue;
		post_open(&ch, gpadl, 0, split_at);
		assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	}
	memset(guest_page(w.g, pfn[0]), 0xff, 8); /* indexes */
	post_open(&ch, gpadl, 0, 3);
	assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	memset(guest_page(w.g, pfn[0]), 0, 8);
	assert_int_equal(violation_count(), before + 10);

	w.a.open_error = -ENOMEM; /* no fault of the guest */
	post_open(&ch, gpadl, 0, 3);
	assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(w.g->memory.holds, 8);
	w.a.open_error = 0;
	assert_int_equal(w.a.opened, 0);

	post_open(&ch, gpadl, 0, 3);
	assert_int_equal(open_status(w.g), 0);
	post_open(&ch, gpadl, 0, 3); /* twice */
	assert_int_equal(open_status(w.g), VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(violation_count(), before + 11);
	assert_int_equal(w.a.opened, 1);
	expect_echo(&other, 1);
	guest_shut(&other);
	world_end(&w);
}

static void V_18_interrupts_follow_modify(void **state)
{
	static const uint32_t versions[] = { VMBUS_VERSION_WIN10_RS5,
					     VMBUS_VERSION_IRON };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct vmbus_modify_channel_response response;
		struct vmbus_modify_channel modify = {
			.channel = cpu_to_le32(1),
			.vp = cpu_to_le32(2),
		};
		struct guest_channel ch;
		struct world w;

		world_begin(&w, versions[i]);
		assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
		expect_echo(&ch, 1);
		assert_int_equal(w.g->signal_vp, 0);
		guest_post(w.g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
		if (i)
			assert_int_equal(guest_expect(w.g,
				VMBUS_MODIFY_CHANNEL_RESPONSE, &response,
				sizeof(response)), 0);
		expect_nothing(w.g);
		expect_echo(&ch, 2);
		assert_int_equal(w.g->signal_vp, 2);
		modify.vp = cpu_to_le32(4);
		guest_post(w.g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
		if (i) {
			assert_int_equal(guest_expect(w.g,
				VMBUS_MODIFY_CHANNEL_RESPONSE, &response,
				sizeof(response)), 0);
			assert_int_not_equal(le32_to_cpu(response.status), 0);
		}
		expect_nothing(w.g);
		guest_shut(&ch);
		modify.vp = cpu_to_le32(0);
		guest_post(w.g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
		assert_int_equal(w.g->nr_inbox, i); /* failed, too */
		world_end(&w);
	}
}

/* When a client is told, its old VP may go offline: nobody is about to
 * interrupt it any more. */
static void modify_is_answered_by_the_channels_reactor(void **state)
{
	struct vmbus_modify_channel modify = {
		.channel = cpu_to_le32(1),
		.vp = cpu_to_le32(2),
	};
	struct vmbus_modify_channel_response response;
	uint64_t before = violation_count();
	struct guest_channel ch;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_IRON);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 1, &ch), 0);
	w.g->manual = true;
	guest_post(w.g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
	assert_true(reactor_inline_step()); /* the server's */
	expect_nothing(w.g);
	/* One that comes before the answer is one too many. */
	guest_post(w.g, VMBUS_MODIFY_CHANNEL, &modify, sizeof(modify));
	assert_true(reactor_inline_step()); /* the channel's */
	expect_nothing(w.g);
	reactor_inline_drain();
	w.g->manual = false;
	expect_violation(before, "vmbus.modify.busy");
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(guest_expect(w.g,
					      VMBUS_MODIFY_CHANNEL_RESPONSE,
					      &response, sizeof(response)), 0);
		assert_int_equal(!le32_to_cpu(response.status), i);
	}
	expect_echo(&ch, 1);
	assert_int_equal(w.g->signal_vp, 2);
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

static void signals_find_their_channel(void **state)
{
	struct guest_channel ch;
	struct vmbus_server *server;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	server = w.g->server;
	assert_int_equal(vmbus_server_signal(server, 0x2001, 0), -ENOENT);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &ch), 0);
	assert_int_equal(vmbus_server_signal(server, 0x2001, 0), 0);
	assert_int_equal(vmbus_server_signal(server, 0x2001, 1), -EINVAL);
	assert_int_equal(vmbus_server_signal(server, 0x2002, 0), -ENOENT);
	assert_int_equal(vmbus_server_signal(server, 0x3001, 0), -ENOENT);
	assert_int_equal(vmbus_server_signal(server, 0x12001, 0), -ENOENT);
	assert_int_equal(vmbus_server_signal(server, 0x2fff, 0), -ENOENT);
	assert_int_equal(vmbus_server_signal(server, 0x2000, 0), -ENOENT);
	assert_int_equal(vmbus_server_signal(server, UINT32_MAX, 0), -ENOENT);
	reactor_inline_drain();
	/* A signal that is on its way when the channel closes. */
	w.g->manual = true;
	assert_int_equal(vmbus_server_signal(server, 0x2001, 0), 0);
	guest_close(&ch);
	reactor_inline_drain();
	w.g->manual = false;
	assert_int_equal(vmbus_server_signal(server, 0x2001, 0), -ENOENT);
	assert_int_equal(guest_gpadl_teardown(w.g, ch.id, ch.gpadl), 0);
	guest_channel_free(&ch);
	world_end(&w);
}

static void client_is_kicked_after_open(void **state)
{
	struct guest_channel ch;
	struct world w;
	uint64_t before;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 3, &ch), 0);
	before = w.g->signals;
	reactor_inline_advance(99 * MS);
	assert_int_equal(w.g->signals, before);
	reactor_inline_advance(2 * MS);
	assert_int_equal(w.g->signals, before + 1);
	assert_int_equal(w.g->signal_vp, 3);
	reactor_inline_advance(1000 * MS);
	assert_int_equal(w.g->signals, before + 1);
	assert_int_equal(guest_shut(&ch), 0);
	/* Closed in time: nothing. */
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 3, &ch), 0);
	assert_int_equal(guest_shut(&ch), 0);
	reactor_inline_advance(1000 * MS);
	assert_int_equal(w.g->signals, before + 1);
	/* Who wants no interrupts gets none, but is served. */
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, VMBUS_NO_VP, &ch), 0);
	expect_echo(&ch, 3);
	reactor_inline_advance(1000 * MS);
	assert_int_equal(w.g->signals, before + 1);
	assert_int_equal(guest_shut(&ch), 0);
	world_end(&w);
}

static void broken_channel_stops_alone(void **state)
{
	struct guest_channel bad, good, again;
	uint64_t before = violation_count();
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &bad), 0);
	assert_int_equal(guest_open(w.g, &w.offer[1], 2, 0, &good), 0);
	/* An index that is none, in the ring to the server. */
	memset(guest_page(w.g, bad.pfn[0]), 0xff, 4);
	assert_int_equal(guest_signal(&bad), 0);
	expect_violation(before, "ring.index.range");
	assert_int_equal(w.a.closed, 1);
	expect_nothing(w.g);
	assert_int_equal(guest_signal(&bad), -ENOENT);
	expect_echo(&good, 1);
	/* It is still open for the guest, who may close it, and open again. */
	assert_int_equal(guest_shut(&bad), 0);
	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(guest_open(w.g, &w.offer[0], 2, 0, &again), 0);
	expect_echo(&again, 2);
	/* The same for the device's own protocol; CLOSE comes during close. */
	w.a.touchy = w.a.slow = true;
	assert_int_equal(guest_send(&again, 6, 0, 0, NULL, 0, NULL, 0), 0);
	expect_violation(before + 1, "packet not empty");
	assert_int_equal(guest_close(&again), 0);
	echo_let_go(&w.a);
	assert_int_equal(guest_gpadl_teardown(w.g, again.id, again.gpadl), 0);
	assert_int_equal(violation_count(), before + 2);
	guest_channel_free(&again);
	guest_shut(&good);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_is_untouched_before_open),
		cmocka_unit_test(big_gpadls),
		cmocka_unit_test(teardown_waits_for_the_device),
		cmocka_unit_test(V_16_open_while_closing_waits),
		cmocka_unit_test(open_in_progress_is_abandoned),
		cmocka_unit_test(late_signals_find_the_new_reactor),
		cmocka_unit_test(wrong_opens_fail),
		cmocka_unit_test(V_18_interrupts_follow_modify),
		cmocka_unit_test(modify_is_answered_by_the_channels_reactor),
		cmocka_unit_test(signals_find_their_channel),
		cmocka_unit_test(client_is_kicked_after_open),
		cmocka_unit_test(broken_channel_stops_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
