/* SPDX-License-Identifier: MIT */
/*
 * The console of --console: commands (commands.h) as words on a terminal, with
 * line editing and history by libedit, and their answers as text. If stdin is
 * no terminal, lines are read as they come, and there is no prompt.
 *
 *	vmm> kvp-get OSName
 *	value: Debian GNU/Linux
 *	vmm> v 9980			bytes to and from the guest; Ctrl-] ends
 *
 * Words are split at blanks; quotes work as in a shell. The end of input ends
 * the console, and nothing else.
 */
#ifndef VMM_COMMAND_CONSOLE_H
#define VMM_COMMAND_CONSOLE_H

#include <stdio.h>

#include <pv/reactor.h>

#include "commands.h"

struct command_console;

/* Reads from now on, in a thread of its own; commands run on the loop's. NULL
 * after one line on stderr. All pointers outlive it. */
struct command_console *command_console_start(FILE *in, FILE *out,
				const struct command_target *target,
				struct reactor *loop);

/* Ends it and gives the terminal back, whatever it waits for. After loop_run()
 * has returned: nobody answers a request after that. NULL is harmless. */
void command_console_stop(struct command_console *console);

#endif
