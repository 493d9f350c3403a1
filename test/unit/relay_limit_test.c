/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * As many channels as one SINT has event flags: 2047, and not one more.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_world.h"
#include "test/unit/stderr_capture.h"

#define MOST 2047u
#define CPU_SECONDS 10 /* with sanitizers; it takes half of one */

struct crowd {
	struct guest_driver *g;
	struct echo echo[MOST + 1];
	struct vmbus_offer_channel offer[MOST];
};

/* Offers them all; one more finds no place, and takes none. */
static void offer_all(struct crowd *c)
{
	for (uint32_t i = 0; i <= MOST; i++) {
		c->echo[i] = echo_device(0);
		c->echo[i].dev.order = (uint16_t)i;
		c->echo[i].dev.instance.b[0] = (uint8_t)i;
		c->echo[i].dev.instance.b[1] = (uint8_t)(i >> 8);
		assert_int_equal(vmbus_offer(c->g->server, &c->echo[i].dev),
				 i < MOST ? 0 : -ENOSPC);
	}
	assert_null(c->echo[MOST].dev.server);
}

/* The guest was told of each once, by the ids 1 to 2047 in their order. */
static void expect_ids(const struct crowd *c)
{
	for (uint32_t i = 0; i < MOST; i++) {
		assert_int_equal(le32_to_cpu(c->offer[i].channel), i + 1);
		assert_int_equal(c->offer[i].instance.b[0], (uint8_t)i);
		assert_int_equal(c->offer[i].instance.b[1], i >> 8);
	}
}

static void take_late_offers(struct crowd *c)
{
	for (uint32_t i = 0; i < MOST; i++)
		assert_int_equal(guest_expect(c->g, VMBUS_OFFER_CHANNEL,
					      &c->offer[i],
					      sizeof(c->offer[i])), 0);
	expect_nothing(c->g);
}

/* The last one works, with the last of the flags. Its device wants one channel
 * more: the server says in one line that there is none. */
static void use_the_last(struct crowd *c)
{
	struct echo *last = &c->echo[MOST - 1];
	struct guest_channel ch;
	const char *said;
	int err;

	last->dev.max_subchannels = last->subchannels = 1;
	capture_stderr();
	err = guest_open(c->g, &c->offer[MOST - 1], 2, 1, &ch);
	said = captured_stderr();
	assert_int_equal(err, 0);
	assert_int_equal(last->ran, 1);
	assert_non_null(strstr(said, "channel 2047: no sub-channel 1 left"));
	assert_true(is_one_line(said));
	expect_nothing(c->g);
	for (uint64_t i = 0; i < 100; i++)
		expect_echo(&ch, i);
	assert_int_equal(c->g->signal_flag, MOST);
	assert_int_equal(c->g->signal_vp, 1);
	assert_int_equal(guest_shut(&ch), 0);
	assert_int_equal(last->closed, 1);
}

static void revoke_all(struct crowd *c)
{
	for (uint32_t i = 0; i < MOST; i++) {
		vmbus_revoke(&c->echo[i].dev);
		reactor_inline_drain();
		assert_int_equal(c->echo[i].revoked, 1);
	}
	assert_int_equal(c->g->memory.holds, 0);
}

/* Until the guest lets go of an id, it is nobody else's. */
static void release_all(struct crowd *c)
{
	struct echo late = echo_device(0);

	for (uint32_t i = 0; i < MOST; i++)
		expect_rescind(c->g, i + 1);
	assert_int_equal(vmbus_offer(c->g->server, &late.dev), -ENOSPC);
	for (uint32_t i = 0; i < MOST; i++)
		assert_int_equal(guest_release(c->g, i + 1), 0);
	expect_nothing(c->g);
}

static void W_32_2047_channels(void **state)
{
	struct crowd *c = calloc(1, sizeof(*c));
	uint64_t before = violation_count();
	clock_t start = clock();
	unsigned int n;

	(void)state;
	assert_non_null(c);
	c->g = guest_driver_create(64, 2, 0);
	offer_all(c);
	assert_int_equal(guest_contact(c->g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(guest_request_offers(c->g, &n, c->offer, MOST), 0);
	assert_int_equal(n, MOST);
	expect_ids(c);
	use_the_last(c);
	revoke_all(c);
	release_all(c);
	/* Nothing was kept: the same once more, in the same connection. */
	offer_all(c);
	take_late_offers(c);
	expect_ids(c);
	use_the_last(c);
	assert_int_equal(guest_unload(c->g), 0);
	revoke_all(c);
	expect_nothing(c->g);
	assert_int_equal(violation_count(), before);
	guest_driver_destroy(c->g);
	free(c);
	assert_in_range((clock() - start) / CLOCKS_PER_SEC, 0,
			CPU_SECONDS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W_32_2047_channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
