// SPDX-License-Identifier: MIT
/*
 * A black box for a person: what happened first, what the kernel said, what
 * went on before. Bytes that are no text are shown as dots, so that a file
 * from anybody cannot write to the terminal.
 */
#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "pvctl_blackbox.h"

static void put_text(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		putc(c == '\n' || c == '\t' || (c >= ' ' && c < 0x7f) ? c : '.',
		     out);
	}
}

static void put_time(FILE *out, uint64_t ns)
{
	fprintf(out, "[%5" PRIu64 ".%06" PRIu64 "] ", ns / 1000000000,
		ns / 1000 % 1000000);
}

static void put_zone(FILE *out, const struct blackbox_text *text)
{
	char last = '\n';

	for (unsigned int i = 0; i < 2; i++) {
		put_text(out, text->part[i], text->len[i]);
		if (text->len[i])
			last = text->part[i][text->len[i] - 1];
	}
	if (last != '\n')
		putc('\n', out);
}

static void put_signal(FILE *out, const struct blackbox_failure_view *f)
{
	static const char *const name[] = { BLACKBOX_REGISTER_NAMES };

	fprintf(out, "signal %" PRIu32 ", code %" PRId32 ", address %#" PRIx64
		", thread %" PRIu32 "%s\n", f->signal, (int32_t)f->code,
		f->address, f->thread,
		f->written ? "" : " (not written to the end)");
	for (unsigned int i = 0; i < BLACKBOX_REGISTERS; i++)
		fprintf(out, "%s%-6s %#18" PRIx64, i % 3 ? "   " : "\n    ",
			name[i], f->registers[i]);
	fputs("\n    stack, from rsp up:", out);
	for (unsigned int i = 0; i < f->stack_words; i++)
		fprintf(out, "%s%#18" PRIx64, i % 4 ? " " : "\n    ",
			f->stack[i]);
	putc('\n', out);
}

static void put_failures(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items items = blackbox_view_items(v, BLACKBOX_FAILURE);
	struct blackbox_failure_view f;

	fputs("\nFirst failures\n", out);
	if (blackbox_view_failure(items, BLACKBOX_FIRST_ERROR, &f)) {
		put_time(out, f.ns);
		put_text(out, f.text, f.len);
		putc('\n', out);
	}
	if (blackbox_view_failure(items, BLACKBOX_FIRST_SIGNAL, &f)) {
		put_time(out, f.ns);
		put_signal(out, &f);
	}
}

static void put_kernel(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items dumps =
		blackbox_view_items(v, BLACKBOX_RAMOOPS_DUMP);
	struct blackbox_items console =
		blackbox_view_items(v, BLACKBOX_RAMOOPS_CONSOLE);
	struct blackbox_text text;

	for (uint32_t i = 0; i < dumps.nr; i++) {
		if (!blackbox_view_zone(dumps, i, &text))
			continue;
		fprintf(out, "\nKernel: oops or panic %" PRIu32 "\n", i + 1);
		put_zone(out, &text);
	}
	fputs("\nKernel: console\n", out);
	if (blackbox_view_zone(console, 0, &text))
		put_zone(out, &text);
}

static void put_log(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items ring = blackbox_view_items(v, BLACKBOX_LOG);
	uint64_t newest = blackbox_view_newest(ring);
	struct blackbox_entry e;

	fprintf(out, "\nDaemon: %" PRIu64 " lines, the last\n", newest);
	for (uint64_t i = newest > ring.nr ? newest - ring.nr : 0; i++ < newest;)
		if (blackbox_view_entry(ring, i, &e)) {
			put_time(out, e.ns);
			fprintf(out, "%-5s ", blackbox_level_name(e.kind));
			put_text(out, (const char *)e.data, e.len);
			putc('\n', out);
		}
}

static void put_message(FILE *out, const struct blackbox_entry *e)
{
	const char *name = NULL;
	le32 type;

	if (e->len >= sizeof(type)) {
		memcpy(&type, e->data, sizeof(type));
		name = blackbox_message_name(le32_to_cpu(type));
	}
	put_time(out, e->ns);
	fprintf(out, "#%" PRIu64 " VP %u %s %s, %" PRIu32 " bytes:", e->number,
		e->vp, e->kind == BLACKBOX_TO_GUEST ? "<-" : "->",
		name ? name : "?", e->bytes);
	for (uint32_t i = 0; i < e->len; i++)
		fprintf(out, "%s%02x", i % 4 ? "" : " ", e->data[i]);
	putc('\n', out);
}

static void put_vmbus(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items ring = blackbox_view_items(v, BLACKBOX_VMBUS);
	uint64_t newest = blackbox_view_newest(ring);
	struct blackbox_entry e;

	fprintf(out, "\nVMBus: %" PRIu64 " messages, the last (-> from VTL0, "
		"<- to it)\n", newest);
	for (uint64_t i = newest > ring.nr ? newest - ring.nr : 0; i++ < newest;)
		if (blackbox_view_entry(ring, i, &e))
			put_message(out, &e);
}

static void put_trace(const struct blackbox_view *v,
		      const struct blackbox_trace *trace, uint32_t vp,
		      unsigned int exits, FILE *out)
{
	struct blackbox_items names = blackbox_view_items(v, BLACKBOX_NAMES);
	uint64_t from = trace->newest > exits ? trace->newest - exits : 0;
	struct blackbox_exit_view e;
	char name[BLACKBOX_NAME_SIZE];

	if (from < trace->oldest - 1)
		from = trace->oldest - 1;
	fprintf(out, "\nVP %" PRIu32 ": %" PRIu64 " exits, the last\n", vp,
		trace->newest);
	for (uint64_t i = from; i++ < trace->newest;) {
		if (!blackbox_view_exit(v, trace, i, &e))
			continue;
		blackbox_view_name(names, e.reason, name);
		put_time(out, e.time);
		fprintf(out, "#%" PRIu64 " %-9s %-7s rip %#" PRIx64
			" qualifier %#" PRIx64 " value %#" PRIx64, i, name,
			blackbox_access_name(e.access), e.rip, e.qualifier,
			e.value);
		if (e.took)
			fprintf(out, " %" PRIu64 " ns\n", e.took);
		else
			fputs(v->rate_ticks ? " under way\n" : "\n", out);
	}
}

void blackbox_print_text(const struct blackbox_view *v, unsigned int exits,
			 FILE *out)
{
	struct blackbox_items rings = blackbox_view_items(v, BLACKBOX_EXITS);
	struct blackbox_trace trace;

	fprintf(out, "Black box of VTL2, %zu KiB at %#" PRIx64 "\n",
		v->size >> 10, v->gpa);
	put_failures(v, out);
	put_kernel(v, out);
	put_log(v, out);
	put_vmbus(v, out);
	for (uint32_t vp = 0; vp < rings.nr; vp++)
		if (blackbox_view_trace(v, rings, vp, &trace))
			put_trace(v, &trace, vp, exits, out);
}
