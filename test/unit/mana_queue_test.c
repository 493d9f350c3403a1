/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/queue.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mana/queue.h"

#define SQ_ID 0x1234u
#define CQ_COUNT 64u

static _Alignas(8) uint8_t page[MANA_DOORBELL_PAGE];
static uint8_t ring[4096];
static struct mana_doorbells db;
static struct mana_wq wq;
static struct mana_cqe entries[CQ_COUNT];
static struct mana_cq cq;
static uint32_t device_tail; /* of the CQ */

static int clear(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	memset(ring, 0xee, sizeof(ring));
	memset(entries, 0, sizeof(entries));
	db = (struct mana_doorbells){ .page = page };
	wq = (struct mana_wq){ .ring = ring, .size = sizeof(ring),
			       .id = SQ_ID };
	mana_cq_init(&cq, entries, CQ_COUNT, 77);
	device_tail = CQ_COUNT;
	return 0;
}

static uint32_t dword(uint32_t at)
{
	uint32_t v;

	memcpy(&v, ring + (at & (sizeof(ring) - 1)), 4);
	return v;
}

static uint64_t doorbell(unsigned int offset)
{
	uint64_t v;

	memcpy(&v, page + offset, 8);
	return v;
}

static struct mana_sge sge(uint64_t address, uint32_t key, uint32_t size)
{
	return (struct mana_sge){ cpu_to_le64(address), cpu_to_le32(key),
				  cpu_to_le32(size) };
}

static void rx_entry_has_header_zero_oob_and_elements(void **state)
{
	const struct mana_sge sges[2] = { sge(0x1122334455667788, 5, 1884),
					  sge(0x2000, 6, 7) };

	(void)state;
	assert_int_equal(mana_rx_wqe_write(&wq, sges, 1), 32);
	assert_int_equal(dword(0), 0);
	assert_int_equal(dword(4), 1 | 2 << 8);
	assert_int_equal(dword(8), 0);
	assert_int_equal(dword(12), 0);
	assert_int_equal(dword(16), 0x55667788);
	assert_int_equal(dword(20), 0x11223344);
	assert_int_equal(dword(24), 5);
	assert_int_equal(dword(28), 1884);
	assert_int_equal(mana_rx_wqe_write(&wq, sges, 2), 64);
	assert_int_equal(dword(36), 2 | 2 << 8);
	assert_int_equal(dword(64), 0x2000);
	assert_int_equal(dword(80), 0); /* padding is cleared */
	assert_int_equal(wq.head, 96);
}

static void entries_wrap_at_the_end_of_the_ring(void **state)
{
	const struct mana_sge sges[3] = { sge(1, 2, 3), sge(4, 5, 6),
					  sge(7, 8, 9) };

	(void)state;
	wq.head = wq.tail = 0xffffffffu - 31; /* the last unit, and of counts */
	assert_int_equal(mana_rx_wqe_write(&wq, sges, 3), 64);
	assert_int_equal(wq.head, 32);
	assert_int_equal(dword(4096 - 32 + 4), 3 | 2 << 8);
	assert_int_equal(dword(4096 - 16), 1);
	assert_int_equal(dword(0), 4);
	assert_int_equal(dword(16), 7);
	assert_int_equal(mana_wq_room(&wq), 4096 - 64);
}

static void tx_entry_of_the_short_form(void **state)
{
	const struct mana_sge sges[2] = { sge(0x5000, 9, 14), sge(1, 9, 86) };
	const struct mana_tx_wqe tx = {
		.sges = sges, .nr_sges = 2, .cq = 77, .vport_offset = 3,
		.checksums = MANA_TX_IP4 | MANA_TX_UDP_CHECKSUM,
		.l4_offset = 34, .no_cqe = true,
	};

	(void)state;
	assert_int_equal(mana_tx_wqe_size(&tx), 64);
	assert_int_equal(mana_tx_wqe_write(&wq, &tx), 64);
	assert_int_equal(dword(0), 0);
	assert_int_equal(dword(4), 2 | 2 << 8);
	assert_int_equal(dword(8), 1 << 2 | 1 << 6 | 1 << 7 | 77 << 8);
	assert_int_equal(dword(12), 34 | (SQ_ID >> 10) << 10 | 3u << 24);
	assert_int_equal(dword(16), 0x5000);
	mana_tx_wqe_complete(&wq, 0);
	assert_int_equal(dword(8), 1 << 2 | 1 << 6 | 77 << 8);
}

static void tx_entry_of_the_long_form_has_tag_and_far_vport(void **state)
{
	const struct mana_sge sges[1] = { sge(0x5000, 9, 60) };
	struct mana_tx_wqe tx = { .sges = sges, .nr_sges = 1, .cq = 77,
				  .vport_offset = 3, .tag = true,
				  .vlan = 0xb123 }; /* priority 5, DEI, 0x123 */

	(void)state;
	assert_int_equal(mana_tx_wqe_write(&wq, &tx), 64);
	assert_int_equal(dword(4), 1 | 6 << 8);
	assert_int_equal(dword(8), 1 | 77 << 8);
	assert_int_equal(dword(12), (SQ_ID >> 10) << 10);
	assert_int_equal(dword(16), 1 << 3 | 5 << 16 | 1 << 19 | 0x123u << 20);
	assert_int_equal(dword(20), 3 << 16);
	assert_int_equal(dword(32), 0x5000);
	tx.tag = false;
	tx.vport_offset = 0x456;
	mana_tx_wqe_write(&wq, &tx);
	assert_int_equal(dword(64 + 4), 1 | 6 << 8);
	assert_int_equal(dword(64 + 16), 0);
	assert_int_equal(dword(64 + 20), 0x456 << 16);
}

static void lso_entry_names_headers_and_mss(void **state)
{
	const struct mana_sge sges[2] = { sge(0x5000, 9, 66), sge(1, 9, 9000) };
	const struct mana_tx_wqe tx = { .sges = sges, .nr_sges = 2, .cq = 77,
					.mss = 1448, .header_len = 66 };

	(void)state;
	mana_tx_wqe_write(&wq, &tx);
	assert_int_equal(dword(0), 66u << 24);
	assert_int_equal(dword(4), 2 | 2 << 8 | 1 << 11 | 1448u << 16);
}

static void the_longest_entry_has_512_bytes(void **state)
{
	struct mana_sge sges[MANA_MAX_TX_SGES];
	const struct mana_tx_wqe tx = { .sges = sges, .tag = true,
					.nr_sges = MANA_MAX_TX_SGES };

	(void)state;
	for (unsigned int i = 0; i < MANA_MAX_TX_SGES; i++)
		sges[i] = sge(i, i, i);
	assert_int_equal(mana_tx_wqe_write(&wq, &tx), MANA_MAX_TX_WQE);
	assert_int_equal(mana_rx_wqe_size(MANA_MAX_RX_SGES), MANA_MAX_RX_WQE);
	assert_int_equal(dword(512 - 4), MANA_MAX_TX_SGES - 1);
	assert_int_equal(dword(512), 0xeeeeeeee);
}

static void doorbells_hold_number_and_place(void **state)
{
	(void)state;
	wq.head = 0xfffffe40;
	mana_sq_ring(&db, &wq);
	mana_rq_ring(&db, &wq);
	assert_int_equal(doorbell(0), 0xfffffe40ull << 32 | SQ_ID);
	assert_int_equal(doorbell(0x400), 0xfffffe40ull << 32 | SQ_ID);
	cq.head = CQ_COUNT * 8 + 5; /* eight laps are none */
	mana_cq_arm(&db, &cq);
	assert_int_equal(doorbell(0x800), 1ull << 63 | 5ull << 32 | 77);
	assert_int_equal(db.rung, 3);
}

/* The device writes an entry. */
static void post(uint32_t word)
{
	struct mana_cqe *e = &entries[device_tail % CQ_COUNT];

	e->header = cpu_to_le32(word);
	e->info = cpu_to_le32((device_tail / CQ_COUNT & 7) << 29 | 0x99);
	device_tail++;
}

static void entries_are_seen_once_over_many_laps(void **state)
{
	struct mana_cqe e;

	(void)state;
	assert_int_equal(mana_cq_next(&cq, &e), 0);
	for (uint32_t n = 0; n < CQ_COUNT * 20; n += 3) {
		for (uint32_t i = 0; i < 3; i++)
			post(n + i);
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(mana_cq_next(&cq, &e), 1);
			assert_int_equal(le32_to_cpu(e.header), n + i);
		}
		assert_int_equal(mana_cq_next(&cq, &e), 0);
	}
}

static void a_full_queue_is_read_whole_and_no_more(void **state)
{
	struct mana_cqe e;

	(void)state;
	for (uint32_t n = 0; n < CQ_COUNT; n++)
		post(n);
	for (uint32_t n = 0; n < CQ_COUNT; n++)
		assert_int_equal(mana_cq_next(&cq, &e), 1);
	assert_int_equal(mana_cq_next(&cq, &e), 0);
}

static void a_lap_too_many_is_an_error(void **state)
{
	struct mana_cqe e;

	(void)state;
	for (uint32_t n = 0; n < CQ_COUNT + 1; n++)
		post(n);
	assert_int_equal(mana_cq_next(&cq, &e), -EPROTO);
	assert_int_equal(cq.head, CQ_COUNT);
}

/* Reads `n` entries and gives credit after each; doorbells rung by that. */
static uint64_t read_with_credit(uint32_t n)
{
	uint64_t before = db.rung;
	struct mana_cqe e;

	while (n--) {
		post(n);
		assert_int_equal(mana_cq_next(&cq, &e), 1);
		mana_cq_credit(&db, &cq);
	}
	return db.rung - before;
}

static void credit_is_given_every_four_laps(void **state)
{
	(void)state;
	assert_int_equal(read_with_credit(CQ_COUNT * 4 - 1), 0);
	assert_int_equal(read_with_credit(1), 1);
	assert_int_equal(doorbell(0x800) >> 32 & 0x7fffffff,
			 (CQ_COUNT * 5) % (CQ_COUNT * 8));
	assert_int_equal(read_with_credit(CQ_COUNT * 16), 4);
}

/* An arm bit of 0 would take the arming back, and the event be lost. */
static void credit_repeats_what_armed_says(void **state)
{
	(void)state;
	read_with_credit(CQ_COUNT * 4);
	assert_true(doorbell(0x800) >> 63); /* born armed */
	cq.armed = false; /* its event was read */
	read_with_credit(CQ_COUNT * 4);
	assert_false(doorbell(0x800) >> 63);
	mana_cq_arm(&db, &cq);
	assert_true(doorbell(0x800) >> 63);
	read_with_credit(CQ_COUNT * 4);
	assert_true(doorbell(0x800) >> 63);
	assert_true(cq.armed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			rx_entry_has_header_zero_oob_and_elements, clear),
		cmocka_unit_test_setup(entries_wrap_at_the_end_of_the_ring,
				       clear),
		cmocka_unit_test_setup(tx_entry_of_the_short_form, clear),
		cmocka_unit_test_setup(
			tx_entry_of_the_long_form_has_tag_and_far_vport, clear),
		cmocka_unit_test_setup(lso_entry_names_headers_and_mss, clear),
		cmocka_unit_test_setup(the_longest_entry_has_512_bytes, clear),
		cmocka_unit_test_setup(doorbells_hold_number_and_place, clear),
		cmocka_unit_test_setup(entries_are_seen_once_over_many_laps,
				       clear),
		cmocka_unit_test_setup(a_full_queue_is_read_whole_and_no_more,
				       clear),
		cmocka_unit_test_setup(a_lap_too_many_is_an_error, clear),
		cmocka_unit_test_setup(credit_is_given_every_four_laps, clear),
		cmocka_unit_test_setup(credit_repeats_what_armed_says, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
