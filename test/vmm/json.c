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

bool json_next(struct json_span object, struct json_span *name,
	       struct json_span *value)
{
	struct scan s = { .end = object.at + object.len };
	const char *p = object.at;

	if (value->at)
		p = skip_space(&s, value->at + value->len);
	else if (!object.len || *p != '{')
		return false;
	if (value->at && *p != ',')
		return false;
	name->at = skip_space(&s, p + 1);
	if (*name->at != '"')
		return false; /* an empty object */
	p = scan_string(&s, name->at + 1);
	name->len = (size_t)(p - name->at);
	value->at = skip_space(&s, expect(&s, p, ":"));
	value->len = (size_t)(scan_value(&s, value->at, 0) - value->at);
	return true;
}

bool json_member(struct json_span object, const char *name,
		 struct json_span *value)
{
	struct json_span key, found = { 0 };

	while (json_next(object, &key, &found))
		if (json_is_string(key, name)) {
			*value = found;
			return true;
		}
	return false;
}

bool json_element(struct json_span array, struct json_span *value)
{
	struct scan s = { .end = array.at + array.len };
	const char *p = array.at;

	if (value->at)
		p = skip_space(&s, value->at + value->len);
	else if (!array.len || *p != '[')
		return false;
	if (value->at && *p != ',')
		return false;
	p = skip_space(&s, p + 1);
	if (*p == ']')
		return false; /* an empty array */
	value->at = p;
	value->len = (size_t)(scan_value(&s, p, 0) - p);
	return true;
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

/* ---- strings and numbers ---- */

static uint32_t hex4(const char *at)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];

		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' :
						(c | 0x20) - 'a' + 10);
	}
	return value;
}

/* The character of an escape at *at, which is behind its backslash; moves *at
 * behind it. 0: there is none. */
static uint32_t unescape(const char **at, const char *end)
{
	static const char names[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	uint32_t c, low;

	if (**at != 'u')
		return (uint32_t)meant[strchr(names, *(*at)++) - names];
	c = hex4(*at + 1);
	*at += 5;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || end - *at < 6 || (*at)[0] != '\\' ||
	    (*at)[1] != 'u')
		return 0;
	low = hex4(*at + 2);
	*at += 6;
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	return 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
}

/* UTF-8; returns how many bytes. */
static size_t encode(uint32_t c, char bytes[4])
{
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		bytes[i] = (char)(0x80 | (c & 0x3f));
	bytes[0] = (char)((n > 1 ? lead[n] : 0) | c);
	return n;
}

int json_text(struct json_span value, char *text, size_t size)
{
	const char *at = value.at + 1, *end = value.at + value.len - 1;
	size_t len = 0;

	if (value.len < 2 || *value.at != '"')
		return -EINVAL;
	while (at < end) {
		char bytes[4];
		size_t n = 1;

		if (*at != '\\') {
			bytes[0] = *at++;
		} else {
			uint32_t c;

			at++;
			c = unescape(&at, end);
			if (!c)
				return -EINVAL;
			n = encode(c, bytes);
		}
		if (n >= size - len)
			return -ENAMETOOLONG;
		memcpy(text + len, bytes, n);
		len += n;
	}
	text[len] = '\0';
	return 0;
}

int json_number(struct json_span value, uint64_t max, uint64_t *number)
{
	uint64_t n = 0;

	if (!value.len)
		return -EINVAL;
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] < '0' || value.at[i] > '9')
			return -EINVAL;
	for (size_t i = 0; i < value.len; i++)
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(value.at[i] - '0'),
					   &n) || n > max)
			return -ERANGE;
	*number = n;
	return 0;
}

void json_write(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			fprintf(out, "\\u%04x", *text);
		else
			putc(*text, out);
	}
	putc('"', out);
}
