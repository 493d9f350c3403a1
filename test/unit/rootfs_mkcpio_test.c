// SPDX-License-Identifier: MIT
/*
 * mkcpio: what it writes, read back by a reader of its own; lists with one
 * thing wrong each; and the release image's list against its golden list.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int mkcpio_main(int argc, char **argv);
#define main mkcpio_main
#include "rootfs/mkcpio.c"
#undef main

static char directory[] = "/tmp/mkcpio-test.XXXXXX";

static void write_text(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *read_text(const char *name, size_t *len)
{
	FILE *f = fopen(name, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	*len = fread(text, 1, (1 << 20) - 1, f);
	fclose(f);
	return text;
}

/* Runs mkcpio on a list's text; what it says lands in *said (to be freed). */
static int run(const char *list, char **said)
{
	char *argv[] = { "mkcpio", "list", "out", NULL };
	int saved = dup(STDERR_FILENO), status;
	size_t len;

	write_text("list", list);
	unlink("out");
	fflush(stderr);
	assert_non_null(freopen("said", "w", stderr));
	status = mkcpio_main(3, argv);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	*said = read_text("said", &len);
	return status;
}

static unsigned long hex(const char *p)
{
	char digits[9] = { 0 };

	memcpy(digits, p, 8);
	return strtoul(digits, NULL, 16);
}

/*
 * Lists an archive, one "MODE INO SIZE RDEV NAME" line per entry, data behind
 * a small file's name; the fields that must be zero are checked here.
 */
static void list_archive(const char *a, size_t len, char *text, size_t room)
{
	size_t at = 0;

	*text = 0;
	for (;;) {
		size_t name, bytes, used = strlen(text);

		assert_in_range(at + 110, 0, len);
		assert_memory_equal(a + at, "070701", 6);
		bytes = hex(a + at + 54);
		name = hex(a + at + 94);
		assert_int_equal(hex(a + at + 22), 0); /* uid */
		assert_int_equal(hex(a + at + 30), 0); /* gid */
		assert_int_equal(hex(a + at + 46), 0); /* mtime */
		assert_int_equal(hex(a + at + 102), 0); /* check */
		if (!strcmp(a + at + 110, "TRAILER!!!"))
			break;
		snprintf(text + used, room - used, "%lo %lu %zu %lu:%lu %s %.*s\n",
			 hex(a + at + 14), hex(a + at + 6), bytes,
			 hex(a + at + 78), hex(a + at + 86), a + at + 110,
			 (int)(bytes < 20 ? bytes : 0),
			 a + ((at + 110 + name + 3) & ~3ul));
		at = (at + 110 + name + 3) & ~3ul;
		at = (at + bytes + 3) & ~3ul;
	}
	assert_int_equal(len % 4, 0);
}

static void test_good(void **state)
{
	static const char list[] =
		"# comment\n\n"
		"dir /a 0755 # behind\n"
		"file\t/a/f 0640 source\n"
		"slink /a/l f\n"
		"nod /n 0600 c 5 1\n"
		"dir /a/b 1777\n";
	char text[1000], *said, *first, *second;
	size_t len, again;

	(void)state;
	write_text("source", "hello");
	assert_int_equal(run(list, &said), 0);
	assert_string_equal(said, "");
	free(said);
	first = read_text("out", &len);
	list_archive(first, len, text, sizeof(text));
	assert_string_equal(text, "40755 1 0 0:0 a \n"
			    "100640 2 5 0:0 a/f hello\n"
			    "120777 3 1 0:0 a/l f\n"
			    "20600 4 0 5:1 n \n"
			    "41777 5 0 0:0 a/b \n");
	/* Same bytes whatever the clock says. */
	utimensat(AT_FDCWD, "source", NULL, 0);
	chmod("source", 0777);
	assert_int_equal(run(list, &said), 0);
	free(said);
	second = read_text("out", &again);
	assert_int_equal(len, again);
	assert_memory_equal(first, second, len);
	free(first);
	free(second);
}

static void test_bad(void **state)
{
	static const struct {
		const char *list, *says;
	} cases[] = {
		{ "", "list:0: no entry" },
		{ "# nothing\n", "list:1: no entry" },
		{ "dir /a 0755\nfolder /b 0755\n", "list:2: folder: must be" },
		{ "dir /a\n", "list:1: dir: has 2 columns, must have 3" },
		{ "dir /a 0755 x\n", "list:1: dir: has 4 columns" },
		{ "dir a 0755\n", "list:1: a: must be an absolute path" },
		{ "dir / 0755\n", "list:1: /: must be an absolute path" },
		{ "dir /a/ 0755\n", "list:1: /a/: must be" },
		{ "dir /a//b 0755\n", "must have no empty" },
		{ "dir /a 0755\ndir /a/.. 0755\n", "list:2: /a/..: must have" },
		{ "dir /a 0755\ndir /a 0755\n", "list:2: /a: listed twice" },
		{ "dir /a/b 0755\n", "list:1: /a/b: its directory" },
		{ "file /f 0644 source\ndir /f/d 0755\n",
		  "list:2: /f/d: its directory" },
		{ "dir /a 0788\n", "list:1: mode 0788" },
		{ "dir /a 17777\n", "list:1: mode 17777" },
		{ "dir /a -1\n", "list:1: mode -1" },
		{ "file /f 0644 absent\n", "list:1: absent: No such file" },
		{ "file /f 0644 .\n", "list:1: .: must be a regular file" },
		{ "nod /n 0600 x 1 1\n", "list:1: device type x" },
		{ "nod /n 0600 c 4096 1\n", "list:1: device number 4096" },
		{ "nod /n 0600 c 1 -1\n", "list:1: device number -1" },
		{ "nod /n 0600 c 1 1 1 1 1\n", "columns" },
	};

	(void)state;
	write_text("source", "x");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *said;
		int status = run(cases[i].list, &said);

		if (status != 2 || !strstr(said, cases[i].says) ||
		    strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("%s: status %d, said: %s", cases[i].list,
				 status, said);
		assert_int_equal(access("out", F_OK), -1);
		free(said);
	}
}

/* "drwxr-xr-x" */
static void print_mode(unsigned long mode, char text[11])
{
	static const char bits[] = "rwxrwxrwx";

	text[0] = S_ISDIR(mode) ? 'd' : S_ISCHR(mode) ? 'c' :
		  S_ISLNK(mode) ? 'l' : '-';
	for (int i = 0; i < 9; i++)
		text[i + 1] = mode >> (8 - i) & 1 ? bits[i] : '-';
	text[10] = 0;
}

/* The release list, its programs replaced by small files, is the golden list. */
static void test_release_golden(void **state)
{
	char *list, *golden, *archive, *said, *save = NULL;
	char lines[2000] = "", text[2000], mode[11], name[200];
	unsigned int executables = 0, entries = 0;
	const char *tree = getenv("TREE");
	size_t len;

	(void)state;
	assert_non_null(tree);
	snprintf(name, sizeof(name), "%s/rootfs/release.list", tree);
	list = read_text(name, &len);
	snprintf(name, sizeof(name), "%s/rootfs/release.golden", tree);
	golden = read_text(name, &len);
	assert_int_equal(mkdir("build", 0755), 0);
	assert_int_equal(mkdir("build/release", 0755), 0);
	write_text("build/release/init", "i");
	write_text("build/release/paravisor", "p");
	assert_int_equal(run(list, &said), 0);
	archive = read_text("out", &len);
	list_archive(archive, len, text, sizeof(text));
	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		unsigned long bits;

		assert_int_equal(sscanf(line, "%lo %*s %*s %*s %199s", &bits,
					name), 2);
		print_mode(bits, mode);
		executables += S_ISREG(bits) && bits & 0111;
		entries++;
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
			 "%s %s\n", mode, name);
	}
	assert_string_equal(lines, golden);
	assert_int_equal(executables, 2);
	assert_in_range(entries, 3, 20);
	free(list);
	free(golden);
	free(archive);
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_release_golden),
	};
	char tree[4096];
	int failed;

	/* Tests run from the top of the tree. */
	if (!getcwd(tree, sizeof(tree)) || setenv("TREE", tree, 1) ||
	    !mkdtemp(directory) || chdir(directory))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (chdir("/"))
		return 1;
	snprintf(tree, sizeof(tree), "rm -rf %s", directory);
	return system(tree) || failed;
}
