/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/mana.c test/model/mana_channel.c test/model/mana_fault.c test/model/mana_memory.c test/model/mana_message.c test/model/mana_queue.c test/model/mana_rx.c test/model/mana_tx.c test/model/mana_vport.c test/model/msix.c test/vmm/net_back.c test/vmm/net_back_pair.c test/vmm/net_back_tap.c test/vmm/net_back_user.c test/vmm/net_capture.c test/vmm/net_headers.c test/vmm/net_offload.c test/vmm/byte_ring.c test/vmm/device_option.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */
/*
 * Faults of the MANA model: each row of its table has one test here, which sees
 * the effect once, and that all is well before and after it.
 */
#include "model_mana_driver.h"

#include <time.h>

#include "test/model/mana_fault.h"

#define FRAME 100u
#define BUFFER 2048u

/* Vport 0 sends, vport 1 receives; both are the driver's own. */
static struct eq eqs[VPORTS];
static struct wq sq, rq;
static uint64_t tx_page, rx_page;

static void up(void)
{
	struct rx_config rx;

	device_up();
	for (unsigned int i = 0; i < VPORTS; i++) {
		eqs[i] = create_eq(i + 1);
		assert_int_equal(config_tx(i, device_pd, device_page), 0);
	}
	sq = create_wq(0, true, eqs[0].id);
	rq = create_wq(1, false, eqs[1].id);
	rx = rx_config(1, &rq, 1);
	assert_int_equal(config_rx(&rx), 0);
	tx_page = guest_pages(1);
	rx_page = guest_pages(4);
	memcpy(ram + tx_page, macs[1], 6);
	memcpy(ram + tx_page + 6, macs[0], 6);
	net_put16(ram + tx_page + 12, 0x88b5);
}

static void set_fault(const char *name)
{
	assert_null(mana_fault_set(mana, name, 1, 0, MANA_ANY_VPORT));
}

static void nap(unsigned int ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000l };

	nanosleep(&pause, NULL);
}

static void post(void)
{
	post_rx(&rq, rx_page, device_key, BUFFER);
	wq_ring(&rq);
}

static void put_frame(void)
{
	struct mana_tx_oob oob = tx_oob(&sq, 0);
	struct mana_sge sge = sge_of(tx_page, device_key, FRAME);

	wq_put(&sq, 0, &oob, 8, &sge, 1);
	wq_ring(&sq);
}

/* A frame goes and comes, and nothing else does. */
static void all_is_well(void)
{
	assert_false(cq_pop(&sq.cq));
	assert_false(cq_pop(&rq.cq));
	post();
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
	assert_int_equal(le16_to_cpu(rx_cqe.packet[0].length), FRAME);
}

/* ---- messages ---- */

static uint32_t query_vport(void)
{
	struct mana_vport_config_req in = { cpu_to_le32(1) };

	return ASK(MANA_QUERY_VPORT_CONFIG, in, mana_vport_config_resp);
}

/* Sends a query of which nothing is awaited. */
static void tell_query(void)
{
	struct {
		struct mana_request head;
		struct mana_vport_config_req body;
	} __packed in = {
		.head.request = { cpu_to_le32(0),
				  cpu_to_le32(MANA_QUERY_VPORT_CONFIG),
				  cpu_to_le16(1), cpu_to_le16(7),
				  cpu_to_le32(sizeof(in)) },
		.head.response = { cpu_to_le32(0),
				   cpu_to_le32(MANA_QUERY_VPORT_CONFIG),
				   cpu_to_le16(1), cpu_to_le16(0),
				   cpu_to_le32(64) },
		.head.device = { cpu_to_le16(MANA_DEVICE_MANA),
				 cpu_to_le16(1) },
	};
	static const uint8_t none[8];
	const struct mana_hwc_tx_oob oob = {
		.scq = cpu_to_le32(hwc_sq.cq.id),
		.sq = cpu_to_le32(hwc_sq.id),
	};
	struct mana_sge sge = sge_of(hwc_response, hwc_key, PAGE);

	memcpy(ram + hwc_request, &in, sizeof(in));
	wq_put(&hwc_rq, 0, none, 8, &sge, 1);
	wq_ring(&hwc_rq);
	sge = sge_of(hwc_request, hwc_key, sizeof(in));
	wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
	wq_ring(&hwc_sq);
}

/* Its two completions; the answer's length. */
static uint32_t told(struct mana_response *out)
{
	struct mana_hwc_rx_oob done;

	WAIT_FOR(cq_pop(&hwc_sq.cq));
	WAIT_FOR(cq_pop(&hwc_sq.cq));
	memcpy(&done, hwc_sq.cq.last.data, sizeof(done));
	memcpy(out, ram + hwc_response, sizeof(*out));
	cq_ring(&hwc_sq.cq, true);
	return le32_to_cpu(done.length);
}

static void hwc_silent(void)
{
	struct mana_response out;
	uint64_t before = counters().messages;

	tell_query();
	WAIT_FOR(counters().messages == before + 1);
	nap(5);
	assert_false(cq_pop(&hwc_sq.cq));
	/* The buffer is still there: the next answer is in it. */
	tell_query();
	assert_int_equal(told(&out), 64);
	hwc_rq.tail -= 32;
}

static void hwc_error(void)
{
	assert_int_not_equal(query_vport(), 0);
	assert_int_equal(query_vport(), 0);
}

static void wq_refused(void)
{
	struct wq other = { .sq = true };

	assert_int_equal(query_vport(), 0); /* is about another message */
	assert_int_equal(try_wq(&other, 0, eqs[0].id, device_page),
			 MANA_STATUS_NO_RESOURCES);
	assert_int_equal(try_wq(&other, 0, eqs[0].id, device_page), 0);
}

static void rx_refused(void)
{
	struct rx_config rx = rx_config(1, &rq, 1);

	assert_int_equal(query_vport(), 0);
	assert_int_not_equal(config_rx(&rx), 0);
	assert_int_equal(config_rx(&rx), 0);
}

static void hwc_wrong_id(void)
{
	struct mana_response out;

	tell_query();
	assert_int_equal(told(&out), 64);
	assert_int_equal(le16_to_cpu(out.response.id), 8);
}

static void hwc_short(void)
{
	struct mana_response out;

	tell_query();
	assert_int_equal(told(&out), 16);
}

/* ---- completions of frames sent ---- */

static void tx_type(void)
{
	put_frame();
	assert_int_equal(wait_tx(&sq), 63);
}

static void tx_queue(void)
{
	put_frame();
	WAIT_FOR(cq_pop(&sq.cq));
	assert_int_equal(le32_to_cpu(sq.cq.last.info) & 0x1ffffff,
			 (sq.id ^ 1) | MANA_CQE_SQ);
}

static void tx_lost(void)
{
	uint64_t before = vport_counters(0).tx_frames;

	put_frame();
	WAIT_FOR(vport_counters(0).tx_frames == before + 1);
	nap(5);
	assert_false(cq_pop(&sq.cq));
}

static void tx_twice(void)
{
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
}

static void tx_error(void)
{
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_INVALID_OOB);
}

static void tx_dead(void)
{
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_GDMA_ERR);
	put_frame();
	nap(5);
	assert_false(cq_pop(&sq.cq));
}

static void tx_lap(void)
{
	struct mana_cqe *e = (struct mana_cqe *)(ram + sq.cq.at) +
			     sq.cq.head % sq.cq.count;
	uint32_t lap = sq.cq.head / sq.cq.count;

	put_frame();
	WAIT_FOR(owner_of(&e->info) == ((lap + 3) & 7));
	sq.cq.head++;
}

/* ---- completions of frames received ---- */

/* Sends a frame into a buffer. */
static void pass(void)
{
	post();
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
}

static void rx_type(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), 63);
}

static void rx_queue(void)
{
	pass();
	WAIT_FOR(cq_pop(&rq.cq));
	assert_int_equal(le32_to_cpu(rq.cq.last.info) & 0x1ffffff, rq.id ^ 1);
}

static void rx_oversize(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
	assert_int_equal(le16_to_cpu(rx_cqe.packet[0].length), 0xffff);
}

static void rx_truncated(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_TRUNCATED);
}

static void rx_empty(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
	assert_int_equal(le16_to_cpu(rx_cqe.packet[0].length), 0);
}

static void rx_lost(void)
{
	uint64_t before = vport_counters(1).rx_frames;

	pass();
	WAIT_FOR(vport_counters(1).rx_frames == before + 1);
	nap(10);
	assert_false(cq_pop(&rq.cq));
}

static void rx_hole(void)
{
	uint64_t before = vport_counters(1).rx_frames;

	pass();
	WAIT_FOR(vport_counters(1).rx_frames == before + 1);
	nap(10);
	assert_false(cq_pop(&rq.cq));
	rq.cq.head++; /* the next one is behind it */
}

static void rx_twice(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
}

/* Not an IP frame: its hash is 0, and no checksum was looked at. */
static void rx_hash(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
	assert_int_equal(le32_to_cpu(rx_cqe.packet[0].hash), 0xffffffff);
}

static void rx_checksum(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_OKAY);
	assert_int_equal(le32_to_cpu(rx_cqe.info) >> 25 & 0x3f, 0x3f);
}

static void rx_fence(void)
{
	pass();
	assert_int_equal(wait_rx(&rq), MANA_CQE_RX_FENCE);
}

/* ---- events, doorbells ---- */

static void arm_all(void)
{
	while (eq_pop(&eqs[0]))
		;
	eq_ring(&eqs[0], true);
	cq_ring(&sq.cq, true);
	nap(5);
}

static void event_lost(void)
{
	arm_all();
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	nap(5);
	assert_false(eq_pop(&eqs[0]));
	/* Armed again, it tells. */
	arm_all();
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	WAIT_FOR(eq_pop(&eqs[0]));
}

static void event_queue(void)
{
	arm_all();
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	WAIT_FOR(eq_pop(&eqs[0]));
	assert_int_equal(le32_to_cpu(eqs[0].last.data[0]), sq.cq.id ^ 1);
}

static void event_overflow(void)
{
	uint64_t before;
	const struct mana_eqe *e;

	arm_all();
	before = counters().eqes;
	e = (const struct mana_eqe *)(ram + eqs[0].at) +
	    eqs[0].head % eqs[0].count;
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	WAIT_FOR(counters().eqes == before + eqs[0].count + 1);
	/* The first one was written over by the one of the next lap. */
	assert_int_equal(owner_of(&e->info),
			 (eqs[0].head / eqs[0].count + 1) & 7);
}

static void interrupt_lost(void)
{
	unsigned int before;

	arm_all();
	before = messages[1];
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	WAIT_FOR(eq_pop(&eqs[0]));
	nap(5);
	assert_int_equal(messages[1], before);
	arm_all();
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	WAIT_FOR(messages[1] == before + 1);
}

static void doorbell_lost(void)
{
	put_frame();
	nap(5);
	assert_false(cq_pop(&sq.cq));
	wq_ring(&sq); /* rung again, it goes */
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
}

/* ---- of its own accord ---- */

/* Frames share a completion if they come soon enough. */
static void rx_coalesced(void)
{
	bool seen = false;

	for (unsigned int round = 0; round < 20 && !seen; round++) {
		struct mana_tx_oob oob = tx_oob(&sq, 0);
		struct mana_sge sge = sge_of(tx_page, device_key, FRAME);

		for (unsigned int i = 0; i < 4; i++) {
			post();
			wq_put(&sq, 0, &oob, 8, &sge, 1);
		}
		wq_ring(&sq);
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
		for (unsigned int frames = 0; frames < 4;) {
			seen |= wait_rx(&rq) == MANA_CQE_RX_COALESCED_4;
			for (unsigned int i = 0; i < 4; i++)
				frames += !!le16_to_cpu(
					rx_cqe.packet[i].length);
		}
	}
	assert_true(seen);
}

static uint32_t hwc_event(void)
{
	WAIT_FOR(eq_pop(&hwc_eq));
	while ((le32_to_cpu(hwc_eq.last.info) & 0xff) == MANA_EQE_COMPLETION)
		WAIT_FOR(eq_pop(&hwc_eq));
	return le32_to_cpu(hwc_eq.last.info) & 0xff;
}

static void link_flap(void)
{
	assert_int_equal(hwc_event(), MANA_EQE_RECONFIG_DATA);
	assert_int_equal(le32_to_cpu(hwc_eq.last.data[0]) >> 24,
			 MANA_RECONFIG_LINK_DOWN);
	assert_int_equal(hwc_event(), MANA_EQE_RECONFIG_DATA);
	assert_int_equal(le32_to_cpu(hwc_eq.last.data[0]) >> 24,
			 MANA_RECONFIG_LINK_UP);
}

static void reset(void)
{
	assert_int_equal(hwc_event(), MANA_EQE_RESET_REQUEST);
}

static void fpga_reconfig(void)
{
	assert_int_equal(hwc_event(), MANA_EQE_FPGA_RECONFIG);
}

static void unknown_event(void)
{
	assert_int_equal(hwc_event(), 200);
}

static void vport_lost(void)
{
	struct rx_config rx = rx_config(1, &rq, 1);

	put_frame();
	nap(5);
	assert_false(cq_pop(&sq.cq));
	assert_int_not_equal(config_rx(&rx), 0);
	/* Found again, but its queues stay dead. */
	set_fault(MANA_FAULT_NONE);
	assert_int_equal(config_rx(&rx), 0);
	wq_ring(&sq);
	nap(5);
	assert_false(cq_pop(&sq.cq));
}

/* Rows: `spoilt` queues are not right after it. */
static const struct {
	const char *name;
	void (*see)(void);
	bool spoilt;
} rows[] = {
	{ "hwc-silent", hwc_silent, true },
	{ "hwc-error", hwc_error, false },
	{ "wq-refused", wq_refused, false },
	{ "rx-refused", rx_refused, false },
	{ "hwc-wrong-id", hwc_wrong_id, false },
	{ "hwc-short", hwc_short, false },
	{ "tx-type", tx_type, false },
	{ "tx-queue", tx_queue, false },
	{ "tx-lost", tx_lost, false },
	{ "tx-twice", tx_twice, false },
	{ "tx-error", tx_error, false },
	{ "tx-dead", tx_dead, true },
	{ "tx-lap", tx_lap, false },
	{ "rx-type", rx_type, false },
	{ "rx-queue", rx_queue, false },
	{ "rx-oversize", rx_oversize, false },
	{ "rx-truncated", rx_truncated, false },
	{ "rx-empty", rx_empty, false },
	{ "rx-lost", rx_lost, false },
	{ "rx-hole", rx_hole, false },
	{ "rx-twice", rx_twice, false },
	{ "rx-hash", rx_hash, false },
	{ "rx-checksum", rx_checksum, false },
	{ "rx-fence", rx_fence, false },
	{ "event-lost", event_lost, false },
	{ "event-queue", event_queue, false },
	{ "event-overflow", event_overflow, true },
	{ "interrupt-lost", interrupt_lost, false },
	{ "doorbell-lost", doorbell_lost, false },
	{ "rx-coalesced", rx_coalesced, false },
	{ "link-flap", link_flap, false },
	{ "reset", reset, false },
	{ "fpga-reconfig", fpga_reconfig, false },
	{ "unknown-event", unknown_event, false },
	{ "vport-lost", vport_lost, true },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* The sender's faults are seen with no buffer posted: the frame is dropped. */
static void each_row(void **state)
{
	for (unsigned int i = 0; i < ROWS; i++) {
		uint64_t before;

		assert_non_null(mana_fault_name(i));
		assert_string_equal(mana_fault_name(i), rows[i].name);
		assert_non_null(mana_fault_effect(i));
		if (i)
			setup(state);
		up();
		all_is_well();
		before = counters().faults;
		set_fault(rows[i].name);
		rows[i].see();
		/* Once was enough; what is of its own accord is not counted. */
		assert_true(counters().faults - before <= 1);
		set_fault(MANA_FAULT_NONE);
		if (!rows[i].spoilt)
			all_is_well();
		if (i + 1 < ROWS)
			teardown(state);
	}
	assert_null(mana_fault_name(ROWS));
}

static void counted_and_skipped(void **state)
{
	(void)state;
	up();
	assert_null(mana_fault_set(mana, "tx-error", 2, 1, 0));
	for (unsigned int i = 0; i < 5; i++) {
		put_frame();
		assert_int_equal(wait_tx(&sq), i == 1 || i == 2 ?
				 MANA_CQE_TX_INVALID_OOB : MANA_CQE_TX_OKAY);
	}
	assert_int_equal(counters().faults, 2);
	/* Of another vport. */
	assert_null(mana_fault_set(mana, "tx-error", 0, 0, 1));
	put_frame();
	assert_int_equal(wait_tx(&sq), MANA_CQE_TX_OKAY);
	/* For ever; the first of a place is met first. */
	assert_null(mana_fault_set(mana, "tx-error", 0, 0, 0));
	assert_null(mana_fault_set(mana, "tx-lost", 0, 0, 0));
	for (unsigned int i = 0; i < 20; i++) {
		put_frame();
		assert_int_equal(wait_tx(&sq), MANA_CQE_TX_INVALID_OOB);
	}
	set_fault(MANA_FAULT_NONE);
	all_is_well();
}

static void refused(void **state)
{
	(void)state;
	up();
	assert_string_equal(mana_fault_set(mana, "tx-erro", 1, 0, 0),
			    "fault: there is none of this name");
	assert_string_equal(mana_fault_set(mana, "tx-error", 1, 0, VPORTS),
			    "vport: must be one of the function");
	for (unsigned int i = 0; i < MANA_MAX_FAULTS; i++)
		set_fault("tx-error");
	assert_string_equal(mana_fault_set(mana, "tx-error", 1, 0, 0),
			    "fault: 8 at most at a time");
	set_fault(MANA_FAULT_NONE);
	all_is_well();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_row),
		TEST(counted_and_skipped),
		TEST(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
