/* SPDX-License-Identifier: MIT */
/*
 * Emulated instructions that compute, and the flags they leave (Intel SDM
 * volume 1, "EFLAGS Register"). Flags that a processor leaves undefined are 0.
 *
 * Each reads its memory operand once and writes it once; the caller has locked
 * out other VPs where the instruction asks for it.
 */
#include "mmio_operand.h"

#define FLAGS_STATUS \
	(MMIO_CF | MMIO_PF | MMIO_AF | MMIO_ZF | MMIO_SF | MMIO_OF)

static uint64_t result_flags(uint64_t result, unsigned int size)
{
	uint64_t flags = 0;

	if (!(result & mmio_mask(size)))
		flags |= MMIO_ZF;
	if (result & mmio_top_bit(size))
		flags |= MMIO_SF;
	if (!__builtin_parity(result & 0xff))
		flags |= MMIO_PF;
	return flags;
}

/* `out` has the carry (or borrow) out of each bit. */
static uint64_t carry_flags(uint64_t out, uint64_t overflow, uint64_t result,
			    unsigned int size)
{
	uint64_t flags = result_flags(result, size);

	if (out & mmio_top_bit(size))
		flags |= MMIO_CF;
	if (out & 0x8)
		flags |= MMIO_AF;
	if (overflow & mmio_top_bit(size))
		flags |= MMIO_OF;
	return flags;
}

static uint64_t add_flags(uint64_t a, uint64_t b, uint64_t result,
			  unsigned int size)
{
	return carry_flags((a & b) | ((a | b) & ~result),
			   ~(a ^ b) & (a ^ result), result, size);
}

static uint64_t sub_flags(uint64_t a, uint64_t b, uint64_t result,
			  unsigned int size)
{
	return carry_flags((~a & b) | ((~a | b) & result),
			   (a ^ b) & (a ^ result), result, size);
}

static uint64_t merge(uint64_t flags, uint64_t status)
{
	return (flags & ~(uint64_t)FLAGS_STATUS) | status;
}

/* a op b, both already `size` wide; *flags are the old ones and become the
 * new ones. */
static uint64_t compute(ZydisMnemonic mnemonic, uint64_t a, uint64_t b,
			unsigned int size, uint64_t *flags)
{
	uint64_t carry = *flags & MMIO_CF, result, now;

	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
	case ZYDIS_MNEMONIC_ADC:
		result = a + b + (mnemonic == ZYDIS_MNEMONIC_ADC ? carry : 0);
		now = add_flags(a, b, result, size);
		break;
	case ZYDIS_MNEMONIC_INC:
		result = a + 1;
		now = (add_flags(a, 1, result, size) & ~MMIO_CF) | carry;
		break;
	case ZYDIS_MNEMONIC_DEC:
		result = a - 1;
		now = (sub_flags(a, 1, result, size) & ~MMIO_CF) | carry;
		break;
	case ZYDIS_MNEMONIC_NEG:
		result = -a;
		now = sub_flags(0, a, result, size);
		break;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_SBB:
	case ZYDIS_MNEMONIC_CMP:
		result = a - b - (mnemonic == ZYDIS_MNEMONIC_SBB ? carry : 0);
		now = sub_flags(a, b, result, size);
		break;
	case ZYDIS_MNEMONIC_OR:
		result = a | b;
		now = result_flags(result, size);
		break;
	case ZYDIS_MNEMONIC_XOR:
		result = a ^ b;
		now = result_flags(result, size);
		break;
	default: /* AND, TEST */
		result = a & b;
		now = result_flags(result, size);
		break;
	}
	*flags = merge(*flags, now);
	return result;
}

uint64_t mmio_compare(uint64_t a, uint64_t b, unsigned int size, uint64_t flags)
{
	compute(ZYDIS_MNEMONIC_CMP, a, b, size, &flags);
	return flags;
}

void mmio_arithmetic(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	ZydisMnemonic mnemonic = e->decoded.mnemonic;
	unsigned int size = mmio_operand_size(dst);
	uint64_t flags = e->in->rflags, a, b = 0, result;

	a = mmio_operand_read(e, dst, size);
	if (e->decoded.operand_count_visible > 1)
		b = mmio_operand_read(e, &e->operand[1], size);
	result = compute(mnemonic, a, b, size, &flags);
	if (mnemonic != ZYDIS_MNEMONIC_CMP && mnemonic != ZYDIS_MNEMONIC_TEST)
		mmio_operand_write(e, dst, result);
	e->ops->set_rflags(e->vp, flags);
}

/* A bit number in a register reaches beyond the operand: then the intercept's
 * address is already that of the word which has the bit. */
void mmio_bit(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	unsigned int size = mmio_operand_size(dst);
	uint64_t n = mmio_operand_read(e, &e->operand[1], size);
	uint64_t bit = 1ull << n % (8 * size);
	uint64_t old = mmio_operand_read(e, dst, size);
	uint64_t flags = e->in->rflags & ~(uint64_t)MMIO_CF;

	if (e->decoded.mnemonic == ZYDIS_MNEMONIC_BTS)
		mmio_operand_write(e, dst, old | bit);
	else if (e->decoded.mnemonic == ZYDIS_MNEMONIC_BTR)
		mmio_operand_write(e, dst, old & ~bit);
	else if (e->decoded.mnemonic == ZYDIS_MNEMONIC_BTC)
		mmio_operand_write(e, dst, old ^ bit);
	e->ops->set_rflags(e->vp, flags | (old & bit ? MMIO_CF : 0));
}

void mmio_exchange_add(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	const ZydisDecodedOperand *src = &e->operand[1];
	unsigned int size = mmio_operand_size(dst);
	uint64_t flags = e->in->rflags;
	uint64_t old = mmio_operand_read(e, dst, size);
	uint64_t sum = compute(ZYDIS_MNEMONIC_ADD, old,
			       mmio_operand_read(e, src, size), size, &flags);

	mmio_operand_write(e, dst, sum);
	mmio_operand_write(e, src, old);
	e->ops->set_rflags(e->vp, flags);
}

/* The memory operand is written in any case, as by a processor. */
void mmio_compare_exchange(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	unsigned int size = mmio_operand_size(dst);
	uint64_t expected = e->ops->get_gp(e->vp, MMIO_RAX) & mmio_mask(size);
	uint64_t old = mmio_operand_read(e, dst, size);

	if (old == expected) {
		mmio_operand_write(e, dst,
				   mmio_operand_read(e, &e->operand[1], size));
	} else {
		mmio_operand_write(e, dst, old);
		mmio_set_gp(e, MMIO_RAX, 0, size, old);
	}
	e->ops->set_rflags(e->vp, mmio_compare(expected, old, size,
					       e->in->rflags));
}

static uint64_t pair(struct mmio_emulation *e, unsigned int high,
		     unsigned int low)
{
	return e->ops->get_gp(e->vp, high) << 32 |
	       (uint32_t)e->ops->get_gp(e->vp, low);
}

void mmio_compare_exchange_8(struct mmio_emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	uint64_t expected = pair(e, MMIO_RDX, MMIO_RAX);
	uint64_t old = mmio_operand_read(e, dst, 8);
	uint64_t flags = e->in->rflags & ~(uint64_t)MMIO_ZF;

	if (old == expected) {
		mmio_operand_write(e, dst, pair(e, MMIO_RCX, MMIO_RBX));
		flags |= MMIO_ZF;
	} else {
		mmio_operand_write(e, dst, old);
		mmio_set_gp(e, MMIO_RAX, 0, 4, old & UINT32_MAX);
		mmio_set_gp(e, MMIO_RDX, 0, 4, old >> 32);
	}
	e->ops->set_rflags(e->vp, flags);
}
