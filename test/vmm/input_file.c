/* SPDX-License-Identifier: MIT */
/*
 * Input files, theory of operation
 *
 * A file is copied into memory once and never looked at again, so that what
 * was checked is what is used, whatever happens to the file meanwhile.
 * Directories, devices and FIFOs are refused: reading them could wait for ever
 * or never end. Failures are told here; the caller only ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input_file.h"

static int read_all(int fd, uint8_t *bytes, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, bytes + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		done += n;
	}
	return 0;
}

static int refuse(const char *option, const char *path, const char *rule,
		  int err)
{
	fprintf(stderr, "vmm: %s %s: %s\n", option, path,
		rule ? rule : strerror(-err));
	return err;
}

int input_file_read(struct input_file *file, const char *option,
		    const char *path, size_t max)
{
	char rule[64];
	struct stat st;
	int fd, err;

	memset(file, 0, sizeof(*file));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return refuse(option, path, NULL, -errno);
	if (fstat(fd, &st) < 0) {
		err = refuse(option, path, NULL, -errno);
		goto out_close;
	}
	err = -EINVAL;
	if (!S_ISREG(st.st_mode)) {
		refuse(option, path, "must be a regular file", err);
		goto out_close;
	}
	if (!st.st_size || (uint64_t)st.st_size > max) {
		snprintf(rule, sizeof(rule),
			 "has %lld bytes, must have 1 to %zu",
			 (long long)st.st_size, max);
		refuse(option, path, rule, err);
		goto out_close;
	}
	file->bytes = malloc((size_t)st.st_size + 1);
	if (!file->bytes) {
		err = refuse(option, path, NULL, -ENOMEM);
		goto out_close;
	}
	err = read_all(fd, file->bytes, st.st_size);
	if (err) {
		refuse(option, path, NULL, err);
		input_file_free(file);
		goto out_close;
	}
	file->path = path;
	file->len = st.st_size;
	file->bytes[file->len] = '\0';
out_close:
	close(fd);
	return err;
}

void input_file_free(struct input_file *file)
{
	free(file->bytes);
	memset(file, 0, sizeof(*file));
}
