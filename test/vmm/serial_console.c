/* SPDX-License-Identifier: MIT */
/*
 * Console, theory of operation
 *
 * Owns: stdin and the choice of the port that gets the input. There is one
 * stdin, so there is one console, in static variables.
 *
 * Threads: everything runs on the loop's thread except console_room(), which
 * posts a call.
 *
 * Input that the port does not take stays in `held`, and when that is full stdin
 * is not polled until console_room(): back-pressure reaches whoever writes to
 * our stdin. It is taken out of the loop for that, since poll(2) reports that the
 * other end of a pipe is closed to who asks for nothing, too.
 *
 * Failure answers: end of input or a read error ends reading, nothing else.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>

#include "loop.h"
#include "serial_console.h"
#include "terminal.h"

LOG_MODULE("console");

#define CTRL_A 1
#define READ_SIZE 256

static struct {
	struct reactor *loop;
	struct serial_back *ports[CONSOLE_MAX_PORTS];
	unsigned int nr_ports, current;

	struct loop_fd in;
	struct reactor_call room;
	uint8_t held[READ_SIZE];
	size_t held_len;
	bool full; /* and stdin is not polled */

	bool raw;     /* a terminal, and raw: Ctrl-A is ours */
	bool escaped; /* the last byte was Ctrl-A */
	void (*quit)(void *opaque);
	void *quit_opaque;
} console;

int console_add(struct serial_back *back)
{
	if (console.nr_ports == CONSOLE_MAX_PORTS)
		return -ENOSPC;
	console.ports[console.nr_ports++] = back;
	return 0;
}

static void send_held(void)
{
	size_t n = serial_back_input(console.ports[console.current],
				     console.held, console.held_len);

	console.held_len -= n;
	memmove(console.held, console.held + n, console.held_len);
}

static void next_port(void)
{
	/* What was typed before belongs to the port that was current then. */
	send_held();
	if (console.held_len) {
		log_warn("%s has not taken its input yet",
			 serial_back_name(console.ports[console.current]));
		return;
	}
	console.current = (console.current + 1) % console.nr_ports;
	log_info("input goes to %s",
		 serial_back_name(console.ports[console.current]));
}

/* Returns the byte to send, or -1. */
static int filter_escape(uint8_t byte)
{
	if (!console.raw)
		return byte;
	if (!console.escaped) {
		console.escaped = byte == CTRL_A;
		return console.escaped ? -1 : byte;
	}
	console.escaped = false;
	switch (byte) {
	case CTRL_A:
	case 'a':
		return CTRL_A;
	case 'x':
		console.quit(console.quit_opaque);
		return -1;
	case 'c':
		next_port();
		return -1;
	default:
		log_info("Ctrl-A x quits, c is the next port, a sends Ctrl-A");
		return -1;
	}
}

static void in_ready(struct loop_fd *watch, short events)
{
	uint8_t bytes[READ_SIZE];
	ssize_t n;

	(void)events;
	n = read(watch->fd, bytes, sizeof(bytes) - console.held_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (n < 0)
			log_warn("stdin: %s", strerror(errno));
		loop_fd_remove(console.loop, watch);
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		int byte = filter_escape(bytes[i]);

		if (byte >= 0)
			console.held[console.held_len++] = byte;
	}
	send_held();
	console.full = console.held_len == sizeof(console.held);
	if (console.full)
		loop_fd_remove(console.loop, watch);
}

static void room_made(struct reactor_call *call)
{
	(void)call;
	if (!console.held_len)
		return;
	send_held();
	if (!console.full || console.held_len == sizeof(console.held))
		return;
	console.full = false;
	loop_fd_add(console.loop, &console.in);
}

void console_room(void)
{
	if (console.loop)
		reactor_post(console.loop, &console.room);
}

void console_start(struct reactor *loop, void (*quit)(void *opaque),
		   void *opaque)
{
	if (!console.nr_ports)
		return;
	console.loop = loop;
	console.quit = quit;
	console.quit_opaque = opaque;
	console.room.fn = room_made;
	console.in = (struct loop_fd){ .fn = in_ready,
				       .fd = STDIN_FILENO,
				       .events = POLLIN };
	if (isatty(STDIN_FILENO)) {
		/* In the background, to touch it is to be stopped. */
		if (!terminal_hold(STDIN_FILENO))
			return;
		terminal_raw();
		console.raw = true;
	}
	loop_fd_add(loop, &console.in);
}

void console_stop(void)
{
	if (console.raw)
		terminal_restore();
	console.raw = false;
	console.loop = NULL;
}
