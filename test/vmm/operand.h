/* SPDX-License-Identifier: MIT */
/* Which memory operand of an instruction made KVM_RUN fail. */
#ifndef VMM_OPERAND_H
#define VMM_OPERAND_H

#include <stdbool.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

struct vcpu;
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

/* A decoder for the mode that VTL0 is in. */
void operand_decoder(struct vcpu *vcpu, ZydisDecoder *decoder, bool *long64);
/* Base of a segment register in that mode. */
uint64_t operand_segment(struct vcpu *vcpu, ZydisRegister name, bool long64);

#endif
