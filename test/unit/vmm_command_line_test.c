/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/command_line.c test/vmm/commands.c test/vmm/command_arguments.c test/vmm/request.c test/vmm/json.c test/vmm/device_option.c */
/* Commands as words: what becomes of them, and how answers are set. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/vmm/command_line.h"

static char file_path[] = "/tmp/command_line_test.XXXXXX";

/* Splits at blanks; no quotes here. */
static bool read_line(struct command_line *line, const char *text)
{
	static char copy[256];
	const char *word[16];
	char *rest = copy, *next;
	int words = 0;

	assert_true(strlen(text) < sizeof(copy));
	strcpy(copy, text);
	while ((next = strsep(&rest, " ")))
		word[words++] = next;
	return command_line_read(line, words, word);
}

static void words_become_arguments(void **state)
{
	static const char *const cases[][3] = {
		{ "quit", "quit", "{}" },
		{ "kvp-get OSName", "kvp-get", "{\"key\":\"OSName\"}" },
		{ "kvp-get a\"b guest", "kvp-get",
		  "{\"key\":\"a\\\"b\",\"pool\":\"guest\"}" },
		{ "read-memory 0x1000", "read-memory", "{\"gpa\":4096}" },
		{ "read-memory 0XfF 010 2", "read-memory",
		  "{\"gpa\":255,\"bytes\":10,\"vtl\":2}" },
		{ "time -60", "time", "{\"offset\":-60}" },
		{ "time +60", "time", "{\"offset\":60}" },
		{ "nvme-attach 0 7 file:a,ro", "nvme-attach",
		  "{\"disk\":0,\"nsid\":7,\"back\":\"file:a,ro\"}" },
		{ "nvme-resize 0 7 128M", "nvme-resize",
		  "{\"disk\":0,\"nsid\":7,\"size\":\"128M\"}" },
		{ "inspect", "inspect", "{}" },
		{ "inspect vmbus/1 3", "inspect",
		  "{\"path\":\"vmbus/1\",\"depth\":3}" },
		{ "v 9980", "v", "{\"port\":9980}" },
		/* More than fits: what every number is judged by says so. */
		{ "v 99999999999999999999", "v",
		  "{\"port\":18446744073709551615}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command_line line;
		struct json_span value;
		size_t wrong;

		assert_true(read_line(&line, cases[i][0]));
		assert_string_equal(line.command->name, cases[i][1]);
		assert_string_equal(line.args, cases[i][2]);
		assert_int_equal(json_check(line.args, strlen(line.args),
					    &value, &wrong), 0);
		command_line_free(&line);
	}
}

static void mistakes_are_one_line(void **state)
{
	static const char *const cases[][2] = {
		{ "fly", "fly: unknown command; help lists them" },
		{ "quit now", "quit: too many words: quit" },
		{ "kvp-get", "kvp-get: a word is missing: "
			     "kvp-get KEY [POOL]" },
		{ "kvp-get a b c", "kvp-get: too many words: "
				   "kvp-get KEY [POOL]" },
		{ "nvme-detach 0", "nvme-detach: a word is missing: "
				   "nvme-detach DISK NSID" },
		{ "v x", "port: must be a number, decimal or 0x..." },
		{ "v 0x", "port: must be a number, decimal or 0x..." },
		{ "v 1.5", "port: must be a number, decimal or 0x..." },
		{ "v -1", "port: must be a number, decimal or 0x..." },
		{ "time --1", "offset: must be a number, with a sign or not" },
		{ "time", "time: a word is missing: time OFFSET" },
		{ "settings /nonexistent/a",
		  "/nonexistent/a: No such file or directory" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command_line line;

		assert_false(read_line(&line, cases[i][0]));
		assert_string_equal(line.wrong, cases[i][1]);
		command_line_free(&line);
	}
}

/* Every command, with as many words as it takes, gives arguments that its own
 * list takes; with one more, and one less, none. */
static void every_command_of_the_table(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->name; c++) {
		const char *word[2 + ARGUMENT_LIST_MAX] = { c->name };
		int most = c->arguments.needed + c->arguments.optional;
		struct command_line line;

		for (int i = 0; i <= most; i++)
			word[1 + i] = i < most && argument_kind(
				c->arguments.name[i]) == ARGUMENT_BOOLEAN ?
				"true" : "1";
		if (c->arguments.needed &&
		    argument_kind(c->arguments.name[0]) == ARGUMENT_FILE)
			continue;
		assert_true(command_line_read(&line, 1 + most, word));
		command_line_free(&line);
		assert_false(command_line_read(&line, 2 + most, word));
		command_line_free(&line);
		if (!c->arguments.needed)
			continue;
		assert_false(command_line_read(&line, c->arguments.needed,
					       word));
		command_line_free(&line);
	}
}

static void write_file(const char *text, size_t len)
{
	FILE *file = fopen(file_path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
}

static void settings_come_from_a_file(void **state)
{
	static char big[65537];
	struct command_line line;
	char text[128], rule[128];

	(void)state;
	snprintf(text, sizeof(text), "settings %s", file_path);
	write_file(" {\"version\":1}\n", 15);
	assert_true(read_line(&line, text));
	assert_string_equal(line.args, " {\"version\":1}\n");
	command_line_free(&line);

	write_file("{\"version\":", 11);
	assert_false(read_line(&line, text));
	snprintf(rule, sizeof(rule), "%s: not JSON at byte 11", file_path);
	assert_string_equal(line.wrong, rule);
	command_line_free(&line);

	write_file("[]", 2);
	assert_false(read_line(&line, text));
	snprintf(rule, sizeof(rule), "%s: must be an object", file_path);
	assert_string_equal(line.wrong, rule);
	command_line_free(&line);

	memset(big, ' ', sizeof(big));
	write_file(big, sizeof(big));
	assert_false(read_line(&line, text));
	snprintf(rule, sizeof(rule), "%s: is longer than 65536 bytes",
		 file_path);
	assert_string_equal(line.wrong, rule);
	command_line_free(&line);
	unlink(file_path);
}

static void answers_become_text(void **state)
{
	static const char *const cases[][2] = {
		{ "{}", "ok\n" },
		{ "7", "7\n" },
		{ "{\"value\":\"Debian \\\"13\\\"\"}", "value: Debian \"13\"\n" },
		{ "{\"a\":1,\"b\":null,\"c\":[],\"d\":{},\"e\":true}",
		  "a: 1\nb: null\nc: none\nd: none\ne: true\n" },
		{ "{\"disks\":[{\"disk\":0,\"of\":[1,7]},{\"disk\":1}]}",
		  "disks:\n"
		  "  -\n"
		  "    disk: 0\n"
		  "    of:\n"
		  "      - 1\n"
		  "      - 7\n"
		  "  -\n"
		  "    disk: 1\n" },
		{ "{\"a\":{\"b\":{\"c\":-1.5}}}", "a:\n  b:\n    c: -1.5\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text;
		size_t len;
		FILE *out = open_memstream(&text, &len);

		command_print_answer(cases[i][0], out);
		fclose(out);
		assert_string_equal(text, cases[i][1]);
		free(text);
	}
}

static void help_has_a_line_of_each(void **state)
{
	char *text, *at;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	commands_help(out);
	fclose(out);
	at = text;
	for (const struct command *c = commands; c->name; c++) {
		assert_memory_equal(at, "  ", 2);
		assert_memory_equal(at + 2, c->name, strlen(c->name));
		at = strchr(at, '\n') + 1;
	}
	assert_string_equal(at, "");
	assert_non_null(strstr(text, "  nvme-attach DISK NSID BACK "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_become_arguments),
		cmocka_unit_test(mistakes_are_one_line),
		cmocka_unit_test(every_command_of_the_table),
		cmocka_unit_test(settings_come_from_a_file),
		cmocka_unit_test(answers_become_text),
		cmocka_unit_test(help_has_a_line_of_each),
	};
	int fd = mkstemp(file_path);

	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
