/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/settings.c paravisor/log.c include/guid.c */
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
#define LUN(n) "{\"lun\":" n "," BACKEND "}"
#define STORAGE(rest) "{\"version\":1,\"storage\":[{\"instance\":\"" GUID_A \
	"\"," rest "}]}"

static int parse(const char *json, struct settings *s)
{
	return settings_parse(json, strlen(json), s);
}

static void all_keys(void **state)
{
	static struct settings s;
	struct guid a, b;

	(void)state;
	guid_parse(GUID_A, &a);
	guid_parse(GUID_B, &b);
	assert_int_equal(parse("{\"nics\":[],\"serial\":{},"
		"\"log\":{\"vp\":\"debug\",\"scsi\":\"error\"},"
		"\"storage\":[{\"queue_depth\":1024,\"sub_channels\":3,"
		"\"luns\":[" LUN("0") ",{\"lun\":63,\"read_only\":true,"
		"\"vendor\":\"Msft\",\"product\":\"Sixteen bytes...\","
		"\"revision\":\"2\",\"serial\":\"a b\","
		"\"backend\":{\"nvme\":{\"nsid\":4294967294,\"device\":\""
		GUID_B "\"}}}],\"instance\":\"" GUID_A "\"},"
		"{\"instance\":\"" GUID_B "\",\"luns\":[]}],\"version\":1}",
		&s), 0);
	assert_int_equal(s.nr_controllers, 2);
	assert_true(guid_equal(&s.controller[0].instance, &a));
	assert_int_equal(s.controller[0].queue_depth, 1024);
	assert_int_equal(s.controller[0].sub_channels, 3);
	assert_int_equal(s.controller[0].nr_luns, 2);
	assert_int_equal(s.controller[0].lun[0].lun, 0);
	assert_false(s.controller[0].lun[0].read_only);
	assert_int_equal(s.controller[0].lun[0].nsid, 1);
	assert_true(guid_equal(&s.controller[0].lun[0].nvme_device, &b));
	assert_int_equal(s.controller[0].lun[1].lun, 63);
	assert_true(s.controller[0].lun[1].read_only);
	assert_int_equal(s.controller[0].lun[1].nsid, 4294967294u);
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
		{ STORAGE("\"luns\":[" LUN("1") "," LUN("1") "]"),
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
		{ STORAGE("\"luns\":[{\"lun\":1,\"backend\":{}}]"),
		  "/storage/0/luns/0/backend/nvme: missing" },
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
		  "/nics: this image has no back-end for NICs" },
		{ "{\"version\":1,\"serial\":{\"com9\":1}}",
		  "/serial/com9: unknown key" },
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
		p += sprintf(p, "%s" LUN("%d"), i ? "," : "", i % 64);
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
		cmocka_unit_test(least),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
