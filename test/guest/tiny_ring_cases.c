// SPDX-License-Identifier: MIT
/*
 * Cases about rings. The echo is a command that moves no data: TEST UNIT READY
 * of LUN 0, whose answer has the request's transaction id.
 */
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define RING_PAGES 8u
#define SMALLEST 2u /* pages: control and one of data */
#define FILL 0xaa
#define WORDS(control, offset) ((control)[(offset) / 4])

static struct vstor_packet ready_packet(void)
{
	return (struct vstor_packet){
		.header.operation = cpu_to_le32(VSTOR_EXECUTE_SRB),
		.srb = {
			.length = cpu_to_le16(sizeof(struct vstor_srb)),
			.cdb_size = 6,
			.sense_size = VSTOR_SRB_SENSE_SIZE,
			.data_in = VSTOR_DATA_NONE,
		},
	};
}

static bool put_ready(struct channel *ch, uint64_t transaction)
{
	struct vstor_packet packet = ready_packet();

	return ring_put(ch, RING_PACKET_INBAND, RING_FLAG_COMPLETION_REQUESTED,
			transaction, NULL, 0, &packet, sizeof(packet), NULL);
}

static bool answered(struct channel *ch, uint64_t transaction)
{
	struct packet packet;

	NEED(ring_wait(ch, &packet, 1000));
	NEED(packet.type == RING_PACKET_COMPLETION);
	NEED(packet.transaction == transaction);
	return true;
}

/* The last size leaves 8 bytes: a ring is never quite full. */
static void r_01(void)
{
	const uint32_t most = TINY_PAGE - 8 - sizeof(struct ring_footer) -
			      sizeof(struct ring_descriptor);
	uint8_t *payload = pages(1);
	struct vstor_packet packet = ready_packet();
	struct channel ch;

	CHECK(scsi_open(SMALLEST, &ch));
	memcpy(payload, &packet, sizeof(packet));
	for (uint32_t size = sizeof(packet); size <= most;
	     size += size < most - 64 ? 56 : 8) {
		CHECK(ring_send(&ch, RING_PACKET_INBAND, size, NULL, 0,
				payload, size));
		CHECK(answered(&ch, size));
	}
	CHECK(!ring_put(&ch, RING_PACKET_INBAND, 0, 0, NULL, 0, payload,
			most + 8, NULL));
	CHECK(channel_close(&ch));
}

/* Ten requests, one signal of ours; how many does the server send? */
static bool batch(struct channel *ch, bool mask, uint64_t *interrupts)
{
	volatile uint64_t *count = &this_vp()->interrupts[HV_VECTOR];
	uint64_t before;

	WORDS(ch->in.control, RING_INTERRUPT_MASK) = mask;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	channel_signalled(ch, 0);
	before = *count;
	for (uint64_t i = 0; i < 10; i++)
		NEED(put_ready(ch, 100 + i));
	NEED(channel_signal(ch) == HV_STATUS_SUCCESS);
	/* Unread, so that the ring is empty only once. */
	delay(100);
	*interrupts = *count - before;
	for (uint64_t i = 0; i < 10; i++)
		if (!answered(ch, 100 + i))
			return false;
	return ring_empty(ch);
}

static void r_03(void)
{
	struct channel ch;
	uint64_t interrupts;

	CHECK(scsi_open(RING_PAGES, &ch));
	delay(150); /* past the interrupt that an open is followed by */
	CHECK(batch(&ch, false, &interrupts));
	CHECK_IS(interrupts, 1);
	CHECK(batch(&ch, true, &interrupts));
	CHECK_IS(interrupts, 0);
	CHECK(channel_close(&ch));
}

/* We do not read: the server stops, says how much room it needs, and goes on
 * when there is. */
static void r_05(void)
{
	volatile uint32_t *pending;
	uint64_t sent = 0, got = 0, end;
	struct packet packet;
	struct channel ch;

	CHECK(scsi_open(SMALLEST, &ch));
	pending = &WORDS(ch.in.control, RING_PENDING_SEND_SIZE);
	CHECK_IS(*pending, 0);
	for (end = deadline(VMBUS_MS); !*pending;) {
		CHECK(!passed(end));
		if (put_ready(&ch, 100 + sent))
			sent++;
		CHECK_IS(channel_signal(&ch), HV_STATUS_SUCCESS);
	}
	CHECK(*pending <= ch.in.size - 8);
	while (got < sent) {
		CHECK(ring_wait(&ch, &packet, 1000));
		CHECK_IS(packet.transaction, 100 + got);
		got++;
	}
	for (end = deadline(1000); *pending;)
		CHECK(!passed(end));
	CHECK(channel_close(&ch));
}

/* ---- page lists that lie ---- */

struct lie {
	const char *name;
	uint32_t ranges, bytes, offset, nr_pfns;
	uint64_t pfn;
};

static bool tell(struct channel *ch, const struct lie *lie, bool *refused)
{
	struct scsi_request r;
	struct vstor_packet packet = ready_packet();
	struct {
		struct ring_gpa_direct direct;
		struct ring_gpa_range range;
		le64 pfn[4];
	} list = {
		.direct.range_count = cpu_to_le32(lie->ranges),
		.range = { .byte_count = cpu_to_le32(lie->bytes),
			   .byte_offset = cpu_to_le32(lie->offset) },
	};
	struct packet answer;

	for (int i = 0; i < 4; i++)
		list.pfn[i] = cpu_to_le64(lie->pfn);
	scsi_fill_rw(&r, false, 0, 8, NULL);
	packet.srb.cdb_size = r.cdb_size;
	packet.srb.data_in = VSTOR_DATA_READ;
	packet.srb.data_size = cpu_to_le32(lie->bytes);
	memcpy(packet.srb.cdb, r.cdb, sizeof(r.cdb));
	if (!ring_send(ch, RING_PACKET_GPA_DIRECT, 7, &list,
		       (uint32_t)(sizeof(list.direct) + sizeof(list.range) +
				  lie->nr_pfns * sizeof(le64)),
		       &packet, sizeof(packet)))
		return false;
	/* Either the request fails or the channel ends. */
	if (ring_wait(ch, &answer, 500)) {
		memcpy(&packet, answer.payload, sizeof(packet));
		*refused = packet.srb.srb_status != VSTOR_SRB_SUCCESS ||
			   le32_to_cpu(packet.header.status);
	} else {
		*refused = true;
	}
	return true;
}

static void r_08(void)
{
	static const struct lie lies[] = {
		{ "no range", 0, 4096, 0, 1, 0x2000 },
		{ "all ranges", 0xffffffff, 4096, 0, 1, 0x2000 },
		{ "all bytes", 1, 0xffffffff, 0, 1, 0x2000 },
		{ "no pages", 1, 4096, 0, 0, 0x2000 },
		{ "a page short", 1, 8192, 0, 1, 0x2000 },
		{ "offset", 1, 4096, 0xfffffff0, 1, 0x2000 },
		{ "no RAM", 1, 4096, 0, 1, 0xfffffffff },
		{ "any address", 1, 4096, 0, 1, ~0ull },
	};
	uint8_t *data = pages(1);
	struct channel ch;
	bool refused;

	CHECK(scsi_open(RING_PAGES, &ch));
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		CHECK(tell(&ch, &lies[i], &refused));
		if (!refused) {
			case_failed(lies[i].name, 0, "answer", 0, 1);
			return;
		}
	}
	CHECK(channel_close(&ch));
	CHECK(scsi_start(0, RING_PAGES, &ch));
	CHECK(scsi_read(&ch, 0, 8, data));
	CHECK(channel_close(&ch));
}

/* ---- ping-pong ---- */

static uint32_t random_state = 0x12345678;

static uint32_t random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

static void nap(void)
{
	uint64_t end = ticks() + random() % (ticks_per_ms() / 8 + 1);

	while (!passed(end))
		relax();
}

static void r_10(void)
{
	uint32_t n = (uint32_t)option_number("pings", 500);
	struct channel ch;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(channel_prepare(scsi_offer(0), RING_PAGES, &ch));
	delay(50);
	CHECK(bytes_are(ch.memory, FILL, 2 * RING_PAGES * TINY_PAGE));
	channel_clear_rings(&ch);
	CHECK(channel_post_open(&ch, nr_vps - 1));
	CHECK(channel_opened(&ch, VMBUS_STATUS_SUCCESS));
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	for (uint64_t i = 0; i < n; i++) {
		struct vstor_packet packet = ready_packet();

		CHECK(ring_send(&ch, RING_PACKET_INBAND, i, NULL, 0, &packet,
				sizeof(packet)));
		nap();
		CHECK(answered(&ch, i)); /* within a second */
		if (random() & 1)
			nap();
	}
	CHECK(channel_close(&ch));
}

const struct tiny_case ring_cases[] = {
	{ "R-01", "rings of one data page: packets of all sizes", r_01, NULL },
	{ "R-03", "one interrupt for a batch, none for a masked ring", r_03,
	  NULL },
	{ "R-05", "a full ring: the server asks for room and goes on", r_05,
	  NULL },
	{ "R-08", "page lists that lie are refused", r_08, NULL },
	{ "R-10", "ping-pong with naps, channel on the last VP", r_10, NULL },
	{ 0 },
};
