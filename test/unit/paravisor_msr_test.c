/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/msr.c paravisor/inspect.c paravisor/log.c test/unit/inspect_list.c */
/* The policy of VTL0's MSRs, row by row as a guest sees it, and what is noted
 * of a register that no row has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <hv_reg.h>
#include <pv/inspect.h>

#include "paravisor/msr.h"
#include "test/unit/inspect_list.h"
#include "test/unit/stderr_capture.h"

#define RIP 0xffffffff81000010ull

static struct inspect_entry entry = { "msr", msr_inspect, NULL, NULL };

static const char *ask(const char *path)
{
	static char json[16384];

	return inspect_render(path, 9, json, sizeof(json)) < 0 ? NULL : json;
}

static void table(void **state)
{
	static const struct {
		uint32_t msr;
		enum msr_result read;
		uint64_t value;
		enum msr_result write;
	} cases[] = {
		{ 0x3a, MSR_FAULT, 0, MSR_FAULT },
		{ 0x79, MSR_OK, 0, MSR_OK },
		{ 0x8b, MSR_OK, 0, MSR_OK },
		{ 0xce, MSR_OK, 0, MSR_FAULT },
		{ 0x480, MSR_FAULT, 0, MSR_FAULT },
		{ 0x488, MSR_FAULT, 0, MSR_FAULT },
		{ 0x491, MSR_FAULT, 0, MSR_FAULT },
		{ 0xc0010112, MSR_FAULT, 0, MSR_FAULT },
		{ 0xc0010114, MSR_FAULT, 0, MSR_FAULT },
		{ 0xc0010117, MSR_FAULT, 0, MSR_FAULT },
		{ 0xc0010118, MSR_FAULT, 0, MSR_FAULT },
		{ 0xc0011029, MSR_OK, 2, MSR_OK },
		{ HV_MSR_CRASH_P0, MSR_OK, 0, MSR_OK },
		{ HV_MSR_CRASH_P4, MSR_OK, 0, MSR_OK },
		{ HV_MSR_CRASH_CTL, MSR_OK,
		  HV_CRASH_NOTIFY | HV_CRASH_NOTIFY_MESSAGE, MSR_OK },
	};
	struct msr_crash crash = { 0 };
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		value = 0x55;
		assert_int_equal(msr_read(&crash, cases[i].msr, RIP, &value),
				 cases[i].read);
		assert_int_equal(value, cases[i].value);
		assert_int_equal(msr_write(&crash, cases[i].msr, RIP, 0),
				 cases[i].write);
		/* What is written there makes no difference to a constant. */
		assert_int_equal(msr_read(&crash, cases[i].msr, RIP, &value),
				 cases[i].read);
		assert_int_equal(value, cases[i].value);
	}
	/* A row is no unknown register, be it a fault. */
	assert_string_equal(ask("msr/unknown"), "{}");
	assert_string_equal(ask("msr/policy/vmx/reads"), "6");
	assert_string_equal(ask("msr/policy/vmx/writes"), "3");
	assert_string_equal(ask("msr/policy/vmx/read"), "\"#GP\"");
	assert_string_equal(ask("msr/policy/vmx/first"), "\"0x480\"");
	assert_string_equal(ask("msr/policy/vmx/last"), "\"0x491\"");
	assert_string_equal(ask("msr/policy/svm/reads"), "6");
	assert_string_equal(ask("msr/policy/de_cfg/write"), "\"ignored\"");
	assert_string_equal(ask("msr/policy/de_cfg/value"), "\"0x2\"");
	assert_string_equal(ask("msr/policy/crash_control/write"),
			    "\"notify\"");
}

static void crash(void **state)
{
	struct msr_crash c = { 0 };
	uint64_t value;

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(msr_write(&c, HV_MSR_CRASH_P0 + i, RIP,
					   0x1000 + i), MSR_OK);
		assert_int_equal(c.reg[i], 0x1000 + i);
	}
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(msr_read(&c, HV_MSR_CRASH_P0 + i, RIP,
					  &value), MSR_OK);
		assert_int_equal(value, 0x1000 + i);
	}
	assert_int_equal(msr_write(&c, HV_MSR_CRASH_CTL, RIP,
				   HV_CRASH_NOTIFY_MESSAGE), MSR_OK);
	assert_int_equal(msr_write(&c, HV_MSR_CRASH_CTL, RIP, HV_CRASH_NOTIFY),
			 MSR_CRASHED);
	assert_int_equal(c.reg[5], HV_CRASH_NOTIFY);
}

static unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* The first access names the RIP, each is counted, one line is written. */
static void unknown(void **state)
{
	struct msr_crash c = { 0 };
	const char *said;
	uint64_t value;

	(void)state;
	capture_stderr();
	assert_int_equal(msr_read(&c, 0xdeadbeef, RIP, &value), MSR_FAULT);
	assert_int_equal(value, 0);
	assert_int_equal(msr_read(&c, 0xdeadbeef, 0x1234, &value), MSR_FAULT);
	assert_int_equal(msr_write(&c, 0xdeadbeef, 0x5678, 1), MSR_FAULT);
	said = captured_stderr();
	assert_int_equal(lines(said), 1);
	assert_non_null(strstr(said, "0xdeadbeef"));
	assert_non_null(strstr(said, "0xffffffff81000010"));
	assert_string_equal(ask("msr/unknown/0xdeadbeef"),
			    "{\"rip\":\"0xffffffff81000010\",\"reads\":2,"
			    "\"writes\":1}");
	assert_string_equal(ask("msr/unknown_more"), "0");
}

/* Register 0 is one like any other. */
static void unknown_zero(void **state)
{
	struct msr_crash c = { 0 };
	const char *said;

	(void)state;
	capture_stderr();
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(msr_write(&c, 0, RIP, 0), MSR_FAULT);
	said = captured_stderr();
	assert_int_equal(lines(said), 1);
	assert_string_equal(ask("msr/unknown/0x0"),
			    "{\"rip\":\"0xffffffff81000010\",\"reads\":0,"
			    "\"writes\":100}");
}

/* More than the note holds: counted, said once, and what is noted stays. */
static void many_unknown(void **state)
{
	struct msr_crash c = { 0 };
	const char *said;
	uint64_t value;

	(void)state;
	capture_stderr();
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(msr_read(&c, 0x10000 + i, i, &value),
				 MSR_FAULT);
	assert_int_equal(msr_write(&c, 0x10000, 9, 0), MSR_FAULT);
	said = captured_stderr();
	assert_int_equal(lines(said), 30 + 1);
	assert_string_equal(ask("msr/unknown_more"), "70");
	assert_string_equal(ask("msr/unknown/0x10000"),
			    "{\"rip\":\"0\",\"reads\":1,\"writes\":1}");
	assert_non_null(ask("msr/unknown/0x1001d"));
	assert_null(ask("msr/unknown/0x1001e"));
	inspect_list_check("msr", NULL);
	inspect_list_complete("msr/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(crash),
		cmocka_unit_test(unknown),
		cmocka_unit_test(unknown_zero),
		cmocka_unit_test(many_unknown),
	};

	inspect_register(&entry);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
