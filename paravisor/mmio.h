/* SPDX-License-Identifier: MIT */
/*
 * Emulation of one instruction whose memory operand is a device's register.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual,
 * volume 2. Decoding is Zydis's.
 */
#ifndef MMIO_H
#define MMIO_H

#include <stdint.h>

enum mmio_mode { MMIO_CODE_16, MMIO_CODE_32, MMIO_CODE_64 };

/* What the intercept told. */
struct mmio_instruction {
	enum mmio_mode mode; /* from CS and EFER.LMA */
	const uint8_t *code; /* at RIP */
	unsigned int code_size; /* bytes, at most 15 are looked at */
	uint64_t rip, rflags;
	uint64_t gpa; /* of the first byte of the memory operand */
};

/* How the emulator reaches the VP and the device; all are called on the
 * caller's thread, before mmio_emulate() returns. */
struct mmio_ops {
	/* All 64 bits of general register 0..15 (RAX RCX RDX RBX RSP RBP RSI
	 * RDI R8 ...). */
	uint64_t (*get_gp)(void *vp, unsigned int n);
	void (*set_gp)(void *vp, unsigned int n, uint64_t value);
	void (*set_rip)(void *vp, uint64_t rip);
	/* NULL: instructions that change flags are refused. */
	void (*set_rflags)(void *vp, uint64_t rflags);
	uint64_t (*read)(void *vp, uint64_t gpa, unsigned int size);
	void (*write)(void *vp, uint64_t gpa, unsigned int size,
		      uint64_t value);
};

/*
 * Executes the instruction and moves RIP behind it; a repeated one goes on to
 * the end of the page at most, and leaves RIP where it is when there is more.
 *
 * 0; or nothing happened at all: -EINVAL, no instruction (inject #UD);
 * -EOPNOTSUPP, one that does more to a device's register than this can
 * (string moves, vectors, operands across a page).
 */
int mmio_emulate(const struct mmio_instruction *in, const struct mmio_ops *ops,
		 void *vp);

#endif
