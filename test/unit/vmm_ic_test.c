/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/ic.c test/vmm/ic_shutdown.c test/vmm/ic_heartbeat.c test/vmm/ic_time.c test/vmm/ic_kvp.c test/vmm/integration.c test/vmm/pipe_device.c relay/message_pipe.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c */
/* SOURCES: paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/reactor_inline.c */
/*
 * Integration services as a guest has them, through VMBus and its rings, with
 * a driver that does what Linux's do, or what none should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "reactor_inline.h"
#include "relay/message_pipe.h"
#include "relay/ring_reg.h"
#include "stderr_capture.h"
#include "test/guest_driver/guest_driver.h"
#include "test/vmm/integration.h"

#define MS 1000000ull
#define MESSAGE_MAX 4096

static uint64_t reference = 5000;

uint64_t reference_time(const struct machine *m);
uint64_t reference_time(const struct machine *m)
{
	(void)m;
	return reference;
}

static struct guest_driver *g;
static struct integration *in;
static struct vmbus_offer_channel offers[8];
static unsigned int nr_offers;

static unsigned int done;
static char error[128], value[256];

static void ended(void *opaque, const char *why)
{
	assert_ptr_equal(opaque, &done);
	done++;
	snprintf(error, sizeof(error), "%s", why ? why : "");
}

static void got(void *opaque, const char *why, const char *text)
{
	assert_true(!why != !text);
	ended(opaque, why);
	snprintf(value, sizeof(value), "%s", text ? text : "");
}

static int setup(void **state)
{
	(void)state;
	done = 0;
	error[0] = value[0] = '\0';
	g = guest_driver_create(512, 2, 0);
	in = integration_create(NULL, g->reactor[0]);
	assert_int_equal(integration_offer(in, g->server), 0);
	assert_int_equal(guest_contact(g, VMBUS_VERSION_WIN10_V5, 0, 0), 0);
	assert_int_equal(guest_request_offers(g, &nr_offers, offers, 8), 0);
	assert_int_equal(nr_offers, 5);
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	integration_revoke(in);
	reactor_inline_drain();
	integration_destroy(in);
	guest_driver_destroy(g);
	return 0;
}

/* ---- the driver ---- */

static const struct guid interfaces[] = {
	[IC_SHUTDOWN] = SHUTDOWN_INTERFACE,
	[IC_HEARTBEAT] = HEARTBEAT_INTERFACE,
	[IC_TIME] = TIME_INTERFACE,
	[IC_KVP] = KVP_INTERFACE,
	[IC_VSS] = VSS_INTERFACE,
};

static struct guest_channel ch;

struct message {
	struct ic_header header;
	uint8_t body[MESSAGE_MAX];
	size_t size; /* of the body */
};

static void open_service(enum ic_type type)
{
	for (unsigned int i = 0; i < nr_offers; i++) {
		struct guid interface;

		memcpy(&interface, &offers[i].interface, sizeof(interface));
		if (!guid_equal(&interface, &interfaces[type]))
			continue;
		assert_int_equal(guest_open(g, &offers[i], 4, 0, &ch), 0);
		return;
	}
	fail_msg("service %u is not offered", type);
}

static bool take(struct message *m)
{
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct ring_packet packet;
	struct pipe_header pipe;
	uint32_t size;

	if (guest_receive(&ch, buffer, &packet))
		return false;
	memcpy(&pipe, packet.payload, sizeof(pipe));
	assert_int_equal(le32_to_cpu(pipe.type), PIPE_TYPE_MESSAGE);
	size = le32_to_cpu(pipe.size);
	assert_true(size >= sizeof(m->header) && size <= MESSAGE_MAX);
	memcpy(&m->header, packet.payload + sizeof(pipe), sizeof(m->header));
	m->size = size - sizeof(m->header);
	memcpy(m->body, packet.payload + sizeof(pipe) + sizeof(m->header),
	       m->size);
	assert_int_equal(le16_to_cpu(m->header.size), m->size);
	assert_int_equal(m->header.flags, IC_FLAG_TRANSACTION |
			 IC_FLAG_REQUEST);
	return true;
}

/* The first `len` bytes of the message. */
static void put_short(const struct message *m, size_t len)
{
	uint8_t packet[sizeof(struct pipe_header) + sizeof(m->header) +
		       MESSAGE_MAX];
	struct pipe_header pipe = {
		.type = cpu_to_le32(PIPE_TYPE_MESSAGE),
		.size = cpu_to_le32((uint32_t)len),
	};

	memcpy(packet, &pipe, sizeof(pipe));
	memcpy(packet + sizeof(pipe), &m->header, sizeof(m->header));
	memcpy(packet + sizeof(pipe) + sizeof(m->header), m->body, m->size);
	assert_int_equal(guest_send(&ch, RING_PACKET_INBAND, 0, 0, NULL, 0,
				    packet,
				    (uint32_t)(sizeof(pipe) + len)), 0);
}

static void put(struct message *m, uint32_t status)
{
	m->header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	m->header.status = cpu_to_le32(status);
	put_short(m, sizeof(m->header) + m->size);
}

static uint32_t version_at(const struct message *m, unsigned int i)
{
	struct ic_version v;

	memcpy(&v, m->body + sizeof(struct ic_negotiate) + i * sizeof(v),
	       sizeof(v));
	return IC_VERSION(le16_to_cpu(v.major), le16_to_cpu(v.minor));
}

static void choose(struct message *m, uint32_t framework, uint32_t message)
{
	struct ic_negotiate head = { cpu_to_le16(1), cpu_to_le16(1),
				     cpu_to_le32(0) };
	struct ic_version v[2] = {
		{ cpu_to_le16((uint16_t)(framework >> 16)),
		  cpu_to_le16((uint16_t)framework) },
		{ cpu_to_le16((uint16_t)(message >> 16)),
		  cpu_to_le16((uint16_t)message) },
	};

	memcpy(m->body, &head, sizeof(head));
	memcpy(m->body + sizeof(head), v, sizeof(v));
	m->size = sizeof(head) + sizeof(v);
	m->header.size = cpu_to_le16((uint16_t)m->size);
}

static void asked_for_versions(struct message *m)
{
	assert_false(take(m));
	reactor_inline_advance(100 * MS);
	assert_true(take(m));
	assert_int_equal(le16_to_cpu(m->header.type), IC_NEGOTIATE);
}

/* Opens it, and takes the host's best framework and this version. */
static void begin(enum ic_type type, uint32_t version)
{
	struct message m;

	open_service(type);
	asked_for_versions(&m);
	choose(&m, version_at(&m, 0), version);
	put(&m, 0);
}

static bool inspected(const char *path, const char *text)
{
	char json[8192];

	assert_true(inspect_render(path, 4, json, sizeof(json)) > 0);
	return strstr(json, text) != NULL;
}

/* ---- versions ---- */

static void versions_are_agreed_on(void **state)
{
	struct message m;

	(void)state;
	open_service(IC_SHUTDOWN);
	assert_true(inspected("ic/shutdown", "\"state\":\"closed\""));
	assert_string_equal(integration_shutdown(in, ended, &done),
			    "the guest does not listen");
	asked_for_versions(&m);
	assert_memory_equal(m.body, "\2\0\4\0\0\0\0\0\3\0\0\0\1\0\0\0\3\0\2\0"
			    "\3\0\1\0\3\0\0\0\1\0\0\0", 32);
	assert_int_equal(m.size, 32);
	assert_string_equal(integration_shutdown(in, ended, &done),
			    "the guest has not said yet which version it "
			    "knows");
	choose(&m, IC_VERSION(3, 0), IC_VERSION(3, 1));
	put(&m, 0);
	assert_true(inspected("ic/shutdown", "\"state\":\"ready\",\"version\""));
	/* Once. */
	choose(&m, IC_VERSION(1, 0), IC_VERSION(1, 0));
	put(&m, 0);
	assert_true(inspected("ic/shutdown", "\"version\":\"0x30001\""));
	assert_true(inspected("ic/shutdown", "\"refused\":1"));
	assert_null(integration_shutdown(in, ended, &done));
	assert_true(take(&m));
	assert_memory_equal(&m.header, "\3\0\0\0\3\0\3\0\1\0", 10);
	guest_shut(&ch);
	assert_int_equal(done, 1);
	assert_string_equal(error, "the guest closed the channel");
	assert_true(inspected("ic/shutdown", "\"state\":\"closed\""));
}

static void bad_versions(void **state)
{
	static const struct {
		const char *body;
		size_t size;
	} bodies[] = {
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16 }, /* none */
		{ "\1\0\1\0\0\0\0\0\3\0\0\0\4\0\0\0", 16 }, /* not offered */
		{ "\1\0\1\0\0\0\0\0\2\0\0\0\3\0\0\0", 16 },
		{ "\2\0\1\0\0\0\0\0\3\0\0\0\3\0\0\0", 16 }, /* two */
		{ "\1\0\1\0\0\0\0\0\3\0\0\0\3\0\0", 15 },   /* short */
		{ "\1\0\1\0\0\0\0", 7 },
		{ "", 0 },
	};
	struct message m;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		open_service(IC_SHUTDOWN);
		asked_for_versions(&m);
		memcpy(m.body, bodies[i].body, bodies[i].size);
		m.size = bodies[i].size;
		m.header.size = cpu_to_le16((uint16_t)m.size);
		put(&m, 0);
		assert_true(inspected("ic/shutdown", "\"state\":\"unknown\""));
		assert_string_equal(integration_shutdown(in, ended, &done),
				    "the guest knows no version of it");
		guest_shut(&ch);
	}
	/* And yet another driver may come. */
	begin(IC_SHUTDOWN, IC_VERSION(3, 0));
	assert_null(integration_shutdown(in, ended, &done));
	guest_shut(&ch);
}

/* ---- shutdown ---- */

static void shutdown_is_asked_and_answered(void **state)
{
	struct message m;

	(void)state;
	begin(IC_SHUTDOWN, IC_VERSION(3, 2));
	assert_null(integration_shutdown(in, ended, &done));
	assert_string_equal(integration_shutdown(in, ended, &done),
			    "another request is under way");
	assert_true(take(&m));
	assert_int_equal(m.size, 2060);
	assert_memory_equal(m.body + 8, "\0\0\0\0v\0m\0m\0", 10);
	assert_int_equal(done, 0);
	put(&m, IC_OK);
	assert_int_equal(done, 1);
	assert_string_equal(error, "");
	put(&m, IC_OK); /* again? */
	assert_int_equal(done, 1);
	assert_true(inspected("ic/shutdown", "\"late\":1"));

	assert_null(integration_shutdown(in, ended, &done));
	assert_true(take(&m));
	put(&m, IC_FAIL);
	assert_string_equal(error, "the guest refuses: status 0x80004005");
	guest_shut(&ch);
}

static void a_late_answer_is_not_the_next_one(void **state)
{
	struct message first, second;

	(void)state;
	begin(IC_SHUTDOWN, IC_VERSION(3, 0));
	assert_null(integration_shutdown(in, ended, &done));
	assert_true(take(&first));
	reactor_inline_advance(9900 * MS);
	assert_int_equal(done, 0);
	reactor_inline_advance(200 * MS);
	assert_int_equal(done, 1);
	assert_string_equal(error, "the guest does not answer in time");
	assert_null(integration_shutdown(in, ended, &done));
	assert_true(take(&second));
	put(&first, IC_FAIL);
	assert_int_equal(done, 1);
	assert_true(inspected("ic/shutdown", "\"late\":1"));
	put(&second, IC_OK);
	assert_int_equal(done, 2);
	assert_string_equal(error, "");
	guest_shut(&ch);
}

static void broken_answers(void **state)
{
	struct message m, bad;

	(void)state;
	begin(IC_SHUTDOWN, IC_VERSION(3, 0));
	assert_null(integration_shutdown(in, ended, &done));
	assert_true(take(&m));
	m.header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	put_short(&m, sizeof(m.header) - 1);
	put_short(&m, sizeof(m.header) + m.size - 1);
	bad = m;
	bad.header.type = cpu_to_le16(IC_TIME);
	put_short(&bad, sizeof(bad.header) + bad.size);
	bad = m;
	bad.header.flags = IC_FLAG_TRANSACTION;
	put_short(&bad, sizeof(bad.header) + bad.size);
	bad = m;
	bad.header.transaction++;
	put_short(&bad, sizeof(bad.header) + bad.size);
	assert_true(inspected("ic/shutdown", "\"refused\":4"));
	assert_true(inspected("ic/shutdown", "\"late\":1"));
	assert_int_equal(done, 0);
	put(&m, IC_OK);
	assert_int_equal(done, 1);
	assert_string_equal(error, "");
	guest_shut(&ch);
}

/* What is no pipe ends the pipe, and who waited hears it at once. */
static void a_broken_pipe(void **state)
{
	struct message m;

	(void)state;
	begin(IC_SHUTDOWN, IC_VERSION(3, 0));
	assert_null(integration_shutdown(in, ended, &done));
	assert_true(take(&m));
	guest_send(&ch, RING_PACKET_INBAND, 0, 0, NULL, 0, "\2\0\0\0\0\0\0\0",
		   8);
	assert_int_equal(done, 1);
	assert_string_equal(error, "the guest closed the channel");
	assert_string_equal(integration_shutdown(in, ended, &done),
			    "the guest does not listen");
	guest_shut(&ch);
}

static void the_guest_asks(void **state)
{
	struct message m = { .header.type = cpu_to_le16(IC_VSS),
			     .header.transaction = 9,
			     .header.size = cpu_to_le16(12),
			     .header.flags = IC_FLAG_REQUEST,
			     .size = 12 };
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct ring_packet packet;
	struct ic_header answer;

	(void)state;
	begin(IC_VSS, IC_VERSION(5, 0));
	assert_true(inspected("ic/vss", "\"state\":\"ready\""));
	put_short(&m, sizeof(m.header) + m.size);
	assert_int_equal(guest_receive(&ch, buffer, &packet), 0);
	memcpy(&answer, packet.payload + sizeof(struct pipe_header),
	       sizeof(answer));
	assert_int_equal(le32_to_cpu(answer.status), IC_NOT_READY);
	assert_int_equal(answer.transaction, 9);
	assert_int_equal(answer.flags, IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE);
	assert_true(inspected("ic/vss", "\"asked\":1"));
	/* The host asks for none. */
	reactor_inline_advance(60000 * MS);
	assert_int_not_equal(guest_receive(&ch, buffer, &packet), 0);
	guest_shut(&ch);
}

/* ---- heartbeat ---- */

static bool beat(struct message *m)
{
	struct ic_heartbeat body;

	if (!take(m))
		return false;
	assert_int_equal(m->size, sizeof(body));
	memcpy(&body, m->body, sizeof(body));
	body.sequence = cpu_to_le64(le64_to_cpu(body.sequence) + 1);
	memcpy(m->body, &body, sizeof(body));
	return true;
}

static void hearts_beat(void **state)
{
	struct message m;

	(void)state;
	assert_true(inspected("ic/heartbeat", "\"heart\":\"none\""));
	begin(IC_HEARTBEAT, IC_VERSION(3, 0));
	for (unsigned int i = 0; i < 5; i++) {
		assert_false(beat(&m));
		reactor_inline_advance(2000 * MS);
		assert_true(beat(&m));
		put(&m, 0);
		assert_true(inspected("ic/heartbeat", "\"heart\":\"beats\""));
	}
	assert_true(inspected("ic/heartbeat", "\"beats\":5"));
	assert_true(inspected("ic/heartbeat", "\"wrong\":0"));
	reactor_inline_advance(2000 * MS);
	assert_true(take(&m));
	put(&m, 0); /* not one more */
	assert_true(inspected("ic/heartbeat", "\"wrong\":1"));
	assert_true(inspected("ic/heartbeat", "\"beats\":6"));
	guest_shut(&ch);
	assert_true(inspected("ic/heartbeat", "\"heart\":\"none\""));
	assert_string_equal(captured_stderr(), "");
	capture_stderr();
}

static void a_heartbeat_is_lost_and_found(void **state)
{
	struct message m;

	(void)state;
	begin(IC_HEARTBEAT, IC_VERSION(3, 0));
	reactor_inline_advance(2000 * MS);
	reactor_inline_advance(9900 * MS);
	assert_true(inspected("ic/heartbeat", "\"losses\":0"));
	/* An hour: one line, and a ring that fills is no trouble. */
	for (unsigned int i = 0; i < 3600; i++)
		reactor_inline_advance(1000 * MS);
	assert_true(inspected("ic/heartbeat", "\"heart\":\"lost\""));
	assert_true(inspected("ic/heartbeat", "\"losses\":1"));
	assert_string_equal(captured_stderr(), "vmm: heartbeat lost: the guest "
			    "does not answer for 10 s\n");
	capture_stderr();
	/* The guest wakes up and answers everything. */
	while (beat(&m))
		put(&m, 0);
	for (unsigned int i = 0; i < 4; i++) {
		reactor_inline_advance(2000 * MS);
		while (beat(&m))
			put(&m, 0);
	}
	assert_true(inspected("ic/heartbeat", "\"heart\":\"beats\""));
	assert_true(inspected("ic/heartbeat", "\"losses\":1"));
	assert_string_equal(captured_stderr(),
			    "vmm: heartbeat: the guest answers again\n");
	capture_stderr();
	guest_shut(&ch);
}

/* ---- time ---- */

static int64_t seconds_off(uint64_t host)
{
	int64_t now = (int64_t)time(NULL);
	int64_t then = (int64_t)(host / IC_TIME_HZ - IC_TIME_UNIX_EPOCH);

	return then - now;
}

/* A message of version 4.0, which has these flags and this offset. */
static void told_time(struct message *m, uint8_t flags, int64_t offset)
{
	struct ic_time body;
	int64_t off;

	assert_true(take(m));
	assert_int_equal(m->size, sizeof(body));
	memcpy(&body, m->body, sizeof(body));
	assert_int_equal(body.flags, flags);
	assert_int_equal(le64_to_cpu(body.reference), reference);
	off = seconds_off(le64_to_cpu(body.host)) - offset;
	assert_in_range(off + 2, 0, 3);
}

static void the_time_is_told(void **state)
{
	struct message m;

	(void)state;
	assert_string_equal(integration_time(in, 3600, ended, &done),
			    "the guest does not listen");
	begin(IC_TIME, IC_VERSION(4, 0));
	reactor_inline_advance(0);
	told_time(&m, TIME_FLAG_SYNC, 0);
	put(&m, 0);
	reactor_inline_advance(4900 * MS);
	assert_false(take(&m));
	reactor_inline_advance(200 * MS);
	reference += 77;
	reactor_inline_advance(5000 * MS);
	assert_true(take(&m));
	put(&m, 0);

	assert_null(integration_time(in, 3600, ended, &done));
	assert_string_equal(integration_time(in, 1, ended, &done),
			    "another offset is being told");
	reactor_inline_advance(0);
	told_time(&m, TIME_FLAG_SYNC, 3600);
	assert_int_equal(done, 0);
	put(&m, 0);
	assert_int_equal(done, 1);
	assert_string_equal(error, "");
	reactor_inline_advance(5000 * MS);
	told_time(&m, TIME_FLAG_SAMPLE, 3600);
	/* While that is not answered. */
	assert_null(integration_time(in, -86400, ended, &done));
	reactor_inline_advance(0);
	assert_false(take(&m));
	put(&m, 0);
	assert_int_equal(done, 1);
	reactor_inline_advance(0);
	told_time(&m, TIME_FLAG_SYNC, -86400);
	assert_true(inspected("ic/time", "\"behind\":true,\"offset_s\":86400"));
	put(&m, 0);
	assert_int_equal(done, 2);
	guest_shut(&ch);
}

static void the_time_of_old_versions(void **state)
{
	struct message m;
	struct ic_time_old body;
	int64_t off;

	(void)state;
	begin(IC_TIME, IC_VERSION(3, 0));
	reactor_inline_advance(0);
	assert_true(take(&m));
	assert_int_equal(m.size, sizeof(body));
	memcpy(&body, m.body, sizeof(body));
	assert_int_equal(body.flags, TIME_FLAG_SYNC);
	off = seconds_off(le64_to_cpu(body.host));
	assert_true(off >= -1 && off <= 1);
	guest_shut(&ch);
}

static void nobody_takes_the_time(void **state)
{
	struct message m;

	(void)state;
	begin(IC_TIME, IC_VERSION(4, 0));
	reactor_inline_advance(0);
	told_time(&m, TIME_FLAG_SYNC, 0);
	put(&m, 0);
	assert_null(integration_time(in, 60, ended, &done));
	reactor_inline_advance(0);
	told_time(&m, TIME_FLAG_SYNC, 60);
	reactor_inline_advance(10100 * MS);
	assert_int_equal(done, 1);
	assert_string_equal(error, "the guest does not answer in time");
	assert_true(inspected("ic/time", "\"offset_s\":0"));
	assert_null(integration_time(in, 0, ended, &done));
	guest_shut(&ch);
	assert_int_equal(done, 2);
	assert_string_equal(error, "the guest closed the channel");
}

/* ---- keys and values ---- */

static void put_item(struct message *m, const char *key, uint32_t type,
		     const void *bytes, uint32_t size)
{
	struct ic_kvp_item item;
	uint32_t n = 0;

	memcpy(&item, m->body, sizeof(item));
	for (; key[n]; n++)
		memcpy(item.key + 2 * n, (const char[]){ key[n], 0 }, 2);
	item.key_size = cpu_to_le32(2 * n + 2);
	item.value_type = cpu_to_le32(type);
	item.value_size = cpu_to_le32(size);
	memcpy(item.value, bytes, size < sizeof(item.value) ? size : 0);
	memcpy(m->body, &item, sizeof(item));
	put(m, IC_OK);
}

/* The guest is asked for an item. */
static void asked_item(struct message *m, uint8_t pool, uint32_t index)
{
	struct ic_kvp_item item;

	assert_true(take(m));
	assert_int_equal(m->size, sizeof(item));
	memcpy(&item, m->body, sizeof(item));
	assert_int_equal(item.operation, KVP_ENUMERATE);
	assert_int_equal(item.pool, pool);
	assert_int_equal(le32_to_cpu(item.index), index);
}

static const char *get(const char *key)
{
	return integration_kvp_get(in, "auto", key, got, &done);
}

static void keys_are_found(void **state)
{
	struct message m;

	(void)state;
	assert_string_equal(get("OSName"), "the guest does not listen");
	begin(IC_KVP, IC_VERSION(4, 0));
	assert_null(get("OSName"));
	assert_string_equal(get("OSName"), "another key is being asked for");
	asked_item(&m, KVP_AUTO, 0);
	put_item(&m, "OSBuildNumber", KVP_TEXT, "6\0\0\0", 4);
	asked_item(&m, KVP_AUTO, 1);
	put_item(&m, "OSName", KVP_TEXT, "D\0\xe9\0\xac\x20\x3d\xd8\x00\xde"
		 "\0\xd8!\0\0\0", 16);
	assert_int_equal(done, 1);
	assert_string_equal(error, "");
	assert_string_equal(value, "D\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
			    "\xef\xbf\xbd!");
	assert_false(take(&m));

	assert_null(integration_kvp_get(in, "guest", "n", got, &done));
	asked_item(&m, KVP_GUEST, 0);
	put_item(&m, "n", KVP_U32, "\xff\xff\xff\xff", 4);
	assert_string_equal(value, "4294967295");
	assert_null(get("n"));
	asked_item(&m, KVP_AUTO, 0);
	put_item(&m, "n", KVP_U64, "\0\0\0\0\1\0\0\0", 8);
	assert_string_equal(value, "4294967296");

	assert_null(get("nothing"));
	asked_item(&m, KVP_AUTO, 0);
	put(&m, IC_NO_MORE_ITEMS);
	assert_int_equal(done, 4);
	assert_string_equal(error, "key: the guest has none of this name");
	guest_shut(&ch);
}

static void bad_items(void **state)
{
	static const struct {
		uint32_t type, size;
		const char *rule;
	} items[] = {
		{ KVP_TEXT, KVP_VALUE_SIZE + 1,
		  "the guest's answer has impossible sizes" },
		{ KVP_TEXT, UINT32_MAX,
		  "the guest's answer has impossible sizes" },
		{ KVP_U32, 8, "the guest's value has the wrong size" },
		{ KVP_U64, 4, "the guest's value has the wrong size" },
		{ 3, 4, "the guest's value has no known type" },
	};
	static const uint8_t bytes[8];
	struct message m;

	(void)state;
	begin(IC_KVP, IC_VERSION(4, 0));
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		assert_null(get("k"));
		asked_item(&m, KVP_AUTO, 0);
		put_item(&m, "k", items[i].type, bytes, items[i].size);
		assert_int_equal(done, i + 1);
		assert_string_equal(error, items[i].rule);
	}
	assert_null(get("k"));
	asked_item(&m, KVP_AUTO, 0);
	m.size--;
	m.header.size = cpu_to_le16((uint16_t)m.size);
	put(&m, IC_OK);
	assert_string_equal(error, "the guest's answer is too short");
	assert_null(get("k"));
	asked_item(&m, KVP_AUTO, 0);
	put(&m, IC_FAIL);
	assert_string_equal(error, "the guest cannot: status 0x80004005 (is "
			    "its daemon there?)");
	guest_shut(&ch);
}

/* Nothing but unterminated texts. */
static void texts_as_long_as_may_be(void **state)
{
	struct ic_kvp_item item;
	struct message m;

	(void)state;
	begin(IC_KVP, IC_VERSION(4, 0));
	assert_null(get("k"));
	asked_item(&m, KVP_AUTO, 0);
	memcpy(&item, m.body, sizeof(item));
	memset(item.key, 0xee, sizeof(item.key));
	item.key_size = cpu_to_le32(sizeof(item.key));
	item.value_type = cpu_to_le32(KVP_TEXT);
	memset(item.value, 0xee, sizeof(item.value));
	item.value_size = cpu_to_le32(sizeof(item.value));
	memcpy(m.body, &item, sizeof(item));
	put(&m, IC_OK);
	asked_item(&m, KVP_AUTO, 1);
	memset(item.key, 0, sizeof(item.key));
	item.key[0] = 'k';
	memcpy(m.body, &item, sizeof(item));
	put(&m, IC_OK);
	assert_int_equal(done, 1);
	assert_string_equal(error, "");
	assert_memory_equal(value, "\xee\xbb\xae\xee\xbb\xae", 6);
	guest_shut(&ch);
}

static void a_list_that_does_not_end(void **state)
{
	struct message m;

	(void)state;
	begin(IC_KVP, IC_VERSION(3, 0));
	assert_null(get("k"));
	for (uint32_t i = 0; i < 256; i++) {
		assert_int_equal(done, 0);
		asked_item(&m, KVP_AUTO, i);
		put_item(&m, "other", KVP_TEXT, "\0\0", 2);
	}
	assert_int_equal(done, 1);
	assert_string_equal(error, "the guest's list of keys does not end");
	assert_false(take(&m));
	assert_null(get("k"));
	reactor_inline_advance(35100 * MS);
	assert_string_equal(error, "the guest does not answer in time");
	guest_shut(&ch);
}

static void pools_have_names(void **state)
{
	(void)state;
	assert_int_equal(kvp_pool_of("external"), KVP_EXTERNAL);
	assert_int_equal(kvp_pool_of("auto"), KVP_AUTO);
	assert_int_equal(kvp_pool_of("auto-internal"), KVP_AUTO_INTERNAL);
	assert_int_equal(kvp_pool_of("Auto"), -1);
	assert_string_equal(integration_kvp_get(in, "x", "k", got, &done),
			    "pool: must be external, guest, auto, auto-external"
			    " or auto-internal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(versions_are_agreed_on),
		T(bad_versions),
		T(shutdown_is_asked_and_answered),
		T(a_late_answer_is_not_the_next_one),
		T(broken_answers),
		T(a_broken_pipe),
		T(the_guest_asks),
		T(hearts_beat),
		T(a_heartbeat_is_lost_and_found),
		T(the_time_is_told),
		T(the_time_of_old_versions),
		T(nobody_takes_the_time),
		T(keys_are_found),
		T(bad_items),
		T(texts_as_long_as_may_be),
		T(a_list_that_does_not_end),
		T(pools_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
