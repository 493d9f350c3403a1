// SPDX-License-Identifier: MIT
/*
 * pvctl pcap: what passes the guest's NICs, into a file for each.
 *
 * The daemon is asked how many there are, then to send each on a data
 * connection of its own. They end when their NICs go, or, after -d, because the
 * daemon is told so: what it had until then still comes. Whoever ends pvctl
 * before has what was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pvctl.h"

#define MAX_NICS 8
#define DRAIN_MS 5000 /* for what comes after the end was asked for */

enum operation { QUERY, START, STOP }; /* diag.proto */

struct stream {
	int from, to; /* -1: ended */
	uint64_t conn, bytes;
	char path[4096];
};

struct pcap {
	struct pvctl *p;
	uint64_t snaplen, seconds; /* 0: all; until they end */
	unsigned int nr;
	struct stream stream[MAX_NICS];
};

/* *nr: how many NICs there are. */
static int ask(struct pcap *c, enum operation operation, uint64_t *nr)
{
	struct ttrpc_response response;
	uint8_t bytes[256];
	struct pb_reader r;
	struct pb_field f;
	struct pb_writer w;
	int status;

	*nr = 0;
	pb_write(&w, bytes, sizeof(bytes));
	if (operation)
		pb_uint(&w, 3, operation);
	if (operation == START) {
		size_t at = pb_begin(&w, 4);

		pb_uint(&w, 1, c->snaplen);
		for (unsigned int i = 0; i < c->nr; i++)
			pb_uint(&w, 2, c->stream[i].conn);
		pb_end(&w, at);
	}
	status = pvctl_call(c->p, PVCTL_UNDERHILL, "PacketCapture", &w,
			    &response);
	if (status)
		return status;
	pb_read(&r, response.payload, response.len);
	while (pb_next(&r, &f))
		if (f.number == 1)
			*nr = f.value;
	return PVCTL_OK;
}

static void stream_end(struct pcap *c, struct stream *s)
{
	if (s->from >= 0)
		close(s->from);
	if (s->to >= 0)
		close(s->to);
	if (s->to >= 0 && !c->p->json)
		printf("%s: %llu bytes\n", s->path,
		       (unsigned long long)s->bytes);
	s->from = s->to = -1;
}

static int open_streams(struct pcap *c, const char *name)
{
	for (unsigned int i = 0; i < c->nr; i++) {
		struct stream *s = &c->stream[i];
		int status = pvctl_open_data(c->p, &s->conn, &s->from);

		if (status)
			return status;
		snprintf(s->path, sizeof(s->path), "%s.%u", name, i);
		s->to = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			     0666);
		if (s->to < 0)
			return pvctl_fail(c->p, PVCTL_FAILED, "%s: %s", s->path,
					  strerror(errno));
	}
	return PVCTL_OK;
}

static int take(struct pcap *c, struct stream *s)
{
	char bytes[65536];
	ssize_t n = read(s->from, bytes, sizeof(bytes)), done;

	if (n < 0 && errno == EINTR)
		return PVCTL_OK;
	for (ssize_t at = 0; at < n; at += done) {
		done = write(s->to, bytes + at, (size_t)(n - at));
		if (done < 0)
			return pvctl_fail(c->p, PVCTL_FAILED, "%s: %s", s->path,
					  strerror(errno));
		s->bytes += (uint64_t)done;
	}
	if (n <= 0)
		stream_end(c, s);
	return PVCTL_OK;
}

/* Until all have ended: tells the daemon to end them when it is time. */
static int take_all(struct pcap *c)
{
	uint64_t end = c->seconds ? pvctl_now_ms() + c->seconds * 1000 : 0;
	bool stopped = false;
	int status = PVCTL_OK;

	while (!status) {
		struct pollfd poll_fd[MAX_NICS];
		uint64_t now = pvctl_now_ms(), nr;
		unsigned int open = 0;

		for (unsigned int i = 0; i < c->nr; i++) {
			poll_fd[i] = (struct pollfd){ c->stream[i].from,
						      POLLIN, 0 };
			open += c->stream[i].from >= 0;
		}
		if (!open)
			break;
		if (end && now >= end) {
			if (stopped)
				return pvctl_fail(c->p, PVCTL_TIMEOUT,
						  "it does not end");
			stopped = true;
			end = now + DRAIN_MS;
			status = ask(c, STOP, &nr);
			continue;
		}
		if (poll(poll_fd, c->nr, end ? (int)(end - now) : -1) <= 0)
			continue;
		for (unsigned int i = 0; i < c->nr && !status; i++)
			if (poll_fd[i].revents)
				status = take(c, &c->stream[i]);
	}
	return status;
}

static int run(struct pcap *c, const char *name)
{
	uint64_t nr;
	int status = ask(c, QUERY, &nr);

	if (status)
		return status;
	if (!nr)
		return pvctl_fail(c->p, PVCTL_FAILED, "there is no NIC");
	c->nr = nr < MAX_NICS ? (unsigned int)nr : MAX_NICS;
	status = open_streams(c, name);
	if (!status)
		status = ask(c, START, &nr);
	return status ? status : take_all(c);
}

int pvctl_do_pcap(struct pvctl *p, int argc, char **argv)
{
	static struct pcap c;
	int option, status;

	c = (struct pcap){ .p = p };
	for (unsigned int i = 0; i < MAX_NICS; i++)
		c.stream[i].from = c.stream[i].to = -1;
	while ((option = getopt(argc, argv, "s:d:")) >= 0)
		if (option == 's' && pvctl_number(optarg, 65535, &c.snaplen) &&
		    c.snaplen)
			;
		else if (option == 'd' &&
			 pvctl_number(optarg, 86400, &c.seconds) && c.seconds)
			;
		else
			return pvctl_usage(p);
	if (optind + 1 != argc)
		return pvctl_usage(p);
	status = run(&c, argv[optind]);
	for (unsigned int i = 0; i < c.nr; i++)
		stream_end(&c, &c.stream[i]);
	if (!status && p->json) {
		pvctl_begin_json(p);
		printf(",\"result\":{}}\n");
	}
	return status;
}
