// SPDX-License-Identifier: MIT
/*
 * VMBus messages of the tiny guest; see tiny_vmbus.h. VP 0 posts, and looks for
 * answers in the slot of the VP that the last contact named.
 */
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define FIRST_CONNECTION 4
#define FIRST_GPADL 0xe1e10
#define WORD 8u
#define POST_TRIES 20
#define FIRST_WAITS_PER_MS 10000 /* 100 ns, then twice as long each time */

uint32_t vmbus_connection = FIRST_CONNECTION;
struct vmbus_offer_channel offers[MAX_OFFERS];
uint32_t nr_offers;

uint32_t gpadl_messages;

static uint32_t next_gpadl = FIRST_GPADL;
static uint32_t message_vp; /* where answers come, since the last contact */
static bool connected;

/* ---- messages ---- */

bool vmbus_post(enum vmbus_message_type type, void *message, size_t size)
{
	struct vmbus_header header = { .type = cpu_to_le32(type) };
	uint64_t wait = ticks_per_ms() / FIRST_WAITS_PER_MS;
	uint16_t status;

	memcpy(message, &header, sizeof(header));
	for (int tries = 0;; tries++, wait *= 2) {
		uint64_t start = ticks();

		status = hv_post(vmbus_connection, VMBUS_MESSAGE_TYPE, message,
				 size);
		if (status != HV_STATUS_INSUFFICIENT_BUFFERS ||
		    tries == POST_TRIES)
			break;
		while (!passed(start + wait))
			relax();
	}
	if (status) {
		case_failed(__FILE__, __LINE__, "HvCallPostMessage", status,
			    0);
		return false;
	}
	return true;
}

bool vmbus_take(struct vmbus_message *message, uint32_t ms)
{
	uint64_t end = deadline(ms);
	struct hv_message m;

	while (!hv_take(message_vp, &m)) {
		if (passed(end))
			return false;
		relax();
	}
	message->size = m.header.payload_size;
	memcpy(message->bytes, m.payload, sizeof(message->bytes));
	message->type = le32_to_cpu(message->channel.header.type);
	return true;
}

bool vmbus_expect(enum vmbus_message_type type, struct vmbus_message *message)
{
	message->type = 0;
	if (vmbus_take(message, VMBUS_MS) && message->type == type)
		return true;
	case_failed(__FILE__, __LINE__, "type of the message", message->type,
		    type);
	return false;
}

bool vmbus_silent(uint32_t ms)
{
	struct vmbus_message message;

	if (!vmbus_take(&message, ms))
		return true;
	case_failed(__FILE__, __LINE__, "unasked message", message.type, 0);
	return false;
}

/* ---- the steps of a kernel ---- */

bool vmbus_ask(uint32_t version, uint32_t vp, uint32_t features,
	       struct vmbus_message *message)
{
	uint8_t *monitor = pages(2);
	struct vmbus_initiate_contact_id contact = { .contact = {
		.version = cpu_to_le32(version),
		.vp = cpu_to_le32(vp),
		.monitor_in = cpu_to_le64((uint64_t)monitor),
		.monitor_out = cpu_to_le64((uint64_t)monitor + TINY_PAGE),
	} };

	vmbus_connection = version < VMBUS_VERSION_WIN10_V5 ?
				   1 : FIRST_CONNECTION;
	message_vp = version < VMBUS_VERSION_WIN8_1 ? 0 : vp;
	if (version >= VMBUS_VERSION_WIN10_V5)
		contact.contact.sint = VMBUS_SINT;
	if (version >= VMBUS_VERSION_COPPER)
		contact.contact.features = cpu_to_le32(features);
	return vmbus_post(VMBUS_INITIATE_CONTACT, &contact,
			  features & VMBUS_FEATURE_CLIENT_ID ?
				  sizeof(contact) : sizeof(contact.contact)) &&
	       vmbus_expect(VMBUS_VERSION_RESPONSE, message);
}

/* As Linux does from 5.0 on: posts go where the response says. */
static void agreed(uint32_t version, const struct vmbus_message *message)
{
	connected = true;
	if (version >= VMBUS_VERSION_WIN10_V5)
		vmbus_connection = le32_to_cpu(
			message->version.response.version_or_connection);
}

bool vmbus_contact(uint32_t version, uint32_t vp)
{
	struct vmbus_message message;

	if (!vmbus_ask(version, vp, 0, &message))
		return false;
	NEED(message.version.response.supported == 1);
	NEED(message.version.response.status == VMBUS_CONNECTION_OK);
	agreed(version, &message);
	return true;
}

bool vmbus_offers(void)
{
	struct vmbus_header request;
	struct vmbus_message message;

	nr_offers = 0;
	if (!vmbus_post(VMBUS_REQUEST_OFFERS, &request, sizeof(request)))
		return false;
	for (;;) {
		NEED(vmbus_take(&message, VMBUS_MS));
		if (message.type == VMBUS_ALL_OFFERS_DELIVERED)
			return true;
		NEED(message.type == VMBUS_OFFER_CHANNEL);
		NEED(nr_offers < MAX_OFFERS);
		offers[nr_offers++] = message.offer;
	}
}

bool vmbus_connect(uint32_t version)
{
	return vmbus_contact(version, 0) && vmbus_offers();
}

bool vmbus_unload(void)
{
	struct vmbus_header unload;
	struct vmbus_message message;

	connected = false;
	return vmbus_post(VMBUS_UNLOAD, &unload, sizeof(unload)) &&
	       vmbus_expect(VMBUS_UNLOAD_COMPLETE, &message);
}

void vmbus_reset(void)
{
	struct vmbus_header unload = { .type = cpu_to_le32(VMBUS_UNLOAD) };
	struct vmbus_message message;

	if (connected &&
	    !hv_post(vmbus_connection, VMBUS_MESSAGE_TYPE, &unload,
		     sizeof(unload)))
		while (vmbus_take(&message, VMBUS_MS) &&
		       message.type != VMBUS_UNLOAD_COMPLETE)
			;
	connected = false;
	while (vmbus_take(&message, 0))
		;
	message_vp = 0;
	vmbus_connection = FIRST_CONNECTION;
}

const struct vmbus_offer_channel *offer_of(const struct guid *interface,
					   uint32_t n)
{
	for (uint32_t i = 0; i < nr_offers; i++)
		if (!memcmp(&offers[i].interface, interface,
			    sizeof(*interface)) &&
		    !le16_to_cpu(offers[i].sub_index) && !n--)
			return &offers[i];
	return NULL;
}

const struct vmbus_offer_channel *scsi_offer(uint32_t n)
{
	static const struct guid scsi = VSTOR_SCSI_INTERFACE;

	return offer_of(&scsi, n);
}

/* ---- GPADLs ---- */

uint32_t gpadl_new_id(void)
{
	return next_gpadl++;
}

static bool post_header(uint32_t channel, uint32_t id, uint16_t bytes,
			uint16_t ranges, const uint64_t *word, uint32_t n)
{
	uint8_t message[VMBUS_MAX_MESSAGE];
	struct vmbus_gpadl_header header = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(id),
		.range_bytes = cpu_to_le16(bytes),
		.range_count = cpu_to_le16(ranges),
	};

	gpadl_messages++;
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), word, n * WORD);
	return vmbus_post(VMBUS_GPADL_HEADER, message,
			  sizeof(header) + n * WORD);
}

static bool post_body(uint32_t id, const uint64_t *word, uint32_t n)
{
	uint8_t message[VMBUS_MAX_MESSAGE];
	struct vmbus_gpadl_body body = { .gpadl = cpu_to_le32(id) };

	gpadl_messages++;
	memcpy(message, &body, sizeof(body));
	memcpy(message + sizeof(body), word, n * WORD);
	return vmbus_post(VMBUS_GPADL_BODY, message, sizeof(body) + n * WORD);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

bool gpadl_post_words(uint32_t channel, uint32_t id, const uint64_t *word,
		      uint32_t n, uint16_t range_count)
{
	uint32_t now = least(n, VMBUS_GPADL_HEADER_WORDS);

	if (!post_header(channel, id, (uint16_t)(n * WORD), range_count, word,
			 now))
		return false;
	while (word += now, n -= now) {
		now = least(n, VMBUS_GPADL_BODY_WORDS);
		if (!post_body(id, word, now))
			return false;
	}
	return true;
}

bool gpadl_post(uint32_t channel, uint32_t id, uint64_t gpa, uint32_t n,
		uint32_t bodies)
{
	uint64_t word[VMBUS_GPADL_BODY_WORDS];
	uint32_t now = least(n, VMBUS_GPADL_HEADER_WORDS - 1);
	uint64_t pfn = gpa / TINY_PAGE;

	word[0] = (uint64_t)n * TINY_PAGE;
	for (uint32_t i = 0; i < now; i++)
		word[i + 1] = pfn++;
	if (!post_header(channel, id, (uint16_t)((n + 1) * WORD), 1, word,
			 now + 1))
		return false;
	for (n -= now; n && bodies--; n -= now) {
		now = least(n, VMBUS_GPADL_BODY_WORDS);
		for (uint32_t i = 0; i < now; i++)
			word[i] = pfn++;
		if (!post_body(id, word, now))
			return false;
	}
	return true;
}

bool gpadl_created(uint32_t id, uint32_t status)
{
	struct vmbus_message message;

	if (!vmbus_expect(VMBUS_GPADL_CREATED, &message))
		return false;
	NEED(message.size == sizeof(message.created));
	NEED(le32_to_cpu(message.created.gpadl) == id);
	if (le32_to_cpu(message.created.status) == status)
		return true;
	case_failed(__FILE__, __LINE__, "status of GPADL_CREATED",
		    le32_to_cpu(message.created.status), status);
	return false;
}

bool gpadl_create(uint32_t channel, const void *at, uint32_t n, uint32_t *id)
{
	*id = gpadl_new_id();
	return gpadl_post(channel, *id, (uint64_t)at, n, UINT32_MAX) &&
	       gpadl_created(*id, VMBUS_STATUS_SUCCESS);
}

static bool post_teardown(uint32_t channel, uint32_t id)
{
	struct vmbus_gpadl_teardown teardown = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(id),
	};

	return vmbus_post(VMBUS_GPADL_TEARDOWN, &teardown, sizeof(teardown));
}

bool gpadl_torndown(uint32_t id, uint32_t ms)
{
	struct vmbus_message message;

	NEED(vmbus_take(&message, ms));
	NEED(message.type == VMBUS_GPADL_TORNDOWN);
	NEED(le32_to_cpu(message.torndown.gpadl) == id);
	return true;
}

bool gpadl_teardown(uint32_t channel, uint32_t id)
{
	return post_teardown(channel, id) && gpadl_torndown(id, 5000);
}
