// SPDX-License-Identifier: MIT
/*
 * Core files, theory of operation
 *
 *	LISTEN --connection--> HEAD --24 bytes, sound--> LOG --> CORE --end--.
 *	   ^                    |          end or error: nothing appears      |
 *	   `--------------------+--------------------------'<---named, said---'
 *
 * One connection at a time; others wait in the backlog. What comes is written
 * as it comes, into PATH.part and PATH.log.part, with blocking writes: VTL2 is
 * dead, and waits for this.
 *
 * Threads: the device thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core_reg.h"

#include "core.h"
#include "loop.h"
#include "unix_listen.h"

#define CORE_MAX (4ull << 30)
#define TURN (64u << 10) /* bytes at once */

struct core_file {
	const char *path;
	struct reactor *loop;
	struct sockaddr_un address;
	struct loop_fd listener, peer; /* fd -1: none */
	union {
		struct core_head head;
		uint8_t bytes[sizeof(struct core_head)];
	};
	uint32_t got;	 /* of the head */
	uint32_t log_left;
	uint64_t taken; /* of the core */
	FILE *log, *core;
	uint8_t block[TURN];
};

static void name(char *to, size_t size, const struct core_file *c, bool log,
		 bool part)
{
	snprintf(to, size, "%s%s%s", c->path, log ? ".log" : "",
		 part ? ".part" : "");
}

static FILE *open_part(const struct core_file *c, bool log)
{
	char path[4096];

	name(path, sizeof(path), c, log, true);
	return fopen(path, "we");
}

/* `good`: it gets its name. */
static bool close_part(const struct core_file *c, FILE *file, bool log,
		       bool good)
{
	char part[4096], path[4096];

	if (!file)
		return false;
	name(part, sizeof(part), c, log, true);
	name(path, sizeof(path), c, log, false);
	good = !fclose(file) && good && !rename(part, path);
	if (!good)
		unlink(part);
	return good;
}

static void end_peer(struct core_file *c, const char *why)
{
	bool good = close_part(c, c->log, true, !why);

	good = close_part(c, c->core, false, good);
	c->log = c->core = NULL;
	loop_fd_remove(c->loop, &c->peer);
	close(c->peer.fd);
	c->peer.fd = -1;
	c->listener.events = POLLIN;
	if (good)
		fprintf(stderr, "vmm: --core %s: %llu KiB of process %u of "
			"VTL2, ended by signal %u\n", c->path,
			(unsigned long long)c->taken >> 10,
			le32_to_cpu(c->head.pid), le32_to_cpu(c->head.signal));
	else
		fprintf(stderr, "vmm: --core %s: %s\n", c->path,
			why ? why : strerror(errno));
}

/* NULL, or what is wrong with it. */
static const char *take_head(struct core_file *c)
{
	if (le64_to_cpu(c->head.magic) != CORE_MAGIC)
		return "what came is no core of VTL2";
	if (le32_to_cpu(c->head.version) != CORE_VERSION)
		return "a core in another form than version 1";
	c->log_left = le32_to_cpu(c->head.log_bytes);
	if (c->log_left > CORE_LOG_MAX)
		return "a log of more than 256 KiB";
	return NULL;
}

/* NULL, or why it is over. */
static const char *take(struct core_file *c, const uint8_t *p, size_t n)
{
	while (c->got < sizeof(c->head) && n) {
		const char *why;

		c->bytes[c->got++] = *p++;
		n--;
		why = c->got == sizeof(c->head) ? take_head(c) : NULL;
		if (why)
			return why;
	}
	if (c->log_left && n) {
		size_t now = n < c->log_left ? n : c->log_left;

		if (fwrite(p, 1, now, c->log) != now)
			return strerror(errno);
		c->log_left -= (uint32_t)now;
		p += now;
		n -= now;
	}
	if (n && fwrite(p, 1, n, c->core) != n)
		return strerror(errno);
	c->taken += n;
	return c->taken > CORE_MAX ? "larger than 4 GiB" : NULL;
}

static void peer_ready(struct loop_fd *watch, short events)
{
	struct core_file *c = (struct core_file *)
		((char *)watch - offsetof(struct core_file, peer));
	ssize_t n = recv(watch->fd, c->block, sizeof(c->block), MSG_DONTWAIT);
	const char *why;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_peer(c, strerror(errno));
	} else if (!n) {
		end_peer(c, c->taken ? NULL : "cut short");
	} else {
		why = take(c, c->block, (size_t)n);
		if (why)
			end_peer(c, why);
	}
}

static void listener_ready(struct loop_fd *watch, short events)
{
	struct core_file *c = (struct core_file *)
		((char *)watch - offsetof(struct core_file, listener));
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	c->got = c->log_left = 0;
	c->taken = 0;
	c->log = open_part(c, true);
	c->core = open_part(c, false);
	c->peer = (struct loop_fd){ .fn = peer_ready, .fd = fd,
				    .events = POLLIN };
	c->listener.events = 0;
	loop_fd_add(c->loop, &c->peer);
	if (!c->log || !c->core)
		end_peer(c, strerror(errno));
}

struct core_file *core_file_open(const char *path, const char *vsock,
				 struct reactor *loop)
{
	struct core_file *c = calloc(1, sizeof(*c));
	int n;

	if (!c)
		return NULL;
	c->path = path;
	c->loop = loop;
	c->peer.fd = -1;
	c->address.sun_family = AF_UNIX;
	n = snprintf(c->address.sun_path, sizeof(c->address.sun_path), "%s_%u",
		     vsock, CORE_PORT);
	c->listener = (struct loop_fd){ .fn = listener_ready,
					.events = POLLIN };
	c->listener.fd = n < (int)sizeof(c->address.sun_path) ?
				 unix_listen(c->address.sun_path, 1) :
				 -ENAMETOOLONG;
	if (c->listener.fd < 0) {
		fprintf(stderr, "vmm: --core %s: %s: %s\n", path,
			c->address.sun_path, strerror(-c->listener.fd));
		free(c);
		return NULL;
	}
	loop_fd_add(loop, &c->listener);
	return c;
}

void core_file_close(struct core_file *c)
{
	if (!c)
		return;
	if (c->peer.fd >= 0)
		end_peer(c, "the machine ended before the core did");
	loop_fd_remove(c->loop, &c->listener);
	close(c->listener.fd);
	unlink(c->address.sun_path);
	free(c);
}
