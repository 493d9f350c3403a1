// SPDX-License-Identifier: MIT
/*
 * How a command of VTL2 is started: an ExecRequest is read, its data
 * connections are taken, pipes or a terminal made, and the process spawned.
 * Its standard streams are pipes, or a terminal, that pumps connect
 * with the client (diag_stream.c); or, if asked for, the client's sockets. What
 * the client did not name is /dev/null.
 *
 * posix_spawn() and not fork(): the child of a fork has the whole address space
 * of a daemon that maps a guest's RAM, and a copy of what its VP threads were
 * about to do; the child of a spawn borrows ours until it is something else.
 *
 * What BusyBox can do has no name of its own in the image, only its shell knows
 * (rootfs/debug.list): a command that is no file is tried as one of BusyBox's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "diag_exec.h"
#include "diag_state.h"

#define BUSYBOX "/bin/busybox"
#define TERMINALS "/dev/ptmx"

extern char **environ;

/* ---- the request ---- */

static char *keep(struct exec *e, const struct pb_field *f)
{
	char *text = e->text + e->used;

	if (!pb_copy_text(f, text, sizeof(e->text) - e->used))
		return NULL;
	e->used += f->len + 1;
	return text;
}

static void drop_env(struct exec *e, const char *name)
{
	size_t len = strlen(name);
	unsigned int n = 0;

	for (unsigned int i = 0; i < e->nr_env; i++)
		if (strncmp(e->envp[i], name, len) || e->envp[i][len] != '=')
			e->envp[n++] = e->envp[i];
	e->nr_env = n;
}

/* An EnvPair: "name=value" from its two fields, whichever comes first. */
static bool take_env(struct exec *e, const struct pb_field *pair)
{
	struct pb_field f, name = { 0 }, value = { 0 };
	struct pb_reader r;
	char *text = e->text + e->used;
	size_t room = sizeof(e->text) - e->used;

	pb_read(&r, pair->bytes, pair->len);
	while (pb_next(&r, &f)) {
		if (f.number == 1)
			name = f;
		else if (f.number == 2)
			value = f;
	}
	if (r.bad || !name.len || !pb_copy_text(&name, text, room) ||
	    strchr(text, '='))
		return false;
	drop_env(e, text);
	if (!value.number)
		return true;
	if (e->nr_env == EXEC_MAX_WORDS || room <= name.len + 1 ||
	    !pb_copy_text(&value, text + name.len + 1, room - name.len - 1))
		return false;
	text[name.len] = '=';
	e->used += name.len + 1 + value.len + 1;
	e->envp[e->nr_env++] = text;
	return true;
}

static bool take_field(struct exec *e, const struct pb_field *f)
{
	switch (f->number) {
	case 1:
		e->command = keep(e, f);
		return e->command;
	case 2:
		if (e->nr_args == EXEC_MAX_WORDS)
			return false;
		e->argv[++e->nr_args] = keep(e, f);
		return e->argv[e->nr_args];
	case 3:
		e->tty = f->value;
		return true;
	case 4:
	case 5:
	case 6:
		e->conn[f->number - 4] = f->value;
		return true;
	case 7:
		e->combine = f->value;
		return true;
	case 8:
		return f->wire == PB_BYTES && take_env(e, f);
	case 9:
		e->clear_env = f->value;
		return true;
	case 10:
		e->raw = f->value;
		return true;
	}
	return true;
}

/* `clear_env` stands behind `env` in the message, and comes before it. */
static bool clears_env(const struct diag_call *call)
{
	struct pb_reader r;
	struct pb_field f;
	bool clears = false;

	pb_read(&r, call->request.payload, call->request.len);
	while (pb_next(&r, &f))
		if (f.number == 9)
			clears = f.value;
	return clears;
}

const char *exec_take_request(struct exec *e, const struct diag_call *call)
{
	struct pb_reader r;
	struct pb_field f;

	if (!clears_env(call))
		for (char **at = environ; *at && e->nr_env < EXEC_MAX_WORDS;)
			e->envp[e->nr_env++] = *at++;
	pb_read(&r, call->request.payload, call->request.len);
	while (pb_next(&r, &f))
		if (!take_field(e, &f))
			return "command, args, env: texts without NUL, at most "
			       "64 of each; names in env without =";
	if (r.bad || !e->command || !*e->command)
		return "command: missing";
	e->argv[0] = e->command;
	return NULL;
}

/* ---- its standard streams ---- */

static int null_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* The client of stream `i` gets a pipe to the command. */
static int make_pipe(struct exec *e, unsigned int i)
{
	int fd[2];

	if (e->client[i] < 0)
		return 0;
	if (e->raw) {
		e->child[i] = fcntl(e->client[i], F_DUPFD_CLOEXEC, 0);
		fcntl(e->client[i], F_SETFL, 0);
		return e->child[i] < 0 ? -errno : 0;
	}
	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	/* Input flows from us to the command. */
	e->child[i] = fd[i ? 1 : 0];
	e->ours[i] = fd[i ? 0 : 1];
	fcntl(e->ours[i], F_SETFL, O_NONBLOCK);
	return 0;
}

static int make_terminal(struct exec *e)
{
	int number, unlock = 0;
	int master = open(TERMINALS, O_RDWR | O_NOCTTY | O_NONBLOCK |
				     O_CLOEXEC);

	if (master < 0)
		return -errno;
	if (ioctl(master, TIOCSPTLCK, &unlock) ||
	    ioctl(master, TIOCGPTN, &number)) {
		int error = errno;

		close(master);
		return -error;
	}
	snprintf(e->terminal, sizeof(e->terminal), "/dev/pts/%d", number);
	e->ours[1] = master;
	e->ours[0] = fcntl(master, F_DUPFD_CLOEXEC, 0);
	return e->ours[0] < 0 ? -errno : 0;
}

int exec_make_streams(struct exec *e, struct diag_server *s)
{
	int ret = 0;

	for (unsigned int i = 0; i < 3; i++) {
		if (!e->conn[i])
			continue;
		e->client[i] = diag_data_take(s, e->conn[i]);
		if (e->client[i] < 0)
			return -ENOTCONN;
	}
	if (e->tty)
		return make_terminal(e);
	for (unsigned int i = 0; !ret && i < 3; i++)
		ret = make_pipe(e, i);
	if (!ret && e->combine && e->child[1] >= 0 && e->child[2] < 0) {
		e->child[2] = fcntl(e->child[1], F_DUPFD_CLOEXEC, 0);
		ret = e->child[2] < 0 ? -errno : 0;
	}
	for (unsigned int i = 0; !ret && i < 3; i++) {
		if (e->child[i] < 0)
			e->child[i] = null_device();
		ret = e->child[i] < 0 ? -errno : 0;
	}
	return ret;
}

/* Between the client and the command; what is left over is closed. */
void exec_connect_streams(struct exec *e, struct diag_server *s, pid_t pid)
{
	struct diag_pump *p;

	if (e->client[0] >= 0 && e->ours[0] >= 0) {
		p = diag_pump_start(s, e->client[0], e->ours[0],
				    DIAG_PUMP_BYTES, true);
		p->to_client = false;
		p->process = pid;
		e->client[0] = e->ours[0] = -1;
	}
	for (unsigned int i = 1; i < 3; i++) {
		if (e->client[i] < 0)
			continue;
		p = diag_pump_start(s, e->ours[i], e->client[i],
				    DIAG_PUMP_BYTES, true);
		if (e->ours[i] < 0)
			p->process = pid;
		e->client[i] = e->ours[i] = -1;
	}
}

/* ---- the process ---- */

int exec_spawn(struct exec *e, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int ret;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID |
				 POSIX_SPAWN_SETSIGDEF |
				 POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawn_file_actions_init(&actions);
	/* The first terminal that a session's leader opens is the session's. */
	if (e->tty)
		posix_spawn_file_actions_addopen(&actions, 0, e->terminal,
						 O_RDWR, 0);
	for (int i = e->tty ? 1 : 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions,
						 e->tty ? 0 : e->child[i], i);
	ret = posix_spawnp(pid, e->command, &actions, &attributes, e->argv,
			   e->envp);
	if (ret == ENOENT && !strchr(e->command, '/'))
		ret = posix_spawn(pid, BUSYBOX, &actions, &attributes,
				  e->argv, e->envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -ret;
}

struct exec *exec_create(void)
{
	struct exec *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	memset(e->client, -1, sizeof(e->client));
	memset(e->child, -1, sizeof(e->child));
	memset(e->ours, -1, sizeof(e->ours));
	return e;
}

static void close_all(const int fd[3])
{
	for (unsigned int i = 0; i < 3; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

void exec_destroy(struct exec *e)
{
	close_all(e->client);
	close_all(e->child);
	close_all(e->ours);
	free(e);
}
