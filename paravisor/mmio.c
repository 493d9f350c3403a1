/* SPDX-License-Identifier: MIT */
/*
 * MMIO emulation, theory of operation
 *
 * Owns: nothing; one call decodes and executes one instruction.
 *
 * The hypervisor tells which guest-physical address the access had, so no
 * address is computed and no page table is walked here: the memory operand of
 * the instruction *is* that address. That is unambiguous for an instruction
 * with one memory operand, and only those are executed.
 *
 *	decode -> class -> operands -> device read -> compute -> device write
 *	          (table)              (if it reads)              or register
 *
 * A read-modify-write reads and writes the device once each; it is not atomic
 * against other VPs, but the device's lock makes each half so.
 *
 * Failure answers: a refusal happens before the first access to the device.
 */
#include <errno.h>
#include <stdbool.h>

#include <Zydis/Decoder.h>
#include <Zydis/Register.h>

#include "mmio.h"

#define FLAG_CF (1u << 0)
#define FLAG_PF (1u << 2)
#define FLAG_AF (1u << 4)
#define FLAG_ZF (1u << 6)
#define FLAG_SF (1u << 7)
#define FLAG_DF (1u << 10)
#define FLAG_OF (1u << 11)
#define FLAGS_STATUS                                                       \
	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define PAGE_BYTES 4096u
#define MAX_CODE 15u
#define REG_RAX 0u
#define REG_RCX 1u
#define REG_RSI 6u
#define REG_RDI 7u

enum class {
	CLASS_MOVE,	   /* dst = src */
	CLASS_SIGN_EXTEND, /* dst = src, sign-extended */
	CLASS_ALU,	   /* dst = dst op src, flags */
	CLASS_COMPARE,	   /* flags of dst op src */
	CLASS_NOT,	   /* dst = ~dst */
	CLASS_BIT,	   /* one bit of dst, CF */
	CLASS_EXCHANGE,
	CLASS_STORE_STRING,
	CLASS_LOAD_STRING,
};

static const struct {
	ZydisMnemonic mnemonic;
	enum class class;
} instructions[] = {
	{ ZYDIS_MNEMONIC_MOV, CLASS_MOVE },
	{ ZYDIS_MNEMONIC_MOVZX, CLASS_MOVE },
	{ ZYDIS_MNEMONIC_MOVNTI, CLASS_MOVE },
	{ ZYDIS_MNEMONIC_MOVSX, CLASS_SIGN_EXTEND },
	{ ZYDIS_MNEMONIC_MOVSXD, CLASS_SIGN_EXTEND },
	{ ZYDIS_MNEMONIC_ADD, CLASS_ALU },
	{ ZYDIS_MNEMONIC_SUB, CLASS_ALU },
	{ ZYDIS_MNEMONIC_AND, CLASS_ALU },
	{ ZYDIS_MNEMONIC_OR, CLASS_ALU },
	{ ZYDIS_MNEMONIC_XOR, CLASS_ALU },
	{ ZYDIS_MNEMONIC_INC, CLASS_ALU },
	{ ZYDIS_MNEMONIC_DEC, CLASS_ALU },
	{ ZYDIS_MNEMONIC_NEG, CLASS_ALU },
	{ ZYDIS_MNEMONIC_CMP, CLASS_COMPARE },
	{ ZYDIS_MNEMONIC_TEST, CLASS_COMPARE },
	{ ZYDIS_MNEMONIC_NOT, CLASS_NOT },
	{ ZYDIS_MNEMONIC_BT, CLASS_BIT },
	{ ZYDIS_MNEMONIC_BTS, CLASS_BIT },
	{ ZYDIS_MNEMONIC_BTR, CLASS_BIT },
	{ ZYDIS_MNEMONIC_BTC, CLASS_BIT },
	{ ZYDIS_MNEMONIC_XCHG, CLASS_EXCHANGE },
	{ ZYDIS_MNEMONIC_STOSB, CLASS_STORE_STRING },
	{ ZYDIS_MNEMONIC_STOSW, CLASS_STORE_STRING },
	{ ZYDIS_MNEMONIC_STOSD, CLASS_STORE_STRING },
	{ ZYDIS_MNEMONIC_STOSQ, CLASS_STORE_STRING },
	{ ZYDIS_MNEMONIC_LODSB, CLASS_LOAD_STRING },
	{ ZYDIS_MNEMONIC_LODSW, CLASS_LOAD_STRING },
	{ ZYDIS_MNEMONIC_LODSD, CLASS_LOAD_STRING },
	{ ZYDIS_MNEMONIC_LODSQ, CLASS_LOAD_STRING },
};

struct emulation {
	const struct mmio_instruction *in;
	const struct mmio_ops *ops;
	void *vp;
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
	enum class class;
};

static uint64_t mask_of(unsigned int size)
{
	return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

static uint64_t top_bit(unsigned int size)
{
	return 1ull << (8 * size - 1);
}

static uint64_t sign_extend(uint64_t value, unsigned int size)
{
	return (value ^ top_bit(size)) - top_bit(size);
}

/* ------------------------------------------------------------------------
 * Registers.
 */

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

static uint64_t register_read(struct emulation *e, ZydisRegister reg,
			      unsigned int size)
{
	unsigned int n = 0;
	bool high = false;

	general(reg, &n, &high);
	return e->ops->get_gp(e->vp, n) >> (high ? 8 : 0) & mask_of(size);
}

/* Four bytes clear the upper half; one and two leave the rest alone. */
static void gp_write(struct emulation *e, unsigned int n, unsigned int shift,
		     unsigned int size, uint64_t value)
{
	uint64_t mask = mask_of(size) << shift;

	if (size < 4)
		value = (e->ops->get_gp(e->vp, n) & ~mask) |
			(value << shift & mask);
	e->ops->set_gp(e->vp, n, size == 4 ? value & mask : value);
}

static void register_write(struct emulation *e, ZydisRegister reg,
			   unsigned int size, uint64_t value)
{
	unsigned int n = 0;
	bool high = false;

	general(reg, &n, &high);
	gp_write(e, n, high ? 8 : 0, size, value);
}

/* ------------------------------------------------------------------------
 * Operands.
 */

static unsigned int operand_size(const ZydisDecodedOperand *o)
{
	return o->size / 8;
}

static uint64_t operand_read(struct emulation *e, const ZydisDecodedOperand *o,
			     unsigned int size)
{
	switch (o->type) {
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return e->ops->read(e->vp, e->in->gpa, operand_size(o)) &
		       mask_of(operand_size(o));
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return register_read(e, o->reg.value, operand_size(o));
	default: /* immediate, sign-extended by the decoder */
		return o->imm.value.u & mask_of(size);
	}
}

static void operand_write(struct emulation *e, const ZydisDecodedOperand *o,
			  uint64_t value)
{
	unsigned int size = operand_size(o);

	if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
		e->ops->write(e->vp, e->in->gpa, size, value & mask_of(size));
	else
		register_write(e, o->reg.value, size, value);
}

/* One memory operand of a size a device knows, inside one page; the others are
 * general registers or immediates. */
static bool operands_good(const struct emulation *e)
{
	unsigned int memory = 0, n;
	bool high;

	for (unsigned int i = 0; i < e->decoded.operand_count_visible; i++) {
		const ZydisDecodedOperand *o = &e->operand[i];
		unsigned int size = operand_size(o);

		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			memory++;
			if (size != 1 && size != 2 && size != 4 && size != 8)
				return false;
			if (e->in->gpa % PAGE_BYTES + size > PAGE_BYTES)
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

/* ------------------------------------------------------------------------
 * Arithmetic.
 */

static uint64_t result_flags(uint64_t result, unsigned int size)
{
	uint64_t flags = 0;

	if (!(result & mask_of(size)))
		flags |= FLAG_ZF;
	if (result & top_bit(size))
		flags |= FLAG_SF;
	if (!__builtin_parity(result & 0xff))
		flags |= FLAG_PF;
	return flags;
}

static uint64_t add_flags(uint64_t a, uint64_t b, uint64_t result,
			  unsigned int size)
{
	uint64_t flags = result_flags(result, size);

	if ((result & mask_of(size)) < a)
		flags |= FLAG_CF;
	if ((a ^ b ^ result) & 0x10)
		flags |= FLAG_AF;
	if (~(a ^ b) & (a ^ result) & top_bit(size))
		flags |= FLAG_OF;
	return flags;
}

static uint64_t sub_flags(uint64_t a, uint64_t b, uint64_t result,
			  unsigned int size)
{
	uint64_t flags = result_flags(result, size);

	if (a < b)
		flags |= FLAG_CF;
	if ((a ^ b ^ result) & 0x10)
		flags |= FLAG_AF;
	if ((a ^ b) & (a ^ result) & top_bit(size))
		flags |= FLAG_OF;
	return flags;
}

/* a op b, both already `size` wide; *flags are the old ones and become the
 * new ones. */
static uint64_t compute(ZydisMnemonic mnemonic, uint64_t a, uint64_t b,
			unsigned int size, uint64_t *flags)
{
	uint64_t carry = *flags & FLAG_CF, result, now;

	switch (mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
		result = a + b;
		now = add_flags(a, b, result, size);
		break;
	case ZYDIS_MNEMONIC_INC:
		result = a + 1;
		now = (add_flags(a, 1, result, size) & ~FLAG_CF) | carry;
		break;
	case ZYDIS_MNEMONIC_DEC:
		result = a - 1;
		now = (sub_flags(a, 1, result, size) & ~FLAG_CF) | carry;
		break;
	case ZYDIS_MNEMONIC_NEG:
		result = -a;
		now = sub_flags(0, a, result, size);
		break;
	case ZYDIS_MNEMONIC_SUB:
	case ZYDIS_MNEMONIC_CMP:
		result = a - b;
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
	*flags = (*flags & ~(uint64_t)FLAGS_STATUS) | now;
	return result;
}

static void execute_alu(struct emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	unsigned int size = operand_size(dst);
	uint64_t flags = e->in->rflags, a, b = 0, result;

	a = operand_read(e, dst, size);
	if (e->decoded.operand_count_visible > 1)
		b = operand_read(e, &e->operand[1], size);
	result = compute(e->decoded.mnemonic, a, b, size, &flags);
	if (e->class == CLASS_ALU)
		operand_write(e, dst, result);
	e->ops->set_rflags(e->vp, flags);
}

static void execute_bit(struct emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	unsigned int size = operand_size(dst);
	uint64_t bit = 1ull << (e->operand[1].imm.value.u % (8 * size));
	uint64_t old = operand_read(e, dst, size);
	uint64_t flags = e->in->rflags & ~(uint64_t)FLAG_CF;

	if (e->decoded.mnemonic == ZYDIS_MNEMONIC_BTS)
		operand_write(e, dst, old | bit);
	else if (e->decoded.mnemonic == ZYDIS_MNEMONIC_BTR)
		operand_write(e, dst, old & ~bit);
	else if (e->decoded.mnemonic == ZYDIS_MNEMONIC_BTC)
		operand_write(e, dst, old ^ bit);
	e->ops->set_rflags(e->vp, flags | (old & bit ? FLAG_CF : 0));
}

/* ------------------------------------------------------------------------
 * Strings: the device's end is [RDI] or [RSI], the other one is RAX.
 */

/* Adds to a register that holds an address or a count. */
static uint64_t address_add(struct emulation *e, unsigned int n, uint64_t by)
{
	unsigned int size = e->decoded.address_width / 8;
	uint64_t value = (e->ops->get_gp(e->vp, n) + by) & mask_of(size);

	gp_write(e, n, 0, size, value);
	return value;
}

/* Elements that lie in the page, in the direction of the string. */
static uint64_t elements_in_page(const struct emulation *e, unsigned int size,
				 bool down)
{
	uint64_t offset = e->in->gpa % PAGE_BYTES;

	return down ? offset / size + 1 : (PAGE_BYTES - offset) / size;
}

/* True when the instruction is done. */
static bool execute_string(struct emulation *e)
{
	unsigned int size = e->decoded.operand_width / 8;
	bool repeated = e->decoded.attributes &
			(ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
			 ZYDIS_ATTRIB_HAS_REPNE);
	bool down = e->in->rflags & FLAG_DF, store;
	uint64_t step = down ? -(uint64_t)size : size, n = 1, gpa = e->in->gpa;

	store = e->class == CLASS_STORE_STRING;
	if (repeated) {
		n = e->ops->get_gp(e->vp, REG_RCX) &
		    mask_of(e->decoded.address_width / 8);
		if (n > elements_in_page(e, size, down))
			n = elements_in_page(e, size, down);
	}
	for (uint64_t i = 0; i < n; i++, gpa += step) {
		if (store)
			e->ops->write(e->vp, gpa, size,
				      e->ops->get_gp(e->vp, REG_RAX) &
					      mask_of(size));
		else
			gp_write(e, REG_RAX, 0, size,
				 e->ops->read(e->vp, gpa, size) &
					 mask_of(size));
	}
	address_add(e, store ? REG_RDI : REG_RSI, n * step);
	return !repeated || !address_add(e, REG_RCX, -n);
}

/* ------------------------------------------------------------------------
 * The instruction.
 */

static int decode(struct emulation *e)
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
	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]);
	     i++) {
		if (instructions[i].mnemonic != e->decoded.mnemonic)
			continue;
		e->class = instructions[i].class;
		return 0;
	}
	return -EOPNOTSUPP;
}

static bool changes_flags(enum class class)
{
	return class == CLASS_ALU || class == CLASS_COMPARE ||
	       class == CLASS_BIT;
}

static bool is_string(enum class class)
{
	return class == CLASS_STORE_STRING || class == CLASS_LOAD_STRING;
}

static bool can_execute(const struct emulation *e)
{
	unsigned int size = e->decoded.operand_width / 8;

	if (changes_flags(e->class) && !e->ops->set_rflags)
		return false;
	/* A bit number in a register reaches beyond the operand. */
	if (e->class == CLASS_BIT &&
	    e->operand[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return false;
	if (is_string(e->class)) /* their operands are all implied */
		return e->in->gpa % PAGE_BYTES + size <= PAGE_BYTES;
	return operands_good(e);
}

/* True when the instruction is done. */
static bool execute(struct emulation *e)
{
	const ZydisDecodedOperand *dst = &e->operand[0];
	const ZydisDecodedOperand *src = &e->operand[1];
	unsigned int size = operand_size(dst);
	uint64_t value;

	switch (e->class) {
	case CLASS_MOVE:
		operand_write(e, dst, operand_read(e, src, size));
		break;
	case CLASS_SIGN_EXTEND:
		value = sign_extend(operand_read(e, src, size),
				    operand_size(src));
		operand_write(e, dst, value & mask_of(size));
		break;
	case CLASS_ALU:
	case CLASS_COMPARE:
		execute_alu(e);
		break;
	case CLASS_NOT:
		operand_write(e, dst, ~operand_read(e, dst, size));
		break;
	case CLASS_BIT:
		execute_bit(e);
		break;
	case CLASS_EXCHANGE:
		value = operand_read(e, dst, size);
		operand_write(e, dst, operand_read(e, src, size));
		operand_write(e, src, value);
		break;
	case CLASS_STORE_STRING:
	case CLASS_LOAD_STRING:
		return execute_string(e);
	}
	return true;
}

int mmio_emulate(const struct mmio_instruction *in, const struct mmio_ops *ops,
		 void *vp)
{
	struct emulation e = { .in = in, .ops = ops, .vp = vp };
	int rc = decode(&e);

	if (rc)
		return rc;
	if (!can_execute(&e))
		return -EOPNOTSUPP;
	if (execute(&e)) {
		uint64_t next = in->rip + e.decoded.length;

		if (in->mode != MMIO_CODE_64)
			next &= UINT32_MAX;
		ops->set_rip(vp, next);
	}
	return 0;
}
