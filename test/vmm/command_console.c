// SPDX-License-Identifier: MIT
/*
 * Console, theory of operation
 *
 * Owns a thread, which reads lines with libedit, waits for the answers and
 * prints them, so that a person who thinks, and a terminal that is stopped, hold
 * up nobody. Commands run where all run, on the loop's thread:
 *
 *	console's thread                 loop's thread
 *	words -> struct ask --post--> ask_run(): command_run()
 *	waits <---------------------- ask_answer()
 *
 * An ask whose answer does not come in ANSWER_S is left behind: the console goes
 * on, and whoever answers it later frees it, or command_console_stop().
 *
 * `v` is a command like the others, and answers where its port can be reached;
 * the console then goes there itself (vsock_session.c).
 *
 * However it waits, for a key, an answer or the guest, command_console_stop()
 * ends it: `wake` becomes readable, and `ending` is set. The terminal's settings
 * are held by terminal.c, for an end that does not come by here.
 *
 * Failure answers: one line where the answer would be.
 */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "command_console.h"
#include "command_line.h"
#include "terminal.h"
#include "vsock_session.h"

/* The longest that a command may take, a guest's answer, has 35 s. */
#define ANSWER_S 60
#define HISTORY_LINES 500

struct ask {
	struct request request; /* first: answers get this address */
	struct reactor_call call;
	struct command_console *console;
	struct ask *next;
	const char *name;
	char *args;
	char *ok, *error; /* the answer */
	bool answered, left;
};

struct command_console {
	FILE *in, *out;
	const struct command_target *target;
	struct reactor *loop;
	bool terminal;
	int wake;
	pthread_t thread;
	EditLine *el;
	mbstate_t character; /* the bytes of one that came so far */

	pthread_mutex_t lock; /* for what is below */
	pthread_cond_t changed;
	bool ending;
	struct ask *asks; /* not freed yet */
};

/* ---- asking ---- */

/* Under the lock. */
static void ask_free(struct ask *ask)
{
	struct ask **at = &ask->console->asks;

	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	free(ask->args);
	free(ask->ok);
	free(ask->error);
	free(ask);
}

static void ask_answer(struct request *request, const char *ok,
		       const char *error)
{
	struct ask *ask = (struct ask *)request;
	struct command_console *console = ask->console;

	pthread_mutex_lock(&console->lock);
	ask->ok = ok ? strdup(ok) : NULL;
	ask->error = error ? strdup(error) : NULL;
	ask->answered = true;
	if (ask->left)
		ask_free(ask);
	else
		pthread_cond_signal(&console->changed);
	pthread_mutex_unlock(&console->lock);
}

static void ask_run(struct reactor_call *call)
{
	struct ask *ask = (struct ask *)((char *)call -
					 offsetof(struct ask, call));
	char name[ARGUMENT_LIST_MAX * 16];
	struct json_span args;
	size_t wrong;
	int len = snprintf(name, sizeof(name), "\"%s\"", ask->name);

	if (json_check(ask->args, strlen(ask->args), &args, &wrong))
		request_error(&ask->request, "not JSON at byte %zu", wrong);
	else
		command_run((void *)(uintptr_t)ask->console->target,
			    &ask->request,
			    (struct json_span){ name, (size_t)len }, args);
}

/* Takes `args`. NULL: no memory. */
static struct ask *ask_begin(struct command_console *console, const char *name,
			     char *args)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (!ask) {
		free(args);
		return NULL;
	}
	ask->request.answer = ask_answer;
	ask->call.fn = ask_run;
	ask->console = console;
	ask->name = name;
	ask->args = args;
	pthread_mutex_lock(&console->lock);
	ask->next = console->asks;
	console->asks = ask;
	pthread_mutex_unlock(&console->lock);
	reactor_post(console->loop, &ask->call);
	return ask;
}

/* False: it was left behind, unanswered. */
static bool ask_wait(struct ask *ask)
{
	struct command_console *console = ask->console;
	struct timespec until;
	int err = 0;
	bool answered;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ANSWER_S;
	pthread_mutex_lock(&console->lock);
	while (!ask->answered && !console->ending && !err)
		err = pthread_cond_timedwait(&console->changed, &console->lock,
					     &until);
	answered = ask->answered;
	ask->left = !answered;
	pthread_mutex_unlock(&console->lock);
	return answered;
}

/* ---- commands ---- */

/* The members of the answer to `v`. */
static bool read_way(const char *ok, char *path, char *line, size_t size)
{
	struct json_span value, member;
	size_t wrong;

	return !json_check(ok, strlen(ok), &value, &wrong) &&
	       json_member(value, "path", &member) &&
	       !json_text(member, path, size) &&
	       json_member(value, "connect", &member) &&
	       !json_text(member, line, size);
}

static void talk(struct command_console *console, const char *ok)
{
	char path[256], line[256];
	struct vsock_session session = {
		.path = path,
		.connect = line,
		.in = fileno(console->in),
		.out = fileno(console->out),
		.wake = console->wake,
		.escapes = console->terminal,
	};
	const char *why = "the answer names no socket";
	int fd = -1;

	if (read_way(ok, path, line, sizeof(path)))
		fd = vsock_session_connect(&session, &why);
	if (fd < 0) {
		fprintf(console->out, "v: %s\n", why);
		return;
	}
	if (console->terminal) {
		terminal_raw();
		fputs("connected; Ctrl-] ends\n", console->out);
		fflush(console->out);
	}
	vsock_session_run(&session, fd);
	if (console->terminal) {
		terminal_cooked();
		fputs("\nnot connected any more\n", console->out);
	}
}

static void run_words(struct command_console *console, int words,
		      const char *const word[])
{
	struct command_line line;
	const char *name;
	struct ask *ask;

	if (!command_line_read(&line, words, word)) {
		fprintf(console->out, "%s\n", line.wrong);
		command_line_free(&line);
		return;
	}
	name = line.command->name;
	if (!strcmp(name, "help")) {
		/* For people it is set otherwise than for programs. */
		commands_help(console->out);
		command_line_free(&line);
		return;
	}
	ask = ask_begin(console, name, line.args);
	if (!ask) {
		fputs("out of memory\n", console->out);
		return;
	}
	if (!ask_wait(ask)) {
		fprintf(console->out, "%s: no answer\n", name);
		return;
	}
	if (ask->ok && !strcmp(name, "v"))
		talk(console, ask->ok);
	else if (ask->ok)
		command_print_answer(ask->ok, console->out);
	else
		fprintf(console->out, "%s: %s\n", name,
			ask->error ? ask->error : "out of memory");
	pthread_mutex_lock(&console->lock);
	ask_free(ask);
	pthread_mutex_unlock(&console->lock);
}

/* ---- lines ---- */

static char *prompt(EditLine *el)
{
	static char text[] = "vmm> ";

	(void)el;
	return text;
}

/* libedit's way to the next character: 1, or 0 at the end. */
static int next_character(EditLine *el, wchar_t *to)
{
	struct command_console *console;

	el_get(el, EL_CLIENTDATA, &console);
	for (;;) {
		struct pollfd poll_fds[] = {
			{ .fd = fileno(console->in), .events = POLLIN },
			{ .fd = console->wake, .events = POLLIN },
		};
		char byte;
		size_t whole;
		ssize_t n;

		fflush(console->out);
		if (poll(poll_fds, 2, -1) < 0)
			continue;
		if (poll_fds[1].revents)
			return 0;
		n = read(poll_fds[0].fd, &byte, 1);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return 0;
		whole = mbrtowc(to, &byte, 1, &console->character);
		if (whole <= 1)
			return 1;
		if (whole == (size_t)-1)
			memset(&console->character, 0,
			       sizeof(console->character));
	}
}

static void run_line(struct command_console *console, Tokenizer *tokenizer,
		     const char *line)
{
	const char **word;
	int words;

	tok_reset(tokenizer);
	if (tok_str(tokenizer, line, &words, &word))
		fputs("a quote that does not end\n", console->out);
	else if (words)
		run_words(console, words, word);
	fflush(console->out);
}

static void read_lines(struct command_console *console)
{
	History *lines = history_init();
	Tokenizer *tokenizer = tok_init(NULL);
	HistEvent event;
	const char *line;
	int len;

	if (!lines || !tokenizer)
		goto out_free;
	history(lines, &event, H_SETSIZE, HISTORY_LINES);
	history(lines, &event, H_SETUNIQUE, 1);
	el_set(console->el, EL_HIST, history, lines);
	while ((line = el_gets(console->el, &len)) && len > 0) {
		if (strspn(line, " \t\n") != strlen(line))
			history(lines, &event, H_ENTER, line);
		run_line(console, tokenizer, line);
	}
	if (console->terminal)
		fputs("\n", console->out);
	fflush(console->out);

out_free:
	if (tokenizer)
		tok_end(tokenizer);
	if (lines)
		history_end(lines);
}

static void *console_thread(void *opaque)
{
	struct command_console *console = opaque;
	/* Names of files are UTF-8; the thread's own, so that nobody else's
	 * numbers and messages change. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

	if (utf8)
		uselocale(utf8);
	console->el = el_init("vmm", console->in, console->out, stderr);
	if (console->el) {
		el_set(console->el, EL_CLIENTDATA, console);
		el_set(console->el, EL_GETCFN, next_character);
		el_set(console->el, EL_PROMPT, prompt);
		el_set(console->el, EL_EDITOR, "emacs");
		read_lines(console);
		el_end(console->el);
	} else {
		fputs("vmm: --console: libedit does not start\n", stderr);
	}
	if (utf8) {
		uselocale(LC_GLOBAL_LOCALE);
		freelocale(utf8);
	}
	return NULL;
}

/* ---- life ---- */

static void console_free(struct command_console *console)
{
	while (console->asks)
		ask_free(console->asks);
	if (console->wake >= 0)
		close(console->wake);
	pthread_cond_destroy(&console->changed);
	pthread_mutex_destroy(&console->lock);
	free(console);
}

struct command_console *command_console_start(FILE *in, FILE *out,
				const struct command_target *target,
				struct reactor *loop)
{
	struct command_console *console = calloc(1, sizeof(*console));
	pthread_condattr_t monotonic;
	const char *why = "out of memory";
	int err;

	if (!console)
		goto out_say;
	*console = (struct command_console){ .in = in,
					     .out = out,
					     .target = target,
					     .loop = loop };
	pthread_mutex_init(&console->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&console->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	console->wake = eventfd(0, EFD_CLOEXEC);
	if (console->wake < 0) {
		why = strerror(errno);
		goto out_free;
	}
	console->terminal = terminal_hold(fileno(in));
	why = "in the background: nothing is read";
	if (isatty(fileno(in)) && !console->terminal)
		goto out_free;
	err = pthread_create(&console->thread, NULL, console_thread, console);
	if (!err)
		return console;
	why = strerror(err);
	terminal_restore();

out_free:
	console_free(console);
out_say:
	fprintf(stderr, "vmm: --console: %s\n", why);
	return NULL;
}

void command_console_stop(struct command_console *console)
{
	static const uint64_t one = 1;

	if (!console)
		return;
	pthread_mutex_lock(&console->lock);
	console->ending = true;
	pthread_cond_signal(&console->changed);
	pthread_mutex_unlock(&console->lock);
	while (write(console->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(console->thread, NULL);
	terminal_restore();
	console_free(console);
}
