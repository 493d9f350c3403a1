/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c test/unit/inspect_list.c */
/*
 * A synthetic NIC as a guest sees it, through VMBus and its rings: the
 * negotiation, frames both ways, offloads, and what it asks of the adapter.
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

#include "test/unit/inspect_list.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"


static uint8_t bytes[70000], back[70000];

static void every_version(void **state)
{
	static const uint32_t versions[] = {
		NVS_VERSION_1, NVS_VERSION_2, NVS_VERSION_4, NVS_VERSION_5,
		NVS_VERSION_6, NVS_VERSION_61,
	};
	struct nic_machine m;

	(void)state;
	for (unsigned int i = 0; i < sizeof(versions) / sizeof(*versions);
	     i++) {
		nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
		nic_up(&m, versions[i], 0);
		nic_round_trip(&m, 0, 60);
		nic_round_trip(&m, 0, 1514);
		nic_shut(&m);
		nic_destroy(&m);
	}
}

/* Frames of all sizes, in a section, in pages, or split anywhere: the same on
 * the wire. */
static void N_05_send_section_and_pages(void **state)
{
	static const uint32_t offsets[] = { 0, 1, 100, 4000, 4052, 4095 };
	struct got_completion completion;
	struct rndis_packet packet;
	struct nic_machine m;
	struct nic_ppi ppi[4];
	unsigned int nr, sent = 0;
	uint8_t frame[1514];

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (uint32_t size = 14; size <= 1514; size += 47) {
		uint32_t total;

		nic_fill(frame, size, (uint8_t)size);
		total = rndis_frame(bytes, frame, size, NULL, 0, 0);
		for (uint32_t split = 0; split < total;
		     split += split < 60 ? 11 : 397) {
			nic_send_pages(&m, 0, bytes, total,
				       offsets[sent++ % 6], split);
			nic_pump(&m, 0);
			assert_true(nvs_completed(&m, m.transaction,
						  &completion));
			assert_int_equal(le32_to_cpu(
				completion.message.complete.status), 1);
			assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr,
							back), size);
			assert_memory_equal(back, frame, size);
			assert_int_equal(nr, 1);
			assert_int_equal(ppi[0].type, RNDIS_PPI_CHECKSUM);
		}
	}
	assert_in_range(sent, 200, 1000);
	nic_shut(&m);
	nic_destroy(&m);
}

/* Several messages in a packet, padded as clients pad them: one completion. */
static void packed(void **state)
{
	struct got_completion completion;
	struct rndis_packet packet;
	struct nic_machine m;
	struct nic_ppi ppi[4];
	unsigned int nr;
	uint8_t frame[8][600];
	uint32_t at = 0;

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t size = 61 + i * 70;

		nic_fill(frame[i], size, (uint8_t)i);
		at += rndis_frame(bytes + at, frame[i], size, NULL, 0,
				  -(44 + size) % 8);
	}
	nic_send_section(&m, 0, 3, bytes, at);
	nic_pump(&m, 0);
	assert_true(nvs_completed(&m, m.transaction, &completion));
	assert_int_equal(le32_to_cpu(completion.message.complete.status), 1);
	assert_int_equal(m.nr_completions, 0);
	assert_int_equal(m.nr_frames, 8);
	assert_int_equal(m.nr_packets, 1); /* and they came in one */
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, back),
				 61 + i * 70);
		assert_memory_equal(back, frame[i], 61 + i * 70);
	}
	/* One too many, or one that is broken: none is sent. */
	at += rndis_frame(bytes + at, frame[0], 60, NULL, 0, 0);
	nic_send_section(&m, 0, 3, bytes, at);
	nic_pump(&m, 0);
	assert_true(nvs_completed(&m, m.transaction, &completion));
	assert_int_equal(le32_to_cpu(completion.message.complete.status), 2);
	assert_int_equal(m.nr_frames, 0);
	nic_shut(&m);
	nic_destroy(&m);
}

/* A TCP frame of IPv4 or IPv6: its size. */
static uint32_t tcp_frame(uint8_t *frame, bool ip6, uint32_t payload)
{
	uint32_t l4 = ip6 ? 54 : 34;

	memset(frame, 0, l4 + 20);
	memcpy(frame, "\x00\x15\x5d\x01\x02\x03\x02\x00\x00\x00\x00\x01", 12);
	frame[12] = ip6 ? 0x86 : 0x08;
	frame[13] = ip6 ? 0xdd : 0x00;
	frame[14] = ip6 ? 0x60 : 0x45;
	frame[ip6 ? 20 : 23] = 6;
	frame[l4 + 12] = 0x50;
	for (uint32_t i = 0; i < payload; i++)
		frame[l4 + 20 + i] = (uint8_t)(i * 13 + (i >> 9));
	return l4 + 20 + payload;
}

static uint32_t be32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	       (uint32_t)at[2] << 8 | at[3];
}

static void send_frame(struct nic_machine *m, const uint8_t *frame,
		       uint32_t size, const struct nic_ppi *ppi,
		       unsigned int nr)
{
	uint32_t total = rndis_frame(bytes, frame, size, ppi, nr, 0);

	nic_send_pages(m, 0, bytes, total, 17, 0);
	nic_pump(m, 0);
}

static void checksums(void **state)
{
	static const struct {
		uint32_t word;
		bool ip6;
		uint16_t offload, l4;
		uint32_t back;
	} cases[] = {
		{ RNDIS_TX_IP4 | RNDIS_TX_TCP | 34 << 16, false,
		  NIC_TCP4_CHECKSUM, 34, RNDIS_RX_TCP_GOOD },
		{ RNDIS_TX_IP4 | RNDIS_TX_TCP, false, NIC_TCP4_CHECKSUM, 34,
		  RNDIS_RX_TCP_GOOD }, /* no offset: found */
		{ RNDIS_TX_IP4 | RNDIS_TX_UDP | RNDIS_TX_IP_HEADER | 34 << 16,
		  false, NIC_UDP4_CHECKSUM | NIC_IP4_CHECKSUM, 34,
		  RNDIS_RX_UDP_GOOD | RNDIS_RX_IP_GOOD },
		{ RNDIS_TX_IP4 | RNDIS_TX_IP_HEADER, false, NIC_IP4_CHECKSUM,
		  0, RNDIS_RX_IP_GOOD },
		{ RNDIS_TX_IP6 | RNDIS_TX_TCP, true, NIC_TCP6_CHECKSUM, 54,
		  RNDIS_RX_TCP_GOOD },
		{ RNDIS_TX_IP6 | RNDIS_TX_UDP | 54 << 16, true,
		  NIC_UDP6_CHECKSUM, 54, RNDIS_RX_UDP_GOOD },
	};
	struct rndis_packet packet;
	struct nic_machine m;
	struct nic_ppi ppi[4];
	unsigned int nr;
	uint8_t frame[200];

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct nic_ppi ask = { RNDIS_PPI_CHECKSUM, cases[i].word };
		uint32_t size = tcp_frame(frame, cases[i].ip6, 100);

		send_frame(&m, frame, size, &ask, 1);
		nic_expect_status(&m, NVS_STATUS_SUCCESS);
		assert_int_equal(nic_last_frame()->offload, cases[i].offload);
		assert_int_equal(nic_last_frame()->l4_offset, cases[i].l4);
		assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, back),
				 size);
		assert_int_equal(ppi[0].value, cases[i].back);
	}
	nic_shut(&m);
	nic_destroy(&m);
}

/* A frame with a tag beside it comes back so. */
static void vlan(void **state)
{
	struct nic_ppi ask = { RNDIS_PPI_VLAN, 5 | 1 << 3 | 0x123 << 4 };
	struct rndis_packet packet;
	struct nic_machine m;
	struct nic_ppi ppi[4];
	unsigned int nr;
	uint8_t frame[1518];

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	nic_fill(frame, sizeof(frame), 1);
	send_frame(&m, frame, 100, &ask, 1);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	assert_int_equal(nic_last_frame()->vlan, 5 << 13 | 1 << 12 | 0x123);
	assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, back), 100);
	assert_int_equal(nr, 2);
	assert_int_equal(ppi[1].type, RNDIS_PPI_VLAN);
	assert_int_equal(ppi[1].value, ask.value);
	/* In the frame: four bytes more are allowed then, and only then. */
	send_frame(&m, frame, 1518, NULL, 0);
	nic_expect_status(&m, NVS_STATUS_FAILURE);
	frame[12] = 0x81;
	frame[13] = 0;
	send_frame(&m, frame, 1518, NULL, 0);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, back), 1518);
	nic_shut(&m);
	nic_destroy(&m);
}

static void segmentation(void **state)
{
	struct rndis_packet packet;
	struct nic_machine m;
	struct nic_ppi got[4];
	unsigned int nr;
	uint8_t *frame = calloc(1, 70000);

	(void)state;
	assert_non_null(frame);
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int ip6 = 0; ip6 < 2; ip6++) {
		struct nic_ppi ask = { RNDIS_PPI_LSO, 1440 |
			(ip6 ? 54u : 34u) << 20 | 1u << 30 |
			(uint32_t)ip6 << 31 };
		uint32_t header = ip6 ? 74 : 54, payload = 60000, at = 0, n;
		uint32_t size = tcp_frame(frame, ip6, payload);

		send_frame(&m, frame, size, &ask, 1);
		nic_expect_status(&m, NVS_STATUS_SUCCESS);
		assert_int_equal(nic_last_frame()->offload,
				 ip6 ? NIC_LSO6 : NIC_LSO4);
		assert_int_equal(nic_last_frame()->mss, 1440);
		assert_int_equal(nic_last_frame()->header_len, header);
		while ((n = nic_take_frame(&m, &packet, got, &nr, back))) {
			assert_true(n > header && n <= header + 1440);
			assert_int_equal(be32_at(back + header - 16), at);
			assert_memory_equal(back + header, frame + header + at,
					    n - header);
			at += n - header;
		}
		assert_int_equal(at, payload);
	}
	free(frame);
	nic_shut(&m);
	nic_destroy(&m);
}

/* The size of slots follows the MTU; nonsense is the default. */
static void N_03_mtu(void **state)
{
	static const struct {
		uint32_t wire, mtu, slot;
	} cases[] = {
		{ 1514, 1500, 2048 }, { 9014, 9000, 16384 },
		{ 9216, 9000, 16384 }, { 4014, 4000, 8192 },
		{ 3014, 3000, 4096 }, { 100, 1500, 2048 },
		{ 0xffffffff, 1500, 2048 }, { 0, 1500, 2048 },
	};
	struct nic_machine m;
	uint32_t filter = RNDIS_FILTER_DIRECTED;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		nic_create(&m, 2, 1, 9000, NIC_RING_PAGES);
		assert_int_equal(nvs_init(&m, NVS_VERSION_61), 1);
		nvs_config(&m, cases[i].wire);
		assert_int_equal(nvs_receive_buffer(&m, NIC_RECEIVE_PAGES), 1);
		assert_int_equal(m.slot_size, cases[i].slot);
		assert_int_equal(nvs_send_buffer(&m), 1);
		rndis_initialize(&m);
		assert_int_equal(rndis_word(&m, OID_MAXIMUM_FRAME_SIZE),
				 cases[i].mtu);
		rndis_filter(&m, filter);
		nic_round_trip(&m, 0, cases[i].mtu + 14);
		nic_shut(&m);
		nic_destroy(&m);
	}
}

/* What Linux, and FreeBSD, ask. */
static void oids(void **state)
{
	static const uint8_t mac[6] = { 0x00, 0x15, 0x5d, 1, 2, 3 };
	static const uint32_t words[][2] = {
		{ OID_HARDWARE_STATUS, 0 }, { OID_MEDIA_SUPPORTED, 0 },
		{ OID_MEDIA_IN_USE, 0 }, { OID_MAXIMUM_LOOKAHEAD, 1500 },
		{ OID_MAXIMUM_FRAME_SIZE, 1500 },
		{ OID_LINK_SPEED, 100000000 },
		{ OID_TRANSMIT_BUFFER_SPACE, 10 * 6144 },
		{ OID_RECEIVE_BUFFER_SPACE, 512 * 2048 },
		{ OID_TRANSMIT_BLOCK_SIZE, 1514 },
		{ OID_RECEIVE_BLOCK_SIZE, 1514 }, { OID_VENDOR_ID, 0xffffff },
		{ OID_CURRENT_PACKET_FILTER, 13 },
		{ OID_CURRENT_LOOKAHEAD, 1500 },
		{ OID_MAXIMUM_TOTAL_SIZE, 1514 }, { OID_MAC_OPTIONS, 0x249 },
		{ OID_MEDIA_CONNECT_STATUS, 0 },
		{ OID_MAXIMUM_SEND_PACKETS, 8 },
		{ OID_VENDOR_DRIVER_VERSION, 0x10000 },
		{ OID_PHYSICAL_MEDIUM, 0 }, { OID_MAX_LINK_SPEED, 100000000 },
		{ OID_802_3_MAXIMUM_LIST_SIZE, 32 },
		{ OID_802_3_MAC_OPTIONS, 0 },
	};
	struct ndis_rss_capabilities rss;
	struct ndis_offload offload;
	struct nic_machine m;
	const uint8_t *info;
	uint32_t size, word = 77;
	uint64_t count;

	(void)state;
	nic_create(&m, 2, 4, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int i = 0; i < sizeof(words) / sizeof(*words); i++)
		assert_int_equal(rndis_word(&m, words[i][0]), words[i][1]);
	assert_int_equal(rndis_ask(&m, OID_802_3_PERMANENT_ADDRESS, NULL, 0,
				   &info, &size), 0);
	assert_int_equal(size, 6);
	assert_memory_equal(info, mac, 6);
	assert_int_equal(rndis_ask(&m, OID_802_3_CURRENT_ADDRESS, NULL, 0,
				   &info, &size), 0);
	assert_memory_equal(info, mac, 6);
	assert_int_equal(rndis_ask(&m, OID_SUPPORTED_LIST, NULL, 0, &info,
				   &size), 0);
	assert_true(size > 100 && size % 4 == 0);
	for (uint32_t i = 0; i < size / 4; i++) {
		const uint8_t *one;
		uint8_t list[400];
		uint32_t oid, one_size, status;

		/* All that is listed is answered, but for what is only set. */
		memcpy(list, m.control + 24, size);
		memcpy(&oid, list + i * 4, 4);
		status = rndis_ask(&m, oid, NULL, 0, &one, &one_size);
		if (status)
			assert_int_equal(status, RNDIS_STATUS_NOT_SUPPORTED);
		assert_int_equal(rndis_ask(&m, OID_SUPPORTED_LIST, NULL, 0,
					   &info, &size), 0);
	}
	assert_int_equal(rndis_ask(&m, OID_RECEIVE_SCALE_CAPABILITIES, NULL, 0,
				   &info, &size), 0);
	assert_int_equal(size, 18);
	memcpy(&rss, info, 18);
	assert_int_equal(rss.header.type, 0x88);
	assert_int_equal(le32_to_cpu(rss.nr_queues), 4);
	assert_int_equal(le16_to_cpu(rss.nr_entries), 128);
	memset(&offload, 0, sizeof(offload));
	for (unsigned int i = 0; i < 3; i++) {
		static const uint32_t sizes[] = { 112, 144, 156 };

		assert_int_equal(rndis_ask(&m,
			OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &offload,
			sizes[i], &info, &size), 0);
		assert_int_equal(size, sizes[i]);
		memcpy(&offload, info, size);
		assert_int_equal(offload.header.type, 0xa7);
		assert_int_equal(offload.header.revision, i + 1);
		assert_int_equal(le16_to_cpu(offload.header.size), size);
		/* As Linux wants to see them. */
		assert_int_equal(le32_to_cpu(offload.checksum.tx4) & 0x54,
				 0x54);
		assert_int_equal(le32_to_cpu(offload.checksum.tx6) & 0x55,
				 0x55);
		assert_int_equal(le32_to_cpu(offload.lso2.encapsulation4), 2);
		assert_int_equal(le32_to_cpu(offload.lso2.options6) & 5, 5);
		assert_int_equal(le32_to_cpu(offload.lso2.max_size4), 62780);
	}
	assert_int_equal(rndis_ask(&m, OID_LINK_STATE, NULL, 0, &info, &size),
			 0);
	assert_int_equal(size, sizeof(struct ndis_link_state));
	assert_int_equal(rndis_ask(&m, OID_FRIENDLY_NAME, NULL, 0, &info,
				   &size), 0);
	assert_int_equal(info[0], 'P');
	assert_int_equal(rndis_ask(&m, OID_VENDOR_DESCRIPTION, NULL, 0, &info,
				   &size), 0);
	assert_int_equal(rndis_ask(&m, OID_DRIVER_VERSION, NULL, 0, &info,
				   &size), 0);
	assert_int_equal(size, 2);
	nic_round_trip(&m, 0, 100);
	assert_int_equal(rndis_ask(&m, OID_XMIT_OK, NULL, 0, &info, &size), 0);
	memcpy(&count, info, 8);
	assert_int_equal(count, 1);
	assert_int_equal(rndis_ask(&m, 0xff0000ff, NULL, 0, &info, &size),
			 RNDIS_STATUS_NOT_SUPPORTED);
	assert_int_equal(size, 0);
	assert_int_equal(rndis_put(&m, OID_CURRENT_LOOKAHEAD, &word, 4), 0);
	assert_int_equal(rndis_word(&m, OID_CURRENT_LOOKAHEAD), 77);
	assert_int_equal(rndis_put(&m, OID_802_3_MULTICAST_LIST, mac, 6), 0);
	assert_int_equal(rndis_put(&m, OID_OFFLOAD_ENCAPSULATION, mac, 6), 0);
	assert_int_equal(rndis_put(&m, OID_NETWORK_LAYER_ADDRESSES, mac, 6),
			 0);
	assert_int_equal(rndis_put(&m, OID_VENDOR_ID, mac, 4),
			 RNDIS_STATUS_NOT_SUPPORTED);
	nic_shut(&m);
	nic_destroy(&m);
}

/* Offloads that are switched off are not reported for frames that come. */
static void offload_parameters(void **state)
{
	uint8_t off[28] = { NDIS_OBJECT_DEFAULT, 3, 28, 0, 1, 1, 1, 1, 1, 0, 0,
			    1, 1 };
	struct nic_ppi ask = { RNDIS_PPI_CHECKSUM, RNDIS_TX_IP4 |
			       RNDIS_TX_TCP | 34 << 16 };
	struct rndis_indicate indicate;
	struct ndis_offload offload;
	struct rndis_packet packet;
	struct nic_machine m;
	struct nic_ppi ppi[4];
	const uint8_t *info;
	unsigned int nr;
	uint32_t size;
	uint8_t frame[200];

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	assert_int_equal(rndis_put(&m, OID_TCP_OFFLOAD_PARAMETERS, off,
				   sizeof(off)), 0);
	memcpy(&indicate, m.control, sizeof(indicate));
	assert_int_equal(le32_to_cpu(indicate.header.type), RNDIS_INDICATE);
	assert_int_equal(le32_to_cpu(indicate.status), 0x40020006);
	assert_int_equal(m.control_size, sizeof(indicate) + 156);
	assert_int_equal(rndis_ask(&m, OID_TCP_OFFLOAD_CURRENT_CONFIG, NULL, 0,
				   &info, &size), 0);
	memcpy(&offload, info, sizeof(offload));
	assert_int_equal(le32_to_cpu(offload.checksum.tx4), 0);
	assert_int_equal(le32_to_cpu(offload.lso2.encapsulation4), 0);
	size = tcp_frame(frame, false, 100);
	send_frame(&m, frame, size, &ask, 1);
	nic_expect_status(&m, NVS_STATUS_SUCCESS);
	assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, back), size);
	assert_int_equal(ppi[0].value, 0);
	memset(off + 4, 4, 5);
	off[11] = off[12] = 2;
	assert_int_equal(rndis_put(&m, OID_TCP_OFFLOAD_PARAMETERS, off,
				   sizeof(off)), 0);
	send_frame(&m, frame, size, &ask, 1);
	assert_int_equal(nic_take_frame(&m, &packet, ppi, &nr, back), size);
	assert_int_equal(ppi[0].value, RNDIS_RX_TCP_GOOD);
	assert_int_equal(rndis_put(&m, OID_TCP_OFFLOAD_PARAMETERS, off, 12),
			 RNDIS_STATUS_INVALID_DATA);
	nic_shut(&m);
	nic_destroy(&m);
}

static void other_messages(void **state)
{
	struct rndis_request request = {
		.header.type = cpu_to_le32(RNDIS_KEEPALIVE),
		.header.length = cpu_to_le32(sizeof(request)),
		.id = cpu_to_le32(99),
	};
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SWITCH_DATA_PATH),
	}, reply;
	struct nic_machine m;
	uint32_t word[4];

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	assert_int_equal(rndis_send(&m, &request, sizeof(request), 0), 1);
	memcpy(word, m.control, 16);
	assert_int_equal(m.control_size, 16);
	assert_int_equal(word[0], 0x80000008);
	assert_int_equal(word[2], 99);
	assert_int_equal(word[3], 0);
	request.header.type = cpu_to_le32(RNDIS_RESET);
	assert_int_equal(rndis_send(&m, &request, sizeof(request), 0), 1);
	memcpy(word, m.control, 16);
	assert_int_equal(word[0], 0x80000006);
	assert_int_equal(word[2], 0);
	/* Nothing in the answer. */
	assert_int_equal(nvs_ask(&m, &message, NULL, &reply), 0);
	message.type = cpu_to_le32(NVS_OID_QUERY);
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(le32_to_cpu(reply.type), NVS_OID_QUERY_COMPLETE);
	assert_int_equal(le32_to_cpu(reply.complete.status), 0xc00000bb);
	nic_round_trip(&m, 0, 100);
	nic_shut(&m);
	nic_destroy(&m);
}

/* The ring to the guest. */

static uint32_t out_word(struct nic_machine *m, uint32_t offset)
{
	const uint8_t *page = guest_page(m->g, m->ch[0].pfn[m->ch[0].split]);
	le32 word;

	memcpy(&word, page + offset, sizeof(word));
	return le32_to_cpu(word);
}

/* Leaves room for an answer, but not for a frame or a table, too. */
static void fill(struct nic_machine *m)
{
	const struct nvs_message query = { .type = cpu_to_le32(NVS_OID_QUERY) };
	const uint32_t completion = ring_packet_space(0, NVS_SIZE_61);
	uint32_t room;

	do {
		nvs_send(m, 0, &query, NULL);
		room = m->ch[0].ring.in.size - 8 -
		       out_word(m, RING_IN) + out_word(m, RING_OUT);
		room %= m->ch[0].ring.in.size;
	} while (room >= 4 * completion);
	assert_int_equal(room, 3 * completion + 56);
}

/* Who waits for room is told of it, whoever else can do with less. */
static void waits_for_room(void **state)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SUBCHANNEL),
		.subchannel.operation = cpu_to_le32(NVS_SUBCHANNEL_ALLOCATE),
		.subchannel.count = cpu_to_le32(1),
	}, reply;
	uint8_t frame[100];
	struct nic_machine m;
	uint32_t size;

	(void)state;
	nic_create(&m, 2, 2, 0, 5);
	nic_up(&m, NVS_VERSION_61, 0);
	fill(&m);
	nic_fill(frame, sizeof(frame), 1);
	size = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	nic_send_section(&m, 0, 0, bytes, size);
	assert_int_not_equal(out_word(&m, RING_PENDING_SEND_SIZE), 0);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_frames, 1);
	m.nr_frames = m.nr_completions = 0;
	/* The indirection table. */
	nvs_ask(&m, &message, NULL, &reply);
	assert_int_equal(guest_expect(m.g, VMBUS_OFFER_CHANNEL, &m.offer[1],
				      sizeof(m.offer[1])), 0);
	fill(&m);
	assert_int_equal(guest_open(m.g, &m.offer[1], NIC_RING_PAGES, 1,
				    &m.ch[1]), 0);
	m.nr_channels = 2;
	assert_int_not_equal(out_word(&m, RING_PENDING_SEND_SIZE), 0);
	assert_false(m.has_table);
	nic_pump(&m, 0);
	assert_true(m.has_table);
	nic_shut(&m);
	nic_destroy(&m);
}

/* A backend during whose tx() the guest reads all there is, and has yet to look
 * whether it was asked for room. */
static struct {
	struct nic_machine *m;
	const struct nic_ops *real;
	struct nic_ops ops;
} reader;

static unsigned int read_and_send(struct nic_queue *queue,
				  const struct nic_frame *frames,
				  unsigned int nr)
{
	struct guest_channel *ch = &reader.m->ch[0];
	uint8_t *page = guest_page(ch->g, ch->pfn[ch->split]);
	uint32_t asked;

	memcpy(&asked, page + RING_PENDING_SEND_SIZE, sizeof(asked));
	memset(page + RING_PENDING_SEND_SIZE, 0, sizeof(asked));
	nic_pump(reader.m, 0);
	memcpy(page + RING_PENDING_SEND_SIZE, &asked, sizeof(asked));
	return reader.real->tx(queue, frames, nr);
}

/* A packet that stays in the ring for want of room is taken when the guest is
 * heard of, which it was asked for; a frame that waits for it, too, takes that
 * from nobody. */
static void waits_for_room_to_answer(void **state)
{
	struct nic_machine m;
	uint8_t frame[100];
	uint32_t size;

	(void)state;
	nic_create(&m, 2, 1, 0, 5);
	nic_up(&m, NVS_VERSION_61, 0);
	fill(&m);
	nic_fill(frame, sizeof(frame), 1);
	size = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	nic_send_section(&m, 0, 0, bytes, size);
	reader.m = &m;
	reader.real = m.nic->ops;
	reader.ops = *m.nic->ops;
	reader.ops.tx = read_and_send;
	m.nic->ops = &reader.ops;
	nic_hold(&m, false, false, true);
	m.g->manual = true;
	for (unsigned int i = 0; i < 3; i++)
		nic_send_section(&m, 0, i, bytes, size);
	reactor_inline_drain();
	m.g->manual = false;
	m.nic->ops = reader.real;
	assert_int_equal(nic_held_frames(), 1);
	assert_int_not_equal(out_word(&m, RING_PENDING_SEND_SIZE), 0);
	assert_int_equal(guest_signal(&m.ch[0]), 0);
	assert_int_equal(nic_held_frames(), 3);
	nic_let_go(&m);
	nic_pump(&m, 0);
	assert_int_equal(m.nr_frames, 1); /* those that were held are lost */
	nic_shut(&m);
	nic_destroy(&m);
}

static struct nic_machine *inspected_machine;

static void describe(void *object, struct inspect *out)
{
	struct vmbus_device *dev =
		(struct vmbus_device *)inspected_machine->netvsp;

	(void)object;
	dev->ops->inspect(dev, out);
}

static uint64_t inspected_value(const char *path)
{
	char json[64];

	assert_true(inspect_render(path, 1, json, sizeof(json)) > 0);
	return strtoull(json, NULL, 10);
}

static void inspected(void **state)
{
	static struct inspect_entry entry = {
		.name = "netvsp", .describe = describe,
	};
	struct nic_machine m;
	char json[8192];

	(void)state;
	nic_create(&m, 2, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	nic_round_trip(&m, 0, 100);
	inspected_machine = &m;
	inspect_register(&entry);
	assert_true(inspect_render("netvsp", 9, json, sizeof(json)) > 0);
	assert_non_null(strstr(json, "00:15:5d:01:02:03"));
	assert_int_equal(inspected_value("netvsp/channel0/tx_frames"), 1);
	assert_int_equal(inspected_value("netvsp/channel0/tx_bytes"), 100);
	assert_int_equal(inspected_value("netvsp/channel0/rx_frames"), 1);
	assert_int_equal(inspected_value("netvsp/loopback/tx_frames"), 1);
	assert_int_equal(inspected_value("netvsp/loopback/queues"), 1);
	assert_int_equal(inspected_value("netvsp/slots"), 512);
	inspect_list_check("netvsp", "vmbus/channels/1");
	inspect_list_complete("vmbus/channels/<n>/loopback/");
	nic_shut(&m);
	nic_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_version),
		cmocka_unit_test(N_05_send_section_and_pages),
		cmocka_unit_test(packed),
		cmocka_unit_test(checksums),
		cmocka_unit_test(vlan),
		cmocka_unit_test(segmentation),
		cmocka_unit_test(N_03_mtu),
		cmocka_unit_test(oids),
		cmocka_unit_test(offload_parameters),
		cmocka_unit_test(other_messages),
		cmocka_unit_test(waits_for_room),
		cmocka_unit_test(waits_for_room_to_answer),
		cmocka_unit_test(inspected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
