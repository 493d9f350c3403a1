/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/reactor_inline.c */
/*
 * How long a SCSI disk's commands took, as inspect has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <yyjson.h>

#include <pv/inspect.h>

#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

#define SLOW_US 20000u
/* Power of two of the ticks that are surely less: a TSC has 1 GHz or more. */
#define SLOW 24u

static struct machine m;

struct seen {
	uint64_t all, slow, ticks_per_ms;
};

static void describe(void *object, struct inspect *out)
{
	struct vmbus_device *dev = (struct vmbus_device *)m.storvsp;

	(void)object;
	dev->ops->inspect(dev, out);
}

static struct seen look(unsigned int lun)
{
	struct seen seen = { 0 };
	char path[48], json[1024];
	yyjson_val *key, *root;
	yyjson_obj_iter iter;
	yyjson_doc *doc;
	int len;

	snprintf(path, sizeof(path), "storvsp/channel0/lun%u/latency", lun);
	len = inspect_render(path, 9, json, sizeof(json));
	assert_true(len > 0);
	doc = yyjson_read(json, (size_t)len, 0);
	root = yyjson_doc_get_root(doc);
	assert_true(yyjson_is_obj(root));
	yyjson_obj_iter_init(root, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		uint64_t value = yyjson_get_uint(yyjson_obj_iter_get_val(key));
		const char *name = yyjson_get_str(key);
		unsigned long power = strtoul(name, NULL, 10);

		if (!strcmp(name, "ticks_per_ms")) {
			seen.ticks_per_ms = value;
			continue;
		}
		assert_in_range(power, 8, 39);
		assert_int_not_equal(value, 0);
		seen.all += value;
		seen.slow += power >= SLOW ? value : 0;
	}
	yyjson_doc_free(doc);
	return seen;
}

static void latencies(void **state)
{
	static const uint8_t read[10] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	static struct inspect_entry entry = { .name = "storvsp",
					      .describe = describe };
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 4096, read, 10);
	struct page_list list;
	struct seen seen;
	uint64_t pfn, transaction;

	(void)state;
	inspect_register(&entry);
	machine_create(&m, 64, 0, 33);
	negotiate(&m);
	guest_pages(m.g, &pfn, 1);
	list = page_list(0, 4096, &pfn, 1);
	seen = look(0);
	assert_int_equal(seen.all, 0);
	/* No time has passed by the reactor's clock: no rate. */
	assert_int_equal(seen.ticks_per_ms, 0);

	for (unsigned int i = 0; i < 30; i++)
		transfer(&m, false, 0, 8, 0, &pfn);
	seen = look(0);
	assert_int_equal(seen.all, 30);
	/* Not one of them has to be fast where others want the CPU. */
	assert_true(seen.slow < 30);

	hold_requests(&m);
	for (unsigned int i = 0; i < 3; i++)
		send_srb(&m, &m.ch, &packet, &list);
	reactor_inline_advance(10000000); /* and the server takes them */
	usleep(SLOW_US);
	assert_int_equal(look(0).all, 30);
	release_requests(&m);
	reactor_inline_drain();
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(receive(&m, &m.ch, &transaction), 0);
	assert_int_equal(look(0).all, 33);
	assert_true(look(0).slow >= seen.slow + 3);
	/* Of 10 ms by that clock. */
	assert_true(look(0).ticks_per_ms >= 1000000 * (SLOW_US / 1000) / 10);
	/* Another unit's are its own. */
	assert_int_equal(look(3).all, 0);
	assert_int_equal(guest_shut(&m.ch), 0);
	machine_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latencies),
	};

	return cmocka_run_group_tests_name("relay_storvsp_latency", tests, NULL,
					   NULL);
}
