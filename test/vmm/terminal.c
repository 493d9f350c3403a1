// SPDX-License-Identifier: MIT
/*
 * Terminal, theory of operation
 *
 * There is one stdin, so there is one state, in static variables that a signal
 * handler may read: tcsetattr() is async-signal-safe. The handler restores and
 * lets the signal do what it would have done.
 */
#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"

static volatile sig_atomic_t held;
static int terminal = -1;
static struct termios before;

static const int deadly_signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE,
				      SIGILL };
#define NR_DEADLY (sizeof(deadly_signals) / sizeof(deadly_signals[0]))

void terminal_restore(void)
{
	if (held)
		tcsetattr(terminal, TCSANOW, &before);
	held = 0;
}

static void die_restored(int signal_number)
{
	terminal_restore();
	/* SA_RESETHAND has put the default action back. */
	raise(signal_number);
}

bool terminal_hold(int fd)
{
	struct sigaction action = { .sa_handler = die_restored,
				    .sa_flags = SA_RESETHAND };

	if (!isatty(fd) || tcgetpgrp(fd) != getpgrp() ||
	    tcgetattr(fd, &before) < 0)
		return false;
	terminal = fd;
	held = 1;
	for (size_t i = 0; i < NR_DEADLY; i++)
		sigaction(deadly_signals[i], &action, NULL);
	return true;
}

void terminal_cooked(void)
{
	if (held)
		tcsetattr(terminal, TCSANOW, &before);
}

void terminal_raw(void)
{
	struct termios raw = before;

	cfmakeraw(&raw);
	/* Our own lines on stderr end with a bare newline. */
	raw.c_oflag |= OPOST;
	if (held)
		tcsetattr(terminal, TCSANOW, &raw);
}
