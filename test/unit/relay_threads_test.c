/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_threads.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c */
/*
 * The VMBus server with a thread for each VP: no signal is lost, neither while
 * another thread signals without end and channels open and close, nor when
 * packets, answers and naps meet as they may. Built with ThreadSanitizer, too;
 * then it does less.
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
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include <pv/reactor.h>
#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/relay_world.h"

#ifdef __SANITIZE_THREAD__
#define ROUNDS 60
#define PING_PONG 1000000ull
#define PING_PONG_TIME (5 * 1000 * MS)
#else
#define ROUNDS 300
#define PING_PONG 10000000ull
#define PING_PONG_TIME (10 * 1000 * MS)
#endif
#define PACKETS 50
#define STALL (1000 * MS)
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

/* Ping-pong: a thread of the guest for each channel. It writes as long as it
 * likes to, reads what is there, and sleeps only when there is nothing. */

struct player {
	struct guest_channel ch;
	pthread_t thread;
	sem_t interrupt;
	uint64_t start, longest; /* ns: when it began, and slept at most */
	uint64_t sent, received;
	uint64_t sleeps;
	uint32_t seed;
	const char *error;
	_Alignas(8) uint8_t buffer[RING_MAX_PACKET];
};

static struct player players[2];

static void wake_player(void *opaque, uint16_t flag)
{
	(void)opaque;
	if (flag == 1 || flag == 2)
		sem_post(&players[flag - 1].interrupt);
}

static bool time_is_up(const struct player *p)
{
	return reactor_now() - p->start > PING_PONG_TIME;
}

static void signal_server(struct player *p)
{
	if (vmbus_server_signal(p->ch.g->server, p->ch.connection, 0))
		p->error = "the server knows no such signal";
}

static void write_some(struct player *p, uint64_t most)
{
	uint8_t bytes[96];
	int err = 0;

	while (!err && p->sent < most) {
		uint32_t size = 8 + (p->seed >> 20) % 64;

		memset(bytes, (int)p->sent, sizeof(bytes));
		err = ring_write(&p->ch.ring, RING_PACKET_INBAND, 0, p->sent,
				 NULL, 0, bytes, size);
		p->sent += !err;
		p->seed = p->seed * 1664525 + 1013904223;
		if (p->seed >> 29 == 0)
			break;
	}
	if (err && err != -EAGAIN)
		p->error = "writing failed";
	if (ring_write_end(&p->ch.ring))
		signal_server(p);
}

/* How many packets came; *more: others have come since. */
static unsigned int read_all(struct player *p, bool *more)
{
	struct ring_packet packet;
	unsigned int n = 0;
	int err;

	while (!(err = ring_read(&p->ch.ring, p->buffer, sizeof(p->buffer),
				 &packet))) {
		if (packet.transaction != p->received++ ||
		    packet.payload[0] != (uint8_t)packet.transaction)
			p->error = "packets out of order";
		n++;
	}
	if (err != -EAGAIN)
		p->error = p->ch.ring.broken;
	if (ring_read_end(&p->ch.ring, more))
		signal_server(p);
	return n;
}

static void sleep_until_interrupt(struct player *p)
{
	uint64_t start = reactor_now(), slept;
	struct timespec until;
	bool more;

	p->sleeps++;
	while (true) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		if (!sem_timedwait(&p->interrupt, &until))
			break;
		/* A busy machine may be slow, but packets that are there
		 * without an interrupt say that one was lost. */
		if (read_all(p, &more) || more)
			p->error = "no interrupt for packets";
		else if (reactor_now() - start > TOO_LONG)
			p->error = "nothing comes";
		if (p->error)
			return;
	}
	slept = reactor_now() - start;
	if (slept > p->longest)
		p->longest = slept;
}

static void *play(void *arg)
{
	struct player *p = arg;
	uint64_t most = PING_PONG / 2;
	bool more;

	while (p->received < most && !p->error) {
		if (time_is_up(p))
			most = p->sent;
		write_some(p, most);
		if (!read_all(p, &more) && !more && !p->error &&
		    p->received < most)
			sleep_until_interrupt(p);
		nap(&p->seed);
	}
	return NULL;
}

/* The guest is told that its GPADL was made, and has not opened the channel. */
static void expect_untouched(struct guest_channel *ch)
{
	uint8_t expected[GUEST_PAGE_SIZE];

	memset(expected, 0xaa, sizeof(expected));
	usleep(10000);
	for (uint32_t i = 0; i < ch->nr_pages; i++)
		assert_memory_equal(guest_page(ch->g, ch->pfn[i]), expected,
				    sizeof(expected));
}

static void R_10_ping_pong_with_naps(void **state)
{
	uint64_t before = violation_count(), packets, ms;
	struct world w;

	(void)state;
	world_begin(&w, VMBUS_VERSION_COPPER);
	w.g->interrupt = wake_player;
	for (unsigned int i = 0; i < 2; i++) {
		struct player *p = &players[i];

		memset(p, 0, sizeof(*p));
		sem_init(&p->interrupt, 0, 0);
		p->seed = i + 1;
		assert_int_equal(guest_ring_create(w.g, &w.offer[i], 2,
						   &p->ch), 0);
		expect_untouched(&p->ch);
		guest_ring_clear(&p->ch);
		assert_int_equal(guest_ring_open(&p->ch, i), 0);
	}
	for (unsigned int i = 0; i < 2; i++) {
		players[i].start = reactor_now();
		assert_int_equal(pthread_create(&players[i].thread, NULL, play,
						&players[i]), 0);
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(players[i].thread, NULL);
	packets = players[0].received + players[1].received;
	ms = (reactor_now() - players[0].start) / MS;
	print_message("R-10: %llu packets each way in %llu ms, %llu sleeps, "
		      "the longest %llu ms\n", (unsigned long long)packets,
		      (unsigned long long)ms, (unsigned long long)
		      (players[0].sleeps + players[1].sleeps),
		      (unsigned long long)(players[0].longest >
			players[1].longest ? players[0].longest :
			players[1].longest) / MS);
	for (unsigned int i = 0; i < 2; i++) {
		struct player *p = &players[i];

		if (p->error)
			fail_msg("channel %u: %s", p->ch.id, p->error);
		assert_int_equal(p->received, p->sent);
		assert_true(p->received > 1000);
		assert_true(p->longest < STALL);
		assert_int_equal(guest_shut(&p->ch), 0);
		sem_destroy(&p->interrupt);
	}
	assert_int_equal(violation_count(), before);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_interrupt_is_lost),
		cmocka_unit_test(R_10_ping_pong_with_naps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
