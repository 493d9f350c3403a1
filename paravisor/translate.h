/* SPDX-License-Identifier: MIT */
/*
 * Addresses that VTL0's instructions use, found in VTL0's own page tables by
 * the hypervisor (TLFS, HvCallTranslateVirtualAddress).
 */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

struct mshv;

enum translate_access {
	TRANSLATE_READ,
	TRANSLATE_WRITE,
	TRANSLATE_EXECUTE,
};

/* The exception that a refused access is answered with. */
struct translate_fault {
	bool page_fault; /* else #GP, whose error code is 0 */
	uint32_t error_code;
};

/*
 * Guest-physical address of the byte at linear address `gva` of VTL0 on the
 * calling VP, as its CPU would find it for `access` at privilege level `cpl`;
 * accessed and dirty bits are set. 0; -EFAULT with *fault filled in; -EIO when
 * the hypervisor did not answer, logged. The VP's thread, VTL0 not running.
 */
int translate_gva(struct mshv *mshv, uint64_t gva, enum translate_access access,
		  unsigned int cpl, uint64_t *gpa,
		  struct translate_fault *fault);

#endif
