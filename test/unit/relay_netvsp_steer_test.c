/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * Frames that come on another channel than the guest's table says: they are
 * handed on, and their slots come back whatever the guest does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

#define CHANNELS 4u
#define ENTRIES 8u

static struct nic_machine m;
static uint8_t bytes[4096];

/* A table of eight, and a key. */
static void put_table(const uint32_t *table, uint8_t key)
{
	struct {
		struct ndis_rss_parameters parameters;
		uint32_t table[ENTRIES];
		uint8_t key[40];
	} __packed set = {
		.parameters = {
			.header.type = NDIS_OBJECT_RSS_PARAMETERS,
			.header.revision = 2,
			.header.size = cpu_to_le16(sizeof(set.parameters)),
			.table_size = cpu_to_le16(sizeof(set.table)),
			.table_offset = cpu_to_le32(40),
			.key_size = cpu_to_le16(40),
			.key_offset = cpu_to_le32(40 + sizeof(set.table)),
		},
	};

	memcpy(set.table, table, sizeof(set.table));
	memset(set.key, key, sizeof(set.key));
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), 0);
}

static const uint32_t lopsided[ENTRIES] = { 3, 0, 0, 2, 0, 3, 0, 0 };

static void up(void)
{
	nic_create(&m, CHANNELS, CHANNELS, 0, NIC_RING_PAGES);
	nic_hashes(m.nic, 0, 0);
	nic_up(&m, NVS_VERSION_61, CHANNELS - 1);
	put_table(lopsided, 1);
}

static void down(void)
{
	nic_shut(&m);
	nic_destroy(&m);
}

static void send_on(unsigned int channel, uint8_t seed)
{
	uint8_t frame[100];
	uint32_t total;

	nic_fill(frame, sizeof(frame), seed);
	total = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	nic_send_section(&m, channel, channel, bytes, total);
	nic_pump(&m, channel);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
}

/* The frame that came, on which channel: it is the one of `seed`. */
static unsigned int came_on(uint8_t seed)
{
	struct rndis_packet packet;
	struct nic_ppi ppi[4];
	uint8_t frame[100], got[100];
	unsigned int nr, channel;

	for (unsigned int i = 0; i < CHANNELS; i++)
		nic_pump(&m, i);
	assert_int_equal(m.nr_frames, 1);
	channel = m.frame[0].channel;
	assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, got), 100);
	nic_fill(frame, sizeof(frame), seed);
	assert_memory_equal(got, frame, 100);
	return channel;
}

/* Whatever channel it came on, the hash says where it goes. */
static void by_the_table(void **state)
{
	(void)state;
	up();
	for (uint32_t hash = 0; hash < 40; hash++) {
		for (unsigned int on = 0; on < CHANNELS; on++) {
			nic_hashes(m.nic, hash, 0);
			send_on(on, (uint8_t)(hash + on));
			assert_int_equal(came_on((uint8_t)(hash + on)),
					 lopsided[hash % ENTRIES]);
		}
	}
	assert_int_equal(violation_count(), 0);
	down();
}

/* Another table is followed from then on; the backend need not be asked. */
static void another_table(void **state)
{
	static const uint32_t ones[ENTRIES] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	(void)state;
	up();
	nic_hashes(m.nic, 3, 0);
	send_on(0, 1);
	assert_int_equal(came_on(1), 2);
	put_table(ones, 1);
	send_on(0, 2);
	assert_int_equal(came_on(2), 1);
	put_table(lopsided, 2); /* another key, and so another start */
	send_on(0, 3);
	assert_int_equal(came_on(3), 2);
	down();
}

/* Many more frames than there are slots: none is lost on the way. */
static void slots_come_back(void **state)
{
	uint64_t before = violation_count();

	(void)state;
	up();
	nic_hashes(m.nic, 0, 1);
	for (unsigned int i = 0; i < 2000; i++) {
		send_on(i % CHANNELS, (uint8_t)i);
		assert_int_equal(came_on((uint8_t)i), lopsided[i % ENTRIES]);
	}
	assert_int_equal(violation_count(), before);
	down();
}

/* In the order in which they came. */
static void order_stays(void **state)
{
	struct rndis_packet packet;
	struct nic_ppi ppi[4];
	uint8_t frame[100], got[100];
	unsigned int nr;

	(void)state;
	up();
	nic_hashes(m.nic, 0, 0);
	m.g->manual = true;
	for (unsigned int i = 0; i < 20; i++) {
		uint32_t total;

		nic_fill(frame, sizeof(frame), (uint8_t)i);
		total = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
		nic_send_pages(&m, 1, bytes, total, 0, total);
		reactor_inline_drain();
	}
	m.g->manual = false;
	reactor_inline_drain();
	nic_pump(&m, 3);
	assert_int_equal(m.nr_frames, 20);
	for (unsigned int i = 0; i < 20; i++) {
		nic_fill(frame, sizeof(frame), (uint8_t)i);
		assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, got),
				 100);
		assert_memory_equal(got, frame, 100);
	}
	nic_pump(&m, 1);
	down();
}

/* A frame of channel 0's slots that the guest got on channel 3 and keeps: its
 * packet's name. */
static uint64_t kept(void)
{
	m.keep = true;
	nic_hashes(m.nic, 0, 0);
	send_on(0, 9);
	assert_int_equal(came_on(9), 3);
	m.keep = false;
	return m.frame[0].transaction;
}

/* Given back twice, on another channel, or never there. */
static void lies(void **state)
{
	uint64_t before, slot;

	(void)state;
	up();
	slot = kept();
	before = violation_count();
	nic_give_back(&m, 1, slot);
	assert_int_equal(violation_count(), before + 1);
	nic_give_back(&m, 0, slot);
	assert_int_equal(violation_count(), before + 2);
	nic_give_back(&m, 3, slot);
	assert_int_equal(violation_count(), before + 2);
	nic_give_back(&m, 3, slot);
	assert_int_equal(violation_count(), before + 3);
	nic_give_back(&m, 3, slot + 1);
	nic_give_back(&m, 3, 1u << 20);
	nic_give_back(&m, 3, 3);
	assert_int_equal(violation_count(), before + 6);
	for (unsigned int i = 0; i < CHANNELS; i++) {
		send_on(i, 5);
		assert_int_equal(came_on(5), 3);
	}
	down();
}

/* Posted slots of channel 0 when all are back. */
static void expect_all_slots(void)
{
	unsigned int slots = (512 - 16) / CHANNELS;

	/* A guest that keeps them gets as many frames as there are. */
	m.keep = true;
	nic_hashes(m.nic, 1, 0); /* its own */
	for (unsigned int i = 0; i < slots + 10; i++) {
		send_on(0, 7);
		nic_pump(&m, 0);
	}
	assert_int_equal(m.nr_frames, slots);
	m.keep = false;
	for (unsigned int i = 0; i < slots; i++)
		nic_give_back(&m, 0, m.frame[i].transaction);
	m.nr_frames = 0;
}

/* The channel that has them closes, with frames that the guest keeps and some
 * that it has not read. */
static void closed(void **state)
{
	(void)state;
	up();
	for (unsigned int round = 0; round < 3; round++) {
		kept();
		for (unsigned int i = 0; i < 30; i++)
			send_on(0, 4);
		assert_int_equal(guest_shut(&m.ch[3]), 0);
		m.nr_frames = 0;
		assert_int_equal(nic_last_start()->nr_queues, 1);
		assert_int_equal(guest_open(m.g, &m.offer[3], NIC_RING_PAGES,
					    3, &m.ch[3]), 0);
		assert_int_equal(nic_last_start()->nr_queues, CHANNELS);
		expect_all_slots();
	}
	down();
}

/* The channel whose they are closes: the guest goes on with what it got. */
static void owner_closed(void **state)
{
	uint64_t slot, before;

	(void)state;
	up();
	m.keep = true;
	nic_hashes(m.nic, 0, 0);
	send_on(1, 9);
	assert_int_equal(came_on(9), 3);
	slot = m.frame[0].transaction;
	m.keep = false;
	for (unsigned int round = 0; round < 2; round++) {
		assert_int_equal(guest_shut(&m.ch[1]), 0);
		before = violation_count();
		if (round) /* while it is closed, */
			nic_give_back(&m, 3, slot);
		assert_int_equal(guest_open(m.g, &m.offer[1], NIC_RING_PAGES,
					    1, &m.ch[1]), 0);
		send_on(1, 2);
		assert_int_equal(came_on(2), 3);
		if (round) { /* ... once, */
			nic_give_back(&m, 3, slot);
			assert_int_equal(violation_count(), before + 1);
		}
	}
	down();
}

/* A backend that stops, or goes, with frames on their way; new buffers. */
static void stops(void **state)
{
	(void)state;
	up();
	for (unsigned int round = 0; round < 3; round++) {
		uint64_t slot = kept(), before;

		for (unsigned int i = 0; i < 30; i++)
			send_on(0, 4);
		if (round == 0) {
			nic_event(&m, NIC_LOST);
			nic_event(&m, NIC_BACK);
		} else if (round == 1) {
			put_table(lopsided, 33);
		}
		for (unsigned int i = 0; i < CHANNELS; i++)
			nic_pump(&m, i);
		m.nr_frames = 0;
		nic_give_back(&m, 3, slot);
		expect_all_slots();
		slot = kept();
		nvs_revoke(&m, NVS_REVOKE_RECEIVE_BUFFER);
		assert_int_equal(guest_gpadl_teardown(m.g, m.ch[0].id,
						      m.receive_gpadl), 0);
		assert_int_equal(nvs_receive_buffer(&m, NIC_RECEIVE_PAGES),
				 NVS_STATUS_SUCCESS);
		before = violation_count();
		nic_give_back(&m, 3, slot); /* of the old one */
		assert_int_equal(violation_count(), before + 1);
		expect_all_slots();
	}
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_table),
		cmocka_unit_test(another_table),
		cmocka_unit_test(slots_come_back),
		cmocka_unit_test(order_stays),
		cmocka_unit_test(lies),
		cmocka_unit_test(closed),
		cmocka_unit_test(owner_closed),
		cmocka_unit_test(stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
