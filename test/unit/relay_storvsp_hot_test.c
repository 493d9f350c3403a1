/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/storvsp_retire.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/reactor_inline.c */
/* Logical units that come and go while the guest uses the controller. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "paravisor/disk_memory.h"
#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

#define LUN 7

static const uint8_t ready_cdb[6];
static const uint8_t inquiry[6] = { 0x12 };
static const uint8_t read_8[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };

static struct disk *new_disk(struct machine *m)
{
	static const struct disk_info info = {
		.blocks = 64, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 128 * 1024, .max_ranges = 33,
		.range_alignment = 4,
	};
	struct disk *disk = disk_memory_create(&m->g->memory, &info);

	assert_non_null(disk);
	return disk;
}

static int add(struct machine *m, uint8_t number, struct disk *disk)
{
	const struct scsi_lun_config config = { .number = number,
						.disk = disk };
	int err = storvsp_add_lun(m->storvsp, &config);

	reactor_inline_drain();
	return err;
}

static void removed(void *opaque)
{
	++*(unsigned int *)opaque;
}

/* How a command without data ends. */
static uint8_t command(struct machine *m, struct guest_channel *ch,
		       uint8_t lun, const uint8_t *cdb)
{
	struct vstor_packet packet = srb(lun, VSTOR_DATA_NONE, 0, cdb, 6);
	uint64_t transaction;

	send_packet(m, ch, &packet, PACKET);
	assert_int_equal(receive(m, ch, &transaction), 0);
	assert_int_equal(transaction, m->transaction);
	return m->reply.srb.srb_status;
}

static uint8_t test_unit(struct machine *m, struct guest_channel *ch,
			 uint8_t lun)
{
	return command(m, ch, lun, ready_cdb);
}

/* Takes ENUMERATE_BUS, the only packet that comes unasked. */
static void expect_announcement(struct guest_channel *ch)
{
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct ring_packet packet;
	struct vstor_header header;

	assert_int_equal(guest_receive(ch, bytes, &packet), 0);
	assert_int_equal(packet.type, RING_PACKET_INBAND);
	assert_false(packet.wants_completion);
	assert_int_equal(packet.transaction, 0);
	assert_int_equal(packet.payload_size, 64);
	memcpy(&header, packet.payload, sizeof(header));
	assert_int_equal(le32_to_cpu(header.operation), VSTOR_ENUMERATE_BUS);
}

static void expect_silence(struct guest_channel *ch)
{
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct ring_packet packet;

	assert_int_equal(guest_receive(ch, bytes, &packet), -EAGAIN);
}

static void open_sub(struct machine *m, struct guest_channel *sub)
{
	assert_int_equal(ask_subchannels(m, 1), 0);
	assert_int_equal(guest_expect(m->g, VMBUS_OFFER_CHANNEL, &m->offer[1],
				      sizeof(m->offer[1])), 0);
	assert_int_equal(guest_open(m->g, &m->offer[1], RING_PAGES, 1, sub), 0);
}

/* Every channel has the unit by the time the guest is told, once. */
static void comes_and_goes(void **state)
{
	struct vmbus_channel_message rescind;
	struct guest_channel sub;
	unsigned int done = 0;
	struct disk *disk;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 1, RING_PAGES);
	negotiate(&m);
	open_sub(&m, &sub);
	disk = new_disk(&m);
	assert_int_equal(test_unit(&m, &m.ch, LUN), VSTOR_SRB_INVALID_LUN);
	assert_int_equal(add(&m, LUN, disk), 0);
	expect_announcement(&m.ch);
	expect_silence(&m.ch);
	expect_silence(&sub);
	assert_int_equal(test_unit(&m, &m.ch, LUN), VSTOR_SRB_SUCCESS);
	assert_int_equal(test_unit(&m, &sub, LUN), VSTOR_SRB_SUCCESS);
	assert_int_equal(add(&m, LUN, disk), -EEXIST);

	assert_int_equal(storvsp_remove_lun(m.storvsp, LUN, removed, &done), 0);
	reactor_inline_drain();
	assert_int_equal(done, 1);
	disk->ops->close(disk);
	expect_announcement(&m.ch);
	assert_int_equal(test_unit(&m, &m.ch, LUN), VSTOR_SRB_INVALID_LUN);
	assert_int_equal(test_unit(&m, &sub, LUN), VSTOR_SRB_INVALID_LUN);
	assert_int_equal(storvsp_remove_lun(m.storvsp, LUN, NULL, NULL),
			 -ENOENT);
	assert_int_equal(storvsp_remove_lun(m.storvsp, 200, NULL, NULL),
			 -ENOENT);
	assert_int_equal(guest_shut(&sub), 0);
	assert_int_equal(guest_close(&m.ch), 0);
	assert_int_equal(guest_expect(m.g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch.id, m.ch.gpadl), 0);
	guest_channel_free(&m.ch);
	machine_destroy(&m);
}

/* What is under way ends; its disk is let go of after that, not before, and
 * another unit may have the number in the meantime. */
static void removed_while_busy(void **state)
{
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 4096, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	unsigned int done = 0;
	uint64_t transaction;
	struct disk *disk;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	hold_requests(&m);
	send_srb(&m, &m.ch, &packet, &list);
	assert_int_equal(storvsp_remove_lun(m.storvsp, 0, removed, &done), 0);
	reactor_inline_drain();
	assert_int_equal(done, 0);
	expect_announcement(&m.ch);
	assert_int_equal(test_unit(&m, &m.ch, 0), VSTOR_SRB_INVALID_LUN);

	disk = new_disk(&m);
	assert_int_equal(add(&m, 0, disk), 0);
	/* The channel's place for this number is not free yet. */
	expect_silence(&m.ch);
	assert_int_equal(test_unit(&m, &m.ch, 0), VSTOR_SRB_INVALID_LUN);

	release_requests(&m);
	reactor_inline_drain();
	assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 4096);
	reactor_inline_drain();
	assert_int_equal(done, 1);
	expect_announcement(&m.ch);
	assert_int_equal(test_unit(&m, &m.ch, 0), VSTOR_SRB_SUCCESS);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
	disk->ops->close(disk);
}

/* A guest that has not opened, or not negotiated, looks anyway. */
static void nobody_to_tell(void **state)
{
	struct disk *disk;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	disk = new_disk(&m);
	assert_int_equal(add(&m, LUN, disk), 0);
	expect_silence(&m.ch);
	assert_int_equal(ask_operation(&m, VSTOR_BEGIN_INIT), 0);
	assert_int_equal(guest_shut(&m.ch), 0);

	assert_int_equal(storvsp_remove_lun(m.storvsp, LUN, NULL, NULL), 0);
	assert_int_equal(add(&m, LUN, disk), 0);
	assert_int_equal(guest_open(m.g, &m.offer[0], RING_PAGES, 0, &m.ch), 0);
	negotiate(&m);
	expect_silence(&m.ch);
	assert_int_equal(test_unit(&m, &m.ch, LUN), VSTOR_SRB_SUCCESS);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
	disk->ops->close(disk);
}

/* The channel closes while its last command, on a unit that was removed, is
 * under way: both ends meet. */
static void removed_and_closed(void **state)
{
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 4096, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	unsigned int done = 0;
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	hold_requests(&m);
	send_srb(&m, &m.ch, &packet, &list);
	assert_int_equal(storvsp_remove_lun(m.storvsp, 0, removed, &done), 0);
	guest_close(&m.ch);
	reactor_inline_drain();
	assert_int_equal(done, 0);
	release_requests(&m);
	reactor_inline_drain();
	assert_int_equal(done, 1);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch.id, m.ch.gpadl), 0);
	guest_channel_free(&m.ch);
	machine_destroy(&m);
}

/* The protocol was broken, so that what waits for its disk is only dropped when
 * the channel closes; a unit goes before, between or after the steps of that:
 * the channel is let go of once. */
static void closed_while_units_change(void **state)
{
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 4096, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);
	const struct vstor_packet broken = {
		.header.operation = cpu_to_le32(VSTOR_COMPLETE_IO),
	};

	(void)state;
	for (unsigned int steps = 0; steps < 8; steps++) {
		uint64_t violations = violation_count();
		struct machine m;

		machine_create(&m, 1, 0, RING_PAGES);
		negotiate(&m);
		hold_requests(&m);
		for (int i = 0; i < 3; i++)
			send_srb(&m, &m.ch, &packet, &list);
		m.g->manual = true;
		send_packet(&m, &m.ch, &broken, PACKET);
		while (violation_count() == violations)
			assert_true(reactor_inline_step());
		end_requests(&m, DISK_OK);
		for (unsigned int i = 0; i < steps; i++)
			reactor_inline_step();
		assert_int_equal(storvsp_remove_lun(m.storvsp, 3, NULL, NULL),
				 0);
		m.g->manual = false;
		reactor_inline_drain();
		assert_int_equal(guest_shut(&m.ch), 0);
		machine_destroy(&m);
	}
}

/* A ring without room: told when there is. */
static void told_later(void **state)
{
	struct vstor_packet packet = srb(0, VSTOR_DATA_NONE, 0, ready_cdb, 6);
	unsigned int sent = 0;
	uint64_t transaction;
	struct disk *disk;
	struct machine m;

	(void)state;
	machine_create(&m, 1024, 0, 2);
	negotiate(&m);
	disk = new_disk(&m);
	/* Completions that nobody takes fill the ring. */
	while (!guest_send(&m.ch, RING_PACKET_INBAND,
			   RING_FLAG_COMPLETION_REQUESTED, 1, NULL, 0, &packet,
			   PACKET)) {
		sent++;
		assert_in_range(sent, 1, 200);
	}
	assert_int_equal(add(&m, LUN, disk), 0);
	while (sent--)
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	expect_announcement(&m.ch);
	expect_silence(&m.ch);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
	disk->ops->close(disk);
}

/* The disk is gone: the unit is not there, not even in the list. */
static void lost(void **state)
{
	static const uint8_t report[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 256, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 256, report, 12);
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 8 + 2 * 8);
	assert_int_equal(storvsp_lun_lost(m.storvsp, 3), 0);
	assert_int_equal(storvsp_lun_lost(m.storvsp, 4), -ENOENT);
	reactor_inline_drain();
	expect_announcement(&m.ch);
	assert_int_equal(test_unit(&m, &m.ch, 3), VSTOR_SRB_INVALID_LUN);
	ask_srb(&m, &packet, &list);
	expect_srb(&m, VSTOR_SRB_SUCCESS, 8 + 8);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

/* The channel of a controller that leaves: rescinded yet? */
static bool rescinded(struct machine *m)
{
	struct vmbus_channel_message rescind;

	return !guest_expect(m->g, VMBUS_RESCIND_CHANNEL, &rescind,
			     sizeof(rescind));
}

static void let_go(struct machine *m)
{
	assert_true(m->destroyed);
	assert_int_equal(guest_close(&m->ch), 0);
	assert_int_equal(guest_gpadl_teardown(m->g, m->ch.id, m->ch.gpadl), 0);
	guest_channel_free(&m->ch);
	for (int i = 0; i < 2; i++)
		m->disk[i]->ops->close(m->disk[i]);
	guest_driver_destroy(m->g);
}

static void gone(void *opaque)
{
	((struct machine *)opaque)->destroyed = true;
}

/* Linux flushes a disk that goes: the controller is not rescinded before the
 * guest has asked for its units and then stopped to. */
static void units_go_first(void **state)
{
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	assert_int_equal(test_unit(&m, &m.ch, 0), VSTOR_SRB_SUCCESS);
	storvsp_retire(m.storvsp, gone, &m);
	reactor_inline_drain();
	expect_announcement(&m.ch);
	reactor_inline_advance(3000000000);
	for (int i = 0; i < 3; i++) {
		assert_false(rescinded(&m));
		assert_int_equal(test_unit(&m, &m.ch, 0),
				 VSTOR_SRB_INVALID_LUN);
		reactor_inline_advance(1000000000);
	}
	/* A scan finds an answer where there is no unit. */
	assert_int_equal(command(&m, &m.ch, 0, inquiry), VSTOR_SRB_SUCCESS);
	reactor_inline_advance(1900000000);
	assert_false(rescinded(&m));
	command(&m, &m.ch, 0, inquiry);
	reactor_inline_advance(100000000);
	reactor_inline_advance(1900000000);
	assert_false(rescinded(&m));
	reactor_inline_advance(200000000);
	assert_true(rescinded(&m));
	let_go(&m);
}

/* A guest that asks nothing, or without end, does not keep it. */
static void retires_in_time(void **state)
{
	(void)state;
	for (int asks = 0; asks < 2; asks++) {
		struct machine m;

		machine_create(&m, 64, 0, RING_PAGES);
		negotiate(&m);
		storvsp_retire(m.storvsp, gone, &m);
		reactor_inline_drain();
		expect_announcement(&m.ch);
		for (int i = 0; i < 29; i++) {
			if (asks)
				test_unit(&m, &m.ch, 0);
			reactor_inline_advance(1000000000);
			assert_false(rescinded(&m));
		}
		reactor_inline_advance(1200000000);
		assert_true(rescinded(&m));
		let_go(&m);
	}
}

/* Whoever ends before it has left takes it away as it is: its timer does not
 * come back to it, and it is revoked once. */
static void ends_while_it_retires(void **state)
{
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 4096, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);

	(void)state;
	for (int revoked = 0; revoked < 2; revoked++) {
		struct machine m;

		machine_create(&m, 64, 0, RING_PAGES);
		negotiate(&m);
		hold_requests(&m);
		send_srb(&m, &m.ch, &packet, &list);
		storvsp_retire(m.storvsp, gone, &m);
		reactor_inline_drain();
		reactor_inline_advance(revoked ? STORVSP_RETIRE_NS : 1);
		storvsp_destroy(m.storvsp, gone, &m);
		reactor_inline_drain();
		assert_false(m.destroyed);
		release_requests(&m);
		reactor_inline_drain();
		assert_true(m.destroyed);
		reactor_inline_advance(STORVSP_RETIRE_NS);
		assert_true(rescinded(&m));
		assert_false(rescinded(&m));
		let_go(&m);
	}
}

/* Nobody has it open, or lets go of it meanwhile: there is nothing to wait
 * for. */
static void retires_at_once(void **state)
{
	struct machine m;

	(void)state;
	machine_create(&m, 64, 0, RING_PAGES);
	negotiate(&m);
	storvsp_retire(m.storvsp, gone, &m);
	reactor_inline_drain();
	assert_int_equal(guest_close(&m.ch), 0);
	reactor_inline_advance(200000000);
	assert_true(rescinded(&m));
	assert_true(m.destroyed);
	assert_int_equal(guest_gpadl_teardown(m.g, m.ch.id, m.ch.gpadl), 0);
	guest_channel_free(&m.ch);
	for (int i = 0; i < 2; i++)
		m.disk[i]->ops->close(m.disk[i]);
	guest_driver_destroy(m.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_and_goes),
		cmocka_unit_test(removed_while_busy),
		cmocka_unit_test(nobody_to_tell),
		cmocka_unit_test(removed_and_closed),
		cmocka_unit_test(closed_while_units_change),
		cmocka_unit_test(told_later),
		cmocka_unit_test(lost),
		cmocka_unit_test(units_go_first),
		cmocka_unit_test(retires_in_time),
		cmocka_unit_test(retires_at_once),
		cmocka_unit_test(ends_while_it_retires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
