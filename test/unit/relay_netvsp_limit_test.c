/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * Rate limits of a NIC, by a clock that the test sets: the rate is within 5 %,
 * what is sent above it waits and is not lost, what comes above it is dropped
 * and counted, and no channel starves another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/netvsp_state.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

#define MS 1000000ull
#define FRAME 1514u

static uint32_t message_bytes;
static uint64_t sent;

/* Left in a ring, to give packets back. */
#define ROOM 12288

/* One frame, which lies in the first section of the send buffer: false, the
 * ring is full. */
static bool send_one(struct nic_machine *m, unsigned int channel)
{
	const struct nvs_message nvs = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.section = cpu_to_le32(0),
		.rndis.section_size = cpu_to_le32(message_bytes),
	};

	if (!ring_has_room(&m->ch[channel].ring, ROOM))
		return false;
	sent++;
	return !guest_send(&m->ch[channel], RING_PACKET_INBAND,
			   RING_FLAG_COMPLETION_REQUESTED, ++m->transaction,
			   NULL, 0, &nvs, m->message_size);
}

/* Looks at nothing; how many frames came. */
static unsigned int pump(struct nic_machine *m)
{
	unsigned int frames = 0;

	for (unsigned int i = 0; i < m->nr_channels; i++) {
		nic_pump(m, i);
		frames += m->nr_frames;
		m->nr_frames = m->nr_completions = 0;
	}
	return frames;
}

static void begin(struct nic_machine *m, unsigned int channels)
{
	static uint8_t frame[FRAME], bytes[1600];

	nic_create(m, channels, (uint16_t)channels, 0, NIC_RING_PAGES);
	nic_up(m, NVS_VERSION_61, channels - 1);
	nic_fill(frame, sizeof(frame), 1);
	message_bytes = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	nic_send_section(m, 0, 0, bytes, message_bytes);
	pump(m);
	sent = 1;
}

static void end(struct nic_machine *m)
{
	nic_shut(m);
	nic_destroy(m);
}

static uint64_t count_of(struct nic_machine *m, unsigned int channel)
{
	return netvsp_channel(m->netvsp, channel)->count.tx_bytes;
}

/* All channels always have something to send. */
static void run_full(struct nic_machine *m, uint64_t ns, uint64_t step)
{
	for (uint64_t t = 0; t < ns; t += step) {
		for (unsigned int i = 0; i < m->nr_channels; i++)
			while (send_one(m, i))
				;
		reactor_inline_advance(step);
		pump(m);
	}
}

static void expect_rate(uint64_t bytes, uint64_t ns, uint32_t mbps)
{
	uint64_t kbps = bytes * 8000000 / ns;

	print_message("# %u Mbit/s: %llu kbit/s\n", mbps,
		      (unsigned long long)kbps);
	assert_in_range(kbps, mbps * 950ull, mbps * 1050ull);
}

/* No more, no less; a timer for many packets; without a limit none. */
static void sends(void **state)
{
	static const struct {
		uint32_t mbps;
		uint64_t ns, step;
	} runs[] = {
		{ 10, 4000 * MS, MS }, { 100, 1000 * MS, MS },
		{ 1000, 300 * MS, MS },
	};
	struct nic_machine m;
	const struct netvsp_counters *count;

	(void)state;
	begin(&m, 1);
	count = &netvsp_channel(m.netvsp, 0)->count;
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t bytes, waits, frames;

		netvsp_limit(m.netvsp, runs[i].mbps, 0);
		run_full(&m, 200 * MS, MS);
		bytes = count->tx_bytes;
		waits = count->tx_limited;
		frames = count->tx_frames;
		run_full(&m, runs[i].ns, runs[i].step);
		expect_rate(count->tx_bytes - bytes, runs[i].ns, runs[i].mbps);
		waits = count->tx_limited - waits;
		assert_in_range(waits, 1, (count->tx_frames - frames) / 20);
	}
	/* It is let go: what waits goes, none is lost. */
	netvsp_limit(m.netvsp, 0, 0);
	for (unsigned int i = 0; i < 20; i++) {
		reactor_inline_advance(10 * MS);
		pump(&m);
	}
	assert_false(netvsp_channel(m.netvsp, 0)->held);
	assert_int_equal(count->tx_frames, sent);
	assert_int_equal(count->tx_lost + count->tx_failed + count->rx_limited,
			 0);
	end(&m);
}

/* Four channels share a rate, and each has its part. */
static void shares(void **state)
{
	uint64_t before[4], bytes[4], all = 0;
	struct nic_machine m;

	(void)state;
	begin(&m, 4);
	netvsp_limit(m.netvsp, 100, 0);
	run_full(&m, 200 * MS, MS);
	for (unsigned int i = 0; i < 4; i++)
		before[i] = count_of(&m, i);
	run_full(&m, 2000 * MS, MS);
	for (unsigned int i = 0; i < 4; i++)
		all += bytes[i] = count_of(&m, i) - before[i];
	expect_rate(all, 2000 * MS, 100);
	for (unsigned int i = 0; i < 4; i++) {
		print_message("# channel %u: %llu %%\n", i,
			      (unsigned long long)(bytes[i] * 100 / all));
		assert_true(bytes[i] > all / 8);
	}
	end(&m);
}

/* Three times as much as may comes in: the rate passes, the rest is counted,
 * and slots come back. */
static void receives(void **state)
{
	static const uint32_t rates[] = { 10, 100, 1000 };
	const struct netvsp_counters *count;
	struct nic_machine m;

	(void)state;
	begin(&m, 1);
	count = &netvsp_channel(m.netvsp, 0)->count;
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t ns = 3000 * MS / rates[i] * 10, owed = 0, dropped = 0;
		unsigned int came = 0;

		netvsp_limit(m.netvsp, 0, rates[i]);
		for (uint64_t t = 0; t < ns + 300 * MS; t += MS / 4) {
			if (t == 300 * MS) {
				came = 0;
				sent = 0;
				dropped = count->rx_limited;
			}
			owed += 3ull * rates[i] * 1000 / 8 / 4;
			for (; owed >= FRAME; owed -= FRAME)
				assert_true(send_one(&m, 0));
			reactor_inline_advance(MS / 4);
			came += pump(&m);
		}
		expect_rate((uint64_t)came * FRAME, ns, rates[i]);
		assert_int_equal(count->rx_limited - dropped, sent - came);
	}
	assert_int_equal(count->tx_limited, 0);
	netvsp_limit(m.netvsp, 0, 0);
	nic_round_trip(&m, 0, FRAME);
	end(&m);
}

/* A channel that waits may close, and open again; control is heard. */
static void waits_and_closes(void **state)
{
	struct nic_machine m;

	(void)state;
	begin(&m, 1);
	netvsp_limit(m.netvsp, 10, 10);
	run_full(&m, 150 * MS, MS);
	assert_true(netvsp_channel(m.netvsp, 0)->held);
	assert_true(netvsp_channel(m.netvsp, 0)->limit_timer.armed);
	end(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends),
		cmocka_unit_test(shares),
		cmocka_unit_test(receives),
		cmocka_unit_test(waits_and_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
