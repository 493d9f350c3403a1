/* SPDX-License-Identifier: MIT */
/*
 * The diagnosis server: what clients of its control port send.
 *
 * Input: the flavour; then pieces, each with its length (two bytes), a kind,
 * and what of the kind it is:
 *
 *	0  bytes as they are
 *	1  a frame around a whole request: ttrpc's header is made here
 *	2  a call: a method of a table, with a payload
 *	3  time goes on
 *
 * Frames that are complete are answered, each once and with its stream; an
 * answer is a message that our own reader takes. What is not complete is not
 * answered. Nothing is ever sent without end: DIAG_OUT_MAX holds.
 *
 * It runs fewer than 50000 inputs a second: Exec opens descriptors, and each
 * Inspect makes a tree.
 *
 * Sockets, processes, files and the worker's thread are not there: the worker
 * does its job at once, and Exec, Kmsg and ReadFile find no data connection.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pv/inspect.h>
#include <pv/reactor.h>

#include "paravisor/diag_state.h"
#include "test/fuzz/fuzz.h"

#define CLIENT_FD 1000000 /* no descriptor */

/* The target's line in the list names these to the linker (--wrap). */
int __wrap_close(int fd);
int __wrap_posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes,
		       char *const *argv, char *const *envp);
int __wrap_posix_spawnp(pid_t *pid, const char *path,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes,
			char *const *argv, char *const *envp);

static struct diag_server *server;
static bool open_fd;

int __wrap_close(int fd)
{
	if (fd == CLIENT_FD) {
		fuzz_expect(open_fd, fd, 0);
		open_fd = false;
		return 0;
	}
	return (int)close_range((unsigned int)fd, (unsigned int)fd, 0);
}

static int spawned(char *const *argv, char *const *envp)
{
	unsigned int n = 0;

	fuzz_expect(argv[0] && *argv[0], 0, 0);
	for (; argv[n]; n++)
		fuzz_expect(strlen(argv[n]) <= DIAG_REQUEST_MAX, n, 0);
	fuzz_expect(n <= 65, n, 0);
	for (n = 0; envp[n]; n++)
		fuzz_expect(strchr(envp[n], '=') != envp[n], n, 0);
	fuzz_expect(n <= 64, n, 0);
	fuzz_accept();
	return EACCES;
}

int __wrap_posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes,
		       char *const *argv, char *const *envp)
{
	(void)pid;
	(void)path;
	(void)actions;
	(void)attributes;
	return spawned(argv, envp);
}

int __wrap_posix_spawnp(pid_t *pid, const char *path,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes,
			char *const *argv, char *const *envp)
{
	(void)pid;
	fuzz_expect(path == argv[0], 0, 0);
	(void)actions;
	(void)attributes;
	return spawned(argv, envp);
}

/* ---- what the server asks of others ---- */

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	(void)r;
	fn(arg);
}

uint64_t reactor_now(void)
{
	return 1;
}

static int pause_vtl0(void *opaque, bool paused)
{
	(void)opaque;
	return paused ? 0 : -EINVAL;
}

/* The worker, without a thread. */
struct diag_worker {
	struct diag_job job;
	bool done;
	struct diag_answer *answer;
};

struct diag_worker *diag_worker_create(const struct diag_config *config,
				       int done_fd)
{
	static struct diag_worker worker;

	(void)config;
	(void)done_fd;
	worker.answer = diag_answer_create();
	return &worker;
}

void diag_worker_destroy(struct diag_worker *w)
{
	diag_answer_destroy(w->answer);
}

bool diag_worker_begin(struct diag_worker *w, const struct diag_job *job)
{
	if (w->done)
		return false;
	w->job = *job;
	fuzz_expect(strlen(job->path) < DIAG_PATH_MAX &&
		    strlen(job->value) < DIAG_PATH_MAX, job->kind, 0);
	w->done = true;
	return true;
}

const struct diag_job *diag_worker_finish(struct diag_worker *w)
{
	if (!w->done)
		return NULL;
	w->done = false;
	return &w->job;
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	inspect_u64(out, "entries", 42);
	inspect_hex(out, "rip", 0xffffffff81000000);
	if (!inspect_begin(out, "exits"))
		return;
	inspect_bool(out, "halted", true);
	inspect_text(out, "name", "0xyz \"\\\x01\xff");
	inspect_end(out);
}

static const char *update(void *object, const char *value)
{
	(void)object;
	fuzz_expect(server->config.open, 0, 0);
	return *value ? NULL : "must be something";
}

/* ---- answers ---- */

/* Reads what the client is to be sent, whole, and forgets it. */
static void read_answers(struct diag_client *c, unsigned int *answers)
{
	fuzz_expect(c->out_len <= DIAG_OUT_MAX, c->out_len, 0);
	while (c->out_at < c->out_len) {
		const uint8_t *at = c->out + c->out_at;
		size_t left = c->out_len - c->out_at;
		struct ttrpc_response response;
		struct ttrpc_header header;

		fuzz_expect(left >= TTRPC_HEADER_SIZE, left, 0);
		header = ttrpc_header_read(at);
		fuzz_expect(header.type == TTRPC_RESPONSE && !header.flags,
			    header.type, header.flags);
		fuzz_expect(header.length <= left - TTRPC_HEADER_SIZE,
			    header.length, left);
		fuzz_expect(ttrpc_response_read(&response,
						at + TTRPC_HEADER_SIZE,
						header.length),
			    header.length, 0);
		fuzz_expect(response.code == TTRPC_OK || *response.message,
			    response.code, 0);
		if (response.code == TTRPC_OK)
			fuzz_accept();
		c->out_at += TTRPC_HEADER_SIZE + header.length;
		++*answers;
	}
}

/* ---- input ---- */

static const char *const methods[][2] = {
	{ "diag.OpenhclDiag", "Ping" },
	{ "inspect.InspectService", "Inspect" },
	{ "inspect.InspectService", "Update" },
	{ "diag.UnderhillDiag", "Kmsg" },
	{ "diag.UnderhillDiag", "ReadFile" },
	{ "diag.UnderhillDiag", "Exec" },
	{ "diag.UnderhillDiag", "Wait" },
	{ "diag.UnderhillDiag", "Pause" },
	{ "diag.UnderhillDiag", "Resume" },
	{ "diag.UnderhillDiag", "Crash" },
	{ "diag.UnderhillDiag", "Start" },
	{ "diag.UnderhillDiag", "Restart" },
	{ "diag.UnderhillDiag", "DumpSavedState" },
	{ "diag.UnderhillDiag", "PacketCapture" },
	{ "diag.UnderhillDiag", "None" },
	{ "None", "Ping" },
};

#define NR_METHODS (sizeof(methods) / sizeof(methods[0]))

static uint8_t frame[TTRPC_HEADER_SIZE + 4096];

static size_t make_frame(const uint8_t *bytes, size_t size, bool call)
{
	struct ttrpc_header header = { .stream = 1, .type = TTRPC_REQUEST };
	struct ttrpc_request request = { .timeout_ns = 1000000000 };
	struct pb_writer w;

	pb_write(&w, frame + TTRPC_HEADER_SIZE,
		 sizeof(frame) - TTRPC_HEADER_SIZE);
	if (call && size) {
		const char *const *m = methods[bytes[0] % NR_METHODS];

		snprintf(request.service, sizeof(request.service), "%s", m[0]);
		snprintf(request.method, sizeof(request.method), "%s", m[1]);
		request.payload = bytes + 1;
		request.len = size - 1;
		ttrpc_request_write(&w, &request);
	} else {
		memcpy(w.out, bytes, size);
		w.used = size;
	}
	fuzz_expect(!w.full, size, 0);
	header.length = (uint32_t)w.used;
	ttrpc_header_write(frame, &header);
	return TTRPC_HEADER_SIZE + w.used;
}

static void finish_job(void)
{
	const struct diag_job *job = diag_worker_finish(server->worker);

	if (!job)
		return;
	diag_answer(server->worker->answer, &server->config,
		    &server->worker->job);
	if (job->code == TTRPC_OK)
		diag_reply(server, &server->job_caller, job->payload,
			   job->len);
	else
		diag_refuse(server, &server->job_caller, job->code, "%s",
			    job->error);
	server->job_caller.stream = 0;
}

static void setup(void)
{
	static struct inspect_entry vp = { "vp0", describe, NULL, NULL };
	static struct inspect_entry vp1 = { "vp1", describe, NULL, NULL };
	static struct inspect_updater filter = { "vp1/exits", update, NULL,
						 NULL, true };

	inspect_register(&vp);
	inspect_register(&vp1);
	inspect_updater_register(&filter);
	server = calloc(1, sizeof(*server));
	server->config = (struct diag_config){ .kmsg = "/dev/null",
					       .pause = pause_vtl0 };
	server->worker = diag_worker_create(&server->config, -1);
	for (unsigned int i = 0; i < DIAG_CLIENTS; i++)
		server->client[i].fd = -1;
	for (unsigned int i = 0; i < DIAG_DATA; i++)
		server->waiting[i].fd = -1;
	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		server->pump[i].from = server->pump[i].to = -1;
}

void fuzz_one(struct fuzz_input *in)
{
	struct diag_client *c;
	unsigned int answers = 0, frames = 0;

	if (!server)
		setup();
	server->config.open = fuzz_number(in, 1) & 1;
	inspect_forbid_changes(!server->config.open);
	server->now = DIAG_SECOND;
	c = &server->client[0];
	open_fd = true;
	diag_client_add(server, CLIENT_FD);
	fuzz_expect(c->fd == CLIENT_FD, c->fd, 0);
	while (in->left && c->fd >= 0) {
		size_t size, wanted = fuzz_number(in, 2) % 2048;
		unsigned int kind = (unsigned int)fuzz_number(in, 1) % 4;
		const uint8_t *bytes = fuzz_rest(in, wanted, &size);

		if (kind == 3) {
			server->now += size * DIAG_SECOND;
			continue;
		}
		/* A made one is whole, unless a part of another is there. */
		frames += kind && !c->in_len && !c->skip && !c->ending;
		if (kind) {
			size = make_frame(bytes, size, kind == 2);
			bytes = frame;
		}
		diag_client_input(server, c, bytes, size);
		finish_job();
		read_answers(c, &answers);
		fuzz_expect(answers >= frames || c->fd < 0, answers, frames);
	}
	fuzz_expect(!c->waiting, c->waiting, 0);
	if (c->fd >= 0)
		diag_client_close(server, c);
	fuzz_expect(!open_fd, 0, 0);
}
