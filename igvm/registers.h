/* SPDX-License-Identifier: MIT */
/*
 * The registers a VP_CONTEXT may set, by TLFS code and by name.
 */
#ifndef IGVM_REGISTERS_H
#define IGVM_REGISTERS_H

#include <stdint.h>

enum register_form {
	REGISTER_U64,     /* low half of the value, high half zero */
	REGISTER_SEGMENT, /* struct hv_segment_register */
	REGISTER_TABLE,   /* struct hv_table_register */
};

struct register_name {
	uint32_t code; /* HV_REG_* */
	const char *name; /* "RAX", "CS", "GDTR": static */
	enum register_form form;
};

/* The entry of a code, or NULL if a VP context must not set that register. */
const struct register_name *register_find(uint32_t code);

#endif
