/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/mana.c test/model/mana_channel.c test/model/mana_fault.c test/model/mana_memory.c test/model/mana_message.c test/model/mana_queue.c test/model/mana_rx.c test/model/mana_tx.c test/model/mana_vport.c test/model/msix.c test/vmm/net_back.c test/vmm/net_back_pair.c test/vmm/net_back_tap.c test/vmm/net_back_user.c test/vmm/net_capture.c test/vmm/net_headers.c test/vmm/net_offload.c test/vmm/byte_ring.c test/vmm/device_option.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */
/*
 * The MANA model's data path: frames from one vport to the other over a pair of
 * back-ends, what offloads make of them, and what a driver may not do.
 */
#include "model_mana_driver.h"

#include "test/vmm/net_offload.h"

#define FRAMES 8u
#define BUFFER 2048u

/* A user's vports: queues and memory are of a PD of its own, and so is the
 * doorbell page. */
static struct eq eq[VPORTS];
static struct wq sq[VPORTS], rq[VPORTS][QUEUES];
static uint32_t user_pd, user_key, user_page;
static uint64_t user_mr, user_pd_handle;
static uint64_t memory; /* all of the user's: registered at address `memory` */
#define MEMORY (64 * PAGE)
static unsigned int nr_rqs;

static void create_user(void)
{
	struct gdma_allocate_range_req range = {
		.type = cpu_to_le32(GDMA_RESOURCE_DOORBELL),
		.count = cpu_to_le32(1),
	};
	struct gdma_create_pd_req pd = { 0 };
	struct gdma_create_mr_req mr = { .type = cpu_to_le32(GDMA_MR_GVA),
					 .access = cpu_to_le32(3) };

	assert_int_equal(ASK(GDMA_ALLOCATE_RANGE, range,
			     gdma_allocate_range_resp), 0);
	user_page = le32_to_cpu(ANSWER(gdma_allocate_range_resp)->first);
	assert_int_equal(ASK(GDMA_CREATE_PD, pd, gdma_create_pd_resp), 0);
	user_pd_handle = le64_to_cpu(ANSWER(gdma_create_pd_resp)->handle);
	user_pd = le32_to_cpu(ANSWER(gdma_create_pd_resp)->id);
	memory = guest_pages(MEMORY / PAGE);
	mr.pd = cpu_to_le64(user_pd_handle);
	mr.address = cpu_to_le64(memory);
	/* Pages of 8 KiB. */
	mr.region = cpu_to_le64(region(memory, MEMORY, 1));
	assert_int_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr), 16),
			 0);
	user_key = le32_to_cpu(ANSWER(gdma_create_mr_resp)->lkey);
	user_mr = le64_to_cpu(ANSWER(gdma_create_mr_resp)->handle);
}

static void create_queues(unsigned int rqs)
{
	nr_rqs = rqs;
	device_up();
	create_user();
	for (unsigned int i = 0; i < VPORTS; i++) {
		struct rx_config rx;

		eq[i] = create_eq(i + 1);
		assert_int_equal(config_tx(i, user_pd, user_page), 0);
		sq[i] = (struct wq){ .sq = true };
		assert_int_equal(try_wq(&sq[i], i, eq[i].id, user_page), 0);
		for (unsigned int k = 0; k < rqs; k++) {
			rq[i][k] = (struct wq){ .sq = false };
			assert_int_equal(try_wq(&rq[i][k], i, eq[i].id,
						user_page), 0);
		}
		rx = rx_config(i, rq[i], rqs);
		assert_int_equal(config_rx(&rx), 0);
	}
}

/* Buffer `n` of the user's memory. */
static uint64_t buffer(unsigned int n)
{
	assert_true((n + 1) * BUFFER <= MEMORY);
	return memory + n * BUFFER;
}

static void post(struct wq *q, unsigned int n)
{
	post_rx(q, buffer(n), user_key, BUFFER);
	wq_ring(q);
}

static struct test_frame frame;

/* Puts the frame into buffer `n` and sends it of two pieces. */
static void send_from(unsigned int vport, unsigned int n, uint32_t flags,
		      const struct mana_tx_oob *oob, uint32_t oob_size,
		      uint32_t first)
{
	struct mana_sge sge[2] = {
		sge_of(buffer(n), user_key, first),
		sge_of(buffer(n) + first, user_key, frame.len - first),
	};

	memcpy(ram + buffer(n), frame.byte, frame.len);
	wq_put(&sq[vport], flags, oob, oob_size, sge, 2);
	wq_ring(&sq[vport]);
}

static void send_plain(unsigned int vport, unsigned int n)
{
	struct mana_tx_oob oob = tx_oob(&sq[vport], vport);

	send_from(vport, n, 0, &oob, 8, 54);
	assert_int_equal(wait_tx(&sq[vport]), MANA_CQE_TX_OKAY);
}

/* A frame from vport 0 to vport 1, with another port each. */
static void make(bool v6, bool tcp, uint32_t payload, unsigned int port)
{
	struct net_offload o = offload_of(v6, tcp, 0);

	make_frame(&frame, v6, tcp, payload);
	memcpy(frame.byte, macs[1], 6);
	memcpy(frame.byte + 6, macs[0], 6);
	net_put16(frame.byte + o.l4, (uint16_t)(1000 + port));
}

static void keep(void *opaque, const uint8_t *data, uint32_t len)
{
	(void)opaque;
	memmove(frame.byte, data, len);
	frame.len = len;
}

/* ... whose checksums are right already. */
static void make_finished(bool v6, bool tcp, uint32_t payload,
			  unsigned int port)
{
	struct net_offload o = offload_of(v6, tcp, 0);

	make(v6, tcp, payload, port);
	assert_int_equal(net_offload_finish(frame.byte, frame.len, &o, keep,
					    NULL), 0);
}

static uint32_t rx_info(void)
{
	return le32_to_cpu(rx_cqe.info);
}

static uint32_t rx_len(unsigned int n)
{
	return le16_to_cpu(rx_cqe.packet[n].length);
}

/* ---- */

static void test_loopback(void **state)
{
	struct mana_counters now;

	(void)state;
	create_queues(1);
	post(&rq[1][0], 8);
	make_finished(false, false, 200, 0);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	assert_int_equal(rx_len(0), frame.len);
	assert_memory_equal(ram + buffer(8), frame.byte, frame.len);
	/* As it was seen on a wire: IP good, UDP good, hash of UDP4. */
	assert_int_equal(rx_info(), 0x22040000);
	assert_int_equal(le32_to_cpu(rx_cqe.wqe_offset), 0);
	/* Every queue is born armed: an interrupt for each vport. */
	WAIT_FOR(messages[1] == 1 && messages[2] == 1);
	assert_true(eq_pop(&eq[1]));
	assert_int_equal(le32_to_cpu(eq[1].last.info) & 0xff,
			 MANA_EQE_COMPLETION);
	assert_int_equal(le32_to_cpu(eq[1].last.data[0]), rq[1][0].cq.id);
	now = counters();
	assert_int_equal(now.data_guest, 2 * frame.len);
	assert_int_equal(now.data_outside, 0);
	assert_true(now.control > 0);
	assert_int_equal(vport_counters(0).tx_frames, 1);
	assert_int_equal(vport_counters(1).rx_frames, 1);
	assert_int_equal(vport_counters(1).rx_queue[0], 1);
	/* For another address, and without an entry. */
	frame.byte[5] = 9;
	send_plain(0, 0);
	WAIT_FOR(vport_counters(1).rx_filtered == 1);
	frame.byte[0] = 0xff;
	send_plain(0, 0);
	WAIT_FOR(vport_counters(1).rx_no_wqe == 1);
}

static void test_gf_stats(void **state)
{
	struct mana_gf_stat_req in = { cpu_to_le64(UINT64_MAX) };
	const struct mana_gf_stat_resp *out = ANSWER(mana_gf_stat_resp);

	(void)state;
	create_queues(1);
	post(&rq[1][0], 8);
	make_finished(false, true, 100, 0);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	memset(frame.byte, 0xff, 6);
	send_plain(0, 0);
	WAIT_FOR(vport_counters(1).rx_no_wqe == 1);
	assert_int_equal(ASK(MANA_QUERY_GF_STAT, in, mana_gf_stat_resp), 0);
	assert_int_equal(le64_to_cpu(out->counter[MANA_GF_RX_NO_WQE]), 1);
	assert_int_equal(le64_to_cpu(out->counter[MANA_GF_RX_UCAST_FRAMES]), 1);
	assert_int_equal(le64_to_cpu(out->counter[MANA_GF_RX_BYTES]),
			 frame.len);
	assert_int_equal(le64_to_cpu(out->counter[MANA_GF_TX_UCAST_FRAMES]), 1);
	assert_int_equal(le64_to_cpu(out->counter[MANA_GF_TX_BCAST_FRAMES]), 1);
	assert_int_equal(le64_to_cpu(out->counter[MANA_GF_TX_BYTES]),
			 2 * frame.len);
}

/* Checksums that the device fills in, of each kind. */
static void test_checksums(void **state)
{
	static const uint32_t good[4] = {
		MANA_RX_IP_GOOD | MANA_RX_UDP_GOOD | MANA_HASH_UDP4 << 16,
		MANA_RX_UDP_GOOD | MANA_HASH_UDP6 << 16,
		MANA_RX_IP_GOOD | MANA_RX_TCP_GOOD | MANA_HASH_TCP4 << 16,
		MANA_RX_TCP_GOOD | MANA_HASH_TCP6 << 16,
	};

	(void)state;
	create_queues(1);
	for (unsigned int i = 0; i < 4; i++) {
		bool v6 = i & 1, tcp = i & 2;
		struct mana_tx_oob oob = tx_oob(&sq[0], 0);

		make(v6, tcp, 333, i);
		oob.word0 |= cpu_to_le32(
			(v6 ? MANA_TX_IP6 : MANA_TX_IP4 | MANA_TX_IP_CHECKSUM) |
			(tcp ? MANA_TX_TCP_CHECKSUM : MANA_TX_UDP_CHECKSUM));
		oob.word1 |= cpu_to_le32(v6 ? 54 : 34);
		post(&rq[1][0], 8 + i);
		send_from(0, i, 0, &oob, 8, 60);
		assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_OKAY);
		assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
		assert_int_equal(rx_info(), good[i]);
		assert_finished(ram + buffer(8 + i), rx_len(0));
	}
	/* Wrong ones are said to be. */
	make_finished(false, true, 50, 0);
	frame.byte[60] ^= 1;
	frame.byte[24] ^= 1;
	post(&rq[1][0], 8);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	assert_int_equal(rx_info(), MANA_RX_IP_BAD | MANA_RX_TCP_BAD |
					    MANA_HASH_TCP4 << 16);
}

static void test_segmentation(void **state)
{
	struct mana_tx_oob oob;
	struct mana_sge sge[2];
	uint32_t at = 0;

	(void)state;
	create_queues(1);
	for (unsigned int i = 0; i < 4; i++)
		post(&rq[1][0], 20 + i);
	make(false, true, 3500, 0);
	oob = tx_oob(&sq[0], 0);
	oob.word0 |= cpu_to_le32(MANA_TX_IP4 | MANA_TX_IP_CHECKSUM |
				 MANA_TX_TCP_CHECKSUM);
	oob.word1 |= cpu_to_le32(34);
	memcpy(ram + buffer(0), frame.byte, frame.len);
	sge[0] = sge_of(buffer(0), user_key, 54);
	sge[1] = sge_of(buffer(0) + 54, user_key, 3500);
	wq_put(&sq[0], MANA_WQE_OOB_IN_SGL | 1000u << MANA_WQE_UNIT_SHIFT,
	       &oob, 8, sge, 2);
	wq_ring(&sq[0]);
	assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_OKAY);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
		assert_int_equal(rx_len(0), 54 + (i < 3 ? 1000 : 500));
		assert_memory_equal(ram + buffer(20 + i) + 54,
				    frame.byte + 54 + at, rx_len(0) - 54);
		assert_int_equal(rx_info() & MANA_RX_TCP_GOOD,
				 MANA_RX_TCP_GOOD);
		at += 1000;
	}
	assert_int_equal(vport_counters(0).tx_lso, 1);
}

static void test_vlan(void **state)
{
	struct mana_tx_oob oob;

	(void)state;
	create_queues(1);
	post(&rq[1][0], 8);
	make_finished(false, false, 100, 0);
	oob = tx_oob(&sq[0], 0);
	oob.word0 |= cpu_to_le32(MANA_TX_LONG);
	oob.word2 = cpu_to_le32(MANA_TX_INJECT_VLAN |
				5u << MANA_TX_PRIORITY_SHIFT |
				123u << MANA_TX_VLAN_SHIFT);
	/* The first piece ends inside of the addresses. */
	send_from(0, 0, 0, &oob, 24, 10);
	assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_OKAY);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	assert_int_equal(rx_info() & 0x1fff, MANA_RX_VLAN | 123);
	assert_int_equal(rx_len(0), frame.len);
	assert_memory_equal(ram + buffer(8), frame.byte, frame.len);
	assert_int_equal(vport_counters(0).tx_bytes, frame.len + 4);
}

/* Errors that the queue survives. */
static void test_bad_frames(void **state)
{
	struct mana_tx_oob oob;

	(void)state;
	create_queues(1);
	make_finished(false, true, 1447, 0); /* one byte more than 1500 */
	frame.len = 1515;
	oob = tx_oob(&sq[0], 0);
	send_from(0, 0, 0, &oob, 8, 54);
	assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_MTU_DROP);
	make_finished(false, true, 100, 0);
#define INVALID(field, bits)                                              \
	do {                                                              \
		oob = tx_oob(&sq[0], 0);                                  \
		oob.field ^= cpu_to_le32(bits);                           \
		send_from(0, 0, 0, &oob, 8, 54);                          \
		assert_int_equal(wait_tx(&sq[0]),                         \
				 MANA_CQE_TX_INVALID_OOB);                \
	} while (0)
	INVALID(word0, 1u << MANA_TX_CQ_SHIFT); /* another CQ */
	INVALID(word0, MANA_TX_LONG);		/* the short form is there */
	INVALID(word1, 1u << MANA_TX_VPORT_SHIFT);
	INVALID(word1, 1u << MANA_TX_FRAME_SHIFT);
	INVALID(word0, MANA_TX_TCP_CHECKSUM); /* which IP? */
	INVALID(word0, MANA_TX_IP6 | MANA_TX_TCP_CHECKSUM);
	INVALID(word0, MANA_TX_IP4 | MANA_TX_TCP_CHECKSUM); /* at 0? */
	INVALID(word0, MANA_TX_IP4 | MANA_TX_TCP_CHECKSUM |
			       MANA_TX_UDP_CHECKSUM);
#undef INVALID
	/* No out-of-band data. */
	send_from(0, 0, 0, &oob, 0, 54);
	assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_INVALID_OOB);
	assert_int_equal(vport_counters(0).tx_errors, 10);
	assert_int_equal(vport_counters(0).tx_frames, 0);
	send_plain(0, 0);
}

/* Memory that is not the user's: the page stays as it is, the queue is dead. */
static void violation(uint64_t address, uint32_t key, uint32_t size)
{
	struct mana_tx_oob oob;
	struct mana_sge sge[2];
	uint64_t bad;

	create_queues(1);
	bad = counters().bad_access;
	post(&rq[1][0], 8);
	make_finished(false, true, 100, 0);
	memcpy(ram + buffer(0), frame.byte, frame.len);
	oob = tx_oob(&sq[0], 0);
	sge[0] = sge_of(buffer(0), user_key, 60);
	sge[1] = sge_of(address, key, size);
	wq_put(&sq[0], 0, &oob, 8, sge, 2);
	wq_ring(&sq[0]);
	assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_GDMA_ERR);
	assert_int_equal(counters().bad_access, bad + 1);
	/* What follows is not looked at. */
	sge[1] = sge_of(buffer(0) + 60, user_key, 94);
	wq_put(&sq[0], 0, &oob, 8, sge, 2);
	wq_ring(&sq[0]);
	usleep(20000);
	assert_false(cq_pop(&sq[0].cq));
	assert_int_equal(vport_counters(0).tx_frames, 0);
	assert_int_equal(counters().data_guest, 0);
	assert_int_equal(counters().data_outside, 0);
}

static void test_outside_of_mr(void **state)
{
	(void)state;
	violation(GUEST_SIZE, user_key, 94);
}

static void test_one_byte_too_far(void **state)
{
	(void)state;
	violation(MEMORY - 93, user_key, 94);
	/* The user's memory starts at 0 in this test. */
	assert_int_equal(memory, 0);
}

static void test_foreign_key(void **state)
{
	(void)state;
	violation(0, 0x12345678, 94);
}

static void test_kernel_key(void **state)
{
	(void)state;
	/* That of the device's own PD, which reaches all. */
	violation(0, 2, 94);
}

static void test_write_outside(void **state)
{
	uint64_t at;

	(void)state;
	create_queues(1);
	at = pages(1);
	memset(ram + at, 0x77, PAGE);
	post_rx(&rq[1][0], at, user_key, BUFFER);
	wq_ring(&rq[1][0]);
	make_finished(false, true, 100, 0);
	send_plain(0, 0);
	WAIT_FOR(counters().bad_access == 1);
	for (unsigned int i = 0; i < PAGE; i++)
		assert_int_equal(ram[at + i], 0x77);
	/* The queue is dead. */
	post(&rq[1][0], 8);
	send_plain(0, 0);
	WAIT_FOR(vport_counters(1).rx_no_wqe == 1);
	assert_int_equal(vport_counters(1).rx_frames, 0);
}

static void test_lso_rules(void **state)
{
	struct mana_tx_oob oob;
	struct mana_sge sge[2];

	(void)state;
	create_queues(1);
	make(false, true, 1000, 0);
	memcpy(ram + buffer(0), frame.byte, frame.len);
	oob = tx_oob(&sq[0], 0);
	oob.word0 |= cpu_to_le32(MANA_TX_IP4 | MANA_TX_TCP_CHECKSUM);
	oob.word1 |= cpu_to_le32(34);
	sge[0] = sge_of(buffer(0), user_key, frame.len);
	wq_put(&sq[0], MANA_WQE_OOB_IN_SGL | 500u << MANA_WQE_UNIT_SHIFT, &oob,
	       8, sge, 1);
	wq_ring(&sq[0]);
	assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_GDMA_ERR);
}

static void test_coalesced(void **state)
{
	struct rx_config rx;
	unsigned int seen = 0, at = 8;

	(void)state;
	create_queues(1);
	mana_coalesce(mana, 4);
	for (unsigned int i = 0; i < 12; i++)
		post_rx(&rq[1][0], buffer(8 + i), user_key, BUFFER);
	wq_ring(&rq[1][0]);
	/* A burst in one doorbell: at least two come together. */
	for (unsigned int i = 0; i < 6; i++) {
		struct mana_tx_oob oob = tx_oob(&sq[0], 0);
		struct mana_sge sge;

		make_finished(false, true, 100 + i, i);
		memcpy(ram + buffer(i), frame.byte, frame.len);
		sge = sge_of(buffer(i), user_key, frame.len);
		wq_put(&sq[0], 0, &oob, 8, &sge, 1);
	}
	wq_ring(&sq[0]);
	while (seen < 6) {
		uint32_t type = wait_rx(&rq[1][0]);
		unsigned int n = 0;

		for (n = 0; n < 4 && rx_len(n); n++, seen++, at++) {
			assert_int_equal(rx_len(n), 154 + seen);
			assert_memory_equal(ram + buffer(at),
					    ram + buffer(seen), rx_len(n));
		}
		assert_int_equal(type, n > 1 ? MANA_CQE_RX_COALESCED_4 :
					       MANA_CQE_RX_OKAY);
	}
	assert_true(vport_counters(1).rx_coalesced >= 1);
	assert_int_equal(vport_counters(1).rx_frames, 6);
	/* One alone comes too; and none together once the client says no. */
	send_plain(0, 6);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	rx = rx_config(1, rq[1], 1);
	rx.coalescing = 0;
	assert_int_equal(config_rx(&rx), 0);
	seen = (unsigned int)vport_counters(1).rx_coalesced;
	for (unsigned int i = 0; i < 3; i++)
		send_plain(0, 6);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	assert_int_equal(vport_counters(1).rx_coalesced, seen);
}

static void test_rss(void **state)
{
	struct rx_config rx;
	struct net_headers h;
	unsigned int per_queue[QUEUES] = { 0 };

	(void)state;
	create_queues(QUEUES);
	rx = rx_config(1, rq[1], QUEUES);
	for (unsigned int i = 0; i < QUEUES; i++)
		for (unsigned int k = 0; k < 32; k++)
			post_rx(&rq[1][i], buffer(20 + i), user_key, BUFFER);
	for (unsigned int i = 0; i < QUEUES; i++)
		wq_ring(&rq[1][i]);
	for (unsigned int i = 0; i < 40; i++) {
		uint32_t hash;
		struct wq *q;

		make_finished(i & 1, i & 2, 40, i);
		net_headers_parse(frame.byte, frame.len, &h);
		hash = net_rss_hash(frame.byte, &h, rx.head.key);
		q = &rq[1][hash % 64 % QUEUES];
		send_plain(0, 0);
		assert_int_equal(wait_rx(q), MANA_CQE_RX_OKAY);
		assert_int_equal(le32_to_cpu(rx_cqe.packet[0].hash), hash);
		per_queue[hash % 64 % QUEUES]++;
	}
	for (unsigned int i = 0; i < QUEUES; i++) {
		assert_true(per_queue[i] >= 3);
		assert_int_equal(vport_counters(1).rx_queue[i], per_queue[i]);
	}
	/* Without a hash all go to the default queue. */
	rx.head.rss = cpu_to_le32(0);
	rx.head.default_object = cpu_to_le64(rq[1][2].object);
	assert_int_equal(config_rx(&rx), 0);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][2]), MANA_CQE_RX_OKAY);
	/* Mistakes change nothing. */
	rx.table[5] = cpu_to_le64(rq[0][0].object); /* another vport's */
	assert_int_not_equal(config_rx(&rx), 0);
	rx.table[5] = rx.table[4];
	rx.head.entries = cpu_to_le16(65); /* behind the end */
	assert_int_not_equal(config_rx(&rx), 0);
	rx.head.entries = cpu_to_le16(64);
	rx.head.rx = cpu_to_le32(2);
	assert_int_not_equal(config_rx(&rx), 0);
	rx.head.rx = cpu_to_le32(1);
	rx.head.default_object = cpu_to_le64(sq[1].object);
	assert_int_not_equal(config_rx(&rx), 0);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][2]), MANA_CQE_RX_OKAY);
}

static void test_small_buffers(void **state)
{
	static const uint8_t none[8];
	struct mana_sge sge[3];

	(void)state;
	create_queues(1);
	/* Of three pieces, and over the edge of a page. */
	sge[0] = sge_of(buffer(8), user_key, 100);
	sge[1] = sge_of(buffer(9) + BUFFER - 20, user_key, 40);
	sge[2] = sge_of(buffer(12), user_key, BUFFER);
	wq_put(&rq[1][0], 0, none, 8, sge, 3);
	post_rx(&rq[1][0], buffer(14), user_key, 100);
	post_rx(&rq[1][0], buffer(15), user_key, BUFFER);
	wq_ring(&rq[1][0]);
	make_finished(false, true, 1000, 0);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	assert_memory_equal(ram + buffer(8), frame.byte, 100);
	assert_memory_equal(ram + buffer(9) + BUFFER - 20, frame.byte + 100,
			    40);
	assert_memory_equal(ram + buffer(12), frame.byte + 140,
			    frame.len - 140);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_TRUNCATED);
	assert_int_equal(ram[buffer(14) + 100], 0);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
	assert_memory_equal(ram + buffer(15), frame.byte, frame.len);
}

/* Rings that wrap, with suppressed completions and the events' arming. */
static void test_many_laps(void **state)
{
	unsigned int events = 0;

	(void)state;
	create_queues(1);
	make_finished(false, true, 64, 0);
	for (unsigned int lap = 0; lap < 160; lap++) {
		struct mana_tx_oob oob = tx_oob(&sq[0], 0);
		struct mana_sge sge = sge_of(buffer(0), user_key, frame.len);

		memcpy(ram + buffer(0), frame.byte, frame.len);
		for (unsigned int i = 0; i < FRAMES; i++) {
			post_rx(&rq[1][0], buffer(8 + i), user_key, BUFFER);
			oob.word0 &= ~cpu_to_le32(MANA_TX_SUPPRESS);
			if (i < FRAMES - 1)
				oob.word0 |= cpu_to_le32(MANA_TX_SUPPRESS);
			wq_put(&sq[0], 0, &oob, 8, &sge, 1);
		}
		wq_ring(&rq[1][0]);
		wq_ring(&sq[0]);
		assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_OKAY);
		assert_false(cq_pop(&sq[0].cq));
		for (unsigned int i = 0; i < FRAMES; i++)
			assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
		cq_ring(&sq[0].cq, false);
		cq_ring(&rq[1][0].cq, true);
		while (eq_pop(&eq[1]))
			events++;
		eq_ring(&eq[1], true);
	}
	assert_int_equal(vport_counters(0).tx_suppressed, 160 * (FRAMES - 1));
	/* One per time it was armed, not one per frame. */
	assert_in_range(events, 100, 161);
	assert_int_equal(counters().overflows, 0);
	/* A doorbell for more than the ring holds. */
	sq[0].tail += 2 * PAGE;
	wq_ring(&sq[0]);
	WAIT_FOR(counters().overflows == 1);
	/* Through the kernel's page. */
	sq[0].tail -= 2 * PAGE;
	sq[0].page = device_page;
	wq_ring(&sq[0]);
	WAIT_FOR(counters().foreign_doorbells == 1);
}

static void test_fence_and_end(void **state)
{
	struct mana_fence_req fence;
	struct gdma_handle_req gone;
	struct rx_config rx;
	struct wq old;

	(void)state;
	create_queues(2);
	fence.object = cpu_to_le64(rq[1][0].object);
	assert_int_equal(TELL(MANA_FENCE_RQ, fence), 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_FENCE);
	fence.object = cpu_to_le64(sq[1].object);
	assert_int_not_equal(TELL(MANA_FENCE_RQ, fence), 0);
	/* Off: frames are dropped, buffers stay as they are. */
	post(&rq[1][0], 8);
	rx = rx_config(1, rq[1], 2);
	rx.head.rx = cpu_to_le32(0);
	rx.head.default_object = cpu_to_le64(MANA_NO_OBJECT);
	assert_int_equal(config_rx(&rx), 0);
	make_finished(false, true, 100, 0);
	send_plain(0, 0);
	WAIT_FOR(vport_counters(1).rx_disabled == 1);
	/* In use: memory stays. */
	gone.handle = cpu_to_le64(user_pd_handle);
	assert_int_not_equal(TELL(GDMA_DESTROY_PD, gone), 0);
	old = rq[1][0];
	for (unsigned int i = 0; i < VPORTS; i++) {
		destroy_wq(&rq[i][0]);
		destroy_wq(&rq[i][1]);
		destroy_wq(&sq[i]);
	}
	gone.handle = cpu_to_le64(user_mr);
	assert_int_equal(TELL(GDMA_DESTROY_MR, gone), 0);
	gone.handle = cpu_to_le64(user_pd_handle);
	assert_int_equal(TELL(GDMA_DESTROY_PD, gone), 0);
	/* Rung too late: counted, nothing else. */
	wq_ring(&old);
	cq_ring(&old.cq, true);
	WAIT_FOR(counters().stale_doorbells == 2);
	assert_int_equal(counters().now_mrs, 0);
	assert_int_equal(counters().now_regions, 0);
	assert_int_equal(counters().now_wqs, 2);
	/* Again, with other numbers of everything. */
	assert_int_equal(config_tx(0, device_pd, device_page), 0);
	sq[0] = create_wq(0, true, eq[0].id);
	assert_int_not_equal(sq[0].object, old.object);
}

static void test_link_down(void **state)
{
	(void)state;
	create_queues(1);
	post(&rq[1][0], 8);
	make_finished(false, true, 100, 0);
	mana_link(mana, false);
	send_plain(0, 0);
	usleep(20000);
	assert_false(cq_pop(&rq[1][0].cq));
	mana_link(mana, true);
	send_plain(0, 0);
	assert_int_equal(wait_rx(&rq[1][0]), MANA_CQE_RX_OKAY);
}

/* More than the back-end has room for: nothing is lost on the way out. */
static void test_back_pressure(void **state)
{
	enum { BURSTS = 20, EACH = 24 };
	struct mana_tx_oob oob;
	struct mana_sge sge[2];

	(void)state;
	create_queues(1);
	make(false, true, 60000 - 54, 0);
	oob = tx_oob(&sq[0], 0);
	oob.word0 |= cpu_to_le32(MANA_TX_IP4 | MANA_TX_TCP_CHECKSUM);
	oob.word1 |= cpu_to_le32(34);
	memcpy(ram + buffer(0), frame.byte, frame.len);
	sge[0] = sge_of(buffer(0), user_key, 54);
	sge[1] = sge_of(buffer(0) + 54, user_key, frame.len - 54);
	for (unsigned int i = 0; i < BURSTS; i++) {
		for (unsigned int k = 0; k < EACH; k++)
			wq_put(&sq[0], MANA_WQE_OOB_IN_SGL |
					       1460u << MANA_WQE_UNIT_SHIFT,
			       &oob, 8, sge, 2);
		wq_ring(&sq[0]);
		for (unsigned int k = 0; k < EACH; k++)
			assert_int_equal(wait_tx(&sq[0]), MANA_CQE_TX_OKAY);
	}
	assert_int_equal(vport_counters(0).tx_frames, BURSTS * EACH);
	WAIT_FOR(vport_counters(1).rx_no_wqe ==
		 BURSTS * EACH * ((60000 - 54 + 1459) / 1460));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_loopback),
		TEST(test_gf_stats),
		TEST(test_checksums),
		TEST(test_segmentation),
		TEST(test_vlan),
		TEST(test_bad_frames),
		TEST(test_outside_of_mr),
		TEST(test_one_byte_too_far),
		TEST(test_foreign_key),
		TEST(test_kernel_key),
		TEST(test_write_outside),
		TEST(test_lso_rules),
		TEST(test_coalesced),
		TEST(test_rss),
		TEST(test_small_buffers),
		TEST(test_many_laps),
		TEST(test_fence_and_end),
		TEST(test_link_down),
		TEST(test_back_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
