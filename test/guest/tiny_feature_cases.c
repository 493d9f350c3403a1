// SPDX-License-Identifier: MIT
/*
 * Cases about what clients of VMBus ask for besides: feature flags of 6.0,
 * reserved channels, the paths of a crash, interrupts that were lost.
 */
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define RING_PAGES 4u
#define OWN_FLAG 1234u

/* ---- feature flags ---- */

static bool contact_with(uint32_t features)
{
	struct vmbus_message m;

	if (!vmbus_ask(VMBUS_VERSION_COPPER, 0, features, &m))
		return false;
	NEED(m.version.response.supported == 1);
	NEED(m.version.response.status == VMBUS_CONNECTION_OK);
	NEED(le32_to_cpu(m.version.features) == features);
	return true;
}

static void modify_connection(void)
{
	uint8_t *monitor = pages(2);
	struct vmbus_modify_connection modify = {
		.monitor_in = cpu_to_le64((uint64_t)monitor),
		.monitor_out = cpu_to_le64((uint64_t)monitor + TINY_PAGE),
	};
	struct vmbus_message m;

	CHECK(contact_with(VMBUS_FEATURE_MODIFY_CONNECTION));
	CHECK(vmbus_post(VMBUS_MODIFY_CONNECTION, &modify, sizeof(modify)));
	CHECK(vmbus_expect(VMBUS_MODIFY_CONNECTION_RESPONSE, &m));
	CHECK_IS(m.bytes[offsetof(struct vmbus_modify_connection_response,
				  status)], VMBUS_CONNECTION_OK);
	modify.monitor_out = cpu_to_le64(0);
	CHECK(vmbus_post(VMBUS_MODIFY_CONNECTION, &modify, sizeof(modify)));
	CHECK(vmbus_expect(VMBUS_MODIFY_CONNECTION_RESPONSE, &m));
	CHECK(m.bytes[offsetof(struct vmbus_modify_connection_response,
			       status)] != VMBUS_CONNECTION_OK);
	CHECK(vmbus_unload());
}

/* The server's interrupts set the flag that we chose. */
static void signal_parameters(void)
{
	struct vmbus_open_channel_signal message = { 0 };
	struct channel ch;
	uint64_t end;

	CHECK(contact_with(VMBUS_FEATURE_SIGNAL_PARAMETERS));
	CHECK(vmbus_offers());
	CHECK(channel_prepare(scsi_offer(0), RING_PAGES, &ch));
	channel_clear_rings(&ch);
	channel_fill_open(&ch, 0, &message.open);
	message.connection = cpu_to_le32(ch.connection);
	message.event_flag = cpu_to_le16(OWN_FLAG);
	channel_signalled(&ch, 0); /* of earlier cases */
	CHECK(vmbus_post(VMBUS_OPEN_CHANNEL, &message, sizeof(message)));
	CHECK(channel_opened(&ch, VMBUS_STATUS_SUCCESS));
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	for (end = deadline(1000); !hv_take_flag(0, OWN_FLAG);)
		CHECK(!passed(end));
	CHECK(!channel_signalled(&ch, 0));
	CHECK(channel_close(&ch));
	CHECK(vmbus_unload());
}

static void w_27(void)
{
	modify_connection();
	signal_parameters();
}

/* ---- crash paths and lost interrupts ---- */

static void synic_off(void)
{
	struct vmbus_header request;

	CHECK(vmbus_contact(VMBUS_VERSION_COPPER, 0));
	hv_synic_off();
	CHECK(vmbus_post(VMBUS_REQUEST_OFFERS, &request, sizeof(request)));
	delay(50);
	hv_synic_on();
	delay(50);
	vmbus_reset();
	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(vmbus_unload());
}

/* For a client that is about to end: it outlives the connection. */
static void reserved_channel(void)
{
	struct vmbus_open_reserved open = { .sint = cpu_to_le32(VMBUS_SINT) };
	struct vmbus_close_reserved close = { .sint = open.sint };
	struct vmbus_message m;
	struct channel ch;

	CHECK(vmbus_connect(VMBUS_VERSION_IRON));
	CHECK(channel_prepare(scsi_offer(0), RING_PAGES, &ch));
	channel_clear_rings(&ch);
	open.channel = close.channel = cpu_to_le32(ch.id);
	open.gpadl = cpu_to_le32(ch.gpadl);
	open.downstream_page = cpu_to_le32(RING_PAGES);
	CHECK(vmbus_post(VMBUS_OPEN_RESERVED, &open, sizeof(open)));
	CHECK(vmbus_expect(VMBUS_OPEN_RESULT, &m));
	CHECK_IS(le32_to_cpu(m.open_result.status), VMBUS_STATUS_SUCCESS);
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	CHECK(vmbus_unload());
	CHECK(scsi_read(&ch, 0, 8, pages(1)));
	CHECK(vmbus_post(VMBUS_CLOSE_RESERVED, &close, sizeof(close)));
	CHECK(vmbus_expect(VMBUS_CLOSE_RESERVED_RESPONSE, &m));
	CHECK_IS(le32_to_cpu(m.channel.channel), ch.id);
}

static void w_29(void)
{
	synic_off();
	reserved_channel();
}

static void w_30(void)
{
	struct channel ch;
	uint64_t end;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(channel_open(scsi_offer(0), RING_PAGES, 0, &ch));
	channel_signalled(&ch, 0); /* lost */
	for (end = deadline(1000); !channel_signalled(&ch, 0);)
		CHECK(!passed(end));
	CHECK(channel_close(&ch));
}

const struct tiny_case feature_cases[] = {
	{ "W-27", "modify connection; signal parameters of the client's",
	  w_27, NULL },
	{ "W-29", "messages to a SynIC that is off are dropped; a reserved "
	  "channel outlives the connection", w_29, NULL },
	{ "W-30", "an interrupt after open, for those who lost one", w_30,
	  NULL },
	{ 0 },
};
