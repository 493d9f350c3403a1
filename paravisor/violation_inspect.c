// SPDX-License-Identifier: MIT
/*
 * Violations in inspect.
 *
 *	violations/total           since start
 *	violations/rules/ID        of them, those against a rule; others than 0
 *	violations/newest[/N]/SEQ  the record, oldest of the N first
 *
 * Owns nothing. A record that is overwritten meanwhile is left out.
 */
#include <stdio.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "violation_inspect.h"

#define SHOWN 16u

static void describe_one(const struct violation *v, struct inspect *out)
{
	const char *text = violation_text(v->rule);

	inspect_u64(out, "time", v->time);
	inspect_text(out, "object", v->object);
	inspect_u64(out, "id", v->id);
	inspect_u64(out, "type", v->type);
	inspect_u64(out, "offset", v->offset);
	inspect_hex(out, "value", v->value);
	inspect_text(out, "rule", v->rule);
	inspect_text(out, "text", text ? text : "");
}

static void describe_newest(unsigned int n, struct inspect *out)
{
	uint64_t newest = violation_count();

	for (uint64_t i = newest > n ? newest - n : 0; i++ < newest;) {
		struct violation v;
		char name[24];

		if (violation_get(i, &v))
			continue;
		snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
		if (!inspect_begin(out, name))
			continue;
		describe_one(&v, out);
		inspect_end(out);
	}
}

static void describe(void *object, struct inspect *out)
{
	unsigned int n = SHOWN;
	const char *id;
	uint64_t count;

	(void)object;
	inspect_u64(out, "total", violation_count());
	if (inspect_begin(out, "rules")) {
		for (unsigned int i = 0; (id = violation_rule(i, &count)); i++)
			if (count)
				inspect_u64(out, id, count);
		inspect_end(out);
	}
	if (inspect_begin_newest(out, "newest", &n)) {
		describe_newest(n, out);
		inspect_end(out);
	}
}

void violation_publish(void)
{
	static struct inspect_entry entry = { "violations", describe, NULL,
					      NULL };

	inspect_register(&entry);
}
