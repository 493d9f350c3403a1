/* SPDX-License-Identifier: MIT */
/*
 * The rules of the IGVM reader; private to read.c and check.c.
 *
 * igvm_open() makes one pass over the file, in order, and keeps in struct
 * check what later headers are judged by: the platforms, the state of each
 * parameter area, and every run of pages that is required or filled.
 */
#ifndef IGVM_CHECK_H
#define IGVM_CHECK_H

#include "read.h"

struct type_info {
	uint32_t type;
	const char *name;
	uint32_t length;    /* of the content; 0: not looked into */
	uint32_t parameter; /* least bytes a parameter takes; 0: none */
};

/* A run of pages that one header speaks of. */
struct run {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t offset; /* of the header */
	const char *structure;
};

struct run_list {
	struct run *run;
	size_t count;
	size_t room;
};

enum area_state { AREA_UNKNOWN, AREA_DECLARED, AREA_INSERTED };

struct area {
	enum area_state state;
	uint64_t bytes;
	uint64_t offset; /* of its PARAMETER_AREA */
};

struct check {
	struct igvm_file *file;
	struct igvm_error *error;
	uint32_t declared_masks;
	unsigned int section; /* of the last header: 0 to 2 */
	bool have_context;
	struct area area[IGVM_MAX_PARAMETER_AREAS];
	struct run_list required;
	struct run_list filled;
};

/* The table's entry of a type, or NULL. */
const struct type_info *igvm_find_type(uint32_t type);

/* The compatibility mask of a header, all ones for a type without. */
uint32_t igvm_mask_of(const struct igvm_header *h);

bool igvm_all_zero(const uint8_t *p, size_t len);

/* Fills in *error; returns -EINVAL. */
__attribute__((format(printf, 5, 6)))
int igvm_refuse(struct igvm_error *error, uint64_t offset,
		const char *structure, const char *field, const char *format,
		...);

/* Rules of one header whose frame is sound. Returns 0, -EINVAL, -ENOMEM. */
int igvm_check_content(struct check *c, struct igvm_header *h);

/* Rules between headers, after the last. Returns 0 or -EINVAL. */
int igvm_check_whole(struct check *c);

#endif
