/* SPDX-License-Identifier: MIT */
/*
 * Control socket, theory of operation
 *
 * Owns: the listening socket and up to MAX_CLIENTS connections. A client's
 * bytes gather in `line` until a newline; the line is checked as JSON and given
 * to whoever opened the socket. From then on it is a request, which lives until
 * it is answered; a client that goes leaves its requests without anybody to
 * tell.
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
#include <stdio.h>
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
/* Settings, and what stands around them. */
#define MAX_LINE 66560

struct client {
	struct loop_fd watch; /* fd < 0: free */
	struct control *control;
	char line[MAX_LINE];
	size_t len;
	bool last;	 /* it sends no more, and waits for answers */
	bool serving;	 /* inside serve_lines() */
	const char *why; /* it is to be closed, after that */
};

struct control {
	struct reactor *loop;
	const char *path;
	control_run *run;
	void *opaque;
	struct loop_fd listener;
	struct client_request *requests; /* not answered yet */
	struct client clients[MAX_CLIENTS];
};

struct client_request {
	struct request request; /* first: answers get this address */
	struct client_request *next;
	struct control *control;
	struct client *client; /* NULL: gone */
	char id[];	       /* as it was written */
};

/* ---- answers ---- */

static void client_close(struct client *client, const char *why)
{
	struct client_request *request = client->control->requests;

	for (; request; request = request->next)
		if (request->client == client)
			request->client = NULL;
	if (why)
		log_warn("client closed: %s", why);
	loop_fd_remove(client->control->loop, &client->watch);
	close(client->watch.fd);
	client->watch.fd = -1;
	client->len = 0;
	client->last = false;
	client->watch.events = POLLIN;
	client->why = NULL;
	client->control->listener.events = POLLIN;
}

static bool has_requests(const struct client *client)
{
	const struct client_request *request = client->control->requests;

	while (request && request->client != client)
		request = request->next;
	return request;
}

static void fail(struct client *client, const char *why)
{
	if (client->serving)
		client->why = why;
	else
		client_close(client, why);
}

/* Sends `text`, NULL if there was no memory for it, and frees it. */
static void send_line(struct client *client, char *text, size_t len)
{
	if (!text)
		fail(client, "out of memory");
	else if (!client->why && send(client->watch.fd, text, len,
				      MSG_DONTWAIT | MSG_NOSIGNAL) !=
					 (ssize_t)len)
		fail(client, "it does not take an answer");
	free(text);
	if (client->last && !has_requests(client))
		client_close(client, NULL);
}

static void answer(struct request *of, const char *ok, const char *error)
{
	struct client_request *request = (struct client_request *)of;
	struct client_request **at = &request->control->requests;
	struct client *client = request->client;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (out) {
		fprintf(out, "{\"id\":%s,\"%s\":", request->id,
			error ? "error" : "ok");
		if (error)
			json_write(out, error);
		else
			fputs(ok, out);
		fputs("}\n", out);
		fclose(out);
	}
	free(request);
	if (client)
		send_line(client, text, len);
	else
		free(text);
}

/* ---- requests ---- */

/* False: answered, with the name of a member that nobody knows. */
static bool check_members(struct request *request, struct json_span line)
{
	struct json_span name, value = { 0 };

	while (json_next(line, &name, &value)) {
		if (json_is_string(name, "id") ||
		    json_is_string(name, "cmd") ||
		    json_is_string(name, "args"))
			continue;
		request_error(request, "%.*s: unknown member",
			      name.len > 34 ? 32 : (int)name.len - 2,
			      name.at + 1);
		return false;
	}
	return true;
}

static void run_line(struct control *control, struct request *request,
		     struct json_span line)
{
	struct json_span name, args = { "{}", 2 };

	if (!check_members(request, line))
		return;
	if (!json_member(line, "cmd", &name))
		request_error(request, "cmd is missing");
	else if (json_member(line, "args", &args) && *args.at != '{')
		request_error(request, "args: must be an object");
	else
		control->run(control->opaque, request, name, args);
}

static struct request *request_create(struct client *client,
				      struct json_span id)
{
	struct client_request *request = malloc(sizeof(*request) + id.len + 1);

	if (!request)
		return NULL;
	request->request.answer = answer;
	request->control = client->control;
	request->client = client;
	request->next = client->control->requests;
	client->control->requests = request;
	memcpy(request->id, id.at, id.len);
	request->id[id.len] = '\0';
	return &request->request;
}

static void serve_line(struct client *client, const char *text, size_t len)
{
	struct json_span line, id = { "null", 4 };
	struct request *request;
	bool good_id = true;
	size_t wrong;
	int err = json_check(text, len, &line, &wrong);

	if (!err && json_member(line, "id", &id) && strchr("{[tf", *id.at)) {
		good_id = false;
		id = (struct json_span){ "null", 4 };
	}
	request = request_create(client, id);
	if (!request)
		client->why = "out of memory";
	else if (err)
		request_error(request, "not JSON at byte %zu", wrong);
	else if (!good_id)
		request_error(request, "id: must be a string or a number");
	else
		run_line(client->control, request, line);
}

static const char *serve_lines(struct client *client)
{
	char *newline;

	client->serving = true;
	client->why = NULL;
	while (!client->why &&
	       (newline = memchr(client->line, '\n', client->len))) {
		size_t len = (size_t)(newline - client->line);

		if (len)
			serve_line(client, client->line, len);
		client->len -= len + 1;
		memmove(client->line, newline + 1, client->len);
	}
	client->serving = false;
	if (!client->why && client->len == sizeof(client->line))
		client->why = "a line is longer than 66560 bytes";
	return client->why;
}

static void client_ready(struct loop_fd *watch, short events)
{
	struct client *client =
		(struct client *)((char *)watch -
				  offsetof(struct client, watch));
	const char *why;
	ssize_t n;

	n = read(watch->fd, client->line + client->len,
		 sizeof(client->line) - client->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!n && !(events & (POLLHUP | POLLERR)) && has_requests(client)) {
		client->last = true;
		watch->events = 0;
		return;
	}
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
			     control_run *run, void *opaque)
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
	control->run = run;
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
	struct client_request *request;

	if (!control)
		return;
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (control->clients[i].watch.fd >= 0)
			client_close(&control->clients[i], NULL);
	loop_fd_remove(control->loop, &control->listener);
	close(control->listener.fd);
	unlink(control->path);
	while ((request = control->requests)) {
		control->requests = request->next;
		free(request);
	}
	free(control);
}
