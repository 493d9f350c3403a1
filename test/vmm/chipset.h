/* SPDX-License-Identifier: MIT */
/*
 * The platform of a guest without VTL2: the daemon's chipset on VTL0's ports
 * and MMIO of this machine.
 */
#ifndef VMM_CHIPSET_H
#define VMM_CHIPSET_H

#include <stdio.h>

#include "machine.h"
#include "serial_back.h"

struct vtl0_chipset;

/* Before machine_run(). The streams must outlive it. NULL: out of memory. */
struct vtl0_chipset *vtl0_chipset_create(struct machine *m,
					 struct serial_back *com1,
					 struct serial_back *com2);
/* When no VP runs any more. NULL is harmless. */
void vtl0_chipset_destroy(struct vtl0_chipset *cs);

/* As at power-up. No VP runs. */
void vtl0_chipset_reset(struct vtl0_chipset *cs);

/* One JSON object, of the one chipset there is. Any thread. */
void vtl0_chipset_print_stats(FILE *out);

#endif
