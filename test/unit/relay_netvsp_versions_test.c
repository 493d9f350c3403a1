/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * Each version of NVSP from INIT to frames both ways, and what is in it; packet
 * filters and statistics, which are the same in all.
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

#define MIB (1u << 20)

static struct nic_machine m;

/* ---- versions ---- */

/* The answer to a message of which a version knows, or does not know. */
static void expect_known(uint32_t type, bool known)
{
	struct nvs_message message = { .type = cpu_to_le32(type) }, reply;
	uint64_t before = violation_count();
	uint32_t size = nvs_ask(&m, &message, NULL, &reply);

	if (known) {
		assert_int_equal(violation_count(), before);
		return;
	}
	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(size, m.message_size);
	assert_int_equal(le32_to_cpu(reply.complete.status),
			 NVS_STATUS_FAILURE);
}

/* Asks for the version and no other, as Linux does. */
static void negotiate(uint32_t version)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_INIT),
		.init.min_version = cpu_to_le32(version),
		.init.max_version = cpu_to_le32(version),
	}, reply;

	m.message_size = version >= NVS_VERSION_61 ? NVS_SIZE_61 : NVS_SIZE;
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), m.message_size);
	assert_int_equal(le32_to_cpu(reply.type), NVS_INIT_COMPLETE);
	assert_int_equal(le32_to_cpu(reply.init_complete.status),
			 NVS_STATUS_SUCCESS);
	/* What it was agreed on is told by the first one alone. */
	assert_int_equal(le32_to_cpu(reply.init_complete.version),
			 version == NVS_VERSION_1 ? version : UINT32_MAX);
}

/* The MTU is told from version 2 on: 4000, or 1500. */
static uint32_t configure(uint32_t version)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_NDIS_CONFIG),
		.ndis_config.mtu = cpu_to_le32(4000 + 14),
	}, reply;
	uint64_t before = violation_count();

	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(violation_count() - before,
			 version == NVS_VERSION_1);
	message = (struct nvs_message){
		.type = cpu_to_le32(NVS_NDIS_VERSION),
		.ndis_version.major = cpu_to_le32(6),
		.ndis_version.minor = cpu_to_le32(30),
	};
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), m.message_size);
	return version == NVS_VERSION_1 ? 1500 : 4000;
}

static void rndis_messages(void)
{
	struct rndis_request request = {
		.header.length = cpu_to_le32(sizeof(request)),
		.id = cpu_to_le32(77),
	};

	request.header.type = cpu_to_le32(RNDIS_KEEPALIVE);
	assert_int_equal(rndis_send(&m, &request, sizeof(request), 0), 1);
	assert_int_equal(m.control_size, sizeof(struct rndis_set_complete));
	request.header.type = cpu_to_le32(RNDIS_RESET);
	assert_int_equal(rndis_send(&m, &request, sizeof(request), 0), 1);
	assert_int_equal(m.control_size, sizeof(struct rndis_reset_complete));
}

static void whole(uint32_t version)
{
	uint32_t mtu, bytes = 0;
	bool five = version >= NVS_VERSION_5;

	nic_create(&m, 2, 2, 4000, NIC_RING_PAGES);
	negotiate(version);
	mtu = configure(version);
	assert_int_equal(nvs_receive_buffer(&m, NIC_RECEIVE_PAGES), 1);
	assert_int_equal(m.slot_size, mtu == 1500 ? 2048 : 8192);
	assert_int_equal(nvs_send_buffer(&m), 1);
	rndis_initialize(&m);
	assert_int_equal(rndis_word(&m, OID_MAXIMUM_FRAME_SIZE), mtu);
	rndis_filter(&m, RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST);
	/* 8 MiB each way: the wire ends where it begins. */
	for (uint32_t size = 60; bytes < 8 * MIB; bytes += size) {
		size = size * 7 % (mtu + 14 - 60) + 60;
		nic_round_trip(&m, 0, size);
	}
	rndis_messages();
	expect_known(NVS_SWITCH_DATA_PATH, version >= NVS_VERSION_4);
	expect_known(NVS_OID_QUERY, five);
	if (five) {
		nic_open_subchannels(&m, 1);
		nic_pump(&m, 0);
		assert_true(m.has_table);
		for (unsigned int i = 0; i < 100; i++)
			nic_round_trip(&m, i % 2, mtu + 14);
	} else {
		expect_known(NVS_SUBCHANNEL, false);
	}
	nvs_revoke(&m, NVS_REVOKE_RECEIVE_BUFFER);
	nvs_revoke(&m, NVS_REVOKE_SEND_BUFFER);
	nic_shut(&m);
	nic_destroy(&m);
}

#define VERSION(name)                           \
	static void version_##name(void **state) \
	{                                       \
		(void)state;                    \
		whole(NVS_VERSION_##name);      \
	}
VERSION(1)
VERSION(2)
VERSION(4)
VERSION(5)
VERSION(6)
VERSION(61)

/* ---- filters ---- */

static void filters(void **state)
{
	static const struct {
		uint32_t rndis;
		unsigned int nic;
	} cases[] = {
		{ RNDIS_FILTER_DIRECTED, NIC_DIRECTED },
		{ RNDIS_FILTER_MULTICAST, NIC_MULTICAST },
		{ RNDIS_FILTER_ALL_MULTICAST, NIC_MULTICAST },
		{ RNDIS_FILTER_BROADCAST, NIC_BROADCAST },
		{ RNDIS_FILTER_PROMISCUOUS, NIC_PROMISCUOUS },
		/* Linux: up; with addresses; promiscuous; down. */
		{ RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST,
		  NIC_DIRECTED | NIC_BROADCAST },
		{ RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST |
		  RNDIS_FILTER_ALL_MULTICAST,
		  NIC_DIRECTED | NIC_BROADCAST | NIC_MULTICAST },
		{ 0, 0 },
		{ RNDIS_FILTER_DIRECTED | 0x40000000, NIC_DIRECTED },
	};
	static const uint8_t list[] = { 1, 0, 0x5e, 0, 0, 1,
					0x33, 0x33, 0, 0, 0, 1 };

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rndis_filter(&m, cases[i].rndis);
		assert_int_equal(nic_last_filter(), cases[i].nic);
		assert_int_equal(rndis_word(&m, OID_CURRENT_PACKET_FILTER),
				 cases[i].rndis);
		if (cases[i].nic)
			nic_round_trip(&m, 0, 100);
	}
	/* A list changes nothing of it: all multicast comes anyway. */
	assert_int_equal(rndis_put(&m, OID_802_3_MULTICAST_LIST, list,
				   sizeof(list)), 0);
	assert_int_equal(rndis_put(&m, OID_802_3_MULTICAST_LIST, list, 0), 0);
	assert_int_equal(rndis_put(&m, OID_802_3_MULTICAST_LIST, list, 7),
			 RNDIS_STATUS_INVALID_DATA);
	assert_int_equal(nic_last_filter(), NIC_DIRECTED);
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* ---- statistics ---- */

static uint64_t statistic(uint32_t oid)
{
	const uint8_t *info;
	uint64_t count;
	uint32_t size;

	assert_int_equal(rndis_ask(&m, oid, NULL, 0, &info, &size), 0);
	assert_int_equal(size, sizeof(count));
	memcpy(&count, info, sizeof(count));
	return count;
}

static void statistics(void **state)
{
	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int i = 0; i < 50; i++)
		nic_round_trip(&m, 0, 100 + i);
	assert_int_equal(statistic(OID_XMIT_OK), 50);
	assert_int_equal(statistic(OID_RCV_OK), 50);
	assert_int_equal(statistic(OID_XMIT_ERROR), 0);
	assert_int_equal(statistic(OID_RCV_ERROR), 0);
	assert_int_equal(statistic(OID_RCV_NO_BUFFER), 0);
	/* They outlive a stop, and what a guest asks anew. */
	rndis_filter(&m, 0);
	rndis_filter(&m, RNDIS_FILTER_DIRECTED);
	nic_round_trip(&m, 0, 100);
	assert_int_equal(statistic(OID_XMIT_OK), 51);
	nic_shut(&m);
	nic_destroy(&m);
}

/* What a host allows is the most that a guest gets, and it is all of that. */
static void no_more_than_allowed(void **state)
{
	static const struct {
		uint16_t number;
		uint32_t wire, next;
	} versions[] = {
		{ 0x100, NVS_VERSION_1, NVS_VERSION_2 },
		{ 0x200, NVS_VERSION_2, NVS_VERSION_4 },
		{ 0x400, NVS_VERSION_4, NVS_VERSION_5 },
		{ 0x500, NVS_VERSION_5, NVS_VERSION_6 },
		{ 0x600, NVS_VERSION_6, NVS_VERSION_61 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct nvs_message message = {
			.type = cpu_to_le32(NVS_INIT),
			.init.min_version = cpu_to_le32(versions[i].next),
			.init.max_version = cpu_to_le32(versions[i].next),
		}, reply;

		nic_at_most(versions[i].number);
		nic_create(&m, 1, 1, 0, NIC_RING_PAGES);
		m.message_size = NVS_SIZE;
		nvs_ask(&m, &message, NULL, &reply);
		assert_int_equal(le32_to_cpu(reply.init_complete.status),
				 NVS_STATUS_NONE);
		negotiate(versions[i].wire);
		nic_shut(&m);
		nic_destroy(&m);
	}
	nic_at_most(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_than_allowed),
		cmocka_unit_test(version_1),
		cmocka_unit_test(version_2),
		cmocka_unit_test(version_4),
		cmocka_unit_test(version_5),
		cmocka_unit_test(version_6),
		cmocka_unit_test(version_61),
		cmocka_unit_test(filters),
		cmocka_unit_test(statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
