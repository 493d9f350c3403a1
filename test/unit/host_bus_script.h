/* SPDX-License-Identifier: MIT */
/*
 * The host that relay_host_bus_test.c and relay_host_late_test.c play: what it
 * is sent, what the client told its user, and what it says. Included by those
 * two alone.
 */
#ifndef TEST_HOST_BUS_SCRIPT_H
#define TEST_HOST_BUS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "relay/host_bus.h"
#include "test/unit/host_bus_time.h"
#include "test/unit/reactor_inline.h"

#define FIRST_CONNECTION 0x800074u
#define CONNECTION 0x99u
#define MS 1000000ull
#define FEATURES VMBUS_FEATURE_SIGNAL_PARAMETERS
#define MAX_SENT 4096

static struct sent {
	uint32_t connection, size;
	_Alignas(8) uint8_t payload[VMBUS_MAX_MESSAGE];
} sent[MAX_SENT];

static struct {
	struct bus_client *bus;
	struct reactor *reactor;
	unsigned int nr_sent, next;
	int post_error;
	int left; /* how many are taken with post_error, all the same */
	int connected, unloaded; /* connected: 1 = no answer */
	struct host_offer *offer[4];
	unsigned int nr_offers, rescinded, lost, drained;
	unsigned int created, torndown, opened, modified, tl_results;
	uint32_t status; /* of the last answer */
	uint32_t gpadl;	 /* ... and its GPADL */
	bool busy;
	bool keep; /* rescinded offers are not released at once */
} t;

/* The transport and the user. */

static int post(void *opaque, uint32_t connection, const void *payload,
		size_t size)
{
	struct sent *s;

	assert_ptr_equal(opaque, &t);
	if (t.post_error && t.left <= 0)
		return t.post_error;
	t.left--;
	assert_in_range(t.nr_sent, 0, MAX_SENT - 1);
	s = &sent[t.nr_sent++];
	s->connection = connection;
	s->size = (uint32_t)size;
	memcpy(s->payload, payload, size);
	return 0;
}

static const struct bus_client_transport_ops transport = { .post = post };

static void on_connected(void *opaque, int err)
{
	(void)opaque;
	t.connected = err;
}

static void on_offer(void *opaque, struct host_offer *offer)
{
	(void)opaque;
	assert_in_range(t.nr_offers, 0, 3);
	t.offer[t.nr_offers++] = offer;
}

static void on_rescinded(void *opaque, struct host_offer *offer, bool lost)
{
	(void)opaque;
	t.rescinded++;
	t.lost += lost;
	if (!t.keep)
		host_offer_release(offer);
}

static void on_created(void *opaque, struct host_offer *offer, uint32_t gpadl,
		       uint32_t status)
{
	(void)opaque;
	(void)offer;
	t.created++;
	t.gpadl = gpadl;
	t.status = status;
}

static void on_torndown(void *opaque, struct host_offer *offer, uint32_t gpadl)
{
	(void)opaque;
	(void)offer;
	t.torndown++;
	t.gpadl = gpadl;
}

static void on_opened(void *opaque, struct host_offer *offer, uint32_t status)
{
	(void)opaque;
	(void)offer;
	t.opened++;
	t.status = status;
}

static void on_modified(void *opaque, struct host_offer *offer,
			uint32_t status)
{
	(void)opaque;
	(void)offer;
	t.modified++;
	t.status = status;
}

static void on_drained(void *opaque, struct host_offer *offer)
{
	(void)opaque;
	(void)offer;
	t.drained++;
}

static void on_tl_result(void *opaque, const struct guid *endpoint,
			 const struct guid *service, uint32_t status)
{
	(void)opaque;
	assert_int_equal(endpoint->b[0], 0xe0);
	assert_int_equal(service->b[0], 0x5e);
	t.tl_results++;
	t.status = status;
}

static void on_busy(void *opaque, bool busy)
{
	(void)opaque;
	assert_int_not_equal(t.busy, busy);
	t.busy = busy;
}

static void on_unloaded(void *opaque)
{
	(void)opaque;
	t.unloaded++;
}

static const struct bus_client_user_ops user = {
	on_connected, on_offer,	  on_rescinded, on_created,   on_torndown,
	on_opened,    on_modified, on_drained,	 on_tl_result, on_busy,
	on_unloaded,
};

/* What the host hears and says. */

static void *expect(enum vmbus_message_type type, size_t size)
{
	struct vmbus_header header;
	struct sent *s = &sent[t.next];

	assert_true(t.next < t.nr_sent);
	t.next++;
	memcpy(&header, s->payload, sizeof(header));
	assert_int_equal(le32_to_cpu(header.type), type);
	assert_int_equal(s->size, size);
	return s->payload;
}

static void expect_silence(void)
{
	assert_int_equal(t.next, t.nr_sent);
}

static void say(enum vmbus_message_type type, void *message, size_t size)
{
	struct vmbus_header header = { .type = cpu_to_le32(type) };

	memcpy(message, &header, sizeof(header));
	bus_client_message(t.bus, message, size);
	reactor_inline_drain();
}

static void say_version(bool supported, uint32_t features)
{
	struct vmbus_version_response_features response = {
		.response.supported = supported,
		.response.version_or_connection = cpu_to_le32(CONNECTION),
		.features = cpu_to_le32(features),
	};

	say(VMBUS_VERSION_RESPONSE, &response, sizeof(response));
}

static void say_offer(uint32_t id, uint8_t instance)
{
	struct vmbus_offer_channel offer = {
		.instance = { { instance } },
		.channel = cpu_to_le32(id),
	};

	say(VMBUS_OFFER_CHANNEL, &offer, sizeof(offer));
}

static void say_channel(enum vmbus_message_type type, uint32_t id)
{
	struct vmbus_channel_message message = { .channel = cpu_to_le32(id) };

	say(type, &message, sizeof(message));
}

static void say_created(uint32_t channel, uint32_t gpadl, uint32_t status)
{
	struct vmbus_gpadl_created created = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(gpadl),
		.status = cpu_to_le32(status),
	};

	say(VMBUS_GPADL_CREATED, &created, sizeof(created));
}

static void say_torndown(uint32_t gpadl)
{
	struct vmbus_gpadl_torndown torndown = { .gpadl = cpu_to_le32(gpadl) };

	say(VMBUS_GPADL_TORNDOWN, &torndown, sizeof(torndown));
}

static void say_opened(uint32_t channel, uint32_t open_id, uint32_t status)
{
	struct vmbus_open_result result = {
		.channel = cpu_to_le32(channel),
		.open_id = cpu_to_le32(open_id),
		.status = cpu_to_le32(status),
	};

	say(VMBUS_OPEN_RESULT, &result, sizeof(result));
}

static void say_delivered(void)
{
	struct vmbus_header header;

	say(VMBUS_ALL_OFFERS_DELIVERED, &header, sizeof(header));
}

/* A test begins with a bus that is not connected, and ends without it. */

static int begin(void **state)
{
	struct bus_client_config config = {
		.transport = &transport,
		.transport_opaque = &t,
		.user = &user,
		.connection = FIRST_CONNECTION,
		.client = { { 0xc1 } },
	};

	(void)state;
	memset(&t, 0, sizeof(t));
	t.connected = 1;
	t.reactor = config.reactor = reactor_inline_create();
	t.bus = bus_client_create(&config);
	return t.bus ? 0 : -1;
}

static int end(void **state)
{
	struct vmbus_header header;

	(void)state;
	t.keep = false;
	t.post_error = 0;
	if (!t.unloaded && t.connected <= 0) {
		bus_client_unload(t.bus);
		if (!t.unloaded)
			say(VMBUS_UNLOAD_COMPLETE, &header, sizeof(header));
	}
	bus_client_destroy(t.bus);
	reactor_inline_drain();
	reactor_inline_destroy(t.reactor);
	return 0;
}

/* Connected, with channel 7. */
static void connect_host(void)
{
	struct vmbus_initiate_contact_id *contact;

	bus_client_connect(t.bus);
	contact = expect(VMBUS_INITIATE_CONTACT, sizeof(*contact));
	assert_int_equal(le32_to_cpu(contact->contact.version),
			 VMBUS_VERSION_COPPER);
	say_version(true, FEATURES);
	expect(VMBUS_REQUEST_OFFERS, sizeof(struct vmbus_header));
	say_offer(7, 1);
	say_delivered();
	assert_int_equal(t.connected, 0);
	assert_int_equal(t.nr_offers, 1);
	assert_int_equal(t.offer[0]->id, 7);
}

/* A GPADL of `n` words; its id, which is the host's too. */
static uint32_t create(uint32_t id, uint16_t n)
{
	static uint64_t words[8192];
	struct vmbus_gpadl_header *header;
	uint16_t at = n < VMBUS_GPADL_HEADER_WORDS ? n :
						     VMBUS_GPADL_HEADER_WORDS;
	uint16_t now;
	uint32_t host_id;

	for (uint16_t i = 0; i < n; i++)
		words[i] = 0x1000u + i;
	assert_int_equal(host_offer_gpadl_create(t.offer[0], id, 1, words, n),
			 0);
	header = expect(VMBUS_GPADL_HEADER, sizeof(*header) + at * 8ul);
	assert_int_equal(le32_to_cpu(header->channel), 7);
	assert_int_equal(le16_to_cpu(header->range_bytes), n * 8);
	assert_int_equal(le16_to_cpu(header->range_count), 1);
	host_id = le32_to_cpu(header->gpadl);
	assert_int_equal(host_id, id);
	for (uint16_t i = 0; i < at; i++)
		assert_int_equal(le64_to_cpu(header->word[i]), words[i]);
	for (; at < n; at += now) {
		struct vmbus_gpadl_body *body;

		now = n - at < VMBUS_GPADL_BODY_WORDS ? n - at :
							VMBUS_GPADL_BODY_WORDS;
		body = expect(VMBUS_GPADL_BODY, sizeof(*body) + now * 8ul);
		assert_int_equal(le32_to_cpu(body->gpadl), host_id);
		for (uint16_t i = 0; i < now; i++)
			assert_int_equal(le64_to_cpu(body->word[i]),
					 words[at + i]);
	}
	return host_id;
}

static void open_it(uint32_t gpadl)
{
	static const uint8_t data[VMBUS_USER_DATA_SIZE] = { 0xda };
	struct host_open open = { gpadl, 2, 1, 0x2005, 5, data };

	assert_int_equal(host_offer_open(t.offer[0], &open), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
