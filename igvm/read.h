/* SPDX-License-Identifier: MIT */
/*
 * Reading an IGVM file: all of it is checked before the first header is
 * handed out, so that a loader never stops half-way.
 *
 *	struct igvm_file file;
 *	struct igvm_error error;
 *	struct igvm_header h;
 *
 *	if (igvm_open(&file, bytes, len, &error) < 0) {
 *		igvm_error_print(stderr, path, &error);
 *		return 2;
 *	}
 *	while (igvm_next(&file, &h)) {
 *		if (!h.selected)
 *			continue;
 *		switch (h.type) {
 *		case IGVM_VHT_PAGE_DATA: ... h.page_data->gpa, h.data
 *
 * Source: IGVM specification (igvm_defs), see igvm_reg.h. No function here
 * keeps global state; each file belongs to one thread at a time.
 */
#ifndef IGVM_READ_H
#define IGVM_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "igvm_reg.h"

/* Limits of ours on top of the format's. */
#define IGVM_MAX_PARAMETER_AREAS 64u
#define IGVM_MAX_PARAMETER_AREA_BYTES (16u << 20)
#define IGVM_MAX_REGISTERS 256u

/* What is wrong: one structure, one field, one rule. */
struct igvm_error {
	uint64_t offset; /* of the structure, bytes from the start of the file */
	const char *structure; /* the specification's name, static */
	const char *field;     /* the specification's name, static */
	char rule[200];        /* the value and the rule it breaks */
};

struct igvm_file {
	const uint8_t *bytes; /* the caller's, until the file is done with */
	uint64_t len;
	struct igvm_fixed_header fixed;
	uint32_t mask;         /* compatibility mask of the chosen platform */
	uint8_t highest_vtl;   /* of the chosen platform */
	uint8_t platform_type; /* of the chosen platform */
	/* private */
	uint64_t next;
	uint64_t end;
};

struct igvm_header {
	uint64_t offset; /* of the variable header in the file */
	uint32_t type;   /* IGVM_VHT_*, without IGVM_TYPE_OPTIONAL */
	uint32_t length; /* of the content */
	const char *name; /* the specification's name; "unknown" if optional */
	bool optional;
	bool selected; /* applies to the chosen platform (or to all) */
	union {
		const void *content;
		const struct igvm_supported_platform *supported_platform;
		const struct igvm_relocatable_region *relocatable_region;
		const struct igvm_page_table_relocation *page_table_relocation;
		const struct igvm_parameter_area *parameter_area;
		const struct igvm_page_data *page_data;
		const struct igvm_parameter_insert *parameter_insert;
		const struct igvm_vp_context *vp_context;
		const struct igvm_required_memory *required_memory;
		const struct igvm_parameter *parameter;
	};
	/*
	 * What file_offset points at, NULL when it is 0 (zeros): the page, the
	 * area's initial bytes, or the VP context's register records.
	 */
	const uint8_t *data;
	uint64_t data_len;
	/* VP_CONTEXT only: the records, register_count of them. */
	const struct igvm_vbs_vp_context_register *registers;
	uint32_t register_count;
};

/*
 * Checks the whole file: fixed header, checksum, every variable header, every
 * offset, and the rules between headers (pages overlap nothing and lie in
 * REQUIRED_MEMORY; areas are declared, filled, inserted once, in this order;
 * one VP context, for VP 0). `bytes` stays the caller's and must not change
 * while *file is in use. The chosen platform is VSM_ISOLATION, else NATIVE.
 *
 * Returns 0; -EINVAL with *error filled in; -ENOMEM with *error filled in.
 * Allocates nothing that outlives the call.
 */
int igvm_open(struct igvm_file *file, const void *bytes, size_t len,
	      struct igvm_error *error);

/*
 * Hands out the next header in file order. Returns false at the end. Cannot
 * fail: igvm_open has checked everything *header refers to. `header` points
 * into the file's bytes.
 */
bool igvm_next(struct igvm_file *file, struct igvm_header *header);

/* Starts again at the first header. */
void igvm_rewind(struct igvm_file *file);

/* One line: "PATH: offset 0x18: PAGE_DATA.gpa: 0x123: not 4 KiB aligned". */
void igvm_error_print(FILE *out, const char *path,
		      const struct igvm_error *error);

/* The specification's name of a header type, NULL if unknown. */
const char *igvm_type_name(uint32_t type);

/* Whether a header of this type is an IGVM_VHS_PARAMETER. */
bool igvm_type_is_parameter(uint32_t type);

#endif
