// SPDX-License-Identifier: MIT
/*
 * Cases about a NIC: NVSP, RNDIS and frames. What the first NIC sends comes on
 * the second, if there is one; else it is a loopback and comes on the first.
 */
#include "tiny_hv.h"
#include "tiny_net.h"

#define CANARY 0xc5
#define FILTER (RNDIS_FILTER_DIRECTED | RNDIS_FILTER_BROADCAST)
#define MASK(nic) ((nic)->ch.in.control[RING_INTERRUPT_MASK / 4])

static struct nic nics[2];
static struct nic *const nic = &nics[0];
static struct nic *to; /* where frames come */

static uint32_t gpadl_cost; /* messages for the first one's memory */

/* What comes before a NIC runs is lost; that it sends says that it does. */
static bool wait_running(struct nic *n)
{
	uint32_t completions = n->completions;

	if (!nic_put_frame(n, &n->ch, 60, NIC_SECTION))
		return false;
	NEED(channel_signal(&n->ch) == HV_STATUS_SUCCESS);
	return nic_wait(n, &n->ch, &n->completions, completions + 1);
}

/* The one that receives is up first: what it sends meanwhile goes nowhere. */
static bool up_at(uint32_t version, const struct nic_plan *plan)
{
	uint32_t before;

	if (!vmbus_connect(version))
		return false;
	to = nic_offer(1) ? &nics[1] : nic;
	if (to != nic && (!nic_up(to, 1, &nic_small) || !wait_running(to)))
		return false;
	before = gpadl_messages;
	if (!nic_up(nic, 0, plan))
		return false;
	gpadl_cost = gpadl_messages - before;
	return true;
}

static bool up(void)
{
	return up_at(VMBUS_VERSION_COPPER, &nic_small);
}

static bool down(void)
{
	return nic_down(nic) && (to == nic || nic_down(to));
}

static bool frames_pass(uint32_t size, enum nic_way way)
{
	return nic_round_trip(nic, &nic->ch, to, &to->ch, size, way);
}

/* ---- NVSP ---- */

static void n_01(void)
{
	uint32_t status;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(nic_open(nic, 0, 16));
	CHECK(nic_version(nic, 0x70000, &status));
	CHECK_IS(status, NVS_STATUS_NONE);
	CHECK_IS(nic->reply_size, NVS_SIZE_61);
	CHECK(nic_version(nic, NVS_VERSION_61, &status));
	CHECK_IS(status, NVS_STATUS_SUCCESS);
	CHECK_IS(nic->reply_size, NVS_SIZE_61);
	CHECK(nic_config(nic, 1514));
	CHECK(nic_receive_buffer(nic, 256));
	CHECK_IS(nic->reply_size, NVS_SIZE_61);
	CHECK(channel_close(&nic->ch));
}

/* A NIC with this MTU asked for, and the sizes that follow from it. */
static bool with_mtu(uint32_t wire, uint32_t *slot, uint32_t *mtu)
{
	const struct nic_plan plan = { 16, 256, 64, wire, false };
	uint32_t status, size = sizeof(*mtu);

	if (!up_at(VMBUS_VERSION_COPPER, &plan) ||
	    !nic_query(nic, OID_MAXIMUM_FRAME_SIZE, 0, &status, mtu, &size))
		return false;
	NEED(!status && size == sizeof(*mtu));
	*slot = nic->slot_size;
	return (to != nic || frames_pass(*mtu + 14, NIC_PAGES)) && down() &&
	       vmbus_unload();
}

static void n_03(void)
{
	bool jumbo = option_number("mtu", 9000) > 1500;
	uint32_t slot, mtu, other;

	CHECK(with_mtu(1514, &slot, &mtu));
	CHECK(slot >= 1806); /* 256 bytes and 36 more than a frame */
	CHECK_IS(mtu, 1500);
	CHECK(with_mtu(9216, &other, &mtu));
	CHECK_IS(other > slot, jumbo);
	CHECK_IS(mtu > 1500, jumbo);
	CHECK(with_mtu(100, &other, &mtu));
	CHECK_IS(other, slot);
	CHECK_IS(mtu, 1500);
	CHECK(with_mtu(0xffffffff, &other, &mtu));
	CHECK_IS(other, slot);
	CHECK_IS(mtu, 1500);
}

static bool ask_subchannels(uint32_t count)
{
	struct nvs_message message = {
		.type = cpu_to_le32(NVS_SUBCHANNEL),
		.subchannel.operation = cpu_to_le32(NVS_SUBCHANNEL_ALLOCATE),
		.subchannel.count = cpu_to_le32(count),
	};

	if (!nic_ask(nic, &message, NULL))
		return false;
	NEED(le32_to_cpu(nic->reply.type) == NVS_SUBCHANNEL);
	return true;
}

static void synic_on_vp_1(void)
{
	hv_synic_on();
}

static void n_07(void)
{
	uint32_t subs = (uint32_t)option_number("queues", 4) - 1;
	struct vmbus_offer_channel sub[NIC_MAX_SUBS];
	struct vmbus_message m;

	CHECK(nr_vps > 1);
	CHECK(vp_run(1, synic_on_vp_1, 1000));
	CHECK(up());
	CHECK(ask_subchannels(subs + 1));
	CHECK_IS(le32_to_cpu(nic->reply.subchannel.operation),
		 NVS_STATUS_FAILURE);
	CHECK(ask_subchannels(subs));
	CHECK_IS(le32_to_cpu(nic->reply.subchannel.operation),
		 NVS_STATUS_SUCCESS);
	CHECK_IS(le32_to_cpu(nic->reply.subchannel.count), subs);
	for (uint32_t i = 0; i < subs; i++) {
		CHECK(vmbus_expect(VMBUS_OFFER_CHANNEL, &m));
		CHECK_IS(le16_to_cpu(m.offer.sub_index), i + 1);
		sub[i] = m.offer;
	}
	CHECK(vmbus_silent(20));
	for (uint32_t i = 0; i < subs; i++) {
		CHECK(!nic_take(nic, &nic->ch, 0));
		CHECK(channel_open(&sub[i], 16, (i + 1) % nr_vps,
				   &nic->sub[i]));
	}
	CHECK(nic_wait(nic, &nic->ch, &nic->tables, 1));
	for (uint32_t i = 0; i < NVS_INDIRECTION_ENTRIES; i++)
		CHECK_IS(nic->table[i], i % (subs + 1));
	for (uint32_t i = 0; i <= subs; i++) {
		struct channel *ch = i ? &nic->sub[i - 1] : &nic->ch;

		CHECK(nic_round_trip(nic, ch, to, to == nic ? ch : &to->ch,
				     60, NIC_SECTION));
		CHECK(nic_round_trip(nic, ch, to, to == nic ? ch : &to->ch,
				     1514, NIC_PAGES));
	}
	CHECK(!nic_take(nic, &nic->ch, 20)); /* no second table */
}

/* ---- RNDIS ---- */

static struct rndis_oid_request set_request(uint32_t id)
{
	return (struct rndis_oid_request){
		.request.header.type = cpu_to_le32(RNDIS_SET),
		.request.header.length =
			cpu_to_le32(sizeof(struct rndis_oid_request) +
				    sizeof(le32)),
		.request.id = cpu_to_le32(id),
		.oid = cpu_to_le32(OID_CURRENT_PACKET_FILTER),
		.info_size = cpu_to_le32(sizeof(le32)),
		.info_offset = cpu_to_le32(sizeof(struct rndis_oid_request) -
					   RNDIS_OFFSET_BASE),
	};
}

/* A SET in as many ranges as it has bytes. */
static bool in_pieces(uint32_t id)
{
	struct {
		struct rndis_oid_request request;
		le32 filter;
	} __packed set = { set_request(id), cpu_to_le32(FILTER) };
	uint32_t before = nic->controls, status;
	struct rndis_set_complete done;
	struct nic_list list;

	memcpy(nic->control_pages, &set, sizeof(set));
	nic_list_begin(&list);
	for (uint32_t i = 0; i < sizeof(set); i++)
		nic_list_add(&list, nic->control_pages + i, 1);
	if (!nic_control(nic, &list, &status))
		return false;
	NEED(status == NVS_STATUS_SUCCESS);
	if (!nic_wait(nic, &nic->ch, &nic->controls, before + 1))
		return false;
	memcpy(&done, nic->control, sizeof(done));
	NEED(le32_to_cpu(done.request.header.type) ==
	     (RNDIS_SET | RNDIS_COMPLETE));
	NEED(le32_to_cpu(done.request.id) == id);
	NEED(!le32_to_cpu(done.status));
	return true;
}

/* A failure is all the answer that it has. */
static bool refused(const void *message, uint32_t size, uint32_t offset)
{
	uint32_t before = nic->controls, status;

	if (!nic_control_at(nic, message, size, offset, &status))
		return false;
	NEED(status == NVS_STATUS_FAILURE);
	NEED(!nic_take(nic, &nic->ch, 0) && nic->controls == before);
	return true;
}

static bool malformed(void)
{
	static const uint32_t sizes[] = { 0, 1, 7, 8, 12, 27 };
	static const uint32_t types[] = { RNDIS_PACKET, 9,
					  RNDIS_SET | RNDIS_COMPLETE };
	struct rndis_oid_request set = set_request(0xbad);
	struct nic_list list;
	uint32_t status;

	/* relay_netvsp_hostile_test has all sizes, and more types. */
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (!refused(&set, sizes[i], 4090))
			return false;
	set.request.header.length = cpu_to_le32(0xffffffff);
	if (!refused(&set, sizeof(set), 4095))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		set = set_request(0xbad);
		set.request.header.type = cpu_to_le32(types[i]);
		if (!refused(&set, sizeof(set), 1))
			return false;
	}
	/* Where no memory is. */
	nic_list_begin(&list);
	nic_list_split(&list, 0, sizeof(set), (void *)(1ull << 46), NULL);
	if (!nic_control(nic, &list, &status))
		return false;
	NEED(status == NVS_STATUS_FAILURE);
	return true;
}

static void u_08(void)
{
	static const uint32_t offsets[] = { 0, 1, 7, 4068, 4080, 4088, 4091,
					    4092, 4094, 4095 };
	uint8_t mac[6] = { 0 };
	uint32_t status, size;

	CHECK(up());
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		CHECK(nic_set(nic, OID_CURRENT_PACKET_FILTER, offsets[i],
			      FILTER, &status));
		CHECK_IS(status, RNDIS_STATUS_SUCCESS);
		size = sizeof(mac);
		CHECK(nic_query(nic, OID_802_3_PERMANENT_ADDRESS, offsets[i],
				&status, mac, &size));
		CHECK_IS(status, RNDIS_STATUS_SUCCESS);
		CHECK_IS(size, sizeof(mac));
		CHECK(!bytes_are(mac, 0, sizeof(mac)));
	}
	CHECK(in_pieces(0x5e7));
	CHECK(malformed());
	size = 0;
	CHECK(nic_query(nic, 0x12345678, 4095, &status, mac, &size));
	CHECK_IS(status, RNDIS_STATUS_NOT_SUPPORTED);
	CHECK(in_pieces(0x5e8));
	CHECK(frames_pass(1514, NIC_BOTH));
	CHECK(down());
}

/* ---- polling ---- */

#define BATCH 8u

/* The i-th of a batch, of NVSP and RNDIS by turns, into the ring. */
static bool put_request(uint32_t i)
{
	const struct nvs_message version = {
		.type = cpu_to_le32(NVS_NDIS_VERSION),
	}, control = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET),
		.rndis.channel = cpu_to_le32(NVS_CHANNEL_CONTROL),
		.rndis.section = cpu_to_le32(NVS_NO_SECTION),
	};
	struct rndis_request keepalive = {
		.header.type = cpu_to_le32(RNDIS_KEEPALIVE),
		.header.length = cpu_to_le32(sizeof(keepalive)),
	};
	uint8_t *at = nic->control_pages + i * sizeof(keepalive);
	struct nic_list list;

	if (i % 2 == 0)
		return ring_put(&nic->ch, RING_PACKET_INBAND,
				RING_FLAG_COMPLETION_REQUESTED,
				nic->ch.next_transaction++, NULL, 0, &version,
				nic->message_size, NULL);
	keepalive.id = cpu_to_le32(++nic->rndis_id);
	memcpy(at, &keepalive, sizeof(keepalive));
	nic_list_begin(&list);
	nic_list_add(&list, at, sizeof(keepalive));
	return ring_put(&nic->ch, RING_PACKET_GPA_DIRECT,
			RING_FLAG_COMPLETION_REQUESTED,
			nic->ch.next_transaction++, list.word,
			list.words * sizeof(uint64_t), &control,
			nic->message_size, NULL);
}

/* `n` requests with one signal: each is answered once, in their order. */
static bool request(uint32_t n)
{
	uint64_t transaction = nic->ch.next_transaction;
	uint32_t completions = nic->completions, controls = nic->controls;
	uint32_t id = nic->rndis_id, c, k;
	struct rndis_request answer;

	for (uint32_t i = 0; i < n; i++)
		NEED(put_request(i));
	NEED(channel_signal(&nic->ch) == HV_STATUS_SUCCESS);
	for (c = k = 0; c < n || k < n / 2;) {
		NEED(nic_take(nic, &nic->ch, VMBUS_MS));
		if (nic->completions - completions > c) {
			NEED(nic->completed == transaction + c++);
			continue;
		}
		NEED(nic->controls - controls == ++k);
		memcpy(&answer, nic->control, sizeof(answer));
		NEED(le32_to_cpu(answer.header.type) ==
		     (RNDIS_KEEPALIVE | RNDIS_COMPLETE));
		NEED(le32_to_cpu(answer.id) == id + k);
	}
	NEED(c == n && k == n / 2 && !nic->failures);
	return true;
}

/* Is VP 0 interrupted for each of two requests? */
static bool interrupts(void)
{
	volatile uint64_t *count = &this_vp()->interrupts[HV_VECTOR];

	for (uint32_t i = 0; i < 2; i++) {
		uint64_t before = *count, end = deadline(VMBUS_MS);

		channel_signalled(&nic->ch, 0);
		if (!request(2))
			return false;
		while (*count == before || !channel_signalled(&nic->ch, 0))
			NEED(!passed(end));
	}
	return true;
}

/* The SINT asks for what it is advised against. The host may leave the end of
 * the interrupt to the guest, which writes EOI anyhow. */
static bool with_auto_eoi(bool (*run)(void))
{
	const uint64_t wanted = HV_SINT_AUTO_EOI | HV_VECTOR;
	uint64_t have = 0;
	bool done = msr_write(HV_MSR_SINT0 + HV_SINT, wanted) &&
		    msr_read(HV_MSR_SINT0 + HV_SINT, &have) && run();

	NEED(msr_write(HV_MSR_SINT0 + HV_SINT, HV_VECTOR));
	NEED(done);
	NEED(have == wanted);
	return true;
}

static void u_06(void)
{
	uint32_t n = (uint32_t)option_number("polls", 1000);
	volatile uint64_t *count = &this_vp()->interrupts[HV_VECTOR];
	uint64_t before;

	CHECK(up());
	delay(150); /* past the interrupt that an open is followed by */
	CHECK(with_auto_eoi(interrupts));
	MASK(nic) = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	delay(5);
	channel_signalled(&nic->ch, 0);
	before = *count;
	for (uint32_t i = 0; i < n; i += BATCH)
		CHECK(request(BATCH));
	CHECK_IS(*count - before, 0);
	CHECK(!channel_signalled(&nic->ch, 0));
	CHECK(down());
}

/* ---- the smallest known client ---- */

#define RING_PAGES 128u
#define RECEIVE_PAGES ((31u << 20) / TINY_PAGE)
#define SEND_PAGES ((15u << 20) / TINY_PAGE)
#define MESSAGES (10 + 284 + 138)

/* What it asks for, `at_least` so many bytes of an answer. */
static bool query(uint32_t oid, uint32_t at_least, uint8_t info[256])
{
	uint32_t status, size = 256;

	if (!nic_query(nic, oid, 4000, &status, info, &size))
		return false;
	NEED(status == RNDIS_STATUS_SUCCESS);
	NEED(size >= at_least);
	return true;
}

static bool as_smallest(void)
{
	static const struct nic_plan plan = { RING_PAGES, RECEIVE_PAGES,
					      SEND_PAGES, 1514, true };
	uint8_t info[256];

	if (!up_at(VMBUS_VERSION_WIN10, &plan))
		return false;
	NEED(gpadl_cost == MESSAGES);
	if (!query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, NDIS_OFFLOAD_SIZE_1,
		   info) ||
	    !query(OID_802_3_PERMANENT_ADDRESS, 6, info) ||
	    !query(OID_MEDIA_CONNECT_STATUS, 4, info))
		return false;
	NEED(bytes_are(info, 0, 4)); /* it is */
	return frames_pass(60, NIC_SECTION) && frames_pass(1514, NIC_PAGES) &&
	       down();
}

static void u_11(void)
{
	CHECK(with_auto_eoi(as_smallest));
}

/* ---- frames ---- */

static void n_05(void)
{
	uint32_t n = (uint32_t)option_number("frames", 1000), completions;

	CHECK(up());
	completions = nic->completions;
	while (nic->sent < n) {
		uint32_t batch = n - nic->sent < NIC_WINDOW ?
					 n - nic->sent : NIC_WINDOW;

		while (batch--)
			CHECK(nic_put_frame(nic, &nic->ch,
					    60 + nic->sent * 37 % 1455,
					    nic->sent % NIC_WAYS));
		CHECK_IS(channel_signal(&nic->ch), HV_STATUS_SUCCESS);
		CHECK(nic_wait(nic, &nic->ch, &nic->completions,
			       completions + nic->sent));
		CHECK(nic_wait(to, &to->ch, &to->frames, nic->sent));
	}
	CHECK_IS(nic->failures, 0);
	CHECK(down());
}

static bool put_frames(uint32_t n)
{
	while (n--)
		if (!nic_put_frame(nic, &nic->ch, 1000 + n, n % NIC_WAYS))
			return false;
	return true;
}

/* Frames under way, and the receive buffer taken away, before or after the
 * sender's server was told of them. */
static bool taken_away(bool signalled)
{
	uint32_t done;

	if (!up() || !put_frames(NIC_WINDOW))
		return false;
	done = nic->completions + NIC_WINDOW;
	if (signalled)
		NEED(channel_signal(&nic->ch) == HV_STATUS_SUCCESS);
	to->revoked = true;
	if (!nic_revoke(to, NVS_REVOKE_RECEIVE_BUFFER))
		return false;
	NEED(channel_signal(&nic->ch) == HV_STATUS_SUCCESS);
	if (!gpadl_teardown(to->ch.id, to->receive_gpadl)) /* within 5 s */
		return false;
	memset(to->receive, CANARY, to->receive_bytes);
	if (!nic_wait(nic, &nic->ch, &nic->completions, done))
		return false;
	if (to != nic) { /* a loopback's would wait for a buffer */
		if (!put_frames(NIC_WINDOW))
			return false;
		NEED(channel_signal(&nic->ch) == HV_STATUS_SUCCESS);
		done += NIC_WINDOW;
		if (!nic_wait(nic, &nic->ch, &nic->completions, done))
			return false;
	}
	if (!nic_revoke(nic, NVS_REVOKE_SEND_BUFFER) ||
	    !gpadl_teardown(nic->ch.id, nic->send_gpadl))
		return false;
	delay(20);
	NEED(bytes_are(to->receive, CANARY, to->receive_bytes));
	while (nic_take(nic, &nic->ch, 0))
		;
	NEED(nic->completions == done); /* to revoking there is no reply */
	return channel_close(&nic->ch) &&
	       (to == nic || channel_close(&to->ch)) && vmbus_unload();
}

static void n_11(void)
{
	CHECK(taken_away(false));
	CHECK(taken_away(true));
	CHECK(up());
	CHECK(frames_pass(1514, NIC_BOTH));
	CHECK(down());
}

const struct tiny_case net_cases[] = {
	{ "N-01", "NVSP 7.0 is refused, then 6.1 taken, in 40 bytes", n_01,
	  NULL },
	{ "N-03", "an MTU of 1514, 9216, 100 and all ones", n_03, NULL },
	{ "N-05", "frames from sections, pages and both come as they were",
	  n_05, NULL },
	{ "N-07", "sub-channels: as many as asked for, then one table", n_07,
	  NULL },
	{ "N-09", "the data path of a VF", NULL,
	  "no VF here: relay_netvsp_life_test has it" },
	{ "N-11", "the receive buffer revoked with frames under way", n_11,
	  NULL },
	{ "U-06", "a masked NIC, polled, never interrupts; one with AUTO_EOI "
	  "does", u_06, NULL },
	{ "U-08", "RNDIS requests at any offset, in pieces, malformed", u_08,
	  NULL },
	{ "U-11", "the smallest client's NIC: 46 MiB in 432 messages, polled",
	  u_11, NULL },
	{ 0 },
};
