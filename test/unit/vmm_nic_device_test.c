/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/nic_device.c test/unit/reactor_inline.c paravisor/log.c */
/*
 * What becomes of a NIC of the host's that is plugged in and unplugged. The
 * adapter and its back-end are stand-ins: the client lets go when told to.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/netvsp.h"
#include "test/vmm/net_nic.h"
#include "test/unit/reactor_inline.h"
#include "test/vmm/nic_device.h"

/* ---- the back-end ---- */

static struct net_nic_config nic_config;
static unsigned int nics; /* that are open */

static bool runs, link_up;
static uint64_t sent = 2;

bool net_nic_runs(const struct nic *nic)
{
	(void)nic;
	return runs;
}

void net_nic_link(struct nic *nic, bool up)
{
	(void)nic;
	link_up = up;
}

static void get_stats(struct nic *nic, struct nic_stats *stats)
{
	(void)nic;
	*stats = (struct nic_stats){ .rx_bytes = 1, .tx_frames = sent };
}

static void close_nic(struct nic *nic)
{
	(void)nic;
	nics--;
}

static const struct nic_ops ops = { .stats = get_stats, .close = close_nic };
static struct nic nic = { .ops = &ops };

struct nic *net_nic_open(const struct net_nic_config *config)
{
	nic_config = *config;
	nics++;
	return &nic;
}

/* ---- the adapter ---- */

static struct netvsp_config adapter_config;
static unsigned int adapters; /* that are offered */
static int create_error;
static bool client_holds;
static void (*let_go)(void *opaque);
static void *let_go_opaque;

int netvsp_create(struct vmbus_server *server,
		  const struct netvsp_config *config, struct netvsp **out)
{
	assert_ptr_equal(server, &adapters);
	if (create_error)
		return create_error;
	adapter_config = *config;
	adapters++;
	*out = (struct netvsp *)&adapter_config;
	return 0;
}

void netvsp_destroy(struct netvsp *netvsp, void (*done)(void *opaque),
		    void *opaque)
{
	assert_ptr_equal(netvsp, &adapter_config);
	adapters--;
	if (client_holds) {
		let_go = done;
		let_go_opaque = opaque;
	} else {
		done(opaque);
	}
}

/* ---- tests ---- */

static struct reactor *loop;

static struct nic_device *created(unsigned int vps)
{
	struct nic_device_config config = {
		.instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
		.order = 3,
		.mac = { 0, 1, 2, 3, 4, 5 },
		.vps = vps,
		.server = (struct vmbus_server *)&adapters,
		.loop = loop,
	};
	struct nic_device *nd = NULL;

	assert_int_equal(nic_device_create(&config, &nd), 0);
	assert_int_equal(adapters, 1);
	assert_int_equal(nics, 1);
	assert_int_equal(adapter_config.order, 3);
	assert_ptr_equal(adapter_config.nic, &nic);
	assert_true(guid_equal(&adapter_config.instance, &config.instance));
	assert_memory_equal(nic_config.mac, config.mac, 6);
	assert_int_equal(adapter_config.queues, nic_config.max_queues);
	return nd;
}

static void gone(struct nic_device *nd)
{
	nic_device_destroy(nd);
	assert_int_equal(adapters, 0);
	assert_int_equal(nics, 0);
}

static void queues_are_a_power_of_two(void **state)
{
	static const unsigned int of[][2] = { { 1, 1 }, { 2, 2 }, { 3, 2 },
					      { 7, 4 }, { 64, 64 } };

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		struct nic_device *nd = created(of[i][0]);

		assert_int_equal(adapter_config.queues, of[i][1]);
		gone(nd);
	}
	nic_device_destroy(NULL);
}

static void unplugged_and_plugged_in(void **state)
{
	struct nic_device *nd = created(2);

	(void)state;
	assert_string_equal(nic_device_plug(nd), "device: it is plugged in");
	client_holds = true;
	assert_null(nic_device_unplug(nd));
	assert_int_equal(adapters, 0);
	assert_string_equal(nic_device_unplug(nd),
			    "device: it is being unplugged");
	assert_string_equal(nic_device_plug(nd),
			    "device: the guest has not let go of it yet");
	let_go(let_go_opaque);
	client_holds = false;
	assert_string_equal(nic_device_unplug(nd), "device: it is unplugged");
	create_error = -ENOMEM;
	assert_string_equal(nic_device_plug(nd), "device: cannot be offered");
	create_error = 0;
	/* The back-end stayed what it is. */
	assert_null(nic_device_plug(nd));
	assert_int_equal(adapters, 1);
	assert_int_equal(nics, 1);
	assert_null(nic_device_unplug(nd));
	gone(nd);
}

static void pass(unsigned int tenths)
{
	while (tenths--)
		reactor_inline_advance(100000000);
}

/* The cable goes first, and the adapter when no frame came for a while. */
static void a_busy_one_is_quiet_first(void **state)
{
	struct nic_device *nd;

	(void)state;
	loop = reactor_inline_create();
	runs = link_up = true;
	nd = created(2);
	assert_null(nic_device_unplug(nd));
	assert_false(link_up);
	assert_string_equal(nic_device_unplug(nd),
			    "device: it is being unplugged");
	pass(20);
	sent++;
	pass(20);
	assert_int_equal(adapters, 1);
	pass(20);
	assert_int_equal(adapters, 0);
	assert_null(nic_device_plug(nd));
	assert_true(link_up);
	/* One that never is has its time; a driver that goes ends it. */
	assert_null(nic_device_unplug(nd));
	for (unsigned int i = 0; i < 19; i++) {
		sent++;
		pass(10);
		assert_int_equal(adapters, 1);
	}
	pass(20);
	assert_int_equal(adapters, 0);
	assert_null(nic_device_plug(nd));
	assert_null(nic_device_unplug(nd));
	runs = false;
	pass(2);
	assert_int_equal(adapters, 0);
	/* The end of vmm comes in between. */
	runs = true;
	assert_null(nic_device_plug(nd));
	assert_null(nic_device_unplug(nd));
	assert_int_equal(adapters, 1);
	pass(10);
	gone(nd);
	runs = false;
	sent = 2;
	reactor_inline_destroy(loop);
	loop = NULL;
}

static void one_that_cannot_be(void **state)
{
	struct nic_device_config config = {
		.vps = 1, .server = (struct vmbus_server *)&adapters,
	};
	struct nic_device *nd = NULL;

	(void)state;
	create_error = -EINVAL;
	assert_int_equal(nic_device_create(&config, &nd), -EINVAL);
	create_error = 0;
	assert_int_equal(nics, 0);
}

static void counters(void **state)
{
	struct nic_device *nd = created(1);
	char text[160];
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	nic_device_print_stats(nd, out);
	fclose(out);
	assert_string_equal(text, "{\"rx_bytes\":1,\"rx_dropped\":0,"
				  "\"rx_frames\":0,\"tx_bytes\":0,"
				  "\"tx_failed\":0,\"tx_frames\":2}");
	gone(nd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_are_a_power_of_two),
		cmocka_unit_test(unplugged_and_plugged_in),
		cmocka_unit_test(a_busy_one_is_quiet_first),
		cmocka_unit_test(one_that_cannot_be),
		cmocka_unit_test(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
