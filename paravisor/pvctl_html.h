/* SPDX-License-Identifier: MIT */
/*
 * Pages of pvctl report: HTML that needs nothing but itself, no script, no
 * other file, and reads in light and dark. What others wrote goes through
 * html_text() or html_attribute(), and nowhere else.
 *
 * One thread. Errors are the stream's.
 */
#ifndef PVCTL_HTML_H
#define PVCTL_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* `title' is anybody's text. */
void html_begin(FILE *out, const char *title);
void html_end(FILE *out);

/* Text of anybody, escaped; bytes that are no ASCII text become dots. */
void html_text(FILE *out, const char *text, size_t len);
void html_string(FILE *out, const char *text);
/* A line's end is a blank there. */
void html_attribute(FILE *out, const char *text);

/* A table's head: `heads' are ours, with "|" between them; one that begins
 * with "#" is of numbers. html_end_table() ends it. */
void html_begin_table(FILE *out, const char *caption, const char *heads);
void html_end_table(FILE *out);
/* A cell of a number: as printf() has it. */
void html_number(FILE *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A bar, as a cell: `value' of `whole', which is what the widest one has. */
void html_bar(FILE *out, double value, double whole);
/* The same with how far measurements lie apart: as a line below the bar, as
 * long as `spread', from `low' on. */
void html_bar_spread(FILE *out, double value, double low, double spread,
		     double whole);

#endif
