/* SPDX-License-Identifier: MIT */
/*
 * Arguments of commands: each has one name, one type and one rule, whichever
 * commands take it and however it was given.
 */
#ifndef VMM_COMMAND_ARGUMENTS_H
#define VMM_COMMAND_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "request.h"

#define ARGUMENT_MAX_TEXT 4096
#define ARGUMENT_MAX_READ 4096u /* bytes of memory at once */

enum argument {
	ARGUMENT_DISK,
	ARGUMENT_NSID,
	ARGUMENT_BACK,
	ARGUMENT_SIZE,
	ARGUMENT_PATH,
	ARGUMENT_DEPTH,
	ARGUMENT_EVENT,
	ARGUMENT_OFFSET,
	ARGUMENT_KEY,
	ARGUMENT_POOL,
	ARGUMENT_GPA,
	ARGUMENT_BYTES,
	ARGUMENT_PORT,
	ARGUMENT_VTL,
	ARGUMENT_FAULT,
	ARGUMENT_ADMIN,
	ARGUMENT_OPCODE,
	ARGUMENT_LBA,
	ARGUMENT_SKIP,
	ARGUMENT_COUNT,
	ARGUMENT_DELAY_MS,
	ARGUMENT_VPORT,
	ARGUMENT_DEVICE,
	/* Not one member of the arguments, but all of them together; on the
	 * console, a file of them. */
	ARGUMENT_SETTINGS,
	NR_ARGUMENTS,
};

/* How a word of the console becomes JSON. */
enum argument_kind {
	ARGUMENT_NUMBER,  /* decimal, or hexadecimal after 0x */
	ARGUMENT_INTEGER, /* decimal, with a sign or not */
	ARGUMENT_TEXT,
	ARGUMENT_BOOLEAN,
	ARGUMENT_FILE, /* what is in it */
};

/* What a command takes, in the order of the console's words: first those that
 * it needs, then those that may be left out. */
#define ARGUMENT_LIST_MAX 9
struct argument_list {
	uint8_t needed, optional;	 /* how many */
	uint8_t name[ARGUMENT_LIST_MAX]; /* enum argument */
};

/* The values; of those that were left out, the default. */
struct arguments {
	uint64_t disk, nsid, size, depth, gpa, bytes, port, vtl;
	int64_t offset; /* seconds */
	char back[ARGUMENT_MAX_TEXT], path[ARGUMENT_MAX_TEXT], event[32];
	char key[ARGUMENT_MAX_TEXT], pool[32], fault[32], device[32];
	uint64_t opcode, lba, skip, count, delay_ms, vport;
	bool admin;
	uint32_t given; /* bits 1 << enum argument */
	struct json_span settings;
};

const char *argument_name(enum argument argument);
enum argument_kind argument_kind(enum argument argument);

/* Reads the object `args`. False: the request was answered with what is missing,
 * wrong, unknown or given twice. */
bool arguments_read(struct request *request, const struct argument_list *list,
		    struct json_span args, struct arguments *to);

#endif
