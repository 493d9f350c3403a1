/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/blackbox.c */
/* The file of the black box: whole under its name, or not there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/stderr_capture.h"
#include "test/vmm/blackbox.h"

static char dir[] = "/tmp/blackbox-test-XXXXXX";
static char path[64], part[64];

static void written(void **state)
{
	static const char bytes[] = "BLACKBOX of this machine";
	char found[64] = "";
	FILE *f = fopen(path, "w");
	struct blackbox_file *b;

	(void)state;
	fputs("an older one, and a longer one than the new", f);
	fclose(f);
	b = blackbox_file_open(path);
	assert_non_null(b);
	assert_int_equal(access(part, F_OK), 0);
	assert_int_equal(blackbox_file_end(b, bytes, sizeof(bytes)), 0);
	assert_int_equal(access(part, F_OK), -1);
	f = fopen(path, "r");
	assert_int_equal(fread(found, 1, sizeof(found), f), sizeof(bytes));
	assert_memory_equal(found, bytes, sizeof(bytes));
	fclose(f);
	unlink(path);
}

/* The machine was never built. */
static void nothing(void **state)
{
	struct blackbox_file *b = blackbox_file_open(path);

	(void)state;
	assert_int_equal(blackbox_file_end(b, NULL, 4096), 0);
	assert_int_equal(access(part, F_OK), -1);
	assert_int_equal(access(path, F_OK), -1);
}

static void refused(void **state)
{
	struct blackbox_file *b;
	const char *said;

	(void)state;
	capture_stderr();
	assert_null(blackbox_file_open("/nowhere/at/all"));
	said = captured_stderr();
	assert_string_equal(said, "vmm: --blackbox /nowhere/at/all: No such "
			    "file or directory\n");
	capture_stderr();
	b = blackbox_file_open(path);
	unlink(part); /* so that it cannot be renamed */
	assert_int_equal(blackbox_file_end(b, "x", 1), -ENOENT);
	assert_non_null(strstr(captured_stderr(), "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written),
		cmocka_unit_test(nothing),
		cmocka_unit_test(refused),
	};
	int failed;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/box", dir);
	snprintf(part, sizeof(part), "%s/box.part", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
