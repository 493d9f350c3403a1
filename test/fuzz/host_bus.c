// SPDX-License-Identifier: MIT
/*
 * Messages of the host: the relay between a host that says what it likes and a
 * server with a guest.
 *
 * Input: the rules for two instances, then steps. The host answers the oldest
 * question, rightly or with a status; offers and rescinds; says a message,
 * whole or of small numbers; has room or none; or does not answer in time. The guest
 * connects, makes GPADLs, opens, closes, tears down, releases, unloads, or
 * resets.
 *
 * It must hold that what the host hears is a message of a client and complete;
 * that the guest hears no more answers than it asked questions, and of no two
 * offers of one instance of an interface; that a guest whose connection ended has
 * no GPADL at the host; that every refusal is recorded, and nonsense
 * is refused; that when the host stays silent the guest is reset all
 * the same, and the relay stops; and that nothing is left: no hold, GPADL,
 * offer, message or timer.
 *
 * Slower than 50000 inputs a second: a whole connection, relay and server each
 * time, and up to 48 messages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "relay/host_bus_state.h"
#include "relay/host_relay.h"
#include "relay/vmbus_state.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/reactor_fifo.h"

#define RAM_PAGES 64u
#define NR_VPS 2u
#define MAX_STEPS 48
#define CONNECTION 0x800074u
#define MAX_QUESTIONS 64u

struct bus_client *__real_bus_client_create(const struct bus_client_config *c);
struct bus_client *__wrap_bus_client_create(const struct bus_client_config *c);

static _Alignas(4096) uint8_t ram[RAM_PAGES * 4096];
static struct guest_memory memory;
static struct reactor reactor;
static struct vmbus_server *server;
static struct host_relay *relay;
static struct bus_client *bus;
static struct host_relay_rule rules[2];
static bool full; /* the host has no room */
static unsigned int asked[VMBUS_MESSAGE_TYPES], answered[VMBUS_MESSAGE_TYPES];
static unsigned int stops, resets, intercepted;
/* What the host was told and has not answered. */
static struct host_message question[MAX_QUESTIONS];
static unsigned int nr_questions;

struct bus_client *__wrap_bus_client_create(const struct bus_client_config *c)
{
	return bus = __real_bus_client_create(c);
}

/* ---- to the guest ---- */

/* By id: the guest was told of it, and not that it is gone. When a release is
 * handled, and whether it is refused, is not seen from here. */
static struct {
	bool there;
	bool released; /* rightly or not, now or earlier */
	struct guid interface, instance;
	uint16_t sub_index;
} seen[VMBUS_MAX_CHANNELS + 1];

static void forget_seen(void)
{
	for (unsigned int i = 0; i < 32; i++)
		seen[i].there = false;
}

static void guest_hears_offer(const void *payload)
{
	struct vmbus_offer_channel offer;
	uint32_t id;

	memcpy(&offer, payload, sizeof(offer));
	id = le32_to_cpu(offer.channel);
	fuzz_expect(id && id <= VMBUS_MAX_CHANNELS, id, 0);
	fuzz_expect(!seen[id].there || seen[id].released, id, 0);
	for (uint32_t i = 1; i < 16; i++)
		fuzz_expect(!seen[i].there || seen[i].released ||
			    seen[i].sub_index != le16_to_cpu(offer.sub_index) ||
			    !guid_equal(&seen[i].interface, &offer.interface) ||
			    !guid_equal(&seen[i].instance, &offer.instance), i,
			    id);
	seen[id].there = true;
	seen[id].interface = offer.interface;
	seen[id].instance = offer.instance;
	seen[id].sub_index = le16_to_cpu(offer.sub_index);
}

static int to_guest(void *opaque, uint32_t vp, uint8_t sint,
		    const void *payload, size_t size)
{
	struct vmbus_channel_message message;
	struct vmbus_open_result result;
	uint32_t type;

	(void)opaque;
	fuzz_expect(vp < NR_VPS && sint < 16 && size >= 8, vp, sint);
	memcpy(&message.header, payload, sizeof(message.header));
	type = le32_to_cpu(message.header.type);
	fuzz_expect(type && type < VMBUS_MESSAGE_TYPES, type, size);
	answered[type]++;
	switch (type) {
	case VMBUS_OFFER_CHANNEL:
		guest_hears_offer(payload);
		break;
	case VMBUS_VERSION_RESPONSE:
	case VMBUS_UNLOAD_COMPLETE:
		/* What it knew, it knows no more; its memory is its own. */
		fuzz_expect(!bus->nr_gpadls, bus->nr_gpadls, 0);
		forget_seen();
		break;
	case VMBUS_RESCIND_CHANNEL:
		memcpy(&message, payload, sizeof(message));
		seen[le32_to_cpu(message.channel)].there = false;
		break;
	case VMBUS_OPEN_RESULT:
		memcpy(&result, payload, sizeof(result));
		if (!le32_to_cpu(result.status))
			fuzz_accept();
		break;
	}
	return 0;
}

static void no_signal(void *opaque, uint32_t vp, uint8_t sint, uint16_t flag)
{
	(void)opaque;
	(void)sint;
	/* They are the host's. */
	fuzz_expect(false, vp, flag);
}

static struct reactor *reactor_of(void *opaque, uint32_t vp)
{
	(void)opaque;
	return vp < NR_VPS ? &reactor : NULL;
}

/* ---- to the host ---- */

static size_t least_size(uint32_t type)
{
	switch (type) {
	case VMBUS_REQUEST_OFFERS:
	case VMBUS_UNLOAD:
		return sizeof(struct vmbus_header);
	case VMBUS_INITIATE_CONTACT:
		return sizeof(struct vmbus_initiate_contact);
	case VMBUS_OPEN_CHANNEL:
		return sizeof(struct vmbus_open_channel_signal);
	case VMBUS_CLOSE_CHANNEL:
	case VMBUS_REL_ID_RELEASED:
		return sizeof(struct vmbus_channel_message);
	case VMBUS_GPADL_HEADER:
		return sizeof(struct vmbus_gpadl_header) + 8;
	case VMBUS_GPADL_BODY:
		return sizeof(struct vmbus_gpadl_body) + 8;
	case VMBUS_GPADL_TEARDOWN:
		return sizeof(struct vmbus_gpadl_teardown);
	case VMBUS_MODIFY_CHANNEL:
		return sizeof(struct vmbus_modify_channel);
	case VMBUS_TL_CONNECT_REQUEST:
		return sizeof(struct vmbus_tl_connect_request_silo);
	default:
		return SIZE_MAX;
	}
}

static int to_host(void *opaque, uint32_t connection, const void *payload,
		   size_t size)
{
	struct vmbus_header header;
	struct host_message *q;

	(void)opaque;
	(void)connection;
	if (full)
		return -EAGAIN;
	memcpy(&header, payload, sizeof(header));
	fuzz_expect(size >= least_size(le32_to_cpu(header.type)) &&
		    size <= VMBUS_MAX_MESSAGE, le32_to_cpu(header.type), size);
	if (nr_questions == MAX_QUESTIONS)
		return 0;
	q = &question[nr_questions++];
	q->size = (uint32_t)size;
	memcpy(q->payload, payload, size);
	return 0;
}

/* ---- the host ---- */

#define FOR_CLIENTS                                                        \
	(1u << VMBUS_OFFER_CHANNEL | 1u << VMBUS_RESCIND_CHANNEL |         \
	 1u << VMBUS_ALL_OFFERS_DELIVERED | 1u << VMBUS_OPEN_RESULT |      \
	 1u << VMBUS_GPADL_CREATED | 1u << VMBUS_GPADL_TORNDOWN |          \
	 1u << VMBUS_VERSION_RESPONSE | 1u << VMBUS_UNLOAD_COMPLETE |      \
	 1u << VMBUS_TL_CONNECT_RESULT | 1u << VMBUS_MODIFY_CHANNEL_RESPONSE)

static void host_says(const void *message, size_t size)
{
	/* What is behind the message is poisoned. */
	uint8_t *copy = malloc(size ? size : 1);
	struct vmbus_header header = { .type = cpu_to_le32(0) };
	uint64_t before = violation_count();
	uint32_t type;
	bool nonsense;

	if (!copy)
		abort();
	memcpy(copy, message, size);
	memcpy(&header, message, size < sizeof(header) ? size :
							 sizeof(header));
	type = le32_to_cpu(header.type);
	nonsense = size < sizeof(header) || size > VMBUS_MAX_MESSAGE ||
		   type >= VMBUS_MESSAGE_TYPES || !(1u << type & FOR_CLIENTS);
	host_relay_message(relay, copy, size);
	free(copy);
	fuzz_expect(!nonsense || violation_count() > before, type, size);
	reactor_fifo_drain();
}

union answer {
	struct vmbus_header header;
	struct vmbus_version_response_features version;
	struct vmbus_open_result opened;
	struct vmbus_gpadl_created created;
	struct vmbus_gpadl_torndown torndown;
	struct vmbus_modify_channel_response modified;
	struct vmbus_tl_connect_result socket;
};

static size_t to_contact(union answer *a, uint32_t status)
{
	a->version.response.supported = status != 1;
	a->version.response.status = status == 2;
	a->version.response.version_or_connection = cpu_to_le32(CONNECTION);
	a->version.features = cpu_to_le32(status == 3 ? 0 : 0xf);
	return sizeof(a->version);
}

/* The answer to `q` and its type; 0: there is none. */
static size_t make_answer(const struct host_message *q, uint32_t status,
			  union answer *a, uint32_t *type)
{
	/* Channel, then what it is about, in every message that has them. */
	struct vmbus_gpadl_teardown about = { 0 };
	uint32_t asks;

	memcpy(&about, q->payload, q->size < sizeof(about) ? q->size :
							     sizeof(about));
	memset(a, 0, sizeof(*a));
	asks = le32_to_cpu(about.header.type);
	switch (asks) {
	case VMBUS_INITIATE_CONTACT:
		*type = VMBUS_VERSION_RESPONSE;
		return to_contact(a, status);
	case VMBUS_REQUEST_OFFERS:
		*type = VMBUS_ALL_OFFERS_DELIVERED;
		return sizeof(a->header);
	case VMBUS_UNLOAD:
		*type = VMBUS_UNLOAD_COMPLETE;
		return sizeof(a->header);
	case VMBUS_OPEN_CHANNEL:
		*type = VMBUS_OPEN_RESULT;
		a->opened.channel = about.channel;
		a->opened.open_id = about.gpadl;
		a->opened.status = cpu_to_le32(status);
		return sizeof(a->opened);
	case VMBUS_GPADL_HEADER:
		*type = VMBUS_GPADL_CREATED;
		a->created.channel = about.channel;
		a->created.gpadl = about.gpadl;
		a->created.status = cpu_to_le32(status);
		return sizeof(a->created);
	case VMBUS_GPADL_TEARDOWN:
		*type = VMBUS_GPADL_TORNDOWN;
		a->torndown.gpadl = about.gpadl;
		return sizeof(a->torndown);
	case VMBUS_MODIFY_CHANNEL:
		*type = VMBUS_MODIFY_CHANNEL_RESPONSE;
		a->modified.channel = about.channel;
		a->modified.status = cpu_to_le32(status);
		return sizeof(a->modified);
	case VMBUS_TL_CONNECT_REQUEST:
		*type = VMBUS_TL_CONNECT_RESULT;
		a->socket.status = cpu_to_le32(status);
		return sizeof(a->socket);
	default:
		return 0;
	}
}

static void host_answers(uint32_t status)
{
	union answer a;
	uint32_t type;
	size_t size = 0;

	while (!size && nr_questions) {
		size = make_answer(&question[0], status, &a, &type);
		nr_questions--;
		memmove(question, question + 1,
			nr_questions * sizeof(question[0]));
	}
	if (!size)
		return;
	a.header.type = cpu_to_le32(type);
	host_says(&a, size);
}

static void host_offers(struct fuzz_input *in)
{
	uint8_t how = (uint8_t)fuzz_number(in, 1);
	struct vmbus_offer_channel offer = {
		.header.type = cpu_to_le32(VMBUS_OFFER_CHANNEL),
		.instance = { { how & 3 } },
		.sub_index = cpu_to_le16(how >> 2 & 3),
		.flags = cpu_to_le16(how),
		.channel = cpu_to_le32(how >> 4),
	};

	host_says(&offer, sizeof(offer));
}

static void host_rescinds(uint8_t id)
{
	struct vmbus_channel_message rescind = {
		.header.type = cpu_to_le32(VMBUS_RESCIND_CHANNEL),
		.channel = cpu_to_le32(id),
	};

	host_says(&rescind, sizeof(rescind));
}

static void host_says_bytes(struct fuzz_input *in)
{
	uint8_t message[VMBUS_MAX_MESSAGE + 8] = { 0 };
	size_t size = fuzz_number(in, 1) % sizeof(message);

	fuzz_take(in, message, size);
	host_says(message, size);
}

/* A type and words, each from one byte. */
static size_t take_words(struct fuzz_input *in, uint8_t *message)
{
	le32 word = cpu_to_le32((uint32_t)fuzz_number(in, 1) %
				VMBUS_MESSAGE_TYPES);
	size_t size = 8 + fuzz_number(in, 1) % 12 * 4;

	memcpy(message, &word, 4);
	for (size_t at = 8; at < size; at += 4) {
		uint32_t number = (uint32_t)fuzz_number(in, 1);

		word = cpu_to_le32(number == 0xff ? UINT32_MAX : number);
		memcpy(message + at, &word, 4);
	}
	return size;
}

/* A timer is over: all that is asked waits as long as the oldest. */
static void fire(struct reactor_timer *timer)
{
	if (!timer->armed)
		return;
	reactor_timer_cancel(&reactor, timer);
	timer->fn(timer);
	reactor_fifo_drain();
}

/* The host does not answer the oldest of these, and nothing came by a look. */
static void expire(struct host_questions *list)
{
	fire(&list->timer);
	if (list->first)
		list->first->deadline = list->expired;
	fire(&list->timer);
}

static void room_or_none(void)
{
	full = !full;
	fire(&bus->retry);
}

static void host_takes_nothing(void)
{
	if (bus->out)
		bus->out_taken = reactor_now() - HOST_BUS_DEADLINE_NS;
	fire(&bus->retry);
}

/* ---- the guest ---- */

static void guest_releases(const void *message, size_t size)
{
	struct vmbus_channel_message released = { 0 };
	uint32_t id;

	memcpy(&released, message, size < sizeof(released) ? size :
							     sizeof(released));
	id = le32_to_cpu(released.channel);
	if (id <= VMBUS_MAX_CHANNELS)
		seen[id].released = true;
}

static void guest_says(void *message, size_t size)
{
	struct vmbus_header header;
	uint32_t type;

	memcpy(&header, message, sizeof(header));
	type = le32_to_cpu(header.type);
	if (type < VMBUS_MESSAGE_TYPES)
		asked[type]++;
	if (type == VMBUS_REL_ID_RELEASED)
		guest_releases(message, size);
	vmbus_server_message(server, 0, message, size);
	reactor_fifo_drain();
}

static void guest_connects(uint8_t how)
{
	struct vmbus_initiate_contact_id contact = { .contact = {
		.header.type = cpu_to_le32(VMBUS_INITIATE_CONTACT),
		.version = cpu_to_le32(how & 1 ? VMBUS_VERSION_IRON :
						 VMBUS_VERSION_COPPER),
		.sint = VMBUS_SINT,
		.features = cpu_to_le32(how & 1 ? 0 : how & 0x2f),
	} };
	struct vmbus_header request = {
		.type = cpu_to_le32(VMBUS_REQUEST_OFFERS),
	};

	guest_says(&contact, sizeof(contact));
	guest_says(&request, sizeof(request));
}

static void guest_makes_gpadl(uint32_t channel, uint32_t gpadl)
{
	struct {
		struct vmbus_gpadl_header header;
		le64 word[5];
	} __packed message = { .header = {
		.header.type = cpu_to_le32(VMBUS_GPADL_HEADER),
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(gpadl),
		.range_bytes = cpu_to_le16(5 * 8),
		.range_count = cpu_to_le16(1),
	} };

	message.word[0] = cpu_to_le64(4 * 4096);
	for (unsigned int i = 1; i < 5; i++)
		message.word[i] = cpu_to_le64((gpadl + i) % RAM_PAGES);
	guest_says(&message, sizeof(message));
}

static void guest_opens(uint32_t channel, uint32_t gpadl)
{
	struct vmbus_open_channel_signal open = {
		.open = {
			.header.type = cpu_to_le32(VMBUS_OPEN_CHANNEL),
			.channel = cpu_to_le32(channel),
			.gpadl = cpu_to_le32(gpadl),
			.downstream_page = cpu_to_le32(2),
		},
		.connection = cpu_to_le32(connection_of(server, channel)),
		.event_flag = cpu_to_le16((uint16_t)channel),
	};

	guest_says(&open, sizeof(open));
}

static void was_reset(void *opaque)
{
	(void)opaque;
	resets++;
}

static void reset(void *arg)
{
	(void)arg;
	forget_seen();
	vmbus_server_reset(server, was_reset, NULL);
}

static void silence(void);

static void guest_resets(void)
{
	unsigned int before = resets;

	reactor_run(&reactor, reset, NULL);
	reactor_fifo_drain();
	if (resets == before)
		silence();
	fuzz_expect(resets == before + 1, resets, before);
	fuzz_expect(!bus->nr_gpadls, bus->nr_gpadls, 0);
}

/* The host says no more, and everything is over. */
static void silence(void)
{
	for (unsigned int i = 0; i < 10000 &&
	     (bus->answers.timer.armed || bus->letting_go.timer.armed ||
	      bus->retry.armed); i++) {
		full = false;
		fire(&bus->retry);
		expire(&bus->answers);
		expire(&bus->letting_go);
	}
	fuzz_expect(!bus->answers.timer.armed && !bus->letting_go.timer.armed &&
		    !bus->retry.armed, 0, 0);
}

/* ---- steps ---- */

static void guest_step(struct fuzz_input *in, uint8_t what)
{
	_Alignas(8) uint8_t message[VMBUS_MAX_MESSAGE] = { 0 };
	uint8_t id = what >> 4 & 3;
	uint8_t gpadl;

	switch (what & 3) {
	case 0:
		guest_connects((uint8_t)fuzz_number(in, 1));
		break;
	case 1:
		gpadl = (uint8_t)fuzz_number(in, 1);
		guest_makes_gpadl(id, gpadl & 7);
		if (gpadl & 0x80)
			host_answers(0);
		if (gpadl & 0x40)
			guest_opens(id, gpadl & 7);
		break;
	case 2:
		guest_says(message, take_words(in, message));
		break;
	case 3:
		if (what & 0x80)
			guest_resets();
		else
			guest_opens(id, what >> 6 & 1);
		break;
	}
}

static void step(struct fuzz_input *in)
{
	_Alignas(8) uint8_t message[VMBUS_MAX_MESSAGE] = { 0 };
	uint8_t what = (uint8_t)fuzz_number(in, 1);

	switch (what & 0xf) {
	case 0:
	case 1:
	case 2:
		host_answers(0);
		break;
	case 3:
		host_answers(what >> 4);
		break;
	case 4:
		host_offers(in);
		break;
	case 5:
		host_rescinds(what >> 4);
		break;
	case 6:
		host_says_bytes(in);
		break;
	case 7:
		host_says(message, take_words(in, message));
		break;
	case 8:
		expire(what >> 4 & 1 ? &bus->letting_go : &bus->answers);
		break;
	case 9:
		room_or_none();
		break;
	case 10:
		host_takes_nothing();
		break;
	case 11:
		fire(&bus->retry);
		break;
	default:
		guest_step(in, what);
	}
}

/* ---- beginnings and ends ---- */

static void on_started(void *opaque, int err)
{
	(void)opaque;
	(void)err;
}

static void on_intercept(void *opaque, struct host_offer *offer, bool there)
{
	(void)opaque;
	fuzz_expect(offer->message.instance.b[0] < 4, 0, 0);
	intercepted += there ? 1u : -1u;
}

static void on_stopped(void *opaque)
{
	(void)opaque;
	stops++;
}

static void create(void)
{
	static const struct vmbus_transport_ops guest = {
		.post = to_guest, .signal = no_signal, .reactor = reactor_of,
	};
	static const struct bus_client_transport_ops host = { .post = to_host };
	const struct vmbus_server_config config = {
		.transport = &guest,
		.memory = &memory,
		.reactor = &reactor,
		.nr_vps = NR_VPS,
		.message_connection = 4,
	};
	const struct host_relay_config relay_config = {
		.transport = &host,
		.reactor = &reactor,
		.connection = CONNECTION,
		.rules = rules,
		.nr_rules = 2,
		.started = on_started,
		.intercept = on_intercept,
	};
	struct host_relay_config with_server = relay_config;

	fuzz_expect(!guest_memory_add(&memory, 0, sizeof(ram), ram), 0, 0);
	server = vmbus_server_create(&config);
	if (!server)
		abort();
	with_server.server = server;
	relay = host_relay_create(&with_server);
	if (!relay)
		abort();
}

static void start(void *arg)
{
	(void)arg;
	host_relay_start(relay);
}

static void begin(uint8_t how)
{
	if (!server)
		create();
	memset(asked, 0, sizeof(asked));
	memset(answered, 0, sizeof(answered));
	memset(seen, 0, sizeof(seen[0]) * 32);
	full = false;
	nr_questions = 0;
	/* Instances 2 and 3; 0 and 1 are relayed. */
	for (unsigned int i = 0; i < 2; i++)
		rules[i] = (struct host_relay_rule){
			{ { (uint8_t)(2 + i) } }, (how >> 2 * i & 3) % 3,
		};
	reactor_run(&reactor, start, NULL);
	reactor_fifo_drain();
}

static void stop(void *arg)
{
	(void)arg;
	host_relay_stop(relay, on_stopped, NULL);
}

static void end(void)
{
	unsigned int before = stops;

	full = false;
	reactor_run(&reactor, stop, NULL);
	reactor_fifo_drain();
	if (stops == before)
		silence();
	fuzz_expect(stops == before + 1, stops, before);
	guest_resets();
	fuzz_expect(!intercepted, intercepted, 0);
	fuzz_expect(bus->phase == BUS_DISCONNECTED && !bus->offers &&
		    !bus->nr_offers && !bus->nr_released, bus->phase,
		    bus->nr_offers);
	fuzz_expect(!bus->nr_gpadls && !bus->out && !bus->answers.first &&
		    !bus->letting_go.first, bus->nr_gpadls, 0);
	fuzz_expect(!memory.holds, memory.holds, 0);
	fuzz_expect(server->state == DISCONNECTED && !server->nr_busy &&
		    !server->nr_channels && !server->devices, server->state,
		    server->nr_channels);
	fuzz_expect(!server->partial && !server->gpadls.count && !server->out &&
		    !server->hold, server->gpadls.count, server->hold);
	fuzz_expect(!reactor.timers, reactor.timers, 0);
}

static void check_answers(void)
{
	static const uint8_t pairs[][2] = {
		{ VMBUS_VERSION_RESPONSE, VMBUS_INITIATE_CONTACT },
		{ VMBUS_ALL_OFFERS_DELIVERED, VMBUS_REQUEST_OFFERS },
		{ VMBUS_GPADL_CREATED, VMBUS_GPADL_HEADER },
		{ VMBUS_GPADL_TORNDOWN, VMBUS_GPADL_TEARDOWN },
		{ VMBUS_UNLOAD_COMPLETE, VMBUS_UNLOAD },
		{ VMBUS_MODIFY_CHANNEL_RESPONSE, VMBUS_MODIFY_CHANNEL },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		fuzz_expect(answered[pairs[i][0]] <= asked[pairs[i][1]],
			    pairs[i][0], answered[pairs[i][0]]);
	fuzz_expect(answered[VMBUS_OPEN_RESULT] <=
		    asked[VMBUS_OPEN_CHANNEL] + asked[VMBUS_OPEN_RESERVED],
		    answered[VMBUS_OPEN_RESULT], asked[VMBUS_OPEN_CHANNEL]);
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	host_relay_inspect(relay, out);
}

static void inspect(void)
{
	static struct inspect_entry entry = { "relay", describe, NULL, NULL };
	static char json[16384];

	if (!entry.object) {
		entry.object = &entry;
		inspect_register(&entry);
	}
	fuzz_expect(inspect_render("", 8, json, sizeof(json)) > 0, 0, 0);
}

void fuzz_one(struct fuzz_input *in)
{
	uint8_t how = (uint8_t)fuzz_number(in, 1);

	begin(how);
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	if (how >> 5 == 7)
		inspect();
	end();
	check_answers();
}
