/* SPDX-License-Identifier: MIT */
/*
 * JSON, theory of operation
 *
 * One recursive scanner walks a value and returns where it ends, or NULL with
 * the place of the first wrong byte. Checking is scanning the whole text;
 * finding a member is scanning past the members before it. The recursion is
 * bounded by JSON_MAX_DEPTH.
 */
#include <errno.h>
#include <string.h>

#include "json.h"

struct scan {
	const char *end;
	const char *wrong; /* set once, when a scanner returned NULL */
};

static const char *scan_value(struct scan *s, const char *p,
			      unsigned int depth);

static const char *fail(struct scan *s, const char *p)
{
	if (!s->wrong)
		s->wrong = p;
	return NULL;
}

static const char *skip_space(const struct scan *s, const char *p)
{
	while (p < s->end && *p && strchr(" \t\r\n", *p))
		p++;
	return p;
}

/* Expects one of `set` at p after white space; returns the place behind it. */
static const char *expect(struct scan *s, const char *p, const char *set)
{
	p = skip_space(s, p);
	if (p == s->end || !*p || !strchr(set, *p))
		return fail(s, p);
	return p + 1;
}

static const char *scan_digits(struct scan *s, const char *p)
{
	const char *start = p;

	while (p < s->end && *p >= '0' && *p <= '9')
		p++;
	return p > start ? p : fail(s, p);
}

static const char *scan_number(struct scan *s, const char *p)
{
	if (*p == '-')
		p++;
	if (p < s->end && *p == '0')
		p++; /* and no digit behind it: that is the caller's error */
	else
		p = scan_digits(s, p);
	if (p && p < s->end && *p == '.')
		p = scan_digits(s, p + 1);
	if (p && p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		p = scan_digits(s, p);
	}
	return p;
}

static const char *scan_escape(struct scan *s, const char *p)
{
	if (p == s->end || !*p || !strchr("\"\\/bfnrtu", *p))
		return fail(s, p);
	if (*p++ != 'u')
		return p;
	for (int i = 0; i < 4; i++, p++)
		if (p == s->end || !*p ||
		    !strchr("0123456789abcdefABCDEF", *p))
			return fail(s, p);
	return p;
}

/* p is behind the opening quote. */
static const char *scan_string(struct scan *s, const char *p)
{
	while (p && p < s->end) {
		if (*p == '"')
			return p + 1;
		if ((unsigned char)*p < ' ')
			return fail(s, p);
		p = *p == '\\' ? scan_escape(s, p + 1) : p + 1;
	}
	return p ? fail(s, p) : NULL;
}

/* p is behind the opening bracket. Objects have a name before each value. */
static const char *scan_list(struct scan *s, const char *p, char closing,
			     unsigned int depth)
{
	const char *separators = closing == '}' ? ",}" : ",]";
	const char *first = skip_space(s, p);

	if (first < s->end && *first == closing)
		return first + 1;
	do {
		if (closing == '}') {
			p = expect(s, p, "\"");
			p = p ? scan_string(s, p) : NULL;
			p = p ? expect(s, p, ":") : NULL;
		}
		p = p ? scan_value(s, skip_space(s, p), depth + 1) : NULL;
		p = p ? expect(s, p, separators) : NULL;
	} while (p && p[-1] == ',');
	return p;
}

static const char *scan_value(struct scan *s, const char *p, unsigned int depth)
{
	static const char *const literals[] = { "true", "false", "null" };

	if (p == s->end || depth > JSON_MAX_DEPTH)
		return fail(s, p);
	if (*p == '{')
		return scan_list(s, p + 1, '}', depth);
	if (*p == '[')
		return scan_list(s, p + 1, ']', depth);
	if (*p == '"')
		return scan_string(s, p + 1);
	if (*p == '-' || (*p >= '0' && *p <= '9'))
		return scan_number(s, p);
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
		size_t len = strlen(literals[i]);

		if ((size_t)(s->end - p) >= len && !memcmp(p, literals[i], len))
			return p + len;
	}
	return fail(s, p);
}

int json_check(const char *text, size_t len, struct json_span *value,
	       size_t *wrong)
{
	struct scan s = { .end = text + len };
	const char *start = skip_space(&s, text), *behind;

	behind = scan_value(&s, start, 0);
	if (behind && skip_space(&s, behind) != s.end)
		fail(&s, skip_space(&s, behind));
	if (s.wrong) {
		*wrong = (size_t)(s.wrong - text);
		return -EINVAL;
	}
	*value = (struct json_span){ start, (size_t)(behind - start) };
	return 0;
}

bool json_member(struct json_span object, const char *name,
		 struct json_span *value)
{
	struct scan s = { .end = object.at + object.len };
	const char *p = object.at;

	if (!object.len || *p != '{')
		return false;
	do {
		struct json_span key, found;

		key.at = skip_space(&s, p + 1);
		if (*key.at != '"')
			return false; /* an empty object */
		p = scan_string(&s, key.at + 1);
		key.len = (size_t)(p - key.at);
		found.at = skip_space(&s, expect(&s, p, ":"));
		p = scan_value(&s, found.at, 0);
		found.len = (size_t)(p - found.at);
		if (json_is_string(key, name)) {
			*value = found;
			return true;
		}
		p = skip_space(&s, p);
	} while (*p == ',');
	return false;
}

bool json_is_literal(struct json_span value, const char *text)
{
	return value.len == strlen(text) && !memcmp(value.at, text, value.len);
}

bool json_is_string(struct json_span value, const char *text)
{
	return value.len >= 2 && *value.at == '"' &&
	       json_is_literal((struct json_span){ value.at + 1,
						   value.len - 2 }, text);
}
