/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * The life of a synthetic NIC: versions, sub-channels, buffers that go in any
 * order with frames under way, a backend that is slow, full, gone or back, and
 * links that flap.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"



static uint8_t bytes[4096];

#define SECOND 1000000000ull

static void send_one(struct nic_machine *m, unsigned int channel,
		     uint32_t size)
{
	uint8_t frame[2000];
	uint32_t total;

	nic_fill(frame, size, 3);
	total = rndis_frame(bytes, frame, size, NULL, 0, 0);
	nic_send_section(m, channel, channel, bytes, total);
}

static void N_01_versions(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_INIT),
		.init.min_version = cpu_to_le32(NVS_VERSION_61),
		.init.max_version = cpu_to_le32(NVS_VERSION_61),
	}, reply;
	struct nic_machine m;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	/* Nothing before it. */
	m.message_size = NVS_SIZE;
	assert_int_equal(nvs_receive_buffer(&m, 64), NVS_STATUS_FAILURE);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch[0].id,
					      m.receive_gpadl), 0);
	assert_int_equal(nvs_init(&m, 0x70000), NVS_STATUS_NONE);
	assert_int_equal(nvs_init(&m, 0x3), NVS_STATUS_NONE);
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), NVS_STATUS_SUCCESS);
	assert_int_equal(m.message_size, 40);
	/* Once. */
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), 40);
	assert_int_equal(le32_to_cpu(reply.type), NVS_INIT);
	/* A range: the newest in it. */
	assert_int_equal(guest_shut(&m.ch[0]), 0);
	assert_int_equal(guest_open(m.g, &m.offer[0], NIC_RING_PAGES, 0,
				    &m.ch[0]), 0);
	message.init.min_version = cpu_to_le32(0);
	message.init.max_version = cpu_to_le32(0xffffffff);
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), 40);
	assert_int_equal(le32_to_cpu(reply.init_complete.status), 1);
	/* What is newer than the version is refused. */
	assert_int_equal(guest_shut(&m.ch[0]), 0);
	assert_int_equal(guest_open(m.g, &m.offer[0], NIC_RING_PAGES, 0,
				    &m.ch[0]), 0);
	assert_int_equal(nvs_init(&m, NVS_VERSION_4), NVS_STATUS_SUCCESS);
	message.type = cpu_to_le32(NVS_SUBCHANNEL);
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), 32);
	assert_int_equal(le32_to_cpu(reply.type), NVS_SUBCHANNEL);
	assert_int_equal(le32_to_cpu(reply.complete.status), 2);
	nic_shut(&m);
	nic_destroy(&m);
}

static void N_07_subchannels(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SUBCHANNEL),
		.subchannel.operation = cpu_to_le32(NVS_SUBCHANNEL_ALLOCATE),
	}, reply;
	static const uint32_t bad[] = { 0, 4, 64, 0xffffffff };
	struct nic_machine m;
	uint32_t word;

	(void)state;
	nic_create(&m, 4, 4, 0, NIC_RING_PAGES);
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), 1);
	nvs_config(&m, 1514);
	assert_int_equal(nvs_receive_buffer(&m, NIC_RECEIVE_PAGES), 1);
	assert_int_equal(nvs_send_buffer(&m), 1);
	rndis_initialize(&m);
	for (unsigned int i = 0; i < 4; i++) {
		message.subchannel.count = cpu_to_le32(bad[i]);
		nvs_ask(&m, &message, NULL, &reply);
		assert_int_equal(le32_to_cpu(reply.subchannel.operation), 2);
		assert_int_equal(m.g->nr_inbox, 0);
	}
	nic_open_subchannels(&m, 3);
	nic_pump(&m, 0);
	assert_true(m.has_table);
	assert_int_equal(m.table_size, 40 + 64);
	memcpy(&word, m.table, 4);
	assert_int_equal(word, 134);
	memcpy(&word, m.table + 4, 4);
	assert_int_equal(word, 16);
	memcpy(&word, m.table + 8, 4);
	for (unsigned int i = 0; i < 16; i++) {
		uint32_t entry;

		memcpy(&entry, m.table + word + 4 * i, 4);
		assert_int_equal(entry, i % 4);
	}
	rndis_filter(&m, RNDIS_FILTER_DIRECTED);
	assert_int_equal(nic_last_start()->nr_queues, 4);
	for (unsigned int i = 0; i < 4; i++) {
		nic_round_trip(&m, i, 60);
		nic_round_trip(&m, i, 1514);
	}
	/* Not again. */
	message.subchannel.count = cpu_to_le32(1);
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.subchannel.operation), 2);
	nic_shut(&m);
	/* And once more, all of it. */
	assert_int_equal(guest_open(m.g, &m.offer[0], NIC_RING_PAGES, 1,
				    &m.ch[0]), 0);
	m.nr_channels = 1;
	nic_up(&m, NVS_VERSION_61, 1);
	nic_round_trip(&m, 0, 100);
	nic_round_trip(&m, 1, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* Fewer than asked for: queues are a power of two. */
static void fewer_subchannels(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SUBCHANNEL),
		.subchannel.operation = cpu_to_le32(NVS_SUBCHANNEL_ALLOCATE),
		.subchannel.count = cpu_to_le32(2),
	}, reply;
	struct nic_machine m;

	(void)state;
	nic_create(&m, 4, 4, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_6, 0);
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.subchannel.operation), 1);
	assert_int_equal(le32_to_cpu(reply.subchannel.count), 1);
	assert_int_equal(m.g->nr_inbox, 1);
	/* One that is not opened does not keep the others from working. */
	nic_round_trip(&m, 0, 100);
	assert_int_equal(guest_expect(m.g, VMBUS_OFFER_CHANNEL, &m.offer[1],
				      sizeof(m.offer[1])), 0);
	/* Opened while it works, and closed again. */
	assert_int_equal(guest_open(m.g, &m.offer[1], NIC_RING_PAGES, 1,
				    &m.ch[1]), 0);
	assert_int_equal(nic_last_start()->nr_queues, 2);
	nic_round_trip(&m, 0, 100);
	nic_round_trip(&m, 1, 100);
	assert_int_equal(guest_shut(&m.ch[1]), 0);
	assert_int_equal(nic_last_start()->nr_queues, 1);
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* A buffer too small for all queues has room for some. */
static void small_buffers(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SUBCHANNEL),
		.subchannel.operation = cpu_to_le32(NVS_SUBCHANNEL_ALLOCATE),
		.subchannel.count = cpu_to_le32(3),
	}, reply;
	struct nic_machine m;

	(void)state;
	nic_create(&m, 4, 4, 0, NIC_RING_PAGES);
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), 1);
	assert_int_equal(nvs_receive_buffer(&m, 11), NVS_STATUS_FAILURE);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch[0].id,
					      m.receive_gpadl), 0);
	assert_int_equal(nvs_receive_buffer(&m, 16), 1);
	assert_int_equal(nvs_send_buffer(&m), 1);
	rndis_initialize(&m);
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.subchannel.operation), 1);
	assert_int_equal(le32_to_cpu(reply.subchannel.count), 1);
	assert_int_equal(guest_expect(m.g, VMBUS_OFFER_CHANNEL, &m.offer[1],
				      sizeof(m.offer[1])), 0);
	rndis_filter(&m, RNDIS_FILTER_DIRECTED);
	for (int i = 0; i < 40; i++)
		nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* There is no VF: the path stays synthetic whatever the guest asks for, and the
 * answer is empty, since Linux takes none else and waits for it for ever. */
static void N_09_data_path(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SWITCH_DATA_PATH),
	}, reply;
	struct got_completion completion;
	struct nic_machine m;
	uint64_t refused;

	(void)state;
	nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_4, 0);
	for (uint32_t path = 0; path < 3; path++) {
		refused = violation_count();
		message.data_path.active = cpu_to_le32(path);
		assert_int_equal(nvs_ask(&m, &message, NULL, &reply), 0);
		assert_int_equal(violation_count() - refused, path != 0);
		nic_round_trip(&m, 0, 100);
		/* Older ones want no answer, and get none. */
		nvs_tell(&m, 0, &message);
		nic_pump(&m, 0);
		assert_int_equal(m.nr_completions, 0);
		nic_round_trip(&m, 0, 1514);
	}
	message.data_path.active = cpu_to_le32(NVS_DATA_PATH_SYNTHETIC);
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), 0);
	/* An association is ours to tell, and none was told: neither one from
	 * the guest nor an answer to one harms. */
	message.type = cpu_to_le32(NVS_VF_ASSOCIATION);
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.complete.status),
			 NVS_STATUS_FAILURE);
	for (uint64_t i = 0; i < 2; i++) {
		refused = violation_count();
		nic_give_back(&m, 0, 0x8000000000000000ull + i);
		assert_int_equal(violation_count() - refused, 1);
	}
	nic_round_trip(&m, 0, 100);
	assert_false(nvs_completed(&m, m.transaction, &completion));
	nic_shut(&m);
	/* Before version 4 there is nothing to switch. */
	assert_int_equal(guest_open(m.g, &m.offer[0], NIC_RING_PAGES, 0,
				    &m.ch[0]), 0);
	m.nr_channels = 1;
	nic_up(&m, NVS_VERSION_2, 0);
	message.type = cpu_to_le32(NVS_SWITCH_DATA_PATH);
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.complete.status),
			 NVS_STATUS_FAILURE);
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

static void halt(struct nic_machine *m, uint32_t offset)
{
	const struct rndis_header message = {
		.type = cpu_to_le32(RNDIS_HALT),
		.length = cpu_to_le32(sizeof(message)),
	};

	assert_int_equal(rndis_send(m, &message, sizeof(message), offset), 1);
}

/* The way Linux goes down and up: frames under way, and no answers. */
static void N_11_revoke(void **state)
{
	struct vmbus_gpadl_teardown teardown;
	struct vmbus_gpadl_torndown torndown;
	struct nic_machine m;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	for (unsigned int order = 0; order < 4; order++) {
		nic_up(&m, NVS_VERSION_61, 0);
		nic_round_trip(&m, 0, 100);
		nic_hold(&m, false, true, true);
		send_one(&m, 0, 100);
		send_one(&m, 0, 200);
		assert_int_equal(nic_held_frames(), 2);
		if (order & 1)
			halt(&m, 4090);
		nvs_revoke(&m, order & 2 ? NVS_REVOKE_SEND_BUFFER :
					   NVS_REVOKE_RECEIVE_BUFFER);
		nvs_revoke(&m, order & 2 ? NVS_REVOKE_RECEIVE_BUFFER :
					   NVS_REVOKE_SEND_BUFFER);
		/* The memory is not the guest's before the backend stopped. */
		teardown = (struct vmbus_gpadl_teardown){
			.channel = cpu_to_le32(m.ch[0].id),
			.gpadl = cpu_to_le32(m.receive_gpadl),
		};
		assert_int_equal(guest_post(m.g, VMBUS_GPADL_TEARDOWN,
					    &teardown, sizeof(teardown)), 0);
		assert_int_equal(m.g->nr_inbox, 0);
		nic_pump(&m, 0);
		assert_int_equal(m.nr_completions, 0);
		nic_let_go(&m);
		assert_int_equal(guest_expect(m.g, VMBUS_GPADL_TORNDOWN,
					      &torndown, sizeof(torndown)), 0);
		assert_int_equal(guest_gpadl_teardown(m.g, m.ch[0].id,
						      m.send_gpadl), 0);
		nic_pump(&m, 0);
		assert_int_equal(m.nr_completions, 2);
		m.nr_completions = 0;
		assert_int_equal(m.nr_frames, 0);
		assert_int_equal(guest_shut(&m.ch[0]), 0);
		assert_int_equal(guest_open(m.g, &m.offer[0], NIC_RING_PAGES,
					    0, &m.ch[0]), 0);
	}
	nic_up(&m, NVS_VERSION_61, 0);
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* Buffers that are revoked and made anew, while the channel stays. */
static void again_without_closing(void **state)
{
	struct got_completion completion;
	struct nic_machine m;
	uint64_t waiting;

	(void)state;
	nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 1);
	for (unsigned int i = 0; i < 3; i++) {
		nic_round_trip(&m, 0, 100);
		nic_round_trip(&m, 1, 200);
		nvs_revoke(&m, NVS_REVOKE_RECEIVE_BUFFER);
		assert_int_equal(guest_gpadl_teardown(m.g, m.ch[0].id,
						      m.receive_gpadl), 0);
		/* Frames to send wait for a buffer. */
		send_one(&m, 1, 100);
		nic_pump(&m, 1);
		assert_int_equal(m.nr_completions, 0);
		waiting = m.transaction;
		assert_int_equal(nvs_receive_buffer(&m, 64 + i), 1);
		nic_pump(&m, 1);
		assert_true(nvs_completed(&m, waiting, &completion));
		assert_int_equal(le32_to_cpu(
			completion.message.complete.status), 1);
		assert_int_equal(m.nr_frames, 1);
		m.nr_frames = 0;
	}
	nic_shut(&m);
	nic_destroy(&m);
}

/* Closed with frames under way, and taken away; nobody says good-bye. */
static void taken_away(void **state)
{
	struct nic_machine m;

	(void)state;
	for (unsigned int how = 0; how < 3; how++) {
		nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
		nic_up(&m, NVS_VERSION_61, 1);
		nic_hold(&m, false, how == 1, true);
		send_one(&m, 0, 100);
		send_one(&m, 1, 100);
		if (how == 2) {
			/* While it is starting. */
			nic_let_go(&m);
			nic_hold(&m, true, false, false);
			assert_int_equal(guest_shut(&m.ch[1]), 0);
			nic_let_go(&m);
			m.nr_channels = 1;
		}
		if (how == 1) {
			assert_int_equal(guest_close(&m.ch[1]), 0);
			assert_int_equal(guest_close(&m.ch[0]), 0);
			nic_let_go(&m);
			guest_channel_free(&m.ch[1]);
			guest_channel_free(&m.ch[0]);
		} else {
			nic_shut(&m);
		}
		nic_destroy(&m);
	}
}

/* Taken away by us while the guest uses it. */
static void revoked_in_use(void **state)
{
	struct nic_machine m;

	(void)state;
	nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 1);
	nic_round_trip(&m, 0, 100);
	guest_channel_free(&m.ch[0]);
	guest_channel_free(&m.ch[1]);
	nic_destroy(&m);
}

/* Frames wait for a backend that starts slowly; control does not. */
static void slow_start(void **state)
{
	struct nic_machine m;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_hold(&m, true, false, false);
	nic_up(&m, NVS_VERSION_61, 0);
	assert_int_equal(rndis_word(&m, OID_MAXIMUM_FRAME_SIZE), 1500);
	send_one(&m, 0, 100);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_completions, 0);
	nic_let_go(&m);
	nic_pump(&m, 0);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	assert_int_equal(m.nr_frames, 1);
	nic_shut(&m);
	nic_destroy(&m);
}

/* No start, and a lost backend: the link is down and frames are lost. */
static void lost(void **state)
{
	struct nic_machine m;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_fail_start(&m, -EIO);
	nic_up(&m, NVS_VERSION_61, 0);
	send_one(&m, 0, 100);
	nic_pump(&m, 0);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	assert_int_equal(m.nr_frames, 0);
	reactor_inline_advance(2 * SECOND); /* tried again */
	nic_round_trip(&m, 0, 100);
	nic_hold(&m, false, false, true);
	send_one(&m, 0, 100);
	nic_event(&m, NIC_LOST);
	nic_pump(&m, 0);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	nic_hold(&m, false, false, false);
	send_one(&m, 0, 100);
	nic_pump(&m, 0);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	assert_int_equal(m.nr_frames, 0);
	reactor_inline_advance(10 * SECOND);
	nic_pump(&m, 0);
	assert_int_equal(rndis_word(&m, OID_MEDIA_CONNECT_STATUS), 1);
	nic_event(&m, NIC_BACK);
	nic_round_trip(&m, 0, 100);
	reactor_inline_advance(10 * SECOND);
	nic_pump(&m, 0);
	assert_int_equal(rndis_word(&m, OID_MEDIA_CONNECT_STATUS), 0);
	nic_shut(&m);
	nic_destroy(&m);
}

static uint32_t indicated(struct nic_machine *m)
{
	struct rndis_indicate indicate;

	m->has_control = false;
	nic_pump(m, 0);
	if (!m->has_control)
		return 0;
	memcpy(&indicate, m->control, sizeof(indicate));
	assert_int_equal(le32_to_cpu(indicate.header.type), RNDIS_INDICATE);
	assert_int_equal(m->control_size, sizeof(indicate));
	return le32_to_cpu(indicate.status);
}

/* Told at once, then not more often than every five seconds. */
static void link_flaps(void **state)
{
	struct nic_machine m;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	assert_int_equal(indicated(&m), 0);
	nic_link(&m, false);
	assert_int_equal(indicated(&m), RNDIS_STATUS_MEDIA_DISCONNECT);
	nic_link(&m, true);
	assert_int_equal(indicated(&m), 0);
	assert_int_equal(rndis_word(&m, OID_MEDIA_CONNECT_STATUS), 1);
	reactor_inline_advance(4 * SECOND);
	assert_int_equal(indicated(&m), 0);
	reactor_inline_advance(2 * SECOND);
	assert_int_equal(indicated(&m), RNDIS_STATUS_MEDIA_CONNECT);
	assert_int_equal(rndis_word(&m, OID_MEDIA_CONNECT_STATUS), 0);
	/* There and back: nothing to tell. */
	nic_link(&m, false);
	nic_link(&m, true);
	reactor_inline_advance(6 * SECOND);
	assert_int_equal(indicated(&m), 0);
	nic_round_trip(&m, 0, 100);
	nic_link(&m, false);
	nic_shut(&m);
	nic_destroy(&m);
}

/* No filter: nothing is received, and the guest sleeps. */
static void filter_none(void **state)
{
	struct nic_machine m;
	uint64_t signals;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	nic_round_trip(&m, 0, 100);
	rndis_filter(&m, 0);
	signals = m.g->signals;
	send_one(&m, 0, 100);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_frames, 0);
	assert_in_range(m.g->signals - signals, 0, 1);
	nic_shut(&m);
	nic_destroy(&m);
}

/* What a sub-channel sends while the backend does not run waits for it; Linux's
 * halt() waits for the frame, without end. */
static void nothing_waits_for_a_backend_that_is_not_wanted(void **state)
{
	struct nic_machine m;
	uint64_t frame;

	(void)state;
	nic_create(&m, 2, 2, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 1);
	nic_round_trip(&m, 0, 100);
	rndis_filter(&m, 0);
	m.nr_completions = 0;
	send_one(&m, 1, 100);
	frame = m.transaction;
	nic_pump(&m, 1);
	assert_int_equal(m.nr_completions, 0);
	halt(&m, 0);
	nic_pump(&m, 1);
	m.transaction = frame;
	nic_expect_status(&m, NVS_STATUS_FAILURE);
	/* And one that is lost. */
	rndis_initialize(&m);
	rndis_filter(&m, RNDIS_FILTER_DIRECTED);
	nic_round_trip(&m, 0, 100);
	rndis_filter(&m, 0);
	m.nr_completions = 0;
	send_one(&m, 1, 100);
	nic_pump(&m, 1);
	assert_int_equal(m.nr_completions, 0);
	nic_event(&m, NIC_LOST);
	nic_pump(&m, 1);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	nic_shut(&m);
	nic_destroy(&m);
}

/* RSS as Linux sets it. */
static void rss(void **state)
{
	struct {
		struct ndis_rss_parameters parameters;
		uint32_t table[128];
		uint8_t key[40];
	} __packed set = {
		.parameters = {
			.header.type = NDIS_OBJECT_RSS_PARAMETERS,
			.header.revision = 2,
			.header.size = cpu_to_le16(sizeof(set.parameters)),
			.flags = cpu_to_le16(NDIS_RSS_DISABLE),
			.table_size = cpu_to_le16(512),
			.table_offset = cpu_to_le32(40),
			.key_size = cpu_to_le16(40),
			.key_offset = cpu_to_le32(552),
		},
	};
	struct nic_machine m;

	(void)state;
	nic_create(&m, 4, 4, 0, NIC_RING_PAGES);
	assert_int_equal(sizeof(set), 592);
	for (unsigned int i = 0; i < 128; i++)
		set.table[i] = i % 4;
	memset(set.key, 0x5a, sizeof(set.key));
	assert_int_equal(nvs_init(&m, NVS_VERSION_61), 1);
	assert_int_equal(nvs_receive_buffer(&m, NIC_RECEIVE_PAGES), 1);
	assert_int_equal(nvs_send_buffer(&m), 1);
	rndis_initialize(&m);
	nic_open_subchannels(&m, 3);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), 0);
	set.parameters.flags = cpu_to_le16(0);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), 0);
	rndis_filter(&m, RNDIS_FILTER_DIRECTED);
	assert_int_equal(nic_last_start()->rss.entries, 128);
	assert_int_equal(nic_last_start()->rss.table[7], 3);
	assert_int_equal(nic_last_start()->rss.key[39], 0x5a);
	/* Refused whole: a channel that cannot be, a table of another size, a
	 * short key, places outside. */
	set.table[127] = 4;
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), RNDIS_STATUS_INVALID_DATA);
	set.table[127] = 3;
	set.parameters.table_size = cpu_to_le16(0);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), RNDIS_STATUS_INVALID_DATA);
	set.parameters.table_size = cpu_to_le16(511);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), RNDIS_STATUS_INVALID_DATA);
	set.parameters.table_size = cpu_to_le16(512);
	set.parameters.table_offset = cpu_to_le32(0xfffffff0);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), RNDIS_STATUS_INVALID_DATA);
	set.parameters.table_offset = cpu_to_le32(40);
	set.parameters.key_size = cpu_to_le16(39);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), RNDIS_STATUS_INVALID_DATA);
	set.parameters.key_size = cpu_to_le16(40);
	set.parameters.key_offset = cpu_to_le32(553);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set,
				   sizeof(set)), RNDIS_STATUS_INVALID_DATA);
	assert_int_equal(rndis_put(&m, OID_RECEIVE_SCALE_PARAMETERS, &set, 39),
			 RNDIS_STATUS_INVALID_DATA);
	nic_round_trip(&m, 3, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* A guest that revokes its buffer and closes without waiting, at every step. */
static void closed_while_revoked(void **state)
{
	struct nic_machine m;
	bool more = true;

	(void)state;
	for (unsigned int steps = 0; more; steps++) {
		for (unsigned int vp = 0; vp < 2; vp++) {
			nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
			/* On a reactor of its own, too. */
			assert_int_equal(guest_shut(&m.ch[0]), 0);
			assert_int_equal(guest_open(m.g, &m.offer[0],
						    NIC_RING_PAGES, vp,
						    &m.ch[0]), 0);
			nic_up(&m, NVS_VERSION_61, 0);
			m.g->manual = true;
			nvs_revoke(&m, NVS_REVOKE_RECEIVE_BUFFER);
			more = true;
			for (unsigned int i = 0; more && i < steps; i++)
				more = reactor_inline_step();
			m.g->manual = false;
			nic_shut(&m);
			nic_destroy(&m);
		}
		assert_in_range(steps, 0, 100);
	}
}

/* A busy channel does not keep another of the same reactor from its turn. */
static void fairness(void **state)
{
	struct nic_machine m;
	uint8_t frame[60];
	uint32_t total;

	(void)state;
	nic_create(&m, 1, 2, 0, NIC_RING_PAGES * 4);
	nic_up(&m, NVS_VERSION_61, 1);
	nic_fill(frame, sizeof(frame), 1);
	total = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	m.g->manual = true;
	for (unsigned int i = 0; i < 1000; i++)
		nic_send_section(&m, 0, 0, bytes, total);
	nic_send_section(&m, 1, 1, bytes, total);
	/* A run of channel 0, one of channel 1, and what they post. */
	for (unsigned int i = 0; i < 8 && !m.nr_completions; i++) {
		reactor_inline_step();
		nic_pump(&m, 1);
	}
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	m.g->manual = false;
	reactor_inline_drain();
	for (unsigned int i = 0; i < 20; i++)
		nic_pump(&m, 0);
	assert_int_equal(m.nr_completions, 1000);
	nic_shut(&m);
	nic_destroy(&m);
}

/* A batch costs one signal each way, and frames come in few packets. */
static void batches(void **state)
{
	struct nic_machine m;
	uint8_t frame[64];
	uint64_t signals;
	uint32_t total;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	nic_fill(frame, sizeof(frame), 1);
	total = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	m.g->manual = true;
	signals = m.g->signals;
	for (unsigned int i = 0; i < 32; i++)
		nic_send_section(&m, 0, 0, bytes, total);
	reactor_inline_drain();
	assert_int_equal(m.g->signals - signals, 1);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_frames, 32);
	assert_int_equal(m.nr_packets, 1);
	assert_int_equal(m.nr_completions, 32);
	m.g->manual = false;
	reactor_inline_drain();
	nic_shut(&m);
	nic_destroy(&m);
}

/* A guest that does not read loses frames, and nothing else; one that keeps
 * all slots gets no more, until it gives them back. */
static void lazy_reader(void **state)
{
	struct nic_machine m;
	unsigned int got;

	(void)state;
	nic_create(&m, 2, 1, 0, 2);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int i = 0; i < 20; i++)
		send_one(&m, 0, 100);
	nic_pump(&m, 0);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_completions, 20);
	assert_int_equal(m.nr_frames, 20);
	m.nr_frames = 0;
	m.keep = true;
	for (unsigned int i = 0; i < 600; i++) {
		send_one(&m, 0, 100);
		nic_pump(&m, 0);
		nic_expect_status(&m, NVS_STATUS_SUCCESS);
		m.nr_completions = 0;
	}
	got = m.nr_frames;
	assert_int_equal(got, 512 - 16);
	for (unsigned int i = 0; i < got; i++)
		nic_give_back(&m, 0, m.frame[i].transaction);
	m.keep = false;
	m.nr_frames = 0;
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(N_01_versions),
		cmocka_unit_test(N_07_subchannels),
		cmocka_unit_test(fewer_subchannels),
		cmocka_unit_test(small_buffers),
		cmocka_unit_test(N_09_data_path),
		cmocka_unit_test(N_11_revoke),
		cmocka_unit_test(again_without_closing),
		cmocka_unit_test(taken_away),
		cmocka_unit_test(revoked_in_use),
		cmocka_unit_test(slow_start),
		cmocka_unit_test(lost),
		cmocka_unit_test(link_flaps),
		cmocka_unit_test(filter_none),
		cmocka_unit_test(
			nothing_waits_for_a_backend_that_is_not_wanted),
		cmocka_unit_test(rss),
		cmocka_unit_test(closed_while_revoked),
		cmocka_unit_test(fairness),
		cmocka_unit_test(batches),
		cmocka_unit_test(lazy_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
