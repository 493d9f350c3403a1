// SPDX-License-Identifier: MIT
/*
 * A black box for a program: one object on one line, every key always there
 * (pvctl_blackbox.schema.json). Numbers that may need all 64 bits are strings,
 * in hexadecimal; bytes of a text beyond ASCII are taken one by one, as
 * U+0080 to U+00FF.
 */
#include <inttypes.h>
#include <string.h>

#include "pvctl_blackbox.h"

static void put_chars(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < ' ' || c >= 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
}

static void put_text(FILE *out, const char *key, const char *text, size_t len)
{
	fprintf(out, "\"%s\":\"", key);
	put_chars(out, text, len);
	putc('"', out);
}

static void put_hex(FILE *out, const char *key, uint64_t value)
{
	fprintf(out, "\"%s\":\"%#" PRIx64 "\"", key, value);
}

static void put_zone(FILE *out, const struct blackbox_text *text)
{
	putc('"', out);
	for (unsigned int i = 0; i < 2; i++)
		put_chars(out, text->part[i], text->len[i]);
	putc('"', out);
}

static void put_kernel(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items dumps =
		blackbox_view_items(v, BLACKBOX_RAMOOPS_DUMP);
	struct blackbox_items console =
		blackbox_view_items(v, BLACKBOX_RAMOOPS_CONSOLE);
	struct blackbox_text text;
	const char *comma = "";

	fputs(",\"kernel_dumps\":[", out);
	for (uint32_t i = 0; i < dumps.nr; i++) {
		if (!blackbox_view_zone(dumps, i, &text))
			continue;
		fputs(comma, out);
		put_zone(out, &text);
		comma = ",";
	}
	fputs("],\"console\":", out);
	if (blackbox_view_zone(console, 0, &text))
		put_zone(out, &text);
	else
		fputs("\"\"", out);
}

static void put_signal(FILE *out, const struct blackbox_failure_view *f)
{
	static const char *const name[] = { BLACKBOX_REGISTER_NAMES };

	fprintf(out, "{\"ns\":%" PRIu64 ",\"signal\":%" PRIu32
		",\"code\":%" PRId32 ",\"thread\":%" PRIu32 ",\"whole\":%s,",
		f->ns, f->signal, (int32_t)f->code, f->thread,
		f->written ? "true" : "false");
	put_hex(out, "address", f->address);
	fputs(",\"registers\":{", out);
	for (unsigned int i = 0; i < BLACKBOX_REGISTERS; i++) {
		fputs(i ? "," : "", out);
		put_hex(out, name[i], f->registers[i]);
	}
	fputs("},\"stack\":[", out);
	for (unsigned int i = 0; i < f->stack_words; i++)
		fprintf(out, "%s\"%#" PRIx64 "\"", i ? "," : "", f->stack[i]);
	fputs("]}", out);
}

static void put_failures(const struct blackbox_view *v, FILE *out)
{
	struct blackbox_items items = blackbox_view_items(v, BLACKBOX_FAILURE);
	struct blackbox_failure_view f;

	fputs(",\"first_error\":", out);
	if (blackbox_view_failure(items, BLACKBOX_FIRST_ERROR, &f)) {
		fprintf(out, "{\"ns\":%" PRIu64 ",", f.ns);
		put_text(out, "line", f.text, f.len);
		putc('}', out);
	} else {
		fputs("null", out);
	}
	fputs(",\"first_signal\":", out);
	if (blackbox_view_failure(items, BLACKBOX_FIRST_SIGNAL, &f))
		put_signal(out, &f);
	else
		fputs("null", out);
}

static void put_line(FILE *out, const struct blackbox_entry *e)
{
	fprintf(out, "{\"number\":%" PRIu64 ",\"ns\":%" PRIu64
		",\"level\":\"%s\",", e->number, e->ns,
		blackbox_level_name(e->kind));
	put_text(out, "line", (const char *)e->data, e->len);
	putc('}', out);
}

static void put_message(FILE *out, const struct blackbox_entry *e)
{
	le32 type = cpu_to_le32(0);
	const char *name;

	if (e->len >= sizeof(type))
		memcpy(&type, e->data, sizeof(type));
	name = blackbox_message_name(le32_to_cpu(type));
	fprintf(out, "{\"number\":%" PRIu64 ",\"ns\":%" PRIu64 ",\"vp\":%u,"
		"\"from\":\"%s\",\"name\":\"%s\",\"bytes\":%" PRIu32
		",\"data\":\"", e->number, e->ns, e->vp,
		e->kind == BLACKBOX_TO_GUEST ? "vtl2" : "vtl0",
		name ? name : "?", e->bytes);
	for (uint32_t i = 0; i < e->len; i++)
		fprintf(out, "%02x", e->data[i]);
	fputs("\"}", out);
}

static void put_ring(const struct blackbox_view *v, enum blackbox_kind kind,
		     const char *key,
		     void (*put)(FILE *out, const struct blackbox_entry *e),
		     FILE *out)
{
	struct blackbox_items ring = blackbox_view_items(v, kind);
	uint64_t newest = blackbox_view_newest(ring);
	const char *comma = "";
	struct blackbox_entry e;

	fprintf(out, ",\"%s\":[", key);
	for (uint64_t i = newest > ring.nr ? newest - ring.nr : 0;
	     i++ < newest;) {
		if (!blackbox_view_entry(ring, i, &e))
			continue;
		fputs(comma, out);
		put(out, &e);
		comma = ",";
	}
	putc(']', out);
}

static void put_exit(const struct blackbox_exit_view *e, const char *reason,
		     FILE *out)
{
	fprintf(out, "{\"number\":%" PRIu64 ",\"ns\":%" PRIu64
		",\"took_ns\":%" PRIu64 ",", e->number, e->time, e->took);
	put_text(out, "reason", reason, strlen(reason));
	fprintf(out, ",\"access\":\"%s\",", blackbox_access_name(e->access));
	put_hex(out, "rip", e->rip);
	putc(',', out);
	put_hex(out, "qualifier", e->qualifier);
	putc(',', out);
	put_hex(out, "value", e->value);
	putc('}', out);
}

static void put_trace(const struct blackbox_view *v,
		      const struct blackbox_trace *trace, uint32_t vp,
		      unsigned int exits, FILE *out)
{
	struct blackbox_items names = blackbox_view_items(v, BLACKBOX_NAMES);
	uint64_t from = trace->newest > exits ? trace->newest - exits : 0;
	struct blackbox_exit_view e;
	char name[BLACKBOX_NAME_SIZE];
	const char *comma = "";

	if (from < trace->oldest - 1)
		from = trace->oldest - 1;
	fprintf(out, "{\"vp\":%" PRIu32 ",\"exits\":%" PRIu64 ",\"last\":[",
		vp, trace->newest);
	for (uint64_t i = from; i++ < trace->newest;) {
		if (!blackbox_view_exit(v, trace, i, &e))
			continue;
		blackbox_view_name(names, e.reason, name);
		fputs(comma, out);
		put_exit(&e, name, out);
		comma = ",";
	}
	fputs("]}", out);
}

void blackbox_print_json(const struct blackbox_view *v, unsigned int exits,
			 FILE *out)
{
	struct blackbox_items rings = blackbox_view_items(v, BLACKBOX_EXITS);
	struct blackbox_trace trace;
	const char *comma = "";

	fprintf(out, "{\"version\":1,\"size\":%zu,", v->size);
	put_hex(out, "gpa", v->gpa);
	put_failures(v, out);
	put_kernel(v, out);
	put_ring(v, BLACKBOX_LOG, "log", put_line, out);
	put_ring(v, BLACKBOX_VMBUS, "vmbus", put_message, out);
	fputs(",\"vps\":[", out);
	for (uint32_t vp = 0; vp < rings.nr; vp++) {
		if (!blackbox_view_trace(v, rings, vp, &trace))
			continue;
		fputs(comma, out);
		put_trace(v, &trace, vp, exits, out);
		comma = ",";
	}
	fputs("]}\n", out);
}
