/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/host_relay.c relay/host_bus.c relay/host_bus_post.c relay/host_offer.c relay/host_gpadl.c relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/unit/relay_host_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * The relay as a client of the host: what it asks for, what it tells the host of
 * a channel, and what of the host's offers the guest does not hear.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/unit/relay_host_world.h"

static struct host_world world, *const w = &world;

/* The guest's own ids of signals go through, and are only used once. */
static void test_signal_parameters(void **state)
{
	struct guest_channel ch, other;
	uint64_t messages;

	(void)state;
	host_world_begin_connected(w, VMBUS_FEATURE_SIGNAL_PARAMETERS);
	assert_int_equal(guest_ring_create(w->g, &w->offer[0], 4, &ch), 0);
	guest_ring_clear(&ch);
	ch.connection = 0x2000 + 77;
	ch.event_flag = 1234;
	assert_int_equal(guest_ring_open(&ch, 1), 0);
	expect_echo(&ch, 1);
	assert_int_equal(w->g->signal_flag, 1234);

	assert_int_equal(guest_ring_create(w->g, &w->offer[1], 4, &other), 0);
	guest_ring_clear(&other);
	other.connection = ch.connection;
	other.event_flag = 5;
	messages = w->host->count.messages_in;
	assert_int_equal(guest_ring_open(&other, 1), -EPROTO);
	/* It was not the host who found out. */
	assert_int_equal(w->host->count.messages_in, messages);
	assert_int_equal(guest_gpadl_teardown(w->g, other.id, other.gpadl), 0);
	guest_channel_free(&other);
	assert_int_equal(guest_shut(&ch), 0);
	host_world_end(w);
}

/* What is asked of the host, what it is told of a channel, and what of its offers
 * the guest does not hear. */
static void L_01_client_of_the_host(void **state)
{
	const uint16_t told = VMBUS_OFFER_NAMED_PIPE;
	struct vmbus_offer_channel offer = {
		.interface = echo_device(9).dev.interface,
		.instance = echo_device(9).dev.instance,
		.channel = cpu_to_le32(9),
		.flags = cpu_to_le16(told | VMBUS_OFFER_CONFIDENTIAL_RING |
				     VMBUS_OFFER_CONFIDENTIAL_MEMORY),
	};
	struct guest_channel ch;

	(void)state;
	host_world_begin_connected(w, VMBUS_FEATURE_SIGNAL_PARAMETERS);
	assert_int_equal(w->host->version, VMBUS_VERSION_COPPER);
	assert_int_equal(w->host->features & VMBUS_FEATURE_SIGNAL_PARAMETERS,
			 VMBUS_FEATURE_SIGNAL_PARAMETERS);
	assert_int_equal(w->host->features &
			 VMBUS_FEATURE_CONFIDENTIAL_CHANNELS, 0);
	assert_int_equal(guest_ring_create(w->g, &w->offer[1], 4, &ch), 0);
	guest_ring_clear(&ch);
	ch.connection = 0x2000 + 99;
	ch.event_flag = 321;
	assert_int_equal(guest_ring_open(&ch, 1), 0);
	assert_int_equal(w->host->by_id[2]->open.connection, 0x2000 + 99);
	assert_int_equal(w->host->by_id[2]->open.event_flag, 321);
	expect_echo(&ch, 1);
	assert_int_equal(w->g->signal_flag, 321);
	assert_int_equal(guest_shut(&ch), 0);

	host_world_say(w, VMBUS_OFFER_CHANNEL, &offer, sizeof(offer));
	assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	assert_int_equal(le32_to_cpu(offer.channel), 3); /* an id of ours */
	assert_int_equal(le16_to_cpu(offer.flags), told);
	host_world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signal_parameters),
		cmocka_unit_test(L_01_client_of_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
