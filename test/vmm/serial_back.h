/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a serial port go on the host, and come from.
 *
 *	none            nothing is kept, nothing comes
 *	stderr          output only
 *	console, term   stdout and stdin, see serial_console.h
 *	file=P          output only; P is created or emptied
 *	listen=PATH     a Unix stream socket, one client at a time
 *	listen=tcp:IP:PORT   the same over TCP; IPv6 as tcp:[IP]:PORT
 *
 * Output is kept in a ring of SERIAL_RING_SIZE bytes. A client that reads
 * slowly holds the guest back and loses nothing. While nobody is connected the
 * newest SERIAL_RING_SIZE bytes are kept for the next client and what they
 * push out is counted.
 */
#ifndef VMM_SERIAL_BACK_H
#define VMM_SERIAL_BACK_H

#include <stdio.h>
#include <sys/socket.h>

#include <pv/reactor.h>
#include <pv/tty.h>

#define SERIAL_RING_SIZE (256u << 10)

enum serial_kind {
	SERIAL_NONE,
	SERIAL_STDERR,
	SERIAL_CONSOLE,
	SERIAL_FILE,
	SERIAL_UNIX,
	SERIAL_TCP,
};

/* What an option says. */
struct serial_spec {
	enum serial_kind kind;
	const char *text; /* of the option, for messages; never NULL */
	const char *path; /* SERIAL_FILE, SERIAL_UNIX: part of the text */
	struct sockaddr_storage address; /* SERIAL_TCP */
	socklen_t address_len;
};

/* Parses the text of an option. Returns NULL, or the rule that it breaks
 * (static text), with *spec untouched. Opens nothing. */
const char *serial_spec_parse(const char *text, struct serial_spec *spec);

struct serial_back;

/*
 * Opens the back-end. `name` (static or longer-lived) is used in messages and
 * counters. NULL after one line on stderr when the file or the address cannot
 * be had. Before loop_run(); nothing moves until the loop runs.
 */
struct serial_back *serial_back_open(const char *name,
				     const struct serial_spec *spec,
				     struct reactor *loop);

/* After loop_run() has returned: writes what is left, for at most a second. */
void serial_back_drain(struct serial_back *back);

/* After loop_run() has returned: drains, tells what nobody took, and frees
 * everything. */
void serial_back_close(struct serial_back *back);

/* The stream. Every call on it is made between lock and unlock; the back's
 * own calls of front->room() and front->readable() are made under the lock. */
struct tty *serial_back_tty(struct serial_back *back);
void serial_back_lock(struct serial_back *back);
void serial_back_unlock(struct serial_back *back);

/* Bytes for the guest; returns how many were taken. Loop's thread, without
 * the lock. For the console, which shares one stdin among ports. */
size_t serial_back_input(struct serial_back *back, const uint8_t *data,
			 size_t len);
const char *serial_back_name(const struct serial_back *back);

/* Counters as a JSON object. Any thread. */
void serial_back_print_stats(struct serial_back *back, FILE *out);

#endif
