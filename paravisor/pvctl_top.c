// SPDX-License-Identifier: MIT
/*
 * pvctl top, theory of operation
 *
 *	read --> wait --> read --> rates of the two --> draw
 *	          ^                                      |
 *	          '--------------------------------------'
 *
 * A reading is several calls: of the daemon's reactor none takes more than the
 * tree of a VP or of VMBus. Each has the time in the middle of its call, by
 * CLOCK_MONOTONIC of here: the tree has no time of its own reading. Between two
 * readings there is no connection, of which a server has only some.
 *
 * On a terminal a round replaces the one before, on the alternate screen. Who
 * ends pvctl by a signal gets the screen back as it was: the handler writes the
 * sequence that does it and then lets the signal have its way; of one that
 * stops, the screen is taken again afterwards. There a VTL2 that does not
 * answer is waited for; otherwise it ends pvctl, as it does every command.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "pvctl.h"
#include "pvctl_top.h"

#define ALL UINT32_MAX
#define ENTER "\033[?1049h\033[?25l" /* alternate screen, no cursor */
#define LEAVE "\033[0m\033[?25h\033[?1049l"

struct top {
	struct pvctl *p;
	bool screen;
	double seconds;
	uint64_t rounds; /* 0: for ever */
	char *block;	 /* the last one drawn, or NULL */
	size_t block_len;
};

/* ---- readings ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void take_leaf(void *opaque, const char *path, uint64_t value,
		      const char *text)
{
	top_take(opaque, path, value, text);
}

static int read_tree(struct pvctl *p, struct top_reading *r, const char *path,
		     uint32_t depth)
{
	uint64_t begun = now_ns();
	struct pb_field node;
	int status = pvctl_ask_node(p, path, depth, &node);

	if (status)
		return status;
	r->ns = begun + (now_ns() - begun) / 2;
	if (!pvctl_node_leaves(&node, path, take_leaf, r))
		return pvctl_fail(p, PVCTL_FAILED, "%s: the answer is no tree",
				  path);
	return PVCTL_OK;
}

struct names {
	unsigned int nr;
	struct {
		char text[16];
		uint32_t depth;
	} of[72]; /* 64 VPs, and what is below */
};

/* What there is at the root, as far as top reads it. */
static void take_name(void *opaque, const char *path, uint64_t value,
		      const char *text)
{
	static const char *const whole[] = { "build", "partition", "vmbus" };
	struct names *names = opaque;
	uint32_t depth = 0;
	bool wanted = !strncmp(path, "vp", 2) && path[2] >= '0' &&
		      path[2] <= '9';

	(void)value;
	(void)text;
	if (wanted)
		depth = 1;
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (!strcmp(path, whole[i])) {
			wanted = true;
			depth = i == 2 ? ALL : 0;
		}
	if (!strcmp(path, "violations"))
		wanted = true;
	if (!wanted || names->nr == sizeof(names->of) / sizeof(names->of[0]) ||
	    strlen(path) >= sizeof(names->of[0].text))
		return;
	names->of[names->nr].depth = depth;
	strcpy(names->of[names->nr++].text, path);
}

static int read_all(struct pvctl *p, struct top_reading *r)
{
	struct names names = { 0 };
	struct pb_field node;
	int status = pvctl_ask_node(p, "", 0, &node);

	top_forget(r);
	if (!status && !pvctl_node_leaves(&node, "", take_name, &names))
		status = pvctl_fail(p, PVCTL_FAILED, "the answer is no tree");
	for (unsigned int i = 0; i < names.nr && !status; i++)
		status = read_tree(p, r, names.of[i].text, names.of[i].depth);
	pvctl_close(p);
	if (!status && r->short_of_memory)
		status = pvctl_fail(p, PVCTL_FAILED, "no memory");
	return status;
}

/* ---- the screen ---- */

static volatile sig_atomic_t resized;
static bool on_screen;

static void put_raw(const char *text)
{
	ssize_t written = write(STDOUT_FILENO, text, strlen(text));

	(void)written; /* there is nobody to be told */
}

static void on_end(int number)
{
	put_raw(LEAVE);
	signal(number, SIG_DFL);
	raise(number); /* blocked until the handler returns */
}

static void on_stop(int number)
{
	(void)number;
	put_raw(LEAVE);
	raise(SIGSTOP);
	put_raw(ENTER);
	resized = 1;
}

static void on_resize(int number)
{
	(void)number;
	resized = 1;
}

static void enter_screen(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_end };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &action, NULL);
	action.sa_handler = on_stop;
	action.sa_flags = SA_RESTART;
	sigaction(SIGTSTP, &action, NULL);
	action.sa_handler = on_resize;
	sigaction(SIGWINCH, &action, NULL);
	on_screen = true;
	put_raw(ENTER);
}

/* The block, cut to the window. Each paragraph's first line stands out. */
static void show(const struct top *t)
{
	const char *line = t->block;
	struct winsize size;
	bool first = true;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row ||
	    !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	fputs("\033[H", stdout);
	for (int row = 0; row < size.ws_row && *line; row++) {
		size_t len = strcspn(line, "\n");
		int shown = len < size.ws_col ? (int)len : size.ws_col;

		printf("%s%s%.*s%s\033[K", row ? "\r\n" : "",
		       first ? "\033[1m" : "", shown, line,
		       first ? "\033[0m" : "");
		first = !len;
		line += len + (line[len] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* ---- rounds ---- */

static int draw(struct top *t, const struct top_reading *before,
		const struct top_reading *now)
{
	struct top_rates rates;
	FILE *out;

	top_rates(&rates, before, now);
	if (rates.short_of_memory)
		return pvctl_fail(t->p, PVCTL_FAILED, "no memory");
	free(t->block);
	t->block = NULL;
	out = open_memstream(&t->block, &t->block_len);
	if (out) {
		if (t->p->json)
			top_draw_json(now, &rates, out);
		else
			top_draw(now, &rates, out);
		fclose(out);
	}
	top_rates_forget(&rates);
	if (!t->block)
		return pvctl_fail(t->p, PVCTL_FAILED, "no memory");
	if (t->screen) {
		show(t);
	} else if (t->p->json) {
		pvctl_begin_json(t->p);
		printf("%s}\n", t->block);
	} else {
		fputs(t->block, stdout);
	}
	return PVCTL_OK;
}

/* Until the next round; a window of another size is drawn at once. */
static void rest(const struct top *t, uint64_t until)
{
	for (;;) {
		uint64_t now = now_ns();
		struct timespec left = {
			.tv_sec = (time_t)((until - now) / 1000000000),
			.tv_nsec = (long)((until - now) % 1000000000),
		};

		if (now >= until)
			return;
		nanosleep(&left, NULL);
		if (resized && t->block)
			show(t);
		resized = 0;
	}
}

static void say_lost(const struct top *t, int status)
{
	printf("\033[H\033[7m%.50s: no answer (status %d), tried again"
	       "\033[0m\033[K", t->p->vm, status);
	fflush(stdout);
}

static int run_rounds(struct top *t, struct top_reading reading[2])
{
	unsigned int now = 0;
	uint64_t shown = 0;
	int status = read_all(t->p, &reading[now]);

	if (!status && t->screen)
		enter_screen();
	while (!status && (!t->rounds || shown < t->rounds)) {
		/* From the end of one to the beginning of the next: what is
		 * late is not made up for by a shorter round. */
		rest(t, now_ns() + (uint64_t)(t->seconds * 1e9));
		t->p->quiet = t->screen;
		status = read_all(t->p, &reading[!now]);
		t->p->quiet = false;
		if (status && t->screen) {
			say_lost(t, status);
			status = PVCTL_OK;
			continue;
		}
		if (status)
			return status;
		now = !now;
		status = draw(t, &reading[!now], &reading[now]);
		shown++;
		if (!t->screen && !status && fflush(stdout))
			break; /* main() says so */
	}
	return status;
}

static int run(struct top *t)
{
	struct top_reading reading[2] = { { 0 } };
	int status = run_rounds(t, reading);

	if (on_screen)
		put_raw(LEAVE);
	top_forget(&reading[0]);
	top_forget(&reading[1]);
	free(t->block);
	return status;
}

static bool seconds_of(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return *text >= '0' && *text <= '9' && !*end && *seconds >= 0.1 &&
	       *seconds <= 3600;
}

int pvctl_do_top(struct pvctl *p, int argc, char **argv)
{
	struct top t = { .p = p, .seconds = 1 };
	int option;

	while ((option = getopt(argc, argv, "d:n:")) >= 0)
		if (!(option == 'd' && seconds_of(optarg, &t.seconds)) &&
		    !(option == 'n' &&
		      pvctl_number(optarg, 1000000, &t.rounds) && t.rounds))
			return pvctl_usage(p);
	if (optind < argc)
		return pvctl_usage(p);
	t.screen = !p->json && isatty(STDOUT_FILENO);
	return run(&t);
}
