/* SPDX-License-Identifier: MIT */
/* Intercepts whose instruction VTL2 executes for VTL0: accesses to memory that
 * is none, and string I/O. The VP's thread. */
#ifndef INTERCEPT_INSTRUCTION_H
#define INTERCEPT_INSTRUCTION_H

#include <hv_reg.h>

struct vp;

void intercept_memory(struct vp *vp, const struct hv_memory_message *m);
void intercept_string_port(struct vp *vp, const struct hv_io_port_message *m);

#endif
