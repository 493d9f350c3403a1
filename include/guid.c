/* SPDX-License-Identifier: MIT */
/*
 * GUIDs, theory of operation
 *
 * The text form is five groups of hex digits. Each pair of digits stands for
 * one byte; the first three groups are integers, so their bytes are stored in
 * reverse. One table gives, for each byte in memory, where its pair of digits
 * is in the text: printing and parsing walk the same table.
 */
#include <errno.h>

#include "guid.h"

#define GUID_TEXT_LENGTH (GUID_TEXT_SIZE - 1)

static const uint8_t text_position[sizeof(struct guid)] = {
	6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34,
};
static const uint8_t dash_position[] = { 8, 13, 18, 23 };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

const char *guid_print(const struct guid *guid, char text[GUID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < sizeof(dash_position); i++)
		text[dash_position[i]] = '-';
	for (unsigned int i = 0; i < sizeof(guid->b); i++) {
		text[text_position[i]] = digits[guid->b[i] >> 4];
		text[text_position[i] + 1] = digits[guid->b[i] & 15];
	}
	text[GUID_TEXT_LENGTH] = '\0';
	return text;
}

int guid_parse(const char *text, struct guid *guid)
{
	struct guid parsed;

	if (strnlen(text, GUID_TEXT_SIZE) != GUID_TEXT_LENGTH)
		return -EINVAL;
	for (unsigned int i = 0; i < sizeof(dash_position); i++)
		if (text[dash_position[i]] != '-')
			return -EINVAL;
	for (unsigned int i = 0; i < sizeof(parsed.b); i++) {
		int high = hex_digit(text[text_position[i]]);
		int low = hex_digit(text[text_position[i] + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		parsed.b[i] = high << 4 | low;
	}
	*guid = parsed;
	return 0;
}
