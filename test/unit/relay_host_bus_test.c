/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/host_bus.c relay/host_bus_post.c relay/host_offer.c relay/host_gpadl.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c */
/*
 * The client of the host's VMBus, against a host that is a script: what is
 * posted is looked at, and answered or not.
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

#include "test/unit/reactor_inline.h"
#include "test/unit/host_bus_script.h"

/* Tests. */

static void test_contact(void **state)
{
	struct vmbus_initiate_contact_id *contact;

	(void)state;
	bus_client_connect(t.bus);
	assert_int_equal(sent[0].connection, FIRST_CONNECTION);
	contact = expect(VMBUS_INITIATE_CONTACT, sizeof(*contact));
	assert_int_equal(contact->contact.sint, VMBUS_SINT);
	assert_int_equal(contact->contact.vtl, 0);
	assert_int_equal(le32_to_cpu(contact->contact.features), 0xf);
	assert_int_equal(contact->client.b[0], 0xc1);
	/* An agreed feature that was not asked for is none. */
	say_version(true, FEATURES | 0xff00);
	assert_int_equal(bus_client_features(t.bus), FEATURES);
	expect(VMBUS_REQUEST_OFFERS, sizeof(struct vmbus_header));
	assert_int_equal(sent[1].connection, CONNECTION);
	assert_int_equal(t.connected, 1);
	say_delivered();
	assert_int_equal(t.connected, 0);
}

static void test_older_version(void **state)
{
	struct vmbus_initiate_contact *contact;

	(void)state;
	bus_client_connect(t.bus);
	t.next = 1;
	say_version(false, 0);
	contact = expect(VMBUS_INITIATE_CONTACT, sizeof(*contact));
	assert_int_equal(sent[1].connection, FIRST_CONNECTION);
	assert_int_equal(le32_to_cpu(contact->version), VMBUS_VERSION_IRON);
	assert_int_equal(le32_to_cpu(contact->features), 0);
	/* What lies behind such a response is no features. */
	say_version(true, FEATURES);
	assert_int_equal(bus_client_features(t.bus), 0);
	expect(VMBUS_REQUEST_OFFERS, sizeof(struct vmbus_header));
	say_delivered();
	assert_int_equal(t.connected, 0);
}

static void test_no_version(void **state)
{
	(void)state;
	bus_client_connect(t.bus);
	say_version(false, 0);
	say_version(false, 0);
	assert_int_equal(t.connected, -EPROTONOSUPPORT);
}

static void test_refused(void **state)
{
	struct vmbus_version_response_features response = { .response = {
		.supported = 1,
		.status = VMBUS_CONNECTION_FAILED,
	} };

	(void)state;
	bus_client_connect(t.bus);
	say(VMBUS_VERSION_RESPONSE, &response, sizeof(response));
	assert_int_equal(t.connected, -EIO);
}

static void test_contact_deadline(void **state)
{
	(void)state;
	bus_client_connect(t.bus);
	reactor_inline_advance(HOST_BUS_DEADLINE_NS - 1);
	assert_int_equal(t.connected, 1);
	host_is_silent(1);
	assert_int_equal(t.connected, -ETIMEDOUT);
	/* And again. */
	t.connected = 1;
	t.next = t.nr_sent;
	connect_host();
}

static void test_offers_deadline(void **state)
{
	(void)state;
	bus_client_connect(t.bus);
	say_version(true, FEATURES);
	say_offer(7, 1);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.connected, -ETIMEDOUT);
	assert_int_equal(t.lost, 1);
}

static void test_life_of_a_channel(void **state)
{
	struct vmbus_open_channel_signal *open;
	struct vmbus_gpadl_teardown *teardown;
	uint32_t id;

	(void)state;
	connect_host();
	id = create(0xe1e10, 8191);
	say_created(7, id, 0);
	assert_int_equal(t.created, 1);
	assert_int_equal(t.gpadl, 0xe1e10);
	assert_int_equal(t.status, 0);

	open_it(0xe1e10);
	open = expect(VMBUS_OPEN_CHANNEL, sizeof(*open));
	assert_int_equal(le32_to_cpu(open->open.channel), 7);
	assert_int_equal(le32_to_cpu(open->open.gpadl), id);
	assert_int_equal(le32_to_cpu(open->open.downstream_page), 2);
	assert_int_equal(le32_to_cpu(open->open.vp), 1);
	assert_int_equal(open->open.user_data[0], 0xda);
	assert_int_equal(le32_to_cpu(open->connection), 0x2005);
	assert_int_equal(le16_to_cpu(open->event_flag), 5);
	assert_int_equal(le16_to_cpu(open->flags), 0);
	say_opened(7, le32_to_cpu(open->open.open_id), 0);
	assert_int_equal(t.opened, 1);

	assert_int_equal(host_offer_modify(t.offer[0], 3), 0);
	assert_int_equal(host_offer_modify(t.offer[0], 2), -EBUSY);
	expect(VMBUS_MODIFY_CHANNEL, sizeof(struct vmbus_modify_channel));
	say(VMBUS_MODIFY_CHANNEL_RESPONSE,
	    &(struct vmbus_modify_channel_response){
		    .channel = cpu_to_le32(7) },
	    sizeof(struct vmbus_modify_channel_response));
	assert_int_equal(t.modified, 1);

	host_offer_close(t.offer[0]);
	expect(VMBUS_CLOSE_CHANNEL, sizeof(struct vmbus_channel_message));
	assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 0xe1e10), 0);
	teardown = expect(VMBUS_GPADL_TEARDOWN, sizeof(*teardown));
	assert_int_equal(le32_to_cpu(teardown->gpadl), id);
	say_torndown(id);
	assert_int_equal(t.torndown, 1);
	expect_silence();

	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	assert_int_equal(t.rescinded, 1);
	assert_int_equal(t.lost, 0);
	expect(VMBUS_REL_ID_RELEASED, sizeof(struct vmbus_channel_message));
}

/* What rings name is what the host was told, whatever place ids share. */
static void test_ids_are_the_users(void **state)
{
	static const uint32_t ids[] = { 0xe1e10, 0xe1e10 + 8192, 0, 8192,
					0xe1e10 + 2 * 8192 };
	const unsigned int n = sizeof(ids) / sizeof(ids[0]);
	const uint64_t words[2] = { 4096, 5 };

	(void)state;
	connect_host();
	for (unsigned int i = 0; i < n; i++) {
		create(ids[i], 2);
		assert_int_equal(host_offer_gpadl_create(t.offer[0], ids[i], 1,
							 words, 2), -EEXIST);
		say_created(7, ids[i], 0);
		assert_int_equal(t.created, i + 1);
		assert_int_equal(t.gpadl, ids[i]);
	}
	/* Another channel's, as BODY and TORNDOWN name none. */
	say_offer(8, 2);
	assert_int_equal(host_offer_gpadl_create(t.offer[1], ids[1], 1, words,
						 2), -EEXIST);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(host_offer_gpadl_teardown(t.offer[0], ids[i]),
				 0);
		expect(VMBUS_GPADL_TEARDOWN,
		       sizeof(struct vmbus_gpadl_teardown));
		say_torndown(ids[i]);
		assert_int_equal(t.torndown, i + 1);
		assert_int_equal(t.gpadl, ids[i]);
	}
	assert_int_equal(host_offer_gpadl_create(t.offer[1], ids[1], 1, words,
						 2), 0);
	expect(VMBUS_GPADL_HEADER, sizeof(struct vmbus_gpadl_header) + 16);
	say_created(8, ids[1], VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(t.status, VMBUS_STATUS_UNSUCCESSFUL);
	create(ids[1], 2);
}

static void test_drain(void **state)
{
	uint32_t id[3];

	(void)state;
	connect_host();
	id[0] = create(1, 8);
	say_created(7, id[0], 0);
	id[1] = create(2, 8);
	open_it(1);
	expect(VMBUS_OPEN_CHANNEL, sizeof(struct vmbus_open_channel_signal));
	/* An open and a GPADL are under way. */
	host_offer_drain(t.offer[0]);
	expect_silence();
	say_opened(7, 7, 0);
	expect(VMBUS_CLOSE_CHANNEL, sizeof(struct vmbus_channel_message));
	expect(VMBUS_GPADL_TEARDOWN, sizeof(struct vmbus_gpadl_teardown));
	say_torndown(id[0]);
	assert_int_equal(t.drained, 0);
	say_created(7, id[1], 0);
	expect(VMBUS_GPADL_TEARDOWN, sizeof(struct vmbus_gpadl_teardown));
	say_torndown(id[1]);
	assert_int_equal(t.drained, 1);
	assert_int_equal(t.created, 1);
	assert_int_equal(t.opened + t.torndown, 0);
	/* Of nothing, at once. */
	host_offer_drain(t.offer[0]);
	assert_int_equal(t.drained, 2);
	/* It can be used again. */
	id[2] = create(1, 8);
	say_created(7, id[2], 0);
	assert_int_equal(t.created, 2);
}

static void test_no_room(void **state)
{
	uint64_t words[100] = { 0 };

	(void)state;
	connect_host();
	t.post_error = -EAGAIN;
	assert_int_equal(host_offer_gpadl_create(t.offer[0], 1, 1, words, 100),
			 0);
	assert_true(t.busy);
	/* The order is kept, though now there would be room. */
	t.post_error = 0;
	bus_client_tl_connect(t.bus, &(struct guid){ { 0xe0 } },
			      &(struct guid){ { 0x5e } });
	expect_silence();
	reactor_inline_advance(MS);
	assert_false(t.busy);
	expect(VMBUS_GPADL_HEADER, sizeof(struct vmbus_gpadl_header) + 27 * 8);
	for (int i = 0; i < 2; i++)
		expect(VMBUS_GPADL_BODY,
		       sizeof(struct vmbus_gpadl_body) + 28 * 8);
	expect(VMBUS_GPADL_BODY, sizeof(struct vmbus_gpadl_body) + 17 * 8);
	expect(VMBUS_TL_CONNECT_REQUEST,
	       sizeof(struct vmbus_tl_connect_request_silo));
}

static void test_never_room(void **state)
{
	(void)state;
	connect_host();
	t.post_error = -EAGAIN;
	bus_client_tl_connect(t.bus, &(struct guid){ { 0xe0 } },
			      &(struct guid){ { 0x5e } });
	assert_true(t.busy);
	for (int i = 0; i < 5001; i++)
		reactor_inline_advance(MS);
	assert_int_equal(t.lost, 1);
	assert_false(t.busy);
}

/* The host is not ready for the connection that it named. There is none for
 * the contact, which has its deadline. */
static void test_no_such_connection(void **state)
{
	(void)state;
	t.post_error = -ENXIO;
	bus_client_connect(t.bus);
	assert_false(t.busy);
	t.post_error = 0;
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.connected, -ETIMEDOUT);
	expect_silence();
	t.connected = 1;
	connect_host();
	t.post_error = -ENXIO;
	bus_client_tl_connect(t.bus, &(struct guid){ { 0xe0 } },
			      &(struct guid){ { 0x5e } });
	assert_true(t.busy);
	t.post_error = 0;
	reactor_inline_advance(MS);
	assert_false(t.busy);
	expect(VMBUS_TL_CONNECT_REQUEST,
	       sizeof(struct vmbus_tl_connect_request_silo));
}

static void test_sockets(void **state)
{
	struct vmbus_tl_connect_result result = {
		.endpoint = { { 0xe0 } },
		.service = { { 0x5e } },
		.status = cpu_to_le32(VMBUS_STATUS_CONNECTION_REFUSED),
	};

	(void)state;
	/* Not connected: refused here. */
	bus_client_tl_connect(t.bus, &result.endpoint, &result.service);
	assert_int_equal(t.tl_results, 1);
	connect_host();
	bus_client_tl_connect(t.bus, &result.endpoint, &result.service);
	expect(VMBUS_TL_CONNECT_REQUEST,
	       sizeof(struct vmbus_tl_connect_request_silo));
	say(VMBUS_TL_CONNECT_RESULT, &result, sizeof(result));
	assert_int_equal(t.tl_results, 2);
	assert_int_equal(t.status, VMBUS_STATUS_CONNECTION_REFUSED);
}

static void test_contradictions(void **state)
{
	uint64_t before;
	uint32_t id;

	(void)state;
	connect_host();
	id = create(1, 8);
	before = violation_count();
	say_offer(7, 2);    /* id in use */
	say_offer(8, 1);    /* instance twice */
	say_offer(0, 3);
	say_offer(2048, 3);
	say_opened(7, 7, 0);		  /* nobody asked */
	say_created(7, id + 1, 0);
	say_created(6, id, 0);		  /* no such channel */
	say_torndown(id);		  /* being created */
	say_channel(VMBUS_RESCIND_CHANNEL, 9);
	say_channel(VMBUS_CLOSE_CHANNEL, 7); /* not the host's to say */
	say_channel(VMBUS_MESSAGE_TYPES, 7);
	say_version(true, 0);
	say_delivered();
	bus_client_message(t.bus, &before, 7);
	bus_client_message(t.bus, &(struct vmbus_header){
			   .type = cpu_to_le32(VMBUS_OFFER_CHANNEL) }, 8);
	assert_int_equal(violation_count(), before + 15);
	assert_int_equal(t.nr_offers, 1);
	assert_int_equal(t.created + t.opened + t.rescinded, 0);
	/* The right answer is still one. */
	say_created(7, id, 0);
	assert_int_equal(t.created, 1);
	say_created(7, id, 0);
	assert_int_equal(t.created, 1);
	/* Rescinded, but not released: neither twice nor anew. */
	t.keep = true;
	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	assert_int_equal(t.rescinded, 1);
	say_offer(7, 1);
	assert_int_equal(t.nr_offers, 1);
	assert_int_equal(host_offer_gpadl_teardown(t.offer[0], 1), -ENODEV);
	host_offer_release(t.offer[0]);
	say_offer(7, 1);
	assert_int_equal(t.nr_offers, 2);
}

static void test_wrong_open(void **state)
{
	static const uint8_t data[VMBUS_USER_DATA_SIZE];
	struct host_open open = { 1, 2, 1, 0x2005, 5, data };
	uint32_t id;

	(void)state;
	connect_host();
	assert_int_equal(host_offer_open(t.offer[0], &open), -ENOENT);
	id = create(1, 8);
	assert_int_equal(host_offer_open(t.offer[0], &open), -ENOENT);
	say_created(7, id, 0);
	open_it(1);
	assert_int_equal(host_offer_open(t.offer[0], &open), -EBUSY);
	say_opened(7, 8, 0); /* another open id */
	assert_int_equal(t.opened, 0);
	say_opened(7, 7, VMBUS_STATUS_UNSUCCESSFUL);
	assert_int_equal(t.status, VMBUS_STATUS_UNSUCCESSFUL);
	open_it(1);
	say_opened(7, 7, 0);
	assert_int_equal(host_offer_open(t.offer[0], &open), -EBUSY);
}

static void test_unload_with_all_under_way(void **state)
{
	struct vmbus_header header;

	(void)state;
	connect_host();
	create(1, 8);
	host_offer_drain(t.offer[0]);
	bus_client_unload(t.bus);
	expect(VMBUS_UNLOAD, sizeof(header));
	/* It crossed UNLOAD. */
	say_channel(VMBUS_RESCIND_CHANNEL, 7);
	assert_int_equal(t.rescinded, 0);
	say(VMBUS_UNLOAD_COMPLETE, &header, sizeof(header));
	assert_int_equal(t.unloaded, 1);
	assert_int_equal(t.drained, 1);
	assert_int_equal(t.lost, 1);
	expect_silence();
	/* And back. */
	t.unloaded = 0;
	t.nr_offers = 0;
	connect_host();
}

static void test_unload_deadline(void **state)
{
	(void)state;
	connect_host();
	bus_client_unload(t.bus);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.unloaded, 1);
}

static void test_all_gpadls(void **state)
{
	const uint64_t words[2] = { 4096, 5 };
	unsigned int n = 0;

	(void)state;
	connect_host();
	t.post_error = -ENODEV; /* nobody reads it */
	while (!host_offer_gpadl_create(t.offer[0], n, 1, words, 2))
		n++;
	assert_int_equal(n, 8192);
	assert_int_equal(host_offer_gpadl_create(t.offer[0], n, 1, words, 2),
			 -ENOSPC);
	host_is_silent(HOST_BUS_DEADLINE_NS);
	assert_int_equal(t.lost, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_contact),
		TEST(test_older_version),
		TEST(test_no_version),
		TEST(test_refused),
		TEST(test_contact_deadline),
		TEST(test_offers_deadline),
		TEST(test_life_of_a_channel),
		TEST(test_ids_are_the_users),
		TEST(test_drain),
		TEST(test_no_room),
		TEST(test_never_room),
		TEST(test_no_such_connection),
		TEST(test_sockets),
		TEST(test_contradictions),
		TEST(test_wrong_open),
		TEST(test_unload_with_all_under_way),
		TEST(test_unload_deadline),
		TEST(test_all_gpadls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
