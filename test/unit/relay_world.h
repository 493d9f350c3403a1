/* SPDX-License-Identifier: MIT */
/*
 * A small world for tests of the VMBus server: a guest of four VPs, and two
 * devices that send back what they get. Failures are cmocka's.
 */
#ifndef TEST_RELAY_WORLD_H
#define TEST_RELAY_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "test/guest_driver/guest_driver.h"

#define MS 1000000ull
#define RAM_PAGES 4096

struct echo {
	struct vmbus_device dev; /* first */
	unsigned int opened, ran, closed, revoked;
	int open_error;
	bool slow;   /* closing channels wait for echo_let_go() */
	bool touchy; /* an empty packet is a violation */
	unsigned int subchannels; /* offered when the primary runs first */
	struct vmbus_channel *last_opened;
	struct vmbus_channel *closing[8];
	unsigned int nr_closing;
};

struct echo echo_device(uint8_t number);
/* Lets go of what is closing, and drains the reactors. */
void echo_let_go(struct echo *echo);

struct world {
	struct guest_driver *g;
	struct echo a, b; /* channels 1 and 2 */
	struct vmbus_offer_channel offer[8];
	unsigned int nr_offers;
};

/* A connected guest that has its offers. */
void world_begin(struct world *w, uint32_t version);
void world_request_offers(struct world *w);
/* Whatever happened: all can be taken back, and no guest memory is held. */
void world_end(struct world *w);

void expect_nothing(struct guest_driver *g);
void expect_rescind(struct guest_driver *g, uint32_t id);
/* A packet goes to the device and comes back. */
void expect_echo(struct guest_channel *ch, uint64_t transaction);
/* One violation more than `before`, with this rule. */
void expect_violation(uint64_t before, const char *rule);
/* REL_ID_RELEASED */
int guest_release(struct guest_driver *g, uint32_t id);

#endif
