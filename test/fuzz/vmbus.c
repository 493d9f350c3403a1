// SPDX-License-Identifier: MIT
/*
 * Channel messages: a VMBus server, two devices, and a guest that posts what
 * it likes.
 *
 * Input: how the devices behave, then steps: connect; a message, whole or put
 * together from small numbers; a GPADL; a signal; bytes into guest memory;
 * take a device away or bring it back; let a device that closes let go; room
 * for messages, or none.
 *
 * It must hold that what the server says is a message of the protocol, to a VP
 * and SINT that exist, and that there are no more answers than questions; that
 * every refusal is counted and recorded, and nonsense is refused; that a
 * device is opened, run and closed in this order; that a reset leaves
 * nothing: no hold, no GPADL, no channel that is busy.
 *
 * Slower than 50000 inputs a second: a whole connection each time, and a reset
 * of the server behind it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "relay/channel.h"
#include "relay/ring_reg.h"
#include "relay/vmbus_state.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/reactor_fifo.h"

#define RAM_PAGES 32u
#define NR_VPS 2u
#define MAX_STEPS 40
#define CONNECTION 4

struct toy {
	struct vmbus_device dev; /* first */
	bool offered, touchy, slow, fails;
	unsigned int open, closing;
	bool has[4]; /* of these sub-indexes, one is open */
	struct vmbus_channel *waits[8]; /* closing, if slow */
};

static _Alignas(4096) uint8_t ram[RAM_PAGES * 4096];
static struct guest_memory memory;
static struct reactor reactor[NR_VPS];
static struct vmbus_server *server;
static struct toy toy[2];
static bool busy; /* the client has no room for messages */
static unsigned int asked[VMBUS_MESSAGE_TYPES], answered[VMBUS_MESSAGE_TYPES];
static uint64_t device_violations;
static unsigned int resets;

/* The transport. */

static int post(void *opaque, uint32_t vp, uint8_t sint, const void *payload,
		size_t size)
{
	struct vmbus_header header;
	uint32_t type;

	(void)opaque;
	fuzz_expect(vp < NR_VPS && sint < 16, vp, sint);
	fuzz_expect(size >= sizeof(header) && size <= VMBUS_MAX_MESSAGE, size,
		    0);
	if (busy)
		return -EAGAIN;
	memcpy(&header, payload, sizeof(header));
	type = le32_to_cpu(header.type);
	fuzz_expect(type && type < VMBUS_MESSAGE_TYPES, type, size);
	answered[type]++;
	if (type == VMBUS_OPEN_RESULT) {
		struct vmbus_open_result result;

		memcpy(&result, payload, sizeof(result));
		if (!le32_to_cpu(result.status))
			fuzz_accept();
	}
	return 0;
}

static void signal_client(void *opaque, uint32_t vp, uint8_t sint,
			  uint16_t flag)
{
	(void)opaque;
	fuzz_expect(vp < NR_VPS && sint == VMBUS_SINT, vp, sint);
	(void)flag;
}

static struct reactor *reactor_of(void *opaque, uint32_t vp)
{
	(void)opaque;
	return vp < NR_VPS ? &reactor[vp] : NULL;
}

/* The devices: they send back what they get. */

static int toy_open(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	struct toy *t = (struct toy *)dev;

	fuzz_expect(reactor_is_current(ch->reactor), ch->id, 0);
	if (t->fails)
		return -EIO;
	fuzz_expect(!t->has[ch->sub_index], ch->id, ch->sub_index);
	t->has[ch->sub_index] = true;
	t->open++;
	ch->opaque = t;
	return 0;
}

static void toy_violation(struct vmbus_channel *ch, uint32_t value,
			  const char *rule)
{
	device_violations++;
	vmbus_channel_violation(ch, 0, 0, value, rule);
}

static void toy_run(struct vmbus_channel *ch)
{
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct toy *t = ch->opaque;
	struct ring_packet packet;
	bool signal, more = false;
	unsigned int budget = 4;
	int err = 0;

	fuzz_expect(reactor_is_current(ch->reactor) && t->open, ch->id, 0);
	while (budget-- && !(err = ring_read(&ch->ring, buffer,
					     sizeof(buffer), &packet))) {
		if (t->touchy) {
			toy_violation(ch, packet.type, "no packets, please");
			return;
		}
		if (packet.type == RING_PACKET_GPA_DIRECT && !ch->sub_index)
			vmbus_offer_subchannels(&t->dev,
						packet.payload_size / 8);
		ring_write(&ch->ring, RING_PACKET_COMPLETION, 0,
			   packet.transaction, NULL, 0, packet.payload,
			   packet.payload_size);
	}
	signal = ring_write_end(&ch->ring);
	signal |= ring_read_end(&ch->ring, &more);
	if (ch->ring.broken)
		toy_violation(ch, ch->ring.broken_value, ch->ring.broken);
	else if (signal)
		vmbus_channel_signal(ch);
}

static void closed(struct toy *t, struct vmbus_channel *ch)
{
	t->has[ch->sub_index] = false;
	t->open--;
	vmbus_channel_closed(ch);
}

static void toy_close(struct vmbus_channel *ch)
{
	struct toy *t = ch->opaque;

	fuzz_expect(reactor_is_current(ch->reactor) && t->open, ch->id, 0);
	if (t->slow && t->closing < 8) {
		t->waits[t->closing++] = ch;
		return;
	}
	closed(t, ch);
}

static void let_go(struct toy *t)
{
	while (t->closing)
		closed(t, t->waits[--t->closing]);
}

static void toy_revoked(struct vmbus_device *dev)
{
	struct toy *t = (struct toy *)dev;

	fuzz_expect(t->offered && !t->open, t->offered, t->open);
	t->offered = false;
}

static void offer(void *arg)
{
	static const struct vmbus_device_ops ops = {
		.name = "toy", .open = toy_open, .run = toy_run,
		.close = toy_close,
	};
	struct toy *t = arg;

	t->dev = (struct vmbus_device){
		.ops = &ops,
		.instance = { { 1 + (uint8_t)(t - toy) } },
		.max_subchannels = 3,
		.revoked = toy_revoked,
	};
	t->offered = true;
	fuzz_expect(!vmbus_offer(server, &t->dev), 0, 0);
}

static void revoke(void *arg)
{
	struct toy *t = arg;

	if (t->offered && !t->dev.revoking)
		vmbus_revoke(&t->dev);
}

/* The guest's steps. */

/* What only the server says. */
#define ANSWERS                                                            \
	(1u << VMBUS_OFFER_CHANNEL | 1u << VMBUS_RESCIND_CHANNEL |         \
	 1u << VMBUS_ALL_OFFERS_DELIVERED | 1u << VMBUS_OPEN_RESULT |      \
	 1u << VMBUS_GPADL_CREATED | 1u << VMBUS_GPADL_TORNDOWN |          \
	 1u << VMBUS_VERSION_RESPONSE | 1u << VMBUS_UNLOAD_COMPLETE |      \
	 1u << VMBUS_CLOSE_RESERVED_RESPONSE |                             \
	 1u << VMBUS_TL_CONNECT_RESULT |                                   \
	 1u << VMBUS_MODIFY_CHANNEL_RESPONSE |                             \
	 1u << VMBUS_MODIFY_CONNECTION_RESPONSE | 1u << VMBUS_PAUSE_RESPONSE)
/* What needs no connection. */
#define ALONE (1u << VMBUS_INITIATE_CONTACT | 1u << VMBUS_CLOSE_RESERVED)

/* Must the server refuse it, whatever else it says? */
static bool is_nonsense(uint32_t type, size_t size)
{
	if (size < sizeof(struct vmbus_header) || !type ||
	    type >= VMBUS_MESSAGE_TYPES || 1u << type & ANSWERS)
		return true;
	return server->state == DISCONNECTED && !(1u << type & ALONE);
}

static void say(const void *message, size_t size)
{
	/* What is behind the message is poisoned. */
	uint8_t *copy = malloc(size ? size : 1);
	struct vmbus_header header = { .type = cpu_to_le32(0) };
	uint64_t before;
	uint32_t type;
	bool nonsense;
	int err;

	if (!copy)
		abort();
	memcpy(copy, message, size);
	memcpy(&header, message, size < sizeof(header) ? size :
							 sizeof(header));
	type = le32_to_cpu(header.type);
	if (type < VMBUS_MESSAGE_TYPES)
		asked[type]++;
	reactor_fifo_drain();
	before = violation_count();
	nonsense = is_nonsense(type, size);
	err = vmbus_server_message(server, 0, copy, size);
	free(copy);
	fuzz_expect(!err || (err == -ENOSPC && server->in_count) ||
		    (err == -EINVAL && size > VMBUS_MAX_MESSAGE), err, size);
	/* Is it heard at once? */
	nonsense = nonsense && !err && !server->out &&
		   server->state != DISCONNECTING;
	reactor_fifo_drain();
	fuzz_expect(!nonsense || violation_count() > before, type, size);
}

static void connect_client(struct fuzz_input *in)
{
	static const uint32_t versions[] = {
		VMBUS_VERSION_COPPER, VMBUS_VERSION_WIN8,
		VMBUS_VERSION_WIN8_1, VMBUS_VERSION_WIN10,
		VMBUS_VERSION_WIN10_RS3, VMBUS_VERSION_WIN10_V5,
		VMBUS_VERSION_WIN10_RS4, VMBUS_VERSION_IRON,
	};
	uint8_t how = (uint8_t)fuzz_number(in, 1);
	struct vmbus_initiate_contact_id contact = { .contact = {
		.header.type = cpu_to_le32(VMBUS_INITIATE_CONTACT),
		.version = cpu_to_le32(versions[how % 8]),
		.vp = cpu_to_le32(how >> 3 & 1),
		.sint = how % 8 == 0 || how % 8 >= 5 ? VMBUS_SINT : 0,
		.features = cpu_to_le32((uint32_t)fuzz_number(in, 1)),
	} };
	struct vmbus_header request = {
		.type = cpu_to_le32(VMBUS_REQUEST_OFFERS),
	};

	say(&contact, sizeof(contact));
	if (!(how & 0x80))
		say(&request, sizeof(request));
}

/* Any bytes. */
static void say_bytes(struct fuzz_input *in)
{
	uint8_t message[VMBUS_MAX_MESSAGE + 8] = { 0 };
	size_t size = fuzz_number(in, 1) % sizeof(message);

	fuzz_take(in, message, size);
	say(message, size);
}

/* A type and words, each from one byte. */
static void say_words(struct fuzz_input *in)
{
	uint8_t message[VMBUS_MAX_MESSAGE] = { 0 };
	uint8_t type = (uint8_t)fuzz_number(in, 1);
	uint8_t n = (uint8_t)fuzz_number(in, 1);
	size_t size = 8 + n % 16 * 4;
	le32 word = cpu_to_le32(type % VMBUS_MESSAGE_TYPES);

	memcpy(message, &word, 4);
	for (size_t at = 8; at < size; at += 4) {
		uint32_t number = (uint32_t)fuzz_number(in, 1);

		word = cpu_to_le32(number == 0xff ? UINT32_MAX : number);
		memcpy(message + at, &word, 4);
	}
	/* OPEN_CHANNEL has a long tail. */
	if (type & 0x80)
		size = sizeof(struct vmbus_open_channel);
	if (type & 0x40 && type & 0x80)
		size = sizeof(struct vmbus_open_channel_signal);
	say(message, size);
}

static void make_gpadl(struct fuzz_input *in)
{
	struct vmbus_gpadl_header header = {
		.header.type = cpu_to_le32(VMBUS_GPADL_HEADER),
		.channel = cpu_to_le32((uint32_t)fuzz_number(in, 1)),
		.gpadl = cpu_to_le32((uint32_t)fuzz_number(in, 1)),
		.range_count = cpu_to_le16(1),
	};
	struct vmbus_gpadl_body body = {
		.header.type = cpu_to_le32(VMBUS_GPADL_BODY),
		.gpadl = header.gpadl,
	};
	uint32_t pages = (uint32_t)fuzz_number(in, 1) % 40;
	uint32_t pfn = (uint32_t)fuzz_number(in, 1);
	uint8_t message[VMBUS_MAX_MESSAGE];
	size_t at = sizeof(header);

	header.range_bytes = cpu_to_le16((uint16_t)(8 + 8 * pages));
	memcpy(message, &header, sizeof(header));
	for (uint32_t i = 0; i <= pages; i++, at += 8) {
		le64 word = cpu_to_le64(i ? (pfn + i) % (RAM_PAGES + 1) :
					    pages * 4096);

		if (i == VMBUS_GPADL_HEADER_WORDS) {
			say(message, at);
			memcpy(message, &body, sizeof(body));
			at = sizeof(body);
		}
		memcpy(message + at, &word, 8);
	}
	say(message, at);
}

/* GPADL, OPEN, and a packet, as a driver does. */
static void use_channel(struct fuzz_input *in)
{
	uint32_t id = (uint32_t)fuzz_number(in, 1);
	uint32_t pfn = (uint32_t)fuzz_number(in, 1) % (RAM_PAGES - 4);
	uint8_t make[] = { (uint8_t)id, (uint8_t)id, 4, (uint8_t)(pfn - 1) };
	struct fuzz_input again = { make, sizeof(make) };
	struct vmbus_open_channel_signal open = { .open = {
		.header.type = cpu_to_le32(VMBUS_OPEN_CHANNEL),
		.channel = cpu_to_le32(id),
		.gpadl = cpu_to_le32(id),
		.vp = cpu_to_le32((uint32_t)fuzz_number(in, 1) % 3),
		.downstream_page = cpu_to_le32(2),
	} };
	struct ring_descriptor d = {
		.type = cpu_to_le16((uint16_t)fuzz_number(in, 1) % 12),
		.offset8 = cpu_to_le16(2),
		.length8 = cpu_to_le16((uint16_t)(2 + fuzz_number(in, 1) % 4)),
	};
	le32 written = cpu_to_le32(8u * le16_to_cpu(d.length8) + 8);

	open.connection = cpu_to_le32(connection_of(server, id));
	open.event_flag = cpu_to_le16((uint16_t)id);
	if (pfn)
		make_gpadl(&again);
	say(&open, sizeof(open));
	memcpy(ram + (pfn + 1) * 4096, &d, sizeof(d));
	memcpy(ram + pfn * 4096 + RING_IN, &written, 4);
	vmbus_server_signal(server, connection_of(server, id), 0);
	reactor_fifo_drain();
}

static void write_memory(struct fuzz_input *in)
{
	uint32_t page = (uint32_t)fuzz_number(in, 1) % RAM_PAGES;
	uint32_t offset = (uint32_t)fuzz_number(in, 1) * 8;

	fuzz_take(in, ram + page * 4096 + offset, 4 * (1 + offset % 24));
}

static void signal_server(struct fuzz_input *in)
{
	uint8_t id = (uint8_t)fuzz_number(in, 1);
	int err = vmbus_server_signal(server, connection_of(server, id),
				      (uint16_t)(id >> 7));

	fuzz_expect(!err || err == -ENOENT || err == -EINVAL, err, id);
	reactor_fifo_drain();
}

static void step(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	struct toy *t = &toy[what >> 7];

	switch (what % 10) {
	case 0:
		connect_client(in);
		break;
	case 1:
		say_bytes(in);
		break;
	case 2:
	case 3:
		say_words(in);
		break;
	case 4:
		make_gpadl(in);
		break;
	case 5:
		use_channel(in);
		break;
	case 6:
		write_memory(in);
		break;
	case 7:
		signal_server(in);
		break;
	case 8:
		reactor_run(&reactor[0], t->offered ? revoke : offer, t);
		reactor_fifo_drain();
		break;
	case 9:
		if (what & 0x40)
			busy = !busy;
		else
			let_go(t);
		if (!busy)
			vmbus_server_room(server);
		reactor_fifo_drain();
		break;
	}
}

/* Beginnings and ends. */

static void create(void)
{
	static const struct vmbus_transport_ops transport = {
		.post = post, .signal = signal_client, .reactor = reactor_of,
	};
	const struct vmbus_server_config config = {
		.transport = &transport,
		.memory = &memory,
		.reactor = &reactor[0],
		.nr_vps = NR_VPS,
		.message_connection = CONNECTION,
	};

	fuzz_expect(!guest_memory_add(&memory, 0, sizeof(ram), ram), 0, 0);
	server = vmbus_server_create(&config);
	if (!server)
		abort();
}

static void begin(uint8_t how)
{
	if (!server)
		create();
	memset(ram, 0, sizeof(ram));
	memset(asked, 0, sizeof(asked));
	memset(answered, 0, sizeof(answered));
	busy = false;
	device_violations = 0;
	for (unsigned int i = 0; i < 2; i++) {
		toy[i] = (struct toy){ .touchy = how >> 3 * i & 1,
				       .slow = how >> 3 * i & 2,
				       .fails = how >> 3 * i & 4 };
		reactor_run(&reactor[0], offer, &toy[i]);
	}
	reactor_fifo_drain();
}

static void was_reset(void *opaque)
{
	(void)opaque;
	resets++;
}

static void reset(void *arg)
{
	(void)arg;
	vmbus_server_reset(server, was_reset, NULL);
}

static void end(void)
{
	unsigned int before = resets;

	busy = false;
	for (unsigned int i = 0; i < 2; i++) {
		toy[i].slow = false;
		let_go(&toy[i]);
	}
	vmbus_server_room(server);
	reactor_fifo_drain();
	reactor_run(&reactor[0], reset, NULL);
	reactor_fifo_drain();
	for (unsigned int i = 0; i < 2; i++)
		if (toy[i].offered)
			reactor_run(&reactor[0], revoke, &toy[i]);
	reactor_fifo_drain();
	fuzz_expect(resets == before + 1, resets, before);
	fuzz_expect(!toy[0].offered && !toy[1].offered, toy[0].offered,
		    toy[1].offered);
	fuzz_expect(!memory.holds, memory.holds, 0);
	fuzz_expect(server->state == DISCONNECTED && !server->nr_busy &&
		    !server->nr_channels, server->state, server->nr_channels);
	fuzz_expect(!server->partial && !server->gpadls.count &&
		    !server->gpadls.words, server->gpadls.count, 0);
	fuzz_expect(!server->out && !server->devices, 0, 0);
}

static void check_answers(void)
{
	fuzz_expect(answered[VMBUS_VERSION_RESPONSE] <=
		    asked[VMBUS_INITIATE_CONTACT],
		    answered[VMBUS_VERSION_RESPONSE], 0);
	fuzz_expect(answered[VMBUS_ALL_OFFERS_DELIVERED] <=
		    asked[VMBUS_REQUEST_OFFERS], 0, 0);
	fuzz_expect(answered[VMBUS_OPEN_RESULT] <=
		    asked[VMBUS_OPEN_CHANNEL] + asked[VMBUS_OPEN_RESERVED],
		    answered[VMBUS_OPEN_RESULT], asked[VMBUS_OPEN_CHANNEL]);
	fuzz_expect(answered[VMBUS_GPADL_CREATED] <=
		    asked[VMBUS_GPADL_HEADER],
		    answered[VMBUS_GPADL_CREATED], asked[VMBUS_GPADL_HEADER]);
	fuzz_expect(answered[VMBUS_GPADL_TORNDOWN] <=
		    asked[VMBUS_GPADL_TEARDOWN],
		    answered[VMBUS_GPADL_TORNDOWN],
		    asked[VMBUS_GPADL_TEARDOWN]);
	fuzz_expect(answered[VMBUS_UNLOAD_COMPLETE] <= asked[VMBUS_UNLOAD], 0,
		    0);
	fuzz_expect(answered[VMBUS_CLOSE_RESERVED_RESPONSE] <=
		    asked[VMBUS_CLOSE_RESERVED], 0, 0);
	fuzz_expect(answered[VMBUS_MODIFY_CHANNEL_RESPONSE] <=
		    asked[VMBUS_MODIFY_CHANNEL], 0, 0);
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	vmbus_server_inspect(server, out);
}

static void inspect(void)
{
	static struct inspect_entry entry = { "vmbus", describe, NULL, NULL };
	static char json[16384];

	if (!json[0])
		inspect_register(&entry);
	fuzz_expect(inspect_render("", 9, json, sizeof(json)) > 0, 0, 0);
}

void fuzz_one(struct fuzz_input *in)
{
	uint8_t how = (uint8_t)fuzz_number(in, 1);
	uint64_t violations = violation_count(), refused;

	begin(how);
	refused = server->count.refused;
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	if (how == 0xff) /* takes its time */
		inspect();
	end();
	check_answers();
	fuzz_expect(violation_count() - violations ==
		    server->count.refused - refused + device_violations,
		    violation_count() - violations,
		    server->count.refused - refused);
}
