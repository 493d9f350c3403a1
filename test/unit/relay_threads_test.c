/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/offer.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_threads.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c */
/*
 * The VMBus server with a thread for each VP, while another thread signals
 * without end: no interrupt is lost, whatever opens and closes meanwhile.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>

#include <pv/reactor.h>
#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/relay_world.h"

#define ROUNDS 300
#define PACKETS 50
#define TOO_LONG (10 * 1000 * MS)

static atomic_bool stop;

/* HvSignalEvent for what is open and what is not. */
static void *storm(void *arg)
{
	struct vmbus_server *server = arg;
	uint32_t id = 0;

	while (!stop) {
		vmbus_server_signal(server, 0x2000 | (id++ % 8), 0);
		if (id % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void nap(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	for (uint32_t i = *seed >> 24; i; i--)
		atomic_thread_fence(memory_order_seq_cst);
	if (*seed >> 28 == 0)
		sched_yield();
}

/* Sends one packet into an idle channel: its answer must interrupt us. */
static void ping(struct guest_channel *ch, uint64_t transaction)
{
	static uint8_t buffer[RING_MAX_PACKET];
	uint64_t signals = ch->g->signals, start = reactor_now();
	struct ring_packet packet;
	int err;

	assert_int_equal(ring_write(&ch->ring, RING_PACKET_INBAND, 0,
				    transaction, NULL, 0, &transaction,
				    sizeof(transaction)), 0);
	if (ring_write_end(&ch->ring))
		assert_int_equal(vmbus_server_signal(ch->g->server,
						     ch->connection, 0), 0);
	do {
		/* The first may be the one that follows each open. */
		while (ch->g->signals == signals) {
			if (reactor_now() - start > TOO_LONG)
				fail_msg("no interrupt for packet %llu",
					 (unsigned long long)transaction);
			sched_yield();
		}
		signals = ch->g->signals;
		err = guest_receive(ch, buffer, &packet);
	} while (err == -EAGAIN);
	assert_int_equal(err, 0);
	assert_int_equal(packet.transaction, transaction);
	assert_memory_equal(packet.payload, &transaction, 8);
}

static void no_interrupt_is_lost(void **state)
{
	uint64_t before = violation_count();
	struct guest_channel a, b;
	pthread_t thread;
	uint32_t seed = 1;
	struct world w;

	(void)state;
	stop = false;
	world_begin(&w, VMBUS_VERSION_COPPER);
	assert_int_equal(pthread_create(&thread, NULL, storm, w.g->server), 0);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		assert_int_equal(guest_open(w.g, &w.offer[0], 2, round % 4,
					    &a), 0);
		assert_int_equal(guest_open(w.g, &w.offer[1], 2,
					    (round / 4) % 4, &b), 0);
		w.g->manual = true;
		for (unsigned int i = 0; i < PACKETS; i++) {
			ping(i & 1 ? &a : &b, i);
			nap(&seed);
		}
		w.g->manual = false;
		assert_int_equal(guest_shut(&a), 0);
		assert_int_equal(guest_shut(&b), 0);
		w.g->free_pages = RAM_PAGES;
		if (round % 16 == 0) {
			assert_int_equal(guest_contact(w.g,
				VMBUS_VERSION_COPPER, 0, 0), 0);
			world_request_offers(&w);
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(violation_count(), before);
	assert_int_equal(w.a.opened + w.b.opened, 2 * ROUNDS);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_interrupt_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
