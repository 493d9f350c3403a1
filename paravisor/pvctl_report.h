/* SPDX-License-Identifier: MIT */
/* pvctl report: between its files. */
#ifndef PVCTL_REPORT_H
#define PVCTL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct blackbox_view;

/* A page; `name' is the file's. */
void report_blackbox(const struct blackbox_view *v, const char *name,
		     FILE *out);

/* A page of what test/bench wrote. False, with the reason in `why', if it is
 * nothing of the kind; then what went to `out' is to be forgotten. */
bool report_bench(const char *bytes, size_t size, const char *name, FILE *out,
		  char *why, size_t why_size);

#endif
