/* SPDX-License-Identifier: MIT */
/*
 * Reading a black box (blackbox_reg.h) that vmm or another host has written to
 * a file. Nothing in it is believed: it may have been damaged by what ended
 * VTL2, or come from anybody.
 *
 * A view refers to the caller's bytes and allocates nothing. One thread.
 */
#ifndef PVCTL_BLACKBOX_H
#define PVCTL_BLACKBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <blackbox_reg.h>

/*
 * `blackbox FILE [--json] [-n N]`, argv[0] being the command's name, `json' what
 * was said before it. What it finds goes to stdout. Status as pvctl's: 0; 1 no
 * black box, or the file cannot be read, after one line on stderr; 2 usage,
 * likewise.
 */
int pvctl_blackbox(int argc, char **argv, bool json);

struct blackbox_view {
	const uint8_t *bytes;
	size_t size;
	uint64_t gpa;
	/* So many ticks of the TSC take so many ns; 0: not known. */
	uint64_t rate_ticks, rate_ns;
};

/* Items of one section; nr 0: there is none of this kind. */
struct blackbox_items {
	const uint8_t *at;
	uint32_t nr, stride;
};

/* A ring's record or a failure's text, in place. */
struct blackbox_entry {
	uint64_t number, ns;
	uint16_t kind, vp;
	uint32_t bytes; /* as it was */
	uint32_t len;	/* of what is there */
	const uint8_t *data;
};

/* A zone's text, oldest part first; either may be empty. */
struct blackbox_text {
	const char *part[2];
	size_t len[2];
};

/* A VP's exits: those from `oldest` to `newest` may be there. */
struct blackbox_trace {
	uint64_t oldest, newest, begun;
	uint64_t tsc, ns;
	uint64_t spent[BLACKBOX_REASONS]; /* ns; 0 without a rate */
	const uint8_t *record;
	uint32_t slots;
};

struct blackbox_exit_view {
	uint64_t number;
	uint64_t tsc;
	uint64_t time, took; /* ns; 0: not known, or under way */
	uint64_t rip, qualifier, value;
	uint32_t reason, access;
};

struct blackbox_failure_view {
	uint64_t ns, address;
	uint32_t signal, code, thread;
	bool written; /* else its writer did not get to the end */
	uint64_t registers[BLACKBOX_REGISTERS];
	uint32_t stack_words;
	uint64_t stack[BLACKBOX_STACK_WORDS];
	uint32_t bytes, len;
	const char *text;
};

/* 0, or -EINVAL with the reason in *why. */
int blackbox_view_open(struct blackbox_view *v, const void *bytes, size_t size,
		       const char **why);
struct blackbox_items blackbox_view_items(const struct blackbox_view *v,
					  enum blackbox_kind kind);

/* The newest record's number; 0: there is none. */
uint64_t blackbox_view_newest(struct blackbox_items ring);
/* False: not there, not any more, or being written. */
bool blackbox_view_entry(struct blackbox_items ring, uint64_t number,
			 struct blackbox_entry *out);

/* False: nothing was written there. */
bool blackbox_view_zone(struct blackbox_items zones, uint32_t n,
			struct blackbox_text *out);
bool blackbox_view_failure(struct blackbox_items failures, uint32_t kind,
			   struct blackbox_failure_view *out);
/* At most 15 characters and a NUL. */
void blackbox_view_name(struct blackbox_items names, uint32_t n,
			char out[BLACKBOX_NAME_SIZE]);

bool blackbox_view_trace(const struct blackbox_view *v,
			 struct blackbox_items rings, uint32_t vp,
			 struct blackbox_trace *out);
bool blackbox_view_exit(const struct blackbox_view *v,
			const struct blackbox_trace *trace, uint64_t number,
			struct blackbox_exit_view *out);

/* The whole of it, with the last `exits` exits of each VP. */
void blackbox_print_text(const struct blackbox_view *v, unsigned int exits,
			 FILE *out);
void blackbox_print_json(const struct blackbox_view *v, unsigned int exits,
			 FILE *out);

/* Of a channel message, or NULL. */
const char *blackbox_message_name(uint32_t type);
const char *blackbox_access_name(uint32_t access);
const char *blackbox_level_name(uint16_t level);

#endif
