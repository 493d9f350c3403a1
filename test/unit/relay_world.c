/* SPDX-License-Identifier: MIT */
/*
 * Relay test world, theory of operation
 *
 * The echo device answers each packet by a completion with the same payload,
 * in batches, keeps what finds no room, and checks that it is called on its
 * channel's reactor. The rest is what several tests say in the same words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_world.h"

struct echo_channel {
	struct echo *echo;
	bool holding; /* `packet` waits for room */
	struct ring_packet packet;
	_Alignas(8) uint8_t bytes[RING_MAX_PACKET];
};

static int echo_open(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	struct echo *echo = (struct echo *)dev;
	struct echo_channel *open;

	assert_true(reactor_is_current(ch->reactor));
	if (echo->open_error)
		return echo->open_error;
	open = calloc(1, sizeof(*open));
	assert_non_null(open);
	open->echo = echo;
	echo->opened++;
	echo->last_opened = ch;
	ch->opaque = open;
	return 0;
}

/* Answers packets until there is none, or no room: 0, or -EPROTO with the rule
 * that was broken. */
static int echo_answer(struct vmbus_channel *ch, const char **rule)
{
	struct echo_channel *open = ch->opaque;
	struct ring_packet *packet = &open->packet;
	int err = 0;

	while (!err) {
		if (!open->holding)
			err = ring_read(&ch->ring, open->bytes,
					sizeof(open->bytes), packet);
		if (err)
			break;
		*rule = "packet not empty";
		if (open->echo->touchy && !packet->payload_size)
			return -EPROTO;
		err = ring_write(&ch->ring, RING_PACKET_COMPLETION, 0,
				 packet->transaction, NULL, 0, packet->payload,
				 packet->payload_size);
		open->holding = err;
	}
	*rule = ch->ring.broken;
	return err == -EAGAIN ? 0 : err;
}

static void echo_run(struct vmbus_channel *ch)
{
	struct echo_channel *open = ch->opaque;
	struct echo *echo = open->echo;
	const char *rule;
	bool more, signal;

	assert_true(reactor_is_current(ch->reactor));
	if (!ch->sub_index && !echo->ran++ && echo->subchannels)
		vmbus_offer_subchannels(&echo->dev, echo->subchannels);
	do {
		if (echo_answer(ch, &rule)) {
			assert_non_null(rule);
			vmbus_channel_violation(ch, open->packet.type, 0,
						ch->ring.broken_value, rule);
			return;
		}
		signal = ring_write_end(&ch->ring);
		signal |= ring_read_end(&ch->ring, &more);
		if (signal)
			vmbus_channel_signal(ch);
		/* Room, too, is signalled. */
	} while (more && !open->holding);
}

static void echo_close(struct vmbus_channel *ch)
{
	struct echo_channel *open = ch->opaque;
	struct echo *echo = open->echo;

	assert_true(reactor_is_current(ch->reactor));
	free(open);
	echo->closed++;
	if (!echo->slow) {
		vmbus_channel_closed(ch);
		return;
	}
	assert_in_range(echo->nr_closing, 0, 7);
	echo->closing[echo->nr_closing++] = ch;
}

void echo_let_go(struct echo *echo)
{
	while (echo->nr_closing)
		vmbus_channel_closed(echo->closing[--echo->nr_closing]);
	reactor_inline_drain();
}

static void echo_revoked(struct vmbus_device *dev)
{
	((struct echo *)dev)->revoked++;
}

static const struct vmbus_device_ops echo_ops = {
	.name = "echo",
	.open = echo_open,
	.run = echo_run,
	.close = echo_close,
};

struct echo echo_device(uint8_t number)
{
	return (struct echo){ .dev = {
		.ops = &echo_ops,
		.interface = GUID_INIT(0xec400000, 1, 2, 3, 4, 5, 6, 7, 8, 9,
				       10),
		.instance = { { number } },
		.user_data = { 0xd0, number },
		.revoked = echo_revoked,
	} };
}

void world_request_offers(struct world *w)
{
	assert_int_equal(guest_request_offers(w->g, &w->nr_offers, w->offer,
					      8), 0);
}

void world_begin(struct world *w, uint32_t version)
{
	*w = (struct world){ .a = echo_device(1), .b = echo_device(2) };
	w->g = guest_driver_create(RAM_PAGES, 4, 0);
	assert_int_equal(vmbus_offer(w->g->server, &w->a.dev), 0);
	assert_int_equal(vmbus_offer(w->g->server, &w->b.dev), 0);
	assert_int_equal(guest_contact(w->g, version, 1, 0), 0);
	world_request_offers(w);
	assert_int_equal(w->nr_offers, 2);
}

static void take_back(void *arg)
{
	struct world *w = arg;

	if (w->a.dev.server)
		vmbus_revoke(&w->a.dev);
	if (w->b.dev.server)
		vmbus_revoke(&w->b.dev);
}

void world_end(struct world *w)
{
	w->a.slow = w->b.slow = false;
	echo_let_go(&w->a);
	echo_let_go(&w->b);
	reactor_run(w->g->reactor[0], take_back, w);
	reactor_inline_drain();
	assert_int_equal(w->a.revoked, 1);
	assert_int_equal(w->b.revoked, 1);
	assert_int_equal(w->g->memory.holds, 0);
	guest_driver_destroy(w->g);
}

void expect_nothing(struct guest_driver *g)
{
	assert_int_equal(g->nr_inbox, 0);
}

void expect_rescind(struct guest_driver *g, uint32_t id)
{
	struct vmbus_channel_message rescind;

	assert_int_equal(guest_expect(g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(le32_to_cpu(rescind.channel), id);
}

int guest_release(struct guest_driver *g, uint32_t id)
{
	struct vmbus_channel_message msg = { .channel = cpu_to_le32(id) };

	return guest_post(g, VMBUS_REL_ID_RELEASED, &msg, sizeof(msg));
}

void expect_echo(struct guest_channel *ch, uint64_t transaction)
{
	static uint8_t buffer[RING_MAX_PACKET];
	struct ring_packet packet;
	uint8_t payload[48];

	memset(payload, transaction, sizeof(payload));
	assert_int_equal(guest_send(ch, RING_PACKET_INBAND, 1, transaction,
				    NULL, 0, payload, sizeof(payload)), 0);
	assert_int_equal(guest_receive(ch, buffer, &packet), 0);
	assert_int_equal(packet.type, RING_PACKET_COMPLETION);
	assert_int_equal(packet.transaction, transaction);
	assert_int_equal(packet.payload_size, sizeof(payload));
	assert_memory_equal(packet.payload, payload, sizeof(payload));
}

void expect_violation(uint64_t before, const char *rule)
{
	struct violation v;

	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.rule, rule);
}
