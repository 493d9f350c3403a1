/* SPDX-License-Identifier: MIT */
/*
 * Runs one VMM command in a lab that is up: hands arguments, directory and
 * the three standard descriptors to the front, passes signals and the
 * terminal's size on, and ends with the command's status; 125 when the lab
 * ended first.
 *
 * A terminal goes raw for that time: the pseudo-terminal inside does what
 * the local one did. Only when both stdin and stdout are terminals; a mix
 * is treated as pipes.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "client.h"
#include "mux_reg.h"

/* What a command sees of the caller's environment. */
static const char *const passed_on[] = {
	"TERM", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
};

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };

static struct termios cooked;
static bool raw;

static void restore_terminal(void)
{
	if (raw)
		tcsetattr(0, TCSADRAIN, &cooked);
}

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "lab: %s: %s\n", what, strerror(errno));
	exit(125);
}

static struct mux_size terminal_size(void)
{
	struct winsize window = { .ws_row = 24, .ws_col = 80 };

	(void)ioctl(0, TIOCGWINSZ, &window);
	return (struct mux_size){
		.rows = cpu_to_le16(window.ws_row),
		.columns = cpu_to_le16(window.ws_col),
	};
}

struct message {
	struct client_header header;
	uint8_t payload[MUX_PAYLOAD_MAX];
	size_t used;
};

static struct message message; /* large for a stack; one at a time */

static void append(struct message *m, const void *bytes, size_t length)
{
	if (length > sizeof(m->payload) - m->used) {
		errno = E2BIG;
		fail("command");
	}
	memcpy(m->payload + m->used, bytes, length);
	m->used += length;
}

static void send_message(int fd, struct message *m, unsigned int type,
			 bool with_descriptors)
{
	int fds[3] = { 0, 1, 2 };
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control;
	struct iovec iov[2] = {
		{ &m->header, sizeof(m->header) }, { m->payload, m->used },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *header;

	m->header.type = cpu_to_le32(type);
	if (with_descriptors) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(header), fds, sizeof(fds));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		fail("front");
}

static void send_run(int fd, unsigned long timeout, char **argv)
{
	struct mux_run run = { .size = terminal_size() };
	const char *value, *directory;
	struct message *m = &message;
	unsigned int i, tty = 0, nr = 0, variables = 0;

	if (isatty(0) && isatty(1))
		tty = MUX_RUN_TTY(0) | MUX_RUN_TTY(1) |
		      (isatty(2) ? MUX_RUN_TTY(2) : 0);
	for (i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		variables += getenv(passed_on[i]) != NULL;
	m->used = 0;
	while (argv[nr])
		nr++;
	run.tty = cpu_to_le32(tty);
	run.timeout_s = cpu_to_le32((uint32_t)timeout);
	run.environment = cpu_to_le16((uint16_t)variables);
	run.arguments = cpu_to_le16((uint16_t)nr);
	append(m, &run, sizeof(run));
	directory = getcwd(NULL, 0);
	if (!directory)
		fail("working directory");
	append(m, directory, strlen(directory) + 1);
	for (i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++) {
		value = getenv(passed_on[i]);
		if (!value)
			continue;
		append(m, passed_on[i], strlen(passed_on[i]));
		append(m, "=", 1);
		append(m, value, strlen(value) + 1);
	}
	for (i = 0; i < nr; i++)
		append(m, argv[i], strlen(argv[i]) + 1);
	send_message(fd, m, MUX_RUN, true);

	if (tty && tcgetattr(0, &cooked) == 0) {
		struct termios t = cooked;

		cfmakeraw(&t);
		raw = true;
		atexit(restore_terminal);
		tcsetattr(0, TCSADRAIN, &t);
	}
}

static void forward(int fd, int signal)
{
	struct message *m = &message;
	struct mux_size size;
	le32 number = cpu_to_le32((uint32_t)signal);

	m->used = 0;
	if (signal == SIGWINCH) {
		size = terminal_size();
		append(m, &size, sizeof(size));
		send_message(fd, m, MUX_RESIZE, false);
		return;
	}
	append(m, &number, sizeof(number));
	send_message(fd, m, MUX_SIGNAL, false);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct signalfd_siginfo info;
	struct pollfd pfd[2];
	unsigned long timeout;
	sigset_t set;
	le32 status;
	unsigned int i;
	char *end;
	int fd;

	if (argc < 4) {
		fprintf(stderr, "usage: lab-client SOCKET SECONDS COMMAND...\n");
		return 2;
	}
	timeout = strtoul(argv[2], &end, 10);
	if (*end || end == argv[2] || timeout > 1000000) {
		fprintf(stderr, "lab: timeout `%s': not 0..1000000 seconds\n",
			argv[2]);
		return 2;
	}
	sigemptyset(&set);
	for (i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pfd[1] = (struct pollfd){ signalfd(-1, &set, SFD_CLOEXEC), POLLIN, 0 };
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || strlen(argv[1]) >= sizeof(address.sun_path))
		fail(argv[1]);
	strcpy(address.sun_path, argv[1]);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail(argv[1]);
	send_run(fd, timeout, argv + 3);
	pfd[0] = (struct pollfd){ fd, POLLIN, 0 };
	for (;;) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			fail("poll");
		if (pfd[1].revents && read(pfd[1].fd, &info, sizeof(info)) ==
				      sizeof(info))
			forward(fd, (int)info.ssi_signo);
		if (!pfd[0].revents)
			continue;
		if (recv(fd, &status, sizeof(status), 0) != sizeof(status))
			return 125;
		return (int)le32_to_cpu(status);
	}
}
