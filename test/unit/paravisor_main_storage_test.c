/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/main_storage.c paravisor/main_storage_unit.c paravisor/settings.c paravisor/settings_json.c paravisor/settings_storage.c paravisor/settings_nics.c relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/storvsp_retire.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/reactor_inline.c */
/*
 * Settings of storage made true, under a guest: what stays, what goes, what
 * comes, and that a change that cannot be leaves all as it was. Disks are in
 * memory; this file opens them in place of paravisor/main_disk.c.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nvme/nvme.h"
#include "paravisor/disk_memory.h"
#include "paravisor/main_disk.h"
#include "paravisor/main_storage.h"
#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

#define FIRST "11111111-2222-3333-4444-555555555555"
#define SECOND "11111111-2222-3333-4444-666666666666"
#define DEVICE "aaaaaaaa-2222-3333-4444-555555555555"
#define LUN(n, nsid) "{\"lun\":" #n ",\"backend\":{\"nvme\":{\"device\":\"" \
	DEVICE "\",\"nsid\":" #nsid "}}}"
#define CONTROLLER(id, more, luns) "{\"instance\":\"" id "\"," more \
	"\"luns\":[" luns "]}"
#define SETTINGS(controllers) "{\"version\":1,\"storage\":[" controllers "]}"

/* ---- disks ---- */

#define BAD_NSID 99
#define MAX_NSID 16

static unsigned int opened[MAX_NSID], open_now[MAX_NSID], looks;
static bool absent[MAX_NSID];
static struct disk_ops counting_ops;
static void (*close_memory)(struct disk *disk);

static struct opened_disk {
	struct disk *disk; /* NULL: free */
	uint32_t nsid;
} table[32];

static void close_counted(struct disk *disk)
{
	for (unsigned int i = 0; i < 32; i++)
		if (table[i].disk == disk) {
			open_now[table[i].nsid]--;
			table[i].disk = NULL;
		}
	close_memory(disk);
}

int main_disk_open(const struct main_disk_config *config, void *owner,
		   struct disk **disk, char *why)
{
	struct disk_info info = {
		.blocks = 64, .block_size = 512, .physical_block_size = 512,
		.max_transfer = 128 * 1024, .max_ranges = 33,
		.range_alignment = 4,
	};
	uint32_t nsid =
		config->settings->device[config->lun->first_device].unit;
	unsigned int i = 0;

	/* Numbers are those that a disk had; what it is called is what counts. */
	if (config->like) {
		assert_int_equal(config->deadline, 0);
		nsid = (uint32_t)strtoul(config->like[0].serial, NULL, 10);
		looks++;
	}
	snprintf(info.serial, sizeof(info.serial), "%u", nsid);
	if (nsid < MAX_NSID && absent[nsid]) {
		strcpy(why, "/backend/nvme: no such device");
		return -ETIMEDOUT;
	}
	config->opened[0] = info;
	if (nsid == BAD_NSID) {
		strcpy(why, "/backend/nvme/nsid: there is no such namespace");
		return -ENODEV;
	}
	assert_in_range(nsid, 1, MAX_NSID - 1);
	*disk = disk_memory_create(config->memory, &info);
	assert_non_null(*disk);
	counting_ops = *(*disk)->ops;
	close_memory = counting_ops.close;
	counting_ops.close = close_counted;
	(*disk)->ops = &counting_ops;
	(*disk)->event = config->event;
	(*disk)->owner = owner;
	while (table[i].disk)
		i++;
	table[i] = (struct opened_disk){ *disk, nsid };
	opened[nsid]++;
	open_now[nsid]++;
	return 0;
}

static struct disk *disk_of(uint32_t nsid)
{
	for (unsigned int i = 0; i < 32; i++)
		if (table[i].disk && table[i].nsid == nsid)
			return table[i].disk;
	fail_msg("namespace %u is not open", nsid);
	return NULL;
}

int nvme_events_start(struct reactor *r)
{
	(void)r;
	return -ENOSYS;
}

void nvme_events_describe(void *object, struct inspect *out)
{
	(void)object;
	(void)out;
}

/* ---- the world ---- */

/* Waiting is time that passes, 35 s of it. */
int sem_timedwait(sem_t *sem, const struct timespec *until)
{
	(void)until;
	for (unsigned int i = 0; i < 350; i++) {
		if (!sem_trywait(sem))
			return 0;
		reactor_inline_advance(100000000);
	}
	errno = ETIMEDOUT;
	return -1;
}

struct world {
	struct machine m; /* its g, offer and ch are in use */
	struct storage *storage;
	char error[SETTINGS_ERROR_SIZE];
};

/* Channels have not looked at their units again yet. */
static int apply_and_wait(struct world *w, const char *json)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	int ret;

	assert_non_null(settings);
	assert_int_equal(settings_parse(json, strlen(json), settings, NULL), 0);
	*w->error = 0;
	ret = storage_apply(w->storage, settings, w->error);
	free(settings);
	return ret;
}

static int apply(struct world *w, const char *json)
{
	int ret = apply_and_wait(w, json);

	reactor_inline_drain();
	return ret;
}

/* Storage lives as long as the daemon: nothing frees it. */
static struct storage *made[16];
static unsigned int nr_made;

static void begin(struct world *w, const char *json)
{
	struct storage_config config;

	memset(w, 0, sizeof(*w));
	memset(opened, 0, sizeof(opened));
	memset(open_now, 0, sizeof(open_now));
	memset(table, 0, sizeof(table));
	w->m.g = guest_driver_create(GUEST_PAGES, 2, 0);
	config = (struct storage_config){
		.memory = &w->m.g->memory,
		.server = w->m.g->server,
		.reactor = w->m.g->reactor[0],
	};
	w->storage = storage_create(&config);
	assert_non_null(w->storage);
	made[nr_made++] = w->storage;
	assert_int_equal(apply(w, json), 0);
}

static void connect_guest(struct world *w, unsigned int nr_offers)
{
	unsigned int offers;

	assert_int_equal(guest_contact(w->m.g, VMBUS_VERSION_COPPER, 1, 0), 0);
	assert_int_equal(guest_request_offers(w->m.g, &offers, w->m.offer, 4),
			 0);
	assert_int_equal(offers, nr_offers);
}

static void open_first(struct world *w)
{
	connect_guest(w, 1);
	assert_int_equal(guest_open(w->m.g, &w->m.offer[0], RING_PAGES, 0,
				    &w->m.ch), 0);
	negotiate(&w->m);
}

/* Takes everything away; the guest lets go. */
static void end(struct world *w, bool open)
{
	struct vmbus_channel_message rescind;

	if (open)
		assert_int_equal(guest_close(&w->m.ch), 0);
	assert_int_equal(apply(w, "{\"version\":1}"), 0);
	if (open) {
		assert_int_equal(guest_expect(w->m.g, VMBUS_RESCIND_CHANNEL,
					      &rescind, sizeof(rescind)), 0);
		assert_int_equal(guest_gpadl_teardown(w->m.g, w->m.ch.id,
						      w->m.ch.gpadl), 0);
		guest_channel_free(&w->m.ch);
	}
	for (unsigned int i = 0; i < MAX_NSID; i++)
		assert_int_equal(open_now[i], 0);
	guest_driver_destroy(w->m.g);
}

/* How TEST UNIT READY of a unit ends, after what it had to tell. */
static uint8_t unit(struct world *w, uint8_t lun)
{
	static const uint8_t ready_cdb[6];
	static _Alignas(8) uint8_t bytes[RING_MAX_PACKET];
	struct vstor_packet packet = srb(lun, VSTOR_DATA_NONE, 0, ready_cdb, 6);
	struct ring_packet announcement;
	uint64_t transaction;

	while (!guest_receive(&w->m.ch, bytes, &announcement))
		assert_int_equal(announcement.type, RING_PACKET_INBAND);
	send_packet(&w->m, &w->m.ch, &packet, PACKET);
	assert_int_equal(receive(&w->m, &w->m.ch, &transaction), 0);
	assert_int_equal(transaction, w->m.transaction);
	return w->m.reply.srb.srb_status;
}

/* ---- cases ---- */

/* A LUN that stays is not opened again, wherever its device stands in the list
 * of the new settings; one that goes is closed, one that comes is opened. */
static void what_stays_is_left_alone(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) "," LUN(2, 3) ","
				      LUN(4, 5))));
	open_first(&w);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "",
			LUN(4, 5) "," LUN(6, 7)))), 0);
		assert_int_equal(unit(&w, 0), VSTOR_SRB_INVALID_LUN);
		assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
		assert_int_equal(unit(&w, 4), VSTOR_SRB_SUCCESS);
		assert_int_equal(unit(&w, 6), VSTOR_SRB_SUCCESS);
		assert_int_equal(opened[5], 1);
		assert_int_equal(opened[7], 1);
		assert_int_equal(open_now[1] + open_now[3], 0);
	}
	/* The same number on another device is another LUN. */
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "",
						       LUN(4, 7)))), 0);
	assert_int_equal(opened[7], 2);
	assert_int_equal(open_now[5], 0);
	assert_int_equal(unit(&w, 4), VSTOR_SRB_SUCCESS);
	end(&w, true);
}

/* One disk that is not there: nothing has changed, and what was opened for the
 * change is closed. */
static void all_or_nothing(void **state)
{
#define UNFIT(more) SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) "," \
	"{\"lun\":2," more ",\"backend\":{\"nvme\":{\"device\":\"" DEVICE \
	"\",\"nsid\":3}}}"))
	static const char *const unfit[][2] = {
		{ UNFIT("\"fua\":true"),
		  "/storage/0/luns/1/fua: the disk does not know it" },
		{ UNFIT("\"unmap\":true"),
		  "/storage/0/luns/1/unmap: the disk cannot" },
	};
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1))));
	open_first(&w);
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(2, 3) ","
			LUN(4, 99)) "," CONTROLLER(SECOND, "", LUN(0, 5)))),
			 -ENODEV);
	assert_string_equal(w.error, "/storage/0/luns/1/backend/nvme/nsid: "
			    "there is no such namespace");
	assert_int_equal(opened[3], 1);
	assert_int_equal(open_now[3] + open_now[5], 0);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_SUCCESS);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
	/* In the second controller, after the first had been opened. */
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) ","
			LUN(2, 3)) "," CONTROLLER(SECOND, "", LUN(0, 5) ","
						  LUN(1, 99)))), -ENODEV);
	assert_string_equal(w.error, "/storage/1/luns/1/backend/nvme/nsid: "
			    "there is no such namespace");
	assert_int_equal(open_now[3] + open_now[5], 0);
	assert_int_equal(opened[1], 1);
	/* What its disk has not. */
	for (unsigned int i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
		assert_int_equal(apply(&w, unfit[i][0]), -EINVAL);
		assert_string_equal(w.error, unfit[i][1]);
	}
	assert_int_equal(open_now[3], 0);
	/* And the next one is not the worse for it. */
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) ","
						       LUN(2, 3)))), 0);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	end(&w, true);
}

/* Another queue depth is another controller, with the same instance. */
static void changed_controller_comes_anew(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1)) ","
			   CONTROLLER(SECOND, "", LUN(0, 3))));
	assert_int_equal(apply(&w, SETTINGS(
		CONTROLLER(FIRST, "\"queue_depth\":8,", LUN(0, 1)) ","
		CONTROLLER(SECOND, "", LUN(0, 3)))), 0);
	assert_int_equal(opened[1], 2);
	assert_int_equal(opened[3], 1);
	assert_int_equal(open_now[1], 1);
	connect_guest(&w, 2);
	end(&w, false);
}

/* A disk that changes size or goes away is the guest's business at once, also
 * when its LUN came with a later change. */
static void events_reach_the_guest(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1))));
	open_first(&w);
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) ","
						       LUN(2, 3)))), 0);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	disk_memory_resize(disk_of(3), 32);
	reactor_inline_drain();
	assert_int_equal(unit(&w, 2) & 0x3f, VSTOR_SRB_ERROR);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_SUCCESS);
	disk_memory_lose(disk_of(3));
	reactor_inline_drain();
	assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_SUCCESS);
	end(&w, true);
}

static void lose(uint32_t nsid)
{
	absent[nsid] = true;
	disk_memory_lose(disk_of(nsid));
	reactor_inline_drain();
}

/* What a disk is called brings it back, its unit anew, and no other disk in its
 * place; whoever is lost as well does not stand in its way. */
static void lost_disks_come_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) "," LUN(2, 3) ","
				      LUN(4, 5))));
	open_first(&w);
	looks = 0;
	assert_false(storage_look(w.storage));
	assert_int_equal(looks, 0);
	lose(3);
	lose(5);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
	assert_true(storage_look(w.storage));
	assert_int_equal(looks, 2);
	assert_int_equal(open_now[3], 1); /* until its successor is there */
	assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
	absent[5] = false;
	assert_true(storage_look(w.storage));
	reactor_inline_drain();
	assert_int_equal(opened[5], 2);
	assert_int_equal(open_now[5], 1);
	assert_int_equal(unit(&w, 4), VSTOR_SRB_SUCCESS);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_SUCCESS);
	absent[3] = false;
	assert_false(storage_look(w.storage));
	reactor_inline_drain();
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	/* It may be lost again, and the same settings leave it alone. */
	lose(3);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_INVALID_LUN);
	absent[3] = false;
	assert_false(storage_look(w.storage));
	reactor_inline_drain();
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1) ","
			LUN(2, 3) "," LUN(4, 5)))), 0);
	assert_int_equal(opened[3], 3);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	/* One that is no longer wanted is not looked for. */
	lose(5);
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "",
						       LUN(0, 1)))), 0);
	looks = 0;
	assert_false(storage_look(w.storage));
	assert_int_equal(looks, 0);
	absent[5] = false;
	end(&w, true);
}

/* Whoever is going while the guest still has it open says nothing of the one
 * that stands at its LUN now. */
static void who_goes_does_not_speak_for_who_comes(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(3, 1))));
	open_first(&w);
	assert_int_equal(unit(&w, 3), VSTOR_SRB_SUCCESS);
	assert_int_equal(apply_and_wait(&w, SETTINGS(CONTROLLER(FIRST, "",
		"{\"lun\":3,\"backend\":{\"nvme\":{\"device\":\"" DEVICE
		"\",\"nsid\":5}}}"))), 0);
	assert_int_equal(open_now[1], 1);
	disk_memory_resize(disk_of(1), 32);
	lose(1);
	assert_int_equal(open_now[1], 0);
	assert_int_equal(unit(&w, 3), VSTOR_SRB_SUCCESS);
	looks = 0;
	assert_false(storage_look(w.storage));
	assert_int_equal(looks, 0);
	absent[1] = false;
	end(&w, true);
}

/* A controller that a guest has open goes after its units, and its disks are
 * closed then. */
static void controller_leaves_a_guest(void **state)
{
	struct vmbus_channel_message rescind;
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1))));
	open_first(&w);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_SUCCESS);
	assert_int_equal(apply(&w, "{\"version\":1}"), 0);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_INVALID_LUN);
	assert_int_not_equal(guest_expect(w.m.g, VMBUS_RESCIND_CHANNEL,
					  &rescind, sizeof(rescind)), 0);
	reactor_inline_advance(STORVSP_RETIRE_NS);
	assert_int_equal(guest_expect(w.m.g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(open_now[1], 0);
	assert_int_equal(guest_close(&w.m.ch), 0);
	assert_int_equal(guest_gpadl_teardown(w.m.g, w.m.ch.id, w.m.ch.gpadl),
			 0);
	guest_channel_free(&w.m.ch);
	guest_driver_destroy(w.m.g);
}

/* The guest lets go of the controller that was rescinded, and opens the one
 * that is offered then: one, and not before. */
static void follow_successor(struct world *w)
{
	struct vmbus_channel_message released = {
		.channel = cpu_to_le32(w->m.ch.id),
	}, rescind;
	struct guest_message message;

	assert_int_equal(guest_expect(w->m.g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(guest_close(&w->m.ch), 0);
	assert_int_equal(guest_gpadl_teardown(w->m.g, w->m.ch.id,
					      w->m.ch.gpadl), 0);
	guest_channel_free(&w->m.ch);
	assert_false(guest_take(w->m.g, &message));
	assert_int_equal(guest_post(w->m.g, VMBUS_REL_ID_RELEASED, &released,
				    sizeof(released)), 0);
	assert_int_equal(guest_expect(w->m.g, VMBUS_OFFER_CHANNEL,
				      &w->m.offer[0], sizeof(w->m.offer[0])),
			 0);
	assert_false(guest_take(w->m.g, &message));
	assert_int_equal(guest_open(w->m.g, &w->m.offer[0], RING_PAGES, 0,
				    &w->m.ch), 0);
	negotiate(&w->m);
}

/* A controller that is wanted again before it has left: a client takes a second
 * offer of what it still has for a mistake. */
static void comes_back_while_it_leaves(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1))));
	open_first(&w);
	assert_int_equal(apply(&w, "{\"version\":1}"), 0);
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1)))),
			 0);
	follow_successor(&w);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_SUCCESS);
	assert_int_equal(opened[1], 2);
	assert_int_equal(open_now[1], 1);
	end(&w, true);
}

/* A command that does not end keeps a controller that another shall follow. */
static void keep_busy(struct world *w)
{
	static const uint8_t read_8[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	const uint64_t pfn = 100;
	struct page_list list = page_list(0, 4096, &pfn, 1);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read_8, 10);

	w->m.disk[0] = disk_of(1);
	hold_requests(&w->m);
	send_srb(&w->m, &w->m.ch, &packet, &list);
	assert_int_equal(apply(w, SETTINGS(
		CONTROLLER(FIRST, "\"queue_depth\":8,", LUN(0, 1)))),
		-EINPROGRESS);
	assert_int_equal(open_now[1], 2);
}

/* The successor is what the newest settings say, not what they said first. */
static void successor_changes_while_it_waits(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1))));
	open_first(&w);
	keep_busy(&w);
	assert_int_equal(apply(&w, SETTINGS(CONTROLLER(SECOND, "", LUN(0, 5))
		"," CONTROLLER(FIRST, "\"queue_depth\":8,", LUN(2, 3)))),
		-EINPROGRESS);
	assert_int_equal(open_now[1], 1);
	assert_int_equal(guest_expect(w.m.g, VMBUS_OFFER_CHANNEL,
				      &w.m.offer[1], sizeof(w.m.offer[1])), 0);
	release_requests(&w.m);
	reactor_inline_drain();
	assert_int_equal(open_now[1], 0);
	follow_successor(&w);
	assert_int_equal(unit(&w, 0), VSTOR_SRB_INVALID_LUN);
	assert_int_equal(unit(&w, 2), VSTOR_SRB_SUCCESS);
	/* In force as any other: what stays is not opened again. */
	assert_int_equal(apply(&w, SETTINGS(
		CONTROLLER(FIRST, "\"queue_depth\":8,", LUN(2, 3)))), 0);
	assert_int_equal(opened[3], 1);
	assert_int_equal(guest_expect(w.m.g, VMBUS_RESCIND_CHANNEL, &w.m.offer[1],
				      sizeof(struct vmbus_channel_message)), 0);
	end(&w, true);
}

/* One that is not wanted any more does not come. */
static void successor_is_left_out_while_it_waits(void **state)
{
	struct vmbus_channel_message rescind;
	struct guest_message message;
	struct world w;

	(void)state;
	begin(&w, SETTINGS(CONTROLLER(FIRST, "", LUN(0, 1))));
	open_first(&w);
	keep_busy(&w);
	assert_int_equal(apply(&w, "{\"version\":1}"), 0);
	assert_int_equal(open_now[1], 1);
	release_requests(&w.m);
	reactor_inline_drain();
	assert_int_equal(open_now[1], 0);
	assert_int_equal(guest_expect(w.m.g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(guest_close(&w.m.ch), 0);
	assert_int_equal(guest_gpadl_teardown(w.m.g, w.m.ch.id, w.m.ch.gpadl),
			 0);
	guest_channel_free(&w.m.ch);
	rescind.channel = cpu_to_le32(w.m.ch.id);
	assert_int_equal(guest_post(w.m.g, VMBUS_REL_ID_RELEASED, &rescind,
				    sizeof(rescind)), 0);
	assert_false(guest_take(w.m.g, &message));
	guest_driver_destroy(w.m.g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_is_left_alone),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(changed_controller_comes_anew),
		cmocka_unit_test(events_reach_the_guest),
		cmocka_unit_test(lost_disks_come_back),
		cmocka_unit_test(who_goes_does_not_speak_for_who_comes),
		cmocka_unit_test(controller_leaves_a_guest),
		cmocka_unit_test(comes_back_while_it_leaves),
		cmocka_unit_test(successor_changes_while_it_waits),
		cmocka_unit_test(successor_is_left_out_while_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
