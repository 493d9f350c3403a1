// SPDX-License-Identifier: MIT
/*
 * Command lines, theory of operation
 *
 * The table of commands says which argument each word is, and the table of
 * arguments how it becomes JSON; what the JSON may say is not judged here, but
 * where every request's is. So that the two ways in cannot drift apart, this
 * file knows no command by name.
 *
 * Answers are printed for any JSON: members as "name: value", what is in a
 * member or an element two columns to the right of it, elements behind a dash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command_line.h"

#define MAX_FILE 65536
#define MAX_STRING 65536

/* ---- words to JSON ---- */

__attribute__((format(printf, 2, 3)))
static bool wrong(struct command_line *line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(line->wrong, sizeof(line->wrong), format, ap);
	va_end(ap);
	return false;
}

/* "COMMAND: what: usage" */
static bool wrong_use(struct command_line *line, const char *what)
{
	char usage[128] = "";
	FILE *out = fmemopen(usage, sizeof(usage), "w");

	if (out) {
		command_print_usage(line->command, out);
		fclose(out);
	}
	return wrong(line, "%s: %s: %s", line->command->name, what, usage);
}

static bool write_number(const char *word, FILE *out)
{
	bool hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
	const char *digits = hex ? word + 2 : word;
	unsigned long long value;

	if (!*digits || strspn(digits, hex ? "0123456789abcdefABCDEF" :
					     "0123456789") != strlen(digits))
		return false;
	errno = 0;
	value = strtoull(digits, NULL, hex ? 16 : 10);
	fprintf(out, "%llu", errno ? ~0ull : value);
	return true;
}

static bool write_integer(const char *word, FILE *out)
{
	if (*word == '-')
		putc('-', out);
	return write_number(*word == '-' || *word == '+' ? word + 1 : word,
			    out);
}

/* Its text is all of the arguments. NULL: line->wrong. */
static char *read_file(struct command_line *line, const char *path)
{
	char *text = malloc(MAX_FILE + 2);
	struct json_span value;
	size_t at, len = 0;
	ssize_t n = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || !text) {
		wrong(line, "%s: %s", path, strerror(errno));
		goto out_free;
	}
	while (n > 0 && len <= MAX_FILE) {
		n = read(fd, text + len, MAX_FILE + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		wrong(line, "%s: %s", path, strerror(errno));
	else if (len > MAX_FILE)
		wrong(line, "%s: is longer than 65536 bytes", path);
	else if (json_check(text, len, &value, &at))
		wrong(line, "%s: not JSON at byte %zu", path, at);
	else if (*value.at != '{')
		wrong(line, "%s: must be an object", path);
	if (*line->wrong)
		goto out_free;
	close(fd);
	text[len] = '\0';
	return text;

out_free:
	if (fd >= 0)
		close(fd);
	free(text);
	return NULL;
}

static bool write_argument(struct command_line *line, enum argument argument,
			   const char *word, FILE *out)
{
	const char *name = argument_name(argument);

	json_write(out, name);
	putc(':', out);
	switch (argument_kind(argument)) {
	case ARGUMENT_NUMBER:
		return write_number(word, out) ||
		       wrong(line, "%s: must be a number, decimal or 0x...",
			     name);
	case ARGUMENT_INTEGER:
		return write_integer(word, out) ||
		       wrong(line, "%s: must be a number, with a sign or not",
			     name);
	case ARGUMENT_BOOLEAN:
		fputs(word, out);
		return !strcmp(word, "true") || !strcmp(word, "false") ||
		       wrong(line, "%s: must be true or false", name);
	default:
		json_write(out, word);
		return true;
	}
}

static bool write_arguments(struct command_line *line, int words,
			    const char *const word[], FILE *out)
{
	bool good = true;

	putc('{', out);
	for (int i = 0; good && i < words; i++) {
		if (i)
			putc(',', out);
		good = write_argument(line, line->command->arguments.name[i],
				      word[i], out);
	}
	putc('}', out);
	return good;
}

static bool has_file(const struct command *command)
{
	return command->arguments.needed &&
	       argument_kind(command->arguments.name[0]) == ARGUMENT_FILE;
}

bool command_line_read(struct command_line *line, int words,
		       const char *const word[])
{
	const struct argument_list *list;
	size_t len;
	bool good;
	FILE *out;

	*line = (struct command_line){ .command = commands };
	while (line->command->name && strcmp(line->command->name, word[0]))
		line->command++;
	if (!line->command->name)
		return wrong(line, "%.64s: unknown command; help lists them",
			     word[0]);
	list = &line->command->arguments;
	if (words - 1 < list->needed)
		return wrong_use(line, "a word is missing");
	if (words - 1 > list->needed + list->optional)
		return wrong_use(line, "too many words");
	if (has_file(line->command)) {
		line->args = read_file(line, word[1]);
		return line->args;
	}
	out = open_memstream(&line->args, &len);
	if (!out)
		return wrong(line, "out of memory");
	good = write_arguments(line, words - 1, word + 1, out);
	return !fclose(out) && good;
}

void command_line_free(struct command_line *line)
{
	free(line->args);
	line->args = NULL;
}

/* ---- JSON to text ---- */

static void print_value(struct json_span value, int indent, FILE *out);

static void print_scalar(struct json_span value, FILE *out)
{
	char *text = *value.at == '"' ? malloc(MAX_STRING) : NULL;

	if (text && !json_text(value, text, MAX_STRING))
		fputs(text, out);
	else
		fwrite(value.at, 1, value.len, out);
	putc('\n', out);
	free(text);
}

/* Nothing in it, or nothing to be in. */
static bool is_short(struct json_span value)
{
	struct json_span name, inner = { 0 };

	if (*value.at == '[')
		return !json_element(value, &inner);
	if (*value.at == '{')
		return !json_next(value, &name, &inner);
	return true;
}

static void print_inner(struct json_span value, int indent, FILE *out)
{
	if (is_short(value)) {
		putc(' ', out);
		if (*value.at == '{' || *value.at == '[')
			fputs("none\n", out);
		else
			print_scalar(value, out);
	} else {
		putc('\n', out);
		print_value(value, indent + 2, out);
	}
}

static void print_value(struct json_span value, int indent, FILE *out)
{
	struct json_span name, inner = { 0 };

	if (*value.at == '[') {
		while (json_element(value, &inner)) {
			fprintf(out, "%*s-", indent, "");
			print_inner(inner, indent, out);
		}
		return;
	}
	while (json_next(value, &name, &inner)) {
		fprintf(out, "%*s%.*s:", indent, "", (int)name.len - 2,
			name.at + 1);
		print_inner(inner, indent, out);
	}
}

void command_print_answer(const char *ok, FILE *out)
{
	struct json_span value;
	size_t at;

	if (json_check(ok, strlen(ok), &value, &at)) {
		/* Ours is always JSON; if not, as it is. */
		fprintf(out, "%s\n", ok);
	} else if (is_short(value)) {
		if (*value.at == '{' || *value.at == '[')
			fputs("ok\n", out);
		else
			print_scalar(value, out);
	} else {
		print_value(value, 0, out);
	}
}
