/* SPDX-License-Identifier: MIT */
/* Which memory operand of an instruction made KVM_RUN fail. */
#ifndef VMM_OPERAND_H
#define VMM_OPERAND_H

#include <stdbool.h>
#include <stdint.h>

struct vp;

struct operand {
	uint64_t gva, gpa;
	bool write, execute;
};

/*
 * The first operand of the instruction `code` (`have` bytes, at VTL0's RIP)
 * whose address is not VTL0 RAM; RIP itself counts as one. -EFAULT if all
 * are. The VP's thread.
 */
int operand_find(struct vp *vp, const uint8_t *code, unsigned int have,
		 struct operand *operand);

#endif
