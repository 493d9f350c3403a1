// SPDX-License-Identifier: MIT
/*
 * The file of the black box. Opened before the machine starts, so that a path
 * that cannot be written is refused while nothing is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blackbox.h"

struct blackbox_file {
	const char *path;
	char *part;
	int fd;
};

static int complain(const struct blackbox_file *f)
{
	int err = errno;

	fprintf(stderr, "vmm: --blackbox %s: %s\n", f->path, strerror(err));
	return -err;
}

static void release(struct blackbox_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->part);
	free(f);
}

struct blackbox_file *blackbox_file_open(const char *path)
{
	struct blackbox_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->path = path;
	f->fd = -1;
	if (asprintf(&f->part, "%s.part", path) < 0)
		f->part = NULL;
	else
		f->fd = open(f->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			     0644);
	if (f->fd >= 0)
		return f;
	complain(f);
	release(f);
	return NULL;
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int blackbox_file_end(struct blackbox_file *f, const void *bytes, size_t size)
{
	int ret = 0;

	if (!bytes || write_all(f->fd, bytes, size) || fsync(f->fd) ||
	    rename(f->part, f->path)) {
		if (bytes)
			ret = complain(f);
		unlink(f->part);
	}
	release(f);
	return ret;
}
