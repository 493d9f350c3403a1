// SPDX-License-Identifier: MIT
/*
 * The page that pvctl report writes: its head and style, escapes, bars.
 *
 * Well-formed as XML is: each element ends, each attribute has its quotes, so
 * that a strict reader (test/check/report) can tell ours from a guest's.
 */
#include <stdarg.h>
#include <string.h>

#include "pvctl_html.h"

#define BAR_WIDTH 160.0

static const char style[] =
	":root{color-scheme:light dark;--ink:#1b1e22;--dim:#59616a;"
	"--page:#fff;--line:#d8dde2;--soft:#f2f4f6;--bar:#2c6cb0;"
	"--spread:#b25e12;--bad:#a11d24}\n"
	"@media (prefers-color-scheme:dark){:root{--ink:#e3e6e9;--dim:#9aa4ae;"
	"--page:#14171a;--line:#343b42;--soft:#1e2327;--bar:#6ba6e6;"
	"--spread:#e0a05c;--bad:#f58e8e}}\n"
	"body{margin:0 auto;max-width:84rem;padding:1.5rem;"
	"background:var(--page);color:var(--ink);"
	"font:1rem/1.5 system-ui,sans-serif}\n"
	"h1{font-size:1.6rem;margin:0 0 .3rem}"
	"h2{font-size:1.2rem;margin:2.2rem 0 .6rem}"
	"h3{font-size:1rem;margin:1.4rem 0 .4rem}\n"
	"p{margin:.4rem 0;max-width:48rem}.dim,caption{color:var(--dim)}"
	".bad{border-left:.3rem solid var(--bad);padding-left:.8rem}\n"
	"a{color:var(--bar)}nav a{margin-right:1.2rem}"
	"summary{cursor:pointer}\n"
	".wide{overflow:auto;max-height:32rem;margin:.4rem 0}"
	"table{border-collapse:collapse;font-size:.9rem}"
	"thead th{position:sticky;top:0;background:var(--page)}"
	"caption{text-align:left;font-size:.9rem;white-space:nowrap;"
	"padding-bottom:.3rem}\n"
	"th,td{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top;"
	"border-bottom:1px solid var(--line);white-space:nowrap}"
	"th{color:var(--dim);font-weight:600}td.text{white-space:pre-wrap;"
	"overflow-wrap:anywhere}\n"
	".n{text-align:right;font-variant-numeric:tabular-nums}"
	"pre,code,.m{font-family:ui-monospace,monospace;font-size:.85rem}\n"
	"pre{background:var(--soft);padding:.8rem 1rem;overflow:auto;"
	"max-height:32rem;white-space:pre-wrap;overflow-wrap:anywhere}\n"
	"svg{display:block;margin-top:.3rem}.track{fill:var(--soft)}"
	".bar{fill:var(--bar)}.spread{fill:var(--spread)}\n"
	"@media print{pre,.wide{max-height:none}}\n";

static void put_escaped(FILE *out, const char *text, size_t len,
			const char *blanks)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		switch (c) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			putc((c >= ' ' && c < 0x7f) ||
			     (c && strchr(blanks, c)) ? c : '.', out);
		}
	}
}

void html_text(FILE *out, const char *text, size_t len)
{
	put_escaped(out, text, len, "\n\t");
}

void html_string(FILE *out, const char *text)
{
	html_text(out, text, strlen(text));
}

void html_attribute(FILE *out, const char *text)
{
	put_escaped(out, text, strlen(text), "");
}

void html_begin(FILE *out, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head>"
	      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
	      "content=\"width=device-width,initial-scale=1\"/>\n<title>", out);
	html_string(out, title);
	fprintf(out, "</title>\n<style>\n%s</style></head>\n<body>\n<h1>",
		style);
	html_string(out, title);
	fputs("</h1>\n", out);
}

void html_end(FILE *out)
{
	fputs("</body></html>\n", out);
}

void html_begin_table(FILE *out, const char *caption, const char *heads)
{
	fputs("<div class=\"wide\"><table>", out);
	if (caption) {
		fputs("<caption>", out);
		html_string(out, caption);
		fputs("</caption>", out);
	}
	fputs("\n<thead><tr>", out);
	for (;;) {
		size_t len = strcspn(heads, "|");
		size_t number = *heads == '#';

		fprintf(out, "<th scope=\"col\"%s>",
			number ? " class=\"n\"" : "");
		html_text(out, heads + number, len - number);
		fputs("</th>", out);
		if (!heads[len])
			break;
		heads += len + 1;
	}
	fputs("</tr></thead>\n<tbody>\n", out);
}

void html_end_table(FILE *out)
{
	fputs("</tbody></table></div>\n", out);
}

void html_number(FILE *out, const char *format, ...)
{
	char text[64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fputs("<td class=\"n\">", out);
	html_string(out, text);
	fputs("</td>", out);
}

/* Where it is in a bar; anything may stand in a file. */
static double place(double value, double whole)
{
	double share = whole > 0 ? value / whole : 0;

	if (!(share > 0))
		return 0;
	return share < 1 ? share * BAR_WIDTH : BAR_WIDTH;
}

static void bar(FILE *out, double value, double whole, unsigned int height)
{
	fprintf(out, "<td><svg width=\"%.0f\" height=\"14\" "
		"aria-hidden=\"true\"><rect class=\"track\" width=\"%.0f\" "
		"height=\"%u\"/><rect class=\"bar\" width=\"%.1f\" "
		"height=\"%u\"/>", BAR_WIDTH, BAR_WIDTH, height,
		place(value, whole), height);
}

void html_bar(FILE *out, double value, double whole)
{
	bar(out, value, whole, 14);
	fputs("</svg></td>", out);
}

void html_bar_spread(FILE *out, double value, double low, double spread,
		     double whole)
{
	double from = place(low, whole);
	double to = place(low + spread, whole);

	bar(out, value, whole, 9);
	/* Seen, however short. */
	if (from > BAR_WIDTH - 1)
		from = BAR_WIDTH - 1;
	fprintf(out, "<rect class=\"spread\" x=\"%.1f\" y=\"11\" width=\"%.1f\""
		" height=\"3\"/></svg></td>", from,
		to - from > 1 ? to - from : 1);
}
