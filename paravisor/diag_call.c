// SPDX-License-Identifier: MIT
/*
 * The calls: who is asked for what, whether this image answers, and with what.
 *
 * A release image answers what only looks: Ping, Kmsg, Inspect, and Update of
 * the paths that take a measurement (inspect.h says which do more). All else
 * ends with PERMISSION_DENIED, whether it would have been carried out or not.
 * What the paravisor has no way to do, it says, with the reason.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>

#include "diag_state.h"

LOG_MODULE("diag");

#define PATH_BYTES 256

static void refuse(struct diag_call *call, enum ttrpc_code code,
		   const char *why)
{
	diag_refuse(call->server, &call->caller, code, "%s", why);
}

static void reply_empty(struct diag_call *call)
{
	diag_reply(call->server, &call->caller, NULL, 0);
}

static void ping(struct diag_call *call)
{
	reply_empty(call);
}

/* ---- what the worker does ---- */

void diag_begin(struct diag_call *call, const struct diag_job *job)
{
	struct diag_server *s = call->server;

	if (!diag_worker_begin(s->worker, job)) {
		refuse(call, TTRPC_UNAVAILABLE,
		       "another such call is under way");
		return;
	}
	s->job_caller = call->caller;
	s->job_deadline = call->deadline;
	diag_wake_at(s, s->job_deadline);
}

static void inspect(struct diag_call *call)
{
	struct diag_job job = { .kind = DIAG_INSPECT };
	struct pb_reader r;
	struct pb_field f;
	bool good = true;

	pb_read(&r, call->request.payload, call->request.len);
	while (good && pb_next(&r, &f)) {
		if (f.number == 1)
			good = pb_copy_text(&f, job.path, sizeof(job.path));
		else if (f.number == 2 && f.wire == PB_VARINT)
			job.depth = (unsigned int)f.value;
	}
	if (!good || r.bad)
		refuse(call, TTRPC_INVALID_ARGUMENT,
		       "path: must be text of up to 255 bytes");
	else
		diag_begin(call, &job);
}

static void update(struct diag_call *call)
{
	struct diag_job job = { .kind = DIAG_UPDATE };
	struct pb_reader r;
	struct pb_field f;
	bool good = true;

	pb_read(&r, call->request.payload, call->request.len);
	while (good && pb_next(&r, &f)) {
		if (f.number == 1)
			good = pb_copy_text(&f, job.path, sizeof(job.path));
		else if (f.number == 2)
			good = pb_copy_text(&f, job.value, sizeof(job.value));
	}
	if (!good || r.bad)
		refuse(call, TTRPC_INVALID_ARGUMENT,
		       "path, value: must be text of up to 255 bytes");
	else
		diag_begin(call, &job);
}

static void pause_vtl0(struct diag_call *call)
{
	diag_begin(call, &(struct diag_job){ .kind = DIAG_PAUSE });
}

static void resume_vtl0(struct diag_call *call)
{
	diag_begin(call, &(struct diag_job){ .kind = DIAG_RESUME });
}

/* ---- files ---- */

struct file_request {
	bool follow;
	uint64_t conn;
	char path[PATH_BYTES];
};

/* KmsgRequest is FileRequest without its third field. */
static bool read_file_request(struct diag_call *call, struct file_request *q)
{
	struct pb_reader r;
	struct pb_field f;
	bool good = true;

	*q = (struct file_request){ 0 };
	pb_read(&r, call->request.payload, call->request.len);
	while (good && pb_next(&r, &f)) {
		if (f.number == 1)
			q->follow = f.value;
		else if (f.number == 2)
			q->conn = f.value;
		else if (f.number == 3)
			good = pb_copy_text(&f, q->path, sizeof(q->path));
	}
	if (good && !r.bad)
		return true;
	refuse(call, TTRPC_INVALID_ARGUMENT,
	       "file_path: must be text of up to 255 bytes");
	return false;
}

static void kmsg(struct diag_call *call)
{
	struct file_request q;

	if (read_file_request(call, &q))
		diag_read_file(call, call->server->config.kmsg, q.conn,
			       q.follow, DIAG_PUMP_RECORDS);
}

static void read_file(struct diag_call *call)
{
	struct file_request q;

	if (read_file_request(call, &q))
		diag_read_file(call, q.path, q.conn, q.follow,
			       strcmp(q.path, call->server->config.kmsg) ?
				       DIAG_PUMP_BYTES : DIAG_PUMP_RECORDS);
}

/* ---- the end ---- */

int diag_pid(const struct diag_call *call)
{
	struct pb_reader r;
	struct pb_field f;
	int pid = 0;

	pb_read(&r, call->request.payload, call->request.len);
	while (pb_next(&r, &f))
		if (f.number == 1)
			pid = (int)f.value;
	return r.bad ? 0 : pid;
}

static void crash(struct diag_call *call)
{
	int pid = diag_pid(call);

	if (pid != getpid()) {
		diag_refuse(call->server, &call->caller, TTRPC_NOT_FOUND,
			    "pid: %d is not the paravisor, which is %d", pid,
			    (int)getpid());
		return;
	}
	log_err("crash: a client of the diagnosis port asked for it");
	abort();
}

/* ---- what there is not ---- */

static void start(struct diag_call *call)
{
	refuse(call, TTRPC_UNIMPLEMENTED,
	       "VTL0 starts with the paravisor: nothing waits for this");
}

static void restart(struct diag_call *call)
{
	refuse(call, TTRPC_UNIMPLEMENTED,
	       "no restart with a running VTL0: VTL2 ends with its paravisor");
}

static void dump_saved_state(struct diag_call *call)
{
	refuse(call, TTRPC_UNIMPLEMENTED,
	       "no saved state: the paravisor cannot be serviced");
}

/* ---- the table ---- */

#define OPENHCL "diag.OpenhclDiag"
#define UNDERHILL "diag.UnderhillDiag"
#define INSPECT "inspect.InspectService"

static const struct {
	const char *service, *method;
	void (*call)(struct diag_call *call);
	bool release;
} methods[] = {
	{ OPENHCL, "Ping", ping, true },
	{ INSPECT, "Inspect", inspect, true },
	{ INSPECT, "Update", update, true },
	{ UNDERHILL, "Kmsg", kmsg, true },
	{ UNDERHILL, "ReadFile", read_file, false },
	{ UNDERHILL, "Exec", diag_exec, false },
	{ UNDERHILL, "Wait", diag_wait, false },
	{ UNDERHILL, "Pause", pause_vtl0, false },
	{ UNDERHILL, "Resume", resume_vtl0, false },
	{ UNDERHILL, "Crash", crash, false },
	{ UNDERHILL, "Start", start, false },
	{ UNDERHILL, "Restart", restart, false },
	{ UNDERHILL, "DumpSavedState", dump_saved_state, false },
	{ UNDERHILL, "PacketCapture", diag_packet_capture, false },
};

void diag_dispatch(struct diag_call *call)
{
	bool service = false;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].service, call->request.service))
			continue;
		service = true;
		if (strcmp(methods[i].method, call->request.method))
			continue;
		if (methods[i].release || call->server->config.open)
			methods[i].call(call);
		else
			refuse(call, TTRPC_PERMISSION_DENIED,
			       DIAG_NOT_IN_RELEASE);
		return;
	}
	if (service)
		diag_refuse(call->server, &call->caller, TTRPC_UNIMPLEMENTED,
			    "unknown method %s", call->request.method);
	else
		diag_refuse(call->server, &call->caller, TTRPC_UNIMPLEMENTED,
			    "unknown service %s", call->request.service);
}
