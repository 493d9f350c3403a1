// SPDX-License-Identifier: MIT
/*
 * Connections of pvctl: to a port of VTL2's, through the Unix socket that vmm
 * has for all of them ("CONNECT 1\n", answered by "OK 1\n", then the port's
 * bytes), or by AF_VSOCK where this machine is the host itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Behind libc's socket header, whose types it uses. */
#include <linux/vm_sockets.h>

#include "pvctl.h"

#define CID_PREFIX "vsock:"

uint64_t pvctl_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 1: ready, or gone; 0: the deadline. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		uint64_t now = pvctl_now_ms();
		int timeout = -1;

		if (deadline_ms)
			timeout = now < deadline_ms ?
					  (int)(deadline_ms - now) : 0;
		if (poll(&p, 1, timeout) > 0)
			return 1;
		if (deadline_ms && pvctl_now_ms() >= deadline_ms)
			return 0;
	}
}

int pvctl_send_all(int fd, const void *bytes, size_t len, uint64_t deadline_ms)
{
	const uint8_t *at = bytes;

	while (len) {
		ssize_t n;

		if (!wait_for(fd, POLLOUT, deadline_ms))
			return 0;
		n = send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 1;
}

int pvctl_receive_all(int fd, void *bytes, size_t len, uint64_t deadline_ms)
{
	uint8_t *at = bytes;

	while (len) {
		ssize_t n;

		if (!wait_for(fd, POLLIN, deadline_ms))
			return 0;
		n = recv(fd, at, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 1;
}

static int connect_vsock(uint64_t cid, unsigned int port)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK,
				       .svm_cid = (unsigned int)cid,
				       .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !connect(fd, (struct sockaddr *)&address,
			       sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&address,
			       sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

/* Tells vmm the port. What follows its line is VTL2's: byte by byte. */
static const char *name_port(int fd, unsigned int port, uint64_t deadline_ms)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "CONNECT %u\n", port), ret;

	ret = pvctl_send_all(fd, line, (size_t)n, deadline_ms);
	for (n = 0; ret == 1; n++) {
		if (n == (int)sizeof(line))
			return "the answer is no line of vmm's";
		ret = pvctl_receive_all(fd, line + n, 1, deadline_ms);
		if (ret == 1 && line[n] == '\n')
			return strncmp(line, "OK ", 3) ?
				       "the answer is no line of vmm's" : NULL;
	}
	return ret ? "nobody listens there: VTL2 is not up, or has ended" :
		     "no answer";
}

int pvctl_connect(const struct pvctl *p, unsigned int port,
		  const char **error)
{
	const size_t prefix = sizeof(CID_PREFIX) - 1;
	uint64_t deadline = pvctl_now_ms() + p->timeout_ms, cid;
	int fd;

	*error = NULL;
	if (!strncmp(p->vm, CID_PREFIX, prefix) &&
	    pvctl_number(p->vm + prefix, UINT32_MAX, &cid)) {
		fd = connect_vsock(cid, port);
		if (fd < 0)
			*error = strerror(errno);
		return fd;
	}
	/* As other clients have it: vsock:PATH is a path. */
	fd = connect_unix(strncmp(p->vm, CID_PREFIX, prefix) ? p->vm :
							p->vm + prefix);
	if (fd < 0) {
		*error = strerror(errno);
		return -1;
	}
	*error = name_port(fd, port, deadline);
	if (!*error)
		return fd;
	close(fd);
	return -1;
}
