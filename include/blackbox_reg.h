/* SPDX-License-Identifier: MIT */
/*
 * The black box: a range of VTL2's memory that is neither the kernel's RAM nor
 * cleared by anybody, and so outlives VTL2. The host reads it when VTL2 is no
 * more, or while it runs.
 *
 *	igvm-build	places the range at the end of the image's RAM and fills
 *			in its first page: the header with the table of
 *			sections. The rest begins as zeros.
 *	boot shim	keeps the range out of the E820 map's RAM and says where
 *			it is: "black-box" in /paravisor (vtl0_reg.h) for the
 *			daemon, /reserved-memory/ramoops@A for the kernel
 *	kernel		writes the RAMOOPS sections (its own format)
 *	daemon		writes all others, in place
 *	host		finds the range by its first page: among the PAGE_DATA of
 *			the image, or at a multiple of BLACKBOX_ALIGN of VTL2's
 *			RAM. It begins with the magic and holds its own address.
 *			It copies the range as it is: that is the file.
 *
 * Every writer may die between any two stores, and what lies there may have
 * been damaged by whatever ended VTL2. So nothing here is a promise to the
 * reader: it bounds every offset, length and number, and believes a record by
 * its sequence number only.
 *
 * All numbers are little-endian. Times are CLOCK_MONOTONIC of VTL2 in ns, or
 * ticks of its TSC; most records hold both, which gives the rate.
 */
#ifndef BLACKBOX_REG_H
#define BLACKBOX_REG_H

#include "le.h"

#define BLACKBOX_MAGIC 0x584f424b43414c42ull /* "BLACKBOX" */
#define BLACKBOX_VERSION 1u
#define BLACKBOX_ALIGN (2u << 20) /* of its address and size */
#define BLACKBOX_MAX_SIZE (16u << 20)
#define BLACKBOX_MAX_SECTIONS 16u
#define BLACKBOX_PAGE 4096u

enum blackbox_kind {
	BLACKBOX_NONE, /* an entry that is not used */
	/* Linux's ramoops: the log at an oops, oldest first (one zone each),
	 * and what went to the console, the text of a panic included. Of a
	 * panic without an oops there is no dump: Linux tells the host first,
	 * by the crash registers, and that is where VTL2 ends. */
	BLACKBOX_RAMOOPS_DUMP,
	BLACKBOX_RAMOOPS_CONSOLE,
	/* struct blackbox_failure, by enum blackbox_failure_kind. */
	BLACKBOX_FAILURE,
	/* struct blackbox_record each; record n is in slot n % slots. */
	BLACKBOX_LOG,	/* lines of the daemon's log */
	BLACKBOX_VMBUS, /* messages between VTL0 and its VMBus server */
	/* BLACKBOX_NAME_SIZE bytes each, NUL-padded: what a number in
	 * blackbox_exit.reason means. */
	BLACKBOX_NAMES,
	/* struct blackbox_exits and its records, one ring per VP. */
	BLACKBOX_EXITS,
};

/* bytes / stride items of `stride` bytes, `offset` from the header. */
struct blackbox_section {
	le32 kind;
	le32 offset;
	le32 bytes;
	le32 stride;
} __packed;
_Static_assert(sizeof(struct blackbox_section) == 16, "blackbox_section");

struct blackbox_header {
	le64 magic;
	le32 version;
	le32 nr_sections;
	le64 gpa;
	le64 size;
	struct blackbox_section section[BLACKBOX_MAX_SECTIONS];
} __packed;
_Static_assert(sizeof(struct blackbox_header) == 288, "blackbox_header");

/* ---- rings of records ---- */

/* Sequence numbers count from 1; 0: none, or being written. The rest of the
 * stride is data, of which min(bytes, room) are there. */
struct blackbox_record {
	le64 sequence;
	le64 tsc;
	le64 ns;
	le16 kind; /* of a line: enum log_level; of a message: see below */
	le16 vp;   /* of a message */
	le32 bytes; /* before it was cut */
} __packed;
_Static_assert(sizeof(struct blackbox_record) == 32, "blackbox_record");

enum blackbox_direction { BLACKBOX_FROM_GUEST, BLACKBOX_TO_GUEST };

#define BLACKBOX_MESSAGE_MAX 64u
#define BLACKBOX_VMBUS_STRIDE (32u + BLACKBOX_MESSAGE_MAX)
#define BLACKBOX_LOG_STRIDE 256u

/* ---- failures: the first of each kind stays ---- */

enum blackbox_failure_kind {
	BLACKBOX_FIRST_ERROR, /* line of the log, level error */
	BLACKBOX_FIRST_SIGNAL, /* that ended the daemon */
	BLACKBOX_FAILURES,
};

enum blackbox_failure_state {
	BLACKBOX_EMPTY, BLACKBOX_WRITING, BLACKBOX_WRITTEN,
};

#define BLACKBOX_REGISTERS 18u
/* In this order. */
#define BLACKBOX_REGISTER_NAMES \
	"rip", "rsp", "rflags", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", \
	"rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
#define BLACKBOX_STACK_WORDS 64u
#define BLACKBOX_FAILURE_STRIDE 1024u

struct blackbox_failure {
	le32 state;
	le32 signal;
	le32 code; /* si_code */
	le32 thread;
	le64 tsc;
	le64 ns;
	le64 address; /* si_addr */
	le64 registers[BLACKBOX_REGISTERS];
	le32 stack_words; /* from rsp up */
	le32 bytes; /* of text */
	union {
		uint8_t text[BLACKBOX_LOG_STRIDE]; /* the line */
		le64 stack[BLACKBOX_STACK_WORDS];
	};
} __packed;
_Static_assert(sizeof(struct blackbox_failure) == 704, "blackbox_failure");

/* ---- exits: what paravisor/trace.h writes ---- */

#define BLACKBOX_REASONS 16u
#define BLACKBOX_NAME_SIZE 16u

struct blackbox_exit {
	le64 tsc;
	le64 rip;
	le64 qualifier, value;
	le64 ticks; /* to the answer; 0: under way */
	le32 reason, access;
} __packed;
_Static_assert(sizeof(struct blackbox_exit) == 48, "blackbox_exit");

/* Record n, from 1, is in slot n % slots, as long as begun < n + slots and
 * n <= published; the slots fill the stride, up to BLACKBOX_EXIT_SLOTS. */
struct blackbox_exits {
	le64 begun, published;
	le64 tsc, ns; /* when the ring was made; 0: it was not */
	le64 spent[BLACKBOX_REASONS];
} __packed;
_Static_assert(sizeof(struct blackbox_exits) == 160, "blackbox_exits");

#define BLACKBOX_EXIT_SLOTS 1024u
/* Whole cache lines: each VP writes its own. */
#define BLACKBOX_EXITS_STRIDE 49344u

/* ---- Linux's ramoops ---- */

/* A zone (Linux, fs/pstore/ram_core.c): a ring of text, whose oldest byte is
 * at `start` once it is full. A dump begins with "====", a time and a line's
 * end. Documentation/admin-guide/ramoops.rst. */
#define RAMOOPS_ZONE_MAGIC 0x43474244u /* "DBGC" */

struct ramoops_zone {
	le32 magic;
	le32 start;
	le32 size;
} __packed;
_Static_assert(sizeof(struct ramoops_zone) == 12, "ramoops_zone");

#define RAMOOPS_DUMPS 2u /* an oops, and the panic it ends in */
#define RAMOOPS_DUMP_SIZE (128u << 10)    /* powers of two, all zones */
#define RAMOOPS_CONSOLE_SIZE (128u << 10)
#define RAMOOPS_SIZE \
	(RAMOOPS_DUMPS * RAMOOPS_DUMP_SIZE + RAMOOPS_CONSOLE_SIZE)

#endif
