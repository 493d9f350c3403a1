// SPDX-License-Identifier: MIT
/*
 * Cases about VMBus's messages: contact, offers, GPADLs, open and close, VPs,
 * unload.
 */
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define KNOWN_FEATURES 0xffu
#define RING_PAGES 4u
#define CANARY 0xc5

/* ---- contact ---- */

static void v_01(void)
{
	struct vmbus_header request;
	struct vmbus_message m;

	CHECK(vmbus_ask(VMBUS_VERSION_COPPER, 0, 0, &m));
	CHECK_IS(m.size, sizeof(m.version));
	CHECK_IS(m.version.response.supported, 1);
	CHECK_IS(m.version.response.status, VMBUS_CONNECTION_OK);
	CHECK_IS(le32_to_cpu(m.version.features), 0);
	vmbus_connection =
		le32_to_cpu(m.version.response.version_or_connection);
	CHECK(vmbus_post(VMBUS_REQUEST_OFFERS, &request, sizeof(request)));
	CHECK(vmbus_take(&m, VMBUS_MS));
	CHECK(m.type == VMBUS_OFFER_CHANNEL ||
	      m.type == VMBUS_ALL_OFFERS_DELIVERED);
	while (m.type != VMBUS_ALL_OFFERS_DELIVERED)
		CHECK(vmbus_take(&m, VMBUS_MS));
	CHECK(vmbus_unload());
}

static void v_04(void)
{
	struct vmbus_initiate_contact contact = {
		.version = cpu_to_le32(VMBUS_VERSION_IRON),
		.sint = VMBUS_SINT,
		.monitor_in = cpu_to_le64((uint64_t)pages(1)),
	};
	struct vmbus_header request;
	struct vmbus_message m;

	CHECK(vmbus_post(VMBUS_INITIATE_CONTACT, &contact, sizeof(contact)));
	CHECK(vmbus_expect(VMBUS_VERSION_RESPONSE, &m));
	CHECK_IS(m.version.response.supported, 1);
	CHECK_IS(m.version.response.status, VMBUS_CONNECTION_FAILED);
	CHECK(vmbus_post(VMBUS_REQUEST_OFFERS, &request, sizeof(request)));
	CHECK(vmbus_silent(100));
}

static void v_06(void)
{
	struct vmbus_message m;
	uint32_t features;

	CHECK(vmbus_ask(VMBUS_VERSION_COPPER, 0, 0xffffffff, &m));
	CHECK_IS(m.version.response.supported, 1);
	CHECK_IS(m.version.response.status, VMBUS_CONNECTION_OK);
	features = le32_to_cpu(m.version.features);
	CHECK(!(features & ~KNOWN_FEATURES));
	CHECK(!(features & VMBUS_FEATURE_CONFIDENTIAL_CHANNELS));
	CHECK(vmbus_unload());
}

static bool refused(uint32_t version)
{
	struct vmbus_message m;

	if (!vmbus_ask(version, 0, 0, &m))
		return false;
	NEED(m.size == sizeof(m.version.response));
	NEED(!m.version.response.supported);
	return true;
}

/* One answer each, so that the client comes down its list at once. */
static void u_01(void)
{
	CHECK(refused(VMBUS_VERSION(9, 9)));
	CHECK(vmbus_contact(VMBUS_VERSION_WIN10, 0));
	CHECK(vmbus_silent(10));
	CHECK(vmbus_offers());
	CHECK(vmbus_unload());
	CHECK(refused(VMBUS_VERSION(0, 13)));
	CHECK(vmbus_contact(VMBUS_VERSION_WIN8, 0));
	CHECK(vmbus_silent(10));
	CHECK(vmbus_offers());
	CHECK(vmbus_unload());
}

/* ---- offers ---- */

static void v_07(void)
{
	struct vmbus_header request;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(nr_offers >= option_number("offers", 1));
	for (uint32_t i = 0; i < nr_offers; i++) {
		uint32_t id = le32_to_cpu(offers[i].channel);

		CHECK(id >= 1 && id <= VMBUS_MAX_CHANNELS);
		for (uint32_t j = 0; j < i; j++)
			CHECK(le32_to_cpu(offers[j].channel) != id);
		CHECK_IS(le16_to_cpu(offers[i].dedicated_interrupt), 1);
		CHECK_IS(le32_to_cpu(offers[i].connection),
			 id | VMBUS_SINT << VMBUS_CONNECTION_SINT_SHIFT);
	}
	CHECK(vmbus_post(VMBUS_REQUEST_OFFERS, &request, sizeof(request)));
	CHECK(vmbus_silent(100));
}

/* vmbus_offers() fails unless "all delivered" is the last. */
static void u_02(void)
{
	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK_IS(nr_offers, option_number("offers", nr_offers));
	CHECK(vmbus_silent((uint32_t)option_number("idle-ms", 300)));
}

/* ---- GPADLs ---- */

static void v_09(void)
{
	uint32_t id;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(scsi_offer(0));
	CHECK(gpadl_create(le32_to_cpu(scsi_offer(0)->channel), pages(1), 1,
			   &id));
	CHECK(vmbus_silent(50));
	CHECK(gpadl_teardown(le32_to_cpu(scsi_offer(0)->channel), id));
}

/* The messages of the row; slices of a receive buffer are a NIC's. */
static void v_10(void)
{
	const uint32_t n = (16u << 20) / TINY_PAGE;
	uint32_t channel, id = gpadl_new_id();
	void *at = pages(n);

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(scsi_offer(0));
	channel = le32_to_cpu(scsi_offer(0)->channel);
	CHECK(gpadl_post(channel, id, (uint64_t)at, n, 145));
	CHECK(vmbus_silent(20));
	CHECK(gpadl_teardown(channel, id)); /* a half one goes, too */
	CHECK(gpadl_create(channel, at, n, &id));
	CHECK(vmbus_silent(20));
	CHECK(gpadl_teardown(channel, id));
}

static void u_03(void)
{
	static const uint32_t sizes[] = { 256, 7936, 3840 };
	uint32_t rounds = (uint32_t)option_number("gpadl-rounds", 2);
	uint32_t channel, first;
	void *at = pages(7936);

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(scsi_offer(0));
	channel = le32_to_cpu(scsi_offer(0)->channel);
	while (rounds--) {
		first = gpadl_new_id();
		gpadl_new_id();
		gpadl_new_id();
		for (uint32_t i = 0; i < 3; i++)
			CHECK(gpadl_post(channel, first + i, (uint64_t)at,
					 sizes[i], UINT32_MAX));
		for (uint32_t i = 0; i < 3; i++)
			CHECK(gpadl_created(first + i, VMBUS_STATUS_SUCCESS));
		for (uint32_t i = 0; i < 3; i++)
			CHECK(gpadl_teardown(channel, first + i));
	}
}

/* ---- open and close ---- */

static void u_04(void)
{
	uint32_t n = (uint32_t)option_number("packets", 300);
	struct scsi_request ready = {
		.cdb_size = 6,
		.direction = VSTOR_DATA_NONE,
	};
	struct packet packet;
	struct channel ch;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(channel_prepare(scsi_offer(0), 1, &ch));
	memset(ch.memory, 0, 2 * TINY_PAGE);
	CHECK(channel_post_open(&ch, 0));
	CHECK(channel_opened(&ch, VMBUS_STATUS_UNSUCCESSFUL));
	CHECK(gpadl_teardown(ch.id, ch.gpadl));
	CHECK(channel_open(scsi_offer(0), 2, 0, &ch));
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	/* More than fits at once. */
	for (uint32_t sent = 0, got = 0; got < n;) {
		while (sent < n && sent - got < 100 && ring_room(&ch) > 128)
			CHECK(scsi_send(&ch, &ready, 1000 + sent++));
		CHECK(ring_wait(&ch, &packet, VMBUS_MS));
		CHECK_IS(packet.transaction, 1000 + got);
		got++;
	}
	CHECK(channel_close(&ch));
}

/* A read of 128 KiB, several times over, unanswered. */
static bool start_reads(struct channel *ch, uint32_t n, void *to)
{
	struct scsi_request r;

	for (uint32_t i = 0; i < n; i++) {
		scsi_fill_rw(&r, false, 0, 256, to);
		if (!scsi_send(ch, &r, 5000 + i))
			return false;
	}
	return true;
}

static void v_14(void)
{
	const uint32_t bytes = 2 * RING_PAGES * TINY_PAGE;
	uint8_t *data = pages(32);
	struct channel ch;

	CHECK(scsi_open(RING_PAGES, &ch));
	CHECK(start_reads(&ch, 16, data));
	CHECK(channel_close(&ch)); /* TORNDOWN within 5 s */
	memset(ch.memory, CANARY, bytes);
	memset(data, CANARY, 32 * TINY_PAGE);
	delay(200);
	CHECK(bytes_are(ch.memory, CANARY, bytes));
	CHECK(bytes_are(data, CANARY, 32 * TINY_PAGE));
}

static void v_16(void)
{
	uint8_t *data = pages(32);
	struct packet packet;
	struct channel ch;

	CHECK(scsi_open(RING_PAGES, &ch));
	CHECK(start_reads(&ch, 16, data));
	CHECK(channel_post_close(&ch));
	CHECK(channel_post_open(&ch, 0));
	CHECK(channel_opened(&ch, VMBUS_STATUS_SUCCESS));
	CHECK(vmbus_silent(50));
	/* What was left in the rings; then it is as new. */
	while (ring_wait(&ch, &packet, 200))
		;
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	CHECK(scsi_read(&ch, 0, 8, data));
	CHECK(channel_close(&ch));
}

/* ---- VPs ---- */

/* Which VP was interrupted for the next request's completion. */
static bool interrupted_vp(struct channel *ch, uint32_t *vp)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_FCHBA_DATA),
	};
	uint64_t end = deadline(VMBUS_MS);
	uint32_t status;

	channel_signalled(ch, 0);
	channel_signalled(ch, 1);
	if (!vstor_do(ch, &packet, sizeof(packet), &status))
		return false;
	for (;;) {
		for (*vp = 0; *vp < 2; ++*vp)
			if (channel_signalled(ch, *vp))
				return true;
		NEED(!passed(end));
	}
}

static bool modify(const struct channel *ch, uint32_t vp)
{
	struct vmbus_modify_channel message = {
		.channel = cpu_to_le32(ch->id),
		.vp = cpu_to_le32(vp),
	};

	return vmbus_post(VMBUS_MODIFY_CHANNEL, &message, sizeof(message));
}

static void modify_in(uint32_t version)
{
	struct vmbus_message m;
	struct channel ch;
	uint32_t vp;

	CHECK(vmbus_connect(version));
	CHECK(channel_open(scsi_offer(0), RING_PAGES, 0, &ch));
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	delay(150); /* past the interrupt that an open is followed by */
	CHECK(interrupted_vp(&ch, &vp));
	CHECK_IS(vp, 0);
	CHECK(modify(&ch, 1));
	if (version >= VMBUS_VERSION_IRON) {
		CHECK(vmbus_expect(VMBUS_MODIFY_CHANNEL_RESPONSE, &m));
		CHECK_IS(le32_to_cpu(m.modified.status), 0);
		CHECK_IS(le32_to_cpu(m.modified.channel), ch.id);
	} else {
		CHECK(vmbus_silent(100));
	}
	CHECK(interrupted_vp(&ch, &vp));
	CHECK_IS(vp, 1);
	CHECK(channel_close(&ch));
	CHECK(vmbus_unload());
}

static void synic_on_vp_1(void)
{
	hv_synic_on();
}

static void v_18(void)
{
	CHECK(nr_vps > 1);
	CHECK(vp_run(1, synic_on_vp_1, 1000));
	modify_in(VMBUS_VERSION_IRON);
	modify_in(VMBUS_VERSION_WIN10_RS5);
}

/* ---- unload ---- */

/* Contact names VP 1, which therefore gets all messages. */
static void v_20(void)
{
	const uint32_t bytes = 2 * RING_PAGES * TINY_PAGE;
	struct channel ch[3];
	uint8_t *data = pages(32);
	uint32_t n;

	CHECK(nr_vps > 1);
	CHECK(vp_run(1, synic_on_vp_1, 1000));
	CHECK(vmbus_contact(VMBUS_VERSION_IRON, 1));
	CHECK(vmbus_offers());
	for (n = 0; n < 3 && scsi_offer(n); n++)
		CHECK(scsi_start(n, RING_PAGES, &ch[n]));
	CHECK(n);
	for (uint32_t i = 0; i < n; i++)
		CHECK(start_reads(&ch[i], 8, data));
	CHECK(vmbus_unload());
	memset(data, CANARY, 32 * TINY_PAGE);
	for (uint32_t i = 0; i < n; i++)
		memset(ch[i].memory, CANARY, bytes);
	CHECK(vmbus_silent(100));
	CHECK(bytes_are(data, CANARY, 32 * TINY_PAGE));
	for (uint32_t i = 0; i < n; i++)
		CHECK(bytes_are(ch[i].memory, CANARY, bytes));
	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(channel_post_open(&ch[0], 0));
	CHECK(channel_opened(&ch[0], VMBUS_STATUS_UNSUCCESSFUL));
	CHECK(vmbus_unload());
}

/* ---- sub-channels ---- */

static bool sub_offers(struct vmbus_offer_channel *sub, uint32_t n)
{
	struct vmbus_message m;

	for (uint32_t i = 0; i < n; i++) {
		if (!vmbus_expect(VMBUS_OFFER_CHANNEL, &m))
			return false;
		NEED(le16_to_cpu(m.offer.sub_index) == i + 1);
		sub[i] = m.offer;
	}
	return true;
}

static void u_05(void)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_CREATE_SUBCHANNELS),
		.subchannels = cpu_to_le16(4),
	};
	struct vmbus_offer_channel sub[4];
	struct scsi_request ready = {
		.cdb_size = 6,
		.direction = VSTOR_DATA_NONE,
	};
	struct channel ch, first, third;
	struct vstor_packet answer;
	uint32_t status, gone = 0;
	struct vmbus_message m;

	CHECK(scsi_open(RING_PAGES, &ch));
	CHECK(vstor_do(&ch, &packet, sizeof(packet), &status));
	CHECK_IS(status, VSTOR_STATUS_SUCCESS);
	CHECK(sub_offers(sub, 4));
	CHECK(channel_open(&sub[0], RING_PAGES, 0, &first));
	CHECK(channel_open(&sub[2], RING_PAGES, 1, &third));
	CHECK(scsi_do(&first, &ready, &answer));
	CHECK_IS(answer.srb.srb_status, VSTOR_SRB_SUCCESS);
	CHECK(scsi_do(&third, &ready, &answer));
	CHECK_IS(answer.srb.srb_status, VSTOR_SRB_SUCCESS);
	/* The primary first: its sub-channels go, it stays. */
	CHECK(channel_post_close(&ch));
	for (int i = 0; i < 4; i++) {
		CHECK(vmbus_expect(VMBUS_RESCIND_CHANNEL, &m));
		CHECK(le32_to_cpu(m.channel.channel) != ch.id);
		gone++;
	}
	CHECK_IS(gone, 4);
	CHECK(vmbus_silent(50));
	CHECK(gpadl_teardown(ch.id, ch.gpadl));
}

const struct tiny_case vmbus_cases[] = {
	{ "V-01", "contact 6.0 and its response", v_01, NULL },
	{ "V-04", "one monitor page alone is refused", v_04, NULL },
	{ "V-06", "of all feature flags only known ones are granted", v_06,
	  NULL },
	{ "V-07", "offers: ids, connections, once", v_07, NULL },
	{ "V-09", "a GPADL of one page", v_09, NULL },
	{ "V-10", "a GPADL of 16 MiB in 147 messages; then half of one", v_10,
	  NULL },
	{ "V-14", "close and teardown with reads under way", v_14, NULL },
	{ "V-16", "close, then open at once", v_16, NULL },
	{ "V-18", "modify: the next interrupt is on the other VP", v_18,
	  NULL },
	{ "V-20", "contact and unload with I/O under way, answers on VP 1",
	  v_20, NULL },
	{ "V-22", "hot removal", NULL,
	  "needs a removal by the server: relay_conformance_test has it" },
	{ "L-01", "the relay as a client of the host", NULL,
	  "needs a host: relay_host_client_test has it" },
	{ "U-01", "clients that know 4.0 or 2.4 only", u_01, NULL },
	{ "U-02", "offers end with \"all delivered\"; then silence", u_02,
	  NULL },
	{ "U-03", "three GPADLs of 47 MiB together, back to back", u_03,
	  NULL },
	{ "U-04", "rings of 1 page are refused, of 2 work", u_04, NULL },
	{ "U-05", "sub-channels: some opened, the primary closed first", u_05,
	  NULL },
	{ "W-32", "2047 channels", NULL,
	  "settings name 4 controllers: relay_limit_test has 2047" },
	{ 0 },
};
