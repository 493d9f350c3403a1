// SPDX-License-Identifier: MIT
/*
 * String I/O as an intercept of an instruction that has not begun, though KVM
 * exits in the middle of it:
 *
 *	INS    nothing is stored yet, RIP is at the instruction
 *	OUTS   one item is done: RSI has moved by one, RCX too with REP; RIP is
 *	       at the instruction while items remain, else behind it
 *
 * So OUTS has to be found. It is looked for at RIP, then as an instruction of
 * n = 1, 2, ... bytes that ends at RIP. A find must fit what KVM says: operand
 * size, whether RCX has reached 0, and the item's bytes in memory at the old
 * RSI. Several may fit (a byte before the instruction may look like a prefix);
 * by these conditions each of them does the same when executed from its own
 * rewound state, so the first will do.
 *
 * An OUT that stands behind an OUTS, with the item's value in its register,
 * cannot be told from one that caused the exit; the caller takes it for it.
 */
#include <string.h>

#include "operand.h"
#include "string_io.h"
#include "translate.h"
#include "vp.h"

#define CODE_BYTES 15u

struct string_io {
	bool out, rep;
	unsigned int length, size;
	uint64_t mask, base; /* of the index and count registers; segment */
};

/* How many bytes at `gva` are VTL0's RAM and were read, of `size`. */
static unsigned int read_guest(struct vp *vp, uint64_t gva, void *to,
			       unsigned int size)
{
	unsigned int have = 0;

	while (have < size) {
		uint64_t at = gva + have, gpa;
		unsigned int n = HV_PAGE_SIZE - (at & ~HV_PAGE_MASK);
		const uint8_t *host;

		if (n > size - have)
			n = size - have;
		if (translate_mapped(vp, at, &gpa) < 0)
			break;
		host = machine_ram(vp->m, VTL0, gpa, n);
		if (!host)
			break;
		memcpy((uint8_t *)to + have, host, n);
		have += n;
	}
	return have;
}

static ZydisRegister segment_of(const ZydisDecodedInstruction *code,
				const ZydisDecodedOperand *operands)
{
	for (unsigned int i = 0; i < code->operand_count; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return operands[i].mem.segment;
	return ZYDIS_REGISTER_NONE;
}

/* False if there is no INS or OUTS at `rip`. */
static bool decode(struct vp *vp, uint64_t rip, struct string_io *io)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction code;
	ZydisDecoder decoder;
	uint8_t bytes[CODE_BYTES];
	unsigned int have;
	bool long64;

	have = read_guest(vp, vcpu->sregs->cs.base + rip, bytes, CODE_BYTES);
	operand_decoder(vcpu, &decoder, &long64);
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, bytes, have, &code,
					       operands)) ||
	    code.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
	    (code.opcode & ~3u) != 0x6c)
		return false;
	*io = (struct string_io){
		.out = code.opcode & 2,
		.length = code.length,
		.size = code.opcode & 1 ? code.operand_width / 8 : 1,
		.mask = code.address_width == 64 ?
				UINT64_MAX :
				(1ull << code.address_width) - 1,
		.base = operand_segment(vcpu, segment_of(&code, operands),
					long64),
	};
	if (io->size == 8) /* REX.W */
		io->size = 4;
	for (unsigned int i = 0; i < code.raw.prefix_count; i++)
		io->rep |= (code.raw.prefixes[i].value | 1) == 0xf3;
	return true;
}

static void *exit_data(struct kvm_run *run)
{
	return (uint8_t *)run + run->io.data_offset;
}

static uint64_t step(const struct vcpu *vcpu, const struct string_io *io)
{
	return vcpu->regs->rflags & 1u << 10 ? -(uint64_t)io->size : io->size;
}

static uint64_t moved(uint64_t value, uint64_t by, uint64_t mask)
{
	return (value & ~mask) | ((value + by) & mask);
}

/* Could the item that KVM has delivered be this OUTS's? */
static bool fits(struct vp *vp, const struct string_io *io, bool last,
		 bool strict)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	uint64_t rsi = moved(vcpu->regs->rsi, -step(vcpu, io), io->mask);
	uint8_t item[4];

	if (!io->out || io->size != vcpu->run->io.size)
		return false;
	if (last ? io->rep && vcpu->regs->rcx & io->mask :
		   !io->rep || !(vcpu->regs->rcx & io->mask))
		return false;
	return !strict || (read_guest(vp, io->base + (rsi & io->mask), item,
				      io->size) == io->size &&
			   !memcmp(item, exit_data(vcpu->run), io->size));
}

static bool find_outs(struct vp *vp, uint64_t *rip, struct string_io *io,
		      bool strict)
{
	uint64_t end = *rip;

	if (decode(vp, end, io) && fits(vp, io, false, strict))
		return true;
	for (unsigned int n = 1; n <= CODE_BYTES; n++) {
		*rip = end - n;
		if (decode(vp, *rip, io) && io->length == n &&
		    fits(vp, io, true, strict))
			return true;
	}
	return false;
}

bool string_io_undo_outs(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	uint64_t rip = vcpu->regs->rip;
	struct string_io io;

	if (!find_outs(vp, &rip, &io, true)) {
		/* Another VP may have written to the item. */
		rip = vcpu->regs->rip;
		if (!find_outs(vp, &rip, &io, false))
			return false;
	}
	vcpu->regs->rip = rip;
	vcpu->regs->rsi = moved(vcpu->regs->rsi, -step(vcpu, &io), io.mask);
	if (io.rep)
		vcpu->regs->rcx = moved(vcpu->regs->rcx, 1, io.mask);
	vcpu_dirty_regs(vcpu);
	return true;
}

void string_io_keep_memory(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	uint8_t *data = exit_data(vcpu->run);
	struct string_io io;
	uint64_t rdi = vcpu->regs->rdi;

	if (!decode(vp, vcpu->regs->rip, &io) || io.out ||
	    io.size != vcpu->run->io.size)
		return;
	for (unsigned int i = 0; i < vcpu->run->io.count; i++) {
		read_guest(vp, io.base + (rdi & io.mask), data, io.size);
		data += io.size;
		rdi = moved(rdi, step(vcpu, &io), io.mask);
	}
}
