// SPDX-License-Identifier: MIT
/*
 * A black box as a page: what ended VTL2, as far as it says so, then first
 * failures, what each VP did, VMBus, and the logs.
 *
 * What ended it is put together from three things that a VTL2 leaves when it
 * fails: the signal of the daemon, the kernel's word of a panic, and exits that
 * were being answered. None of them may be there: nobody writes anything at a
 * triple fault.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pvctl_blackbox.h"
#include "pvctl_html.h"
#include "pvctl_report.h"

#define SHOWN 64u /* exits of a VP, the newest */

static const char panic_mark[] = "Kernel panic - not syncing";

struct reasons {
	uint64_t of[BLACKBOX_REASONS], other;
	uint64_t all;
};

/* ---- pieces ---- */

static void put_time(FILE *out, uint64_t ns)
{
	html_number(out, "%" PRIu64 ".%06" PRIu64, ns / 1000000000,
		    ns / 1000 % 1000000);
}

static void put_code(FILE *out, uint64_t value)
{
	fprintf(out, "<td class=\"m\">%#" PRIx64 "</td>", value);
}

static void put_cell(FILE *out, const char *text, size_t len)
{
	fputs("<td class=\"m text\">", out);
	html_text(out, text, len);
	fputs("</td>", out);
}

static void put_zone(FILE *out, const struct blackbox_text *text)
{
	fputs("<pre>", out);
	for (unsigned int i = 0; i < 2; i++)
		html_text(out, text->part[i], text->len[i]);
	fputs("</pre>\n", out);
}

/* ---- what ended it ---- */

/* The last line of a zone with a panic in it; false: none. */
static bool put_panic(FILE *out, struct blackbox_items zones, uint32_t n)
{
	struct blackbox_text text;
	char *all, *found = NULL;
	size_t len;

	if (!blackbox_view_zone(zones, n, &text))
		return false;
	len = text.len[0] + text.len[1];
	all = malloc(len + 1);
	if (!all)
		return false;
	memcpy(all, text.part[0], text.len[0]);
	memcpy(all + text.len[0], text.part[1], text.len[1]);
	for (char *at = all; (at = memmem(at, (size_t)(all + len - at),
					  panic_mark, sizeof(panic_mark) - 1));
	     at++)
		found = at;
	if (found) {
		const char *end = memchr(found, '\n',
					 (size_t)(all + len - found));

		fputs("<p class=\"bad\">VTL2's kernel: <code>", out);
		html_text(out, found, (size_t)((end ? end : all + len) -
					       found));
		fputs("</code></p>\n", out);
	}
	free(all);
	return found != NULL;
}

static void put_signal_name(FILE *out, uint32_t number)
{
	const char *name = sigabbrev_np((int)number);

	if (name)
		fprintf(out, "SIG%s", name);
	else
		fprintf(out, "signal %" PRIu32, number);
}

/* A VP whose newest exit has no end. */
static bool put_under_way(const struct blackbox_view *v, uint32_t vp, FILE *out)
{
	struct blackbox_items rings = blackbox_view_items(v, BLACKBOX_EXITS);
	struct blackbox_items names = blackbox_view_items(v, BLACKBOX_NAMES);
	struct blackbox_trace trace;
	struct blackbox_exit_view e;
	char name[BLACKBOX_NAME_SIZE];

	if (!v->rate_ticks || !blackbox_view_trace(v, rings, vp, &trace) ||
	    !blackbox_view_exit(v, &trace, trace.newest, &e) || e.took)
		return false;
	blackbox_view_name(names, e.reason, name);
	fprintf(out, "<p>VP %" PRIu32 " was answering an exit of the guest: "
		"<code>", vp);
	html_string(out, name);
	fprintf(out, " %s, qualifier %#" PRIx64 ", rip %#" PRIx64
		"</code></p>\n", blackbox_access_name(e.access), e.qualifier,
		e.rip);
	return true;
}

static void put_end(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items failures =
		blackbox_view_items(v, BLACKBOX_FAILURE);
	struct blackbox_items dumps =
		blackbox_view_items(v, BLACKBOX_RAMOOPS_DUMP);
	struct blackbox_items rings = blackbox_view_items(v, BLACKBOX_EXITS);
	struct blackbox_failure_view f;
	bool known = false, panic;

	fputs("<h2 id=\"end\">What ended it</h2>\n", out);
	if (blackbox_view_failure(failures, BLACKBOX_FIRST_SIGNAL, &f)) {
		fputs("<p class=\"bad\">The daemon: <code>", out);
		put_signal_name(out, f.signal);
		fprintf(out, "</code> at address <code>%#" PRIx64
			"</code>, rip <code>%#" PRIx64 "</code>, thread %"
			PRIu32 "</p>\n", f.address, f.registers[0], f.thread);
		known = true;
	}
	panic = put_panic(out, blackbox_view_items(v,
						   BLACKBOX_RAMOOPS_CONSOLE),
			  0);
	for (uint32_t i = dumps.nr; i-- > 0 && !panic;)
		panic = put_panic(out, dumps, i);
	if (!known && !panic)
		fputs("<p>The box does not say: no signal of the daemon and no "
		      "panic of VTL2's kernel. A triple fault of VTL2 leaves "
		      "no word, and neither does an end from outside, or a "
		      "VTL2 that still runs.</p>\n", out);
	for (uint32_t vp = 0, said = 0; vp < rings.nr && said < 8; vp++)
		said += put_under_way(v, vp, out);
}

/* ---- first failures ---- */

static void put_signal(const struct blackbox_failure_view *f, FILE *out)
{
	static const char *const name[] = { BLACKBOX_REGISTER_NAMES };

	fputs("<h3>Signal: ", out);
	put_signal_name(out, f->signal);
	fprintf(out, ", code %" PRId32 "%s</h3>\n<pre>", (int32_t)f->code,
		f->written ? "" : ", not written to its end");
	for (unsigned int i = 0; i < BLACKBOX_REGISTERS; i++)
		fprintf(out, "%-6s %#18" PRIx64 "%s", name[i], f->registers[i],
			i % 3 == 2 ? "\n" : "   ");
	fputs("\nstack, from rsp up", out);
	for (unsigned int i = 0; i < f->stack_words; i++)
		fprintf(out, "%s%#18" PRIx64, i % 4 ? " " : "\n", f->stack[i]);
	fputs("</pre>\n", out);
}

static void put_failures(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items items = blackbox_view_items(v, BLACKBOX_FAILURE);
	struct blackbox_failure_view f;
	bool any = false;

	fputs("<h2 id=\"first\">First failure</h2>\n", out);
	if (blackbox_view_failure(items, BLACKBOX_FIRST_ERROR, &f)) {
		fprintf(out, "<p>The daemon's first error, at %" PRIu64
			".%06" PRIu64 " s%s:</p>\n<pre>", f.ns / 1000000000,
			f.ns / 1000 % 1000000,
			f.written ? "" : ", not written to its end");
		html_text(out, f.text, f.len);
		fputs("</pre>\n", out);
		any = true;
	}
	if (blackbox_view_failure(items, BLACKBOX_FIRST_SIGNAL, &f)) {
		put_signal(&f, out);
		any = true;
	}
	if (!any)
		fputs("<p>None: no error in the daemon's log, no signal.</p>\n",
		      out);
}

/* ---- VPs ---- */

static void count_reasons(const struct blackbox_view *v,
			  const struct blackbox_trace *trace,
			  struct reasons *out)
{
	struct blackbox_exit_view e;

	*out = (struct reasons){ .all = 0 };
	for (uint64_t i = trace->oldest - 1; i++ < trace->newest;) {
		if (!blackbox_view_exit(v, trace, i, &e))
			continue;
		out->all++;
		if (e.reason < BLACKBOX_REASONS)
			out->of[e.reason]++;
		else
			out->other++;
	}
}

static void put_reason(const struct reasons *r, const char *name,
		       uint64_t count, uint64_t spent, uint64_t most_spent,
		       FILE *out)
{
	fputs("<tr><td>", out);
	html_string(out, name);
	fputs("</td>", out);
	html_number(out, "%" PRIu64, count);
	html_bar(out, (double)count, (double)r->all);
	html_number(out, "%.3f", (double)spent / 1e6);
	html_bar(out, (double)spent, (double)most_spent);
	fputs("</tr>\n", out);
}

static void put_reasons(const struct blackbox_view *v,
			const struct blackbox_trace *trace, FILE *out)
{
	struct blackbox_items names = blackbox_view_items(v, BLACKBOX_NAMES);
	char name[BLACKBOX_NAME_SIZE];
	uint64_t most_spent = 0;
	struct reasons r;

	count_reasons(v, trace, &r);
	for (unsigned int i = 0; i < BLACKBOX_REASONS; i++)
		if (trace->spent[i] > most_spent)
			most_spent = trace->spent[i];
	html_begin_table(out, v->rate_ticks ?
		"By reason: the exits that are kept, and the time that all "
		"since the start took" :
		"By reason: the exits that are kept; how long any took is not "
		"known", "reason|#exits||#ms|");
	for (uint32_t i = 0; i < BLACKBOX_REASONS; i++) {
		if (!r.of[i] && !trace->spent[i])
			continue;
		blackbox_view_name(names, i, name);
		put_reason(&r, name, r.of[i], trace->spent[i], most_spent, out);
	}
	if (r.other)
		put_reason(&r, "no reason of ours", r.other, 0, most_spent,
			   out);
	html_end_table(out);
}

static void put_exit(const struct blackbox_view *v,
		     const struct blackbox_exit_view *e, FILE *out)
{
	struct blackbox_items names = blackbox_view_items(v, BLACKBOX_NAMES);
	char name[BLACKBOX_NAME_SIZE];

	blackbox_view_name(names, e->reason, name);
	fputs("<tr>", out);
	html_number(out, "%" PRIu64, e->number);
	put_time(out, e->time);
	fputs("<td>", out);
	html_string(out, name);
	fprintf(out, "</td><td>%s</td>", blackbox_access_name(e->access));
	put_code(out, e->rip);
	put_code(out, e->qualifier);
	put_code(out, e->value);
	if (e->took)
		html_number(out, "%" PRIu64, e->took);
	else
		fprintf(out, "<td class=\"n\">%s</td>",
			v->rate_ticks ? "under way" : "?");
	fputs("</tr>\n", out);
}

static void put_vp(const struct blackbox_view *v, uint32_t vp, FILE *out)
{
	struct blackbox_items rings = blackbox_view_items(v, BLACKBOX_EXITS);
	struct blackbox_trace trace;
	struct blackbox_exit_view e;
	uint64_t from;

	if (!blackbox_view_trace(v, rings, vp, &trace))
		return;
	from = trace.newest > SHOWN ? trace.newest - SHOWN : 0;
	if (from < trace.oldest - 1)
		from = trace.oldest - 1;
	fprintf(out, "<h3>VP %" PRIu32 ": %" PRIu64 " exits</h3>\n", vp,
		trace.newest);
	put_reasons(v, &trace, out);
	fprintf(out, "<details%s><summary>The last exits</summary>\n",
		vp ? "" : " open=\"open\"");
	html_begin_table(out, NULL, "#exit|#s|reason|access|rip|qualifier|"
			 "value|#ns");
	for (uint64_t i = trace.newest + 1; i-- > from + 1;)
		if (blackbox_view_exit(v, &trace, i, &e))
			put_exit(v, &e, out);
	html_end_table(out);
	fputs("</details>\n", out);
}

/* ---- rings ---- */

static void put_message(const struct blackbox_entry *e, FILE *out)
{
	const char *name = NULL;
	le32 type;

	if (e->len >= sizeof(type)) {
		memcpy(&type, e->data, sizeof(type));
		name = blackbox_message_name(le32_to_cpu(type));
	}
	fputs("<tr>", out);
	html_number(out, "%" PRIu64, e->number);
	put_time(out, e->ns);
	html_number(out, "%u", e->vp);
	fprintf(out, "<td>%s</td><td>%s</td>", e->kind == BLACKBOX_TO_GUEST ?
		"to VTL0" : "from VTL0", name ? name : "?");
	html_number(out, "%" PRIu32, e->bytes);
	fputs("<td class=\"m\">", out);
	for (uint32_t i = 0; i < e->len; i++)
		fprintf(out, "%s%02x", i && !(i % 4) ? " " : "", e->data[i]);
	fputs("</td></tr>\n", out);
}

static void put_line(const struct blackbox_entry *e, FILE *out)
{
	fputs("<tr>", out);
	put_time(out, e->ns);
	fprintf(out, "<td>%s</td>", blackbox_level_name(e->kind));
	put_cell(out, (const char *)e->data, e->len);
	fputs("</tr>\n", out);
}

static void put_ring(const struct blackbox_view *v, enum blackbox_kind kind,
		     const char *heads,
		     void (*put)(const struct blackbox_entry *e, FILE *out),
		     FILE *out)
{
	struct blackbox_items ring = blackbox_view_items(v, kind);
	uint64_t newest = blackbox_view_newest(ring);
	struct blackbox_entry e;

	fprintf(out, "<p class=\"dim\">%" PRIu64 " in all, the last of them, "
		"oldest first.</p>\n", newest);
	html_begin_table(out, NULL, heads);
	for (uint64_t i = newest > ring.nr ? newest - ring.nr : 0;
	     i++ < newest;)
		if (blackbox_view_entry(ring, i, &e))
			put(&e, out);
	html_end_table(out);
}

static void put_kernel(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items dumps =
		blackbox_view_items(v, BLACKBOX_RAMOOPS_DUMP);
	struct blackbox_text text;

	fputs("<h2 id=\"console\">Console of VTL2's kernel</h2>\n", out);
	if (blackbox_view_zone(blackbox_view_items(v,
						   BLACKBOX_RAMOOPS_CONSOLE),
			       0, &text))
		put_zone(out, &text);
	else
		fputs("<p>Nothing.</p>\n", out);
	for (uint32_t i = 0; i < dumps.nr; i++) {
		if (!blackbox_view_zone(dumps, i, &text))
			continue;
		fprintf(out, "<h3>Its log at oops %" PRIu32 "</h3>\n", i + 1);
		put_zone(out, &text);
	}
}

void report_blackbox(const struct blackbox_view *v, const char *name,
		     FILE *out)
{
	uint32_t vps = blackbox_view_items(v, BLACKBOX_EXITS).nr;

	html_begin(out, "Black box of VTL2");
	fputs("<p class=\"dim\">", out);
	html_string(out, name);
	fprintf(out, ": %zu KiB at %#" PRIx64 ". Times are seconds of VTL2's "
		"clock.</p>\n", v->size >> 10, v->gpa);
	fputs("<nav><a href=\"#end\">What ended it</a>"
	      "<a href=\"#first\">First failure</a><a href=\"#vps\">VPs</a>"
	      "<a href=\"#vmbus\">VMBus</a><a href=\"#log\">Daemon</a>"
	      "<a href=\"#console\">Console</a></nav>\n", out);
	put_end(v, out);
	put_failures(v, out);
	fputs("<h2 id=\"vps\">Virtual processors</h2>\n", out);
	for (uint32_t vp = 0; vp < vps; vp++)
		put_vp(v, vp, out);
	fputs("<h2 id=\"vmbus\">VMBus</h2>\n", out);
	put_ring(v, BLACKBOX_VMBUS, "#message|#s|#VP|way|name|#bytes|data",
		 put_message, out);
	fputs("<h2 id=\"log\">The daemon's log</h2>\n", out);
	put_ring(v, BLACKBOX_LOG, "#s|level|line", put_line, out);
	put_kernel(v, out);
	html_end(out);
}
