/* SPDX-License-Identifier: MIT */
/* SOURCES: */
/*
 * Whether completions that say where they belong are believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mana/places.h"

static struct places p;
static uint8_t mine;

static int setup(void **state)
{
	(void)state;
	p = (struct places){ 0 };
	mine = 0;
	return 0;
}

static void say(unsigned int nr, bool same)
{
	while (nr--)
		assert_true(places_good(&p, &mine, same));
}

static void sure_after_many_right_ones(void **state)
{
	(void)state;
	say(PLACES_SURE - 1, true);
	assert_false(places_sure(&p));
	say(1, true);
	assert_true(places_sure(&p));
	say(1000, true);
	assert_false(places_good(&p, &mine, false));
	assert_true(places_sure(&p)); /* of the queues that come after it */
}

static void one_wrong_while_learning_is_the_end(void **state)
{
	(void)state;
	say(PLACES_SURE - 1, true);
	say(1, false);
	say(1000, true);
	say(1000, false);
	assert_false(places_sure(&p));
}

/* Each loss breaks a queue that had been right for long: for ever. */
static void losses_are_seen_however_many(void **state)
{
	(void)state;
	say(PLACES_SURE, true);
	for (unsigned int i = 0; i < 1000; i++) {
		assert_false(places_good(&p, &mine, false));
		mine = 0; /* the next queue */
		if (i % PLACES_STRIKES == 0)
			say(PLACES_SURE, true);
	}
	assert_true(places_sure(&p));
}

/* New queues begin elsewhere: some rebuilds, though others are right. */
static void a_device_that_begins_elsewhere_is_left_alone(void **state)
{
	uint8_t other = 0;

	(void)state;
	for (unsigned int i = 0; i < PLACES_SURE; i++)
		assert_true(places_good(&p, &other, true));
	for (unsigned int i = 0; i < PLACES_STRIKES; i++) {
		mine = 0;
		assert_false(places_good(&p, &mine, false));
		for (unsigned int n = 0; n < 1000; n++)
			assert_true(places_good(&p, &other, true));
	}
	mine = 0;
	say(1000, false);
	assert_false(places_sure(&p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sure_after_many_right_ones, setup),
		cmocka_unit_test_setup(one_wrong_while_learning_is_the_end,
				       setup),
		cmocka_unit_test_setup(losses_are_seen_however_many, setup),
		cmocka_unit_test_setup(
			a_device_that_begins_elsewhere_is_left_alone, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
