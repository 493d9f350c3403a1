/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/main_settings.c paravisor/settings.c paravisor/settings_json.c paravisor/settings_storage.c paravisor/settings_nics.c paravisor/log.c include/guid.c */
/*
 * A change of the settings as a whole: who is asked in which order, and what is
 * done when one of them says no, or not yet. Storage and NICs are this file's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/main_settings.h"
#include "stderr_capture.h"

static char order[64];
static int prepared, stored, committed, serial;

/* One step, in the order of the calls; its result, with a line of its own. */
static int step(const char *name, int result, char *text)
{
	strcat(order, name);
	if (result)
		strcpy(text, name);
	return result;
}

static char *text_of_change;

int nics_prepare(struct nics *nics, const struct settings *settings,
		 char *error, struct nics_change **change)
{
	(void)nics;
	(void)settings;
	text_of_change = error;
	*change = (struct nics_change *)order;
	return step("prepare ", prepared, error);
}

int nics_commit(struct nics_change *change)
{
	assert_ptr_equal(change, order);
	return step("commit ", committed, text_of_change);
}

void nics_abandon(struct nics_change *change)
{
	assert_ptr_equal(change, order);
	step("abandon ", 0, NULL);
}

int storage_apply(struct storage *storage, const struct settings *settings,
		  char *error)
{
	(void)storage;
	(void)settings;
	return step("storage ", stored, error);
}

static void take_serial(void *opaque, const struct settings *settings)
{
	assert_ptr_equal(opaque, &serial);
	serial += settings->com[0].transmit_only;
}

static char text[SETTINGS_ERROR_SIZE];

static struct settings start;

static int change_to(const char *json)
{
	const struct main_settings_users users = {
		.start = &start, .serial = take_serial, .opaque = &serial,
	};

	*order = *text = '\0';
	serial = 0;
	return main_settings_change(&users, json, strlen(json), text);
}

static int change(int prepare, int store, int commit)
{
	prepared = prepare;
	stored = store;
	committed = commit;
	return change_to("{\"version\":1,\"serial\":{\"com1\":"
			 "{\"transmit_only\":true}},"
			 "\"log\":{\"storvsp\":\"debug\"}}");
}

/* Did the log take its level? Forgets it. */
static int log_taken(void)
{
	char filter[200];

	log_get_filter(filter, sizeof(filter));
	log_set_level("storvsp", LOG_INFO);
	return strstr(filter, "storvsp=debug") != NULL;
}

static void all_of_it(void **state)
{
	(void)state;
	assert_int_equal(change(0, 0, 0), 0);
	assert_string_equal(order, "prepare storage commit ");
	assert_int_equal(serial, 1);
	assert_true(log_taken());
}

static void nothing_of_it(void **state)
{
	(void)state;
	assert_int_equal(change_to("{\"version\":2}"), -EINVAL);
	assert_string_equal(order, "");
	assert_non_null(strstr(text, "/version"));
	assert_int_equal(change(-ENODEV, 0, 0), -ENODEV);
	assert_string_equal(order, "prepare ");
	assert_string_equal(text, "prepare ");
	assert_int_equal(change(0, -ENODEV, 0), -ENODEV);
	assert_string_equal(order, "prepare storage abandon ");
	assert_string_equal(text, "storage ");
	assert_int_equal(serial, 0);
	assert_false(log_taken());
}

/* What comes later comes by itself: all the rest holds now. */
static void later_is_no_refusal(void **state)
{
	(void)state;
	assert_int_equal(change(0, -EINPROGRESS, 0), -EINPROGRESS);
	assert_string_equal(order, "prepare storage commit ");
	assert_string_equal(text, "storage ");
	assert_int_equal(serial, 1);
	assert_true(log_taken());
	assert_int_equal(change(0, 0, -EINPROGRESS), -EINPROGRESS);
	assert_string_equal(text, "commit ");
	assert_int_equal(serial, 1);
	assert_true(log_taken());
}

#define ID_A "aaaaaaaa-2222-3333-4444-555555555555"
#define ID_B "bbbbbbbb-2222-3333-4444-555555555555"
#define RULE(id, action) "{\"instance\":\"" id "\",\"action\":\"" action "\"}"
#define MACHINE(id) "{\"version\":1,\"machine_id\":\"" id "\"}"
#define FILTER(rules) "{\"version\":1,\"vmbus\":{\"filter\":[" rules "]}}"

static void start_with(const char *json)
{
	assert_int_equal(settings_parse(json, strlen(json), &start, NULL), 0);
}

static void refused(const char *json, const char *pointer)
{
	assert_int_equal(change_to(json), -EBUSY);
	assert_string_equal(order, "");
	assert_int_equal(strncmp(text, pointer, strlen(pointer)), 0);
	assert_non_null(strstr(text, "start"));
}

/* What is only looked at when VTL2 starts is not taken and not done. */
static void what_cannot_change(void **state)
{
	(void)state;
	prepared = stored = committed = 0;
	start_with("{\"version\":1}");
	refused(MACHINE(ID_A), "/machine_id: ");
	refused(FILTER(RULE(ID_A, "hide")), "/vmbus/filter: ");
	start_with(MACHINE(ID_A));
	refused(MACHINE(ID_B), "/machine_id: ");
	refused("{\"version\":1}", "/machine_id: ");
	assert_int_equal(change_to(MACHINE(ID_A)), 0);
	start_with(FILTER(RULE(ID_A, "hide") "," RULE(ID_B, "intercept")));
	refused(FILTER(RULE(ID_A, "hide")), "/vmbus/filter: ");
	refused(FILTER(RULE(ID_A, "hide") "," RULE(ID_B, "relay")),
		"/vmbus/filter: ");
	refused(FILTER(RULE(ID_A, "hide") "," RULE(ID_B, "intercept") ","
		       RULE("cccccccc-2222-3333-4444-555555555555", "hide")),
		"/vmbus/filter: ");
	/* In another order they are the same. */
	assert_int_equal(change_to(FILTER(RULE(ID_B, "intercept") ","
					  RULE(ID_A, "hide"))), 0);
	assert_string_equal(order, "prepare storage commit ");
	start_with("{\"version\":1}");
}

static int setup(void **state)
{
	(void)state;
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(later_is_no_refusal, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_change, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
