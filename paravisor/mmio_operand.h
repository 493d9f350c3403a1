/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the instruction emulator (mmio.h): the instruction at
 * work, its registers and operands, and who executes which class.
 */
#ifndef MMIO_OPERAND_H
#define MMIO_OPERAND_H

#include <Zydis/Decoder.h>

#include "mmio.h"

#define MMIO_CF (1u << 0)
#define MMIO_PF (1u << 2)
#define MMIO_AF (1u << 4)
#define MMIO_ZF (1u << 6)
#define MMIO_SF (1u << 7)
#define MMIO_DF (1u << 10)
#define MMIO_OF (1u << 11)

#define MMIO_PAGE 4096u

enum { MMIO_RAX, MMIO_RCX, MMIO_RDX, MMIO_RBX, MMIO_RSI = 6, MMIO_RDI };

struct mmio_emulation {
	const struct mmio_instruction *in;
	const struct mmio_ops *ops;
	void *vp;
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
};

static inline uint64_t mmio_mask(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

static inline uint64_t mmio_top_bit(unsigned int size)
{
	return 1ull << (8 * size - 1);
}

/* ---- mmio_operand.c; sizes are bytes ---- */

/* Writes `size` bytes at bit `shift` of a general register: four clear the
 * upper half; one and two leave the rest alone. */
void mmio_set_gp(struct mmio_emulation *e, unsigned int n, unsigned int shift,
		 unsigned int size, uint64_t value);

unsigned int mmio_operand_size(const ZydisDecodedOperand *o);
/* Memory operands are at in->gpa. An immediate is cut to `size`, the others
 * have their own. */
uint64_t mmio_operand_read(struct mmio_emulation *e,
			   const ZydisDecodedOperand *o, unsigned int size);
void mmio_operand_write(struct mmio_emulation *e, const ZydisDecodedOperand *o,
			uint64_t value);

/* One memory operand of a size a device knows, inside one page; the others are
 * general registers or immediates. */
bool mmio_operands_good(const struct mmio_emulation *e);

/* ---- mmio_alu.c ---- */

/* Flags of a - b, both `size` wide, merged into `flags`. */
uint64_t mmio_compare(uint64_t a, uint64_t b, unsigned int size,
		      uint64_t flags);

void mmio_arithmetic(struct mmio_emulation *e);
void mmio_bit(struct mmio_emulation *e);
void mmio_exchange_add(struct mmio_emulation *e);
void mmio_compare_exchange(struct mmio_emulation *e);
void mmio_compare_exchange_8(struct mmio_emulation *e);

/* ---- mmio_string.c ---- */

/* 1 when it is done, 0 when there is more, or as mmio_emulate(). -EOPNOTSUPP
 * also for what is no string instruction. */
int mmio_string(struct mmio_emulation *e, bool port);

#endif
