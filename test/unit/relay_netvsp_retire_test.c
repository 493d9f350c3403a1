/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * A NIC that leaves a guest which uses it: not before its frames are completed.
 * And one that cannot come: its backend does not know it afterwards.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/nic_loopback.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

#define TENTH 100000000ull

static void noted(void *opaque)
{
	((struct nic_machine *)opaque)->destroyed = true;
}

static void retire(void *arg)
{
	struct nic_machine *m = arg;

	netvsp_retire(m->netvsp, noted, m);
}

static void begin(struct nic_machine *m)
{
	nic_create(m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(m, NVS_VERSION_61, 0);
	reactor_run(m->g->reactor[0], retire, m);
	reactor_inline_drain();
}

static uint32_t indicated(struct nic_machine *m)
{
	struct rndis_indicate indicate = { 0 };

	m->has_control = false;
	nic_pump(m, 0);
	if (m->has_control)
		memcpy(&indicate, m->control, sizeof(indicate));
	return le32_to_cpu(indicate.status);
}

static void pass(unsigned int tenths)
{
	while (tenths--)
		reactor_inline_advance(TENTH);
}

/* The guest sees it go, and lets go; nothing of it is left. */
static void end(struct nic_machine *m)
{
	struct vmbus_channel_message rescind;

	assert_int_equal(guest_expect(m->g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(guest_post(m->g, VMBUS_REL_ID_RELEASED, &rescind,
				    sizeof(rescind)), 0);
	reactor_inline_drain();
	assert_true(m->destroyed);
	assert_null(m->nic->event);
	m->nic->ops->close(m->nic);
	assert_int_equal(guest_gpadl_teardown(m->g, m->ch[0].id,
					      m->ch[0].gpadl), 0);
	guest_channel_free(&m->ch[0]);
	assert_int_equal(m->g->memory.holds, 0);
	guest_driver_destroy(m->g);
}

/* Its link goes first; frames on the way are completed; then it is quiet. */
static void a_busy_one_is_quiet_first(void **state)
{
	struct nic_machine m;

	(void)state;
	begin(&m);
	assert_int_equal(indicated(&m), RNDIS_STATUS_MEDIA_DISCONNECT);
	pass(20);
	nic_round_trip(&m, 0, 100);
	pass(20);
	nic_round_trip(&m, 0, 1514);
	pass(28);
	assert_int_equal(m.g->nr_inbox, 0);
	assert_false(m.destroyed);
	pass(4);
	end(&m);
}

/* One that sends on and on has its time. */
static void one_that_does_not_stop(void **state)
{
	struct nic_machine m;

	(void)state;
	begin(&m);
	for (unsigned int i = 0; i < 19; i++) {
		nic_round_trip(&m, 0, 100);
		pass(10);
		assert_int_equal(m.g->nr_inbox, 0);
	}
	nic_round_trip(&m, 0, 100);
	pass(12);
	end(&m);
}

/* A driver that lets go ends the wait, and so does who has none at work. */
static void nobody_is_waited_for(void **state)
{
	struct nic_machine m;

	(void)state;
	begin(&m);
	pass(5);
	nic_shut(&m);
	assert_false(m.destroyed);
	pass(2);
	assert_true(m.destroyed);
	m.nic->ops->close(m.nic);
	assert_int_equal(m.g->memory.holds, 0);
	guest_driver_destroy(m.g);
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	reactor_run(m.g->reactor[0], retire, &m);
	reactor_inline_drain();
	end(&m);
}

/* Destroyed while it waits. */
static void the_end_comes_in_between(void **state)
{
	struct nic_machine m;

	(void)state;
	begin(&m);
	pass(5);
	nic_shut(&m);
	nic_destroy(&m);
}

static void revoke(void *device)
{
	vmbus_revoke(device);
}

/* Every channel there can be is somebody's. */
static void no_channel_left(void **state)
{
	static const struct vmbus_device_ops ops = { .name = "crowd" };
	static struct vmbus_device crowd[VMBUS_MAX_CHANNELS];
	struct nic_loopback_config loopback = { .mac = { 2, 0, 0, 1, 2, 3 } };
	struct netvsp_config config = { .instance.b = { 1 }, .queues = 1 };
	struct nic_machine m = { 0 };

	(void)state;
	m.g = guest_driver_create(64, 1, 0);
	loopback.memory = config.memory = &m.g->memory;
	loopback.reactor = config.reactor = m.g->reactor[0];
	m.nic = config.nic = nic_loopback_create(&loopback);
	assert_non_null(m.nic);
	for (unsigned int i = 0; i < VMBUS_MAX_CHANNELS; i++) {
		crowd[i].ops = &ops;
		crowd[i].order = (uint16_t)i;
		assert_int_equal(vmbus_offer(m.g->server, &crowd[i]), 0);
	}
	assert_int_equal(netvsp_create(m.g->server, &config, &m.netvsp),
			 -ENOSPC);
	assert_null(m.nic->event);
	/* The same backend serves the next one. */
	for (unsigned int i = 0; i < VMBUS_MAX_CHANNELS; i++)
		reactor_run(m.g->reactor[0], revoke, &crowd[i]);
	assert_int_equal(netvsp_create(m.g->server, &config, &m.netvsp), 0);
	assert_non_null(m.nic->event);
	nic_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_one_is_quiet_first),
		cmocka_unit_test(one_that_does_not_stop),
		cmocka_unit_test(nobody_is_waited_for),
		cmocka_unit_test(the_end_comes_in_between),
		cmocka_unit_test(no_channel_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
