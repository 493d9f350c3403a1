/* SPDX-License-Identifier: MIT */
/*
 * --blackbox: a file with VTL2's black box as it was when VTL2 ended, whatever
 * ended it (include/blackbox_reg.h). The file appears whole, under its name,
 * or not at all; until then it has another, PATH.part.
 */
#ifndef VMM_BLACKBOX_H
#define VMM_BLACKBOX_H

#include <stddef.h>

struct blackbox_file;

/* Opens PATH.part. NULL after one line on stderr. */
struct blackbox_file *blackbox_file_open(const char *path);

/* Writes `size` bytes, which VPs may still be writing, and gives the file its
 * name; NULL: there are none, there is no file. Frees. 0, or -errno after one
 * line on stderr. */
int blackbox_file_end(struct blackbox_file *f, const void *bytes, size_t size);

#endif
