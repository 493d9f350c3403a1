/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * Who listens to a NIC: what comes of it is pcap, all of it and in order, until
 * there is no room, which neither the guest nor its frames notice.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/capture.h>

#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

struct begun {
	struct nic_machine *m;
	uint32_t snaplen;
	struct capture *c;
	int result;
};

static void begin_on(void *arg)
{
	struct begun *begun = arg;

	begun->result = netvsp_capture(begun->m->netvsp, begun->snaplen,
				       &begun->c);
}

static int begin(struct nic_machine *m, uint32_t snaplen, struct capture **c)
{
	struct begun begun = { m, snaplen, NULL, 0 };

	reactor_run(m->g->reactor[0], begin_on, &begun);
	*c = begun.c;
	return begun.result;
}

/* All there is, so many bytes at a time. */
static uint8_t stream[3 << 20];

static uint32_t read_all(struct capture *c, uint32_t piece)
{
	uint32_t len = 0;
	int n;

	while ((n = c->ops->read(c, stream + len, piece)) > 0) {
		len += (uint32_t)n;
		assert_true(len + piece <= sizeof(stream));
	}
	return len;
}

static uint32_t word(uint32_t at)
{
	uint32_t value;

	memcpy(&value, stream + at, sizeof(value));
	return value;
}

static void expect_header(uint32_t snaplen)
{
	assert_int_equal(word(0), 0xa1b2c3d4);
	assert_int_equal(word(4), 4 << 16 | 2);
	assert_int_equal(word(16), snaplen);
	assert_int_equal(word(20), 1);
}

/* A frame of nic_round_trip() at a place of the stream; the next one. */
static uint32_t expect_frame(uint32_t at, uint32_t size, uint32_t snaplen)
{
	uint32_t included = size < snaplen ? size : snaplen;
	static uint8_t frame[9100];

	assert_int_equal(word(at + 8), included);
	assert_int_equal(word(at + 12), size);
	nic_fill(frame, size, (uint8_t)size);
	assert_memory_equal(stream + at + 16, frame, included);
	return at + 16 + included;
}

/* Each frame as it is sent and as it comes, whatever the reader's pieces. */
static void all_of_it(void **state)
{
	static const uint32_t sizes[] = { 60, 1514, 14, 9014, 5000, 61 };
	struct nic_machine m;
	struct capture *c, *other;
	uint32_t at = 24, len;

	(void)state;
	nic_create(&m, 2, 4, 9000, NIC_RING_PAGES);
	nvs_init(&m, NVS_VERSION_61);
	nvs_config(&m, 9014);
	nic_up(&m, 0, 1);
	nic_round_trip(&m, 0, 100);
	assert_int_equal(begin(&m, 0, &c), 0);
	assert_int_equal(begin(&m, 0, &other), -EBUSY);
	for (unsigned int i = 0; i < 6; i++)
		nic_round_trip(&m, i % 2, sizes[i]);
	len = read_all(c, 7);
	expect_header(65535);
	for (unsigned int i = 0; i < 12; i++)
		at = expect_frame(at, sizes[i / 2], 65535);
	assert_int_equal(at, len);
	/* Later ones follow. */
	nic_round_trip(&m, 1, 200);
	len = read_all(c, 4096);
	at = expect_frame(expect_frame(0, 200, 65535), 200, 65535);
	assert_int_equal(at, len);
	nic_shut(&m);
	nic_destroy(&m);
	assert_int_equal(c->ops->read(c, stream, 10), -ENODEV);
	c->ops->stop(c);
}

/* A tag beside the frame is in it. */
static void tags(void **state)
{
	static uint8_t frame[1514], bytes[1600];
	/* Priority 5, VID 0x123, as RNDIS has it. */
	const struct nic_ppi tag = { RNDIS_PPI_VLAN, 0x1235 };
	struct nic_machine m;
	struct capture *c;
	uint32_t size, at = 24;

	(void)state;
	nic_create(&m, 1, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	assert_int_equal(begin(&m, 0, &c), 0);
	nic_fill(frame, sizeof(frame), 3);
	size = rndis_frame(bytes, frame, sizeof(frame), &tag, 1, 0);
	nic_send_section(&m, 0, 0, bytes, size);
	nic_pump(&m, 0);
	assert_int_equal(read_all(c, 1000), 24 + 2 * (16 + 1518));
	for (unsigned int i = 0; i < 2; i++, at += 16 + 1518) {
		assert_int_equal(word(at + 8), 1518);
		assert_memory_equal(stream + at + 16, frame, 12);
		assert_memory_equal(stream + at + 28, "\x81\x00\xa1\x23", 4);
		assert_memory_equal(stream + at + 32, frame + 12, 1502);
	}
	c->ops->stop(c);
	nic_shut(&m);
	nic_destroy(&m);
}

/* Nobody reads: the first megabyte stays, the rest is dropped, frames pass; and
 * a listener that ends and another that begins has what comes then. */
static void drops(void **state)
{
	struct nic_machine m;
	struct capture *c;
	uint32_t len, at = 24, frames = 0;

	(void)state;
	nic_create(&m, 1, 1, 0, NIC_RING_PAGES);
	nic_up(&m, NVS_VERSION_61, 0);
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(begin(&m, 0, &c), 0);
		for (unsigned int i = 0; i < 600; i++)
			nic_round_trip(&m, 0, 900 + i);
		len = read_all(c, 4096);
		expect_header(65535);
		for (at = 24, frames = 0; at < len; frames++)
			at = expect_frame(at, 900 + frames / 2, 65535);
		assert_int_equal(at, len);
		assert_in_range(len, (1 << 20) - (1 << 16), 1 << 20);
		assert_in_range(frames, 700, 1100);
		/* Room again. */
		nic_round_trip(&m, 0, 60);
		assert_int_equal(read_all(c, 4096), 2 * 76);
		/* Left behind. */
		nic_round_trip(&m, 0, 60);
		c->ops->stop(c);
		nic_round_trip(&m, 0, 60);
	}
	assert_int_equal(begin(&m, 100, &c), 0);
	nic_round_trip(&m, 0, 1000);
	nic_round_trip(&m, 0, 60);
	len = read_all(c, 64);
	expect_header(100);
	at = expect_frame(expect_frame(24, 1000, 100), 1000, 100);
	at = expect_frame(expect_frame(at, 60, 100), 60, 100);
	assert_int_equal(at, len);
	c->ops->stop(c);
	nic_shut(&m);
	nic_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it),
		cmocka_unit_test(tags),
		cmocka_unit_test(drops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
