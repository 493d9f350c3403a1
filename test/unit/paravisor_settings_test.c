/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/settings.c paravisor/settings_json.c paravisor/settings_storage.c paravisor/settings_nics.c paravisor/log.c include/guid.c */
/* Settings: what is read, and the one line that each mistake gets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/settings.h"
#include "stderr_capture.h"

#define GUID_A "11111111-2222-3333-4444-555555555555"
#define GUID_B "aaaaaaaa-2222-3333-4444-555555555555"
#define BACKEND "\"backend\":{\"nvme\":{\"device\":\"" GUID_B "\",\"nsid\":1}}"
#define NVME(nsid) "{\"nvme\":{\"device\":\"" GUID_B "\",\"nsid\":" nsid "}}"
#define SCSI(lun) "{\"scsi\":{\"device\":\"" GUID_B "\",\"lun\":" lun "}}"
#define LUN(n) "{\"lun\":" n ",\"backend\":" NVME("1" n) "}"
#define ON(backend) STORAGE("\"luns\":[{\"lun\":1,\"backend\":" backend "}]")
#define WITH(key) STORAGE("\"luns\":[{\"lun\":1," key "," BACKEND "}]")
#define STORAGE(rest) "{\"version\":1,\"storage\":[{\"instance\":\"" GUID_A \
	"\"," rest "}]}"

#define NICS(list) "{\"version\":1,\"nics\":[" list "]}"
#define NIC(guid, rest) "{\"instance\":\"" guid "\",\"backend\":" rest "}"
#define LOOP "{\"loopback\":{}}"
#define TAP "{\"tap\":{\"name\":\"tap0\"}}"
#define VPORT(n) "{\"mana\":{\"device\":\"" GUID_B "\",\"vport\":" n "}}"

static int parse(const char *json, struct settings *s)
{
	return settings_parse(json, strlen(json), s, NULL);
}

static void all_keys(void **state)
{
	static struct settings s;
	struct guid a, b;

	(void)state;
	guid_parse(GUID_A, &a);
	guid_parse(GUID_B, &b);
	assert_int_equal(parse("{\"machine_id\":\"" GUID_A "\",\"nics\":[],"
		"\"serial\":{\"com2\":{\"wait_for_rts\":true,\"transmit_only\":"
		"true},\"com1\":{\"wait_for_rts\":true}},"
		"\"log\":{\"vp\":\"debug\",\"scsi\":\"error\"},"
		"\"vmbus\":{\"filter\":[{\"action\":\"hide\",\"instance\":\""
		GUID_B "\"},{\"instance\":\"" GUID_A
		"\",\"action\":\"intercept\"}]},"
		"\"storage\":[{\"queue_depth\":1024,\"sub_channels\":3,"
		"\"luns\":[" LUN("0") ",{\"lun\":63,\"read_only\":true,"
		"\"vendor\":\"Msft\",\"product\":\"Sixteen bytes...\","
		"\"revision\":\"2\",\"serial\":\"a b\","
		"\"backend\":{\"nvme\":{\"nsid\":4294967294,\"device\":\""
		GUID_B "\"}}}],\"instance\":\"" GUID_A "\"},"
		"{\"instance\":\"" GUID_B "\",\"luns\":[]}],\"version\":1}",
		&s), 0);
	assert_true(guid_equal(&s.machine_id, &a));
	assert_int_equal(s.nr_relay_rules, 2);
	assert_true(guid_equal(&s.relay_rule[0].instance, &b));
	assert_int_equal(s.relay_rule[0].action, SETTINGS_HIDE);
	assert_true(guid_equal(&s.relay_rule[1].instance, &a));
	assert_int_equal(s.relay_rule[1].action, SETTINGS_INTERCEPT);
	assert_true(s.com[0].wait_for_rts && !s.com[0].transmit_only);
	assert_true(s.com[1].wait_for_rts && s.com[1].transmit_only);
	assert_int_equal(s.nr_controllers, 2);
	assert_true(guid_equal(&s.controller[0].instance, &a));
	assert_int_equal(s.controller[0].queue_depth, 1024);
	assert_int_equal(s.controller[0].sub_channels, 3);
	assert_int_equal(s.controller[0].nr_luns, 2);
	assert_int_equal(s.controller[0].lun[0].lun, 0);
	assert_false(s.controller[0].lun[0].read_only);
	assert_int_equal(s.controller[0].lun[0].nr_devices, 1);
	assert_int_equal(s.controller[0].lun[0].first_device, 0);
	assert_int_equal(s.device[0].kind, SETTINGS_NVME);
	assert_int_equal(s.device[0].unit, 10);
	assert_true(guid_equal(&s.device[0].device, &b));
	assert_int_equal(s.controller[0].lun[1].lun, 63);
	assert_true(s.controller[0].lun[1].read_only);
	assert_int_equal(s.controller[0].lun[1].first_device, 1);
	assert_int_equal(s.device[1].unit, 4294967294u);
	assert_string_equal(s.controller[0].lun[1].vendor, "Msft");
	assert_string_equal(s.controller[0].lun[1].product, "Sixteen bytes...");
	assert_string_equal(s.controller[0].lun[1].revision, "2");
	assert_string_equal(s.controller[0].lun[1].serial, "a b");
	assert_string_equal(s.controller[0].lun[0].vendor, "");
	assert_int_equal(s.controller[1].queue_depth, 64);
	assert_int_equal(s.controller[1].sub_channels, 0);
	assert_int_equal(s.controller[1].nr_luns, 0);
	assert_int_equal(s.nr_modules, 2);
	assert_string_equal(s.module[0].name, "vp");
	assert_int_equal(s.module[0].level, LOG_DEBUG);
	assert_int_equal(s.module[1].level, LOG_ERR);
}

static void nics(void **state)
{
	static struct settings s, t;
	struct guid a, b;

	(void)state;
	guid_parse(GUID_A, &a);
	guid_parse(GUID_B, &b);
	assert_int_equal(parse(NICS(NIC(GUID_A, VPORT("15")) ","
		NIC(GUID_B, TAP ",\"mac\":\"00:15:5D:0a:Bc:ff\",\"queues\":64,"
		    "\"mtu\":9000,\"nvsp\":\"6.1\",\"offloads\":false") ","
		NIC("00000000-2222-3333-4444-555555555555", VPORT("0")) ","
		NIC("00000001-2222-3333-4444-555555555555", LOOP)), &s), 0);
	assert_int_equal(s.nr_nics, 4);
	assert_true(guid_equal(&s.nic[0].instance, &a));
	assert_int_equal(s.nic[0].kind, SETTINGS_MANA);
	assert_true(guid_equal(&s.nic[0].device, &b));
	assert_int_equal(s.nic[0].vport, 15);
	assert_int_equal(s.nic[0].queues, 0);
	assert_int_equal(s.nic[0].mtu, 0);
	assert_true(s.nic[0].offloads);
	assert_false(s.nic[0].has_mac);
	assert_int_equal(s.nic[1].kind, SETTINGS_TAP);
	assert_string_equal(s.nic[1].tap, "tap0");
	assert_true(s.nic[1].has_mac);
	assert_memory_equal(s.nic[1].mac, "\x00\x15\x5d\x0a\xbc\xff", 6);
	assert_int_equal(s.nic[1].queues, 64);
	assert_int_equal(s.nic[1].mtu, 9000);
	assert_int_equal(s.nic[1].nvsp, 0x601);
	assert_int_equal(s.nic[0].nvsp, 0);
	assert_false(s.nic[1].offloads);
	assert_int_equal(s.nic[3].kind, SETTINGS_LOOPBACK);
	/* Wherever they stand. */
	assert_int_equal(parse(NICS(NIC(GUID_B, VPORT("14")) ","
				    NIC(GUID_A, VPORT("15"))), &t), 0);
	assert_true(settings_same_nic(&s.nic[0], &t.nic[1]));
	assert_true(settings_same_backend(&s.nic[0], &t.nic[1]));
	assert_false(settings_same_nic(&s.nic[0], &t.nic[0]));
	assert_false(settings_same_backend(&s.nic[0], &t.nic[0]));
	assert_false(settings_same_backend(&s.nic[0], &s.nic[1]));
	assert_true(settings_same_backend(&s.nic[1], &s.nic[1]));
	/* Each loopback is one of its own. */
	assert_false(settings_same_backend(&s.nic[3], &s.nic[3]));
	assert_int_equal(parse(NICS(NIC(GUID_A, VPORT("15") ",\"mtu\":1400")),
			       &t), 0);
	assert_false(settings_same_nic(&s.nic[0], &t.nic[0]));
	assert_true(settings_same_backend(&s.nic[0], &t.nic[0]));
	/* Limits are no part of what it is. */
	assert_int_equal(s.nic[0].tx_mbps + s.nic[0].rx_mbps, 0);
	assert_int_equal(parse(NICS(NIC(GUID_A, VPORT("15") ","
		"\"limits\":{\"tx_mbps\":10,\"rx_mbps\":100000}")), &t), 0);
	assert_int_equal(t.nic[0].tx_mbps, 10);
	assert_int_equal(t.nic[0].rx_mbps, 100000);
	assert_true(settings_same_nic(&s.nic[0], &t.nic[0]));
}

static void least(void **state)
{
	static struct settings s;

	(void)state;
	assert_int_equal(parse("{\"version\":1}", &s), 0);
	assert_int_equal(s.nr_controllers, 0);
	assert_int_equal(s.nr_modules, 0);
}

/* Every refusal: one line with the pointer and the rule, nothing taken. */
static void mistakes(void **state)
{
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "", "byte 0" },
		{ "{\"version\":1", "byte 12" },
		{ "{\"version\":1,}", "byte 12" },
		{ "{\"version\":1} x", "byte 14" },
		{ "[]", "/: must be an object" },
		{ "{}", "/version: missing" },
		{ "{\"version\":2}", "/version: must be an integer from 1" },
		{ "{\"version\":1.0}", "/version: must be an integer" },
		{ "{\"version\":\"1\"}", "/version: must be an integer" },
		{ "{\"version\":-1}", "/version: must be an integer" },
		{ "{\"version\":1,\"version\":1}", "/version: comes twice" },
		{ "{\"version\":1,\"Version\":1}", "/Version: unknown key" },
		{ "{\"version\":1,\"storage\":{}}",
		  "/storage: must be an array" },
		{ "{\"version\":1,\"storage\":[1]}",
		  "/storage/0: must be an object" },
		{ "{\"version\":1,\"storage\":[{\"luns\":[]}]}",
		  "/storage/0/instance: missing" },
		{ "{\"version\":1,\"storage\":[{\"luns\":[],\"instance\":"
		  "\"1\"}]}", "/storage/0/instance: must be a GUID" },
		{ "{\"version\":1,\"storage\":[{\"luns\":[],\"instance\":"
		  "\"11111111-2222-3333-4444-55555555555g\"}]}",
		  "/storage/0/instance: must be a GUID" },
		{ "{\"version\":1,\"storage\":[{\"luns\":[],\"instance\":\""
		  GUID_A "\"},{\"luns\":[],\"instance\":\"" GUID_A "\"}]}",
		  "/storage/1/instance: another controller has this GUID" },
		{ "{\"version\":1,\"storage\":[{},{},{},{},{}]}",
		  "/storage: must have at most 4" },
		{ STORAGE("\"queue_depth\":1"), "/storage/0/luns: missing" },
		{ STORAGE("\"luns\":[],\"queue_depth\":0"),
		  "/storage/0/queue_depth: must be an integer from 1 to 1024" },
		{ STORAGE("\"luns\":[],\"queue_depth\":1025"),
		  "/storage/0/queue_depth: must be" },
		{ STORAGE("\"luns\":[],\"queue_depth\":18446744073709551616"),
		  "/storage/0/queue_depth: must be" },
		{ STORAGE("\"luns\":[],\"sub_channels\":64"),
		  "/storage/0/sub_channels: must be" },
		{ STORAGE("\"luns\":[{}]"), "/storage/0/luns/0/lun: missing" },
		{ STORAGE("\"luns\":[{\"lun\":1}]"),
		  "/storage/0/luns/0/backend: missing" },
		{ STORAGE("\"luns\":[" LUN("64") "]"),
		  "/storage/0/luns/0/lun: must be an integer from 0 to 63" },
		{ STORAGE("\"luns\":[" LUN("1") ",{\"lun\":1,\"backend\":"
			  "{\"iso\":null}}]"),
		  "/storage/0/luns/1/lun: another LUN has this number" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"read_only\":1," BACKEND
			  "}]"),
		  "/storage/0/luns/0/read_only: must be true or false" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"vendor\":\"123456789\","
			  BACKEND "}]"),
		  "/storage/0/luns/0/vendor: must be 1 to 8 bytes" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"serial\":\"\"," BACKEND
			  "}]"),
		  "/storage/0/luns/0/serial: must be 1 to 32 bytes" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"product\":\"a\\u0000\","
			  BACKEND "}]"),
		  "/storage/0/luns/0/product: must be 1 to 16 bytes" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"revision\":1.0," BACKEND
			  "}]"),
		  "/storage/0/luns/0/revision: must be 1 to 4 bytes" },
		{ ON("{}"), "/storage/0/luns/0/backend: must have one of the "
			    "keys nvme, scsi, stripe, iso" },
		{ ON("{\"iso\":null,\"nvme\":{}}"),
		  "/storage/0/luns/0/backend: must have one of the keys" },
		{ ON("{\"iso\":{\"iso\":null}}"),
		  "/storage/0/luns/0/backend/iso/iso: unknown key" },
		{ ON("{\"iso\":0}"), "/backend/iso: must be an object" },
		{ ON(SCSI("256")),
		  "/backend/scsi/lun: must be an integer from 0 to 255" },
		{ ON("{\"stripe\":{\"chunk_kib\":64,\"of\":[" NVME("1") "]}}"),
		  "/backend/stripe/of: must have at least 2 devices" },
		{ ON("{\"stripe\":{\"chunk_kib\":48,\"of\":[]}}"),
		  "/backend/stripe/chunk_kib: must be a power of two" },
		{ ON("{\"stripe\":{\"chunk_kib\":2,\"of\":[]}}"),
		  "/backend/stripe/chunk_kib: must be an integer from 4" },
		{ ON("{\"stripe\":{\"of\":[" NVME("1") "," NVME("2") "]}}"),
		  "/backend/stripe/chunk_kib: missing" },
		{ ON("{\"stripe\":{\"chunk_kib\":64,\"of\":[" NVME("1") ","
		     SCSI("1") "," NVME("1") "]}}"),
		  "/backend/stripe/of/2/nvme: the stripe has this device" },
		{ WITH("\"rotation\":1024"),
		  "/storage/0/luns/0/rotation: must be 1 (does not rotate)" },
		{ WITH("\"rotation\":0"), "/rotation: must be an integer" },
		{ WITH("\"physical_block_size\":768"),
		  "/physical_block_size: must be a power of two" },
		{ WITH("\"fua\":1"), "/fua: must be true or false" },
		{ WITH("\"device_id\":\"00000000-0000-0000-0000-000000000000\""),
		  "/device_id: must not be all zeroes" },
		{ STORAGE("\"luns\":[],\"max_transfer_kib\":96"),
		  "/storage/0/max_transfer_kib: must be a power of two" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"backend\":{\"tape\":1}}]"),
		  "/storage/0/luns/0/backend/tape: unknown key" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"backend\":{\"nvme\":{"
			  "\"device\":\"" GUID_B "\"}}}]"),
		  "/storage/0/luns/0/backend/nvme/nsid: missing" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"backend\":{\"nvme\":{"
			  "\"device\":\"" GUID_B "\",\"nsid\":0}}}]"),
		  "/storage/0/luns/0/backend/nvme/nsid: must be" },
		{ STORAGE("\"luns\":[{\"lun\":1,\"backend\":{\"nvme\":{"
			  "\"device\":\"" GUID_B "\",\"nsid\":4294967295}}}]"),
		  "/storage/0/luns/0/backend/nvme/nsid: must be" },
		{ "{\"version\":1,\"nics\":[{}]}",
		  "/nics/0/instance: missing" },
		{ NICS("{\"instance\":\"" GUID_A "\"}"),
		  "/nics/0/backend: missing" },
		{ NICS("{\"backend\":1}"), "/nics/0/backend: must be an object" },
		{ NICS("{\"backend\":{}}"), "/nics/0/backend: must have one of "
		  "the keys mana, tap, loopback" },
		{ NICS("{\"backend\":{\"e1000\":{}}}"),
		  "/nics/0/backend/e1000: unknown key" },
		{ NICS("{\"backend\":{\"loopback\":{\"x\":1}}}"),
		  "/nics/0/backend/loopback/x: unknown key" },
		{ NICS("{\"backend\":{\"mana\":{\"vport\":0}}}"),
		  "/nics/0/backend/mana/device: missing" },
		{ NICS("{\"backend\":{\"mana\":{\"vport\":16}}}"),
		  "/nics/0/backend/mana/vport: must be" },
		{ NICS("{\"backend\":{\"tap\":{\"name\":"
		       "\"0123456789abcdef\"}}}"),
		  "/nics/0/backend/tap/name: must be 1 to 15 bytes" },
		{ NICS("{\"backend\":{\"tap\":{\"name\":\"a/b\"}}}"),
		  "/nics/0/backend/tap/name: must not" },
		{ NICS("{\"limits\":{\"tx_mbps\":9}}"),
		  "/nics/0/limits/tx_mbps: must be" },
		{ NICS("{\"limits\":{\"rx_mbps\":100001}}"),
		  "/nics/0/limits/rx_mbps: must be" },
		{ NICS("{\"mac\":1}"), "/nics/0/mac: must be an address" },
		{ NICS("{\"mac\":\"00:15:5d:00:00:0g\"}"),
		  "/nics/0/mac: must be an address" },
		{ NICS("{\"mac\":\"00:15:5d-00:00:00\"}"),
		  "/nics/0/mac: must be an address" },
		{ NICS("{\"mac\":\"01:15:5d:00:00:00\"}"),
		  "/nics/0/mac: must be the address of one" },
		{ NICS("{\"queues\":3}"), "/nics/0/queues: must be a power" },
		{ NICS("{\"queues\":0}"), "/nics/0/queues: must be" },
		{ NICS("{\"queues\":128}"), "/nics/0/queues: must be" },
		{ NICS("{\"mtu\":575}"), "/nics/0/mtu: must be" },
		{ NICS("{\"mtu\":9001}"), "/nics/0/mtu: must be" },
		{ NICS("{\"nvsp\":\"3\"}"), "/nics/0/nvsp: must be a version" },
		{ NICS("{\"nvsp\":6}"), "/nics/0/nvsp: must be a version" },
		{ NICS("{\"offloads\":1}"), "/nics/0/offloads: must be true" },
		{ NICS(NIC(GUID_A, LOOP) "," NIC(GUID_A, LOOP)),
		  "/nics/1/instance: another NIC has this GUID" },
		{ NICS(NIC(GUID_A, LOOP ",\"mac\":\"00:15:5d:00:00:0a\"") ","
		       NIC(GUID_B, LOOP ",\"mac\":\"00:15:5D:00:00:0A\"")),
		  "/nics/1/mac: another NIC has this address" },
		{ NICS(NIC(GUID_A, VPORT("1")) "," NIC(GUID_B, VPORT("1"))),
		  "/nics/1/backend: another NIC has this backend" },
		{ NICS(NIC(GUID_A, TAP) "," NIC(GUID_B, TAP)),
		  "/nics/1/backend: another NIC has this backend" },
		{ NICS("1,1,1,1,1,1,1,1,1"), "/nics: must have at most 8" },
		{ "{\"version\":1,\"serial\":{\"com9\":1}}",
		  "/serial/com9: unknown key" },
		{ "{\"version\":1,\"serial\":{\"com1\":true}}",
		  "/serial/com1: must be an object" },
		{ "{\"version\":1,\"serial\":{\"com2\":{\"wait_for_rts\":1}}}",
		  "/serial/com2/wait_for_rts: must be true or false" },
		{ "{\"version\":1,\"serial\":{\"com1\":{\"speed\":9600}}}",
		  "/serial/com1/speed: unknown key" },
		{ "{\"version\":1,\"vmbus\":{\"redirect\":true}}",
		  "/vmbus/redirect: unknown" },
		{ "{\"version\":1,\"vmbus\":{\"filter\":[{\"action\":\"hide\"}]}}",
		  "/vmbus/filter/0/instance: missing" },
		{ "{\"version\":1,\"vmbus\":{\"filter\":[{\"instance\":\"" GUID_A
		  "\",\"action\":\"drop\"}]}}",
		  "/vmbus/filter/0/action: must be relay, intercept or hide" },
		{ "{\"version\":1,\"vmbus\":{\"filter\":[{\"instance\":\"" GUID_A
		  "\",\"action\":\"hide\"},{\"instance\":\"" GUID_A
		  "\",\"action\":\"hide\"}]}}",
		  "/vmbus/filter/1/instance: comes twice" },
		{ "{\"version\":1,\"log\":[]}", "/log: must be an object" },
		{ "{\"version\":1,\"log\":{\"vp\":\"loud\"}}",
		  "/log/vp: must be error, warning, info or debug" },
		{ "{\"version\":1,\"log\":{\"vp\":7}}", "/log/vp: must be" },
		{ "{\"version\":1,\"log\":{\"\":\"info\"}}",
		  "/log/: a module's name has" },
		{ "{\"version\":1,\"log\":{\"123456789012345678901234\":"
		  "\"info\"}}", "a module's name has" },
		{ "{\"version\":1,\"log\":{\"vp\\u0000a\":\"info\"}}",
		  "/log/vp: a module's name has" },
		{ "{\"version\":1,\"log\":{\"vp\":\"info\",\"scsi\":\"info\","
		  "\"vp\":\"debug\"}}", "/log/vp: comes twice" },
		{ "{\"version\\u0000\":1}", "/version: unknown key" },
	};
	static struct settings s, untouched;

	(void)state;
	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *said;
		int ret;

		memset(&s, 0x5a, sizeof(s));
		capture_stderr();
		ret = parse(cases[i].json, &s);
		said = captured_stderr();
		if (ret != -EINVAL || !strstr(said, cases[i].text) ||
		    !is_one_line(said))
			fail_msg("%s: %d, said: %s", cases[i].json, ret, said);
		assert_memory_equal(&s, &untouched, sizeof(s));
	}
}

/* Every kind of backend, and what a LUN can be told. */
static void backends(void **state)
{
	static struct settings s;
	const struct settings_lun *lun = s.controller[0].lun;

	(void)state;
	assert_int_equal(parse(STORAGE("\"max_transfer_kib\":64,\"luns\":["
		"{\"lun\":0,\"backend\":" SCSI("3") "},"
		"{\"lun\":1,\"backend\":{\"iso\":null}},"
		"{\"lun\":2,\"backend\":{\"iso\":" NVME("1") "}},"
		"{\"lun\":3,\"rotation\":7200,\"physical_block_size\":4096,"
		"\"write_cache\":false,\"fua\":true,\"unmap\":false,"
		"\"device_id\":\"" GUID_A "\",\"backend\":{\"stripe\":{"
		"\"chunk_kib\":64,\"of\":[" NVME("2") "," SCSI("4") "]}}}]"),
		&s), 0);
	assert_int_equal(s.controller[0].max_transfer_kib, 64);
	assert_int_equal(s.nr_devices, 4);
	assert_int_equal(lun[0].nr_devices, 1);
	assert_int_equal(s.device[0].kind, SETTINGS_SCSI);
	assert_int_equal(s.device[0].unit, 3);
	assert_false(lun[0].dvd);
	assert_true(lun[1].dvd);
	assert_int_equal(lun[1].nr_devices, 0);
	assert_true(lun[2].dvd);
	assert_int_equal(lun[2].nr_devices, 1);
	assert_int_equal(lun[2].first_device, 1);
	assert_int_equal(lun[3].nr_devices, 2);
	assert_int_equal(lun[3].first_device, 2);
	assert_int_equal(lun[3].chunk_kib, 64);
	assert_int_equal(lun[3].rotation, 7200);
	assert_int_equal(lun[3].physical_block_size, 4096);
	assert_int_equal(lun[3].write_cache, SETTINGS_OFF);
	assert_int_equal(lun[3].fua, SETTINGS_ON);
	assert_int_equal(lun[3].unmap, SETTINGS_OFF);
	assert_int_equal(lun[0].unmap, SETTINGS_AS_DISK);
}

/* A change is a change, wherever the device stands in the list. */
static void sameness(void **state)
{
	static const char *const texts[] = {
		STORAGE("\"luns\":[" LUN("1") "," LUN("2") "]"),
		STORAGE("\"luns\":[" LUN("2") "," LUN("1") "]"),
		STORAGE("\"luns\":[{\"lun\":2,\"backend\":" NVME("13") "}]"),
		STORAGE("\"luns\":[{\"lun\":2,\"serial\":\"1\",\"backend\":"
			NVME("12") "}]"),
	};
	static struct settings s[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(parse(texts[i], &s[i]), 0);
	assert_true(settings_same_lun(&s[0], &s[0].controller[0].lun[1],
				      &s[1], &s[1].controller[0].lun[0]));
	assert_false(settings_same_lun(&s[0], &s[0].controller[0].lun[0],
				       &s[1], &s[1].controller[0].lun[0]));
	assert_false(settings_same_lun(&s[0], &s[0].controller[0].lun[1],
				       &s[2], &s[2].controller[0].lun[0]));
	assert_false(settings_same_lun(&s[0], &s[0].controller[0].lun[1],
				       &s[3], &s[3].controller[0].lun[0]));
}

/* The caller gets the same words. */
static void error_text(void **state)
{
	static struct settings s;
	char error[SETTINGS_ERROR_SIZE] = "";
	const char *json = "{\"version\":2}";

	(void)state;
	capture_stderr();
	assert_int_equal(settings_parse(json, strlen(json), &s, error),
			 -EINVAL);
	captured_stderr();
	assert_string_equal(error, "/version: must be an integer from 1 to 1");
	capture_stderr();
	assert_int_equal(settings_parse("{", 1, &s, error), -EINVAL);
	captured_stderr();
	assert_non_null(strstr(error, "byte 1: "));
}

/* More than one structure's worth of anything, and long names. */
static void overflow(void **state)
{
	static struct settings s;
	char *json = malloc(200000), *p = json;
	const char *said;

	(void)state;
	p += sprintf(p, "{\"version\":1,\"storage\":[{\"instance\":\"" GUID_A
		     "\",\"luns\":[");
	for (int i = 0; i < 65; i++)
		p += sprintf(p, "%s" LUN("%d"), i ? "," : "", i % 64, i);
	strcpy(p, "]}]}");
	capture_stderr();
	assert_int_equal(parse(json, &s), -EINVAL);
	said = captured_stderr();
	assert_non_null(strstr(said, "/storage/0/luns: must have at most 64"));

	p = json + sprintf(json, "{\"version\":1,\"");
	memset(p, 'k', 5000);
	strcpy(p + 5000, "\":1}");
	capture_stderr();
	assert_int_equal(parse(json, &s), -EINVAL);
	said = captured_stderr();
	assert_non_null(strstr(said, "unknown key"));
	assert_true(is_one_line(said) && strlen(said) < 300);
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys),
		cmocka_unit_test(nics),
		cmocka_unit_test(least),
		cmocka_unit_test(backends),
		cmocka_unit_test(sameness),
		cmocka_unit_test(error_text),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
