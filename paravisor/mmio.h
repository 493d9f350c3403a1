/* SPDX-License-Identifier: MIT */
/*
 * Emulation of one instruction that reaches a device: one whose memory operand
 * is a device's register, or INS and OUTS, whose memory operand is anything.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual,
 * volume 2. Decoding is Zydis's.
 *
 * Executed:
 *	MOV MOVZX MOVSX MOVSXD MOVNTI MOVBE
 *	ADD ADC SUB SBB AND OR XOR INC DEC NEG NOT CMP TEST
 *	BT BTS BTR BTC, XCHG XADD CMPXCHG CMPXCHG8B, with LOCK where it may stand
 *	MOVS STOS LODS CMPS SCAS INS OUTS, with REP
 * Refused: everything else (vectors, CMPXCHG16B, shifts, PUSH, CALL, ...), and
 * a device's register across the end of a page.
 *
 * Not looked at: segment limits, single steps (TF) and debug registers.
 */
#ifndef MMIO_H
#define MMIO_H

#include <stdbool.h>
#include <stdint.h>

enum mmio_mode { MMIO_CODE_16, MMIO_CODE_32, MMIO_CODE_64 };

/* Segment registers as instructions number them. */
enum mmio_segment {
	MMIO_ES,
	MMIO_CS,
	MMIO_SS,
	MMIO_DS,
	MMIO_FS,
	MMIO_GS,
};

/* What the intercept told. */
struct mmio_instruction {
	enum mmio_mode mode; /* from CS and EFER.LMA */
	const uint8_t *code; /* at RIP */
	unsigned int code_size; /* bytes, at most 15 are looked at */
	uint64_t rip, rflags;
	/* mmio_emulate(): of the first byte of the memory operand; of a bit
	 * string, of the word that has the bit. */
	uint64_t gpa;
	uint16_t port; /* mmio_emulate_port() */
};

/* How the emulator reaches the VP and the device; all are called on the
 * caller's thread, before mmio_emulate() returns. */
struct mmio_ops {
	/* All 64 bits of general register 0..15 (RAX RCX RDX RBX RSP RBP RSI
	 * RDI R8 ...). */
	uint64_t (*get_gp)(void *vp, unsigned int n);
	void (*set_gp)(void *vp, unsigned int n, uint64_t value);
	void (*set_rip)(void *vp, uint64_t rip);
	void (*set_rflags)(void *vp, uint64_t rflags);
	/* 1, 2, 4 or 8 bytes of a device or of RAM, inside one page. */
	uint64_t (*read)(void *vp, uint64_t gpa, unsigned int size);
	void (*write)(void *vp, uint64_t gpa, unsigned int size,
		      uint64_t value);
	/* Between the two, no other VP reaches a device. */
	void (*lock)(void *vp);
	void (*unlock)(void *vp);

	/* For instructions with a second memory operand, INS and OUTS. */
	uint64_t (*segment_base)(void *vp, enum mmio_segment segment);
	/* Where the byte at linear address `gva` is, if the guest may read (or
	 * write) it there: 0, or an error which mmio_emulate() returns. */
	int (*translate)(void *vp, uint64_t gva, bool write, uint64_t *gpa);
	bool (*is_ram)(void *vp, uint64_t gpa);
	/* 1, 2 or 4 bytes. */
	uint64_t (*port_read)(void *vp, uint16_t port, unsigned int size);
	void (*port_write)(void *vp, uint16_t port, unsigned int size,
			   uint64_t value);
};

/*
 * Executes the instruction and moves RIP behind it; a repeated one goes on to
 * the end of a page at most, and leaves RIP where it is when there is more.
 *
 * 0; or nothing happened at all: -EINVAL, no instruction (inject #UD);
 * -EOPNOTSUPP, one that is refused (see above); or translate()'s error.
 */
int mmio_emulate(const struct mmio_instruction *in, const struct mmio_ops *ops,
		 void *vp);

/* The same for INS and OUTS of in->port; anything else is -EOPNOTSUPP. */
int mmio_emulate_port(const struct mmio_instruction *in,
		      const struct mmio_ops *ops, void *vp);

#endif
