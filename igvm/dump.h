/* SPDX-License-Identifier: MIT */
/*
 * igvm-dump's two forms of output, from one description of the headers.
 */
#ifndef DUMP_H
#define DUMP_H

#include <stdio.h>

#include "read.h"
#include "sha384.h"

/* One field of a header's content, as the specification has it. */
struct field {
	const char *name;
	uint8_t offset;
	uint8_t bytes; /* 1, 2, 4, 8; 0 ends a list */
};

/* The fields of a type in file order; an empty list if it is not known. */
const struct field *dump_fields(uint32_t type);

/* The value of a field of `content`. */
uint64_t dump_value(const struct field *field, const void *content);

/* Runs of neighbouring pages that have the same kind and flags. */
struct dump_range {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t flags; /* of PAGE_DATA */
	int32_t area;   /* parameter area index; -1: PAGE_DATA */
	uint8_t digest[SHA384_SIZE]; /* of all bytes; an area's initial ones */
};

/*
 * Collects the ranges of the chosen platform in address order into new memory
 * that the caller frees. Returns their number, or -ENOMEM.
 */
int dump_ranges(struct igvm_file *file, struct dump_range **ranges);

void dump_text(FILE *out, struct igvm_file *file,
	       const struct dump_range *ranges, int count);
void dump_json(FILE *out, struct igvm_file *file,
	       const struct dump_range *ranges, int count);

#endif
