/* SPDX-License-Identifier: MIT */
/*
 * Settings that the host sends over the guest emulation transport, put
 * together from the pieces in which they come (get_reg.h).
 */
#ifndef GET_SETTINGS_H
#define GET_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <get_reg.h>

struct get_settings {
	char *text; /* NULL: nothing came yet; else room for all there may be */
	size_t len;
	const char *wrong; /* the first rule that a piece broke, or NULL */
};

/*
 * Takes one message, header included, of id GET_MODIFY_SETTINGS or
 * GET_MODIFY_SETTINGS_REV1. True: it was the last of its sequence; `wrong`
 * tells what became of it, and get_settings_clear() comes before the next one.
 * A sequence that went wrong is taken to its end.
 */
bool get_settings_piece(struct get_settings *s, uint16_t id,
			const void *message, size_t size);

void get_settings_clear(struct get_settings *s);

#endif
