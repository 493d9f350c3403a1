/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/blackbox.c paravisor/pvctl_blackbox.c paravisor/pvctl_blackbox_view.c paravisor/pvctl_blackbox_text.c */
/* SOURCES: paravisor/pvctl_blackbox_json.c paravisor/trace.c paravisor/inspect.c paravisor/log.c igvm/black_box.c */
/*
 * The black box from one end to the other: what the image lays out, the daemon
 * writes and a reader of the file finds; and files that are none, or damaged.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv/log.h>
#include <yyjson.h>

#include "igvm/black_box.h"
#include "paravisor/blackbox.h"
#include "paravisor/device_tree.h"
#include "paravisor/log_sink.h"
#include "paravisor/mshv.h"
#include "paravisor/pvctl_blackbox.h"
#include "paravisor/trace.h"
#include "test/unit/stderr_capture.h"

#define GPA 0x77c00000ull
#define SIZE (4u << 20)

LOG_MODULE("test");

static uint8_t *box; /* shared with children, as memory that outlives them */
static struct blackbox_view view;

/* The daemon's mapping: anywhere, by whatever address it reserved. */
void *mshv_map(struct mshv *m, void *va, uint64_t gpa, uint64_t size)
{
	(void)m;
	assert_int_equal(gpa, GPA);
	assert_int_equal(size, SIZE);
	munmap(va, size);
	return box;
}

static int fresh(void **state)
{
	(void)state;
	if (!box)
		box = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(box, 0, SIZE);
	black_box_fill((struct blackbox_header *)box, GPA, SIZE);
	assert_true(blackbox_use(box, GPA, SIZE));
	return 0;
}

static void look(void)
{
	const char *why;

	assert_int_equal(blackbox_view_open(&view, box, SIZE, &why), 0);
}

/* Every section of the table has room for what it is for, clear of others. */
static void layout(void **state)
{
	static const struct {
		enum blackbox_kind kind;
		uint32_t least;
	} wanted[] = {
		{ BLACKBOX_RAMOOPS_DUMP, 2 }, { BLACKBOX_RAMOOPS_CONSOLE, 1 },
		{ BLACKBOX_FAILURE, BLACKBOX_FAILURES },
		{ BLACKBOX_LOG, 200 }, { BLACKBOX_VMBUS, 200 },
		{ BLACKBOX_NAMES, BLACKBOX_REASONS }, { BLACKBOX_EXITS, 64 },
	};
	const uint8_t *end = box + BLACKBOX_PAGE;

	(void)state;
	look();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct blackbox_items items =
			blackbox_view_items(&view, wanted[i].kind);

		assert_true(items.nr >= wanted[i].least);
		assert_true(items.at >= box + BLACKBOX_PAGE);
		assert_true(items.at + (size_t)items.nr * items.stride <=
			    box + SIZE);
		if (wanted[i].kind == BLACKBOX_RAMOOPS_DUMP)
			assert_ptr_equal(items.at, end);
		if (wanted[i].kind <= BLACKBOX_RAMOOPS_CONSOLE)
			end = items.at + (size_t)items.nr * items.stride;
	}
	/* What the kernel is told is what the table says. */
	assert_ptr_equal(end, box + BLACKBOX_PAGE + RAMOOPS_SIZE);
	assert_true(blackbox_exits(63) != NULL);
	assert_null(blackbox_exits(1000));
}

static void exits(void **state)
{
	static const char *const names[] = { "port", "msr" };
	struct blackbox_trace found;
	struct blackbox_exit_view e;
	struct trace trace;
	char name[BLACKBOX_NAME_SIZE];

	(void)state;
	trace_init(&trace, blackbox_exits(1));
	blackbox_names(names, 2);
	for (uint64_t i = 1; i <= 3000; i++) {
		trace_begin(&trace, i % 2, 1, i << 12);
		trace_what(&trace, i, ~i);
		if (i < 3000)
			trace_end(&trace);
	}
	blackbox_log(LOG_INFO, "now", 3);
	look();
	assert_true(view.rate_ticks == 0); /* no ring of VP 0: no rate */
	assert_false(blackbox_view_trace(&view, blackbox_view_items(&view,
					 BLACKBOX_EXITS), 0, &found));
	assert_true(blackbox_view_trace(&view, blackbox_view_items(&view,
					BLACKBOX_EXITS), 1, &found));
	assert_int_equal(found.newest, 3000);
	for (uint64_t i = 3000 - TRACE_RECORDS + 1; i <= 3000; i++) {
		assert_true(blackbox_view_exit(&view, &found, i, &e));
		assert_int_equal(e.rip, i << 12);
		assert_int_equal(e.qualifier, i);
		assert_int_equal(e.value, ~i);
	}
	assert_false(blackbox_view_exit(&view, &found, 3001, &e));
	assert_false(blackbox_view_exit(&view, &found, 3000 - TRACE_RECORDS,
					&e));
	blackbox_view_name(blackbox_view_items(&view, BLACKBOX_NAMES), 1,
			   name);
	assert_string_equal(name, "msr");
	/* Its writer died between the two numbers: the oldest is in doubt. */
	atomic_store(&trace.ring->begun, 3001);
	assert_true(blackbox_view_trace(&view, blackbox_view_items(&view,
					BLACKBOX_EXITS), 1, &found));
	assert_false(blackbox_view_exit(&view, &found,
					3001 - TRACE_RECORDS, &e));
	assert_true(blackbox_view_exit(&view, &found,
				       3002 - TRACE_RECORDS, &e));
}

static void times(void **state)
{
	struct timespec pause = { .tv_nsec = 20000000 }, t;
	struct blackbox_trace found;
	struct blackbox_exit_view e;
	struct trace trace;
	uint64_t ns;

	(void)state;
	trace_init(&trace, blackbox_exits(0));
	nanosleep(&pause, NULL);
	trace_begin(&trace, 0, 0, 1);
	nanosleep(&pause, NULL);
	trace_end(&trace);
	blackbox_log(LOG_INFO, "now", 3);
	clock_gettime(CLOCK_MONOTONIC, &t);
	ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	look();
	assert_true(blackbox_view_trace(&view, blackbox_view_items(&view,
					BLACKBOX_EXITS), 0, &found));
	assert_true(blackbox_view_exit(&view, &found, 1, &e));
	assert_true(e.time > found.ns && e.time < ns);
	assert_in_range(e.took, 19000000, 500000000);
}

static void messages(void **state)
{
	struct blackbox_items ring;
	struct blackbox_entry e;
	uint8_t message[100];

	(void)state;
	for (unsigned int i = 1; i <= 1000; i++) {
		memset(message, (int)i, sizeof(message));
		blackbox_message(i % 2 ? BLACKBOX_FROM_GUEST :
					 BLACKBOX_TO_GUEST, i % 7, message,
				 i % sizeof(message));
	}
	look();
	ring = blackbox_view_items(&view, BLACKBOX_VMBUS);
	assert_int_equal(blackbox_view_newest(ring), 1000);
	for (unsigned int i = 1000 - 199; i <= 1000; i++) {
		assert_true(blackbox_view_entry(ring, i, &e));
		assert_int_equal(e.bytes, i % sizeof(message));
		assert_int_equal(e.len, e.bytes < 64 ? e.bytes : 64);
		assert_int_equal(e.kind, i % 2 ? BLACKBOX_FROM_GUEST :
						 BLACKBOX_TO_GUEST);
		assert_int_equal(e.vp, i % 7);
		memset(message, (int)i, sizeof(message));
		assert_memory_equal(e.data, message, e.len);
	}
	assert_false(blackbox_view_entry(ring, 1000 - ring.nr, &e));
	assert_false(blackbox_view_entry(ring, 0, &e));
	/* A slot whose writer did not come back. */
	memset((uint8_t *)ring.at + 1000 % ring.nr * ring.stride, 0, 8);
	assert_int_equal(blackbox_view_newest(ring), 999);
}

/* The first error stays, whatever comes after. */
static void failures(void **state)
{
	struct blackbox_failure_view f;
	struct blackbox_items items;
	char line[600];

	(void)state;
	memset(line, 'x', sizeof(line));
	blackbox_log(LOG_WARN, "a warning", 9);
	look();
	items = blackbox_view_items(&view, BLACKBOX_FAILURE);
	assert_false(blackbox_view_failure(items, BLACKBOX_FIRST_ERROR, &f));
	blackbox_log(LOG_ERR, "the first", 9);
	for (int i = 0; i < 1000; i++)
		blackbox_log(LOG_ERR, line, sizeof(line));
	assert_true(blackbox_view_failure(items, BLACKBOX_FIRST_ERROR, &f));
	assert_true(f.written);
	assert_int_equal(f.len, 9);
	assert_memory_equal(f.text, "the first", 9);
	assert_false(blackbox_view_failure(items, BLACKBOX_FIRST_SIGNAL, &f));
	assert_false(blackbox_view_failure(items, BLACKBOX_FAILURES, &f));
}

static void start(void)
{
	struct dt_range range = { GPA, SIZE };

	log_set_sink(open("/dev/null", O_WRONLY), false);
	blackbox_open(NULL, &range);
}

/* Of a process that a signal ends, its own or one that was sent: registers,
 * stack, and its last line. */
static void ends_by(bool sent)
{
	struct blackbox_failure_view f;
	struct blackbox_items items;
	struct blackbox_entry e;
	int status;
	pid_t child;

	child = fork();
	if (!child) {
		start();
		log_warn("soon");
		if (sent)
			kill(getpid(), SIGSEGV);
		else
			*(volatile int *)0x1230 = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	look();
	items = blackbox_view_items(&view, BLACKBOX_FAILURE);
	assert_true(blackbox_view_failure(items, BLACKBOX_FIRST_SIGNAL, &f));
	assert_true(f.written);
	assert_int_equal(f.signal, SIGSEGV);
	assert_int_equal(f.code, sent ? SI_USER : SEGV_MAPERR);
	if (!sent)
		assert_int_equal(f.address, 0x1230);
	assert_int_equal(f.thread, child);
	assert_true(f.registers[0] && f.registers[1]);
	assert_int_equal(f.stack_words, BLACKBOX_STACK_WORDS);
	items = blackbox_view_items(&view, BLACKBOX_LOG);
	assert_int_equal(blackbox_view_newest(items), 2);
	assert_true(blackbox_view_entry(items, 2, &e));
	assert_memory_equal(e.data, "test: soon", e.len);
}

static void a_fault(void **state)
{
	(void)state;
	ends_by(false);
}

static void a_signal(void **state)
{
	(void)state;
	ends_by(true);
}

static void none(void **state)
{
	struct dt_range range = { 0, 0 };
	uint8_t *page;

	(void)state;
	capture_stderr();
	log_set_sink(STDERR_FILENO, false);
	blackbox_open(NULL, &range);
	range = (struct dt_range){ GPA, SIZE };
	((struct blackbox_header *)box)->version = cpu_to_le32(2);
	blackbox_open(NULL, &range);
	assert_string_equal(captured_stderr(),
			    "blackbox: none in this image: exits, messages and "
			    "log end with VTL2\n"
			    "blackbox: 0x77c00000+0x400000: its header is not "
			    "one\n");
	/* A table that points elsewhere: nothing is used. */
	memset(box, 0, SIZE);
	black_box_fill((struct blackbox_header *)box, GPA, SIZE);
	for (int i = 0; i < 7; i++)
		((struct blackbox_header *)box)->section[i].offset =
			cpu_to_le32(SIZE - 64);
	page = malloc(SIZE);
	memcpy(page, box, SIZE);
	assert_true(blackbox_use(box, GPA, SIZE));
	assert_null(blackbox_exits(0));
	blackbox_log(LOG_ERR, "x", 1);
	blackbox_message(BLACKBOX_TO_GUEST, 0, "x", 1);
	assert_memory_equal(page, box, SIZE);
	free(page);
}

/* ---- the command ---- */

static char path[] = "/tmp/blackbox-test-XXXXXX";

static void write_file(const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* What the command prints; freed by the caller. */
static char *run(int expected, const char *option)
{
	char *argv[] = { (char *)"blackbox", path, (char *)option, NULL };
	int fd = memfd_create("out", 0), saved = dup(STDOUT_FILENO);
	char *text = calloc(1, 1 << 20);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	assert_int_equal(pvctl_blackbox(option ? 3 : 2, argv, false), expected);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_true(pread(fd, text, (1 << 20) - 1, 0) >= 0);
	close(fd);
	return text;
}

/* As the kernel leaves a zone; `start` > 0: it went round. */
static void zone(enum blackbox_kind kind, const char *text, uint32_t start)
{
	struct blackbox_items items = blackbox_view_items(&view, kind);
	struct ramoops_zone head = { cpu_to_le32(RAMOOPS_ZONE_MAGIC),
				     cpu_to_le32(start),
				     cpu_to_le32((uint32_t)strlen(text)) };

	memcpy((uint8_t *)items.at, &head, sizeof(head));
	memcpy((uint8_t *)items.at + sizeof(head), text, strlen(text));
}

static void fill(void)
{
	static const char *const names[] = { "port", "msr" };
	uint8_t contact[16] = { 14 };
	struct trace trace;

	trace_init(&trace, blackbox_exits(0));
	blackbox_names(names, 2);
	for (uint64_t i = 1; i <= 50; i++) {
		trace_begin(&trace, 0, 1, i);
		trace_what(&trace, 0xcf8, i);
		trace_end(&trace);
	}
	blackbox_message(BLACKBOX_FROM_GUEST, 1, contact, sizeof(contact));
	blackbox_log(LOG_ERR, "nvme: \"quoted\"\x1b[31m", 19);
	look();
	zone(BLACKBOX_RAMOOPS_DUMP, "====1.000000-D\nPanic#1 Part1\n"
	     "<4>[ 1.0] sysrq: Trigger a crash\n", 0);
	zone(BLACKBOX_RAMOOPS_CONSOLE, "second\nfirst\n", 7);
	write_file(box, SIZE);
}

static void text(void **state)
{
	char *out;

	(void)state;
	fill();
	out = run(0, NULL);
	assert_non_null(strstr(out, "4096 KiB at 0x77c00000"));
	assert_non_null(strstr(out, "Trigger a crash\n"));
	assert_non_null(strstr(out, "console\nfirst\nsecond\n"));
	assert_non_null(strstr(out, "error nvme: \"quoted\".[31m\n"));
	assert_non_null(strstr(out, "VP 1 -> INITIATE_CONTACT, 16 bytes: "
			       "0e000000 00000000"));
	assert_non_null(strstr(out, "VP 0: 50 exits"));
	assert_non_null(strstr(out, "#50 port      write   rip 0x32 qualifier "
			       "0xcf8 value 0x32 "));
	assert_null(strstr(out, "#18 port"));
	assert_non_null(strstr(out, "#19 port"));
	free(out);
}

static void json(void **state)
{
	yyjson_doc *doc;
	yyjson_val *root;
	char *out;

	(void)state;
	fill();
	out = run(0, "--json");
	doc = yyjson_read(out, strlen(out), 0);
	root = yyjson_doc_get_root(doc);
	assert_int_equal(yyjson_get_uint(yyjson_obj_get(root, "version")), 1);
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(root,
				"/first_error/line")),
			    "nvme: \"quoted\"\x1b[31m");
	assert_true(yyjson_is_null(yyjson_obj_get(root, "first_signal")));
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/console")),
			    "first\nsecond\n");
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(root,
				"/vmbus/0/name")), "INITIATE_CONTACT");
	assert_string_equal(yyjson_get_str(yyjson_ptr_get(root,
				"/vps/0/last/31/qualifier")), "0xcf8");
	yyjson_doc_free(doc);
	free(out);
}

static void refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *why;
	} files[] = {
		{ "", 0, "must be a file of 1 byte to 16 MiB" },
		{ "BLACKBOX", 8, "too short for a black box" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char line[200];

		write_file(files[i].bytes, files[i].len);
		capture_stderr();
		free(run(1, NULL));
		snprintf(line, sizeof(line), "pvctl: blackbox: %s: %s\n",
			 path, files[i].why);
		assert_string_equal(captured_stderr(), line);
	}
	box[0] = 'b';
	write_file(box, SIZE);
	capture_stderr();
	free(run(1, NULL));
	assert_non_null(strstr(captured_stderr(), "does not begin with"));
	box[0] = 'B';
	box[8] = 9;
	write_file(box, SIZE);
	capture_stderr();
	free(run(1, NULL));
	assert_non_null(strstr(captured_stderr(), "another version than 1"));
	capture_stderr();
	free(run(2, "-n1025"));
	assert_non_null(strstr(captured_stderr(), "-n: must be a number"));
	capture_stderr();
	free(run(2, "--what"));
	assert_non_null(strstr(captured_stderr(), "usage: pvctl blackbox"));
}

/* Each byte of the header and the first of each item, all of them wrong: the
 * sanitizers are the judge. */
static void damaged(void **state)
{
	static const uint8_t wrong[] = { 0, 1, 0x7f, 0xff };
	FILE *nowhere = fopen("/dev/null", "w");
	const char *why;

	(void)state;
	fill();
	for (size_t at = 0; at < sizeof(struct blackbox_header); at++) {
		for (size_t i = 0; i < sizeof(wrong); i++) {
			uint8_t was = box[at];

			box[at] = wrong[i];
			if (!blackbox_view_open(&view, box, SIZE, &why)) {
				blackbox_print_text(&view, 8, nowhere);
				blackbox_print_json(&view, 8, nowhere);
			}
			box[at] = was;
		}
	}
	for (size_t size = 0; size < SIZE; size = size * 5 / 4 + 100) {
		uint8_t *cut = malloc(size);

		memcpy(cut, box, size);
		if (!blackbox_view_open(&view, cut, size, &why))
			blackbox_print_text(&view, 8, nowhere);
		free(cut);
	}
	fclose(nowhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(layout, fresh),
		cmocka_unit_test_setup(exits, fresh),
		cmocka_unit_test_setup(times, fresh),
		cmocka_unit_test_setup(messages, fresh),
		cmocka_unit_test_setup(failures, fresh),
		cmocka_unit_test_setup(a_fault, fresh),
		cmocka_unit_test_setup(a_signal, fresh),
		cmocka_unit_test_setup(none, fresh),
		cmocka_unit_test_setup(text, fresh),
		cmocka_unit_test_setup(json, fresh),
		cmocka_unit_test_setup(refused, fresh),
		cmocka_unit_test_setup(damaged, fresh),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
