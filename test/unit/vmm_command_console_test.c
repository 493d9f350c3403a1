/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/command_console.c test/vmm/command_line.c test/vmm/vsock_session.c test/vmm/terminal.c test/vmm/commands.c test/vmm/command_arguments.c test/vmm/request.c */
/* SOURCES: test/vmm/json.c test/vmm/device_option.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */
/*
 * The console, on pipes and on a terminal. On a terminal it is a process of its
 * own, whose controlling terminal that is, and this one types.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <utmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "test/vmm/command_console.h"
#include "test/vmm/loop.h"

#define DEADLINE_MS 10000

static char socket_path[64];
static struct reactor *loop;
static pthread_t thread;
static struct command_console *console;

/* ---- what commands do ---- */

static atomic_uint quits;
static command_done *later;
static void *later_request;

static void quit(void *opaque)
{
	(void)opaque;
	atomic_fetch_add(&quits, 1);
}

static void info(void *opaque, FILE *out)
{
	(void)opaque;
	fputs("{\"state\":\"running\",\"vps\":2}", out);
}

static const char *resume(void *opaque)
{
	(void)opaque;
	return "it is not paused";
}

/* Not answered, until the test does. */
static const char *ask_shutdown(void *opaque, command_done *done, void *request)
{
	(void)opaque;
	later_request = request;
	later = done;
	return NULL;
}

static const char *kvp_get(void *opaque, const char *pool, const char *key,
			   void (*done)(void *request, const char *error,
					const char *value), void *request)
{
	(void)opaque;
	(void)pool;
	done(request, NULL, key);
	return NULL;
}

static const char *vsock(void *opaque, unsigned int vtl)
{
	(void)opaque;
	return vtl ? NULL : socket_path;
}

static const struct command_ops ops = {
	.quit = quit,
	.info = info,
	.resume = resume,
	.shutdown = ask_shutdown,
	.kvp_get = kvp_get,
	.vsock = vsock,
};
static const struct command_target target = { &ops, NULL };

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void start(FILE *in, FILE *out)
{
	quits = 0;
	later = NULL;
	loop = loop_create();
	assert_non_null(loop);
	assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
	console = command_console_start(in, out, &target, loop);
	assert_non_null(console);
}

static void stop(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	command_console_stop(console);
	loop_destroy(loop);
}

/* ---- the guest's socket: "CONNECT 9980" echoes in capitals, others close ---- */

static void serve_client(int fd)
{
	char line[64] = "";
	size_t len = 0;
	char byte;

	while (len < sizeof(line) - 1 && read(fd, line + len, 1) == 1 &&
	       line[len] != '\n')
		len++;
	line[len] = '\0';
	if (!strcmp(line, "CONNECT 9980") && write(fd, "OK 1\n", 5) == 5)
		while (read(fd, &byte, 1) == 1) {
			if (byte == 'q')
				break;
			if (byte >= 'a' && byte <= 'z')
				byte = (char)(byte - 'a' + 'A');
			if (write(fd, &byte, 1) != 1)
				break;
		}
	close(fd);
}

static atomic_uint talks; /* that ended */

static void *serve(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve_client(fd);
		atomic_fetch_add(&talks, 1);
	}
	return NULL;
}

static int listener = -1;
static pthread_t server;

static int begin_serving(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	talks = 0;
	unlink(socket_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, socket_path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 4))
		return -1;
	return pthread_create(&server, NULL, serve,
			      (void *)(intptr_t)listener);
}

static int end_serving(void **state)
{
	(void)state;
	shutdown(listener, SHUT_RDWR);
	pthread_join(server, NULL);
	close(listener);
	unlink(socket_path);
	return 0;
}

/* ---- pipes ---- */

static int to_console, from_console;
static FILE *console_in, *console_out;

static void start_on_pipes(void)
{
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	to_console = in[1];
	from_console = out[0];
	console_in = fdopen(in[0], "r");
	console_out = fdopen(out[1], "w");
	start(console_in, console_out);
}

static void stop_on_pipes(void)
{
	stop();
	fclose(console_in);
	fclose(console_out);
	close(to_console);
	close(from_console);
}

static void type_to(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* What comes until `end` is its end; static. */
static const char *read_until(int fd, const char *end)
{
	static char text[16384];
	size_t len = 0;

	text[0] = '\0';
	while (len < strlen(end) || strcmp(text + len - strlen(end), end)) {
		struct pollfd in = { .fd = fd, .events = POLLIN };

		if (poll(&in, 1, DEADLINE_MS) != 1 ||
		    read(fd, text + len, 1) != 1) {
			print_message("so far: %s\n", text);
			fail();
		}
		text[++len] = '\0';
		assert_true(len < sizeof(text) - 1);
	}
	return text;
}

static void lines_from_a_pipe(void **state)
{
	(void)state;
	start_on_pipes();
	type_to(to_console, "info\n");
	assert_string_equal(read_until(from_console, "vps: 2\n"),
			    "state: running\nvps: 2\n");
	type_to(to_console, "\n  \nresume\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "resume: it is not paused\n");
	type_to(to_console, "kvp-get 'two \"words\"'\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "value: two \"words\"\n");
	type_to(to_console, "kvp-get \xc3\xa4\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "value: \xc3\xa4\n");
	type_to(to_console, "fly away\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "fly: unknown command; help lists them\n");
	type_to(to_console, "nvme-detach 0 0\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "nvme-detach: nsid: must be a number from 1 to "
			    "4294967294\n");
	type_to(to_console, "fault 0 drop 2 1 7 1 0 0 no\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "admin: must be true or false\n");
	type_to(to_console, "help\n");
	assert_non_null(strstr(read_until(from_console, "late, ...; none\n"),
			       "\n  kvp-get KEY [POOL] "));
	type_to(to_console, "quit\n");
	assert_string_equal(read_until(from_console, "\n"), "ok\n");
	assert_int_equal(quits, 1);
	stop_on_pipes();
}

static void answer_later(void *arg)
{
	(void)arg;
	later(later_request, NULL);
}

static bool wait_later(void)
{
	for (int i = 0; i < DEADLINE_MS && !*(command_done *volatile *)&later;
	     i++)
		usleep(1000);
	return later;
}

/* An answer that takes its time; and one that does not come before the end. */
static void answers_that_come_late(void **state)
{
	(void)state;
	start_on_pipes();
	type_to(to_console, "shutdown\n");
	assert_true(wait_later());
	reactor_run(loop, answer_later, NULL);
	assert_string_equal(read_until(from_console, "\n"), "ok\n");
	later = NULL;
	type_to(to_console, "shutdown\n");
	assert_true(wait_later());
	stop_on_pipes();
}

/* The end of input ends the console alone. */
static void end_of_input(void **state)
{
	(void)state;
	start_on_pipes();
	type_to(to_console, "info\n");
	close(to_console);
	to_console = -1;
	read_until(from_console, "vps: 2\n");
	assert_int_equal(quits, 0);
	stop_on_pipes();
}

/* What follows the line is the guest's, until it closes. */
static void a_port_on_pipes(void **state)
{
	(void)state;
	start_on_pipes();
	type_to(to_console, "v 9980\nhello");
	assert_string_equal(read_until(from_console, "O"), "HELLO");
	type_to(to_console, "q");
	/* What is typed before the console sees it would be the guest's. */
	for (int i = 0; i < DEADLINE_MS && !talks; i++)
		usleep(1000);
	usleep(300000);
	type_to(to_console, "v 9981\n");
	assert_string_equal(read_until(from_console, "\n"),
			    "v: nobody in the guest listens there\n");
	type_to(to_console, "v 9980 2\n");
	assert_string_equal(read_until(from_console, "\n"), "v: vtl: has no "
			    "socket: vmm was started without "
			    "--vtl2-vsock-path\n");
	/* The end of input is told to the guest, who still answers. */
	type_to(to_console, "v 9980\nlast");
	close(to_console);
	to_console = -1;
	assert_string_equal(read_until(from_console, "T"), "LAST");
	stop_on_pipes();
}

/* vmm ends while somebody talks to a guest. */
static void the_end_ends_a_talk(void **state)
{
	(void)state;
	start_on_pipes();
	type_to(to_console, "v 9980\nx");
	read_until(from_console, "X");
	stop_on_pipes();
}

/* ---- a terminal ---- */

static pid_t child;
static int terminal;

/* The other process: until its parent hangs up or sends SIGTERM. */
static void be_console(void)
{
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	setenv("TERM", "vt100", 1);
	start(stdin, stdout);
	sigwait(&set, &number);
	stop();
	_exit(quits ? 10 + (int)quits : 0);
}

static void start_on_terminal(struct termios *before)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int slave;

	/* As it is before the console has it. */
	assert_int_equal(openpty(&terminal, &slave, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(slave, before), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(terminal);
		if (login_tty(slave))
			_exit(1);
		be_console();
	}
	close(slave);
	read_until(terminal, "vmm> ");
}

/* The status, and that the terminal is as it was. */
static int stop_on_terminal(const struct termios *before)
{
	struct termios after;
	int status;

	kill(child, SIGTERM);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(tcgetattr(terminal, &after), 0);
	assert_int_equal(after.c_lflag, before->c_lflag);
	assert_int_equal(after.c_iflag, before->c_iflag);
	assert_int_equal(after.c_oflag, before->c_oflag);
	close(terminal);
	return WEXITSTATUS(status);
}

static void lines_are_edited_and_remembered(void **state)
{
	struct termios before;

	(void)state;
	start_on_terminal(&before);
	/* Left, a letter in the middle; start of line; backspace. */
	type_to(terminal, "kvp-get ac\x1b[Db\n");
	/* The prompt is also drawn anew when the line is. */
	read_until(terminal, "value: abc\r\n");
	read_until(terminal, "vmm> ");
	type_to(terminal, "et 1\x01kvp-gg\x7f\n");
	read_until(terminal, "value: 1\r\n");
	read_until(terminal, "vmm> ");
	/* Up twice: the one before the last. */
	type_to(terminal, "\x1b[A\x1b[A\n");
	read_until(terminal, "value: abc\r\n");
	read_until(terminal, "vmm> ");
	type_to(terminal, "\x10\x10Z\n");
	read_until(terminal, "value: 1Z\r\n");
	read_until(terminal, "vmm> ");
	type_to(terminal, "quit\n");
	read_until(terminal, "ok\r\n");
	read_until(terminal, "vmm> ");
	assert_int_equal(stop_on_terminal(&before), 11);
}

static void a_port_on_a_terminal(void **state)
{
	struct termios before;

	(void)state;
	start_on_terminal(&before);
	type_to(terminal, "v 9980\n");
	read_until(terminal, "Ctrl-] ends\r\n");
	/* Raw: each byte at once, no echo, and Ctrl-C is the guest's. */
	type_to(terminal, "a\003b");
	assert_string_equal(read_until(terminal, "B"), "A\003B");
	type_to(terminal, "c\x1d");
	read_until(terminal, "not connected any more\r\n");
	read_until(terminal, "vmm> ");
	type_to(terminal, "info\n");
	assert_non_null(strstr(read_until(terminal, "vmm> "), "vps: 2\r\n"));
	/* The other end closes; and vmm ends in the middle of one. */
	type_to(terminal, "v 9980\n");
	read_until(terminal, "Ctrl-] ends\r\n");
	type_to(terminal, "q");
	read_until(terminal, "vmm> ");
	type_to(terminal, "v 9980\n");
	read_until(terminal, "Ctrl-] ends\r\n");
	assert_int_equal(stop_on_terminal(&before), 0);
}

/* libtinfo, below libedit, keeps the terminal's description. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libtinfo";
}

#define WITH_GUEST(name) \
	cmocka_unit_test_setup_teardown(name, begin_serving, end_serving)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_from_a_pipe),
		cmocka_unit_test(answers_that_come_late),
		cmocka_unit_test(end_of_input),
		WITH_GUEST(a_port_on_pipes),
		WITH_GUEST(the_end_ends_a_talk),
		cmocka_unit_test(lines_are_edited_and_remembered),
		WITH_GUEST(a_port_on_a_terminal),
	};

	signal(SIGPIPE, SIG_IGN);
	snprintf(socket_path, sizeof(socket_path), "/tmp/console_test.%d",
		 getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
