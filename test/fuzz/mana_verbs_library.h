/* SPDX-License-Identifier: MIT */
/*
 * libibverbs, libmana and a netlink socket as target mana_verbs plays them: an
 * input decides what their calls answer.
 */
#ifndef TEST_FUZZ_MANA_VERBS_LIBRARY_H
#define TEST_FUZZ_MANA_VERBS_LIBRARY_H

#include <stdbool.h>
#include <stdint.h>

#include "test/fuzz/fuzz.h"

#define MAX_OBJECTS 192
#define RING 8192u /* bytes of a ring */
#define FD 77 /* of the device's events, of the socket; channels have 78 */
#define IFINDEX 17u

enum kind { CONTEXT = 1, PD, MR, CHANNEL, CQ, SQ, WQ, TABLE, RSS };

struct mana_verbs_library {
	struct fuzz_input *input;
	unsigned int nr_objects; /* made so far */
	unsigned int lists, async_events; /* taken, not given back */
	bool stuck; /* a destroying call failed: its object remains */
	bool ended; /* a channel said something that is not "no more" */
};

extern struct mana_verbs_library library;
extern uint8_t library_page[4096]; /* of doorbells */

void library_begin(struct fuzz_input *in);
/* The next byte of the input; behind its end 0, which is good. */
uint8_t library_outcome(void);
/* Objects of a kind that exist. */
unsigned int library_count(enum kind kind);
bool library_is_open(void);

#endif
