/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/reactor_inline.c */
/*
 * A channel that leaves its client masked: what a guest of a fixed depth costs
 * in looks, signals and submissions, and that nothing it sends meanwhile stays
 * unseen, whatever comes in between.
 *
 * The disk is near: what it has ends, LATENCY later, before the guest goes on,
 * which takes GAP for each request it sends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/ring_reg.h"
#include "relay/storvsp_channel.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

#define GAP 5000ull
#define LATENCY 1000000ull
#define LONGEST 10000000ull /* of any hold */

struct guest {
	struct machine m;
	struct storvsp_channel *ch;
	struct page_list list;
	struct vstor_packet packet;
	uint64_t sent, ended, signals;
};

static void begin(struct guest *g)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	uint64_t pfn;

	memset(g, 0, sizeof(*g));
	machine_create(&g->m, 64, 0, 33);
	negotiate(&g->m);
	g->ch = g->m.storvsp->channel[0];
	guest_pages(g->m.g, &pfn, 1);
	g->list = page_list(0, 4096, &pfn, 1);
	g->packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	hold_requests(&g->m);
}

/* Puts one into the ring; does the ring want a signal? It gets it. */
static bool push(struct guest *g)
{
	assert_int_equal(ring_write(&g->m.ch.ring, RING_PACKET_GPA_DIRECT,
				    RING_FLAG_COMPLETION_REQUESTED, ++g->sent,
				    g->list.bytes, g->list.size, &g->packet,
				    PACKET), 0);
	if (!ring_write_end(&g->m.ch.ring))
		return false;
	g->signals++;
	guest_signal(&g->m.ch);
	return true;
}

static void take(struct guest *g)
{
	uint64_t transaction;

	while (!receive(&g->m, &g->m.ch, &transaction)) {
		expect_srb(&g->m, VSTOR_SRB_SUCCESS, 4096);
		g->ended++;
	}
}

/* The disk ends what it has. */
static void serve(struct guest *g)
{
	if (!g->ch->in_flight)
		return;
	reactor_inline_advance(LATENCY);
	end_requests(&g->m, DISK_OK);
	hold_requests(&g->m);
	reactor_inline_drain();
	take(g);
}

/* So many requests, as many at once as `depth`. */
static void work(struct guest *g, unsigned int depth, uint64_t requests)
{
	uint64_t until = g->ended + requests, since = 0;

	while (g->ended < until) {
		uint64_t before = g->ended;

		if (g->sent - g->ended < depth)
			push(g);
		serve(g);
		reactor_inline_advance(GAP);
		serve(g);
		since = g->ended == before ? since + 1 : 0;
		assert_true(since * GAP <= LONGEST); /* it is asleep */
	}
}

/* All that is on its way ends. */
static void settle(struct guest *g)
{
	while (g->ended < g->sent) {
		reactor_inline_advance(LONGEST);
		serve(g);
	}
	/* Whoever came last is waited for once. */
	reactor_inline_advance(LONGEST);
	reactor_inline_advance(LONGEST);
}

static void finish(struct guest *g)
{
	settle(g);
	assert_int_equal(guest_shut(&g->m.ch), 0);
	machine_destroy(&g->m);
}

static void many(void **state)
{
	const struct scsi_nexus *nexus;
	struct storvsp_counters before;
	uint64_t submits, signals, interrupts;
	struct guest g;

	(void)state;
	begin(&g);
	nexus = &g.ch->nexus[0].scsi;
	work(&g, 32, 2000);
	before = g.ch->count;
	submits = nexus->count.submits;
	signals = g.signals;
	interrupts = g.m.g->signals;
	work(&g, 32, 4000);
	assert_true(g.ch->company.on);
	assert_true(g.ch->count.runs - before.runs <= 4000 / 4);
	assert_true(nexus->count.submits - submits <= 4000 / 16);
	assert_int_equal(g.signals, signals);
	assert_true(g.m.g->signals - interrupts <= 4000 / 16);
	finish(&g);
}

/* One at a time: each is signalled and seen at once, but for probes. */
static void one(void **state)
{
	struct guest g;
	uint64_t holds;

	(void)state;
	begin(&g);
	work(&g, 1, 1000);
	holds = g.ch->company.holds;
	assert_false(g.ch->company.on);
	assert_in_range(holds, 1, 1000 / 64);
	assert_true(g.signals + holds >= 1000);
	finish(&g);
}

/* Masked with nothing under way: nothing will end that could make it look. */
static void hold(struct guest *g)
{
	work(g, 32, 2000);
	for (unsigned int tries = 0; !g->ch->hold.armed || g->ch->in_flight;
	     tries++) {
		assert_true(tries < 1000);
		work(g, 32, 1);
	}
	assert_false(ring_is_signalled(&g->ch->vmbus->ring));
}

static void seen_in_time(void **state)
{
	struct guest g;
	uint64_t srbs;

	(void)state;
	begin(&g);
	hold(&g);
	srbs = g.ch->count.srbs;
	assert_false(push(&g));
	reactor_inline_drain();
	assert_int_equal(g.ch->count.srbs, srbs);
	reactor_inline_advance(LATENCY);
	assert_true(g.ch->count.srbs > srbs);
	/* The guest is away: after a while it is unmasked, and stays so. */
	settle(&g);
	assert_false(g.ch->hold.armed);
	assert_true(ring_is_signalled(&g.ch->vmbus->ring));
	assert_true(push(&g));
	finish(&g);
}

/* A slow disk does not keep what comes for longer than a pause. */
static void seen_without_end(void **state)
{
	struct guest g;

	(void)state;
	begin(&g);
	hold(&g);
	for (unsigned int i = 0; i < 40; i++) {
		uint64_t sent = g.sent;

		push(&g);
		for (unsigned int n = 0; n < 2; n++)
			reactor_inline_advance(LONGEST);
		assert_int_equal(g.ch->in_flight + g.ended, sent + 1);
	}
	finish(&g);
}

static void closes(void **state)
{
	struct guest g;
	uint64_t pfn;

	(void)state;
	begin(&g);
	hold(&g);
	push(&g);
	assert_int_equal(guest_shut(&g.m.ch), 0);
	reactor_inline_advance(LONGEST);
	assert_int_equal(guest_open(g.m.g, &g.m.offer[0], 33, 0, &g.m.ch), 0);
	release_requests(&g.m);
	negotiate(&g.m);
	guest_pages(g.m.g, &pfn, 1);
	for (unsigned int i = 0; i < 20; i++)
		transfer(&g.m, false, 0, 8, 0, &pfn);
	assert_int_equal(guest_shut(&g.m.ch), 0);
	machine_destroy(&g.m);
}

static void gone(void *opaque)
{
	*(bool *)opaque = true;
}

static void rescinded(void **state)
{
	struct vmbus_channel_message rescind;
	bool destroyed = false;
	struct guest g;

	(void)state;
	begin(&g);
	hold(&g);
	push(&g);
	storvsp_destroy(g.m.storvsp, gone, &destroyed);
	reactor_inline_drain();
	assert_true(destroyed);
	assert_int_equal(guest_expect(g.m.g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(guest_close(&g.m.ch), 0);
	assert_int_equal(guest_gpadl_teardown(g.m.g, g.m.ch.id, g.m.ch.gpadl),
			 0);
	guest_channel_free(&g.m.ch);
	release_requests(&g.m);
	for (int i = 0; i < 2; i++)
		g.m.disk[i]->ops->close(g.m.disk[i]);
	guest_driver_destroy(g.m.g);
}

/* The client is told at once, and its packets are seen as before. */
static void unit_leaves(void **state)
{
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct ring_packet packet;
	bool removed = false;
	struct guest g;

	(void)state;
	begin(&g);
	hold(&g);
	assert_int_equal(storvsp_remove_lun(g.m.storvsp, 3, gone, &removed), 0);
	reactor_inline_drain();
	assert_true(removed);
	assert_int_equal(guest_receive(&g.m.ch, bytes, &packet), 0);
	assert_int_equal(packet.type, RING_PACKET_INBAND);
	work(&g, 32, 500);
	finish(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many),
		cmocka_unit_test(one),
		cmocka_unit_test(seen_in_time),
		cmocka_unit_test(seen_without_end),
		cmocka_unit_test(closes),
		cmocka_unit_test(rescinded),
		cmocka_unit_test(unit_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
