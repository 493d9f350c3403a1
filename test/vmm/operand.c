// SPDX-License-Identifier: MIT
/*
 * Which memory operand of an instruction is not RAM.
 *
 * KVM_RUN ends with -EFAULT at an instruction of VTL0 that touches memory
 * without access rights, and does not say at which address. The instruction
 * does: Zydis lists its memory operands, explicit and implied, the VP's
 * registers give their linear addresses, a page walk the physical ones.
 * The first that is not VTL0's RAM is the one, as an operand in RAM cannot
 * fail; an instruction without such an operand is an error of ours. What an
 * instruction only reads comes first, as in a CPU.
 *
 * Known limit: a gather is taken to touch nothing; no driver uses it on a
 * device.
 *
 * No state. The VP's thread only.
 */
#include <errno.h>

#include <Zydis/Zydis.h>

#include "operand.h"
#include "translate.h"
#include "vp.h"

#define EFER_LMA (1u << 10)

static uint64_t register_value(struct vcpu *vcpu, ZydisRegister name)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(
		ZYDIS_MACHINE_MODE_LONG_64, name);
	ZyanI8 id = ZydisRegisterGetId(full);

	if (name == ZYDIS_REGISTER_NONE)
		return 0;
	if (full == ZYDIS_REGISTER_RIP)
		return vcpu->regs->rip;
	return id < 0 ? 0 : *general_register(vcpu->regs, (unsigned int)id);
}

uint64_t operand_segment(struct vcpu *vcpu, ZydisRegister name, bool long64)
{
	const struct kvm_sregs *s = vcpu->sregs;

	switch (name) {
	case ZYDIS_REGISTER_FS:
		return s->fs.base;
	case ZYDIS_REGISTER_GS:
		return s->gs.base;
	case ZYDIS_REGISTER_CS:
		return long64 ? 0 : s->cs.base;
	case ZYDIS_REGISTER_SS:
		return long64 ? 0 : s->ss.base;
	case ZYDIS_REGISTER_ES:
		return long64 ? 0 : s->es.base;
	default:
		return long64 ? 0 : s->ds.base;
	}
}

static uint64_t cut(uint64_t value, unsigned int bits)
{
	return bits >= 64 ? value : value & ((1ull << bits) - 1);
}

static uint64_t linear_address(struct vcpu *vcpu, bool long64,
			       const ZydisDecodedInstruction *code,
			       const ZydisDecodedOperandMem *mem)
{
	unsigned int bits = code->address_width;
	uint64_t address = (uint64_t)mem->disp.value;

	address += cut(register_value(vcpu, mem->base), bits);
	address += cut(register_value(vcpu, mem->index), bits) *
		   mem->scale;
	if (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP)
		address += code->length;
	address = cut(address, bits) +
		  operand_segment(vcpu, mem->segment, long64);
	return cut(address, long64 ? 64 : 32);
}

/* A bit number in a register also chooses the word, by its signed quotient. */
static uint64_t bit_string_offset(struct vcpu *vcpu,
				  const ZydisDecodedInstruction *code,
				  const ZydisDecodedOperand *operands)
{
	unsigned int bits = operands[0].size;
	uint64_t number, sign;

	if ((code->mnemonic != ZYDIS_MNEMONIC_BT &&
	     code->mnemonic != ZYDIS_MNEMONIC_BTS &&
	     code->mnemonic != ZYDIS_MNEMONIC_BTR &&
	     code->mnemonic != ZYDIS_MNEMONIC_BTC) ||
	    operands[1].type != ZYDIS_OPERAND_TYPE_REGISTER)
		return 0;
	sign = 1ull << (bits - 1);
	number = cut(register_value(vcpu, operands[1].reg.value), bits);
	number = (number ^ sign) - sign;
	return (uint64_t)((int64_t)(number & ~(uint64_t)(bits - 1)) / 8);
}

/* Is the byte at `gva` mapped, but to no RAM of VTL0? */
static bool outside(struct vp *vp, uint64_t gva, struct operand *operand)
{
	uint64_t gpa;

	if (translate_mapped(vp, gva, &gpa) < 0 ||
	    machine_ram(vp->m, VTL0, gpa, 1))
		return false;
	operand->gva = gva;
	operand->gpa = gpa;
	return true;
}

void operand_decoder(struct vcpu *vcpu, ZydisDecoder *decoder, bool *long64)
{
	const struct kvm_sregs *s = vcpu->sregs;

	*long64 = (s->efer & EFER_LMA) && s->cs.l;
	if (*long64)
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64,
				 ZYDIS_STACK_WIDTH_64);
	else if (s->cs.db)
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32,
				 ZYDIS_STACK_WIDTH_32);
	else
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16,
				 ZYDIS_STACK_WIDTH_16);
}

/* The first operand outside, of those that are written or of those that are
 * not. */
static bool find_among(struct vp *vp, const ZydisDecodedInstruction *code,
		       const ZydisDecodedOperand *operands, bool long64,
		       bool written, struct operand *operand)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;

	operand->write = written;
	for (unsigned int i = 0; i < code->operand_count; i++) {
		const ZydisDecodedOperand *o = &operands[i];
		uint64_t gva;

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY ||
		    o->mem.type == ZYDIS_MEMOP_TYPE_AGEN ||
		    !(o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == written)
			continue;
		gva = linear_address(vcpu, long64, code, &o->mem);
		if (i == 0)
			gva += bit_string_offset(vcpu, code, operands);
		if (outside(vp, gva, operand))
			return true;
		/* It may begin in RAM and end outside. */
		if (o->size > 8 && outside(vp, gva + o->size / 8 - 1, operand))
			return true;
	}
	return false;
}

int operand_find(struct vp *vp, const uint8_t *code, unsigned int have,
		 struct operand *operand)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction instruction;
	ZydisDecoder decoder;
	bool long64;

	operand->write = false;
	operand->execute = true;
	if (outside(vp, vcpu->sregs->cs.base + vcpu->regs->rip, operand))
		return 0;
	operand->execute = false;

	operand_decoder(vcpu, &decoder, &long64);
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, code, have,
					       &instruction, operands)))
		return -EFAULT;
	if (find_among(vp, &instruction, operands, long64, false, operand) ||
	    find_among(vp, &instruction, operands, long64, true, operand))
		return 0;
	return -EFAULT;
}
