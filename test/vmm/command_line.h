/* SPDX-License-Identifier: MIT */
/*
 * Commands as people type and read them: words instead of JSON.
 *
 *	kvp-get OSName		{"key":"OSName"}
 *	{"value":"Debian"}	value: Debian
 *
 * Threads: any; no state.
 */
#ifndef VMM_COMMAND_LINE_H
#define VMM_COMMAND_LINE_H

#include <stdbool.h>
#include <stdio.h>

#include "commands.h"

struct command_line {
	const struct command *command;
	char *args;	 /* JSON; freed by command_line_free() */
	char wrong[256]; /* one line that names what is */
};

/* Reads a command and its arguments; `words` is 1 or more. False: line->wrong
 * says why. A file of settings is read here. Free it in both cases. */
bool command_line_read(struct command_line *line, int words,
		       const char *const word[]);
void command_line_free(struct command_line *line);

/* Writes an answer, which is JSON, as lines of text. */
void command_print_answer(const char *ok, FILE *out);

#endif
