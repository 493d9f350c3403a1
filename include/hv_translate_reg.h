/* SPDX-License-Identifier: MIT */
/*
 * Translation of a guest's virtual addresses by the hypervisor (TLFS,
 * "HvCallTranslateVirtualAddress"): what it is asked and what it says.
 */
#ifndef HV_TRANSLATE_REG_H
#define HV_TRANSLATE_REG_H

#include <stdint.h>

#include "le.h"

/* HvCallTranslateVirtualAddress: how `gva_page` may be reached. */
struct hv_input_translate {
	le64 partition_id;
	le32 vp_index;
	le32 reserved;
	le64 flags;
	le64 gva_page;
} __packed;
_Static_assert(sizeof(struct hv_input_translate) == 32, "TLFS");

#define HV_TRANSLATE_READ (1ull << 0)
#define HV_TRANSLATE_WRITE (1ull << 1)
#define HV_TRANSLATE_EXECUTE (1ull << 2)
#define HV_TRANSLATE_PRIVILEGE_EXEMPT (1ull << 3)
#define HV_TRANSLATE_SET_BITS (1ull << 4) /* accessed and dirty */
#define HV_TRANSLATE_TLB_FLUSH_INHIBIT (1ull << 5)
#define HV_TRANSLATE_VTL_SHIFT 56 /* HV_INPUT_VTL */
#define HV_TRANSLATE_RESERVED 0x00ffffffffffffc0ull

struct hv_output_translate {
	le32 result; /* enum hv_translate_result */
	le32 cache;
	le64 gpa_page;
} __packed;
_Static_assert(sizeof(struct hv_output_translate) == 16, "TLFS");

enum hv_translate_result {
	HV_TRANSLATE_SUCCESS = 0,
	/* The page tables do not allow it. */
	HV_TRANSLATE_NOT_PRESENT = 1,
	HV_TRANSLATE_PRIVILEGE_VIOLATION = 2,
	HV_TRANSLATE_INVALID_FLAGS = 3,
	/* They do, but the page they lead to does not. */
	HV_TRANSLATE_GPA_UNMAPPED = 4,
	HV_TRANSLATE_GPA_NO_READ = 5,
	HV_TRANSLATE_GPA_NO_WRITE = 6,
	HV_TRANSLATE_GPA_ILLEGAL_OVERLAY = 7,
	HV_TRANSLATE_INTERCEPT = 8,
};

#endif
