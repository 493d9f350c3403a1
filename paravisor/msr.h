/* SPDX-License-Identifier: MIT */
/*
 * VTL0's model-specific registers, as far as the hypervisor leaves them to
 * VTL2: a table of policies, and the guest crash registers.
 */
#ifndef MSR_H
#define MSR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct inspect;

#define MSR_CRASH_REGISTERS 6 /* P0-P4, CTL */

/* The partition's crash registers: the last write counts. */
struct msr_crash {
	_Atomic uint64_t reg[MSR_CRASH_REGISTERS];
};

enum msr_result {
	MSR_OK,
	MSR_FAULT,  /* #GP */
	MSR_CRASHED, /* written, and the guest says that it crashed */
};

/* `rip` is remembered for registers that nobody knows. Any VP's thread. */
enum msr_result msr_read(struct msr_crash *crash, uint32_t msr, uint64_t rip,
			 uint64_t *value);
enum msr_result msr_write(struct msr_crash *crash, uint32_t msr, uint64_t rip,
			  uint64_t value);

/* inspect_fn: the table with its counts, and registers that nobody knows. */
void msr_inspect(void *nothing, struct inspect *out);

#endif
