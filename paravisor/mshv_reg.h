/* SPDX-License-Identifier: MIT */
/*
 * The run page of a VP: what the kernel's mshv_vtl driver shares with the
 * process that runs VTL0 (Linux, drivers/hv/mshv_vtl.h; it is part of the
 * interface but not of the exported headers).
 *
 * The driver is of our own machine: native byte order, and trusted.
 */
#ifndef MSHV_REG_H
#define MSHV_REG_H

#include <stdint.h>

#include <hv_reg.h>

#define MSHV_RETURN_ACTIONS_MAX 16u

/* VTL0's registers that both levels share in the CPU. General registers are
 * numbered as in instructions, except that RSP is private to each level: its
 * place holds CR2. */
struct mshv_context {
	uint64_t gp[16];
	uint8_t fx[512]; /* FXSAVE image */
};
_Static_assert(sizeof(struct mshv_context) == 640, "mshv_vtl.h");

#define MSHV_CONTEXT_CR2 4

struct mshv_run {
	/* 1: the next or current run ends with EINTR. The kernel sets it, user
	 * space clears it. */
	uint32_t cancel;
	uint32_t actions_size; /* bytes; the kernel zeroes it when it takes them */
	uint32_t pad[2];
	struct hv_message message; /* stale unless a run ended with 0 */
	struct mshv_context context;
	uint8_t reserved[1024 - sizeof(struct mshv_context)];
	struct hv_return_action actions[MSHV_RETURN_ACTIONS_MAX];
};
_Static_assert(__builtin_offsetof(struct mshv_run, message) == 16,
	       "mshv_vtl.h");
_Static_assert(__builtin_offsetof(struct mshv_run, context) == 272,
	       "mshv_vtl.h");
_Static_assert(__builtin_offsetof(struct mshv_run, actions) == 1296,
	       "mshv_vtl.h");
_Static_assert(sizeof(struct mshv_run) == 1552, "mshv_vtl.h");

#endif
