/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/nic_device.c paravisor/log.c */
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
#include "test/vmm/nic_device.h"

/* ---- the back-end ---- */

static struct net_nic_config nic_config;
static unsigned int nics; /* that are open */

static void get_stats(struct nic *nic, struct nic_stats *stats)
{
	(void)nic;
	*stats = (struct nic_stats){ .rx_bytes = 1, .tx_frames = 2 };
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
static bool retired;
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
	retired = false;
	done(opaque);
}

/* Until the client lets go; or it is destroyed before that. */
void netvsp_retire(struct netvsp *netvsp, void (*done)(void *opaque),
		   void *opaque)
{
	assert_ptr_equal(netvsp, &adapter_config);
	assert_false(retired);
	retired = true;
	let_go = done;
	let_go_opaque = opaque;
	if (!client_holds)
		netvsp_destroy(netvsp, done, opaque);
}

/* ---- tests ---- */

static struct nic_device *created(unsigned int vps)
{
	struct nic_device_config config = {
		.instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
		.order = 3,
		.mac = { 0, 1, 2, 3, 4, 5 },
		.vps = vps,
		.server = (struct vmbus_server *)&adapters,
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
	assert_string_equal(nic_device_unplug(nd),
			    "device: it is being unplugged");
	assert_string_equal(nic_device_plug(nd),
			    "device: the guest has not let go of it yet");
	netvsp_destroy((struct netvsp *)&adapter_config, let_go, let_go_opaque);
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

/* The end of vmm comes in between. */
static void destroyed_while_it_leaves(void **state)
{
	struct nic_device *nd = created(2);

	(void)state;
	client_holds = true;
	assert_null(nic_device_unplug(nd));
	assert_true(retired);
	gone(nd);
	assert_false(retired);
	client_holds = false;
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
		cmocka_unit_test(destroyed_while_it_leaves),
		cmocka_unit_test(one_that_cannot_be),
		cmocka_unit_test(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
