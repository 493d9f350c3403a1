// SPDX-License-Identifier: MIT
/*
 * Data connections and pumps, theory of operation
 *
 *	accepted, its id sent --> waiting[] --diag_data_take()--> a pump's
 *	                             | closed: the client went, or nobody asked
 *
 *	pump:  from --> buffer --> to        files, /dev/kmsg, commands' output
 *	       client's socket --> pipe      commands' input
 *	capture --> buffer --> to     packets of a NIC, looked at every 20 ms
 *
 *	at the end of `from`, to a client: shut down, lingers until the client
 *	closes, so that the last bytes are not lost with the connection
 *
 * A pump holds one buffer. It reads when that is empty and writes when it is
 * not; a slow reader slows its own source. Whoever closes its side of a data
 * connection, or half of it, wants no more: its pump ends at once.
 *
 * /dev/kmsg gives one record a read, and says so when records were overwritten
 * before they could be read: the next one is then whatever is still there, and
 * its sequence number shows the gap.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pv/capture.h>
#include <pv/log.h>

#include "diag_state.h"

LOG_MODULE("diag");

/* How often a capture is looked at: nobody says when something came. */
#define LOOK_NS 20000000ull

/* ---- connections that wait to be asked for ---- */

static void forget(struct diag_data *d)
{
	close(d->fd);
	d->fd = -1;
}

void diag_data_add(struct diag_server *s, int fd)
{
	struct diag_data *d = s->waiting;
	uint8_t id[8];

	while (d < s->waiting + DIAG_DATA && d->fd >= 0)
		d++;
	if (d == s->waiting + DIAG_DATA) {
		log_warn_limited("no room for another data connection");
		close(fd);
		return;
	}
	*d = (struct diag_data){ fd, ++s->last_data, s->now, NULL };
	for (unsigned int i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)(d->id >> (8 * i));
	/* It is the first thing sent: there is room. */
	if (send(fd, id, sizeof(id), MSG_NOSIGNAL) != sizeof(id))
		forget(d);
}

int diag_data_take(struct diag_server *s, uint64_t id)
{
	for (unsigned int i = 0; i < DIAG_DATA; i++) {
		int fd = s->waiting[i].fd;

		if (fd < 0 || s->waiting[i].id != id)
			continue;
		s->waiting[i].fd = -1;
		return fd;
	}
	return -1;
}

static void serve_waiting(struct diag_server *s, struct diag_data *d)
{
	if (d->fd < 0 || !d->poll || d->poll->fd != d->fd)
		return;
	if (d->poll->revents || s->now - d->since >= DIAG_CLAIM_DEADLINE)
		forget(d);
}

/* ---- pumps ---- */

static void stop_capture(struct diag_pump *p)
{
	if (p->capture)
		p->capture->ops->stop(p->capture);
	p->capture = NULL;
}

void diag_pump_close(struct diag_pump *p)
{
	stop_capture(p);
	if (p->from >= 0)
		close(p->from);
	if (p->to >= 0)
		close(p->to);
	p->from = p->to = -1;
}

static unsigned int free_pumps(const struct diag_server *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		n += s->pump[i].to < 0;
	return n;
}

/* The one that moves least: it waits for a close, or for a client to read. */
static struct diag_pump *stalled(struct diag_server *s)
{
	struct diag_pump *found = NULL;

	for (unsigned int i = 0; i < DIAG_PUMPS; i++) {
		struct diag_pump *p = &s->pump[i];
		bool waits = p->lingers_until || p->at < p->len;

		if (p->to < 0 || !waits || s->now - p->used < DIAG_IDLE)
			continue;
		if (!found || p->used < found->used)
			found = p;
	}
	return found;
}

bool diag_pumps_free(struct diag_server *s, unsigned int n)
{
	while (free_pumps(s) < n) {
		struct diag_pump *p = stalled(s);

		if (!p)
			return false;
		diag_pump_close(p);
	}
	return true;
}

struct diag_pump *diag_pump_start(struct diag_server *s, int from, int to,
				  enum diag_pump_kind kind, bool follow)
{
	struct diag_pump *p = s->pump;

	while (p->to >= 0)
		p++;
	pv_bug(p >= s->pump + DIAG_PUMPS, from, to);
	p->from = from;
	p->to = to;
	p->kind = kind;
	p->follow = follow;
	p->to_client = true;
	p->process = 0;
	p->capture = NULL;
	p->used = s->now;
	p->lingers_until = 0;
	p->len = p->at = 0;
	p->poll_from = p->poll_to = NULL;
	return p;
}

/* Nothing more comes. */
void diag_pump_end(struct diag_server *s, struct diag_pump *p)
{
	stop_capture(p);
	if (!p->to_client) {
		diag_pump_close(p);
		return;
	}
	if (p->from >= 0)
		close(p->from);
	p->from = -1;
	p->process = 0;
	p->used = s->now;
	p->lingers_until = s->now + DIAG_LINGER;
	shutdown(p->to, SHUT_WR);
}

void diag_pumps_process_ended(struct diag_server *s, pid_t process)
{
	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		if (s->pump[i].to >= 0 && s->pump[i].process == process)
			diag_pump_end(s, &s->pump[i]);
}

static void fill(struct diag_server *s, struct diag_pump *p)
{
	bool records = p->kind == DIAG_PUMP_RECORDS;
	ssize_t n = read(p->from, p->buffer, sizeof(p->buffer) - records);

	if (n < 0 && errno == EINTR)
		return;
	/* Overwritten before it was read, or longer than any: the next. */
	if (n < 0 && records && (errno == EPIPE || errno == EINVAL))
		return;
	if (n < 0 && errno == EAGAIN && p->follow)
		return;
	/* Of a terminal, an error is how its other side ends. */
	if (n <= 0) {
		diag_pump_end(s, p);
		return;
	}
	p->at = 0;
	p->len = (size_t)n;
	if (records)
		p->buffer[p->len++] = '\0';
}

/* What came since the last look. */
static void fill_capture(struct diag_server *s, struct diag_pump *p)
{
	int n = p->capture->ops->read(p->capture, p->buffer,
				      sizeof(p->buffer));

	p->at = 0;
	p->len = n > 0 ? (size_t)n : 0;
	if (n < 0)
		diag_pump_end(s, p);
}

static void drain(struct diag_server *s, struct diag_pump *p)
{
	ssize_t n = p->to_client ?
		send(p->to, p->buffer + p->at, p->len - p->at, MSG_NOSIGNAL) :
		write(p->to, p->buffer + p->at, p->len - p->at);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		diag_pump_close(p);
		return;
	}
	p->used = s->now;
	p->at += (size_t)n;
}

static void serve_lingering(struct diag_server *s, struct diag_pump *p)
{
	uint8_t byte[64];

	if (s->now >= p->lingers_until)
		diag_pump_close(p);
	else if (p->poll_to->revents) {
		ssize_t n = recv(p->to, byte, sizeof(byte), 0);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			diag_pump_close(p);
	}
}

static void serve_pump(struct diag_server *s, struct diag_pump *p)
{
	/* One that was started in this turn has not been waited for. */
	if (p->to < 0 || !p->poll_to || p->poll_to->fd != p->to)
		return;
	if (p->lingers_until) {
		serve_lingering(s, p);
		return;
	}
	if (p->poll_to->revents & (POLLRDHUP | POLLHUP | POLLERR)) {
		diag_pump_close(p);
		return;
	}
	if (p->capture && p->at == p->len)
		fill_capture(s, p);
	if (p->poll_from && p->poll_from->fd == p->from &&
	    (p->poll_from->revents || !p->follow))
		fill(s, p);
	if (p->to >= 0 && p->at < p->len)
		drain(s, p);
}

void diag_streams_poll(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_DATA; i++) {
		struct diag_data *d = &s->waiting[i];

		d->poll = d->fd >= 0 ? diag_poll(s, d->fd, POLLRDHUP) : NULL;
		if (d->poll)
			diag_wake_at(s, d->since + DIAG_CLAIM_DEADLINE);
	}
	for (unsigned int i = 0; i < DIAG_PUMPS; i++) {
		struct diag_pump *p = &s->pump[i];
		bool full = p->at < p->len;
		short events = p->to_client ? POLLRDHUP : 0;

		p->poll_from = p->poll_to = NULL;
		if (p->to < 0)
			continue;
		if (p->lingers_until) {
			events |= POLLIN;
			diag_wake_at(s, p->lingers_until);
		}
		p->poll_to = diag_poll(s, p->to,
				       full ? events | POLLOUT : events);
		if (p->from >= 0 && !full)
			p->poll_from = diag_poll(s, p->from, POLLIN);
		if (p->capture && !full)
			diag_wake_at(s, s->now + (p->len ? 0 : LOOK_NS));
		/* It ends where there is nothing: that is not waited for. */
		if (p->poll_from && !p->follow)
			diag_wake_at(s, s->now);
	}
}

void diag_streams_serve(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_DATA; i++)
		serve_waiting(s, &s->waiting[i]);
	for (unsigned int i = 0; i < DIAG_PUMPS; i++)
		serve_pump(s, &s->pump[i]);
}

/* ---- files ---- */

void diag_read_file(struct diag_call *call, const char *path, uint64_t conn,
		    bool follow, enum diag_pump_kind kind)
{
	struct diag_server *s = call->server;
	int to = diag_data_take(s, conn), from;
	struct stat stat;

	if (to < 0) {
		diag_refuse(s, &call->caller, TTRPC_NOT_FOUND,
			    "conn: no data connection %llu",
			    (unsigned long long)conn);
		return;
	}
	from = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (from < 0) {
		diag_refuse(s, &call->caller,
			    errno == ENOENT ? TTRPC_NOT_FOUND : TTRPC_UNKNOWN,
			    "%s: %s", path, strerror(errno));
		goto out_close_to;
	}
	if (fstat(from, &stat) ||
	    !(S_ISREG(stat.st_mode) || S_ISCHR(stat.st_mode))) {
		diag_refuse(s, &call->caller, TTRPC_INVALID_ARGUMENT,
			    "%s: neither a file nor a device of characters",
			    path);
		goto out_close_from;
	}
	if (!diag_pumps_free(s, 1)) {
		diag_refuse(s, &call->caller, TTRPC_RESOURCE_EXHAUSTED,
			    "too many streams");
		goto out_close_from;
	}
	diag_pump_start(s, from, to, kind, follow && S_ISCHR(stat.st_mode));
	diag_reply(s, &call->caller, NULL, 0);
	return;

out_close_from:
	close(from);
out_close_to:
	close(to);
}
