/* SPDX-License-Identifier: MIT */
/*
 * The black box as an image has it: its header.
 */
#ifndef BLACK_BOX_H
#define BLACK_BOX_H

#include "blackbox_reg.h"

/* Fills in *h, all zeros, for `size` bytes at `gpa`; at least 2 MiB. */
void black_box_fill(struct blackbox_header *h, uint64_t gpa, uint64_t size);

#endif
