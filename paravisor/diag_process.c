// SPDX-License-Identifier: MIT
/*
 * Commands of VTL2, theory of operation
 *
 *	Exec: started (diag_exec.c)
 *	           |
 *	           +-- client gone: SIGHUP to all of its session
 *	           v
 *	     ended (its pidfd says so) --> exit code kept --Wait--> forgotten
 *
 * A command leads a session of its own, so that it can be ended with all that
 * it started. So many run at a time, and of those that have ended so many codes
 * are kept, as there are places; a place whose command has ended a while ago
 * goes to the next one.
 *
 * Failure: a command that cannot be watched is killed, and nobody hears of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pv/log.h>

#include "diag_exec.h"
#include "diag_state.h"

LOG_MODULE("diag");

/* Free, or ended so long ago that nobody will ask. */
static struct diag_process *find_free(struct diag_server *s)
{
	struct diag_process *found = NULL;

	for (unsigned int i = 0; i < DIAG_PROCESSES; i++) {
		struct diag_process *p = &s->process[i];

		if (!p->pid)
			return p;
		if (p->pidfd < 0 && s->now - p->ended >= DIAG_IDLE &&
		    (!found || p->ended < found->ended))
			found = p;
	}
	return found;
}

static int start(struct diag_server *s, struct diag_call *call,
		 struct exec *e, struct diag_process *p)
{
	pid_t pid;
	int ret = exec_make_streams(e, s);

	if (!ret)
		ret = exec_spawn(e, &pid);
	if (ret)
		return ret;
	*p = (struct diag_process){ .pid = pid,
				    .client = call->caller.client };
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd < 0) {
		ret = -errno;
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		p->pid = 0;
		return ret;
	}
	fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
	exec_connect_streams(e, s, pid);
	log_info("%s: started, pid %d", e->command, (int)pid);
	return 0;
}

static void reply_number(struct diag_server *s, const struct diag_caller *to,
			 int number)
{
	uint8_t bytes[16];
	struct pb_writer w;

	pb_write(&w, bytes, sizeof(bytes));
	if (number)
		pb_uint(&w, 1, (uint64_t)(int64_t)number);
	diag_reply(s, to, bytes, w.used);
}

void diag_exec(struct diag_call *call)
{
	struct diag_server *s = call->server;
	struct diag_process *p = find_free(s);
	struct exec *e = exec_create();
	const char *error;
	int ret;

	if (!e || !p || !diag_pumps_free(s, 3)) {
		diag_refuse(s, &call->caller, TTRPC_RESOURCE_EXHAUSTED,
			    "too many commands");
		if (e)
			exec_destroy(e);
		return;
	}
	error = exec_take_request(e, call);
	ret = error ? 0 : start(s, call, e, p);
	if (error)
		diag_refuse(s, &call->caller, TTRPC_INVALID_ARGUMENT, "%s",
			    error);
	else if (ret == -ENOTCONN)
		diag_refuse(s, &call->caller, TTRPC_NOT_FOUND,
			    "stdin, stdout, stderr: no such data connection");
	else if (ret)
		diag_refuse(s, &call->caller, TTRPC_UNKNOWN, "%.200s: %s",
			    e->command, strerror(-ret));
	else
		reply_number(s, &call->caller, p->pid);
	exec_destroy(e);
}

void diag_wait(struct diag_call *call)
{
	struct diag_server *s = call->server;
	struct diag_process *p = s->process;
	int pid = diag_pid(call);

	while (p < s->process + DIAG_PROCESSES &&
	       (!pid || p->pid != pid || p->waits.stream))
		p++;
	if (p == s->process + DIAG_PROCESSES) {
		diag_refuse(s, &call->caller, TTRPC_NOT_FOUND,
			    "pid: %d is nobody to wait for", pid);
		return;
	}
	p->waits = call->caller;
	if (p->pidfd >= 0)
		return;
	reply_number(s, &call->caller, p->exit_code);
	p->pid = 0;
}

bool diag_has_processes(const struct diag_server *s, uint32_t client)
{
	for (unsigned int i = 0; i < DIAG_PROCESSES; i++)
		if (s->process[i].pid && s->process[i].client == client)
			return true;
	return false;
}

void diag_processes_orphaned(struct diag_server *s, uint32_t client)
{
	for (unsigned int i = 0; i < DIAG_PROCESSES; i++) {
		struct diag_process *p = &s->process[i];

		/* Its end is there for another to wait for. */
		if (p->waits.client == client)
			p->waits.stream = 0;
		if (!p->pid || p->client != client)
			continue;
		if (p->pidfd < 0)
			p->pid = 0;
		else
			kill(-p->pid, SIGHUP);
	}
}

static void process_ended(struct diag_server *s, struct diag_process *p)
{
	int status;

	if (waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	close(p->pidfd);
	p->pidfd = -1;
	p->ended = s->now;
	p->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
					     WEXITSTATUS(status);
	diag_pumps_process_ended(s, p->pid);
	if (!p->waits.stream)
		return;
	reply_number(s, &p->waits, p->exit_code);
	p->pid = 0;
}

void diag_processes_poll(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_PROCESSES; i++) {
		struct diag_process *p = &s->process[i];

		p->poll = p->pid && p->pidfd >= 0 ?
				  diag_poll(s, p->pidfd, POLLIN) : NULL;
	}
}

void diag_processes_serve(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_PROCESSES; i++) {
		struct diag_process *p = &s->process[i];

		if (p->pid && p->pidfd >= 0 && p->poll && p->poll->revents &&
		    p->poll->fd == p->pidfd)
			process_ended(s, p);
	}
}
