// SPDX-License-Identifier: MIT
/*
 * The shim's log: lines in one buffer. In a good boot the daemon reads it as
 * property shim-log of the device tree; after a fatal error shim.c writes it
 * to COM3. A full buffer cuts what comes later: the first lines matter.
 */
#include "shim.h"

static void put(struct shim_log *log, const char *text)
{
	for (; *text && log->len < SHIM_LOG_SIZE - 1; text++)
		log->text[log->len++] = *text;
	log->text[log->len] = 0;
}

char *shim_hex(char *out, uint64_t value)
{
	int shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*out++ = "0123456789abcdef"[value >> shift & 15];
	*out = 0;
	return out;
}

void shim_log_line(struct shim_log *log, const char *text)
{
	put(log, "shim: ");
	put(log, text);
	put(log, "\n");
}

void shim_log_value(struct shim_log *log, const char *text, uint64_t value)
{
	char hex[SHIM_HEX_SIZE];

	shim_hex(hex, value);
	put(log, "shim: ");
	put(log, text);
	put(log, " 0x");
	put(log, hex);
	put(log, "\n");
}
