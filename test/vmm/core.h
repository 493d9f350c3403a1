/* SPDX-License-Identifier: MIT */
/*
 * --core: takes the core of a process of VTL2 that a signal has ended
 * (include/core_reg.h) into FILE, and the kernel's log that came with it into
 * FILE.log. Both appear when the core is whole, and replace those of an earlier
 * one.
 *
 * Who connects from VTL2 reaches it as anybody else on the host: by the Unix
 * socket that vsock.h's convention names.
 */
#ifndef VMM_CORE_H
#define VMM_CORE_H

#include <pv/reactor.h>

struct core_file;

/* Listens on VSOCK_PORT's path. NULL after one line on stderr. Both strings
 * outlive it. Before loop_run(). */
struct core_file *core_file_open(const char *path, const char *vsock,
				 struct reactor *loop);

/* Once the loop has ended. NULL is harmless. */
void core_file_close(struct core_file *c);

#endif
