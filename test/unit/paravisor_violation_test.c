/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/violation.c paravisor/violation_inspect.c paravisor/inspect.c paravisor/log.c test/unit/inspect_list.c */
/* Violations: the list of rules, what is kept of a record, and what inspect
 * shows of it. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "paravisor/violation_inspect.h"
#include "paravisor/violation_rules.h"
#include "test/unit/inspect_list.h"
#include "test/unit/stderr_capture.h"

#define NR_RULES (sizeof(violation_rules) / sizeof(violation_rules[0]))

static const char *ask(const char *path)
{
	static char json[65536];

	return inspect_render(path, 9, json, sizeof(json)) < 0 ? NULL : json;
}

/* Words of small letters and digits, two to four, joined by dots. */
static void check_id(const char *id)
{
	unsigned int dots = 0;

	for (const char *p = id; *p; p++) {
		dots += *p == '.';
		if (!islower((unsigned char)*p) &&
		    !isdigit((unsigned char)*p) &&
		    !((*p == '.' || *p == '-') && p > id &&
		      isalnum((unsigned char)p[-1]) &&
		      isalnum((unsigned char)p[1])))
			fail_msg("%s: not an id", id);
	}
	if (dots < 1 || dots > 3)
		fail_msg("%s: not an id", id);
}

static void list_is_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_RULES; i++) {
		uint64_t count = 1;

		check_id(violation_rules[i].id);
		assert_true(strlen(violation_rules[i].text) > 3);
		if (i)
			assert_true(strcmp(violation_rules[i - 1].id,
					   violation_rules[i].id) < 0);
		assert_string_equal(violation_text(violation_rules[i].id),
				    violation_rules[i].text);
		assert_string_equal(violation_rule((unsigned int)i, &count),
				    violation_rules[i].id);
		assert_int_equal(count, 0);
	}
	assert_null(violation_rule(NR_RULES, NULL));
	assert_null(violation_text("ring.index"));
	assert_null(violation_text(""));
}

static void record(void **state)
{
	struct violation v;
	const char *said;

	(void)state;
	capture_stderr();
	violation_record("storvsp", 7, 3, 12, 0x1234, "ring.index.aligned");
	said = captured_stderr();
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "storvsp 7: type 3, offset 12, value "
				     "0x1234: ring.index.aligned: "));
	assert_int_equal(violation_count(), 1);
	assert_int_equal(violation_get(1, &v), 0);
	assert_string_equal(v.object, "storvsp");
	assert_int_equal(v.id, 7);
	assert_int_equal(v.type, 3);
	assert_int_equal(v.offset, 12);
	assert_int_equal(v.value, 0x1234);
	assert_string_equal(v.rule, "ring.index.aligned");
	assert_string_equal(ask("violations/rules"),
			    "{\"ring.index.aligned\":1}");
	assert_string_equal(ask("violations/newest/1/1/rule"),
			    "\"ring.index.aligned\"");
	assert_string_equal(ask("violations/newest/1/1/value"), "\"0x1234\"");
	assert_string_equal(ask("violations/total"), "1");
}

/* A rule of someone else's is kept all the same, and counted for nobody. */
static void not_listed(void **state)
{
	struct violation v;

	(void)state;
	violation_record("toy", 0, 0, 0, 0, "a rule of the toy");
	assert_int_equal(violation_get(2, &v), 0);
	assert_string_equal(v.rule, "a rule of the toy");
	assert_string_equal(ask("violations/rules"),
			    "{\"ring.index.aligned\":1}");
	assert_string_equal(ask("violations/newest/1/2/text"), "\"\"");
}

static void wraps(void **state)
{
	struct violation v;

	(void)state;
	for (uint32_t i = 3; i <= VIOLATION_KEPT + 2; i++)
		violation_record("ring", i, 0, 0, i, "ring.index.range");
	assert_int_equal(violation_get(2, &v), -ENOENT);
	assert_int_equal(violation_get(3, &v), 0);
	assert_int_equal(v.id, 3);
	assert_int_equal(violation_get(VIOLATION_KEPT + 3, &v), -ENOENT);
	assert_string_equal(ask("violations/rules/ring.index.range"), "256");
	assert_null(ask("violations/newest/999/2"));
	assert_string_equal(ask("violations/newest/999/3/id"), "3");
	assert_null(ask("violations/newest/5/253"));
	assert_string_equal(ask("violations/newest/5/254/id"), "254");
	inspect_list_check("violations", NULL);
	inspect_list_complete("violations/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_is_in_order),
		cmocka_unit_test(record),
		cmocka_unit_test(not_listed),
		cmocka_unit_test(wraps),
	};

	violation_publish();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
