/* SPDX-License-Identifier: MIT */
/*
 * Emulated string instructions.
 *
 * All of them are one loop over elements between two ends:
 *
 *	         source         target
 *	MOVS     [RSI]          [RDI]
 *	STOS     RAX            [RDI]
 *	LODS     [RSI]          RAX
 *	INS      port           [RDI]
 *	OUTS     [RSI]          port
 *	CMPS     [RSI]   minus  [RDI]
 *	SCAS     RAX     minus  [RDI]
 *
 * One end in memory is at the address the intercept told. Where there may be
 * two, and for INS and OUTS, the linear addresses are translated, each for what
 * the instruction does there, before the first element moves: so a page fault
 * finds nothing done. What is done in one go ends with a page, at either end.
 * An element that itself crosses a page is done alone, and only in RAM; buffers
 * need no alignment, while nothing sane crosses two pages of registers.
 */
#include <errno.h>

#include <Zydis/Register.h>

#include "mmio_operand.h"

enum end_kind { END_RAX, END_PORT, END_MEMORY };

struct end {
	enum end_kind kind;
	unsigned int index;  /* RSI or RDI, of END_MEMORY */
	bool write;
	uint64_t gpa;	     /* of the next element */
	unsigned int before; /* its bytes before the end of the page */
	uint64_t rest;	     /* GPA of its bytes after that */
};

struct string {
	struct mmio_emulation *e;
	unsigned int size; /* of an element */
	uint64_t step;	   /* to the next one */
	bool compare;
	struct end source, target;
};

static const struct {
	ZydisMnemonic first; /* the byte form; then the wider ones */
	ZydisMnemonic word, dword, qword;
	enum end_kind source, target;
	bool compare;
} forms[] = {
#define FORM(name, d, q) \
	ZYDIS_MNEMONIC_##name##B, ZYDIS_MNEMONIC_##name##W, d, q
	{ FORM(MOVS, ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_MOVSQ), END_MEMORY,
	  END_MEMORY, false },
	{ FORM(STOS, ZYDIS_MNEMONIC_STOSD, ZYDIS_MNEMONIC_STOSQ), END_RAX,
	  END_MEMORY, false },
	{ FORM(LODS, ZYDIS_MNEMONIC_LODSD, ZYDIS_MNEMONIC_LODSQ), END_MEMORY,
	  END_RAX, false },
	{ FORM(INS, ZYDIS_MNEMONIC_INSD, ZYDIS_MNEMONIC_INVALID), END_PORT,
	  END_MEMORY, false },
	{ FORM(OUTS, ZYDIS_MNEMONIC_OUTSD, ZYDIS_MNEMONIC_INVALID), END_MEMORY,
	  END_PORT, false },
	{ FORM(CMPS, ZYDIS_MNEMONIC_CMPSD, ZYDIS_MNEMONIC_CMPSQ), END_MEMORY,
	  END_MEMORY, true },
	{ FORM(SCAS, ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ), END_RAX,
	  END_MEMORY, true },
#undef FORM
};

static bool find_form(struct string *s)
{
	const ZydisDecodedInstruction *d = &s->e->decoded;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (d->mnemonic != forms[i].first &&
		    d->mnemonic != forms[i].word &&
		    d->mnemonic != forms[i].dword &&
		    d->mnemonic != forms[i].qword)
			continue;
		s->source.kind = forms[i].source;
		s->source.index = MMIO_RSI;
		s->target.kind = forms[i].target;
		s->target.index = MMIO_RDI;
		s->target.write = !forms[i].compare;
		s->compare = forms[i].compare;
		/* Two of these names are also vector instructions. */
		return d->meta.category == ZYDIS_CATEGORY_STRINGOP ||
		       d->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
	}
	return false;
}

/* ------------------------------------------------------------------------
 * Registers.
 */

static unsigned int address_size(const struct string *s)
{
	return s->e->decoded.address_width / 8;
}

static uint64_t address_get(const struct string *s, unsigned int n)
{
	return s->e->ops->get_gp(s->e->vp, n) & mmio_mask(address_size(s));
}

static uint64_t address_add(struct string *s, unsigned int n, uint64_t by)
{
	uint64_t value = (address_get(s, n) + by) & mmio_mask(address_size(s));

	mmio_set_gp(s->e, n, 0, address_size(s), value);
	return value;
}

/* ------------------------------------------------------------------------
 * Where an end is.
 */

static uint64_t segment_base(const struct string *s, const struct end *end)
{
	const struct mmio_emulation *e = s->e;
	ZydisRegister segment = ZYDIS_REGISTER_DS;

	if (end->index == MMIO_RDI)
		segment = ZYDIS_REGISTER_ES;
	else if (e->decoded.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS)
		segment = ZYDIS_REGISTER_CS;
	else if (e->decoded.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS)
		segment = ZYDIS_REGISTER_SS;
	else if (e->decoded.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_ES)
		segment = ZYDIS_REGISTER_ES;
	else if (e->decoded.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS)
		segment = ZYDIS_REGISTER_FS;
	else if (e->decoded.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS)
		segment = ZYDIS_REGISTER_GS;
	if (e->in->mode == MMIO_CODE_64 && segment < ZYDIS_REGISTER_FS)
		return 0;
	return e->ops->segment_base(e->vp, (enum mmio_segment)(
						   segment - ZYDIS_REGISTER_ES));
}

static uint64_t linear_address(const struct string *s, const struct end *end)
{
	uint64_t gva = segment_base(s, end) + address_get(s, end->index);

	return s->e->in->mode == MMIO_CODE_64 ? gva : gva & UINT32_MAX;
}

/* `told`: the intercept's address is this end's. */
static int locate(struct string *s, struct end *end, bool told)
{
	const struct mmio_emulation *e = s->e;
	uint64_t gva;
	int ret;

	if (end->kind != END_MEMORY)
		return 0;
	gva = told ? e->in->gpa : linear_address(s, end);
	end->gpa = e->in->gpa;
	if (!told) {
		ret = e->ops->translate(e->vp, gva, end->write, &end->gpa);
		if (ret)
			return ret;
	}
	end->before = MMIO_PAGE - gva % MMIO_PAGE;
	if (end->before >= s->size)
		return 0;
	if (told)
		return -EOPNOTSUPP;
	gva += end->before;
	if (e->in->mode != MMIO_CODE_64)
		gva &= UINT32_MAX;
	ret = e->ops->translate(e->vp, gva, end->write, &end->rest);
	if (ret)
		return ret;
	return e->ops->is_ram(e->vp, end->gpa) &&
			       e->ops->is_ram(e->vp, end->rest) ?
		       0 : -EOPNOTSUPP;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Elements that lie in the page of this end, in the direction of the string,
 * before its index register wraps. */
static uint64_t elements(const struct string *s, const struct end *end)
{
	uint64_t index = address_get(s, end->index);
	uint64_t room = mmio_mask(address_size(s)) - index;

	if (end->kind != END_MEMORY)
		return UINT64_MAX;
	if (end->before < s->size)
		return 1;
	if (s->step == s->size)
		return smaller(end->before / s->size, room / s->size + 1);
	return smaller(end->gpa % MMIO_PAGE / s->size, index / s->size) + 1;
}

/* ------------------------------------------------------------------------
 * One element.
 */

static uint64_t byte_gpa(const struct end *end, unsigned int i)
{
	return i < end->before ? end->gpa + i : end->rest + i - end->before;
}

static uint64_t memory_read(struct string *s, const struct end *end)
{
	const struct mmio_emulation *e = s->e;
	uint64_t value = 0;

	if (end->before >= s->size)
		return e->ops->read(e->vp, end->gpa, s->size) &
		       mmio_mask(s->size);
	for (unsigned int i = 0; i < s->size; i++)
		value |= (e->ops->read(e->vp, byte_gpa(end, i), 1) & 0xff)
			 << (8 * i);
	return value;
}

static void memory_write(struct string *s, const struct end *end,
			 uint64_t value)
{
	const struct mmio_emulation *e = s->e;

	if (end->before >= s->size) {
		e->ops->write(e->vp, end->gpa, s->size, value);
		return;
	}
	for (unsigned int i = 0; i < s->size; i++)
		e->ops->write(e->vp, byte_gpa(end, i), 1,
			      value >> (8 * i) & 0xff);
}

static uint64_t end_read(struct string *s, const struct end *end)
{
	struct mmio_emulation *e = s->e;

	switch (end->kind) {
	case END_RAX:
		return e->ops->get_gp(e->vp, MMIO_RAX) & mmio_mask(s->size);
	case END_PORT:
		return e->ops->port_read(e->vp, e->in->port, s->size) &
		       mmio_mask(s->size);
	default:
		return memory_read(s, end);
	}
}

static void end_write(struct string *s, const struct end *end, uint64_t value)
{
	struct mmio_emulation *e = s->e;

	switch (end->kind) {
	case END_RAX:
		mmio_set_gp(e, MMIO_RAX, 0, s->size, value);
		break;
	case END_PORT:
		e->ops->port_write(e->vp, e->in->port, s->size, value);
		break;
	default:
		memory_write(s, end, value);
	}
}

static void step(struct string *s, struct end *end)
{
	end->gpa += s->step;
	end->before -= (unsigned int)s->step;
}

/* ------------------------------------------------------------------------
 * The loop.
 */

enum repeat { ONCE, REPEAT, WHILE_EQUAL, UNTIL_EQUAL };

/* The last of the two prefixes counts; only comparisons tell them apart. */
static enum repeat repetition(const struct string *s)
{
	const ZydisDecodedInstruction *d = &s->e->decoded;
	enum repeat repeat = ONCE;

	for (unsigned int i = 0; i < d->raw.prefix_count; i++) {
		if (d->raw.prefixes[i].value == 0xf3)
			repeat = s->compare ? WHILE_EQUAL : REPEAT;
		else if (d->raw.prefixes[i].value == 0xf2)
			repeat = s->compare ? UNTIL_EQUAL : REPEAT;
	}
	return repeat;
}

/* Up to `n` elements; how many it was. *stop: a comparison ended it. */
static uint64_t move(struct string *s, uint64_t n, enum repeat repeat,
		     bool *stop)
{
	uint64_t flags = s->e->in->rflags, i;

	*stop = false;
	for (i = 0; i < n && !*stop; i++) {
		uint64_t value = end_read(s, &s->source);

		if (s->compare) {
			flags = mmio_compare(value, end_read(s, &s->target),
					     s->size, flags);
			*stop = (repeat == WHILE_EQUAL && !(flags & MMIO_ZF)) ||
				(repeat == UNTIL_EQUAL && flags & MMIO_ZF);
		} else {
			end_write(s, &s->target, value);
		}
		step(s, &s->source);
		step(s, &s->target);
	}
	if (s->compare)
		s->e->ops->set_rflags(s->e->vp, flags);
	return i;
}

int mmio_string(struct mmio_emulation *e, bool port)
{
	struct string s = { .e = e, .size = e->decoded.operand_width / 8 };
	bool told, stop;
	enum repeat repeat;
	uint64_t n = 1;
	int ret;

	if (!find_form(&s))
		return -EOPNOTSUPP;
	if (port != (s.source.kind == END_PORT || s.target.kind == END_PORT))
		return -EOPNOTSUPP;
	/* The decoder gives INS and OUTS 8 bytes with REX.W; they have 4. */
	if (port && s.size == 8)
		s.size = 4;
	s.step = e->in->rflags & MMIO_DF ? -(uint64_t)s.size : s.size;
	repeat = repetition(&s);
	if (repeat != ONCE)
		n = address_get(&s, MMIO_RCX);
	if (!n)
		return 1;
	told = s.source.kind == END_RAX || s.target.kind == END_RAX;
	ret = locate(&s, &s.source, told);
	if (!ret)
		ret = locate(&s, &s.target, told);
	if (ret)
		return ret;
	n = smaller(n, smaller(elements(&s, &s.source),
			       elements(&s, &s.target)));
	n = move(&s, n, repeat, &stop);
	if (s.source.kind == END_MEMORY)
		address_add(&s, MMIO_RSI, n * s.step);
	if (s.target.kind == END_MEMORY)
		address_add(&s, MMIO_RDI, n * s.step);
	if (repeat == ONCE)
		return 1;
	return !address_add(&s, MMIO_RCX, -n) || stop;
}
