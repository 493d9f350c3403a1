// SPDX-License-Identifier: MIT
/*
 * A bench's JSON as a page. test/bench writes three kinds, and which one it is
 * is seen from the first case:
 *
 *	vtl	{OPERATION: {median, min, max, instructions}}
 *	native	[{name, case, instructions, ns, ...}], figures {median, spread}
 *	disk	[{block, depth, paravisor, direct, ratio}]
 *
 * A bar is as long as its median, against the longest one of its table; the
 * line below it is how far the measurements lie apart. Where the JSON has no
 * lowest one, only the line's length is measured: it is drawn around the median.
 */
#include <stdarg.h>
#include <string.h>

#include <yyjson.h>

#include "pvctl_html.h"
#include "pvctl_report.h"

/* Cases; a bench has some fifty. Those of a list are looked up one by one. */
#define MAX_CASES 1000u

struct bench {
	FILE *out;
	char *why; /* "": all well so far */
	size_t why_size;
};

struct figure {
	double median, low, spread;
	bool known; /* else it was null */
};

/* ---- what is in it ---- */

__attribute__((format(printf, 2, 3)))
static void refuse(struct bench *b, const char *format, ...)
{
	va_list args;

	if (*b->why)
		return;
	va_start(args, format);
	vsnprintf(b->why, b->why_size, format, args);
	va_end(args);
}

__attribute__((nonnull(1, 3)))
static double number(struct bench *b, yyjson_val *of, const char *name)
{
	yyjson_val *value = yyjson_obj_get(of, name);

	if (!yyjson_is_num(value))
		refuse(b, "a bench's case without a number `%s'", name);
	return yyjson_get_num(value);
}

/* {median, spread}, or null where it was not measured. */
__attribute__((nonnull(1, 3)))
static struct figure figure(struct bench *b, yyjson_val *of, const char *name)
{
	yyjson_val *value = yyjson_obj_get(of, name);
	struct figure f = { .known = yyjson_is_obj(value) };

	if (!f.known && !yyjson_is_null(value))
		refuse(b, "a bench's case without a figure `%s'", name);
	if (!f.known)
		return f;
	f.median = number(b, value, "median");
	f.spread = number(b, value, "spread");
	f.low = f.median - f.spread / 2;
	return f;
}

static double longest(struct figure f, double so_far)
{
	double end = f.low + f.spread > f.median ? f.low + f.spread : f.median;

	return end > so_far ? end : so_far;
}

/* ---- cells ---- */

static void put_figure(struct bench *b, struct figure f, double whole)
{
	if (!f.known) {
		fputs("<td class=\"n\">not counted</td><td></td><td></td>",
		      b->out);
		return;
	}
	html_number(b->out, "%.10g", f.median);
	html_number(b->out, "%.10g", f.spread);
	html_bar_spread(b->out, f.median, f.low, f.spread, whole);
}

static void put_number(struct bench *b, yyjson_val *of, const char *name)
{
	html_number(b->out, "%.10g", number(b, of, name));
}

static void put_text(struct bench *b, yyjson_val *of, const char *name)
{
	yyjson_val *value = yyjson_obj_get(of, name);

	if (!yyjson_is_str(value))
		refuse(b, "a bench's case without a text `%s'", name);
	fputs("<td>", b->out);
	html_text(b->out, yyjson_is_str(value) ? yyjson_get_str(value) : "",
		  yyjson_get_len(value));
	fputs("</td>", b->out);
}

static void put_head(struct bench *b, const char *title, const char *name,
		     const char *what)
{
	html_begin(b->out, title);
	fputs("<p class=\"dim\">", b->out);
	html_string(b->out, name);
	fputs("</p>\n<p>", b->out);
	html_string(b->out, what);
	fputs("</p>\n", b->out);
}

/* ---- vtl ---- */

static void report_vtl(struct bench *b, yyjson_val *root, const char *name)
{
	yyjson_val *key, *value;
	yyjson_obj_iter iter;
	double whole = 0, most = 0;

	put_head(b, "Bench: what an exit of VTL0 costs", name,
		 "One operation of the guest. The line below a bar goes from "
		 "the fastest of the rounds to the slowest.");
	yyjson_obj_iter_init(root, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		yyjson_val *count;

		value = yyjson_obj_iter_get_val(key);
		if (number(b, value, "max") > whole)
			whole = number(b, value, "max");
		count = yyjson_obj_get(value, "instructions");
		if (!yyjson_is_num(count) && !yyjson_is_null(count))
			refuse(b, "a bench's case without `instructions'");
		if (yyjson_get_num(count) > most)
			most = yyjson_get_num(count);
	}
	html_begin_table(b->out, NULL, "operation|#ns, median|#lowest|#highest"
			 "||#instructions|");
	yyjson_obj_iter_init(root, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		double low, high, median;

		value = yyjson_obj_iter_get_val(key);
		low = number(b, value, "min");
		high = number(b, value, "max");
		median = number(b, value, "median");
		fputs("<tr><td>", b->out);
		html_text(b->out, yyjson_get_str(key), yyjson_get_len(key));
		fputs("</td>", b->out);
		html_number(b->out, "%.10g", median);
		html_number(b->out, "%.10g", low);
		html_number(b->out, "%.10g", high);
		html_bar_spread(b->out, median, low, high - low, whole);
		value = yyjson_obj_get(value, "instructions");
		if (yyjson_is_num(value)) {
			html_number(b->out, "%.10g", yyjson_get_num(value));
			html_bar(b->out, yyjson_get_num(value), most);
		} else {
			fputs("<td class=\"n\">not counted</td><td></td>",
			      b->out);
		}
		fputs("</tr>\n", b->out);
	}
	html_end_table(b->out);
}

/* ---- native ---- */

/* Cases of one table: the same way through the daemon, the same size. What else
 * they are, depth and so on, is in their names. */
static bool alike(yyjson_val *a, yyjson_val *b)
{
	static const char *const name[] = { "case", "disk", "size" };

	for (unsigned int i = 0; i < 3; i++) {
		yyjson_val *x = yyjson_obj_get(a, name[i]);
		yyjson_val *y = yyjson_obj_get(b, name[i]);

		if (x != y && !yyjson_equals(x, y))
			return false;
	}
	return true;
}

static void put_native(struct bench *b, yyjson_val *item, double instructions,
		       double ns)
{
	static const char *const rest[] = { "signals_to_host",
		"signals_to_guest", "submits", "copied" };

	fputs("<tr>", b->out);
	put_text(b, item, "name");
	put_figure(b, figure(b, item, "instructions"), instructions);
	put_figure(b, figure(b, item, "ns"), ns);
	for (unsigned int i = 0; i < 4; i++)
		put_number(b, item, rest[i]);
	fputs("</tr>\n", b->out);
}

/* Items `from' to below `to'. */
static void put_native_table(struct bench *b, yyjson_val *root, size_t from,
			     size_t to)
{
	yyjson_val *first = yyjson_arr_get(root, from);
	double instructions = 0, ns = 0;

	for (size_t i = from; i < to; i++) {
		yyjson_val *item = yyjson_arr_get(root, i);

		instructions = longest(figure(b, item, "instructions"),
				       instructions);
		ns = longest(figure(b, item, "ns"), ns);
	}
	fputs("<h2>", b->out);
	html_string(b->out, yyjson_is_str(yyjson_obj_get(first, "case")) ?
		    yyjson_get_str(yyjson_obj_get(first, "case")) : "?");
	if (yyjson_is_str(yyjson_obj_get(first, "disk"))) {
		fputs(", disk: ", b->out);
		html_string(b->out,
			    yyjson_get_str(yyjson_obj_get(first, "disk")));
	}
	if (yyjson_is_num(yyjson_obj_get(first, "size")))
		fprintf(b->out, ", %.0f bytes",
			yyjson_get_num(yyjson_obj_get(first, "size")));
	fputs("</h2>\n", b->out);
	html_begin_table(b->out, NULL, "case|#instructions|#spread||#ns|"
			 "#spread||#signals to host|#to guest|#submits|"
			 "#bytes copied");
	for (size_t i = from; i < to; i++)
		put_native(b, yyjson_arr_get(root, i), instructions, ns);
	html_end_table(b->out);
}

static void report_native(struct bench *b, yyjson_val *root, const char *name)
{
	size_t n = yyjson_arr_size(root), from = 0;

	put_head(b, "Bench: what the data path costs", name,
		 "One item: a packet of a ring, a round trip, an I/O. The line "
		 "below a bar is as long as the measurements lie apart, drawn "
		 "around their median.");
	for (size_t i = 1; i <= n; i++)
		if (i == n || !alike(yyjson_arr_get(root, from),
				     yyjson_arr_get(root, i))) {
			put_native_table(b, root, from, i);
			from = i;
		}
}

/* ---- disk ---- */

static void put_disk_row(struct bench *b, yyjson_val *item, const char *way,
			 const char *what, double whole)
{
	yyjson_val *ratio = yyjson_obj_get(item, "ratio");

	fputs("<tr>", b->out);
	put_text(b, item, "block");
	put_number(b, item, "depth");
	fprintf(b->out, "<td>%s</td>", way);
	put_figure(b, figure(b, yyjson_obj_get(item, way), what), whole);
	ratio = yyjson_obj_get(ratio, what);
	if (!yyjson_is_num(ratio) && !yyjson_is_null(ratio))
		refuse(b, "a bench's case without a ratio of `%s'", what);
	if (*way == 'p' && yyjson_is_num(ratio))
		html_number(b->out, "%.10g", yyjson_get_num(ratio));
	else
		fputs("<td></td>", b->out);
	fputs("</tr>\n", b->out);
}

static void report_disk(struct bench *b, yyjson_val *root, const char *name)
{
	static const struct {
		const char *name, *title;
	} what[] = {
		{ "instructions", "Instructions of a read" },
		{ "iops", "Reads per second" },
		{ "us", "Microseconds of a read" },
	};
	static const char *const ways[] = { "paravisor", "direct" };
	size_t n = yyjson_arr_size(root);

	put_head(b, "Bench: a disk through the paravisor and directly", name,
		 "The same guest, job and controller both ways. The line below "
		 "a bar is as long as the rounds lie apart, drawn around their "
		 "median.");
	for (unsigned int w = 0; w < 3; w++) {
		double whole = 0;

		for (size_t i = 0; i < 2 * n; i++)
			whole = longest(figure(b, yyjson_obj_get(
				yyjson_arr_get(root, i / 2), ways[i % 2]),
				what[w].name), whole);
		fprintf(b->out, "<h2>%s</h2>\n", what[w].title);
		html_begin_table(b->out, NULL, "block|#depth|way|#median|"
				 "#spread||#ratio to direct");
		for (size_t i = 0; i < 2 * n; i++)
			put_disk_row(b, yyjson_arr_get(root, i / 2),
				     ways[i % 2], what[w].name, whole);
		html_end_table(b->out);
	}
}

/* ---- which ---- */

static void report(struct bench *b, yyjson_val *root, const char *name)
{
	yyjson_val *first = yyjson_arr_get_first(root);

	if (yyjson_arr_size(root) > MAX_CASES ||
	    yyjson_obj_size(root) > MAX_CASES)
		refuse(b, "more than %u cases", MAX_CASES);
	else if (yyjson_is_obj(root) && yyjson_obj_size(root))
		report_vtl(b, root, name);
	else if (yyjson_obj_get(first, "name"))
		report_native(b, root, name);
	else if (yyjson_obj_get(first, "block"))
		report_disk(b, root, name);
	else
		refuse(b, "JSON, but no bench's, or one without cases");
	html_end(b->out);
}

bool report_bench(const char *bytes, size_t size, const char *name, FILE *out,
		  char *why, size_t why_size)
{
	struct bench b = { out, why, why_size };
	yyjson_read_err error;
	/* It is not written to without the flag that allows that. */
	yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)bytes, size,
					   YYJSON_READ_NOFLAG, NULL, &error);

	*why = '\0';
	if (doc)
		report(&b, yyjson_doc_get_root(doc), name);
	else
		refuse(&b, "no black box, and no JSON: %s at byte %zu",
		       error.msg, error.pos);
	yyjson_doc_free(doc);
	return !*why;
}
