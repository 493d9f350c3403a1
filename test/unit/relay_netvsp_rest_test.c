/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * A guest that sends bursts is left masked for a while: what it sends then goes
 * out together, and in time; and one that sends a frame now and then is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/netvsp_state.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

#define US 1000ull
#define SERVICE (20 * US) /* of a frame, at the backend */
#define HELD SERVICE /* at most */
#define BURST 32u

static uint8_t bytes[2048];
static uint32_t size;

static struct netvsp_channel *channel(struct nic_machine *m)
{
	return m->netvsp->channel[0];
}

static const struct netvsp_counters *counted(struct nic_machine *m)
{
	return &channel(m)->count;
}

/* What the backend was told. */
static struct nic_ops with_rest;
static const struct nic_ops *without;
static bool rests;

static void note_rest(struct nic_queue *queue, bool now)
{
	assert_true(queue != NULL);
	rests = now;
}

/* The last frames that it was given. */
static uint32_t late_ns[BURST];
static unsigned int nr_late;

static unsigned int note_tx(struct nic_queue *queue,
			    const struct nic_frame *frames, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		late_ns[nr_late++ % BURST] = frames[i].late_ns;
	return without->tx(queue, frames, nr);
}

static uint32_t last_late(void)
{
	return late_ns[(nr_late - 1) % BURST];
}

static void up(struct nic_machine *m)
{
	uint8_t frame[100];

	nic_fill(frame, sizeof(frame), 7);
	size = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	nic_create(m, 1, 1, 0, NIC_RING_PAGES);
	without = m->nic->ops;
	with_rest = *without;
	with_rest.rest = note_rest;
	with_rest.tx = note_tx;
	m->nic->ops = &with_rest;
	rests = false;
	nr_late = 0;
	nic_up(m, NVS_VERSION_61, 0);
}

static void put_down(struct nic_machine *m)
{
	nic_let_go(m);
	nic_shut(m);
	nic_destroy(m);
}

/* A frame, which is signalled if the ring asks for it. */
static void send(struct nic_machine *m)
{
	nic_send_section(m, 0, 0, bytes, size);
}

/* What was given to the backend takes its time there. */
static void serve(struct nic_machine *m)
{
	reactor_inline_advance(SERVICE);
	nic_let_go(m);
	nic_pump(m, 0);
	m->nr_completions = m->nr_frames = 0;
	nic_hold(m, false, false, true);
}

static bool is_held(struct nic_machine *m)
{
	bool armed = channel(m)->rest.hold.armed;

	assert_int_equal(armed, rests);
	return armed;
}

/* All of it, until nobody is held. */
static void settle(struct nic_machine *m)
{
	for (unsigned int i = 0; i < 20 * HELD / US; i++) {
		if (nic_held_frames())
			serve(m);
		else if (is_held(m))
			reactor_inline_advance(US);
	}
	assert_int_equal(nic_held_frames(), 0);
	assert_false(is_held(m));
}

/* One frame at a time, until a probe comes. */
static void until_probe(struct nic_machine *m)
{
	nic_hold(m, false, false, true);
	for (unsigned int i = 0; i < 40; i++) {
		send(m);
		/* However it goes on, this one left. */
		assert_int_equal(nic_held_frames(), 1);
		if (is_held(m))
			return;
		serve(m);
	}
	fail();
}

/* The guest is known to send bursts. */
static void busy(struct nic_machine *m)
{
	until_probe(m);
	for (unsigned int i = 0; i < 8; i++)
		send(m);
	assert_int_equal(nic_held_frames(), 1);
	settle(m);
	assert_true(channel(m)->rest.company.on);
	assert_int_equal(channel(m)->tx.in_flight, 0);
}

/* One signal for all of them: one look, one batch. */
static void a_burst_is_a_batch(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.section = cpu_to_le32(0),
	};
	struct nic_machine m;
	uint64_t runs, batches;

	(void)state;
	up(&m);
	nic_hold(&m, false, false, true);
	send(&m);
	serve(&m);
	message.rndis.section_size = cpu_to_le32(size);
	runs = counted(&m)->runs;
	batches = counted(&m)->tx_batches;
	for (uint64_t i = 0; i < BURST; i++)
		assert_int_equal(ring_write(&m.ch[0].ring, RING_PACKET_INBAND,
				 RING_FLAG_COMPLETION_REQUESTED, 1000 + i, NULL,
				 0, &message, m.message_size), 0);
	assert_true(ring_write_end(&m.ch[0].ring));
	guest_signal(&m.ch[0]);
	assert_int_equal(nic_held_frames(), BURST);
	assert_int_equal(counted(&m)->runs, runs + 1);
	assert_int_equal(counted(&m)->tx_batches, batches + 1);
	put_down(&m);
}

/* No later than it takes them, and only of frames that nobody waits for. */
static void ends_may_be_late(void **state)
{
	struct nic_machine m;

	(void)state;
	up(&m);
	nic_hold(&m, false, false, true);
	send(&m);
	/* How long one takes is not known. */
	assert_int_equal(nr_late, 1);
	assert_int_equal(last_late(), 0);
	serve(&m);
	send(&m);
	assert_int_equal(last_late(), SERVICE);
	serve(&m);
	nic_send_pages(&m, 0, bytes, size, 0, 0);
	assert_int_equal(last_late(), 0);
	serve(&m);
	/* With many under way the next may have to wait for one of them. */
	while (nic_held_frames() < 64) {
		send(&m);
		reactor_inline_advance(HELD);
	}
	send(&m);
	reactor_inline_advance(HELD);
	assert_int_equal(last_late(), 0);
	put_down(&m);
}

/* Signalled each by itself, they go out as the first and the others. */
static void a_burst_is_held(void **state)
{
	struct nic_machine m;
	uint64_t runs, batches;

	(void)state;
	up(&m);
	busy(&m);
	runs = counted(&m)->runs;
	batches = counted(&m)->tx_batches;
	for (unsigned int i = 0; i < BURST; i++)
		send(&m);
	assert_int_equal(nic_held_frames(), 1);
	assert_true(is_held(&m));
	/* Completions meanwhile do not end it. */
	nic_let_go(&m);
	nic_hold(&m, false, false, true);
	assert_int_equal(nic_held_frames(), 0);
	/* Nothing but time, and no more of it than it may take. */
	reactor_inline_advance(HELD);
	assert_int_equal(nic_held_frames(), BURST - 1);
	assert_int_equal(counted(&m)->runs, runs + 2);
	assert_int_equal(counted(&m)->tx_batches, batches + 2);
	put_down(&m);
}

/* Who sends a frame at a time has it sent at once, and is not waited for but by
 * a probe in many; after a busy time, too. */
static void one_goes_at_once(void **state)
{
	struct nic_machine m;
	uint64_t probes = 0;

	(void)state;
	up(&m);
	busy(&m);
	for (unsigned int i = 0; i < 1000; i++) {
		unsigned int before = nic_held_frames();

		send(&m);
		assert_true(nic_held_frames() == before + 1 || is_held(&m));
		if (i == 200)
			probes = channel(&m)->rest.company.holds;
		serve(&m);
	}
	probes = channel(&m)->rest.company.holds - probes;
	assert_false(channel(&m)->rest.company.on);
	assert_in_range(probes, 1, 800 / 64);
	put_down(&m);
}

/* A backend that takes no time is not waited for. */
static void a_fast_one_is_not_held(void **state)
{
	struct nic_machine m;

	(void)state;
	up(&m);
	for (unsigned int i = 0; i < 500; i++) {
		nic_round_trip(&m, 0, 100);
		assert_false(is_held(&m));
	}
	put_down(&m);
}

/* The end of everything may come in a hold. */

static void held(struct nic_machine *m)
{
	up(m);
	busy(m);
	for (unsigned int i = 0; i < 6; i++)
		send(m);
	assert_true(is_held(m));
}

static void a_hold_and_a_close(void **state)
{
	struct nic_machine m;

	(void)state;
	held(&m);
	nic_let_go(&m);
	nic_shut(&m);
	assert_false(is_held(&m));
	reactor_inline_advance(HELD);
	/* Anew: it knows nothing of before. */
	assert_int_equal(guest_open(m.g, &m.offer[0], NIC_RING_PAGES, 0,
				    &m.ch[0]), 0);
	m.nr_channels = 1;
	m.nr_completions = m.nr_frames = 0;
	nic_up(&m, NVS_VERSION_61, 0);
	nic_round_trip(&m, 0, 100);
	assert_false(channel(&m)->rest.company.on);
	put_down(&m);
}

static void destroyed(void *opaque)
{
	*(bool *)opaque = true;
}

static bool gone;

static void rescind(void *arg)
{
	netvsp_destroy(((struct nic_machine *)arg)->netvsp, destroyed, &gone);
}

static void a_hold_and_a_rescind(void **state)
{
	struct nic_machine m;

	(void)state;
	held(&m);
	nic_let_go(&m);
	assert_true(is_held(&m));
	gone = false;
	reactor_run(m.g->reactor[0], rescind, &m);
	reactor_inline_drain();
	reactor_inline_advance(HELD);
	nic_shut(&m);
	assert_true(gone);
	m.nic->ops->close(m.nic);
	assert_int_equal(m.g->memory.holds, 0);
	guest_driver_destroy(m.g);
}

/* A backend that is lost: what was put meanwhile is lost, too, and answered. */
static void a_hold_and_a_loss(void **state)
{
	struct nic_machine m;

	(void)state;
	held(&m);
	nic_let_go(&m);
	nic_event(&m, NIC_LOST);
	reactor_inline_advance(HELD);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_completions, 6);
	assert_false(is_held(&m));
	nic_event(&m, NIC_BACK);
	m.nr_completions = m.nr_frames = 0;
	nic_round_trip(&m, 0, 100);
	put_down(&m);
}

/* What comes in a hold is handed over in it. */
static void a_hold_and_a_frame(void **state)
{
	struct nic_machine m;

	(void)state;
	held(&m);
	m.nr_frames = 0;
	/* The one that left comes back, and it is completed. */
	nic_let_go(&m);
	nic_hold(&m, false, false, true);
	assert_true(is_held(&m));
	nic_pump(&m, 0);
	assert_int_equal(m.nr_completions, 1);
	put_down(&m);
}

/* The backend stops and starts, for another table: the guest is not forgotten,
 * though its ring is masked. */
static void a_hold_and_a_restart(void **state)
{
	struct nic_machine m;

	(void)state;
	held(&m);
	nic_let_go(&m);
	nic_hold(&m, false, true, false);
	nic_event(&m, NIC_LOST);
	assert_false(is_held(&m));
	/* It has not stopped yet, and still what needs no backend is done. */
	m.has_control = false;
	rndis_word(&m, OID_MAXIMUM_FRAME_SIZE);
	nic_let_go(&m);
	nic_event(&m, NIC_BACK);
	m.nr_completions = m.nr_frames = 0;
	nic_round_trip(&m, 0, 100);
	put_down(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_a_batch),
		cmocka_unit_test(ends_may_be_late),
		cmocka_unit_test(a_burst_is_held),
		cmocka_unit_test(one_goes_at_once),
		cmocka_unit_test(a_fast_one_is_not_held),
		cmocka_unit_test(a_hold_and_a_close),
		cmocka_unit_test(a_hold_and_a_rescind),
		cmocka_unit_test(a_hold_and_a_loss),
		cmocka_unit_test(a_hold_and_a_frame),
		cmocka_unit_test(a_hold_and_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
