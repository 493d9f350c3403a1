/* SPDX-License-Identifier: MIT */
/*
 * The console: this process's stdin and stdout, shared by serial ports.
 *
 * Output of all ports goes to stdout as it comes. Input goes to one of them,
 * the first that was added, until the user chooses another. If stdin is a
 * terminal and vmm is in its foreground, the terminal is put into raw mode,
 * restored however vmm ends, and Ctrl-A starts a command:
 *
 *	Ctrl-A x   quit               Ctrl-A c   next port
 *	Ctrl-A a   send a Ctrl-A
 *
 * From anything else than a terminal, every byte is passed on as it is.
 */
#ifndef VMM_SERIAL_CONSOLE_H
#define VMM_SERIAL_CONSOLE_H

#include "serial_back.h"

#define CONSOLE_MAX_PORTS 4

/* Adds a port; -ENOSPC beyond CONSOLE_MAX_PORTS. Before console_start(). */
int console_add(struct serial_back *back);

/* Begins to read if a port was added. `quit` runs on the loop's thread. */
void console_start(struct reactor *loop, void (*quit)(void *opaque),
		   void *opaque);

/* Restores the terminal. After loop_run() has returned; harmless without a
 * console_start(). */
void console_stop(void);

/* A port that took nothing has room again. Any thread. */
void console_room(void);

#endif
