/* SPDX-License-Identifier: MIT */
/* See stamping_guest.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/ring_reg.h"
#include "relay/scsi_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/stamping_guest.h"

#define RUN 8u
#define RETRIES 5 /* as Linux' sd */
#define STEP_NS 5000000ull
#define FULL_NS 3000000ull /* as Linux' SCSI_QUEUE_DELAY */
#define PAGE 4096u
/* A byte's offset that no disk takes as it is: through a bounce buffer. */
#define ODD 3u

void stamping_open(struct stamping_guest *g, struct machine *m, uint8_t lun,
		   uint32_t blocks, uint32_t seed)
{
	memset(g, 0, sizeof(*g));
	g->m = m;
	g->lun = lun;
	g->deadline_ns = STEP_NS;
	g->odd = 16;
	assert_int_equal(stamp_open(&g->book, 0, blocks, STAMPING_BLOCK, seed),
			 0);
	g->busy = calloc(blocks, sizeof(*g->busy));
	assert_non_null(g->busy);
}

void stamping_close(struct stamping_guest *g)
{
	assert_int_equal(g->under_way, 0);
	stamp_close(&g->book);
	free(g->busy);
}

/* The client's buffer. */

static void copy(struct stamping_guest *g, const struct stamping_slot *slot,
		 uint32_t at, uint8_t *block, bool out)
{
	at += slot->offset;
	for (uint32_t n, done = 0; done < STAMPING_BLOCK; done += n, at += n) {
		uint8_t *page = guest_page(g->m->g, slot->pfn[at / PAGE]);

		n = PAGE - at % PAGE;
		if (n > STAMPING_BLOCK - done)
			n = STAMPING_BLOCK - done;
		if (out)
			memcpy(page + at % PAGE, block + done, n);
		else
			memcpy(block + done, page + at % PAGE, n);
	}
}

static void fill(struct stamping_guest *g, const struct stamping_slot *slot)
{
	uint8_t block[STAMPING_BLOCK] = { 0 };

	for (uint32_t i = 0; i < slot->blocks; i++) {
		if (slot->write)
			stamp_write(&g->book, slot->lba + i, block);
		copy(g, slot, i * STAMPING_BLOCK, block, true);
	}
}

/* Sending. */

/* What needs a bounce buffer has its deadline behind those that hold them: of
 * all the commands that may be under way, four at a time. */
static uint64_t deadline(const struct stamping_guest *g,
			 const struct stamping_slot *slot)
{
	return slot->offset == ODD ? g->deadline_ns * 4 : g->deadline_ns;
}

static int put(struct stamping_guest *g, struct stamping_slot *slot)
{
	uint32_t bytes = slot->blocks * STAMPING_BLOCK;
	uint8_t cdb[10] = { slot->write ? SCSI_WRITE_10 : SCSI_READ_10, 0,
			    0, 0, (uint8_t)(slot->lba >> 8),
			    (uint8_t)slot->lba, 0, 0, (uint8_t)slot->blocks };
	struct vstor_packet packet = srb(g->lun, slot->write ?
					 VSTOR_DATA_WRITE : VSTOR_DATA_READ,
					 bytes, cdb, sizeof(cdb));
	struct page_list list = page_list(slot->offset, bytes, slot->pfn,
					  (slot->offset + bytes + PAGE - 1) /
						  PAGE);

	/* The unit is in the lowest byte: two guests may share a channel. */
	slot->transaction = (++g->sequence * STAMPING_SLOTS +
			     (uint64_t)(slot - g->slot)) << 8 | g->lun;
	slot->sent_at = reactor_now();
	return guest_send(&g->m->ch, RING_PACKET_GPA_DIRECT,
			  RING_FLAG_COMPLETION_REQUESTED, slot->transaction,
			  list.bytes, list.size, &packet, PACKET);
}

static void mark(struct stamping_guest *g, struct stamping_slot *slot,
		 bool busy)
{
	for (uint32_t i = 0; i < slot->blocks; i++)
		g->busy[slot->lba + i] = busy;
	slot->busy = busy;
	g->under_way += busy ? 1 : -1u;
}

static bool send_run(struct stamping_guest *g, bool write, uint32_t lba,
		     uint32_t blocks)
{
	struct stamping_slot *slot = g->slot;

	if (blocks > g->book.blocks - lba)
		blocks = (uint32_t)g->book.blocks - lba;
	for (uint32_t i = 0; i < blocks; i++)
		if (g->busy[lba + i])
			return false;
	while (slot < g->slot + STAMPING_SLOTS && slot->busy)
		slot++;
	if (slot == g->slot + STAMPING_SLOTS)
		return false;
	if (!slot->pfn[0])
		guest_pages(g->m->g, slot->pfn, STAMPING_PAGES);
	slot->write = write;
	slot->retries = 0;
	slot->lba = lba;
	slot->blocks = blocks;
	slot->offset = (uint32_t)rand() % 8 * STAMPING_BLOCK;
	if (g->odd && (uint32_t)rand() % g->odd == 0)
		slot->offset = ODD;
	if (write)
		g->blocks_written += slot->blocks;
	mark(g, slot, true);
	fill(g, slot);
	assert_int_equal(put(g, slot), 0);
	return true;
}

bool stamping_send(struct stamping_guest *g, bool write)
{
	return send_run(g, write, (uint32_t)rand() % (uint32_t)g->book.blocks,
			1 + (uint32_t)rand() % RUN);
}

/* Answers. */

static void end(struct stamping_guest *g, struct stamping_slot *slot, bool good)
{
	uint8_t block[STAMPING_BLOCK];

	for (uint32_t i = 0; i < slot->blocks; i++) {
		if (slot->write) {
			stamp_written(&g->book, slot->lba + i, good);
		} else if (good) {
			copy(g, slot, i * STAMPING_BLOCK, block, false);
			stamp_read(&g->book, slot->lba + i, block, NULL);
		}
	}
	if (good)
		g->good++;
	else
		g->failed++;
	mark(g, slot, false);
}

/* What a guest sends again (SPC-4: not ready, aborted command, and a fault of
 * the hardware that may pass). */
static bool worth_a_retry(const struct vstor_srb *srb)
{
	uint8_t key = srb->sense[2] & 0xf;

	return srb->scsi_status == SCSI_CHECK_CONDITION &&
	       (key == SCSI_NOT_READY || key == SCSI_ABORTED_COMMAND ||
		key == SCSI_HARDWARE_ERROR);
}

static void answered(struct stamping_guest *g, uint64_t transaction,
		     const struct vstor_srb *srb)
{
	struct stamping_slot *slot =
		&g->slot[(transaction >> 8) % STAMPING_SLOTS];
	uint64_t took = reactor_now() - slot->sent_at;

	if ((transaction & 0xff) != g->lun) {
		assert_non_null(g->peer);
		answered(g->peer, transaction, srb);
		return;
	}
	assert_true(slot->busy);
	assert_int_equal(slot->transaction, transaction); /* and only once */
	assert_in_range(took, 0, deadline(g, slot));
	slot->transaction = 0;
	g->answers++;
	if (took > g->longest_ns)
		g->longest_ns = took;
	if (srb->srb_status == VSTOR_SRB_SUCCESS) {
		assert_int_equal(le32_to_cpu(srb->data_size),
				 slot->blocks * STAMPING_BLOCK);
		end(g, slot, true);
	} else if (srb->scsi_status == SCSI_TASK_SET_FULL) {
		g->refused++;
		slot->full = true;
	} else if (srb->srb_status == VSTOR_SRB_INVALID_LUN) {
		g->nobody++;
		end(g, slot, false);
	} else if (worth_a_retry(srb) && slot->retries < RETRIES) {
		slot->retries++;
		g->retries++;
		assert_int_equal(put(g, slot), 0);
	} else {
		end(g, slot, false);
	}
}

void stamping_receive(struct stamping_guest *g)
{
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct vstor_packet packet;
	struct ring_packet at;

	while (!guest_receive(&g->m->ch, bytes, &at)) {
		assert_int_equal(at.payload_size, PACKET);
		memcpy(&packet, at.payload, PACKET);
		if (at.type == RING_PACKET_INBAND) {
			g->announcements++;
			continue;
		}
		assert_int_equal(at.type, RING_PACKET_COMPLETION);
		answered(g, at.transaction, &packet.srb);
	}
}

void stamping_again(struct stamping_guest *g)
{
	for (unsigned int i = 0; i < STAMPING_SLOTS; i++) {
		struct stamping_slot *slot = &g->slot[i];

		if (!slot->full || reactor_now() - slot->sent_at < FULL_NS)
			continue;
		slot->full = false;
		assert_int_equal(put(g, slot), 0);
	}
}

/* Lets time pass when nothing else happens. */
static void wait(struct stamping_guest *g, unsigned int above)
{
	stamping_receive(g);
	while (g->under_way > above) {
		unsigned int before = g->under_way;
		uint64_t retries = g->retries;

		reactor_inline_advance(0);
		stamping_receive(g);
		if (g->under_way != before || g->retries != retries)
			continue;
		reactor_inline_advance(STEP_NS);
		stamping_receive(g);
		stamping_again(g);
		for (unsigned int i = 0; i < STAMPING_SLOTS; i++)
			if (g->slot[i].busy)
				assert_in_range(reactor_now() -
						g->slot[i].sent_at, 0,
						deadline(g, &g->slot[i]));
	}
}

bool stamping_run(struct stamping_guest *g, uint32_t blocks,
		  unsigned int depth)
{
	uint32_t written = 0;
	uint64_t before;

	while (written < blocks) {
		if (g->stop_at_nobody && g->nobody)
			break;
		before = g->blocks_written;
		if (stamping_send(g, rand() & 1))
			written += (uint32_t)(g->blocks_written - before);
		wait(g, depth - 1);
	}
	wait(g, 0);
	return written >= blocks;
}

void stamping_read_all(struct stamping_guest *g)
{
	uint64_t failed = g->failed;

	for (uint32_t at = 0; at < g->book.blocks; at += RUN) {
		assert_true(send_run(g, false, at, RUN));
		wait(g, 16);
	}
	wait(g, 0);
	assert_int_equal(g->failed, failed);
}
