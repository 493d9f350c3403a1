/* SPDX-License-Identifier: MIT */
/*
 * The terminal on stdin: its settings come back however the process ends.
 *
 * Whoever changes them (serial_console.c, console.c; never both) calls
 * terminal_hold() first, and ends with terminal_restore().
 *
 * Threads: any, one user.
 */
#ifndef VMM_TERMINAL_H
#define VMM_TERMINAL_H

#include <stdbool.h>

/* Remembers the settings, also for the signals that end a process by its own
 * fault. False: `fd` is no terminal, or not ours while we are in the
 * background, when to touch it is to be stopped. */
bool terminal_hold(int fd);

/* Between hold and restore: every byte as it is typed, without echo; what we
 * write still has a return before each newline. */
void terminal_raw(void);

/* As before terminal_raw(); still held. */
void terminal_cooked(void);

/* As they were at terminal_hold(). Harmless without it. Async-signal-safe. */
void terminal_restore(void);

#endif
