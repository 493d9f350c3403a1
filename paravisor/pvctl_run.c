// SPDX-License-Identifier: MIT
/*
 * Commands of VTL2, run from here.
 *
 *	stdin --> data --> command --> data --> stdout      run: stderr, too
 *	                      Wait: its status, which is pvctl's
 *
 * `shell' gives the command a terminal there and makes ours pass every key on;
 * it is set back however pvctl ends, short of SIGKILL.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "pvctl.h"

struct running {
	struct pvctl *p;
	int data[3];	    /* -1: not there, or at its end */
	uint64_t deadline_ms; /* 0: none */
	bool answered;
	int exit_code;
};

/* ---- the terminal on this side ---- */

static struct termios saved;
static volatile sig_atomic_t raw;

static void restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raw = 0;
}

static void on_end(int number)
{
	restore();
	signal(number, SIG_DFL);
	raise(number); /* blocked until the handler returns */
}

static void make_raw(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_end };
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved))
		return;
	t = saved;
	cfmakeraw(&t);
	atexit(restore);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &action, NULL);
	raw = 1;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &t))
		restore();
}

/* ---- the start ---- */

static void put_env(struct pb_writer *w, const char *name, const char *value)
{
	size_t pair = pb_begin(w, 8);

	pb_text(w, 1, name);
	pb_text(w, 2, value);
	pb_end(w, pair);
}

/* Exec with all streams that there are, and Wait behind it. */
static int start(struct running *r, char *const *argv, bool tty)
{
	struct ttrpc_response response;
	const char *term = getenv("TERM");
	uint8_t bytes[PVCTL_REQUEST_MAX];
	struct pb_reader reader;
	struct pb_field pid = { 0 };
	struct pb_writer w;
	int status;

	pb_write(&w, bytes, sizeof(bytes));
	pb_text(&w, 1, argv[0]);
	for (int i = 1; argv[i]; i++)
		pb_text(&w, 2, argv[i]);
	if (tty) {
		pb_uint(&w, 3, 1);
		put_env(&w, "TERM", term && *term ? term : "xterm-256color");
	}
	for (uint32_t i = 0; i < (tty ? 2u : 3u); i++) {
		uint64_t id;

		status = pvctl_open_data(r->p, &id, &r->data[i]);
		if (status)
			return status;
		pb_uint(&w, 4 + i, id);
	}
	status = pvctl_call(r->p, PVCTL_UNDERHILL, "Exec", &w, &response);
	if (status)
		return status;
	pb_read(&reader, response.payload, response.len);
	pb_next(&reader, &pid);
	pb_write(&w, bytes, sizeof(bytes));
	pb_uint(&w, 1, pid.value);
	return pvctl_ask(r->p, PVCTL_UNDERHILL, "Wait", &w);
}

/* ---- while it runs ---- */

static void end(struct running *r, int stream)
{
	close(r->data[stream]);
	r->data[stream] = -1;
}

static void from_stdin(struct running *r)
{
	char bytes[4096];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n <= 0 || pvctl_send_all(r->data[0], bytes, (size_t)n,
				     r->deadline_ms) != 1)
		end(r, 0);
}

static void to_output(struct running *r, int stream)
{
	FILE *to = stream == 1 ? stdout : stderr;
	char bytes[4096];
	ssize_t n = read(r->data[stream], bytes, sizeof(bytes));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0 || fwrite(bytes, 1, (size_t)n, to) != (size_t)n ||
	    fflush(to))
		end(r, stream);
}

static int take_exit(struct running *r)
{
	struct ttrpc_response response;
	struct pb_reader reader;
	struct pb_field f;
	int status = pvctl_answer(r->p, &response,
				  pvctl_now_ms() + r->p->timeout_ms);

	if (status)
		return status;
	r->answered = true;
	pb_read(&reader, response.payload, response.len);
	while (pb_next(&reader, &f))
		if (f.number == 1)
			r->exit_code = (int)f.value;
	return PVCTL_OK;
}

static int timeout(const struct running *r)
{
	uint64_t now = pvctl_now_ms();

	if (!r->deadline_ms)
		return -1;
	return now < r->deadline_ms ? (int)(r->deadline_ms - now) : 0;
}

/* Until the command has ended and all that it wrote is here. */
static int relay(struct running *r)
{
	while (!r->answered || r->data[1] >= 0 || r->data[2] >= 0) {
		struct pollfd fd[] = {
			{ .fd = r->data[0] >= 0 ? STDIN_FILENO : -1,
			  .events = POLLIN },
			{ .fd = r->data[1], .events = POLLIN },
			{ .fd = r->data[2], .events = POLLIN },
			{ .fd = r->answered ? -1 : r->p->control,
			  .events = POLLIN },
		};
		int status = PVCTL_OK;

		if (!poll(fd, 4, timeout(r)))
			return pvctl_fail(r->p, PVCTL_TIMEOUT,
					  "it still runs");
		if (fd[0].revents)
			from_stdin(r);
		for (int i = 1; i < 3; i++)
			if (fd[i].revents)
				to_output(r, i);
		if (fd[3].revents)
			status = take_exit(r);
		if (status)
			return status;
	}
	return r->exit_code;
}

static int run(struct pvctl *p, char *const *argv, bool tty)
{
	struct running r = { .p = p, .data = { -1, -1, -1 } };
	int status = start(&r, argv, tty);

	if (p->limited)
		r.deadline_ms = pvctl_now_ms() + p->timeout_ms;
	if (!status) {
		if (tty)
			make_raw();
		status = relay(&r);
		restore();
	}
	for (int i = 0; i < 3; i++)
		if (r.data[i] >= 0)
			close(r.data[i]);
	return status;
}

int pvctl_do_run(struct pvctl *p, int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--")) {
		argc--;
		argv++;
	}
	if (argc < 2 || *argv[1] == '-')
		return pvctl_usage(p);
	return run(p, argv + 1, false);
}

int pvctl_do_shell(struct pvctl *p, int argc, char **argv)
{
	static char sh[] = "/bin/sh";
	static char *const shell[] = { sh, NULL };

	if (argc > 1 && *argv[1] == '-')
		return pvctl_usage(p);
	return run(p, argc > 1 ? argv + 1 : shell, true);
}
