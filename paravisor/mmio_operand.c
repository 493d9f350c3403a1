/* SPDX-License-Identifier: MIT */
/*
 * Operands of an emulated instruction: general registers, immediates and the
 * one memory operand, which the intercept has located. Owns nothing; a register
 * of another kind is refused before anything is read (mmio_operands_good).
 */
#include <Zydis/Register.h>

#include "mmio_operand.h"

/* Number of a general register, and whether it is AH, CH, DH or BH. */
static bool general(ZydisRegister reg, unsigned int *n, bool *high)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(
		ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15)
		return false;
	*n = full - ZYDIS_REGISTER_RAX;
	*high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
	return true;
}

void mmio_set_gp(struct mmio_emulation *e, unsigned int n, unsigned int shift,
		 unsigned int size, uint64_t value)
{
	uint64_t mask = mmio_mask(size) << shift;

	if (size < 4)
		value = (e->ops->get_gp(e->vp, n) & ~mask) |
			(value << shift & mask);
	e->ops->set_gp(e->vp, n, size == 4 ? value & mask : value);
}

static uint64_t register_read(struct mmio_emulation *e, ZydisRegister reg,
			      unsigned int size)
{
	unsigned int n = 0;
	bool high = false;

	general(reg, &n, &high);
	return e->ops->get_gp(e->vp, n) >> (high ? 8 : 0) & mmio_mask(size);
}

static void register_write(struct mmio_emulation *e, ZydisRegister reg,
			   unsigned int size, uint64_t value)
{
	unsigned int n = 0;
	bool high = false;

	general(reg, &n, &high);
	mmio_set_gp(e, n, high ? 8 : 0, size, value);
}

unsigned int mmio_operand_size(const ZydisDecodedOperand *o)
{
	return o->size / 8;
}

uint64_t mmio_operand_read(struct mmio_emulation *e,
			   const ZydisDecodedOperand *o, unsigned int size)
{
	unsigned int own = mmio_operand_size(o);

	switch (o->type) {
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return e->ops->read(e->vp, e->in->gpa, own) & mmio_mask(own);
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return register_read(e, o->reg.value, own);
	default: /* immediate, sign-extended by the decoder */
		return o->imm.value.u & mmio_mask(size);
	}
}

void mmio_operand_write(struct mmio_emulation *e, const ZydisDecodedOperand *o,
			uint64_t value)
{
	unsigned int size = mmio_operand_size(o);

	if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
		e->ops->write(e->vp, e->in->gpa, size, value & mmio_mask(size));
	else
		register_write(e, o->reg.value, size, value);
}

bool mmio_operands_good(const struct mmio_emulation *e)
{
	unsigned int memory = 0, n;
	bool high;

	for (unsigned int i = 0; i < e->decoded.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &e->operand[i];
		unsigned int size = mmio_operand_size(o);

		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			memory++;
			if (size != 1 && size != 2 && size != 4 && size != 8)
				return false;
			if (e->in->gpa % MMIO_PAGE + size > MMIO_PAGE)
				return false;
		} else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
			if (!general(o->reg.value, &n, &high))
				return false;
		} else if (o->type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			return false;
		}
	}
	return memory == 1;
}
