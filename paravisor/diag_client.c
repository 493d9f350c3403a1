// SPDX-License-Identifier: MIT
/*
 * Clients of the control port, theory of operation
 *
 *	bytes --> in[]: a header, its message --whole--> diag_dispatch()
 *	                | longer than DIAG_REQUEST_MAX: passed over and refused
 *	                | longer than ttrpc allows, no request: refused, ends
 *	out: answers, header and all, as they come <-- diag_reply(), _refuse()
 *
 * Answers may come in any order; the stream tells the client which is which. A
 * client has a number that no other ever had, by which calls under way know
 * it: who has gone is answered by nobody.
 *
 * A client that has closed its half is answered what it still waits for; if it
 * had commands started, it is taken to have gone, and they go with it.
 *
 * Failure: a client that has a frame not whole, or answers not taken, within
 * DIAG_CLIENT_DEADLINE, however often a byte goes, or that lets more than
 * DIAG_OUT_MAX of answers pile up, loses its connection.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pv/log.h>

#include "diag_state.h"

LOG_MODULE("diag");

static struct diag_client *find(struct diag_server *s, uint32_t number)
{
	for (unsigned int i = 0; i < DIAG_CLIENTS; i++)
		if (s->client[i].number == number && number)
			return &s->client[i];
	return NULL;
}

void diag_client_close(struct diag_server *s, struct diag_client *c)
{
	uint32_t number = c->number;

	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	c->fd = -1;
	c->number = 0;
	c->out = NULL;
	diag_processes_orphaned(s, number);
}

/* Somebody who neither says nor waits for anything, the longest of all. */
static struct diag_client *idle(struct diag_server *s)
{
	struct diag_client *found = NULL;

	for (unsigned int i = 0; i < DIAG_CLIENTS; i++) {
		struct diag_client *c = &s->client[i];

		if (c->waiting || s->now - c->used < DIAG_IDLE)
			continue;
		if (!found || c->used < found->used)
			found = c;
	}
	return found;
}

void diag_client_add(struct diag_server *s, int fd)
{
	struct diag_client *c = NULL;

	for (unsigned int i = 0; i < DIAG_CLIENTS && !c; i++)
		if (!s->client[i].number)
			c = &s->client[i];
	if (!c) {
		c = idle(s);
		if (c)
			diag_client_close(s, c);
	}
	if (!c) {
		log_warn_limited("no room for another client");
		close(fd);
		return;
	}
	c->fd = fd;
	c->number = ++s->last_client ? s->last_client : ++s->last_client;
	c->in_len = c->out_len = c->out_at = 0;
	c->skip = 0;
	c->ending = false;
	c->waiting = 0;
	c->used = s->now;
	c->poll = NULL;
}

/* ---- answers ---- */

/* Room for `len` bytes behind what is queued; NULL: the client has gone. */
static uint8_t *queue(struct diag_server *s, struct diag_client *c, size_t len)
{
	size_t left = c->out_len - c->out_at;
	uint8_t *out;

	if (len > DIAG_OUT_MAX - left)
		goto out_close;
	if (left && c->out_at)
		memmove(c->out, c->out + c->out_at, left);
	c->out_len = left;
	c->out_at = 0;
	out = realloc(c->out, left + len);
	if (!out)
		goto out_close;
	c->out = out;
	if (!left)
		c->used = c->out_begun = s->now;
	c->out_len += len;
	return out + left;

out_close:
	log_warn_limited("a client leaves its answers: dropped");
	diag_client_close(s, c);
	return NULL;
}

static struct diag_client *answered(struct diag_server *s,
				    const struct diag_caller *to)
{
	struct diag_client *c = find(s, to->client);

	if (c && c->waiting)
		c->waiting--;
	return c;
}

void diag_reply(struct diag_server *s, const struct diag_caller *to,
		const void *payload, size_t len)
{
	struct diag_client *c = answered(s, to);
	struct ttrpc_header header = { .stream = to->stream,
				       .type = TTRPC_RESPONSE };
	uint8_t prefix[TTRPC_PREFIX_MAX];
	size_t n = ttrpc_payload_prefix(prefix, len);
	uint8_t *out;

	header.length = (uint32_t)(n + len);
	out = c ? queue(s, c, TTRPC_HEADER_SIZE + n + len) : NULL;
	if (!out)
		return;
	ttrpc_header_write(out, &header);
	memcpy(out + TTRPC_HEADER_SIZE, prefix, n);
	if (len)
		memcpy(out + TTRPC_HEADER_SIZE + n, payload, len);
}

void diag_refuse(struct diag_server *s, const struct diag_caller *to,
		 enum ttrpc_code code, const char *format, ...)
{
	struct diag_client *c = answered(s, to);
	struct ttrpc_header header = { .stream = to->stream,
				       .type = TTRPC_RESPONSE };
	uint8_t bytes[320];
	char message[256];
	struct pb_writer w;
	va_list args;
	uint8_t *out;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	pb_write(&w, bytes, sizeof(bytes));
	ttrpc_status_write(&w, code, message);
	header.length = (uint32_t)w.used;
	out = c ? queue(s, c, TTRPC_HEADER_SIZE + w.used) : NULL;
	if (!out)
		return;
	ttrpc_header_write(out, &header);
	memcpy(out + TTRPC_HEADER_SIZE, bytes, w.used);
}

/* ---- requests ---- */

static void request(struct diag_server *s, struct diag_client *c,
		    const struct ttrpc_header *header, const uint8_t *bytes)
{
	struct diag_call call = {
		.server = s,
		.caller = { c->number, header->stream },
	};
	const char *error = ttrpc_request_read(&call.request, bytes,
					       header->length);
	uint64_t timeout = call.request.timeout_ns;

	if (error) {
		diag_refuse(s, &call.caller, TTRPC_INVALID_ARGUMENT, "%s",
			    error);
		return;
	}
	call.deadline = s->now + (timeout && timeout < DIAG_JOB_DEADLINE ?
					  timeout : DIAG_JOB_DEADLINE);
	diag_dispatch(&call);
}

/* A header has come: is its message one to wait for? */
static bool header_good(struct diag_server *s, struct diag_client *c,
			const struct ttrpc_header *h)
{
	const struct diag_caller caller = { c->number, h->stream };

	if (h->length > TTRPC_MAX_LENGTH) {
		/* Whatever it is that speaks, it does not speak ttrpc. */
		c->ending = true;
		c->waiting++;
		diag_refuse(s, &caller, TTRPC_RESOURCE_EXHAUSTED,
			    "length: %u bytes, at most %u", h->length,
			    TTRPC_MAX_LENGTH);
		return false;
	}
	if (h->length <= DIAG_REQUEST_MAX && h->stream % 2 &&
	    h->type == TTRPC_REQUEST)
		return true;
	c->skip = h->length;
	c->waiting++;
	if (!(h->stream % 2))
		diag_refuse(s, &caller, TTRPC_INVALID_ARGUMENT,
			    "stream: %u, of a client it must be odd",
			    h->stream);
	else if (h->type != TTRPC_REQUEST)
		diag_refuse(s, &caller, TTRPC_INVALID_ARGUMENT,
			    "type: %u, must be 1, a request", h->type);
	else
		diag_refuse(s, &caller, TTRPC_RESOURCE_EXHAUSTED,
			    "length: %u bytes, of a request at most %u",
			    h->length, DIAG_REQUEST_MAX);
	return false;
}

/* What of `len` bytes belongs to the frame under way is taken. */
static size_t take(struct diag_client *c, const uint8_t *bytes, size_t len,
		   size_t wanted)
{
	size_t n = wanted - c->in_len < len ? wanted - c->in_len : len;

	memcpy(c->in + c->in_len, bytes, n);
	c->in_len += n;
	return n;
}

void diag_client_input(struct diag_server *s, struct diag_client *c,
		       const uint8_t *bytes, size_t len)
{
	uint32_t number = c->number;

	c->used = s->now;
	/* Any answer may end the client. */
	while (len && c->number == number && !c->ending) {
		struct ttrpc_header header;
		size_t n;

		if (!c->in_len && !c->skip)
			c->in_begun = s->now;
		if (c->skip) {
			n = c->skip < len ? c->skip : len;
			c->skip -= (uint32_t)n;
		} else if (c->in_len < TTRPC_HEADER_SIZE) {
			n = take(c, bytes, len, TTRPC_HEADER_SIZE);
		} else {
			header = ttrpc_header_read(c->in);
			n = take(c, bytes, len,
				 TTRPC_HEADER_SIZE + header.length);
		}
		bytes += n;
		len -= n;
		if (c->skip || c->in_len < TTRPC_HEADER_SIZE)
			continue;
		header = ttrpc_header_read(c->in);
		if (c->in_len == TTRPC_HEADER_SIZE &&
		    !header_good(s, c, &header)) {
			c->in_len = 0;
			continue;
		}
		if (c->in_len < TTRPC_HEADER_SIZE + header.length)
			continue;
		c->in_len = 0;
		c->waiting++;
		request(s, c, &header, c->in + TTRPC_HEADER_SIZE);
	}
}

/* ---- the socket ---- */

static void receive(struct diag_server *s, struct diag_client *c)
{
	uint8_t bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n > 0) {
		diag_client_input(s, c, bytes, (size_t)n);
	} else if (n == 0 && c->waiting && !c->ending &&
		   !diag_has_processes(s, c->number)) {
		/* Half closed, for all that can be told: its answers come. */
		c->ending = true;
		c->in_len = 0;
		c->skip = 0;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		diag_client_close(s, c);
	}
}

static void transmit(struct diag_server *s, struct diag_client *c)
{
	ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
			 MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		diag_client_close(s, c);
		return;
	}
	c->used = s->now;
	c->out_at += (size_t)n;
	if (c->out_at < c->out_len)
		return;
	free(c->out);
	c->out = NULL;
	c->out_len = c->out_at = 0;
	if (c->ending && !c->waiting)
		diag_client_close(s, c);
}

/* When what was begun has to be done; UINT64_MAX: nothing was. */
static uint64_t due(const struct diag_client *c)
{
	uint64_t begun = c->in_len || c->skip ? c->in_begun : UINT64_MAX;

	if (c->out_at < c->out_len && c->out_begun < begun)
		begun = c->out_begun;
	return begun == UINT64_MAX ? begun : begun + DIAG_CLIENT_DEADLINE;
}

void diag_clients_poll(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_CLIENTS; i++) {
		struct diag_client *c = &s->client[i];
		bool out = c->out_at < c->out_len;

		c->poll = NULL;
		if (c->fd < 0)
			continue;
		/* What is not taken is not added to; and after an end there
		 * is nothing to be read. */
		c->poll = diag_poll(s, c->fd, out ? POLLOUT :
					      c->ending ? 0 : POLLIN);
		if (due(c) != UINT64_MAX)
			diag_wake_at(s, due(c));
	}
}

void diag_clients_serve(struct diag_server *s)
{
	for (unsigned int i = 0; i < DIAG_CLIENTS; i++) {
		struct diag_client *c = &s->client[i];

		if (!c->poll || c->fd != c->poll->fd)
			continue;
		if (c->poll->revents && c->poll->events & POLLOUT)
			transmit(s, c);
		else if (c->poll->revents)
			receive(s, c);
		if (c->fd >= 0 && s->now >= due(c))
			diag_client_close(s, c);
	}
}
