/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_threads.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c */
/*
 * A synthetic NIC with a thread for each VP: frames on all channels while the
 * backend is stopped and started under them, buffers come and go, links flap.
 * Every packet has its end. Somebody listens meanwhile, and rate limits change.
 * Built with ThreadSanitizer, too.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <pv/capture.h>

#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

#define CHANNELS 4
#define BURST 16
#define ROUNDS 60
#define HELD_NS 25000000 /* two holds, and one that finds nobody */

static uint8_t bytes[4096];

/* A burst on every channel, all under way at once. */
static void bursts(struct nic_machine *m, uint32_t total)
{
	unsigned int ended = 0, tries = 0;

	m->g->manual = true;
	for (unsigned int i = 0; i < BURST; i++) {
		for (unsigned int ch = 0; ch < CHANNELS; ch++) {
			struct nvs_message message = {
				.type = cpu_to_le32(NVS_RNDIS_PACKET),
				.rndis.section = cpu_to_le32(ch),
				.rndis.section_size = cpu_to_le32(total),
			};

			nvs_send(m, ch, &message, NULL);
		}
	}
	m->g->manual = false;
	while (ended < BURST * CHANNELS) {
		assert_in_range(tries++, 0, 10000);
		reactor_inline_drain();
		for (unsigned int ch = 0; ch < CHANNELS; ch++)
			nic_pump(m, ch);
		ended += m->nr_completions;
		m->nr_completions = 0;
		m->nr_frames = 0;
	}
	assert_int_equal(ended, BURST * CHANNELS);
	/* Who sends bursts is held: what it says next is heard after that. */
	nanosleep(&(struct timespec){ .tv_nsec = HELD_NS }, NULL);
}

/* Another thread, which reads whole packets of one size. */
static struct listener {
	pthread_t thread;
	struct nic_machine *m;
	struct capture *c;
	atomic_bool ends;
	unsigned int packets, bad;
} listener;

static void listen_on(void *arg)
{
	(void)arg;
	assert_int_equal(netvsp_capture(listener.m->netvsp, 0, &listener.c), 0);
}

static bool read_all(uint8_t *to, uint32_t size)
{
	while (size) {
		int n = listener.c->ops->read(listener.c, to, size);

		if (n < 0 || (!n && atomic_load(&listener.ends)))
			return false;
		to += n;
		size -= (uint32_t)n;
	}
	return true;
}

static void *listen_thread(void *arg)
{
	uint8_t packet[16 + 200];

	if (!read_all(packet, 24))
		return arg;
	while (read_all(packet, sizeof(packet))) {
		uint32_t length[2];

		memcpy(length, packet + 8, sizeof(length));
		listener.packets++;
		listener.bad += length[0] != 200 || length[1] != 200 ||
				packet[16 + 12] != 0x88;
	}
	return arg;
}

static void listen_begin(struct nic_machine *m)
{
	listener.m = m;
	reactor_run(m->g->reactor[0], listen_on, NULL);
	assert_int_equal(pthread_create(&listener.thread, NULL, listen_thread,
					NULL), 0);
}

static void listen_end(void)
{
	atomic_store(&listener.ends, true);
	pthread_join(listener.thread, NULL);
	listener.c->ops->stop(listener.c);
	assert_int_equal(listener.bad, 0);
	assert_in_range(listener.packets, ROUNDS * BURST, 1000000);
}

static void restarts(void **state)
{
	struct {
		struct ndis_rss_parameters parameters;
		uint32_t table[64];
		uint8_t key[40];
	} __packed rss = {
		.parameters = {
			.header.type = NDIS_OBJECT_RSS_PARAMETERS,
			.table_size = cpu_to_le16(256),
			.table_offset = cpu_to_le32(40),
			.key_size = cpu_to_le16(40),
			.key_offset = cpu_to_le32(296),
		},
	};
	static struct nic_machine m;
	uint8_t frame[200];
	uint32_t total;

	(void)state;
	nic_create(&m, CHANNELS, CHANNELS, 0, NIC_RING_PAGES);
	nic_unwrap(m.nic);
	nic_hashes(m.nic, 0, 1); /* and so frames are handed on */
	nic_up(&m, NVS_VERSION_61, CHANNELS - 1);
	nic_fill(frame, sizeof(frame), 1);
	total = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	for (uint32_t at = 0; at < CHANNELS * 6144; at += 6144)
		memcpy((uint8_t *)guest_page(m.g, m.send_pfn[at / 4096]) +
		       at % 4096, bytes, total);
	listen_begin(&m);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		netvsp_limit(m.netvsp, round & 1 ? 1000 : 0,
			     round & 2 ? 1000 : 0);
		bursts(&m, total);
		switch (round % 4) {
		case 0:
			rss.key[0]++;
			rss.table[1] = round / 4 % CHANNELS;
			assert_int_equal(rndis_put(&m,
				OID_RECEIVE_SCALE_PARAMETERS, &rss,
				sizeof(rss)), 0);
			break;
		case 1:
			nvs_revoke(&m, NVS_REVOKE_RECEIVE_BUFFER);
			reactor_inline_drain();
			assert_int_equal(guest_gpadl_teardown(m.g, m.ch[0].id,
				m.receive_gpadl), 0);
			assert_int_equal(nvs_receive_buffer(&m,
				NIC_RECEIVE_PAGES), NVS_STATUS_SUCCESS);
			break;
		case 2:
			nic_event(&m, NIC_LOST);
			bursts(&m, total);
			nic_event(&m, NIC_BACK);
			break;
		case 3:
			assert_int_equal(guest_shut(&m.ch[3]), 0);
			assert_int_equal(guest_open(m.g, &m.offer[3],
				NIC_RING_PAGES, round / 4 % CHANNELS,
				&m.ch[3]), 0);
			break;
		}
	}
	bursts(&m, total);
	listen_end();
	nic_shut(&m);
	nic_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
