/* SPDX-License-Identifier: MIT */
/*
 * The daemon's part of the black box (blackbox_reg.h): what outlives VTL2.
 *
 * Without one (an image that has none, or no room for a thing in it) every
 * function here does nothing, and exits are traced in ordinary memory.
 *
 * Threads: any, once blackbox_open() has returned; nothing waits, nothing
 * allocates. blackbox_open() and blackbox_names() come first, by one thread.
 */
#ifndef BLACKBOX_H
#define BLACKBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <blackbox_reg.h>

struct dt_range;
struct mshv;

/*
 * Maps the range, takes copies of all later log lines into it, and notes the
 * signal that ends the daemon. Logs one line when there is no black box or the
 * range is not one, and goes on.
 */
void blackbox_open(struct mshv *mshv, const struct dt_range *range);
/* The same on memory that is there; `size` bytes. For tests, too. */
bool blackbox_use(void *base, uint64_t gpa, uint64_t size);

/* What the first reasons of trace.h are called. */
void blackbox_names(const char *const *name, unsigned int nr);

/* Where the exits of a VP go: a struct trace_ring, all zeros; or NULL. */
void *blackbox_exits(unsigned int vp);

/* A message of VTL0's VMBus server. */
void blackbox_message(enum blackbox_direction direction, uint32_t vp,
		      const void *payload, size_t size);

/* A line of the log, of enum log_level. The first error is kept for good. */
void blackbox_log(int level, const char *line, size_t len);

#endif
