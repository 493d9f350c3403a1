/* SPDX-License-Identifier: MIT */
/*
 * The lab's agent: runs VMM commands inside the lab for the front outside.
 *
 * It owns the virtio port, the commands it started and the listeners they
 * opened. A run:
 *
 *	RUN ──▶ running ──child ended──▶ draining ──streams ended──▶ EXIT
 *	           │                        │ or 2 s
 *	           └─ timeout: SIGTERM, 5 s later SIGKILL, status 124
 *
 * Standard descriptors that are terminals outside share one pseudo-terminal
 * here, the others are pipes. No two streams read one descriptor: reads are
 * blocking, and poll() would promise the same bytes to both. Sockets: /proc/net/unix names every listening
 * one with the path it was bound to; a new one is reported, held by an O_PATH
 * descriptor (the front replaces the directory entry outside) and connected
 * through that descriptor when the front asks.
 *
 * It also keeps one VM, with a vCPU that has no APIC. KVM patches its own code
 * for the first such vCPU and after the last; patching running code is what
 * QEMU's translation cache is worst at, and it stops the lab for a while.
 *
 * One thread, one poll loop. If the channel breaks, the agent ends, init
 * powers the lab off and the front reports status 125.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "mux.h"

#define MAX_ARGUMENTS 512
#define MAX_POLL 256
#define SCAN_MS 50     /* between two looks for new listeners */
#define DRAIN_MS 2000  /* for output of a command that has ended */
#define TERM_MS 5000   /* between SIGTERM and SIGKILL */

struct run {
	struct run *next;
	uint32_t id;
	pid_t pid;
	int tty;             /* master of the pseudo-terminal, or -1 */
	bool ended;
	bool timed_out;
	int status;
	int64_t deadline_ms; /* next step of timeout or draining; 0: none */
};

struct listener {
	struct listener *next;
	uint32_t id;
	int path_fd;
	bool seen;
	char path[108];
};

static struct mux mux;
static struct run *runs;
static struct listener *listeners;
static uint32_t next_listener = 1;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct run *find_run(uint32_t id)
{
	struct run *run = runs;

	while (run && run->id != id)
		run = run->next;
	return run;
}

/* Next NUL-terminated string of a payload, NULL at its end. */
static const char *next_string(const char **at, const char *end)
{
	const char *start = *at;
	const char *zero = start < end ? memchr(start, 0, end - start) : NULL;

	if (!zero)
		return NULL;
	*at = zero + 1;
	return start;
}

struct command {
	const char *directory;
	unsigned int environment;
	char *arguments[MAX_ARGUMENTS + 1];
	const char *variables[MAX_ARGUMENTS];
};

static int parse_command(const struct mux_run *head, const char *at,
			 const char *end, struct command *command)
{
	unsigned int nr = le16_to_cpu(head->arguments), i;

	command->environment = le16_to_cpu(head->environment);
	if (!nr || nr > MAX_ARGUMENTS || command->environment > MAX_ARGUMENTS)
		return -EPROTO;
	command->directory = next_string(&at, end);
	for (i = 0; i < command->environment; i++)
		command->variables[i] = next_string(&at, end);
	for (i = 0; i < nr; i++)
		command->arguments[i] = (char *)next_string(&at, end);
	command->arguments[nr] = NULL;
	/* A missing string makes all later ones NULL too. */
	return command->arguments[nr - 1] ? 0 : -EPROTO;
}

static void __attribute__((noreturn))
child(const struct command *command, const int fd[3], bool terminal)
{
	sigset_t none;
	unsigned int i;

	setsid();
	for (i = 0; i < 3; i++)
		if (dup2(fd[i], (int)i) < 0)
			_exit(125);
	for (i = 0; terminal && i < 3; i++)
		if (isatty((int)i) && ioctl((int)i, TIOCSCTTY, 0) == 0)
			break;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (i = 0; i < command->environment; i++)
		putenv((char *)command->variables[i]);
	if (chdir(command->directory) < 0)
		fprintf(stderr, "lab: %s: %s\n", command->directory,
			strerror(errno));
	else
		execvp(command->arguments[0], command->arguments);
	fprintf(stderr, "lab: %s: %s\n", command->arguments[0],
		strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/*
 * Descriptors of one run: `theirs` for the command, `ours` for the streams.
 * All or nothing.
 */
static int open_descriptors(const struct mux_run *head, int theirs[3],
			    int ours[3], int *master)
{
	uint32_t tty = le32_to_cpu(head->tty);
	struct winsize size = {
		.ws_row = le16_to_cpu(head->size.rows),
		.ws_col = le16_to_cpu(head->size.columns),
	};
	int slave = -1;
	int i, pair[2];

	*master = -1;
	for (i = 0; i < 3; i++)
		theirs[i] = ours[i] = -1;
	if (tty && openpty(master, &slave, NULL, NULL, &size) < 0)
		goto out_close;
	for (i = 0; i < 3; i++) {
		if (tty & MUX_RUN_TTY(i)) {
			theirs[i] = dup(slave);
			/* What is written to stderr comes out of stdout's. */
			if (i == 2 && (tty & MUX_RUN_TTY(1))) {
				fcntl(theirs[i], F_SETFD, FD_CLOEXEC);
				continue;
			}
			ours[i] = dup(*master);
		} else if (pipe(pair) == 0) {
			theirs[i] = pair[i == 0 ? 0 : 1];
			ours[i] = pair[i == 0 ? 1 : 0];
		}
		if (theirs[i] < 0 || ours[i] < 0)
			goto out_close;
		fcntl(ours[i], F_SETFD, FD_CLOEXEC);
		fcntl(theirs[i], F_SETFD, FD_CLOEXEC);
	}
	if (slave >= 0)
		close(slave);
	if (*master >= 0)
		fcntl(*master, F_SETFD, FD_CLOEXEC);
	return 0;

out_close:
	for (i = 0; i < 3; i++) {
		if (theirs[i] >= 0)
			close(theirs[i]);
		if (ours[i] >= 0)
			close(ours[i]);
	}
	if (slave >= 0)
		close(slave);
	if (*master >= 0)
		close(*master);
	return -EMFILE;
}

/*
 * Files may have been replaced outside since the last run: forget cached
 * directory entries, so that a path means now what it means there.
 */
static void forget_cached_names(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "2", 1) < 0)
		perror("lab: drop_caches");
	close(fd);
}

static int start_run(uint32_t id, const uint8_t *payload, size_t length)
{
	static struct command command; /* large for a stack */
	struct mux_run head;
	struct run *run;
	int theirs[3], ours[3], i;
	int err;

	if (length < sizeof(head) || id > MUX_RUN_MAX || find_run(id))
		return -EPROTO;
	memcpy(&head, payload, sizeof(head));
	err = parse_command(&head, (const char *)payload + sizeof(head),
			    (const char *)payload + length, &command);
	if (err)
		return err;
	run = calloc(1, sizeof(*run));
	if (!run)
		return -ENOMEM;
	err = open_descriptors(&head, theirs, ours, &run->tty);
	if (err)
		goto out_free;
	forget_cached_names();
	run->id = id;
	run->pid = fork();
	if (run->pid == 0)
		child(&command, theirs, run->tty >= 0);
	for (i = 0; i < 3; i++)
		close(theirs[i]);
	mux_add(&mux, id * 4, -1, ours[0]);
	mux_add(&mux, id * 4 + 1, ours[1], -1);
	if (ours[2] >= 0)
		mux_add(&mux, id * 4 + 2, ours[2], -1);
	else
		mux_send(&mux, MUX_EOF, id * 4 + 2, NULL, 0);
	if (run->pid < 0) {
		run->ended = true;
		run->status = 125;
	}
	if (le32_to_cpu(head.timeout_s))
		run->deadline_ms = now_ms() +
				   (int64_t)le32_to_cpu(head.timeout_s) * 1000;
	run->next = runs;
	runs = run;
	return 0;

out_free:
	free(run);
	return err;
}

static int connect_listener(uint32_t stream, const uint8_t *payload,
			    size_t length)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct listener *l = listeners;
	le32 wire;
	int fd;

	if (length != sizeof(wire) || stream < MUX_CONNECTIONS ||
	    mux_find(&mux, stream))
		return -EPROTO;
	memcpy(&wire, payload, sizeof(wire));
	while (l && l->id != le32_to_cpu(wire))
		l = l->next;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l && fd >= 0) {
		snprintf(address.sun_path, sizeof(address.sun_path),
			 "/proc/self/fd/%d", l->path_fd);
		if (connect(fd, (struct sockaddr *)&address,
			    sizeof(address)) == 0) {
			mux_add(&mux, stream, fd, fd);
			return 0;
		}
	}
	if (fd >= 0)
		close(fd);
	mux_send(&mux, MUX_CLOSED, stream, NULL, 0);
	mux_send(&mux, MUX_EOF, stream, NULL, 0);
	return 0;
}

static int take_frame(struct mux *m, unsigned int type, uint32_t id,
		      const uint8_t *payload, size_t length)
{
	struct run *run = find_run(id);
	struct mux_size size;
	struct winsize window = { 0 };
	le32 wire;

	(void)m;
	switch (type) {
	case MUX_RUN:
		return start_run(id, payload, length);
	case MUX_CONNECT:
		return connect_listener(id, payload, length);
	case MUX_SIGNAL:
		if (length != sizeof(wire))
			return -EPROTO;
		memcpy(&wire, payload, sizeof(wire));
		if (run && !run->ended)
			kill(-run->pid, (int)le32_to_cpu(wire));
		return 0;
	case MUX_RESIZE:
		if (length != sizeof(size))
			return -EPROTO;
		memcpy(&size, payload, sizeof(size));
		window.ws_row = le16_to_cpu(size.rows);
		window.ws_col = le16_to_cpu(size.columns);
		if (run && run->tty >= 0)
			ioctl(run->tty, TIOCSWINSZ, &window);
		return 0;
	default:
		return -EPROTO;
	}
}

static void reap_children(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct run *run = runs;

		while (run && run->pid != pid)
			run = run->next;
		if (!run)
			continue;
		run->ended = true;
		run->status = WIFEXITED(status) ? WEXITSTATUS(status) :
						  128 + WTERMSIG(status);
		run->deadline_ms = now_ms() + DRAIN_MS;
		mux_drop(&mux, run->id * 4);
	}
}

/* Timeouts, and the end of runs that have ended. */
static void step_runs(void)
{
	struct run **link = &runs;

	while (*link) {
		struct run *run = *link;
		bool late = run->deadline_ms && now_ms() >= run->deadline_ms;
		bool output = mux_busy(&mux, run->id * 4 + 1) ||
			      mux_busy(&mux, run->id * 4 + 2);

		if (run->ended && (!output || late)) {
			mux_drop(&mux, run->id * 4);
			mux_drop(&mux, run->id * 4 + 1);
			mux_drop(&mux, run->id * 4 + 2);
			mux_send32(&mux, MUX_EXIT, run->id,
				   run->timed_out ? 124 :
						    (uint32_t)run->status);
			if (run->tty >= 0)
				close(run->tty);
			*link = run->next;
			free(run);
			continue;
		}
		if (!run->ended && late) {
			kill(-run->pid, run->timed_out ? SIGKILL : SIGTERM);
			run->timed_out = true;
			run->deadline_ms = now_ms() + TERM_MS;
		}
		link = &run->next;
	}
}

static void report_listener(const char *path)
{
	struct listener *l;
	struct stat st;
	int fd;

	fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	l = calloc(1, sizeof(*l));
	if (!l || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		free(l);
		close(fd);
		return;
	}
	l->id = next_listener++;
	l->path_fd = fd;
	l->seen = true;
	strcpy(l->path, path);
	l->next = listeners;
	listeners = l;
	mux_send(&mux, MUX_LISTEN, l->id, path, strlen(path));
}

/* One line of /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path */
static void look_at(const char *line)
{
	struct listener *l;
	unsigned int flags, type;
	char path[108];

	if (sscanf(line, "%*s %*s %*s %x %x %*s %*s %107[^\n]", &flags, &type,
		   path) != 3)
		return;
	if (!(flags & 0x10000) || type != SOCK_STREAM || path[0] != '/')
		return;
	for (l = listeners; l; l = l->next)
		if (!strcmp(l->path, path))
			break;
	if (l)
		l->seen = true;
	else
		report_listener(path);
}

static void scan_listeners(void)
{
	struct listener **link, *l;
	char line[512];
	FILE *file = fopen("/proc/net/unix", "re");

	if (!file)
		return;
	for (l = listeners; l; l = l->next)
		l->seen = false;
	while (fgets(line, sizeof(line), file))
		look_at(line);
	fclose(file);
	for (link = &listeners; *link;) {
		l = *link;
		if (l->seen) {
			link = &l->next;
			continue;
		}
		mux_send(&mux, MUX_GONE, l->id, NULL, 0);
		*link = l->next;
		close(l->path_fd);
		free(l);
	}
}

/* Until the agent ends; without a KVM the runs will say what is wrong. */
static void keep_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
		fprintf(stderr, "lab-agent: KVM: %s\n", strerror(errno));
}

int main(int argc, char **argv)
{
	struct pollfd pfd[MAX_POLL];
	struct signalfd_siginfo info;
	int64_t scanned = 0;
	sigset_t chld;
	int channel, signals;

	if (argc != 2) {
		fprintf(stderr, "usage: lab-agent PORT\n");
		return 2;
	}
	channel = open(argv[1], O_RDWR | O_CLOEXEC);
	if (channel < 0) {
		fprintf(stderr, "lab-agent: %s: %s\n", argv[1],
			strerror(errno));
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	keep_vm();
	mux_init(&mux, channel);
	mux.frame = take_frame;
	mux_send32(&mux, MUX_HELLO, 0, MUX_VERSION);
	for (;;) {
		int err;

		pfd[0] = (struct pollfd){ signals, POLLIN, 0 };
		err = mux_turn(&mux, pfd, 1, MAX_POLL, runs ? SCAN_MS : -1);
		if (err) {
			fprintf(stderr, "lab-agent: channel: %s\n",
				strerror(-err));
			return 1;
		}
		if (pfd[0].revents && read(signals, &info, sizeof(info)) > 0)
			reap_children();
		step_runs();
		if ((runs || listeners) && now_ms() - scanned >= SCAN_MS) {
			scanned = now_ms();
			scan_listeners();
		}
	}
}
