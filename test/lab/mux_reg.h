/* SPDX-License-Identifier: MIT */
/*
 * Frames between the lab's front (outside) and its agent (inside).
 *
 * Each frame is a header and `length` bytes of payload. A run is one VMM
 * command; it owns three streams, run * 4 + {0 stdin, 1 stdout, 2 stderr}.
 * A connection to a socket that a VMM made inside is one stream, numbered by
 * the front from MUX_CONNECTIONS upwards.
 */
#ifndef MUX_REG_H
#define MUX_REG_H

#include "le.h"

#define MUX_VERSION 1
#define MUX_PAYLOAD_MAX 0xf000u
#define MUX_WINDOW (64u * 1024)       /* credit of a new stream, bytes */
#define MUX_CONNECTIONS 0x80000000u   /* first stream of a connection */
#define MUX_RUN_MAX (MUX_CONNECTIONS / 4 - 1)

enum mux_type {
	MUX_HELLO = 1,   /* agent: payload le32 MUX_VERSION */
	MUX_RUN = 2,     /* front: id = run, payload struct mux_run */
	MUX_EXIT = 3,    /* agent: id = run, payload le32 status */
	MUX_SIGNAL = 4,  /* front: id = run, payload le32 signal number */
	MUX_RESIZE = 5,  /* front: id = run, payload struct mux_size */
	MUX_DATA = 6,    /* both: id = stream */
	MUX_EOF = 7,     /* both: id = stream, no more data from the sender */
	MUX_CLOSED = 8,  /* both: id = stream, the sender reads no more */
	MUX_CREDIT = 9,  /* both: id = stream, payload le32 bytes consumed */
	MUX_LISTEN = 10, /* agent: id = listener, payload path */
	MUX_GONE = 11,   /* agent: id = listener */
	MUX_CONNECT = 12,/* front: id = stream, payload le32 listener */
};

struct mux_header {
	le32 id;
	le16 type;
	le16 length;
} __packed;
_Static_assert(sizeof(struct mux_header) == 8, "mux_header");

struct mux_size {
	le16 rows;
	le16 columns;
} __packed;
_Static_assert(sizeof(struct mux_size) == 4, "mux_size");

#define MUX_RUN_TTY(n) (1u << (n)) /* descriptor n is a terminal */

/*
 * Followed by NUL-terminated strings: working directory, `environment`
 * strings NAME=VALUE, `arguments` strings, the first one being the program.
 */
struct mux_run {
	le32 tty;
	struct mux_size size;
	le32 timeout_s; /* 0: none */
	le16 environment;
	le16 arguments;
} __packed;
_Static_assert(sizeof(struct mux_run) == 16, "mux_run");

#endif
