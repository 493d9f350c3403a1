/* SPDX-License-Identifier: MIT */
/*
 * Control socket, theory of operation
 *
 * Owns: the listening socket and up to MAX_CLIENTS connections. A client's
 * bytes gather in `line` until a newline; the line is checked as JSON, the
 * command looked up in a table, and the answer sent at once.
 *
 * Threads: the loop's only.
 *
 * Failure answers: what can be answered is answered with "error", malformed
 * lines included. A line longer than MAX_LINE and a client that does not take
 * its answers end that connection with a line in the log; a client beyond
 * MAX_CLIENTS waits in the queue of the socket.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pv/log.h>

#include "control.h"
#include "json.h"
#include "loop.h"
#include "unix_listen.h"

LOG_MODULE("control");

#define MAX_CLIENTS 8
#define MAX_LINE 8192

struct client {
	struct loop_fd watch; /* fd < 0: free */
	struct control *control;
	char line[MAX_LINE];
	size_t len;
};

struct control {
	struct reactor *loop;
	const char *path;
	const struct control_ops *ops;
	void *opaque;
	struct loop_fd listener;
	struct client clients[MAX_CLIENTS];
};

/* Commands write their answer behind "id"; NULL: known, but not there yet. */
struct command {
	const char *name;
	void (*run)(struct control *control, FILE *answer);
};

static void run_quit(struct control *control, FILE *answer)
{
	fputs(",\"ok\":{}", answer);
	control->ops->quit(control->opaque);
}

static void run_nmi(struct control *control, FILE *answer)
{
	control->ops->nmi(control->opaque);
	fputs(",\"ok\":{}", answer);
}

static void run_stats(struct control *control, FILE *answer)
{
	fputs(",\"ok\":", answer);
	control->ops->stats(control->opaque, answer);
}

static const struct command commands[] = {
	{ "quit", run_quit },   { "stats", run_stats }, { "inspect", NULL },
	{ "settings", NULL },   { "fault", NULL },      { "pause", NULL },
	{ "resume", NULL },     { "nmi", run_nmi },      { "reset", NULL },
};

static void run_command(struct control *control, struct json_span request,
			FILE *answer)
{
	struct json_span name;

	if (!json_member(request, "cmd", &name)) {
		fputs(",\"error\":\"cmd is missing\"", answer);
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!json_is_string(name, commands[i].name))
			continue;
		if (commands[i].run)
			commands[i].run(control, answer);
		else
			fprintf(answer, ",\"error\":\"%s: not supported yet\"",
				commands[i].name);
		return;
	}
	fputs(",\"error\":\"cmd: unknown command\"", answer);
}

static void answer_line(struct control *control, const char *line, size_t len,
			FILE *answer)
{
	struct json_span request, id = { "null", 4 };
	size_t wrong;

	if (json_check(line, len, &request, &wrong) < 0) {
		fprintf(answer,
			"{\"id\":null,\"error\":\"not JSON at byte %zu\"}\n",
			wrong);
		return;
	}
	if (json_member(request, "id", &id) && strchr("{[tf", *id.at)) {
		fputs("{\"id\":null,\"error\":\"id: must be a string or a "
		      "number\"}\n", answer);
		return;
	}
	fprintf(answer, "{\"id\":%.*s", (int)id.len, id.at);
	run_command(control, request, answer);
	fputs("}\n", answer);
}

static void client_close(struct client *client, const char *why)
{
	if (why)
		log_warn("client closed: %s", why);
	loop_fd_remove(client->control->loop, &client->watch);
	close(client->watch.fd);
	client->watch.fd = -1;
	client->len = 0;
	client->control->listener.events = POLLIN;
}

/* Returns what went wrong, or NULL. */
static const char *serve_line(struct client *client, size_t len)
{
	char *text = NULL;
	size_t text_len = 0;
	FILE *answer = open_memstream(&text, &text_len);
	ssize_t sent = -1;

	if (!answer)
		return "out of memory";
	answer_line(client->control, client->line, len, answer);
	if (!fclose(answer))
		sent = send(client->watch.fd, text, text_len,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	return sent == (ssize_t)text_len ? NULL : "it does not take an answer";
}

static const char *serve_lines(struct client *client)
{
	const char *why = NULL;
	char *newline;

	while (!why &&
	       (newline = memchr(client->line, '\n', client->len))) {
		size_t len = (size_t)(newline - client->line);

		if (len)
			why = serve_line(client, len);
		client->len -= len + 1;
		memmove(client->line, newline + 1, client->len);
	}
	if (!why && client->len == sizeof(client->line))
		why = "a line is longer than 8192 bytes";
	return why;
}

static void client_ready(struct loop_fd *watch, short events)
{
	struct client *client =
		(struct client *)((char *)watch -
				  offsetof(struct client, watch));
	const char *why;
	ssize_t n;

	(void)events;
	n = read(watch->fd, client->line + client->len,
		 sizeof(client->line) - client->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(client, n < 0 ? strerror(errno) : NULL);
		return;
	}
	client->len += n;
	why = serve_lines(client);
	if (why)
		client_close(client, why);
}

static struct client *free_client(struct control *control)
{
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (control->clients[i].watch.fd < 0)
			return &control->clients[i];
	return NULL;
}

static void listener_ready(struct loop_fd *watch, short events)
{
	struct control *control =
		(struct control *)((char *)watch -
				   offsetof(struct control, listener));
	struct client *client = free_client(control);
	int fd;

	(void)events;
	if (!client) {
		watch->events = 0;
		return;
	}
	fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED)
			log_warn_limited("accept: %s", strerror(errno));
		return;
	}
	client->watch.fd = fd;
	loop_fd_add(control->loop, &client->watch);
}

struct control *control_open(const char *path, struct reactor *loop,
			     const struct control_ops *ops, void *opaque)
{
	struct control *control = calloc(1, sizeof(*control));
	int fd = control ? unix_listen(path, MAX_CLIENTS) : -ENOMEM;

	if (fd < 0) {
		fprintf(stderr, "vmm: --control %s: %s\n", path, strerror(-fd));
		free(control);
		return NULL;
	}
	control->loop = loop;
	control->path = path;
	control->ops = ops;
	control->opaque = opaque;
	control->listener = (struct loop_fd){ .fn = listener_ready,
					      .fd = fd,
					      .events = POLLIN };
	for (int i = 0; i < MAX_CLIENTS; i++) {
		control->clients[i].control = control;
		control->clients[i].watch =
			(struct loop_fd){ .fn = client_ready,
					  .fd = -1,
					  .events = POLLIN };
	}
	loop_fd_add(loop, &control->listener);
	return control;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (control->clients[i].watch.fd >= 0)
			client_close(&control->clients[i], NULL);
	loop_fd_remove(control->loop, &control->listener);
	close(control->listener.fd);
	unlink(control->path);
	free(control);
}
