/* SPDX-License-Identifier: MIT */
/*
 * A process of VTL2 that a signal has ended, on its way to the host: a stream
 * connection of VTL2's vsock to CORE_PORT of the host (CID 2), which begins
 *
 *	struct core_head | log_bytes of the kernel's log | ELF core, to the end
 *
 * and which the host closes when it has seen the end. There is one such
 * connection for each process. Only a kernel that makes cores does it; what
 * other images leave behind is the black box.
 */
#ifndef CORE_REG_H
#define CORE_REG_H

#include "le.h"

#define CORE_PORT 6u
#define CORE_MAGIC 0x45524f4356415250ull /* "PRAVCORE" */
#define CORE_VERSION 1u
#define CORE_LOG_MAX (256u << 10)

struct core_head {
	le64 magic;
	le32 version;
	le32 pid;
	le32 signal;
	le32 log_bytes; /* at most CORE_LOG_MAX */
} __packed;
_Static_assert(sizeof(struct core_head) == 24, "core_head");

#endif
