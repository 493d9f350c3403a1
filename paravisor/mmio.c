/* SPDX-License-Identifier: MIT */
/*
 * Instruction emulation, theory of operation
 *
 * Owns: nothing; one call decodes and executes one instruction.
 *
 * The hypervisor tells which guest-physical address the access had, so of an
 * instruction with one memory operand no address is computed and no page table
 * walked: the operand *is* that address.
 *
 *	decode -> table -+-> operands -> device read -> compute -> device write
 *	                 |               (if it reads)             or register
 *	                 `-> string: two ends, a page at a time (mmio_string.c)
 *
 * A read-modify-write reads and writes the device once each. With LOCK, and of
 * XCHG, no other VP reaches any device in between; without, it may.
 *
 * Failure answers: a refusal happens before the first access to the device.
 */
#include <errno.h>

#include "mmio_operand.h"

#define MAX_CODE 15u

static void move(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];

	mmio_operand_write(e, dst, mmio_operand_read(e, &e->operand[1],
						     mmio_operand_size(dst)));
}

static void move_swapped(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	unsigned int size = mmio_operand_size(dst);
	uint64_t value = mmio_operand_read(e, &e->operand[1], size);

	mmio_operand_write(e, dst, __builtin_bswap64(value) >> (64 - 8 * size));
}

static void sign_extend(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	const ZydisDecodedOperand *src = &e->operand[1];
	unsigned int size = mmio_operand_size(dst);
	uint64_t sign = mmio_top_bit(mmio_operand_size(src));
	uint64_t value = mmio_operand_read(e, src, size);

	mmio_operand_write(e, dst, ((value ^ sign) - sign) & mmio_mask(size));
}

static void complement(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];

	mmio_operand_write(e, dst,
			   ~mmio_operand_read(e, dst, mmio_operand_size(dst)));
}

static void exchange(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	const ZydisDecodedOperand *src = &e->operand[1];
	unsigned int size = mmio_operand_size(dst);
	uint64_t value = mmio_operand_read(e, dst, size);

	mmio_operand_write(e, dst, mmio_operand_read(e, src, size));
	mmio_operand_write(e, src, value);
}

/* Those with one memory operand. */
static const struct {
	ZydisMnemonic mnemonic;
	void (*execute)(struct mmio_emulation *e);
} instructions[] = {
	{ ZYDIS_MNEMONIC_MOV, move },
	{ ZYDIS_MNEMONIC_MOVZX, move },
	{ ZYDIS_MNEMONIC_MOVNTI, move },
	{ ZYDIS_MNEMONIC_MOVBE, move_swapped },
	{ ZYDIS_MNEMONIC_MOVSX, sign_extend },
	{ ZYDIS_MNEMONIC_MOVSXD, sign_extend },
	{ ZYDIS_MNEMONIC_ADD, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_ADC, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_SUB, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_SBB, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_AND, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_OR, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_XOR, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_INC, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_DEC, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_NEG, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_CMP, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_TEST, mmio_arithmetic },
	{ ZYDIS_MNEMONIC_NOT, complement },
	{ ZYDIS_MNEMONIC_BT, mmio_bit },
	{ ZYDIS_MNEMONIC_BTS, mmio_bit },
	{ ZYDIS_MNEMONIC_BTR, mmio_bit },
	{ ZYDIS_MNEMONIC_BTC, mmio_bit },
	{ ZYDIS_MNEMONIC_XCHG, exchange },
	{ ZYDIS_MNEMONIC_XADD, mmio_exchange_add },
	{ ZYDIS_MNEMONIC_CMPXCHG, mmio_compare_exchange },
	{ ZYDIS_MNEMONIC_CMPXCHG8B, mmio_compare_exchange_8 },
};

static int decode(struct mmio_emulation *e)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth stack;
	} modes[] = {
		{ ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16 },
		{ ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		{ ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	unsigned int n = e->in->code_size;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, modes[e->in->mode].mode,
			 modes[e->in->mode].stack);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, e->in->code,
						 n < MAX_CODE ? n : MAX_CODE,
						 &e->decoded, e->operand)))
		return -EINVAL;
	return 0;
}

static int execute(struct mmio_emulation *e)
{
	bool locked = e->decoded.attributes & ZYDIS_ATTRIB_HAS_LOCK ||
		      e->decoded.mnemonic == ZYDIS_MNEMONIC_XCHG;

	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]);
	     i++) {
		if (instructions[i].mnemonic != e->decoded.mnemonic)
			continue;
		if (!mmio_operands_good(e))
			return -EOPNOTSUPP;
		if (locked)
			e->ops->lock(e->vp);
		instructions[i].execute(e);
		if (locked)
			e->ops->unlock(e->vp);
		return 1;
	}
	return mmio_string(e, false);
}

static void finish(const struct mmio_emulation *e)
{
	uint64_t next = e->in->rip + e->decoded.length;

	if (e->in->mode != MMIO_CODE_64)
		next &= UINT32_MAX;
	e->ops->set_rip(e->vp, next);
}

static int emulate(const struct mmio_instruction *in,
		   const struct mmio_ops *ops, void *vp, bool port)
{
	struct mmio_emulation e = { .in = in, .ops = ops, .vp = vp };
	int ret = decode(&e);

	if (ret)
		return ret;
	ret = port ? mmio_string(&e, true) : execute(&e);
	if (ret < 0)
		return ret;
	if (ret)
		finish(&e);
	return 0;
}

int mmio_emulate(const struct mmio_instruction *in, const struct mmio_ops *ops,
		 void *vp)
{
	return emulate(in, ops, vp, false);
}

int mmio_emulate_port(const struct mmio_instruction *in,
		      const struct mmio_ops *ops, void *vp)
{
	return emulate(in, ops, vp, true);
}
