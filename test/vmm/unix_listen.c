/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets to listen on, theory of operation
 *
 * A process that was killed leaves its socket file behind, and bind(2) refuses
 * an existing name. The only way to know whether somebody still serves it is
 * to connect: ECONNREFUSED means that it is left over. Between that answer
 * and our unlink another vmm could take the name; two instances started on
 * the same path at the same moment are beyond what a path can settle.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "unix_listen.h"

static int is_left_over(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, refused;

	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return 0;
	refused = connect(fd, (const struct sockaddr *)address,
			  sizeof(*address)) < 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static int bind_path(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address;

	if (!bind(fd, any, sizeof(*address)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_left_over(address))
		return -EADDRINUSE;
	if (unlink(address->sun_path) < 0)
		return -errno;
	return bind(fd, any, sizeof(*address)) < 0 ? -errno : 0;
}

int unix_listen(const char *path, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = bind_path(fd, &address);
	if (!err && listen(fd, backlog) < 0) {
		err = -errno;
		unlink(path);
	}
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
