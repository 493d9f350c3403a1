// SPDX-License-Identifier: MIT
/*
 * The diagnosis server, theory of operation
 *
 *	port 1 --> clients --frames--> calls --> answers --> clients
 *	port 2 --> waiting --claimed by a call--> pumps <--> files, commands
 *	                                  worker: what may wait for a VP
 *
 * Owns the listeners, all connections, the commands that were started, and a
 * thread (the caller of diag_server_run()), which does one thing: it waits in
 * poll() for whatever is there to be waited for, and then serves each. Nothing
 * in it blocks: descriptions of the tree and stops of VTL0, which reactors
 * take part in, are jobs of a second thread (diag_worker.c), with a deadline
 * here. So that a VP that hangs, the reason why somebody looks, takes neither
 * the kernel's log nor a shell with it.
 *
 * A host may do what it likes: there are so many clients, connections, pumps
 * and commands and no more (diag_state.h), a frame is short, what is begun has
 * to go on, and who did nothing for a while makes room for who comes. One
 * client's mistake is answered to that client, or ends its connection.
 *
 * What the image is decides what is answered (diag_call.c): one with a shell
 * is a debug image, and init thinks the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Behind libc's socket header, whose types it uses. */
#include <linux/vm_sockets.h>

#include <pv/log.h>
#include <pv/reactor.h>

#include "diag_state.h"

LOG_MODULE("diag");

int diag_server_listen(unsigned int port)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK,
				       .svm_port = port,
				       .svm_cid = VMADDR_CID_ANY };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, DIAG_DATA)) {
		int error = errno;

		log_err("vsock port %u: %s", port, strerror(error));
		if (fd >= 0)
			close(fd);
		return -error;
	}
	return fd;
}

struct pollfd *diag_poll(struct diag_server *s, int fd, short events)
{
	struct pollfd *p = &s->poll[s->nr_polls];

	pv_bug(s->nr_polls == DIAG_MAX_POLLS, s->nr_polls, fd);
	*p = (struct pollfd){ .fd = fd, .events = events };
	s->nr_polls++;
	return p;
}

void diag_wake_at(struct diag_server *s, uint64_t when)
{
	if (!s->wake_at || when < s->wake_at)
		s->wake_at = when;
}

/* All that wait in the backlog; what there is no room for is closed. */
static void accept_all(struct diag_server *s, int listener,
		       void (*add)(struct diag_server *s, int fd))
{
	for (unsigned int i = 0; i < DIAG_DATA; i++) {
		int fd = accept4(listener, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		add(s, fd);
	}
}

static void serve_job(struct diag_server *s)
{
	const struct diag_job *job = diag_worker_finish(s->worker);

	if (job && job->kind == DIAG_CAPTURE)
		diag_captures_begun(s, job, s->job_caller.stream);
	if (job && s->job_caller.stream) {
		if (job->code == TTRPC_OK)
			diag_reply(s, &s->job_caller, job->payload, job->len);
		else
			diag_refuse(s, &s->job_caller, job->code, "%s",
				    job->error);
		s->job_caller.stream = 0;
	}
	if (s->job_caller.stream && s->now >= s->job_deadline) {
		diag_refuse(s, &s->job_caller, TTRPC_DEADLINE_EXCEEDED,
			    "a VP's thread does not answer");
		s->job_caller.stream = 0;
	}
	if (s->job_caller.stream)
		diag_wake_at(s, s->job_deadline);
}

static int timeout_ms(const struct diag_server *s)
{
	uint64_t left;

	if (!s->wake_at)
		return -1;
	if (s->wake_at <= s->now)
		return 0;
	left = (s->wake_at - s->now) / 1000000 + 1;
	return left > 60000 ? 60000 : (int)left;
}

static void turn(struct diag_server *s)
{
	struct pollfd *wake, *control, *data;
	uint64_t count;

	s->nr_polls = 0;
	wake = diag_poll(s, s->wake_fd, POLLIN);
	control = diag_poll(s, s->control, POLLIN);
	data = diag_poll(s, s->data, POLLIN);
	diag_clients_poll(s);
	diag_streams_poll(s);
	diag_processes_poll(s);
	if (poll(s->poll, s->nr_polls, timeout_ms(s)) < 0)
		for (unsigned int i = 0; i < s->nr_polls; i++)
			s->poll[i].revents = 0;
	s->now = reactor_now();
	s->wake_at = 0;
	if (wake->revents && read(s->wake_fd, &count, sizeof(count)) < 0)
		log_warn_limited("wake: %s", strerror(errno));
	serve_job(s);
	/* Clients first: a call may claim a connection of this turn's, which
	 * therefore must be there. */
	if (data->revents)
		accept_all(s, s->data, diag_data_add);
	diag_clients_serve(s);
	diag_streams_serve(s);
	diag_processes_serve(s);
	if (control->revents)
		accept_all(s, s->control, diag_client_add);
}

void diag_server_run(struct diag_server *s)
{
	while (!atomic_load(&s->stopping))
		turn(s);
}

void diag_server_stop(struct diag_server *s)
{
	uint64_t one = 1;

	atomic_store(&s->stopping, true);
	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		log_err("wake: %s", strerror(errno));
}

/* accept4() must not wait for who has gone again. */
static void nonblocking(int listener)
{
	fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
}

struct diag_server *diag_server_create(const struct diag_config *config,
				       int control, int data)
{
	struct diag_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->config = *config;
	s->control = control;
	s->data = data;
	nonblocking(control);
	nonblocking(data);
	/* A pipe whose reader went is an error like others. */
	signal(SIGPIPE, SIG_IGN);
	s->now = reactor_now();
	for (unsigned int i = 0; i < DIAG_CLIENTS; i++)
		s->client[i].fd = -1;
	for (unsigned int i = 0; i < DIAG_DATA; i++)
		s->waiting[i].fd = -1;
	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		s->pump[i].from = s->pump[i].to = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		goto out_free;
	s->worker = diag_worker_create(config, s->wake_fd);
	if (s->worker)
		return s;
	close(s->wake_fd);
out_free:
	free(s);
	return NULL;
}

void diag_server_destroy(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_CLIENTS; i++)
		if (s->client[i].fd >= 0)
			diag_client_close(s, &s->client[i]);
	for (unsigned int i = 0; i < DIAG_DATA; i++)
		if (s->waiting[i].fd >= 0)
			close(s->waiting[i].fd);
	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		diag_pump_close(&s->pump[i]);
	diag_worker_destroy(s->worker);
	close(s->control);
	close(s->data);
	close(s->wake_fd);
	free(s);
}
