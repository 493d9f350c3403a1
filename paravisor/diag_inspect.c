// SPDX-License-Identifier: MIT
/*
 * Inspect over vsock.
 *
 * Owns a thread's time and one answer's worth of memory. The thread waits on
 * sockets; the tree is described on a reactor, where its objects live, while
 * the thread waits for that. One connection at a time: a client that has not
 * asked a whole question, or not read a whole answer, in IDLE_SECONDS is
 * dropped, so that the next one gets its turn.
 *
 * A question that cannot be understood is answered with the reason; one longer
 * than a line may be ends the connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Behind libc's socket header, whose types it uses. */
#include <linux/vm_sockets.h>
#include <yyjson.h>

#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "diag_inspect.h"

LOG_MODULE("inspect");

#define IDLE_SECONDS 5
#define IDLE (IDLE_SECONDS * 1000000000ull)
#define QUESTION_MAX 1024
#define PATH_MAX_BYTES 256
#define ANSWER_MAX (256u << 10)
#define DEFAULT_DEPTH 16
#define MAX_DEPTH 64

struct question {
	char path[PATH_MAX_BYTES];
	char update[PATH_MAX_BYTES];
	bool updates;
	unsigned int depth;
	int result; /* of inspect_render() */
};

/* With room for the newline. */
static char answer[ANSWER_MAX + 1];

static void render(void *arg)
{
	struct question *q = arg;

	q->result = inspect_render(q->path, q->depth, answer, ANSWER_MAX);
}

/* NULL, or what is wrong. */
static const char *parse(char *line, size_t len, struct question *q)
{
	yyjson_doc *doc = yyjson_read(line, len, 0);
	yyjson_val *root = yyjson_doc_get_root(doc);
	yyjson_val *path = yyjson_obj_get(root, "path");
	yyjson_val *depth = yyjson_obj_get(root, "depth");
	yyjson_val *update = yyjson_obj_get(root, "update");
	const char *error = NULL;

	q->path[0] = '\0';
	q->depth = DEFAULT_DEPTH;
	if (!yyjson_is_obj(root))
		error = "must be one JSON object on one line";
	else if (path && (!yyjson_is_str(path) ||
			  yyjson_get_len(path) >= sizeof(q->path)))
		error = "path: must be a string of up to 255 bytes";
	else if (update && (!yyjson_is_str(update) ||
			    yyjson_get_len(update) >= sizeof(q->update)))
		error = "update: must be a string of up to 255 bytes";
	else if (depth && (!yyjson_is_uint(depth) ||
			   yyjson_get_uint(depth) > MAX_DEPTH))
		error = "depth: must be an integer from 0 to 64";
	if (!error && path)
		snprintf(q->path, sizeof(q->path), "%s",
			 unsafe_yyjson_get_str(path));
	q->updates = !error && update;
	if (q->updates)
		snprintf(q->update, sizeof(q->update), "%s",
			 unsafe_yyjson_get_str(update));
	if (!error && depth)
		q->depth = (unsigned int)yyjson_get_uint(depth);
	yyjson_doc_free(doc);
	return error;
}

/* Bytes to read, or room to write, before the deadline. */
static bool ready(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = reactor_now();

	return now < deadline &&
	       poll(&p, 1, (int)((deadline - now) / 1000000) + 1) != 0;
}

static bool again(ssize_t n)
{
	return n < 0 && (errno == EINTR || errno == EAGAIN);
}

static bool send_all(int fd, const char *p, size_t len)
{
	uint64_t deadline = reactor_now() + IDLE;

	while (len) {
		ssize_t n;

		if (!ready(fd, POLLOUT, deadline))
			return false;
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (again(n))
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool respond(int fd, struct reactor *reactor, char *line, size_t len)
{
	struct question q;
	const char *error = parse(line, len, &q);
	int n;

	if (!error && q.updates &&
	    inspect_update(q.path, q.update, &error) == -ENOENT)
		error = "nothing to update there";
	if (!error) {
		reactor_run(reactor, render, &q);
		if (q.result == -ENOENT)
			error = "no such path";
		else if (q.result < 0)
			error = "answer too long: ask for less depth";
	}
	n = error ? snprintf(answer, ANSWER_MAX, "{\"error\":\"%s\"}", error) :
		    q.result;
	answer[n++] = '\n';
	return send_all(fd, answer, (size_t)n);
}

void diag_inspect_client(int fd, struct reactor *reactor)
{
	uint64_t deadline = reactor_now() + IDLE;
	char buffer[QUESTION_MAX] = "";
	size_t len = 0;

	for (;;) {
		char *end = memchr(buffer, '\n', len);
		ssize_t n;

		if (end) {
			size_t line = (size_t)(end - buffer);

			if (!respond(fd, reactor, buffer, line))
				return;
			len -= line + 1;
			memmove(buffer, end + 1, len);
			deadline = reactor_now() + IDLE;
			continue;
		}
		if (len == sizeof(buffer) || !ready(fd, POLLIN, deadline))
			return;
		n = recv(fd, buffer + len, sizeof(buffer) - len, MSG_DONTWAIT);
		if (again(n))
			continue;
		if (n <= 0)
			return;
		len += (size_t)n;
	}
}

int diag_inspect_listen(void)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK,
				       .svm_port = DIAG_INSPECT_PORT,
				       .svm_cid = VMADDR_CID_ANY };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 4)) {
		int error = errno;

		log_err("vsock port %d: %s", DIAG_INSPECT_PORT,
			strerror(error));
		if (fd >= 0)
			close(fd);
		return -error;
	}
	return fd;
}

_Noreturn void diag_inspect_serve(int listener, struct reactor *reactor)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0) {
			log_warn_limited("accept: %s", strerror(errno));
			sleep(1);
			continue;
		}
		diag_inspect_client(fd, reactor);
		close(fd);
	}
}
