/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/nets.c test/vmm/device_option.c test/vmm/json.c include/guid.c */
/*
 * Which NIC is which vport, who is wired to whom, and the settings that name
 * them. Back-ends, the function and its bus are stand-ins.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/model/mana.h"
#include "test/model/mana_fault.h"
#include "test/vmm/json.h"
#include "test/vmm/net_back.h"
#include "test/vmm/nets.h"
#include "test/vmm/nic_device.h"
#include "test/vmm/vpci.h"
#include "relay/channel.h"

/* ---- back-ends ---- */

struct net_back {
	enum net_kind kind;
	struct net_back *other;
};

static unsigned int backs; /* that are open */
static unsigned int fail_at;

struct net_back *net_back_open(const struct net_option *option,
			       struct reactor *loop)
{
	struct net_back *nb;

	(void)loop;
	if (fail_at && backs + 1 == fail_at)
		return NULL;
	nb = calloc(1, sizeof(*nb));
	nb->kind = option->kind;
	backs++;
	return nb;
}

void net_back_join(struct net_back *a, struct net_back *b)
{
	a->other = b;
	b->other = a;
}

void net_back_close(struct net_back *nb)
{
	backs -= !!nb;
	free(nb);
}

void net_back_print_stats(struct net_back *nb, FILE *out)
{
	fprintf(out, "%d", nb->kind);
}

/* ---- adapters of VMBus ---- */

static struct nic_device_config adapter; /* the last */
static unsigned int adapters;
static char plugged[32];

int nic_device_create(const struct nic_device_config *config,
		      struct nic_device **out)
{
	adapter = *config;
	adapters++;
	*out = (struct nic_device *)&adapter;
	return 0;
}

const char *nic_device_unplug(struct nic_device *nd)
{
	(void)nd;
	strcpy(plugged, "unplug");
	return NULL;
}

const char *nic_device_plug(struct nic_device *nd)
{
	(void)nd;
	strcpy(plugged, "plug");
	return NULL;
}

void nic_device_destroy(struct nic_device *nd)
{
	adapters -= !!nd;
}

void nic_device_print_stats(struct nic_device *nd, FILE *out)
{
	(void)nd;
	fputs("{}", out);
}

/* ---- the function and its bus ---- */

static struct mana_config last;
static unsigned int devices;

struct mana *mana_create(const struct mana_config *config)
{
	last = *config;
	devices++;
	return (struct mana *)&last;
}

void mana_destroy(struct mana *m)
{
	devices -= !!m;
}

struct pci_function *mana_function(struct mana *m)
{
	(void)m;
	return NULL;
}

static char said[64]; /* what the function was told */

void mana_link(struct mana *m, bool up)
{
	(void)m;
	snprintf(said, sizeof(said), "link %d", up);
}

void mana_request_reset(struct mana *m)
{
	(void)m;
	snprintf(said, sizeof(said), "reset");
}

void mana_silence(struct mana *m, bool silent)
{
	(void)m;
	snprintf(said, sizeof(said), "silent %d", silent);
}

void mana_coalesce(struct mana *m, unsigned int frames)
{
	(void)m;
	snprintf(said, sizeof(said), "coalesce %u", frames);
}

const char *mana_fault_set(struct mana *m, const char *name, uint32_t count,
			   uint32_t skip, uint32_t vport)
{
	(void)m;
	snprintf(said, sizeof(said), "%s %u %u %u", name, count, skip, vport);
	return NULL;
}

void mana_print_stats(struct mana *m, FILE *out)
{
	(void)m;
	fputs("{}", out);
}

static struct vmbus_device device;
static struct guid bus_instance;
static unsigned int offers;

struct vpci_bus *vpci_create(struct machine *m, enum vtl vtl,
			     struct msi_router *msi,
			     const struct guid *instance,
			     struct pci_function *function)
{
	(void)m;
	(void)vtl;
	(void)msi;
	(void)function;
	bus_instance = *instance;
	return (struct vpci_bus *)&device;
}

void vpci_destroy(struct vpci_bus *bus)
{
	(void)bus;
}

struct vmbus_device *vpci_device(struct vpci_bus *bus)
{
	(void)bus;
	return &device;
}

int vmbus_offer(struct vmbus_server *server, struct vmbus_device *d)
{
	d->server = server;
	offers++;
	return 0;
}

void vmbus_revoke(struct vmbus_device *d)
{
	d->server = NULL;
	offers--;
}

/* ---- tests ---- */

static struct vmm_options options;

static void parse(unsigned int nr, const char *const *text)
{
	memset(&options, 0, sizeof(options));
	options.nr_nics = nr;
	for (unsigned int i = 0; i < nr; i++)
		assert_null(net_option_parse(text[i], &options.nics[i]));
}

static void free_options(void)
{
	for (unsigned int i = 0; i < options.nr_nics; i++)
		net_option_free(&options.nics[i]);
}

static int attach(struct nets *n, unsigned int vps)
{
	return nets_attach(n, &(struct nets_host){
		.vps = vps,
		.server = (struct vmbus_server *)&options,
		.guest_server = (struct vmbus_server *)&adapter,
		.guest_memory = (struct guest_memory *)&adapters,
	});
}

static void test_vports_in_order(void **state)
{
	static const char *const text[] = { "uh:pair", "uh:user", "uh:pair",
					    "uh:pair" };
	struct nets *n;

	(void)state;
	parse(4, text);
	n = nets_open(&options, NULL);
	assert_int_equal(backs, 4);
	assert_int_equal(attach(n, 40), 0);
	assert_int_equal(offers, 1);
	assert_int_equal(last.nr_vports, 4);
	assert_int_equal(last.queues, 40);
	assert_int_equal(last.vectors, 64);
	assert_int_equal(last.vport[1].back->kind, NET_USER);
	assert_memory_equal(last.vport[3].mac, "\x00\x15\x5d\x76\x6d\x03", 6);
	/* The first two pairs are wired; the third waits for a fourth. */
	assert_ptr_equal(last.vport[0].back->other, last.vport[2].back);
	assert_null(last.vport[3].back->other);
	assert_ptr_equal(nets_mana(n), &last);
	nets_revoke(n);
	assert_int_equal(offers, 0);
	nets_revoke(n);
	nets_close(n);
	assert_int_equal(backs, 0);
	assert_int_equal(devices, 0);
	free_options();
}

static void assert_nics(struct nets *n, const char *expected)
{
	char text[256];
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct json_span value;
	size_t wrong;

	nets_print_nics(n, out);
	fclose(out);
	assert_int_equal(json_check(text, strlen(text), &value, &wrong), 0);
	assert_string_equal(text, expected);
}

/* Beside VTL2 the guest's own are adapters of VMBus, and no vports. */
static void test_synthetic(void **state)
{
	static const char *const text[] = { "uh:user", "null", "uh:null" };
	static const struct guid instance = GUID_INIT(
		0x2c6e83b4, 0x1f0d, 0x4d92, 0xa7, 0x58, 0x76, 0x6d, 0x6d, 0x00,
		0x01, 0x01);
	struct nets *n;

	(void)state;
	parse(3, text);
	options.igvm = "image";
	n = nets_open(&options, NULL);
	assert_int_equal(attach(n, 2), 0);
	assert_int_equal(last.nr_vports, 2);
	assert_memory_equal(last.vport[1].mac, "\x00\x15\x5d\x76\x6d\x02", 6);
	assert_int_equal(adapters, 1);
	assert_true(guid_equal(&adapter.instance, &instance));
	assert_memory_equal(adapter.mac, "\x00\x15\x5d\x76\x6d\x01", 6);
	assert_int_equal(adapter.vps, 2);
	assert_ptr_equal(adapter.server, &adapter);
	assert_ptr_equal(adapter.memory, &adapters);
	assert_nics(n, "[{\"mana\":null,\"back\":0},"
		       "{\"synthetic\":{},\"back\":3},"
		       "{\"mana\":null,\"back\":3}]");
	assert_null(nets_unplug(n, 1));
	assert_string_equal(plugged, "unplug");
	assert_null(nets_plug(n, 1));
	assert_string_equal(plugged, "plug");
	assert_string_equal(nets_plug(n, 0),
			    "device: the guest has no such of the host");
	assert_string_equal(nets_unplug(n, 8),
			    "device: the guest has no such of the host");
	nets_revoke(n);
	assert_int_equal(adapters, 0);
	nets_close(n);
	free_options();
}

/* Without VTL2 only those that ask for it. */
static void test_synthetic_direct(void **state)
{
	static const char *const text[] = { "null,synthetic", "null" };
	struct nets *n;

	(void)state;
	parse(2, text);
	n = nets_open(&options, NULL);
	assert_int_equal(attach(n, 1), 0);
	assert_int_equal(last.nr_vports, 1);
	assert_int_equal(adapters, 1);
	nets_revoke(n);
	nets_close(n);
	free_options();
}

static void test_queues_follow_vps(void **state)
{
	static const char *const text[] = { "null" };
	struct nets *n;

	(void)state;
	parse(1, text);
	n = nets_open(&options, NULL);
	assert_int_equal(attach(n, 1), 0);
	assert_int_equal(last.queues, 16);
	nets_close(n);
	n = nets_open(&options, NULL);
	assert_int_equal(attach(n, 64), 0);
	assert_int_equal(last.queues, 64);
	assert_int_equal(last.vectors, 65);
	nets_close(n);
	free_options();
}

static void test_nothing(void **state)
{
	struct nets *n;
	char text[8];
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	parse(0, NULL);
	offers = 0;
	n = nets_open(&options, NULL);
	assert_int_equal(attach(n, 2), 0);
	assert_int_equal(offers, 0);
	nets_print_stats(n, out);
	fclose(out);
	assert_string_equal(text, "null");
	nets_revoke(n);
	nets_close(n);
}

static void test_events(void **state)
{
	static const char *const text[] = { "null" };
	static const char *const events[][2] = {
		{ "link-up", "link 1" },  { "link-down", "link 0" },
		{ "reset", "reset" },	  { "silent", "silent 1" },
		{ "answer", "silent 0" }, { "coalesce", "coalesce 4" },
		{ "single", "coalesce 1" },
	};
	struct nets *n;

	(void)state;
	parse(1, text);
	n = nets_open(&options, NULL);
	assert_non_null(strstr(nets_event(n, "link-up"), "no MANA"));
	assert_non_null(strstr(nets_fault(n, "reset", 0, 0, 0), "no MANA"));
	assert_int_equal(attach(n, 2), 0);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		assert_null(nets_event(n, events[i][0]));
		assert_string_equal(said, events[i][1]);
	}
	assert_non_null(strstr(nets_event(n, "link"), "must be link-up"));
	assert_null(nets_fault(n, "tx-lost", 3, 2, 1));
	assert_string_equal(said, "tx-lost 3 2 1");
	nets_close(n);
	free_options();
}

static void test_one_that_fails(void **state)
{
	static const char *const text[] = { "null", "null" };

	(void)state;
	parse(2, text);
	fail_at = 2;
	assert_null(nets_open(&options, NULL));
	fail_at = 0;
	assert_int_equal(backs, 0);
	free_options();
}

static void test_settings(void **state)
{
	static const char *const some[] = { "uh:user", "null", "uh:tap:t,mtu=4000" };
	static const char *const none[] = { "null" };
	struct json_span value;
	char text[1024];
	FILE *out = fmemopen(text, sizeof(text), "w");
	size_t wrong;

	(void)state;
	parse(3, some);
	fputs("{", out);
	assert_true(nets_print_settings(&options, out));
	fputs("}", out);
	fclose(out);
	assert_string_equal(
		text,
		"{\"nics\":[{\"instance\":"
		"\"5ba1c4f0-7d3e-4b6a-9c21-766d6d000100\",\"backend\":{\"mana\":"
		"{\"device\":\"1d0f2a1e-0100-4e56-8d65-766d6d000100\","
		"\"vport\":0}}},"
		"{\"instance\":\"5ba1c4f0-7d3e-4b6a-9c21-766d6d000102\","
		"\"backend\":{\"mana\":"
		"{\"device\":\"1d0f2a1e-0100-4e56-8d65-766d6d000100\","
		"\"vport\":1}},\"mtu\":4000}]}");
	assert_int_equal(json_check(text, strlen(text), &value, &wrong), 0);
	free_options();
	parse(1, none);
	out = fmemopen(text, sizeof(text), "w");
	assert_false(nets_print_settings(&options, out));
	assert_int_equal(ftell(out), 0);
	fclose(out);
	free_options();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vports_in_order),
		cmocka_unit_test(test_synthetic),
		cmocka_unit_test(test_synthetic_direct),
		cmocka_unit_test(test_queues_follow_vps),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_one_that_fails),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
