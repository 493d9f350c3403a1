/* SPDX-License-Identifier: MIT */
/* SOURCES: include/guid.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guid.h"

/* The network class of VMBus, in text and as it is on the wire. */
static const char net_text[] = "f8615163-df3e-46c5-913f-f2d2f965ed0e";
static const uint8_t net_wire[16] = { 0x63, 0x51, 0x61, 0xf8, 0x3e, 0xdf,
				      0xc5, 0x46, 0x91, 0x3f, 0xf2, 0xd2,
				      0xf9, 0x65, 0xed, 0x0e };

static void text_and_wire_agree(void **state)
{
	char text[GUID_TEXT_SIZE];
	struct guid guid;

	(void)state;
	assert_int_equal(guid_parse(net_text, &guid), 0);
	assert_memory_equal(guid.b, net_wire, sizeof(net_wire));
	assert_ptr_equal(guid_print(&guid, text), text);
	assert_string_equal(text, net_text);
}

static void initialiser_is_in_the_order_of_the_text(void **state)
{
	static const struct guid guid =
		GUID_INIT(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2,
			  0xf9, 0x65, 0xed, 0x0e);

	(void)state;
	assert_memory_equal(guid.b, net_wire, sizeof(net_wire));
}

static void upper_case_is_read_and_lower_case_written(void **state)
{
	char text[GUID_TEXT_SIZE];
	struct guid guid, upper;

	(void)state;
	assert_int_equal(guid_parse(net_text, &guid), 0);
	assert_int_equal(guid_parse("F8615163-DF3E-46C5-913F-F2D2F965ED0E",
				    &upper), 0);
	assert_true(guid_equal(&guid, &upper));
	assert_string_equal(guid_print(&upper, text), net_text);
}

static void what_is_no_guid_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"f8615163",
		"f8615163-df3e-46c5-913f-f2d2f965ed0",   /* too short */
		"f8615163-df3e-46c5-913f-f2d2f965ed0ee", /* too long */
		"f8615163-df3e-46c5-913f-f2d2f965ed0g",
		"f8615163-df3e-46c5-913ff-2d2f965ed0e", /* dash moved */
		"f8615163xdf3e-46c5-913f-f2d2f965ed0e",
		"{8615163-df3e-46c5-913f-f2d2f965ed0}",
		"f8615163-df3e-46c5-913f- 2d2f965ed0e",
		"f86151-3-df3e-46c5-913f-f2d2f965ed0e",
	};
	struct guid guid, before;

	(void)state;
	memset(&before, 0xa5, sizeof(before));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		guid = before;
		assert_int_equal(guid_parse(bad[i], &guid), -EINVAL);
		assert_true(guid_equal(&guid, &before));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_wire_agree),
		cmocka_unit_test(initialiser_is_in_the_order_of_the_text),
		cmocka_unit_test(upper_case_is_read_and_lower_case_written),
		cmocka_unit_test(what_is_no_guid_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
