// SPDX-License-Identifier: MIT
/*
 * Sessions, theory of operation
 *
 * Two directions, each with a buffer: what is in it is written before more is
 * read, so that a slow end holds the other one back. Everything waits in one
 * poll(2), of both ends and of `wake`, so nothing blocks for longer than whoever
 * wants to end it likes; an end that takes no bytes is polled for room.
 *
 * Failure answers: an end that fails is an end that closed.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vsock_session.h"

/* Longer than the host waits for a guest to accept. */
#define ANSWER_MS 10000
#define ESCAPE 0x1d /* Ctrl-] */

struct flow {
	int from, to; /* from < 0: it has ended */
	size_t at, len;
	char bytes[2048];
};

static int open_socket(const char *path, const char **why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	*why = "the path is too long";
	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&address,
				sizeof(address)))
		return fd;
	*why = errno == EAGAIN ? "too many wait for one" : strerror(errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "OK ...\n", byte by byte: what follows is not ours. NULL, or why not. */
static const char *read_answer(const struct vsock_session *session, int fd)
{
	int64_t deadline = now_ms() + ANSWER_MS;
	char line[64];
	size_t len = 0;

	for (;;) {
		struct pollfd poll_fds[] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = session->wake, .events = POLLIN },
		};
		int64_t left = deadline - now_ms();
		ssize_t n;

		if (left <= 0)
			return "no answer in 10 s";
		if (poll(poll_fds, 2, (int)left) <= 0)
			continue;
		if (poll_fds[1].revents)
			return "vmm ends";
		n = read(fd, line + len, 1);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return "nobody in the guest listens there";
		if (line[len] == '\n')
			break;
		if (++len == sizeof(line))
			return "an answer that is none";
	}
	return len >= 3 && !memcmp(line, "OK ", 3) ? NULL :
						     "an answer that is none";
}

int vsock_session_connect(const struct vsock_session *session, const char **why)
{
	size_t len = strlen(session->connect);
	int fd = open_socket(session->path, why);

	if (fd < 0)
		return -1;
	*why = "it takes no line";
	/* A new socket has room for it. */
	if (send(fd, session->connect, len, MSG_NOSIGNAL) == (ssize_t)len)
		*why = read_answer(session, fd);
	if (!*why)
		return fd;
	close(fd);
	return -1;
}

static void fill(struct flow *flow)
{
	ssize_t n = read(flow->from, flow->bytes, sizeof(flow->bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	flow->at = 0;
	flow->len = n > 0 ? (size_t)n : 0;
	if (n <= 0)
		flow->from = -1;
}

/* False: the other end takes nothing any more. */
static bool drain(struct flow *flow)
{
	ssize_t n = write(flow->to, flow->bytes + flow->at,
			  flow->len - flow->at);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	flow->at += (size_t)n;
	return true;
}

static bool has_bytes(const struct flow *flow)
{
	return flow->at < flow->len;
}

/* What was typed before it still goes out. */
static bool take_escape(struct flow *flow)
{
	const char *escape = memchr(flow->bytes, ESCAPE, flow->len);

	if (!escape)
		return false;
	flow->len = (size_t)(escape - flow->bytes);
	flow->from = -1;
	return true;
}

/* One turn of a direction: reads when it has nothing, writes what it has. */
static bool turn(struct flow *flow, const struct pollfd *poll_fd)
{
	if (has_bytes(flow))
		return !poll_fd->revents || drain(flow);
	if (flow->from >= 0 && poll_fd->revents)
		fill(flow);
	return true;
}

static struct pollfd wanted(const struct flow *flow)
{
	if (has_bytes(flow))
		return (struct pollfd){ .fd = flow->to, .events = POLLOUT };
	return (struct pollfd){ .fd = flow->from, .events = POLLIN };
}

void vsock_session_run(const struct vsock_session *session, int fd)
{
	struct flow out = { .from = session->in, .to = fd };
	struct flow in = { .from = fd, .to = session->out };
	bool told = false, escaped = false;

	while (in.from >= 0 || has_bytes(&in)) {
		struct pollfd poll_fds[] = {
			wanted(&out),
			wanted(&in),
			{ .fd = session->wake, .events = POLLIN },
		};

		if (poll(poll_fds, 3, -1) < 0)
			continue;
		if (poll_fds[2].revents || !turn(&in, &poll_fds[1]))
			break;
		if (!turn(&out, &poll_fds[0])) {
			/* It reads no more, and may still write. */
			out = (struct flow){ .from = -1, .to = fd };
			told = true;
		}
		if (session->escapes && take_escape(&out))
			escaped = true;
		if (escaped && !has_bytes(&out))
			break;
		if (out.from < 0 && !has_bytes(&out) && !told) {
			shutdown(fd, SHUT_WR);
			told = true;
		}
	}
	close(fd);
}
